/* program.h -- the elementwise part of a node as a straight line of formulas. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "plan/plan.h"

/* True for an op that runs as a formula on these types: float32 in, float32 out; on a device also 16-bit floats. */
bool program_takes(const graph_node *, const backend *);
/* That of a tensor which programs on the backend read and write. */
bool program_takes_type(og_dtype, const backend *);

/* Collects formulas. Operands are graph values; the caller turns them into inputs of the step. */
typedef struct program_builder {
	arena *a;
	program *p;
	const graph_value *operand[PROGRAM_MAX_REGS];     /* NULL: the anchor's output, or a default constant */
	double constant[PROGRAM_MAX_REGS];                /* the default, where operand is NULL and k is not the anchor's */
	const graph_value *reg[PROGRAM_MAX_REGS];         /* value that a register holds now; NULL: free */
} program_builder;

/* Starts a program for `nodes` (n of them, in order); anchor: the value that register 0 starts as, or NULL. The program's
 * result is the last node's output 0. OG_UNSUPPORTED when it needs more registers or steps than there are. */
og_status program_build(program_builder *, arena *, const graph_value *anchor, const graph_node *const *nodes, int n);

#endif
