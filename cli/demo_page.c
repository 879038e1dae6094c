/* demo_page.c -- the story as an HTML page. */
#include <string.h>

#include "demo.h"

enum { MAX_WRONG = 24 };                 /* misread digits shown at most */

#define MAIN_CLASS(k) ((k) == DEMO_FUSED ? " class=\"main\"" : "")

/* ---- at a glance ----------------------------------------------------------------------------- */

static void tile(page *p, const char *big, const char *small, bool bad)
{
	fprintf(p->f, "<div class=\"tile\"><b%s>", bad ? " class=\"bad\"" : "");
	page_text(p, "%s", big);
	fputs("</b><span>", p->f);
	page_text(p, "%s", small);
	fputs("</span></div>\n", p->f);
}

static void tiles(const demo *d, page *p)
{
	char big[64], small[128];
	fputs("<div class=\"tiles\">\n", p->f);
	snprintf(big, sizeof big, "%d of %d", d->answers[DEMO_FUSED].right, d->digits.n);
	tile(p, big, "digits read right by the grafted, fused network", false);
	snprintf(big, sizeof big, "%d \u2192 %d nodes", d->before, d->places);
	snprintf(small, sizeof small, "of Swish in the file; fused, %zu steps become %zu", d->n_steps[DEMO_UNFUSED],
	         d->n_steps[DEMO_FUSED]);
	tile(p, big, small, false);
	for (int g = 0; g < 2 && g < d->n_groups; g++) {
		demo_network to = d->peer_version[0] ? DEMO_PEER_SWISH : DEMO_UNFUSED;
		bool good = page_ratio(big, sizeof big, d->times[g][DEMO_FUSED].median, d->times[g][to].median);
		snprintf(small, sizeof small, "than %s, batch %d, one thread",
		         to == DEMO_UNFUSED ? "the same kernels node by node" : "ONNX Runtime on the four-node file",
		         demo_groups[g].batch);
		tile(p, big, small, !good);
	}
	fputs("</div>\n", p->f);
}

/* ---- digits ---------------------------------------------------------------------------------- */

static void picture(const demo *d, page *p, int k)
{
	float pixels[DIGITS_PIXELS];
	uint8_t grey[DIGITS_PIXELS];
	char alt[64], caption[64];
	int is = d->digits.labels[k], read = d->answers[DEMO_FUSED].read[k];
	digits_pixels(&d->digits, k, pixels);
	for (int i = 0; i < DIGITS_PIXELS; i++) grey[i] = (uint8_t)(255.5f - 255 * pixels[i]);
	snprintf(alt, sizeof alt, "a handwritten %d", is);
	if (is == read) snprintf(caption, sizeof caption, "read as %d", read);
	else snprintf(caption, sizeof caption, "read as %d, is %d", read, is);
	page_picture(p, grey, DIGITS_SIDE, DIGITS_SIDE, alt, caption, is != read);
}

static void digits_section(const demo *d, page *p)
{
	const uint8_t *read = d->answers[DEMO_FUSED].read;
	int wrong = d->digits.n - d->answers[DEMO_FUSED].right, shown = 0;
	fputs("<h2>What it reads</h2>\n<p>", p->f);
	page_text(p, "%d %s. %s", d->digits.n, d->source, d->remark);
	fputs("</p>\n<div class=\"digits\">\n", p->f);
	for (int label = 0; label < DIGITS_CLASSES; label++)
		if (demo_first(d, label) >= 0) picture(d, p, demo_first(d, label));
	fputs("</div>\n", p->f);
	if (!wrong) return;
	fputs("<p>", p->f);
	if (wrong > MAX_WRONG) page_text(p, "It misreads %d of them. The first %d:", wrong, MAX_WRONG);
	else page_text(p, "It misreads %d of them:", wrong);
	fputs("</p>\n<div class=\"digits\">\n", p->f);
	for (int k = 0; k < d->digits.n && shown < MAX_WRONG; k++)
		if (read[k] != d->digits.labels[k]) {
			picture(d, p, k);
			shown++;
		}
	fputs("</div>\n", p->f);
}

/* ---- accuracy -------------------------------------------------------------------------------- */

static void accuracy_row(const demo *d, page *p, demo_network k, const char *name)
{
	int right = d->answers[k].right, worse = d->answers[DEMO_RELU].right - right;
	fprintf(p->f, "<tr%s><th scope=\"row\">", MAIN_CLASS(k));
	page_text(p, "%s", name);
	fprintf(p->f, "</th><td>%d of %d</td><td%s>%.2f%%</td></tr>\n", right, d->digits.n,
	        k == DEMO_MAPPED && worse > 0 ? " class=\"lose\"" : "", 100.0 * right / d->digits.n);
}

static void accuracy_section(const demo *d, page *p)
{
	int drop = d->answers[DEMO_RELU].right - d->answers[DEMO_MAPPED].right;
	fputs("<h2>How well it reads</h2>\n<div class=\"wide\"><table>\n"
	      "<thead><tr><th class=\"left\">network</th><th>right</th><th>accuracy</th></tr></thead>\n<tbody>\n", p->f);
	accuracy_row(d, p, DEMO_RELU, "trained with ReLU");
	accuracy_row(d, p, DEMO_MAPPED, "the same weights, every ReLU made a Swish");
	accuracy_row(d, p, DEMO_UNFUSED, "trained with Swish, node by node");
	accuracy_row(d, p, DEMO_FUSED, "trained with Swish, grafted and fused");
	if (d->peer_version[0]) accuracy_row(d, p, DEMO_PEER_SWISH, "trained with Swish, in ONNX Runtime");
	fprintf(p->f, "</tbody></table></div>\n<p><code>opgraft graft --map %s</code> changed %d nodes and no weight; ",
	        demo_map, d->mapped);
	if (drop > 0)
		fprintf(p->f, "%d more digit%s read wrong. Weights are trained for their activation: train with Swish, then "
		        "graft.</p>\n", drop, drop == 1 ? " is" : "s are");
	else
		fputs("on these digits nothing was lost, which is luck: weights are trained for their activation.</p>\n", p->f);
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* Node-by-node steps from `from` to before the one that begins the next fused step. */
static size_t covered(const demo *d, size_t fused, size_t from)
{
	size_t n = d->n_steps[DEMO_UNFUSED], i = from;
	if (fused + 1 == d->n_steps[DEMO_FUSED]) return n - from;
	const char *next = d->steps[DEMO_FUSED][fused + 1].name;
	while (i < n && (i == from || strcmp(d->steps[DEMO_UNFUSED][i].name, next))) i++;
	return i - from;
}

static void step_cells(page *p, const og_step_profile *s)
{
	char time[32];
	page_seconds(time, sizeof time, s->seconds);
	fputs("<td class=\"left\">", p->f);
	page_text(p, "%s", s->op);
	fputs("</td><td>", p->f);
	page_text(p, "%s", time);
	fputs("</td>", p->f);
}

static void steps_table(const demo *d, page *p)
{
	const og_step_profile *plain = d->steps[DEMO_UNFUSED], *fused = d->steps[DEMO_FUSED];
	size_t at = 0;
	fprintf(p->f, "<div class=\"wide\"><table class=\"steps\">\n"
	        "<caption>Time of a step for a batch of %lld images, one thread</caption>\n"
	        "<thead><tr><th class=\"left\">node by node, %zu steps</th><th>time</th>"
	        "<th class=\"left\">fused, %zu steps</th><th>time</th></tr></thead>\n<tbody>\n",
	        (long long)d->nets[DEMO_FUSED].in->dims[0], d->n_steps[DEMO_UNFUSED], d->n_steps[DEMO_FUSED]);
	for (size_t i = 0; i < d->n_steps[DEMO_FUSED]; i++) {
		size_t rows = covered(d, i, at);
		for (size_t r = 0; r < rows || r == 0; r++) {
			char time[32];
			fputs("<tr>", p->f);
			if (r < rows) step_cells(p, &plain[at + r]);
			else fputs("<td></td><td></td>", p->f);
			if (!r) {
				page_seconds(time, sizeof time, fused[i].seconds);
				fprintf(p->f, "<td class=\"left fused%s\" rowspan=\"%zu\">",
				        strstr(fused[i].op, "Swish") ? " swish" : "", rows ? rows : 1);
				page_text(p, "%s", fused[i].op);
				fprintf(p->f, "</td><td rowspan=\"%zu\">", rows ? rows : 1);
				page_text(p, "%s", time);
				fputs("</td>", p->f);
			}
			fputs("</tr>\n", p->f);
		}
		at += rows;
	}
	fputs("</tbody></table></div>\n", p->f);
}

static void agreement(const demo *d, page *p, demo_network other, const char *who)
{
	double relative, apart = demo_difference(d, DEMO_FUSED, other, &relative);
	page_text(p, "%s %d of %d digits alike", who, demo_agreed(d, DEMO_FUSED, other), d->digits.n);
	if (apart == 0) page_text(p, "; the largest difference of a logit is 0. ");
	else page_text(p, "; the largest difference of a logit is %.2g, %.2g of the largest logit. ", apart, relative);
}

static void graft_section(const demo *d, page *p)
{
	fputs("<h2>The graft</h2>\n<p>In the file, each Swish is four nodes. One rule,<br><code>", p->f);
	page_text(p, "%s", demo_rule);
	fprintf(p->f,
	        "</code><br>turns %d nodes in %d places into %d. Fusing then computes Swish while the result of the layer "
	        "before it is at hand. ",
	        d->before, d->places, d->places);
	agreement(d, p, DEMO_UNFUSED, "Fused and node by node read");
	if (d->peer_version[0]) {
		char who[128];
		snprintf(who, sizeof who, "ONNX Runtime %s and the fused network read", d->peer_version);
		agreement(d, p, DEMO_PEER_SWISH, who);
	}
	fputs("</p>\n", p->f);
	steps_table(d, p);
}

/* ---- times ----------------------------------------------------------------------------------- */

static void group_name(char *out, size_t n, int g)
{
	snprintf(out, n, "batch %d, %d thread%s", demo_groups[g].batch, demo_groups[g].threads,
	         demo_groups[g].threads == 1 ? "" : "s");
}

static int group_bars(const demo *d, int g, page_bar *bars)
{
	int n = 0, batch = demo_groups[g].batch;
	for (int k = 0; k < DEMO_NETWORKS; k++) {
		const demo_time *t = &d->times[g][k];
		if (t->rounds)
			bars[n++] = (page_bar){ demo_words_of[k].name, t->median / batch, t->p10 / batch, t->p90 / batch,
			                        demo_words_of[k].color };
	}
	return n;
}

static void plot(const demo *d, page *p)
{
	page_bar bars[DEMO_NETWORKS];
	double full = 0;
	char title[64];
	for (int g = 0; g < d->n_groups; g++) full = page_bars_full(bars, group_bars(d, g, bars), full);
	fputs("<div class=\"plot\">\n", p->f);
	for (int g = 0; g < d->n_groups; g++) {
		group_name(title, sizeof title, g);
		page_bars(p, title, bars, group_bars(d, g, bars), full);
	}
	fputs("</div>\n<p class=\"note\">Time an image; shorter is better. All panels have one scale; thin lines go from "
	      "the 10th to the 90th percentile.</p>\n", p->f);
}

static void times_head(const demo *d, page *p, const char *caption, const char *first)
{
	fprintf(p->f, "<div class=\"wide\"><table>\n<caption>%s</caption>\n<thead><tr><th class=\"left\">%s</th>", caption,
	        first);
	for (int g = 0; g < d->n_groups; g++)
		fprintf(p->f, "<th>batch %d<br>%d thread%s</th>", demo_groups[g].batch, demo_groups[g].threads,
		        demo_groups[g].threads == 1 ? "" : "s");
	fputs("</tr></thead>\n<tbody>\n", p->f);
}

static void times_row(const demo *d, page *p, demo_network k)
{
	char text[32], low[32], high[32];
	fprintf(p->f, "<tr%s><th scope=\"row\">", MAIN_CLASS(k));
	page_text(p, "%s", demo_words_of[k].name);
	fputs("</th>", p->f);
	for (int g = 0; g < d->n_groups; g++) {
		const demo_time *t = &d->times[g][k];
		page_seconds(text, sizeof text, t->median / demo_groups[g].batch);
		page_seconds(low, sizeof low, t->p10 / demo_groups[g].batch);
		page_seconds(high, sizeof high, t->p90 / demo_groups[g].batch);
		low[strcspn(low, " ")] = high[strcspn(high, " ")] = 0;
		fprintf(p->f, "<td>%s<small>%s\u2013%s</small></td>", text, low, high);
	}
	fputs("</tr>\n", p->f);
}

static void times_tables(const demo *d, page *p)
{
	char text[32];
	times_head(d, p, "Time an image: median, and 10th to 90th percentile", "network");
	for (int k = 0; k < DEMO_NETWORKS; k++)
		if (d->times[0][k].rounds) times_row(d, p, k);
	fputs("<tr><th scope=\"row\">rounds</th>", p->f);
	for (int g = 0; g < d->n_groups; g++) fprintf(p->f, "<td>%zu</td>", d->times[g][DEMO_FUSED].rounds);
	fputs("</tr>\n</tbody></table></div>\n", p->f);
	times_head(d, p, "Swish, grafted and fused, by the medians", "against");
	for (int i = 0; i < DEMO_RATIOS; i++) {
		const demo_ratio *r = &demo_ratios[i];
		if (!demo_has(d, r->to)) continue;
		fprintf(p->f, "<tr><th scope=\"row\">%s</th>", r->name);
		for (int g = 0; g < d->n_groups; g++) {
			bool good = page_ratio(text, sizeof text, d->times[g][r->of].median, d->times[g][r->to].median);
			fprintf(p->f, "<td class=\"%s\">%s</td>", good ? "win" : "lose", text);
		}
		fputs("</tr>\n", p->f);
	}
	fputs("</tbody></table></div>\n", p->f);
}

static void times_section(const demo *d, page *p)
{
	fputs("<h2>How fast it reads</h2>\n<p>", p->f);
	page_text(p, "Medians of interleaved rounds on this machine: every round takes a sample of each network, so that a "
	             "noisy moment hits all alike. Node by node is our own baseline, the same kernels with nothing fused. ");
	if (d->peer_version[0])
		page_text(p, "ONNX Runtime %s runs the same files with all of its graph optimisations on.", d->peer_version);
	else page_text(p, "%s.", d->peer_why);
	fputs("</p>\n", p->f);
	plot(d, p);
	times_tables(d, p);
}

void demo_page(const demo *d, page *p)
{
	fputs("<p class=\"lead\">A handwriting network, its activation replaced by one operator, and what that does to its "
	      "answers and its speed.</p>\n", p->f);
	tiles(d, p);
	digits_section(d, p);
	accuracy_section(d, p);
	graft_section(d, p);
	times_section(d, p);
	fputs("<p class=\"note\">Made by <code>opgraft demo lenet5</code>", p->f);
	if (!cli_option_value(d->a, "--mnist"))
		fputs("; digits: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning "
		      "Repository, 1998, CC BY 4.0", p->f);
	fputs(".</p>\n", p->f);
}
