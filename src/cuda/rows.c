/* rows.c -- Softmax and the like, norms over rows, reductions: cuda/rows.cuh for the shapes at hand. */
#include <stdio.h>

#include "cuda/cuda.h"
#include "ops/axis.h"
#include "ops/reduce.h"

typedef struct row_op { const char *name, *formula; } row_op;
static const row_op maps[] = {
	{ "Softmax", "ogr_softmax" }, { "LogSoftmax", "ogr_log_softmax" }, { "LayerNormalization", "ogr_layer_norm" },
	{ "RMSNormalization", "ogr_rms_norm" }, { "InstanceNormalization", "ogr_layer_norm" }, { "GroupNormalization", "ogr_layer_norm" },
};
static const row_op reductions[] = {
	{ "ReduceSum", "ogr_sum" }, { "ReduceMean", "ogr_mean" }, { "ReduceMax", "ogr_max" }, { "ReduceMin", "ogr_min" },
	{ "ReduceProd", "ogr_product" }, { "ReduceL1", "ogr_l1" }, { "ReduceL2", "ogr_l2" },
	{ "ReduceSumSquare", "ogr_sum_square" },
	{ "ReduceLogSum", "ogr_log_sum" }, { "ReduceLogSumExp", "ogr_log_sum_exp" }, { "GlobalAveragePool", "ogr_mean" },
	{ "GlobalMaxPool", "ogr_max" },
};
enum { SCALE = 1, SHIFT = 2 };           /* inputs */
enum { KEPT = 8, KEPT_SINGLE = 16 };     /* packs, single elements that a thread keeps in registers */
enum { TEAM = 8, LEAST_COLUMN = 64 };    /* threads that share a column, rows that are worth a block of their own */
/* blocks; packs that are worth a block of their own */
enum { PROCESSORS = 132, FEW = 2 * PROCESSORS, LEAST_PART = 1024 };

static const row_op *find(const row_op *ops, size_t n, const backend_node *node)
{
	if (!node->op || node->op->domain || node->n_in < 1 || !cuda_is_float(node->in[0].dtype) ||
	    node->in[0].dtype != node->out[0].dtype)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (!strcmp(ops[i].name, node->op->name)) return &ops[i];
	return NULL;
}

/* Elements that move at once in rows of n. */
static int pack_of(og_dtype t, int64_t n)
{
	int wide = (int)(16 / og_dtype_bytes(t));
	return n % wide ? 1 : wide;
}

/* Adds a launch of blocks of 32 x warps threads. */
static og_status add(cuda_launches *l, const cuda_request *r, text *t, int64_t blocks, int warps)
{
	char *made = text_take(t), bounds[40];
	NEED(made);
	snprintf(bounds, sizeof bounds, "__launch_bounds__(%d)", 32 * warps);
	cuda_launch *at = &l->at[l->n++];
	*at = (cuda_launch){ .grid = { .blocks = { (uint32_t)(blocks > INT32_MAX ? INT32_MAX : blocks), 1, 1 },
	                               .threads = { 32, (uint32_t)warps, 1 } } };
	og_status status = cuda_code_kernel(at->name, r->node->code, cuda_is_short(r->node), bounds, made);
	base_free(made);
	return status;
}

static void finish(backend_kernel *out, const cuda_request *r, const cuda_launches *l, double flops)
{
	*out = (backend_kernel){ .tactic = r->tactic, .flops = flops, .cost = 2000.0 + (double)og_count(&r->node->in[0]) *
	                         5e-4 };
	cuda_launch_with(out, l);
}

/* ---- formulas over rows ------------------------------------------------------------------------ */

/* Rows, and of a norm by channels how many elements in a row have the same scale, of how many. */
typedef struct rows { axis_split s; int64_t plane, channels; } rows;

/* How scale or shift goes along rows: "OGR_EACH"; NULL: not so that it can be served. */
static const char *way_of(const backend_node *node, int k, const rows *of)
{
	if (!cuda_has(node, k)) return "OGR_ABSENT";
	const int64_t count = og_count(&node->in[k]);
	if (!cuda_is_float(node->in[k].dtype)) return NULL;
	if (of->channels) return count == of->channels ? "OGR_CHANNEL" : NULL;
	return count == of->s.n ? "OGR_EACH" : count == 1 ? "OGR_ONE" : NULL;
}

/* The axis is not the last: columns that threads keep, or longer ones in parts, whose peaks and sums lie in the workspace. */
static og_status put_columns(cuda_launches *l, const cuda_request *r, const row_op *op, const axis_split *s, int64_t *parts)
{
	const char *type = cuda_type(r->node->in[0].dtype);
	const int64_t n = s->n, outer = s->outer, inner = s->inner;
	int wide = (int)(16 / og_dtype_bytes(r->node->in[0].dtype)), team = n > KEPT_SINGLE ? TEAM : 1;
	while (inner % wide) wide /= 2;
	const int64_t strips = outer * ((inner / wide + 31) / 32), enough = (2 * FEW + strips - 1) / strips;
	text t = { 0 };
	text_add(&t, "(const __grid_constant__ og_step c)\n{\n");
	if (n <= KEPT_SINGLE * TEAM) {
		text_printf(&t, "\togr_columns<%s, %s, %d, %d, ", op->formula, type, wide, team);
		CUDA_PUT(&t, "$, $, $, $>(c, NULL);\n}\n", (n + team - 1) / team, outer, n, inner);
		return add(l, r, &t, team == 1 ? (strips + 7) / 8 : strips, 8);
	}
	*parts = enough < n / LEAST_COLUMN ? enough : n / LEAST_COLUMN;
	text_printf(&t, "\togr_column_peaks<%s, %d, ", type, wide);
	CUDA_PUT(&t, "$, $, $, $>(c);\n}\n", *parts, outer, n, inner);
	TRY(add(l, r, &t, strips * *parts, 8));
	if (*parts > 1) {
		CUDA_PUT(&t, "(const __grid_constant__ og_step c)\n{\n\togr_join_peaks<$, $>(c);\n}\n", *parts, outer * inner);
		TRY(add(l, r, &t, (outer * inner + 31) / 32, 8));
	}
	text_printf(&t, "(const __grid_constant__ og_step c)\n{\n\togr_column_last<%s, %s, %d, ", op->formula, type, wide);
	CUDA_PUT(&t, "$, $, $, $>(c, NULL);\n}\n", *parts, outer, n, inner);
	return add(l, r, &t, strips * *parts, 8);
}

static og_status put_map(cuda_launches *l, const cuda_request *r, const row_op *op, const rows *of, int64_t *parts)
{
	const backend_node *node = r->node;
	const axis_split *s = &of->s;
	const char *type = cuda_type(node->in[0].dtype), *scale = way_of(node, SCALE, of), *shift = way_of(node, SHIFT, of);
	const og_attr_value *epsilon = cuda_attr(node, "epsilon");
	bool norm = epsilon != NULL;
	if (norm && (!scale || !shift || s->inner != 1 ||
	             (cuda_has(node, SHIFT) && node->in[SHIFT].dtype != node->in[SCALE].dtype)))
		return OG_NO;
	if (s->inner != 1) return put_columns(l, r, op, s, parts);
	text t = { 0 };
	text_printf(&t, "(const __grid_constant__ og_step c)\n{\n\tconst float b[] = { %.9ef };\n",
	            norm ? (double)epsilon->f : 0.0);
	int wide = pack_of(node->in[0].dtype, s->n), most = wide == 1 ? KEPT_SINGLE : KEPT;
	int64_t packs = s->n / wide;
	int warps = packs <= 32 * most ? 1 : packs <= 256 * most ? 8 : 32;
	int64_t kept = (packs + 32 * warps - 1) / (32 * warps);
	text_printf(&t, "\togr_rows<%s, %s, %s, %s, %s, ogr_team<%d>, %d, ", op->formula, type,
	            norm ? cuda_type(node->in[SCALE].dtype) : type, norm ? scale : "OGR_ABSENT",
	            norm ? shift : "OGR_ABSENT",
	            warps, wide);
	CUDA_PUT(&t, "$, $, $, $, $>(c, b);\n}\n", kept <= most ? kept : 0, s->outer, s->n, of->plane, of->channels);
	return add(l, r, &t, warps == 1 ? (s->outer + 7) / 8 : s->outer, warps == 1 ? 8 : warps);
}

/* Of InstanceNormalization and GroupNormalization. */
static rows rows_by_channel(const backend_node *node)
{
	const og_tensor *x = &node->in[0];
	const og_attr_value *groups = cuda_attr(node, "num_groups");
	const int64_t plane = og_span(x, 2, x->rank), n = (groups ? x->dims[1] / groups->i : 1) * plane;
	const bool by_group = groups && node->op->since < 21;
	if (n == 0 || og_count(x) == 0) return (rows){ .plane = 1 };
	return (rows){ { og_count(x) / n, n, 1 }, by_group ? n : plane, by_group ? groups->i : x->dims[1] };
}

static og_status prepare_map(backend_kernel *out, const cuda_request *r, const row_op *op)
{
	const backend_node *node = r->node;
	const og_tensor *x = &node->in[0];
	const og_attr_value *axis = cuda_attr(node, "axis");
	og_call c = { .op = node->op, .attr = node->attr, .n_in = 1, .in = &x };
	int64_t parts = 0;
	cuda_launches *l;
	for (int k = 1; k < node->n_out; k++)
		if (node->out[k].dtype != OG_NONE) return OG_NO;
	rows of = { .plane = 1 };
	if (!axis) of = rows_by_channel(node);
	else of.s = cuda_attr(node, "epsilon") ? axis_tail(x, og_axis(axis->i, x->rank)) : axis_rows(&c, axis->i);
	if (of.s.n == 0) return OG_NO;
	TRY(cuda_launch_begin(&l, r));
	TRY(put_map(l, r, op, &of, &parts));
	finish(out, r, l, 8.0 * (double)og_count(x));
	out->workspace_bytes = (size_t)(parts * 2 * of.s.outer * of.s.inner) * sizeof(float);
	return OG_OK;
}

/* ---- reductions -------------------------------------------------------------------------------- */

/* The one axis that goes, joined of neighbours; false when those that go are not neighbours. */
static bool split_of(axis_split *s, const backend_node *node, const og_tensor *x, bool pools)
{
	const og_tensor *in[2] = { x, cuda_has(node, 1) ? &node->in[1] : NULL };
	og_call c = { .op = node->op, .attr = node->attr, .n_in = node->n_anchor_in, .in = in };
	reduce_layout layout;
	if (node->n_anchor_in > 2 || (in[1] && !in[1]->data) || og_count(x) == 0) return false;
	reduce_by_mask(&layout, x, pools ? reduce_spatial(&c) : reduce_mask(&c));
	if (layout.gone.rank > 1) return false;
	s->n = layout.gone.count;
	s->inner = layout.gone.rank ? layout.gone.step[0] : 1;
	s->outer = og_count(x) / s->n / s->inner;
	return true;
}

/* Parts that a reduction is cut into when there are few of them; their results lie in the workspace. */
static int64_t parts_of(int64_t blocks, int64_t work, bool whole)
{
	int64_t parts = whole || blocks >= FEW ? 1 : (2 * FEW + blocks - 1) / blocks;
	if (parts > work / LEAST_PART) parts = work / LEAST_PART;
	return parts < 1 ? 1 : parts;
}

static og_status put_reduction(cuda_launches *l, const cuda_request *r, const row_op *op, const axis_split *s,
                               int64_t *parts)
{
	const char *type = cuda_type(r->node->in[0].dtype), *made = cuda_type(r->node->out->dtype);
	bool whole = !strcmp(op->formula, "ogr_log_sum_exp");        /* its second reduction needs the first */
	text t = { 0 };
	text_add(&t, "(const __grid_constant__ og_step c)\n{\n");
	if (s->inner == 1) {
		int wide = pack_of(r->node->in[0].dtype, s->n), warps = s->n / wide <= 128 ? 1 : 8;
		*parts = parts_of(s->outer, s->n / wide, whole || warps == 1);
		text_printf(&t, "\togr_reduce<%s, %s, %s, ogr_team<%d>, %d, %lld, %lld, %lld>(c);\n}\n",
		            op->formula, type, made, warps, wide, (long long)*parts, (long long)s->outer, (long long)s->n);
		TRY(add(l, r, &t, warps == 1 ? (s->outer + 7) / 8 : s->outer * *parts, 8));
	} else {
		int wide = (int)(16 / og_dtype_bytes(r->node->in[0].dtype));
		while (s->inner % wide) wide /= 2;
		if (s->outer * ((s->inner / wide + 31) / 32) < FEW) wide = 1;        /* more blocks are worth more */
		int64_t blocks = s->outer * ((s->inner / wide + 31) / 32);
		*parts = parts_of(blocks, s->n * 8 * wide, whole);
		text_printf(&t, "\togr_reduce_columns<%s, %s, %s, %d, ", op->formula, type, made, wide);
		CUDA_PUT(&t, "$, $, $, $>(c);\n}\n", *parts, s->outer, s->n, s->inner);
		TRY(add(l, r, &t, blocks * *parts, 8));
	}
	if (*parts == 1) return OG_OK;
	text_printf(&t, "(const __grid_constant__ og_step c)\n{\n\togr_join<%s, %s, %lld, %lld, %lld>(c);\n}\n",
	            op->formula, made, (long long)*parts, (long long)(s->outer * s->inner), (long long)s->n);
	return add(l, r, &t, (s->outer * s->inner + 255) / 256, 8);
}

static og_status prepare_reduction(backend_kernel *out, const cuda_request *r, const row_op *op)
{
	const backend_node *node = r->node;
	bool pools = !strncmp(op->name, "Global", 6), last = pools && layout_of_input(node, 0) == LAYOUT_CHANNELS;
	axis_split s;
	cuda_launches *l;
	int64_t parts;
	if ((pools && node->in[0].rank < 3) || !split_of(&s, node, &node->in[0], pools)) return OG_NO;
	if (last) {
		og_tensor made;
		layout_dims(&made, node->out, LAYOUT_CHANNELS, CUDA_LANES);
		s = (axis_split){ node->in[0].dims[0], s.n, og_count(&made) / node->in[0].dims[0] };
	}
	TRY(cuda_launch_begin(&l, r));
	TRY(put_reduction(l, r, op, &s, &parts));
	finish(out, r, l, (double)og_count(&node->in[0]));
	if (parts > 1) out->workspace_bytes = (size_t)(parts * s.outer * s.inner) * sizeof(float);
	if (!last) return OG_OK;
	out->in_layout = layout_wanted(r->a, r->node, LAYOUT_CHANNELS, LAYOUT_PLAIN);
	out->out_layout = LAYOUT_CHANNELS;
	return out->in_layout ? OG_OK : base_no_memory();
}

og_status cuda_rows(backend_kernel *out, const cuda_request *r)
{
	const row_op *formula = find(maps, sizeof maps / sizeof *maps, r->node);
	const row_op *reduction = find(reductions, sizeof reductions / sizeof *reductions, r->node);
	if (!cuda_is_tactic(r, "rows") || r->node->tail) return OG_NO;
	return formula ? prepare_map(out, r, formula) : reduction ? prepare_reduction(out, r, reduction) : OG_NO;
}
