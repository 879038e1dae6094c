/* bench.h -- networks timed side by side, and the page about it. */
#ifndef BENCH_H
#define BENCH_H

#include "page.h"

typedef struct bench_case {
	cli_net net;
	int batch;
	og_peer *peer;                       /* NULL: Opgraft itself */
	double p10, median, p90;             /* seconds of a call */
	og_step_profile *steps; size_t n_steps;          /* of Opgraft, where a page wants them */
} bench_case;

const char *bench_runtime(const bench_case *);
const char *bench_file_name(const bench_case *);
/* The first case of the same batch size, which the others of that size are compared with. */
int bench_first_of(const bench_case *, int i);

/* Times the steps of every network once more, for the page. */
og_status bench_profile(const cli_args *, bench_case *, int n);
/* Writes and closes the page. */
og_status bench_page(const cli_args *, page *, const bench_case *, int n, size_t rounds);

#endif
