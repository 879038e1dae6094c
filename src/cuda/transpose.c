/* transpose.c -- Transpose: through tiles in shared memory where the innermost dimension changes, so that both sides are read and
 * written in rows; else rows as they are. */
#include "cuda/cuda.h"

enum { TILE_BYTES = 1 << 14, LEAST_SIDE = 4, USUAL_SIDE = 64, MOST_SIDE = 1024, LEAST_PLANE = 1024 };

/* The output's dimensions, innermost first, neighbours that move together joined; strides of both sides in elements. */
typedef struct route { int rank; int64_t size[OG_MAX_RANK], in[OG_MAX_RANK], out[OG_MAX_RANK]; } route;

static void find_route(route *m, const backend_node *node)
{
	const og_tensor *x = &node->in[0], *y = node->out;
	const og_attr_value *perm = cuda_attr(node, "perm");
	int64_t step = 1;
	*m = (route){ 0 };
	for (int d = y->rank - 1; d >= 0; step *= y->dims[d--]) {
		const int from = perm->present ? (int)perm->ints[d] : y->rank - 1 - d, last = m->rank - 1;
		const int64_t in = og_span(x, from + 1, x->rank);
		if (y->dims[d] == 1) continue;
		if (m->rank && in == m->in[last] * m->size[last]) {
			m->size[last] *= y->dims[d];
			continue;
		}
		m->size[m->rank] = y->dims[d];
		m->in[m->rank] = in;
		m->out[m->rank++] = step;
	}
}

/* Statements that take `rest` apart into indices of all dimensions but those of the tile, and add their strides. */
static void put_places(text *t, const route *m, int skip, int also)
{
	for (int d = 0; d < m->rank; d++) {
		if (d == skip || d == also) continue;
		CUDA_PUT(t, "\t\tfrom += rest % $ * $ll, to += rest % $ * $ll, rest /= $;\n",
		         m->size[d], m->in[d], m->size[d], m->out[d], m->size[d]);
	}
}

/* ---- tiles ------------------------------------------------------------------------------------- */

/* x: [.. A .. B], y: [.. B .. A]. A thread moves squares of Q x Q elements, Q of them one unit of memory; a tile has ACROSS
 * squares of the input's rows and DOWN of its columns. */
static const char tiles[] =
	"\tunion word { U unit; T e[Q]; };\n"
	"\t__shared__ U tile[ACROSS * Q * (DOWN + 1)];\n"
	"\tfor (long long item = blockIdx.x; item < ITEMS; item += gridDim.x) {\n"
	"\t\tlong long rest = item / TILES_B / TILES_A, from = 0, to = 0;\n"
	"\t\tconst unsigned b0 = (unsigned)(item % TILES_B) * (ACROSS * Q), a0 = (unsigned)(item / TILES_B % TILES_A) * (DOWN * Q);\n";
static const char tiles_rest[] =
	"\t\tconst T *x = (const T *)c.in[0] + from;\n\t\tT *y = (T *)c.out[0] + to;\n"
	"\t\tword in[TURNS][Q];\n"
	"\t\t#pragma unroll\n"
	"\t\tfor (int k = 0; k < TURNS; k++) {\n"
	"\t\t\tconst unsigned at = k * 256 + threadIdx.x, a = a0 + at / ACROSS * Q, b = b0 + at % ACROSS * Q;\n"
	"\t\t\t#pragma unroll\n"
	"\t\t\tfor (int q = 0; q < Q; q++)\n"
	"\t\t\t\tif (a < A && b < B) in[k][q].unit = *(const U *)(x + (a + q) * ROW_IN + b);\n"
	"\t\t}\n"
	"\t\t#pragma unroll\n"
	"\t\tfor (int k = 0; k < TURNS; k++) {\n"
	"\t\t\tconst unsigned at = k * 256 + threadIdx.x;\n"
	"\t\t\t#pragma unroll\n"
	"\t\t\tfor (int p = 0; p < Q; p++) {\n"
	"\t\t\t\tword made;\n"
	"\t\t\t\t#pragma unroll\n"
	"\t\t\t\tfor (int q = 0; q < Q; q++) made.e[q] = in[k][q].e[p];\n"
	"\t\t\t\ttile[(at % ACROSS * Q + p) * (DOWN + 1) + at / ACROSS] = made.unit;\n"
	"\t\t\t}\n\t\t}\n\t\t__syncthreads();\n"
	"\t\t#pragma unroll\n"
	"\t\tfor (int k = 0; k < TURNS * Q; k++) {\n"
	"\t\t\tconst unsigned at = k * 256 + threadIdx.x, b = b0 + at / DOWN, a = a0 + at % DOWN * Q;\n"
	"\t\t\tif (a < A && b < B) *(U *)(y + b * ROW_OUT + a) = tile[at / DOWN * (DOWN + 1) + at % DOWN];\n"
	"\t\t}\n\t\t__syncthreads();\n\t}\n}\n";

static int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }

/* The power of two that holds so many. */
static int64_t side_for(int64_t squares)
{
	int64_t side = LEAST_SIDE;
	while (side < squares && side < MOST_SIDE) side *= 2;
	return side;
}

/* True when units of so many elements lie together on both sides. */
static bool moves_by(const route *m, int inner, int64_t wide)
{
	for (int d = 0; d < m->rank; d++)
		if ((d != 0 && m->out[d] % wide) || (d != inner && m->in[d] % wide)) return false;
	return m->size[0] % wide == 0 && m->size[inner] % wide == 0;
}

/* Blocks; 0: planes are too small. inner: the dimension that is the input's innermost. */
static int64_t put_tiles(text *t, const route *m, int inner, size_t bytes)
{
	const char *type = cuda_bits_of(bytes);
	int64_t wide = bytes < 4 ? 4 / (int64_t)bytes : 1, a = m->size[0], b = m->size[inner];
	while (wide > 1 && !moves_by(m, inner, wide)) wide /= 2;
	const int64_t squares = TILE_BYTES / (int64_t)(bytes < 4 ? 4 : bytes) / wide;
	const int64_t most_across = side_for(b / wide);
	int64_t across = lesser(most_across, USUAL_SIDE), down = lesser(side_for(a / wide), squares / across);
	across = lesser(most_across, squares / down);
	if (a * b < LEAST_PLANE || a > INT32_MAX / 2 || b > INT32_MAX / 2 || across * down % CUDA_THREADS) return 0;
	const int64_t tiles_a = (a - 1) / (down * wide) + 1, tiles_b = (b - 1) / (across * wide) + 1;
	int64_t items = tiles_a * tiles_b;
	for (int d = 1; d < m->rank; d++)
		if (d != inner) items *= m->size[d];
	text_printf(t, "(const __grid_constant__ og_step c)\n{\n\ttypedef %s T;\n\ttypedef %s U;\n",
	            type, cuda_bits_of(bytes * (size_t)wide));
	CUDA_PUT(t, "\tenum { Q = $, ACROSS = $, DOWN = $, TURNS = $, A = $, B = $ };\n",
	         wide, across, down, across * down / CUDA_THREADS, a, b);
	CUDA_PUT(t, "\tconst long long ITEMS = $ll, TILES_A = $, TILES_B = $, ROW_IN = $ll, ROW_OUT = $ll;\n",
	         items, tiles_a, tiles_b, m->in[0], m->out[inner]);
	text_add(t, tiles);
	put_places(t, m, 0, inner);
	text_add(t, tiles_rest);
	return items;
}

/* ---- rows --------------------------------------------------------------------------------------- */

/* The innermost dimension stays so: packs of it move whole, two of a thread at once. */
static int64_t put_rows(text *t, const route *m, size_t bytes)
{
	route packs = *m;
	int64_t wide = 16 / (int64_t)bytes, n = 1;
	while (wide > 1 && !moves_by(m, 0, wide)) wide /= 2;
	for (int d = 0; d < m->rank; d++) {
		packs.size[d] /= d ? 1 : wide;
		packs.in[d] /= d ? wide : 1;
		packs.out[d] /= d ? wide : 1;
		n *= packs.size[d];
	}
	text_printf(t, "(const __grid_constant__ og_step c)\n{\n\ttypedef %s T;\n", cuda_bits_of(bytes));
	CUDA_PUT(t, "\tenum { V = $ };\n\tconst long long PACKS = $ll;\n", wide, n);
	text_printf(t, "\tfor (long long first = (long long)blockIdx.x * 512 + threadIdx.x; first < PACKS; first += og_stride() * 2) {\n"
	               "\t\tog_pack<T, V> in[2];\n\t\t#pragma unroll\n\t\tfor (int u = 0; u < 2; u++) {\n"
	               "\t\t%s rest = first + u * 256;\n\t\tlong long from = 0, to = 0;\n"
	               "\t\tif (first + u * 256 >= PACKS) continue;\n", n >> 31 ? "unsigned long long" : "unsigned");
	put_places(t, &packs, -1, -1);
	text_add(t, "\t\tin[u] = og_read<T, V>((const T *)c.in[0] + from * V);\n\t\t(void)to;\n\t\t}\n"
	            "\t\t#pragma unroll\n\t\tfor (int u = 0; u < 2; u++)\n"
	            "\t\t\tif (first + u * 256 < PACKS) og_write<T, V>((T *)c.out[0] + (first + u * 256) * V, in[u]);\n\t}\n}\n");
	return (n + 2 * CUDA_THREADS - 1) / (2 * CUDA_THREADS);
}

og_status cuda_transpose(backend_kernel *out, const cuda_request *r)
{
	const backend_node *node = r->node;
	const size_t bytes = og_dtype_bytes(node->in[0].dtype);
	cuda_launches *l;
	int inner = 0;
	route m;
	if (!cuda_bits_of(bytes) || og_count(node->out) == 0) return OG_NO;
	find_route(&m, node);
	while (inner < m.rank && m.in[inner] != 1) inner++;
	if (m.rank < 2) return OG_NO;
	TRY(cuda_launch_begin(&l, r));
	text t = { 0 };
	int64_t blocks = inner ? put_tiles(&t, &m, inner, bytes) : put_rows(&t, &m, bytes);
	char *made = text_take(&t);
	og_status status = made ? OG_OK : base_no_memory();
	if (status == OG_OK) status = blocks ? cuda_launch_add(l, r, made, blocks) : OG_NO;
	base_free(made);
	TRY(status);
	*out = (backend_kernel){ .tactic = r->tactic, .cost = 2000.0 + (double)og_count(node->out) * 1e-3 };
	cuda_launch_with(out, l);
	return OG_OK;
}
