/* kit.h -- what the files of the operator kit share: where an installed Opgraft lies, programs and children to run, op
 * libraries and their declarations. The public functions are in opgraft.h. */
#ifndef KIT_H
#define KIT_H

#include "base/base.h"
#include "opgraft/op_abi.h"

/* ---- where things are (home.c) --------------------------------------------------------------- */

/* The folder that has opgraft/op.h, and the one that has both archives; in the arena. */
typedef struct kit_home { const char *include, *lib; } kit_home;
/* Looks at OPGRAFT_HOME, then around the program and this library, as installed or as built. OG_MISSING says where it looked. */
og_status kit_home_find(kit_home *out, arena *);

/* ---- programs and children (process.c) ------------------------------------------------------- */

/* A program with its arguments; all it prints goes to the file `log`, in the arena's `said` afterwards. */
typedef struct kit_job {
	const char *const *argv;             /* NULL ends; argv[0] is looked for in PATH */
	const char *log;
	const char *said;                    /* "" when it printed nothing */
	int exit_status;                     /* 127: could not be started; above 128: ended by a signal */
} kit_job;
/* Runs all, a few at a time, and waits for them. */
og_status kit_run(kit_job *, size_t n, arena *);

/* Runs body in a child process, which may crash. What it writes to the file descriptor comes back in *told (freed by the
 * caller); *signal is 0, what ended the child, or SIGALRM after `seconds` in which nothing was told. */
og_status kit_child(text *told, int *signal, void (*body)(void *arg, int to), void *arg, int seconds);

/* ---- libraries (load.c) ---------------------------------------------------------------------- */

/* Opens an op library and checks its version; it stays until the program ends. OG_MISSING, OG_BAD_FILE, OG_UNSUPPORTED. */
og_status kit_open(const og_library **out, const char *path);
/* Checks all that an op says of itself but does not do: schema_declared, body, spellings, cases. The op must be in the table. */
og_status kit_check_declaration(const og_op *);
og_status kit_check_cases(const og_op *);        /* (conform_case.c) */

#endif
