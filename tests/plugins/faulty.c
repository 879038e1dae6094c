/* faulty.c -- a plugin library in C: `Good` adds a bias to a tensor, each of the others does so with one fault. Its
 * kernels are host functions, for fake_cuda.c. */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/tensorrt_abi.h"

#define FAULTS(X) \
	X(Good) X(NullName) X(FieldTwice) X(RefusesToRun) X(NoRuntime) X(OtherVersion) X(ZeroOutputs) X(TypesOfOne) \
	X(ShapeOfOne) X(DividesInShape) X(DividesByNothing) X(NegativeSize) X(KnownSizesDiffer) X(Chance) \
	X(LooksBehind) X(TakesNothing) X(RefusesToConfigure) X(Workspaces) X(SameTactic) X(TimingOfItself) \
	X(LosesField) X(LosesValue) X(SharedState) X(SharedName) X(CrashesInClone) X(AttachesItself) \
	X(RefusesShapes) X(Unwritten) X(Behind) X(Before) X(WritesInput) X(WorkspaceEnd) X(Padding) X(OldOutput) \
	X(Counts) X(OtherInPacked) X(ForgetsBias) X(Allocates) X(OldPointers) X(OnePlace) X(CrashesInEnqueue) \
	X(RefusesToEnqueue)
typedef enum fault {
#define X(name) name,
	FAULTS(X)
#undef X
	N_FAULTS
} fault;
static const char *const names[] = {
#define X(name) #name,
	FAULTS(X)
#undef X
};

enum { WORKSPACE = 64 };

/* What the "kernel" works on. */
typedef struct job {
	fault fault;
	const float *x;
	float *y, *space, bias;
	size_t n, channels, padded, inner;
	bool packed;
} job;

typedef struct plugin {
	trt_plugin plugin;
	trt_core core;
	trt_build build;
	trt_runtime runtime;
	fault fault;
	float *bias;                         /* on the heap, so that sharing it matters */
	trt_field field;
	trt_fields fields;
	char id[32];
	size_t elements, channels, padded, inner;    /* as last told; outer dimensions are in `elements` */
	bool packed;
	job old;                             /* of the last enqueue */
} plugin;
#define PLUGIN_OF(member, pointer) ((plugin *)(void *)((char *)(pointer) - offsetof(plugin, member)))

static int32_t language(void *self) { return (void)self, TRT_LANGUAGE_CPP; }
static void stay(void *self) { (void)self; }

/* ---- the plugin ----------------------------------------------------------------------------------- */

static trt_plugin *make(fault f, float bias);

static trt_info plugin_info(void *self) { return (void)self, (trt_info){ TRT_PLUGIN_KIND, 1, 0 }; }
static void end_plugin(void *self)
{
	plugin *p = self;
	free(p->bias);
}
static void destroy_plugin(void *self)
{
	end_plugin(self);
	free(self);
}
static void *capability(trt_plugin *self, int32_t which)
{
	plugin *p = PLUGIN_OF(plugin, self);
	if (which == TRT_CAPABILITY_RUNTIME) return p->fault == NoRuntime ? NULL : (void *)&p->runtime;
	return which == TRT_CAPABILITY_CORE ? (void *)&p->core : which == TRT_CAPABILITY_BUILD ? (void *)&p->build : NULL;
}
static trt_plugin *clone_plugin(trt_plugin *self)
{
	plugin *p = PLUGIN_OF(plugin, self), *made;
	if (p->fault == CrashesInClone) return *(trt_plugin **)(uintptr_t)16;
	made = PLUGIN_OF(plugin, make(p->fault, *p->bias));
	if (p->fault == SharedState) {
		free(made->bias);
		made->bias = p->bias;
		made->field.data = made->bias;
	}
	if (p->fault == SharedName) made->fields = p->fields;
	return &made->plugin;
}

static trt_info core_info(void *self) { return (void)self, (trt_info){ TRT_CORE_KIND, 1, 0 }; }
static const char *core_name(trt_core *self) { return names[PLUGIN_OF(core, self)->fault]; }
static const char *core_version(trt_core *self) { return PLUGIN_OF(core, self)->fault == OtherVersion ? "2" : "1"; }
static const char *core_space(trt_core *self) { return (void)self, ""; }

/* ---- build ------------------------------------------------------------------------------------------ */

static trt_info build_info(void *self) { return (void)self, (trt_info){ TRT_BUILD_KIND, 1, 0 }; }
static int32_t configure(trt_build *self, const trt_range *in, int32_t n_in, const trt_range *out, int32_t n_out)
{
	(void)in, (void)n_in, (void)out, (void)n_out;
	return PLUGIN_OF(build, self)->fault == RefusesToConfigure ? 7 : 0;
}
static int32_t n_outputs(trt_build *self)
{
	fault f = PLUGIN_OF(build, self)->fault;
	return f == ZeroOutputs ? 0 : f == TypesOfOne || f == ShapeOfOne ? 2 : 1;
}
static int32_t output_types(trt_build *self, int32_t *out, int32_t n_out, const int32_t *in, int32_t n_in)
{
	fault f = PLUGIN_OF(build, self)->fault;
	if (n_in != 1) return 1;
	for (int32_t k = 0; k < (f == TypesOfOne ? 1 : n_out); k++) out[k] = in[0];
	return 0;
}

/* All sizes as they come in, or one of them in a way of its own. */
static int32_t output_shapes(trt_build *self, const trt_dims_expr *in, int32_t n_in, const trt_dims_expr *shape_in,
                             int32_t n_shape_in, trt_dims_expr *out, int32_t n_out, trt_expr_builder *builder)
{
	fault f = PLUGIN_OF(build, self)->fault;
	trt_dim_maker *m = builder->maker;
	(void)shape_in, (void)n_shape_in;
	if (n_in != 1) return 1;
	for (int32_t k = 0; k < (f == ShapeOfOne ? 1 : n_out); k++) out[k] = in[0];
	if (in[0].nbDims == 0) return 0;
	const trt_dim *d = in[0].d[0], *one = m->table->constant(m, 1);
	const bool known = d->value->table->isConstant(d->value);
	volatile int64_t share = f == DividesInShape && known ? 210 / d->value->table->getConstantValue(d->value) : 0;
	(void)share;
	if (f == DividesByNothing)
		out[0].d[0] = m->table->operation(m, TRT_DIM_FLOOR_DIV, d, m->table->operation(m, TRT_DIM_SUB, d, one));
	if (f == NegativeSize) out[0].d[0] = m->table->operation(m, TRT_DIM_SUB, d, m->table->constant(m, 2));
	if (f == KnownSizesDiffer && known)
		out[0].d[0] = m->table->constant(m, (int32_t)d->value->table->getConstantValue(d->value));
	return 0;
}

static bool supports(trt_build *self, int32_t position, const trt_range *in_out, int32_t n_in, int32_t n_out)
{
	fault f = PLUGIN_OF(build, self)->fault;
	const trt_tensor *t = &in_out[position].desc;
	(void)n_in, (void)n_out;
	if (f == Chance) return rand() % 3 == 0;
	if (f == TakesNothing) return false;
	if (f == LooksBehind && position == 0 && in_out[1].desc.type != t->type) return false;
	return t->type == TRT_FLOAT && (t->format == TRT_LINEAR || t->format == TRT_CHW4) &&
	       (position == 0 || t->format == in_out[0].desc.format);
}
static size_t workspace(trt_build *self, const trt_range *in, int32_t n_in, const trt_range *out, int32_t n_out)
{
	static atomic_int asked;
	fault f = PLUGIN_OF(build, self)->fault;
	(void)in, (void)n_in, (void)out, (void)n_out;
	return f == Workspaces ? (size_t)atomic_fetch_add(&asked, 1) : WORKSPACE;
}
static int32_t valid_tactics(trt_build *self, int32_t *tactics, int32_t n)
{
	(void)self;
	for (int32_t k = 0; k < n; k++) tactics[k] = 1;
	return 0;
}
static int32_t n_tactics(trt_build *self) { return PLUGIN_OF(build, self)->fault == SameTactic ? 2 : 0; }
static const char *timing_id(trt_build *self)
{
	plugin *p = PLUGIN_OF(build, self);
	snprintf(p->id, sizeof p->id, "%p", (void *)p);
	return p->fault == TimingOfItself ? p->id : "same";
}
static int32_t format_limit(trt_build *self) { return (void)self, TRT_FORMAT_COMBINATIONS; }
static const char *metadata(trt_build *self) { return (void)self, NULL; }

/* ---- runtime ------------------------------------------------------------------------------------------ */

static trt_info runtime_info(void *self) { return (void)self, (trt_info){ TRT_RUNTIME_KIND, 1, 0 }; }
static int32_t set_tactic(trt_runtime *self, int32_t tactic) { return (void)self, (void)tactic, 0; }

static int32_t shape_change(trt_runtime *self, const trt_tensor *in, int32_t n_in, const trt_tensor *out, int32_t n_out)
{
	plugin *p = PLUGIN_OF(runtime, self);
	const trt_dims *dims = &in[0].dims;
	const int channel = dims->nbDims - 3;
	(void)n_in, (void)out, (void)n_out;
	if (p->fault == RefusesShapes) return 3;
	p->packed = in[0].format == TRT_CHW4;
	p->elements = p->inner = 1;
	for (int d = 0; d < dims->nbDims; d++) {
		if (d != channel || !p->packed) p->elements *= (size_t)dims->d[d];
		if (d > channel) p->inner *= (size_t)dims->d[d];
	}
	p->channels = p->packed ? (size_t)dims->d[channel] : 0;
	p->padded = (p->channels + 3) / 4 * 4;
	if (p->packed) p->elements *= p->padded;
	return 0;
}

static float one_place[1 << 16];

static void compute(void *data)
{
	const job *j = data;
	static atomic_int runs;
	float lost = 0;
	const float *x = j->x;
	if (j->fault == OnePlace && j->n <= sizeof one_place / sizeof *one_place) {      /* whoever comes last decides */
		memcpy(one_place, x, j->n * sizeof *x);
		usleep(300);
		x = one_place;
	}
	if (j->fault == Padding && j->packed && j->channels % 4)
		for (size_t k = 0; k < j->n; k++) lost += 0 * x[k];
	if (j->fault == OldOutput && j->n) lost = 0 * j->y[0];
	if (j->fault == Counts) lost = (float)atomic_fetch_add(&runs, 1);
	for (size_t k = 0; k < j->n; k++)
		if (j->fault != Unwritten || k != j->n / 2)
			j->y[k] = x[k] + j->bias + lost + (j->fault == OtherInPacked && j->packed ? 1.0f : 0.0f);
	if (j->fault == Behind) j->y[j->n] = 1;
	if (j->fault == Before) j->y[-1] = 1;
	if (j->fault == WritesInput && j->n) *(float *)(uintptr_t)j->x = 1;
	memset(j->space, 0, WORKSPACE + (j->fault == WorkspaceEnd));
}

/* The driver that the host has open. */
static void *driver(const char *name)
{
	void *library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
	return library ? dlsym(library, name) : NULL;
}

static int32_t enqueue(trt_runtime *self, const trt_tensor *in_desc, const trt_tensor *out_desc, const void *const *in,
                       void *const *out, void *space, void *stream)
{
	plugin *p = PLUGIN_OF(runtime, self);
	int (*launch)(void *, void (*)(void *), void *);
	int (*allocate)(uint64_t *, size_t);
	uint64_t memory;
	(void)in_desc, (void)out_desc;
	*(void **)&launch = driver("cuLaunchHostFunc");
	*(void **)&allocate = driver("cuMemAlloc_v2");
	job *j = malloc(sizeof *j);              /* stays: a graph may run it again */
	if (!j || !launch || !allocate) return 1;
	*j = (job){ p->fault, in[0], out[0], space, *p->bias, p->elements, p->channels, p->padded, p->inner, p->packed };
	if (p->fault == CrashesInEnqueue) return *(volatile int32_t *)(uintptr_t)16;
	if (p->fault == RefusesToEnqueue) return 5;
	if (p->fault == Allocates) (void)allocate(&memory, 16);
	if (p->fault == OldPointers && p->old.x) *j = p->old;
	p->old = *j;
	return launch(stream, compute, j);
}

static trt_plugin *attach(trt_runtime *self, trt_context *context)
{
	plugin *p = PLUGIN_OF(runtime, self);
	(void)context;
	return p->fault == AttachesItself ? &p->plugin : clone_plugin(&p->plugin);
}
static const trt_fields *fields(trt_runtime *self) { return &PLUGIN_OF(runtime, self)->fields; }

/* ---- tables ---------------------------------------------------------------------------------------------- */

static const struct { trt_prefix prefix; trt_plugin_table table; } plugin_table = { .table = {
	language, plugin_info, end_plugin, destroy_plugin, capability, clone_plugin } };
static const struct { trt_prefix prefix; trt_core_table table; } core_table = { .table = {
	language, core_info, stay, stay, core_name, core_version, core_space } };
static const struct { trt_prefix prefix; trt_build_table table;
} build_table = { .table = { language, build_info, stay, stay, configure, output_types, output_shapes, supports,
	                         n_outputs, workspace, valid_tactics, n_tactics, timing_id, format_limit, metadata } };
static const struct { trt_prefix prefix; trt_runtime_table table; } runtime_table = { .table = {
	language, runtime_info, stay, stay, set_tactic, shape_change, enqueue, attach, fields } };

static trt_plugin *make(fault f, float bias)
{
	plugin *p = calloc(1, sizeof *p);
	if (!p || !(p->bias = malloc(sizeof *p->bias))) abort();
	p->plugin.table = &plugin_table.table;
	p->core.table = &core_table.table;
	p->build.table = &build_table.table;
	p->runtime.table = &runtime_table.table;
	p->fault = f;
	*p->bias = bias;
	p->field = (trt_field){ "bias", p->bias, TRT_FIELD_FLOAT32, 1 };
	p->fields = (trt_fields){ f == LosesField ? 0 : 1, &p->field };
	return &p->plugin;
}

/* ---- creators ----------------------------------------------------------------------------------------------- */

typedef struct creator { trt_creator creator; fault fault; } creator;

static trt_info creator_info(void *self) { return (void)self, (trt_info){ TRT_CREATOR_KIND, 1, 0 }; }
static trt_plugin *create(trt_creator *self, const char *layer, const trt_fields *given, int32_t phase)
{
	fault f = ((creator *)self)->fault;
	float bias = 0.5f;
	(void)layer;
	if (f == RefusesToRun && phase == TRT_PHASE_RUNTIME) return NULL;
	for (int32_t k = 0; k < given->nbFields; k++)
		if (!strcmp(given->fields[k].name, "bias")) memcpy(&bias, given->fields[k].data, sizeof bias);
	if (f == LosesValue && phase == TRT_PHASE_RUNTIME) bias = 9;
	plugin *p = PLUGIN_OF(plugin, make(f, bias));
	if (f == ForgetsBias && phase == TRT_PHASE_RUNTIME) {    /* serialises it, but reckons with another */
		static float right;
		right = bias;
		*p->bias = 9;
		p->field.data = &right;
	}
	return &p->plugin;
}
static const trt_fields *field_names(trt_creator *self)
{
	static const float bias = 0.5f;
	static const trt_field both[] = { { "bias", &bias, TRT_FIELD_FLOAT32, 1 }, { "bias", &bias, TRT_FIELD_FLOAT32, 1 } };
	static const trt_fields once = { 1, both }, twice = { 2, both };
	return ((creator *)self)->fault == FieldTwice ? &twice : &once;
}
static const char *name(trt_creator *self) { return names[((creator *)self)->fault]; }
static const char *version(trt_creator *self) { return (void)self, "1"; }
static const char *space(trt_creator *self) { return ((creator *)self)->fault == NullName ? NULL : ""; }

static const struct { trt_prefix prefix; trt_creator_table table; } creator_table = { .table = {
	language, creator_info, stay, stay, create, field_names, name, version, space } };

__attribute__((visibility("default"))) trt_get_creators getCreators;
trt_creator *const *getCreators(int32_t *count)
{
	static creator all[N_FAULTS];
	static trt_creator *list[N_FAULTS];
	for (int k = 0; k < N_FAULTS; k++) {
		all[k] = (creator){ { &creator_table.table }, (fault)k };
		list[k] = &all[k].creator;
	}
	*count = N_FAULTS;
	return list;
}
