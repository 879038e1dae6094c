/* backend.h -- what a device offers to the plan: it turns one node with known shapes into a kernel that runs.
 * The plan knows backends only through this struct. */
#ifndef BACKEND_H
#define BACKEND_H

#include "base/base.h"
#include "base/thread.h"
#include "opgraft/op_abi.h"

/* How the elements of a tensor lie. Plain is row-major, as ONNX has it. The others cut one axis into blocks of
 * backend.lanes() entries and make the place within a block the innermost axis: [N, C, H, W] by channels is [N,
 * ceil(C / lanes), H, W, lanes]; by samples it is [ceil(N / lanes), C, H, W, lanes]. Entries of the last block that
 * are not there have undefined contents: a kernel computes them if it likes, but lets none of them into another
 * entry. An axis of size 1 is not cut. See layout.h. */
typedef enum backend_layout { LAYOUT_PLAIN, LAYOUT_CHANNELS, LAYOUT_SAMPLES, LAYOUT_COUNT } backend_layout;

/* Elementwise float32 work as a straight line of formulas over registers (strips of float, a few hundred
 * elements, or a tile of a matrix). Registers 0..n_operands-1 hold the operands, the others results. Behind an
 * anchor (a convolution, a matrix product) operand 0 is the anchor's output, the rest are further inputs of
 * the node. The result has the node's output shape; every operand broadcasts to it. */
enum { PROGRAM_MAX_REGS = 16, PROGRAM_MAX_STEPS = 24 };
typedef struct program_step {
	const og_op *op;                         /* elementwise, float32 in and out */
	uint8_t in[OG_MAX_IN], out;
	float attr[OG_MAX_MAP_ATTRS];
} program_step;
typedef struct program {
	int n_operands, n_regs, n_steps;
	int operand[PROGRAM_MAX_REGS];           /* which input of the node register k starts as; -1: the anchor's output */
	uint8_t result;                          /* register */
	program_step step[PROGRAM_MAX_STEPS];
} program;

/* One node as the plan hands it over; everything outlives the kernel. Neither op nor tail nor parts: a reorder, which copies
 * input 0 from its layout to out_layout. Tensor types are logical: the shapes that ONNX knows, whatever the layout. */
typedef struct backend_node backend_node;
struct backend_node {
	const char *name;                        /* for messages */
	const og_op *op;                         /* the anchor; NULL: elementwise program only */
	const og_attr_value *attr;
	int n_in, n_anchor_in, n_out;            /* the first n_anchor_in inputs are op's, the rest the program's */
	const og_tensor *in;                     /* dtype OG_NONE: absent; data: of a constant (aligned to 64), else NULL */
	const og_tensor *out;                    /* data NULL */
	const program *tail;                     /* NULL: none. Runs over output 0 */
	const backend_layout *in_layout;         /* how each input lies at present; NULL: all plain. Constants are plain */
	backend_layout out_layout;               /* of a reorder */
	bool tf32;                               /* products may be rounded as tf32 */
	void *code;                              /* of the plan being built, for the kernels' text; NULL: none is wanted */
	/* Two nodes as one, or NULL: parts[1] reads as its input 0 what parts[0] makes, and nothing else does. Inputs here are those of
	 * the one and then of the other, the one between them absent; the parts have none of their own. */
	const backend_node *parts;
};

typedef struct backend_run {
	const og_tensor *const *in;              /* absent: NULL */
	og_tensor *const *out;
	const void *packed;                      /* what pack() wrote, aligned to 64; NULL when packed_bytes is 0 */
	void *workspace;                         /* workspace_bytes, aligned to 64, contents undefined */
	pool *threads;
	void *device, *stream;                   /* of a backend that has a device: run only puts work into the stream */
	void *bound;                             /* what bind() wrote */
} backend_run;

/* A whole network as the plan has it. A value is at home in itself (root) or a view of another. */
typedef enum backend_place { BACKEND_INSIDE, BACKEND_INPUT, BACKEND_OUTPUT, BACKEND_CONSTANT } backend_place;
typedef struct backend_value {
	og_tensor type;
	backend_place place;
	int slot;                                /* of an input or output; of a constant that is one number, among those */
	int root;
} backend_value;
typedef struct backend_network {
	int64_t samples;                         /* size of axis 0 of all that is not constant */
	const backend_value *values; int n_values;
	const backend_node *nodes; int n_nodes;
	const int *const *in, *const *out;       /* values of each node; -1: absent */
	int n_inputs, n_outputs, n_numbers;
} backend_network;

typedef struct backend_kernel backend_kernel;
struct backend_kernel {
	const char *tactic;                      /* name of the way chosen: "conv.packed", "strips", "definition" */
	og_status (*run)(const backend_kernel *, const backend_run *);
	/* Writes weights in the kernel's own layout; the constants named by packs_input are then not needed to run. */
	og_status (*pack)(const backend_kernel *, void *packed);
	size_t packed_bytes, workspace_bytes;
	/* Of a device: writes into bound_bytes at run->bound what stays as it is while no pointer changes. */
	og_status (*bind)(const backend_kernel *, const backend_run *);
	size_t bound_bytes;
	bool on_host;                            /* of a device: runs on the host's memory, as a CPU's step does */
	unsigned packs_input;                    /* bit k: in[k]'s data is in the packed bytes */
	/* How each input must lie; NULL: all plain. The plan inserts a reorder where an input lies otherwise. */
	const backend_layout *in_layout;
	backend_layout out_layout;               /* of every output */
	bool in_place;                           /* output 0 may be the same memory as an input of the same size */
	/* Entry i of the outputs' axis 0 depends on entry i of axis 0 of those inputs only that are not constant. */
	bool per_sample;
	double cost;                             /* nanoseconds of a run, guessed, to choose among tactics by */
	double flops;                            /* multiply and add count as two */
	void *state;                             /* in the arena given to prepare */
};

/* A device with memory of its own. `device` is what open() made; pointers into its memory are distinct from those of
 * the host; work in a stream runs in order. All are safe from several threads. */
typedef struct backend_device {
	/* Takes the text of the kernels that prepare() asks for while a plan is built; NULL: no memory. */
	void *(*code_create)(arena *);
	/* Variants of one of its tactics for the node, tactics themselves, the likely best first; returns how many. They
	 * lie in the arena. */
	int (*variants)(const char **names, int most, const backend_node *, const char *tactic, arena *);
	/* ns[k]: the time of a run of each on this machine's device. OG_MISSING: there is none, or no compiler. */
	og_status (*time)(uint64_t *ns, const char *const *names, int n, const backend_node *);
	/* Compiles it; *image lies in the arena. OG_MISSING: there is no compiler. */
	og_status (*code_compile)(void *code, arena *, const void **image, size_t *bytes);
	og_status (*open)(void **device, int ordinal, const void *image, size_t bytes);     /* the first of several has ordinal 0 */
	void (*close)(void *device);
	og_status (*alloc)(void *device, void **p, size_t bytes);           /* aligned to 256 */
	void (*release)(void *device, void *p);
	og_status (*host_alloc)(void *device, void **p, size_t bytes);      /* memory of the host that copies fast */
	void (*host_release)(void *device, void *p);
	og_status (*stream_create)(void *device, void **stream);
	void (*stream_free)(void *device, void *stream);
	og_status (*copy)(void *device, void *stream, void *to, const void *from, size_t bytes);    /* in any direction */
	og_status (*wait)(void *device, void *stream);
	/* What the stream is given between begin and end is kept instead of run, to be run by replay. */
	og_status (*record_begin)(void *device, void *stream);
	og_status (*record_end)(void *device, void *stream, void **graph);
	og_status (*replay)(void *device, void *stream, void *graph);
	void (*graph_free)(void *device, void *graph);
	bool (*is_recording)(void *device, void *stream);
	int (*device_of)(const void *p);         /* the ordinal of the device that has this memory; -1: the host has it */
	/* Seconds that the stream took for what lies between two marks. */
	og_status (*mark)(void *device, void *stream, void **event);
	og_status (*between)(void *device, void *from, void *to, double *seconds);     /* frees both */
} backend_device;

typedef struct backend {
	const char *name;                        /* "cpu" */
	const backend_device *device;            /* NULL: kernels run on the host's memory */
	/* Identifies what packed bytes and tactics depend on: "avx512". A plan made for another is refused. */
	const char *(*features)(void);
	/* The processor, for times that are kept: they are those of this machine alone. */
	const char *(*machine)(void);
	/* Puts memory out of all caches, for times of what comes from memory. */
	void (*cool)(const void *, size_t bytes);
	double (*now)(void);                     /* the clock, in seconds, that kernels are timed by; NULL with a device, which times its own */
	/* Entries of a block of the blocked layouts on this machine; -n: the whole axis is one block, rounded up to a
	 * multiple of n. */
	int (*lanes)(void);
	/* The tactics that can run the node, by rising cost (with the reorders that each one needs); returns how many, at
	 * most `most`. 0 when there is none: prepare then says why. -1: no memory. */
	int (*tactics)(const char **names, int most, const backend_node *, int threads);
	/* Chooses a kernel for the node, the one of least cost; `tactic` (may be NULL) forces one by name, as a plan file
	 * does: then constants that the tactic packs may have NULL data. threads: how many the session will have, for
	 * sizing the workspace. OG_UNSUPPORTED with op, node and type when there is none. */
	og_status (*prepare)(backend_kernel *out, const backend_node *, const char *tactic, int threads, arena *);
	/* A kernel for a whole network, which reads its inputs and then the constants that are numbers; tactic as in
	 * prepare. OG_NO: not for this one. NULL: there are none. */
	og_status (*whole)(backend_kernel *out, const backend_network *, const char *tactic, void *code, arena *);
	/* True when `tail` may run as the epilogue of the anchor with this node's shapes. */
	bool (*takes_tail)(const backend_node *);
	/* True when it has a kernel for the two as one, where input 0 of the second is what the first makes. NULL: never. */
	bool (*joins)(const backend_node *first, const backend_node *second);
} backend;

extern const backend cpu_backend, cuda_backend;

#endif
