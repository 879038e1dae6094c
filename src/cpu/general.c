/* general.c -- everything else: the op's own kernel for this instruction set, or its plain definition. */
#include "cpu/cpu.h"
#include "schema/schema.h"

typedef struct general {
	const backend_node *node;
	og_eval_fn *eval;
	size_t op_bytes;                     /* of the op's workspace, a multiple of 64; the tail's slots follow */
	const cpu_strips *tail;
	int64_t count;                       /* elements of output 0 */
	int slots;
} general;

typedef struct general_run { const general *g; const backend_run *run; } general_run;

static void run_parallel(const og_call *c, int64_t n, int64_t grain,
                         void (*body)(void *arg, int64_t begin, int64_t end), void *arg)
{
	pool_run(c->context, n, grain, body, arg);
}

static const og_host host = { .abi = OG_OP_ABI, .fail = base_fail, .parallel = run_parallel };

static void tail_task(void *arg, int64_t task, int slot)
{
	const general_run *r = arg;
	const general *g = r->g;
	int64_t at = task * CPU_STRIP, n = g->count - at;
	float *buffers = (float *)((char *)r->run->workspace + g->op_bytes + (size_t)slot * g->tail->bytes);
	cpu_strips_begin(g->tail, r->run->in, buffers);
	cpu_strips_run(g->tail, r->run->in, at, n < CPU_STRIP ? n : CPU_STRIP, (float *)r->run->out[0]->data + at, buffers);
}

static og_call call_of(const general *g, const og_tensor *const *in, og_tensor *const *out)
{
	return (og_call){ .host = &host, .op = g->node->op, .attr = g->node->attr, .n_in = g->node->n_anchor_in,
	                  .n_out = g->node->n_out, .in = in, .out = out };
}

static og_status general_execute(const backend_kernel *k, const backend_run *run)
{
	const general *g = k->state;
	og_call call = call_of(g, run->in, run->out);
	call.workspace = run->workspace;
	call.context = run->threads;
	og_status status = g->eval(&call);
	if (status != OG_OK) return base_fail_in(status, "node '%s'", g->node->name);
	if (g->tail)
		cpu_tasks(run->threads, g->slots, (g->count + CPU_STRIP - 1) / CPU_STRIP, tail_task, &(general_run){ g, run });
	return OG_OK;
}

static og_status copy_input(const og_call *c)
{
	size_t bytes = base_dtype_span(c->in[0]->dtype, (uint64_t)og_count(c->in[0]));
	if (c->out[0] && bytes) memcpy(c->out[0]->data, c->in[0]->data, bytes);
	return OG_OK;
}

/* What the op says it needs for these shapes. */
static og_status op_workspace(general *g, arena *a)
{
	const backend_node *node = g->node;
	if (!node->op->workspace) return OG_OK;
	const og_tensor **in = arena_array(a, (size_t)node->n_anchor_in + 1, sizeof *in);
	og_tensor **out = arena_array(a, (size_t)node->n_out + 1, sizeof *out);
	og_tensor *outs = arena_array(a, (size_t)node->n_out + 1, sizeof *outs);
	if (!in || !out || !outs) return base_no_memory();
	for (int k = 0; k < node->n_anchor_in; k++) in[k] = cpu_has(node, k) ? &node->in[k] : NULL;
	for (int k = 0; k < node->n_out; k++) {
		outs[k] = node->out[k];
		out[k] = outs[k].dtype != OG_NONE ? &outs[k] : NULL;
	}
	og_call call = call_of(g, in, out);
	size_t bytes = node->op->workspace(&call);
	if (bytes > SIZE_MAX / 2)
		return base_fail(OG_UNSUPPORTED, "node '%s' (%s) needs too much workspace", node->name, node->op->name);
	g->op_bytes = (bytes + 63) & ~(size_t)63;
	return OG_OK;
}

/* What the ops' own kernels take, roughly: pools of large planes. */
static const double KERNEL_NS = 200, KERNEL_NS_PER_ELEMENT = 0.25;

og_status cpu_definition(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	const og_op *op = node->op;
	if (!op) return OG_NO;
	og_eval_fn *fast = node->out[0].dtype == OG_F32 && cpu_has(node, 0) && node->in[0].dtype == OG_F32 ?
	                   op->cpu[r->kernels->isa] : NULL;
	bool plain = cpu_is_tactic(r, "definition");
	og_eval_fn *eval = plain ? (op->eval ? op->eval : op->flags & OG_VIEW_OF_INPUT ? copy_input : NULL) : fast;
	if (!eval || (!plain && !cpu_is_tactic(r, "kernel"))) return OG_NO;
	general *g = arena_alloc(r->a, sizeof *g);
	NEED(g);
	g->node = node;
	g->eval = eval;
	g->count = og_count(node->out);
	TRY(cpu_strips_make(&g->tail, r, LAYOUT_PLAIN));
	TRY(op_workspace(g, r->a));
	g->slots = g->tail ? cpu_slots((double)g->count * 16.0 * node->tail->n_steps, r->threads) : 0;
	bool per_sample = op->flags & OG_PER_SAMPLE && (node->n_out == 1 || node->out[1].dtype == OG_NONE);
	for (int k = 1; k < node->n_anchor_in; k++) per_sample &= node->in[k].dtype == OG_NONE || node->in[k].data;
	double elements = (double)g->count + (cpu_has(node, 0) ? (double)og_count(&node->in[0]) : 0);
	*out = (backend_kernel){ .tactic = r->tactic, .run = general_execute, .state = g, .per_sample = per_sample,
	                         .workspace_bytes = g->op_bytes + (size_t)g->slots * cpu_strips_bytes(g->tail),
	                         .cost = plain ? 1e12 : KERNEL_NS + KERNEL_NS_PER_ELEMENT * elements };
	return OG_OK;
}
