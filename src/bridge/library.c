/* library.c -- an op library from inside: its ops, their attributes and shapes, for the bridges beside it. */
#include "bridge/library.h"

#include <math.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static library_op *table;
static og_status opened;
static char fault[1024];                     /* why, for threads that ask later */

static void read_declarations(void)
{
	size_t n = og_op_library.n_ops;
	table = base_new(n, sizeof *table);
	opened = table ? OG_OK : base_no_memory();
	for (size_t k = 0; k < n && opened == OG_OK; k++) {
		library_op *l = &table[k];
		l->op = og_op_library.ops[k];
		l->n_attrs = schema_attr_count(l->op);
		opened = schema_arguments(&l->in, &l->out, l->op);
	}
	size_t length = strlen(base_error());
	memcpy(fault, base_error(), length < sizeof fault ? length : sizeof fault - 1);
}

__attribute__((destructor)) static void forget_declarations(void) { base_free(table); }

og_status library_open(void)
{
	pthread_once(&once, read_declarations);
	return opened == OG_OK ? OG_OK : base_fail(opened, "%s", fault);
}

size_t library_count(void) { return og_op_library.n_ops; }

const library_op *library_at(size_t k) { return k < og_op_library.n_ops ? &table[k] : NULL; }

/* ---- attributes ------------------------------------------------------------------------------ */

void library_defaults(og_attr_value *out, const library_op *l)
{
	for (int k = 0; k < l->n_attrs; k++) {
		double value = l->op->attrs[k].value;
		out[k] = (og_attr_value){ .i = (int64_t)value, .f = (float)value };
	}
}

static og_status wrong_type(const library_op *l, const og_attr *d, const char *given)
{
	static const char *const words[] = { "a whole number", "a number", "one of ", "a string", "a list of whole numbers",
	                                     "a list of numbers", "a list of strings", "a tensor", "a graph" };
	return base_fail(OG_USAGE, "attribute '%s' of %s takes %s%s, not %s", d->name, l->op->name, words[d->type],
	                 d->type == OG_ATTR_ENUM ? d->words : "", given);
}

og_status library_set_number(og_attr_value *out, const library_op *l, int k, double value)
{
	const og_attr *d = &l->op->attrs[k];
	if (d->type != OG_ATTR_INT && d->type != OG_ATTR_FLOAT) return wrong_type(l, d, "a number");
	if (d->type == OG_ATTR_INT && !(value == floor(value) && fabs(value) < 0x1p63)) return wrong_type(l, d, "a fraction");
	if (schema_attr_check(d, value) != OG_OK) return base_fail_in(OG_USAGE, "%s", l->op->name);
	*out = (og_attr_value){ .present = 1, .i = d->type == OG_ATTR_INT ? (int64_t)value : 0, .f = (float)value };
	return OG_OK;
}

og_status library_set_word(og_attr_value *out, const library_op *l, int k, const char *word)
{
	const og_attr *d = &l->op->attrs[k];
	int64_t index = 0;
	if (d->type != OG_ATTR_ENUM && d->type != OG_ATTR_STRING) return wrong_type(l, d, "a string");
	if (d->type == OG_ATTR_ENUM && (index = schema_attr_word(d, word)) < 0) return base_fail_in(OG_USAGE, "%s", l->op->name);
	*out = (og_attr_value){ .present = 1, .i = index, .f = (float)index, .s = word, .n = (int64_t)strlen(word) };
	return OG_OK;
}

/* ---- shapes ---------------------------------------------------------------------------------- */

/* Sizes that are all known; -1 where there is no result. */
static og_dim dim(og_infer *c, og_dim_op op, og_dim a, og_dim b)
{
	og_dim r;
	bool divides = op == OG_DIM_FLOOR_DIV || op == OG_DIM_CEIL_DIV;
	(void)c;
	if (op == OG_DIM_UNKNOWN || (divides && b == 0)) return -1;
	switch (op) {
	case OG_DIM_SUM: return __builtin_add_overflow(a, b, &r) ? -1 : r;
	case OG_DIM_SUB: return __builtin_sub_overflow(a, b, &r) ? -1 : r;
	case OG_DIM_PROD: return __builtin_mul_overflow(a, b, &r) ? -1 : r;
	case OG_DIM_MAX: return a > b ? a : b;
	case OG_DIM_MIN: return a < b ? a : b;
	case OG_DIM_FLOOR_DIV: return a / b - (a % b != 0 && (a < 0) != (b < 0));
	case OG_DIM_CEIL_DIV: return a / b + (a % b != 0 && (a < 0) == (b < 0));
	case OG_DIM_EQUAL: return a == b;
	case OG_DIM_LESS: return a < b;
	case OG_DIM_BROADCAST: return a == 1 ? b : a;
	case OG_DIM_UNKNOWN: break;
	}
	return -1;
}

static void parallel(const og_call *c, int64_t n, int64_t grain, void (*body)(void *arg, int64_t begin, int64_t end), void *arg)
{
	(void)c, (void)grain;
	if (n > 0) body(arg, 0, n);
}

const og_host library_host = { .abi = OG_OP_ABI, .fail = base_fail, .dim = dim, .parallel = parallel };

og_status library_ask(const library_op *l, og_infer *c, og_shape *in)
{
	bool present[LIBRARY_MAX_ARGS];
	for (int k = 0; k < LIBRARY_MAX_ARGS; k++) present[k] = k < c->n_in && in[k].dtype != OG_NONE;
	return schema_ask(&l->in, &l->out, c, in, present);
}

og_status library_infer(const library_op *l, const og_attr_value *attr, int n_in, const og_shape *in, int n_out, og_shape *out)
{
	og_shape given[LIBRARY_MAX_ARGS], made[LIBRARY_MAX_ARGS];
	og_infer c = { .host = &library_host, .op = l->op, .attr = attr, .n_in = n_in, .n_out = n_out, .out = made };
	if (n_in > LIBRARY_MAX_ARGS || n_out > LIBRARY_MAX_ARGS)
		return base_fail(OG_UNSUPPORTED, "%s: more than %d inputs or outputs", l->op->name, LIBRARY_MAX_ARGS);
	for (int k = 0; k < LIBRARY_MAX_ARGS; k++) {
		given[k] = k < n_in ? in[k] : (og_shape){ .rank = -1 };
		made[k] = (og_shape){ .rank = -1 };
	}
	TRY(library_ask(l, &c, given));
	for (int k = 0; k < n_out; k++) {
		if (made[k].rank < 0) return base_fail(OG_UNSUPPORTED, "%s: its shape rule gives output %d no shape", l->op->name, k);
		for (int d = 0; d < made[k].rank; d++)
			if (made[k].dims[d] < 0)
				return base_fail(OG_UNSUPPORTED, "%s: its shape rule gives dimension %d of output %d no size", l->op->name, d, k);
		out[k] = made[k];
	}
	return OG_OK;
}
