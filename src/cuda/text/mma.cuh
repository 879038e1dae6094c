/* mma.cuh -- implicit GEMM of any shape from compute capability 8.0 on: threads copy tiles of input and weights into a ring in shared
 * memory, warps multiply them by mma.sync or, where FMA is set, threads do in float32.
 *   BM, BN, WARPS_M, WARPS_N     rows and columns of a tile, and of warps that share it
 *   STAGES, BLOCKS               of the ring; that are to fit a multiprocessor
 *   WHOLE                        the channels of a pixel are whole chunks of 16 bytes, and aligned */

enum {
	ROW = 128, CHUNK = 16 / ES, BK = ROW / ES, THREADS = WARPS_M * WARPS_N * 32, WM = BM / WARPS_M, WN = BN / WARPS_N,
	A_BYTES = BM * ROW, STAGE_BYTES = (BM + BN) * ROW,
	LINES = THREADS / 8, A_LINES = BM / LINES, B_LINES = BN / LINES              /* rows that a round of chunks covers; rounds */
};

HERE void copy_chunk(u32 to, const void *from, bool there)
{
	asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(to), "l"(__cvta_generic_to_global(from)), "r"(there ? 16 : 0) : "memory");
}
HERE void copies_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template<int n> HERE void copies_wait() { asm volatile("cp.async.wait_group %0;" :: "n"(n) : "memory"); }

/* Of 16 bytes of a row, so that what 8 neighbouring rows have in one column lies in different banks. */
HERE u32 chunk_place(int row, int chunk) { return row * ROW + ((chunk ^ (row & 7)) << 4); }

/* A place in the depth: channel c of tap (r, s). */
struct tap {
	int c, r, s;
	HERE void move(const igemm_args &p, tap &t, int by)
	{
		t.c += by;
		while (t.c >= p.c) {
			t.c -= p.c;
			if (++t.s == p.s) { t.s = 0; t.r++; }
		}
	}
};

/* Pixel (0, 0) of the tap window of an output pixel. */
struct corner { int h, w; const element *at; };

HERE corner corner_of(const igemm_args &p, int m)
{
	corner c = { -(1 << 29), 0, (const element *)p.in };
	if (m >= p.m) return c;                              /* so far out that no tap is inside */
	const int line = m / p.q, image = line / p.p;
	c.h = line % p.p * p.stride_h - p.pad_h;
	c.w = m % p.q * p.stride_w - p.pad_w;
	c.at += (((long long)image * p.h + c.h) * p.w + c.w) * p.row_in;
	return c;
}

HERE const element *input_at(const igemm_args &p, const corner &o, const tap &t)
{
	const int h = o.h + t.r * p.dilation_h, w = o.w + t.s * p.dilation_w;
	if (t.r >= p.r || (u32)h >= (u32)p.h || (u32)w >= (u32)p.w) return 0;
	return o.at + ((long long)t.r * p.dilation_h * p.w + t.s * p.dilation_w) * p.row_in + t.c;
}

HERE void copy_input(const igemm_args &p, u32 to, const corner &o, const tap &at)
{
	if (WHOLE) {
		const element *from = input_at(p, o, at);
		copy_chunk(to, from ? from : (const element *)p.in, from != 0);
		return;
	}
	union { element e[CHUNK]; uint4 word; } u;
	tap t = at;
	for (int i = 0; i < CHUNK; i++) {
		const element *from = input_at(p, o, t);
		u.e[i] = from ? *from : element(0);
		tap::move(p, t, 1);
	}
	asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" :: "r"(to), "r"(u.word.x), "r"(u.word.y), "r"(u.word.z), "r"(u.word.w) : "memory");
}

/* ---- products --------------------------------------------------------------------------------- */

#if FMA
/* A thread has rows ty + 4 i and columns tx + 8 j of its warp's tile. */
enum { TM = WM / 4, TN = WN / 8 };
typedef float accumulators[TM][TN];

HERE float4 read_four(u32 at)
{
	float4 f;
	asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(f.x), "=f"(f.y), "=f"(f.z), "=f"(f.w) : "r"(at) : "memory");
	return f;
}

HERE void multiply(u32 a, u32 b, int row, int column, accumulators &acc)
{
	const int ty = threadIdx.x % 32 / 8, tx = threadIdx.x % 8;
	#pragma unroll
	for (int chunk = 0; chunk < 8; chunk++) {
		float4 x[TM];
		#pragma unroll
		for (int i = 0; i < TM; i++) x[i] = read_four(a + chunk_place(row + ty + 4 * i, chunk));
		#pragma unroll
		for (int j = 0; j < TN; j++) {
			const float4 y = read_four(b + chunk_place(column + tx + 8 * j, chunk));
			#pragma unroll
			for (int i = 0; i < TM; i++)
				acc[i][j] = __fmaf_rn(x[i].w, y.w, __fmaf_rn(x[i].z, y.z, __fmaf_rn(x[i].y, y.y, __fmaf_rn(x[i].x, y.x, acc[i][j]))));
		}
	}
}

HERE void put(const igemm_args &p, int m, int n, float acc)
{
	if (m >= p.m || n >= p.n) return;
	float x[OPERANDS + 1];
	#pragma unroll
	for (int k = 0; k < OPERANDS; k++) {
		const int kind = operand_kind(k) & ~IGEMM_WIDE;
		x[k] = operand_float(p, k, kind == IGEMM_ONE ? 0 : kind == IGEMM_FULL ? (long long)m * p.row_out + n : n);
	}
	((float *)p.out)[(long long)m * p.row_out + n] = tail(acc + p.bias[n], x);
}

HERE void finish(const igemm_args &p, int m0, int n0, accumulators &acc)
{
	const int ty = threadIdx.x % 32 / 8, tx = threadIdx.x % 8;
	#pragma unroll
	for (int i = 0; i < TM; i++)
		#pragma unroll
		for (int j = 0; j < TN; j++) put(p, m0 + ty + 4 * i, n0 + tx + 8 * j, acc[i][j]);
}
#else
typedef float accumulators[WM / 16][WN / 8][4];

HERE void load_matrices(u32 (&r)[4], u32 at)
{
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}

HERE void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1)
{
#if T_F32
	asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
#elif T_F16
	asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
#else
	asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
#endif
	             "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
	             : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* A step of the depth is 32 bytes, two chunks, in every type. */
HERE void multiply(u32 a, u32 b, int row, int column, accumulators &acc)
{
	const int lane = threadIdx.x % 32;
	#pragma unroll
	for (int step = 0; step < 4; step++) {
		u32 x[WM / 16][4], y[WN / 16][4];
		#pragma unroll
		for (int i = 0; i < WM / 16; i++) {
			load_matrices(x[i], a + chunk_place(row + i * 16 + lane % 16, step * 2 + lane / 16));
#if T_F32
			#pragma unroll
			for (int k = 0; k < 4; k++) asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(x[i][k]) : "f"(__uint_as_float(x[i][k])));
#endif
		}
		#pragma unroll
		for (int j = 0; j < WN / 16; j++) load_matrices(y[j], b + chunk_place(column + j * 16 + lane / 16 * 8 + lane % 8, step * 2 + lane / 8 % 2));
		#pragma unroll
		for (int i = 0; i < WM / 16; i++)
			#pragma unroll
			for (int j = 0; j < WN / 8; j++) mma(acc[i][j], x[i], y[j / 2][j % 2 * 2], y[j / 2][j % 2 * 2 + 1]);
	}
}

HERE void finish(const igemm_args &p, int m0, int n0, accumulators &acc)
{
	const int lane = threadIdx.x % 32;
	#pragma unroll
	for (int j = 0; j < WN / 8; j++) {
		const int n = n0 + j * 8 + lane % 4 * 2;
		if (n >= p.n) continue;
		const float2 bias = *(const float2 *)(p.bias + n);
		#pragma unroll
		for (int i = 0; i < WM / 16; i++)
			#pragma unroll
			for (int half = 0; half < 2; half++) {
				const int m = m0 + i * 16 + half * 8 + lane / 4;
				if (m >= p.m) continue;
				const float2 y = epilogue(p, make_float2(acc[i][j][half * 2], acc[i][j][half * 2 + 1]), bias, make_float2(0.0f, 0.0f), m, n);
				element *to = (element *)p.out + (long long)m * p.row_out + n;
				if (p.n % 2 == 0) *(two *)to = two_of(y.x, y.y);
				else {
					to[0] = element_of(y.x);
					if (n + 1 < p.n) to[1] = element_of(y.y);
				}
			}
	}
}
#endif

/* ---- the kernel ------------------------------------------------------------------------------- */

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) igemm(const __grid_constant__ igemm_args p)
{
	extern __shared__ __align__(128) unsigned char shared[];
	const u32 base = shared_address(shared);
	const int line = threadIdx.x / 8, chunk = threadIdx.x % 8, warp = threadIdx.x / 32;
	const int m0 = blockIdx.x / p.tiles_n * BM, n0 = blockIdx.x % p.tiles_n * BN, row = warp / WARPS_N * WM, column = warp % WARPS_N * WN;
	corner corners[A_LINES];
	tap at = { 0, 0, 0 };
	accumulators acc = {};
	let_next_start();
	#pragma unroll
	for (int i = 0; i < A_LINES; i++) corners[i] = corner_of(p, m0 + line + i * LINES);
	tap::move(p, at, chunk * CHUNK);
	wait_for_previous();
	for (int load = 0; load < p.k_blocks + STAGES - 1; load++) {
		if (load >= STAGES - 1) {
			copies_wait<STAGES - 2>();
			__syncthreads();                             /* and what the stage below held has been multiplied */
		}
		if (load < p.k_blocks) {
			const u32 stage = base + load % STAGES * STAGE_BYTES;
			#pragma unroll
			for (int i = 0; i < A_LINES; i++) copy_input(p, stage + chunk_place(line + i * LINES, chunk), corners[i], at);
			#pragma unroll
			for (int i = 0; i < B_LINES; i++) {
				const int n = n0 + line + i * LINES;
				const element *from = (const element *)p.weights + (long long)n * p.k + load * BK + chunk * CHUNK;
				copy_chunk(stage + A_BYTES + chunk_place(line + i * LINES, chunk), n < p.n ? from : (const element *)p.weights, n < p.n);
			}
			tap::move(p, at, BK);
		}
		copies_commit();
		if (load >= STAGES - 1) {
			const u32 stage = base + (load - STAGES + 1) % STAGES * STAGE_BYTES;
			multiply(stage, stage + A_BYTES, row, column, acc);
		}
	}
	finish(p, m0 + row, n0 + column, acc);
}
