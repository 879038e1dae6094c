/* opgraft/device.h -- the CUDA side of op files: what a kernel is given, in the same layout in C and in CUDA C, and (device view
 * with OG_KERNELS) what kernels are made of. It needs no CUDA header: NVRTC or nvcc alone.
 *
 * A kernel of an op file's own, behind `#if OP_DEVICE`:
 *
 *   KERNEL(shuffle)                               for each of f32, f16, bf16, the type of input 0: T
 *   {
 *       const T *x = og_in<T>(c, 0);
 *       T *y = og_out<T>(c, 0);
 *       for (long long i = og_first(); i < og_count(c.out[0]); i += og_stride()) y[i] = x[...];
 *   }
 *
 * c is an og_device_call: shapes, dtypes, attributes in declared order (c.attr[0].i or .f), c.p.workspace. og_value(x[i])
 * is an element as float, og_make<T>(f) a float as element, rounded to nearest even. OP() names kernels in .device and
 * gives their launches in .grid. */
#ifndef OPGRAFT_DEVICE_H
#define OPGRAFT_DEVICE_H

/* ---- what a kernel is given ------------------------------------------------------------------- */

enum { OG_DEVICE_IN = 8, OG_DEVICE_OUT = 4, OG_DEVICE_ATTRS = 16, OG_DEVICE_RANK = 8, OG_MAP_IN = 3, OG_MAP_ATTRS = 4 };

/* Where the tensors are: first in whatever a kernel is given, and all of it that changes from launch to launch. Absent: NULL. */
typedef struct og_pointers {
	const void *in[OG_DEVICE_IN];
	void *out[OG_DEVICE_OUT];
	void *workspace;
} og_pointers;

typedef struct og_device_shape { long long dims[OG_DEVICE_RANK]; int rank, dtype; } og_device_shape;    /* absent: rank -1 */
typedef struct og_device_number { long long i; float f; int present; } og_device_number;

typedef struct og_device_call {
	og_pointers p;
	og_device_shape in[OG_DEVICE_IN], out[OG_DEVICE_OUT];
	og_device_number attr[OG_DEVICE_ATTRS];      /* lists and strings are all 0 */
	float value[OG_DEVICE_IN];                   /* of inputs that are absent, by their declaration */
	int n_in, n_out, n_attrs, tactic;
} og_device_call;

/* n / d = (high 32 bits of n * magic + n) >> shift for n < 2^31 */
typedef struct og_divisor { unsigned magic, shift; } og_divisor;
/* One dimension that elements are counted in, and how far each operand goes on in it: 0 where it is broadcast. */
typedef struct og_map_dim { long long size, step[OG_MAP_IN]; og_divisor by; } og_map_dim;

/* What the kernels made from a formula are given. Neighbouring dimensions that every operand goes through alike are one. */
typedef struct og_map_call {
	og_pointers p;
	long long n;                                 /* elements of the output */
	float attr[OG_MAP_ATTRS], value[OG_MAP_IN];  /* value: of operands that are NULL */
	int rank;
	og_divisor packs;                            /* by the packs of 16 bytes of input in dim[0] */
	og_map_dim dim[OG_DEVICE_RANK];              /* from the innermost out */
} og_map_call;

#ifdef __CUDACC_RTC__
#define OG_LAYOUT(type, field, offset) static_assert(__INTADDR__(&((type *)0)->field) == offset, #type "." #field)
#elif defined(__cplusplus)
#define OG_LAYOUT(type, field, offset) static_assert(__builtin_offsetof(type, field) == offset, #type "." #field)
#else
#define OG_LAYOUT(type, field, offset) _Static_assert(__builtin_offsetof(type, field) == offset, #type "." #field)
#endif
OG_LAYOUT(og_pointers, workspace, 96);
OG_LAYOUT(og_device_call, out, 680);
OG_LAYOUT(og_device_call, attr, 968);
OG_LAYOUT(og_device_call, tactic, 1268);
OG_LAYOUT(og_map_call, rank, 140);
OG_LAYOUT(og_map_call, dim[1], 192);

#if OP_DEVICE && defined(OG_KERNELS)
/* ---- elements --------------------------------------------------------------------------------- */

typedef float og_f32;
struct og_f16 { unsigned short bits; };
struct og_bf16 { unsigned short bits; };

#define OG_HERE static __device__ __forceinline__

OG_HERE float og_value(float x) { return x; }
OG_HERE float og_value(og_f16 x)
{
	float f;
	asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(x.bits));
	return f;
}
OG_HERE float og_value(og_bf16 x) { return __uint_as_float((unsigned)x.bits << 16); }

template<class T> struct og_maker;
template<> struct og_maker<float> { OG_HERE float from(float f) { return f; } };
template<> struct og_maker<og_f16> {
	OG_HERE og_f16 from(float f)
	{
		og_f16 x;
		asm("cvt.rn.f16.f32 %0, %1;" : "=h"(x.bits) : "f"(f));
		return x;
	}
};
template<> struct og_maker<og_bf16> {
	OG_HERE og_bf16 from(float f)
	{
		og_bf16 x;
#if __CUDA_ARCH__ >= 800
		asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(x.bits) : "f"(f));
#else
		unsigned u = __float_as_uint(f);
		x.bits = (unsigned short)((f != f ? u | 0x400000 : u + 0x7fff + (u >> 16 & 1)) >> 16);
#endif
		return x;
	}
};
template<> struct og_maker<bool> { OG_HERE bool from(bool b) { return b; } };
template<class T, class R> OG_HERE T og_make(R x) { return og_maker<T>::from(x); }

/* n elements that are read or written at once */
template<class T, int n> struct __align__(sizeof(T) * n) og_pack { T e[n]; };

/* Bits that move as one access. */
template<int bytes> struct og_word;
template<> struct og_word<16> { typedef uint4 type; };
template<> struct og_word<8> { typedef uint2 type; };
template<> struct og_word<4> { typedef unsigned type; };
template<> struct og_word<2> { typedef unsigned short type; };
template<> struct og_word<1> { typedef unsigned char type; };

/* The compiler takes stores of whole words apart when it sees how they were put together: not these. */
OG_HERE void og_put(uint4 *p, uint4 w)
{
	asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" :: "l"(__cvta_generic_to_global(p)), "r"(w.x), "r"(w.y), "r"(w.z), "r"(w.w) : "memory");
}
OG_HERE void og_put(uint2 *p, uint2 w)
{
	asm volatile("st.global.v2.b32 [%0], {%1, %2};" :: "l"(__cvta_generic_to_global(p)), "r"(w.x), "r"(w.y) : "memory");
}
template<class W> OG_HERE void og_put(W *p, W w) { *p = w; }

template<class T, int n> OG_HERE og_pack<T, n> og_read(const T *p)
{
	union { typename og_word<sizeof(T) * n>::type word; og_pack<T, n> pack; } u;
	u.word = *(const typename og_word<sizeof(T) * n>::type *)p;
	return u.pack;
}
template<class T, int n> OG_HERE void og_write(T *p, const og_pack<T, n> &pack)
{
	union { typename og_word<sizeof(T) * n>::type word; og_pack<T, n> pack; } u;
	u.pack = pack;
	og_put((typename og_word<sizeof(T) * n>::type *)p, u.word);
}

template<class T> OG_HERE bool og_is_packed(const T *p, int n) { return (unsigned long long)p % (sizeof(T) * n) == 0; }

/* ---- places ----------------------------------------------------------------------------------- */

template<class T> OG_HERE const T *og_in(const og_device_call &c, int k) { return (const T *)c.p.in[k]; }
template<class T> OG_HERE T *og_out(const og_device_call &c, int k) { return (T *)c.p.out[k]; }
/* This thread's number in a launch of one dimension, and how many there are. */
OG_HERE long long og_first() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }
OG_HERE long long og_stride() { return (long long)gridDim.x * blockDim.x; }
OG_HERE long long og_span(const og_device_shape &s, int from, int to)
{
	long long n = 1;
	#pragma unroll 1
	for (int d = from; d < to; d++) n *= s.dims[d];
	return n;
}
OG_HERE long long og_count(const og_device_shape &s) { return og_span(s, 0, s.rank); }

/* ---- kernels of formulas ---------------------------------------------------------------------- */

/* An operand of a formula: at p, or (NULL) a number. */
template<class T> struct og_operand {
	const T *p;
	float value;
	bool moves;                                  /* along the innermost dimension */
	OG_HERE og_operand make(const og_map_call &c, int k)
	{
		og_operand o = { (const T *)c.p.in[k], c.value[k], false };
		o.moves = o.p && c.dim[0].step[k];
		return o;
	}
};

/* y = f(x) element by element; V of them from y and each x that moves at once. */
template<class F, class T, class U, int V> OG_HERE void og_map_some(U *y, const og_operand<T> *x, const og_pack<T, V> *in, const float *b)
{
	og_pack<U, V> out;
	#pragma unroll
	for (int i = 0; i < V; i++) {
		float element[F::inputs];
		#pragma unroll
		for (int k = 0; k < F::inputs; k++) element[k] = F::inputs == 1 || x[k].moves ? og_value(in[k].e[i]) : x[k].value;
		out.e[i] = og_make<U>(F::of(element, b));
	}
	og_write<U, V>(y, out);
}

/* Every operand is as long as the output or one element. The packs lie behind `head` elements; two of each operand are on
 * their way at once. */
template<class F, class T, class U> OG_HERE void og_map_flat(const og_map_call &c)
{
	const int V = 16 / sizeof(T), AT_ONCE = 2;
	const long long n = c.n, stride = og_stride();
	U *y = (U *)c.p.out[0];
	og_operand<T> x[F::inputs];
	long long head = (long long)(-((unsigned long long)y / sizeof(U)) % V);
	bool whole = true;
	#pragma unroll
	for (int k = 0; k < F::inputs; k++) {
		x[k] = og_operand<T>::make(c, k);
		if (x[k].moves) whole &= og_is_packed(x[k].p + head, V);
		else if (x[k].p) x[k].value = og_value(*x[k].p);
	}
	if (!whole || head > n) head = n;
	const long long packs = (n - head) / V, rest = n - packs * V;
	for (long long at = (long long)blockIdx.x * blockDim.x * AT_ONCE + threadIdx.x; at < packs; at += stride * AT_ONCE) {
		og_pack<T, V> in[AT_ONCE][F::inputs];
		#pragma unroll
		for (int u = 0; u < AT_ONCE; u++)
			#pragma unroll
			for (int k = 0; k < F::inputs; k++)
				if (x[k].moves && at + u * blockDim.x < packs)
					in[u][k] = og_read<T, V>(x[k].p + head + (at + u * blockDim.x) * V);
		#pragma unroll
		for (int u = 0; u < AT_ONCE; u++)
			if (at + u * blockDim.x < packs)
				og_map_some<F, T, U, V>(y + head + (at + u * blockDim.x) * V, x, in[u], c.attr);
	}
	#pragma unroll 1
	for (long long at = og_first(); at < rest; at += stride) {
		const long long i = at < head ? at : at + packs * V;
		og_pack<T, 1> in[F::inputs];
		#pragma unroll
		for (int k = 0; k < F::inputs; k++)
			if (x[k].moves) in[k].e[0] = x[k].p[i];
		og_map_some<F, T, U, 1>(y + i, x, in, c.attr);
	}
}

OG_HERE unsigned og_divide(unsigned n, long long, og_divisor by) { return (__umulhi(n, by.magic) + n) >> by.shift; }
OG_HERE unsigned long long og_divide(unsigned long long n, long long d, og_divisor) { return n / (unsigned long long)d; }

/* Broadcast operands, V elements at a time along the innermost dimension, counted in the integers I. */
template<class F, class T, class U, int V, class I> OG_HERE void og_map_strided(const og_map_call &c)
{
	const I count = (I)(c.n / V), stride = (I)og_stride();
	for (I at = (I)og_first(); at < count; at += stride) {
		og_operand<T> x[F::inputs];
		og_pack<T, V> in[F::inputs];
		I rest = at, offset[F::inputs] = {};
		#pragma unroll 1
		for (int d = 0; d < c.rank; d++) {
			const long long size = d == 0 ? c.dim[0].size / V : c.dim[d].size;
			const I next = d + 1 == c.rank ? 0 : og_divide(rest, size, d == 0 && V > 1 ? c.packs : c.dim[d].by);
			const I index = rest - next * (I)size;
			#pragma unroll
			for (int k = 0; k < F::inputs; k++) offset[k] += index * (I)c.dim[d].step[k] * (d == 0 ? V : 1);
			rest = next;
		}
		#pragma unroll
		for (int k = 0; k < F::inputs; k++) {
			x[k] = og_operand<T>::make(c, k);
			if (x[k].moves) in[k] = og_read<T, V>(x[k].p + offset[k]);
			else if (x[k].p) x[k].value = og_value(x[k].p[offset[k]]);
		}
		og_map_some<F, T, U, V>((U *)c.p.out[0] + (unsigned long long)at * V, x, in, c.attr);
	}
}

template<class F, class T, class U> OG_HERE void og_map_view(const og_map_call &c)
{
	const int V = 16 / sizeof(T);
	bool packed = c.dim[0].size % V == 0 && og_is_packed((U *)c.p.out[0], V);
	#pragma unroll
	for (int k = 0; k < F::inputs; k++)
		if (c.dim[0].step[k]) packed &= og_is_packed((const T *)c.p.in[k], V);
	if (c.n >> 31) og_map_strided<F, T, U, 1, unsigned long long>(c);
	else if (packed) og_map_strided<F, T, U, V, unsigned>(c);
	else og_map_strided<F, T, U, 1, unsigned>(c);
}

/* Kernels of formula f: og_f_f32, og_f_f32_view and so on. */
#define OG_ARGUMENT(k) x[k]
#define OG_MAP_KERNEL(f, T, U) \
	extern "C" __global__ void __launch_bounds__(256) og_##f##_##T(const __grid_constant__ og_map_call c) \
	{ og_map_flat<og_map_of_##f, og_##T, U>(c); } \
	extern "C" __global__ void __launch_bounds__(256) og_##f##_##T##_view(const __grid_constant__ og_map_call c) \
	{ og_map_view<og_map_of_##f, og_##T, U>(c); }
#define OG_MAP_OF(f, nin, nattr, type) \
	struct og_map_of_##f { \
		enum { inputs = nin }; \
		OG_HERE type of(const float *x, const float *b) { (void)b; return f(OG_IN_##nin(OG_ARGUMENT) OG_AT_##nattr); } \
	};
#define MAP(f, nin, nattr) \
	OG_MAP_OF(f, nin, nattr, float) \
	OG_MAP_KERNEL(f, f32, og_f32) OG_MAP_KERNEL(f, f16, og_f16) OG_MAP_KERNEL(f, bf16, og_bf16)
#define MAP_TEST(f, nin, nattr) \
	OG_MAP_OF(f, nin, nattr, bool) \
	OG_MAP_KERNEL(f, f32, bool) OG_MAP_KERNEL(f, f16, bool) OG_MAP_KERNEL(f, bf16, bool)

/* ---- an op file's own kernels ----------------------------------------------------------------- */

#define KERNEL(name) \
	template<class T> static __device__ void name##_of(const og_device_call &c); \
	extern "C" __global__ void name##_f32(const __grid_constant__ og_device_call c) { name##_of<og_f32>(c); } \
	extern "C" __global__ void name##_f16(const __grid_constant__ og_device_call c) { name##_of<og_f16>(c); } \
	extern "C" __global__ void name##_bf16(const __grid_constant__ og_device_call c) { name##_of<og_bf16>(c); } \
	template<class T> static __device__ void name##_of(const og_device_call &c)

/* ---- kernels of ROWS -------------------------------------------------------------------------- */

/* Element (o, i, k) of input 0 lies at (o * n + i) * inner + k; the rows are those of i. */
template<class F, class T> struct og_rows {
	long long outer, n, inner;
	const T *in[F::inputs];
	float value[F::inputs], attr[OG_MAP_ATTRS];
	bool moves[F::inputs], packed;               /* an input has one for each place; rows are whole packs */
	T *y;
};

template<class F, class T> OG_HERE og_rows<F, T> og_rows_make(const og_device_call &c)
{
	const int V = 16 / sizeof(T), rank = c.in[0].rank;
	const int axis = (int)(c.attr[F::attrs].i < 0 ? c.attr[F::attrs].i + rank : c.attr[F::attrs].i);
	og_rows<F, T> t;
	t.outer = og_span(c.in[0], 0, axis);
	t.n = rank ? c.in[0].dims[axis] : 1;
	t.inner = og_span(c.in[0], axis + 1, rank);
	t.y = og_out<T>(c, 0);
	t.packed = t.n % V == 0 && og_is_packed(t.y, V);
	#pragma unroll
	for (int k = 0; k < F::inputs; k++) {
		t.in[k] = og_in<T>(c, k);
		t.moves[k] = k == 0 || (t.in[k] && og_count(c.in[k]) != 1);
		t.value[k] = t.moves[k] ? 0.0f : t.in[k] ? og_value(*t.in[k]) : c.value[k];
		if (t.moves[k]) t.packed &= og_is_packed(t.in[k], V);
	}
	#pragma unroll
	for (int k = 0; k < F::attrs; k++) t.attr[k] = c.attr[k].f;
	return t;
}

OG_HERE float og_fold_none(int fold) { return fold == OG_FOLD_MAX ? -V_INF : 0.0f; }
OG_HERE float og_fold_two(int fold, float a, float b) { return fold == OG_FOLD_MAX ? v_max(a, b) : a + b; }
OG_HERE float og_fold_warp(int fold, float a)
{
	#pragma unroll
	for (int lane = 16; lane > 0; lane /= 2) a = og_fold_two(fold, a, __shfl_xor_sync(~0u, a, lane));
	return a;
}

enum { OG_WARPS = 8 };                               /* blocks are 32 by OG_WARPS threads */

/* The threads that share a row. */
struct og_warp_team {
	enum { size = 32, rows = OG_WARPS };
	OG_HERE int rank() { return threadIdx.x; }
	OG_HERE int row() { return threadIdx.y; }
	OG_HERE float fold(int fold, float a) { return og_fold_warp(fold, a); }
};
struct og_block_team {
	enum { size = 32 * OG_WARPS, rows = 1 };
	OG_HERE int rank() { return threadIdx.y * 32 + threadIdx.x; }
	OG_HERE int row() { return 0; }
	OG_HERE float fold(int fold, float a)
	{
		__shared__ float warp[OG_WARPS];
		a = og_fold_warp(fold, a);
		if (threadIdx.x == 0) warp[threadIdx.y] = a;
		__syncthreads();
		a = og_fold_warp(fold, threadIdx.x < OG_WARPS ? warp[threadIdx.x] : og_fold_none(fold));
		__syncthreads();
		return a;
	}
};

/* What this thread's packs of V elements of the row at x come to in reduction k. */
template<class F, class T, class Team, int V> OG_HERE float og_row_sum(const og_rows<F, T> &t, const T *x, int k, const float *r)
{
	float sum = og_fold_none(F::fold(k));
	#pragma unroll 1
	for (long long at = Team::rank(); at < t.n / V; at += Team::size) {
		const og_pack<T, V> in = og_read<T, V>(x + at * V);
		#pragma unroll
		for (int i = 0; i < V; i++) sum = og_fold_two(F::fold(k), sum, F::term(k, og_value(in.e[i]), r, t.attr));
	}
	return sum;
}

template<class F, class T, class Team, int V> OG_HERE void og_row_last(const og_rows<F, T> &t, const T *x, T *y, const float *r)
{
	#pragma unroll 1
	for (long long at = Team::rank(); at < t.n / V; at += Team::size) {
		og_pack<T, V> in[F::inputs], out;
		float element[F::inputs];
		in[0] = og_read<T, V>(x + at * V);
		#pragma unroll
		for (int k = 1; k < F::inputs; k++)
			if (t.moves[k]) in[k] = og_read<T, V>(t.in[k] + at * V);
		#pragma unroll
		for (int i = 0; i < V; i++) {
			#pragma unroll
			for (int k = 0; k < F::inputs; k++) element[k] = t.moves[k] ? og_value(in[k].e[i]) : t.value[k];
			out.e[i] = og_make<T>(F::last(element, r, t.attr));
		}
		og_write<T, V>(y + at * V, out);
	}
}

template<class F, class T, class Team, int V> OG_HERE void og_rows_run(const og_rows<F, T> &t)
{
	for (long long row = (long long)blockIdx.x * Team::rows + Team::row(); row < t.outer; row += (long long)gridDim.x * Team::rows) {
		float r[OG_ROW_FOLDS];
		#pragma unroll
		for (int k = 0; k < F::folds; k++) {
			r[k] = Team::fold(F::fold(k), og_row_sum<F, T, Team, V>(t, t.in[0] + row * t.n, k, r));
			if (F::fold(k) == OG_FOLD_MEAN) r[k] = r[k] / (float)t.n;
		}
		og_row_last<F, T, Team, V>(t, t.in[0] + row * t.n, t.y + row * t.n, r);
	}
}

template<class F, class T, class Team> OG_HERE void og_rows_of_team(const og_device_call &c)
{
	const og_rows<F, T> t = og_rows_make<F, T>(c);
	if (t.packed) og_rows_run<F, T, Team, 16 / sizeof(T)>(t);
	else og_rows_run<F, T, Team, 1>(t);
}

/* The axis is not the last: 32 neighbouring columns a block, each by OG_WARPS threads. */
template<class F, class T> OG_HERE void og_rows_columns(const og_device_call &c)
{
	__shared__ float part[OG_WARPS][32];
	const og_rows<F, T> t = og_rows_make<F, T>(c);
	const long long strips = (t.inner + 31) / 32;
	for (long long item = blockIdx.x; item < t.outer * strips; item += gridDim.x) {
		const long long column = item % strips * 32 + threadIdx.x;
		const bool inside = column < t.inner;
		const long long at = item / strips * t.n * t.inner + column;
		float r[OG_ROW_FOLDS], element[F::inputs];
		#pragma unroll
		for (int k = 0; k < F::folds; k++) {
			float sum = og_fold_none(F::fold(k));
			for (long long i = threadIdx.y; inside && i < t.n; i += OG_WARPS)
				sum = og_fold_two(F::fold(k), sum, F::term(k, og_value(t.in[0][at + i * t.inner]), r, t.attr));
			part[threadIdx.y][threadIdx.x] = sum;
			__syncthreads();
			sum = part[0][threadIdx.x];
			#pragma unroll
			for (int j = 1; j < OG_WARPS; j++) sum = og_fold_two(F::fold(k), sum, part[j][threadIdx.x]);
			r[k] = F::fold(k) == OG_FOLD_MEAN ? sum / (float)t.n : sum;
			__syncthreads();
		}
		for (long long i = threadIdx.y; inside && i < t.n; i += OG_WARPS) {
			element[0] = og_value(t.in[0][at + i * t.inner]);
			#pragma unroll
			for (int k = 1; k < F::inputs; k++) element[k] = t.moves[k] ? og_value(t.in[k][i]) : t.value[k];
			t.y[at + i * t.inner] = og_make<T>(F::last(element, r, t.attr));
		}
	}
}

#define OG_ROWS_KERNEL(f, T) \
	extern "C" __global__ void __launch_bounds__(256) f##_warp_##T(const __grid_constant__ og_device_call c) \
	{ og_rows_of_team<og_rows_of_##f, og_##T, og_warp_team>(c); } \
	extern "C" __global__ void __launch_bounds__(256) f##_block_##T(const __grid_constant__ og_device_call c) \
	{ og_rows_of_team<og_rows_of_##f, og_##T, og_block_team>(c); } \
	extern "C" __global__ void __launch_bounds__(256) f##_columns_##T(const __grid_constant__ og_device_call c) \
	{ og_rows_columns<og_rows_of_##f, og_##T>(c); }
#define ROWS(f, nin, nattr, ...) \
	OG_ROWS_DEVICE(f, nin, nattr, OG_FOLDS(__VA_ARGS__), (OG_JOIN(OG_FOLD_, OG_FOLDS(__VA_ARGS__))(__VA_ARGS__)))
#define OG_ROWS_DEVICE(f, nin, nattr, count, folds) OG_ROWS_DEVICE_(f, nin, nattr, count, folds)
#define OG_PICK(...) OG_PICK_(__VA_ARGS__, 0)
#define OG_PICK_(first, second, ...) (k == 0 ? first : second)
#define OG_ROWS_DEVICE_(f, nin, nattr, count, folds_) \
	OG_ROW_FORMULAS(EXPR, f, nin, nattr, count) \
	struct og_rows_of_##f { \
		enum { inputs = nin, attrs = nattr, folds = count }; \
		OG_HERE int fold(int k) { return OG_PICK folds_; } \
		OG_HERE float term(int k, float x, const float *r, const float *b) { return f##_term(k, x, r, b); } \
		OG_HERE float last(const float *x, const float *r, const float *b) { return f##_last(x, r, b); } \
	}; \
	OG_ROWS_KERNEL(f, f32) OG_ROWS_KERNEL(f, f16) OG_ROWS_KERNEL(f, bf16)

#endif
#endif
