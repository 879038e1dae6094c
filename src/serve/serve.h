/* serve.h -- a network as a server holds it: one file, plans for batches of some sizes that all instances share, and the
 * requests of a batch answered by them. triton.c has what the server calls. */
#ifndef SERVE_H
#define SERVE_H

#include <pthread.h>

#include "base/json.h"
#include "opgraft.h"

/* ---- settings: parameters of a configuration, or of the server's command line ----------------- */

enum { SERVE_MOST_SIZES = 16, SERVE_SHAPES = 8 };

typedef struct serve_settings {
	const char *device;                      /* "cpu", "cuda"; NULL: the kind of the instance decides */
	const char *precision, *timing_cache;    /* as in og_build_options */
	int threads;                             /* of an instance; 0: the processors, shared among the instances */
	int shapes;                              /* different shapes of inputs for which an instance keeps plans; 0: SERVE_SHAPES */
	bool no_timing;                          /* tactics and sizes by model alone, always the same */
	int64_t batches[SERVE_MOST_SIZES]; int n_batches;    /* sizes of runs that get a plan, ascending; none: chosen here */
	const char **ops; int n_ops;             /* op libraries */
} serve_settings;

/* Takes the text of one setting. A path without a leading / is one of `folder`. OG_USAGE: a value that makes no sense;
 * OG_NO: no such setting. Strings go to the arena. */
og_status serve_setting(serve_settings *, arena *, const char *name, const char *value, const char *folder);

/* ---- a network -------------------------------------------------------------------------------- */

/* An input or output. dims: -1 where free; rank -1: not known before a plan is built. */
typedef struct serve_port {
	const char *name;
	og_dtype dtype;
	int type;                                /* of triton_abi.h */
	int rank;
	int64_t dims[OG_MAX_RANK];
	const char *symbols[OG_MAX_RANK];        /* of free dimensions that have a name */
} serve_port;

/* A plan for runs of so many samples. */
typedef struct serve_size { int64_t samples; og_plan *plan; double seconds; } serve_size;      /* 0: not timed */

/* The network for inputs of one shape, on one device: what instances share. */
typedef struct serve_shape serve_shape;
struct serve_shape {
	serve_shape *next;
	int users;                               /* both guarded by the network's lock */
	const char *device;
	arena *a;
	int64_t (*in)[OG_MAX_RANK];              /* dims of each input; of a batch, dims[0] is 1 */
	og_value_info *out;                      /* of each output, in the same way */
	size_t *in_bytes, *out_bytes;            /* of a sample; of all where there is no batch */
	serve_size sizes[SERVE_MOST_SIZES]; int n_sizes;     /* ascending */
	int8_t *choice;                          /* of sizes: the one that runs first when so many samples are left */
};

typedef struct serve_network {
	arena *a;
	const char *path;
	void *bytes;                             /* of the file */
	og_model *model;                         /* NULL: `plan` is all there is */
	og_plan *plan;
	serve_port *inputs, *outputs; int n_inputs, n_outputs;
	int64_t batch;                           /* samples of a run that the file fixes; 0: any number; -1: it has no batch */
	int64_t most;                            /* samples of a batch, the server's max_batch_size; 0: a request is a run */
	int instances;                           /* of the configuration */
	serve_settings settings;
	pthread_mutex_t lock;                    /* around the model, which one thread may use, and the shapes */
	serve_shape *shapes;
} serve_network;

/* Opens the file, an ONNX model or a plan, of which a copy is kept: it may be replaced while it is served. The settings'
 * strings must outlive the network. */
og_status serve_network_open(serve_network **out, const char *path, const serve_settings *);
void serve_network_free(serve_network *);        /* NULL is fine; no shape is in use any more */
/* All shapes are known before a request comes. */
bool serve_is_static(const serve_network *);
/* A scalar where there is no batch: the server knows none, and it travels as one element of one dimension. */
static inline bool serve_is_scalar(const serve_network *net, const serve_port *p) { return net->most == 0 && p->rank == 0; }
/* The device's plans for inputs of these dims (of a batch: dims[0] does not count), made when they are not there yet.
 * Ended by serve_shape_release. OG_USAGE: dims that the network does not take. */
og_status serve_shape_get(serve_shape **out, serve_network *, const char *device, const int64_t *const *dims);
void serve_shape_release(serve_network *, serve_shape *);

/* Builds and loads take turns, over all networks: they time tactics, and op libraries change the table of ops. */
void serve_build_begin(void);
void serve_build_end(void);

/* ---- sizes of runs ------------------------------------------------------------------------------ */

/* The size behind one of so many samples, whose plan has so many bytes of weights; 0: there is none. */
int64_t serve_size_next(const serve_network *, const serve_shape *, int64_t samples, size_t weights);
/* Fills `choice` so that every batch takes the least time; drops plans that save none. */
og_status serve_sizes_choose(serve_shape *, const serve_network *);
/* Threads of an instance. */
int serve_threads(const serve_network *);

/* ---- the server's configuration ----------------------------------------------------------------- */

/* Settings of "parameters"; a name that is not known is put into *unknown (the last one; NULL: none). */
og_status serve_config_settings(serve_settings *, arena *, const json_value *config, const char *folder,
                                const char **unknown);
/* Checks the configuration against the network, and takes from it what the network needs (batch, instances). With `complete`
 * what it leaves open is filled in: *completed is then a whole configuration, to be freed with base_free; else NULL. */
og_status serve_config_check(serve_network *, const json_value *config, bool complete, int64_t default_most,
                             char **completed);

#endif
