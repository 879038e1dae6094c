/* Inference only: the output is the input and every element of the mask is kept. */
#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
enum { DROPOUT_RATIO = 1, DROPOUT_TRAINING = 2 };

static og_status dropout_shape(og_infer *c)
{
	OP_TRY(dims_one(c, DROPOUT_RATIO));
	OP_TRY(dims_one(c, DROPOUT_TRAINING));
	if (c->op->since >= 12 && c->n_in > DROPOUT_TRAINING && c->in[DROPOUT_TRAINING].value) {
		const og_tensor *ratio = c->in[DROPOUT_RATIO].value;
		if (number_get_int(c->in[DROPOUT_TRAINING].value, 0) && !(ratio && number_get(ratio, 0) == 0))
			return c->host->fail(OG_UNSUPPORTED,
			                     "Dropout in training mode is not supported; export the network for inference");
	}
	for (int k = 0; k < c->n_out; k++) dims_copy(&c->out[k], &c->in[0]);
	return OG_OK;
}

static og_status dropout_eval(const og_call *c)
{
	og_tensor *mask = move_out(c, 1);
	char one[16];
	og_tensor kept = { .data = one };
	if (mask && og_count(mask) > 0) {
		kept.dtype = mask->dtype;
		number_put(&kept, 0, 1.0);
		move_fill((char *)mask->data, one, og_dtype_bytes(mask->dtype), og_count(mask));
	}
	return move_out(c, 0) ? move_all(c) : OG_OK;
}
#endif

OP(dropout_7, .name = "Dropout", .since = 7, .doc = "The input itself: dropout does nothing in inference.",
   .inputs = "data:T", .outputs = "output:T, mask:T?", .types = "T=f32 f64 f16", ATTRS(OG_FLOAT("ratio", 0.5)),
   .flags = OG_VIEW_OF_INPUT, .shape = dropout_shape, .eval = dropout_eval)
OP(dropout_10, .name = "Dropout", .since = 10, .doc = "The input itself: dropout does nothing in inference.",
   .inputs = "data:T", .outputs = "output:T, mask:bool?", ATTRS(OG_FLOAT("ratio", 0.5)),
   .flags = OG_VIEW_OF_INPUT | OG_SHARED_BITS, .shape = dropout_shape, .eval = dropout_eval)
OP(dropout_12, .name = "Dropout", .since = 12, .doc = "The input itself: dropout does nothing in inference.",
   .inputs = "data:T, ratio:R?!, training_mode:bool?!", .outputs = "output:T, mask:bool?", ATTRS(OG_INT("seed", 0)),
   .flags = OG_VIEW_OF_INPUT | OG_SHARED_BITS, .shape = dropout_shape, .eval = dropout_eval)
