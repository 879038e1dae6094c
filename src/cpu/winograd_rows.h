/* winograd_rows.h -- the transforms of winograd_rows.c, one set for each instruction set.
 *
 * Outputs two cells apart read even cells by the even taps of a row and odd cells by the odd ones. Of seven taps four are even and
 * three odd; for 4 outputs these need 7 and 6 cells and as many points: +-A, +-B, C, infinity, and -C for the even ones. At the
 * six that both have, their products are added. */
#ifndef CPU_WINOGRAD_ROWS_H
#define CPU_WINOGRAD_ROWS_H

#include "cpu/kernels.h"

#define ROWS_A 0.75
#define ROWS_B 1.5
#define ROWS_C 0.25
enum { ROWS_TAPS = 7, ROWS_EVEN = 4, ROWS_ODD = 3, ROWS_OUTPUTS = 4, ROWS_STEP = 8 };       /* STEP: cells from a tile to the next */
enum { ROWS_POINTS = 7, ROWS_SHARED = 6 };

/* Tiles of one row of windows at their points, to a row of outputs kept between low and high. */
typedef struct rows_outputs {
	const float *m;                      /* [tile][lanes] at the first point */
	ptrdiff_t m_point;                   /* floats from a point to the next */
	int64_t tiles;
	const float *bias;                   /* a vector */
	float low, high;
	float *y;                            /* [tile][ROWS_OUTPUTS][lanes] */
	ptrdiff_t next;                      /* floats on lies what is to be fetched, as it will be written next */
} rows_outputs;

typedef struct winograd_rows_kernels {
	/* Whole vectors of tiles, from the line of cells that the first reads on: `step` is a multiple of the lanes, and so many
	 * tiles and a vector more are at the line. Points, `step` floats apart, of even cells at `even` and of odd ones at `odd`. */
	void (*input)(const float *line, int64_t step, float *phases, float *even, float *odd);
	void (*output)(const rows_outputs *);
} winograd_rows_kernels;

#endif
