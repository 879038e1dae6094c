/* clamp_tmpl.c -- the beginning of a tail, in one pass. */
#include "cpu/kernels.h"
#include "cpu/lanes.h"

static void end(float *y, const float *add, int64_t n, float low, float high)
{
	const v least = v_splat(low), most = v_splat(high);
	if (add)
		for (int64_t i = 0; i < n; i += OG_LANES) v_store(y + i, v_lesser(most, v_greater(least, v_load(y + i) + v_load(add + i))));
	else
		for (int64_t i = 0; i < n; i += OG_LANES) v_store(y + i, v_lesser(most, v_greater(least, v_load(y + i))));
}

void CPU_NAME(cpu_clamps_, OG_ISA)(cpu_kernels *k)
{
	k->end = end;
}
