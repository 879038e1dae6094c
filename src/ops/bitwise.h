/* bitwise.h -- ops on the bits of integers. */
#ifndef OPS_BITWISE_H
#define OPS_BITWISE_H

#include "ops/axis.h"
#include "ops/number.h"

#if OP_BASE
/* y = f(a, b) on each element, as 64 bits of which those of the type are kept. b is a where there is one input. */
OG_INLINE og_status bitwise_run(const og_call *c, uint64_t (*f)(uint64_t a, uint64_t b))
{
	const og_tensor *a = c->in[0], *b = c->in[c->n_in > 1], *y = c->out[0];
	int64_t count = y ? og_count(y) : 0;
	for (int64_t k = 0; k < count; k++) {
		uint64_t x0 = (uint64_t)number_get_int(a, axis_broadcast(y, a, k));
		uint64_t x1 = (uint64_t)number_get_int(b, axis_broadcast(y, b, k));
		number_put_int(y, k, (int64_t)f(x0, x1));
	}
	return OG_OK;
}
#endif
#endif
