/* layout.c -- shapes in memory. */
#include "backend/layout.h"

const backend_layout *layout_wanted(arena *a, const backend_node *node, backend_layout first, backend_layout tail)
{
	backend_layout *layout = arena_array(a, (size_t)node->n_in + 1, sizeof *layout);
	if (!layout) return NULL;
	for (int k = node->n_anchor_in; k < node->n_in; k++) layout[k] = tail;
	layout[0] = first;
	return layout;
}

int layout_axis(const og_tensor *type, backend_layout layout)
{
	int axis = layout == LAYOUT_CHANNELS ? 1 : layout == LAYOUT_SAMPLES ? 0 : -1;
	return axis < type->rank && (axis < 0 || type->dims[axis] != 1) ? axis : -1;
}

static int64_t block_of(int64_t size, int lanes)
{
	return lanes > 0 ? lanes : (size - lanes - 1) / -lanes * -lanes;
}

void layout_dims(og_tensor *out, const og_tensor *type, backend_layout layout, int lanes)
{
	int axis = layout_axis(type, layout);
	*out = *type;
	if (layout == LAYOUT_PLAIN) return;
	int64_t block = axis < 0 ? 1 : block_of(type->dims[axis], lanes);
	out->dims[out->rank++] = block;
	if (axis >= 0) out->dims[axis] = block ? (type->dims[axis] + block - 1) / block : 0;
}

void layout_extend(og_tensor *type, int rank)
{
	int more = rank - type->rank;
	if (more <= 0) return;
	for (int i = rank - 1; i >= 0; i--) type->dims[i] = i < more ? 1 : type->dims[i - more];
	type->rank = rank;
}

size_t layout_bytes(const og_tensor *type, backend_layout layout, int lanes)
{
	og_tensor t;
	int64_t count;
	layout_dims(&t, type, layout, lanes);
	return base_count(t.dims, t.rank, &count) ? base_dtype_span(t.dtype, (uint64_t)count) : SIZE_MAX;
}

/* True when a blocked tensor is plain in memory: the cut axis is whole blocks and nothing lies behind it. */
static bool is_plain(const og_tensor *type, backend_layout layout, int lanes)
{
	int axis = layout_axis(type, layout);
	if (axis < 0 || lanes == 1) return true;
	int64_t block = block_of(type->dims[axis], lanes);
	return block > 0 && type->dims[axis] % block == 0 && og_span(type, axis + 1, type->rank) == 1;
}

bool layout_same(const og_tensor *type, backend_layout a, backend_layout b, int lanes)
{
	return a == b || (is_plain(type, a, lanes) && is_plain(type, b, lanes));
}

/* Where element i of the plain tensor lies. */
static int64_t place_of(const og_tensor *type, backend_layout layout, int lanes, int64_t i)
{
	int axis = layout_axis(type, layout);
	if (axis < 0) return i;
	int64_t inner = og_span(type, axis + 1, type->rank), size = type->dims[axis], block = block_of(size, lanes);
	int64_t outer = i / inner / size, cut = i / inner % size, blocks = (size + block - 1) / block;
	return ((outer * blocks + cut / block) * inner + i % inner) * block + cut % block;
}

void layout_copy(void *to, backend_layout to_layout, const void *from, backend_layout from_layout,
                 const og_tensor *type, int lanes)
{
	size_t bytes = og_dtype_bytes(type->dtype);
	for (int64_t i = 0; i < og_count(type); i++)
		memcpy((char *)to + (size_t)place_of(type, to_layout, lanes, i) * bytes,
		       (const char *)from + (size_t)place_of(type, from_layout, lanes, i) * bytes, bytes);
}
