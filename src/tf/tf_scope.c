/* tf_scope.c -- the main graph and the functions of a file, each as a list of nodes that know each other by number. */
#include "tf/tf_private.h"

enum { MAX_INPUTS = 1 << 20, MAX_OUTPUT = 1 << 20, MAX_NAME = 2047 };

/* ---- references --------------------------------------------------------------------------------- */

size_t tf_scope_find(const tf_scope *s, const char *name, size_t n)
{
	char key[MAX_NAME + 1];
	if (n > MAX_NAME) return SIZE_MAX;
	memcpy(key, name, n);
	key[n] = '\0';
	return (size_t)(uintptr_t)map_get(&s->by_name, key) - 1;
}

static bool read_number(const char *s, size_t n, int *out)
{
	int value = 0;
	for (size_t k = 0; k < n; k++) {
		if (s[k] < '0' || s[k] > '9' || value > MAX_OUTPUT) return false;
		value = value * 10 + (s[k] - '0');
	}
	*out = value;
	return n > 0;
}

og_status tf_scope_ref(const tf_scope *s, tf_ref *out, base_bytes spelled, bool *control)
{
	const char *p = (const char *)spelled.p, *end = p + spelled.n;
	*out = (tf_ref){ 0 };
	*control = p < end && *p == '^';
	p += *control;
	const char *colon = p < end ? memchr(p, ':', (size_t)(end - p)) : NULL, *name_end = colon ? colon : end;
	int shown = spelled.n > 64 ? 64 : (int)spelled.n;
	out->node = p < end ? tf_scope_find(s, p, (size_t)(name_end - p)) : SIZE_MAX;
	if (out->node == SIZE_MAX)
		return base_fail(OG_BAD_FILE, "its input '%.*s' is no node of the %s", shown, (const char *)spelled.p,
		                 s->name ? "function" : "graph");
	if (!colon) return OG_OK;
	const char *rest = colon + 1, *second = memchr(rest, ':', (size_t)(end - rest));
	if (!second && read_number(rest, (size_t)(end - rest), &out->k)) return OG_OK;
	const char *word_end = second ? second : end;
	out->output = (base_bytes){ (const uint8_t *)rest, (size_t)(word_end - rest) };
	bool good = s->name && out->output.n > 0 && (!second || read_number(second + 1, (size_t)(end - second - 1), &out->k));
	return good ? OG_OK : base_fail(OG_BAD_FILE, "its input '%.*s' names no output", shown, (const char *)spelled.p);
}

/* ---- nodes -------------------------------------------------------------------------------------- */

static og_status fail_at_node(og_status status, const tf_raw *n, size_t k)
{
	return n->name ? base_fail_in(status, "node '%.128s'", n->name) : base_fail_in(status, "node %zu", k);
}

static og_status read_labels(tf_reader *r, tf_raw *n)
{
	wire_reader w = tf_open(TF_M_NODE, n->bytes, r->base);
	wire_field f;
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_NODE_name) TRY(tf_name(&n->name, r->temporary, f.bytes));
		if (f.number == TF_NODE_op) TRY(tf_name(&n->op, r->temporary, f.bytes));
		if (f.number == TF_NODE_input && ++n->n_in > MAX_INPUTS) return base_fail(OG_BAD_FILE, "it has too many inputs");
	} while (f.number != 0);
	if (!n->name || !*n->name) return base_fail(OG_BAD_FILE, "it has no name");
	if (strlen(n->name) > MAX_NAME) return base_fail(OG_UNSUPPORTED, "its name has more than %d characters", MAX_NAME);
	return n->op && *n->op ? OG_OK : base_fail(OG_BAD_FILE, "it has no op");
}

static og_status add_name(tf_scope *s, size_t k)
{
	const char *name = s->nodes[k].name;
	if (map_get(&s->by_name, name)) return base_fail(OG_BAD_FILE, "two nodes have the name '%.128s'", name);
	return map_put(&s->by_name, name, (void *)(uintptr_t)(k + 1));
}

static og_status read_inputs(tf_reader *r, const tf_scope *s, tf_raw *n)
{
	size_t total = (size_t)n->n_in, data = 0;
	tf_ref *refs = arena_array(r->temporary, total, sizeof *refs);
	NEED(refs);
	wire_reader w = tf_open(TF_M_NODE, n->bytes, r->base);
	wire_field f;
	n->in = refs;
	n->n_in = n->n_control = 0;
	do {
		tf_ref ref;
		bool control;
		TRY(wire_next(&w, &f));
		if (f.number != TF_NODE_input) continue;
		TRY(tf_scope_ref(s, &ref, f.bytes, &control));
		if (!control) refs[data++] = ref;
		else refs[total - (size_t)++n->n_control] = ref;
	} while (f.number != 0);
	n->n_in = (int)data;
	return OG_OK;
}

/* The nodes behind those that are there, the arguments. `number`: of the field that holds nodes. */
static og_status read_nodes(tf_reader *r, tf_scope *s, tf_message message, uint32_t number)
{
	wire_reader w = tf_open(message, s->bytes, r->base);
	wire_field f;
	size_t n = s->n_args;
	do {
		TRY(wire_next(&w, &f));
		n += f.number == number;
	} while (f.number != 0);
	tf_raw *nodes = arena_array(r->temporary, n, sizeof *nodes);
	NEED(nodes);
	if (s->n_args > 0) memcpy(nodes, s->nodes, s->n_args * sizeof *nodes);
	s->nodes = nodes;
	s->n_nodes = s->n_args;
	w = tf_open(message, s->bytes, r->base);
	do {
		TRY(wire_next(&w, &f));
		if (f.number != number) continue;
		tf_raw *node = &nodes[s->n_nodes];
		node->bytes = f.bytes;
		og_status status = read_labels(r, node);
		if (status != OG_OK) return fail_at_node(status, node, s->n_nodes - s->n_args);
		TRY(add_name(s, s->n_nodes++));
	} while (f.number != 0);
	for (size_t k = s->n_args; k < n; k++) {
		og_status status = read_inputs(r, s, &nodes[k]);
		if (status != OG_OK) return fail_at_node(status, &nodes[k], k - s->n_args);
	}
	s->ready = true;
	return OG_OK;
}

/* ---- functions ---------------------------------------------------------------------------------- */

/* The name of an argument, which is one tensor and no list of them. */
static og_status read_arg(tf_reader *r, const char **name, base_bytes bytes)
{
	wire_reader w = tf_open(TF_M_ARG, bytes, r->base);
	wire_field f;
	bool list = false;
	*name = "";
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_ARG_name) TRY(tf_name(name, r->temporary, f.bytes));
		list |= (f.number == TF_ARG_number_attr || f.number == TF_ARG_type_list_attr) && f.bytes.n > 0;
	} while (f.number != 0);
	if (list) return base_fail(OG_UNSUPPORTED, "its argument '%.64s' is a list of tensors", *name);
	return **name ? OG_OK : base_fail(OG_BAD_FILE, "an argument has no name");
}

static og_status read_signature(tf_reader *r, tf_scope *s)
{
	size_t n_in = 0, n_out = 0;
	wire_reader w = tf_open(TF_M_OP, s->signature, r->base);
	wire_field f;
	do {
		TRY(wire_next(&w, &f));
		n_in += f.number == TF_OP_input_arg;
		n_out += f.number == TF_OP_output_arg;
	} while (f.number != 0);
	if (n_in > MAX_INPUTS || n_out > MAX_INPUTS) return base_fail(OG_BAD_FILE, "it has too many arguments");
	s->nodes = arena_array(r->temporary, n_in, sizeof *s->nodes);
	s->return_names = arena_array(r->temporary, n_out, sizeof *s->return_names);
	s->returns = arena_array(r->temporary, n_out, sizeof *s->returns);
	if (!s->nodes || !s->return_names || !s->returns) return base_no_memory();
	w = tf_open(TF_M_OP, s->signature, r->base);
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_OP_output_arg) TRY(read_arg(r, &s->return_names[s->n_returns++], f.bytes));
		if (f.number != TF_OP_input_arg) continue;
		TRY(read_arg(r, &s->nodes[s->n_args].name, f.bytes));
		s->n_nodes = s->n_args + 1;
		TRY(add_name(s, s->n_args++));
	} while (f.number != 0);
	return OG_OK;
}

static og_status read_return(tf_reader *r, tf_scope *s, base_bytes bytes)
{
	wire_reader w = tf_open(TF_M_RET, bytes, r->base);
	wire_field f;
	base_bytes key = { 0 }, value = { 0 };
	bool control;
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_RET_key) key = f.bytes;
		if (f.number == TF_RET_value) value = f.bytes;
	} while (f.number != 0);
	for (int k = 0; k < s->n_returns; k++) {
		if (!wire_is(key, s->return_names[k])) continue;
		TRY(tf_scope_ref(s, &s->returns[k], value, &control));
		if (control) return base_fail(OG_BAD_FILE, "it returns '%.64s', which is no tensor", s->return_names[k]);
		s->return_names[k] = "";         /* found: no key is "" */
	}
	return OG_OK;
}

static og_status read_function(tf_reader *r, tf_scope *s)
{
	wire_reader w = tf_open(TF_M_FUNCTION, s->bytes, r->base);
	wire_field f;
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_FUNCTION_signature) s->signature = f.bytes;
	} while (f.number != 0);
	TRY(read_signature(r, s));
	TRY(read_nodes(r, s, TF_M_FUNCTION, TF_FUNCTION_node_def));
	w = tf_open(TF_M_FUNCTION, s->bytes, r->base);
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_FUNCTION_ret) TRY(read_return(r, s, f.bytes));
	} while (f.number != 0);
	for (int k = 0; k < s->n_returns; k++)
		if (*s->return_names[k]) return base_fail(OG_BAD_FILE, "nothing says what it returns as '%.64s'", s->return_names[k]);
	return OG_OK;
}

og_status tf_scope_ready(tf_reader *r, tf_scope *s)
{
	if (s->ready) return OG_OK;
	og_status status = read_function(r, s);
	return status == OG_OK ? OG_OK : base_fail_in(status, "function '%.128s'", s->name);
}

/* ---- all of a file ------------------------------------------------------------------------------ */

static og_status new_scope(tf_reader *r, tf_scope **out, base_bytes bytes, const char *name)
{
	tf_scope *s = arena_alloc(r->temporary, sizeof *s);
	NEED(s);
	s->bytes = bytes;
	s->name = name;
	s->next = r->main;                   /* the main graph heads the list: it comes last */
	*out = r->main = s;
	return OG_OK;
}

static og_status declare_function(tf_reader *r, base_bytes bytes)
{
	base_bytes label = { 0 };
	const char *name;
	tf_scope *s = NULL;
	wire_reader w = tf_open(TF_M_FUNCTION, bytes, r->base);
	wire_field f;
	do {
		TRY(wire_next(&w, &f));
		if (f.number != TF_FUNCTION_signature) continue;
		wire_reader v = tf_open(TF_M_OP, f.bytes, r->base);
		do {
			TRY(wire_next(&v, &f));
			if (f.number == TF_OP_name) label = f.bytes;
		} while (f.number != 0);
		f.number = TF_FUNCTION_signature;
	} while (f.number != 0);
	TRY(tf_name(&name, r->temporary, label));
	if (!*name) return base_fail(OG_BAD_FILE, "a function has no name");
	if (map_get(&r->functions, name)) return base_fail(OG_BAD_FILE, "two functions have the name '%.128s'", name);
	TRY(new_scope(r, &s, bytes, name));
	return map_put(&r->functions, name, s);
}

static og_status read_library(tf_reader *r, base_bytes bytes)
{
	wire_reader w = tf_open(TF_M_LIBRARY, bytes, r->base);
	wire_field f;
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_LIBRARY_function) TRY(declare_function(r, f.bytes));
	} while (f.number != 0);
	return OG_OK;
}

static og_status read_versions(tf_reader *r, base_bytes bytes)
{
	wire_reader w = tf_open(TF_M_VERSIONS, bytes, r->base);
	wire_field f;
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_VERSIONS_producer && f.value < INT32_MAX) r->g->producer = (int)f.value;
	} while (f.number != 0);
	return OG_OK;
}

og_status tf_scope_open(tf_reader *r, base_bytes bytes)
{
	wire_reader w = tf_open(TF_M_GRAPH, bytes, r->base);
	wire_field f;
	tf_scope *s = NULL;
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_GRAPH_library) TRY(read_library(r, f.bytes));
		if (f.number == TF_GRAPH_versions) TRY(read_versions(r, f.bytes));
	} while (f.number != 0);
	TRY(new_scope(r, &s, bytes, NULL));
	TRY(read_nodes(r, s, TF_M_GRAPH, TF_GRAPH_node));
	return s->n_nodes > 0 ? OG_OK : base_fail(OG_BAD_FILE, "there is no node in it; it is no TensorFlow graph, or an empty one");
}

void tf_scopes_close(tf_reader *r)
{
	for (tf_scope *s = r->main; s; s = s->next) map_free(&s->by_name);
}
