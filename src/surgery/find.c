/* find.c -- where ops stand: by rules, by meaning, and as nodes. */
#include <stdio.h>

#include "schema/schema.h"
#include "surgery/edits.h"

og_status find_open(find_source *s, const og_op *op, bool nodes)
{
	*s = (find_source){ .op = op, .nodes = nodes };
	og_status status = OG_OK;
	if (!op) {
		status = surgery_spelling_rules(&s->own);
	} else if (op->body || op->spellings || !nodes) {
		char name[256];
		const char *domain = schema_domain(op);
		if ((size_t)snprintf(name, sizeof name, "%s::%s", domain[0] ? domain : "ai.onnx", op->name) >= sizeof name)
			return base_fail(OG_UNSUPPORTED, "the name of op %.60s is too long", op->name);
		status = surgery_op_rules(&s->own, name);
	}
	if (status == OG_OK && s->own) {
		s->rules = s->own->rules;
		s->n_rules = s->own->n;
	}
	if (status == OG_OK) status = recognise_create(&s->meaning, op);
	if (status != OG_OK) find_close(s);
	return status;
}

void find_close(find_source *s)
{
	recognise_destroy(s->meaning);
	surgery_rules_free(s->own);
	*s = (find_source){ 0 };
}

static bool is_wanted(const find_source *s, const graph_node *n)
{
	if (!n->op || !n->n_out || !n->out[0]) return false;
	if (!s->op) return n->op->spellings || schema_domain(n->op)[0];
	return n->op == s->op || !strcmp(schema_called(n->op), schema_called(s->op));
}

/* A node that is the op already, as a match of a rule of that op alone. */
static og_status add_node(match_list *l, graph_node *n)
{
	match *m = arena_alloc(l->a, sizeof *m);
	rule *r = arena_alloc(l->a, sizeof *r);
	pattern *right = arena_alloc(l->a, sizeof *right);
	l->matches = arena_grow(l->a, l->matches, l->n, &l->cap, l->n + 1, sizeof *l->matches);
	if (!m || !r || !right || !l->matches) return base_no_memory();
	*right = (pattern){ .kind = PATTERN_NODE, .op = n->op, .type = n->type };
	*r = (rule){ .right = right, .how = "node" };
	m->r = r;
	m->nodes = arena_array(l->a, 1, sizeof(graph_node *));
	if (!m->nodes) return base_no_memory();
	m->nodes[m->n_nodes++] = n;
	m->outputs = n->out;
	m->n_outputs = n->n_out;
	l->matches[l->n++] = m;
	return OG_OK;
}

og_status find_in(match_list *l, const find_source *s, const graph *g)
{
	l->no_misses = !s->misses;
	if (s->n_rules) TRY(match_rules(l, s->rules, s->n_rules, g));
	if (s->meaning) TRY(recognise_graph(l, s->meaning, g));
	for (graph_node *n = s->nodes ? g->first : NULL; n; n = n->next)
		if (is_wanted(s, n)) TRY(add_node(l, n));
	return OG_OK;
}

og_status surgery_find(const og_model *m, const surgery_rules *rules, const og_op *op, const surgery_options *o, og_found **found)
{
	find_source s = { 0 };
	found_box *f;
	replace_places places = { 0 };
	if (!rules || op) TRY(find_open(&s, op, true));
	if (rules) {
		s.rules = rules->rules;
		s.n_rules = rules->n;
	}
	s.misses = rules || op;
	og_status status = found_create(&f);
	if (status == OG_OK) status = replace_find_places(&places, f->a, (og_model *)(uintptr_t)m);
	for (size_t i = 0; status == OG_OK && i < places.n; i++) status = apply_in(&places.place[i], &s, o, f, false);
	find_close(&s);
	if (status == OG_OK) *found = &f->found;
	else if (f) og_found_free(&f->found);
	return status;
}
