/* tf_functions.c -- from scopes to one flat list: nodes are made when something needs them, inputs first, and a call becomes
 * the nodes of a new instance of the function that it calls. */
#include "tf/tf_private.h"

/* Functions that call others twice each grow as 2^n: what is made from a file has an end, at some 500 MB. */
enum { MAX_DEPTH = 64, MAX_STEPS = 1 << 21 };

typedef enum state { UNSEEN, OPEN, DONE } state;

/* What has become of a node of a scope. */
typedef struct made {
	const char *name;                    /* in the flat graph; NULL: nobody has asked for it yet */
	tf_attrs attrs;
	tf_cut *cuts;
	tf_scope *called; tf_attrs with;     /* of a call */
	tf_node *node;                       /* of any other node, once it is DONE */
	tf_value *values; int n_values;      /* of an argument or a call that is DONE */
	state state;
} made;

struct tf_instance {
	tf_scope *scope;
	const char *prefix;                  /* the call's name; NULL: the main graph */
	tf_attrs attrs;                      /* those that the caller gives */
	made *made;
};

static og_status visit(tf_reader *, tf_instance *, size_t root);

/* Puts the node in front of the sentence, if none stands there: the innermost of calls says enough. */
static og_status in_node(tf_reader *r, og_status status, const tf_instance *in, size_t k)
{
	const tf_raw *n = &in->scope->nodes[k];
	const char *name = in->made[k].name ? in->made[k].name : n->name;
	if (status == OG_OK || status == OG_NO_MEMORY || r->placed) return status;
	r->placed = true;
	return base_fail_in(status, "node '%.128s' (%.64s)", name, n->op ? n->op : "argument");
}

static og_status new_instance(tf_reader *r, tf_instance **out, tf_scope *scope, const char *prefix, tf_attrs attrs)
{
	tf_instance *in = arena_alloc(r->temporary, sizeof *in);
	NEED(in);
	if (scope->n_nodes > MAX_STEPS - r->steps)
		return base_fail(OG_UNSUPPORTED, "with all calls of functions replaced, the graph has more than %d nodes", MAX_STEPS);
	r->steps += scope->n_nodes;
	*in = (tf_instance){ .scope = scope, .prefix = prefix, .attrs = attrs };
	in->made = arena_array(r->temporary, scope->n_nodes, sizeof *in->made);
	NEED(in->made);
	*out = in;
	return OG_OK;
}

/* Reads what must be known of a node before anything can use it. */
static og_status reach(tf_reader *r, tf_instance *in, size_t k)
{
	const tf_raw *n = &in->scope->nodes[k];
	made *m = &in->made[k];
	if (m->name || !n->op) return OG_OK;
	m->name = in->prefix ? arena_printf(r->g->a, "%s/%s", in->prefix, n->name) : arena_strdup(r->g->a, n->name);
	NEED(m->name);
	m->cuts = map_get(&r->cuts, m->name);
	TRY(tf_decode_attrs(r, &m->attrs, TF_M_NODE, n->bytes, TF_NODE_attr, in->attrs));
	return tf_called(r, n, m->attrs, &m->called, &m->with);
}

/* ---- values ------------------------------------------------------------------------------------- */

og_status tf_instance_append(tf_reader *r, tf_node *n)
{
	tf_list *list = r->list;
	tf_node **p = arena_grow(r->temporary, list->p, list->n, &list->capacity, list->n + 1, sizeof *p);
	NEED(p);
	list->p = p;
	for (unsigned k = 1; map_get(&r->names, n->name); k++) {     /* a main graph may have "call/inner" of its own */
		n->name = arena_printf(r->g->a, "%s_%u", n->name, k);
		NEED(n->name);
	}
	TRY(map_put(&r->names, n->name, n));
	n->scope = r->scope;
	p[list->n++] = n;
	return OG_OK;
}

/* What a placeholder says of the node in whose place it stands. */
static og_status placeholder_attrs(tf_reader *r, tf_node *placeholder, tf_attrs from)
{
	static const char *const wanted[] = { "dtype", "T", "shape" };
	tf_attr *attrs = arena_array(r->g->a, 2, sizeof *attrs);
	NEED(attrs);
	placeholder->attrs = attrs;
	for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++) {
		const tf_attr *a = tf_attrs_find(from, wanted[k]);
		bool is_type = k < 2;
		if (!a || a->is_list || a->kind != (is_type ? TF_TYPE : TF_SHAPE) || (k == 1 && placeholder->n_attrs > 0)) continue;
		attrs[placeholder->n_attrs] = *a;
		attrs[placeholder->n_attrs++].name = is_type ? "dtype" : "shape";
	}
	return OG_OK;
}

static og_status cut_value(tf_reader *r, tf_cut *cut, tf_attrs from, tf_value *out)
{
	if (!cut->placeholder) {
		tf_node *n = arena_alloc(r->temporary, sizeof *n);
		NEED(n);
		n->name = cut->output == 0 ? cut->name : arena_printf(r->g->a, "%s_%d", cut->name, cut->output);
		NEED(n->name);
		n->op = "Placeholder";
		TRY(placeholder_attrs(r, n, from));
		TRY(tf_instance_append(r, n));
		n->scope = 0;
		cut->placeholder = n;
	}
	*out = (tf_value){ cut->placeholder, 0 };
	return OG_OK;
}

/* The output that a reference means, and the cut that stands for it if there is one. */
static og_status meant(tf_reader *r, tf_instance *in, const tf_ref *ref, int *k, tf_cut **cut)
{
	made *m = &in->made[ref->node];
	TRY(reach(r, in, ref->node));
	TRY(tf_output_of(r, &in->scope->nodes[ref->node], m->attrs, ref, k));
	for (*cut = m->cuts; *cut && (*cut)->output != *k;) *cut = (*cut)->next;
	return OG_OK;
}

/* The node has been made, or its output is cut. */
static og_status value_of(tf_reader *r, tf_instance *in, const tf_ref *ref, tf_value *out)
{
	made *m = &in->made[ref->node];
	tf_cut *cut;
	int k;
	TRY(meant(r, in, ref, &k, &cut));
	if (cut) return cut_value(r, cut, m->attrs, out);
	if (m->values && k >= m->n_values)
		return base_fail(OG_BAD_FILE, "it uses output %d of '%.128s', which has %d", k, in->scope->nodes[ref->node].name,
		                 m->n_values);
	*out = m->values ? m->values[k] : (tf_value){ m->node, k };
	return OG_OK;
}

/* ---- nodes -------------------------------------------------------------------------------------- */

og_status tf_instance_call(tf_reader *r, tf_scope *s, tf_attrs with, const char *prefix, tf_value *args, int n_args, tf_value *returns)
{
	tf_instance *in;
	if (r->depth == MAX_DEPTH)
		return base_fail(OG_BAD_FILE, "functions call each other more than %d deep, or in a circle", MAX_DEPTH);
	TRY(tf_scope_ready(r, s));
	if ((size_t)n_args != s->n_args)
		return base_fail(OG_BAD_FILE, "it calls '%.128s', which has %zu inputs, with %d", s->name, s->n_args, n_args);
	TRY(new_instance(r, &in, s, prefix, with));
	for (int k = 0; k < n_args; k++)
		in->made[k] = (made){ .name = s->nodes[k].name, .values = &args[k], .n_values = 1, .state = DONE };
	r->depth++;
	for (size_t k = s->n_args; r->with_control && k < s->n_nodes; k++) TRY(visit(r, in, k));
	for (int k = 0; k < s->n_returns; k++) TRY(tf_instance_make(r, in, &s->returns[k], &returns[k]));
	r->depth--;
	return OG_OK;
}

static og_status call(tf_reader *r, made *m, tf_value *args, int n_args)
{
	TRY(tf_scope_ready(r, m->called));
	m->n_values = m->called->n_returns;
	m->values = arena_array(r->temporary, (size_t)m->n_values + 1, sizeof *m->values);
	NEED(m->values);
	return tf_instance_call(r, m->called, m->with, m->name, args, n_args, m->values);
}

/* All that the node needs has been made. */
static og_status make(tf_reader *r, tf_instance *in, size_t k)
{
	const tf_raw *raw = &in->scope->nodes[k];
	made *m = &in->made[k];
	tf_value *values = arena_array(r->temporary, (size_t)raw->n_in, sizeof *values);
	NEED(values);
	for (int i = 0; i < raw->n_in; i++) TRY(value_of(r, in, &raw->in[i], &values[i]));
	m->state = DONE;
	if (m->called) return call(r, m, values, raw->n_in);
	if (tf_is_control(raw->op)) return tf_control_make(r, raw->op, m->name, m->attrs, values, raw->n_in, &m->values, &m->n_values);
	tf_node *n = m->node = arena_alloc(r->temporary, sizeof *n);
	NEED(n);
	*n = (tf_node){ .name = m->name, .op = arena_strdup(r->g->a, raw->op), .in = values, .n_in = raw->n_in, .attrs = m->attrs.p,
	                .n_attrs = m->attrs.n };
	NEED(n->op);
	if (!in->prefix) TRY(tf_fix_placeholder(r, n));
	return tf_instance_append(r, n);
}

typedef struct frame { size_t node; int next; } frame;
typedef struct stack { frame *p; size_t n, capacity; } stack;

static og_status push(tf_reader *r, tf_instance *in, stack *s, size_t node)
{
	frame *p = arena_grow(r->temporary, s->p, s->n, &s->capacity, s->n + 1, sizeof *p);
	NEED(p);
	s->p = p;
	p[s->n++] = (frame){ node, 0 };
	in->made[node].state = OPEN;
	return in_node(r, reach(r, in, node), in, node);
}

/* The node at the top needs `node`, which is open further down. */
static og_status cycle(const tf_instance *in, const stack *s, size_t node)
{
	for (size_t k = s->n; k-- > 0;) {
		const tf_raw *n = &in->scope->nodes[s->p[k].node];
		if (strcmp(n->op, "NextIteration") == 0)
			return base_fail(OG_UNSUPPORTED, "node '%.128s' (NextIteration) belongs to a loop of TensorFlow 1; cut the loop away by "
			                 "naming inputs behind it, or freeze the graph with lower_control_flow=False", n->name);
		if (s->p[k].node == node) break;
	}
	return base_fail(OG_BAD_FILE, "node '%.128s' needs its own output: the graph has a cycle", in->scope->nodes[node].name);
}

/* Goes into the next input of the node at the top, if it has to be made. */
static og_status descend(tf_reader *r, tf_instance *in, stack *s)
{
	frame *top = &s->p[s->n - 1];
	const tf_raw *n = &in->scope->nodes[top->node];
	const tf_ref *ref = &n->in[top->next++];
	const made *m = &in->made[ref->node];
	bool control = top->next > n->n_in;
	tf_cut *cut = NULL;
	int k;
	TRY(in_node(r, reach(r, in, ref->node), in, ref->node));
	if (!control) TRY(in_node(r, meant(r, in, ref, &k, &cut), in, top->node));
	if (cut || m->state == DONE) return OG_OK;
	return m->state == OPEN ? cycle(in, s, ref->node) : push(r, in, s, ref->node);
}

static og_status visit(tf_reader *r, tf_instance *in, size_t root)
{
	stack s = { 0 };
	if (in->made[root].state == DONE) return OG_OK;
	TRY(push(r, in, &s, root));
	while (s.n > 0) {
		const frame *top = &s.p[s.n - 1];
		const tf_raw *n = &in->scope->nodes[top->node];
		if (top->next < n->n_in + (r->with_control ? n->n_control : 0)) {
			TRY(descend(r, in, &s));
		} else {
			TRY(in_node(r, make(r, in, top->node), in, top->node));
			s.n--;
		}
	}
	return OG_OK;
}

og_status tf_instance_make(tf_reader *r, tf_instance *in, const tf_ref *ref, tf_value *out)
{
	tf_cut *cut;
	int k;
	TRY(in_node(r, meant(r, in, ref, &k, &cut), in, ref->node));
	if (!cut) TRY(visit(r, in, ref->node));
	return out ? value_of(r, in, ref, out) : OG_OK;
}

og_status tf_instance_main(tf_reader *r, tf_instance **out)
{
	return new_instance(r, out, r->main, NULL, (tf_attrs){ 0 });
}

og_status tf_instance_cut(tf_reader *r, tf_instance *main, tf_cut *cut)
{
	if (cut->placeholder) return OG_OK;
	size_t k = tf_scope_find(main->scope, cut->name, strlen(cut->name));
	if (k == SIZE_MAX)
		return base_fail(OG_MISSING, "there is no node '%.128s' to be an input, or no output needs it", cut->name);
	TRY(in_node(r, reach(r, main, k), main, k));
	return cut_value(r, cut, main->made[k].attrs, &(tf_value){ 0 });
}

tf_node *tf_instance_node(tf_instance *main, const tf_ref *ref) { return main->made[ref->node].node; }

const tf_scope *tf_instance_called(const tf_instance *main, size_t node) { return main->made[node].called; }
