/* QLinearMatMul: a matrix product of quantized numbers, quantized again. */
#include "ops/product.h"
#include "ops/qlinear.h"

#if OP_BASE
static og_status qlinear_matmul_shape(og_infer *c)
{
	og_shape in[2];
	og_infer plain = qlinear_plain(c, in);
	return product_shape(&plain);
}

static double qlinear_matmul_flops(const og_infer *c)
{
	og_shape in[2];
	og_infer plain = qlinear_plain(c, in);
	return product_flops(&plain);
}

typedef struct qlinear_matmul_task { const og_call *call; product_task p; } qlinear_matmul_task;

/* Item: one block. */
static void qlinear_matmul_items(void *arg, int64_t begin, int64_t end)
{
	const qlinear_matmul_task *t = (const qlinear_matmul_task *)arg;
	const product_task *p = &t->p;
	for (int64_t item = begin; item < end; item++) {
		product_place at = product_at(p->m, p->n, item);
		product_side left = p->left, right = p->right;
		double sum[PRODUCT_ROWS][PRODUCT_COLUMNS] = { { 0 } };
		left.at = product_batch(p, left.t, left.t->rank > 1 ? 2 : 1, at.batch);
		right.at = product_batch(p, right.t, right.t->rank > 1 ? 2 : 1, at.batch);
		product_double(&left, &right, p->depth, at.i, at.rows, at.j, at.columns, sum);
		for (int64_t r = 0; r < at.rows; r++)
			for (int64_t k = 0; k < at.columns; k++)
				qlinear_put(t->call, (at.batch * p->m + at.i + r) * p->n + at.j + k, sum[r][k], at.i + r, at.j + k);
	}
}

static og_status qlinear_matmul_eval(const og_call *c)
{
	const og_tensor *a = c->in[QLINEAR_A], *b = c->in[QLINEAR_B], *y = c->out[0];
	const og_tensor *a_zero = c->in[QLINEAR_A_ZERO], *b_zero = c->in[QLINEAR_B_ZERO];
	int batch = (a->rank > b->rank ? a->rank : b->rank) - 2;
	qlinear_matmul_task t = { .call = c };
	t.p.batch_rank = batch > 0 ? batch : 0;
	memcpy(t.p.batch, y->dims, sizeof t.p.batch);
	t.p.m = a->rank > 1 ? a->dims[a->rank - 2] : 1;
	t.p.n = b->rank > 1 ? b->dims[b->rank - 1] : 1;
	t.p.depth = a->dims[a->rank - 1];
	for (int k = QLINEAR_A_SCALE; k <= QLINEAR_Y_ZERO; k++)
		if (k != QLINEAR_B) OP_TRY(qlinear_check(c, k, k < QLINEAR_B ? t.p.m : k < QLINEAR_Y_SCALE ? t.p.n : 1));
	t.p.left = (product_side){ a, a_zero, 0, t.p.depth, 1, og_count(a_zero) > 1 };
	t.p.right = (product_side){ b, b_zero, 0, 1, t.p.n, og_count(b_zero) > 1 };
	c->host->parallel(c, og_span(y, 0, t.p.batch_rank) * product_blocks(t.p.m, t.p.n), 1, qlinear_matmul_items, &t);
	return OG_OK;
}
#endif

OP(qlinear_matmul_10, .name = "QLinearMatMul", .since = 10,
   .doc = "Matrix product of quantized numbers, quantized again.",
   .inputs = "a:T1, a_scale:f32, a_zero_point:T1, b:T2, b_scale:f32, b_zero_point:T2, y_scale:f32, y_zero_point:T3",
   .outputs = "y:T3", .types = "T1=i8 u8; T2=i8 u8; T3=i8 u8", .shape = qlinear_matmul_shape,
   .eval = qlinear_matmul_eval, .flops = qlinear_matmul_flops)
OP(qlinear_matmul_21, .name = "QLinearMatMul", .since = 21,
   .doc = "Matrix product of quantized numbers, quantized again.",
   .inputs = "a:T1, a_scale:S, a_zero_point:T1, b:T2, b_scale:S, b_zero_point:T2, y_scale:S, y_zero_point:T3",
   .outputs = "y:T3",
   .types = "S=f32 f16 bf16; T1=i8 u8 f8e4m3fn f8e4m3fnuz f8e5m2 f8e5m2fnuz; T2=i8 u8 f8e4m3fn f8e4m3fnuz f8e5m2 "
            "f8e5m2fnuz; T3=i8 u8 f8e4m3fn f8e4m3fnuz f8e5m2 f8e5m2fnuz",
   .shape = qlinear_matmul_shape, .eval = qlinear_matmul_eval, .flops = qlinear_matmul_flops)
