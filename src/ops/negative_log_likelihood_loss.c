/* NegativeLogLikelihoodLoss: minus the score of the target class. */
#include "ops/loss.h"

#if OP_BASE
static og_status negative_log_likelihood_loss_eval(const og_call *c) { return loss_run(c, 0); }
#endif

OP(negative_log_likelihood_loss, .name = "NegativeLogLikelihoodLoss", .since = 12,
   .doc = "Minus the score of the target class, weighted, as it is, summed or averaged.",
   .inputs = "input:T, target:I, weight:T?", .outputs = "loss:T", .types = "T=f32 f64 f16 bf16; I=i32 i64",
   ATTRS(LOSS_ATTRS), .shape = loss_shape, .eval = negative_log_likelihood_loss_eval)
