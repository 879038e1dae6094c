/* memory.c -- where activations lie: lifetimes, work in place, offsets.
 *
 * Each arena value is alive from the step that writes it to the last that reads it. Packing intervals into the least
 * memory is NP-hard; placing them one by one at the lowest offset that is free over their whole life is nearly
 * always at the bound when large ones come first. A few orders are tried and the best is kept. */
#include <stdlib.h>

#include "plan/plan.h"

typedef struct block { int value; size_t bytes, offset; int first, last; } block;

static size_t round_up(size_t n) { return (n + 63) & ~(size_t)63; }

static void find_lifetimes(og_plan *p)
{
	for (int i = 0; i < p->n_values; i++) p->values[i].first = p->values[i].last = -1;
	for (int s = 0; s < p->n_steps; s++) {
		const plan_step *step = &p->steps[s];
		for (int k = 0; k < step->n_out; k++) {
			if (step->out[k] < 0) continue;
			plan_value *v = &p->values[plan_root(p, step->out[k])];
			if (v->first < 0) v->first = s;
			v->last = s;
		}
		for (int k = 0; k < step->n_in; k++) {
			if (step->in[k] < 0) continue;
			p->values[plan_root(p, step->in[k])].last = s;
		}
	}
}

/* A kernel that may write over its input does, when the input dies there. */
static void work_in_place(og_plan *p)
{
	for (int s = 0; s < p->n_steps; s++) {
		const plan_step *step = &p->steps[s];
		if (!step->kernel.in_place || step->n_out != 1 || step->out[0] < 0) continue;
		plan_value *out = &p->values[step->out[0]];
		if (out->place != PLAN_ARENA || out->alias >= 0) continue;
		for (int k = 0; k < step->n_in; k++) {
			int r = step->in[k] < 0 ? -1 : plan_root(p, step->in[k]);
			if (r < 0 || p->values[r].place != PLAN_ARENA || p->values[r].last != s || p->values[r].bytes != out->bytes) continue;
			p->values[r].last = out->last;
			out->alias = r;
			break;
		}
	}
}

static int by_size(const void *x, const void *y)
{
	const block *a = x, *b = y;
	if (a->bytes != b->bytes) return a->bytes > b->bytes ? -1 : 1;
	return a->first != b->first ? (a->first > b->first) - (a->first < b->first) : (a->value > b->value) - (a->value < b->value);
}

static int by_birth(const void *x, const void *y)
{
	const block *a = x, *b = y;
	if (a->first != b->first) return a->first < b->first ? -1 : 1;
	return by_size(x, y);
}

static int by_life(const void *x, const void *y)
{
	const block *a = x, *b = y;
	int la = a->last - a->first, lb = b->last - b->first;
	if (la != lb) return la > lb ? -1 : 1;
	return by_size(x, y);
}

static int by_offset(const void *x, const void *y)
{
	const block *a = *(block *const *)x, *b = *(block *const *)y;
	return (a->offset > b->offset) - (a->offset < b->offset);
}

/* Places the blocks in their order; returns the peak. `near` has room for n pointers. */
static size_t place(block *blocks, size_t n, block **near)
{
	size_t peak = 0;
	for (size_t i = 0; i < n; i++) {
		size_t count = 0, at = 0;
		for (size_t j = 0; j < i; j++)
			if (blocks[j].first <= blocks[i].last && blocks[i].first <= blocks[j].last) near[count++] = &blocks[j];
		qsort(near, count, sizeof *near, by_offset);
		for (size_t j = 0; j < count && near[j]->offset < at + blocks[i].bytes; j++)
			if (near[j]->offset + near[j]->bytes > at) at = near[j]->offset + near[j]->bytes;
		blocks[i].offset = at;
		if (at + blocks[i].bytes > peak) peak = at + blocks[i].bytes;
	}
	return peak;
}

/* The largest sum of blocks alive in one step. */
static size_t live_bound(const block *blocks, size_t n, int steps)
{
	size_t bound = 0;
	for (int s = 0; s < steps; s++) {
		size_t live = 0;
		for (size_t i = 0; i < n; i++)
			if (blocks[i].first <= s && s <= blocks[i].last) live += blocks[i].bytes;
		if (live > bound) bound = live;
	}
	return bound;
}

og_status plan_memory(og_plan *p)
{
	static int (*const orders[])(const void *, const void *) = { by_size, by_life, by_birth };
	find_lifetimes(p);
	work_in_place(p);
	block *blocks = base_new((size_t)p->n_values + 1, sizeof *blocks);
	block **near = base_new((size_t)p->n_values + 1, sizeof *near);
	if (!blocks || !near) {
		base_free(blocks);
		base_free(near);
		return base_no_memory();
	}
	size_t n = 0;
	for (int i = 0; i < p->n_values; i++) {
		const plan_value *v = &p->values[i];
		if (v->place == PLAN_ARENA && v->alias < 0 && v->first >= 0)
			blocks[n++] = (block){ .value = i, .bytes = round_up(v->bytes), .first = v->first, .last = v->last };
	}
	p->arena_bytes = SIZE_MAX;
	for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
		qsort(blocks, n, sizeof *blocks, orders[k]);
		size_t peak = place(blocks, n, near);
		if (peak >= p->arena_bytes) continue;
		p->arena_bytes = peak;
		for (size_t i = 0; i < n; i++) p->values[blocks[i].value].offset = blocks[i].offset;
	}
	p->bound_bytes = live_bound(blocks, n, p->n_steps);
	base_free(blocks);
	base_free(near);
	return OG_OK;
}
