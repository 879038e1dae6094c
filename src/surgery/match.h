/* match.h -- places in a graph where a rule, or an op by its meaning, stands. Finding changes nothing. */
#ifndef MATCH_H
#define MATCH_H

#include "surgery/pattern.h"

/* What a variable stands for during a match. All empty: an optional input that is left out, or a name of the right side. */
typedef struct binding {
	graph_value *value;
	bool has_number; double number;      /* an attribute's */
	const graph_attr *attr;              /* an attribute that is a list or a string (inputs that are attributes too) */
	graph_node *node;                    /* of a name that `where` defines as a node: name[k] is its output k */
} binding;

typedef struct match {
	const rule *r;                       /* of a recognised region one that was made for it: its left side is NULL */
	binding bound[PATTERN_MAX_VARIABLES];
	graph_node **nodes; int n_nodes;     /* what goes when nobody else needs it, roots first; nodes looked through too */
	graph_value **outputs; int n_outputs;    /* what the right side makes in their place, in its order; NULL: not wanted */
	double error;                        /* relative, the largest that probing found; 0 of a rule */
	const char *reason;                  /* of a near miss: one clause that says why; NULL: it matches */
} match;

/* Matches in the order of their roots in the graph; near misses apart. All in the arena. */
typedef struct match_list {
	arena *a;
	bool no_misses;                      /* asked for: near misses are not looked for */
	match **matches; size_t n, cap;
	match **misses; size_t n_misses, cap_misses;
} match_list;

/* Everything in this graph (not in bodies inside it) where the left side of one of the rules stands, overlapping ones
 * too, and near misses: the nearest of each root when the types of half of the pattern's nodes fit there, of two or more,
 * and it shares no node with a match or a nearer miss. Time O(nodes + places), whatever the number of rules: a rule looks
 * only at nodes of its root's type, and the ways to fit it there that are tried are bounded. */
og_status match_rules(match_list *, const rule *, size_t n, const graph *);
og_status match_graph(match_list *, const rule *, const graph *);        /* one rule */
/* The same for ops by meaning: regions of elementwise nodes with one variable input that compute one of the ops. */
typedef struct recogniser recogniser;
/* op NULL: every op that is worth a name (elementwise of one variable, with a body of simpler ops). */
og_status recognise_create(recogniser **out, const og_op *op);
void recognise_destroy(recogniser *);
og_status recognise_graph(match_list *, recogniser *, const graph *);

/* The number that a bind of the right side (number, variable, formula) means in a match. OG_USAGE with a clause: none. */
og_status match_number(const match *, const pattern_bind *, double *out);

/* Nodes that hand input 0 through to output 0 at inference: Identity, Dropout, Cast to the type that it has. */
bool match_transparent(const graph_node *);
/* The value behind transparent nodes (64 at most are looked through). */
graph_value *match_behind(graph_value *);
/* The tensor of a constant (initializer, Constant node of any form, through transparent nodes); NULL when it is none. */
const og_tensor *match_tensor(const graph_value *);
/* The one number of a constant all of whose elements are equal; false when it is none. */
bool match_constant(const graph_value *, double *out);
/* True when input k of n, a constant, does not change the shape of n's result by broadcasting. */
bool match_broadcasts_away(const graph_node *n, int k);

#endif
