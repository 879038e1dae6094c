/* Det: determinants of the matrices in the last two axes, by elimination. */
#include "ops/dims.h"
#include "ops/number.h"

#if OP_BASE
static og_status det_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	og_dim n;
	if (x->rank < 0) return OG_OK;
	if (x->rank < 2) return c->host->fail(OG_BAD_FILE, "Det takes matrices, not %d dimensions", x->rank);
	n = x->dims[x->rank - 1];
	OP_TRY(dims_same(c, &n, x->dims[x->rank - 2], x->rank - 2));
	dims_copy(&c->out[0], x);
	c->out[0].rank -= 2;
	return OG_OK;
}

/* Of n by n numbers, which it changes. */
static double det_of(double *a, int64_t n)
{
	double det = 1.0;
	for (int64_t k = 0; k < n; k++) {
		int64_t pivot = k;
		for (int64_t i = k + 1; i < n; i++)
			if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
		if (a[pivot * n + k] == 0) return 0.0;
		for (int64_t j = k; pivot != k && j < n; j++) {
			double swap = a[k * n + j];
			a[k * n + j] = a[pivot * n + j];
			a[pivot * n + j] = swap;
		}
		det *= pivot == k ? a[k * n + k] : -a[k * n + k];
		for (int64_t i = k + 1; i < n; i++) {
			double by = a[i * n + k] / a[k * n + k];
			for (int64_t j = k + 1; j < n; j++) a[i * n + j] -= by * a[k * n + j];
		}
	}
	return det;
}

static size_t det_workspace(const og_call *c)
{
	const og_tensor *x = c->in[0];
	return og_count(x) > 0 ? sizeof(double) * (size_t)og_span(x, x->rank - 2, x->rank) : 0;
}

static og_status det_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *y = c->out[0];
	int64_t n = x->dims[x->rank - 1];
	double *a = (double *)c->workspace;
	for (int64_t k = 0; k < og_count(y); k++) {
		number_read(a, x, k * n * n, 1, n * n);
		number_put(y, k, det_of(a, n));
	}
	return OG_OK;
}
#endif

OP(det, .name = "Det", .since = 11, .doc = "Determinants of the matrices in the last two axes.", .inputs = "X:T",
   .outputs = "Y:T", .types = "T=f32 f64 f16 bf16", .shape = det_shape, .eval = det_eval, .workspace = det_workspace)
