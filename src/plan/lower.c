/* lower.c -- an optimised graph to the steps of a plan. */
#include <assert.h>

#include "plan/lowering.h"
#include "plan/program.h"
#include "schema/schema.h"

static void *copied(arena *a, const void *from, size_t bytes)
{
	void *to = from ? arena_alloc(a, bytes + 1) : NULL;
	if (to) memcpy(to, from, bytes);
	return to;
}

/* The node's attributes; lists and tensors are copied, since the graph does not live as long as the plan. */
static og_status keep_attributes(og_plan *p, plan_step *s, const graph_node *node)
{
	const og_attr_value *from;
	TRY(schema_attributes(&from, p->a, node));
	int n = 0;
	while (node->op->attrs && node->op->attrs[n].name) n++;
	og_attr_value *to = arena_array(p->a, (size_t)n + 1, sizeof *to);
	NEED(to);
	for (int i = 0; i < n; i++) {
		to[i] = from[i];
		to[i].ints = copied(p->a, from[i].ints, (size_t)from[i].n * sizeof *to->ints);
		to[i].floats = copied(p->a, from[i].floats, (size_t)from[i].n * sizeof *to->floats);
		to[i].s = from[i].s ? arena_strdup(p->a, from[i].s) : NULL;
		to[i].t = from[i].t ? graph_tensor_copy(p->a, from[i].t) : NULL;
		if ((from[i].ints && !to[i].ints) || (from[i].floats && !to[i].floats) || (from[i].s && !to[i].s) ||
		    (from[i].t && !to[i].t))
			return base_no_memory();
	}
	s->attr = to;
	return OG_OK;
}

/* The value behind a body's value: what the Fused node reads there, or the value itself. */
static graph_value *outer_value(const graph_node *fused, graph_value *v)
{
	for (int i = 0; v && i < v->owner->n_inputs; i++)
		if (v->owner->holder == fused && v->owner->inputs[i] == v) return fused->in[i];
	return v;
}

static og_status default_constant(lowering *l, int *out, double value)
{
	og_tensor type = { .dtype = OG_F32 };
	TRY(lower_add_value(l, out, "default", &type, PLAN_CONSTANT));
	float *data = plan_block(l->p, sizeof *data);
	NEED(data);
	*data = (float)value;
	l->p->values[*out].type.data = data;
	l->p->weights_bytes += sizeof *data;
	return OG_OK;
}

/* *out: a step of an anchor (may be NULL) and elementwise nodes; `holder` is the Fused node or the one node itself. */
static og_status program_step_of(lowering *l, plan_step *out, const graph_node *holder, const graph_node *anchor,
                                 const graph_node *const *nodes, int n)
{
	og_plan *p = l->p;
	program_builder b;
	TRY(program_build(&b, p->a, anchor ? anchor->out[0] : NULL, nodes, n));
	int first = anchor ? 1 : 0, n_anchor = anchor ? anchor->n_in : 0;
	plan_step s;
	TRY(lower_step_alloc(p, &s, lower_label(holder), n_anchor + b.p->n_operands - first, 1));
	s.n_anchor_in = n_anchor;
	s.tail = b.p;
	for (int k = 0; k < n_anchor; k++) TRY(lower_value(l, &s.in[k], outer_value(holder, anchor->in[k])));
	for (int k = first; k < b.p->n_operands; k++) {
		int at = n_anchor + k - first;
		b.p->operand[k] = at;
		if (b.operand[k]) {
			graph_value *v = outer_value(holder, (graph_value *)(uintptr_t)b.operand[k]);
			TRY(lower_value(l, &s.in[at], v));
		} else {
			TRY(default_constant(l, &s.in[at], b.constant[k]));
		}
	}
	TRY(lower_value(l, &s.out[0], holder->out[0]));
	text label = { 0 };
	if (anchor) {
		s.op = anchor->op;
		TRY(keep_attributes(p, &s, anchor));
		text_add(&label, schema_called(anchor->op));
	}
	for (int i = 0; i < n; i++) text_printf(&label, "%s%s", anchor || i ? " + " : "", schema_called(nodes[i]->op));
	char *joined = text_take(&label);
	s.label = joined ? arena_strdup(p->a, joined) : NULL;
	base_free(joined);
	NEED(s.label);
	*out = s;
	return OG_OK;
}

static og_status fused_step(lowering *l, plan_step *out, const graph_node *node)
{
	const graph_attr *attr = graph_attr_find(node, "body");
	const graph *body = attr ? attr->g : NULL;
	if (!body || !body->first) return base_fail(OG_BAD_FILE, "node '%s': a Fused node needs a body", lower_label(node));
	const graph_node *nodes[PROGRAM_MAX_STEPS], *anchor = NULL;
	int n = 0;
	for (const graph_node *i = body->first; i; i = i->next) {
		if (i == body->first && !program_takes(i, l->p->backend)) {
			anchor = i;
		} else if (n == PROGRAM_MAX_STEPS || !program_takes(i, l->p->backend)) {
			return base_fail(OG_UNSUPPORTED, "node '%s': its body cannot run as one step at %s", lower_label(node), i->type);
		} else {
			nodes[n++] = i;
		}
	}
	return program_step_of(l, out, node, anchor, nodes, n);
}

static og_status op_step(lowering *l, plan_step *out, const graph_node *node)
{
	og_plan *p = l->p;
	plan_step s;
	TRY(lower_step_alloc(p, &s, lower_label(node), node->n_in, node->n_out));
	s.op = node->op;
	s.label = arena_strdup(p->a, node->op ? schema_called(node->op) : node->type);
	NEED(s.label);
	TRY(keep_attributes(p, &s, node));
	for (int k = 0; k < node->n_in; k++) TRY(lower_value(l, &s.in[k], node->in[k]));
	for (int k = 0; k < node->n_out; k++) TRY(lower_value(l, &s.out[k], node->out[k]));
	*out = s;
	return OG_OK;
}

/* A view of whole samples is one by samples, too; else it is one of the plain value. */
static backend_layout view_layout(const og_plan *p, int in, int out)
{
	const plan_value *x = &p->values[in], *y = &p->values[out];
	bool samples = x->layout == LAYOUT_SAMPLES && y->place == PLAN_ARENA && x->type.rank > 0 && y->type.rank > 0 &&
	               x->type.dims[0] == y->type.dims[0] && x->type.dims[0] > 1;
	return samples ? LAYOUT_SAMPLES : LAYOUT_PLAIN;
}

static bool is_view(const graph_node *node)
{
	bool more = false;
	for (int k = 1; k < node->n_out; k++) more |= node->out[k] != NULL;
	return node->op->flags & OG_VIEW_OF_INPUT && node->in[0] && !more;
}

/* A reshape costs nothing: its output is the input's memory. Not when both are the caller's buffers. */
static og_status try_alias(lowering *l, const graph_node *node, bool *done)
{
	int in, out;
	*done = false;
	TRY(lower_value(l, &in, node->in[0]));
	TRY(lower_value(l, &out, node->out[0]));
	backend_layout layout = view_layout(l->p, in, out);
	TRY(lower_value_in(l, &in, in, layout));
	TRY(lower_set_layout(l->p, &l->p->values[out], layout));
	l->same[out].in[LAYOUT_PLAIN] = -1;
	l->same[out].in[layout] = out;
	plan_value *root = &l->p->values[plan_root(l->p, in)], *to = &l->p->values[out];
	if (to->bytes != root->bytes) return OG_OK;
	if (to->place == PLAN_OUTPUT) {
		if (root->place != PLAN_ARENA) return OG_OK;
		root->place = PLAN_OUTPUT;
		root->slot = to->slot;
	}
	if (root->place == PLAN_CONSTANT && !plan_owns(l->p, root->type.data) && root->bytes) {
		void *copy = plan_block(l->p, root->bytes);
		NEED(copy);
		memcpy(copy, root->type.data, root->bytes);
		root->type.data = copy;
		l->p->weights_bytes += root->bytes;
	}
	to->alias = in;
	*done = true;
	return OG_OK;
}

enum { LARGE = 1 << 14 };                /* bytes: a few pages, below which memory is not given back */

/* Gives back the memory of constants that no other node reads, now that the step has them in its own form. */
static void forget_constants(const graph_node *n)
{
	const og_model *m = n->owner->model;
	for (int k = 0; k < n->n_in; k++) {
		const graph_value *v = n->in[k];
		if (!v || !v->constant || v->n_uses != 1 || v->is_output) continue;
		size_t bytes = base_dtype_span(v->dtype, (uint64_t)og_count(v->constant));
		bool shared = false;
		if (bytes < LARGE || bytes == SIZE_MAX) continue;
		for (const graph_value *w = m->main->first_value; w && !shared; w = w->next)
			shared = w != v && w->constant && w->constant->data == v->constant->data;
		if (!shared) arena_discard(m->a, v->constant->data, bytes);
	}
}

/* The step of a node, but for its kernel and layouts. */
static og_status step_of(lowering *l, plan_step *out, const graph_node *node)
{
	if (!strcmp(schema_domain(node->op), OG_DOMAIN) && !strcmp(node->type, "Fused")) return fused_step(l, out, node);
	if (program_takes(node, l->p->backend)) return program_step_of(l, out, node, NULL, &node, 1);
	if (!node->op->eval && !node->op->map[OG_ISA_SCALAR]) {
		return base_fail(OG_UNSUPPORTED, "node '%s': op %s cannot run in a plan", lower_label(node), node->type);
	}
	return op_step(l, out, node);
}

/* A node on its way: its mark points here. All are known before the first kernel is chosen, since how a step's output
 * should lie depends on the steps behind it. */
typedef struct lowered_node lowered_node;
struct lowered_node {
	bool view;
	lowered_node *into;                      /* the one behind, whose step is of both; or NULL */
	plan_step step;
};

static og_status begin_node(lowering *l, lowered_node *to, graph_node *node)
{
	int v;
	l->node = node;
	node->mark = to;
	to->view = is_view(node);
	if (!to->view) return step_of(l, &to->step, node);
	TRY(lower_value(l, &v, node->in[0]));
	return lower_value(l, &v, node->out[0]);
}

static void find_readers(tactics_readers *r, const graph_node *node)
{
	const graph_value *v = node->n_out ? node->out[0] : NULL;
	*r = (tactics_readers){ .plain = v && v->is_output };
	for (size_t i = 0; v && i < v->n_uses && r->n < TACTICS_READERS; i++) {
		const graph_node *user = v->uses[i].node;
		if (user->owner != node->owner) continue;
		const lowered_node *reader = user->mark;
		if (reader->into) reader = reader->into;
		bool seen = false;
		for (int k = 0; k < r->n; k++) seen |= r->step[k] == &reader->step;
		r->plain |= reader->view;
		if (!seen && !reader->view) r->step[r->n++] = &reader->step;
	}
}

/* Makes the node's step a part of the one behind it, where that is the only reader and the backend has a kernel for both. */
static og_status join_node(lowering *l, lowered_node *n, const graph_node *node)
{
	const graph_value *v = node->n_out == 1 ? node->out[0] : NULL;
	if (n->view || !v || v->is_output || v->n_uses != 1 || v->uses[0].node->owner != node->owner) return OG_OK;
	lowered_node *behind = v->uses[0].node->mark;
	bool done = false;
	if (!behind->view) TRY(lower_join(l, &behind->step, &n->step, &done));
	if (done) n->into = behind;
	return OG_OK;
}

static og_status finish_node(lowering *l, lowered_node *n, const graph_node *node)
{
	bool done;
	tactics_readers readers;
	l->node = node;
	if (n->view) {
		TRY(try_alias(l, node, &done));
		if (done) return OG_OK;
		TRY(step_of(l, &n->step, node));
	}
	find_readers(&readers, node);
	return lower_step_finish(l, &n->step, &readers);
}

static og_status lower_nodes(lowering *l, const graph *g, lowered_node *nodes, bool last)
{
	lowered_node *at = nodes;
	for (graph_node *n = g->first; n; n = n->next) TRY(begin_node(l, at++, n));
	at = nodes;
	for (const graph_node *n = g->first; n; n = n->next) TRY(join_node(l, at++, n));
	at = nodes;
	for (const graph_node *n = g->first; n; n = n->next, at++) {
		if (at->into) continue;
		TRY(finish_node(l, at, n));
		if (last) forget_constants(n);
	}
	return OG_OK;
}

/* ---- what cannot be planned is said first --------------------------------------------------- */

static og_status check_value(const graph_node *n, const graph_value *v)
{
	if (!v) return OG_OK;
	if (v->dtype == OG_NONE) {
		return base_fail(OG_UNSUPPORTED, "node '%s': op %s: value '%s' is no tensor, or its type is not known", lower_label(n),
		                 n->type, v->name);
	}
	if (base_dtype_span(v->dtype, 1) != SIZE_MAX) return OG_OK;
	return base_fail(OG_UNSUPPORTED, "node '%s': op %s: value '%s' is of type %s, which plans cannot hold", lower_label(n), n->type,
	                 v->name, base_dtype_name(v->dtype));
}

static og_status check_nodes(const graph *g)
{
	for (const graph_node *n = g->first; n; n = n->next) {
		if (!n->op && (!strcmp(n->type, "If") || !strcmp(n->type, "Loop")) && !n->domain[0])
			return base_fail(OG_UNSUPPORTED, "node '%s': plans have no %s; `opgraft partition` gives it to a runtime that has", lower_label(n),
			                 n->type);
		if (!n->op) {
			return base_fail(OG_UNSUPPORTED, "node '%s': op %s%s%s is not known to Opgraft at this opset%s", lower_label(n), n->domain,
			                 n->domain[0] ? "::" : "", n->type, n->domain[0] ? "; if an op library has it, name that with --ops" : "");
		}
		for (int k = 0; k < n->n_in; k++) TRY(check_value(n, n->in[k]));
		for (int k = 0; k < n->n_out; k++) TRY(check_value(n, n->out[k]));
	}
	return OG_OK;
}

/* ---- inputs and outputs --------------------------------------------------------------------- */

static og_status lower_inputs(lowering *l, const graph *g)
{
	og_plan *p = l->p;
	p->inputs = arena_array(p->a, (size_t)g->n_inputs + 1, sizeof *p->inputs);
	p->bound = arena_array(p->a, (size_t)g->n_inputs + 1, sizeof *p->bound);
	if (!p->inputs || !p->bound) return base_no_memory();
	for (int i = 0; i < g->n_inputs; i++) {
		graph_value *v = g->inputs[i];
		int number;
		if (v->constant && v->source.p) continue;      /* an initializer listed as input: its default is used */
		og_tensor type;
		l->node = NULL;
		if (v->constant) {
			type = *v->constant;
			p->bound[p->n_inputs] = graph_tensor_copy(p->a, v->constant);
			NEED(p->bound[p->n_inputs]);
		} else {
			TRY(lower_type(l, &type, v));
		}
		type.data = NULL;
		TRY(lower_add_value(l, &number, v->name, &type, PLAN_INPUT));
		p->values[number].slot = p->n_inputs;
		p->inputs[p->n_inputs++] = number;
		if (lower_stored(p, type.dtype) != type.dtype && !v->constant) {
			int from = number;
			type.dtype = lower_stored(p, type.dtype);
			TRY(lower_add_value(l, &number, v->name, &type, PLAN_ARENA));
			TRY(lower_reorder(l, from, number));
		}
		if (type.dtype == OG_F32 && !v->constant) TRY(lower_value_in(l, &number, number, l->inputs));
		if (!v->constant) v->mark = (void *)(intptr_t)(number + 1);
	}
	return OG_OK;
}

static og_status lower_outputs(lowering *l, const graph *g)
{
	og_plan *p = l->p;
	p->outputs = arena_array(p->a, (size_t)g->n_outputs + 1, sizeof *p->outputs);
	NEED(p->outputs);
	for (int i = 0; i < g->n_outputs; i++) {
		graph_value *v = g->outputs[i];
		int number;
		og_tensor type;
		l->node = v->producer;
		if (v->constant) type = *v->constant;
		else TRY(lower_type(l, &type, v));
		type.data = NULL;
		TRY(lower_add_value(l, &number, v->name, &type, PLAN_OUTPUT));
		p->values[number].slot = i;
		p->outputs[p->n_outputs++] = number;
		/* one that is kept otherwise inside the network is copied at the end */
		if (!v->constant && v->producer && !v->mark && lower_stored(p, type.dtype) == type.dtype) v->mark = (void *)(intptr_t)(number + 1);
	}
	return OG_OK;
}

/* Outputs that no step writes (an input or a constant handed through, or one value listed twice) are copied at the end. */
static og_status copy_outputs(lowering *l, const graph *g)
{
	og_plan *p = l->p;
	for (int i = 0; i < g->n_outputs; i++) {
		graph_value *v = g->outputs[i];
		int number;
		TRY(lower_value(l, &number, v));
		if (number == p->outputs[i]) continue;
		if (p->values[number].type.dtype != p->values[p->outputs[i]].type.dtype) {
			TRY(lower_value_in(l, &number, number, LAYOUT_PLAIN));
			TRY(lower_reorder(l, number, p->outputs[i]));
			continue;
		}
		plan_step s;
		TRY(lower_step_alloc(p, &s, v->name, 1, 1));
		s.op = schema_find("", "Identity", 26);
		assert(s.op);
		s.label = "copy";
		s.attr = arena_alloc(p->a, sizeof *s.attr);
		NEED(s.attr);
		s.in[0] = number;
		s.out[0] = p->outputs[i];
		TRY(lower_step_finish(l, &s, NULL));
	}
	return OG_OK;
}

static og_status lower_graph(lowering *l, const graph *g, bool last)
{
	for (graph_value *v = g->first_value; v; v = v->next) v->mark = NULL;
	TRY(check_nodes(g));
	TRY(lower_inputs(l, g));
	TRY(lower_outputs(l, g));
	lowered_node *nodes = base_new(g->n_nodes + 1, sizeof *nodes);
	NEED(nodes);
	og_status status = lower_nodes(l, g, nodes, last);
	base_free(nodes);
	TRY(status);
	TRY(copy_outputs(l, g));
	og_plan *p = l->p;
	for (int i = 0; i < p->n_steps; i++)
		if (p->steps[i].kernel.workspace_bytes > p->workspace_bytes) p->workspace_bytes = p->steps[i].kernel.workspace_bytes;
	for (int i = 0; i < p->n_values; i++)      /* constants that live on only in packed form belong to the graph */
		if (p->values[i].place == PLAN_CONSTANT && !plan_owns(p, p->values[i].type.data)) p->values[i].type.data = NULL;
	return OG_OK;
}

og_status plan_lower(og_plan **out, const og_model *m, const backend *device, int threads, const plan_form *form,
                     plan_precision precision, tactics *t)
{
	lowering l = { .p = plan_create(device, threads), .apart = form->apart, .inputs = form->inputs, .tactics = t };
	NEED(l.p);
	l.p->slab = form->slab;
	l.p->batch = form->slab ? form->batch : 0;
	l.p->precision = precision;
	if (device->device) l.p->code = device->device->code_create(l.p->a);
	og_status status = device->device && !l.p->code ? base_no_memory() : lower_graph(&l, m->main, form->last);
	if (status != OG_OK) {
		og_plan_free(l.p);
		return status;
	}
	*out = l.p;
	return OG_OK;
}

bool plan_takes_tail(void *arg, const graph_node *anchor, const graph_node *tail)
{
	const backend *device = arg;
	if (!program_takes(tail, device) || !anchor->op || anchor->n_in + tail->n_in > 64) return false;
	og_tensor in[64] = { { .dtype = OG_NONE } }, out = { .dtype = OG_NONE };
	program p = { .n_operands = 1, .n_regs = 1, .operand = { -1 } };
	int n = 0;
	bool known = true;
	for (int i = 0; i < anchor->n_in + tail->n_in; i++) {
		const graph_value *v = i < anchor->n_in ? anchor->in[i] : tail->in[i - anchor->n_in];
		if (i >= anchor->n_in && (!v || v == anchor->out[0])) continue;
		if (i >= anchor->n_in) {
			if (p.n_operands == PROGRAM_MAX_REGS) return false;
			p.operand[p.n_operands++] = n;
		}
		og_tensor *t = &in[n++];
		if (!v) continue;
		t->dtype = v->dtype;
		t->rank = v->rank;
		if (v->constant) t->data = v->constant->data;
		known = known && v->rank >= 0;
		for (int d = 0; d < v->rank; d++) known = known && (t->dims[d] = v->dims[d]) >= 0;
	}
	const graph_value *y = tail->out[0];
	out.dtype = y->dtype;
	out.rank = y->rank;
	known = known && y->rank >= 0 && y->rank == anchor->out[0]->rank;
	for (int d = 0; known && d < y->rank; d++) known = (out.dims[d] = y->dims[d]) >= 0 && y->dims[d] == anchor->out[0]->dims[d];
	if (!known) return false;
	p.n_regs = p.n_operands;
	backend_node node = { .name = anchor->name, .op = anchor->op, .n_in = n, .n_anchor_in = anchor->n_in, .n_out = 1,
	                      .in = in, .out = &out, .tail = &p };
	return device->takes_tail(&node);
}
