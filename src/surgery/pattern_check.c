/* pattern_check.c -- what a rule that was read means: which names the left side binds, that all others are defined, that
 * ops have the inputs and attributes named; and what is derived for the search. */
#include "schema/schema.h"
#include "surgery/pattern.h"

/* What a name that `where` does not define stands for on the left side. */
typedef enum role { UNBOUND, IS_VALUE, IS_ATTRIBUTE } role;

typedef struct checker {
	rule *r;
	const char *text;
	role roles[PATTERN_MAX_VARIABLES];
	bool left[PATTERN_MAX_VARIABLES], right[PATTERN_MAX_VARIABLES];     /* definitions that this side names */
	bool open[PATTERN_MAX_VARIABLES];                                   /* being checked now */
} checker;

/* ---- ops ------------------------------------------------------------------------------------- */

static bool argument_named(const schema_args *args, const char *name)
{
	for (int i = 0; i < args->n; i++)
		if (!strcmp(args->arg[i].name, name)) return true;
	return false;
}

/* Some version of the op has an attribute or an input of that name: axes are the one or the other. */
static bool takes(const og_op *op, const char *name)
{
	schema_args args;
	for (; op; op = schema_find(schema_domain(op), op->name, op->since - 1)) {
		for (const og_attr *d = op->attrs; d && d->name; d++)
			if (!strcmp(d->name, name)) return true;
		if (schema_inputs(&args, op) == OG_OK && argument_named(&args, name)) return true;
	}
	return false;
}

/* Inputs that some version of the op has. */
static int most_inputs(const og_op *op)
{
	schema_args args;
	int most = 0;
	for (; op; op = schema_find(schema_domain(op), op->name, op->since - 1)) {
		if (schema_inputs(&args, op) != OG_OK) continue;
		if (args.n && args.arg[args.n - 1].variadic) return PATTERN_MAX_ARGS;
		if (args.n > most) most = args.n;
	}
	return most;
}

static og_status check_op(const checker *c, const pattern *p, bool right)
{
	const og_op *op = p->op, *onnx = right || p->domain ? NULL : schema_find("", p->type, INT64_MAX);
	if (!op) return OG_OK;
	if (p->n_args > most_inputs(op) && p->n_args > most_inputs(onnx))
		return pattern_fail(c->text, p->at, "%s has %d inputs at most", schema_called(op), most_inputs(op));
	for (int i = 0; i < p->n_binds; i++)
		if (!takes(op, p->binds[i].name) && !takes(onnx, p->binds[i].name))
			return pattern_fail(c->text, p->binds[i].at, "%s has no attribute '%s'", schema_called(op),
			                    p->binds[i].name);
	return OG_OK;
}

/* ---- operands -------------------------------------------------------------------------------- */

static bool commutative(const pattern *p)
{
	if (p->kind != PATTERN_NODE || !p->op || !(p->op->flags & OG_COMMUTATIVE)) return false;
	if (p->n_args < 2 || p->n_binds || p->output) return false;
	for (int k = 0; k < p->n_args; k++)
		if (p->args[k]->kind == PATTERN_ABSENT || p->args[k]->optional) return false;
	return true;
}

static bool associative(const char *type)
{
	static const char *const types[] = {
		"Add", "Mul", "Sum", "Max", "Min", "And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor",
	};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (!strcmp(types[i], type)) return true;
	return false;
}

static void add_operands(pattern *top, const pattern *p, bool chain, int *n)
{
	for (int k = 0; k < p->n_args; k++) {
		pattern *arg = p->args[k];
		bool same = chain && commutative(arg) && !strcmp(arg->type, top->type) && arg->op == top->op;
		if (same) {
			add_operands(top, arg, chain, n);
		} else {
			if (*n < PATTERN_MAX_ARGS) top->operands[*n] = arg;
			(*n)++;
		}
	}
}

/* What says most comes first: it fails soonest. */
static int vagueness(const checker *c, const pattern *p)
{
	if (p->kind != PATTERN_VARIABLE) return p->kind == PATTERN_NODE ? 0 : 1;
	return c->r->defined[p->variable] ? 2 : 3;
}

static void fill_operands(const checker *c, pattern *p)
{
	int n = 0;
	if (!commutative(p)) return;
	add_operands(p, p, associative(p->type), &n);
	if (n > PATTERN_MAX_ARGS) {
		n = 0;
		add_operands(p, p, false, &n);
	}
	p->n_operands = n;
	for (int i = 1; i < n; i++) {
		pattern *moved = p->operands[i];
		int k = i;
		for (; k > 0 && vagueness(c, p->operands[k - 1]) > vagueness(c, moved); k--) p->operands[k] = p->operands[k - 1];
		p->operands[k] = moved;
	}
}

/* ---- names ------------------------------------------------------------------------------------ */

/* Which output a name means; nothing is defined by itself. */
static og_status check_output(const checker *c, pattern *p)
{
	const pattern *defined = c->r->defined[p->variable];
	if (c->open[p->variable])
		return pattern_fail(c->text, p->at, "'%s' is defined by itself", c->r->variables[p->variable]);
	if (!defined && p->output > 0)
		return pattern_fail(c->text, p->at, "only a name that `where` defines has outputs to choose from");
	if (p->output < 0) p->output = defined ? defined->output : 0;
	return OG_OK;
}

/* ---- the left side --------------------------------------------------------------------------- */

static og_status check_left(checker *c, pattern *p);

static og_status left_variable(checker *c, pattern *p)
{
	int v = p->variable;
	pattern *defined = c->r->defined[v];
	TRY(check_output(c, p));
	if (!defined) {
		if (c->roles[v] == IS_ATTRIBUTE)
			return pattern_fail(c->text, p->at, "'%s' stands for an attribute and for an input", c->r->variables[v]);
		c->roles[v] = IS_VALUE;
		return OG_OK;
	}
	if (p->optional) return pattern_fail(c->text, p->at, "a name that `where` defines can't be left out");
	if (c->left[v]) return OG_OK;
	c->left[v] = c->open[v] = true;
	TRY(check_left(c, defined));
	c->open[v] = false;
	return OG_OK;
}

static og_status check_left(checker *c, pattern *p)
{
	if (p->kind == PATTERN_VARIABLE) return left_variable(c, p);
	if (p->kind != PATTERN_NODE) return OG_OK;
	c->r->n_nodes++;
	TRY(check_op(c, p, false));
	for (int k = 0; k < p->n_args; k++) TRY(check_left(c, p->args[k]));
	for (int i = 0; i < p->n_binds; i++) {
		const pattern_bind *b = &p->binds[i];
		if (b->kind == BIND_FORMULA) return pattern_fail(c->text, b->at, "arithmetic with names belongs to the right side");
		if (b->kind != BIND_VARIABLE) continue;
		if (c->roles[b->variable] == IS_VALUE || c->r->defined[b->variable])
			return pattern_fail(c->text, b->at, "'%s' stands for an attribute and for an input", c->r->variables[b->variable]);
		c->roles[b->variable] = IS_ATTRIBUTE;
	}
	fill_operands(c, p);
	return OG_OK;
}

/* True when p names something that the roots in front of it bind. seen: definitions that were looked into. */
static bool anchored(const checker *c, const pattern *p, bool *seen)
{
	if (p->kind == PATTERN_VARIABLE) {
		const pattern *defined = c->r->defined[p->variable];
		if (c->left[p->variable] || c->roles[p->variable] == IS_VALUE) return true;
		if (!defined || seen[p->variable]) return false;
		seen[p->variable] = true;
		return anchored(c, defined, seen);
	}
	for (int k = 0; p->kind == PATTERN_NODE && k < p->n_args; k++)
		if (anchored(c, p->args[k], seen)) return true;
	return false;
}

static og_status check_left_roots(checker *c)
{
	pattern *first = c->r->left;
	if (first->kind != PATTERN_NODE) return pattern_fail(c->text, first->at, "a rule begins with an op, such as Relu(x)");
	TRY(check_left(c, first));
	for (pattern *p = first->next; p; p = p->next) {
		if (p->kind == PATTERN_ABSENT) continue;
		if (p->kind != PATTERN_NODE && !(p->kind == PATTERN_VARIABLE && c->r->defined[p->variable]))
			return pattern_fail(c->text, p->at, "an op, or a name that `where` defines, is expected here");
		bool seen[PATTERN_MAX_VARIABLES] = { false };
		if (!anchored(c, p, seen)) return pattern_fail(c->text, p->at, "this shares no name with what stands in front of it");
		TRY(check_left(c, p));
	}
	return OG_OK;
}

/* ---- the right side -------------------------------------------------------------------------- */

static og_status check_right(checker *c, pattern *p);

static og_status right_variable(checker *c, pattern *p)
{
	int v = p->variable;
	pattern *defined = c->r->defined[v];
	if (p->optional) return pattern_fail(c->text, p->at, "'?' belongs to the left side");
	TRY(check_output(c, p));
	if (!defined && c->roles[v] == UNBOUND)
		return pattern_fail(c->text, p->at, "this variable does not stand on the left side");
	if (!defined || c->left[v] || c->right[v]) return OG_OK;
	c->right[v] = c->open[v] = true;
	TRY(check_right(c, defined));
	c->open[v] = false;
	return OG_OK;
}

static og_status need_number(checker *c, int v, const char *at)
{
	if (c->r->defined[v])
		return pattern_fail(c->text, at, "'%s' is a value that `where` defines, not a number", c->r->variables[v]);
	if (c->roles[v] == UNBOUND) return pattern_fail(c->text, at, "this variable does not stand on the left side");
	if (c->roles[v] == IS_VALUE) c->r->as_number[v] = true;
	return OG_OK;
}

static og_status check_formula(checker *c, const formula *f, const char *at)
{
	if (f->op == '#') return OG_OK;
	if (f->op == 'x') return need_number(c, f->variable, at);
	TRY(check_formula(c, f->left, at));
	return check_formula(c, f->right, at);
}

static og_status check_right(checker *c, pattern *p)
{
	if (p->kind == PATTERN_VARIABLE) return right_variable(c, p);
	if (p->kind != PATTERN_NODE) return OG_OK;
	if (!p->op) return pattern_fail(c->text, p->at, "this op is not known; `opgraft op list` shows those that are");
	p->type = p->op->name;
	TRY(check_op(c, p, true));
	for (int k = 0; k < p->n_args; k++) TRY(check_right(c, p->args[k]));
	for (int i = 0; i < p->n_binds; i++) {
		const pattern_bind *b = &p->binds[i];
		if (b->kind == BIND_VARIABLE) TRY(need_number(c, b->variable, b->at));
		if (b->kind == BIND_FORMULA) TRY(check_formula(c, b->formula, b->at));
	}
	return OG_OK;
}

static og_status check_right_roots(checker *c)
{
	int n = 0, lefts = 0, absent = 0;
	pattern *first = c->r->right;
	for (const pattern *p = c->r->left; p; p = p->next) {
		lefts++;
		absent += p->kind == PATTERN_ABSENT;
	}
	for (pattern *p = first; p; p = p->next) {
		const pattern *defined = p->kind == PATTERN_VARIABLE ? c->r->defined[p->variable] : NULL;
		n++;
		if (p->kind != PATTERN_NODE && (!defined || c->left[p->variable]))
			return pattern_fail(c->text, p->at, "the right side of a rule is an op, such as Swish(x)");
		TRY(check_right(c, p));
		if (defined) p->op = defined->op;
	}
	if (n == lefts && (n == 1 || !absent)) return OG_OK;
	schema_args outputs;
	if (n > 1 || first->kind != PATTERN_NODE)
		return pattern_fail(c->text, first->at, "the sides have %d and %d expressions; write as many, or one op on the right",
		                    lefts, n);
	TRY(schema_outputs(&outputs, first->op));
	if (outputs.n >= lefts || (outputs.n && outputs.arg[outputs.n - 1].variadic)) return OG_OK;
	return pattern_fail(c->text, first->at, "%s has %d outputs, and the left side %d expressions", schema_called(first->op),
	                    outputs.n, lefts);
}

og_status pattern_check(rule *r, const char *source)
{
	checker c = { .r = r, .text = source };
	TRY(check_left_roots(&c));
	TRY(check_right_roots(&c));
	for (int i = 0; i < r->n_variables; i++)
		if (r->defined[i] && !c.left[i] && !c.right[i])
			return pattern_fail(source, r->defined[i]->at, "'%s', which this defines, is used nowhere", r->variables[i]);
	return OG_OK;
}

static og_status check_expression(checker *c, pattern *p)
{
	if (p->kind == PATTERN_NODE) {
		for (int k = 0; k < p->n_args; k++) TRY(check_expression(c, p->args[k]));
		return OG_OK;
	}
	if (p->kind != PATTERN_VARIABLE) return OG_OK;
	int v = p->variable;
	pattern *defined = c->r->defined[v];
	TRY(check_output(c, p));
	if (!defined || c->left[v]) return OG_OK;
	c->left[v] = c->open[v] = true;
	TRY(check_expression(c, defined));
	c->open[v] = false;
	return OG_OK;
}

og_status pattern_check_expression(rule *r, pattern *first, const char *source)
{
	checker c = { .r = r, .text = source };
	for (pattern *p = first; p; p = p->next) TRY(check_expression(&c, p));
	return OG_OK;
}
