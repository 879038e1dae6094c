/* winograd.h -- the inner loops of Winograd convolution, one set for each instruction set.
 *
 * F(4x4, 3x3): 36 points for a tile of 6 x 6 cells, which gives 4 x 4 outputs. Points are 0, +-A, +-B and infinity in
 * each direction; these have the least error of those that are exact in a few bits (docs/winograd.md). */
#ifndef CPU_WINOGRAD_H
#define CPU_WINOGRAD_H

#include "cpu/kernels.h"

#define WINOGRAD_A 0.625
#define WINOGRAD_B 1.5
enum { WINOGRAD_TILES = 14, WINOGRAD_VECTORS = 2, WINOGRAD_POINTS = 36 };

/* At one point: m[tile] = sum over channels of x[channel][tile] * u[channel], u and m of one or two vectors. */
typedef struct winograd_product {
	const float *x;                      /* [blocks of channels][tiles][lanes] */
	ptrdiff_t x_block;                   /* elements from a block to the next */
	const float *u;                      /* [channels][vectors * lanes] */
	float *m;                            /* [tiles][WINOGRAD_VECTORS * lanes] */
	int64_t channels;
	const float *ahead;                  /* to be fetched into L2: `ahead_step` elements for each vector of u */
	ptrdiff_t ahead_step;
} winograd_product;
typedef void winograd_product_fn(const winograd_product *);

typedef struct winograd_kernels {
	int most_tiles;
	winograd_product_fn *const (*products)[WINOGRAD_VECTORS];      /* [tiles - 1][vectors - 1] */
	/* Six rows of six cells to 36 points, `point` elements apart. */
	void (*input)(const float *x, ptrdiff_t x_row, float *to, ptrdiff_t point);
	/* 36 points to four rows of four outputs. */
	void (*output)(const float *m, ptrdiff_t point, const float *bias, float *y, ptrdiff_t y_row);
} winograd_kernels;

#endif
