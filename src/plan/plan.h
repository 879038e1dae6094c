/* plan.h -- the built form of a network for one device: steps in order, where every value lies, packed weights.
 *
 *   model --lower.c--> steps --memory.c--> offsets --plan_save.c--> bytes --plan_load.c--> plan
 *
 * A plan is static: all shapes are known. It is made once and never changed, so that sessions can share it. */
#ifndef PLAN_H
#define PLAN_H

#include "opgraft.h"
#include "backend/layout.h"
#include "base/file.h"
#include "graph/graph.h"

typedef enum plan_place { PLAN_NOWHERE, PLAN_INPUT, PLAN_OUTPUT, PLAN_CONSTANT, PLAN_ARENA } plan_place;

typedef struct plan_value {
	const char *name;
	og_tensor type;                      /* data: of a constant; NULL else, and when only packed bytes are needed */
	plan_place place;
	int slot;                            /* input or output number */
	size_t offset;                       /* in the session's arena, a multiple of 64 */
	backend_layout layout;               /* type is the logical one: layout_dims tells the shape in memory */
	size_t bytes;                        /* in memory */
	int alias;                           /* value whose memory this one shares (a reshape, or work in place); -1 */
	int first, last;                     /* steps between which it is alive */
} plan_value;

/* A tactic that could run a step. */
typedef struct plan_way {
	const char *tactic;
	double guess;                        /* the backend's, of all that follows; all in nanoseconds */
	/* Of a run, and of bringing inputs into the layouts that it wants, with what steps behind lose by the output's; 0: not
	 * timed. */
	double run, reorders;
	size_t bytes;                        /* of its weights */
	backend_layout out_layout;
} plan_way;

/* A node as steps see it: op, inputs and program, whatever the graph's spelling (a Fused node or a plain one). */
typedef struct plan_step {
	const char *name, *label;            /* node's name; "Conv + Swish" */
	int n_in, n_out, n_anchor_in;
	int *in, *out;                       /* value numbers; -1: absent */
	const og_op *op;                     /* NULL: a program only, or without program too a reorder */
	const og_attr_value *attr;
	program *tail;
	const backend_node *parts;           /* of two steps that became one, or NULL: see backend_node */
	og_tensor *in_types, *out_types;     /* what backend_node needs */
	backend_layout *in_layouts, out_layout;      /* once the step is finished, those of its values */
	backend_kernel kernel;
	const void *packed;                  /* kernel.packed_bytes, aligned to 64; NULL: none */
	double bytes;                        /* read and written, each value once */
	plan_way *ways; int n_ways;          /* of a plan that was built here: by the backend's guess of their time */
} plan_step;

typedef struct tactics tactics;          /* tactics.h */
typedef struct plan_weights { void *p; size_t mapped; } plan_weights;    /* mapped: bytes for base_unmap; 0: base_free frees it */

/* storage: what float32 values are kept as inside the network. tf32: products may be rounded so. */
typedef struct plan_precision { og_dtype storage; bool tf32; } plan_precision;

struct og_plan {
	arena *a;
	const backend *backend;
	int threads;
	/* A plan in slabs: its steps take `slab` samples at a time, entries of axis 0 of all that is not constant, of which
	 * inputs and outputs have `batch`. 0: all at once. */
	int64_t batch, slab;
	plan_value *values; int n_values;
	plan_step *steps; int n_steps;
	int *inputs; int n_inputs;           /* value numbers */
	int *outputs; int n_outputs;
	const og_tensor **bound;             /* per input: value it was bound to, or NULL */
	size_t arena_bytes, workspace_bytes, bound_bytes;
	size_t weights_bytes;                /* of constants and packed weights */
	double byte_ns;                      /* that a byte of them counted when tactics were chosen; 0 too: it is not known */
	/* Of a device: */
	plan_precision precision;
	const void *image; size_t image_bytes;       /* the kernels' machine code; NULL: none */
	void *code;                          /* takes their text while the plan is built */
	plan_step *whole;                    /* runs in place of all steps; NULL: there is none */
	plan_weights *blocks; size_t n_blocks, cap_blocks;   /* weights that were made here, to be freed */
	file_map file;                       /* or they lie in this mapped file */
	const og_plan *lender;               /* a plan that has the same weights and outlives this one; NULL: none */
};

/* The value whose memory v lies in: v itself, or what it is an alias of. */
int plan_root(const og_plan *, int v);
og_plan *plan_create(const backend *, int threads);  /* NULL: no memory */
/* A block of weights that the plan frees, aligned to 64, cleared. A large one is a mapping of its own. NULL: no memory. */
void *plan_block(og_plan *, size_t bytes);
/* Takes over a block; frees it when there is no memory. */
og_status plan_own(og_plan *, void *block);
/* Takes packed weights that are the same from another plan, which must outlive p, in the place of its own; on a device its sessions look
 * for all weights there. No session runs p. */
void plan_share(og_plan *p, const og_plan *with);
/* True when data is one of its blocks. */
bool plan_owns(const og_plan *, const void *data);
/* The step as the backend sees it. Of a step in parts, in[k] of the value between is -1 and in_types[k] its type. */
void plan_step_node(backend_node *, const plan_step *);
/* The type of an input or output as callers know it: of the whole batch. */
og_tensor plan_type(const og_plan *, int v);
/* Slabs of a batch; 1 when it is run at once. */
int64_t plan_slabs(const og_plan *);
/* How many times the work of its steps a run is. */
double plan_times(const og_plan *);
/* Threads of a session that have activations of their own. */
int plan_slots(const og_plan *, int threads);
/* Asks the backend for the step's kernel; `tactic` NULL: its choice. */
og_status plan_prepare(og_plan *, plan_step *, const char *tactic);
/* The layout that the step's kernel wants input k in. */
backend_layout plan_wanted(const plan_step *, int k);
/* What a session runs: the steps, or all of them as one. */
static inline int plan_n_steps(const og_plan *p) { return p->whole ? 1 : p->n_steps; }
static inline const plan_step *plan_step_at(const og_plan *p, int i) { return p->whole ? p->whole : &p->steps[i]; }
/* Makes p->whole. tactic NULL: the backend's choice. OG_NO: not for this network or backend. */
og_status plan_whole(og_plan *, const char *tactic);
/* True when the backend can run `tail` in the epilogue of `anchor` (for optimize_options). */
bool plan_takes_tail(void *backend, const graph_node *anchor, const graph_node *tail);

/* The backend of that name; NULL and the sentence when this build has none. */
const backend *plan_backend(const char *name);

/* How a plan takes its batch. */
typedef struct plan_form {
	int64_t batch, slab;                 /* as in og_plan */
	backend_layout inputs;               /* that float32 inputs are brought into before a step reads them */
	bool apart;                          /* no two steps become one */
	bool last;                           /* the model is not lowered again: memory of what is packed may go */
	bool sketch;                         /* nothing is packed: the plan is for its sizes alone */
} plan_form;

/* A copy of the model with known shapes, optimised, to be freed by graph_model_destroy. slab > 0: for so many samples
 * instead of form->batch, which is set; OG_NO, with no sentence, when inputs and outputs have no batch of more. */
og_status plan_model(og_model **out, const og_model *, const og_build_options *, const backend *, plan_form *form);
/* Bytes of all constants. */
size_t plan_constant_bytes(const og_model *);
/* True when two models made by plan_model differ in their batch only. */
bool plan_same_network(const og_model *, const og_model *);
/* Lowers such a model into steps; *out owns everything. The model stays as it is, unless form->last. */
og_status plan_lower(og_plan **out, const og_model *, const backend *, int threads, const plan_form *, plan_precision, tactics *);
/* Chooses tactics, lowers, gives memory and compiles. */
og_status plan_of_form(og_plan **out, const og_model *, const og_build_options *, const backend *, int threads, const plan_form *);
/* Makes bytes of weights count as og_build_options.memory says; for a size, so little that the plan is not larger. */
og_status plan_count_bytes(tactics *, const char *memory, const og_model *, const backend *, int threads, const plan_form *, plan_precision);
/* Gives every arena value its offset; sets arena_bytes and bound_bytes. */
og_status plan_memory(og_plan *);

/* Tells a plan from others by all but the values of its weights. */
og_status plan_digest(uint64_t *out, const og_plan *);
/* og_plan_load from memory, which must be aligned to 64 and outlive the plan; `name` stands in sentences. */
og_status plan_load_memory(og_plan **out, const uint8_t *data, size_t size, const char *name);
/* What the header of a plan file of this size, a multiple of 32, must have as its checksum. */
uint64_t plan_checksum(const uint8_t *data, size_t size);

#endif
