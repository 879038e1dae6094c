/* host_run.c -- checks that run kernels. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "graph/graph.h"
#include "kit/host.h"

enum { PADDING = 0xff, OTHER_PADDING = 0, POISON = 0xff, OTHER_POISON = 0x5c };

/* ---- comparing -------------------------------------------------------------------------------------- */

/* Index of the first element whose bits differ; -1. */
static int64_t first_difference(const og_tensor *a, const og_tensor *b)
{
	const size_t size = og_dtype_bytes(a->dtype);
	for (int64_t k = 0; k < og_count(a); k++)
		if (memcmp((const char *)a->data + (size_t)k * size, (const char *)b->data + (size_t)k * size, size)) return k;
	return -1;
}

static double tolerance(og_dtype t) { return t == OG_F32 ? 2e-5 : t == OG_F16 ? 2e-3 : t == OG_BF16 ? 1.6e-2 : 0; }

/* Types without a tolerance have no NaN. */
int64_t host_first_apart(const og_tensor *a, const og_tensor *b, bool exact)
{
	const size_t size = og_dtype_bytes(a->dtype);
	const double most = tolerance(a->dtype);
	for (int64_t k = 0; k < og_count(a); k++) {
		if (!memcmp((const char *)a->data + (size_t)k * size, (const char *)b->data + (size_t)k * size, size)) continue;
		double x = graph_tensor_double(a, k), y = graph_tensor_double(b, k);
		if (most > 0 && isnan(x) && isnan(y)) continue;
		if (exact || !(most > 0 && fabs(x - y) <= most * (1 + fabs(y)))) return k;
	}
	return -1;
}

static bool same_form(const og_tensor *a, const og_tensor *b)
{
	bool same = a->dtype == b->dtype && a->rank == b->rank;
	for (int d = 0; same && d < a->rank; d++) same = a->dims[d] == b->dims[d];
	return same;
}

static bool all_bytes(const og_tensor *t, int64_t k, uint8_t byte)
{
	const size_t size = og_dtype_bytes(t->dtype);
	for (size_t i = 0; i < size; i++)
		if (((const uint8_t *)t->data)[(size_t)k * size + i] != byte) return false;
	return true;
}

/* ---- one case in one combination with one tactic ----------------------------------------------------------- */

typedef struct setting {
	const host_plugin *p;
	const host_case *c;
	const trt_dims *made;
	const host_combination *f;
	host_needs needs;
} setting;

static bool once(host_launch *l, const host_data *in, uint8_t padding, uint8_t poison, host_data *out)
{
	return host_launch_load(l, in, padding, poison) && host_launch_enqueue(l) && host_launch_wait(l) &&
	       host_launch_take(l, out);
}

/* Three runs: twice the same, and once in other memory, with other old contents of outputs, workspace and padding. */
static bool run_three(host *h, const setting *s, int32_t tactic, const host_data *in, host_data *out)
{
	host_launch l;
	host_data again, other;
	char words[200];
	host_combination_words(words, sizeof words, s->f, s->c->n_in + s->p->n_out);
	host_upon("inputs of %s, %s, tactic %d", s->c->words, words, (int)tactic);
	bool good = host_launch_open(h, &l, s->p, s->c, s->made, s->f, &s->needs, tactic) &&
	            once(&l, in, PADDING, POISON, out) && once(&l, in, PADDING, POISON, &again) && host_launch_move(&l) &&
	            once(&l, in, OTHER_PADDING, OTHER_POISON, &other);
	for (int k = 0; good && k < s->p->n_out; k++) {
		int64_t at = first_difference(&out->t[k], &again.t[k]);
		if (at >= 0)
			good = host_fail(
				h, "inputs of %s, %s, tactic %d: element %lld of output %d is %.9g and then %.9g for the same inputs",
				s->c->words, words, (int)tactic, (long long)at, k, graph_tensor_double(&out->t[k], at),
				graph_tensor_double(&again.t[k], at));
		at = first_difference(&out->t[k], &other.t[k]);
		if (good && at >= 0 && all_bytes(&out->t[k], at, POISON) && all_bytes(&other.t[k], at, OTHER_POISON))
			good = host_fail(h, "inputs of %s, %s, tactic %d: element %lld of output %d is never written", s->c->words,
			                 words, (int)tactic, (long long)at, k);
		else if (good && at >= 0)
			good = host_fail(h,
			                 "inputs of %s, %s, tactic %d: element %lld of output %d is %.9g or %.9g, by what outputs, "
			                 "workspace or the padding of "
			                 "inputs held before",
			                 s->c->words, words, (int)tactic, (long long)at, k, graph_tensor_double(&out->t[k], at),
			                 graph_tensor_double(&other.t[k], at));
	}
	if (good || !h->failed) host_launch_close(&l);
	return good;
}

/* ---- what is expected: by the CPU, or the plugin's own answer in the first format of the same types --------- */

typedef struct expected {
	int32_t type[HOST_POSITIONS];
	host_data in, out;
	bool by_cpu, known;
	struct expected *next;
} expected;

static expected *expect(host *h, expected **list, const setting *s)
{
	const size_t bytes = (size_t)(s->c->n_in + s->p->n_out) * sizeof(int32_t);
	for (expected *e = *list; e; e = e->next)
		if (!memcmp(e->type, s->f->type, bytes)) return e;
	expected *e = arena_alloc(h->a, sizeof *e);
	if (!e) return (void)host_fail(h, "memory ran out"), NULL;
	memcpy(e->type, s->f->type, bytes);
	if (!host_fill(h, &e->in, s->c, s->f->type, h->op && h->op->formula)) return NULL;
	e->by_cpu = e->known = host_reference(h, &e->out, s->p->n_out, s->c, &e->in) == OG_OK;
	if (!e->known && h->op && h->options->reference)
		return (void)host_fail(h, "inputs of %s: %s can't be run on the CPU to compare with: %s", s->c->words,
		                       h->op->name, base_error()),
		       NULL;
	e->next = *list;
	return *list = e;
}

static bool compare(host *h, const setting *s, const expected *e, const host_data *out, int32_t tactic)
{
	const bool exact = e->by_cpu && h->op->formula;
	char words[200];
	host_combination_words(words, sizeof words, s->f, s->c->n_in + s->p->n_out);
	for (int k = 0; k < s->p->n_out; k++) {
		if (!same_form(&out->t[k], &e->out.t[k]))
			return host_fail(h, "inputs of %s, %s: output %d has another type or shape than by %s", s->c->words, words,
			                 k, h->op->name);
		int64_t at = host_first_apart(&out->t[k], &e->out.t[k], exact);
		if (at < 0) continue;
		return host_fail(h, "inputs of %s, %s, tactic %d: element %lld of output %d is %.9g, and %.9g by %s",
		                 s->c->words, words, (int)tactic, (long long)at, k, graph_tensor_double(&out->t[k], at),
		                 graph_tensor_double(&e->out.t[k], at),
		                 e->by_cpu ? "the CPU" : "the plugin itself in the first format it takes");
	}
	return true;
}

typedef struct score { size_t launches, by_cpu, by_itself; } score;

/* Results live in memory of their own: they may be large. */
static bool run_tactic(host *h, const setting *s, expected *e, int32_t tactic)
{
	host_data out;
	arena *whole_check = h->a, *results = arena_create();
	if (!results) return host_fail(h, "memory ran out");
	h->a = results;
	bool good = run_three(h, s, tactic, &e->in, &out);
	h->a = whole_check;
	if (good && !e->known) {                 /* stays, to compare others with */
		e->out = out;
		return e->known = true;
	}
	good = good && compare(h, s, e, &out, tactic);
	arena_destroy(results);
	return good;
}

static bool run_setting(host *h, const setting *s, expected **list, score *t)
{
	expected *e = expect(h, list, s);
	for (int i = 0; e && i < s->needs.n_tactics; i++) {
		bool compares = e->known;
		if (!run_tactic(h, s, e, s->needs.tactic[i])) return false;
		t->launches += 3;
		if (compares) *(e->by_cpu ? &t->by_cpu : &t->by_itself) += 1;
	}
	return e != NULL;
}

/* ---- every combination of a case ------------------------------------------------------------------------- */

/* False: refused, or told a failure. */
static bool open_case(host *h, const host_plugin *p, const host_case *c, trt_dims *made, host_combination **found,
                      size_t *n)
{
	int32_t status;
	host_upon("inputs of %s", c->words);
	return host_output_shapes(h, &status, p, c, made) && !status && host_combinations(h, found, n, p, c, made, false);
}

static bool ready(host *h, setting *s)
{
	return host_configure(h, s->p, s->c, s->made, s->f) && host_ask_needs(h, &s->needs, s->p, s->c, s->made, s->f);
}

static bool all_linear(const setting *s)
{
	for (int k = 0; k < s->c->n_in + s->p->n_out; k++)
		if (s->f->format[k] != TRT_LINEAR) return false;
	return true;
}

/* All combinations of the case itself; of its changes the linear ones, and of the others every fifth. */
static bool run_case(host *h, const host_plugin *p, const host_case *c, int change, score *t)
{
	host_combination *found;
	trt_dims made[HOST_MAX_ARGS];
	expected *list = NULL;
	size_t n;
	if (!open_case(h, p, c, made, &found, &n)) return !h->failed;
	for (size_t k = 0; k < n; k++) {
		setting s = { .p = p, .c = c, .made = made, .f = &found[k] };
		if (change && !all_linear(&s) && (k + (size_t)change) % 5) continue;
		if (!ready(h, &s) || !run_setting(h, &s, &list, t)) return false;
	}
	return true;
}

void host_check_run(host *h)
{
	enum { CHANGES = 40, SECONDS = 25 };
	host_case *cases, c;
	size_t n, left = 0;
	score t = { 0 };
	if (!host_gpu(h) || !host_cases(h, &cases, &n)) return;
	const double end = base_now() + SECONDS;
	for (int k = 0; k < CHANGES; k++)
		for (size_t i = 0; i < n && !h->failed; i++) {
			host_plugin p;
			if (!host_vary(&c, &cases[i], k, 0)) continue;
			if (k > 0 && base_now() > end) {
				left++;
				continue;
			}
			if (!host_need(h, &p, &c.given, TRT_PHASE_BUILD) || !run_case(h, &p, &c, k, &t)) return;
			host_destroy(&p);
		}
	if (t.launches == 0 && !h->failed) host_fail(h, "nothing could be run");
	char cpu[80] = "", itself[80] = "";
	if (t.by_cpu)
		snprintf(cpu, sizeof cpu, ", %zu results like the CPU's%s", t.by_cpu, h->op->formula ? " bit for bit" : "");
	if (t.by_itself) snprintf(itself, sizeof itself, ", %zu results like its own in the first format", t.by_itself);
	host_note(h, "%zu launches%s%s%s", t.launches, cpu, itself, left ? "; time was up before all changes of sizes" : "");
}

/* ---- one combination of each case, for the other checks ----------------------------------------------------- */

static void each_first(host *h, bool (*each)(host *, const setting *))
{
	host_case *cases;
	size_t n, done = 0;
	if (!host_gpu(h) || !host_cases(h, &cases, &n)) return;
	for (size_t i = 0; i < n && !h->failed; i++) {
		host_plugin p;
		host_combination *found;
		trt_dims made[HOST_MAX_ARGS];
		size_t n_found;
		if (!host_need(h, &p, &cases[i].given, TRT_PHASE_BUILD)) return;
		if (!open_case(h, &p, &cases[i], made, &found, &n_found)) n_found = 0;
		/* the first of each choice of types, and the last: a packed one where there is any */
		for (size_t k = 0; k < n_found && !h->failed; k++) {
			setting s = { .p = &p, .c = &cases[i], .made = made, .f = &found[k] };
			bool first = k == 0 ||
			             memcmp(found[k].type, found[k - 1].type, (size_t)(s.c->n_in + p.n_out) * sizeof(int32_t));
			if (!first && k != n_found - 1) continue;
			if (!ready(h, &s) || !each(h, &s)) return;
			done++;
		}
		host_destroy(&p);
	}
	host_note(h, "%zu combinations of types and formats", done);
}

static bool fill(host *h, host_data *in, const setting *s) { return host_fill(h, in, s->c, s->f->type, false); }

static bool same_results(host *h, const setting *s, const host_data *a, const host_data *b, const char *when)
{
	for (int k = 0; k < s->p->n_out; k++) {
		int64_t at = first_difference(&a->t[k], &b->t[k]);
		if (at >= 0)
			return host_fail(h, "inputs of %s: element %lld of output %d is %.9g, and %.9g %s", s->c->words,
			                 (long long)at, k, graph_tensor_double(&a->t[k], at), graph_tensor_double(&b->t[k], at),
			                 when);
	}
	return true;
}

/* ---- attach ---------------------------------------------------------------------------------------------------- */

static bool attach_twice(host *h, const setting *s)
{
	host_launch first, second;
	host_data in, out;
	host_plugin copy;
	if (!fill(h, &in, s) || !host_clone(h, &copy, s->p)) return false;
	if (!host_launch_open(h, &first, &copy, s->c, s->made, s->f, &s->needs, s->needs.tactic[0]) ||
	    !host_launch_open(h, &second, &copy, s->c, s->made, s->f, &s->needs, s->needs.tactic[0])) return false;
	host_upon("the plugin, which is attached to two contexts");
	host_destroy(&copy);
	host_upon("the plugin in one of two contexts");
	host_launch_close(&first);
	host_upon("a context, when the plugin and another context have ended");
	if (!once(&second, &in, PADDING, POISON, &out)) return false;
	host_launch_close(&second);
	return true;
}

void host_check_attach(host *h) { each_first(h, attach_twice); }

/* ---- reload ------------------------------------------------------------------------------------------------------ */

static bool reload(host *h, const setting *s)
{
	host_launch l;
	host_plugin loaded;
	host_data in, built, again;
	host_upon("inputs of %s", s->c->words);
	if (!fill(h, &in, s) || !host_launch_open(h, &l, s->p, s->c, s->made, s->f, &s->needs, s->needs.tactic[0]) ||
	    !once(&l, &in, PADDING, POISON, &built)) return false;
	host_calls("getFieldsToSerialize");
	const trt_fields *fields = host_copy_fields(h, l.p.run->table->getFieldsToSerialize(l.p.run));
	if (!fields) return host_fail(h, "memory ran out");
	host_launch_close(&l);
	if (!host_make(h, &loaded, fields, TRT_PHASE_RUNTIME))
		return host_fail(h, "createPlugin refuses the fields that getFieldsToSerialize gave");
	loaded.n_out = s->p->n_out;
	if (!host_launch_open(h, &l, &loaded, s->c, s->made, s->f, &s->needs, s->needs.tactic[0]) ||
	    !once(&l, &in, PADDING, POISON, &again))
		return false;
	host_launch_close(&l);
	host_destroy(&loaded);
	return same_results(h, s, &built, &again, "by the plugin made of what it serialised");
}

void host_check_reload(host *h) { each_first(h, reload); }

/* ---- capture ---------------------------------------- */

static bool capture(host *h, const setting *s)
{
	const driver_api *cuda = h->cuda;
	host_launch l;
	host_data in[2], direct[2], replayed;
	void *captured = NULL, *executable = NULL;
	host_upon("inputs of %s", s->c->words);
	if (!host_launch_open(h, &l, s->p, s->c, s->made, s->f, &s->needs, s->needs.tactic[0])) return false;
	for (int k = 0; k < 2; k++)
		if (!fill(h, &in[k], s) || !once(&l, &in[k], PADDING, POISON, &direct[k])) return false;
	if (!host_cuda_ok(h, cuda->cuStreamBeginCapture_v2(l.stream, 0), "beginning to capture")) return false;
	host_upon("under capture");
	bool queued = host_launch_enqueue(&l);
	int error = cuda->cuStreamEndCapture(l.stream, &captured);
	if (!queued) return false;
	if (error || !captured)
		return host_fail(h,
		                 "enqueue does what a captured stream forbids, such as allocating, synchronising or using "
		                 "another stream (CUDA error %d)",
		                 error);
	if (!host_cuda_ok(h, cuda->cuGraphInstantiateWithFlags(&executable, captured, 0),
	                  "making a graph of what enqueue did"))
		return false;
	for (int k = 0; k < 4; k++) {            /* inputs change between replays */
		if (!host_launch_load(&l, &in[k % 2], PADDING, POISON)) return false;
		if (!host_cuda_ok(h, cuda->cuGraphLaunch(executable, l.stream), "replaying a graph") || !host_launch_wait(&l) ||
		    !host_launch_take(&l, &replayed) ||
		    !same_results(h, s, &direct[k % 2], &replayed, "when its graph is replayed"))
			return false;
	}
	(void)cuda->cuGraphExecDestroy(executable);
	(void)cuda->cuGraphDestroy(captured);
	host_launch_close(&l);
	return true;
}

void host_check_capture(host *h) { each_first(h, capture); }

/* ---- streams ---------------------------------------- */

typedef struct runner { host_launch l; void *context; pthread_t thread; } runner;

static void *enqueue_often(void *arg)
{
	runner *r = arg;
	enum { TIMES = 32 };
	if (!host_cuda_ok(r->l.h, r->l.h->cuda->cuCtxSetCurrent(r->context), "making a CUDA context current")) return NULL;
	for (int k = 0; k < TIMES && host_launch_enqueue(&r->l); k++) continue;
	(void)host_launch_wait(&r->l);
	return NULL;
}

/* Contexts side by side, each in its own thread, on its own stream, with values of its own. */
static bool streams(host *h, const setting *s)
{
	enum { THREADS = 4 };
	runner r[THREADS];
	host_data in[THREADS], alone[THREADS], beside;
	void *context;
	int started = 0;
	if (!host_cuda_ok(h, h->cuda->cuCtxGetCurrent(&context), "asking for the CUDA context")) return false;
	host_upon("inputs of %s", s->c->words);
	for (int k = 0; k < THREADS; k++) {
		r[k].context = context;
		if (!fill(h, &in[k], s) ||
		    !host_launch_open(h, &r[k].l, s->p, s->c, s->made, s->f, &s->needs, s->needs.tactic[0]) ||
		    !once(&r[k].l, &in[k], PADDING, POISON, &alone[k]) || !host_launch_load(&r[k].l, &in[k], PADDING, POISON))
			return false;
	}
	host_upon("contexts in threads");
	for (; started < THREADS; started++)
		if (pthread_create(&r[started].thread, NULL, enqueue_often, &r[started])) break;
	for (int k = 0; k < started; k++) pthread_join(r[k].thread, NULL);
	if (started < THREADS) return host_fail(h, "a thread cannot be started");
	for (int k = 0; k < THREADS; k++) {
		if (h->failed || !host_launch_take(&r[k].l, &beside) ||
		    !same_results(h, s, &alone[k], &beside, "when other contexts run beside it"))
			return false;
		host_launch_close(&r[k].l);
	}
	return true;
}

void host_check_streams(host *h) { each_first(h, streams); }
