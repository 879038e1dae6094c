/* fold_constants.c -- what can be computed now is computed now, by the ops' definitions. */
#include "optimize/edit.h"
#include "schema/schema.h"

/* A constant larger than this is made only when it replaces at least as many bytes. */
enum { LARGE = 1 << 20 };

static size_t bytes_of(const graph_value *v)
{
	int64_t count;
	if (v->rank < 0 || v->dtype == OG_NONE || !base_count(v->dims, v->rank, &count)) return SIZE_MAX;
	return base_dtype_span(v->dtype, (uint64_t)count);
}

/* Shape and Size read their input's dims only. */
static bool reads_dims_only(const graph_node *n)
{
	if (!edit_is(n, "Shape") && !edit_is(n, "Size")) return false;
	if (!n->in[0] || n->in[0]->rank < 0) return false;
	for (int i = 0; i < n->in[0]->rank; i++)
		if (n->in[0]->dims[i] < 0) return false;
	return true;
}

static bool foldable(const graph_node *n)
{
	if (!n->op || (!n->op->eval && !n->op->map[OG_ISA_SCALAR])) return false;
	size_t in = 0, out = 0;
	for (int i = 0; i < n->n_in; i++) {
		if (!n->in[i]) continue;
		if (!n->in[i]->constant) return reads_dims_only(n);
		if (n->in[i]->dtype == OG_STRING) return false;
		in += bytes_of(n->in[i]);
	}
	for (int i = 0; i < n->n_out; i++) {
		if (!n->out[i]) continue;
		size_t bytes = bytes_of(n->out[i]);
		if (bytes == SIZE_MAX) return n->out[i]->dtype != OG_STRING && in < LARGE;
		out += bytes;
	}
	return out <= LARGE || out <= in;
}

static og_status fold(graph_node *n, bool *done)
{
	arena *a = n->owner->model->a;
	const og_tensor **in = arena_array(a, (size_t)n->n_in + 1, sizeof *in);
	og_tensor **out = arena_array(a, (size_t)n->n_out + 1, sizeof *out), *shape = arena_alloc(a, sizeof *shape);
	if (!in || !out || !shape) return base_no_memory();
	for (int i = 0; i < n->n_in; i++) {
		const graph_value *v = n->in[i];
		if (!v) continue;
		if (v->constant) {
			in[i] = (uintptr_t)v->constant->data % 64 ? graph_tensor_copy(a, v->constant) : v->constant;
		} else {
			*shape = (og_tensor){ .dtype = v->dtype, .rank = v->rank, .data = shape };
			memcpy(shape->dims, v->dims, sizeof shape->dims);
			in[i] = shape;
		}
		NEED(in[i]);
	}
	*done = false;
	for (int i = 0; i < n->n_out; i++)
		if (n->out[i] && n->out[i]->is_output) return OG_OK;         /* an output keeps the node that makes it */
	TRY(schema_run_node(n, in, out, a, NULL));
	for (int i = 0; i < n->n_out; i++)
		if (n->out[i] && !out[i]) return OG_OK;
	graph_value *value[16];
	int count = n->n_out;
	if (count > 16) return OG_OK;
	for (int i = 0; i < count; i++) value[i] = n->out[i];
	graph_node_remove(n);
	for (int i = 0; i < count; i++)
		if (value[i]) TRY(graph_constant_set(value[i], out[i]));
	*done = true;
	return OG_OK;
}

og_status optimize_fold_constants(og_model *m, const optimize_options *o)
{
	(void)o;
	for (graph_node *n = m->main->first, *next; n; n = next) {
		bool done;
		next = n->next;
		TRY(schema_infer_node(n));           /* it may know its shapes only now */
		if (foldable(n)) TRY(fold(n, &done));
	}
	return OG_OK;
}
