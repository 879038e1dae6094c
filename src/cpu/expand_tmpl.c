/* expand_tmpl.c -- tiles of a pointwise convolution whose lanes are output channels, kept between bounds before they are stored. */
#include "cpu/kernels.h"
#include "cpu/lanes.h"

#if OG_LANES == 1
void CPU_NAME(cpu_expands_, OG_ISA)(cpu_kernels *k) { k->expand_positions = 0; }
#else

#if OG_LANES == 16
enum { POSITIONS = 14 };
#else
enum { POSITIONS = 6 };
#endif

/* They run to the largest tile's size, since clang unrolls before it knows this one's. */
#define EACH_POSITION(i) UNROLL_ALL for (int i = 0; i < POSITIONS; i++) if (i < positions)
#define EACH_VECTOR(j) UNROLL_ALL for (int j = 0; j < CPU_CHANNELS_VECTORS; j++) if (j < vectors)

#define BEGIN(sum, w, vectors) \
	EACH_VECTOR(j) { \
		v bias = v_load((w) + j * OG_LANES); \
		EACH_POSITION(i) sum[i][j] = bias; \
	}
/* A vector of weights for each vector of outputs, times the cell of each position, which are `step` floats apart. */
#define MULTIPLY(sum, w, x, step, vectors) \
	do { \
		v weight[CPU_CHANNELS_VECTORS]; \
		EACH_VECTOR(j) weight[j] = v_load((w) + j * OG_LANES); \
		EACH_POSITION(i) { \
			v cell = v_splat((x)[i * (step)]); \
			EACH_VECTOR(j) sum[i][j] = multiply_add(weight[j], cell, sum[i][j]); \
		} \
	} while (0)
#define STORE(sum, t, vectors) \
	EACH_VECTOR(j) { \
		float *y = (t)->y + j * (t)->y_vector; \
		EACH_POSITION(i) v_store(y + i * OG_LANES, v_lesser(high, v_greater(low, sum[i][j]))); \
	}

/* positions and vectors are constants of the caller, so that `sum` is registers. */
EXPR void tile(const cpu_expand_tile *t, const int positions, const int vectors)
{
	v sum[POSITIONS][CPU_CHANNELS_VECTORS], low = v_splat(t->low), high = v_splat(t->high);
	const float *w = t->weights, *block = t->x, *ahead = t->next;
	BEGIN(sum, w, vectors)
	w += vectors * OG_LANES;
	for (int64_t k = t->blocks; k > 0; k--, block += t->block) {
		const float *behind = block + (k > 1 ? OG_LANES : t->last);
		for (int i = 0; i < t->ahead; i++, ahead += CPU_CHANNELS_LINE) __builtin_prefetch(ahead);
		for (const float *x = block; x < behind; x++, w += vectors * OG_LANES) MULTIPLY(sum, w, x, OG_LANES, vectors);
	}
	STORE(sum, t, vectors)
}

EXPR void stem(const cpu_expand_tile *t, const int vectors)
{
	enum { positions = POSITIONS };
	v sum[POSITIONS][CPU_CHANNELS_VECTORS], low = v_splat(t->low), high = v_splat(t->high);
	const float *w = t->weights;
	BEGIN(sum, w, vectors)
	for (int64_t k = 0; k < t->taps; k++) {
		const float *x = t->x + t->tap[k];
		w += vectors * OG_LANES;
		MULTIPLY(sum, w, x, 2, vectors);
	}
	STORE(sum, t, vectors)
}
static void stem_1(const cpu_expand_tile *t) { stem(t, 1); }
static void stem_2(const cpu_expand_tile *t) { stem(t, 2); }

#define UP_TO_6(X, vectors) X(1, vectors) X(2, vectors) X(3, vectors) X(4, vectors) X(5, vectors) X(6, vectors)
#if OG_LANES == 16
#define UP_TO_MOST(X, vectors) \
	UP_TO_6(X, vectors) X(7, vectors) X(8, vectors) X(9, vectors) X(10, vectors) X(11, vectors) X(12, vectors) \
	X(13, vectors) X(14, vectors)
#else
#define UP_TO_MOST(X, vectors) UP_TO_6(X, vectors)
#endif
#define TILES(X) UP_TO_MOST(X, 1) UP_TO_MOST(X, 2)

#define TILE(positions, vectors) static void tile_##positions##x##vectors(const cpu_expand_tile *t) { tile(t, positions, vectors); }
TILES(TILE)

void CPU_NAME(cpu_expands_, OG_ISA)(cpu_kernels *k)
{
	k->expand_positions = POSITIONS;
	k->stem[1] = stem_1;
	k->stem[2] = stem_2;
#define SLOT(positions, vectors) k->expand[positions][vectors] = tile_##positions##x##vectors;
	TILES(SLOT)
}
#endif
