#include "ops/axis.h"

#if OP_BASE
typedef struct where_work {
	const og_tensor *in[3], *y;
	size_t size;                         /* bytes of an element */
	int64_t row;                         /* elements along the last dimension */
} where_work;

/* Rows [begin, end) of the output. */
static void where_rows(void *arg, int64_t begin, int64_t end)
{
	const where_work *w = (const where_work *)arg;
	for (int64_t r = begin; r < end; r++) {
		const char *at[3];
		size_t step[3], size = w->size;
		char *to = (char *)w->y->data + (size_t)(r * w->row) * size;
		for (int i = 0; i < 3; i++) {
			const og_tensor *t = w->in[i];
			step[i] = i == 0 ? 1 : size;
			at[i] = (const char *)t->data + (size_t)axis_broadcast(w->y, t, r * w->row) * step[i];
			if (t->rank == 0 || t->dims[t->rank - 1] == 1) step[i] = 0;
		}
		for (int64_t k = 0; k < w->row; k++, to += size) {
			memcpy(to, *at[0] ? at[1] : at[2], size);
			for (int i = 0; i < 3; i++) at[i] += step[i];
		}
	}
}

static og_status where_eval(const og_call *c)
{
	const og_tensor *y = c->out[0];
	where_work w = { .in = { c->in[0], c->in[1], c->in[2] }, .y = y, .row = 1 };
	int64_t count = y ? og_count(y) : 0;
	if (count == 0) return OG_OK;
	w.size = og_dtype_bytes(y->dtype);
	if (w.size == 0) return c->host->fail(OG_UNSUPPORTED, "Where takes no elements of less than a byte and no strings");
	if (y->rank > 0) w.row = y->dims[y->rank - 1];
	c->host->parallel(c, count / w.row, 1 + 8192 / w.row, where_rows, &w);
	return OG_OK;
}
#endif

OP(where, .name = "Where", .since = 9,
   .doc = "X where the condition is true, else Y.",
   .inputs = "condition:bool, X:T, Y:T", .outputs = "output:T",
   .flags = OG_SHARED_BITS, .eval = where_eval,
   .cases = "bool[2,3,4] f32[2,3,4] f32[2,3,4] | bool[4] f32[2,1,4] f32[] | "
            "bool[2,1] i64[3] i64[2,3] | bool[0,3] f32[3] f32[]")
