/* recognise_path.c -- regions as functions of one variable: each kept once, and run in double. */
#include <math.h>

#include "surgery/recognise.h"

enum {
	STRIP = 256,
	MOST_WORDS = 3 + OG_MAX_MAP_ATTRS + 2 * RECOGNISE_INPUTS,
	STACK = RECOGNISE_DEPTH * (RECOGNISE_INPUTS + 1)
};

/* In pairs. The first are those that tell most ops apart. */
const double recognise_screen[RECOGNISE_SCREEN] = {
	0.0, -0.0, 0.9375, -0.9375, 3.140625, -3.140625, 0.375, -0.375, 1.71875, -1.71875, 6.3125, -6.3125, 0.1328125, -0.1328125,
	20.0, -20.0, 0.015625, -0.015625, 2.375, -2.375
};

og_status recognise_paths_create(recogniser *r)
{
	r->stack = base_new(STACK, STRIP * sizeof(double));
	NEED(r->stack);
	return OG_OK;
}

void recognise_paths_destroy(recogniser *r)
{
	base_free(r->stack);
	base_free(r->slots);
}

/* ---- one object for equal ones ---------------------------------------------------------------- */

static og_status make_room(recogniser *r)
{
	if (r->n_slots * 2 < r->cap_slots) return OG_OK;
	size_t capacity = r->cap_slots ? 2 * r->cap_slots : 1024;
	recognise_slot *slots = base_new(capacity, sizeof *slots);
	NEED(slots);
	for (size_t k = 0; k < r->cap_slots; k++) {
		if (!r->slots[k].object) continue;
		size_t at = r->slots[k].hash & (capacity - 1);
		while (slots[at].object) at = (at + 1) & (capacity - 1);
		slots[at] = r->slots[k];
	}
	base_free(r->slots);
	r->slots = slots;
	r->cap_slots = capacity;
	return OG_OK;
}

/* The slot of these words; its object is NULL when they are new. NULL: no memory. */
static recognise_slot *find(recogniser *r, const uint64_t *words, size_t n)
{
	if (make_room(r) != OG_OK) return NULL;
	uint64_t hash = base_hash(words, n * sizeof *words, n);
	size_t at = hash & (r->cap_slots - 1);
	for (; r->slots[at].object; at = (at + 1) & (r->cap_slots - 1))
		if (r->slots[at].hash == hash && r->slots[at].n == n && !memcmp(r->slots[at].words, words, n * sizeof *words))
			return &r->slots[at];
	r->slots[at].hash = hash;
	return &r->slots[at];
}

static og_status fill(recogniser *r, recognise_slot *slot, const uint64_t *words, size_t n, void *object)
{
	uint64_t *kept = arena_array(r->a, n, sizeof *kept);
	NEED(kept);
	memcpy(kept, words, n * sizeof *words);
	slot->words = kept;
	slot->n = n;
	slot->object = object;
	r->n_slots++;
	return OG_OK;
}

static uint64_t bits_of(double x)
{
	uint64_t bits;
	memcpy(&bits, &x, sizeof bits);
	return bits;
}

static size_t step_words(uint64_t *w, const recognise_step *s)
{
	size_t n = 0;
	w[n++] = (uint64_t)(uintptr_t)s->op;
	w[n++] = (uint64_t)s->kind | (uint64_t)s->altered << 8 | (uint64_t)s->n << 16;
	w[n++] = bits_of(s->unit);
	for (int k = 0; k < OG_MAX_MAP_ATTRS; k++) w[n++] = bits_of((double)s->attr[k]);
	for (int k = 0; k < s->n; k++) {
		w[n++] = s->in[k].constant;
		w[n++] = s->in[k].constant ? bits_of(s->in[k].number) : (uint64_t)(uintptr_t)s->in[k].path;
	}
	return n;
}

static const uint32_t REAL = UINT32_C(1) << OG_F32 | UINT32_C(1) << OG_F64 | UINT32_C(1) << OG_F16 | UINT32_C(1) << OG_BF16;

static og_status learn(recognise_facts *f, const og_op *op)
{
	schema_args out;
	TRY(schema_arguments(&f->in, &out, op));
	bool onnx = !*schema_domain(op);
	if (onnx && strcmp(op->name, "Where") == 0) {
		f->kind = RECOGNISE_PICK;
	} else if (onnx && (strcmp(op->name, "Cast") == 0 || strcmp(op->name, "CastLike") == 0)) {
		f->kind = RECOGNISE_SAME;
	} else {
		if (!op->ref || f->in.n < 1) return OG_OK;
		f->variadic = f->in.arg[f->in.n - 1].variadic;
		f->kind = out.arg[0].types == UINT32_C(1) << OG_BOOL ? RECOGNISE_TEST : RECOGNISE_FORMULA;
		f->real = f->kind == RECOGNISE_FORMULA && !(f->in.arg[0].types & ~REAL);
		if (!f->variadic && f->in.n < op->map_inputs) return OG_OK;
	}
	f->elementwise = true;
	return OG_OK;
}

const recognise_facts *recognise_facts_get(recogniser *r, const og_op *op)
{
	uint64_t word = (uint64_t)(uintptr_t)op;
	recognise_slot *slot = find(r, &word, 1);
	if (slot && slot->object) return slot->object;
	recognise_facts *made = arena_alloc(r->a, sizeof *made);
	if (!slot || !made || learn(made, op) != OG_OK || fill(r, slot, &word, 1, made) != OG_OK) return NULL;
	return made;
}

static void measure_step(recognise_step *s)
{
	s->nodes = 1;
	s->depth = 1;
	for (int k = 0; k < s->n; k++) {
		const recognise_path *p = s->in[k].constant ? NULL : s->in[k].path;
		if (!p) continue;
		s->nodes += p->nodes;
		s->altered |= p->altered;
		s->real |= p->real;
		if (p->depth >= s->depth) s->depth = p->depth + 1;
	}
}

const recognise_step *recognise_step_get(recogniser *r, const recognise_step *s, og_status *status)
{
	uint64_t words[MOST_WORDS];
	size_t n = step_words(words, s);
	recognise_slot *slot = find(r, words, n);
	if (slot && slot->object) return slot->object;
	recognise_step *made = arena_alloc(r->a, sizeof *made);
	if (!slot || !made) {
		*status = base_no_memory();
		return NULL;
	}
	*made = *s;
	measure_step(made);
	if (made->nodes > RECOGNISE_TREE || made->depth >= RECOGNISE_DEPTH) return NULL;
	*status = fill(r, slot, words, n, made);
	return *status == OG_OK ? made : NULL;
}

recognise_path *recognise_path_get(recogniser *r, const recognise_step *top, const recognise_path *below, og_status *status)
{
	uint64_t words[2] = { (uint64_t)(uintptr_t)top, (uint64_t)(uintptr_t)below };
	int nodes = top->nodes + (below ? below->nodes : 0), depth = top->depth;
	if (below && below->depth > depth) depth = below->depth;
	if (nodes > RECOGNISE_TREE || depth + 1 >= RECOGNISE_DEPTH) return NULL;
	recognise_slot *slot = find(r, words, 2);
	if (slot && slot->object) return slot->object;
	recognise_path *made = arena_alloc(r->a, sizeof *made);
	if (!slot || !made) {
		*status = base_no_memory();
		return NULL;
	}
	*made = (recognise_path){ .top = top, .below = below, .nodes = nodes, .depth = depth + 1,
	                          .altered = top->altered || (below && below->altered),
	                          .real = top->real || (below && below->real),
	                          .unit = below && below->unit > top->unit ? below->unit : top->unit };
	*status = fill(r, slot, words, 2, made);
	if (*status != OG_OK) return NULL;
	/* the value below is known already, so that a long chain costs one step a path */
	recognise_path first = { .top = top };
	recognise_run(r, &first, below ? below->screen : recognise_screen, made->screen, RECOGNISE_SCREEN);
	return made;
}

/* ---- running them ----------------------------------------------------------------------------- */

/* One strip after the other of the stack; `overflow` is kept of runs over one probe. */
typedef struct runner { double *free; bool overflow, moves; double from, to; } runner;

static void run_path(runner *, const recognise_path *, const double *x, double *y, size_t n);

static void run_test(const og_op *op, const float *attr, const double *const *x, double *y, size_t n)
{
	uint8_t truth[STRIP];
	op->ref(n, truth, (const void *const *)x, attr);
	for (size_t i = 0; i < n; i++) y[i] = truth[i];
}

static void run_formula(const recognise_step *s, const double *const *x, double *y, size_t n)
{
	if (s->kind == RECOGNISE_TEST) {
		run_test(s->op, s->attr, x, y, n);
	} else if (s->kind == RECOGNISE_PICK) {
		for (size_t i = 0; i < n; i++) y[i] = x[0][i] != 0 ? x[1][i] : x[2][i];
	} else if (s->kind == RECOGNISE_SAME) {
		memcpy(y, x[0], n * sizeof *y);
	} else {
		s->op->ref(n, y, (const void *const *)x, s->attr);
		for (int k = s->op->map_inputs; k < s->n; k++) {     /* a variadic op goes on from its result */
			const void *pair[2] = { y, x[k] };
			s->op->ref(n, y, pair, s->attr);
		}
	}
}

static void run_step(runner *q, const recognise_step *s, const double *x, double *y, size_t n)
{
	const double *in[RECOGNISE_INPUTS] = { NULL };
	double *mine = q->free;
	bool finite = true;
	for (int k = 0; k < s->n; k++) {
		in[k] = x;
		if (!s->in[k].constant && !s->in[k].path) continue;
		double *to = q->free;
		q->free += STRIP;
		if (!s->in[k].constant) run_path(q, s->in[k].path, x, to, n);
		double number = q->moves && s->unit > 0 && s->in[k].number == q->from ? q->to : s->in[k].number;
		for (size_t i = 0; s->in[k].constant && i < n; i++) to[i] = number;
		in[k] = to;
	}
	run_formula(s, in, y, n);
	for (int k = 0; k < s->n; k++) finite &= isfinite(in[k][0]) != 0;
	if (finite && isinf(y[0])) q->overflow = true;
	q->free = mine;
}

static void run_path(runner *q, const recognise_path *p, const double *x, double *y, size_t n)
{
	double *mine = q->free;
	if (p->below) {
		q->free += STRIP;
		run_path(q, p->below, x, mine, n);
		x = mine;
	}
	run_step(q, p->top, x, y, n);
	q->free = mine;
}

void recognise_run(recogniser *r, const recognise_path *p, const double *x, double *y, size_t n)
{
	for (size_t at = 0; at < n; at += STRIP)
		run_path(&(runner){ .free = r->stack }, p, x + at, y + at, n - at < STRIP ? n - at : STRIP);
}

void recognise_run_moved(recogniser *r, const recognise_path *p, double from, double to, const double *x, double *y,
                         size_t n)
{
	for (size_t at = 0; at < n; at += STRIP)
		run_path(&(runner){ .free = r->stack, .moves = true, .from = from, .to = to }, p, x + at, y + at,
		         n - at < STRIP ? n - at : STRIP);
}

bool recognise_overflows(recogniser *r, const recognise_path *p, double x)
{
	runner q = { .free = r->stack };
	double y;
	run_path(&q, p, &x, &y, 1);
	return q.overflow;
}

double recognise_number(recogniser *r, const recognise_step *s)
{
	double y, nothing = 0;
	run_step(&(runner){ .free = r->stack }, s, &nothing, &y, 1);
	return y;
}

/* ---- what is inside --------------------------------------------------------------------------- */

static void add_number(double x, double *to, int *n, int most)
{
	for (int k = 0; k < *n; k++)
		if (to[k] == x) return;
	if (isfinite(x) && *n < most) to[(*n)++] = x;
}

static bool is_short(double x)
{
	int exponent;
	double m = frexp(x, &exponent) * 32;
	return m == floor(m);
}

static void add_constants(const recognise_path *p, double *to, int *n, int most, bool rounded)
{
	for (; p; p = p->below) {
		const recognise_step *s = p->top;
		for (int k = 0; k < s->op->map_attrs && !rounded; k++) add_number((double)s->attr[k], to, n, most);
		for (int k = 0; k < s->n; k++) {
			if (!s->in[k].constant) add_constants(s->in[k].path, to, n, most, rounded);
			else if (!rounded || (s->unit > 0 && !is_short(s->in[k].number))) add_number(s->in[k].number, to, n, most);
		}
	}
}

int recognise_constants(const recognise_path *p, double *to, int most)
{
	int n = 0;
	add_constants(p, to, &n, most, false);
	return n;
}

int recognise_rounded(const recognise_path *p, double *to, int most)
{
	int n = 0;
	if (p->unit > 0) add_constants(p, to, &n, most, true);
	return n;
}
