/* cudnn.c -- convolutions by cuDNN's graph API: convolution, residual, bias, Relu as one operation graph over channels-last tensors, run by
 * an engine of cuDNN's ranking. Only what crosses the graph's border is in memory; between operations numbers are float32. */
#include <dlfcn.h>

#include "cuda/vendor.h"
#include "cuda/vendor_abi.h"

enum { IN, WEIGHTS, BIAS, RESIDUAL, OUT, BETWEEN };      /* numbers of tensors */
enum { MOST_KEPT = 24, MOST_OPERATIONS = 4, MOST_CONFIGS = 64, MOST_NOTES = 16, ALIGNED = 16 };

static cudnn_api api;

static int open_library(void *library)
{
#define X(name, arguments) if (!(*(void **)&api.name = dlsym(library, #name))) return 1;
	CUDNN_MAP(X)
#undef X
	return 0;
}

static int begin_handle(void **handle) { return api.cudnnCreate(handle); }

static bool takes(const vendor_product *v)
{
	const igemm_problem *p = v->problem;
	return v->row == p->r * p->s * p->c && p->n * p->h > 1;
}

/* ---- descriptors ------------------------------------------------------------------------------- */

/* A graph being described; after the first error nothing more is done. */
typedef struct graph {
	int error;
	void *handle;
	void *kept[MOST_KEPT]; int n_kept;       /* to be destroyed */
	void *operation[MOST_OPERATIONS]; int n_operations;
	int n_between;
	void *config, *plan;
} graph;

static void *begin(graph *g, int kind)
{
	void *d = NULL;
	if (!g->error && g->n_kept == MOST_KEPT) g->error = -1;
	if (!g->error) g->error = api.cudnnBackendCreateDescriptor(kind, &d);
	if (!g->error) g->kept[g->n_kept++] = d;
	return d;
}

static void put(graph *g, void *d, int attribute, int type, int64_t n, const void *values)
{
	if (!g->error) g->error = api.cudnnBackendSetAttribute(d, attribute, type, n, values);
}

static void put_number(graph *g, void *d, int attribute, int type, int value) { put(g, d, attribute, type, 1, &value); }
static void put_descriptor(graph *g, void *d, int attribute, void *of) { put(g, d, attribute, OG_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &of); }
static void end(graph *g, void *d)
{
	if (!g->error) g->error = api.cudnnBackendFinalize(d);
}

static int type_of(const igemm_problem *p) { return p->dtype == OG_F32 ? OG_CUDNN_DATA_FLOAT : p->dtype == OG_F16 ? OG_CUDNN_DATA_HALF : OG_CUDNN_DATA_BFLOAT16; }

/* [n, c, h, w], channels innermost; row: elements from one pixel to the next. */
static void *tensor(graph *g, int type, int64_t number, int n, int c, int h, int w, int row)
{
	void *d = begin(g, OG_CUDNN_BACKEND_TENSOR_DESCRIPTOR);
	const int64_t dims[] = { n, c, h, w }, strides[] = { (int64_t)h * w * row, 1, (int64_t)w * row, row }, aligned = ALIGNED;
	const bool between = number >= BETWEEN;
	put_number(g, d, OG_CUDNN_ATTR_TENSOR_DATA_TYPE, OG_CUDNN_TYPE_DATA_TYPE, type);
	put(g, d, OG_CUDNN_ATTR_TENSOR_DIMENSIONS, OG_CUDNN_TYPE_INT64, 4, dims);
	put(g, d, OG_CUDNN_ATTR_TENSOR_STRIDES, OG_CUDNN_TYPE_INT64, 4, strides);
	put(g, d, OG_CUDNN_ATTR_TENSOR_UNIQUE_ID, OG_CUDNN_TYPE_INT64, 1, &number);
	put(g, d, OG_CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, OG_CUDNN_TYPE_INT64, 1, &aligned);
	put(g, d, OG_CUDNN_ATTR_TENSOR_IS_VIRTUAL, OG_CUDNN_TYPE_BOOLEAN, 1, &between);
	end(g, d);
	return d;
}

/* What an operation makes: the output, or something between two of them. */
static void *made_tensor(graph *g, const igemm_problem *p, bool last)
{
	return tensor(g, last ? type_of(p) : OG_CUDNN_DATA_FLOAT, last ? OUT : BETWEEN + g->n_between++, p->n, p->k, p->p, p->q, p->k);
}

/* ---- operations -------------------------------------------------------------------------------- */

static void add_operation(graph *g, void *d)
{
	end(g, d);
	g->operation[g->n_operations++] = d;
}

static void *convolve(graph *g, const igemm_problem *p, void *x, void *w)
{
	void *how = begin(g, OG_CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR), *y = made_tensor(g, p, false);
	const int64_t strides[] = { p->stride_h, p->stride_w }, dilations[] = { p->dilation_h, p->dilation_w }, before[] = { p->pad_h, p->pad_w }, axes = 2;
	const int behind_h = (p->p - 1) * p->stride_h + (p->r - 1) * p->dilation_h + 1 - p->h - p->pad_h;
	const int behind_w = (p->q - 1) * p->stride_w + (p->s - 1) * p->dilation_w + 1 - p->w - p->pad_w;
	const int64_t behind[] = { behind_h > 0 ? behind_h : 0, behind_w > 0 ? behind_w : 0 };       /* less: pixels that nothing reads */
	const float one = 1.0f, zero = 0.0f;
	put(g, how, OG_CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, OG_CUDNN_TYPE_INT64, 1, &axes);
	put_number(g, how, OG_CUDNN_ATTR_CONVOLUTION_COMP_TYPE, OG_CUDNN_TYPE_DATA_TYPE, OG_CUDNN_DATA_FLOAT);
	put_number(g, how, OG_CUDNN_ATTR_CONVOLUTION_CONV_MODE, OG_CUDNN_TYPE_CONVOLUTION_MODE, OG_CUDNN_CROSS_CORRELATION);
	put(g, how, OG_CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, OG_CUDNN_TYPE_INT64, 2, before);
	put(g, how, OG_CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, OG_CUDNN_TYPE_INT64, 2, behind);
	put(g, how, OG_CUDNN_ATTR_CONVOLUTION_DILATIONS, OG_CUDNN_TYPE_INT64, 2, dilations);
	put(g, how, OG_CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, OG_CUDNN_TYPE_INT64, 2, strides);
	end(g, how);
	void *d = begin(g, OG_CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
	put_descriptor(g, d, OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x);
	put_descriptor(g, d, OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w);
	put_descriptor(g, d, OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y);
	put_descriptor(g, d, OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, how);
	put(g, d, OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, OG_CUDNN_TYPE_FLOAT, 1, &one);
	put(g, d, OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, OG_CUDNN_TYPE_FLOAT, 1, &zero);
	add_operation(g, d);
	return y;
}

/* operand NULL: of x alone */
static void *pointwise(graph *g, const igemm_problem *p, int mode, void *x, void *operand, bool last)
{
	void *how = begin(g, OG_CUDNN_BACKEND_POINTWISE_DESCRIPTOR), *y = made_tensor(g, p, last);
	put_number(g, how, OG_CUDNN_ATTR_POINTWISE_MODE, OG_CUDNN_TYPE_POINTWISE_MODE, mode);
	put_number(g, how, OG_CUDNN_ATTR_POINTWISE_MATH_PREC, OG_CUDNN_TYPE_DATA_TYPE, OG_CUDNN_DATA_FLOAT);
	end(g, how);
	void *d = begin(g, OG_CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
	put_descriptor(g, d, OG_CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
	put_descriptor(g, d, OG_CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
	if (operand) put_descriptor(g, d, OG_CUDNN_ATTR_OPERATION_POINTWISE_BDESC, operand);
	put_descriptor(g, d, OG_CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
	add_operation(g, d);
	return y;
}

static void *describe(graph *g, const vendor_product *v)
{
	const igemm_problem *p = v->problem;
	const int type = type_of(p);
	void *x = tensor(g, type, IN, p->n, p->c, p->h, p->w, p->c), *w = tensor(g, type, WEIGHTS, p->k, p->c, p->r, p->s, p->c);
	void *bias = tensor(g, type, BIAS, 1, p->k, 1, 1, p->k), *at = convolve(g, p, x, w);
	if (v->adds) at = pointwise(g, p, OG_CUDNN_POINTWISE_ADD, at, tensor(g, type, RESIDUAL, p->n, p->k, p->p, p->q, p->k), false);
	at = pointwise(g, p, OG_CUDNN_POINTWISE_ADD, at, bias, !v->relu);
	if (v->relu) pointwise(g, p, OG_CUDNN_POINTWISE_RELU_FWD, at, NULL, true);
	void *d = begin(g, OG_CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
	put(g, d, OG_CUDNN_ATTR_OPERATIONGRAPH_HANDLE, OG_CUDNN_TYPE_HANDLE, 1, &g->handle);
	put(g, d, OG_CUDNN_ATTR_OPERATIONGRAPH_OPS, OG_CUDNN_TYPE_BACKEND_DESCRIPTOR, g->n_operations, g->operation);
	end(g, d);
	return d;
}

/* ---- engines ----------------------------------------------------------------------------------- */

/* Results must be the same in every run, and float32 in full where that is asked for. */
static bool is_allowed(const igemm_problem *p, void *config)
{
	const unsigned never = 1u << OG_CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC | 1u << OG_CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION |
		1u << OG_CUDNN_NUMERICAL_NOTE_FFT | 1u << OG_CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13;
	const unsigned rounded = 1u << OG_CUDNN_NUMERICAL_NOTE_TENSOR_CORE | 1u << OG_CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS |
		1u << OG_CUDNN_NUMERICAL_NOTE_WINOGRAD;
	graph g = { 0 };
	void *engine = begin(&g, OG_CUDNN_BACKEND_ENGINE_DESCRIPTOR);
	int notes[MOST_NOTES];
	int64_t n = 0;
	unsigned has = 0;
	if (!g.error) g.error = api.cudnnBackendGetAttribute(config, OG_CUDNN_ATTR_ENGINECFG_ENGINE, OG_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n, &engine);
	if (!g.error) g.error = api.cudnnBackendGetAttribute(engine, OG_CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, OG_CUDNN_TYPE_NUMERICAL_NOTE, MOST_NOTES, &n, notes);
	for (int64_t k = 0; !g.error && k < n && k < MOST_NOTES; k++) has |= notes[k] >= 0 && notes[k] < 32 ? 1u << notes[k] : 0;
	if (engine) api.cudnnBackendDestroyDescriptor(engine);
	return !g.error && !(has & (p->dtype == OG_F32 && !p->tf32 ? never | rounded : never));
}

/* The engine's plan; NULL: it can't be, or wants more workspace than there is. */
static void *plan_of(void *handle, void *config)
{
	graph g = { 0 };
	int64_t workspace = 0, n = 0;
	void *plan = begin(&g, OG_CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
	put(&g, plan, OG_CUDNN_ATTR_EXECUTION_PLAN_HANDLE, OG_CUDNN_TYPE_HANDLE, 1, &handle);
	put_descriptor(&g, plan, OG_CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
	end(&g, plan);
	if (!g.error)
		g.error = api.cudnnBackendGetAttribute(plan, OG_CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, OG_CUDNN_TYPE_INT64, 1, &n, &workspace);
	if (!g.error && workspace <= VENDOR_WORKSPACE) return plan;
	if (plan) api.cudnnBackendDestroyDescriptor(plan);
	return NULL;
}

static void choose(graph *g, const igemm_problem *p, void *operations, int choice)
{
	void *ranking = begin(g, OG_CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR), *configs[MOST_CONFIGS] = { NULL };
	int64_t n = 0;
	put_descriptor(g, ranking, OG_CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, operations);
	put_number(g, ranking, OG_CUDNN_ATTR_ENGINEHEUR_MODE, OG_CUDNN_TYPE_HEUR_MODE, OG_CUDNN_HEUR_MODE_A);
	end(g, ranking);
	for (int k = 0; !g->error && k < MOST_CONFIGS; k++) g->error = api.cudnnBackendCreateDescriptor(OG_CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[k]);
	if (!g->error)
		g->error = api.cudnnBackendGetAttribute(ranking, OG_CUDNN_ATTR_ENGINEHEUR_RESULTS, OG_CUDNN_TYPE_BACKEND_DESCRIPTOR, MOST_CONFIGS, &n, configs);
	for (int64_t k = 0; !g->error && !g->plan && k < n && k < MOST_CONFIGS; k++) {
		if (!is_allowed(p, configs[k]) || !(g->plan = plan_of(g->handle, configs[k])) || !choice--) continue;
		api.cudnnBackendDestroyDescriptor(g->plan);
		g->plan = NULL;
	}
	for (int k = 0; k < MOST_CONFIGS; k++)
		if (configs[k]) api.cudnnBackendDestroyDescriptor(configs[k]);
}

/* What is made is the execution plan. */
static og_status make(void **out, void *handle, const vendor_product *v, int choice, const vendor_places *at)
{
	graph g = { .handle = handle };
	(void)at;
	void *operations = describe(&g, v);
	choose(&g, v->problem, operations, choice);
	while (g.n_kept) api.cudnnBackendDestroyDescriptor(g.kept[--g.n_kept]);
	*out = g.plan;
	if (g.plan) return OG_OK;
	return base_fail(OG_UNSUPPORTED, "cuDNN has no way number %d for this convolution on this device (status %d); build the plan again", choice, g.error);
}

static int run(void *made, void *handle, const vendor_places *at, void *stream)
{
	graph g = { .error = api.cudnnSetStream(handle, stream) };
	const int64_t numbers[] = { IN, WEIGHTS, BIAS, OUT, RESIDUAL };
	const void *const places[] = { at->in, at->weights, at->bias, at->out, at->residual };
	void *d = begin(&g, OG_CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
	put(&g, d, OG_CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, OG_CUDNN_TYPE_INT64, at->residual ? 5 : 4, numbers);
	put(&g, d, OG_CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, OG_CUDNN_TYPE_VOID_PTR, at->residual ? 5 : 4, places);
	put(&g, d, OG_CUDNN_ATTR_VARIANT_PACK_WORKSPACE, OG_CUDNN_TYPE_VOID_PTR, 1, &at->workspace);
	end(&g, d);
	if (!g.error) g.error = api.cudnnBackendExecute(handle, made, d);
	if (d) api.cudnnBackendDestroyDescriptor(d);
	return g.error;
}

static void free_plan(void *made) { api.cudnnBackendDestroyDescriptor(made); }

const vendor vendor_cudnn = {
	.name = "cudnn", .title = "cuDNN",
	.library = { "OPGRAFT_CUDNN", { "libcudnn.so.9" }, "nvidia/cudnn/lib/libcudnn.so.9", "lib*/libcudnn.so.9", "cudnnBackendExecute" },
	.open = open_library, .begin = begin_handle, .takes = takes, .make = make, .run = run, .free = free_plan,
};
