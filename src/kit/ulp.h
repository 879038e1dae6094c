/* ulp.h -- for measuring elementwise formulas: the error of a float32 result in units in the last place, attribute
 * values and operands to try. For op test, test_elementwise and tools/opsdoc. */
#ifndef KIT_ULP_H
#define KIT_ULP_H

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "opgraft/op_abi.h"

/* |y - r| in units of the last place of a float at r. Infinite when one is NaN and the other not, an infinity or an
 * exact zero has the wrong sign, or a finite result is infinitely far off. */
static inline double ulp_error(float y, double r)
{
	double a = fabs(r), d = fabs((double)y);
	bool same_sign = !signbit(y) == !signbit(r);
	int e;
	if (isnan(y) || isnan(r)) return isnan(y) && isnan(r) ? 0 : (double)INFINITY;
	if (r == 0) return y == 0 && same_sign ? 0 : y == 0 ? (double)INFINITY : d / 0x1p-149;
	if (d != 0 && !same_sign) return (double)INFINITY;
	if (a >= 0x1p128) return isinf(y) ? 0 : isinf(r) ? (double)INFINITY : (0x1p128 - d) / 0x1p104;
	if (isinf(y)) d = 0x1p128;                   /* as if floats went on */
	(void)frexp(a, &e);
	return fabs(d - a) / ldexp(1.0, e - 24 < -149 ? -149 : e - 24);
}

/* True when the formula's result is stored as bool. */
static inline bool ulp_is_test(const og_op *op)
{
	const char *type = strchr(op->outputs, ':');
	char set[] = "T=bool";
	if (!type) return false;
	if (!strncmp(type + 1, "bool", 4)) return true;
	set[0] = type[1];
	return op->types && strstr(op->types, set) != NULL;
}

/* Attribute values number k to try, the defaults first; false when there are no more. */
static inline bool ulp_attributes(const og_op *op, int k, float *attr)
{
	static const double tries[][OG_MAX_MAP_ATTRS] = {
		{ 1.5, 0.25, 1, 1 }, { 0.75, -0.5, 2, 0.5 }, { -0.5, 1.25, 0, 1 }
	};
	if (k > 0 && (op->map_attrs == 0 || k > (int)(sizeof tries / sizeof *tries))) return false;
	for (int i = 0; i < op->map_attrs; i++) {
		const og_attr *a = &op->attrs[i];
		const char *word = a->words;
		double x = k ? tries[k - 1][i] : a->value;
		for (int n = 0; word && n < k; n++) word = strchr(word, '|') ? strchr(word, '|') + 1 : NULL;
		if (a->type == OG_ATTR_ENUM && !word) return false;
		if (k && a->type == OG_ATTR_ENUM) x = k;
		if (k && a->type == OG_ATTR_INT) x = (k + i) % 2;
		if (a->low < a->high) x = fmin(fmax(x, a->low), a->high);
		attr[i] = (float)x;
	}
	return true;
}

/* ---- operands ------------------------------------------------------------------------------- */

enum { ULP_BLOCK = 4096 };

/* What to try next on an op: for one input every stride-th float there is, from `next` on; for more, every combination of
 * the special values, then `rounds` blocks of random ones. */
typedef struct ulp_samples {
	int inputs;
	uint32_t stride;
	int rounds;
	uint64_t next;
	uint64_t seed;
} ulp_samples;

static inline float ulp_float(uint32_t bits)
{
	float x;
	memcpy(&x, &bits, sizeof x);
	return x;
}

static inline uint32_t ulp_random(ulp_samples *s)
{
	s->seed = s->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(s->seed >> 32);
}

/* Half of them any bits, a quarter up to 32, a quarter up to 2. */
static inline float ulp_random_float(ulp_samples *s)
{
	uint32_t r = ulp_random(s) >> 16;
	if (r & 1) return ulp_float(ulp_random(s));
	return (float)((double)(int32_t)ulp_random(s) * (r & 2 ? 0x1p-26 : 0x1p-30));
}

/* Fills x[input][k], k below the result, which is 0 at the end. */
static inline size_t ulp_next(ulp_samples *s, float x[OG_MAX_IN][ULP_BLOCK])
{
	static const float special[] = {
		0.0f, -0.0f, 1.0f, -1.0f, 0.5f, -0.5f, 2.0f, -2.0f, 3.0f, -3.0f, 0.25f, 1.5f, -1.5f, 2.5f, 10.0f, -10.0f,
		31.0f, 88.72f, -87.33f, -103.97f, 0x1p-149f, -0x1p-149f, 0x1p-126f, -0x1p-126f, 0x1.fffffcp-127f,
		0x1.fffffep-1f, 0x1.000002p0f, -0x1.000002p0f, 8388607.5f, 8388609.0f, 16777215.0f, -16777217.0f, 0x1p31f,
		-0x1p31f, 1e30f, -1e30f, 0x1.fffffep127f, -0x1.fffffep127f, (float)INFINITY, -(float)INFINITY, (float)NAN,
	};
	enum { N = sizeof special / sizeof *special };
	const uint64_t combinations = s->inputs > 2 ? N * N * N : N * N;
	size_t n = 0;
	if (s->inputs == 1) {
		for (; n < ULP_BLOCK && s->next < UINT64_C(1) << 32; n++, s->next += s->stride)
			x[0][n] = ulp_float((uint32_t)s->next);
		return n;
	}
	for (; n < ULP_BLOCK && s->next < combinations; n++, s->next++) {
		x[0][n] = special[s->next % N];
		x[1][n] = special[s->next / N % N];
		x[2][n] = special[s->next / N / N % N];
	}
	if (n > 0 || s->rounds-- <= 0) return n;
	for (int k = 0; k < s->inputs; k++)
		for (size_t i = 0; i < ULP_BLOCK; i++) x[k][i] = ulp_random_float(s);
	return ULP_BLOCK;
}

#endif
