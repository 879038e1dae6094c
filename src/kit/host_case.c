/* host_case.c -- shapes to ask and run a plugin on, and what it answers. */
#include <stdio.h>
#include <stdlib.h>

#include "kit/conform.h"
#include "kit/host.h"

void host_case_words(host_case *c)
{
	size_t n = 0;
	c->words[0] = '\0';
	for (int k = 0; k < c->n_in && n < sizeof c->words; k++) {
		n += (size_t)snprintf(c->words + n, sizeof c->words - n, "%s", k ? ", " : "");
		if (c->in[k].nbDims == 0 && n < sizeof c->words)
			n += (size_t)snprintf(c->words + n, sizeof c->words - n, "a scalar");
		for (int d = 0; d < c->in[k].nbDims && n < sizeof c->words; d++)
			n += (size_t)snprintf(c->words + n, sizeof c->words - n, "%s%lld", d ? "x" : "", (long long)c->in[k].d[d]);
	}
}

/* ---- what the plugin answers -------------------------------------------------------------------- */

enum { UNSET = -77 };

bool host_output_types(host *h, int32_t *status, const host_plugin *p, const int32_t *in, int n_in, int32_t *out)
{
	int32_t given[HOST_POSITIONS], made[HOST_POSITIONS];
	for (int k = 0; k < HOST_POSITIONS; k++) {
		made[k] = UNSET;
		given[k] = in[k < n_in ? k : 0];     /* a plugin that counts inputs wrong finds something there */
	}
	host_calls("getOutputDataTypes");
	*status = p->build->table->getOutputDataTypes(p->build, made, p->n_out, given, n_in);
	if (*status) return true;
	for (int k = 0; k < HOST_POSITIONS; k++) {
		if (k < p->n_out && made[k] == UNSET)
			return host_fail(h, "getNbOutputs says %d, but getOutputDataTypes sets no type for output %d",
			                 (int)p->n_out, k);
		if (k >= p->n_out && made[k] != UNSET)
			return host_fail(h, "getNbOutputs says %d, but getOutputDataTypes writes output %d", (int)p->n_out, k);
		if (k < p->n_out) out[k] = made[k];
	}
	return true;
}

/* getOutputShapes on expressions; what it makes stays in out[], HOST_POSITIONS of them. */
static bool ask_shapes(host *h, int32_t *status, const host_plugin *p, trt_dims_expr *in, int n_in, trt_dims_expr *out)
{
	for (int k = 0; k < HOST_POSITIONS; k++) out[k].nbDims = UNSET;
	for (int k = n_in; k < HOST_POSITIONS; k++) in[k] = in[0];
	host_calls("getOutputShapes");
	*status = p->build->table->getOutputShapes(p->build, in, n_in, NULL, 0, out, p->n_out, &host_expr_builder);
	if (*status) return true;
	for (int k = 0; k < HOST_POSITIONS; k++) {
		if (k >= p->n_out && out[k].nbDims != UNSET)
			return host_fail(h, "getNbOutputs says %d, but getOutputShapes writes output %d", (int)p->n_out, k);
		if (k >= p->n_out) continue;
		if (out[k].nbDims == UNSET)
			return host_fail(h, "getNbOutputs says %d, but getOutputShapes sets no shape for output %d", (int)p->n_out,
			                 k);
		if (out[k].nbDims < 0 || out[k].nbDims > TRT_MAX_DIMS)
			return host_fail(h, "getOutputShapes gives output %d %d dimensions, and 0 to 8 are possible", k,
			                 (int)out[k].nbDims);
		for (int d = 0; d < out[k].nbDims; d++)
			if (!out[k].d[d]) return host_fail(h, "getOutputShapes leaves dimension %d of output %d at NULL", d, k);
	}
	return true;
}

/* Bit k of `symbols`: the sizes of the k-th dimension of every input are not known to the plugin. */
static bool shapes_with(host *h, int32_t *status, const host_plugin *p, const host_case *c, unsigned symbols,
                        trt_dims *made)
{
	trt_dims_expr in[HOST_POSITIONS], out[HOST_POSITIONS];
	int32_t types[HOST_POSITIONS], refused;
	arena *a = arena_create();
	if (!a) return host_fail(h, "memory ran out");
	host_expr_start(a);
	for (int k = 0; k < c->n_in; k++) {
		in[k].nbDims = c->in[k].nbDims;
		for (int d = 0; d < c->in[k].nbDims; d++)
			in[k].d[d] = symbols >> d & 1 ? host_expr_symbol(c->in[k].d[d]) : host_expr_constant(c->in[k].d[d]);
	}
	bool told = host_output_types(h, &refused, p, c->type, c->n_in, types) && ask_shapes(h, status, p, in, c->n_in, out);
	for (int k = 0; told && !*status && k < p->n_out; k++) {
		made[k].nbDims = out[k].nbDims;
		for (int d = 0; told && d < out[k].nbDims; d++) {
			const char *why;
			if (!host_expr_value(&made[k].d[d], &why, out[k].d[d]))
				told = host_fail(h, "for inputs of %s dimension %d of output %d %s", c->words, d, k, why);
			else if (made[k].d[d] < 0)
				told = host_fail(h,
				                 "for inputs of %s dimension %d of output %d is %lld; refuse such shapes, or take the "
				                 "larger of it and 0",
				                 c->words, d, k, (long long)made[k].d[d]);
		}
	}
	arena_destroy(a);
	return told;
}

bool host_output_shapes(host *h, int32_t *status, const host_plugin *p, const host_case *c, trt_dims *made)
{
	return shapes_with(h, status, p, c, 0, made);
}

/* ---- cases ------------------------------------------------------------------------------------------ */

og_status host_read_shapes(host_case *c, const char *s)
{
	for (const char *at = s;; at++) {
		if (c->n_in == HOST_MAX_ARGS) return base_fail(OG_USAGE, "--shape %s: more than %d inputs", s, HOST_MAX_ARGS);
		trt_dims *dims = &c->in[c->n_in++];
		while (*at && *at != ',') {
			char *end;
			long long size = strtoll(at, &end, 10);
			if (end == at || size < 0 || dims->nbDims == TRT_MAX_DIMS || (*end && *end != 'x' && *end != ','))
				return base_fail(OG_USAGE, "--shape takes sizes such as 2x3x5,3x5, one shape for each input, not '%s'",
				                 s);
			dims->d[dims->nbDims++] = size;
			at = *end == 'x' ? end + 1 : end;
		}
		if (!*at) return OG_OK;
	}
}

/* Types that the plugin takes for all inputs. False: none; told a failure, or it refuses all. */
static bool choose_types(host *h, const host_plugin *p, host_case *c)
{
	static const int32_t tries[] = { TRT_FLOAT, TRT_HALF, TRT_BF16,  TRT_INT32, TRT_INT64,
		                             TRT_INT8,  TRT_BOOL, TRT_UINT8, TRT_FP8 };
	int32_t out[HOST_POSITIONS], status = 1;
	for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
		for (int k = 0; k < c->n_in; k++) c->type[k] = tries[i];
		if (!host_output_types(h, &status, p, c->type, c->n_in, out)) return false;
		if (!status) return true;
	}
	return false;
}

/* Shapes of 1 to 4 inputs that it takes: as few inputs as will do, all ranks. */
static size_t guess_cases(host *h, const host_plugin *p, host_case *out, const trt_fields *given)
{
	static const int64_t sizes[] = { 2, 6, 5, 7, 3 };
	static const int ranks[] = { 4, 3, 2, 5, 1 };
	enum { MOST_INPUTS = 4 };
	trt_dims made[HOST_MAX_ARGS];
	size_t n = 0;
	for (int n_in = 1; n_in <= MOST_INPUTS && n == 0 && !h->failed; n_in++)
		for (size_t i = 0; i < sizeof ranks / sizeof *ranks && !h->failed; i++) {
			host_case *c = &out[n];
			int32_t status;
			*c = (host_case){ .n_in = n_in, .given = *given };
			for (int k = 0; k < n_in; k++) {
				c->in[k].nbDims = ranks[i];
				memcpy(c->in[k].d, sizes, (size_t)ranks[i] * sizeof *sizes);
			}
			host_case_words(c);
			host_upon("inputs of %s", c->words);
			if (choose_types(h, p, c) && host_output_shapes(h, &status, p, c, made) && !status) n++;
		}
	return n;
}

/* ---- cases of an op --------------------------------------------------------------------------------- */

static int32_t trt_type_of(og_dtype dtype)
{
	switch (dtype) {
#define X(name, number, ours) case ours: return number;
	TRT_TYPES(X)
#undef X
	default: return -1;
	}
}

static bool put_field(trt_field *f, host *h, const og_attr *d, const og_attr_value *value)
{
	int32_t *ints = arena_array(h->a, (size_t)value->n + 1, sizeof *ints);
	float *one = arena_alloc(h->a, sizeof *one);
	if (!ints || !one) return false;
	f->name = d->name;
	f->length = d->type == OG_ATTR_INT || d->type == OG_ATTR_FLOAT ? 1 : (int32_t)value->n;
	f->type = d->type == OG_ATTR_FLOAT || d->type == OG_ATTR_FLOATS ? TRT_FIELD_FLOAT32
	        : d->type == OG_ATTR_INT || d->type == OG_ATTR_INTS ? TRT_FIELD_INT32 : TRT_FIELD_CHAR;
	*one = value->f;
	ints[0] = (int32_t)value->i;
	for (int64_t k = 0; d->type == OG_ATTR_INTS && k < value->n; k++) ints[k] = (int32_t)value->ints[k];
	f->data = d->type == OG_ATTR_FLOAT ? (const void *)one : d->type == OG_ATTR_FLOATS ? (const void *)value->floats
	        : f->type == TRT_FIELD_INT32 ? (const void *)ints : (const void *)value->s;
	return d->type <= OG_ATTR_FLOATS;
}

/* False: TensorRT has no such call. */
static bool take_case(host_case *out, host *h, const conform *v, const conform_case *from)
{
	trt_field *fields = arena_array(h->a, (size_t)v->n_attrs + 1, sizeof *fields);
	int32_t n = 0;
	*out = (host_case){ .n_in = from->n_in };
	if (!fields || from->n_in > HOST_MAX_ARGS || from->n_in == 0) return false;
	for (int k = 0; k < from->n_in; k++) {
		out->type[k] = trt_type_of(from->in[k].dtype);
		if (out->type[k] < 0 || from->fixed[k]) return false;
		out->in[k].nbDims = from->in[k].rank;
		memcpy(out->in[k].d, from->in[k].dims, sizeof out->in[k].d);
	}
	for (int k = 0; k < v->n_attrs; k++)
		if (from->attr[k].present && !put_field(&fields[n++], h, &v->op->attrs[k], &from->attr[k])) return false;
	out->given = (trt_fields){ n, fields };
	host_case_words(out);
	return true;
}

/* The op's own cases; a formula takes all ranks, and packed formats begin with four dimensions. */
static bool cases_of_op(host *h, host_case **out, size_t *n)
{
	static const int64_t sizes[] = { 2, 6, 5, 7, 3 };
	conform v = { .op = h->op, .a = h->a, .scratch = graph_model_create(), .n_attrs = schema_attr_count(h->op) };
	conform_case *cases;
	size_t count = 0;
	og_status status = v.scratch ? schema_arguments(&v.in, &v.out, h->op) : base_no_memory();
	if (status == OG_OK) status = conform_read_cases(&cases, &count, &v);
	if (status == OG_OK && !(*out = arena_array(h->a, count + 2, sizeof **out))) status = base_no_memory();
	*n = 0;
	for (size_t k = 0; k < count && status == OG_OK; k++) *n += take_case(&(*out)[*n], h, &v, &cases[k]);
	for (int rank = 4; rank <= 5 && status == OG_OK && h->op->formula && *n > 0; rank++) {
		host_case *c = &(*out)[*n];
		*c = (*out)[0];
		for (int k = 0; k < c->n_in; k++) {
			c->in[k].nbDims = rank;
			memcpy(c->in[k].d, sizes, (size_t)rank * sizeof *sizes);
		}
		host_case_words(c);
		++*n;
	}
	graph_model_destroy(v.scratch);
	return status == OG_OK ? true : host_fail(h, "%s", base_error());
}

bool host_cases(host *h, host_case **out, size_t *n)
{
	enum { GUESSES = 8 };
	trt_fields given;
	host_plugin p;
	if (host_given_fields(&given, h) != OG_OK) return host_fail(h, "%s", base_error());
	*n = 0;
	if (h->op && !h->options->shapes && h->options->n_attributes == 0) {
		if (!cases_of_op(h, out, n)) return false;
		if (*n > 0) return true;
	}
	if (!(*out = arena_array(h->a, GUESSES, sizeof **out))) return host_fail(h, "memory ran out");
	if (!host_need(h, &p, &given, TRT_PHASE_BUILD)) return false;
	if (h->options->shapes) {
		host_case *c = *out;
		*c = (host_case){ .given = given };
		if (host_read_shapes(c, h->options->shapes) != OG_OK) return host_fail(h, "%s", base_error());
		host_case_words(c);
		if (!choose_types(h, &p, c) && !h->failed)
			host_fail(h, "getOutputDataTypes refuses every type for %d inputs", c->n_in);
		*n = 1;
	} else {
		*n = guess_cases(h, &p, *out, &given);
	}
	host_destroy(&p);
	if (h->failed) return false;
	return *n > 0 || host_fail(h, "it takes none of the shapes tried, with 1 to 4 inputs of 1 to 5 dimensions; give "
	                              "some by --shape");
}

static int64_t size_number(const host_case *c, int k)
{
	int64_t seen[HOST_MAX_ARGS * TRT_MAX_DIMS];
	int n = 0;
	for (int i = 0; i < c->n_in; i++)
		for (int d = 0; d < c->in[i].nbDims; d++) {
			int j = 0;
			while (j < n && seen[j] != c->in[i].d[d]) j++;
			if (j == n) seen[n++] = c->in[i].d[d];
		}
	return k < n ? seen[k] : -1;
}

bool host_vary(host_case *out, const host_case *c, int k, int64_t large)
{
	const int64_t others[] = { 0, 1, 2, 17, 33, -1, large };
	const int n = large ? 7 : 6;
	*out = *c;
	if (k-- == 0) return true;
	int64_t from = size_number(c, k / n), to = others[k % n];
	if (from < 0) return false;
	if (to < 0) to = from + 1;
	for (int i = 0; i < out->n_in; i++)
		for (int d = 0; d < out->in[i].nbDims; d++)
			if (out->in[i].d[d] == from) out->in[i].d[d] = to;
	host_case_words(out);
	return true;
}

/* ---- the check of shapes ------------------------------------------------------------------------------ */

static bool same_dims(const trt_dims *a, const trt_dims *b)
{
	bool same = a->nbDims == b->nbDims;
	for (int d = 0; same && d < a->nbDims; d++) same = a->d[d] == b->d[d];
	return same;
}

/* With every size known, and with all or some of them not: the same comes out. */
static void compare_shapes(host *h, const host_plugin *p, const host_case *c, size_t *taken, size_t *fixed)
{
	static const unsigned ways[] = { 0xff, 0x55, 0xaa, 0x01 };
	trt_dims known[HOST_MAX_ARGS], open[HOST_MAX_ARGS];
	int32_t status;
	host_upon("inputs of %s", c->words);
	if (!host_output_shapes(h, &status, p, c, known) || status) return;
	++*taken;
	for (size_t w = 0; w < sizeof ways / sizeof *ways && !h->failed; w++) {
		host_upon("inputs of %s, of which some sizes are not known", c->words);
		if (!shapes_with(h, &status, p, c, ways[w], open)) return;
		if (status) {
			++*fixed;
			return;
		}
		for (int k = 0; k < p->n_out; k++) {
			if (same_dims(&known[k], &open[k])) continue;
			for (int d = 0; d < known[k].nbDims && d < open[k].nbDims; d++)
				if (known[k].d[d] != open[k].d[d])
					host_fail(h,
					          "for inputs of %s dimension %d of output %d is %lld when sizes are known, and %lld by "
					          "the expression for sizes that are not",
					          c->words, d, k, (long long)known[k].d[d], (long long)open[k].d[d]);
			host_fail(h, "for inputs of %s output %d has %d dimensions when sizes are known, and %d when they are not",
			          c->words, k, (int)known[k].nbDims, (int)open[k].nbDims);
		}
	}
}

void host_check_shapes(host *h)
{
	enum { CHANGES = 60 };
	const int64_t large = (INT64_C(1) << 31) + 8; /* more than 32 bits hold; a product of two is still 64 bits */
	host_case *cases, c;
	size_t n, taken = 0, fixed = 0;
	if (!host_cases(h, &cases, &n)) return;
	for (size_t i = 0; i < n && !h->failed; i++) {
		host_plugin p;
		if (!host_need(h, &p, &cases[i].given, TRT_PHASE_BUILD)) return;
		for (int k = 0; k < CHANGES && !h->failed && host_vary(&c, &cases[i], k, large); k++)
			compare_shapes(h, &p, &c, &taken, &fixed);
		host_destroy(&p);
	}
	if (h->failed) return;
	if (taken == 0) host_fail(h, "getOutputShapes refuses every shape; give one that it takes by --shape");
	else if (fixed) host_note(h, "%zu shapes, of which it takes %zu with known sizes only", taken, fixed);
	else host_note(h, "%zu shapes, each with sizes known and not", taken);
}
