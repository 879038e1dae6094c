/* test_onnx.c -- models to ONNX files and back: nothing is lost, what is not touched keeps its bytes. Damaged files
 * are in test_onnx_bad.c, the official ones in tests/test_onnx_files.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "onnx_make.h"

#define OK(call) assert_int_equal((call), OG_OK)

static char folder[] = "/tmp/opgraft-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	made = arena_create();
	return made && mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	arena_destroy(made);
	return rmdir(folder);                /* each test removes its files */
}

static const char *in_folder(const char *name) { return arena_printf(made, "%s/%s", folder, name); }

static graph_bytes contents(const char *path)
{
	file_map f;
	OK(file_open(&f, path));
	uint8_t *p = arena_alloc(made, f.size + 1);
	graph_bytes b = { p, f.size };
	if (f.size > 0) memcpy(p, f.data, f.size);
	file_close(&f);
	return b;
}

static bool same(graph_bytes a, graph_bytes b) { return a.n == b.n && memcmp(a.p, b.p, a.n) == 0; }

/* Is `part` somewhere in b? */
static bool holds(graph_bytes b, graph_bytes part)
{
	for (size_t k = 0; k + part.n <= b.n; k++)
		if (memcmp(b.p + k, part.p, part.n) == 0) return true;
	return false;
}

static og_model *read_bytes(graph_bytes b)
{
	og_model *m;
	og_status status = onnx_read_memory(&m, b.p, b.n, folder);
	if (status != OG_OK) fail_msg("%s", base_error());
	OK(graph_verify(m));
	return m;
}

static graph_bytes written(og_model *m, const onnx_write_options *o)
{
	uint8_t *data;
	size_t n;
	og_status status = onnx_write_memory(m, &data, &n, o);
	if (status != OG_OK) fail_msg("%s", base_error());
	graph_bytes b = { memcpy(arena_alloc(made, n + 1), data, n), n };
	base_free(data);
	return b;
}

static void assert_equal(const og_model *a, const og_model *b)
{
	if (!graph_equal(a, b)) fail_msg("%s", base_error());
}

static graph_node *add_node(graph *g, const char *type, graph_value *in, const char *out, graph_value **made_value)
{
	graph_node *n;
	OK(graph_node_add(&n, g, NULL, "", type, type, 1, 1));
	OK(graph_value_add(made_value, g, out, OG_F32, 2, (og_dim[]){ GRAPH_DIM_UNKNOWN, 3 }));
	OK(graph_set_input(n, 0, in));
	OK(graph_set_output(n, 0, *made_value));
	return n;
}

static float weights[600];

/* Every kind of attribute, a body that uses what is around it, a function, constants of odd types, symbols. */
static og_model *sample(void)
{
	og_model *m = graph_model_create();
	graph_value *x, *w, *bits, *y, *z, *inner, *a, *c;
	graph_function *f;
	assert_non_null(m);
	for (int k = 0; k < 600; k++) weights[k] = (float)k * 0.25f;
	og_tensor t = { .dtype = OG_F32, .rank = 2, .dims = { 200, 3 }, .data = weights };
	og_tensor nibbles = { .dtype = OG_I4, .rank = 1, .dims = { 5 }, .data = weights + 3 };
	og_tensor none = { .dtype = OG_F16, .rank = 1, .dims = { 0 }, .data = weights };
	m->main->name = "main";
	OK(graph_opset_require(m, "", 13));
	OK(graph_opset_require(m, "mine", 1));
	OK(graph_constant_add(&w, m->main, "w", &t));
	OK(graph_constant_add(&bits, m->main, "bits", &nibbles));
	OK(graph_value_add(&x, m->main, "x", OG_F32, 2, (og_dim[]){ graph_dim_symbol(m, "N"), 3 }));
	OK(graph_input_add(m->main, x));
	graph_node *n = add_node(m->main, "Op", x, "y", &y);
	n->domain = "mine";
	OK(graph_set_input(n, 2, w));
	OK(graph_set_input(n, 3, bits));
	OK(graph_attr_set_int(n, "int", INT64_MIN));
	OK(graph_attr_set_float(n, "float", -0.0f));
	OK(graph_attr_set_string(n, "string", "s"));
	OK(graph_attr_set_ints(n, "ints", (int64_t[]){ 1, -1, 300 }, 3));
	OK(graph_attr_set_floats(n, "floats", (float[]){ 0.5f, 1e30f }, 2));
	OK(graph_attr_set_strings(n, "strings", (const char *[]){ "a", "" }, 2));
	OK(graph_attr_set_tensor(n, "tensor", &none));
	graph *body = graph_create(m, m->main, "body");
	add_node(body, "Relu", x, "inner", &inner);
	OK(graph_output_add(body, inner));
	OK(graph_attr_set_graph(n, "body", body));
	add_node(m->main, "Abs", y, "z", &z);
	OK(graph_output_add(m->main, z));
	OK(graph_function_add(&f, m, "mine", "Op"));
	OK(graph_value_add(&a, f->body, "a", OG_NONE, -1, NULL));
	OK(graph_input_add(f->body, a));
	n = add_node(f->body, "Elu", a, "c", &c);
	c->dtype = OG_NONE;
	c->rank = -1;
	OK(graph_attr_put(n, &(graph_attr){ .name = "alpha", .type = OG_ATTR_FLOAT, .ref = "float" }));
	OK(graph_output_add(f->body, c));
	graph_opset *opset = arena_alloc(m->a, sizeof *opset);
	*opset = (graph_opset){ .domain = "", .version = 13 };
	f->opsets = opset;
	f->n_opsets = 1;
	const char **names = arena_alloc(m->a, sizeof *names);
	names[0] = "float";
	f->attributes = names;
	f->n_attributes = 1;
	OK(graph_verify(m));
	return m;
}

static void test_round_trip(void **state)
{
	og_model *m = sample(), *back;
	(void)state;
	graph_bytes b = written(m, NULL);
	back = read_bytes(b);
	assert_equal(m, back);
	assert_int_equal(back->ir_version, 8);
	assert_string_equal(back->functions[0].attributes[0], "float");
	assert_true(same(written(back, NULL), b));
	assert_true(same(written(back, &(onnx_write_options){ .reencode = true }), b));
	for (graph *g = back->made; g; g = g->next_made) graph_touch(g);
	assert_null(back->source.p);
	assert_true(same(written(back, NULL), b));
	graph_model_destroy(back);
	const char *path = in_folder("model.onnx");
	OK(onnx_write(m, path, NULL));
	assert_true(same(contents(path), b));
	OK(onnx_read(&back, path));
	assert_equal(m, back);
	assert_string_equal(back->path, path);
	OK(onnx_write(back, path, NULL));    /* over the very file that is mapped */
	assert_true(same(contents(path), b));
	graph_model_destroy(back);
	graph_model_destroy(m);
	OK(unlink(path));
}

/* ---- tensors --------------------------------------------------------------------------------- */

static const og_tensor *constant(const og_model *m, const char *name)
{
	const graph_value *v = graph_value_find(m->main, name);
	assert_non_null(v);
	assert_non_null(v->constant);
	return v->constant;
}

/* Reads w from a field of numbers and from raw_data of the same numbers. */
static void check_numbers(og_dtype dtype, uint64_t count, graph_bytes numbers, const void *expected, size_t span)
{
	graph_bytes head = JOIN(I(TENSOR_dims, count), I(TENSOR_data_type, dtype));
	graph_bytes name = S(TENSOR_name, "w"), content = M(TENSOR_raw_data, raw(expected, span));
	bool name_first = numbers.p[0] >> 3 > TENSOR_name;
	graph_bytes files[] = {
		relu_with(M(GRAPH_initializer, head, name_first ? name : numbers, name_first ? numbers : name)),
		relu_with(M(GRAPH_initializer, head, name, content)),
	};
	for (int k = 0; k < 2; k++) {
		og_model *m = read_bytes(files[k]);
		const og_tensor *t = constant(m, "w");
		assert_int_equal(t->dtype, dtype);
		assert_int_equal(t->dims[0], count);
		assert_memory_equal(t->data, expected, span);
		assert_true(same(written(m, &(onnx_write_options){ .reencode = true }), files[k]));
		graph_model_destroy(m);
	}
}

static void test_number_fields(void **state)
{
	const float f[] = { 1.5f, -2, 3 };
	const double d[] = { 1e300, -0.5 };
	const int64_t i64[] = { 1, -1, INT64_MIN };
	const uint64_t u64[] = { UINT64_MAX, 0, 1 };
	const int32_t i32[] = { 1, -1 };
	graph_bytes minus = raw("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
	(void)state;
	check_numbers(OG_F32, 3, M(TENSOR_float_data, raw(f, 12)), f, 12);
	check_numbers(OG_F32, 3, JOIN(M(TENSOR_float_data, raw(f, 4)), M(TENSOR_float_data, raw(f + 1, 8))), f, 12);
	check_numbers(OG_F32, 1, raw("\x25\0\0\xc0\x3f", 5), f, 4);                   /* not packed */
	check_numbers(OG_C64, 1, M(TENSOR_float_data, raw(f, 8)), f, 8);
	check_numbers(OG_F64, 2, M(TENSOR_double_data, raw(d, 16)), d, 16);
	check_numbers(OG_C128, 1, M(TENSOR_double_data, raw(d, 16)), d, 16);
	check_numbers(OG_I64, 3, JOIN(I(TENSOR_int64_data, 1), I(TENSOR_int64_data, UINT64_MAX),
	                              I(TENSOR_int64_data, UINT64_C(1) << 63)), i64, 24);
	check_numbers(OG_I64, 2, M(TENSOR_int64_data, minus), i64, 16);
	check_numbers(OG_U64, 3, JOIN(I(TENSOR_uint64_data, UINT64_MAX), M(TENSOR_uint64_data, raw("\0\1", 2))),
	              u64, 24);
	check_numbers(OG_U32, 2, M(TENSOR_uint64_data, raw("\xff\xff\xff\xff\x0f\0", 6)),
	              "\xff\xff\xff\xff\0\0\0\0", 8);
	check_numbers(OG_I32, 2, M(TENSOR_int32_data, minus), i32, 8);
	check_numbers(OG_I16, 2, M(TENSOR_int32_data, minus), "\1\0\xff\xff", 4);
	check_numbers(OG_I8, 2, M(TENSOR_int32_data, minus), "\1\xff", 2);
	check_numbers(OG_U8, 2, M(TENSOR_int32_data, raw("\xff\x01\x02", 3)), "\xff\2", 2);
	check_numbers(OG_U16, 1, M(TENSOR_int32_data, raw("\xff\xff\x03", 3)), "\xff\xff", 2);
	check_numbers(OG_BOOL, 2, M(TENSOR_int32_data, raw("\1\0", 2)), "\1\0", 2);
	check_numbers(OG_F16, 1, M(TENSOR_int32_data, raw("\x80\x78", 2)), "\0\x3c", 2);
	check_numbers(OG_BF16, 1, M(TENSOR_int32_data, raw("\x80\x7f", 2)), "\x80\x3f", 2);
	check_numbers(OG_F8E4M3FN, 2, M(TENSOR_int32_data, raw("\x38\xb8\x01", 3)), "\x38\xb8", 2);
	check_numbers(OG_I4, 3, M(TENSOR_int32_data, raw("\xf1\x01\x02", 3)), "\xf1\x02", 2);
	check_numbers(OG_U2, 5, M(TENSOR_int32_data, raw("\xe4\x01\x02", 3)), "\xe4\x02", 2);
}

static void test_strings_and_sparse(void **state)
{
	graph_bytes strings = TENSOR(I(TENSOR_dims, 2), I(TENSOR_data_type, OG_STRING), S(TENSOR_string_data, "one"),
	                             S(TENSOR_string_data, "two"));
	graph_bytes sparse = M(GRAPH_sparse_initializer,
	                       M(SPARSE_values, I(TENSOR_dims, 1), I(TENSOR_data_type, OG_F32), S(TENSOR_name, "s"),
	                         M(TENSOR_raw_data, raw("abcd", 4))),
	                       M(SPARSE_indices, I(TENSOR_dims, 1), I(TENSOR_data_type, OG_I64),
	                         M(TENSOR_int64_data, raw("\1", 1))),
	                       I(SPARSE_dims, 7));
	graph_bytes b = model_of(JOIN(node("Relu", "w", "y"), node("Abs", "s", "a"), S(GRAPH_name, "g"), strings,
	                              value(GRAPH_input, "x"), value(GRAPH_output, "y"), sparse));
	og_model *m = read_bytes(b);
	(void)state;
	assert_null(constant(m, "w")->data);
	assert_null(constant(m, "s")->data);
	assert_int_equal(constant(m, "s")->dims[0], 7);
	assert_true(same(written(m, &(onnx_write_options){ .reencode = true }), b));
	OK(graph_value_rename(graph_value_find(m->main, "w"), "words"));
	OK(graph_value_rename(graph_value_find(m->main, "s"), "few"));
	og_model *back = read_bytes(written(m, NULL));
	assert_int_equal(constant(back, "words")->dtype, OG_STRING);
	assert_int_equal(constant(back, "few")->dims[0], 7);
	assert_true(holds(written(back, NULL), JOIN(S(TENSOR_string_data, "one"), S(TENSOR_string_data, "two"))));
	graph_model_destroy(back);
	/* Strings that no file has cannot be written. */
	graph_value *made_here;
	uint8_t *data;
	size_t n;
	OK(graph_constant_add(&made_here, m->main, "new", &(og_tensor){ .dtype = OG_STRING }));
	assert_int_equal(onnx_write_memory(m, &data, &n, NULL), OG_UNSUPPORTED);
	assert_non_null(strstr(base_error(), "'new'"));
	graph_model_destroy(m);
}

static void test_lone_tensors(void **state)
{
	const char *path = in_folder("t.pb"), *name;
	og_tensor t = { .dtype = OG_F64, .rank = 2, .dims = { 1, 3 }, .data = (double[]){ 1, 2, 3 } }, back;
	(void)state;
	OK(onnx_write_tensor(&t, "input", path));
	OK(onnx_read_tensor(&back, made, path, &name));
	assert_string_equal(name, "input");
	assert_int_equal(back.dtype, OG_F64);
	assert_int_equal(back.dims[1], 3);
	assert_memory_equal(back.data, t.data, 24);
	assert_int_equal((uintptr_t)back.data % 64, 0);
	OK(onnx_write_tensor(&(og_tensor){ .dtype = OG_F32, .data = weights }, NULL, path));
	OK(onnx_read_tensor(&back, made, path, &name));
	assert_string_equal(name, "");
	assert_int_equal(back.rank, 0);
	OK(unlink(path));
	assert_int_equal(onnx_read_tensor(&back, made, path, &name), OG_MISSING);
	assert_int_equal(onnx_write_tensor(&(og_tensor){ .dtype = OG_STRING }, "s", path), OG_UNSUPPORTED);
	assert_int_equal(onnx_read_tensor_memory(&back, made, "\x0a\x03""abc", 5, NULL), OG_BAD_FILE);
	graph_bytes outside = JOIN(I(TENSOR_data_type, OG_F32), I(TENSOR_data_location, 1));
	assert_int_equal(onnx_read_tensor_memory(&back, made, outside.p, outside.n, NULL), OG_UNSUPPORTED);
}

/* ---- what is kept ---------------------------------------------------------------------------- */

/* Fields 150 (a varint) and 200 (bytes), which no message has. */
static graph_bytes unknown(const char *mark) { return JOIN(I(150, 7), S(200, mark)); }

static void test_fields_survive_edits(void **state)
{
	graph_bytes entry = JOIN(S(ENTRY_key, "k"), S(ENTRY_value, "v"));
	graph_bytes kept_node = JOIN(B(NODE_metadata_props, entry), unknown("in node"));
	graph_bytes first = M(GRAPH_node, S(NODE_input, "x"), S(NODE_input, "w"), S(NODE_output, "t"), S(NODE_name, ""),
	                      S(NODE_op_type, "Add"), S(NODE_doc_string, "adds"), S(NODE_domain, ""), kept_node);
	graph_bytes info = JOIN(S(VALUE_name, "x"), M(VALUE_type, M(TYPE_sequence_type, S(1, "odd"))),
	                        S(VALUE_doc_string, "in"), B(VALUE_metadata_props, entry), unknown("in value"));
	graph_bytes fields = JOIN(
		first, node("Relu", "t", "y"), S(GRAPH_name, "g"),
		TENSOR(I(TENSOR_data_type, OG_F32), M(TENSOR_float_data, raw("\0\0\x80\x3f", 4))),
		B(GRAPH_input, info), value(GRAPH_output, "y"), value(GRAPH_value_info, "t"),
		M(GRAPH_quantization_annotation, S(1, "w")), B(GRAPH_metadata_props, entry), unknown("in graph"));
	graph_bytes b = JOIN(I(MODEL_ir_version, 8), S(MODEL_producer_name, ""), S(MODEL_doc_string, "model"),
	                     B(MODEL_graph, fields), M(MODEL_opset_import, I(OPSET_version, 13), unknown("in opset")),
	                     B(MODEL_metadata_props, entry), S(MODEL_training_info, ""), unknown("in model"));
	og_model *m = read_bytes(b);
	(void)state;
	assert_true(same(written(m, NULL), b));
	assert_true(same(written(m, &(onnx_write_options){ .reencode = true }), b));
	/* Other names of the same length: every byte but those of the names stays where it is. */
	OK(graph_value_rename(graph_value_find(m->main, "x"), "X"));
	OK(graph_value_rename(graph_value_find(m->main, "w"), "W"));
	OK(graph_value_rename(graph_value_find(m->main, "t"), "T"));
	assert_string_equal(graph_value_find(m->main, "X")->doc, "in");
	graph_bytes changed = written(m, NULL);
	assert_int_equal(changed.n, b.n);
	size_t differing = 0;
	for (size_t k = 0; k < b.n; k++) differing += b.p[k] != changed.p[k];
	assert_int_equal(differing, 7);      /* x, w, t at a node, t at the other, what declares the three */
	graph_model_destroy(m);
}

/* A new op on a node, as a graft makes it: the other nodes, the tensors and the types keep their bytes. */
static void test_untouched_parts_keep_their_bytes(void **state)
{
	/* Odd encodings that no official tool writes: fields in falling order, a number of more bytes than it needs. */
	graph_bytes odd_node = M(GRAPH_node, S(NODE_op_type, "Abs"), S(NODE_output, "a"), S(NODE_input, "x"));
	graph_bytes odd_tensor = M(GRAPH_initializer, S(TENSOR_name, "w"), M(TENSOR_raw_data, raw("abcd", 4)),
	                           raw("\x10\x81\0", 3));
	graph_bytes odd_type = JOIN(M(TYPE_tensor_type, I(TYPE_TENSOR_elem_type, 1)), S(TYPE_denotation, "IMAGE"));
	graph_bytes odd_info = M(GRAPH_input, B(VALUE_type, odd_type), S(VALUE_name, "x"));
	graph_bytes b = model_of(JOIN(S(GRAPH_name, "g"), value(GRAPH_output, "y"), odd_info, node("Relu", "a", "y"),
	                              odd_tensor, odd_node));
	og_model *m = read_bytes(b);
	graph_value *t;
	(void)state;
	assert_true(same(written(m, NULL), b));
	assert_string_equal(m->main->first->type, "Abs");            /* sorted */
	graph_node *relu = m->main->last;
	OK(graph_value_add(&t, m->main, NULL, OG_F32, -1, NULL));
	graph_node *n;
	OK(graph_node_add(&n, m->main, relu, "", "Neg", "new", 1, 1));
	OK(graph_set_input(n, 0, relu->in[0]));
	OK(graph_set_output(n, 0, t));
	OK(graph_set_input(relu, 0, t));
	graph_bytes changed = written(m, NULL);
	assert_true(holds(changed, odd_node));
	assert_true(holds(changed, odd_tensor));
	assert_true(holds(changed, odd_info));
	og_model *back = read_bytes(changed);
	assert_equal(m, back);
	graph_model_destroy(back);
	/* A copy of the model writes the same. */
	og_model *copy;
	OK(graph_model_copy(&copy, m));
	assert_true(same(written(copy, NULL), changed));
	graph_model_destroy(copy);
	graph_model_destroy(m);
}

static void test_types(void **state)
{
	graph_bytes dims = JOIN(M(SHAPE_dim, I(DIM_dim_value, 2)), B(SHAPE_dim, raw("", 0)),
	                        M(SHAPE_dim, S(DIM_dim_param, "")), M(SHAPE_dim, I(DIM_dim_value, UINT64_MAX)),
	                        M(SHAPE_dim, S(DIM_dim_param, "N")));
	graph_bytes nine = raw("\x0a\0\x0a\0\x0a\0\x0a\0\x0a\0\x0a\0\x0a\0\x0a\0\x0a\0", 18);
	graph_bytes b = relu_with(JOIN(
		typed(GRAPH_input, "a", JOIN(I(TYPE_TENSOR_elem_type, OG_I64), B(TYPE_TENSOR_shape, dims))),
		typed(GRAPH_input, "b", I(TYPE_TENSOR_elem_type, OG_F16)),
		typed(GRAPH_input, "c", JOIN(I(TYPE_TENSOR_elem_type, OG_F32), B(TYPE_TENSOR_shape, nine))),
		typed(GRAPH_input, "d", JOIN(I(TYPE_TENSOR_elem_type, OG_F32), S(TYPE_TENSOR_shape, ""))),
		typed(GRAPH_value_info, "b", I(TYPE_TENSOR_elem_type, OG_F64)),
		typed(GRAPH_value_info, "nowhere", I(TYPE_TENSOR_elem_type, OG_F16))));
	og_model *m = read_bytes(b);
	const graph_value *a = graph_value_find(m->main, "a");
	(void)state;
	assert_int_equal(a->dtype, OG_I64);
	assert_int_equal(a->rank, 5);
	assert_int_equal(a->dims[0], 2);
	for (int k = 1; k < 4; k++) assert_int_equal(a->dims[k], GRAPH_DIM_UNKNOWN);
	assert_string_equal(graph_dim_name(m, a->dims[4]), "N");
	assert_int_equal(graph_value_find(m->main, "b")->rank, -1);
	assert_int_equal(graph_value_find(m->main, "b")->dtype, OG_F16);     /* what the input itself says */
	assert_int_equal(graph_value_find(m->main, "c")->rank, -1);
	assert_int_equal(graph_value_find(m->main, "d")->rank, 0);
	assert_null(graph_value_find(m->main, "nowhere"));
	graph_model_destroy(m);
}

/* IR version 3 wants constants to be inputs, functions want version 8. */
static void test_ir_version_follows_content(void **state)
{
	graph_bytes w = TENSOR(I(TENSOR_data_type, OG_F32), M(TENSOR_raw_data, raw("abcd", 4)));
	graph_bytes fields = JOIN(node("Relu", "x", "y"), S(GRAPH_name, "g"), w, value(GRAPH_input, "x"),
	                          value(GRAPH_input, "w"), value(GRAPH_output, "y"));
	graph_bytes b = JOIN(I(MODEL_ir_version, 3), B(MODEL_graph, fields),
	                     M(MODEL_opset_import, I(OPSET_version, 8)));
	og_model *m = read_bytes(b), *back;
	graph_value *v;
	graph_function *f;
	(void)state;
	assert_true(graph_value_find(m->main, "w")->is_input);
	assert_non_null(constant(m, "w")->data);
	graph_touch(m->main);
	assert_true(same(written(m, NULL), b));
	OK(graph_constant_add(&v, m->main, "new", &(og_tensor){ .dtype = OG_F32, .data = weights }));
	back = read_bytes(written(m, NULL));
	assert_int_equal(back->ir_version, 4);
	m->ir_version = 4;
	assert_equal(m, back);
	graph_model_destroy(back);
	OK(graph_function_add(&f, m, "mine", "F"));
	OK(graph_constant_add(&v, f->body, "one", &(og_tensor){ .dtype = OG_F32, .data = weights + 4 }));
	OK(graph_output_add(f->body, v));
	back = read_bytes(written(m, NULL));
	assert_int_equal(back->ir_version, 8);
	const graph_node *n = back->functions[0].body->first;         /* a function has no initializers */
	assert_string_equal(n->type, "Constant");
	assert_memory_equal(graph_attr_find(n, "value")->t->data, weights + 4, 4);
	graph_model_destroy(back);
	graph_model_destroy(m);
}

/* ---- external data --------------------------------------------------------------------------- */

static og_model *read_file(const char *path)
{
	og_model *m;
	og_status status = onnx_read(&m, path);
	if (status != OG_OK) fail_msg("%s", base_error());
	return m;
}

static bool exists(const char *path) { return access(path, F_OK) == 0; }

static void test_external_data(void **state)
{
	const char *path = in_folder("m.onnx"), *data = in_folder("m.onnx.data");
	const char *beside = in_folder("n.onnx"), *sub = in_folder("sub"), *moved = in_folder("sub/m.onnx");
	const char *moved_data = in_folder("sub/m.onnx.data");
	og_model *m = sample(), *back, *other;
	(void)state;
	OK(onnx_write(m, path, &(onnx_write_options){ .external = true }));
	assert_int_equal(contents(data).n, sizeof weights);          /* w; the small ones stay inside */
	back = read_file(path);
	assert_equal(m, back);
	assert_int_equal(back->n_files, 2);
	/* In the same folder the reference stays, also when the model changes; elsewhere the data moves along. */
	OK(graph_value_rename(graph_value_find(back->main, "w"), "W"));
	OK(onnx_write(back, beside, NULL));
	assert_false(exists(in_folder("n.onnx.data")));
	other = read_file(beside);
	assert_equal(back, other);
	graph_model_destroy(other);
	OK(mkdir(sub, 0777));
	OK(onnx_write(back, moved, NULL));
	graph_bytes far = contents(moved_data);
	assert_int_equal(far.n, sizeof weights);
	assert_memory_equal(far.p, weights, sizeof weights);
	other = read_file(moved);
	assert_equal(back, other);
	graph_model_destroy(other);
	graph_model_destroy(back);
	/* An unchanged model moves its data as well. */
	back = read_file(path);
	OK(onnx_write(back, moved, NULL));
	other = read_file(moved);
	assert_equal(back, other);
	graph_model_destroy(other);
	/* Writing onto the file that is mapped, with one more tensor to go outside: both are there. */
	graph_value *v;
	og_tensor t = { .dtype = OG_F32, .rank = 1, .dims = { 512 }, .data = weights + 50 };
	OK(graph_constant_add(&v, back->main, "more", &t));
	OK(onnx_write(back, path, &(onnx_write_options){ .external = true }));
	assert_int_equal(contents(data).n, 4096 + 2048);
	other = read_file(path);
	assert_equal(back, other);
	graph_model_destroy(other);
	graph_model_destroy(back);
	graph_model_destroy(m);
	OK(unlink(moved));
	OK(unlink(moved_data));
	OK(rmdir(sub));
	OK(unlink(path));
	OK(unlink(data));
	OK(unlink(beside));
}

static void test_through_a_link(void **state)
{
	const char *path = in_folder("m.onnx"), *sub = in_folder("sub"), *target = in_folder("sub/real.onnx");
	og_model *m = sample(), *back;
	(void)state;
	OK(mkdir(sub, 0777));
	OK(onnx_write(m, target, NULL));
	OK(symlink("sub/real.onnx", path));
	OK(onnx_write(m, path, &(onnx_write_options){ .external = true }));
	back = read_file(target);
	assert_equal(m, back);
	assert_int_equal(back->n_files, 2);
	graph_model_destroy(back);
	graph_model_destroy(m);
	OK(unlink(path));
	OK(unlink(target));
	OK(unlink(in_folder("sub/real.onnx.data")));
	OK(rmdir(sub));
}

static void test_limit(void **state)
{
	const char *path = in_folder("m.onnx"), *data = in_folder("m.onnx.data");
	og_model *m = sample(), *back;
	uint8_t *bytes;
	size_t n;
	(void)state;
	OK(onnx_write(m, path, &(onnx_write_options){ .limit = 4000 }));
	assert_false(exists(data));
	OK(onnx_write(m, path, &(onnx_write_options){ .limit = 2000 }));
	assert_true(exists(data));
	back = read_file(path);
	assert_equal(m, back);
	graph_model_destroy(back);
	graph_bytes before = contents(path);
	assert_int_equal(onnx_write(m, path, &(onnx_write_options){ .limit = 100 }), OG_UNSUPPORTED);
	assert_true(same(contents(path), before));
	assert_int_equal(onnx_write_memory(m, &bytes, &n, &(onnx_write_options){ .limit = 2000 }), OG_UNSUPPORTED);
	assert_int_equal(onnx_write(m, in_folder("none/m.onnx"), NULL), OG_MISSING);
	graph_model_destroy(m);
	OK(unlink(path));
	OK(unlink(data));
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void test_every_allocation_failing(void **state)
{
	og_model *m = sample();
	graph_bytes b = written(m, NULL);
	og_status status = OG_NO_MEMORY;
	(void)state;
	graph_model_destroy(m);
	for (uint64_t n = 1; status != OG_OK; n++) {
		uint8_t *data = NULL;
		size_t size;
		m = NULL;
		base_fail_allocation(n);
		status = onnx_read_memory(&m, b.p, b.n, folder);
		if (status == OG_OK) status = onnx_write_memory(m, &data, &size, &(onnx_write_options){ .reencode = true });
		base_fail_allocation(0);
		assert_true(status == OG_OK || status == OG_NO_MEMORY);
		if (status == OG_OK) assert_true(n > 10 && size == b.n && memcmp(data, b.p, size) == 0);
		base_free(data);
		graph_model_destroy(m);
		assert_true(n < 1000);
	}
}

/* The same with files: what was there stays until all is written. */
static void test_every_allocation_failing_with_files(void **state)
{
	const char *path = in_folder("m.onnx"), *data = in_folder("m.onnx.data");
	const onnx_write_options outside = { .external = true };
	og_model *m = sample(), *back;
	og_status status = OG_NO_MEMORY;
	(void)state;
	OK(onnx_write(m, path, &outside));
	graph_bytes before = contents(path), data_before = contents(data);
	graph_model_destroy(m);
	for (uint64_t n = 1; status != OG_OK; n++) {
		base_fail_allocation(n);
		status = onnx_read(&back, path);
		if (status == OG_OK) status = onnx_write(back, path, &outside);
		base_fail_allocation(0);
		assert_true(status == OG_OK || status == OG_NO_MEMORY);
		assert_true(same(contents(path), before) && same(contents(data), data_before));
		graph_model_destroy(back);
		assert_true(n < 1000);
	}
	OK(unlink(path));
	OK(unlink(data));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_number_fields),
		cmocka_unit_test(test_strings_and_sparse), cmocka_unit_test(test_lone_tensors),
		cmocka_unit_test(test_fields_survive_edits), cmocka_unit_test(test_untouched_parts_keep_their_bytes),
		cmocka_unit_test(test_types), cmocka_unit_test(test_ir_version_follows_content),
		cmocka_unit_test(test_external_data), cmocka_unit_test(test_through_a_link), cmocka_unit_test(test_limit),
		cmocka_unit_test(test_every_allocation_failing),
		cmocka_unit_test(test_every_allocation_failing_with_files),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
