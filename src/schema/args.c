/* args.c -- the declarations of an op's arguments, "X:T, axes:i64?!, rest:T...", and of its types,
 * "T=f32 f64; I=i32 i64". They are short and read where they are needed. */
#include "schema/inside.h"

#include <ctype.h>
#include <stdlib.h>

typedef struct word { const char *s; size_t n; } word;

typedef struct reader {
	const og_op *op;
	const char *at;
	word variable[2 * SCHEMA_MAX_ARGS];  /* name of variable k, */
	uint32_t types[2 * SCHEMA_MAX_ARGS]; /* and what it may be */
	int n_variables;
} reader;

static og_status malformed(const reader *r, const char *what)
{
	return base_fail(OG_USAGE, "op %s: %s in its declaration near '%.20s'", r->op->name, what, r->at);
}

static void skip_space(reader *r)
{
	while (*r->at == ' ') r->at++;
}

static bool take(reader *r, const char *s)
{
	size_t n = strlen(s);
	skip_space(r);
	if (strncmp(r->at, s, n) != 0) return false;
	r->at += n;
	return true;
}

/* Letters, digits, '_'; of no length when there is none. */
static word take_word(reader *r)
{
	skip_space(r);
	word w = { r->at, 0 };
	while (isalnum((unsigned char)w.s[w.n]) || w.s[w.n] == '_') w.n++;
	r->at += w.n;
	return w;
}

static bool same(word a, word b) { return a.n == b.n && memcmp(a.s, b.s, a.n) == 0; }

static const uint32_t any_type = ((UINT32_C(1) << OG_DTYPE_COUNT) - 1) & ~UINT32_C(1);

/* The types that og_op.types allows the variable; any type when it has no entry there. */
static og_status read_types(reader *r, word variable, uint32_t *types)
{
	reader t = { .op = r->op, .at = r->op->types ? r->op->types : "" };
	*types = any_type;
	while (skip_space(&t), *t.at) {
		word name = take_word(&t), type;
		uint32_t listed = 0;
		if (name.n == 0 || !take(&t, "=")) return malformed(&t, "no 'variable='");
		while ((type = take_word(&t)).n > 0) {
			og_dtype dtype = base_dtype_find(type.s, type.n);
			if (dtype == OG_NONE) return t.at = type.s, malformed(&t, "a type that is not known");
			listed |= UINT32_C(1) << dtype;
		}
		if (same(name, variable)) *types = listed;
		if (!take(&t, ";") && *t.at) return malformed(&t, "no ';'");
	}
	return *types ? OG_OK : malformed(r, "a variable without a type");
}

static og_status read_type(reader *r, schema_arg *arg)
{
	word type = take(r, ":") ? take_word(r) : (word){ "T", 1 };
	if (type.n == 0) return malformed(r, "no type after ':'");
	og_dtype fixed = base_dtype_find(type.s, type.n);
	arg->variable = -1;
	arg->types = UINT32_C(1) << fixed;
	if (fixed != OG_NONE) return OG_OK;
	for (arg->variable = 0; arg->variable < r->n_variables; arg->variable++)
		if (same(r->variable[arg->variable], type)) break;
	if (arg->variable == r->n_variables) {
		TRY(read_types(r, type, &r->types[r->n_variables]));
		r->variable[r->n_variables++] = type;
	}
	arg->types = r->types[arg->variable];
	return OG_OK;
}

static og_status read_argument(reader *r, schema_arg *arg)
{
	word name = take_word(r);
	if (name.n == 0 || name.n >= sizeof arg->name) return malformed(r, "no name, or one too long,");
	*arg = (schema_arg){ .variable = -1 };
	memcpy(arg->name, name.s, name.n);
	TRY(read_type(r, arg));
	for (;;) {
		if (take(r, "...")) {
			arg->variadic = true;
		} else if (take(r, "?")) {
			arg->optional = true;
		} else if (take(r, "!")) {
			arg->value_needed = true;
		} else if (take(r, "=")) {
			char *end;
			arg->has_default = true;
			arg->value = strtod(r->at, &end);
			if (end == r->at) return malformed(r, "no number after '='");
			r->at = end;
		} else {
			return OG_OK;
		}
	}
}

static og_status read_list(reader *r, schema_args *out, const char *list)
{
	out->n = 0;
	r->at = list;
	skip_space(r);
	if (!*r->at) return OG_OK;
	do {
		if (out->n == SCHEMA_MAX_ARGS) return malformed(r, "too many arguments");
		if (out->n > 0 && out->arg[out->n - 1].variadic) return malformed(r, "an argument after the variadic one");
		TRY(read_argument(r, &out->arg[out->n]));
		out->n++;
	} while (take(r, ","));
	return *r->at ? malformed(r, "something unexpected") : OG_OK;
}

og_status schema_arguments(schema_args *inputs, schema_args *outputs, const og_op *op)
{
	reader r = { .op = op };
	TRY(read_list(&r, inputs, op->inputs));
	return read_list(&r, outputs, op->outputs);
}

og_status schema_inputs(schema_args *out, const og_op *op)
{
	schema_args outputs;
	return schema_arguments(out, &outputs, op);
}

og_status schema_outputs(schema_args *out, const og_op *op)
{
	schema_args inputs;
	return schema_arguments(&inputs, out, op);
}

/* ---- attributes ------------------------------------------------------------------------------ */

int schema_attr_count(const og_op *op)
{
	int n = 0;
	while (op->attrs && op->attrs[n].name) n++;
	return n;
}

og_status schema_attr_check(const og_attr *d, double value)
{
	if (d->low == d->high || (value >= d->low && value <= d->high)) return OG_OK;
	return base_fail(OG_BAD_FILE, "attribute '%s' is %.9g, but must be in [%.9g, %.9g]", d->name, value, d->low, d->high);
}

int64_t schema_attr_word(const og_attr *d, const char *s)
{
	size_t n = strlen(s);
	const char *words = d->words;
	for (int64_t index = 0;; index++) {
		size_t length = strcspn(words, "|");
		if (length == n && memcmp(words, s, n) == 0) return index;
		if (!words[length]) break;
		words += length + 1;
	}
	base_fail(OG_BAD_FILE, "attribute '%s' is '%.60s', but must be one of %s", d->name, s, d->words);
	return -1;
}
