/* diff.c -- opgraft diff */
#include <errno.h>
#include <string.h>

#include "cli.h"

/* OG_NO passes through: it is the answer. */
static og_status write_page(const char *path, const og_model *a, const og_model *b)
{
	char *page;
	og_status answer = og_diff(&page, a, b, OG_HTML);
	if (!page) return answer;
	FILE *f = fopen(path, "w");
	bool bad = !f || fputs(page, f) < 0;
	if (f && fclose(f)) bad = true;
	og_text_free(page);
	return bad ? cli_tell(OG_MISSING, "%s cannot be written: %s", path, strerror(errno)) : answer;
}

/* The first paragraph of a text. */
static size_t summary_length(const char *s)
{
	const char *end = strstr(s, "\n\n");
	return end ? (size_t)(end - s) : strcspn(s, "\n");
}

static og_status compare(const cli_args *a, const og_model *from, const og_model *to)
{
	const char *path = cli_option_value(a, "--html");
	char *out;
	og_status answer = og_diff(&out, from, to, a->json ? OG_JSON : OG_TEXT);
	if (out && a->json) printf("%s\n", out);
	else if (out && a->quiet) printf("%.*s\n", (int)summary_length(out), out);
	else if (out) printf("%s", out);
	og_text_free(out);
	return path && (answer == OG_OK || answer == OG_NO) ? write_page(path, from, to) : answer;
}

static int run(const cli_args *a)
{
	og_model *from = NULL, *to = NULL;
	if (!cli_files(a, 2, 2, "two model files")) return OG_USAGE;
	og_status status = og_model_load(&from, a->files[0]);
	if (status == OG_OK) status = og_model_load(&to, a->files[1]);
	bool loaded = status == OG_OK;
	if (loaded) status = compare(a, from, to);
	og_model_free(from);
	og_model_free(to);
	return status == OG_OK || (loaded && status == OG_NO) ? (int)status : cli_fail(status);
}

const cli_verb cli_verb_diff = {
	.name = "diff", .usage = "A.onnx B.onnx [--html OUT.html]", .what = "what differs between two networks",
	.more = "Nodes are paired by name, by output, by weights and by their place, so that a\n"
	        "renamed node is one that was renamed. Nodes without a pair that hang together\n"
	        "are one change: '4 nodes became 1 Swish'. Weights are compared by number, with\n"
	        "the largest difference and the L2 norm of the difference over that of A's.\n"
	        "Exit status 0: equal; 1: different. -q prints the summary only.\n\n"
	        "Examples:\n"
	        "  opgraft diff net.onnx grafted.onnx\n"
	        "  opgraft diff net.onnx grafted.onnx --html diff.html\n"
	        "  opgraft diff net.onnx grafted.onnx --json | python3 -m json.tool\n",
	.options = (const cli_option[]){ { "--html", "OUT.html", "a page with both side by side" }, { NULL, NULL, NULL } },
	.run = run,
};
