/* points.c -- products at points, and their cutting into tasks. */
#include "cpu/points.h"

enum { WEIGHT_WORK = 10 };               /* vector operations in the time of a vector of weights coming from memory */
enum { LEAST_TILES = 8 };                /* that weights serve while the next are fetched; of fewer the machine does it better */

/* Vector operations of a task of `block` tiles and `strip` strips. */
static double task_work(const cpu_points *p, int64_t block, int64_t strip)
{
	double vectors = (double)cpu_lesser(strip * WINOGRAD_VECTORS, p->out_blocks), tiles = (double)block;
	double products = (tiles < WEIGHT_WORK ? WEIGHT_WORK : tiles) * vectors * p->n * (double)p->channels;
	return products + tiles * ((double)p->in_blocks * p->input_work + vectors * p->output_work);
}

double cpu_points_plan(cpu_points *p, int slots)
{
	int64_t fewest = p->tiles ? cpu_ceil_div(p->tiles, p->most_tiles) : 1;
	double best = 0;
	p->strips = cpu_ceil_div(p->out_blocks, WINOGRAD_VECTORS);
	for (int64_t blocks = fewest; blocks <= cpu_lesser(fewest + slots - 1, p->tiles); blocks++)
		for (int64_t groups = 1; groups <= cpu_lesser(slots, p->strips); groups++) {
			int64_t block = cpu_ceil_div(p->tiles, blocks), strip = cpu_ceil_div(p->strips, groups);
			int64_t tasks = cpu_ceil_div(p->tiles, block) * cpu_ceil_div(p->strips, strip);
			double work = (double)cpu_ceil_div(tasks, slots) * task_work(p, block, strip);
			if (best > 0 && work >= best) continue;
			best = work;
			p->block = block;
			p->strip = strip;
		}
	p->blocks = p->block ? cpu_ceil_div(p->tiles, p->block) : 0;
	p->groups = p->strip ? cpu_ceil_div(p->strips, p->strip) : 0;
	p->m_point = cpu_points_apart(p, WINOGRAD_VECTORS * p->block);
	return best;
}

/* The k-th of n even parts of what is wanted later. */
static void fetch(const cpu_points_later *later, int64_t k, int64_t n)
{
	for (int i = 0; i < later->n; i++)
		for (int64_t line = later->lines * k / n; line < later->lines * (k + 1) / n; line++)
			__builtin_prefetch(later->at[i] + line * CPU_CHANNELS_LINE, 0, 2);
}

/* Weights come from memory at an even rate: each product fetches its share of the next ones. */
void cpu_points_multiply(const cpu_points *p, const cpu_points_at *at, const float *u, bool more, int vectors, int64_t n, float *m,
                         const cpu_points_later *later)
{
	const winograd_kernels *k = p->kernels->winograd;
	int64_t lanes = p->kernels->lanes, times = cpu_ceil_div(n, k->most_tiles), at_once = cpu_ceil_div(n, times), done = 0;
	int64_t vectors_of_u = p->channels * vectors;
	winograd_product product = { .channels = p->channels };
	for (int point = 0, same = 0; point < p->n; point += same) {
		for (same = 1; point + same < p->n && at[point + same].weights == at[point].weights; same++) continue;
		bool ahead = n * same >= LEAST_TILES && (more || point + same < p->n);
		product.u = u + at[point].weights * vectors_of_u * lanes;
		product.ahead = ahead ? product.u + vectors_of_u * lanes : product.u;
		product.ahead_step = ahead ? cpu_ceil_div(lanes, times * same) : 0;
		for (const cpu_points_at *one = at + point; one < at + point + same; one++) {
			product.x_block = one->block;
			for (int64_t i = 0; i < n; i += at_once, product.ahead += vectors_of_u * product.ahead_step) {
				product.x = one->x + i * lanes;
				product.m = m + one->sums * p->m_point + i * WINOGRAD_VECTORS * lanes;
				fetch(later, done++, p->n * times);
				k->products[cpu_lesser(at_once, n - i) - 1][vectors - 1](&product);
			}
		}
	}
}
