/* vendor.c -- convolutions and products by cuDNN or cuBLASLt as steps of a plan. */
#include "cuda/vendor.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuda/driver.h"
#include "cuda/igemm_step.h"

enum { CHOICES = 2, RELAXED = 2, ALIGN = 64, BIAS_MULTIPLE = 256 };
static const vendor *const vendors[] = { &vendor_cudnn, &vendor_cublas };
enum { VENDORS = sizeof vendors / sizeof *vendors };

const char *vendor_find_cudnn(arena *a) { return vendor_library_find(&vendor_cudnn.library, a); }
const char *vendor_find_cublas(arena *a) { return vendor_library_find(&vendor_cublas.library, a); }

/* ---- libraries and what they made -------------------------------------------------------------- */

typedef struct made made;
struct made { made *next; const void *device, *step; const vendor *by; void *handle, *object; };

/* Of a context; they stay. */
typedef struct started started;
struct started { started *next; const void *context; void *handle[VENDORS]; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static made *all;                        /* guarded by lock */
static started *contexts;                /* guarded by lock */
static struct { bool tried, opened; } state[VENDORS];        /* guarded by lock */

static started *current_context(void)
{
	void *context = NULL;
	driver_open()->cuCtxGetCurrent(&context);
	started *s = contexts;
	while (s && s->context != context) s = s->next;
	if (s || !(s = base_new(1, sizeof *s))) return s;
	*s = (started){ .next = contexts, .context = context };
	return contexts = s;
}

/* The library's handle in the current context; OG_MISSING: it is not here, or does not start. */
static og_status start_vendor(void **handle, int k)
{
	const vendor *v = vendors[k];
	started *s = current_context();
	NEED(s);
	if (!state[k].tried) {
		arena *a = arena_create();
		NEED(a);
		const char *path = vendor_library_find(&v->library, a);
		void *library = path ? dlopen(path, RTLD_LAZY | RTLD_LOCAL) : NULL;
		state[k].tried = true;
		state[k].opened = library && v->open(library) == 0;
		arena_destroy(a);
	}
	if (state[k].opened && !s->handle[k] && v->begin(&s->handle[k])) s->handle[k] = NULL;
	*handle = s->handle[k];
	if (*handle) return OG_OK;
	return base_fail(OG_MISSING, "the plan runs this step by %s, which is not here or does not start: install it (pip install %s), or build the plan "
	                 "again", v->title, k ? "nvidia-cublas" : "nvidia-cudnn-cu13");
}

void vendor_close(const void *device)
{
	pthread_mutex_lock(&lock);
	for (made **at = &all; *at;) {
		made *m = *at;
		if (m->device != device) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		m->by->free(m->object);
		base_free(m);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- the step ---------------------------------------------------------------------------------- */

typedef struct vendor_step {
	igemm_step step;
	vendor_product product;
	int vendor, choice, residual;            /* residual: the node's input; -1: none */
	char tactic[24];
	cuda_launch tail;                        /* of a tail that the library has not; its grid is empty otherwise */
	size_t bias_at;
} vendor_step;

typedef struct bound { const made *made; void *tail; vendor_places at; cuda_arguments arguments; } bound;

static bool is_op(const program_step *s, const char *name) { return !s->op->domain && !strcmp(s->op->name, name); }

/* Relu(x), x + residual, Relu(x + residual): those the library computes; false: any other tail. */
static bool take_tail(vendor_step *v)
{
	const program *t = v->step.problem.tail;
	int k = 0, at = 0;
	if (!t) return true;
	if (k < t->n_steps && is_op(&t->step[k], "Add") && v->step.problem.n_operands == 1 && v->step.problem.operand[0] == IGEMM_FULL &&
	    t->step[k].in[0] + t->step[k].in[1] == 1) {
		v->residual = v->step.operand[0];
		at = t->step[k++].out;
	}
	if (k < t->n_steps && is_op(&t->step[k], "Relu") && t->step[k].in[0] == at) {
		v->product.relu = true;
		at = t->step[k++].out;
	}
	v->product.adds = v->residual >= 0;
	return k == t->n_steps && t->result == at && v->step.problem.n_operands == v->product.adds;
}

/* The tail over what the library left in the output. */
static og_status add_tail(vendor_step *v, const cuda_request *r)
{
	const backend_node *node = r->node;
	const backend_layout layout = v->step.is_conv ? LAYOUT_CHANNELS : LAYOUT_PLAIN;
	const int64_t count = og_count(node->out);
	text t = { 0 };
	v->product.relu = v->product.adds = false;
	v->residual = -1;
	if (node->n_in > CUDA_IN) return OG_NO;
	text_printf(&t, "(const __grid_constant__ og_step c)\n{\n\tfor (long long at = og_first(); at < %lldll; at += og_stride()) {\n"
	            "\t\tconst float value = og_value(((const %s *)c.out[0])[at]);\n", (long long)count, cuda_type(node->out->dtype));
	og_status status = cuda_tail_text(&t, r, layout);
	text_add(&t, "\t}\n}\n");
	char *body = text_take(&t);
	if (status == OG_OK && !body) status = base_no_memory();
	if (status == OG_OK) status = cuda_code_kernel(v->tail.name, node->code, cuda_is_short(node), "__launch_bounds__(256)", body);
	base_free(body);
	const int64_t blocks = (count + CUDA_THREADS - 1) / CUDA_THREADS;
	v->tail.grid = (og_grid){ { (uint32_t)blocks, 1, 1 }, { CUDA_THREADS, 1, 1 }, 0 };
	return status;
}

static og_status pack(const backend_kernel *kernel, void *packed)
{
	const vendor_step *v = kernel->state;
	const igemm_problem *p = &v->step.problem;
	TRY(igemm_step_pack(&v->step, packed));
	const float *from = (const float *)((const char *)packed + igemm_bias_at(p, &v->step.variant));
	uint16_t *to = (uint16_t *)((char *)packed + v->bias_at);
	for (int k = 0; p->dtype != OG_F32 && k < p->k; k++) to[k] = p->dtype == OG_F16 ? base_float_to_half(from[k]) : base_float_to_bfloat(from[k]);
	return OG_OK;
}

/* What was made for the step on the device, or is made now and runs once, so that what the library loads on its first run is loaded. */
static og_status made_for(const made **out, const vendor_step *v, const backend_run *run, const vendor_places *at)
{
	const vendor *by = vendors[v->vendor];
	const driver_api *api = driver_open();
	int mode = RELAXED;
	void *handle, *object;
	made *m = all;
	while (m && (m->device != run->device || m->step != v)) m = m->next;
	*out = m;
	if (m) return OG_OK;
	/* the thread's stream may be one that is being captured */
	if (api->cuThreadExchangeStreamCaptureMode) api->cuThreadExchangeStreamCaptureMode(&mode);
	og_status status = start_vendor(&handle, v->vendor);
	if (status == OG_OK && !(m = base_new(1, sizeof *m))) status = base_no_memory();
	if (status == OG_OK) status = by->make(&object, handle, &v->product, v->choice, at);
	if (status == OG_OK) {
		*m = (made){ .next = all, .device = run->device, .step = v, .by = by, .handle = handle, .object = object };
		*out = all = m;
		if (by->run(object, handle, at, run->stream)) status = base_fail(OG_MISSING, "%s failed in a first run", by->title);
	} else {
		base_free(m);
	}
	if (status == OG_OK) status = driver_try(api->cuStreamSynchronize(run->stream), by->title);
	if (api->cuThreadExchangeStreamCaptureMode) api->cuThreadExchangeStreamCaptureMode(&mode);
	return status;
}

static og_status bind(const backend_kernel *k, const backend_run *run)
{
	const vendor_step *v = k->state;
	bound *b = run->bound;
	cuda_device_enter(run->device);
	b->at = (vendor_places){ .in = run->in[0]->data, .weights = run->packed, .bias = (const char *)run->packed + v->bias_at,
	                         .residual = v->residual < 0 ? NULL : run->in[v->residual]->data, .out = run->out[0]->data,
	                         .workspace = run->workspace };
	if (v->tail.grid.blocks[0]) {
		TRY(cuda_device_function(&b->tail, run->device, v->tail.name, 0));
		b->arguments = (cuda_arguments){ .out = { run->out[0]->data } };
		for (int i = 0; i < v->step.problem.n_operands; i++) b->arguments.in[v->step.operand[i]] = run->in[v->step.operand[i]]->data;
	}
	pthread_mutex_lock(&lock);
	og_status status = made_for(&b->made, v, run, &b->at);
	pthread_mutex_unlock(&lock);
	return status;
}

static og_status run(const backend_kernel *k, const backend_run *run)
{
	const vendor_step *v = k->state;
	bound *b = run->bound;
	cuda_device_enter(run->device);
	pthread_mutex_lock(&lock);
	int error = vendors[v->vendor]->run(b->made->object, b->made->handle, &b->at, run->stream);
	pthread_mutex_unlock(&lock);
	if (error) return base_fail(OG_MISSING, "%s failed with status %d", vendors[v->vendor]->title, error);
	return v->tail.grid.blocks[0] ? driver_start(b->tail, &v->tail.grid, &b->arguments, run->stream) : OG_OK;
}

/* ---- preparing --------------------------------------------------------------------------------- */

/* Weights as the ways of every device have them: a filter's taps in a row. */
static bool make_step(vendor_step *v, const cuda_request *r)
{
	const igemm_problem *p = &v->step.problem;
	if (!igemm_step_make(&v->step, r) || p->c % -CUDA_LANES || p->k % -CUDA_LANES) return false;
	v->step.variant = (igemm_variant){ .way = p->dtype == OG_F32 && !p->tf32 ? IGEMM_FMA : IGEMM_MMA, .split = 1 };
	v->residual = -1;
	v->product = (vendor_product){ .problem = p, .row = igemm_packed_row(p, &v->step.variant) };
	v->bias_at = p->dtype == OG_F32 ? igemm_bias_at(p, &v->step.variant) : igemm_packed_bytes(p, &v->step.variant);
	return true;
}

og_status cuda_vendor(backend_kernel *out, const cuda_request *r)
{
	vendor_step *v = arena_alloc(r->a, sizeof *v);
	NEED(v);
	*v = (vendor_step){ 0 };
	const char *dot = strrchr(r->tactic, '.');
	if (!dot || dot[1] < '0' || dot[1] >= '0' + CHOICES || dot[2]) return OG_NO;
	while (v->vendor < VENDORS && strncmp(r->tactic, vendors[v->vendor]->name, (size_t)(dot - r->tactic))) v->vendor++;
	if (v->vendor == VENDORS || !make_step(v, r)) return OG_NO;
	v->choice = dot[1] - '0';
	if (!take_tail(v)) TRY(add_tail(v, r));
	if (!vendors[v->vendor]->takes(&v->product)) return OG_NO;
	snprintf(v->tactic, sizeof v->tactic, "%s", r->tactic);
	*out = (backend_kernel){ .tactic = v->tactic, .run = run, .bind = bind, .bound_bytes = sizeof(bound), .pack = pack,
	                         .packed_bytes = igemm_packed_bytes(&v->step.problem, &v->step.variant) + (size_t)v->step.problem.k * sizeof(uint16_t),
	                         .workspace_bytes = VENDOR_WORKSPACE, .state = v };
	igemm_step_describe(out, &v->step, r);
	return out->in_layout ? OG_OK : base_no_memory();
}

int vendor_variants(const char **names, int most, const backend_node *node, arena *a)
{
	int n = 0;
	for (int k = 0; k < VENDORS; k++) {
		backend_node unwritten = *node;
		backend_kernel out;
		unwritten.code = NULL;
		for (int choice = 0; choice < CHOICES && n < most; choice++) {
			const char *name = arena_printf(a, "%s.%d", vendors[k]->name, choice);
			if (!name || !vendor_library_find(&vendors[k]->library, a) ||
			    cuda_vendor(&out, &(cuda_request){ .node = &unwritten, .tactic = name, .loading = true, .a = a }) != OG_OK)
				break;
			names[n++] = name;
		}
	}
	return n;
}
