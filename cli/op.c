/* op.c -- opgraft op list */
#include <string.h>

#include "cli.h"

static int run(const cli_args *a)
{
	if (!cli_files(a, 1, 1, "what to do with ops (list)")) return OG_USAGE;
	if (strcmp(a->files[0], "list")) return cli_usage(a, "'%s' is not something to do with ops; list is", a->files[0]);
	og_op_info o;
	if (a->json) printf("{\"ops\": [");
	for (size_t i = 0; i < og_op_count(); i++) {
		og_status status = og_op_at(i, &o);
		if (status != OG_OK) return cli_fail(status);
		if (a->json) {
			printf("%s\n  {\"name\": ", i ? "," : "");
			cli_json_string(stdout, o.name);
			printf(", \"domain\": ");
			cli_json_string(stdout, o.domain);
			printf(", \"since\": %d, \"elementwise\": %s, \"inputs\": ", o.since, o.elementwise ? "true" : "false");
			cli_json_string(stdout, o.inputs);
			printf(", \"outputs\": ");
			cli_json_string(stdout, o.outputs);
			printf(", \"types\": ");
			cli_json_string(stdout, o.types);
			printf(", \"doc\": ");
			cli_json_string(stdout, o.doc);
			printf("}");
		} else {
			char name[64];
			snprintf(name, sizeof name, "%s%s%s", o.domain, o.domain[0] ? "::" : "", o.name);
			printf("%-24s %3d %c %.49s\n", name, o.since, o.elementwise ? 'e' : ' ', o.doc);
		}
	}
	if (a->json) printf("]}\n");
	else if (!a->quiet) printf("%zu definitions; e: elementwise, fuses into its neighbours\n", og_op_count());
	return 0;
}

const cli_verb cli_verb_op = {
	.name = "op", .usage = "list", .what = "the operators that Opgraft has",
	.more = "One line an op and opset version: name, first opset, e for elementwise.\n\n"
	        "Examples:\n"
	        "  opgraft op list\n"
	        "  opgraft op list --json\n",
	.run = run,
};
