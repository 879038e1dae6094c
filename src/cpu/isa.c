/* isa.c -- the inner loops of the instruction set that runs. */
#include <pthread.h>

#include "cpu/kernels.h"

static cpu_kernels kernels;

static void fill(void)
{
	kernels.isa = cpu_level(&kernels.name);
	kernels.lanes = 1;
	cpu_products_scalar(&kernels);
	cpu_windows_scalar(&kernels);
	cpu_channels_scalar(&kernels);
	cpu_depthwise_scalar(&kernels);
	cpu_expands_scalar(&kernels);
	cpu_winograd_scalar(&kernels);
	cpu_strassen_scalar(&kernels);
	cpu_winograd_rows_scalar(&kernels);
	cpu_winograd_samples_scalar(&kernels);
	cpu_clamps_scalar(&kernels);
	cpu_pools_scalar(&kernels);
	cpu_reorders_scalar(&kernels);
	if (kernels.isa < OG_ISA_AVX2) return;
	kernels.lanes = 8;
	cpu_products_avx2(&kernels);
	cpu_windows_avx2(&kernels);
	cpu_channels_avx2(&kernels);
	cpu_depthwise_avx2(&kernels);
	cpu_expands_avx2(&kernels);
	cpu_winograd_avx2(&kernels);
	cpu_strassen_avx2(&kernels);
	cpu_winograd_rows_avx2(&kernels);
	cpu_winograd_samples_avx2(&kernels);
	cpu_clamps_avx2(&kernels);
	cpu_pools_avx2(&kernels);
	cpu_reorders_avx2(&kernels);
	if (kernels.isa < OG_ISA_AVX512) return;
	kernels.lanes = 16;
	cpu_products_avx512(&kernels);
	cpu_windows_avx512(&kernels);
	cpu_channels_avx512(&kernels);
	cpu_depthwise_avx512(&kernels);
	cpu_expands_avx512(&kernels);
	cpu_winograd_avx512(&kernels);
	cpu_strassen_avx512(&kernels);
	cpu_winograd_rows_avx512(&kernels);
	cpu_winograd_samples_avx512(&kernels);
	cpu_clamps_avx512(&kernels);
	cpu_pools_avx512(&kernels);
	cpu_reorders_avx512(&kernels);
}

const cpu_kernels *cpu_kernels_here(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, fill);
	return &kernels;
}
