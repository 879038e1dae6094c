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

typedef struct cpu_kernels {
	const char *name;                    /* "avx2" */
	int isa, lanes;
	int max_rows, max_sums;              /* of a tile: rows; rows * vectors */
	cpu_tile_fn *tile[CPU_MAX_ROWS + 1][CPU_MAX_VECTORS + 1];
	cpu_tile_fn *taps[CPU_MAX_ROWS + 1][CPU_MAX_VECTORS + 1];
	cpu_unfold_fn *unfold;
} cpu_kernels;

/* The best instruction set that the machine and OPGRAFT_ISA=scalar|avx2|avx512 allow (a mask that is no name allows all): OG_ISA_*,
 * and its name where it is wanted. */
int cpu_level(const char **name);
/* The kernels for this machine, at most those of OPGRAFT_ISA=scalar|avx2|avx512 (read once). */
const cpu_kernels *cpu_kernels_here(void);

/* Each fills its slots for one instruction set. */
typedef void cpu_fill_fn(cpu_kernels *);
cpu_fill_fn cpu_products_scalar, cpu_products_avx2, cpu_products_avx512;
cpu_fill_fn cpu_windows_scalar, cpu_windows_avx2, cpu_windows_avx512;

#endif
