/* calls.c -- times what a runtime offers to C and C++, for tools/bench_runtimes.py: what Python costs stays outside.
 *
 * One inference is a short list of functions of the runtime's own library, which Python has looked up. */
#include <string.h>
#include <time.h>

/* A function of one to three pointers. */
typedef struct bench_call {
	void *function;
	int arguments;
	int status;                          /* it returns 0, or it failed; otherwise what it returns means nothing */
	void *argument[3];
} bench_call;

double bench_time(const bench_call *calls, int n_calls, long repeats);
double bench_copy(void *to, const void *from, size_t bytes, int repeats);

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int call(const bench_call *c)
{
	union {
		void *address;
		int (*one)(void *);
		int (*two)(void *, void *);
		int (*three)(void *, void *, void *);
	} f = { c->function };
	int result = 0;
	if (c->arguments == 1) result = f.one(c->argument[0]);
	else if (c->arguments == 2) result = f.two(c->argument[0], c->argument[1]);
	else result = f.three(c->argument[0], c->argument[1], c->argument[2]);
	return c->status ? result : 0;
}

/* Seconds that `repeats` inferences took; negative when one failed. */
double bench_time(const bench_call *calls, int n_calls, long repeats)
{
	double start = now();
	for (long r = 0; r < repeats; r++)
		for (int k = 0; k < n_calls; k++)
			if (call(&calls[k])) return -1;
	return now() - start;
}

/* Bytes per second that this thread reads and writes, copying: the best of `repeats`. */
double bench_copy(void *to, const void *from, size_t bytes, int repeats)
{
	double best = 0;
	for (int r = 0; r < repeats; r++) {
		double start = now();
		memcpy(to, from, bytes);
		double speed = 2 * (double)bytes / (now() - start);
		if (speed > best) best = speed;
	}
	return best;
}
