/* tensorrt_shapes.c -- types, shapes and memory formats between an op's declaration and TensorRT. */
#include "bridge/tensorrt.h"

/* ---- types ------------------------------------------------------------------------------------ */

og_dtype tensorrt_dtype(int32_t type)
{
	switch (type) {
#define X(name, number, ours) case number: return ours;
	TRT_TYPES(X)
#undef X
	default: return OG_NONE;
	}
}

int32_t tensorrt_type(og_dtype dtype)
{
	switch (dtype) {
#define X(name, number, ours) case ours: return number;
	TRT_TYPES(X)
#undef X
	default: return -1;
	}
}

const char *tensorrt_type_name(int32_t type)
{
	switch (type) {
#define X(name, number, ours) case number: return #name;
	TRT_TYPES(X)
#undef X
	default: return "?";
	}
}

/* Starts the question: inputs of the given types without shape. */
static og_status question(og_infer *c, og_shape *in, og_shape *out, const tensorrt_settings *s, const og_dtype *types,
                          int n_in, int n_out)
{
	if (n_in > LIBRARY_MAX_ARGS || n_out > LIBRARY_MAX_ARGS || n_in < 0 || n_out < 0)
		return base_fail(OG_UNSUPPORTED, "%s: more than %d inputs or outputs", s->l->op->name, LIBRARY_MAX_ARGS);
	*c = (og_infer){ .host = &library_host, .op = s->l->op, .attr = s->attr, .n_in = n_in, .n_out = n_out,
	                 .in = in, .out = out };
	for (int k = 0; k < LIBRARY_MAX_ARGS; k++) {
		in[k] = (og_shape){ .dtype = k < n_in ? types[k] : OG_NONE, .rank = -1 };
		out[k] = (og_shape){ .rank = -1 };
	}
	return OG_OK;
}

og_status tensorrt_output_types(const tensorrt_settings *s, og_dtype *out, int n_out, const og_dtype *in, int n_in)
{
	og_shape given[LIBRARY_MAX_ARGS], made[LIBRARY_MAX_ARGS];
	og_infer c;
	TRY(question(&c, given, made, s, in, n_in, n_out));
	TRY(library_ask(s->l, &c, given));
	for (int k = 0; k < n_out; k++) {
		out[k] = made[k].dtype;
		if (tensorrt_type(out[k]) < 0)
			return base_fail(OG_UNSUPPORTED, "TensorRT has no type %s as of output %d", base_dtype_name(out[k]), k);
	}
	return OG_OK;
}

/* ---- shapes ----------------------------------------------------------------------------------- */

/* Sizes that TensorRT alone knows: handle -1 - k is expression k. */
enum { MAX_EXPRESSIONS = 1024 };
typedef struct expressions {
	trt_dim_maker *maker;
	const trt_dim *at[MAX_EXPRESSIONS];
	int n;
	og_status status;            /* of the first failure */
} expressions;

static og_dim give_up(expressions *e, og_status status)
{
	if (e->status == OG_OK) e->status = status;
	return 0;
}

static og_dim dim_of(expressions *e, const trt_dim *d)
{
	if (!d) return give_up(e, base_fail(OG_UNSUPPORTED, "TensorRT can't make an expression of a dimension"));
	if (d->value->table->isConstant(d->value)) {
		int64_t size = d->value->table->getConstantValue(d->value);
		return size >= 0 ? size : give_up(e, base_fail(OG_UNSUPPORTED, "a dimension is %lld", (long long)size));
	}
	for (int k = 0; k < e->n; k++)
		if (e->at[k] == d) return -1 - k;
	if (e->n == MAX_EXPRESSIONS)
		return give_up(e, base_fail(OG_UNSUPPORTED, "over %d expressions of dimensions", MAX_EXPRESSIONS));
	e->at[e->n++] = d;
	return -e->n;
}

static const trt_dim *expression(expressions *e, og_dim d)
{
	return d < 0 ? e->at[-1 - d] : e->maker->table->constant(e->maker, d);
}

static og_dim operation(expressions *e, trt_dim_op op, og_dim a, og_dim b)
{
	const trt_dim *x = expression(e, a), *y = expression(e, b);
	return dim_of(e, x && y ? e->maker->table->operation(e->maker, op, x, y) : NULL);
}

/* One of two sizes that are equal unless one of them is 1, which gives way: also to 0. Bounds of the expression follow
 * from bounds of a and b without slack. */
static og_dim broadcast(expressions *e, og_dim a, og_dim b)
{
	if (a == 1 || a == b) return b;
	if (b == 1 || a >= 0) return a;
	if (b >= 0) return b;
	/* the larger one, and 0 where one is 0; a * b may not fit */
	og_dim at_most_1 = operation(e, TRT_DIM_MIN, operation(e, TRT_DIM_MIN, a, b), 1);
	return operation(e, TRT_DIM_PROD, operation(e, TRT_DIM_MAX, a, b), at_most_1);
}

static og_dim dim(og_infer *c, og_dim_op op, og_dim a, og_dim b)
{
	expressions *e = c->context;
	if (op == OG_DIM_UNKNOWN)
		return give_up(e, base_fail(OG_UNSUPPORTED, "a size hangs on data, which TensorRT does not see"));
	if (a >= 0 && b >= 0) {
		og_dim size = library_host.dim(c, op, a, b);
		return size >= 0 ? size : give_up(e, base_fail(OG_UNSUPPORTED, "a size comes out below 0 or too large"));
	}
	switch (op) {
#define X(name, number, ours) case ours: return operation(e, TRT_DIM_##name, a, b);
	TRT_DIM_OPS(X)
#undef X
	case OG_DIM_BROADCAST: return broadcast(e, a, b);
	case OG_DIM_UNKNOWN: break;
	}
	return give_up(e, base_fail(OG_UNSUPPORTED, "unknown operation %d on dimensions", (int)op));
}

static og_status write_shapes(trt_dims_expr *out, int n_out, const og_shape *made, expressions *e, const char *name)
{
	for (int k = 0; k < n_out; k++) {
		if (made[k].rank < 0 || made[k].rank > TRT_MAX_DIMS)
			return base_fail(OG_UNSUPPORTED, "%s: its shape rule gives output %d no shape", name, k);
		out[k].nbDims = made[k].rank;
		for (int d = 0; d < made[k].rank; d++) {
			if (made[k].dims[d] < -e->n) return base_fail(OG_UNSUPPORTED, "%s: its shape rule makes dimensions up", name);
			if (!(out[k].d[d] = expression(e, made[k].dims[d])))
				return base_fail(OG_UNSUPPORTED, "%s: TensorRT can't make an expression of a dimension", name);
		}
	}
	return OG_OK;
}

og_status tensorrt_output_shapes(const tensorrt_settings *s, const og_dtype *types, trt_dims_expr *out, int n_out,
                                 const trt_dims_expr *in, int n_in, trt_expr_builder *builder)
{
	og_host host = library_host;
	og_shape given[LIBRARY_MAX_ARGS], made[LIBRARY_MAX_ARGS];
	expressions e = { .maker = builder->maker };
	og_infer c;
	TRY(question(&c, given, made, s, types, n_in, n_out));
	host.dim = dim;
	c.host = &host;
	c.context = &e;
	for (int k = 0; k < n_in; k++) {
		if (in[k].nbDims < 0 || in[k].nbDims > TRT_MAX_DIMS) return base_fail(OG_UNSUPPORTED, "input %d of unknown rank", k);
		given[k].rank = in[k].nbDims;
		for (int d = 0; d < in[k].nbDims; d++) given[k].dims[d] = dim_of(&e, in[k].d[d]);
	}
	TRY(e.status);
	TRY(library_ask(s->l, &c, given));
	TRY(e.status);
	return write_shapes(out, n_out, made, &e, s->l->op->name);
}

/* ---- formats ---------------------------------------------------------------------------------- */

typedef struct layout { int lanes, channel; } layout;

static bool layout_of(layout *out, int32_t format)
{
	switch (format) {
#define X(name, number, lanes, channel) case number: *out = (layout){ lanes, channel }; return true;
	TRT_FORMATS(X)
#undef X
	default: return false;
	}
}

const char *tensorrt_format_name(int32_t format)
{
	switch (format) {
#define X(name, number, lanes, channel) case number: return #name;
	TRT_FORMATS(X)
#undef X
	default: return "?";
	}
}

/* A formula does the same to every element, wherever it lies, so that any format will do as long as all tensors have it
 * and the same shape. Lanes that pad a channel are reckoned with the others: zeros there have to stay zeros, since
 * kernels behind may add them up. */
static bool packs(const tensorrt_settings *s, layout f, const trt_range *in_out, int n)
{
	const trt_dims *dims = &in_out[0].desc.dims;
	if (!s->l->op->formula || dims->nbDims < f.channel) return false;
	for (int k = 0; k < n; k++) {
		if (in_out[k].desc.dims.nbDims != dims->nbDims) return false;
		for (int d = 0; d < dims->nbDims; d++)
			if (in_out[k].desc.dims.d[d] != dims->d[d] || (dims->d[d] < 0 && n > 2)) return false;
	}
	return s->keeps_zero || dims->d[dims->nbDims - f.channel] % f.lanes == 0;     /* an unknown size, -1: of 1 only */
}

static const schema_arg *argument(const library_op *l, int position, int n_in)
{
	return position < n_in ? schema_arg_at(&l->in, position) : schema_arg_at(&l->out, position - n_in);
}

/* ---- calls ------------------------------------------------------------------------------------ */

og_status tensorrt_call_start(tensorrt_call *c, const tensorrt_settings *s, int n_in, int n_out)
{
	if (n_in < 0 || n_out < 0 || n_in > LIBRARY_MAX_ARGS || n_out > LIBRARY_MAX_ARGS)
		return base_fail(OG_UNSUPPORTED, "%s: more than %d inputs or outputs", s->l->op->name, LIBRARY_MAX_ARGS);
	c->call = (og_call){ .host = &library_host, .op = s->l->op, .attr = s->attr, .n_in = n_in, .n_out = n_out,
	                     .in = c->in, .out = c->out };
	for (int k = 0; k < n_in; k++) c->in[k] = &c->tensor[k];
	for (int k = 0; k < n_out; k++) c->out[k] = &c->tensor[n_in + k];
	return OG_OK;
}

og_status tensorrt_call_set(tensorrt_call *c, int position, const trt_tensor *desc, const trt_dims *dims)
{
	og_tensor *to = &c->tensor[position];
	int64_t span = 1;
	layout f;
	*to = (og_tensor){ .dtype = tensorrt_dtype(desc->type), .rank = dims->nbDims };
	if (to->dtype == OG_NONE || !layout_of(&f, desc->format) || dims->nbDims < f.channel || dims->nbDims > TRT_MAX_DIMS)
		return base_fail(OG_UNSUPPORTED, "type %s in format %s of a tensor of rank %d", tensorrt_type_name(desc->type),
		                 tensorrt_format_name(desc->format), (int)dims->nbDims);
	for (int d = 0; d < dims->nbDims; d++) {
		int64_t size = dims->d[d], lanes = d == dims->nbDims - f.channel ? f.lanes : 1;
		if (size < 0) return base_fail(OG_UNSUPPORTED, "dimension %d is not known", d);
		to->dims[d] = size;
		if (size > INT64_MAX - lanes || __builtin_mul_overflow(span, (size + lanes - 1) / lanes * lanes, &span))
			return base_fail(OG_UNSUPPORTED, "a tensor of too many elements");
	}
	if (desc->format != TRT_LINEAR) {
		to->rank = 1;
		to->dims[0] = span;
	}
	return OG_OK;
}

/* ---- what is offered -------------------------------------------------------------------------- */

/* Of a size that is not known the profile's best one tells, or 1 before there is a profile. */
static bool has_kernel(const tensorrt_settings *s, const trt_range *in_out, int n_in, int n_out)
{
	tensorrt_call c;
	if (tensorrt_call_start(&c, s, n_in, n_out) != OG_OK) return false;
	for (int k = 0; k < n_in + n_out; k++) {
		trt_dims dims = in_out[k].desc.dims;
		for (int d = 0; d < dims.nbDims && d < TRT_MAX_DIMS; d++)
			if (dims.d[d] < 0) dims.d[d] = in_out[k].opt.nbDims == dims.nbDims && in_out[k].opt.d[d] > 0 ? in_out[k].opt.d[d] : 1;
		if (tensorrt_call_set(&c, k, &in_out[k].desc, &dims) != OG_OK) return false;
	}
	return device_tactics(s->l, &c.call) > 0;
}

bool tensorrt_format_ok(const tensorrt_settings *s, int position, const trt_range *in_out, int n_in, int n_out)
{
	const trt_tensor *t = &in_out[position].desc;
	const schema_arg *arg = argument(s->l, position, n_in);
	og_dtype dtype = tensorrt_dtype(t->type);
	layout f;
	if (!arg || dtype == OG_NONE || !(arg->types >> dtype & 1)) return false;
	for (int k = 0; k < position; k++) {
		const schema_arg *other = argument(s->l, k, n_in);
		if (arg->variable >= 0 && other && other->variable == arg->variable && in_out[k].desc.type != t->type) return false;
	}
	if (position > 0 && t->format != in_out[0].desc.format) return false;
	if (t->format != TRT_LINEAR && !(layout_of(&f, t->format) && packs(s, f, in_out, n_in + n_out))) return false;
	return position < n_in + n_out - 1 || has_kernel(s, in_out, n_in, n_out);
}
