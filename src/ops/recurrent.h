/* recurrent.h -- what RNN, GRU and LSTM share: shapes, the walk over the sequence in each direction, gates. */
#ifndef OPS_RECURRENT_H
#define OPS_RECURRENT_H

#include "ops/axis.h"
#include "ops/move.h"

#if OP_BASE

enum { RECURRENT_X, RECURRENT_W, RECURRENT_R, RECURRENT_B, RECURRENT_LENGTHS, RECURRENT_H, RECURRENT_C, RECURRENT_P };
enum {
	RECURRENT_ACTIVATIONS, RECURRENT_ALPHA, RECURRENT_BETA, RECURRENT_CLIP, RECURRENT_DIRECTION, RECURRENT_HIDDEN,
	RECURRENT_LAYOUT, RECURRENT_OWN_ATTRS
};
enum { RECURRENT_FORWARD, RECURRENT_REVERSE, RECURRENT_BOTH };
enum { RECURRENT_MOST_ACTIVATIONS = 3 };
#define RECURRENT_ATTRS \
	{ .name = "activations", .type = OG_ATTR_STRINGS }, OG_FLOATS("activation_alpha"), OG_FLOATS("activation_beta"), \
	OG_FLOAT("clip", 0.0), OG_ENUM("direction", "forward|reverse|bidirectional", RECURRENT_FORWARD), \
	OG_INT("hidden_size", 0), OG_INT("layout", 0)

/* ---- shapes ----------------------------------------------------------------------------------- */

/* Input k, where it is there, must have these dimensions. */
OG_INLINE og_status recurrent_input(og_infer *c, int k, int rank, og_dim a, og_dim b, og_dim d)
{
	og_dim want[3] = { a, b, d };
	if (k >= c->n_in || c->in[k].rank < 0) return OG_OK;
	if (c->in[k].rank != rank)
		return c->host->fail(OG_BAD_FILE, "%s has an input %d of %d dimensions, which must have %d", c->op->name, k,
		                     c->in[k].rank, rank);
	for (int i = 0; i < rank; i++) OP_TRY(dims_same(c, &want[i], c->in[k].dims[i], i));
	return OG_OK;
}

/* Shape rule of an op with that many gates: Y, Y_h and, of the LSTM, Y_c. */
OG_INLINE og_status recurrent_shape(og_infer *c, int64_t gates)
{
	const og_shape *x = &c->in[RECURRENT_X], *recurrence = &c->in[RECURRENT_R];
	int64_t ways = c->attr[RECURRENT_DIRECTION].i == RECURRENT_BOTH ? 2 : 1, swapped = c->attr[RECURRENT_LAYOUT].i != 0;
	og_dim hidden, wide, twice, batch, length;
	if (x->rank < 0 || recurrence->rank < 0) return OG_OK;
	if (x->rank != 3 || recurrence->rank != 3)
		return c->host->fail(OG_BAD_FILE, "%s takes X and R of 3 dimensions, not %d and %d", c->op->name, x->rank,
		                     recurrence->rank);
	hidden = recurrence->dims[2];
	if (c->attr[RECURRENT_HIDDEN].present) OP_TRY(dims_same(c, &hidden, c->attr[RECURRENT_HIDDEN].i, 2));
	wide = hidden;
	OP_TRY(dims_mul(c, &wide, gates));
	twice = wide;
	OP_TRY(dims_mul(c, &twice, 2));
	length = x->dims[swapped];
	batch = x->dims[!swapped];
	OP_TRY(recurrent_input(c, RECURRENT_W, 3, ways, wide, x->dims[2]));
	OP_TRY(recurrent_input(c, RECURRENT_R, 3, ways, wide, hidden));
	OP_TRY(recurrent_input(c, RECURRENT_B, 2, ways, twice, 0));
	OP_TRY(axis_vector(c, RECURRENT_LENGTHS, batch));
	for (int k = RECURRENT_H; k <= RECURRENT_C; k++)
		OP_TRY(recurrent_input(c, k, 3, swapped ? batch : ways, swapped ? ways : batch, hidden));
	for (int k = 0; k < c->n_out; k++) {
		og_dim order[4] = { length, ways, batch, hidden }, mixed[4] = { batch, length, ways, hidden };
		og_dim last[3] = { swapped ? batch : ways, swapped ? ways : batch, hidden };
		c->out[k].rank = k == 0 ? 4 : 3;
		memcpy(c->out[k].dims, k > 0 ? last : swapped ? mixed : order, sizeof(og_dim) * (size_t)c->out[k].rank);
	}
	return OG_OK;
}

/* ---- activations ------------------------------------------------------------------------------ */

typedef enum recurrent_kind {
	RECURRENT_SIGMOID, RECURRENT_TANH, RECURRENT_RELU, RECURRENT_AFFINE, RECURRENT_LEAKY_RELU,
	RECURRENT_THRESHOLDED_RELU, RECURRENT_SCALED_TANH, RECURRENT_HARD_SIGMOID, RECURRENT_ELU, RECURRENT_SOFTSIGN,
	RECURRENT_SOFTPLUS, RECURRENT_KINDS
} recurrent_kind;

typedef struct recurrent_activation { recurrent_kind kind; double alpha, beta; } recurrent_activation;

/* By kind: the word for it, whether it takes alpha and beta, and what they are if they are not given. */
static const struct { const char *name; int takes_alpha, takes_beta; double alpha, beta; } recurrent_kinds[] = {
	[RECURRENT_SIGMOID] = { "Sigmoid", 0, 0, 0, 0 }, [RECURRENT_TANH] = { "Tanh", 0, 0, 0, 0 },
	[RECURRENT_RELU] = { "Relu", 0, 0, 0, 0 }, [RECURRENT_AFFINE] = { "Affine", 1, 1, 1, 0 },
	[RECURRENT_LEAKY_RELU] = { "LeakyRelu", 1, 0, 0.01, 0 },
	[RECURRENT_THRESHOLDED_RELU] = { "ThresholdedRelu", 1, 0, 1, 0 },
	[RECURRENT_SCALED_TANH] = { "ScaledTanh", 1, 1, 1, 1 },
	[RECURRENT_HARD_SIGMOID] = { "HardSigmoid", 1, 1, 0.2, 0.5 },
	[RECURRENT_ELU] = { "Elu", 1, 0, 1, 0 }, [RECURRENT_SOFTSIGN] = { "Softsign", 0, 0, 0, 0 },
	[RECURRENT_SOFTPLUS] = { "Softplus", 0, 0, 0, 0 },
};

OG_INLINE double recurrent_activate(const recurrent_activation *f, double x)
{
	switch (f->kind) {
	case RECURRENT_SIGMOID: return 1 / (1 + exp(-x));
	case RECURRENT_TANH: return tanh(x);
	case RECURRENT_RELU: return x > 0 || isnan(x) ? x : 0;
	case RECURRENT_AFFINE: return f->alpha * x + f->beta;
	case RECURRENT_LEAKY_RELU: return x < 0 ? f->alpha * x : x;
	case RECURRENT_THRESHOLDED_RELU: return x > f->alpha || isnan(x) ? x : 0;
	case RECURRENT_SCALED_TANH: return f->alpha * tanh(f->beta * x);
	case RECURRENT_HARD_SIGMOID: return fmin(fmax(f->alpha * x + f->beta, 0), 1);
	case RECURRENT_ELU: return x < 0 ? f->alpha * expm1(x) : x;
	case RECURRENT_SOFTSIGN: return x / (1 + fabs(x));
	default: return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
	}
}

/* ---- the walk --------------------------------------------------------------------------------- */

typedef struct recurrent recurrent;

/* One sequence in one direction: x's step `place`, the state before it in h and c, gates gates * hidden of room. */
typedef struct recurrent_step { int way; int64_t x_at; double *h, *c, *gate; } recurrent_step;

struct recurrent {
	const og_call *call;
	int64_t gates, hidden, inputs, length, batch, ways;
	int functions;                       /* activations of a direction */
	recurrent_activation f[2][RECURRENT_MOST_ACTIVATIONS];
	void (*step)(const recurrent *, recurrent_step *);
};

/* Element (place, way, sample, 0) of Y with `places` of them; 1 for an initial or last state. */
OG_INLINE int64_t recurrent_at(const recurrent *r, int64_t place, int64_t way, int64_t sample, int64_t places)
{
	if (r->call->attr[RECURRENT_LAYOUT].i) return ((sample * places + place) * r->ways + way) * r->hidden;
	return ((place * r->ways + way) * r->batch + sample) * r->hidden;
}

OG_INLINE double recurrent_bias(const recurrent *r, int way, int64_t row, int recurrence)
{
	const og_tensor *b = move_in(r->call, RECURRENT_B);
	int64_t wide = r->gates * r->hidden;
	return b ? number_get(b, (way * 2 + recurrence) * wide + row) : 0.0;
}

/* Row `row` of the input weights times x, with its bias. */
OG_INLINE double recurrent_of_x(const recurrent *r, const recurrent_step *s, int64_t row)
{
	const og_tensor *x = r->call->in[RECURRENT_X], *w = r->call->in[RECURRENT_W];
	int64_t at = (s->way * r->gates * r->hidden + row) * r->inputs;
	double sum = recurrent_bias(r, s->way, row, 0);
	for (int64_t k = 0; k < r->inputs; k++) sum += number_get(w, at + k) * number_get(x, s->x_at + k);
	return sum;
}

/* Row `row` of the recurrence weights times h, element by element times `by` (NULL: as it is), with its bias. */
OG_INLINE double recurrent_of_h(const recurrent *r, const recurrent_step *s, int64_t row, const double *by)
{
	const og_tensor *weights = r->call->in[RECURRENT_R];
	int64_t at = (s->way * r->gates * r->hidden + row) * r->hidden;
	double sum = recurrent_bias(r, s->way, row, 1);
	for (int64_t k = 0; k < r->hidden; k++) sum += number_get(weights, at + k) * s->h[k] * (by ? by[k] : 1.0);
	return sum;
}

/* Activation k of a direction, on what `clip` leaves of x. */
OG_INLINE double recurrent_gate(const recurrent *r, int way, int k, double x)
{
	const og_attr_value *clip = &r->call->attr[RECURRENT_CLIP];
	double most = (double)clip->f;
	if (clip->present && most > 0) x = x < -most ? -most : x > most ? most : x;
	return recurrent_activate(&r->f[way][k], x);
}

/* Item: one sample in one direction. */
OG_INLINE void recurrent_sequences(void *arg, int64_t begin, int64_t end)
{
	const recurrent *r = (const recurrent *)arg;
	const og_call *c = r->call;
	const og_tensor *lengths = move_in(c, RECURRENT_LENGTHS), *y = move_out(c, 0);
	int64_t state = (r->gates + 2) * r->hidden;
	for (int64_t item = begin; item < end; item++) {
		int64_t sample = item / r->ways, n = lengths ? ((const int32_t *)lengths->data)[sample] : r->length;
		recurrent_step s = { .way = (int)(item % r->ways), .h = (double *)c->workspace + item * state };
		int backward = s.way == 1 || c->attr[RECURRENT_DIRECTION].i == RECURRENT_REVERSE;
		int64_t last = recurrent_at(r, 0, s.way, sample, 1);
		s.c = s.h + r->hidden;
		s.gate = s.c + r->hidden;
		for (int k = 0; k < 2; k++) {
			const og_tensor *start = move_in(c, RECURRENT_H + k);
			double *to = k == 0 ? s.h : s.c;
			for (int64_t i = 0; i < r->hidden; i++) to[i] = start ? number_get(start, last + i) : 0.0;
		}
		for (int64_t k = 0; k < r->length; k++) {
			int64_t place = k < n && backward ? n - 1 - k : k, at = recurrent_at(r, place, s.way, sample, r->length);
			s.x_at = (c->attr[RECURRENT_LAYOUT].i ? sample * r->length + place : place * r->batch + sample) * r->inputs;
			if (k < n) r->step(r, &s);
			for (int64_t i = 0; y && i < r->hidden; i++) number_put(y, at + i, k < n ? s.h[i] : 0.0);
		}
		for (int k = 1; k < 3; k++)
			if (move_out(c, k)) number_write(c->out[k], last, 1, k == 1 ? s.h : s.c, r->hidden);
	}
}

/* One activation by its word, up to '|' or the end. */
OG_INLINE og_status recurrent_word(const og_call *c, const char **words, recurrent_activation *f, int64_t *alphas,
                                   int64_t *betas)
{
	const og_attr_value *alpha = &c->attr[RECURRENT_ALPHA], *beta = &c->attr[RECURRENT_BETA];
	size_t n = strcspn(*words, "|");
	int kind = 0;
	while (kind < RECURRENT_KINDS && (strlen(recurrent_kinds[kind].name) != n ||
	                                  memcmp(recurrent_kinds[kind].name, *words, n) != 0)) kind++;
	if (kind == RECURRENT_KINDS)
		return c->host->fail(OG_UNSUPPORTED, "%s has the activation '%.*s', which is not known", c->op->name,
		                     n < 40 ? (int)n : 40, *words);
	*f = (recurrent_activation){ (recurrent_kind)kind, recurrent_kinds[kind].alpha, recurrent_kinds[kind].beta };
	if (recurrent_kinds[kind].takes_alpha && *alphas < alpha->n) f->alpha = (double)alpha->floats[(*alphas)++];
	if (recurrent_kinds[kind].takes_beta && *betas < beta->n) f->beta = (double)beta->floats[(*betas)++];
	*words += n;
	if (**words) ++*words;
	return OG_OK;
}

/* The activations: `usual`, "Sigmoid|Tanh", for each direction unless the attribute says others. */
OG_INLINE og_status recurrent_words(recurrent *r, const char *usual)
{
	const og_attr_value *given = &r->call->attr[RECURRENT_ACTIVATIONS];
	int own = given->present && given->n > 0;
	const char *words = own ? given->s : usual;
	int64_t alphas = 0, betas = 0;
	for (int way = 0; way < r->ways; way++) {
		if (!own) words = usual;
		for (int k = 0; k < r->functions; k++) {
			if (!*words)
				return r->call->host->fail(OG_BAD_FILE, "%s needs %d activations for each direction", r->call->op->name,
				                           r->functions);
			OP_TRY(recurrent_word(r->call, &words, &r->f[way][k], &alphas, &betas));
		}
	}
	return OG_OK;
}

OG_INLINE recurrent recurrent_of(const og_call *c, int gates)
{
	const og_tensor *x = c->in[RECURRENT_X], *weights = c->in[RECURRENT_R];
	int swapped = c->attr[RECURRENT_LAYOUT].i != 0;
	return (recurrent){ .call = c, .gates = gates, .hidden = weights->dims[2], .inputs = x->dims[2],
	                    .length = x->dims[swapped], .batch = x->dims[!swapped],
	                    .ways = c->attr[RECURRENT_DIRECTION].i == RECURRENT_BOTH ? 2 : 1 };
}

/* h, c and the gates of every item; refused by its size if it would not fit. */
OG_INLINE size_t recurrent_workspace(const og_call *c, int gates)
{
	recurrent r = recurrent_of(c, gates);
	double bytes = (double)sizeof(double) * (double)(gates + 2) * (double)r.hidden * (double)r.batch * (double)r.ways;
	return bytes < 0x1p60 ? (size_t)bytes : (size_t)1 << 60;
}

OG_INLINE og_status recurrent_run(const og_call *c, int gates, int functions, const char *usual,
                                  void (*step)(const recurrent *, recurrent_step *))
{
	const og_tensor *lengths = move_in(c, RECURRENT_LENGTHS);
	recurrent r = recurrent_of(c, gates);
	r.functions = functions;
	r.step = step;
	OP_TRY(recurrent_words(&r, usual));
	for (int64_t k = 0; lengths && k < r.batch; k++) {
		int64_t n = number_get_int(lengths, k);
		if (n < 0 || n > r.length)
			return c->host->fail(OG_BAD_FILE, "%s has a sequence of %lld in an input of %lld", c->op->name, (long long)n,
			                     (long long)r.length);
	}
	if (r.hidden > 0) c->host->parallel(c, r.batch * r.ways, 1, recurrent_sequences, &r);
	return OG_OK;
}

#endif
#endif
