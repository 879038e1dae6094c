/* loss.h -- what NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss share: at each place the score of one class out
 * of axis 1 is taken, weighted and joined. */
#ifndef OPS_LOSS_H
#define OPS_LOSS_H

#include "ops/axis.h"
#include "ops/move.h"

#if OP_BASE

enum { LOSS_IGNORE, LOSS_REDUCTION };
enum { LOSS_NONE, LOSS_SUM, LOSS_MEAN };
#define LOSS_ATTRS OG_INT("ignore_index", 0), OG_ENUM("reduction", "none|sum|mean", LOSS_MEAN)

/* Scores [N, C, d...], target [N, d...], weights [C]; the loss is [N, d...] or one number. */
OG_INLINE og_status loss_shape(og_infer *c)
{
	const og_shape *x = &c->in[0], *target = &c->in[1];
	og_shape *y = &c->out[0];
	int each = c->attr[LOSS_REDUCTION].i == LOSS_NONE;
	if (!each) y->rank = 0;
	if (x->rank < 0 || target->rank < 0) return OG_OK;
	if (x->rank < 2 || target->rank != x->rank - 1)
		return c->host->fail(OG_BAD_FILE, "%s has scores of %d dimensions and a target of %d; scores are [N, C, ...] "
		                     "and the target is [N, ...]", c->op->name, x->rank, target->rank);
	OP_TRY(axis_vector(c, 2, x->dims[1]));
	for (int d = 0; d < target->rank; d++) {
		og_dim n = x->dims[d > 0 ? d + 1 : 0];
		OP_TRY(dims_same(c, &n, target->dims[d], d));
		if (each) y->dims[d] = n;
	}
	if (each) y->rank = target->rank;
	return OG_OK;
}

/* Logarithm of the sum of the exponentials of n elements, `step` apart. */
OG_INLINE double loss_log_sum(const og_tensor *x, int64_t first, int64_t step, int64_t n)
{
	double top = -HUGE_VAL, sum = 0.0;
	for (int64_t i = 0; i < n; i++) top = fmax(top, number_get(x, first + i * step));
	for (int64_t i = 0; i < n; i++) sum += exp(number_get(x, first + i * step) - top);
	return top + log(sum);
}

/* The loss into output 0; `soft`: input 0 is not yet logarithms of probabilities. */
OG_INLINE og_status loss_run(const og_call *c, int soft)
{
	const og_tensor *x = c->in[0], *target = c->in[1], *weight = move_in(c, 2), *y = move_out(c, 0);
	const og_attr_value *ignore = &c->attr[LOSS_IGNORE];
	int64_t how = c->attr[LOSS_REDUCTION].i;
	axis_split s = axis_of(x, 1);
	double sum = 0.0, total = 0.0;
	for (int64_t k = 0; k < s.outer * s.inner; k++) {
		int64_t class = number_get_int(target, k), first = k / s.inner * s.n * s.inner + k % s.inner;
		double by = 0.0, loss = 0.0;
		if (!ignore->present || class != ignore->i) {
			if (class < 0 || class >= s.n)
				return c->host->fail(OG_BAD_FILE, "%s has target %lld, but there are %lld classes", c->op->name,
				                     (long long)class, (long long)s.n);
			by = weight ? number_get(weight, class) : 1.0;
			loss = (soft ? loss_log_sum(x, first, s.inner, s.n) : 0.0) - number_get(x, first + class * s.inner);
		}
		sum += by * loss;
		total += by;
		if (y && how == LOSS_NONE) number_put(y, k, by * loss);
	}
	if (y && how != LOSS_NONE) number_put(y, 0, how == LOSS_MEAN ? sum / total : sum);
	return OG_OK;
}

#endif
#endif
