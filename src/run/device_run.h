/* device_run.h -- a session whose plan runs on a device with memory of its own. */
#ifndef DEVICE_RUN_H
#define DEVICE_RUN_H

#include "plan/plan.h"

typedef struct device_run device_run;

og_status device_run_create(device_run **out, const og_plan *, int ordinal);
void device_run_free(device_run *);
/* Pointers may be of the host's memory or the device's. stream: the caller's, into which all work is put without waiting for it (then
 * memory of the host must stay until the stream is done); NULL: the session's own, and everything is done on return. */
og_status device_run_once(device_run *, const void *const *inputs, void *const *outputs, void *stream);
/* Runs `runs` times on the inputs of one upload; seconds[k]: of run k on the device, from its first kernel to its last. */
og_status device_run_time(device_run *, const void *const *inputs, void *const *outputs, int runs, double *seconds);
/* seconds[step * runs + run] of each step by itself, after a run that warms up. */
og_status device_run_profile(device_run *, const void *const *inputs, void *const *outputs, int runs, double *seconds);
/* Memory of the device; copies and a wait in the session's own stream. */
og_status device_run_alloc(device_run *, void **p, size_t bytes);
void device_run_release(device_run *, void *p);
og_status device_run_copy(device_run *, void *to, const void *from, size_t bytes);
og_status device_run_wait(device_run *);

#endif
