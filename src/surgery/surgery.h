/* surgery.h -- rules: finding patterns of nodes and replacing them by an op.
 *
 * The rule language is described in docs/rules.md. In short, one rule a line, '#' for comments:
 *
 *     Mul(x, Sigmoid(Mul(x, b))) -> Swish(x, beta=b)            b must be a constant: on the right it is an attribute
 *     Mul(Mul(x, 0.5), Add(Erf(Div(x, 1.4142135)), 1)) -> Gelu(x)      any order and association, any form of constant
 *     Div(d, Sqrt(Add(ReduceMean(Mul(d, d), axes=[-1]), e))) -> ...  where d = Sub(x, m), m = ReduceMean(x, axes=[-1])
 *     Clip(x, low?, _) -> ...; TopK(x, k)[0] -> ...; Sin(x), Cos(x) -> my.ops::SinCos(x); Mul(x, 1.702~1e-3) -> ...
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
/* Applies rules everywhere (bodies and functions too), first rule first: all places of one rule are found, then
 * replaced, the largest first where two overlap. Collects into *found when found is not NULL: a new one where *found
 * is NULL, else what is there grows; after a failure *found is NULL, and the model is half edited. OG_OK also when
 * nothing matched; OG_UNSUPPORTED: the model's opset has not got the op; OG_USAGE: a rule that makes no sense, or a
 * network that contradicts itself with it. */
og_status surgery_apply(og_model *, const surgery_rules *, const surgery_options *, og_found **found);
/* The same for an op by its meaning and by the rules that its op file gives; op NULL: every op. */
og_status surgery_apply_op(og_model *, const og_op *op, const surgery_options *, og_found **found);
/* Where ops stand, changing nothing: rules and meaning, the largest place first where two overlap. rules or op may
 * be NULL; both: every op. */
og_status surgery_find(const og_model *, const surgery_rules *, const og_op *op, const surgery_options *, og_found **found);
/* The edits that were made, as JSON that surgery_apply_edits takes (see docs/edits.md), and doing them again:
 * OG_BAD_FILE when it is no such JSON, OG_USAGE when an edit does not fit the model, both with the edit's number. */
og_status surgery_print_edits(text *, const og_found *);
og_status surgery_apply_edits(og_model *, const char *json, const surgery_options *, og_found **found);
/* Makes nodes of ops that are not ONNX's legal in a file that others run, after all grafts for a file, with types
 * inferred: imports of their domains (in functions too), all their attributes written, a plugin_namespace for
 * TensorRT, and per op a function of primitives from its body, if it has one. OG_UNSUPPORTED: nodes of an op need
 * different functions, or its body does not go with the opset. */
og_status surgery_settle(og_model *);
/* Ops of ours back into primitives by their op files' bodies (op NULL: all of ours and of op libraries). */
og_status surgery_ungraft(og_model *, const og_op *op, const surgery_options *, og_found **found);
/* Removes nodes that no output needs, in bodies and functions too, then values and functions that nothing uses.
 * Graph inputs stay. Nodes need not be in order. O(nodes + uses). */
og_status surgery_clean_up(og_model *);
/* Cuts the model to what lies between values: the inputs become graph inputs (none: those of the model that are
 * needed), the outputs its outputs (none: those it has), in this order. A model that it refuses is unchanged. */
og_status surgery_extract(og_model *, const char *const *inputs, int n_inputs, const char *const *outputs, int n_outputs);

/* The rules for "Relu=Swish,beta=1.5", and those that an op file gives for its op: spellings and body. */
og_status surgery_map_rules(surgery_rules **out, const char *map);
og_status surgery_op_rules(surgery_rules **out, const char *op);
/* The spellings that all op files know of. */
og_status surgery_spelling_rules(surgery_rules **out);

#endif
