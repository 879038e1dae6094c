/* wgmma.cuh -- implicit GEMM for compute capability 9.0: one warp copies tiles of input and weights into a ring in shared memory,
 * one or two warpgroups multiply them and run the epilogue.
 *   BM, BN           rows and columns of a tile
 *   STAGES, BLOCKS   of the ring; that are to fit a multiprocessor
 *   TURNS            1: two warpgroups take turns, each with a tile of its own: one multiplies while the other runs the epilogue
 *   SPLIT            blocks of a cluster that share a tile's depth; they add up through each other's shared memory */

enum {
	ROW = 128,                                           /* bytes of a row of a tile in the ring */
	GROUPS = TURNS || BM == 256 ? 2 : BM / 64, SLABS = TURNS ? BM / 64 : BM / 64 / GROUPS, THREADS = GROUPS * 128 + 32,
	BK = ROW / ES, STEPS = ROW / 32, PANEL = 128 / ES, PANELS = BN / PANEL,
	A_BYTES = BM * ROW, B_BYTES = BN * ROW, PANEL_BYTES = 64 * 128, C_BYTES = SPLIT == 1 ? GROUPS * SLABS * PANELS * PANEL_BYTES : 0,
	PARTIAL = BN + 8                                     /* floats of a row of partial sums: no bank conflicts */
};

/* ---- PTX by name ------------------------------------------------------------------------------ */

HERE void barrier_init(u32 barrier, int arrivals) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(barrier), "r"(arrivals)); }
HERE void barrier_arrive(u32 barrier) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(barrier) : "memory"); }
HERE void barrier_expect(u32 barrier, int bytes)
{
	asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(barrier), "r"(bytes) : "memory");
}
HERE void barrier_wait(u32 barrier, u32 parity)
{
	asm volatile("{\n.reg .pred done;\nagain:\nmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@!done bra again;\n}"
	             :: "r"(barrier), "r"(parity) : "memory");
}
HERE void copy_tile(u32 to, const u64 *map, u32 barrier, int column, int row)
{
	asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];"
	             :: "r"(to), "l"(map), "r"(barrier), "r"(column), "r"(row) : "memory");
}
HERE void copy_pixels(u32 to, const u64 *map, u32 barrier, int c, int w, int h, int n, int tap_w, int tap_h)
{
	asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes "
	             "[%0], [%1, {%3, %4, %5, %6}], [%2], {%7, %8};"
	             :: "r"(to), "l"(map), "r"(barrier), "r"(c), "r"(w), "r"(h), "r"(n), "h"((unsigned short)tap_w), "h"((unsigned short)tap_h)
	             : "memory");
}
HERE void store_tile(const u64 *map, u32 from, int column, int row)
{
	asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%2, %3}], [%1];"
	             :: "l"(map), "r"(from), "r"(column), "r"(row) : "memory");
}
HERE void stores_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
HERE void stores_have_read() { asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory"); }
HERE void publish_to_copies() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
HERE void group_sync(int group) { asm volatile("bar.sync %0, 128;" :: "r"(group + 1) : "memory"); }
/* Groups that take turns: a group's products begin when the other's have been issued, so that whatever the ring held before is there.
 * Parities tell a stage's fill from the one before it, not from the one before that. */
HERE void turn_wait(int group) { asm volatile("bar.sync %0, 256;" :: "r"(group + 4) : "memory"); }
HERE void turn_pass(int group) { asm volatile("bar.arrive %0, 256;" :: "r"((group ^ 1) + 4) : "memory"); }
HERE void cluster_sync() { asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory"); }
HERE void mma_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
HERE void mma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template<int n> HERE void mma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(n) : "memory"); }

/* Describes a tile of 8-row groups, rows of ROW bytes, swizzled as the copies write it. */
HERE u64 tile_descriptor(u32 address)
{
	return (u64)(address >> 4 & 0x3fff) | 1ull << 16 | (u64)(8 * ROW >> 4) << 32 | 1ull << 62;
}

/* Two elements of a staged tile: 64 rows of panels of 128 bytes, whose 16-byte chunks the copies swizzle by the row. */
HERE u32 staged_place(u32 slab, int row, int column)
{
	int byte = column % PANEL * ES;
	return slab + column / PANEL * PANEL_BYTES + row * 128 + ((byte / 16 ^ (row & 7)) * 16) + byte % 16;
}
HERE two staged_read(u32 at)
{
	two t;
#if T_F32
	asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(t.x), "=f"(t.y) : "r"(at) : "memory");
#else
	asm volatile("ld.shared.b32 %0, [%1];" : "=r"(t) : "r"(at) : "memory");
#endif
	return t;
}
HERE void staged_write(u32 at, two t)
{
#if T_F32
	asm volatile("st.shared.v2.f32 [%0], {%1, %2};" :: "r"(at), "f"(t.x), "f"(t.y) : "memory");
#else
	asm volatile("st.shared.b32 [%0], %1;" :: "r"(at), "r"(t) : "memory");
#endif
}

/* ---- a block ---------------------------------------------------------------------------------- */

struct block {
	u32 a, b, c, full, empty, staged;                    /* shared memory; a barrier for each stage, each group */
	int first, step, rank;                               /* tiles first, first + step, ...; place in the cluster */
	int k_begin, k_end;
};

/* Where a tile's k blocks are read. */
struct source {
	int n0, m0, w, h, image;
	HERE source of(const igemm_args &p, int tile)
	{
		source s;
		s.m0 = tile / p.tiles_n * BM;
		s.n0 = tile % p.tiles_n * BN;
		int line = s.m0 / p.q;
		s.w = s.m0 % p.q * p.stride_w - p.pad_w;
		s.h = line % p.p * p.stride_h - p.pad_h;
		s.image = line / p.p;
		return s;
	}
};

HERE void copy_input(const igemm_args &p, const block &b, const source &s, int stage, int k_block)
{
	int tap = k_block / p.c_blocks, channel = k_block % p.c_blocks * BK;
	if (p.pointwise) copy_tile(b.a + stage * A_BYTES, p.map[IGEMM_MAP_IN], b.full + 8 * stage, channel, s.m0);
	else copy_pixels(b.a + stage * A_BYTES, p.map[IGEMM_MAP_IN], b.full + 8 * stage, channel, s.w, s.h, s.image,
	                 tap % p.s * p.dilation_w, tap / p.s * p.dilation_h);
}
HERE void copy_weights(const igemm_args &p, const block &b, const source &s, int stage, int k_block)
{
	barrier_expect(b.full + 8 * stage, A_BYTES + B_BYTES);
	copy_tile(b.b + stage * B_BYTES, p.map[IGEMM_MAP_WEIGHTS], b.full + 8 * stage, k_block * BK, s.n0);
}

/* Weights depend on no kernel before this one: the first stages of them go ahead. */
HERE void produce(const igemm_args &p, const block &b)
{
	const int tiles = p.tiles_m * p.tiles_n, depth = b.k_end - b.k_begin, ahead = depth < STAGES ? depth : STAGES;
	if (b.first < tiles) {
		source s = source::of(p, b.first);
		for (int k = 0; k < ahead; k++) copy_weights(p, b, s, k, b.k_begin + k);
	}
	wait_for_previous();
	int stage = 0, count = 0;
	u32 parity = 1;
	for (int tile = b.first; tile < tiles; tile += b.step) {
		source s = source::of(p, tile);
		for (int k = b.k_begin; k < b.k_end; k++) {
			if (count++ >= ahead) {
				barrier_wait(b.empty + 8 * stage, parity);
				copy_weights(p, b, s, stage, k);
			}
			copy_input(p, b, s, stage, k);
			if (++stage == STAGES) { stage = 0; parity ^= 1; }
		}
	}
}

struct ring {
	int stage;
	u32 parity;
	HERE void skip(ring &r, int stages)
	{
		r.stage += stages;
		r.parity ^= r.stage / STAGES & 1;
		r.stage %= STAGES;
	}
};

typedef float accumulators[SLABS][BN / 2];

/* Of a group in its tile. */
HERE int first_slab(int group) { return TURNS ? 0 : group * SLABS; }

HERE void multiply(const block &b, int group, ring &r, accumulators &acc)
{
	int last = 0;
	if (TURNS) turn_wait(group);
	for (int k = b.k_begin; k < b.k_end; k++) {
		barrier_wait(b.full + 8 * r.stage, r.parity);
		const u64 a = tile_descriptor(b.a + r.stage * A_BYTES + first_slab(group) * 64 * ROW), w = tile_descriptor(b.b + r.stage * B_BYTES);
		mma_begin();
		#pragma unroll
		for (int step = 0; step < STEPS; step++)
			#pragma unroll
			for (int slab = 0; slab < SLABS; slab++)
				mma(acc[slab], a + slab * (64 * ROW >> 4) + step * 2, w + step * 2, k > b.k_begin || step > 0);
		mma_commit();
		if (k > b.k_begin) {
			mma_wait<1>();
			if (threadIdx.x % 32 == 0) barrier_arrive(b.empty + 8 * last);
		}
		last = r.stage;
		if (++r.stage == STAGES) { r.stage = 0; r.parity ^= 1; }
	}
	if (TURNS) turn_pass(group);
	mma_wait<0>();
	#pragma unroll
	for (int slab = 0; slab < SLABS; slab++)
		#pragma unroll
		for (int i = 0; i < BN / 2; i++) asm volatile("" : "+f"(acc[slab][i]) :: "memory");
	if (threadIdx.x % 32 == 0) barrier_arrive(b.empty + 8 * last);
}

/* ---- a tile of a block's own ------------------------------------------------------------------ */

HERE bool leads_group() { return threadIdx.x % 128 == 0; }

/* The staged operand's part of a group's rows; the stores that were made from there have been read. */
HERE void stage_operand(const igemm_args &p, const block &b, int group, int m0, int n0)
{
	const u32 barrier = b.staged + 8 * group;
	barrier_expect(barrier, SLABS * PANELS * PANEL_BYTES);
	#pragma unroll
	for (int slab = 0; slab < SLABS; slab++)
		#pragma unroll
		for (int panel = 0; panel < PANELS; panel++)
			copy_tile(b.c + ((group * SLABS + slab) * PANELS + panel) * PANEL_BYTES, p.map[IGEMM_MAP_STAGED], barrier,
			          n0 + panel * PANEL, m0 + (first_slab(group) + slab) * 64);
}

HERE void finish(const igemm_args &p, const block &b, int group, int m0, int n0, accumulators &acc)
{
	const int lane = threadIdx.x % 32, row = threadIdx.x % 128 / 32 * 16 + lane / 4, column = lane % 4 * 2;
	#pragma unroll
	for (int j = 0; j < BN / 8; j++) {
		const int n = n0 + j * 8 + column;
		const float2 bias = *(const float2 *)(p.bias + n);
		#pragma unroll
		for (int slab = 0; slab < SLABS; slab++)
			#pragma unroll
			for (int half = 0; half < 2; half++) {
				const int in_slab = row + half * 8, m = m0 + (first_slab(group) + slab) * 64 + in_slab;
				const u32 at = staged_place(b.c + (group * SLABS + slab) * PANELS * PANEL_BYTES, in_slab, j * 8 + column);
				float2 y = make_float2(acc[slab][j * 4 + half * 2], acc[slab][j * 4 + half * 2 + 1]), s = make_float2(0.0f, 0.0f);
				if (STAGED >= 0) s = two_floats(staged_read(at));
				y = epilogue(p, y, bias, s, m, n);
				staged_write(at, two_of(y.x, y.y));
			}
	}
	publish_to_copies();
	group_sync(group);
	if (!leads_group()) return;
	for (int slab = 0; slab < SLABS; slab++)
		for (int panel = 0; panel < PANELS; panel++) {
			const int m = m0 + (first_slab(group) + slab) * 64, n = n0 + panel * PANEL;
			if (m < p.m && n < p.n)
				store_tile(p.map[IGEMM_MAP_OUT], b.c + ((group * SLABS + slab) * PANELS + panel) * PANEL_BYTES, n, m);
		}
	stores_commit();
}

HERE void consume(const igemm_args &p, const block &b, int group)
{
	ring r = { 0, 0 };
	u32 parity = 0;
	wait_for_previous();
	if (TURNS && group) {
		ring::skip(r, b.k_end - b.k_begin);
		turn_pass(group);
	}
	for (int tile = b.first + (TURNS ? group * b.step : 0); tile < p.tiles_m * p.tiles_n; tile += TURNS ? 2 * b.step : b.step) {
		const int m0 = tile / p.tiles_n * BM, n0 = tile % p.tiles_n * BN;
		accumulators acc;
		if (STAGED >= 0 && leads_group()) {
			stores_have_read();
			stage_operand(p, b, group, m0, n0);
		}
		__syncwarp();
		multiply(b, group, r, acc);
		if (STAGED >= 0) barrier_wait(b.staged + 8 * group, parity);
		else {
			if (leads_group()) stores_have_read();
			group_sync(group);
		}
		parity ^= 1;
		finish(p, b, group, m0, n0, acc);
		if (TURNS) ring::skip(r, b.k_end - b.k_begin);
	}
	if (leads_group()) stores_have_read();
}

/* ---- a tile of a cluster's -------------------------------------------------------------------- */

/* Blocks leave their sums in the ring's memory; each then adds up some rows of all and runs the epilogue on them. */
HERE void leave_sums(const block &b, int group, accumulators &acc)
{
	const int lane = threadIdx.x % 32, row = threadIdx.x % 128 / 32 * 16 + lane / 4, column = lane % 4 * 2;
	asm volatile("bar.sync 1, %0;" :: "n"(GROUPS * 128) : "memory");
	#pragma unroll
	for (int slab = 0; slab < SLABS; slab++)
		#pragma unroll
		for (int j = 0; j < BN / 8; j++)
			#pragma unroll
			for (int half = 0; half < 2; half++)
				asm volatile("st.shared.v2.f32 [%0], {%1, %2};" :: "r"(b.a + (((group * SLABS + slab) * 64 + row + half * 8) * PARTIAL + j * 8 + column) * 4),
				             "f"(acc[slab][j * 4 + half * 2]), "f"(acc[slab][j * 4 + half * 2 + 1]) : "memory");
}

HERE void add_up(const igemm_args &p, const block &b, int m0, int n0)
{
	enum { FOURS = BN / 4, ROWS = (BM + SPLIT - 1) / SPLIT };
	u32 from[SPLIT];
	#pragma unroll
	for (int k = 0; k < SPLIT; k++) asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(from[k]) : "r"(b.a), "r"(k));
	for (int item = threadIdx.x; item < ROWS * FOURS; item += GROUPS * 128) {
		const int row = b.rank * ROWS + item / FOURS, column = item % FOURS * 4, m = m0 + row, n = n0 + column;
		float4 part[SPLIT], sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
		if (row >= BM || m >= p.m || n >= p.n) continue;
		#pragma unroll
		for (int k = 0; k < SPLIT; k++)
			asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(part[k].x), "=f"(part[k].y), "=f"(part[k].z), "=f"(part[k].w)
			             : "r"(from[k] + (row * PARTIAL + column) * 4) : "memory");
		#pragma unroll
		for (int k = 0; k < SPLIT; k++) sum = make_float4(sum.x + part[k].x, sum.y + part[k].y, sum.z + part[k].z, sum.w + part[k].w);
		const float4 bias = *(const float4 *)(p.bias + n);
		float2 lo = make_float2(0.0f, 0.0f), hi = lo;
		if (STAGED >= 0) {
			lo = operand_two(p, STAGED, m, n);
			hi = operand_two(p, STAGED, m, n + 2);
		}
		lo = epilogue(p, make_float2(sum.x, sum.y), make_float2(bias.x, bias.y), lo, m, n);
		hi = epilogue(p, make_float2(sum.z, sum.w), make_float2(bias.z, bias.w), hi, m, n + 2);
		struct __align__(4 * ES) fours { two lo, hi; } y = { two_of(lo.x, lo.y), two_of(hi.x, hi.y) };
		*(fours *)((element *)p.out + (long long)m * p.row_out + n) = y;
	}
}

HERE void consume_split(const igemm_args &p, const block &b, int group)
{
	ring r = { 0, 0 };
	accumulators acc;
	wait_for_previous();
	multiply(b, group, r, acc);
	leave_sums(b, group, acc);
}

/* ---- the kernel ------------------------------------------------------------------------------- */

HERE block make_block(const igemm_args &p, u32 shared)
{
	block b;
	b.a = shared + 1023 & ~1023u;
	b.b = b.a + STAGES * A_BYTES;
	b.c = b.b + STAGES * B_BYTES;
	b.full = b.c + C_BYTES;
	b.empty = b.full + 8 * STAGES;
	b.staged = b.empty + 8 * STAGES;
	b.rank = SPLIT == 1 ? 0 : blockIdx.x % SPLIT;
	b.first = blockIdx.x / SPLIT;
	b.step = gridDim.x / SPLIT;
	b.k_begin = p.k_blocks * b.rank / SPLIT;
	b.k_end = p.k_blocks * (b.rank + 1) / SPLIT;
	return b;
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) igemm(const __grid_constant__ igemm_args p)
{
	extern __shared__ unsigned char shared[];
	const block b = make_block(p, shared_address(shared));
	const int group = threadIdx.x / 128;
	if (threadIdx.x == 0) {
		for (int k = 0; k < STAGES; k++) {
			barrier_init(b.full + 8 * k, 1);
			barrier_init(b.empty + 8 * k, TURNS ? 4 : 4 * GROUPS);
		}
		for (int k = 0; k < GROUPS; k++) barrier_init(b.staged + 8 * k, 1);
		asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
	}
	__syncthreads();
	let_next_start();
	if (group == GROUPS) {
		if (threadIdx.x % 32 == 0) produce(p, b);
		__syncwarp();
	} else if (SPLIT == 1) consume(p, b, group);
	else consume_split(p, b, group);
	if (SPLIT > 1) {
		cluster_sync();
		if (group < GROUPS) add_up(p, b, b.first / p.tiles_n * BM, b.first % p.tiles_n * BN);
		cluster_sync();
	}
}
