/* miss.c -- why a rule does not stand at a place where it nearly does, in one clause. */
#include <stdio.h>

#include "surgery/search.h"

static const char *article(const char *type) { return strchr("AEIOUaeiou", type[0]) ? "an" : "a"; }

/* "input 1 of 'mul_3' is 'y'", or of a root what the value is. */
static void add_place(text *t, const miss *m)
{
	if (m->n && m->input >= 0) text_printf(t, "input %d of '%s' is ", m->input, graph_node_label(m->n));
	if (m->v) text_printf(t, "'%s'", m->v->name);
	else text_add(t, "left out");
}

static const char *wanted_type(const search *s, const pattern *p)
{
	return p->kind == PATTERN_VARIABLE && s->r->defined[p->variable] ? s->r->defined[p->variable]->type : p->type;
}

static void add_type(text *t, const search *s, const miss *m)
{
	const char *want = wanted_type(s, m->p);
	const graph_node *n = m->v ? m->v->producer : NULL;
	if (n) {
		text_printf(t, "'%s' is %s %s%s%s, not %s %s", graph_node_label(n), article(n->domain[0] ? n->domain : n->type), n->domain,
		            n->domain[0] ? "::" : "", n->type, article(want), want);
		return;
	}
	add_place(t, m);
	text_printf(t, "%s, where the rule needs %s %s", m->v && m->v->constant ? ", a constant" : "", article(want), want);
}

static void add_numbers(text *t, double have, double want)
{
	char a[40], b[40];
	snprintf(a, sizeof a, "%g", have);
	snprintf(b, sizeof b, "%g", want);
	if (!strcmp(a, b)) text_printf(t, "%.12g, not %.12g", have, want);
	else text_printf(t, "%s, not %s", a, b);
}

/* What is there instead of one number. */
static void add_elements(text *t, const miss *m)
{
	og_tensor c;
	int64_t count;
	double x;
	if (!match_constant_tensor(m->v, &c)) {
		add_place(t, m);
		text_add(t, ", which is no constant");
	} else if (c.dtype != OG_STRING && base_count(c.dims, c.rank, &count) && !match_tensor_number(&c, &x)) {
		bool channel = c.rank > 0 && count > 1;
		for (int i = 0, wide = 0; i < c.rank; i++) {
			wide += c.dims[i] != 1;
			channel = channel && wide <= 1;
		}
		text_printf(t, "'%s' has %lld elements%s", m->v->name, (long long)count, channel ? " (per channel)" : "");
	} else {
		add_place(t, m);
		text_add(t, ", which is no number");
	}
}

static void add_number(text *t, const miss *m)
{
	og_tensor c;
	double x;
	if (m->kind == MISS_NUMBER && m->v && match_constant_tensor(m->v, &c) && match_tensor_number(&c, &x)) {
		text_printf(t, "constant '%s' is ", m->v->name);
		add_numbers(t, x, m->p->number);
		return;
	}
	if (m->v) add_elements(t, m);
	else add_place(t, m);
	text_printf(t, ", where the rule needs the number %g", m->p->number);
}

static void add_attribute(text *t, const miss *m)
{
	text_printf(t, "attribute %s is ", m->b->name);
	match_attribute_text(t, m->n, m->p, m->b);
	if (m->b->kind != BIND_VARIABLE) {
		text_add(t, ", not ");
		match_bind_text(t, m->b);
	}
	text_printf(t, ", in '%s'", graph_node_label(m->n));
}

static void add_reason(text *t, const search *s, const miss *m)
{
	const char *name = m->p && m->p->kind == PATTERN_VARIABLE ? s->r->variables[m->p->variable] : "";
	switch (m->kind) {
	case MISS_TYPE: add_type(t, s, m); return;
	case MISS_OUTPUT:
		add_place(t, m);
		text_printf(t, ", output %d of '%s', not output %d", m->v->output, graph_node_label(m->v->producer), m->count);
		return;
	case MISS_OUTSIDE: text_printf(t, "'%s' is computed outside of this body", m->v->name); return;
	case MISS_ABSENT: add_place(t, m); return;
	case MISS_PRESENT:
		add_place(t, m);
		text_add(t, ", where the rule has none");
		return;
	case MISS_NUMBER: case MISS_ELEMENTS: add_number(t, m); return;
	case MISS_BROADCASTS: text_printf(t, "'%s' broadcasts: the shape of the result would change", m->v->name); return;
	case MISS_CONSTANT:
		add_elements(t, m);
		text_printf(t, ", where the rule needs '%s' to be a constant of one element", name);
		return;
	case MISS_AGAIN:
		add_place(t, m);
		if (m->other) text_printf(t, ", where the rule needs '%s' again", m->other->name);
		else text_printf(t, ", and '%s' was left out before", name);
		return;
	case MISS_ATTRIBUTE: add_attribute(t, m); return;
	case MISS_OPERANDS: case MISS_INPUTS:
		text_printf(t, m->kind == MISS_INPUTS ? "'%s' has %d inputs, where the rule has %d"
		                                      : "'%s' joins %d values, where the rule joins %d",
		            graph_node_label(m->n), m->count, m->p->n_operands);
		return;
	case MISS_ROOT: text_printf(t, "there is no %s beside it as the rule needs it", wanted_type(s, m->p)); return;
	default: text_printf(t, "the rule can stand here in too many ways to try them all"); return;
	}
}

char *match_reason(const search *s, const miss *m)
{
	text t = { 0 };
	add_reason(&t, s, m);
	char *made = text_take(&t), *out = made ? arena_strdup(s->a, made) : NULL;
	base_free(made);
	return out;
}
