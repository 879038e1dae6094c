/* batch.c -- a batch of requests, put together into runs.
 *
 * Samples are taken in the order of the requests, so many at a time as serve_shape says. A run that lies within one request
 * reads and writes the request's own memory; else samples are copied to and from the instance's buffers: those on the device
 * when some of it is a GPU's, which copies them itself. A request is answered as soon as its last sample is done. When a run of
 * several requests fails, each of them runs by itself, so that the others do not suffer from one. */
#include "run/session.h"
#include "serve/instance.h"

/* Requests of one shape, and how far they are. */
typedef struct batch {
	serve_instance *s;
	serve_slot *slot;
	serve_request **q; size_t n, first;      /* q[first] is not done */
	int64_t left;                            /* samples */
	/* of a run that is copied */
	const serve_buffers *at;
	og_session *copier;                      /* whose device copies; NULL: memcpy */
} batch;

/* Samples [begin, begin + n) of a run are those of q from its sample `at`. */
typedef struct part { serve_request *q; int64_t at, begin, n; } part;

/* The next part of a run of at most `room` samples behind `begin`; *i moves on when its request is used up. */
static part next_part(const batch *b, size_t *i, int64_t *at, int64_t begin, int64_t room)
{
	serve_request *q = b->q[*i];
	part p = { .q = q, .at = *at, .begin = begin, .n = q->samples - *at < room ? q->samples - *at : room };
	*at += p.n;
	if (*at < q->samples) return p;
	*at = ++*i < b->n ? b->q[*i]->done : 0;
	return p;
}

/* Calls `act` for each part of the next n samples. */
static og_status each_part(const batch *b, int64_t n, og_status (*act)(const batch *, const part *))
{
	size_t i = b->first;
	int64_t at = b->q[i]->done;
	for (int64_t begin = 0; begin < n;) {
		part p = next_part(b, &i, &at, begin, n - begin);
		TRY(act(b, &p));
		begin += p.n;
	}
	return OG_OK;
}

static og_status copy(const batch *b, void *to, const void *from, size_t bytes)
{
	if (b->copier) return session_copy(b->copier, to, from, bytes);
	if (bytes) memcpy(to, from, bytes);
	return OG_OK;
}

static og_status copy_in(const batch *b, const part *p)
{
	for (int k = 0; k < b->s->net->n_inputs; k++) {
		size_t bytes = b->slot->shape->in_bytes[k];
		uint8_t *to = (uint8_t *)b->at->in[k] + (size_t)p->begin * bytes;
		TRY(copy(b, to, p->q->in[k] + (size_t)p->at * bytes, (size_t)p->n * bytes));
	}
	return OG_OK;
}

static og_status copy_out(const batch *b, const part *p)
{
	for (int k = 0; k < b->s->net->n_outputs; k++) {
		size_t bytes = b->slot->shape->out_bytes[k];
		const uint8_t *from = (const uint8_t *)b->at->out[k] + (size_t)p->begin * bytes;
		if (p->q->out[k]) TRY(copy(b, p->q->out[k] + (size_t)p->at * bytes, from, (size_t)p->n * bytes));
	}
	return OG_OK;
}

/* Fills a run up with its last sample, which is as good as any that the network takes. */
static og_status fill_up(const batch *b, int64_t n, int64_t samples)
{
	for (int k = 0; k < b->s->net->n_inputs; k++) {
		size_t bytes = b->slot->shape->in_bytes[k];
		uint8_t *in = b->at->in[k];
		for (int64_t i = n; i < samples; i++) TRY(copy(b, in + (size_t)i * bytes, in + (size_t)(n - 1) * bytes, bytes));
	}
	return OG_OK;
}

static bool is_aligned(const void *p, og_dtype dtype) { return (uintptr_t)p % base_dtype_span(dtype, 1) == 0; }

/* The run can use the request's memory as it is. */
static bool is_direct(const batch *b, const serve_request *q, int64_t samples)
{
	const serve_network *net = b->s->net;
	if (q->samples - q->done < samples) return false;
	if (q->on_device) return true;           /* the session copies what its kernels cannot take */
	for (int k = 0; k < net->n_inputs; k++)
		if (!is_aligned(q->in[k], net->inputs[k].dtype)) return false;
	for (int k = 0; k < net->n_outputs; k++)
		if (!is_aligned(q->out[k], net->outputs[k].dtype)) return false;
	return true;
}

static og_status run_direct(const batch *b, serve_request *q, og_session *session)
{
	const serve_network *net = b->s->net;
	const serve_shape *shape = b->slot->shape;
	void **in = b->slot->direct, **out = in + net->n_inputs;
	for (int k = 0; k < net->n_inputs; k++) in[k] = (void *)(uintptr_t)(q->in[k] + (size_t)q->done * shape->in_bytes[k]);
	for (int k = 0; k < net->n_outputs; k++)
		out[k] = q->out[k] ? q->out[k] + (size_t)q->done * shape->out_bytes[k] : b->slot->host.out[k];
	return og_session_run(session, (const void *const *)in, out);
}

/* Some of the next n samples lie, or go, where only the device copies. */
static bool is_on_device(const batch *b, int64_t n)
{
	for (size_t i = b->first; n > 0; n -= b->q[i]->samples - b->q[i]->done, i++)
		if (b->q[i]->on_device) return true;
	return false;
}

static og_status copy_and_run(const batch *b, og_session *session, int64_t n, int64_t samples)
{
	TRY(each_part(b, n, copy_in));
	TRY(fill_up(b, n, samples));
	TRY(og_session_run(session, (const void *const *)b->at->in, b->at->out));
	return each_part(b, n, copy_out);
}

static og_status run_copied(batch *b, og_session *session, int64_t n, int64_t samples)
{
	b->copier = is_on_device(b, n) ? session : NULL;
	b->at = b->copier ? &b->slot->device : &b->slot->host;
	if (b->copier) TRY(serve_slot_on_device(b->slot, b->s));
	og_status status = copy_and_run(b, session, n, samples);
	og_status waited = b->copier ? session_wait(session) : OG_OK;       /* also after a failure: the requests' memory ends with them */
	return status == OG_OK ? waited : status;
}

/* Marks n samples as done, and answers the requests that are whole. */
static void advance(batch *b, int64_t n, uint64_t began, uint64_t ended)
{
	b->left -= n;
	b->s->samples += n;
	if (!b->s->began) b->s->began = began;
	b->s->ended = ended;
	while (n > 0) {
		serve_request *q = b->q[b->first];
		int64_t here = q->samples - q->done < n ? q->samples - q->done : n;
		if (!q->began) q->began = began;
		q->ended = ended;
		q->done += here;
		n -= here;
		if (q->done < q->samples) continue;
		serve_request_answer(q, b->s, OG_OK);
		b->first++;
	}
}

static og_status run_next(batch *b)
{
	const serve_shape *shape = b->slot->shape;
	serve_request *q = b->q[b->first];
	int64_t most = b->s->net->most ? b->s->net->most : 1, left = b->left < most ? b->left : most;
	int k = shape->choice[left];
	int64_t samples = shape->sizes[k].samples, n = samples < left ? samples : left;
	uint64_t began = serve_now();
	if (is_direct(b, q, samples)) TRY(run_direct(b, q, b->slot->sessions[k]));
	else TRY(run_copied(b, b->slot->sessions[k], n, samples));
	advance(b, n, began, serve_now());
	return OG_OK;
}

/* Runs what is left of n requests of one shape, the first of which may have begun; answers all. */
static void run_all(serve_instance *s, serve_slot *slot, serve_request **q, size_t n)
{
	batch b = { .s = s, .slot = slot, .q = q, .n = n };
	for (size_t i = 0; i < n; i++) b.left += q[i]->samples - q[i]->done;
	while (b.left > 0) {
		og_status status = run_next(&b);
		if (status == OG_OK) continue;
		if (b.n - b.first == 1) {
			serve_request_answer(q[b.first], s, status);
			return;
		}
		for (size_t i = b.first; i < n; i++) run_all(s, slot, &q[i], 1);
		return;
	}
}

/* Takes all requests of the shape of q[0], which is not answered, and answers them. */
static void run_shape(serve_instance *s, serve_request *q, size_t n)
{
	serve_slot *slot;
	size_t together = 0;
	og_status status = serve_slot_get(&slot, s, q[0].dims);
	if (status != OG_OK) {
		serve_request_answer(&q[0], s, status);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (!q[i].request || !serve_slot_fits(slot, s->net, q[i].dims)) continue;
		serve_request *one = &q[i];
		status = serve_request_prepare(one, s, slot->shape);
		if (status != OG_OK) serve_request_answer(one, s, status);
		else s->together[together++] = one;
	}
	if (together) run_all(s, slot, s->together, together);
}

og_status serve_execute(serve_instance *s, TRITONBACKEND_Request **requests, size_t n)
{
	s->came = serve_now();
	s->began = 0;
	s->samples = 0;
	TRY(serve_requests_take(s, requests, n));
	for (size_t i = 0; i < n; i++) {
		og_status status = serve_request_read(&s->requests[i], s);
		if (status != OG_OK) serve_request_answer(&s->requests[i], s, status);
	}
	for (size_t i = 0; i < n; i++)
		if (s->requests[i].request) run_shape(s, &s->requests[i], n - i);
	if (s->samples)
		serve_told(TRITONBACKEND_ModelInstanceReportBatchStatistics(s->self, (uint64_t)s->samples, s->came, s->began, s->ended,
		                                                            serve_now()));
	return OG_OK;                            /* requests are answered: they are not the server's any more */
}
