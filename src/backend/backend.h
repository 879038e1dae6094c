/* backend.h -- what a device offers to the plan: it turns one node with known shapes into a kernel that runs.
 * The plan knows backends only through this struct. */
#ifndef BACKEND_H
#define BACKEND_H

#include "base/base.h"
#include "base/thread.h"
#include "opgraft/op_abi.h"

/* How the elements of a tensor lie. Plain is row-major, as ONNX has it. The others cut one axis into blocks of
 * backend.lanes() entries and make the place within a block the innermost axis: [N, C, H, W] by channels is
 * [N, ceil(C / lanes), H, W, lanes]; by samples it is [ceil(N / lanes), C, H, W, lanes]. Entries of the last block that are
 * not there have undefined contents: a kernel computes them if it likes, but lets none of them into another entry. An axis of
 * size 1 is not cut. See layout.h. */
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

/* One node as the plan hands it over; everything outlives the kernel. Neither op nor tail: a reorder, which copies input 0
 * from its layout to out_layout. Tensor types are logical: the shapes that ONNX knows, whatever the layout. */
typedef struct backend_node {
	const char *name;                        /* for messages */
	const og_op *op;                         /* the anchor; NULL: elementwise program only */
	const og_attr_value *attr;
	int n_in, n_anchor_in, n_out;            /* the first n_anchor_in inputs are op's, the rest the program's */
	const og_tensor *in;                     /* dtype OG_NONE: absent; data: of a constant (aligned to 64), else NULL */
	const og_tensor *out;                    /* data NULL */
	const program *tail;                     /* NULL: none. Runs over output 0 */
	const backend_layout *in_layout;         /* how each input lies at present; NULL: all plain. Constants are plain */
	backend_layout out_layout;               /* of a reorder */
} backend_node;

typedef struct backend_run {
	const og_tensor *const *in;              /* absent: NULL */
	og_tensor *const *out;
	const void *packed;                      /* what pack() wrote, aligned to 64; NULL when packed_bytes is 0 */
	void *workspace;                         /* workspace_bytes, aligned to 64, contents undefined */
	pool *threads;
} backend_run;

typedef struct backend_kernel backend_kernel;
struct backend_kernel {
	const char *tactic;                      /* name of the way chosen: "conv.packed", "strips", "definition" */
	og_status (*run)(const backend_kernel *, const backend_run *);
	/* Writes weights in the kernel's own layout; the constants named by packs_input are then not needed to run. */
	og_status (*pack)(const backend_kernel *, void *packed);
	size_t packed_bytes, workspace_bytes;
	unsigned packs_input;                    /* bit k: in[k]'s data is in the packed bytes */
	/* How each input must lie; NULL: all plain. The plan inserts a reorder where an input lies otherwise. */
	const backend_layout *in_layout;
	backend_layout out_layout;               /* of every output */
	bool in_place;                           /* output 0 may be the same memory as an input of the same size */
	/* Entry i of the outputs' axis 0 depends on entry i of axis 0 of those inputs only that are not constant. */
	bool per_sample;
	double cost;                             /* a guess at the time of a run in nanoseconds, to choose among tactics by */
	double flops;                            /* multiply and add count as two */
	void *state;                             /* in the arena given to prepare */
};

typedef struct backend {
	const char *name;                        /* "cpu" */
	/* Identifies what packed bytes and tactics depend on: "avx512". A plan made for another is refused. */
	const char *(*features)(void);
	/* Entries of a block of the blocked layouts on this machine. */
	int (*lanes)(void);
	/* The tactics that can run the node, by rising cost (with the reorders that each one needs); returns how many, at most
	 * `most`. 0 when there is none: prepare then says why. */
	int (*tactics)(const char **names, int most, const backend_node *, int threads);
	/* Chooses a kernel for the node, the one of least cost; `tactic` (may be NULL) forces one by name, as a plan file does: then constants that
	 * the tactic packs may have NULL data. threads: how many the session will have, for sizing the workspace.
	 * OG_UNSUPPORTED with op, node and type when there is none. */
	og_status (*prepare)(backend_kernel *out, const backend_node *, const char *tactic, int threads, arena *);
	/* True when `tail` may run as the epilogue of the anchor with this node's shapes. */
	bool (*takes_tail)(const backend_node *);
} backend;

extern const backend cpu_backend;

#endif
