/* test_more_ops.c -- losses, attention, sampling, transforms of quantized numbers, recurrence and ops whose shapes
 * follow from data: what ONNX's node tests leave out. Empty tensors, edges and refusals; inputs lie in memory of
 * exactly their size, so that a sanitizer sees every element too many. */
#include "op_case.h"

/* `words` is the first attribute where that is a string, or a list of strings. */
struct example { const char *name; int version; const char *text, *words, *outputs; };

static const struct example examples[] = {
	{ "NegativeLogLikelihoodLoss", 13, "f32[1,2,2]{1 2 3 4} i64[1,2]{0 1}; reduction=sum", NULL, "f32[]{-5}" },
	{ "NegativeLogLikelihoodLoss", 13, "f32[2,2]{1 2 3 4} i64[2]{-7 1}; ignore_index=-7", NULL, "f32[]{-4}" },
	{ "NegativeLogLikelihoodLoss", 13, "f32[0,3] i32[0]; reduction=none", NULL, "f32[0]{}" },
	{ "NegativeLogLikelihoodLoss", 13, "f32[0,3] i32[0]", NULL, "f32[]{nan}" },
	{ "SoftmaxCrossEntropyLoss", 13, "f32[1,2]{0 0} i64[1]{1}", NULL,
	  "f32[]{0.6931471806} f32[1,2]{-0.6931471806 -0.6931471806}" },
	{ "SoftmaxCrossEntropyLoss", 13, "f32[1,2]{1000 0} i64[1]{0}; reduction=sum", NULL, "f32[]{0}" },
	{ "LpNormalization", 1, "f32[2,2]{3 4 0 0}", NULL, "f32[2,2]{0.6 0.8 0 0}" },
	{ "LpNormalization", 22, "f32[2,2]{3 -4 1 -4}; axis=0, p=1", NULL, "f32[2,2]{0.75 -0.5 0.25 -0.5}" },
	{ "LpNormalization", 1, "f32[2,0]", NULL, "f32[2,0]{}" },
	{ "CumProd", 26, "i64[0,2] i32[]{0}", NULL, "i64[0,2]{}" },
	{ "CumProd", 26, "i32[3]{65536 65536 2} i32[1]{-1}", NULL, "i32[3]{65536 0 0}" },
	{ "GridSample", 20, "f32[1,1,2]{3 5} f32[1,3,1]{-0.5 0 nan}", NULL, "f32[1,1,3]{3 4 0}" },
	{ "GridSample", 20, "f32[1,1,2]{3 5} f32[1,2,1]{inf -1e30}; padding_mode=border, mode=nearest", NULL,
	  "f32[1,1,2]{5 3}" },
	{ "GridSample", 20, "f32[1,1,1]{3} f32[1,2,1]{7 -9}; padding_mode=reflection, align_corners=1", NULL,
	  "f32[1,1,2]{3 3}" },
	{ "GridSample", 20, "f32[1,1,2]{3 5} f32[1,1,1]{-1.25}; mode=cubic, padding_mode=border", NULL,
	  "f32[1,1,1]{2.9296875}" },
	{ "GridSample", 16, "f32[1,2,0,2] f32[1,1,1,2]; padding_mode=border, mode=bicubic", NULL, "f32[1,2,1,1]{0 0}" },
	{ "GridSample", 16, "f32[0,2,3,2] f32[0,1,1,2]", NULL, "f32[0,2,1,1]{}" },
	{ "Attention", 23, "f32[1,1,1,1]{1} f32[1,1,2,1]{0 0} f32[1,1,2,2]{1 2 3 4}", NULL, "f32[1,1,1,2]{2 3}" },
	{ "Attention", 23, "f32[1,1,2]{1 1} f32[1,2,1]{0 0} f32[1,2,1]{1 3}; q_num_heads=2, kv_num_heads=1", NULL,
	  "f32[1,1,2]{2 2}" },
	{ "Attention", 23, "f32[1,1,1,1]{1} f32[1,1,1,1]{0} f32[1,1,1,1]{5} - f32[1,1,1,1]{0} f32[1,1,1,1]{1}; is_causal=1",
	  NULL, "f32[1,1,1,1]{3} f32[1,1,2,1]{0 0} f32[1,1,2,1]{1 5}" },
	{ "Attention", 24, "f32[1,1,1,1]{1} f32[1,1,3,1]{0 0 0} f32[1,1,3,1]{1 3 9} f32[1,2]{0 0}", NULL,
	  "f32[1,1,1,1]{2}" },
	{ "Attention", 24, "f32[1,1,1,1]{1} f32[1,1,3,1]{0 0 0} f32[1,1,3,1]{1 3 9} - - - i64[1]{1}", NULL,
	  "f32[1,1,1,1]{1}" },
	{ "Attention", 24, "f32[1,1,1,1]{1} f32[1,1,1,1]{0} f32[1,1,1,1]{7} - - - i64[1]{99}", NULL, "f32[1,1,1,1]{7}" },
	{ "Attention", 23, "f32[1,1,0,1] f32[1,1,2,1] f32[1,1,2,2]", NULL, "f32[1,1,0,2]{}" },
	{ "RotaryEmbedding", 23, "f32[1,1,2]{1 2} f32[2,1]{1 0} f32[2,1]{0 1} i64[1,1]{1}; num_heads=1", NULL,
	  "f32[1,1,2]{-2 1}" },
	{ "RotaryEmbedding", 23, "f32[1,2,0,4] f32[1,0,2] f32[1,0,2]", NULL, "f32[1,2,0,4]{}" },
	{ "CenterCropPad", 18, "f32[3]{1 2 3} i64[1]{1}", NULL, "f32[1]{2}" },
	{ "CenterCropPad", 18, "f32[2,1]{1 2} i32[1]{4}; axes=[-1]", NULL, "f32[2,4]{0 1 0 0 0 2 0 0}" },
	{ "CenterCropPad", 18, "f32[0] i64[1]{2}", NULL, "f32[2]{0 0}" },
	{ "CenterCropPad", 18, "f32[2]{1 2} i64[1]{0}", NULL, "f32[0]{}" },
	{ "AffineGrid", 20, "f32[1,2,3]{1 0 0 0 1 0} i64[4]{1 1 1 2}", NULL, "f32[1,1,2,2]{-0.5 0 0.5 0}" },
	{ "AffineGrid", 20, "f32[1,2,3]{1 0 0 0 1 5} i64[4]{1 1 1 2}; align_corners=1", NULL, "f32[1,1,2,2]{-1 5 1 5}" },
	{ "AffineGrid", 20, "f32[0,3,4] i64[5]{0 1 1 2 2}", NULL, "f32[0,1,2,2,3]{}" },
	{ "Col2Im", 18, "f32[1,2,2]{1 2 3 4} i64[1]{3} i64[1]{2}", NULL, "f32[1,1,3]{1 5 4}" },
	{ "Col2Im", 18, "f32[0,2,2] i64[1]{3} i64[1]{2}", NULL, "f32[0,1,3]{}" },
	{ "Einsum", 12, "f32[2,2]{1 2 3 4} f32[2]{1 10}", "ij, j", "f32[2]{21 43}" },
	{ "Einsum", 12, "f32[2,2]{1 2 3 4}", "ii->", "f32[]{5}" },
	{ "Einsum", 12, "f32[2,2]{1 2 3 4}", "ba", "f32[2,2]{1 3 2 4}" },
	{ "Einsum", 12, "f32[2,1,2]{1 2 3 4} f32[2,2]{1 10 2 20}", "...a,...a->...", "f32[2,2]{21 42 43 86}" },
	{ "Einsum", 12, "f32[2,0] f32[0,2]", "ij,jk", "f32[2,2]{0 0 0 0}" },
	{ "Einsum", 12, "i32[2]{65536 2} i32[2]{65536 3} i32[]{1}", "i,i,->i", "i32[2]{0 6}" },
	{ "BitCast", 26, "f32[0]; to=6", NULL, "i32[0]{}" },
	{ "BitCast", 26, "i32[1]{1065353216}; to=1", NULL, "f32[1]{1}" },
	{ "DynamicQuantizeLinear", 11, "f32[0]", NULL, "u8[0]{} f32[]{1} u8[]{0}" },
	{ "DynamicQuantizeLinear", 11, "f32[2]{0 0}", NULL, "u8[2]{0 0} f32[]{1} u8[]{0}" },
	{ "DynamicQuantizeLinear", 11, "f32[3]{-1 0 254}", NULL, "u8[3]{0 1 255} f32[]{1} u8[]{1}" },
	{ "QLinearMatMul", 10,
	  "u8[1,2]{3 4} f32[]{1} u8[]{1} i8[2,2]{1 2 3 4} f32[2]{1 2} i8[2]{0 1} f32[]{1} u8[]{5}", NULL,
	  "u8[1,2]{16 27}" },
	{ "QLinearMatMul", 10, "u8[1,0] f32[]{1} u8[]{1} i8[0,1] f32[]{1} i8[]{0} f32[]{1} u8[]{5}", NULL, "u8[1,1]{5}" },
	{ "QLinearConv", 10,
	  "u8[1,1,2]{3 255} f32[]{1} u8[]{1} i8[2,1,1]{1 -1} f32[2]{1 2} i8[1]{0} f32[]{2} i8[]{1}", NULL,
	  "i8[1,2,2]{2 127 -1 -128}" },
	{ "MaxUnpool", 11, "f32[1,1,1]{5} i64[1,1,1]{1}; kernel_shape=[2]", NULL, "f32[1,1,2]{0 5}" },
	{ "MaxUnpool", 11, "f32[1,1,0] i64[1,1,0] i64[3]{1 1 3}; kernel_shape=[2]", NULL, "f32[1,1,3]{0 0 0}" },
	{ "Det", 11, "f32[2,2]{0 2 3 4}", NULL, "f32[]{-6}" },
	{ "Det", 22, "f32[0,3,3]", NULL, "f32[0]{}" },
	{ "Det", 11, "f32[1,0,0]", NULL, "f32[1]{1}" },
	{ "HannWindow", 17, "i64[]{4}", NULL, "f32[4]{0 0.5 1 0.5}" },
	{ "HannWindow", 17, "i64[]{3}; periodic=0, output_datatype=11", NULL, "f64[3]{0 1 0}" },
	{ "BlackmanWindow", 17, "i32[]{1}; periodic=0", NULL, "f32[1]{1}" },
	{ "HammingWindow", 17, "i32[]{0}", NULL, "f32[0]{}" },
	{ "MelWeightMatrix", 17, "i64[]{0} i64[]{2} i64[]{8} f32[]{0} f32[]{4}", NULL, "f32[2,0]{}" },
	{ "MelWeightMatrix", 17, "i64[]{1} i64[]{2} i64[]{1} f32[]{1e9} f32[]{2e9}", NULL, "f32[2,1]{0 0}" },
	{ "TensorScatter", 24, "f32[1,3,1]{1 2 3} f32[1,2,1]{8 9} i64[1]{-1}; mode=circular", NULL, "f32[1,3,1]{9 2 8}" },
	{ "TensorScatter", 24, "f32[0,3,1] f32[0,2,1] i64[0]", NULL, "f32[0,3,1]{}" },
	{ "Unique", 11, "f32[4]{nan 2 nan 1}", NULL, "f32[3]{1 2 nan} i64[3]{3 1 0} i64[4]{2 1 2 0} i64[3]{1 1 2}" },
	{ "Unique", 11, "u64[2]{18446744073709551615 1}; sorted=1", NULL, "u64[2]{1 18446744073709551615}" },
	{ "Unique", 11, "i8[2,3]{1 2 1 3 4 3}; axis=1, sorted=0", NULL,
	  "i8[2,2]{1 2 3 4} i64[2]{0 1} i64[3]{0 1 0} i64[2]{2 1}" },
	{ "Unique", 11, "f32[0]", NULL, "f32[0]{} i64[0]{} i64[0]{} i64[0]{}" },
	{ "NonMaxSuppression", 11, "f32[1,2,4]{0 0 1 1 0 0 1 1} f32[1,1,2]{1 2}", NULL, "i64[0,3]{}" },
	{ "NonMaxSuppression", 11, "f32[1,2,4]{0 0 1 1 5 5 6 6} f32[1,1,2]{1 2} i64[]{9}", NULL, "i64[2,3]{0 0 1 0 0 0}" },
	{ "NonMaxSuppression", 11, "f32[1,2,4]{0 0 1 1 5 5 6 6} f32[1,1,2]{nan 2} i64[]{9}", NULL, "i64[1,3]{0 0 1}" },
	{ "NonMaxSuppression", 10, "f32[1,0,4] f32[1,3,0] i64[]{2}", NULL, "i64[0,3]{}" },
	{ "RoiAlign", 16, "f32[1,1,2,2]{1 2 3 4} f32[1,4]{0 0 2 2} i64[1]{0}; sampling_ratio=1", NULL,
	  "f32[1,1,1,1]{2.5}" },
	{ "RoiAlign", 16, "f32[1,1,1,6]{0 1 4 9 16 25} f32[1,4]{0 0 5 1} i64[1]{0}; output_width=2, spatial_scale=0.8",
	  NULL, "f32[1,1,1,2]{0.5 6.5}" },
	{ "RoiAlign", 10, "f32[1,1,1,1]{1} f32[0,4] i64[0]", NULL, "f32[0,1,1,1]{}" },
	{ "RoiAlign", 16, "f32[1,1,1,1]{1} f32[1,4]{nan 0 2 inf} i64[1]{-1}; sampling_ratio=1", NULL, "f32[1,1,1,1]{0}" },
	{ "RNN", 14, "f32[2,1,1]{1 2} f32[1,1,1]{1} f32[1,1,1]{10}", "Relu", "f32[2,1,1,1]{1 12} f32[1,1,1]{12}" },
	{ "RNN", 14, "f32[2,1,1]{1 2} f32[2,1,1]{1 1} f32[2,1,1]{10 10}; direction=bidirectional", "Relu|Affine",
	  "f32[2,2,1,1]{1 21 12 2} f32[2,1,1]{12 21}" },
	{ "RNN", 14, "f32[2,1,1]{1 2} f32[1,1,1]{1} f32[1,1,1]{10} - i32[1]{1}; direction=reverse", "Relu",
	  "f32[2,1,1,1]{1 0} f32[1,1,1]{1}" },
	{ "RNN", 7, "f32[0,1,1] f32[1,1,1] f32[1,1,1] - - f32[1,1,1]{3}", NULL, "f32[0,1,1,1]{} f32[1,1,1]{3}" },
	{ "RNN", 7, "f32[1,1,1]{9} f32[1,1,1]{1} f32[1,1,1]{0}; clip=2", "Affine", "f32[1,1,1,1]{2}" },
	{ "GRU", 14, "f32[1,1,1]{1} f32[1,3,1]{0 0 1} f32[1,3,1]{0 0 0} - - f32[1,1,1]{3}", "HardSigmoid|Relu",
	  "f32[1,1,1,1]{2}" },
	{ "LSTM", 14, "f32[1,1,1]{1} f32[1,4,1]{0 0 0 2} f32[1,4,1]{0 0 0 0} - - - f32[1,1,1]{4}",
	  "HardSigmoid|Relu|Affine",
	  "f32[1,1,1,1]{1.5} f32[1,1,1]{1.5} f32[1,1,1]{3}" },
	{ "LSTM", 7, "f32[3,0,2] f32[1,8,2] f32[1,8,2]", NULL, "f32[3,1,0,2]{} f32[1,0,2]{} f32[1,0,2]{}" },
	{ "DeformConv", 19, "f32[1,1,1,2]{1 3} f32[1,1,1,1]{2} f32[1,2,1,2]{0 0 0.5 -9} f32[1]{1}", NULL,
	  "f32[1,1,1,2]{5 1}" },
	{ "DeformConv", 22, "f32[1,1,1,2]{1 3} f32[1,1,1,1]{2} f32[1,2,1,2]{nan inf 0 0}", NULL, "f32[1,1,1,2]{0 0}" },
	{ "DeformConv", 22, "f32[0,1,1,2] f32[1,1,1,1]{2} f32[0,2,1,2]", NULL, "f32[0,1,1,2]{}" },
};

static const struct example refusals[] = {
	{ "NegativeLogLikelihoodLoss", 13, "f32[1,2]{1 2} i64[1]{2}", NULL, NULL },
	{ "NegativeLogLikelihoodLoss", 13, "f32[1,2]{1 2} i64[1]{-1}", NULL, NULL },
	{ "NegativeLogLikelihoodLoss", 13, "f32[1,2] i64[1,2]", NULL, NULL },
	{ "NegativeLogLikelihoodLoss", 13, "f32[1,2] i64[2]", NULL, NULL },
	{ "NegativeLogLikelihoodLoss", 13, "f32[1,2] i64[1]{0} f32[3]", NULL, NULL },
	{ "SoftmaxCrossEntropyLoss", 13, "f32[1,0] i64[1]{0}", NULL, NULL },
	{ "LpNormalization", 1, "f32[2]; p=3", NULL, NULL },
	{ "LpNormalization", 1, "f32[2]; axis=1", NULL, NULL },
	{ "CumProd", 26, "f32[2] i32[]{1}", NULL, NULL },
	{ "CumProd", 26, "f32[2] i32[0]", NULL, NULL },
	{ "GridSample", 20, "f32[1,1,2] f32[1,1,2]", NULL, NULL },
	{ "GridSample", 20, "f32[1,1,2,2] f32[1,1,1]", NULL, NULL },
	{ "Attention", 23, "f32[1,1,2] f32[1,1,2] f32[1,1,2]", NULL, NULL },
	{ "Attention", 23, "f32[1,1,3] f32[1,1,2] f32[1,1,2]; q_num_heads=2, kv_num_heads=1", NULL, NULL },
	{ "Attention", 23, "f32[1,3,1,1] f32[1,2,1,1] f32[1,2,1,1]", NULL, NULL },
	{ "Attention", 23, "f32[1,0,1,1] f32[1,0,1,1] f32[1,0,1,1]", NULL, NULL },
	{ "Attention", 23, "f32[1,1,1,1] f32[1,1,2,1] f32[1,1,3,1]", NULL, NULL },
	{ "Attention", 23, "f32[1,1,1,1] f32[1,1,3,1] f32[1,1,3,1] f32[1,2]", NULL, NULL },
	{ "Attention", 24, "f32[1,1,1,1] f32[1,1,3,1] f32[1,1,3,1] f32[1,4]", NULL, NULL },
	{ "Attention", 24, "f32[1,1,1,1] f32[1,1,3,1] f32[1,1,3,1] - - - i64[2]", NULL, NULL },
	{ "Attention", 23, "f32[1,1,1,1] f32[1,1,1,1] f32[1,1,1,1] - f32[1,1,2,1]", NULL, NULL },
	{ "RotaryEmbedding", 23, "f32[1,1,2] f32[1,1,1] f32[1,1,1]", NULL, NULL },
	{ "RotaryEmbedding", 23, "f32[1,1,1,2] f32[2,1] f32[2,1] i64[1,1]{2}", NULL, NULL },
	{ "RotaryEmbedding", 23, "f32[1,1,1,2] f32[2,1] f32[2,1] i64[1,1]{-1}", NULL, NULL },
	{ "RotaryEmbedding", 23, "f32[1,1,2,2] f32[2,1] f32[2,1] i64[1,1]{0}", NULL, NULL },
	{ "RotaryEmbedding", 23, "f32[1,1,1,2] f32[1,1,2] f32[1,1,2]", NULL, NULL },
	{ "RotaryEmbedding", 23, "f32[1,1,1,2] f32[1,1,2] f32[1,1,2]; rotary_embedding_dim=4", NULL, NULL },
	{ "RotaryEmbedding", 23, "f32[1,1,1,3] f32[1,1,1] f32[1,1,1]", NULL, NULL },
	{ "CenterCropPad", 18, "f32[2] i64[1]{-1}", NULL, NULL },
	{ "CenterCropPad", 18, "f32[2] i64[2]{1 1}", NULL, NULL },
	{ "CenterCropPad", 18, "f32[2,2] i64[2]{1 1}; axes=[0,0]", NULL, NULL },
	{ "AffineGrid", 20, "f32[1,2,3] i64[3]{1 1 1}", NULL, NULL },
	{ "AffineGrid", 20, "f32[1,2,3] i64[5]{1 1 1 1 1}", NULL, NULL },
	{ "AffineGrid", 20, "f32[1,2,3] i64[4]{2 1 1 1}", NULL, NULL },
	{ "AffineGrid", 20, "f32[1,2,3] i64[4]{1 1 -1 1}", NULL, NULL },
	{ "Col2Im", 18, "f32[1,2,2] i64[1]{4} i64[1]{2}", NULL, NULL },
	{ "Col2Im", 18, "f32[1,3,2] i64[1]{3} i64[1]{2}", NULL, NULL },
	{ "Col2Im", 18, "f32[1,2,2] i64[1]{1} i64[1]{2}", NULL, NULL },
	{ "Col2Im", 18, "f32[1,2,2] i64[1]{3} i64[1]{2}; strides=[0]", NULL, NULL },
	{ "Einsum", 12, "f32[2] f32[2]", "i", NULL },
	{ "Einsum", 12, "f32[2]", "i,i", NULL },
	{ "Einsum", 12, "f32[2]", "ij", NULL },
	{ "Einsum", 12, "f32[2]", "i->j", NULL },
	{ "Einsum", 12, "f32[2]", "i->ii", NULL },
	{ "Einsum", 12, "f32[2]", "i->i,", NULL },
	{ "Einsum", 12, "f32[2]", "i-", NULL },
	{ "Einsum", 12, "f32[2]", "..", NULL },
	{ "Einsum", 12, "f32[2]", "......", NULL },
	{ "Einsum", 12, "f32[2]", "abcdefghi", NULL },
	{ "Einsum", 12, "f32[2] f32[3]", "i,i", NULL },
	{ "Einsum", 12, "f32[2] f32[3]", "...,...", NULL },
	{ "BitCast", 26, "f32[2]; to=7", NULL, NULL },
	{ "BitCast", 26, "f32[2]; to=8", NULL, NULL },
	{ "BitCast", 26, "f32[2]; to=99", NULL, NULL },
	{ "QLinearMatMul", 10, "u8[1,2] f32[3] u8[] i8[2,2] f32[] i8[] f32[] u8[]", NULL, NULL },
	{ "QLinearMatMul", 10, "u8[1,2] f32[] u8[] i8[3,2] f32[] i8[] f32[] u8[]", NULL, NULL },
	{ "QLinearMatMul", 10, "u8[1,2] f32[] u8[0] i8[2,2] f32[] i8[] f32[] u8[]", NULL, NULL },
	{ "QLinearConv", 10, "u8[1,1,2] f32[] u8[] i8[2,1,1] f32[3] i8[] f32[] u8[]", NULL, NULL },
	{ "MaxUnpool", 11, "f32[1,1,1] i64[1,1,1]{2}; kernel_shape=[2]", NULL, NULL },
	{ "MaxUnpool", 11, "f32[1,1,1] i64[1,1,1]{-1}; kernel_shape=[2]", NULL, NULL },
	{ "MaxUnpool", 11, "f32[1,1,1] i64[1,1,2]; kernel_shape=[2]", NULL, NULL },
	{ "MaxUnpool", 11, "f32[1,1,1] i64[1,1,1]; kernel_shape=[2,2]", NULL, NULL },
	{ "MaxUnpool", 11, "f32[1,1,1] i64[1,1,1]{1} i64[3]{1 1 1}; kernel_shape=[2]", NULL, NULL },
	{ "Det", 11, "f32[2,3]", NULL, NULL },
	{ "Det", 11, "f32[2]", NULL, NULL },
	{ "HannWindow", 17, "i64[]{-1}", NULL, NULL },
	{ "HannWindow", 17, "i64[0]", NULL, NULL },
	{ "HannWindow", 17, "i64[]{1}; output_datatype=8", NULL, NULL },
	{ "MelWeightMatrix", 17, "i64[]{-1} i64[]{2} i64[]{8} f32[]{0} f32[]{4}", NULL, NULL },
	{ "TensorScatter", 24, "f32[1,3,1] f32[1,2,1] i64[1]{2}", NULL, NULL },
	{ "TensorScatter", 24, "f32[1,3,1] f32[1,2,1] i64[1]{-1}", NULL, NULL },
	{ "TensorScatter", 24, "f32[1,3,1] f32[1,4,1]", NULL, NULL },
	{ "TensorScatter", 24, "f32[1,3,1] f32[1,1,1] i64[2]", NULL, NULL },
	{ "TensorScatter", 24, "f32[3,1] f32[1,1]", NULL, NULL },
	{ "Unique", 11, "f32[2]; axis=1", NULL, NULL },
	{ "NonMaxSuppression", 11, "f32[1,2,3] f32[1,1,2]", NULL, NULL },
	{ "NonMaxSuppression", 11, "f32[1,2,4] f32[1,1,3]", NULL, NULL },
	{ "NonMaxSuppression", 11, "f32[1,2,4] f32[1,1,2] i64[0]", NULL, NULL },
	{ "RoiAlign", 16, "f32[1,1,1,1] f32[1,4] i64[1]{1}", NULL, NULL },
	{ "RoiAlign", 16, "f32[1,1,1,1] f32[1,4] i64[2]{0 0}", NULL, NULL },
	{ "RoiAlign", 16, "f32[1,1,1,1] f32[1,4]{0 0 1e30 1e30} i64[1]{0}", NULL, NULL },
	{ "RNN", 14, "f32[1,1,1] f32[1,2,1] f32[1,1,1]", NULL, NULL },
	{ "RNN", 14, "f32[1,1,1] f32[1,1,1] f32[1,1,1]; hidden_size=2", NULL, NULL },
	{ "RNN", 14, "f32[1,1,1] f32[1,1,1] f32[1,1,1] f32[1,1]", NULL, NULL },
	{ "RNN", 14, "f32[1,1,1] f32[1,1,1] f32[1,1,1] - i32[1]{2}", NULL, NULL },
	{ "RNN", 14, "f32[1,1,1] f32[1,1,1] f32[1,1,1] - i32[1]{-1}", NULL, NULL },
	{ "RNN", 14, "f32[1,1,1] f32[1,1,1] f32[1,1,1]", "Sine", NULL },
	{ "LSTM", 14, "f32[1,1,1] f32[1,4,1] f32[1,4,1]", "Tanh|Tanh", NULL },
	{ "LSTM", 14, "f32[1,1,1] f32[1,4,1] f32[1,4,1] - - - - f32[1,4]", NULL, NULL },
	{ "GRU", 14, "f32[1,1,1] f32[1,3,1] f32[1,3,1]; direction=bidirectional", NULL, NULL },
	{ "DeformConv", 19, "f32[1,1,1,1] f32[1,1,1,1] f32[1,1,1,1]", NULL, NULL },
	{ "DeformConv", 19, "f32[1,1,1,1] f32[1,1,1,1] f32[1,2,1,1]; offset_group=2", NULL, NULL },
	{ "DeformConv", 19, "f32[1,1,1] f32[1,1,1] f32[1,1,1]", NULL, NULL },
};

/* Reads an example; its inputs' memory ends where they do, and what is empty has none. */
static void read_example(op_case *c, const struct example *e)
{
	const og_op *op = schema_find("", e->name, e->version);
	const char *rest;
	if (!op) fail_msg("no op %s", e->name);
	case_read(c, op, e->text, &rest);
	for (int k = 0; k < c->n_in; k++) {
		if (!c->inputs[k]) continue;
		size_t bytes = (size_t)og_count(&c->in[k]) * og_dtype_bytes(c->in[k].dtype);
		void *exact = bytes ? malloc(bytes) : NULL;
		if (bytes) {
			assert_non_null(exact);
			memcpy(exact, c->in[k].data, bytes);
		}
		free(c->in[k].data);
		c->in[k].data = exact;
	}
	if (!e->words) return;
	c->attr[0].present = 1;
	c->attr[0].s = e->words;
	c->attr[0].n = (int64_t)strlen(e->words);
}

static int outputs_of(const og_op *op)
{
	schema_args outs;
	assert_int_equal(schema_outputs(&outs, op), OG_OK);
	return outs.n;
}

static void test_examples(void **state)
{
	static const og_op none = { .name = "expected" };
	(void)state;
	for (size_t k = 0; k < sizeof examples / sizeof *examples; k++) {
		const struct example *e = &examples[k];
		op_case c = { .as = OG_F32, .seed = 1 }, want = { .as = OG_F32 };
		og_shape shape[CASE_ARGS];
		const char *rest;
		read_example(&c, e);
		case_read(&want, &none, e->outputs, &rest);
		og_status status = case_infer(&c, outputs_of(c.op), shape, false);
		if (status == OG_OK) {
			case_outputs(&c, shape);
			status = case_run(&c, CASE_PLAIN);
		}
		if (status != OG_OK) fail_msg("%s '%s': %s", e->name, e->text, case_sentence);
		for (int out = 0; out < want.n_in; out++) {
			const og_tensor *got = &c.out[out], *w = &want.in[out];
			bool same = got->rank == w->rank && got->dtype == w->dtype;
			for (int d = 0; same && d < w->rank; d++) same = got->dims[d] == w->dims[d];
			for (int64_t i = 0; same && i < og_count(w); i++) {
				double x = number_get(got, i), y = number_get(w, i);
				same = isnan(y) ? isnan(x) : fabs(x - y) <= 1e-6 * fmax(1.0, fabs(y));
			}
			if (!same)
				fail_msg("%s, output %d of '%s': first %g, wanted %s", e->name, out, e->text,
				         og_count(got) ? number_get(got, 0) : 0.0, e->outputs);
		}
		case_free(&want);
		case_free(&c);
	}
}

/* Every refusal has a sentence. */
static void test_refusals(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof refusals / sizeof *refusals; k++) {
		const struct example *e = &refusals[k];
		op_case c = { .as = OG_F32, .seed = 1 };
		og_shape shape[CASE_ARGS];
		read_example(&c, e);
		case_sentence[0] = '\0';
		og_status status = case_infer(&c, outputs_of(c.op), shape, false);
		if (status == OG_OK) {
			case_outputs(&c, shape);
			status = case_run(&c, CASE_PLAIN);
		} else {
			c.n_out = 0;
		}
		if (status != OG_BAD_FILE && status != OG_UNSUPPORTED) fail_msg("%s takes '%s'", e->name, e->text);
		if (!case_sentence[0]) fail_msg("%s refuses '%s' without a word", e->name, e->text);
		case_free(&c);
	}
}

/* Rules say nothing against sizes that they do not know. */
static void test_unknown_dimensions(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof examples / sizeof *examples; k++) {
		op_case c = { .as = OG_F32, .seed = 1 };
		og_shape shape[CASE_ARGS];
		read_example(&c, &examples[k]);
		if (case_infer(&c, outputs_of(c.op), shape, true) != OG_OK)
			fail_msg("%s '%s': %s", examples[k].name, examples[k].text, case_sentence);
		c.n_out = 0;
		case_free(&c);
	}
}

/* Attributes that are lists of strings reach the op, and its first output may be left out. */
static void test_activations_in_a_model(void **state)
{
	static const char model[] =
		"model ir=8 {\"\" 14}\n"
		"graph \"g\" {\n"
		"  in x: f32[2,1,1]\n"
		"  const w: f32[1,1,1] = {1}\n"
		"  const r: f32[1,1,1] = {10}\n"
		"  _, h = RNN(x, w, r) {activations=[\"Relu\"]}\n"
		"  out h\n"
		"}\n";
	og_tensor x = { .dtype = OG_F32, .rank = 3, .dims = { 2, 1, 1 }, .data = (float[]){ 1, 2 } }, *out[1];
	const og_tensor *in[1] = { &x };
	arena *a = arena_create();
	og_model *m;
	(void)state;
	assert_non_null(a);
	if (graph_parse(&m, model, sizeof model - 1) != OG_OK) fail_msg("%s", base_error());
	schema_resolve(m);
	if (schema_run_graph(m->main, in, out, a, NULL, NULL, NULL) != OG_OK) fail_msg("%s", base_error());
	assert_true(((float *)out[0]->data)[0] == 12.0f);
	graph_model_destroy(m);
	arena_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples), cmocka_unit_test(test_refusals), cmocka_unit_test(test_unknown_dimensions),
		cmocka_unit_test(test_activations_in_a_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
