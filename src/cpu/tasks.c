/* tasks.c -- tasks of uneven length over the threads of a pool. */
#include <stdatomic.h>

#include "cpu/cpu.h"

typedef struct tasks {
	_Atomic int64_t next;
	int64_t n;
	void (*task)(void *arg, int64_t k, int slot);
	void *arg;
} tasks;

/* Item: one slot, which takes tasks until none is left. */
static void run_slots(void *arg, int64_t begin, int64_t end)
{
	tasks *t = arg;
	for (int64_t slot = begin; slot < end; slot++) {
		int64_t k;
		while ((k = atomic_fetch_add_explicit(&t->next, 1, memory_order_relaxed)) < t->n) t->task(t->arg, k, (int)slot);
	}
}

void cpu_tasks(pool *threads, int slots, int64_t n, void (*task)(void *arg, int64_t k, int slot), void *arg)
{
	if (slots > n) slots = (int)n;
	if (slots > 1) {
		tasks t = { .n = n, .task = task, .arg = arg };
		pool_run(threads, slots, 1, run_slots, &t);
	} else {
		for (int64_t k = 0; k < n; k++) task(arg, k, 0);
	}
}

int cpu_slots(double work, int threads)
{
	double slots = work / CPU_TASK_WORK;
	return slots >= threads ? (threads < 1 ? 1 : threads) : slots < 1 ? 1 : (int)slots;
}
