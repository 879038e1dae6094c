/* layout.h -- the shape that a tensor has in memory, given its layout (see backend_layout). */
#ifndef LAYOUT_H
#define LAYOUT_H

#include "backend/backend.h"

enum { LAYOUT_MAX_RANK = OG_MAX_RANK - 1 };       /* of a tensor in a blocked layout */

/* How input k of the node lies. */
static inline backend_layout layout_of_input(const backend_node *n, int k)
{
	return n->in_layout ? n->in_layout[k] : LAYOUT_PLAIN;
}
/* in_layout for a kernel: of its first input, of the tail's operands; the rest is plain. NULL: no memory. */
const backend_layout *layout_wanted(arena *, const backend_node *, backend_layout first, backend_layout tail);

/* The axis that the layout cuts, or -1: none, since it is plain or the axis has size 1 or is not there. */
int layout_axis(const og_tensor *type, backend_layout);
/* *out: the tensor with its dimensions as they lie in memory, those of a blocked layout one more than type's. Data
 * and dtype are type's. An operand that is left-extended by ones to the rank of the output broadcasts to it in
 * memory, too. */
void layout_dims(og_tensor *out, const og_tensor *type, backend_layout, int lanes);
/* Gives a tensor that broadcasts to one of this rank the same rank, by ones in front. */
void layout_extend(og_tensor *type, int rank);
/* Bytes in memory, undefined entries included; SIZE_MAX on overflow. */
size_t layout_bytes(const og_tensor *type, backend_layout, int lanes);
/* Copies a tensor from one layout to another, element by element; what is not there is left as it is. */
void layout_copy(void *to, backend_layout to_layout, const void *from, backend_layout from_layout,
                 const og_tensor *type, int lanes);
/* True when the same bytes are the tensor in both layouts. */
bool layout_same(const og_tensor *type, backend_layout, backend_layout, int lanes);

#endif
