/* tf_objects.c -- TensorFlow 2 knows a variable as an object. A SavedModel numbers its objects and says for each function which
 * of them are the captured inputs, the last ones of its calls. The checkpoint has a string with the same objects in the same
 * order, and for those that are variables their keys. A Keras model that was saved as any other object needs this: its graph
 * restores copies of the variables, not those that its signatures read. */
#include "tf/tf_private.h"

#define OBJECTS_KEY "_CHECKPOINTABLE_OBJECT_GRAPH"

/* The key under which an object's value is kept; p NULL: it has none. */
static og_status read_key(base_bytes object, const uint8_t *base, base_bytes *key)
{
	wire_reader w = tf_open(TF_M_TRACKED, object, base);
	wire_field f;
	*key = (base_bytes){ 0 };
	do {
		TRY(wire_next(&w, &f));
		if (f.number != TF_TRACKED_attributes) continue;
		base_bytes name = { 0 }, its_key = { 0 };
		wire_reader v = tf_open(TF_M_TRACKED_TENSOR, f.bytes, base);
		do {
			TRY(wire_next(&v, &f));
			if (f.number == TF_TRACKED_TENSOR_name) name = f.bytes;
			if (f.number == TF_TRACKED_TENSOR_checkpoint_key) its_key = f.bytes;
		} while (f.number != 0);
		if (wire_is(name, "VARIABLE_VALUE")) *key = its_key;
		f.number = TF_TRACKED_attributes;
	} while (f.number != 0);
	return OG_OK;
}

/* The keys of all objects, by their numbers. */
static og_status read_keys(tf_reader *r, base_bytes objects, base_bytes **keys, size_t *n)
{
	wire_reader w = tf_open(TF_M_TRACKED_OBJECTS, objects, objects.p);
	wire_field f;
	size_t capacity = 0;
	*keys = NULL;
	*n = 0;
	do {
		TRY(wire_next(&w, &f));
		if (f.number != TF_TRACKED_OBJECTS_nodes) continue;
		*keys = arena_grow(r->temporary, *keys, *n, &capacity, *n + 1, sizeof **keys);
		NEED(*keys);
		TRY(read_key(f.bytes, objects.p, &(*keys)[(*n)++]));
	} while (f.number != 0);
	return OG_OK;
}

/* The function's name and the numbers of the objects that it captures. */
typedef struct captures { base_bytes function; uint64_t *p; size_t n, capacity; } captures;

static og_status read_captures(tf_reader *r, base_bytes entry, captures *out)
{
	wire_reader w = tf_open(TF_M_CONCRETE_ENTRY, entry, r->base);
	wire_field f;
	base_bytes value = { 0 };
	out->function = (base_bytes){ 0 };
	out->n = 0;
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_CONCRETE_ENTRY_key) out->function = f.bytes;
		if (f.number == TF_CONCRETE_ENTRY_value) value = f.bytes;
	} while (f.number != 0);
	w = tf_open(TF_M_CONCRETE, value, r->base);
	do {
		TRY(wire_next(&w, &f));
		while (f.number == TF_CONCRETE_bound_inputs && f.bytes.n > 0) {
			out->p = arena_grow(r->temporary, out->p, out->n, &out->capacity, out->n + 1, sizeof *out->p);
			NEED(out->p);
			if (!wire_varint(&f.bytes, &out->p[out->n++]))
				return base_fail(OG_BAD_FILE, "the number of an object has more than 64 bits");
		}
	} while (f.number != 0);
	return OG_OK;
}

/* Gives the variables among the captured inputs of a call their keys. */
static og_status note_keys(tf_reader *r, tf_instance *main, const tf_raw *call, const captures *c, const base_bytes *keys,
                           size_t n_keys, const void *unknown)
{
	if (c->n > (size_t)call->n_in) return OG_OK;
	for (size_t k = 0; k < c->n; k++) {
		uint64_t number = c->p[k];
		tf_node *variable = tf_instance_node(main, &call->in[(size_t)call->n_in - c->n + k]);
		if (!variable || variable->mark != unknown || !tf_is_variable(variable) || number >= n_keys || !keys[number].p) continue;
		tf_restored *from = arena_alloc(r->temporary, sizeof *from);
		NEED(from);
		from->slice = "";
		TRY(tf_name(&from->key, r->temporary, keys[number]));
		variable->mark = from;
	}
	return OG_OK;
}

og_status tf_objects_find(tf_reader *r, tf_instance *main, tf_bundle *b, const void *unknown)
{
	base_bytes objects, *keys;
	size_t n_keys;
	captures c = { 0 };
	og_status status = r->objects.p ? tf_bundle_string(b, &objects, OBJECTS_KEY) : OG_NO;
	if (status != OG_OK) return status == OG_NO ? OG_OK : status;
	status = read_keys(r, objects, &keys, &n_keys);
	if (status != OG_OK) return base_fail_in(status, "'%s' in the checkpoint", OBJECTS_KEY);
	wire_reader w = tf_open(TF_M_OBJECTS, r->objects, r->base);
	wire_field f;
	do {
		TRY(wire_next(&w, &f));
		if (f.number != TF_OBJECTS_concrete_functions) continue;
		TRY(read_captures(r, f.bytes, &c));
		for (size_t k = 0; k < r->main->n_nodes; k++) {
			const tf_scope *called = tf_instance_called(main, k);
			if (called && wire_is(c.function, called->name))
				TRY(note_keys(r, main, &r->main->nodes[k], &c, keys, n_keys, unknown));
		}
	} while (f.number != 0);
	return OG_OK;
}
