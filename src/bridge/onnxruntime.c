/* onnxruntime.c -- the ops of this library as custom ops of ONNX Runtime: it calls RegisterCustomOps when a session is told
 * of the library.
 *
 * A custom op has one type for each argument, so an op becomes one for every choice of types that its declaration allows;
 * ONNX Runtime takes those of one name as one schema. They are made once and live as long as the process, as do the domains. */
#include <limits.h>
#include <pthread.h>

#include "bridge/device.h"
#include "bridge/onnxruntime.h"

__attribute__((visibility("default"))) void *RegisterCustomOps(void *options, const ort_base *base);

/* The types that ONNX Runtime's kernels take. */
static const uint32_t ort_types = 1u << OG_F32 | 1u << OG_F64 | 1u << OG_F16 | 1u << OG_BF16 | 1u << OG_I8 | 1u << OG_U8 | 1u << OG_I16 |
                                  1u << OG_U16 | 1u << OG_I32 | 1u << OG_U32 | 1u << OG_I64 | 1u << OG_U64 | 1u << OG_BOOL;
static const uint32_t device_types = 1u << OG_F32 | 1u << OG_F16 | 1u << OG_BF16;

void *ort_status(const ort_api *api, og_status status)
{
	if (status == OG_OK) return NULL;
	int code = status == OG_UNSUPPORTED ? ORT_NOT_IMPLEMENTED : status == OG_NO_MEMORY ? ORT_FAIL : ORT_INVALID_ARGUMENT;
	return api->CreateStatus(code, base_error());
}

/* ---- what an op says of itself -------------------------------------------------------------- */

static const ort_op *op_of(const ort_custom_op *base) { return (const ort_op *)base; }

static const char *get_name(const ort_custom_op *o) { return op_of(o)->l->op->name; }
static const char *get_provider(const ort_custom_op *o) { return op_of(o)->cuda ? "CUDAExecutionProvider" : NULL; }
static size_t input_count(const ort_custom_op *o) { return (size_t)op_of(o)->l->in.n; }
static size_t output_count(const ort_custom_op *o) { return (size_t)op_of(o)->l->out.n; }
static int input_type(const ort_custom_op *o, size_t k) { return (int)op_of(o)->in[k]; }
static int output_type(const ort_custom_op *o, size_t k) { return (int)op_of(o)->out[k]; }
static int first_version(const ort_custom_op *o) { return op_of(o)->l->op->since; }
static int last_version(const ort_custom_op *o) { (void)o; return INT_MAX; }
static int one(const ort_custom_op *o) { (void)o; return 1; }

static int characteristic(const schema_arg *a) { return a->variadic ? ORT_VARIADIC : a->optional ? ORT_OPTIONAL : ORT_REQUIRED; }
static int input_characteristic(const ort_custom_op *o, size_t k) { return characteristic(&op_of(o)->l->in.arg[k]); }
static int output_characteristic(const ort_custom_op *o, size_t k) { return characteristic(&op_of(o)->l->out.arg[k]); }

/* The host reads an input whose value decides shapes. */
static int input_memory(const ort_custom_op *o, size_t k)
{
	return op_of(o)->cuda && op_of(o)->l->in.arg[k].value_needed ? ORT_MEMORY_CPU_INPUT : ORT_MEMORY_DEFAULT;
}

/* A formula may write over any input of its output's type; ONNX Runtime looks at shapes and uses. It does not say
 * which op it asks for, hence one function for each number of inputs. */
static int inplace_in[OG_MAX_IN] = { 0, 1, 2 }, inplace_out[OG_MAX_IN];
static size_t inplace(int **in, int **out, size_t n)
{
	*in = inplace_in;
	*out = inplace_out;
	return n;
}
static size_t inplace_0(int **in, int **out) { return inplace(in, out, 0); }
static size_t inplace_1(int **in, int **out) { return inplace(in, out, 1); }
static size_t inplace_2(int **in, int **out) { return inplace(in, out, 2); }
static size_t inplace_3(int **in, int **out) { return inplace(in, out, 3); }
static void release_pairs(int *in, int *out) { (void)in; (void)out; }

/* ---- shapes while a session is made --------------------------------------------------------- */

/* Dimensions of one question: a size, UNKNOWN, or FIRST_SYMBOL - number of a name. */
enum { UNKNOWN = -1, FIRST_SYMBOL = -2, MAX_SYMBOLS = LIBRARY_MAX_ARGS * OG_MAX_RANK };
typedef struct symbols { const char *name[MAX_SYMBOLS]; int n; } symbols;

static og_dim symbol_of(symbols *s, const char *name)
{
	if (!name || !*name) return UNKNOWN;
	for (int i = 0; i < s->n; i++)
		if (!strcmp(s->name[i], name)) return FIRST_SYMBOL - i;
	s->name[s->n++] = name;
	return FIRST_SYMBOL - (s->n - 1);
}

/* Names are kept where the result is one of the operands; what would be an expression is unknown. */
static og_dim symbolic_dim(og_infer *c, og_dim_op op, og_dim a, og_dim b)
{
	if (a >= 0 && b >= 0) return library_host.dim(c, op, a, b);
	bool same = a == b && a != UNKNOWN;
	switch (op) {
	case OG_DIM_BROADCAST: return same || b == 1 ? a : a == 1 ? b : a > 1 ? a : b > 1 ? b : UNKNOWN;
	case OG_DIM_MAX: case OG_DIM_MIN: return same ? a : UNKNOWN;
	case OG_DIM_EQUAL: return same ? 1 : UNKNOWN;
	case OG_DIM_SUM: return a == 0 ? b : b == 0 ? a : UNKNOWN;
	case OG_DIM_PROD: return a == 1 ? b : b == 1 ? a : UNKNOWN;
	case OG_DIM_SUB: return b == 0 ? a : same ? 0 : UNKNOWN;
	case OG_DIM_FLOOR_DIV: case OG_DIM_CEIL_DIV: return b == 1 ? a : UNKNOWN;
	default: return UNKNOWN;
	}
}

static const og_host symbolic_host = { .abi = OG_OP_ABI, .fail = base_fail, .dim = symbolic_dim };

/* Input k's type and shape, which the context keeps. A rank of 0 says that nothing is known, and so does false. */
static bool read_shape(const ort_api *api, const void *c, size_t k, og_shape *s, symbols *names)
{
	void *shape = NULL, *failed = api->ShapeInferContext_GetInputTypeShape(c, k, &shape);
	const char *name[OG_MAX_RANK] = { NULL };
	size_t rank = 0;
	int type = OG_NONE;
	if (!failed && shape) failed = api->GetTensorElementType(shape, &type);
	if (!failed && shape) failed = api->GetDimensionsCount(shape, &rank);
	bool known = shape && rank > 0 && rank <= OG_MAX_RANK;
	if (!failed && known) failed = api->GetDimensions(shape, s->dims, rank);
	if (!failed && known) failed = api->GetSymbolicDimensions(shape, name, rank);
	if (failed) api->ReleaseStatus(failed);
	if (failed || !known) return false;
	s->dtype = (og_dtype)type;
	s->rank = (int)rank;
	for (size_t d = 0; d < rank; d++)
		if (s->dims[d] < 0) s->dims[d] = symbol_of(names, name[d]);
	return true;
}

static void *write_shape(const ort_api *api, const void *c, size_t k, const og_shape *s, const symbols *names)
{
	const char *name[OG_MAX_RANK];
	int64_t dims[OG_MAX_RANK];
	void *shape, *failed = api->CreateTensorTypeAndShapeInfo(&shape);
	if (failed) return failed;
	for (int d = 0; d < s->rank; d++) {
		dims[d] = s->dims[d] >= 0 ? s->dims[d] : -1;
		name[d] = s->dims[d] <= FIRST_SYMBOL ? names->name[FIRST_SYMBOL - s->dims[d]] : "";
	}
	failed = api->SetTensorElementType(shape, (int)s->dtype);
	if (!failed) failed = api->SetDimensions(shape, dims, (size_t)s->rank);
	if (!failed) failed = api->SetSymbolicDimensions(shape, name, (size_t)s->rank);
	if (!failed) failed = api->ShapeInferContext_SetOutputTypeShape(c, k, shape);
	api->ReleaseTensorTypeAndShapeInfo(shape);
	return failed;
}

/* Says nothing where an input is not known at all, or where a value decides: shapes then come with the run. */
static void *infer(const ort_custom_op *base, void *c)
{
	const ort_op *o = op_of(base);
	const ort_api *api = o->api;
	og_shape in[LIBRARY_MAX_ARGS] = { { 0 } }, out[LIBRARY_MAX_ARGS] = { { 0 } };
	symbols names = { .n = 0 };
	size_t n = 0;
	void *failed = api->ShapeInferContext_GetInputCount(c, &n);
	if (failed || n > LIBRARY_MAX_ARGS) return failed;
	for (int k = 0; k < o->l->in.n; k++)
		if (o->l->in.arg[k].value_needed) return NULL;
	for (size_t k = 0; k < n; k++)
		if (!read_shape(api, c, k, &in[k], &names)) return NULL;
	arena *a = arena_create();
	og_attr_value *attr = a ? arena_array(a, (size_t)o->l->n_attrs + 1, sizeof *attr) : NULL;
	og_infer question = { .host = &symbolic_host, .op = o->l->op, .attr = attr, .n_in = (int)n, .n_out = o->l->out.n, .in = in, .out = out };
	og_status status = attr ? ort_infer_attributes(attr, o, c, a) : base_no_memory();
	if (status == OG_OK) status = library_ask(o->l, &question, in);
	for (int k = 0; status == OG_OK && !failed && k < o->l->out.n; k++)
		if (out[k].rank >= 0) failed = write_shape(api, c, (size_t)k, &out[k], &names);
	arena_destroy(a);
	return failed ? failed : ort_status(api, status);
}

/* ---- making them ---------------------------------------------------------------------------- */

static const ort_custom_op functions = {
	.version = ORT_OP_VERSION, .name = get_name, .provider = get_provider, .input_type = input_type, .input_count = input_count,
	.output_type = output_type, .output_count = output_count, .destroy = ort_kernel_destroy,
	.input_characteristic = input_characteristic, .output_characteristic = output_characteristic, .input_memory = input_memory,
	.variadic_input_least = one, .variadic_input_same = one, .variadic_output_least = one, .variadic_output_same = one,
	.create_2 = ort_kernel_create, .compute_2 = ort_kernel_compute, .infer = infer, .first_version = first_version,
	.last_version = last_version, .release_may_inplace = release_pairs, .aliases = inplace_0, .release_aliases = release_pairs,
};

typedef struct domain { const char *name; void *handle; } domain;

static struct registry {
	ort_api api;
	arena *a;
	domain *domains; size_t n_domains, cap_domains;
	og_status status;
	void *failed;                        /* ONNX Runtime's own status; handed over once */
	char sentence[512];
	const ort_base *base;
} registry;

static og_status domain_of(domain **out, const char *name)
{
	struct registry *r = &registry;
	for (size_t i = 0; i < r->n_domains; i++)
		if (!strcmp(r->domains[i].name, name)) {
			*out = &r->domains[i];
			return OG_OK;
		}
	r->domains = arena_grow(r->a, r->domains, r->n_domains, &r->cap_domains, r->n_domains + 1, sizeof *r->domains);
	NEED(r->domains);
	*out = &r->domains[r->n_domains++];
	(*out)->name = name;
	r->failed = r->api.CreateCustomOpDomain(name, &(*out)->handle);
	return r->failed ? OG_USAGE : OG_OK;
}

static og_status add(const library_op *l, const og_dtype *choice, bool cuda)
{
	static size_t (*const may_inplace[OG_MAX_IN + 1])(int **, int **) = { inplace_0, inplace_1, inplace_2, inplace_3 };
	struct registry *r = &registry;
	domain *d = NULL;
	ort_op *o = arena_alloc(r->a, sizeof *o);
	NEED(o);
	*o = (ort_op){ .base = functions, .api = &r->api, .l = l, .cuda = cuda };
	bool same = l->op->formula && !l->in.arg[l->in.n - 1].variadic;
	for (int k = 0; k < l->in.n; k++) {
		const schema_arg *a = &l->in.arg[k];
		o->in[k] = a->variable < 0 ? (og_dtype)__builtin_ctz(a->types) : choice[a->variable];
	}
	for (int k = 0; k < l->out.n; k++) {
		const schema_arg *a = &l->out.arg[k];
		o->out[k] = a->variable < 0 ? (og_dtype)__builtin_ctz(a->types) : choice[a->variable];
	}
	for (int k = 0; k < l->in.n; k++) same &= o->in[k] == o->out[0];
	o->base.may_inplace = may_inplace[same ? l->op->map_inputs : 0];
	TRY(domain_of(&d, l->op->domain));
	r->failed = r->api.CustomOpDomain_Add(d->handle, o);
	return r->failed ? OG_USAGE : OG_OK;
}

/* Every choice of types for the variables from `variable` on. */
static og_status add_choices(const library_op *l, const uint32_t *types, int n, int variable, og_dtype *choice, bool cuda)
{
	if (variable == n) return add(l, choice, cuda);
	for (int t = 0; t < OG_DTYPE_COUNT; t++) {
		if (!(types[variable] & 1u << t)) continue;
		choice[variable] = (og_dtype)t;
		TRY(add_choices(l, types, n, variable + 1, choice, cuda));
	}
	return OG_OK;
}

static int collect_variables(const schema_args *args, uint32_t *types, int n)
{
	for (int k = 0; k < args->n; k++) {
		const schema_arg *a = &args->arg[k];
		if (a->variable < 0 || a->variable >= 2 * SCHEMA_MAX_ARGS) continue;
		while (n <= a->variable) types[n++] = ort_types;
		types[a->variable] &= a->types;
	}
	return n;
}

static og_status add_op(const library_op *l)
{
	uint32_t types[2 * SCHEMA_MAX_ARGS];
	og_dtype choice[2 * SCHEMA_MAX_ARGS] = { OG_NONE };
	if (!l->op->domain || !l->out.n) return OG_OK;       /* ONNX's own ops are ONNX Runtime's */
	int n = collect_variables(&l->in, types, 0);
	n = collect_variables(&l->out, types, n);
	TRY(add_choices(l, types, n, 0, choice, false));
	if (!device_present() || (!l->op->formula && !l->op->device)) return OG_OK;
	for (int i = 0; i < n; i++)
		if (types[i] & device_types) types[i] &= device_types;
	return add_choices(l, types, n, 0, choice, true);
}

static void make_ops(void)
{
	struct registry *r = &registry;
	const void *const *api = r->base->get_api(ORT_OP_VERSION);
#define X(name, place, result, arguments) memcpy(&r->api.name, &api[place], sizeof r->api.name);
	ORT_OP_MAP(X)
#undef X
	r->a = arena_create();
	r->status = r->a ? library_open() : base_no_memory();
	for (size_t k = 0; r->status == OG_OK && k < library_count(); k++) r->status = add_op(library_at(k));
	if (r->status != OG_OK) snprintf(r->sentence, sizeof r->sentence, "%s", base_error());
}

/* Called by ONNX Runtime: `options` is the OrtSessionOptions that gets the ops. */
void *RegisterCustomOps(void *options, const ort_base *base)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct registry *r = &registry;
	if (!base->get_api(ORT_OP_VERSION)) {
		const void *const *oldest = base->get_api(1);        /* CreateStatus is in every version */
		void *(*create)(int, const char *);
		if (!oldest) return NULL;
		memcpy(&create, &oldest[0], sizeof create);
		return create(ORT_NOT_IMPLEMENTED, "this op library needs ONNX Runtime 1.18 or newer");
	}
	pthread_mutex_lock(&lock);
	r->base = base;
	pthread_once(&once, make_ops);
	void *failed = r->failed;
	r->failed = NULL;
	if (!failed && r->status != OG_OK) failed = r->api.CreateStatus(ORT_FAIL, r->sentence);
	for (size_t i = 0; !failed && i < r->n_domains; i++) failed = r->api.AddCustomOpDomain(options, r->domains[i].handle);
	pthread_mutex_unlock(&lock);
	return failed;
}
