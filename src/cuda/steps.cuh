/* steps.cuh -- what the kernels of a plan's steps are made of; comes behind opgraft/op.h. */

/* Op files are included for their formulas: kernels are made here, one for each step. */
#undef MAP
#undef MAP_TEST
#undef OG_ROWS_KERNEL
#undef KERNEL
#define MAP(f, nin, nattr)
#define MAP_TEST(f, nin, nattr)
/* name_as(og_f16(), c) is the work of a thread of an op file's own kernel. */
#define OG_ROWS_KERNEL(f, T) \
	OG_HERE void f##_warp_as(og_##T, const og_device_call &c) { og_rows_of_team<og_rows_of_##f, og_##T, og_warp_team>(c); } \
	OG_HERE void f##_block_as(og_##T, const og_device_call &c) { og_rows_of_team<og_rows_of_##f, og_##T, og_block_team>(c); } \
	OG_HERE void f##_columns_as(og_##T, const og_device_call &c) { og_rows_columns<og_rows_of_##f, og_##T>(c); }
#define KERNEL(name) \
	template<class T> static __device__ void name##_of(const og_device_call &c); \
	template<class T> OG_HERE void name##_as(T, const og_device_call &c) { name##_of<T>(c); } \
	template<class T> static __device__ void name##_of(const og_device_call &c)

/* What every kernel is given. */
struct og_step { const void *in[20]; void *out[4]; const void *packed; void *workspace; };

/* Pack number `at` of V elements. */
template<class T, int V> OG_HERE og_pack<T, V> og_pack_at(const void *p, long long at) { return og_read<T, V>((const T *)p + at * V); }

/* a * b + c as one rounding: products may. */
OG_HERE float og_madd(float a, float b, float c) { return __fmaf_rn(a, b, c); }

/* ---- small networks (whole.c) ----------------------------------------------------------------- */

/* Writes x to this place of shared memory in every block of the cluster. */
template<int CLUSTER> OG_HERE void ogs_share(float *p, float x)
{
#if __CUDA_ARCH__ >= 900
	if (CLUSTER > 1) {
		const unsigned here = (unsigned)__cvta_generic_to_shared(p);
		#pragma unroll
		for (int rank = 0; rank < CLUSTER; rank++) {
			unsigned there;
			asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(here), "r"(rank));
			asm volatile("st.shared::cluster.f32 [%0], %1;" :: "r"(there), "f"(x) : "memory");
		}
		return;
	}
#endif
	*p = x;
}

/* All threads of the cluster have come here, and see what the others wrote. */
template<int CLUSTER> OG_HERE void ogs_together()
{
#if __CUDA_ARCH__ >= 900
	if (CLUSTER > 1) {
		asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
		return;
	}
#endif
	__syncthreads();
}

/* Adds one input channel to a tile of K channels x Y rows x X columns. Weights: [KY][KX][ROW]. */
template<int K, int Y, int X, int KY, int KX, int ROW, int WIDE>
OG_HERE void ogs_conv(float (&sum)[K][Y][X], const float *x, const float *u)
{
	#pragma unroll
	for (int r = 0; r < Y + KY - 1; r++) {
		float cell[X + KX - 1];
		#pragma unroll
		for (int i = 0; i < X + KX - 1; i++) cell[i] = x[r * WIDE + i];
		#pragma unroll
		for (int y = 0; y < Y; y++) {
			const int ky = r - y;
			if (ky < 0 || ky >= KY) continue;
			#pragma unroll
			for (int kx = 0; kx < KX; kx++) {
				const float *row = u + (ky * KX + kx) * ROW;
				float weight[K];
				#pragma unroll
				for (int k = 0; k < K; k++) {
					if (K % 4 || ROW % 4) {
						weight[k] = row[k];
					} else if (k % 4 == 0) {
						const float4 four = *(const float4 *)(row + k);
						weight[k] = four.x, weight[k + 1] = four.y, weight[k + 2] = four.z, weight[k + 3] = four.w;
					}
				}
				#pragma unroll
				for (int k = 0; k < K; k++)
					#pragma unroll
					for (int i = 0; i < X; i++) sum[k][y][i] = og_madd(weight[k], cell[kx + i], sum[k][y][i]);
			}
		}
	}
}

/* Tasks of products, rounded up so that the eight threads of a sum stay together in a whole warp. */
OG_HERE constexpr int ogs_round(int n) { return (n + 3) / 4 * 4; }

/* sum[s] = weights * x of sample s, K long, in a row of ROW; eight threads share it, and all have the result. SIZE: from sample to sample. */
template<int S, int K, int ROW, int SIZE> OG_HERE void ogs_dense(float (&sum)[S], const float *x, const float *weights, int lane)
{
	#pragma unroll
	for (int s = 0; s < S; s++) sum[s] = 0.0f;
	#pragma unroll 4
	for (int k = lane * 4; k < K; k += 32) {
		const float4 u = __ldg((const float4 *)(weights + k));
		#pragma unroll
		for (int s = 0; s < S; s++) {
			const float4 cell = *(const float4 *)(x + s * SIZE + k);
			sum[s] = og_madd(u.x, cell.x, sum[s]);
			/* what lies behind the row is another value's, which no weight of 0 makes harmless */
			if (K % 4 == 0 || k + 1 < K) sum[s] = og_madd(u.y, cell.y, sum[s]);
			if (K % 4 == 0 || k + 2 < K) sum[s] = og_madd(u.z, cell.z, sum[s]);
			if (K % 4 == 0 || k + 3 < K) sum[s] = og_madd(u.w, cell.w, sum[s]);
		}
	}
	#pragma unroll
	for (int s = 0; s < S; s++)
		#pragma unroll
		for (int step = 4; step > 0; step /= 2) sum[s] += __shfl_xor_sync(~0u, sum[s], step);
}

/* sum[lane] without an index that is not constant. */
template<int S> OG_HERE float ogs_pick(const float (&sum)[S], int lane)
{
	float picked = sum[0];
	#pragma unroll
	for (int s = 1; s < S; s++) picked = lane == s ? sum[s] : picked;
	return picked;
}
