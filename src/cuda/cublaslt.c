/* cublaslt.c -- products and convolutions of single pixels by cuBLASLt, bias, residual and Relu in its epilogue. To it our rows are columns:
 * out [k, m] = weights^T [k, c] * in [c, m] + residual. */
#include <dlfcn.h>

#include "cuda/vendor.h"
#include "cuda/vendor_abi.h"

enum { MOST_CHOICES = 8, ALIGNED = 16 };

typedef struct product {
	void *description, *weights, *in, *out;  /* the latter three: layouts */
	uint64_t algorithm[8];
	float beta;
} product;

static cublas_api api;

static int open_library(void *library)
{
#define X(name, arguments) if (!(*(void **)&api.name = dlsym(library, #name))) return 1;
	CUBLAS_MAP(X)
#undef X
	return 0;
}

static int begin(void **handle) { return api.cublasLtCreate(handle); }

static bool takes(const vendor_product *v)
{
	const igemm_problem *p = v->problem;
	return p->r == 1 && p->s == 1 && p->stride_h == 1 && p->stride_w == 1 && p->p == p->h && p->q == p->w && !p->pad_h && !p->pad_w;
}

static void free_product(void *made)
{
	product *d = made;
	if (d->description) api.cublasLtMatmulDescDestroy(d->description);
	void *const layouts[] = { d->weights, d->in, d->out };
	for (int k = 0; k < 3; k++)
		if (layouts[k]) api.cublasLtMatrixLayoutDestroy(layouts[k]);
	base_free(d);
}

/* Descriptors; 0: done. */
static int describe(product *d, const vendor_product *v, const void *bias)
{
	const igemm_problem *p = v->problem;
	const int type = p->dtype == OG_F32 ? OG_CUDA_R_32F : p->dtype == OG_F16 ? OG_CUDA_R_16F : OG_CUDA_R_16BF, turned = OG_CUBLAS_OP_T;
	const int epilogue = v->relu ? OG_CUBLASLT_EPILOGUE_RELU_BIAS : OG_CUBLASLT_EPILOGUE_BIAS;
	const uint64_t k = (uint64_t)p->k, c = (uint64_t)p->c, m = (uint64_t)p->n * (uint64_t)p->p * (uint64_t)p->q;
	int e = api.cublasLtMatmulDescCreate(&d->description, p->tf32 ? OG_CUBLAS_COMPUTE_32F_FAST_TF32 : OG_CUBLAS_COMPUTE_32F, OG_CUDA_R_32F);
	if (!e) e = api.cublasLtMatmulDescSetAttribute(d->description, OG_CUBLASLT_MATMUL_DESC_TRANSA, &turned, sizeof turned);
	if (!e) e = api.cublasLtMatmulDescSetAttribute(d->description, OG_CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
	if (!e) e = api.cublasLtMatmulDescSetAttribute(d->description, OG_CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
	if (!e) e = api.cublasLtMatrixLayoutCreate(&d->weights, type, c, k, v->row);
	if (!e) e = api.cublasLtMatrixLayoutCreate(&d->in, type, c, m, p->row_in ? p->row_in : p->c);
	return e ? e : api.cublasLtMatrixLayoutCreate(&d->out, type, k, m, p->row_out ? p->row_out : p->k);
}

/* Way number `choice` of the library's ranking; 0: there it is. */
static int choose(product *d, void *handle, int choice)
{
	const size_t workspace = VENDOR_WORKSPACE;
	const uint32_t aligned = ALIGNED;
	cublas_choice choices[MOST_CHOICES];
	void *preference = NULL;
	int n = 0, e = api.cublasLtMatmulPreferenceCreate(&preference);
	if (e) return e;
	e = api.cublasLtMatmulPreferenceSetAttribute(preference, OG_CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
	for (int k = OG_CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES; !e && k <= OG_CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES; k++)
		e = api.cublasLtMatmulPreferenceSetAttribute(preference, k, &aligned, sizeof aligned);
	if (!e) e = api.cublasLtMatmulAlgoGetHeuristic(handle, d->description, d->weights, d->in, d->out, d->out, preference, MOST_CHOICES, choices, &n);
	api.cublasLtMatmulPreferenceDestroy(preference);
	for (int k = 0; !e && k < n; k++) {
		if (choices[k].state || choice--) continue;
		memcpy(d->algorithm, choices[k].algorithm, sizeof d->algorithm);
		return 0;
	}
	return e ? e : -1;
}

static og_status make(void **out, void *handle, const vendor_product *v, int choice, const vendor_places *at)
{
	product *d = base_new(1, sizeof *d);
	NEED(d);
	*d = (product){ .beta = v->adds ? 1.0f : 0.0f };
	int e = describe(d, v, at->bias);
	if (!e) e = choose(d, handle, choice);
	if (e) {
		free_product(d);
		return base_fail(OG_UNSUPPORTED, "cuBLASLt has no way number %d for this product on this device (status %d); build the plan again", choice, e);
	}
	*out = d;
	return OG_OK;
}

static int run(void *made, void *handle, const vendor_places *at, void *stream)
{
	const product *d = made;
	const float one = 1.0f;
	return api.cublasLtMatmul(handle, d->description, &one, at->weights, d->weights, at->in, d->in, &d->beta, at->residual ? at->residual : at->out, d->out,
	                          at->out, d->out, d->algorithm, at->workspace, VENDOR_WORKSPACE, stream);
}

const vendor vendor_cublas = {
	.name = "cublaslt", .title = "cuBLASLt",
	.library = { "OPGRAFT_CUBLASLT", { "libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so" }, "nvidia/cu*/lib/libcublasLt.so.1[23]",
	             "lib*/libcublasLt.so.1[23]", "cublasLtMatmul" },
	.open = open_library, .begin = begin, .takes = takes, .make = make, .run = run, .free = free_product,
};
