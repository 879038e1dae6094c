/* values.c -- the values of a graph as values of a plan, in the layouts that steps want. */
#include "plan/lowering.h"

const char *lower_label(const graph_node *n)
{
	return n->name[0] ? n->name : n->n_out && n->out[0] ? n->out[0]->name : "";
}

og_dtype lower_stored(const og_plan *p, og_dtype type) { return type == OG_F32 ? p->precision.storage : type; }

og_status lower_set_layout(og_plan *p, plan_value *v, backend_layout layout)
{
	v->layout = layout;
	v->bytes = layout_bytes(&v->type, layout, p->backend->lanes());
	if (v->bytes != SIZE_MAX) return OG_OK;
	return base_fail(OG_UNSUPPORTED, "value '%s' is too large, or of a type that plans cannot hold (%s)", v->name,
	                 base_dtype_name(v->type.dtype));
}

og_status lower_add_value(lowering *l, int *out, const char *name, const og_tensor *type, plan_place place)
{
	og_plan *p = l->p;
	same_value *same = arena_grow(p->a, l->same, (size_t)p->n_values, &l->cap_same, (size_t)p->n_values + 1, sizeof *same);
	NEED(same);
	l->same = same;
	plan_value *grown = arena_grow(p->a, p->values, (size_t)p->n_values, &l->cap_values, (size_t)p->n_values + 1,
	                               sizeof *grown);
	NEED(grown);
	p->values = grown;
	plan_value *v = &grown[p->n_values];
	*v = (plan_value){ .name = arena_strdup(p->a, name), .type = *type, .place = place, .alias = -1, .first = -1, .last = -1 };
	NEED(v->name);
	TRY(lower_set_layout(p, v, LAYOUT_PLAIN));
	l->same[p->n_values] = (same_value){ p->n_values, { p->n_values, -1, -1 } };
	*out = p->n_values++;
	return OG_OK;
}

og_status lower_type(lowering *l, og_tensor *out, const graph_value *v)
{
	*out = (og_tensor){ .dtype = v->dtype, .rank = v->rank };
	bool known = v->dtype != OG_NONE && v->rank >= 0;
	for (int i = 0; known && i < v->rank; i++) {
		out->dims[i] = v->dims[i];
		known = v->dims[i] >= 0;
	}
	if (known) return OG_OK;
	return base_fail(OG_UNSUPPORTED, "node '%s' (%s): the shape of value '%s' is not known before it runs; give the value of the "
	                 "input that decides it when building", l->node ? lower_label(l->node) : "", l->node ? l->node->type : "", v->name);
}

og_status lower_value(lowering *l, int *out, graph_value *v)
{
	if (!v) {
		*out = -1;
		return OG_OK;
	}
	if (v->mark) {
		*out = (int)((intptr_t)v->mark - 1);
		return OG_OK;
	}
	og_tensor type;
	if (v->constant) {
		type = *v->constant;                   /* its data is the graph's still: see settle_constants */
	} else {
		TRY(lower_type(l, &type, v));
		type.dtype = lower_stored(l->p, type.dtype);
	}
	TRY(lower_add_value(l, out, v->name, &type, v->constant ? PLAN_CONSTANT : PLAN_ARENA));
	v->mark = (void *)(intptr_t)(*out + 1);
	return OG_OK;
}

/* ---- layouts -------------------------------------------------------------------------------- */

/* Does at once what a reorder step would: for constants. */
static og_status reorder_constant(lowering *l, int from, int to)
{
	og_plan *p = l->p;
	plan_value *out = &p->values[to];
	out->type.data = plan_block(p, out->bytes);
	NEED(out->type.data);
	p->weights_bytes += out->bytes;
	layout_copy(out->type.data, out->layout, p->values[from].type.data, p->values[from].layout, &out->type, p->backend->lanes());
	return OG_OK;
}

static int known_in(const lowering *l, int v, backend_layout layout) { return l->same[l->same[v].first].in[layout]; }

og_status lower_value_in(lowering *l, int *out, int v, backend_layout layout)
{
	og_plan *p = l->p;
	*out = known_in(l, v, layout);
	if (*out >= 0) return OG_OK;
	v = l->same[v].first;
	backend_layout have = p->values[v].layout;
	bool alias = layout_same(&p->values[v].type, have, layout, p->backend->lanes());
	if (!alias && have != LAYOUT_PLAIN && layout != LAYOUT_PLAIN) {
		TRY(lower_value_in(l, &v, v, LAYOUT_PLAIN));
		alias = layout_same(&p->values[v].type, LAYOUT_PLAIN, layout, p->backend->lanes());
	}
	const plan_value *from = &p->values[v];
	og_tensor type = from->type;
	if (from->place != PLAN_CONSTANT || !alias) type.data = NULL;
	TRY(lower_add_value(l, out, from->name, &type, from->place == PLAN_CONSTANT ? PLAN_CONSTANT : PLAN_ARENA));
	TRY(lower_set_layout(p, &p->values[*out], layout));
	l->same[*out].first = l->same[v].first;
	l->same[l->same[v].first].in[layout] = *out;
	if (alias && p->values[v].place != PLAN_CONSTANT) {
		p->values[*out].alias = v;
		return OG_OK;
	}
	if (alias && !plan_owns(p, type.data)) {
		void *copy = plan_block(p, p->values[*out].bytes);
		NEED(copy);
		memcpy(copy, type.data, p->values[v].bytes);
		p->values[*out].type.data = copy;
		p->weights_bytes += p->values[v].bytes;
	}
	if (alias) return OG_OK;
	return p->values[v].place == PLAN_CONSTANT ? reorder_constant(l, v, *out) : lower_reorder(l, v, *out);
}

og_status lower_extend(lowering *l, int *k, int rank)
{
	og_plan *p = l->p;
	og_tensor type = p->values[*k].type;
	int from = *k;
	if (type.rank >= rank) return OG_OK;
	layout_extend(&type, rank);
	TRY(lower_value_in(l, &from, from, LAYOUT_PLAIN));
	TRY(lower_add_value(l, k, p->values[from].name, &type, p->values[from].place));
	if (p->values[from].place != PLAN_CONSTANT) p->values[*k].alias = from;
	return OG_OK;
}
