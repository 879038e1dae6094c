/* recognise_rule.c -- what a verdict says: a rule that makes the op, and the op as people write it. */
#include "surgery/recognise.h"

/* The number of an attribute, or of an input behind the first. */
static double number_of(const recognise_verdict *d, bool input, int index)
{
	const recognise_variant *v = d->variant;
	for (int i = 0; i < v->n_parameters; i++)
		if (v->parameter[i].input == input && v->parameter[i].index == index) return d->parameter[i];
	return input ? v->in[index] : (double)v->attr[index];
}

/* Word k of an enum's "none|tanh", and its length. */
static const char *word_of(const og_attr *a, int k, size_t *length)
{
	const char *word = a->words;
	for (; k > 0; k--) word = strchr(word, '|') + 1;
	*length = strcspn(word, "|");
	return word;
}

const char *recognise_print_op(const recognise_verdict *d, arena *a)
{
	const og_op *op = d->variant->op;
	text t = { 0 };
	size_t length;
	text_add(&t, schema_called(op));
	for (int k = 0; k < op->map_attrs; k++) {
		double number = number_of(d, false, k);
		text_printf(&t, "%s%s=", k ? ", " : "(", op->attrs[k].name);
		if (op->attrs[k].type != OG_ATTR_ENUM) {
			text_printf(&t, "%.6g", number);
		} else {
			const char *word = word_of(&op->attrs[k], (int)number, &length);
			text_addn(&t, word, length);
		}
	}
	if (op->map_attrs > 0) text_add(&t, ")");
	char *made = text_take(&t), *kept = made ? arena_strdup(a, made) : NULL;
	base_free(made);
	return kept;
}

static og_status add_bind(pattern *right, const recognise_verdict *d, int k, arena *a)
{
	const og_attr *attr = &d->variant->op->attrs[k];
	pattern_bind *b = &right->binds[right->n_binds++];
	size_t length;
	*b = (pattern_bind){ .name = attr->name, .kind = BIND_NUMBER, .number = number_of(d, false, k) };
	if (attr->type != OG_ATTR_ENUM) return OG_OK;
	const char *word = word_of(attr, (int)b->number, &length);
	b->kind = BIND_STRING;
	b->string = arena_strndup(a, word, length);
	NEED(b->string);
	return OG_OK;
}

og_status recognise_rule(recognise_verdict *d, arena *a)
{
	const og_op *op = d->variant->op;
	rule *made = arena_alloc(a, sizeof *made);
	pattern *right = arena_array(a, 1 + OG_MAX_IN, sizeof *right);
	if (!made || !right) return base_no_memory();
	*made = (rule){ .right = right, .variables = { "x" }, .n_variables = 1, .how = "meaning" };
	*right = (pattern){ .kind = PATTERN_NODE, .domain = schema_domain(op), .type = op->name, .op = op, .n_args = 1 };
	right->args[0] = &right[1];
	right[1] = (pattern){ .kind = PATTERN_VARIABLE };
	for (int k = 1; k < op->map_inputs; k++) {
		bool given = d->variant->given[k];
		right[1 + k] = (pattern){ .kind = given ? PATTERN_NUMBER : PATTERN_ABSENT, .number = number_of(d, true, k) };
		right->args[k] = &right[1 + k];
		if (given) right->n_args = k + 1;
	}
	for (int k = 0; k < op->map_attrs; k++) TRY(add_bind(right, d, k, a));
	d->rule = made;
	return OG_OK;
}
