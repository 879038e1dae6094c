/* recognise_op.c -- the ops that a region can be: elementwise ones of one variable, in each choice of their words. */
#include <math.h>
#include <stdlib.h>

#include "schema/schema.h"
#include "surgery/recognise.h"

enum { STRIP = 256, MOST_CHOICES = 8, MOST_VARIANTS = 256, TURNS = 5 };

void recognise_variant_run(const recognise_variant *v, const double *parameter, const double *x, double *y, size_t n)
{
	float attr[OG_MAX_MAP_ATTRS];
	double in[OG_MAX_IN], strip[OG_MAX_IN - 1][STRIP];
	memcpy(attr, v->attr, sizeof attr);
	memcpy(in, v->in, sizeof in);
	for (int k = 0; k < v->n_parameters; k++) {
		if (v->parameter[k].input) in[v->parameter[k].index] = (double)(float)parameter[k];
		else attr[v->parameter[k].index] = (float)parameter[k];
	}
	for (int k = 1; k < v->op->map_inputs; k++)
		for (size_t i = 0; i < STRIP; i++) strip[k - 1][i] = in[k];
	for (size_t at = 0; at < n; at += STRIP) {
		const void *inputs[OG_MAX_IN] = { x + at, strip[0], strip[1] };
		v->op->ref(n - at < STRIP ? n - at : STRIP, y + at, inputs, attr);
	}
}

bool recognise_is_affine(const double *x, const double *y, size_t n)
{
	size_t a = 0, b = 0;
	for (size_t i = 0; i < n; i++) {
		if (!isfinite(y[i])) return false;
		if (x[i] < x[a]) a = i;
		if (x[i] > x[b]) b = i;
	}
	double slope = (y[b] - y[a]) / (x[b] - x[a]), size = fabs(y[a]) + fabs(y[b]);
	for (size_t i = 0; i < n; i++)
		if (!(fabs(y[a] + slope * (x[i] - x[a]) - y[i]) <= 1e-12 * size)) return false;
	return true;
}

/* ---- which values whole numbers, words and optional inputs take --------------------------------- */

/* One thing to choose: of attribute `index` one of the values, of input `index` whether it is given. */
typedef struct choice { bool input; int index; int n; double value[MOST_CHOICES]; } choice;

static void add_value(choice *c, double value)
{
	for (int k = 0; k < c->n; k++)
		if (c->value[k] == value) return;
	if (c->n < MOST_CHOICES) c->value[c->n++] = value;
}

static choice attribute_choice(const og_attr *d, int index)
{
	choice c = { .index = index };
	add_value(&c, d->value);
	if (d->type == OG_ATTR_ENUM) {
		add_value(&c, 0);
		const char *word = d->words;
		for (int k = 1; (word = strchr(word, '|')) != NULL; k++, word++) add_value(&c, k);
	} else if (d->low < d->high && d->high - d->low < MOST_CHOICES) {
		for (double k = d->low; k <= d->high; k++) add_value(&c, k);
	} else {
		for (int k = 0; k < 3; k++) add_value(&c, k);
	}
	return c;
}

static void add_parameter(recognise_variant *v, bool input, int index, double start, double low, double high)
{
	v->parameter[v->n_parameters].input = input;
	v->parameter[v->n_parameters].index = index;
	v->parameter[v->n_parameters].start = start;
	v->parameter[v->n_parameters].low = low < high ? low : -HUGE_VAL;
	v->parameter[v->n_parameters++].high = low < high ? high : HUGE_VAL;
}

/* Other parameters, to see what hangs on them. */
static double other(const recognise_variant *v, int k, int turn)
{
	static const double scale[TURNS] = { 1.0, 1.375, 0.5625, -1.0, 3.25 };
	static const double shift[TURNS] = { 0, 0.109375, -0.0703125, 0.25, 1.5 };
	double a = v->parameter[k].start * scale[(turn + k) % TURNS] + shift[(turn + k) % TURNS];
	return a < v->parameter[k].low ? v->parameter[k].low : a > v->parameter[k].high ? v->parameter[k].high : a;
}

static bool same(double a, double b, double size) { return fabs(a - b) <= 1e-9 * size; }

/* Leaves as fixed what y, the op with other parameters, has in common with its defaults. */
static void compare_fixed(recognise_variant *v, const double *y)
{
	const double *d = v->screen;
	for (int i = 0; i < RECOGNISE_SCREEN; i++) {
		v->fixed[i] &= same(y[i], d[i], fabs(d[i]));
		v->fixed_ratio[i] &= same(y[i] * d[2 + i % 2], d[i] * y[2 + i % 2], fabs(d[i] * y[2 + i % 2]));
	}
	for (int i = 0; i < RECOGNISE_SCREEN; i += 2)
		v->fixed_step[i / 2] &= same(y[i] - y[i + 1], d[i] - d[i + 1], fabs(y[i]) + fabs(y[i + 1]));
}

static void find_fixed(recognise_variant *v)
{
	double parameter[RECOGNISE_PARAMETERS], y[RECOGNISE_SCREEN];
	for (int k = 0; k < v->n_parameters; k++) parameter[k] = v->parameter[k].start;
	recognise_variant_run(v, parameter, recognise_screen, v->screen, RECOGNISE_SCREEN);
	v->affine = recognise_is_affine(recognise_screen, v->screen, RECOGNISE_SCREEN);
	memset(v->fixed, true, sizeof v->fixed);
	memset(v->fixed_ratio, true, sizeof v->fixed_ratio);
	memset(v->fixed_step, true, sizeof v->fixed_step);
	compare_fixed(v, v->screen);         /* what is not finite is not fixed */
	for (int turn = 1; turn < TURNS; turn++) {
		for (int k = 0; k < v->n_parameters; k++) parameter[k] = other(v, k, turn);
		recognise_variant_run(v, parameter, recognise_screen, y, RECOGNISE_SCREEN);
		compare_fixed(v, y);
	}
}

static og_status add_variant(recogniser *r, const og_op *op, const schema_args *args, const choice *choices, int n,
                             int pick)
{
	r->variants = arena_grow(r->a, r->variants, r->n_variants, &r->cap_variants, r->n_variants + 1, sizeof *r->variants);
	NEED(r->variants);
	recognise_variant *v = &r->variants[r->n_variants++];
	*v = (recognise_variant){ .op = op };
	for (int k = 1; k < op->map_inputs; k++) v->in[k] = args->arg[k].value;
	for (int k = 0; k < op->map_attrs; k++)
		if (op->attrs[k].type == OG_ATTR_FLOAT)
			add_parameter(v, false, k, op->attrs[k].value, op->attrs[k].low, op->attrs[k].high);
	for (int k = 0; k < n; k++) {
		double value = choices[k].value[pick % choices[k].n];
		pick /= choices[k].n;
		if (!choices[k].input) v->attr[choices[k].index] = (float)value;
		else if (value == 1) v->given[choices[k].index] = true;
		if (choices[k].input && value == 1) add_parameter(v, true, choices[k].index, 0, 0, 0);
	}
	find_fixed(v);
	return OG_OK;
}

/* One variable, what stands behind it optional, a floating-point result. */
static bool is_candidate(const og_op *op, const schema_args *in, const schema_args *out)
{
	if (!op->ref || op->map_inputs < 1 || in->n < op->map_inputs || out->n != 1) return false;
	if (in->arg[in->n - 1].variadic || out->arg[0].types == UINT32_C(1) << OG_BOOL) return false;
	if (!(in->arg[0].types & UINT32_C(1) << OG_F32) && !(in->arg[0].types & UINT32_C(1) << OG_F64)) return false;
	for (int k = 1; k < op->map_inputs; k++)
		if (!in->arg[k].optional || !in->arg[k].has_default) return false;
	for (int k = op->map_attrs; op->attrs && op->attrs[k].name; k++)
		if (op->attrs[k].required) return false;
	return true;
}

static og_status add_op(recogniser *r, const og_op *op)
{
	schema_args in, out;
	choice choices[OG_MAX_MAP_ATTRS + OG_MAX_IN];
	int n = 0, picks = 1;
	TRY(schema_arguments(&in, &out, op));
	if (!is_candidate(op, &in, &out)) return OG_OK;
	NEED(recognise_facts_get(r, op));
	for (int k = 0; k < op->map_attrs; k++)
		if (op->attrs[k].type != OG_ATTR_FLOAT) choices[n++] = attribute_choice(&op->attrs[k], k);
	for (int k = 1; k < op->map_inputs; k++) choices[n++] = (choice){ .input = true, .index = k, .n = 2, .value = { 0, 1 } };
	for (int k = 0; k < n; k++) picks *= choices[k].n;
	for (int pick = 0; pick < picks && pick < MOST_VARIANTS; pick++) TRY(add_variant(r, op, &in, choices, n, pick));
	return OG_OK;
}

/* The newest of its name with parts to be made of; of two that are the same formula, as our Swish and ONNX's, ours. */
static bool is_worth_a_name(const og_op *op)
{
	if ((!op->body && !op->spellings) || op != schema_find(op->domain, op->name, INT64_MAX)) return false;
	bool own = strcmp(schema_domain(op), "") != 0;
	for (size_t k = 0; k < schema_count(); k++) {
		const og_op *twin = schema_at(k);
		if (twin != op && twin->ref == op->ref && (twin->body || twin->spellings) && !own && *schema_domain(twin)) return false;
	}
	return true;
}

static int by_parameters(const void *a, const void *b)
{
	const recognise_variant *v = a, *w = b;
	if (v->n_parameters != w->n_parameters) return v->n_parameters < w->n_parameters ? -1 : 1;
	if (v->op->since != w->op->since) return v->op->since < w->op->since ? -1 : 1;
	int order = strcmp(v->op->name, w->op->name);
	for (int k = 0; order == 0 && k < OG_MAX_MAP_ATTRS; k++) order = (v->attr[k] > w->attr[k]) - (v->attr[k] < w->attr[k]);
	return order;
}

og_status recognise_variants_create(recogniser *r)
{
	if (r->op) TRY(add_op(r, r->op));
	for (size_t k = 0; !r->op && k < schema_count(); k++)
		if (is_worth_a_name(schema_at(k))) TRY(add_op(r, schema_at(k)));
	if (r->n_variants > 1) qsort(r->variants, r->n_variants, sizeof *r->variants, by_parameters);
	return OG_OK;
}
