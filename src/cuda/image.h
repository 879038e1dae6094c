/* image.h -- the machine code of a plan: programs by name, in one block of bytes.
 *
 *   0   "OGCUBIN\0"     8   u64 programs     then for each: char[CUDA_NAME] name, zero to 24, u64 offset, u64 bytes
 *
 * Each program lies at a multiple of 64. Those of the steps' kernels are named by cuda_code_program_of; another is
 * named as its one kernel is. */
#ifndef CUDA_IMAGE_H
#define CUDA_IMAGE_H

#include "cuda/code.h"

typedef struct cuda_image_entry { char name[CUDA_NAME]; const void *data; size_t bytes; } cuda_image_entry;

/* *image lies in the arena, aligned to 64. */
og_status cuda_image_make(const void **image, size_t *bytes, arena *, const cuda_image_entry *, int n);
/* *entries, in the arena, point into the image. OG_BAD_FILE: it is damaged. */
og_status cuda_image_read(cuda_image_entry **entries, int *n, arena *, const void *image, size_t bytes);

#endif
