/* ptx.h -- the PTX instructions of the kernels as functions, as the PTX ISA (docs.nvidia.com/cuda/parallel-thread-execution) defines them:
 * tests/emulated.py turns asm statements into calls of them. What is asynchronous is done at once, so that only what must be waited for
 * is seen to be waited for where a barrier says so. Addresses of shared memory are offsets in a block's; above them is the number of the
 * block in its cluster, 1 added, or 0 for one's own. */
#pragma once
#include <stdio.h>
#include <stdlib.h>

extern "C" void *emulated_shared(unsigned address, unsigned bytes);      /* ends the process where it is not the block's */
extern "C" void emulated_yield();
extern "C" void emulated_bar(int barrier, int threads, bool waits);

template<class T> static inline T &ptx_at(unsigned address) { return *(T *)emulated_shared(address, sizeof(T)); }

/* ---- numbers ---------------------------------------------------------------------------------- */

static inline float ptx_half(unsigned short h) { return (float)emulated_cast<_Float16>(h); }
static inline unsigned short ptx_to_half(float f) { return emulated_cast<unsigned short>((_Float16)f); }
static inline unsigned short ptx_to_bfloat(float f)
{
	const unsigned u = __float_as_uint(f);
	return (unsigned short)((f != f ? u | 0x400000 : u + 0x7fff + (u >> 16 & 1)) >> 16);
}
static inline float ptx_to_tf32(float f)
{
	const unsigned u = __float_as_uint(f);
	return f - f != 0 ? f : __uint_as_float((u + 0x1000) & ~0x1fffu);
}

static inline void ptx_cvt_f32_f16(float &f, unsigned short h) { f = ptx_half(h); }
static inline void ptx_cvt_rn_f16_f32(unsigned short &h, float f) { h = ptx_to_half(f); }
static inline void ptx_cvt_rn_bf16_f32(unsigned short &h, float f) { h = ptx_to_bfloat(f); }
static inline void ptx_cvt_rn_f16x2_f32(unsigned &t, float high, float low) { t = (unsigned)ptx_to_half(high) << 16 | ptx_to_half(low); }
static inline void ptx_cvt_rn_bf16x2_f32(unsigned &t, float high, float low) { t = (unsigned)ptx_to_bfloat(high) << 16 | ptx_to_bfloat(low); }
static inline void ptx_cvt_rna_tf32_f32(unsigned &t, float f) { t = __float_as_uint(ptx_to_tf32(f)); }
static inline void ptx_max_NaN_f32(float &r, float a, float b) { r = a != a || b != b ? NAN : a > b ? a : b; }
static inline void ptx_min_NaN_f32(float &r, float a, float b) { r = a != a || b != b ? NAN : a < b ? a : b; }
static inline void ptx_rcp_approx_ftz_f32(float &r, float a) { r = 1.0f / a; }
static inline void ptx_ex2_approx_ftz_f32(float &r, float a) { r = exp2f(a); }
static inline void ptx_lg2_approx_ftz_f32(float &r, float a) { r = log2f(a); }
static inline void ptx_sqrt_approx_ftz_f32(float &r, float a) { r = sqrtf(a); }
static inline void ptx_tanh_approx_f32(float &r, float a) { r = tanhf(a); }

/* ---- memory ----------------------------------------------------------------------------------- */

static inline void ptx_st_global_v4_b32(const void *p, unsigned a, unsigned b, unsigned c, unsigned d) { *(uint4 *)p = { a, b, c, d }; }
static inline void ptx_st_global_v2_b32(const void *p, unsigned a, unsigned b) { *(uint2 *)p = { a, b }; }
static inline void ptx_st_shared_b32(unsigned to, unsigned a) { ptx_at<unsigned>(to) = a; }
static inline void ptx_st_shared_v4_b32(unsigned to, unsigned a, unsigned b, unsigned c, unsigned d) { ptx_at<uint4>(to) = { a, b, c, d }; }
static inline void ptx_st_shared_v2_f32(unsigned to, float a, float b) { ptx_at<float2>(to) = { a, b }; }
static inline void ptx_st_shared_cluster_f32(unsigned to, float a) { ptx_at<float>(to) = a; }
static inline void ptx_ld_shared_b32(unsigned &a, unsigned from) { a = ptx_at<unsigned>(from); }
static inline void ptx_ld_shared_v2_f32(float &a, float &b, unsigned from) { a = ptx_at<float>(from), b = ptx_at<float>(from + 4); }
static inline void ptx_ld_shared_v4_f32(float &a, float &b, float &c, float &d, unsigned from)
{
	const float4 f = ptx_at<float4>(from);
	a = f.x, b = f.y, c = f.z, d = f.w;
}
static inline void ptx_ld_shared_cluster_v4_f32(float &a, float &b, float &c, float &d, unsigned from) { ptx_ld_shared_v4_f32(a, b, c, d, from); }
static inline void ptx_mapa_shared_cluster_u32(unsigned &there, unsigned here, int rank) { there = here & 0xffffff | (rank + 1) << 24; }
static inline void ptx_cp_async_cg_shared_global(unsigned to, const void *from, int size, int there)
{
	memset(emulated_shared(to, size), 0, size);
	memcpy(emulated_shared(to, size), from, there);
}
static inline void ptx_cp_async_commit_group() {}
static inline void ptx_cp_async_wait_group(int) {}

/* ---- order ------------------------------------------------------------------------------------ */

static inline void ptx_griddepcontrol_launch_dependents() {}
static inline void ptx_griddepcontrol_wait() {}
static inline void ptx_fence_mbarrier_init_release_cluster() {}
static inline void ptx_fence_proxy_async_shared_cta() {}
static inline void ptx_bar_sync(int barrier, int threads) { emulated_bar(barrier, threads, true); }
static inline void ptx_bar_arrive(int barrier, int threads) { emulated_bar(barrier, threads, false); }
static inline void ptx_barrier_cluster_arrive_release_aligned() {}
static inline void ptx_barrier_cluster_wait_acquire_aligned() { emulated_wait(EMULATED_CLUSTER); }

/* A barrier in shared memory: a phase ends when all have arrived and all bytes have come. */
struct ptx_barrier { short pending; unsigned short count : 15, phase : 1; int bytes; };

static inline void ptx_complete(ptx_barrier &b)
{
	if (b.pending || b.bytes) return;
	b.phase ^= 1;
	b.pending = (short)b.count;
}
static inline void ptx_mbarrier_init_shared_cta_b64(unsigned at, int arrivals) { ptx_at<ptx_barrier>(at) = { (short)arrivals, (unsigned short)arrivals, 0, 0 }; }
static inline void ptx_mbarrier_arrive_expect_tx_shared_cta_b64(unsigned at, int bytes)
{
	ptx_barrier &b = ptx_at<ptx_barrier>(at);
	if (b.pending-- <= 0) {
		fprintf(stderr, "emulated device: more arrivals at a barrier than it counts\n");
		abort();
	}
	b.bytes += bytes;
	ptx_complete(b);
}
static inline void ptx_mbarrier_arrive_shared_cta_b64(unsigned at) { ptx_mbarrier_arrive_expect_tx_shared_cta_b64(at, 0); }
static inline void ptx_mbarrier_try_wait_parity_shared_cta_b64(unsigned at, unsigned parity)
{
	while (ptx_at<ptx_barrier>(at).phase == parity) emulated_yield();
}

/* ---- the copy engine -------------------------------------------------------------------------- */

/* What the driver's encoders of libcuda.cc leave in a tensor map. */
struct emulated_map {
	char *at;
	unsigned rank, size, box[2];         /* of a tile: elements and rows; im2col: channels and pixels */
	int type, lower[2], upper[2], steps[2];
	uint32_t dims[4];
	uint32_t strides[3];                 /* bytes */
};
enum { EMULATED_TF32 = 11 };

/* Chunks of 16 bytes change places within 128 by the row of 128 in which they lie. */
static inline unsigned ptx_swizzled(unsigned address) { return address ^ (address >> 7 & 7) << 4; }

static inline void ptx_put_row(unsigned to, const emulated_map *m, const char *from, int first, int count, bool there)
{
	for (int i = 0; i < count; i++) {
		void *element = emulated_shared(ptx_swizzled(to + i * m->size), m->size);
		if (!there || (unsigned)(first + i) >= m->dims[0]) memset(element, 0, m->size);
		else if (m->type == EMULATED_TF32) *(float *)element = ptx_to_tf32(((const float *)from)[first + i]);
		else memcpy(element, from + (size_t)(first + i) * m->size, m->size);
	}
}

static inline void ptx_copied(unsigned barrier, unsigned bytes)
{
	ptx_barrier &b = ptx_at<ptx_barrier>(barrier);
	b.bytes -= (int)bytes;
	ptx_complete(b);
}

static inline void ptx_cp_async_bulk_tensor_2d_shared_cluster_global_tile_mbarrier_complete_tx_bytes(unsigned to, const void *map, int column, int row,
                                                                                                       unsigned barrier)
{
	const emulated_map *m = (const emulated_map *)map;
	for (unsigned i = 0; i < m->box[1]; i++)
		ptx_put_row(to + i * m->box[0] * m->size, m, m->at + (size_t)(row + i) * m->strides[0], column, m->box[0], (unsigned)(row + i) < m->dims[1]);
	ptx_copied(barrier, m->box[0] * m->box[1] * m->size);
}

static inline void ptx_cp_async_bulk_tensor_4d_shared_cluster_global_im2col_mbarrier_complete_tx_bytes(unsigned to, const void *map, int c, int w, int h, int n,
                                                                                                        unsigned barrier, int tap_w, int tap_h)
{
	const emulated_map *m = (const emulated_map *)map;
	for (unsigned i = 0; i < m->box[1]; i++) {
		const int x = w + tap_w, y = h + tap_h;
		const bool there = (unsigned)x < m->dims[1] && (unsigned)y < m->dims[2] && (unsigned)n < m->dims[3];
		ptx_put_row(to + i * m->box[0] * m->size, m, m->at + (size_t)n * m->strides[2] + (long)y * m->strides[1] + (long)x * m->strides[0], c, m->box[0], there);
		if ((w += m->steps[0]) <= (int)m->dims[1] - 1 + m->upper[0]) continue;
		w = m->lower[0];
		if ((h += m->steps[1]) <= (int)m->dims[2] - 1 + m->upper[1]) continue;
		h = m->lower[1];
		n++;
	}
	ptx_copied(barrier, m->box[0] * m->box[1] * m->size);
}

static inline void ptx_cp_async_bulk_tensor_2d_global_shared_cta_tile_bulk_group(const void *map, int column, int row, unsigned from)
{
	const emulated_map *m = (const emulated_map *)map;
	for (unsigned i = 0; i < m->box[1] && row + i < m->dims[1]; i++)
		for (unsigned k = 0; k < m->box[0] && column + k < m->dims[0]; k++)
			memcpy(m->at + (size_t)(row + i) * m->strides[0] + (size_t)(column + k) * m->size,
			       emulated_shared(ptx_swizzled(from + (i * m->box[0] + k) * m->size), m->size), m->size);
}
static inline void ptx_cp_async_bulk_commit_group() {}
static inline void ptx_cp_async_bulk_wait_group_read(int) {}

/* ---- products --------------------------------------------------------------------------------- */

struct ptx_f16 { enum { size = 2 }; static float value(const void *p) { return ptx_half(*(const unsigned short *)p); } };
struct ptx_bf16 { enum { size = 2 }; static float value(const void *p) { return __uint_as_float((unsigned)*(const unsigned short *)p << 16); } };
struct ptx_tf32 { enum { size = 4 }; static float value(const void *p) { return __uint_as_float(*(const unsigned *)p & ~0x1fffu); } };

extern unsigned emulated_words[EMULATED_THREADS][8];

/* Four 8 x 8 matrices of 16 bits, whose rows' addresses the lanes have, eight each. */
static inline void ptx_ldmatrix_sync_aligned_m8n8_x4_shared_b16(unsigned &a, unsigned &b, unsigned &c, unsigned &d, unsigned row)
{
	const unsigned me = emulated_thread, warp = me & ~31u, lane = me % 32;
	unsigned r[4];
	emulated_words[me][0] = row;
	emulated_wait(EMULATED_WARP);
	for (int k = 0; k < 4; k++) r[k] = ptx_at<unsigned>(emulated_words[warp + k * 8 + lane / 4][0] + lane % 4 * 4);
	emulated_wait(EMULATED_WARP);
	a = r[0], b = r[1], c = r[2], d = r[3];
}

/* d += a * b of 16 x K and K x 8, 32 bytes of depth: register i of a has rows lane / 4 + i % 2 * 8, and the 4 bytes lane % 4 of half i / 2 of
 * the depth; register i of b column lane / 4 of half i; d has columns lane % 4 * 2 of rows lane / 4, + 8. */
template<class T> static inline void ptx_mma(T, float &d0, float &d1, float &d2, float &d3, unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0,
                                             unsigned b1)
{
	const unsigned me = emulated_thread, warp = me & ~31u, lane = me % 32;
	const unsigned own[6] = { a0, a1, a2, a3, b0, b1 };
	float sums[4] = { d0, d1, d2, d3 };
	for (int k = 0; k < 6; k++) emulated_words[me][k] = own[k];
	emulated_wait(EMULATED_WARP);
	for (int e = 0; e < 4; e++)
		for (int half = 0; half < 2; half++)
			for (int word = 0; word < 4; word++) {
				const char *a = (const char *)&emulated_words[warp + lane / 4 * 4 + word][e / 2 + half * 2];
				const char *b = (const char *)&emulated_words[warp + (lane % 4 * 2 + e % 2) * 4 + word][4 + half];
				for (int byte = 0; byte < 4; byte += T::size) sums[e] += T::value(a + byte) * T::value(b + byte);
			}
	emulated_wait(EMULATED_WARP);
	d0 = sums[0], d1 = sums[1], d2 = sums[2], d3 = sums[3];
}
#define PTX_MMA(name, type) \
	static inline void ptx_mma_sync_aligned_##name(float &d0, float &d1, float &d2, float &d3, unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0, \
	                                               unsigned b1, float, float, float, float) \
	{ \
		ptx_mma(type(), d0, d1, d2, d3, a0, a1, a2, a3, b0, b1); \
	}
PTX_MMA(m16n8k16_row_col_f32_f16_f16_f32, ptx_f16)
PTX_MMA(m16n8k16_row_col_f32_bf16_bf16_f32, ptx_bf16)
PTX_MMA(m16n8k8_row_col_f32_tf32_tf32_f32, ptx_tf32)

/* An element of a matrix that a descriptor says where to find: rows of 128 bytes, eight of which are a group, swizzled. */
template<class T> static inline float ptx_described(unsigned long long descriptor, int row, int k)
{
	const unsigned start = (unsigned)(descriptor & 0x3fff) << 4, group = (unsigned)(descriptor >> 32 & 0x3fff) << 4;
	return T::value(emulated_shared(ptx_swizzled(start + row / 8 * group + row % 8 * 128 + k * T::size), T::size));
}

/* d += a * b of 64 x K and K x N: a warp of the four has 16 rows; a thread columns j * 8 + lane % 4 * 2 of rows lane / 4, + 8. */
template<int N, int K, class T> static inline void ptx_wgmma(T, float *d, unsigned long long a, unsigned long long b, int adds)
{
	if ((a >> 62) != 1 || (b >> 62) != 1) {
		fprintf(stderr, "emulated device: a matrix that is not swizzled by 128 bytes\n");
		abort();
	}
	const int thread = (int)threadIdx.x % 128, lane = thread % 32, row = thread / 32 * 16 + lane / 4;
	for (int half = 0; half < 2; half++) {
		float x[K];
		for (int k = 0; k < K; k++) x[k] = ptx_described<T>(a, row + half * 8, k);
		for (int j = 0; j < N / 8; j++)
			for (int e = 0; e < 2; e++) {
				float sum = adds ? d[j * 4 + half * 2 + e] : 0.0f;
				for (int k = 0; k < K; k++) sum += x[k] * ptx_described<T>(b, j * 8 + lane % 4 * 2 + e, k);
				d[j * 4 + half * 2 + e] = sum;
			}
	}
}
static inline void ptx_wgmma_fence_sync_aligned() {}
static inline void ptx_wgmma_commit_group_sync_aligned() {}
static inline void ptx_wgmma_wait_group_sync_aligned(int) {}
