/* CUDA plans without a GPU: their machine code as an archive and its damage, and which steps become implicit GEMMs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/cuda.h"
#include "cuda/image.h"
#include "opgraft/half.h"
#include "schema/schema.h"

/* ---- the archive ------------------------------------------------------------------------------ */

static void test_archive_gives_back_what_it_took(void **state)
{
	arena *a = arena_create();
	char one[100], two[64];
	cuda_image_entry entries[] = { { "", one, sizeof one }, { "p0123456789abcdef", two, sizeof two } }, *read;
	const void *image;
	size_t bytes;
	int n;
	(void)state;
	assert_non_null(a);
	memset(one, 1, sizeof one);
	memset(two, 2, sizeof two);
	assert_int_equal(cuda_image_make(&image, &bytes, a, entries, 2), OG_OK);
	assert_int_equal(cuda_image_read(&read, &n, a, image, bytes), OG_OK);
	assert_int_equal(n, 2);
	for (int k = 0; k < n; k++) {
		assert_string_equal(read[k].name, entries[k].name);
		assert_int_equal(read[k].bytes, entries[k].bytes);
		assert_memory_equal(read[k].data, entries[k].data, entries[k].bytes);
		assert_int_equal((uintptr_t)read[k].data % 64, 0);
	}
	arena_destroy(a);
}

/* Whatever the bytes of the table are, what is read lies inside. */
static void test_damaged_archive_is_refused_or_sound(void **state)
{
	arena *a = arena_create();
	char one[100] = { 1 };
	cuda_image_entry entry = { "name", one, sizeof one }, *read;
	const void *image;
	size_t bytes;
	int n, refused = 0;
	(void)state;
	assert_non_null(a);
	assert_int_equal(cuda_image_make(&image, &bytes, a, &entry, 1), OG_OK);
	uint8_t *copy = malloc(bytes);
	assert_non_null(copy);
	for (size_t at = 0; at < 64; at++)
		for (int bit = 0; bit < 8; bit++) {
			memcpy(copy, image, bytes);
			copy[at] ^= (uint8_t)(1 << bit);
			og_status status = cuda_image_read(&read, &n, a, copy, bytes);
			refused += status != OG_OK;
			for (int k = 0; status == OG_OK && k < n; k++) {
				const uint8_t *from = read[k].data;
				assert_true(from >= copy && from + read[k].bytes <= copy + bytes && memchr(read[k].name, 0, CUDA_NAME));
			}
		}
	assert_in_range(refused, 8 * 8 + 8, 64 * 8);
	for (size_t size = 1; size < 64 + sizeof one; size += 7) {
		memcpy(copy, image, size);
		assert_int_equal(cuda_image_read(&read, &n, a, copy, size), OG_BAD_FILE);
	}
	free(copy);
	arena_destroy(a);
}

/* ---- steps ------------------------------------------------------------------------------------ */

/* A 3 x 3 convolution of 1 pixel of padding, x [2, c, SIDE, SIDE], of so many groups. */
enum { SIDE = 40 };
typedef struct conv_case {
	og_tensor in[4], out;
	og_attr_value attr[8];
	backend_node node;
	program tail;
	int64_t pads[4];
	float *weights;
} conv_case;

static og_tensor tensor4(og_dtype type, int64_t n, int64_t c, int64_t h, int64_t w)
{
	return (og_tensor){ .dtype = type, .rank = 4, .dims = { n, c, h, w } };
}

static void make_case(conv_case *c, og_dtype type, int64_t channels, int64_t outputs, int64_t groups)
{
	const og_op *op = schema_find("", "Conv", 22);
	assert_non_null(op);
	*c = (conv_case){ .pads = { 1, 1, 1, 1 } };
	c->weights = calloc((size_t)(outputs * channels / groups * 9), sizeof(float));
	assert_non_null(c->weights);
	c->in[0] = tensor4(type, 2, channels, SIDE, SIDE);
	c->in[1] = tensor4(OG_F32, outputs, channels / groups, 3, 3);
	c->in[1].data = c->weights;
	c->out = tensor4(type, 2, outputs, SIDE, SIDE);
	for (int i = 0; op->attrs[i].name; i++) {
		if (!strcmp(op->attrs[i].name, "pads")) c->attr[i] = (og_attr_value){ .present = 1, .ints = c->pads, .n = 4 };
		if (!strcmp(op->attrs[i].name, "group")) c->attr[i] = (og_attr_value){ .present = 1, .i = groups };
	}
	c->node = (backend_node){ .name = "c",
	                          .op = op, .attr = c->attr, .n_in = 2, .n_anchor_in = 2, .n_out = 1, .in = c->in,
	                          .out = &c->out };
}

/* Adds input 2 with these dimensions. */
static void add_operand(conv_case *c, og_dtype type, int64_t n, int64_t k, int64_t h, int64_t w)
{
	c->in[2] = tensor4(type, n, k, h, w);
	c->node.n_in = 3;
	c->tail = (program){ .n_operands = 2, .n_regs = 3, .n_steps = 1, .operand = { -1, 2 }, .result = 2 };
	c->tail.step[0] = (program_step){ .op = schema_find("", "Add", 14), .in = { 0, 1 }, .out = 2 };
	c->node.tail = &c->tail;
}

static void expect_way(conv_case *c, const char *begins)
{
	const char *names[16];
	backend_kernel k;
	arena *a = arena_create();
	assert_non_null(a);
	assert_true(cuda_backend.tactics(names, 16, &c->node, 1) > 0);
	assert_int_equal(cuda_backend.prepare(&k, &c->node, names[0], 1, a), OG_OK);
	if (strncmp(k.tactic, begins, strlen(begins))) print_error("%s, not %s\n", k.tactic, begins);
	assert_true(!strncmp(k.tactic, begins, strlen(begins)));
	if (!strncmp(begins, "igemm", 5)) {              /* the same again by its full name, as a plan file has it */
		backend_kernel again;
		assert_int_equal(cuda_backend.prepare(&again, &c->node, k.tactic, 1, a), OG_OK);
		assert_string_equal(again.tactic, k.tactic);
		assert_int_equal(again.packed_bytes, k.packed_bytes);
		assert_int_equal(k.packs_input, 2);
		assert_int_equal(k.out_layout, LAYOUT_CHANNELS);
	}
	arena_destroy(a);
	free(c->weights);
}

static void test_which_way(void **state)
{
	static const struct { og_dtype type; int64_t channels, outputs, groups; const char *way; } cases[] = {
		{ OG_F16, 64, 64, 1, "igemm.wgmma." }, { OG_BF16, 64, 64, 1, "igemm.wgmma." },
		{ OG_F32, 64, 64, 1, "igemm.fma." },
		{ OG_F16, 60, 100, 1, "igemm.wgmma." }, { OG_F16, 3, 64, 1, "igemm.window." },
		{ OG_F32, 3, 64, 1, "igemm.fma." },
		{ OG_F16, 64, 64, 2, "product.direct" },
	};
	(void)state;
	for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
		conv_case c;
		make_case(&c, cases[k].type, cases[k].channels, cases[k].outputs, cases[k].groups);
		expect_way(&c, cases[k].way);
	}
	conv_case tf32;
	make_case(&tf32, OG_F32, 64, 64, 1);
	tf32.node.tf32 = true;
	expect_way(&tf32, "igemm.wgmma.");
	conv_case unknown;                               /* weights that are computed */
	make_case(&unknown, OG_F16, 64, 64, 1);
	unknown.in[1].data = NULL;
	expect_way(&unknown, "product.direct");
	conv_case add;
	make_case(&add, OG_F16, 64, 64, 1);
	add_operand(&add, OG_F32, 1, 64, 1, 1);
	expect_way(&add, "igemm.wgmma.");
}

static void test_which_tails(void **state)
{
	static const struct { int64_t dims[4]; bool taken; } cases[] = {
		{ { 2, 64, SIDE, SIDE }, true }, { { 1, 64, 1, 1 }, true }, { { 1, 1, 1, 1 }, true },
		{ { 1, 64, SIDE, SIDE }, false }, { { 2, 64, 1, 1 }, false },
		{ { 1, 1, SIDE, SIDE }, false },
	};
	(void)state;
	for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
		conv_case c;
		make_case(&c, OG_F32, 64, 64, 1);
		add_operand(&c, OG_F32, cases[k].dims[0], cases[k].dims[1], cases[k].dims[2], cases[k].dims[3]);
		assert_int_equal(cuda_backend.takes_tail(&c.node), cases[k].taken);
		free(c.weights);
	}
}

/* Weights in halves, channels first; rows of 60 channels are rounded up, and what is there is 0. */
static void test_packed_weights(void **state)
{
	conv_case c;
	backend_kernel k;
	arena *a = arena_create();
	(void)state;
	assert_non_null(a);
	make_case(&c, OG_F16, 60, 16, 1);
	for (int i = 0; i < 16 * 60 * 9; i++) c.weights[i] = (float)(i % 61) - 30.0f;
	assert_int_equal(cuda_backend.prepare(&k, &c.node, "igemm", 1, a), OG_OK);
	uint16_t *packed = aligned_alloc(64, (k.packed_bytes + 63) / 64 * 64);
	assert_non_null(packed);
	assert_int_equal(k.pack(&k, packed), OG_OK);
	for (int out = 0; out < 16; out++)
		for (int tap = 0; tap < 9; tap++)
			for (int ch = 0; ch < 64; ch++) {
				float want = ch < 60 ? c.weights[(out * 60 + ch) * 9 + tap] : 0.0f;
				assert_true(og_half_to_float(packed[(out * 9 + tap) * 64 + ch]) == want);
			}
	free(packed);
	free(c.weights);
	arena_destroy(a);
}

static int choose_target(void **state)
{
	(void)state;
	return setenv("OPGRAFT_CUDA_ARCH", "90a", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_archive_gives_back_what_it_took),
		cmocka_unit_test(test_damaged_archive_is_refused_or_sound),
		cmocka_unit_test(test_which_way),
		cmocka_unit_test(test_which_tails),
		cmocka_unit_test(test_packed_weights),
	};
	return cmocka_run_group_tests(tests, choose_target, NULL);
}
