/* signal.h -- the windows of signal processing: a constant and two cosines over the length. */
#ifndef OPS_SIGNAL_H
#define OPS_SIGNAL_H

#include "ops/dims.h"
#include "ops/number.h"

#if OP_BASE

enum { SIGNAL_PERIODIC, SIGNAL_TYPE };
#define SIGNAL_ATTRS ATTRS(OG_INT("periodic", 1), OG_INT("output_datatype", OG_F32))

/* The type that an attribute asks for, into output 0. */
OG_INLINE og_status signal_type(og_infer *c, int64_t type)
{
	if (type <= 0 || type >= OG_DTYPE_COUNT || type == OG_STRING || type == OG_C64 || type == OG_C128)
		return c->host->fail(OG_BAD_FILE, "%s can't make elements of type %lld", c->op->name, (long long)type);
	c->out[0].dtype = (og_dtype)type;
	return OG_OK;
}

/* Input 0 is the length. */
OG_INLINE og_status signal_shape(og_infer *c)
{
	int64_t n;
	OP_TRY(signal_type(c, c->attr[SIGNAL_TYPE].i));
	OP_TRY(dims_one(c, 0));
	OP_TRY(dims_of_rank(c, &c->out[0], 1));
	if (!c->in[0].value) return OG_OK;
	n = number_get_int(c->in[0].value, 0);
	if (n < 0) return c->host->fail(OG_BAD_FILE, "%s can't make a window of %lld", c->op->name, (long long)n);
	c->out[0].dims[0] = n;
	return OG_OK;
}

/* y[k] = a - b * cos(2 pi k / n) + d * cos(4 pi k / n); without `periodic` the last element is like the first. */
OG_INLINE og_status signal_window(const og_call *c, double a, double b, double d)
{
	const og_tensor *y = c->out[0];
	int64_t n = y->dims[0];
	double period = (double)(c->attr[SIGNAL_PERIODIC].i ? n : n - 1);
	for (int64_t k = 0; k < n; k++) {
		double turn = period > 0 ? 2 * 3.14159265358979323846 * (double)k / period : 0.0;
		number_put(y, k, period > 0 ? a - b * cos(turn) + d * cos(2 * turn) : 1.0);
	}
	return OG_OK;
}

#endif
#endif
