/* test_winograd.c -- Winograd convolutions against sums in double, for every instruction set of this machine. Data is
 * uniform in [-1, 1], for which docs/winograd.md states the error. Lanes that are not there hold NaN. */
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

static uint64_t state;

static uint32_t random_bits(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33);
}

/* low to high, both included */
static int64_t pick(int64_t low, int64_t high) { return low + (int64_t)(random_bits() % (uint32_t)(high - low + 1)); }
static bool chance(int percent) { return pick(1, 100) <= percent; }

/* ---- one node ------------------------------------------------------------------------------- */

enum { ATTRS = 8, INPUTS = 4, OPERAND = 3 };

typedef struct trial {
	backend_node node;
	og_attr_value attr[ATTRS];
	int64_t strides[2], dilations[2], pads[4];
	og_tensor in[INPUTS], out;           /* plain; OPERAND is the tail's */
	program tail;
} trial;

/* Exactly so many bytes, so that a sanitizer sees what is read behind them; NaN. */
static float *exactly(size_t bytes)
{
	float *p = base_alloc_aligned(bytes ? bytes : 1, 64);
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
	value.present = 1;
	for (int i = 0; t->node.op->attrs[i].name; i++)
		if (!strcmp(t->node.op->attrs[i].name, name)) t->attr[i] = value;
}

/* [images, channels, high, wide] by that many outputs of 3 x 3. */
static void make_conv(trial *t, int64_t images, int64_t channels, int64_t high, int64_t wide, int64_t outputs)
{
	memset(t, 0, sizeof *t);
	t->node = (backend_node){ .name = "trial", .op = schema_find("", "Conv", 17), .attr = t->attr, .in = t->in,
	                          .n_in = 3, .n_anchor_in = 3, .n_out = 1, .out = &t->out };
	assert_non_null(t->node.op);
	t->strides[0] = t->strides[1] = t->dilations[0] = t->dilations[1] = 1;
	for (int i = 0; i < 4; i++) t->pads[i] = chance(40) ? 1 : pick(0, 2);
	for (int a = 0; a < 2; a++)                      /* of one output at least */
		if ((a ? wide : high) + t->pads[a] + t->pads[a + 2] < 3) t->pads[a] = t->pads[a + 2] = 1;
	set_attr(t, "strides", (og_attr_value){ .n = 2, .ints = t->strides });
	set_attr(t, "dilations", (og_attr_value){ .n = 2, .ints = t->dilations });
	set_attr(t, "pads", (og_attr_value){ .n = 4, .ints = t->pads });
	set_attr(t, "group", (og_attr_value){ .i = 1 });
	t->in[0] = make_tensor(4, (int64_t[]){ images, channels, high, wide });
	t->in[1] = make_tensor(4, (int64_t[]){ outputs, channels, 3, 3 });
	if (chance(60)) t->in[2] = make_tensor(1, &outputs);
	t->out = make_tensor(4, (int64_t[]){ images, outputs, high + t->pads[0] + t->pads[2] - 2,
	                                     wide + t->pads[1] + t->pads[3] - 2 });
}

/* Relu(y + operand), where the operand has the output's shape or is an element for each output or one for all. */
static void add_tail(trial *t)
{
	const int64_t *y = t->out.dims;
	int kind = (int)pick(0, 2);
	int64_t dims[] = { kind ? 1 : y[0], kind == 2 ? 1 : y[1], kind ? 1 : y[2], kind ? 1 : y[3] };
	t->in[OPERAND] = make_tensor(4, dims);
	t->tail = (program){ .n_operands = 2, .n_regs = 3, .n_steps = 2, .operand = { -1, OPERAND }, .result = 2 };
	t->tail.step[0] = (program_step){ .op = schema_find_any("Add"), .in = { 0, 1 }, .out = 2 };
	t->tail.step[1] = (program_step){ .op = schema_find_any("Relu"), .in = { 2 }, .out = 2 };
	t->node.tail = &t->tail;
	t->node.n_in = OPERAND + 1;
}

static void end_trial(trial *t)
{
	for (int k = 0; k < INPUTS; k++) base_free(t->in[k].data);
	base_free(t->out.data);
}

/* ---- running -------------------------------------------------------------------------------- */

/* Copies a tensor to a layout or (back) from it. */
static void reorder(const og_tensor *t, float *blocked, backend_layout layout, bool back)
{
	int lanes = cpu_backend.lanes(), axis = layout_axis(t, layout);
	int64_t inner = axis < 0 ? 1 : og_span(t, axis + 1, t->rank), cut = axis < 0 ? 1 : t->dims[axis];
	int64_t blocks = (cut + lanes - 1) / lanes;
	float *plain = t->data;
	for (int64_t i = 0; i < og_count(t); i++) {
		int64_t k = i / inner % cut, block = i / inner / cut * blocks + k / lanes;
		float *at = blocked + (axis < 0 ? i : (block * inner + i % inner) * lanes + k % lanes);
		if (back) plain[i] = *at;
		else *at = plain[i];
	}
}

static og_status prepare(backend_kernel *kernel, const trial *t, int threads, arena *a)
{
	og_tensor known[INPUTS];
	backend_node node = t->node;
	node.in = known;
	node.out = &t->out;
	node.attr = t->attr;
	for (int k = 0; k < INPUTS; k++) {
		known[k] = t->in[k];
		if (k != 1) known[k].data = NULL;
	}
	if (node.tail) node.tail = &t->tail;
	return cpu_backend.prepare(kernel, &node, "conv.winograd", threads, a);
}

static void run_trial(const trial *t, int threads)
{
	og_tensor lying[INPUTS], out = t->out;
	const og_tensor *in[INPUTS] = { NULL };
	backend_kernel kernel;
	arena *a = arena_create();
	pool *threads_pool = NULL;
	int lanes = cpu_backend.lanes();
	assert_non_null(a);
	assert_int_equal(pool_create(&threads_pool, threads), OG_OK);
	assert_int_equal(prepare(&kernel, t, threads, a), OG_OK);
	assert_string_equal(kernel.tactic, "conv.winograd");
	assert_int_equal(kernel.out_layout, LAYOUT_CHANNELS);
	for (int k = 0; k < INPUTS; k++) {
		lying[k] = t->in[k];
		if (lying[k].dtype == OG_NONE) continue;
		lying[k].data = exactly(layout_bytes(&t->in[k], kernel.in_layout[k], lanes));
		reorder(&t->in[k], lying[k].data, kernel.in_layout[k], false);
		if (!(kernel.packs_input >> k & 1)) in[k] = &lying[k];
	}
	out.data = exactly(layout_bytes(&out, LAYOUT_CHANNELS, lanes));
	void *packed = exactly(kernel.packed_bytes), *workspace = exactly(kernel.workspace_bytes);
	assert_int_equal(kernel.pack(&kernel, packed), OG_OK);
	backend_run run = { .in = in, .out = (og_tensor *const[]){ &out }, .packed = packed, .workspace = workspace,
	                    .threads = threads_pool };
	uint64_t allocations = base_allocations();
	assert_int_equal(kernel.run(&kernel, &run), OG_OK);
	assert_true(base_allocations() == allocations);
	reorder(&t->out, out.data, LAYOUT_CHANNELS, true);
	for (int k = 0; k < INPUTS; k++)
		if (lying[k].dtype != OG_NONE) base_free(lying[k].data);
	base_free(out.data);
	base_free(packed);
	base_free(workspace);
	pool_destroy(threads_pool);
	arena_destroy(a);
}

/* ---- the definition ------------------------------------------------------------------------- */

static double define(const trial *t, int64_t n, int64_t k, int64_t y, int64_t x)
{
	const og_tensor *in = &t->in[0], *operand = &t->in[OPERAND];
	double sum = t->in[2].data ? (double)((const float *)t->in[2].data)[k] : 0.0;
	for (int64_t c = 0; c < in->dims[1]; c++) {
		const float *plane = (const float *)in->data + (n * in->dims[1] + c) * in->dims[2] * in->dims[3];
		const float *weights = (const float *)t->in[1].data + (k * in->dims[1] + c) * 9;
		for (int64_t i = 0; i < 9; i++) {
			int64_t row = y - t->pads[0] + i / 3, column = x - t->pads[1] + i % 3;
			if (row < 0 || row >= in->dims[2] || column < 0 || column >= in->dims[3]) continue;
			sum += (double)plane[row * in->dims[3] + column] * (double)weights[i];
		}
	}
	if (!t->node.tail) return sum;
	const int64_t *d = operand->dims;
	int64_t at = ((n % d[0] * d[1] + k % d[1]) * d[2] + y % d[2]) * d[3] + x % d[3];
	sum += (double)((const float *)operand->data)[at];
	return sum > 0 ? sum : 0;
}

/* The stated error, root of the mean square, of an output before its tail. */
static double stated_error(int64_t channels)
{
	return (2e-7 + 1e-7 * sqrt((double)channels)) * sqrt((double)channels);
}

/* Errors against the definition: their root mean square is at most the stated one, each of them is 16 times that. */
static void check(const trial *t)
{
	const float *out = t->out.data;
	const int64_t *d = t->out.dims;
	double squares = 0, stated = stated_error(t->in[0].dims[1]) + (double)FLT_EPSILON;
	for (int64_t i = 0; i < og_count(&t->out); i++) {
		double wanted = define(t, i / d[3] / d[2] / d[1], i / d[3] / d[2] % d[1], i / d[3] % d[2], i % d[3]);
		double error = fabs((double)out[i] - wanted);
		if (!(error <= 16 * stated))
			fail_msg("element %lld is %g and not %g (+-%g)", (long long)i, (double)out[i], wanted, 16 * stated);
		squares += error * error;
	}
	double error = sqrt(squares / (double)og_count(&t->out));
	if (og_count(&t->out) >= 1000 && error > stated) fail_msg("the error is %g and not %g", error, stated);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_random(void **unused)
{
	(void)unused;
	for (int i = 0; i < 120; i++) {
		trial t;
		state = (uint64_t)i;
		int64_t most = chance(50) ? 12 : 40;
		int64_t channels = pick(2, chance(50) ? 20 : 70), outputs = pick(2, chance(50) ? 20 : 70);
		make_conv(&t, chance(5) ? 0 : pick(1, 3), channels, pick(1, most), pick(1, most), outputs);
		if (chance(50)) add_tail(&t);
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

/* An image has the same bits alone and among others, whose tiles share its blocks. */
static void test_samples(void **unused)
{
	(void)unused;
	trial t;
	state = 5;
	make_conv(&t, 5, 20, 9, 6, 30);
	run_trial(&t, 1);
	trial alone = t;
	size_t in = bytes_of(&t.in[0]) / 5, out = bytes_of(&t.out) / 5;
	alone.in[0].dims[0] = alone.out.dims[0] = 1;
	alone.out.data = exactly(out);
	for (size_t n = 0; n < 5; n++) {
		alone.in[0].data = (char *)t.in[0].data + n * in;
		run_trial(&alone, 1);
		assert_memory_equal(alone.out.data, (char *)t.out.data + n * out, out);
	}
	base_free(alone.out.data);
	end_trial(&t);
}

/* What is not finite makes NaN of its tile, of all outputs, and of nothing else. */
static void test_not_finite(void **unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++) {
		trial t;
		state = (uint64_t)i;
		make_conv(&t, 2, pick(2, 40), pick(8, 30), pick(8, 30), pick(2, 40));
		const int64_t *in = t.in[0].dims, *d = t.out.dims;
		int64_t n = pick(0, 1), c = pick(0, in[1] - 1), y = pick(0, in[2] - 1), x = pick(0, in[3] - 1);
		float *clean = exactly(bytes_of(&t.out));
		run_trial(&t, 1);
		memcpy(clean, t.out.data, bytes_of(&t.out));
		((float *)t.in[0].data)[((n * in[1] + c) * in[2] + y) * in[3] + x] = chance(50) ? (float)NAN : HUGE_VALF;
		run_trial(&t, 1);
		for (int64_t at = 0; at < og_count(&t.out); at++) {
			int64_t row = at / d[3] % d[2], column = at % d[3];
			int64_t top = row / 4 * 4 - t.pads[0], left = column / 4 * 4 - t.pads[1];
			bool hit = at / d[3] / d[2] / d[1] == n && y >= top && y < top + 6 && x >= left && x < left + 6;
			float out = ((const float *)t.out.data)[at];
			int64_t down = y - (row - t.pads[0]), right = x - (column - t.pads[1]);
			if (!hit) assert_memory_equal(&out, &clean[at], sizeof out);
			else if (down >= 0 && down < 3 && right >= 0 && right < 3) assert_false(isfinite(out));
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
	assert_int_equal(prepare(&kernel, t, 2, a), OG_UNSUPPORTED);
	arena_destroy(a);
	end_trial(t);
}

static void test_refusals(void **unused)
{
	(void)unused;
	trial t;
	state = 1;
	make_conv(&t, 1, 1, 9, 9, 8);
	refuse(&t);
	make_conv(&t, 1, 8, 9, 9, 1);
	refuse(&t);
	for (int a = 0; a < 2; a++) {
		make_conv(&t, 1, 8, 9, 9, 8);
		t.strides[a] = 2;
		t.out.dims[2 + a] = (t.out.dims[2 + a] + 1) / 2;
		refuse(&t);
		make_conv(&t, 1, 8, 9, 9, 8);
		t.dilations[a] = 2;
		t.out.dims[2 + a] -= 2;
		refuse(&t);
		make_conv(&t, 1, 8, 9, 9, 8);
		t.in[1].dims[2 + a] = 2;
		t.out.dims[2 + a]++;
		refuse(&t);
	}
	make_conv(&t, 1, 8, 9, 9, 8);
	set_attr(&t, "group", (og_attr_value){ .i = 2 });
	t.in[1].dims[1] = 4;
	refuse(&t);
	make_conv(&t, 1, 8, 9, 9, 8);                    /* a plan file may say anything */
	base_free(t.in[1].data);
	t.in[1].data = NULL;
	t.in[0].dims[1] = t.in[1].dims[1] = (int64_t)1 << 57;
	refuse(&t);
}

/* A plan file has packed weights and no others. */
static void test_loading(void **unused)
{
	(void)unused;
	trial t;
	backend_kernel built, loaded;
	arena *a = arena_create();
	assert_non_null(a);
	state = 2;
	make_conv(&t, 1, 20, 9, 9, 20);
	assert_int_equal(prepare(&built, &t, 1, a), OG_OK);
	base_free(t.in[1].data);
	t.in[1].data = NULL;
	assert_int_equal(prepare(&loaded, &t, 1, a), OG_OK);
	assert_int_equal(built.packed_bytes, loaded.packed_bytes);
	arena_destroy(a);
	end_trial(&t);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int run_group(const char *isa)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random), cmocka_unit_test(test_samples), cmocka_unit_test(test_not_finite),
		cmocka_unit_test(test_refusals), cmocka_unit_test(test_loading),
	};
	return cmocka_run_group_tests_name(isa, tests, NULL, NULL);
}

/* The mask is read once, so every instruction set gets a process. */
int main(void)
{
	static const char *const isas[] = { "scalar", "avx2", "avx512" };
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
