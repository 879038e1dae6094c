/* BatchNormalization, inference only: each channel less its given mean, divided by its given deviation, scaled and
 * shifted. Before opset 9 `spatial` = 0 gave every element of a sample a mean of its own. */
#include "ops/axis.h"
#include "ops/number.h"
#include "ops/reduce.h"

#if OP_BASE || OP_CPU
enum { BATCH_NORMALIZATION_EPSILON, BATCH_NORMALIZATION_MOMENTUM, BATCH_NORMALIZATION_MODE };
enum { BATCH_NORMALIZATION_X, BATCH_NORMALIZATION_SCALE, BATCH_NORMALIZATION_SHIFT, BATCH_NORMALIZATION_MEAN,
       BATCH_NORMALIZATION_VARIANCE };

typedef struct batch_normalization {
	const og_call *call;
	int64_t channels, inner;             /* element k belongs to channel k / inner % channels */
	float *scale, *shift;                /* of the float32 kernel: x * scale + shift */
} batch_normalization;

static batch_normalization batch_normalization_task(const og_call *c)
{
	const og_tensor *x = c->in[0];
	batch_normalization b = { .call = c, .channels = og_count(c->in[BATCH_NORMALIZATION_SCALE]) };
	int each = c->op->since < 9 && !c->attr[BATCH_NORMALIZATION_MODE].i;
	b.inner = each || x->rank < 2 ? 1 : og_span(x, 2, x->rank);
	b.scale = (float *)c->workspace;
	b.shift = b.scale + b.channels;
	return b;
}
#endif

#if OP_BASE
static og_status batch_normalization_trains(const og_host *host)
{
	return host->fail(OG_UNSUPPORTED, "it is in training mode; export the model for inference");
}

/* Input k must have the shape of a sample. */
static og_status batch_normalization_sample(og_infer *c, int k)
{
	const og_shape *x = &c->in[0], *b = &c->in[k];
	if (b->rank < 0) return OG_OK;
	if (b->rank != x->rank - 1)
		return c->host->fail(OG_BAD_FILE, "input %d has rank %d where a sample has %d; correct the model", k, b->rank,
		                     x->rank - 1);
	for (int d = 0; d < b->rank; d++) {
		og_dim n = x->dims[d + 1];
		OP_TRY(dims_same(c, &n, b->dims[d], d));
	}
	return OG_OK;
}

static og_status batch_normalization_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	int each = c->op->since < 9 && !c->attr[BATCH_NORMALIZATION_MODE].i;
	if (c->op->since >= 14 && c->attr[BATCH_NORMALIZATION_MODE].i) return batch_normalization_trains(c->host);
	if (x->rank < 0) return OG_OK;
	dims_copy(&c->out[0], x);
	for (int k = 1; k < 5; k++)
		OP_TRY(each ? batch_normalization_sample(c, k) : axis_vector(c, k, x->rank > 1 ? x->dims[1] : 1));
	return OG_OK;
}

/* Item: one element. */
static void batch_normalization_elements(void *arg, int64_t begin, int64_t end)
{
	const batch_normalization *b = (const batch_normalization *)arg;
	const og_tensor *const *in = b->call->in;
	double epsilon = (double)b->call->attr[BATCH_NORMALIZATION_EPSILON].f;
	for (int64_t k = begin; k < end; k++) {
		int64_t ch = k / b->inner % b->channels;
		double inverse = 1.0 / sqrt(number_get(in[BATCH_NORMALIZATION_VARIANCE], ch) + epsilon);
		double x = number_get(in[0], k) - number_get(in[BATCH_NORMALIZATION_MEAN], ch);
		number_put(b->call->out[0], k, x * inverse * number_get(in[BATCH_NORMALIZATION_SCALE], ch) +
		           number_get(in[BATCH_NORMALIZATION_SHIFT], ch));
	}
}

static og_status batch_normalization_eval(const og_call *c)
{
	batch_normalization b = batch_normalization_task(c);
	for (int k = 1; k < c->n_out; k++)
		if (c->out[k]) return batch_normalization_trains(c->host);
	c->host->parallel(c, og_count(c->out[0]), 1 << 12, batch_normalization_elements, &b);
	return OG_OK;
}

static size_t batch_normalization_workspace(const og_call *c)
{
	return 2 * sizeof(float) * (size_t)og_count(c->in[BATCH_NORMALIZATION_SCALE]);
}
#endif

KERNELS(batch_normalization)

#if OP_CPU
static void batch_normalization_fold(const batch_normalization *b)
{
	const og_tensor *const *in = b->call->in;
	const float *gain = (const float *)in[BATCH_NORMALIZATION_SCALE]->data;
	const float *add = (const float *)in[BATCH_NORMALIZATION_SHIFT]->data;
	const float *mean = (const float *)in[BATCH_NORMALIZATION_MEAN]->data;
	const float *variance = (const float *)in[BATCH_NORMALIZATION_VARIANCE]->data;
	float epsilon = b->call->attr[BATCH_NORMALIZATION_EPSILON].f;
	for (int64_t i = 0; i < b->channels; i += OG_LANES) {
		size_t n = b->channels - i < OG_LANES ? (size_t)(b->channels - i) : OG_LANES;
		v scale = v_load_n(gain + i, n) / v_sqrt(v_load_n(variance + i, n) + epsilon);
		v_store_n(b->scale + i, scale, n);
		v_store_n(b->shift + i, v_fma(-v_load_n(mean + i, n), scale, v_load_n(add + i, n)), n);
	}
}

/* Item: one channel of one sample, or when channels have one element each, all channels of one sample. */
static void batch_normalization_runs(void *arg, int64_t begin, int64_t end)
{
	const batch_normalization *b = (const batch_normalization *)arg;
	int64_t n = b->inner == 1 ? b->channels : b->inner;
	for (int64_t item = begin; item < end; item++) {
		const float *x = (const float *)b->call->in[0]->data + item * n;
		float *y = (float *)b->call->out[0]->data + item * n;
		const float *scale = b->scale + item % b->channels, *shift = b->shift + item % b->channels;
		for (int64_t i = 0; i < n; i += OG_LANES) {
			size_t left = n - i < OG_LANES ? (size_t)(n - i) : OG_LANES;
			v a = b->inner == 1 ? v_load_n(b->scale + i, left) : v_splat(*scale);
			v c = b->inner == 1 ? v_load_n(b->shift + i, left) : v_splat(*shift);
			v_store_n(y + i, v_fma(v_load_n(x + i, left), a, c), left);
		}
	}
}

og_status OG_VIEW(batch_normalization)(const og_call *c)
{
	batch_normalization b = batch_normalization_task(c);
	int64_t n = b.inner == 1 ? b.channels : b.inner;
	for (int k = 1; k < 5; k++)
		if (c->in[k]->dtype != OG_F32 || (k < c->n_out && c->out[k])) return c->op->eval(c);
	if (n == 0) return OG_OK;
	batch_normalization_fold(&b);
	c->host->parallel(c, og_count(c->in[0]) / n, reduce_grain(n), batch_normalization_runs, &b);
	return OG_OK;
}
#endif

OP(batch_normalization_7, .name = "BatchNormalization", .since = 7,
   .doc = "Channels brought to mean 0 and variance 1 by given statistics, then scaled and shifted.",
   .inputs = "X:T, scale:T, B:T, mean:T, var:T",
   .outputs = "Y:T, mean:T?, var:T?, saved_mean:T?, saved_var:T?", .types = "T=f32 f64 f16",
   ATTRS(OG_FLOAT("epsilon", 1e-5), OG_FLOAT("momentum", 0.9), OG_INT("spatial", 1)),
   .shape = batch_normalization_shape, .eval = batch_normalization_eval, .workspace = batch_normalization_workspace,
   CPU(batch_normalization), .cases = "f32[2,3,5,7] f32[3] f32[3] f32[3] f32[3]")
OP(batch_normalization_9, .name = "BatchNormalization", .since = 9,
   .doc = "Channels brought to mean 0 and variance 1 by given statistics, then scaled and shifted.",
   .inputs = "X:T, scale:T, B:T, mean:T, var:T",
   .outputs = "Y:T, mean:T?, var:T?, saved_mean:T?, saved_var:T?", .types = "T=f32 f64 f16",
   ATTRS(OG_FLOAT("epsilon", 1e-5), OG_FLOAT("momentum", 0.9)),
   .shape = batch_normalization_shape, .eval = batch_normalization_eval, .workspace = batch_normalization_workspace,
   CPU(batch_normalization), .cases = "f32[2,3,5,7] f32[3] f32[3] f32[3] f32[3]")
OP(batch_normalization, .name = "BatchNormalization", .since = 14,
   .doc = "Channels brought to mean 0 and variance 1 by given statistics, then scaled and shifted.",
   .inputs = "X:T, scale:T1, B:T1, input_mean:T2, input_var:T2", .outputs = "Y:T, running_mean:T2?, running_var:T2?",
   .types = "T=f32 f64 f16 bf16; T1=f32 f64 f16 bf16; T2=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("epsilon", 1e-5), OG_FLOAT("momentum", 0.9), OG_INT("training_mode", 0)),
   .shape = batch_normalization_shape, .eval = batch_normalization_eval, .workspace = batch_normalization_workspace,
   CPU(batch_normalization),
   .cases = "f32[2,3,5,7] f32[3] f32[3] f32[3] f32[3] | f32[4,20] f32[20] f32[20] f32[20] f32[20]")
