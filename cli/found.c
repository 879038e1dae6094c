/* found.c -- places in networks, as find, graft and ungraft tell them. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { WIDTH = 80, INDENT = 6 };

/* Words after what stands in the line already, broken at blanks before the 80th column. */
static void print_wrapped(const char *s, int column)
{
	while (*s) {
		int n = (int)strcspn(s, " ");
		if (column + 1 + n > WIDTH && column > INDENT) column = printf("\n%*s", INDENT - 1, "") - 1;
		column += printf(" %.*s", n, s);
		s += n + strspn(s + n, " ");
	}
	putchar('\n');
}

static int print_op(const og_match *m)
{
	int n = printf("%s", m->op);
	for (int i = 0; i < m->n_attributes; i++) {
		const og_attribute *a = &m->attributes[i];
		n += printf("%s%s=", i ? ", " : "(", a->name);
		n += a->word ? printf("%s", a->word) : printf("%.6g", a->value);
	}
	return n + printf("%s", m->n_attributes ? ")" : "");
}

/* "act1  Swish(beta=1)  <- act1 act1_sigmoid", and below it where it is, how it was found and why it was refused. */
static void print_match(const og_match *m, bool finding)
{
	int column = printf("  %-24s ", m->output);
	column += print_op(m);
	if (!strcmp(m->how, "node")) {               /* it is the op already: that is all there is to say */
		printf("%s\n", finding ? "  is there" : "");
	} else {
		size_t n = 1;
		for (int i = 0; i < m->n_nodes; i++) n += strlen(m->nodes[i]) + 1;
		char *nodes = malloc(n), *to = nodes;
		column += printf("  <-");
		for (int i = 0; nodes && i < m->n_nodes; i++) to += sprintf(to, "%s%s", i ? " " : "", m->nodes[i]);
		print_wrapped(m->n_nodes && nodes ? nodes : "", column);
		free(nodes);
	}
	if (m->graph[0]) printf("%*s", INDENT, ""), print_wrapped(m->graph, printf("in") + INDENT);
	if (!m->reason && !strcmp(m->how, "meaning")) printf("%*sby meaning, max error %.2g\n", INDENT, "", m->error);
	if (m->reason) printf("%*s", INDENT, ""), print_wrapped(m->reason, printf("refused:") + INDENT);
}

static int by_op(const void *x, const void *y) { return strcmp(*(const char *const *)x, *(const char *const *)y); }

/* "49 places grafted: 40 Swish, 9 Mish" */
static void print_counts(const og_found *f, const char *what)
{
	const char **ops = calloc(f->n_matches + 1, sizeof *ops);
	int column = printf("%zu place%s %s%s", f->n_matches, f->n_matches == 1 ? "" : "s", what, f->n_matches ? ":" : "");
	for (size_t i = 0; ops && i < f->n_matches; i++) ops[i] = f->matches[i].op;
	if (ops) qsort(ops, f->n_matches, sizeof *ops, by_op);
	for (size_t i = 0, n; ops && i < f->n_matches; i += n) {
		for (n = 1; i + n < f->n_matches && !strcmp(ops[i], ops[i + n]); n++);
		if (column + (int)strlen(ops[i]) + 10 > WIDTH) column = printf("\n%*s", INDENT - 1, "") - 1;
		column += printf(" %zu %s%s", n, ops[i], i + n < f->n_matches ? "," : "");
	}
	putchar('\n');
	free(ops);
}

og_status cli_print_found(const cli_args *a, const og_found *f, const char *what)
{
	char *json;
	if (a->json) {
		og_status status = og_found_edits(&json, f);
		if (status == OG_OK) fputs(json, stdout);
		og_text_free(json);
		return status;
	}
	if (a->quiet) return OG_OK;
	print_counts(f, what);
	for (size_t i = 0; i < f->n_matches; i++) print_match(&f->matches[i], !strcmp(what, "found"));
	for (size_t i = 0; i < f->n_refused; i++) print_match(&f->refused[i], false);
	return OG_OK;
}

og_status cli_read_text(char **out, const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t n = 0, room = 1 << 16;
	char *s = malloc(room);
	while (f && s) {
		n += fread(s + n, 1, room - n - 1, f);
		if (n + 1 < room) break;
		char *grown = realloc(s, room *= 2);
		if (!grown) free(s);
		s = grown;
	}
	bool bad = f && (ferror(f) || (s && memchr(s, 0, n)));
	if (f) fclose(f);
	*out = s;
	if (f && s && !bad) return s[n] = 0, OG_OK;
	free(s);
	*out = NULL;
	if (bad) return cli_tell(OG_BAD_FILE, "%s: this is no text file", path);
	return f ? cli_tell(OG_NO_MEMORY, "%s: memory ran out", path) : cli_tell(OG_MISSING, "%s: this file cannot be read", path);
}
