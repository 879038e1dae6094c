/* product.h -- the matrix product that convolutions and matrix products share.
 *
 * C[m x n] = start + A[m x k] * B[k x n]. A is read element by element, with any strides, or packed in blocks of tile
 * rows. B is read in strips of columns, a block of rows at a time; it is packed when the plan is built, put in a
 * buffer block by block, or read where it lies. Behind the last block the epilogue runs over each row of the strip
 * while these rows are in L1. */
#ifndef CPU_PRODUCT_H
#define CPU_PRODUCT_H

#include "cpu/cpu.h"

enum { CPU_DEPTH = 384 };                /* rows of a block of B, at most: 8 x 384 floats of A take a third of L1 */

typedef struct cpu_product {
	const cpu_kernels *kernels;
	int64_t m, n, k;
	int rows, vectors;                   /* of a tile */
	int64_t strip;                       /* columns of a strip; the last one may have fewer */
	int64_t depth;                       /* rows of B in a block */
	int64_t chunk;                       /* rows of C in a task, whole tiles */
	int64_t strips, chunks;
	bool tight;                          /* rows of a packed B have no padding: it is read once, at the speed of memory */
} cpu_product;

/* One product being run. */
typedef struct cpu_operands cpu_operands;
struct cpu_operands {
	const float *a; ptrdiff_t a_row, a_k;        /* element (i, k) is at a[i * a_row + k * a_k] */
	bool a_packed;                       /* by cpu_product_pack_a; a_row and a_k are then not looked at */
	const float *start; ptrdiff_t start_row; bool start_columns;   /* as in cpu_tile */
	float *c; ptrdiff_t c_row;
	const int32_t *tap;                  /* NULL, or where row k of a block of B begins, and *ld is of no use */
	/* B's rows [k0, k1) of columns [j0, j1), *ld elements apart; may be put in the buffer. A strip begins at j0 and a
	 * block at k0. */
	const float *(*columns)(const cpu_operands *, int64_t k0, int64_t k1, int64_t j0, int64_t j1, float *buffer,
	                        ptrdiff_t *ld);
	const void *source;                  /* for columns */
	const cpu_strips *tail;              /* NULL: none */
	const og_tensor *const *in;          /* for tail */
	int64_t at;                          /* where c[0] lies in the output */
};

/* Chooses tile and blocks; the caller may then set depth, strip and strips. */
void cpu_product_plan(cpu_product *, const cpu_kernels *, int64_t m, int64_t n, int64_t k, bool b_packed);
/* Cuts rows into chunks when the strips of `outer` products are too few for the threads; packed bytes stay the same. */
void cpu_product_share(cpu_product *, int64_t outer, int threads);
/* Computes one strip of one chunk. buffer: for columns(); tail_buffers: of cpu_strips_bytes(o->tail). */
void cpu_product_run(const cpu_product *, const cpu_operands *, int64_t strip, int64_t chunk, float *buffer,
                     float *tail_buffers);
/* Bytes of a buffer that a whole block of B fits, and a vector more, a multiple of 64. */
size_t cpu_product_buffer(const cpu_product *);

/* A packed: blocks of p->rows rows, each [k][rows]; rows that are not there are 0. SIZE_MAX on overflow. */
size_t cpu_product_bytes_a(const cpu_product *);
void cpu_product_pack_a(const cpu_product *, const float *a, float *packed);     /* a: [m][k] */

/* B as a plain matrix: element (k, j) is alpha * b[k * b_k + j * b_j]. */
typedef struct cpu_matrix { const float *b; ptrdiff_t b_k, b_j; float alpha; } cpu_matrix;
/* For cpu_operands.columns: in place when the strip is whole vectors of contiguous columns, else in the buffer. */
const float *cpu_matrix_columns(const cpu_matrix *, const cpu_product *, int64_t k0, int64_t k1, int64_t j0,
                                int64_t j1, float *buffer, ptrdiff_t *ld);

/* B packed: strips one after the other, each [k][its columns], these in whole vectors unless tight; up to a vector is
 * read behind the last. SIZE_MAX on overflow. */
size_t cpu_product_bytes_b(const cpu_product *);
void cpu_product_pack_b(const cpu_product *, const cpu_matrix *, float *packed);

/* Elements of a strip's rows: whole vectors, unless the packed B is tight. */
static inline int64_t cpu_product_width(const cpu_product *p, int64_t j0, int64_t j1)
{
	return p->tight ? j1 - j0 : (j1 - j0 + p->kernels->lanes - 1) / p->kernels->lanes * p->kernels->lanes;
}

#endif
