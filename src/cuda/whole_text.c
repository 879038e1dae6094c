/* whole_text.c -- the kernel of a small network as text: docs/cuda-small.md. */
#include <stdio.h>

#include "cuda/whole_net.h"

/* ---- text -------------------------------------------------------------------------------------- */

static void put_index(text *t, const cuda_whole *w, int at, const char *channel, const char *y, const char *x)
{
	const place *p = &w->places[w->net->values[at].root];
	text_printf(t, "%lld + s * %lld + (%s) * %lld + (%s + %lld) * %lld + %s + %lld", (long long)p->at, (long long)size_of(p), channel,
	            (long long)plane_of(p), y, (long long)p->top, (long long)row_of(p), x, (long long)p->left);
}

/* Stores r<k> as the element (channel, y, x) of value v of sample s; index: in the whole sample, for what lies in the caller's memory. */
static void put_store(text *t, const cuda_whole *w, int at, const char *what, const char *channel, const char *y, const char *x)
{
	const backend_value *root = &w->net->values[w->net->values[at].root];
	const place *p = &w->places[w->net->values[at].root];
	if (root->place == BACKEND_OUTPUT)
		text_printf(t, "\t\t\t((float *)c.out[%d])[(first + s) * %lldll + (%s) * %lld + (%s) * %lld + %s] = %s;\n", root->slot,
		            (long long)(p->planes * p->high * p->wide), channel, (long long)(p->high * p->wide), y, (long long)p->wide, x, what);
	if (root->place == BACKEND_OUTPUT && p->last < 0) return;
	text_add(t, "\t\t\togw_share<CLUSTER>(m + ");
	put_index(t, w, at, channel, y, x);
	text_printf(t, ", %s);\n", what);
}

/* Statements that take `value` through the layer's tail; the result is in `value`. */
static og_status put_tail(text *t, const cuda_whole *w, const layer *l, const char *channel, const char *y, const char *x, void *code)
{
	const program *p = l->tail;
	int node = (int)(l->node - w->net->nodes);
	if (!p) return OG_OK;
	backend_node n = *l->node;
	n.code = code;
	cuda_request r = { .node = &n };
	text_add(t, "\t\t\tfloat r0");
	for (int k = 1; k < p->n_regs; k++) text_printf(t, ", r%d", k);
	text_add(t, ";\n");
	for (int k = 0; k < p->n_operands; k++) {
		int at = p->operand[k], from = at < 0 ? -1 : w->net->in[node][at];
		if (at < 0) {
			text_printf(t, "\t\t\tr%d = value;\n", k);
		} else if (is_constant(w, from)) {
			text_printf(t, "\t\t\tr%d = *(const float *)c.in[%d];\n", k, w->net->n_inputs + w->net->values[from].slot);
		} else {
			text_printf(t, "\t\t\tr%d = m[", k);
			put_index(t, w, from, channel, y, x);
			text_add(t, "];\n");
		}
	}
	TRY(cuda_program_text(t, &r));
	text_printf(t, "\t\t\tvalue = r%d;\n", p->result);
	return OG_OK;
}

static void put_tasks(text *t, int64_t tasks)
{
	text_printf(t, "\tfor (int task = turn; task < %lld * live; task += CLUSTER * THREADS) {\n\t\tconst int s = task / %lld, part = task %% %lld;\n",
	            (long long)tasks, (long long)tasks, (long long)tasks);
}

/* Statements behind the sums of a tile: the tail, the pool, the store. */
static og_status put_pooled(text *t, const cuda_whole *w, const layer *l, void *code)
{
	long long high = l->pool.kernel[1], wide = l->pool.kernel[2];
	text_printf(t, "\t\t#pragma unroll\n\t\tfor (int k = 0; k < K; k++)\n\t\t#pragma unroll\n\t\tfor (int p = 0; p < X / %lld * (Y / %lld); p++) {\n"
	            "\t\t\tconst int py = p / (X / %lld), px = p %% (X / %lld);\n\t\t\tfloat pooled = %s;\n", wide, high, wide, wide,
	            l->maximum ? "-V_INF" : "0.0f");
	text_printf(t, "\t\t\t#pragma unroll\n\t\t\tfor (int q = 0; q < %lld; q++) {\n\t\t\tfloat value = sum[k][py * %lld + q / %lld][px * %lld + q %% %lld];\n",
	            high * wide, high, wide, wide, wide);
	TRY(put_tail(t, w, l, "0", "0", "0", code));
	text_printf(t, "\t\t\tpooled = %s;\n\t\t\t}\n", l->maximum ? "v_max(pooled, value)" : "pooled + value");
	if (!l->maximum) text_printf(t, "\t\t\tpooled = pooled / %lld.0f;\n", high * wide);
	text_printf(t, "\t\t\tconst int yy = y0 / %lld + py, xx = x0 / %lld + px;\n\t\t\tif (yy * %lld < OY && xx * %lld < OX) {\n", high, wide, high, wide);
	put_store(t, w, l->out, "pooled", "k0 + k", "yy", "xx");
	text_add(t, "\t\t\t}\n\t\t}\n");
	return OG_OK;
}

static og_status put_conv(text *t, const cuda_whole *w, const layer *l, void *code)
{
	const place *in = place_of(w, l->in);
	long long across = ceil_div(l->w.out[2], l->tile_wide), tiles = ceil_div(l->w.out[1], l->tile_high) * across * w->shape.samples;
	long long taps = l->w.kernel[1] * l->w.kernel[2], step = conv_step(l), row = row_of(in);
	text_printf(t, "\t{\n\tenum { K = %lld, Y = %lld, X = %lld, KY = %lld, KX = %lld, OX = %lld, OY = %lld };\n", (long long)l->tile_channels,
	            (long long)l->tile_high, (long long)l->tile_wide, (long long)l->w.kernel[1], (long long)l->w.kernel[2], (long long)l->w.out[2],
	            (long long)l->w.out[1]);
	/* tiles turn fastest, then samples: threads of a warp share their weights */
	long long tasks = tiles * (l->outputs / l->tile_channels), split = l->split;
	text_printf(t, "\tfor (int turns = turn; turns < %lld; turns += CLUSTER * THREADS) {\n", split > 1 ? ceil_div(tasks * split, 32) * 32LL : tasks);
	text_printf(t, "\t\tconst int task = turns / %lld < %lld ? turns / %lld : %lld, part = turns %% %lld;\n", split, tasks, split, tasks - 1, split);
	text_printf(t, "\t\tconst int group = task / %lld, k0 = group * K, rest = task %% %lld, s = rest / %lld, tile = rest %% %lld;\n", tiles, tiles,
	            tiles / w->shape.samples, tiles / w->shape.samples);
	text_printf(t, "\t\tconst int y0 = tile / %lld * Y, x0 = tile %% %lld * X;\n%s\n", across, across, split > 1 ? "" : "\t\tif (s >= live) continue;");
	text_printf(t, "\t\tfloat sum[K][Y][X];\n\t\t#pragma unroll\n\t\tfor (int k = 0; k < K; k++)\n\t\t\t#pragma unroll\n\t\t\tfor (int i = 0; i < Y * X; i++)"
	            " sum[k][i / X][i %% X] = part ? 0.0f : m[%lld + group * %lld + k];\n", (long long)l->bias, step);
	text_printf(t, "\t\tconst float *x = m + %lld + s * %lld + (y0 + %lld) * %lld + x0 + %lld, *u = m + %lld + group * %lld;\n", (long long)in->at,
	            (long long)size_of(in), (long long)(in->top - l->w.begin[1]), row, (long long)(in->left - l->w.begin[2]), (long long)l->weights, step);
	text_printf(t, "\t\tx += part * %lld, u += part * %lld;\n\t\t#pragma unroll 1\n\t\tfor (int i = part; i < %lld; i += %lld, x += %lld, u += %lld)\n",
	            (long long)plane_of(in), taps * conv_row(l), (long long)l->inputs, split, split * plane_of(in), split * taps * conv_row(l));
	text_printf(t, "\t\t\togw_conv<K, Y, X, KY, KX, %lld, %lld, %lld, %lld>(sum, x, u);\n", (long long)conv_row(l), row, least(step, 4) + 0LL,
	            (long long)l->reads);
	if (split > 1)
		text_printf(t, "\t\togw_reduce_all<K * Y * X, %lld>(&sum[0][0][0]);\n\t\tif (part || turns >= %lld) continue;\n", split, tasks * split);
	if (l->pools) {
		TRY(put_pooled(t, w, l, code));
	} else {
		text_add(t, "\t\t#pragma unroll\n\t\tfor (int k = 0; k < K; k++)\n\t\t#pragma unroll\n\t\tfor (int i = 0; i < Y * X; i++) {\n"
		            "\t\t\tconst int yy = y0 + i / X, xx = x0 + i % X;\n\t\t\tif (yy < OY && xx < OX) {\n\t\t\tfloat value = sum[k][i / X][i % X];\n");
		TRY(put_tail(t, w, l, "k0 + k", "yy", "xx", code));
		put_store(t, w, l->out, "value", "k0 + k", "yy", "xx");
		text_add(t, "\t\t\t}\n\t\t}\n");
	}
	text_add(t, "\t}\n\t}\n");
	return OG_OK;
}

/* Index i of a sample's value in order as channel, y, x. */
static void put_split(text *t, const place *p, const char *i)
{
	text_printf(t, "\t\t\tconst int ch = (%s) / %lld, yy = (%s) / %lld %% %lld, xx = (%s) %% %lld;\n", i, (long long)(p->high * p->wide), i,
	            (long long)p->wide, (long long)p->high, i, (long long)p->wide);
}

static int64_t turns_of(const cuda_whole *w, const layer *l) { return ceil_div(w->shape.samples, l->tile_samples); }
static int64_t steps_of(const layer *l) { return dense_row(l) / (4 * l->lanes); }

/* Weights of a product that every thread has one task of come before anything else is done: `wN`. */
static void put_early(text *t, const cuda_whole *w, const layer *l)
{
	long long n = steps_of(l), tiles = dense_rows(l) / l->tile_outputs;
	int at = (int)(l - w->layers);
	text_printf(t, "\tfloat4 w%d[%lld][%lld];\n", at, n, (long long)l->tile_outputs);
	text_printf(t, "\togw_weights<%lld, %lld, %lld, %lld>(w%d, (const float *)c.packed + %lld + turn / %lld / %lld %% %lld * %lld, turn %% %lld);\n",
	            (long long)l->tile_outputs, n, (long long)l->lanes, (long long)dense_row(l), at, (long long)l->weights, (long long)l->lanes,
	            (long long)turns_of(w, l), tiles, (long long)(l->tile_outputs * dense_row(l)), (long long)l->lanes);
}

static og_status put_dense(text *t, const cuda_whole *w, const layer *l, void *code)
{
	const place *in = place_of(w, l->in), *out = place_of(w, l->out);
	long long row = dense_row(l), turns = turns_of(w, l), tiles = dense_rows(l) / l->tile_outputs, lanes = l->lanes, n = steps_of(l);
	if (size_of(in) != in_fours(l->inputs) || in->planes * in->high * in->wide != l->inputs) return OG_NO;
	text_printf(t, "\t{\n\tenum { S = %lld, J = %lld, L = %lld };\n", (long long)l->tile_samples, (long long)l->tile_outputs, lanes);
	/* whole warps, so that the threads of a sum can exchange */
	text_printf(t, "\tfor (int task = turn; task < %lld; task += CLUSTER * THREADS) {\n", ceil_div(tiles * turns * lanes, 32) * 32 + 0LL);
	text_printf(t, "\t\tconst int lane = task %% L, tile = task / L / %lld, j0 = tile %% %lld * J, s1 = task / L %% %lld * S, s0 = s1 < SAMPLES - S ? s1 : SAMPLES - S;\n",
	            turns, tiles, turns);
	text_printf(t, "\t\tconst float *x = m + %lld + s0 * %lld;\n\t\tfloat sum[J * S];\n\t\t#pragma unroll\n\t\tfor (int i = 0; i < J * S; i++) sum[i] = 0.0f;\n",
	            (long long)in->at, (long long)size_of(in));
	text_printf(t, "\t\t#pragma unroll%s\n\t\tfor (int n = 0; n < %lld; n++) {\n", l->early ? "" : " 4", n);
	if (!l->early) text_printf(t, "\t\t\tfloat4 u[1][J];\n\t\t\togw_weights<J, 1, L, %lld>(u, (const float *)c.packed + %lld + j0 * %lld + n * L * 4, lane);\n", row,
		                       (long long)l->weights, row);
	char from[16] = "u[0]";
	if (l->early) snprintf(from, sizeof from, "w%d[n]", (int)(l - w->layers));
	text_printf(t, "\t\t\togw_step<J, S, %lld, %lld>(sum, x, %s, (n * L + lane) * 4);\n\t\t}\n\t\togw_reduce<J * S, L>(sum, lane);\n", (long long)l->inputs,
	            (long long)size_of(in), from);
	text_printf(t, "\t\t#pragma unroll\n\t\tfor (int i = 0; i < (J * S < L ? J * S : J * S / L); i++) {\n\t\t\tconst int own = ogw_owned<J * S, L>(lane) + i, j = j0 + own / S, s = s0 + own %% S;\n"
	            "\t\t\tif (tile >= %lld || j >= %lld || s >= live || (J * S < L && lane != i)) continue;\n", tiles, (long long)l->outputs);
	text_printf(t, "\t\t\tfloat value = sum[i] + ((const float *)c.packed)[%lld + j];\n", (long long)l->bias);
	put_split(t, out, "j");
	text_add(t, "\t\t\t(void)ch, (void)yy, (void)xx;\n");
	TRY(put_tail(t, w, l, "ch", "yy", "xx", code));
	put_store(t, w, l->out, "value", "ch", "yy", "xx");
	text_add(t, "\t\t}\n\t}\n\t}\n");
	return OG_OK;
}

static og_status put_pool(text *t, const cuda_whole *w, const layer *l, void *code)
{
	const place *out = &w->places[w->net->values[l->out].root], *in = &w->places[w->net->values[l->in].root];
	(void)code;
	put_tasks(t, out->planes * out->high * out->wide);
	put_split(t, out, "part");
	text_printf(t, "\t\tfloat value = %s;\n\t\tint n = 0;\n", l->maximum ? "-V_INF" : "0.0f");
	text_printf(t, "\t\tfor (int ky = 0, y = yy * %lld - %lld; ky < %lld; ky++, y += %lld)\n", (long long)l->pool.stride[1], (long long)l->pool.begin[1],
	            (long long)l->pool.kernel[1], (long long)l->pool.dilation[1]);
	text_printf(t, "\t\t\tfor (int kx = 0, x = xx * %lld - %lld; kx < %lld; kx++, x += %lld)\n", (long long)l->pool.stride[2], (long long)l->pool.begin[2],
	            (long long)l->pool.kernel[2], (long long)l->pool.dilation[2]);
	text_printf(t, "\t\t\t\tif (y >= 0 && y < %lld && x >= 0 && x < %lld) {\n\t\t\t\t\tconst float cell = m[", (long long)in->high, (long long)in->wide);
	put_index(t, w, l->in, "ch", "y", "x");
	text_printf(t, "];\n\t\t\t\t\tvalue = %s;\n\t\t\t\t\tn++;\n\t\t\t\t} else if (y < %lld && x < %lld) n += %d;\n", l->maximum ? "v_max(value, cell)" : "value + cell",
	            (long long)(in->high + l->pool.end[1]), (long long)(in->wide + l->pool.end[2]), l->include);
	if (!l->maximum) text_add(t, "\t\tvalue = value / (float)n;\n");
	put_store(t, w, l->out, "value", "ch", "yy", "xx");
	text_add(t, "\t}\n");
	return OG_OK;
}

static og_status put_map(text *t, const cuda_whole *w, const layer *l, void *code)
{
	const place *out = &w->places[w->net->values[l->out].root];
	put_tasks(t, out->planes * out->high * out->wide);
	put_split(t, out, "part");
	text_add(t, "\t\t\tfloat value = 0.0f;\n");
	TRY(put_tail(t, w, l, "ch", "yy", "xx", code));
	put_store(t, w, l->out, "value", "ch", "yy", "xx");
	text_add(t, "\t}\n");
	return OG_OK;
}

/* Inputs to shared memory, 0 around them; weights of convolutions; 0 around what convolutions will read. */
static void put_start(text *t, const cuda_whole *w)
{
	const backend_network *net = w->net;
	for (int i = 0; i < w->n; i++)
		if (w->layers[i].kind == DENSE && w->layers[i].early) put_early(t, w, &w->layers[i]);
	for (int k = 0; k < net->n_values; k++) {
		const place *p = &w->places[k];
		if (net->values[k].root != k || p->at < 0 || !is_padded(p)) continue;
		text_printf(t, "\tfor (int i = threadIdx.x; i < %lld; i += THREADS) ((float4 *)(m + %lld))[i] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);\n",
		            (long long)(size_of(p) / 4 * w->shape.samples), (long long)p->at);
	}
	text_add(t, "\t__syncthreads();\n");
	text_printf(t, "\t#pragma unroll 4\n\tfor (int i = threadIdx.x; i < %lld; i += THREADS) ((float4 *)m)[i] = ((const float4 *)c.packed)[i];\n",
	            (long long)(w->conv_weights / 4));
	for (int k = 0; k < net->n_values; k++) {
		const place *p = &w->places[k];
		if (net->values[k].place != BACKEND_INPUT || p->at < 0) continue;
		long long size = p->planes * p->high * p->wide, four = p->wide % 4 == 0 ? 4 : 1;
		text_printf(t, "\t#pragma unroll 8\n\tfor (int i = threadIdx.x; i < %lld; i += THREADS) {\n\t\tconst int s = i / %lld, part = i %% %lld * %lld;\n",
		            size / four * w->shape.samples, size / four, size / four, four);
		put_split(t, p, "part");
		text_add(t, "\t\tif (s >= live) break;\n\t\tfloat *to = m + ");
		put_index(t, w, k, "ch", "yy", "xx");
		text_printf(t, ";\n\t\tconst %s value = ((const %s *)((const float *)c.in[%d] + first * %lldll))[i];\n", four == 4 ? "float4" : "float",
		            four == 4 ? "float4" : "float", net->values[k].slot, size);
		text_add(t, four == 4 ? "\t\tto[0] = value.x, to[1] = value.y, to[2] = value.z, to[3] = value.w;\n\t}\n" : "\t\t*to = value;\n\t}\n");
	}
	text_add(t, "\togw_together<CLUSTER>();\n");
}

og_status cuda_whole_text(text *t, const cuda_whole *w, void *code)
{
	static og_status (*const put[])(text *, const cuda_whole *, const layer *, void *) = {
		[CONV] = put_conv, [POOL] = put_pool, [DENSE] = put_dense, [MAP] = put_map,
	};
	text_printf(t, "(const __grid_constant__ og_step c)\n{\n\textern __shared__ float4 ogw_memory[];\n\tfloat *const m = (float *)ogw_memory;\n"
	            "\tenum { CLUSTER = %d, THREADS = %d, SAMPLES = %d };\n", w->shape.cluster, w->shape.threads, w->shape.samples);
	text_printf(t, "\tconst long long first = (long long)(blockIdx.x / CLUSTER) * SAMPLES;\n\tconst int turn = blockIdx.x %% CLUSTER * THREADS + threadIdx.x;\n"
	            "\tconst int live = (int)(%lldll - first < SAMPLES ? %lldll - first : SAMPLES);\n", (long long)w->samples, (long long)w->samples);
	put_start(t, w);
	for (int i = 0; i < w->n; i++) {
		const layer *l = &w->layers[i];
		TRY(put[l->kind](t, w, l, code));
		/* blocks write into each other: none ends before the last of that */
		if (i + 1 < w->n || (w->shape.cluster > 1 && place_of(w, l->out)->at >= 0)) text_add(t, "\togw_together<CLUSTER>();\n");
	}
	text_add(t, "}\n");
	return OG_OK;
}
