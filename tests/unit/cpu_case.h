/* cpu_case.h -- one node on the CPU backend: random tensors, a run of any of its ways in any layout, the definition
 * to compare with, and a process for each instruction set. */
#ifndef CPU_CASE_H
#define CPU_CASE_H

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/layout.h"
#include "schema/schema.h"

/* ---- random numbers ------------------------------------------------------------------------- */

static uint64_t state;                   /* set it to begin a sequence */

static inline uint32_t random_bits(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33);
}

/* low to high, both included */
static inline int64_t pick(int64_t low, int64_t high)
{
	return low + (int64_t)(random_bits() % (uint32_t)(high - low + 1));
}
static inline bool chance(int percent) { return pick(1, 100) <= percent; }
/* Uniform in [-1, 1). */
static inline float random_float(void) { return (float)random_bits() * 0x1p-30f - 1.0f; }

/* ---- tensors -------------------------------------------------------------------------------- */

/* Exactly so many bytes, so that a sanitizer sees what is read behind them; NaN. */
static inline void *exactly(size_t bytes)
{
	void *p = base_alloc_aligned(bytes ? bytes : 1, 64);
	assert_non_null(p);
	memset(p, 0xff, bytes);
	return p;
}

static inline size_t bytes_of(const og_tensor *t) { return base_dtype_span(t->dtype, (uint64_t)og_count(t)); }

static inline og_tensor make_typed(og_dtype dtype, int rank, const int64_t *dims)
{
	og_tensor t = { .dtype = dtype, .rank = rank };
	if (rank) memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
	t.data = exactly(bytes_of(&t));
	for (int64_t i = 0; i < og_count(&t); i++) {
		switch (dtype) {
		case OG_F32: ((float *)t.data)[i] = random_float(); break;
		case OG_F64: ((double *)t.data)[i] = (double)random_float(); break;
		case OG_F16: ((uint16_t *)t.data)[i] = base_float_to_half(random_float()); break;
		case OG_BF16: ((uint16_t *)t.data)[i] = base_float_to_bfloat(random_float()); break;
		case OG_I32: ((int32_t *)t.data)[i] = (int32_t)pick(-9, 9); break;
		case OG_I64: ((int64_t *)t.data)[i] = pick(-9, 9); break;
		default: ((uint8_t *)t.data)[i] = (uint8_t)pick(0, 1);
		}
	}
	return t;
}

static inline og_tensor make_tensor(int rank, const int64_t *dims) { return make_typed(OG_F32, rank, dims); }

/* ---- one node ------------------------------------------------------------------------------- */

enum { TRIAL_INPUTS = 8, TRIAL_OUTPUTS = 4, TRIAL_ATTRS = 16 };

/* A copy shares the lists and the data of the original. */
typedef struct trial {
	backend_node node;                   /* without its pointers, which node_of sets; tail: NULL or not */
	og_attr_value attr[TRIAL_ATTRS];
	int64_t ints[TRIAL_ATTRS][6];
	og_tensor in[TRIAL_INPUTS], out[TRIAL_OUTPUTS];        /* plain, with data; dtype OG_NONE: absent */
	backend_layout layout[TRIAL_INPUTS];                   /* how the plan has the inputs */
	program tail;
	unsigned constant;                   /* bit k: the plan knows input k */
	bool loading;                        /* runs as a plan file's: without constants, on bytes packed for 2 threads */
	double products;                     /* in a sum, by which residuals are measured */
} trial;

static inline const og_op *find_op(const char *name)
{
	const og_op *op = schema_find_any(name);
	assert_non_null(op);
	return op;
}

/* A node of the op, or NULL: of a program alone. Attributes are at their defaults. */
static inline void begin_trial(trial *t, const og_op *op)
{
	memset(t, 0, sizeof *t);
	t->node = (backend_node){ .name = "trial", .op = op, .n_out = 1 };
	for (int i = 0; op && op->attrs && op->attrs[i].name; i++)
		t->attr[i] = (og_attr_value){ .i = (int64_t)op->attrs[i].value, .f = (float)op->attrs[i].value };
}

static inline int attr_index(const trial *t, const char *name)
{
	for (int i = 0;; i++) {
		assert_non_null(t->node.op->attrs[i].name);
		if (!strcmp(t->node.op->attrs[i].name, name)) return i;
	}
}

static inline void set_number(trial *t, const char *name, double x)
{
	t->attr[attr_index(t, name)] = (og_attr_value){ .present = 1, .i = (int64_t)x, .f = (float)x };
}

static inline void set_list(trial *t, const char *name, const int64_t *list, int n)
{
	int i = attr_index(t, name);
	memcpy(t->ints[i], list, (size_t)n * sizeof *list);
	t->attr[i] = (og_attr_value){ .present = 1, .n = n, .ints = t->ints[i] };
}

static inline const int64_t *list_of(const trial *t, const char *name) { return t->ints[attr_index(t, name)]; }

static inline void end_trial(trial *t)
{
	for (int k = 0; k < TRIAL_INPUTS; k++) base_free(t->in[k].data);
	for (int k = 0; k < TRIAL_OUTPUTS; k++) base_free(t->out[k].data);
}

/* The node as a plan hands it over, with data of the inputs that `constant` names; it points into the trial and to
 * known. */
static inline backend_node node_of(const trial *t, og_tensor known[TRIAL_INPUTS], unsigned constant)
{
	backend_node node = t->node;
	for (int k = 0; k < node.n_in; k++) {
		known[k] = t->in[k];
		if (!(constant >> k & 1)) known[k].data = NULL;
	}
	node.attr = t->attr;
	node.in = known;
	node.in_layout = t->layout;
	node.out = t->out;
	if (node.tail) node.tail = &t->tail;
	return node;
}

/* ---- running -------------------------------------------------------------------------------- */

/* What ran. */
typedef struct ran { const char *tactic; backend_layout layout; unsigned packs_input; } ran;

/* Input k where the kernel wants it, in memory of its own; what is not there is NaN. Returns NULL when the kernel
 * does not read it. */
static inline const og_tensor *lay_input(og_tensor *to, const trial *t, const backend_kernel *kernel, int k)
{
	backend_layout want = kernel->in_layout ? kernel->in_layout[k] : LAYOUT_PLAIN;
	int lanes = cpu_backend.lanes();
	*to = t->in[k];
	if (to->dtype == OG_NONE) return NULL;
	if (want != LAYOUT_PLAIN && k >= t->node.n_anchor_in) layout_extend(to, t->out[0].rank);
	to->data = exactly(layout_bytes(to, want, lanes));
	layout_copy(to->data, want, t->in[k].data, LAYOUT_PLAIN, to, lanes);
	return kernel->packs_input >> k & 1 ? NULL : to;
}

/* Runs a kernel that was prepared, which must not allocate. The outputs, plain again, are in t->out. */
static inline og_status run_kernel(const trial *t, const backend_kernel *kernel, const void *packed, pool *threads)
{
	og_tensor lying[TRIAL_INPUTS], made[TRIAL_OUTPUTS], *out[TRIAL_OUTPUTS];
	const og_tensor *in[TRIAL_INPUTS];
	int lanes = cpu_backend.lanes();
	void *workspace = exactly(kernel->workspace_bytes);
	for (int k = 0; k < t->node.n_in; k++) in[k] = lay_input(&lying[k], t, kernel, k);
	for (int k = 0; k < t->node.n_out; k++) {
		made[k] = t->out[k];
		made[k].data = exactly(layout_bytes(&made[k], kernel->out_layout, lanes));
		out[k] = &made[k];
	}
	backend_run run = { .in = in, .out = out, .packed = packed, .workspace = workspace, .threads = threads };
	uint64_t allocations = base_allocations();
	og_status status = kernel->run(kernel, &run);
	assert_true(base_allocations() == allocations);
	for (int k = 0; k < t->node.n_out; k++) {
		layout_copy(t->out[k].data, LAYOUT_PLAIN, made[k].data, kernel->out_layout, &made[k], lanes);
		base_free(made[k].data);
	}
	for (int k = 0; k < t->node.n_in; k++) base_free(lying[k].data);
	base_free(workspace);
	return status;
}

/* Prepares, packs and runs by the tactic; NULL: by the one of least cost. how: may be NULL. */
static inline og_status run_trial(const trial *t, const char *tactic, int threads, ran *how)
{
	og_tensor known[TRIAL_INPUTS], gone[TRIAL_INPUTS];
	backend_node node = node_of(t, known, t->constant), bare = node_of(t, gone, 0);
	backend_kernel kernel, loaded;
	pool *workers = NULL;
	arena *a = arena_create();
	assert_non_null(a);
	og_status status = cpu_backend.prepare(&kernel, &node, tactic, t->loading ? 2 : threads, a);
	if (status == OG_OK) {
		void *packed = exactly(kernel.packed_bytes);
		assert_int_equal(pool_create(&workers, threads), OG_OK);
		if (kernel.pack) assert_int_equal(kernel.pack(&kernel, packed), OG_OK);
		if (t->loading) {
			assert_int_equal(cpu_backend.prepare(&loaded, &bare, kernel.tactic, threads, a), OG_OK);
			assert_int_equal(loaded.packed_bytes, kernel.packed_bytes);
			assert_int_equal(loaded.packs_input, kernel.packs_input);
		}
		status = run_kernel(t, t->loading ? &loaded : &kernel, packed, workers);
		if (how) *how = (ran){ kernel.tactic, kernel.out_layout, kernel.packs_input };
		pool_destroy(workers);
		base_free(packed);
	}
	arena_destroy(a);
	return status;
}

/* Runs by 1 to `most` threads, which must make the same bits of output 0. */
static inline og_status run_by_threads(const trial *t, const char *tactic, int most, ran *how)
{
	size_t bytes = bytes_of(&t->out[0]);
	void *first = exactly(bytes);
	og_status status = OG_OK;
	for (int threads = 1; threads <= most && status == OG_OK; threads++) {
		memset(t->out[0].data, 0x7f, bytes);
		status = run_trial(t, tactic, threads, how);
		if (threads == 1) memcpy(first, t->out[0].data, bytes);
		else assert_memory_equal(t->out[0].data, first, bytes);
	}
	base_free(first);
	return status;
}

/* Preparing fails well when any one allocation does. */
static inline void check_allocations(const trial *t, const char *tactic)
{
	og_tensor known[TRIAL_INPUTS];
	backend_node node = node_of(t, known, t->constant);
	og_status status = OG_NO_MEMORY;
	for (uint64_t n = 1; status != OG_OK; n++) {
		backend_kernel kernel;
		base_fail_allocation(n);
		arena *a = arena_create();
		if (a) status = cpu_backend.prepare(&kernel, &node, tactic, 2, a);
		base_fail_allocation(0);
		assert_true(status == OG_OK || status == OG_NO_MEMORY);
		arena_destroy(a);
	}
}

/* ---- comparing ------------------------------------------------------------------------------ */

/* Output 0 as another way makes it of the plain inputs, in memory of its own. */
static inline float *made_by(const trial *t, const char *tactic)
{
	trial other = *t;
	memset(other.layout, 0, sizeof other.layout);
	other.loading = false;
	other.out[0].data = exactly(bytes_of(&t->out[0]));
	assert_int_equal(run_trial(&other, tactic, 1, NULL), OG_OK);
	return other.out[0].data;
}

/* The sums of the absolute products, without tail. */
static inline float *magnitudes_of(const trial *t)
{
	trial other = *t;
	other.node.tail = NULL;
	for (int k = 0; k < TRIAL_ATTRS; k++) other.attr[k].f = fabsf(t->attr[k].f);       /* alpha, beta */
	for (int k = 0; k < t->node.n_in; k++) {
		if (t->in[k].dtype == OG_NONE) continue;
		float *x = exactly(bytes_of(&t->in[k]));
		for (int64_t i = 0; i < og_count(&t->in[k]); i++) x[i] = fabsf(((const float *)t->in[k].data)[i]);
		other.in[k].data = x;
	}
	float *y = made_by(&other, "definition");
	for (int k = 0; k < t->node.n_in; k++) base_free(other.in[k].data);
	return y;
}

/* Element i of output 0 by its residual: `scale` times what rounding each product of the sum makes. */
static inline void check_element(const trial *t, const char *tactic, int64_t i, float wanted, float magnitude,
                                 double scale)
{
	float y = ((const float *)t->out[0].data)[i];
	double allowed = scale * (t->products + 4.0) * (double)FLT_EPSILON *
		((double)magnitude + (t->node.tail ? 4.0 : 0.0));
	if (isnan(wanted) ? isnan(y) : y == wanted) return;
	if (!(fabs((double)y - (double)wanted) <= allowed))
		fail_msg("%s: element %lld is %g and not %g (+-%g)", tactic, (long long)i, (double)y, (double)wanted, allowed);
}

/* ---- instruction sets ----------------------------------------------------------------------- */

/* What main returns: runs the group for each instruction set of this machine, in a process of its own, since the mask
 * is read once. */
static inline int run_for_each_isa(int (*group)(const char *isa))
{
	static const char *const isas[] = { "scalar", "avx2", "avx512" };
	int failed = 0;
	for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
		pid_t child = fork();
		if (child < 0) return 1;
		if (child == 0) {
			setenv("OPGRAFT_ISA", isas[i], 1);
			exit(strcmp(cpu_backend.features(), isas[i]) ? 0 : group(isas[i]) ? 1 : 0);
		}
		int status;
		if (waitpid(child, &status, 0) < 0) return 1;
		failed |= !WIFEXITED(status) || WEXITSTATUS(status);
	}
	return failed;
}

#endif
