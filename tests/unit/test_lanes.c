/* test_lanes.c -- what runs on values that lie in blocks, against the ops' definitions, by channels and by samples, for
 * every instruction set of this machine. Entries of the last block that are not there hold NaN. */
#include "cpu_case.h"

/* An op of ONNX as it was in opset 17. */
static const og_op *onnx_op(const char *name)
{
	const og_op *op = schema_find("", name, 17);
	assert_non_null(op);
	return op;
}

/* ---- checking ------------------------------------------------------------------------------- */

/* Equal bits, any NaN for any NaN. */
static void check_same(const trial *t, const float *wanted)
{
	const float *y = t->out[0].data;
	for (int64_t i = 0; i < og_count(&t->out[0]); i++)
		if (memcmp(&y[i], &wanted[i], sizeof *y) && !(isnan(y[i]) && isnan(wanted[i])))
			fail_msg("element %lld is %.9g and not %.9g", (long long)i, (double)y[i], (double)wanted[i]);
}

/* Runs the way by 1 to 3 threads: the output keeps the layout and, unless `wanted` is NULL, has its bits. */
static void check_way(const trial *t, const char *way, backend_layout layout, const float *wanted)
{
	ran how;
	assert_int_equal(run_by_threads(t, way, 3, &how), OG_OK);
	assert_string_equal(how.tactic, way);
	assert_int_equal(how.layout, layout);
	if (wanted) check_same(t, wanted);
}

static void spoil(const trial *t)
{
	static const float odd[] = { -0.0f, 0.0f, HUGE_VALF, -HUGE_VALF };
	float *x = t->in[0].data;
	if (chance(20)) x[pick(0, og_count(&t->in[0]) - 1)] = (float)NAN;
	if (chance(20)) x[pick(0, og_count(&t->in[0]) - 1)] = odd[pick(0, 3)];
}

/* ---- pools ---------------------------------------------------------------------------------- */

/* Every window that an axis may have, by the rules of ONNX. */
static int64_t windows_of(int64_t in, int64_t begin, int64_t end, int64_t extent, int64_t stride, int mode,
                          bool ceiling)
{
	if (mode == 1 || mode == 2) return (in + stride - 1) / stride;
	int64_t free = in + (mode ? 0 : begin + end) - extent;
	int64_t n = (free + (ceiling ? stride - 1 : 0)) / stride + 1;
	int64_t most = (in + (mode ? 0 : begin) + stride - 1) / stride;
	return ceiling && n > most ? most : n;
}

static void make_pool(trial *t, bool max, backend_layout layout)
{
	int axes = (int)pick(1, 3), mode = chance(30) ? (int)pick(1, 3) : 0;
	int64_t x[5] = { pick(layout == LAYOUT_SAMPLES ? 2 : 1, 20), pick(layout == LAYOUT_CHANNELS ? 2 : 1, 40) };
	int64_t y[5] = { x[0], x[1] };
	int64_t kernel[3], strides[3], dilations[3], pads[6];
	bool ceiling = chance(40), common = chance(40);
	if (axes > 1) x[layout == LAYOUT_CHANNELS ? 0 : 1] = y[layout == LAYOUT_CHANNELS ? 0 : 1] = pick(1, 3);
	begin_trial(t, onnx_op(max ? "MaxPool" : "AveragePool"));
	for (int a = 0; a < axes; a++) {
		kernel[a] = common ? pick(2, 3) : pick(1, 5);
		strides[a] = common ? 2 : pick(1, 4);
		dilations[a] = chance(80) || (!max && t->node.op->since < 19) ? 1 : pick(2, 3);
		int64_t extent = (kernel[a] - 1) * dilations[a] + 1;
		pads[a] = common ? 0 : pick(0, kernel[a] - 1);
		pads[a + axes] = common ? 0 : pick(0, kernel[a] - 1);
		x[2 + a] = extent + pick(0, axes == 3 ? 4 : 20);
		y[2 + a] = windows_of(x[2 + a], pads[a], pads[a + axes], extent, strides[a], mode, ceiling);
	}
	set_list(t, "kernel_shape", kernel, axes);
	set_list(t, "strides", strides, axes);
	set_list(t, "dilations", dilations, axes);
	if (mode == 0) set_list(t, "pads", pads, 2 * axes);
	set_number(t, "auto_pad", mode);
	set_number(t, "ceil_mode", ceiling);
	if (!max) set_number(t, "count_include_pad", chance(50));
	t->in[0] = make_tensor(2 + axes, x);
	t->out[0] = make_tensor(2 + axes, y);
	t->node.n_in = t->node.n_anchor_in = 1;
	t->layout[0] = layout;
	spoil(t);
}

static void test_pools(void **unused)
{
	(void)unused;
	for (int i = 0; i < 300; i++) {
		trial t;
		state = (uint64_t)i;
		make_pool(&t, i % 2, i % 4 < 2 ? LAYOUT_CHANNELS : LAYOUT_SAMPLES);
		float *wanted = made_by(&t, "kernel");
		check_way(&t, "pool.lanes", t.layout[0], wanted);
		base_free(wanted);
		end_trial(&t);
	}
}

/* The global ones, and means over all spatial axes with the axes given as an attribute or as an input. */
static void test_whole_pools(void **unused)
{
	static const char *const ops[] = { "GlobalMaxPool", "GlobalAveragePool", "ReduceMean", "ReduceMean" };
	static int64_t list[3];
	(void)unused;
	for (int i = 0; i < 200; i++) {
		trial t;
		state = (uint64_t)i;
		backend_layout layout = chance(50) ? LAYOUT_CHANNELS : LAYOUT_SAMPLES;
		int axes = (int)pick(1, 3);
		int64_t x[5] = { pick(2, 20), pick(2, 40) }, y[5] = { x[0], x[1], 1, 1, 1 };
		begin_trial(&t, onnx_op(ops[i % 4]));
		for (int a = 0; a < axes; a++) {
			x[2 + a] = pick(1, axes == 1 && chance(30) ? 5000 : axes == 3 ? 6 : 20);
			list[a] = chance(50) ? 2 + a : a - axes;
		}
		bool keep = chance(50) || i % 4 < 2;
		t.in[0] = make_tensor(2 + axes, x);
		t.out[0] = make_tensor(keep ? 2 + axes : 2, y);
		t.node.n_in = 1;
		t.layout[0] = layout;
		if (i % 4 >= 2) set_number(&t, "keepdims", keep);
		if (i % 4 == 2) set_list(&t, "axes", list, axes);
		if (i % 4 == 3) {
			t.node.op = schema_find("", "ReduceMean", 18);
			t.attr[1] = (og_attr_value){ 0 };
			t.in[1] = (og_tensor){ .dtype = OG_I64, .rank = 1, .dims = { axes }, .data = exactly(sizeof list) };
			memcpy(t.in[1].data, list, sizeof list);
			t.node.n_in = 2;
			t.constant = 2;
		}
		t.node.n_anchor_in = t.node.n_in;
		spoil(&t);
		float *wanted = made_by(&t, "kernel");
		check_way(&t, "pool.lanes", layout, wanted);
		base_free(wanted);
		end_trial(&t);
	}
}

/* What must be left to the plain ways. */
static void test_refused_pools(void **unused)
{
	trial t;
	ran how;
	(void)unused;
	state = 3;
	make_pool(&t, true, LAYOUT_CHANNELS);
	t.layout[0] = LAYOUT_PLAIN;
	assert_int_equal(run_trial(&t, NULL, 1, &how), OG_OK);
	assert_string_equal(how.tactic, "kernel");
	t.layout[0] = LAYOUT_CHANNELS;
	assert_int_equal(run_trial(&t, NULL, 1, &how), OG_OK);
	assert_string_equal(how.tactic, "pool.lanes");
	end_trial(&t);
	begin_trial(&t, onnx_op("ReduceMean"));
	t.in[0] = make_tensor(4, (int64_t[]){ 2, 20, 3, 4 });
	t.out[0] = make_tensor(4, (int64_t[]){ 2, 1, 3, 4 });
	set_list(&t, "axes", (int64_t[]){ 1 }, 1);
	t.node.n_in = t.node.n_anchor_in = 1;
	t.layout[0] = LAYOUT_CHANNELS;
	assert_int_equal(run_trial(&t, "pool.lanes", 1, NULL), OG_UNSUPPORTED);
	end_trial(&t);
}

/* ---- elementwise ---------------------------------------------------------------------------- */

/* (x * a) + b with operands that broadcast: the layout stays, and so do the bits. */
static void test_elementwise(void **unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++) {
		trial t;
		state = (uint64_t)i;
		backend_layout layout = chance(70) ? LAYOUT_CHANNELS : LAYOUT_SAMPLES;
		int64_t most = chance(20) ? 45 : 9, dims[4] = { pick(1, 3), pick(2, 40), pick(1, most), pick(1, most) };
		int64_t operand[4];
		if (layout == LAYOUT_SAMPLES) dims[0] = pick(2, 20);
		begin_trial(&t, NULL);
		t.out[0] = make_tensor(4, dims);
		t.in[0] = make_tensor(4, dims);
		t.layout[0] = layout;
		for (int k = 1; k < 3; k++) {
			for (int d = 0; d < 4; d++) operand[d] = chance(d == 1 ? 80 : 40) ? dims[d] : 1;
			if (chance(50)) operand[2] = operand[3] = 1;
			t.in[k] = make_tensor(4, operand);
		}
		t.node.n_in = 3;
		t.tail = (program){ .n_operands = 3, .n_regs = 4, .n_steps = 2, .operand = { 0, 1, 2 }, .result = 3 };
		t.tail.step[0] = (program_step){ .op = find_op("Mul"), .in = { 0, 1 }, .out = 3 };
		t.tail.step[1] = (program_step){ .op = find_op("Add"), .in = { 3, 2 }, .out = 3 };
		t.node.tail = &t.tail;
		float *wanted = made_by(&t, "strips");
		check_way(&t, "strips", layout, wanted);
		base_free(wanted);
		end_trial(&t);
	}
}

/* ---- Concat and Split ------------------------------------------------------------------------ */

/* The outputs of Split are the inputs of the Concat that puts them together again. */
static void test_pieces(void **unused)
{
	(void)unused;
	for (int i = 0; i < 200; i++) {
		trial t;
		state = (uint64_t)i;
		backend_layout layout = chance(50) ? LAYOUT_CHANNELS : LAYOUT_SAMPLES;
		int lanes = cpu_backend.lanes(), cut = layout == LAYOUT_CHANNELS, axis = (int)pick(0, 3);
		int n = (int)pick(1, TRIAL_OUTPUTS);
		int64_t whole[4] = { pick(2, 9), pick(2, 9), pick(1, 9), pick(1, 9) }, sizes[TRIAL_OUTPUTS], sum = 0;
		whole[cut] = pick(2, 40);
		for (int k = 0; k < n; k++) {
			sizes[k] = axis == cut ? lanes * pick(1, 3) + (lanes == 1 ? 1 : 0) : pick(1, 4);
			if (k == n - 1 && axis == cut) sizes[k] += pick(0, lanes - 1);
			sum += sizes[k];
		}
		whole[axis] = sum;
		begin_trial(&t, onnx_op("Concat"));
		set_number(&t, "axis", axis - (chance(50) ? 4 : 0));
		t.out[0] = make_tensor(4, whole);
		t.node.n_in = t.node.n_anchor_in = n;
		for (int k = 0; k < n; k++) {
			whole[axis] = sizes[k];
			t.in[k] = make_tensor(4, whole);
			t.layout[k] = k == 0 || chance(50) ? layout : LAYOUT_PLAIN;
		}
		float *wanted = made_by(&t, "definition");
		check_way(&t, "pieces.lanes", layout, wanted);
		memcpy(t.out[0].data, wanted, bytes_of(&t.out[0]));
		trial back = t;
		back.node.op = schema_find("", "Split", 18);
		back.layout[0] = layout;
		back.in[0] = t.out[0];
		back.in[1] = (og_tensor){ .dtype = OG_I64, .rank = 1, .dims = { n }, .data = sizes };
		back.layout[1] = LAYOUT_PLAIN;
		back.constant = 2;
		back.node.n_in = back.node.n_anchor_in = 2;
		back.node.n_out = n;
		for (int k = 0; k < n; k++) {
			back.out[k] = t.in[k];
			back.out[k].data = exactly(bytes_of(&t.in[k]));
		}
		assert_int_equal(run_trial(&back, "pieces.lanes", 1 + i % 3, NULL), OG_OK);
		for (int k = 0; k < n; k++) {
			assert_memory_equal(back.out[k].data, t.in[k].data, bytes_of(&t.in[k]));
			base_free(back.out[k].data);
		}
		base_free(wanted);
		end_trial(&t);
	}
}

/* Pieces that begin within a block. */
static void test_uneven_pieces(void **unused)
{
	trial t;
	(void)unused;
	state = 1;
	begin_trial(&t, onnx_op("Concat"));
	set_number(&t, "axis", 1);
	t.in[0] = make_tensor(4, (int64_t[]){ 1, 20, 2, 2 });
	t.in[1] = make_tensor(4, (int64_t[]){ 1, 16, 2, 2 });
	t.out[0] = make_tensor(4, (int64_t[]){ 1, 36, 2, 2 });
	t.node.n_in = t.node.n_anchor_in = 2;
	t.layout[0] = t.layout[1] = LAYOUT_CHANNELS;
	assert_int_equal(run_trial(&t, "pieces.lanes", 1, NULL), cpu_backend.lanes() == 1 ? OG_OK : OG_UNSUPPORTED);
	end_trial(&t);
}

/* ---- depthwise convolutions ------------------------------------------------------------------- */

static void check_depthwise(const trial *t)
{
	float *wanted = made_by(t, "definition"), *magnitude = magnitudes_of(t);
	for (int64_t i = 0; i < og_count(&t->out[0]); i++)
		check_element(t, "conv.depthwise", i, wanted[i], magnitude[i], 1.0);
	base_free(wanted);
	base_free(magnitude);
}

/* y = Swish(anchor) * operand, an operand for each channel or each element. */
static void add_tail(trial *t)
{
	const og_tensor *y = &t->out[0];
	program *p = &t->tail;
	*p = (program){ .n_operands = 2, .n_regs = 3, .n_steps = 2, .operand = { -1, t->node.n_in }, .result = 2 };
	p->step[0] = (program_step){ .op = find_op("Swish"), .in = { 0 }, .out = 2, .attr = { 1.0f } };
	p->step[1] = (program_step){ .op = find_op("Mul"), .in = { 2, 1 }, .out = 2 };
	t->node.n_anchor_in = t->node.n_in;
	t->in[t->node.n_in] = make_tensor(y->rank, y->dims);
	if (chance(50)) {
		og_tensor *operand = &t->in[t->node.n_in];
		base_free(operand->data);
		*operand = make_tensor(y->rank, (int64_t[]){ chance(50) ? 1 : y->dims[0], y->dims[1], 1, 1 });
	}
	t->node.n_in++;
	t->node.tail = p;
}

static void make_depthwise(trial *t, backend_layout layout)
{
	int axes = chance(20) ? 1 : 2;
	bool same = chance(60);
	int64_t n = layout == LAYOUT_SAMPLES ? pick(2, 20) : pick(1, 3);
	int64_t c = layout == LAYOUT_SAMPLES ? pick(1, 3) : pick(2, 40);
	int64_t x[4] = { n, c }, w[4] = { c, 1 }, y[4] = { n, c }, strides[2], dilations[2], pads[4];
	int64_t side = 2 * pick(1, 3) + 1;
	int64_t stride = pick(1, 2);
	begin_trial(t, onnx_op("Conv"));
	for (int a = 0; a < axes; a++) {
		w[2 + a] = same ? side : pick(1, 6);
		strides[a] = same ? stride : pick(1, 3);
		dilations[a] = same || chance(70) ? 1 : pick(2, 3);
		int64_t extent = (w[2 + a] - 1) * dilations[a] + 1;
		pads[a] = same ? side / 2 : pick(0, 4);
		pads[a + axes] = same ? side / 2 : pick(0, 4);
		x[2 + a] = same ? pick(1, 30) : extent + pick(0, 20);
		if (x[2 + a] + pads[a] + pads[a + axes] < extent) x[2 + a] = extent;
		y[2 + a] = (x[2 + a] + pads[a] + pads[a + axes] - extent) / strides[a] + 1;
	}
	set_list(t, "strides", strides, axes);
	set_list(t, "dilations", dilations, axes);
	set_list(t, "pads", pads, 2 * axes);
	set_number(t, "group", (double)c);
	t->in[0] = make_tensor(2 + axes, x);
	t->in[1] = make_tensor(2 + axes, w);
	t->out[0] = make_tensor(2 + axes, y);
	t->node.n_in = 2;
	if (chance(60)) t->in[t->node.n_in++] = make_tensor(1, &c);
	t->node.n_anchor_in = t->node.n_in;
	t->constant = 6;
	t->products = (double)og_span(&t->in[1], 2, t->in[1].rank);
	t->layout[0] = layout;
	if (chance(20)) ((float *)t->in[0].data)[pick(0, og_count(&t->in[0]) - 1)] = (float)NAN;
	if (axes == 2 && chance(50)) add_tail(t);
}

static void test_depthwise(void **unused)
{
	(void)unused;
	for (int i = 0; i < 300; i++) {
		trial t;
		state = (uint64_t)i;
		make_depthwise(&t, i % 3 ? LAYOUT_CHANNELS : LAYOUT_SAMPLES);
		check_way(&t, "conv.depthwise", t.layout[0], NULL);
		check_depthwise(&t);
		end_trial(&t);
	}
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int run_group(const char *isa)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pools), cmocka_unit_test(test_whole_pools), cmocka_unit_test(test_refused_pools),
		cmocka_unit_test(test_elementwise),
		cmocka_unit_test(test_pieces), cmocka_unit_test(test_uneven_pieces), cmocka_unit_test(test_depthwise),
	};
	return cmocka_run_group_tests_name(isa, tests, NULL, NULL);
}

int main(void) { return run_for_each_isa(run_group); }
