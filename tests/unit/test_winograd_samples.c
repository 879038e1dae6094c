/* test_winograd_samples.c -- conv.samples.winograd against sums in double, for every instruction set of this machine. Data is
 * uniform in [-1, 1], for which docs/winograd.md states the error. Samples that are not there hold NaN. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/layout.h"
#include "schema/schema.h"

static const char tactic[] = "conv.samples.winograd";
static uint64_t state;

static uint32_t random_bits(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33);
}

/* low to high, both included */
static int64_t pick(int64_t low, int64_t high) { return low + (int64_t)(random_bits() % (uint32_t)(high - low + 1)); }

/* ---- one node ------------------------------------------------------------------------------- */

enum { ATTRS = 8, INPUTS = 3 };

typedef struct trial {
	og_attr_value attr[ATTRS];
	int64_t strides[2], dilations[2], pads[4], groups;
	bool relu;
	og_tensor in[INPUTS], out;           /* plain; in[2] may be absent */
} trial;

/* Exactly so many bytes, so that a sanitizer sees what is read behind them; NaN. */
static void *exactly(size_t bytes)
{
	void *p = base_alloc_aligned(bytes ? bytes : 1, 64);
	assert_non_null(p);
	memset(p, 0xff, bytes);
	return p;
}

static size_t bytes_of(const og_tensor *t) { return base_dtype_span(t->dtype, (uint64_t)og_count(t)); }

static og_tensor make_tensor(int rank, const int64_t *dims)
{
	og_tensor t = { .dtype = OG_F32, .rank = rank };
	memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
	t.data = exactly(bytes_of(&t));
	for (int64_t i = 0; i < og_count(&t); i++) ((float *)t.data)[i] = (float)random_bits() * 0x1p-30f - 1.0f;
	return t;
}

static void set_attr(trial *t, const char *name, og_attr_value value)
{
	const og_op *op = schema_find("", "Conv", 17);
	value.present = 1;
	for (int i = 0; op->attrs[i].name; i++)
		if (!strcmp(op->attrs[i].name, name)) t->attr[i] = value;
}

/* Channels and outputs are those of a group; high and wide: of the output. */
static void make_conv(trial *t, int64_t images, int64_t groups, int64_t channels, int64_t outputs, int64_t kernel_high,
                      int64_t kernel_wide, int64_t high, int64_t wide)
{
	memset(t, 0, sizeof *t);
	t->groups = groups;
	t->strides[0] = t->strides[1] = t->dilations[1] = 1;
	t->dilations[0] = pick(1, 10) < 8 ? 1 : 2;
	int64_t in[2] = { high + (kernel_high - 1) * t->dilations[0], wide + kernel_wide - 1 };
	for (int i = 0; i < 4; i++) {
		t->pads[i] = pick(0, 2) ? pick(0, kernel_wide - 1) : 0;
		if (in[i % 2] <= t->pads[i]) t->pads[i] = 0;
		in[i % 2] -= t->pads[i];
	}
	set_attr(t, "strides", (og_attr_value){ .n = 2, .ints = t->strides });
	set_attr(t, "dilations", (og_attr_value){ .n = 2, .ints = t->dilations });
	set_attr(t, "pads", (og_attr_value){ .n = 4, .ints = t->pads });
	set_attr(t, "group", (og_attr_value){ .i = groups });
	t->in[0] = make_tensor(4, (int64_t[]){ images, groups * channels, in[0], in[1] });
	t->in[1] = make_tensor(4, (int64_t[]){ groups * outputs, channels, kernel_high, kernel_wide });
	if (pick(0, 1)) t->in[2] = make_tensor(1, &t->in[1].dims[0]);
	t->out = make_tensor(4, (int64_t[]){ images, groups * outputs, high, wide });
	t->relu = pick(0, 1);
}

static void end_trial(trial *t)
{
	for (int k = 0; k < INPUTS; k++) base_free(t->in[k].data);
	base_free(t->out.data);
}

/* Between a plain tensor and one by samples. */
static void reorder(const og_tensor *t, float *blocked, bool back)
{
	int64_t lanes = cpu_backend.lanes(), inner = og_span(t, 1, t->rank);
	float *plain = t->data;
	for (int64_t i = 0; i < og_count(t); i++) {
		int64_t n = i / inner;
		float *at = blocked + (n / lanes * inner + i % inner) * lanes + n % lanes;
		if (back) plain[i] = *at;
		else *at = plain[i];
	}
}

/* loading: as for a plan file, which has the weights packed. */
static og_status prepare(backend_kernel *kernel, const trial *t, bool loading, int threads, arena *a)
{
	static const backend_layout layouts[INPUTS] = { LAYOUT_SAMPLES };
	og_tensor known[INPUTS];
	program relu = { .n_operands = 1, .n_regs = 2, .n_steps = 1, .operand = { -1 }, .result = 1 };
	relu.step[0] = (program_step){ .op = schema_find_any("Relu"), .out = 1 };
	for (int k = 0; k < INPUTS; k++) {
		known[k] = t->in[k];
		if (k == 0 || loading) known[k].data = NULL;
	}
	backend_node node = { .name = "trial", .op = schema_find("", "Conv", 17), .attr = t->attr, .in = known, .n_in = INPUTS,
	                      .n_anchor_in = INPUTS, .n_out = 1, .out = &t->out, .tail = t->relu ? &relu : NULL, .in_layout = layouts };
	return cpu_backend.prepare(kernel, &node, tactic, threads, a);
}

static void run_trial(const trial *t, int threads)
{
	backend_kernel kernel, loaded;
	arena *a = arena_create();
	pool *workers = NULL;
	int lanes = cpu_backend.lanes();
	assert_non_null(a);
	assert_int_equal(pool_create(&workers, threads), OG_OK);
	assert_int_equal(prepare(&kernel, t, false, threads, a), OG_OK);
	assert_int_equal(prepare(&loaded, t, true, threads, a), OG_OK);
	assert_string_equal(kernel.tactic, tactic);
	assert_true(loaded.packed_bytes == kernel.packed_bytes && loaded.packs_input == kernel.packs_input);
	assert_true(kernel.in_layout[0] == LAYOUT_SAMPLES && kernel.out_layout == LAYOUT_SAMPLES);
	og_tensor x = t->in[0], y = t->out;
	x.data = exactly(layout_bytes(&x, LAYOUT_SAMPLES, lanes));
	y.data = exactly(layout_bytes(&y, LAYOUT_SAMPLES, lanes));
	reorder(&t->in[0], x.data, false);
	void *packed = exactly(kernel.packed_bytes), *workspace = exactly(kernel.workspace_bytes);
	assert_int_equal(kernel.pack(&kernel, packed), OG_OK);
	const og_tensor *in[INPUTS] = { &x };
	backend_run run = { .in = in, .out = (og_tensor *const[]){ &y }, .packed = packed, .workspace = workspace, .threads = workers };
	uint64_t allocations = base_allocations();
	assert_int_equal(kernel.run(&loaded, &run), OG_OK);
	assert_true(base_allocations() == allocations);
	reorder(&t->out, y.data, true);
	base_free(x.data);
	base_free(y.data);
	base_free(packed);
	base_free(workspace);
	pool_destroy(workers);
	arena_destroy(a);
}

/* ---- the definition ------------------------------------------------------------------------- */

static double define(const trial *t, int64_t n, int64_t k, int64_t y, int64_t x)
{
	const og_tensor *in = &t->in[0];
	const int64_t *d = in->dims, *w = t->in[1].dims;
	int64_t first = k / (w[0] / t->groups) * w[1];         /* channel of the group */
	double sum = t->in[2].data ? (double)((const float *)t->in[2].data)[k] : 0.0;
	for (int64_t i = 0; i < w[1] * w[2] * w[3]; i++) {
		int64_t c = i / w[3] / w[2], row = y - t->pads[0] + i / w[3] % w[2] * t->dilations[0], column = x - t->pads[1] + i % w[3];
		if (row < 0 || row >= d[2] || column < 0 || column >= d[3]) continue;
		sum += (double)((const float *)in->data)[((n * d[1] + first + c) * d[2] + row) * d[3] + column] *
		       (double)((const float *)t->in[1].data)[k * w[1] * w[2] * w[3] + i];
	}
	return t->relu && sum < 0 ? 0 : sum;
}

/* Errors: their root mean square is at most the stated one, each of them is 16 times that. */
static void check(const trial *t)
{
	const float *out = t->out.data;
	const int64_t *d = t->out.dims, *w = t->in[1].dims;
	double products = (double)(w[1] * w[2]), squares = 0;
	double stated = (4e-7 + 1.2e-7 * sqrt(products)) * sqrt(products * (double)w[3]) / 3 + (double)FLT_EPSILON;
	for (int64_t i = 0; i < og_count(&t->out); i++) {
		double wanted = define(t, i / d[3] / d[2] / d[1], i / d[3] / d[2] % d[1], i / d[3] % d[2], i % d[3]);
		double error = fabs((double)out[i] - wanted);
		if (!(error <= 16 * stated))
			fail_msg("element %lld is %g and not %g (+-%g)", (long long)i, (double)out[i], wanted, 16 * stated);
		squares += error * error;
	}
	double error = sqrt(squares / (double)og_count(&t->out));
	if (og_count(&t->out) >= 2000 && error > stated) fail_msg("the error is %g and not %g", error, stated);
}

/* ---- tests ---------------------------------------------------------------------------------- */

/* Any threads have the same bits. */
static void test_random(void **unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++) {
		trial t;
		state = (uint64_t)i;
		bool many = pick(1, 10) == 1;
		make_conv(&t, pick(2, 40), pick(0, 3) ? 1 : pick(2, 3), pick(1, many ? 60 : 8), pick(1, many ? 40 : 20), pick(1, 5), pick(3, 7),
		          pick(1, 16), pick(1, 30));
		run_trial(&t, 1);
		check(&t);
		float *first = exactly(bytes_of(&t.out));
		memcpy(first, t.out.data, bytes_of(&t.out));
		for (int threads = 2; threads <= 3; threads++) {
			run_trial(&t, threads);
			assert_memory_equal(t.out.data, first, bytes_of(&t.out));
		}
		base_free(first);
		end_trial(&t);
	}
}

/* What is not finite reaches the outputs of its sample whose tile reads it, and nothing else. */
static void test_not_finite(void **unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++) {
		trial t;
		state = (uint64_t)i;
		make_conv(&t, pick(2, 20), 1, pick(1, 4), pick(1, 9), pick(1, 5), pick(3, 7), pick(3, 12), pick(3, 20));
		t.relu = false;
		const int64_t *in = t.in[0].dims, *d = t.out.dims, *w = t.in[1].dims;
		int64_t n = pick(0, in[0] - 1), c = pick(0, in[1] - 1), y = pick(0, in[2] - 1), x = pick(0, in[3] - 1), wide = 10 - w[3];
		float *clean = exactly(bytes_of(&t.out));
		run_trial(&t, 1);
		memcpy(clean, t.out.data, bytes_of(&t.out));
		((float *)t.in[0].data)[((n * in[1] + c) * in[2] + y) * in[3] + x] = pick(0, 1) ? (float)NAN : HUGE_VALF;
		run_trial(&t, 1);
		for (int64_t at = 0; at < og_count(&t.out); at++) {
			int64_t down = y + t.pads[0] - at / d[3] % d[2], column = at % d[3], right = x + t.pads[1] - column;
			bool row = down >= 0 && down % t.dilations[0] == 0 && down / t.dilations[0] < w[2];
			bool tile = x + t.pads[1] >= column / wide * wide && x + t.pads[1] < column / wide * wide + 9;
			float out = ((const float *)t.out.data)[at];
			if (at / d[3] / d[2] / d[1] != n || !row || !tile) assert_memory_equal(&out, &clean[at], sizeof out);
			else if (right >= 0 && right < w[3]) assert_false(isfinite(out));
		}
		base_free(clean);
		end_trial(&t);
	}
}

static void refuse(trial *t)
{
	backend_kernel kernel;
	arena *a = arena_create();
	assert_non_null(a);
	assert_int_equal(prepare(&kernel, t, false, 2, a), OG_UNSUPPORTED);
	arena_destroy(a);
	end_trial(t);
}

static void test_refusals(void **unused)
{
	(void)unused;
	for (int64_t wide = 2; wide <= 8; wide += 6) {
		trial t;
		make_conv(&t, 16, 1, 2, 3, 3, wide, 9, 9);
		refuse(&t);
	}
	for (int a = 0; a < 2; a++) {
		trial t;
		make_conv(&t, 16, 1, 2, 3, 3, 3, 9, 9);
		t.strides[a] = 2;
		t.out.dims[2 + a] = 5;
		refuse(&t);
	}
	trial t;
	make_conv(&t, 16, 1, 2, 3, 3, 3, 9, 9);
	t.dilations[1] = 2;
	t.out.dims[3] -= 2;
	refuse(&t);
	make_conv(&t, 1, 1, 2, 3, 3, 3, 9, 9);
	refuse(&t);
}

static void test_memory(void **unused)
{
	(void)unused;
	trial t;
	state = 3;
	make_conv(&t, 16, 1, 2, 3, 3, 5, 9, 9);
	og_status status = OG_NO_MEMORY;
	for (uint64_t n = 1; status != OG_OK; n++) {
		backend_kernel kernel;
		base_fail_allocation(n);
		arena *a = arena_create();
		if (a) status = prepare(&kernel, &t, false, 2, a);
		base_fail_allocation(0);
		assert_true(status == OG_OK || status == OG_NO_MEMORY);
		arena_destroy(a);
	}
	end_trial(&t);
}

static int run_group(const char *isa)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random), cmocka_unit_test(test_not_finite), cmocka_unit_test(test_refusals), cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests_name(isa, tests, NULL, NULL);
}

/* The mask is read once, so every instruction set gets a process. */
int main(void)
{
	static const char *const isas[] = { "avx2", "avx512" };        /* of one lane nothing lies by samples */
	int failed = 0;
	for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
		pid_t child = fork();
		if (child < 0) return 1;
		if (child == 0) {
			setenv("OPGRAFT_ISA", isas[i], 1);
			exit(strcmp(cpu_backend.features(), isas[i]) ? 0 : run_group(isas[i]) ? 1 : 0);
		}
		int status;
		if (waitpid(child, &status, 0) < 0) return 1;
		failed |= !WIFEXITED(status) || WEXITSTATUS(status);
	}
	return failed;
}
