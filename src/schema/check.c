/* check.c -- a node as a plan file describes it: nothing of it is taken on trust. */
#include "schema/inside.h"

static int count_words(const char *words)
{
	int n = 1;
	for (; *words; words++) n += *words == '|';
	return n;
}

/* What the reader of models makes sure of, for a value that did not come from it. */
static bool attribute_is_sound(const og_attr *d, const og_attr_value *v)
{
	double number = d->type == OG_ATTR_FLOAT ? (double)v->f : (double)v->i;
	if (!v->present && (d->required || v->n)) return false;
	switch (d->type) {
	case OG_ATTR_INT:
	case OG_ATTR_FLOAT: return d->low == d->high || (number >= d->low && number <= d->high);
	case OG_ATTR_ENUM: return v->i >= 0 && v->i < count_words(d->words);
	case OG_ATTR_STRING:
	case OG_ATTR_STRINGS: return !v->present || (v->s && v->n == (int64_t)strlen(v->s));
	case OG_ATTR_INTS: return v->ints || !v->n;
	case OG_ATTR_FLOATS: return v->floats || !v->n;
	case OG_ATTR_TENSOR: return v->t || !v->present;
	case OG_ATTR_GRAPH: return !v->present;
	}
	return false;
}

static bool same_type(const og_shape *s, const og_tensor *t)
{
	bool same = s->dtype == t->dtype && s->rank == t->rank;
	for (int d = 0; same && d < t->rank; d++) same = s->dims[d] == t->dims[d];
	return same;
}

og_status schema_check(og_model *scratch, const og_op *op, const og_attr_value *attr, int n_in, const og_tensor *in,
                       int n_out, const og_tensor *out)
{
	graph_node n = { .name = "step", .type = op->name, .domain = schema_domain(op), .op = op, .owner = scratch->main,
	                 .n_in = n_in, .n_out = n_out };
	graph_value made = { .name = "" };   /* stands for each output that is there */
	schema_question q;
	for (int k = 0; op->attrs && op->attrs[k].name; k++)
		if (!attribute_is_sound(&op->attrs[k], &attr[k]))
			return base_fail(OG_BAD_FILE, "attribute '%s' of %s is out of range", op->attrs[k].name, op->name);
	TRY(schema_question_begin(&q, scratch->a, &n, attr));
	n.out = arena_array(scratch->a, (size_t)n_out, sizeof *n.out);
	NEED(n.out);
	for (int k = 0; k < n_out; k++) n.out[k] = out[k].dtype == OG_NONE ? NULL : &made;
	for (int k = 0; k < n_in; k++) {
		if (in[k].dtype == OG_NONE) continue;
		q.present[k] = true;
		q.in[k] = (og_shape){ .dtype = in[k].dtype, .rank = in[k].rank };
		memcpy(q.in[k].dims, in[k].dims, sizeof in[k].dims);
		if (in[k].data || !og_count(&in[k])) q.in[k].value = &in[k];
	}
	TRY(schema_question_ask(&q, &n));
	for (int k = 0; k < n_out; k++)
		if (n.out[k] && !same_type(&q.out[k], &out[k]))
			return base_fail(OG_BAD_FILE, "output %d of %s has another type", k, op->name);
	return OG_OK;
}
