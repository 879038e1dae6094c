/* MeanVarianceNormalization: to mean 0 and variance 1 over the axes listed. As ONNX has it, 1e-9 is added to the
 * deviation, not to the variance. */
#include "ops/dims.h"
#include "ops/number.h"
#include "ops/reduce.h"

#if OP_BASE
static og_status mean_variance_normalization_mask(const og_infer *c, unsigned *mask)
{
	list axes = list_of_attr(&c->attr[0]);
	*mask = 0xd;                                 /* 0, 2, 3 */
	return axes.n > 0 ? list_axes(c, &axes, c->in[0].rank, mask) : OG_OK;
}

static og_status mean_variance_normalization_shape(og_infer *c)
{
	unsigned mask;
	if (c->in[0].rank < 0) return OG_OK;
	OP_TRY(mean_variance_normalization_mask(c, &mask));
	dims_copy(&c->out[0], &c->in[0]);
	return OG_OK;
}

static og_status mean_variance_normalization_eval(const og_call *c)
{
	const og_tensor *x = c->in[0];
	reduce_layout l;
	unsigned mask = c->attr[0].n ? 0 : 0xd;
	for (int64_t k = 0; k < c->attr[0].n; k++) mask |= 1u << og_axis(c->attr[0].ints[k], x->rank);
	reduce_by_mask(&l, x, mask);
	for (int64_t k = 0; k < l.kept.count; k++) {
		int64_t at = reduce_offset(&l.kept, k);
		double mean = 0.0, square = 0.0, deviation;
		for (int64_t j = 0; j < l.gone.count; j++) mean += number_get(x, at + reduce_offset(&l.gone, j));
		mean /= (double)l.gone.count;
		for (int64_t j = 0; j < l.gone.count; j++) {
			double d = number_get(x, at + reduce_offset(&l.gone, j)) - mean;
			square += d * d;
		}
		deviation = sqrt(square / (double)l.gone.count) + 1e-9;
		for (int64_t j = 0; j < l.gone.count; j++) {
			int64_t i = at + reduce_offset(&l.gone, j);
			number_put(c->out[0], i, (number_get(x, i) - mean) / deviation);
		}
	}
	return OG_OK;
}
#endif

OP(mean_variance_normalization, .name = "MeanVarianceNormalization", .since = 9,
   .doc = "Normalization over the axes listed, by default all but the channels.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16", ATTRS(OG_INTS("axes")),
   .shape = mean_variance_normalization_shape, .eval = mean_variance_normalization_eval,
   .cases = "f32[2,3,4,5] | f32[4,6]; axes=[1]")
