/* encode.c -- nodes, attributes, tensors, types and graphs as messages. A message whose bytes are known and still
 * right is copied; else its fields are put by number, those that the graph has no word for taken from the file. */
#include "onnx/private.h"

enum { MOVED_FROM = 1024, PAGE = 4096 };        /* bytes: smaller tensors stay inside; external data is on pages */

#define BIT(field) (1u << (field))

static void refuse(onnx_writer *w, og_status status)
{
	if (w->status == OG_OK) w->status = status;
}

/* ---- tensors --------------------------------------------------------------------------------- */

static size_t span_of(const og_tensor *t)
{
	int64_t count;
	return base_count(t->dims, t->rank, &count) ? base_dtype_span(t->dtype, (uint64_t)count) : SIZE_MAX;
}

static void put_entry(onnx_writer *w, uint32_t number, const char *key, const char *value)
{
	wire_mark entry = wire_begin(&w->out, number);
	wire_put_string(&w->out, ENTRY_key, key);
	wire_put_string(&w->out, ENTRY_value, value);
	wire_end(&w->out, entry);
}

/* Gives the data the next pages of the external file and puts the reference to it. */
static void put_moved(onnx_writer *w, const og_tensor *t)
{
	onnx_payload *grown = arena_grow(w->out.a, w->payloads, w->n_payloads, &w->cap_payloads, w->n_payloads + 1,
	                                 sizeof *grown);
	uint64_t offset = (w->data_size + PAGE - 1) / PAGE * PAGE;
	char *from = arena_printf(w->out.a, "%llu", (unsigned long long)offset);
	char *length = arena_printf(w->out.a, "%zu", span_of(t));
	if (!grown || !from || !length) {
		w->out.failed = true;
		return;
	}
	w->payloads = grown;
	grown[w->n_payloads++] = (onnx_payload){ t->data, span_of(t), offset };
	w->data_size = offset + span_of(t);
	put_entry(w, TENSOR_external_data, "location", w->data_name);
	put_entry(w, TENSOR_external_data, "offset", from);
	put_entry(w, TENSOR_external_data, "length", length);
	wire_put_int(&w->out, TENSOR_data_location, 1);
}

void onnx_put_tensor_fields(onnx_writer *w, const onnx_tensor_out *o, bool move)
{
	const uint32_t keep = BIT(TENSOR_doc_string) | BIT(TENSOR_metadata_props);
	wire_kept kept = onnx_keep(ONNX_TENSOR, o->file, ~keep);
	for (int i = 0; i < o->t->rank; i++) wire_put_int(&w->out, TENSOR_dims, (uint64_t)o->t->dims[i]);
	wire_put_int(&w->out, TENSOR_data_type, (uint64_t)o->t->dtype);
	wire_put_own(&w->out, &kept, TENSOR_name, o->name ? o->name : "");
	if (!move) wire_put_bytes(&w->out, TENSOR_raw_data, o->t->data, span_of(o->t));
	wire_put_kept(&w->out, &kept, TENSOR_external_data);
	if (move) put_moved(w, o->t);
	wire_put_rest(&w->out, &kept);
}

static void put_new_tensor(onnx_writer *w, uint32_t number, const onnx_tensor_out *o, bool move)
{
	wire_mark tensor = wire_begin(&w->out, number);
	onnx_put_tensor_fields(w, o, move);
	wire_end(&w->out, tensor);
}

static bool can_be_made(const og_tensor *t) { return t->data && span_of(t) != SIZE_MAX; }

/* As it stands in the file, but for the name. */
static void put_renamed_tensor(onnx_writer *w, uint32_t number, const onnx_tensor_out *o)
{
	wire_kept kept = onnx_keep(ONNX_TENSOR, o->file, BIT(TENSOR_name));
	wire_mark tensor = wire_begin(&w->out, number);
	wire_put_own(&w->out, &kept, TENSOR_name, o->name ? o->name : "");
	wire_put_rest(&w->out, &kept);
	wire_end(&w->out, tensor);
}

void onnx_put_tensor(onnx_writer *w, uint32_t number, const onnx_tensor_out *o)
{
	graph_bytes location = { 0 };
	bool outside = w->moving && o->file.p && onnx_tensor_is_external(o->file, &location);
	bool stays = outside && w->same_folder && !(w->external && wire_is(location, w->data_name));
	bool move = outside ? !stays : w->external && o->movable && can_be_made(o->t) && span_of(o->t) >= MOVED_FROM;
	if (!move && o->source.p && !w->reencode) wire_put_bytes(&w->out, number, o->source.p, o->source.n);
	else if (!move && o->file.p) put_renamed_tensor(w, number, o);
	else if (can_be_made(o->t)) put_new_tensor(w, number, o, move);
	else refuse(w, base_fail(OG_UNSUPPORTED, "constant '%s' holds strings, which can be copied from a file but not be "
	                         "made anew", o->name ? o->name : ""));
}

void onnx_put_sparse(onnx_writer *w, uint32_t number, const onnx_tensor_out *o)
{
	wire_kept kept = onnx_keep(ONNX_SPARSE, o->file, BIT(SPARSE_values));
	wire_mark sparse = wire_begin(&w->out, number);
	onnx_tensor_out values = *o;
	values.file = onnx_find(ONNX_SPARSE, o->file, SPARSE_values);
	values.source = o->source.p ? values.file : o->source;
	values.movable = false;
	onnx_put_tensor(w, SPARSE_values, &values);
	wire_put_rest(&w->out, &kept);
	wire_end(&w->out, sparse);
}

/* Is the constant still the one that the file has? Copies of a model have tensors of their own over the same data. */
static bool is_of_file(const og_tensor *t, const onnx_value_file *file)
{
	const og_tensor *was = file ? file->constant : NULL;
	return was && t->data == was->data && t->dtype == was->dtype && t->rank == was->rank &&
	       memcmp(t->dims, was->dims, (size_t)t->rank * sizeof *t->dims) == 0;
}

static void put_constants(onnx_writer *w, uint32_t number, const graph *g, bool sparse)
{
	for (const graph_value *v = g->first_value; v; v = v->next) {
		if (!v->constant) continue;
		bool of_file = is_of_file(v->constant, v->file);
		const onnx_value_file *file = of_file ? v->file : NULL;
		if (sparse != (file && file->sparse)) continue;
		const onnx_tensor_out o = { .name = v->name, .t = v->constant, .source = v->source, .movable = true,
		                            .file = file ? file->tensor : (graph_bytes){ 0 } };
		if (sparse) onnx_put_sparse(w, number, &o);
		else onnx_put_tensor(w, number, &o);
	}
}

/* ---- types ----------------------------------------------------------------------------------- */

static void put_type(onnx_writer *w, const graph_value *v)
{
	wire_out *o = &w->out;
	wire_mark type = wire_begin(o, VALUE_type), tensor = wire_begin(o, TYPE_tensor_type);
	wire_put_int(o, TYPE_TENSOR_elem_type, (uint64_t)v->dtype);
	if (v->rank >= 0) {
		wire_mark shape = wire_begin(o, TYPE_TENSOR_shape);
		for (int i = 0; i < v->rank; i++) {
			wire_mark dim = wire_begin(o, SHAPE_dim);
			const char *symbol = graph_dim_name(w->m, v->dims[i]);
			if (v->dims[i] >= 0) wire_put_int(o, DIM_dim_value, (uint64_t)v->dims[i]);
			else if (symbol) wire_put_string(o, DIM_dim_param, symbol);
			wire_end(o, dim);
		}
		wire_end(o, shape);
	}
	wire_end(o, tensor);
	wire_end(o, type);
}

static void put_info(onnx_writer *w, uint32_t number, const graph_value *v)
{
	if (v->info.p && !w->reencode) {
		wire_put_bytes(&w->out, number, v->info.p, v->info.n);
		return;
	}
	const onnx_value_file *file = v->file;
	const uint32_t own = BIT(VALUE_name) | BIT(VALUE_doc_string) | (v->dtype != OG_NONE ? BIT(VALUE_type) : 0);
	wire_kept kept = onnx_keep(ONNX_VALUE, file ? file->info : (graph_bytes){ 0 }, own);
	wire_mark info = wire_begin(&w->out, number);
	wire_put_own(&w->out, &kept, VALUE_name, v->name);
	if (v->dtype != OG_NONE) put_type(w, v);
	wire_put_own(&w->out, &kept, VALUE_doc_string, v->doc ? v->doc : "");
	wire_put_rest(&w->out, &kept);
	wire_end(&w->out, info);
}

void onnx_put_infos(onnx_writer *w, uint32_t number, const graph *g, bool all)
{
	for (const graph_value *v = g->first_value; v; v = v->next) {
		const onnx_value_file *file = v->file;
		bool had = v->info.p || (file && file->info.p);
		if (v->is_input || v->is_output) continue;
		if (had || (all && !v->constant && v->producer && v->dtype != OG_NONE)) put_info(w, number, v);
	}
}

static void put_values(onnx_writer *w, uint32_t number, graph_value *const *values, int n)
{
	for (int i = 0; i < n; i++) put_info(w, number, values[i]);
}

/* ---- attributes ------------------------------------------------------------------------------ */

static void put_content(onnx_writer *w, const graph_attr *a)
{
	wire_out *o = &w->out;
	switch (a->type) {
	case OG_ATTR_FLOAT: wire_put_float(o, ATTR_f, a->f); break;
	case OG_ATTR_INT: wire_put_int(o, ATTR_i, (uint64_t)a->i); break;
	case OG_ATTR_STRING: wire_put_bytes(o, ATTR_s, a->s, a->n); break;
	case OG_ATTR_TENSOR: {
		graph_bytes file = onnx_find(ONNX_ATTR, a->source, ATTR_t);
		onnx_put_tensor(w, ATTR_t, &(onnx_tensor_out){ .name = a->t_name, .t = a->t, .source = file, .file = file });
		break;
	}
	case OG_ATTR_GRAPH: onnx_put_graph(w, ATTR_g, a->g); break;
	case OG_ATTR_FLOATS: for (size_t k = 0; k < a->n; k++) wire_put_float(o, ATTR_floats, a->floats[k]); break;
	case OG_ATTR_INTS: for (size_t k = 0; k < a->n; k++) wire_put_int(o, ATTR_ints, (uint64_t)a->ints[k]); break;
	case OG_ATTR_STRINGS: for (size_t k = 0; k < a->n; k++) wire_put_string(o, ATTR_strings, a->strings[k]); break;
	default: break;
	}
}

static uint64_t type_number(int type)
{
	switch (type) {
#define X(type, number) case type: return number;
	ONNX_ATTR_TYPES(X)
#undef X
	default: return 0;
	}
}

/* May a tensor in the attribute go elsewhere, so that its bytes no longer hold? */
static bool attr_may_move(const onnx_writer *w, const graph_attr *a) { return w->moving && (a->t || a->g); }

void onnx_put_attr(onnx_writer *w, uint32_t number, const graph_attr *a)
{
	bool opaque = a->type == GRAPH_ATTR_OPAQUE;
	if (opaque && !a->source.p) {
		refuse(w, base_fail(OG_UNSUPPORTED, "attribute '%s' has a type that can be copied from a file but not be "
		                    "made anew", a->name));
	} else if (a->source.p && (opaque || (!w->reencode && !attr_may_move(w, a)))) {
		wire_put_bytes(&w->out, number, a->source.p, a->source.n);
	} else {
		wire_kept kept = onnx_keep(ONNX_ATTR, a->source, ~BIT(ATTR_doc_string));
		wire_mark attr = wire_begin(&w->out, number);
		wire_put_own(&w->out, &kept, ATTR_name, a->name);
		if (!a->ref) put_content(w, a);
		wire_put_kept(&w->out, &kept, ATTR_type);
		wire_put_int(&w->out, ATTR_type, type_number(a->type));
		wire_put_own(&w->out, &kept, ATTR_ref_attr_name, a->ref ? a->ref : "");
		wire_put_rest(&w->out, &kept);
		wire_end(&w->out, attr);
	}
}

/* ---- nodes and graphs ------------------------------------------------------------------------- */

static void put_arguments(onnx_writer *w, uint32_t number, graph_value *const *values, int n)
{
	for (int k = 0; k < n; k++) wire_put_string(&w->out, number, values[k] ? values[k]->name : "");
}

static void put_node(onnx_writer *w, uint32_t number, const graph_node *n)
{
	bool may_move = false;
	for (int k = 0; k < n->n_attrs; k++) may_move |= attr_may_move(w, &n->attrs[k]);
	if (n->source.p && !w->reencode && !may_move) {
		wire_put_bytes(&w->out, number, n->source.p, n->source.n);
		return;
	}
	const graph_bytes *file = n->file;
	const uint32_t own = BIT(NODE_input) | BIT(NODE_output) | BIT(NODE_name) | BIT(NODE_op_type) | BIT(NODE_attribute) |
	                     BIT(NODE_doc_string) | BIT(NODE_domain);
	wire_kept kept = onnx_keep(ONNX_NODE, file ? *file : (graph_bytes){ 0 }, own);
	wire_mark node = wire_begin(&w->out, number);
	put_arguments(w, NODE_input, n->in, n->n_in);
	put_arguments(w, NODE_output, n->out, n->n_out);
	wire_put_own(&w->out, &kept, NODE_name, n->name);
	wire_put_own(&w->out, &kept, NODE_op_type, n->type);
	for (int k = 0; k < n->n_attrs; k++) onnx_put_attr(w, NODE_attribute, &n->attrs[k]);
	wire_put_own(&w->out, &kept, NODE_doc_string, n->doc ? n->doc : "");
	wire_put_own(&w->out, &kept, NODE_domain, n->domain);
	wire_put_rest(&w->out, &kept);
	wire_end(&w->out, node);
}

void onnx_put_nodes(onnx_writer *w, uint32_t number, const graph *g)
{
	for (const graph_node *n = g->first; n; n = n->next) put_node(w, number, n);
}

void onnx_put_graph(onnx_writer *w, uint32_t number, const graph *g)
{
	if (g->source.p && !w->reencode && !w->moving) {
		wire_put_bytes(&w->out, number, g->source.p, g->source.n);
		return;
	}
	const graph_bytes *file = g->file;
	const uint32_t own = BIT(GRAPH_node) | BIT(GRAPH_name) | BIT(GRAPH_initializer) | BIT(GRAPH_doc_string) |
	                     BIT(GRAPH_input) | BIT(GRAPH_output) | BIT(GRAPH_value_info) | BIT(GRAPH_sparse_initializer);
	wire_kept kept = onnx_keep(ONNX_GRAPH, file ? *file : (graph_bytes){ 0 }, own);
	wire_mark mark = wire_begin(&w->out, number);
	onnx_put_nodes(w, GRAPH_node, g);
	wire_put_own(&w->out, &kept, GRAPH_name, g->name);
	put_constants(w, GRAPH_initializer, g, false);
	wire_put_own(&w->out, &kept, GRAPH_doc_string, g->doc ? g->doc : "");
	put_values(w, GRAPH_input, g->inputs, g->n_inputs);
	put_values(w, GRAPH_output, g->outputs, g->n_outputs);
	onnx_put_infos(w, GRAPH_value_info, g, !file || kept.had & BIT(GRAPH_value_info));
	wire_put_kept(&w->out, &kept, GRAPH_sparse_initializer);
	put_constants(w, GRAPH_sparse_initializer, g, true);
	wire_put_rest(&w->out, &kept);
	wire_end(&w->out, mark);
}

/* ---- functions ------------------------------------------------------------------------------- */

/* A FunctionProto has no initializers: a constant that a pass made in its body becomes a Constant node. */
static void put_constant_nodes(onnx_writer *w, const graph *body)
{
	for (const graph_value *v = body->first_value; v; v = v->next) {
		if (!v->constant) continue;
		const graph_attr value = { .name = "value", .type = OG_ATTR_TENSOR, .t = v->constant };
		wire_mark node = wire_begin(&w->out, FUNCTION_node);
		wire_put_string(&w->out, NODE_output, v->name);
		wire_put_string(&w->out, NODE_op_type, "Constant");
		onnx_put_attr(w, NODE_attribute, &value);
		wire_end(&w->out, node);
	}
}

/* The earlier form of an opset import tells whether an empty domain was written, and unknown fields. */
void onnx_put_opset(onnx_writer *w, uint32_t number, const graph_opset *opset, onnx_message owner, graph_bytes from)
{
	graph_bytes earlier = { 0 };
	wire_reader wire = onnx_open(owner, from, from.p);
	wire_field f;
	while (!earlier.p && wire_next(&wire, &f) == OG_OK && f.number != 0) {
		if (f.number != number) continue;
		if (wire_is(onnx_find(ONNX_OPSET, f.bytes, OPSET_domain), opset->domain)) earlier = f.bytes;
	}
	wire_kept kept = onnx_keep(ONNX_OPSET, earlier, BIT(OPSET_domain) | BIT(OPSET_version));
	wire_mark mark = wire_begin(&w->out, number);
	wire_put_own(&w->out, &kept, OPSET_domain, opset->domain);
	wire_put_int(&w->out, OPSET_version, (uint64_t)opset->version);
	wire_put_rest(&w->out, &kept);
	wire_end(&w->out, mark);
}

void onnx_put_function(onnx_writer *w, const graph_function *fn)
{
	const graph *body = fn->body;
	if (fn->source.p && body->source.p && !w->reencode && !w->moving) {
		wire_put_bytes(&w->out, MODEL_functions, fn->source.p, fn->source.n);
		return;
	}
	const graph_bytes from = fn->file ? *(const graph_bytes *)fn->file : (graph_bytes){ 0 };
	const uint32_t own = BIT(FUNCTION_name) | BIT(FUNCTION_input) | BIT(FUNCTION_output) | BIT(FUNCTION_attribute) |
	                     BIT(FUNCTION_node) | BIT(FUNCTION_doc_string) | BIT(FUNCTION_opset_import) |
	                     BIT(FUNCTION_domain) | BIT(FUNCTION_attribute_proto) | BIT(FUNCTION_value_info);
	wire_kept kept = onnx_keep(ONNX_FUNCTION, from, own);
	wire_mark mark = wire_begin(&w->out, MODEL_functions);
	wire_put_own(&w->out, &kept, FUNCTION_name, fn->name);
	put_arguments(w, FUNCTION_input, body->inputs, body->n_inputs);
	put_arguments(w, FUNCTION_output, body->outputs, body->n_outputs);
	for (int k = 0; k < fn->n_attributes; k++) wire_put_string(&w->out, FUNCTION_attribute, fn->attributes[k]);
	put_constant_nodes(w, body);
	onnx_put_nodes(w, FUNCTION_node, body);
	wire_put_own(&w->out, &kept, FUNCTION_doc_string, body->doc ? body->doc : "");
	for (int k = 0; k < fn->n_opsets; k++)
		onnx_put_opset(w, FUNCTION_opset_import, &fn->opsets[k], ONNX_FUNCTION, from);
	wire_put_own(&w->out, &kept, FUNCTION_domain, fn->domain);
	for (int k = 0; k < fn->n_defaults; k++) onnx_put_attr(w, FUNCTION_attribute_proto, &fn->defaults[k]);
	onnx_put_infos(w, FUNCTION_value_info, body, kept.had & BIT(FUNCTION_value_info));
	wire_put_rest(&w->out, &kept);
	wire_end(&w->out, mark);
}
