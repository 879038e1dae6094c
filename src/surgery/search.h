/* search.h -- a match while it is tried; for match.c, attribute.c, miss.c and constant.c alone. */
#ifndef SEARCH_H
#define SEARCH_H

#include "schema/schema.h"
#include "surgery/match.h"

enum {
	MATCH_LOOK_THROUGH = 64,             /* transparent nodes in a row */
	MATCH_MAX_NODES = 512,               /* of one match */
	MATCH_MAX_GOALS = PATTERN_MAX_PARTS + PATTERN_MAX_ROOTS,
	MATCH_STEPS = 10000,                 /* places compared for one rule at one root, and for its near miss */
	MATCH_MISS_STEPS = 500
};

/* Why something does not fit. n, input: where; v: what is there; p or b: what the rule has there. */
typedef enum miss_kind {
	MISS_NOTHING, MISS_TYPE, MISS_OUTPUT, MISS_OUTSIDE, MISS_ABSENT, MISS_PRESENT, MISS_NUMBER, MISS_BROADCASTS, MISS_ELEMENTS,
	MISS_CONSTANT, MISS_AGAIN, MISS_ATTRIBUTE, MISS_OPERANDS, MISS_INPUTS, MISS_ROOT, MISS_WORK
} miss_kind;
typedef struct miss {
	miss_kind kind;
	const pattern *p;
	const pattern_bind *b;
	const graph_node *n;
	int input;                           /* -1: none */
	graph_value *v, *other;
	int count;
} miss;

/* Who reads a value. */
typedef struct leaf { graph_node *user; int input; } leaf;

/* What is still to be shown. */
typedef struct goal {
	enum { GOAL_VALUE, GOAL_OPERANDS, GOAL_ROOT } kind;
	const pattern *p;                    /* VALUE: stands for v; OPERANDS: those of p are the leaves; ROOT: stands somewhere */
	graph_value *v;
	leaf at;                             /* user NULL: a root */
	int index;                           /* OPERANDS: the next operand; ROOT: which root */
	uint32_t used;                       /* leaves that operands in front of it took */
	const leaf *leaves; int n_leaves;
	const struct goal *next;
} goal;

/* The state goes back to a mark when a choice fails. With `soft` a goal that fails is noted and left out, and every
 * choice is tried: that finds the nearest miss. */
typedef struct search {
	const rule *r;
	const graph *g;
	const graph_node *direct[PATTERN_MAX_ARGS], *behind[PATTERN_MAX_ARGS];   /* what makes the root's inputs */
	arena *a;                            /* for what a binding points to */
	binding bound[PATTERN_MAX_VARIABLES];
	bool set[PATTERN_MAX_VARIABLES];
	int trail[PATTERN_MAX_VARIABLES], n_trail;       /* variables in the order in which they were set */
	graph_node *nodes[MATCH_MAX_NODES]; int n_nodes;
	graph_value *outputs[PATTERN_MAX_ROOTS];
	goal goals[MATCH_MAX_GOALS]; int n_goals;
	int steps, limit;
	bool no_memory;
	bool near;                           /* what match_at saw at a glance: a near miss may be here */
	int fitted;                          /* nodes of the pattern */
	bool soft;
	int cost; miss first;                /* of the misses on the way that is tried; the first of them */
	int best_fitted, best_cost; miss best;
	graph_node *best_nodes[MATCH_MAX_NODES]; int n_best_nodes;
} search;

/* ---- constant.c */
bool match_is_type(const graph_node *, const char *type);               /* of ONNX's domain */
/* As match_tensor, the forms of Constant that hold no tensor too: a tensor over the attribute's memory. */
bool match_constant_tensor(const graph_value *, og_tensor *out);
bool match_attribute_tensor(const graph_attr *, og_tensor *out);        /* of a number or list of numbers */
bool match_tensor_number(const og_tensor *, double *out);               /* of equal elements */

/* ---- attribute.c */
bool match_near(double have, double want, double tolerance);
/* True when n has it, as attribute, default or constant input; *taken gets a bit for that input. Sets variables. */
bool match_attribute(search *, const graph_node *n, const pattern *p, const pattern_bind *, uint64_t *taken);
/* What n has under that name as text, for a reason. */
void match_attribute_text(text *, const graph_node *n, const pattern *p, const pattern_bind *);
void match_bind_text(text *, const pattern_bind *);

/* ---- match.c */
binding *match_set(search *, int variable);                              /* sets a variable until the search goes back */
bool match_type(const rule *, const graph_node *root);                   /* the root is of the rule's type */
/* A node where the rule stands or nearly stands has one of these types behind an input; 0: that says nothing. */
int match_inputs_need(const rule *, const char *types[PATTERN_MAX_ARGS + 1]);
void match_look(search *, const graph_node *root);                       /* before a node is tried as a root */
/* The rule s->r with this node, of its type, as its first root: bound, nodes, outputs are set. */
bool match_at(search *, graph_node *root);
/* After match_at said no: true when it is a near miss; best, best_fitted and best_nodes are set. */
bool match_miss_at(search *, graph_node *root);

/* ---- miss.c */
char *match_reason(const search *, const miss *);                        /* one clause, in s->a; NULL: no memory */

#endif
