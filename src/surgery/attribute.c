/* attribute.c -- attributes of a node against what a rule says of them. An attribute may be a constant input of another
 * version of the op (axes, min, max), or be left to its default. */
#include <math.h>

#include "surgery/search.h"

bool match_near(double have, double want, double tolerance)
{
	return have == want || fabs(have - want) <= tolerance * (want == 0 ? 1 : fabs(want));
}

/* What a node has under a name: numbers, a word, or neither. */
typedef struct fact {
	bool there, is_word;
	og_tensor numbers;                   /* data NULL: none (and an empty list) */
	int64_t count;
	const char *word; size_t n;
	const graph_attr *attr;              /* NULL: from an input or default */
	int input;                           /* -1: not from an input */
	double value;                        /* memory of a default */
} fact;

static bool find_input(const graph_node *n, const pattern *p, const char *name, fact *f)
{
	schema_args args;
	if (!n->op || schema_inputs(&args, n->op) != OG_OK) return false;
	for (int k = p->n_args; k < args.n && k < n->n_in && k < 64; k++) {
		if (strcmp(args.arg[k].name, name) || !n->in[k]) continue;
		f->input = k;
		return match_constant_tensor(n->in[k], &f->numbers) && f->numbers.dtype != OG_STRING && f->numbers.rank <= 1 &&
		       base_count(f->numbers.dims, f->numbers.rank, &f->count) && (f->numbers.data || !f->count);
	}
	return false;
}

static bool find_default(const graph_node *n, const char *name, fact *f)
{
	const og_attr *d = n->op ? n->op->attrs : NULL;
	while (d && d->name && strcmp(d->name, name)) d++;
	if (!d || !d->name || d->required) return false;
	if (d->type == OG_ATTR_ENUM) {
		const char *word = d->words;
		for (int k = (int)d->value; k > 0 && word; k--) word = strchr(word, '|') ? strchr(word, '|') + 1 : NULL;
		f->is_word = word != NULL;
		f->word = word;
		f->n = word ? strcspn(word, "|") : 0;
		return f->is_word;
	}
	if (d->type != OG_ATTR_INT && d->type != OG_ATTR_FLOAT) return false;
	f->value = d->value;
	f->numbers = (og_tensor){ .dtype = OG_F64, .data = &f->value };
	f->count = 1;
	return true;
}

/* f stays where it is: its numbers may point into it. */
static void find(const graph_node *n, const pattern *p, const char *name, fact *f)
{
	*f = (fact){ .input = -1, .attr = graph_attr_find(n, name) };
	if (!f->attr) {
		f->there = find_input(n, p, name, f) || (f->input < 0 && find_default(n, name, f));
		return;
	}
	f->is_word = f->attr->type == OG_ATTR_STRING && !f->attr->ref;
	f->word = f->attr->s;
	f->n = f->attr->n;
	f->there = f->is_word || (match_attribute_tensor(f->attr, &f->numbers) &&
	                          base_count(f->numbers.dims, f->numbers.rank, &f->count));
}

/* The rank that axes count from the end of; -1: unknown, or the attribute is no axis. */
static int axis_rank(const graph_node *n, const char *name)
{
	if (strcmp(name, "axis") && strcmp(name, "axes")) return -1;
	const graph_value *v = match_is_type(n, "Unsqueeze") ? (n->n_out ? n->out[0] : NULL) : (n->n_in ? n->in[0] : NULL);
	return v ? v->rank : -1;
}

static bool same(double have, double want, double tolerance, int rank)
{
	if (rank >= 0 && (have < 0) != (want < 0)) return (have < 0 ? have + rank : have) == (want < 0 ? want + rank : want);
	return match_near(have, want, tolerance);
}

static bool same_numbers(const graph_node *n, const pattern_bind *b, const og_tensor *t, int64_t count)
{
	int rank = axis_rank(n, b->name);
	bool any_order = !strncmp(n->type, "Reduce", 6) && !strcmp(b->name, "axes");
	if (count != (int64_t)b->n) return false;
	for (int64_t i = 0; i < count; i++) {
		bool found = same(graph_tensor_double(t, i), b->numbers[i], b->tolerance, rank);
		for (int64_t k = 0; any_order && !found && k < count; k++)
			found = same(graph_tensor_double(t, i), b->numbers[k], b->tolerance, rank);
		if (!found) return false;
	}
	return true;
}

/* ---- variables ------------------------------------------------------------------------------- */

/* A list or word that is no attribute of the node, as one. */
static graph_attr *made_attribute(search *s, const fact *f)
{
	graph_attr *a = arena_alloc(s->a, sizeof *a);
	if (!a) return NULL;
	a->name = "";
	if (f->is_word) {
		a->type = OG_ATTR_STRING;
		a->n = f->n;
		a->s = arena_strndup(s->a, f->word, f->n);
		return a->s ? a : NULL;
	}
	og_dtype type = f->numbers.dtype;
	bool floats = type == OG_F32 || type == OG_F64 || type == OG_F16 || type == OG_BF16;
	a->type = floats ? OG_ATTR_FLOATS : OG_ATTR_INTS;
	a->n = (size_t)f->count;
	int64_t *to_ints = floats ? NULL : arena_array(s->a, a->n + 1, sizeof *to_ints);
	float *to_floats = floats ? arena_array(s->a, a->n + 1, sizeof *to_floats) : NULL;
	if (!to_ints && !to_floats) return NULL;
	for (int64_t i = 0; i < f->count; i++) {
		if (floats) to_floats[i] = (float)graph_tensor_double(&f->numbers, i);
		else to_ints[i] = graph_tensor_int(&f->numbers, i);
	}
	a->ints = to_ints;
	a->floats = to_floats;
	return a;
}

static bool take_list(search *s, const pattern_bind *b, const fact *f)
{
	const graph_attr *a = f->attr;
	if (b->negative) return false;
	if (!a) a = made_attribute(s, f);
	if (!a) {
		s->no_memory = true;
		return false;
	}
	if (s->set[b->variable]) {
		const graph_attr *before = s->bound[b->variable].attr;
		return before && graph_attr_same_plain(before, a);
	}
	match_set(s, b->variable)->attr = a;
	return true;
}

static bool take_variable(search *s, const graph_node *n, const pattern_bind *b, const fact *f)
{
	if (f->is_word || f->count != 1) return take_list(s, b, f);
	double x = graph_tensor_double(&f->numbers, 0);
	if (b->negative) x = -x;
	if (s->set[b->variable]) {
		const binding *before = &s->bound[b->variable];
		return before->has_number && same(x, before->number, 1e-6, axis_rank(n, b->name));
	}
	binding *v = match_set(s, b->variable);
	v->has_number = true;
	v->number = x;
	return true;
}

bool match_attribute(search *s, const graph_node *n, const pattern *p, const pattern_bind *b, uint64_t *taken)
{
	fact f;
	find(n, p, b->name, &f);
	if (f.input >= 0) *taken |= 1ull << f.input;
	if (!f.there) return false;
	if (b->kind == BIND_VARIABLE) return take_variable(s, n, b, &f);
	if (b->kind == BIND_STRING) return f.is_word && f.n == strlen(b->string) && !memcmp(f.word, b->string, f.n);
	if (f.is_word) return false;
	if (b->kind == BIND_NUMBERS) return same_numbers(n, b, &f.numbers, f.count);
	return f.count == 1 && same(graph_tensor_double(&f.numbers, 0), b->number, b->tolerance, axis_rank(n, b->name));
}

/* ---- of the right side ----------------------------------------------------------------------- */

static og_status variable_number(const match *m, int variable, double *out)
{
	const binding *v = &m->bound[variable];
	*out = v->number;
	if (v->has_number || (v->value && match_constant(v->value, out))) return OG_OK;
	if (v->attr) return base_fail(OG_USAGE, "'%s' is a list or a string, not a number", m->r->variables[variable]);
	return base_fail(OG_USAGE, "'%s' is not a constant of one element", v->value ? v->value->name : m->r->variables[variable]);
}

static og_status formula_number(const match *m, const formula *f, double *out)
{
	double a, b;
	*out = f->number;
	if (f->op == '#') return OG_OK;
	if (f->op == 'x') return variable_number(m, f->variable, out);
	TRY(formula_number(m, f->left, &a));
	TRY(formula_number(m, f->right, &b));
	*out = pattern_calculate(f->op, a, b);
	return OG_OK;
}

og_status match_number(const match *m, const pattern_bind *b, double *out)
{
	*out = b->number;
	if (b->kind == BIND_VARIABLE) TRY(variable_number(m, b->variable, out));
	if (b->kind == BIND_FORMULA) TRY(formula_number(m, b->formula, out));
	if (b->kind == BIND_VARIABLE && b->negative) *out = -*out;
	return isfinite(*out) ? OG_OK : base_fail(OG_USAGE, "attribute %s would be %g", b->name, *out);
}

/* ---- as text --------------------------------------------------------------------------------- */

enum { TEXT_NUMBERS = 8 };               /* of a list that are shown */

void match_attribute_text(text *t, const graph_node *n, const pattern *p, const pattern_bind *b)
{
	fact f;
	find(n, p, b->name, &f);
	if (!f.there) {
		text_add(t, f.input >= 0 ? "no constant" : f.attr ? "of another kind" : "not there");
	} else if (f.is_word) {
		text_printf(t, "'%.*s'", (int)(f.n < 64 ? f.n : 64), f.word);
	} else if (f.numbers.rank == 0) {
		text_printf(t, "%g", graph_tensor_double(&f.numbers, 0));
	} else {
		text_add(t, "[");
		for (int64_t i = 0; i < f.count && i < TEXT_NUMBERS; i++)
			text_printf(t, "%s%g", i ? ", " : "", graph_tensor_double(&f.numbers, i));
		text_add(t, f.count > TEXT_NUMBERS ? ", ...]" : "]");
	}
}

void match_bind_text(text *t, const pattern_bind *b)
{
	if (b->kind == BIND_STRING) {
		text_printf(t, "'%.64s'", b->string);
	} else if (b->kind == BIND_NUMBER) {
		text_printf(t, "%g", b->number);
	} else {
		text_add(t, "[");
		for (size_t i = 0; i < b->n && i < TEXT_NUMBERS; i++) text_printf(t, "%s%g", i ? ", " : "", b->numbers[i]);
		text_add(t, b->n > TEXT_NUMBERS ? ", ...]" : "]");
	}
}
