/* whole_shape.c -- how the kernel of a small network is cut: samples of a block, threads, tiles of each layer. Times
 * are guessed in cycles of a processor: what its four schedulers must issue, what its shared memory must deliver,
 * and what a warp alone has to wait for. */
#include <stdlib.h>

#include "cuda/driver.h"
#include "cuda/whole_net.h"

enum { REGISTERS = 1 << 16, OTHER_REGISTERS = 36, MOST_WEIGHTS = 1 << 20, MOST_SAMPLES = 32, MOST_CLUSTER = 8 };
enum { SHARED_DELAY = 30, DEVICE_DELAY = 800, TAIL = 20, BARRIER = 60, CLUSTER_BARRIER = 500 };
enum { MOST_EARLY = 16 };                /* times 16 bytes that a thread keeps of weights from the start on */

/* Processors of the device; where none is there to ask, those of an H200. */
static int processors(void)
{
	const driver_api *api = driver_open();
	int device, n;
	if (!cuda_arch() || !api || !api->cuDeviceGet || !api->cuDeviceGetAttribute) return 132;
	return api->cuDeviceGet(&device, 0) || api->cuDeviceGetAttribute(&n, DRIVER_PROCESSORS, device) ? 132 : n;
}

static double more(double a, double b) { return a > b ? a : b; }

/* Cycles for tasks of which a warp's worth issues `issue` instructions and keeps shared memory busy for `shared`
 * cycles. */
static double phase(const cuda_whole *w, int64_t tasks, double issue, double shared, double alone)
{
	int64_t turns = (int64_t)w->shape.cluster * w->shape.threads, rounds = ceil_div(tasks, turns);
	/* of the scheduler that has the most */
	double warps = (double)ceil_div(least(tasks, turns), w->shape.cluster * 32 * 4);
	return (double)rounds * more(w->shape.resident * warps * more(issue, 4 * shared), alone);
}

/* ---- convolutions ------------------------------------------------------------------------------ */

static int64_t reads_of(const cuda_whole *w, const layer *l)
{
	const place *in = place_of(w, l->in);
	int64_t row = row_of(in), from = in->left - l->w.begin[2], step = l->tile_wide < l->w.out[2] ? l->tile_wide : 4;
	return row % 4 == 0 && from % 4 == 0 && step % 4 == 0 ? 4 : row % 2 == 0 && from % 2 == 0 && step % 2 == 0 ? 2 : 1;
}

/* Cycles in which shared memory gives a warp what its threads read at once of a row, `reads` floats each: the banks
 * decide. */
static double cycles_of_read(const cuda_whole *w, const layer *l)
{
	enum { BANKS = 32, WARPS = 2 };
	const place *in = place_of(w, l->in);
	int64_t across = ceil_div(l->w.out[2], l->tile_wide), tiles = ceil_div(l->w.out[1], l->tile_high) * across;
	int64_t at_once = BANKS / l->reads;
	int cycles = 0;
	for (int64_t from = 0; from < WARPS * 32; from += at_once) {
		int64_t word[BANKS];
		int most = 0;
		for (int64_t i = 0; i < at_once; i++) {
			int64_t task = (from + i) / l->split % (tiles * w->shape.samples), part = (from + i) % l->split;
			int64_t tile = task % tiles;
			word[i] = task / tiles * size_of(in) + part * plane_of(in) + tile / across * l->tile_high * row_of(in) +
				tile % across * l->tile_wide;
			int same = 1;
			for (int64_t j = 0; j < i; j++)
				if (word[j] != word[i] && (word[j] - word[i]) % BANKS / l->reads == 0) same++;
			for (int64_t j = 0; j < i; j++)
				if (word[j] == word[i]) same = 0;
			if (same > most) most = same;
		}
		cycles += most;
	}
	return (double)cycles / WARPS;
}

/* read: cycles in which shared memory gives a warp `reads` cells each. */
static double conv_time(const cuda_whole *w, const layer *l, double read)
{
	int64_t sums = l->tile_channels * l->tile_high * l->tile_wide, taps = l->w.kernel[1] * l->w.kernel[2];
	int64_t rows = l->tile_high + l->w.kernel[1] - 1;
	int64_t tasks = l->outputs / l->tile_channels * ceil_div(l->w.out[1], l->tile_high) *
		ceil_div(l->w.out[2], l->tile_wide) * w->shape.samples * l->split;
	int64_t inputs = ceil_div(l->inputs, l->split);
	int64_t cells = rows * ceil_div(l->tile_wide + l->w.kernel[2] - 1, l->reads);
	int64_t weights = taps * ceil_div(conv_step(l), 4);
	double shared = (double)inputs * ((double)cells * read + (double)(taps * conv_step(l)));
	double issue = (double)inputs * (double)(taps * sums + cells + weights + 8) +
		(double)(l->tail ? TAIL * sums : 2 * sums) + (l->split > 1 ? 8 * (double)sums : 0) + 60;
	double alone = (double)inputs * (double)(taps * (sums > 4 ? sums : 4) + cells + weights + rows * SHARED_DELAY) +
		(double)(TAIL * sums) + (l->split > 1 ? 30 * (double)sums : 0) + 200;
	return phase(w, tasks, issue, shared, alone);
}

/* Takes the tile if it is faster than the best. */
static void try_tile(const cuda_whole *w, layer *best, double *time, layer now, double read)
{
	/* as they are given registers, eight at a time */
	int64_t threads = ceil_div(w->shape.threads, 128) * 128 * w->shape.resident;
	int64_t registers = least(REGISTERS / threads / 8 * 8, 255) - OTHER_REGISTERS;
	int64_t used = now.tile_channels * now.tile_high * now.tile_wide + now.tile_wide + now.w.kernel[2] +
		conv_step(&now);
	if (*time >= 0 && used > registers) return;
	double t = conv_time(w, &now, read);
	if (*time >= 0 && *time <= t) return;
	*time = t;
	*best = now;
}

static double cut_conv(const cuda_whole *w, layer *l)
{
	enum { MOST_SPLIT = 4, MOST_GAP = 6 };
	int64_t ph = l->pools ? l->pool.kernel[1] : 1, pw = l->pools ? l->pool.kernel[2] : 1, best_gap = 0;
	place *in = place_of(w, l->in);
	const layer plain = *l;
	double best = -1;
	for (in->gap = 0; in->gap <= MOST_GAP; in->gap += 2) {
		double before = best;
		for (int64_t y = ph; y <= 2 * ph; y += ph)
			for (int64_t x = pw; x < plain.w.out[2] + pw && x <= 32; x += pw)
				for (int64_t split = 1; split <= least(w->shape.samples > 1 ? 1 : MOST_SPLIT, plain.inputs);
				     split *= 2) {
					layer now = plain;
					now.tile_high = y;
					now.tile_wide = x;
					now.split = split;
					now.reads = reads_of(w, &now);
					double read = cycles_of_read(w, &now);
					for (now.tile_channels = 1; now.tile_channels <= least(plain.outputs, 16); now.tile_channels++)
						if (plain.outputs % now.tile_channels == 0) try_tile(w, l, &best, now, read);
				}
		if (best != before) best_gap = in->gap;
	}
	in->gap = best_gap;
	return best;
}

/* ---- products ---------------------------------------------------------------------------------- */

static double dense_time(const cuda_whole *w, const layer *l)
{
	int64_t steps = ceil_div(l->inputs, 4 * l->lanes), sums = l->tile_outputs * l->tile_samples;
	int64_t tasks = ceil_div(l->outputs, l->tile_outputs) * ceil_div(w->shape.samples, l->tile_samples) * l->lanes;
	double issue = (double)(steps * (4 * sums + l->tile_outputs + l->tile_samples + 4) + 3 * sums +
	                        ceil_div(sums, l->lanes) * TAIL + 60);
	double shared = (double)(steps * (4 * l->tile_samples + 8 * l->tile_outputs) + sums);
	double alone = issue + 150 + (l->early ? 0 : (double)(ceil_div(steps, 4) * DEVICE_DELAY));
	return phase(w, tasks, issue, shared, alone);
}

static double cut_dense(const cuda_whole *w, layer *l, int64_t *early)
{
	const layer plain = *l;
	double best = -1;
	for (int64_t lanes = 8; lanes <= 32; lanes *= 2)
		for (int64_t j = 1; j <= 4; j *= 2)
			for (int64_t s = 1; s <= 8 && s <= w->shape.samples; s *= 2) {
				layer now = plain;
				now.lanes = lanes;
				now.tile_outputs = j;
				now.tile_samples = s;
				int64_t tasks = ceil_div(now.outputs, j) * ceil_div(w->shape.samples, s) * lanes;
				int64_t kept = ceil_div(now.inputs, 4 * lanes) * j;
				now.early = w->shape.samples == 1 && tasks <= (int64_t)w->shape.cluster * w->shape.threads &&
					*early + kept <= MOST_EARLY;
				double time = dense_time(w, &now);
				if (best >= 0 && best <= time) continue;
				best = time;
				*l = now;
			}
	if (l->early) *early += ceil_div(l->inputs, 4 * l->lanes) * l->tile_outputs;
	return best;
}

/* ---- memory ------------------------------------------------------------------------------------ */

static void place_weights(cuda_whole *w)
{
	int64_t at = 0;
	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < w->n; i++) {
			layer *l = &w->layers[i];
			if (l->kind != (pass ? DENSE : CONV)) continue;
			l->weights = at;
			at = in_fours(at + (pass ? dense_rows(l) * dense_row(l) : l->inputs * l->w.kernel[1] * l->w.kernel[2] *
			                    conv_row(l)));
			l->bias = at;
			at = in_fours(at + (pass ? dense_rows(l) : conv_row(l)));
		}
		if (!pass) w->conv_weights = at;
	}
	w->packed = at;
}

/* The first layer that a place must be kept for: zeros around it are written at the start. */
static int since(const cuda_whole *w, int i)
{
	return w->net->values[i].place == BACKEND_INPUT || is_padded(&w->places[i]) ? -1 : w->places[i].first;
}

/* Places of all samples of a block, one after the other; what is no longer needed gives its memory. */
static void allocate(cuda_whole *w)
{
	int64_t behind = 8;                  /* floats that tiles over the edge may read behind the last value */
	for (int i = 0; i < w->n; i++) {
		const layer *l = &w->layers[i];
		if (l->kind != CONV) continue;
		int64_t over = ceil_div(l->w.out[1], l->tile_high) * l->tile_high - l->w.out[1];
		int64_t reach = over * row_of(place_of(w, l->in)) + ceil_div(l->w.out[2], l->tile_wide) * l->tile_wide -
			l->w.out[2] + 8;
		if (reach > behind) behind = reach;
	}
	w->shared = w->conv_weights;
	for (int i = 0; i < w->net->n_values; i++) {
		place *p = &w->places[i];
		p->at = -1;
		if (w->net->values[i].root != i || p->last < 0 || is_constant(w, i)) continue;
		int64_t at = w->conv_weights, size = size_of(p) * w->shape.samples;
		for (bool moved = true; moved;) {
			moved = false;
			for (int j = 0; j < i; j++) {
				const place *q = &w->places[j];
				int64_t end = q->at + size_of(q) * w->shape.samples;
				bool alive = q->at >= 0 && since(w, j) <= p->last && since(w, i) <= q->last;
				if (!alive || q->at >= at + size || end <= at) continue;
				at = end;
				moved = true;
			}
		}
		p->at = at;
		if (at + size > w->shared) w->shared = at + size;
	}
	w->shared = in_fours(w->shared + behind);
}

/* ---- shapes ------------------------------------------------------------------------------------ */

/* Blocks of a processor: as many as registers for 80 a thread allow, where there are so many blocks at all. */
static int resident_of(const cuda_whole *w, int n)
{
	int64_t blocks = ceil_div(w->samples, w->shape.samples) * w->shape.cluster, most = ceil_div(blocks, n);
	return (int)least(most, w->shape.threads < 768 ? 768 / w->shape.threads : 1);
}

/* Cycles that the network takes, guessed; -1: it does not fit. With resident 0, as many blocks at once as fit. */
static double cut(cuda_whole *w, cuda_whole_shape shape)
{
	int n = processors();
	w->shape = shape;
	for (w->shape.resident = shape.resident ? shape.resident : resident_of(w, n); w->shape.resident > 0;
	     w->shape.resident--) {
		int64_t inputs = 0, early = 0;
		double time = 0;
		for (int i = 0; i < w->n; i++) {
			layer *l = &w->layers[i];
			int64_t count = place_of(w, l->out)->planes * place_of(w, l->out)->high * place_of(w, l->out)->wide *
				shape.samples;
			time += shape.cluster > 1 ? CLUSTER_BARRIER + shape.threads : BARRIER;
			if (l->kind == CONV) time += cut_conv(w, l);
			else if (l->kind == DENSE) time += cut_dense(w, l, &early);
			else time += phase(w, count, 60, 10, 200);
		}
		place_weights(w);
		allocate(w);
		if (w->packed > MOST_WEIGHTS) return -1;
		if ((w->shared * 4 + 1024) * w->shape.resident > SHARED_MOST + 1024) continue;
		for (int i = 0; i < w->net->n_values; i++)
			if (w->net->values[i].place == BACKEND_INPUT && w->places[i].at >= 0)
				inputs += size_of(&w->places[i]) * shape.samples;
		time += DEVICE_DELAY * (2 + (double)ceil_div(inputs, shape.threads * 32)) + (double)early * shape.threads / 2 +
			(double)w->conv_weights / 4 / shape.threads * 50;
		int64_t at_once = (int64_t)(n / shape.cluster) * w->shape.resident;
		return time * (double)ceil_div(ceil_div(w->samples, shape.samples), at_once);
	}
	return -1;
}

bool cuda_whole_cut(cuda_whole *w, cuda_whole_shape s)
{
	if (s.samples < 1 || s.samples > MOST_SAMPLES || s.cluster < 1 || s.cluster > MOST_CLUSTER || s.threads < 32 ||
	    s.threads > 1024 || s.threads % 32 ||
	    s.resident < 1 || s.resident > 8)
		return false;
	return (s.cluster == 1 || s.samples == 1) && cut(w, s) >= 0 && w->shape.resident == s.resident;
}

bool cuda_whole_choose(cuda_whole *w)
{
	const char *arch = cuda_arch();
	cuda_whole_shape best = { 0 };
	double least_time = -1;
	for (int samples = 1; samples <= MOST_SAMPLES && samples <= w->samples; samples++)
		for (int cluster = 1; cluster <= MOST_CLUSTER; cluster *= 2) {
			if (cluster > 1 && (samples > 1 || !arch || atoi(arch) < 90 || w->samples * cluster > processors()))
				continue;
			for (int threads = 128; threads <= 768; threads += 128) {
				cuda_whole_shape shape = { samples, cluster, threads, 0 };
				double time = cut(w, shape);
				if (time < 0 || (least_time >= 0 && time >= least_time)) continue;
				least_time = time;
				best = w->shape;
			}
		}
	return least_time >= 0 && cut(w, best) >= 0;
}
