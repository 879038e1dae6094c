/* lower.c -- an optimised graph to the steps of a plan. */
#include <assert.h>

#include "plan/plan.h"
#include "plan/program.h"
#include "schema/schema.h"

og_plan *plan_create(const backend *device, int threads)
{
	arena *a = arena_create();
	og_plan *p = a ? arena_alloc(a, sizeof *p) : NULL;
	if (!p) {
		arena_destroy(a);
		return NULL;
	}
	p->a = a;
	p->backend = device;
	p->threads = threads;
	return p;
}

void og_plan_free(og_plan *p)
{
	if (!p) return;
	for (size_t i = 0; i < p->n_blocks; i++) base_free(p->blocks[i]);
	file_close(&p->file);
	arena_destroy(p->a);
}

static og_status own_block(og_plan *p, void *block)
{
	void **grown = arena_grow(p->a, p->blocks, p->n_blocks, &p->cap_blocks, p->n_blocks + 1, sizeof *grown);
	if (!grown) {
		base_free(block);
		return base_no_memory();
	}
	p->blocks = grown;
	p->blocks[p->n_blocks++] = block;
	return OG_OK;
}

void *plan_block(og_plan *p, size_t bytes)
{
	void *block = base_alloc_aligned(bytes ? bytes : 1, 64);
	if (!block) return NULL;
	memset(block, 0, bytes);
	return own_block(p, block) == OG_OK ? block : NULL;
}

/* ---- values --------------------------------------------------------------------------------- */

/* A value of the graph may lie in several layouts, each a value of the plan; the one made first stands for all. */
typedef struct same_value { int first, in[LAYOUT_COUNT]; } same_value;

typedef struct lowering {
	og_plan *p;
	same_value *same;                    /* one for each value; `in` of the first ones only; -1: not made */
	size_t cap_values, cap_same, cap_steps;
	const graph_node *node;              /* being lowered, for messages */
} lowering;

static og_status set_layout(og_plan *p, plan_value *v, backend_layout layout)
{
	v->layout = layout;
	v->bytes = layout_bytes(&v->type, layout, p->backend->lanes());
	if (v->bytes != SIZE_MAX) return OG_OK;
	return base_fail(OG_UNSUPPORTED, "value '%s' is too large, or of a type that plans cannot hold (%s)", v->name,
	                 base_dtype_name(v->type.dtype));
}

static og_status add_value(lowering *l, int *out, const char *name, const og_tensor *type, plan_place place)
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
	TRY(set_layout(p, v, LAYOUT_PLAIN));
	l->same[p->n_values] = (same_value){ p->n_values, { p->n_values, -1, -1 } };
	*out = p->n_values++;
	return OG_OK;
}

static const char *node_label(const graph_node *n)
{
	return n->name[0] ? n->name : n->n_out && n->out[0] ? n->out[0]->name : "";
}

static og_status concrete_type(lowering *l, og_tensor *out, const graph_value *v)
{
	*out = (og_tensor){ .dtype = v->dtype, .rank = v->rank };
	bool known = v->dtype != OG_NONE && v->rank >= 0;
	for (int i = 0; known && i < v->rank; i++) {
		out->dims[i] = v->dims[i];
		known = v->dims[i] >= 0;
	}
	if (known) return OG_OK;
	return base_fail(OG_UNSUPPORTED, "node '%s' (%s): the shape of value '%s' is not known before it runs; give the value of the "
	                 "input that decides it when building", l->node ? node_label(l->node) : "", l->node ? l->node->type : "", v->name);
}

/* Number of the plan value of v, made at first sight. */
static og_status value_number(lowering *l, int *out, graph_value *v)
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
		TRY(concrete_type(l, &type, v));
	}
	TRY(add_value(l, out, v->name, &type, v->constant ? PLAN_CONSTANT : PLAN_ARENA));
	v->mark = (void *)(intptr_t)(*out + 1);
	return OG_OK;
}

int plan_root(const og_plan *p, int v)
{
	while (p->values[v].alias >= 0) v = p->values[v].alias;
	return v;
}

/* ---- steps ---------------------------------------------------------------------------------- */

static bool owned(const og_plan *p, const void *data)
{
	for (size_t i = 0; i < p->n_blocks; i++)
		if (p->blocks[i] == data) return true;
	return false;
}

static void fill_node(backend_node *n, const plan_step *s)
{
	*n = (backend_node){ .name = s->name, .op = s->op, .attr = s->attr, .n_in = s->n_in, .n_anchor_in = s->n_anchor_in,
	                     .n_out = s->n_out, .in = s->in_types, .out = s->out_types, .tail = s->tail,
	                     .in_layout = s->in_layouts, .out_layout = s->out_layout };
}

og_status plan_prepare(og_plan *p, plan_step *s, const char *tactic)
{
	backend_node *node = arena_alloc(p->a, sizeof *node);
	NEED(node);
	fill_node(node, s);
	return p->backend->prepare(&s->kernel, node, tactic, p->threads, p->a);
}

backend_layout plan_wanted(const plan_step *s, int k)
{
	return s->kernel.in_layout ? s->kernel.in_layout[k] : LAYOUT_PLAIN;
}

/* The step reads input k's constant in another form: packed, or in another layout. */
static bool is_replaced(const plan_step *s, int k)
{
	return (k < 32 && s->kernel.packs_input >> k & 1) || plan_wanted(s, k) != LAYOUT_PLAIN;
}

/* Gives the step's constants aligned data, asks for the kernel, packs, and keeps of the data what the kernel still reads. */
static og_status settle_constants(lowering *l, plan_step *s)
{
	og_plan *p = l->p;
	og_status status = OG_OK;
	for (int k = 0; status == OG_OK && k < s->n_in; k++) {
		if (s->in[k] < 0) continue;
		const plan_value *v = &p->values[s->in[k]];
		s->in_types[k] = v->type;
		s->in_layouts[k] = v->layout;
		if (v->place != PLAN_CONSTANT || !v->type.data || owned(p, v->type.data) || !v->bytes) continue;
		void *copy = base_alloc_aligned(v->bytes, 64);
		if (copy) memcpy(copy, v->type.data, v->bytes);
		else status = base_no_memory();
		s->in_types[k].data = copy;
	}
	if (status == OG_OK) status = plan_prepare(p, s, NULL);
	if (status == OG_OK && s->kernel.packed_bytes) {
		s->packed = plan_block(p, s->kernel.packed_bytes);
		status = s->packed ? s->kernel.pack(&s->kernel, (void *)(uintptr_t)s->packed) : OG_NO_MEMORY;
		p->weights_bytes += s->kernel.packed_bytes;
	}
	for (int k = 0; k < s->n_in; k++) {
		if (s->in[k] < 0 || !s->in_types[k].data) continue;
		plan_value *v = &p->values[s->in[k]];
		bool replaced = status == OG_OK && is_replaced(s, k);
		if (s->in_types[k].data == v->type.data) {
			if (replaced) s->in_types[k].data = NULL;
		} else if (status != OG_OK || replaced || owned(p, v->type.data)) {
			base_free(s->in_types[k].data);        /* of no further use, or the same value's copy was kept a moment ago */
			s->in_types[k].data = replaced ? NULL : v->type.data;
		} else {
			status = own_block(p, s->in_types[k].data);
			if (status != OG_OK) {
				s->in_types[k].data = NULL;
				continue;
			}
			v->type.data = s->in_types[k].data;
			p->weights_bytes += v->bytes;
		}
	}
	return status;
}

/* ---- layouts -------------------------------------------------------------------------------- */

static og_status alloc_step(og_plan *p, plan_step *s, const char *name, int n_in, int n_out)
{
	*s = (plan_step){ .n_in = n_in, .n_out = n_out, .n_anchor_in = n_in };
	s->name = arena_strdup(p->a, name);
	s->in = arena_array(p->a, (size_t)n_in + 1, sizeof *s->in);
	s->out = arena_array(p->a, (size_t)n_out + 1, sizeof *s->out);
	s->in_types = arena_array(p->a, (size_t)n_in + 1, sizeof *s->in_types);
	s->out_types = arena_array(p->a, (size_t)n_out + 1, sizeof *s->out_types);
	s->in_layouts = arena_array(p->a, (size_t)n_in + 1, sizeof *s->in_layouts);
	return s->name && s->in && s->out && s->in_types && s->out_types && s->in_layouts ? OG_OK : base_no_memory();
}

static og_status push_step(lowering *l, const plan_step *s)
{
	og_plan *p = l->p;
	plan_step *grown = arena_grow(p->a, p->steps, (size_t)p->n_steps, &l->cap_steps, (size_t)p->n_steps + 1, sizeof *grown);
	NEED(grown);
	p->steps = grown;
	plan_step *to = &grown[p->n_steps];
	*to = *s;
	for (int k = 0; k < s->n_in; k++)
		if (s->in[k] >= 0) to->bytes += (double)p->values[s->in[k]].bytes;
	for (int k = 0; k < s->n_out; k++)
		if (s->out[k] >= 0) to->bytes += (double)p->values[s->out[k]].bytes;
	p->n_steps++;
	return OG_OK;
}

/* A step that copies value `from` to value `to`, which lies otherwise. */
static og_status push_reorder(lowering *l, int from, int to)
{
	og_plan *p = l->p;
	plan_step s;
	TRY(alloc_step(p, &s, p->values[from].name, 1, 1));
	s.label = "reorder";
	s.in[0] = from;
	s.out[0] = to;
	s.in_types[0] = p->values[from].type;
	s.out_types[0] = p->values[to].type;
	s.in_layouts[0] = p->values[from].layout;
	s.out_layout = p->values[to].layout;
	TRY(plan_prepare(p, &s, NULL));
	return push_step(l, &s);
}

/* Does at once what a reorder step would: for constants. */
static og_status reorder_constant(lowering *l, int from, int to)
{
	og_plan *p = l->p;
	backend_layout layout = p->values[from].layout;
	const og_tensor *in = &p->values[from].type;
	og_tensor *out = &p->values[to].type;
	backend_kernel k;
	backend_node node = { .name = p->values[from].name, .n_in = 1, .n_anchor_in = 1, .n_out = 1, .in = in, .out = out,
	                      .in_layout = &layout, .out_layout = p->values[to].layout };
	out->data = plan_block(p, p->values[to].bytes);
	NEED(out->data);
	p->weights_bytes += p->values[to].bytes;
	TRY(p->backend->prepare(&k, &node, NULL, 1, p->a));
	assert(!k.packed_bytes && !k.workspace_bytes);
	return k.run(&k, &(backend_run){ .in = &in, .out = &out });
}

static int known_in(const lowering *l, int v, backend_layout layout) { return l->same[l->same[v].first].in[layout]; }

/* The value v in that layout: itself, one made before, or one that a step makes here. */
static og_status value_in(lowering *l, int *out, int v, backend_layout layout)
{
	og_plan *p = l->p;
	*out = known_in(l, v, layout);
	if (*out >= 0) return OG_OK;
	v = l->same[v].first;
	backend_layout have = p->values[v].layout;
	bool alias = layout_same(&p->values[v].type, have, layout, p->backend->lanes());
	if (!alias && have != LAYOUT_PLAIN && layout != LAYOUT_PLAIN) {
		TRY(value_in(l, &v, v, LAYOUT_PLAIN));
		alias = layout_same(&p->values[v].type, LAYOUT_PLAIN, layout, p->backend->lanes());
	}
	const plan_value *from = &p->values[v];
	og_tensor type = from->type;
	if (from->place != PLAN_CONSTANT || !alias) type.data = NULL;
	TRY(add_value(l, out, from->name, &type, from->place == PLAN_CONSTANT ? PLAN_CONSTANT : PLAN_ARENA));
	TRY(set_layout(p, &p->values[*out], layout));
	l->same[*out].first = l->same[v].first;
	l->same[l->same[v].first].in[layout] = *out;
	if (alias && p->values[v].place != PLAN_CONSTANT) {
		p->values[*out].alias = v;
		return OG_OK;
	}
	if (alias && !owned(p, type.data)) {
		void *copy = plan_block(p, p->values[*out].bytes);
		NEED(copy);
		memcpy(copy, type.data, p->values[v].bytes);
		p->values[*out].type.data = copy;
		p->weights_bytes += p->values[v].bytes;
	}
	if (alias) return OG_OK;
	return p->values[v].place == PLAN_CONSTANT ? reorder_constant(l, v, *out) : push_reorder(l, v, *out);
}

/* A tail's operand of lower rank than the output as one of the same rank, so that layouts cut the right axis. */
static og_status extend_operand(lowering *l, int *k, int rank)
{
	og_plan *p = l->p;
	og_tensor type = p->values[*k].type;
	int from = *k, more = rank - type.rank;
	if (more <= 0) return OG_OK;
	for (int i = rank - 1; i >= 0; i--) type.dims[i] = i < more ? 1 : type.dims[i - more];
	type.rank = rank;
	TRY(value_in(l, &from, from, LAYOUT_PLAIN));
	TRY(add_value(l, k, p->values[from].name, &type, p->values[from].place));
	if (p->values[from].place != PLAN_CONSTANT) p->values[*k].alias = from;
	return OG_OK;
}

/* Puts the inputs into the layouts that the kernel wants, and the outputs into the one that it makes. */
static og_status settle_layouts(lowering *l, plan_step *s)
{
	og_plan *p = l->p;
	for (int k = 0; k < s->n_in; k++) {
		backend_layout want = plan_wanted(s, k);
		if (s->in[k] < 0) continue;
		if (want != LAYOUT_PLAIN && s->tail && k >= s->n_anchor_in) TRY(extend_operand(l, &s->in[k], s->out_types[0].rank));
		TRY(value_in(l, &s->in[k], s->in[k], want));
		const plan_value *v = &p->values[s->in[k]];
		bool packed = k < 32 && s->kernel.packs_input >> k & 1;
		s->in_types[k] = v->type;
		if (packed) s->in_types[k].data = NULL;
		s->in_layouts[k] = v->layout;
	}
	s->out_layout = s->kernel.out_layout;
	for (int k = 0; k < s->n_out; k++) {
		if (s->out[k] < 0 || s->out_layout == LAYOUT_PLAIN) continue;
		int v = s->out[k], *in = l->same[v].in;
		if (p->values[v].place == PLAN_OUTPUT) {         /* the caller's buffer is plain: copied from here behind the step */
			TRY(add_value(l, &s->out[k], p->values[v].name, &p->values[v].type, PLAN_ARENA));
			in = l->same[v].in;
			l->same[s->out[k]].first = v;
		} else {
			in[LAYOUT_PLAIN] = -1;
		}
		in[s->out_layout] = s->out[k];
		TRY(set_layout(p, &p->values[s->out[k]], s->out_layout));
	}
	return OG_OK;
}

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

static og_status finish_step(lowering *l, plan_step *s)
{
	og_plan *p = l->p;
	for (int k = 0; k < s->n_out; k++)
		if (s->out[k] >= 0) s->out_types[k] = p->values[s->out[k]].type;
	TRY(settle_constants(l, s));
	TRY(settle_layouts(l, s));
	TRY(push_step(l, s));
	for (int k = 0; k < s->n_out; k++) {
		int first = s->out[k] < 0 ? -1 : l->same[s->out[k]].first;
		if (first >= 0 && first != s->out[k]) TRY(push_reorder(l, s->out[k], first));
	}
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
	TRY(add_value(l, out, "default", &type, PLAN_CONSTANT));
	float *data = plan_block(l->p, sizeof *data);
	NEED(data);
	*data = (float)value;
	l->p->values[*out].type.data = data;
	l->p->weights_bytes += sizeof *data;
	return OG_OK;
}

/* A step of an anchor (may be NULL) and elementwise nodes; `holder` is the Fused node or the one node itself. */
static og_status program_step_of(lowering *l, const graph_node *holder, const graph_node *anchor,
                                 const graph_node *const *nodes, int n)
{
	og_plan *p = l->p;
	program_builder b;
	TRY(program_build(&b, p->a, anchor ? anchor->out[0] : NULL, nodes, n));
	int first = anchor ? 1 : 0, n_anchor = anchor ? anchor->n_in : 0;
	plan_step s;
	TRY(alloc_step(p, &s, node_label(holder), n_anchor + b.p->n_operands - first, 1));
	s.n_anchor_in = n_anchor;
	s.tail = b.p;
	for (int k = 0; k < n_anchor; k++) TRY(value_number(l, &s.in[k], outer_value(holder, anchor->in[k])));
	for (int k = first; k < b.p->n_operands; k++) {
		int at = n_anchor + k - first;
		b.p->operand[k] = at;
		if (b.operand[k]) {
			graph_value *v = outer_value(holder, (graph_value *)(uintptr_t)b.operand[k]);
			TRY(value_number(l, &s.in[at], v));
		} else {
			TRY(default_constant(l, &s.in[at], b.constant[k]));
		}
	}
	TRY(value_number(l, &s.out[0], holder->out[0]));
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
	return finish_step(l, &s);
}

static og_status fused_step(lowering *l, const graph_node *node)
{
	const graph_attr *attr = graph_attr_find(node, "body");
	const graph *body = attr ? attr->g : NULL;
	if (!body || !body->first) return base_fail(OG_BAD_FILE, "node '%s': a Fused node needs a body", node_label(node));
	const graph_node *nodes[PROGRAM_MAX_STEPS], *anchor = NULL;
	int n = 0;
	for (const graph_node *i = body->first; i; i = i->next) {
		if (i == body->first && !program_takes(i)) {
			anchor = i;
		} else if (n == PROGRAM_MAX_STEPS || !program_takes(i)) {
			return base_fail(OG_UNSUPPORTED, "node '%s': its body cannot run as one step at %s", node_label(node), i->type);
		} else {
			nodes[n++] = i;
		}
	}
	return program_step_of(l, node, anchor, nodes, n);
}

static og_status op_step(lowering *l, const graph_node *node)
{
	og_plan *p = l->p;
	plan_step s;
	TRY(alloc_step(p, &s, node_label(node), node->n_in, node->n_out));
	s.op = node->op;
	s.label = arena_strdup(p->a, node->op ? schema_called(node->op) : node->type);
	NEED(s.label);
	TRY(keep_attributes(p, &s, node));
	for (int k = 0; k < node->n_in; k++) TRY(value_number(l, &s.in[k], node->in[k]));
	for (int k = 0; k < node->n_out; k++) TRY(value_number(l, &s.out[k], node->out[k]));
	return finish_step(l, &s);
}

/* A view of whole samples is one by samples, too; else it is one of the plain value. */
static backend_layout view_layout(const og_plan *p, int in, int out)
{
	const plan_value *x = &p->values[in], *y = &p->values[out];
	bool samples = x->layout == LAYOUT_SAMPLES && y->place == PLAN_ARENA && x->type.rank > 0 && y->type.rank > 0 &&
	               x->type.dims[0] == y->type.dims[0] && x->type.dims[0] > 1;
	return samples ? LAYOUT_SAMPLES : LAYOUT_PLAIN;
}

/* A reshape costs nothing: its output is the input's memory. Not when both are the caller's buffers. */
static og_status try_alias(lowering *l, const graph_node *node, bool *done)
{
	*done = false;
	if (!node->op || !(node->op->flags & OG_VIEW_OF_INPUT) || !node->in[0]) return OG_OK;
	for (int k = 1; k < node->n_out; k++)
		if (node->out[k]) return OG_OK;
	int in, out;
	TRY(value_number(l, &in, node->in[0]));
	TRY(value_number(l, &out, node->out[0]));
	backend_layout layout = view_layout(l->p, in, out);
	TRY(value_in(l, &in, in, layout));
	TRY(set_layout(l->p, &l->p->values[out], layout));
	l->same[out].in[LAYOUT_PLAIN] = -1;
	l->same[out].in[layout] = out;
	plan_value *root = &l->p->values[plan_root(l->p, in)], *to = &l->p->values[out];
	if (to->bytes != root->bytes) return OG_OK;
	if (to->place == PLAN_OUTPUT) {
		if (root->place != PLAN_ARENA) return OG_OK;
		root->place = PLAN_OUTPUT;
		root->slot = to->slot;
	}
	if (root->place == PLAN_CONSTANT && !owned(l->p, root->type.data) && root->bytes) {
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

static og_status lower_node(lowering *l, const graph_node *node)
{
	bool done;
	l->node = node;
	TRY(try_alias(l, node, &done));
	if (done) return OG_OK;
	if (!strcmp(schema_domain(node->op), OG_DOMAIN) && !strcmp(node->type, "Fused")) return fused_step(l, node);
	if (program_takes(node)) return program_step_of(l, node, NULL, &node, 1);
	if (!node->op->eval && !node->op->map[OG_ISA_SCALAR]) {
		return base_fail(OG_UNSUPPORTED, "node '%s': op %s cannot run in a plan", node_label(node), node->type);
	}
	return op_step(l, node);
}

/* ---- what cannot be planned is said first --------------------------------------------------- */

static og_status check_value(const graph_node *n, const graph_value *v)
{
	if (!v) return OG_OK;
	if (v->dtype == OG_NONE) {
		return base_fail(OG_UNSUPPORTED, "node '%s': op %s: value '%s' is no tensor, or its type is not known", node_label(n),
		                 n->type, v->name);
	}
	if (base_dtype_span(v->dtype, 1) != SIZE_MAX) return OG_OK;
	return base_fail(OG_UNSUPPORTED, "node '%s': op %s: value '%s' is of type %s, which plans cannot hold", node_label(n), n->type,
	                 v->name, base_dtype_name(v->dtype));
}

static og_status check_nodes(const graph *g)
{
	for (const graph_node *n = g->first; n; n = n->next) {
		if (!n->op) {
			return base_fail(OG_UNSUPPORTED, "node '%s': op %s%s%s is not known to Opgraft at this opset%s", node_label(n), n->domain,
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
			TRY(concrete_type(l, &type, v));
		}
		type.data = NULL;
		TRY(add_value(l, &number, v->name, &type, PLAN_INPUT));
		p->values[number].slot = p->n_inputs;
		p->inputs[p->n_inputs++] = number;
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
		else TRY(concrete_type(l, &type, v));
		type.data = NULL;
		TRY(add_value(l, &number, v->name, &type, PLAN_OUTPUT));
		p->values[number].slot = i;
		p->outputs[p->n_outputs++] = number;
		if (!v->constant && v->producer && !v->mark) v->mark = (void *)(intptr_t)(number + 1);
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
		TRY(value_number(l, &number, v));
		if (number == p->outputs[i]) continue;
		plan_step s;
		TRY(alloc_step(p, &s, v->name, 1, 1));
		s.op = schema_find("", "Identity", 26);
		assert(s.op);
		s.label = "copy";
		s.attr = arena_alloc(p->a, sizeof *s.attr);
		NEED(s.attr);
		s.in[0] = number;
		s.out[0] = p->outputs[i];
		TRY(finish_step(l, &s));
	}
	return OG_OK;
}

static og_status lower_graph(lowering *l, const graph *g)
{
	for (graph_value *v = g->first_value; v; v = v->next) v->mark = NULL;
	TRY(check_nodes(g));
	TRY(lower_inputs(l, g));
	TRY(lower_outputs(l, g));
	for (const graph_node *n = g->first; n; n = n->next) TRY(lower_node(l, n));
	TRY(copy_outputs(l, g));
	og_plan *p = l->p;
	for (int i = 0; i < p->n_steps; i++)
		if (p->steps[i].kernel.workspace_bytes > p->workspace_bytes) p->workspace_bytes = p->steps[i].kernel.workspace_bytes;
	for (int i = 0; i < p->n_values; i++)      /* constants that live on only in packed form belong to the graph */
		if (p->values[i].place == PLAN_CONSTANT && !owned(p, p->values[i].type.data)) p->values[i].type.data = NULL;
	return OG_OK;
}

og_status plan_lower(og_plan **out, const og_model *m, const backend *device, int threads)
{
	lowering l = { .p = plan_create(device, threads) };
	NEED(l.p);
	og_status status = lower_graph(&l, m->main);
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
	if (!program_takes(tail) || !anchor->op || anchor->n_in + tail->n_in > 64) return false;
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
