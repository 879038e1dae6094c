/* LpNormalization: lines along an axis divided by their norm; a line of zeros stays. */
#include "ops/axis.h"
#include "ops/number.h"

#if OP_BASE
enum { LP_NORMALIZATION_AXIS, LP_NORMALIZATION_P };

static og_status lp_normalization_shape(og_infer *c)
{
	int axis;
	if (c->in[0].rank < 0) return OG_OK;
	if (c->attr[LP_NORMALIZATION_P].i != 1 && c->attr[LP_NORMALIZATION_P].i != 2)
		return c->host->fail(OG_BAD_FILE, "LpNormalization has p=%lld, but p must be 1 or 2",
		                     (long long)c->attr[LP_NORMALIZATION_P].i);
	OP_TRY(dims_axis(c, &axis, c->attr[LP_NORMALIZATION_AXIS].i, c->in[0].rank));
	dims_copy(&c->out[0], &c->in[0]);
	return OG_OK;
}

/* Item: one line. */
static void lp_normalization_lines(void *arg, int64_t begin, int64_t end)
{
	const og_call *c = (const og_call *)arg;
	const og_tensor *x = c->in[0], *y = c->out[0];
	axis_split s = axis_of(x, og_axis(c->attr[LP_NORMALIZATION_AXIS].i, x->rank));
	int square = c->attr[LP_NORMALIZATION_P].i == 2;
	for (int64_t line = begin; line < end; line++) {
		int64_t first = line / s.inner * s.n * s.inner + line % s.inner;
		double norm = 0.0;
		for (int64_t k = first; k < first + s.n * s.inner; k += s.inner) {
			double a = fabs(number_get(x, k));
			norm += square ? a * a : a;
		}
		if (square) norm = sqrt(norm);
		for (int64_t k = first; k < first + s.n * s.inner; k += s.inner)
			number_put(y, k, norm == 0 ? 0.0 : number_get(x, k) / norm);
	}
}

static og_status lp_normalization_eval(const og_call *c)
{
	const og_tensor *x = c->in[0];
	axis_split s = axis_of(x, og_axis(c->attr[LP_NORMALIZATION_AXIS].i, x->rank));
	c->host->parallel(c, s.outer * s.inner, 1, lp_normalization_lines, (void *)(uintptr_t)c);
	return OG_OK;
}
#endif

OP(lp_normalization, .name = "LpNormalization", .since = 1,
   .doc = "Lines along an axis divided by their L1 or L2 norm.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_INT("axis", -1), OG_INT("p", 2)), .shape = lp_normalization_shape, .eval = lp_normalization_eval,
   .cases = "f32[2,3,4] | f32[2,3,4]; axis=1, p=1")
