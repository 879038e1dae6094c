/* body.c -- building what an op's body says. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "schema/schema.h"
#include "surgery/body.h"

/* ---- reading --------------------------------------------------------------------------------- */

/* Which attribute of the op has that name; -1: none. */
static int attribute_named(const og_op *op, const char *name)
{
	for (int k = 0; op->attrs && op->attrs[k].name; k++)
		if (!strcmp(op->attrs[k].name, name)) return k;
	return -1;
}

static const char *word_at(arena *a, const char *words, int k)
{
	for (; k > 0 && strchr(words, '|'); k--) words = strchr(words, '|') + 1;
	return arena_strndup(a, words, strcspn(words, "|"));
}

bool body_default(graph_attr *out, arena *a, const og_attr *d)
{
	*out = (graph_attr){ .type = d->type == OG_ATTR_ENUM ? OG_ATTR_STRING : (int)d->type };
	if (d->required) return false;
	switch (d->type) {
	case OG_ATTR_INT: out->i = (int64_t)d->value; return true;
	case OG_ATTR_FLOAT: out->f = (float)d->value; return true;
	case OG_ATTR_ENUM:
		out->s = word_at(a, d->words, (int)d->value);
		out->n = out->s ? strlen(out->s) : 0;
		return out->s != NULL;
	default: return false;
	}
}

/* The attribute as a node has it, or its default; false: neither. */
static bool value_of(graph_attr *out, arena *a, const og_attr *d, const graph_node *n)
{
	const graph_attr *given = n ? graph_attr_find(n, d->name) : NULL;
	if (given) *out = *given;
	return given || body_default(out, a, d);
}

/* Where a part of a body ends: at one of `ends` outside strings, or at its end. */
static const char *part_end(const char *s, const char *ends)
{
	for (bool string = false; *s && (string || !strchr(ends, *s)); s++)
		if (*s == '"') string = !string;
	return s;
}

static og_status malformed(const og_op *op, const char *at, const char *what)
{
	return base_fail(OG_USAGE, "op %s, column %td of its body: %s", op->name, at - op->body + 1, what);
}

static const char *skip_spaces(const char *s)
{
	while (*s == ' ' || *s == '\t' || *s == '\n') s++;
	return s;
}

/* Does "name=word" or "name=number" hold? */
static og_status condition(bool *holds, arena *a, const og_op *op, const graph_node *n, const char *s, const char *end)
{
	const char *equals = memchr(s, '=', (size_t)(end - s));
	if (!equals) return malformed(op, s, "a condition is written attribute=value");
	const char *name_end = equals, *word = skip_spaces(equals + 1);
	while (name_end > s && name_end[-1] == ' ') name_end--;
	while (end > word && (end[-1] == ' ' || end[-1] == '\n')) end--;
	const char *name = arena_strndup(a, s, (size_t)(name_end - s)), *want = arena_strndup(a, word, (size_t)(end - word));
	if (!name || !want) return base_no_memory();
	int k = attribute_named(op, name);
	if (k < 0) return malformed(op, s, "the op has no attribute of this name");
	graph_attr v;
	if (!value_of(&v, a, &op->attrs[k], n)) *holds = false;
	else if (v.ref) return base_fail(OG_UNSUPPORTED, "op %s has bodies for values of '%s', which is the attribute of a "
	                                 "function here", op->name, name);
	else if (v.type == OG_ATTR_STRING) *holds = v.n == strlen(want) && !memcmp(v.s, want, v.n);
	else if (v.type == OG_ATTR_INT) *holds = (double)v.i == strtod(want, NULL);
	else if (v.type == OG_ATTR_FLOAT) *holds = v.f == strtof(want, NULL);
	else return malformed(op, s, "an attribute of this type can't be in a condition");
	return OG_OK;
}

og_status body_choose(body_reading *out, arena *a, const og_op *op, const graph_node *n)
{
	*out = (body_reading){ .op = op };
	for (const char *s = op->body; s; s = *s ? s + 1 : NULL, out->number++) {
		bool all = true;
		out->from = s;
		out->end = s = part_end(s, ";|");
		while (*s == ';') {
			const char *start = skip_spaces(s + 1);
			bool holds = false;
			s = part_end(start, ";|");
			TRY(condition(&holds, a, op, n, start, s));
			all = all && holds;
		}
		if (all) return OG_OK;
	}
	return base_fail(OG_NO, "op %s has no body of simpler ops%s", schema_called(op),
	                 op->body ? " for these attributes" : "");
}

/* The text is read with blanks for what stands in front of it, so that columns are those of the whole body. */
og_status body_parse(body_reading *b, arena *a)
{
	char *source = arena_strndup(a, b->op->body, (size_t)(b->end - b->op->body));
	b->r = arena_alloc(a, sizeof *b->r);
	if (!source || !b->r) return base_no_memory();
	memset(source, ' ', (size_t)(b->from - b->op->body));
	og_status status = pattern_parse_expression(b->r, &b->root, a, source);
	return status == OG_OK ? OG_OK : base_fail_in(status, "body of op %s", b->op->name);
}

/* ---- building -------------------------------------------------------------------------------- */

/* What the argument that a value goes to takes: the tensors' own type, whole numbers, or truth. */
typedef enum kind { KIND_TENSOR, KIND_WHOLE, KIND_TRUTH } kind;

/* What was made of a part, so that equal parts are made once. */
typedef struct made { const pattern *p; kind k; graph_node *n; graph_value *v; } made;

typedef struct builder {
	const body_reading *b;
	const body_place *at;
	arena *a;
	schema_args inputs;                  /* the op's */
	made *made; size_t n_made, cap_made;
} builder;

static og_status unsupported(const builder *b, const char *what, const char *name)
{
	return base_fail(OG_UNSUPPORTED, "the body of op %s: %s '%s'; the model imports opset %lld", b->b->op->name, what,
	                 name, (long long)b->at->opset);
}

static bool in_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* Says so of the first place where the word stands. */
static og_status wrong(const builder *b, const char *word, const char *what)
{
	const char *body = b->b->op->body, *at = strstr(body, word);
	size_t n = strlen(word);
	while (at && ((at > body && in_word(at[-1])) || in_word(at[n]))) at = strstr(at + 1, word);
	return base_fail(OG_USAGE, "op %s, column %td of its body: '%s' %s", b->b->op->name, at ? at - body + 1 : 1, word,
	                 what);
}

/* In a function names are its own; elsewhere they must be new to the model. */
static const char *fresh(const builder *b, const char *stem)
{
	if (b->at->node) return graph_fresh_name(b->at->g, stem);
	const char *name = arena_strdup(b->a, stem);
	for (int k = 2; name && graph_value_find(b->at->g, name); k++) name = arena_printf(b->a, "%s_%d", stem, k);
	if (!name) base_no_memory();
	return name;
}

static og_status add_node(const builder *b, graph_node **n, const char *type, int n_in)
{
	TRY(graph_node_add(n, b->at->g, b->at->before, "", type, "", n_in, 0));
	(*n)->op = schema_find("", type, b->at->opset);
	return OG_OK;
}

static og_status output(const builder *b, graph_value **out, graph_node *n, int k)
{
	if (k < n->n_out && n->out[k]) {
		*out = n->out[k];
		return OG_OK;
	}
	const char *name = fresh(b, n->type);
	NEED(name);
	TRY(graph_value_add(out, b->at->g, name, OG_NONE, -1, NULL));
	return graph_set_output(n, k, *out);
}

static og_status unary(const builder *b, graph_value **v, const char *type)
{
	graph_node *n;
	TRY(add_node(b, &n, type, 1));
	TRY(graph_set_input(n, 0, *v));
	return output(b, v, n, 0);
}

/* ---- constants ------------------------------------------------------------------------------- */

static void store(og_tensor *t, int64_t k, double x)
{
	uint8_t *at = (uint8_t *)t->data + (uint64_t)k * og_dtype_bytes(t->dtype);
#define STORE(T, value) do { T y = (T)(value); memcpy(at, &y, sizeof y); } while (0)
	switch (t->dtype) {
	case OG_F64: STORE(double, x); break;
	case OG_F16: STORE(uint16_t, base_float_to_half((float)x)); break;
	case OG_BF16: STORE(uint16_t, base_float_to_bfloat((float)x)); break;
	case OG_I64: STORE(int64_t, x); break;
	case OG_I32: STORE(int32_t, x); break;
	case OG_BOOL: STORE(uint8_t, x != 0); break;
	default: STORE(float, x); break;
	}
#undef STORE
}

/* A constant: a Constant node in a function, which has no initializers. */
static og_status add_tensor(const builder *b, graph_value **out, const og_tensor *t)
{
	graph_node *n;
	if (!b->at->node) {
		TRY(add_node(b, &n, "Constant", 0));
		TRY(graph_attr_set_tensor(n, "value", t));
		return output(b, out, n, 0);
	}
	const char *name = fresh(b, "constant");
	NEED(name);
	return graph_constant_add(out, b->at->g, name, t);
}

/* The first input of floats: what constants are cast to. */
static graph_value *like(const builder *b)
{
	const uint32_t floats = 1u << OG_F32 | 1u << OG_F64 | 1u << OG_F16 | 1u << OG_BF16;
	for (int k = 0; k < b->at->n_in; k++) {
		const schema_arg *arg = schema_arg_at(&b->inputs, k);
		if (b->at->in[k] && arg && arg->types & floats) return b->at->in[k];
	}
	return NULL;
}

/* Casts a value of type `from` to that of the tensors. */
static og_status cast(const builder *b, graph_value **v, og_dtype from)
{
	graph_node *n;
	og_dtype to = b->at->dtype;
	graph_value *as = like(b);
	if (to == OG_NONE && as) {
		TRY(add_node(b, &n, "CastLike", 2));
		TRY(graph_set_input(n, 0, *v));
		TRY(graph_set_input(n, 1, as));
		return output(b, v, n, 0);
	}
	if (from == to || (to == OG_NONE && from == OG_F32)) return OG_OK;
	TRY(unary(b, v, "Cast"));
	return graph_attr_set_int((*v)->producer, "to", to == OG_NONE ? OG_F32 : to);
}

static og_status add_numbers(const builder *b, graph_value **out, kind k, int rank, const double *x, int64_t count)
{
	bool tensor = k == KIND_TENSOR;
	og_dtype known = b->at->dtype != OG_NONE ? b->at->dtype : OG_F32;
	og_dtype dtype = k == KIND_WHOLE ? OG_I64 : k == KIND_TRUTH ? OG_BOOL : known;
	og_tensor *t = graph_tensor_new(b->at->g->model->a, dtype, rank, &count);
	NEED(t);
	for (int64_t i = 0; i < count; i++) store(t, i, x[i]);
	TRY(add_tensor(b, out, t));
	return tensor ? cast(b, out, dtype) : OG_OK;
}

/* The attribute `ref` of the function that this is in, as a value. Constant takes single numbers since opset 12;
 * before, the slope at -1 is the one way from a float attribute to a tensor. */
static og_status add_reference(builder *b, graph_value **out, kind k, int type, const char *ref)
{
	static const char *const fields[] = { [OG_ATTR_INT] = "value_int", [OG_ATTR_FLOAT] = "value_float",
	                                      [OG_ATTR_INTS] = "value_ints", [OG_ATTR_FLOATS] = "value_floats" };
	bool whole = type == OG_ATTR_INT || type == OG_ATTR_INTS;
	graph_node *n;
	if (!whole && k == KIND_WHOLE) return wrong(b, ref, "is no whole number, which its place takes");
	if (b->at->opset >= 12) {
		TRY(add_node(b, &n, "Constant", 0));
		TRY(graph_attr_put(n, &(graph_attr){ .name = fields[type], .type = type, .ref = ref }));
		TRY(output(b, out, n, 0));
	} else if (type == OG_ATTR_FLOAT) {
		og_tensor *minus = graph_tensor_new(b->at->g->model->a, OG_F32, 0, NULL);
		NEED(minus);
		store(minus, 0, -1);
		TRY(add_tensor(b, out, minus));
		TRY(unary(b, out, "LeakyRelu"));
		TRY(graph_attr_put((*out)->producer, &(graph_attr){ .name = "alpha", .type = type, .ref = ref }));
		TRY(unary(b, out, "Neg"));
	} else {
		return unsupported(b, "before opset 12 there is no way to compute with the attribute", ref);
	}
	return k == KIND_TENSOR ? cast(b, out, whole ? OG_I64 : OG_F32) : OG_OK;
}

/* Attribute d of the op as a value; NULL: it is not given. */
static og_status add_attribute(builder *b, graph_value **out, kind k, int d)
{
	const og_attr *attr = &b->b->op->attrs[d];
	const graph_attr *given = b->at->node ? graph_attr_find(b->at->node, attr->name) : NULL;
	graph_attr v;
	*out = NULL;
	bool list = attr->type == OG_ATTR_INTS || attr->type == OG_ATTR_FLOATS;
	if (!list && attr->type != OG_ATTR_INT && attr->type != OG_ATTR_FLOAT)
		return wrong(b, attr->name, "is an attribute without numbers and can't be computed with");
	if (!b->at->node || (given && given->ref)) {
		if (!given && d < 64 && b->at->absent >> d & 1) return OG_OK;
		return add_reference(b, out, k, (int)attr->type, given ? given->ref : attr->name);
	}
	if (!value_of(&v, b->a, attr, b->at->node)) return OG_OK;
	size_t n = list ? v.n : 1;
	double *x = arena_array(b->a, n + 1, sizeof *x);
	NEED(x);
	for (size_t i = 0; list && i < n; i++) x[i] = v.type == OG_ATTR_INTS ? (double)v.ints[i] : (double)v.floats[i];
	if (!list) x[0] = v.type == OG_ATTR_INT ? (double)v.i : (double)v.f;
	return add_numbers(b, out, k, list ? 1 : 0, x, (int64_t)n);
}

/* ---- attributes of nodes --------------------------------------------------------------------- */

/* `name` of a node of the body is attribute d of the op. */
static og_status bind_attribute(const builder *b, graph_node *n, const og_attr *to, const pattern_bind *p, int d)
{
	const og_attr *from = &b->b->op->attrs[d];
	const graph_attr *given = b->at->node ? graph_attr_find(b->at->node, from->name) : NULL;
	graph_attr v = { .type = to->type == OG_ATTR_ENUM ? OG_ATTR_STRING : (int)to->type };
	int type = from->type == OG_ATTR_ENUM ? OG_ATTR_STRING : (int)from->type;
	if (type != v.type) return wrong(b, p->name, "is an attribute of another type than the one that it is given");
	if (p->negative) return wrong(b, from->name, "can't be negated as an attribute");
	if (!b->at->node || (given && given->ref)) {
		if (!given && d < 64 && b->at->absent >> d & 1) return OG_OK;
		v.ref = given ? given->ref : from->name;
	} else if (!value_of(&v, b->at->g->model->a, from, b->at->node)) {
		return OG_OK;
	}
	v.name = to->name;
	v.source = (graph_bytes){ 0 };
	return graph_attr_put(n, &v);
}

static og_status bind(const builder *b, graph_node *n, const og_attr *to, const pattern_bind *p)
{
	bool whole = to->type == OG_ATTR_INT || to->type == OG_ATTR_INTS;
	if (p->kind == BIND_VARIABLE) {
		int d = attribute_named(b->b->op, b->b->r->variables[p->variable]);
		if (d < 0) return wrong(b, b->b->r->variables[p->variable], "is no attribute of the op");
		return bind_attribute(b, n, to, p, d);
	}
	if (p->kind == BIND_STRING && (to->type == OG_ATTR_STRING || to->type == OG_ATTR_ENUM))
		return graph_attr_set_string(n, p->name, p->string);
	if (p->kind == BIND_NUMBER && to->type == OG_ATTR_FLOAT) return graph_attr_set_float(n, p->name, (float)p->number);
	if (p->kind == BIND_NUMBER && whole && p->number == floor(p->number) && to->type == OG_ATTR_INT)
		return graph_attr_set_int(n, p->name, (int64_t)p->number);
	if (p->kind == BIND_NUMBERS && (to->type == OG_ATTR_INTS || to->type == OG_ATTR_FLOATS)) {
		int64_t *ints = arena_array(b->a, p->n + 1, sizeof *ints);
		float *floats = arena_array(b->a, p->n + 1, sizeof *floats);
		if (!ints || !floats) return base_no_memory();
		for (size_t i = 0; i < p->n; i++) {
			if (whole) ints[i] = (int64_t)p->numbers[i];
			else floats[i] = (float)p->numbers[i];
		}
		return whole ? graph_attr_set_ints(n, p->name, ints, p->n) : graph_attr_set_floats(n, p->name, floats, p->n);
	}
	return wrong(b, p->name, "is an attribute of another type than the one that it is given");
}

/* ---- expressions ----------------------------------------------------------------------------- */

static bool same_bind(const pattern_bind *a, const pattern_bind *b)
{
	if (strcmp(a->name, b->name) || a->kind != b->kind || a->n != b->n) return false;
	switch (a->kind) {
	case BIND_NUMBER: return a->number == b->number;
	case BIND_VARIABLE: return a->variable == b->variable && a->negative == b->negative;
	case BIND_STRING: return !strcmp(a->string, b->string);
	case BIND_NUMBERS: return !a->n || !memcmp(a->numbers, b->numbers, a->n * sizeof *a->numbers);
	default: return false;
	}
}

/* Do both stand for the same node, constant or argument? */
static bool same(const pattern *a, const pattern *b)
{
	if (a == b) return true;
	if (a->kind != b->kind || a->n_args != b->n_args || a->n_binds != b->n_binds) return false;
	if (a->kind == PATTERN_NUMBER) return a->number == b->number;
	if (a->kind == PATTERN_VARIABLE) return a->variable == b->variable && a->output == b->output;
	if (a->kind != PATTERN_NODE || strcmp(a->type, b->type)) return a->kind == PATTERN_ABSENT;
	for (int i = 0; i < a->n_args; i++)
		if (!same(a->args[i], b->args[i])) return false;
	for (int i = 0; i < a->n_binds; i++)
		if (!same_bind(&a->binds[i], &b->binds[i])) return false;
	return true;
}

static made *find_made(builder *b, const pattern *p, kind k)
{
	for (size_t i = 0; i < b->n_made; i++)
		if (b->made[i].k == k && same(b->made[i].p, p)) return &b->made[i];
	return NULL;
}

static og_status remember(builder *b, const made *m)
{
	b->made = arena_grow(b->a, b->made, b->n_made, &b->cap_made, b->n_made + 1, sizeof *b->made);
	NEED(b->made);
	b->made[b->n_made++] = *m;
	return OG_OK;
}

static kind kind_of(const schema_arg *arg)
{
	const uint32_t tensors = 1u << OG_F32 | 1u << OG_F64 | 1u << OG_F16;
	if (arg->types & tensors) return KIND_TENSOR;
	return arg->types == 1u << OG_BOOL ? KIND_TRUTH : KIND_WHOLE;
}

static og_status build(builder *b, graph_value **out, const pattern *p, kind k);

/* The op of a node in the opset there. */
static og_status find_op(const builder *b, const og_op **op, schema_args *args, const pattern *p)
{
	if (p->domain && p->domain[0]) return wrong(b, p->type, "is no op of ONNX, which bodies are made of");
	*op = schema_find("", p->type, b->at->opset);
	if (*op) return schema_inputs(args, *op);
	int64_t since = b->at->opset;
	if (!schema_find("", p->type, INT64_MAX)) return wrong(b, p->type, "is no op of ONNX");
	while (!schema_find("", p->type, since)) since++;
	return base_fail(OG_UNSUPPORTED, "the body of op %s uses %s, which ONNX has since opset %lld; the model imports opset "
	                 "%lld", b->b->op->name, p->type, (long long)since, (long long)b->at->opset);
}

static int input_named(const schema_args *args, const char *name)
{
	for (int k = 0; k < args->n; k++)
		if (!strcmp(args->arg[k].name, name)) return k;
	return -1;
}

/* Axes, limits and the like are attributes in some opsets and inputs in others: a body may be written either way. An
 * input that is an attribute here: */
static og_status argument_as_attribute(builder *b, graph_node *n, const og_op *op, const pattern *p, int k)
{
	schema_args newest;
	TRY(schema_inputs(&newest, schema_find("", p->type, INT64_MAX)));
	const schema_arg *arg = schema_arg_at(&newest, k);
	const pattern *x = p->args[k];
	int d = arg ? attribute_named(op, arg->name) : -1;
	if (x->kind == PATTERN_ABSENT) return OG_OK;
	if (d < 0) return wrong(b, p->type, "has more inputs than the op takes");
	pattern_bind as = { .name = op->attrs[d].name, .kind = x->kind == PATTERN_NUMBER ? BIND_NUMBER : BIND_VARIABLE,
	                    .number = x->number, .variable = x->variable };
	if (x->kind == PATTERN_NODE) return unsupported(b, "in this opset a number is needed for the attribute", as.name);
	return bind(b, n, &op->attrs[d], &as);
}

/* An attribute that is an input here: */
static og_status bind_as_input(builder *b, graph_value **out, const pattern_bind *p, kind k)
{
	if (p->kind == BIND_NUMBERS) return add_numbers(b, out, k, 1, p->numbers, (int64_t)p->n);
	if (p->kind == BIND_NUMBER) return add_numbers(b, out, k, 0, &p->number, 1);
	int d = p->kind == BIND_VARIABLE ? attribute_named(b->b->op, b->b->r->variables[p->variable]) : -1;
	if (d < 0) return wrong(b, p->name, "must be given numbers");
	return add_attribute(b, out, k, d);
}

static og_status build_node(builder *b, graph_node **out, const pattern *p)
{
	const og_op *op = NULL;
	schema_args args;
	graph_value *in[PATTERN_MAX_ARGS + SCHEMA_MAX_ARGS] = { NULL };
	int n_in = 0;
	TRY(find_op(b, &op, &args, p));
	for (int k = 0; k < p->n_args; k++) {
		const schema_arg *arg = schema_arg_at(&args, k);
		if (!arg) continue;
		TRY(build(b, &in[k], p->args[k], kind_of(arg)));
		n_in = k + 1;
	}
	for (int i = 0; i < p->n_binds; i++) {
		int k = attribute_named(op, p->binds[i].name) < 0 ? input_named(&args, p->binds[i].name) : -1;
		if (k < 0) continue;
		TRY(bind_as_input(b, &in[k], &p->binds[i], kind_of(&args.arg[k])));
		if (k >= n_in) n_in = k + 1;
	}
	while (n_in > 0 && !in[n_in - 1]) n_in--;
	TRY(add_node(b, out, p->type, n_in));
	for (int k = 0; k < n_in; k++)
		if (in[k]) TRY(graph_set_input(*out, k, in[k]));
	for (int k = 0; k < p->n_args; k++)
		if (!schema_arg_at(&args, k)) TRY(argument_as_attribute(b, *out, op, p, k));
	for (int i = 0; i < p->n_binds; i++) {
		int d = attribute_named(op, p->binds[i].name);
		if (d >= 0) TRY(bind(b, *out, &op->attrs[d], &p->binds[i]));
		else if (input_named(&args, p->binds[i].name) < 0)
			return wrong(b, p->binds[i].name, "is no attribute of this node's op");
	}
	return OG_OK;
}

/* A name: an input, an attribute, or what `where` says. */
static og_status build_variable(builder *b, graph_value **out, const pattern *p, kind k)
{
	const char *name = b->b->r->variables[p->variable];
	const pattern *defined = b->b->r->defined[p->variable];
	int d = attribute_named(b->b->op, name), i = input_named(&b->inputs, name);
	if (i >= 0) {
		const schema_arg *arg = &b->inputs.arg[i];
		*out = i < b->at->n_in ? b->at->in[i] : NULL;
		if (!*out && arg->has_default) return add_numbers(b, out, k, 0, &arg->value, 1);
		return OG_OK;
	}
	if (d >= 0) return add_attribute(b, out, k, d);
	if (!defined) return wrong(b, name, "is neither an input nor an attribute of the op");
	pattern part = *defined;
	part.output = p->output;
	return build(b, out, &part, k);
}

static og_status build(builder *b, graph_value **out, const pattern *p, kind k)
{
	*out = NULL;
	if (p->kind == PATTERN_ABSENT) return OG_OK;
	if (p->kind == PATTERN_NODE) k = KIND_TENSOR;
	made *known = find_made(b, p, k);
	if (known && known->n) return output(b, out, known->n, p->output);
	if (known) {
		*out = known->v;
		return OG_OK;
	}
	made m = { .p = arena_alloc(b->a, sizeof *p), .k = k };
	NEED(m.p);
	memcpy((pattern *)(uintptr_t)m.p, p, sizeof *p);
	if (p->kind == PATTERN_NUMBER) TRY(add_numbers(b, out, k, 0, &p->number, 1));
	else if (p->kind == PATTERN_VARIABLE) TRY(build_variable(b, out, p, k));
	else TRY(build_node(b, &m.n, p));
	if (m.n) TRY(output(b, out, m.n, p->output));
	m.v = *out;
	return remember(b, &m);
}

og_status body_build(graph_value **out, int n_out, const body_reading *reading, const body_place *at)
{
	builder b = { .b = reading, .at = at, .a = arena_create() };
	NEED(b.a);
	og_status status = schema_inputs(&b.inputs, reading->op);
	int k = 0;
	for (const pattern *p = reading->root; status == OG_OK && p; p = p->next, k++) {
		if (k == n_out) break;
		status = build(&b, &out[k], p, KIND_TENSOR);
		if (status == OG_OK && !out[k])
			status = base_fail(OG_UNSUPPORTED, "the body of op %s hands through an input that is left out", reading->op->name);
	}
	if (status == OG_OK && k < n_out)
		status = base_fail(OG_USAGE, "the body of op %s makes %d of its %d outputs", reading->op->name, k, n_out);
	arena_destroy(b.a);
	return status;
}
