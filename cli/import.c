/* import.c -- opgraft import */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { MOST = 64 };

typedef struct wanted {
	og_binding inputs[MOST]; int n_inputs;
	const char *outputs[MOST]; int n_outputs;
	og_fixed_value values[MOST]; int n_values;
	char *names[3 * MOST]; int n_names;          /* to be freed */
} wanted;

/* A copy without ":0", which is TensorFlow's way to say the first output. NULL: no memory, which was told. */
static char *copy_name(wanted *w, const char *name)
{
	size_t n = strlen(name);
	char *own = malloc(n + 1);
	if (!own) return cli_tell(OG_NO_MEMORY, "there is no memory for the names"), NULL;
	strcpy(own, name);
	if (n > 2 && !strcmp(own + n - 2, ":0")) own[n - 2] = '\0';
	return w->names[w->n_names++] = own;
}

/* "1x224x224x3", with ? for a dimension that stays open. */
static bool read_shape(const char *s, og_binding *b)
{
	for (b->rank = 0; b->rank < OG_MAX_RANK;) {
		char *end = (char *)(uintptr_t)s + 1;
		b->dims[b->rank++] = *s == '?' ? -1 : strtoll(s, &end, 10);
		if (*s != '?' && (*s < '0' || *s > '9' || b->dims[b->rank - 1] <= 0)) return false;
		if (!*end) return true;
		if (*end != 'x') return false;
		s = end + 1;
	}
	return false;
}

/* NAME or NAME:SHAPE. A number behind a colon alone is an output's: "split:1". */
static bool read_input(const cli_args *a, const char *value, wanted *w)
{
	og_binding b = { .rank = -1 };
	char *name = copy_name(w, value), *colon = name ? strrchr(name, ':') : NULL;
	if (!name) return false;
	if (colon && colon[1 + strspn(colon + 1, "0123456789")]) {
		if (!read_shape(colon + 1, &b))
			return cli_usage(a, "--input takes NAME or NAME:1x224x224x3, not '%s'", value), false;
		*colon = '\0';
		if (!(name = copy_name(w, name))) return false;
	}
	b.name = name;
	w->inputs[w->n_inputs++] = b;
	return true;
}

/* NAME=NUMBER, NAME=true or NAME=false */
static bool read_value(const cli_args *a, const char *value, wanted *w)
{
	og_fixed_value *v = &w->values[w->n_values++];
	char *name = copy_name(w, value), *sign = name ? strrchr(name, '=') : NULL, *end = NULL;
	if (!name) return false;
	if (sign) {
		bool yes = !strcmp(sign + 1, "true"), no = !strcmp(sign + 1, "false");
		v->value = yes || no ? yes : strtod(sign + 1, &end);
		*sign = '\0';
		if (yes || no || (end != sign + 1 && !*end)) return (v->name = copy_name(w, name)) != NULL;
	}
	return cli_usage(a, "--value takes NAME=NUMBER, NAME=true or NAME=false, not '%s'", value), false;
}

static bool read_options(const cli_args *a, wanted *w)
{
	const char *value;
	for (int k = 0; (value = cli_option_nth(a, "--input", k)); k++) {
		if (2 * k == MOST) return cli_usage(a, "more than %d inputs can't be given", MOST / 2), false;
		if (!read_input(a, value, w)) return false;
	}
	for (int k = 0; (value = cli_option_nth(a, "--value", k)); k++) {
		if (k == MOST / 2) return cli_usage(a, "more than %d values can't be given", MOST / 2), false;
		if (!read_value(a, value, w)) return false;
	}
	for (int k = 0; (value = cli_option_nth(a, "--output", k)); k++) {
		if (k == MOST) return cli_usage(a, "more than %d outputs can't be given", MOST), false;
		if (!(w->outputs[w->n_outputs++] = copy_name(w, value))) return false;
	}
	return true;
}

static int list(const cli_args *a)
{
	const char *name;
	for (size_t k = 0; (name = og_import_tensorflow_op(k)); k++) {
		if (a->json) printf("%s", k ? ", " : "{\"ops\": [");
		if (a->json) cli_json_string(stdout, name);
		else printf("%s\n", name);
	}
	if (a->json) printf("]}\n");
	return 0;
}

static og_status import(const cli_args *a, const wanted *w, const char *path)
{
	og_model *model;
	char *text = NULL;
	const og_import_options options = {
		.size = sizeof options, .inputs = w->inputs, .n_inputs = w->n_inputs, .outputs = w->outputs,
		.n_outputs = w->n_outputs,
		.signature = cli_option_value(a, "--signature"), .tag = cli_option_value(a, "--tag"),
		.values = w->values, .n_values = w->n_values,
		.no_fold = cli_option_value(a, "--no-fold") != NULL,
	};
	og_status status = og_model_import_tensorflow(&model, a->files[0], &options);
	if (status == OG_OK) status = og_model_save(model, path);
	if (status == OG_OK && (a->json || !a->quiet))
		status = og_model_describe(&text, model, a->json ? OG_JSON : OG_TEXT);
	if (text) printf("%s%s", text, a->json ? "\n" : "");
	og_text_free(text);
	og_model_free(model);
	return status;
}

static int run(const cli_args *a)
{
	wanted w = { .n_inputs = 0 };
	const char *path = cli_option_value(a, "-o");
	if (cli_option_value(a, "--list")) return list(a);
	if (!cli_files(a, 1, 1, "a frozen graph or a SavedModel folder")) return OG_USAGE;
	if (!path) return cli_usage(a, "-o MODEL.onnx is needed");
	int status = OG_USAGE;
	if (read_options(a, &w)) {
		og_status done = import(a, &w, path);
		status = done == OG_OK ? 0 : cli_fail(done);
	}
	for (int k = 0; k < w.n_names; k++) free(w.names[k]);
	return status;
}

const cli_verb cli_verb_import = {
	.name = "import", .usage = "FROZEN.pb|FOLDER -o MODEL.onnx", .what = "a TensorFlow graph as an ONNX model",
	.more = "Takes a frozen graph (binary .pb or text .pbtxt), a .meta file with its\n"
	        "checkpoint or a SavedModel folder. Names stay; inputs and outputs keep\n"
	        "TensorFlow's layout, between them convolutions have channels in front.\n"
	        "docs/tensorflow.md has the rest.\n\n"
	        "Examples:\n"
	        "  opgraft import frozen.pb -o net.onnx\n"
	        "  opgraft import frozen.pb -o net.onnx --input x:1x224x224x3 --output logits\n"
	        "  opgraft import saved_model -o net.onnx --signature serving_default\n"
	        "  opgraft import frozen.pb -o net.onnx --ops my_ops.so\n",
	.options = (const cli_option[]){
		{ "-o", "MODEL.onnx", "the file to write" },
		{ "--input", "NAME[:SHAPE]", "a node that is an input; its shape, as 1x224x?x3" },
		{ "--output", "NAME", "a node that is an output (repeatable, as --input)" },
		{ "--value", "NAME=VALUE", "a placeholder that is always so: is_training=false" },
		{ "--signature", "NAME", "of a SavedModel (default serving_default)" },
		{ "--tag", "NAME", "of a graph in a SavedModel (default serve)" },
		{ "--no-fold", NULL, "leave batch normalisations out of the weights" },
		{ "--list", NULL, "only list the ops of TensorFlow that can be taken" },
		CLI_OPS_OPTION, { NULL, NULL, NULL } },
	.run = run,
};
