/* points.h -- products at points: what winograd.c and strassen.c share.
 *
 * Both take cells of the input to sums of them, called points, multiply points of the input by points of the weights, and take
 * sums of these products back to outputs. A tile is what is transformed together. At each point a product is left, sums over
 * channels for tiles by outputs; WINOGRAD_VECTORS blocks of outputs are a strip. */
#ifndef CPU_POINTS_H
#define CPU_POINTS_H

#include "cpu/cpu.h"
#include "cpu/winograd.h"

typedef struct cpu_points {
	const cpu_kernels *kernels;
	int n;                               /* points of a tile */
	int64_t channels, in_blocks, out_blocks;     /* of the product at a point */
	int64_t tiles, most_tiles;           /* all; of a task */
	int64_t block, blocks;               /* tiles of a task; tasks side by side */
	int64_t strips, strip, groups;       /* all; of a task; tasks that transform the same tiles again */
	ptrdiff_t m_point;                   /* floats from the sums at a point to those at the next */
	double input_work, output_work;      /* vector operations in the time of transforming a tile of a block */
} cpu_points;

/* One point of tiles that lie side by side, [block of channels][tile][lane]; which of the weights it has, those of neighbours
 * being the same or the next; where its sums go. */
typedef struct cpu_points_at { const float *x; ptrdiff_t block; int weights, sums; } cpu_points_at;

/* Stretches of memory, of as many cache lines each, that are wanted when the products are done. */
enum { CPU_POINTS_LATER = 16 };
typedef struct cpu_points_later { const float *at[CPU_POINTS_LATER]; int n; int64_t lines; } cpu_points_later;

/* Cuts tiles into blocks and strips into groups so that the slots end soonest; returns the vector operations of the busiest. */
double cpu_points_plan(cpu_points *, int slots);
/* An odd number of vectors from a point to the next: an even one could put all points into a few sets of L1. */
static inline ptrdiff_t cpu_points_apart(const cpu_points *p, int64_t vectors) { return (ptrdiff_t)((vectors | 1) * p->kernels->lanes); }
/* The sums of n tiles for `vectors` blocks of outputs at m: [point][tile][WINOGRAD_VECTORS * lanes]; at[] for each point;
 * u: weights, each [channel][vectors * lanes]; more: those of another strip follow and will be wanted next. What is wanted
 * later is fetched into L2 at an even rate. */
void cpu_points_multiply(const cpu_points *, const cpu_points_at *at, const float *u, bool more, int vectors, int64_t n, float *m,
                         const cpu_points_later *);

#endif
