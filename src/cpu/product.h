/* product.h -- the matrix product that convolutions and matrix products share.
 *
 * C[m x n] = start + A[m x k] * B[k x n]. A is read element by element, with any strides, or packed in blocks of tile
 * rows. B is read in strips: some columns, whole vectors, all rows in depth blocks; it is packed when the plan is
 * built, copied to a buffer in L2 strip by strip, or read where it lies. Behind the last depth block the epilogue
 * runs over each row of the strip while a block of rows is in L1. */
#ifndef CPU_PRODUCT_H
#define CPU_PRODUCT_H

#include "cpu/cpu.h"

typedef struct cpu_product {
	const cpu_kernels *kernels;
	int64_t m, n, k;
	int rows, vectors;                   /* of a tile */
	int64_t strip;                       /* columns of a strip, whole tiles; the last one may have fewer */
	int64_t depth;                       /* rows of B in a block */
	int64_t chunk;                       /* rows of C in a task, whole tiles */
	int64_t strips, chunks;
} cpu_product;

/* One product being run. */
typedef struct cpu_operands cpu_operands;
struct cpu_operands {
	const float *a; ptrdiff_t a_row, a_k;        /* element (i, k) is at a[i * a_row + k * a_k] */
	bool a_packed;                       /* by cpu_product_pack_a; a_row and a_k are then not looked at */
	const float *start; ptrdiff_t start_row; bool start_columns;   /* as in cpu_tile */
	float *c; ptrdiff_t c_row;
	/* B's rows [k0, k1) of columns [j0, j1), *ld elements apart; may be put in the buffer. j0 is where a strip begins. */
	const float *(*columns)(const cpu_operands *, int64_t k0, int64_t k1, int64_t j0, int64_t j1, float *buffer,
	                        ptrdiff_t *ld);
	const void *source;                  /* for columns */
	const cpu_strips *tail;              /* NULL: none */
	const og_tensor *const *in;          /* for tail */
	int64_t at;                          /* where c[0] lies in the output */
};

/* Chooses tile and blocks. What packed bytes depend on does not depend on `threads`. outer: products run at once. */
void cpu_product_plan(cpu_product *, const cpu_kernels *, int64_t m, int64_t n, int64_t k, bool b_packed, int64_t outer,
                      int threads);
/* Bytes that a slot needs: a strip's buffer and the tail's, a multiple of 64; SIZE_MAX when it is too much. */
size_t cpu_product_workspace(const cpu_product *, const cpu_strips *tail);
/* Computes one strip of one chunk; workspace: the slot's. */
void cpu_product_run(const cpu_product *, const cpu_operands *, int64_t strip, int64_t chunk, void *workspace);

/* The tiles of at most p->rows rows over n columns, from t->a, t->b, t->c and t->start on, which move; t->last is set. */
void cpu_product_tiles(const cpu_product *, cpu_tile *t, int rows, int64_t n);

/* A packed: blocks of p->rows rows, each [k][rows]; rows that are not there are 0. SIZE_MAX on overflow. */
size_t cpu_product_bytes_a(const cpu_product *);
void cpu_product_pack_a(const cpu_product *, const float *a, float *packed);     /* a: [m][k] */

/* B as a plain matrix: element (k, j) is alpha * b[k * b_k + j * b_j]. */
typedef struct cpu_matrix { const float *b; ptrdiff_t b_k, b_j; float alpha; } cpu_matrix;
/* Copies rows [k0, k1) of columns [j0, j1), rows ld elements apart. */
void cpu_matrix_copy(const cpu_matrix *, int64_t k0, int64_t k1, int64_t j0, int64_t j1, float *to, ptrdiff_t ld);

/* B packed: strips one after the other, each [k][its columns in whole vectors]. SIZE_MAX on overflow. */
size_t cpu_product_bytes_b(const cpu_product *);
void cpu_product_pack_b(const cpu_product *, const cpu_matrix *, float *packed);

/* Elements of a strip's rows: whole vectors. */
static inline int64_t cpu_product_width(const cpu_product *p, int64_t j0, int64_t j1)
{
	return (j1 - j0 + p->kernels->lanes - 1) / p->kernels->lanes * p->kernels->lanes;
}

#endif
