/* host.h -- what the files of our own host of TensorRT plugins share: it loads any plugin library, asks and runs its
 * plugins in the order in which TensorRT does, and says what is wrong. Of TensorRT itself it needs nothing.
 *
 * host.c has the report; host_open.c what a child process begins with; host_case.c shapes to try; host_expression.c
 * TensorRT's expressions of sizes; host_format.c memory formats; host_build.c checks that need no GPU; host_cuda.c,
 * host_launch.c, host_run.c and host_large.c those that do.
 *
 * Each check of each plugin runs in a child process: it tells what failed through a pipe, and when the plugin
 * crashes a handler tells in which call. */
#ifndef HOST_H
#define HOST_H

#include "cuda/driver.h"
#include "bridge/tensorrt_abi.h"
#include "kit/kit.h"
#include "opgraft.h"

enum { HOST_MAX_ARGS = 8, HOST_POSITIONS = 2 * HOST_MAX_ARGS };

typedef struct host {
	arena *a;
	const char *path;
	const og_tensorrt_options *options;
	void *library;
	trt_creator *const *creators; int32_t n_creators;
	trt_creator *creator;
	const og_op *op;                     /* what the plugin should compute; NULL: not known */
	const driver_api *cuda;              /* NULL: not asked for, or none */
	uint64_t seed;
	int to;                              /* where results are told */
	bool failed;
} host;

/* X(check, it is about): in the order in which they run; those from `attach` on need a GPU. */
#define HOST_CHECKS(X) \
	X(creator, "name, version, namespace and fields of the creator") \
	X(create, "made from no fields, or from those given") \
	X(capabilities, "core, build and runtime interfaces") \
	X(types, "number and types of the outputs") \
	X(shapes, "shapes of the outputs, with sizes known and not") \
	X(formats, "supportsFormatCombination for every type and format") \
	X(configure, "configurePlugin, workspace, tactics and timing cache") \
	X(fields, "what it serialises makes the same plugin again") \
	X(clones, "clones stand by themselves, in threads too") \
	X(attach, "attachToContext and onShapeChange") \
	X(run, "every type, format and tactic between guards: outputs, inputs, padding, workspace") \
	X(reload, "the plugin from an engine file computes the same") \
	X(capture, "in a CUDA graph, captured and replayed") \
	X(streams, "on several streams and threads at once") \
	X(large, "more than 2^31 elements")
#define X(check, about) void host_check_##check(host *);
HOST_CHECKS(X)
#undef X

/* ---- telling (host_open.c) ---------------------------------------------------------------------- */

/* Tells that the check failed, once; later words of the same check are dropped. What the plugin said through
 * TensorRT's logger follows. Always false. */
bool host_fail(host *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void host_note(host *, const char *format, ...) __attribute__((format(printf, 2, 3)));     /* a fact beside "ok" */
/* Why nothing is checked. Always false. */
bool host_skip(host *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Which function of the plugin is called next, and upon what: for the sentence when it crashes. */
void host_calls(const char *function);
void host_upon(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* For checks that take long: what was called so far came to an end. */
void host_goes_on(host *);

/* ---- the library and its plugins (host_open.c) --------------------------------------------------- */

/* In a child: what the library prints goes to a file, crashes become sentences. */
void host_catch_crashes(host *);
/* Loads the library and asks for its creators. OG_BAD_FILE: it is no plugin library. */
og_status host_open(host *);
bool host_is_v3(trt_creator *);          /* the interface that this host drives */

/* A plugin with its capabilities. */
typedef struct host_plugin {
	trt_plugin *plugin;
	trt_core *core;
	trt_build *build;
	trt_runtime *run;
	int32_t n_out;
} host_plugin;
/* False when the creator refuses or something is missing; tells nothing. */
bool host_make(host *, host_plugin *out, const trt_fields *, int32_t phase);
/* The same for checks behind `create` and `capabilities`: a refusal there ends a check here. */
bool host_need(host *, host_plugin *out, const trt_fields *, int32_t phase);
bool host_clone(host *, host_plugin *out, const host_plugin *);
void host_destroy(host_plugin *);
/* Fields as the user gave them, with the types that the creator declares. */
og_status host_given_fields(trt_fields *out, host *);
bool host_same_fields(const trt_fields *, const trt_fields *);
const trt_fields *host_copy_fields(host *, const trt_fields *);
size_t host_field_size(int32_t type);    /* bytes of an element; 0: no such type */
/* Element k of a field of numbers, read and written; false when it holds none. */
bool host_number_at(double *out, const trt_field *, int32_t k);
bool host_put_number(void *to, int32_t type, double);

/* ---- cases (host_case.c) --------------------------------------------------------------------------- */

typedef struct host_case {
	char words[160];                     /* "2x3x5, 3x5" */
	trt_fields given;
	int n_in;
	trt_dims in[HOST_MAX_ARGS];
	int32_t type[HOST_MAX_ARGS];         /* one choice that is legal */
} host_case;
/* Shapes of the inputs: "2x3x5,3x5"; nothing is a scalar. OG_USAGE. */
og_status host_read_shapes(host_case *out, const char *);
/* Those that the user gave, the op's own, or shapes that the plugin takes; *n of them in the arena. False after
 * telling. */
bool host_cases(host *, host_case **out, size_t *n);
/* Change number k of a case: all sizes that are equal become 0, 1, 2, 17, 33, one more, or `large`. 0 is the case as
 * it is; false: there is no number k. */
bool host_vary(host_case *out, const host_case *, int k, int64_t large);
void host_case_words(host_case *);
/* Shapes of the outputs, with the sizes known: 0, or what the plugin returned when it refuses. False after telling a
 * failure. */
bool host_output_shapes(host *, int32_t *status, const host_plugin *, const host_case *, trt_dims *out);
bool host_output_types(host *, int32_t *status, const host_plugin *, const int32_t *in, int n_in, int32_t *out);

/* ---- expressions (host_expression.c) ----------------------------------------------------------------- */

extern trt_expr_builder host_expr_builder;
void host_expr_start(arena *);           /* forgets those made before */
const trt_dim *host_expr_constant(int64_t value);
const trt_dim *host_expr_symbol(int64_t value);          /* a size that only the host knows */
/* False with what is wrong: "divides by 0". */
bool host_expr_value(int64_t *out, const char **why, const trt_dim *);

/* ---- formats (host_format.c) --------------------------------------------------------------------------- */

/* Where elements lie: dimensions before the channel, the channel, those behind; all multiplied. */
typedef struct host_layout { size_t outer, channel, inner, lanes, padded, elements; bool by_lane; } host_layout;
/* False: no such format for this rank, or too large. */
bool host_layout_of(host_layout *out, int32_t format, const trt_dims *);
size_t host_layout_at(const host_layout *, size_t k);    /* place of element k in row-major order */
const char *host_type_name(int32_t type);
og_dtype host_dtype(int32_t type);

typedef struct host_combination { int32_t type[HOST_POSITIONS], format[HOST_POSITIONS]; } host_combination;
trt_range host_range(const trt_dims *, int32_t type, int32_t format);
/* All that the plugin takes for the case. `strict` asks again and in other ways, and tells what is wrong. False
 * after telling. */
bool host_combinations(host *, host_combination **out, size_t *n, const host_plugin *, const host_case *,
                       const trt_dims *made, bool strict);
/* "HALF in HWC8", or all positions where they differ; in a buffer of the caller. */
void host_combination_words(char *out, size_t room, const host_combination *, int n);
/* Configures the plugin for it. False after telling. */
bool host_configure(host *, const host_plugin *, const host_case *, const trt_dims *made, const host_combination *);
/* Bytes of workspace, and the tactics: at least one, 0 where the plugin has none. False after telling. */
enum { HOST_MAX_TACTICS = 64 };
typedef struct host_needs { size_t workspace; int32_t tactic[HOST_MAX_TACTICS]; int n_tactics; } host_needs;
bool host_ask_needs(host *, host_needs *out, const host_plugin *, const host_case *, const trt_dims *made,
                    const host_combination *);

/* ---- on the device (host_cuda.c, host_launch.c) ---------------------------------------------------------- */

/* The driver with a context; false after telling why the check is skipped. */
bool host_gpu(host *);
bool host_cuda_ok(host *, int error, const char *what);  /* false after telling a failure */

/* Memory on the device between two guards. */
typedef struct host_block { uint64_t base, at; size_t bytes; } host_block;
bool host_block_new(host *, host_block *, size_t bytes);
void host_block_free(host *, host_block *);
/* Data (NULL: all bytes `poison`) and fresh guards. */
bool host_block_set(host *, const host_block *, const void *data, uint8_t poison);
/* Copies it out, and looks at the guards: HOST_WHOLE, or where they were written, counted from the first byte
 * between them. */
#define HOST_WHOLE INT64_MIN
bool host_block_get(host *, const host_block *, void *data, int64_t *outside);

/* Values of inputs, and results, in row-major order. */
typedef struct host_data { og_tensor t[HOST_MAX_ARGS]; } host_data;
/* Others each time; `any`: all floats there are, else numbers from -4 to 4. */
bool host_fill(host *, host_data *, const host_case *, const int32_t *type, bool any);
size_t host_bytes(const og_tensor *);
/* What the op of the plugin's name makes of it on the CPU. OG_UNSUPPORTED: there is no such op, or it does not take
 * these. */
og_status host_reference(host *, host_data *out, int n_out, const host_case *, const host_data *in);

/* A plugin attached to a context, with memory and a stream of its own. */
typedef struct host_launch {
	host *h;
	host_plugin p;
	const host_case *c;
	const host_combination *f;
	int n_in, n_out;
	trt_tensor desc[HOST_POSITIONS];
	host_layout layout[HOST_POSITIONS];
	host_block block[HOST_POSITIONS], space;
	host_block old[HOST_POSITIONS], old_space;       /* before host_launch_move */
	void *image[HOST_POSITIONS];         /* of inputs as they were sent, of outputs as they came back */
	void *stream;
} host_launch;
/* Attaches a clone of the plugin, sets tactic and shapes, takes memory. False after telling. */
bool host_launch_open(host *, host_launch *, const host_plugin *, const host_case *, const trt_dims *made,
                      const host_combination *, const host_needs *, int32_t tactic);
/* Inputs, whose padding has bytes `padding`; outputs and workspace are filled with `poison`. */
bool host_launch_load(host_launch *, const host_data *, uint8_t padding, uint8_t poison);
bool host_launch_enqueue(host_launch *);
bool host_launch_wait(host_launch *);
/* Outputs, in row-major order in the arena, after a look at guards and inputs. */
bool host_launch_take(host_launch *, host_data *out);
/* Once: memory at other places for what is loaded next, since pointers change between calls of enqueue. */
bool host_launch_move(host_launch *);
void host_launch_close(host_launch *);

/* Index of the first element that differs, -1: NaN equals NaN, and where not `exact` numbers may be a tolerance
 * apart. */
int64_t host_first_apart(const og_tensor *, const og_tensor *, bool exact);

#endif
