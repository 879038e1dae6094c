/* whole.h -- a small network as one kernel. */
#ifndef CUDA_WHOLE_H
#define CUDA_WHOLE_H

#include "backend/backend.h"

typedef struct cuda_whole cuda_whole;
/* samples: of a block; cluster: blocks that share one, 1 to 8, more than one from sm_90 on; threads of a block;
 * resident: blocks that a processor has at once. */
typedef struct cuda_whole_shape { int samples, cluster, threads, resident; } cuda_whole_shape;

/* backend.whole: tactics are "whole.SAMPLES.CLUSTER.THREADS.RESIDENT"; without one, the shape of the least guessed
 * time. OG_NO: the network is too large, or has an op that has no place here. */
og_status cuda_whole_of(backend_kernel *out, const backend_network *, const char *tactic, void *code, arena *);

#endif
