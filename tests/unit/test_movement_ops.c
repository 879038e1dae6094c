/* The ops that move, select and convert elements, against results worked out by hand, called as the library calls
 * them: shape rule first, then eval on outputs of exactly the inferred size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "opgraft/op.h"

/* ---- a host ---------------------------------------------------------------------------------- */

static char sentence[512];

static og_status host_fail(og_status status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	return status;
}

/* Sizes below 0: -1 is unknown, N and M are symbols, below EXPRESSION an expression over others. */
enum { UNKNOWN = -1, N = -2, M = -3, EXPRESSION = -100, MAX_EXPRESSIONS = 32 };
static struct { og_dim_op op; og_dim a, b; } expressions[MAX_EXPRESSIONS];
static int n_expressions;

static og_dim host_dim(struct og_infer *c, og_dim_op op, og_dim a, og_dim b)
{
	(void)c;
	if (op == OG_DIM_UNKNOWN || a == UNKNOWN || b == UNKNOWN) return UNKNOWN;
	assert_true(n_expressions < MAX_EXPRESSIONS);
	expressions[n_expressions].op = op;
	expressions[n_expressions].a = a;
	expressions[n_expressions].b = b;
	return EXPRESSION - n_expressions++;
}

/* Cuts the range in three, the last part first: the result must not depend on it. */
static void host_parallel(const struct og_call *c, int64_t n, int64_t grain,
                          void (*body)(void *, int64_t, int64_t), void *arg)
{
	int64_t a = n / 3, b = n / 2;
	(void)c;
	assert_true(grain > 0);
	if (b < n) body(arg, b, n);
	if (a < b) body(arg, a, b);
	if (a > 0) body(arg, 0, a);
}

static const og_host host = { OG_OP_ABI, host_fail, host_dim, host_parallel };

/* ---- calling ops ----------------------------------------------------------------------------- */

#define DIMS(...) (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (const int64_t[]){ __VA_ARGS__ }
#define SCALAR 0, NULL
#define F(...) (float[]){ __VA_ARGS__ }
#define L(...) (int64_t[]){ __VA_ARGS__ }
#define B(...) (uint8_t[]){ __VA_ARGS__ }
#define ATTR(...) (const og_attr_value[]){ __VA_ARGS__ }
#define IN(...) \
	(const og_tensor[]){ __VA_ARGS__ }, (int)(sizeof((const og_tensor[]){ __VA_ARGS__ }) / sizeof(og_tensor))
#define INTS_ATTR(...) { .present = 1, .n = sizeof(L(__VA_ARGS__)) / sizeof(int64_t), .ints = L(__VA_ARGS__) }
#define INT_ATTR(k) { .present = 1, .i = k, .f = k }
#define ABSENT (og_tensor){ .dtype = OG_NONE }
enum { MAX_ARGS = 8 };

static og_tensor T(og_dtype dtype, int rank, const int64_t *dims, const void *data)
{
	og_tensor t = { .dtype = dtype, .rank = rank, .data = (void *)(uintptr_t)data };
	for (int d = 0; d < rank; d++) t.dims[d] = dims[d];
	return t;
}
static og_tensor list1(int64_t n, const int64_t *data) { return T(OG_I64, 1, &n, data); }
#define LIST(...) list1(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), L(__VA_ARGS__))

static og_status infer(const og_op *op, const og_attr_value *attr, const og_tensor *in, int n_in, og_shape *out,
                       int n_out, int values_known)
{
	og_shape shapes[MAX_ARGS] = { { 0 } };
	og_infer c = { &host, op, attr, n_in, n_out, shapes, out, NULL };
	for (int k = 0; k < MAX_ARGS; k++) {
		const og_tensor *t = &in[k];
		shapes[k].rank = -1;
		if (k >= n_in || t->dtype == OG_NONE) continue;
		shapes[k].dtype = t->dtype;
		shapes[k].rank = t->rank;
		for (int d = 0; d < t->rank; d++) shapes[k].dims[d] = t->dims[d];
		shapes[k].value = values_known ? t : NULL;
	}
	for (int k = 0; k < n_out; k++) out[k].rank = -1;
	if (!op->shape) out[0] = shapes[0];
	return op->shape ? op->shape(&c) : OG_OK;
}

static size_t bytes_of(const og_tensor *t)
{
	size_t n = (size_t)og_count(t);
	return t->dtype == OG_I4 ? (n + 1) / 2 : n * og_dtype_bytes(t->dtype);
}

/* Runs the op; outputs are allocated at their exact size, so that sanitizers see every byte too many. */
static og_status run(const og_op *op, const og_attr_value *attr, const og_tensor *in, int n_in, og_tensor *out,
                     int n_out)
{
	og_shape shapes[MAX_ARGS];
	const og_tensor *ins[MAX_ARGS];
	og_tensor *outs[MAX_ARGS];
	og_call c = { &host, op, attr, n_in, n_out, ins, outs, NULL, NULL };
	og_status status = infer(op, attr, in, n_in, shapes, n_out, 1);
	if (status != OG_OK) return status;
	for (int k = 0; k < n_in; k++) ins[k] = in[k].dtype == OG_NONE ? NULL : &in[k];
	for (int k = 0; k < n_out; k++) {
		assert_true(shapes[k].rank >= 0);
		if (out[k].dtype == OG_NONE) out[k].dtype = shapes[k].dtype;
		out[k].rank = shapes[k].rank;
		for (int d = 0; d < out[k].rank; d++) assert_true((out[k].dims[d] = shapes[k].dims[d]) >= 0);
		out[k].data = malloc(bytes_of(&out[k]) + !bytes_of(&out[k]));
		assert_non_null(out[k].data);
		outs[k] = &out[k];
	}
	size_t workspace = op->workspace ? op->workspace(&c) : 0;
	c.workspace = malloc(workspace + 1);
	status = op->eval(&c);
	free(c.workspace);
	return status;
}

static void expect_equal(const og_tensor *got, const og_tensor *want)
{
	assert_int_equal(got->dtype, want->dtype);
	assert_int_equal(got->rank, want->rank);
	for (int d = 0; d < want->rank; d++) assert_int_equal(got->dims[d], want->dims[d]);
	if (og_count(want) > 0) assert_memory_equal(got->data, want->data, bytes_of(want));
}

static void expect_all(const og_op *op, const og_attr_value *attr, const og_tensor *in, int n_in, const og_tensor *want,
                       int n_want)
{
	og_tensor out[MAX_ARGS] = { { 0 } };
	for (int k = 0; k < n_want; k++) out[k].dtype = want[k].dtype;
	og_status status = run(op, attr, in, n_in, out, n_want);
	if (status != OG_OK) fail_msg("%s-%d: %s", op->name, op->since, sentence);
	for (int k = 0; k < n_want; k++) {
		expect_equal(&out[k], &want[k]);
		free(out[k].data);
	}
}

static void expect(const og_op *op, const og_attr_value *attr, const og_tensor *in, int n_in, og_tensor want)
{
	expect_all(op, attr, in, n_in, &want, 1);
}

static void expect_refused(const og_op *op, const og_attr_value *attr, const og_tensor *in, int n_in, og_status why)
{
	og_tensor out[MAX_ARGS] = { { 0 } };
	sentence[0] = '\0';
	out[0].dtype = out[1].dtype = in[0].dtype;
	assert_int_equal(run(op, attr, in, n_in, out, 1), why);
	assert_true(sentence[0] != '\0');
	free(out[0].data);
}

#define OPS(X) \
	X(identity) X(dropout_7) X(dropout_12) X(flatten) X(reshape_5) X(reshape_14) X(squeeze_1) X(squeeze_13) \
	X(unsqueeze_1) X(unsqueeze_13) X(transpose) X(concat) X(split_2) X(split_13) X(split_18) X(slice_1) X(slice_10) \
	X(pad_2) X(pad_11) X(pad_18) X(gather) X(gather_elements) X(gather_nd_12) X(scatter_elements_16) X(scatter_nd_16) \
	X(expand) X(tile) X(resize_10) X(resize_11) X(resize_18) X(upsample_7) X(upsample_9) X(cast_6) X(cast_19) \
	X(cast_24) X(cast_like_19) X(constant_1) X(constant_12) X(constant_of_shape) X(shape_1) X(shape_15) X(size) \
	X(one_hot) X(range) X(top_k_1) X(top_k_11) X(non_zero) X(depth_to_space_11) X(space_to_depth) X(trilu) \
	X(eye_like) X(reverse_sequence) X(compress)
#define X(symbol) extern const og_op og_op_##symbol;
OPS(X)
#undef X

static const float count24[24] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23
};
static og_tensor f32_2x3(void) { return T(OG_F32, DIMS(2, 3), count24); }
static og_tensor f32_2x3x4(void) { return T(OG_F32, DIMS(2, 3, 4), count24); }
static og_tensor no_numbers(void) { return T(OG_F32, DIMS(0), count24); }

/* ---- views ------------------------------------------------------------------------------------ */

static void views_keep_the_elements(void **state)
{
	(void)state;
	og_tensor x = f32_2x3x4();
	expect(&og_op_identity, NULL, IN(x), x);
	expect(&og_op_flatten, ATTR(INT_ATTR(2)), IN(x), T(OG_F32, DIMS(6, 4), count24));
	expect(&og_op_flatten, ATTR(INT_ATTR(-3)), IN(x), T(OG_F32, DIMS(1, 24), count24));
	expect(&og_op_reshape_5, NULL, IN(x, LIST(0, -1, 2)), T(OG_F32, DIMS(2, 6, 2), count24));
	expect(&og_op_reshape_14, ATTR(INT_ATTR(1)), IN(T(OG_F32, DIMS(3, 0), count24), LIST(0, 7)),
	       T(OG_F32, DIMS(0, 7), count24));
	expect(&og_op_reshape_5, NULL, IN(T(OG_F32, DIMS(1, 1), count24), list1(0, NULL)), T(OG_F32, SCALAR, count24));
	og_tensor y = T(OG_F32, DIMS(1, 3, 1, 2), count24);
	expect(&og_op_squeeze_1, ATTR(INTS_ATTR(-2)), IN(y), T(OG_F32, DIMS(1, 3, 2), count24));
	expect(&og_op_squeeze_13, NULL, IN(y), T(OG_F32, DIMS(3, 2), count24));
	expect(&og_op_squeeze_13, NULL, IN(y, LIST(0, 2)), T(OG_F32, DIMS(3, 2), count24));
	expect(&og_op_unsqueeze_1, ATTR(INTS_ATTR(0, 2)), IN(f32_2x3()), T(OG_F32, DIMS(1, 2, 1, 3), count24));
	expect(&og_op_unsqueeze_13, NULL, IN(f32_2x3(), LIST(-1, 1)), T(OG_F32, DIMS(2, 1, 3, 1), count24));
}

static void packed_elements_keep_their_bytes(void **state)
{
	(void)state;
	og_tensor in = T(OG_I4, DIMS(3), B(0x21, 0x03));
	expect(&og_op_reshape_5, NULL, IN(in, LIST(3, 1)), T(OG_I4, DIMS(3, 1), B(0x21, 0x03)));
	expect_refused(&og_op_transpose, ATTR({ 0 }), IN(in), OG_UNSUPPORTED);
	expect_refused(&og_op_identity, NULL, IN(T(OG_STRING, DIMS(1), count24)), OG_UNSUPPORTED);
}

static void views_refuse_what_does_not_fit(void **state)
{
	(void)state;
	og_tensor x = f32_2x3();
	expect_refused(&og_op_flatten, ATTR(INT_ATTR(3)), IN(x), OG_BAD_FILE);
	expect_refused(&og_op_reshape_5, NULL, IN(x, LIST(4, 2)), OG_BAD_FILE);
	expect_refused(&og_op_reshape_5, NULL, IN(x, LIST(-1, -1)), OG_BAD_FILE);
	expect_refused(&og_op_reshape_5, NULL, IN(x, LIST(-1, 4)), OG_BAD_FILE);
	expect_refused(&og_op_reshape_5, NULL, IN(x, LIST(2, 3, 0)), OG_BAD_FILE);
	expect_refused(&og_op_reshape_5, NULL, IN(x, LIST(INT64_MAX, 3, 2)), OG_BAD_FILE);
	expect_refused(&og_op_reshape_14, ATTR(INT_ATTR(1)), IN(x, LIST(0, -1)), OG_BAD_FILE);
	expect_refused(&og_op_reshape_5, NULL, IN(x, LIST(1, 1, 1, 1, 1, 1, 1, 2, 3)), OG_UNSUPPORTED);
	expect_refused(&og_op_squeeze_13, NULL, IN(x, LIST(0)), OG_BAD_FILE);
	expect_refused(&og_op_unsqueeze_13, NULL, IN(x, LIST(1, 1)), OG_BAD_FILE);
	expect_refused(&og_op_unsqueeze_13, NULL, IN(x, LIST(3)), OG_BAD_FILE);
}

static void dropout_does_nothing(void **state)
{
	(void)state;
	og_tensor x = T(OG_F32, DIMS(3), F(1, -2, 3)), off = T(OG_BOOL, SCALAR, B(0)), on = T(OG_BOOL, SCALAR, B(1));
	og_tensor half = T(OG_F32, SCALAR, F(0.5f)), never = T(OG_F32, SCALAR, F(0));
	og_tensor old[] = { x, T(OG_F32, DIMS(3), F(1, 1, 1)) }, kept[] = { x, T(OG_BOOL, DIMS(3), B(1, 1, 1)) };
	expect_all(&og_op_dropout_7, ATTR({ .f = 0.5f }), IN(x), old, 2);
	expect_all(&og_op_dropout_12, ATTR({ 0 }), IN(x, half, off), kept, 2);
	expect_all(&og_op_dropout_12, ATTR({ 0 }), IN(x, never, on), kept, 2);
	expect_refused(&og_op_dropout_12, ATTR({ 0 }), IN(x, half, on), OG_UNSUPPORTED);
	expect_refused(&og_op_dropout_12, ATTR({ 0 }), IN(x, ABSENT, on), OG_UNSUPPORTED);
}

/* ---- symbols ----------------------------------------------------------------------------------- */

static void expect_dims(const og_shape *s, int rank, const og_dim *dims)
{
	assert_int_equal(s->rank, rank);
	for (int d = 0; d < rank; d++) assert_int_equal(s->dims[d], dims[d]);
}

static void reshape_keeps_symbols(void **state)
{
	(void)state;
	og_shape y[1];
	og_tensor x = T(OG_F32, DIMS(N, 3, 4), NULL), two = T(OG_F32, DIMS(N, 4, M), NULL);
	og_tensor shapes[] = { LIST(0, -1), LIST(-1, 12), LIST(-1, 6), LIST(-1, 24), LIST(0, 4, -1) };
	og_shape in[2] = { { .dtype = OG_F32 }, { .dtype = OG_I64, .rank = 1 } };
	og_infer c = { &host, &og_op_reshape_5, NULL, 2, 1, in, y, NULL };
	in[0].rank = 3;
	memcpy(in[0].dims, x.dims, sizeof x.dims);
	n_expressions = 0;
	in[1].value = &shapes[0];
	assert_int_equal(og_op_reshape_5.shape(&c), OG_OK);
	expect_dims(y, DIMS(N, 12));
	in[1].value = &shapes[1];
	assert_int_equal(og_op_reshape_5.shape(&c), OG_OK);
	expect_dims(y, DIMS(N, 12));
	n_expressions = 0;
	in[1].value = &shapes[2];
	assert_int_equal(og_op_reshape_5.shape(&c), OG_OK);
	expect_dims(y, DIMS(EXPRESSION, 6));
	assert_true(expressions[0].op == OG_DIM_PROD && expressions[0].a == 2 && expressions[0].b == N);
	n_expressions = 0;
	in[1].value = &shapes[3];
	assert_int_equal(og_op_reshape_5.shape(&c), OG_OK);
	expect_dims(y, DIMS(EXPRESSION - 1, 24));
	assert_true(expressions[1].op == OG_DIM_FLOOR_DIV && expressions[1].a == EXPRESSION && expressions[1].b == 24);
	memcpy(in[0].dims, two.dims, sizeof two.dims);
	n_expressions = 0;
	in[1].value = &shapes[4];
	assert_int_equal(og_op_reshape_5.shape(&c), OG_OK);
	expect_dims(y, DIMS(N, 4, M));
	in[1].value = NULL;
	in[1].dims[0] = 2;
	assert_int_equal(og_op_reshape_5.shape(&c), OG_OK);
	expect_dims(y, DIMS(UNKNOWN, UNKNOWN));
}

static void rules_keep_symbols(void **state)
{
	(void)state;
	og_shape y[2];
	og_tensor x = T(OG_F32, DIMS(N, 4, 5), NULL), z = T(OG_F32, DIMS(N, 4, M), NULL);
	n_expressions = 0;
	assert_int_equal(infer(&og_op_flatten, ATTR(INT_ATTR(1)), IN(x), y, 1, 0), OG_OK);
	expect_dims(y, DIMS(N, 20));
	assert_int_equal(infer(&og_op_concat, ATTR(INT_ATTR(2)), IN(x, z), y, 1, 0), OG_OK);
	expect_dims(y, DIMS(N, 4, EXPRESSION));
	assert_true(expressions[0].op == OG_DIM_SUM && expressions[0].a == 5 && expressions[0].b == M);
	assert_int_equal(infer(&og_op_transpose, ATTR({ 0 }), IN(x), y, 1, 0), OG_OK);
	expect_dims(y, DIMS(5, 4, N));
	assert_int_equal(infer(&og_op_slice_10, NULL, IN(x, LIST(1), LIST(3), LIST(1)), y, 1, 1), OG_OK);
	expect_dims(y, DIMS(N, 2, 5));
	assert_int_equal(infer(&og_op_slice_10, NULL, IN(x, LIST(1), LIST(3), LIST(0)), y, 1, 1), OG_OK);
	expect_dims(y, DIMS(UNKNOWN, 4, 5));
	assert_int_equal(infer(&og_op_slice_10, NULL, IN(x, LIST(1), LIST(3)), y, 1, 0), OG_OK);
	expect_dims(y, DIMS(UNKNOWN, UNKNOWN, UNKNOWN));
	assert_int_equal(infer(&og_op_gather, ATTR(INT_ATTR(0)), IN(x, T(OG_I64, DIMS(M, 2), NULL)), y, 1, 0), OG_OK);
	expect_dims(y, DIMS(M, 2, 4, 5));
	assert_int_equal(infer(&og_op_split_18, ATTR(INT_ATTR(1), { 0 }), IN(x), y, 2, 0), OG_OK);
	expect_dims(&y[1], DIMS(N, 2, 5));
}

/* ---- regions ------------------------------------------------------------------------------------ */

static void transpose_permutes(void **state)
{
	(void)state;
	expect(&og_op_transpose, ATTR({ 0 }), IN(f32_2x3()), T(OG_F32, DIMS(3, 2), F(0, 3, 1, 4, 2, 5)));
	expect(&og_op_transpose, ATTR(INTS_ATTR(1, 0, 2)), IN(f32_2x3x4()),
	       T(OG_F32, DIMS(3, 2, 4),
	         F(0, 1, 2, 3, 12, 13, 14, 15, 4, 5, 6, 7, 16, 17, 18, 19, 8, 9, 10, 11, 20, 21, 22, 23)));
	expect(&og_op_transpose, ATTR(INTS_ATTR(1, 0)), IN(T(OG_U8, DIMS(2, 3), B(1, 2, 3, 4, 5, 6))),
	       T(OG_U8, DIMS(3, 2), B(1, 4, 2, 5, 3, 6)));
	expect(&og_op_transpose, ATTR({ 0 }), IN(T(OG_F32, DIMS(0, 3), count24)), T(OG_F32, DIMS(3, 0), count24));
	expect_refused(&og_op_transpose, ATTR(INTS_ATTR(0, 0)), IN(f32_2x3()), OG_BAD_FILE);
	expect_refused(&og_op_transpose, ATTR(INTS_ATTR(0, 2)), IN(f32_2x3()), OG_BAD_FILE);
	expect_refused(&og_op_transpose, ATTR(INTS_ATTR(0)), IN(f32_2x3()), OG_BAD_FILE);
}

/* Every element size and odd sizes around the tiles. */
static void transpose_of_large_planes(void **state)
{
	static const og_dtype types[] = { OG_U8, OG_U16, OG_F32, OG_F64, OG_C128 };
	(void)state;
	for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
		int64_t rows = 35, columns = 50;
		size_t size = og_dtype_bytes(types[t]);
		uint8_t *data = malloc((size_t)(rows * columns) * size);
		assert_non_null(data);
		for (size_t k = 0; k < (size_t)(rows * columns) * size; k++) data[k] = (uint8_t)(k * 31 >> 3);
		og_tensor in = T(types[t], DIMS(rows, columns), data), out = { .dtype = types[t] };
		assert_int_equal(run(&og_op_transpose, ATTR({ 0 }), &in, 1, &out, 1), OG_OK);
		for (int64_t i = 0; i < rows; i++)
			for (int64_t j = 0; j < columns; j++)
				assert_memory_equal((uint8_t *)out.data + (size_t)(j * rows + i) * size,
				                    data + (size_t)(i * columns + j) * size, size);
		free(out.data);
		free(data);
	}
}

static void concat_and_split(void **state)
{
	(void)state;
	og_tensor a = T(OG_F32, DIMS(2, 1), F(10, 20)), b = f32_2x3(), c = T(OG_F32, DIMS(2, 0), count24);
	og_tensor all = T(OG_F32, DIMS(2, 4), F(10, 0, 1, 2, 20, 3, 4, 5));
	og_tensor parts[] = { a, b, c };
	expect(&og_op_concat, ATTR(INT_ATTR(-1)), IN(a, b, c), all);
	expect_all(&og_op_split_13, ATTR(INT_ATTR(1)), IN(all, LIST(1, 3, 0)), parts, 3);
	expect_all(&og_op_split_2, ATTR(INT_ATTR(1), INTS_ATTR(1, 3, 0)), IN(all), parts, 3);
	og_tensor five = T(OG_F32, DIMS(5), count24);
	og_tensor uneven[] = { T(OG_F32, DIMS(2), F(0, 1)), T(OG_F32, DIMS(2), F(2, 3)), T(OG_F32, DIMS(1), F(4)) };
	expect_all(&og_op_split_18, ATTR(INT_ATTR(0), INT_ATTR(3)), IN(five), uneven, 3);
	expect_refused(&og_op_concat, ATTR(INT_ATTR(0)), IN(a, b), OG_BAD_FILE);
	expect_refused(&og_op_concat, ATTR(INT_ATTR(2)), IN(b, b), OG_BAD_FILE);
	expect_refused(&og_op_split_13, ATTR(INT_ATTR(0)), IN(five, LIST(4)), OG_BAD_FILE);
	expect_refused(&og_op_split_13, ATTR(INT_ATTR(0)), IN(five, LIST(2, 3)), OG_BAD_FILE);
	expect_refused(&og_op_split_13, ATTR(INT_ATTR(0)), IN(five, LIST(6)), OG_BAD_FILE);
}

static void slice_takes_ranges(void **state)
{
	(void)state;
	og_tensor x = f32_2x3x4();
	expect(&og_op_slice_1, ATTR(INTS_ATTR(1, -2), INTS_ATTR(3, 1000), INTS_ATTR(1, 2)), IN(x),
	       T(OG_F32, DIMS(2, 2, 2), F(6, 7, 10, 11, 18, 19, 22, 23)));
	expect(&og_op_slice_10, NULL, IN(x, LIST(-1, 3), LIST(INT64_MIN, 0), LIST(1, -1), LIST(-2, -1)),
	       T(OG_F32, DIMS(2, 2, 3), F(11, 10, 9, 3, 2, 1, 23, 22, 21, 15, 14, 13)));
	expect(&og_op_slice_10, NULL, IN(x, LIST(0), LIST(INT64_MAX)), x);
	expect(&og_op_slice_10, NULL, IN(x, LIST(1), LIST(1)), T(OG_F32, DIMS(0, 3, 4), count24));
	expect(&og_op_slice_10, NULL, IN(x, LIST(0), LIST(4), LIST(2), LIST(3)),
	       T(OG_F32, DIMS(2, 3, 2), F(0, 3, 4, 7, 8, 11, 12, 15, 16, 19, 20, 23)));
	expect_refused(&og_op_slice_10, NULL, IN(x, LIST(0), LIST(1), LIST(0), LIST(0)), OG_BAD_FILE);
	expect_refused(&og_op_slice_10, NULL, IN(x, LIST(0), LIST(1), LIST(3)), OG_BAD_FILE);
	expect_refused(&og_op_slice_10, NULL, IN(x, LIST(0, 1), LIST(1)), OG_BAD_FILE);
}

static void pad_puts_and_takes(void **state)
{
	(void)state;
	enum { CONSTANT, REFLECT, EDGE, WRAP };
	og_tensor x = f32_2x3(), value = T(OG_F32, SCALAR, F(9)), row = T(OG_F32, DIMS(3), F(1, 2, 3));
	expect(&og_op_pad_2, ATTR(INT_ATTR(CONSTANT), INTS_ATTR(1, 0, 0, 1), { .f = 7 }), IN(x),
	       T(OG_F32, DIMS(3, 4), F(7, 7, 7, 7, 0, 1, 2, 7, 3, 4, 5, 7)));
	expect(&og_op_pad_11, ATTR(INT_ATTR(CONSTANT)), IN(x, LIST(0, -1, 0, 2), value),
	       T(OG_F32, DIMS(2, 4), F(1, 2, 9, 9, 4, 5, 9, 9)));
	expect(&og_op_pad_11, ATTR(INT_ATTR(CONSTANT)), IN(row, LIST(4, -4)), T(OG_F32, DIMS(3), F(0, 0, 0)));
	expect(&og_op_pad_11, ATTR(INT_ATTR(REFLECT)), IN(row, LIST(2, 3)), T(OG_F32, DIMS(8), F(3, 2, 1, 2, 3, 2, 1, 2)));
	expect(&og_op_pad_11, ATTR(INT_ATTR(EDGE)), IN(row, LIST(2, 1)), T(OG_F32, DIMS(6), F(1, 1, 1, 2, 3, 3)));
	expect(&og_op_pad_18, ATTR(INT_ATTR(WRAP)), IN(row, LIST(4, 1)), T(OG_F32, DIMS(8), F(3, 1, 2, 3, 1, 2, 3, 1)));
	expect(&og_op_pad_18, ATTR(INT_ATTR(EDGE)), IN(x, LIST(1, 0), ABSENT, LIST(-2)),
	       T(OG_F32, DIMS(3, 3), F(0, 1, 2, 0, 1, 2, 3, 4, 5)));
	expect(&og_op_pad_11, ATTR(INT_ATTR(CONSTANT)), IN(T(OG_F32, DIMS(0), count24), LIST(1, 1), value),
	       T(OG_F32, DIMS(2), F(9, 9)));
	expect_refused(&og_op_pad_11, ATTR(INT_ATTR(EDGE)), IN(T(OG_F32, DIMS(0), count24), LIST(1, 1)), OG_BAD_FILE);
	expect_refused(&og_op_pad_11, ATTR(INT_ATTR(CONSTANT)), IN(row, LIST(-2, -2)), OG_BAD_FILE);
	expect_refused(&og_op_pad_11, ATTR(INT_ATTR(CONSTANT)), IN(row, LIST(1)), OG_BAD_FILE);
	expect_refused(&og_op_pad_11, ATTR(INT_ATTR(CONSTANT)), IN(row, LIST(INT64_MAX, INT64_MAX)), OG_BAD_FILE);
}

static void expand_and_tile(void **state)
{
	(void)state;
	og_tensor x = T(OG_F32, DIMS(2, 1), F(1, 2)), scalar = T(OG_I64, SCALAR, L(5));
	expect(&og_op_expand, NULL, IN(x, LIST(2, 1, 3)), T(OG_F32, DIMS(2, 2, 3), F(1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2)));
	expect(&og_op_expand, NULL, IN(x, LIST(1)), x);
	expect(&og_op_expand, NULL, IN(scalar, LIST(3)), T(OG_I64, DIMS(3), L(5, 5, 5)));
	expect(&og_op_expand, NULL, IN(x, LIST(2, 0)), T(OG_F32, DIMS(2, 0), count24));
	expect_refused(&og_op_expand, NULL, IN(x, LIST(3, 3)), OG_BAD_FILE);
	expect(&og_op_tile, NULL, IN(f32_2x3(), LIST(2, 2)),
	       T(OG_F32, DIMS(4, 6), F(0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5, 0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5)));
	expect(&og_op_tile, NULL, IN(f32_2x3(), LIST(1, 0)), T(OG_F32, DIMS(2, 0), count24));
	expect_refused(&og_op_tile, NULL, IN(f32_2x3(), LIST(2)), OG_BAD_FILE);
	expect_refused(&og_op_tile, NULL, IN(f32_2x3(), LIST(INT64_MAX, 1)), OG_BAD_FILE);
}

static void depth_and_space(void **state)
{
	(void)state;
	og_tensor depth = T(OG_F32, DIMS(1, 8, 1, 2), F(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
	og_tensor dcr = T(OG_F32, DIMS(1, 2, 2, 4), F(0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15));
	expect(&og_op_depth_to_space_11, ATTR(INT_ATTR(2), INT_ATTR(0)), IN(depth), dcr);
	expect(&og_op_space_to_depth, ATTR(INT_ATTR(2)), IN(dcr), depth);
	expect(&og_op_depth_to_space_11, ATTR(INT_ATTR(2), INT_ATTR(1)), IN(depth),
	       T(OG_F32, DIMS(1, 2, 2, 4), F(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15)));
	expect_refused(&og_op_depth_to_space_11, ATTR(INT_ATTR(3), { 0 }), IN(depth), OG_BAD_FILE);
	expect_refused(&og_op_depth_to_space_11, ATTR(INT_ATTR(0), { 0 }), IN(depth), OG_BAD_FILE);
	expect_refused(&og_op_space_to_depth, ATTR(INT_ATTR(2)), IN(depth), OG_BAD_FILE);
}

static void triangles_and_sequences(void **state)
{
	(void)state;
	og_tensor x = f32_2x3(), one = T(OG_I64, SCALAR, L(1)), far = T(OG_I64, SCALAR, L(INT64_MIN));
	expect(&og_op_trilu, ATTR(INT_ATTR(1)), IN(x), T(OG_F32, DIMS(2, 3), F(0, 1, 2, 0, 4, 5)));
	expect(&og_op_trilu, ATTR(INT_ATTR(0)), IN(x, one), T(OG_F32, DIMS(2, 3), F(0, 1, 0, 3, 4, 5)));
	expect(&og_op_trilu, ATTR(INT_ATTR(1)), IN(x, far), x);
	expect_refused(&og_op_trilu, ATTR(INT_ATTR(1)), IN(T(OG_F32, DIMS(3), count24)), OG_BAD_FILE);
	expect(&og_op_reverse_sequence, ATTR(INT_ATTR(0), INT_ATTR(1)), IN(x, LIST(2, 3)),
	       T(OG_F32, DIMS(2, 3), F(1, 0, 2, 5, 4, 3)));
	expect(&og_op_reverse_sequence, ATTR(INT_ATTR(1), INT_ATTR(0)), IN(x, LIST(2, 1, 2)),
	       T(OG_F32, DIMS(2, 3), F(3, 1, 5, 0, 4, 2)));
	expect_refused(&og_op_reverse_sequence, ATTR(INT_ATTR(0), INT_ATTR(1)), IN(x, LIST(2, 4)), OG_BAD_FILE);
	expect(&og_op_eye_like, ATTR(INT_ATTR(OG_I64), INT_ATTR(-1)), IN(x), T(OG_I64, DIMS(2, 3), L(0, 0, 0, 1, 0, 0)));
	expect(&og_op_eye_like, ATTR({ 0 }, INT_ATTR(1)), IN(x), T(OG_F32, DIMS(2, 3), F(0, 1, 0, 0, 0, 1)));
}

/* ---- indices ------------------------------------------------------------------------------------ */

static void gather_reads_by_index(void **state)
{
	(void)state;
	og_tensor x = f32_2x3(), narrow = T(OG_I32, DIMS(2), ((int32_t[]){ 2, -3 }));
	expect(&og_op_gather, ATTR(INT_ATTR(1)), IN(x, narrow), T(OG_F32, DIMS(2, 2), F(2, 0, 5, 3)));
	expect(&og_op_gather, ATTR(INT_ATTR(0)), IN(x, T(OG_I64, SCALAR, L(-1))), T(OG_F32, DIMS(3), F(3, 4, 5)));
	expect(&og_op_gather, ATTR(INT_ATTR(0)), IN(x, list1(0, NULL)), T(OG_F32, DIMS(0, 3), count24));
	expect_refused(&og_op_gather, ATTR(INT_ATTR(0)), IN(x, LIST(2)), OG_BAD_FILE);
	assert_non_null(strstr(sentence, "index 2 "));
	expect_refused(&og_op_gather, ATTR(INT_ATTR(1)), IN(x, LIST(-4)), OG_BAD_FILE);
	assert_non_null(strstr(sentence, "index -4 "));
	expect(&og_op_gather_elements, ATTR(INT_ATTR(0)), IN(x, T(OG_I64, DIMS(1, 3), L(1, 0, -1))),
	       T(OG_F32, DIMS(1, 3), F(3, 1, 5)));
	expect(&og_op_gather_elements, ATTR(INT_ATTR(1)), IN(x, T(OG_I64, DIMS(2, 2), L(2, 2, 0, 1))),
	       T(OG_F32, DIMS(2, 2), F(2, 2, 3, 4)));
	expect_refused(&og_op_gather_elements, ATTR(INT_ATTR(1)), IN(x, T(OG_I64, DIMS(3, 1), L(0, 0, 0))), OG_BAD_FILE);
	expect(&og_op_gather_nd_12, ATTR({ 0 }), IN(x, T(OG_I64, DIMS(2, 2), L(1, 2, 0, -3))), T(OG_F32, DIMS(2), F(5, 0)));
	expect(&og_op_gather_nd_12, ATTR({ 0 }), IN(x, T(OG_I64, DIMS(1, 1), L(1))), T(OG_F32, DIMS(1, 3), F(3, 4, 5)));
	expect(&og_op_gather_nd_12, ATTR(INT_ATTR(1)), IN(x, T(OG_I64, DIMS(2, 1), L(2, 0))), T(OG_F32, DIMS(2), F(2, 3)));
	expect_refused(&og_op_gather_nd_12, ATTR({ 0 }), IN(x, T(OG_I64, DIMS(1, 2), L(0, 3))), OG_BAD_FILE);
	expect_refused(&og_op_gather_nd_12, ATTR({ 0 }), IN(x, T(OG_I64, DIMS(1, 3), L(0, 0, 0))), OG_BAD_FILE);
}

static void scatter_writes_by_index(void **state)
{
	(void)state;
	enum { NONE, ADD, MUL, MAX, MIN };
	og_tensor x = f32_2x3(), at = T(OG_I64, DIMS(1, 3), L(1, 1, 0)), u = T(OG_F32, DIMS(1, 3), F(10, 20, 30));
	expect(&og_op_scatter_elements_16, ATTR(INT_ATTR(0), INT_ATTR(NONE)), IN(x, at, u),
	       T(OG_F32, DIMS(2, 3), F(0, 1, 30, 10, 20, 5)));
	og_tensor row = T(OG_F32, DIMS(1, 3), F(1, 2, 3)), same = T(OG_I64, DIMS(1, 2), L(0, 0));
	og_tensor two = T(OG_F32, DIMS(1, 2), F(5, 7));
	expect(&og_op_scatter_elements_16, ATTR(INT_ATTR(1), INT_ATTR(ADD)), IN(row, same, two),
	       T(OG_F32, DIMS(1, 3), F(13, 2, 3)));
	expect(&og_op_scatter_elements_16, ATTR(INT_ATTR(1), INT_ATTR(MUL)), IN(row, same, two),
	       T(OG_F32, DIMS(1, 3), F(35, 2, 3)));
	og_tensor big = T(OG_U64, DIMS(1), L(-1)), zero = T(OG_I64, DIMS(1), L(0)), five = T(OG_U64, DIMS(1), L(5));
	expect(&og_op_scatter_elements_16, ATTR(INT_ATTR(0), INT_ATTR(MAX)), IN(big, zero, five), big);
	expect(&og_op_scatter_elements_16, ATTR(INT_ATTR(0), INT_ATTR(MIN)), IN(big, zero, five), five);
	expect_refused(&og_op_scatter_elements_16, ATTR(INT_ATTR(0), INT_ATTR(NONE)), IN(x, at, two), OG_BAD_FILE);
	expect(&og_op_scatter_nd_16, ATTR(INT_ATTR(NONE)), IN(x, T(OG_I64, DIMS(1, 1), L(-1)), row),
	       T(OG_F32, DIMS(2, 3), F(0, 1, 2, 1, 2, 3)));
	expect(&og_op_scatter_nd_16, ATTR(INT_ATTR(ADD)),
	       IN(x, T(OG_I64, DIMS(2, 2), L(0, 1, 0, 1)), T(OG_F32, DIMS(2), F(5, 7))),
	       T(OG_F32, DIMS(2, 3), F(0, 13, 2, 3, 4, 5)));
	expect_refused(&og_op_scatter_nd_16, ATTR(INT_ATTR(NONE)), IN(x, T(OG_I64, DIMS(1, 1), L(2)), row), OG_BAD_FILE);
}

static void selections(void **state)
{
	(void)state;
	og_tensor x = T(OG_F32, DIMS(2, 3), F(0, 5, 0, -0.0f, 7, 1)), k = LIST(2);
	expect(&og_op_non_zero, NULL, IN(x), T(OG_I64, DIMS(2, 3), L(0, 1, 1, 1, 1, 2)));
	expect(&og_op_non_zero, NULL, IN(T(OG_BOOL, DIMS(3), B(0, 0, 0))), T(OG_I64, DIMS(1, 0), count24));
	expect(&og_op_compress, ATTR(INT_ATTR(1)), IN(f32_2x3(), T(OG_BOOL, DIMS(2), B(0, 1))),
	       T(OG_F32, DIMS(2, 1), F(1, 4)));
	expect(&og_op_compress, ATTR({ 0 }), IN(f32_2x3(), T(OG_BOOL, DIMS(5), B(1, 0, 0, 1, 1))),
	       T(OG_F32, DIMS(3), F(0, 3, 4)));
	expect_refused(&og_op_compress, ATTR(INT_ATTR(0)), IN(f32_2x3(), T(OG_BOOL, DIMS(3), B(1, 1, 1))), OG_BAD_FILE);
	og_tensor scores = T(OG_F32, DIMS(2, 4), F(1, 3, 3, 2, 9, -1, 9, (float)NAN));
	og_tensor best[] = { T(OG_F32, DIMS(2, 2), F(3, 3, (float)NAN, 9)), T(OG_I64, DIMS(2, 2), L(1, 2, 3, 0)) };
	og_tensor least[] = { T(OG_F32, DIMS(2, 2), F(1, 2, -1, 9)), T(OG_I64, DIMS(2, 2), L(0, 3, 1, 0)) };
	expect_all(&og_op_top_k_11, ATTR(INT_ATTR(-1), INT_ATTR(1), INT_ATTR(1)), IN(scores, k), best, 2);
	expect_all(&og_op_top_k_11, ATTR(INT_ATTR(1), INT_ATTR(0), INT_ATTR(1)), IN(scores, k), least, 2);
	og_tensor column[] = { T(OG_I64, DIMS(1, 2), L(4, 9)), T(OG_I64, DIMS(1, 2), L(1, 0)) };
	expect_all(&og_op_top_k_1, ATTR(INT_ATTR(1), INT_ATTR(0)), IN(T(OG_I64, DIMS(2, 2), L(3, 9, 4, 8))), column, 2);
	expect_refused(&og_op_top_k_11, ATTR(INT_ATTR(0), INT_ATTR(1), INT_ATTR(1)), IN(scores, LIST(3)), OG_BAD_FILE);
	og_tensor hot = T(OG_I64, DIMS(2), L(-1, 5)), depth = T(OG_I64, SCALAR, L(3)), values = T(OG_F32, DIMS(2), F(0, 1));
	expect(&og_op_one_hot, ATTR(INT_ATTR(-1)), IN(hot, depth, values), T(OG_F32, DIMS(2, 3), F(0, 0, 1, 0, 0, 0)));
	expect(&og_op_one_hot, ATTR(INT_ATTR(0)), IN(hot, depth, values), T(OG_F32, DIMS(3, 2), F(0, 0, 0, 0, 1, 0)));
	expect_refused(&og_op_one_hot, ATTR(INT_ATTR(-1)), IN(hot, T(OG_I64, SCALAR, L(-3)), values), OG_BAD_FILE);
}

/* ---- made from nothing -------------------------------------------------------------------------- */

static void constants(void **state)
{
	(void)state;
	static const unsigned char unaligned[9] = { 0, 0, 0, 128, 63, 0, 0, 0, 64 };   /* 1 and 2, from byte 1 on */
	og_tensor value = T(OG_F32, DIMS(2), unaligned + 1), seven = T(OG_I64, DIMS(1), L(7));
	const og_attr_value none = { 0 };
	expect(&og_op_constant_1, ATTR({ .present = 1, .t = &value }), NULL, 0, T(OG_F32, DIMS(2), F(1, 2)));
	expect(&og_op_constant_12, ATTR(none, { .present = 1, .f = 2.5f }, none, none, none), NULL, 0,
	       T(OG_F32, SCALAR, F(2.5f)));
	expect(&og_op_constant_12, ATTR(none, none, none, none, INTS_ATTR(4, 5)), NULL, 0, T(OG_I64, DIMS(2), L(4, 5)));
	expect_refused(&og_op_constant_12, ATTR(none, none, none, none, none), IN(ABSENT), OG_UNSUPPORTED);
	expect(&og_op_constant_of_shape, ATTR(none), IN(LIST(2, 1)), T(OG_F32, DIMS(2, 1), F(0, 0)));
	expect(&og_op_constant_of_shape, ATTR({ .present = 1, .t = &seven }), IN(LIST(3)), T(OG_I64, DIMS(3), L(7, 7, 7)));
	expect(&og_op_constant_of_shape, ATTR({ .present = 1, .t = &seven }), IN(list1(0, NULL)), T(OG_I64, SCALAR, L(7)));
	expect_refused(&og_op_constant_of_shape, ATTR(none), IN(LIST(-1)), OG_BAD_FILE);
	og_tensor x = f32_2x3x4();
	expect(&og_op_shape_1, NULL, IN(x), T(OG_I64, DIMS(3), L(2, 3, 4)));
	expect(&og_op_shape_15, ATTR(INT_ATTR(-2), { 0 }), IN(x), T(OG_I64, DIMS(2), L(3, 4)));
	expect(&og_op_shape_15, ATTR(INT_ATTR(1), INT_ATTR(-1)), IN(x), T(OG_I64, DIMS(1), L(3)));
	expect(&og_op_shape_15, ATTR(INT_ATTR(5), INT_ATTR(-9)), IN(x), T(OG_I64, DIMS(0), L(0)));
	expect(&og_op_size, NULL, IN(x), T(OG_I64, SCALAR, L(24)));
}

static og_tensor i64(const int64_t *x) { return T(OG_I64, SCALAR, x); }

static void ranges(void **state)
{
	(void)state;
	expect(&og_op_range, NULL, IN(i64(L(10)), i64(L(4)), i64(L(-3))), T(OG_I64, DIMS(2), L(10, 7)));
	expect(&og_op_range, NULL, IN(i64(L(INT64_MAX - 1)), i64(L(INT64_MAX)), i64(L(5))),
	       T(OG_I64, DIMS(1), L(INT64_MAX - 1)));
	expect(&og_op_range, NULL, IN(i64(L(3)), i64(L(3)), i64(L(1))), T(OG_I64, DIMS(0), L(0)));
	expect(&og_op_range, NULL, IN(T(OG_F32, SCALAR, F(1)), T(OG_F32, SCALAR, F(2)), T(OG_F32, SCALAR, F(0.5f))),
	       T(OG_F32, DIMS(2), F(1, 1.5f)));
	expect_refused(&og_op_range, NULL, IN(i64(L(0)), i64(L(5)), i64(L(0))), OG_BAD_FILE);
	expect_refused(&og_op_range, NULL, IN(LIST(0, 1), i64(L(5)), i64(L(1))), OG_BAD_FILE);
}

/* ---- casts -------------------------------------------------------------------------------------- */

static void casts_between_whole_types(void **state)
{
	(void)state;
	og_tensor x = T(OG_F32, DIMS(6), F(1.9f, -1.9f, 300, -300, (float)NAN, (float)INFINITY));
	expect(&og_op_cast_6, ATTR(INT_ATTR(OG_I8)), IN(x), T(OG_I8, DIMS(6), ((int8_t[]){ 1, -1, 127, -128, 0, 127 })));
	expect(&og_op_cast_6, ATTR(INT_ATTR(OG_U8)), IN(x), T(OG_U8, DIMS(6), B(1, 0, 255, 0, 0, 255)));
	expect(&og_op_cast_6, ATTR(INT_ATTR(OG_I64)), IN(x), T(OG_I64, DIMS(6), L(1, -1, 300, -300, 0, INT64_MAX)));
	expect(&og_op_cast_6, ATTR(INT_ATTR(OG_BOOL)), IN(x), T(OG_BOOL, DIMS(6), B(1, 1, 1, 1, 1, 1)));
	og_tensor ints = T(OG_I64, DIMS(4), L(-1, 256, 0, INT64_MAX));
	expect(&og_op_cast_6, ATTR(INT_ATTR(OG_U8)), IN(ints), T(OG_U8, DIMS(4), B(255, 0, 0, 255)));
	expect(&og_op_cast_6, ATTR(INT_ATTR(OG_BOOL)), IN(ints), T(OG_BOOL, DIMS(4), B(1, 1, 0, 1)));
	expect(&og_op_cast_6, ATTR(INT_ATTR(OG_F32)), IN(ints), T(OG_F32, DIMS(4), F(-1, 256, 0, 0x1p63f)));
	expect(&og_op_cast_6, ATTR(INT_ATTR(OG_F32)), IN(T(OG_U64, DIMS(1), L(-1))), T(OG_F32, DIMS(1), F(0x1p64f)));
	expect(&og_op_cast_like_19, ATTR(INT_ATTR(1)), IN(T(OG_BOOL, DIMS(2), B(0, 1)), no_numbers()),
	       T(OG_F32, DIMS(2), F(0, 1)));
	expect_refused(&og_op_cast_6, ATTR(INT_ATTR(OG_STRING)), IN(x), OG_UNSUPPORTED);
	expect_refused(&og_op_cast_6, ATTR(INT_ATTR(99)), IN(x), OG_BAD_FILE);
	expect_refused(&og_op_cast_6, ATTR(INT_ATTR(OG_F32)), IN(T(OG_STRING, DIMS(1), count24)), OG_UNSUPPORTED);
}

static void casts_to_narrow_floats(void **state)
{
	(void)state;
	og_tensor x = T(OG_F32, DIMS(7), F(1, 65519, 65520, 0x1p-24f, 0x1.8p-25f, -0.0f, 2049));
	uint16_t halves[] = { 0x3c00, 0x7bff, 0x7c00, 0x0001, 0x0001, 0x8000, 0x6800 };
	expect(&og_op_cast_6, ATTR(INT_ATTR(OG_F16)), IN(x), T(OG_F16, DIMS(7), halves));
	expect(&og_op_cast_6, ATTR(INT_ATTR(OG_F32)),
	       IN(T(OG_F16, DIMS(4), ((uint16_t[]){ 0x3555, 0x0001, 0xfc00, 0x8000 }))),
	       T(OG_F32, DIMS(4), F(0x1.554p-2f, 0x1p-24f, -(float)INFINITY, -0.0f)));
	expect(&og_op_cast_6, ATTR(INT_ATTR(OG_BF16)), IN(T(OG_F32, DIMS(3), F(0x1.01p0f, 0x1.03p0f, (float)NAN))),
	       T(OG_BF16, DIMS(3), ((uint16_t[]){ 0x3f80, 0x3f82, 0x7fc0 })));
	og_tensor far = T(OG_F32, DIMS(2), F(1000, -(float)INFINITY));
	expect(&og_op_cast_19, ATTR(INT_ATTR(OG_F8E4M3FN), INT_ATTR(1)), IN(far), T(OG_F8E4M3FN, DIMS(2), B(0x7e, 0xfe)));
	expect(&og_op_cast_19, ATTR(INT_ATTR(OG_F8E4M3FN), INT_ATTR(0)), IN(far), T(OG_F8E4M3FN, DIMS(2), B(0x7f, 0xff)));
	og_tensor powers = T(OG_F32, DIMS(3), F(1, 1.25f, 1.5f));
	expect(&og_op_cast_24, ATTR(INT_ATTR(OG_F8E8M0), INT_ATTR(1), INT_ATTR(0)), IN(powers),
	       T(OG_F8E8M0, DIMS(3), B(127, 128, 128)));
	expect(&og_op_cast_24, ATTR(INT_ATTR(OG_F8E8M0), INT_ATTR(1), INT_ATTR(1)), IN(powers),
	       T(OG_F8E8M0, DIMS(3), B(127, 127, 127)));
	expect(&og_op_cast_24, ATTR(INT_ATTR(OG_F8E8M0), INT_ATTR(1), INT_ATTR(2)), IN(powers),
	       T(OG_F8E8M0, DIMS(3), B(127, 127, 128)));
}

/* Every half through float32 and back. */
static void halves_survive_a_round_trip(void **state)
{
	(void)state;
	enum { HALVES = 65536 };
	uint16_t *all = malloc(HALVES * sizeof *all);
	assert_non_null(all);
	for (int k = 0; k < HALVES; k++) all[k] = (uint16_t)k;
	static const og_dtype types[] = { OG_F16, OG_BF16 };
	for (int t = 0; t < 2; t++) {
		og_tensor in = T(types[t], DIMS(HALVES), all), floats = { .dtype = OG_F32 }, back = { .dtype = types[t] };
		assert_int_equal(run(&og_op_cast_6, ATTR(INT_ATTR(OG_F32)), &in, 1, &floats, 1), OG_OK);
		assert_int_equal(run(&og_op_cast_6, ATTR(INT_ATTR(types[t])), &floats, 1, &back, 1), OG_OK);
		for (int k = 0; k < HALVES; k++)
			if (!isnan(((float *)floats.data)[k])) assert_int_equal(((uint16_t *)back.data)[k], k);
			else assert_int_equal(((uint16_t *)back.data)[k] & 0x7fff, t == 0 ? 0x7e00 : 0x7fc0);
		free(floats.data);
		free(back.data);
	}
	free(all);
}

/* ---- resize ------------------------------------------------------------------------------------- */

enum { NEAREST, LINEAR, CUBIC };
enum { HALF_PIXEL, SYMMETRIC, PYTORCH, CORNERS, ASYMMETRIC, TF_HALF_PIXEL, CROP };
#define RESIZE_ATTRS(mode, transform, rounding, ...) \
	ATTR(INT_ATTR(mode), INT_ATTR(transform), INT_ATTR(rounding), { .f = -0.75f }, { 0 }, { .f = 5 }, __VA_ARGS__)
static og_tensor scales1(int64_t n, const float *data) { return T(OG_F32, 1, &n, data); }
#define SCALES(...) scales1(sizeof(F(__VA_ARGS__)) / sizeof(float), F(__VA_ARGS__))

static void resize_nearest(void **state)
{
	(void)state;
	enum { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL };
	og_tensor x = T(OG_U8, DIMS(1, 2, 2), B(1, 2, 3, 4)), row = T(OG_F32, DIMS(4), F(1, 2, 3, 4));
	expect(&og_op_resize_10, ATTR(INT_ATTR(NEAREST)), IN(x, SCALES(1, 2, 1.5f)),
	       T(OG_U8, DIMS(1, 4, 3), B(1, 1, 2, 1, 1, 2, 3, 3, 4, 3, 3, 4)));
	expect(&og_op_upsample_7, ATTR(INT_ATTR(NEAREST), { .present = 1, .n = 3, .floats = F(1, 1, 2) }), IN(x),
	       T(OG_U8, DIMS(1, 2, 4), B(1, 1, 2, 2, 3, 3, 4, 4)));
	expect(&og_op_upsample_9, ATTR(INT_ATTR(LINEAR)), IN(row, SCALES(2)),
	       T(OG_F32, DIMS(8), F(1, 1.5f, 2, 2.5f, 3, 3.5f, 4, 4)));
	expect(&og_op_resize_11, RESIZE_ATTRS(NEAREST, HALF_PIXEL, PREFER_FLOOR, { 0 }),
	       IN(row, no_numbers(), SCALES(0.5f)), T(OG_F32, DIMS(2), F(1, 3)));
	expect(&og_op_resize_11, RESIZE_ATTRS(NEAREST, HALF_PIXEL, PREFER_CEIL, { 0 }), IN(row, no_numbers(), SCALES(0.5f)),
	       T(OG_F32, DIMS(2), F(2, 4)));
	expect(&og_op_resize_11, RESIZE_ATTRS(NEAREST, CORNERS, FLOOR, { 0 }), IN(row, ABSENT, ABSENT, LIST(3)),
	       T(OG_F32, DIMS(3), F(1, 2, 4)));
	expect(&og_op_resize_11, RESIZE_ATTRS(NEAREST, TF_HALF_PIXEL, FLOOR, { 0 }), IN(row, ABSENT, ABSENT, LIST(2)),
	       T(OG_F32, DIMS(2), F(2, 4)));
	expect(&og_op_resize_11, RESIZE_ATTRS(NEAREST, CROP, PREFER_FLOOR, { 0 }), IN(row, SCALES(-1, 1), ABSENT, LIST(3)),
	       T(OG_F32, DIMS(3), F(5, 1, 4)));
	expect_refused(&og_op_resize_11, RESIZE_ATTRS(NEAREST, CROP, FLOOR, { 0 }), IN(row, ABSENT, ABSENT, LIST(3)),
	               OG_BAD_FILE);
	expect_refused(&og_op_resize_11, RESIZE_ATTRS(NEAREST, ASYMMETRIC, FLOOR, { 0 }), IN(row), OG_BAD_FILE);
	expect_refused(&og_op_resize_11, RESIZE_ATTRS(NEAREST, ASYMMETRIC, FLOOR, { 0 }), IN(row, ABSENT, SCALES(1, 1)),
	               OG_BAD_FILE);
	expect_refused(&og_op_upsample_9, ATTR(INT_ATTR(NEAREST)), IN(row, SCALES(0.5f)), OG_BAD_FILE);
}

static void resize_linear_and_cubic(void **state)
{
	(void)state;
	og_tensor row = T(OG_F32, DIMS(2), F(0, 4)), plane = T(OG_F32, DIMS(2, 2), F(0, 4, 8, 12));
	expect(&og_op_resize_11, RESIZE_ATTRS(LINEAR, HALF_PIXEL, 0, { 0 }), IN(row, ABSENT, SCALES(2)),
	       T(OG_F32, DIMS(4), F(0, 1, 3, 4)));
	expect(&og_op_resize_11, RESIZE_ATTRS(LINEAR, CORNERS, 0, { 0 }), IN(plane, ABSENT, ABSENT, LIST(3, 3)),
	       T(OG_F32, DIMS(3, 3), F(0, 2, 4, 4, 6, 8, 8, 10, 12)));
	expect(&og_op_resize_11, RESIZE_ATTRS(LINEAR, PYTORCH, 0, { 0 }), IN(plane, ABSENT, ABSENT, LIST(1, 2)),
	       T(OG_F32, DIMS(1, 2), F(0, 4)));
	expect(&og_op_resize_11, RESIZE_ATTRS(CUBIC, HALF_PIXEL, 0, { 0 }), IN(row, ABSENT, SCALES(2)),
	       T(OG_F32, DIMS(4), F(-0.421875f, 0.90625f, 3.09375f, 4.421875f)));
	og_tensor four = T(OG_F32, DIMS(4), F(0, 0, 8, 8));
	expect(&og_op_resize_18, RESIZE_ATTRS(LINEAR, HALF_PIXEL, 0, INT_ATTR(1), { 0 }, { 0 }),
	       IN(four, ABSENT, SCALES(0.5f)), T(OG_F32, DIMS(2), F(1, 7)));
	expect(&og_op_resize_18, RESIZE_ATTRS(LINEAR, HALF_PIXEL, 0, { 0 }, INTS_ATTR(-1), { 0 }),
	       IN(plane, ABSENT, SCALES(2)), T(OG_F32, DIMS(2, 4), F(0, 1, 3, 4, 8, 9, 11, 12)));
	expect(&og_op_resize_18, RESIZE_ATTRS(NEAREST, ASYMMETRIC, 2, { 0 }, { 0 }, INT_ATTR(1)),
	       IN(plane, ABSENT, ABSENT, LIST(4, 2)), plane);
	expect(&og_op_resize_11, RESIZE_ATTRS(LINEAR, HALF_PIXEL, 0, { 0 }),
	       IN(T(OG_I64, DIMS(2), L(0, 5)), ABSENT, SCALES(2)), T(OG_I64, DIMS(4), L(0, 1, 3, 5)));
	expect(&og_op_resize_11, RESIZE_ATTRS(LINEAR, HALF_PIXEL, 0, { 0 }),
	       IN(T(OG_F32, DIMS(0, 2), F(0)), ABSENT, SCALES(2, 2)), T(OG_F32, DIMS(0, 4), F(0)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(views_keep_the_elements),
		cmocka_unit_test(packed_elements_keep_their_bytes),
		cmocka_unit_test(views_refuse_what_does_not_fit),
		cmocka_unit_test(dropout_does_nothing),
		cmocka_unit_test(reshape_keeps_symbols),
		cmocka_unit_test(rules_keep_symbols),
		cmocka_unit_test(transpose_permutes),
		cmocka_unit_test(transpose_of_large_planes),
		cmocka_unit_test(concat_and_split),
		cmocka_unit_test(slice_takes_ranges),
		cmocka_unit_test(pad_puts_and_takes),
		cmocka_unit_test(expand_and_tile),
		cmocka_unit_test(depth_and_space),
		cmocka_unit_test(triangles_and_sequences),
		cmocka_unit_test(gather_reads_by_index),
		cmocka_unit_test(scatter_writes_by_index),
		cmocka_unit_test(selections),
		cmocka_unit_test(constants),
		cmocka_unit_test(ranges),
		cmocka_unit_test(casts_between_whole_types),
		cmocka_unit_test(casts_to_narrow_floats),
		cmocka_unit_test(halves_survive_a_round_trip),
		cmocka_unit_test(resize_nearest),
		cmocka_unit_test(resize_linear_and_cubic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
