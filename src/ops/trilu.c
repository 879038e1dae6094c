#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
static og_status trilu_shape(og_infer *c)
{
	OP_TRY(dims_one(c, 1));
	dims_copy(&c->out[0], &c->in[0]);
	if (c->in[0].rank >= 0 && c->in[0].rank < 2)
		return c->host->fail(OG_BAD_FILE, "Trilu takes matrices, but its input has %d dimensions", c->in[0].rank);
	return OG_OK;
}

static og_status trilu_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *diagonal = move_in(c, 1);
	int64_t rows = x->dims[x->rank - 2], n = x->dims[x->rank - 1], k = diagonal ? number_get_int(diagonal, 0) : 0;
	int upper = c->attr[0].i != 0;
	size_t size;
	OP_TRY(move_size(c, x, &size));
	if (og_count(x) == 0) return OG_OK;
	k = k < -rows ? -rows : k > n ? n : k;
	for (int64_t line = 0; line < og_count(x) / n; line++) {
		int64_t cut = line % rows + k + !upper;      /* upper keeps the columns from here on, lower those before */
		char *to = (char *)c->out[0]->data + line * n * (int64_t)size;
		const char *from = (const char *)x->data + line * n * (int64_t)size;
		cut = cut < 0 ? 0 : cut > n ? n : cut;
		size_t left = (size_t)cut * size, right = (size_t)(n - cut) * size;
		memset(upper ? to : to + left, 0, upper ? left : right);
		memcpy(upper ? to + left : to, upper ? from + left : from, upper ? right : left);
	}
	return OG_OK;
}
#endif

OP(trilu, .name = "Trilu", .since = 14, .doc = "The upper or lower triangle of each matrix, zero elsewhere.",
   .inputs = "input:T, k:i64?", .outputs = "output:T", ATTRS(OG_INT("upper", 1)), .flags = OG_SHARED_BITS,
   .shape = trilu_shape, .eval = trilu_eval)
