/* cli.h -- what the verbs share. The command sees the public header only. */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stdio.h>

#include "opgraft.h"

typedef struct cli_option { const char *name, *value, *help; } cli_option;    /* value NULL: a flag; name NULL ends */

struct cli_args;
typedef struct cli_verb {
	const char *name;                    /* "info", "op list" */
	const char *usage;                   /* what follows the name */
	const char *what;                    /* one line */
	const char *more;                    /* paragraphs and examples, lines of at most 80 columns */
	const cli_option *options;           /* may be NULL */
	const struct cli_verb *const *parts; /* of a verb in two words: "op build"; NULL ends; NULL: none */
	bool once;                           /* runs a network so few times that timing tactics for it does not pay */
	int (*run)(const struct cli_args *);
} cli_verb;

enum { CLI_MAX_ARGS = 256 };
typedef struct cli_args {
	const cli_verb *verb;
	const char *files[CLI_MAX_ARGS]; int n_files;
	const char *names[CLI_MAX_ARGS], *values[CLI_MAX_ARGS]; int n_options;
	bool json, quiet;
} cli_args;

/* X(verb) one file each: cli_verb_NAME */
#define CLI_VERBS(X) X(info) X(import) X(find) X(diff) X(extract) X(partition) X(graft) X(ungraft) X(build) X(run) X(check) X(bench) X(profile) X(op) X(doctor) X(demo)
#define X(name) extern const cli_verb cli_verb_##name;
CLI_VERBS(X)
#undef X
/* X(part): cli_verb_op_NAME */
#define CLI_OP_PARTS(X) X(new) X(build) X(test) X(list) X(bench)

/* ---- arguments ------------------------------------------------------------------------------ */
const char *cli_option_value(const cli_args *, const char *name);       /* the last one; NULL when not given */
/* The k-th of a repeated option; NULL when there are no more. */
const char *cli_option_nth(const cli_args *, const char *name, int k);
/* A whole number of at least `low`; *out keeps its value when the option is absent. Returns false after printing. */
bool cli_option_int(const cli_args *, const char *name, int low, int high, int *out);
bool cli_option_double(const cli_args *, const char *name, double *out);
/* Checks the count of files: false after printing. */
bool cli_files(const cli_args *, int low, int high, const char *what);

/* ---- telling -------------------------------------------------------------------------------- */
int cli_fail(og_status);                            /* prints og_error(), unless a sentence was told; returns the exit status */
int cli_usage(const cli_args *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints the sentence of a failure that the command found itself, so that cli_fail does not print another; returns status. */
og_status cli_tell(og_status, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_json_string(FILE *, const char *);         /* with its quotes */
void cli_json_shape(FILE *, const og_tensor *);
/* Progress on a terminal: overwrites one line of standard error; nothing when piped or quiet. */
void cli_progress(const cli_args *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_progress_end(const cli_args *);
double cli_now(void);                               /* seconds */
double cli_quantile(double *x, size_t n, double q); /* sorts x */
void cli_print_seconds(char *out, size_t n, double seconds);             /* "12.3 us" */

/* ---- surgery ---------------------------------------------------------------------------------- */
/* Tells places: counts per op, then each with its nodes, then refusals; with --json as og_found_edits has it. */
og_status cli_print_found(const cli_args *, const og_found *, const char *what);
/* The whole of a text file, to be freed; tells what is wrong with it. */
og_status cli_read_text(char **out, const char *path);

/* ---- a network to run ------------------------------------------------------------------------ */

/* A model or plan file with its inputs, as run, check, bench and profile take it. */
typedef struct cli_net {
	const char *path;
	og_model *model;                     /* NULL for a plan file */
	og_plan *plan;
	og_session *session;
	og_tensor **inputs; int n_inputs;
	og_tensor **outputs; int n_outputs;
	const void **in; void **out;         /* their data */
	int threads;
} cli_net;

#define CLI_OPS_OPTION { "--ops", "LIB.so", "an op library that the network needs (repeatable)" }
/* Loads what --ops names; main does it for every verb that has the option. 0, or an exit status after printing. */
int cli_load_ops(const cli_args *);
bool cli_is_library(const char *path);              /* an ELF file */
#define CLI_NET_OPTIONS \
	{ "--input", "NAME=FILE", "value of an input, .npy or .pb (random where not given)" }, \
	{ "--shape", "NAME=1x3x8", "shape of an input, or NAME=8 for a named dimension" }, \
	{ "--batch", "N", "size of every input's first dimension" }, \
	{ "--device", "cpu|cuda", "where to run (default cpu)" }, \
	{ "--precision", "P", "fp32, and on cuda tf32, fp16, bf16 (default fp32)" }, \
	{ "--threads", "N", "threads to use (default: all processors)" }, \
	{ "--no-fuse", NULL, "node by node, as the baseline to compare with" }, \
	{ "--batching", "FORM", "how a batch runs: whole, slabs, samples (auto)" }, \
	{ "--memory", "SIZE", "fast, small, or what to fit, as 150M (auto)" }, \
	{ "--no-timing", NULL, "choose tactics by model alone: always the same" }, \
	{ "--timing-cache", "FILE", "where times are kept (~/.cache/opgraft/timing)" }, \
	{ "--no-timing-cache", NULL, "neither read nor keep times" }, \
	CLI_OPS_OPTION

bool cli_is_plan(const char *path);
/* "image=8x1x28x28", or with ":OPT:MAX" behind, of which OPT counts; the name goes to `name`. */
og_status cli_parse_shape(const cli_args *, og_binding *, const char *s, char *name, size_t room);
/* A tensor of that type, dims below 0 taken as 1, of random numbers that hang on `seed` alone; 0: cleared. */
og_status cli_make_tensor(og_tensor **out, const og_value_info *, uint64_t seed);
/* Loads, builds, makes inputs (given, or random from `seed`), outputs and a session. batch 0: as the options say.
 * `given` (may be NULL): tensors for the inputs in the model's order, taken over. */
og_status cli_net_open(cli_net *, const cli_args *, const char *path, int batch, og_tensor **given, int n_given);
og_status cli_net_run(cli_net *);
void cli_net_close(cli_net *);

#endif
