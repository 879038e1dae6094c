/* timing.h -- things timed side by side. */
#ifndef TIMING_H
#define TIMING_H

#include "cli.h"

/* A thing to time, and what came of it. */
typedef struct timing {
	og_status (*run)(void *what);
	void *what;
	double *seconds; size_t n;           /* of one call each, by round; sorted once a quantile was asked for */
	size_t calls;                        /* a sample is the mean of so many */
} timing;

/* Fills `seconds` of n things in at most `rounds` rounds, of which 5 or more are run, ending after `budget` seconds.
 * Interleaved: each round takes one sample of every thing, so that a noisy moment hits all alike; in front of a sample of
 * several calls, one that does not count. Ended by timing_free,
 * also on failure. */
og_status timing_measure(const cli_args *, timing *, int n, int rounds, double budget);
double timing_quantile(timing *, double q);
void timing_free(timing *);

#endif
