/* npy.h -- NumPy's .npy files, versions 1 to 3. */
#ifndef NPY_H
#define NPY_H

#include "base.h"

/* Reads an array into the arena (C order; Fortran order is turned; big-endian is refused). dtypes: f2 f4 f8,
 * i1-i8, u1-u8, b1. OG_MISSING, or OG_BAD_FILE with the reason. */
og_status npy_read(og_tensor *out, arena *, const char *path);
/* Writes version 1.0, replacing the file whole. bf16 is written as f4. */
og_status npy_write(const og_tensor *, const char *path);

#endif
