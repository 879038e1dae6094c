/* test_graph_text.c -- src/graph: the text form and comparing. Runs in the root of the sources, as the cases are in
 * tests/graph. */
#include <glob.h>
#include <stdio.h>

#include "graph_text.h"

/* The text below with one part of it exchanged. */
static og_model *changed(const char *from, const char *to)
{
	static const char original[] =
		"model ir=8 {\"\" 17} graph \"g\" { in x: f32[N] const w: f32[1] = {1}\n"
		"  y: f32[N] = Add(x, w) {a=1} \"n\" out y }";
	char s[300];
	const char *at = strstr(original, from);
	assert_non_null(at);
	snprintf(s, sizeof s, "%.*s%s%s", (int)(at - original), original, to, at + strlen(from));
	return parse(s);
}

static void test_comparing(void **state)
{
	(void)state;
	static const char *const changes[][2] = {
		{ "", "" }, { "ir=8", "ir=9" }, { "17", "18" }, { "\"g\"", "\"h\"" }, { "x: f32[N]", "x: f32[M]" },
		{ "{1}", "{2}" }, { "y: f32[N]", "y: f32[?]" }, { "Add", "Sub" }, { "Add", "d::Add" }, { "x, w", "w, x" },
		{ "x, w", "x" }, { "a=1", "a=1.0" }, { "a=1", "b=1" }, { "a=1", "a=@int b" }, { "\"n\"", "\"m\"" },
		{ "out y", "out y out y" }, { "out y", "out x" }, { "graph", "symbol N max=4 graph" },
		{ "out y }", "out y } function \"d\"::F() {} {}" }, { "out y }", "out y } function \"d\"::F(a) {} {}" },
		{ "out y }", "out y } function \"d\"::F(a=1) {} {}" }, { "out y }", "out y } function \"d\"::F() {\"\" 1} {}" },
	};
	const size_t count = sizeof changes / sizeof *changes;
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < count; k++) {
			og_model *a = changed(changes[i][0], changes[i][1]), *b = changed(changes[k][0], changes[k][1]);
			if (graph_equal(a, b) != (i == k)) fail_msg("changes %zu and %zu: %s", i, k, base_error());
			graph_model_destroy(a);
			graph_model_destroy(b);
		}
	}
}

/* ---- cases ----------------------------------------------------------------------------------- */

static char *read_all(const char *path)
{
	file_map f;
	OK(file_open(&f, path));
	char *s = base_alloc(f.size + 1);
	memcpy(s, f.data, f.size);
	s[f.size] = '\0';
	file_close(&f);
	return s;
}

/* A case is a text that prints as itself, or two texts with a line "---" between: the first prints as the second. */
static void check_case(const char *path)
{
	char *s = read_all(path), *cut = strstr(s, "\n---\n");
	const char *expected = cut ? cut + 5 : s;
	og_model *m, *copy, *again;
	if (cut) cut[1] = '\0';
	if (graph_parse(&m, s, strlen(s)) != OG_OK) fail_msg("%s: %s", path, base_error());
	char *printed = print(m);
	if (strcmp(printed, expected)) fail_msg("%s prints as\n%s", path, printed);
	if (strstr(printed, " \n")) fail_msg("%s: blanks at the end of a line", path);
	again = parse(printed);
	OK(graph_model_copy(&copy, m));
	OK(graph_verify(copy));
	if (!graph_equal(m, again) || !graph_equal(again, copy)) fail_msg("%s: %s", path, base_error());
	char *third = print(copy);
	assert_string_equal(printed, third);
	graph_model_destroy(again);
	graph_model_destroy(copy);
	graph_model_destroy(m);
	base_free(third);
	base_free(printed);
	base_free(s);
}

static void test_text_cases(void **state)
{
	(void)state;
	glob_t found;
	assert_int_equal(glob("tests/graph/*.txt", 0, NULL, &found), 0);
	size_t cases = 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		if (strstr(found.gl_pathv[i], "errors.txt")) continue;
		check_case(found.gl_pathv[i]);
		cases++;
	}
	globfree(&found);
	assert_true(cases >= 6);
}

/* errors.txt: "=== sentence", then the text that fails with it, up to the next such line. */
static void test_text_errors(void **state)
{
	(void)state;
	char *s = read_all("tests/graph/errors.txt"), *at = s;
	size_t cases = 0;
	assert_memory_equal(s, "=== ", 4);
	while (at) {
		char *sentence = at + 4, *body = strchr(sentence, '\n');
		*body++ = '\0';
		at = strstr(body, "\n=== ");
		size_t n = at ? (size_t)(at - body) : strlen(body) - 1;
		if (at) at++;
		og_model *m;
		/* The text ends where its memory ends, so that reading past it is seen. */
		char *exact = base_alloc(n ? n : 1);
		memcpy(exact, body, n);
		assert_int_equal(graph_parse(&m, exact, n), OG_BAD_FILE);
		assert_string_equal(base_error(), sentence);
		assert_null(m);
		base_free(exact);
		cases++;
	}
	assert_true(cases > 50);
	base_free(s);
}

static void test_nesting(void **state)
{
	(void)state;
	text t = { 0 };
	og_model *m;
	text_add(&t, "model {} graph \"\" { in x ");
	for (int i = 0; i < 100000; i++) text_add(&t, "() = If(x) {b=graph \"\" { ");
	assert_int_equal(graph_parse(&m, t.data, t.length), OG_BAD_FILE);
	assert_non_null(strstr(base_error(), "bodies are nested more than 64 deep"));
	t.length = 0;
	text_add(&t, "model {} graph \"\" { in x ");
	for (int i = 0; i < GRAPH_MAX_NESTING; i++) text_add(&t, "() = If(x) {b=graph \"\" { ");
	for (int i = 0; i < GRAPH_MAX_NESTING; i++) text_add(&t, "} } ");
	text_add(&t, "}");
	OK(graph_parse(&m, t.data, t.length));
	graph_model_destroy(m);
	text_free(&t);
}

/* Every 32-bit float attribute and constant comes back with its bits. */
static void test_floats_keep_their_bits(void **state)
{
	(void)state;
	uint32_t seed = 1;
	og_model *m = graph_model_create();
	graph_node *n;
	float list[60];
	OK(graph_node_add(&n, m->main, NULL, "", "F", "", 0, 0));
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 60; i++) {
			seed = seed * 1664525u + 1013904223u;
			uint32_t bits = i == 0 ? 0x80000000u : i == 1 ? 0x7fc00000u : i == 2 ? 1u : i == 3 ? 0x7f7fffffu : seed;
			memcpy(&list[i], &bits, sizeof bits);
		}
		og_tensor t = { .dtype = round % 2 ? OG_F32 : OG_F64, .rank = 1, .dims = { round % 2 ? 60 : 30 }, .data = list };
		OK(graph_attr_set_floats(n, "fs", list, 60));
		OK(graph_attr_set_tensor(n, "t", &t));
		char *s = print(m);
		og_model *again = parse(s);
		if (!graph_equal(m, again)) fail_msg("%s", base_error());
		graph_model_destroy(again);
		base_free(s);
	}
	graph_model_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comparing), cmocka_unit_test(test_text_cases), cmocka_unit_test(test_text_errors),
		cmocka_unit_test(test_nesting), cmocka_unit_test(test_floats_keep_their_bits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
