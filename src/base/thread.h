/* thread.h -- a pool of threads that split loops. */
#ifndef THREAD_H
#define THREAD_H

#include "base.h"

typedef struct pool pool;

/* A pool of `threads` (the caller included; 0: one for each processor this process may use; at most 256).
 * A pool of one starts no thread. */
og_status pool_create(pool **out, int threads);
void pool_destroy(pool *);                          /* joins its threads; NULL is fine */
int pool_threads(const pool *);                     /* 1 for NULL */
/* Runs body over [0, n) in pieces of at least `grain`, the caller taking part, and returns when all is
 * done. Workers spin for some microseconds after work, then sleep. NULL pool, one thread, or a call made
 * from inside a body: runs here. Allocates nothing. Calls from two threads at once take turns. */
void pool_run(pool *, int64_t n, int64_t grain, void (*body)(void *arg, int64_t begin, int64_t end), void *arg);

/* Somebody else's threads as a pool: run(context, n, item, arg) calls item(arg, k) for every k in [0, n) in any order
 * and returns when all are done. */
typedef struct pool_lent {
	_Alignas(64) int threads;
	void (*run)(void *context, int64_t n, void (*item)(void *arg, int64_t k), void *arg);
	void *context;
} pool_lent;
/* The pool lives as long as *lent does and is never destroyed. */
pool *pool_lend(pool_lent *lent);

#endif
