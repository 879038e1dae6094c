/* reorder.c -- between plain and channels-last, and from one floating type to another. */
#include "cuda/cuda.h"

/* Tiles of 32 x 32 through shared memory, so that both sides are read and written in rows. x: [OUTER][CUT][INNER], T
 * to U. Channels that are not there become 0, since products read whole packs. */
static const char tiles[] =
	"\t__shared__ U tile[32][33];\n"
	"\tconst long long across = (INNER + 31) / 32, down = (PADDED + 31) / 32;\n"
	"\tfor (long long item = blockIdx.x; item < OUTER * across * down; item += gridDim.x) {\n"
	"\t\tconst long long o = item / (across * down), i0 = item % across * 32, c0 = item / across % down * 32;\n"
	"\t\tconst T *x = (const T *)c.in[0] + o * (BLOCKS ? CUT : PADDED) * INNER;\n"
	"\t\tU *y = (U *)c.out[0] + o * (BLOCKS ? PADDED : CUT) * INNER;\n"
	"\t\tconst int a = threadIdx.x % 32, b = threadIdx.x / 32;\n"
	"\t\t#pragma unroll\n"
	"\t\tfor (int k = b; k < 32; k += 8) {\n"
	"\t\t\tif (BLOCKS && i0 + a < INNER) tile[k][a] = og_make<U>(c0 + k < CUT ? og_value(x[(c0 + k) * INNER + i0 + a]) : 0.0f);\n"
	"\t\t\tif (!BLOCKS && i0 + k < INNER && c0 + a < CUT) tile[a][k] = og_make<U>(og_value(x[(i0 + k) * PADDED + c0 + a]));\n"
	"\t\t}\n\t\t__syncthreads();\n"
	"\t\t#pragma unroll\n"
	"\t\tfor (int k = b; k < 32; k += 8) {\n"
	"\t\t\tif (BLOCKS && i0 + k < INNER && c0 + a < PADDED) y[(i0 + k) * PADDED + c0 + a] = tile[a][k];\n"
	"\t\t\tif (!BLOCKS && i0 + a < INNER && c0 + k < CUT) y[(c0 + k) * INNER + i0 + a] = tile[k][a];\n"
	"\t\t}\n\t\t__syncthreads();\n\t}\n}\n";

static const char cast[] =
	"\tfor (long long pack = og_first(); pack < OUTER / V; pack += og_stride()) {\n"
	"\t\tconst og_pack<T, V> x = og_read<T, V>((const T *)c.in[0] + pack * V);\n\t\tog_pack<U, V> y;\n"
	"\t\t#pragma unroll\n\t\tfor (int e = 0; e < V; e++) y.e[e] = og_make<U>(og_value(x.e[e]));\n"
	"\t\tog_write<U, V>((U *)c.out[0] + pack * V, y);\n\t}\n}\n";

og_status cuda_reorder(backend_kernel *out, const cuda_request *r)
{
	const backend_node *node = r->node;
	const og_tensor *x = &node->in[0];
	cuda_launches *l;
	bool casts = cuda_is(node, "Cast");
	if ((node->op && !casts) || node->tail || !cuda_is_tactic(r, "reorder")) return OG_NO;
	backend_layout from = layout_of_input(node, 0), to = casts ? from : node->out_layout;
	if (!cuda_is_float(x->dtype) || !cuda_is_float(node->out->dtype) || from == LAYOUT_SAMPLES || to == LAYOUT_SAMPLES)
		return OG_NO;
	int axis = layout_axis(x, from == LAYOUT_PLAIN ? to : from);
	bool moves = from != to && axis >= 0;
	int64_t outer = moves ? og_span(x, 0, axis) : 0, cut = moves ? x->dims[axis] : 1;
	int64_t inner = moves ? og_span(x, axis + 1, x->rank) : 1;
	int64_t padded = (cut - CUDA_LANES - 1) / -CUDA_LANES * -CUDA_LANES;
	const size_t widest = og_dtype_bytes(x->dtype) > og_dtype_bytes(node->out->dtype) ? og_dtype_bytes(x->dtype) : og_dtype_bytes(node->out->dtype);
	int64_t wide = 16 / (int64_t)widest, blocks = outer * ((inner + 31) / 32) * ((padded + 31) / 32);
	if (!moves) {
		og_tensor in_memory;
		layout_dims(&in_memory, x, from, CUDA_LANES);
		outer = og_count(&in_memory);
		while (outer % wide) wide /= 2;
		blocks = (outer / wide + CUDA_THREADS - 1) / CUDA_THREADS;
	}
	TRY(cuda_launch_begin(&l, r));
	const backend_layout *layouts = layout_wanted(r->a, r->node, from, LAYOUT_PLAIN);
	NEED(layouts);
	text t = { 0 };
	text_printf(&t, "(const __grid_constant__ og_step c)\n{\n\ttypedef %s T;\n\ttypedef %s U;\n",
	            cuda_type(x->dtype), cuda_type(node->out->dtype));
	text_printf(&t, "\tconst long long OUTER = %lldll, CUT = %lldll, PADDED = %lldll, INNER = %lldll;\n"
	                "\tconst bool BLOCKS = %s;\n\tconst int V = %d;\n"
	            "\t(void)CUT, (void)PADDED, (void)INNER, (void)BLOCKS, (void)V;\n",
	            (long long)outer, (long long)cut, (long long)padded, (long long)inner,
	            to == LAYOUT_CHANNELS ? "true" : "false", (int)wide);
	text_add(&t, moves ? tiles : cast);
	char *made = text_take(&t);
	og_status status = made ? cuda_launch_add(l, r, made, blocks) : base_no_memory();
	base_free(made);
	TRY(status);
	*out = (backend_kernel){ .tactic = r->tactic, .in_layout = layouts, .out_layout = to, .per_sample = true,
	                         .cost = (double)(moves ? outer * padded * inner : outer) * 8e-3 };
	cuda_launch_with(out, l);
	return OG_OK;
}
