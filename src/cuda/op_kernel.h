/* op_kernel.h -- kernels that an op file has of its own (KERNEL and ROWS of opgraft/device.h): which one serves a
 * call, how it is launched, what it is given. It goes into op libraries, too. */
#ifndef OP_KERNEL_H
#define OP_KERNEL_H

#include "opgraft/device.h"
#include "schema/schema.h"

/* The kernel of c->op->device that is tactic number `tactic` for these shapes, counting those that serve them: its
 * place in the list, its launch, and its name, the first *length characters at *name. Returns -1: there is none. */
int op_kernel_find(og_grid *, const char **name, int *length, const og_call *, int tactic);
/* How many kernels serve these shapes. */
int op_kernel_count(const og_call *);
/* All that a kernel is given but for the pointers and its number; `inputs` are those that the op declares. False:
 * the op has more inputs, outputs or attributes than a kernel takes. */
bool op_kernel_arguments(og_device_call *, const og_call *, const schema_args *inputs);

#endif
