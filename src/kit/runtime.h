/* runtime.h -- who may run a network or a part of one, and what partitioning asks of each: can you, and if not, why not?
 * A runtime is one of these structs in a file of its own; nobody else knows more of it. */
#ifndef RUNTIME_H
#define RUNTIME_H

#include "graph/graph.h"
#include "opgraft.h"

typedef struct runtime runtime;

/* A runtime that is open to be asked. */
typedef struct runtime_host {
	const runtime *is;
	char version[96];                    /* "TensorRT-RTX 1.7.1" */
	const char *assumed;                 /* NULL: it answers itself; else why it does not, and what is taken for granted */
	const char *folder;                  /* for files that it reads */
	const char *const *libraries; int n_libraries;       /* op libraries, as og_partition_options has them */
	void *own;
} runtime_host;

struct runtime {
	const char *name;                    /* as people type it: "tensorrt" */
	/* Fills version, assumed and own. OG_MISSING: it is not here, with what to do. close is called in any case. */
	og_status (*open)(runtime_host *);
	/* OG_OK: it takes the whole of this network. OG_UNSUPPORTED: it does not, and why in one sentence. */
	og_status (*takes)(runtime_host *, og_model *);
	void (*close)(runtime_host *);       /* NULL: nothing to do */
};

/* X(name): the struct is runtime_NAME. Those in front are faster where they can do it. */
#define RUNTIMES(X) X(tensorrt) X(opgraft) X(onnxruntime) X(reference)
#define X(name) extern const runtime runtime_##name;
RUNTIMES(X)
#undef X
/* NULL and a sentence that lists them: there is none of that name. */
const runtime *runtime_find(const char *name);
/* Writes what is asked about to a file in host->folder, whose path is in the arena. */
og_status runtime_write(const char **path, const runtime_host *, arena *, og_model *);
/* Whether a plan may be built for the value of an input where that decides shapes: lists of sizes, axes, scales. Not for data:
 * all that hangs on such a value is computed by definition, as a constant, when the plan is built. */
bool runtime_binds(og_dtype, int rank, const int64_t *dims);
/* OG_OK when all nodes, those of bodies and functions too, have a definition here. */
og_status runtime_is_defined(const graph *);

#endif
