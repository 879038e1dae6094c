/* winograd_samples.h -- the transforms of winograd_samples.c, one set for each instruction set.
 *
 * In the horizontal direction 9 points serve a tile of 9 cells, whatever the width of the kernel: of r taps it gives 10 - r
 * outputs. Points are +-A, +-B, +-C, +-D and infinity (docs/winograd.md has their error). */
#ifndef CPU_WINOGRAD_SAMPLES_H
#define CPU_WINOGRAD_SAMPLES_H

#include "cpu/kernels.h"

#define LINE_A 0.25
#define LINE_B 0.625
#define LINE_C 1.0
#define LINE_D 2.0
enum { LINE_POINTS = 9, LINE_LEAST_TAPS = 3, LINE_MOST_TAPS = 7, LINE_MOST_OUTPUTS = LINE_POINTS + 1 - LINE_LEAST_TAPS };

/* A tile of several channels: from sums at the points to neighbours in a line. */
typedef struct line_outputs {
	const float *m;                      /* [channel][lanes] of the first point */
	ptrdiff_t m_channel, m_point;
	const float *start;                  /* one for each channel */
	float *y;                            /* [channel][position][lanes] */
	ptrdiff_t y_channel;
	int channels, wanted;                /* wanted: outputs of the tile that are there */
} line_outputs;
typedef void line_outputs_fn(const line_outputs *);

typedef struct winograd_samples_kernels {
	/* Cells of tiles that begin `step` apart, to points; those of a tile are `point` apart, tiles follow each other. */
	void (*input)(const float *x, ptrdiff_t step, int64_t tiles, float *to, ptrdiff_t point);
	line_outputs_fn *output[2][LINE_MOST_OUTPUTS + 1];     /* [with Relu][outputs of a tile] */
} winograd_samples_kernels;

#endif
