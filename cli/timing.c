/* timing.c -- things timed side by side. */
#include <stdlib.h>

#include "timing.h"

enum { MIN_ROUNDS = 5 };
#define SAMPLE 5e-4                      /* seconds */

/* Calls per sample, so that a sample lasts about half a millisecond and the clock costs nothing. */
static og_status calibrate(timing *t)
{
	og_status status = OG_OK;
	double start = cli_now(), spent = 0;
	size_t n = 0;
	while (status == OG_OK && spent < 0.02 && n < 10000) {
		status = t->run(t->what);
		spent = cli_now() - start;
		n++;
	}
	t->calls = spent > 0 ? (size_t)(SAMPLE * (double)n / spent) : 1;
	if (t->calls < 1) t->calls = 1;
	return status;
}

og_status timing_measure(const cli_args *a, timing *t, int n, int rounds, double budget)
{
	og_status status = OG_OK;
	for (int i = 0; status == OG_OK && i < n; i++) {
		t[i].seconds = malloc((size_t)rounds * sizeof *t[i].seconds);
		if (!t[i].seconds) return cli_tell(OG_NO_MEMORY, "there is no memory for %d rounds", rounds);
		status = calibrate(&t[i]);
	}
	double start = cli_now();
	for (int r = 0; status == OG_OK && r < rounds; r++) {
		if (r >= MIN_ROUNDS && cli_now() - start > budget) break;
		if (r % 10 == 0) cli_progress(a, "round %d of %d", r, rounds);
		for (int i = 0; status == OG_OK && i < n; i++) {
			if (t[i].calls > 1) status = t[i].run(t[i].what);        /* after the others the caches are not its own */
			double begin = cli_now();
			for (size_t k = 0; status == OG_OK && k < t[i].calls; k++) status = t[i].run(t[i].what);
			t[i].seconds[t[i].n++] = (cli_now() - begin) / (double)t[i].calls;
		}
	}
	cli_progress_end(a);
	return status;
}

double timing_quantile(timing *t, double q) { return cli_quantile(t->seconds, t->n, q); }

void timing_free(timing *t)
{
	free(t->seconds);
	t->seconds = NULL;
	t->n = 0;
}
