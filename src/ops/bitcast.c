/* BitCast: the same bits as elements of another type of the same width. */
#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
static int bitcast_bits(og_dtype t)
{
	return og_dtype_bytes(t) ? (int)og_dtype_bytes(t) * 8 : number_packed_width(t);
}

static og_status bitcast_shape(og_infer *c)
{
	int64_t to = c->attr[0].i;
	og_dtype from = c->in[0].dtype;
	if (to <= 0 || to >= OG_DTYPE_COUNT || bitcast_bits((og_dtype)to) == 0 ||
	    (from != OG_NONE && bitcast_bits(from) != bitcast_bits((og_dtype)to)))
		return c->host->fail(OG_BAD_FILE, "BitCast can't take elements of type %d as type %lld; both must have the "
		                     "same number of bits", (int)from, (long long)to);
	dims_copy(&c->out[0], &c->in[0]);
	c->out[0].dtype = (og_dtype)to;
	return OG_OK;
}
#endif

OP(bitcast, .name = "BitCast", .since = 26, .doc = "The same bits as elements of another type.", .inputs = "input:T",
   .outputs = "output:U", ATTRS({ .name = "to", .type = OG_ATTR_INT, .required = 1 }), .shape = bitcast_shape,
   .eval = move_all)
