/* perm.h -- permutations of dimensions, as Transpose means them: dimension k of Transpose(x, p) is dimension p.axis[k] of x. */
#ifndef PERM_H
#define PERM_H

#include "graph/graph.h"

typedef struct perm { int rank; int axis[OG_MAX_RANK]; } perm;

perm perm_identity(int rank);
bool perm_is_identity(const perm *);
bool perm_equal(const perm *, const perm *);
perm perm_inverse(const perm *);
/* Transpose(Transpose(x, first), second) is Transpose(x, the result). */
perm perm_then(const perm *first, const perm *second);
/* Where dimension `axis` of x is in Transpose(x, p). */
int perm_place(const perm *, int axis);
void perm_dims(int64_t *out, const int64_t *dims, const perm *);
/* True when Transpose(x, p) has the bytes of x, for an x of these dimensions: only dimensions of 1 change places. */
bool perm_keeps_bytes(const perm *, const int64_t *dims);
/* The permutation that a Transpose node asks for; false for other nodes and where the rank is not known. */
bool perm_of_node(perm *out, const graph_node *);
/* Whether perm_tensor knows how to move the elements. */
bool perm_has_tensor(const og_tensor *);
/* A new tensor in the arena: Transpose(t, p). NULL: no memory. */
og_tensor *perm_tensor(arena *, const og_tensor *t, const perm *);

#endif
