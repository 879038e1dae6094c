/* bench_page.c -- networks timed side by side, as an HTML page: bars, time by batch, and where the time goes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* Colours that most eyes can tell apart, on white and on black. */
static const char *const colors[] = { "#0f9488", "#dd7a1c", "#4a7dd8", "#b565a7", "#8c8c8c", "#a89200" };
enum { COLORS = sizeof colors / sizeof *colors, MAX_CASES = 128, SHOWN_STEPS = 12 };

static const char *plural(int n) { return n == 1 ? "" : "s"; }

/* ---- bars and table ----------------------------------------------------------------------------- */

static void table(page *p, const bench_case *cases, int n)
{
	char text[3][32];
	fputs("<div class=\"wide\"><table>\n"
	      "<thead><tr><th class=\"left\">network</th><th class=\"left\">runtime</th><th>batch</th><th>threads</th>"
	      "<th>median</th><th>10th\u201390th percentile</th><th>ratio</th></tr></thead>\n<tbody>\n", p->f);
	for (int i = 0; i < n; i++) {
		const bench_case *c = &cases[i];
		page_seconds(text[0], sizeof text[0], c->median);
		page_seconds(text[1], sizeof text[1], c->p10);
		page_seconds(text[2], sizeof text[2], c->p90);
		fputs("<tr><th scope=\"row\">", p->f);
		page_text(p, "%s", bench_file_name(c));
		fprintf(p->f, "</th><td class=\"left\">%s</td><td>%d</td><td>%d</td>", bench_runtime(c), c->batch,
				c->net.threads);
		fprintf(p->f, "<td>%s</td><td>%s\u2013%s</td><td>%.2f</td></tr>\n", text[0], text[1], text[2],
		        c->median / cases[bench_first_of(cases, i)].median);
	}
	fputs("</tbody></table></div>\n", p->f);
}

/* The bars of one batch size, per image or whatever the first dimension counts. */
static int batch_bars(const cli_args *a, const bench_case *cases, int n, int batch, char labels[][128], page_bar *bars)
{
	int k = 0;
	for (int i = 0; i < n; i++) {
		const bench_case *c = &cases[i];
		if (c->batch != batch) continue;
		snprintf(labels[k], sizeof labels[k], "%s, %s", bench_file_name(c), bench_runtime(c));
		bars[k] = (page_bar){ labels[k], c->median / batch, c->p10 / batch, c->p90 / batch,
		                      c->peer ? "peer" : cli_option_value(a, "--no-fuse") ? "base" : "ours" };
		k++;
	}
	return k;
}

static void bars(const cli_args *a, page *p, const bench_case *cases, int n)
{
	static char labels[MAX_CASES][128];
	static page_bar drawn[MAX_CASES];
	double full = 0;
	char title[32];
	fputs("<div class=\"plot\">\n", p->f);
	for (int i = 0; i < n; i++)
		full = page_bars_full(drawn, batch_bars(a, cases, n, cases[i].batch, labels, drawn), full);
	for (int i = 0; i < n; i++) {
		if (bench_first_of(cases, i) != i) continue;
		snprintf(title, sizeof title, "batch %d", cases[i].batch);
		page_bars(p, title, drawn, batch_bars(a, cases, n, cases[i].batch, labels, drawn), full);
	}
	fputs("</div>\n<p class=\"note\">Time divided by the batch; shorter is better. All panels have one scale; thin "
	      "lines go from the 10th to the 90th percentile.</p>\n", p->f);
}

/* ---- axes: x in percent of the width, so that text keeps its size on every screen; y in pixels -------- */

typedef struct axis { double low, high; } axis;        /* of logarithms to the base 10 */
enum { LEFT = 9, RIGHT = 98, TOP = 12, BOTTOM = 250 };

static axis axis_of(double low, double high)
{
	axis a = { log10(low) - 0.08, log10(high) + 0.08 };
	return a;
}

static double at_x(axis a, double x) { return LEFT + (RIGHT - LEFT) * (log10(x) - a.low) / (a.high - a.low); }
static double at_y(axis a, double y) { return BOTTOM - (BOTTOM - TOP) * (log10(y) - a.low) / (a.high - a.low); }

/* The next of 1, 2, 5, 10, 20, ... from `from` upwards. */
static double tick(double from)
{
	static const double steps[] = { 1, 2, 5, 10 };
	double base = pow(10, floor(log10(from) + 1e-9));
	int k = 0;
	while (k < 3 && steps[k] * base < from * (1 - 1e-9)) k++;
	return steps[k] * base;
}

static void line(page *p, double x1, double y1, double x2, double y2, const char *style)
{
	fprintf(p->f, "<line x1=\"%.2f%%\" y1=\"%.1f\" x2=\"%.2f%%\" y2=\"%.1f\" style=\"%s\"/>\n", x1, y1, x2, y2, style);
}

static void grid(page *p, axis y, void (*text)(char *, size_t, double))
{
	char word[32];
	double most = pow(10, y.high);
	bool dense = y.high - y.low < 1.7;                   /* 1, 2, 5 or powers of ten alone */
	for (double t = tick(pow(10, y.low)); t <= most; t = tick(t * 1.01)) {
		if (!dense && fabs(log10(t) - round(log10(t))) > 1e-6) continue;
		text(word, sizeof word, t);
		line(p, LEFT, at_y(y, t), RIGHT, at_y(y, t), "stroke:var(--line);stroke-width:1;opacity:1");
		fprintf(p->f, "<text class=\"dim\" x=\"%d%%\" dx=\"-6\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT,
				at_y(y, t) + 4, word);
	}
}

static void x_label(page *p, double x, const char *text)
{
	fprintf(p->f, "<text class=\"dim\" x=\"%.2f%%\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x, BOTTOM + 20, text);
}

static void open_plot(page *p, const char *title)
{
	fputs("<figure style=\"margin:1rem 0\"><figcaption>", p->f);
	page_text(p, "%s", title);
	fprintf(p->f, "</figcaption>\n<svg width=\"100%%\" height=\"%d\" role=\"img\" aria-label=\"", BOTTOM + 44);
	page_text(p, "%s", title);
	fputs("\">\n", p->f);
}

static void key(page *p, const char *color, const char *text, bool hollow)
{
	fprintf(p->f, "<span style=\"margin-right:1.25rem;white-space:nowrap\"><svg width=\"12\" height=\"12\" "
	        "style=\"display:inline;vertical-align:-1px\"><circle cx=\"6\" cy=\"6\" r=\"4.5\" "
	        "style=\"stroke-width:2;stroke:%s;fill:%s\"/></svg> ", color, hollow ? "var(--paper)" : color);
	page_text(p, "%s", text);
	fputs("</span>\n", p->f);
}

/* ---- time by batch ---------------------------------------------------------------------------- */

static void seconds_text(char *out, size_t n, double s)
{
	snprintf(out, n, s < 1e-3 ? "%g \u00b5s" : s < 1 ? "%g ms" : "%g s", s < 1e-3 ? s * 1e6 : s < 1 ? s * 1e3 : s);
}

static bool same_series(const bench_case *a, const bench_case *b)
{
	return !strcmp(a->net.path, b->net.path) && !a->peer == !b->peer;
}

/* Cases of one file and runtime in the order of their batches, from i on; -1: no more. */
static int next_of_series(const bench_case *cases, int n, int i)
{
	int best = -1;
	for (int k = 0; k < n; k++)
		if (same_series(&cases[k], &cases[i]) && cases[k].batch > cases[i].batch &&
			(best < 0 || cases[k].batch < cases[best].batch))
			best = k;
	return best;
}

static bool begins_series(const bench_case *cases, int n, int i)
{
	for (int k = 0; k < n; k++)
		if (same_series(&cases[k], &cases[i]) &&
			(cases[k].batch < cases[i].batch || (cases[k].batch == cases[i].batch && k < i)))
			return false;
	return true;
}

static void series(page *p, const bench_case *cases, int n, int first, axis x, axis y, int color)
{
	char style[96], title[256], time[32];
	const char *ink = colors[color % COLORS];
	snprintf(style, sizeof style, "stroke:%s;stroke-width:2.25;opacity:1%s", ink,
			 cases[first].peer ? ";stroke-dasharray:5 4" : "");
	for (int i = first, to; i >= 0; i = to) {
		to = next_of_series(cases, n, i);
		double at = cases[i].median / cases[i].batch;
		if (to >= 0)
			line(p, at_x(x, cases[i].batch), at_y(y, at), at_x(x, cases[to].batch),
				 at_y(y, cases[to].median / cases[to].batch), style);
		page_seconds(time, sizeof time, at);
		snprintf(title, sizeof title, "%s, %s, batch %d: %s", bench_file_name(&cases[i]), bench_runtime(&cases[i]),
				 cases[i].batch, time);
		fprintf(p->f, "<circle cx=\"%.2f%%\" cy=\"%.1f\" r=\"4.5\" style=\"stroke-width:2;stroke:%s;fill:%s\"><title>",
				at_x(x, cases[i].batch), at_y(y, at), ink, cases[i].peer ? "var(--paper)" : ink);
		page_text(p, "%s", title);
		fputs("</title></circle>\n", p->f);
	}
}

static void by_batch(page *p, const bench_case *cases, int n)
{
	double low = INFINITY, high = 0;
	int small = cases[0].batch, large = small, color = 0;
	char word[288];
	for (int i = 0; i < n; i++) {
		low = fmin(low, cases[i].median / cases[i].batch);
		high = fmax(high, cases[i].median / cases[i].batch);
		if (cases[i].batch < small) small = cases[i].batch;
		if (cases[i].batch > large) large = cases[i].batch;
	}
	if (small == large) return;
	axis x = axis_of(small, large), y = axis_of(low, high);
	fputs("<h2>Time by batch</h2>\n", p->f);
	open_plot(p, "Time of one of the batch, by the size of the batch");
	grid(p, y, seconds_text);
	for (int i = 0; i < n; i++)
		if (bench_first_of(cases, i) == i) {
			snprintf(word, sizeof word, "%d", cases[i].batch);
			x_label(p, at_x(x, cases[i].batch), word);
		}
	for (int i = 0; i < n; i++)
		if (begins_series(cases, n, i)) series(p, cases, n, i, x, y, color++);
	fputs("</svg></figure>\n<p class=\"note\">", p->f);
	color = 0;
	for (int i = 0; i < n; i++)
		if (begins_series(cases, n, i)) {
			snprintf(word, sizeof word, "%s, %s", bench_file_name(&cases[i]), bench_runtime(&cases[i]));
			key(p, colors[color++ % COLORS], word, cases[i].peer != NULL);
		}
	fputs("</p>\n", p->f);
}

/* ---- where the time goes ------------------------------------------------------------------------ */

static void gflops_text(char *out, size_t n, double x) { snprintf(out, n, "%g", x); }

/* Convolutions, products, all else. */
static int kind_of(const og_step_profile *s)
{
	return strstr(s->op, "Conv") ? 0 : strstr(s->op, "MatMul") || strstr(s->op, "Gemm") ? 1 : 2;
}

static void roofline(page *p, const bench_case *c)
{
	double low = INFINITY, high = 0, slow = INFINITY, fast = 0, longest = 0;
	char word[32];
	for (size_t i = 0; i < c->n_steps; i++) {
		const og_step_profile *s = &c->steps[i];
		if (!(s->flops > 0 && s->bytes > 0 && s->seconds > 0)) continue;
		low = fmin(low, s->flops / s->bytes);
		high = fmax(high, s->flops / s->bytes);
		slow = fmin(slow, s->flops / s->seconds * 1e-9);
		fast = fmax(fast, s->flops / s->seconds * 1e-9);
		longest = fmax(longest, s->seconds);
	}
	if (!(high > 0)) return;
	axis x = axis_of(low, high), y = axis_of(fmax(slow, fast * 1e-3), fast);
	open_plot(p, "GFLOP/s of each step, by its operations for a byte read or written");
	grid(p, y, gflops_text);
	for (double t = tick(pow(10, x.low)); t <= pow(10, x.high); t = tick(t * 1.01)) {
		if (x.high - x.low > 1.7 && fabs(log10(t) - round(log10(t))) > 1e-6) continue;
		gflops_text(word, sizeof word, t);
		x_label(p, at_x(x, t), word);
	}
	for (size_t i = 0; i < c->n_steps; i++) {
		const og_step_profile *s = &c->steps[i];
		double gflops = s->flops / s->seconds * 1e-9;
		if (!(s->flops > 0 && s->bytes > 0 && s->seconds > 0) || gflops < fast * 1e-3) continue;
		page_seconds(word, sizeof word, s->seconds);
		fprintf(p->f, "<circle cx=\"%.2f%%\" cy=\"%.1f\" r=\"%.1f\" style=\"fill:%s;fill-opacity:.7\"><title>",
				at_x(x, s->flops / s->bytes), at_y(y, gflops), 3 + 7 * sqrt(s->seconds / longest), colors[kind_of(s)]);
		page_text(p, "%s, %s: %s, %.1f GFLOP/s", s->name, s->op, word, gflops);
		fputs("</title></circle>\n", p->f);
	}
	fputs("</svg></figure>\n<p class=\"note\">", p->f);
	key(p, colors[0], "convolutions", false);
	key(p, colors[1], "matrix products", false);
	key(p, colors[2], "all else", false);
	fputs("A large dot takes long.</p>\n", p->f);
}

static int slower(const void *a, const void *b)
{
	double x = (*(const og_step_profile *const *)a)->seconds, y = (*(const og_step_profile *const *)b)->seconds;
	return (x < y) - (x > y);
}

static og_status slowest_steps(page *p, const bench_case *c)
{
	const og_step_profile **order = malloc((c->n_steps + 1) * sizeof *order);
	if (!order) return cli_tell(OG_NO_MEMORY, "there is no memory for %zu steps", c->n_steps);
	double all = 0, rest = 0;
	char time[32];
	for (size_t i = 0; i < c->n_steps; i++) {
		order[i] = &c->steps[i];
		all += c->steps[i].seconds;
	}
	qsort(order, c->n_steps, sizeof *order, slower);
	fputs("<div class=\"wide\"><table class=\"steps\">\n<thead><tr><th class=\"left\">node</th>"
	      "<th class=\"left\">step</th><th class=\"left\">way</th><th>time</th><th>share</th><th>GFLOP/s</th></tr></thead>\n"
	      "<tbody>\n", p->f);
	for (size_t i = 0; i < c->n_steps; i++) {
		const og_step_profile *s = order[i];
		if (i >= SHOWN_STEPS) {
			rest += s->seconds;
			continue;
		}
		page_seconds(time, sizeof time, s->seconds);
		fputs("<tr><th scope=\"row\">", p->f);
		page_text(p, "%s", s->name);
		fputs("</th><td class=\"left\">", p->f);
		page_text(p, "%s", s->op);
		fputs("</td><td class=\"left\">", p->f);
		page_text(p, "%s", s->tactic);
		fprintf(p->f, "</td><td>%s</td><td>%.1f%%</td>", time, 100 * s->seconds / all);
		if (s->flops > 0 && s->seconds > 0) fprintf(p->f, "<td>%.1f</td></tr>\n", s->flops / s->seconds * 1e-9);
		else fputs("<td></td></tr>\n", p->f);
	}
	if (c->n_steps > SHOWN_STEPS) {
		page_seconds(time, sizeof time, rest);
		fprintf(p->f,
				"<tr><th scope=\"row\">%zu others</th><td></td><td></td><td>%s</td><td>%.1f%%</td><td></td></tr>\n",
				c->n_steps - SHOWN_STEPS, time, 100 * rest / all);
	}
	fputs("</tbody></table></div>\n", p->f);
	free(order);
	return OG_OK;
}

static og_status steps(page *p, const bench_case *cases, int n)
{
	og_status status = OG_OK;
	for (int i = 0; status == OG_OK && i < n; i++) {
		const bench_case *c = &cases[i];
		if (!c->n_steps) continue;
		fputs("<h2>Where the time goes: ", p->f);
		page_text(p, "%s, batch %d, %d thread%s", bench_file_name(c), c->batch, c->net.threads, plural(c->net.threads));
		fputs("</h2>\n", p->f);
		roofline(p, c);
		status = slowest_steps(p, c);
	}
	return status;
}

og_status bench_page(const cli_args *a, page *p, const bench_case *cases, int n, size_t rounds)
{
	fputs("<p class=\"lead\">", p->f);
	page_text(p,
	          "Medians of %zu interleaved rounds on this machine: every round takes a sample of each network, so that "
	          "a noisy moment hits all alike.%s",
	          rounds, cli_option_value(a, "--no-fuse") ? " Opgraft ran node by node (--no-fuse)." : "");
	fputs("</p>\n", p->f);
	bars(a, p, cases, n);
	fputs("<h2>Time of a call</h2>\n", p->f);
	table(p, cases, n);
	fputs("<p class=\"note\">ratio: the median over that of the first line of the same batch size.</p>\n", p->f);
	by_batch(p, cases, n);
	og_status status = steps(p, cases, n);
	return status == OG_OK ? page_close(p) : status;
}
