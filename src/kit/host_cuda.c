/* host_cuda.c -- the host's side of the GPU: a context, memory between guards, values, and what the CPU makes of
 * them. */
#include <math.h>

#include "graph/graph.h"
#include "kit/host.h"
#include "schema/schema.h"

/* ---- the device ------------------------------------------------------------------------------------- */

bool host_gpu(host *h)
{
	const driver_api *api = driver_open();
	void *context;
	int device;
	bool whole = api != NULL;
	if (!api) return host_skip(h, "there is no CUDA driver (libcuda.so.1) on this machine");
#define X(name, arguments) whole &= api->name != NULL;
	DRIVER_HOST_MAP(X)
#undef X
	if (!whole) return host_skip(h, "the CUDA driver is too old: version 12 is needed");
	if (api->cuInit(0) || api->cuDeviceGet(&device, 0)) return host_skip(h, "the CUDA driver finds no GPU");
	h->cuda = api;
	return host_cuda_ok(h, api->cuDevicePrimaryCtxRetain(&context, device), "making a CUDA context") &&
	       host_cuda_ok(h, api->cuCtxSetCurrent(context), "making a CUDA context current");
}

bool host_cuda_ok(host *h, int error, const char *what)
{
	return driver_try(error, what) == OG_OK || host_fail(h, "%s", base_error());
}

/* ---- memory between guards ------------------------------------------------------------------------------ */

enum { GUARD = 4096, GUARD_BYTE = 0xa5 };

bool host_block_new(host *h, host_block *b, size_t bytes)
{
	*b = (host_block){ .bytes = bytes };
	if (bytes > SIZE_MAX - 2 * GUARD ||
	    !host_cuda_ok(h, h->cuda->cuMemAlloc_v2(&b->base, bytes + 2 * GUARD), "taking memory on the device"))
		return host_fail(h, "a tensor is too large for memory");
	b->at = b->base + GUARD;
	return true;
}

void host_block_free(host *h, host_block *b)
{
	if (b->base) (void)h->cuda->cuMemFree_v2(b->base);
	*b = (host_block){ .base = 0 };
}

bool host_block_set(host *h, const host_block *b, const void *data, uint8_t poison)
{
	const driver_api *api = h->cuda;
	int error = api->cuMemsetD8_v2(b->base, GUARD_BYTE, GUARD);
	if (!error) error = api->cuMemsetD8_v2(b->at + b->bytes, GUARD_BYTE, GUARD);
	if (!error && b->bytes)
		error = data ? api->cuMemcpyHtoD_v2(b->at, data, b->bytes) : api->cuMemsetD8_v2(b->at, poison, b->bytes);
	return host_cuda_ok(h, error, "filling memory on the device");
}

bool host_block_get(host *h, const host_block *b, void *data, int64_t *outside)
{
	uint8_t guards[2][GUARD];
	*outside = HOST_WHOLE;
	if ((data && b->bytes &&
	     !host_cuda_ok(h, h->cuda->cuMemcpyDtoH_v2(data, b->at, b->bytes), "reading memory of the device")) ||
	    !host_cuda_ok(h, h->cuda->cuMemcpyDtoH_v2(guards[0], b->base, GUARD), "reading memory of the device") ||
	    !host_cuda_ok(h, h->cuda->cuMemcpyDtoH_v2(guards[1], b->at + b->bytes, GUARD), "reading memory of the device"))
		return false;
	for (int64_t k = 0; k < GUARD && *outside == HOST_WHOLE; k++) {
		if (guards[1][k] != GUARD_BYTE) *outside = (int64_t)b->bytes + k;
		else if (guards[0][GUARD - 1 - k] != GUARD_BYTE) *outside = -1 - k;
	}
	return true;
}

/* ---- values ------------------------------------------------------------------------------------------------ */

size_t host_bytes(const og_tensor *t) { return base_dtype_span(t->dtype, (uint64_t)og_count(t)); }

static uint32_t next_random(host *h)
{
	h->seed = h->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(h->seed >> 32);
}

static float any_float(host *h)
{
	static const float special[] = {
		0.0f,       -0.0f,     1.0f,       -1.0f,           (float)INFINITY, -(float)INFINITY,
		(float)NAN, 0x1p-149f, -0x1p-126f, 0x1.fffffep127f, 65504.0f,        -3.0f
	};
	uint32_t bits = next_random(h);
	float x;
	memcpy(&x, &bits, sizeof x);
	if (bits % 4 == 0) x = special[next_random(h) % (sizeof special / sizeof *special)];
	return bits % 4 == 1 ? (float)(int32_t)next_random(h) * 0x1p-29f : x;
}

static void put(og_tensor *t, size_t k, host *h, bool any)
{
	char *at = (char *)t->data + k * og_dtype_bytes(t->dtype);
	uint32_t bits = next_random(h);
	float x = any ? any_float(h) : (float)(int32_t)bits * 0x1p-29f;
	int64_t whole = (int64_t)(bits >> 30);
	uint16_t half = t->dtype == OG_F16 ? base_float_to_half(x) : base_float_to_bfloat(x);
	switch (t->dtype) {
	case OG_F32: memcpy(at, &x, sizeof x); break;
	case OG_F16: case OG_BF16: memcpy(at, &half, sizeof half); break;
	case OG_BOOL: *at = (char)(bits >> 31); break;
	case OG_F8E4M3FN: *at = (char)(bits >> 24 & 0xb7); break;        /* no NaN, no large ones */
	default: memcpy(at, &whole, og_dtype_bytes(t->dtype)); break;      /* 0 to 3, little-endian */
	}
}

bool host_fill(host *h, host_data *out, const host_case *c, const int32_t *type, bool any)
{
	for (int k = 0; k < c->n_in; k++) {
		og_tensor *t = &out->t[k];
		*t = (og_tensor){ .dtype = host_dtype(type[k]), .rank = c->in[k].nbDims };
		memcpy(t->dims, c->in[k].d, sizeof t->dims);
		size_t bytes = host_bytes(t);
		if (bytes == SIZE_MAX || !(t->data = arena_aligned(h->a, bytes + 8, 64))) return host_fail(h, "memory ran out");
		for (size_t i = 0, n = (size_t)og_count(t); i < n; i++) put(t, i, h, any);
	}
	return true;
}

/* ---- by the CPU ------------------------------------------------------------------------------------------------ */

static og_status set_attribute(graph_node *node, arena *a, const og_attr *d, const trt_field *f)
{
	double x = 0;
	int64_t *ints = arena_array(a, (size_t)f->length + 1, sizeof *ints);
	float *floats = arena_array(a, (size_t)f->length + 1, sizeof *floats);
	NEED(ints && floats);
	for (int32_t k = 0; k < f->length && host_number_at(&x, f, k); k++) ints[k] = (int64_t)x, floats[k] = (float)x;
	switch (d->type) {
	case OG_ATTR_INT: return graph_attr_set_int(node, d->name, ints[0]);
	case OG_ATTR_FLOAT: return graph_attr_set_float(node, d->name, floats[0]);
	case OG_ATTR_INTS: return graph_attr_set_ints(node, d->name, ints, (size_t)f->length);
	case OG_ATTR_FLOATS: return graph_attr_set_floats(node, d->name, floats, (size_t)f->length);
	default: break;
	}
	char *word = arena_strndup(a, f->data, (size_t)f->length);
	NEED(word);
	return graph_attr_set_string(node, d->name, word);
}

/* The op as a network of one node. */
static og_status make_network(og_model *m, const og_op *op, const host_case *c, const host_data *in, int n_out)
{
	enum { OPSET = 21 };
	const char *domain = schema_domain(op);
	graph_node *node;
	TRY(graph_opset_require(m, "", OPSET));
	if (*domain) TRY(graph_opset_require(m, domain, op->since));
	TRY(graph_node_add(&node, m->main, NULL, domain, op->name, "node", c->n_in, n_out));
	node->op = op;
	for (int32_t k = 0; k < c->given.nbFields; k++)
		for (const og_attr *d = op->attrs; d && d->name; d++)
			if (!strcmp(d->name, c->given.fields[k].name)) TRY(set_attribute(node, m->a, d, &c->given.fields[k]));
	for (int k = 0; k < c->n_in + n_out; k++) {
		const og_tensor *t = k < c->n_in ? &in->t[k] : NULL;
		graph_value *v;
		TRY(graph_value_add(&v, m->main, NULL, t ? t->dtype : OG_NONE, t ? t->rank : -1, t ? t->dims : NULL));
		TRY(t ? graph_input_add(m->main, v) : graph_set_output(node, k - c->n_in, v));
		TRY(t ? graph_set_input(node, k, v) : graph_output_add(m->main, v));
	}
	return schema_infer(m->main);
}

static og_status run_plan(host *h, const og_plan *plan, host_data *out, int n_out, const host_case *c,
                          const host_data *in)
{
	const void *from[HOST_MAX_ARGS];
	void *to[HOST_MAX_ARGS];
	og_session *session = NULL;
	for (int k = 0; k < c->n_in; k++) from[k] = in->t[k].data;
	for (int k = 0; k < n_out; k++) {
		og_value_info info;
		TRY(og_plan_output(plan, k, &info));
		out->t[k] = (og_tensor){ .dtype = info.dtype, .rank = info.rank };
		memcpy(out->t[k].dims, info.dims, sizeof info.dims);
		NEED(to[k] = out->t[k].data = arena_aligned(h->a, host_bytes(&out->t[k]) + 8, 64));
	}
	og_status status = og_session_create(&session, plan, 1);
	if (status == OG_OK) status = og_session_run(session, from, to);
	og_session_free(session);
	return status;
}

og_status host_reference(host *h, host_data *out, int n_out, const host_case *c, const host_data *in)
{
	const og_build_options o = { .size = sizeof o, .threads = 1, .timing = OG_TIMING_OFF };
	og_plan *plan = NULL;
	if (!h->op) return base_fail(OG_UNSUPPORTED, "there is no op to compare with");
	og_model *m = graph_model_create();
	NEED(m);
	og_status status = make_network(m, h->op, c, in, n_out);
	if (status == OG_OK) status = og_plan_build(&plan, m, &o);
	if (status == OG_OK) status = run_plan(h, plan, out, n_out, c, in);
	og_plan_free(plan);
	graph_model_destroy(m);
	return status;
}
