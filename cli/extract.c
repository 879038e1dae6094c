/* extract.c -- opgraft extract */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Names of a repeated option, each a list with commas between; they lie in `text`. */
typedef struct names { const char **name; int n; char *text; } names;

static bool split(names *out, const cli_args *a, const char *option)
{
	size_t length = 1;
	const char *value;
	for (int k = 0; (value = cli_option_nth(a, option, k)); k++) length += strlen(value) + 1;
	out->text = malloc(length);
	out->name = calloc(length, sizeof *out->name);       /* no more names than bytes */
	if (!out->text || !out->name) return false;
	char *to = out->text;
	for (int k = 0; (value = cli_option_nth(a, option, k)); k++) {
		strcpy(to, value);
		for (char *name = strtok(to, ","); name; name = strtok(NULL, ",")) out->name[out->n++] = name;
		to += strlen(value) + 1;
	}
	return true;
}

static void report(const cli_args *a, const og_model *m)
{
	og_value_info info;
	if (a->quiet && !a->json) return;
	for (int out = 0; out < 2; out++) {
		int n = out ? og_model_outputs(m) : og_model_inputs(m);
		printf(a->json ? "%s\"%s\": [" : "%s%s", a->json ? (out ? ", " : "{") : "", out ? "outputs" : "inputs");
		for (int k = 0; k < n; k++) {
			if ((out ? og_model_output(m, k, &info) : og_model_input(m, k, &info)) != OG_OK) break;
			printf("%s", k ? ", " : a->json ? "" : "  ");
			if (a->json) cli_json_string(stdout, info.name);
			else printf("%s", info.name);
		}
		printf(a->json ? "]%s" : "\n", out ? "}\n" : "");
	}
}

static int run(const cli_args *a)
{
	names in = { 0 }, out = { 0 };
	og_model *model = NULL;
	const char *path = cli_option_value(a, "-o");
	if (!cli_files(a, 1, 1, "a model file")) return OG_USAGE;
	if (!path) return cli_usage(a, "-o OUT.onnx is needed");
	og_status status = OG_USAGE;
	if (!split(&in, a, "--input") || !split(&out, a, "--output")) {
		status = cli_tell(OG_NO_MEMORY, "there is no memory for the names");
	} else if (!in.n && !out.n) {
		cli_usage(a, "--input or --output is needed");
	} else {
		status = og_model_load(&model, a->files[0]);
		if (status == OG_OK) status = og_extract(model, in.name, in.n, out.name, out.n);
		if (status == OG_OK) status = og_model_save(model, path);
		if (status == OG_OK) report(a, model);
		else cli_fail(status);
	}
	og_model_free(model);
	free(in.text);
	free(in.name);
	free(out.text);
	free(out.name);
	return (int)status;
}

const cli_verb cli_verb_extract = {
	.name = "extract", .usage = "MODEL -o OUT.onnx [--input NAMES] [--output NAMES]", .what = "cut a part out of a network",
	.more = "Keeps what the outputs need, from the inputs on, with its weights. Values\n"
	        "anywhere in the network can become its inputs and outputs; without --input those\n"
	        "of the model that are needed stay, without --output all of its outputs.\n\n"
	        "Examples:\n"
	        "  opgraft extract net.onnx -o stem.onnx --output layer1.0.act1\n"
	        "  opgraft extract net.onnx -o middle.onnx --input pool1 --output layer2.0.add\n"
	        "  opgraft extract net.onnx -o two.onnx --output logits,features\n"
	        "  opgraft info net.onnx --graph          names of all values\n",
	.options = (const cli_option[]){
		{ "-o", "OUT.onnx", "the file to write" },
		{ "--input", "NAME[,NAME]", "values that become inputs (may be given again)" },
		{ "--output", "NAME[,NAME]", "values that become outputs (may be given again)" },
		{ NULL, NULL, NULL } },
	.run = run,
};
