/* conform_case.c -- reading .cases, changing them, and running an op on them between guards.
 *
 *   case := input {' ' input} [';' name '=' value {',' name '=' value}]        cases are separated by '|'
 *   input := '-' | type '[' sizes ']' ['{' numbers '}']                        "f32[2,3] i64[1]{0}; axis=1, mode=tanh, pads=[0,1]" */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/thread.h"
#include "graph/graph.h"
#include "kit/conform.h"

/* ---- reading ----------------------------------------------------------------------------------- */

typedef struct reader { conform *v; const char *start, *at, *end; } reader;

static og_status malformed(const reader *r, const char *what)
{
	return base_fail(OG_BAD_FILE, "op %s, .cases at '%.24s': %s; a case looks like f32[2,3] f32[3]; axis=1", r->v->op->name, r->at, what);
}

static void skip_space(reader *r) { while (r->at < r->end && isspace((unsigned char)*r->at)) r->at++; }

static bool take(reader *r, char c)
{
	skip_space(r);
	if (r->at == r->end || *r->at != c) return false;
	r->at++;
	return true;
}

static bool take_number(reader *r, double *out)
{
	char *end;
	skip_space(r);
	*out = strtod(r->at, &end);
	if (end == r->at || end > r->end) return false;
	r->at = end;
	return true;
}

size_t conform_bytes(const og_tensor *t) { return base_dtype_span(t->dtype, (uint64_t)og_count(t)); }

/* One element from a double; formats without a C type stay 0. */
static void put(og_tensor *t, int64_t k, double x)
{
	char *at = (char *)t->data + (size_t)k * og_dtype_bytes(t->dtype);
	uint16_t half = t->dtype == OG_F16 ? base_float_to_half((float)x) : base_float_to_bfloat((float)x);
	float single = (float)x;
	int64_t whole = (int64_t)x;
	switch (t->dtype) {
	case OG_F32: memcpy(at, &single, sizeof single); break;
	case OG_F64: memcpy(at, &x, sizeof x); break;
	case OG_F16: case OG_BF16: memcpy(at, &half, sizeof half); break;
	case OG_BOOL: *at = x != 0; break;
	default: memcpy(at, &whole, og_dtype_bytes(t->dtype)); break;      /* little-endian */
	}
}

static og_status read_values(reader *r, conform_case *c, int k)
{
	og_tensor *t = &c->in[k];
	double x;
	t->data = arena_aligned(r->v->a, conform_bytes(t) + 8, 64);
	NEED(t->data);
	for (int64_t i = 0; i < og_count(t); i++) {
		if (!take_number(r, &x)) return malformed(r, "fewer values than elements");
		put(t, i, x);
	}
	c->fixed[k] = true;
	return take(r, '}') ? OG_OK : malformed(r, "more values than elements");
}

static og_status read_input(reader *r, conform_case *c)
{
	double size;
	size_t n = 0;
	if (c->n_in == SCHEMA_MAX_ARGS) return malformed(r, "too many inputs");
	og_tensor *t = &c->in[c->n_in++];
	*t = (og_tensor){ .dtype = OG_NONE };
	if (take(r, '-')) return OG_OK;
	while (r->at + n < r->end && isalnum((unsigned char)r->at[n])) n++;
	t->dtype = base_dtype_find(r->at, n);
	if (t->dtype == OG_NONE) return malformed(r, "no type");
	r->at += n;
	if (!take(r, '[')) return malformed(r, "no sizes in [ ]");
	while (!take(r, ']')) {
		if (t->rank == OG_MAX_RANK || !take_number(r, &size) || size < 0 || size > 1 << 20) return malformed(r, "no size");
		t->dims[t->rank++] = (int64_t)size;
		(void)take(r, ',');
	}
	return take(r, '{') ? read_values(r, c, c->n_in - 1) : OG_OK;
}

static og_status read_list(reader *r, og_attr_value *value)
{
	enum { MOST = 32 };
	int64_t *ints = arena_array(r->v->a, MOST, sizeof *ints);
	float *floats = arena_array(r->v->a, MOST, sizeof *floats);
	double x;
	if (!ints || !floats) return base_no_memory();
	value->ints = ints;
	value->floats = floats;
	while (!take(r, ']')) {
		if (value->n == MOST || !take_number(r, &x)) return malformed(r, "no list of numbers");
		ints[value->n] = (int64_t)x;
		floats[value->n++] = (float)x;
		(void)take(r, ',');
	}
	return OG_OK;
}

static og_status read_attribute(reader *r, conform_case *c)
{
	const char *name = (skip_space(r), r->at);
	double x;
	int k = 0;
	while (r->at < r->end && (isalnum((unsigned char)*r->at) || *r->at == '_')) r->at++;
	size_t n = (size_t)(r->at - name);
	const og_attr *d = r->v->op->attrs;
	for (; k < r->v->n_attrs; k++)
		if (strlen(d[k].name) == n && !memcmp(d[k].name, name, n)) break;
	if (k == r->v->n_attrs) return r->at = name, malformed(r, "no attribute of the op");
	og_attr_value *value = &c->attr[k];
	if (!take(r, '=')) return malformed(r, "no '='");
	*value = (og_attr_value){ .present = 1 };
	if (take(r, '[')) return read_list(r, value);
	if ((d[k].type == OG_ATTR_INT || d[k].type == OG_ATTR_FLOAT) && take_number(r, &x)) {
		value->i = d[k].type == OG_ATTR_INT ? (int64_t)x : 0;
		value->f = (float)x;
		return schema_attr_check(&d[k], x) == OG_OK ? OG_OK : base_fail_in(OG_BAD_FILE, "op %s, .cases", r->v->op->name);
	}
	const char *word = (skip_space(r), r->at);
	while (r->at < r->end && *r->at != ',' && !isspace((unsigned char)*r->at)) r->at++;
	value->s = arena_strndup(r->v->a, word, (size_t)(r->at - word));
	NEED(value->s);
	value->n = r->at - word;
	if (d[k].type != OG_ATTR_ENUM) return OG_OK;
	value->i = schema_attr_word(&d[k], value->s);
	value->f = (float)value->i;
	return value->i >= 0 ? OG_OK : base_fail_in(OG_BAD_FILE, "op %s, .cases", r->v->op->name);
}

static og_attr_value *defaults(conform *v)
{
	og_attr_value *attr = arena_array(v->a, (size_t)v->n_attrs + 1, sizeof *attr);
	for (int k = 0; attr && k < v->n_attrs; k++)
		attr[k] = (og_attr_value){ .i = (int64_t)v->op->attrs[k].value, .f = (float)v->op->attrs[k].value };
	return attr;
}

static og_status read_case(reader *r, conform_case *c)
{
	conform *v = r->v;
	*c = (conform_case){ .attr = defaults(v) };
	NEED(c->attr);
	skip_space(r);
	while (r->end > r->at && isspace((unsigned char)r->end[-1])) r->end--;
	snprintf(c->words, sizeof c->words, "%.*s", (int)(r->end - r->at), r->at);
	while (skip_space(r), r->at < r->end && *r->at != ';') TRY(read_input(r, c));
	if (take(r, ';'))
		do TRY(read_attribute(r, c)); while (take(r, ','));
	if (skip_space(r), r->at < r->end) return malformed(r, "something unexpected");
	c->n_out = 0;
	for (int k = 0; k < v->out.n; k++) c->n_out++;
	if (conform_infer(v, c) == OG_OK) return OG_OK;
	return base_fail_in(OG_BAD_FILE, "op %s, .cases, '%s' is not legal", v->op->name, c->words);
}

og_status conform_read_cases(conform_case **out, size_t *n, conform *v)
{
	const char *s = v->op->cases;
	char plain[96] = "";
	if (!s && !v->op->ref)
		return base_fail(OG_BAD_FILE, "op %s has no .cases: give shapes that it takes, such as \"f32[2,3,5] | f32[0,3]\"", v->op->name);
	for (int k = 0; !s && k < v->op->map_inputs; k++) strcat(plain, k ? " f32[2,3,5]" : "f32[2,3,5]");
	if (!s) s = plain;
	size_t count = 1;
	for (const char *at = s; *at; at++) count += *at == '|';
	*out = arena_array(v->a, count, sizeof **out);
	NEED(*out);
	*n = count;
	for (size_t k = 0; k < count; k++) {
		reader r = { v, s, s, s + strcspn(s, "|") };
		TRY(read_case(&r, &(*out)[k]));
		s += strcspn(s, "|");
		s += *s == '|';
	}
	return OG_OK;
}

og_status kit_check_cases(const og_op *op)
{
	conform_case *cases;
	size_t n;
	conform v = { .op = op, .a = arena_create(), .scratch = graph_model_create(), .n_attrs = schema_attr_count(op) };
	og_status status = v.a && v.scratch ? schema_arguments(&v.in, &v.out, op) : base_no_memory();
	if (status == OG_OK) status = conform_read_cases(&cases, &n, &v);
	graph_model_destroy(v.scratch);
	arena_destroy(v.a);
	return status;
}

/* ---- changing ---------------------------------------------------------------------------------- */

/* The k-th different size that a case has; -1. */
static int64_t size_of(const conform_case *c, int k)
{
	int64_t seen[SCHEMA_MAX_ARGS * OG_MAX_RANK];
	int n = 0;
	for (int i = 0; i < c->n_in; i++)
		for (int d = 0; c->in[i].dtype != OG_NONE && !c->fixed[i] && d < c->in[i].rank; d++) {
			int j = 0;
			while (j < n && seen[j] != c->in[i].dims[d]) j++;
			if (j == n) seen[n++] = c->in[i].dims[d];
		}
	return k < n ? seen[k] : -1;
}

static void change_sizes(conform_case *c, int64_t from, int64_t to)
{
	for (int i = 0; i < c->n_in; i++)
		for (int d = 0; c->in[i].dtype != OG_NONE && !c->fixed[i] && d < c->in[i].rank; d++)
			if (c->in[i].dims[d] == from) c->in[i].dims[d] = to;
}

/* Attribute values to try: ends of its range, or numbers that people forget. The index among them in k; false: no more. */
static bool change_attribute(conform_case *c, conform *v, int k)
{
	static const double odd[] = { 0, 1, -1, 3, -5, 1000 };
	enum { N = sizeof odd / sizeof *odd };
	const og_attr *d = &v->op->attrs[k / N];
	if (k / N >= v->n_attrs) return false;
	double value = odd[k % N];
	if (d->low < d->high) value = k % N ? d->high : d->low;
	og_attr_value *attr = defaults(v);
	if (!attr) return false;
	memcpy(attr, c->attr, (size_t)v->n_attrs * sizeof *attr);
	c->attr = attr;
	bool number = d->type == OG_ATTR_INT || (d->type == OG_ATTR_FLOAT && d->low < d->high);
	if (!number || (d->low < d->high && k % N > 1)) return true;
	attr[k / N] = (og_attr_value){ .present = 1, .i = d->type == OG_ATTR_INT ? (int64_t)value : 0, .f = (float)value };
	size_t used = strlen(c->words);
	snprintf(c->words + used, sizeof c->words - used, "%s %s=%g", strchr(c->words, ';') ? "," : ";", d->name, value);
	return true;
}

static bool make_scalars(conform_case *c)
{
	for (int i = 0; i < c->n_in; i++)
		if (!c->fixed[i]) c->in[i].rank = 0;
	snprintf(c->words + strlen(c->words), sizeof c->words - strlen(c->words), " as scalars");
	return true;
}

bool conform_vary(conform_case *out, conform *v, const conform_case *c, int k)
{
	static const int64_t others[] = { 0, 1, 2, 17, 33 };
	enum { N = sizeof others / sizeof *others + 1 };
	*out = *c;
	if (k-- == 0) return true;
	for (int i = 0; i < out->n_in; i++)
		if (!out->fixed[i]) out->in[i].data = NULL;
	int64_t size;
	int sizes = 0;
	while ((size = size_of(c, sizes)) >= 0) {
		if (k / N == sizes) {
			int64_t to = k % N < N - 1 ? others[k % N] : size + 1;
			change_sizes(out, size, to);
			size_t used = strlen(out->words);
			snprintf(out->words + used, sizeof out->words - used, " with %lld for %lld", (long long)to, (long long)size);
			return true;
		}
		sizes++;
	}
	k -= sizes * N;
	if (k-- == 0) return make_scalars(out);
	return change_attribute(out, v, k);
}

bool conform_fill(conform *v, conform_case *c)
{
	for (int i = 0; i < c->n_in; i++) {
		og_tensor *t = &c->in[i];
		if (t->dtype == OG_NONE || t->data) continue;
		t->data = arena_aligned(v->a, conform_bytes(t) + 8, 64);
		if (!t->data) return conform_fail(v, "memory ran out"), false;
		bool real = t->dtype == OG_F32 || t->dtype == OG_F64 || t->dtype == OG_F16 || t->dtype == OG_BF16;
		for (int64_t k = 0; k < og_count(t) && og_dtype_bytes(t->dtype); k++) {
			double x = (double)(int32_t)conform_random(v) * 0x1p-30;
			put(t, k, real ? x : x > 1 ? 1 : 0);
		}
	}
	return true;
}

og_status conform_infer(conform *v, conform_case *c)
{
	og_shape in[SCHEMA_MAX_ARGS + 1];
	bool present[SCHEMA_MAX_ARGS + 1];
	og_infer ask = { .host = &schema_host, .op = v->op, .attr = c->attr, .n_in = c->n_in, .n_out = c->n_out, .out = c->out,
	                 .context = v->scratch };
	for (int k = 0; k < SCHEMA_MAX_ARGS; k++) {
		present[k] = k < c->n_in && c->in[k].dtype != OG_NONE;
		in[k] = (og_shape){ .rank = -1 };
		c->out[k] = (og_shape){ .rank = -1 };
		if (!present[k]) continue;
		in[k] = (og_shape){ .dtype = c->in[k].dtype, .rank = c->in[k].rank, .value = c->in[k].data ? &c->in[k] : NULL };
		memcpy(in[k].dims, c->in[k].dims, sizeof in[k].dims);
	}
	return schema_ask(&v->in, &v->out, &ask, in, present);
}

/* ---- running ----------------------------------------------------------------------------------- */

static void in_pieces(const og_call *c, int64_t n, int64_t grain, void (*body)(void *arg, int64_t begin, int64_t end), void *arg)
{
	const conform_way *way = c->context;
	int64_t piece = way->cut > 0 ? way->cut : n;
	if (way->cut < 0) {
		pool *threads;
		if (pool_create(&threads, (int)-way->cut) != OG_OK) return;
		pool_run(threads, n, grain > 0 ? 1 : grain, body, arg);
		pool_destroy(threads);
		return;
	}
	for (int64_t end = n; end > 0; end -= piece) body(arg, end > piece ? end - piece : 0, end);
}

const char *conform_name(conform *v, const char *what, const schema_args *args, int k)
{
	const schema_arg *arg = schema_arg_at(args, k);
	return arena_printf(v->a, "%s '%s'", what, arg ? arg->name : "?");
}

og_status conform_run(conform *v, const conform_case *c, const conform_way *way, og_tensor *out)
{
	const og_tensor *inputs[SCHEMA_MAX_ARGS] = { NULL };
	og_tensor in[SCHEMA_MAX_ARGS], made[SCHEMA_MAX_ARGS], *outputs[SCHEMA_MAX_ARGS] = { NULL };
	og_host host = schema_host;
	host.parallel = in_pieces;
	og_call call = { .host = &host, .op = v->op, .attr = c->attr, .n_in = c->n_in, .n_out = c->n_out, .in = inputs, .out = outputs,
	                 .context = (void *)(uintptr_t)way };
	conform_guard_free_all();
	for (int k = 0; k < c->n_in; k++) {
		if (c->in[k].dtype == OG_NONE) continue;
		in[k] = c->in[k];
		in[k].data = conform_guard(conform_bytes(&in[k]), way->at_end, way->poison, conform_name(v, "input", &v->in, k));
		NEED(in[k].data);
		if (conform_bytes(&in[k])) memcpy(in[k].data, c->in[k].data, conform_bytes(&in[k]));
		conform_guard_lock(in[k].data);
		inputs[k] = &in[k];
	}
	for (int k = 0; k < c->n_out; k++) {
		made[k] = (og_tensor){ .dtype = c->out[k].dtype, .rank = c->out[k].rank };
		for (int d = 0; d < made[k].rank; d++) made[k].dims[d] = c->out[k].dims[d];
		made[k].data = conform_guard(conform_bytes(&made[k]), way->at_end, way->poison, conform_name(v, "output", &v->out, k));
		NEED(made[k].data);
		outputs[k] = &made[k];
	}
	size_t asked = v->op->workspace ? v->op->workspace(&call) : 0, room = (asked + 63) / 64 * 64;
	if (v->op->workspace) {
		call.workspace = conform_guard(room, true, way->poison, "its workspace");
		NEED(call.workspace);
	}
	TRY((way->isa < 0 ? v->op->eval : v->op->cpu[way->isa])(&call));
	for (size_t k = asked; k < room; k++)
		if (((uint8_t *)call.workspace)[k] != way->poison)
			conform_fail(v, "%s: it writes byte %zu of its workspace, and .workspace asks for %zu", c->words, k, asked);
	for (int k = 0; k < c->n_out; k++) {
		out[k] = made[k];
		out[k].data = arena_aligned(v->a, conform_bytes(&made[k]) + 1, 64);
		NEED(out[k].data);
		memcpy(out[k].data, made[k].data, conform_bytes(&made[k]));
	}
	return OG_OK;
}
