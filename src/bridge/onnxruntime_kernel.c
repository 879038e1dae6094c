/* onnxruntime_kernel.c -- one node in a session of ONNX Runtime: its attributes, and its runs.
 *
 * On the CPU a node runs as in Opgraft's own plans, by the same kernels, on ONNX Runtime's threads. What depends on shapes is
 * prepared once and kept until other shapes come. ONNX Runtime may run one node from several threads at once: the first has what was
 * kept, the others prepare for themselves. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "bridge/device.h"
#include "bridge/onnxruntime.h"
#include "cpu/cpu.h"

enum { MAX_THREADS = 64 };

/* What a node needs on given shapes. */
typedef struct prepared {
	arena *a;
	int n_in, n_out;
	og_tensor in[LIBRARY_MAX_ARGS], out[LIBRARY_MAX_ARGS];       /* dtype OG_NONE: absent */
	backend_node node;
	backend_kernel kernel;
	void *workspace;
	device_kernels *device;
	device_step step;
} prepared;

typedef struct ort_kernel {
	const ort_op *o;
	arena *a;
	og_attr_value *attr;
	const char *name;
	int threads;
	pthread_mutex_t turn;                /* over `kept` */
	prepared kept;
} ort_kernel;

/* Gives up ONNX Runtime's status for one of ours. */
static og_status taken(const ort_api *api, void *failed)
{
	if (!failed) return OG_OK;
	api->ReleaseStatus(failed);
	return base_fail(OG_USAGE, "ONNX Runtime did not hand over what this op needs");
}

/* ---- attributes ----------------------------------------------------------------------------- */

/* Two kinds of objects tell attributes. Each function returns false when the attribute is not there. Lists: with out
 * NULL only *n. */
typedef struct attribute_source {
	const ort_api *api;
	const void *from;
	bool (*integer)(const struct attribute_source *, const char *name, int64_t *out);
	bool (*real)(const struct attribute_source *, const char *name, float *out);
	bool (*string)(const struct attribute_source *, const char *name, char *out, size_t *n);
	bool (*integers)(const struct attribute_source *, const char *name, int64_t *out, size_t *n);
	bool (*reals)(const struct attribute_source *, const char *name, float *out, size_t *n);
} attribute_source;

static bool good(const attribute_source *s, void *failed)
{
	if (failed) s->api->ReleaseStatus(failed);
	return !failed;
}

static bool node_integer(const attribute_source *s, const char *name, int64_t *out)
{
	return good(s, s->api->KernelInfoGetAttribute_int64(s->from, name, out));
}
static bool node_real(const attribute_source *s, const char *name, float *out)
{
	return good(s, s->api->KernelInfoGetAttribute_float(s->from, name, out));
}
static bool node_string(const attribute_source *s, const char *name, char *out, size_t *n)
{
	return good(s, s->api->KernelInfoGetAttribute_string(s->from, name, out, n));
}
static bool node_integers(const attribute_source *s, const char *name, int64_t *out, size_t *n)
{
	return good(s, s->api->KernelInfoGetAttributeArray_int64(s->from, name, out, n));
}
static bool node_reals(const attribute_source *s, const char *name, float *out, size_t *n)
{
	return good(s, s->api->KernelInfoGetAttributeArray_float(s->from, name, out, n));
}

/* While shapes are inferred: sizes are in bytes there, and too small a buffer is told by the size that is needed. */
static bool read_attribute(const attribute_source *s, const char *name, int type, void *out, size_t bytes, size_t *needed)
{
	const void *attribute = NULL;
	*needed = 0;
	if (!good(s, s->api->ShapeInferContext_GetAttribute(s->from, name, &attribute)) || !attribute) return false;
	bool read = good(s, s->api->ReadOpAttr(attribute, type, out, bytes, needed));
	return read || (!out && *needed > 0);
}
static bool shape_integer(const attribute_source *s, const char *name, int64_t *out)
{
	size_t needed;
	return read_attribute(s, name, ORT_ATTR_INT, out, sizeof *out, &needed);
}
static bool shape_real(const attribute_source *s, const char *name, float *out)
{
	size_t needed;
	return read_attribute(s, name, ORT_ATTR_FLOAT, out, sizeof *out, &needed);
}
static bool shape_string(const attribute_source *s, const char *name, char *out, size_t *n)
{
	return read_attribute(s, name, ORT_ATTR_STRING, out, out ? *n : 0, n);
}
static bool shape_integers(const attribute_source *s, const char *name, int64_t *out, size_t *n)
{
	size_t bytes;
	bool there = read_attribute(s, name, ORT_ATTR_INTS, out, out ? *n * sizeof *out : 0, &bytes);
	*n = bytes / sizeof *out;
	return there;
}
static bool shape_reals(const attribute_source *s, const char *name, float *out, size_t *n)
{
	size_t bytes;
	bool there = read_attribute(s, name, ORT_ATTR_FLOATS, out, out ? *n * sizeof *out : 0, &bytes);
	*n = bytes / sizeof *out;
	return there;
}

static og_status read_list(og_attr_value *out, const attribute_source *s, const og_attr *d, arena *a)
{
	size_t n = 0;
	bool floats = d->type == OG_ATTR_FLOATS;
	if (!(floats ? s->reals(s, d->name, NULL, &n) : s->integers(s, d->name, NULL, &n)) || n > INT32_MAX) return OG_OK;
	void *items = arena_array(a, n + 1, floats ? sizeof(float) : sizeof(int64_t));
	NEED(items);
	if (n && !(floats ? s->reals(s, d->name, items, &n) : s->integers(s, d->name, items, &n))) return OG_OK;
	out->present = 1;
	out->n = (int64_t)n;
	if (floats) out->floats = items;
	else out->ints = items;
	return OG_OK;
}

static og_status read_string(og_attr_value *out, const attribute_source *s, const ort_op *o, int k, arena *a)
{
	const char *name = o->l->op->attrs[k].name;
	size_t n = 0;
	if (!s->string(s, name, NULL, &n) || n > INT32_MAX) return OG_OK;
	char *word = arena_alloc(a, n + 1);
	NEED(word);
	if (n && !s->string(s, name, word, &n)) return OG_OK;
	return library_set_word(out, o->l, k, word);
}

/* A number that is there but cannot be read as one is of another type. */
static og_status read_number(og_attr_value *out, const attribute_source *s, const ort_op *o, int k)
{
	const og_attr *d = &o->l->op->attrs[k];
	int64_t i;
	float f;
	size_t n = 0;
	if (d->type == OG_ATTR_FLOAT && s->real(s, d->name, &f)) return library_set_number(out, o->l, k, (double)f);
	if (s->integer(s, d->name, &i)) return library_set_number(out, o->l, k, (double)i);
	if (s->string(s, d->name, NULL, &n) || s->real(s, d->name, &f))
		return base_fail(OG_USAGE, "op %s: attribute '%s' is to be %s", o->l->op->name, d->name, d->type == OG_ATTR_INT ? "an integer" : "a number");
	return OG_OK;
}

static og_status read_attributes(og_attr_value *out, const ort_op *o, const attribute_source *s, arena *a)
{
	library_defaults(out, o->l);
	for (int k = 0; k < o->l->n_attrs; k++) {
		const og_attr *d = &o->l->op->attrs[k];
		switch (d->type) {
		case OG_ATTR_INT: case OG_ATTR_FLOAT:
			TRY(read_number(&out[k], s, o, k));
			break;
		case OG_ATTR_ENUM: case OG_ATTR_STRING:
			TRY(read_string(&out[k], s, o, k, a));
			break;
		case OG_ATTR_INTS: case OG_ATTR_FLOATS:
			TRY(read_list(&out[k], s, d, a));
			break;
		default:
			return base_fail(OG_UNSUPPORTED, "op %s: attribute '%s' is of a type that ONNX Runtime does not hand to custom ops",
			                 o->l->op->name, d->name);
		}
		if (d->required && !out[k].present)
			return base_fail(OG_USAGE, "op %s: attribute '%s' is missing", o->l->op->name, d->name);
	}
	return OG_OK;
}

static og_status kernel_attributes(og_attr_value *out, const ort_op *o, const void *info, arena *a)
{
	const attribute_source s = { o->api, info, node_integer, node_real, node_string, node_integers, node_reals };
	return read_attributes(out, o, &s, a);
}

og_status ort_infer_attributes(og_attr_value *out, const ort_op *o, const void *c, arena *a)
{
	const attribute_source s = { o->api, c, shape_integer, shape_real, shape_string, shape_integers, shape_reals };
	return read_attributes(out, o, &s, a);
}

/* ---- a kernel's life ------------------------------------------------------------------------ */

static void prepared_end(prepared *p)
{
	device_close(p->device);
	arena_destroy(p->a);
	base_free(p->workspace);
	*p = (prepared){ .a = NULL };
}

void ort_kernel_destroy(void *kernel)
{
	ort_kernel *k = kernel;
	if (!k) return;
	prepared_end(&k->kept);
	pthread_mutex_destroy(&k->turn);
	arena_destroy(k->a);
	base_free(k);
}

static og_status create(ort_kernel *k, const void *info)
{
	const ort_api *api = k->o->api;
	size_t n = 0;
	k->a = arena_create();
	k->attr = k->a ? arena_array(k->a, (size_t)k->o->l->n_attrs + 1, sizeof *k->attr) : NULL;
	NEED(k->attr);
	TRY(taken(api, api->KernelInfo_GetNodeName(info, NULL, &n)));
	char *name = arena_alloc(k->a, n + 1);
	NEED(name);
	if (n) TRY(taken(api, api->KernelInfo_GetNodeName(info, name, &n)));
	k->name = name;
	og_status status = kernel_attributes(k->attr, k->o, info, k->a);
	return status == OG_OK ? OG_OK : base_fail_in(status, "node '%s'", k->name);
}

void *ort_kernel_create(const ort_custom_op *base, const void *api, const void *info, void **kernel)
{
	const ort_op *o = (const ort_op *)base;
	ort_kernel *k = base_new(1, sizeof *k);
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	(void)api;
	if (!k) return ort_status(o->api, base_no_memory());
	*k = (ort_kernel){ .o = o, .threads = processors < 1 ? 1 : processors > MAX_THREADS ? MAX_THREADS : (int)processors };
	pthread_mutex_init(&k->turn, NULL);
	og_status status = create(k, info);
	if (status != OG_OK) {
		void *failed = ort_status(o->api, status);
		ort_kernel_destroy(k);
		return failed;
	}
	*kernel = k;
	return NULL;
}

/* ---- preparing for shapes ------------------------------------------------------------------- */

static bool value_needed(const library_op *l, int k) { return k < l->in.n && l->in.arg[k].value_needed; }

static og_status infer(const ort_kernel *k, prepared *p, const og_tensor *in)
{
	og_shape shapes[LIBRARY_MAX_ARGS], made[LIBRARY_MAX_ARGS];
	for (int i = 0; i < p->n_in; i++) {
		shapes[i] = (og_shape){ .dtype = in[i].dtype, .rank = in[i].dtype == OG_NONE ? -1 : in[i].rank };
		memcpy(shapes[i].dims, in[i].dims, sizeof in[i].dims);
		if (value_needed(k->o->l, i) && in[i].dtype != OG_NONE) shapes[i].value = &in[i];
	}
	for (int i = 0; i < p->n_out; i++) made[i] = (og_shape){ .dtype = k->o->out[i < k->o->l->out.n ? i : k->o->l->out.n - 1], .rank = -1 };
	TRY(library_infer(k->o->l, k->attr, p->n_in, shapes, p->n_out, made));
	for (int i = 0; i < p->n_out; i++) {
		bool known = made[i].rank >= 0;
		for (int d = 0; known && d < made[i].rank; d++) known = made[i].dims[d] >= 0;
		if (!known) return base_fail(OG_UNSUPPORTED, "the shape of output %d of op %s cannot be known before it runs", i, k->o->l->op->name);
		p->out[i] = (og_tensor){ .dtype = made[i].dtype, .rank = made[i].rank };
		memcpy(p->out[i].dims, made[i].dims, sizeof made[i].dims);
	}
	return OG_OK;
}

static og_status prepare_cpu(const ort_kernel *k, prepared *p)
{
	cpu_kernels level = { .lanes = 1 };
	level.isa = cpu_level(&level.name);
	cpu_request r = { .node = &p->node, .threads = k->threads, .kernels = &level, .a = p->a };
	static const struct { const char *tactic; cpu_prepare_fn *prepare; } ways[] = {
		{ "map", cpu_map }, { "kernel", cpu_definition }, { "definition", cpu_definition },
	};
	og_status status = OG_NO;
	for (size_t i = 0; status == OG_NO && i < sizeof ways / sizeof *ways; i++) {
		r.tactic = ways[i].tactic;
		status = ways[i].prepare(&p->kernel, &r);
	}
	if (status == OG_NO)
		return base_fail(OG_UNSUPPORTED, "op %s does not run on %s", k->o->l->op->name, base_dtype_name(p->in[0].dtype));
	TRY(status);
	if (!p->kernel.workspace_bytes) return OG_OK;
	p->workspace = base_alloc_aligned(p->kernel.workspace_bytes, 64);
	NEED(p->workspace);
	return OG_OK;
}

static og_call call_of(const ort_kernel *k, const prepared *p, const og_tensor **in, og_tensor **out)
{
	for (int i = 0; i < p->n_in; i++) in[i] = p->in[i].dtype == OG_NONE ? NULL : &p->in[i];
	for (int i = 0; i < p->n_out; i++) out[i] = (og_tensor *)&p->out[i];
	return (og_call){ .host = &library_host, .op = k->o->l->op, .attr = k->attr, .n_in = p->n_in, .n_out = p->n_out, .in = in, .out = out };
}

/* The first tactic that needs no workspace: ONNX Runtime has none to give on its stream. */
static og_status prepare_cuda(const ort_kernel *k, prepared *p)
{
	const og_tensor *in[LIBRARY_MAX_ARGS];
	og_tensor *out[LIBRARY_MAX_ARGS];
	og_call call = call_of(k, p, in, out);
	TRY(device_open(&p->device));        /* here and not when the node is made: now its context is the current one */
	int n = device_tactics(k->o->l, &call);
	for (int t = 0; t < n; t++)
		if (device_workspace(k->o->l, &call, t) == 0) return device_prepare(&p->step, p->device, k->o->l, &call, t);
	return base_fail(OG_UNSUPPORTED, "op %s has no CUDA kernel that ONNX Runtime can run on these types", k->o->l->op->name);
}

static og_status prepare_anew(const ort_kernel *k, prepared *p, int n_in, const og_tensor *in, int n_out)
{
	prepared_end(p);
	p->a = arena_create();
	NEED(p->a);
	p->n_in = n_in;
	p->n_out = n_out;
	for (int i = 0; i < n_in; i++) {
		p->in[i] = in[i];
		p->in[i].data = NULL;
	}
	TRY(infer(k, p, in));
	p->node = (backend_node){ .name = k->name, .op = k->o->l->op, .attr = k->attr, .n_in = n_in, .n_anchor_in = n_in, .n_out = n_out,
	                          .in = p->in, .out = p->out };
	return k->o->cuda ? prepare_cuda(k, p) : prepare_cpu(k, p);
}

/* The device's kernels stay loaded from one shape to the next. */
static og_status prepare(const ort_kernel *k, prepared *p, int n_in, const og_tensor *in, int n_out)
{
	device_kernels *before = p->device;
	p->device = NULL;
	og_status status = prepare_anew(k, p, n_in, in, n_out);
	device_close(before);
	return status;
}

/* True when p serves these inputs; values that decide shapes may have changed, so they are never the same. */
static bool serves(const ort_kernel *k, const prepared *p, int n_in, const og_tensor *in, int n_out)
{
	if (!p->a || p->n_in != n_in || p->n_out != n_out) return false;
	for (int i = 0; i < n_in; i++) {
		const og_tensor *t = &p->in[i];
		if (t->dtype != in[i].dtype || t->rank != in[i].rank || value_needed(k->o->l, i) ||
		    memcmp(t->dims, in[i].dims, (size_t)t->rank * sizeof *t->dims)) return false;
	}
	return true;
}

/* ---- running -------------------------------------------------------------------------------- */

static og_status read_input(const ort_api *api, const void *c, int k, og_tensor *t)
{
	const void *value = NULL;
	void *shape = NULL;
	size_t rank = 0;
	int type = OG_NONE;
	*t = (og_tensor){ .dtype = OG_NONE };
	TRY(taken(api, api->KernelContext_GetInput(c, (size_t)k, &value)));
	if (!value) return OG_OK;
	TRY(taken(api, api->GetTensorTypeAndShape(value, &shape)));
	og_status status = taken(api, api->GetDimensionsCount(shape, &rank));
	if (status == OG_OK && rank > OG_MAX_RANK) status = base_fail(OG_UNSUPPORTED, "input %d has %zu dimensions; 8 is the most", k, rank);
	if (status == OG_OK) status = taken(api, api->GetTensorElementType(shape, &type));
	if (status == OG_OK) status = taken(api, api->GetDimensions(shape, t->dims, rank));
	api->ReleaseTensorTypeAndShapeInfo(shape);
	TRY(status);
	t->dtype = (og_dtype)type;
	t->rank = (int)rank;
	return taken(api, api->GetTensorMutableData((void *)(uintptr_t)value, &t->data));
}

/* Runs items on the threads of the session that this node runs in. */
typedef struct lent_context { const ort_api *api; const void *c; } lent_context;
typedef struct lent_items { void (*item)(void *arg, int64_t k); void *arg; } lent_items;

static void lent_item(void *arg, size_t k)
{
	const lent_items *i = arg;
	i->item(i->arg, (int64_t)k);
}

static void lent_run(void *context, int64_t n, void (*item)(void *arg, int64_t k), void *arg)
{
	const lent_context *l = context;
	lent_items items = { item, arg };
	void *failed = l->api->KernelContext_ParallelFor(l->c, lent_item, (size_t)n, 0, &items);
	if (!failed) return;
	l->api->ReleaseStatus(failed);       /* then nothing has run */
	for (int64_t k = 0; k < n; k++) item(arg, k);
}

static og_status run_cpu(const ort_kernel *k, const prepared *p, const void *c, const og_tensor *in, void *const *out)
{
	const og_tensor *ins[LIBRARY_MAX_ARGS];
	og_tensor tensors[LIBRARY_MAX_ARGS], *outs[LIBRARY_MAX_ARGS];
	lent_context context = { k->o->api, c };
	pool_lent lent = { .threads = k->threads, .run = lent_run, .context = &context };
	for (int i = 0; i < p->n_in; i++) ins[i] = in[i].dtype == OG_NONE ? NULL : &in[i];
	for (int i = 0; i < p->n_out; i++) {
		tensors[i] = p->out[i];
		tensors[i].data = out[i];
		outs[i] = out[i] ? &tensors[i] : NULL;
	}
	backend_run run = { .in = ins, .out = outs, .workspace = p->workspace, .threads = pool_lend(&lent) };
	return p->kernel.run(&p->kernel, &run);
}

static og_status run_cuda(const ort_kernel *k, const prepared *p, const void *c, const og_tensor *in, void *const *out)
{
	const void *ins[LIBRARY_MAX_ARGS];
	void *stream = NULL;
	device_step step = p->step;
	TRY(taken(k->o->api, k->o->api->KernelContext_GetGPUComputeStream(c, &stream)));
	for (int i = 0; i < p->n_in; i++) ins[i] = in[i].data;
	return device_launch(&step, ins, out, NULL, stream);
}

static og_status run(const ort_kernel *k, prepared *p, void *c, int n_in, const og_tensor *in, int n_out)
{
	const ort_api *api = k->o->api;
	void *out[LIBRARY_MAX_ARGS] = { NULL };
	bool empty = true;
	if (!serves(k, p, n_in, in, n_out)) {
		og_status status = prepare(k, p, n_in, in, n_out);
		if (status != OG_OK) {
			prepared_end(p);
			return status;
		}
	}
	for (int i = 0; i < n_out; i++) {
		void *value = NULL;
		TRY(taken(api, api->KernelContext_GetOutput(c, (size_t)i, p->out[i].dims, (size_t)p->out[i].rank, &value)));
		if (value) TRY(taken(api, api->GetTensorMutableData(value, &out[i])));
		empty &= !value || og_count(&p->out[i]) == 0;
	}
	if (empty) return OG_OK;
	return k->o->cuda ? run_cuda(k, p, c, in, out) : run_cpu(k, p, c, in, out);
}

static og_status compute(ort_kernel *k, void *c)
{
	const ort_api *api = k->o->api;
	og_tensor in[LIBRARY_MAX_ARGS];
	size_t n_in = 0, n_out = 0;
	TRY(taken(api, api->KernelContext_GetInputCount(c, &n_in)));
	TRY(taken(api, api->KernelContext_GetOutputCount(c, &n_out)));
	if (n_in > LIBRARY_MAX_ARGS || n_out > LIBRARY_MAX_ARGS)
		return base_fail(OG_UNSUPPORTED, "it has more than %d inputs or outputs", LIBRARY_MAX_ARGS);
	for (size_t i = 0; i < n_in; i++) TRY(read_input(api, c, (int)i, &in[i]));
	if (pthread_mutex_trylock(&k->turn) == 0) {
		og_status status = run(k, &k->kept, c, (int)n_in, in, (int)n_out);
		pthread_mutex_unlock(&k->turn);
		return status;
	}
	prepared own = { .a = NULL };
	og_status status = run(k, &own, c, (int)n_in, in, (int)n_out);
	prepared_end(&own);
	return status;
}

void *ort_kernel_compute(void *kernel, void *c)
{
	ort_kernel *k = kernel;
	og_status status = compute(k, c);
	if (status != OG_OK) status = base_fail_in(status, "node '%s' (%s)", k->name, k->o->l->op->name);
	return ort_status(k->o->api, status);
}
