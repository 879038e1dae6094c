/* scope.c -- what is known around a node. */
#include "schema/inside.h"

#include <stdint.h>

og_status schema_scope_begin(schema_scope *s, arena *a, const graph *g, const schema_scope *outer)
{
	*s = (schema_scope){ .a = a, .g = g, .outer = outer, .depth = outer ? outer->depth + 1 : 0 };
	s->calls = outer ? outer->calls : &s->own_calls;
	if (s->depth < SCHEMA_DEEPEST) return OG_OK;
	return base_fail(OG_BAD_FILE, "graph '%s': bodies and functions are nested more than %d deep", g->name,
	                 SCHEMA_DEEPEST);
}

og_status schema_scope_call(schema_scope *s, arena *a, const graph_function *f, const graph_node *call,
                            const schema_scope *outer)
{
	TRY(schema_scope_begin(s, a, f->body, outer));
	s->call_scope = outer;
	for (; outer; outer = outer->call ? outer->call_scope : outer->outer)
		if (outer->function == f) return base_fail(OG_BAD_FILE, "function %s calls itself", f->name);
	s->outer = NULL;                     /* a function sees its inputs only */
	s->call = call;
	s->function = f;
	return OG_OK;
}

void schema_scope_end(schema_scope *s) { map_free(&s->values); }

og_status schema_scope_set(schema_scope *s, const graph_value *v, const og_tensor *t)
{
	return map_put(&s->values, v->name, (void *)(uintptr_t)t);
}

const og_tensor *schema_scope_get(const schema_scope *s, const graph_value *v)
{
	while (s && s->g != v->owner) s = s->outer;
	const og_tensor *t = s ? map_get(&s->values, v->name) : NULL;
	return t ? t : v->constant;
}

bool schema_is_left_out(const graph_value *v, const schema_scope *s)
{
	while (s && s->g != v->owner) s = s->outer;
	if (!s || !s->call || !v->is_input) return false;
	int k = 0;
	while (s->g->inputs[k] != v) k++;
	const graph_value *given = k < s->call->n_in ? s->call->in[k] : NULL;
	return !given || schema_is_left_out(given, s->call_scope);
}

bool schema_is_aligned(const og_tensor *t)
{
	size_t size = og_dtype_bytes(t->dtype);
	return size < 2 || (uintptr_t)t->data % (size < 8 ? size : 8) == 0;
}
