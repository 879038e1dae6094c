/* op_case.h -- runs one op on inputs written as text, without a graph around it.
 *
 * "f32[2,3]{1 2 3 4 5 6} - i64[1]{0}; axes=[0,1], mode=SAME, p=2": inputs, '-' for one left out, then attributes.
 * Without values the elements are random: floats around 0, or above it with `positive`. */
#ifndef OP_CASE_H
#define OP_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"
#include "ops/number.h"
#include "schema/schema.h"

enum { CASE_ARGS = 8, CASE_ATTRS = 16, CASE_INTS = 16, CASE_GUARD = 64, CASE_PLAIN = -1 };

typedef struct op_case {
	const og_op *op;
	const char *text;
	og_dtype as;                         /* the type that "f32" stands for */
	uint64_t seed;
	bool positive;
	int n_in, n_out;
	og_tensor in[CASE_ARGS], out[CASE_ARGS];
	const og_tensor *inputs[CASE_ARGS];
	og_tensor *outputs[CASE_ARGS];
	og_attr_value attr[CASE_ATTRS];
	int64_t ints[CASE_ATTRS][CASE_INTS];
	char word[CASE_ATTRS][32];
} op_case;

/* ---- a host --------------------------------------------------------------------------------- */

static char case_sentence[1024];
static int64_t case_cut = 3;             /* work is cut into pieces of this size, the last one first */

static og_status case_fail(og_status status, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(case_sentence, sizeof case_sentence, format, list);
	va_end(list);
	return status;
}

/* Every unknown size has the same handle. */
static og_dim case_dim(og_infer *c, og_dim_op op, og_dim a, og_dim b)
{
	(void)c;
	if (op == OG_DIM_BROADCAST && (a == 1 || b == 1)) return a == 1 ? b : a;
	if (op == OG_DIM_UNKNOWN || a < 0 || b < 0) return -1;
	switch (op) {
	case OG_DIM_SUM: return a + b;
	case OG_DIM_SUB: return a - b;
	case OG_DIM_PROD: return a * b;
	case OG_DIM_MAX: return a > b ? a : b;
	case OG_DIM_MIN: return a < b ? a : b;
	case OG_DIM_FLOOR_DIV: return a / b;
	case OG_DIM_CEIL_DIV: return (a + b - 1) / b;
	case OG_DIM_EQUAL: return a == b;
	case OG_DIM_LESS: return a < b;
	default: return a == 1 ? b : a;
	}
}

static void case_parallel(const og_call *c, int64_t n, int64_t grain, void (*body)(void *, int64_t, int64_t), void *arg)
{
	(void)c;
	assert_true(grain >= 1);
	for (int64_t end = n, take; end > 0; end -= take) {
		take = case_cut < end ? case_cut : end;
		body(arg, end - take, end);
	}
}

static const og_host case_host = { OG_OP_ABI, case_fail, case_dim, case_parallel };

/* ---- reading -------------------------------------------------------------------------------- */

static uint64_t case_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

static double case_value(op_case *c, og_dtype t)
{
	double x = (double)(int64_t)(case_random(&c->seed) % 4001) / 1000.0 - 2.0;
	if (!number_is_float(t)) return floor(x * 8.0);
	return c->positive ? fabs(x) + 0.25 : x;
}

static int64_t case_list(const char **p, int64_t *to)
{
	int64_t n = 0;
	char *end;
	for ((*p)++; **p != ']'; *p = *end == ',' ? end + 1 : end) {
		assert_true(n < CASE_INTS);
		to[n++] = strtoll(*p, &end, 10);
		if (end == *p) fail_msg("a list at '%s'", *p);
	}
	(*p)++;
	return n;
}

static void *case_buffer(const og_tensor *t)
{
	size_t bytes = (size_t)og_count(t) * og_dtype_bytes(t->dtype);
	uint8_t *p = malloc(bytes + CASE_GUARD);
	assert_non_null(p);
	memset(p, 0xa5, bytes + CASE_GUARD);
	return p;
}

static void case_input(op_case *c, const char **p)
{
	og_tensor *t = &c->in[c->n_in];
	const char *start = *p;
	assert_true(c->n_in < CASE_ARGS);
	if (**p == '-') {
		(*p)++;
		c->inputs[c->n_in++] = NULL;
		return;
	}
	while (**p && **p != '[') (*p)++;
	t->dtype = base_dtype_find(start, (size_t)(*p - start));
	if (t->dtype == OG_NONE || **p != '[') fail_msg("an input at '%s'", start);
	if (t->dtype == OG_F32) t->dtype = c->as;
	t->rank = (int)case_list(p, t->dims);
	t->data = case_buffer(t);
	for (int64_t k = 0; k < og_count(t); k++) number_put(t, k, case_value(c, t->dtype));
	if (**p == '{') {
		(*p)++;
		for (int64_t k = 0; k < og_count(t); k++) {
			char *end;
			if (number_is_float(t->dtype)) number_put(t, k, strtod(*p, &end));
			else number_put_int(t, k, (int64_t)strtoull(*p, &end, 10));
			if (end == *p) fail_msg("a number at '%s'", *p);
			*p = end;
		}
		assert_int_equal(**p, '}');
		(*p)++;
	}
	c->inputs[c->n_in++] = t;
}

static int case_word(const char *words, const char *word)
{
	size_t n = strlen(word);
	for (int k = 0; words; k++) {
		if (!strncmp(words, word, n) && (words[n] == '|' || !words[n])) return k;
		words = strchr(words, '|');
		if (words) words++;
	}
	fail_msg("no word %s", word);
	return 0;
}

static void case_attribute(op_case *c, const char **p)
{
	const og_attr *declared = c->op->attrs;
	size_t n = strcspn(*p, "=");
	int k = 0;
	while (declared && declared[k].name && (strlen(declared[k].name) != n || strncmp(declared[k].name, *p, n))) k++;
	if (!declared || !declared[k].name) fail_msg("%s: no attribute at '%s'", c->op->name, *p);
	og_attr_value *a = &c->attr[k];
	*p += n + 1;
	a->present = 1;
	if (**p == '[') {
		a->n = case_list(p, c->ints[k]);
		a->ints = c->ints[k];
	} else if (declared[k].type == OG_ATTR_ENUM) {
		n = strcspn(*p, ", |");
		snprintf(c->word[k], sizeof c->word[k], "%.*s", (int)n, *p);
		a->i = case_word(declared[k].words, c->word[k]);
		*p += n;
	} else {
		char *end;
		double x = strtod(*p, &end);
		a->f = (float)x;
		a->i = (int64_t)x;
		*p = end;
	}
	*p += strspn(*p, ", ");
}

/* Reads up to the end or a '|', where *rest then points behind it. The caller sets as, seed and positive before. */
static void case_read(op_case *c, const og_op *op, const char *from, const char **rest)
{
	const char *p = from;
	c->op = op;
	c->text = from;
	c->n_in = c->n_out = 0;
	memset(c->attr, 0, sizeof c->attr);
	for (int k = 0; op->attrs && op->attrs[k].name; k++) {
		assert_true(k < CASE_ATTRS);
		c->attr[k].i = isfinite(op->attrs[k].value) ? (int64_t)op->attrs[k].value : 0;
		c->attr[k].f = (float)op->attrs[k].value;
	}
	for (p += strspn(p, " "); *p && *p != ';' && *p != '|'; p += strspn(p, " ")) case_input(c, &p);
	if (*p == ';')
		for (p += 1 + strspn(p + 1, " "); *p && *p != '|';) case_attribute(c, &p);
	*rest = *p == '|' ? p + 1 : p;
}

/* ---- running -------------------------------------------------------------------------------- */

/* Shape inference; the inputs' values are known to it. `hide`: no dimension is known. */
static og_status case_infer(op_case *c, int n_out, og_shape *out, bool hide)
{
	og_shape in[CASE_ARGS];
	schema_args ins, outs;
	memset(in, 0, sizeof in);
	assert_int_equal(schema_inputs(&ins, c->op), OG_OK);
	assert_int_equal(schema_outputs(&outs, c->op), OG_OK);
	c->n_out = n_out;
	for (int k = 0; k < CASE_ARGS; k++) {
		const og_tensor *t = k < c->n_in ? c->inputs[k] : NULL;
		in[k].rank = -1;
		if (!t) continue;
		in[k].dtype = t->dtype;
		in[k].rank = t->rank;
		for (int d = 0; d < t->rank; d++) in[k].dims[d] = hide ? -1 : t->dims[d];
		in[k].value = hide ? NULL : t;
	}
	for (int k = 0; k < n_out; k++) {
		out[k] = (og_shape){ .rank = -1 };
		for (int d = 0; d < OG_DTYPE_COUNT; d++)
			if (outs.arg[k].types == 1u << d) out[k].dtype = (og_dtype)d;
		for (int i = 0; i < ins.n && i < c->n_in && outs.arg[k].variable >= 0; i++)
			if (ins.arg[i].variable == outs.arg[k].variable && c->inputs[i]) out[k].dtype = c->inputs[i]->dtype;
	}
	og_infer infer = { .host = &case_host, .op = c->op, .attr = c->attr, .n_in = c->n_in, .n_out = n_out, .in = in,
	                   .out = out };
	return c->op->shape(&infer);
}

/* Outputs for the shapes inferred, with a guard behind each. */
static void case_outputs(op_case *c, const og_shape *shape)
{
	for (int k = 0; k < c->n_out; k++) {
		og_tensor *t = &c->out[k];
		if (shape[k].rank < 0) fail_msg("%s: no shape for '%s'", c->op->name, c->text);
		*t = (og_tensor){ .dtype = shape[k].dtype, .rank = shape[k].rank };
		for (int d = 0; d < t->rank; d++) {
			if (shape[k].dims[d] < 0) fail_msg("%s: dimension %d unknown for '%s'", c->op->name, d, c->text);
			t->dims[d] = shape[k].dims[d];
		}
		t->data = case_buffer(t);
		c->outputs[k] = t;
	}
}

/* isa: which kernel, or CASE_PLAIN for the definition. */
static og_status case_run(op_case *c, int isa)
{
	og_call call = { .host = &case_host, .op = c->op, .attr = c->attr, .n_in = c->n_in, .n_out = c->n_out,
	                 .in = c->inputs, .out = c->outputs };
	size_t bytes = c->op->workspace ? c->op->workspace(&call) : 0;
	call.workspace = bytes ? aligned_alloc(64, (bytes + 63) & ~(size_t)63) : NULL;
	og_status status = isa == CASE_PLAIN ? c->op->eval(&call) : c->op->cpu[isa](&call);
	free(call.workspace);
	for (int k = 0; k < c->n_out && status == OG_OK; k++) {
		const uint8_t *p = c->out[k].data;
		size_t end = (size_t)og_count(&c->out[k]) * og_dtype_bytes(c->out[k].dtype);
		for (size_t i = end; c->outputs[k] && i < end + CASE_GUARD; i++)
			if (p[i] != 0xa5) fail_msg("%s writes behind output %d of '%s'", c->op->name, k, c->text);
	}
	return status;
}

static void case_free(op_case *c)
{
	for (int k = 0; k < c->n_in; k++)
		if (c->inputs[k]) free(c->in[k].data);
	for (int k = 0; k < c->n_out; k++) free(c->out[k].data);
	c->n_in = c->n_out = 0;
}

#endif
