/* Einsum: products of elements whose places are named by letters, summed over every letter that the result has not. */
#include "ops/dims.h"
#include "ops/number.h"

#if OP_BASE
/* Labels: 'A' to 'Z', 'a' to 'z', then the axes that "..." stands for, counted from the last. */
enum { EINSUM_LETTERS = 52, EINSUM_LABELS = EINSUM_LETTERS + OG_MAX_RANK, EINSUM_INPUTS = 16 };

/* The labels of one tensor; `dots`: how many axes are before "...", or -1. */
typedef struct einsum_term { int n, dots, label[OG_MAX_RANK]; } einsum_term;

typedef struct einsum {
	int n_in, stood, given;              /* stood: axes of the longest "..."; given: the equation says the result */
	einsum_term in[EINSUM_INPUTS], out;
} einsum;

static int einsum_label(char letter)
{
	if (letter >= 'A' && letter <= 'Z') return letter - 'A';
	return letter >= 'a' && letter <= 'z' ? letter - 'a' + 26 : -1;
}

/* Reads one term; *at stands on what ends it: ',', '-' or the end. Returns NULL, or what is wrong. */
static const char *einsum_read(einsum_term *t, const char **at)
{
	*t = (einsum_term){ .dots = -1 };
	for (; **at && **at != ',' && **at != '-'; ++*at) {
		if (**at == ' ') continue;
		if (strncmp(*at, "...", 3) == 0) {
			if (t->dots >= 0) return "a term has two ellipses";
			t->dots = t->n;
			*at += 2;
			continue;
		}
		if (t->n == OG_MAX_RANK) return "a term has too many letters";
		t->label[t->n] = einsum_label(**at);
		if (t->label[t->n++] < 0) return "only letters, spaces, commas, '->' and '...' may be in it";
	}
	return NULL;
}

static const char *einsum_parse(einsum *e, const char *equation, int n_in)
{
	const char *fault = NULL;
	e->n_in = n_in;
	e->stood = 0;
	if (n_in > EINSUM_INPUTS) return "more than 16 inputs are not supported";
	for (int k = 0; k < n_in && !fault; k++) {
		fault = einsum_read(&e->in[k], &equation);
		if (!fault && k + 1 < n_in && *equation++ != ',') fault = "it has fewer terms than there are inputs";
	}
	if (fault) return fault;
	e->given = equation[0] == '-' && equation[1] == '>';
	if (!e->given) return *equation ? "it has more terms than there are inputs" : NULL;
	equation += 2;
	fault = einsum_read(&e->out, &equation);
	return fault ? fault : *equation ? "something follows the result" : NULL;
}

/* Puts the labels of `axes` axes where "..." is. */
static const char *einsum_stand(einsum_term *t, int axes)
{
	if (t->dots < 0) return axes == 0 ? NULL : "a term does not have as many letters as its input has dimensions";
	if (axes < 0 || t->n + axes > OG_MAX_RANK) return "a term does not go with the dimensions of its input";
	memmove(t->label + t->dots + axes, t->label + t->dots, sizeof t->label[0] * (size_t)(t->n - t->dots));
	for (int k = 0; k < axes; k++) t->label[t->dots + k] = EINSUM_LABELS - axes + k;
	t->n += axes;
	return NULL;
}

/* Without a given result: what "..." stands for, then the letters that occur once, in order. */
static const char *einsum_imply(einsum *e)
{
	int seen[EINSUM_LETTERS] = { 0 };
	e->out = (einsum_term){ .dots = 0 };
	for (int k = 0; k < e->n_in; k++)
		for (int i = 0; i < e->in[k].n; i++)
			if (e->in[k].label[i] < EINSUM_LETTERS) seen[e->in[k].label[i]]++;
	for (int letter = 0; letter < EINSUM_LETTERS; letter++) {
		if (seen[letter] != 1) continue;
		if (e->out.n == OG_MAX_RANK) return "its result has too many dimensions";
		e->out.label[e->out.n++] = letter;
	}
	return NULL;
}

/* Every term with a label for each axis. */
static const char *einsum_solve(einsum *e, const char *equation, int n_in, const int *rank)
{
	const char *fault = einsum_parse(e, equation, n_in);
	for (int k = 0; k < n_in && !fault; k++) {
		int axes = rank[k] - e->in[k].n;
		if (e->in[k].dots >= 0 && axes > e->stood) e->stood = axes;
		fault = einsum_stand(&e->in[k], axes);
	}
	if (!fault && !e->given) fault = einsum_imply(e);
	if (!fault) fault = einsum_stand(&e->out, e->out.dots >= 0 ? e->stood : 0);
	for (int i = 0; !fault && i < e->out.n; i++) {
		int found = 0;
		for (int j = 0; j < i; j++)
			if (e->out.label[j] == e->out.label[i]) fault = "its result has a letter twice";
		for (int k = 0; k < n_in; k++)
			for (int j = 0; j < e->in[k].n; j++) found |= e->in[k].label[j] == e->out.label[i];
		if (!found) fault = "its result has a letter that no input has";
	}
	return fault;
}

static og_status einsum_refuse(const og_host *host, const char *equation, const char *fault)
{
	return host->fail(OG_BAD_FILE, "Einsum can't use its equation '%.60s': %s", equation, fault);
}

static og_status einsum_shape(og_infer *c)
{
	og_dim size[EINSUM_LABELS];
	int rank[EINSUM_INPUTS], known[EINSUM_LABELS] = { 0 };
	const char *equation = c->attr[0].s, *fault;
	einsum e;
	for (int k = 0; k < c->n_in; k++) {
		if (c->in[k].rank < 0) return OG_OK;
		if (k < EINSUM_INPUTS) rank[k] = c->in[k].rank;
	}
	fault = einsum_solve(&e, equation, c->n_in, rank);
	if (fault) return einsum_refuse(c->host, equation, fault);
	for (int k = 0; k < c->n_in; k++)
		for (int d = 0; d < c->in[k].rank; d++) {
			int label = e.in[k].label[d];
			og_dim n = c->in[k].dims[d];
			if (!known[label]++) size[label] = n;
			else if (label < EINSUM_LETTERS || (size[label] != 1 && n != 1)) OP_TRY(dims_same(c, &size[label], n, d));
			else size[label] = og_dim_do(c, OG_DIM_BROADCAST, size[label], n);
		}
	c->out[0].rank = e.out.n;
	for (int d = 0; d < e.out.n; d++) c->out[0].dims[d] = size[e.out.label[d]];
	return OG_OK;
}

/* What eval walks: the labels of the result, then those that are summed, with the step of every input along each. */
typedef struct einsum_walk {
	const og_call *call;
	int n, whole;                        /* labels; in int64 */
	int64_t size[EINSUM_LABELS], step[EINSUM_LABELS][EINSUM_INPUTS];
} einsum_walk;

/* Item: one element of the result. */
static void einsum_elements(void *arg, int64_t begin, int64_t end)
{
	const einsum_walk *w = (const einsum_walk *)arg;
	const og_call *c = w->call;
	int rank = c->out[0]->rank;
	for (int64_t item = begin; item < end; item++) {
		int64_t at[EINSUM_INPUTS] = { 0 }, place[EINSUM_LABELS] = { 0 }, rest = item, total = 0;
		double sum = 0.0;
		int d;
		for (d = rank - 1; d >= 0; d--) {
			for (int k = 0; k < c->n_in; k++) at[k] += rest % w->size[d] * w->step[d][k];
			rest /= w->size[d];
		}
		do {
			double product = 1.0;
			int64_t whole = 1;
			for (int k = 0; k < c->n_in; k++) {
				if (w->whole) whole *= number_get_int(c->in[k], at[k]);
				else product *= number_get(c->in[k], at[k]);
			}
			sum += product;
			total += whole;
			for (d = w->n - 1; d >= rank; d--) {
				int64_t back = ++place[d] == w->size[d] ? w->size[d] : 0;
				for (int k = 0; k < c->n_in; k++) at[k] += (1 - back) * w->step[d][k];
				if (!back) break;
				place[d] = 0;
			}
		} while (d >= rank);
		if (w->whole) number_put_int(c->out[0], item, total);
		else number_put(c->out[0], item, sum);
	}
}

static og_status einsum_eval(const og_call *c)
{
	const og_tensor *y = c->out[0];
	int rank[EINSUM_INPUTS], slot[EINSUM_LABELS], empty = 0;
	const char *fault;
	einsum e;
	einsum_walk w = { .call = c, .whole = !number_is_float(y->dtype) };
	for (int k = 0; k < c->n_in && k < EINSUM_INPUTS; k++) rank[k] = c->in[k]->rank;
	fault = einsum_solve(&e, c->attr[0].s, c->n_in, rank);
	if (fault) return einsum_refuse(c->host, c->attr[0].s, fault);
	for (int label = 0; label < EINSUM_LABELS; label++) slot[label] = -1;
	for (int d = 0; d < e.out.n; d++) slot[e.out.label[d]] = w.n++;
	for (int k = 0; k < c->n_in; k++) {
		int64_t step = 1;
		for (int d = rank[k] - 1; d >= 0; d--) {
			int64_t n = c->in[k]->dims[d];
			int *own = &slot[e.in[k].label[d]];
			if (*own < 0) *own = w.n++;
			if (w.size[*own] == 0 || n != 1) w.size[*own] = n;
			if (n == 0) empty = 1;
			if (n != 1) w.step[*own][k] += step;
			step *= n;
		}
	}
	if (empty)                                   /* sums of nothing */
		for (int64_t k = 0; k < og_count(y); k++) number_put(y, k, 0.0);
	else c->host->parallel(c, og_count(y), 1, einsum_elements, &w);
	return OG_OK;
}
#endif

OP(einsum, .name = "Einsum", .since = 12, .doc = "Sums of products of elements whose places an equation names.",
   .inputs = "Inputs:T...", .outputs = "Output:T", .types = "T=f32 f64 f16 bf16 u8 i8 u16 i16 u32 i32 u64 i64",
   ATTRS({ .name = "equation", .type = OG_ATTR_STRING, .required = 1 }), .shape = einsum_shape, .eval = einsum_eval)
