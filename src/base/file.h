/* file.h -- files: mapped for reading, replaced whole when written. */
#ifndef FILE_H
#define FILE_H

#include <stdio.h>
#include "base.h"

/* A file mapped read-only. */
typedef struct file_map { const uint8_t *data; size_t size; } file_map;
/* Fails with OG_MISSING (cannot be opened) or OG_BAD_FILE (not a regular file). An empty file has size 0. */
og_status file_open(file_map *out, const char *path);
void file_close(file_map *);                        /* clears it; twice is fine */
/* Maps all pages at once, which is quicker than one by one, if the system can. */
void file_populate(const file_map *);
/* Gives the memory behind some bytes of a map back, whole pages of it; what is read there again comes from the file.
 * Bytes that are not in this map are left alone. */
void file_forget(const file_map *, const void *p, size_t n);

/* Writing: to a temporary file beside `path`, renamed over it by file_commit, so that the old file is
 * whole until the new one is. Errors are kept and returned by file_commit (OG_MISSING: cannot be
 * created; OG_BAD_FILE: write failed, with the system's reason). */
typedef struct file_out file_out;
og_status file_create(file_out **out, const char *path);
void file_write(file_out *, const void *data, size_t size);
uint64_t file_tell(const file_out *);
/* Brings all that was told so far to the file: when that went well, committing it only gives it its name. */
og_status file_flush(file_out *);
og_status file_commit(file_out *);                  /* frees it, also on failure */
void file_abandon(file_out *);                      /* frees it and removes the temporary file; NULL is fine */

/* "dir/of/path" + "/" + name in the arena; name alone when path has no folder. NULL: no memory. */
char *file_beside(arena *, const char *path, const char *name);

#endif
