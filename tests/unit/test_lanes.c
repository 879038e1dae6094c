/* test_lanes.c -- what runs on values that lie in blocks, against the ops' definitions, by channels and by samples, for
 * every instruction set of this machine. Entries of the last block that are not there hold NaN. */
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

/* ---- one node ------------------------------------------------------------------------------- */

enum { MAX_INPUTS = 6, MAX_OUTPUTS = 4, MAX_ATTRS = 16 };

typedef struct trial {
	backend_node node;
	og_attr_value attr[MAX_ATTRS];
	int64_t ints[MAX_ATTRS][6];
	og_tensor in[MAX_INPUTS], out[MAX_OUTPUTS];          /* plain */
	backend_layout layout[MAX_INPUTS];
	program tail;
	unsigned constant;                   /* bit k: the plan knows input k */
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
	if (rank) memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
	t.data = exactly(bytes_of(&t));
	for (int64_t i = 0; i < og_count(&t); i++) ((float *)t.data)[i] = (float)pick(-1000, 1000) / 1000.0f;
	return t;
}

static void begin_trial(trial *t, const char *op)
{
	memset(t, 0, sizeof *t);
	t->node = (backend_node){ .name = "trial", .op = op ? schema_find("", op, 17) : NULL, .attr = t->attr, .in = t->in,
	                          .out = t->out, .n_out = 1, .in_layout = t->layout };
	if (op) assert_non_null(t->node.op);
	for (int i = 0; op && t->node.op->attrs && t->node.op->attrs[i].name; i++)
		t->attr[i] = (og_attr_value){ .i = (int64_t)t->node.op->attrs[i].value,
		                              .f = (float)t->node.op->attrs[i].value };
}

static og_attr_value *attr_of(trial *t, const char *name, int *index)
{
	for (*index = 0;; ++*index) {
		assert_non_null(t->node.op->attrs[*index].name);
		if (!strcmp(t->node.op->attrs[*index].name, name)) return &t->attr[*index];
	}
}

static void set_number(trial *t, const char *name, int64_t x)
{
	int i;
	*attr_of(t, name, &i) = (og_attr_value){ .present = 1, .i = x, .f = (float)x };
}

static void set_list(trial *t, const char *name, const int64_t *list, int n)
{
	int i;
	og_attr_value *a = attr_of(t, name, &i);
	memcpy(t->ints[i], list, (size_t)n * sizeof *list);
	*a = (og_attr_value){ .present = 1, .n = n, .ints = t->ints[i] };
}

static void end_trial(trial *t)
{
	for (int k = 0; k < t->node.n_in; k++) base_free(t->in[k].data);
	for (int k = 0; k < t->node.n_out; k++) base_free(t->out[k].data);
}

/* ---- layouts -------------------------------------------------------------------------------- */

/* The tensor's data in a layout, in memory of its own; what is not there is NaN. */
static void *to_layout(const og_tensor *t, backend_layout layout)
{
	int lanes = cpu_backend.lanes(), axis = layout_axis(t, layout);
	float *y = exactly(layout_bytes(t, layout, lanes));
	if (t->dtype != OG_F32 || axis < 0) {
		memcpy(y, t->data, bytes_of(t));
		return y;
	}
	int64_t inner = og_span(t, axis + 1, t->rank), cut = t->dims[axis], blocks = (cut + lanes - 1) / lanes;
	for (int64_t i = 0; i < og_count(t); i++) {
		int64_t c = i / inner % cut, at = ((i / inner / cut * blocks + c / lanes) * inner + i % inner) * lanes + c % lanes;
		y[at] = ((const float *)t->data)[i];
	}
	return y;
}

static void from_layout(const og_tensor *t, const float *x, backend_layout layout)
{
	int lanes = cpu_backend.lanes(), axis = layout_axis(t, layout);
	if (axis < 0) {
		memcpy(t->data, x, bytes_of(t));
		return;
	}
	int64_t inner = og_span(t, axis + 1, t->rank), cut = t->dims[axis], blocks = (cut + lanes - 1) / lanes;
	for (int64_t i = 0; i < og_count(t); i++) {
		int64_t c = i / inner % cut, at = ((i / inner / cut * blocks + c / lanes) * inner + i % inner) * lanes + c % lanes;
		((float *)t->data)[i] = x[at];
	}
}

/* ---- running -------------------------------------------------------------------------------- */

/* Prepares, packs and runs; inputs are brought into the layouts that the kernel wants, the output is made plain. The way
 * chosen in *chosen, the layout of its output in *made. */
static og_status run_trial(const trial *t, const char *tactic, int threads, const char **chosen, backend_layout *made)
{
	og_tensor known[MAX_INPUTS], lying[MAX_INPUTS], made_out[MAX_OUTPUTS], *out[MAX_OUTPUTS];
	const og_tensor *in[MAX_INPUTS];
	backend_node node = t->node;
	backend_kernel kernel;
	arena *a = arena_create();
	pool *threads_pool = NULL;
	assert_non_null(a);
	assert_int_equal(pool_create(&threads_pool, threads), OG_OK);
	for (int k = 0; k < node.n_in; k++) {
		known[k] = t->in[k];
		if (!(t->constant >> k & 1)) known[k].data = NULL;
	}
	node.in = known;
	og_status status = cpu_backend.prepare(&kernel, &node, tactic, threads, a);
	if (status == OG_OK) {
		int lanes = cpu_backend.lanes();
		for (int k = 0; k < node.n_in; k++) {
			backend_layout want = kernel.in_layout ? kernel.in_layout[k] : LAYOUT_PLAIN;
			lying[k] = t->in[k];
			if (lying[k].dtype != OG_NONE) lying[k].data = to_layout(&t->in[k], want);
			in[k] = lying[k].dtype == OG_NONE || kernel.packs_input >> k & 1 ? NULL : &lying[k];
		}
		for (int k = 0; k < node.n_out; k++) {
			made_out[k] = t->out[k];
			made_out[k].data = exactly(layout_bytes(&t->out[k], kernel.out_layout, lanes));
			out[k] = &made_out[k];
		}
		void *packed = exactly(kernel.packed_bytes), *workspace = exactly(kernel.workspace_bytes);
		if (kernel.pack) assert_int_equal(kernel.pack(&kernel, packed), OG_OK);
		uint64_t allocations = base_allocations();
		backend_run run = { .in = in, .out = out, .packed = packed, .workspace = workspace,
		                    .threads = threads_pool };
		status = kernel.run(&kernel, &run);
		assert_true(base_allocations() == allocations);
		for (int k = 0; k < node.n_out; k++) from_layout(&t->out[k], made_out[k].data, kernel.out_layout);
		if (chosen) *chosen = kernel.tactic;
		if (made) *made = kernel.out_layout;
		for (int k = 0; k < node.n_in; k++)
			if (lying[k].dtype != OG_NONE) base_free(lying[k].data);
		for (int k = 0; k < node.n_out; k++) base_free(made_out[k].data);
		base_free(packed);
		base_free(workspace);
	}
	pool_destroy(threads_pool);
	arena_destroy(a);
	return status;
}

/* What another way makes of the trial's plain inputs, in memory of its own. */
static float *other_way(const trial *t, const char *tactic)
{
	trial plain = *t;
	plain.out[0].data = exactly(bytes_of(&t->out[0]));
	plain.node.in = plain.in;
	plain.node.out = plain.out;
	plain.node.attr = plain.attr;
	plain.node.in_layout = NULL;
	assert_int_equal(run_trial(&plain, tactic, 1, NULL, NULL), OG_OK);
	return plain.out[0].data;
}

/* Equal bits, any NaN for any NaN. */
static void check_same(const trial *t, const float *wanted)
{
	const float *y = t->out[0].data;
	for (int64_t i = 0; i < og_count(&t->out[0]); i++)
		if (memcmp(&y[i], &wanted[i], sizeof *y) && !(isnan(y[i]) && isnan(wanted[i])))
			fail_msg("element %lld is %.9g and not %.9g", (long long)i, (double)y[i], (double)wanted[i]);
}

/* Runs the way for 1 to 3 threads: the output keeps the layout and has the bits of `wanted`, or, when it is NULL, of the run
 * by one thread, which is then left for the caller to check. */
static void check_way(trial *t, const char *way, backend_layout layout, const float *wanted)
{
	float *first = NULL;
	for (int threads = 1; threads <= 3; threads++) {
		const char *chosen = NULL;
		backend_layout made;
		memset(t->out[0].data, 0x7f, bytes_of(&t->out[0]));
		assert_int_equal(run_trial(t, way, threads, &chosen, &made), OG_OK);
		assert_string_equal(chosen, way);
		assert_int_equal(made, layout);
		if (wanted) check_same(t, wanted);
		else if (first) assert_memory_equal(t->out[0].data, first, bytes_of(&t->out[0]));
		if (!first) {
			first = exactly(bytes_of(&t->out[0]));
			memcpy(first, t->out[0].data, bytes_of(&t->out[0]));
		}
	}
	base_free(first);
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
static int64_t windows_of(int64_t in, int64_t begin, int64_t end, int64_t extent, int64_t stride, int mode, bool ceiling)
{
	if (mode == 1 || mode == 2) return (in + stride - 1) / stride;
	int64_t free = in + (mode ? 0 : begin + end) - extent;
	int64_t n = (free + (ceiling ? stride - 1 : 0)) / stride + 1, most = (in + (mode ? 0 : begin) + stride - 1) / stride;
	return ceiling && n > most ? most : n;
}

static void make_pool(trial *t, bool max, backend_layout layout)
{
	int axes = (int)pick(1, 3), mode = chance(30) ? (int)pick(1, 3) : 0;
	int64_t x[5] = { pick(layout == LAYOUT_SAMPLES ? 2 : 1, 20), pick(layout == LAYOUT_CHANNELS ? 2 : 1, 40) }, y[5] = { x[0], x[1] };
	int64_t kernel[3], strides[3], dilations[3], pads[6];
	bool ceiling = chance(40), common = chance(40);
	if (axes > 1) x[layout == LAYOUT_CHANNELS ? 0 : 1] = y[layout == LAYOUT_CHANNELS ? 0 : 1] = pick(1, 3);
	begin_trial(t, max ? "MaxPool" : "AveragePool");
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
		float *wanted = other_way(&t, "kernel");
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
		begin_trial(&t, ops[i % 4]);
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
		float *wanted = other_way(&t, "kernel");
		check_way(&t, "pool.lanes", layout, wanted);
		base_free(wanted);
		end_trial(&t);
	}
}

/* What must be left to the plain ways. */
static void test_refused_pools(void **unused)
{
	trial t;
	const char *chosen;
	(void)unused;
	state = 3;
	make_pool(&t, true, LAYOUT_CHANNELS);
	t.layout[0] = LAYOUT_PLAIN;
	assert_int_equal(run_trial(&t, NULL, 1, &chosen, NULL), OG_OK);
	assert_string_equal(chosen, "kernel");
	t.layout[0] = LAYOUT_CHANNELS;
	assert_int_equal(run_trial(&t, NULL, 1, &chosen, NULL), OG_OK);
	assert_string_equal(chosen, "pool.lanes");
	end_trial(&t);
	begin_trial(&t, "ReduceMean");
	t.in[0] = make_tensor(4, (int64_t[]){ 2, 20, 3, 4 });
	t.out[0] = make_tensor(4, (int64_t[]){ 2, 1, 3, 4 });
	set_list(&t, "axes", (int64_t[]){ 1 }, 1);
	t.node.n_in = t.node.n_anchor_in = 1;
	t.layout[0] = LAYOUT_CHANNELS;
	assert_int_equal(run_trial(&t, "pool.lanes", 1, NULL, NULL), OG_UNSUPPORTED);
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
		int64_t most = chance(20) ? 45 : 9, dims[4] = { pick(1, 3), pick(2, 40), pick(1, most), pick(1, most) }, operand[4];
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
		t.tail.step[0] = (program_step){ .op = schema_find_any("Mul"), .in = { 0, 1 }, .out = 3 };
		t.tail.step[1] = (program_step){ .op = schema_find_any("Add"), .in = { 3, 2 }, .out = 3 };
		t.node.tail = &t.tail;
		float *wanted = other_way(&t, "strips");
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
		int lanes = cpu_backend.lanes(), cut = layout == LAYOUT_CHANNELS, axis = (int)pick(0, 3), n = (int)pick(1, MAX_OUTPUTS);
		int64_t whole[4] = { pick(2, 9), pick(2, 9), pick(1, 9), pick(1, 9) }, sizes[MAX_OUTPUTS], sum = 0;
		whole[cut] = pick(2, 40);
		for (int k = 0; k < n; k++) {
			sizes[k] = axis == cut ? lanes * pick(1, 3) + (lanes == 1 ? 1 : 0) : pick(1, 4);
			if (k == n - 1 && axis == cut) sizes[k] += pick(0, lanes - 1);
			sum += sizes[k];
		}
		whole[axis] = sum;
		begin_trial(&t, "Concat");
		set_number(&t, "axis", axis - (chance(50) ? 4 : 0));
		t.out[0] = make_tensor(4, whole);
		t.node.n_in = t.node.n_anchor_in = n;
		for (int k = 0; k < n; k++) {
			whole[axis] = sizes[k];
			t.in[k] = make_tensor(4, whole);
			t.layout[k] = k == 0 || chance(50) ? layout : LAYOUT_PLAIN;
		}
		float *wanted = other_way(&t, "definition");
		check_way(&t, "pieces.lanes", layout, wanted);
		memcpy(t.out[0].data, wanted, bytes_of(&t.out[0]));
		trial back = t;
		back.node.op = schema_find("", "Split", 18);
		back.node.attr = back.attr;
		back.node.in = back.in;
		back.node.out = back.out;
		back.node.in_layout = back.layout;
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
		assert_int_equal(run_trial(&back, "pieces.lanes", 1 + i % 3, NULL, NULL), OG_OK);
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
	begin_trial(&t, "Concat");
	set_number(&t, "axis", 1);
	t.in[0] = make_tensor(4, (int64_t[]){ 1, 20, 2, 2 });
	t.in[1] = make_tensor(4, (int64_t[]){ 1, 16, 2, 2 });
	t.out[0] = make_tensor(4, (int64_t[]){ 1, 36, 2, 2 });
	t.node.n_in = t.node.n_anchor_in = 2;
	t.layout[0] = t.layout[1] = LAYOUT_CHANNELS;
	assert_int_equal(run_trial(&t, "pieces.lanes", 1, NULL, NULL), cpu_backend.lanes() == 1 ? OG_OK : OG_UNSUPPORTED);
	end_trial(&t);
}

/* ---- depthwise convolutions ------------------------------------------------------------------- */

/* The outputs of the definition; magnitudes: of the absolute inputs, no tail. */
static float *defined(const trial *t, bool magnitudes)
{
	trial other = *t;
	if (magnitudes) other.node.tail = NULL;
	for (int k = 0; magnitudes && k < t->node.n_in; k++) {
		other.in[k].data = exactly(bytes_of(&t->in[k]));
		for (int64_t i = 0; i < og_count(&t->in[k]); i++)
			((float *)other.in[k].data)[i] = fabsf(((const float *)t->in[k].data)[i]);
	}
	float *y = other_way(&other, "definition");
	for (int k = 0; magnitudes && k < t->node.n_in; k++) base_free(other.in[k].data);
	return y;
}

static void check_close(const trial *t, double products)
{
	float *wanted = defined(t, false), *magnitude = defined(t, true);
	const float *y = t->out[0].data;
	for (int64_t i = 0; i < og_count(&t->out[0]); i++) {
		double allowed = (products + 4.0) * (double)FLT_EPSILON * ((double)magnitude[i] + (t->node.tail ? 4.0 : 0.0));
		if (isnan(magnitude[i])) assert_true(isnan(y[i]));
		else if (!(fabs((double)y[i] - (double)wanted[i]) <= allowed))
			fail_msg("element %lld is %g and not %g (+-%g)", (long long)i, (double)y[i], (double)wanted[i], allowed);
	}
	base_free(wanted);
	base_free(magnitude);
}

/* y = Swish(anchor) * operand, an operand for each channel or each element. */
static void add_tail(trial *t)
{
	const og_tensor *y = &t->out[0];
	program *p = &t->tail;
	*p = (program){ .n_operands = 2, .n_regs = 3, .n_steps = 2, .operand = { -1, t->node.n_in }, .result = 2 };
	p->step[0] = (program_step){ .op = schema_find_any("Swish"), .in = { 0 }, .out = 2, .attr = { 1.0f } };
	p->step[1] = (program_step){ .op = schema_find_any("Mul"), .in = { 2, 1 }, .out = 2 };
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
	int64_t n = layout == LAYOUT_SAMPLES ? pick(2, 20) : pick(1, 3), c = layout == LAYOUT_SAMPLES ? pick(1, 3) : pick(2, 40);
	int64_t x[4] = { n, c }, w[4] = { c, 1 }, y[4] = { n, c }, strides[2], dilations[2], pads[4], side = 2 * pick(1, 3) + 1;
	int64_t stride = pick(1, 2);
	begin_trial(t, "Conv");
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
	set_number(t, "group", c);
	t->in[0] = make_tensor(2 + axes, x);
	t->in[1] = make_tensor(2 + axes, w);
	t->out[0] = make_tensor(2 + axes, y);
	t->node.n_in = 2;
	if (chance(60)) t->in[t->node.n_in++] = make_tensor(1, &c);
	t->node.n_anchor_in = t->node.n_in;
	t->constant = 6;
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
		check_close(&t, (double)og_span(&t.in[1], 2, t.in[1].rank));
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
