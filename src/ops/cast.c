#include "ops/cast.h"
#include "ops/dims.h"

#if OP_BASE
static og_status cast_shape(og_infer *c)
{
	int64_t to = c->attr[0].i;
	if (to <= 0 || to >= OG_DTYPE_COUNT || !cast_takes((og_dtype)to))
		return c->host->fail(to == OG_STRING || to == OG_C64 || to == OG_C128 ? OG_UNSUPPORTED : OG_BAD_FILE,
		                     "Cast can't make elements of type %lld", (long long)to);
	dims_copy(&c->out[0], &c->in[0]);
	c->out[0].dtype = (og_dtype)to;
	return OG_OK;
}

static og_status cast_eval(const og_call *c)
{
	return cast_run(c, c->op->since < 19 || c->attr[1].i != 0, c->op->since < 24 ? CAST_UP : (int)c->attr[2].i);
}
#define CAST_TO { .name = "to", .type = OG_ATTR_INT, .required = 1 }
#endif

OP(cast_6, .name = "Cast", .since = 6, .doc = "The elements as another type.", .inputs = "input:T",
   .outputs = "output:U", ATTRS(CAST_TO), .shape = cast_shape, .eval = cast_eval)
OP(cast_19, .name = "Cast", .since = 19, .doc = "The elements as another type.", .inputs = "input:T",
   .outputs = "output:U", ATTRS(CAST_TO, OG_INT("saturate", 1)), .shape = cast_shape, .eval = cast_eval)
OP(cast_24, .name = "Cast", .since = 24, .doc = "The elements as another type.", .inputs = "input:T",
   .outputs = "output:U", ATTRS(CAST_TO, OG_INT("saturate", 1), OG_ENUM("round_mode", CAST_ROUNDINGS, CAST_UP)),
   .shape = cast_shape, .eval = cast_eval)
