/* texts.c -- headers as text: NVRTC has no folders to look in. */
#include "cuda/texts.h"

/* X(symbol, path from the repository's root, name in #include) */
#define TEXTS(X) \
	X(op, "include/opgraft/op.h", "opgraft/op.h") \
	X(vec, "include/opgraft/vec.h", "opgraft/vec.h") \
	X(vmath, "include/opgraft/vmath.h", "opgraft/vmath.h") \
	X(rows, "include/opgraft/rows.h", "opgraft/rows.h") \
	X(device, "include/opgraft/device.h", "opgraft/device.h") \
	X(fast, "src/cuda/text/fast.cuh", "cuda/text/fast.cuh") \
	X(steps, "src/cuda/steps.cuh", "cuda/steps.cuh") \
	X(whole, "src/cuda/whole.cuh", "cuda/whole.cuh") \
	X(row, "src/cuda/rows.cuh", "cuda/rows.cuh")

#define X(symbol, path, name) CUDA_EMBED(cuda_text_##symbol, path)
TEXTS(X)
#undef X

const char *const cuda_text_name[CUDA_TEXTS] = {
#define X(symbol, path, name) name,
	TEXTS(X)
#undef X
};
const char *const cuda_text[CUDA_TEXTS] = {
#define X(symbol, path, name) cuda_text_##symbol,
	TEXTS(X)
#undef X
};
