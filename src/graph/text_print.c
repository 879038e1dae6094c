/* text_print.c -- writes a model as text (docs/graph-text.md). The text is ASCII, one node a line. */
#include "graph/text_read.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Constants of more elements are written as the hexadecimal digits of their bytes. */
enum { MAX_LISTED = 64 };

/* ---- words ---------------------------------------------------------------------------------- */

static void indent(text *out, int depth)
{
	for (int i = 0; i < depth; i++) text_add(out, "  ");
}

static void print_string(text *out, const char *s, size_t n)
{
	text_add(out, "\"");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c == '"' || c == '\\') text_printf(out, "\\%c", c);
		else if (c == '\n') text_add(out, "\\n");
		else if (c == '\t') text_add(out, "\\t");
		else if (c < ' ' || c > '~') text_printf(out, "\\x%02x", c);
		else text_addn(out, s + i, 1);
	}
	text_add(out, "\"");
}

/* A name is quoted unless it is a word that means nothing else. */
static void print_name(text *out, const char *s)
{
	static const char *const taken[] = { "_", "in", "const", "out" };
	bool plain = graph_is_letter(*s);

	for (const char *c = s; *c && plain; c++) plain = graph_is_word(*c);
	for (size_t i = 0; i < sizeof taken / sizeof *taken && plain; i++) plain = strcmp(s, taken[i]) != 0;
	if (plain) text_add(out, s);
	else print_string(out, s, strlen(s));
}

/* A symbol is written without quotes when it is a word or an expression whose end can be seen. */
static void print_symbol(text *out, const char *s)
{
	int depth = 0;
	bool bare = graph_is_letter(*s) || *s == '(';

	for (const char *c = s; *c && bare; c++) {
		depth += (*c == '(') - (*c == ')');
		bare = depth >= 0 && (graph_is_word(*c) || strchr("()+-*/", *c) || (*c == ',' && depth > 0));
	}
	if (bare && depth == 0) text_add(out, s);
	else print_string(out, s, strlen(s));
}

void graph_print_type(text *out, const og_model *m, og_dtype dtype, int rank, const og_dim *dims)
{
	text_add(out, base_dtype_name(dtype));
	if (rank < 0 && dtype == OG_NONE) return;
	text_add(out, "[");
	if (rank < 0) text_add(out, "*");
	for (int i = 0; i < rank; i++) {
		const char *name = graph_dim_name(m, dims[i]);
		if (i > 0) text_add(out, ",");
		if (name) print_symbol(out, name);
		else if (dims[i] >= 0) text_printf(out, "%lld", (long long)dims[i]);
		else text_add(out, "?");
	}
	text_add(out, "]");
}

/* ---- numbers -------------------------------------------------------------------------------- */

static uint32_t float_bits(float f)
{
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	return bits;
}

/* True when the decimals give x again when read as that type. */
static bool reads_back(const char *s, double x, og_dtype t)
{
	float f = strtof(s, NULL);

	switch (t) {
	case OG_F64: return strtod(s, NULL) == x;
	case OG_F16: return (double)base_half_to_float(base_float_to_half(f)) == x;
	case OG_BF16: return (double)base_bfloat_to_float(base_float_to_bfloat(f)) == x;
	default: return (double)f == x;
	}
}

/* The shortest decimals that read back, small integers plainly. No NaN. */
static void print_real(text *out, double x, og_dtype t)
{
	char s[40];

	if (isinf(x)) {
		text_add(out, x < 0 ? "-inf" : "inf");
		return;
	}
	if (x == trunc(x) && fabs(x) < 1e7) {
		text_printf(out, "%.0f", x);
		return;
	}
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(s, sizeof s, "%.*g", digits, x);
		if (reads_back(s, x, t)) break;
	}
	for (char *c = s; *c; c++)           /* the decimal point of the locale */
		if (!graph_is_word(*c) && *c != '-' && *c != '+') *c = '.';
	text_add(out, s);
}

/* As an attribute is written: never to be taken for an integer; a NaN with other bits than the usual by its bits. */
static void print_float(text *out, float f)
{
	size_t start = out->length;

	if (isnan(f)) {
		if (float_bits(f) == 0x7fc00000u) text_add(out, "nan");
		else text_printf(out, "0x%08x", (unsigned)float_bits(f));
		return;
	}
	print_real(out, (double)f, OG_F32);
	if (!out->failed && !strpbrk(out->data + start, ".enf")) text_add(out, ".0");
}

static void print_element(text *out, const og_tensor *t, int64_t k)
{
	uint64_t u;

	switch (t->dtype) {
	case OG_F64:
	case OG_F32:
	case OG_F16:
	case OG_BF16: {
		double x = graph_tensor_double(t, k);
		if (isnan(x)) text_add(out, "nan");
		else print_real(out, x, t->dtype);
		break;
	}
	case OG_U64:
		memcpy(&u, (const uint8_t *)t->data + (uint64_t)k * sizeof u, sizeof u);
		text_printf(out, "%llu", (unsigned long long)u);
		break;
	case OG_BOOL:
		text_add(out, graph_tensor_int(t, k) ? "1" : "0");
		break;
	default:
		text_printf(out, "%lld", (long long)graph_tensor_int(t, k));
	}
}

/* The bits that the word nan stands for, in the width of one element; 0: not a float that is listed. */
static uint64_t usual_nan(og_dtype t)
{
	switch (t) {
	case OG_F64: return 0x7ff8000000000000u;
	case OG_F32: return 0x7fc00000u;
	case OG_F16: return 0x7e00u;
	case OG_BF16: return 0x7fc0u;
	default: return 0;
	}
}

/* True when every element has a decimal form that gives back its bits. */
static bool is_listable(const og_tensor *t, int64_t count)
{
	static const uint32_t listed = 1u << OG_F32 | 1u << OG_F64 | 1u << OG_F16 | 1u << OG_BF16 | 1u << OG_I8 |
		1u << OG_I16 | 1u << OG_I32 | 1u << OG_I64 | 1u << OG_U8 | 1u << OG_U16 | 1u << OG_U32 | 1u << OG_U64 |
		1u << OG_BOOL;
	size_t size = og_dtype_bytes(t->dtype);

	if (count > MAX_LISTED || !(listed >> t->dtype & 1)) return false;
	for (int64_t k = 0; k < count; k++) {
		uint64_t bits = 0;
		memcpy(&bits, (const uint8_t *)t->data + (uint64_t)k * size, size);
		if (t->dtype == OG_BOOL && bits > 1) return false;
		if (usual_nan(t->dtype) && isnan(graph_tensor_double(t, k)) && bits != usual_nan(t->dtype)) return false;
	}
	return true;
}

static void print_data(text *out, const og_tensor *t)
{
	static const char digits[] = "0123456789abcdef";
	int64_t count = 0;

	if (!base_count(t->dims, t->rank, &count)) count = 0;
	size_t bytes = base_dtype_span(t->dtype, (uint64_t)count);
	if (bytes == SIZE_MAX || (bytes && !t->data)) {
		text_add(out, "opaque");
	} else if (bytes == 0 || is_listable(t, count)) {
		text_add(out, "{");
		for (int64_t k = 0; k < count; k++) {
			if (k > 0) text_add(out, ", ");
			print_element(out, t, k);
		}
		text_add(out, "}");
	} else {
		text_add(out, "hex ");
		for (size_t i = 0; i < bytes; i++) {
			uint8_t byte = ((const uint8_t *)t->data)[i];
			text_addn(out, &digits[byte >> 4], 1);
			text_addn(out, &digits[byte & 15], 1);
		}
	}
}

/* ---- attributes ----------------------------------------------------------------------------- */

static void print_graph(text *out, const graph *g, int depth);

static const char *const list_words[] = {
	[OG_ATTR_INT] = "int", [OG_ATTR_FLOAT] = "float", [OG_ATTR_STRING] = "string", [OG_ATTR_INTS] = "ints",
	[OG_ATTR_FLOATS] = "floats", [OG_ATTR_STRINGS] = "strings", [OG_ATTR_TENSOR] = "tensor", [OG_ATTR_GRAPH] = "graph",
};

static void print_list(text *out, const graph_attr *a)
{
	if (a->n == 0) text_add(out, list_words[a->type]);
	text_add(out, "[");
	for (size_t i = 0; i < a->n; i++) {
		if (i > 0) text_add(out, ", ");
		if (a->type == OG_ATTR_INTS) text_printf(out, "%lld", (long long)a->ints[i]);
		else if (a->type == OG_ATTR_FLOATS) print_float(out, a->floats[i]);
		else print_string(out, a->strings[i], strlen(a->strings[i]));
	}
	text_add(out, "]");
}

static void print_attr(text *out, const graph_attr *a, int depth)
{
	print_name(out, a->name);
	text_add(out, "=");
	if (a->ref) {
		bool known = a->type >= 0 && (size_t)a->type < sizeof list_words / sizeof *list_words && list_words[a->type];
		text_printf(out, "@%s ", known ? list_words[a->type] : "opaque");
		print_name(out, a->ref);
		return;
	}
	switch (a->type) {
	case OG_ATTR_INT: text_printf(out, "%lld", (long long)a->i); break;
	case OG_ATTR_FLOAT: print_float(out, a->f); break;
	case OG_ATTR_STRING: print_string(out, a->s, a->n); break;
	case OG_ATTR_INTS:
	case OG_ATTR_FLOATS:
	case OG_ATTR_STRINGS: print_list(out, a); break;
	case OG_ATTR_TENSOR:
		graph_print_type(out, NULL, a->t->dtype, a->t->rank, a->t->dims);
		text_add(out, " ");
		if (a->t_name) {
			print_string(out, a->t_name, strlen(a->t_name));
			text_add(out, " ");
		}
		print_data(out, a->t);
		break;
	case OG_ATTR_GRAPH: print_graph(out, a->g, depth); break;
	default: text_add(out, "opaque");
	}
}

static void print_attrs(text *out, const graph_attr *attrs, int n, int depth)
{
	for (int i = 0; i < n; i++) {
		if (i > 0) text_add(out, ", ");
		print_attr(out, &attrs[i], depth);
	}
}

/* ---- graphs --------------------------------------------------------------------------------- */

/* "x: f32[N,3]", or the name alone when nothing is known. */
static void print_value(text *out, const graph_value *v)
{
	if (!v) {
		text_add(out, "_");
		return;
	}
	print_name(out, v->name);
	if (v->dtype == OG_NONE && v->rank < 0) return;
	text_add(out, ": ");
	graph_print_type(out, v->owner->model, v->dtype, v->rank, v->dims);
}

static void print_node(text *out, const graph_node *n, int depth)
{
	indent(out, depth);
	for (int k = 0; k < n->n_out; k++) {
		if (k > 0) text_add(out, ", ");
		print_value(out, n->out[k]);
	}
	text_add(out, n->n_out ? " = " : "() = ");
	if (*n->domain) {
		print_name(out, n->domain);
		text_add(out, "::");
	}
	print_name(out, n->type);
	text_add(out, "(");
	for (int k = 0; k < n->n_in; k++) {
		if (k > 0) text_add(out, ", ");
		if (n->in[k]) print_name(out, n->in[k]->name);
		else text_add(out, "_");
	}
	text_add(out, ")");
	if (n->n_attrs) {
		text_add(out, " {");
		print_attrs(out, n->attrs, n->n_attrs, depth);
		text_add(out, "}");
	}
	if (*n->name) {
		text_add(out, " ");
		print_string(out, n->name, strlen(n->name));
	}
	text_add(out, "\n");
}

static void print_declared(text *out, const char *word, const graph_value *v, int depth)
{
	indent(out, depth);
	text_printf(out, "%s ", word);
	print_value(out, v);
	if (v->constant) {
		text_add(out, " = ");
		print_data(out, v->constant);
	}
	text_add(out, "\n");
}

static void print_body(text *out, const graph *g, int depth)
{
	text_add(out, "{\n");
	for (int i = 0; i < g->n_inputs; i++) print_declared(out, "in", g->inputs[i], depth + 1);
	for (const graph_value *v = g->first_value; v; v = v->next)
		if (v->constant && !v->is_input) print_declared(out, "const", v, depth + 1);
	for (const graph_node *n = g->first; n; n = n->next) print_node(out, n, depth + 1);
	for (int i = 0; i < g->n_outputs; i++) {
		indent(out, depth + 1);
		text_add(out, "out ");
		print_name(out, g->outputs[i]->name);
		text_add(out, "\n");
	}
	indent(out, depth);
	text_add(out, "}");
}

static void print_graph(text *out, const graph *g, int depth)
{
	text_add(out, "graph ");
	print_string(out, g->name, strlen(g->name));
	text_add(out, " ");
	print_body(out, g, depth);
}

static void print_opsets(text *out, const graph_opset *opsets, int n)
{
	text_add(out, "{");
	for (int i = 0; i < n; i++) {
		if (i > 0) text_add(out, ", ");
		print_string(out, opsets[i].domain, strlen(opsets[i].domain));
		text_printf(out, " %lld", (long long)opsets[i].version);
	}
	text_add(out, "}");
}

static void print_function(text *out, const graph_function *f)
{
	text_add(out, "function ");
	print_string(out, f->domain, strlen(f->domain));
	text_add(out, "::");
	print_name(out, f->name);
	text_add(out, "(");
	for (int i = 0; i < f->n_attributes; i++) {
		if (i > 0) text_add(out, ", ");
		print_name(out, f->attributes[i]);
	}
	if (f->n_attributes && f->n_defaults) text_add(out, ", ");
	print_attrs(out, f->defaults, f->n_defaults, 0);
	text_add(out, ") ");
	print_opsets(out, f->opsets, f->n_opsets);
	text_add(out, " ");
	print_body(out, f->body, 0);
	text_add(out, "\n");
}

og_status graph_print(text *out, const og_model *m)
{
	text_printf(out, "model ir=%lld ", (long long)m->ir_version);
	print_opsets(out, m->opsets, m->n_opsets);
	text_add(out, "\n");
	for (int i = 0; i < m->n_symbols; i++) {
		const graph_symbol *s = &m->symbols[i];
		if (!s->min && !s->opt && !s->max) continue;
		text_add(out, "symbol ");
		print_symbol(out, s->name);
		if (s->min) text_printf(out, " min=%lld", (long long)s->min);
		if (s->opt) text_printf(out, " opt=%lld", (long long)s->opt);
		if (s->max) text_printf(out, " max=%lld", (long long)s->max);
		text_add(out, "\n");
	}
	print_graph(out, m->main, 0);
	text_add(out, "\n");
	for (int i = 0; i < m->n_functions; i++) print_function(out, &m->functions[i]);
	return out->failed ? base_no_memory() : OG_OK;
}
