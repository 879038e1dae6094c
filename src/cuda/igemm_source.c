/* igemm_source.c -- the CUDA C of one variant: op files, macros, the epilogue as a function, the kernel's text. */
#include "cuda/igemm.h"

#include <stdio.h>

#include "cuda/code.h"
#include "cuda/nvrtc.h"
#include "cuda/texts.h"

CUDA_EMBED(igemm_text_args, "src/cuda/igemm_args.h")
CUDA_EMBED(igemm_text_common, "src/cuda/text/igemm.cuh")
CUDA_EMBED(igemm_text_wgmma, "src/cuda/text/wgmma.cuh")
CUDA_EMBED(igemm_text_window, "src/cuda/text/window.cuh")
CUDA_EMBED(igemm_text_mma, "src/cuda/text/mma.cuh")

/* float32 in full: formulas give the bits that they give on the CPU. Elsewhere the tensor's rounding is all that is
 * seen. */
static bool is_exact(const igemm_problem *p) { return p->dtype == OG_F32 && !p->tf32; }

const char *const *igemm_options(const igemm_problem *p, int *n)
{
	static const char *const exact[] = { NVRTC_EXACT };
	static const char *const fast[] = { "--std=c++17", "-default-device", "--use_fast_math" };
	*n = is_exact(p) ? sizeof exact / sizeof *exact : sizeof fast / sizeof *fast;
	return is_exact(p) ? exact : fast;
}

/* ---- op files --------------------------------------------------------------------------------- */

/* Each file once, however many formulas of it are used. */
static void add_op_files(text *t, const program *tail)
{
	for (int k = 0; tail && k < tail->n_steps; k++) {
		const char *file = tail->step[k].op->text;
		bool there = false;
		for (int i = 0; i < k; i++) there |= tail->step[i].op->text == file;
		if (!there) text_addn(t, file, (size_t)(tail->step[k].op->text_end - file));
		text_add(t, "\n");
	}
}

/* float tail(float r0, const float *x): register 0 and the operands in, the result out. */
static void add_tail(text *t, const igemm_problem *p)
{
	text_printf(t, "#define OPERANDS %d\nHERE int operand_kind(int k) { return ", p->n_operands);
	for (int k = 0; k < p->n_operands; k++) text_printf(t, "k == %d ? %d : ", k, p->operand[k]);
	text_add(t, "0; }\nHERE float tail(float r0, const float *x)\n{\n");
	for (int k = 1; k <= p->n_operands; k++) text_printf(t, "\tfloat r%d = x[%d];\n", k, k - 1);
	for (int k = p->n_operands + 1; p->tail && k < p->tail->n_regs; k++) text_printf(t, "\tfloat r%d;\n", k);
	for (int k = 0; p->tail && k < p->tail->n_steps; k++) {
		text_add(t, "\t");
		cuda_put_step(t, &p->tail->step[k]);
	}
	text_printf(t, "\treturn r%d;\n}\n", p->tail ? p->tail->result : 0);
}

/* ---- instructions ----------------------------------------------------------------------------- */

/* d += a * b over a step of the depth, or d = a * b: 64 rows of a and bn rows of b, both described in shared memory. */
static void add_wgmma(text *t, const igemm_problem *p, int bn)
{
	const int n = bn / 2;
	const char *type = p->dtype == OG_F16 ? "f16" : p->dtype == OG_BF16 ? "bf16" : "tf32";
	text_printf(t, "HERE void mma(float (&d)[%d], u64 a, u64 b, int adds)\n{\n"
	            "\tasm volatile(\"{\\n.reg .pred adds;\\nsetp.ne.b32 adds, %%%d, 0;\\n\"\n"
	            "\t\t\"wgmma.mma_async.sync.aligned.m64n%dk%d.f32.%s.%s {",
	            n, n + 2, bn, p->dtype == OG_F32 ? 8 : 16, type, type);
	for (int k = 0; k < n; k++) text_printf(t, "%s%%%d", k ? ", " : "", k);
	text_printf(t, "}, %%%d, %%%d, adds, 1, 1%s;\\n}\"\n\t\t: ", n, n + 1, p->dtype == OG_F32 ? "" : ", 0, 0");
	for (int k = 0; k < n; k++) text_printf(t, "%s\"+f\"(d[%d])", k ? ", " : "", k);
	text_add(t, " : \"l\"(a), \"l\"(b), \"r\"(adds));\n}\n");
}

/* ---- the program ------------------------------------------------------------------------------ */

static int staged_operand(const igemm_problem *p)
{
	for (int k = 0; k < p->n_operands; k++)
		if (p->operand[k] == IGEMM_FULL) return k;
	return -1;
}

static void add_type(text *t, const igemm_problem *p)
{
	text_add(t, "#line 1 \"igemm_args.h\"\n");
	text_add(t, igemm_text_args);
	text_add(t, "#define HERE static __device__ __forceinline__\ntypedef unsigned long long u64;\n");
	text_printf(t, "#define T_F16 %d\n#define T_BF16 %d\n#define T_F32 %d\n",
	            p->dtype == OG_F16, p->dtype == OG_BF16, p->dtype == OG_F32);
}

/* What the kernels' texts are parameterised by; each says what its own mean. */
static void add_macros(text *t, const igemm_problem *p, const igemm_variant *v)
{
	const igemm_grid warps = igemm_warps(v);
	const bool copied = v->way == IGEMM_WGMMA || v->way == IGEMM_WINDOW;
	text_printf(t, "#define BM %d\n#define BN %d\n#define STAGES %d\n#define BLOCKS %d\n",
	            v->bm, v->bn, v->stages, v->blocks);
	if (copied) text_printf(t, "#define SPLIT %d\n#define TURNS %d\n", v->split, v->turns);
	else text_printf(t, "#define WARPS_M %d\n#define WARPS_N %d\n#define WHOLE %d\n#define FMA %d\n", warps.m, warps.n,
	                 p->c % (p->dtype == OG_F32 ? 4 : 8) == 0 && p->row_in % (p->dtype == OG_F32 ? 4 : 8) == 0,
	                 v->way == IGEMM_FMA);
	text_printf(t, "#define STAGED (%d)\n", copied ? staged_operand(p) : -1);
}

og_status igemm_source(char **out, const igemm_problem *p, const igemm_variant *v)
{
	text t = { 0 };
	const bool copied = v->way == IGEMM_WGMMA || v->way == IGEMM_WINDOW;
	if (p->tail && p->tail->n_steps) {
		if (!is_exact(p)) text_add(&t, "#include \"cuda/text/fast.cuh\"\n");
		add_op_files(&t, p->tail);
	}
	add_type(&t, p);
	add_macros(&t, p, v);
	add_tail(&t, p);
	text_add(&t, "#line 1 \"igemm.cuh\"\n");
	text_add(&t, igemm_text_common);
	if (copied) add_wgmma(&t, p, v->bn);
	text_printf(&t, "#line 1 \"%s.cuh\"\n", copied ? "wgmma" : "mma");
	text_add(&t, copied ? igemm_text_wgmma : igemm_text_mma);
	*out = text_take(&t);
	NEED(*out);
	return OG_OK;
}

og_status igemm_window_source(char **out, const igemm_problem *p, og_dtype from)
{
	const igemm_window w = igemm_window_of(p);
	text t = { 0 };
	add_type(&t, p);
	text_printf(&t, "#define FOLD_H %d\n#define FOLD_W %d\n#define CELL %d\n#define CHANNELS %d\n",
	            w.fold_h, w.fold_w, w.cell, p->c);
	text_printf(&t, "#define FROM_F32 %d\n#define STAGED (-1)\n", from == OG_F32 && p->dtype != OG_F32);
	add_tail(&t, &(igemm_problem){ .n_operands = 0 });
	text_add(&t, "#line 1 \"igemm.cuh\"\n");
	text_add(&t, igemm_text_common);
	text_add(&t, "#line 1 \"window.cuh\"\n");
	text_add(&t, igemm_text_window);
	*out = text_take(&t);
	NEED(*out);
	return OG_OK;
}

void igemm_target(char *out, const igemm_variant *v, const igemm_device *d)
{
	snprintf(out, 16, "%d%d%s", d->major, d->minor, v->way == IGEMM_WGMMA || v->way == IGEMM_WINDOW ? "a" : "");
}
