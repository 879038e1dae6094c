/* demo.c -- opgraft demo lenet5 */
#include <string.h>

#include "demo.h"

static og_status tell(demo *d, const cli_args *a, page *p, const char *report, double budget)
{
	bool text = !a->json && !a->quiet;
	double start = cli_now();
	og_status status = demo_read(d, a);
	if (status != OG_OK) return status;
	if (text) {
		demo_text_digits(d);
		demo_text_accuracy(d);
		demo_text_graft(d);
		fflush(stdout);
	}
	status = demo_measure(d, budget);
	if (status != OG_OK) return status;
	if (text) demo_text_times(d);
	demo_page(d, p);
	status = page_close(p);
	if (status != OG_OK) return status;
	if (text) demo_text_end(d, report, cli_now() - start);
	if (a->json) demo_json(d, report, cli_now() - start);
	return OG_OK;
}

static int run(const cli_args *a)
{
	static demo d;
	page p = { 0 };
	double budget = 11;
	const char *report = cli_option_value(a, "--report");
	if (!cli_files(a, 1, 1, "what to show is needed: lenet5")) return OG_USAGE;
	if (strcmp(a->files[0], "lenet5")) return cli_usage(a, "there is no demo '%s'; there is lenet5", a->files[0]);
	if (!cli_option_double(a, "--seconds", &budget)) return OG_USAGE;
	if (!report) report = "lenet5.html";
	og_status status = page_open(&p, report, "LeNet-5, from ReLU to Swish");
	if (status == OG_OK) status = tell(&d, a, &p, report, budget);
	cli_progress_end(a);
	page_abandon(&p);
	demo_free(&d);
	return status == OG_OK ? 0 : cli_fail(status);
}

const cli_verb cli_verb_demo = {
	.name = "demo", .usage = "lenet5", .what = "the whole story on real digits",
	.more = "Reads handwritten digits with LeNet-5, maps its ReLU to Swish, grafts and fuses\n"
	        "the Swish of a network trained with it, checks that the answers stay the same,\n"
	        "times it all beside ONNX Runtime where that is installed, and writes a page with\n"
	        "the digits and a plot. Takes some 15 seconds.\n\n"
	        "The networks and digits are looked for in ./models, then from where the command\n"
	        "lies in ../models and ../share/opgraft/models; OPGRAFT_MODELS names another\n"
	        "folder. OPGRAFT_ONNXRUNTIME says where ONNX Runtime is.\n\n"
	        "Examples:\n"
	        "  opgraft demo lenet5\n"
	        "  opgraft demo lenet5 --report page.html --json\n"
	        "  opgraft demo lenet5 --mnist DIR        MNIST's own files, not compressed\n",
	.options = (const cli_option[]){
		{ "--mnist", "DIR", "read its t10k-images-idx3-ubyte (or train-) instead" },
		{ "--report", "OUT.html", "the page to write (default lenet5.html)" },
		{ "--seconds", "S", "time for measuring (default 11)" },
		{ NULL, NULL, NULL } },
	.run = run,
};
