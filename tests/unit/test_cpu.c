/* test_cpu.c -- the CPU backend against the plain definitions, for every instruction set of this machine: products by
 * residual, the rest bit for bit, and the same bits for every number of threads. */
#include "cpu_case.h"

/* ---- ways on plain tensors ------------------------------------------------------------------- */

static bool lies_plain(const backend_kernel *kernel, int n_in)
{
	bool plain = kernel->out_layout == LAYOUT_PLAIN;
	for (int k = 0; k < n_in; k++) plain &= !kernel->in_layout || kernel->in_layout[k] == LAYOUT_PLAIN;
	return plain;
}

/* Of the ways on plain tensors the one of least cost. */
static const char *plain_way(const trial *t, int threads)
{
	enum { MOST = 32 };
	const char *ways[MOST];
	og_tensor known[TRIAL_INPUTS];
	backend_node node = node_of(t, known, t->constant);
	int n = cpu_backend.tactics(ways, MOST, &node, threads), i = 0;
	for (bool plain = false; !plain; i++) {
		backend_kernel kernel;
		arena *a = arena_create();
		assert_non_null(a);
		assert_true(i < n);
		assert_int_equal(cpu_backend.prepare(&kernel, &node, ways[i], threads, a), OG_OK);
		plain = lies_plain(&kernel, node.n_in);
		arena_destroy(a);
	}
	return ways[i - 1];
}

/* ---- tails ---------------------------------------------------------------------------------- */

/* A tensor that broadcasts to the output: some dims 1, some left out. */
static og_tensor make_operand(const og_tensor *out)
{
	int64_t dims[OG_MAX_RANK];
	int skip = chance(30) ? (int)pick(0, out->rank) : 0;
	for (int i = skip; i < out->rank; i++) dims[i - skip] = chance(40) ? 1 : out->dims[i];
	return make_tensor(out->rank - skip, dims);
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
		t->in[t->node.n_in] = make_operand(&t->out[0]);
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
}

/* ---- products: convolution, Gemm, MatMul ------------------------------------------------------ */

static void check_close(const trial *t, const char *tactic, const float *wanted, const float *magnitude)
{
	for (int64_t i = 0; i < og_count(&t->out[0]); i++) {
		if (!isfinite(magnitude[i]) && t->node.tail) continue;     /* a tail may do anything with those */
		check_element(t, tactic, i, wanted[i], magnitude[i], t->node.tail ? 16.0 : 1.0);
	}
}

/* Every way there is, for 1 to 4 threads, and the plain one of least cost. */
static void check_product(trial *t, const char *const *tactics, int n_tactics)
{
	float *wanted = made_by(t, "definition"), *magnitude = magnitudes_of(t);
	for (int k = -1; k < n_tactics; k++) {
		const char *tactic = k < 0 ? plain_way(t, 4) : tactics[k];
		if (k >= 0 && !t->constant && strstr(tactic, "packed")) continue;
		assert_string_not_equal(tactic, "definition");
		og_status status = run_by_threads(t, tactic, 4, NULL);
		assert_true(status == OG_OK || (k >= 0 && status == OG_UNSUPPORTED));
		if (status == OG_OK) check_close(t, tactic, wanted, magnitude);
	}
	base_free(wanted);
	base_free(magnitude);
}

static void make_conv(trial *t, int axes)
{
	int64_t x[4] = { pick(0, 20) ? pick(1, 3) : 0 }, w[4], y[4], list[6];
	int64_t groups = chance(30) ? pick(2, 4) : 1, channels = chance(20) ? 1 : pick(1, 9);
	int64_t outputs = chance(70) ? pick(1, 9) : pick(10, 40);
	int mode = chance(30) ? (int)pick(1, 3) : 0;
	begin_trial(t, find_op("Conv"));
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
	t->in[0] = make_tensor(2 + axes, x);
	t->in[1] = make_tensor(2 + axes, w);
	t->node.n_in = t->node.n_anchor_in = 2;
	if (chance(60)) t->in[t->node.n_in++] = make_tensor(1, &w[0]);
	t->node.n_anchor_in = t->node.n_in;
	t->out[0] = make_tensor(2 + axes, y);
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
		t.constant = chance(70) ? ~0u : 0;
		check_product(&t, tactics, 2);
		end_trial(&t);
	}
}

static void make_matmul(trial *t)
{
	int64_t m = pick(0, 20) ? pick(1, chance(50) ? 9 : 40) : 0, n = pick(0, 20) ? pick(1, chance(20) ? 300 : 70) : 0;
	int64_t k = pick(0, 20) ? pick(1, chance(20) ? 900 : 60) : 0;
	int64_t a[4] = { pick(1, 2), pick(1, 3) }, b[4] = { a[0], a[1] }, y[4] = { a[0], a[1], m, n };
	int batch = chance(50) ? 2 : 0, batch_b = chance(50) ? batch : 0;
	begin_trial(t, find_op("MatMul"));
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
	t->in[0] = make_tensor(row ? 1 : 2 + batch, row ? a + 3 : a + 2 - batch);
	t->in[1] = make_tensor(column ? 1 : 2 + batch_b, b + 2 - batch_b);
	if (row && column) t->out[0] = make_tensor(0, NULL);
	else if (row || column) t->out[0] = make_tensor(1, row ? y + 3 : y + 2);
	else t->out[0] = make_tensor(2 + batch, y + 2 - batch);
	t->node.n_in = t->node.n_anchor_in = 2;
	t->products = (double)k;
	if (chance(50)) add_program(t, true);
}

static void make_gemm(trial *t)
{
	int64_t m = pick(0, 20) ? pick(1, chance(50) ? 9 : 40) : 0, n = pick(0, 20) ? pick(1, chance(20) ? 300 : 70) : 0;
	int64_t k = pick(0, 20) ? pick(1, chance(20) ? 900 : 60) : 0;
	bool trans_a = chance(50), trans_b = chance(50);
	begin_trial(t, find_op("Gemm"));
	set_number(t, "transA", trans_a);
	set_number(t, "transB", trans_b);
	if (chance(40)) set_number(t, "alpha", 0.5);
	if (chance(40)) set_number(t, "beta", chance(30) ? 0.0 : -0.75);
	t->in[0] = make_tensor(2, trans_a ? (int64_t[]){ k, m } : (int64_t[]){ m, k });
	t->in[1] = make_tensor(2, trans_b ? (int64_t[]){ n, k } : (int64_t[]){ k, n });
	t->out[0] = make_tensor(2, (int64_t[]){ m, n });
	t->node.n_in = 2;
	if (chance(80)) t->in[t->node.n_in++] = make_operand(&t->out[0]);
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
		t.constant = chance(70) ? ~0u : 0;
		check_product(&t, tactics, 2);
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
	begin_trial(&t, find_op("Conv"));
	set_list(&t, "pads", (int64_t[]){ 1, 1, 1, 1 }, 4);
	set_number(&t, "group", 1);
	t.in[0] = make_tensor(4, (int64_t[]){ 1, 90, 25, 33 });
	t.in[1] = make_tensor(4, (int64_t[]){ 37, 90, 3, 3 });
	t.out[0] = make_tensor(4, (int64_t[]){ 1, 37, 25, 33 });
	t.node.n_in = t.node.n_anchor_in = 2;
	t.products = 810;
	add_program(&t, true);
	t.constant = ~0u;
	check_product(&t, tactics, 2);
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
	t->out[0] = make_tensor(rank, dims);
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
		float *wanted = exactly(bytes_of(&t.out[0]));
		for (int64_t at = 0; at < og_count(&t.out[0]); at++) {
			float reg[PROGRAM_MAX_REGS];
			for (int k = 0; k < p->n_operands; k++) {
				const og_tensor *x = &t.in[p->operand[k]];
				reg[k] = ((const float *)x->data)[broadcast(&t.out[0], x, at)];
			}
			for (int k = 0; k < p->n_steps; k++) {
				const program_step *s = &p->step[k];
				const void *x[OG_MAX_IN];
				for (int j = 0; j < s->op->map_inputs; j++) x[j] = &reg[s->in[j]];
				s->op->map[isa_number()](1, &reg[s->out], x, s->attr);
			}
			wanted[at] = reg[p->result];
		}
		assert_int_equal(run_by_threads(&t, NULL, 3, NULL), OG_OK);
		assert_memory_equal(t.out[0].data, wanted, bytes_of(&t.out[0]));
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
		begin_trial(&t, find_op(cases[i].op));
		const og_op *op = t.node.op;
		int n = op->map_inputs;
		bool fold = !strcmp(cases[i].op, "Max");
		base_free(t.out[0].data);
		t.out[0] = make_typed(cases[i].out, 3, (int64_t[]){ 7, 40, 11 });
		t.node.n_in = t.node.n_anchor_in = fold ? 4 : !strcmp(cases[i].op, "Clip") ? 1 : n;
		for (int k = 0; k < t.node.n_in; k++)
			t.in[k] = make_typed(cases[i].in, k ? 2 : 3,
			                      k ? (int64_t[]){ 40, k % 2 ? 11 : 1 } : (int64_t[]){ 7, 40, 11 });
		ran how;
		assert_int_equal(run_trial(&t, NULL, 2, &how), OG_OK);
		assert_string_equal(how.tactic, "map");
		for (int64_t at = 0; at < og_count(&t.out[0]); at++) {
			double x[4], y;
			float attr[OG_MAX_MAP_ATTRS];
			for (int k = 0; k < op->map_attrs; k++) attr[k] = t.attr[k].f;
			for (int k = 0; k < 4; k++) {
				if (k < t.node.n_in) x[k] = graph_tensor_double(&t.in[k], broadcast(&t.out[0], &t.in[k], at));
				else x[k] = k == 1 ? -HUGE_VAL : HUGE_VAL;             /* Clip's defaults */
			}
			if (cases[i].in == OG_BOOL) y = x[0] != 0 && x[1] != 0;
			else if (cases[i].out == OG_BOOL) y = x[0] > x[1];
			else op->ref(1, &y, (const void *const[]){ &x[0], &x[1], &x[2] }, attr);
			if (fold) y = fmax(fmax(x[0], x[1]), fmax(x[2], x[3]));
			assert_true(fabs(graph_tensor_double(&t.out[0], at) - y) <= cases[i].within);
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
		ran how;
		state = 77;
		if (i == 0) make_conv(&t, 2);
		else make_matmul(&t);
		t.constant = ~0u;
		assert_int_equal(run_trial(&t, names[i], 1, &how), OG_OK);
		assert_int_equal(how.packs_input, 2);
		void *wanted = exactly(bytes_of(&t.out[0]));
		memcpy(wanted, t.out[0].data, bytes_of(&t.out[0]));
		t.loading = true;
		assert_int_equal(run_by_threads(&t, names[i], 3, NULL), OG_OK);
		assert_memory_equal(wanted, t.out[0].data, bytes_of(&t.out[0]));
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
	t.constant = ~0u;
	assert_int_equal(run_trial(&t, "no.such", 1, NULL), OG_UNSUPPORTED);
	assert_non_null(strstr(base_error(), "no.such"));
	assert_non_null(strstr(base_error(), "trial"));
	assert_int_equal(run_trial(&t, "conv.packed", 1, NULL), OG_UNSUPPORTED);
	end_trial(&t);
}

/* Tails behind anchors that only the definition serves, and what takes_tail says. */
static void test_tails(void **unused)
{
	trial t;
	(void)unused;
	state = 9;
	begin_trial(&t, find_op("Conv"));
	set_number(&t, "group", 1);
	t.in[0] = make_tensor(5, (int64_t[]){ 1, 2, 4, 5, 6 });
	t.in[1] = make_tensor(5, (int64_t[]){ 3, 2, 2, 2, 2 });
	t.out[0] = make_tensor(5, (int64_t[]){ 1, 3, 3, 4, 5 });
	t.node.n_in = t.node.n_anchor_in = 2;
	ran how;
	assert_int_equal(run_trial(&t, NULL, 2, &how), OG_OK);
	assert_string_equal(how.tactic, "definition");
	float *plain = exactly(bytes_of(&t.out[0]));
	memcpy(plain, t.out[0].data, bytes_of(&t.out[0]));
	t.tail = (program){ .n_operands = 1, .n_regs = 2, .n_steps = 1, .operand = { -1 }, .result = 1 };
	t.tail.step[0] = (program_step){ .op = find_op("Relu"), .out = 1 };
	t.node.tail = &t.tail;
	og_tensor known[TRIAL_INPUTS];
	backend_node node = node_of(&t, known, 0);
	assert_true(cpu_backend.takes_tail(&node));
	assert_int_equal(run_trial(&t, NULL, 2, NULL), OG_OK);
	for (int64_t i = 0; i < og_count(&t.out[0]); i++) assert_true(((float *)t.out[0].data)[i] == fmaxf(plain[i], 0.0f));
	t.tail.operand[t.tail.n_operands++] = t.node.n_in;
	t.in[t.node.n_in++] = make_tensor(1, (int64_t[]){ 4 });
	node = node_of(&t, known, 0);
	assert_false(cpu_backend.takes_tail(&node));
	assert_int_equal(run_trial(&t, NULL, 2, NULL), OG_UNSUPPORTED);
	base_free(plain);
	end_trial(&t);
}

static void test_memory(void **unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++) {
		trial t;
		state = (uint64_t)i;
		if (i == 0) make_conv(&t, 2);
		else make_matmul(&t);
		add_program(&t, true);
		t.constant = ~0u;
		check_allocations(&t, NULL);
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

int main(void) { return run_for_each_isa(run_group); }
