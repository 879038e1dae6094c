/* request.c -- a request read, checked and answered. */
#include <time.h>

#include "serve/instance.h"

uint64_t serve_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

og_status serve_told(TRITONSERVER_Error *error)
{
	if (!error) return OG_OK;
	og_status status = base_fail(OG_USAGE, "%s", TRITONSERVER_ErrorMessage(error));
	TRITONSERVER_ErrorDelete(error);
	return status;
}

TRITONSERVER_Error *serve_error(og_status status)
{
	switch (status) {
	case OG_OK: return NULL;
	case OG_UNSUPPORTED: return TRITONSERVER_ErrorNew(TRITON_UNSUPPORTED, base_error());
	case OG_MISSING: return TRITONSERVER_ErrorNew(TRITON_UNAVAILABLE, base_error());
	case OG_NO_MEMORY: return TRITONSERVER_ErrorNew(TRITON_INTERNAL, base_error());
	default: return TRITONSERVER_ErrorNew(TRITON_INVALID_ARGUMENT, base_error());
	}
}

og_status serve_requests_take(serve_instance *s, TRITONBACKEND_Request **requests, size_t n)
{
	size_t in = (size_t)s->net->n_inputs, each = 3 * in + (size_t)s->net->n_outputs;
	if (n > s->capacity) {
		base_free(s->requests);
		base_free(s->together);
		base_free(s->pointers);
		s->capacity = 0;
		s->requests = base_new(n, sizeof *s->requests);
		s->together = base_new(n, sizeof *s->together);
		s->pointers = base_new(n, (each + 1) * sizeof *s->pointers);
		NEED(s->requests && s->together && s->pointers);
		s->capacity = n;
	}
	memset(s->pointers, 0, n * each * sizeof *s->pointers);
	for (size_t i = 0; i < n; i++) {
		void **p = s->pointers + i * each;
		s->requests[i] = (serve_request){ .request = requests[i], .dims = (const int64_t **)p, .in = (const uint8_t **)(p + in),
		                                  .joined = p + 2 * in, .out = (uint8_t **)(p + 3 * in) };
	}
	return OG_OK;
}

/* ---- reading -------------------------------------------------------------------------------------- */

static void add_shape(text *t, const int64_t *dims, int rank)
{
	text_add(t, "[");
	for (int i = 0; i < rank; i++) text_printf(t, i ? ",%lld" : "%lld", (long long)dims[i]);
	text_add(t, "]");
}

static og_status fail_shape(const serve_port *p, const int64_t *dims, uint32_t rank)
{
	text both = { 0 };
	add_shape(&both, dims, (int)(rank < OG_MAX_RANK ? rank : OG_MAX_RANK));
	text_add(&both, rank > OG_MAX_RANK ? " and more, not " : ", not ");
	add_shape(&both, p->dims, p->rank);
	char *made = text_take(&both);
	NEED(made);
	og_status status = base_fail(OG_USAGE, "the shape of input '%s' is %s", p->name, made);
	base_free(made);
	return status;
}

static og_status check_batch(serve_request *q, const serve_instance *s, const serve_port *p, int64_t samples)
{
	const serve_network *net = s->net;
	if (samples <= 0) return base_fail(OG_USAGE, "input '%s' has no samples", p->name);
	if (samples > net->most)
		return base_fail(OG_USAGE, "input '%s' has %lld samples, and a batch has %lld at most", p->name, (long long)samples,
		                 (long long)net->most);
	if (q->samples && q->samples != samples)
		return base_fail(OG_USAGE, "input '%s' has %lld samples, and another has %lld", p->name, (long long)samples,
		                 (long long)q->samples);
	q->samples = samples;
	return OG_OK;
}

static og_status check_shape(serve_request *q, const serve_instance *s, const serve_port *p, const int64_t *dims,
                             uint32_t rank)
{
	int from = s->net->most > 0;
	bool fit = rank == (uint32_t)p->rank || (serve_is_scalar(s->net, p) && rank == 1 && dims[0] == 1);
	for (int i = from; fit && i < p->rank; i++) fit = dims[i] >= 0 && (p->dims[i] < 0 || p->dims[i] == dims[i]);
	if (!fit) return fail_shape(p, dims, rank);
	if (from) return check_batch(q, s, p, dims[0]);
	q->samples = 1;
	return OG_OK;
}

/* Where a piece of an input lies. */
static og_status find_piece(serve_request *q, const serve_instance *s, TRITONBACKEND_Input *input, uint32_t k,
                            const serve_port *p, const void **data, uint64_t *bytes)
{
	triton_memory memory = TRITON_CPU;
	int64_t id = 0;
	TRY(serve_told(TRITONBACKEND_InputBuffer(input, k, data, bytes, &memory, &id)));
	if (memory != TRITON_GPU) return OG_OK;
	q->on_device = true;
	if (strcmp(s->device, "cpu")) return OG_OK;
	return base_fail(OG_UNSUPPORTED, "input '%s' lies in the memory of GPU %lld, and this instance runs on the CPU; send it in memory "
	                 "of the host", p->name, (long long)id);
}

static og_status join_pieces(serve_request *q, const serve_instance *s, TRITONBACKEND_Input *input, uint32_t pieces, int k,
                             uint64_t bytes)
{
	const serve_port *p = &s->net->inputs[k];
	uint8_t *to = q->joined[k] = base_alloc(bytes + 1);
	uint64_t at = 0;
	NEED(to);
	for (uint32_t i = 0; i < pieces; i++) {
		const void *data;
		uint64_t n;
		TRY(find_piece(q, s, input, i, p, &data, &n));
		if (q->on_device)
			return base_fail(OG_UNSUPPORTED, "input '%s' lies in a GPU's memory in %u pieces; send it in one", p->name, pieces);
		if (n > bytes - at) return base_fail(OG_USAGE, "input '%s' has more data than its shape says", p->name);
		if (n) memcpy(to + at, data, n);
		at += n;
	}
	q->in[k] = to;
	return at == bytes ? OG_OK : base_fail(OG_USAGE, "input '%s' has less data than its shape says", p->name);
}

static og_status read_input(serve_request *q, const serve_instance *s, int k)
{
	const serve_port *p = &s->net->inputs[k];
	TRITONBACKEND_Input *input;
	uint64_t bytes;
	uint32_t rank, pieces;
	int type;
	const void *data = NULL;
	if (serve_told(TRITONBACKEND_RequestInput(q->request, p->name, &input)) != OG_OK)
		return base_fail(OG_USAGE, "input '%s' is missing", p->name);
	TRY(serve_told(TRITONBACKEND_InputProperties(input, NULL, &type, &q->dims[k], &rank, &bytes, &pieces)));
	if (type != p->type) return base_fail(OG_USAGE, "input '%s' is not of type %s", p->name, og_dtype_name(p->dtype));
	TRY(check_shape(q, s, p, q->dims[k], rank));
	og_tensor t = { .dtype = p->dtype, .rank = p->rank };
	memcpy(t.dims, q->dims[k], (size_t)p->rank * sizeof *t.dims);
	size_t want = og_tensor_bytes(&t);
	if (bytes == want && pieces == 1) TRY(find_piece(q, s, input, 0, p, &data, &bytes));
	if (bytes != want)
		return base_fail(OG_USAGE, "input '%s' has %llu bytes, and its shape takes %zu", p->name, (unsigned long long)bytes, want);
	if (pieces != 1) return bytes ? join_pieces(q, s, input, pieces, k, bytes) : OG_OK;
	q->in[k] = data;
	return OG_OK;
}

og_status serve_request_read(serve_request *q, const serve_instance *s)
{
	uint32_t n;
	bool cancelled = false;
	if (TRITONBACKEND_RequestIsCancelled) TRY(serve_told(TRITONBACKEND_RequestIsCancelled(q->request, &cancelled)));
	if (cancelled) return base_fail(OG_USAGE, "the request was cancelled");
	TRY(serve_told(TRITONBACKEND_RequestInputCount(q->request, &n)));
	for (int k = 0; k < s->net->n_inputs; k++) TRY(read_input(q, s, k));
	if (n == (uint32_t)s->net->n_inputs) return OG_OK;
	return base_fail(OG_USAGE, "the request has %u inputs, and the network takes %d", n, s->net->n_inputs);
}

/* ---- answering ------------------------------------------------------------------------------------ */

static og_status prepare_output(serve_request *q, const serve_instance *s, const serve_shape *shape, int k)
{
	const serve_port *p = &s->net->outputs[k];
	TRITONBACKEND_Output *output;
	int64_t dims[OG_MAX_RANK], id = q->on_device ? s->gpu : 0;
	triton_memory memory = q->on_device ? TRITON_GPU : s->pinned ? TRITON_CPU_PINNED : TRITON_CPU;
	uint64_t bytes = (uint64_t)q->samples * shape->out_bytes[k];
	void *to;
	int rank = shape->out[k].rank;
	memcpy(dims, shape->out[k].dims, sizeof dims);
	if (s->net->most > 0) dims[0] = q->samples;
	else if (rank == 0) dims[rank++] = 1;
	TRY(serve_told(TRITONBACKEND_ResponseOutput(q->response, &output, p->name, p->type, dims, (uint32_t)rank)));
	TRY(serve_told(TRITONBACKEND_OutputBuffer(output, &to, bytes, &memory, &id)));
	q->out[k] = to;
	if (memory != TRITON_GPU) return OG_OK;
	q->on_device = true;
	if (strcmp(s->device, "cpu")) return OG_OK;
	return base_fail(OG_UNSUPPORTED, "output '%s' is wanted in the memory of GPU %lld, and this instance runs on the CPU", p->name,
	                 (long long)id);
}

og_status serve_request_prepare(serve_request *q, const serve_instance *s, const serve_shape *shape)
{
	uint32_t n;
	TRY(serve_told(TRITONBACKEND_ResponseNew(&q->response, q->request)));
	TRY(serve_told(TRITONBACKEND_RequestOutputCount(q->request, &n)));
	for (uint32_t i = 0; i < n; i++) {
		const char *name;
		int k = 0;
		TRY(serve_told(TRITONBACKEND_RequestOutputName(q->request, i, &name)));
		while (k < s->net->n_outputs && strcmp(s->net->outputs[k].name, name)) k++;
		if (k == s->net->n_outputs) return base_fail(OG_USAGE, "the network has no output '%s'", name);
		TRY(prepare_output(q, s, shape, k));
	}
	return OG_OK;
}

void serve_request_answer(serve_request *q, const serve_instance *s, og_status status)
{
	TRITONSERVER_Error *error = serve_error(status);
	if (!q->response && serve_told(TRITONBACKEND_ResponseNew(&q->response, q->request)) != OG_OK) q->response = NULL;
	if (q->response) serve_told(TRITONBACKEND_ResponseSend(q->response, TRITON_RESPONSE_FINAL, error));
	if (error) TRITONSERVER_ErrorDelete(error);
	serve_told(TRITONBACKEND_ModelInstanceReportStatistics(s->self, q->request, status == OG_OK, s->came, q->began, q->ended,
	                                                       serve_now()));
	serve_told(TRITONBACKEND_RequestRelease(q->request, TRITON_RELEASE_ALL));
	for (int k = 0; k < s->net->n_inputs; k++) base_free(q->joined[k]);
	q->request = NULL;
}
