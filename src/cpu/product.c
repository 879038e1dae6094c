/* product.c -- cutting a matrix product into tiles. */
#include "cpu/product.h"

enum {
	STRIP_FLOATS = 96 * 1024,            /* a strip takes some 400 KB of L2 */
	LEAST_STRIP = 192, MOST_STRIP = 1024,        /* columns: stretches for the epilogue */
	EVEN_TASKS = 16                      /* so many tasks for each thread are shared out evenly enough */
};


/* Columns of a strip, whole tiles of `tile` columns. A packed B that is read once is read in the order it lies. */
static int64_t strip_columns(const cpu_product *p, int64_t tile)
{
	int64_t columns = cpu_lesser(STRIP_FLOATS / p->depth, MOST_STRIP);
	if (columns < LEAST_STRIP) columns = LEAST_STRIP;
	if (p->tight) columns = tile;
	return cpu_lesser(cpu_ceil_div(columns, tile), cpu_ceil_div(p->n, tile)) * tile;
}

void cpu_product_plan(cpu_product *p, const cpu_kernels *kernels, int64_t m, int64_t n, int64_t k, bool b_packed)
{
	*p = (cpu_product){ .kernels = kernels, .m = m, .n = n, .k = k,
	                    .rows = 1, .vectors = 1, .depth = 1, .strip = 1, .chunk = 1 };
	if (m == 0 || n == 0) return;
	p->rows = (int)cpu_ceil_div(m, cpu_ceil_div(m, kernels->max_rows));
	p->vectors = (int)cpu_lesser(cpu_lesser(kernels->max_sums / p->rows, CPU_MAX_VECTORS), cpu_ceil_div(n, kernels->lanes));
	p->tight = b_packed && m <= p->rows;
	if (k > 0) p->depth = p->tight ? k : cpu_ceil_div(k, cpu_ceil_div(k, CPU_DEPTH));
	p->strip = strip_columns(p, (int64_t)p->vectors * kernels->lanes);
	p->strips = cpu_ceil_div(n, p->strip);
}

void cpu_product_share(cpu_product *p, int64_t outer, int threads)
{
	int64_t blocks = cpu_ceil_div(p->m, p->rows);
	p->chunks = outer * p->strips >= EVEN_TASKS * (int64_t)threads ? 1 : cpu_lesser(threads, blocks);
	if (p->chunks > 0) p->chunk = cpu_ceil_div(blocks, p->chunks) * p->rows;
	p->chunks = cpu_ceil_div(p->m, p->chunk);
}

size_t cpu_product_buffer(const cpu_product *p)
{
	return cpu_whole_lines(((size_t)p->depth * (size_t)p->strip + CPU_MAX_LANES) * sizeof(float));
}

/* The tiles of a block of rows over n columns, which share out the vectors evenly. They begin at t's pointers. */
static void run_tiles(const cpu_product *p, cpu_tile *t, int rows, int64_t n)
{
	cpu_tile_fn *const *tile = t->tap ? p->kernels->taps[rows] : p->kernels->tile[rows];
	int lanes = p->kernels->lanes;
	int64_t left = cpu_ceil_div(n, lanes), tiles = cpu_ceil_div(left, p->vectors);
	for (; tiles > 0; tiles--) {
		int vectors = (int)cpu_ceil_div(left, tiles);
		int64_t columns = (int64_t)vectors * lanes;
		t->last = n < columns ? (int)(n - columns + lanes) : lanes;
		tile[vectors](t);
		t->b += columns;
		t->c += columns;
		if (t->start_columns) t->start += columns;
		n -= columns;
		left -= vectors;
	}
}

/* Where a block of rows begins in A and B, and what its sums start from. */
static void start_tile(const cpu_product *p, const cpu_operands *o, cpu_tile *t, int64_t i, int64_t j0, int64_t k0)
{
	t->c = o->c + i * o->c_row + j0;
	t->c_row = o->c_row;
	if (o->a_packed) {
		t->a = o->a + i * p->k + k0 * p->rows;
		t->a_row = 1;
		t->a_k = p->rows;
	} else {
		t->a = o->a + i * o->a_row + k0 * o->a_k;
		t->a_row = o->a_row;
		t->a_k = o->a_k;
	}
	if (k0 == 0) {
		t->start = o->start + i * o->start_row + (o->start_columns ? j0 : 0);
		t->start_row = o->start_row;
		t->start_columns = o->start_columns;
	} else {
		t->start = t->c;
		t->start_row = o->c_row;
		t->start_columns = true;
	}
}

void cpu_product_run(const cpu_product *p, const cpu_operands *o, int64_t strip, int64_t chunk, float *buffer,
                     float *tail_buffers)
{
	int64_t i0 = chunk * p->chunk, i1 = cpu_lesser(i0 + p->chunk, p->m);
	int64_t j0 = strip * p->strip, j1 = cpu_lesser(j0 + p->strip, p->n);
	if (o->tail) cpu_strips_begin(o->tail, o->in, tail_buffers);
	for (int64_t k0 = 0; k0 == 0 || k0 < p->k; k0 += p->depth) {
		int64_t k1 = cpu_lesser(k0 + p->depth, p->k);
		ptrdiff_t ld = 0;
		const float *b = k0 < k1 ? o->columns(o, k0, k1, j0, j1, buffer, &ld) : buffer;
		for (int64_t i = i0; i < i1; i += p->rows) {
			int rows = (int)cpu_lesser(p->rows, i1 - i);
			cpu_tile t = { .b = b, .b_k = ld, .tap = o->tap, .k = k1 - k0 };
			start_tile(p, o, &t, i, j0, k0);
			run_tiles(p, &t, rows, j1 - j0);
			for (int64_t r = i; o->tail && k1 == p->k && r < i + rows; r++)
				cpu_strips_run(o->tail, o->in, o->at + r * p->n + j0, j1 - j0, o->c + r * o->c_row + j0, tail_buffers);
		}
	}
}

/* ---- packing -------------------------------------------------------------------------------- */

size_t cpu_product_bytes_a(const cpu_product *p)
{
	size_t floats, bytes;
	int64_t rows = cpu_ceil_div(p->m, p->rows) * p->rows;
	return base_mul((size_t)rows, (size_t)p->k, &floats) && base_mul(floats, sizeof(float), &bytes) ? bytes : SIZE_MAX;
}

void cpu_product_pack_a(const cpu_product *p, const float *a, float *packed)
{
	for (int64_t i = 0; i < p->m; i += p->rows)
		for (int64_t k = 0; k < p->k; k++)
			for (int64_t r = i; r < i + p->rows; r++) *packed++ = r < p->m ? a[r * p->k + k] : 0.0f;
}

size_t cpu_product_bytes_b(const cpu_product *p)
{
	size_t floats, bytes, columns = p->strips ? (size_t)cpu_product_width(p, 0, p->n) : 0;
	if (!base_mul(columns, (size_t)p->k, &floats) || !base_mul(floats, sizeof(float), &bytes)) return SIZE_MAX;
	return bytes <= SIZE_MAX / 2 ? bytes + CPU_MAX_LANES * sizeof(float) : SIZE_MAX;
}

/* Rows [k0, k1) of columns [j0, j1) to rows ld elements apart. */
static void copy_matrix(const cpu_matrix *b, int64_t k0, int64_t k1, int64_t j0, int64_t j1, float *to, ptrdiff_t ld)
{
	for (int64_t k = k0; k < k1; k++, to += ld) {
		const float *row = b->b + k * b->b_k;
		if (b->b_j == 1 && b->alpha == 1.0f) memcpy(to, row + j0, (size_t)(j1 - j0) * sizeof *to);
		else for (int64_t j = j0; j < j1; j++) to[j - j0] = b->alpha * row[j * b->b_j];
		for (int64_t j = j1 - j0; j < ld; j++) to[j] = 0.0f;
	}
}

const float *cpu_matrix_columns(const cpu_matrix *b, const cpu_product *p, int64_t k0, int64_t k1, int64_t j0,
                                int64_t j1, float *buffer, ptrdiff_t *ld)
{
	*ld = cpu_product_width(p, j0, j1);
	if (b->b_j == 1 && b->alpha == 1.0f && *ld == j1 - j0) {
		*ld = b->b_k;
		return b->b + k0 * b->b_k + j0;
	}
	copy_matrix(b, k0, k1, j0, j1, buffer, *ld);
	return buffer;
}

void cpu_product_pack_b(const cpu_product *p, const cpu_matrix *b, float *packed)
{
	for (int64_t s = 0; s < p->strips; s++) {
		int64_t j = s * p->strip, end = cpu_lesser(j + p->strip, p->n), width = cpu_product_width(p, j, end);
		copy_matrix(b, 0, p->k, j, end, packed, width);
		packed += width * p->k;
	}
	memset(packed, 0, CPU_MAX_LANES * sizeof *packed);
}
