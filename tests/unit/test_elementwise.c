/* test_elementwise.c -- every formula in every view: the cpu views agree bit for bit and lie within the op's stated error
 * of the ref view; every form for integers is what C or Python would give, or what the op's file says instead.
 *
 * OPGRAFT_EXHAUSTIVE=1 tries all 2^32 floats on ops of one input, OPGRAFT_OP=Name only that op, OPGRAFT_SEED=N the values
 * of an earlier run, OPGRAFT_SAMPLE=N only one value of N (under a sanitizer, say). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "kit/ulp.h"

#define X(symbol) extern const og_op og_op_##symbol;
#include "ops.inc"
#undef X

static const og_op *const all_ops[] = {
#define X(symbol) &og_op_##symbol,
#include "ops.inc"
#undef X
};
enum { N_OPS = sizeof all_ops / sizeof *all_ops, TAIL = 41 };

static const char *const isa_name[OG_ISA_COUNT] = { "scalar", "avx2", "avx512" };
static uint64_t seed;

static bool isa_runs(int isa)
{
	if (isa == OG_ISA_AVX2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
	if (isa == OG_ISA_AVX512)
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
		       && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
	return true;
}

static bool is_wanted(const og_op *op)
{
	const char *only = getenv("OPGRAFT_OP");
	return op->map[OG_ISA_SCALAR] && (!only || !strcmp(only, op->name));
}

/* ---- values --------------------------------------------------------------------------------- */

typedef struct check {
	const og_op *op;
	bool test;
	float attr[OG_MAX_MAP_ATTRS];
	double worst;                        /* in ULP */
	float worst_at[OG_MAX_IN];
	float x[OG_MAX_IN][ULP_BLOCK];
	double wide[OG_MAX_IN][ULP_BLOCK], ref[ULP_BLOCK];
	float y[OG_ISA_COUNT][ULP_BLOCK];    /* or bool */
} check;

static void compare_isa(const check *c, int isa, size_t n)
{
	size_t size = c->test ? 1 : sizeof(float);
	if (!memcmp(c->y[0], c->y[isa], n * size)) return;
	for (size_t i = 0; i < n; i++) {
		if (!memcmp((const char *)c->y[0] + i * size, (const char *)c->y[isa] + i * size, size)) continue;
		if (!c->test && isnan(c->y[0][i]) && isnan(c->y[isa][i])) continue;
		printf("\n%s of %a %a %a:", c->op->name, (double)c->x[0][i], (double)c->x[1][i], (double)c->x[2][i]);
		if (!c->test)
			printf(" scalar %a, %s %a, ref %a\n", (double)c->y[0][i], isa_name[isa], (double)c->y[isa][i], c->ref[i]);
		fail_msg("%s: %s differs from scalar", c->op->name, isa_name[isa]);
	}
}

static void compare_ref(check *c, size_t n)
{
	if (c->test) {
		if (memcmp(c->y[0], c->ref, n) != 0) fail_msg("%s differs from ref", c->op->name);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		double e = ulp_error(c->y[0][i], c->ref[i]);
		if (e <= c->worst) continue;
		c->worst = e;
		for (int k = 0; k < OG_MAX_IN; k++) c->worst_at[k] = c->x[k][i];
	}
}

/* Runs c->x through all views. */
static void check_block(check *c, size_t n)
{
	const void *x[OG_MAX_IN], *wide[OG_MAX_IN];
	for (int k = 0; k < c->op->map_inputs; k++) {
		for (size_t i = 0; i < n; i++) c->wide[k][i] = (double)c->x[k][i];
		x[k] = c->x[k];
		wide[k] = c->wide[k];
	}
	c->op->ref(n, c->ref, wide, c->attr);
	for (int isa = 0; isa < OG_ISA_COUNT; isa++) {
		if (!isa_runs(isa)) continue;
		c->op->map[isa](n, c->y[isa], x, c->attr);
		if (isa) compare_isa(c, isa, n);
	}
	compare_ref(c, n);
}

/* True when the op is as exact as it says, for all its attribute values. */
static bool check_op(check *c, bool all)
{
	double worst = -1;
	uint32_t sparse = getenv("OPGRAFT_SAMPLE") ? (uint32_t)strtoul(getenv("OPGRAFT_SAMPLE"), NULL, 10) : 1;
	if (sparse < 1 || sparse > 100) sparse = 1;
	printf("%-16s %2d", c->op->name, c->op->since);
	for (int set = 0; ulp_attributes(c->op, set, c->attr); set++) {
		ulp_samples s = { .inputs = c->op->map_inputs, .stride = all ? 1 : 1021 * sparse, .rounds = all ? 20000 : 200 / (int)sparse,
		                  .seed = seed };
		if (s.inputs == 1) s.next = ulp_random(&s) % s.stride;
		c->worst = -1;
		for (size_t n; (n = ulp_next(&s, c->x)) > 0;) check_block(c, n);
		if (c->worst > worst) worst = c->worst;
		if (c->worst > 0) printf("  %.3f ulp at %.9g", c->worst, (double)c->worst_at[0]);
		for (int k = 1; k < c->op->map_inputs && c->worst > 0; k++) printf(" %.9g", (double)c->worst_at[k]);
	}
	printf("\n");
	if (worst <= fmax(c->op->ulp, 0.5)) return true;
	printf("%s is off by %g ulp, its file says %g\n", c->op->name, worst, c->op->ulp);
	return false;
}

static void test_values(void **state)
{
	check *c = calloc(1, sizeof *c);
	int failed = 0;
	(void)state;
	assert_non_null(c);
	printf("OPGRAFT_SEED=%llu\n", (unsigned long long)seed);
	for (int k = 0; k < N_OPS; k++) {
		c->op = all_ops[k];
		c->test = ulp_is_test(c->op);
		if (is_wanted(c->op)) failed += !check_op(c, getenv("OPGRAFT_EXHAUSTIVE") != NULL);
	}
	free(c);
	assert_int_equal(failed, 0);
}

/* ---- tails and in place --------------------------------------------------------------------- */

/* n elements into y; the bytes behind them must stay. */
static void run_tail(const og_op *op, int isa, size_t n, float *y, const void *const *x, const float *attr, size_t size)
{
	unsigned char *end = (unsigned char *)y + n * size, before[64];
	memcpy(before, end, sizeof before);
	op->map[isa](n, y, x, attr);
	assert_memory_equal(before, end, sizeof before);
}

static void check_tails(const og_op *op, int isa, float x[OG_MAX_IN][TAIL], const float *attr)
{
	const void *in[OG_MAX_IN] = { x[0], x[1], x[2] };
	size_t size = ulp_is_test(op) ? 1 : sizeof(float);
	float full[TAIL], y[TAIL + 16];
	op->map[OG_ISA_SCALAR](TAIL, full, in, attr);
	for (size_t n = 0; n < TAIL; n++) {
		memset(y, 0x5a, sizeof y);
		run_tail(op, isa, n, y, in, attr, size);
		if (memcmp(y, full, n * size) != 0) fail_msg("%s, %s, first %zu elements", op->name, isa_name[isa], n);
		for (int at = 0; at < op->map_inputs && size > 1; at++) {
			const void *same[OG_MAX_IN] = { x[0], x[1], x[2] };
			memcpy(y, x[at], sizeof x[at]);
			same[at] = y;
			run_tail(op, isa, n, y, same, attr, size);
			if (memcmp(y, full, n * size) != 0) fail_msg("%s, %s, in place of input %d, %zu", op->name, isa_name[isa], at, n);
		}
	}
}

static void test_tails(void **state)
{
	float x[OG_MAX_IN][TAIL], attr[OG_MAX_MAP_ATTRS];
	(void)state;
	for (int i = 0; i < TAIL; i++)
		for (int k = 0; k < OG_MAX_IN; k++) x[k][i] = (float)((i * 7 + k * 5) % 23) * 0.375f - 3.0f;
	for (int k = 0; k < N_OPS; k++) {
		if (!is_wanted(all_ops[k])) continue;
		ulp_attributes(all_ops[k], 0, attr);
		for (int isa = 0; isa < OG_ISA_COUNT; isa++)
			if (isa_runs(isa)) check_tails(all_ops[k], isa, x, attr);
	}
}

/* ---- integers ------------------------------------------------------------------------------- */

static const og_op *find(const char *name)
{
	const og_op *found = NULL;
	for (int k = 0; k < N_OPS; k++)
		if (!strcmp(all_ops[k]->name, name) && (!found || all_ops[k]->since > found->since)) found = all_ops[k];
	assert_non_null(found);
	assert_non_null(found->other);
	return found;
}

static int32_t on_i32(const char *name, int32_t a, int32_t b, float attr)
{
	const void *x[] = { &a, &b, &b };
	int32_t y = 0;
	find(name)->other[OG_I32](1, &y, x, &attr);
	return y;
}

static unsigned on_u8(const char *name, uint8_t a, uint8_t b, float attr)
{
	const void *x[] = { &a, &b, &b };
	uint8_t y = 0;
	find(name)->other[OG_U8](1, &y, x, &attr);
	return y;
}

static void test_integers(void **state)
{
	static const struct { const char *name; int32_t a, b, result; float attr; } on[] = {
		{ "Add", INT32_MAX, 1, INT32_MIN, 0 }, { "Sub", INT32_MIN, 1, INT32_MAX, 0 },
		{ "Mul", 65536, 65536, 0, 0 }, { "Mul", -3, 7, -21, 0 }, { "Neg", INT32_MIN, 0, INT32_MIN, 0 },
		{ "Abs", INT32_MIN, 0, INT32_MIN, 0 }, { "Abs", -7, 0, 7, 0 }, { "Div", 7, 0, 0, 0 }, { "Div", -7, 2, -3, 0 },
		{ "Div", INT32_MIN, -1, INT32_MIN, 0 }, { "Mod", -7, 3, 2, 0 }, { "Mod", 7, -3, -2, 0 }, { "Mod", -7, 3, -1, 1 },
		{ "Mod", 7, -3, 1, 1 }, { "Mod", -6, 3, 0, 0 }, { "Mod", 7, 0, 0, 0 }, { "Mod", INT32_MIN, -1, 0, 0 },
		{ "Mod", INT32_MIN, -1, 0, 1 }, { "Mod", 2147483646, INT32_MAX, 2147483646, 0 },
		{ "Mod", -1, INT32_MAX, 2147483646, 0 }, { "Pow", 3, 4, 81, 0 }, { "Pow", -1, -3, -1, 0 }, { "Pow", 2, -1, 0, 0 },
		{ "Pow", 3, 21, 1870418611, 0 }, { "Pow", 0, 0, 1, 0 }, { "Max", -1, 1, 1, 0 }, { "Min", -1, 1, -1, 0 },
		{ "Sign", INT32_MIN, 0, -1, 0 }, { "Relu", -5, 0, 0, 0 }, { "PRelu", -5, 3, -15, 0 }, { "PRelu", 5, 3, 5, 0 },
		{ "Clip", 5, 3, 3, 0 },
	};
	(void)state;
	for (size_t k = 0; k < sizeof on / sizeof *on; k++) {
		int32_t y = on_i32(on[k].name, on[k].a, on[k].b, on[k].attr);
		if (y != on[k].result) fail_msg("%s of %d and %d: %d, not %d", on[k].name, on[k].a, on[k].b, y, on[k].result);
	}
	assert_int_equal(on_u8("Div", 200, 255, 0), 0);
	assert_int_equal(on_u8("Mod", 200, 255, 0), 200);
	assert_int_equal(on_u8("Mul", 200, 2, 0), 144);
	assert_int_equal(on_u8("Abs", 200, 0, 0), 200);
	assert_int_equal(on_u8("Less", 3, 200, 0), 1);
	assert_int_equal(on_u8("Max", 3, 200, 0), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tails), cmocka_unit_test(test_integers), cmocka_unit_test(test_values)
	};
	seed = getenv("OPGRAFT_SEED") ? strtoull(getenv("OPGRAFT_SEED"), NULL, 10) : (uint64_t)time(NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
