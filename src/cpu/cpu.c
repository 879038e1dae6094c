/* cpu.c -- the CPU backend: its ways to run a node. */
#include "backend/ways.h"
#include "cpu/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* A tactic and what prepares it. Where costs are equal the first wins. */
typedef struct way { const char *tactic; cpu_prepare_fn *prepare; } way;
static const way ways[] = {
	{ "reorder", cpu_reorder },
	{ "strips", cpu_strips_only },
	{ "pool.lanes", cpu_pool_lanes },
	{ "pieces.lanes", cpu_pieces },
	{ "conv.samples", cpu_samples },
	{ "conv.samples.winograd", cpu_winograd_samples },
	{ "matmul.samples", cpu_samples },
	{ "conv.winograd", cpu_winograd },
	{ "conv.winograd2x2", cpu_winograd },
	{ "conv.winograd.s2", cpu_winograd },
	{ "conv.winograd.rows", cpu_winograd_rows },
	{ "conv.strassen", cpu_strassen },
	{ "conv.expand", cpu_expand },
	{ "conv.scaled", cpu_scaled },
	{ "conv.depthwise", cpu_depthwise },
	{ "conv.channels", cpu_channels },
	{ "conv.packed", cpu_conv },
	{ "conv.plain", cpu_conv },
	{ "matmul.packed", cpu_matmul },
	{ "matmul.plain", cpu_matmul },
	{ "map", cpu_map },
	{ "kernel", cpu_definition },
	{ "definition", cpu_definition },
};
enum { WAYS = sizeof ways / sizeof *ways };

static int lanes(void) { return cpu_kernels_here()->lanes; }

double cpu_cost(const cpu_kernels *k, double flops, double part, int slots)
{
	return flops / (2.0 * k->lanes * 3.0 * part * slots);
}

static const char *features(void) { return cpu_kernels_here()->name; }

/* What the processor calls itself. */
static const char *machine(void)
{
	static _Thread_local char name[3 * 16 + 1];
#if defined(__x86_64__)
	for (unsigned i = 0; i < 3; i++) {
		unsigned part[4] = { 0 };
		__get_cpuid(0x80000002u + i, &part[0], &part[1], &part[2], &part[3]);
		memcpy(name + 16 * i, part, sizeof part);
	}
#endif
	return name;
}

static void cool(const void *p, size_t bytes)
{
#if defined(__x86_64__)
	for (size_t i = 0; i < bytes; i += 64) __builtin_ia32_clflush((const char *)p + i);
	__builtin_ia32_mfence();
#else
	(void)p; (void)bytes;
#endif
}

bool cpu_is(const backend_node *node, const char *name)
{
	if (!node->op || node->op->domain || strcmp(node->op->name, name) || node->out[0].dtype != OG_F32) return false;
	for (int k = 0; k < node->n_anchor_in; k++)
		if (node->in[k].dtype != OG_F32 && node->in[k].dtype != OG_NONE) return false;
	return true;
}

static og_status prepare_way(backend_kernel *out, int k, const backend_node *node, bool loading, int threads, arena *a)
{
	if (node->parts && ways[k].prepare != cpu_expand && ways[k].prepare != cpu_scaled) return OG_NO;
	cpu_request r = { .node = node, .tactic = ways[k].tactic, .loading = loading, .threads = threads < 1 ? 1 : threads,
	                  .kernels = cpu_kernels_here(), .a = a };
	return ways[k].prepare(out, &r);
}

static og_status prepare_new(backend_kernel *out, int k, const backend_node *node, int threads, arena *a)
{
	return prepare_way(out, k, node, false, threads, a);
}

static const ways_table table = { .n = WAYS, .prepare = prepare_new, .lanes = lanes, .reorder_byte = CPU_NS_PER_MOVED_BYTE };

static int tactics(const char **names, int most, const backend_node *node, int threads)
{
	ways_found found[WAYS];
	int n = ways_by_cost(found, &table, node, threads);
	if (n > most) n = most;
	for (int i = 0; i < n; i++) names[i] = ways[found[i].way].tactic;
	return n;
}

static og_status prepare(backend_kernel *out, const backend_node *node, const char *tactic, int threads, arena *a)
{
	ways_found found[WAYS];
	const char *op = node->op ? node->op->name : "elementwise program";
	*out = (backend_kernel){ 0 };
	if (tactic) {
		for (int i = 0; i < WAYS; i++) {
			if (strcmp(ways[i].tactic, tactic)) continue;
			og_status status = prepare_way(out, i, node, false, threads, a);
			if (status == OG_NO) status = prepare_way(out, i, node, true, threads, a);
			if (status != OG_NO) return status;
		}
		return base_fail(OG_UNSUPPORTED, "node '%s' (%s): there is no way called '%s' to run it; build the plan again",
		                 node->name, op, tactic);
	}
	int n = ways_by_cost(found, &table, node, threads);
	if (n > 0) return prepare_way(out, found[0].way, node, false, threads, a);
	if (n < 0) return OG_NO_MEMORY;
	for (int i = 0; i < WAYS; i++) {                 /* one may say why not */
		og_status status = prepare_way(out, i, node, false, threads, a);
		if (status != OG_NO) return status;
	}
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

const backend cpu_backend = {
	.name = "cpu", .features = features, .machine = machine, .cool = cool, .now = base_now, .lanes = lanes, .tactics = tactics, .prepare = prepare, .takes_tail = takes_tail,
	.joins = cpu_joins,
};
