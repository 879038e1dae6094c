/* igemm.h -- implicit GEMM: convolutions and matrix products on the GPU with any epilogue: which ways there are,
 * their CUDA C, their packed weights and how they are launched. Nothing here calls the driver: the caller compiles,
 * loads and launches.
 *
 *   igemm_variants   the ways to run a problem on a device, the likely best first, to be compiled and timed
 *   igemm_source     one way's CUDA C: NVRTC with igemm_options(); the kernel is named "igemm" and takes one igemm_args
 *   igemm_pack       weights and bias as the way wants them
 *   igemm_bind       igemm_args for given addresses (the driver's two encoders of tensor maps are passed in)
 *   igemm_launch_of  grid, block, cluster, shared memory
 *
 * Activations are NHWC, 16-byte aligned. Sums are made in float32, in an order that hangs on the variant only. A
 * kernel waits for those before it in the stream, so that `overlaps` is safe whatever they are. Packed weights serve
 * all variants of one way. */
#ifndef IGEMM_H
#define IGEMM_H

#include "backend/backend.h"
#include "cuda/igemm_args.h"

typedef struct igemm_problem {
	og_dtype dtype;                              /* of input, weights, operands, output: OG_F32, OG_F16, OG_BF16 */
	bool tf32;                                   /* OG_F32 may be rounded to tf32 for the products */
	/* A product of M x K by K x N: n = 1, h = 1, w = M, c = K, k = N, r = s = 1. */
	int n, h, w, c, k, r, s;
	/* pad: before; what is behind follows from p, q */
	int stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
	int p, q;                                    /* rows and columns of the output */
	/* elements from one pixel to the next, of input and output; 0: c and k, no gaps */
	int row_in, row_out;
	const program *tail;                         /* NULL: none. Register 0 is the sum and the bias */
	int n_operands, operand[IGEMM_OPERANDS];    /* the tail's further operands: IGEMM_FULL, ... */
} igemm_problem;

typedef enum igemm_way {
	IGEMM_WGMMA,                                /* compute capability 9.0: wgmma, copies by the tensor copy engine */
	IGEMM_WINDOW,                               /* the same over windows of few channels; see igemm_window_of */
	IGEMM_MMA,                                  /* from 8.0 on: mma.sync, cp.async */
	IGEMM_FMA                                   /* float32 in full */
} igemm_way;

typedef struct igemm_variant {
	igemm_way way;
	int bm, bn, stages;                          /* rows and columns of a tile; tiles of the depth in flight */
	int blocks;                                  /* that share a multiprocessor */
	int split, turns;                            /* blocks that share a tile's depth; 1: two tiles in turns */
} igemm_variant;

typedef struct igemm_device {
	int major, minor, processors;
	bool is_here;                                /* of this machine */
	bool lacks_maps;                             /* the driver makes no tensor maps, or starts no clusters */
} igemm_device;

typedef struct igemm_launch {
	unsigned blocks, threads, cluster, shared;   /* of one dimension each; shared: dynamic bytes */
	bool overlaps;                               /* may be launched with programmatic stream serialisation */
} igemm_launch;

/* Warps that share a tile of IGEMM_MMA and IGEMM_FMA, by rows and columns. */
typedef struct igemm_grid { int m, n; } igemm_grid;
igemm_grid igemm_warps(const igemm_variant *);

/* cuTensorMapEncodeTiled and cuTensorMapEncodeIm2col; they return 0 for success. Used by IGEMM_WGMMA and
 * IGEMM_WINDOW. */
typedef struct igemm_encoders {
	int (*tiled)(void *map, int type, unsigned rank, void *at, const uint64_t *dims, const uint64_t *strides,
	             const unsigned *box, const unsigned *steps, int interleave, int swizzle, int promotion, int fill);
	int (*im2col)(void *map, int type, unsigned rank, void *at, const uint64_t *dims, const uint64_t *strides,
	              const int *lower, const int *upper, unsigned channels, unsigned pixels, const unsigned *steps,
	              int interleave, int swizzle, int promotion, int fill);
} igemm_encoders;

/* Device addresses. */
typedef struct igemm_places {
	const void *in, *packed, *operand[IGEMM_OPERANDS];
	void *out;
} igemm_places;

/* A guess at a variant's time in microseconds. */
double igemm_guess(const igemm_problem *, const igemm_variant *, const igemm_device *);
/* Writes at most `most` variants, by rising guess; 0: there is none. Six are enough to have a fast one among them. */
int igemm_variants(igemm_variant *out, int most, const igemm_problem *, const igemm_device *);
/* Names the variant among those for the problem, as "wgmma.128x64x2.split4"; written to IGEMM_NAME bytes. */
enum { IGEMM_NAME = 40 };
void igemm_name(char *out, const igemm_variant *);
/* The variant of that name; false: there is none for this problem. The device's number of processors does not
 * matter. */
bool igemm_named(igemm_variant *out, const char *name, const igemm_problem *, const igemm_device *);
/* Options for NVRTC besides the target. */
const char *const *igemm_options(const igemm_problem *, int *n);
/* *out: CUDA C, to be freed with base_free; it includes texts.h's files by name. */
og_status igemm_source(char **out, const igemm_problem *, const igemm_variant *);
/* The target that the way is compiled for, "90a"; written to 16 bytes. */
void igemm_target(char *out, const igemm_variant *, const igemm_device *);

/* Bytes of weights and bias on the device. */
size_t igemm_packed_bytes(const igemm_problem *, const igemm_variant *);
/* Where the bias begins, k floats; elements of a filter as packed. */
size_t igemm_bias_at(const igemm_problem *, const igemm_variant *);
int igemm_packed_row(const igemm_problem *, const igemm_variant *);
/* weights: float32 [k, c, r, s] (of a product: [N, K]); step_k, step_c: elements from one k or c to the next, rows
 * of taps are dense. bias: k floats, or NULL. Rounds to the dtype, to nearest even. */
void igemm_pack(void *to, const igemm_problem *, const igemm_variant *, const float *weights, int64_t step_k,
                int64_t step_c, const float *bias);

igemm_launch igemm_launch_of(const igemm_problem *, const igemm_variant *, const igemm_device *);
og_status igemm_bind(igemm_args *, const igemm_problem *, const igemm_variant *, const igemm_encoders *,
                     const igemm_places *);

/* What IGEMM_WINDOW reads: [n, rows, columns, cell], the padding in place. A cell is fold_h x fold_w pixels: element
 * (y, x, c) of the input is channel ((y + above) % fold_h * fold_w + (x + left) % fold_w) * c_count + c of row (y +
 * above) / fold_h, column (x + left) / fold_w; what no element goes to is 0. */
typedef struct igemm_window {
	int rows, columns, cell, fold_h, fold_w, above, left, taps_h, taps_w;
	size_t bytes;
} igemm_window;
igemm_window igemm_window_of(const igemm_problem *);
/* CUDA C of the kernel that writes it, named "igemm": one igemm_window_args, blocks of 256 threads, as many as you
 * like. from: the input's type, OG_F32 or the problem's. */
og_status igemm_window_source(char **out, const igemm_problem *, og_dtype from);
/* steps: elements from one n, c, h, w of the input to the next. */
igemm_window_args igemm_window_bind(const igemm_problem *, const void *in, const int64_t steps[4], void *out);

#endif
