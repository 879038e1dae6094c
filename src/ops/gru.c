/* GRU: two gates, update (z) and reset (r), between the state and what would replace it. */
#include "ops/recurrent.h"

#if OP_BASE
enum { GRU_LINEAR_BEFORE_RESET = RECURRENT_OWN_ATTRS, GRU_GATES = 3 };

static og_status gru_shape(og_infer *c) { return recurrent_shape(c, GRU_GATES); }
static size_t gru_workspace(const og_call *c) { return recurrent_workspace(c, GRU_GATES); }

static void gru_step(const recurrent *r, recurrent_step *s)
{
	int64_t n = r->hidden;
	const double *update = s->gate, *reset = s->gate + n;
	double *new = s->gate + 2 * n;
	for (int64_t i = 0; i < 2 * n; i++)
		s->gate[i] = recurrent_gate(r, s->way, 0, recurrent_of_x(r, s, i) + recurrent_of_h(r, s, i, NULL));
	for (int64_t i = 0; i < n; i++) {
		double x = recurrent_of_x(r, s, 2 * n + i);
		if (r->call->attr[GRU_LINEAR_BEFORE_RESET].i) x += reset[i] * recurrent_of_h(r, s, 2 * n + i, NULL);
		else x += recurrent_of_h(r, s, 2 * n + i, reset);
		new[i] = recurrent_gate(r, s->way, 1, x);
	}
	for (int64_t i = 0; i < n; i++) s->h[i] = (1 - update[i]) * new[i] + update[i] * s->h[i];
}

static og_status gru_eval(const og_call *c) { return recurrent_run(c, GRU_GATES, 2, "Sigmoid|Tanh", gru_step); }
#endif

OP(gru, .name = "GRU", .since = 7, .doc = "A layer of gated recurrent units over sequences, in one direction or both.",
   .inputs = "X:T, W:T, R:T, B:T?, sequence_lens:i32?, initial_h:T?", .outputs = "Y:T?, Y_h:T?",
   .types = "T=f32 f64 f16 bf16", ATTRS(RECURRENT_ATTRS, OG_INT("linear_before_reset", 0)), .shape = gru_shape,
   .eval = gru_eval, .workspace = gru_workspace)
