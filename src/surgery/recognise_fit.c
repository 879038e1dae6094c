/* recognise_fit.c -- is this region one of the ops, and with which numbers?
 *
 * A few screening probes reject most ops. Where numbers are to be solved for, those that come first are what the
 * region's own constants give: c, -c, 1/c, products and quotients of two; then damped least squares start from the best
 * of these. Only what also agrees over dense probes is taken. */
#include <math.h>

#include "surgery/recognise.h"

/* An op that is active only this near to 0 is hardly what someone meant. */
#define LEAST_RANGE 0.0625

enum { MOST_CONSTANTS = 6, MOST_CANDIDATES = 64, MOST_TRIES = 6, MOST_PROBES = 3072, FEW = 10, FINE = 24 };

/* ---- how far apart two functions are ---------------------------------------------------------- */

/* The largest |g| on [-1, 1]. */
static double near_size(const double *x, const double *g, size_t n)
{
	double size = 0;
	for (size_t i = 0; i < n; i++)
		if (fabs(x[i]) <= 1 && fabs(g[i]) > size && isfinite(g[i])) size = fabs(g[i]);
	return size;
}

static double finite_size(double x) { return isfinite(x) ? fabs(x) : 0; }

/* How far apart finite f and g are at probe i, which `slack` may explain. */
static double apart(const double *f, const double *g, size_t i, double slack, double mirrored, double least)
{
	double difference = fabs(f[i] - g[i]) - slack;
	return difference <= 0 ? 0 : difference / fmax(fmax(fabs(g[i]), mirrored * finite_size(g[i ^ 1])), least);
}

double recognise_measure(const double *x, const double *f, const double *g, const double *slack, size_t n, size_t *worst,
                         size_t *skipped)
{
	double error = 0, least = near_size(x, g, n) * 0x1p-30;
	*worst = *skipped = 0;
	for (size_t i = 0; i < n; i++) {
		double e = 0;
		if (isfinite(f[i]) && isfinite(g[i])) e = apart(f, g, i, slack ? slack[i] : 0, 0x1p-6, least);
		else if (isfinite(f[i])) e = HUGE_VAL;
		else if (isfinite(g[i])) ++*skipped;
		else if (isinf(f[i]) && isinf(g[i]) && f[i] != g[i]) e = HUGE_VAL;
		if (e > error) {
			error = e;
			*worst = i;
		}
	}
	return error;
}

/* ---- dense probes ------------------------------------------------------------------------------ */

typedef struct fit {
	recogniser *r;
	const recognise_path *p;
	const recognise_variant *v;
	double bound;                        /* over the screening probes */
	double range;                        /* outside of which the op is saturated, with the parameters that are being checked */
	double weight[RECOGNISE_SCREEN];
	double constant[MOST_CONSTANTS]; int n_constants;
	double rounded[MOST_CONSTANTS]; int n_rounded;
	double candidate[MOST_CANDIDATES]; int n_candidates;
	struct { double parameter[RECOGNISE_PARAMETERS], score; } tried[MOST_TRIES]; int n_tried;    /* best first */
	recognise_verdict best;              /* the nearest that dense probes saw */
} fit;

/* True when the op goes straight on from x outwards, by what a float32 can tell. */
static bool is_saturated(const recognise_variant *v, const double *parameter, double x)
{
	double at[4] = { x, 2 * x, 3 * x, -x }, y[4];
	recognise_variant_run(v, parameter, at, y, 4);
	double bend = fabs(y[2] - 2 * y[1] + y[0]), size = fmax(fabs(y[2]), fmax(fabs(y[0]), finite_size(y[3])));
	return bend <= 0x1p-20 * size;
}

/* A power of two beyond which the op is saturated on both sides. */
static double active_range(const recognise_variant *v, const double *parameter)
{
	double x = 0x1p20;
	while (x > 0x1p-10 && is_saturated(v, parameter, x) && is_saturated(v, parameter, -x)) x /= 2;
	return 2 * x;
}

/* Only what a half can hold, where the region works on halves. */
static size_t add_pair(const fit *t, size_t n, double at)
{
	double *x = t->r->x;
	if (n + 2 > MOST_PROBES || (t->p->unit == 0x1p-11 && fabs(at) > 65504 && isfinite(at))) return n;
	x[n] = (double)(float)at;
	x[n + 1] = -x[n];
	return n + 2;
}

static size_t add_grid(const fit *t, size_t n, double range, int count)
{
	for (int k = 0; k < count; k++) n = add_pair(t, n, range * (k + 0.6180339887) / count);
	return n;
}

/* Where the region or the op may have an edge: at the number and on both sides of it. */
static size_t add_edge(const fit *t, size_t n, double at)
{
	n = add_pair(t, n, at);
	n = add_pair(t, n, at * (1 - 0x1p-20));
	return add_pair(t, n, at * (1 + 0x1p-20));
}

/* Pairs x, -x over all of float32, densest where the op is not saturated. */
static size_t make_probes(const fit *t, const double *parameter)
{
	size_t n = add_pair(t, 0, 0);
	n = add_pair(t, n, HUGE_VAL);
	n = add_grid(t, n, t->range, 320);
	n = add_grid(t, n, t->range / 8, 160);
	n = add_grid(t, n, 8, 160);
	for (int k = -24 * 6; k < 24 * 6; k++) n = add_pair(t, n, exp2((k + 0.3819660113) / 6));
	for (int k = -149; k < 128; k++) n = add_pair(t, n, exp2(k));
	for (int k = 0; k < t->v->n_parameters; k++) n = add_edge(t, n, parameter[k]);
	for (int k = 0; k < t->n_candidates; k++) n = add_edge(t, n, t->candidate[k]);
	for (int i = 0; i < t->n_constants; i++)
		for (int k = i + 1; k < t->n_constants; k++) {
			n = add_edge(t, n, t->constant[i] + t->constant[k]);
			n = add_edge(t, n, t->constant[i] - t->constant[k]);
		}
	return n;
}

/* Where only f is not finite, that must be so from some |x| on, the op be saturated there, and a value inside f be too
 * large: x * e / (1 + e) with e = exp(x) and the like. */
static bool only_overflows(const fit *t, const double *parameter, size_t n)
{
	const recogniser *r = t->r;
	double last[2] = { 0, 0 }, first[2] = { HUGE_VAL, HUGE_VAL };       /* |x| above and below 0: finite, not finite */
	for (size_t i = 0; i < n; i++) {
		int below = signbit(r->x[i]) != 0;
		if (isfinite(r->f[i])) last[below] = fmax(last[below], fabs(r->x[i]));
		else if (isfinite(r->g[i])) first[below] = fmin(first[below], fabs(r->x[i]));
	}
	for (int below = 0; below < 2; below++) {
		double x = below ? -first[below] : first[below];
		if (isinf(x)) continue;
		if (first[below] <= last[below] || !is_saturated(t->v, parameter, x) || !recognise_overflows(t->r, t->p, x)) return false;
	}
	return true;
}

/* The largest difference relative to the op's size at +-x, or to an eighth of that around 0; *worst is
 * where it is told: far out only when that is worse. */
static double loose_error(const double *x, const double *f, const double *g, size_t n, size_t *worst)
{
	double error = 0, told = 0, least = near_size(x, g, n) / 8;
	for (size_t i = 0; i < n; i++) {
		if (!isfinite(f[i]) || !isfinite(g[i])) continue;
		double e = apart(f, g, i, 0, 1, least);
		if (e > 1.125 * told) {
			told = e;
			*worst = i;
		}
		error = fmax(error, e);
	}
	return error;
}

/* A constant of a 16-bit type may be any number that rounds to it: what each makes of the region alone, all added. */
static void find_slack(const fit *t, size_t n)
{
	recogniser *r = t->r;
	memset(r->slack, 0, n * sizeof *r->slack);
	for (int k = 0; k < 2 * t->n_rounded; k++) {
		double from = t->rounded[k / 2];
		recognise_run_moved(r, t->p, from, from * (1 + (k % 2 ? t->p->unit : -t->p->unit)), r->x, r->moved, n);
		for (size_t i = 0; i < n; i++)
			if (isfinite(r->moved[i]) && isfinite(r->f[i])) r->slack[i] += fabs(r->moved[i] - r->f[i]) * 0.5625;
	}
}

/* Between two probes the error may be larger than at them: looks closer around the largest. Uses the probes up. */
static void look_closer(const fit *t, recognise_verdict *d, double at)
{
	recogniser *r = t->r;
	for (double reach = 0.125; reach > 0x1p-16 && d->error <= RECOGNISE_BOUND; reach /= 8) {
		size_t n = add_pair(t, 0, 1), worst, skipped;        /* for the op's size around 0 */
		for (int k = -FINE; k <= FINE; k++) n = add_pair(t, n, at * (1 + reach * k / FINE));
		recognise_run(r, t->p, r->x, r->f, n);
		recognise_variant_run(t->v, d->parameter, r->x, r->g, n);
		double error = recognise_measure(r->x, r->f, r->g, NULL, n, &worst, &skipped);
		if (error <= d->error) continue;
		d->error = error;
		d->at = at = r->x[worst];
		d->differs = fabs(r->f[worst] - r->g[worst]);
	}
	d->match = d->error <= RECOGNISE_BOUND;
}

/* Compares over dense probes; keeps the verdict when it is better. True: it is the op. */
static bool check_dense(fit *t, const double *parameter)
{
	recogniser *r = t->r;
	t->range = active_range(t->v, parameter);
	size_t n = make_probes(t, parameter), worst, skipped;
	recognise_run(r, t->p, r->x, r->f, n);
	recognise_variant_run(t->v, parameter, r->x, r->g, n);
	recognise_verdict now = { .variant = t->v };
	memcpy(now.parameter, parameter, sizeof now.parameter);
	double unexplained = now.error = recognise_measure(r->x, r->f, r->g, NULL, n, &worst, &skipped);
	if (t->n_rounded > 0 && now.error > RECOGNISE_BOUND) {
		find_slack(t, n);
		unexplained = recognise_measure(r->x, r->f, r->g, r->slack, n, &worst, &skipped);
	}
	now.match = unexplained <= RECOGNISE_BOUND && (skipped == 0 || only_overflows(t, parameter, n));
	if (now.match && t->n_rounded == 0) {
		look_closer(t, &now, r->x[worst]);
	} else if (!now.match) {
		size_t loose_worst = worst;
		now.error = loose_error(r->x, r->f, r->g, n, &loose_worst);
		if (now.error > RECOGNISE_BOUND) worst = loose_worst;
		if (t->range < LEAST_RANGE) now.error = HUGE_VAL;
		now.at = r->x[worst];
		now.differs = fabs(r->f[worst] - r->g[worst]);
	}
	if (!t->best.variant || now.match || now.error < t->best.error) t->best = now;
	return now.match;
}

/* ---- solving ----------------------------------------------------------------------------------- */

static void add_candidate(fit *t, double c)
{
	for (int k = 0; k < t->n_candidates; k++)
		if (t->candidate[k] == c) return;
	if (isfinite(c) && t->n_candidates < MOST_CANDIDATES) t->candidate[t->n_candidates++] = c;
}

static void add_both_signs(fit *t, double c)
{
	add_candidate(t, (double)(float)c);
	add_candidate(t, (double)(float)-c);
}

static void find_candidates(fit *t)
{
	const double *c = t->constant;
	t->n_constants = recognise_constants(t->p, t->constant, MOST_CONSTANTS);
	t->n_rounded = recognise_rounded(t->p, t->rounded, MOST_CONSTANTS);
	t->bound = t->n_rounded > 0 ? 8 * t->p->unit : RECOGNISE_BOUND;
	for (int i = 0; i < t->n_constants; i++) add_both_signs(t, c[i]);
	for (int i = 0; i < t->n_constants; i++) add_both_signs(t, 1 / c[i]);
	add_both_signs(t, 1);
	for (int i = 0; i < t->n_constants; i++)
		for (int k = i + 1; k < t->n_constants; k++) {
			add_both_signs(t, c[i] * c[k]);
			add_both_signs(t, c[i] / c[k]);
			add_both_signs(t, c[k] / c[i]);
		}
}

static bool in_range(const recognise_variant *v, int k, double a)
{
	return a >= v->parameter[k].low && a <= v->parameter[k].high;
}

/* How far apart they are over the screening probes. */
static double score(const fit *t, const double *parameter)
{
	double g[RECOGNISE_SCREEN];
	size_t worst, skipped;
	recognise_variant_run(t->v, parameter, recognise_screen, g, RECOGNISE_SCREEN);
	double e = recognise_measure(recognise_screen, t->p->screen, g, NULL, RECOGNISE_SCREEN, &worst, &skipped);
	return skipped > RECOGNISE_SCREEN / 2 ? HUGE_VAL : e;
}

/* Keeps those that come nearest over a few probes, by a sum that is cheap: most come to nothing. */
static void try_parameters(fit *t, const double *parameter)
{
	double g[FEW], s = 0;
	int at = t->n_tried;
	recognise_variant_run(t->v, parameter, recognise_screen, g, FEW);
	for (int i = 0; i < FEW; i++)
		if (isfinite(t->p->screen[i])) s += fabs(t->p->screen[i] - g[i]);
	if (!isfinite(s)) return;
	while (at > 0 && t->tried[at - 1].score > s) at--;
	if (at == MOST_TRIES) return;
	int tail = (t->n_tried < MOST_TRIES ? t->n_tried : MOST_TRIES - 1) - at;
	memmove(&t->tried[at + 1], &t->tried[at], (size_t)tail * sizeof t->tried[0]);
	if (t->n_tried < MOST_TRIES) t->n_tried++;
	memcpy(t->tried[at].parameter, parameter, sizeof t->tried[at].parameter);
	t->tried[at].score = s;
}

/* Every combination of the first candidates, each parameter's default among them. */
static void try_candidates(fit *t)
{
	static const int each[RECOGNISE_PARAMETERS + 1] = { 1, MOST_CANDIDATES + 1, 16, 6, 4, 3, 2 };
	const recognise_variant *v = t->v;
	int count = each[v->n_parameters], total = 1;
	if (count > t->n_candidates + 1) count = t->n_candidates + 1;
	for (int k = 0; k < v->n_parameters; k++) total *= count;
	for (int turn = 0; turn < total; turn++) {
		double parameter[RECOGNISE_PARAMETERS] = { 0 };
		bool legal = true;
		for (int k = 0, rest = turn; k < v->n_parameters; k++, rest /= count) {
			parameter[k] = rest % count ? t->candidate[rest % count - 1] : (double)(float)v->parameter[k].start;
			legal &= in_range(v, k, parameter[k]);
		}
		if (legal) try_parameters(t, parameter);
	}
}

/* Weights of the screening probes: 1 over the region's size there, as in loose_error. */
static void find_weights(fit *t)
{
	const double *f = t->p->screen;
	double least = near_size(recognise_screen, f, RECOGNISE_SCREEN) / 8;
	for (size_t i = 0; i < RECOGNISE_SCREEN; i++) {
		double size = fmax(fmax(finite_size(f[i]), finite_size(f[i ^ 1])), least);
		t->weight[i] = size > 0 ? 1 / size : 0;
	}
}

/* Weighted differences over the screening probes; returns the sum of squares. */
static double residuals(const fit *t, const double *parameter, double *out)
{
	double g[RECOGNISE_SCREEN], sum = 0;
	recognise_variant_run(t->v, parameter, recognise_screen, g, RECOGNISE_SCREEN);
	for (size_t i = 0; i < RECOGNISE_SCREEN; i++) {
		out[i] = (t->p->screen[i] - g[i]) * t->weight[i];
		if (!isfinite(out[i])) out[i] = 0;
		sum += out[i] * out[i];
	}
	return sum;
}

/* Solves the n equations m x = b in place by elimination; false when there is no one answer. */
static bool solve(double m[][RECOGNISE_PARAMETERS + 1], int n)
{
	for (int c = 0; c < n; c++) {
		int pivot = c;
		for (int i = c + 1; i < n; i++)
			if (fabs(m[i][c]) > fabs(m[pivot][c])) pivot = i;
		if (!(fabs(m[pivot][c]) > 0)) return false;
		for (int k = 0; k <= n; k++) {
			double swapped = m[c][k];
			m[c][k] = m[pivot][k];
			m[pivot][k] = swapped;
		}
		for (int i = 0; i < n; i++) {
			double factor = i == c ? 0 : m[i][c] / m[c][c];
			for (int k = c; k <= n; k++) m[i][k] -= factor * m[c][k];
		}
	}
	for (int i = 0; i < n; i++) m[i][n] /= m[i][i];
	return true;
}

/* Derivatives by the parameters, at numbers that a float32 holds. */
static void derive(const fit *t, const double *parameter, const double *at, double slope[][RECOGNISE_SCREEN])
{
	for (int k = 0; k < t->v->n_parameters; k++) {
		double moved[RECOGNISE_PARAMETERS], there[RECOGNISE_SCREEN];
		memcpy(moved, parameter, sizeof moved);
		moved[k] = (double)(float)(parameter[k] + 0x1p-12 * fmax(fabs(parameter[k]), 0x1p-6));
		if (!in_range(t->v, k, moved[k])) moved[k] = (double)(float)(2 * parameter[k] - moved[k]);
		residuals(t, moved, there);
		for (int i = 0; i < RECOGNISE_SCREEN; i++) slope[k][i] = (there[i] - at[i]) / (moved[k] - parameter[k]);
	}
}

/* One damped step from `parameter`, in place. */
static bool step(const fit *t, double *parameter, double slope[][RECOGNISE_SCREEN], const double *at, double damping)
{
	double m[RECOGNISE_PARAMETERS][RECOGNISE_PARAMETERS + 1];
	int n = t->v->n_parameters;
	for (int a = 0; a < n; a++)
		for (int b = 0; b <= n; b++) {
			m[a][b] = 0;
			for (int i = 0; i < RECOGNISE_SCREEN; i++) m[a][b] += slope[a][i] * (b < n ? slope[b][i] : -at[i]);
			if (a == b) m[a][b] *= 1 + damping;
		}
	if (!solve(m, n)) return false;
	for (int k = 0; k < n; k++) {
		parameter[k] = (double)(float)(parameter[k] + m[k][n]);
		if (!isfinite(parameter[k])) return false;
		parameter[k] = fmin(fmax(parameter[k], t->v->parameter[k].low), t->v->parameter[k].high);
	}
	return true;
}

/* Levenberg and Marquardt's least squares. */
static void descend(const fit *t, double *parameter, bool nearest)
{
	double at[RECOGNISE_SCREEN], there[RECOGNISE_SCREEN], slope[RECOGNISE_PARAMETERS][RECOGNISE_SCREEN];
	double sum = residuals(t, parameter, at), damping = 1e-3;
	for (int turn = 0, stuck = 0; turn < 40 && stuck < 5 && sum > 0; turn++) {
		double next[RECOGNISE_PARAMETERS];
		memcpy(next, parameter, sizeof next);
		if (stuck == 0) derive(t, parameter, at, slope);
		bool stepped = step(t, next, slope, at, damping);
		double after = stepped ? residuals(t, next, there) : HUGE_VAL;
		if (after < sum) {
			memcpy(parameter, next, sizeof next);
			memcpy(at, there, sizeof at);
			if (after > 0.999 * sum && sum > 1e-2) return;       /* creeping, far away */
			if (turn > 6 && after > 1e-3 && !nearest) return;
			sum = after;
			damping /= 16;
			stuck = 0;
		} else {
			damping = damping * 16 + 1e-9;
			stuck++;
		}
	}
}

/* A number that the region's constants give is better than one that was solved for, when it does as well. */
static void snap(const fit *t, double *parameter)
{
	for (int k = 0; k < t->v->n_parameters; k++)
		for (int c = -1; c < t->n_candidates; c++) {
			double was = parameter[k], to = c < 0 ? (double)(float)t->v->parameter[k].start : t->candidate[c];
			if (fabs(to - was) > 1e-5 * fabs(was) || !in_range(t->v, k, to)) continue;
			double before = score(t, parameter);
			parameter[k] = to;
			if (score(t, parameter) <= fmax(before, t->bound / 8)) break;
			parameter[k] = was;
		}
}

/* Does the region do what the op does with any parameters? `share`: of the op's size that it may be off. */
static bool fits_fixed(const recognise_variant *v, const double *f, double share)
{
	const double *d = v->screen;
	double least = near_size(recognise_screen, f, RECOGNISE_SCREEN) * (share < RECOGNISE_NEAR ? 0x1p-30 : 1);
	for (size_t i = 0; i < RECOGNISE_SCREEN; i++) {
		size_t first = 2 + i % 2;
		if (!isfinite(f[i]) || !isfinite(f[i ^ 1])) continue;
		double size = fmax(fmax(fabs(f[i]), fabs(f[i ^ 1])), least);
		if (v->fixed[i] && fabs(f[i] - d[i]) > share * size) return false;
		if (v->fixed_step[i / 2] && fabs(f[i] - f[i ^ 1] - (d[i] - d[i ^ 1])) > 2 * share * size) return false;
		double product = size * fabs(d[first]) + fabs(d[i]) * fmax(fabs(f[first]), least);
		if (v->fixed_ratio[i] && share < RECOGNISE_NEAR && fabs(f[i] * d[first] - d[i] * f[first]) > 4 * share * product)
			return false;
	}
	return true;
}

/* For near misses: dense probes only when the screening ones say that it may be one. */
static bool comes_near(fit *t, const double *parameter)
{
	double g[RECOGNISE_SCREEN];
	size_t worst = 0;
	recognise_variant_run(t->v, parameter, recognise_screen, g, RECOGNISE_SCREEN);
	double error = loose_error(recognise_screen, t->p->screen, g, RECOGNISE_SCREEN, &worst);
	return error < RECOGNISE_NEAR && check_dense(t, parameter);
}

/* True: the region is this op; t->best says with which numbers, or what came nearest when `nearest` is asked for. */
static bool fit_variant(fit *t, const recognise_variant *v, bool nearest)
{
	t->v = v;
	t->n_tried = 0;
	if (!fits_fixed(v, t->p->screen, nearest ? 2 * RECOGNISE_NEAR : t->bound)) return false;
	try_candidates(t);
	int n = t->n_tried;
	for (int k = 0; k < n; k++)
		if (score(t, t->tried[k].parameter) <= t->bound && check_dense(t, t->tried[k].parameter)) return true;
	for (int k = 0; k < n && k < 2; k++) {
		double parameter[RECOGNISE_PARAMETERS];
		memcpy(parameter, t->tried[k].parameter, sizeof parameter);
		if (v->n_parameters > 0) {
			descend(t, parameter, nearest);
			snap(t, parameter);
		}
		if (score(t, parameter) <= t->bound ? check_dense(t, parameter) : nearest && comes_near(t, parameter))
			return true;
	}
	return false;
}

og_status recognise_fit_create(recogniser *r)
{
	r->x = arena_array(r->a, MOST_PROBES, sizeof *r->x);
	r->f = arena_array(r->a, MOST_PROBES, sizeof *r->f);
	r->g = arena_array(r->a, MOST_PROBES, sizeof *r->g);
	r->slack = arena_array(r->a, MOST_PROBES, sizeof *r->slack);
	r->moved = arena_array(r->a, MOST_PROBES, sizeof *r->moved);
	return r->x && r->f && r->g && r->slack && r->moved ? OG_OK : base_no_memory();
}

og_status recognise_judge(recogniser *r, recognise_path *p)
{
	fit t = { .r = r, .p = p };
	bool affine = recognise_is_affine(recognise_screen, p->screen, RECOGNISE_SCREEN), found = false;
	p->judged = true;
	for (size_t k = 0; k < r->n_variants && !found; k++) {
		if (affine && !r->variants[k].affine) continue;
		if (t.n_candidates == 0) {
			find_candidates(&t);
			find_weights(&t);
		}
		found = fit_variant(&t, &r->variants[k], r->op != NULL);
	}
	if (!t.best.variant || (!found && !(t.best.error < RECOGNISE_NEAR))) return OG_OK;
	p->verdict = arena_alloc(r->a, sizeof *p->verdict);
	NEED(p->verdict);
	*p->verdict = t.best;
	return OG_OK;
}
