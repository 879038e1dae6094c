/* Attention: each query's softmax over its products with the keys weighs the values. Heads of queries may share those
 * of keys and values; keys and values of earlier calls come first. */
#include "ops/axis.h"
#include "ops/move.h"

#if OP_BASE
enum {
	ATTENTION_CAUSAL, ATTENTION_KV_HEADS, ATTENTION_Q_HEADS, ATTENTION_SHOWN, ATTENTION_SCALE, ATTENTION_SOFTCAP,
	ATTENTION_PRECISION
};
enum { ATTENTION_Q, ATTENTION_K, ATTENTION_V, ATTENTION_MASK, ATTENTION_PAST_K, ATTENTION_PAST_V, ATTENTION_LENGTHS };
enum { ATTENTION_RAW, ATTENTION_CAPPED, ATTENTION_MASKED, ATTENTION_WEIGHTS };      /* what output 3 shows */

/* ---- shapes ----------------------------------------------------------------------------------- */

/* Input k as [batch, heads, length, size]. */
static og_status attention_view(og_infer *c, int k, int64_t heads, og_dim *d)
{
	const og_shape *s = &c->in[k];
	if (s->rank == 4) {
		memcpy(d, s->dims, 4 * sizeof *d);
		return OG_OK;
	}
	if (heads < 1)
		return c->host->fail(OG_BAD_FILE, "Attention on [batch, sequence, hidden] needs q_num_heads and kv_num_heads");
	d[0] = s->dims[0];
	d[1] = heads;
	d[2] = s->dims[1];
	d[3] = s->dims[2];
	return dims_divide(c, &d[3], heads, "a hidden size");
}

/* *d becomes the view of present keys or values: what input k, where it is given, has is put before it. */
static og_status attention_past(og_infer *c, int k, og_dim *d)
{
	const og_shape *past = &c->in[k];
	if (k >= c->n_in || past->dtype == OG_NONE) return OG_OK;
	if (past->rank < 0) {
		d[2] = dims_unknown(c);
		return OG_OK;
	}
	if (past->rank != 4)
		return c->host->fail(OG_BAD_FILE, "Attention has past keys or values of %d dimensions; they must have 4",
		                     past->rank);
	for (int axis = 0; axis < 4; axis++)
		if (axis != 2) OP_TRY(dims_same(c, &d[axis], past->dims[axis], axis));
	return dims_add(c, &d[2], past->dims[2]);
}

static og_status attention_shape(og_infer *c)
{
	int rank = c->in[0].rank;
	og_dim q[4], k[4], value[4];
	if (rank < 0 || c->in[1].rank < 0 || c->in[2].rank < 0) return OG_OK;
	if ((rank != 3 && rank != 4) || c->in[1].rank != rank || c->in[2].rank != rank)
		return c->host->fail(OG_BAD_FILE, "Attention has queries, keys and values of %d, %d and %d dimensions; all "
		                     "must have 3 or all 4", rank, c->in[1].rank, c->in[2].rank);
	OP_TRY(attention_view(c, ATTENTION_Q, c->attr[ATTENTION_Q_HEADS].i, q));
	OP_TRY(attention_view(c, ATTENTION_K, c->attr[ATTENTION_KV_HEADS].i, k));
	OP_TRY(attention_view(c, ATTENTION_V, c->attr[ATTENTION_KV_HEADS].i, value));
	OP_TRY(attention_past(c, ATTENTION_PAST_K, k));
	OP_TRY(attention_past(c, ATTENTION_PAST_V, value));
	OP_TRY(dims_same(c, &q[0], k[0], 0));
	OP_TRY(dims_same(c, &q[0], value[0], 0));
	OP_TRY(dims_same(c, &k[1], value[1], 1));
	OP_TRY(dims_same(c, &k[2], value[2], 2));
	OP_TRY(dims_same(c, &q[3], k[3], 3));
	if (q[1] >= 0 && k[1] >= 0 && (k[1] == 0 || q[1] % k[1] != 0))
		return c->host->fail(OG_BAD_FILE, "Attention can't share %lld heads of keys among %lld heads of queries",
		                     (long long)k[1], (long long)q[1]);
	for (int out = 0; out < c->n_out; out++) {
		const og_dim *d = out == 1 ? k : out == 2 ? value : q;
		c->out[out].rank = 4;
		memcpy(c->out[out].dims, d, 4 * sizeof *d);
	}
	if (c->n_out > 3) c->out[3].dims[3] = k[2];
	c->out[0].dims[3] = value[3];
	if (rank == 4) return OG_OK;
	c->out[0].rank = 3;
	c->out[0].dims[1] = q[2];
	c->out[0].dims[2] = value[3];
	return dims_mul(c, &c->out[0].dims[2], q[1]);
}

/* ---- definition ------------------------------------------------------------------------------- */

typedef struct attention {
	const og_call *call;
	int64_t batch, heads, kv_heads, length, kv_length, past, size, v_size;
	double scale, cap;
} attention;

/* The first element of a head at one place. */
static int64_t attention_at(const og_tensor *t, int64_t batch, int64_t head, int64_t heads, int64_t place,
                            int64_t length, int64_t size)
{
	return (t->rank == 4 ? (batch * heads + head) * length + place : (batch * length + place) * heads + head) * size;
}

/* As attention_at, of the present keys or values: place counts from the first past one. */
static const og_tensor *attention_present(const attention *a, int which, int64_t batch, int64_t head, int64_t place,
                                          int64_t size, int64_t *at)
{
	int past = which == ATTENTION_K ? ATTENTION_PAST_K : ATTENTION_PAST_V;
	const og_tensor *t = place < a->past ? a->call->in[past] : a->call->in[which];
	int64_t length = place < a->past ? a->past : a->kv_length;
	*at = attention_at(t, batch, head, a->kv_heads, place < a->past ? place : place - a->past, length, size);
	return t;
}

/* What is added to the score of query i and key j. */
static double attention_bias(const attention *a, int64_t batch, int64_t head, int64_t i, int64_t j)
{
	const og_tensor *mask = move_in(a->call, ATTENTION_MASK), *lengths = move_in(a->call, ATTENTION_LENGTHS);
	const int64_t place[4] = { batch, head, i, j };
	int64_t at = 0;
	if (a->call->attr[ATTENTION_CAUSAL].i && j > i + a->past) return -HUGE_VAL;
	if (lengths && j >= ((const int64_t *)lengths->data)[batch]) return -HUGE_VAL;
	if (!mask) return 0.0;
	for (int d = 0; d < mask->rank; d++) {
		int64_t k = place[4 - mask->rank + d];
		int wide = mask->dims[d] > 1 || (d == mask->rank - 1 && a->call->op->since >= 24);
		if (wide && k >= mask->dims[d]) return -HUGE_VAL;        /* a short mask is filled up */
		at = at * mask->dims[d] + (wide ? k : 0);
	}
	if (mask->dtype == OG_BOOL) return number_get_int(mask, at) ? 0.0 : -HUGE_VAL;
	return number_get(mask, at);
}

/* The weights of one query's keys; output 3 gets the scores at the step that is asked for. */
static void attention_scores(const attention *a, int64_t batch, int64_t head, int64_t i, double *score)
{
	const og_tensor *q = a->call->in[ATTENTION_Q], *shown = move_out(a->call, 3);
	int64_t n = a->past + a->kv_length, mode = a->call->attr[ATTENTION_SHOWN].i;
	int64_t first = attention_at(q, batch, head, a->heads, i, a->length, a->size);
	int64_t row = ((batch * a->heads + head) * a->length + i) * n, shared = head / (a->heads / a->kv_heads), at;
	double top = -HUGE_VAL, sum = 0.0;
	for (int64_t j = 0; j < n; j++) {
		const og_tensor *k = attention_present(a, ATTENTION_K, batch, shared, j, a->size, &at);
		double s = 0.0;
		for (int64_t d = 0; d < a->size; d++) s += number_get(q, first + d) * number_get(k, at + d);
		s *= a->scale;
		if (shown && mode == ATTENTION_RAW) number_put(shown, row + j, s);
		if (a->cap > 0) s = tanh(s / a->cap) * a->cap;
		if (shown && mode == ATTENTION_CAPPED) number_put(shown, row + j, s);
		s += attention_bias(a, batch, head, i, j);
		if (shown && mode == ATTENTION_MASKED) number_put(shown, row + j, s);
		score[j] = s;
		if (s > top) top = s;
	}
	for (int64_t j = 0; j < n; j++) sum += score[j] = exp(score[j] - top);
	for (int64_t j = 0; j < n; j++) {
		score[j] /= sum;
		if (shown && mode == ATTENTION_WEIGHTS) number_put(shown, row + j, score[j]);
	}
}

/* Item: one head of queries. Its workspace holds the scores of one query, then its result. */
static void attention_heads(void *arg, int64_t begin, int64_t end)
{
	const attention *a = (const attention *)arg;
	const og_tensor *y = move_out(a->call, 0);
	int64_t n = a->past + a->kv_length, at;
	for (int64_t item = begin; item < end; item++) {
		int64_t batch = item / a->heads, head = item % a->heads, shared = head / (a->heads / a->kv_heads);
		double *score = (double *)a->call->workspace + item * (n + a->v_size), *sum = score + n;
		for (int64_t i = 0; i < a->length; i++) {
			attention_scores(a, batch, head, i, score);
			for (int64_t d = 0; d < a->v_size; d++) sum[d] = 0.0;
			for (int64_t j = 0; j < n; j++) {
				const og_tensor *value = attention_present(a, ATTENTION_V, batch, shared, j, a->v_size, &at);
				for (int64_t d = 0; d < a->v_size; d++) sum[d] += score[j] * number_get(value, at + d);
			}
			if (y) number_write(y, attention_at(y, batch, head, a->heads, i, a->length, a->v_size), 1, sum, a->v_size);
		}
	}
}

/* Present keys (output 1) or values (output 2). */
static void attention_join(const attention *a, int which, int64_t size)
{
	const og_tensor *y = move_out(a->call, which == ATTENTION_K ? 1 : 2);
	int64_t n = a->past + a->kv_length, at;
	for (int64_t row = 0; y && row < a->batch * a->kv_heads * n; row++) {
		int64_t head = row / n;
		const og_tensor *t = attention_present(a, which, head / a->kv_heads, head % a->kv_heads, row % n, size, &at);
		size_t bytes = og_dtype_bytes(t->dtype);
		if (size > 0)
			memcpy((char *)y->data + row * size * (int64_t)bytes, (const char *)t->data + at * (int64_t)bytes,
			       bytes * (size_t)size);
	}
}

static attention attention_of(const og_call *c)
{
	const og_tensor *q = c->in[ATTENTION_Q], *k = c->in[ATTENTION_K], *value = c->in[ATTENTION_V];
	const og_tensor *past = move_in(c, ATTENTION_PAST_K);
	int whole = q->rank == 4;
	attention a = { .call = c, .batch = q->dims[0], .past = past ? past->dims[2] : 0 };
	a.heads = whole ? q->dims[1] : c->attr[ATTENTION_Q_HEADS].i;
	a.kv_heads = whole ? k->dims[1] : c->attr[ATTENTION_KV_HEADS].i;
	a.length = q->dims[whole ? 2 : 1];
	a.kv_length = k->dims[whole ? 2 : 1];
	a.size = whole ? q->dims[3] : q->dims[2] / a.heads;
	a.v_size = whole ? value->dims[3] : value->dims[2] / a.kv_heads;
	a.scale = c->attr[ATTENTION_SCALE].present ? (double)c->attr[ATTENTION_SCALE].f : 1.0 / sqrt((double)a.size);
	a.cap = (double)c->attr[ATTENTION_SOFTCAP].f;
	return a;
}

static size_t attention_workspace(const og_call *c)
{
	attention a = attention_of(c);
	double bytes = (double)sizeof(double) * (double)a.batch * (double)a.heads;
	bytes *= (double)(a.past + a.kv_length + a.v_size);
	return a.length == 0 ? 0 : bytes < 0x1p60 ? (size_t)bytes : (size_t)1 << 60;
}

static og_status attention_eval(const og_call *c)
{
	const og_tensor *mask = move_in(c, ATTENTION_MASK), *lengths = move_in(c, ATTENTION_LENGTHS);
	attention a = attention_of(c);
	const int64_t want[4] = { a.batch, a.heads, a.length, a.past + a.kv_length };
	int fits = !mask || (mask->rank >= 1 && mask->rank <= 4);
	for (int d = 0; mask && fits && d < mask->rank; d++) {
		int64_t n = mask->dims[d], full = want[4 - mask->rank + d];
		fits = n == full || n == 1 || (d == mask->rank - 1 && n < full && c->op->since >= 24);
	}
	if (!fits)
		return c->host->fail(OG_BAD_FILE, "Attention has a mask that does not broadcast to [%lld, %lld, %lld, %lld]",
		                     (long long)want[0], (long long)want[1], (long long)want[2], (long long)want[3]);
	if (!move_in(c, ATTENTION_PAST_K) != !move_in(c, ATTENTION_PAST_V))
		return c->host->fail(OG_BAD_FILE, "Attention has past keys without past values, or the reverse; give both");
	if (lengths && og_count(lengths) != a.batch)
		return c->host->fail(OG_BAD_FILE, "Attention has %lld lengths for a batch of %lld",
		                     (long long)og_count(lengths), (long long)a.batch);
	attention_join(&a, ATTENTION_K, a.size);
	attention_join(&a, ATTENTION_V, a.v_size);
	if (a.length > 0) c->host->parallel(c, a.batch * a.heads, 1, attention_heads, &a);
	return OG_OK;
}

static double attention_flops(const og_infer *c)
{
	const og_shape *q = &c->in[0], *k = &c->in[1], *value = &c->in[2], *past = &c->in[4];
	double keys = (double)k->dims[k->rank - 2] + (c->n_in > 4 && past->rank == 4 ? (double)past->dims[2] : 0.0);
	double wider = (double)value->dims[value->rank - 1] / (double)(k->dims[k->rank - 1] ? k->dims[k->rank - 1] : 1);
	return 2.0 * axis_elements(q, 0) * keys * (1.0 + wider);
}
#define ATTENTION_ATTRS \
	ATTRS(OG_INT("is_causal", 0), OG_INT("kv_num_heads", 0), OG_INT("q_num_heads", 0), \
	      { .name = "qk_matmul_output_mode", .type = OG_ATTR_INT, .low = 0, .high = 3 }, OG_FLOAT("scale", 0.0), \
	      OG_FLOAT("softcap", 0.0), OG_INT("softmax_precision", 0))
#define ATTENTION_TYPES \
	"T1=f32 f64 f16 bf16; T2=f32 f64 f16 bf16; U=f32 f64 f16 bf16 u8 i8 u16 i16 u32 i32 u64 i64 bool"
#define ATTENTION_OUTPUTS "Y:T1, present_key:T1?, present_value:T2?, qk_matmul_output:T1?"
#endif

OP(attention_23, .name = "Attention", .since = 23,
   .doc = "Scaled dot products of queries and keys, through a softmax, as weights of the values.",
   .inputs = "Q:T1, K:T1, V:T2, attn_mask:U?, past_key:T1?, past_value:T2?", .outputs = ATTENTION_OUTPUTS,
   .types = ATTENTION_TYPES, ATTENTION_ATTRS, .shape = attention_shape, .eval = attention_eval,
   .flops = attention_flops, .workspace = attention_workspace)
OP(attention_24, .name = "Attention", .since = 24,
   .doc = "Scaled dot products of queries and keys, through a softmax, as weights of the values.",
   .inputs = "Q:T1, K:T1, V:T2, attn_mask:U?, past_key:T1?, past_value:T2?, nonpad_kv_seqlen:i64?",
   .outputs = ATTENTION_OUTPUTS, .types = ATTENTION_TYPES, ATTENTION_ATTRS, .shape = attention_shape,
   .eval = attention_eval, .flops = attention_flops, .workspace = attention_workspace)
