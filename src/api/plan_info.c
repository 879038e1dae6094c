/* plan_info.c -- what a plan says of itself. */
#include "opgraft.h"
#include "plan/plan.h"

int og_plan_inputs(const og_plan *p) { return p->n_inputs; }
int og_plan_outputs(const og_plan *p) { return p->n_outputs; }

static void value_info(og_value_info *out, const og_plan *p, int v)
{
	og_tensor type = plan_type(p, v);
	*out = (og_value_info){ .name = p->values[v].name, .dtype = type.dtype, .rank = type.rank };
	for (int i = 0; i < type.rank; i++) out->dims[i] = type.dims[i];
}

og_status og_plan_input(const og_plan *p, int k, og_value_info *out)
{
	if (k < 0 || k >= p->n_inputs) return base_fail(OG_USAGE, "the plan has no input number %d", k);
	value_info(out, p, p->inputs[k]);
	return OG_OK;
}

og_status og_plan_output(const og_plan *p, int k, og_value_info *out)
{
	if (k < 0 || k >= p->n_outputs) return base_fail(OG_USAGE, "the plan has no output number %d", k);
	value_info(out, p, p->outputs[k]);
	return OG_OK;
}

const char *og_plan_device(const og_plan *p) { return p->backend->name; }
const char *og_plan_precision(const og_plan *p)
{
	return p->precision.storage == OG_F16 ? "fp16" : p->precision.storage == OG_BF16 ? "bf16" : p->precision.tf32 ? "tf32" : "fp32";
}

const og_tensor *og_plan_bound(const og_plan *p, int k) { return k >= 0 && k < p->n_inputs ? p->bound[k] : NULL; }

void og_plan_memory(const og_plan *p, og_memory *out)
{
	size_t slots = (size_t)plan_slots(p, p->threads);
	*out = (og_memory){ .weights = p->weights_bytes, .activations = slots * p->arena_bytes,
	                    .activations_bound = slots * p->bound_bytes, .workspace = slots * p->workspace_bytes };
}
