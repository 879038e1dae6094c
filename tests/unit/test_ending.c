/* test_ending.c -- tails that begin with a residual or a clamp, which kernels do before they store: the bits of the tail done element by
 * element on what the same kernel makes without one. */
#include "conv_trial.h"

typedef struct step { const char *op; uint8_t in[2], out; } step;
/* Register 0 is the convolution's output, 1 an operand of its shape. */
typedef struct tail { step step[3]; uint8_t result; } tail;
static const tail tails[] = {
	{ { { "Relu", { 0 }, 2 } }, 2 },
	{ { { "Add", { 0, 1 }, 2 } }, 2 },
	{ { { "Add", { 1, 0 }, 0 } }, 0 },
	{ { { "Add", { 0, 1 }, 2 }, { "Relu", { 2 }, 2 } }, 2 },
	{ { { "Add", { 1, 0 }, 0 }, { "Relu", { 0 }, 3 } }, 3 },
	{ { { "Add", { 0, 1 }, 2 }, { "Mul", { 2, 2 }, 3 } }, 3 },
	{ { { "Add", { 0, 1 }, 2 }, { "Mul", { 2, 1 }, 2 }, { "Add", { 2, 1 }, 2 } }, 2 },
	{ { { "Add", { 0, 1 }, 2 }, { "Mul", { 2, 0 }, 3 } }, 3 },             /* the output is read again */
	{ { { "Add", { 0, 1 }, 2 }, { "Relu", { 0 }, 3 }, { "Mul", { 2, 3 }, 2 } }, 2 },
	{ { { "Add", { 0, 1 }, 2 }, { "Relu", { 1 }, 0 }, { "Mul", { 0, 2 }, 3 } }, 3 },
	{ { { "Add", { 0, 1 }, 2 }, { "Relu", { 1 }, 3 } }, 0 },
	{ { { "Add", { 0, 0 }, 2 } }, 2 },
	{ { { "Add", { 0, 1 }, 2 }, { "Relu", { 2 }, 3 } }, 2 },
	{ { { "Mul", { 0, 1 }, 2 }, { "Relu", { 2 }, 2 } }, 2 },
};
enum { TAILS = sizeof tails / sizeof *tails };

static void set_tail(trial *t, const tail *of)
{
	t->tail = (program){ .n_operands = 2, .n_regs = 4, .operand = { -1, 3 }, .result = of->result };
	for (int i = 0; i < 3 && of->step[i].op; i++)
		t->tail.step[t->tail.n_steps++] = (program_step){ .op = find_op(of->step[i].op), .out = of->step[i].out,
		                                                  .in = { of->step[i].in[0], of->step[i].in[1] } };
	t->node.tail = &t->tail;
}

static float apply(const tail *of, float y, float other)
{
	float reg[4] = { y, other, 0, 0 };
	for (int i = 0; i < 3 && of->step[i].op; i++) {
		const step *s = &of->step[i];
		float a = reg[s->in[0]], b = reg[s->in[1]];
		reg[s->out] = s->op[0] == 'A' ? a + b : s->op[0] == 'M' ? a * b : a > 0 ? a : 0;
	}
	return reg[of->result];
}

static void check_tails(const char *tactic)
{
	for (int i = 0; i < TAILS; i++) {
		trial t;
		state = (uint64_t)i;
		const int64_t lanes = cpu_backend.lanes();
		make_square(&t, (int64_t[]){ 1, 1 }, (int64_t[4]){ 0 }, 1, (int64_t[]){ 2, 2 * lanes, pick(2, 12), pick(2, 12) }, 4 * lanes);
		t.in[3] = make_tensor(4, t.out[0].dims);
		t.node.n_in = 4;
		run_conv(&t, tactic, 1);
		size_t bytes = bytes_of(&t.out[0]);
		float *made = exactly(bytes);
		memcpy(made, t.out[0].data, bytes);
		set_tail(&t, &tails[i]);
		run_conv(&t, tactic, 3);
		for (int64_t k = 0; k < og_count(&t.out[0]); k++) {
			float out = ((const float *)t.out[0].data)[k], wanted = apply(&tails[i], made[k], ((const float *)t.in[3].data)[k]);
			if (out != wanted) fail_msg("%s, tail %d: element %lld is %a and not %a", tactic, i, (long long)k, (double)out, (double)wanted);
		}
		base_free(made);
		end_trial(&t);
	}
}

static void test_strassen(void **unused) { (void)unused; check_tails("conv.strassen"); }
static void test_channels(void **unused)
{
	(void)unused;
	if (cpu_backend.lanes() > 1) check_tails("conv.channels");
}

static int run_group(const char *isa)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_strassen), cmocka_unit_test(test_channels) };
	return cmocka_run_group_tests_name(isa, tests, NULL, NULL);
}

int main(void) { return run_for_each_isa(run_group); }
