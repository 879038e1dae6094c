/* test_channels.c -- every way to run a convolution that the CPU backend names, from every layout of its input,
 * against the definition by residual; for every instruction set of this machine and several numbers of threads, bit
 * for bit the same. Entries of blocks that are not there are NaN, so that a way that uses one is found out. */
#include "cpu_case.h"

enum { MAX_WAYS = 32 };

/* ---- one node ------------------------------------------------------------------------------- */

/* Up to four steps behind the convolution, each of the one before and of an operand or an activation. */
static void add_tail(trial *t)
{
	static const char *const names[] = { "Relu", "Swish", "Add", "Mul", "Sigmoid", "Sub" };
	program *p = &t->tail;
	int operands = (int)pick(0, 2);
	p->operand[p->n_operands++] = -1;
	for (int k = 0; k < operands; k++) {
		int skip = chance(30) ? (int)pick(0, t->out[0].rank) : 0;
		int64_t dims[OG_MAX_RANK];
		for (int i = skip; i < t->out[0].rank; i++) dims[i - skip] = chance(40) ? 1 : t->out[0].dims[i];
		t->in[t->node.n_in] = make_tensor(t->out[0].rank - skip, dims);
		p->operand[p->n_operands++] = t->node.n_in++;
	}
	p->n_steps = (int)pick(1, 4);
	p->n_regs = p->n_operands + 2;
	for (int k = 0; k < p->n_steps; k++) {
		program_step *s = &p->step[k];
		s->op = find_op(names[pick(0, 5)]);
		s->in[0] = k ? p->step[k - 1].out : 0;
		s->in[1] = (uint8_t)pick(0, operands);
		for (int i = 0; i < s->op->map_attrs; i++) s->attr[i] = (float)s->op->attrs[i].value;
		s->out = (uint8_t)(p->n_operands + k % 2);
		p->result = s->out;
	}
	t->node.tail = p;
}

/* Channels and outputs are those of one group; size: of each spatial axis at least. */
static void make_conv(trial *t, int axes, int64_t images, int64_t groups, int64_t channels, int64_t outputs,
                      int64_t size)
{
	int64_t x[4] = { images, groups * channels }, w[4] = { groups * outputs, channels };
	int64_t y[4] = { images, groups * outputs };
	int64_t strides[2], dilations[2], pads[4];
	bool same = chance(20), padded = chance(70);
	begin_trial(t, find_op("Conv"));
	set_number(t, "group", (double)groups);
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
	if (same) set_number(t, "auto_pad", (double)pick(1, 2));
	else set_list(t, "pads", pads, 2 * axes);
	t->in[0] = make_tensor(2 + axes, x);
	t->in[1] = make_tensor(2 + axes, w);
	t->node.n_in = 2;
	if (chance(60)) t->in[t->node.n_in++] = make_tensor(1, &w[0]);
	t->node.n_anchor_in = t->node.n_in;
	t->constant = 6;
	t->out[0] = make_tensor(2 + axes, y);
	if (chance(50)) add_tail(t);
}

/* ---- checking ------------------------------------------------------------------------------- */

/* Winograd's sums are of larger terms, and one infinite cell spoils its neighbours. */
static void check_close(const trial *t, const char *tactic, bool infinite, const float *wanted, const float *magnitude)
{
	bool winograd = strstr(tactic, "winograd") != NULL;
	double scale = (t->node.tail ? 16.0 : 1.0) * (winograd ? 16.0 : 1.0);
	for (int64_t i = 0; i < og_count(&t->out[0]); i++) {
		if (!isfinite(magnitude[i]) && (t->node.tail || winograd)) continue;
		if (infinite && winograd) continue;
		check_element(t, tactic, i, wanted[i], magnitude[i], scale);
	}
}

/* Every way from every layout, for 1 to 3 threads; infinite: an element of the input is. Returns how often
 * conv.channels ran. */
static int check_conv(trial *t, bool infinite)
{
	float *wanted = made_by(t, "definition"), *magnitude = magnitudes_of(t);
	int tried = 0;
	for (int have = 0; have < LAYOUT_COUNT; have++) {
		const char *names[MAX_WAYS];
		og_tensor known[TRIAL_INPUTS];
		t->layout[0] = (backend_layout)have;
		for (int k = t->node.n_anchor_in; k < t->node.n_in; k++)
			t->layout[k] = chance(50) ? t->layout[0] : LAYOUT_PLAIN;
		backend_node node = node_of(t, known, t->constant);
		int n = cpu_backend.tactics(names, MAX_WAYS, &node, 2);
		assert_true(n > 0);
		for (int k = 0; k < n; k++) {
			if (!strcmp(names[k], "definition")) continue;
			tried += !strcmp(names[k], "conv.channels");
			assert_int_equal(run_by_threads(t, names[k], 3, NULL), OG_OK);
			check_close(t, names[k], infinite, wanted, magnitude);
		}
	}
	base_free(wanted);
	base_free(magnitude);
	return tried;
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
		make_conv(&t, chance(25) ? 1 : 2, chance(5) ? 0 : chance(20) ? pick(2, 19) : pick(1, 3),
		          chance(30) ? pick(2, 4) : 1, pick_channels(lanes), pick_channels(lanes),
		          pick(0, chance(20) ? 50 : 15));
		bool infinite = chance(20) && og_count(&t.in[0]);
		if (infinite) ((float *)t.in[0].data)[pick(0, og_count(&t.in[0]) - 1)] = chance(50) ? (float)NAN : HUGE_VALF;
		tried += check_conv(&t, infinite);
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
			check_conv(&t, false);
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
			backend_kernel kernel;
			og_tensor known[TRIAL_INPUTS];
			backend_node node = node_of(&t, known, t.constant);
			arena *a = arena_create();
			assert_non_null(a);
			assert_int_equal(cpu_backend.prepare(&kernel, &node, "conv.channels", k + 1, a), OG_OK);
			packed[k] = exactly(bytes[k] = kernel.packed_bytes);
			assert_int_equal(kernel.pack(&kernel, packed[k]), OG_OK);
			assert_int_equal(bytes[k], bytes[0]);
			assert_memory_equal(packed[k], packed[0], bytes[0]);
			arena_destroy(a);
		}
		t.loading = true;
		assert_int_equal(run_by_threads(&t, "conv.channels", 3, NULL), OG_OK);
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

int main(void) { return run_for_each_isa(run_group); }
