/* test_channels.c -- every way to run a convolution that the CPU backend names, from every layout of its input,
 * against the definition by residual; for every instruction set of this machine and several numbers of threads, bit
 * for bit the same. Entries of blocks that are not there are NaN, so that a way that uses one is found out. */
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

/* ---- tensors -------------------------------------------------------------------------------- */

/* Memory that ends where it was asked to end, so that a sanitizer sees what is read behind it; NaNs. */
static void *exactly(size_t bytes)
{
	void *p = base_alloc_aligned(bytes ? bytes : 1, 64);
	assert_non_null(p);
	memset(p, 0xff, bytes);
	return p;
}

static size_t bytes_of(const og_tensor *t) { return (size_t)og_count(t) * sizeof(float); }

static og_tensor make_tensor(int rank, const int64_t *dims)
{
	og_tensor t = { .dtype = OG_F32, .rank = rank };
	if (rank) memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
	float *x = exactly(bytes_of(&t));
	t.data = x;
	for (int64_t i = 0; i < og_count(&t); i++) x[i] = (float)pick(-1000, 1000) / 1000.0f;
	return t;
}

/* Copies plain elements to where they lie in the layout, or back. */
static void copy_elements(const og_tensor *type, backend_layout layout, float *plain, float *laid, bool back)
{
	int lanes = cpu_backend.lanes(), axis = layout_axis(type, layout);
	int64_t cut = axis < 0 ? 1 : type->dims[axis], inner = axis < 0 ? 1 : og_span(type, axis + 1, type->rank);
	int64_t blocks = (cut + lanes - 1) / lanes;
	for (int64_t i = 0; i < og_count(type); i++) {
		int64_t k = i / inner % cut, at = ((i / inner / cut * blocks + k / lanes) * inner + i % inner) * lanes + k % lanes;
		float *element = &laid[axis < 0 ? i : at];
		if (back) plain[i] = *element;
		else *element = plain[i];
	}
}

/* ---- one node ------------------------------------------------------------------------------- */

enum { MAX_INPUTS = 6, MAX_ATTRS = 16, MAX_WAYS = 32 };

typedef struct trial {
	backend_node node;
	og_attr_value attr[MAX_ATTRS];
	int64_t ints[MAX_ATTRS][6];
	og_tensor in[MAX_INPUTS], out;
	program tail;
	double products;                     /* of a sum */
	bool infinite;                       /* an element of the input is */
	int tried;                           /* runs of conv.channels */
} trial;

static og_attr_value *attr_of(trial *t, const char *name)
{
	for (int i = 0;; i++) {
		assert_non_null(t->node.op->attrs[i].name);
		if (!strcmp(t->node.op->attrs[i].name, name)) return &t->attr[i];
	}
}

static void set_list(trial *t, const char *name, const int64_t *list, int n)
{
	og_attr_value *a = attr_of(t, name);
	int64_t *ints = t->ints[a - t->attr];
	memcpy(ints, list, (size_t)n * sizeof *list);
	*a = (og_attr_value){ .present = 1, .n = n, .ints = ints };
}

static void begin_trial(trial *t, int64_t groups)
{
	memset(t, 0, sizeof *t);
	t->node = (backend_node){ .name = "trial", .op = schema_find("", "Conv", 21), .attr = t->attr, .in = t->in, .out = &t->out,
	                          .n_out = 1 };
	assert_non_null(t->node.op);
	*attr_of(t, "group") = (og_attr_value){ .present = 1, .i = groups };
}

static void end_trial(trial *t)
{
	for (int k = 0; k < t->node.n_in; k++) base_free(t->in[k].data);
	base_free(t->out.data);
}

/* Up to four steps behind the convolution, each of the one before and of an operand or an activation. */
static void add_tail(trial *t)
{
	static const char *const names[] = { "Relu", "Swish", "Add", "Mul", "Sigmoid", "Sub" };
	program *p = &t->tail;
	int operands = (int)pick(0, 2);
	p->operand[p->n_operands++] = -1;
	for (int k = 0; k < operands; k++) {
		int skip = chance(30) ? (int)pick(0, t->out.rank) : 0;
		int64_t dims[OG_MAX_RANK];
		for (int i = skip; i < t->out.rank; i++) dims[i - skip] = chance(40) ? 1 : t->out.dims[i];
		t->in[t->node.n_in] = make_tensor(t->out.rank - skip, dims);
		p->operand[p->n_operands++] = t->node.n_in++;
	}
	p->n_steps = (int)pick(1, 4);
	p->n_regs = p->n_operands + 2;
	for (int k = 0; k < p->n_steps; k++) {
		program_step *s = &p->step[k];
		s->op = schema_find_any(names[pick(0, 5)]);
		assert_non_null(s->op);
		s->in[0] = k ? p->step[k - 1].out : 0;
		s->in[1] = (uint8_t)pick(0, operands);
		for (int i = 0; i < s->op->map_attrs; i++) s->attr[i] = (float)s->op->attrs[i].value;
		s->out = (uint8_t)(p->n_operands + k % 2);
		p->result = s->out;
	}
	t->node.tail = p;
}

/* Channels and outputs are those of one group; size: of each spatial axis at least. */
static void make_conv(trial *t, int axes, int64_t images, int64_t groups, int64_t channels, int64_t outputs, int64_t size)
{
	int64_t x[4] = { images, groups * channels }, w[4] = { groups * outputs, channels }, y[4] = { images, groups * outputs };
	int64_t strides[2], dilations[2], pads[4];
	bool same = chance(20), padded = chance(70);
	begin_trial(t, groups);
	t->products = (double)channels;
	for (int a = 0; a < axes; a++) {
		strides[a] = chance(60) ? 1 : pick(2, 4);
		dilations[a] = chance(70) ? 1 : pick(2, 3);
		w[2 + a] = chance(30) ? 1 : pick(1, 5);
		int64_t extent = (w[2 + a] - 1) * dilations[a] + 1;
		pads[a] = padded ? pick(0, 3) : 0;
		pads[a + axes] = padded ? pick(0, 3) : 0;
		x[2 + a] = extent + size + pick(0, 6);
		y[2 + a] = same ? (x[2 + a] + strides[a] - 1) / strides[a]
		                : (x[2 + a] + pads[a] + pads[a + axes] - extent) / strides[a] + 1;
		t->products *= (double)w[2 + a];
	}
	set_list(t, "strides", strides, axes);
	set_list(t, "dilations", dilations, axes);
	if (same) attr_of(t, "auto_pad")->i = pick(1, 2);
	else set_list(t, "pads", pads, 2 * axes);
	t->in[0] = make_tensor(2 + axes, x);
	t->in[1] = make_tensor(2 + axes, w);
	t->node.n_in = 2;
	if (chance(60)) t->in[t->node.n_in++] = make_tensor(1, &w[0]);
	t->node.n_anchor_in = t->node.n_in;
	t->out = make_tensor(2 + axes, y);
	if (chance(50)) add_tail(t);
}

static bool is_constant(const trial *t, int k) { return k > 0 && k < t->node.n_anchor_in; }

/* Prepares, packs and runs; false when the tactic says no. The output, laid plainly, comes in t->out. */
static bool run_way(const trial *t, const backend_node *given, const char *tactic, int threads)
{
	backend_node node = *given;
	og_tensor types[MAX_INPUTS], in[MAX_INPUTS], out = t->out, *outs[] = { &out };
	const og_tensor *ins[MAX_INPUTS];
	backend_kernel kernel = { 0 };
	pool *workers = NULL;
	arena *a = arena_create();
	assert_non_null(a);
	for (int k = 0; k < node.n_in; k++) {
		types[k] = t->in[k];
		if (!is_constant(t, k)) types[k].data = NULL;
	}
	node.in = types;
	if (cpu_backend.prepare(&kernel, &node, tactic, threads, a) != OG_OK) {
		arena_destroy(a);
		return false;
	}
	assert_int_equal(pool_create(&workers, threads), OG_OK);
	for (int k = 0; k < node.n_in; k++) {
		backend_layout want = kernel.in_layout ? kernel.in_layout[k] : LAYOUT_PLAIN;
		in[k] = t->in[k];
		for (int more = out.rank - in[k].rank; want != LAYOUT_PLAIN && k >= node.n_anchor_in && more > 0; more--) {
			memmove(in[k].dims + 1, in[k].dims, (size_t)in[k].rank++ * sizeof *in[k].dims);
			in[k].dims[0] = 1;
		}
		in[k].data = exactly(layout_bytes(&in[k], want, cpu_backend.lanes()));
		copy_elements(&in[k], want, t->in[k].data, in[k].data, false);
		ins[k] = &in[k];
		if (kernel.packs_input >> k & 1) ins[k] = NULL;
	}
	out.data = exactly(layout_bytes(&out, kernel.out_layout, cpu_backend.lanes()));
	void *packed = exactly(kernel.packed_bytes), *workspace = exactly(kernel.workspace_bytes);
	if (kernel.pack) assert_int_equal(kernel.pack(&kernel, packed), OG_OK);
	backend_run run = { .in = ins, .out = outs, .packed = packed, .workspace = workspace, .threads = workers };
	uint64_t allocations = base_allocations();
	assert_int_equal(kernel.run(&kernel, &run), OG_OK);
	assert_true(base_allocations() == allocations);
	copy_elements(&out, kernel.out_layout, t->out.data, out.data, true);
	for (int k = 0; k < node.n_in; k++) base_free(in[k].data);
	base_free(out.data);
	base_free(packed);
	base_free(workspace);
	pool_destroy(workers);
	arena_destroy(a);
	return true;
}

/* ---- checking ------------------------------------------------------------------------------- */

/* The definition's output; magnitudes: of the absolute inputs, without tail. */
static float *define(const trial *t, bool magnitudes)
{
	trial plain = *t;
	plain.out.data = exactly(bytes_of(&t->out));
	if (magnitudes) plain.node.tail = NULL;
	for (int k = 0; magnitudes && k < t->node.n_in; k++) {
		int64_t n = og_count(&t->in[k]);
		float *x = exactly(bytes_of(&t->in[k]));
		for (int64_t i = 0; i < n; i++) x[i] = fabsf(((const float *)t->in[k].data)[i]);
		plain.in[k].data = x;
	}
	assert_true(run_way(&plain, &plain.node, "definition", 1));
	for (int k = 0; magnitudes && k < t->node.n_in; k++) base_free(plain.in[k].data);
	return plain.out.data;
}

/* Winograd's sums are of larger terms, and one infinite cell spoils its neighbours. */
static void check_close(const trial *t, const char *tactic, const float *wanted, const float *magnitude)
{
	const float *y = t->out.data;
	bool winograd = strstr(tactic, "winograd") != NULL;
	double scale = (t->node.tail ? 16.0 : 1.0) * (winograd ? 16.0 : 1.0), more = t->node.tail ? 4.0 : 0.0;
	for (int64_t i = 0; i < og_count(&t->out); i++) {
		double allowed = scale * (t->products + 4.0) * (double)FLT_EPSILON * ((double)magnitude[i] + more);
		if (!isfinite(magnitude[i]) && (t->node.tail || winograd)) continue;
		if (t->infinite && winograd) continue;
		if (!isfinite(wanted[i])) {
			assert_true(isnan(wanted[i]) ? isnan(y[i]) : y[i] == wanted[i]);
		} else if (!(fabs((double)y[i] - (double)wanted[i]) <= allowed)) {
			fail_msg("%s: element %lld is %g and not %g (+-%g)", tactic, (long long)i, (double)y[i], (double)wanted[i], allowed);
		}
	}
}

/* Every way from every layout, for 1 to 3 threads. */
static void check_conv(trial *t)
{
	float *wanted = define(t, false), *magnitude = define(t, true), *first = exactly(bytes_of(&t->out));
	for (int have = 0; have < LAYOUT_COUNT; have++) {
		backend_layout layouts[MAX_INPUTS] = { (backend_layout)have };
		const char *names[MAX_WAYS];
		backend_node node = t->node;
		og_tensor types[MAX_INPUTS];
		for (int k = 0; k < node.n_in; k++) {
			types[k] = t->in[k];
			if (!is_constant(t, k)) types[k].data = NULL;
			if (k >= node.n_anchor_in && chance(50)) layouts[k] = layouts[0];
		}
		node.in = types;
		node.in_layout = layouts;
		int n = cpu_backend.tactics(names, MAX_WAYS, &node, 2);
		assert_true(n > 0);
		for (int k = 0; k < n; k++) {
			if (!strcmp(names[k], "definition")) continue;
			t->tried += !strcmp(names[k], "conv.channels");
			for (int threads = 1; threads <= 3; threads++) {
				memset(t->out.data, 0xff, bytes_of(&t->out));
				assert_true(run_way(t, &node, names[k], threads));
				if (threads > 1) assert_memory_equal(t->out.data, first, bytes_of(&t->out));
				else check_close(t, names[k], wanted, magnitude);
				memcpy(first, t->out.data, bytes_of(&t->out));
			}
		}
	}
	base_free(wanted);
	base_free(magnitude);
	base_free(first);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static int64_t pick_channels(int lanes) { return chance(30) ? lanes * pick(1, 3) : pick(1, chance(70) ? 9 : 40); }

static void test_small(void **unused)
{
	int tried = 0, lanes = cpu_backend.lanes();
	(void)unused;
	for (int i = 0; i < 120; i++) {
		trial t;
		state = (uint64_t)i;
		make_conv(&t, chance(25) ? 1 : 2, chance(5) ? 0 : chance(20) ? pick(2, 19) : pick(1, 3), chance(30) ? pick(2, 4) : 1,
		          pick_channels(lanes), pick_channels(lanes), pick(0, chance(20) ? 50 : 15));
		if (chance(20) && og_count(&t.in[0])) {
			((float *)t.in[0].data)[pick(0, og_count(&t.in[0]) - 1)] = chance(50) ? (float)NAN : HUGE_VALF;
			t.infinite = true;
		}
		check_conv(&t);
		tried += t.tried;
		end_trial(&t);
	}
	assert_true(lanes == 1 || tried > 60);
}

/* Layers large enough for several strips, chunks and slots. */
static void test_large(void **unused)
{
	static const struct { int axes; int64_t images, groups, channels, outputs, size; } layers[] = {
		{ 2, 1, 1, 67, 90, 45 }, { 2, 2, 1, 48, 48, 14 }, { 2, 1, 2, 64, 32, 40 }, { 1, 1, 1, 24, 33, 6000 },
		{ 2, 1, 1, 3, 20, 112 }, { 2, 3, 1, 96, 130, 7 },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
		for (int k = 0; k < 2; k++) {
			trial t;
			state = i * 2 + (uint64_t)k + 1000;
			make_conv(&t, layers[i].axes, layers[i].images, layers[i].groups, layers[i].channels, layers[i].outputs,
			          layers[i].size);
			check_conv(&t);
			end_trial(&t);
		}
}

/* Packed bytes do not depend on the threads, or on whether the constants are still there: a plan file may hold them. */
static void test_packed(void **unused)
{
	(void)unused;
	if (cpu_backend.lanes() == 1) return;
	for (int i = 0; i < 12; i++) {
		trial t;
		void *packed[3];
		size_t bytes[3];
		state = (uint64_t)i;
		make_conv(&t, 2, 1, 1, pick(1, 40), pick(2, 100), 12);
		for (int k = 0; k < 3; k++) {
			backend_kernel kernel, loaded;
			backend_node node = t.node;
			og_tensor types[MAX_INPUTS];
			arena *a = arena_create();
			assert_non_null(a);
			assert_int_equal(cpu_backend.prepare(&kernel, &node, "conv.channels", k + 1, a), OG_OK);
			packed[k] = exactly(bytes[k] = kernel.packed_bytes);
			assert_int_equal(kernel.pack(&kernel, packed[k]), OG_OK);
			assert_int_equal(bytes[k], bytes[0]);
			assert_memory_equal(packed[k], packed[0], bytes[0]);
			for (int j = 0; j < node.n_in; j++) {
				types[j] = t.in[j];
				types[j].data = NULL;
			}
			node.in = types;
			assert_int_equal(cpu_backend.prepare(&loaded, &node, "conv.channels", k + 1, a), OG_OK);
			assert_int_equal(loaded.packs_input, kernel.packs_input);
			assert_int_equal(loaded.packed_bytes, bytes[0]);
			arena_destroy(a);
		}
		for (int k = 0; k < 3; k++) base_free(packed[k]);
		end_trial(&t);
	}
}

static int run_group(const char *isa)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small), cmocka_unit_test(test_large), cmocka_unit_test(test_packed),
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
