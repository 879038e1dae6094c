/* opgraft.h -- the public interface of Opgraft and its manual.
 *
 * Opgraft reads a trained network (ONNX), grafts operators onto it, builds a plan for one device and runs it.
 *
 *     og_model *model;  og_plan *plan;  og_session *session;
 *     og_model_load(&model, "net.onnx");
 *     og_plan_build(&plan, model, NULL);
 *     og_session_create(&session, plan, 0);
 *     og_session_run(session, inputs, outputs);          // const void *const *, void *const *
 *
 * Every function that can fail returns an og_status; og_error() is then one sentence of what went wrong, where,
 * and what to do. Nothing here prints, exits or aborts. Objects are made by *_load, *_build, *_create and ended by the
 * *_free of their type, which takes NULL. A model may be used by one thread at a time; a plan is never changed
 * and may be shared; a session belongs to one thread at a time. Strings are UTF-8, sizes are bytes, dims are
 * elements. Tensors are dense and row-major. In result structs, pointers belong to the object that they came from.
 * Option structs begin with `size`: set it to sizeof the struct, everything else to 0 for the default. */
#ifndef OPGRAFT_H
#define OPGRAFT_H

#include "opgraft/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define OG_API __attribute__((visibility("default")))
#else
#define OG_API
#endif

/* ---- errors and version ---------------------------------------------------------------------------------------- */

/* The sentence of this thread's latest failure, without newline; "" when there was none. Valid until the next call. */
OG_API const char *og_error(void);
/* "OK", "NO", "USAGE", "BAD_FILE", "UNSUPPORTED", "MISSING", "NO_MEMORY". Never NULL. */
OG_API const char *og_status_name(og_status status);
/* "0.1.0" */
OG_API const char *og_version(void);
/* Text of a dtype ("f32") and back (OG_NONE when there is none). */
OG_API const char *og_dtype_name(og_dtype dtype);
OG_API og_dtype og_dtype_find(const char *name);

/* ---- tensors --------------------------------------------------------------------------------------------------- */

/* A new tensor with cleared data aligned to 64 bytes. OG_USAGE: bad rank, dims or dtype; OG_NO_MEMORY. */
OG_API og_status og_tensor_create(og_tensor **out, og_dtype dtype, int rank, const int64_t *dims);
/* Frees a tensor that this library made. */
OG_API void og_tensor_free(og_tensor *tensor);
/* Bytes of the data; SIZE_MAX when the product overflows. */
OG_API size_t og_tensor_bytes(const og_tensor *tensor);
/* Reads a NumPy file (.npy) or an ONNX TensorProto (.pb), by the file's first bytes; OG_MISSING, OG_BAD_FILE. */
OG_API og_status og_tensor_load(og_tensor **out, const char *path);
/* Writes a NumPy file (.npy), replacing `path` whole. */
OG_API og_status og_tensor_save(const og_tensor *tensor, const char *path);

/* How far apart two tensors are. */
typedef struct og_difference {
	double max_abs;              /* largest |a - b| */
	double max_rel;              /* largest |a - b| over the largest |b| */
	double ulp;                  /* largest distance in float32 ULP; 0 for other types */
	int64_t mismatches;          /* elements outside atol + rtol * |b|; NaN equals NaN */
	int64_t nan_a, nan_b;        /* how many NaNs each has */
	int64_t worst;               /* index of the largest |a - b|; -1 when empty */
} og_difference;
/* OG_OK: compared (look at mismatches); OG_NO: dtype or shape differ, with the sentence. */
OG_API og_status og_compare(og_difference *out, const og_tensor *a, const og_tensor *b, double rtol, double atol);

/* ---- models ---------------------------------------------------------------------------------------------------- */

typedef struct og_model og_model;

/* What is known of an input or output. dim_names[k] is the name of a symbolic dimension (dims[k] is then -1),
 * else NULL; rank -1: unknown. */
typedef struct og_value_info {
	const char *name;
	og_dtype dtype;
	int rank;
	int64_t dims[OG_MAX_RANK];
	const char *dim_names[OG_MAX_RANK];
	int optional;                /* an input with a default value */
} og_value_info;

/* Reads an ONNX file (IR 3 to 13, opset 7 to 26), or Opgraft's own text form (.ogt), by content. The file is mapped
 * and stays mapped. OG_MISSING, OG_BAD_FILE, OG_UNSUPPORTED. */
OG_API og_status og_model_load(og_model **out, const char *path);
/* The same from memory, which must outlive the model. `folder` (may be NULL) is where external data lies. */
OG_API og_status og_model_load_memory(og_model **out, const void *data, size_t size, const char *folder);
/* Writes ONNX; what was not edited keeps its bytes. The old file at `path` is replaced whole or not at all. */
OG_API og_status og_model_save(og_model *model, const char *path);
OG_API void og_model_free(og_model *model);

OG_API int og_model_inputs(const og_model *model);
OG_API int og_model_outputs(const og_model *model);
OG_API og_status og_model_input(const og_model *model, int k, og_value_info *out);
OG_API og_status og_model_output(const og_model *model, int k, og_value_info *out);

/* How a text result is wanted. Texts are ended by og_text_free. */
typedef enum og_format { OG_TEXT, OG_JSON, OG_HTML } og_format;
OG_API void og_text_free(char *text);
/* Inputs, outputs, ops, parameters, FLOPs and memory of a model. */
OG_API og_status og_model_describe(char **out, const og_model *model, og_format format);
/* The model in the text form, which og_model_load reads back. */
OG_API og_status og_model_print(char **out, const og_model *model);

/* ---- surgery --------------------------------------------------------------------------------------------------- */

typedef struct og_graft_options {
	size_t size;
	/* Rules, one a line or separated by ';', '#' starts a comment: "Mul(x, Sigmoid(x)) -> Swish(x)". */
	const char *rules;
	/* Or every node of one type: "Relu=Swish" or "Relu=Swish,beta=1.5"; several, done one after the other, with ';'
	 * between. */
	const char *map;
	/* Or an op by name: every place that computes it, however it is spelled. */
	const char *op;
	const char *only;            /* glob over node names (or output names where the node has none); NULL: all */
	int dry_run;                 /* find, change nothing */
	const char *skip;            /* glob of those to leave alone; NULL: none */
	/* A value inside a place that others need, or that is a graph output: 0: the place is refused; 1: the nodes that
	 * make it stay. */
	int keep_interior;
	/* Or the edits themselves, as og_found_edits wrote them. */
	const char *edits;
} og_graft_options;

typedef struct og_attribute { const char *name; double value; const char *word; } og_attribute;     /* word: of a string; else NULL */
/* A place that was (or would be) replaced, or one that almost was and why not. */
typedef struct og_match {
	const char *op;              /* "Swish" */
	const char *output;          /* the value that the op produces */
	const char *const *nodes; int n_nodes;           /* names of the nodes replaced; output name where a node has none */
	const og_attribute *attributes; int n_attributes;
	const char *how;             /* "rule", "map", "meaning", "node" (it is the op already), "edit" */
	const char *reason;          /* of a refusal; NULL for a match */
	const char *graph;           /* "" for the main graph, "loop1.body", "domain::Function" */
	double error;                /* largest relative error that probing found; 0 where nothing was probed */
} og_match;
typedef struct og_found {
	const og_match *matches; size_t n_matches;
	const og_match *refused; size_t n_refused;
} og_found;

/* Replaces what the options say. OG_OK: at least one match; OG_NO: none (the model is unchanged); OG_USAGE: a rule that
 * can't be read, with line and column, or an unknown op. *out (may be NULL) is ended by og_found_free in both cases.
 * After any other status the model may be edited in part: free it. */
OG_API og_status og_graft(og_found **out, og_model *model, const og_graft_options *options);
/* Where the network computes an op (options->op; NULL: any op that has a name), and near misses. options->rules:
 * where they would match. Changes nothing. OG_NO: nowhere. */
OG_API og_status og_find(og_found **out, const og_model *model, const og_graft_options *options);
/* Ops of Opgraft and of op libraries back into ONNX's own, by the op files' bodies; options may be NULL, of it op,
 * only, skip count. */
OG_API og_status og_ungraft(og_found **out, og_model *model, const og_graft_options *options);
/* The edits that og_graft made or (dry_run) would make, as JSON for og_graft_options.edits. */
OG_API og_status og_found_edits(char **json, const og_found *found);
OG_API void og_found_free(og_found *found);

/* Cuts a network to what is computed between values, which become its inputs and outputs; weights stay. OG_USAGE: no
 * such value, or an output that needs more than the inputs. */
OG_API og_status og_extract(og_model *model, const char *const *inputs, int n_inputs, const char *const *outputs, int n_outputs);
/* What differs between two networks: nodes, attributes, shapes, weights by norm. OG_OK: nothing; OG_NO: something.
 * *out is made in both cases; OG_HTML: a page with both side by side. */
OG_API og_status og_diff(char **out, const og_model *a, const og_model *b, og_format format);

/* ---- plans ----------------------------------------------------------------------------------------------------- */

typedef struct og_plan og_plan;

/* The shape of an input, or a value that decides shapes. */
typedef struct og_binding {
	const char *name;            /* of an input; or of a symbolic dimension: then dims[0] is its size and rank is 1 */
	int rank;
	int64_t dims[OG_MAX_RANK];
	const og_tensor *value;      /* NULL, or the value that the input will have: needed for inputs that decide shapes */
} og_binding;

/* How the tactic of each step is chosen: the way to compute it, where there are several. All of them compute the same but
 * for the rounding of sums. */
typedef enum og_timing {
	OG_TIMING_ON,                /* those that may be fastest are timed here, unless the cache knows their times */
	OG_TIMING_CACHED,            /* by the cache where it knows the times, else by a model of their cost */
	OG_TIMING_OFF                /* by the model alone: every build on this machine chooses the same */
} og_timing;

typedef struct og_build_options {
	size_t size;
	const char *device;          /* NULL: "cpu" */
	const char *precision;       /* NULL: "fp32" */
	const og_binding *bindings; int n_bindings;      /* symbolic dims that nothing binds become 1 */
	int threads;                 /* threads that sessions will use; 0: all processors */
	int no_fuse;                 /* node by node: the baseline */
	/* Called with the text form after each pass of the optimiser; NULL: not. */
	void (*dump)(void *arg, const char *pass, const char *text);
	void *dump_arg;
	og_timing timing;
	/* File that keeps the times: it is read, and new ones are added. NULL: none; "": the user's own,
	 * $XDG_CACHE_HOME/opgraft/timing or ~/.cache/opgraft/timing, which is done without where it cannot be used. A plan built
	 * with times that are all known is the same to the byte. */
	const char *timing_cache;
	/* How a batch is run. NULL or "auto": the fastest way found. "whole": all samples step by step. "slabs": some samples at a
	 * time through all steps. "samples": slabs of one vector of samples each. OG_UNSUPPORTED where the network cannot. */
	const char *batching;
	/* A plan of the same network with other shapes: weights that both have are kept once, in that plan, which must outlive this
	 * one. NULL: none. */
	const og_plan *share;
	/* What a byte of weights counts beside time, since a faster tactic may have several times the bytes. NULL or "auto": 0.015 ns
	 * (67 MB are worth a millisecond) where the network's weights do not fit the caches, else nothing. "fast": nothing. "small":
	 * 1 ns. A size, in bytes or as "150M" (K, M, G are powers of 1024): as little as lets weights, activations and workspace fit;
	 * OG_UNSUPPORTED where they cannot. */
	const char *memory;
} og_build_options;

/* Optimises a copy of the model and builds it. The model may be freed afterwards.
 * OG_UNSUPPORTED names the op and node; OG_BAD_FILE: the network contradicts itself; OG_USAGE: bad options. */
OG_API og_status og_plan_build(og_plan **out, const og_model *model, const og_build_options *options);
/* Plan files hold packed weights: they load by mapping, on a machine with the same features. A damaged or foreign
 * file is OG_BAD_FILE (or OG_MISSING when this processor lacks what it needs), with the reason. */
OG_API og_status og_plan_save(const og_plan *plan, const char *path);
OG_API og_status og_plan_load(og_plan **out, const char *path);
OG_API void og_plan_free(og_plan *plan);         /* when no session uses it any more */

OG_API int og_plan_inputs(const og_plan *plan);
OG_API int og_plan_outputs(const og_plan *plan);
OG_API og_status og_plan_input(const og_plan *plan, int k, og_value_info *out);
OG_API og_status og_plan_output(const og_plan *plan, int k, og_value_info *out);
OG_API const char *og_plan_device(const og_plan *plan);          /* "cpu", "cuda" */
OG_API const char *og_plan_precision(const og_plan *plan);       /* "fp32", "tf32", "fp16", "bf16" */
/* The value that an input was bound to at build, NULL when it is free. */
OG_API const og_tensor *og_plan_bound(const og_plan *plan, int k);
OG_API og_status og_plan_describe(char **out, const og_plan *plan, og_format format);

/* How each step is computed: every tactic that could with its time, and the one that was chosen. A plan from a file
 * knows the last only. */
OG_API og_status og_plan_tactics(char **out, const og_plan *plan, og_format format);

typedef struct og_memory {
	size_t weights;              /* constants and packed weights */
	size_t activations;          /* planned peak of one session */
	size_t activations_bound;    /* no plan can need less: the largest set of values alive at once */
	size_t workspace;            /* scratch of the largest step */
} og_memory;
OG_API void og_plan_memory(const og_plan *plan, og_memory *out);

/* ---- TensorFlow ------------------------------------------------------------------------------------------------ */

/* A placeholder that is a scalar and always has this value: 0 for `is_training`. */
typedef struct og_fixed_value { const char *name; double value; } og_fixed_value;

/* What to take of a TensorFlow graph. */
typedef struct og_import_options {
	size_t size;
	/* Inputs by name ("x", "split:1"), anywhere in the graph: what lies before them is cut away. rank -1: only the name is
	 * given; a dimension of -1 stays open. n_inputs 0: those of the signature, or the placeholders. */
	const og_binding *inputs; int n_inputs;
	const char *const *outputs; int n_outputs;       /* 0: those of the signature, or the nodes that no other node reads */
	const char *signature, *tag;     /* of a SavedModel; NULL: "serving_default", "serve" */
	const og_fixed_value *values; int n_values;
	int no_fold;                     /* 1: weights stay as the graph has them; 0: arithmetic by channel goes into those before it */
} og_import_options;
/* Reads a TensorFlow graph (frozen GraphDef, binary or text; MetaGraphDef with its checkpoint; SavedModel folder) as an ONNX model
 * of opset 17 that og_model_save writes. Ops of loaded libraries are taken by name. options may be NULL. OG_MISSING: a file, input,
 * output or signature; OG_BAD_FILE: damaged or contradictory; OG_UNSUPPORTED names op and node. */
OG_API og_status og_model_import_tensorflow(og_model **out, const char *path, const og_import_options *options);
/* The k-th op of TensorFlow that can be taken, in order of names; NULL: there are no more. */
OG_API const char *og_import_tensorflow_op(size_t k);

/* ---- sessions -------------------------------------------------------------------------------------------------- */

typedef struct og_session og_session;

/* threads: 0 for as many as the plan was built for. The plan must outlive the session. */
OG_API og_status og_session_create(og_session **out, const og_plan *plan, int threads);
OG_API void og_session_free(og_session *session);
/* Threads that the session uses, the caller's included. */
OG_API int og_session_threads(const og_session *session);
/* Runs once. inputs[k] and outputs[k] (of the host's memory or, where the plan is for a device, of that) are dense data in the plan's order, dtypes and shapes; any alignment of the
 * element. Inputs bound at build are checked: OG_USAGE when they differ.
 * Allocates nothing. */
OG_API og_status og_session_run(og_session *session, const void *const *inputs, void *const *outputs);

/* The same for a plan of a CUDA device, into the caller's stream (a CUstream or cudaStream_t), without waiting for it: buffers of the host
 * must stay until the stream is done. The stream may be one that records a graph, if all buffers are the device's. */
OG_API og_status og_session_run_on(og_session *session, const void *const *inputs, void *const *outputs, void *stream);
/* Runs `runs` times after a run that warms up, and says how long each took: on a device from the first kernel to the last,
 * without the copies of inputs and outputs. */
OG_API og_status og_session_time(og_session *session, const void *const *inputs, void *const *outputs, int runs, double *seconds);

/* One step of a plan as it ran. */
typedef struct og_step_profile {
	const char *name;            /* of the node */
	const char *op;              /* "Conv + Swish" */
	const char *tactic;
	double seconds;              /* median over the runs */
	double flops, bytes;         /* multiply and add count as two; bytes read and written once each */
} og_step_profile;
/* Runs `runs` times with a clock around each step. *out is an array of *n, ended by og_profile_free. */
OG_API og_status og_session_profile(og_session *session, const void *const *inputs, void *const *outputs, int runs,
                                    og_step_profile **out, size_t *n);
OG_API void og_profile_free(og_step_profile *profile);

/* ---- reference ------------------------------------------------------------------------------------------------- */

/* Runs the unoptimised network by the ops' plain definitions: formulas and sums in double, values stored in their own
 * type. inputs[k] in the model's order (NULL: its default). outputs[k] are made here, each ended by og_tensor_free. */
OG_API og_status og_reference_run(const og_model *model, const og_tensor *const *inputs, og_tensor **outputs);

/* ---- a peer ---------------------------------------------------------------------------------------------------- */

/* The real ONNX Runtime on the same file, where it is installed (found by name, in Python environments, or by the
 * path in OPGRAFT_ONNXRUNTIME), to compare answers and times with. All of its graph optimisations are on. */
typedef struct og_peer og_peer;
/* OG_MISSING: it is not installed; OG_UNSUPPORTED: it refuses the model, with its reason. */
OG_API og_status og_peer_open(og_peer **out, const char *model_path, int threads);
typedef struct og_peer_options {
	size_t size;
	int threads;                         /* 0: as many as it likes */
	const char *const *libraries; int n_libraries;   /* op libraries, or any custom-op libraries, that the session registers */
	int only_asked;                      /* whether it takes the model: nothing is optimised for runs, and nothing logged */
} og_peer_options;
/* The same with options, which may be NULL. OG_UNSUPPORTED also when it refuses a library. */
OG_API og_status og_peer_open_with(og_peer **out, const char *model_path, const og_peer_options *options);
OG_API const char *og_peer_version(const og_peer *peer);
/* Tensors that the next runs read and write, in the model's order; they must outlive the runs. */
OG_API og_status og_peer_bind(og_peer *peer, const og_tensor *const *inputs, og_tensor *const *outputs);
OG_API og_status og_peer_run(og_peer *peer);
/* Runs once on these inputs; outputs[k] are made here, each ended by og_tensor_free. What was bound is bound no more. */
OG_API og_status og_peer_compute(og_peer *peer, const og_tensor *const *inputs, og_tensor **outputs);
/* OG_OK: it is installed, and its version is in `version`, cut to `room` bytes. OG_MISSING. */
OG_API og_status og_peer_ready(char *version, size_t room);
OG_API void og_peer_free(og_peer *peer);

/* ---- partition ------------------------------------------------------------------------------------------------- */

/* Whom a network can be cut for, by name: "tensorrt" and "onnxruntime" (asked themselves, where they are installed:
 * OPGRAFT_TENSORRT, OPGRAFT_ONNXRUNTIME), "opgraft" (plans) and "reference" (Opgraft's plain definitions: If and Loop too). */
typedef struct og_partition_options {
	size_t size;
	const char *runtime;         /* that is to run as many nodes as it takes */
	const char *fallback;        /* that runs the rest; NULL: the first of opgraft, onnxruntime and reference that can */
	int min_nodes;               /* pieces of the runtime with fewer nodes go to the fallback, where that can; 0: none */
	/* Nodes that the runtime cannot take, whatever it says: one glob over node names a line (output name where a node has
	 * none), or "op:TYPE", then a space and the reason if there is one; '#' starts a comment. With this, a runtime that is
	 * not here takes all others. NULL: none. */
	const char *refuse;
	const char *folder;          /* where to write the pieces and manifest.json; NULL: nothing is written */
	const char *const *libraries; int n_libraries;   /* op libraries that other runtimes load; Opgraft's own: og_ops_load */
} og_partition_options;
/* Says which nodes a runtime can take and why not the others, and cuts the network into pieces that can run one after
 * the other: as many nodes as it takes go to the runtime, and no cut that does so has fewer pieces. What hangs on constants only
 * comes with each piece that needs it. Every piece was shown to who is to run it. OG_JSON: what is in manifest.json, which
 * docs/partition.md describes. OG_MISSING: the runtime is not here and `refuse` says nothing; OG_UNSUPPORTED: a node
 * that neither takes; OG_USAGE: no such runtime. */
OG_API og_status og_partition(char **out, const og_model *model, const og_partition_options *options, og_format format);

/* A manifest with its pieces, to run. */
typedef struct og_manifest og_manifest;
/* OG_MISSING: no such file; OG_BAD_FILE: it contradicts itself or its pieces, or a piece is missing. */
OG_API og_status og_manifest_load(og_manifest **out, const char *path);
OG_API void og_manifest_free(og_manifest *manifest);
OG_API int og_manifest_inputs(const og_manifest *manifest);
OG_API int og_manifest_outputs(const og_manifest *manifest);
OG_API og_status og_manifest_input(const og_manifest *manifest, int k, og_value_info *out);
OG_API og_status og_manifest_output(const og_manifest *manifest, int k, og_value_info *out);
OG_API int og_manifest_pieces(const og_manifest *manifest);
typedef struct og_piece_info {
	const char *file;
	const char *runtime;         /* whom it was cut for */
	const char *ran;             /* who ran it last; NULL: not run yet */
} og_piece_info;
OG_API og_status og_manifest_piece(const og_manifest *manifest, int k, og_piece_info *out);
typedef struct og_manifest_options {
	size_t size;
	const char *device, *precision;      /* of pieces that Opgraft runs as plans: see og_build_options */
	int threads;
	int no_fuse;
	const char *const *libraries; int n_libraries;   /* op libraries that ONNX Runtime loads */
	og_timing timing; const char *timing_cache; const char *batching, *memory;
} og_manifest_options;
/* Runs the pieces one after the other. inputs[k] in the manifest's order; outputs[k] are made here, each ended by
 * og_tensor_free. A piece for TensorRT, which is not driven here, is run by who can: Opgraft's plan, ONNX Runtime or the reference;
 * so is one for Opgraft that cannot be planned. options may be NULL. */
OG_API og_status og_manifest_run(og_manifest *manifest, const og_tensor *const *inputs, og_tensor **outputs,
                                 const og_manifest_options *options);

/* ---- ops and machine ------------------------------------------------------------------------------------------- */

typedef struct og_op_info {
	const char *name, *domain;   /* domain "" is ONNX's own */
	int since;
	const char *doc, *types, *inputs, *outputs;
	int elementwise;             /* fuses into its neighbours */
} og_op_info;
OG_API size_t og_op_count(void);
OG_API og_status og_op_at(size_t k, og_op_info *out);
/* Loads an op library; its ops are then known like built-in ones until the program ends. OG_MISSING: no such file;
 * OG_BAD_FILE: it is no op library; OG_UNSUPPORTED: it was built for another version of opgraft/op.h. Never called
 * for a library that the user did not name. */
OG_API og_status og_ops_load(const char *path);

/* An op file, to begin with: one formula, a reduction along the last axis and a map (softmax, norms), or a function
 * of its own. */
typedef enum og_op_kind { OG_OP_ELEMENTWISE, OG_OP_ROWWISE, OG_OP_GENERAL } og_op_kind;
/* Writes one to `path`, which must not exist, for an op called `name`. It builds and passes its tests as it is.
 * *note (may be NULL) is NULL or a sentence about the name, ended by og_text_free. OG_USAGE: no legal name, or the
 * file exists. */
OG_API og_status og_op_new(const char *path, const char *name, og_op_kind kind, char **note);

typedef struct og_library_options {
	size_t size;
	const char *compiler;        /* NULL: CC of the environment, cc, gcc or clang */
	const char *keep;            /* folder in which all that is made on the way stays; NULL: none does */
	int no_cuda;                 /* no device code, even if NVRTC is there */
} og_library_options;
/* Op files into an op library (.so): a TensorRT plugin library, an ONNX Runtime custom-op library and a library for
 * og_ops_load in one. `path` is replaced whole or not at all. *log (may be NULL) is what the compiler said, NULL
 * when nothing, ended by og_text_free in any case. OG_BAD_FILE: file and line of the fault; OG_MISSING: no compiler,
 * or no kit beside this program (OPGRAFT_HOME). */
OG_API og_status og_op_library_build(const char *const *files, int n_files, const char *path, const og_library_options *options, char **log);
/* What a library holds, without adding its ops; path NULL: all ops that are known here. */
OG_API og_status og_op_library_describe(char **out, const char *path, og_format format);
/* The conformance suite on the ops of a library (op NULL: all). Crashes are caught. OG_OK: all passed; OG_NO: the
 * report *out says what to mend. *out is made in both cases. */
OG_API og_status og_op_library_test(char **out, const char *path, const char *op, og_format format);

typedef struct og_tensorrt_options {
	size_t size;
	const char *op;              /* plugins of this name only; NULL: all */
	const char *reference;       /* the op that they should compute; NULL: that of the same name, where it is an op library of ours */
	const char *const *attributes; int n_attributes;     /* fields to create them from: "beta=1.5" */
	const char *shapes;          /* of the inputs: "2x3x5,3x5"; NULL: the op's cases, or what a plugin takes */
	int large;                   /* also more than 2^31 elements */
} og_tensorrt_options;
/* Any TensorRT plugin library (ours or another's), driven as TensorRT drives it, by a host of our own: no TensorRT
 * is needed, and of the checks those that run kernels need a GPU. Crashes are caught. options may be NULL. OG_OK:
 * none failed; OG_NO: the report *out says what to mend (it is made in both cases). OG_MISSING: no such file;
 * OG_BAD_FILE: no plugin library. */
OG_API og_status og_tensorrt_test(char **out, const char *path, const og_tensorrt_options *options, og_format format);

/* What this machine offers: processor features, threads, CUDA driver, NVRTC, ONNX Runtime, TensorRT, and what to do. */
OG_API og_status og_doctor(char **out, og_format format);
/* "avx512", "avx2" or "scalar": the level that the CPU backend uses here (OPGRAFT_ISA can lower it). */
OG_API const char *og_cpu_level(void);
/* OG_OK: plans for this device ("cpu", "cuda") can run here; OG_MISSING: what is missing. */
OG_API og_status og_device_ready(const char *device);
/* Float32 operations a second that one core of this processor can do, measured now, which takes some milliseconds:
 * multiply and add count as two. */
OG_API double og_cpu_peak(void);

#ifdef __cplusplus
}
#endif
#endif
