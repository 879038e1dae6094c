/* timing_cache.h -- times that were measured, by what was measured: for one build of a plan, and in a file for the next.
 *
 * The file is text, a line for each time: a key of 32 hexadecimal digits, nanoseconds, and eight digits that check the line.
 * Lines that do not check are passed over. It is replaced whole, with what others wrote in the meantime, and keeps the latest
 * TIMING_CACHE_MOST times. */
#ifndef TIMING_CACHE_H
#define TIMING_CACHE_H

#include "base/base.h"

enum { TIMING_CACHE_MOST = 16384 };

typedef struct timing_cache timing_cache;
timing_cache *timing_cache_create(void);                 /* empty; NULL: no memory */
void timing_cache_free(timing_cache *);                  /* NULL is fine */
/* The time of what `what` describes (hashed: any length), in nanoseconds; 0: it is not known. */
uint64_t timing_cache_get(const timing_cache *, const char *what);
og_status timing_cache_put(timing_cache *, const char *what, uint64_t ns);
/* Adds the times of a file; one that is not there has none. */
og_status timing_cache_read(timing_cache *, const char *path);
/* Writes the file if times were put; folders that are missing are made. */
og_status timing_cache_write(timing_cache *, const char *path);
/* The user's own: opgraft/timing in $XDG_CACHE_HOME or ~/.cache. NULL: there is no such folder, or no memory. */
const char *timing_cache_path(arena *);
/* Tells this build of the library from all others: its version, and the linker's build-id where there is one. */
const char *timing_cache_library(arena *);

#endif
