/* strips.c -- an elementwise op by its definition: its formula in double over short strips, its inputs broadcast.
 * Integers and bools have forms of their own, over their own type. */
#include "schema/inside.h"

#include <math.h>

enum { STRIP = 256 };

typedef struct operand {
	const og_tensor *t;                  /* NULL: every element is `value` */
	double value;
	int64_t step[OG_MAX_RANK];           /* elements to go on by in each dimension of the output; 0 where broadcast */
} operand;

static operand operand_of(const og_tensor *t, const og_tensor *y, double value)
{
	operand o = { .t = t, .value = value };
	int64_t step = 1;
	for (int d = t ? t->rank - 1 : -1; d >= 0; d--) {
		o.step[y->rank - t->rank + d] = t->dims[d] == 1 ? 0 : step;
		step *= t->dims[d];
	}
	return o;
}

/* at[k]: which element of the operand goes with element start + k of y. */
static void find_elements(int64_t *at, const operand *o, const og_tensor *y, int64_t start, size_t n)
{
	int64_t index[OG_MAX_RANK], offset = 0;
	for (int d = y->rank - 1; d >= 0; d--) {
		index[d] = start % y->dims[d];
		start /= y->dims[d];
		offset += index[d] * o->step[d];
	}
	for (size_t k = 0; k < n; k++) {
		at[k] = offset;
		for (int d = y->rank - 1; d >= 0; d--) {
			offset += o->step[d];
			if (++index[d] < y->dims[d]) break;
			offset -= o->step[d] * y->dims[d];
			index[d] = 0;
		}
	}
}

/* X(NAME, C type, element x as double, double x as element): types that formulas work on. */
#define REAL_MAP(X) \
	X(F32, float, (double)x, (float)x) X(F64, double, x, x) \
	X(F16, uint16_t, (double)base_half_to_float(x), base_float_to_half((float)x)) \
	X(BF16, uint16_t, (double)base_bfloat_to_float(x), base_float_to_bfloat((float)x)) \
	X(BOOL, uint8_t, (double)(x != 0), (uint8_t)(x != 0)) \
	X(I8, int8_t, (double)x, (int8_t)clamp(x, -0x1p7, 0x1p7 - 1)) \
	X(U8, uint8_t, (double)x, (uint8_t)clamp(x, 0, 0x1p8 - 1)) \
	X(I16, int16_t, (double)x, (int16_t)clamp(x, -0x1p15, 0x1p15 - 1)) \
	X(U16, uint16_t, (double)x, (uint16_t)clamp(x, 0, 0x1p16 - 1)) \
	X(I32, int32_t, (double)x, (int32_t)clamp(x, -0x1p31, 0x1p31 - 1)) \
	X(U32, uint32_t, (double)x, (uint32_t)clamp(x, 0, 0x1p32 - 1)) \
	X(I64, int64_t, (double)x, x >= 0x1p63 ? INT64_MAX : (int64_t)clamp(x, -0x1p63, 0x1p63)) \
	X(U64, uint64_t, (double)x, x >= 0x1p64 ? UINT64_MAX : (uint64_t)clamp(x, 0, 0x1p64))

static double clamp(double x, double low, double high)
{
	return isnan(x) ? 0 : x < low ? low : x > high ? high : x;
}

static og_status read_strip(double *to, const operand *o, const int64_t *at, size_t n)
{
	switch (o->t->dtype) {
#define X(NAME, T, read, write) \
	case OG_##NAME: \
		for (size_t k = 0; k < n; k++) { \
			T x = ((const T *)o->t->data)[at[k]]; \
			to[k] = read; \
		} \
		return OG_OK;
	REAL_MAP(X)
#undef X
	default: return base_fail(OG_UNSUPPORTED, "formulas do not take %s", base_dtype_name(o->t->dtype));
	}
}

static og_status write_strip(void *to, og_dtype dtype, const double *from, size_t n)
{
	switch (dtype) {
#define X(NAME, T, read, write) \
	case OG_##NAME: \
		for (size_t k = 0; k < n; k++) { \
			double x = from[k]; \
			((T *)to)[k] = write; \
		} \
		return OG_OK;
	REAL_MAP(X)
#undef X
	default: return base_fail(OG_UNSUPPORTED, "formulas do not make %s", base_dtype_name(dtype));
	}
}

static void pick_strip(uint8_t *to, const operand *o, const int64_t *at, size_t n, size_t size)
{
	const uint8_t *from = o->t->data;
	for (size_t k = 0; k < n; k++) memcpy(to + k * size, from + (size_t)at[k] * size, size);
}

/* Where strips are made: doubles, or elements of up to eight bytes. */
typedef struct work {
	_Alignas(64) uint8_t in[OG_MAX_IN][STRIP * sizeof(double)];
	_Alignas(64) uint8_t out[STRIP * sizeof(double)];
	int64_t at[STRIP];
} work;

/* One strip of an operand, as doubles when own is OG_NONE, else as elements of that type, which is the operand's. */
static og_status load(uint8_t *to, work *w, const operand *o, const og_tensor *y, og_dtype own, int64_t start, size_t n)
{
	if (!o->t) {
		double constant[STRIP];
		for (size_t k = 0; k < n; k++) constant[k] = o->value;
		return write_strip(to, own == OG_NONE ? OG_F64 : own, constant, n);
	}
	find_elements(w->at, o, y, start, n);
	if (own == OG_NONE) return read_strip((void *)to, o, w->at, n);
	pick_strip(to, o, w->at, n, og_dtype_bytes(own));
	return OG_OK;
}

/* y = f(operands). own: OG_NONE, or the type of all operands, which f then takes as they are. */
static og_status run_formula(const og_tensor *y, const operand *o, const og_op *op, og_dtype own, bool is_test,
                             const float *attr)
{
	og_map_fn *f = own == OG_NONE ? op->ref : op->other[own];
	const int64_t count = og_count(y);
	const size_t size = og_dtype_bytes(y->dtype);
	work w;
	const void *x[OG_MAX_IN] = { w.in[0], w.in[1], w.in[2] };
	for (int64_t start = 0; start < count; start += STRIP) {
		size_t n = count - start < STRIP ? (size_t)(count - start) : STRIP;
		uint8_t *to = (uint8_t *)y->data + (size_t)start * size;
		for (int k = 0; k < op->map_inputs; k++) TRY(load(w.in[k], &w, &o[k], y, own, start, n));
		f(n, w.out, x, attr);
		if (own == OG_NONE && !is_test) TRY(write_strip(to, y->dtype, (const void *)w.out, n));
		else memcpy(to, w.out, n * size);
	}
	return OG_OK;
}

/* The type whose own form of the formula serves: all inputs that are there must have it. */
static og_dtype own_form(const og_call *c)
{
	og_dtype t = c->n_in > 0 && c->in[0] ? c->in[0]->dtype : OG_NONE;
	if (!c->op->other || t == OG_NONE || !c->op->other[t]) return OG_NONE;
	for (int k = 1; k < c->n_in; k++)
		if (c->in[k] && c->in[k]->dtype != t) return OG_NONE;
	return t;
}

/* A variadic op is its formula of two inputs over the first and the second, that and the third, and so on. */
static og_status run_folded(const og_call *c, og_dtype own, const float *attr)
{
	og_tensor *y = c->out[0];
	operand x[2] = { operand_of(c->in[0], y, 0), operand_of(c->in[c->n_in > 1], y, 0) };
	if (c->n_in == 1) {                  /* of one input nothing is to be computed */
		memcpy(y->data, c->in[0]->data, base_dtype_span(y->dtype, (uint64_t)og_count(y)));
		return OG_OK;
	}
	for (int k = 1; k < c->n_in; k++) {
		x[1] = operand_of(c->in[k], y, 0);
		TRY(run_formula(y, x, c->op, own, false, attr));
		x[0] = operand_of(y, y, 0);
	}
	return OG_OK;
}

og_status schema_run_map(const og_call *c, const schema_args *inputs, bool is_test)
{
	const og_op *op = c->op;
	float attr[OG_MAX_MAP_ATTRS] = { 0 };
	operand x[OG_MAX_IN];
	if (!c->out[0] || og_count(c->out[0]) == 0) return OG_OK;
	for (int k = 0; k < op->map_attrs; k++) attr[k] = c->attr[k].f;
	og_dtype own = own_form(c);
	if (inputs->arg[inputs->n - 1].variadic) return run_folded(c, own, attr);
	for (int k = 0; k < op->map_inputs; k++)
		x[k] = operand_of(k < c->n_in ? c->in[k] : NULL, c->out[0], k < inputs->n ? inputs->arg[k].value : 0);
	return run_formula(c->out[0], x, op, own, is_test, attr);
}
