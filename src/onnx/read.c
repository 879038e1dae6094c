/* read.c -- ModelProto, GraphProto and FunctionProto: from a mapped file to a model. */
#include "onnx/private.h"

#include <inttypes.h>

enum { FIRST_IR = 3, LAST_IR = 13, FIRST_OPSET = 7, LAST_OPSET = 26 };

/* ---- names and places ------------------------------------------------------------------------ */

og_status onnx_name(const char **out, arena *a, graph_bytes b)
{
	if (b.n > 0 && memchr(b.p, '\0', b.n))
		return base_fail(OG_BAD_FILE, "the name '%.64s' has a NUL byte in it", (const char *)b.p);
	*out = arena_strndup(a, (const char *)b.p, b.n);
	return *out ? OG_OK : base_no_memory();
}

graph_bytes *onnx_remember(onnx_reader *r, graph_bytes b)
{
	graph_bytes *own = arena_alloc(r->a, sizeof *own);
	if (own) *own = b;
	return own;
}

/* Which field of a message says what people call it. */
static graph_bytes label_of(onnx_message message, graph_bytes b)
{
	switch (message) {
	case ONNX_NODE: {
		graph_bytes name = onnx_find(message, b, NODE_name);
		return name.n > 0 ? name : onnx_find(message, b, NODE_op_type);
	}
	case ONNX_ATTR: return onnx_find(message, b, ATTR_name);
	case ONNX_TENSOR: return onnx_find(message, b, TENSOR_name);
	case ONNX_VALUE: return onnx_find(message, b, VALUE_name);
	case ONNX_FUNCTION: return onnx_find(message, b, FUNCTION_name);
	case ONNX_OPSET: return onnx_find(message, b, OPSET_domain);
	case ONNX_MESSAGE_COUNT: return b;
	default: return (graph_bytes){ 0 };
	}
}

og_status onnx_fail_in(og_status status, const char *what, size_t k, onnx_message message, graph_bytes b)
{
	char sentence[1024];
	if (strlen(base_error()) > 512) return status;       /* bodies in bodies: the innermost places say enough */
	memcpy(sentence, base_error(), strlen(base_error()) + 1);    /* finding the label may fail in turn */
	graph_bytes label = label_of(message, b);
	int n = label.n > 64 ? 64 : (int)label.n;
	base_fail(status, "%s", sentence);
	if (n == 0) return base_fail_in(status, "%s %zu", what, k);
	return base_fail_in(status, "%s %zu ('%.*s')", what, k, n, (const char *)label.p);
}

og_status onnx_each_part(onnx_reader *r, graph *g, const onnx_parts *parts, onnx_part_fn *fn, void *state)
{
	wire_reader w = onnx_open(parts->owner, parts->bytes, r->base);
	wire_field f;
	for (size_t k = 0;;) {
		TRY(wire_next(&w, &f));
		if (f.number == 0) return OG_OK;
		if (f.number != parts->number) continue;
		og_status status = fn(r, g, f.bytes, state);
		if (status != OG_OK) return onnx_fail_in(status, parts->what, k, parts->part, f.bytes);
		k++;
	}
}

/* ---- types ----------------------------------------------------------------------------------- */

static og_status read_dim(onnx_reader *r, og_dim *out, graph_bytes bytes)
{
	wire_reader w = onnx_open(ONNX_DIM, bytes, r->base);
	wire_field f;
	const char *name;
	*out = GRAPH_DIM_UNKNOWN;
	for (;;) {
		TRY(wire_next(&w, &f));
		if (f.number == 0) return OG_OK;
		if (f.number == DIM_dim_value) *out = f.value <= INT64_MAX ? (og_dim)f.value : GRAPH_DIM_UNKNOWN;
		if (f.number != DIM_dim_param || f.bytes.n == 0) continue;
		TRY(onnx_name(&name, r->temporary, f.bytes));
		*out = graph_dim_symbol(r->m, name);
		if (*out == GRAPH_DIM_UNKNOWN) return base_no_memory();
	}
}

static og_status read_shape(onnx_reader *r, graph_value *v, graph_bytes bytes)
{
	wire_reader w = onnx_open(ONNX_SHAPE, bytes, r->base);
	wire_field f;
	int rank = 0;
	for (;;) {
		TRY(wire_next(&w, &f));
		if (f.number == 0) break;
		if (f.number != SHAPE_dim) continue;
		if (rank == OG_MAX_RANK) return OG_OK;       /* more than we hold: the rank stays unknown */
		TRY(read_dim(r, &v->dims[rank++], f.bytes));
	}
	v->rank = rank;
	return OG_OK;
}

/* Types that are no dense tensors leave OG_NONE. */
static og_status read_type(onnx_reader *r, graph_value *v, graph_bytes bytes)
{
	graph_bytes tensor = { 0 }, shape = { 0 };
	wire_reader w = onnx_open(ONNX_TYPE, bytes, r->base);
	wire_field f;
	v->dtype = OG_NONE;
	v->rank = -1;
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TYPE_tensor_type) tensor = f.bytes;
	} while (f.number != 0);
	w = onnx_open(ONNX_TYPE_TENSOR, tensor, r->base);
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TYPE_TENSOR_elem_type && f.value < OG_DTYPE_COUNT) v->dtype = (og_dtype)f.value;
		if (f.number == TYPE_TENSOR_shape) shape = f.bytes;
	} while (f.number != 0);
	return shape.p && v->dtype != OG_NONE ? read_shape(r, v, shape) : OG_OK;
}

static onnx_value_file *value_file(onnx_reader *r, graph_value *v)
{
	if (!v->file) v->file = arena_alloc(r->a, sizeof(onnx_value_file));
	return v->file;
}

/* Gives the value what a ValueInfoProto says. A constant knows its own type better. */
static og_status apply_info(onnx_reader *r, graph_value *v, graph_bytes bytes)
{
	wire_reader w = onnx_open(ONNX_VALUE, bytes, r->base);
	wire_field f;
	onnx_value_file *file = value_file(r, v);
	NEED(file);
	if (file->info.p) {                          /* said twice: the last one counts, whose bytes are kept */
		v->doc = NULL;
		if (!v->constant) v->dtype = OG_NONE;
		if (!v->constant) v->rank = -1;
	}
	file->info = bytes;
	for (;;) {
		TRY(wire_next(&w, &f));
		if (f.number == 0) return OG_OK;
		if (f.number == VALUE_type && !v->constant) TRY(read_type(r, v, f.bytes));
		if (f.number != VALUE_doc_string) continue;
		v->doc = arena_strndup(r->a, (const char *)f.bytes.p, f.bytes.n);
		NEED(v->doc);
	}
}

/* ---- values ---------------------------------------------------------------------------------- */

static og_status value_name(onnx_reader *r, const char **name, graph_bytes bytes)
{
	TRY(onnx_name(name, r->temporary, bytes));
	return **name ? OG_OK : base_fail(OG_BAD_FILE, "it has no name");
}

static og_status info_name(onnx_reader *r, const char **name, graph_bytes info)
{
	wire_reader w = onnx_open(ONNX_VALUE, info, r->base);
	wire_field f;
	graph_bytes found = { 0 };
	do {
		TRY(wire_next(&w, &f));
		if (f.number == VALUE_name) found = f.bytes;
	} while (f.number != 0);
	return value_name(r, name, found);
}

/* state: true for sparse ones */
static og_status add_constant(onnx_reader *r, graph *g, graph_bytes bytes, void *state)
{
	const bool *sparse = state;
	og_tensor t;
	graph_bytes label;
	const char *name;
	graph_value *v;
	TRY((*sparse ? onnx_decode_sparse : onnx_decode_tensor)(r, &t, &label, bytes));
	TRY(value_name(r, &name, label));
	if (graph_value_find(g, name)) return base_fail(OG_BAD_FILE, "there is a constant of that name already");
	TRY(graph_constant_add(&v, g, name, &t));
	onnx_value_file *file = value_file(r, v);
	NEED(file);
	file->tensor = bytes;
	file->constant = v->constant;
	file->sparse = *sparse;
	return OG_OK;
}

static og_status add_named_input(graph *g, graph_value **v, const char *name)
{
	*v = graph_value_find(g, name);
	if (*v && (*v)->is_input) return base_fail(OG_BAD_FILE, "there is an input of that name already");
	if (!*v) TRY(graph_value_add(v, g, name, OG_NONE, -1, NULL));
	return graph_input_add(g, *v);
}

static og_status add_input(onnx_reader *r, graph *g, graph_bytes bytes, void *state)
{
	const char *name;
	graph_value *v;
	(void)state;
	TRY(info_name(r, &name, bytes));
	TRY(add_named_input(g, &v, name));
	return apply_info(r, v, bytes);
}

static og_status add_parameter(onnx_reader *r, graph *g, graph_bytes bytes, void *state)
{
	const char *name;
	graph_value *v;
	(void)state;
	TRY(value_name(r, &name, bytes));
	return add_named_input(g, &v, name);
}

static og_status add_info(onnx_reader *r, graph *g, graph_bytes bytes, void *state)
{
	const char *name;
	(void)state;
	TRY(info_name(r, &name, bytes));
	graph_value *v = graph_value_find(g, name);
	if (!v) TRY(graph_value_add(&v, g, name, OG_NONE, -1, NULL));
	return v->is_input ? OG_OK : apply_info(r, v, bytes);        /* an input has said it already */
}

/* Types of values that nothing makes say nothing: some tools leave them behind. */
static void drop_unmade(graph *g)
{
	for (graph_value *v = g->first_value, *next; v; v = next) {
		next = v->next;
		if (!v->producer && !v->is_input && !v->constant) graph_value_remove(v);
	}
}

static og_status add_named_output(graph *g, graph_value **v, const char *name)
{
	*v = graph_value_find(g, name);
	if (*v) return graph_output_add(g, *v);
	if (graph_value_lookup(g, name))
		return base_fail(OG_BAD_FILE, "it is a value of the graph around this one; put an Identity between");
	return base_fail(OG_BAD_FILE, "no node makes it and it is no input or constant");
}

static og_status add_output(onnx_reader *r, graph *g, graph_bytes bytes, void *state)
{
	const char *name;
	graph_value *v;
	(void)state;
	TRY(info_name(r, &name, bytes));
	TRY(add_named_output(g, &v, name));
	return v->is_input ? OG_OK : apply_info(r, v, bytes);
}

static og_status add_result(onnx_reader *r, graph *g, graph_bytes bytes, void *state)
{
	const char *name;
	graph_value *v;
	(void)state;
	TRY(value_name(r, &name, bytes));
	return add_named_output(g, &v, name);
}

/* ---- graphs and functions --------------------------------------------------------------------- */

static og_status read_text(onnx_reader *r, const char **out, graph_bytes b)
{
	*out = arena_strndup(r->a, (const char *)b.p, b.n);
	return *out ? OG_OK : base_no_memory();
}

static og_status read_graph_head(onnx_reader *r, graph *g, graph_bytes bytes)
{
	wire_reader w = onnx_open(ONNX_GRAPH, bytes, r->base);
	wire_field f;
	for (;;) {
		TRY(wire_next(&w, &f));
		if (f.number == 0) return OG_OK;
		if (f.number == GRAPH_name) TRY(read_text(r, &g->name, f.bytes));
		if (f.number == GRAPH_doc_string) TRY(read_text(r, &g->doc, f.bytes));
	}
}

/* Values are made in the order in which the writer puts them: constants, inputs, typed values, other outputs of
 * nodes. What nodes use comes last, when all of this graph's names are known to the bodies in it. */
og_status onnx_read_graph(onnx_reader *r, graph *g, graph_bytes b)
{
	bool sparse = true, dense = false;
	const onnx_parts
		constants = { ONNX_GRAPH, b, GRAPH_initializer, ONNX_TENSOR, "initializer" },
		sparse_constants = { ONNX_GRAPH, b, GRAPH_sparse_initializer, ONNX_SPARSE, "sparse initializer" },
		inputs = { ONNX_GRAPH, b, GRAPH_input, ONNX_VALUE, "input" },
		infos = { ONNX_GRAPH, b, GRAPH_value_info, ONNX_VALUE, "value_info" },
		nodes = { ONNX_GRAPH, b, GRAPH_node, ONNX_NODE, "node" },
		outputs = { ONNX_GRAPH, b, GRAPH_output, ONNX_VALUE, "output" };
	TRY(read_graph_head(r, g, b));
	TRY(onnx_each_part(r, g, &constants, add_constant, &dense));
	TRY(onnx_each_part(r, g, &sparse_constants, add_constant, &sparse));
	TRY(onnx_each_part(r, g, &inputs, add_input, NULL));
	TRY(onnx_each_part(r, g, &infos, add_info, NULL));
	TRY(onnx_read_nodes(r, g, &nodes));
	drop_unmade(g);
	TRY(onnx_each_part(r, g, &outputs, add_output, NULL));
	TRY(onnx_fill_nodes(r, g, &nodes));
	g->file = onnx_remember(r, b);
	return g->file ? OG_OK : base_no_memory();
}

static og_status read_opset(onnx_reader *r, graph_opset *out, graph_bytes bytes)
{
	wire_reader w = onnx_open(ONNX_OPSET, bytes, r->base);
	wire_field f;
	*out = (graph_opset){ .domain = "" };
	do {
		TRY(wire_next(&w, &f));
		if (f.number == OPSET_domain) TRY(onnx_name(&out->domain, r->a, f.bytes));
		if (f.number == OPSET_version) out->version = (int64_t)f.value;
	} while (f.number != 0);
	bool own = !*out->domain || strcmp(out->domain, "ai.onnx") == 0;
	if (own && (out->version < FIRST_OPSET || out->version > LAST_OPSET))
		return base_fail(OG_UNSUPPORTED, "it is version %" PRId64 " of ONNX's operators; Opgraft reads %d to %d: "
		                 "convert the model", out->version, FIRST_OPSET, LAST_OPSET);
	return OG_OK;
}

/* How many fields of that number the message has: functions, opset imports, attributes of a function. */
static og_status count_parts(onnx_reader *r, onnx_message message, graph_bytes b, uint32_t number, size_t *out)
{
	wire_reader w = onnx_open(message, b, r->base);
	wire_field f;
	*out = 0;
	do {
		TRY(wire_next(&w, &f));
		*out += f.number == number;
	} while (f.number != 0);
	return *out <= ONNX_MAX_FUNCTIONS ? OG_OK : base_fail(OG_UNSUPPORTED, "it has %zu %s; Opgraft reads up to %d",
	                                                      *out, onnx_field_name(message, number), ONNX_MAX_FUNCTIONS);
}

/* The opset imports of a model or function. */
static og_status read_opsets(onnx_reader *r, onnx_message message, graph_bytes b, uint32_t number,
                             graph_opset **out, int *n)
{
	size_t count, k = 0;
	TRY(count_parts(r, message, b, number, &count));
	graph_opset *opsets = arena_array(r->a, count, sizeof *opsets);
	wire_reader w = onnx_open(message, b, r->base);
	wire_field f;
	NEED(opsets);
	do {
		TRY(wire_next(&w, &f));
		if (f.number != number) continue;
		og_status status = read_opset(r, &opsets[k], f.bytes);
		if (status != OG_OK) return onnx_fail_in(status, "opset import", k, ONNX_OPSET, f.bytes);
		k++;
	} while (f.number != 0);
	*out = opsets;
	*n = (int)k;
	return OG_OK;
}

/* What a function says of itself; its names of attributes without a default go to `names`. */
static og_status read_function_head(onnx_reader *r, graph_function *fn, const char **names, graph_bytes b)
{
	wire_reader w = onnx_open(ONNX_FUNCTION, b, r->base);
	wire_field f;
	fn->name = fn->domain = "";
	for (;;) {
		TRY(wire_next(&w, &f));
		switch (f.number) {
		case 0: return *fn->name ? OG_OK : base_fail(OG_BAD_FILE, "it has no name");
		case FUNCTION_name: TRY(onnx_name(&fn->name, r->a, f.bytes)); break;
		case FUNCTION_domain: TRY(onnx_name(&fn->domain, r->a, f.bytes)); break;
		case FUNCTION_doc_string: TRY(read_text(r, &fn->body->doc, f.bytes)); break;
		case FUNCTION_attribute: TRY(onnx_name(&names[fn->n_attributes++], r->a, f.bytes)); break;
		case FUNCTION_attribute_proto: {
			og_status status = onnx_read_attr(r, &fn->defaults[fn->n_defaults], NULL, f.bytes);
			if (status != OG_OK) return onnx_fail_in(status, "attribute", (size_t)fn->n_defaults, ONNX_ATTR, f.bytes);
			fn->n_defaults++;
			break;
		}
		case FUNCTION_overload:
			if (f.bytes.n > 0) return base_fail(OG_UNSUPPORTED, "it is an overload; give each function its own name");
			break;
		default: break;
		}
	}
}

static og_status read_function(onnx_reader *r, graph_function *fn, graph_bytes b)
{
	const onnx_parts
		inputs = { ONNX_FUNCTION, b, FUNCTION_input, ONNX_MESSAGE_COUNT, "input" },
		infos = { ONNX_FUNCTION, b, FUNCTION_value_info, ONNX_VALUE, "value_info" },
		nodes = { ONNX_FUNCTION, b, FUNCTION_node, ONNX_NODE, "node" },
		outputs = { ONNX_FUNCTION, b, FUNCTION_output, ONNX_MESSAGE_COUNT, "output" };
	size_t n_names, n_defaults;
	TRY(count_parts(r, ONNX_FUNCTION, b, FUNCTION_attribute, &n_names));
	TRY(count_parts(r, ONNX_FUNCTION, b, FUNCTION_attribute_proto, &n_defaults));
	const char **names = arena_array(r->a, n_names, sizeof *names);
	NEED(names);
	fn->attributes = names;
	fn->defaults = arena_array(r->a, n_defaults, sizeof *fn->defaults);
	NEED(fn->defaults);
	fn->body = graph_create(r->m, NULL, NULL);
	NEED(fn->body);
	TRY(read_function_head(r, fn, names, b));
	fn->body->name = fn->name;
	TRY(read_opsets(r, ONNX_FUNCTION, b, FUNCTION_opset_import, &fn->opsets, &fn->n_opsets));
	TRY(onnx_each_part(r, fn->body, &inputs, add_parameter, NULL));
	TRY(onnx_each_part(r, fn->body, &infos, add_info, NULL));
	TRY(onnx_read_nodes(r, fn->body, &nodes));
	drop_unmade(fn->body);
	TRY(onnx_each_part(r, fn->body, &outputs, add_result, NULL));
	TRY(onnx_fill_nodes(r, fn->body, &nodes));
	fn->file = fn->body->file = onnx_remember(r, b);
	return fn->file ? OG_OK : base_no_memory();
}

/* The functions get into the model when all are read: until then no change has to look for its function. */
static og_status read_functions(onnx_reader *r, graph_bytes b, graph_function **out, int *n)
{
	size_t count, k = 0;
	map known = { 0 };
	og_status status = OG_OK;
	TRY(count_parts(r, ONNX_MODEL, b, MODEL_functions, &count));
	graph_function *fns = arena_array(r->a, count, sizeof *fns);
	wire_reader w = onnx_open(ONNX_MODEL, b, r->base);
	wire_field f;
	NEED(fns);
	while (k < count && status == OG_OK && (status = wire_next(&w, &f)) == OG_OK) {
		if (f.number != MODEL_functions) continue;
		status = read_function(r, &fns[k], f.bytes);
		const char *key = status == OG_OK ? arena_printf(r->temporary, "%s::%s", fns[k].domain, fns[k].name) : NULL;
		if (status == OG_OK && !key) status = base_no_memory();
		if (status == OG_OK && map_get(&known, key))
			status = base_fail(OG_BAD_FILE, "there is a function of that name already");
		if (status == OG_OK) status = map_put(&known, key, &fns[k]);
		if (status != OG_OK) onnx_fail_in(status, "function", k, ONNX_FUNCTION, f.bytes);
		k++;
	}
	map_free(&known);
	*out = fns;
	*n = (int)count;
	return status;
}

/* ---- models ---------------------------------------------------------------------------------- */

/* Nothing has been changed yet: every object equals its bytes. */
static void mark_unchanged(graph *g)
{
	g->source = *(const graph_bytes *)g->file;
	for (graph_value *v = g->first_value; v; v = v->next) {
		const onnx_value_file *file = v->file;
		if (!file) continue;
		v->source = file->tensor;
		v->info = file->info;
	}
	for (graph_node *n = g->first; n; n = n->next) {
		n->source = *(const graph_bytes *)n->file;
		wire_reader w = onnx_open(ONNX_NODE, n->source, n->source.p);
		wire_field f;
		for (int k = 0; k < n->n_attrs && wire_next(&w, &f) == OG_OK;) {
			if (f.number != NODE_attribute) continue;
			n->attrs[k].source = f.bytes;
			if (n->attrs[k].g) mark_unchanged(n->attrs[k].g);
			k++;
		}
	}
}

static og_status read_model_head(onnx_reader *r, graph_bytes b, graph_bytes *main)
{
	wire_reader w = onnx_open(ONNX_MODEL, b, r->base);
	wire_field f;
	bool versioned = false;
	for (;;) {
		TRY(wire_next(&w, &f));
		if (f.number == 0) break;
		if (f.number == MODEL_ir_version) {
			r->m->ir_version = (int64_t)f.value;
			versioned = true;
		}
		if (f.number == MODEL_graph) *main = f.bytes;
	}
	if (!versioned || !main->p)
		return base_fail(OG_BAD_FILE, "it has no %s; it is no ONNX model", versioned ? "graph" : "ir_version");
	if (r->m->ir_version < FIRST_IR || r->m->ir_version > LAST_IR)
		return base_fail(OG_UNSUPPORTED, "it has IR version %" PRId64 "; Opgraft reads %d to %d: convert the model",
		                 r->m->ir_version, FIRST_IR, LAST_IR);
	return OG_OK;
}

static og_status read_model(onnx_reader *r, graph_bytes b)
{
	og_model *m = r->m;
	graph_bytes main = { 0 };
	graph_function *functions = NULL;
	int n_functions = 0;
	TRY(read_model_head(r, b, &main));
	TRY(read_opsets(r, ONNX_MODEL, b, MODEL_opset_import, &m->opsets, &m->n_opsets));
	og_status status = onnx_read_graph(r, m->main, main);
	if (status != OG_OK) return base_fail_in(status, "graph");
	TRY(read_functions(r, b, &functions, &n_functions));
	m->functions = functions;
	m->n_functions = n_functions;
	TRY(graph_sort(m->main));
	for (int k = 0; k < n_functions; k++) TRY(graph_sort(functions[k].body));
	r->file->bytes = b;
	m->file = r->file;
	mark_unchanged(m->main);
	for (int k = 0; k < n_functions; k++) {
		mark_unchanged(functions[k].body);
		functions[k].source = functions[k].body->source;
	}
	m->source = b;
	return graph_verify(m);
}

/* Reads into an empty model, which ends when that fails. beside: see onnx_model_file. */
static og_status read_into(og_model **out, og_model *m, graph_bytes b, const char *beside, const char *name)
{
	onnx_reader r = { .a = m->a, .m = m, .base = b.p, .temporary = arena_create() };
	og_status status = OG_OK;
	r.file = arena_alloc(m->a, sizeof *r.file);
	if (!r.temporary || !r.file) status = base_no_memory();
	if (status == OG_OK) {
		r.file->beside = beside;
		status = read_model(&r, b);
	}
	map_free(&r.external);
	arena_destroy(r.temporary);
	if (status == OG_OK) {
		*out = m;
		return OG_OK;
	}
	graph_model_destroy(m);
	return base_fail_in(status, "%s", name);
}

og_status onnx_read_memory(og_model **out, const void *data, size_t n, const char *folder)
{
	*out = NULL;
	og_model *m = graph_model_create();
	NEED(m);
	const char *beside = folder ? arena_printf(m->a, "%s/", folder) : NULL;
	if (!folder || beside) return read_into(out, m, (graph_bytes){ data, n }, beside, "the model");
	graph_model_destroy(m);
	return base_no_memory();
}

og_status onnx_read(og_model **out, const char *path)
{
	file_map file;
	*out = NULL;
	TRY(file_open(&file, path));
	og_model *m = graph_model_create();
	file_map *files = m ? arena_grow(m->a, NULL, 0, &m->cap_files, 1, sizeof *files) : NULL;
	if (files) {
		files[0] = file;
		m->files = files;
		m->n_files = 1;
		m->path = arena_strdup(m->a, path);
		if (m->path) return read_into(out, m, (graph_bytes){ file.data, file.size }, m->path, path);
	} else {
		file_close(&file);
	}
	graph_model_destroy(m);
	return base_no_memory();
}
