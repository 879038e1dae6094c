/* AffineGrid: where each point of a grid over [-1, 1] goes by an affine map of each sample; x comes first. */
#include "ops/dims.h"
#include "ops/number.h"

#if OP_BASE
static og_status affine_grid_shape(og_infer *c)
{
	const og_shape *theta = &c->in[0];
	og_shape *y = &c->out[0];
	list size = list_of_input(c, 1);
	if (size.n == LIST_UNKNOWN) return OG_OK;
	if ((size.n != 4 && size.n != 5) || (theta->rank >= 0 && theta->rank != 3))
		return c->host->fail(OG_BAD_FILE, "AffineGrid takes maps [N, 2, 3] with a size of 4 numbers, or [N, 3, 4] with "
		                     "5, not %d dimensions with %lld numbers", theta->rank, (long long)size.n);
	y->rank = (int)size.n;
	for (int d = 0; d < y->rank; d++) {
		og_dim own = d == 0 ? list_at(&size, 0) : d < 3 ? size.n - 4 + 1 + d : -1;      /* dimension d of theta */
		if (d < 3 && theta->rank == 3) OP_TRY(dims_same(c, &own, theta->dims[d], d));
		if (list_at(&size, d) < 0)
			return c->host->fail(OG_BAD_FILE, "AffineGrid makes an axis of size %lld", (long long)list_at(&size, d));
		y->dims[d] = d == 0 ? list_at(&size, 0) : d < y->rank - 1 ? list_at(&size, d + 1) : size.n - 2;
	}
	return OG_OK;
}

static og_status affine_grid_eval(const og_call *c)
{
	const og_tensor *theta = c->in[0], *y = c->out[0];
	int axes = y->rank - 2;
	int64_t points = og_span(y, 1, y->rank - 1);
	for (int64_t k = 0; k < y->dims[0] * points; k++) {
		double at[4] = { 0 };                        /* the point, and 1 for the shift */
		int64_t rest = k % points, map = k / points * axes * (axes + 1);
		at[axes] = 1.0;
		for (int a = 0; a < axes; a++) {             /* the last axis is x */
			int64_t n = y->dims[axes - a], i = rest % n;
			rest /= n;
			if (!c->attr[0].i) at[a] = (double)(2 * i + 1) / (double)n - 1.0;
			else at[a] = n > 1 ? (double)(2 * i) / (double)(n - 1) - 1.0 : 0.0;
		}
		for (int row = 0; row < axes; row++, map += axes + 1) {
			double sum = 0.0;
			for (int j = 0; j <= axes; j++) sum += number_get(theta, map + j) * at[j];
			number_put(y, k * axes + row, sum);
		}
	}
	return OG_OK;
}
#endif

OP(affine_grid, .name = "AffineGrid", .since = 20, .doc = "A grid over [-1, 1] moved by an affine map of each sample.",
   .inputs = "theta:T, size:i64!", .outputs = "grid:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_INT("align_corners", 0)), .shape = affine_grid_shape, .eval = affine_grid_eval)
