/* cpu.c -- the CPU backend: ways to run a node, tried in order. */
#include "cpu/cpu.h"

/* The first that is for the node wins. */
static cpu_prepare_fn *const ways[] = {
	cpu_strips_only, cpu_conv, cpu_matmul, cpu_map, cpu_definition,
};

static const char *features(void) { return cpu_kernels_here()->name; }

bool cpu_is(const backend_node *node, const char *name)
{
	if (!node->op || node->op->domain || strcmp(node->op->name, name) || node->out[0].dtype != OG_F32) return false;
	for (int k = 0; k < node->n_anchor_in; k++)
		if (node->in[k].dtype != OG_F32 && node->in[k].dtype != OG_NONE) return false;
	return true;
}

static og_status prepare(backend_kernel *out, const backend_node *node, const char *tactic, int threads, arena *a)
{
	cpu_request r = { .node = node, .tactic = tactic, .threads = threads < 1 ? 1 : threads,
	                  .kernels = cpu_kernels_here(), .a = a };
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		og_status status = ways[i](out, &r);
		if (status != OG_NO) return status;
	}
	const char *op = node->op ? node->op->name : "elementwise program";
	if (tactic)
		return base_fail(OG_UNSUPPORTED, "node '%s' (%s): there is no way called '%s' to run it; build the plan again",
		                 node->name, op, tactic);
	return base_fail(OG_UNSUPPORTED, "node '%s': op %s does not run on %s", node->name, op,
	                 node->n_in ? base_dtype_name(node->in[0].dtype) : "no input");
}

static bool takes_tail(const backend_node *node)
{
	static const char *const anchors[] = { "Conv", "ConvTranspose", "Gemm", "MatMul" };
	const program *p = node->tail;
	bool anchor = false;
	for (size_t i = 0; i < sizeof anchors / sizeof *anchors; i++) anchor |= cpu_is(node, anchors[i]);
	for (int k = 0; anchor && p && k < p->n_operands; k++) {
		const og_tensor *t = p->operand[k] < 0 ? node->out : &node->in[p->operand[k]];
		cpu_view view;
		anchor = t->dtype == OG_F32 && cpu_view_make(&view, t->rank, t->dims, node->out->rank, node->out->dims);
	}
	return anchor;
}

const backend cpu_backend = { .name = "cpu", .features = features, .prepare = prepare, .takes_tail = takes_tail };
