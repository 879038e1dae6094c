/* formulas.c -- elementwise programs as device code: one formula after the other, in registers. */
#include "cuda/cuda.h"

void cuda_put_step(text *t, const program_step *s)
{
	text_printf(t, "r%d = %s(", s->out, s->op->formula);
	for (int k = 0; k < s->op->map_inputs; k++) text_printf(t, "%sr%d", k ? ", " : "", s->in[k]);
	for (int k = 0; k < s->op->map_attrs; k++) {
		uint32_t bits;                   /* so that every value is a literal */
		memcpy(&bits, &s->attr[k], sizeof bits);
		text_printf(t, ", __int_as_float(0x%08x)", bits);
	}
	text_add(t, ");\n");
}

void cuda_program_registers(text *t, const program *p, const char *indent)
{
	text_printf(t, "%sfloat r0", indent);
	for (int k = 1; k < p->n_regs; k++) text_printf(t, ", r%d", k);
	text_add(t, ";\n");
}

og_status cuda_program_text(text *t, const cuda_request *r)
{
	const program *p = r->node->tail;
	for (int k = 0; k < p->n_steps; k++) {
		TRY(cuda_code_op(r->node->code, p->step[k].op));
		cuda_put_step(t, &p->step[k]);
	}
	return OG_OK;
}

/* ---- operands --------------------------------------------------------------------------------- */

bool cuda_walk_over(cuda_walk *w, const og_tensor *out, const og_tensor *const *operand, int n, backend_layout layout)
{
	og_tensor made, x;
	layout_dims(&made, out, layout, CUDA_LANES);
	*w = (cuda_walk){ .n = n, .count = og_count(&made) };
	int64_t stride[PROGRAM_MAX_REGS][OG_MAX_RANK];
	for (int k = 0; k < n; k++) {
		int64_t next = 1;
		if (operand[k]->rank > out->rank) return false;
		x = *operand[k];
		layout_extend(&x, out->rank);
		layout_dims(&x, &x, layout, CUDA_LANES);
		w->type[k] = x.dtype;
		for (int d = made.rank - 1; d >= 0; d--) {
			if (x.dims[d] != made.dims[d] && x.dims[d] != 1) return false;
			stride[k][d] = x.dims[d] == 1 ? 0 : next;
			next *= x.dims[d];
		}
	}
	for (int d = made.rank - 1; d >= 0; d--) {
		bool joins = w->rank > 0;
		if (made.dims[d] == 1) continue;
		for (int k = 0; k < w->n && joins; k++) joins = stride[k][d] == w->step[k][w->rank - 1] * w->size[w->rank - 1];
		if (joins) {
			w->size[w->rank - 1] *= made.dims[d];
			continue;
		}
		w->size[w->rank] = made.dims[d];
		for (int k = 0; k < w->n; k++) w->step[k][w->rank] = stride[k][d];
		w->rank++;
	}
	return true;
}

bool cuda_walk_make(cuda_walk *w, const backend_node *node, backend_layout layout)
{
	const program *p = node->tail;
	const og_tensor *operand[PROGRAM_MAX_REGS];
	for (int k = 0; k < p->n_operands; k++) {
		operand[k] = p->operand[k] < 0 ? node->out : &node->in[p->operand[k]];
		if (!cuda_is_float(operand[k]->dtype)) return false;
	}
	return cuda_walk_over(w, node->out, operand, p->n_operands, layout);
}

bool cuda_walk_is_still(const cuda_walk *w, int k)
{
	for (int d = 0; d < w->rank; d++)
		if (w->step[k][d]) return false;
	return true;
}

void cuda_walk_offset(text *t, const cuda_walk *w, int k)
{
	bool some = false;
	for (int d = 0; d < w->rank; d++) {
		if (!w->step[k][d]) continue;
		text_printf(t, "%si%d * %lldll", some ? " + " : "", d, (long long)w->step[k][d]);
		some = true;
	}
	if (!some) text_add(t, "0");
}

void cuda_walk_indices(text *t, const cuda_walk *w, const char *indent)
{
	const char *index = w->count >> 31 ? "unsigned long long" : "unsigned";
	text_printf(t, "%s%s rest = (%s)at;\n", indent, index, index);
	for (int d = 0; d < w->rank; d++) {
		if (d + 1 < w->rank)
			text_printf(t, "%sconst %s i%d = rest %% %lldu; rest /= %lldu;\n",
			            indent, index, d, (long long)w->size[d], (long long)w->size[d]);
		else text_printf(t, "%sconst %s i%d = rest;\n", indent, index, d);
	}
}

/* ---- tails ------------------------------------------------------------------------------------ */

og_status cuda_tail_text(text *t, const cuda_request *r, backend_layout layout)
{
	const backend_node *node = r->node;
	const program *p = node->tail;
	const char *type = cuda_type(node->out->dtype);
	cuda_walk w;
	if (!p) {
		text_printf(t, "\t\t((%s *)c.out[0])[at] = og_make<%s>(value);\n", type, type);
		return OG_OK;
	}
	if (!cuda_walk_make(&w, node, layout)) return OG_NO;
	cuda_walk_indices(t, &w, "\t\t");
	cuda_program_registers(t, p, "\t\t");
	for (int k = 0; k < p->n_operands; k++) {
		if (p->operand[k] < 0) {
			text_printf(t, "\t\tr%d = value;\n", k);
			continue;
		}
		text_printf(t, "\t\tr%d = og_value(((const %s *)c.in[%d])[", k, cuda_type(w.type[k]), p->operand[k]);
		cuda_walk_offset(t, &w, k);
		text_add(t, "]);\n");
	}
	TRY(cuda_program_text(t, r));
	text_printf(t, "\t\t((%s *)c.out[0])[at] = og_make<%s>(r%d);\n", type, type, p->result);
	return OG_OK;
}
