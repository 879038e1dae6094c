/* conform_call.c -- checks of shape rules, definitions and kernels: what an op that is no formula consists of. */
#include <math.h>
#include <stdio.h>

#include "graph/graph.h"
#include "kit/conform.h"

static bool has_definition(conform *v)
{
	if (v->op->eval) return true;
	conform_skip(v);
	return false;
}

/* Calls each() for every case and change that the op accepts; *n counts them. */
static void each_case(conform *v, int most, void (*each)(conform *, conform_case *, int change), int *n)
{
	conform_case *cases, c;
	size_t count;
	*n = 0;
	if (conform_read_cases(&cases, &count, v) != OG_OK) {
		conform_fail(v, "%s", base_error());
		return;
	}
	for (size_t i = 0; i < count; i++)
		for (int k = 0; k < most && !v->failed && conform_vary(&c, v, &cases[i], k); k++) {
			conform_doing("the shape rule on %s", c.words);
			if (!conform_fill(v, &c) || conform_infer(v, &c) != OG_OK) continue;
			conform_doing("%s", c.words);
			each(v, &c, k);
			++*n;
		}
}

/* ---- shapes ------------------------------------------------------------------------------------ */

static const char *words_of(const conform *v, int output) { return v->out.arg[output < v->out.n ? output : 0].name; }

/* May this be what the rule says of a size that is really `size`? Symbols of sizes are called s2, s3, ... */
static bool is_true(const og_model *m, og_dim dim, int64_t size)
{
	char own[32];
	if (dim >= 0 || dim == GRAPH_DIM_UNKNOWN) return dim < 0 || dim == size;
	const char *name = graph_dim_name(m, dim);
	snprintf(own, sizeof own, "s%lld", (long long)size);
	return name && (*name != 's' || !strcmp(name, own));
}

/* Asks with some of what is known taken away: level 1: sizes are symbols, 2: ranks too. */
static void ask_less(conform *v, const conform_case *c, int level, og_model *m)
{
	og_shape in[SCHEMA_MAX_ARGS + 1], out[SCHEMA_MAX_ARGS + 1];
	bool present[SCHEMA_MAX_ARGS + 1];
	og_infer ask = { .host = &schema_host, .op = v->op, .attr = c->attr, .n_in = c->n_in, .n_out = c->n_out, .out = out,
	                 .context = m };
	for (int k = 0; k <= SCHEMA_MAX_ARGS; k++) {
		present[k] = k < c->n_in && c->in[k].dtype != OG_NONE;
		out[k] = in[k] = (og_shape){ .rank = -1 };
		if (!present[k]) continue;
		in[k] = (og_shape){ .dtype = c->in[k].dtype, .rank = level == 2 ? -1 : c->in[k].rank };
		for (int d = 0; d < in[k].rank; d++) {
			char name[32];
			snprintf(name, sizeof name, "s%lld", (long long)c->in[k].dims[d]);
			in[k].dims[d] = graph_dim_symbol(m, name);
		}
	}
	conform_doing("the shape rule on %s, %s unknown", c->words, level == 2 ? "ranks" : "sizes");
	if (schema_ask(&v->in, &v->out, &ask, in, present) != OG_OK) {
		conform_fail(v, "%s: the shape rule refuses it when %s: %s", c->words, level == 2
		            ? "ranks are not known yet; where in[k].rank is -1, return OG_OK and leave out[k].rank at -1"
		            : "sizes are not known yet (below 0); compare only what is 0 or more, and reckon with og_dim_do", base_error());
		return;
	}
	for (int k = 0; k < c->n_out; k++) {
		if (out[k].rank < 0) continue;
		bool same = out[k].rank == c->out[k].rank;
		for (int d = 0; same && d < out[k].rank; d++) same = is_true(m, out[k].dims[d], c->out[k].dims[d]);
		if (!same)
			conform_fail(v, "%s: the shape rule gives '%s' another shape when %s are not known; where it reckons with sizes below 0, use "
			            "og_dim_do", c->words, words_of(v, k), level == 2 ? "ranks" : "sizes");
	}
}

static void check_shapes(conform *v, conform_case *c, int change)
{
	int64_t count;
	for (int k = 0; k < c->n_out; k++) {
		const og_shape *s = &c->out[k];
		if (s->rank < 0 && change == 0)
			conform_fail(v, "%s: the shape rule gives output '%s' no rank; set out[%d].rank and dims", c->words, words_of(v, k), k);
		else if (s->dtype == OG_NONE)
			conform_fail(v, "%s: output '%s' has no type; .outputs gives it one, or the shape rule sets out[%d].dtype", c->words,
			             words_of(v, k), k);
		else if (s->rank > OG_MAX_RANK)
			conform_fail(v, "%s: the shape rule gives output '%s' rank %d, and %d is the most", c->words, words_of(v, k), s->rank, OG_MAX_RANK);
		for (int d = 0; !v->failed && d < s->rank; d++)
			if (s->dims[d] < GRAPH_DIM_UNKNOWN)
				conform_fail(v, "%s: the shape rule gives output '%s' size %lld in dimension %d; refuse such shapes, or take the larger of it "
				            "and 0", c->words, words_of(v, k), (long long)s->dims[d], d);
		if (!v->failed && s->rank >= 0 && s->dims[0] >= 0 && base_count(s->dims, s->rank, &count) && count > INT64_C(1) << 40)
			conform_fail(v, "%s: the shape rule gives output '%s' %lld elements", c->words, words_of(v, k), (long long)count);
	}
	for (int level = 1; level <= 2 && !v->failed && v->op->shape; level++) {
		og_model *m = graph_model_create();      /* symbols of its own: what is none of them is a fault */
		if (m) ask_less(v, c, level, m);
		graph_model_destroy(m);
	}
}

void conform_shapes(conform *v)
{
	int n;
	each_case(v, 200, check_shapes, &n);
	conform_note(v, "%d shapes accepted", n);
}

/* ---- memory ------------------------------------------------------------------------------------ */

/* All sizes are known and not too many. */
static bool can_run(const conform_case *c)
{
	int64_t count;
	for (int k = 0; k < c->n_out; k++)
		if (c->out[k].rank < 0 || !base_count(c->out[k].dims, c->out[k].rank, &count) || count > 1 << 22) return false;
	return true;
}

static const char *way_name(int isa) { return isa < 0 ? "eval" : conform_isa_name[isa]; }

/* The faster forms are for f32, as the CPU backend takes them. */
static bool has_way(const conform *v, const conform_case *c, int isa)
{
	return isa < 0 || (v->op->cpu[isa] && conform_isa_runs(isa) && c->in[0].dtype == OG_F32 && c->out[0].dtype == OG_F32);
}

static void shape_words(char *out, size_t room, const og_shape *s)
{
	size_t n = (size_t)snprintf(out, room, "%s[", base_dtype_name(s->dtype));
	for (int d = 0; d < s->rank && n < room; d++) n += (size_t)snprintf(out + n, room - n, "%s%lld", d ? "," : "", (long long)s->dims[d]);
	if (n < room) snprintf(out + n, room - n, "]");
}

static void compare_poisons(conform *v, const conform_case *c, int isa, const og_tensor *a, const og_tensor *b)
{
	for (int k = 0; k < c->n_out; k++) {
		const uint8_t *x = a[k].data, *y = b[k].data;
		size_t bytes = conform_bytes(&a[k]), at = 0, differ = 0;
		char shape[96];
		if (!memcmp(x, y, bytes)) continue;
		for (size_t i = bytes; i > 0; i--)
			if (x[i - 1] != y[i - 1]) at = i - 1, differ++;
		shape_words(shape, sizeof shape, &c->out[k]);
		bool kept = x[at] == 0x5a && y[at] == 0xa5;
		conform_fail(v, "%s, %s: element %zu of output '%s' (%s by the shape rule) %s", c->words, way_name(isa),
		            at / og_dtype_bytes(a[k].dtype), words_of(v, k), shape, kept
		            ? "is never written: mend the shape rule, which promises more than is made, or write all of it"
		            : "depends on memory that the op did not fill: its output, its workspace or something beside its inputs; write before "
		              "reading");
		return;
	}
}

static void check_memory(conform *v, conform_case *c, int change)
{
	og_tensor a[SCHEMA_MAX_ARGS], b[SCHEMA_MAX_ARGS];
	if (!can_run(c)) return;
	for (int isa = -1; isa < OG_ISA_COUNT && !v->failed; isa++) {
		if (!has_way(v, c, isa)) continue;
		conform_doing("%s, %s", c->words, way_name(isa));
		og_status status = conform_run(v, c, &(conform_way){ .isa = isa, .at_end = true, .poison = 0x5a }, a);
		if (status == OG_OK) status = conform_run(v, c, &(conform_way){ .isa = isa, .poison = 0xa5 }, b);
		if (status == OG_OK) compare_poisons(v, c, isa, a, b);
		else if (change == 0)
			conform_fail(v, "%s, %s: it refuses what its shape rule accepts: %s; refuse it in the shape rule", c->words, way_name(isa),
			             base_error());
	}
}

void conform_memory(conform *v)
{
	int n;
	if (!has_definition(v)) return;
	each_case(v, 200, check_memory, &n);
	conform_note(v, "%d shapes, guarded at both ends", n);
}

/* ---- threads ----------------------------------------------------------------------------------- */

static void check_threads(conform *v, conform_case *c, int change)
{
	static const int64_t cuts[] = { 1, 3, -4, -4 };
	og_tensor whole[SCHEMA_MAX_ARGS], cut[SCHEMA_MAX_ARGS];
	(void)change;
	if (!can_run(c)) return;
	for (int isa = -1; isa < OG_ISA_COUNT && !v->failed; isa++) {
		if (!has_way(v, c, isa) || conform_run(v, c, &(conform_way){ .isa = isa, .poison = 0x5a }, whole) != OG_OK) continue;
		for (size_t i = 0; i < sizeof cuts / sizeof *cuts && !v->failed; i++) {
			conform_doing("%s, %s, parallel work in pieces", c->words, way_name(isa));
			if (conform_run(v, c, &(conform_way){ .isa = isa, .at_end = true, .poison = 0x5a, .cut = cuts[i] }, cut) != OG_OK) continue;
			for (int k = 0; k < c->n_out; k++)
				if (memcmp(whole[k].data, cut[k].data, conform_bytes(&whole[k])) != 0)
					conform_fail(v, "%s, %s: output '%s' is another when parallel work is %s: an item may write nothing that another one "
					            "reads or writes, and sums may not run across the cut", c->words, way_name(isa), words_of(v, k),
					            cuts[i] < 0 ? "done by several threads" : cuts[i] == 1 ? "cut into single items, the last first"
					            : "cut into threes, the last first");
		}
	}
}

void conform_threads(conform *v)
{
	int n;
	if (!has_definition(v)) return;
	each_case(v, 20, check_threads, &n);
	conform_note(v, "%d shapes, in one piece, in pieces, on threads", n);
}

/* ---- kernels ----------------------------------------------------------------------------------- */

static void check_kernels(conform *v, conform_case *c, int change)
{
	og_tensor want[SCHEMA_MAX_ARGS], got[SCHEMA_MAX_ARGS];
	(void)change;
	if (!can_run(c) || conform_run(v, c, &(conform_way){ .isa = -1 }, want) != OG_OK) return;
	for (int isa = 0; isa < OG_ISA_COUNT && !v->failed; isa++) {
		if (!has_way(v, c, isa)) continue;
		conform_doing("%s, %s", c->words, way_name(isa));
		if (conform_run(v, c, &(conform_way){ .isa = isa }, got) != OG_OK) continue;
		for (int k = 0; k < c->n_out && !v->failed; k++) {
			double largest = 0, tolerance = fmax(v->op->ulp, 16) * 0x1p-23;
			for (int64_t i = 0; i < og_count(&want[k]); i++) {
				double x = fabs(graph_tensor_double(&want[k], i));
				if (isfinite(x) && x > largest) largest = x;
			}
			for (int64_t i = 0; i < og_count(&want[k]) && !v->failed; i++) {
				double x = graph_tensor_double(&got[k], i), y = graph_tensor_double(&want[k], i);
				if (x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= tolerance * (fabs(y) + largest)) continue;
				conform_fail(v, "%s: element %lld of output '%s' is %.9g by the %s kernel and %.9g by eval, which is the definition; mend the one "
				            "that is wrong", c->words, (long long)i, words_of(v, k), x, way_name(isa), y);
			}
		}
	}
}

void conform_kernels(conform *v)
{
	int n;
	if (!v->op->eval || !v->op->cpu[OG_ISA_SCALAR]) {
		conform_skip(v);
		return;
	}
	each_case(v, 200, check_kernels, &n);
	conform_note(v, "%d shapes", n);
}
