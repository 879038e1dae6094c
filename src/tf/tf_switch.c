/* tf_switch.c -- conditions of TensorFlow 1 that are known: a Switch sends its input on by one of two outputs, a Merge takes the
 * one that comes. Networks of Keras have them around each layer that is another one in training, with a placeholder as the
 * condition that is false unless it is fed, or that the user says. With the condition known, both become Identity, and the other branch goes. */
#include "tf/tf_private.h"

#include <math.h>

/* The mark of a node that never runs, and of a Switch that has become Identity: by which output it sent. */
static const char dead, sends_false, sends_true;

og_status tf_fix_placeholder(tf_reader *r, tf_node *n)
{
	const tf_fixed *f = map_get(&r->fixed, n->name);
	og_dtype dtype = OG_NONE;
	if (!f || strncmp(n->op, "Placeholder", strlen("Placeholder")) != 0) return OG_OK;
	TRY(tf_type(n, "dtype", &dtype));
	bool whole = f->value >= INT32_MIN && f->value <= INT32_MAX && f->value == floor(f->value);
	if ((dtype == OG_I32 || dtype == OG_I64) && !whole)
		return base_fail(OG_USAGE, "%g is no value of a placeholder of type %s", f->value, base_dtype_name(dtype));
	og_tensor *t = dtype == OG_NONE || dtype == OG_STRING ? NULL : graph_tensor_new(r->holder->a, dtype, 0, NULL);
	if (!t && dtype != OG_NONE && dtype != OG_STRING) return base_no_memory();
	switch (dtype) {
	case OG_BOOL: *(uint8_t *)t->data = f->value != 0; break;
	case OG_F32: *(float *)t->data = (float)f->value; break;
	case OG_F64: *(double *)t->data = f->value; break;
	case OG_I32: *(int32_t *)t->data = (int32_t)f->value; break;
	case OG_I64: *(int64_t *)t->data = (int64_t)f->value; break;
	default: return base_fail(OG_UNSUPPORTED, "a placeholder of type %s can't be given a value", base_dtype_name(dtype));
	}
	n->n_in = 0;
	return tf_make_constant(r, n, t);
}

/* The value of a condition in *out; false: it is not known. */
static bool is_known(tf_value v, bool *out)
{
	while (strcmp(v.node->op, "PlaceholderWithDefault") == 0 || (strcmp(v.node->op, "Identity") == 0 && v.node->n_in == 1)) {
		if (v.node->n_in == 0) return false;
		v = v.node->in[0];
	}
	const og_tensor *t = tf_constant(v);
	if (!t || t->dtype != OG_BOOL || t->rank != 0) return false;
	*out = *(const uint8_t *)t->data != 0;
	return true;
}

static bool comes(tf_value v)
{
	const void *mark = v.node->mark;
	if (mark == &sends_false || mark == &sends_true) return v.output == (mark == &sends_true);
	return mark != &dead;
}

bool tf_follow_switch(tf_value *v)
{
	bool yes = comes(*v);
	if (v->node->mark == &sends_true) v->output = 0;     /* the only output that such a Switch still has */
	return yes;
}

static void take_one(tf_node *n, tf_value *in, int k)
{
	in[0] = in[k];
	tf_follow_switch(&in[0]);
	n->op = "Identity";
	n->n_in = 1;
}

void tf_fold_switches(const tf_list *list)
{
	for (size_t k = 0; k < list->n; k++) {
		tf_node *n = list->p[k];
		tf_value *in = (tf_value *)(uintptr_t)n->in;     /* the reader's own until the graph is settled */
		bool merge = strcmp(n->op, "Merge") == 0, known;
		int coming = 0, last = 0;
		for (int i = 0; i < n->n_in; i++) {
			if (!comes(in[i])) continue;
			coming++;
			last = i;
		}
		if (merge ? coming == 0 : coming < n->n_in) {
			n->mark = (void *)(uintptr_t)&dead;
		} else if (merge && coming == 1 && n->n_in > 1) {
			take_one(n, in, last);
		} else if (strcmp(n->op, "Switch") == 0 && n->n_in == 2 && is_known(in[1], &known)) {
			take_one(n, in, 0);
			n->mark = (void *)(uintptr_t)(known ? &sends_true : &sends_false);
		} else {
			for (int i = 0; i < n->n_in; i++) tf_follow_switch(&in[i]);
		}
	}
}
