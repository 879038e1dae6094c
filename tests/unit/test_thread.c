/* test_thread.c -- the pool: every element once, any number of callers, nesting, and what a small loop costs. Run it
 * under the thread sanitizer as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/thread.h"

enum { N = 5000 };

typedef struct job {
	unsigned char *seen;                 /* written without a lock: each element belongs to one piece */
	int64_t n, grain;
	_Atomic int pieces, small;
	pool *nested;
} job;

static void mark(void *arg, int64_t begin, int64_t end)
{
	job *j = arg;
	atomic_fetch_add(&j->pieces, 1);
	if (end - begin < j->grain) atomic_fetch_add(&j->small, 1);
	for (int64_t i = begin; i < end; i++) j->seen[i]++;
}

static void run_and_check(pool *p, int64_t n, int64_t grain)
{
	unsigned char seen[N] = { 0 };
	job j = { .seen = seen, .n = n, .grain = grain < n ? grain : n };
	pool_run(p, n, grain, mark, &j);
	for (int64_t i = 0; i < N; i++) assert_int_equal(seen[i], i < n);
	assert_int_equal(j.small, 0);
	assert_true(j.pieces >= (n > 0));
}

static void test_every_element_once(void **state)
{
	(void)state;
	for (int threads = 1; threads <= 9; threads += 2) {
		pool *p;
		assert_int_equal(pool_create(&p, threads), OG_OK);
		assert_int_equal(pool_threads(p), threads);
		for (int64_t n = 0; n < 300; n += 1 + n / 7)
			for (int64_t grain = 1; grain < 40; grain += 6) run_and_check(p, n, grain);
		run_and_check(p, N, 1);
		run_and_check(p, N, N);
		run_and_check(p, -1, 0);
		pool_destroy(p);
	}
	run_and_check(NULL, 100, 3);
	assert_int_equal(pool_threads(NULL), 1);
	pool_destroy(NULL);
}

static void outer(void *arg, int64_t begin, int64_t end)
{
	job *j = arg;
	for (int64_t i = begin; i < end; i++) {
		job inner = { .seen = j->seen + 100 * i, .n = 100, .grain = 1 };
		pool_run(j->nested, 100, 1, mark, &inner);
	}
}

static void test_nested(void **state)
{
	(void)state;
	unsigned char seen[N] = { 0 };
	pool *p;
	assert_int_equal(pool_create(&p, 4), OG_OK);
	job j = { .seen = seen, .nested = p };
	for (int round = 0; round < 20; round++) pool_run(p, N / 100, 1, outer, &j);
	for (int i = 0; i < N; i++) assert_int_equal(seen[i], 20);
	pool_destroy(p);
}

static void sum(void *arg, int64_t begin, int64_t end)
{
	_Atomic int64_t *total = arg;
	int64_t here = 0;
	for (int64_t i = begin; i < end; i++) here += i;
	atomic_fetch_add_explicit(total, here, memory_order_relaxed);
}

static void *caller(void *arg)
{
	for (int i = 0; i < 200; i++) {
		_Atomic int64_t total = 0;
		pool_run(arg, 1000 + i, 10, sum, &total);
		if (total != (int64_t)(1000 + i) * (999 + i) / 2) return "wrong";
		if (i % 50 == 0) nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);       /* workers fall asleep */
	}
	return NULL;
}

static void test_many_callers(void **state)
{
	(void)state;
	pool *p;
	pthread_t thread[5];
	void *wrong;
	assert_int_equal(pool_create(&p, 3), OG_OK);
	for (int i = 0; i < 5; i++) assert_int_equal(pthread_create(&thread[i], NULL, caller, p), 0);
	for (int i = 0; i < 5; i++) {
		pthread_join(thread[i], &wrong);
		assert_null(wrong);
	}
	pool_destroy(p);
}

static void test_create(void **state)
{
	(void)state;
	pool *p;
	assert_int_equal(pool_create(&p, -1), OG_USAGE);
	assert_int_equal(pool_create(&p, 257), OG_USAGE);
	base_fail_allocation(1);
	assert_int_equal(pool_create(&p, 2), OG_NO_MEMORY);
	base_fail_allocation(0);
	for (int i = 0; i < 50; i++) {       /* destroyed while its threads start */
		assert_int_equal(pool_create(&p, 0), OG_OK);
		assert_true(pool_threads(p) >= 1);
		pool_destroy(p);
	}
	assert_int_equal(pool_create(&p, 2), OG_OK);
	uint64_t before = base_allocations();
	run_and_check(p, 100, 1);
	assert_int_equal(base_allocations(), before);
	pool_destroy(p);
}

static void nothing(void *arg, int64_t begin, int64_t end) { (void)arg, (void)begin, (void)end; }

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The median cost of an empty loop while the workers are awake. The bound is loose: other programs run as well. */
static void test_cost(void **state)
{
	(void)state;
	enum { ROUNDS = 2000 };
	double took[ROUNDS];
	pool *p;
	assert_int_equal(pool_create(&p, 0), OG_OK);
	for (int i = 0; i < ROUNDS; i++) {
		double start = base_now();
		pool_run(p, 8, 1, nothing, NULL);
		took[i] = base_now() - start;
	}
	pool_destroy(p);
	qsort(took, ROUNDS, sizeof took[0], by_value);
	print_message("an empty parallel loop takes %.2f us (median of %d)\n", 1e6 * took[ROUNDS / 2], ROUNDS);
	assert_true(took[ROUNDS / 2] < 100e-6);
}

/* Somebody else's threads: two of them, each with every other item. */
typedef struct lent_half { int64_t first, n; void (*item)(void *arg, int64_t k); void *arg; } lent_half;

static void *lent_work(void *arg)
{
	const lent_half *h = arg;
	for (int64_t k = h->first; k < h->n; k += 2) h->item(h->arg, k);
	return NULL;
}

static void lent_run(void *context, int64_t n, void (*item)(void *arg, int64_t k), void *arg)
{
	pthread_t other;
	lent_half even = { 0, n, item, arg }, odd = { 1, n, item, arg };
	++*(int *)context;
	assert_int_equal(pthread_create(&other, NULL, lent_work, &odd), 0);
	lent_work(&even);
	pthread_join(other, NULL);
}

static void test_lent_threads(void **state)
{
	int calls = 0;
	pool_lent lent = { .threads = 2, .run = lent_run, .context = &calls };
	(void)state;
	assert_int_equal(pool_threads(pool_lend(&lent)), 2);
	for (int64_t n = 0; n < 40; n++)
		for (int64_t grain = 1; grain < 9; grain++) run_and_check(pool_lend(&lent), n, grain);
	assert_true(calls > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lent_threads),
		cmocka_unit_test(test_every_element_once), cmocka_unit_test(test_nested),
		cmocka_unit_test(test_many_callers), cmocka_unit_test(test_create), cmocka_unit_test(test_cost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
