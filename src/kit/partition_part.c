/* partition_part.c -- parts of a network as models of their own. */
#include "kit/partition.h"
#include "surgery/surgery.h"

/* ---- boundaries ------------------------------------------------------------------------------ */

static const graph_node *in_main(const graph_node *n)
{
	while (n->owner->holder) n = n->owner->holder;
	return n;
}

static int number(const graph_node *n) { return (int)((intptr_t)n->mark - 1); }

int partition_producer(const graph_value *v) { return v->producer && !v->owner->holder ? number(v->producer) : -1; }
int partition_user(const graph_use *u) { return number(in_main(u->node)); }

static void read_value(const partition *p, partition_piece *names, graph_value *v)
{
	if (!v || v->owner != p->m->main || v->constant || v->mark) return;
	int from = partition_producer(v);
	if (from >= 0 && (p->nodes[from].inside || p->nodes[from].constant)) return;
	v->mark = v;
	names->in[names->n_in++] = v->name;
}

static void read_values(const partition *p, partition_piece *names, const graph_node *n)
{
	for (int k = 0; k < n->n_in; k++) read_value(p, names, n->in[k]);
	for (int i = 0; i < n->n_attrs; i++) {
		const graph *body = n->attrs[i].g;
		for (const graph_node *inner = body ? body->first : NULL; inner; inner = inner->next) read_values(p, names, inner);
	}
}

static bool leaves(const partition *p, const graph_value *v)
{
	bool found = v->is_output;
	for (size_t i = 0; i < v->n_uses && !found; i++) found = !p->nodes[partition_user(&v->uses[i])].inside;
	return found;
}

static bool hands_through(const graph *g)
{
	bool found = false;
	for (int k = 0; k < g->n_outputs; k++) found |= g->outputs[k]->is_input;
	return found;
}

/* All of it: inputs that nobody reads, and those that are no tensors, stay too. */
static og_status whole(og_model **out, const partition *p, partition_piece *names)
{
	const graph *g = p->m->main;
	for (int k = 0; k < g->n_inputs; k++)
		if (!g->inputs[k]->constant) names->in[names->n_in++] = g->inputs[k]->name;
	for (int k = 0; k < g->n_outputs; k++) names->out[names->n_out++] = g->outputs[k]->name;
	return graph_model_copy(out, p->m);
}

og_status partition_part(og_model **out, partition *p, partition_piece *names, arena *a)
{
	const graph *g = p->m->main;
	size_t values = 0;
	*out = NULL;
	for (graph_value *v = g->first_value; v; v = v->next, values++) v->mark = NULL;
	names->in = arena_array(a, values + 1, sizeof *names->in);
	names->out = arena_array(a, values + 1, sizeof *names->out);
	if (!names->in || !names->out) return base_no_memory();
	names->n_in = names->n_out = names->n_nodes = 0;
	for (int i = 0; i < p->n_nodes; i++) names->n_nodes += p->nodes[i].inside;
	if (names->n_nodes == p->n_nodes && !hands_through(g)) return whole(out, p, names);
	for (int i = 0; i < p->n_nodes; i++) {
		const graph_node *n = p->nodes[i].node;
		if (!p->nodes[i].inside) continue;
		read_values(p, names, n);
		for (int k = 0; k < n->n_out; k++)
			if (n->out[k] && leaves(p, n->out[k])) names->out[names->n_out++] = n->out[k]->name;
	}
	TRY(graph_model_copy(out, p->m));
	og_status status = surgery_extract(*out, names->in, names->n_in, names->out, names->n_out);
	if (status == OG_OK) return OG_OK;
	graph_model_destroy(*out);
	*out = NULL;
	return status;
}

/* ---- nodes that are alike ---------------------------------------------------------------------- */

enum { SMALL = 1024 };                   /* bytes of constants whose values count */

static void sign_tensor(text *t, const og_tensor *x)
{
	size_t bytes = base_dtype_span(x->dtype, (uint64_t)og_count(x));
	text_printf(t, "%s[", base_dtype_name(x->dtype));
	for (int d = 0; d < x->rank; d++) text_printf(t, "%lld,", (long long)x->dims[d]);
	text_add(t, "]");
	if (x->data && bytes <= SMALL) text_printf(t, "=%016llx", (unsigned long long)base_hash(x->data, bytes, bytes));
}

static bool sign_attribute(text *t, const graph_attr *a)
{
	text_printf(t, " %s=%d:", a->name, a->type);
	if (a->ref) return false;
	switch (a->type) {
	case OG_ATTR_INT: case OG_ATTR_ENUM: text_printf(t, "%lld", (long long)a->i); return true;
	case OG_ATTR_FLOAT: text_printf(t, "%a", (double)a->f); return true;
	case OG_ATTR_STRING: text_addn(t, a->s, a->n); return true;
	case OG_ATTR_INTS:
		for (size_t k = 0; k < a->n; k++) text_printf(t, "%lld,", (long long)a->ints[k]);
		return true;
	case OG_ATTR_FLOATS:
		for (size_t k = 0; k < a->n; k++) text_printf(t, "%a,", (double)a->floats[k]);
		return true;
	case OG_ATTR_STRINGS:
		for (size_t k = 0; k < a->n; k++) text_printf(t, "%zu:%s,", strlen(a->strings[k]), a->strings[k]);
		return true;
	case OG_ATTR_TENSOR: sign_tensor(t, a->t); return a->t->dtype != OG_STRING;
	default: return false;
	}
}

static bool sign_input(text *t, const graph_value *v)
{
	text_add(t, " ");
	if (!v) return true;
	const graph_attr *value = v->producer && !strcmp(v->producer->type, "Constant") ? graph_attr_find(v->producer, "value") : NULL;
	const og_tensor *constant = v->constant ? v->constant : value && value->type == OG_ATTR_TENSOR ? value->t : NULL;
	if (constant) {
		text_add(t, "const ");
		sign_tensor(t, constant);
		return constant->dtype != OG_STRING;
	}
	graph_print_type(t, v->owner->model, v->dtype, v->rank, v->dims);
	return true;
}

const char *partition_signature(arena *a, const graph_node *n)
{
	text t = { 0 };
	bool whole = true;
	text_printf(&t, "%s::%s %lld %d", n->domain, n->type, (long long)graph_opset_version(n->owner->model, n->domain), n->n_out);
	for (int i = 0; i < n->n_attrs && whole; i++) whole = sign_attribute(&t, &n->attrs[i]);
	for (int k = 0; k < n->n_in && whole; k++) whole = sign_input(&t, n->in[k]);
	for (int k = 0; k < n->n_out; k++) text_add(&t, n->out[k] ? "y" : "-");
	char *s = text_take(&t);
	const char *kept = s && whole ? arena_strdup(a, s) : NULL;
	base_free(s);
	return kept;
}

static og_status rename_value(graph_value *v, const char *what, int k)
{
	char name[32];
	snprintf(name, sizeof name, "%s_%d", what, k);
	return graph_value_find(v->owner, name) ? OG_OK : graph_value_rename(v, name);
}

og_status partition_rename(og_model *m)
{
	graph *g = m->main;
	for (int k = 0; k < g->n_inputs; k++) TRY(rename_value(g->inputs[k], "input", k));
	for (int k = 0; k < g->n_outputs; k++) TRY(rename_value(g->outputs[k], "output", k));
	for (graph_node *n = g->first; n; n = n->next) {
		n->name = n->type;
		n->source = (graph_bytes){ 0 };
	}
	graph_touch(g);
	return OG_OK;
}
