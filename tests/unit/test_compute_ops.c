/* test_compute_ops.c -- convolutions, products, pools, normalizations, reductions: worked examples in every float type,
 * then every kernel against its definition and, bit by bit, against the other views. */
#include "op_case.h"

static bool isa_runs(int isa)
{
	if (isa == OG_ISA_AVX2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
	if (isa == OG_ISA_AVX512)
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
		       && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
	return true;
}

/* ---- worked examples ------------------------------------------------------------------------- */

/* Results are exact in every float type, or in the integers that they are written in. */
static const struct example { const char *name; int version; const char *text, *outputs; } examples[] = {
	{ "Conv", 11, "f32[1,1,3,3]{1 2 3 4 5 6 7 8 9} f32[1,1,2,2]{1 0 0 -1} f32[1]{10}", "f32[1,1,2,2]{6 6 6 6}" },
	{ "Conv", 22, "f32[1,2,3]{1 2 3 4 5 6} f32[2,1,2]{1 1 1 -1}; group=2, pads=[1,0]", "f32[1,2,3]{1 3 5 -4 -1 -1}" },
	{ "Conv", 1, "f32[1,1,4]{1 2 3 4} f32[1,1,3]{1 2 4}; auto_pad=SAME_LOWER, strides=[2]", "f32[1,1,2]{10 24}" },
	{ "Conv", 1, "f32[1,1,4]{1 2 3 4} f32[1,1,3]{1 2 4}; auto_pad=SAME_UPPER, strides=[2]", "f32[1,1,2]{17 11}" },
	{ "Conv", 1, "f32[1,1,5]{1 2 3 4 5} f32[1,1,2]{1 10}; auto_pad=VALID, dilations=[3]", "f32[1,1,2]{41 52}" },
	{ "Conv", 11, "f32[1,1,2,2,2]{1 2 3 4 5 6 7 8} f32[1,1,2,1,2]{1 1 1 1}", "f32[1,1,1,2,1]{14 22}" },
	{ "Conv", 11, "f32[0,1,3] f32[2,1,2]", "f32[0,2,2]{}" },
	{ "ConvInteger", 10, "u8[1,1,3]{1 2 3} i8[1,1,2]{1 -1} u8[]{1} i8[]{1}; pads=[1,0]", "i32[1,1,3]{0 -2 -4}" },
	{ "ConvTranspose", 11, "f32[1,1,2]{1 2} f32[1,1,3]{1 2 3} f32[1]{10}; strides=[2]", "f32[1,1,5]{11 12 15 14 16}" },
	{ "ConvTranspose", 11, "f32[1,1,2]{1 2} f32[1,1,3]{1 2 3}; strides=[2], pads=[1,1], output_padding=[1]",
	  "f32[1,1,4]{2 5 4 6}" },
	{ "ConvTranspose", 11, "f32[1,1,2]{1 2} f32[1,1,3]{1 2 3}; strides=[2], output_shape=[4]", "f32[1,1,4]{2 5 4 6}" },
	{ "ConvTranspose", 11, "f32[1,1,2]{1 2} f32[1,1,3]{1 2 3}; strides=[2], auto_pad=SAME_UPPER", "f32[1,1,4]{1 2 5 4}" },
	{ "ConvTranspose", 1, "f32[1,2,2]{1 2 3 4} f32[2,2,2]{1 2 3 4 5 6 7 8}; dilations=[2]",
	  "f32[1,2,4]{16 22 20 28 24 34 28 40}" },
	{ "Gemm", 13, "f32[2,2]{1 2 3 4} f32[2,2]{1 1 0 2} f32[2]{1 0}; alpha=2, beta=-1, transA=1", "f32[2,2]{1 14 3 20}" },
	{ "Gemm", 7, "f32[1,2]{1 2} f32[3,2]{1 0 0 1 1 1}; transB=1", "f32[1,3]{1 2 3}" },
	{ "MatMul", 13, "f32[2,1,1,2]{1 2 3 4} f32[2,2]{1 0 1 1}", "f32[2,1,1,2]{3 2 7 4}" },
	{ "MatMul", 13, "f32[2]{1 2} f32[2]{3 4}", "f32[]{11}" },
	{ "MatMul", 9, "i64[1,2]{9007199254740993 1} i64[2,1]{1 0}", "i64[1,1]{9007199254740993}" },
	{ "MatMul", 13, "f32[2,0] f32[0,2]", "f32[2,2]{0 0 0 0}" },
	{ "MatMulInteger", 10, "u8[1,2]{3 4} u8[2,2]{1 2 3 4} u8[]{1} u8[2]{1 2}", "i32[1,2]{6 6}" },
	{ "MaxPool", 12, "f32[1,1,2,4]{1 5 2 0 3 4 8 7}; kernel_shape=[2,2], strides=[2,2]",
	  "f32[1,1,1,2]{5 8} i64[1,1,1,2]{1 6}" },
	{ "MaxPool", 12, "f32[1,1,2,4]{1 5 2 0 3 4 8 7}; kernel_shape=[2,2], strides=[2,2], storage_order=1",
	  "f32[1,1,1,2]{5 8} i64[1,1,1,2]{2 5}" },
	{ "MaxPool", 12, "f32[1,1,5]{1 2 3 4 5}; kernel_shape=[2], strides=[2], ceil_mode=1", "f32[1,1,3]{2 4 5}" },
	{ "MaxPool", 12, "f32[1,1,2,2]{1 2 3 4}; kernel_shape=[1,1], strides=[2,2], ceil_mode=1", "f32[1,1,1,1]{1}" },
	{ "MaxPool", 12, "i8[1,1,4]{-5 -3 -9 -4}; kernel_shape=[2], pads=[1,1]", "i8[1,1,5]{-5 -3 -3 -4 -4}" },
	{ "MaxPool", 12, "f32[1,1,3]{nan 1 2}; kernel_shape=[2]", "f32[1,1,2]{nan 2}" },
	{ "AveragePool", 7, "f32[1,1,4]{1 2 3 4}; kernel_shape=[3], pads=[1,1]", "f32[1,1,4]{1.5 2 3 3.5}" },
	{ "AveragePool", 19, "f32[1,1,3]{4 4 4}; kernel_shape=[2], pads=[1,1], count_include_pad=1", "f32[1,1,4]{2 4 4 2}" },
	{ "AveragePool", 19, "f32[1,1,4]{1 2 3 4}; kernel_shape=[3], strides=[2], ceil_mode=1, count_include_pad=1",
	  "f32[1,1,2]{2 3.5}" },
	{ "LpPool", 18, "f32[1,1,3]{3 -4 3}; kernel_shape=[2]", "f32[1,1,2]{5 5}" },
	{ "GlobalAveragePool", 1, "f32[1,2,2,2]{1 2 3 4 0 0 0 2}", "f32[1,2,1,1]{2.5 0.5}" },
	{ "GlobalMaxPool", 1, "f32[1,2,2]{1 2 -3 -4}", "f32[1,2,1]{2 -3}" },
	{ "GlobalLpPool", 2, "f32[1,1,2]{3 4}", "f32[1,1,1]{5}" },
	{ "BatchNormalization", 9, "f32[1,2,2]{1 3 5 7} f32[2]{2 1} f32[2]{1 0} f32[2]{1 5} f32[2]{4 1}; epsilon=0",
	  "f32[1,2,2]{1 3 0 2}" },
	{ "BatchNormalization", 7, "f32[2,2]{1 2 3 4} f32[2]{1 2} f32[2]{0 0} f32[2]{1 2} f32[2]{1 1}; epsilon=0, spatial=0",
	  "f32[2,2]{0 0 2 4}" },
	{ "LayerNormalization", 17, "f32[2,2]{1 3 -2 2} f32[2]{1 2} f32[2]{0 1}; epsilon=0",
	  "f32[2,2]{-1 3 -1 3} f32[2,1]{2 0} f32[2,1]{1 0.5}" },
	{ "InstanceNormalization", 6, "f32[1,2,2]{1 3 0 4} f32[2]{1 2} f32[2]{0 1}; epsilon=0", "f32[1,2,2]{-1 1 -1 3}" },
	{ "GroupNormalization", 18, "f32[1,4,1]{1 3 0 4} f32[2]{1 2} f32[2]{0 1}; epsilon=0, num_groups=2",
	  "f32[1,4,1]{-1 1 -1 3}" },
	{ "GroupNormalization", 21, "f32[1,4,1]{1 3 0 4} f32[4]{1 2 3 4} f32[4]{0 0 0 1}; epsilon=0, num_groups=2",
	  "f32[1,4,1]{-1 2 -3 5}" },
	{ "RMSNormalization", 23, "f32[1,4]{2 -2 2 2} f32[4]{1 2 3 4}; epsilon=0", "f32[1,4]{1 -2 3 4}" },
	{ "MeanVarianceNormalization", 13, "f32[2,1,1,1]{1 3}", "f32[2,1,1,1]{-1 1}" },
	{ "LRN", 13, "f32[1,3,1]{1 2 1}; size=2, alpha=2, beta=1, bias=0", "f32[1,3,1]{0.2 0.4 1}" },
	{ "Softmax", 13, "f32[2,2]{0 0 7 7}", "f32[2,2]{0.5 0.5 0.5 0.5}" },
	{ "Softmax", 11, "f32[1,2,2]{5 5 5 5}", "f32[1,2,2]{0.25 0.25 0.25 0.25}" },
	{ "Softmax", 13, "f32[1,2,2]{5 6 5 6}; axis=1", "f32[1,2,2]{0.5 0.5 0.5 0.5}" },
	{ "LogSoftmax", 13, "f32[1,1]{9}", "f32[1,1]{0}" },
	{ "Hardmax", 11, "f32[1,2,2]{1 5 5 2}", "f32[1,2,2]{0 1 0 0}" },
	{ "Hardmax", 13, "f32[1,2,2]{1 5 5 2}; axis=1", "f32[1,2,2]{0 1 1 0}" },
	{ "ReduceSum", 11, "f32[2,2]{1 2 3 4}; axes=[-1], keepdims=0", "f32[2]{3 7}" },
	{ "ReduceSum", 13, "f32[2,2]{1 2 3 4} i64[1]{0}", "f32[1,2]{4 6}" },
	{ "ReduceSum", 13, "f32[2]{1 2}; noop_with_empty_axes=1", "f32[2]{1 2}" },
	{ "ReduceSum", 13, "f32[2]{1 2}; keepdims=0", "f32[]{3}" },
	{ "ReduceSum", 13, "f32[2,0] i64[1]{1}", "f32[2,1]{0 0}" },
	{ "ReduceSum", 13, "i64[2]{9007199254740993 1}", "i64[1]{9007199254740994}" },
	{ "ReduceMean", 18, "i32[2]{1 4}", "i32[1]{2}" },
	{ "ReduceMean", 18, "f32[2,2]{1 2 3 5} i64[2]{0 1}", "f32[1,1]{2.75}" },
	{ "ReduceMax", 18, "f32[3]{1 nan 2}", "f32[1]{nan}" },
	{ "ReduceMax", 13, "u64[2]{1 18446744073709551615}; axes=[0]", "u64[1]{18446744073709551615}" },
	{ "ReduceMax", 20, "bool[0]", "bool[1]{0}" },
	{ "ReduceMin", 20, "i8[0]", "i8[1]{127}" },
	{ "ReduceMin", 18, "f32[0]", "f32[1]{inf}" },
	{ "ReduceProd", 18, "f32[0]", "f32[1]{1}" },
	{ "ReduceProd", 18, "f32[3]{2 3 -4}", "f32[1]{-24}" },
	{ "ReduceL1", 18, "f32[2]{2 -3}", "f32[1]{5}" },
	{ "ReduceL2", 18, "f32[2]{3 -4}", "f32[1]{5}" },
	{ "ReduceSumSquare", 18, "f32[2]{3 -4}", "f32[1]{25}" },
	{ "ReduceLogSum", 18, "f32[2]{0.5 0.5}", "f32[1]{0}" },
	{ "ReduceLogSumExp", 18, "f32[3]{-inf 2 -inf}", "f32[1]{2}" },
	{ "ReduceLogSumExp", 18, "f32[0]", "f32[1]{-inf}" },
	{ "ArgMax", 13, "f32[2,3]{1 5 5 2 2 0}; axis=1", "i64[2,1]{1 0}" },
	{ "ArgMax", 13, "f32[2,3]{1 5 5 2 2 0}; axis=-1, keepdims=0, select_last_index=1", "i64[2]{2 1}" },
	{ "ArgMin", 13, "i32[3]{4 -2 -2}", "i64[1]{1}" },
	{ "CumSum", 14, "f32[3]{1 2 3} i32[]{0}", "f32[3]{1 3 6}" },
	{ "CumSum", 14, "i64[2,2]{1 2 3 4} i64[]{-1}; exclusive=1, reverse=1", "i64[2,2]{2 0 4 0}" },
	{ "QuantizeLinear", 13, "f32[5]{-3 0.5 1.5 2.5 1000} f32[]{1} u8[]{2}", "u8[5]{0 2 4 4 255}" },
	{ "QuantizeLinear", 13, "f32[1,2]{3 3} f32[2]{1 2}", "u8[1,2]{3 2}" },
	{ "DequantizeLinear", 13, "u8[1,2]{3 130} f32[2]{2 0.5} u8[2]{1 128}", "f32[1,2]{4 1}" },
	{ "DequantizeLinear", 21, "i8[1,4]{1 2 3 4} f32[1,2]{1 2}; block_size=2", "f32[1,4]{1 2 6 8}" },
};

static bool is_close(double got, double want, double tolerance)
{
	if (isnan(want)) return isnan(got) != 0;
	return got == want || fabs(got - want) <= tolerance * fmax(1.0, fabs(want));
}

static void expect(const op_case *c, const op_case *want, const char *how, double tolerance)
{
	for (int k = 0; k < want->n_in; k++) {
		const og_tensor *got = &c->out[k], *w = &want->in[k];
		bool same = got->rank == w->rank && got->dtype == w->dtype;
		for (int d = 0; same && d < w->rank; d++) same = got->dims[d] == w->dims[d];
		for (int64_t i = 0; same && i < og_count(w); i++)
			same = number_is_float(w->dtype) ? is_close(number_get(got, i), number_get(w, i), tolerance)
			                                 : number_get_int(got, i) == number_get_int(w, i);
		if (!same)
			fail_msg("%s %d, %s, output %d of '%s': first %g, wanted %s", c->op->name, c->op->since, how, k, c->text,
			         og_count(got) ? number_get(got, 0) : 0.0, want->text);
	}
}

/* Input 0's declared types. */
static bool takes(const og_op *op, og_dtype t)
{
	schema_args in;
	assert_int_equal(schema_inputs(&in, op), OG_OK);
	return in.arg[0].types >> t & 1;
}

static void run_example(const struct example *e, const og_op *op, og_dtype as)
{
	static const og_op none = { .name = "expected" };
	op_case c = { .as = as, .seed = 1 }, want = { .as = as };
	og_shape shape[CASE_ARGS];
	const char *rest;
	case_read(&c, op, e->text, &rest);
	case_read(&want, &none, e->outputs, &rest);
	og_status status = case_infer(&c, want.n_in, shape, false);
	if (status != OG_OK) fail_msg("%s '%s': %s", e->name, e->text, case_sentence);
	case_outputs(&c, shape);
	assert_int_equal(case_run(&c, CASE_PLAIN), OG_OK);
	expect(&c, &want, "definition", as == OG_BF16 ? 0.01 : as == OG_F16 ? 0.001 : 1e-7);
	for (int isa = 0; isa < OG_ISA_COUNT; isa++) {
		if (!op->cpu[isa] || !isa_runs(isa) || c.in[0].dtype != OG_F32) continue;
		assert_int_equal(case_run(&c, isa), OG_OK);
		expect(&c, &want, "kernel", 1e-6);
	}
	case_free(&want);
	case_free(&c);
}

static void test_examples(void **state)
{
	static const og_dtype types[] = { OG_F32, OG_F64, OG_F16, OG_BF16 };
	(void)state;
	for (size_t k = 0; k < sizeof examples / sizeof *examples; k++) {
		const struct example *e = &examples[k];
		const og_op *op = schema_find("", e->name, e->version);
		/* LayerNormalization has float32 among its outputs whatever the input's type is */
		bool once = strncmp(e->text, "f32", 3) != 0 || !strcmp(e->name, "LayerNormalization");
		if (!op) fail_msg("no op %s", e->name);
		for (int t = 0; t < (once ? 1 : 4); t++)
			if (once || takes(op, types[t])) run_example(e, op, types[t]);
	}
}

/* ---- kernels against definitions ------------------------------------------------------------- */

/* One case: the kernels give the same bits in every view, however the work is cut, close to the definition's. */
static void check_kernels(op_case *c, int n_out)
{
	og_shape shape[CASE_ARGS];
	double *want[CASE_ARGS];
	float *first[CASE_ARGS];
	og_status status = case_infer(c, n_out, shape, false);
	if (status != OG_OK) fail_msg("%s '%s': %s", c->op->name, c->text, case_sentence);
	case_outputs(c, shape);
	assert_int_equal(case_run(c, CASE_PLAIN), OG_OK);
	for (int k = 0; k < n_out; k++) {
		size_t n = (size_t)og_count(&c->out[k]);
		want[k] = malloc(n * sizeof *want[k] + 1);
		first[k] = malloc(n * sizeof *first[k] + 1);
		number_read(want[k], &c->out[k], 0, 1, og_count(&c->out[k]));
	}
	for (int isa = 0; isa < OG_ISA_COUNT; isa++) {
		if (!isa_runs(isa)) continue;
		case_cut = 1 + (int64_t)isa * 4;
		assert_int_equal(case_run(c, isa), OG_OK);
		for (int k = 0; k < n_out; k++) {
			size_t n = (size_t)og_count(&c->out[k]);
			double most = 1.0;
			if (c->out[k].dtype != OG_F32) continue;
			const float *y = c->out[k].data;
			for (size_t i = 0; i < n; i++) most = fmax(most, fabs(want[k][i]));
			for (size_t i = 0; i < n; i++)
				if (!is_close((double)y[i], want[k][i], 2e-6 * most))
					fail_msg("%s '%s': isa %d, output %d, element %zu is %.9g, by definition %.9g", c->op->name, c->text,
					         isa, k, i, (double)y[i], want[k][i]);
			if (isa == 0 && n) memcpy(first[k], y, n * sizeof *y);
			else if (n && memcmp(first[k], y, n * sizeof *y))
				fail_msg("%s '%s': isa %d has other bits", c->op->name, c->text, isa);
		}
	}
	for (int k = 0; k < n_out; k++) {
		free(want[k]);
		free(first[k]);
	}
	case_free(c);
}

static bool wants_positive(const og_op *op)
{
	return !strcmp(op->name, "BatchNormalization") || !strcmp(op->name, "ReduceLogSum") || !strcmp(op->name, "ReduceProd");
}

static int kernel_outputs(const og_op *op) { return !strcmp(op->name, "LayerNormalization") ? 3 : 1; }

/* The cases that op files carry. */
static void test_own_cases(void **state)
{
	int n = 0;
	(void)state;
	for (size_t k = 0; k < schema_count(); k++) {
		const og_op *op = schema_at(k);
		if (!op->cpu[OG_ISA_SCALAR] || !op->cases) continue;
		for (const char *p = op->cases; *p;) {
			op_case c = { .as = OG_F32, .seed = k + 1, .positive = wants_positive(op) };
			case_read(&c, op, p, &p);
			check_kernels(&c, kernel_outputs(op));
			n++;
		}
	}
	assert_true(n > 50);
}

static uint64_t random_seed = 20240607;

static int below(int n) { return (int)(case_random(&random_seed) % (uint64_t)n); }

/* The text of a case for forms[form]. */
static void random_text(char *to, size_t room, int form)
{
	int a = 1 + below(3), b = 1 + below(9), h = 4 + below(20), w = 4 + below(60), k = 1 + below(3), s = 1 + below(4);
	switch (form) {
	case 0: case 1:
		snprintf(to, room, "f32[%d,%d,%d,%d]; kernel_shape=[%d,%d], strides=[%d,%d], pads=[%d,0,%d,0], dilations=[1,%d], "
		         "ceil_mode=%d", a, b, h, w, k, 1 + below(2), 1 + below(3), s, below(k), below(k), 1 + below(3), below(2));
		break;
	case 2:
		snprintf(to, room, "f32[%d,%d,%d,%d]; axes=[%d,%d], keepdims=%d", b, h, a, w, below(2), 2 + below(2), below(2));
		break;
	case 3: snprintf(to, room, "f32[%d,%d]; axes=[%d]", h, w * w, below(2)); break;
	case 4: snprintf(to, room, "f32[%d,%d,%d]; axis=%d", b, h, w, below(3)); break;
	case 5: snprintf(to, room, "f32[%d,%d,%d] f32[%d] f32[%d]", a, h, w, w, w); break;
	case 6: snprintf(to, room, "f32[%d,%d,%d,%d] f32[%d] f32[%d]", a, b, h, w, b, b); break;
	default: snprintf(to, room, "f32[%d,%d,%d] f32[%d] f32[%d] f32[%d] f32[%d]", a, b, w, b, b, b, b); break;
	}
}

static void test_random_shapes(void **state)
{
#define REDUCTIONS { "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", \
	"ReduceLogSum" }
	static const struct { int version; const char *names[8]; } forms[] = {
		{ 22, { "MaxPool" } }, { 22, { "AveragePool" } },
		{ 11, REDUCTIONS }, { 11, REDUCTIONS }, { 13, { "Softmax", "LogSoftmax" } },
		{ 17, { "LayerNormalization" } }, { 6, { "InstanceNormalization" } }, { 15, { "BatchNormalization" } },
	};
	(void)state;
	for (int round = 0; round < 240; round++) {
		char line[256];
		int form = round % 8, n = 0;
		random_text(line, sizeof line, form);
		while (n < 8 && forms[form].names[n]) n++;
		const og_op *op = schema_find("", forms[form].names[below(n)], forms[form].version);
		op_case c = { .as = OG_F32, .seed = (uint64_t)round, .positive = wants_positive(op) };
		const char *rest;
		case_read(&c, op, line, &rest);
		check_kernels(&c, kernel_outputs(op));
	}
}

/* ---- shapes and refusals --------------------------------------------------------------------- */

static const struct refusal {
	const char *name;
	int version;
	const char *text;
	og_status status;
	const char *word;                    /* of the sentence */
} refusals[] = {
	{ "Conv", 11, "f32[1,3,4,4] f32[2,2,3,3]", OG_BAD_FILE, "channels" },
	{ "Conv", 11, "f32[1,2,4,4] f32[3,1,3,3]; group=2", OG_BAD_FILE, "group" },
	{ "Conv", 11, "f32[1,1,4,4] f32[1,1,3,3]; strides=[1]", OG_BAD_FILE, "strides" },
	{ "Conv", 11, "f32[1,1,4,4] f32[1,1,3,3]; strides=[0,1]", OG_BAD_FILE, "strides" },
	{ "Conv", 11, "f32[1,1,4,4] f32[1,1,3,3]; pads=[0,0,0,-1]", OG_BAD_FILE, "pads" },
	{ "Conv", 11, "f32[1,1,4,4] f32[1,1,3,3]; kernel_shape=[2,3]", OG_BAD_FILE, "kernel_shape" },
	{ "Conv", 11, "f32[1,1,2,2] f32[1,1,3,3]", OG_BAD_FILE, "window" },
	{ "Conv", 11, "f32[1,1,4] f32[2,1,2] f32[3]", OG_BAD_FILE, "vector" },
	{ "Conv", 11, "f32[1,1,2,2,2,2] f32[1,1,1,1,1,1]", OG_UNSUPPORTED, "rank" },
	{ "ConvTranspose", 11, "f32[1,1,1] f32[1,1,1]; pads=[1,1]", OG_BAD_FILE, "takes" },
	{ "MatMul", 13, "f32[2,3] f32[2,3]", OG_BAD_FILE, "differ" },
	{ "MatMul", 13, "f32[2,2,3] f32[3,3,3]", OG_BAD_FILE, "broadcast" },
	{ "MatMul", 13, "f32[] f32[3]", OG_BAD_FILE, "scalars" },
	{ "Gemm", 13, "f32[2,3] f32[2,3]", OG_BAD_FILE, "differ" },
	{ "Gemm", 13, "f32[2,3] f32[3,3] f32[2]", OG_BAD_FILE, "broadcast" },
	{ "MaxPool", 12, "f32[1,1,4]", OG_BAD_FILE, "kernel_shape" },
	{ "Softmax", 13, "f32[2,3]; axis=2", OG_BAD_FILE, "axis" },
	{ "ReduceSum", 11, "f32[2,3]; axes=[2]", OG_BAD_FILE, "axis" },
	{ "ReduceSum", 13, "f32[2,3] i64[2]{0 0}", OG_BAD_FILE, "twice" },
	{ "ArgMax", 13, "f32[2,0]; axis=1", OG_BAD_FILE, "no elements" },
	{ "BatchNormalization", 15, "f32[1,2,2] f32[2] f32[2] f32[2] f32[2]; training_mode=1", OG_UNSUPPORTED, "training" },
	{ "BatchNormalization", 15, "f32[1,2,2] f32[2] f32[1] f32[2] f32[2]", OG_BAD_FILE, "vector" },
	{ "LayerNormalization", 17, "f32[2,3] f32[2]", OG_BAD_FILE, "broadcast" },
	{ "GroupNormalization", 21, "f32[1,3,2] f32[3] f32[3]; num_groups=2", OG_BAD_FILE, "num_groups" },
	{ "LRN", 13, "f32[1,3,2]; size=0", OG_BAD_FILE, "size" },
	{ "QuantizeLinear", 13, "f32[2,3] f32[2]", OG_BAD_FILE, "differ" },
};

static void test_refusals(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof refusals / sizeof *refusals; k++) {
		const struct refusal *r = &refusals[k];
		op_case c = { .as = OG_F32 };
		og_shape shape[CASE_ARGS];
		const char *rest;
		case_read(&c, schema_find("", r->name, r->version), r->text, &rest);
		case_sentence[0] = 0;
		og_status status = case_infer(&c, 1, shape, false);
		if (status != r->status || !strstr(case_sentence, r->word))
			fail_msg("%s '%s': status %d, '%s'", r->name, r->text, (int)status, case_sentence);
		case_free(&c);
	}
}

/* With unknown dimensions every rule still answers, and never invents one. */
static void test_unknown_dimensions(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof examples / sizeof *examples; k++) {
		op_case c = { .as = OG_F32, .seed = 1 };
		og_shape known[CASE_ARGS], hidden[CASE_ARGS];
		const char *rest;
		case_read(&c, schema_find("", examples[k].name, examples[k].version), examples[k].text, &rest);
		assert_int_equal(case_infer(&c, 1, known, false), OG_OK);
		og_status status = case_infer(&c, 1, hidden, true);
		if (status != OG_OK) fail_msg("%s '%s': %s", c.op->name, c.text, case_sentence);
		if (hidden[0].rank >= 0 && hidden[0].rank != known[0].rank) fail_msg("%s '%s': rank", c.op->name, c.text);
		for (int d = 0; d < hidden[0].rank; d++)
			if (hidden[0].dims[d] >= 0 && hidden[0].dims[d] != known[0].dims[d])
				fail_msg("%s '%s': dimension %d", c.op->name, c.text, d);
		c.n_out = 0;
		case_free(&c);
	}
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void test_narrow_floats(void **state)
{
	static const og_dtype types[] = { OG_F16, OG_BF16, OG_F8E4M3FN, OG_F8E4M3FNUZ, OG_F8E5M2, OG_F8E5M2FNUZ, OG_F4E2M1 };
	(void)state;
	for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
		const number_format *f = number_narrow(types[k]);
		double before = number_decode(f, 0);
		for (unsigned code = 1; code < f->sign; code++) {
			double x = number_decode(f, code);
			if (isnan(x)) continue;
			assert_int_equal(number_encode(f, x, 0), code);
			assert_int_equal(number_encode(f, -x, 0), code | f->sign);
			assert_true(x > before);
			/* between two neighbours the even code wins, and a little more or less decides */
			if (!isinf(x)) {
				double middle = (before + x) / 2;
				assert_int_equal(number_encode(f, middle, 0), code & 1 ? code - 1 : code);
				assert_int_equal(number_encode(f, nextafter(middle, INFINITY), 0), code);
				assert_int_equal(number_encode(f, nextafter(middle, 0), 0), code - 1);
			}
			before = x;
		}
		assert_int_equal(number_encode(f, 1e300, 1), f->largest);
	}
	assert_int_equal(number_encode(number_narrow(OG_F16), 65520.0, 0), 0x7c00);
	assert_int_equal(number_encode(number_narrow(OG_F8E4M3FN), 465.0, 0), 0x7f);
	assert_int_equal(number_encode(number_narrow(OG_F8E5M2FNUZ), -0.0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples), cmocka_unit_test(test_own_cases), cmocka_unit_test(test_random_shapes),
		cmocka_unit_test(test_refusals), cmocka_unit_test(test_unknown_dimensions), cmocka_unit_test(test_narrow_floats),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
