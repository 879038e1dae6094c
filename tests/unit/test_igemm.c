/* Implicit GEMM without a GPU: packed weights and windows give the convolution; every kernel compiles where NVRTC
 * is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/igemm.h"
#include "cuda/nvrtc.h"
#include "opgraft/half.h"
#include "schema/schema.h"

static igemm_problem convolution(og_dtype type, bool tf32, int c, int k, int taps, int stride, int pad, int size)
{
	const int out = (size + 2 * pad - taps) / stride + 1;
	return (igemm_problem){ .dtype = type, .tf32 = tf32, .n = 2, .h = size, .w = size + 1, .c = c, .k = k, .r = taps,
	                        .s = taps, .stride_h = stride, .stride_w = stride, .pad_h = pad, .pad_w = pad,
	                        .dilation_h = 1, .dilation_w = 1, .p = out, .q = (size + 1 + 2 * pad - taps) / stride + 1 };
}

/* Small integers: exact in every type. */
static float number(size_t k) { return (float)(int)(k * 2654435761u >> 24 & 7) - 3.0f; }

static float element(const igemm_problem *p, const void *x, size_t k)
{
	return p->dtype == OG_F32 ? ((const float *)x)[k] : p->dtype == OG_F16 ? og_half_to_float(((const uint16_t *)x)[k])
	                                                                       : og_bfloat_to_float(((const uint16_t *)x)[k]);
}

static float input_at(const igemm_problem *p, int n, int h, int w, int c)
{
	if (h < 0 || h >= p->h || w < 0 || w >= p->w) return 0.0f;
	return number((((size_t)n * (size_t)p->h + (size_t)h) * (size_t)p->w + (size_t)w) * (size_t)p->c + (size_t)c);
}

/* Element e of a row of cells under output pixel (y, x), as igemm_window_of describes it. */
static float window_at(const igemm_problem *p, const igemm_window *w, int n, int row, int x, int e)
{
	const int column = x + e / w->cell, channel = e % w->cell, pixel = channel / p->c;
	if (e >= w->taps_w * w->cell || pixel >= w->fold_h * w->fold_w) return 0.0f;
	return input_at(p, n, row * w->fold_h + pixel / w->fold_w - w->above, column * w->fold_w + pixel % w->fold_w -
	                w->left, channel % p->c);
}

/* The sum that a kernel makes of a row of packed weights for output (n, y, x, k). */
static double packed_sum(const igemm_problem *p, const igemm_variant *v, const igemm_args *a, const char *packed, int n,
                         int y, int x, int k)
{
	const igemm_window w = igemm_window_of(p);
	double sum = 0;
	const int tap = v->way == IGEMM_WINDOW ? a->k / w.taps_h : v->way == IGEMM_WGMMA ? a->k / (p->r * p->s) : p->c;
	for (int e = 0; e < a->k; e++) {
		const int t = e / tap, in_tap = e % tap;
		float value = 0.0f;
		if (v->way == IGEMM_WINDOW) value = window_at(p, &w, n, y + t, x, in_tap);
		else if (in_tap < p->c && t < p->r * p->s)
			value = input_at(p, n, y * p->stride_h - p->pad_h + t / p->s * p->dilation_h, x * p->stride_w - p->pad_w +
			                 t % p->s * p->dilation_w, in_tap);
		sum += (double)value * element(p, packed, (size_t)k * (size_t)a->k + (size_t)e);
	}
	return sum;
}

static double right_sum(const igemm_problem *p, const float *weights, int n, int y, int x, int k)
{
	double sum = 0;
	for (int c = 0; c < p->c; c++)
		for (int r = 0; r < p->r; r++)
			for (int s = 0; s < p->s; s++)
				sum += (double)weights[((k * p->c + c) * p->r + r) * p->s + s] *
				       input_at(p, n, y * p->stride_h - p->pad_h + r * p->dilation_h, x * p->stride_w - p->pad_w + s *
				                p->dilation_w, c);
	return sum;
}

static int no_map(void *to, int type, unsigned rank, void *at, const uint64_t *dims, const uint64_t *strides,
                  const unsigned *box, const unsigned *steps, int interleave, int swizzle, int promotion, int fill)
{
	(void)to, (void)type, (void)at, (void)dims, (void)box, (void)steps, (void)interleave, (void)swizzle,
		(void)promotion, (void)fill;
	for (unsigned k = 0; k + 1 < rank; k++) assert_int_equal(strides[k] % 16, 0);
	return 0;
}

static int no_pixels(void *to, int type, unsigned rank, void *at, const uint64_t *dims, const uint64_t *strides,
                     const int *lower, const int *upper, unsigned channels, unsigned pixels, const unsigned *steps,
                     int interleave, int swizzle, int promotion, int fill)
{
	assert_in_range(pixels, 1, 256);
	for (int k = 0; k < 2; k++)
		{                        /* places that a tap's corner has: as many as the output has pixels */
		const int places = (int)dims[k + 1] + upper[k] - lower[k];
		assert_true(places > 0);
	}
	return no_map(to, type, rank, at, dims, strides, &channels, steps, interleave, swizzle, promotion, fill);
}

static void check_packing(const igemm_problem *p, const igemm_device *device)
{
	igemm_variant v[96];
	const igemm_encoders encoders = { no_map, no_pixels };
	const int n = igemm_variants(v, 96, p, device), taps = p->r * p->s;
	float *weights = malloc((size_t)(p->k * p->c * taps) * sizeof *weights);
	float *bias = malloc((size_t)p->k * sizeof *bias);
	assert_true(n > 0 && weights && bias);
	for (int k = 0; k < p->k * p->c * taps; k++) weights[k] = number((size_t)k + 77);
	for (int k = 0; k < p->k; k++) bias[k] = (float)k;
	igemm_args a;
	const size_t bytes = igemm_packed_bytes(p, v);
	char *packed = aligned_alloc(64, (bytes + 63) / 64 * 64);
	assert_non_null(packed);
	igemm_pack(packed, p, v, weights, p->c * taps, taps, bias);
	assert_int_equal(igemm_bind(&a, p, v, &encoders, &(igemm_places){ .packed = packed }), OG_OK);
	for (int k = 0; k < p->k; k += 7)
		for (int y = 0; y < p->p; y += 2)
			for (int x = 0; x < p->q; x++)
				assert_true(packed_sum(p, v, &a, packed, 1, y, x, k) == right_sum(p, weights, 1, y, x, k));
	for (int k = 0; k < p->k; k++) assert_true(a.bias[k] == bias[k]);
	for (int i = 0; i < n; i++) {
		const igemm_launch l = igemm_launch_of(p, &v[i], device);
		assert_int_equal(igemm_packed_bytes(p, &v[i]), bytes);   /* of one way: packed once */
		assert_in_range(l.shared, 1, 227 << 10);
		assert_in_range(l.threads, 64, 1024);
		assert_int_equal(l.blocks % l.cluster, 0);
		if (i > 0) assert_true(igemm_guess(p, &v[i - 1], device) <= igemm_guess(p, &v[i], device));
	}
	free(weights);
	free(bias);
	free(packed);
}

static void test_packing(void **state)
{
	static const igemm_device others[] = { { 8, 0, 108, false, false }, { 9, 0, 132, false, false } };
	static const struct { int c, k, taps, stride, pad, size; } shapes[] = {
		{ 3, 16, 7, 2, 3, 15 }, { 1, 8, 5, 1, 2, 9 }, { 6, 16, 5, 1, 0, 9 }, { 3, 8, 3, 2, 0, 8 },
		{ 2, 8, 4, 3, 1, 11 }, { 8, 24, 3, 1, 1, 6 },
		{ 72, 8, 3, 2, 1, 5 }, { 64, 64, 1, 1, 0, 4 }, { 24, 16, 1, 2, 0, 5 },
	};
	(void)state;
	for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
		for (size_t d = 0; d < 2; d++)
			for (int type = 0; type < 4; type++) {
				static const og_dtype types[] = { OG_F16, OG_BF16, OG_F32, OG_F32 };
				igemm_problem p = convolution(types[type], type == 2, shapes[k].c, shapes[k].k, shapes[k].taps,
				                              shapes[k].stride, shapes[k].pad, shapes[k].size);
				check_packing(&p, &others[d]);
			}
}

static void test_old_device_has_none(void **state)
{
	igemm_variant v[4];
	igemm_problem p = convolution(OG_F16, false, 8, 8, 3, 1, 1, 6);
	(void)state;
	assert_int_equal(igemm_variants(v, 4, &p, &(igemm_device){ 7, 5, 40, false, false }), 0);
}

/* ---- compiling -------------------------------------------------------------------------------- */

static void compile(const nvrtc_api *api, const igemm_problem *p, const igemm_variant *v, const igemm_device *device)
{
	char *source, target[16];
	const char *options[16] = { "-Iinclude", "-Isrc" };
	nvrtc_result r;
	int n;
	const char *const *own = igemm_options(p, &n);
	memcpy(options + 2, own, (size_t)n * sizeof *options);
	assert_int_equal(igemm_source(&source, p, v), OG_OK);
	igemm_target(target, v, device);
	nvrtc_compile(&r, api, &(nvrtc_source){ .text = source, .options = options, .n_options = n + 2 }, target, false);
	if (r.status) print_error("%s: %s\n", target, r.data ? r.data : "");
	assert_int_equal(r.status, 0);
	base_free(r.data);
	base_free(source);
}

static void test_kernels_compile(void **state)
{
	static const igemm_device devices[] = { { 8, 0, 108, false, false }, { 8, 9, 76, false, false },
	                                        { 9, 0, 132, false, false }, { 10, 0, 148, false, false },
	                                        { 12, 0, 170, false, false } };
	arena *a = arena_create();
	nvrtc_api api;
	program tail = { .n_operands = 2, .n_regs = 4, .n_steps = 2, .operand = { -1, 3 }, .result = 3 };
	(void)state;
	assert_non_null(a);
	if (nvrtc_open(&api, a) != OG_OK) {
		arena_destroy(a);
		skip();
	}
	tail.step[0] = (program_step){ .op = schema_find("", "Add", 24), .in = { 0, 1 }, .out = 2 };
	tail.step[1] = (program_step){ .op = schema_find("opgraft", "OgSwish", 1), .in = { 2 }, .out = 3,
	                               .attr = { 1.5f } };
	assert_true(tail.step[0].op && tail.step[1].op);
	for (size_t d = 0; d < sizeof devices / sizeof *devices; d++)
		for (int type = 0; type < 4; type++) {
			static const og_dtype types[] = { OG_F16, OG_BF16, OG_F32, OG_F32 };
			if (type % 2 && devices[d].major != 9) continue;
			igemm_problem p = convolution(types[type], type == 2, type == 1 ? 3 : 64, 64, 3, 1, 1, 30);
			igemm_variant v[96];
			p.tail = &tail;
			p.n_operands = 1;
			const int n = igemm_variants(v, 96, &p, &devices[d]);
			assert_true(n > 0);
			compile(&api, &p, &v[0], &devices[d]);
			for (int k = 1; k < n; k++)
				             /* and one of those that share a tile's depth, one that takes turns */
				if (v[k].split != v[0].split || v[k].turns != v[0].turns) {
					compile(&api, &p, &v[k], &devices[d]);
					break;
				}
		}
	arena_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packing),
		cmocka_unit_test(test_old_device_has_none),
		cmocka_unit_test(test_kernels_compile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
