/* instance.c -- sessions and buffers of an instance. */
#include "run/session.h"
#include "serve/instance.h"

enum { ALIGNMENT = 64 };

/* Memory of the host; with a session, that of its device. */
static og_status take_buffer(void **out, const serve_instance *s, og_session *device, size_t bytes)
{
	if (device) return session_alloc(device, out, bytes);
	if (s->pinned) return serve_told(TRITONBACKEND_MemoryManagerAllocate(s->pinned, out, TRITON_CPU_PINNED, 0, bytes));
	*out = base_alloc_aligned(bytes, ALIGNMENT);
	NEED(*out);
	return OG_OK;
}

static void free_list(void **list, int n, const serve_instance *s, og_session *device)
{
	for (int k = 0; list && k < n; k++)
		if (device) session_release(device, list[k]);
		else if (!s->pinned) base_free(list[k]);
		else if (list[k]) serve_told(TRITONBACKEND_MemoryManagerFree(s->pinned, list[k], TRITON_CPU_PINNED, 0));
	base_free(list);
}

static void free_buffers(serve_buffers *b, const serve_instance *s, og_session *device)
{
	free_list(b->in, s->net->n_inputs, s, device);
	free_list(b->out, s->net->n_outputs, s, device);
	*b = (serve_buffers){ 0 };
}

static og_status make_list(void ***out, const serve_instance *s, og_session *device, const size_t *bytes, int n, int64_t samples)
{
	void **list = *out = base_new((size_t)n + 1, sizeof *list);
	NEED(list);
	for (int k = 0; k < n; k++) TRY(take_buffer(&list[k], s, device, bytes[k] * (size_t)samples + ALIGNMENT));
	return OG_OK;
}

static og_status make_buffers(serve_buffers *out, const serve_instance *s, const serve_shape *shape, og_session *device)
{
	int64_t most = shape->sizes[shape->n_sizes - 1].samples;
	TRY(make_list(&out->in, s, device, shape->in_bytes, s->net->n_inputs, most));
	return make_list(&out->out, s, device, shape->out_bytes, s->net->n_outputs, most);
}

og_status serve_slot_on_device(serve_slot *slot, const serve_instance *s)
{
	if (slot->device.out) return OG_OK;
	og_status status = make_buffers(&slot->device, s, slot->shape, slot->sessions[0]);
	if (status != OG_OK) free_buffers(&slot->device, s, slot->sessions[0]);
	return status;
}

static void free_slot(serve_slot *slot, const serve_instance *s)
{
	if (!slot->shape) return;
	free_buffers(&slot->host, s, NULL);
	free_buffers(&slot->device, s, slot->sessions[0]);
	for (int k = 0; k < slot->shape->n_sizes; k++) og_session_free(slot->sessions[k]);
	base_free(slot->direct);
	serve_shape_release(s->net, slot->shape);
	*slot = (serve_slot){ 0 };
}

static og_status fill_slot(serve_slot *slot, const serve_instance *s, const int64_t *const *dims)
{
	TRY(serve_shape_get(&slot->shape, s->net, s->device, dims));
	const serve_shape *shape = slot->shape;
	for (int k = 0; k < shape->n_sizes; k++)
		TRY(session_create_on(&slot->sessions[k], shape->sizes[k].plan, s->net->plan ? s->net->settings.threads : 0, s->gpu));
	slot->direct = base_new((size_t)(s->net->n_inputs + s->net->n_outputs) + 1, sizeof *slot->direct);
	NEED(slot->direct);
	return make_buffers(&slot->host, s, shape, NULL);
}

bool serve_slot_fits(const serve_slot *slot, const serve_network *net, const int64_t *const *dims)
{
	for (int k = 0; slot->shape && k < net->n_inputs; k++)
		for (int i = net->most > 0; i < net->inputs[k].rank; i++)
			if (slot->shape->in[k][i] != dims[k][i]) return false;
	return slot->shape != NULL;
}

og_status serve_slot_get(serve_slot **out, serve_instance *s, const int64_t *const *dims)
{
	serve_slot *oldest = s->slots;
	s->turn++;
	for (int k = 0; k < s->n_slots; k++) {
		serve_slot *slot = &s->slots[k];
		if (serve_slot_fits(slot, s->net, dims)) {
			slot->used = s->turn;
			*out = slot;
			return OG_OK;
		}
		if (slot->used < oldest->used) oldest = slot;
	}
	free_slot(oldest, s);
	og_status status = fill_slot(oldest, s, dims);
	if (status != OG_OK) free_slot(oldest, s);
	else oldest->used = s->turn;
	*out = oldest;
	return status;
}

/* All that is known before the first request. */
static og_status prepare(serve_instance *s)
{
	const serve_network *net = s->net;
	serve_slot *slot;
	if (!serve_is_static(net)) return session_ready(s->device, s->gpu);
	const int64_t **dims = base_new((size_t)net->n_inputs + 1, sizeof *dims);
	NEED(dims);
	for (int k = 0; k < net->n_inputs; k++) dims[k] = net->inputs[k].dims;
	og_status status = serve_slot_get(&slot, s, dims);
	base_free(dims);
	return status;
}

og_status serve_instance_create(serve_instance **out, serve_network *net, TRITONBACKEND_ModelInstance *self,
                                TRITONBACKEND_MemoryManager *pinned, const char *device, int gpu)
{
	serve_instance *s = base_new(1, sizeof *s);
	*out = NULL;
	NEED(s);
	*s = (serve_instance){ .net = net, .self = self, .pinned = pinned, .device = device, .gpu = gpu };
	s->n_slots = serve_is_static(net) ? 1 : net->settings.shapes ? net->settings.shapes : SERVE_SHAPES;
	s->slots = base_new((size_t)s->n_slots, sizeof *s->slots);
	og_status status = s->slots ? prepare(s) : base_no_memory();
	if (status == OG_OK) *out = s;
	else serve_instance_free(s);
	return status;
}

void serve_instance_free(serve_instance *s)
{
	if (!s) return;
	for (int k = 0; s->slots && k < s->n_slots; k++) free_slot(&s->slots[k], s);
	base_free(s->slots);
	base_free(s->requests);
	base_free(s->together);
	base_free(s->pointers);
	base_free(s);
}
