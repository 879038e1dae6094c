/* igemm_args.h -- what the kernels of convolutions and matrix products are given: the same text in C and in CUDA C.
 * A convolution is the product of M = N * P * Q rows (output pixels) by the columns of its filters. */
#ifndef IGEMM_ARGS_H
#define IGEMM_ARGS_H

enum { IGEMM_OPERANDS = 15, IGEMM_MAP_WORDS = 16 };
/* How an operand of the epilogue lies: as the output does, one for each channel, or one element. IGEMM_WIDE besides: it is float32,
 * whatever the type of the rest. */
enum { IGEMM_FULL, IGEMM_CHANNEL, IGEMM_ONE, IGEMM_WIDE = 4 };
enum { IGEMM_MAP_IN, IGEMM_MAP_WEIGHTS, IGEMM_MAP_OUT, IGEMM_MAP_STAGED, IGEMM_MAPS };

#ifdef __cplusplus
#define IGEMM_ALIGN alignas(64)
#else
#define IGEMM_ALIGN _Alignas(64)
#endif

typedef struct igemm_args {
	IGEMM_ALIGN unsigned long long map[IGEMM_MAPS][IGEMM_MAP_WORDS];  /* CUtensorMap */
	const void *in, *weights, *operand[IGEMM_OPERANDS];
	const float *bias;                                           /* as many as tiles_n * BN */
	void *out;
	int m, n, k;                                                 /* k: elements of a row of the packed weights */
	int tiles_m, tiles_n, k_blocks, c_blocks;                    /* c_blocks: blocks of a tap */
	int h, w, c, p, q, r, s;
	int row_in, row_out;                                         /* elements from one pixel to the next */
	int stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
	int pointwise;                                               /* row m of the product is pixel m of the input */
} igemm_args;

/* Of the kernel that writes windows; steps: elements from one n, c, h, w of the input to the next. */
typedef struct igemm_window_args {
	const void *in;
	void *out;
	long long step_n, step_c, step_h, step_w;
	int n, h, w, rows, columns, above, left;
} igemm_window_args;

#endif
