/* cuda.h -- what the files of the CUDA backend share: how a kernel is asked for, how it is launched. */
#ifndef CUDA_H
#define CUDA_H

#include "backend/layout.h"
#include "cuda/code.h"
#include "cuda/igemm.h"

/* Channels are the innermost axis, rounded up to whole 16 bytes of the 16-bit types. */
enum { CUDA_LANES = -8 };

/* ---- asking for a kernel -------------------------------------------------------------------- */

typedef struct cuda_request {
	const backend_node *node;
	const char *tactic;                  /* the one that is asked for */
	bool loading;                        /* for a plan file: constants that the tactic packs may have no data */
	arena *a;
} cuda_request;

/* Each fills *out, cost included, or returns OG_NO and no sentence when the tactic is not for this node. */
typedef og_status cuda_prepare_fn(backend_kernel *out, const cuda_request *);
cuda_prepare_fn cuda_elementwise, cuda_reorder, cuda_pool, cuda_rows, cuda_move, cuda_kernel, cuda_general, cuda_depthwise,
	cuda_product, cuda_igemm, cuda_vendor, cuda_host;
/* Part of cuda_move: the node is a Transpose. */
cuda_prepare_fn cuda_transpose;

static inline bool cuda_is_tactic(const cuda_request *r, const char *tactic) { return !strcmp(r->tactic, tactic); }
static inline bool cuda_has(const backend_node *n, int k) { return k < n->n_in && n->in[k].dtype != OG_NONE; }
static inline bool cuda_is_float(og_dtype t) { return t == OG_F32 || t == OG_F16 || t == OG_BF16; }
/* True when the node is ONNX's op of that name and all its tensors that are there are of floating types. */
bool cuda_is(const backend_node *, const char *name);
/* "og_f32", the type of an element in device code. */
const char *cuda_type(og_dtype);
/* True when the node's one output has a floating type of 16 bits: its kernels may be quick ones. */
bool cuda_is_short(const backend_node *);
/* "unsigned", elements of so many bytes as bits in device code; NULL: there is none. */
const char *cuda_bits_of(size_t bytes);
/* Attribute of the node's op by name; NULL: it has none. */
const og_attr_value *cuda_attr(const backend_node *, const char *name);

/* ---- launching ------------------------------------------------------------------------------ */

enum { CUDA_IN = 20, CUDA_OUT = 4, CUDA_LAUNCHES = 4, CUDA_THREADS = 256 };
/* What every kernel is given, og_step in device code. Absent: NULL. */
typedef struct cuda_arguments {
	const void *in[CUDA_IN];
	void *out[CUDA_OUT];
	const void *packed;
	void *workspace;
} cuda_arguments;

/* first_in: the node's input that is the kernel's first. */
typedef struct cuda_launch { char name[CUDA_NAME]; og_grid grid; int first_in; } cuda_launch;
/* State of a kernel that is one or more launches, one after the other. */
typedef struct cuda_launches { int n, n_in, n_out; cuda_launch at[CUDA_LAUNCHES]; } cuda_launches;

/* New launches for the request's node; OG_NO when it has more inputs or outputs than a kernel takes. */
og_status cuda_launch_begin(cuda_launches **out, const cuda_request *);
/* Fills out->run, bind and state for launches; their texts must have been given to the code. */
void cuda_launch_with(backend_kernel *out, const cuda_launches *);
/* Names a kernel of one launch of 1-D blocks of CUDA_THREADS and adds it to the launches. */
og_status cuda_launch_add(cuda_launches *, const cuda_request *, const char *body, int64_t blocks);

/* ---- formulas ------------------------------------------------------------------------------- */

/* Declares the program's registers: floats r0, r1, ... */
void cuda_program_registers(text *, const program *, const char *indent);
/* Writes the program's steps as statements over its registers, all declared; those of the operands have values. The
 * result is in r<result>. Texts of its ops are given to the code. */
og_status cuda_program_text(text *, const cuda_request *);

/* Operands of a program as a kernel goes through them, over the output's dimensions in memory, joined where every
 * operand allows; innermost first. */
typedef struct cuda_walk {
	int rank, n;                         /* n: operands; the anchor's output among them */
	int64_t size[OG_MAX_RANK], step[PROGRAM_MAX_REGS][OG_MAX_RANK];
	og_dtype type[PROGRAM_MAX_REGS];
	int64_t count;                       /* elements of the output in memory */
} cuda_walk;
/* The operands of the node's tail; false when one does not broadcast to the output or is not of floats. */
bool cuda_walk_make(cuda_walk *, const backend_node *, backend_layout);
/* The same of n tensors, PROGRAM_MAX_REGS at most, of any types. */
bool cuda_walk_over(cuda_walk *, const og_tensor *out, const og_tensor *const *operand, int n, backend_layout);
/* True when operand k is one element. */
bool cuda_walk_is_still(const cuda_walk *, int k);
/* Statements that take element number `at` of the output apart into its indices i0, i1, ... */
void cuda_walk_indices(text *, const cuda_walk *, const char *indent);
/* Where operand k lies, as an expression over the indices. */
void cuda_walk_offset(text *, const cuda_walk *, int k);
/* Statements that take `value`, element `at` of the output in memory, through the tail and store it. OG_NO: an
 * operand does not fit. */
og_status cuda_tail_text(text *, const cuda_request *, backend_layout);

/* ---- the device: device.c ------------------------------------------------------------------- */

typedef struct cuda_device cuda_device;
/* A kernel by name; OG_MISSING when the image lacks it. `shared`: bytes that launches will ask for. */
og_status cuda_device_function(void **function, cuda_device *, const char *name, uint32_t shared);
/* Makes the device's context the thread's. */
void cuda_device_enter(const cuda_device *);
/* "NVIDIA H200, compute capability 9.0, 140 GiB"; false: there is no device, and `out` says why. */
bool cuda_describe(char *out, size_t n);
/* Compute capability of the device, or what OPGRAFT_CUDA_ARCH says: "90a"; NULL: there is no device. */
const char *cuda_arch(void);
/* What plans are built for: that architecture, and its processors. major 0: there is none. */
void cuda_target(igemm_device *out);

/* ---- implicit GEMMs as steps: igemm_step.c, time.c ------------------------------------------- */

/* True when the node's tail may be an epilogue, or the node is none for igemm at all. */
bool cuda_igemm_takes(const backend_node *);
/* Puts a launch into the stream; argument: the function's only one. */
og_status cuda_igemm_start(void *function, const igemm_launch *, void *argument, void *stream);
/* variants and time of backend_device. */
int cuda_igemm_variants(const char **names, int most, const backend_node *, const char *tactic, arena *);
og_status cuda_time(uint64_t *ns, const char *const *names, int n, const backend_node *);

#endif
