/* sizes.c -- which sizes of runs get a plan, and how a batch is put together of them.
 *
 * A plan has one shape, a batch any size: it is run in pieces. Let T(s) be the time of a run of s samples; the least time of n
 * is C(n) = min over s of T(s) + C(n - s), where the last run may be larger than what is left. C is worked out once. */
#include <sched.h>
#include <unistd.h>

#include "serve/serve.h"

/* Networks of more weights are bound by them or by arithmetic: what batches bring is a sample for each thread. */
enum { SMALL_WEIGHTS = 4 << 20 };
static const double LEAST_GAIN = 0.03;           /* of time, for which a plan is kept */
static const double RUN_COST = 0.5;              /* of a run in samples, where nothing was timed */

int serve_threads(const serve_network *net)
{
	cpu_set_t mine;
	int all = sched_getaffinity(0, sizeof mine, &mine) ? (int)sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&mine);
	int share = all / (net->instances > 0 ? net->instances : 1);
	if (net->settings.threads) return net->settings.threads;
	return share < 1 ? 1 : share > 256 ? 256 : share;
}

int64_t serve_size_next(const serve_network *net, const serve_shape *shape, int64_t samples, size_t weights)
{
	const serve_settings *set = &net->settings;
	int64_t next = 0;
	if (net->most == 0 || net->batch > 0 || shape->n_sizes == SERVE_MOST_SIZES) return 0;
	for (int k = set->n_batches - 1; k >= 0 && set->batches[k] > samples; k--) next = set->batches[k];
	if (set->n_batches == 0) {
		bool device = strcmp(shape->device, "cpu") != 0;
		int threads = serve_threads(net);
		if (device) next = samples * 4;
		else if (weights <= SMALL_WEIGHTS) next = samples * 2;
		else next = samples < threads ? threads : 0;
	}
	return next <= net->most ? next : 0;
}

static double time_of(const serve_size *size)
{
	return size->seconds > 0 ? size->seconds : (double)size->samples + RUN_COST;
}

/* Works the least times out for the sizes there are. */
static void choose(int8_t *choice, double *least, const serve_shape *shape, int64_t most)
{
	least[0] = 0;
	for (int64_t n = 1; n <= most; n++) {
		choice[n] = -1;
		for (int k = shape->n_sizes - 1; k >= 0; k--) {
			const serve_size *size = &shape->sizes[k];
			double time = time_of(size) + least[n > size->samples ? n - size->samples : 0];
			if (choice[n] >= 0 && time >= least[n]) continue;
			choice[n] = (int8_t)k;
			least[n] = time;
		}
	}
}

/* A plan that takes as long as smaller ones do together. None but the only one is for more samples than there may be. */
static void drop_useless(serve_shape *shape, const serve_network *net, double *least)
{
	for (int k = shape->n_sizes - 1; k > 0; k--) {
		serve_size *size = &shape->sizes[k];
		serve_shape without = *shape;
		memmove(&without.sizes[k], &without.sizes[k + 1], (size_t)(shape->n_sizes - 1 - k) * sizeof *size);
		without.n_sizes--;
		choose(shape->choice, least, &without, net->most);
		if (least[size->samples] * (1 - LEAST_GAIN) > size->seconds) continue;
		og_plan_free(size->plan);
		*shape = without;
	}
}

og_status serve_sizes_choose(serve_shape *shape, const serve_network *net)
{
	int64_t most = net->most ? net->most : 1;
	shape->choice = arena_array(shape->a, (size_t)most + 1, sizeof *shape->choice);
	double *least = base_new((size_t)most + 1, sizeof *least);
	if (!shape->choice || !least) {
		base_free(least);
		return base_no_memory();
	}
	if (shape->sizes[0].seconds > 0 && !net->settings.n_batches) drop_useless(shape, net, least);
	choose(shape->choice, least, shape, most);
	base_free(least);
	return OG_OK;
}
