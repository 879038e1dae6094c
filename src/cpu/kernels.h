/* kernels.h -- the inner loops that exist once per instruction set.
 *
 * Every *_tmpl.c is compiled for 1, 8 and 16 lanes; each object fills a cpu_kernels. In all of them a lane of the
 * result depends on that lane of the operands only, and the products of an element are added one after the other
 * in the order of k: how a matrix is cut into tiles does not change a bit of it. */
#ifndef CPU_KERNELS_H
#define CPU_KERNELS_H

#include "base/base.h"
#include "opgraft/op.h"
#include "ops/window.h"

enum { CPU_MAX_ROWS = 8, CPU_MAX_VECTORS = 8, CPU_MAX_LANES = 16 };

/* C[rows x columns] = start + A[rows x k] * B[k x columns], float32. Strides count elements. */
typedef struct cpu_tile {
	const float *a; ptrdiff_t a_row, a_k;
	const float *b; ptrdiff_t b_k;       /* columns are contiguous and whole vectors of them readable */
	const int32_t *tap;                  /* for taps[]: row k of B is at b + tap[k] and not at b + k * b_k */
	float *c; ptrdiff_t c_row;
	const float *start; ptrdiff_t start_row;
	bool start_columns;                  /* start holds an element for each column, not one for the whole row */
	int last;                            /* columns in the last vector: 1 to lanes */
	int64_t k;
} cpu_tile;
typedef void cpu_tile_fn(const cpu_tile *);

/* x [channels, in[1], in[2]] as a matrix y: a row for each (channel, tap), a column for each window, 0 where a tap lies
 * in the padding. Axis 0 of the windows has size 1. May write up to a vector behind y. */
typedef void cpu_unfold_fn(const window *, const float *x, int64_t channels, float *y);

/* Rows of n floats, `row` apart, and n vectors that follow each other: lane i of vector k is element k of row i. Of 1 to lanes
 * rows; into lanes that have no row goes the last one. */
typedef void cpu_turn_fn(const float *from, ptrdiff_t row, int rows, int64_t n, float *to);

/* Windows over blocks of cells [in[0]][in[1]][in[2]][lanes]: the greatest cell of each, or the mean. */
typedef struct cpu_pool {
	window w;
	bool max, padding;                   /* padding: it counts in a mean */
	const float *columns;                /* of each window of a row: its columns that count; NULL: all means have `scale` */
	float scale;
} cpu_pool;
/* Row (depth, height) of the windows. line: room for the cells of a row, padding included. */
typedef void cpu_pool_fn(const cpu_pool *, const float *x, int64_t depth, int64_t height, float *line, float *y);
/* The greatest of n cells, or their mean. */
typedef void cpu_fold_fn(bool max, const float *x, int64_t n, float *y);

/* Row `height` of the windows over a block of cells [in[1]][in[2]][lanes]. weights: a vector of lower bounds of what is stored, one of
 * upper ones, one of biases, then one for each tap. */
enum { CPU_DEPTHWISE_HEAD = 3 };
typedef void cpu_depthwise_fn(const window *, const float *x, const float *weights, int64_t height, float *y);

enum { CPU_CHANNELS_SUMS = 28, CPU_CHANNELS_VECTORS = 2, CPU_CHANNELS_LINE = 16 };     /* LINE: floats of a cache line */
/* y[vector][position][lane] = bias + the sum over blocks of input channels, taps and the channels of a block of weight * cell.
 * The lanes are output channels; positions are windows whose cells lie side by side: lanes floats apart, where blocks are
 * those of LAYOUT_CHANNELS, or one, where each block is one channel. */
typedef struct cpu_channels_tile {
	const float *x;
	ptrdiff_t block;                     /* floats from a block to the next */
	int64_t blocks;
	int last;                            /* channels in the last block */
	const ptrdiff_t *tap;                /* where the taps of a block begin, in floats */
	int64_t taps;
	const float *weights;                /* bias [vector][lane], then [block][tap][channel][vector][lane] */
	float *y;
	ptrdiff_t y_vector;
	/* To be fetched with each tap of a block, as it will be wanted later: cache lines of weights; so many positions of where
	 * the next tile's output goes and of what lies there in another tensor; the cells of the next tile. */
	const float *next;
	int ahead;
	const float *y_next, *other_next;
	int positions_next;
	bool x_next;
} cpu_channels_tile;
typedef void cpu_channels_fn(const cpu_channels_tile *);
/* y[i][vector] = x[i][vector] * by[i], for n rows of whole vectors. */
typedef void cpu_scale_fn(const float *x, const float *by, int64_t n, int vectors, float *y);

/* y[vector][position][lane] = the sum as in a cpu_channels_tile of one tap, by channels, kept between low and high; or over taps of a
 * plain input whose windows are two cells apart. */
typedef struct cpu_expand_tile {
	const float *x;
	ptrdiff_t block;
	int64_t blocks;
	int last;
	const ptrdiff_t *tap; int64_t taps;  /* plain: where the cell of each tap is, of the first window */
	const float *weights;                /* bias [vector][lane], then [block][channel] or [tap], [vector][lane] */
	const float *next; int ahead;        /* cache lines to fetch with each block */
	float low, high;
	float *y;
	ptrdiff_t y_vector;
} cpu_expand_tile;
typedef void cpu_expand_fn(const cpu_expand_tile *);
enum { CPU_EXPAND_POSITIONS = 14 };

/* y[i] = y[i] + add[i], kept between low and high; n is a number of whole vectors, add may be NULL. */
typedef void cpu_end_fn(float *y, const float *add, int64_t n, float low, float high);

typedef struct cpu_kernels {
	const char *name;                    /* "avx2" */
	int isa, lanes;
	int max_rows, max_sums;              /* of a tile: rows; rows * vectors */
	cpu_tile_fn *tile[CPU_MAX_ROWS + 1][CPU_MAX_VECTORS + 1];
	cpu_tile_fn *taps[CPU_MAX_ROWS + 1][CPU_MAX_VECTORS + 1];
	cpu_unfold_fn *unfold;
	int channels_sums;                   /* positions * vectors of a tile; 0: there are none */
	cpu_channels_fn *channels[2][CPU_CHANNELS_SUMS + 1][CPU_CHANNELS_VECTORS + 1];     /* [blocked][positions][vectors] */
	/* Blocked, and of the last vector only the first half of the lanes, where that takes less time; NULL: there are none. */
	cpu_channels_fn *channels_half[CPU_CHANNELS_SUMS + 1][CPU_CHANNELS_VECTORS + 1];
	cpu_scale_fn *scale;
	cpu_unfold_fn *unfold_blocks;        /* of an input that lies in blocks of channels, into the same; blocks for channels */
	cpu_depthwise_fn *depthwise;
	int expand_positions;                /* of a tile; 0: there are none */
	cpu_expand_fn *expand[CPU_EXPAND_POSITIONS + 1][CPU_CHANNELS_VECTORS + 1];
	cpu_expand_fn *stem[CPU_CHANNELS_VECTORS + 1];       /* plain, of expand_positions */
	cpu_end_fn *end;
	cpu_pool_fn *pool;
	cpu_fold_fn *fold;
	cpu_turn_fn *to_lanes, *from_lanes;  /* from rows to vectors, and back */
	const struct strassen_kernels *strassen;     /* strassen.h */
	const struct winograd_kernels *winograd;     /* winograd.h */
	const struct winograd_samples_kernels *winograd_samples;
	const struct winograd_rows_kernels *winograd_rows;   /* NULL: there are none */
} cpu_kernels;

/* The best instruction set that the machine and OPGRAFT_ISA=scalar|avx2|avx512 allow (a mask that is no name allows all): OG_ISA_*,
 * and its name where it is wanted. */
int cpu_level(const char **name);
/* The kernels for this machine, at most those of OPGRAFT_ISA=scalar|avx2|avx512 (read once). */
const cpu_kernels *cpu_kernels_here(void);

/* Each fills its slots for one instruction set. */
typedef void cpu_fill_fn(cpu_kernels *);
cpu_fill_fn cpu_products_scalar, cpu_products_avx2, cpu_products_avx512;
cpu_fill_fn cpu_winograd_scalar, cpu_winograd_avx2, cpu_winograd_avx512;
cpu_fill_fn cpu_winograd_rows_scalar, cpu_winograd_rows_avx2, cpu_winograd_rows_avx512;
cpu_fill_fn cpu_winograd_samples_scalar, cpu_winograd_samples_avx2, cpu_winograd_samples_avx512;
cpu_fill_fn cpu_strassen_scalar, cpu_strassen_avx2, cpu_strassen_avx512;
cpu_fill_fn cpu_windows_scalar, cpu_windows_avx2, cpu_windows_avx512;
cpu_fill_fn cpu_channels_scalar, cpu_channels_avx2, cpu_channels_avx512;
cpu_fill_fn cpu_expands_scalar, cpu_expands_avx2, cpu_expands_avx512;
cpu_fill_fn cpu_depthwise_scalar, cpu_depthwise_avx2, cpu_depthwise_avx512;
cpu_fill_fn cpu_clamps_scalar, cpu_clamps_avx2, cpu_clamps_avx512;
cpu_fill_fn cpu_pools_scalar, cpu_pools_avx2, cpu_pools_avx512;
cpu_fill_fn cpu_reorders_scalar, cpu_reorders_avx2, cpu_reorders_avx512;

#endif
