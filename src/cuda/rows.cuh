/* rows.cuh -- reductions along an axis, and formulas of what they come to; comes behind cuda/steps.cuh. x: [OUTER][N][INNER]. Sums in
 * float32. */

/* How a reduction goes on; MEAN is a sum that is divided at the end. */
enum { OGR_MAX, OGR_SUM, OGR_MEAN, OGR_MIN, OGR_PRODUCT };

OG_HERE float ogr_none(int fold) { return fold == OGR_MAX ? -V_INF : fold == OGR_MIN ? V_INF : fold == OGR_PRODUCT ? 1.0f : 0.0f; }
OG_HERE float ogr_greater(float a, float b)
{
#if __CUDA_ARCH__ >= 800
	asm("max.NaN.f32 %0, %0, %1;" : "+f"(a) : "f"(b));
	return a;
#else
	return v_max(a, b);
#endif
}
OG_HERE float ogr_two(int fold, float a, float b)
{
	return fold == OGR_MAX ? ogr_greater(a, b) : fold == OGR_MIN ? v_min(a, b) : fold == OGR_PRODUCT ? a * b : a + b;
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
 * one that only reduces x is NULL. b: attributes. OGR_PEAKS: the
 * reductions are the peak and the sum of exp(x - peak), which one pass can make; OGR_KEEPS: besides, the result can be made of the last
 * term, which stays in the register where the element was when that is a float32. */
enum { OGR_PLAIN, OGR_PEAKS, OGR_KEEPS };
#define OGR_FORMULA(name, n, first, second, a_term, a_last) OGR_WAY(name, n, first, second, a_term, a_last, a_last, OGR_PLAIN)
#define OGR_WAY(name, n, first, second, a_term, a_last, of_term, way) \
	struct name { \
		enum { folds = n, peaks = way != OGR_PLAIN, keeps = way == OGR_KEEPS }; \
		OG_HERE float last_of_term(const float *x, const float *r, const float *b) { (void)x, (void)b; return of_term; } \
		OG_HERE int fold(int k) { return k == 0 ? first : second; } \
		OG_HERE float term(int k, float x, const float *r, const float *b) { (void)k, (void)r, (void)b; return a_term; } \
		OG_HERE float last(const float *x, const float *r, const float *b) { (void)x, (void)b; return a_last; } \
	};
#define OGR_SQUARE(x) ((x) * (x))
/* exp(x) for x <= 0; less than 2^-126 is 0. */
#ifdef v_exp
OG_HERE float ogr_exp(float x) { return v_exp(x); }
#else
OG_HERE float ogr_exp(float x)
{
	float n;
	const float p = v_exp_parts(v_greater(-87.3f, x), &n);
	return x < -87.3f ? 0.0f : p * v_pow2(v_bits(n));
}
#endif
OGR_WAY(ogr_softmax, 2, OGR_MAX, OGR_SUM, k == 0 ? x : ogr_exp(x - r[0]), ogr_exp(x[0] - r[0]) * (1.0f / r[1]), x[0] * (1.0f / r[1]), OGR_KEEPS)
OGR_WAY(ogr_log_softmax, 2, OGR_MAX, OGR_SUM, k == 0 ? x : ogr_exp(x - r[0]), x[0] - r[0] - v_log(r[1]), 0.0f, OGR_PEAKS)
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

/* How input k > 0 goes along: it is left out, has one element, one for each place, or one for each channel: PLANE elements in a row have
 * the same, and there are CHANNELS of them. at: in the row; all: in the tensor. */
enum { OGR_ABSENT, OGR_ONE, OGR_EACH, OGR_CHANNEL };
template<class W, int HOW, int V, long long PLANE, long long CHANNELS>
OG_HERE void ogr_other(float (&to)[V], const void *p, long long at, long long all, float absent)
{
	if (HOW == OGR_EACH) return ogr_get<W, V>(to, (const W *)p + at);
	if (HOW == OGR_CHANNEL) {
		#pragma unroll
		for (int e = 0; e < V; e++) to[e] = og_value(((const W *)p)[(PLANE % V ? all + e : all) / PLANE % CHANNELS]);
		return;
	}
	const float one = HOW == OGR_ONE ? og_value(*(const W *)p) : absent;
	#pragma unroll
	for (int e = 0; e < V; e++) to[e] = one;
}

template<class F, class T, class W, int SCALE, int SHIFT, long long PLANE, long long CHANNELS, int V, bool OF_TERM>
OG_HERE void ogr_last(const og_step &c, T *y, const og_pack<T, V> &x, long long at, const float *r, const float *b)
{
	float scale[V], shift[V];
	og_pack<T, V> made;
	const long long all = y - (T *)c.out[0] + at;
	ogr_other<W, SCALE, V, PLANE, CHANNELS>(scale, c.in[1], at, all, 1.0f);
	ogr_other<W, SHIFT, V, PLANE, CHANNELS>(shift, c.in[2], at, all, 0.0f);
	#pragma unroll
	for (int e = 0; e < V; e++) {
		const float in[] = { og_value(x.e[e]), scale[e], shift[e] };
		made.e[e] = og_make<T>(OF_TERM ? F::last_of_term(in, r, b) : F::last(in, r, b));
	}
	og_write<T, V>(y + at, made);
}

/* The greatest of some elements, and the sum of exp(x - peak), as more come. */
struct ogr_peak { float peak, sum; };
OG_HERE float ogr_scale(float from, float to) { return from == to ? 1.0f : ogr_exp(from - to); }
template<int N> OG_HERE void ogr_take(ogr_peak &p, const float (&x)[N])
{
	float peak = p.peak;
	#pragma unroll
	for (int i = 0; i < N; i++) peak = ogr_greater(peak, x[i]);
	const float from = peak == -V_INF ? 0.0f : peak;
	p.sum *= ogr_scale(p.peak, peak);
	p.peak = peak;
	#pragma unroll
	for (int i = 0; i < N; i++) p.sum += ogr_exp(x[i] - from);
}

/* r[0]: the peak of a row of packs, r[1]: its sum; reads the row once. */
template<class T, int V, class Team> OG_HERE void ogr_peak_and_sum(float *r, const T *x, long long packs)
{
	ogr_peak p = { -V_INF, 0.0f };
	#pragma unroll 4
	for (long long at = Team::rank(); at < packs; at += Team::size) {
		float in[V];
		ogr_get<T, V>(in, x + at * V);
		ogr_take<V>(p, in);
	}
	r[0] = Team::fold(OGR_MAX, p.peak);
	r[1] = Team::fold(OGR_SUM, p.sum * ogr_scale(p.peak, r[0]));
}

/* Rows of whole packs of V. PACKS: so many of a thread stay in registers; 0: rows are longer than that, and read once for each pass. */
template<class F, class T, class W, int SCALE, int SHIFT, class Team, int V, int PACKS, long long OUTER, long long N, long long PLANE = 1, long long CHANNELS = 1>
OG_HERE void ogr_rows(const og_step &c, const float *b)
{
	const int KEPT = PACKS ? PACKS : 1;
	const bool OF_TERM = PACKS && F::keeps && sizeof(T) == sizeof(float);
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
					for (int e = 0; e < V; e++) {
						const float term = F::term(k, og_value(kept[p].e[e]), r, b);
						sum = ogr_two(F::fold(k), sum, term);
						if (OF_TERM && k == F::folds - 1) kept[p].e[e] = og_make<T>(term);
					}
			if (PACKS == 0 && F::peaks) {
				if (k == 0) ogr_peak_and_sum<T, V, Team>(r, x, N / V);
				continue;
			}
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
				ogr_last<F, T, W, SCALE, SHIFT, PLANE, CHANNELS, V, OF_TERM>(c, y, kept[p], (p * Team::size + Team::rank()) * V, r, b);
		#pragma unroll 2
		for (long long at = Team::rank(); PACKS == 0 && at < N / V; at += Team::size)
			ogr_last<F, T, W, SCALE, SHIFT, PLANE, CHANNELS, V, false>(c, y, og_read<T, V>(x + at * V), at * V, r, b);
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

/* The axis is not the last. A thread has packs of V neighbouring columns; TEAM threads, 1 or 8, share them, each with at most KEPT elements
 * of a column, which stay in registers. */
template<class F, class T, int V, int TEAM, int KEPT, long long OUTER, long long N, long long INNER>
OG_HERE void ogr_columns(const og_step &c, const float *b)
{
	const long long strips = (INNER / V + 31) / 32;
	const int first = TEAM == 1 ? 0 : threadIdx.y;
	const bool OF_TERM = F::keeps && sizeof(T) == sizeof(float);
	for (long long turn = blockIdx.x; turn < (OUTER * strips + 8 / TEAM - 1) / (8 / TEAM); turn += gridDim.x) {
		const long long item = TEAM == 1 ? turn * 8 + threadIdx.y : turn, pack = item % strips * 32 + threadIdx.x;
		const long long at = item / strips * N * INNER + pack * V;
		const bool inside = item < OUTER * strips && pack < INNER / V;
		const T *x = (const T *)c.in[0] + at;
		og_pack<T, V> kept[KEPT];
		float r[V][2];
		#pragma unroll
		for (int k = 0; k < KEPT; k++)
			if (inside && first + k * TEAM < N) kept[k] = og_read<T, V>(x + (first + k * TEAM) * INNER);
		#pragma unroll
		for (int f = 0; f < F::folds; f++)
			#pragma unroll
			for (int e = 0; e < V; e++) {
				float sum = ogr_none(F::fold(f));
				#pragma unroll
				for (int k = 0; k < KEPT; k++) {
					if (!inside || first + k * TEAM >= N) continue;
					const float term = F::term(f, og_value(kept[k].e[e]), r[e], b);
					sum = ogr_two(F::fold(f), sum, term);
					if (OF_TERM && f == F::folds - 1) kept[k].e[e] = og_make<T>(term);
				}
				r[e][f] = ogr_end(F::fold(f), TEAM == 1 ? sum : ogr_column(F::fold(f), sum), N);
			}
		#pragma unroll
		for (int k = 0; k < KEPT; k++) {
			if (!inside || first + k * TEAM >= N) continue;
			#pragma unroll
			for (int e = 0; e < V; e++) {
				const float in = og_value(kept[k].e[e]);
				kept[k].e[e] = og_make<T>(OF_TERM ? F::last_of_term(&in, r[e], b) : F::last(&in, r[e], b));
			}
			og_write<T, V>((T *)c.out[0] + at + (first + k * TEAM) * INNER, kept[k]);
		}
	}
}

/* Longer columns, in PARTS: first the peak and the sum of exp(x - peak) of each part, [PARTS][2][OUTER * INNER] in the workspace; then
 * those of all parts, in the place of the first; then the results. */
template<long long COUNT> OG_HERE float *ogr_peaks(const og_step &c, long long part, long long column) { return (float *)c.workspace + part * 2 * COUNT + column; }

template<long long COUNT> OG_HERE void ogr_put_peak(const og_step &c, ogr_peak p, long long part, long long column, bool inside)
{
	const float peak = ogr_column(OGR_MAX, p.peak), sum = ogr_column(OGR_SUM, p.sum * ogr_scale(p.peak, peak));
	if (!inside || threadIdx.y) return;
	ogr_peaks<COUNT>(c, part, column)[0] = peak;
	ogr_peaks<COUNT>(c, part, column)[COUNT] = sum;
}

template<class T, int V, int PARTS, long long OUTER, long long N, long long INNER> OG_HERE void ogr_column_peaks(const og_step &c)
{
	const long long strips = (INNER / V + 31) / 32, each = (N + PARTS - 1) / PARTS;
	for (long long item = blockIdx.x; item < OUTER * strips * PARTS; item += gridDim.x) {
		const long long pack = item % strips * 32 + threadIdx.x, part = item / strips % PARTS, o = item / strips / PARTS;
		const long long from = part * each, to = from + each < N ? from + each : N;
		const bool inside = pack < INNER / V;
		const T *x = (const T *)c.in[0] + o * N * INNER + pack * V;
		ogr_peak p[V];
		#pragma unroll
		for (int e = 0; e < V; e++) p[e] = { -V_INF, 0.0f };
		for (long long i = from + threadIdx.y; inside && i < to; i += 8 * 4) {
			og_pack<T, V> in[4];
			#pragma unroll
			for (int k = 0; k < 4; k++)
				if (i + k * 8 < to) in[k] = og_read<T, V>(x + (i + k * 8) * INNER);
			#pragma unroll
			for (int e = 0; e < V; e++) {
				float four[4];
				#pragma unroll
				for (int k = 0; k < 4; k++) four[k] = i + k * 8 < to ? og_value(in[k].e[e]) : -V_INF;
				ogr_take<4>(p[e], four);
			}
		}
		#pragma unroll
		for (int e = 0; e < V; e++) ogr_put_peak<OUTER * INNER>(c, p[e], part, o * INNER + pack * V + e, inside);
	}
}

template<int PARTS, long long COUNT> OG_HERE void ogr_join_peaks(const og_step &c)
{
	for (long long strip = blockIdx.x; strip < (COUNT + 31) / 32; strip += gridDim.x) {
		const long long column = strip * 32 + threadIdx.x;
		ogr_peak all = { -V_INF, 0.0f };
		for (int part = threadIdx.y; column < COUNT && part < PARTS; part += 8) {
			const float *of = ogr_peaks<COUNT>(c, part, column), peak = ogr_greater(all.peak, of[0]);
			all.sum = all.sum * ogr_scale(all.peak, peak) + of[COUNT] * ogr_scale(of[0], peak);
			all.peak = peak;
		}
		ogr_put_peak<COUNT>(c, all, 0, column, column < COUNT);
	}
}

template<class F, class T, int V, int PARTS, long long OUTER, long long N, long long INNER> OG_HERE void ogr_column_last(const og_step &c, const float *b)
{
	const long long strips = (INNER / V + 31) / 32, each = (N + PARTS - 1) / PARTS, count = OUTER * INNER;
	for (long long item = blockIdx.x; item < OUTER * strips * PARTS; item += gridDim.x) {
		const long long pack = item % strips * 32 + threadIdx.x, part = item / strips % PARTS, o = item / strips / PARTS;
		const long long from = part * each, to = from + each < N ? from + each : N, at = o * N * INNER + pack * V;
		if (pack >= INNER / V) continue;
		float r[V][2];
		#pragma unroll
		for (int e = 0; e < V; e++) {
			const float *of = ogr_peaks<count>(c, 0, o * INNER + pack * V + e);
			r[e][0] = of[0], r[e][1] = of[count];
		}
		#pragma unroll 4
		for (long long i = from + threadIdx.y; i < to; i += 8) {
			og_pack<T, V> x = og_read<T, V>((const T *)c.in[0] + at + i * INNER);
			#pragma unroll
			for (int e = 0; e < V; e++) {
				const float in = og_value(x.e[e]);
				x.e[e] = og_make<T>(F::last(&in, r[e], b));
			}
			og_write<T, V>((T *)c.out[0] + at + i * INNER, x);
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

template<class F, class T, class U, int V, int SPLIT, long long OUTER, long long N, long long INNER> OG_HERE void ogr_reduce_columns(const og_step &c)
{
	const long long strips = (INNER / V + 31) / 32, each = (N + SPLIT - 1) / SPLIT;
	for (long long item = blockIdx.x; item < OUTER * strips * SPLIT; item += gridDim.x) {
		const long long pack = item % strips * 32 + threadIdx.x, part = item / strips % SPLIT, o = item / strips / SPLIT;
		const long long from = part * each, to = from + each < N ? from + each : N;
		const bool inside = pack < INNER / V;
		const T *x = (const T *)c.in[0] + o * N * INNER + pack * V;
		float r[V][2];
		#pragma unroll
		for (int k = 0; k < F::folds; k++) {
			float sum[V];
			#pragma unroll
			for (int e = 0; e < V; e++) sum[e] = ogr_none(F::fold(k));
			#pragma unroll 4
			for (long long i = from + threadIdx.y; inside && i < to; i += 8) {
				const og_pack<T, V> in = og_read<T, V>(x + i * INNER);
				#pragma unroll
				for (int e = 0; e < V; e++) sum[e] = ogr_two(F::fold(k), sum[e], F::term(k, og_value(in.e[e]), r[e], NULL));
			}
			#pragma unroll
			for (int e = 0; e < V; e++) r[e][k] = ogr_column(F::fold(k), sum[e]);
		}
		#pragma unroll
		for (int e = 0; e < V; e++)
			if (inside && threadIdx.y == 0) ogr_keep<F, U, SPLIT, OUTER * INNER, N>(c, r[e], o * INNER + pack * V + e, part);
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

/* ---- where the greatest or least element is ------------------------------------------------------ */

struct ogr_candidate { float x; long long at; };         /* at -1: none */
OG_HERE bool ogr_before(bool greatest, float a, float b) { return b != b ? false : a != a || (greatest ? a > b : a < b); }
template<bool GREATEST, int LAST> OG_HERE void ogr_choose(ogr_candidate &best, float x, long long at)
{
	const bool takes = best.at < 0 || ogr_before(GREATEST, x, best.x) || (!ogr_before(GREATEST, best.x, x) && (LAST ? at > best.at : at < best.at));
	if (at >= 0 && takes) best = { x, at };
}

/* TEAM: threads that share a line, 1, 32 or 256. */
template<class T, bool GREATEST, int LAST, int TEAM, long long OUTER, long long N, long long INNER> OG_HERE void ogr_extreme(const og_step &c)
{
	__shared__ ogr_candidate part[8];
	const int rank = threadIdx.x % TEAM;
	for (long long line = og_first() / TEAM; line < (OUTER * INNER * TEAM + 255) / 256 * 256 / TEAM; line += og_stride() / TEAM) {
		const bool inside = line < OUTER * INNER;
		const T *x = (const T *)c.in[0] + line / INNER * N * INNER + line % INNER;
		ogr_candidate best = { 0.0f, -1 };
		#pragma unroll 4
		for (long long i = rank; inside && i < N; i += TEAM) ogr_choose<GREATEST, LAST>(best, og_value(x[i * INNER]), i);
		#pragma unroll
		for (int lane = TEAM > 1 ? 16 : 0; lane > 0; lane /= 2) {
			const float value = __shfl_xor_sync(~0u, best.x, lane);
			const int at = __float_as_int(__shfl_xor_sync(~0u, __int_as_float((int)best.at), lane));
			ogr_choose<GREATEST, LAST>(best, value, at);
		}
		if (TEAM > 32) {
			if (rank % 32 == 0) part[rank / 32] = best;
			__syncthreads();
			#pragma unroll
			for (int k = 0; k < 8; k++) ogr_choose<GREATEST, LAST>(best, part[k].x, part[k].at);
			__syncthreads();
		}
		if (inside && rank == 0) ((long long *)c.out[0])[line] = best.at;
	}
}
