/* pattern.c -- reading the rule language. */
#include <ctype.h>
#include <stdlib.h>

#include "schema/schema.h"
#include "surgery/pattern.h"

typedef struct parser {
	const char *start, *at;
	arena *a;
	rule *r;
	bool right;                          /* reading the right side: variables must be known */
	int depth;
} parser;

static og_status fail_at(const parser *p, const char *at, const char *what)
{
	int line = 1, column = 1;
	for (const char *s = p->start; s < at; s++) {
		column++;
		if (*s == '\n') {
			line++;
			column = 1;
		}
	}
	return base_fail(OG_USAGE, "rule, line %d, column %d: %s", line, column, what);
}

static void skip(parser *p)
{
	while (*p->at == ' ' || *p->at == '\t' || *p->at == '\r') p->at++;
}

/* As skip, and over line ends: inside parentheses a rule may be broken. */
static void skip_lines(parser *p)
{
	for (;;) {
		skip(p);
		if (*p->at == '#') while (*p->at && *p->at != '\n') p->at++;
		if (*p->at != '\n') return;
		p->at++;
	}
}

static bool word_start(char c) { return isalpha((unsigned char)c) || c == '_'; }
static bool word_part(char c) { return isalnum((unsigned char)c) || c == '_' || c == '.'; }

static og_status take_word(parser *p, const char **out)
{
	const char *s = p->at;
	if (!word_start(*s)) return fail_at(p, s, "a name is expected here");
	while (word_part(*p->at)) p->at++;
	*out = arena_strndup(p->a, s, (size_t)(p->at - s));
	NEED(*out);
	return OG_OK;
}

static og_status take_number(parser *p, double *out)
{
	char *end;
	*out = strtod(p->at, &end);
	if (end == p->at) return fail_at(p, p->at, "a number is expected here");
	p->at = end;
	return OG_OK;
}

static bool number_start(const char *s)
{
	if (*s == '-' || *s == '+') s++;
	return isdigit((unsigned char)*s) || (*s == '.' && isdigit((unsigned char)s[1]));
}

static og_status variable_number(parser *p, const char *name, const char *at, int *out)
{
	for (int i = 0; i < p->r->n_variables; i++)
		if (!strcmp(p->r->variables[i], name)) {
			*out = i;
			return OG_OK;
		}
	if (p->right) return fail_at(p, at, "this variable does not stand on the left side");
	if (p->r->n_variables == PATTERN_MAX_VARIABLES) return fail_at(p, at, "a rule can have 32 variables at most");
	*out = p->r->n_variables;
	p->r->variables[p->r->n_variables++] = name;
	return OG_OK;
}

static og_status take_numbers(parser *p, pattern_bind *b)
{
	size_t cap = 0;
	b->kind = BIND_NUMBERS;
	p->at++;
	for (skip_lines(p); *p->at != ']'; skip_lines(p)) {
		b->numbers = arena_grow(p->a, b->numbers, b->n, &cap, b->n + 1, sizeof *b->numbers);
		NEED(b->numbers);
		TRY(take_number(p, &b->numbers[b->n++]));
		skip_lines(p);
		if (*p->at == ',') p->at++;
		else if (*p->at != ']') return fail_at(p, p->at, "',' or ']' is expected here");
	}
	p->at++;
	return OG_OK;
}

static og_status take_bind(parser *p, pattern_bind *b)
{
	const char *at = p->at, *name;
	if (*p->at == '[') return take_numbers(p, b);
	if (*p->at == '"') {
		const char *s = ++p->at;
		while (*p->at && *p->at != '"' && *p->at != '\n') p->at++;
		if (*p->at != '"') return fail_at(p, at, "this string has no end");
		b->kind = BIND_STRING;
		b->string = arena_strndup(p->a, s, (size_t)(p->at++ - s));
		NEED(b->string);
		return OG_OK;
	}
	if (number_start(p->at)) {
		b->kind = BIND_NUMBER;
		return take_number(p, &b->number);
	}
	if (*p->at == '-') {
		b->negative = true;
		p->at++;
	}
	TRY(take_word(p, &name));
	b->kind = BIND_VARIABLE;
	return variable_number(p, name, at, &b->variable);
}

static og_status take_pattern(parser *p, pattern **out);

/* An argument: a pattern, or name=bind. */
static og_status take_argument(parser *p, pattern *node)
{
	const char *at = p->at, *s = at;
	while (word_part(*s)) s++;
	while (*s == ' ') s++;
	if (word_start(*at) && *s == '=') {
		if (node->n_binds == PATTERN_MAX_BINDS) return fail_at(p, at, "too many attributes");
		pattern_bind *b = &node->binds[node->n_binds];
		TRY(take_word(p, &b->name));
		p->at = s + 1;
		skip_lines(p);
		TRY(take_bind(p, b));
		node->n_binds++;
		return OG_OK;
	}
	if (node->n_binds) return fail_at(p, at, "inputs stand before attributes");
	if (node->n_args == PATTERN_MAX_ARGS) return fail_at(p, at, "too many inputs");
	TRY(take_pattern(p, &node->args[node->n_args]));
	node->n_args++;
	return OG_OK;
}

static og_status take_node(parser *p, pattern *node, const char *name, const char *at)
{
	node->kind = PATTERN_NODE;
	node->type = name;
	if (p->at[0] == ':' && p->at[1] == ':') {
		p->at += 2;
		node->domain = strcmp(name, "ai.onnx") ? name : "";
		TRY(take_word(p, &node->type));
	}
	if (*p->at != '(') return fail_at(p, p->at, "'(' is expected here");
	p->at++;
	for (skip_lines(p); *p->at != ')'; skip_lines(p)) {
		TRY(take_argument(p, node));
		skip_lines(p);
		if (*p->at == ',') p->at++;
		else if (*p->at != ')') return fail_at(p, p->at, "',' or ')' is expected here");
	}
	p->at++;
	const char *full = node->domain ? arena_printf(p->a, "%s::%s", node->domain[0] ? node->domain : "ai.onnx", node->type) : node->type;
	NEED(full);
	node->op = schema_find_any(full);
	if (node->op && (p->right || node->domain)) node->type = node->op->name;
	if (p->right && !node->op) return fail_at(p, at, "this op is not known; `opgraft op list` shows those that are");
	return OG_OK;
}

static og_status take_pattern(parser *p, pattern **out)
{
	pattern *node = *out = arena_alloc(p->a, sizeof *node);
	const char *at = p->at, *name;
	NEED(node);
	if (number_start(at)) {
		node->kind = PATTERN_NUMBER;
		return take_number(p, &node->number);
	}
	if (at[0] == '_' && !word_part(at[1])) {
		node->kind = PATTERN_ABSENT;
		p->at++;
		return OG_OK;
	}
	if (++p->depth > PATTERN_MAX_DEPTH) return fail_at(p, at, "this rule is nested too deeply");
	TRY(take_word(p, &name));
	if (*p->at == '(' || (p->at[0] == ':' && p->at[1] == ':')) {
		TRY(take_node(p, node, name, at));
	} else {
		node->kind = PATTERN_VARIABLE;
		TRY(variable_number(p, name, at, &node->variable));
	}
	p->depth--;
	return OG_OK;
}

og_status pattern_parse_expression(rule *r, pattern **out, arena *a, const char *source)
{
	parser p = { .start = source, .at = source, .a = a, .r = r };
	skip_lines(&p);
	TRY(take_pattern(&p, out));
	skip_lines(&p);
	return *p.at ? fail_at(&p, p.at, "nothing is expected behind the expression") : OG_OK;
}

static og_status take_rule(parser *p, surgery_rules *rules, const char *how)
{
	rules->rules = arena_grow(p->a, rules->rules, rules->n, &rules->cap, rules->n + 1, sizeof *rules->rules);
	NEED(rules->rules);
	rule *r = p->r = &rules->rules[rules->n];
	*r = (rule){ .how = how };
	const char *at = p->at;
	p->right = false;
	p->depth = 0;
	TRY(take_pattern(p, &r->left));
	if (r->left->kind != PATTERN_NODE) return fail_at(p, at, "a rule begins with an op, such as Relu(x)");
	skip_lines(p);
	if (p->at[0] != '-' || p->at[1] != '>') return fail_at(p, p->at, "'->' is expected here");
	p->at += 2;
	skip_lines(p);
	at = p->at;
	p->right = true;
	TRY(take_pattern(p, &r->right));
	if (r->right->kind != PATTERN_NODE) return fail_at(p, at, "the right side of a rule is an op, such as Swish(x)");
	skip(p);
	if (*p->at == '#') while (*p->at && *p->at != '\n') p->at++;
	if (*p->at && *p->at != '\n' && *p->at != ';') return fail_at(p, p->at, "a rule ends with its line or ';'");
	rules->n++;
	return OG_OK;
}

static og_status parse(surgery_rules **out, const char *source, const char *how)
{
	arena *a = arena_create();
	surgery_rules *rules = a ? arena_alloc(a, sizeof *rules) : NULL;
	if (!rules) {
		arena_destroy(a);
		return base_no_memory();
	}
	rules->a = a;
	parser p = { .start = source, .at = source, .a = a };
	og_status status = OG_OK;
	while (status == OG_OK) {
		skip_lines(&p);
		while (*p.at == ';') {
			p.at++;
			skip_lines(&p);
		}
		if (!*p.at) break;
		status = take_rule(&p, rules, how);
	}
	if (status == OG_OK && !rules->n) status = base_fail(OG_USAGE, "there is no rule in this text");
	if (status != OG_OK) surgery_rules_free(rules);
	else *out = rules;
	return status;
}

og_status surgery_parse(surgery_rules **out, const char *source) { return parse(out, source, "rule"); }

void surgery_rules_free(surgery_rules *rules)
{
	if (rules) arena_destroy(rules->a);
}

/* ---- rules that are implied ------------------------------------------------------------------ */

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
	if (status == OG_OK) status = source ? parse(out, source, "map") : base_no_memory();
	if (status == OG_USAGE) status = base_fail_in(status, "--map %s", from_to);
	base_free(source);
	arena_destroy(a);
	return status;
}

/* One reading of an op's body, "EXPRESSION" or "EXPRESSION; attribute=word", as a rule. */
static void add_body_rule(text *t, const og_op *op, const schema_args *args, const char *body, size_t n)
{
	const char *when = memchr(body, ';', n);
	size_t length = when ? (size_t)(when - body) : n;
	text_printf(t, "%.*s -> %s%s%s(", (int)length, body, schema_domain(op), schema_domain(op)[0] ? "::" : "", op->name);
	for (int i = 0; i < args->n; i++) text_printf(t, "%s%s", i ? ", " : "", args->arg[i].name);
	for (const og_attr *k = op->attrs; k && k->name; k++) {
		char *expression = NULL;
		text copy = { 0 };
		text_addn(&copy, body, length);
		expression = text_take(&copy);
		if (expression && strstr(expression, k->name)) text_printf(t, ", %s=%s", k->name, k->name);
		base_free(expression);
	}
	if (when) {                                    /* "; approximate=tanh" */
		const char *equals = memchr(when, '=', n - length), *name = when + 1;
		while (*name == ' ') name++;
		size_t word = equals ? n - (size_t)(equals + 1 - body) : 0;
		while (word && equals[word] == ' ') word--;
		if (equals) text_printf(t, ", %.*s=\"%.*s\"", (int)(equals - name), name, (int)word, equals + 1);
	}
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
	og_status status = parse(out, source, "rule");
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
