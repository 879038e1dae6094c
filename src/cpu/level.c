/* level.c -- which instruction set runs. */
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

int cpu_level(const char **name)
{
	const char *mask = getenv("OPGRAFT_ISA");
	int best = best_isa();
	for (int i = 0; mask && i < best; i++)
		if (!strcmp(mask, isa_names[i])) best = i;
	if (name) *name = isa_names[best];
	return best;
}
