/* igemm_step.c -- convolutions and products with constant weights as steps of a plan: one implicit GEMM with the
 * step's tail as its epilogue, and in front of it, where channels are few, the kernel that writes its windows.
 * Convolutions read and write channels last. */
#include "cuda/igemm_step.h"

#include "cuda/driver.h"
#include "cuda/vendor.h"
#include "ops/convolution.h"

enum { MOST_SIDE = 1 << 30, WINDOW_BLOCKS_EACH = 8, LIKELY = 6 };
enum { ALPHA, BETA, TRANS_A, TRANS_B };  /* attributes of Gemm */
static const char way[] = "igemm";

typedef struct own_step {
	igemm_step step;
	igemm_launch launch;
	char name[CUDA_NAME], window_name[CUDA_NAME];
	char tactic[sizeof way + 1 + IGEMM_NAME];
	int window_blocks;
} own_step;

typedef struct bound { igemm_args args; igemm_window_args window; void *function, *window_function; } bound;

/* ---- the problem of a node -------------------------------------------------------------------- */

/* Channels as they lie: whole packs, except for a single one, which is not cut. */
static int lane_row(int64_t channels)
{
	return channels == 1 ? 1 : (int)((channels - CUDA_LANES - 1) / -CUDA_LANES * -CUDA_LANES);
}

static bool is_packable(const cuda_request *r, int k)
{
	return r->node->in[k].dtype == OG_F32 && (r->node->in[k].data || r->loading);
}

static bool has_bias(const backend_node *node) { return node->n_anchor_in > 2 && cuda_has(node, 2); }

static bool conv_problem(igemm_step *s, const cuda_request *r)
{
	const backend_node *node = r->node;
	const og_tensor *x = &node->in[0], *weights = &node->in[1], *y = node->out;
	igemm_problem *p = &s->problem;
	window w;
	if (x->rank < 3 || x->rank > 5 || node->attr[CONVOLUTION_GROUP].i != 1) return false;
	window_of(&w, node->attr, x, y, weights);
	if (w.in[0] != 1 || w.out[0] != 1 || w.kernel[0] != 1 || og_count(x) > MOST_SIDE || og_count(y) > MOST_SIDE ||
	    og_count(weights) > MOST_SIDE)
		return false;
	if (w.begin[1] < 0 || w.begin[2] < 0 || w.begin[1] > 1 << 20 || w.begin[2] > 1 << 20) return false;
	*p = (igemm_problem){ .n = (int)x->dims[0], .h = (int)w.in[1], .w = (int)w.in[2], .c = (int)x->dims[1],
	                      .k = (int)y->dims[1], .r = (int)w.kernel[1], .s = (int)w.kernel[2],
	                      .stride_h = (int)w.stride[1], .stride_w = (int)w.stride[2], .pad_h = (int)w.begin[1],
	                      .pad_w = (int)w.begin[2], .dilation_h = (int)w.dilation[1], .dilation_w = (int)w.dilation[2],
	                      .p = (int)w.out[1], .q = (int)w.out[2], .row_in = lane_row(x->dims[1]),
	                      .row_out = lane_row(y->dims[1]) };
	s->is_conv = true;
	s->in_channels = layout_of_input(node, 0) == LAYOUT_CHANNELS;
	s->from = (igemm_constants){ .weights = weights->data, .step_k = (int64_t)p->c * p->r * p->s, .step_c = (int64_t)p->r *
	                       p->s, .alpha = 1.0f, .beta = 1.0f, .bias_step = 1 };
	return true;
}

/* The product of all rows of the left operand by a constant matrix. */
static bool product_problem(igemm_step *s, const cuda_request *r, bool trans_b)
{
	const og_tensor *a = &r->node->in[0], *b = &r->node->in[1];
	if (a->rank < 2 || b->rank != 2 || og_count(a) > MOST_SIDE || og_count(b) > MOST_SIDE ||
	    og_count(r->node->out) > MOST_SIDE)
		return false;
	const int depth = (int)a->dims[a->rank - 1], columns = (int)b->dims[!trans_b];
	const int rows = depth ? (int)(og_count(a) / depth) : 0;
	s->problem = (igemm_problem){ .n = 1, .h = 1, .w = rows, .c = depth, .k = columns, .r = 1, .s = 1, .stride_h = 1,
	                              .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .p = 1, .q = rows, .row_in = depth,
	                              .row_out = columns };
	s->from = (igemm_constants){ .weights = b->data, .step_k = trans_b ? depth : 1, .step_c = trans_b ? 1 : columns,
	                       .alpha = 1.0f, .beta = 1.0f };
	return true;
}

static bool gemm_problem(igemm_step *s, const cuda_request *r)
{
	const backend_node *node = r->node;
	const og_tensor *c = &node->in[2];
	if (node->attr[TRANS_A].i || !product_problem(s, r, node->attr[TRANS_B].i != 0)) return false;
	s->from.alpha = node->attr[ALPHA].f;
	s->from.beta = node->attr[BETA].f;
	if (!has_bias(node)) return true;
	s->from.bias_step = og_count(c) > 1;
	return og_count(c) == 1 || (og_count(c) == s->problem.k && c->dims[c->rank - 1] == s->problem.k);
}

/* How an operand of the tail lies; -1: in no way that epilogues read. */
static int kind_of(const igemm_step *s, const og_tensor *operand, const og_tensor *out)
{
	og_tensor t = *operand;
	const int channel = s->is_conv ? 1 : out->rank - 1;
	bool full = true, by_channel = true;
	if (og_count(&t) == 1) return IGEMM_ONE;
	if (t.rank > out->rank) return -1;
	layout_extend(&t, out->rank);
	for (int d = 0; d < out->rank; d++) {
		full &= t.dims[d] == out->dims[d];
		by_channel &= t.dims[d] == (d == channel ? out->dims[d] : 1);
	}
	return full ? IGEMM_FULL : by_channel ? IGEMM_CHANNEL : -1;
}

static bool take_tail(igemm_step *s, const backend_node *node)
{
	const program *tail = node->tail;
	igemm_problem *p = &s->problem;
	p->tail = tail;
	if (!tail) return true;
	if (tail->n_operands < 1 || tail->operand[0] >= 0 || tail->n_operands - 1 > IGEMM_OPERANDS) return false;
	for (int k = 1; k < tail->n_operands; k++) {
		if (tail->operand[k] < 0) return false;
		const og_tensor *t = &node->in[tail->operand[k]];
		const int kind = kind_of(s, t, node->out);
		if (kind < 0 || (t->dtype != OG_F32 && t->dtype != p->dtype)) return false;
		s->operand[p->n_operands] = tail->operand[k];
		p->operand[p->n_operands++] = kind | (t->dtype != p->dtype ? IGEMM_WIDE : 0);
	}
	return true;
}

bool igemm_step_make(igemm_step *s, const cuda_request *r)
{
	const backend_node *node = r->node;
	if (!node->op || node->n_in < 2 || !is_packable(r, 1) || (has_bias(node) && !is_packable(r, 2)) ||
	    node->in[0].dtype != node->out->dtype)
		return false;
	if (!og_count(node->out) || !og_count(&node->in[1])) return false;
	bool made = cuda_is(node, "Conv") ? conv_problem(s, r)
	          : cuda_is(node, "Gemm") ? gemm_problem(s, r) : cuda_is(node, "MatMul") && product_problem(s, r, false);
	if (!made) return false;
	if (has_bias(node)) s->from.bias = node->in[2].data;
	s->problem.dtype = node->in[0].dtype;
	s->problem.tf32 = node->tf32 && node->in[0].dtype == OG_F32;
	return take_tail(s, node);
}

bool cuda_igemm_takes(const backend_node *node)
{
	const program *tail = node->tail;
	const igemm_step s = { .is_conv = cuda_is(node, "Conv") };
	const og_tensor *weights = &node->in[1];
	/* grouped, or by a matrix that is computed: not for these kernels, whose place others take */
	if (node->n_in < 2 || !weights->data || (s.is_conv ? weights->dims[1] != node->in[0].dims[1] : weights->rank != 2))
		return true;
	for (int k = 0; tail && k < tail->n_operands; k++)
		if (tail->operand[k] >= 0 && kind_of(&s, &node->in[tail->operand[k]], node->out) < 0) return false;
	return true;
}

/* ---- weights ---------------------------------------------------------------------------------- */

og_status igemm_step_pack(const igemm_step *s, void *packed)
{
	const igemm_problem *p = &s->problem;
	const size_t n = (size_t)p->k * (size_t)p->c;
	const float *weights = s->from.weights;
	float *scaled = s->from.alpha != 1.0f ? base_new(n, sizeof *scaled) : NULL;
	float *bias = s->from.bias ? base_new((size_t)p->k, sizeof *bias) : NULL;
	og_status status = (s->from.alpha != 1.0f && !scaled) || (s->from.bias && !bias) ? base_no_memory() : OG_OK;
	for (size_t i = 0; status == OG_OK && scaled && i < n; i++) scaled[i] = s->from.alpha * weights[i];
	for (int k = 0; status == OG_OK && bias && k < p->k; k++)
		bias[k] = s->from.beta * s->from.bias[k * s->from.bias_step];
	if (status == OG_OK)
		igemm_pack(packed, p, &s->variant, scaled ? scaled : weights, s->from.step_k, s->from.step_c, bias);
	base_free(scaled);
	base_free(bias);
	return status;
}

static og_status pack(const backend_kernel *kernel, void *packed)
{
	return igemm_step_pack(&((const own_step *)kernel->state)->step, packed);
}

/* ---- running ---------------------------------------------------------------------------------- */

static og_status bind(const backend_kernel *k, const backend_run *run)
{
	const own_step *own = k->state;
	const igemm_step *s = &own->step;
	const igemm_problem *p = &s->problem;
	const driver_api *api = driver_open();
	const igemm_encoders encoders = { api->cuTensorMapEncodeTiled, api->cuTensorMapEncodeIm2col };
	bound *b = run->bound;
	igemm_places at = { .in = run->in[0]->data, .packed = run->packed, .out = run->out[0]->data };
	for (int i = 0; i < p->n_operands; i++) at.operand[i] = run->in[s->operand[i]]->data;
	if (s->variant.way == IGEMM_WINDOW) {
		const int64_t plane = (int64_t)p->h * p->w, row = s->in_channels ? p->row_in : 1;
		const int64_t steps[4] = { plane * (s->in_channels ? p->row_in : p->c), s->in_channels ? 1 : plane, p->w * row,
		                           row };
		TRY(cuda_device_function(&b->window_function, run->device, own->window_name, 0));
		b->window = igemm_window_bind(p, at.in, steps, run->workspace);
		at.in = run->workspace;
	}
	TRY(cuda_device_function(&b->function, run->device, own->name, own->launch.shared));
	return igemm_bind(&b->args, p, &s->variant, &encoders, &at);
}

og_status cuda_igemm_start(void *function, const igemm_launch *l, void *argument, void *stream)
{
	const driver_api *api = driver_open();
	const og_grid grid = { { l->blocks, 1, 1 }, { l->threads, 1, 1 }, l->shared };
	driver_attribute attributes[2] = { { 0 } };
	driver_launch launch = { .grid = { l->blocks, 1, 1 }, .block = { l->threads, 1, 1 }, .shared = l->shared,
	                         .stream = stream, .attributes = attributes };
	if (!api->cuLaunchKernelEx) return driver_start(function, &grid, argument, stream);
	if (l->cluster > 1)
		attributes[launch.n_attributes++] =
			(driver_attribute){ .id = DRIVER_CLUSTER, .value.words = { l->cluster, 1, 1 } };
	if (l->overlaps)
		attributes[launch.n_attributes++] = (driver_attribute){ .id = DRIVER_OVERLAP, .value.words = { 1 } };
	return driver_try(api->cuLaunchKernelEx(&launch, function, &argument, NULL), "launching a kernel");
}

static og_status run(const backend_kernel *k, const backend_run *run)
{
	const own_step *s = k->state;
	bound *b = run->bound;
	const igemm_launch windows = { .blocks = (unsigned)s->window_blocks, .threads = 256, .cluster = 1,
	                               .overlaps = s->launch.overlaps };
	if (s->step.variant.way == IGEMM_WINDOW)
		TRY(cuda_igemm_start(b->window_function, &windows, &b->window, run->stream));
	return cuda_igemm_start(b->function, &s->launch, &b->args, run->stream);
}

/* ---- preparing -------------------------------------------------------------------------------- */

static og_status add_programs(own_step *own, const cuda_request *r, const igemm_device *device)
{
	int n;
	char *made, target[16];
	const char *const *options = igemm_options(&own->step.problem, &n);
	igemm_target(target, &own->step.variant, device);
	TRY(igemm_source(&made, &own->step.problem, &own->step.variant));
	og_status status = cuda_code_program(own->name, r->node->code, made, options, n, target);
	base_free(made);
	if (status != OG_OK || own->step.variant.way != IGEMM_WINDOW) return status;
	TRY(igemm_window_source(&made, &own->step.problem, r->node->in[0].dtype));
	status = cuda_code_program(own->window_name, r->node->code, made, options, n, target);
	base_free(made);
	return status;
}

static og_status choose_variant(own_step *own, const cuda_request *r, const igemm_device *device)
{
	const size_t n = sizeof way;
	if (!strcmp(r->tactic, way)) {
		if (!igemm_variants(&own->step.variant, 1, &own->step.problem, device)) return OG_NO;
	} else if (strncmp(r->tactic, "igemm.", n) || !igemm_named(&own->step.variant, r->tactic + n, &own->step.problem, device)) {
		return OG_NO;
	}
	memcpy(own->tactic, "igemm.", n);
	igemm_name(own->tactic + n, &own->step.variant);
	return OG_OK;
}

int cuda_igemm_variants(const char **names, int most, const backend_node *node, const char *tactic, arena *a)
{
	const cuda_request r = { .node = node, .tactic = way, .loading = true, .a = a };
	igemm_variant likely[LIKELY];
	igemm_step s = { 0 };
	igemm_device device;
	char name[IGEMM_NAME];
	if (strcmp(tactic, way) || !igemm_step_make(&s, &r)) return 0;
	cuda_target(&device);
	int found = igemm_variants(likely, most < LIKELY ? most : LIKELY, &s.problem, &device), n = 0;
	for (; n < found; n++) {
		igemm_name(name, &likely[n]);
		names[n] = arena_printf(a, "%s.%s", way, name);
		if (!names[n]) return 0;
	}
	return n + (device.is_here ? vendor_variants(names + n, most - n, node, a) : 0);
}

static const backend_layout *layouts_for(const igemm_step *s, const cuda_request *r)
{
	const backend_layout own = s->is_conv ? LAYOUT_CHANNELS : LAYOUT_PLAIN;
	backend_layout *to = arena_array(r->a, (size_t)r->node->n_in + 1, sizeof *to);
	if (!to) return NULL;
	to[0] = s->variant.way == IGEMM_WINDOW ? s->in_channels ? LAYOUT_CHANNELS : LAYOUT_PLAIN : own;
	for (int i = 0; i < s->problem.n_operands; i++)
		to[s->operand[i]] = (s->problem.operand[i] & ~IGEMM_WIDE) == IGEMM_ONE ? LAYOUT_PLAIN : own;
	return to;
}

void igemm_step_describe(backend_kernel *out, const igemm_step *s, const cuda_request *r)
{
	const igemm_problem *p = &s->problem;
	out->packs_input = has_bias(r->node) ? 6 : 2;
	out->in_layout = layouts_for(s, r);
	out->out_layout = s->is_conv ? LAYOUT_CHANNELS : LAYOUT_PLAIN;
	out->per_sample = s->is_conv;
	out->flops = 2.0 * (double)og_count(r->node->out) * p->c * p->r * p->s;
}

og_status cuda_igemm(backend_kernel *out, const cuda_request *r)
{
	igemm_device device;
	own_step *own = arena_alloc(r->a, sizeof *own);
	NEED(own);
	*own = (own_step){ .step = { .is_conv = false } };
	const igemm_step *s = &own->step;
	if (!igemm_step_make(&own->step, r)) return OG_NO;
	cuda_target(&device);
	TRY(choose_variant(own, r, &device));
	const igemm_problem *p = &s->problem;
	const igemm_window w = s->variant.way == IGEMM_WINDOW ? igemm_window_of(p) : (igemm_window){ 0 };
	own->launch = igemm_launch_of(p, &s->variant, &device);
	own->window_blocks = device.processors * WINDOW_BLOCKS_EACH;
	TRY(add_programs(own, r, &device));
	*out = (backend_kernel){ .tactic = own->tactic, .run = run, .bind = bind, .bound_bytes = sizeof(bound), .pack = pack,
	                         .packed_bytes = igemm_packed_bytes(p, &s->variant), .workspace_bytes = w.bytes, .state = own };
	igemm_step_describe(out, s, r);
	NEED(out->in_layout);
	out->cost = igemm_guess(p, &s->variant, &device) * 1e3 + (w.bytes ? 1500.0 + (double)w.bytes * 5e-4 : 0);
	return OG_OK;
}
