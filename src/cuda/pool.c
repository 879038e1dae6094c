/* pool.c -- windows of MaxPool and AveragePool and whole planes of the global ones, plain or channels-last. */
#include "cuda/cuda.h"
#include "ops/pool.h"

enum { INCLUDE_PAD = POOL_OWN_ATTRS };

/* A pool as loops over one window; a thread has V neighbours in memory, which are channels when these come last and
 * one place when not. */
static const char body[] =
	"\tfor (long long pack = og_first(); pack < COUNT / V; pack += og_stride()) {\n"
	"\t\tconst long long at = pack * V, channel = at % INNER, place = at / INNER;\n"
	"\t\tconst int ox = place % OX, oy = place / OX % OY, oz = place / OX / OY % OZ;\n"
	"\t\tconst long long plane = place / OX / OY / OZ;\n"
	"\t\tconst T *x = (const T *)c.in[0] + plane * (IZ * IY * IX) * INNER + channel;\n"
	"\t\tfloat sum[V];\n\t\tint n = 0;\n"
	"\t\t#pragma unroll\n"
	"\t\tfor (int e = 0; e < V; e++) sum[e] = MAXIMUM ? -V_INF : 0.0f;\n"
	"\t\tfor (int kz = 0, z = oz * SZ - BZ; kz < KZ; kz++, z += DZ)\n"
	"\t\t\tfor (int ky = 0, y = oy * SY - BY; ky < KY; ky++, y += DY)\n"
	"\t\t\t\tfor (int kx = 0, w = ox * SX - BX; kx < KX; kx++, w += DX) {\n"
	"\t\t\t\t\tif (z >= 0 && z < IZ && y >= 0 && y < IY && w >= 0 && w < IX) {\n"
	"\t\t\t\t\t\tconst og_pack<T, V> p = og_read<T, V>(x + ((z * IY + y) * IX + w) * INNER);\n"
	"\t\t\t\t\t\t#pragma unroll\n"
	"\t\t\t\t\t\tfor (int e = 0; e < V; e++) sum[e] = MAXIMUM ? (og_value(p.e[e]) > sum[e] || og_value(p.e[e]) != og_value(p.e[e]) ? og_value(p.e[e]) : sum[e])"
	" : sum[e] + og_value(p.e[e]);\n"
	"\t\t\t\t\t\tn++;\n"
	"\t\t\t\t\t} else if (z < IZ + EZ && y < IY + EY && w < IX + EX) n += INCLUDE;\n"
	"\t\t\t\t}\n"
	"\t\tog_pack<U, V> made;\n"
	"\t\t#pragma unroll\n"
	"\t\tfor (int e = 0; e < V; e++) made.e[e] = og_make<U>(MAXIMUM ? sum[e] : sum[e] / (float)n);\n"
	"\t\tog_write<U, V>((U *)c.out[0] + at, made);\n"
	"\t}\n}\n";

static void put_axes(text *t, const window *w)
{
	static const char axis[WINDOW_AXES] = { 'Z', 'Y', 'X' };
	for (int a = 0; a < WINDOW_AXES; a++)
		text_printf(t, "\tconst int I%c = %lld, O%c = %lld, K%c = %lld, S%c = %lld, D%c = %lld, B%c = %lld, E%c = %lld;\n", axis[a], (long long)w->in[a],
		            axis[a], (long long)w->out[a], axis[a], (long long)w->kernel[a], axis[a], (long long)w->stride[a],
		            axis[a], (long long)w->dilation[a], axis[a], (long long)w->begin[a], axis[a], (long long)w->end[a]);
}

/* The window of the node's pool; a global one has a window as large as the plane. */
static bool window_for(window *w, const backend_node *node, bool *maximum)
{
	const og_tensor *x = &node->in[0];
	bool global = cuda_is(node, "GlobalAveragePool") || cuda_is(node, "GlobalMaxPool");
	*maximum = cuda_is(node, "MaxPool") || cuda_is(node, "GlobalMaxPool");
	if (x->rank < 3 || x->rank > 5 || (!global && !cuda_is(node, "MaxPool") && !cuda_is(node, "AveragePool")))
		return false;
	if (node->n_out > 1 && node->out[1].dtype != OG_NONE) return false;
	if (!global) {
		window_of(w, node->attr, x, node->out, NULL);
		return true;
	}
	for (int a = 0; a < WINDOW_AXES; a++) {
		int d = x->rank - WINDOW_AXES + a;
		w->in[a] = w->kernel[a] = d >= 2 ? x->dims[d] : 1;
		w->out[a] = w->stride[a] = w->dilation[a] = 1;
		w->begin[a] = w->end[a] = 0;
	}
	return true;
}

og_status cuda_pool(backend_kernel *out, const cuda_request *r)
{
	const backend_node *node = r->node;
	cuda_launches *l;
	window w;
	bool maximum;
	if (!cuda_is_tactic(r, "pool") || node->tail || !node->op || !window_for(&w, node, &maximum)) return OG_NO;
	backend_layout layout = layout_of_input(node, 0) == LAYOUT_CHANNELS ? LAYOUT_CHANNELS : LAYOUT_PLAIN;
	og_tensor in_memory;
	layout_dims(&in_memory, node->out, layout, CUDA_LANES);
	bool last = layout == LAYOUT_CHANNELS;
	int64_t count = og_count(&in_memory), inner = last ? in_memory.dims[in_memory.rank - 1] : 1;
	int wide = inner % 8 == 0 ? (int)(16 / og_dtype_bytes(OG_F32)) : 1;
	TRY(cuda_launch_begin(&l, r));
	const backend_layout *layouts = layout_wanted(r->a, r->node, layout, LAYOUT_PLAIN);
	NEED(layouts);
	text t = { 0 };
	bool include = cuda_is(node, "AveragePool") && node->attr[INCLUDE_PAD].i;
	text_printf(&t, "(const __grid_constant__ og_step c)\n{\n\ttypedef %s T;\n\ttypedef %s U;\n",
	            cuda_type(node->in[0].dtype), cuda_type(node->out->dtype));
	text_printf(&t, "\tconst long long COUNT = %lldll, INNER = %lldll;\n\tconst int V = %d, INCLUDE = %d;\n"
	                "\tconst bool MAXIMUM = %s;\n", (long long)count,
	            (long long)inner, wide, include, maximum ? "true" : "false");
	put_axes(&t, &w);
	text_add(&t, body);
	char *made = text_take(&t);
	og_status status = made ? cuda_launch_add(l, r, made, (count / wide + CUDA_THREADS - 1) / CUDA_THREADS)
		: base_no_memory();
	base_free(made);
	TRY(status);
	double taps = (double)(w.kernel[0] * w.kernel[1] * w.kernel[2]);
	*out = (backend_kernel){ .tactic = r->tactic, .in_layout = layouts, .out_layout = layout, .per_sample = true,
	                         .flops = (double)count * taps, .cost = (double)count * taps * 1e-3 };
	cuda_launch_with(out, l);
	return OG_OK;
}
