/* tf_show -- what the reader of TensorFlow's files makes of one, as JSON; the bytes of constants, on end, into a file.
 *
 *   tf_show PATH DATA [--tag T] [--signature S] [--input NAME]... [--output NAME]...
 *
 * The exit status is the og_status. */
#include <stdio.h>

#include "base/json.h"
#include "tf/tf_graph.h"

enum { MOST = 64 };

static void put_dims(json *j, int rank, const int64_t *dims)
{
	if (rank < 0) {
		json_null(j);
		return;
	}
	json_begin(j, '[');
	for (int k = 0; k < rank; k++) json_int(j, dims[k]);
	json_end(j, ']');
}

static void put_strings(json *j, const base_bytes *strings, int64_t n)
{
	json_begin(j, '[');
	for (int64_t k = 0; k < n; k++) {
		text t = { 0 };
		for (size_t i = 0; i < strings[k].n; i++) text_printf(&t, "%02x", strings[k].p[i]);
		json_string(j, t.data ? t.data : "");
		text_free(&t);
	}
	json_end(j, ']');
}

static void put_tensor(json *j, const og_tensor *x, FILE *data)
{
	int64_t count;
	base_count(x->dims, x->rank, &count);
	json_begin(j, '{');
	json_key(j, "dtype");
	json_string(j, base_dtype_name(x->dtype));
	json_key(j, "shape");
	put_dims(j, x->rank, x->dims);
	if (x->dtype == OG_STRING) {
		json_key(j, "strings");
		put_strings(j, x->data, count);
	} else {
		size_t bytes = x->dtype == OG_NONE ? 0 : base_dtype_span(x->dtype, (uint64_t)count);
		json_key(j, "offset");
		json_int(j, ftell(data));
		json_key(j, "bytes");
		json_int(j, (int64_t)bytes);
		if (bytes > 0) fwrite(x->data, 1, bytes, data);
	}
	json_end(j, '}');
}

static void put_element(json *j, const tf_attr *a, size_t k, FILE *data)
{
	switch (a->kind) {
	case TF_STRING: json_string(j, (const char *)a->strings[k].p); break;
	case TF_INT: json_int(j, a->ints[k]); break;
	case TF_BOOL: json_bool(j, a->ints[k] != 0); break;
	case TF_FLOAT: json_number(j, (double)a->floats[k]); break;
	case TF_TYPE: json_string(j, base_dtype_name(a->types[k])); break;
	case TF_SHAPE: put_dims(j, a->shapes[k].rank, a->shapes[k].dims); break;
	case TF_TENSOR: put_tensor(j, &a->tensors[k], data); break;
	case TF_FUNC: json_string(j, a->funcs[k].name); break;
	case TF_NOTHING: json_null(j); break;
	}
}

static void put_attr(json *j, const tf_attr *a, FILE *data)
{
	json_key(j, a->name);
	if (a->is_list) json_begin(j, '[');
	for (size_t k = 0; k < a->n; k++) put_element(j, a, k, data);
	if (a->is_list) json_end(j, ']');
	else if (a->n == 0) json_null(j);
}

static void put_value(json *j, tf_value v)
{
	char number[16];
	text t = { 0 };
	snprintf(number, sizeof number, ":%d", v.output);
	text_add(&t, v.node->name);
	text_add(&t, number);
	json_string(j, t.data);
	text_free(&t);
}

static void put_ports(json *j, const char *what, const tf_port *ports, int n)
{
	json_key(j, what);
	json_begin(j, '[');
	for (int k = 0; k < n; k++) {
		json_begin(j, '{');
		json_key(j, "name");
		json_string(j, ports[k].name);
		json_key(j, "value");
		put_value(j, ports[k].value);
		json_key(j, "dtype");
		json_string(j, base_dtype_name(ports[k].dtype));
		json_key(j, "shape");
		put_dims(j, ports[k].shape.rank, ports[k].shape.dims);
		json_end(j, '}');
	}
	json_end(j, ']');
}

static void put_node(json *j, const tf_node *n, FILE *data)
{
	json_begin(j, '{');
	json_key(j, "name");
	json_string(j, n->name);
	json_key(j, "op");
	json_string(j, n->op);
	json_key(j, "in");
	json_begin(j, '[');
	for (int k = 0; k < n->n_in; k++) put_value(j, n->in[k]);
	json_end(j, ']');
	json_key(j, "attrs");
	json_begin(j, '{');
	for (int k = 0; k < n->n_attrs; k++) put_attr(j, &n->attrs[k], data);
	json_end(j, '}');
	json_end(j, '}');
}

static void show(const tf_graph *g, FILE *data)
{
	json j = { 0 };
	json_begin(&j, '{');
	json_key(&j, "signature");
	json_string(&j, g->signature ? g->signature : "");
	json_key(&j, "producer");
	json_int(&j, g->producer);
	put_ports(&j, "inputs", g->inputs, g->n_inputs);
	put_ports(&j, "outputs", g->outputs, g->n_outputs);
	json_key(&j, "nodes");
	json_begin(&j, '[');
	for (size_t k = 0; k < g->n_nodes; k++) put_node(&j, &g->nodes[k], data);
	json_end(&j, ']');
	json_end(&j, '}');
	puts(j.out.data);
	text_free(&j.out);
}

int main(int argc, char **argv)
{
	const char *inputs[MOST], *outputs[MOST];
	tf_options o = { .inputs = inputs, .outputs = outputs };
	tf_graph *g = NULL;
	if (argc < 3 || argc > MOST) return OG_USAGE;
	for (int k = 3; k + 1 < argc; k += 2) {
		if (strcmp(argv[k], "--tag") == 0) o.tag = argv[k + 1];
		else if (strcmp(argv[k], "--signature") == 0) o.signature = argv[k + 1];
		else if (strcmp(argv[k], "--input") == 0) inputs[o.n_inputs++] = argv[k + 1];
		else outputs[o.n_outputs++] = argv[k + 1];
	}
	og_model *m = graph_model_create();
	FILE *data = fopen(argv[2], "wb");
	if (!m || !data) return OG_MISSING;
	og_status status = tf_read(&g, m, argv[1], &o);
	if (status == OG_OK) show(g, data);
	else fprintf(stderr, "%s\n", base_error());
	fclose(data);
	tf_graph_destroy(g);
	graph_model_destroy(m);
	return status;
}
