/* rows.cuh -- reductions along an axis, and formulas of what they come to; comes behind cuda/steps.cuh. x: [OUTER][N][INNER]. Sums in
 * float32. */

/* How a reduction goes on; MEAN is a sum that is divided at the end. */
enum { OGR_MAX, OGR_SUM, OGR_MEAN, OGR_MIN, OGR_PRODUCT };

OG_HERE float ogr_none(int fold) { return fold == OGR_MAX ? -V_INF : fold == OGR_MIN ? V_INF : fold == OGR_PRODUCT ? 1.0f : 0.0f; }
OG_HERE float ogr_two(int fold, float a, float b)
{
	return fold == OGR_MAX ? v_max(a, b) : fold == OGR_MIN ? v_min(a, b) : fold == OGR_PRODUCT ? a * b : a + b;
}
OG_HERE float ogr_end(int fold, float a, long long n) { return fold == OGR_MEAN ? a / (float)n : a; }
OG_HERE float ogr_warp(int fold, float a)
{
	#pragma unroll
	for (int lane = 16; lane > 0; lane /= 2) a = ogr_two(fold, a, __shfl_xor_sync(~0u, a, lane));
	return a;
}

/* The threads that share a row: a warp (of the eight in its block), or a block of so many. */
template<int WARPS> struct ogr_team {
	enum { size = 32 * WARPS, rows = WARPS == 1 ? 8 : 1 };
	OG_HERE int rank() { return WARPS == 1 ? threadIdx.x : threadIdx.y * 32 + threadIdx.x; }
	OG_HERE int row() { return WARPS == 1 ? threadIdx.y : 0; }
	OG_HERE float fold(int fold, float a)
	{
		__shared__ float part[32];
		a = ogr_warp(fold, a);
		if (WARPS == 1) return a;
		if (threadIdx.x == 0) part[threadIdx.y] = a;
		__syncthreads();
		a = ogr_warp(fold, threadIdx.x < WARPS ? part[threadIdx.x] : ogr_none(fold));
		__syncthreads();
		return a;
	}
};

/* ---- formulas --------------------------------------------------------------------------------- */

/* term(k, ...) is what reduction k takes of an element; last(...) the result, of the element x[0] and the other inputs' x[1], x[2]; of
 * one that only reduces x is NULL. b: attributes. */
#define OGR_FORMULA(name, n, first, second, a_term, a_last) \
	struct name { \
		enum { folds = n }; \
		OG_HERE int fold(int k) { return k == 0 ? first : second; } \
		OG_HERE float term(int k, float x, const float *r, const float *b) { (void)k, (void)r, (void)b; return a_term; } \
		OG_HERE float last(const float *x, const float *r, const float *b) { (void)x, (void)b; return a_last; } \
	};
#define OGR_SQUARE(x) ((x) * (x))
OGR_FORMULA(ogr_softmax, 2, OGR_MAX, OGR_SUM, k == 0 ? x : v_exp(x - r[0]), v_exp(x[0] - r[0]) / r[1])
OGR_FORMULA(ogr_log_softmax, 2, OGR_MAX, OGR_SUM, k == 0 ? x : v_exp(x - r[0]), x[0] - r[0] - v_log(r[1]))
OGR_FORMULA(ogr_layer_norm, 2, OGR_MEAN, OGR_MEAN, k == 0 ? x : OGR_SQUARE(x - r[0]), (x[0] - r[0]) * (1.0f / v_sqrt(r[1] + b[0])) * x[1] + x[2])
OGR_FORMULA(ogr_rms_norm, 1, OGR_MEAN, OGR_MEAN, x * x, x[0] * (1.0f / v_sqrt(r[0] + b[0])) * x[1])
OGR_FORMULA(ogr_sum, 1, OGR_SUM, OGR_SUM, x, r[0])
OGR_FORMULA(ogr_mean, 1, OGR_MEAN, OGR_MEAN, x, r[0])
OGR_FORMULA(ogr_max, 1, OGR_MAX, OGR_MAX, x, r[0])
OGR_FORMULA(ogr_min, 1, OGR_MIN, OGR_MIN, x, r[0])
OGR_FORMULA(ogr_product, 1, OGR_PRODUCT, OGR_PRODUCT, x, r[0])
OGR_FORMULA(ogr_l1, 1, OGR_SUM, OGR_SUM, v_abs(x), r[0])
OGR_FORMULA(ogr_l2, 1, OGR_SUM, OGR_SUM, x * x, v_sqrt(r[0]))
OGR_FORMULA(ogr_sum_square, 1, OGR_SUM, OGR_SUM, x * x, r[0])
OGR_FORMULA(ogr_log_sum, 1, OGR_SUM, OGR_SUM, x, v_log(r[0]))
/* where x is the greatest the difference may be that of infinities */
OGR_FORMULA(ogr_log_sum_exp, 2, OGR_MAX, OGR_SUM, k == 0 ? x : x == r[0] ? 1.0f : v_exp(x - r[0]), r[0] + v_log(r[1]))

/* ---- formulas over rows ----------------------------------------------------------------------- */

/* V elements as float, whatever their width. */
template<class W, int V> OG_HERE void ogr_get(float (&to)[V], const W *p)
{
	const int AT_ONCE = sizeof(W) * V > 16 ? 16 / sizeof(W) : V;
	#pragma unroll
	for (int i = 0; i < V; i += AT_ONCE) {
		const og_pack<W, AT_ONCE> in = og_read<W, AT_ONCE>(p + i);
		#pragma unroll
		for (int e = 0; e < AT_ONCE; e++) to[i + e] = og_value(in.e[e]);
	}
}

/* How input k > 0 goes along: it is left out, has one element, or one for each place. */
enum { OGR_ABSENT, OGR_ONE, OGR_EACH };
template<class W, int HOW, int V> OG_HERE void ogr_other(float (&to)[V], const void *p, long long at, float absent)
{
	if (HOW == OGR_EACH) return ogr_get<W, V>(to, (const W *)p + at);
	const float one = HOW == OGR_ONE ? og_value(*(const W *)p) : absent;
	#pragma unroll
	for (int e = 0; e < V; e++) to[e] = one;
}

template<class F, class T, class W, int SCALE, int SHIFT, int V>
OG_HERE void ogr_last(const og_step &c, T *y, const og_pack<T, V> &x, long long at, const float *r, const float *b)
{
	float scale[V], shift[V];
	og_pack<T, V> made;
	ogr_other<W, SCALE, V>(scale, c.in[1], at, 1.0f);
	ogr_other<W, SHIFT, V>(shift, c.in[2], at, 0.0f);
	#pragma unroll
	for (int e = 0; e < V; e++) {
		const float in[] = { og_value(x.e[e]), scale[e], shift[e] };
		made.e[e] = og_make<T>(F::last(in, r, b));
	}
	og_write<T, V>(y + at, made);
}

/* Rows of whole packs of V. PACKS: so many of a thread stay in registers; 0: rows are longer than that, and read once for each pass. */
template<class F, class T, class W, int SCALE, int SHIFT, class Team, int V, int PACKS, long long OUTER, long long N>
OG_HERE void ogr_rows(const og_step &c, const float *b)
{
	const int KEPT = PACKS ? PACKS : 1;
	for (long long row = (long long)blockIdx.x * Team::rows + Team::row(); row < OUTER; row += (long long)gridDim.x * Team::rows) {
		const T *x = (const T *)c.in[0] + row * N;
		T *y = (T *)c.out[0] + row * N;
		og_pack<T, V> kept[KEPT];
		float r[2];
		#pragma unroll
		for (int p = 0; p < PACKS; p++)
			if (p * Team::size + Team::rank() < N / V) kept[p] = og_read<T, V>(x + (p * Team::size + Team::rank()) * V);
		#pragma unroll
		for (int k = 0; k < F::folds; k++) {
			float sum = ogr_none(F::fold(k));
			#pragma unroll
			for (int p = 0; p < PACKS; p++)
				if (p * Team::size + Team::rank() < N / V)
					#pragma unroll
					for (int e = 0; e < V; e++) sum = ogr_two(F::fold(k), sum, F::term(k, og_value(kept[p].e[e]), r, b));
			#pragma unroll 4
			for (long long at = Team::rank(); PACKS == 0 && at < N / V; at += Team::size) {
				const og_pack<T, V> in = og_read<T, V>(x + at * V);
				#pragma unroll
				for (int e = 0; e < V; e++) sum = ogr_two(F::fold(k), sum, F::term(k, og_value(in.e[e]), r, b));
			}
			r[k] = ogr_end(F::fold(k), Team::fold(F::fold(k), sum), N);
		}
		#pragma unroll
		for (int p = 0; p < PACKS; p++)
			if (p * Team::size + Team::rank() < N / V)
				ogr_last<F, T, W, SCALE, SHIFT, V>(c, y, kept[p], (p * Team::size + Team::rank()) * V, r, b);
		#pragma unroll 2
		for (long long at = Team::rank(); PACKS == 0 && at < N / V; at += Team::size)
			ogr_last<F, T, W, SCALE, SHIFT, V>(c, y, og_read<T, V>(x + at * V), at * V, r, b);
	}
}

/* What the threads of a block that have the same column have made of it, in each of them. */
OG_HERE float ogr_column(int fold, float a)
{
	__shared__ float part[8][32];
	part[threadIdx.y][threadIdx.x] = a;
	__syncthreads();
	a = part[0][threadIdx.x];
	#pragma unroll
	for (int k = 1; k < 8; k++) a = ogr_two(fold, a, part[k][threadIdx.x]);
	__syncthreads();
	return a;
}

/* The axis is not the last: 32 neighbouring columns a block of 32 x 8. */
template<class F, class T, long long OUTER, long long N, long long INNER> OG_HERE void ogr_columns(const og_step &c, const float *b)
{
	const long long strips = (INNER + 31) / 32;
	for (long long item = blockIdx.x; item < OUTER * strips; item += gridDim.x) {
		const long long column = item % strips * 32 + threadIdx.x, at = item / strips * N * INNER + column;
		const bool inside = column < INNER;
		const T *x = (const T *)c.in[0] + at;
		float r[2];
		#pragma unroll
		for (int k = 0; k < F::folds; k++) {
			float sum = ogr_none(F::fold(k));
			#pragma unroll 4
			for (long long i = threadIdx.y; inside && i < N; i += 8) sum = ogr_two(F::fold(k), sum, F::term(k, og_value(x[i * INNER]), r, b));
			r[k] = ogr_end(F::fold(k), ogr_column(F::fold(k), sum), N);
		}
		#pragma unroll 4
		for (long long i = threadIdx.y; inside && i < N; i += 8) {
			const float in = og_value(x[i * INNER]);
			((T *)c.out[0])[at + i * INNER] = og_make<T>(F::last(&in, r, b));
		}
	}
}

/* ---- reductions ------------------------------------------------------------------------------- */

/* A result: as it is to be, or (SPLIT > 1) what part number `part` comes to, for ogr_join. */
template<class F, class U, int SPLIT, long long COUNT, long long N> OG_HERE void ogr_keep(const og_step &c, float *r, long long at, long long part)
{
	if (SPLIT > 1) {
		((float *)c.workspace)[part * COUNT + at] = r[0];
		return;
	}
	r[F::folds - 1] = ogr_end(F::fold(F::folds - 1), r[F::folds - 1], N);
	((U *)c.out[0])[at] = og_make<U>(F::last(NULL, r, NULL));
}

template<class F, class T, class U, class Team, int V, int SPLIT, long long OUTER, long long N> OG_HERE void ogr_reduce(const og_step &c)
{
	const long long each = (N / V + SPLIT - 1) / SPLIT;
	for (long long item = (long long)blockIdx.x * Team::rows + Team::row(); item < OUTER * SPLIT; item += (long long)gridDim.x * Team::rows) {
		const long long row = item / SPLIT, from = item % SPLIT * each, to = from + each < N / V ? from + each : N / V;
		const T *x = (const T *)c.in[0] + row * N;
		float r[2];
		#pragma unroll
		for (int k = 0; k < F::folds; k++) {
			float sum = ogr_none(F::fold(k));
			#pragma unroll 4
			for (long long at = from + Team::rank(); at < to; at += Team::size) {
				const og_pack<T, V> in = og_read<T, V>(x + at * V);
				#pragma unroll
				for (int e = 0; e < V; e++) sum = ogr_two(F::fold(k), sum, F::term(k, og_value(in.e[e]), r, NULL));
			}
			r[k] = Team::fold(F::fold(k), sum);
		}
		if (Team::rank() == 0) ogr_keep<F, U, SPLIT, OUTER, N>(c, r, row, item % SPLIT);
	}
}

template<class F, class T, class U, int SPLIT, long long OUTER, long long N, long long INNER> OG_HERE void ogr_reduce_columns(const og_step &c)
{
	const long long strips = (INNER + 31) / 32, each = (N + SPLIT - 1) / SPLIT;
	for (long long item = blockIdx.x; item < OUTER * strips * SPLIT; item += gridDim.x) {
		const long long column = item % strips * 32 + threadIdx.x, part = item / strips % SPLIT, o = item / strips / SPLIT;
		const long long from = part * each, to = from + each < N ? from + each : N;
		const bool inside = column < INNER;
		const T *x = (const T *)c.in[0] + o * N * INNER + column;
		float r[2];
		#pragma unroll
		for (int k = 0; k < F::folds; k++) {
			float sum = ogr_none(F::fold(k));
			#pragma unroll 4
			for (long long i = from + threadIdx.y; inside && i < to; i += 8)
				sum = ogr_two(F::fold(k), sum, F::term(k, og_value(x[i * INNER]), r, NULL));
			r[k] = ogr_column(F::fold(k), sum);
		}
		if (inside && threadIdx.y == 0) ogr_keep<F, U, SPLIT, OUTER * INNER, N>(c, r, o * INNER + column, part);
	}
}

/* Joins the parts of each result. */
template<class F, class U, int SPLIT, long long COUNT, long long N> OG_HERE void ogr_join(const og_step &c)
{
	for (long long at = og_first(); at < COUNT; at += og_stride()) {
		float r = ogr_none(F::fold(0));
		for (int part = 0; part < SPLIT; part++) r = ogr_two(F::fold(0), r, ((const float *)c.workspace)[part * COUNT + at]);
		ogr_keep<F, U, 1, COUNT, N>(c, &r, at, 0);
	}
}
