/* pattern.c -- reading the rule language. What a rule means is checked in pattern_check.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/schema.h"
#include "surgery/pattern.h"

#define TOLERANCE 1e-6

typedef struct parser {
	const char *start, *at;
	arena *a;
	rule *r;
	bool right;                          /* reading the right side */
	int depth, parts;
} parser;

og_status pattern_fail(const char *source, const char *at, const char *format, ...)
{
	char what[512];
	int line = 1, column = 1;
	for (const char *s = source; s < at; s++) {
		if (((unsigned char)*s & 0xC0) != 0x80) column++;       /* bytes that continue a character count for nothing */
		if (*s == '\n') {
			line++;
			column = 1;
		}
	}
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	return base_fail(OG_USAGE, "rule, line %d, column %d: %s", line, column, what);
}

static og_status fail_at(const parser *p, const char *at, const char *what)
{
	return pattern_fail(p->start, at, "%s", what);
}

/* ---- words and numbers ----------------------------------------------------------------------- */

static void skip(parser *p)
{
	while (*p->at == ' ' || *p->at == '\t' || *p->at == '\r') p->at++;
}

/* As skip, and over line ends and comments: where a rule can't end yet it may be broken. */
static void skip_lines(parser *p)
{
	for (;;) {
		skip(p);
		if (*p->at == '#') while (*p->at && *p->at != '\n') p->at++;
		if (*p->at != '\n') return;
		p->at++;
	}
}

static bool digit(char c) { return c >= '0' && c <= '9'; }
static bool word_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool word_part(char c) { return word_start(c) || digit(c) || c == '.'; }

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
	if (!isfinite(*out)) return fail_at(p, p->at, "this number is not finite");
	p->at = end;
	return OG_OK;
}

static bool number_start(const char *s)
{
	if (*s == '-' || *s == '+') s++;
	return digit(*s) || (*s == '.' && digit(s[1]));
}

/* "~1e-3" behind a number; of 0 the tolerance is absolute and none unless it is said. */
static og_status take_tolerance(parser *p, double number, double *out)
{
	*out = number == 0 ? 0 : TOLERANCE;
	if (*p->at != '~') return OG_OK;
	if (p->right) return fail_at(p, p->at, "a tolerance is for numbers of the left side");
	const char *at = ++p->at;
	TRY(take_number(p, out));
	return *out >= 0 && *out < 1 ? OG_OK : fail_at(p, at, "a tolerance lies between 0 and 1");
}

/* "[2]": which output; -1 where nothing is said. */
static og_status take_output(parser *p, int *out)
{
	double k;
	*out = -1;
	if (*p->at != '[') return OG_OK;
	p->at++;
	if (!digit(*p->at)) return fail_at(p, p->at, "the number of an output is expected here");
	TRY(take_number(p, &k));
	if (k > 63 || k != floor(k) || *p->at != ']') return fail_at(p, p->at, "an output is a whole number up to 63 in [ ]");
	p->at++;
	*out = (int)k;
	return OG_OK;
}

static og_status take_variable(parser *p, const char *name, const char *at, int *out)
{
	for (int i = 0; i < p->r->n_variables; i++)
		if (!strcmp(p->r->variables[i], name)) {
			*out = i;
			return OG_OK;
		}
	if (p->r->n_variables == PATTERN_MAX_VARIABLES)
		return pattern_fail(p->start, at, "a rule has %d names at most", PATTERN_MAX_VARIABLES);
	*out = p->r->n_variables;
	p->r->variables[p->r->n_variables++] = name;
	return OG_OK;
}

/* Counts a part of the rule; what is deeper or larger than a rule can be is refused. */
static og_status enter(parser *p)
{
	if (++p->depth > PATTERN_MAX_DEPTH) return fail_at(p, p->at, "this rule is nested too deeply");
	if (++p->parts > PATTERN_MAX_PARTS)
		return pattern_fail(p->start, p->at, "a rule has %d parts at most", PATTERN_MAX_PARTS);
	return OG_OK;
}

/* ---- arithmetic ------------------------------------------------------------------------------ */

static og_status take_sum(parser *p, formula **out);

static og_status new_formula(parser *p, formula **out, formula f)
{
	*out = arena_alloc(p->a, sizeof **out);
	NEED(*out);
	**out = f;
	return OG_OK;
}

double pattern_calculate(char op, double a, double b)
{
	return op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : a / b;
}

/* Joins two into one, at once where both are numbers. */
static og_status join(parser *p, formula **out, char op, formula *left, formula *right)
{
	formula f = { .op = op, .left = left, .right = right };
	if (left->op == '#' && right->op == '#')
		f = (formula){ .op = '#', .number = pattern_calculate(op, left->number, right->number) };
	return new_formula(p, out, f);
}

static og_status take_factor(parser *p, formula **out)
{
	const char *at = p->at, *name;
	formula f = { .op = '#' };
	TRY(enter(p));
	if (number_start(at)) {
		TRY(take_number(p, &f.number));
		TRY(new_formula(p, out, f));
	} else if (*at == '-') {
		formula *inner, *zero;
		p->at++;
		skip_lines(p);
		TRY(take_factor(p, &inner));
		TRY(new_formula(p, &zero, f));
		TRY(join(p, out, '-', zero, inner));
	} else if (*at == '(') {
		p->at++;
		skip_lines(p);
		TRY(take_sum(p, out));
		skip_lines(p);
		if (*p->at != ')') return fail_at(p, p->at, "')' is expected here");
		p->at++;
	} else {
		f.op = 'x';
		TRY(take_word(p, &name));
		TRY(take_variable(p, name, at, &f.variable));
		TRY(new_formula(p, out, f));
	}
	p->depth--;
	return OG_OK;
}

static og_status take_product(parser *p, formula **out)
{
	formula *next;
	TRY(take_factor(p, out));
	for (skip(p); *p->at == '*' || *p->at == '/'; skip(p)) {
		char op = *p->at++;
		skip_lines(p);
		TRY(take_factor(p, &next));
		TRY(join(p, out, op, *out, next));
	}
	return OG_OK;
}

static og_status take_sum(parser *p, formula **out)
{
	formula *next;
	TRY(take_product(p, out));
	for (skip(p); (*p->at == '+' || *p->at == '-') && p->at[1] != '>'; skip(p)) {
		char op = *p->at++;
		skip_lines(p);
		TRY(take_product(p, &next));
		TRY(join(p, out, op, *out, next));
	}
	return OG_OK;
}

/* ---- attributes ------------------------------------------------------------------------------ */

static og_status take_numbers(parser *p, pattern_bind *b)
{
	size_t cap = 0;
	b->kind = BIND_NUMBERS;
	b->tolerance = TOLERANCE;
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

static og_status take_string(parser *p, pattern_bind *b)
{
	const char *at = p->at, *s = ++p->at;
	while (*p->at && *p->at != '"' && *p->at != '\n') p->at++;
	if (*p->at != '"') return fail_at(p, at, "this string has no end");
	b->kind = BIND_STRING;
	b->string = arena_strndup(p->a, s, (size_t)(p->at++ - s));
	NEED(b->string);
	return OG_OK;
}

static og_status take_bind(parser *p, pattern_bind *b)
{
	formula *f;
	if (*p->at == '[') return take_numbers(p, b);
	if (*p->at == '"') return take_string(p, b);
	TRY(take_sum(p, &f));
	if (f->op == '#') {
		b->kind = BIND_NUMBER;
		b->number = f->number;
		if (!isfinite(b->number)) return fail_at(p, b->at, "this number is not finite");
		return take_tolerance(p, b->number, &b->tolerance);
	}
	b->kind = BIND_VARIABLE;
	b->negative = f->op == '-' && f->left->op == '#' && f->left->number == 0 && f->right->op == 'x';
	if (b->negative || f->op == 'x') {
		b->variable = b->negative ? f->right->variable : f->variable;
		return OG_OK;
	}
	b->kind = BIND_FORMULA;
	b->formula = f;
	return OG_OK;
}

/* ---- expressions ----------------------------------------------------------------------------- */

static og_status take_pattern(parser *p, pattern **out);

/* An argument: a pattern, or name=bind. */
static og_status take_argument(parser *p, pattern *node)
{
	const char *at = p->at, *s = at;
	while (word_part(*s)) s++;
	while (*s == ' ' || *s == '\t') s++;
	if (word_start(*at) && *s == '=') {
		if (node->n_binds == PATTERN_MAX_BINDS) return fail_at(p, at, "too many attributes");
		pattern_bind *b = &node->binds[node->n_binds];
		b->at = at;
		TRY(take_word(p, &b->name));
		for (int i = 0; i < node->n_binds; i++)
			if (!strcmp(node->binds[i].name, b->name)) return fail_at(p, at, "this attribute is already said");
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

static og_status take_node(parser *p, pattern *node, const char *name)
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
	skip_lines(p);
	while (*p->at != ')') {
		TRY(take_argument(p, node));
		skip_lines(p);
		if (*p->at != ',' && *p->at != ')') return fail_at(p, p->at, "',' or ')' is expected here");
		if (*p->at != ',') break;
		p->at++;
		skip_lines(p);
		if (*p->at == ')') return fail_at(p, p->at, "an input or attribute is expected here");
	}
	p->at++;
	const char *full = node->type;
	if (node->domain) full = arena_printf(p->a, "%s::%s", node->domain[0] ? node->domain : "ai.onnx", node->type);
	NEED(full);
	node->op = schema_find_any(full);
	if (node->op && node->domain) node->type = node->op->name;
	TRY(take_output(p, &node->output));
	if (node->output < 0) node->output = 0;
	return OG_OK;
}

/* A number, or arithmetic of numbers. */
static og_status take_constant(parser *p, pattern *node)
{
	formula *f;
	const char *at = p->at;
	node->kind = PATTERN_NUMBER;
	TRY(take_sum(p, &f));
	if (f->op != '#' || !isfinite(f->number)) return fail_at(p, at, "arithmetic of an input is of finite numbers only");
	node->number = f->number;
	return take_tolerance(p, node->number, &node->tolerance);
}

static og_status take_pattern(parser *p, pattern **out)
{
	const char *at = p->at, *name;
	TRY(enter(p));
	pattern *node = *out = arena_alloc(p->a, sizeof *node);
	NEED(node);
	node->at = at;
	if (number_start(at)) {
		TRY(take_constant(p, node));
	} else if (at[0] == '_' && !word_part(at[1])) {
		node->kind = PATTERN_ABSENT;
		p->at++;
	} else {
		TRY(take_word(p, &name));
		if (*p->at == '(' || (p->at[0] == ':' && p->at[1] == ':')) {
			TRY(take_node(p, node, name));
		} else {
			node->kind = PATTERN_VARIABLE;
			TRY(take_variable(p, name, at, &node->variable));
			node->optional = *p->at == '?';
			if (node->optional && p->right) return fail_at(p, p->at, "'?' belongs to the left side");
			if (node->optional) p->at++;
			TRY(take_output(p, &node->output));
		}
	}
	p->depth--;
	return OG_OK;
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* One side: expressions with ',' between them. */
static og_status take_side(parser *p, pattern **out)
{
	int n = 0;
	for (;; out = &(*out)->next) {
		if (n++ == PATTERN_MAX_ROOTS)
			return pattern_fail(p->start, p->at, "a side has %d expressions at most", PATTERN_MAX_ROOTS);
		TRY(take_pattern(p, out));
		skip(p);
		if (*p->at != ',') return OG_OK;
		p->at++;
		skip_lines(p);
	}
}

static og_status take_definition(parser *p)
{
	const char *at = p->at, *name;
	int variable;
	TRY(take_word(p, &name));
	TRY(take_variable(p, name, at, &variable));
	if (p->r->defined[variable]) return fail_at(p, at, "this name is already defined");
	skip_lines(p);
	if (*p->at != '=') return fail_at(p, p->at, "'=' is expected here");
	p->at++;
	skip_lines(p);
	pattern *defined;
	at = p->at;
	TRY(take_pattern(p, &defined));
	if (defined->kind != PATTERN_NODE) return fail_at(p, at, "a name is defined as an op, such as Exp(x)");
	p->r->defined[variable] = defined;
	return OG_OK;
}

/* "where d = Sub(x, m), m = ReduceMean(x)", on the next line too; nothing where there is none. */
static og_status take_definitions(parser *p)
{
	const char *end = p->at;
	skip_lines(p);
	if (strncmp(p->at, "where", 5) || word_part(p->at[5])) {
		p->at = end;
		return OG_OK;
	}
	p->at += 5;
	do {
		skip_lines(p);
		TRY(take_definition(p));
		skip(p);
	} while (*p->at == ',' && p->at++);
	return OG_OK;
}

og_status pattern_parse_expression(rule *r, pattern **out, arena *a, const char *source)
{
	parser p = { .start = source, .at = source, .a = a, .r = r };
	skip_lines(&p);
	TRY(take_side(&p, out));
	TRY(take_definitions(&p));
	skip_lines(&p);
	if (*p.at) return fail_at(&p, p.at, "nothing is expected behind the expression");
	return pattern_check_expression(r, *out, source);
}

static og_status take_rule(parser *p, surgery_rules *rules, const char *how)
{
	rules->rules = arena_grow(p->a, rules->rules, rules->n, &rules->cap, rules->n + 1, sizeof *rules->rules);
	NEED(rules->rules);
	rule *r = p->r = &rules->rules[rules->n];
	*r = (rule){ .how = how };
	p->right = false;
	p->depth = p->parts = 0;
	TRY(take_side(p, &r->left));
	TRY(take_definitions(p));
	skip_lines(p);
	if (p->at[0] != '-' || p->at[1] != '>') return fail_at(p, p->at, "'->' is expected here");
	p->at += 2;
	skip_lines(p);
	p->right = true;
	TRY(take_side(p, &r->right));
	p->right = false;
	TRY(take_definitions(p));
	skip(p);
	if (*p->at == '#') while (*p->at && *p->at != '\n') p->at++;
	if (*p->at && *p->at != '\n' && *p->at != ';') return fail_at(p, p->at, "a rule ends with its line or ';'");
	TRY(pattern_check(r, p->start));
	rules->n++;
	return OG_OK;
}

og_status pattern_parse_rules(surgery_rules **out, const char *source, const char *how)
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

og_status surgery_parse(surgery_rules **out, const char *source) { return pattern_parse_rules(out, source, "rule"); }

void surgery_rules_free(surgery_rules *rules)
{
	if (rules) arena_destroy(rules->a);
}
