/* plan_check.h -- what must hold of a plan that was read from a file before it may run: kernels trust the plan, and a
 * file may say anything. What is wrong, for the sentence, or NULL. */
#ifndef PLAN_CHECK_H
#define PLAN_CHECK_H

#include "plan/plan.h"

/* Values, inputs and outputs: every value lies inside its memory. */
const char *plan_check_values(const og_plan *);
/* A plan in slabs: its samples do not meet. */
const char *plan_check_slabs(const og_plan *);
/* A step before its kernel is asked for: the types of its values are what its op and formulas make. `scratch` is a model
 * to reckon dimensions in. OG_NO_MEMORY, or OG_OK and *bad. */
og_status plan_check_types(const char **bad, const plan_step *, const og_plan *, og_model *scratch);
/* Inputs and outputs lie as the step's kernel has them. */
const char *plan_check_layouts(const plan_step *);
/* A step with its kernel: what it reads is there, and it writes to no memory that it reads or must not change. */
const char *plan_check_memory(const og_plan *, const plan_step *);

#endif
