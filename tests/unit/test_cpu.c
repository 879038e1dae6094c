/* test_cpu.c -- the CPU backend against the plain definitions, for every instruction set of this machine: products by
 * residual, the rest bit for bit, and the same bits for every number of threads. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "schema/schema.h"

/* ---- random numbers ------------------------------------------------------------------------- */

static uint64_t state;

static uint32_t random_bits(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33);
}

/* low to high, both included */
static int64_t pick(int64_t low, int64_t high) { return low + (int64_t)(random_bits() % (uint32_t)(high - low + 1)); }
static bool chance(int percent) { return pick(1, 100) <= percent; }

static float random_float(void) { return (float)pick(-1000, 1000) / 1000.0f; }

/* ---- one node ------------------------------------------------------------------------------- */

enum { MAX_INPUTS = 8, MAX_ATTRS = 16 };

typedef struct trial {
	backend_node node;
	og_attr_value attr[MAX_ATTRS];
	int64_t ints[MAX_ATTRS][6];
	og_tensor in[MAX_INPUTS], out;
	program tail;
	double products;                     /* of a sum */
	bool has_tail;
} trial;

/* Exactly so many bytes, so that a sanitizer sees what is read behind them. */
static void *exactly(size_t bytes)
{
	void *p = base_alloc_aligned(bytes ? bytes : 1, 64);
	assert_non_null(p);
	return p;
}

static size_t bytes_of(const og_tensor *t) { return base_dtype_span(t->dtype, (uint64_t)og_count(t)); }

static og_tensor make_tensor(og_dtype dtype, int rank, const int64_t *dims)
{
	og_tensor t = { .dtype = dtype, .rank = rank };
	if (rank) memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
	t.data = exactly(bytes_of(&t));
	for (int64_t i = 0; i < og_count(&t); i++) {
		float x = random_float();
		double wide = (double)x;
		switch (dtype) {
		case OG_F32: ((float *)t.data)[i] = x; break;
		case OG_F64: ((double *)t.data)[i] = wide; break;
		case OG_F16: ((uint16_t *)t.data)[i] = base_float_to_half(x); break;
		case OG_BF16: ((uint16_t *)t.data)[i] = base_float_to_bfloat(x); break;
		case OG_I32: ((int32_t *)t.data)[i] = (int32_t)pick(-9, 9); break;
		case OG_I64: ((int64_t *)t.data)[i] = pick(-9, 9); break;
		default: ((uint8_t *)t.data)[i] = (uint8_t)pick(0, 1);
		}
	}
	return t;
}

static const og_op *find_op(const char *name)
{
	const og_op *op = schema_find_any(name);
	assert_non_null(op);
	return op;
}

static void begin_trial(trial *t, const char *op)
{
	memset(t, 0, sizeof *t);
	t->node = (backend_node){ .name = "trial", .op = op ? find_op(op) : NULL, .attr = t->attr, .in = t->in,
	                          .out = &t->out, .n_out = 1 };
	for (int i = 0; op && t->node.op->attrs && t->node.op->attrs[i].name; i++)
		t->attr[i] = (og_attr_value){ .i = (int64_t)t->node.op->attrs[i].value,
		                              .f = (float)t->node.op->attrs[i].value };
}

static int attr_index(const trial *t, const char *name)
{
	for (int i = 0;; i++) {
		assert_non_null(t->node.op->attrs[i].name);
		if (!strcmp(t->node.op->attrs[i].name, name)) return i;
	}
}

static void set_number(trial *t, const char *name, double x)
{
	og_attr_value *a = &t->attr[attr_index(t, name)];
	*a = (og_attr_value){ .present = 1, .i = (int64_t)x, .f = (float)x };
}

static void set_list(trial *t, const char *name, const int64_t *list, int n)
{
	int i = attr_index(t, name);
	memcpy(t->ints[i], list, (size_t)n * sizeof *list);
	t->attr[i] = (og_attr_value){ .present = 1, .n = n, .ints = t->ints[i] };
}

static void end_trial(trial *t)
{
	for (int k = 0; k < t->node.n_in; k++) base_free(t->in[k].data);
	base_free(t->out.data);
}

static bool lies_plain(const backend_kernel *kernel, int n_in)
{
	bool plain = kernel->out_layout == LAYOUT_PLAIN;
	for (int k = 0; k < n_in; k++) plain &= !kernel->in_layout || kernel->in_layout[k] == LAYOUT_PLAIN;
	return plain;
}

/* The kernel asked for; without a tactic, of those on plain tensors the one of least cost. */
static og_status prepare_trial(backend_kernel *kernel, const backend_node *node, const char *tactic, int threads, arena *a)
{
	enum { MOST = 16 };
	const char *ways[MOST];
	og_status status = cpu_backend.prepare(kernel, node, tactic, threads, a);
	if (tactic || status != OG_OK || lies_plain(kernel, node->n_in)) return status;
	int n = cpu_backend.tactics(ways, MOST, node, threads);
	for (int i = 0; i < n && status == OG_OK && !lies_plain(kernel, node->n_in); i++)
		status = cpu_backend.prepare(kernel, node, ways[i], threads, a);
	return status;
}

/* Prepares, packs and runs. constant: bit k: the plan knows input k. The outputs are in t->out. */
static og_status run_trial(const trial *t, const char *tactic, int threads, unsigned constant, const void *packed,
                           const char **chosen)
{
	og_tensor known[MAX_INPUTS], out = t->out;
	const og_tensor *in[MAX_INPUTS];
	backend_node node = t->node;
	backend_kernel kernel;
	arena *a = arena_create();
	pool *threads_pool = NULL;
	assert_non_null(a);
	assert_int_equal(pool_create(&threads_pool, threads), OG_OK);
	for (int k = 0; k < node.n_in; k++) {
		known[k] = t->in[k];
		in[k] = known[k].dtype == OG_NONE ? NULL : &t->in[k];
		if (!(constant >> k & 1) || packed) known[k].data = NULL;
	}
	node.in = known;
	og_status status = prepare_trial(&kernel, &node, tactic, threads, a);
	if (status == OG_OK) {
		void *own = exactly(kernel.packed_bytes), *workspace = exactly(kernel.workspace_bytes);
		if (kernel.pack && !packed) assert_int_equal(kernel.pack(&kernel, own), OG_OK);
		memset(workspace, 0xff, kernel.workspace_bytes);         /* NaNs */
		backend_run run = { .in = in, .out = (og_tensor *const[]){ &out }, .packed = packed ? packed : own,
		                    .workspace = workspace, .threads = threads_pool };
		uint64_t allocations = base_allocations();
		status = kernel.run(&kernel, &run);
		assert_true(base_allocations() == allocations);
		if (chosen) *chosen = kernel.tactic;
		base_free(own);
		base_free(workspace);
	}
	pool_destroy(threads_pool);
	arena_destroy(a);
	return status;
}

/* ---- tails ---------------------------------------------------------------------------------- */

/* A tensor that broadcasts to the output: some dims 1, some left out. */
static og_tensor make_operand(const og_tensor *out)
{
	int64_t dims[OG_MAX_RANK];
	int skip = chance(30) ? (int)pick(0, out->rank) : 0;
	for (int i = skip; i < out->rank; i++) dims[i - skip] = chance(40) ? 1 : out->dims[i];
	return make_tensor(OG_F32, out->rank - skip, dims);
}

/* A program over the anchor's output (anchored) or the first input, and up to three further operands. */
static void add_program(trial *t, bool anchored)
{
	static const char *const names[] = { "Swish", "Add", "Relu", "Mul", "Clip", "Sigmoid", "Sub" };
	program *p = &t->tail;
	int extra = (int)pick(anchored ? 0 : 1, 3);
	t->node.n_anchor_in = anchored ? t->node.n_in : 0;
	if (anchored) p->operand[p->n_operands++] = -1;
	for (int k = 0; k < extra; k++) {
		t->in[t->node.n_in] = make_operand(&t->out);
		p->operand[p->n_operands++] = t->node.n_in++;
	}
	p->n_steps = (int)pick(0, 5);
	p->n_regs = p->n_operands + 3;
	p->result = (uint8_t)pick(0, p->n_operands - 1);
	int filled = p->n_operands;
	for (int k = 0; k < p->n_steps; k++) {
		program_step *s = &p->step[k];
		s->op = find_op(names[pick(0, 6)]);
		for (int i = 0; i < s->op->map_inputs; i++) s->in[i] = (uint8_t)pick(0, filled - 1);
		for (int i = 0; i < s->op->map_attrs; i++) s->attr[i] = (float)s->op->attrs[i].value;
		s->out = (uint8_t)pick(p->n_operands, filled < p->n_regs ? filled : p->n_regs - 1);
		if (s->out == filled) filled++;
		p->result = s->out;
	}
	t->node.tail = p;
	t->has_tail = true;
}

/* ---- products: convolution, Gemm, MatMul ------------------------------------------------------ */

/* The definition's output, in memory of its own; magnitudes: of the absolute inputs, no tail. */
static float *define(const trial *t, bool magnitudes)
{
	trial plain = *t;
	plain.out.data = exactly(bytes_of(&t->out));
	if (magnitudes) {
		plain.node.tail = NULL;
		plain.node.attr = plain.attr;
		for (int k = 0; k < MAX_ATTRS; k++) plain.attr[k].f = fabsf(t->attr[k].f);       /* alpha, beta */
		for (int k = 0; k < t->node.n_in; k++) {
			int64_t n = og_count(&t->in[k]);
			if (t->in[k].dtype == OG_NONE) continue;
			plain.in[k].data = exactly(bytes_of(&t->in[k]));
			for (int64_t i = 0; i < n; i++) ((float *)plain.in[k].data)[i] = fabsf(((const float *)t->in[k].data)[i]);
		}
	}
	plain.node.in = plain.in;
	assert_int_equal(run_trial(&plain, "definition", 1, 0, NULL, NULL), OG_OK);
	for (int k = 0; magnitudes && k < t->node.n_in; k++) base_free(plain.in[k].data);
	return plain.out.data;
}

static void check_close(const trial *t, const float *wanted, const float *magnitude)
{
	const float *y = t->out.data;
	double scale = t->has_tail ? 16.0 : 1.0, more = t->has_tail ? 4.0 : 0.0;
	for (int64_t i = 0; i < og_count(&t->out); i++) {
		double allowed = scale * (t->products + 4.0) * (double)FLT_EPSILON * ((double)magnitude[i] + more);
		if (!isfinite(magnitude[i]) && t->has_tail) continue;      /* a tail may do anything with those */
		if (!isfinite(wanted[i])) {
			assert_int_equal(isnan(y[i]) != 0, isnan(wanted[i]) != 0);
			if (!isnan(y[i])) assert_true(y[i] == wanted[i]);
		} else if (!(fabs((double)y[i] - (double)wanted[i]) <= allowed)) {
			fail_msg("element %lld is %g and not %g (+-%g)", (long long)i, (double)y[i], (double)wanted[i], allowed);
		}
	}
}

/* Every way there is, for 1 to 4 threads. */
static void check_product(trial *t, const char *const *tactics, int n_tactics, unsigned constant)
{
	float *wanted = define(t, false), *magnitude = define(t, true), *first = exactly(bytes_of(&t->out));
	for (int k = -1; k < n_tactics; k++) {
		if (k >= 0 && !constant && strstr(tactics[k], "packed")) continue;
		for (int threads = 1; threads <= 4; threads++) {
			memset(t->out.data, 0x7f, bytes_of(&t->out));
			const char *chosen = NULL;
			og_status status = run_trial(t, k < 0 ? NULL : tactics[k], threads, constant, NULL, &chosen);
			if (status != OG_OK && k >= 0) {
				assert_int_equal(status, OG_UNSUPPORTED);
				break;
			}
			assert_int_equal(status, OG_OK);
			assert_string_not_equal(chosen, "definition");
			if (threads > 1) assert_memory_equal(t->out.data, first, bytes_of(&t->out));
			else check_close(t, wanted, magnitude);
			memcpy(first, t->out.data, bytes_of(&t->out));
		}
	}
	base_free(wanted);
	base_free(magnitude);
	base_free(first);
}

static void make_conv(trial *t, int axes)
{
	int64_t x[4] = { pick(0, 20) ? pick(1, 3) : 0 }, w[4], y[4], list[6];
	int64_t groups = chance(30) ? pick(2, 4) : 1, channels = chance(20) ? 1 : pick(1, 9);
	int64_t outputs = chance(70) ? pick(1, 9) : pick(10, 40);
	int mode = chance(30) ? (int)pick(1, 3) : 0;
	begin_trial(t, "Conv");
	x[1] = groups * channels;
	w[0] = y[1] = groups * outputs;
	w[1] = channels;
	y[0] = x[0];
	t->products = (double)channels;
	int64_t strides[2], dilations[2];
	for (int a = 0; a < axes; a++) {
		strides[a] = chance(60) ? 1 : pick(2, 3);
		dilations[a] = chance(70) ? 1 : pick(2, 3);
		w[2 + a] = pick(1, 5);
		int64_t extent = (w[2 + a] - 1) * dilations[a] + 1;
		list[a] = pick(0, 3);
		list[a + axes] = pick(0, 3);
		x[2 + a] = extent + pick(0, chance(20) ? 60 : 20);
		if (mode == 1 || mode == 2) y[2 + a] = (x[2 + a] + strides[a] - 1) / strides[a];
		else y[2 + a] = (x[2 + a] + (mode ? 0 : list[a] + list[a + axes]) - extent) / strides[a] + 1;
		t->products *= (double)w[2 + a];
	}
	set_list(t, "strides", strides, axes);
	set_list(t, "dilations", dilations, axes);
	if (mode == 0) set_list(t, "pads", list, 2 * axes);
	set_number(t, "auto_pad", mode);
	set_number(t, "group", (double)groups);
	t->in[0] = make_tensor(OG_F32, 2 + axes, x);
	t->in[1] = make_tensor(OG_F32, 2 + axes, w);
	t->node.n_in = t->node.n_anchor_in = 2;
	if (chance(60)) t->in[t->node.n_in++] = make_tensor(OG_F32, 1, &w[0]);
	t->node.n_anchor_in = t->node.n_in;
	t->out = make_tensor(OG_F32, 2 + axes, y);
	if (chance(20) && og_count(&t->in[0]))
		((float *)t->in[0].data)[pick(0, og_count(&t->in[0]) - 1)] = chance(50) ? (float)NAN : HUGE_VALF;
	if (chance(50)) add_program(t, true);
}

static void test_conv(void **unused)
{
	static const char *const tactics[] = { "conv.packed", "conv.plain" };
	(void)unused;
	for (int i = 0; i < 150; i++) {
		trial t;
		state = (uint64_t)i;
		make_conv(&t, chance(25) ? 1 : 2);
		check_product(&t, tactics, 2, chance(70) ? ~0u : 0);
		end_trial(&t);
	}
}

static void make_matmul(trial *t)
{
	int64_t m = pick(0, 20) ? pick(1, chance(50) ? 9 : 40) : 0, n = pick(0, 20) ? pick(1, chance(20) ? 300 : 70) : 0;
	int64_t k = pick(0, 20) ? pick(1, chance(20) ? 900 : 60) : 0;
	int64_t a[4] = { pick(1, 2), pick(1, 3) }, b[4] = { a[0], a[1] }, y[4] = { a[0], a[1], m, n };
	int batch = chance(50) ? 2 : 0, batch_b = chance(50) ? batch : 0;
	begin_trial(t, "MatMul");
	for (int i = 0; i < 2; i++) {
		if (chance(20)) a[i] = 1;
		if (chance(20)) b[i] = 1;
		if (batch && batch_b) y[i] = a[i] > b[i] ? a[i] : b[i];
		else if (batch) y[i] = a[i];
	}
	a[2] = m;
	a[3] = b[2] = k;
	b[3] = n;
	bool row = !batch && m == 1 && chance(50), column = !batch && n == 1;
	t->in[0] = make_tensor(OG_F32, row ? 1 : 2 + batch, row ? a + 3 : a + 2 - batch);
	t->in[1] = make_tensor(OG_F32, column ? 1 : 2 + batch_b, b + 2 - batch_b);
	if (row && column) t->out = make_tensor(OG_F32, 0, NULL);
	else if (row || column) t->out = make_tensor(OG_F32, 1, row ? y + 3 : y + 2);
	else t->out = make_tensor(OG_F32, 2 + batch, y + 2 - batch);
	t->node.n_in = t->node.n_anchor_in = 2;
	t->products = (double)k;
	if (chance(50)) add_program(t, true);
}

static void make_gemm(trial *t)
{
	int64_t m = pick(0, 20) ? pick(1, chance(50) ? 9 : 40) : 0, n = pick(0, 20) ? pick(1, chance(20) ? 300 : 70) : 0;
	int64_t k = pick(0, 20) ? pick(1, chance(20) ? 900 : 60) : 0;
	bool trans_a = chance(50), trans_b = chance(50);
	begin_trial(t, "Gemm");
	set_number(t, "transA", trans_a);
	set_number(t, "transB", trans_b);
	if (chance(40)) set_number(t, "alpha", 0.5);
	if (chance(40)) set_number(t, "beta", chance(30) ? 0.0 : -0.75);
	t->in[0] = make_tensor(OG_F32, 2, trans_a ? (int64_t[]){ k, m } : (int64_t[]){ m, k });
	t->in[1] = make_tensor(OG_F32, 2, trans_b ? (int64_t[]){ n, k } : (int64_t[]){ k, n });
	t->out = make_tensor(OG_F32, 2, (int64_t[]){ m, n });
	t->node.n_in = 2;
	if (chance(80)) t->in[t->node.n_in++] = make_operand(&t->out);
	t->node.n_anchor_in = t->node.n_in;
	t->products = (double)k;
	if (chance(50)) add_program(t, true);
}

static void test_matrices(void **unused)
{
	static const char *const tactics[] = { "matmul.packed", "matmul.plain" };
	(void)unused;
	for (int i = 0; i < 200; i++) {
		trial t;
		state = (uint64_t)i;
		if (i % 2) make_matmul(&t);
		else make_gemm(&t);
		check_product(&t, tactics, 2, chance(70) ? ~0u : 0);
		end_trial(&t);
	}
}

/* A layer large enough for depth blocks, several strips and chunks. */
static void test_large(void **unused)
{
	static const char *const tactics[] = { "conv.packed", "conv.plain" };
	trial t;
	(void)unused;
	state = 1;
	begin_trial(&t, "Conv");
	set_list(&t, "pads", (int64_t[]){ 1, 1, 1, 1 }, 4);
	set_number(&t, "group", 1);
	t.in[0] = make_tensor(OG_F32, 4, (int64_t[]){ 1, 90, 25, 33 });
	t.in[1] = make_tensor(OG_F32, 4, (int64_t[]){ 37, 90, 3, 3 });
	t.out = make_tensor(OG_F32, 4, (int64_t[]){ 1, 37, 25, 33 });
	t.node.n_in = t.node.n_anchor_in = 2;
	t.products = 810;
	add_program(&t, true);
	check_product(&t, tactics, 2, ~0u);
	end_trial(&t);
}

/* ---- elementwise ---------------------------------------------------------------------------- */

/* Where element `at` of the output lies in an operand. */
static int64_t broadcast(const og_tensor *out, const og_tensor *t, int64_t at)
{
	int64_t offset = 0, step = 1;
	for (int i = out->rank - 1, k = t->rank - 1; k >= 0; i--, k--) {
		if (t->dims[k] != 1) offset += at % out->dims[i] * step;
		at /= out->dims[i];
		step *= t->dims[k];
	}
	return offset;
}

static int isa_number(void)
{
	const char *name = cpu_backend.features();
	return !strcmp(name, "scalar") ? OG_ISA_SCALAR : !strcmp(name, "avx2") ? OG_ISA_AVX2 : OG_ISA_AVX512;
}

static void make_out(trial *t)
{
	int64_t dims[4];
	int rank = (int)pick(0, 4);
	for (int i = 0; i < rank; i++) dims[i] = pick(1, 30) > 1 ? pick(1, chance(20) ? 50 : 9) : 0;
	t->out = make_tensor(OG_F32, rank, dims);
}

/* Programs against their steps one element at a time. */
static void test_strips(void **unused)
{
	(void)unused;
	for (int i = 0; i < 200; i++) {
		trial t;
		state = (uint64_t)i;
		begin_trial(&t, NULL);
		make_out(&t);
		add_program(&t, false);
		const program *p = &t.tail;
		float *wanted = exactly(bytes_of(&t.out));
		for (int64_t at = 0; at < og_count(&t.out); at++) {
			float reg[PROGRAM_MAX_REGS];
			for (int k = 0; k < p->n_operands; k++) {
				const og_tensor *x = &t.in[p->operand[k]];
				reg[k] = ((const float *)x->data)[broadcast(&t.out, x, at)];
			}
			for (int k = 0; k < p->n_steps; k++) {
				const program_step *s = &p->step[k];
				const void *x[OG_MAX_IN];
				for (int j = 0; j < s->op->map_inputs; j++) x[j] = &reg[s->in[j]];
				s->op->map[isa_number()](1, &reg[s->out], x, s->attr);
			}
			wanted[at] = reg[p->result];
		}
		for (int threads = 1; threads <= 3; threads++) {
			memset(t.out.data, 0x7f, bytes_of(&t.out));
			assert_int_equal(run_trial(&t, NULL, threads, 0, NULL, NULL), OG_OK);
			assert_memory_equal(t.out.data, wanted, bytes_of(&t.out));
		}
		base_free(wanted);
		end_trial(&t);
	}
}

/* Ops on other types: against the formula in double. */
static void test_types(void **unused)
{
	static const struct { const char *op; og_dtype in, out; double within; } cases[] = {
		{ "Swish", OG_F16, OG_F16, 2e-3 }, { "Swish", OG_BF16, OG_BF16, 2e-2 }, { "Swish", OG_F64, OG_F64, 1e-15 },
		{ "Add", OG_I32, OG_I32, 0 }, { "Add", OG_I64, OG_I64, 0 }, { "Add", OG_F32, OG_F32, 1e-6 },
		{ "Mul", OG_F16, OG_F16, 2e-3 }, { "Clip", OG_F64, OG_F64, 0 }, { "And", OG_BOOL, OG_BOOL, 0 },
		{ "Greater", OG_F32, OG_BOOL, 0 }, { "Greater", OG_F64, OG_BOOL, 0 }, { "Greater", OG_I64, OG_BOOL, 0 },
		{ "Greater", OG_F16, OG_BOOL, 0 }, { "Max", OG_F32, OG_F32, 0 }, { "Max", OG_F16, OG_F16, 0 },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		trial t;
		state = i;
		begin_trial(&t, cases[i].op);
		const og_op *op = t.node.op;
		int n = op->map_inputs;
		bool fold = !strcmp(cases[i].op, "Max");
		base_free(t.out.data);
		t.out = make_tensor(cases[i].out, 3, (int64_t[]){ 7, 40, 11 });
		t.node.n_in = t.node.n_anchor_in = fold ? 4 : !strcmp(cases[i].op, "Clip") ? 1 : n;
		for (int k = 0; k < t.node.n_in; k++)
			t.in[k] = make_tensor(cases[i].in, k ? 2 : 3,
			                      k ? (int64_t[]){ 40, k % 2 ? 11 : 1 } : (int64_t[]){ 7, 40, 11 });
		const char *chosen;
		assert_int_equal(run_trial(&t, NULL, 2, 0, NULL, &chosen), OG_OK);
		assert_string_equal(chosen, "map");
		for (int64_t at = 0; at < og_count(&t.out); at++) {
			double x[4], y;
			float attr[OG_MAX_MAP_ATTRS];
			for (int k = 0; k < op->map_attrs; k++) attr[k] = t.attr[k].f;
			for (int k = 0; k < 4; k++) {
				if (k < t.node.n_in) x[k] = graph_tensor_double(&t.in[k], broadcast(&t.out, &t.in[k], at));
				else x[k] = k == 1 ? -HUGE_VAL : HUGE_VAL;             /* Clip's defaults */
			}
			if (cases[i].in == OG_BOOL) y = x[0] != 0 && x[1] != 0;
			else if (cases[i].out == OG_BOOL) y = x[0] > x[1];
			else op->ref(1, &y, (const void *const[]){ &x[0], &x[1], &x[2] }, attr);
			if (fold) y = fmax(fmax(x[0], x[1]), fmax(x[2], x[3]));
			assert_true(fabs(graph_tensor_double(&t.out, at) - y) <= cases[i].within);
		}
		end_trial(&t);
	}
}

/* ---- the contract --------------------------------------------------------------------------- */

/* A plan file brings the packed bytes; the constants are gone. */
static void test_packed_elsewhere(void **unused)
{
	static const char *const names[] = { "conv.packed", "matmul.packed" };
	(void)unused;
	for (int i = 0; i < 2; i++) {
		trial t;
		backend_kernel kernel;
		arena *a = arena_create();
		state = 77;
		if (i == 0) make_conv(&t, 2);
		else make_matmul(&t);
		assert_non_null(a);
		assert_int_equal(cpu_backend.prepare(&kernel, &t.node, names[i], 2, a), OG_OK);
		assert_int_equal(kernel.packs_input, 2);
		void *packed = exactly(kernel.packed_bytes), *wanted = exactly(bytes_of(&t.out));
		assert_int_equal(kernel.pack(&kernel, packed), OG_OK);
		arena_destroy(a);
		assert_int_equal(run_trial(&t, names[i], 1, ~0u, NULL, NULL), OG_OK);
		memcpy(wanted, t.out.data, bytes_of(&t.out));
		memset(t.out.data, 0, bytes_of(&t.out));
		memset(t.in[1].data, 0, bytes_of(&t.in[1]));
		assert_int_equal(run_trial(&t, names[i], 3, ~0u, packed, NULL), OG_OK);
		assert_memory_equal(wanted, t.out.data, bytes_of(&t.out));
		base_free(packed);
		base_free(wanted);
		end_trial(&t);
	}
}

static void test_refusals(void **unused)
{
	trial t;
	(void)unused;
	state = 5;
	make_gemm(&t);
	assert_int_equal(run_trial(&t, "no.such", 1, ~0u, NULL, NULL), OG_UNSUPPORTED);
	assert_non_null(strstr(base_error(), "no.such"));
	assert_non_null(strstr(base_error(), "trial"));
	assert_int_equal(run_trial(&t, "conv.packed", 1, ~0u, NULL, NULL), OG_UNSUPPORTED);
	end_trial(&t);
}

/* Tails behind anchors that only the definition serves, and what takes_tail says. */
static void test_tails(void **unused)
{
	trial t;
	(void)unused;
	state = 9;
	begin_trial(&t, "Conv");
	set_number(&t, "group", 1);
	t.in[0] = make_tensor(OG_F32, 5, (int64_t[]){ 1, 2, 4, 5, 6 });
	t.in[1] = make_tensor(OG_F32, 5, (int64_t[]){ 3, 2, 2, 2, 2 });
	t.out = make_tensor(OG_F32, 5, (int64_t[]){ 1, 3, 3, 4, 5 });
	t.node.n_in = t.node.n_anchor_in = 2;
	const char *chosen;
	assert_int_equal(run_trial(&t, NULL, 2, 0, NULL, &chosen), OG_OK);
	assert_string_equal(chosen, "definition");
	float *plain = exactly(bytes_of(&t.out));
	memcpy(plain, t.out.data, bytes_of(&t.out));
	t.tail = (program){ .n_operands = 1, .n_regs = 2, .n_steps = 1, .operand = { -1 }, .result = 1 };
	t.tail.step[0] = (program_step){ .op = find_op("Relu"), .out = 1 };
	t.node.tail = &t.tail;
	assert_true(cpu_backend.takes_tail(&t.node));
	assert_int_equal(run_trial(&t, NULL, 2, 0, NULL, NULL), OG_OK);
	for (int64_t i = 0; i < og_count(&t.out); i++) assert_true(((float *)t.out.data)[i] == fmaxf(plain[i], 0.0f));
	t.tail.operand[t.tail.n_operands++] = t.node.n_in;
	t.in[t.node.n_in++] = make_tensor(OG_F32, 1, (int64_t[]){ 4 });
	assert_false(cpu_backend.takes_tail(&t.node));
	assert_int_equal(run_trial(&t, NULL, 2, 0, NULL, NULL), OG_UNSUPPORTED);
	base_free(plain);
	end_trial(&t);
}

static void test_memory(void **unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++) {
		trial t;
		og_status status = OG_NO_MEMORY;
		state = (uint64_t)i;
		if (i == 0) make_conv(&t, 2);
		else make_matmul(&t);
		add_program(&t, true);
		for (uint64_t n = 1; status != OG_OK; n++) {
			arena *a = arena_create();
			backend_kernel kernel;
			assert_non_null(a);
			base_fail_allocation(n);
			status = cpu_backend.prepare(&kernel, &t.node, NULL, 2, a);
			base_fail_allocation(0);
			assert_true(status == OG_OK || status == OG_NO_MEMORY);
			arena_destroy(a);
		}
		end_trial(&t);
	}
}

static int run_group(const char *isa)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conv), cmocka_unit_test(test_matrices), cmocka_unit_test(test_large),
		cmocka_unit_test(test_strips), cmocka_unit_test(test_types), cmocka_unit_test(test_packed_elsewhere),
		cmocka_unit_test(test_refusals), cmocka_unit_test(test_tails), cmocka_unit_test(test_memory),
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
