/* convert_space.c -- blocks of space moved to samples or channels and back. */
#include "tf/convert_window.h"

/* Block sizes, and what is put around or cut away: [before, after] of each. */
typedef struct blocks { int n; int64_t size[CONVERT_MAX_LIST], before[CONVERT_MAX_LIST], after[CONVERT_MAX_LIST]; } blocks;

static bool constant_list(convert *c, tf_value from, int64_t *out, int *n)
{
	const graph_value *v = convert_value(c, from);
	if (c->status != OG_OK || !v->constant || og_count(v->constant) > CONVERT_MAX_LIST) return false;
	*n = (int)og_count(v->constant);
	for (int k = 0; k < *n; k++) out[k] = graph_tensor_int(v->constant, k);
	return true;
}

static bool read_blocks(convert *c, const tf_node *n, blocks *b)
{
	int64_t pairs[CONVERT_MAX_LIST];
	int n_pairs;
	if (n->n_in != 3 || !constant_list(c, n->in[1], b->size, &b->n) || !constant_list(c, n->in[2], pairs, &n_pairs))
		return false;
	if (n_pairs != 2 * b->n || b->n > 3) return false;
	for (int k = 0; k < b->n; k++) {
		b->before[k] = pairs[2 * k];
		b->after[k] = pairs[2 * k + 1];
		if (b->size[k] < 1 || b->before[k] < 0 || b->after[k] < 0) return false;
		if (b->size[k] > INT32_MAX || b->before[k] > INT32_MAX || b->after[k] > INT32_MAX) return false;
	}
	return true;
}

/* Reshapes to sizes of which one at most is open. */
static graph_value *reshape_known(convert *c, graph_value *x, og_dim *dims, int n)
{
	int open = 0;
	for (int k = 0; k < n; k++) {
		open += dims[k] < 0;
		if (dims[k] < 0) dims[k] = GRAPH_DIM_UNKNOWN;
	}
	if (n > OG_MAX_RANK) return convert_refuse(c, "its blocks need more than %d dimensions", OG_MAX_RANK);
	if (open > 1) return convert_refuse(c, "it needs the sizes of its input; give them with --input NAME:SHAPE");
	return convert_reshape_to(c, x, dims, n);
}

/* [N, s * b, rest] to [N, s, b, ..., rest], the blocks in front, then [N * b, s, rest]. */
static graph_value *space_to_batch(convert *c)
{
	blocks b;
	graph_value *x = convert_in(c, 0);
	int rank = convert_rank(c, x), n = 0, perm[OG_MAX_RANK];
	og_dim dims[OG_MAX_RANK + 3];
	int64_t pads[2 * OG_MAX_RANK] = { 0 };
	bool padded = false;
	if (c->status != OG_OK) return c->none;
	if (!read_blocks(c, c->node, &b) || b.n >= rank)
		return convert_refuse(c, "its blocks and paddings have to be constants that fit the input");
	for (int k = 0; k < b.n; k++) {
		pads[1 + k] = b.before[k];
		pads[rank + 1 + k] = b.after[k];
		padded = padded || b.before[k] || b.after[k];
	}
	if (padded) x = MAKE("Pad", x, convert_list(c, pads, 2 * rank));
	if (c->status != OG_OK || rank + b.n > OG_MAX_RANK)
		return convert_refuse(c, "its blocks need more than %d dimensions", OG_MAX_RANK);
	const graph_value *whole = x;
	dims[n++] = whole->dims[0];
	for (int k = 0; k < b.n; k++) {
		og_dim size = whole->dims[1 + k];
		if (size >= 0 && size % b.size[k])
			return convert_wrong(c, "%lld does not divide into blocks of %lld", (long long)size, (long long)b.size[k]);
		dims[n++] = size < 0 ? size : size / b.size[k];
		dims[n++] = b.size[k];
	}
	for (int k = 1 + b.n; k < rank; k++) dims[n++] = whole->dims[k];
	x = reshape_known(c, x, dims, n);
	for (int k = 0; k < b.n; k++) perm[k] = 2 + 2 * k;
	perm[b.n] = 0;
	for (int k = 0; k < b.n; k++) perm[b.n + 1 + k] = 1 + 2 * k;
	for (int k = 2 * b.n + 1; k < n; k++) perm[k] = k;
	x = convert_transpose(c, x, perm, n);
	dims[0] = GRAPH_DIM_UNKNOWN;
	for (int k = 1; k < rank; k++) dims[k] = k <= b.n ? whole->dims[k] / b.size[k - 1] : whole->dims[k];
	for (int k = 1; k < rank; k++)
		if (whole->dims[k] < 0) dims[k] = GRAPH_DIM_UNKNOWN;
	return reshape_known(c, x, dims, rank);
}

/* [b * N, s, rest] to [b, ..., N, s, ..., rest], each block behind its axis, then [N, s * b, rest] without what
 * is cut away. */
static graph_value *batch_to_space_plain(convert *c, const blocks *b)
{
	graph_value *x = convert_in(c, 0);
	int rank = convert_rank(c, x), n = 0, perm[OG_MAX_RANK], at = 0;
	og_dim dims[OG_MAX_RANK + 3];
	if (c->status != OG_OK || rank + b->n > OG_MAX_RANK || b->n >= rank)
		return convert_refuse(c, "its blocks need more than %d dimensions", OG_MAX_RANK);
	const graph_value *small = x;
	for (int k = 0; k < b->n; k++) dims[n++] = b->size[k];
	dims[n++] = GRAPH_DIM_UNKNOWN;
	for (int k = 1; k < rank; k++) dims[n++] = small->dims[k];
	x = reshape_known(c, x, dims, n);
	perm[at++] = b->n;
	for (int k = 0; k < b->n; k++) {
		perm[at++] = b->n + 1 + k;
		perm[at++] = k;
	}
	for (int k = 2 * b->n + 1; k < n; k++) perm[at++] = k;
	x = convert_transpose(c, x, perm, n);
	dims[0] = GRAPH_DIM_UNKNOWN;
	for (int k = 1; k < rank; k++)
		dims[k] = k <= b->n && small->dims[k] >= 0 ? small->dims[k] * b->size[k - 1] : small->dims[k];
	x = reshape_known(c, x, dims, rank);
	for (int k = 0; k < b->n; k++)
		if (b->before[k] || b->after[k])
			x = convert_slice(c, x, 1 + k, b->before[k], b->after[k] ? -b->after[k] : INT64_MAX);
	return x;
}

/* How TensorFlow 1 spelled a dilated convolution: space to batch, the convolution, batch to space; a bias may be
 * between. Returns NULL where it is not that. */
static graph_value *dilated(convert *c, const blocks *crop)
{
	blocks pad;
	convert_window w;
	const tf_node *conv = c->node->in[0].node, *bias = NULL;
	if (!strcmp(conv->op, "BiasAdd") && conv->n_in == 2) {
		bias = conv;
		conv = conv->in[0].node;
	}
	if (!convert_is_convolution(conv) || conv->n_in != 2 || strcmp(conv->in[0].node->op, "SpaceToBatchND")) return NULL;
	const tf_node *space = conv->in[0].node;
	if (!read_blocks(c, space, &pad) || pad.n != crop->n) return NULL;
	graph_value *x = convert_value(c, space->in[0]), *filter = convert_value(c, conv->in[1]);
	convert_window_begin(c, &w, conv, convert_rank(c, x));
	const char *padding = convert_string(c, conv, "padding", "VALID");
	if (c->status != OG_OK || !w.last || w.axes != pad.n || strcmp(padding, "VALID") || filter->rank != w.axes + 2)
		return NULL;
	for (int k = 0; k < w.axes; k++) {
		if (pad.size[k] != crop->size[k] || w.stride[k] != 1 || w.dilation[k] != 1 || filter->dims[k] < 0) return NULL;
		w.kernel[k] = filter->dims[k];
		w.dilation[k] = pad.size[k];
		w.before[k] = pad.before[k] - crop->before[k];
		w.after[k] = pad.after[k] - crop->after[k];
		if (w.before[k] < 0 || w.after[k] < 0) return NULL;
	}
	x = convert_channels_last(c, convert_convolution(c, conv, convert_channels_first(c, x), filter, &w));
	return bias ? MAKE("Add", x, convert_value(c, bias->in[1])) : x;
}

static graph_value *batch_to_space(convert *c)
{
	blocks b;
	graph_value *x = convert_in(c, 0);
	if (c->status != OG_OK) return x;
	if (!read_blocks(c, c->node, &b))
		return convert_refuse(c, "its blocks and crops have to be constants that fit the input");
	graph_value *made = dilated(c, &b);
	return made || c->status != OG_OK ? made : batch_to_space_plain(c, &b);
}

/* ---- channels ---- */

static graph_value *channels(convert *c, const char *type)
{
	graph_value *x = convert_in(c, 0);
	bool last = !strcmp(convert_string(c, c->node, "data_format", "NHWC"), "NHWC");
	if (convert_rank(c, x) != 4) return convert_refuse(c, "an input of %d dimensions can't be taken", x->rank);
	if (last) x = convert_channels_first(c, x);
	BEGIN(type, x);
	convert_set_int(c, "blocksize", convert_int(c, c->node, "block_size", 0));
	x = convert_done(c);
	return last ? convert_channels_last(c, x) : x;
}

static graph_value *space_to_depth(convert *c) { return channels(c, "SpaceToDepth"); }
static graph_value *depth_to_space(convert *c) { return channels(c, "DepthToSpace"); }

const convert_op convert_space_ops[] = {
	{ "BatchToSpaceND", .build = batch_to_space }, { "DepthToSpace", .build = depth_to_space },
	{ "SpaceToBatchND", .build = space_to_batch }, { "SpaceToDepth", .build = space_to_depth }, { .type = NULL },
};
