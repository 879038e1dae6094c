/* opgraft/rows.h -- row-wise ops: reduce along an axis, then map. opgraft/op.h includes it.
 *
 *   EXPR v warm_softmax_1(v x, float t) { return x; }
 *   EXPR v warm_softmax_2(v x, v peak, float t) { return v_exp((x - peak) / t); }
 *   EXPR v warm_softmax(v x, v peak, v sum, float t) { return v_exp((x - peak) / t) / sum; }
 *   ROWS(warm_softmax, 1, 1, MAX, SUM)             inputs, attributes, what becomes of _1 and of _2
 *   OP(warm_softmax, .name = "WarmSoftmax", .domain = OG_DOMAIN, .since = 1, .inputs = "x:T", .outputs = "y:T",
 *      .types = "T=f32 f16 bf16 f64", ATTRS(OG_FLOAT("t", 1.0), OG_INT("axis", -1)), BY_ROWS(warm_softmax))
 *
 * There are one or two reductions, MAX (a NaN wins), SUM or MEAN, of a formula of x, earlier reductions and attributes; then the
 * formula of x, the other inputs, the reductions and the attributes. Input 0 is reduced along the attribute `axis`, which is
 * declared right behind those that formulas take. The other inputs (weight, bias; at most two; optional with a "=value") have one
 * element, or one for each place along the axis. The output has the shape of input 0.
 *
 * Sums: element i of a row is added to lane i % 32, in order, and then lane k + 16 to lane k, k + 8, ... k + 1, in float32. So a
 * result depends neither on the CPU's level nor on threads or the axis. The ref view sums in order in double. Kernels on a device
 * sum in an order of their own. */
#ifndef OPGRAFT_ROWS_H
#define OPGRAFT_ROWS_H

enum { OG_FOLD_MAX, OG_FOLD_SUM, OG_FOLD_MEAN, OG_ROW_LANES = 32 };
enum { OG_ROW_IN = 3, OG_ROW_FOLDS = 2 };

#define OG_FOLD_1(a) OG_FOLD_##a
#define OG_FOLD_2(a, b) OG_FOLD_##a, OG_FOLD_##b
#define OG_FOLDS_(a, b, n, ...) n
#define OG_FOLDS(...) OG_FOLDS_(__VA_ARGS__, 2, 1, 0)
#define OG_JOIN_(a, b) a##b
#define OG_JOIN(a, b) OG_JOIN_(a, b)
#define OG_FOLDED_1 , r[0]
#define OG_FOLDED_2 , r[0], r[1]
#define OG_ROW_X(k) x[k]

/* f_term(k, ...) is what reduction k takes of an element; f_last(...) the result. */
#define OG_TERM_1(f, nattr) (void)k; (void)r; return f##_1(x OG_AT_##nattr);
#define OG_TERM_2(f, nattr) if (k == 0) return f##_1(x OG_AT_##nattr); return f##_2(x, r[0] OG_AT_##nattr);
#define OG_ROW_FORMULAS(HOW, f, nin, nattr, n) \
	HOW v f##_term(int k, v x, const v *r, const float *b) { (void)b; OG_TERM_##n(f, nattr) } \
	HOW v f##_last(const v *x, const v *r, const float *b) \
	{ (void)b; return f(OG_IN_##nin(OG_ROW_X) OG_FOLDED_##n OG_AT_##nattr); }

#if OP_BASE || OP_CPU || OP_REF
/* Element (o, i, k) of input 0 lies at (o * n + i) * inner + k; the rows are those of i. */
typedef struct og_rows {
	int64_t outer, n, inner;
	const og_tensor *in[OG_ROW_IN], *y;
	double value[OG_ROW_IN];                     /* of inputs that are absent */
	int step[OG_ROW_IN];                         /* 1: one for each place along the axis */
	float attr[OG_MAX_MAP_ATTRS];
} og_rows;

/* What stands behind '=' in the declaration of input k; 0 where nothing does. */
OG_INLINE double og_rows_default(const og_op *op, int k)
{
	const char *s = op->inputs;
	for (; k > 0 && s; k--) s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL;
	for (; s && *s && *s != ','; s++)
		if (*s == '=') return strtod(s + 1, NULL);
	return 0.0;
}

OG_INLINE og_rows og_rows_make(const og_call *c, int nin, int nattr)
{
	const og_tensor *x = c->in[0];
	int axis = og_axis(c->attr[nattr].i, x->rank);
	og_rows t = { .outer = 1, .n = 1, .inner = 1, .y = c->out[0] };
	if (axis >= 0) {
		t.outer = og_span(x, 0, axis);
		t.n = x->dims[axis];
		t.inner = og_span(x, axis + 1, x->rank);
	}
	for (int k = 0; k < nin; k++) {
		t.in[k] = k < c->n_in ? c->in[k] : NULL;
		if (t.in[k]) t.step[k] = og_count(t.in[k]) != 1;
		else t.value[k] = og_rows_default(c->op, k);
	}
	for (int k = 0; k < nattr; k++) t.attr[k] = c->attr[k].f;
	return t;
}
#endif

#if OP_BASE
/* The output has the shape of input 0; the other inputs have one element or one for each along the axis. */
OG_INLINE og_status og_rows_shape(og_infer *c, int nattr)
{
	const og_shape *x = &c->in[0];
	int axis;
	if (x->rank < 0) return OG_OK;
	axis = x->rank ? og_axis(c->attr[nattr].i, x->rank) : 0;
	if (axis < 0) return (c->host->fail)(OG_BAD_FILE, "the axis is %lld, but input 0 has %d dimensions; choose one of them",
	                                   (long long)c->attr[nattr].i, x->rank);
	c->out[0].rank = x->rank;
	for (int d = 0; d < x->rank; d++) c->out[0].dims[d] = x->dims[d];
	for (int k = 1; k < c->n_in; k++) {
		og_dim n = x->rank ? x->dims[axis] : 1;
		int wide = 0;
		for (int d = 0; d < c->in[k].rank; d++) {
			og_dim m = c->in[k].dims[d];
			if (m == 1 || m < 0) continue;
			if (wide++ || (n >= 0 && m != n))
				return (c->host->fail)(OG_BAD_FILE, "input %d must have one element or as many as input 0 has along axis %d, "
				                     "but its dimension %d is %lld; correct the model", k, axis, d, (long long)m);
		}
	}
	return OG_OK;
}

/* Kernels in this order: a row a warp, a row a block, and neighbouring columns when the axis is not the last. */
OG_INLINE og_status og_rows_grid(const og_call *c, int nattr, int tactic, og_grid *g)
{
	enum { WARP, BLOCK, COLUMNS, WARPS = 8, SHORT = 256, LONG = 4096, MOST = 1 << 20 };
	og_rows t = og_rows_make(c, 1, nattr);
	int64_t blocks = tactic == WARP ? (t.outer + WARPS - 1) / WARPS
	               : tactic == BLOCK ? t.outer : t.outer * ((t.inner + 31) / 32);
	if (tactic == COLUMNS ? t.inner == 1 : t.inner != 1) return OG_NO;
	if ((tactic == WARP && t.n > LONG) || (tactic == BLOCK && t.n <= SHORT)) return OG_NO;
	*g = (og_grid){ .blocks = { (uint32_t)(t.n == 0 ? 0 : blocks < MOST ? blocks : MOST), 1, 1 }, .threads = { 32, WARPS, 1 } };
	return OG_OK;
}

#define ROWS(f, nin, nattr, ...) \
	og_eval_fn op_##f##_scalar, op_##f##_avx2, op_##f##_avx512, op_##f##_ref; \
	static og_status op_##f##_shape(og_infer *c) { return og_rows_shape(c, nattr); } \
	static og_status op_##f##_grid(const og_call *c, int tactic, og_grid *g) { return og_rows_grid(c, nattr, tactic, g); }
#define BY_ROWS(f) .shape = op_##f##_shape, .eval = op_##f##_ref, CPU(f), \
	.device = #f "_warp|" #f "_block|" #f "_columns", .grid = op_##f##_grid

#elif OP_REF
/* ---- by definition ---------------------------------------------------------------------------- */

typedef double og_term_fn(int k, double x, const double *r, const float *b);
typedef double og_last_fn(const double *x, const double *r, const float *b);
typedef struct og_rows_ref { og_rows t; int nin, folds, fold[OG_ROW_FOLDS]; og_term_fn *term; og_last_fn *last; } og_rows_ref;

OG_INLINE double og_rows_get(const og_tensor *t, int64_t i)
{
	switch (t->dtype) {
	case OG_F16: return (double)og_half_to_float(((const uint16_t *)t->data)[i]);
	case OG_BF16: return (double)og_bfloat_to_float(((const uint16_t *)t->data)[i]);
	case OG_F64: return ((const double *)t->data)[i];
	default: return (double)((const float *)t->data)[i];
	}
}

OG_INLINE void og_rows_put(const og_tensor *t, int64_t i, double x)
{
	switch (t->dtype) {
	case OG_F16: ((uint16_t *)t->data)[i] = og_float_to_half((float)x); return;
	case OG_BF16: ((uint16_t *)t->data)[i] = og_float_to_bfloat((float)x); return;
	case OG_F64: ((double *)t->data)[i] = x; return;
	default: ((float *)t->data)[i] = (float)x;
	}
}

/* item: one row */
OG_INLINE void og_rows_define(void *arg, int64_t begin, int64_t end)
{
	const og_rows_ref *f = (const og_rows_ref *)arg;
	const og_rows *t = &f->t;
	for (int64_t item = begin; item < end; item++) {
		int64_t at = item / t->inner * t->n * t->inner + item % t->inner;
		double r[OG_ROW_FOLDS] = { 0 }, x[OG_ROW_IN];
		for (int k = 0; k < f->folds; k++) {
			double sum = f->fold[k] == OG_FOLD_MAX ? -HUGE_VAL : 0.0;
			for (int64_t i = 0; i < t->n; i++) {
				double term = f->term(k, og_rows_get(t->in[0], at + i * t->inner), r, t->attr);
				sum = f->fold[k] == OG_FOLD_MAX ? v_max(sum, term) : sum + term;
			}
			r[k] = f->fold[k] == OG_FOLD_MEAN ? sum / (double)t->n : sum;
		}
		for (int64_t i = 0; i < t->n; i++) {
			x[0] = og_rows_get(t->in[0], at + i * t->inner);
			for (int k = 1; k < f->nin; k++)
				x[k] = t->in[k] ? og_rows_get(t->in[k], i * t->step[k]) : t->value[k];
			og_rows_put(t->y, at + i * t->inner, f->last(x, r, t->attr));
		}
	}
}

#define ROWS(f, nin, nattr, ...) \
	OG_ROWS_REF(f, nin, nattr, OG_FOLDS(__VA_ARGS__), (OG_JOIN(OG_FOLD_, OG_FOLDS(__VA_ARGS__))(__VA_ARGS__)))
#define OG_ROWS_REF(f, nin, nattr, count, folds) OG_ROWS_REF_(f, nin, nattr, count, folds)
#define OG_LIST(...) { __VA_ARGS__ }
#define OG_ROWS_REF_(f, nin, nattr, count, folds) \
	OG_ROW_FORMULAS(static, f, nin, nattr, count) \
	og_status OG_VIEW(f)(const og_call *c); \
	og_status OG_VIEW(f)(const og_call *c) \
	{ \
		og_rows_ref rows = { og_rows_make(c, nin, nattr), nin, count, OG_LIST folds, f##_term, f##_last }; \
		if (rows.t.n > 0) c->host->parallel(c, rows.t.outer * rows.t.inner, 1, og_rows_define, &rows); \
		return OG_OK; \
	}

#elif OP_CPU
/* ---- float32 kernels -------------------------------------------------------------------------- */

typedef v og_term_fn(int k, v x, const v *r, const float *b);
typedef v og_last_fn(const v *x, const v *r, const float *b);
enum { OG_ROW_VECTORS = OG_ROW_LANES / OG_LANES };

EXPR v og_fold_two(int fold, v a, v b) { return fold == OG_FOLD_MAX ? v_max(a, b) : a + b; }

/* a in its first n lanes, b in the others */
EXPR v og_lanes_of(v a, v b, size_t n)
{
	float to[OG_LANES], from[OG_LANES];
	v_store((og_real *)to, b);
	v_store((og_real *)from, a);
	memcpy(to, from, n * sizeof *to);
	return v_load(to);
}

/* Reduction k of n contiguous elements, in every lane. */
EXPR v og_rows_fold(og_term_fn *term, int k, int fold, const float *x, int64_t n, const v *r, const float *b)
{
	v sum[OG_ROW_VECTORS];
	float lane[OG_LANES];
	int64_t i = 0;
	for (int w = 0; w < OG_ROW_VECTORS; w++) sum[w] = v_splat(fold == OG_FOLD_MAX ? -HUGE_VALF : 0.0f);
	for (; i + OG_ROW_LANES <= n; i += OG_ROW_LANES)
		for (int w = 0; w < OG_ROW_VECTORS; w++)
			sum[w] = og_fold_two(fold, sum[w], term(k, v_load(x + i + w * OG_LANES), r, b));
	for (int w = 0; w < OG_ROW_VECTORS && i < n; w++, i += OG_LANES) {
		size_t left = n - i < OG_LANES ? (size_t)(n - i) : OG_LANES;
		sum[w] = og_lanes_of(og_fold_two(fold, sum[w], term(k, v_load_n(x + i, left), r, b)), sum[w], left);
	}
	for (int half = OG_ROW_VECTORS / 2; half > 0; half /= 2)
		for (int w = 0; w < half; w++) sum[w] = og_fold_two(fold, sum[w], sum[w + half]);
	v_store(lane, sum[0]);
	for (int half = OG_LANES / 2; half > 0; half /= 2)
		for (int j = 0; j < half; j++)
			lane[j] = fold == OG_FOLD_MAX ? (lane[j] > lane[j + half] || lane[j] != lane[j] ? lane[j] : lane[j + half])
			                              : lane[j] + lane[j + half];
	return v_splat(fold == OG_FOLD_MEAN ? lane[0] / (float)n : lane[0]);
}

/* items [begin, end): rows of contiguous elements */
EXPR void og_rows_by_row(const og_rows *t, int64_t begin, int64_t end, int nin, int folds, const int *fold, og_term_fn *term,
                         og_last_fn *last)
{
	const og_real *w[OG_ROW_IN] = { NULL };
	for (int k = 1; k < nin; k++) w[k] = t->in[k] ? (const og_real *)t->in[k]->data : NULL;
	for (int64_t item = begin; item < end; item++) {
		const og_real *x = (const og_real *)t->in[0]->data + item * t->n;
		og_real *y = (og_real *)t->y->data + item * t->n;
		v r[OG_ROW_FOLDS], in[OG_ROW_IN];
		for (int k = 0; k < folds; k++) r[k] = og_rows_fold(term, k, fold[k], x, t->n, r, t->attr);
		for (int k = 1; k < nin; k++) in[k] = v_splat(w[k] ? *w[k] : (float)t->value[k]);
		for (int64_t i = 0; i < t->n; i += OG_LANES) {
			size_t left = t->n - i < OG_LANES ? (size_t)(t->n - i) : OG_LANES;
			in[0] = left == OG_LANES ? v_load(x + i) : v_load_n(x + i, left);
			for (int k = 1; k < nin; k++)
				if (t->step[k]) in[k] = left == OG_LANES ? v_load(w[k] + i) : v_load_n(w[k] + i, left);
			if (left == OG_LANES) v_store(y + i, last(in, r, t->attr));
			else v_store_n(y + i, last(in, r, t->attr), left);
		}
	}
}

/* items [begin, end): OG_LANES neighbouring columns, of rows that are not contiguous */
EXPR void og_rows_by_column(const og_rows *t, int64_t begin, int64_t end, int nin, int folds, const int *fold, og_term_fn *term,
                            og_last_fn *last)
{
	int64_t strips = (t->inner + OG_LANES - 1) / OG_LANES;
	for (int64_t item = begin; item < end; item++) {
		int64_t column = item % strips * OG_LANES, at = item / strips * t->n * t->inner + column;
		const og_real *x = (const og_real *)t->in[0]->data + at;
		og_real *y = (og_real *)t->y->data + at;
		size_t left = t->inner - column < OG_LANES ? (size_t)(t->inner - column) : OG_LANES;
		v r[OG_ROW_FOLDS], in[OG_ROW_IN], sum[OG_ROW_LANES];
		for (int k = 0; k < folds; k++) {
			for (int j = 0; j < OG_ROW_LANES; j++) sum[j] = v_splat(fold[k] == OG_FOLD_MAX ? -HUGE_VALF : 0.0f);
			for (int64_t i = 0; i < t->n; i++)
				sum[i % OG_ROW_LANES] = og_fold_two(fold[k], sum[i % OG_ROW_LANES],
				                                    term(k, v_load_n(x + i * t->inner, left), r, t->attr));
			for (int half = OG_ROW_LANES / 2; half > 0; half /= 2)
				for (int j = 0; j < half; j++) sum[j] = og_fold_two(fold[k], sum[j], sum[j + half]);
			r[k] = fold[k] == OG_FOLD_MEAN ? sum[0] / (float)t->n : sum[0];
		}
		for (int64_t i = 0; i < t->n; i++) {
			in[0] = v_load_n(x + i * t->inner, left);
			for (int k = 1; k < nin; k++)
				in[k] = v_splat(t->in[k] ? ((const og_real *)t->in[k]->data)[i * t->step[k]] : (float)t->value[k]);
			v_store_n(y + i * t->inner, last(in, r, t->attr), left);
		}
	}
}

#define ROWS(f, nin, nattr, ...) \
	OG_ROWS_CPU(f, nin, nattr, OG_FOLDS(__VA_ARGS__), (OG_JOIN(OG_FOLD_, OG_FOLDS(__VA_ARGS__))(__VA_ARGS__)))
#define OG_ROWS_CPU(f, nin, nattr, count, folds) OG_ROWS_CPU_(f, nin, nattr, count, folds)
#define OG_LIST(...) { __VA_ARGS__ }
#define OG_ROWS_CPU_(f, nin, nattr, count, folds) \
	OG_ROW_FORMULAS(EXPR, f, nin, nattr, count) \
	static void f##_items(void *arg, int64_t begin, int64_t end) \
	{ \
		const og_rows *t = (const og_rows *)arg; \
		const int fold[] = OG_LIST folds; \
		if (t->inner == 1) og_rows_by_row(t, begin, end, nin, count, fold, f##_term, f##_last); \
		else og_rows_by_column(t, begin, end, nin, count, fold, f##_term, f##_last); \
	} \
	og_status OG_VIEW(f)(const og_call *c); \
	og_status OG_VIEW(f)(const og_call *c) \
	{ \
		og_rows rows = og_rows_make(c, nin, nattr); \
		int64_t width = rows.inner == 1 ? 1 : OG_LANES, items = rows.outer * ((rows.inner + width - 1) / width); \
		if (rows.n > 0 && items > 0) \
			c->host->parallel(c, items, 1 + (1 << 14) / (rows.n * width), f##_items, &rows); \
		return OG_OK; \
	}
#endif
#endif
