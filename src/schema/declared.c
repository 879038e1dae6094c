/* declared.c -- what an op file says of its op, held against itself, so that its author hears of a slip before any network does. */
#include "schema/inside.h"

#include <ctype.h>
#include <math.h>

static og_status fault(const og_op *op, const char *what, const char *name)
{
	return base_fail(OG_BAD_FILE, "op %s: %s%s%s%s", op->name, what, *name ? " '" : "", name, *name ? "'" : "");
}

static bool is_word(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_') return false;
	while (isalnum((unsigned char)*s) || *s == '_') s++;
	return !*s;
}

static og_status check_attribute(const og_op *op, const og_attr *d)
{
	bool number = d->type == OG_ATTR_INT || d->type == OG_ATTR_FLOAT;
	int words = 1;
	if ((unsigned)d->type > OG_ATTR_GRAPH) return fault(op, "there is no such type, of attribute", d->name);
	if (!is_word(d->name)) return fault(op, "a name is letters, digits and '_', not attribute", d->name);
	if (!strncmp(d->name, "plugin_", 7)) return fault(op, "names that begin with plugin_ are TensorRT's, so rename attribute", d->name);
	for (const og_attr *other = op->attrs; other != d; other++)
		if (!strcmp(other->name, d->name)) return fault(op, "there are two attributes", d->name);
	if (d->low > d->high) return fault(op, "the legal range is empty, of attribute", d->name);
	if (d->type == OG_ATTR_ENUM && (!d->words || !*d->words)) return fault(op, "no words are given for the enum", d->name);
	for (const char *s = d->type == OG_ATTR_ENUM ? d->words : ""; *s; s++) words += *s == '|';
	if (d->type == OG_ATTR_ENUM && !(d->value >= 0 && d->value < words))
		return fault(op, "the default is none of the words, of attribute", d->name);
	if (!number || d->required) return OG_OK;
	if (d->type == OG_ATTR_INT && d->value != floor(d->value)) return fault(op, "the default is no whole number, of attribute", d->name);
	if (schema_attr_check(d, d->value) != OG_OK) return base_fail_in(OG_BAD_FILE, "op %s: the default is not legal", op->name);
	return OG_OK;
}

static og_status check_names(const og_op *op, const schema_args *args)
{
	for (int k = 0; k < args->n; k++) {
		for (int i = 0; i < k; i++)
			if (!strcmp(args->arg[i].name, args->arg[k].name)) return fault(op, "there are two arguments", args->arg[k].name);
		if (k > 0 && args->arg[k - 1].optional && !args->arg[k].optional && !args->arg[k].variadic)
			return fault(op, "an optional argument stands before", args->arg[k].name);
		for (const og_attr *d = op->attrs; d && d->name; d++)
			if (!strcmp(d->name, args->arg[k].name)) return fault(op, "an argument and an attribute are both called", d->name);
	}
	return OG_OK;
}

/* A formula's operands are the inputs in order, its numbers the first attributes. */
static og_status check_formula(const og_op *op, const schema_args *in, const schema_args *out)
{
	bool variadic = in->n > 0 && in->arg[in->n - 1].variadic;
	int n = schema_attr_count(op);
	if (op->formula && (!op->map[OG_ISA_SCALAR] || !op->map[OG_ISA_AVX2] || !op->map[OG_ISA_AVX512]))
		return fault(op, "it lacks the formula for some instruction set; MAPS(formula) names all", "");
	if (variadic ? in->n != 1 || op->map_inputs != 2 : in->n != op->map_inputs)
		return base_fail(OG_BAD_FILE, "op %s: the formula takes %d inputs in MAP, and .inputs lists %d", op->name, op->map_inputs, in->n);
	if (op->map_attrs > n)
		return base_fail(OG_BAD_FILE, "op %s: the formula takes %d attributes in MAP, and ATTRS lists %d", op->name, op->map_attrs, n);
	for (int k = 0; k < op->map_attrs; k++)
		if (op->attrs[k].type > OG_ATTR_ENUM) return fault(op, "a formula takes numbers and enums only, not attribute", op->attrs[k].name);
	for (int k = 0; k < in->n; k++)
		if (in->arg[k].optional && !in->arg[k].has_default)
			return fault(op, "what the formula sees when it is left out (=number) is missing, of input", in->arg[k].name);
	return out->n == 1 ? OG_OK : fault(op, "a formula makes one output", "");
}

og_status schema_declared(const og_op *op)
{
	schema_args in, out;
	if (op->abi != OG_OP_ABI)
		return base_fail(OG_UNSUPPORTED, "op was built for version %u of opgraft/op.h, this is %u; build it again", op->abi, OG_OP_ABI);
	if (!op->name || !is_word(op->name))
		return base_fail(OG_BAD_FILE, "an op's .name is letters, digits and '_', not '%s'", op->name ? op->name : "");
	if (!op->inputs || !op->outputs) return fault(op, ".inputs or .outputs is missing", "");
	if (op->since < 1) return fault(op, ".since is the opset version from which this holds: 1 at least", "");
	if (schema_arguments(&in, &out, op) != OG_OK) return OG_BAD_FILE;
	if (!out.n) return fault(op, "it has no outputs", "");
	TRY(check_names(op, &in));
	for (const og_attr *d = op->attrs; d && d->name; d++) TRY(check_attribute(op, d));
	if (!op->eval && !op->ref && !(op->flags & OG_VIEW_OF_INPUT)) return fault(op, "it has neither a formula (MAPS) nor .eval", "");
	if (op->ulp < 0 || isnan(op->ulp)) return fault(op, ".ulp is 0 or more", "");
	return op->ref ? check_formula(op, &in, &out) : OG_OK;
}
