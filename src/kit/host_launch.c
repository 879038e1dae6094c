/* host_launch.c -- a plugin attached to a context and run once, as an execution context does it. */
#include "kit/host.h"

#include <stdio.h>

static void *nothing(trt_context *c) { return (void)c, NULL; }
static void stay(void *self) { (void)self; }
static const struct {
	trt_prefix prefix;
	trt_context_table table;
} context_table = { .table = { nothing, nothing, stay, stay } };
static trt_context context = { &context_table.table };

static bool attach(host *h, host_plugin *out, const host_plugin *p)
{
	*out = (host_plugin){ .plugin = NULL };
	host_calls("attachToContext");
	out->plugin = p->run->table->attachToContext(p->run, &context);
	if (!out->plugin) return host_fail(h, "attachToContext returns NULL");
	if (out->plugin == p->plugin)
		return host_fail(h, "attachToContext returns the plugin itself: every context takes a clone of its own");
	out->core = out->plugin->table->getCapabilityInterface(out->plugin, TRT_CAPABILITY_CORE);
	out->run = out->plugin->table->getCapabilityInterface(out->plugin, TRT_CAPABILITY_RUNTIME);
	return out->run ? true : host_fail(h, "the plugin from attachToContext has no runtime capability");
}

/* Version 2 of the build capability has one function more. */
typedef struct build_2_table {
	trt_build_table first;
	int32_t (*getAliasedInput)(trt_build *, int32_t output);
} build_2_table;

static bool writes_over_inputs(const host_plugin *p)
{
	if (!p->build || p->build->table->getInterfaceInfo(p->build).major < 2) return false;
	host_calls("getAliasedInput");
	for (int32_t k = 0; k < p->n_out; k++)
		if (((const build_2_table *)(const void *)p->build->table)->getAliasedInput(p->build, k) >= 0) return true;
	return false;
}

static bool take_memory(host_launch *l, const host_needs *needs)
{
	host *h = l->h;
	for (int k = 0; k < l->n_in + l->n_out; k++) {
		size_t bytes, size = og_dtype_bytes(host_dtype(l->desc[k].type));
		if (!host_layout_of(&l->layout[k], l->desc[k].format, &l->desc[k].dims) ||
		    !base_mul(l->layout[k].elements, size, &bytes))
			return host_fail(h, "tensor %d is too large", k);
		if (!host_block_new(h, &l->block[k], bytes)) return false;
	}
	return host_block_new(h, &l->space, needs->workspace);
}

bool host_launch_open(host *h, host_launch *l, const host_plugin *p, const host_case *c, const trt_dims *made,
                      const host_combination *f, const host_needs *needs, int32_t tactic)
{
	int32_t status;
	host_goes_on(h);
	*l = (host_launch){ .h = h, .c = c, .f = f, .n_in = c->n_in, .n_out = p->n_out };
	for (int k = 0; k < l->n_in + l->n_out; k++)
		l->desc[k] = host_range(k < l->n_in ? &c->in[k] : &made[k - l->n_in], f->type[k], f->format[k]).desc;
	if (writes_over_inputs(p))
		return host_skip(h, "its outputs lie over its inputs (getAliasedInput), which this host does not do");
	if (!attach(h, &l->p, p)) return false;
	host_calls("setTactic");
	status = l->p.run->table->setTactic(l->p.run, tactic);
	if (status) return host_fail(h, "setTactic(%d) returns %d", (int)tactic, (int)status);
	host_calls("onShapeChange");
	status = l->p.run->table->onShapeChange(l->p.run, l->desc, l->n_in, l->desc + l->n_in, l->n_out);
	if (status) return host_fail(h, "onShapeChange returns %d for inputs of %s", (int)status, c->words);
	return take_memory(l, needs) && host_cuda_ok(h, h->cuda->cuStreamCreate(&l->stream, 1), "making a stream");
}

/* A copy of what the device holds, made when it is needed. */
static bool have_image(host_launch *l, int k)
{
	if (!l->image[k]) l->image[k] = base_alloc(l->block[k].bytes + 1);
	return l->image[k] || host_fail(l->h, "memory ran out");
}

static void pack(const host_launch *l, int k, const og_tensor *t, uint8_t padding)
{
	const size_t size = og_dtype_bytes(t->dtype), n = (size_t)og_count(t);
	if (l->block[k].bytes) memset(l->image[k], padding, l->block[k].bytes);
	for (size_t i = 0; i < n; i++)
		memcpy((char *)l->image[k] + host_layout_at(&l->layout[k], i) * size, (const char *)t->data + i * size, size);
}

bool host_launch_load(host_launch *l, const host_data *in, uint8_t padding, uint8_t poison)
{
	host *h = l->h;
	for (int k = 0; k < l->n_in; k++) {
		if (!have_image(l, k)) return false;
		pack(l, k, &in->t[k], padding);
		if (!host_block_set(h, &l->block[k], l->image[k], 0)) return false;
	}
	for (int k = l->n_in; k < l->n_in + l->n_out; k++)
		if (!host_block_set(h, &l->block[k], NULL, poison)) return false;
	return host_block_set(h, &l->space, NULL, poison) &&
	       host_cuda_ok(h, h->cuda->cuCtxSynchronize(), "filling memory on the device");
}

bool host_launch_enqueue(host_launch *l)
{
	const void *in[HOST_POSITIONS];
	void *out[HOST_POSITIONS];
	for (int k = 0; k < l->n_in; k++) in[k] = (const void *)(uintptr_t)l->block[k].at;
	for (int k = 0; k < l->n_out; k++) out[k] = (void *)(uintptr_t)l->block[l->n_in + k].at;
	host_calls("enqueue");
	int32_t status = l->p.run->table->enqueue(l->p.run, l->desc, l->desc + l->n_in, in, out,
	                                          l->space.bytes ? (void *)(uintptr_t)l->space.at : NULL, l->stream);
	return !status || host_fail(l->h, "enqueue returns %d for inputs of %s", (int)status, l->c->words);
}

bool host_launch_wait(host_launch *l)
{
	return host_cuda_ok(l->h, l->h->cuda->cuStreamSynchronize(l->stream), "after enqueue the device reports");
}

static bool whole(host_launch *l, int64_t outside, int k)
{
	char words[200], what[32] = "the workspace";
	if (outside == HOST_WHOLE) return true;
	host_combination_words(words, sizeof words, l->f, l->n_in + l->n_out);
	if (k < l->n_in) snprintf(what, sizeof what, "input %d", k);
	else if (k < l->n_in + l->n_out) snprintf(what, sizeof what, "output %d", k - l->n_in);
	return host_fail(l->h, "inputs of %s, %s: it writes byte %lld of %s, %s", l->c->words, words, (long long)outside,
	                 what, outside < 0 ? "in front of its beginning" : "behind its end");
}

static bool take_input(host_launch *l, int k)
{
	int64_t outside;
	char *now = base_alloc(l->block[k].bytes + 1);
	if (!now) return host_fail(l->h, "memory ran out");
	bool good = host_block_get(l->h, &l->block[k], now, &outside) && whole(l, outside, k);
	if (good && memcmp(now, l->image[k], l->block[k].bytes))
		good = host_fail(l->h, "inputs of %s: it changes input %d", l->c->words, k);
	base_free(now);
	return good;
}

bool host_launch_take(host_launch *l, host_data *out)
{
	host *h = l->h;
	int64_t outside;
	for (int k = 0; k < l->n_in; k++)
		if (!take_input(l, k)) return false;
	if (!host_block_get(h, &l->space, NULL, &outside) || !whole(l, outside, HOST_POSITIONS)) return false;
	for (int k = 0; k < l->n_out; k++) {
		const int at = l->n_in + k;
		og_tensor *t = &out->t[k];
		*t = (og_tensor){ .dtype = host_dtype(l->desc[at].type), .rank = l->desc[at].dims.nbDims };
		memcpy(t->dims, l->desc[at].dims.d, sizeof t->dims);
		const size_t size = og_dtype_bytes(t->dtype), n = (size_t)og_count(t);
		if (!have_image(l, at) || !host_block_get(h, &l->block[at], l->image[at], &outside) || !whole(l, outside, at))
			return false;
		if (!(t->data = arena_aligned(h->a, n * size + 8, 64))) return host_fail(h, "memory ran out");
		for (size_t i = 0; i < n; i++)
			memcpy((char *)t->data + i * size, (const char *)l->image[at] + host_layout_at(&l->layout[at], i) * size,
			       size);
	}
	return true;
}

/* What was there before stays until the end, so that it lies elsewhere and is not written by others. */
bool host_launch_move(host_launch *l)
{
	for (int k = 0; k < l->n_in + l->n_out; k++) {
		l->old[k] = l->block[k];
		if (!host_block_new(l->h, &l->block[k], l->old[k].bytes)) return false;
	}
	l->old_space = l->space;
	return host_block_new(l->h, &l->space, l->old_space.bytes);
}

void host_launch_close(host_launch *l)
{
	host *h = l->h;
	for (int k = 0; k < l->n_in + l->n_out; k++) {
		host_block_free(h, &l->block[k]);
		host_block_free(h, &l->old[k]);
		base_free(l->image[k]);
	}
	host_block_free(h, &l->space);
	host_block_free(h, &l->old_space);
	if (l->stream) (void)h->cuda->cuStreamDestroy_v2(l->stream);
	host_destroy(&l->p);
}
