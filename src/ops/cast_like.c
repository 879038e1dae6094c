#include "ops/cast.h"
#include "ops/dims.h"

#if OP_BASE
static og_status cast_like_shape(og_infer *c)
{
	dims_copy(&c->out[0], &c->in[0]);
	return OG_OK;
}

static og_status cast_like_eval(const og_call *c)
{
	return cast_run(c, c->op->since < 19 || c->attr[0].i != 0, c->op->since < 24 ? CAST_UP : (int)c->attr[1].i);
}
#endif

OP(cast_like_15, .name = "CastLike", .since = 15, .doc = "The elements as the type of another tensor.",
   .inputs = "input:T, target_type:U", .outputs = "output:U", .shape = cast_like_shape, .eval = cast_like_eval)
OP(cast_like_19, .name = "CastLike", .since = 19, .doc = "The elements as the type of another tensor.",
   .inputs = "input:T, target_type:U", .outputs = "output:U", ATTRS(OG_INT("saturate", 1)), .shape = cast_like_shape,
   .eval = cast_like_eval)
OP(cast_like_24, .name = "CastLike", .since = 24, .doc = "The elements as the type of another tensor.",
   .inputs = "input:T, target_type:U", .outputs = "output:U",
   ATTRS(OG_INT("saturate", 1), OG_ENUM("round_mode", CAST_ROUNDINGS, CAST_UP)), .shape = cast_like_shape,
   .eval = cast_like_eval)
