/* winograd.h -- the inner loops of Winograd convolution, one set for each instruction set.
 *
 * A form says how many cells of an axis a tile needs, at how many points they are multiplied, and how many outputs it gives.
 * Points are those with the least error of all that are exact in a few bits (docs/winograd.md): 0, +-A, +-B and infinity for
 * 4 outputs; 0, +-1 and infinity for 2; for 4 outputs two cells apart 0, +-C, D and infinity of the even cells, and the four
 * odd cells as they are. */
#ifndef CPU_WINOGRAD_H
#define CPU_WINOGRAD_H

#include "cpu/kernels.h"

#define WINOGRAD_A 0.625
#define WINOGRAD_B 1.5
#define WINOGRAD_C 0.75
#define WINOGRAD_D 2.0
enum { WINOGRAD_TILES = 14, WINOGRAD_VECTORS = 2 };
enum { WINOGRAD_4, WINOGRAD_2, WINOGRAD_4_APART, WINOGRAD_FORMS };
enum { WINOGRAD_MOST_CELLS = 9, WINOGRAD_MOST_POINTS = 9, WINOGRAD_MOST_OUTPUTS = 4 };      /* of an axis */

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

typedef struct winograd_form {
	int cells, points, outputs;          /* of an axis */
	/* Rows of cells to points, `point` elements apart; points to rows of outputs. */
	void (*input)(const float *x, ptrdiff_t x_row, float *to, ptrdiff_t point);
	void (*output)(const float *m, ptrdiff_t point, const float *bias, float *y, ptrdiff_t y_row);
} winograd_form;

typedef struct winograd_kernels {
	int most_tiles;
	winograd_product_fn *const (*products)[WINOGRAD_VECTORS];      /* [tiles - 1][vectors - 1] */
	winograd_form form[WINOGRAD_FORMS];
} winograd_kernels;

#endif
