/* plan.c -- a plan's memory. */
#include "plan/plan.h"

og_plan *plan_create(const backend *device, int threads)
{
	arena *a = arena_create();
	og_plan *p = a ? arena_alloc(a, sizeof *p) : NULL;
	if (!p) {
		arena_destroy(a);
		return NULL;
	}
	p->a = a;
	p->backend = device;
	p->threads = threads;
	p->precision.storage = OG_F32;
	return p;
}

enum { MAPPED_FROM = 1 << 20 };

static void drop(plan_weights w)
{
	if (w.mapped) base_unmap(w.p, w.mapped);
	else base_free(w.p);
}

void og_plan_free(og_plan *p)
{
	if (!p) return;
	for (size_t i = 0; i < p->n_blocks; i++) drop(p->blocks[i]);
	file_close(&p->file);
	arena_destroy(p->a);
}

static og_status own(og_plan *p, plan_weights w)
{
	plan_weights *grown = arena_grow(p->a, p->blocks, p->n_blocks, &p->cap_blocks, p->n_blocks + 1, sizeof *grown);
	if (!grown) {
		drop(w);
		return base_no_memory();
	}
	p->blocks = grown;
	p->blocks[p->n_blocks++] = w;
	return OG_OK;
}

og_status plan_own(og_plan *p, void *block) { return own(p, (plan_weights){ block, 0 }); }

void *plan_block(og_plan *p, size_t bytes)
{
	bool mapped = bytes >= MAPPED_FROM;
	void *block = mapped ? base_map(bytes) : base_alloc_aligned(bytes ? bytes : 1, 64);
	if (!block) return NULL;
	if (!mapped) memset(block, 0, bytes);
	return own(p, (plan_weights){ block, mapped ? bytes : 0 }) == OG_OK ? block : NULL;
}

bool plan_owns(const og_plan *p, const void *data)
{
	for (size_t i = 0; i < p->n_blocks; i++)
		if (p->blocks[i].p == data) return true;
	return false;
}

/* The steps, and behind them the one that runs in their place. */
static int count_steps(const og_plan *p) { return p->n_steps + (p->whole != NULL); }
static plan_step *any_step(const og_plan *p, int i) { return i < p->n_steps ? &p->steps[i] : p->whole; }

/* Weights of `with` that are the same; NULL: there are none. */
static const void *find_same(const og_plan *with, const void *packed, size_t bytes)
{
	for (int i = 0; i < count_steps(with); i++) {
		const plan_step *s = any_step(with, i);
		if (s->packed && s->kernel.packed_bytes == bytes && !memcmp(s->packed, packed, bytes)) return s->packed;
	}
	return NULL;
}

void plan_share(og_plan *p, const og_plan *with)
{
	p->lender = with;
	for (int i = 0; i < count_steps(p); i++) {
		plan_step *s = any_step(p, i);
		const void *same = s->packed ? find_same(with, s->packed, s->kernel.packed_bytes) : NULL;
		size_t k = 0;
		while (same && k < p->n_blocks && p->blocks[k].p != s->packed) k++;
		if (!same || k == p->n_blocks) continue;
		drop(p->blocks[k]);
		p->blocks[k] = p->blocks[--p->n_blocks];
		p->weights_bytes -= s->kernel.packed_bytes;
		s->packed = same;
	}
}

int plan_root(const og_plan *p, int v)
{
	while (p->values[v].alias >= 0) v = p->values[v].alias;
	return v;
}

og_tensor plan_type(const og_plan *p, int v)
{
	og_tensor type = p->values[v].type;
	if (p->slab) type.dims[0] = p->batch;
	return type;
}

int64_t plan_slabs(const og_plan *p) { return p->slab ? (p->batch + p->slab - 1) / p->slab : 1; }
double plan_times(const og_plan *p) { return p->slab ? (double)p->batch / (double)p->slab : 1.0; }

int plan_slots(const og_plan *p, int threads)
{
	int64_t slabs = plan_slabs(p);
	return slabs < threads ? (int)slabs : threads;
}
