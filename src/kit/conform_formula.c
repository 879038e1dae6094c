/* conform_formula.c -- checks of an elementwise op's formula. */
#include <stdio.h>
#include <stdlib.h>

#include "kit/ulp.h"
#include "kit/conform.h"

typedef struct block {
	float x[OG_MAX_IN][ULP_BLOCK];
	double wide[OG_MAX_IN][ULP_BLOCK], ref[ULP_BLOCK];
	float y[OG_ISA_COUNT][ULP_BLOCK];    /* or bool */
	float attr[OG_MAX_MAP_ATTRS];
} block;

static bool is_formula(conform *v)
{
	if (v->op->ref && v->op->map[OG_ISA_SCALAR]) return true;
	conform_skip(v);
	return false;
}

static bool is_test(const conform *v) { return v->out.arg[0].types == UINT32_C(1) << OG_BOOL; }

/* Attribute values number k: those of ulp_attributes, then all at the low and all at the high end of their range. */
static bool attributes(const og_op *op, int k, float *attr)
{
	int tries = 0;
	if (ulp_attributes(op, k, attr)) return true;
	while (ulp_attributes(op, tries, attr)) tries++;
	ulp_attributes(op, 0, attr);
	bool ranged = false;
	for (int i = 0; i < op->map_attrs && k - tries < 2; i++) {
		const og_attr *a = &op->attrs[i];
		if (!(a->low < a->high)) continue;
		attr[i] = (float)(k == tries ? a->low : a->high);
		ranged = true;
	}
	return ranged;
}

/* "beta=1.5 at x=0x1p+0 (1), y=..." */
static const char *place(char words[256], const conform *v, const block *b, size_t i)
{
	size_t n = 0;
	for (int k = 0; k < v->op->map_inputs && n < 256; k++)
		n += (size_t)snprintf(words + n, 256 - n, "%s%s = %.9g (%a)", k ? ", " : "", v->in.arg[k < v->in.n ? k : 0].name,
		                      (double)b->x[k][i], (double)b->x[k][i]);
	for (int k = 0; k < v->op->map_attrs && n < 256; k++)
		n += (size_t)snprintf(words + n, 256 - n, ", %s = %.9g", v->op->attrs[k].name, (double)b->attr[k]);
	return words;
}

static void pointers(const block *b, const void **x, const void **wide)
{
	for (int k = 0; k < OG_MAX_IN; k++) {
		x[k] = b->x[k];
		wide[k] = b->wide[k];
	}
}

typedef struct sweep { uint64_t values; double worst, worst_beyond; char worst_at[256]; } sweep;

/* Calls each(v, b, n) with operands over all of float32, for each set of attribute values. */
static void sweep_formula(conform *v, block *b, void (*each)(conform *, block *, size_t n, sweep *), sweep *s)
{
	for (int set = 0; attributes(v->op, set, b->attr) && !v->failed; set++) {
		ulp_samples samples = { .inputs = v->op->map_inputs, .stride = 4093, .rounds = 100, .seed = v->seed + (uint64_t)set };
		if (samples.inputs == 1) samples.next = conform_random(v) % samples.stride;
		for (size_t n; (n = ulp_next(&samples, b->x)) > 0 && !v->failed; s->values += n) each(v, b, n, s);
	}
}

static block *make_block(conform *v)
{
	block *b = arena_aligned(v->a, sizeof *b, 64);
	if (!b) conform_fail(v, "memory ran out");
	return b;
}

/* ---- bit for bit ------------------------------------------------------------------------------- */

static void compare_levels(conform *v, block *b, size_t n, sweep *s)
{
	const void *x[OG_MAX_IN], *wide[OG_MAX_IN];
	size_t size = is_test(v) ? 1 : sizeof(float);
	char words[256];
	(void)s;
	pointers(b, x, wide);
	for (int isa = 0; isa < OG_ISA_COUNT; isa++) {
		if (!conform_isa_runs(isa)) continue;
		conform_doing("%s", conform_isa_name[isa]);
		v->op->map[isa](n, b->y[isa], x, b->attr);
		for (size_t i = 0; isa && i < n; i++) {
			if (!memcmp((char *)b->y[0] + i * size, (char *)b->y[isa] + i * size, size)) continue;
			if (size > 1 && isnan(b->y[0][i]) && isnan(b->y[isa][i])) continue;
			place(words, v, b, i);
			if (size == 1)
				conform_fail(v, "%s and scalar differ at %s: write the formula with the words of opgraft/vec.h alone",
				             conform_isa_name[isa], words);
			else
				conform_fail(v, "%s gives %a and scalar %a at %s: write the formula with the words of opgraft/vec.h and vmath.h alone; "
				             "what C's own functions give depends on the library", conform_isa_name[isa], (double)b->y[isa][i],
				             (double)b->y[0][i], words);
			return;
		}
	}
}

void conform_levels(conform *v)
{
	sweep s = { 0 };
	if (!is_formula(v)) return;
	block *b = make_block(v);
	if (!b) return;
	sweep_formula(v, b, compare_levels, &s);
	conform_note(v, "%llu values on scalar%s%s", (unsigned long long)s.values, conform_isa_runs(OG_ISA_AVX2) ? ", avx2" : "",
	            conform_isa_runs(OG_ISA_AVX512) ? ", avx512" : "; this processor has no avx512");
}

/* ---- against double precision ------------------------------------------------------------------ */

/* Where precision is judged: beyond, a product inside the formula may leave the range of floats. */
static bool is_ordinary(const conform *v, const block *b, size_t i)
{
	for (int k = 0; k < v->op->map_inputs; k++) {
		float x = fabsf(b->x[k][i]);
		if (x != 0 && !(x >= 0x1p-60f && x <= 0x1p60f)) return false;
	}
	return true;
}

static void compare_ref(conform *v, block *b, size_t n, sweep *s)
{
	const void *x[OG_MAX_IN], *wide[OG_MAX_IN];
	char words[256];
	pointers(b, x, wide);
	for (int k = 0; k < v->op->map_inputs; k++)
		for (size_t i = 0; i < n; i++) b->wide[k][i] = (double)b->x[k][i];
	v->op->map[OG_ISA_SCALAR](n, b->y[0], x, b->attr);
	v->op->ref(n, b->ref, wide, b->attr);
	if (is_test(v) && memcmp(b->y[0], b->ref, n) != 0) conform_fail(v, "the formula decides otherwise in double precision");
	for (size_t i = 0; i < n && !is_test(v); i++) {
		double e = ulp_error(b->y[0][i], b->ref[i]);
		if (e <= s->worst) continue;
		if (!is_ordinary(v, b, i)) {
			if (e > s->worst_beyond) s->worst_beyond = e;
			continue;
		}
		s->worst = e;
		snprintf(s->worst_at, sizeof s->worst_at, "%s: %.9g, and %.17g in double", place(words, v, b, i), (double)b->y[0][i], b->ref[i]);
	}
}

void conform_precision(conform *v)
{
	sweep s = { 0 };
	if (!is_formula(v)) return;
	block *b = make_block(v);
	if (!b) return;
	if (isinf(v->op->ulp)) {
		conform_note(v, "not judged: .ulp is infinite");
		return;
	}
	sweep_formula(v, b, compare_ref, &s);
	double allowed = fmax(v->op->ulp, 0.5);
	if (isinf(s.worst))
		conform_fail(v, "a result is infinite, zero, NaN or of the wrong sign where double precision says otherwise, at %s: something inside the "
		            "formula overflows or loses everything; write it so that it does not (v_sel, another order)", s.worst_at);
	else if (s.worst > allowed)
		conform_fail(v, "it is off by %.3f units in the last place and .ulp says %g, at %s: mend the formula, or say .ulp = %.3g (INFINITY "
		            "for one with steps, such as rounding)", s.worst, v->op->ulp, s.worst_at, ceil(s.worst * 4) / 4 + 0.25);
	else if (is_test(v)) conform_note(v, "%llu values decide alike", (unsigned long long)s.values);
	else conform_note(v, "%.3f units in the last place at most (.ulp says %g)%s", s.worst, v->op->ulp, s.worst_beyond > allowed
	                  ? "; more beyond 2^60 or below 2^-60, where something inside overflows or underflows" : "");
}

/* ---- NaN --------------------------------------------------------------------------------------- */

/* How many of the results are NaN when one operand is; *other is the last that is none. */
static int count_nan(conform *v, block *b, int bad, size_t n, size_t *other)
{
	const void *x[OG_MAX_IN], *wide[OG_MAX_IN];
	int count = 0;
	for (int k = 0; k < v->op->map_inputs; k++)
		for (size_t i = 0; i < n; i++) b->x[k][i] = k == bad ? NAN : (float)((double)i - (double)n / 2) * 0.25f;
	pointers(b, x, wide);
	v->op->map[OG_ISA_SCALAR](n, b->y[0], x, b->attr);
	for (size_t i = 0; i < n; i++) {
		if (isnan(b->y[0][i])) count++;
		else *other = i;
	}
	return count;
}

/* NaN in the first input is NaN in the result. A NaN among the others, such as slopes, may be passed over by a selection, but
 * not always. */
void conform_nan(conform *v)
{
	enum { N = 64 };
	if (!is_formula(v)) return;
	block *b = v->op->flags & OG_STOPS_NAN || is_test(v) ? NULL : make_block(v);
	if (!b) {
		conform_skip(v);
		return;
	}
	for (int set = 0; attributes(v->op, set, b->attr) && !v->failed; set++)
		for (int bad = 0; bad < v->op->map_inputs && !v->failed; bad++) {
			size_t other = 0;
			char words[256];
			int count = count_nan(v, b, bad, N, &other);
			if (count == N || (bad > 0 && count > 0)) continue;
			conform_fail(v, "NaN gives %.9g at %s: a fault upstream would be hidden. Comparing with NaN is false, so v_sel takes its last "
			             "argument then: let that be what keeps the NaN (v_max and v_min do), or say .flags = OG_STOPS_NAN if it is meant",
			             (double)b->y[0][other], place(words, v, b, other));
		}
}

/* ---- strips ------------------------------------------------------------------------------------ */

enum { TAIL = 41 };

/* n elements, operand `same` and the result in one place (-1: apart), at the end of their pages. */
static bool strip(conform *v, int isa, size_t n, int same, const float *full, const float *values, const float *attr)
{
	size_t size = is_test(v) ? 1 : sizeof(float);
	const void *x[OG_MAX_IN] = { NULL };
	conform_guard_free_all();
	conform_doing("%s, %zu elements", conform_isa_name[isa], n);
	unsigned char *y = conform_guard(n * (same < 0 ? size : sizeof(float)), true, 0x5a, conform_name(v, "output", &v->out, 0));
	for (int k = 0; k < v->op->map_inputs; k++) {
		float *in = k == same ? (float *)(void *)y : conform_guard(n * sizeof(float), true, 0, conform_name(v, "input", &v->in, k));
		if (!in || !y) return conform_fail(v, "memory ran out"), false;
		if (n) memcpy(in, values + k * TAIL, n * sizeof(float));
		if (k != same) conform_guard_lock(in);
		x[k] = in;
	}
	v->op->map[isa](n, y, x, attr);
	if (!memcmp(y, full, n * size)) return true;
	conform_fail(v, "%s: the first %zu elements%s differ from the same elements of a longer strip: an element may depend on nothing but "
	            "the same element of the inputs", conform_isa_name[isa], n, same < 0 ? "" : ", in place,");
	return false;
}

void conform_strips(conform *v)
{
	float values[OG_MAX_IN * TAIL], full[TAIL], attr[OG_MAX_MAP_ATTRS];
	if (!is_formula(v)) return;
	ulp_attributes(v->op, 0, attr);
	for (int i = 0; i < OG_MAX_IN * TAIL; i++) values[i] = (float)(i * 7 % 23) * 0.375f - 3.0f;
	v->op->map[OG_ISA_SCALAR](TAIL, full, (const void *[]){ values, values + TAIL, values + 2 * TAIL }, attr);
	for (int isa = 0; isa < OG_ISA_COUNT; isa++)
		for (size_t n = 0; n < TAIL && conform_isa_runs(isa); n++)
			for (int same = -1; same < (is_test(v) ? 0 : v->op->map_inputs); same++)
				if (!strip(v, isa, n, same, full, values, attr)) return;
	conform_note(v, "0 to %d elements", TAIL - 1);
}

/* ---- attributes -------------------------------------------------------------------------------- */

/* True when some value of attribute k changes a result. */
static bool counts(conform *v, block *b, int k)
{
	static const double tries[] = { 0, 1, -1, 0.5, 2, -3, 0.01, 10 };
	const og_attr *a = &v->op->attrs[k];
	const void *x[OG_MAX_IN], *wide[OG_MAX_IN];
	size_t size = is_test(v) ? 1 : sizeof(float);
	ulp_attributes(v->op, 0, b->attr);
	pointers(b, x, wide);
	v->op->map[OG_ISA_SCALAR](ULP_BLOCK, b->y[0], x, b->attr);
	for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
		double value = a->low < a->high ? a->low + (a->high - a->low) * (double)i / 7 : tries[i];
		if (a->type == OG_ATTR_ENUM && (value < 0 || value != floor(value))) continue;
		b->attr[k] = (float)value;
		v->op->map[OG_ISA_SCALAR](ULP_BLOCK, b->y[1], x, b->attr);
		if (memcmp(b->y[0], b->y[1], size * ULP_BLOCK) != 0) return true;
	}
	return false;
}

void conform_attributes(conform *v)
{
	int numbers = 0;
	if (!is_formula(v)) return;
	block *b = make_block(v);
	if (!b) return;
	for (int k = 0; k < OG_MAX_IN; k++)
		for (size_t i = 0; i < ULP_BLOCK; i++) b->x[k][i] = (float)((double)(int32_t)conform_random(v) * 0x1p-29);
	for (int k = 0; k < v->n_attrs; k++) {
		const og_attr *a = &v->op->attrs[k];
		if (a->type != OG_ATTR_FLOAT && a->type != OG_ATTR_ENUM) continue;
		numbers++;
		if (k >= v->op->map_attrs)
			conform_fail(v, "the formula is not given attribute '%s': MAP(formula, inputs, attributes) passes the first %d, and the formula "
			            "takes them after the inputs", a->name, v->op->map_attrs);
		else if (!counts(v, b, k))
			conform_fail(v, "attribute '%s' changes no result: the formula ignores it; use it, or take it out of ATTRS", a->name);
	}
	if (numbers) conform_note(v, "%d", numbers);
	else conform_skip(v);
}
