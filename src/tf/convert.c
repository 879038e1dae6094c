/* convert.c -- the nodes of a TensorFlow graph one after the other: inputs, each op by its converter, names,
 * outputs. */
#include "tf/convert.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "schema/schema.h"

static const convert_op *const groups[] = {
#define X(group) convert_##group##_ops,
	CONVERT_GROUPS(X)
#undef X
};
enum { N_GROUPS = sizeof groups / sizeof *groups };

static const convert_op *find_op(const char *type)
{
	for (int k = 0; k < N_GROUPS; k++)
		for (const convert_op *op = groups[k]; op->type; op++)
			if (!strcmp(op->type, type)) return op;
	return NULL;
}

/* How many ops come before this one by name. */
static size_t place_of(const char *type)
{
	size_t place = 0;
	for (int k = 0; k < N_GROUPS; k++)
		for (const convert_op *op = groups[k]; op->type; op++) place += strcmp(op->type, type) < 0;
	return place;
}

const char *convert_op_name(size_t n)
{
	for (int k = 0; k < N_GROUPS; k++)
		for (const convert_op *op = groups[k]; op->type; op++)
			if (place_of(op->type) == n) return op->type;
	return NULL;
}

/* ---- failing ------------------------------------------------------------------------------------- */

void convert_failed(convert *c, og_status status)
{
	if (c->status == OG_OK) c->status = status;
}

static graph_value *fail(convert *c, og_status status, const char *format, va_list ap)
{
	char sentence[512];
	if (c->status != OG_OK) return c->none;
	vsnprintf(sentence, sizeof sentence, format, ap);
	c->status = base_fail(status, "node '%s' (%s): %s", c->node->name, c->node->op, sentence);
	return c->none;
}

graph_value *convert_refuse(convert *c, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	fail(c, OG_UNSUPPORTED, format, ap);
	va_end(ap);
	return c->none;
}

graph_value *convert_wrong(convert *c, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	fail(c, OG_BAD_FILE, format, ap);
	va_end(ap);
	return c->none;
}

/* ---- inputs and outputs of a node ------------------------------------------------------------------ */

/* What a node's outputs became; tf_node.mark. */
typedef struct made { graph_value **out; size_t n, capacity; int readers; } made;

int convert_readers(const tf_node *n) { return ((const made *)n->mark)->readers; }

static og_status count_readers(tf_graph *t)
{
	made *all = arena_array(t->a, t->n_nodes, sizeof *all);
	NEED(all);
	for (size_t k = 0; k < t->n_nodes; k++) {
		const tf_node *n = &t->nodes[k];
		t->nodes[k].mark = &all[k];
		for (int i = 0; i < n->n_in; i++) all[n->in[i].node - t->nodes].readers++;
	}
	for (int k = 0; k < t->n_outputs; k++) all[t->outputs[k].value.node - t->nodes].readers++;
	return OG_OK;
}

graph_value *convert_value(convert *c, tf_value from)
{
	const made *m = from.node->mark;
	if (c->status != OG_OK) return c->none;
	if (from.output >= 0 && (size_t)from.output < m->n && m->out[from.output]) return m->out[from.output];
	return convert_wrong(c, "it reads output %d of node '%s' (%s), which there is not", from.output, from.node->name,
	                     from.node->op);
}

graph_value *convert_in(convert *c, int k)
{
	if (c->status != OG_OK) return c->none;
	if (k < c->node->n_in) return convert_value(c, c->node->in[k]);
	return convert_wrong(c, "it has %d inputs but needs %d", c->node->n_in, k + 1);
}

void convert_output(convert *c, int k, graph_value *v)
{
	if (c->status != OG_OK) return;
	made *m = c->node->mark;
	graph_value **out = arena_grow(c->from->a, m->out, m->n, &m->capacity, (size_t)k + 1, sizeof *out);
	if (!out) {
		convert_failed(c, base_no_memory());
		return;
	}
	m->out = out;
	while (m->n <= (size_t)k) m->out[m->n++] = NULL;
	m->out[k] = v;
}

/* ---- attributes -------------------------------------------------------------------------------------- */

int64_t convert_int(convert *c, const tf_node *n, const char *name, int64_t otherwise)
{
	convert_failed(c, tf_int(n, name, &otherwise));
	return otherwise;
}

float convert_float(convert *c, const char *name, float otherwise)
{
	convert_failed(c, tf_float(c->node, name, &otherwise));
	return otherwise;
}

bool convert_bool(convert *c, const char *name, bool otherwise)
{
	convert_failed(c, tf_bool(c->node, name, &otherwise));
	return otherwise;
}

const char *convert_string(convert *c, const tf_node *n, const char *name, const char *otherwise)
{
	convert_failed(c, tf_string(n, name, &otherwise));
	return otherwise;
}

og_dtype convert_type(convert *c, const char *name, og_dtype otherwise)
{
	convert_failed(c, tf_type(c->node, name, &otherwise));
	if (otherwise == OG_NONE) convert_refuse(c, "ONNX has no type for its attribute '%s'", name);
	return otherwise;
}

int convert_int_list(convert *c, const tf_node *n, const char *name, int64_t *out)
{
	const int64_t *ints = NULL;
	size_t count = 0;
	convert_failed(c, tf_ints(n, name, &ints, &count));
	if (count > CONVERT_MAX_LIST)
		convert_refuse(c, "its attribute '%s' has more than %d entries", name, CONVERT_MAX_LIST);
	if (c->status != OG_OK || !count) return 0;
	memcpy(out, ints, count * sizeof *out);
	return (int)count;
}

int convert_const_list(convert *c, int k, const char *what, int64_t *out)
{
	const graph_value *v = convert_in(c, k);
	int n = 0;
	if (c->status != OG_OK) return 0;
	bool whole = v->dtype == OG_I32 || v->dtype == OG_I64;
	if (v->constant && whole && og_count(v->constant) <= CONVERT_MAX_LIST) {
		for (; n < og_count(v->constant); n++) out[n] = graph_tensor_int(v->constant, n);
		return n;
	}
	if (!convert_sizes(v, out, &n)) {
		convert_refuse(c, "its %s is computed, not a constant list; fix the inputs' shapes with --input NAME:SHAPE", what);
		return 0;
	}
	for (int i = 0; i < n; i++)
		if (out[i] < 0)
			convert_refuse(c, "its %s is known only when it runs; fix the inputs' shapes with --input NAME:SHAPE", what);
	return c->status == OG_OK ? n : 0;
}

int64_t convert_const_int(convert *c, int k, const char *what)
{
	int64_t list[CONVERT_MAX_LIST];
	int n = convert_const_list(c, k, what, list);
	if (c->status != OG_OK) return 0;
	if (n == 1) return list[0];
	convert_wrong(c, "its %s has %d elements, not 1", what, n);
	return 0;
}

int convert_axis(convert *c, int64_t axis, int rank)
{
	int k = og_axis(axis, rank);
	if (c->status != OG_OK) return 0;
	if (k < 0) convert_wrong(c, "axis %lld is not one of an input of %d dimensions", (long long)axis, rank);
	return k < 0 ? 0 : k;
}

int convert_const_axis(convert *c, int k, int rank)
{
	return convert_axis(c, convert_const_int(c, k, "axis"), rank);
}

int convert_rank(convert *c, const graph_value *v)
{
	if (c->status == OG_OK && v->rank < 0)
		convert_refuse(c, "the rank of '%s' is not known; give the shape of the inputs with --input NAME:SHAPE", v->name);
	return c->status == OG_OK ? v->rank : 0;
}

/* ---- names ---------------------------------------------------------------------------------------------- */

/* Gives a value a name that another one may have, which then gets a fresh one; an input keeps its own. */
static og_status claim_name(convert *c, graph_value *v, const char *name)
{
	graph_value *other = graph_value_find(c->g, name);
	if (other == v) return OG_OK;
	if (other) {
		char *fresh = graph_fresh_name(c->g, name);
		NEED(fresh);
		if (other->is_input || other->is_output) return graph_value_rename(v, fresh);
		TRY(graph_value_rename(other, fresh));
	}
	return graph_value_rename(v, name);
}

/* ---- inputs of the graph -------------------------------------------------------------------------------- */

static const tf_port *input_port(const convert *c)
{
	for (int k = 0; k < c->from->n_inputs; k++)
		if (c->from->inputs[k].value.node == c->node) return &c->from->inputs[k];
	return NULL;
}

/* One input whose batch is open: its dimension is called N. More: they need not be the same. */
static bool only_open_batch(const tf_graph *t)
{
	int open = 0;
	for (int k = 0; k < t->n_inputs; k++) open += t->inputs[k].shape.rank > 0 && t->inputs[k].shape.dims[0] < 0;
	return open == 1;
}

/* Dimensions that nobody has said are symbols: "N", or the input's name and the number of the dimension. */
static og_status open_dims(convert *c, og_dim *dims, const char *name, const tf_shape *s)
{
	for (int d = 0; d < s->rank; d++) {
		char symbol[256];
		if (d == 0 && only_open_batch(c->from)) strcpy(symbol, "N");
		else snprintf(symbol, sizeof symbol, "%.200s.%d", name, d);
		dims[d] = s->dims[d] >= 0 ? s->dims[d] : graph_dim_symbol(c->m, symbol);
		if (dims[d] == GRAPH_DIM_UNKNOWN) return base_no_memory();
	}
	return OG_OK;
}

static og_status fix_shape(tf_port *port, const convert_fixed *fixed)
{
	const tf_shape *to = &fixed->shape;
	if (port->shape.rank >= 0 && port->shape.rank != to->rank)
		return base_fail(OG_USAGE, "input '%s' has %d dimensions, not %d", port->name, port->shape.rank, to->rank);
	for (int d = 0; d < to->rank; d++) {
		int64_t *own = &port->shape.dims[d];
		if (port->shape.rank >= 0 && *own >= 0 && to->dims[d] >= 0 && *own != to->dims[d])
			return base_fail(OG_USAGE, "dimension %d of input '%s' is %lld in the graph and can't be %lld", d, port->name,
			                 (long long)*own, (long long)to->dims[d]);
		if (port->shape.rank < 0 || to->dims[d] >= 0) *own = to->dims[d];
	}
	port->shape.rank = to->rank;
	return OG_OK;
}

static og_status fix_shapes(tf_graph *t, const convert_fixed *fixed, int n)
{
	for (int k = 0; k < n; k++) {
		tf_port *port = NULL;
		for (int i = 0; i < t->n_inputs; i++)
			if (!strcmp(t->inputs[i].name, fixed[k].name) || !strcmp(t->inputs[i].value.node->name, fixed[k].name))
				port = &t->inputs[i];
		if (!port) return base_fail(OG_USAGE, "there is no input '%s' to give a shape to", fixed[k].name);
		TRY(fix_shape(port, &fixed[k]));
	}
	return OG_OK;
}

static og_status add_input(convert *c, const tf_port *port)
{
	graph_value *v;
	og_dim dims[OG_MAX_RANK];
	og_dtype dtype = port->dtype;
	if (dtype == OG_NONE) TRY(tf_type(port->value.node, "dtype", &dtype));
	if (dtype == OG_NONE || dtype == OG_STRING)
		return base_fail(OG_UNSUPPORTED, "input '%s' holds no numbers; say what the inputs are with --input NAME", port->name);
	TRY(open_dims(c, dims, port->name, &port->shape));
	TRY(graph_value_add(&v, c->g, NULL, dtype, port->shape.rank, dims));
	TRY(claim_name(c, v, port->name));
	TRY(graph_input_add(c->g, v));
	convert_output(c, 0, v);
	return c->status;
}

/* ---- constants, custom ops ------------------------------------------------------------------------------- */

static graph_value *constant(convert *c)
{
	const og_tensor *t = NULL;
	graph_value *v = c->none;
	convert_failed(c, tf_tensor(c->node, "value", &t));
	if (c->status != OG_OK) return v;
	if (!t) return convert_wrong(c, "the constant has no value");
	if (t->dtype == OG_NONE || t->dtype == OG_STRING)
		return convert_refuse(c, "a constant of no numbers; cut the network before what reads it with --output NAME");
	char *name = arena_printf(c->m->a, "%s:value", c->node->name);
	convert_failed(c, name ? graph_constant_add(&v, c->m->main, name, t) : base_no_memory());
	return c->status == OG_OK ? v : c->none;
}

/* An op of Opgraft or of an op library; ONNX's own have meanings of their own. */
static const og_op *library_op(const char *type)
{
	const og_op *found = NULL;
	for (size_t k = 0; k < schema_count(); k++) {
		const og_op *op = schema_at(k);
		if (*schema_domain(op) && (!strcmp(op->name, type) || !strcmp(schema_called(op), type))) found = op;
	}
	return found;
}

/* Gives the open node an attribute of the op as the TensorFlow node has it. */
static og_status copy_attribute(convert *c, const og_attr *declared, const tf_attr *a)
{
	graph_node *n = c->begun;
	const char *name = declared->name;
	bool number = declared->type == OG_ATTR_FLOAT;
	switch (a->is_list ? TF_NOTHING : a->kind) {
	case TF_INT: case TF_BOOL:
		return number ? graph_attr_set_float(n, name, (float)a->ints[0]) : graph_attr_set_int(n, name, a->ints[0]);
	case TF_FLOAT: return graph_attr_set_float(n, name, a->floats[0]);
	case TF_STRING: return graph_attr_set_string(n, name, (const char *)a->strings[0].p);
	case TF_TYPE: return graph_attr_set_int(n, name, a->types[0]);
	case TF_TENSOR: return graph_attr_set_tensor(n, name, &a->tensors[0]);
	default: break;
	}
	if (a->is_list && a->kind == TF_INT) return graph_attr_set_ints(n, name, a->ints, a->n);
	if (a->is_list && a->kind == TF_FLOAT) return graph_attr_set_floats(n, name, a->floats, a->n);
	convert_refuse(c, "Opgraft can't take over its attribute '%s'", name);
	return c->status;
}

/* Begins a node that takes the inputs as they are. */
static void begin_same(convert *c, const char *type)
{
	graph_value *in[CONVERT_MAX_LIST];
	int n = c->node->n_in;
	if (n > CONVERT_MAX_LIST) convert_refuse(c, "it has more than %d inputs", CONVERT_MAX_LIST);
	for (int k = 0; k < n && c->status == OG_OK; k++) in[k] = convert_in(c, k);
	convert_begin(c, type, in, n);
}

static graph_value *custom(convert *c, const og_op *op)
{
	convert_failed(c, graph_opset_require(c->m, schema_domain(op), op->since));
	begin_same(c, op->name);
	if (c->status != OG_OK) return c->none;
	c->begun->domain = schema_domain(op);
	c->begun->op = op;
	for (const og_attr *a = op->attrs; a && a->name; a++) {
		const tf_attr *given = tf_attr_find(c->node, a->name);
		if (given) convert_failed(c, copy_attribute(c, a, given));
	}
	return convert_done(c);
}

/* What decides while a graph runs which part of it runs, and how often. */
static bool is_control(const char *op)
{
	static const char *const ops[] = { "Switch", "Merge", "Enter", "Exit", "NextIteration", "LoopCond", "RefSwitch", "RefMerge", "Case",
	                                   "StatelessCase", "EmptyTensorList" };
	for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
		if (!strcmp(op, ops[k])) return true;
	return !strncmp(op, "TensorArray", 11) || !strncmp(op, "TensorList", 10);
}

static graph_value *unknown(convert *c)
{
	const char *before = c->node->n_in ? c->node->in[0].node->name : "NAME";
	if (is_control(c->node->op))
		return convert_refuse(c, "it belongs to a loop, or to a branch whose condition is not known, which can't be taken; cut it away with --output "
		                      "%s and --input NAME, or give its condition with --value NAME=true or false", before);
	return convert_refuse(c, "Opgraft has no %s; give it an op library that has an op of this name with --ops, or cut the "
	                      "network before it with --output %s", c->node->op, before);
}

/* The node that did the work: behind it only the layout or the type was changed. */
static graph_node *core_of(graph_value *v)
{
	graph_node *n = v->producer;
	while (n && (!strcmp(n->type, "Transpose") || !strcmp(n->type, "Cast"))) {
		graph_value *x = n->in[0];
		if (!x->producer || convert_maker(x) != convert_maker(v)) break;
		n = x->producer;
	}
	return n;
}

static og_status name_outputs(convert *c)
{
	const made *m = c->node->mark;
	for (size_t k = 0; k < m->n; k++) {
		graph_value *v = m->out[k];
		if (!v || convert_maker(v) != c->node) continue;
		char *name = k ? arena_printf(c->m->a, "%s:%zu", c->node->name, k) : arena_strdup(c->m->a, c->node->name);
		NEED(name);
		TRY(claim_name(c, v, name));
		graph_node *core = k ? NULL : core_of(v);        /* nodes have names of their own each */
		if (core) core->name = name;
	}
	return OG_OK;
}

/* ---- the whole graph ----------------------------------------------------------------------------------------- */

static graph_value *converted(convert *c)
{
	const convert_op *op = find_op(c->node->op);
	const og_op *own = op ? NULL : library_op(c->node->op);
	if (!strcmp(c->node->op, "Const")) return constant(c);
	if (!strcmp(c->node->op, "LoopVariable") && c->node->scope) return convert_loop_variable(c);
	if (own) return custom(c, own);
	if (!op) return unknown(c);
	if (op->build) return op->build(c);
	begin_same(c, op->onnx);
	return convert_done(c);
}

graph *convert_scope(convert *c, int scope)
{
	if (!c->scopes[scope]) {
		graph *around = convert_scope(c, c->from->around[scope]);
		char *name = arena_printf(c->m->a, "body_%d", scope);
		c->scopes[scope] = around && name ? graph_create(c->m, around, name) : NULL;
	}
	return c->scopes[scope];
}

static og_status convert_node(convert *c)
{
	const tf_port *port = input_port(c);
	c->g = convert_scope(c, c->node->scope);
	NEED(c->g);
	if (port) return add_input(c, port);
	convert_output(c, 0, converted(c));
	if (c->status == OG_OK) convert_failed(c, name_outputs(c));
	return c->status;
}

static og_status add_output(convert *c, const tf_port *port)
{
	c->node = &c->from->nodes[port->value.node - c->from->nodes];
	graph_value *v = convert_value(c, port->value);
	if (c->status == OG_OK && (v->is_input || v->is_output || !v->producer)) v = MAKE("Identity", v);
	TRY(c->status);
	TRY(claim_name(c, v, port->name));
	return graph_output_add(c->g, v);
}

static og_status convert_all(convert *c)
{
	tf_graph *t = c->from;
	TRY(count_readers(t));
	for (size_t k = 0; k < t->n_nodes; k++) {
		c->node = &t->nodes[k];
		TRY(convert_node(c));
	}
	c->g = c->m->main;
	for (int k = 0; k < t->n_outputs; k++) TRY(add_output(c, &t->outputs[k]));
	return t->n_outputs ? OG_OK : base_fail(OG_BAD_FILE, "the graph makes nothing; say what it should with --output NAME");
}

og_status convert_graph(og_model *m, tf_graph *from, const convert_fixed *fixed, int n_fixed)
{
	graph_value none = { .name = "", .rank = 0 };
	convert c = { .m = m, .g = m->main, .from = from, .none = &none, .status = OG_OK };
	m->ir_version = 8;
	m->main->name = "tensorflow";
	og_status status = graph_opset_require(m, "", CONVERT_OPSET);
	if (status == OG_OK) status = fix_shapes(from, fixed, n_fixed);
	c.scopes = arena_array(from->a, (size_t)from->n_scopes + 1, sizeof *c.scopes);
	if (status == OG_OK) status = c.scopes ? OG_OK : base_no_memory();
	if (status == OG_OK) c.scopes[0] = m->main;
	if (status == OG_OK) status = convert_all(&c);
	for (int k = 0; k <= from->n_scopes && c.scopes; k++)
		for (graph_value *v = c.scopes[k] ? c.scopes[k]->first_value : NULL; v; v = v->next) v->mark = NULL;
	return status == OG_OK || status == OG_USAGE ? status : base_fail_in(status, "%s", from->path);
}
