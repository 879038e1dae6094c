/* peak.c -- how fast this processor computes at best. */
#include "cpu/cpu.h"

double cpu_peak(const cpu_kernels *k)
{
	enum { COLUMNS = CPU_MAX_VECTORS * CPU_MAX_LANES, LENGTH = 10000, RUNS = 100 };
	_Alignas(64) float a[CPU_MAX_ROWS] = { 0 }, b[COLUMNS] = { 0 }, c[CPU_MAX_ROWS][COLUMNS];
	int vectors = k->max_sums / k->max_rows;
	double best = 0;
	for (int i = 0; i < RUNS; i++) {
		cpu_tile t = { .a = a, .a_row = 1, .b = b, .c = c[0], .c_row = COLUMNS, .start = a, .last = k->lanes, .k = LENGTH };
		double begin = base_now();
		k->tile[k->max_rows][vectors](&t);
		double speed = 2.0 * LENGTH * k->max_rows * vectors * k->lanes / (base_now() - begin);
		if (speed > best) best = speed;
	}
	return best;
}
