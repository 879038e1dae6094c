/* isa.c -- which instruction set runs. */
#include <pthread.h>
#include <stdlib.h>

#include "cpu/kernels.h"

static const char *const isa_names[OG_ISA_COUNT] = {
	[OG_ISA_SCALAR] = "scalar", [OG_ISA_AVX2] = "avx2", [OG_ISA_AVX512] = "avx512",
};

static int best_isa(void)
{
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return OG_ISA_SCALAR;
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
	    !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) return OG_ISA_AVX2;
	return OG_ISA_AVX512;
}

/* The best instruction set that the machine and the mask allow; a mask that is no name allows all. */
static int allowed_isa(void)
{
	const char *mask = getenv("OPGRAFT_ISA");
	int best = best_isa();
	for (int i = 0; mask && i < best; i++)
		if (!strcmp(mask, isa_names[i])) return i;
	return best;
}

static cpu_kernels kernels;

static void fill(void)
{
	kernels.isa = allowed_isa();
	kernels.name = isa_names[kernels.isa];
	kernels.lanes = 1;
	cpu_products_scalar(&kernels);
	cpu_windows_scalar(&kernels);
	if (kernels.isa < OG_ISA_AVX2) return;
	kernels.lanes = 8;
	cpu_products_avx2(&kernels);
	cpu_windows_avx2(&kernels);
	if (kernels.isa < OG_ISA_AVX512) return;
	kernels.lanes = 16;
	cpu_products_avx512(&kernels);
	cpu_windows_avx512(&kernels);
}

const cpu_kernels *cpu_kernels_here(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, fill);
	return &kernels;
}
