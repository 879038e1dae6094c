/* SoftmaxCrossEntropyLoss: minus the logarithm of the probability that a softmax over axis 1 gives the target class. */
#include "ops/loss.h"

#if OP_BASE
static og_status softmax_cross_entropy_loss_shape(og_infer *c)
{
	dims_copy(&c->out[1], &c->in[0]);
	return loss_shape(c);
}

static og_status softmax_cross_entropy_loss_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *log_prob = move_out(c, 1);
	axis_split s = axis_of(x, 1);
	for (int64_t k = 0; log_prob && k < s.outer * s.inner; k++) {
		int64_t first = k / s.inner * s.n * s.inner + k % s.inner;
		double sum = loss_log_sum(x, first, s.inner, s.n);
		for (int64_t i = first; i < first + s.n * s.inner; i += s.inner)
			number_put(log_prob, i, number_get(x, i) - sum);
	}
	return loss_run(c, 1);
}
#endif

OP(softmax_cross_entropy_loss, .name = "SoftmaxCrossEntropyLoss", .since = 12,
   .doc = "Cross entropy of a softmax over axis 1 against target classes, weighted, as it is, summed or averaged.",
   .inputs = "scores:T, labels:I, weights:T?", .outputs = "output:T, log_prob:T?",
   .types = "T=f32 f64 f16 bf16; I=i32 i64", ATTRS(LOSS_ATTRS), .shape = softmax_cross_entropy_loss_shape,
   .eval = softmax_cross_entropy_loss_eval)
