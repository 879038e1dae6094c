/* diff_weights.c -- how far apart two constants are. Data is read a stretch at a time, and what lies in a mapped file is
 * let go again, so that weights of any size need little memory. */
#include <math.h>

#include "onnx/fields.h"
#include "surgery/diff.h"

enum { STRETCH = 1 << 22 };              /* bytes */

static void forget(const og_model *m, const void *p, size_t n)
{
	if (n < STRETCH) return;
	for (size_t i = 0; i < m->n_files; i++) file_forget(&m->files[i], p, n);
}

static size_t span_of(const og_tensor *t)
{
	int64_t count;
	return base_count(t->dims, t->rank, &count) ? base_dtype_span(t->dtype, (uint64_t)count) : SIZE_MAX;
}

static bool same_shape(const og_tensor *a, const og_tensor *b)
{
	return a->rank == b->rank && !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
}

static bool same_bytes(const diff *d, const og_tensor *a, const og_tensor *b)
{
	size_t n = span_of(a);
	const uint8_t *p = a->data, *q = b->data;
	bool same = true;
	if (n == SIZE_MAX) return false;
	for (size_t at = 0, step; same && at < n && p != q; at += step) {
		step = n - at < STRETCH ? n - at : STRETCH;
		same = !memcmp(p + at, q + at, step);
		forget(d->a, p + at, step);
		forget(d->b, q + at, step);
	}
	return same;
}

/* The next field of a TensorProto that is not its name or a comment. */
static void next_field(wire_reader *w, wire_field *f)
{
	do {
		if (wire_next(w, f) != OG_OK) *f = (wire_field){ 0 };
	} while (f->number == TENSOR_name || f->number == TENSOR_doc_string);
}

/* Of strings, and of sparse tensors, the graph has the shape only. */
static bool same_messages(graph_bytes a, graph_bytes b)
{
	wire_reader v = onnx_open(ONNX_TENSOR, a, a.p), w = onnx_open(ONNX_TENSOR, b, b.p);
	wire_field f, g;
	if (a.n == b.n && (a.n == 0 || !memcmp(a.p, b.p, a.n))) return true;
	do {
		next_field(&v, &f);
		next_field(&w, &g);
		if (f.number != g.number || f.whole.n != g.whole.n) return false;
		if (f.whole.n && memcmp(f.whole.p, g.whole.p, f.whole.n)) return false;
	} while (f.number);
	return true;
}

static bool is_number(og_dtype t)
{
	return t != OG_STRING && t != OG_C64 && t != OG_C128 && base_dtype_span(t, 2) >= 2;
}

typedef struct sums { double of_a, of_difference, most; int64_t differ; } sums;

static void add(sums *s, double a, double b)
{
	s->of_a += a * a;
	if (a == b || (isnan(a) && isnan(b))) return;
	double e = fabs(a - b);
	s->differ++;
	s->of_difference += e * e;
	if (!(e <= s->most)) s->most = e;            /* a NaN stays */
}

/* Numbers that take more than 53 bits are rounded: see `differ` of 64-bit integers as a lower bound. */
static void measure(const diff *d, diff_weight *w)
{
	const og_tensor *a = w->a, *b = w->b;
	const bool floats = a->dtype == OG_F32 && b->dtype == OG_F32;
	const size_t size_a = base_dtype_span(a->dtype, 1), size_b = base_dtype_span(b->dtype, 1);
	const uint8_t *p = a->data, *q = b->data;
	const int64_t step = STRETCH / 4;
	sums s = { 0 };
	for (int64_t at = 0; at < w->count; at += step) {
		int64_t end = w->count - at < step ? w->count : at + step;
		for (int64_t i = at; i < end; i++) {
			if (floats) {
				float x, y;
				memcpy(&x, p + 4 * i, sizeof x);
				memcpy(&y, q + 4 * i, sizeof y);
				add(&s, (double)x, (double)y);
			} else {
				add(&s, graph_tensor_double(a, i), graph_tensor_double(b, i));
			}
		}
		forget(d->a, p + (size_t)at * size_a, (size_t)(end - at) * size_a);
		forget(d->b, q + (size_t)at * size_b, (size_t)(end - at) * size_b);
	}
	w->differ = s.differ;
	w->max_abs = s.most;
	w->relative = s.of_difference == 0 ? 0 : s.of_a > 0 ? sqrt(s.of_difference / s.of_a) : (double)INFINITY;
	w->measured = true;
}

bool diff_weights_same(const og_tensor *a, const og_tensor *b)
{
	size_t n = span_of(a);
	if (a->dtype != b->dtype || !same_shape(a, b)) return false;
	if (a->data == b->data || n == 0) return true;
	return a->data && b->data && n != SIZE_MAX && !memcmp(a->data, b->data, n);
}

og_status diff_weights_put(diff *d, diff_graph *g, const diff_weight *w)
{
	diff_weight *grown = arena_grow(d->arena, g->weights, g->n_weights, &g->cap_weights, g->n_weights + 1, sizeof *grown);
	NEED(grown);
	g->weights = grown;
	g->weights[g->n_weights++] = *w;
	return OG_OK;
}

og_status diff_weights_compare(diff *d, diff_graph *g, diff_weight *w, graph_bytes bytes_a, graph_bytes bytes_b)
{
	const og_tensor *a = w->a, *b = w->b;
	bool shapes = same_shape(a, b);
	if (!a->data || !b->data) {
		if (a->dtype == b->dtype && shapes && same_messages(bytes_a, bytes_b)) return OG_OK;
		return diff_weights_put(d, g, w);
	}
	if (a->dtype == b->dtype && shapes && same_bytes(d, a, b)) return OG_OK;
	if (shapes && is_number(a->dtype) && is_number(b->dtype) && base_count(a->dims, a->rank, &w->count)) measure(d, w);
	return diff_weights_put(d, g, w);
}
