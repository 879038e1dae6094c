/* edits.h -- an edit as data: which nodes go and which come, all by name. What rules and meanings found becomes
 * edits, which are done, printed, read back and done again; docs/edits.md is the form on paper. */
#ifndef EDITS_H
#define EDITS_H

#include "surgery/match.h"

/* A node that an edit puts in. Names "" are inputs left out and outputs not wanted. */
typedef struct edit_node {
	const char *domain, *type, *name;
	const char **in; int n_in;
	const char **out; int n_out;
	graph_attr *attrs; int n_attrs; size_t cap_attrs;
} edit_node;

typedef struct edit {
	og_match m;                          /* what it is to people */
	const char **remove; int n_remove;   /* nodes, by the first output that they have */
	edit_node *insert; int n_insert; size_t cap_insert;    /* in topological order */
} edit;

/* ---- what was found ------------------------------------------------------------------------- */

typedef struct found_box {
	og_found found;                      /* first, so that og_found * is a found_box * */
	arena *a;                            /* of everything in it, the edits' names included */
	og_match *matches, *refused;
	edit **edits;                        /* of matches[k]; NULL: found, not edited */
	size_t cap_matches, cap_refused, cap_edits;
} found_box;

og_status found_create(found_box **out);
og_status found_match(found_box *, const og_match *, edit *);
og_status found_refuse(found_box *, const og_match *, const char *reason);
/* The place in words, without attributes; in the box's arena. */
og_status found_describe(og_match *out, found_box *, const match *, const char *path);
/* Adds what is told of the op's attributes: numbers and words, as they are given or by default. */
og_status found_attributes(og_match *, found_box *, const og_op *, const graph_attr *, int n);

/* ---- where edits are made -------------------------------------------------------------------- */

/* A graph of the model: "" the main one, "if1.then_branch" a body (node and attribute; bodies in bodies behind '/'),
 * "domain::Function" a function's. */
typedef struct replace_place {
	graph *g;
	const char *path;
	int function;                        /* of the function that it is in; -1: of none */
} replace_place;
typedef struct replace_places { replace_place *place; size_t n, cap; } replace_places;

/* All graphs but the bodies of functions that only define an op which is known without them. From here to the last
 * edit nodes' `order` says where in its graph's list a node stands: nobody else may use it. */
og_status replace_find_places(replace_places *out, arena *, og_model *);
/* The op that a node of that type is in this graph, by its opset import when the model is for a file; NULL: none
 * that is known. */
const og_op *replace_op(const replace_place *, const surgery_options *, const char *domain, const char *type);
/* Does an edit after checking all of it: OG_USAGE with a clause when it does not fit the graph, OG_UNSUPPORTED when
 * an op is newer than the model's opset; the graph is then unchanged. Scratch in the arena. */
og_status replace_do(const edit *, replace_place *, const surgery_options *, arena *);

/* ---- from a match to an edit ------------------------------------------------------------------ */

/* The op of a rule's right side. */
const og_op *right_op(const rule *);
/* The edit that replaces a match, described. *reason is set, and *out is not, when there is none. OG_USAGE: the rule
 * gives an op what it does not take. */
og_status right_plan(edit **out, const char **reason, found_box *, const match *, const replace_place *, const surgery_options *);

/* ---- looking for places ------------------------------------------------------------------------ */

/* What is looked for: rules, ops by meaning, nodes that are an op already. */
typedef struct find_source {
	const rule *rules; size_t n_rules;
	surgery_rules *own;                  /* the rules, where they belong to this */
	recogniser *meaning;                 /* NULL: not by meaning */
	const og_op *op;                     /* what the nodes are to be; NULL: any op that op files have spellings of, or that is not ONNX's */
	bool nodes, misses, only_misses;     /* nodes too; near misses too; nothing else */
} find_source;
/* All ways to find an op, or with NULL every op that is worth a name. */
og_status find_open(find_source *out, const og_op *, bool nodes);
void find_close(find_source *);
og_status find_in(match_list *, const find_source *, const graph *);

/* Finds in one graph, the largest places first where they overlap, collects into f what was found, and with `change`
 * replaces it. */
og_status apply_in(replace_place *, const find_source *, const surgery_options *, found_box *f, bool change);
/* After the last edit: types, and what a file needs. OG_USAGE when the network contradicts itself now. */
og_status apply_finish(og_model *, const surgery_options *);

/* ---- on paper --------------------------------------------------------------------------------- */

/* Sets element k of a tensor in its own type; false when the number is not one of that type. */
bool edits_tensor_set(og_tensor *, int64_t k, double);

#endif
