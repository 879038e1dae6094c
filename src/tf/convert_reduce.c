/* convert_reduce.c -- reductions, running sums, and sums of products. */
#include "tf/convert.h"

/* Axes are a constant input. None at all: nothing is reduced; ONNX would reduce everything. */
static graph_value *reduce(convert *c, graph_value *x, const char *type)
{
	int64_t axes[CONVERT_MAX_LIST];
	int n = convert_const_list(c, 1, "axes", axes);
	bool keep = convert_bool(c, "keep_dims", false);
	bool as_input = !strcmp(type, "ReduceSum");          /* the one that takes them so in this opset */
	for (int k = 0; k < n && x->rank >= 0; k++) axes[k] = convert_axis(c, axes[k], x->rank);
	if (!n) return x;
	BEGIN(type, x, as_input ? convert_list(c, axes, n) : NULL);
	if (!as_input) convert_set_ints(c, "axes", axes, n);
	convert_set_int(c, "keepdims", keep);
	return convert_done(c);
}

static graph_value *mean(convert *c) { return reduce(c, convert_in(c, 0), "ReduceMean"); }
static graph_value *sum(convert *c) { return reduce(c, convert_in(c, 0), "ReduceSum"); }
static graph_value *max(convert *c) { return reduce(c, convert_in(c, 0), "ReduceMax"); }
static graph_value *min(convert *c) { return reduce(c, convert_in(c, 0), "ReduceMin"); }
static graph_value *prod(convert *c) { return reduce(c, convert_in(c, 0), "ReduceProd"); }
/* Of no axes at all it is the root of a square. */
static graph_value *euclidean_norm(convert *c) { return reduce(c, MAKE("Abs", convert_in(c, 0)), "ReduceL2"); }

static graph_value *all(convert *c)
{
	return convert_cast(c, reduce(c, convert_cast(c, convert_in(c, 0), OG_I32), "ReduceMin"), OG_BOOL);
}

static graph_value *any(convert *c)
{
	return convert_cast(c, reduce(c, convert_cast(c, convert_in(c, 0), OG_I32), "ReduceMax"), OG_BOOL);
}

static graph_value *extreme(convert *c, const char *type)
{
	graph_value *x = convert_in(c, 0);
	int axis = convert_const_axis(c, 1, convert_rank(c, x));
	BEGIN(type, x);
	convert_set_int(c, "axis", axis);
	convert_set_int(c, "keepdims", 0);
	return convert_cast(c, convert_done(c), convert_type(c, "output_type", OG_I64));
}

static graph_value *arg_max(convert *c) { return extreme(c, "ArgMax"); }
static graph_value *arg_min(convert *c) { return extreme(c, "ArgMin"); }

static graph_value *cumsum(convert *c)
{
	BEGIN("CumSum", convert_in(c, 0), convert_index(c, convert_const_int(c, 1, "axis")));
	convert_set_int(c, "exclusive", convert_bool(c, "exclusive", false));
	convert_set_int(c, "reverse", convert_bool(c, "reverse", false));
	return convert_done(c);
}

static graph_value *along_last(convert *c, const char *type)
{
	BEGIN(type, convert_in(c, 0));
	convert_set_int(c, "axis", -1);
	return convert_done(c);
}

static graph_value *softmax(convert *c) { return along_last(c, "Softmax"); }
static graph_value *log_softmax(convert *c) { return along_last(c, "LogSoftmax"); }

static graph_value *l2_loss(convert *c)
{
	graph_value *x = convert_in(c, 0);
	BEGIN("ReduceSumSquare", x);
	convert_set_int(c, "keepdims", 0);
	graph_value *total = convert_done(c);
	return MAKE("Mul", total, convert_number(c, total->dtype, 0.5));
}

/* ---- products ---- */

static graph_value *swap_last_two(convert *c, graph_value *x, bool wanted)
{
	int perm[OG_MAX_RANK], n = wanted ? convert_rank(c, x) : 0;
	if (!wanted || c->status != OG_OK) return x;
	if (n < 2) return convert_wrong(c, "'%s' has %d dimensions; a matrix has at least 2", x->name, n);
	for (int k = 0; k < n; k++) perm[k] = k < n - 2 ? k : 2 * n - 3 - k;
	return convert_transpose(c, x, perm, n);
}

static graph_value *product(convert *c, const char *turn_a, const char *turn_b)
{
	graph_value *a = swap_last_two(c, convert_in(c, 0), convert_bool(c, turn_a, false));
	graph_value *b = swap_last_two(c, convert_in(c, 1), convert_bool(c, turn_b, false));
	return MAKE("MatMul", a, b);
}

static graph_value *matmul(convert *c) { return product(c, "transpose_a", "transpose_b"); }
static graph_value *batch_matmul(convert *c) { return product(c, "adj_x", "adj_y"); }

static graph_value *einsum(convert *c)
{
	graph_value *in[CONVERT_MAX_LIST];
	int n = c->node->n_in <= CONVERT_MAX_LIST ? c->node->n_in : CONVERT_MAX_LIST;
	for (int k = 0; k < n; k++) in[k] = convert_in(c, k);
	convert_begin(c, "Einsum", in, n);
	convert_set_string(c, "equation", convert_string(c, c->node, "equation", ""));
	return convert_done(c);
}

const convert_op convert_reduce_ops[] = {
	{ "All", .build = all }, { "Any", .build = any }, { "ArgMax", .build = arg_max }, { "ArgMin", .build = arg_min },
	{ "BatchMatMul", .build = batch_matmul }, { "BatchMatMulV2", .build = batch_matmul },
	{ "BatchMatMulV3", .build = batch_matmul }, { "Cumsum", .build = cumsum }, { "Einsum", .build = einsum },
	{ "EuclideanNorm", .build = euclidean_norm }, { "L2Loss", .build = l2_loss },
	{ "LogSoftmax", .build = log_softmax }, { "MatMul", .build = matmul }, { "Max", .build = max },
	{ "Mean", .build = mean }, { "Min", .build = min }, { "Prod", .build = prod }, { "Softmax", .build = softmax },
	{ "Sum", .build = sum }, { .type = NULL },
};
