/* test_plan_check.c -- plans that lie about their values, steps and programs. */
#include "plan_lies.h"

/* Steps: 0 Conv + Swish, 1 MaxPool of two outputs, 2 Gather by an input, 3 Less, which is no program. */
static const char source[] =
	"model ir=8 {\"\" 17, \"opgraft\" 1}\n"
	"graph \"g\" {\n"
	"  in x: f32[1,2,8,8]\n"
	"  in k: i64[2]\n"
	"  const w: f32[2,2,1,1] = {1, 2, 3, 4}\n"
	"  const b: f32[2] = {1, 2}\n"
	"  const b2: f32[1,1,1,4] = {1, 2, 3, 4}\n"
	"  c = Conv(x, w, b)\n"
	"  s = opgraft::OgSwish(c)\n"
	"  p, i = MaxPool(s) {kernel_shape=[2, 2], strides=[2, 2]}\n"
	"  g = Gather(p, k) {axis=2}\n"
	"  l = Less(g, b2)\n"
	"  out l\n"
	"  out i\n"
	"}\n";
enum { CONV, POOL, GATHER, LESS, STEPS };

static og_plan *build(void)
{
	og_model *m;
	og_plan *p;
	og_build_options o = { .size = sizeof o, .threads = 1 };
	assert_int_equal(og_model_load_memory(&m, source, sizeof source - 1, NULL), OG_OK);
	assert_int_equal(og_plan_build(&p, m, &o), OG_OK);
	og_model_free(m);
	assert_int_equal(p->n_steps, STEPS);
	return p;
}

static plan_value *input(og_plan *p, int step, int k) { return &p->values[p->steps[step].in[k]]; }
static plan_value *output(og_plan *p, int step, int k) { return &p->values[p->steps[step].out[k]]; }
static og_attr_value *attribute(og_plan *p, int step, int k)
{
	return (og_attr_value *)(uintptr_t)&p->steps[step].attr[k];
}

/* ---- the lies ------------------------------------------------------------------------------- */

/* X(name, words of the refusal, what is changed in og_plan *p) */
#define LIES(X) \
	X(nothing, "", (void)p) \
	X(far_away, "outside the planned memory", output(p, CONV, 0)->offset = (size_t)1 << 40) \
	X(not_aligned, "outside the planned memory", output(p, CONV, 0)->offset = 4) \
	X(small_arena, "outside the planned memory", p->arena_bytes = 64) \
	X(ragged_arena, "whole blocks", p->arena_bytes += 4) \
	X(no_workspace, "workspace", p->workspace_bytes = 0) \
	X(another_input, "input is not", p->values[p->inputs[0]].slot = 1) \
	X(no_such_output, "output is not", p->values[p->outputs[0]].slot = 7) \
	X(writes_an_input, "may not change", p->steps[CONV].out[0] = p->inputs[0]) \
	X(writes_its_input, "over its own input", output(p, POOL, 0)->offset = input(p, POOL, 0)->offset) \
	X(one_output_twice, "do not fit", p->steps[POOL].out[1] = p->steps[POOL].out[0]) \
	X(another_shape, "do not fit", output(p, CONV, 0)->type.dims[3] = 7) \
	X(another_type, "do not fit", output(p, GATHER, 0)->type.dtype = OG_F16) \
	X(another_kernel, "do not fit", ((int64_t *)(uintptr_t)attribute(p, POOL, 0)->ints)[0] = 3) \
	X(a_wild_axis, "do not fit", attribute(p, GATHER, 0)->i = 9) \
	X(no_group, "do not fit", attribute(p, CONV, 5)->i = 0) \
	X(no_such_word, "do not fit", attribute(p, CONV, 3)->i = 17) \
	X(left_out, "do not fit", p->steps[GATHER].in[1] = -1) \
	X(nowhere_to, "do not fit", p->steps[LESS].out[0] = -1) \
	X(lost_weights, "not there", input(p, LESS, 1)->type.data = NULL) \
	X(no_bias, "not there", input(p, CONV, 2)->type.data = NULL) \
	X(no_packed, "packed", p->steps[CONV].packed = NULL) \
	X(unwritten_register, "before it is written", (p->steps[CONV].tail->n_regs++, p->steps[CONV].tail->step[0].in[0]++)) \
	X(unwritten_result, "no result", (p->steps[CONV].tail->n_regs++, p->steps[CONV].tail->result++)) \
	X(reads_the_weights, "of the op before it", p->steps[CONV].tail->operand[0] = 1) \
	X(another_way, "cannot be prepared", p->steps[CONV].kernel.tactic = "conv.magic") \
	X(no_such_value, "out of range", p->steps[GATHER].in[0] = 1000)

#define X(name, words, change) static void lie_##name(og_plan *p) { change; }
LIES(X)
#undef X

static const plan_lie lies[] = {
#define X(name, words, change) { #name, words, lie_##name },
	LIES(X)
#undef X
};

static void test_each_lie_is_refused(void **state)
{
	(void)state;
	refuse_lies(lies, sizeof lies / sizeof *lies, build);
}

/* Indices come at run time: no plan can promise them. */
static void test_indices_are_checked_by_the_run(void **state)
{
	(void)state;
	static float x[128];
	int64_t k[2] = { 0, 4 }, where[32];
	uint8_t less[16];
	const void *in[] = { x, k };
	void *out[] = { less, where };
	og_plan *built = build(), *p;
	og_session *s;
	assert_int_equal(og_plan_save(built, path), OG_OK);
	assert_int_equal(og_plan_load(&p, path), OG_OK);
	assert_int_equal(og_session_create(&s, p, 1), OG_OK);
	assert_int_equal(og_session_run(s, in, out), OG_BAD_FILE);
	k[1] = -4;
	assert_int_equal(og_session_run(s, in, out), OG_OK);
	og_session_free(s);
	og_plan_free(p);
	og_plan_free(built);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_lie_is_refused),
		cmocka_unit_test(test_indices_are_checked_by_the_run),
	};
	return cmocka_run_group_tests(tests, make_path, remove_path);
}
