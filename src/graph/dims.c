/* dims.c -- sizes that are not known yet: symbols, and arithmetic on them.
 *
 * A symbol's name is all there is to it. A name made here is an expression in a normal form, and it is read back
 * when it is calculated with, so that nothing is lost when a model goes through a file:
 *
 *   sum     (N*16+C-3)        terms in order of their names, the constant last; (-3) is a size below 0
 *   factor  N   "batch-size"  a plain name; any other name in quotes
 *           floor(A/B) ceil(A/B) max(A,B) min(A,B)    A, B: a number, a factor or a sum
 *
 * Names from files that read as none of these are factors as they are. Division by a number takes the whole part out
 * and is always written as floor: ceil(H/2) is floor((H+1)/2), floor((H-1)/2)+1 is floor((H+1)/2) as well.
 * Sizes are at least 0, or at least their symbol's min. */
#include "graph/text_read.h"

#include <stdio.h>

/* Deeper nesting than this is read as a plain name: the work grows as a power of the depth. */
enum { MAX_TERMS = 12, MAX_FACTORS = 6, MAX_NESTING = 8, MAX_NAME = 255 };

/* k times its factors: symbols, in order of their names. No factors: a constant. */
typedef struct term { int64_t k; int n; og_dim factor[MAX_FACTORS]; } term;
/* In order, without zero terms. */
typedef struct sum { int n; term term[MAX_TERMS]; } sum;

/* All functions on sums return false when a result cannot be said: overflow, or too long. */

og_dim graph_dim_symbol(og_model *m, const char *name)
{
	void *found = map_get(&m->symbol_index, name);
	if (found) return -1 - (og_dim)(uintptr_t)found;

	char *own_name = arena_strdup(m->a, name);
	graph_symbol *grown = own_name ? arena_grow(m->a, m->symbols, (size_t)m->n_symbols, &m->cap_symbols,
	                                            (size_t)m->n_symbols + 1, sizeof *grown) : NULL;
	if (!grown) {
		base_no_memory();
		return GRAPH_DIM_UNKNOWN;
	}
	m->symbols = grown;
	/* The table keeps the number plus one, as NULL means absent. */
	if (map_put(&m->symbol_index, own_name, (void *)((uintptr_t)m->n_symbols + 1)) != OG_OK) return GRAPH_DIM_UNKNOWN;
	m->symbols[m->n_symbols++] = (graph_symbol){ .name = own_name };
	return -1 - (og_dim)m->n_symbols;
}

const char *graph_dim_name(const og_model *m, og_dim d)
{
	return d < GRAPH_DIM_UNKNOWN && -2 - d < m->n_symbols ? m->symbols[-2 - d].name : NULL;
}

/* ---- sums ----------------------------------------------------------------------------------- */

static sum sum_of_number(int64_t k)
{
	return (sum){ .n = k != 0, .term = { { .k = k } } };
}

static sum sum_of_factor(og_dim symbol)
{
	return (sum){ .n = 1, .term = { { .k = 1, .n = 1, .factor = { symbol } } } };
}

static bool is_number(const sum *s, int64_t *k)
{
	*k = s->n ? s->term[0].k : 0;
	return s->n == 0 || (s->n == 1 && s->term[0].n == 0);
}

static int compare_factors(const og_model *m, const term *a, const term *b)
{
	if (!a->n || !b->n) return !a->n - !b->n;
	for (int i = 0; i < a->n && i < b->n; i++) {
		int order = a->factor[i] == b->factor[i] ? 0
			: strcmp(graph_dim_name(m, a->factor[i]), graph_dim_name(m, b->factor[i]));
		if (order) return order;
	}
	return a->n - b->n;
}

/* INT64_MIN counts as overflow, so that every k can be negated. */
static bool add_term(const og_model *m, sum *s, const term *t)
{
	int at = 0, order = 1;

	if (t->k == INT64_MIN) return false;
	while (at < s->n && (order = compare_factors(m, &s->term[at], t)) < 0) at++;
	if (at < s->n && order == 0) {
		int64_t *k = &s->term[at].k;
		if (__builtin_add_overflow(*k, t->k, k) || *k == INT64_MIN) return false;
		if (*k) return true;
		s->n--;
		memmove(s->term + at, s->term + at + 1, (size_t)(s->n - at) * sizeof *t);
		return true;
	}
	if (t->k == 0) return true;
	if (s->n == MAX_TERMS) return false;
	memmove(s->term + at + 1, s->term + at, (size_t)(s->n - at) * sizeof *t);
	s->term[at] = *t;
	s->n++;
	return true;
}

static bool add_number(const og_model *m, sum *s, int64_t k)
{
	return add_term(m, s, &(term){ .k = k });
}

/* s += k * a */
static bool add_scaled(const og_model *m, sum *s, const sum *a, int64_t k)
{
	for (int i = 0; i < a->n; i++) {
		term t = a->term[i];
		if (__builtin_mul_overflow(t.k, k, &t.k) || !add_term(m, s, &t)) return false;
	}
	return true;
}

static bool difference(const og_model *m, sum *out, const sum *a, const sum *b)
{
	*out = *a;
	return add_scaled(m, out, b, -1);
}

static bool product(const og_model *m, sum *out, const sum *a, const sum *b)
{
	out->n = 0;
	for (int i = 0; i < a->n; i++) {
		for (int j = 0; j < b->n; j++) {
			term t = a->term[i];
			const term *u = &b->term[j];
			if (t.n + u->n > MAX_FACTORS || __builtin_mul_overflow(t.k, u->k, &t.k)) return false;
			for (int f = 0; f < u->n; f++) {
				const char *name = graph_dim_name(m, u->factor[f]);
				int at = t.n++;
				for (; at > 0 && strcmp(graph_dim_name(m, t.factor[at - 1]), name) > 0; at--)
					t.factor[at] = t.factor[at - 1];
				t.factor[at] = u->factor[f];
			}
			if (!add_term(m, out, &t)) return false;
		}
	}
	return true;
}

/* ---- writing -------------------------------------------------------------------------------- */

typedef struct name_text { char s[MAX_NAME + 1]; size_t n; bool too_long; } name_text;

static void put(name_text *out, const char *s)
{
	size_t n = strlen(s);
	if (out->n + n > MAX_NAME) {
		out->too_long = true;
		return;
	}
	memcpy(out->s + out->n, s, n + 1);
	out->n += n;
}

static void put_number(name_text *out, int64_t k, bool sign)
{
	char digits[32];
	snprintf(digits, sizeof digits, sign ? "%+lld" : "%lld", (long long)k);
	put(out, digits);
}

static const char *const functions[] = { "floor", "ceil", "max", "min" };
enum { FLOOR, CEIL, MAX, MIN, N_FUNCTIONS };

static size_t name_length(const char *s)
{
	size_t n = 0;
	if (graph_is_letter(*s)) while (graph_is_word(s[n])) n++;
	return n;
}

/* Which function's name stands at the start of s, a '(' behind it; -1. */
static int function_at(const char *s, size_t length)
{
	for (int f = 0; f < N_FUNCTIONS; f++)
		if (strlen(functions[f]) == length && !strncmp(s, functions[f], length) && s[length] == '(') return f;
	return -1;
}

/* True when a name can stand in an expression without quotes: a plain one, or one call from start to end. */
static bool is_bare(const char *s)
{
	size_t n = name_length(s);
	int depth = 0;

	if (!n || !s[n]) return n > 0;
	if (function_at(s, n) < 0) return false;
	for (s += n; *s; s++) {
		depth += (*s == '(') - (*s == ')');
		if (depth == 0) return !s[1];
	}
	return false;
}

static void put_factor(name_text *out, const char *name)
{
	bool bare = is_bare(name);

	if (!bare && strchr(name, '"')) out->too_long = true;
	if (!bare) put(out, "\"");
	put(out, name);
	if (!bare) put(out, "\"");
}

static void put_sum(const og_model *m, name_text *out, const sum *s)
{
	int64_t k;

	if (is_number(s, &k) && k >= 0) {
		put_number(out, k, false);
		return;
	}
	if (s->n == 1 && s->term[0].n == 1 && s->term[0].k == 1) {
		put_factor(out, graph_dim_name(m, s->term[0].factor[0]));
		return;
	}
	put(out, "(");
	for (int i = 0; i < s->n; i++) {
		const term *t = &s->term[i];
		if (t->n == 0) {
			put_number(out, t->k, i > 0);
			continue;
		}
		put(out, t->k < 0 ? "-" : i > 0 ? "+" : "");
		for (int f = 0; f < t->n; f++) {
			put(out, f > 0 ? "*" : "");
			put_factor(out, graph_dim_name(m, t->factor[f]));
		}
		if (t->k != 1 && t->k != -1) {
			put(out, "*");
			put_number(out, t->k < 0 ? -t->k : t->k, false);
		}
	}
	put(out, ")");
}

static og_dim dim_of(og_model *m, const sum *s)
{
	name_text out = { .n = 0 };
	int64_t k;

	if (is_number(s, &k) && k >= 0) return k;
	if (s->n == 1 && s->term[0].n == 1 && s->term[0].k == 1) return s->term[0].factor[0];
	put_sum(m, &out, s);
	return out.too_long ? GRAPH_DIM_UNKNOWN : graph_dim_symbol(m, out.s);
}

/* The factor floor(a/b) and the like, as a sum. */
static bool call(og_model *m, sum *out, int function, const sum *a, const sum *b)
{
	name_text name = { .n = 0 };

	put(&name, functions[function]);
	put(&name, "(");
	put_sum(m, &name, a);
	put(&name, function <= CEIL ? "/" : ",");
	put_sum(m, &name, b);
	put(&name, ")");
	if (name.too_long) return false;
	og_dim symbol = graph_dim_symbol(m, name.s);
	*out = sum_of_factor(symbol);
	return symbol != GRAPH_DIM_UNKNOWN;
}

/* ---- reading -------------------------------------------------------------------------------- */

typedef struct reader { og_model *m; const char *p; int depth; } reader;

static bool divide(og_model *m, sum *out, const sum *a, const sum *b, bool up);
static bool larger(og_model *m, sum *out, const sum *a, const sum *b, bool smaller);
static bool read_value(reader *r, sum *out);

static bool take(reader *r, char c)
{
	if (*r->p != c) return false;
	r->p++;
	return true;
}

static bool read_quoted(reader *r, sum *out)
{
	const char *end = strchr(r->p, '"');
	char name[MAX_NAME + 1];

	if (!end || end == r->p || end - r->p > MAX_NAME) return false;
	memcpy(name, r->p, (size_t)(end - r->p));
	name[end - r->p] = '\0';
	r->p = end + 1;
	og_dim symbol = graph_dim_symbol(r->m, name);
	*out = sum_of_factor(symbol);
	return symbol != GRAPH_DIM_UNKNOWN;
}

static bool read_number(reader *r, sum *out)
{
	int64_t k = 0;
	while (graph_is_digit(*r->p))
		if (__builtin_mul_overflow(k, 10, &k) || __builtin_add_overflow(k, *r->p++ - '0', &k)) return false;
	*out = sum_of_number(k);
	return true;
}

/* Behind '(': A/B) or A,B) */
static bool read_arguments(reader *r, int function, sum *a, sum *b)
{
	return read_value(r, a) && take(r, function <= CEIL ? '/' : ',') && read_value(r, b) && take(r, ')');
}

static bool read_name(reader *r, sum *out)
{
	size_t n = name_length(r->p);
	int function = function_at(r->p, n);
	char name[MAX_NAME + 1];
	sum a, b;

	if (function >= 0) {
		r->p += n + 1;
		if (!read_arguments(r, function, &a, &b)) return false;
		return function <= CEIL ? divide(r->m, out, &a, &b, function == CEIL)
		                        : larger(r->m, out, &a, &b, function == MIN);
	}
	if (n > MAX_NAME) return false;
	memcpy(name, r->p, n);
	name[n] = '\0';
	r->p += n;
	og_dim symbol = graph_dim_symbol(r->m, name);
	*out = sum_of_factor(symbol);
	return symbol != GRAPH_DIM_UNKNOWN;
}

static bool read_product(reader *r, sum *out)
{
	sum left, right;

	if (!read_value(r, out)) return false;
	while (take(r, '*')) {
		left = *out;
		if (!read_value(r, &right) || !product(r->m, out, &left, &right)) return false;
	}
	return true;
}

static bool read_sum(reader *r, sum *out)
{
	sum part;

	out->n = 0;
	for (bool first = true; !take(r, ')'); first = false) {
		int64_t sign = take(r, '-') ? -1 : first || take(r, '+') ? 1 : 0;
		if (!sign || !read_product(r, &part) || !add_scaled(r->m, out, &part, sign)) return false;
	}
	return true;
}

static bool read_value(reader *r, sum *out)
{
	bool good;

	if (r->depth == MAX_NESTING) return false;
	r->depth++;
	if (take(r, '(')) good = read_sum(r, out);
	else if (take(r, '"')) good = read_quoted(r, out);
	else if (graph_is_digit(*r->p)) good = read_number(r, out);
	else good = graph_is_letter(*r->p) && read_name(r, out);
	r->depth--;
	return good;
}

static sum sum_of(og_model *m, og_dim d)
{
	sum s;

	if (d >= 0) return sum_of_number(d);
	reader r = { .m = m, .p = graph_dim_name(m, d) };
	bool expression = *r.p == '(' || graph_is_letter(*r.p);
	return expression && read_value(&r, &s) && !*r.p ? s : sum_of_factor(d);
}

/* Takes a factor apart: its function and arguments; -1 for a plain one. */
static int factor_function(og_model *m, og_dim factor, sum *a, sum *b)
{
	const char *name = graph_dim_name(m, factor);
	size_t n = name_length(name);
	int function = function_at(name, n);
	reader r = { .m = m, .p = name + n + 1 };

	return function >= 0 && read_arguments(&r, function, a, b) && !*r.p ? function : -1;
}

/* ---- division, maximum ---------------------------------------------------------------------- */

/* A value that s is never below, in *least. */
static bool lower_bound(og_model *m, const sum *s, int depth, int64_t *least)
{
	sum a, b;

	*least = 0;
	for (int i = 0; i < s->n; i++) {
		int64_t bound = s->term[i].k, low, low_b;
		if (s->term[i].n && (bound < 0 || depth == MAX_NESTING)) return false;
		for (int f = 0; f < s->term[i].n; f++) {
			og_dim factor = s->term[i].factor[f];
			int function = factor_function(m, factor, &a, &b);
			if (function < 0) {
				low = m->symbols[-2 - factor].min;
			} else {
				bool has_a = lower_bound(m, &a, depth + 1, &low) && low >= 0;
				bool has_b = lower_bound(m, &b, depth + 1, &low_b) && low_b >= 0;
				if (function == MAX ? !has_a && !has_b : !has_a || !has_b) return false;
				low = 0;
			}
			if (low < 0 || __builtin_mul_overflow(bound, low, &bound)) return false;
		}
		if (__builtin_add_overflow(*least, bound, least)) return false;
	}
	return true;
}

static bool is_at_least(og_model *m, const sum *a, const sum *b)
{
	sum gap;
	int64_t least;
	return difference(m, &gap, a, b) && lower_bound(m, &gap, 0, &least) && least >= 0;
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }       /* b > 0 */

static int64_t common_divisor(int64_t a, int64_t b)
{
	while (b) {
		int64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

/* floor((floor(p/d) + s)/c) is floor((p + s*d)/(c*d)): folds the first such factor of `rest` in. */
static bool fold_floor(og_model *m, sum *rest, int64_t *c, bool *folded)
{
	sum p, d, inner;
	int64_t k;

	*folded = false;
	for (int i = 0; i < rest->n; i++) {
		const term *t = &rest->term[i];
		if (t->k != 1 || t->n != 1 || factor_function(m, t->factor[0], &p, &d) != FLOOR) continue;
		if (!is_number(&d, &k) || k <= 0) continue;
		inner = sum_of_factor(t->factor[0]);
		if (!add_scaled(m, &p, rest, k) || !add_scaled(m, &p, &inner, -k)) return false;
		if (__builtin_mul_overflow(*c, k, c)) return false;
		*rest = p;
		*folded = true;
		return true;
	}
	return true;
}

/* floor(a/c): what c divides is taken out, the rest stands under floor with the smallest divisor. */
static bool divide_by_number(og_model *m, sum *out, const sum *a, int64_t c)
{
	sum rest = *a, part, divisor;
	bool folded;

	out->n = 0;
	do {
		part.n = 0;
		int64_t common = c;
		for (int i = 0; i < rest.n; i++) {
			term whole = rest.term[i], left = rest.term[i];
			whole.k = floor_div(whole.k, c);
			left.k -= whole.k * c;
			if (!add_term(m, out, &whole) || !add_term(m, &part, &left)) return false;
			if (left.n) common = common_divisor(common, left.k);
		}
		rest.n = 0;
		for (int i = 0; i < part.n; i++) {
			term t = part.term[i];
			t.k = floor_div(t.k, common);
			if (!add_term(m, &rest, &t)) return false;
		}
		c /= common;
		if (c == 1) return add_scaled(m, out, &rest, 1);
		if (!fold_floor(m, &rest, &c, &folded)) return false;
	} while (folded);
	divisor = sum_of_number(c);
	return call(m, &part, FLOOR, &rest, &divisor) && add_scaled(m, out, &part, 1);
}

/* Takes b's factors out of t. */
static bool divide_term(term *t, const term *b)
{
	if (t->k % b->k) return false;
	t->k /= b->k;
	for (int i = 0; i < b->n; i++) {
		int at = 0;
		while (at < t->n && t->factor[at] != b->factor[i]) at++;
		if (at == t->n) return false;
		t->n--;
		memmove(t->factor + at, t->factor + at + 1, (size_t)(t->n - at) * sizeof t->factor[0]);
	}
	return true;
}

/* a / b where that leaves nothing: b has one term, or a is a multiple of b. */
static bool divide_exactly(og_model *m, sum *out, const sum *a, const sum *b)
{
	int64_t k = 0;

	out->n = 0;
	if (b->n == 1) {
		for (int i = 0; i < a->n; i++) {
			term t = a->term[i];
			if (!divide_term(&t, &b->term[0]) || !add_term(m, out, &t)) return false;
		}
		return true;
	}
	if (a->n) k = a->term[0].k / b->term[0].k;
	sum rest = *a;
	if (!add_scaled(m, &rest, b, -k) || rest.n) return false;
	*out = sum_of_number(k);
	return true;
}

static bool divide(og_model *m, sum *out, const sum *a, const sum *b, bool up)
{
	sum top = { .n = 0 };
	int64_t c;

	if (is_number(b, &c)) {
		if (c == 0 || !add_scaled(m, &top, a, c < 0 ? -1 : 1)) return false;
		c = c < 0 ? -c : c;
		return (!up || add_number(m, &top, c - 1)) && divide_by_number(m, out, &top, c);
	}
	return divide_exactly(m, out, a, b) || call(m, out, up ? CEIL : FLOOR, a, b);
}

static bool larger(og_model *m, sum *out, const sum *a, const sum *b, bool smaller)
{
	if (is_at_least(m, a, b)) {
		*out = smaller ? *b : *a;
		return true;
	}
	if (is_at_least(m, b, a)) {
		*out = smaller ? *a : *b;
		return true;
	}
	name_text name_a = { .n = 0 }, name_b = { .n = 0 };
	put_sum(m, &name_a, a);
	put_sum(m, &name_b, b);
	if (name_a.too_long || name_b.too_long) return false;
	bool swap = strcmp(name_a.s, name_b.s) > 0;
	return call(m, out, smaller ? MIN : MAX, swap ? b : a, swap ? a : b);
}

/* ---- the operations ------------------------------------------------------------------------- */

static og_dim broadcast(og_dim a, og_dim b)
{
	if (a == b || b == 1) return a;
	if (a == 1) return b;
	if (a >= 0 && b >= 0) return GRAPH_DIM_UNKNOWN;      /* they contradict each other */
	/* The side that is not known is 1 or the same, or the network is wrong. */
	return a >= 0 ? a : b >= 0 ? b : GRAPH_DIM_UNKNOWN;
}

/* a == b, a < b: 1, 0 or unknown. */
static og_dim compare(og_model *m, og_dim_op op, const sum *a, const sum *b)
{
	sum a_plus = *a, b_plus = *b;

	if (!add_number(m, &a_plus, 1) || !add_number(m, &b_plus, 1)) return GRAPH_DIM_UNKNOWN;
	bool less = is_at_least(m, b, &a_plus), more = is_at_least(m, a, &b_plus);
	if (op == OG_DIM_LESS) return less ? 1 : more || is_at_least(m, a, b) ? 0 : GRAPH_DIM_UNKNOWN;
	if (less || more) return 0;
	return is_at_least(m, a, b) && is_at_least(m, b, a) ? 1 : GRAPH_DIM_UNKNOWN;
}

og_dim graph_dim_do(og_model *m, og_dim_op op, og_dim a, og_dim b)
{
	sum out = { .n = 0 }, left, right;
	bool good = false;

	if (op == OG_DIM_BROADCAST) return broadcast(a, b);
	if (op == OG_DIM_PROD && (a == 0 || b == 0)) return 0;
	if (a == GRAPH_DIM_UNKNOWN || b == GRAPH_DIM_UNKNOWN) return GRAPH_DIM_UNKNOWN;
	left = sum_of(m, a);
	right = sum_of(m, b);
	switch (op) {
	case OG_DIM_SUM:
		out = left;
		good = add_scaled(m, &out, &right, 1);
		break;
	case OG_DIM_SUB: good = difference(m, &out, &left, &right); break;
	case OG_DIM_PROD: good = product(m, &out, &left, &right); break;
	case OG_DIM_MAX: good = larger(m, &out, &left, &right, false); break;
	case OG_DIM_MIN: good = larger(m, &out, &left, &right, true); break;
	case OG_DIM_FLOOR_DIV: good = divide(m, &out, &left, &right, false); break;
	case OG_DIM_CEIL_DIV: good = divide(m, &out, &left, &right, true); break;
	case OG_DIM_EQUAL:
	case OG_DIM_LESS: return compare(m, op, &left, &right);
	case OG_DIM_BROADCAST:
	case OG_DIM_UNKNOWN: break;
	}
	return good ? dim_of(m, &out) : GRAPH_DIM_UNKNOWN;
}
