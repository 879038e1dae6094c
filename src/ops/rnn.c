/* RNN: h = f(W x + R h + b), step by step. */
#include "ops/recurrent.h"

#if OP_BASE
static og_status rnn_shape(og_infer *c) { return recurrent_shape(c, 1); }
static size_t rnn_workspace(const og_call *c) { return recurrent_workspace(c, 1); }

static void rnn_step(const recurrent *r, recurrent_step *s)
{
	for (int64_t i = 0; i < r->hidden; i++)
		s->gate[i] = recurrent_gate(r, s->way, 0, recurrent_of_x(r, s, i) + recurrent_of_h(r, s, i, NULL));
	for (int64_t i = 0; i < r->hidden; i++) s->h[i] = s->gate[i];
}

static og_status rnn_eval(const og_call *c) { return recurrent_run(c, 1, 1, "Tanh", rnn_step); }
#endif

OP(rnn, .name = "RNN", .since = 7, .doc = "A layer of plain recurrence over sequences, in one direction or both.",
   .inputs = "X:T, W:T, R:T, B:T?, sequence_lens:i32?, initial_h:T?", .outputs = "Y:T?, Y_h:T?",
   .types = "T=f32 f64 f16 bf16", ATTRS(RECURRENT_ATTRS), .shape = rnn_shape, .eval = rnn_eval,
   .workspace = rnn_workspace)
