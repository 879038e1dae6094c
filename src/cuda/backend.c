/* backend.c -- the CUDA backend: ways to run a node, and what runs on the host where there is none. */
#include <stdio.h>

#include "backend/ways.h"
#include "cuda/backend_device.h"
#include "cuda/cuda.h"
#include "cuda/whole.h"

typedef struct way { const char *tactic; cuda_prepare_fn *prepare; } way;
static const way ways[] = {
	{ "reorder", cuda_reorder },
	{ "elementwise", cuda_elementwise },
	{ "pool", cuda_pool },
	{ "rows", cuda_rows },
	{ "move", cuda_move },
	{ "kernel", cuda_kernel },
	{ "general", cuda_general },
	{ "igemm", cuda_igemm },
	{ "cudnn", cuda_vendor },
	{ "cublaslt", cuda_vendor },
	{ "depthwise", cuda_depthwise },
	{ "product.direct", cuda_product },
	{ "host", cuda_host },
};
enum { WAYS = sizeof ways / sizeof *ways };

static const char *features(void)
{
	static _Thread_local char name[16];
	const char *arch = cuda_arch();
	snprintf(name, sizeof name, "sm_%s", arch ? arch : "none");
	return name;
}

/* The device itself, for times; a plan that is built for another has none. */
static const char *machine(void)
{
	static _Thread_local char name[192];
	cuda_describe(name, sizeof name);
	return name;
}

static void cool(const void *p, size_t bytes) { (void)p; (void)bytes; }

static int lanes(void) { return CUDA_LANES; }

bool cuda_is(const backend_node *node, const char *name)
{
	if (!node->op || node->op->domain || strcmp(node->op->name, name) || !cuda_is_float(node->out[0].dtype))
		return false;
	for (int k = 0; k < node->n_anchor_in; k++)
		if (!cuda_is_float(node->in[k].dtype) && node->in[k].dtype != OG_NONE) return false;
	return true;
}

const char *cuda_type(og_dtype t) { return t == OG_F16 ? "og_f16" : t == OG_BF16 ? "og_bf16" : "og_f32"; }

const og_attr_value *cuda_attr(const backend_node *node, const char *name)
{
	for (int i = 0; node->op && node->op->attrs && node->op->attrs[i].name; i++)
		if (!strcmp(node->op->attrs[i].name, name)) return &node->attr[i];
	return NULL;
}

/* ---- what runs on the host --------------------------------------------------------------------- */

/* A step of the CPU backend, on plain tensors: the session copies what it reads and writes. */
og_status cuda_host(backend_kernel *out, const cuda_request *r)
{
	static const char *const tactics[] = { "strips", "conv.packed", "conv.plain", "matmul.packed", "matmul.plain",
	                                       "map", "kernel", "definition" };
	backend_node plain = *r->node;
	if (!cuda_is_tactic(r, "host") || (!plain.op && !plain.tail)) return OG_NO;
	plain.in_layout = NULL;
	backend_node *kept = arena_alloc(r->a, sizeof *kept);
	NEED(kept);
	*kept = plain;
	for (size_t i = 0; i < sizeof tactics / sizeof *tactics; i++) {
		if (cpu_backend.prepare(out, kept, tactics[i], 1, r->a) != OG_OK || out->packs_input) continue;
		out->tactic = r->tactic;
		out->on_host = true;
		out->in_place = false;
		out->cost = 1e15;                /* only where nothing else will do */
		return OG_OK;
	}
	return OG_NO;
}

/* ---- choosing ---------------------------------------------------------------------------------- */

static og_status prepare_way(backend_kernel *out, const way *w, const backend_node *node, const char *tactic, arena *a)
{
	cuda_request r = { .node = node, .tactic = tactic ? tactic : w->tactic, .loading = tactic != NULL, .a = a };
	return w->prepare(out, &r);
}

/* For its cost: no text is written. */
static og_status prepare_unwritten(backend_kernel *out, int k, const backend_node *node, int threads, arena *a)
{
	backend_node unwritten = *node;
	unwritten.code = NULL;
	(void)threads;
	return prepare_way(out, &ways[k], &unwritten, NULL, a);
}

static const ways_table table = { .n = WAYS, .prepare = prepare_unwritten, .lanes = lanes, .reorder = 2000.0,
                                  .reorder_byte = 1e-3 };

/* A way may have tactics of its own: "igemm.wgmma.128x64x2". */
static bool has_tactic(const way *w, const char *tactic)
{
	size_t n = strlen(w->tactic);
	return !strncmp(w->tactic, tactic, n) && (!tactic[n] || tactic[n] == '.');
}

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
	for (int i = 0; tactic && i < WAYS; i++) {
		og_status status = has_tactic(&ways[i], tactic) ? prepare_way(out, &ways[i], node, tactic, a) : OG_NO;
		if (status != OG_NO) return status;
	}
	if (tactic && !node->code)
		return base_fail(OG_UNSUPPORTED, "node '%s' (%s): there is no way called '%s' to run it; build the plan again",
		                 node->name, op, tactic);
	int n = ways_by_cost(found, &table, node, threads);
	for (int i = 0; i < n; i++) {            /* some know only now that they are not for this node */
		og_status status = prepare_way(out, &ways[found[i].way], node, NULL, a);
		if (status != OG_NO) return status;
	}
	return n < 0 ? OG_NO_MEMORY : base_fail(OG_UNSUPPORTED, "node '%s': op %s does not run on %s", node->name, op,
	                                        node->n_in ? base_dtype_name(node->in[0].dtype) : "no input");
}

static bool takes_tail(const backend_node *node)
{
	static const char *const anchors[] = { "Conv", "Gemm", "MatMul" };
	const program *p = node->tail;
	bool anchor = false;
	for (size_t i = 0; i < sizeof anchors / sizeof *anchors; i++) anchor |= cuda_is(node, anchors[i]);
	for (int k = 0; anchor && p && k < p->n_operands; k++)
		anchor = (p->operand[k] < 0 ? node->out : &node->in[p->operand[k]])->rank <= node->out->rank;
	return anchor && cuda_igemm_takes(node);
}

const backend cuda_backend = {
	.name = "cuda", .device = &cuda_backend_device, .features = features, .lanes = lanes, .tactics = tactics,
	.prepare = prepare,
	.takes_tail = takes_tail, .whole = cuda_whole_of, .machine = machine, .cool = cool,
};
