/* elementwise.c -- a program over whole tensors: one pass, 16 bytes at a time, everything that is known written into
 * the text. */
#include "cuda/cuda.h"

enum { MANY = 1 << 17 };                 /* packs that are worth two for a thread, on their way at once */

/* Elements a thread takes at once: as many as 16 bytes of the widest type hold, if rows are whole packs. */
static int pack_of(const cuda_walk *w, og_dtype out)
{
	size_t widest = og_dtype_bytes(out);
	for (int k = 0; k < w->n; k++)
		if (og_dtype_bytes(w->type[k]) > widest) widest = og_dtype_bytes(w->type[k]);
	int v = (int)(16 / widest);
	while (v > 1 && w->rank > 0 && w->size[0] % v) v /= 2;
	return w->rank ? v : 1;
}

static void put_loads(text *t, const cuda_walk *w, int v)
{
	for (int k = 0; k < w->n; k++) {
		if (cuda_walk_is_still(w, k)) continue;
		int n = w->step[k][0] == 1 ? v : 1;
		text_printf(t, "\t\t\tx%d[u] = og_read<%s, %d>((const %s *)c.in[%d] + ",
		            k, cuda_type(w->type[k]), n, cuda_type(w->type[k]), k);
		cuda_walk_offset(t, w, k);
		text_add(t, ");\n");
	}
}

static og_status put_kernel(text *t, const cuda_request *r, const cuda_walk *w, int v, int at_once)
{
	const program *p = r->node->tail;
	const char *made = cuda_type(r->node->out->dtype);
	text_add(t, "(const __grid_constant__ og_step c)\n{\n");
	for (int k = 0; k < w->n; k++)
		if (cuda_walk_is_still(w, k))
			text_printf(t, "\tconst float s%d = og_value(*(const %s *)c.in[%d]);\n", k, cuda_type(w->type[k]), k);
	text_printf(t, "\tconst long long packs = %lldll;\n"
	               "\tfor (long long start = (long long)blockIdx.x * blockDim.x * %d + threadIdx.x; start < packs; "
	            "start += og_stride() * %d) {\n", (long long)(w->count / v), at_once, at_once);
	for (int k = 0; k < w->n; k++)
		if (!cuda_walk_is_still(w, k))
			text_printf(t, "\t\tog_pack<%s, %d> x%d[%d];\n",
			            cuda_type(w->type[k]), w->step[k][0] == 1 ? v : 1, k, at_once);
	text_printf(t, "\t\t#pragma unroll\n\t\tfor (int u = 0; u < %d; u++) {\n"
	               "\t\t\tconst long long at = (start + u * blockDim.x) * %d;\n"
	            "\t\t\tif (at >= packs * %d) continue;\n", at_once, v, v);
	if (w->rank > 1) cuda_walk_indices(t, w, "\t\t\t");
	else text_add(t, "\t\t\tconst long long i0 = at;\n\t\t\t(void)i0;\n");
	put_loads(t, w, v);
	text_printf(t, "\t\t}\n\t\t#pragma unroll\n\t\tfor (int u = 0; u < %d; u++) {\n"
	               "\t\tif (start + u * blockDim.x >= packs) continue;\n", at_once);
	text_printf(t, "\t\tog_pack<%s, %d> y;\n\t\t#pragma unroll\n\t\tfor (int e = 0; e < %d; e++) {\n", made, v, v);
	cuda_program_registers(t, p, "\t\t\t");
	for (int k = 0; k < w->n; k++) {
		if (cuda_walk_is_still(w, k)) text_printf(t, "\t\t\tr%d = s%d;\n", k, k);
		else text_printf(t, "\t\t\tr%d = og_value(x%d[u].e[%s]);\n", k, k, w->step[k][0] == 1 ? "e" : "0");
	}
	TRY(cuda_program_text(t, r));
	text_printf(t, "\t\t\ty.e[e] = og_make<%s>(r%d);\n\t\t}\n"
	               "\t\tog_write<%s, %d>((%s *)c.out[0] + (start + u * blockDim.x) * %d, y);\n\t\t}\n\t}\n}\n", made,
	            p->result, made, v, made, v);
	return OG_OK;
}

/* That of the first input which has the output's shape and is not plain. */
static backend_layout layout_of(const backend_node *node)
{
	for (int k = 0; k < node->n_in; k++)
		if (layout_of_input(node, k) != LAYOUT_PLAIN && og_count(&node->in[k]) == og_count(node->out))
			return node->in_layout[k];
	return LAYOUT_PLAIN;
}

og_status cuda_elementwise(backend_kernel *out, const cuda_request *r)
{
	const backend_node *node = r->node;
	cuda_launches *l;
	cuda_walk w;
	if (node->op || !node->tail || !cuda_is_tactic(r, "elementwise") || !cuda_is_float(node->out->dtype)) return OG_NO;
	backend_layout layout = layout_of(node);
	if (!cuda_walk_make(&w, node, layout)) return OG_NO;
	/* operand k of the program is argument k of the kernel: the plan orders a program's inputs so */
	for (int k = 0; k < node->tail->n_operands; k++)
		if (node->tail->operand[k] != k) return OG_NO;
	TRY(cuda_launch_begin(&l, r));
	const backend_layout *layouts = layout_wanted(r->a, r->node, layout, layout);
	NEED(layouts);
	text t = { 0 };
	int v = pack_of(&w, node->out->dtype), at_once = w.count / v >= MANY ? 2 : 1;
	int64_t threads = (w.count / v + at_once - 1) / at_once;
	og_status status = put_kernel(&t, r, &w, v, at_once);
	char *made = text_take(&t);
	if (status == OG_OK && !made) status = base_no_memory();
	if (status == OG_OK) status = cuda_launch_add(l, r, made, (threads + CUDA_THREADS - 1) / CUDA_THREADS);
	base_free(made);
	TRY(status);
	*out = (backend_kernel){ .tactic = r->tactic, .in_layout = layouts, .out_layout = layout, .in_place = true,
	                         .per_sample = true, .flops = (double)w.count * node->tail->n_steps,
	                         .cost = (double)w.count * 4e-3 };
	cuda_launch_with(out, l);
	return OG_OK;
}
