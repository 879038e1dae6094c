/* carry.h -- how a permutation of dimensions passes through a node.
 *
 * A node *carries* permutations p -> q when it can be changed so that it makes Transpose(y, q) of Transpose(x, p), for all its
 * outputs y and for those of its inputs x that *bear* the data. Other inputs stay, or are changed beforehand where that costs
 * nothing (a constant, a bias). Softmax carries every p as q = p, its axis changed; ReduceMean without keepdims leaves out of q
 * the dimensions that it reduces; a convolution carries nothing. */
#ifndef CARRY_H
#define CARRY_H

#include "optimize/perm.h"

struct carry_rule;

/* Which of the input's dimensions become which of the output's: groups of neighbours, in order on both sides. */
typedef struct carry_group { int in, n_in, out, n_out; } carry_group;
typedef struct carry {
	const struct carry_rule *rule;
	int in_rank, out_rank;               /* of inputs that bear data, and of outputs */
	int n; carry_group group[2 * OG_MAX_RANK];
	unsigned pinned;                     /* dimensions of the input that must stay where they are */
} carry;

/* False for a node that carries nothing. */
bool carry_of(carry *, const graph_node *);
bool carry_bears(const carry *, const graph_node *, int input);
/* q for p and p for q; false when there is none. Where there are several, one that the other function leads back to. */
bool carry_forward(const carry *, perm *q, const perm *p);
bool carry_backward(const carry *, perm *p, const perm *q);
/* True when the node carries p -> q and carry_apply will succeed but for memory. */
bool carry_allows(const carry *, const graph_node *, const perm *p, const perm *q);
/* Changes attributes and inputs that do not bear data, and constants that do. The caller changes the rest: inputs, outputs. */
og_status carry_apply(const carry *, graph_node *, const perm *p, const perm *q);

/* Whether a Reshape can be told to make `to` of a tensor with dimensions `from`, which may be unknown. */
bool carry_reshapes(const graph *, const int64_t *from, int from_rank, const int64_t *to, int to_rank);
/* Its second input. */
og_status carry_shape(graph_value **out, graph *, const int64_t *from, int from_rank, const int64_t *to, int to_rank);

#endif
