/* attributes.c -- a node's attributes in the order in which its op declares them. */
#include "schema/inside.h"

#include <stdio.h>

const char *schema_node_words(char words[SCHEMA_WORDS], const graph_node *n)
{
	const char *name = n->name;
	for (int k = 0; !*name && k < n->n_out; k++)
		if (n->out[k]) name = n->out[k]->name;
	snprintf(words, SCHEMA_WORDS, "node %s'%.120s' (%.50s%s%.60s)", *n->name ? "" : "that makes ", name, n->domain,
	         *n->domain ? "::" : "", n->type);
	return words;
}

static const graph_attr *find_default(const graph_function *f, const char *name)
{
	for (int k = 0; k < f->n_defaults; k++)
		if (strcmp(f->defaults[k].name, name) == 0) return &f->defaults[k];
	return NULL;
}

/* What an attribute of a function's body refers to: an attribute of the call, or the function's default. */
static const graph_attr *follow(const graph_attr *attr, const schema_scope *scope)
{
	if (!attr || !attr->ref) return attr;
	while (scope && !scope->call) scope = scope->outer;
	if (!scope) return NULL;
	const graph_attr *given = follow(graph_attr_find(scope->call, attr->ref), scope->call_scope);
	return given ? given : find_default(scope->function, attr->ref);
}

const graph_attr *schema_attribute(const graph_node *n, const char *name, const schema_scope *scope)
{
	return follow(graph_attr_find(n, name), scope);
}

/* Attributes that mean nothing to us but may stand on any node: ONNX's first opset had consumed_inputs; a grafted node
 * carries the name under which TensorRT looks for its plugin. */
static bool is_ignored(const char *name)
{
	static const char *const ignored[] = { "consumed_inputs", "plugin_namespace", "plugin_version" };
	for (size_t k = 0; k < sizeof ignored / sizeof ignored[0]; k++)
		if (strcmp(name, ignored[k]) == 0) return true;
	return false;
}

static og_status check_names(const graph_node *n)
{
	for (int k = 0; k < n->n_attrs; k++) {
		const char *name = n->attrs[k].name;
		bool known = is_ignored(name);
		for (const og_attr *d = n->op->attrs; !known && d && d->name; d++) known = strcmp(d->name, name) == 0;
		char words[SCHEMA_WORDS];
		if (!known)
			return base_fail(OG_BAD_FILE, "%s: there is no attribute '%s' in version %d of this op",
			                 schema_node_words(words, n), name, n->op->since);
	}
	return OG_OK;
}

/* A list of strings as one string, '|' between them. */
static og_status join_strings(og_attr_value *v, arena *a, const graph_attr *attr)
{
	size_t n = 0;
	for (size_t k = 0; k < attr->n; k++) n += strlen(attr->strings[k]) + 1;
	char *to = arena_alloc(a, n + 1);
	NEED(to);
	v->s = to;
	v->n = n > 0 ? (int64_t)n - 1 : 0;
	for (size_t k = 0; k < attr->n; k++) {
		size_t length = strlen(attr->strings[k]);
		memcpy(to, attr->strings[k], length);
		to += length;
		if (k + 1 < attr->n) *to++ = '|';
	}
	return OG_OK;
}

static og_status take_value(og_attr_value *v, arena *a, const og_attr *d, const graph_attr *attr)
{
	int type = d->type == OG_ATTR_ENUM ? OG_ATTR_STRING : (int)d->type;
	if (attr->type == GRAPH_ATTR_OPAQUE)
		return base_fail(OG_UNSUPPORTED, "attribute '%s' is of a kind that is not supported (sparse, or a list of tensors)", d->name);
	if (attr->type != type) return base_fail(OG_BAD_FILE, "attribute '%s' is of the wrong type", d->name);
	v->present = 1;
	switch (d->type) {
	case OG_ATTR_INT:
		v->i = attr->i;
		v->f = (float)attr->i;
		return schema_attr_check(d, (double)attr->i);
	case OG_ATTR_FLOAT:
		v->f = attr->f;
		return schema_attr_check(d, (double)attr->f);
	case OG_ATTR_ENUM:
		v->i = schema_attr_word(d, attr->s);
		v->f = (float)v->i;
		return v->i >= 0 ? OG_OK : OG_BAD_FILE;
	case OG_ATTR_TENSOR:
		v->t = attr->t;
		return OG_OK;
	case OG_ATTR_GRAPH:
		return OG_OK;
	case OG_ATTR_STRINGS:
		return join_strings(v, a, attr);
	case OG_ATTR_STRING:
	case OG_ATTR_INTS:
	case OG_ATTR_FLOATS:
		v->s = attr->s;
		v->n = (int64_t)attr->n;
		v->ints = attr->ints;
		v->floats = attr->floats;
		return OG_OK;
	}
	return OG_OK;
}

og_status schema_attributes_in(const og_attr_value **out, arena *a, const graph_node *n, const schema_scope *scope)
{
	int declared = schema_attr_count(n->op);
	og_attr_value *values = arena_array(a, (size_t)declared, sizeof *values);
	NEED(values);
	TRY(check_names(n));
	for (int k = 0; k < declared; k++) {
		const og_attr *d = &n->op->attrs[k];
		const graph_attr *attr = schema_attribute(n, d->name, scope);
		og_status status = OG_OK;
		values[k] = (og_attr_value){ .i = (int64_t)d->value, .f = (float)d->value };
		if (attr) status = take_value(&values[k], a, d, attr);
		else if (d->required) status = base_fail(OG_BAD_FILE, "attribute '%s' is missing", d->name);
		char words[SCHEMA_WORDS];
		if (status != OG_OK) return base_fail_in(status, "%s", schema_node_words(words, n));
	}
	*out = values;
	return OG_OK;
}

og_status schema_attributes(const og_attr_value **out, arena *a, const graph_node *n)
{
	return schema_attributes_in(out, a, n, NULL);
}
