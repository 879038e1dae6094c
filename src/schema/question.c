/* question.c -- an op's answer about types and shapes, without a graph around it: its declaration, then its shape rule. It goes
 * into op libraries as well, so it calls nothing that knows graphs or the table of ops. */
#include "schema/schema.h"

static int larger(int a, int b) { return a > b ? a : b; }

const schema_arg *schema_arg_at(const schema_args *args, int k)
{
	if (k < args->n) return &args->arg[k];
	return args->n > 0 && args->arg[args->n - 1].variadic ? &args->arg[args->n - 1] : NULL;
}

static og_status check_counts(const schema_args *inputs, const schema_args *outputs, const og_infer *c, const bool *present)
{
	const char *type = c->op->name;
	if (c->n_in > 0 && !schema_arg_at(inputs, c->n_in - 1))
		return base_fail(OG_BAD_FILE, "%s takes at most %d inputs, not %d", type, inputs->n, c->n_in);
	if (c->n_out > 0 && !schema_arg_at(outputs, c->n_out - 1))
		return base_fail(OG_BAD_FILE, "%s makes at most %d outputs, not %d", type, outputs->n, c->n_out);
	for (int k = 0; k < larger(c->n_in, inputs->n); k++) {
		const schema_arg *arg = schema_arg_at(inputs, k);
		if (!present[k] && !arg->optional) return base_fail(OG_BAD_FILE, "input '%s' of %s is missing", arg->name, type);
	}
	return OG_OK;
}

static og_dtype first_type(uint32_t types)
{
	return types ? (og_dtype)__builtin_ctz(types) : OG_NONE;
}

static bool is_one_type(uint32_t types) { return types && (types & (types - 1)) == 0; }

/* Checks the types of the inputs against the declaration; *bound: the type of each variable. */
static og_status unify_inputs(const schema_args *inputs, const og_infer *c, og_dtype *bound)
{
	for (int k = 0; k < c->n_in; k++) {
		const schema_arg *arg = schema_arg_at(inputs, k);
		og_dtype t = c->in[k].dtype;
		if (t == OG_NONE) continue;
		if (!(arg->types >> t & 1))
			return base_fail(OG_UNSUPPORTED, "input '%s' of type %s is not supported", arg->name, base_dtype_name(t));
		if (arg->variable < 0) continue;
		if (bound[arg->variable] == OG_NONE) bound[arg->variable] = t;
		if (bound[arg->variable] != t)
			return base_fail(OG_BAD_FILE, "input '%s' is %s, but must be %s as the inputs before it", arg->name,
			                 base_dtype_name(t), base_dtype_name(bound[arg->variable]));
	}
	return OG_OK;
}

/* A rule takes an input without type for one left out, so every one that is there gets a type if it can be told. Of one
 * whose value decides shapes any allowed type will do as long as the value is not known. */
static void complete_inputs(const schema_args *inputs, const og_infer *c, og_shape *in, const bool *present, const og_dtype *bound)
{
	for (int k = 0; k < c->n_in; k++) {
		const schema_arg *arg = schema_arg_at(inputs, k);
		if (in[k].dtype != OG_NONE || !present[k]) continue;
		if (arg->variable >= 0 && bound[arg->variable] != OG_NONE) in[k].dtype = bound[arg->variable];
		else if (is_one_type(arg->types) || arg->value_needed) in[k].dtype = first_type(arg->types);
	}
}

static void start_outputs(const schema_args *outputs, const og_infer *c, const og_dtype *bound)
{
	for (int k = 0; k < larger(c->n_out, outputs->n); k++) {
		const schema_arg *arg = schema_arg_at(outputs, k);
		og_dtype variable = arg->variable >= 0 ? bound[arg->variable] : OG_NONE;
		c->out[k].dtype = variable != OG_NONE ? variable : is_one_type(arg->types) ? first_type(arg->types) : OG_NONE;
		c->out[k].rank = -1;
	}
}

static og_status broadcast_dim(og_infer *c, og_dim *to, og_dim other)
{
	if (*to > 1 || *to == 0)
		if (other >= 0 && other != 1 && other != *to)
			return base_fail(OG_BAD_FILE, "dimensions %lld and %lld do not broadcast", (long long)*to,
			                 (long long)other);
	*to = c->host->dim(c, OG_DIM_BROADCAST, *to, other);
	return OG_OK;
}

/* The rule of an op that has none: outputs have the broadcast shape of all inputs. */
static og_status broadcast_rule(const schema_args *outputs, og_infer *c, const bool *present)
{
	og_shape s = { .rank = 0 };
	for (int k = 0; k < c->n_in; k++) {
		if (!present[k]) continue;
		if (c->in[k].rank < 0) return OG_OK;
		s.rank = larger(s.rank, c->in[k].rank);
	}
	for (int d = 0; d < s.rank; d++) s.dims[d] = 1;
	for (int k = 0; k < c->n_in; k++)
		for (int d = 0, shift = s.rank - c->in[k].rank; present[k] && d < c->in[k].rank; d++)
			TRY(broadcast_dim(c, &s.dims[shift + d], c->in[k].dims[d]));
	for (int k = 0; k < larger(c->n_out, outputs->n); k++) {
		c->out[k].rank = s.rank;
		memcpy(c->out[k].dims, s.dims, sizeof s.dims);
	}
	return OG_OK;
}

og_status schema_ask(const schema_args *inputs, const schema_args *outputs, og_infer *c, og_shape *in, const bool *present)
{
	og_dtype bound[2 * SCHEMA_MAX_ARGS] = { OG_NONE };
	c->in = in;
	TRY(check_counts(inputs, outputs, c, present));
	TRY(unify_inputs(inputs, c, bound));
	complete_inputs(inputs, c, in, present, bound);
	start_outputs(outputs, c, bound);
	return c->op->shape ? c->op->shape(c) : broadcast_rule(outputs, c, present);
}
