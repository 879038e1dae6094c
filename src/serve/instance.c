/* instance.c -- sessions and buffers of an instance. */
#include "serve/instance.h"

enum { ALIGNMENT = 64 };

static void *take_buffer(const serve_instance *s, size_t bytes)
{
	void *p = NULL;
	if (!s->pinned) return base_alloc_aligned(bytes, ALIGNMENT);
	return serve_told(TRITONBACKEND_MemoryManagerAllocate(s->pinned, &p, TRITON_CPU_PINNED, 0, bytes)) == OG_OK ? p : NULL;
}

static void free_buffers(const serve_instance *s, void **buffers, int n)
{
	for (int k = 0; buffers && k < n; k++)
		if (!s->pinned) base_free(buffers[k]);
		else if (buffers[k]) serve_told(TRITONBACKEND_MemoryManagerFree(s->pinned, buffers[k], TRITON_CPU_PINNED, 0));
	base_free(buffers);
}

static og_status make_buffers(void ***out, const serve_instance *s, const size_t *bytes, int n, int64_t samples)
{
	void **buffers = *out = base_new((size_t)n + 1, sizeof *buffers);
	NEED(buffers);
	for (int k = 0; k < n; k++) {
		buffers[k] = take_buffer(s, bytes[k] * (size_t)samples + ALIGNMENT);
		NEED(buffers[k]);
	}
	return OG_OK;
}

static void free_slot(serve_slot *slot, const serve_instance *s)
{
	if (!slot->shape) return;
	for (int k = 0; k < slot->shape->n_sizes; k++) og_session_free(slot->sessions[k]);
	free_buffers(s, slot->in, s->net->n_inputs);
	free_buffers(s, slot->out, s->net->n_outputs);
	base_free(slot->direct);
	serve_shape_release(s->net, slot->shape);
	*slot = (serve_slot){ 0 };
}

static og_status fill_slot(serve_slot *slot, const serve_instance *s, const int64_t *const *dims)
{
	TRY(serve_shape_get(&slot->shape, s->net, s->device, dims));
	const serve_shape *shape = slot->shape;
	int64_t most = shape->sizes[shape->n_sizes - 1].samples;
	for (int k = 0; k < shape->n_sizes; k++)
		TRY(og_session_create(&slot->sessions[k], shape->sizes[k].plan, s->net->plan ? s->net->settings.threads : 0));
	slot->direct = base_new((size_t)(s->net->n_inputs + s->net->n_outputs) + 1, sizeof *slot->direct);
	NEED(slot->direct);
	TRY(make_buffers(&slot->in, s, shape->in_bytes, s->net->n_inputs, most));
	return make_buffers(&slot->out, s, shape->out_bytes, s->net->n_outputs, most);
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
	if (!serve_is_static(net)) return og_device_ready(s->device);
	const int64_t **dims = base_new((size_t)net->n_inputs + 1, sizeof *dims);
	NEED(dims);
	for (int k = 0; k < net->n_inputs; k++) dims[k] = net->inputs[k].dims;
	og_status status = serve_slot_get(&slot, s, dims);
	base_free(dims);
	return status;
}

og_status serve_instance_create(serve_instance **out, serve_network *net, TRITONBACKEND_ModelInstance *self,
                                TRITONBACKEND_MemoryManager *pinned, const char *device)
{
	serve_instance *s = base_new(1, sizeof *s);
	*out = NULL;
	NEED(s);
	*s = (serve_instance){ .net = net, .self = self, .pinned = pinned, .device = device };
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
