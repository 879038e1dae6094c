/* test_base.c -- src/base without the pool: failing, memory, containers, element types, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/npy.h"

/* A path in the folder of temporary files, of this process only. */
static const char *scratch(const char *name)
{
	static char path[512];
	const char *folder = getenv("TMPDIR");
	snprintf(path, sizeof path, "%s/opgraft-%ld-%s", folder ? folder : "/tmp", (long)getpid(), name);
	return path;
}

static void write_file(const char *path, const void *data, size_t n)
{
	file_out *f;
	assert_int_equal(file_create(&f, path), OG_OK);
	file_write(f, data, n);
	assert_int_equal(file_commit(f), OG_OK);
}

static void test_sentence(void **state)
{
	(void)state;
	char longer[3000];
	assert_int_equal(base_fail(OG_BAD_FILE, "node '%s'\nis %d", "a\tb", 3), OG_BAD_FILE);
	assert_string_equal(base_error(), "node 'a b' is 3");
	assert_int_equal(base_fail_in(OG_NO, "file %s", "x"), OG_NO);
	assert_string_equal(base_error(), "file x: node 'a b' is 3");
	base_fail(OG_NO, "[%s]", base_error());
	assert_string_equal(base_error(), "[file x: node 'a b' is 3]");
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	longer[1022] = '\xc3', longer[1023] = '\xa9';        /* one character across the cut */
	base_fail(OG_NO, "%s", longer);
	assert_int_equal(strlen(base_error()), 1022);
	base_fail_in(OG_NO, "here");
	assert_int_equal(strlen(base_error()), 1023);
	assert_int_equal(base_no_memory(), OG_NO_MEMORY);
	assert_string_equal(base_error(), "memory ran out");
}

static void test_memory(void **state)
{
	(void)state;
	assert_null(base_new(SIZE_MAX / 2, 3));
	assert_null(base_realloc(NULL, SIZE_MAX / 2, 3));
	uint64_t before = base_allocations();
	char *p = base_new(3, 5);
	assert_non_null(p);
	for (int i = 0; i < 15; i++) assert_int_equal(p[i], 0);
	assert_int_equal(base_allocations(), before + 1);
	base_fail_allocation(2);
	void *q = base_alloc(0);
	assert_non_null(q);
	assert_null(base_realloc(p, 100, 1));
	char *r = base_strdup("still there");
	assert_string_equal(r, "still there");
	base_fail_allocation(0);
	void *s = base_alloc_aligned(100, 256);
	assert_int_equal((uintptr_t)s % 256, 0);
	base_free(p), base_free(q), base_free(r), base_free(s), base_free(NULL);
}

static void test_arena(void **state)
{
	(void)state;
	arena *a = arena_create();
	unsigned char *seen[2000];
	for (size_t i = 0; i < 2000; i++) {
		size_t n = i % 7 == 0 ? 0 : i * 3 % 900;
		if (i % 500 == 499) n = 3000000;
		seen[i] = i % 3 ? arena_alloc(a, n) : arena_aligned(a, n, 64);
		assert_non_null(seen[i]);
		assert_int_equal((uintptr_t)seen[i] % (i % 3 ? 16 : 64), 0);
		for (size_t k = 0; k < n; k += n > 1000 ? 9973 : 1) assert_int_equal(seen[i][k], 0);
		memset(seen[i], 0xee, n);
	}
	assert_true(arena_bytes(a) >= 4 * 3000000 && arena_bytes(a) < 20000000);
	assert_null(arena_array(a, SIZE_MAX / 2, 3));
	assert_null(arena_alloc(a, SIZE_MAX - 8));
	assert_string_equal(arena_printf(a, "%s-%d", "x", 7), "x-7");
	assert_string_equal(arena_strndup(a, "abcdef", 3), "abc");
	int *list = NULL;
	size_t capacity = 0;
	for (int i = 0; i < 1000; i++) {
		list = arena_grow(a, list, (size_t)i, &capacity, (size_t)i + 1, sizeof *list);
		list[i] = i;
	}
	for (int i = 0; i < 1000; i++) assert_int_equal(list[i], i);
	arena_destroy(a);
	arena_destroy(NULL);
	base_fail_allocation(1);
	assert_null(arena_create());
	base_fail_allocation(0);
}

static void test_text(void **state)
{
	(void)state;
	text t = { 0 };
	for (int i = 0; i < 1000; i++) text_printf(&t, "%d,", i % 10);
	text_addn(&t, "end!", 3);
	assert_int_equal(t.length, 2003);
	char *s = text_take(&t);
	assert_int_equal(strlen(s), 2003);
	assert_string_equal(s + 1996, "8,9,end");
	base_free(s);
	s = text_take(&t);
	assert_string_equal(s, "");
	base_free(s);
	text_add(&t, "some");
	base_fail_allocation(1);
	text_printf(&t, "%100d", 1);
	base_fail_allocation(0);
	text_add(&t, "more");
	assert_true(t.failed);
	assert_null(text_take(&t));
}

static void test_map(void **state)
{
	(void)state;
	enum { N = 3000 };
	static char keys[N][16];
	map m = { 0 };
	assert_null(map_get(&m, "nothing"));
	for (size_t i = 0; i < N; i++) {
		snprintf(keys[i], sizeof keys[i], "key%zu", i);
		assert_int_equal(map_put(&m, keys[i], keys[i]), OG_OK);
	}
	for (size_t i = 0; i < N; i += 3) assert_int_equal(map_put(&m, keys[i], NULL), OG_OK);
	assert_int_equal(map_put(&m, "absent", NULL), OG_OK);
	assert_int_equal(m.count, N - N / 3);
	for (size_t i = 0; i < N; i++) assert_ptr_equal(map_get(&m, keys[i]), i % 3 ? keys[i] : NULL);
	map_put(&m, "key1", &m);
	assert_ptr_equal(map_get(&m, keys[1]), &m);
	map_free(&m);
	base_fail_allocation(1);
	assert_int_equal(map_put(&m, "a", &m), OG_NO_MEMORY);
	base_fail_allocation(0);
	assert_null(map_get(&m, "a"));
}

static void test_dtypes(void **state)
{
	(void)state;
	int64_t n;
	assert_string_equal(base_dtype_name(OG_BF16), "bf16");
	assert_string_equal(base_dtype_name(OG_NONE), "?");
	assert_int_equal(base_dtype_find("i64", 3), OG_I64);
	assert_int_equal(base_dtype_find("i6", 2), OG_NONE);
	assert_int_equal(base_dtype_span(OG_F32, 5), 20);
	assert_int_equal(base_dtype_span(OG_U4, 5), 3);
	assert_int_equal(base_dtype_span(OG_I2, 9), 3);
	assert_int_equal(base_dtype_span(OG_C128, 2), 32);
	assert_true(base_dtype_span(OG_STRING, 1) == SIZE_MAX);
	assert_true(base_dtype_span(OG_F64, UINT64_MAX / 4) == SIZE_MAX);
	assert_true(base_count((int64_t[]){ 2, 3, 4 }, 3, &n) && n == 24);
	assert_true(base_count(NULL, 0, &n) && n == 1);
	assert_true(base_count((int64_t[]){ 5, 0 }, 2, &n) && n == 0);
	assert_false(base_count((int64_t[]){ -1 }, 1, &n));
	assert_false(base_count((int64_t[]){ INT64_MAX, 2, 0 }, 3, &n));
}

/* Every half there is comes back; every value between two halves goes to the nearer, a tie to the even one. */
static void test_halves(void **state)
{
	(void)state;
	for (unsigned h = 0; h < 0x10000; h++) {
		float f = base_half_to_float((uint16_t)h);
		bool nan = (h & 0x7c00) == 0x7c00 && (h & 0x3ff);
		assert_int_equal(isnan(f), nan);
		uint16_t back = base_float_to_half(f);
		if (nan) assert_true((back & 0x7c00) == 0x7c00 && (back & 0x3ff));
		else assert_int_equal(back, h);
		f = base_bfloat_to_float((uint16_t)h);
		if (!isnan(f)) assert_int_equal(base_float_to_bfloat(f), h);
		else assert_true(isnan(base_bfloat_to_float(base_float_to_bfloat(f))));
	}
	for (unsigned h = 0; h < 0x7bff; h++) {
		float low = base_half_to_float((uint16_t)h), high = base_half_to_float((uint16_t)(h + 1));
		float middle = 0.5f * (low + high);
		assert_int_equal(base_float_to_half(middle), h & 1 ? h + 1 : h);
		assert_int_equal(base_float_to_half(nextafterf(middle, 0)), h);
		assert_int_equal(base_float_to_half(-nextafterf(middle, INFINITY)), 0x8000 | (h + 1));
	}
	assert_true(base_half_to_float(0x3555) > 0.333f && base_half_to_float(0x3555) < 0.3334f);
	assert_true(base_half_to_float(0x0001) == 0x1p-24f);
	assert_int_equal(base_float_to_half(65519.996f), 0x7bff);
	assert_int_equal(base_float_to_half(65520.0f), 0x7c00);
	assert_int_equal(base_float_to_half(1e30f), 0x7c00);
	assert_int_equal(base_float_to_half(0x1p-25f), 0);
	assert_int_equal(base_float_to_bfloat(0x1.01p0f), 0x3f80);       /* ties to even */
	assert_int_equal(base_float_to_bfloat(0x1.03p0f), 0x3f82);
	assert_int_equal(base_float_to_bfloat(0x1.fffffep127f), 0x7f80);
}

static void test_small_things(void **state)
{
	(void)state;
	assert_true(base_glob("conv*_?", "conv2d_3"));
	assert_true(base_glob("*a*b", "xxaybab"));
	assert_true(base_glob("**", ""));
	assert_false(base_glob("conv?", "conv"));
	assert_false(base_glob("*.w", "a.wx"));
	unsigned char data[200] = { 0 };
	uint64_t before = base_hash(data, 200, 1);
	for (int i = 0; i < 200; i++) {
		data[i] ^= 1;
		assert_true(base_hash(data, 200, 1) != before);
		data[i] ^= 1;
		assert_true(base_hash(data, (size_t)i, 1) != before);
	}
	assert_true(base_hash(data, 200, 2) != before);
	double t = base_now();
	assert_true(base_now() >= t);
}

static void test_files(void **state)
{
	(void)state;
	file_map m;
	file_out *f;
	struct stat st;
	const char *path = scratch("file");
	size_t big = 300000;
	char *data = base_new(big, 1);
	memset(data, 'd', big);
	write_file(path, "first", 5);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(file_create(&f, path), OG_OK);
	for (int i = 0; i < 1000; i++) file_write(f, "0123456789", 10);
	file_write(f, data, big);
	assert_int_equal(file_tell(f), 10000 + big);
	assert_int_equal(file_open(&m, path), OG_OK);        /* the old file is whole until the new one is */
	assert_int_equal(m.size, 5);
	assert_memory_equal(m.data, "first", 5);
	file_close(&m);
	file_close(&m);
	assert_int_equal(file_commit(f), OG_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(file_open(&m, path), OG_OK);
	assert_int_equal(m.size, 10000 + big);
	assert_memory_equal(m.data + 9990, "0123456789ddd", 13);
	file_close(&m);
	assert_int_equal(file_create(&f, path), OG_OK);
	file_write(f, "x", 1);
	file_abandon(f);
	file_abandon(NULL);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 10000 + big);
	write_file(path, "", 0);
	assert_int_equal(file_open(&m, path), OG_OK);
	assert_int_equal(m.size, 0);
	file_close(&m);
	unlink(path);
	assert_int_equal(file_open(&m, path), OG_MISSING);
	assert_int_equal(file_open(&m, "/"), OG_BAD_FILE);
	assert_int_equal(file_create(&f, "/no-such-folder/x"), OG_MISSING);
	assert_int_equal(file_create(&f, "/"), OG_MISSING);
	write_file("/dev/null", "x", 1);                     /* written, not replaced */
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	if (file_create(&f, "/dev/full") == OG_OK) {
		file_write(f, data, big);
		assert_int_equal(file_commit(f), OG_BAD_FILE);
	}
	arena *a = arena_create();
	assert_string_equal(file_beside(a, "a/b/m.onnx", "w.bin"), "a/b/w.bin");
	assert_string_equal(file_beside(a, "m.onnx", "w.bin"), "w.bin");
	arena_destroy(a);
	base_free(data);
}

static void test_json_writer(void **state)
{
	(void)state;
	json j = { 0 };
	json_begin(&j, '{');
	json_key(&j, "a");
	json_begin(&j, '[');
	json_int(&j, -3), json_number(&j, 0.1), json_number(&j, 1.0 / 3), json_number(&j, INFINITY), json_bool(&j, true);
	json_begin(&j, '{'), json_end(&j, '}'), json_null(&j);
	json_end(&j, ']');
	json_key(&j, "b\"");
	json_string(&j, "x\n\x01\xff\xc3\xa9\\");
	json_end(&j, '}');
	char *s = text_take(&j.out);
	assert_string_equal(s, "{\"a\":[-3,0.1,0.3333333333333333,null,true,{},null],"
	                       "\"b\\\"\":\"x\\n\\u0001\xef\xbf\xbd\xc3\xa9\\\\\"}");
	base_free(s);
}

static void refused(arena *a, const char *s, const char *says)
{
	const json_value *v;
	assert_int_equal(json_parse(&v, a, s, strlen(s)), OG_BAD_FILE);
	if (!strstr(base_error(), says)) fail_msg("%s: %s", s, base_error());
}

static void test_json_reader(void **state)
{
	(void)state;
	arena *a = arena_create();
	const json_value *v;
	const char *s = " {\"op\" : \"Sw\\u00e9\\ud83d\\ude00\\n\", \"n\":[1, -2.5e3 ,0,true,false,null,[],{}]} ";
	assert_int_equal(json_parse(&v, a, s, strlen(s)), OG_OK);
	assert_string_equal(json_member(v, "op")->string, "Sw\xc3\xa9\xf0\x9f\x98\x80\n");
	const json_value *n = json_member(v, "n");
	assert_int_equal(n->count, 8);
	assert_true(n->items[1].number == -2500 && n->items[3].boolean && !n->items[4].boolean);
	assert_int_equal(n->items[5].kind, JSON_NULL);
	assert_int_equal(n->items[6].kind, JSON_ARRAY);
	assert_int_equal(n->items[7].kind, JSON_OBJECT);
	assert_null(json_member(v, "m"));
	assert_null(json_member(n, "m"));
	refused(a, "", "ends too early");
	refused(a, "[1,\n 2 3]", "line 2, column 4");
	refused(a, "[1,]", "value is expected");
	refused(a, "{\"a\" 1}", "':'");
	refused(a, "{a:1}", "key");
	refused(a, "01", "nothing may follow");
	refused(a, "1.", "digit");
	refused(a, "-", "value");
	refused(a, "tru", "value");
	refused(a, "\"abc", "no end");
	refused(a, "\"\\x\"", "escape");
	refused(a, "\"\\u00g0\"", "hexadecimal");
	refused(a, "\"\\u0000\"", "character 0");
	refused(a, "\"\\", "no end");
	refused(a, "\"\xff\"", "UTF-8");
	refused(a, "\"\n\"", "control");
	char deep[400];
	memset(deep, '[', 300);
	deep[300] = '\0';
	refused(a, deep, "deep");
	arena_destroy(a);
}

static void test_npy(void **state)
{
	(void)state;
	arena *a = arena_create();
	const char *path = scratch("array.npy");
	float data[6] = { 1, 2, 3, 4, 5, -0.5f };
	og_tensor out, t = { .dtype = OG_F32, .rank = 2, .dims = { 2, 3 }, .data = data };
	assert_int_equal(npy_write(&t, path), OG_OK);
	assert_int_equal(npy_read(&out, a, path), OG_OK);
	assert_int_equal(out.dtype, OG_F32);
	assert_int_equal(out.rank, 2);
	assert_memory_equal(out.dims, t.dims, 2 * sizeof t.dims[0]);
	assert_memory_equal(out.data, data, sizeof data);
	t = (og_tensor){ .dtype = OG_BF16, .rank = 1, .dims = { 2 }, .data = (uint16_t[]){ 0x3f80, 0xc000 } };
	assert_int_equal(npy_write(&t, path), OG_OK);
	assert_int_equal(npy_read(&out, a, path), OG_OK);
	assert_true(out.dtype == OG_F32 && ((float *)out.data)[0] == 1 && ((float *)out.data)[1] == -2);
	t = (og_tensor){ .dtype = OG_BOOL, .data = (uint8_t[]){ 1 } };
	assert_int_equal(npy_write(&t, path), OG_OK);
	assert_int_equal(npy_read(&out, a, path), OG_OK);
	assert_true(out.dtype == OG_BOOL && out.rank == 0 && *(uint8_t *)out.data == 1);
	t.dtype = OG_STRING;
	assert_int_equal(npy_write(&t, path), OG_UNSUPPORTED);

	static const char fortran[] = "\x93NUMPY\2\0\x42\0\0\0"
		"{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }       \n\1\0\4\0\2\0\5\0\3\0\6";
	write_file(path, fortran, sizeof fortran);           /* its NUL is the last byte */
	assert_int_equal(npy_read(&out, a, path), OG_OK);
	assert_memory_equal(out.data, ((int16_t[]){ 1, 2, 3, 4, 5, 6 }), 12);
	for (size_t n = 0; n < sizeof fortran; n++) {        /* every truncation is refused */
		write_file(path, fortran, n);
		assert_int_equal(npy_read(&out, a, path), OG_BAD_FILE);
	}
	char bad[sizeof fortran];
	memcpy(bad, fortran, sizeof bad);
	*strstr(bad + 12, "<i2") = '>';
	write_file(path, bad, sizeof bad);
	assert_int_equal(npy_read(&out, a, path), OG_BAD_FILE);
	assert_non_null(strstr(base_error(), "big-endian"));
	unlink(path);
	assert_int_equal(npy_read(&out, a, path), OG_MISSING);
	arena_destroy(a);
}

/* Writes and reads with the n-th allocation failing, for every n until none does: a status, no crash, no leak (the
 * address sanitizer looks). */
static void test_every_allocation_failing(void **state)
{
	(void)state;
	const char *path = scratch("failing.npy");
	float data[4] = { 1, 2, 3, 4 };
	og_tensor out, t = { .dtype = OG_F32, .rank = 1, .dims = { 4 }, .data = data };
	og_status status = OG_NO_MEMORY;
	uint64_t n = 0;
	while (status != OG_OK) {
		base_fail_allocation(++n);
		arena *a = arena_create();
		status = a ? npy_write(&t, path) : OG_NO_MEMORY;
		if (status == OG_OK) status = npy_read(&out, a, path);
		const json_value *v;
		if (status == OG_OK) status = json_parse(&v, a, "[\"a\",[1]]", 9);
		arena_destroy(a);
		assert_true(status == OG_OK || status == OG_NO_MEMORY);
		assert_true(n < 50);
	}
	base_fail_allocation(0);
	assert_true(n > 4);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sentence), cmocka_unit_test(test_memory), cmocka_unit_test(test_arena),
		cmocka_unit_test(test_text), cmocka_unit_test(test_map), cmocka_unit_test(test_dtypes),
		cmocka_unit_test(test_halves), cmocka_unit_test(test_small_things), cmocka_unit_test(test_files),
		cmocka_unit_test(test_json_writer), cmocka_unit_test(test_json_reader), cmocka_unit_test(test_npy),
		cmocka_unit_test(test_every_allocation_failing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
