/* conv_trial.h -- one convolution by one tactic, of random shape and data, against a sum in double. Data is uniform in [-1, 1]. Lanes
 * that are not there hold NaN. */
#ifndef CONV_TRIAL_H
#define CONV_TRIAL_H

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
	const char *tactic;
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

/* [images, channels, high, wide] by that many outputs of kernel x kernel, pads and strides being set. */
static void make_tensors(trial *t, const char *tactic, int64_t kernel, int64_t images, int64_t channels, int64_t high, int64_t wide,
                         int64_t outputs)
{
	const int64_t *pads = t->pads, *strides = t->strides;
	t->tactic = tactic;
	t->node = (backend_node){ .name = "trial", .op = schema_find("", "Conv", 17), .attr = t->attr, .in = t->in,
	                          .n_in = 3, .n_anchor_in = 3, .n_out = 1, .out = &t->out };
	assert_non_null(t->node.op);
	t->dilations[0] = t->dilations[1] = 1;
	set_attr(t, "strides", (og_attr_value){ .n = 2, .ints = t->strides });
	set_attr(t, "dilations", (og_attr_value){ .n = 2, .ints = t->dilations });
	set_attr(t, "pads", (og_attr_value){ .n = 4, .ints = t->pads });
	set_attr(t, "group", (og_attr_value){ .i = 1 });
	t->in[0] = make_tensor(4, (int64_t[]){ images, channels, high, wide });
	t->in[1] = make_tensor(4, (int64_t[]){ outputs, channels, kernel, kernel });
	if (chance(60)) t->in[2] = make_tensor(1, &outputs);
	t->out = make_tensor(4, (int64_t[]){ images, outputs, (high + pads[0] + pads[2] - kernel) / strides[0] + 1,
	                                     (wide + pads[1] + pads[3] - kernel) / strides[1] + 1 });
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
		if (k == 0 || k == OPERAND) known[k].data = NULL;
	}
	if (node.tail) node.tail = &t->tail;
	return cpu_backend.prepare(kernel, &node, t->tactic, threads, a);
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
	assert_string_equal(kernel.tactic, t->tactic);
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

/* Element (n, k, y, x) of the output before the tail. */
static double define_sum(const trial *t, int64_t n, int64_t k, int64_t y, int64_t x)
{
	const og_tensor *in = &t->in[0], *w = &t->in[1];
	double sum = t->in[2].data ? (double)((const float *)t->in[2].data)[k] : 0.0;
	for (int64_t c = 0; c < in->dims[1]; c++) {
		const float *plane = (const float *)in->data + (n * in->dims[1] + c) * in->dims[2] * in->dims[3];
		const float *weights = (const float *)w->data + (k * in->dims[1] + c) * w->dims[2] * w->dims[3];
		for (int64_t i = 0; i < w->dims[2] * w->dims[3]; i++) {
			int64_t row = y * t->strides[0] - t->pads[0] + i / w->dims[3], column = x * t->strides[1] - t->pads[1] + i % w->dims[3];
			if (row < 0 || row >= in->dims[2] || column < 0 || column >= in->dims[3]) continue;
			sum += (double)plane[row * in->dims[3] + column] * (double)weights[i];
		}
	}
	return sum;
}

static double define(const trial *t, int64_t n, int64_t k, int64_t y, int64_t x)
{
	const og_tensor *operand = &t->in[OPERAND];
	const int64_t *d = operand->dims;
	double sum = define_sum(t, n, k, y, x);
	if (!t->node.tail) return sum;
	sum += (double)((const float *)operand->data)[((n % d[0] * d[1] + k % d[1]) * d[2] + y % d[2]) * d[3] + x % d[3]];
	return sum > 0 ? sum : 0;
}

/* Errors against the definition: their root mean square is at most the stated one, each of them is 16 times that. */
static void check(const trial *t, double stated)
{
	const float *out = t->out.data;
	const int64_t *d = t->out.dims;
	double squares = 0;
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

/* The same bits by two and three threads as by one. */
static void check_threads(trial *t)
{
	float *first = exactly(bytes_of(&t->out));
	memcpy(first, t->out.data, bytes_of(&t->out));
	for (int threads = 2; threads <= 3; threads++) {
		run_trial(t, threads);
		assert_memory_equal(t->out.data, first, bytes_of(&t->out));
	}
	base_free(first);
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

/* A plan file has packed weights and no others: the same kernel without them. Ends the trial. */
static void check_loading(trial *t)
{
	backend_kernel built, loaded;
	arena *a = arena_create();
	assert_non_null(a);
	assert_int_equal(prepare(&built, t, 1, a), OG_OK);
	for (int k = 1; k < OPERAND; k++) {
		if (!(built.packs_input >> k & 1)) continue;
		base_free(t->in[k].data);
		t->in[k].data = NULL;
	}
	assert_int_equal(prepare(&loaded, t, 1, a), OG_OK);
	assert_int_equal(built.packed_bytes, loaded.packed_bytes);
	arena_destroy(a);
	end_trial(t);
}

/* The mask is read once, so every instruction set gets a process. */
static int run_everywhere(int (*run_group)(const char *isa))
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

#endif
