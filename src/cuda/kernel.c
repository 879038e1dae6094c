/* kernel.c -- kernels that an op file has of its own (KERNEL and ROWS of opgraft/device.h). */
#include <stdio.h>

#include "cuda/cuda.h"
#include "cuda/driver.h"
#include "cuda/op_kernel.h"

typedef struct call {
	cuda_launch launch;
	og_device_call arguments;            /* all but the pointers */
	const backend_node *node;
	size_t packed_at[OG_DEVICE_IN];      /* where constants lie that had another floating type */
	unsigned packs;                      /* which */
} call;

static og_status bind(const backend_kernel *k, const backend_run *run)
{
	const call *c = k->state;
	if (!c->launch.grid.blocks[0]) return OG_OK;
	return cuda_device_function(run->bound, run->device, c->launch.name, c->launch.grid.shared);
}

static og_status launch(const backend_kernel *k, const backend_run *run)
{
	const call *c = k->state;
	og_device_call given = c->arguments;
	given.p.workspace = run->workspace;
	for (int i = 0; i < given.n_in; i++) given.p.in[i] = run->in[i] ? run->in[i]->data : NULL;
	for (int i = 0; i < given.n_out; i++) given.p.out[i] = run->out[i] ? run->out[i]->data : NULL;
	for (int i = 0; i < given.n_in; i++)
		if (c->packs >> i & 1) given.p.in[i] = (const char *)run->packed + c->packed_at[i];
	return driver_start(*(void **)run->bound, &c->launch.grid, &given, run->stream);
}

static float value_at(const og_tensor *t, int64_t i)
{
	if (t->dtype == OG_F32) return ((const float *)t->data)[i];
	return t->dtype == OG_F16 ? base_half_to_float(((const uint16_t *)t->data)[i])
		: base_bfloat_to_float(((const uint16_t *)t->data)[i]);
}

/* Constants in the type that the kernel is made for. */
static og_status pack(const backend_kernel *k, void *packed)
{
	const call *c = k->state;
	og_dtype type = c->node->in[0].dtype;
	for (int i = 0; i < c->node->n_in; i++) {
		const og_tensor *t = &c->node->in[i];
		void *to = (char *)packed + c->packed_at[i];
		for (int64_t e = 0, n = c->packs >> i & 1 ? og_count(t) : 0; e < n; e++) {
			if (type == OG_F32) ((float *)to)[e] = value_at(t, e);
			else ((uint16_t *)to)[e] = type == OG_F16 ? base_float_to_half(value_at(t, e))
				: base_float_to_bfloat(value_at(t, e));
		}
	}
	return OG_OK;
}

/* Inputs of other floating types than the first's are packed; false when one is no constant. */
static bool find_packed(call *to, backend_kernel *out, const cuda_request *r)
{
	const backend_node *node = r->node;
	for (int k = 1; k < node->n_in; k++) {
		const og_tensor *t = &node->in[k];
		if (!cuda_is_float(t->dtype) || t->dtype == node->in[0].dtype) continue;
		if (!t->data && !r->loading) return false;
		to->packs |= 1u << k;
		to->packed_at[k] = out->packed_bytes;
		out->packed_bytes += ((size_t)og_count(t) * og_dtype_bytes(node->in[0].dtype) + 63) & ~(size_t)63;
	}
	return true;
}

og_status cuda_kernel(backend_kernel *out, const cuda_request *r)
{
	const backend_node *node = r->node;
	const og_tensor *in[OG_DEVICE_IN] = { NULL };
	og_tensor *made[OG_DEVICE_OUT] = { NULL };
	schema_args inputs;
	const char *name;
	int length;
	if (!cuda_is_tactic(r, "kernel") || node->tail || !node->op || !node->op->device || node->n_in < 1 ||
	    node->n_in > OG_DEVICE_IN ||
	    node->n_out > OG_DEVICE_OUT || !cuda_is_float(node->in[0].dtype))
		return OG_NO;
	call *to = arena_alloc(r->a, sizeof *to);
	NEED(to);
	*to = (call){ .node = node };
	*out = (backend_kernel){ .tactic = r->tactic, .cost = 2000.0 + (double)og_count(node->out) * 1e-3,
	                         .flops = (double)og_count(node->out) };
	if (!find_packed(to, out, r)) return OG_NO;
	TRY(schema_inputs(&inputs, node->op));
	for (int k = 0; k < node->n_in; k++) in[k] = node->in[k].dtype == OG_NONE ? NULL : &node->in[k];
	for (int k = 0; k < node->n_out; k++)
		made[k] = node->out[k].dtype == OG_NONE ? NULL : (og_tensor *)(uintptr_t)&node->out[k];
	og_call c = { .op = node->op, .attr = node->attr, .n_in = node->n_in, .n_out = node->n_out, .in = in, .out = made };
	int k = op_kernel_find(&to->launch.grid, &name, &length, &c, 0);
	if (k < 0 || !op_kernel_arguments(&to->arguments, &c, &inputs)) return OG_NO;
	to->arguments.tactic = k;
	for (int i = 0; i < node->n_in; i++)
		if (to->packs >> i & 1) to->arguments.in[i].dtype = (int)node->in[0].dtype;
	char body[256];
	snprintf(body, sizeof body, "(const __grid_constant__ og_device_call c)\n{\n\t%.*s_as(%s(), c);\n}\n",
	         length, name, cuda_type(node->in[0].dtype));
	TRY(cuda_code_op(node->code, node->op));
	TRY(cuda_code_kernel(to->launch.name, node->code, false, "", body));
	out->packs_input = to->packs;
	out->pack = out->packed_bytes ? pack : NULL;
	out->workspace_bytes = node->op->workspace ? node->op->workspace(&c) : 0;
	out->run = launch;
	out->bind = bind;
	out->bound_bytes = sizeof(void *);
	out->state = to;
	return OG_OK;
}
