/* opsdoc.c -- prints docs/ops.md: the table of ops with what is measured of each formula, then the contract on special
 * values. Run in the root of the repository: opsdoc [CONTRACT.md] > docs/ops.md */
#include <stdio.h>
#include <stdlib.h>

#include "kit/ulp.h"
#include "schema/schema.h"

enum { STRIDE = 509, ROUNDS = 400 };

/* The largest error of an op, and where. */
typedef struct worst {
	double ulp;
	int set;                             /* of attribute values */
	float attr[OG_MAX_MAP_ATTRS], x[OG_MAX_IN];
} worst;

static int best_isa(void)
{
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
	    && __builtin_cpu_supports("avx512vl")) return OG_ISA_AVX512;
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? OG_ISA_AVX2 : OG_ISA_SCALAR;
}

/* The samples are the same on every machine, and so are the formula's bits. */
static worst measure(const og_op *op)
{
	static float x[OG_MAX_IN][ULP_BLOCK], y[ULP_BLOCK];
	static double wide[OG_MAX_IN][ULP_BLOCK], ref[ULP_BLOCK];
	const void *in[OG_MAX_IN] = { x[0], x[1], x[2] }, *in_ref[OG_MAX_IN] = { wide[0], wide[1], wide[2] };
	const int isa = best_isa();
	worst w = { .ulp = 0 };
	float attr[OG_MAX_MAP_ATTRS] = { 0 };
	if (ulp_is_test(op)) return w;
	for (int set = 0; ulp_attributes(op, set, attr); set++) {
		ulp_samples s = { .inputs = op->map_inputs, .stride = STRIDE, .rounds = ROUNDS };
		for (size_t n; (n = ulp_next(&s, x)) > 0;) {
			for (int k = 0; k < op->map_inputs; k++)
				for (size_t i = 0; i < n; i++) wide[k][i] = (double)x[k][i];
			op->map[isa](n, y, in, attr);
			op->ref(n, ref, in_ref, attr);
			for (size_t i = 0; i < n; i++) {
				double e = ulp_error(y[i], ref[i]);
				if (!(e > w.ulp)) continue;
				w.ulp = e;
				w.set = set;
				memcpy(w.attr, attr, sizeof attr);
				for (int k = 0; k < OG_MAX_IN; k++) w.x[k] = x[k][i];
			}
		}
	}
	return w;
}

static void print_error(const og_op *op)
{
	worst w;
	if (!op->map[OG_ISA_SCALAR]) {
		printf(" |");
		return;
	}
	w = measure(op);
	if (w.ulp == 0) printf(" exact |");
	else if (w.ulp <= 0.5) printf(" rounded |");
	else {
		printf(" %.2f at", w.ulp);
		for (int k = 0; k < op->map_inputs; k++) printf("%s %.6g", k ? "," : "", (double)w.x[k]);
		for (int k = 0; k < op->map_attrs && w.set > 0; k++) printf(", %s=%g", op->attrs[k].name, (double)w.attr[k]);
		printf(" |");
	}
}

/* As table text. */
static void print_text(const char *s)
{
	for (; s && *s; s++) printf(*s == '|' ? "\\|" : "%c", *s);
}

static const char *views(const og_op *op)
{
	if (op->map[OG_ISA_SCALAR]) return "formula";
	if (op->flags & OG_VIEW_OF_INPUT) return "no work";
	return op->cpu[OG_ISA_SCALAR] || op->cpu[OG_ISA_AVX2] || op->cpu[OG_ISA_AVX512] ? "C, kernels" : "C";
}

static void print_op(const og_op *op)
{
	printf("| %s | %s | %d | %s |", op->name, op->domain ? op->domain : "", op->since, views(op));
	print_error(op);
	printf(" ");
	print_text(op->types ? op->types : "any");
	printf(" | ");
	print_text(op->doc);
	printf(" |\n");
}

static int copy_file(const char *path)
{
	char buffer[4096];
	FILE *f = fopen(path, "r");
	if (!f) {
		fprintf(stderr, "opsdoc: cannot read %s; run it in the root of the repository\n", path);
		return 3;
	}
	for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;) fwrite(buffer, 1, n, stdout);
	fclose(f);
	return 0;
}

int main(int argc, char **argv)
{
	size_t formulas = 0;
	for (size_t k = 0; k < schema_count(); k++) formulas += schema_at(k)->map[OG_ISA_SCALAR] != NULL;
	printf("# Operators\n\nMade from the op files by `make docs`; do not edit. %zu entries, %zu of them formulas.\n\n", schema_count(),
	       formulas);
	printf("*Since* is the first opset with that meaning. *Runs as*: a **formula** has a scalar, an AVX2, an AVX-512 and a CUDA "
	       "view\nthat give the same bits; **C** is a plain definition, which a backend may replace by faster kernels. *Error* is the "
	       "largest one\nmeasured in units of the last place of a float32 against the formula in double with libm, over every %dth "
	       "float (with two\ninputs: %d random pairs and all pairs of special values) and several attribute values; *rounded* is at "
	       "most 0.5.\n\n", STRIDE, ROUNDS * ULP_BLOCK);
	printf("| Op | Domain | Since | Runs as | Error | Types | Result |\n|---|---|---|---|---|---|---|\n");
	for (size_t k = 0; k < schema_count(); k++) print_op(schema_at(k));
	printf("\n");
	return copy_file(argc > 1 ? argv[1] : "docs/contract.md");
}
