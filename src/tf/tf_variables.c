/* tf_variables.c -- variables become constants. Which key of the checkpoint a variable has is what the graph's own restore op
 * does with it: RestoreV2 reads tensors by keys, and each goes, through Identity, into an Assign of a variable. That holds for
 * the savers of TensorFlow 1, for those of TensorFlow 2 (a function with the variables as arguments), and for partitioned
 * variables. What it does not restore is looked for among the objects (tf_objects.c), then by its own name. */
#include "tf/tf_private.h"

static bool is_any(const char *op, const char *const *ops, size_t n)
{
	for (size_t k = 0; k < n; k++)
		if (strcmp(op, ops[k]) == 0) return true;
	return false;
}

bool tf_is_variable(const tf_node *n)
{
	static const char *const ops[] = { "VarHandleOp", "VariableV2", "Variable" };
	return is_any(n->op, ops, sizeof ops / sizeof *ops);
}

static bool is_assignment(const tf_node *n)
{
	static const char *const ops[] = { "AssignVariableOp", "Assign" };
	return n->n_in >= 2 && is_any(n->op, ops, sizeof ops / sizeof *ops);
}

static tf_value through_identity(tf_value v)
{
	while (strcmp(v.node->op, "Identity") == 0 && v.node->n_in == 1) v = v.node->in[0];
	return v;
}

/* String k of an input that is a constant list of them. */
static og_status string_at(tf_reader *r, const tf_node *n, int input, int k, const char **out)
{
	const og_tensor *t = tf_constant(n->in[input]);
	int64_t count;
	if (!t || t->dtype != OG_STRING || !base_count(t->dims, t->rank, &count) || k >= count)
		return base_fail(OG_BAD_FILE, "node '%.128s' (RestoreV2): its input %d is no list of that many names", n->name, input);
	return tf_name(out, r->temporary, ((const base_bytes *)t->data)[k]);
}

/* Notes for each variable that is needed which tensor is put into it. */
static og_status follow_restore(tf_reader *r, const tf_list *made)
{
	for (size_t k = 0; k < made->n; k++) {
		const tf_node *assign = made->p[k];
		if (!is_assignment(assign)) continue;
		tf_value variable = through_identity(assign->in[0]), value = through_identity(assign->in[1]);
		if (!variable.node->mark || !tf_is_variable(variable.node)) continue;
		if (strcmp(value.node->op, "RestoreV2") != 0 || value.node->n_in != 3) continue;
		tf_restored *from = arena_alloc(r->temporary, sizeof *from);
		NEED(from);
		TRY(string_at(r, value.node, 1, value.output, &from->key));
		TRY(string_at(r, value.node, 2, value.output, &from->slice));
		((tf_node *)(uintptr_t)variable.node)->mark = from;
	}
	return OG_OK;
}

static og_status find_keys(tf_reader *r, tf_instance *main, const tf_list *list)
{
	tf_list made = { 0 }, *before = r->list;
	TRY(follow_restore(r, list));        /* where it was made as one of the outputs */
	size_t k = r->restore ? tf_scope_find(r->main, r->restore, strcspn(r->restore, ":")) : SIZE_MAX;
	if (k == SIZE_MAX) return OG_OK;
	r->list = &made;
	r->with_control = true;
	og_status status = tf_instance_make(r, main, &(tf_ref){ .node = k }, NULL);
	r->with_control = false;
	r->list = before;
	return status == OG_OK ? follow_restore(r, &made) : base_fail_in(status, "restoring the variables");
}

static og_status check_declared(const tf_node *n, const og_tensor *t)
{
	og_dtype dtype = t->dtype;
	const tf_shape *shape = NULL;
	TRY(tf_type(n, "dtype", &dtype));
	TRY(tf_shape_of(n, "shape", &shape));
	bool same = !shape || shape->rank < 0 || shape->rank == t->rank;
	for (int k = 0; same && shape && k < shape->rank; k++) same = shape->dims[k] < 0 || shape->dims[k] == t->dims[k];
	if (dtype == t->dtype && same) return OG_OK;
	return base_fail(OG_BAD_FILE, "its value in the checkpoint has another %s than the graph says",
	                 same ? "type" : "shape");
}

og_status tf_make_constant(tf_reader *r, tf_node *n, const og_tensor *value)
{
	tf_attr *attrs = arena_array(r->g->a, 2, sizeof *attrs);
	og_tensor *t = arena_alloc(r->g->a, sizeof *t);
	if (!attrs || !t) return base_no_memory();
	*t = *value;
	attrs[0] = (tf_attr){ .name = "dtype", .kind = TF_TYPE, .n = 1, .types = &t->dtype };
	attrs[1] = (tf_attr){ .name = "value", .kind = TF_TENSOR, .n = 1, .tensors = t };
	n->op = "Const";
	n->attrs = attrs;
	n->n_attrs = 2;
	return OG_OK;
}

static og_status bind(tf_reader *r, tf_bundle *b, tf_node *n, const tf_restored *from)
{
	og_tensor value;
	const char *key = n->name, *slice = "";
	if (from) {
		key = from->key;
		slice = from->slice;
	} else {
		TRY(tf_string(n, "shared_name", &key));
		if (!*key) key = n->name;
	}
	og_status status = tf_bundle_read(b, &value, key, slice);
	if (status == OG_NO) return base_fail(OG_BAD_FILE, "the checkpoint '%s' has no value '%.128s' for it", r->checkpoint, key);
	TRY(status);
	TRY(check_declared(n, &value));
	return tf_make_constant(r, n, &value);
}

static og_status bind_all(tf_reader *r, tf_instance *main, const tf_list *list)
{
	tf_bundle *b;
	TRY(find_keys(r, main, list));
	TRY(tf_bundle_open(&b, r, r->checkpoint));
	bool unknown = false;
	for (size_t k = 0; k < list->n; k++) unknown |= list->p[k]->mark == r && tf_is_variable(list->p[k]);
	og_status status = unknown ? tf_objects_find(r, main, b, r) : OG_OK;
	for (size_t k = 0; k < list->n && status == OG_OK; k++) {
		tf_node *n = list->p[k];
		if (!n->mark || !tf_is_variable(n)) continue;
		const char *op = n->op;
		status = bind(r, b, n, n->mark != r ? n->mark : NULL);
		if (status != OG_OK && status != OG_NO_MEMORY) base_fail_in(status, "node '%.128s' (%s)", n->name, op);
	}
	tf_bundle_close(b);
	return status;
}

static og_status become_identity(tf_reader *r, tf_node *n)
{
	og_dtype dtype = OG_NONE;
	TRY(tf_type(n, "dtype", &dtype));
	tf_attr *attr = arena_alloc(r->g->a, sizeof *attr);
	og_dtype *own = arena_alloc(r->g->a, sizeof *own);
	if (!attr || !own) return base_no_memory();
	*own = dtype;
	*attr = (tf_attr){ .name = "T", .kind = TF_TYPE, .n = 1, .types = own };
	n->op = "Identity";
	n->attrs = attr;
	n->n_attrs = 1;
	return OG_OK;
}

og_status tf_bind_variables(tf_reader *r, tf_instance *main, const tf_list *list)
{
	const tf_node *variable = NULL;
	for (size_t k = 0; k < list->n && !variable; k++)
		if (list->p[k]->mark && tf_is_variable(list->p[k])) variable = list->p[k];
	if (variable && !r->checkpoint)
		return base_fail(OG_BAD_FILE, "node '%.128s' (%s): a variable has no value in a graph file; freeze the graph, or give the "
		                 "SavedModel folder or the .meta file beside its checkpoint", variable->name, variable->op);
	if (variable) TRY(bind_all(r, main, list));
	for (size_t k = 0; k < list->n; k++) {
		tf_node *n = list->p[k];
		if (!n->mark) continue;
		if (strcmp(n->op, "ReadVariableOp") == 0) TRY(become_identity(r, n));
		if (strcmp(n->op, "VariableShape") == 0) n->op = "Shape";
	}
	return OG_OK;
}
