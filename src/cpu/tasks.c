/* tasks.c -- tasks of uneven length over the threads of a pool. */
#include <stdatomic.h>

#include "cpu/cpu.h"

/* A slot begins with its own stretch of the tasks and then helps others with theirs: from step to step a thread is at the
 * same part of memory, which its caches hold, since lines that another core wrote take long to come. */
enum { SLOTS_MOST = 256 };
typedef struct stretch { _Alignas(64) _Atomic int64_t next; int64_t end; } stretch;
typedef struct tasks {
	stretch of[SLOTS_MOST];
	int slots;
	void (*task)(void *arg, int64_t k, int slot);
	void *arg;
} tasks;

/* Item: one slot. */
static void run_slots(void *arg, int64_t begin, int64_t end)
{
	tasks *t = arg;
	for (int64_t slot = begin; slot < end; slot++)
		for (int i = 0; i < t->slots; i++) {
			stretch *s = &t->of[(slot + i) % t->slots];
			int64_t k;
			while ((k = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed)) < s->end) t->task(t->arg, k, (int)slot);
		}
}

void cpu_tasks(pool *threads, int slots, int64_t n, void (*task)(void *arg, int64_t k, int slot), void *arg)
{
	if (slots > n) slots = (int)n;
	if (slots > SLOTS_MOST) slots = SLOTS_MOST;
	if (slots > 1) {
		tasks t;
		t.slots = slots;
		t.task = task;
		t.arg = arg;
		for (int i = 0; i < slots; i++) {
			atomic_init(&t.of[i].next, n * i / slots);
			t.of[i].end = n * (i + 1) / slots;
		}
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
