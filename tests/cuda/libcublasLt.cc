/* libcublasLt.cc -- products for the device of libcuda.cc with the interface of cuBLASLt, as vendor_abi.h has it: computed by definition, and
 * strict about descriptors. What cuBLASLt refuses it refuses; what would be a mistake in it ends the process. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern "C" {
#include "cuda/vendor_abi.h"
}
#include "emulate.h"

extern "C" void emulated_put(void *stream, void (*work)(const void *), const void *argument, size_t bytes);

#define API extern "C" __attribute__((visibility("default")))
#define SURE(what) do { if (!(what)) { fprintf(stderr, "emulated cuBLASLt: not so: %s\n", #what); abort(); } } while (0)
enum { INVALID = 7, UNSUPPORTED = 15, CHOICES = 2 };

struct description { int compute, scale, turned_a, epilogue; const void *bias; };
struct layout { int type; uint64_t rows, columns; int64_t step; };
struct preference { size_t workspace; uint32_t aligned[4]; };
static int handle;

extern "C" int cuMemAlloc_v2(uint64_t *p, size_t bytes);

/* Takes memory, as the real ones do, which a capture may forbid. */
API int cublasLtCreate(void **h)
{
	uint64_t p;
	*h = &handle;
	return cuMemAlloc_v2(&p, 4096);
}
API size_t cublasLtGetVersion() { return 139901; }
API int cublasLtMatmulDescCreate(void **d, int compute, int scale)
{
	if (scale != OG_CUDA_R_32F || (compute != OG_CUBLAS_COMPUTE_32F && compute != OG_CUBLAS_COMPUTE_32F_FAST_TF32)) return INVALID;
	*d = new description { compute, scale, 0, 1, NULL };
	return 0;
}
API int cublasLtMatmulDescDestroy(void *d) { delete (description *)d; return 0; }
API int cublasLtMatmulDescSetAttribute(void *d, int attribute, const void *value, size_t bytes)
{
	description *to = (description *)d;
	if (attribute == OG_CUBLASLT_MATMUL_DESC_BIAS_POINTER) {
		if (bytes != sizeof(void *)) return INVALID;
		memcpy(&to->bias, value, bytes);
		return 0;
	}
	if (bytes != sizeof(int)) return INVALID;
	if (attribute == OG_CUBLASLT_MATMUL_DESC_TRANSA) memcpy(&to->turned_a, value, bytes);
	else if (attribute == OG_CUBLASLT_MATMUL_DESC_EPILOGUE) memcpy(&to->epilogue, value, bytes);
	else return INVALID;
	return 0;
}
API int cublasLtMatrixLayoutCreate(void **l, int type, uint64_t rows, uint64_t columns, int64_t step)
{
	if (!rows || !columns || step < (int64_t)rows) return INVALID;
	*l = new layout { type, rows, columns, step };
	return 0;
}
API int cublasLtMatrixLayoutDestroy(void *l) { delete (layout *)l; return 0; }
API int cublasLtMatmulPreferenceCreate(void **p) { *p = new preference {}; return 0; }
API int cublasLtMatmulPreferenceDestroy(void *p) { delete (preference *)p; return 0; }
API int cublasLtMatmulPreferenceSetAttribute(void *p, int attribute, const void *value, size_t bytes)
{
	preference *to = (preference *)p;
	if (attribute == OG_CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES && bytes == 8) memcpy(&to->workspace, value, bytes);
	else if (attribute >= OG_CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES && attribute <= OG_CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES && bytes == 4)
		memcpy(&to->aligned[attribute - OG_CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value, bytes);
	else return INVALID;
	return 0;
}

/* Rows and columns of op(a) * b. */
static bool fits(const description *d, const layout *a, const layout *b, const layout *c, const layout *to)
{
	const uint64_t m = d->turned_a ? a->columns : a->rows, k = d->turned_a ? a->rows : a->columns;
	return k == b->rows && m == to->rows && b->columns == to->columns && c->rows == to->rows && c->columns == to->columns && a->type == b->type &&
		a->type == c->type && a->type == to->type && (d->compute == OG_CUBLAS_COMPUTE_32F || a->type == OG_CUDA_R_32F);
}

API int cublasLtMatmulAlgoGetHeuristic(void *h, void *d, void *a, void *b, void *c, void *to, void *p, int most, cublas_choice *choices, int *count)
{
	const preference *wanted = (preference *)p;
	if (h != &handle || !fits((description *)d, (layout *)a, (layout *)b, (layout *)c, (layout *)to)) return INVALID;
	for (uint32_t aligned : wanted->aligned) SURE(aligned == 16);
	SURE(wanted->workspace >= 1 << 20);
	for (*count = 0; *count < most && *count < CHOICES + 1; ++*count)   /* the first can't be had */
		choices[*count] = { { 77, (uint64_t)*count }, 1 << 20, *count ? 0 : UNSUPPORTED, 1.0f, {} };
	return 0;
}

static float get(const void *x, int type, int64_t i)
{
	return type == OG_CUDA_R_32F ? ((const float *)x)[i] : type == OG_CUDA_R_16F ? ptx_half(((const unsigned short *)x)[i]) :
		__uint_as_float((unsigned)((const unsigned short *)x)[i] << 16);
}
static void set(void *y, int type, int64_t i, float f)
{
	if (type == OG_CUDA_R_32F) ((float *)y)[i] = f;
	else ((unsigned short *)y)[i] = type == OG_CUDA_R_16F ? ptx_to_half(f) : ptx_to_bfloat(f);
}

struct work { description d; layout a, b, c, to; const void *at_a, *at_b, *at_c; void *at, *workspace; float alpha, beta; };

static void multiply(const void *argument)
{
	const work &w = *(const work *)argument;
	memset(w.workspace, 0x5b, 1 << 20);
	for (uint64_t n = 0; n < w.to.columns; n++)
		for (uint64_t m = 0; m < w.to.rows; m++) {
			double sum = 0;
			for (uint64_t k = 0; k < w.b.rows; k++)
				sum += (double)get(w.at_a, w.a.type, w.d.turned_a ? m * w.a.step + k : k * w.a.step + m) * get(w.at_b, w.b.type, n * w.b.step + k);
			sum *= w.alpha;
			if (w.beta != 0) sum += w.beta * get(w.at_c, w.c.type, n * w.c.step + m);
			sum += get(w.d.bias, w.to.type, m);
			set(w.at, w.to.type, n * w.to.step + m, (float)(w.d.epilogue == OG_CUBLASLT_EPILOGUE_RELU_BIAS && sum < 0 ? 0 : sum));
		}
}

API int cublasLtMatmul(void *h, void *d, const void *alpha, const void *a, void *a_layout, const void *b, void *b_layout, const void *beta, const void *c,
                       void *c_layout, void *to, void *to_layout, const uint64_t *algorithm, void *workspace, size_t bytes, void *stream)
{
	const description *how = (description *)d;
	if (h != &handle || !fits(how, (layout *)a_layout, (layout *)b_layout, (layout *)c_layout, (layout *)to_layout)) return INVALID;
	SURE(algorithm[0] == 77 && algorithm[1] > 0 && bytes >= 1 << 20 && how->bias);
	SURE(how->epilogue == OG_CUBLASLT_EPILOGUE_BIAS || how->epilogue == OG_CUBLASLT_EPILOGUE_RELU_BIAS);
	SURE(((uintptr_t)a | (uintptr_t)b | (uintptr_t)c | (uintptr_t)to | (uintptr_t)how->bias) % 16 == 0);
	const work w = { *how, *(layout *)a_layout, *(layout *)b_layout, *(layout *)c_layout, *(layout *)to_layout, a, b, c, to, workspace,
	                 *(const float *)alpha, *(const float *)beta };
	emulated_put(stream, multiply, &w, sizeof w);
	return 0;
}
