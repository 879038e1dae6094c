/* product.c -- convolutions and matrix products of any shape and type by their definition, a thread for each output:
 * what runs where no faster way is for a node. Sums in float32. */
#include "cuda/cuda.h"

#include <math.h>

#include "ops/window.h"

enum { GROUP = WINDOW_OWN_ATTRS };
enum { ALPHA, BETA, TRANS_A, TRANS_B };  /* attributes of Gemm */

static void put_head(text *t, int64_t count)
{
	text_printf(t, "(const __grid_constant__ og_step c)\n{\n"
	               "\tfor (long long at = og_first(); at < %lldll; at += og_stride()) {\n", (long long)count);
}

static og_status put_conv(text *t, const cuda_request *r, double *flops)
{
	const backend_node *node = r->node;
	const og_tensor *x = &node->in[0], *weights = &node->in[1], *y = node->out;
	const char *type = cuda_type(x->dtype), *weight = cuda_type(weights->dtype);
	window w;
	window_of(&w, node->attr, x, y, weights);
	int64_t groups = node->attr[GROUP].i, channels = weights->dims[1], outputs = weights->dims[0] / groups;
	*flops = 2.0 * (double)og_count(y) * (double)(channels * w.kernel[0] * w.kernel[1] * w.kernel[2]);
	put_head(t, og_count(y));
	text_printf(t, "\t\tconst int x_ = at %% %lldll, y_ = at / %lldll %% %lldll, z_ = at / %lldll %% %lldll;\n",
	            (long long)w.out[2], (long long)w.out[2], (long long)w.out[1], (long long)(w.out[2] * w.out[1]),
	            (long long)w.out[0]);
	int64_t plane = w.out[0] * w.out[1] * w.out[2], in_plane = w.in[0] * w.in[1] * w.in[2];
	int64_t taps = w.kernel[0] * w.kernel[1] * w.kernel[2];
	text_printf(t, "\t\tconst long long k = at / %lldll %% %lldll, n = at / %lldll;\n",
	            (long long)plane, (long long)weights->dims[0], (long long)(plane * weights->dims[0]));
	text_printf(t, "\t\tconst %s *x = (const %s *)c.in[0] + (n * %lldll + k / %lldll * %lldll) * %lldll;\n"
	               "\t\tconst %s *w = (const %s *)c.in[1] + k * %lldll;\n",
	            type, type, (long long)(channels * groups), (long long)outputs, (long long)channels,
	            (long long)in_plane, weight, weight, (long long)(channels * taps));
	if (cuda_has(node, 2) && node->n_anchor_in > 2)
		text_printf(t, "\t\tfloat value = og_value(((const %s *)c.in[2])[k]);\n", cuda_type(node->in[2].dtype));
	else text_add(t, "\t\tfloat value = 0.0f;\n");
	text_printf(t, "\t\tfor (int i = 0; i < %lld; i++, x += %lldll, w += %lld)\n",
	            (long long)channels, (long long)in_plane, (long long)taps);
	static const char axis[3] = { 'z', 'y', 'x' };
	for (int a = 0; a < 3; a++)
		text_printf(t, "\t\t\tfor (int k%c = 0, p%c = %c_ * %lld - %lld; k%c < %lld; k%c++, p%c += %lld)\n",
		            axis[a], axis[a], axis[a], (long long)w.stride[a], (long long)w.begin[a], axis[a],
		            (long long)w.kernel[a], axis[a], axis[a], (long long)w.dilation[a]);
	text_printf(t, "\t\t\t\tif (pz >= 0 && pz < %lld && py >= 0 && py < %lld && px >= 0 && px < %lld)\n",
	            (long long)w.in[0], (long long)w.in[1], (long long)w.in[2]);
	text_printf(t, "\t\t\t\t\tvalue = og_madd(og_value(w[(kz * %lld + ky) * %lld + kx]), og_value(x[(pz * %lldll + py) * %lldll + px]), value);\n",
	            (long long)w.kernel[1], (long long)w.kernel[2], (long long)w.in[1], (long long)w.in[2]);
	TRY(cuda_tail_text(t, r, LAYOUT_PLAIN));
	text_add(t, "\t}\n}\n");
	return OG_OK;
}

typedef struct sizes { int64_t m, n, k, a_row, a_k, b_k, b_j; } sizes;

static void put_sum(text *t, const sizes *s)
{
	text_printf(t, "\t\tfor (int k = 0; k < %lld; k++) value = og_madd(og_value(a[k * %lldll]), og_value(b[k * %lldll]), value);\n", (long long)s->k,
	            (long long)s->a_k, (long long)s->b_k);
}

static og_status put_gemm(text *t, const cuda_request *r, double *flops)
{
	const backend_node *node = r->node;
	const og_tensor *a = &node->in[0], *b = &node->in[1], *c = &node->in[2];
	const char *type = cuda_type(a->dtype);
	bool trans_a = node->attr[TRANS_A].i != 0, trans_b = node->attr[TRANS_B].i != 0;
	sizes s = { a->dims[trans_a], b->dims[!trans_b], a->dims[!trans_a], 0, 0, 0, 0 };
	s.a_row = trans_a ? 1 : s.k;
	s.a_k = trans_a ? s.m : 1;
	s.b_k = trans_b ? 1 : s.n;
	s.b_j = trans_b ? s.k : 1;
	*flops = 2.0 * (double)s.m * (double)s.n * (double)s.k;
	put_head(t, s.m * s.n);
	text_printf(t, "\t\tconst long long i = at / %lldll, j = at %% %lldll;\n", (long long)s.n, (long long)s.n);
	text_printf(t, "\t\tconst %s *a = (const %s *)c.in[0] + i * %lldll;\n"
	               "\t\tconst %s *b = (const %s *)c.in[1] + j * %lldll;\n\t\tfloat value = 0.0f;\n",
	            type, type, (long long)s.a_row, cuda_type(b->dtype), cuda_type(b->dtype), (long long)s.b_j);
	put_sum(t, &s);
	text_printf(t, "\t\tvalue *= %.9ef;\n", (double)node->attr[ALPHA].f);
	if (node->n_anchor_in > 2 && cuda_has(node, 2) && node->attr[BETA].f != 0.0f) {
		int64_t columns = c->rank > 0 ? c->dims[c->rank - 1] : 1, rows = c->rank > 1 ? c->dims[0] : 1;
		text_printf(t, "\t\tvalue = og_madd(%.9ef, og_value(((const %s *)c.in[2])[i * %lldll + j * %d]), value);\n",
		            (double)node->attr[BETA].f, cuda_type(c->dtype), (long long)(rows > 1 ? columns : 0),
		            columns > 1 ? 1 : 0);
	}
	TRY(cuda_tail_text(t, r, LAYOUT_PLAIN));
	text_add(t, "\t}\n}\n");
	return OG_OK;
}

/* How far a batch axis goes on in an operand, from the innermost out, as "(z / 3 % 4) * 12 + ...": z is the
 * product's number. */
static void put_batch(text *t, const og_tensor *x, const og_tensor *y, int batch)
{
	int64_t below = 1, next = x->rank > 1 ? x->dims[x->rank - 1] * x->dims[x->rank - 2] : 0;
	text_add(t, "0");
	for (int d = batch - 1; d >= 0; d--) {
		int at = d - (y->rank - x->rank) + (x->rank > 1 ? 0 : 0);
		int64_t size = at >= 0 && at < x->rank - 2 ? x->dims[at] : 1;
		if (size > 1)
			text_printf(t, " + z / %lldll %% %lldll * %lldll",
			            (long long)below, (long long)y->dims[d], (long long)next);
		below *= y->dims[d];
		next *= size;
	}
}

static og_status put_matmul(text *t, const cuda_request *r, double *flops)
{
	const backend_node *node = r->node;
	const og_tensor *a = &node->in[0], *b = &node->in[1], *y = node->out;
	const char *type = cuda_type(a->dtype);
	if (a->rank < 2 || b->rank < 2) return OG_NO;
	int batch = y->rank - 2;
	sizes s = { a->dims[a->rank - 2], b->dims[b->rank - 1], a->dims[a->rank - 1], 0, 1, 0, 1 };
	s.a_row = s.k;
	s.b_k = s.n;
	*flops = 2.0 * (double)og_count(y) * (double)s.k;
	put_head(t, og_count(y));
	text_printf(t, "\t\tconst long long j = at %% %lldll, i = at / %lldll %% %lldll, z = at / %lldll;\n\t\t(void)z;\n",
	            (long long)s.n, (long long)s.n, (long long)s.m, (long long)(s.m * s.n));
	text_printf(t, "\t\tconst %s *a = (const %s *)c.in[0] + i * %lldll + ", type, type, (long long)s.a_row);
	put_batch(t, a, y, batch);
	text_printf(t, ";\n\t\tconst %s *b = (const %s *)c.in[1] + j + ", cuda_type(b->dtype), cuda_type(b->dtype));
	put_batch(t, b, y, batch);
	text_add(t, ";\n\t\tfloat value = 0.0f;\n");
	put_sum(t, &s);
	TRY(cuda_tail_text(t, r, LAYOUT_PLAIN));
	text_add(t, "\t}\n}\n");
	return OG_OK;
}

og_status cuda_product(backend_kernel *out, const cuda_request *r)
{
	const backend_node *node = r->node;
	cuda_launches *l;
	double flops = 0;
	og_status (*put)(text *, const cuda_request *, double *) =
		cuda_is(node, "Conv") ? put_conv : cuda_is(node, "Gemm") ? put_gemm : cuda_is(node, "MatMul") ? put_matmul : NULL;
	if (!put || !cuda_is_tactic(r, "product.direct") || node->in[0].rank > 5) return OG_NO;
	TRY(cuda_launch_begin(&l, r));
	text t = { 0 };
	og_status status = put(&t, r, &flops);
	char *made = text_take(&t);
	if (status == OG_OK && !made) status = base_no_memory();
	if (status == OG_OK) status = cuda_launch_add(l, r, made, (og_count(node->out) + CUDA_THREADS - 1) / CUDA_THREADS);
	base_free(made);
	TRY(status);
	/* a thread waits for each of its terms */
	const double depth = flops / 2 / fmax((double)og_count(node->out), 1);
	*out = (backend_kernel){ .tactic = r->tactic, .flops = flops, .cost = 2000 + depth * 5 + flops * 1e-3 };
	cuda_launch_with(out, l);
	return OG_OK;
}
