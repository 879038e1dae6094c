/* channels_tmpl.c -- tiles of a convolution whose lanes are output channels, and the input laid out for them. */
#include "cpu/kernels.h"
#include "cpu/lanes.h"

#if OG_LANES == 1
void CPU_NAME(cpu_channels_, OG_ISA)(cpu_kernels *k) { k->channels_sums = 0; }
#else

/* Loops over a tile, unrolled. They run to the largest tile's size, since clang unrolls before it knows this one's. */
#define EACH_POSITION(i) UNROLL_ALL for (int i = 0; i < CPU_CHANNELS_SUMS; i++) if (i < positions)
#define EACH_VECTOR(j) UNROLL_ALL for (int j = 0; j < CPU_CHANNELS_VECTORS; j++) if (j < vectors - half)

/* The first half of the last vector: units of 256 bits take half the time for it. At 8 lanes there is no such gain. */
#if OG_LANES == 16
#define HALVES 1
typedef float low __attribute__((vector_size(OG_LANES * 2)));
EXPR low low_of(v x) { return __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7); }
EXPR low low_load(const float *p) { low x; memcpy(&x, p, sizeof x); return x; }
EXPR void low_store(float *p, low x) { memcpy(p, &x, sizeof x); }
EXPR low low_multiply_add(low a, low b, low c) { return (low)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
#else
#define HALVES 0
typedef v low;
EXPR low low_of(v x) { return x; }
EXPR low low_load(const float *p) { return v_load(p); }
EXPR void low_store(float *p, low x) { v_store(p, x); }
EXPR low low_multiply_add(low a, low b, low c) { return multiply_add(a, b, c); }
#endif

/* One channel of one tap: its cell of the first position is at x, its weights are at w. */
#define MULTIPLY(x, w) \
	do { \
		v weight[CPU_CHANNELS_VECTORS]; \
		low last = low_load((w) + (half ? vectors - half : 0) * OG_LANES); \
		EACH_VECTOR(j) weight[j] = v_load((w) + j * OG_LANES); \
		EACH_POSITION(i) { \
			v cell = v_splat((x)[i * step]); \
			EACH_VECTOR(j) sum[i][j] = multiply_add(weight[j], cell, sum[i][j]); \
			if (half) lows[i] = low_multiply_add(last, low_of(cell), lows[i]); \
		} \
	} while (0)

/* What t says is to be fetched with each tap of a block, whose cells are at x. */
EXPR void fetch(cpu_channels_tile *t, const float *x, const int positions, const int vectors)
{
	const int half = 0;
	for (int i = 0; i < t->ahead; i++, t->next += CPU_CHANNELS_LINE) __builtin_prefetch(t->next);
	for (int i = 0; i < t->positions_next; i++, t->y_next += OG_LANES, t->other_next += OG_LANES)
		EACH_VECTOR(j) {
			__builtin_prefetch(t->y_next + j * t->y_vector, 1);
			__builtin_prefetch(t->other_next + j * t->y_vector);
		}
	if (t->x_next) EACH_POSITION(i) __builtin_prefetch(x + (positions + i) * OG_LANES);
}

/* positions, vectors, half and blocked are constants of the caller, so that `sum` is registers and every cell is at a constant
 * distance from the first. */
EXPR void tile(const cpu_channels_tile *t, const int positions, const int vectors, const int half, const bool blocked)
{
	v sum[CPU_CHANNELS_SUMS][CPU_CHANNELS_VECTORS];
	low lows[CPU_CHANNELS_SUMS];
	const int step = blocked ? OG_LANES : 1;
	const float *w = t->weights, *block = t->x;
	cpu_channels_tile later = *t;
	const ptrdiff_t *end = t->tap + t->taps;
	EACH_VECTOR(j) {
		v bias = v_load(w + j * OG_LANES);
		EACH_POSITION(i) sum[i][j] = bias;
	}
	if (half) EACH_POSITION(i) lows[i] = low_load(w + (vectors - 1) * OG_LANES);
	w += vectors * OG_LANES;
	for (int64_t k = t->blocks; k > 0; k--, block += t->block) {
		const int channels = k > 1 ? OG_LANES : t->last;
		for (const ptrdiff_t *tap = t->tap; tap < end; tap++) {
			const float *x = block + *tap;
			if (blocked) {
				fetch(&later, x, positions, vectors);
				for (const float *behind = x + channels; x < behind; x++, w += vectors * OG_LANES)
					MULTIPLY(x, w);
			} else {
				MULTIPLY(x, w);
				w += vectors * OG_LANES;
			}
		}
	}
	EACH_VECTOR(j) {
		float *y = t->y + j * t->y_vector;
		EACH_POSITION(i) v_store(y + i * OG_LANES, sum[i][j]);
	}
	if (half) EACH_POSITION(i) low_store(t->y + (vectors - 1) * t->y_vector + i * OG_LANES, lows[i]);
}

#define UP_TO_6(X, vectors) X(1, vectors) X(2, vectors) X(3, vectors) X(4, vectors) X(5, vectors) X(6, vectors)
#define UP_TO_12(X, vectors) \
	UP_TO_6(X, vectors) X(7, vectors) X(8, vectors) X(9, vectors) X(10, vectors) X(11, vectors) X(12, vectors)
#define UP_TO_14(X, vectors) UP_TO_12(X, vectors) X(13, vectors) X(14, vectors)
#define UP_TO_28(X, vectors) \
	UP_TO_14(X, vectors) X(15, vectors) X(16, vectors) X(17, vectors) X(18, vectors) X(19, vectors) X(20, vectors) \
	X(21, vectors) X(22, vectors) X(23, vectors) X(24, vectors) X(25, vectors) X(26, vectors) X(27, vectors) \
	X(28, vectors)
#if OG_LANES == 16
#define TILES(X) UP_TO_28(X, 1) UP_TO_14(X, 2)
enum { TILE_SUMS = 28 };
#else
#define TILES(X) UP_TO_12(X, 1) UP_TO_6(X, 2)
enum { TILE_SUMS = 12 };
#endif

#define TILE(positions, vectors) \
	static void plain_##positions##x##vectors(const cpu_channels_tile *t) { tile(t, positions, vectors, 0, false); } \
	static void blocked_##positions##x##vectors(const cpu_channels_tile *t) { tile(t, positions, vectors, 0, true); }
#define HALF_TILE(positions, vectors) \
	static void half_##positions##x##vectors(const cpu_channels_tile *t) { tile(t, positions, vectors, 1, true); }
TILES(TILE)
#if HALVES
TILES(HALF_TILE)
#endif

/* The cells of windows [first, last) along a row of the input. */
EXPR void put_row(float *y, const float *x, int64_t first, int64_t last, int64_t out, int64_t stride)
{
	for (int64_t i = 0; i < first; i++) v_store(y + i * OG_LANES, v_splat(0.0f));
	for (int64_t i = first; i < last; i++, x += stride * OG_LANES) v_store(y + i * OG_LANES, v_load(x));
	for (int64_t i = last; i < out; i++) v_store(y + i * OG_LANES, v_splat(0.0f));
}

static void unfold_blocks(const window *w, const float *x, int64_t blocks, float *y)
{
	const int64_t out = w->out[2], row = w->in[2] * OG_LANES;
	for (int64_t b = 0; b < blocks; b++, x += w->in[1] * row)
		for (int64_t ky = 0; ky < w->kernel[1]; ky++)
			for (int64_t kx = 0; kx < w->kernel[2]; kx++) {
				int64_t top = 0, bottom = w->out[1], left = 0, right = out;
				window_span(w, 1, ky, 0, w->in[1], &top, &bottom);
				window_span(w, 2, kx, 0, w->in[2], &left, &right);
				if (right < left) right = left = 0;
				const float *from = x + (left * w->stride[2] - w->begin[2] + kx * w->dilation[2]) * OG_LANES;
				for (int64_t i = 0; i < w->out[1]; i++, y += out * OG_LANES) {
					int64_t iy = i * w->stride[1] - w->begin[1] + ky * w->dilation[1];
					bool inside = i >= top && i < bottom;
					put_row(y, inside ? from + iy * row : x, inside ? left : 0, inside ? right : 0, out, w->stride[2]);
				}
			}
}

static void scale(const float *x, const float *by, int64_t n, int vectors, float *y)
{
	for (int64_t i = 0; i < n; i++) {
		v one = v_splat(by[i]);
		for (int j = 0; j < vectors; j++, x += OG_LANES, y += OG_LANES) v_store(y, v_load(x) * one);
	}
}

void CPU_NAME(cpu_channels_, OG_ISA)(cpu_kernels *k)
{
	k->scale = scale;
	k->channels_sums = TILE_SUMS;
	k->unfold_blocks = unfold_blocks;
#define SLOT(positions, vectors) \
	k->channels[0][positions][vectors] = plain_##positions##x##vectors; \
	k->channels[1][positions][vectors] = blocked_##positions##x##vectors;
#define HALF_SLOT(positions, vectors) k->channels_half[positions][vectors] = half_##positions##x##vectors;
	TILES(SLOT)
#if HALVES
	TILES(HALF_SLOT)
#endif
}
#endif
