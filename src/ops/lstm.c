/* LSTM: three gates, input (i), output (o) and forget (f), around a cell that is kept beside the state. */
#include "ops/recurrent.h"

#if OP_BASE
enum { LSTM_INPUT_FORGET = RECURRENT_OWN_ATTRS, LSTM_GATES = 4 };
enum { LSTM_I, LSTM_O, LSTM_F, LSTM_CELL };

static og_status lstm_shape(og_infer *c)
{
	og_dim peepholes = c->in[RECURRENT_R].rank == 3 ? c->in[RECURRENT_R].dims[2] : dims_unknown(c);
	OP_TRY(dims_mul(c, &peepholes, 3));
	OP_TRY(recurrent_input(c, RECURRENT_P, 2, c->attr[RECURRENT_DIRECTION].i == RECURRENT_BOTH ? 2 : 1, peepholes, 0));
	return recurrent_shape(c, LSTM_GATES);
}

static size_t lstm_workspace(const og_call *c) { return recurrent_workspace(c, LSTM_GATES); }

/* What gate i, o or f sees of the cell. */
static double lstm_peephole(const recurrent *r, const recurrent_step *s, int gate, int64_t i)
{
	const og_tensor *p = move_in(r->call, RECURRENT_P);
	return p ? number_get(p, (s->way * 3 + gate) * r->hidden + i) * s->c[i] : 0.0;
}

static void lstm_step(const recurrent *r, recurrent_step *s)
{
	int64_t n = r->hidden;
	for (int64_t k = 0; k < LSTM_GATES * n; k++) s->gate[k] = recurrent_of_x(r, s, k) + recurrent_of_h(r, s, k, NULL);
	for (int64_t i = 0; i < n; i++) {
		double in = recurrent_gate(r, s->way, 0, s->gate[LSTM_I * n + i] + lstm_peephole(r, s, LSTM_I, i));
		double forget = recurrent_gate(r, s->way, 0, s->gate[LSTM_F * n + i] + lstm_peephole(r, s, LSTM_F, i)), out;
		if (r->call->attr[LSTM_INPUT_FORGET].i) forget = 1 - in;
		s->c[i] = forget * s->c[i] + in * recurrent_gate(r, s->way, 1, s->gate[LSTM_CELL * n + i]);
		out = recurrent_gate(r, s->way, 0, s->gate[LSTM_O * n + i] + lstm_peephole(r, s, LSTM_O, i));
		s->h[i] = out * recurrent_activate(&r->f[s->way][2], s->c[i]);
	}
}

static og_status lstm_eval(const og_call *c)
{
	return recurrent_run(c, LSTM_GATES, 3, "Sigmoid|Tanh|Tanh", lstm_step);
}
#endif

OP(lstm, .name = "LSTM", .since = 7,
   .doc = "A layer of long short-term memory over sequences, in one direction or both.",
   .inputs = "X:T, W:T, R:T, B:T?, sequence_lens:i32?, initial_h:T?, initial_c:T?, P:T?",
   .outputs = "Y:T?, Y_h:T?, Y_c:T?", .types = "T=f32 f64 f16 bf16",
   ATTRS(RECURRENT_ATTRS, OG_INT("input_forget", 0)), .shape = lstm_shape, .eval = lstm_eval,
   .workspace = lstm_workspace)
