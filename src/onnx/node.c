/* node.c -- NodeProto and AttributeProto: nodes, their arguments and attributes, bodies included. */
#include "onnx/private.h"

#include <limits.h>

/* ---- nodes and what they produce -------------------------------------------------------------- */

static og_status add_output(onnx_reader *r, graph_node *n, int k, graph_bytes bytes)
{
	const char *name;
	TRY(onnx_name(&name, r->temporary, bytes));
	if (!*name) return OG_OK;
	graph_value *v = graph_value_find(n->owner, name);
	if (!v) {
		TRY(graph_value_add(&v, n->owner, name, OG_NONE, -1, NULL));
	} else if (v->producer || v->is_input || v->constant) {
		return base_fail(OG_BAD_FILE, "its output '%s' is %s already; a value may be made once", name,
		                 v->producer ? "the output of a node" : v->is_input ? "an input" : "a constant");
	}
	return graph_set_output(n, k, v);
}

static og_status create_node(onnx_reader *r, graph *g, graph_bytes bytes, void *state)
{
	const char *name = "", *type = "", *domain = "";
	size_t n_in = 0, n_out = 0;
	graph_bytes doc = { 0 };
	wire_reader w = onnx_open(ONNX_NODE, bytes, r->base);
	wire_field f;
	(void)state;
	do {
		TRY(wire_next(&w, &f));
		switch (f.number) {
		case NODE_input: n_in++; break;
		case NODE_output: n_out++; break;
		case NODE_name: TRY(onnx_name(&name, r->temporary, f.bytes)); break;
		case NODE_op_type: TRY(onnx_name(&type, r->temporary, f.bytes)); break;
		case NODE_domain: TRY(onnx_name(&domain, r->temporary, f.bytes)); break;
		case NODE_doc_string: doc = f.bytes; break;
		default: break;
		}
	} while (f.number != 0);
	if (!*type) return base_fail(OG_BAD_FILE, "it has no op_type");
	if (n_in > INT_MAX || n_out > INT_MAX) return base_fail(OG_BAD_FILE, "it has too many arguments");
	if (strcmp(domain, "ai.onnx") == 0) domain = "";
	graph_node *n;
	TRY(graph_node_add(&n, g, NULL, domain, type, name, (int)n_in, (int)n_out));
	n->file = onnx_remember(r, bytes);
	if (doc.p) n->doc = arena_strndup(r->a, (const char *)doc.p, doc.n);
	if (!n->file || (doc.p && !n->doc)) return base_no_memory();
	int k = 0;
	w = onnx_open(ONNX_NODE, bytes, r->base);
	do {
		TRY(wire_next(&w, &f));
		if (f.number == NODE_output) TRY(add_output(r, n, k++, f.bytes));
	} while (f.number != 0);
	return OG_OK;
}

og_status onnx_read_nodes(onnx_reader *r, graph *g, const onnx_parts *nodes)
{
	return onnx_each_part(r, g, nodes, create_node, NULL);
}

/* ---- attributes ------------------------------------------------------------------------------ */

/* The content of an AttributeProto's fields before its type says which counts. */
typedef struct content {
	graph_bytes bytes, name, ref, s, t, g;
	uint64_t i, type;
	float f;
	size_t n_ints, n_floats, n_strings;
	uint32_t seen;
} content;

static og_status read_content(content *c, graph_bytes bytes, const uint8_t *base)
{
	wire_reader w = onnx_open(ONNX_ATTR, bytes, base);
	wire_field f;
	*c = (content){ .bytes = bytes };
	for (;;) {
		TRY(wire_next(&w, &f));
		if (f.kind != WIRE_UNKNOWN) c->seen |= 1u << f.number;
		switch (f.number) {
		case 0: return OG_OK;
		case ATTR_name: c->name = f.bytes; break;
		case ATTR_ref_attr_name: c->ref = f.bytes; break;
		case ATTR_type: c->type = f.value; break;
		case ATTR_f: memcpy(&c->f, f.bytes.p, sizeof c->f); break;
		case ATTR_i: c->i = f.value; break;
		case ATTR_s: c->s = f.bytes; break;
		case ATTR_t: c->t = f.bytes; break;
		case ATTR_g: c->g = f.bytes; break;
		case ATTR_floats: c->n_floats += f.bytes.n / sizeof(float); break;
		case ATTR_ints: c->n_ints += wire_count_ints(f.bytes); break;
		case ATTR_strings: c->n_strings++; break;
		default: break;
		}
	}
}

/* Files of IR version 1 and 2 tools leave `type` out: the field that is there says it. */
static int type_of(const content *c)
{
	switch (c->type) {
#define X(type, number) case number: return type;
	ONNX_ATTR_TYPES(X)
#undef X
	case 0: break;
	default: return GRAPH_ATTR_OPAQUE;
	}
	static const struct { uint32_t number; int type; } by_field[] = {
		{ ATTR_f, OG_ATTR_FLOAT }, { ATTR_i, OG_ATTR_INT }, { ATTR_s, OG_ATTR_STRING }, { ATTR_t, OG_ATTR_TENSOR },
		{ ATTR_g, OG_ATTR_GRAPH }, { ATTR_floats, OG_ATTR_FLOATS }, { ATTR_ints, OG_ATTR_INTS },
		{ ATTR_strings, OG_ATTR_STRINGS },
	};
	for (size_t k = 0; k < sizeof by_field / sizeof *by_field; k++)
		if (c->seen >> by_field[k].number & 1) return by_field[k].type;
	return GRAPH_ATTR_OPAQUE;
}

static og_status read_ints(onnx_reader *r, graph_attr *a, const content *c)
{
	int64_t *ints = arena_array(r->a, c->n_ints, sizeof *ints);
	wire_reader w = onnx_open(ONNX_ATTR, c->bytes, r->base);
	wire_field f;
	NEED(ints);
	do {
		TRY(wire_next(&w, &f));
		for (graph_bytes run = f.bytes; f.number == ATTR_ints && run.n > 0;) {
			uint64_t value;
			if (!wire_varint(&run, &value)) return base_fail(OG_BAD_FILE, "integer %zu has more than 64 bits", a->n);
			ints[a->n++] = (int64_t)value;
		}
	} while (f.number != 0);
	a->ints = ints;
	return OG_OK;
}

static og_status read_floats(onnx_reader *r, graph_attr *a, const content *c)
{
	float *floats = arena_array(r->a, c->n_floats, sizeof *floats);
	wire_reader w = onnx_open(ONNX_ATTR, c->bytes, r->base);
	wire_field f;
	NEED(floats);
	do {
		TRY(wire_next(&w, &f));
		if (f.number != ATTR_floats || f.bytes.n == 0) continue;
		memcpy(floats + a->n, f.bytes.p, f.bytes.n);
		a->n += f.bytes.n / sizeof *floats;
	} while (f.number != 0);
	a->floats = floats;
	return OG_OK;
}

/* A list with a NUL in one of its strings is kept by its bytes only: nothing here has such strings as words. */
static og_status read_strings(onnx_reader *r, graph_attr *a, const content *c)
{
	const char **strings = arena_array(r->a, c->n_strings, sizeof *strings);
	wire_reader w = onnx_open(ONNX_ATTR, c->bytes, r->base);
	wire_field f;
	NEED(strings);
	do {
		TRY(wire_next(&w, &f));
		if (f.number != ATTR_strings) continue;
		if (f.bytes.n > 0 && memchr(f.bytes.p, '\0', f.bytes.n)) a->type = GRAPH_ATTR_OPAQUE;
		strings[a->n] = arena_strndup(r->a, (const char *)f.bytes.p, f.bytes.n);
		NEED(strings[a->n]);
		a->n++;
	} while (f.number != 0);
	a->strings = strings;
	return OG_OK;
}

static og_status read_tensor(onnx_reader *r, graph_attr *a, const content *c)
{
	og_tensor *t = arena_alloc(r->a, sizeof *t);
	graph_bytes name;
	NEED(t);
	if (!c->t.p) return base_fail(OG_BAD_FILE, "it is a tensor and has none");
	TRY(onnx_decode_tensor(r, t, &name, c->t));
	if (name.n > 0) TRY(onnx_name(&a->t_name, r->a, name));
	a->t = t;
	return OG_OK;
}

static og_status read_body(onnx_reader *r, graph_attr *a, graph_node *holder, const content *c)
{
	if (!c->g.p) return base_fail(OG_BAD_FILE, "it is a graph and has none");
	if (!holder) return base_fail(OG_UNSUPPORTED, "a graph is no default value that Opgraft knows");
	if (r->depth >= GRAPH_MAX_NESTING)
		return base_fail(OG_BAD_FILE, "graphs are nested more than %d deep", GRAPH_MAX_NESTING);
	a->g = graph_create(r->m, holder->owner, NULL);
	NEED(a->g);
	a->g->holder = holder;
	r->depth++;
	og_status status = onnx_read_graph(r, a->g, c->g);
	r->depth--;
	return status;
}

og_status onnx_read_attr(onnx_reader *r, graph_attr *a, graph_node *holder, graph_bytes bytes)
{
	content c;
	TRY(read_content(&c, bytes, r->base));
	*a = (graph_attr){ .type = type_of(&c) };
	TRY(onnx_name(&a->name, r->a, c.name));
	if (!*a->name) return base_fail(OG_BAD_FILE, "it has no name");
	a->source = bytes;
	if (c.ref.n > 0) return onnx_name(&a->ref, r->a, c.ref);
	switch (a->type) {
	case OG_ATTR_INT: a->i = (int64_t)c.i; return OG_OK;
	case OG_ATTR_FLOAT: a->f = c.f; return OG_OK;
	case OG_ATTR_STRING:
		a->s = arena_strndup(r->a, (const char *)c.s.p, c.s.n);
		a->n = c.s.n;
		return a->s ? OG_OK : base_no_memory();
	case OG_ATTR_INTS: return read_ints(r, a, &c);
	case OG_ATTR_FLOATS: return read_floats(r, a, &c);
	case OG_ATTR_STRINGS: return read_strings(r, a, &c);
	case OG_ATTR_TENSOR: return read_tensor(r, a, &c);
	case OG_ATTR_GRAPH: return read_body(r, a, holder, &c);
	default: return OG_OK;
	}
}

/* ---- what nodes use -------------------------------------------------------------------------- */

static og_status set_input(onnx_reader *r, graph_node *n, int k, graph_bytes bytes)
{
	const char *name;
	TRY(onnx_name(&name, r->temporary, bytes));
	if (!*name) return OG_OK;
	graph_value *v = graph_value_lookup(n->owner, name);
	if (!v) return base_fail(OG_BAD_FILE, "its input '%s' is made by no node and is no input or constant", name);
	return graph_set_input(n, k, v);
}

static og_status fill_node(onnx_reader *r, graph_node *n, graph_bytes bytes)
{
	size_t n_attrs = 0, attr = 0;
	int input = 0;
	wire_reader w = onnx_open(ONNX_NODE, bytes, r->base);
	wire_field f;
	do {
		TRY(wire_next(&w, &f));
		n_attrs += f.number == NODE_attribute;
	} while (f.number != 0);
	if (n_attrs > ONNX_MAX_ATTRS)
		return base_fail(OG_UNSUPPORTED, "it has %zu attributes; Opgraft reads up to %d", n_attrs, ONNX_MAX_ATTRS);
	n->attrs = arena_array(r->a, n_attrs, sizeof *n->attrs);
	NEED(n->attrs);
	n->cap_attrs = n_attrs;
	w = onnx_open(ONNX_NODE, bytes, r->base);
	do {
		TRY(wire_next(&w, &f));
		if (f.number == NODE_input) TRY(set_input(r, n, input++, f.bytes));
		if (f.number != NODE_attribute) continue;
		og_status status = onnx_read_attr(r, &n->attrs[attr], n, f.bytes);
		if (status != OG_OK) return onnx_fail_in(status, "attribute", attr, ONNX_ATTR, f.bytes);
		n->n_attrs = (int)++attr;
	} while (f.number != 0);
	return OG_OK;
}

/* Nodes come in the order in which create_node made them. */
static og_status fill_next(onnx_reader *r, graph *g, graph_bytes bytes, void *state)
{
	graph_node **next = state, *n = *next;
	(void)g;
	*next = n->next;
	return fill_node(r, n, bytes);
}

og_status onnx_fill_nodes(onnx_reader *r, graph *g, const onnx_parts *nodes)
{
	graph_node *next = g->first;
	return onnx_each_part(r, g, nodes, fill_next, &next);
}
