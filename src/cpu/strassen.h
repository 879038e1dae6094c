/* strassen.h -- the sums of strassen.c, one set for each instruction set. A quarter of a matrix is [row half][column half]. */
#ifndef CPU_STRASSEN_H
#define CPU_STRASSEN_H

#include "cpu/kernels.h"

enum { STRASSEN_POINTS = 7, STRASSEN_SUMS = 4 };     /* three points of the input are quarters themselves */

/* A block of output channels of the upper and of the lower half. */
typedef struct strassen_outputs {
	const float *m;                      /* sums at the first point: a vector of each tile */
	ptrdiff_t m_point, m_tile;           /* floats from a point to the next, from a tile to the next */
	const float *bias[2];
	float *y[2][2];
	const float *other[2][2];            /* what the tail will read, to be fetched; or what is added to the outputs */
	bool adds;
	float low, high;                     /* between which outputs are kept */
	int64_t tiles, left;                 /* left: tiles whose left cells are to be written */
} strassen_outputs;

typedef struct strassen_kernels {
	/* n tiles of a block of channels of both halves: x[row half][column half] to sums, `point` floats apart. */
	void (*input)(const float *const x[2][2], int64_t n, float *to, ptrdiff_t point);
	/* n cells from rows of `wide` that are `down` floats apart, `across` floats from one to the next; the first is that of column
	 * `column`. Those that lie `next` floats on are fetched. */
	void (*gather)(const float *x, int64_t n, int64_t wide, int64_t column, ptrdiff_t across, ptrdiff_t down, float *to,
	               ptrdiff_t next);
	void (*output)(const strassen_outputs *);
} strassen_kernels;

#endif
