#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
static og_status eye_like_shape(og_infer *c)
{
	int64_t type = c->attr[0].present ? c->attr[0].i : c->in[0].dtype;
	if (type < 0 || type >= OG_DTYPE_COUNT)
		return c->host->fail(OG_BAD_FILE, "EyeLike can't make elements of type %lld", (long long)type);
	if (type == OG_STRING || type == OG_C64 || type == OG_C128)
		return c->host->fail(OG_UNSUPPORTED, "EyeLike of strings or complex numbers is not supported");
	if (c->in[0].rank >= 0 && c->in[0].rank != 2)
		return c->host->fail(OG_BAD_FILE, "EyeLike takes a matrix, but its input has %d dimensions", c->in[0].rank);
	dims_copy(&c->out[0], &c->in[0]);
	c->out[0].dtype = (og_dtype)type;
	return OG_OK;
}

static og_status eye_like_eval(const og_call *c)
{
	og_tensor *y = c->out[0];
	int64_t n = y->dims[1], k = c->attr[1].i;
	size_t size;
	OP_TRY(move_size(c, y, &size));
	if (og_count(y) == 0) return OG_OK;
	memset(y->data, 0, (size_t)og_count(y) * size);
	if (k >= n || k <= -y->dims[0]) return OG_OK;
	for (int64_t row = k < 0 ? -k : 0; row < y->dims[0] && row + k < n; row++) number_put(y, row * n + row + k, 1.0);
	return OG_OK;
}
#endif

OP(eye_like, .name = "EyeLike", .since = 9,
   .doc = "A matrix of the input's shape with ones on a diagonal, zero elsewhere.",
   .inputs = "input:T", .outputs = "output:U", ATTRS(OG_INT("dtype", 0), OG_INT("k", 0)), .shape = eye_like_shape,
   .eval = eye_like_eval)
