/* igemm_plan.c -- variants, packed weights, launches and arguments of convolutions and matrix products. */
#include "cuda/igemm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "opgraft/half.h"

enum {
	ROW = 128,                                   /* bytes of a row of a tile in shared memory */
	/* compute capability 9.0 */
	SHARED_OF_PROCESSOR = 228 << 10, SHARED_OF_BLOCK = 227 << 10, SHARED_RESERVED = 1 << 10,
	MOST_ROWS = INT32_MAX - 256, MOST_VARIANTS = 96, MOST_CELL = 32, BIAS_MULTIPLE = 256, ALIGN = 256
};

static int ceil_div(int a, int b) { return a / b + (a % b != 0); }
static int round_up(int a, int b) { return ceil_div(a, b) * b; }
static int element_bytes(const igemm_problem *p) { return p->dtype == OG_F32 ? 4 : 2; }
static int rows(const igemm_problem *p) { return p->n * p->p * p->q; }
static int row_in(const igemm_problem *p) { return p->row_in ? p->row_in : p->c; }
static int row_out(const igemm_problem *p) { return p->row_out ? p->row_out : p->k; }

/* ---- the product that a way makes of the problem ---------------------------------------------- */

igemm_window igemm_window_of(const igemm_problem *p)
{
	igemm_window w = { .fold_h = p->stride_h, .fold_w = p->stride_w, .above = round_up(p->pad_h, p->stride_h),
	                   .left = round_up(p->pad_w, p->stride_w) };
	w.taps_h = ceil_div(w.above - p->pad_h + p->r, w.fold_h);
	w.taps_w = ceil_div(w.left - p->pad_w + p->s, w.fold_w);
	w.rows = p->p + w.taps_h - 1;
	w.columns = p->q + w.taps_w - 1;
	w.cell = round_up(p->c * w.fold_h * w.fold_w, 16 / element_bytes(p));
	w.bytes = (size_t)p->n * (size_t)w.rows * (size_t)w.columns * (size_t)w.cell * (size_t)element_bytes(p);
	return w;
}

/* Elements of a k block, of a tap as packed, of a filter as packed; k blocks. */
typedef struct depth { int bk, tap, row, blocks; } depth;

static depth depth_of(const igemm_problem *p, const igemm_variant *v)
{
	depth d = { .bk = ROW / element_bytes(p), .tap = p->c };
	int taps = p->r * p->s;
	if (v->way == IGEMM_WINDOW) {                       /* a tap is a row of cells */
		const igemm_window w = igemm_window_of(p);
		taps = w.taps_h;
		d.tap = round_up(w.taps_w * w.cell, d.bk);
	} else if (v->way == IGEMM_WGMMA) d.tap = round_up(p->c, d.bk);
	d.row = round_up(taps * d.tap, d.bk);
	d.blocks = d.row / d.bk;
	return d;
}

/* Row m of the product is pixel m of the input. */
static bool is_pointwise(const igemm_problem *p)
{
	return p->r == 1 && p->s == 1 && p->stride_h == 1 && p->stride_w == 1 && p->pad_h == 0 && p->pad_w == 0 &&
	       p->p == p->h && p->q == p->w;
}

/* ---- variants --------------------------------------------------------------------------------- */

static bool fits_wgmma(const igemm_problem *p)
{
	const int per_chunk = 16 / element_bytes(p);
	return (p->dtype != OG_F32 || p->tf32) && row_in(p) % per_chunk == 0 && row_out(p) % per_chunk == 0 &&
		p->stride_h <= 8 && p->stride_w <= 8 &&
	       p->pad_h < 128 && p->pad_w < 128 && p->dilation_h * (p->r - 1) < 128 && p->dilation_w * (p->s - 1) < 128;
}

static bool fits_window(const igemm_problem *p)
{
	const int per_chunk = 16 / element_bytes(p);
	return (p->dtype != OG_F32 || p->tf32) && p->c % per_chunk != 0 && row_out(p) % per_chunk == 0 &&
		p->stride_h <= 8 && p->stride_w <= 8 &&
	       p->c <= MOST_CELL && p->c * p->stride_h * p->stride_w <= MOST_CELL && p->dilation_h == 1 &&
	       p->dilation_w == 1 &&
	       p->r <= 16 && p->s <= 16 && p->pad_h < p->r && p->pad_w < p->s;
}

static int stage_bytes(const igemm_variant *v) { return (v->bm + v->bn) * ROW; }
static int staged_bytes(const igemm_problem *p, const igemm_variant *v)
{
	return v->split > 1 ? 0 : (1 + v->turns) * v->bm * v->bn * element_bytes(p);
}

static int shared_bytes(const igemm_problem *p, const igemm_variant *v)
{
	int ring = v->stages * stage_bytes(v), sums = v->split > 1 ? v->bm * (v->bn + 8) * 4 : 0;
	return 1024 + (ring > sums ? ring : sums) + staged_bytes(p, v) + 16 * v->stages + 32;
}

/* As many stages as leave room for the blocks; 0 when fewer than two do. */
static int stages_for(const igemm_problem *p, igemm_variant v)
{
	const int room = SHARED_OF_PROCESSOR / v.blocks - SHARED_RESERVED;
	for (v.stages = 8; v.stages >= 2; v.stages--)
		if (shared_bytes(p, &v) <= (room < SHARED_OF_BLOCK ? room : SHARED_OF_BLOCK)) return v.stages;
	return 0;
}

/* Tiles worth trying. */
static const struct { int bm, bn, blocks, turns; } tiles[] = {
	{ 128, 256, 1, 0 }, { 256, 128, 1, 0 }, { 192, 128, 1, 0 }, { 128, 128, 1, 0 }, { 128, 128, 2, 0 },
	{ 64, 256, 1, 0 },
	{ 256, 64, 1, 0 }, { 256, 64, 2, 0 }, { 64, 128, 2, 0 }, { 64, 128, 3, 0 }, { 128, 64, 1, 0 }, { 128, 64, 2, 0 },
	{ 128, 64, 3, 0 }, { 64, 64, 2, 0 }, { 64, 64, 4, 0 }, { 128, 128, 1, 1 }, { 64, 256, 1, 1 }, { 128, 64, 1, 1 },
	{ 128, 64, 2, 1 }, { 64, 128, 1, 1 }, { 64, 128, 2, 1 }, { 64, 64, 2, 1 }, { 64, 64, 3, 1 },
};

/* And of the ways for every device; at least one fits the 99 KiB of a block of 8.6, 8.9 and 12.0. */
static const struct { int bm, bn, blocks; } general_tiles[] = {
	{ 128, 128, 1 }, { 128, 128, 2 }, { 128, 64, 2 }, { 128, 64, 3 }, { 64, 64, 2 }, { 64, 64, 4 },
};

static int add(igemm_variant *out, int n, int most, const igemm_problem *p, igemm_variant v)
{
	v.stages = stages_for(p, v);
	if (n == most || !v.stages || depth_of(p, &v).blocks < v.split) return n;
	out[n] = v;
	return n + 1;
}

/* Bytes that the problem reads and writes at least. */
static double least_bytes(const igemm_problem *p)
{
	const double out = (double)rows(p) * p->k, in = (double)p->n * p->h * p->w * p->c;
	const double weights = (double)p->k * p->r * p->s * p->c;
	double n = in + weights + out;
	for (int k = 0; k < p->n_operands; k++) n += p->operand[k] == IGEMM_FULL ? out : 0;
	return n * element_bytes(p);
}

/* Constants fitted to some 2,900 times of ResNet-50's layers on an H200 in fp16 (tools/check_tensor): the fastest of
 * the six variants of least guess is 0.3% slower than the fastest of all on average, 7% at worst. A k block takes
 * the same time in every type, since it is 128 bytes in each. */
double igemm_guess(const igemm_problem *p, const igemm_variant *v, const igemm_device *device)
{
	/* per microsecond and multiprocessor; memory: of all */
	const double mma = 5.4e6, narrow = 0.6, copies = 63e3, memory = 4.8e6, start = 0.75;
	/* tiles */
	const double each = (double)ceil_div(rows(p), v->bm) * ceil_div(p->k, v->bn) * v->split / device->processors;
	const double blocks = ceil_div(depth_of(p, v).blocks, v->split), area = (double)v->bm * v->bn;
	if (v->way == IGEMM_FMA) return ceil(each) * blocks * area * 64 / 0.29e6 + 2;
	if (v->way == IGEMM_MMA) return ceil(each) * blocks * area * 128 / 2.5e6 + 2;
	const double multiply = area * 128 / mma * (1 + narrow * 64 / v->bn), copy = (v->bm + v->bn) * ROW / copies;
	const double finish = area / v->split * 9.8e-5 * element_bytes(p) / 2 * (p->n_operands ? 1.44 : 1);
	/* of the epilogue, not hidden by products */
	const double shown = v->blocks == 1 && !v->turns ? 0.82 : v->blocks > 1 && v->turns ? 0.13 : 0.97;
	const double turns = fmax(1, v->blocks == 1 || each <= 1 ? ceil(each) : each + 0.64);
	const double time = turns * (fmax(multiply, copy) * blocks + finish * shown) + finish * (1 - shown);
	const double adding = v->split > 1 ? 2.3 + 0.22 * v->split : 0;
	return start + fmax(time + adding, least_bytes(p) / memory);
}

static void sort_by_guess(igemm_variant *v, int n, const igemm_problem *p, const igemm_device *device)
{
	for (int i = 1; i < n; i++)
		for (int k = i; k > 0 && igemm_guess(p, &v[k], device) < igemm_guess(p, &v[k - 1], device); k--) {
			igemm_variant t = v[k];
			v[k] = v[k - 1];
			v[k - 1] = t;
		}
}

static int general_variants(igemm_variant *out, int most, const igemm_problem *p)
{
	int n = 0;
	for (size_t k = 0; k < sizeof general_tiles / sizeof *general_tiles && n < most; k++) {
		const int bm = general_tiles[k].bm, bn = general_tiles[k].bn;
		if ((bm > 64 && bm / 2 >= rows(p)) || (bn > 64 && bn / 2 >= p->k)) continue;
		out[n++] = (igemm_variant){ .way = p->dtype == OG_F32 && !p->tf32 ? IGEMM_FMA : IGEMM_MMA, .bm = bm, .bn = bn,
		                             .stages = 3, .blocks = general_tiles[k].blocks, .split = 1 };
	}
	return n;
}

/* Of compute capability 9.0; processors 0: whatever their number. */
static int copied_variants(igemm_variant *out, int most, const igemm_problem *p, int processors)
{
	const bool window = fits_window(p);
	int n = 0;
	for (size_t k = 0; k < sizeof tiles / sizeof *tiles; k++) {
		igemm_variant v = { .way = window ? IGEMM_WINDOW : IGEMM_WGMMA, .bm = tiles[k].bm, .bn = tiles[k].bn,
		                    .blocks = tiles[k].blocks, .turns = tiles[k].turns };
		const int grid = ceil_div(rows(p), v.bm) * ceil_div(p->k, v.bn);
		if (v.bn > 64 && v.bn / 2 >= p->k) continue;
		if (v.bm > 64 && v.bm / 2 >= rows(p)) continue;
		if (v.turns && grid < 2 * processors) continue;
		v.split = 1;
		n = add(out, n, most, p, v);
		if (v.turns || v.bn > 128) continue;
		for (v.split = 2; v.split <= 8 && (!processors || grid * v.split <= 4 * processors);
		     v.split += v.split < 4 ? 1 : 4)
			n = add(out, n, most, p, v);
	}
	return n;
}

static bool is_copied(const igemm_problem *p, const igemm_device *device)
{
	return device->major == 9 && !device->lacks_maps && (fits_window(p) || fits_wgmma(p));
}

static bool is_served(const igemm_problem *p, const igemm_device *device)
{
	return device->major >= 8 && (int64_t)p->n * p->p * p->q <= MOST_ROWS;
}

int igemm_variants(igemm_variant *out, int most, const igemm_problem *p, const igemm_device *device)
{
	igemm_variant all[MOST_VARIANTS];
	if (!is_served(p, device)) return 0;
	const bool copied = is_copied(p, device);
	int n = copied ? copied_variants(all, MOST_VARIANTS, p, device->processors)
		: general_variants(all, MOST_VARIANTS, p);
	sort_by_guess(all, n, p, device);
	if (n > most) n = most;
	memcpy(out, all, (size_t)n * sizeof *out);
	return n;
}

void igemm_name(char *out, const igemm_variant *v)
{
	static const char *const ways[] = { "wgmma", "window", "mma", "fma" };
	int n = snprintf(out, IGEMM_NAME, "%s.%dx%dx%d", ways[v->way], v->bm, v->bn, v->blocks);
	if (v->split > 1) snprintf(out + n, (size_t)(IGEMM_NAME - n), ".split%d", v->split);
	else if (v->turns) snprintf(out + n, (size_t)(IGEMM_NAME - n), ".turns");
}

bool igemm_named(igemm_variant *out, const char *name, const igemm_problem *p, const igemm_device *device)
{
	igemm_variant all[MOST_VARIANTS];
	char other[IGEMM_NAME];
	if (!is_served(p, device)) return false;
	int n = is_copied(p, device) ? copied_variants(all, MOST_VARIANTS, p, 0) : general_variants(all, MOST_VARIANTS, p);
	for (int k = 0; k < n; k++) {
		igemm_name(other, &all[k]);
		*out = all[k];
		if (!strcmp(name, other)) return true;
	}
	return false;
}

igemm_launch igemm_launch_of(const igemm_problem *p, const igemm_variant *v, const igemm_device *device)
{
	const unsigned grid = (unsigned)(ceil_div(rows(p), v->bm) * ceil_div(p->k, v->bn));
	const unsigned most = (unsigned)(v->blocks * device->processors);
	if (v->way == IGEMM_MMA || v->way == IGEMM_FMA)
		return (igemm_launch){ .blocks = grid, .threads = (unsigned)igemm_warps(v).m * (unsigned)igemm_warps(v).n * 32,
		                       .cluster = 1,
		                        .shared = (unsigned)(v->stages * stage_bytes(v)), .overlaps = device->major >= 9 };
	return (igemm_launch){ .blocks = v->split > 1 ? grid * (unsigned)v->split : grid < most ? grid : most,
	                        .threads = (unsigned)(v->turns || v->bm == 256 ? 2 : v->bm / 64) * 128 + 32,
	                        .cluster = (unsigned)v->split, .shared = (unsigned)shared_bytes(p, v), .overlaps = true };
}

igemm_grid igemm_warps(const igemm_variant *v)
{
	if (v->way == IGEMM_FMA) return (igemm_grid){ 4, v->bn / 64 };
	return (igemm_grid){ 2, v->bm * v->bn >= 128 * 128 ? 4 : 2 };
}

/* ---- packed weights --------------------------------------------------------------------------- */

int igemm_packed_row(const igemm_problem *p, const igemm_variant *v) { return depth_of(p, v).row; }

size_t igemm_bias_at(const igemm_problem *p, const igemm_variant *v)
{
	size_t bytes = (size_t)p->k * (size_t)igemm_packed_row(p, v) * (size_t)element_bytes(p);
	return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

size_t igemm_packed_bytes(const igemm_problem *p, const igemm_variant *v)
{
	return igemm_bias_at(p, v) + (size_t)round_up(p->k, BIAS_MULTIPLE) * sizeof(float);
}

/* To the nearest float with 10 bits of fraction, ties to even. */
static float to_tf32(float f)
{
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	if ((bits & 0x7f800000) != 0x7f800000) bits = (bits + 0xfff + (bits >> 13 & 1)) & ~UINT32_C(0x1fff);
	memcpy(&f, &bits, sizeof f);
	return f;
}

static void put(void *to, size_t at, const igemm_problem *p, float f)
{
	if (p->dtype == OG_F32) ((float *)to)[at] = p->tf32 ? to_tf32(f) : f;
	else ((uint16_t *)to)[at] = p->dtype == OG_F16 ? og_float_to_half(f) : og_float_to_bfloat(f);
}

/* Where a weight lies in its filter's row. */
static size_t place(const igemm_problem *p, const igemm_variant *v, depth d, int r, int s, int c)
{
	if (v->way != IGEMM_WINDOW) return (size_t)(r * p->s + s) * (size_t)d.tap + (size_t)c;
	const igemm_window w = igemm_window_of(p);
	const int y = w.above - p->pad_h + r, x = w.left - p->pad_w + s;
	return (size_t)(y / w.fold_h * d.tap + x / w.fold_w * w.cell + (y % w.fold_h * w.fold_w + x % w.fold_w) * p->c + c);
}

void igemm_pack(void *to, const igemm_problem *p, const igemm_variant *v, const float *weights, int64_t step_k,
                int64_t step_c, const float *bias)
{
	const depth d = depth_of(p, v);
	const size_t row = (size_t)d.row;
	float *biases = (float *)((char *)to + igemm_bias_at(p, v));
	memset(to, 0, igemm_packed_bytes(p, v));
	for (int k = 0; k < p->k; k++)
		for (int tap = 0; tap < p->r * p->s; tap++)
			for (int c = 0; c < p->c; c++)
				put(to, (size_t)k * row + place(p, v, d, tap / p->s, tap % p->s, c), p,
				    weights[k * step_k + c * step_c + tap]);
	for (int k = 0; bias && k < p->k; k++) biases[k] = bias[k];
}

/* ---- arguments -------------------------------------------------------------------------------- */

/* Numbers of the driver's enums, from the reference of cuTensorMapEncodeTiled. */
enum { MAP_F16 = 6, MAP_F32 = 7, MAP_BF16 = 9, MAP_TF32 = 11, SWIZZLE_128 = 3, PROMOTE_256 = 3 };

static int map_type(const igemm_problem *p, bool multiplied)
{
	return p->dtype == OG_F16 ? MAP_F16 : p->dtype == OG_BF16 ? MAP_BF16 : multiplied ? MAP_TF32 : MAP_F32;
}

/* A matrix in boxes of `box` rows; row: elements from one of its rows to the next. */
static og_status encode_matrix(unsigned long long *to, const igemm_encoders *e, const igemm_problem *p, const void *at,
                               int height, int width, int row, int box_rows, bool multiplied)
{
	const uint64_t size = (uint64_t)element_bytes(p), dims[] = { (uint64_t)width, (uint64_t)height };
	const uint64_t strides[] = { (uint64_t)row * size };
	const unsigned box[] = { (unsigned)(ROW / size), (unsigned)box_rows }, steps[] = { 1, 1 };
	if (e->tiled(to, map_type(p, multiplied), 2, (void *)(uintptr_t)at, dims, strides, box, steps, 0, SWIZZLE_128,
	             PROMOTE_256, 0))
		return base_fail(OG_UNSUPPORTED, "the CUDA driver makes no tensor map of a matrix of %d x %d", height, width);
	return OG_OK;
}

/* The pixels under a tap, in order of the output's. */
static og_status encode_pixels(unsigned long long *to, const igemm_encoders *e, const igemm_problem *p,
                               const igemm_variant *v, const void *at)
{
	const uint64_t size = (uint64_t)element_bytes(p), pixel = (uint64_t)row_in(p) * size, w = (uint64_t)p->w;
	const uint64_t h = (uint64_t)p->h;
	uint64_t dims[] = { (uint64_t)p->c, w, h, (uint64_t)p->n }, strides[] = { pixel, w * pixel, h * w * pixel };
	int lower[] = { -p->pad_w, -p->pad_h };
	int upper[] = { (p->q - 1) * p->stride_w - p->pad_w - p->w + 1, (p->p - 1) * p->stride_h - p->pad_h - p->h + 1 };
	unsigned steps[] = { 1, (unsigned)p->stride_w, (unsigned)p->stride_h, 1 };
	const depth d = depth_of(p, v);
	if (v->way == IGEMM_WINDOW) {
		const igemm_window win = igemm_window_of(p);
		dims[0] = (uint64_t)(win.taps_w * win.cell);
		dims[1] = (uint64_t)p->q;
		dims[2] = (uint64_t)win.rows;
		strides[0] = (uint64_t)win.cell * size;
		strides[1] = (uint64_t)win.columns * strides[0];
		strides[2] = (uint64_t)win.rows * strides[1];
		lower[0] = lower[1] = upper[0] = 0;
		upper[1] = 1 - win.taps_h;
		steps[1] = steps[2] = 1;
	}
	if (e->im2col(to, map_type(p, true), 4, (void *)(uintptr_t)at, dims, strides, lower, upper, (unsigned)d.bk,
	              (unsigned)v->bm, steps, 0, SWIZZLE_128, PROMOTE_256, 0))
		return base_fail(OG_UNSUPPORTED, "the CUDA driver makes no tensor map of an input of %d x %d x %d x %d",
		                 p->n, p->h, p->w, p->c);
	return OG_OK;
}

igemm_window_args igemm_window_bind(const igemm_problem *p, const void *in, const int64_t steps[4], void *out)
{
	const igemm_window w = igemm_window_of(p);
	return (igemm_window_args){ .in = in, .out = out, .step_n = steps[0], .step_c = steps[1], .step_h = steps[2],
	                            .step_w = steps[3], .n = p->n,
	                             .h = p->h, .w = p->w, .rows = w.rows, .columns = w.columns, .above = w.above,
	                             .left = w.left };
}

og_status igemm_bind(igemm_args *a, const igemm_problem *p, const igemm_variant *v, const igemm_encoders *e,
                     const igemm_places *at)
{
	const depth d = depth_of(p, v);
	*a = (igemm_args){ .in = at->in, .weights = at->packed, .out = at->out, .m = rows(p), .n = p->k, .k = d.row,
	                    .k_blocks = d.blocks, .c_blocks = ceil_div(d.tap, d.bk), .h = p->h, .w = p->w, .c = p->c,
	                    .p = p->p, .q = p->q, .r = p->r, .s = p->s, .row_in = row_in(p), .row_out = row_out(p),
	                    .stride_h = p->stride_h, .stride_w = p->stride_w, .pad_h = p->pad_h, .pad_w = p->pad_w,
	                    .dilation_h = p->dilation_h, .dilation_w = p->dilation_w,
	                   .pointwise = v->way == IGEMM_WGMMA && is_pointwise(p) };
	a->bias = (const float *)((const char *)at->packed + igemm_bias_at(p, v));
	a->tiles_m = ceil_div(a->m, v->bm);
	a->tiles_n = ceil_div(a->n, v->bn);
	for (int k = 0; k < p->n_operands; k++) a->operand[k] = at->operand[k];
	if (v->way == IGEMM_WINDOW) {            /* taps are whole rows, and the steps along them are in the map */
		a->s = a->stride_h = a->stride_w = a->dilation_h = 1;
		a->pad_h = a->pad_w = 0;
	}
	if (v->way == IGEMM_MMA || v->way == IGEMM_FMA) return OG_OK;
	TRY(encode_matrix(a->map[IGEMM_MAP_WEIGHTS], e, p, at->packed, a->n, a->k, a->k, v->bn, true));
	TRY(a->pointwise ? encode_matrix(a->map[IGEMM_MAP_IN], e, p, at->in, a->m, a->c, a->row_in, v->bm, true)
	                 : encode_pixels(a->map[IGEMM_MAP_IN], e, p, v, at->in));
	if (v->split > 1) return OG_OK;
	TRY(encode_matrix(a->map[IGEMM_MAP_OUT], e, p, at->out, a->m, a->n, a->row_out, 64, false));
	for (int k = 0; k < p->n_operands; k++)
		if (p->operand[k] == IGEMM_FULL)
			return encode_matrix(a->map[IGEMM_MAP_STAGED], e, p, at->operand[k], a->m, a->n, a->row_out, 64, false);
	return OG_OK;
}
