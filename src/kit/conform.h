/* conform.h -- what the files of the conformance suite share.
 *
 * Each check of each op runs in a child process: it tells what failed through a pipe, and when it crashes a handler tells where.
 * Tensors that an op is given lie between pages that nobody may touch. */
#ifndef CONFORM_H
#define CONFORM_H

#include "kit/kit.h"
#include "schema/schema.h"

typedef struct conform {
	const og_op *op;
	schema_args in, out;
	int n_attrs;
	arena *a;
	og_model *scratch;                   /* for symbolic dimensions */
	uint64_t seed;
	int to;                              /* where results are told */
	bool failed;
} conform;

/* X(check, it is about): in the order in which they run. */
#define CONFORM_CHECKS(X) \
	X(declaration, "what the op file says of the op") \
	X(levels, "the formula on every instruction set, bit for bit") \
	X(precision, "the formula against double precision") \
	X(nan, "NaN goes through") \
	X(strips, "strips of any length, in place, within bounds") \
	X(attributes, "every attribute counts, over its whole range") \
	X(shapes, "the shape rule, with sizes known and not") \
	X(memory, "all of the output and nothing else is written") \
	X(threads, "the same result however work is cut") \
	X(kernels, "faster kernels against the definition") \
	X(body, "the body computes the same") \
	X(network, "in a network: every type, fused and not")
#define X(check, about) void conform_##check(conform *);
CONFORM_CHECKS(X)
#undef X

/* Tells that the check failed, once; later failures of the same check say nothing. */
void conform_fail(conform *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A fact beside "ok". */
void conform_note(conform *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The check is not for this op: no line in the report. */
void conform_skip(conform *);
/* What is going on, for the sentence when it crashes. */
void conform_doing(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint32_t conform_random(conform *);
bool conform_isa_runs(int isa);
extern const char *const conform_isa_name[OG_ISA_COUNT];

/* ---- memory between guards (conform_guard.c) --------------------------------------------------- */

/* At the end of its pages (or at their beginning), all bytes `poison`. NULL: no memory. `what` ("input 'x'") is for
 * the sentence. */
void *conform_guard(size_t bytes, bool at_end, uint8_t poison, const char *what);
void conform_guard_lock(const void *);    /* writing to it crashes */
void conform_guard_free_all(void);
/* Turns a crash into a sentence. */
void conform_catch_crashes(conform *);

/* ---- cases (conform_case.c) -------------------------------------------------------------------- */

typedef struct conform_case {
	char words[128];                     /* as it stands in .cases, with what was changed */
	int n_in, n_out;
	og_tensor in[SCHEMA_MAX_ARGS];       /* OG_NONE: left out; data in the arena */
	bool fixed[SCHEMA_MAX_ARGS];         /* its values are given */
	og_attr_value *attr;
	og_shape out[SCHEMA_MAX_ARGS];       /* set by conform_infer */
} conform_case;

/* Reads .cases; *n of them in the arena; an elementwise op without any gets one. Bad text: OG_BAD_FILE. */
og_status conform_read_cases(conform_case **out, size_t *n, conform *);
/* Change number k of a case: sizes to others, all that are equal together, scalars, numbers to the ends of their
 * range; 0 is the case as it is. False: there is no number k. */
bool conform_vary(conform_case *out, conform *, const conform_case *, int k);
/* Makes the data of inputs that have none. */
bool conform_fill(conform *, conform_case *);
/* Asks for shapes with all sizes known. OG_OK, or the rule's refusal. */
og_status conform_infer(conform *, conform_case *);

/* How a definition or kernel is run. */
typedef struct conform_way {
	int isa;                             /* OG_ISA_*: op->cpu; below 0: op->eval */
	bool at_end;
	uint8_t poison;                      /* what outputs and workspace hold before */
	int64_t cut;                         /* pieces of parallel work: 0: one, above: so many items, the last piece first; below: threads */
} conform_way;
/* Runs it between guards; the outputs are copied to the arena. */
og_status conform_run(conform *, const conform_case *, const conform_way *, og_tensor *out);
size_t conform_bytes(const og_tensor *);
/* "input 'x'", "output 'y'", in the arena. */
const char *conform_name(conform *, const char *what, const schema_args *, int k);

#endif
