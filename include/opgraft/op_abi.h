/* opgraft/op_abi.h -- what an op is to the program that uses it: the struct that an op file fills and the calls that
 * are made through it. Op files include opgraft/op.h, which includes this. Compiles alone in C. */
#ifndef OPGRAFT_OP_ABI_H
#define OPGRAFT_OP_ABI_H

#include "opgraft/types.h"

/* ---- what an op is -------------------------------------------------------------------------- */

#define OG_OP_ABI 2u
#define OG_DOMAIN "opgraft"          /* the domain of ops that ONNX does not have */
#define OG_MAX_IN 3                  /* inputs of an elementwise formula */
#define OG_MAX_MAP_ATTRS 4           /* attributes of an elementwise formula */

enum { OG_ISA_SCALAR, OG_ISA_AVX2, OG_ISA_AVX512, OG_ISA_COUNT };

typedef enum og_attr_type {
	OG_ATTR_INT, OG_ATTR_FLOAT, OG_ATTR_ENUM, OG_ATTR_STRING, OG_ATTR_INTS, OG_ATTR_FLOATS,
	OG_ATTR_STRINGS, OG_ATTR_TENSOR, OG_ATTR_GRAPH
} og_attr_type;

/* A declared attribute. An enum is written as a string in files and is the index of its word here. */
typedef struct og_attr {
	const char *name;            /* NULL ends the list */
	og_attr_type type;
	double value;                /* default of an int, float or enum */
	double low, high;            /* legal range, both ends included; low == high: any */
	const char *words;           /* of an enum: "none|tanh" */
	int required;
} og_attr;

#define OG_INT(n, def)          { .name = n, .type = OG_ATTR_INT, .value = def }
#define OG_FLOAT(n, def)        { .name = n, .type = OG_ATTR_FLOAT, .value = def }
#define OG_RANGE(n, def, lo, hi) { .name = n, .type = OG_ATTR_FLOAT, .value = def, .low = lo, .high = hi }
#define OG_ENUM(n, list, def)   { .name = n, .type = OG_ATTR_ENUM, .words = list, .value = def }
#define OG_STR(n)               { .name = n, .type = OG_ATTR_STRING }
#define OG_INTS(n)              { .name = n, .type = OG_ATTR_INTS }
#define OG_FLOATS(n)            { .name = n, .type = OG_ATTR_FLOATS }
#define OG_TENSOR(n)            { .name = n, .type = OG_ATTR_TENSOR }
#define OG_GRAPH(n)             { .name = n, .type = OG_ATTR_GRAPH }

/* The value of a declared attribute on one node, in the order of declaration; the default where
 * the node says nothing (`present` is then 0, lists have n == 0 and a NULL pointer). */
typedef struct og_attr_value {
	int present;
	int64_t i;                   /* int, enum index */
	float f;                     /* float; an int or enum as float too */
	int64_t n;                   /* length of a list or string */
	const int64_t *ints;
	const float *floats;
	const char *s;               /* NUL-terminated; of a list of strings: all, '|' between them */
	const og_tensor *t;          /* its data may be unaligned: read it with memcpy */
} og_attr_value;

/* A dimension while shapes are inferred: 0 or more is a size that is known; below 0 is a handle
 * of an unknown or symbolic size, made and understood by the host only. */
typedef int64_t og_dim;
typedef enum og_dim_op {
	OG_DIM_SUM, OG_DIM_SUB, OG_DIM_PROD, OG_DIM_MAX, OG_DIM_MIN, OG_DIM_FLOOR_DIV, OG_DIM_CEIL_DIV,
	OG_DIM_EQUAL, OG_DIM_LESS, OG_DIM_BROADCAST, OG_DIM_UNKNOWN
} og_dim_op;

typedef struct og_shape {
	og_dtype dtype;              /* OG_NONE: unknown, or the argument is absent */
	int rank;                    /* -1: unknown */
	og_dim dims[OG_MAX_RANK];
	const og_tensor *value;      /* of an input: its data where it is known now, else NULL; aligned */
} og_shape;

struct og_op;
struct og_infer;
struct og_call;

/* What the program that loaded the op offers to it. An op library has no other undefined symbol
 * than libc's and libm's. */
typedef struct og_host {
	uint32_t abi;
	/* keep a sentence for the user (what, where, what to do) and return `status` */
	og_status (*fail)(og_status status, const char *format, ...);
	og_dim (*dim)(struct og_infer *, og_dim_op, og_dim a, og_dim b);
	/* run body over [0, n) in pieces of at least `grain`, on several threads where there are; the
	 * result must not depend on how [0, n) is cut */
	void (*parallel)(const struct og_call *, int64_t n, int64_t grain,
	                 void (*body)(void *arg, int64_t begin, int64_t end), void *arg);
} og_host;

/* Shape inference of one node. The host has set each output's dtype where the declaration gives it
 * and rank to -1; the rule sets rank and dims (and dtype where it depends on an attribute). An
 * output that is not wanted still has a slot. Returns OG_OK also when it leaves a rank at -1. */
typedef struct og_infer {
	const og_host *host;
	const struct og_op *op;
	const og_attr_value *attr;
	int n_in, n_out;
	const og_shape *in;          /* absent: dtype OG_NONE and rank -1 */
	og_shape *out;
	void *context;               /* the host's */
} og_infer;

/* One run of one node. Absent inputs and outputs are NULL. All data is aligned to its element,
 * dense, and outputs never overlap inputs (but for elementwise formulas, which may run in place). */
typedef struct og_call {
	const og_host *host;
	const struct og_op *op;
	const og_attr_value *attr;
	int n_in, n_out;
	const og_tensor *const *in;
	og_tensor *const *out;
	void *workspace;             /* what workspace() asked for, aligned to 64 bytes, not cleared */
	void *context;               /* the host's */
} og_call;

/* Threads of one launch of a device kernel. */
typedef struct og_grid { uint32_t blocks[3], threads[3], shared; } og_grid;

/* Strip kernel of an elementwise formula: n elements, every operand contiguous; y may be an x. */
typedef void og_map_fn(size_t n, void *y, const void *const *x, const float *attr);
typedef og_status og_eval_fn(const og_call *);

enum {
	OG_VIEW_OF_INPUT = 1,        /* output 0 is input 0's data under another shape */
	OG_COMMUTATIVE = 2,          /* inputs 0 and 1 may be swapped */
	OG_SHARED_BITS = 4,          /* only moves data: runs on any dtype of the same width */
	OG_STOPS_NAN = 8,            /* a formula that need not give NaN for NaN, such as a selection; op test asks it of all others */
	OG_PER_SAMPLE = 16           /* entry i of axis 0 of output 0 depends on entry i of axis 0 of input 0, whatever their number */
};

typedef struct og_op {
	uint32_t abi;
	const char *name;            /* the node type in files */
	const char *called;          /* what people call it, where that differs: runtimes that know a `Swish` of their own look at the
	                              * type alone, so ours is OgSwish there; NULL: name */
	const char *domain;          /* NULL: ONNX's own */
	int since;                   /* first opset version with this meaning */
	const char *doc;             /* one sentence */
	/* Arguments: "X:T, axes:i64?!, rest:T..."  name, ':', a type name or a variable of `types`
	 * (no ':' means variable T; variable without an entry in `types`: any), then
	 *   ?    optional        !   its value decides shapes, so it must be known when a plan is built
	 *   ...  variadic (last; one or more; of an output: as many as the node lists)
	 *   =1.5 what an elementwise formula sees when the argument is left out ("min:T?=-inf") */
	const char *inputs, *outputs;
	const char *types;           /* "T=f32 f64 i32; I=i32 i64" */
	const og_attr *attrs;        /* NULL: none */
	unsigned flags;
	og_status (*shape)(og_infer *);          /* NULL: outputs have the broadcast shape of all inputs */
	og_eval_fn *eval;            /* plain C definition, sums in double; NULL for an elementwise op */
	double (*flops)(const og_infer *);       /* work on known shapes, multiply and add as two; NULL: one per output element */
	size_t (*workspace)(const og_call *);    /* bytes for eval and cpu, and as many for device; NULL: none */
	og_eval_fn *cpu[OG_ISA_COUNT];           /* faster forms of eval for f32; a NULL slot uses eval */
	/* Elementwise: the formula's strip kernels. */
	int map_inputs, map_attrs;   /* the first map_attrs attributes are given as floats */
	const char *formula;         /* the function's name in the text, for compilers at run time */
	og_map_fn *map[OG_ISA_COUNT];            /* float32 in; out float32, or bool for MAP_TEST */
	og_map_fn *ref;              /* the same in double with libm */
	og_map_fn *const *other;     /* by dtype of the first T input: ints, bool; NULL: none */
	double ulp;                  /* largest error of map in ULP against ref; 0: exact; INFINITY: it has steps, none can be stated */
	/* What the op is made of, in rule language, over its input and attribute names, so that it can
	 * be written as an ONNX function or taken apart: "Mul(x, Sigmoid(Mul(x, beta)))". */
	const char *body;
	/* Rules for other spellings that trained networks use, one a line: "Mul(x, Sigmoid(x)) -> opgraft::Swish(x)". */
	const char *spellings;
	const char *cases;           /* test shapes: "f32[2,3,4] f32[3]; axis=1 | f32[0,3]" */
	/* CUDA form of an op that is no formula: names of KERNELs in this file (opgraft/device.h), one per tactic, '|' between them, and
	 * the geometry of a launch. NULL: none, or derived from the formula. */
	const char *device;
	/* data of tensors may be NULL: shapes only. OG_NO: this tactic does not serve these shapes; blocks[0] == 0: there is nothing to
	 * do. NULL: blocks of 256 threads, as many threads as output 0 has elements. */
	og_status (*grid)(const og_call *, int tactic, og_grid *);
	const char *text, *text_end; /* the op file itself */
} og_op;

/* ---- op libraries --------------------------------------------------------------------------- */

/* Device code for one architecture. It holds every kernel of every op of the library. */
typedef struct og_image {
	int arch;                    /* 75, 80, ... 120: a cubin for sm_75, ...; of PTX: the lowest that takes it */
	int is_ptx;
	const void *data; size_t n;
} og_image;

/* What an op library (.so) exports as `og_op_library`. All of it is constant and lives as long as the library. */
typedef struct og_library {
	uint32_t abi;                /* OG_OP_ABI; the fields below may be read only when it is the reader's own */
	uint32_t n_ops, n_images;
	const og_op *const *ops;
	const og_image *images;
	const char *version;         /* of the Opgraft that built it */
} og_library;

/* ---- helpers for shape rules and eval ------------------------------------------------------- */

#define OG_INLINE static inline __attribute__((unused))

OG_INLINE og_dim og_dim_do(og_infer *c, og_dim_op op, og_dim a, og_dim b)
{
	return c->host->dim(c, op, a, b);
}

/* Number of elements. */
OG_INLINE int64_t og_count(const og_tensor *t)
{
	int64_t n = 1;
	for (int i = 0; i < t->rank; i++) n *= t->dims[i];
	return n;
}

/* Product of dims [from, to). */
OG_INLINE int64_t og_span(const og_tensor *t, int from, int to)
{
	int64_t n = 1;
	for (int i = from; i < to; i++) n *= t->dims[i];
	return n;
}

/* Bytes of one element; 0 for types that are not whole bytes. */
OG_INLINE size_t og_dtype_bytes(og_dtype t)
{
	static const unsigned char bits[OG_DTYPE_COUNT] = {
#define X(NAME, number, text, bits, ctype) [OG_##NAME] = bits,
		OG_DTYPE_MAP(X)
#undef X
	};
	return (unsigned)t < OG_DTYPE_COUNT ? bits[t] / 8u : 0;
}

/* Brings a negative axis into [0, rank); -1 when it is out of range. */
OG_INLINE int og_axis(int64_t axis, int rank)
{
	if (axis < 0) axis += rank;
	return axis >= 0 && axis < rank ? (int)axis : -1;
}

#endif
