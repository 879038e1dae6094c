/* opgraft/types.h -- the words that op files, the library and its callers share.
 * No code: status codes, element types, tensors. Compiles alone in C and C++. */
#ifndef OPGRAFT_TYPES_H
#define OPGRAFT_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Status of a call. The number is also the exit status of the command line.
 * X(name, number, meaning) */
#define OG_STATUS_MAP(X) \
	X(OK,          0, "done") \
	X(NO,          1, "the answer is no: no match, or a mismatch") \
	X(USAGE,       2, "the call or command line is wrong") \
	X(BAD_FILE,    3, "the input file is damaged or not what it claims to be") \
	X(UNSUPPORTED, 4, "an op, type or shape that Opgraft does not support") \
	X(MISSING,     5, "a device, library or file that is needed is not there") \
	X(NO_MEMORY,   6, "memory ran out")

typedef enum og_status {
#define X(name, number, meaning) OG_##name = number,
	OG_STATUS_MAP(X)
#undef X
} og_status;

/* Element types, numbered as in ONNX's TensorProto.DataType.
 * X(NAME, number, text form, bits, C type or void) */
#define OG_DTYPE_MAP(X) \
	X(F32,   1, f32,  32, float) \
	X(U8,    2, u8,    8, uint8_t) \
	X(I8,    3, i8,    8, int8_t) \
	X(U16,   4, u16,  16, uint16_t) \
	X(I16,   5, i16,  16, int16_t) \
	X(I32,   6, i32,  32, int32_t) \
	X(I64,   7, i64,  64, int64_t) \
	X(STRING,8, str,   0, void) \
	X(BOOL,  9, bool,  8, uint8_t) \
	X(F16,  10, f16,  16, uint16_t) \
	X(F64,  11, f64,  64, double) \
	X(U32,  12, u32,  32, uint32_t) \
	X(U64,  13, u64,  64, uint64_t) \
	X(C64,  14, c64,  64, void) \
	X(C128, 15, c128,128, void) \
	X(BF16, 16, bf16, 16, uint16_t) \
	X(F8E4M3FN,   17, f8e4m3fn,    8, uint8_t) \
	X(F8E4M3FNUZ, 18, f8e4m3fnuz,  8, uint8_t) \
	X(F8E5M2,     19, f8e5m2,      8, uint8_t) \
	X(F8E5M2FNUZ, 20, f8e5m2fnuz,  8, uint8_t) \
	X(U4,   21, u4,    4, void) \
	X(I4,   22, i4,    4, void) \
	X(F4E2M1, 23, f4e2m1, 4, void) \
	X(F8E8M0, 24, f8e8m0, 8, uint8_t) \
	X(U2,   25, u2,    2, void) \
	X(I2,   26, i2,    2, void)

typedef enum og_dtype {
	OG_NONE = 0,                  /* unknown, or an optional argument left out */
#define X(NAME, number, text, bits, ctype) OG_##NAME = number,
	OG_DTYPE_MAP(X)
#undef X
	OG_DTYPE_COUNT
} og_dtype;

#define OG_MAX_RANK 8

/* A dense tensor, row-major, last dimension contiguous; rank 0 is a scalar.
 * The data belongs to whoever made the tensor. */
typedef struct og_tensor {
	og_dtype dtype;
	int rank;
	int64_t dims[OG_MAX_RANK];
	void *data;
} og_tensor;

#ifdef __cplusplus
}
#endif
#endif
