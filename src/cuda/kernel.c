/* kernel.c -- kernels that an op file has of its own (KERNEL and ROWS of opgraft/device.h). */
#include <stdio.h>

#include "cuda/cuda.h"
#include "cuda/driver.h"
#include "opgraft/device.h"
#include "schema/schema.h"

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
	return c->launch.blocks[0] ? cuda_device_function(run->bound, run->device, c->launch.name, c->launch.shared) : OG_OK;
}

static og_status launch(const backend_kernel *k, const backend_run *run)
{
	const call *c = k->state;
	const cuda_launch *l = &c->launch;
	og_device_call given = c->arguments;
	void *arguments[] = { &given };
	if (!l->blocks[0]) return OG_OK;
	given.p.workspace = run->workspace;
	for (int i = 0; i < given.n_in; i++) given.p.in[i] = run->in[i] ? run->in[i]->data : NULL;
	for (int i = 0; i < given.n_out; i++) given.p.out[i] = run->out[i] ? run->out[i]->data : NULL;
	for (int i = 0; i < given.n_in; i++)
		if (c->packs >> i & 1) given.p.in[i] = (const char *)run->packed + c->packed_at[i];
	return driver_try(driver_open()->cuLaunchKernel(*(void **)run->bound, l->blocks[0], l->blocks[1], l->blocks[2], l->threads[0], l->threads[1],
	                                                l->threads[2], l->shared, run->stream, arguments, NULL), "launching a kernel");
}

static float value_at(const og_tensor *t, int64_t i)
{
	if (t->dtype == OG_F32) return ((const float *)t->data)[i];
	return t->dtype == OG_F16 ? base_half_to_float(((const uint16_t *)t->data)[i]) : base_bfloat_to_float(((const uint16_t *)t->data)[i]);
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
			else ((uint16_t *)to)[e] = type == OG_F16 ? base_float_to_half(value_at(t, e)) : base_float_to_bfloat(value_at(t, e));
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

static og_device_shape shape_of(const og_tensor *t)
{
	bool there = t && t->dtype != OG_NONE;
	og_device_shape s = { .rank = there ? t->rank : -1, .dtype = there ? (int)t->dtype : (int)OG_NONE };
	for (int d = 0; there && d < t->rank; d++) s.dims[d] = t->dims[d];
	return s;
}

static og_status fill_arguments(og_device_call *a, const backend_node *node, unsigned packs)
{
	schema_args args;
	*a = (og_device_call){ .n_in = node->n_in, .n_out = node->n_out };
	TRY(schema_inputs(&args, node->op));
	for (int k = 0; k < OG_DEVICE_IN; k++) {
		a->in[k] = shape_of(k < node->n_in ? &node->in[k] : NULL);
		if (packs >> k & 1) a->in[k].dtype = (int)node->in[0].dtype;
		a->value[k] = k < args.n ? (float)args.arg[k].value : 0.0f;
	}
	for (int k = 0; k < OG_DEVICE_OUT; k++) a->out[k] = shape_of(k < node->n_out ? &node->out[k] : NULL);
	for (; node->op->attrs && node->op->attrs[a->n_attrs].name; a->n_attrs++) {
		if (a->n_attrs == OG_DEVICE_ATTRS) return OG_NO;
		const og_attr_value *v = &node->attr[a->n_attrs];
		a->attr[a->n_attrs] = (og_device_number){ .i = v->i, .f = v->f, .present = v->present };
	}
	return OG_OK;
}

/* The first of "a|b|c" that serves these shapes. */
static og_status find_kernel(call *to, const og_call *c, const char **name, int *length)
{
	const char *at = c->op->device;
	for (int k = 0; *at; k++, at += at[*length] ? *length + 1 : *length) {
		og_grid g = { { (uint32_t)((og_count(c->out[0]) + CUDA_THREADS - 1) / CUDA_THREADS), 1, 1 }, { CUDA_THREADS, 1, 1 }, 0 };
		*name = at;
		*length = (int)strcspn(at, "|");
		if (c->op->grid && c->op->grid(c, k, &g) != OG_OK) continue;
		to->arguments.tactic = k;
		memcpy(to->launch.blocks, g.blocks, sizeof g.blocks);
		memcpy(to->launch.threads, g.threads, sizeof g.threads);
		to->launch.shared = g.shared;
		return OG_OK;
	}
	return OG_NO;
}

og_status cuda_kernel(backend_kernel *out, const cuda_request *r)
{
	const backend_node *node = r->node;
	const og_tensor *in[OG_DEVICE_IN] = { NULL };
	og_tensor *made[OG_DEVICE_OUT] = { NULL };
	const char *name;
	int length;
	if (!cuda_is_tactic(r, "kernel") || node->tail || !node->op || !node->op->device || node->n_in < 1 || node->n_in > OG_DEVICE_IN ||
	    node->n_out > OG_DEVICE_OUT || !cuda_is_float(node->in[0].dtype))
		return OG_NO;
	call *to = arena_alloc(r->a, sizeof *to);
	NEED(to);
	*to = (call){ .node = node };
	*out = (backend_kernel){ .tactic = r->tactic, .cost = 2000.0 + (double)og_count(node->out) * 1e-3, .flops = (double)og_count(node->out) };
	if (!find_packed(to, out, r)) return OG_NO;
	TRY(fill_arguments(&to->arguments, node, to->packs));
	for (int k = 0; k < node->n_in; k++) in[k] = node->in[k].dtype == OG_NONE ? NULL : &node->in[k];
	for (int k = 0; k < node->n_out; k++) made[k] = node->out[k].dtype == OG_NONE ? NULL : (og_tensor *)(uintptr_t)&node->out[k];
	og_call c = { .op = node->op, .attr = node->attr, .n_in = node->n_in, .n_out = node->n_out, .in = in, .out = made };
	TRY(find_kernel(to, &c, &name, &length));
	char body[256];
	snprintf(body, sizeof body, "(const __grid_constant__ og_device_call c)\n{\n\t%.*s_as(%s(), c);\n}\n", length, name, cuda_type(node->in[0].dtype));
	TRY(cuda_code_op(node->code, node->op));
	TRY(cuda_code_kernel(to->launch.name, node->code, "", body));
	out->packs_input = to->packs;
	out->pack = out->packed_bytes ? pack : NULL;
	out->workspace_bytes = node->op->workspace ? node->op->workspace(&c) : 0;
	out->run = launch;
	out->bind = bind;
	out->bound_bytes = sizeof(void *);
	out->state = to;
	return OG_OK;
}
