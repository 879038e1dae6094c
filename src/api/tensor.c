/* tensor.c -- tensors of the public interface: made, read, written, compared. */
#include <math.h>

#include "base/npy.h"
#include "graph/graph.h"
#include "onnx/onnx.h"
#include "opgraft.h"

og_status og_tensor_create(og_tensor **out, og_dtype dtype, int rank, const int64_t *dims)
{
	int64_t count;
	size_t bytes;
	*out = NULL;
	if (rank < 0 || rank > OG_MAX_RANK || !base_count(dims, rank, &count) ||
	    (bytes = base_dtype_span(dtype, (uint64_t)count)) == SIZE_MAX || bytes > SIZE_MAX / 2)
		return base_fail(OG_USAGE, "a tensor of rank %d and type %s cannot be made", rank, base_dtype_name(dtype));
	size_t head = (sizeof(og_tensor) + 63) & ~(size_t)63;
	og_tensor *t = base_alloc_aligned(head + bytes, 64);
	NEED(t);
	memset(t, 0, head + bytes);
	t->dtype = dtype;
	t->rank = rank;
	for (int i = 0; i < rank; i++) t->dims[i] = dims[i];
	t->data = (uint8_t *)t + head;
	*out = t;
	return OG_OK;
}

void og_tensor_free(og_tensor *t) { base_free(t); }

size_t og_tensor_bytes(const og_tensor *t)
{
	int64_t count;
	return base_count(t->dims, t->rank, &count) ? base_dtype_span(t->dtype, (uint64_t)count) : SIZE_MAX;
}

static og_status keep(og_tensor **out, const og_tensor *t)
{
	TRY(og_tensor_create(out, t->dtype, t->rank, t->dims));
	size_t bytes = og_tensor_bytes(t);
	if (bytes) memcpy((*out)->data, t->data, bytes);
	return OG_OK;
}

og_status og_tensor_load(og_tensor **out, const char *path)
{
	file_map f;
	og_tensor t;
	*out = NULL;
	TRY(file_open(&f, path));
	bool npy = f.size >= 6 && !memcmp(f.data, "\x93NUMPY", 6);
	file_close(&f);
	arena *a = arena_create();
	NEED(a);
	og_status status = npy ? npy_read(&t, a, path) : onnx_read_tensor(&t, a, path, NULL);
	if (status == OG_OK && !t.data && og_tensor_bytes(&t))
		status = base_fail(OG_UNSUPPORTED, "%s: tensors of type %s are not supported", path, base_dtype_name(t.dtype));
	if (status == OG_OK) status = keep(out, &t);
	arena_destroy(a);
	return status;
}

og_status og_tensor_save(const og_tensor *t, const char *path) { return npy_write(t, path); }

/* ---- comparing ------------------------------------------------------------------------------ */

/* Floats in the order of their values as integers, so that neighbours differ by 1. */
static int64_t ordered(float x)
{
	int32_t i;
	memcpy(&i, &x, sizeof i);
	return i < 0 ? (int64_t)INT32_MIN - i : i;
}

static double ulps(double a, double b)
{
	if (isnan(a) || isnan(b)) return isnan(a) && isnan(b) ? 0 : 4294967296.0;
	return fabs((double)(ordered((float)a) - ordered((float)b)));
}

static og_status same_shape(const og_tensor *a, const og_tensor *b)
{
	bool same = a->dtype == b->dtype && a->rank == b->rank;
	for (int i = 0; same && i < a->rank; i++) same = a->dims[i] == b->dims[i];
	if (same) return OG_OK;
	text t = { 0 };
	graph_print_type(&t, NULL, a->dtype, a->rank, a->dims);
	text_add(&t, " and ");
	graph_print_type(&t, NULL, b->dtype, b->rank, b->dims);
	char *s = text_take(&t);
	NEED(s);
	og_status status = base_fail(OG_NO, "types or shapes differ: %s", s);
	base_free(s);
	return status;
}

og_status og_compare(og_difference *out, const og_tensor *a, const og_tensor *b, double rtol, double atol)
{
	int64_t n;
	double largest = 0;
	*out = (og_difference){ .worst = -1 };
	TRY(same_shape(a, b));
	if (!og_dtype_bytes(a->dtype) && base_dtype_span(a->dtype, 1) != SIZE_MAX) {
		out->mismatches = memcmp(a->data, b->data, og_tensor_bytes(a)) != 0;      /* packed integers: equal or not */
		return OG_OK;
	}
	if (!og_dtype_bytes(a->dtype) || !base_count(a->dims, a->rank, &n))
		return base_fail(OG_UNSUPPORTED, "tensors of type %s cannot be compared", base_dtype_name(a->dtype));
	for (int64_t i = 0; i < n; i++) {
		double x = graph_tensor_double(a, i), y = graph_tensor_double(b, i), d = x == y ? 0 : fabs(x - y);
		out->nan_a += isnan(x);
		out->nan_b += isnan(y);
		if (isfinite(y) && fabs(y) > largest) largest = fabs(y);
		if (isnan(x) && isnan(y)) d = 0;
		if (!(d <= atol + rtol * fabs(y)) && d != 0) out->mismatches++;
		if (isnan(d)) d = INFINITY;
		if (d > out->max_abs || out->worst < 0) {
			out->max_abs = d;
			out->worst = i;
		}
		double u = a->dtype == OG_F32 ? ulps(x, y) : 0;
		if (u > out->ulp) out->ulp = u;
	}
	out->max_rel = out->max_abs == 0 ? 0 : out->max_abs / largest;
	return OG_OK;
}
