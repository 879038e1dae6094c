/* import.c -- networks of other frameworks, of the public interface. */
#include "graph/graph.h"
#include "opgraft.h"
#include "optimize/optimize.h"
#include "schema/schema.h"
#include "tf/convert.h"

/* Names for the reader, shapes for the converter. */
typedef struct wanted { const char **names; convert_fixed *fixed; int n_fixed; tf_fixed *values; } wanted;

static og_status wanted_inputs(wanted *w, arena *a, const og_import_options *o)
{
	w->names = arena_array(a, (size_t)o->n_inputs + 1, sizeof *w->names);
	w->fixed = arena_array(a, (size_t)o->n_inputs + 1, sizeof *w->fixed);
	w->values = arena_array(a, (size_t)o->n_values + 1, sizeof *w->values);
	if (!w->names || !w->fixed || !w->values) return base_no_memory();
	for (int k = 0; k < o->n_values; k++) w->values[k] = (tf_fixed){ o->values[k].name, o->values[k].value };
	for (int k = 0; k < o->n_inputs; k++) {
		const og_binding *in = &o->inputs[k];
		w->names[k] = in->name;
		if (in->rank < 0) continue;
		if (in->rank > OG_MAX_RANK)
			return base_fail(OG_USAGE, "input '%s' can't have %d dimensions", in->name, in->rank);
		convert_fixed *fixed = &w->fixed[w->n_fixed++];
		fixed->name = in->name;
		fixed->shape.rank = in->rank;
		memcpy(fixed->shape.dims, in->dims, sizeof fixed->shape.dims);
	}
	return OG_OK;
}

/* Turns of the layout go through the network and out of it, what changes nothing goes, normalisations go into weights; then what nobody
 * needs any more. */
static og_status tidy(og_model *m, bool fold)
{
	TRY(optimize_remove_dead(m, NULL));
	schema_resolve(m);
	TRY(schema_infer(m->main));
	TRY(optimize_move_transposes(m, NULL));
	TRY(optimize_remove_identity(m, NULL));
	TRY(optimize_join_concats(m, NULL));
	if (fold) TRY(optimize_fold_transposes(m, NULL));
	if (fold) TRY(optimize_fold_batchnorm(m, NULL));
	return optimize_remove_dead(m, NULL);
}

static og_status import(og_model *m, arena *a, const char *path, const og_import_options *o)
{
	tf_graph *t;
	wanted w = { 0 };
	TRY(wanted_inputs(&w, a, o));
	const tf_options options = { .tag = o->tag, .signature = o->signature, .inputs = w.names, .n_inputs = o->n_inputs,
	                             .outputs = o->outputs, .n_outputs = o->n_outputs,
	                             .values = w.values, .n_values = o->n_values };
	TRY(tf_read(&t, m, path, &options));
	og_status status = convert_graph(m, t, w.fixed, w.n_fixed);
	tf_graph_destroy(t);
	return status == OG_OK ? tidy(m, !o->no_fold) : status;
}

og_status og_model_import_tensorflow(og_model **out, const char *path, const og_import_options *options)
{
	og_import_options o = { 0 };
	*out = NULL;
	if (options) memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
	og_model *m = graph_model_create();
	arena *a = arena_create();
	og_status status = m && a ? import(m, a, path, &o) : base_no_memory();
	arena_destroy(a);
	if (status == OG_OK) *out = m;
	else graph_model_destroy(m);
	return status;
}

const char *og_import_tensorflow_op(size_t k) { return convert_op_name(k); }
