/* test_onnx_bad.c -- damaged, contradictory and hostile ONNX files: a status, one sentence with the place,
       no crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "onnx_make.h"

static int set_up(void **state)
{
	(void)state;
	made = arena_create();
	return made ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	arena_destroy(made);
	return 0;
}

/* Reads from memory of just that size, so that a sanitizer sees each byte read beside it. */
static og_status try_reading(graph_bytes b)
{
	og_model *m;
	uint8_t *copy = malloc(b.n ? b.n : 1);
	assert_non_null(copy);
	memcpy(copy, b.p, b.n);
	og_status status = onnx_read_memory(&m, copy, b.n, NULL);
	if (status == OG_OK) assert_int_equal(graph_verify(m), OG_OK);
	else assert_null(m);
	graph_model_destroy(m);
	free(copy);
	return status;
}

/* Reading fails with that status and a sentence that has each of the words. */
static void expect(og_status status, graph_bytes b, const char *word, const char *other)
{
	base_fail(OG_OK, "%s", "");
	assert_int_equal(try_reading(b), status);
	if (!strstr(base_error(), word) || !strstr(base_error(), other))
		fail_msg("'%s' does not say '%s' and '%s'", base_error(), word, other);
}

/* A model with a bit of everything, some 700 bytes. */
static graph_bytes sample(void)
{
	const float weights[] = { 1, 2, 3 };
	graph_bytes body = JOIN(node("Relu", "x", "b"), S(GRAPH_name, "body"), value(GRAPH_output, "b"));
	graph_bytes attrs = JOIN(
		M(NODE_attribute, S(ATTR_name, "ints"), I(ATTR_ints, 1), I(ATTR_ints, UINT64_MAX), I(ATTR_type, 7)),
		M(NODE_attribute, S(ATTR_name, "f"), raw("\x15\0\0\x80\x3f", 5), I(ATTR_type, 1)),
		M(NODE_attribute, S(ATTR_name, "strings"), S(ATTR_strings, "a"), S(ATTR_strings, ""), I(ATTR_type, 8)),
		M(NODE_attribute, S(ATTR_name, "t"), M(ATTR_t, I(TENSOR_data_type, OG_I32), M(TENSOR_int32_data,
		       raw("\x05", 1))),
		  I(ATTR_type, 4)),
		M(NODE_attribute, S(ATTR_name, "then_branch"), B(ATTR_g, body), I(ATTR_type, 5)));
	graph_bytes fields = JOIN(
		M(GRAPH_node, S(NODE_input, "x"), S(NODE_input, ""), S(NODE_input, "w"), S(NODE_output, "y"),
		       S(NODE_name, "n"),
		  S(NODE_op_type, "Op"), attrs, S(NODE_domain, "mine")),
		S(GRAPH_name, "g"),
		M(GRAPH_initializer, I(TENSOR_dims, 3), I(TENSOR_data_type, OG_F32), M(TENSOR_float_data, raw(weights, 12)),
		  S(TENSOR_name, "w")),
		M(GRAPH_initializer, I(TENSOR_dims, 2), I(TENSOR_data_type, OG_I64), M(TENSOR_int64_data,
		       raw("\x01\x96\x01", 3)),
		  S(TENSOR_name, "v")),
		value(GRAPH_input, "x"), value(GRAPH_output, "y"), value(GRAPH_value_info, "w"));
	graph_bytes function = JOIN(
		S(FUNCTION_name, "Op"), S(FUNCTION_input, "a"), S(FUNCTION_output, "c"), S(FUNCTION_attribute, "f"),
		M(FUNCTION_node, S(NODE_input, "a"), S(NODE_output, "c"), S(NODE_op_type, "Relu"),
		  M(NODE_attribute, S(ATTR_name, "alpha"), I(ATTR_type, 1), S(ATTR_ref_attr_name, "f"))),
		M(FUNCTION_opset_import, I(OPSET_version, 13)), S(FUNCTION_domain, "mine"));
	graph_bytes entry = M(MODEL_metadata_props, S(ENTRY_key, "k"), S(ENTRY_value, "v"));
	return JOIN(model_of(fields), entry, B(MODEL_functions, function));
}

static void test_cut_at_every_byte(void **state)
{
	graph_bytes whole = sample();
	size_t good = 0;
	(void)state;
	assert_int_equal(try_reading(whole), OG_OK);
	for (size_t n = 0; n < whole.n; n++) {
		base_fail(OG_OK, "%s", "");
		og_status status = try_reading((graph_bytes){ whole.p, n });
		good += status == OG_OK;
		if (status != OG_OK) assert_true(strlen(base_error()) > 10);
	}
	assert_in_range(good, 1, 3);         /* between two fields behind the graph: less of a model, and sound */
}

static void test_every_byte_changed(void **state)
{
	graph_bytes whole = sample();
	uint8_t *p = arena_alloc(made, whole.n);
	(void)state;
	memcpy(p, whole.p, whole.n);
	for (size_t k = 0; k < whole.n; k++) {
		static const uint8_t flips[] = { 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff };
		for (size_t f = 0; f < sizeof flips; f++) {
			p[k] ^= flips[f];
			base_fail(OG_OK, "%s", "");
			og_status status = try_reading((graph_bytes){ p, whole.n });
			assert_true(status == OG_OK || status == OG_BAD_FILE || status == OG_UNSUPPORTED || status == OG_MISSING);
			if (status != OG_OK) assert_true(strlen(base_error()) > 10 && !strchr(base_error(), '\n'));
			p[k] ^= flips[f];
		}
	}
}

static void test_wire(void **state)
{
	(void)state;
	expect(OG_BAD_FILE, raw("", 0), "no ir_version", "no ONNX model");
	expect(OG_BAD_FILE, raw("\x08\x08", 2), "no graph", "");
	expect(OG_BAD_FILE, raw("\x08", 1), "byte 0", "cut short");
	expect(OG_BAD_FILE, raw("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11), "'ir_version'", "64 bits");
	expect(OG_BAD_FILE, raw("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12), "'ir_version'", "64 bits");
	expect(OG_BAD_FILE, raw("\x08\x08\x3a\x7f\x01", 5), "byte 2: field 7 'graph' of ModelProto",
	       "longer than what is left");
	expect(OG_BAD_FILE, raw("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), "'graph'", "longer");
	expect(OG_BAD_FILE, raw("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11), "'graph'", "64 bits");
	expect(OG_BAD_FILE, raw("\x38\x01", 2), "'graph'", "another type");
	expect(OG_BAD_FILE, raw("\x0a\x00", 2), "'ir_version'", "another type");
	expect(OG_BAD_FILE, raw("\x3b\x3c", 2), "'graph'", "wire type");
	expect(OG_BAD_FILE, raw("\x3f", 1), "'graph'", "wire type");
	expect(OG_BAD_FILE, raw("\x00\x00", 2), "byte 0", "no field");
	expect(OG_BAD_FILE, raw("\xff\xff\xff\xff\xff\x01", 6), "byte 0", "no field");
	expect(OG_BAD_FILE, raw("\x08\x08\x3a\x00\x3a\x00", 6), "byte 4", "twice");
	expect(OG_BAD_FILE, raw("\xf9\x07\x01\x02", 4), "field 127 of ModelProto", "cut short");
	expect(OG_BAD_FILE, raw("PK\x03\x04 a zip file", 15), "byte", "");
	expect(OG_BAD_FILE, relu_with(TENSOR(I(TENSOR_data_type, OG_F32), M(TENSOR_float_data, raw("abc", 3)))),
	       "initializer 0: byte", "'float_data' of TensorProto ends inside a number");
	expect(OG_BAD_FILE, relu_with(TENSOR(I(TENSOR_data_type, OG_I64), M(TENSOR_int64_data, raw("\x80", 1)))),
	       "initializer 0: byte", "'int64_data' of TensorProto ends inside a number");
}

static void test_versions(void **state)
{
	graph_bytes main_graph = M(MODEL_graph, node("Relu", "x", "y"), value(GRAPH_input, "x"),
	                           value(GRAPH_output, "y"));
	(void)state;
	for (uint64_t version = 3; version <= 13; version++)
		assert_int_equal(try_reading(JOIN(I(MODEL_ir_version, version), main_graph)), OG_OK);
	expect(OG_UNSUPPORTED, JOIN(I(MODEL_ir_version, 14), main_graph), "IR version 14", "3 to 13");
	expect(OG_UNSUPPORTED, JOIN(I(MODEL_ir_version, 2), main_graph), "IR version 2", "");
	for (uint64_t version = 6; version <= 27; version++) {
		graph_bytes b = JOIN(I(MODEL_ir_version, 8), main_graph, M(MODEL_opset_import, I(OPSET_version, version)));
		assert_int_equal(try_reading(b), version >= 7 && version <= 26 ? OG_OK : OG_UNSUPPORTED);
	}
	expect(OG_UNSUPPORTED, JOIN(I(MODEL_ir_version, 8), main_graph,
	       M(MODEL_opset_import, S(OPSET_domain, "ai.onnx"), I(OPSET_version, 99))), "version 99", "7 to 26");
}

/* The only node of a model that makes y. */
static graph_bytes node_with(graph_bytes more)
{
	return model_of(JOIN(M(GRAPH_node, S(NODE_output, "y"), S(NODE_name, "first"), S(NODE_op_type, "If"), more),
	                     value(GRAPH_input, "x"), value(GRAPH_output, "y")));
}

static void test_values(void **state)
{
	graph_bytes x = value(GRAPH_input, "x"), y = value(GRAPH_output, "y");
	(void)state;
	expect(OG_BAD_FILE, model_of(JOIN(node("Relu", "q", "y"), x, y)), "graph: node 0 ('Relu')", "input 'q'");
	expect(OG_BAD_FILE, model_of(JOIN(node("Relu", "x", "y"), node("Abs", "x", "y"), x, y)), "node 1 ('Abs')", "'y'");
	expect(OG_BAD_FILE, model_of(JOIN(node("Relu", "x", "x"), x, y)), "node 0", "'x' is an input");
	expect(OG_BAD_FILE, model_of(JOIN(node("Relu", "x", "z"), x, y)), "output 0 ('y')", "no node makes it");
	expect(OG_BAD_FILE, model_of(JOIN(node("Relu", "x", "y"), x, x, y)), "input 1 ('x')", "already");
	expect(OG_BAD_FILE, model_of(JOIN(node("A", "b", "a"), node("B", "a", "b"), node("C", "x", "y"), x, y)),
	       "cycle", "");
	expect(OG_BAD_FILE, model_of(JOIN(node("A", "y", "y"), x, y)), "cycle", "");
	expect(OG_BAD_FILE, model_of(JOIN(node("", "x", "y"), x, y)), "node 0", "op_type");
	expect(OG_BAD_FILE, model_of(JOIN(node("Relu", "x", "y"), value(GRAPH_input, ""), y)), "input 0", "no name");
	expect(OG_BAD_FILE, model_of(JOIN(M(GRAPH_node, B(NODE_output, raw("y\0z", 3)), S(NODE_op_type, "A")), x, y)),
	       "node 0 ('A')", "NUL");
	graph_bytes w = TENSOR(I(TENSOR_data_type, OG_F32), M(TENSOR_raw_data, raw("abcd", 4)));
	expect(OG_BAD_FILE, relu_with(JOIN(w, w)), "initializer 1 ('w')", "already");
	graph_bytes twice = M(NODE_attribute, S(ATTR_name, "a"), I(ATTR_i, 1), I(ATTR_type, 2));
	expect(OG_BAD_FILE, node_with(JOIN(twice, twice)), "twice the attribute 'a'", "");
	expect(OG_BAD_FILE, node_with(M(NODE_attribute, S(ATTR_name, "pads"), raw("\x40\xff", 2))),
	       "graph: node 0 ('first'): attribute 0 ('pads'): byte",
	       "'ints' of AttributeProto has a number that is cut short");
}

static void test_tensors(void **state)
{
	graph_bytes four = M(TENSOR_raw_data, raw("abcd", 4)), f32 = I(TENSOR_data_type, OG_F32);
	graph_bytes huge = I(TENSOR_dims, UINT64_C(1) << 62);
	(void)state;
	assert_int_equal(try_reading(relu_with(TENSOR(f32, four))), OG_OK);
	expect(OG_BAD_FILE, relu_with(TENSOR(I(TENSOR_dims, 2), f32, four)), "raw_data has 4 bytes", "needs 8");
	expect(OG_BAD_FILE, relu_with(TENSOR(I(TENSOR_dims, 0), f32, four)), "raw_data has 4 bytes", "needs 0");
	expect(OG_BAD_FILE, relu_with(TENSOR(I(TENSOR_dims, 5), f32)), "float_data holds 0 numbers", "needs 5");
	expect(OG_BAD_FILE, relu_with(TENSOR(I(TENSOR_dims, 1u << 30), I(TENSOR_data_type, OG_I64),
	       M(TENSOR_int64_data, raw("\1\2", 2)))), "int64_data holds 2 numbers", "1073741824");
	expect(OG_BAD_FILE, relu_with(TENSOR(I(TENSOR_dims, UINT64_MAX), f32, four)), "dimension 0", "");
	expect(OG_BAD_FILE, relu_with(TENSOR(huge, huge, f32, four)), "overflow", "");
	expect(OG_BAD_FILE, relu_with(TENSOR(huge, I(TENSOR_dims, 1), f32, four)), "overflow", "");
	expect(OG_BAD_FILE, relu_with(TENSOR(four)), "no data type", "");
	expect(OG_UNSUPPORTED, relu_with(TENSOR(I(TENSOR_data_type, 27), four)), "27", "");
	expect(OG_UNSUPPORTED, relu_with(TENSOR(M(TENSOR_dims, raw("\1\1\1\1\1\1\1\1\1", 9)), f32, four)),
	       "9 dimensions", "'w'");
	expect(OG_UNSUPPORTED, relu_with(TENSOR(f32, four, M(TENSOR_segment, I(1, 0)))), "segment", "");
	expect(OG_BAD_FILE, relu_with(TENSOR(I(TENSOR_data_type, OG_STRING), four)), "strings in raw_data", "");
	expect(OG_BAD_FILE, relu_with(TENSOR(I(TENSOR_dims, 2), I(TENSOR_data_type, OG_STRING),
	       S(TENSOR_string_data, "a"))), "string_data holds 1", "needs 2");
	expect(OG_BAD_FILE, relu_with(TENSOR(I(TENSOR_data_type, OG_I32),
	       M(TENSOR_int32_data, raw("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 11)))), "64 bits", "'w'");
}

static graph_bytes external(const char *location, const char *offset, const char *length)
{
	return relu_with(TENSOR(I(TENSOR_dims, 2), I(TENSOR_data_type, OG_F32),
	                        M(TENSOR_external_data, S(ENTRY_key, "location"), S(ENTRY_value, location)),
	                        M(TENSOR_external_data, S(ENTRY_key, "offset"), S(ENTRY_value, offset)),
	                        M(TENSOR_external_data, S(ENTRY_key, "length"), S(ENTRY_value, length)),
	                        I(TENSOR_data_location, 1)));
}

static og_status read_in(const char *folder, graph_bytes b)
{
	og_model *m;
	og_status status = onnx_read_memory(&m, b.p, b.n, folder);
	graph_model_destroy(m);
	return status;
}

static void test_external_data(void **state)
{
	const char *outside[] = { "/etc/passwd", "../a", "a/../../b", "..", "a/..", "" };
	char folder[] = "/tmp/opgraft-XXXXXX";
	file_out *f;
	(void)state;
	for (size_t k = 0; k < sizeof outside / sizeof *outside; k++) {
		assert_int_equal(read_in("/tmp", external(outside[k], "0", "8")), OG_BAD_FILE);
		assert_non_null(strstr(base_error(), "only files in the model's folder"));
	}
	expect(OG_MISSING, external("weights", "0", "8"), "'weights'", "no folder");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(read_in(folder, external("weights", "0", "8")), OG_MISSING);
	const char *path = arena_printf(made, "%s/weights", folder);
	assert_int_equal(file_create(&f, path), OG_OK);
	file_write(f, "0123456789abcdef", 16);
	assert_int_equal(file_commit(f), OG_OK);
	assert_int_equal(read_in(folder, external("weights", "8", "8")), OG_OK);
	assert_int_equal(read_in(folder, external("./weights", "8", "8")), OG_OK);
	assert_int_equal(read_in(folder, external("weights", "9", "8")), OG_BAD_FILE);
	assert_non_null(strstr(base_error(), "passes the end of 'weights'"));
	assert_int_equal(read_in(folder, external("weights", "18446744073709551615", "8")), OG_BAD_FILE);
	assert_int_equal(read_in(folder, external("weights", "18446744073709551616", "8")), OG_BAD_FILE);
	assert_non_null(strstr(base_error(), "offset of its external data is no number"));
	assert_int_equal(read_in(folder, external("weights", "-8", "8")), OG_BAD_FILE);
	assert_int_equal(read_in(folder, external("weights", "0", "12")), OG_BAD_FILE);
	assert_non_null(strstr(base_error(), "has 12 bytes where its shape needs 8"));
	remove(path);
	remove(folder);
}

/* Bodies in bodies: 60 are read, 80 refused, and a great many do not use up the stack. */
static graph_bytes nested(int depth)
{
	graph_bytes fields = JOIN(node("Relu", "x", "y"), S(GRAPH_name, "g"), value(GRAPH_output, "y"));
	for (int k = 0; k < depth; k++) {
		graph_bytes attr = JOIN(S(ATTR_name, "body"), B(ATTR_g, fields), I(ATTR_type, 5));
		fields = JOIN(M(GRAPH_node, S(NODE_output, "y"), S(NODE_op_type, "If"), B(NODE_attribute, attr)),
		              value(GRAPH_output, "y"));
	}
	return model_of(JOIN(fields, value(GRAPH_input, "x")));
}

static void test_nesting(void **state)
{
	(void)state;
	assert_int_equal(try_reading(nested(60)), OG_OK);
	expect(OG_BAD_FILE, nested(80), "nested", "");
	expect(OG_BAD_FILE, nested(2000), "nested", "");
	graph_bytes body = JOIN(S(GRAPH_name, "b"), value(GRAPH_output, "x"));
	graph_bytes attr = JOIN(S(ATTR_name, "body"), B(ATTR_g, body), I(ATTR_type, 5));
	expect(OG_BAD_FILE, node_with(B(NODE_attribute, attr)), "attribute 0 ('body'): output 0 ('x')", "Identity");
}

static void test_functions(void **state)
{
	graph_bytes relu = relu_with(raw("", 0)), name = S(FUNCTION_name, "F"), z = S(FUNCTION_input, "z");
	graph_bytes f = M(MODEL_functions, name, S(FUNCTION_domain, "d"));
	(void)state;
	assert_int_equal(try_reading(JOIN(relu, f)), OG_OK);
	expect(OG_BAD_FILE, JOIN(relu, f, f), "function 1 ('F')", "already");
	expect(OG_BAD_FILE, JOIN(relu, M(MODEL_functions, S(FUNCTION_domain, "d"))), "function 0", "no name");
	expect(OG_UNSUPPORTED, JOIN(relu, M(MODEL_functions, name, S(FUNCTION_overload, "2"))), "overload", "");
	expect(OG_BAD_FILE, JOIN(relu, M(MODEL_functions, name, S(FUNCTION_output, "z"))), "output 0 ('z')", "");
	expect(OG_BAD_FILE, JOIN(relu, M(MODEL_functions, name, z, z)), "input 1 ('z')", "already");
}

/* Many small parts must not take time that grows with their square. */
static void test_many_parts(void **state)
{
	enum { MANY = 60000 };
	graph_bytes *parts = arena_array(made, MANY, sizeof *parts);
	(void)state;
	for (int k = 0; k < MANY; k++)
		parts[k] = node("A", k ? arena_printf(made, "v%d", k - 1) : "x", arena_printf(made, "v%d", k));
	double start = base_now();
	assert_int_equal(try_reading(model_of(JOIN(join(MANY, parts), value(GRAPH_input, "x")))), OG_OK);
	for (int k = 0; k < MANY; k++) parts[k] = S(NODE_input, "x");
	assert_int_equal(try_reading(node_with(join(MANY, parts))), OG_OK);
	for (int k = 0; k < MANY; k++)
		parts[k] = M(NODE_attribute, S(ATTR_name, arena_printf(made, "a%d", k)), I(ATTR_type, 2));
	assert_int_equal(try_reading(node_with(join(MANY, parts))), OG_UNSUPPORTED);
	for (int k = 0; k < MANY; k++) parts[k] = M(MODEL_functions, S(FUNCTION_name, arena_printf(made, "f%d", k)));
	assert_int_equal(try_reading(JOIN(relu_with(raw("", 0)), join(MANY, parts))), OG_UNSUPPORTED);
	assert_true(base_now() - start < 20);        /* some tenths of a second; minutes if it were the square */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_at_every_byte), cmocka_unit_test(test_every_byte_changed),
		cmocka_unit_test(test_wire), cmocka_unit_test(test_versions), cmocka_unit_test(test_values),
		cmocka_unit_test(test_tensors), cmocka_unit_test(test_external_data), cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_functions), cmocka_unit_test(test_many_parts),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
