/* whole.cuh -- what the kernel of a small network is made of (whole.c): convolutions and products of samples in shared memory, clusters of
 * blocks that share a sample, and sigmoids in few instructions. */

/* ---- formulas ---------------------------------------------------------------------------------- */

#if __CUDA_ARCH__ >= 800
/* a / (1 + exp(-slope x)) in half the instructions: the polynomial is that of vmath.h, the quotient is made of the hardware's
 * reciprocal and a step of Newton. Within the stated error of the formula where the result is no less than 2^-125 of a, 0 times a where it is less; NaN and
 * infinities as there. */
OG_HERE float ogw_gate(float a, float x, float slope)
{
	const float w = slope * -V_LOG2E, low = __fmaf_rn(slope, -V_LOG2E_LOW, __fmaf_rn(slope, -V_LOG2E, -w)), end = fabsf(126.4f / w);
	float n, e, r, q, better;
	asm("max.NaN.f32 %0, %1, %2;" : "=f"(x) : "f"(x), "f"(-end));
	asm("min.NaN.f32 %0, %1, %2;" : "=f"(x) : "f"(x), "f"(end));
	e = v_exp2_parts(x, w, low, &n);
	e = __int_as_float(__float_as_int(e) + (__float_as_int(n) << 23)) + 1.0f;
	asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(e));
	q = a * r;
	better = __fmaf_rn(__fmaf_rn(-e, q, a), r, q);
	return better == better ? better : q;        /* infinite a */
}
#undef v_gate
#define v_gate(a, x, slope) ogw_gate(a, x, slope)
#endif

/* ---- clusters ---------------------------------------------------------------------------------- */

/* Writes x to this place of shared memory in every block of the cluster. */
template<int CLUSTER> OG_HERE void ogw_share(float *p, float x)
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
template<int CLUSTER> OG_HERE void ogw_together()
{
#if __CUDA_ARCH__ >= 900
	if (CLUSTER > 1) {
		asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
		return;
	}
#endif
	__syncthreads();
}

/* ---- convolutions ------------------------------------------------------------------------------ */

/* N floats from p, V at once, p being aligned to those. */
template<int N, int V> OG_HERE void ogw_load(float (&to)[N], const float *p)
{
	#pragma unroll
	for (int i = 0; i < N; i += V) {
		if (V == 4) {
			const float4 four = *(const float4 *)(p + i);
			to[i] = four.x;
			if (i + 1 < N) to[i + 1 < N ? i + 1 : 0] = four.y;
			if (i + 2 < N) to[i + 2 < N ? i + 2 : 0] = four.z;
			if (i + 3 < N) to[i + 3 < N ? i + 3 : 0] = four.w;
		} else if (V == 2) {
			const float2 two = *(const float2 *)(p + i);
			to[i] = two.x;
			if (i + 1 < N) to[i + 1 < N ? i + 1 : 0] = two.y;
		} else {
			to[i] = p[i];
		}
	}
}

/* Adds one input channel to a tile of K channels x Y rows x X columns. Weights: [KY][KX][STEP], of which this tile reads K, WV at once; rows of
 * x are WIDE long and read V at once. */
template<int K, int Y, int X, int KY, int KX, int STEP, int WIDE, int WV, int V>
OG_HERE void ogw_conv(float (&sum)[K][Y][X], const float *x, const float *u)
{
	#pragma unroll
	for (int r = 0; r < Y + KY - 1; r++) {
		float cell[X + KX - 1];
		ogw_load<X + KX - 1, V>(cell, x + r * WIDE);
		#pragma unroll
		for (int y = 0; y < Y; y++) {
			const int ky = r - y;
			if (ky < 0 || ky >= KY) continue;
			#pragma unroll
			for (int kx = 0; kx < KX; kx++) {
				float weight[K];
				ogw_load<K, WV>(weight, u + (ky * KX + kx) * STEP);
				#pragma unroll
				for (int k = 0; k < K; k++)
					#pragma unroll
					for (int i = 0; i < X; i++) sum[k][y][i] = og_madd(weight[k], cell[kx + i], sum[k][y][i]);
			}
		}
	}
}

/* ---- matrix products --------------------------------------------------------------------------- */

/* Weights of J outputs that lane `lane` of L reads, [J][ROW] in memory, for N steps. */
template<int J, int N, int L, int ROW> OG_HERE void ogw_weights(float4 (&to)[N][J], const float *weights, int lane)
{
	#pragma unroll
	for (int n = 0; n < N; n++)
		#pragma unroll
		for (int j = 0; j < J; j++) to[n][j] = __ldg((const float4 *)(weights + j * ROW + (n * L + lane) * 4));
}

/* Adds step `at`, counted in fours, of J outputs x S samples; the row is K long and behind it lies what no weight of 0 makes harmless. */
template<int J, int S, int K, int SIZE> OG_HERE void ogw_step(float (&sum)[J * S], const float *x, const float4 (&u)[J], int k)
{
	if (k >= K) return;
	#pragma unroll
	for (int s = 0; s < S; s++) {
		float4 cell;
		if (SIZE % 4 == 0) {
			cell = *(const float4 *)(x + s * SIZE + k);
		} else {
			const float *p = x + s * SIZE + k;
			cell.x = p[0], cell.y = p[1], cell.z = p[2], cell.w = p[3];
		}
		if (K % 4 != 0 && k + 1 >= K) cell.y = 0.0f;
		if (K % 4 != 0 && k + 2 >= K) cell.z = 0.0f;
		if (K % 4 != 0 && k + 3 >= K) cell.w = 0.0f;
		#pragma unroll
		for (int j = 0; j < J; j++) {
			float a = sum[j * S + s];
			a = og_madd(u[j].x, cell.x, a);
			a = og_madd(u[j].y, cell.y, a);
			a = og_madd(u[j].z, cell.z, a);
			sum[j * S + s] = og_madd(u[j].w, cell.w, a);
		}
	}
}

/* Sums of L neighbours; all have them. */
template<int N, int L> OG_HERE void ogw_reduce_all(float *sum)
{
	#pragma unroll
	for (int i = 0; i < N; i++)
		#pragma unroll
		for (int step = L / 2; step > 0; step /= 2) sum[i] += __shfl_xor_sync(~0u, sum[i], step);
}

/* Sums of L lanes: afterwards a lane has N / L of them in front, from number ogw_owned on, or all have all where there are fewer than L. */
template<int N, int L> OG_HERE void ogw_reduce(float (&sum)[N], int lane)
{
	if (N >= L) {
		#pragma unroll
		for (int step = L / 2, n = N / 2; step > 0; step /= 2, n /= 2)
			#pragma unroll
			for (int i = 0; i < N / 2; i++) {
				if (i >= n) continue;
				const bool upper = lane & step;
				const float give = upper ? sum[i] : sum[i + n], keep = upper ? sum[i + n] : sum[i];
				sum[i] = keep + __shfl_xor_sync(~0u, give, step);
			}
		return;
	}
	ogw_reduce_all<N, L>(sum);
}
template<int N, int L> OG_HERE int ogw_owned(int lane) { return N >= L ? lane * (N / L) : 0; }
