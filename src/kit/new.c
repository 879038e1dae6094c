/* new.c -- op files to begin with. In the templates below $N is the op's name and $n the same in small letters. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "kit/kit.h"
#include "opgraft.h"
#include "schema/schema.h"

static const char elementwise[] =
	"/* $N: x * tanh(beta * x). Change the formula, the sentence, the body and the cases; then\n"
	" *   opgraft op build FILE.c -o LIB.so && opgraft op test ./LIB.so */\n"
	"#include \"opgraft/op.h\"\n"
	"\n"
	"/* The formula. A v is a float, 8 or 16 of them, a double or a float on a GPU: use the words of opgraft/vec.h and\n"
	" * opgraft/vmath.h (v_exp, v_sel(x > 0.0f, x, 0.0f), ...). Inputs are v; attributes follow as float. */\n"
	"EXPR v $n_formula(v x, float beta) { return x * v_tanh(beta * x); }\n"
	"\n"
	"MAP($n_formula, 1, 1)                  /* one input, one attribute */\n"
	"\n"
	"OP($n, .name = \"$N\", .domain = OG_DOMAIN, .since = 1,\n"
	"   .doc = \"x * tanh(beta * x).\",\n"
	"   .inputs = \"x:T\", .outputs = \"y:T\", .types = \"T=f32 f64 f16 bf16\",\n"
	"   ATTRS(OG_RANGE(\"beta\", 1.0, 0.0, 10.0)),          /* default, lowest, highest */\n"
	"   MAPS($n_formula),\n"
	"   .ulp = 4,                            /* largest error against double precision, in units of the last place */\n"
	"   /* The same in ONNX's ops: what a runtime without this library runs, and how networks are searched for it. */\n"
	"   .body = \"Mul(x, Tanh(Mul(x, beta)))\",\n"
	"   .cases = \"f32[2,3,5] | f32[7]; beta=0.5 | f32[0,3]\")\n";

static const char rowwise[] =
	"/* $N: every row divided by its root mean square. Change the formulas, the sentence and the cases; then\n"
	" *   opgraft op build FILE.c -o LIB.so && opgraft op test ./LIB.so */\n"
	"#include \"opgraft/op.h\"\n"
	"\n"
	"/* What the mean is taken of, and the result of an element, that mean and the attributes. A v is a float, 8 or 16 of them,\n"
	" * a double or a float on a GPU: use the words of opgraft/vec.h and opgraft/vmath.h. */\n"
	"EXPR v $n_row_1(v x, float epsilon) { (void)epsilon; return x * x; }\n"
	"EXPR v $n_row(v x, v mean, float epsilon) { return x / v_sqrt(mean + epsilon); }\n"
	"\n"
	"ROWS($n_row, 1, 1, MEAN)               /* one input, one attribute; MAX, SUM or MEAN, or two of them: opgraft/rows.h */\n"
	"\n"
	"OP($n, .name = \"$N\", .domain = OG_DOMAIN, .since = 1,\n"
	"   .doc = \"Every row divided by its root mean square.\",\n"
	"   .inputs = \"x:T\", .outputs = \"y:T\", .types = \"T=f32 f64 f16 bf16\",\n"
	"   /* Default, lowest, highest; the axis stands right behind what the formulas take. */\n"
	"   ATTRS(OG_RANGE(\"epsilon\", 1e-5, 1e-9, 1.0), OG_INT(\"axis\", -1)), BY_ROWS($n_row),\n"
	"   /* The same in ONNX's ops may stand in .body: what a runtime without this library runs. */\n"
	"   .cases = \"f32[2,3,40] | f32[5,4]; axis=0, epsilon=0.1 | f32[0,3]\")\n";

static const char general[] =
	"/* $N: every other element along the last axis. Change it; then\n"
	" *   opgraft op build FILE.c -o LIB.so && opgraft op test ./LIB.so */\n"
	"#include \"opgraft/op.h\"\n"
	"\n"
	"#if OP_BASE\n"
	"/* The shape of the output. Sizes may be symbols, so they are reckoned with og_dim_do and not with / and *. */\n"
	"static og_status $n_shape(og_infer *c)\n"
	"{\n"
	"	const og_shape *x = &c->in[0];\n"
	"	og_shape *y = &c->out[0];\n"
	"	if (x->rank < 0) return OG_OK;       /* not known yet */\n"
	"	if (x->rank == 0) return (c->host->fail)(OG_BAD_FILE, \"$N needs an axis: its input is a scalar\");\n"
	"	y->rank = x->rank;\n"
	"	memcpy(y->dims, x->dims, sizeof x->dims);\n"
	"	y->dims[y->rank - 1] = og_dim_do(c, OG_DIM_CEIL_DIV, x->dims[x->rank - 1], c->attr[0].i);\n"
	"	return OG_OK;\n"
	"}\n"
	"\n"
	"typedef struct $n_task { const float *x; float *y; int64_t n, step, made; } $n_task;\n"
	"\n"
	"/* Rows [begin, end): several threads may be at it, so the result must not depend on the cut. */\n"
	"static void $n_rows(void *arg, int64_t begin, int64_t end)\n"
	"{\n"
	"	const $n_task *t = (const $n_task *)arg;\n"
	"	for (int64_t row = begin; row < end; row++)\n"
	"		for (int64_t i = 0; i < t->made; i++) t->y[row * t->made + i] = t->x[row * t->n + i * t->step];\n"
	"}\n"
	"\n"
	"/* The definition. It may trust what the shape rule made sure of; workspace, if .workspace asks for some, is c->workspace. */\n"
	"static og_status $n_eval(const og_call *c)\n"
	"{\n"
	"	const og_tensor *x = c->in[0], *y = c->out[0];\n"
	"	$n_task t = { (const float *)x->data, (float *)y->data, x->dims[x->rank - 1], c->attr[0].i, y->dims[y->rank - 1] };\n"
	"	c->host->parallel(c, og_span(x, 0, x->rank - 1), 64, $n_rows, &t);\n"
	"	return OG_OK;\n"
	"}\n"
	"#endif\n"
	"\n"
	"OP($n, .name = \"$N\", .domain = OG_DOMAIN, .since = 1,\n"
	"   .doc = \"Every step-th element along the last axis.\",\n"
	"   .inputs = \"x:T\", .outputs = \"y:T\", .types = \"T=f32\",\n"
	"   ATTRS({ .name = \"step\", .type = OG_ATTR_INT, .value = 2, .low = 1, .high = 1000 }),\n"
	"   .shape = $n_shape, .eval = $n_eval,\n"
	"   .cases = \"f32[2,3,7] | f32[8]; step=3 | f32[0,3]\")\n";

/* "MyOp" as "my_op". */
static void small_letters(char *out, const char *name)
{
	for (size_t i = 0; name[i]; i++) {
		unsigned char c = (unsigned char)name[i];
		if (isupper(c) && i > 0 && !isupper((unsigned char)name[i - 1]) && name[i - 1] != '_') *out++ = '_';
		*out++ = (char)tolower(c);
	}
	*out = '\0';
}

static og_status fill_in(text *t, const char *template, const char *name)
{
	char small[160];
	small_letters(small, name);
	for (const char *at = template; *at;) {
		size_t n = strcspn(at, "$");
		text_addn(t, at, n);
		at += n;
		if (!*at) break;
		text_add(t, at[1] == 'N' ? name : small);
		at += 2;
	}
	return t->failed ? base_no_memory() : OG_OK;
}

static og_status check_name(const char *name)
{
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
	if (n > 0 && !name[n] && n <= 64 && isalpha((unsigned char)*name)) return OG_OK;
	return base_fail(OG_USAGE, "an operator's name is letters, digits and '_' and begins with a letter, not '%.80s'", name);
}

/* TensorRT's ONNX parser looks at a node's type alone. It imports ONNX's own types, and these, which ONNX has retired or never
 * had (github.com/onnx/onnx-tensorrt, onnxOpImporters.cpp of release 10.1). */
static bool tensorrt_knows(const char *name)
{
	static const char *const more[] = { "ImageScaler", "ParametricSoftplus", "RandomNormal", "RandomNormalLike", "RandomUniform",
	                                    "RandomUniformLike", "ScaledTanh", "Scatter" };
	for (size_t i = 0; i < sizeof more / sizeof *more; i++)
		if (!strcmp(more[i], name)) return true;
	return !strncmp(name, "TRT_", 4) || schema_find("", name, INT64_MAX);
}

static og_status make_note(char **note, const char *name)
{
	text t = { 0 };
	if (tensorrt_knows(name))
		text_printf(&t, "TensorRT's parser has a %s of its own and takes that; give .name another value, such as \"My%s\", and keep "
		            ".called = \"%s\" for what people write", name, name, name);
	else if (schema_find_any(name))
		text_printf(&t, "Opgraft has an operator called %s already; two of one name and domain cannot be loaded together", name);
	if (!t.length) return OG_OK;
	*note = text_take(&t);
	return *note ? OG_OK : base_no_memory();
}

og_status og_op_new(const char *path, const char *name, og_op_kind kind, char **note)
{
	const char *const templates[] = { [OG_OP_ELEMENTWISE] = elementwise, [OG_OP_ROWWISE] = rowwise, [OG_OP_GENERAL] = general };
	text t = { 0 };
	if (note) *note = NULL;
	if ((unsigned)kind > OG_OP_GENERAL) return base_fail(OG_USAGE, "there is no such kind of op");
	TRY(check_name(name));
	og_status status = fill_in(&t, templates[kind], name);
	FILE *f = status == OG_OK ? fopen(path, "wx") : NULL;
	if (status == OG_OK && !f)
		status = errno == EEXIST ? base_fail(OG_USAGE, "%s: is there already and stays as it is; name another file with -o", path)
		                         : base_fail(OG_MISSING, "%s: cannot be created: %s", path, strerror(errno));
	if (f) {
		bool written = fwrite(t.data, 1, t.length, f) == t.length;
		if ((fclose(f) || !written)) {
			(void)unlink(path);
			status = base_fail(OG_MISSING, "%s: cannot be written: %s", path, strerror(errno));
		}
	}
	text_free(&t);
	if (status == OG_OK && note) status = make_note(note, name);
	return status;
}
