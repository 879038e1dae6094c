/* check_tensor_layers.h -- the problems of check_tensor.c: convolutions with a tail, ResNet-50's, and the variants
 * that can run them. */
#ifndef CHECK_TENSOR_LAYERS_H
#define CHECK_TENSOR_LAYERS_H

#include "check_tensor_gpu.h"
#include "schema/schema.h"

enum { MOST_VARIANTS = 96, MOST_LAYERS = 64 };

static const char *tail_name = "relu";
static bool general;                     /* those ways alone that older devices have, too */
static int few = MOST_VARIANTS;          /* variants of a problem, of all that there are */

typedef struct layer {
	char name[48];
	igemm_problem p;
	program tail;
	igemm_variant v[MOST_VARIANTS];
	int n, kernel[MOST_VARIANTS], window;    /* window: the kernel that writes windows */
	double us[MOST_VARIANTS];
	int best, times;                     /* how often it occurs in the network */
} layer;

static void add_step(program *t, const char *domain, const char *name, int a, int b, int out)
{
	program_step *s = &t->step[t->n_steps++];
	s->op = schema_find(domain, name, 24);
	if (!s->op) stop(1, name);
	s->in[0] = (uint8_t)a;
	s->in[1] = (uint8_t)b;
	s->out = (uint8_t)out;
	s->attr[0] = 1.0f;
	if (out >= t->n_regs) t->n_regs = out + 1;
	t->result = (uint8_t)out;
}

/* Bias; then a residual if `adds`; then the activation if `activates`. */
static void make_tail(layer *l, bool adds, bool activates)
{
	l->tail = (program){ .n_operands = 1 + adds, .n_regs = 1 + adds };
	if (adds) {
		add_step(&l->tail, "", "Add", 0, 1, 2);
		l->p.n_operands = 1;
		l->p.operand[0] = IGEMM_FULL;
	}
	int from = adds ? 2 : 0;
	if (!activates) return;
	if (!strcmp(tail_name, "swish")) add_step(&l->tail, "opgraft", "OgSwish", from, 0, 3);
	else if (!strcmp(tail_name, "mish")) add_step(&l->tail, "", "Mish", from, 0, 3);
	else add_step(&l->tail, "", "Relu", from, 0, 3);
}

static og_dtype type = OG_F16;
static bool tf32;

static layer *make_layer(layer *l, int batch, int size, int c, int k, int taps, int stride, bool adds, bool activates)
{
	*l = (layer){ .times = 1, .best = -1 };
	int pad = taps / 2, out = (size + 2 * pad - taps) / stride + 1;
	l->p = (igemm_problem){ .dtype = type, .tf32 = tf32, .n = batch, .h = size, .w = size, .c = c, .k = k, .r = taps,
	                        .s = taps, .stride_h = stride,
	                         .stride_w = stride, .pad_h = pad, .pad_w = pad, .dilation_h = 1, .dilation_w = 1, .p = out,
	                         .q = out };
	make_tail(l, adds, activates);
	snprintf(l->name, sizeof l->name, "%dx%d/%d %d-%d @%d%s", taps, taps, stride, c, k, size, adds ? " +" : "");
	return l;
}

/* ResNet-50's convolutions in order, the product at its end too. */
static int resnet(layer *l, int batch)
{
	static const int blocks[] = { 3, 4, 6, 3 };
	int n = 0, size = 56, c = 64;
	make_layer(&l[n++], batch, 224, 3, 64, 7, 2, false, true);
	for (int stage = 0; stage < 4; stage++)
		for (int b = 0; b < blocks[stage]; b++) {
			const int mid = 64 << stage, stride = stage && !b ? 2 : 1;
			if (!b) make_layer(&l[n++], batch, size, c, 4 * mid, 1, stride, false, false);
			make_layer(&l[n++], batch, size, c, mid, 1, 1, false, true);
			make_layer(&l[n++], batch, size, mid, mid, 3, stride, false, true);
			if (stride == 2) size /= 2;
			make_layer(&l[n++], batch, size, mid, c = 4 * mid, 1, 1, true, true);
		}
	make_layer(&l[n++], 1, 1, 2048, 1000, 1, 1, false, false);
	l[n - 1].p.w = l[n - 1].p.q = batch;
	return n;
}

static void choose_type(const char *name)
{
	type = !strcmp(name, "bf16") ? OG_BF16 : !strcmp(name, "f16") ? OG_F16 : OG_F32;
	tf32 = !strcmp(name, "tf32");
}

static int64_t in_count(const igemm_problem *p) { return (int64_t)p->n * p->h * p->w * p->c; }
static int64_t out_count(const igemm_problem *p) { return (int64_t)p->n * p->p * p->q * p->k; }
static double flops(const igemm_problem *p) { return 2.0 * (double)out_count(p) * p->c * p->r * p->s; }
static double bytes(const igemm_problem *p)
{
	return (p->dtype == OG_F32 ? 4 : 2) *
		((double)in_count(p) + (double)out_count(p) * (1 + p->n_operands) + (double)p->k * p->c * p->r * p->s);
}

static void find_variants(layer *l)
{
	const igemm_device as = { general ? 8 : device.major, 0, device.processors, true, false };
	l->n = igemm_variants(l->v, MOST_VARIANTS, &l->p, &as);
	for (int k = 0; k < few && few < l->n; k++) l->v[k] = l->v[k * l->n / few];
	if (few < l->n) l->n = few;
	for (int k = 0; k < l->n; k++) l->kernel[k] = kernel_for(&l->p, &l->v[k]);
	if (l->n && l->v[0].way == IGEMM_WINDOW) l->window = window_kernel(&l->p, &l->v[0]);
}

static void tails(layer *l, int n)
{
	for (int k = 0; k < n; k++) l[k].p.tail = &l[k].tail;
}

static bool same_problem(const layer *a, const layer *b)
{
	return !strcmp(a->name, b->name) && a->p.n == b->p.n && a->p.q == b->p.q && a->tail.n_steps == b->tail.n_steps;
}

#endif
