/* demo_text.c -- the story in text of 80 columns, and in JSON. */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "demo.h"

enum { COLUMNS = 79, INDENT = 2 };

/* ---- lines ----------------------------------------------------------------------------------- */

static void heading(const char *text)
{
	bool strong = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	printf("\n%s%s%s\n\n", strong ? "\033[1m" : "", text, strong ? "\033[0m" : "");
}

/* A paragraph, wrapped; lines after the first begin at column `indent`. */
static void paragraph(int indent, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void paragraph(int indent, const char *format, ...)
{
	char text[2048];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	int column = INDENT, n;
	printf("%*s", INDENT, "");
	for (const char *word = text; *word; word += n + (word[n] == ' ')) {
		n = (int)strcspn(word, " ");
		bool first = word == text;
		if (!first && column + 1 + n > COLUMNS) {
			printf("\n%*s", indent, "");
			column = indent;
			first = true;
		}
		printf("%s%.*s", first ? "" : " ", n, word);
		column += n + !first;
	}
	putchar('\n');
}

static const char *plural(int n) { return n == 1 ? "" : "s"; }

/* ---- digits ---------------------------------------------------------------------------------- */

enum { ART_WIDTH = 14, ART_HEIGHT = 7, ART_GAP = 1, PER_LINE = 5, MARGIN = 4 };

/* Ink of half a character cell: the mean over its part of the image inside the margin. */
static bool inked(const float *pixels, int row, int column)
{
	const int inside = DIGITS_SIDE - 2 * MARGIN;
	float sum = 0;
	/* the cell is cut into inside x inside points, which makes every part of a pixel count by its area */
	for (int i = 0; i < inside; i++)
		for (int j = 0; j < inside; j++) {
			int y = MARGIN + (row * inside + i) / (2 * ART_HEIGHT), x = MARGIN + (column * inside + j) / ART_WIDTH;
			sum += pixels[y * DIGITS_SIDE + x];
		}
	return sum > 0.4f * (float)(inside * inside);
}

static void draw_line(float pixels[][DIGITS_PIXELS], int n, int row)
{
	static const char *const cell[] = { " ", "\u2580", "\u2584", "\u2588" };      /* none, upper, lower, both */
	char line[PER_LINE * (ART_WIDTH * 3 + ART_GAP) + 1] = "";
	for (int i = 0; i < n; i++) {
		for (int x = 0; x < ART_WIDTH; x++)
			strcat(line, cell[inked(pixels[i], 2 * row, x) + 2 * inked(pixels[i], 2 * row + 1, x)]);
		for (int x = 0; x < ART_GAP; x++) strcat(line, " ");
	}
	size_t end = strlen(line);
	while (end && line[end - 1] == ' ') end--;
	printf("%*s%.*s\n", INDENT, "", (int)end, line);
}

static void captions(const demo *d, const int *which, int n)
{
	char line[COLUMNS + 1] = "";
	for (int i = 0; i < n; i++) {
		char text[32];
		int read = d->answers[DEMO_FUSED].read[which[i]], is = d->digits.labels[which[i]];
		if (read == is) snprintf(text, sizeof text, "read as %d", read);
		else snprintf(text, sizeof text, "as %d, is %d!", read, is);
		int left = (ART_WIDTH - (int)strlen(text)) / 2;
		size_t used = strlen(line);
		snprintf(line + used, sizeof line - used, "%*s%-*s", left, "", ART_WIDTH + ART_GAP - left, text);
	}
	size_t end = strlen(line);
	while (end && line[end - 1] == ' ') end--;
	printf("%*s%.*s\n", INDENT, "", (int)end, line);
}

void demo_text_digits(const demo *d)
{
	float pixels[PER_LINE][DIGITS_PIXELS];
	int shown[PER_LINE], n = 0;
	printf("Opgraft %s: LeNet-5, from ReLU to Swish\n", og_version());
	heading("1. What it reads");
	paragraph(INDENT, "%d %s. %s", d->digits.n, d->source, d->remark);
	putchar('\n');
	for (int label = 0; label < DIGITS_CLASSES; label++) {
		int k = demo_first(d, label);
		if (k >= 0) {
			digits_pixels(&d->digits, k, pixels[n]);
			shown[n++] = k;
		}
		if (n != PER_LINE && (label != DIGITS_CLASSES - 1 || !n)) continue;
		for (int row = 0; row < ART_HEIGHT; row++) draw_line(pixels, n, row);
		captions(d, shown, n);
		if (label < DIGITS_CLASSES - 1) putchar('\n');
		n = 0;
	}
}

/* ---- accuracy -------------------------------------------------------------------------------- */

static void accuracy_row(const demo *d, demo_network k, const char *name)
{
	int right = d->answers[k].right;
	printf("%*s%-44s %6d of %-6d %6.2f%%\n", 2 * INDENT, "", name, right, d->digits.n, 100.0 * right / d->digits.n);
}

void demo_text_accuracy(const demo *d)
{
	heading("2. How well it reads");
	accuracy_row(d, DEMO_RELU, "trained with ReLU");
	accuracy_row(d, DEMO_MAPPED, "the same weights, every ReLU made a Swish");
	accuracy_row(d, DEMO_UNFUSED, "trained with Swish, node by node");
	accuracy_row(d, DEMO_FUSED, "trained with Swish, grafted and fused");
	putchar('\n');
	int drop = d->answers[DEMO_RELU].right - d->answers[DEMO_MAPPED].right;
	if (drop > 0)
		paragraph(INDENT,
		          "opgraft graft --map %s changed %d nodes and no weight, and %d more digit%s %s read wrong: "
		          "weights are trained for their activation. So train with Swish, then graft.",
		          demo_map, d->mapped, drop, plural(drop), drop == 1 ? "is" : "are");
	else
		paragraph(INDENT, "opgraft graft --map %s changed %d nodes and no weight; on these digits nothing was lost. "
		          "That is luck: weights are trained for their activation.", demo_map, d->mapped);
}

/* ---- graft ----------------------------------------------------------------------------------- */

/* "23 steps   Conv, Neg, ..." */
static void steps_row(const demo *d, demo_network k, const char *name)
{
	char text[1024];
	size_t used = (size_t)snprintf(text, sizeof text, "%s %2zu steps:", name, d->n_steps[k]);
	int indent = 2 * INDENT + (int)used - INDENT + 1;
	for (size_t i = 0; i < d->n_steps[k] && used < sizeof text - 1; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? ", " : " ", d->steps[k][i].op);
	/* a fused step stays in one piece */
	paragraph(indent, "%s", text);
}

static void agreement(const demo *d, demo_network a, demo_network b, const char *who)
{
	double relative, apart = demo_difference(d, a, b, &relative);
	int agreed = demo_agreed(d, a, b);
	char same[96];
	if (apart == 0) snprintf(same, sizeof same, "largest difference of a logit 0");
	else snprintf(same, sizeof same, "largest difference of a logit %.2g (%.2g of the largest)", apart, relative);
	if (agreed == d->digits.n) paragraph(INDENT, "%s all %d digits alike: %s.", who, agreed, same);
	else paragraph(INDENT, "%s %d of %d digits alike; %s.", who, agreed, d->digits.n, same);
}

void demo_text_graft(const demo *d)
{
	heading("3. The graft");
	paragraph(INDENT, "In the file, each Swish is four nodes. One rule turns %d nodes in %d places into %d:", d->before,
	          d->places, d->places);
	printf("\n%*s%s\n\n", 2 * INDENT, "", demo_rule);
	paragraph(INDENT, "Fusing then computes Swish while the result of the layer before it is at hand:");
	putchar('\n');
	steps_row(d, DEMO_UNFUSED, "node by node");
	steps_row(d, DEMO_FUSED, "fused       ");
	putchar('\n');
	agreement(d, DEMO_FUSED, DEMO_UNFUSED, "Fused and node by node read");
	if (d->peer_version[0]) {
		char who[128];
		snprintf(who, sizeof who, "ONNX Runtime %s and the fused network read", d->peer_version);
		agreement(d, DEMO_FUSED, DEMO_PEER_SWISH, who);
	}
}

/* ---- times ----------------------------------------------------------------------------------- */

enum { NAME_WIDTH = 25, CELL_WIDTH = 13 };

static void times_head(const demo *d)
{
	char text[32];
	printf("%*s%-*s", INDENT, "", NAME_WIDTH, "");
	for (int g = 0; g < d->n_groups; g++) {
		snprintf(text, sizeof text, "batch %d", demo_groups[g].batch);
		printf("%*s", CELL_WIDTH, text);
	}
	printf("\n%*s%-*s", INDENT, "", NAME_WIDTH, "");
	for (int g = 0; g < d->n_groups; g++) {
		snprintf(text, sizeof text, "%d thread%s", demo_groups[g].threads, plural(demo_groups[g].threads));
		printf("%*s", CELL_WIDTH, text);
	}
	putchar('\n');
}

/* Microseconds an image, in at most four digits. */
static void micros(char *out, size_t n, double seconds, int batch)
{
	double x = seconds / batch * 1e6;
	snprintf(out, n, x < 100 ? "%.1f" : "%.0f", x);
}

static void times_row(const demo *d, demo_network k)
{
	char text[64], low[24], high[24];
	printf("%*s%-*s", INDENT, "", NAME_WIDTH, demo_words_of[k].name);
	for (int g = 0; g < d->n_groups; g++) {
		micros(text, sizeof text, d->times[g][k].median, demo_groups[g].batch);
		printf("%*s", CELL_WIDTH, text);
	}
	printf("\n%*s", INDENT + NAME_WIDTH, "");
	for (int g = 0; g < d->n_groups; g++) {
		micros(low, sizeof low, d->times[g][k].p10, demo_groups[g].batch);
		micros(high, sizeof high, d->times[g][k].p90, demo_groups[g].batch);
		snprintf(text, sizeof text, "%s-%s", low, high);
		printf("%*s", CELL_WIDTH, text);
	}
	putchar('\n');
}

static void ratio_row(const demo *d, const demo_ratio *r)
{
	char text[32];
	printf("%*s%-*s", INDENT, "", NAME_WIDTH, r->name);
	for (int g = 0; g < d->n_groups; g++) {
		page_ratio(text, sizeof text, d->times[g][r->of].median, d->times[g][r->to].median);
		printf("%*s", CELL_WIDTH, text);
	}
	putchar('\n');
}

void demo_text_times(const demo *d)
{
	heading("4. How fast it reads");
	paragraph(INDENT,
	          "Microseconds an image on this machine (%s): medians, and below them the 10th and 90th percentile, of "
	          "interleaved rounds.",
	          og_cpu_level());
	putchar('\n');
	times_head(d);
	for (int k = 0; k < DEMO_NETWORKS; k++)
		if (d->times[0][k].median > 0) times_row(d, k);
	printf("%*s%-*s", INDENT, "", NAME_WIDTH, "rounds");
	for (int g = 0; g < d->n_groups; g++) printf("%*zu", CELL_WIDTH, d->times[g][DEMO_FUSED].rounds);
	printf("\n\n");
	paragraph(INDENT, "Swish, grafted and fused, compared with");
	for (int i = 0; i < DEMO_RATIOS; i++)
		if (demo_has(d, demo_ratios[i].to)) ratio_row(d, &demo_ratios[i]);
	putchar('\n');
	if (d->peer_version[0])
		paragraph(INDENT,
		          "ONNX Runtime %s runs the same files, its graph optimisations on. Node by node is our own baseline: "
		          "the same kernels, nothing fused.",
		          d->peer_version);
	else
		paragraph(INDENT, "Node by node is our own baseline: the same kernels, nothing fused. %s.", d->peer_why);
}

void demo_text_end(const demo *d, const char *report, double seconds)
{
	printf("\n  %s has all of this with pictures. It took %.0f seconds.\n", report, seconds);
	if (!cli_option_value(d->a, "--mnist")) printf("  Your own MNIST files: opgraft demo lenet5 --mnist DIR\n");
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_accuracy(const demo *d)
{
	printf(" \"accuracy\": [");
	for (int k = 0; k < DEMO_NETWORKS; k++) {
		if (!demo_has(d, k)) continue;
		printf("%s\n  {\"network\": \"%s\", \"name\": \"%s\", \"right\": %d, \"of\": %d}", k ? "," : "",
		       demo_words_of[k].id, demo_words_of[k].name, d->answers[k].right, d->digits.n);
	}
	printf("],\n");
}

static void json_steps(const demo *d, demo_network k, const char *key)
{
	printf(" \"%s\": [", key);
	for (size_t i = 0; i < d->n_steps[k]; i++) {
		printf("%s", i ? ", " : "");
		cli_json_string(stdout, d->steps[k][i].op);
	}
	printf("],\n");
}

static void json_agreement(const demo *d, demo_network a, demo_network b, const char *key)
{
	double relative, apart = demo_difference(d, a, b, &relative);
	printf(" \"%s\": {\"max_abs\": %.9g, \"max_rel\": %.9g, \"decisions_equal\": %d, \"of\": %d},\n", key, apart,
	       relative, demo_agreed(d, a, b), d->digits.n);
}

static void json_times(const demo *d)
{
	bool any = false;
	printf(" \"results\": [");
	for (int g = 0; g < d->n_groups; g++)
		for (int k = 0; k < DEMO_NETWORKS; k++) {
			const demo_time *t = &d->times[g][k];
			if (!t->rounds) continue;
			printf("%s\n  {\"network\": \"%s\", \"model\": \"%s\", \"runtime\": \"%s\", \"device\": \"cpu\", "
			       "\"level\": \"%s\", \"precision\": \"fp32\", \"batch\": %d, \"threads\": %d, \"fused\": %s, "
			       "\"median_ms\": %.6g, \"p10_ms\": %.6g, \"p90_ms\": %.6g, \"runs\": %zu}",
			       any ? "," : "", demo_words_of[k].id, demo_words_of[k].file, k < DEMO_OWN ? "opgraft" : "onnxruntime",
			       og_cpu_level(), demo_groups[g].batch, demo_groups[g].threads, k == DEMO_UNFUSED ? "false" : "true",
			       t->median * 1e3, t->p10 * 1e3, t->p90 * 1e3, t->rounds);
			any = true;
		}
	printf("],\n");
}

static void json_ratios(const demo *d)
{
	bool any = false;
	printf(" \"ratios\": [");
	for (int g = 0; g < d->n_groups; g++)
		for (int i = 0; i < DEMO_RATIOS; i++) {
			const demo_ratio *r = &demo_ratios[i];
			if (!demo_has(d, r->to)) continue;
			printf("%s\n  {\"network\": \"%s\", \"against\": \"%s\", \"batch\": %d, \"threads\": %d, "
			       "\"times_faster\": %.4g}",
			       any ? "," : "", demo_words_of[r->of].id, demo_words_of[r->to].id, demo_groups[g].batch,
			       demo_groups[g].threads, d->times[g][r->to].median / d->times[g][r->of].median);
			any = true;
		}
	printf("],\n");
}

void demo_json(const demo *d, const char *report, double seconds)
{
	printf("{\"demo\": \"lenet5\", \"version\": \"%s\", \"level\": \"%s\",\n \"digits\": {\"count\": %d, \"source\": ",
	       og_version(), og_cpu_level(), d->digits.n);
	cli_json_string(stdout, d->source);
	printf(", \"remark\": ");
	cli_json_string(stdout, d->remark);
	printf("},\n \"shown\": [");
	for (int label = 0, any = 0; label < DIGITS_CLASSES; label++) {
		int k = demo_first(d, label);
		if (k < 0) continue;
		printf("%s{\"index\": %d, \"label\": %d, \"read\": %d}", any++ ? ", " : "", k, label,
		       d->answers[DEMO_FUSED].read[k]);
	}
	printf("],\n");
	json_accuracy(d);
	printf(" \"map\": {\"rule\": \"%s\", \"nodes\": %d},\n", demo_map, d->mapped);
	printf(" \"graft\": {\"rule\": \"%s\", \"places\": %d, \"nodes_before\": %d, \"nodes_after\": %d},\n", demo_rule,
	       d->places, d->before, d->places);
	json_steps(d, DEMO_UNFUSED, "steps_unfused");
	json_steps(d, DEMO_FUSED, "steps_fused");
	json_agreement(d, DEMO_FUSED, DEMO_UNFUSED, "fused_and_unfused");
	if (d->peer_version[0]) json_agreement(d, DEMO_FUSED, DEMO_PEER_SWISH, "fused_and_onnxruntime");
	json_times(d);
	json_ratios(d);
	printf(" \"onnxruntime\": ");
	if (d->peer_version[0]) cli_json_string(stdout, d->peer_version);
	else printf("null");
	printf(", \"report\": ");
	cli_json_string(stdout, report);
	printf(", \"seconds\": %.1f}\n", seconds);
}
