/* Gemm: alpha * A * B + beta * C, A and B transposed on demand. The fast forms are the backend's. */
#include "ops/product.h"

#if OP_BASE
enum { GEMM_ALPHA, GEMM_BETA, GEMM_TRANS_A, GEMM_TRANS_B };

static og_status gemm_shape(og_infer *c)
{
	const og_shape *a = &c->in[0], *b = &c->in[1], *added = &c->in[2];
	int ta = c->attr[GEMM_TRANS_A].i != 0, tb = c->attr[GEMM_TRANS_B].i != 0;
	og_shape *y = &c->out[0];
	og_dim depth;
	if ((a->rank >= 0 && a->rank != 2) || (b->rank >= 0 && b->rank != 2))
		return c->host->fail(OG_BAD_FILE, "inputs of rank %d and %d are not matrices; flatten them first",
		                     a->rank, b->rank);
	if (a->rank < 0 || b->rank < 0) return OG_OK;
	depth = a->dims[!ta];
	OP_TRY(dims_same(c, &depth, b->dims[tb], !ta));
	y->rank = 2;
	y->dims[0] = a->dims[ta];
	y->dims[1] = b->dims[!tb];
	for (int k = 0; c->n_in > 2 && k < added->rank; k++) {
		og_dim want = 2 - added->rank + k < 0 ? 1 : y->dims[2 - added->rank + k];
		if (added->dims[k] >= 0 && want >= 0 && added->dims[k] != 1 && added->dims[k] != want)
			return c->host->fail(OG_BAD_FILE, "dimension %d of C is %lld and does not broadcast to %lld; "
			                     "correct the model", k, (long long)added->dims[k], (long long)want);
	}
	return OG_OK;
}

static double gemm_flops(const og_infer *c)
{
	return 2.0 * axis_elements(&c->in[0], 0) * (double)c->out[0].dims[1];
}

typedef struct gemm_task { const og_call *call; product_side left, right; int64_t m, n, depth; } gemm_task;

/* Item: one block. */
static void gemm_items(void *arg, int64_t begin, int64_t end)
{
	const gemm_task *g = (const gemm_task *)arg;
	const og_tensor *added = g->call->n_in > 2 ? g->call->in[2] : NULL, *y = g->call->out[0];
	double alpha = (double)g->call->attr[GEMM_ALPHA].f, beta = (double)g->call->attr[GEMM_BETA].f;
	for (int64_t item = begin; item < end; item++) {
		product_place at = product_at(g->m, g->n, item);
		double sum[PRODUCT_ROWS][PRODUCT_COLUMNS] = { { 0 } };
		product_double(&g->left, &g->right, g->depth, at.i, at.rows, at.j, at.columns, sum);
		for (int r = 0; r < at.rows; r++) {
			int64_t first = (at.i + r) * g->n + at.j;
			for (int64_t k = 0; k < at.columns; k++) {
				sum[r][k] *= alpha;
				if (added) sum[r][k] += beta * number_get(added, axis_broadcast(y, added, first + k));
			}
			number_write(y, first, 1, sum[r], at.columns);
		}
	}
}

static og_status gemm_eval(const og_call *c)
{
	const og_tensor *a = c->in[0], *b = c->in[1];
	int ta = c->attr[GEMM_TRANS_A].i != 0, tb = c->attr[GEMM_TRANS_B].i != 0;
	gemm_task g = { .call = c, .m = a->dims[ta], .n = b->dims[!tb], .depth = a->dims[!ta] };
	g.left = (product_side){ .t = a, .outer = ta ? 1 : g.depth, .inner = ta ? g.m : 1 };
	g.right = (product_side){ .t = b, .outer = tb ? g.depth : 1, .inner = tb ? 1 : g.n };
	c->host->parallel(c, product_blocks(g.m, g.n), 1, gemm_items, &g);
	return OG_OK;
}
#endif

OP(gemm, .name = "Gemm", .since = 7, .doc = "Matrix product with a scale, transpositions and a broadcast addend.",
   .inputs = "A:T, B:T, C:T?", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   ATTRS(OG_FLOAT("alpha", 1.0), OG_FLOAT("beta", 1.0), OG_INT("transA", 0), OG_INT("transB", 0)),
   .shape = gemm_shape, .eval = gemm_eval, .flops = gemm_flops,
   .cases = "f32[5,7] f32[7,9] f32[9] | f32[7,5] f32[9,7] f32[5,1]; transA=1, transB=1, alpha=0.5, beta=2"
            " | f32[1,4] f32[4,3]")
