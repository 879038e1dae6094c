/* recognise.h -- what the files of the recogniser share.
 *
 * A region is what lies between a value (its root) and one that it hangs on alone (its cut). It is kept as a function of
 * one variable, apart from the graph: a step is one node whose inputs are such functions or constants, a path is steps one
 * behind the other. Equal steps and paths are the same object, so that whatever a network repeats is judged once. */
#ifndef RECOGNISE_H
#define RECOGNISE_H

#include "schema/schema.h"
#include "surgery/match.h"

enum {
	RECOGNISE_PATHS = 8,                 /* cuts that are tried for one root */
	RECOGNISE_INPUTS = 8,                /* of a node; one with more ends a region */
	RECOGNISE_NODES = 64,                /* of a region */
	RECOGNISE_TREE = 192,                /* the same when a value with two uses counts twice */
	RECOGNISE_DEPTH = 32,                /* of paths in steps in paths */
	RECOGNISE_PARAMETERS = 6,
	RECOGNISE_SCREEN = 20                /* probes that reject most regions */
};

/* Regions that differ by no more than this from an op are the op; see recognise_measure. */
#define RECOGNISE_BOUND 4e-6
/* Near misses differ by less than this from the op, relative to its size. */
#define RECOGNISE_NEAR 5e-2

typedef enum recognise_kind {
	RECOGNISE_FORMULA,                   /* the op's own, in double */
	RECOGNISE_TEST,                      /* the same, with a truth value for a result: 0 or 1 */
	RECOGNISE_PICK,                      /* Where */
	RECOGNISE_SAME                       /* a truth value as a number */
} recognise_kind;

typedef struct recognise_path recognise_path;

/* What an op says of every node of its type. */
typedef struct recognise_facts {
	schema_args in;
	bool elementwise, variadic;
	recognise_kind kind;
	bool real;                           /* takes floating-point types only */
} recognise_facts;

typedef struct recognise_input {
	bool constant;
	double number;                       /* of a constant */
	const recognise_path *path;          /* else; NULL: the variable itself */
} recognise_input;

typedef struct recognise_step {
	const og_op *op;
	recognise_kind kind;
	bool altered;                        /* one of its constants is not what the node has, to see what would be if it were */
	bool real;                           /* takes floating-point types only */
	double unit;                         /* its constants may be off by so much, relatively: they are of a 16-bit type; or 0 */
	float attr[OG_MAX_MAP_ATTRS];
	int n; recognise_input in[RECOGNISE_INPUTS];
	int nodes, depth;
} recognise_step;

/* An op with its words and whole numbers chosen. What is left are numbers to solve for: attributes, and inputs behind
 * the first, which are constants. */
typedef struct recognise_variant {
	const og_op *op;
	float attr[OG_MAX_MAP_ATTRS];
	double in[OG_MAX_IN]; bool given[OG_MAX_IN];
	struct { bool input; int index; double start, low, high; } parameter[RECOGNISE_PARAMETERS];
	int n_parameters;
	bool affine;                         /* a straight line, as Neg is */
	/* What is the same whatever the parameters are: values at the screening probes; g(x) - g(-x), as Swish's is x;
	 * g(x) / g(x0), x0 being the first probe of that sign, as Selu's is x / x0 above 0. */
	bool fixed[RECOGNISE_SCREEN], fixed_ratio[RECOGNISE_SCREEN], fixed_step[RECOGNISE_SCREEN / 2];
	double screen[RECOGNISE_SCREEN];     /* with its defaults */
} recognise_variant;

typedef struct recognise_verdict {
	const recognise_variant *variant;    /* NULL: no op comes near */
	double parameter[RECOGNISE_PARAMETERS];
	bool match;
	double error;                        /* of a match by recognise_measure, else relative to the op's size */
	double differs, at;                  /* of a near miss: by so much at that input */
	const rule *rule; uint64_t turn;     /* what was made of it in that call of recognise_graph */
} recognise_verdict;

struct recognise_path {
	const recognise_step *top;
	const recognise_path *below;         /* NULL: the variable */
	int nodes, depth;
	double unit;                         /* the largest of its steps */
	bool altered, real, judged;
	recognise_verdict *verdict;          /* NULL: no op */
	double screen[RECOGNISE_SCREEN];
};

typedef struct recognise_slot { uint64_t hash; const uint64_t *words; size_t n; void *object; } recognise_slot;

struct recogniser {
	arena *a;
	const og_op *op;                     /* NULL: every one */
	recognise_variant *variants; size_t n_variants, cap_variants;   /* fewest parameters first */
	recognise_slot *slots; size_t n_slots, cap_slots;
	uint64_t turn;                       /* calls of recognise_graph */
	double *stack;                       /* strips for values on the way */
	double *x, *f, *g;                   /* dense probes, and there a region and an op */
	double *slack, *moved;               /* what rounded constants may do there, and the region with one of them moved */
};

/* ---- functions of one variable (recognise_path.c) ------------------------------------------- */
extern const double recognise_screen[RECOGNISE_SCREEN];
og_status recognise_paths_create(recogniser *);
void recognise_paths_destroy(recogniser *);
/* NULL: no memory. */
const recognise_facts *recognise_facts_get(recogniser *, const og_op *);
/* The one object that equals the step; NULL: too deep, or no memory (then *status is set). */
const recognise_step *recognise_step_get(recogniser *, const recognise_step *, og_status *status);
recognise_path *recognise_path_get(recogniser *, const recognise_step *top, const recognise_path *below, og_status *status);
void recognise_run(recogniser *, const recognise_path *, const double *x, double *y, size_t n);
/* A step all of whose inputs are constants. */
double recognise_number(recogniser *, const recognise_step *);
/* True when a finite intermediate value becomes infinite on the way from x. */
bool recognise_overflows(recogniser *, const recognise_path *, double x);
/* The same where the constant `from`, if it is of a 16-bit type, is `to`. */
void recognise_run_moved(recogniser *, const recognise_path *, double from, double to, const double *x, double *y,
                         size_t n);
/* Distinct constants of 16-bit types inside that are no short binary numbers as 1, 0.5 and 6 are; as below. */
int recognise_rounded(const recognise_path *, double *to, int most);
/* Distinct constants and attributes inside; how many there are, at most `most`. */
int recognise_constants(const recognise_path *, double *to, int most);

/* ---- ops to compare with (recognise_op.c) --------------------------------------------------- */
og_status recognise_variants_create(recogniser *);
void recognise_variant_run(const recognise_variant *, const double *parameter, const double *x, double *y, size_t n);
/* True when y is a straight line over x. */
bool recognise_is_affine(const double *x, const double *y, size_t n);

/* ---- comparing (recognise_fit.c) ------------------------------------------------------------- */
/* How far f is from g over probes that stand in pairs x, -x: the largest |f - g| / max(|g(x)|, |g(-x)| / 64, m / 2^30),
 * m being the largest |g| on [-1, 1]. So below 2^-24 of the op's size, one rounding of a float32, nothing counts. Where neither is
 * finite nothing is compared; infinite where only g is not. *skipped: probes where only f is not. slack: what may be
 * taken off |f - g|, or NULL. */
double recognise_measure(const double *x, const double *f, const double *g, const double *slack, size_t n, size_t *worst,
                         size_t *skipped);
og_status recognise_fit_create(recogniser *);
/* Fills p->verdict. */
og_status recognise_judge(recogniser *, recognise_path *);

/* ---- saying it (recognise_rule.c) -------------------------------------------------------------- */
/* Sets d->rule: without a left side, x -> Op(x, numbers, attributes), in the arena. */
og_status recognise_rule(recognise_verdict *d, arena *);
/* "Swish(beta=1)"; NULL: no memory. */
const char *recognise_print_op(const recognise_verdict *, arena *);

#endif
