/* MelWeightMatrix: triangles over the bins of a spectrum, one a column, whose corners are evenly spaced in mel. */
#include "ops/signal.h"

#if OP_BASE
enum { MEL_BANDS, MEL_LENGTH, MEL_RATE, MEL_LOW, MEL_HIGH };

static og_status mel_weight_matrix_shape(og_infer *c)
{
	OP_TRY(signal_type(c, c->attr[0].i));
	for (int k = 0; k < c->n_in; k++) OP_TRY(dims_one(c, k));
	OP_TRY(dims_of_rank(c, &c->out[0], 2));
	for (int k = MEL_BANDS; k <= MEL_LENGTH; k++) {
		const og_tensor *t = c->in[k].value;
		int64_t n = t ? number_get_int(t, 0) : 0;
		if (n < 0) return c->host->fail(OG_BAD_FILE, "MelWeightMatrix has %lld as input %d", (long long)n, k);
		if (t) c->out[0].dims[k == MEL_BANDS] = k == MEL_BANDS ? n : n / 2 + 1;
	}
	return OG_OK;
}

/* The bin of corner k of `corners`. */
static double mel_bin(const og_call *c, int64_t k, int64_t corners)
{
	double low = 2595 * log10(1 + number_get(c->in[MEL_LOW], 0) / 700);
	double high = 2595 * log10(1 + number_get(c->in[MEL_HIGH], 0) / 700);
	double hertz = 700 * (pow(10, (low + (high - low) * (double)k / (double)corners) / 2595) - 1);
	return floor((double)(number_get_int(c->in[MEL_LENGTH], 0) + 1) * hertz / number_get(c->in[MEL_RATE], 0));
}

static og_status mel_weight_matrix_eval(const og_call *c)
{
	const og_tensor *y = c->out[0];
	int64_t bins = y->dims[0], bands = y->dims[1];
	for (int64_t i = 0; i < bands; i++) {
		double left = mel_bin(c, i, bands + 2), top = mel_bin(c, i + 1, bands + 2);
		double right = mel_bin(c, i + 2, bands + 2);
		for (int64_t j = 0; j < bins; j++) {
			double x = (double)j, weight = 0.0;
			if (x >= left && x < top) weight = (x - left) / (top - left);
			else if (x == top) weight = 1.0;
			else if (x > top && x < right) weight = (right - x) / (right - top);
			number_put(y, j * bands + i, weight);
		}
	}
	return OG_OK;
}
#endif

OP(mel_weight_matrix, .name = "MelWeightMatrix", .since = 17,
   .doc = "The matrix that turns a spectrum into bands evenly spaced in mel.",
   .inputs = "num_mel_bins:I!, dft_length:I!, sample_rate:I, lower_edge_hertz:F, upper_edge_hertz:F",
   .outputs = "output:T", .types = "I=i32 i64; F=f32 f16 f64 bf16", ATTRS(OG_INT("output_datatype", OG_F32)),
   .shape = mel_weight_matrix_shape, .eval = mel_weight_matrix_eval)
