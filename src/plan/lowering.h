/* lowering.h -- what the files that lower a graph share. */
#ifndef LOWERING_H
#define LOWERING_H

#include "plan/plan.h"
#include "plan/tactics.h"

/* A value of the graph may lie in several layouts, each a value of the plan; the one made first stands for all. */
typedef struct same_value { int first, in[LAYOUT_COUNT]; } same_value;

typedef struct lowering {
	og_plan *p;
	tactics *tactics;
	same_value *same;                    /* one for each value; `in` of the first ones only; -1: not made */
	size_t cap_values, cap_same, cap_steps;
	const graph_node *node;              /* being lowered, for messages */
	bool apart, sketch;                  /* no two steps become one; nothing is packed */
	backend_layout inputs;               /* that float32 inputs are brought into */
} lowering;

/* ---- values: values.c ----------------------------------------------------------------------- */

/* What a node is called in sentences. */
const char *lower_label(const graph_node *);
/* The value's type, all of it known; OG_UNSUPPORTED when it is not. */
og_status lower_type(lowering *, og_tensor *out, const graph_value *);
/* What a value of that type is kept as inside the network. */
og_dtype lower_stored(const og_plan *, og_dtype);
/* A new value of the plan, plain. */
og_status lower_add_value(lowering *, int *out, const char *name, const og_tensor *type, plan_place);
og_status lower_set_layout(og_plan *, plan_value *, backend_layout);
/* Number of the value that the graph's value is in the plan, made at first sight; -1 for NULL. */
og_status lower_value(lowering *, int *out, graph_value *);
/* The value v in that layout: itself, one made before, or one that a step makes here. */
og_status lower_value_in(lowering *, int *out, int v, backend_layout);
/* A tail's operand of lower rank than the output as one of the same rank, so that layouts cut the right axis. */
og_status lower_extend(lowering *, int *v, int rank);

/* ---- steps: steps.c ------------------------------------------------------------------------- */

og_status lower_step_alloc(og_plan *, plan_step *, const char *name, int n_in, int n_out);
/* Chooses the step's kernel, packs, puts inputs and outputs into the layouts it wants, and adds it to the plan. */
og_status lower_step_finish(lowering *, plan_step *, const tactics_readers *);
/* Makes *second, whose input 0 is the output of *first and nobody else's, a step of both, where the backend has a kernel for
 * that; *done tells. Neither is finished yet. */
og_status lower_join(lowering *, plan_step *second, const plan_step *first, bool *done);
/* A step that copies value `from` to value `to`, which lies otherwise. */
og_status lower_reorder(lowering *, int from, int to);

#endif
