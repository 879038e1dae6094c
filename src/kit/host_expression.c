/* host_expression.c -- TensorRT's expressions of sizes: trees that are evaluated when sizes are known. */
#include "kit/host.h"

enum { CONSTANT = -1, SYMBOL = -2 };     /* else a trt_dim_op */

typedef struct host_expression host_expression;
struct host_expression {
	trt_dim dim;
	trt_dim_value value;
	int32_t op;
	int64_t size;                        /* of a constant or symbol */
	const host_expression *a, *b;
};

static arena *memory;

static const host_expression *of_dim(const trt_dim *d) { return (const host_expression *)(const void *)d; }
static const host_expression *of_value(const trt_dim_value *v)
{
	return (const host_expression *)(const void *)((const char *)v - offsetof(host_expression, value));
}

/* Expressions and the builder are the host's: a plugin does not end them. */
static void stay(void *self) { (void)self; }

static bool is_constant(trt_dim_value *v) { return of_value(v)->op == CONSTANT; }
static int64_t constant_value(trt_dim_value *v) { return is_constant(v) ? of_value(v)->size : INT64_MIN; }
static bool is_size_tensor(trt_dim_value *v) { return (void)v, false; }

static const struct { trt_prefix prefix; trt_dim_value_table table; } value_table = { .table = {
	.end = stay, .destroy = stay,
	.isConstant = is_constant, .getConstantValue = constant_value, .isSizeTensor = is_size_tensor,
} };
static const struct { trt_prefix prefix; void (*table[2])(void *); } plain_table = { .table = { stay, stay } };

static const trt_dim *make(int32_t op, int64_t size, const trt_dim *a, const trt_dim *b)
{
	host_expression *e = arena_alloc(memory, sizeof *e);
	if (!e) return NULL;
	*e = (host_expression){ .dim = { plain_table.table, &e->value },
		                    .value = { &value_table.table },
		                    .op = op,
		                    .size = size,
		                    .a = of_dim(a),
		                    .b = of_dim(b) };
	return &e->dim;
}

void host_expr_start(arena *a) { memory = a; }
const trt_dim *host_expr_constant(int64_t value) { return make(CONSTANT, value, NULL, NULL); }
const trt_dim *host_expr_symbol(int64_t value) { return make(SYMBOL, value, NULL, NULL); }

static bool apply(int64_t *out, const char **why, int32_t op, int64_t a, int64_t b)
{
	bool overflow = false;
	*why = NULL;
	switch (op) {
	case TRT_DIM_SUM: overflow = __builtin_add_overflow(a, b, out); break;
	case TRT_DIM_SUB: overflow = __builtin_sub_overflow(a, b, out); break;
	case TRT_DIM_PROD: overflow = __builtin_mul_overflow(a, b, out); break;
	case TRT_DIM_MAX: *out = a > b ? a : b; break;
	case TRT_DIM_MIN: *out = a < b ? a : b; break;
	case TRT_DIM_EQUAL: *out = a == b; break;
	case TRT_DIM_LESS: *out = a < b; break;
	case TRT_DIM_FLOOR_DIV: case TRT_DIM_CEIL_DIV:
		if (b == 0) *why = "divides by 0";
		else if (b == -1) overflow = __builtin_sub_overflow(0, a, out);
		else {
			int64_t rest = a % b;
			*out = a / b + (rest == 0 ? 0 : op == TRT_DIM_CEIL_DIV ? (rest < 0) == (b < 0) : -((rest < 0) != (b < 0)));
		}
		break;
	default: *why = "uses an operation that TensorRT does not have";
	}
	if (overflow) *why = "is too large for 64 bits";
	return !*why;
}

static bool evaluate(int64_t *out, const char **why, const host_expression *e, int depth)
{
	int64_t a, b;
	if (e->op < 0) return *out = e->size, true;
	if (depth == 0) return *why = "is nested over 1000 deep", false;
	return evaluate(&a, why, e->a, depth - 1) && evaluate(&b, why, e->b, depth - 1) && apply(out, why, e->op, a, b);
}

bool host_expr_value(int64_t *out, const char **why, const trt_dim *d)
{
	enum { DEEPEST = 1000 };
	return evaluate(out, why, of_dim(d), DEEPEST);
}

static const trt_dim *build_constant(trt_dim_maker *m, int64_t value) { return (void)m, host_expr_constant(value); }

/* Constants are folded, as TensorRT does; what has no value stays to be found when it is evaluated. */
static const trt_dim *build_operation(trt_dim_maker *m, int32_t op, const trt_dim *a, const trt_dim *b)
{
	int64_t size;
	const char *why;
	(void)m;
	if (!a || !b) return NULL;
	if (of_dim(a)->op == CONSTANT && of_dim(b)->op == CONSTANT &&
	    apply(&size, &why, op, of_dim(a)->size, of_dim(b)->size))
		return host_expr_constant(size);
	return make(op, 0, a, b);
}

/* A size that hangs on data: the host takes what the plugin expects to be best. */
static const trt_dim *build_size_tensor(trt_dim_maker *m, int32_t output, const trt_dim *best, const trt_dim *upper)
{
	(void)m, (void)output, (void)upper;
	return best;
}

static const struct { trt_prefix prefix; trt_dim_maker_table table; } maker_table = { .table = {
	.end = stay, .destroy = stay,
	.constant = build_constant, .operation = build_operation, .declareSizeTensor = build_size_tensor,
} };
static trt_dim_maker maker = { &maker_table.table };
trt_expr_builder host_expr_builder = { plain_table.table, &maker };
