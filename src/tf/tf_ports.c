/* tf_ports.c -- which inputs and outputs are meant, by a signature, by the user or by what the graph looks like, and the nodes
 * that those need. */
#include "tf/tf_private.h"

#include <stdlib.h>

/* ---- signatures --------------------------------------------------------------------------------- */

typedef struct want {
	const char *name;                    /* of the port */
	const char *tensor;                  /* "node" or "node:1" */
	og_dtype dtype;
	tf_shape shape;                      /* rank -1: not said */
} want;

typedef struct wants { want *p; int n; bool by_user; } wants;

typedef struct signature { const char *key; wants inputs, outputs; } signature;

static og_status read_port(tf_reader *r, want *out, base_bytes entry)
{
	wire_reader w = tf_open(TF_M_PORT_ENTRY, entry, r->base);
	wire_field f;
	base_bytes info = { 0 };
	*out = (want){ .name = "", .tensor = "", .shape.rank = -1 };
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_PORT_ENTRY_key) TRY(tf_name(&out->name, r->g->a, f.bytes));
		if (f.number == TF_PORT_ENTRY_value) info = f.bytes;
	} while (f.number != 0);
	w = tf_open(TF_M_PORT, info, r->base);
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_PORT_name) TRY(tf_name(&out->tensor, r->temporary, f.bytes));
		if (f.number == TF_PORT_dtype) out->dtype = tf_dtype(f.value);
		if (f.number == TF_PORT_tensor_shape) TRY(tf_decode_shape(r, &out->shape, f.bytes));
	} while (f.number != 0);
	if (*out->tensor) return OG_OK;
	return base_fail(OG_UNSUPPORTED, "'%.128s' of the signature is no single dense tensor", out->name);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const want *)a)->name, ((const want *)b)->name);
}

static og_status read_ports(tf_reader *r, wants *out, base_bytes bytes, uint32_t number)
{
	wire_reader w = tf_open(TF_M_SIGNATURE, bytes, r->base);
	wire_field f;
	size_t capacity = 0;
	do {
		TRY(wire_next(&w, &f));
		if (f.number != number) continue;
		out->p = arena_grow(r->temporary, out->p, (size_t)out->n, &capacity, (size_t)out->n + 1, sizeof *out->p);
		NEED(out->p);
		TRY(read_port(r, &out->p[out->n++], f.bytes));
	} while (f.number != 0);
	if (out->n > 1) qsort(out->p, (size_t)out->n, sizeof *out->p, by_name);      /* a map has no order of its own */
	return OG_OK;
}

/* Each signature's key and bytes; returns how many there are. */
static og_status list_signatures(tf_reader *r, base_bytes meta, tf_entry **out, size_t *n)
{
	wire_reader w = tf_open(TF_M_META_GRAPH, meta, r->base);
	wire_field f;
	size_t capacity = 0;
	*out = NULL;
	*n = 0;
	do {
		TRY(wire_next(&w, &f));
		if (f.number != TF_META_GRAPH_signature_def) continue;
		*out = arena_grow(r->temporary, *out, *n, &capacity, *n + 1, sizeof **out);
		NEED(*out);
		tf_entry *e = &(*out)[(*n)++];
		*e = (tf_entry){ 0 };
		wire_reader v = tf_open(TF_M_SIGNATURE_ENTRY, f.bytes, r->base);
		do {
			TRY(wire_next(&v, &f));
			if (f.number == TF_SIGNATURE_ENTRY_key) e->key = f.bytes;
			if (f.number == TF_SIGNATURE_ENTRY_value) e->value = f.bytes;
		} while (f.number != 0);
		if (wire_is(e->key, "__saved_model_init_op") || wire_is(e->key, "__saved_model_train_op")) --*n;
		f.number = TF_META_GRAPH_signature_def;
	} while (f.number != 0);
	return OG_OK;
}

/* The signature that the options mean; key NULL: the file has none, and none was asked for. */
static og_status choose_signature(tf_reader *r, signature *out, base_bytes meta, const tf_options *o)
{
	const char *want_key = o->signature ? o->signature : "serving_default";
	tf_entry *all, *chosen = NULL;
	size_t n;
	TRY(list_signatures(r, meta, &all, &n));
	for (size_t k = 0; k < n; k++)
		if (wire_is(all[k].key, want_key)) chosen = &all[k];
	if (!chosen && !o->signature && n == 1) chosen = all;
	if (!chosen && (o->signature || (n > 0 && o->n_outputs == 0))) {
		text list = { 0 };
		for (size_t k = 0; k < n && k < 10; k++)
			text_printf(&list, "%s'%.*s'", k ? ", " : "", all[k].key.n > 64 ? 64 : (int)all[k].key.n, (const char *)all[k].key.p);
		base_fail(OG_MISSING, "it has no signature '%.128s'; %s%s", want_key, n > 0 ? "there are " : "it has none at all",
		          list.data ? list.data : "");
		text_free(&list);
		return OG_MISSING;
	}
	if (!chosen) return OG_OK;
	TRY(tf_name(&out->key, r->g->a, chosen->key));
	og_status status = read_ports(r, &out->inputs, chosen->value, TF_SIGNATURE_inputs);
	if (status == OG_OK) status = read_ports(r, &out->outputs, chosen->value, TF_SIGNATURE_outputs);
	return status == OG_OK ? OG_OK : base_fail_in(status, "signature '%.128s'", out->key);
}

/* ---- inputs ------------------------------------------------------------------------------------- */

/* What the user names, by the signature's keys where they fit. */
static og_status choose_wants(tf_reader *r, wants *out, const char *what, const char *const *names, int n, const wants *declared)
{
	*out = *declared;
	if (n == 0) return OG_OK;
	*out = (wants){ .p = arena_array(r->temporary, (size_t)n, sizeof *out->p), .by_user = true };
	NEED(out->p);
	for (int k = 0; k < n; k++) {
		want *w = &out->p[out->n];
		*w = (want){ .name = arena_strdup(r->g->a, names[k]), .tensor = names[k], .shape.rank = -1 };
		NEED(w->name);
		for (int i = 0; i < declared->n; i++)
			if (strcmp(declared->p[i].name, names[k]) == 0) *w = declared->p[i];
		for (int i = 0; i < out->n; i++)
			if (strcmp(out->p[i].name, w->name) == 0) return base_fail(OG_USAGE, "the %s '%.128s' is named twice", what, w->name);
		out->n++;
	}
	return OG_OK;
}

/* "node:1" apart. */
static og_status split_tensor(tf_reader *r, const char *tensor, const char **node, int *output)
{
	const char *colon = strrchr(tensor, ':');
	bool number = colon && colon[1] && strspn(colon + 1, "0123456789") == strlen(colon + 1) && strlen(colon) < 9;
	*output = number ? atoi(colon + 1) : 0;
	*node = arena_strndup(r->g->a, tensor, number ? (size_t)(colon - tensor) : strlen(tensor));
	return *node ? OG_OK : base_no_memory();
}

/* Every input is a cut, a placeholder's too: so they are all made alike. */
static og_status make_cuts(tf_reader *r, const wants *inputs, tf_cut **out)
{
	tf_cut *cuts = *out = arena_array(r->temporary, (size_t)inputs->n, sizeof *cuts);
	NEED(cuts);
	for (int k = 0; k < inputs->n; k++) {
		TRY(split_tensor(r, inputs->p[k].tensor, &cuts[k].name, &cuts[k].output));
		cuts[k].next = map_get(&r->cuts, cuts[k].name);
		for (const tf_cut *c = cuts[k].next; c; c = c->next)
			if (c->output == cuts[k].output)
				return base_fail(OG_USAGE, "two inputs are '%.128s', output %d", c->name, c->output);
		TRY(map_put(&r->cuts, cuts[k].name, &cuts[k]));
	}
	return OG_OK;
}

static og_status set_port(tf_port *p, const want *w, tf_value value)
{
	const tf_shape *shape = NULL;
	*p = (tf_port){ .name = w->name, .value = value, .dtype = w->dtype, .shape = w->shape };
	if (strcmp(value.node->op, "Placeholder") != 0) return OG_OK;
	if (p->dtype == OG_NONE) TRY(tf_type(value.node, "dtype", &p->dtype));
	if (p->shape.rank < 0) TRY(tf_shape_of(value.node, "shape", &shape));
	if (shape) p->shape = *shape;
	return OG_OK;
}

/* The wanted inputs, needed or not, then each placeholder that is needed without being among them. */
static og_status set_inputs(tf_reader *r, tf_instance *main, const wants *inputs, tf_cut *cuts)
{
	tf_graph *g = r->g;
	size_t most = (size_t)inputs->n + r->list->n;
	g->inputs = arena_array(g->a, most, sizeof *g->inputs);
	NEED(g->inputs);
	for (int k = 0; k < inputs->n; k++) {
		TRY(tf_instance_cut(r, main, &cuts[k]));
		cuts[k].placeholder->mark = g;
		TRY(set_port(&g->inputs[g->n_inputs++], &inputs->p[k], (tf_value){ cuts[k].placeholder, 0 }));
	}
	for (size_t k = 0; k < r->main->n_nodes; k++) {
		tf_node *n = strcmp(r->main->nodes[k].op, "Placeholder") == 0 ? map_get(&r->names, r->main->nodes[k].name) : NULL;
		bool listed = !n || !n->mark || strcmp(n->op, "Placeholder") != 0;
		for (int i = 0; i < inputs->n && !listed; i++) listed = cuts[i].placeholder == n;
		if (listed) continue;
		TRY(set_port(&g->inputs[g->n_inputs++], &(want){ .name = n->name, .shape.rank = -1 }, (tf_value){ n, 0 }));
	}
	return OG_OK;
}

/* ---- outputs ------------------------------------------------------------------------------------ */

/* Makes every node that no other reads or waits for. */
static og_status make_sinks(tf_reader *r, tf_instance *main, tf_port *ports, int *n)
{
	const tf_scope *s = r->main;
	bool *used = arena_array(r->temporary, s->n_nodes, sizeof *used);
	NEED(used);
	for (size_t k = 0; k < s->n_nodes; k++)
		for (int i = 0; i < s->nodes[k].n_in + s->nodes[k].n_control; i++) used[s->nodes[k].in[i].node] = true;
	for (size_t k = 0; k < s->n_nodes; k++) {
		const tf_raw *node = &s->nodes[k];
		tf_value v;
		if (used[k] || tf_makes_nothing(r, node->op)) continue;
		TRY(tf_instance_make(r, main, &(tf_ref){ .node = k }, NULL));
		og_status status = tf_instance_make(r, main, &(tf_ref){ .node = k }, &v);
		if (status == OG_NO_MEMORY) return status;
		if (status != OG_OK) continue;   /* a call of a function without outputs */
		const char *name = arena_strdup(r->g->a, node->name);
		NEED(name);
		ports[(*n)++] = (tf_port){ .name = name, .value = v, .shape.rank = -1 };
	}
	return OG_OK;
}

/* Which nodes depend on a placeholder? Marks them. */
static bool mark_dependent(tf_reader *r)
{
	bool any = false;
	for (size_t k = 0; k < r->list->n; k++) {
		tf_node *n = r->list->p[k];
		bool yes = strcmp(n->op, "Placeholder") == 0;
		for (int i = 0; i < n->n_in && !yes; i++) yes = n->in[i].node->mark;
		n->mark = yes ? r : NULL;
		any |= yes;
	}
	return any;
}

static void unmark(const tf_list *list)
{
	for (size_t k = 0; k < list->n; k++) list->p[k]->mark = NULL;
}

/* Those that depend on a placeholder, if any does; constants that nobody reads are no answer. There may be none. */
static og_status default_outputs(tf_reader *r, tf_instance *main)
{
	tf_graph *g = r->g;
	int n = 0;
	g->outputs = arena_array(g->a, r->main->n_nodes, sizeof *g->outputs);
	NEED(g->outputs);
	TRY(make_sinks(r, main, g->outputs, &n));
	bool any = mark_dependent(r);
	for (int k = 0; k < n; k++) {
		const tf_node *node = g->outputs[k].value.node;
		bool source = node->n_in == 0 && strcmp(g->outputs[k].name, node->name) == 0;
		if (!source && (node->mark || !any)) g->outputs[g->n_outputs++] = g->outputs[k];
	}
	unmark(r->list);
	return OG_OK;
}

/* By its name in the main graph; false: it is not there, or inside a function. */
static og_status make_in_main(tf_reader *r, tf_instance *main, const want *w, tf_value *out, bool *found)
{
	const char *node;
	int output;
	TRY(split_tensor(r, w->tensor, &node, &output));
	size_t k = tf_scope_find(r->main, node, strlen(node));
	*found = k != SIZE_MAX;
	return *found ? tf_instance_make(r, main, &(tf_ref){ .node = k, .k = output }, out) : OG_OK;
}

static og_status find_flat(tf_reader *r, const want *w, bool by_user, tf_value *out)
{
	const char *node;
	TRY(split_tensor(r, w->tensor, &node, &out->output));
	out->node = map_get(&r->names, node);
	if (out->node && out->node->scope)
		return base_fail(OG_UNSUPPORTED, "node '%.128s' lies inside a loop or branch and can't be an output", node);
	if (out->node) return OG_OK;
	if (by_user) return base_fail(OG_MISSING, "there is no node '%.128s' to be an output", node);
	return base_fail(OG_BAD_FILE, "the signature's output '%.64s' is said to be '%.128s', which is no node", w->name, node);
}

static og_status set_outputs(tf_reader *r, tf_instance *main, const wants *outputs, const wants *declared)
{
	tf_graph *g = r->g;
	bool found, all = true;
	if (outputs->n == 0) return default_outputs(r, main);
	g->outputs = arena_array(g->a, (size_t)outputs->n, sizeof *g->outputs);
	NEED(g->outputs);
	for (int k = 0; k < outputs->n; k++) {
		tf_value v = { 0 };
		TRY(make_in_main(r, main, &outputs->p[k], &v, &found));
		if (found) TRY(set_port(&g->outputs[k], &outputs->p[k], v));
		all &= found;
	}
	g->n_outputs = outputs->n;
	if (all) return OG_OK;
	/* The others may be inside functions: everything is made, and then looked through. */
	tf_port *ports = arena_array(r->temporary, r->main->n_nodes, sizeof *ports);
	NEED(ports);
	for (int k = 0; k < declared->n; k++) TRY(make_in_main(r, main, &declared->p[k], &(tf_value){ 0 }, &found));
	if (declared->n == 0) TRY(make_sinks(r, main, ports, &(int){ 0 }));
	for (int k = 0; k < outputs->n; k++) {
		tf_value v;
		if (g->outputs[k].value.node) continue;
		TRY(find_flat(r, &outputs->p[k], outputs->by_user, &v));
		TRY(set_port(&g->outputs[k], &outputs->p[k], v));
	}
	return OG_OK;
}

/* An output that a known condition leaves without value is none, and must not be one that was asked for. */
static og_status keep_live_outputs(const tf_reader *r, bool asked)
{
	tf_graph *g = r->g;
	int n = 0;
	for (int k = 0; k < g->n_outputs; k++) {
		tf_port *p = &g->outputs[k];
		if (tf_follow_switch(&p->value)) g->outputs[n++] = *p;
		else if (asked)
			return base_fail(OG_BAD_FILE, "the output '%.128s' has never a value: it lies behind a condition that is never met", p->name);
	}
	g->n_outputs = n;
	return n > 0 ? OG_OK : base_fail(OG_BAD_FILE, "nothing in it is computed that could be an output; name the outputs");
}

/* ---- what is needed ----------------------------------------------------------------------------- */

/* Marks the nodes that the outputs need. */
static void mark_needed(tf_reader *r)
{
	for (int k = 0; k < r->g->n_outputs; k++) ((tf_node *)(uintptr_t)r->g->outputs[k].value.node)->mark = r;
	for (size_t k = r->list->n; k-- > 0;) {
		const tf_node *n = r->list->p[k];
		for (int i = 0; i < n->n_in && n->mark; i++) ((tf_node *)(uintptr_t)n->in[i].node)->mark = r;
	}
}

/* The nodes with a mark become the graph's, in their order; each mark points to the new place meanwhile. */
static og_status settle(tf_reader *r)
{
	tf_graph *g = r->g;
	for (size_t k = 0; k < r->list->n; k++) g->n_nodes += r->list->p[k]->mark != NULL;
	g->nodes = arena_array(g->a, g->n_nodes, sizeof *g->nodes);
	NEED(g->nodes);
	tf_node *to = g->nodes;
	for (size_t k = 0; k < r->list->n; k++) {
		tf_node *from = r->list->p[k];
		if (!from->mark) continue;
		tf_value *in = arena_array(g->a, (size_t)from->n_in, sizeof *in);
		NEED(in);
		for (int i = 0; i < from->n_in; i++) in[i] = (tf_value){ from->in[i].node->mark, from->in[i].output };
		*to = *from;
		to->in = in;
		to->mark = NULL;
		if (strcmp(to->op, "PlaceholderWithDefault") == 0) to->op = "Identity";
		TRY(map_put(&g->by_name, to->name, to));
		from->mark = to++;
	}
	for (int k = 0; k < g->n_inputs; k++) g->inputs[k].value.node = g->inputs[k].value.node->mark;
	for (int k = 0; k < g->n_outputs; k++) g->outputs[k].value.node = g->outputs[k].value.node->mark;
	return OG_OK;
}

/* Those that the user fixes are no inputs of a signature any more. */
static og_status note_fixed(tf_reader *r, wants *inputs, const tf_options *o)
{
	int n = 0;
	for (int k = 0; k < o->n_values; k++) TRY(map_put(&r->fixed, o->values[k].name, (void *)(uintptr_t)&o->values[k]));
	for (int k = 0; k < inputs->n; k++) {
		const char *node;
		TRY(split_tensor(r, inputs->p[k].tensor, &node, &(int){ 0 }));
		if (!map_get(&r->fixed, node)) inputs->p[n++] = inputs->p[k];
	}
	inputs->n = n;
	return OG_OK;
}

static og_status check_fixed(const tf_reader *r, const tf_options *o)
{
	for (int k = 0; k < o->n_values; k++) {
		const tf_node *n = map_get(&r->names, o->values[k].name);
		if (!n || strcmp(n->op, "Const") != 0)
			return base_fail(OG_MISSING, "there is no placeholder '%.128s' that an output needs, to be given a value", o->values[k].name);
	}
	return OG_OK;
}

og_status tf_build(tf_reader *r, base_bytes meta, const tf_options *o)
{
	signature s = { 0 };
	tf_list list = { 0 };
	wants inputs, outputs;
	tf_cut *cuts;
	tf_instance *main;
	if (meta.p) TRY(choose_signature(r, &s, meta, o));
	else if (o->signature) return base_fail(OG_MISSING, "a graph file has no signatures; name inputs and outputs");
	TRY(choose_wants(r, &inputs, "input", o->inputs, o->n_inputs, &s.inputs));
	TRY(choose_wants(r, &outputs, "output", o->outputs, o->n_outputs, &s.outputs));
	r->g->signature = s.key;
	TRY(note_fixed(r, &inputs, o));
	r->list = &list;
	TRY(tf_instance_main(r, &main));
	TRY(make_cuts(r, &inputs, &cuts));
	TRY(set_outputs(r, main, &outputs, &s.outputs));
	TRY(check_fixed(r, o));
	tf_fold_switches(&list);
	TRY(keep_live_outputs(r, outputs.n > 0));
	unmark(&list);
	mark_needed(r);
	TRY(set_inputs(r, main, &inputs, cuts));
	TRY(tf_bind_variables(r, main, &list));
	return settle(r);
}
