/* general.c -- what is not of floats alone, an element a thread: casts, comparisons, Where, Gather of indices that come at run time;
 * and ArgMax and ArgMin. */
#include "cuda/cuda.h"
#include "ops/axis.h"

/* Elements in device code; bool is one byte, 0 or 1. X(type, name, least, greatest) */
#define INTEGERS(X) \
	X(OG_I8, "signed char", "-128", "127") X(OG_U8, "unsigned char", "0", "255") X(OG_I16, "short", "-32768", "32767") \
	X(OG_U16, "unsigned short", "0", "65535") X(OG_I32, "int", "(-2147483647 - 1)", "2147483647") \
	X(OG_U32, "unsigned", "0u", "4294967295u") \
	X(OG_I64, "long long", "(-9223372036854775807ll - 1)", "9223372036854775807ll") \
	X(OG_U64, "unsigned long long", "0ull", "18446744073709551615ull")
typedef struct integer { og_dtype dtype; const char *name, *least, *greatest; } integer;
static const integer integers[] = {
#define X(dtype, name, least, greatest) { dtype, name, least, greatest },
	INTEGERS(X)
#undef X
};

static const integer *integer_of(og_dtype t)
{
	for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
		if (integers[i].dtype == t) return &integers[i];
	return NULL;
}

static const char *type_of(og_dtype t)
{
	const integer *i = integer_of(t);
	return cuda_is_float(t) ? cuda_type(t) : t == OG_BOOL ? "unsigned char" : i ? i->name : NULL;
}

/* ---- an element of each operand --------------------------------------------------------------- */

/* What makes y of x0 and so on: of a Cast, of an op whose formula is a test, of Where. */
static bool put_cast(text *t, const backend_node *node)
{
	const og_dtype from = node->in[0].dtype, to = node->out->dtype;
	const integer *i = integer_of(to);
	if (cuda_is_float(from)) {
		if (to == OG_BOOL) text_add(t, "og_value(x0) != 0.0f");
		else if (i) text_printf(t, "og_value(x0) >= (float)%s ? %s : og_value(x0) > (float)%s ? (%s)og_value(x0) : og_value(x0) != og_value(x0) ? 0 : %s",
			                    i->greatest, i->greatest, i->least, i->name, i->least);
		return to == OG_BOOL || i;
	}
	if (to == OG_BOOL) text_add(t, "x0 != 0");
	else if (cuda_is_float(to)) text_printf(t, "og_make<%s>((float)x0)", cuda_type(to));
	else text_printf(t, "(%s)x0", type_of(to));
	return true;
}

static og_status put_test(text *t, const cuda_request *r)
{
	const backend_node *node = r->node;
	if (node->n_in != node->op->map_inputs || node->op->map_attrs) return OG_NO;
	for (int k = 0; k < node->n_in; k++)
		if (!cuda_is_float(node->in[k].dtype) && node->in[k].dtype != OG_BOOL) return OG_NO;
	TRY(cuda_code_op(node->code, node->op));
	text_printf(t, "%s(", node->op->formula);
	for (int k = 0; k < node->n_in; k++)
		text_printf(t, cuda_is_float(node->in[k].dtype) ? "%sog_value(x%d)" : "%s(float)x%d", k ? ", " : "", k);
	text_add(t, ")");
	return OG_OK;
}

static og_status put_each(text *t, const cuda_request *r, int64_t *blocks)
{
	const backend_node *node = r->node;
	const bool where = !strcmp(node->op->name, "Where"), casts = !strcmp(node->op->name, "Cast");
	const og_tensor *operand[PROGRAM_MAX_REGS];
	cuda_walk w;
	if (!where && !casts && (!node->op->formula || node->out->dtype != OG_BOOL)) return OG_NO;
	for (int k = 0; k < node->n_in; k++) operand[k] = &node->in[k];
	if (!cuda_walk_over(&w, node->out, operand, node->n_in, LAYOUT_PLAIN)) return OG_NO;
	text_printf(t, "(const __grid_constant__ og_step c)\n{\n\tfor (long long at = og_first(); at < %lldll; at += og_stride()) {\n",
	            (long long)w.count);
	cuda_walk_indices(t, &w, "\t\t");
	for (int k = 0; k < w.n; k++) {
		const char *type = where && k ? cuda_bits_of(og_dtype_bytes(w.type[k])) : type_of(w.type[k]);
		if (!type || (where && (k ? w.type[k] != node->out->dtype : w.type[k] != OG_BOOL))) return OG_NO;
		text_printf(t, "\t\tconst %s x%d = ((const %s *)c.in[%d])[", type, k, type, k);
		cuda_walk_offset(t, &w, k);
		text_add(t, "];\n");
	}
	const char *made = where ? cuda_bits_of(og_dtype_bytes(node->out->dtype)) : type_of(node->out->dtype);
	if (!made) return OG_NO;
	text_printf(t, "\t\t((%s *)c.out[0])[at] = ", made);
	if (where) text_add(t, "x0 ? x1 : x2");
	else if (!casts) TRY(put_test(t, r));
	else if (!put_cast(t, node)) return OG_NO;
	text_add(t, ";\n\t}\n}\n");
	*blocks = (w.count + CUDA_THREADS - 1) / CUDA_THREADS;
	return OG_OK;
}

/* ---- Gather ------------------------------------------------------------------------------------- */

/* An index out of range, which nobody can be told of here, gives NaN or 0. */
static og_status put_gather(text *t, const backend_node *node, int64_t *blocks)
{
	const og_tensor *x = &node->in[0], *indices = &node->in[1];
	const size_t bytes = og_dtype_bytes(x->dtype);
	const char *bits = cuda_bits_of(bytes);
	const int axis = x->rank ? og_axis(node->attr[0].i, x->rank) : -1;
	if (!bits || axis < 0 || x->dtype != node->out->dtype || (indices->dtype != OG_I32 && indices->dtype != OG_I64)) return OG_NO;
	const axis_split s = axis_of(x, axis);
	int64_t wide = 16 / (int64_t)bytes, packs;
	while (s.inner % wide) wide /= 2;
	packs = og_count(node->out) / wide;
	text_printf(t, "(const __grid_constant__ og_step c)\n{\n\ttypedef %s T;\n\ttypedef %s I;\n", bits, type_of(indices->dtype));
	CUDA_PUT(t, "\tconst int V = $;\n\tconst long long N = $, INNER = $, COUNT = $;\n"
	            "\tfor (long long pack = og_first(); pack < $ll; pack += og_stride()) {\n",
	         wide, s.n, s.inner / wide, og_count(indices), packs);
	text_add(t, "\t\tconst long long line = pack / INNER, told = ((const I *)c.in[1])[line % COUNT], i = told < 0 ? told + N : told;\n"
	            "\t\tog_pack<T, V> y;\n\t\t#pragma unroll\n");
	text_printf(t, "\t\tfor (int e = 0; e < V; e++) y.e[e] = (T)%s;\n", cuda_is_float(x->dtype) ? "~0ull" : "0");
	text_add(t, "\t\tif (i >= 0 && i < N) y = og_read<T, V>((const T *)c.in[0] + ((line / COUNT * N + i) * INNER + pack % INNER) * V);\n"
	            "\t\tog_write<T, V>((T *)c.out[0] + pack * V, y);\n\t}\n}\n");
	*blocks = (packs + CUDA_THREADS - 1) / CUDA_THREADS;
	return OG_OK;
}

/* ---- ArgMax, ArgMin ----------------------------------------------------------------------------- */

enum { AXIS, KEEPDIMS, LAST };           /* attributes */

static og_status put_extreme(text *t, const backend_node *node, int64_t *blocks)
{
	const og_tensor *x = &node->in[0];
	const int axis = x->rank ? og_axis(node->attr[AXIS].i, x->rank) : -1;
	if (axis < 0 || !cuda_is_float(x->dtype) || node->out->dtype != OG_I64) return OG_NO;
	const axis_split s = axis_of(x, axis);
	const int64_t lines = s.outer * s.inner, team = s.inner > 1 ? 1 : s.n > CUDA_THREADS * 4 ? CUDA_THREADS : 32;
	text_printf(t, "(const __grid_constant__ og_step c)\n{\n\togr_extreme<%s, %s, ", cuda_type(x->dtype),
	            !strcmp(node->op->name, "ArgMax") ? "true" : "false");
	CUDA_PUT(t, "$, $, $, $, $>(c);\n}\n", node->attr[LAST].i != 0, team, s.outer, s.n, s.inner);
	*blocks = (lines * team + CUDA_THREADS - 1) / CUDA_THREADS;
	return OG_OK;
}

og_status cuda_general(backend_kernel *out, const cuda_request *r)
{
	const backend_node *node = r->node;
	cuda_launches *l;
	int64_t blocks = 0;
	if (!cuda_is_tactic(r, "general") || !node->op || node->op->domain || node->tail || node->n_out != 1 ||
	    og_count(node->out) == 0)
		return OG_NO;
	for (int k = 0; k < node->n_in; k++)
		if (!cuda_has(node, k)) return OG_NO;
	const bool extreme = !strcmp(node->op->name, "ArgMax") || !strcmp(node->op->name, "ArgMin");
	TRY(cuda_launch_begin(&l, r));
	text t = { 0 };
	og_status status = extreme ? put_extreme(&t, node, &blocks)
	                 : !strcmp(node->op->name, "Gather") ? put_gather(&t, node, &blocks) : put_each(&t, r, &blocks);
	char *made = text_take(&t);
	if (status == OG_OK && !made) status = base_no_memory();
	if (status == OG_OK) status = cuda_launch_add(l, r, made, blocks);
	base_free(made);
	TRY(status);
	*out = (backend_kernel){ .tactic = r->tactic, .cost = 4000.0 + (double)og_count(node->out) * 4e-3 };
	cuda_launch_with(out, l);
	return OG_OK;
}
