#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
enum { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP };

/* Where the amounts come from: attribute pads in Pad-2, inputs 1 and 3 later. */
typedef struct pad_lists { list pads, axes; } pad_lists;

/* What is put before and after each dimension; false when the lists say nothing sensible. */
static int pad_amounts(const pad_lists *l, int rank, int64_t *before, int64_t *after)
{
	int64_t n = l->axes.n >= 0 ? l->axes.n : rank;
	memset(before, 0, sizeof *before * OG_MAX_RANK);
	memset(after, 0, sizeof *after * OG_MAX_RANK);
	if (l->pads.n != 2 * n || n > rank) return 0;
	for (int k = 0; k < n; k++) {
		int axis = og_axis(l->axes.n >= 0 ? list_at(&l->axes, k) : k, rank);
		if (axis < 0) return 0;
		before[axis] = list_at(&l->pads, k);
		after[axis] = list_at(&l->pads, n + k);
	}
	return 1;
}

static og_status pad_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	og_shape *y = &c->out[0];
	pad_lists l = { c->op->since >= 11 ? list_of_input(c, 1) : list_of_attr(&c->attr[1]), list_of_tensor(NULL) };
	int64_t before[OG_MAX_RANK], after[OG_MAX_RANK];
	if (c->op->since >= 18) l.axes = list_of_input(c, 3);
	if (x->rank < 0 || l.pads.n < 0 || l.axes.n == LIST_UNKNOWN) return dims_of_rank(c, y, x->rank);
	if (!pad_amounts(&l, x->rank, before, after))
		return c->host->fail(OG_BAD_FILE, "Pad's pads and axes do not fit each other and %d dimensions", x->rank);
	dims_copy(y, x);
	for (int d = 0; d < y->rank; d++) {
		if (x->dims[d] == 0 && c->attr[0].i != PAD_CONSTANT && (before[d] > 0 || after[d] > 0))
			return c->host->fail(OG_BAD_FILE, "Pad has no element to repeat in dimension %d", d);
		if (__builtin_add_overflow(before[d], after[d], &after[d])) return dims_overflow(c);
		OP_TRY(dims_shift(c, &y->dims[d], after[d]));
	}
	return OG_OK;
}

/* Axes that are padded, outermost first, the ones between them folded; trailing unpadded ones are in `unit`. */
typedef struct pad {
	int mode, rank;
	int64_t n[OG_MAX_RANK], out[OG_MAX_RANK], before[OG_MAX_RANK];
	size_t unit, size;                   /* bytes of what is copied at once, and of an element */
	const char *from, *value;
	char *to;
} pad;

static void pad_fold(pad *p, const og_tensor *x, const og_tensor *y, const int64_t *before)
{
	int last = x->rank;
	p->unit = p->size;
	while (last > 0 && before[last - 1] == 0 && y->dims[last - 1] == x->dims[last - 1])
		p->unit *= (size_t)x->dims[--last];
	for (int d = 0; d < last; d++) {
		int whole = before[d] == 0 && y->dims[d] == x->dims[d], at = p->rank - 1;
		if (whole && at >= 0 && p->before[at] == 0 && p->out[at] == p->n[at]) {
			p->n[at] = p->out[at] *= x->dims[d];
			continue;
		}
		at = p->rank++;
		p->n[at] = x->dims[d];
		p->out[at] = y->dims[d];
		p->before[at] = before[d];
	}
	if (p->rank == 0) {
		p->rank = 1;
		p->n[0] = p->out[0] = 1;
		p->before[0] = 0;
	}
}

/* The element of n that stands at place `at`, which may be outside; -1: the constant. */
static int64_t pad_source(int mode, int64_t at, int64_t n)
{
	int64_t period = mode == PAD_REFLECT ? 2 * n - 2 : n;
	if (at >= 0 && at < n) return at;
	if (mode == PAD_CONSTANT) return -1;
	if (mode == PAD_EDGE || period == 0) return at < 0 ? 0 : n - 1;
	at = (at % period + period) % period;
	return at < n ? at : period - at;
}

static void pad_constant(const pad *p, char *to, int64_t units)
{
	move_fill(to, p->value, p->size, units * (int64_t)(p->unit / p->size));
}

/* Places [begin, end) of a line, all outside of the input's. */
static void pad_border(const pad *p, char *to, const char *from, int64_t begin, int64_t end)
{
	int last = p->rank - 1;
	if (p->mode == PAD_CONSTANT) {
		pad_constant(p, to + begin * (int64_t)p->unit, end - begin);
		return;
	}
	for (int64_t k = begin; k < end; k++) {
		int64_t source = pad_source(p->mode, k - p->before[last], p->n[last]);
		move_element(to + k * (int64_t)p->unit, from + source * (int64_t)p->unit, p->unit);
	}
}

static void pad_lines(void *arg, int64_t begin, int64_t end)
{
	const pad *p = (const pad *)arg;
	int last = p->rank - 1;
	int64_t n = p->n[last], out = p->out[last], unit = (int64_t)p->unit;
	int64_t first = p->before[last] > 0 ? p->before[last] : 0, past = n + p->before[last];
	if (first > out) first = out;
	past = past > out ? out : past < first ? first : past;
	for (int64_t line = begin; line < end; line++) {
		char *to = p->to + line * out * unit;
		int64_t at = 0, stride = 1, rest = line;
		for (int d = last - 1; d >= 0 && at >= 0; d--) {
			int64_t source = pad_source(p->mode, rest % p->out[d] - p->before[d], p->n[d]);
			at = source < 0 ? -1 : at + source * stride;
			rest /= p->out[d];
			stride *= p->n[d];
		}
		if (at < 0) {
			pad_constant(p, to, out);
			continue;
		}
		const char *from = p->from + at * n * unit;
		pad_border(p, to, from, 0, first);
		if (past > first)
			memcpy(to + first * unit, from + (first - p->before[last]) * unit, (size_t)((past - first) * unit));
		pad_border(p, to, from, past, out);
	}
}

static og_status pad_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *value = NULL;
	og_tensor *y = c->out[0];
	pad_lists l = { list_of_tensor(NULL), list_of_tensor(NULL) };
	pad p = { .mode = (int)c->attr[0].i, .from = (const char *)x->data, .to = (char *)y->data };
	int64_t before[OG_MAX_RANK], after[OG_MAX_RANK];
	char scratch[16] = { 0 };
	og_tensor constant = { .dtype = x->dtype, .data = scratch };
	OP_TRY(move_size(c, x, &p.size));
	if (c->op->since >= 11) {
		l.pads = list_of_tensor(c->in[1]);
		value = move_in(c, 2);
		if (c->op->since >= 18) l.axes = list_of_tensor(move_in(c, 3));
	} else {
		l.pads = list_of_attr(&c->attr[1]);
		number_put(&constant, 0, (double)c->attr[2].f);
	}
	p.value = value && og_count(value) > 0 ? (const char *)value->data : scratch;
	pad_amounts(&l, x->rank, before, after);
	if (og_count(y) == 0) return OG_OK;
	pad_fold(&p, x, y, before);
	int64_t line = p.out[p.rank - 1] * (int64_t)p.unit, bytes = og_count(y) * (int64_t)p.size;
	c->host->parallel(c, bytes / line, move_grain((size_t)line), pad_lines, &p);
	return OG_OK;
}
#endif

OP(pad_2, .name = "Pad", .since = 2, .doc = "Puts elements before and after each dimension, or takes them away.",
   .inputs = "data:T", .outputs = "output:T",
   ATTRS(OG_ENUM("mode", "constant|reflect|edge", PAD_CONSTANT),
         { .name = "pads", .type = OG_ATTR_INTS, .required = 1 }, OG_FLOAT("value", 0.0)),
   .shape = pad_shape, .eval = pad_eval)
OP(pad_11, .name = "Pad", .since = 11, .doc = "Puts elements before and after each dimension, or takes them away.",
   .inputs = "data:T, pads:i64!, constant_value:T?", .outputs = "output:T",
   ATTRS(OG_ENUM("mode", "constant|reflect|edge", PAD_CONSTANT)), .flags = OG_SHARED_BITS, .shape = pad_shape,
   .eval = pad_eval)
OP(pad_18, .name = "Pad", .since = 18,
   .doc = "Puts elements before and after the listed dimensions, or takes them away.",
   .inputs = "data:T, pads:i64!, constant_value:T?, axes:I?!", .outputs = "output:T", .types = "I=i32 i64",
   ATTRS(OG_ENUM("mode", "constant|reflect|edge|wrap", PAD_CONSTANT)), .flags = OG_SHARED_BITS, .shape = pad_shape,
   .eval = pad_eval)
