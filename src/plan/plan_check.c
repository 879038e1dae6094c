/* plan_check.c -- what must hold of a plan that was read from a file. */
#include "plan/plan_check.h"

#include "plan/program.h"
#include "schema/schema.h"

/* ---- values --------------------------------------------------------------------------------- */

static const char *check_root(const og_plan *p, const plan_value *v)
{
	switch (v->place) {
	case PLAN_ARENA:
		if (v->offset % 64 || v->offset > p->arena_bytes || v->bytes > p->arena_bytes - v->offset)
			return "a value lies outside the planned memory";
		return NULL;
	case PLAN_INPUT:
		if (v->slot < p->n_inputs && p->values[p->inputs[v->slot]].bytes == v->bytes) return NULL;
		return "an input is not what it should be";
	case PLAN_OUTPUT:
		if (v->slot < p->n_outputs && p->values[p->outputs[v->slot]].bytes == v->bytes) return NULL;
		return "an output is not what it should be";
	default: return NULL;
	}
}

const char *plan_check_values(const og_plan *p)
{
	if (p->arena_bytes % 64) return "its memory is not whole blocks";
	for (int i = 0; i < p->n_values; i++) {
		const plan_value *v = &p->values[i], *root = v->alias < 0 ? v : &p->values[v->alias];
		if (root->alias >= 0) return "a value is an alias of an alias";
		if (v->bytes > root->bytes) return "an alias is larger than its memory";
		if (v->type.data && (v->place != PLAN_CONSTANT || v->alias >= 0)) return "a value that changes has constant data";
		const char *bad = check_root(p, root);
		if (bad) return bad;
	}
	for (int i = 0; i < p->n_inputs + p->n_outputs; i++) {
		const plan_value *v = &p->values[i < p->n_inputs ? p->inputs[i] : p->outputs[i - p->n_inputs]];
		if (v->layout != LAYOUT_PLAIN) return "an input or output is not plain";
	}
	return NULL;
}

/* Samples stay apart when each step keeps them apart and all that is not constant has one entry of axis 0 for each. */
const char *plan_check_slabs(const og_plan *p)
{
	size_t bytes;
	if (!p->slab) return p->batch ? "it has a batch but no slabs" : NULL;
	if (p->slab < 1 || p->batch < p->slab) return "its slabs are larger than the batch";
	for (int i = 0; i < p->n_values; i++) {
		const plan_value *v = &p->values[i];
		if (v->place == PLAN_CONSTANT) continue;
		if (v->type.rank < 1 || v->type.dims[0] != p->slab) return "a value has another number of samples than a slab";
		if (!base_mul(v->bytes, (size_t)p->batch, &bytes) || bytes > PTRDIFF_MAX) return "its batch is too large";
	}
	for (int i = 0; i < p->n_inputs; i++)
		if (p->bound[i]) return "an input that is cut into slabs is bound";
	for (int i = 0; i < p->n_steps; i++) {
		const plan_step *s = &p->steps[i];
		if (!s->kernel.per_sample) return "a step mixes the samples of a slab";
		for (int k = s->n_anchor_in; k < s->n_in; k++)   /* axis 0 of an operand of lower rank is another */
			if (s->in[k] >= 0 && p->values[s->in[k]].place != PLAN_CONSTANT && s->in_types[k].rank != s->out_types[0].rank)
				return "a step mixes the samples of a slab";
	}
	return NULL;
}

/* ---- types ---------------------------------------------------------------------------------- */

/* Every register is written before it is read. Register k < n_operands holds an operand. */
static const char *check_program(const program *p)
{
	bool written[PROGRAM_MAX_REGS] = { false };
	for (int k = 0; k < p->n_operands; k++) written[k] = true;
	for (int i = 0; i < p->n_steps; i++) {
		for (int k = 0; k < p->step[i].op->map_inputs; k++)
			if (!written[p->step[i].in[k]]) return "a strip program reads a register before it is written";
		written[p->step[i].out] = true;
	}
	return p->n_regs && written[p->result] ? NULL : "a strip program has no result";
}

const char *plan_check_layouts(const plan_step *s)
{
	for (int k = 0; k < s->n_in; k++)
		if (s->in[k] >= 0 && s->in_layouts[k] != plan_wanted(s, k)) return "an input lies otherwise than its step reads it";
	return s->out_layout == s->kernel.out_layout ? NULL : "an output lies otherwise than its step writes it";
}

/* A reorder: the same tensor, otherwise laid out, or in another floating type. */
static const char *check_reorder(const plan_step *s)
{
	const og_tensor *x = &s->in_types[0], *y = &s->out_types[0];
	if (s->in[0] < 0 || s->out[0] < 0 || (x->dtype != y->dtype && x->dtype != OG_F32 && y->dtype != OG_F32) || x->rank != y->rank) return "a reorder changes its tensor";
	return memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) ? "a reorder changes its tensor" : NULL;
}

/* The types as ONNX knows them: what is stored as another float is float32. */
static og_tensor *as_declared(arena *a, const og_tensor *types, int n, og_dtype storage)
{
	og_tensor *to = arena_array(a, (size_t)n + 1, sizeof *to);
	for (int k = 0; to && k < n; k++) {
		to[k] = types[k];
		if (to[k].dtype == storage) to[k].dtype = OG_F32;
	}
	return to;
}

/* Each part by itself. What a part reads lies in the step's types: what is between, too. */
static og_status check_parts(const char **bad, const plan_step *s, const og_plan *p, og_model *scratch)
{
	*bad = "a step of two has inputs and outputs that are not theirs";
	const backend_node *part = s->parts;
	if (s->op || s->tail || s->n_out != 1 || s->n_in != part[0].n_in + part[1].n_in || part[0].n_in < 1 || part[1].n_in < 1) return OG_OK;
	if (s->in[part[0].n_in] >= 0) return OG_OK;
	for (int k = 0, from = 0; k < 2; from += part[k++].n_in) {
		plan_step own = { .n_in = part[k].n_in, .n_anchor_in = part[k].n_anchor_in, .n_out = 1, .in = s->in + from, .out = s->out,
		                  .op = part[k].op, .attr = part[k].attr, .tail = (program *)(uintptr_t)part[k].tail, .in_types = s->in_types + from,
		                  .out_types = k ? s->out_types : (og_tensor *)(uintptr_t)part[k].out };
		if (!own.op && !own.tail) return OG_OK;
		const char *wrong;
		TRY(plan_check_types(&wrong, &own, p, scratch));
		if (wrong) {
			*bad = wrong;
			return OG_OK;
		}
	}
	*bad = NULL;
	return OG_OK;
}

og_status plan_check_types(const char **bad, const plan_step *s, const og_plan *p, og_model *scratch)
{
	if (s->parts) return check_parts(bad, s, p, scratch);
	*bad = NULL;
	const og_tensor *in = as_declared(p->a, s->in_types, s->n_in, p->precision.storage),
	                *out = as_declared(p->a, s->out_types, s->n_out, p->precision.storage);
	NEED(in && out);
	if (s->tail && (s->n_out < 1 || !program_takes_type(out[0].dtype, p->backend))) *bad = "a strip program makes no float32";
	else if (s->tail) *bad = check_program(s->tail);
	else if (!s->op) *bad = check_reorder(s);
	if (*bad || !s->op) return OG_OK;
	og_status status = schema_check(scratch, s->op, s->attr, s->n_anchor_in, in, s->n_out, out);
	if (status != OG_OK) *bad = "a step's attributes, inputs and outputs do not fit its op";
	return status == OG_NO_MEMORY ? status : OG_OK;
}

/* ---- memory --------------------------------------------------------------------------------- */

static bool overlap(const og_plan *p, int a, int b)
{
	const plan_value *x = &p->values[plan_root(p, a)], *y = &p->values[plan_root(p, b)];
	if (!p->values[a].bytes || !p->values[b].bytes || x->place != y->place) return false;
	if (x->place != PLAN_ARENA) return x == y || (x->place == PLAN_OUTPUT && x->slot == y->slot);
	return x->offset < y->offset + p->values[b].bytes && y->offset < x->offset + p->values[a].bytes;
}

/* Output 0 over an input of the same size, where the kernel says that it can. */
static bool in_place(const og_plan *p, const plan_step *s, int in, int out)
{
	const plan_value *x = &p->values[plan_root(p, in)], *y = &p->values[plan_root(p, out)];
	return s->kernel.in_place && s->n_out == 1 && p->values[in].bytes == p->values[out].bytes &&
	       (x == y || (x->place == PLAN_ARENA && x->offset == y->offset));
}

const char *plan_check_memory(const og_plan *p, const plan_step *s)
{
	for (int k = 0; k < s->n_in; k++) {
		if (s->in[k] < 0 || !p->values[s->in[k]].bytes) continue;
		const plan_value *root = &p->values[plan_root(p, s->in[k])];
		bool packed = k < 32 && s->kernel.packs_input >> k & 1;
		if (root->place == PLAN_NOWHERE) return "a step reads what lies nowhere";
		if (root->place == PLAN_CONSTANT && !root->type.data && !packed) return "a constant that a step reads is not there";
	}
	for (int k = 0; k < s->n_out; k++) {
		if (s->out[k] < 0) continue;
		plan_place place = p->values[plan_root(p, s->out[k])].place;
		if (place != PLAN_ARENA && place != PLAN_OUTPUT) return "a step writes to what it may not change";
		for (int j = 0; j < s->n_in; j++)
			if (s->in[j] >= 0 && overlap(p, s->in[j], s->out[k]) && !in_place(p, s, s->in[j], s->out[k]))
				return "a step writes over its own input";
		for (int j = 0; j < k; j++)
			if (s->out[j] >= 0 && overlap(p, s->out[j], s->out[k])) return "a step's outputs lie over each other";
	}
	return NULL;
}
