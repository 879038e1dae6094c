/* product_tmpl.c -- tiles of a matrix product, held in registers. */
#include "cpu/kernels.h"
#include "cpu/lanes.h"

/* rows, vectors and taps are constants of the caller, so that `sum` is registers. */
EXPR void tile(const cpu_tile *t, const int rows, const int vectors, const bool taps)
{
	v sum[CPU_MAX_ROWS][CPU_MAX_VECTORS];
	const float *a[CPU_MAX_ROWS], *b = t->b;
	const int32_t *tap = t->tap;
	const int end = vectors - 1;
	const size_t last = (size_t)t->last;
	const ptrdiff_t a_k = t->a_k, b_k = t->b_k, c_row = t->c_row, start_row = t->start_row;
	const float *start = t->start;
	float *c = t->c;
	if (t->start_columns) {
		UNROLL for (int i = 0; i < rows; i++, start += start_row) {
			UNROLL for (int j = 0; j < end; j++) sum[i][j] = v_load(start + j * OG_LANES);
			sum[i][end] = last < OG_LANES ? v_load_n(start + end * OG_LANES, last) : v_load(start + end * OG_LANES);
		}
	} else {
		UNROLL for (int i = 0; i < rows; i++) {
			UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = v_splat(start[i * start_row]);
		}
	}
	UNROLL for (int i = 0; i < rows; i++) a[i] = t->a + i * t->a_row;
	ptrdiff_t at = 0;
	for (int64_t k = t->k; k > 0; k--) {
		v x[CPU_MAX_VECTORS];
		const float *from = taps ? b + *tap++ : b;
		UNROLL for (int j = 0; j < vectors; j++) x[j] = v_load(from + j * OG_LANES);
		UNROLL for (int i = 0; i < rows; i++) {
			v weight = v_splat(a[i][at]);
			UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = multiply_add(weight, x[j], sum[i][j]);
		}
		b += b_k;
		at += a_k;
	}
	UNROLL for (int i = 0; i < rows; i++, c += c_row) {
		UNROLL for (int j = 0; j < end; j++) v_store(c + j * OG_LANES, sum[i][j]);
		if (last < OG_LANES) v_store_n(c + end * OG_LANES, sum[i][end], last);
		else v_store(c + end * OG_LANES, sum[i][end]);
	}
}

/* The tiles whose sums fit the registers: X(rows, vectors). */
#define UP_TO_2(X, r) X(r, 1) X(r, 2)
#define UP_TO_3(X, r) UP_TO_2(X, r) X(r, 3)
#define UP_TO_4(X, r) UP_TO_3(X, r) X(r, 4)
#define UP_TO_6(X, r) UP_TO_4(X, r) X(r, 5) X(r, 6)
#define UP_TO_8(X, r) UP_TO_6(X, r) X(r, 7) X(r, 8)
#if OG_LANES == 16
#define TILES(X) UP_TO_8(X, 1) UP_TO_8(X, 2) UP_TO_8(X, 3) UP_TO_6(X, 4) UP_TO_4(X, 5) UP_TO_4(X, 6) UP_TO_3(X, 7) \
	UP_TO_3(X, 8)
enum { TILE_ROWS = 8, TILE_SUMS = 24 };
#else
#define TILES(X) UP_TO_8(X, 1) UP_TO_6(X, 2) UP_TO_4(X, 3) UP_TO_3(X, 4) UP_TO_2(X, 5) UP_TO_2(X, 6)
enum { TILE_ROWS = 6, TILE_SUMS = 12 };
#endif

#define TILE(rows, vectors) \
	static void tile_##rows##x##vectors(const cpu_tile *t) { tile(t, rows, vectors, false); } \
	static void taps_##rows##x##vectors(const cpu_tile *t) { tile(t, rows, vectors, true); }
TILES(TILE)

void CPU_NAME(cpu_products_, OG_ISA)(cpu_kernels *k)
{
	k->max_rows = TILE_ROWS;
	k->max_sums = TILE_SUMS;
#define SLOT(rows, vectors) \
	k->tile[rows][vectors] = tile_##rows##x##vectors; \
	k->taps[rows][vectors] = taps_##rows##x##vectors;
	TILES(SLOT)
#undef SLOT
}
