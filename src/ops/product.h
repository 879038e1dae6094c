/* product.h -- the plain definition of matrix products. */
#ifndef OPS_PRODUCT_H
#define OPS_PRODUCT_H

#include "ops/axis.h"
#include "ops/number.h"

#if OP_BASE

enum { PRODUCT_ROWS = 4, PRODUCT_COLUMNS = 256 };

/* One operand: element (o, k), o being its row in the result (left) or its column (right), k running along what is
 * summed, is element at + o * outer + k * inner of t, less element o * zero_step of zero (NULL: nothing is subtracted). */
typedef struct product_side {
	const og_tensor *t, *zero;
	int64_t at, outer, inner, zero_step;
} product_side;

/* Defines f(left, right, depth, i, rows, j, columns, sum): sum[r][c] += row i + r of left by column j + c of right. */
#define PRODUCT_BLOCK(f, T, get, read) \
	OG_INLINE void f(const product_side *left, const product_side *right, int64_t depth, int64_t i, int rows, \
	                 int64_t j, int64_t columns, T sum[][PRODUCT_COLUMNS]) \
	{ \
		T b[PRODUCT_COLUMNS], zero[PRODUCT_COLUMNS]; \
		for (int64_t n = 0; right->zero && n < columns; n++) zero[n] = get(right->zero, (j + n) * right->zero_step); \
		for (int64_t k = 0; k < depth; k++) { \
			read(b, right->t, right->at + k * right->inner + j * right->outer, right->outer, columns); \
			for (int64_t n = 0; right->zero && n < columns; n++) b[n] -= zero[n]; \
			for (int r = 0; r < rows; r++) { \
				T a = get(left->t, left->at + (i + r) * left->outer + k * left->inner); \
				if (left->zero) a -= get(left->zero, (i + r) * left->zero_step); \
				for (int64_t n = 0; n < columns; n++) sum[r][n] += a * b[n]; \
			} \
		} \
	}
PRODUCT_BLOCK(product_double, double, number_get, number_read)
PRODUCT_BLOCK(product_int, int64_t, number_get_int, number_read_int)

/* A block of the result: rows i to i + rows - 1, columns j to j + columns - 1. */
typedef struct product_place { int64_t batch, i, j, columns; int rows; } product_place;

/* How many blocks a result of m by n has, and which one block k of a batch of results is. */
OG_INLINE int64_t product_blocks(int64_t m, int64_t n)
{
	return ((m + PRODUCT_ROWS - 1) / PRODUCT_ROWS) * ((n + PRODUCT_COLUMNS - 1) / PRODUCT_COLUMNS);
}

OG_INLINE product_place product_at(int64_t m, int64_t n, int64_t k)
{
	int64_t down = (m + PRODUCT_ROWS - 1) / PRODUCT_ROWS, across = (n + PRODUCT_COLUMNS - 1) / PRODUCT_COLUMNS;
	product_place p = { k / across / down, k / across % down * PRODUCT_ROWS, k % across * PRODUCT_COLUMNS, 0, 0 };
	p.rows = m - p.i < PRODUCT_ROWS ? (int)(m - p.i) : PRODUCT_ROWS;
	p.columns = n - p.j < PRODUCT_COLUMNS ? n - p.j : PRODUCT_COLUMNS;
	return p;
}

/* ---- MatMul and MatMulInteger ----------------------------------------------------------------- */

/* A vector is a row on the left and a column on the right; the dims before the last two broadcast. */
OG_INLINE og_status product_shape(og_infer *c)
{
	const og_shape *a = &c->in[0], *b = &c->in[1];
	og_shape *y = &c->out[0];
	int batch;
	if (a->rank < 0 || b->rank < 0) return OG_OK;
	if (a->rank == 0 || b->rank == 0)
		return c->host->fail(OG_BAD_FILE, "a scalar is no matrix; multiply scalars with Mul");
	og_dim depth = a->dims[a->rank - 1];
	OP_TRY(dims_same(c, &depth, b->dims[b->rank > 1 ? b->rank - 2 : 0], a->rank - 1));
	batch = (a->rank > b->rank ? a->rank : b->rank) - 2;
	if (batch < 0) batch = 0;
	for (int k = 0; k < batch; k++) {
		int i = a->rank - 2 - batch + k, j = b->rank - 2 - batch + k;
		og_dim m = i >= 0 ? a->dims[i] : 1, n = j >= 0 ? b->dims[j] : 1;
		if (m >= 0 && n >= 0 && m != n && m != 1 && n != 1)
			return c->host->fail(OG_BAD_FILE, "batches of %lld and %lld do not broadcast; correct the model",
			                     (long long)m, (long long)n);
		y->dims[k] = og_dim_do(c, OG_DIM_BROADCAST, m, n);
	}
	y->rank = batch;
	if (a->rank > 1) y->dims[y->rank++] = a->dims[a->rank - 2];
	if (b->rank > 1) y->dims[y->rank++] = b->dims[b->rank - 1];
	return OG_OK;
}

OG_INLINE double product_flops(const og_infer *c)
{
	return 2.0 * axis_elements(&c->out[0], 0) * axis_elements(&c->in[0], c->in[0].rank - 1);
}

typedef struct product_task {
	product_side left, right;
	const og_tensor *y;
	int64_t m, n, depth;
	int batch_rank, whole;               /* whole: in int64 */
	int64_t batch[OG_MAX_RANK];          /* dims of the result before the last two */
} product_task;

/* First element of the matrix of t that goes with matrix k of the result; `own` of t's dims are the matrix. */
OG_INLINE int64_t product_batch(const product_task *p, const og_tensor *t, int own, int64_t k)
{
	int64_t at = 0, step = og_span(t, t->rank - own, t->rank);
	for (int i = p->batch_rank - 1, j = t->rank - own - 1; i >= 0 && j >= 0; i--, j--) {
		if (t->dims[j] != 1) at += k % p->batch[i] * step;
		step *= t->dims[j];
		k /= p->batch[i];
	}
	return at;
}

/* Item: one block. */
OG_INLINE void product_items(void *arg, int64_t begin, int64_t end)
{
	const product_task *p = (const product_task *)arg;
	for (int64_t item = begin; item < end; item++) {
		product_place at = product_at(p->m, p->n, item);
		product_side left = p->left, right = p->right;
		int64_t first = (at.batch * p->m + at.i) * p->n + at.j;
		left.at = product_batch(p, left.t, left.t->rank > 1 ? 2 : 1, at.batch);
		right.at = product_batch(p, right.t, right.t->rank > 1 ? 2 : 1, at.batch);
		if (p->whole) {
			int64_t sum[PRODUCT_ROWS][PRODUCT_COLUMNS] = { { 0 } };
			product_int(&left, &right, p->depth, at.i, at.rows, at.j, at.columns, sum);
			for (int r = 0; r < at.rows; r++) number_write_int(p->y, first + r * p->n, 1, sum[r], at.columns);
		} else {
			double sum[PRODUCT_ROWS][PRODUCT_COLUMNS] = { { 0 } };
			product_double(&left, &right, p->depth, at.i, at.rows, at.j, at.columns, sum);
			for (int r = 0; r < at.rows; r++) number_write(p->y, first + r * p->n, 1, sum[r], at.columns);
		}
	}
}

/* a times b; the zero points may be NULL, and hold one element, or one for each row of a or column of b. */
OG_INLINE og_status product_run(const og_call *c, const og_tensor *a_zero, const og_tensor *b_zero)
{
	const og_tensor *a = c->in[0], *b = c->in[1];
	product_task p = { .y = c->out[0], .whole = !number_is_float(a->dtype) };
	int batch = (a->rank > b->rank ? a->rank : b->rank) - 2;
	int64_t count;
	p.batch_rank = batch > 0 ? batch : 0;
	memcpy(p.batch, p.y->dims, sizeof p.batch);
	count = og_span(p.y, 0, p.batch_rank);
	p.m = a->rank > 1 ? a->dims[a->rank - 2] : 1;
	p.n = b->rank > 1 ? b->dims[b->rank - 1] : 1;
	p.depth = a->dims[a->rank - 1];
	p.left = (product_side){ a, a_zero, 0, p.depth, 1, a_zero && og_count(a_zero) > 1 };
	p.right = (product_side){ b, b_zero, 0, 1, p.n, b_zero && og_count(b_zero) > 1 };
	if ((a_zero && og_count(a_zero) != (p.left.zero_step ? p.m : 1)) || (b_zero && og_count(b_zero) != (p.right.zero_step ? p.n : 1)))
		return c->host->fail(OG_UNSUPPORTED, "%s: zero points must be one, or one for each row of A or column of B",
		                     c->op->name);
	c->host->parallel(c, count * product_blocks(p.m, p.n), 1, product_items, &p);
	return OG_OK;
}

#endif
#endif
