/* cpu.h -- what the files of the CPU backend share: how a kernel is asked for, views, strips, tasks. */
#ifndef CPU_H
#define CPU_H

#include "backend/layout.h"
#include "cpu/kernels.h"

/* ---- asking for a kernel -------------------------------------------------------------------- */

typedef struct cpu_request {
	const backend_node *node;
	const char *tactic;                  /* the one that is asked for */
	bool loading;                        /* for a plan file: constants that the tactic packs may have no data */
	int threads;
	const cpu_kernels *kernels;
	arena *a;
} cpu_request;

/* Each fills *out, cost included, or returns OG_NO and no sentence when the tactic is not for this node. Preparing is cheap:
 * it is done for every tactic to compare their costs. */
typedef og_status cpu_prepare_fn(backend_kernel *out, const cpu_request *);
cpu_prepare_fn cpu_depthwise, cpu_pool_lanes, cpu_pieces;
cpu_prepare_fn cpu_channels, cpu_strassen;
cpu_prepare_fn cpu_reorder, cpu_samples, cpu_conv, cpu_matmul, cpu_strips_only, cpu_map, cpu_definition;
cpu_prepare_fn cpu_winograd, cpu_winograd_rows, cpu_winograd_samples, cpu_expand;
cpu_prepare_fn cpu_scaled;
bool cpu_joins(const backend_node *first, const backend_node *second);
/* True when the first multiplies by numbers for channels what the second, a convolution, reads, and cpu_scaled is to do both. */
bool cpu_scales(const backend_node *first, const backend_node *second);
/* True when a node that is a convolution has windows of one cell, each cell being one, and one group. */
bool cpu_is_pointwise(const backend_node *);

/* Costs are guesses in nanoseconds on a core of 3 GHz whose arithmetic runs a vector's multiply-add each cycle. */
#define CPU_NS_PER_MOVED_BYTE 0.03
/* Nanoseconds of `flops` operations on the slots at a part of the peak. */
double cpu_cost(const cpu_kernels *, double flops, double part, int slots);

static inline int64_t cpu_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static inline int64_t cpu_lesser(int64_t a, int64_t b) { return a < b ? a : b; }
/* Bytes up to a multiple of a cache line. */
static inline size_t cpu_whole_lines(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

static inline bool cpu_is_tactic(const cpu_request *r, const char *tactic) { return !strcmp(r->tactic, tactic); }
/* True when input k is a constant, so that it can be packed. */
static inline bool cpu_is_constant(const cpu_request *r, int k)
{
	return k < r->node->n_in && (r->node->in[k].data || (r->loading && r->node->in[k].dtype != OG_NONE));
}
/* True when the node is ONNX's op of that name and all its tensors are float32. */
bool cpu_is(const backend_node *, const char *name);
/* True when input k is there. */
static inline bool cpu_has(const backend_node *n, int k) { return k < n->n_anchor_in && n->in[k].dtype != OG_NONE; }

/* A convolution as its node has it. */
typedef struct cpu_convolution {
	window w;                            /* axis 0 has size 1 */
	int64_t images, groups, channels, outputs;   /* the last two of one group */
	int64_t in_plane, out_plane;         /* elements of a channel */
	const float *weights, *bias;         /* NULL where they are no constants, or not there */
} cpu_convolution;
cpu_convolution cpu_convolution_of(const backend_node *);

/* The largest tile with the fewest instructions for a product by samples of so many outputs and positions. */
void cpu_samples_tile(const cpu_kernels *, int64_t outputs, int64_t positions, int *rows, int *vectors);

/* ---- tasks ---------------------------------------------------------------------------------- */

/* Work per thread that pays for waking one, in multiply-adds or the like. */
enum { CPU_TASK_WORK = 1 << 18 };
/* How many threads so much work is for: 1 to `threads`. */
int cpu_slots(double work, int threads);
/* Runs task(arg, k, slot) once for every k in [0, n); tasks that run at the same time have different slots, all
 * below `slots`. */
void cpu_tasks(pool *, int slots, int64_t n, void (*task)(void *arg, int64_t k, int slot), void *arg);

/* Multiplies and adds a second of one core, measured in some milliseconds on operands that never leave L1. */
double cpu_peak(const cpu_kernels *);

/* ---- views ---------------------------------------------------------------------------------- */

/* An operand read as if it had the shape it broadcasts to: axes merged where they can be, innermost first. */
typedef struct cpu_view {
	int rank;                            /* 1 at least */
	int64_t size[OG_MAX_RANK], stride[OG_MAX_RANK];        /* of the innermost: 0 or 1 */
} cpu_view;
/* False when the operand's dims do not broadcast to `dims`. */
bool cpu_view_make(cpu_view *, int operand_rank, const int64_t *operand_dims, int rank, const int64_t *dims);
/* Where element `at` lies in the operand. */
int64_t cpu_view_at(const cpu_view *, int64_t at);
/* Elements [at, at + n), each of `bytes` (1, 2, 4 or 8): in place where they are contiguous, else copied to buffer. */
const void *cpu_view_read(const cpu_view *, const void *data, size_t bytes, int64_t at, int64_t n, void *buffer);
/* True when one element stands for all. */
static inline bool cpu_view_is_scalar(const cpu_view *view) { return view->rank == 1 && view->stride[0] == 0; }

/* ---- strips: a program over a stretch of the output ------------------------------------------ */

enum { CPU_STRIP = 1024 };               /* floats: three or four strips lie in L1 */
typedef struct cpu_strips {
	const program *program;
	int n_steps;                         /* up to the one that makes the result */
	og_map_fn *map[PROGRAM_MAX_STEPS];
	cpu_view view[PROGRAM_MAX_REGS];
	size_t bytes;                        /* of the buffers of one slot, a multiple of 64 */
} cpu_strips;

/* For node->tail over an output, and operands, that lie in `layout`; *out NULL when there is no tail. Positions and
 * elements are those in memory. */
og_status cpu_strips_make(const cpu_strips **out, const cpu_request *, backend_layout layout);
/* Before the first cpu_strips_run of a task: fills the buffers of operands that are one element. */
void cpu_strips_begin(const cpu_strips *, const og_tensor *const *in, float *buffers);
/* Makes elements [at, at + n) of the output at y, which is where an anchor left its own. */
void cpu_strips_run(const cpu_strips *, const og_tensor *const *in, int64_t at, int64_t n, float *y, float *buffers);
/* True when the node's tail is none or one that keeps each element between two numbers, as Relu and Clip do, for kernels that do
 * v_lesser(*high, v_greater(*low, x)) before they store: the same bits, and no pass. */
bool cpu_clamp(const backend_node *, float *low, float *high);

/* A tail in a blocked layout whose beginning takes one pass, or none where the kernel does it in registers: an operand of the
 * output's shape is added, the sum is kept between two numbers. */
typedef struct cpu_ending {
	int add;                             /* which input of the node; -1: none */
	float low, high;
	cpu_end_fn *first;                   /* does both; NULL: there is nothing to do */
	const cpu_strips *tail;              /* the rest, or NULL */
} cpu_ending;
og_status cpu_ending_make(cpu_ending *, const cpu_request *, backend_layout);
/* As cpu_strips_run, of whole vectors. cpu_strips_begin is needed where there is a rest. */
void cpu_ending_run(const cpu_ending *, const og_tensor *const *in, int64_t at, int64_t n, float *y, float *buffers);
static inline const float *cpu_ending_add(const cpu_ending *e, const og_tensor *const *in)
{
	return e->add < 0 ? NULL : in[e->add]->data;
}
/* The data of an operand that has the output's shape and is not the output itself; NULL: there is none. */
const float *cpu_strips_other(const cpu_strips *, const og_tensor *const *in);
static inline size_t cpu_strips_bytes(const cpu_strips *s) { return s ? s->bytes : 0; }
/* The same of an ending. */
static inline const float *cpu_ending_other(const cpu_ending *e, const og_tensor *const *in)
{
	return e->add >= 0 ? in[e->add]->data : e->tail ? cpu_strips_other(e->tail, in) : NULL;
}

#endif
