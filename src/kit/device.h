/* device.h -- op files as device code: one CUDA C source a library, compiled by NVRTC, which comes in by dlopen. No GPU, driver or
 * CUDA header is needed. */
#ifndef KIT_DEVICE_H
#define KIT_DEVICE_H

#include "base/base.h"
#include "opgraft/op_abi.h"

/* An op file. */
typedef struct kit_source { const char *path, *text; size_t length; } kit_source;

typedef struct kit_device {
	og_image *images;            /* in the arena: cubins by architecture, then PTX */
	uint32_t n;
	const char *compiler;        /* "NVRTC 13.0"; "" when none was found */
	const char *skipped;         /* "sm_75, sm_120": architectures that this NVRTC does not know; "" for none */
} kit_device;

/* Compiles the files, in this order, as one program in which names outside `#if OP_BASE` are unique. `include` is the folder that
 * has opgraft/op.h. OG_MISSING: there is no NVRTC, and the sentence says how to get it (build the library without images, and say
 * so); OG_BAD_FILE: the first error, as "swish.c:7: ...". *out has no images then. Takes some seconds. */
og_status kit_compile_device(kit_device *out, arena *, const kit_source *sources, size_t n_sources, const char *include);

#endif
