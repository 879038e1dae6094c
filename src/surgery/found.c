/* found.c -- what was found, in an arena of its own. */
#include <stdio.h>

#include "schema/schema.h"
#include "surgery/edits.h"

og_status found_create(found_box **out)
{
	arena *a = arena_create();
	*out = a ? arena_alloc(a, sizeof **out) : NULL;
	if (!*out) {
		arena_destroy(a);
		return base_no_memory();
	}
	(*out)->a = a;
	return OG_OK;
}

void og_found_free(og_found *f)
{
	if (f) arena_destroy(((found_box *)f)->a);
}

og_status found_match(found_box *f, const og_match *m, edit *e)
{
	size_t n = f->found.n_matches;
	f->matches = arena_grow(f->a, f->matches, n, &f->cap_matches, n + 1, sizeof *f->matches);
	NEED(f->matches);
	f->edits = arena_grow(f->a, f->edits, n, &f->cap_edits, n + 1, sizeof *f->edits);
	NEED(f->edits);
	f->matches[n] = *m;
	f->edits[n] = e;
	f->found.matches = f->matches;
	f->found.n_matches++;
	return OG_OK;
}

og_status found_refuse(found_box *f, const og_match *m, const char *reason)
{
	size_t n = f->found.n_refused;
	f->refused = arena_grow(f->a, f->refused, n, &f->cap_refused, n + 1, sizeof *f->refused);
	NEED(f->refused);
	f->refused[n] = *m;
	f->refused[n].reason = arena_strdup(f->a, reason);
	NEED(f->refused[n].reason);
	f->found.refused = f->refused;
	f->found.n_refused++;
	return OG_OK;
}

og_status found_describe(og_match *out, found_box *f, const match *m, const char *path)
{
	const char **names = arena_array(f->a, (size_t)m->n_nodes, sizeof *names);
	const graph_value *output = NULL;
	NEED(names);
	for (int i = 0; i < m->n_nodes; i++) NEED(names[i] = arena_strdup(f->a, graph_node_label(m->nodes[i])));
	for (int k = 0; k < m->n_outputs && !output; k++) output = m->outputs[k];
	*out = (og_match){ .op = arena_strdup(f->a, schema_called(m->r->right->op)), .nodes = names, .n_nodes = m->n_nodes,
	                   .output = arena_strdup(f->a, output ? output->name : ""), .how = m->r->how, .graph = path,
	                   .error = m->error };
	return out->op && out->output ? OG_OK : base_no_memory();
}

/* Word k of "none|tanh". */
static const char *nth_word(char *out, size_t room, const char *words, int k)
{
	while (k-- > 0 && strchr(words, '|')) words = strchr(words, '|') + 1;
	snprintf(out, room, "%.*s", (int)strcspn(words, "|"), words);
	return out;
}

static og_status add_attribute(og_match *m, found_box *f, size_t *cap, const og_attribute *a)
{
	og_attribute *list = arena_grow(f->a, (void *)(uintptr_t)m->attributes, (size_t)m->n_attributes, cap, (size_t)m->n_attributes + 1,
	                                sizeof *list);
	NEED(list);
	m->attributes = list;
	list[m->n_attributes] = (og_attribute){ arena_strdup(f->a, a->name), a->value, a->word ? arena_strdup(f->a, a->word) : NULL };
	return list[m->n_attributes++].name ? OG_OK : base_no_memory();
}

static const graph_attr *find_attr(const graph_attr *attrs, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(attrs[i].name, name)) return &attrs[i];
	return NULL;
}

og_status found_attributes(og_match *m, found_box *f, const og_op *op, const graph_attr *attrs, int n)
{
	char word[64];
	size_t cap = 0;
	for (const og_attr *d = op ? op->attrs : NULL; d && d->name; d++) {
		const graph_attr *a = find_attr(attrs, n, d->name);
		og_attribute to = { d->name, d->value, NULL };
		if ((a && a->ref) || (d->type != OG_ATTR_INT && d->type != OG_ATTR_FLOAT && d->type != OG_ATTR_ENUM && !(a && a->s))) continue;
		if (a) to.value = a->type == OG_ATTR_INT ? (double)a->i : (double)a->f;
		if (a && a->s) to.word = a->s;
		else if (d->type == OG_ATTR_ENUM) to.word = nth_word(word, sizeof word, d->words, (int)d->value);
		TRY(add_attribute(m, f, &cap, &to));
	}
	return OG_OK;
}
