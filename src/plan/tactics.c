/* tactics.c -- times the tactics of a step, or knows their times, and takes the one that costs least.
 *
 * It costs its time, and for each byte of its weights what a byte counts: Winograd's weights may be four times the direct sum's.
 *
 * A tactic decides how the step's output lies, too. Where tactics differ in that, what the steps that read the output
 * lose by it is added: each of them by its own fastest tactic for an input that lies so. */
#include "plan/tactics.h"

#include <math.h>
#include <unistd.h>

#include "plan/timing_cache.h"
#include "schema/schema.h"

enum { WAYS_MOST = 16, VARIANTS = 10 };
/* What the model thinks slower than the best by more than this is not timed. */
static const double HOPELESS = 2.5;
/* The last cache, where the system does not tell or tells the sum of a socket's. */
enum { USUAL_SHARED = 32 << 20 };
/* That a byte counts by itself: half of what reading it takes, or a millisecond for 67 MB. */
static const double BYTE_NS = 0.015;
/* Timing ends after LEAST_RUNS runs and LEAST_SECONDS, after MOST_SECONDS, or when a tactic is so many times slower than another. */
enum { LEAST_RUNS = 3 };
static const double LEAST_SECONDS = 5e-4, MOST_SECONDS = 0.1, BEATEN = 1.4;

struct tactics {
	arena *a;
	const backend *backend;
	int n_threads;
	pool *threads;                       /* made for the first timing */
	og_timing timing;
	timing_cache *known;
	const char *path; bool own;          /* of the cache; it is the user's own. NULL: none */
	const char *here;                    /* what all times depend on */
	bool plain;
	double byte_ns;                      /* that a byte of weights counts */
	bool cool;                           /* weights come from memory, since the caches do not hold those of all steps */
};

/* ---- opening and closing -------------------------------------------------------------------- */

static og_status open_cache(tactics *t, const char *cache)
{
	t->known = timing_cache_create();
	NEED(t->known);
	t->own = cache && !cache[0];
	t->path = t->own ? timing_cache_path(t->a) : cache ? arena_strdup(t->a, cache) : NULL;
	og_status status = t->path ? timing_cache_read(t->known, t->path) : OG_OK;
	return status == OG_BAD_FILE && t->own ? OG_OK : status;
}

og_status tactics_open(tactics **out, const backend *device, int threads, og_timing timing, const char *cache, size_t weights)
{
	arena *a = arena_create();
	tactics *t = a ? arena_alloc(a, sizeof *t) : NULL;
	*out = NULL;
	if (!t) {
		arena_destroy(a);
		return base_no_memory();
	}
	long shared = sysconf(_SC_LEVEL3_CACHE_SIZE);
	*t = (tactics){ .a = a, .backend = device, .n_threads = threads, .timing = timing };
	t->cool = weights > (size_t)(shared > 0 && shared < USUAL_SHARED ? shared : USUAL_SHARED) / 2;
	t->byte_ns = t->cool && !device->device ? BYTE_NS : 0;
	const char *library = timing_cache_library(a);
	t->here = arena_printf(a, "%s\n%s %s %s\n%d threads%s\n", library ? library : "", device->name, device->features(),
	                       device->machine(), threads, t->cool ? ", cool" : "");
	og_status status = t->here && library ? timing == OG_TIMING_OFF ? OG_OK : open_cache(t, cache) : base_no_memory();
	if (status == OG_OK) *out = t;
	else tactics_close(t, false);
	return status;
}

og_status tactics_close(tactics *t, bool keep)
{
	if (!t) return OG_OK;
	og_status status = keep && t->known && t->path ? timing_cache_write(t->known, t->path) : OG_OK;
	if (t->own && status != OG_NO_MEMORY) status = OG_OK;   /* a home that cannot be written to is no fault of the network */
	pool_destroy(t->threads);
	timing_cache_free(t->known);
	arena_destroy(t->a);
	return status;
}

/* ---- what a time is the time of ------------------------------------------------------------- */

static void describe_tensor(text *out, const og_tensor *type, backend_layout layout)
{
	text_printf(out, " %s", base_dtype_name(type->dtype));
	for (int i = 0; i < type->rank; i++) text_printf(out, "%s%lld", i ? "x" : " ", (long long)type->dims[i]);
	text_printf(out, " %d%s\n", layout, type->data ? " constant" : "");
}

static void describe_op(text *out, const og_op *op)
{
	text_printf(out, "%s::%s %d %llx\n", schema_domain(op), op->name, op->since,
	            op->text ? (unsigned long long)base_hash(op->text, (size_t)(op->text_end - op->text), 0) : 0);
}

static void describe_attributes(text *out, const backend_node *n)
{
	for (int i = 0; n->op->attrs && n->op->attrs[i].name; i++) {
		const og_attr_value *v = &n->attr[i];
		text_printf(out, "%s=%d %lld %a %s", n->op->attrs[i].name, v->present, (long long)v->i, (double)v->f, v->s ? v->s : "");
		for (int k = 0; k < v->n; k++) {
			if (v->ints) text_printf(out, ",%lld", (long long)v->ints[k]);
			if (v->floats) text_printf(out, ",%a", (double)v->floats[k]);
		}
		text_add(out, "\n");
	}
}

static void describe_tail(text *out, const program *p)
{
	for (int i = 0; i < p->n_operands; i++) text_printf(out, "%d ", p->operand[i]);
	for (int i = 0; i < p->n_steps; i++) {
		const program_step *s = &p->step[i];
		for (int k = 0; k < s->op->map_inputs; k++) text_printf(out, "%d,", s->in[k]);
		text_printf(out, "%d ", s->out);
		describe_op(out, s->op);
	}
}

/* All that the time of a node's tactic depends on, but names and values of weights. in_layout: what the tactic wants. */
static char *describe(const tactics *t, const backend_node *n, const char *tactic, const backend_layout *in_layout)
{
	text out = { 0 };
	text_printf(&out, "%s%s\n", t->here, tactic);
	if (n->op) {
		describe_op(&out, n->op);
		describe_attributes(&out, n);
	}
	for (int k = 0; k < n->n_in; k++) describe_tensor(&out, &n->in[k], in_layout ? in_layout[k] : LAYOUT_PLAIN);
	for (int k = 0; k < n->n_out; k++) describe_tensor(&out, &n->out[k], n->out_layout);
	if (n->tail) describe_tail(&out, n->tail);
	for (int k = 0; n->parts && k < 2; k++) {
		if (n->parts[k].op) {
			describe_op(&out, n->parts[k].op);
			describe_attributes(&out, &n->parts[k]);
		}
		describe_tensor(&out, n->parts[k].out, LAYOUT_PLAIN);
		if (n->parts[k].tail) describe_tail(&out, n->parts[k].tail);
	}
	return text_take(&out);
}

/* ---- timing --------------------------------------------------------------------------------- */

static void fill_random(float *x, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		x[i] = (float)(seed >> 8) * 0x1p-24f;
	}
}

/* Random data in a layout, in place of what the value will be. Operands of a tail have the rank of its output. */
static const og_tensor *stand_in(const tactics *t, arena *a, const backend_node *n, int k, backend_layout layout)
{
	og_tensor *type = arena_alloc(a, sizeof *type);
	if (!type) return NULL;
	*type = n->in[k];
	if (type->data && layout == LAYOUT_PLAIN) return type;
	if (layout != LAYOUT_PLAIN && k >= n->n_anchor_in) layout_extend(type, n->out[0].rank);
	size_t bytes = layout_bytes(type, layout, t->backend->lanes());
	type->data = bytes == SIZE_MAX ? NULL : arena_aligned(a, bytes + 64, 64);
	if (!type->data) return NULL;
	fill_random(type->data, bytes / sizeof(float), (uint32_t)k + 1);
	return type;
}

static og_status make_run(const tactics *t, backend_run *r, const backend_kernel *k, const backend_node *n, arena *a)
{
	const og_tensor **in = arena_array(a, (size_t)n->n_in + 1, sizeof *in);
	og_tensor **out = arena_array(a, (size_t)n->n_out + 1, sizeof *out);
	NEED(in && out);
	for (int i = 0; i < n->n_in; i++) {
		if (n->in[i].dtype == OG_NONE) continue;
		in[i] = stand_in(t, a, n, i, k->in_layout ? k->in_layout[i] : LAYOUT_PLAIN);
		NEED(in[i]);
	}
	for (int i = 0; i < n->n_out; i++) {
		if (n->out[i].dtype == OG_NONE) continue;
		size_t bytes = layout_bytes(&n->out[i], k->out_layout, t->backend->lanes());
		out[i] = arena_alloc(a, sizeof *out[i]);
		NEED(out[i]);
		*out[i] = n->out[i];
		NEED(bytes != SIZE_MAX && (out[i]->data = arena_aligned(a, bytes + 64, 64)));
	}
	*r = (backend_run){ .in = in, .out = out, .threads = t->threads };
	r->workspace = arena_aligned(a, k->workspace_bytes + 64, 64);
	NEED(r->workspace);
	if (!k->packed_bytes) return OG_OK;
	void *packed = arena_aligned(a, k->packed_bytes, 64);
	NEED(packed);
	r->packed = packed;
	return k->pack(k, packed);
}

/* The least time of a few runs, in nanoseconds. best: of another tactic; 0: none. */
static og_status time_runs(const tactics *t, uint64_t *ns, const backend_kernel *k, const backend_run *r, uint64_t best)
{
	double least = 0, spent = 0;
	for (int i = 0; i < LEAST_RUNS || spent < LEAST_SECONDS; i++) {
		if (t->cool && r->packed) t->backend->cool(r->packed, k->packed_bytes);
		double start = t->backend->now();
		TRY(k->run(k, r));
		double seconds = t->backend->now() - start;
		spent += seconds;
		if (i == 0 || seconds < least) least = seconds;
		if (spent > MOST_SECONDS || (i > 0 && best && least * 1e9 > BEATEN * (double)best)) break;
	}
	*ns = least > 0 ? (uint64_t)(least * 1e9 + 0.5) : 1;
	return OG_OK;
}

/* Constants of a step that is not lowered yet may lie at any address: kernels read aligned ones. */
static og_status align_constants(backend_node *n, arena *a)
{
	og_tensor *in = arena_array(a, (size_t)n->n_in + 1, sizeof *in);
	NEED(in);
	for (int k = 0; k < n->n_in; k++) {
		in[k] = n->in[k];
		if ((uintptr_t)in[k].data % 64 == 0) continue;
		size_t bytes = layout_bytes(&in[k], LAYOUT_PLAIN, 1);
		in[k].data = arena_aligned(a, bytes, 64);
		NEED(in[k].data);
		memcpy(in[k].data, n->in[k].data, bytes);
	}
	n->in = in;
	return OG_OK;
}

static og_status time_tactic(tactics *t, uint64_t *ns, const backend_node *node, const char *tactic, uint64_t best)
{
	backend_node n = *node;
	backend_kernel k;
	backend_run r;
	if (!t->threads) TRY(pool_create(&t->threads, t->n_threads));
	arena *a = arena_create();
	NEED(a);
	og_status status = align_constants(&n, a);
	if (status == OG_OK) status = t->backend->prepare(&k, &n, tactic, t->n_threads, a);
	if (status == OG_OK) status = make_run(t, &r, &k, &n, a);
	if (status == OG_OK) status = time_runs(t, ns, &k, &r, best);
	arena_destroy(a);
	return status;
}

/* The time of the tactic, known or measured; 0: it is not known, and is not to be measured. */
static og_status find_time(tactics *t, uint64_t *ns, const backend_node *n, const char *tactic, const backend_layout *in_layout,
                           uint64_t best)
{
	char *what = describe(t, n, tactic, in_layout);
	NEED(what);
	*ns = timing_cache_get(t->known, what);
	og_status status = OG_OK;
	if (!*ns && t->timing == OG_TIMING_ON && !t->backend->device) {
		status = time_tactic(t, ns, n, tactic, best);
		if (status == OG_OK) status = timing_cache_put(t->known, what, *ns);
	}
	base_free(what);
	return status;
}

/* ---- reorders ------------------------------------------------------------------------------- */

/* Adds the time of bringing a value from one layout to another, or a guess at it. *known: false when the time is not known. */
static og_status add_reorder(tactics *t, double *sum, bool *known, const og_tensor *type, backend_layout from, backend_layout to, bool guess)
{
	if (layout_same(type, from, to, t->backend->lanes())) return OG_OK;
	if (from != LAYOUT_PLAIN && to != LAYOUT_PLAIN) {
		TRY(add_reorder(t, sum, known, type, from, LAYOUT_PLAIN, guess));
		return add_reorder(t, sum, known, type, LAYOUT_PLAIN, to, guess);
	}
	const char *name;
	uint64_t ns = 0;
	backend_node n = { .name = "reorder", .n_in = 1, .n_anchor_in = 1, .n_out = 1, .in = type, .out = type, .in_layout = &from,
	                   .out_layout = to };
	int found = t->backend->tactics(&name, 1, &n, t->n_threads);
	if (found < 1) return found ? base_no_memory() : OG_OK;
	if (guess) {
		backend_kernel k = { 0 };
		arena *a = arena_create();
		og_status status = a ? t->backend->prepare(&k, &n, name, t->n_threads, a) : base_no_memory();
		arena_destroy(a);
		*sum += k.cost;
		return status;
	}
	TRY(find_time(t, &ns, &n, name, &from, 0));
	*known &= ns > 0;
	*sum += (double)ns;
	return OG_OK;
}

static og_status add_reorders(tactics *t, double *sum, bool *known, const backend_node *n, const backend_kernel *k, bool guess)
{
	for (int i = 0; i < n->n_in; i++) {
		backend_layout have = n->in_layout ? n->in_layout[i] : LAYOUT_PLAIN, want = k->in_layout ? k->in_layout[i] : LAYOUT_PLAIN;
		if (n->in[i].dtype == OG_NONE || n->in[i].data || have == want) continue;
		og_tensor type = n->in[i];
		if (i >= n->n_anchor_in) layout_extend(&type, n->out[0].rank);
		TRY(add_reorder(t, sum, known, &type, have, want, guess));
	}
	return OG_OK;
}

/* ---- choosing ------------------------------------------------------------------------------- */

/* Bytes of constants that the kernel reads in each run: packed, or as they are. */
static size_t weights_of(const backend_node *n, const backend_kernel *k)
{
	size_t sum = k->packed_bytes;
	for (int i = 0; i < n->n_in; i++)
		if (n->in[i].data && !(i < 32 && k->packs_input >> i & 1)) sum += layout_bytes(&n->in[i], LAYOUT_PLAIN, 1);
	return sum;
}

/* What a tactic costs: its time, guessed or measured, and what its bytes count. */
static double guessed(const tactics *t, const plan_way *w) { return w->guess + t->byte_ns * (double)w->bytes; }
static double measured(const tactics *t, const plan_way *w) { return w->run + w->reorders + t->byte_ns * (double)w->bytes; }

static double least_guess(const tactics *t, const plan_way *ways, int n_ways)
{
	double least = guessed(t, ways);
	for (int i = 1; i < n_ways; i++) least = fmin(least, guessed(t, &ways[i]));
	return least;
}

/* What the backend thinks of the tactic, and its time where that is wanted. */
static og_status look_at(tactics *t, plan_way *way, const backend_node *n, bool timed, uint64_t *best)
{
	backend_kernel k = { 0 };
	bool known = true;
	arena *a = arena_create();
	og_status status = a ? t->backend->prepare(&k, n, way->tactic, t->n_threads, a) : base_no_memory();
	uint64_t ns = 0;
	way->out_layout = k.out_layout;
	way->bytes = weights_of(n, &k);
	if (!timed) {
		way->guess = k.cost;
		if (status == OG_OK) status = add_reorders(t, &way->guess, &known, n, &k, true);
	} else {
		if (status == OG_OK) status = find_time(t, &ns, n, way->tactic, k.in_layout, *best);
		if (status == OG_OK) status = add_reorders(t, &way->reorders, &known, n, &k, false);
		if (known) way->run = (double)ns;
		if (ns && (!*best || ns < *best)) *best = ns;
	}
	arena_destroy(a);
	return status;
}

/* True when random numbers do for the inputs. */
static bool is_float(const backend_node *n)
{
	bool all = true;
	for (int k = 0; k < n->n_in; k++) all &= n->in[k].dtype == OG_F32 || n->in[k].dtype == OG_NONE || n->in[k].data;
	for (int k = 0; k < n->n_out; k++) all &= n->out[k].dtype == OG_F32 || n->out[k].dtype == OG_NONE;
	return all;
}

static bool may_time(const tactics *t, const backend_node *n)
{
	return t->timing != OG_TIMING_OFF && !t->backend->device && is_float(n);
}

/* Times the tactics that may win, whose guess is not hopeless beside `least`; *best costs least. NULL: one has no time. */
static og_status time_ways(tactics *t, const plan_way **best, plan_way *ways, int n_ways, double least,
                           const backend_node *n)
{
	uint64_t fastest = 0;
	bool all = true;
	const plan_way *b = NULL;
	for (int i = 0; i < n_ways; i++) {
		plan_way *w = &ways[i];
		if (guessed(t, w) > HOPELESS * least) continue;
		TRY(look_at(t, w, n, true, &fastest));
		all &= w->run > 0;
		if (!b || measured(t, w) < measured(t, b)) b = w;
	}
	*best = all ? b : NULL;
	return OG_OK;
}

/* ---- the steps behind ----------------------------------------------------------------------- */

/* A reader's node, as it is when value v lies in that layout, and values that are not made yet lie as v does. */
static og_status reader_node(backend_node *n, const og_plan *p, const plan_step *reader, int v, backend_layout layout, arena *a)
{
	backend_layout *in_layout = arena_array(a, (size_t)reader->n_in + 1, sizeof *in_layout);
	og_tensor *in = arena_array(a, (size_t)reader->n_in + 1, sizeof *in);
	og_tensor *out = arena_array(a, (size_t)reader->n_out + 1, sizeof *out);
	NEED(in_layout && in && out);
	plan_step_node(n, reader);
	for (int k = 0; k < reader->n_in; k++) {
		if (reader->in[k] < 0) continue;
		const plan_value *x = &p->values[reader->in[k]];
		in[k] = x->type;
		bool follows = reader->in[k] >= v && x->place == PLAN_ARENA && x->type.rank == p->values[v].type.rank;
		in_layout[k] = follows ? layout : x->layout;
	}
	for (int k = 0; k < reader->n_out; k++)
		if (reader->out[k] >= 0) out[k] = p->values[reader->out[k]].type;
	n->in = in;
	n->in_layout = in_layout;
	n->out = out;
	return OG_OK;
}

/* What the steps that read value v cost when that lies in `layout`; each by its best tactic. */
typedef struct behind { double guess, time; bool known; } behind;

static og_status add_reader(tactics *t, behind *sum, const og_plan *p, const plan_step *reader, int v,
                            backend_layout layout, arena *a)
{
	const char *names[WAYS_MOST];
	plan_way ways[WAYS_MOST] = { { 0 } };
	const plan_way *best = NULL;
	backend_node n;
	TRY(reader_node(&n, p, reader, v, layout, a));
	int n_ways = t->backend->tactics(names, WAYS_MOST, &n, t->n_threads);
	if (n_ways < 1) return n_ways ? base_no_memory() : OG_OK;
	for (int i = 0; i < n_ways; i++) {
		ways[i].tactic = names[i];
		TRY(look_at(t, &ways[i], &n, false, NULL));
	}
	double least = least_guess(t, ways, n_ways);
	sum->guess += least;
	if (t->timing == OG_TIMING_OFF) return OG_OK;
	if (may_time(t, &n)) TRY(time_ways(t, &best, ways, n_ways, least, &n));
	sum->known &= best || !is_float(&n) || t->timing == OG_TIMING_ON;       /* one way alone needs no time */
	sum->time += best ? measured(t, best) : least;
	return OG_OK;
}

static og_status look_behind(tactics *t, behind *sum, const og_plan *p, int v, backend_layout layout,
                             const tactics_readers *readers)
{
	og_status status = OG_OK;
	*sum = (behind){ .known = true };
	if (readers->plain && layout == LAYOUT_CHANNELS) {
		TRY(add_reorder(t, &sum->guess, &sum->known, &p->values[v].type, layout, LAYOUT_PLAIN, true));
		if (t->timing != OG_TIMING_OFF)
			TRY(add_reorder(t, &sum->time, &sum->known, &p->values[v].type, layout, LAYOUT_PLAIN, false));
	}
	for (int i = 0; status == OG_OK && i < readers->n; i++) {
		arena *a = arena_create();
		status = a ? add_reader(t, sum, p, readers->step[i], v, layout, a) : base_no_memory();
		arena_destroy(a);
	}
	return status;
}

/* Adds to the tactics what the steps behind lose by how each one's output lies. *known: false when that has no time. */
static og_status add_behind(tactics *t, bool *known, plan_way *ways, int n_ways, const og_plan *p, int v,
                            const tactics_readers *readers)
{
	behind sum[LAYOUT_COUNT] = { { 0 } };
	bool there[LAYOUT_COUNT] = { false };
	int n = 0;
	double guess = INFINITY, time = INFINITY, least = least_guess(t, ways, n_ways);
	*known = true;
	for (int i = 0; i < n_ways; i++) {
		if (guessed(t, &ways[i]) > HOPELESS * least || there[ways[i].out_layout]) continue;
		there[ways[i].out_layout] = true;
		n++;
	}
	if (n < 2) return OG_OK;
	for (int i = 0; i < LAYOUT_COUNT; i++) {
		if (!there[i]) continue;
		TRY(look_behind(t, &sum[i], p, v, (backend_layout)i, readers));
		guess = fmin(guess, sum[i].guess);
		time = fmin(time, sum[i].time);
		*known &= sum[i].known;
	}
	for (int i = 0; i < n_ways; i++) {
		if (!there[ways[i].out_layout]) continue;
		ways[i].guess += sum[ways[i].out_layout].guess - guess;
		ways[i].reorders = sum[ways[i].out_layout].time - time;
	}
	return OG_OK;
}

/* The tactic to take: the one that costs least by time where all that may win have one, else by guess. */
static og_status choose(tactics *t, const plan_way **out, plan_way *ways, int n_ways, const backend_node *n,
                        const og_plan *p, int v, const tactics_readers *readers)
{
	const plan_way *best;
	bool known = true;
	int able = 0;
	for (int i = 0; i < n_ways; i++) TRY(look_at(t, &ways[i], n, false, NULL));
	if (readers && v >= 0) TRY(add_behind(t, &known, ways, n_ways, p, v, readers));
	*out = ways;
	for (int i = 1; i < n_ways; i++)
		if (guessed(t, &ways[i]) < guessed(t, *out)) *out = &ways[i];
	for (int i = 0; i < n_ways; i++) able += guessed(t, &ways[i]) <= HOPELESS * guessed(t, *out);
	if (able < 2 || !known || !may_time(t, n)) return OG_OK;
	TRY(time_ways(t, &best, ways, n_ways, guessed(t, *out), n));
	if (best) *out = best;
	return OG_OK;
}

/* Of a device: the fastest variant of the tactic, where their times are known or can be measured here. */
static og_status choose_variant(tactics *t, const char **tactic, const backend_node *n, arena *a)
{
	const char *names[VARIANTS];
	char *what[VARIANTS] = { NULL };
	uint64_t ns[VARIANTS] = { 0 };
	const backend_device *d = t->backend->device;
	bool known = true;
	if (!d || t->timing == OG_TIMING_OFF) return OG_OK;
	int count = d->variants(names, VARIANTS, n, *tactic, a), best = 0;
	og_status status = OG_OK;
	for (int i = 0; status == OG_OK && i < count; i++) {
		what[i] = describe(t, n, names[i], NULL);
		if (!what[i]) status = base_no_memory();
		else ns[i] = timing_cache_get(t->known, what[i]);
		known &= ns[i] > 0;
	}
	if (status == OG_OK && count > 1 && !known && t->timing == OG_TIMING_ON) {
		status = d->time(ns, names, count, n);
		known = status == OG_OK;
		for (int i = 0; known && status == OG_OK && i < count; i++) status = timing_cache_put(t->known, what[i], ns[i]);
	}
	for (int i = 1; i < count; i++)
		if (ns[i] < ns[best]) best = i;
	if (known && count > 1) *tactic = names[best];
	for (int i = 0; i < count; i++) base_free(what[i]);
	return status == OG_MISSING ? OG_OK : status;
}

void tactics_plain(tactics *t, bool plain) { t->plain = plain; }
void tactics_count_bytes(tactics *t, double ns) { t->byte_ns = ns; }

static og_status is_plain(const tactics *t, bool *out, const backend_node *n, const char *tactic)
{
	backend_kernel k = { 0 };
	arena *a = arena_create();
	og_status status = a ? t->backend->prepare(&k, n, tactic, t->n_threads, a) : base_no_memory();
	*out = status == OG_OK && !k.packs_input && k.out_layout == LAYOUT_PLAIN;
	for (int i = 0; *out && k.in_layout && i < n->n_in; i++) *out = k.in_layout[i] == LAYOUT_PLAIN;
	arena_destroy(a);
	return status;
}

og_status tactics_choose(tactics *t, og_plan *p, plan_step *s, const tactics_readers *readers)
{
	const char *names[WAYS_MOST];
	const plan_way *chosen;
	backend_node n;
	plan_step_node(&n, s);
	n.tf32 = p->precision.tf32;
	p->byte_ns = t->byte_ns;
	int n_ways = t->backend->tactics(names, WAYS_MOST, &n, t->n_threads);
	if (n_ways < 0) return base_no_memory();
	if (!n_ways) return plan_prepare(p, s, NULL);           /* which says why */
	s->ways = arena_array(p->a, (size_t)n_ways, sizeof *s->ways);
	NEED(s->ways);
	s->n_ways = n_ways;
	for (int i = 0; i < n_ways; i++) s->ways[i].tactic = names[i];
	for (int i = 0; t->plain && i < n_ways; i++) {
		bool plain;
		TRY(is_plain(t, &plain, &n, names[i]));
		if (plain) return plan_prepare(p, s, names[i]);
	}
	TRY(choose(t, &chosen, s->ways, n_ways, &n, p, s->out ? s->out[0] : -1, readers));
	const char *tactic = chosen->tactic;
	TRY(choose_variant(t, &tactic, &n, p->a));
	return plan_prepare(p, s, tactic);
}
