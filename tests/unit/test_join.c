/* test_join.c -- a step of two parts in a plan that lies. */
#include "plan_lies.h"

/* A pointwise convolution of two channels to two, then one of each by itself. */
static const char source[] =
	"model ir=8 {\"\" 17}\n"
	"graph \"g\" {\n"
	"  in x: f32[1,2,4,4]\n"
	"  const w: f32[2,2,1,1] = {1, 2, 3, 4}\n"
	"  const b: f32[2] = {1, 2}\n"
	"  const v: f32[2,1,1,1] = {1, 2}\n"
	"  const low: f32[] = {0}\n"
	"  const high: f32[] = {6}\n"
	"  c = Conv(x, w, b)\n"
	"  d = Clip(c, low, high)\n"
	"  e = Conv(d, v) {group=2}\n"
	"  y = Relu(e)\n"
	"  out y\n"
	"}\n";

static og_plan *build(void)
{
	og_model *m;
	og_plan *p;
	og_build_options o = { .size = sizeof o, .threads = 1, .timing = OG_TIMING_OFF };
	assert_int_equal(og_model_load_memory(&m, source, sizeof source - 1, NULL), OG_OK);
	assert_int_equal(og_plan_build(&p, m, &o), OG_OK);
	og_model_free(m);
	return p;
}

static plan_step *pair(og_plan *p)
{
	for (int i = 0; i < p->n_steps; i++)
		if (p->steps[i].parts) return &p->steps[i];
	return NULL;
}

static backend_node *part(og_plan *p, int k) { return (backend_node *)(uintptr_t)&pair(p)->parts[k]; }
static plan_value *between(og_plan *p)
{
	for (int i = 0; i < p->n_values; i++)
		if (p->values[i].place == PLAN_NOWHERE) return &p->values[i];
	return NULL;
}

/* X(name, words of the refusal, what is changed in og_plan *p) */
#define LIES(X) \
	X(nothing, "", (void)p) \
	X(more_inputs, "not theirs", part(p, 0)->n_in++) \
	X(fewer_inputs, "not theirs", (part(p, 1)->n_in--, part(p, 1)->n_anchor_in--)) \
	X(all_inputs, "not theirs", part(p, 0)->n_in = pair(p)->n_in) \
	X(far_too_many, "out of range", part(p, 1)->n_in = 99) \
	X(a_value_between, "not theirs", pair(p)->in[part(p, 0)->n_in] = p->inputs[0]) \
	X(reads_nowhere, "nowhere", (between(p)->layout = LAYOUT_CHANNELS, pair(p)->in[0] = (int)(between(p) - p->values))) \
	X(another_between, "do not fit", ((og_tensor *)(uintptr_t)part(p, 0)->out)->dims[1] = 3) \
	X(larger_between, "do not fit", ((og_tensor *)(uintptr_t)part(p, 0)->out)->dims[3] = 9) \
	X(another_group, "do not fit", ((og_attr_value *)(uintptr_t)part(p, 1)->attr)[5].i = 1) \
	X(no_op, "", (part(p, 0)->op = NULL, part(p, 0)->attr = NULL)) \
	X(reads_the_weights, "of the op before it", ((program *)(uintptr_t)part(p, 0)->tail)->operand[1] = 1) \
	X(lost_bound, "workspace", p->values[pair(p)->in[3]].type.data = NULL) \
	X(another_way, "prepared", pair(p)->kernel.tactic = "conv.channels") \
	X(no_packed, "packed", pair(p)->packed = NULL)

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
	og_plan *p = build();
	bool joined = pair(p);
	og_plan_free(p);
	if (!joined) skip();                         /* no vectors on this machine */
	refuse_lies(lies, sizeof lies / sizeof *lies, build);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_each_lie_is_refused) };
	return cmocka_run_group_tests(tests, make_path, remove_path);
}
