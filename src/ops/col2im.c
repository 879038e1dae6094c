/* Col2Im: columns of blocks put back to the places of an image that they were cut from; what overlaps is summed. */
#include "ops/number.h"
#include "ops/window.h"

#if OP_BASE
enum { COL2IM_DILATIONS, COL2IM_PADS, COL2IM_STRIDES };

typedef struct col2im {
	const og_tensor *x, *y;
	int axes;
	int64_t taps, blocks;                /* cells of a block, blocks in an image */
	int64_t block[OG_MAX_RANK], count[OG_MAX_RANK], stride[OG_MAX_RANK], dilation[OG_MAX_RANK], begin[OG_MAX_RANK];
} col2im;

/* The geometry, from attributes that were checked. Returns NULL, or what is wrong. */
static const char *col2im_solve(col2im *s, const og_attr_value *attr, const og_tensor *image, const og_tensor *block)
{
	const og_attr_value *dilations = &attr[COL2IM_DILATIONS], *pads = &attr[COL2IM_PADS];
	const og_attr_value *strides = &attr[COL2IM_STRIDES];
	s->taps = s->blocks = 1;
	for (int d = 0; d < s->axes; d++) {
		int64_t size = number_get_int(image, d), end = pads->n > 0 ? pads->ints[s->axes + d] : 0;
		s->block[d] = number_get_int(block, d);
		s->stride[d] = strides->n > 0 ? strides->ints[d] : 1;
		s->dilation[d] = dilations->n > 0 ? dilations->ints[d] : 1;
		s->begin[d] = pads->n > 0 ? pads->ints[d] : 0;
		if (size < 0 || size > (int64_t)1 << 40 || s->block[d] < 1 || s->block[d] > 1 << 20)
			return "a size of the image or block is negative or too large";
		size += s->begin[d] + end - (s->block[d] - 1) * s->dilation[d] - 1;
		if (size < 0) return "a block is larger than its padded image";
		s->count[d] = size / s->stride[d] + 1;
		if (__builtin_mul_overflow(s->taps, s->block[d], &s->taps) ||
		    __builtin_mul_overflow(s->blocks, s->count[d], &s->blocks)) return "there are too many blocks";
	}
	return NULL;
}

static og_status col2im_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	const og_tensor *image = c->in[1].value, *block = c->in[2].value;
	og_shape *y = &c->out[0];
	og_dim blocks;
	const char *fault;
	col2im s;
	if (!image || !block) return OG_OK;
	if (og_count(image) != og_count(block) || og_count(image) > OG_MAX_RANK - 2 || og_count(image) < 1 ||
	    (x->rank >= 0 && x->rank != 3))
		return c->host->fail(OG_BAD_FILE, "Col2Im has an image of %lld axes, blocks of %lld and columns of %d "
		                     "dimensions; columns must be [N, C * block, blocks]", (long long)og_count(image),
		                     (long long)og_count(block), x->rank);
	s.axes = (int)og_count(image);
	OP_TRY(window_list(c, COL2IM_DILATIONS, s.axes, 1));
	OP_TRY(window_list(c, COL2IM_STRIDES, s.axes, 1));
	OP_TRY(window_list(c, COL2IM_PADS, 2 * s.axes, 0));
	fault = col2im_solve(&s, c->attr, image, block);
	if (fault) return c->host->fail(OG_BAD_FILE, "Col2Im can't place its blocks: %s", fault);
	OP_TRY(dims_of_rank(c, y, s.axes + 2));
	for (int d = 0; d < s.axes; d++) y->dims[d + 2] = number_get_int(image, d);
	if (x->rank < 0) return OG_OK;
	blocks = s.blocks;
	OP_TRY(dims_same(c, &blocks, x->dims[2], 2));
	y->dims[0] = x->dims[0];
	y->dims[1] = x->dims[1];
	return dims_divide(c, &y->dims[1], s.taps, "the channels");
}

/* The sum of all that was cut from one cell of a plane. */
static double col2im_cell(const col2im *s, int64_t plane, int64_t cell)
{
	int64_t at[OG_MAX_RANK], tap[OG_MAX_RANK] = { 0 };
	double sum = 0.0;
	int d;
	for (d = s->axes - 1; d >= 0; d--) {
		at[d] = cell % s->y->dims[d + 2] + s->begin[d];
		cell /= s->y->dims[d + 2];
	}
	for (int64_t t = 0; t < s->taps; t++) {
		int64_t block = 0;
		for (d = 0; d < s->axes && block >= 0; d++) {
			int64_t from = at[d] - tap[d] * s->dilation[d], k = from / s->stride[d];
			block = from < 0 || from % s->stride[d] || k >= s->count[d] ? -1 : block * s->count[d] + k;
		}
		if (block >= 0) sum += number_get(s->x, (plane * s->taps + t) * s->blocks + block);
		for (d = s->axes - 1; d >= 0 && ++tap[d] == s->block[d]; d--) tap[d] = 0;
	}
	return sum;
}

static void col2im_cells(void *arg, int64_t begin, int64_t end)
{
	const col2im *s = (const col2im *)arg;
	int64_t size = og_span(s->y, 2, s->y->rank);
	for (int64_t k = begin; k < end; k++) number_put(s->y, k, col2im_cell(s, k / size, k % size));
}

static og_status col2im_eval(const og_call *c)
{
	col2im s = { .x = c->in[0], .y = c->out[0], .axes = c->out[0]->rank - 2 };
	const char *fault = col2im_solve(&s, c->attr, c->in[1], c->in[2]);
	if (fault) return c->host->fail(OG_BAD_FILE, "Col2Im can't place its blocks: %s", fault);
	c->host->parallel(c, og_count(s.y), 1, col2im_cells, &s);
	return OG_OK;
}
#endif

OP(col2im, .name = "Col2Im", .since = 18, .doc = "An image summed from the blocks that columns hold.",
   .inputs = "input:T, image_shape:i64!, block_shape:i64!", .outputs = "output:T",
   .types = "T=f32 f64 f16 bf16 u8 i8 u16 i16 u32 i32 u64 i64",
   ATTRS(OG_INTS("dilations"), OG_INTS("pads"), OG_INTS("strides")), .shape = col2im_shape, .eval = col2im_eval)
