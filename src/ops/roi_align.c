/* RoiAlign: regions of the input, each brought to one size by sampling its parts between cells. */
#include "ops/dims.h"
#include "ops/index.h"

#if OP_BASE
enum { ROI_MODE, ROI_HEIGHT, ROI_RATIO, ROI_WIDTH, ROI_SCALE, ROI_TRANSFORM };
enum { ROI_AVERAGE, ROI_MAX };
enum { ROI_HALF_PIXEL, ROI_OUTPUT_HALF_PIXEL };
enum { ROI_SAMPLES = 1 << 12 };              /* along one side of a part; more is nonsense */

static og_status roi_align_shape(og_infer *c)
{
	const og_shape *x = &c->in[0], *rois = &c->in[1], *batch = &c->in[2];
	og_shape *y = &c->out[0];
	int64_t height = c->attr[ROI_HEIGHT].i, width = c->attr[ROI_WIDTH].i;
	og_dim n, four = 4;
	OP_TRY(dims_of_rank(c, y, 4));
	if (height < 0 || width < 0)
		return c->host->fail(OG_BAD_FILE, "RoiAlign makes regions of %lld by %lld", (long long)height,
		                     (long long)width);
	y->dims[2] = height;
	y->dims[3] = width;
	if (x->rank < 0 || rois->rank < 0 || batch->rank < 0) return OG_OK;
	if (x->rank != 4 || rois->rank != 2 || batch->rank != 1)
		return c->host->fail(OG_BAD_FILE, "RoiAlign takes X [N, C, H, W], rois [n, 4] and batch_indices [n], not %d, %d "
		                     "and %d dimensions", x->rank, rois->rank, batch->rank);
	n = rois->dims[0];
	OP_TRY(dims_same(c, &n, batch->dims[0], 0));
	OP_TRY(dims_same(c, &four, rois->dims[1], 1));
	y->dims[0] = n;
	y->dims[1] = x->dims[1];
	return OG_OK;
}

/* One side of a region: where it starts, the length of a part of it, samples in a part. */
typedef struct roi_side { double start, part; int64_t samples; } roi_side;

/* Regions of float32 are cut up in float32, so that ceil() gives the same number of samples everywhere. */
static double roi_round(const og_tensor *rois, double x) { return rois->dtype == OG_F64 ? x : (double)(float)x; }

static og_status roi_side_of(const og_call *c, int64_t roi, int axis, roi_side *s)
{
	const og_tensor *rois = c->in[1];
	int half = c->op->since >= 16 && c->attr[ROI_TRANSFORM].i == ROI_HALF_PIXEL;
	int64_t parts = c->attr[axis == 0 ? ROI_HEIGHT : ROI_WIDTH].i, ratio = c->attr[ROI_RATIO].i;
	double scale = (double)c->attr[ROI_SCALE].f, shift = half ? 0.5 : 0.0, length;
	s->start = roi_round(rois, roi_round(rois, number_get(rois, roi * 4 + 1 - axis) * scale) - shift);
	length = roi_round(rois, roi_round(rois, number_get(rois, roi * 4 + 3 - axis) * scale) - shift);
	length = roi_round(rois, length - s->start);
	if (!half) length = fmax(length, 1.0);
	s->part = roi_round(rois, length / (double)parts);
	s->samples = ratio > 0 ? ratio : number_whole(ceil(s->part));
	if (s->samples < 0) s->samples = 0;
	if (s->samples <= ROI_SAMPLES) return OG_OK;
	return c->host->fail(OG_BAD_FILE, "RoiAlign takes %lld samples along one part of region %lld; at most %d make sense",
	                     (long long)s->samples, (long long)roi, ROI_SAMPLES);
}

/* The two cells of n beside x, their weights; false when x is outside. */
static int roi_cells(double x, int64_t n, int64_t cell[2], double weight[2])
{
	if (!(x >= -1.0 && x <= (double)n) || n == 0) return 0;
	x = fmin(fmax(x, 0.0), (double)(n - 1));
	cell[0] = (int64_t)x;
	cell[1] = cell[0] + 1 < n ? cell[0] + 1 : cell[0];
	weight[1] = x - (double)cell[0];
	weight[0] = 1.0 - weight[1];
	return 1;
}

/* Part (row, column) of a region in the plane that starts at `at`. */
static double roi_part(const og_call *c, const roi_side side[2], int64_t at, int64_t row, int64_t column)
{
	const og_tensor *x = c->in[0];
	int64_t height = x->dims[2], width = x->dims[3], samples = side[0].samples * side[1].samples;
	int greatest = c->attr[ROI_MODE].i == ROI_MAX;
	double result = 0.0;
	for (int64_t k = 0; k < samples; k++) {
		double i = ((double)(k / side[1].samples) + 0.5) / (double)side[0].samples + (double)row;
		double j = ((double)(k % side[1].samples) + 0.5) / (double)side[1].samples + (double)column;
		int64_t cell[2][2];
		double weight[2][2], value = 0.0;
		int inside = roi_cells(side[0].start + i * side[0].part, height, cell[0], weight[0]) &&
		             roi_cells(side[1].start + j * side[1].part, width, cell[1], weight[1]);
		for (int corner = 0; inside && corner < 4; corner++) {
			int a = corner / 2, b = corner % 2;
			double one = weight[0][a] * weight[1][b] * number_get(x, at + cell[0][a] * width + cell[1][b]);
			value = !greatest ? value + one : corner == 0 ? one : fmax(value, one);
		}
		result = !greatest ? result + value : k == 0 ? value : fmax(result, value);
	}
	return greatest || samples == 0 ? result : result / (double)samples;
}

static og_status roi_align_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *y = c->out[0];
	int64_t channels = x->dims[1], height = y->dims[2], width = y->dims[3];
	OP_TRY(index_check(c, c->in[2], x->dims[0]));
	if (og_count(y) == 0) return OG_OK;
	for (int64_t roi = 0; roi < y->dims[0]; roi++) {
		int64_t batch = index_at(c->in[2], roi, x->dims[0]);
		roi_side side[2];
		for (int axis = 0; axis < 2; axis++) OP_TRY(roi_side_of(c, roi, axis, &side[axis]));
		for (int64_t k = 0; k < channels * height * width; k++) {
			int64_t at = (batch * channels + k / width / height) * x->dims[2] * x->dims[3];
			number_put(y, roi * channels * height * width + k, roi_part(c, side, at, k / width % height, k % width));
		}
	}
	return OG_OK;
}
#define ROI_ATTRS \
	OG_ENUM("mode", "avg|max", ROI_AVERAGE), OG_INT("output_height", 1), OG_INT("sampling_ratio", 0), \
	OG_INT("output_width", 1), OG_FLOAT("spatial_scale", 1.0)
#endif

OP(roi_align_10, .name = "RoiAlign", .since = 10, .doc = "Regions of the input brought to one size by sampling.",
   .inputs = "X:T, rois:T, batch_indices:i64", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16", ATTRS(ROI_ATTRS),
   .shape = roi_align_shape, .eval = roi_align_eval)
OP(roi_align_16, .name = "RoiAlign", .since = 16, .doc = "Regions of the input brought to one size by sampling.",
   .inputs = "X:T, rois:T, batch_indices:i64", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(ROI_ATTRS, OG_ENUM("coordinate_transformation_mode", "half_pixel|output_half_pixel", ROI_HALF_PIXEL)),
   .shape = roi_align_shape, .eval = roi_align_eval)
