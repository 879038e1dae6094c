/* GridSample: the input, read at the places of a grid over [-1, 1] whose last axis is (x, y, ...). */
#include "ops/dims.h"
#include "ops/number.h"

#if OP_BASE
enum { GRID_SAMPLE_MODE, GRID_SAMPLE_PADDING, GRID_SAMPLE_ALIGN };
enum { GRID_SAMPLE_LINEAR, GRID_SAMPLE_NEAREST, GRID_SAMPLE_CUBIC };
enum { GRID_SAMPLE_ZEROS, GRID_SAMPLE_BORDER, GRID_SAMPLE_REFLECTION };
enum { GRID_SAMPLE_TAPS = 4 };

static og_status grid_sample_shape(og_infer *c)
{
	const og_shape *x = &c->in[0], *grid = &c->in[1];
	og_shape *y = &c->out[0];
	og_dim n, axes = x->rank - 2;
	OP_TRY(dims_of_rank(c, y, x->rank));
	if (x->rank < 0 || grid->rank < 0) return OG_OK;
	if (x->rank < 3 || grid->rank != x->rank)
		return c->host->fail(OG_BAD_FILE, "GridSample has an input of %d dimensions and a grid of %d; both must have "
		                     "the same, 3 or more", x->rank, grid->rank);
	n = x->dims[0];
	OP_TRY(dims_same(c, &n, grid->dims[0], 0));
	OP_TRY(dims_same(c, &axes, grid->dims[grid->rank - 1], grid->rank - 1));
	y->dims[0] = n;
	y->dims[1] = x->dims[1];
	for (int d = 2; d < x->rank; d++) y->dims[d] = grid->dims[d - 1];
	return OG_OK;
}

/* What one axis gives to a point: cells (-1: outside, which is 0) and their weights. */
typedef struct grid_sample_taps {
	int n;
	int64_t cell[GRID_SAMPLE_TAPS];
	double weight[GRID_SAMPLE_TAPS];
} grid_sample_taps;

/* x, mirrored at both ends until it lies in [low, high]. */
static double grid_sample_reflect(double x, double low, double high)
{
	double range = high - low, beyond = x < low ? low - x : x - high, rest;
	if (x >= low && x <= high) return x;
	if (!(range > 0)) return low;
	rest = fmod(beyond, range);
	return (fmod(floor(beyond / range), 2.0) == 0) == (x < low) ? low + rest : high - rest;
}

static int64_t grid_sample_cell(const og_attr_value *attr, int64_t i, int64_t n)
{
	int64_t padding = attr[GRID_SAMPLE_PADDING].i;
	double edge = attr[GRID_SAMPLE_ALIGN].i ? 0.0 : 0.5;
	if (i >= 0 && i < n) return i;
	if (padding == GRID_SAMPLE_ZEROS || n == 0) return -1;
	if (padding == GRID_SAMPLE_REFLECTION) i = (int64_t)grid_sample_reflect((double)i, -edge, (double)n - 1 + edge);
	return i < 0 ? 0 : i < n ? i : n - 1;
}

/* Weights of the cells -1, 0, 1 and 2 for a point at t in [0, 1), by the cubic with a = -0.75. */
static void grid_sample_cubic(double *weight, double t)
{
	const double a = -0.75;
	for (int k = 0; k < GRID_SAMPLE_TAPS; k++) {
		double d = fabs(t + 1 - k);
		weight[k] = d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
	}
}

/* Of an axis of n cells at g in [-1, 1]. A cubic stays outside the border, where only its cells are moved, as in
 * PyTorch and ONNX Runtime, where trained networks come from. */
static grid_sample_taps grid_sample_axis(const og_attr_value *attr, double g, int64_t n)
{
	int align = attr[GRID_SAMPLE_ALIGN].i != 0;
	int64_t mode = attr[GRID_SAMPLE_MODE].i, padding = attr[GRID_SAMPLE_PADDING].i, first;
	double low = align ? 0.0 : -0.5, high = (double)n - 1 - low;
	double x = align ? (g + 1) / 2 * (double)(n - 1) : ((g + 1) * (double)n - 1) / 2;
	grid_sample_taps taps = { 1, { 0 }, { 1.0 } };
	x = !(x > -0x1p40) ? -0x1p40 : x < 0x1p40 ? x : 0x1p40;      /* NaN is far outside too */
	if (mode == GRID_SAMPLE_NEAREST) x = nearbyint(x);
	if (padding == GRID_SAMPLE_BORDER && mode != GRID_SAMPLE_CUBIC && (x < low || x > high))
		x = x < low ? 0 : (double)(n - 1);
	else if (padding == GRID_SAMPLE_REFLECTION) x = grid_sample_reflect(x, low, high);
	first = (int64_t)floor(x);
	if (mode == GRID_SAMPLE_LINEAR) {
		taps.n = 2;
		taps.weight[1] = x - floor(x);
		taps.weight[0] = 1 - taps.weight[1];
	} else if (mode == GRID_SAMPLE_CUBIC) {
		taps.n = GRID_SAMPLE_TAPS;
		grid_sample_cubic(taps.weight, x - floor(x));
		first--;
	}
	for (int k = 0; k < taps.n; k++) taps.cell[k] = grid_sample_cell(attr, first + k, n);
	return taps;
}

/* The sum over all combinations of taps; `at` is the first element of the plane. */
static double grid_sample_sum(const og_tensor *x, int64_t at, const grid_sample_taps *taps)
{
	int k[OG_MAX_RANK] = { 0 }, axes = x->rank - 2, d;
	double sum = 0.0;
	do {
		int64_t cell = 0;
		double weight = 1.0;
		for (d = 0; d < axes && cell >= 0; d++) {
			int64_t own = taps[d].cell[k[d]];
			cell = own < 0 ? -1 : cell * x->dims[d + 2] + own;
			weight *= taps[d].weight[k[d]];
		}
		if (cell >= 0) sum += weight * number_get(x, at + cell);
		for (d = axes - 1; d >= 0 && ++k[d] == taps[d].n; d--) k[d] = 0;
	} while (d >= 0);
	return sum;
}

/* Item: one point of one sample's grid. */
static void grid_sample_points(void *arg, int64_t begin, int64_t end)
{
	const og_call *c = (const og_call *)arg;
	const og_tensor *x = c->in[0], *grid = c->in[1], *y = c->out[0];
	int64_t axes = x->rank - 2, points = og_span(y, 2, y->rank), plane = og_span(x, 2, x->rank), channels = x->dims[1];
	for (int64_t k = begin; k < end; k++) {
		grid_sample_taps taps[OG_MAX_RANK];
		for (int64_t d = 0; d < axes; d++)
			taps[d] = grid_sample_axis(c->attr, number_get(grid, k * axes + axes - 1 - d), x->dims[d + 2]);
		for (int64_t m = k / points * channels; m < (k / points + 1) * channels; m++) {
			double sum = grid_sample_sum(x, m * plane, taps);
			number_put(y, m * points + k % points, sum);
		}
	}
}

static og_status grid_sample_eval(const og_call *c)
{
	const og_tensor *y = c->out[0];
	c->host->parallel(c, y->dims[0] * og_span(y, 2, y->rank), 1, grid_sample_points, (void *)(uintptr_t)c);
	return OG_OK;
}
#define GRID_SAMPLE_ATTRS(modes) \
	ATTRS(OG_ENUM("mode", modes, GRID_SAMPLE_LINEAR), \
	      OG_ENUM("padding_mode", "zeros|border|reflection", GRID_SAMPLE_ZEROS), OG_INT("align_corners", 0))
#define GRID_SAMPLE_TYPES "T=f32 f64 f16 bf16 u8 i8 u16 i16 u32 i32 u64 i64 bool; G=f32 f64 f16 bf16"
#endif

OP(grid_sample_16, .name = "GridSample", .since = 16, .doc = "The input, sampled at the places that a grid names.",
   .inputs = "X:T, grid:G", .outputs = "Y:T", .types = GRID_SAMPLE_TYPES,
   GRID_SAMPLE_ATTRS("bilinear|nearest|bicubic"), .shape = grid_sample_shape, .eval = grid_sample_eval)
OP(grid_sample_20, .name = "GridSample", .since = 20, .doc = "The input, sampled at the places that a grid names.",
   .inputs = "X:T, grid:G", .outputs = "Y:T", .types = GRID_SAMPLE_TYPES,
   GRID_SAMPLE_ATTRS("linear|nearest|cubic"), .shape = grid_sample_shape, .eval = grid_sample_eval)
