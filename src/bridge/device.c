/* device.c -- the CUDA side of an op library: modules, which kernel serves a call, its arguments, launching. */
#include "bridge/device.h"

#include <pthread.h>
#include <stdio.h>

#include "cuda/driver.h"
#include "cuda/op_kernel.h"

enum { THREADS = 256, MOST_BLOCKS = 1 << 22, PACK_BYTES = 16, PACKS_AT_ONCE = 2, BLOCKS_PER_PROCESSOR = 8 };

_Static_assert(OG_MAP_IN == OG_MAX_IN && OG_MAP_ATTRS == OG_MAX_MAP_ATTRS && OG_DEVICE_RANK == OG_MAX_RANK,
               "kernels and ops agree");
_Static_assert(sizeof(og_map_call) <= sizeof((device_step *)0)->bytes, "a formula's arguments fit");
_Static_assert(sizeof(og_device_call) <= sizeof((device_step *)0)->bytes, "a kernel's arguments fit");

/* ---- modules ---------------------------------------------------------------------------------- */

struct device_kernels {
	device_kernels *next;
	const og_library *library;
	void *context, *module;              /* module NULL: not loaded now */
	unsigned long long context_id;       /* 0 where the driver has no such thing */
	int device, processors, users;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static device_kernels *loaded;           /* guarded by lock */

__attribute__((destructor)) static void forget(void)
{
	for (device_kernels *k = loaded, *next; k; k = next) {
		next = k->next;
		base_free(k);                        /* the module stays with its context: the driver may be gone by now */
	}
	loaded = NULL;
}

bool device_present(void) { return driver_open() != NULL; }

/* The code for a device of this capability: the newest cubin of its generation, else PTX; NULL: none. */
static const og_image *choose_image(const og_library *library, int major, int minor)
{
	const og_image *best = NULL;
	for (uint32_t k = 0; k < library->n_images; k++) {
		const og_image *i = &library->images[k];
		if (!i->is_ptx && i->arch / 10 == major && i->arch % 10 <= minor && (!best || i->arch > best->arch)) best = i;
	}
	for (uint32_t k = 0; k < library->n_images && !best; k++)
		if (library->images[k].is_ptx && library->images[k].arch <= major * 10 + minor) best = &library->images[k];
	return best;
}

static og_status load(device_kernels *k, const driver_api *api)
{
	int major, minor;
	if (k->library->n_images == 0)
		return base_fail(OG_UNSUPPORTED,
		                 "this op library was built without CUDA kernels; build it again where NVRTC is installed "
		                 "(pip install nvidia-cuda-nvrtc)");
	TRY(driver_try(api->cuDeviceGetAttribute(&k->processors, DRIVER_PROCESSORS, k->device), "asking for the device"));
	TRY(driver_try(api->cuDeviceGetAttribute(&major, DRIVER_MAJOR, k->device), "asking for the device"));
	TRY(driver_try(api->cuDeviceGetAttribute(&minor, DRIVER_MINOR, k->device), "asking for the device"));
	const og_image *image = choose_image(k->library, major, minor);
	if (!image)
		return base_fail(OG_UNSUPPORTED,
		                 "this op library has no code for a device of compute capability %d.%d; build it again with "
		                 "a newer NVRTC", major, minor);
	return driver_try(api->cuModuleLoadData(&k->module, image->data),
	                  image->is_ptx ? "compiling the op library's PTX" : "loading the op library's kernels");
}

static unsigned long long id_of(const driver_api *api, void *context)
{
	unsigned long long id;
	return api->cuCtxGetId && api->cuCtxGetId(context, &id) == 0 ? id : 0;
}

/* The entry for this context, new or there already; NULL when memory is short. The lock is held. */
static device_kernels *entry(const og_library *library, void *context, unsigned long long id, int device)
{
	for (device_kernels *k = loaded; k; k = k->next)
		if (k->library == library && k->context == context && k->context_id == id) return k;
	device_kernels *k = base_new(1, sizeof *k);
	if (!k) return NULL;
	*k = (device_kernels){ .next = loaded, .library = library, .context = context, .context_id = id, .device = device };
	return loaded = k;
}

og_status device_open_library(device_kernels **out, const og_library *library)
{
	const driver_api *api = driver_open();
	void *context = NULL;
	int device;
	*out = NULL;
	if (!api) return base_fail(OG_MISSING, "there is no CUDA driver (libcuda.so.1) on this machine");
	if (api->cuCtxGetCurrent(&context) != 0 || !context)
		return base_fail(OG_MISSING, "no CUDA context is current in this thread");
	TRY(driver_try(api->cuCtxGetDevice(&device), "asking for the device"));
	pthread_mutex_lock(&lock);
	device_kernels *k = entry(library, context, id_of(api, context), device);
	og_status status = !k ? base_no_memory() : k->module ? OG_OK : load(k, api);
	if (status == OG_OK) {
		k->users++;
		*out = k;
	}
	pthread_mutex_unlock(&lock);
	return status;
}

void device_close(device_kernels *k)
{
	const driver_api *api = driver_open();
	void *context = NULL;
	if (!k) return;
	pthread_mutex_lock(&lock);
	if (--k->users == 0 && api->cuCtxGetCurrent(&context) == 0 && context == k->context &&
	    id_of(api, context) == k->context_id) {
		(void)api->cuModuleUnload(k->module);
		k->module = NULL;
	}
	pthread_mutex_unlock(&lock);
}

/* ---- formulas --------------------------------------------------------------------------------- */

static bool is_device_float(og_dtype t) { return t == OG_F32 || t == OG_F16 || t == OG_BF16; }

static const og_tensor *input(const og_call *c, int k) { return k < c->n_in ? c->in[k] : NULL; }

/* The type that the formula's kernel works on; OG_NONE: there is none for this call. */
static og_dtype formula_type(const library_op *l, const og_call *c)
{
	og_dtype t = OG_NONE, made = c->n_out > 0 && c->out[0] ? c->out[0]->dtype : OG_NONE;
	if (c->n_in > l->op->map_inputs || (l->in.arg[l->in.n - 1].variadic && c->n_in != l->op->map_inputs))
		return OG_NONE;
	for (int k = 0; k < c->n_in; k++) {
		if (!c->in[k]) continue;
		if (t != OG_NONE && c->in[k]->dtype != t) return OG_NONE;
		t = c->in[k]->dtype;
	}
	if (!is_device_float(t) || c->n_out != 1) return OG_NONE;
	return l->out.arg[0].types == UINT32_C(1) << OG_BOOL ? (made == OG_BOOL ? t : OG_NONE) : made == t ? t : OG_NONE;
}

/* Divides what is below 2^31 by d > 0. */
static og_divisor divisor(int64_t d)
{
	og_divisor by = { 0, 0 };
	if (d <= 0 || d > INT32_MAX) return by;
	while (INT64_C(1) << by.shift < d) by.shift++;
	by.magic = (unsigned)((((UINT64_C(1) << by.shift) - (uint64_t)d) << 32) / (uint64_t)d + 1);
	return by;
}

/* How far operand x goes on in each dimension of y, from the innermost out; false when it does not broadcast. */
static bool find_steps(int64_t *step, const og_tensor *x, const og_tensor *y)
{
	int64_t next = 1;
	for (int d = 0; d < OG_MAX_RANK; d++) step[d] = 0;
	if (!x) return true;
	if (x->rank > y->rank) return false;
	for (int d = 0; d < x->rank; d++) {
		int64_t size = x->dims[x->rank - 1 - d], want = y->dims[y->rank - 1 - d];
		if (size != want && size != 1) return false;
		step[d] = size == 1 ? 0 : next;
		next *= size;
	}
	return true;
}

/* Dimensions that every operand goes through as through one are made one; those of size 1 go. */
static og_status find_dims(og_map_call *m, const library_op *l, const og_call *c)
{
	const og_tensor *y = c->out[0];
	int64_t step[OG_MAX_IN][OG_MAX_RANK];
	for (int k = 0; k < OG_MAX_IN; k++)
		if (!find_steps(step[k], input(c, k), y))
			return base_fail(OG_USAGE, "op %s: input %d does not broadcast to the output", l->op->name, k);
	for (int d = 0; d < y->rank; d++) {
		og_map_dim *last = m->rank > 0 ? &m->dim[m->rank - 1] : NULL, next = { .size = y->dims[y->rank - 1 - d] };
		bool joins = last != NULL;
		if (next.size == 1) continue;
		for (int k = 0; k < OG_MAX_IN; k++) {
			next.step[k] = step[k][d];
			joins = joins && next.step[k] == last->step[k] * last->size;
		}
		if (joins) last->size *= next.size;
		else m->dim[m->rank++] = next;
	}
	if (m->rank == 0) {
		m->rank = 1;
		m->dim[0].size = 1;
		for (int k = 0; k < OG_MAX_IN; k++) m->dim[0].step[k] = input(c, k) != NULL;
	}
	return OG_OK;
}

/* Arguments of a formula's kernel but for the pointers. */
static og_status map_arguments(og_map_call *m, const library_op *l, const og_call *c, og_dtype type)
{
	int64_t n;
	*m = (og_map_call){ .rank = 0 };
	if (!base_count(c->out[0]->dims, c->out[0]->rank, &n))
		return base_fail(OG_USAGE, "op %s: the output has no size", l->op->name);
	TRY(find_dims(m, l, c));
	if (l->op->map_inputs == 1 && (m->rank != 1 || m->dim[0].step[0] != 1))
		return base_fail(OG_USAGE, "op %s: the output has not the shape of the input", l->op->name);
	m->n = n;
	for (int k = 0; k < l->op->map_attrs; k++) m->attr[k] = c->attr[k].f;
	for (int k = 0; k < l->op->map_inputs; k++) m->value[k] = k < l->in.n ? (float)l->in.arg[k].value : 0.0f;
	for (int d = 0; d < m->rank; d++) m->dim[d].by = divisor(m->dim[d].size);
	m->packs = divisor(m->dim[0].size / (int64_t)(PACK_BYTES / og_dtype_bytes(type)));
	return OG_OK;
}

static uint32_t blocks_for(int64_t items, int64_t per_block, int64_t most)
{
	int64_t blocks = items / per_block + (items % per_block != 0);
	return (uint32_t)(blocks < most ? blocks : most);
}

/* Tactic 0 has a thread for every two packs of 16 bytes, tactic 1 as many threads as fit the device at once. */
static og_status prepare_formula(device_step *s, char *name, size_t n_name, const device_kernels *kernels,
                                 const library_op *l, const og_call *c, int tactic)
{
	og_map_call m;
	og_dtype type = formula_type(l, c);
	if (type == OG_NONE)
		return base_fail(OG_UNSUPPORTED,
		                 "op %s has no CUDA kernel for these types: its inputs must all be f32, f16 or bf16",
		                 l->op->name);
	TRY(map_arguments(&m, l, c, type));
	const int64_t pack = (int64_t)(PACK_BYTES / og_dtype_bytes(type)), whole = (m.n + pack - 1) / pack;
	const bool packed = m.n >> 31 == 0 && m.dim[0].size % pack == 0;
	const int64_t most = tactic == 1 ? kernels->processors * BLOCKS_PER_PROCESSOR : MOST_BLOCKS;
	uint32_t blocks = m.rank > 1 ? blocks_for(packed ? whole : m.n, THREADS, MOST_BLOCKS)
	                : blocks_for(whole, THREADS * PACKS_AT_ONCE, most);
	s->grid = (og_grid){ .blocks = { blocks, 1, 1 }, .threads = { THREADS, 1, 1 } };
	memcpy(s->bytes, &m, s->n_bytes = sizeof m);
	snprintf(name, n_name, "og_%s_%s%s", l->op->formula, base_dtype_name(type), m.rank > 1 ? "_view" : "");
	return OG_OK;
}

/* ---- kernels of an op's own ------------------------------------------------------------------- */

static og_dtype kernel_type(const og_call *c)
{
	const og_tensor *first = c->n_in > 0 ? c->in[0] : c->n_out > 0 ? c->out[0] : NULL;
	return first && is_device_float(first->dtype) ? first->dtype : OG_NONE;
}

static og_status prepare_kernel(device_step *s, char *name, size_t n_name, const library_op *l, const og_call *c,
                                int tactic)
{
	og_device_call a;
	const char *base;
	int length, k = op_kernel_find(&s->grid, &base, &length, c, tactic < 0 ? 0 : tactic);
	og_dtype type = kernel_type(c);
	if (k < 0) k = op_kernel_find(&s->grid, &base, &length, c, 0);
	if (type == OG_NONE || k < 0)
		return base_fail(OG_UNSUPPORTED, "op %s has no CUDA kernel for %s",
		                 l->op->name, type == OG_NONE ? "this type" : "these shapes");
	if (!op_kernel_arguments(&a, c, &l->in))
		return base_fail(OG_UNSUPPORTED, "op %s: a kernel takes at most %d inputs, %d outputs and %d attributes",
		                 l->op->name, OG_DEVICE_IN, OG_DEVICE_OUT, OG_DEVICE_ATTRS);
	a.tactic = k;
	memcpy(s->bytes, &a, s->n_bytes = sizeof a);
	snprintf(name, n_name, "%.*s_%s", length, base, base_dtype_name(type));
	return OG_OK;
}

/* ---- calls ------------------------------------------------------------------------------------ */

int device_tactics(const library_op *l, const og_call *c)
{
	og_map_call m;
	if (l->op->formula) {
		og_dtype type = formula_type(l, c);
		if (type == OG_NONE || map_arguments(&m, l, c, type) != OG_OK) return 0;
		return m.rank > 1 ? 1 : 2;
	}
	return l->op->device && kernel_type(c) != OG_NONE ? op_kernel_count(c) : 0;
}

size_t device_workspace(const library_op *l, const og_call *c, int tactic)
{
	(void)tactic;
	return l->op->device && l->op->workspace ? l->op->workspace(c) : 0;
}

og_status device_prepare(device_step *out, device_kernels *kernels, const library_op *l, const og_call *c, int tactic)
{
	char name[256];
	*out = (device_step){ .n_in = c->n_in, .n_out = c->n_out };
	if (!l->op->formula && !l->op->device) return base_fail(OG_UNSUPPORTED, "op %s has no CUDA kernel", l->op->name);
	TRY(l->op->formula ? prepare_formula(out, name, sizeof name, kernels, l, c, tactic)
	                   : prepare_kernel(out, name, sizeof name, l, c, tactic));
	const uint32_t *blocks = out->grid.blocks, *threads = out->grid.threads;
	if (blocks[0] == 0 || blocks[1] == 0 || blocks[2] == 0) {
		out->grid.blocks[0] = 0;
		return OG_OK;
	}
	if (blocks[0] > INT32_MAX || blocks[1] > 65535 || blocks[2] > 65535 ||
	    (uint64_t)threads[0] * threads[1] * threads[2] - 1 >= 1024)
		return base_fail(OG_UNSUPPORTED,
		                 "op %s: its grid of %u x %u x %u blocks of %u x %u x %u threads is beyond what CUDA takes",
		                 l->op->name, blocks[0], blocks[1], blocks[2], threads[0], threads[1], threads[2]);
	og_status status = driver_function(&out->function, kernels->module, name, out->grid.shared, kernels->device);
	if (status != OG_NO) return status;
	return base_fail(OG_UNSUPPORTED, "the op library has no CUDA kernel %s; build it again", name);
}

og_status device_launch(const device_step *s, const void *const *in, void *const *out, void *workspace, void *stream)
{
	og_pointers p = { .workspace = workspace };
	_Alignas(16) char bytes[sizeof s->bytes];
	for (int k = 0; k < s->n_in; k++) p.in[k] = in[k];
	for (int k = 0; k < s->n_out; k++) p.out[k] = out[k];
	memcpy(bytes, s->bytes, s->n_bytes);
	memcpy(bytes, &p, sizeof p);
	return driver_start(s->function, &s->grid, bytes, stream);
}
