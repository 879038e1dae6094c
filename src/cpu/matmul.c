/* matmul.c -- float32 Gemm and MatMul. */
#include "cpu/product.h"

enum { ALPHA, BETA, TRANS_A, TRANS_B };  /* attributes of Gemm */

typedef struct matmul {
	int64_t batch;                       /* products; those that share B and lie behind each other are one */
	cpu_view batch_a, batch_b;           /* which matrix of A and B a product takes */
	ptrdiff_t a_row, a_k, b_k, b_j;      /* strides in a matrix */
	int64_t size_a, size_b;              /* elements of a matrix */
	float alpha, beta;
	bool packed;
	int n_packed;                        /* matrices of B, when packed */
	int64_t packed_floats;               /* of one of them */
	/* Gemm's C, read as [rows or 1][columns or 1] */
	ptrdiff_t start_row; bool start_columns;
	int64_t n_start;                     /* elements; 0: none */
	cpu_product product;
	const cpu_strips *tail;
	const float *b;                      /* for packing */
	int slots;
	size_t buffer_bytes, slot_bytes;     /* of a strip of B; with the tail's buffers */
	size_t scaled_bytes;                 /* of beta * C, behind the slots */
} matmul;

typedef struct matmul_run { const matmul *m; const backend_run *run; const float *start; } matmul_run;

static const float zero;

typedef struct matmul_source { const matmul *m; cpu_matrix b; const float *packed; } matmul_source;

static const float *packed_columns(const cpu_operands *o, int64_t k0, int64_t k1, int64_t j0, int64_t j1, float *buffer,
                                   ptrdiff_t *ld)
{
	const matmul_source *s = o->source;
	(void)k1; (void)buffer;
	*ld = cpu_product_width(&s->m->product, j0, j1);
	return s->packed + j0 * s->m->product.k + k0 * *ld;
}

static const float *plain_columns(const cpu_operands *o, int64_t k0, int64_t k1, int64_t j0, int64_t j1, float *buffer,
                                  ptrdiff_t *ld)
{
	const matmul_source *s = o->source;
	return cpu_matrix_columns(&s->b, &s->m->product, k0, k1, j0, j1, buffer, ld);
}

static void matmul_task(void *arg, int64_t task, int slot)
{
	const matmul_run *r = arg;
	const matmul *m = r->m;
	const cpu_product *p = &m->product;
	int64_t chunk = task % p->chunks, strip = task / p->chunks % p->strips, at = task / p->chunks / p->strips;
	int64_t b = cpu_view_at(&m->batch_b, at);
	matmul_source source = { .m = m };
	if (m->packed) source.packed = (const float *)r->run->packed + b * m->packed_floats;
	else source.b = (cpu_matrix){ (const float *)r->run->in[1]->data + b * m->size_b, m->b_k, m->b_j, m->alpha };
	cpu_operands o = { .a = (const float *)r->run->in[0]->data + cpu_view_at(&m->batch_a, at) * m->size_a,
	                   .a_row = m->a_row, .a_k = m->a_k,
	                   .start = r->start, .start_row = m->start_row, .start_columns = m->start_columns,
	                   .c = (float *)r->run->out[0]->data + at * p->m * p->n, .c_row = p->n,
	                   .columns = m->packed ? packed_columns : plain_columns, .source = &source,
	                   .tail = m->tail, .in = r->run->in, .at = at * p->m * p->n };
	char *buffer = (char *)r->run->workspace + (size_t)slot * m->slot_bytes;
	cpu_product_run(p, &o, strip, chunk, (float *)buffer, (float *)(buffer + m->buffer_bytes));
}

static og_status matmul_execute(const backend_kernel *k, const backend_run *run)
{
	const matmul *m = k->state;
	const cpu_product *p = &m->product;
	matmul_run r = { m, run, &zero };
	if (m->n_start) {
		r.start = run->in[2]->data;
		if (m->scaled_bytes) {
			float *scaled = (float *)((char *)run->workspace + (size_t)m->slots * m->slot_bytes);
			for (int64_t i = 0; i < m->n_start; i++) scaled[i] = m->beta * r.start[i];
			r.start = scaled;
		}
	}
	cpu_tasks(run->threads, m->slots, m->batch * p->strips * p->chunks, matmul_task, &r);
	return OG_OK;
}

static og_status matmul_pack(const backend_kernel *k, void *packed)
{
	const matmul *m = k->state;
	for (int i = 0; i < m->n_packed; i++) {
		cpu_matrix b = { m->b + i * m->size_b, m->b_k, m->b_j, m->alpha };
		cpu_product_pack_b(&m->product, &b, (float *)packed + i * m->packed_floats);
	}
	return OG_OK;
}

/* ---- shapes --------------------------------------------------------------------------------- */

typedef struct sizes { int64_t m, n, k; } sizes;

static void gemm_shapes(matmul *m, sizes *s, const backend_node *node)
{
	const og_tensor *a = &node->in[0], *b = &node->in[1], *c = &node->in[2];
	bool trans_a = node->attr[TRANS_A].i != 0, trans_b = node->attr[TRANS_B].i != 0;
	*s = (sizes){ a->dims[trans_a], b->dims[!trans_b], a->dims[!trans_a] };
	m->batch = 1;
	m->a_row = trans_a ? 1 : s->k;
	m->a_k = trans_a ? s->m : 1;
	m->b_k = trans_b ? 1 : s->n;
	m->b_j = trans_b ? s->k : 1;
	m->alpha = node->attr[ALPHA].f;
	m->beta = node->attr[BETA].f;
	cpu_view_make(&m->batch_a, 0, NULL, 0, NULL);
	cpu_view_make(&m->batch_b, 0, NULL, 0, NULL);
	if (!cpu_has(node, 2) || m->beta == 0.0f) return;
	int64_t columns = c->rank > 0 ? c->dims[c->rank - 1] : 1, rows = c->rank > 1 ? c->dims[0] : 1;
	m->n_start = og_count(c);
	m->start_columns = columns > 1;
	m->start_row = rows > 1 ? columns : 0;
}

/* A of one dimension is a row, B of one a column. */
static void matmul_shapes(matmul *m, sizes *s, const backend_node *node)
{
	const og_tensor *a = &node->in[0], *b = &node->in[1], *y = node->out;
	int batch_a = a->rank > 2 ? a->rank - 2 : 0, batch_b = b->rank > 2 ? b->rank - 2 : 0;
	int batch = batch_a > batch_b ? batch_a : batch_b;
	*s = (sizes){ .m = a->rank > 1 ? a->dims[a->rank - 2] : 1, .n = b->rank > 1 ? b->dims[b->rank - 1] : 1,
	              .k = a->dims[a->rank - 1] };
	m->a_row = s->k;
	m->a_k = m->b_j = 1;
	m->b_k = s->n;
	m->alpha = 1.0f;
	m->batch = og_span(y, 0, batch);
	cpu_view_make(&m->batch_a, batch_a, a->dims, batch, y->dims);
	cpu_view_make(&m->batch_b, batch_b, b->dims, batch, y->dims);
	if (cpu_view_is_scalar(&m->batch_b) && m->batch_a.rank == 1 && m->batch_a.stride[0] == 1) {
		s->m *= m->batch;
		m->batch = 1;
	}
	m->n_packed = (int)og_span(b, 0, batch_b);
}

og_status cpu_matmul(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	bool gemm = cpu_is(node, "Gemm");
	sizes s;
	if (!gemm && !cpu_is(node, "MatMul")) return OG_NO;
	bool packed = cpu_is_constant(r, 1);
	if (!cpu_is_tactic(r, packed ? "matmul.packed" : "matmul.plain")) return OG_NO;
	matmul *m = arena_alloc(r->a, sizeof *m);
	NEED(m);
	m->n_packed = 1;
	(gemm ? gemm_shapes : matmul_shapes)(m, &s, node);
	m->size_a = s.m * s.k;
	m->size_b = s.k * s.n;
	m->b = node->in[1].data;
	m->packed = packed;
	TRY(cpu_strips_make(&m->tail, r, LAYOUT_PLAIN));
	double work = (double)m->batch * (double)s.m * (double)s.n * (double)s.k;
	m->slots = cpu_slots(work, r->threads);
	cpu_product_plan(&m->product, r->kernels, s.m, s.n, s.k, packed);
	cpu_product_share(&m->product, m->batch, m->slots);
	m->buffer_bytes = packed ? 0 : cpu_product_buffer(&m->product);
	m->slot_bytes = m->buffer_bytes + cpu_strips_bytes(m->tail);
	m->scaled_bytes = m->n_start && m->beta != 1.0f ? (size_t)m->n_start * sizeof(float) : 0;
	*out = (backend_kernel){ .tactic = r->tactic, .run = matmul_execute, .state = m, .flops = 2.0 * work,
	                         .per_sample = packed && node->in[0].rank > 1 && node->in[1].rank < 3 && !(gemm && node->attr[TRANS_A].i),
	                         .cost = cpu_cost(r->kernels, 2.0 * work, 0.8, m->slots) };
	out->workspace_bytes = m->slot_bytes * (size_t)m->slots + m->scaled_bytes;
	if (!packed) return OG_OK;
	size_t bytes = cpu_product_bytes_b(&m->product);
	if (bytes == SIZE_MAX || !base_mul(bytes, (size_t)m->n_packed, &out->packed_bytes))
		return base_fail(OG_UNSUPPORTED, "node '%s': its matrices are too large to be packed", node->name);
	m->packed_floats = (int64_t)(bytes / sizeof(float));
	out->pack = matmul_pack;
	out->packs_input = 1u << 1;
	return OG_OK;
}
