/* op_new.c -- opgraft op new */
#include <ctype.h>
#include <string.h>

#include "cli.h"

/* "MyOp" as "my_op.c". */
static void file_name(char *out, size_t room, const char *name)
{
	size_t n = 0;
	for (size_t i = 0; name[i] && n + 4 < room; i++) {
		unsigned char c = (unsigned char)name[i];
		bool begins = isupper(c) && i > 0 && !isupper((unsigned char)name[i - 1]) && name[i - 1] != '_';
		if (begins) out[n++] = '_';
		out[n++] = (char)tolower(c);
	}
	memcpy(out + n, ".c", 3);
}

static int run(const cli_args *a)
{
	char named[256], *note = NULL;
	if (!cli_files(a, 1, 1, "the name of the operator")) return OG_USAGE;
	bool rows = cli_option_value(a, "--rowwise"), general = cli_option_value(a, "--general");
	if (rows && general) return cli_usage(a, "an operator is --rowwise or --general, not both");
	const char *path = cli_option_value(a, "-o");
	file_name(named, sizeof named, a->files[0]);
	if (!path) path = named;
	og_status status = og_op_new(path, a->files[0], general ? OG_OP_GENERAL : rows ? OG_OP_ROWWISE : OG_OP_ELEMENTWISE, &note);
	if (status != OG_OK) return cli_fail(status);
	if (a->json) {
		printf("{\"file\": ");
		cli_json_string(stdout, path);
		if (note) printf(", \"note\": ");
		if (note) cli_json_string(stdout, note);
		printf("}\n");
	} else if (!a->quiet) {
		char stem[256];
		snprintf(stem, sizeof stem, "%.*s", (int)strcspn(path, "."), path);
		const char *slash = strrchr(stem, '/');
		if (note) printf("note: %s\n", note);
		printf("%s is written; next:\n  opgraft op build %s -o lib%s.so\n  opgraft op test ./lib%s.so\n", path, path,
		       slash ? slash + 1 : stem, slash ? slash + 1 : stem);
	}
	og_text_free(note);
	return 0;
}

const cli_verb cli_verb_op_new = {
	.name = "op new", .usage = "NAME [--rowwise|--general] [-o FILE.c]", .what = "write an op file to begin with",
	.more = "Writes a commented op file that builds and passes its tests as it is; change the\n"
	        "formula and go on. Without an option the operator is elementwise: one formula,\n"
	        "from which everything else is derived.\n\n"
	        "Examples:\n"
	        "  opgraft op new Wave\n"
	        "  opgraft op new ScaledSoftmax --rowwise -o scaled_softmax.c\n",
	.options = (const cli_option[]){ { "-o", "FILE.c", "where to (default: the name in small letters)" },
	                                 { "--rowwise", NULL, "it reduces rows, then maps them: softmax, norms" },
	                                 { "--general", NULL, "anything else: its own C function" },
	                                 { NULL, NULL, NULL } },
	.run = run,
};
