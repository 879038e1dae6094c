/* tf_outputs.c -- which output "node:name:2" of a function's body is. For that the op's declaration is needed: SavedModels
 * carry those of the ops that they use; of frozen graphs with functions, ops with more than one output that occur in
 * trained networks are known by the table below, and another one's outputs must all be asked for by one name. */
#include "tf/tf_private.h"

/* The names of outputs by the op, from TensorFlow's op registry (tensorflow/core/ops). */
static const struct { const char *op, *outputs; } several[] = {
	{ "Assert", "" }, { "NoOp", "" },
	{ "BlockLSTM", "i cs f o ci co h" }, { "BlockLSTMV2", "i cs f o ci co h" },
	{ "CombinedNonMaxSuppression", "nmsed_boxes nmsed_scores nmsed_classes valid_detections" },
	{ "FusedBatchNorm", "y batch_mean batch_variance reserve_space_1 reserve_space_2" },
	{ "FusedBatchNormV2", "y batch_mean batch_variance reserve_space_1 reserve_space_2" },
	{ "FusedBatchNormV3", "y batch_mean batch_variance reserve_space_1 reserve_space_2 reserve_space_3" },
	{ "GRUBlockCell", "r u c h" }, { "ListDiff", "out idx" }, { "LSTMBlockCell", "i cs f o ci co h" },
	{ "MaxPoolWithArgmax", "output argmax" }, { "Merge", "output value_index" },
	{ "NonMaxSuppressionV4", "selected_indices valid_outputs" },
	{ "NonMaxSuppressionV5", "selected_indices selected_scores valid_outputs" },
	{ "Qr", "q r" }, { "QuantizeV2", "output output_min output_max" }, { "RefSwitch", "output_false output_true" },
	{ "SelfAdjointEigV2", "e v" }, { "SoftmaxCrossEntropyWithLogits", "loss backprop" },
	{ "SparseSoftmaxCrossEntropyWithLogits", "loss backprop" }, { "Svd", "s u v" },
	{ "Switch", "output_false output_true" }, { "TensorArrayV3", "handle flow" },
	{ "TensorListPopBack", "output_handle tensor" }, { "TopK", "values indices" }, { "TopKV2", "values indices" },
	{ "Unique", "y idx" }, { "UniqueV2", "y idx" }, { "UniqueWithCounts", "y idx count" },
	{ "UniqueWithCountsV2", "y idx count" },
};

static const char *known_outputs(const char *op)
{
	for (size_t k = 0; k < sizeof several / sizeof *several; k++)
		if (strcmp(several[k].op, op) == 0) return several[k].outputs;
	return NULL;
}

static og_status no_output(const tf_raw *n, const tf_ref *ref)
{
	int shown = ref->output.n > 64 ? 64 : (int)ref->output.n;
	return base_fail(OG_BAD_FILE, "an output '%.*s:%d' of node '%.128s' is used, but a %.64s has none", shown,
	                 (const char *)ref->output.p, ref->k, n->name, n->op);
}

/* By its place among words with blanks between them. */
static og_status find_word(const char *words, const tf_raw *n, const tf_ref *ref, int *out)
{
	*out = 0;
	for (const char *p = words; *p; (*out)++) {
		size_t length = strcspn(p, " ");
		if (length == ref->output.n && memcmp(p, ref->output.p, length) == 0) return ref->k == 0 ? OG_OK : no_output(n, ref);
		p += length + (p[length] == ' ');
	}
	return no_output(n, ref);
}

/* Name and number of tensors of an output in an OpDef. */
static og_status read_output_arg(tf_reader *r, tf_attrs attrs, base_bytes bytes, base_bytes *name, int64_t *size)
{
	wire_reader w = tf_open(TF_M_ARG, bytes, r->base);
	wire_field f;
	*name = (base_bytes){ 0 };
	*size = 1;
	do {
		const char *key;
		TRY(wire_next(&w, &f));
		if (f.number == TF_ARG_name) *name = f.bytes;
		if ((f.number != TF_ARG_number_attr && f.number != TF_ARG_type_list_attr) || f.bytes.n == 0) continue;
		TRY(tf_name(&key, r->temporary, f.bytes));
		const tf_attr *a = tf_attrs_find(attrs, key);
		if (f.number == TF_ARG_number_attr) *size = a && a->kind == TF_INT && !a->is_list ? a->ints[0] : -1;
		else *size = a && (a->kind == TF_TYPE || a->n == 0) ? (int64_t)a->n : -1;
		if (*size < 0 || *size > INT32_MAX / 2)
			return base_fail(OG_BAD_FILE, "its attribute '%.64s' does not say how many outputs it has", key);
	} while (f.number != 0);
	return OG_OK;
}

static og_status find_declared(tf_reader *r, base_bytes op, const tf_raw *n, tf_attrs attrs, const tf_ref *ref, int *out)
{
	wire_reader w = tf_open(TF_M_OP, op, r->base);
	wire_field f;
	int64_t before = 0, size;
	do {
		base_bytes name;
		TRY(wire_next(&w, &f));
		if (f.number != TF_OP_output_arg) continue;
		TRY(read_output_arg(r, attrs, f.bytes, &name, &size));
		bool found = name.n == ref->output.n && memcmp(name.p, ref->output.p, name.n) == 0;
		if (found && (ref->k >= size || before > INT32_MAX / 2)) return no_output(n, ref);
		*out = (int)before + ref->k;
		if (found) return OG_OK;
		before += size;
	} while (f.number != 0);
	return no_output(n, ref);
}

og_status tf_called(tf_reader *r, const tf_raw *n, tf_attrs attrs, tf_scope **out, tf_attrs *with)
{
	bool indirect = strcmp(n->op, "PartitionedCall") == 0 || strcmp(n->op, "StatefulPartitionedCall") == 0;
	*with = attrs;
	*out = map_get(&r->functions, n->op);
	if (!indirect) return OG_OK;
	const tf_attr *f = tf_attrs_find(attrs, "f");
	if (!f || f->kind != TF_FUNC || f->n != 1) return base_fail(OG_BAD_FILE, "it does not say which function it calls");
	*with = (tf_attrs){ f->funcs[0].attrs, f->funcs[0].n_attrs };
	*out = map_get(&r->functions, f->funcs[0].name);
	if (*out) return OG_OK;
	return base_fail(OG_BAD_FILE, "it calls the function '%.128s', which is not in the file", f->funcs[0].name);
}

og_status tf_output_of(tf_reader *r, tf_raw *n, tf_attrs attrs, const tf_ref *ref, int *out)
{
	*out = ref->k;
	if (!ref->output.p || !n->op) return OG_OK;
	tf_scope *called;
	tf_attrs with;
	TRY(tf_called(r, n, attrs, &called, &with));
	if (called && map_get(&r->functions, n->op)) {
		TRY(tf_scope_ready(r, called));
		return find_declared(r, called->signature, n, attrs, ref, out);
	}
	if (called) return wire_is(ref->output, "output") ? OG_OK : no_output(n, ref);
	const base_bytes *op = map_get(&r->ops, n->op);
	if (op) return find_declared(r, *op, n, attrs, ref, out);
	const char *known = known_outputs(n->op);
	if (known) return find_word(known, n, ref, out);
	if (n->sole && !wire_is(ref->output, n->sole))
		return base_fail(OG_UNSUPPORTED, "node '%.128s' has more than one output, and in which order is not known of a %.64s; "
		                 "the SavedModel folder says it", n->name, n->op);
	return n->sole ? OG_OK : tf_name(&n->sole, r->temporary, ref->output);
}

bool tf_makes_nothing(tf_reader *r, const char *op)
{
	const base_bytes *declared = map_get(&r->ops, op);
	const char *known = known_outputs(op);
	if (!declared) return known && !*known;
	wire_reader w = tf_open(TF_M_OP, *declared, r->base);
	wire_field f;
	do {
		if (wire_next(&w, &f) != OG_OK || f.number == TF_OP_output_arg) return false;
	} while (f.number != 0);
	return true;
}
