/* RotaryEmbedding: pairs of elements of each head turned by an angle that depends on the place in the sequence. */
#include "ops/dims.h"
#include "ops/index.h"

#if OP_BASE
enum { ROTARY_HEADS, ROTARY_DIM, ROTARY_INTERLEAVED };

static og_status rotary_embedding_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	int64_t heads = c->attr[ROTARY_HEADS].i;
	if (x->rank < 0) return OG_OK;
	if (x->rank != 3 && x->rank != 4)
		return c->host->fail(OG_BAD_FILE, "RotaryEmbedding takes [batch, sequence, hidden] or [batch, heads, sequence, "
		                     "head], not an input of %d dimensions", x->rank);
	if (x->rank == 3 && (heads < 1 || (x->dims[2] >= 0 && x->dims[2] % heads != 0)))
		return c->host->fail(OG_BAD_FILE, "RotaryEmbedding can't make num_heads=%lld heads of %lld elements",
		                     (long long)heads, (long long)x->dims[2]);
	dims_copy(&c->out[0], x);
	return OG_OK;
}

typedef struct rotary {
	const og_call *call;
	int64_t heads, length, size;         /* of the sequence and of a head */
	int64_t half;                        /* pairs that are turned */
} rotary;

/* Item: one head at one place of the sequence, in the order of memory. */
static void rotary_items(void *arg, int64_t begin, int64_t end)
{
	const rotary *r = (const rotary *)arg;
	const og_tensor *x = r->call->in[0], *cosines = r->call->in[1], *sines = r->call->in[2];
	const og_tensor *ids = move_in(r->call, 3), *y = r->call->out[0];
	int apart = r->call->attr[ROTARY_INTERLEAVED].i != 0;
	for (int64_t item = begin; item < end; item++) {
		int64_t batch = item / r->heads / r->length, first = item * r->size;
		int64_t place = x->rank == 4 ? item % r->length : item / r->heads % r->length;
		int64_t row = batch * r->length + place;
		if (ids) row = ((const int64_t *)ids->data)[row];
		for (int64_t k = 0; k < r->half; k++) {
			int64_t i = first + (apart ? 2 * k : k), j = apart ? i + 1 : i + r->half;
			double a = number_get(x, i), b = number_get(x, j);
			double co = number_get(cosines, row * r->half + k), si = number_get(sines, row * r->half + k);
			number_put(y, i, co * a - si * b);
			number_put(y, j, si * a + co * b);
		}
		for (int64_t k = first + 2 * r->half; k < first + r->size; k++) number_put(y, k, number_get(x, k));
	}
}

static og_status rotary_embedding_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *cosines = c->in[1], *sines = c->in[2], *ids = move_in(c, 3);
	int64_t turned = c->attr[ROTARY_DIM].i, rows;
	rotary r = { .call = c };
	if (og_count(x) == 0) return OG_OK;
	r.heads = x->rank == 4 ? x->dims[1] : c->attr[ROTARY_HEADS].i;
	r.length = x->rank == 4 ? x->dims[2] : x->dims[1];
	r.size = x->rank == 4 ? x->dims[3] : x->dims[2] / r.heads;
	if (turned == 0) turned = r.size;
	r.half = turned / 2;
	if (turned < 0 || turned > r.size || turned % 2)
		return c->host->fail(OG_BAD_FILE, "RotaryEmbedding can't turn %lld of the %lld elements of a head",
		                     (long long)turned, (long long)r.size);
	rows = cosines->rank > 0 && r.half > 0 ? og_count(cosines) / r.half : 0;
	if (cosines->rank < 1 || sines->rank < 1 || cosines->dims[cosines->rank - 1] != r.half ||
	    sines->dims[sines->rank - 1] != r.half || og_count(sines) != og_count(cosines) ||
	    (!ids && rows != x->dims[0] * r.length))
		return c->host->fail(OG_BAD_FILE, "RotaryEmbedding needs caches with rows of %lld, one for each place",
		                     (long long)r.half);
	if (ids && og_count(ids) != x->dims[0] * r.length)
		return c->host->fail(OG_BAD_FILE, "RotaryEmbedding has %lld position_ids for %lld places",
		                     (long long)og_count(ids), (long long)(x->dims[0] * r.length));
	for (int64_t k = 0; ids && k < og_count(ids); k++) {
		int64_t row = ((const int64_t *)ids->data)[k];
		if (row < 0 || row >= rows) return index_refuse(c, row, rows);
	}
	c->host->parallel(c, x->dims[0] * r.heads * r.length, 1, rotary_items, &r);
	return OG_OK;
}
#endif

OP(rotary_embedding, .name = "RotaryEmbedding", .since = 23,
   .doc = "Pairs of elements of each head turned by angles that depend on the place in the sequence.",
   .inputs = "X:T, cos_cache:T, sin_cache:T, position_ids:i64?", .outputs = "Y:T", .types = "T=f32 f16 bf16",
   ATTRS(OG_INT("num_heads", 0), OG_INT("rotary_embedding_dim", 0), OG_INT("interleaved", 0)),
   .shape = rotary_embedding_shape, .eval = rotary_embedding_eval)
