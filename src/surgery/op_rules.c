/* op_rules.c -- rules that nobody writes down: those of a map, and those that op files give. */
#include <ctype.h>

#include "schema/schema.h"
#include "surgery/pattern.h"

/* "Relu=Swish,beta=1.5" says "Relu(x) -> Swish(x, beta=1.5)", with as many inputs as Relu must have. */
og_status surgery_map_rules(surgery_rules **out, const char *from_to)
{
	const char *equals = strchr(from_to, '='), *comma = equals ? strchr(equals, ',') : NULL;
	if (!equals || equals == from_to || !equals[1] || equals[1] == ',')
		return base_fail(OG_USAGE, "a map is written From=To or From=To,attribute=value, not '%s'", from_to);
	arena *a = arena_create();
	NEED(a);
	const char *from = arena_strndup(a, from_to, (size_t)(equals - from_to));
	const char *to = arena_strndup(a, equals + 1, comma ? (size_t)(comma - equals - 1) : strlen(equals + 1));
	const og_op *op = from ? schema_find_any(from) : NULL;
	schema_args args = { .n = 1 };
	text t = { 0 }, inputs = { 0 };
	og_status status = from && to ? OG_OK : base_no_memory();
	if (status == OG_OK && op) status = schema_inputs(&args, op);
	for (int i = 0; i < args.n && (i == 0 || !args.arg[i].optional); i++) text_printf(&inputs, "%sx%d", i ? ", " : "", i);
	text_printf(&t, "%s(%s) -> %s(%s%s%s)", from, inputs.data ? inputs.data : "", to, inputs.data ? inputs.data : "",
	            comma ? ", " : "", comma ? comma + 1 : "");
	text_free(&inputs);
	char *source = text_take(&t);
	if (status == OG_OK) status = source ? pattern_parse_rules(out, source, "map") : base_no_memory();
	if (status == OG_USAGE) status = base_fail_in(status, "--map %s", from_to);
	base_free(source);
	arena_destroy(a);
	return status;
}

/* True when the text names `word` as a whole word. */
static bool names(const char *s, size_t n, const char *word)
{
	size_t length = strlen(word);
	for (size_t i = 0; i + length <= n; i++) {
		if (memcmp(s + i, word, length)) continue;
		bool before = i > 0 && (isalnum((unsigned char)s[i - 1]) || s[i - 1] == '_');
		bool after = i + length < n && (isalnum((unsigned char)s[i + length]) || s[i + length] == '_');
		if (!before && !after) return true;
	}
	return false;
}

/* "; approximate=tanh; axis=1" as attributes of the right side. */
static void add_conditions(text *t, const char *s, const char *end)
{
	while (s < end) {
		const char *name = s + 1, *next = memchr(name, ';', (size_t)(end - name)), *stop = next ? next : end;
		const char *equals = memchr(name, '=', (size_t)(stop - name)), *word = equals ? equals + 1 : stop;
		s = stop;
		while (name < stop && *name == ' ') name++;
		while (word < stop && *word == ' ') word++;
		while (stop > word && stop[-1] == ' ') stop--;
		const char *quote = word < stop && (isalpha((unsigned char)*word) || *word == '_') ? "\"" : "";
		if (equals) text_printf(t, ", %.*s=%s%.*s%s", (int)(equals - name), name, quote, (int)(stop - word), word, quote);
	}
}

/* One reading of an op's body, "EXPRESSION" or "EXPRESSION; attribute=word", as a rule. */
static void add_body_rule(text *t, const og_op *op, const schema_args *args, const char *body, size_t n)
{
	const char *when = memchr(body, ';', n);
	size_t length = when ? (size_t)(when - body) : n;
	text_printf(t, "%.*s -> %s%s%s(", (int)length, body, schema_domain(op), schema_domain(op)[0] ? "::" : "", op->name);
	for (int i = 0; i < args->n; i++) text_printf(t, "%s%s", i ? ", " : "", args->arg[i].name);
	for (const og_attr *k = op->attrs; k && k->name; k++)
		if (names(body, length, k->name)) text_printf(t, ", %s=%s", k->name, k->name);
	if (when) add_conditions(t, when, body + n);
	text_add(t, ")\n");
}

/* The rules of an op file: its spellings, and with `bodies` what its body says. */
static og_status add_op_rules(text *t, const og_op *op, bool bodies)
{
	schema_args args;
	if (op->spellings) text_printf(t, "%s\n", op->spellings);
	if (!bodies || !op->body) return OG_OK;
	TRY(schema_inputs(&args, op));
	for (const char *at = op->body, *end; at; at = *end ? end + 1 : NULL) {
		end = strchr(at, '|') ? strchr(at, '|') : at + strlen(at);
		add_body_rule(t, op, &args, at, (size_t)(end - at));
	}
	return OG_OK;
}

static og_status parse_taken(surgery_rules **out, text *t)
{
	char *source = text_take(t);
	NEED(source);
	og_status status = pattern_parse_rules(out, source, "rule");
	base_free(source);
	return status;
}

og_status surgery_op_rules(surgery_rules **out, const char *name)
{
	const og_op *op = schema_find_any(name);
	text t = { 0 };
	if (!op) return base_fail(OG_USAGE, "op '%s' is not known; `opgraft op list` shows those that are", name);
	if (!op->body && !op->spellings)
		return base_fail(OG_USAGE, "op '%s' has no body of simpler ops to look for; give a --rule", name);
	og_status status = add_op_rules(&t, op, true);
	if (status == OG_OK) return parse_taken(out, &t);
	text_free(&t);
	return status;
}

og_status surgery_spelling_rules(surgery_rules **out)
{
	text t = { 0 };
	for (size_t i = 0; i < schema_count(); i++) TRY(add_op_rules(&t, schema_at(i), false));
	return parse_taken(out, &t);
}
