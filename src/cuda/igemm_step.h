/* igemm_step.h -- a convolution or a product with constant weights as a step: what igemm_step.c and vendor.c share. */
#ifndef IGEMM_STEP_H
#define IGEMM_STEP_H

#include "cuda/cuda.h"

/* Where the constants lie: element (k, c) at k * step_k + c * step_c, rows of taps dense. */
typedef struct igemm_constants {
	const float *weights, *bias;
	int64_t step_k, step_c;
	float alpha, beta;                       /* Gemm's */
	int bias_step;
} igemm_constants;

typedef struct igemm_step {
	igemm_problem problem;
	igemm_variant variant;
	igemm_constants from;
	bool is_conv, in_channels;               /* in_channels: the input lies by channels */
	int operand[IGEMM_OPERANDS];             /* inputs of the node */
} igemm_step;

/* *out: zeros. False: the node is none for these kernels. The variant is left open. */
bool igemm_step_make(igemm_step *out, const cuda_request *);
/* igemm_packed_bytes of weights and bias, with Gemm's factors in them. */
og_status igemm_step_pack(const igemm_step *, void *packed);
/* Fills in what does not hang on how the step is run; in_layout stays NULL when there is no memory. */
void igemm_step_describe(backend_kernel *, const igemm_step *, const cuda_request *);

#endif
