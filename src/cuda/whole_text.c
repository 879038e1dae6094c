/* whole_text.c -- the kernel of a small network as text: docs/cuda-small.md. */
#include <stdio.h>

#include "cuda/whole_net.h"

/* ---- cells ------------------------------------------------------------------------------------- */

/* An element of a value as expressions over a kernel's variables. */
typedef struct cell { const char *channel, *y, *x; } cell;
static const cell any = { "ch", "yy", "xx" }, of_group = { "k0 + k", "yy", "xx" };

static int64_t count_of(const place *p) { return p->planes * p->high * p->wide; }

/* Where a cell of sample s lies in shared memory. */
static void put_index(text *t, const cuda_whole *w, int at, cell c)
{
	const place *p = place_of(w, at);
	text_printf(t, "%lld + s * %lld + (%s) * %lld + (%s + %lld) * %lld + %s + %lld",
	            (long long)p->at, (long long)size_of(p), c.channel, (long long)plane_of(p), c.y, (long long)p->top,
	            (long long)row_of(p), c.x, (long long)p->left);
}

/* Stores `what` as a cell of the value: in shared memory, in the caller's, or in both. */
static void put_store(text *t, const cuda_whole *w, int at, const char *what, cell c)
{
	const backend_value *root = &w->net->values[w->net->values[at].root];
	const place *p = place_of(w, at);
	if (root->place == BACKEND_OUTPUT)
		text_printf(t, "\t\t\t((float *)c.out[%d])[(first + s) * %lldll + (%s) * %lld + (%s) * %lld + %s] = %s;\n",
		            root->slot, (long long)count_of(p), c.channel, (long long)(p->high * p->wide), c.y,
		            (long long)p->wide, c.x, what);
	if (root->place == BACKEND_OUTPUT && p->last < 0) return;
	text_add(t, "\t\t\togw_share<CLUSTER>(m + ");
	put_index(t, w, at, c);
	text_printf(t, ", %s);\n", what);
}

/* Number `i` of a sample's value, in order, as cell `any`. */
static void put_split(text *t, const place *p, const char *i)
{
	text_printf(t, "\t\t\tconst int ch = (%s) / %lld, yy = (%s) / %lld %% %lld, xx = (%s) %% %lld;\n",
	            i, (long long)(p->high * p->wide), i, (long long)p->wide, (long long)p->high, i, (long long)p->wide);
}

/* A task for each cell of the value. */
static void put_tasks(text *t, const place *p)
{
	const int64_t n = count_of(p);
	CUDA_PUT(t, "\tfor (int task = turn; task < $ * live; task += CLUSTER * THREADS) {\n"
	            "\t\tconst int s = task / $, part = task % $;\n", n, n, n);
	put_split(t, p, "part");
}

/* Statements that take `value` through the layer's tail; the result is in `value`. */
static og_status put_tail(text *t, const cuda_whole *w, const layer *l, cell c, void *code)
{
	const program *p = l->tail;
	int node = (int)(l->node - w->net->nodes);
	if (!p) return OG_OK;
	backend_node n = *l->node;
	n.code = code;
	cuda_request r = { .node = &n };
	cuda_program_registers(t, p, "\t\t\t");
	for (int k = 0; k < p->n_operands; k++) {
		int at = p->operand[k], from = at < 0 ? -1 : w->net->in[node][at];
		if (at < 0) {
			text_printf(t, "\t\t\tr%d = value;\n", k);
		} else if (is_constant(w, from)) {
			text_printf(t, "\t\t\tr%d = *(const float *)c.in[%d];\n", k, w->net->n_inputs + w->net->values[from].slot);
		} else {
			text_printf(t, "\t\t\tr%d = m[", k);
			put_index(t, w, from, c);
			text_add(t, "];\n");
		}
	}
	TRY(cuda_program_text(t, &r));
	text_printf(t, "\t\t\tvalue = r%d;\n", p->result);
	return OG_OK;
}

/* ---- convolutions ------------------------------------------------------------------------------ */

/* Statements behind the sums of a tile: the tail, the pool, the store. */
static og_status put_pooled(text *t, const cuda_whole *w, const layer *l, void *code)
{
	const int64_t high = l->pool.kernel[1], wide = l->pool.kernel[2];
	CUDA_PUT(t, "\t\t#pragma unroll\n\t\tfor (int k = 0; k < K; k++)\n"
	            "\t\t#pragma unroll\n\t\tfor (int p = 0; p < X / $ * (Y / $); p++) {\n"
	            "\t\t\tconst int py = p / (X / $), px = p % (X / $);\n", wide, high, wide, wide);
	text_printf(t, "\t\t\tfloat pooled = %s;\n", l->maximum ? "-V_INF" : "0.0f");
	CUDA_PUT(t, "\t\t\t#pragma unroll\n\t\t\tfor (int q = 0; q < $; q++) {\n"
	            "\t\t\tfloat value = sum[k][py * $ + q / $][px * $ + q % $];\n", high * wide, high, wide, wide, wide);
	TRY(put_tail(t, w, l, (cell){ "0", "0", "0" }, code));
	text_printf(t, "\t\t\tpooled = %s;\n\t\t\t}\n", l->maximum ? "v_max(pooled, value)" : "pooled + value");
	if (!l->maximum) CUDA_PUT(t, "\t\t\tpooled = pooled / $.0f;\n", high * wide);
	CUDA_PUT(t, "\t\t\tconst int yy = y0 / $ + py, xx = x0 / $ + px;\n\t\t\tif (yy * $ < OY && xx * $ < OX) {\n",
	         high, wide, high, wide);
	put_store(t, w, l->out, "pooled", of_group);
	text_add(t, "\t\t\t}\n\t\t}\n");
	return OG_OK;
}

static og_status put_unpooled(text *t, const cuda_whole *w, const layer *l, void *code)
{
	text_add(t, "\t\t#pragma unroll\n\t\tfor (int k = 0; k < K; k++)\n\t\t#pragma unroll\n"
	            "\t\tfor (int i = 0; i < Y * X; i++) {\n"
	            "\t\t\tconst int yy = y0 + i / X, xx = x0 + i % X;\n\t\t\tif (yy < OY && xx < OX) {\n"
	            "\t\t\tfloat value = sum[k][i / X][i % X];\n");
	TRY(put_tail(t, w, l, of_group, code));
	put_store(t, w, l->out, "value", of_group);
	text_add(t, "\t\t\t}\n\t\t}\n");
	return OG_OK;
}

/* What a task is: part of the input channels (of `split`) of a tile of a group of outputs of a sample. Tiles turn
 * fastest, then samples: threads of a warp share their weights. */
static void put_conv_task(text *t, const cuda_whole *w, const layer *l, int64_t tasks)
{
	const int64_t across = ceil_div(l->w.out[2], l->tile_wide), tiles = ceil_div(l->w.out[1], l->tile_high) * across;
	const int64_t samples = w->shape.samples, split = l->split;
	CUDA_PUT(t, "\t{\n\tenum { K = $, Y = $, X = $, KY = $, KX = $, OX = $, OY = $ };\n",
	         l->tile_channels, l->tile_high, l->tile_wide, l->w.kernel[1], l->w.kernel[2], l->w.out[2], l->w.out[1]);
	CUDA_PUT(t, "\tfor (int turns = turn; turns < $; turns += CLUSTER * THREADS) {\n",
	         split > 1 ? ceil_div(tasks * split, 32) * 32 : tasks);
	CUDA_PUT(t, "\t\tconst int task = turns / $ < $ ? turns / $ : $, part = turns % $;\n",
	         split, tasks, split, tasks - 1, split);
	CUDA_PUT(t, "\t\tconst int group = task / $, k0 = group * K, rest = task % $, s = rest / $, tile = rest % $;\n",
	         tiles * samples, tiles * samples, tiles, tiles);
	CUDA_PUT(t, "\t\tconst int y0 = tile / $ * Y, x0 = tile % $ * X;\n", across, across);
	text_add(t, split > 1 ? "\n" : "\t\tif (s >= live) continue;\n");
}

static og_status put_conv(text *t, const cuda_whole *w, const layer *l, void *code)
{
	const place *in = place_of(w, l->in);
	const int64_t taps = l->w.kernel[1] * l->w.kernel[2], step = conv_step(l), row = row_of(in), split = l->split;
	const int64_t tiles = ceil_div(l->w.out[1], l->tile_high) * ceil_div(l->w.out[2], l->tile_wide) * w->shape.samples;
	const int64_t tasks = tiles * (l->outputs / l->tile_channels);
	put_conv_task(t, w, l, tasks);
	CUDA_PUT(t, "\t\tfloat sum[K][Y][X];\n\t\t#pragma unroll\n\t\tfor (int k = 0; k < K; k++)\n"
	            "\t\t\t#pragma unroll\n\t\t\tfor (int i = 0; i < Y * X; i++) "
	            "sum[k][i / X][i % X] = part ? 0.0f : m[$ + group * $ + k];\n", l->bias, step);
	CUDA_PUT(t, "\t\tconst float *x = m + $ + s * $ + (y0 + $) * $ + x0 + $, *u = m + $ + group * $;\n",
	         in->at, size_of(in), in->top - l->w.begin[1], row, in->left - l->w.begin[2], l->weights, step);
	CUDA_PUT(t, "\t\tx += part * $, u += part * $;\n", plane_of(in), taps * conv_row(l));
	CUDA_PUT(t, "\t\t#pragma unroll 1\n\t\tfor (int i = part; i < $; i += $, x += $, u += $)\n",
	         l->inputs, split, split * plane_of(in), split * taps * conv_row(l));
	CUDA_PUT(t, "\t\t\togw_conv<K, Y, X, KY, KX, $, $, $, $>(sum, x, u);\n",
	         conv_row(l), row, least(step, 4), l->reads);
	if (split > 1)
		CUDA_PUT(t, "\t\togw_reduce_all<K * Y * X, $>(&sum[0][0][0]);\n\t\tif (part || turns >= $) continue;\n",
		         split, tasks * split);
	TRY(l->pools ? put_pooled(t, w, l, code) : put_unpooled(t, w, l, code));
	text_add(t, "\t}\n\t}\n");
	return OG_OK;
}

/* ---- products ---------------------------------------------------------------------------------- */

static int64_t turns_of(const cuda_whole *w, const layer *l) { return ceil_div(w->shape.samples, l->tile_samples); }
static int64_t tiles_of(const layer *l) { return dense_rows(l) / l->tile_outputs; }
static int64_t steps_of(const layer *l) { return dense_row(l) / (4 * l->lanes); }

/* Weights of a product that every thread has one task of come before anything else is done: `wN`. */
static void put_early(text *t, const cuda_whole *w, const layer *l)
{
	const int64_t n = steps_of(l), j = l->tile_outputs, lanes = l->lanes, row = dense_row(l);
	const int at = (int)(l - w->layers);
	CUDA_PUT(t, "\tfloat4 w$[$][$];\n", at, n, j);
	CUDA_PUT(t, "\togw_weights<$, $, $, $>(w$, (const float *)c.packed + $ + turn / $ / $ % $ * $, turn % $);\n",
	         j, n, lanes, row, at, l->weights, lanes, turns_of(w, l), tiles_of(l), j * row, lanes);
}

/* The sums of a tile over the inputs, a part of each in every thread of `lane`. */
static void put_products(text *t, const cuda_whole *w, const layer *l)
{
	const place *in = place_of(w, l->in);
	const int64_t row = dense_row(l);
	CUDA_PUT(t, "\t\tconst float *x = m + $ + s0 * $;\n", in->at, size_of(in));
	text_add(t, "\t\tfloat sum[J * S];\n\t\t#pragma unroll\n\t\tfor (int i = 0; i < J * S; i++) sum[i] = 0.0f;\n"
	            "\t\t#pragma unroll");
	text_add(t, l->early ? "" : " 4");
	CUDA_PUT(t, "\n\t\tfor (int n = 0; n < $; n++) {\n", steps_of(l));
	if (!l->early)
		CUDA_PUT(t, "\t\t\tfloat4 u[1][J];\n"
		            "\t\t\togw_weights<J, 1, L, $>(u, (const float *)c.packed + $ + j0 * $ + n * L * 4, lane);\n", row,
		         l->weights, row);
	CUDA_PUT(t, "\t\t\togw_step<J, S, $, $>(sum, x, ", l->inputs, size_of(in));
	if (l->early) CUDA_PUT(t, "w$[n]", l - w->layers);
	else text_add(t, "u[0]");
	text_add(t, ", (n * L + lane) * 4);\n\t\t}\n\t\togw_reduce<J * S, L>(sum, lane);\n");
}

static og_status put_dense(text *t, const cuda_whole *w, const layer *l, void *code)
{
	const place *in = place_of(w, l->in), *out = place_of(w, l->out);
	const int64_t turns = turns_of(w, l), tiles = tiles_of(l);
	if (size_of(in) != in_fours(l->inputs) || count_of(in) != l->inputs) return OG_NO;
	CUDA_PUT(t, "\t{\n\tenum { S = $, J = $, L = $ };\n", l->tile_samples, l->tile_outputs, l->lanes);
	/* whole warps, so that the threads of a sum can exchange */
	CUDA_PUT(t, "\tfor (int task = turn; task < $; task += CLUSTER * THREADS) {\n",
	         ceil_div(tiles * turns * l->lanes, 32) * 32);
	CUDA_PUT(t, "\t\tconst int lane = task % L, tile = task / L / $, j0 = tile % $ * J, s1 = task / L % $ * S, "
	            "s0 = s1 < SAMPLES - S ? s1 : SAMPLES - S;\n", turns, tiles, turns);
	put_products(t, w, l);
	text_add(t, "\t\t#pragma unroll\n\t\tfor (int i = 0; i < (J * S < L ? J * S : J * S / L); i++) {\n"
	            "\t\t\tconst int own = ogw_owned<J * S, L>(lane) + i, j = j0 + own / S, s = s0 + own % S;\n");
	CUDA_PUT(t, "\t\t\tif (tile >= $ || j >= $ || s >= live || (J * S < L && lane != i)) continue;\n"
	            "\t\t\tfloat value = sum[i] + ((const float *)c.packed)[$ + j];\n", tiles, l->outputs, l->bias);
	put_split(t, out, "j");
	text_add(t, "\t\t\t(void)ch, (void)yy, (void)xx;\n");
	TRY(put_tail(t, w, l, any, code));
	put_store(t, w, l->out, "value", any);
	text_add(t, "\t\t}\n\t}\n\t}\n");
	return OG_OK;
}

/* ---- the other layers -------------------------------------------------------------------------- */

static og_status put_pool(text *t, const cuda_whole *w, const layer *l, void *code)
{
	const place *in = place_of(w, l->in);
	const window *p = &l->pool;
	(void)code;
	put_tasks(t, place_of(w, l->out));
	text_printf(t, "\t\tfloat value = %s;\n\t\tint n = 0;\n", l->maximum ? "-V_INF" : "0.0f");
	CUDA_PUT(t, "\t\tfor (int ky = 0, y = yy * $ - $; ky < $; ky++, y += $)\n",
	         p->stride[1], p->begin[1], p->kernel[1], p->dilation[1]);
	CUDA_PUT(t, "\t\t\tfor (int kx = 0, x = xx * $ - $; kx < $; kx++, x += $)\n",
	         p->stride[2], p->begin[2], p->kernel[2], p->dilation[2]);
	CUDA_PUT(t, "\t\t\t\tif (y >= 0 && y < $ && x >= 0 && x < $) {\n\t\t\t\t\tconst float cell = m[",
	         in->high, in->wide);
	put_index(t, w, l->in, (cell){ "ch", "y", "x" });
	text_printf(t, "];\n\t\t\t\t\tvalue = %s;\n\t\t\t\t\tn++;\n", l->maximum ? "v_max(value, cell)" : "value + cell");
	CUDA_PUT(t, "\t\t\t\t} else if (y < $ && x < $) n += $;\n", in->high + p->end[1], in->wide + p->end[2], l->include);
	if (!l->maximum) text_add(t, "\t\tvalue = value / (float)n;\n");
	put_store(t, w, l->out, "value", any);
	text_add(t, "\t}\n");
	return OG_OK;
}

static og_status put_map(text *t, const cuda_whole *w, const layer *l, void *code)
{
	put_tasks(t, place_of(w, l->out));
	text_add(t, "\t\t\tfloat value = 0.0f;\n");
	TRY(put_tail(t, w, l, any, code));
	put_store(t, w, l->out, "value", any);
	text_add(t, "\t}\n");
	return OG_OK;
}

/* ---- the kernel -------------------------------------------------------------------------------- */

/* Copies to shared memory in two halves: what threads load into registers `held`, and where they store it. All loads of the start are
 * on their way before anything waits for one. */
typedef enum half { LOADS, STORES } half;
enum { HELD_MOST = 16 };                 /* 16 bytes each, of a thread, of one copy */

static void put_copies(text *t, int64_t n, half which, const char *type, const char *held, int number)
{
	if (which == LOADS) text_printf(t, "\t%s %s%d[%lld];\n", type, held, number, (long long)n);
	CUDA_PUT(t, "\t#pragma unroll\n\tfor (int k = 0; k < $; k++) {\n\t\tconst int i = k * THREADS + threadIdx.x;\n", n);
}

static int64_t copies_of(const cuda_whole *w, int64_t packs) { return ceil_div(packs, w->shape.threads); }

static void put_input(text *t, const cuda_whole *w, int value, half which)
{
	const place *p = place_of(w, value);
	const int64_t size = count_of(p), four = p->wide % 4 == 0 ? 4 : 1, packs = size / four;
	const char *pack = four == 4 ? "float4" : "float";
	put_copies(t, copies_of(w, packs * w->shape.samples), which, pack, "held", value);
	CUDA_PUT(t, "\t\tconst int s = i / $, part = i % $ * $;\n\t\tif (s >= live) continue;\n", packs, packs, four);
	if (which == LOADS) {
		text_printf(t, "\t\theld%d[k] = ((const %s *)((const float *)c.in[%d] + first * %lldll))[i];\n\t\t(void)part;\n\t}\n",
		            value, pack, w->net->values[value].slot, (long long)size);
		return;
	}
	put_split(t, p, "part");
	text_add(t, "\t\tfloat *to = m + ");
	put_index(t, w, value, any);
	if (four == 4) text_printf(t, ";\n\t\tto[0] = held%d[k].x, to[1] = held%d[k].y, to[2] = held%d[k].z, to[3] = held%d[k].w;\n\t}\n",
		                       value, value, value, value);
	else text_printf(t, ";\n\t\t*to = held%d[k];\n\t}\n", value);
}

/* Weights of convolutions. */
static void put_weights(text *t, const cuda_whole *w, half which)
{
	const int64_t packs = w->conv_weights / 4;
	if (!packs) return;
	put_copies(t, copies_of(w, packs), which, "float4", "weights", 0);
	text_printf(t, which == LOADS ? "\t\tif (i < %lld) weights0[k] = ((const float4 *)c.packed)[i];\n\t}\n"
	            : "\t\tif (i < %lld) ((float4 *)m)[i] = weights0[k];\n\t}\n", (long long)packs);
}

static bool is_copied(const cuda_whole *w, int value)
{
	return w->net->values[value].place == BACKEND_INPUT && w->places[value].at >= 0;
}

static bool is_held(const cuda_whole *w, int value)
{
	const place *p = place_of(w, value);
	return copies_of(w, count_of(p) / (p->wide % 4 == 0 ? 4 : 1) * w->shape.samples) <= HELD_MOST;
}

/* Inputs to shared memory, 0 around them; weights of convolutions; 0 around what convolutions will read. */
static void put_start(text *t, const cuda_whole *w)
{
	const backend_network *net = w->net;
	for (int k = 0; k < net->n_values; k++)
		if (is_copied(w, k) && is_held(w, k)) put_input(t, w, k, LOADS);
	put_weights(t, w, LOADS);
	for (int i = 0; i < w->n; i++)
		if (w->layers[i].kind == DENSE && w->layers[i].early) put_early(t, w, &w->layers[i]);
	for (int k = 0; k < net->n_values; k++) {
		const place *p = &w->places[k];
		if (net->values[k].root != k || p->at < 0 || !is_padded(p)) continue;
		CUDA_PUT(t, "\tfor (int i = threadIdx.x; i < $; i += THREADS) "
		            "((float4 *)(m + $))[i] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);\n",
		            size_of(p) / 4 * w->shape.samples, p->at);
	}
	text_add(t, "\t__syncthreads();\n");
	put_weights(t, w, STORES);
	for (int k = 0; k < net->n_values; k++) {
		if (!is_copied(w, k)) continue;
		if (!is_held(w, k)) put_input(t, w, k, LOADS);
		put_input(t, w, k, STORES);
	}
	text_add(t, "\togw_together<CLUSTER>();\n");
}

og_status cuda_whole_text(text *t, const cuda_whole *w, void *code)
{
	static og_status (*const put[])(text *, const cuda_whole *, const layer *, void *) = {
		[CONV] = put_conv, [POOL] = put_pool, [DENSE] = put_dense, [MAP] = put_map,
	};
	text_add(t, "(const __grid_constant__ og_step c)\n{\n\textern __shared__ float4 ogw_memory[];\n"
	            "\tfloat *const m = (float *)ogw_memory;\n");
	CUDA_PUT(t, "\tenum { CLUSTER = $, THREADS = $, SAMPLES = $ };\n",
	         w->shape.cluster, w->shape.threads, w->shape.samples);
	text_add(t, "\tconst long long first = (long long)(blockIdx.x / CLUSTER) * SAMPLES;\n"
	            "\tconst int turn = blockIdx.x % CLUSTER * THREADS + threadIdx.x;\n");
	CUDA_PUT(t, "\tconst int live = (int)($ll - first < SAMPLES ? $ll - first : SAMPLES);\n", w->samples, w->samples);
	put_start(t, w);
	for (int i = 0; i < w->n; i++) {
		const layer *l = &w->layers[i];
		TRY(put[l->kind](t, w, l, code));
		/* blocks write into each other: none ends before the last of that */
		if (i + 1 < w->n || (w->shape.cluster > 1 && place_of(w, l->out)->at >= 0))
			text_add(t, "\togw_together<CLUSTER>();\n");
	}
	text_add(t, "}\n");
	return OG_OK;
}
