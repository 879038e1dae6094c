/* thread.c -- a pool of threads that split loops.
 *
 * One word, `state`, says it all: which job, whether it is open, and how many workers are inside. A worker joins
 * an open job by counting itself in and leaves by counting itself out. The caller opens the job, takes pieces like
 * everybody, closes the job when no piece is left and waits for those inside only: a worker that the system has
 * not woken yet holds nobody up, and a closed and empty job can be rewritten without a lock. */
#include "base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

enum { MOST_THREADS = 256, PIECES_PER_THREAD = 4 };
static const double SPIN_SECONDS = 20e-6;

#define INSIDE   UINT64_C(0xffff)        /* workers inside */
#define OPEN     UINT64_C(0x10000)
#define NEXT_JOB UINT64_C(0x20000)       /* the job's number counts from here up */

struct pool {
	pool_lent lent;                      /* threads: the caller included. run: NULL, or there is nothing behind this member */
	int started;                         /* workers */
	double spin;                         /* seconds */
	pthread_t worker[MOST_THREADS];
	pthread_mutex_t turn;                /* held by the caller whose job is open */
	pthread_mutex_t lock;                /* around sleeping only */
	pthread_cond_t wake;
	_Atomic int sleepers;
	_Atomic bool quit;
	_Alignas(64) _Atomic uint64_t state;
	/* the job: written while it is closed and empty */
	_Alignas(64) _Atomic int64_t next;   /* piece */
	int64_t pieces, units, grain, n;     /* piece k is units [k, k+1) * units / pieces, of grain elements each */
	void (*body)(void *arg, int64_t begin, int64_t end);
	void *arg;
};

static _Thread_local bool inside;        /* in a body: calls from here run at once */

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

/* First unit of piece k: the first units % pieces pieces have one unit more. */
static int64_t first_unit(int64_t units, int64_t pieces, int64_t k)
{
	int64_t more = units % pieces;
	return k * (units / pieces) + (k < more ? k : more);
}

static void take_pieces(pool *p)
{
	for (;;) {
		int64_t k = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
		if (k >= p->pieces) return;
		int64_t begin = first_unit(p->units, p->pieces, k) * p->grain;
		p->body(p->arg, begin, k + 1 == p->pieces ? p->n : first_unit(p->units, p->pieces, k + 1) * p->grain);
	}
}

/* True when there is an open job that is not the one `done` already. */
static bool has_work(uint64_t state, uint64_t done) { return (state & OPEN) && state / NEXT_JOB != done; }

/* Waits for work, first spinning, then asleep. */
static void wait_for_work(pool *p, uint64_t done)
{
	double end = base_now() + p->spin;
	do {
		for (int i = 0; i < 32; i++) {
			if (has_work(atomic_load(&p->state), done) || atomic_load(&p->quit)) return;
			pause_briefly();
		}
	} while (base_now() < end);
	pthread_mutex_lock(&p->lock);
	atomic_fetch_add(&p->sleepers, 1);   /* before looking again: see wake_workers */
	while (!has_work(atomic_load(&p->state), done) && !atomic_load(&p->quit)) pthread_cond_wait(&p->wake, &p->lock);
	atomic_fetch_sub(&p->sleepers, 1);
	pthread_mutex_unlock(&p->lock);
}

static void *work(void *arg)
{
	pool *p = arg;
	uint64_t done = 0;
	inside = true;
	while (!atomic_load(&p->quit)) {
		uint64_t state = atomic_load(&p->state);
		if (!has_work(state, done)) {
			wait_for_work(p, done);
		} else if (atomic_compare_exchange_weak(&p->state, &state, state + 1)) {
			done = state / NEXT_JOB;
			take_pieces(p);
			atomic_fetch_sub(&p->state, 1);
		}
	}
	return NULL;
}

/* A worker counts itself among the sleepers and then looks at the state; the caller writes the state and then looks
 * at the sleepers (all in one total order): one of the two sees the other. */
static void wake_workers(pool *p, int64_t wanted)
{
	int sleepers = atomic_load(&p->sleepers);
	if (sleepers == 0) return;
	pthread_mutex_lock(&p->lock);
	if (wanted >= sleepers) pthread_cond_broadcast(&p->wake);
	else for (int64_t i = 0; i < wanted; i++) pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

static void close_job(pool *p)
{
	atomic_fetch_and(&p->state, ~OPEN);
	double end = base_now() + SPIN_SECONDS;
	bool patient = true;
	while (atomic_load(&p->state) & INSIDE) {
		if (patient) pause_briefly();
		else sched_yield();
		if (patient && base_now() > end) patient = false;
	}
}

/* A loop on lent threads. */
typedef struct lent_job {
	int64_t pieces, units, grain, n;
	void (*body)(void *arg, int64_t begin, int64_t end);
	void *arg;
} lent_job;

static void lent_item(void *arg, int64_t k)
{
	const lent_job *j = arg;
	int64_t begin = first_unit(j->units, j->pieces, k) * j->grain;
	bool was_inside = inside;
	inside = true;
	j->body(j->arg, begin, k + 1 == j->pieces ? j->n : first_unit(j->units, j->pieces, k + 1) * j->grain);
	inside = was_inside;
}

void pool_run(pool *p, int64_t n, int64_t grain, void (*body)(void *arg, int64_t begin, int64_t end), void *arg)
{
	if (n <= 0) return;
	if (grain < 1) grain = 1;
	int64_t units = n / grain;
	if (!p || p->lent.threads == 1 || inside || units < 2) {
		body(arg, 0, n);
		return;
	}
	int64_t pieces = units < PIECES_PER_THREAD * p->lent.threads ? units : PIECES_PER_THREAD * p->lent.threads;
	if (p->lent.run) {
		p->lent.run(p->lent.context, pieces, lent_item, &(lent_job){ pieces, units, grain, n, body, arg });
		return;
	}
	pthread_mutex_lock(&p->turn);
	p->pieces = pieces;
	p->units = units;
	p->grain = grain;
	p->n = n;
	p->body = body;
	p->arg = arg;
	atomic_store(&p->next, 0);
	atomic_fetch_add(&p->state, NEXT_JOB | OPEN);
	wake_workers(p, p->pieces - 1);
	inside = true;
	take_pieces(p);
	inside = false;
	close_job(p);
	pthread_mutex_unlock(&p->turn);
}

static int processors(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 && n < MOST_THREADS ? (int)n : 1;
}

og_status pool_create(pool **out, int threads)
{
	*out = NULL;
	if (threads < 0 || threads > MOST_THREADS)
		return base_fail(OG_USAGE, "%d threads were asked for; give 0 (one for each processor) to %d", threads,
		                 MOST_THREADS);
	int available = processors();
	if (threads == 0) threads = available < MOST_THREADS ? available : MOST_THREADS;
	pool *p = base_alloc_aligned(sizeof *p, _Alignof(pool));
	NEED(p);
	memset(p, 0, sizeof *p);
	p->lent.threads = threads;
	/* Where threads must share a processor a spinning one keeps another from working. */
	p->spin = threads <= available ? SPIN_SECONDS : 0;
	pthread_mutex_init(&p->turn, NULL);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	for (; p->started < threads - 1; p->started++) {
		int error = pthread_create(&p->worker[p->started], NULL, work, p);
		if (error == 0) continue;
		int started = p->started + 1;
		pool_destroy(p);
		return base_fail(OG_MISSING, "thread %d of %d could not be started: %s; ask for fewer", started + 1, threads,
		                 strerror(error));
	}
	*out = p;
	return OG_OK;
}

void pool_destroy(pool *p)
{
	if (!p) return;
	pthread_mutex_lock(&p->lock);
	atomic_store(&p->quit, true);
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < p->started; i++) pthread_join(p->worker[i], NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->turn);
	base_free(p);
}

int pool_threads(const pool *p) { return p ? p->lent.threads : 1; }
pool *pool_lend(pool_lent *lent) { return (pool *)lent; }
