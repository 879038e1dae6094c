/* reorder.c -- between plain and channels-last. */
#include <stdio.h>

#include "cuda/cuda.h"

/* Tiles of 32 x 32 through shared memory, so that both sides are read and written in rows. x: [outer][cut][inner]. Channels that are
 * not there become 0, since products read whole packs. */
static const char body[] =
	"(const __grid_constant__ og_step c)\n{\n"
	"\tconst int CUT = %lld, PADDED = %lld; const long long INNER = %lldll, OUTER = %lldll;\n"
	"\t__shared__ %s tile[32][33];\n"
	"\tconst long long across = (INNER + 31) / 32, down = (PADDED + 31) / 32;\n"
	"\tfor (long long item = blockIdx.x; item < OUTER * across * down; item += gridDim.x) {\n"
	"\t\tconst long long o = item / (across * down), i0 = item %% across * 32, c0 = item / across %% down * 32;\n"
	"\t\tconst %s *x = (const %s *)c.in[0] + o * %s * INNER;\n"
	"\t\t%s *y = (%s *)c.out[0] + o * %s * INNER;\n"
	"\t\tconst int a = threadIdx.x %% 32, b = threadIdx.x / 32;\n"
	"\t\t#pragma unroll\n"
	"\t\tfor (int k = b; k < 32; k += 8) {\n"
	"%s"
	"\t\t}\n\t\t__syncthreads();\n"
	"\t\t#pragma unroll\n"
	"\t\tfor (int k = b; k < 32; k += 8) {\n"
	"%s"
	"\t\t}\n\t\t__syncthreads();\n\t}\n}\n";
static const char plain_in[] = "\t\t\tif (i0 + a < INNER) tile[k][a] = c0 + k < CUT ? x[(c0 + k) * INNER + i0 + a] : og_make<%s>(0.0f);\n";
static const char blocks_out[] = "\t\t\tif (i0 + k < INNER && c0 + a < PADDED) y[(i0 + k) * PADDED + c0 + a] = tile[a][k];\n";
static const char blocks_in[] = "\t\t\tif (i0 + k < INNER && c0 + a < CUT) tile[a][k] = x[(i0 + k) * PADDED + c0 + a];\n";
static const char plain_out[] = "\t\t\tif (i0 + a < INNER && c0 + k < CUT) y[(c0 + k) * INNER + i0 + a] = tile[k][a];\n";

og_status cuda_reorder(backend_kernel *out, const cuda_request *r)
{
	const backend_node *node = r->node;
	const og_tensor *x = &node->in[0];
	cuda_launches *l;
	if (node->op || node->tail || !cuda_is_tactic(r, "reorder")) return OG_NO;
	backend_layout from = cuda_in_layout(node, 0), to = node->out_layout;
	bool blocks = from == LAYOUT_PLAIN;
	if (!cuda_is_float(x->dtype) || (blocks ? to : from) != LAYOUT_CHANNELS || (from == LAYOUT_PLAIN) == (to == LAYOUT_PLAIN)) return OG_NO;
	int axis = layout_axis(x, LAYOUT_CHANNELS);
	if (axis < 0) return OG_NO;
	og_tensor in_memory;
	layout_dims(&in_memory, x, LAYOUT_CHANNELS, CUDA_LANES);
	int64_t outer = og_span(x, 0, axis), cut = x->dims[axis], inner = og_span(x, axis + 1, x->rank), padded = in_memory.dims[in_memory.rank - 1];
	if (cut > INT32_MAX - 8) return OG_NO;
	TRY(cuda_launch_begin(&l, r));
	const backend_layout *layouts = cuda_layouts(r, from, LAYOUT_PLAIN);
	NEED(layouts);
	text t = { 0 };
	const char *type = cuda_type(x->dtype);
	char zero[256];
	snprintf(zero, sizeof zero, plain_in, type);
	text_printf(&t, body, (long long)cut, (long long)padded, (long long)inner, (long long)outer, type, type, type, blocks ? "CUT" : "PADDED",
	            type, type, blocks ? "PADDED" : "CUT", blocks ? zero : blocks_in, blocks ? blocks_out : plain_out);
	char *made = text_take(&t);
	og_status status = made ? cuda_launch_add(l, r, made, outer * ((inner + 31) / 32) * ((padded + 31) / 32)) : base_no_memory();
	base_free(made);
	TRY(status);
	*out = (backend_kernel){ .tactic = r->tactic, .in_layout = layouts, .out_layout = to, .per_sample = true,
	                         .cost = (double)(outer * padded * inner) * 8e-3 };
	cuda_launch_with(out, l);
	return OG_OK;
}
