/* check_vendor_abi.cpp -- see check_vendor_abi.sh. The lists of vendor_abi.h are what is compared. */
#include <cstdio>
#include <vector>

#include <cublasLt.h>
#include <cudnn.h>

extern "C" {
#include "cuda/vendor_abi.h"
}

static int wrong, compared;

static void same(const char *what, const char *of, long ours, long theirs)
{
	compared++;
	if (ours == theirs) return;
	wrong++;
	printf("%s %s: %ld in vendor_abi.h, %ld in the library's headers\n", what, of, ours, theirs);
}

/* Bytes of the result and of each argument. */
template<class R, class... A> static std::vector<size_t> shape(R (*)(A...)) { return { sizeof(R), sizeof(A)... }; }

static void same_shape(const char *name, const std::vector<size_t> &ours, const std::vector<size_t> &theirs)
{
	same(name, "arguments", (long)ours.size(), (long)theirs.size());
	for (size_t k = 0; k < ours.size() && k < theirs.size(); k++) same(name, k ? "argument" : "result", (long)ours[k], (long)theirs[k]);
}

int main()
{
#define X(name, value) same(#name, "", value, (long)name);
	CUDNN_NUMBERS(X)
	CUBLAS_NUMBERS(X)
#undef X
#define X(name, arguments) same_shape(#name, shape(cudnn_api().name), shape(&::name));
	CUDNN_MAP(X)
#undef X
#define X(name, arguments) same_shape(#name, shape(cublas_api().name), shape(&::name));
	CUBLAS_MAP(X)
#undef X
	same("cublas_choice", "size", sizeof(cublas_choice), sizeof(cublasLtMatmulHeuristicResult_t));
	same("cublas_choice", "workspace", offsetof(cublas_choice, workspace), offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
	same("cublas_choice", "state", offsetof(cublas_choice, state), offsetof(cublasLtMatmulHeuristicResult_t, state));
	printf("%d facts compared with cuDNN %d.%d.%d and cuBLASLt %d.%d.%d, %d differ\n", compared, CUDNN_MAJOR, CUDNN_MINOR, CUDNN_PATCHLEVEL, CUBLAS_VER_MAJOR,
	       CUBLAS_VER_MINOR, CUBLAS_VER_PATCH, wrong);
	return wrong != 0;
}
