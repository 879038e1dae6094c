/* surgery.h -- rules: finding patterns of nodes and replacing them by an op.
 *
 * The rule language, one rule a line (or separated by ';'), '#' to the end of the line is a comment:
 *
 *     rule    := pattern '->' pattern
 *     pattern := [domain '::'] Type '(' [arg {',' arg}] ')'
 *     arg     := pattern | name | number | '_' | name '=' bind
 *     bind    := ['-'] name | number | string | '[' numbers ']'
 *
 * A name is a variable: on the left it binds a value, and where it stands again it must be the same value. A number
 * matches a constant of one element (initializer or Constant node) within 1e-6, when broadcasting it does not change
 * the result's shape. `_` is an argument left out. name=bind is an attribute: on the left a number, string or list that
 * it must have, or a variable that takes its number; on the right what it gets. A value variable that stands for an
 * attribute on the right must be a constant of one element. Commutative inputs match both ways; Identity and Dropout
 * in between are looked through. A type without domain is ONNX's or ours; on the right ours goes first.
 */
#ifndef SURGERY_H
#define SURGERY_H

#include "opgraft.h"
#include "graph/graph.h"

typedef struct surgery_rules surgery_rules;

/* Parses rules. OG_USAGE with "line L, column C: ...". */
og_status surgery_parse(surgery_rules **out, const char *text);
void surgery_rules_free(surgery_rules *);

typedef struct surgery_options {
	const char *only, *skip;             /* globs over the label of the root: its name, its output's name where it has none; NULL: all, none */
	bool keep_interior;                  /* values inside that others need stay, with the nodes that make them; else the candidate is refused */
	bool for_file;                       /* the model will be written: a grafted op must be legal there (opset import, function body) */
} surgery_options;
/* Applies rules everywhere (bodies and functions too), first rule first: all places of one rule are found, then replaced, those that
 * overlap an earlier one not. Collects into *found when not NULL. OG_OK also when nothing matched. */
og_status surgery_apply(og_model *, const surgery_rules *, const surgery_options *, og_found **found);
/* The same for an op by its meaning and by the rules that its op file gives; op NULL: every op. */
og_status surgery_apply_op(og_model *, const og_op *op, const surgery_options *, og_found **found);
/* Where ops stand, changing nothing: rules and meaning, the largest place first where two overlap. rules or op may be NULL; both: every op. */
og_status surgery_find(const og_model *, const surgery_rules *, const og_op *op, const surgery_options *, og_found **found);
/* The edits that were made, as JSON that surgery_apply_edits takes (see docs/edits.md), and doing them again. */
og_status surgery_print_edits(text *, const og_found *);
og_status surgery_apply_edits(og_model *, const char *json, const surgery_options *, og_found **found);
/* Ops of ours back into primitives by their op files' bodies (op NULL: all of ours and of op libraries). */
og_status surgery_ungraft(og_model *, const og_op *op, const surgery_options *, og_found **found);
/* Cuts the model to what lies between values: the inputs become graph inputs, the outputs its outputs. */
og_status surgery_extract(og_model *, const char *const *inputs, int n_inputs, const char *const *outputs, int n_outputs);

/* The rules for "Relu=Swish,beta=1.5", and those that an op file gives for its op: spellings and body. */
og_status surgery_map_rules(surgery_rules **out, const char *map);
og_status surgery_op_rules(surgery_rules **out, const char *op);
/* The spellings that all op files know of. */
og_status surgery_spelling_rules(surgery_rules **out);

#endif
