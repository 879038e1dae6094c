/* depthwise.c -- convolutions of each channel by itself, channels last: a thread has 16 bytes of channels of one
 * place. */
#include "cuda/cuda.h"
#include "ops/window.h"

enum { GROUP = WINDOW_OWN_ATTRS };

/* Weights [tap][channel], then the bias, in float32; channels rounded up. */
typedef struct depthwise {
	cuda_launches launches;
	const backend_node *node;
	int64_t channels, padded, taps;
} depthwise;

static float value_at(const og_tensor *t, int64_t i)
{
	if (t->dtype == OG_F32) return ((const float *)t->data)[i];
	return t->dtype == OG_F16 ? base_half_to_float(((const uint16_t *)t->data)[i])
		: base_bfloat_to_float(((const uint16_t *)t->data)[i]);
}

static og_status pack(const backend_kernel *k, void *packed)
{
	const depthwise *d = (const depthwise *)((const char *)k->state - offsetof(depthwise, launches));
	const og_tensor *weights = &d->node->in[1];
	const og_tensor *bias = d->node->n_anchor_in > 2 && cuda_has(d->node, 2) ? &d->node->in[2] : NULL;
	float *to = packed;
	memset(to, 0, k->packed_bytes);
	for (int64_t c = 0; c < d->channels; c++) {
		for (int64_t tap = 0; tap < d->taps; tap++) to[tap * d->padded + c] = value_at(weights, c * d->taps + tap);
		if (bias) to[d->taps * d->padded + c] = value_at(bias, c);
	}
	return OG_OK;
}

static og_status put_kernel(text *t, const cuda_request *r, const depthwise *d, const window *w, int wide)
{
	const backend_node *node = r->node;
	const char *type = cuda_type(node->in[0].dtype), *made = cuda_type(node->out->dtype);
	int64_t places = node->out->dims[0] * w->out[1] * w->out[2];
	text_printf(t, "(const __grid_constant__ og_step c)\n{\n"
	               "\tconst int V = %d, C = %lld, OX = %lld, OY = %lld, IX = %lld, IY = %lld;\n", wide,
	            (long long)d->padded, (long long)w->out[2], (long long)w->out[1], (long long)w->in[2],
	            (long long)w->in[1]);
	text_printf(t, "\tconst float *const weights = (const float *)c.packed;\n"
	               "\tfor (long long pack = og_first(); pack < %lldll; pack += og_stride()) {\n",
	            (long long)(places * d->padded / wide));
	text_add(t, "\t\tconst int ch = pack % (C / V) * V, ox = pack / (C / V) % OX, oy = pack / (C / V) / OX % OY;\n");
	text_printf(t, "\t\tconst %s *x = (const %s *)c.in[0] + pack / (C / V) / OX / OY * IY * IX * C + ch;\n",
	            type, type);
	text_printf(t, "\t\tfloat sum[V];\n\t\togr_get<float, V>(sum, weights + %lld * C + ch);\n\t\t#pragma unroll\n",
	            (long long)d->taps);
	text_printf(t, "\t\tfor (int ky = 0; ky < %lld; ky++)\n\t\t\t#pragma unroll\n"
	               "\t\t\tfor (int kx = 0; kx < %lld; kx++) {\n", (long long)w->kernel[1],
	            (long long)w->kernel[2]);
	text_printf(t, "\t\t\t\tconst int y = oy * %lld - %lld + ky * %lld, z = ox * %lld - %lld + kx * %lld;\n"
	               "\t\t\t\tfloat u[V], in[V];\n",
	            (long long)w->stride[1], (long long)w->begin[1], (long long)w->dilation[1], (long long)w->stride[2],
	            (long long)w->begin[2], (long long)w->dilation[2]);
	text_printf(t, "\t\t\t\tif (y < 0 || y >= IY || z < 0 || z >= IX) continue;\n"
	               "\t\t\t\togr_get<float, V>(u, weights + (ky * %lld + kx) * C + ch);\n",
	            (long long)w->kernel[2]);
	text_printf(t, "\t\t\t\togr_get<%s, V>(in, x + ((long long)y * IX + z) * C);\n\t\t\t\t#pragma unroll\n"
	            "\t\t\t\tfor (int e = 0; e < V; e++) sum[e] = og_madd(u[e], in[e], sum[e]);\n\t\t\t}\n", type);
	if (!node->tail) {
		text_printf(t, "\t\tog_pack<%s, V> made;\n\t\t#pragma unroll\n"
		               "\t\tfor (int e = 0; e < V; e++) made.e[e] = og_make<%s>(sum[e]);\n"
		            "\t\tog_write<%s, V>((%s *)c.out[0] + pack * V, made);\n\t}\n}\n", made, made, made, made);
		return OG_OK;
	}
	text_add(t, "\t\t#pragma unroll\n\t\tfor (int e = 0; e < V; e++) {\n\t\tconst long long at = pack * V + e;\n"
	            "\t\tconst float value = sum[e];\n");
	TRY(cuda_tail_text(t, r, LAYOUT_CHANNELS));
	text_add(t, "\t\t}\n\t}\n}\n");
	return OG_OK;
}

static bool takes(const cuda_request *r)
{
	const backend_node *node = r->node;
	if (!cuda_is(node, "Conv") || !cuda_is_tactic(r, "depthwise") || node->in[0].rank != 4 ||
	    node->in[0].dtype != node->out->dtype)
		return false;
	const og_tensor *weights = &node->in[1];
	for (int k = 1; k < node->n_anchor_in; k++)
		if (cuda_has(node, k) && !node->in[k].data && !r->loading) return false;
	return weights->dims[1] == 1 && weights->dims[0] == node->attr[GROUP].i &&
		weights->dims[0] == node->in[0].dims[1] && node->in[0].dims[1] > 1;
}

og_status cuda_depthwise(backend_kernel *out, const cuda_request *r)
{
	const backend_node *node = r->node;
	window w;
	if (!takes(r) || node->n_in > CUDA_IN) return OG_NO;
	depthwise *d = arena_alloc(r->a, sizeof *d);
	const backend_layout *layouts = layout_wanted(r->a, r->node, LAYOUT_CHANNELS, LAYOUT_CHANNELS);
	if (!d || !layouts) return base_no_memory();
	window_of(&w, node->attr, &node->in[0], node->out, &node->in[1]);
	*d = (depthwise){ .launches = { .n_in = node->n_in, .n_out = 1 }, .node = node, .channels = node->in[0].dims[1],
	                  .taps = w.kernel[1] * w.kernel[2] };
	d->padded = (d->channels - CUDA_LANES - 1) / -CUDA_LANES * -CUDA_LANES;
	int wide = (int)(16 / og_dtype_bytes(node->in[0].dtype));
	int64_t threads = node->out->dims[0] * w.out[1] * w.out[2] * d->padded / wide;
	text t = { 0 };
	og_status status = put_kernel(&t, r, d, &w, wide);
	char *made = text_take(&t);
	if (status == OG_OK && !made) status = base_no_memory();
	if (status == OG_OK) status = cuda_launch_add(&d->launches, r, made, (threads + CUDA_THREADS - 1) / CUDA_THREADS);
	base_free(made);
	TRY(status);
	double flops = 2.0 * (double)og_count(node->out) * (double)d->taps;
	*out = (backend_kernel){ .tactic = r->tactic, .in_layout = layouts, .out_layout = LAYOUT_CHANNELS, .pack = pack,
	                         .flops = flops, .packed_bytes = (size_t)((d->taps + 1) * d->padded) * sizeof(float),
	                         .packs_input = node->n_anchor_in > 2 ? 6 : 2, .cost = 2000.0 + flops * 1e-4 };
	cuda_launch_with(out, &d->launches);
	return OG_OK;
}
