/* op_bench.c -- opgraft op bench: does an op of a library pay, in this network, on the runtimes that are here? */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "op_bench.h"

static const double LEAST = 1.05;            /* a smaller difference is none */
static const double ALIKE = 1e-3, ALIKE_HALF = 2e-2;     /* largest relative difference of answers, of half precision */

static char *copy(const char *s)
{
	size_t n = strlen(s) + 1;
	char *made = malloc(n);
	return made ? memcpy(made, s, n) : NULL;
}

/* "Swish" of "opgraft::Swish". */
static const char *short_name(const char *op)
{
	const char *colons = strrchr(op, ':');
	return colons ? colons + 1 : op;
}

/* ---- the ops in question ------------------------------------------------------------------------ */

/* One "domain::name" a known op. */
static char **known_ops(size_t *n)
{
	*n = 0;
	char **names = calloc(og_op_count() + 1, sizeof *names);
	for (size_t k = 0; names && k < og_op_count(); k++) {
		og_op_info op;
		char name[256];
		if (og_op_at(k, &op) != OG_OK) continue;
		snprintf(name, sizeof name, "%s::%s", op.domain, op.name);
		if ((names[*n] = copy(name))) ++*n;
	}
	return names;
}

static void free_names(char **names, size_t n)
{
	for (size_t k = 0; names && k < n; k++) free(names[k]);
	free(names);
}

static bool among(char *const *names, size_t n, const char *name)
{
	for (size_t k = 0; k < n; k++)
		if (!strcmp(names[k], name)) return true;
	return false;
}

/* Loads the library; its ops are --op, or all that were not known before. */
static og_status load_library(bench *b, char **before, size_t n_before)
{
	const char *one = cli_option_value(b->a, "--op");
	og_status status = og_ops_load(b->library);
	if (status != OG_OK) return status;
	size_t n;
	char **after = known_ops(&n);
	for (size_t k = 0; !one && k < n && b->n_ops < MAX_OPS; k++)
		if (!among(before, n_before, after[k]) && !among(b->ops, (size_t)b->n_ops, after[k]))
			b->ops[b->n_ops++] = copy(after[k]);
	free_names(after, n);
	if (one) b->ops[b->n_ops++] = copy(one);
	for (int k = 0; k < b->n_ops; k++)
		if (!b->ops[k]) return cli_tell(OG_NO_MEMORY, "memory ran out");
	if (b->n_ops) return OG_OK;
	return cli_tell(OG_NO, "%s: Opgraft has all of its operators already; name one with --op", b->library);
}

/* ---- the forms of the model ----------------------------------------------------------------------- */

static void made_file(char *out, size_t room, const bench *b, form f)
{
	snprintf(out, room, "%s/%d.onnx", b->folder, (int)f);
}

static og_status save(bench *b, form f, og_model *model)
{
	const char *tmp = getenv("TMPDIR");
	char path[PATH_ROOM];
	if (!b->folder[0]) {
		snprintf(b->folder, sizeof b->folder, "%s/opgraft-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
		if (!mkdtemp(b->folder)) {
			b->folder[0] = 0;
			return cli_tell(OG_MISSING, "no folder can be made in %s (TMPDIR names another)", tmp && *tmp ? tmp : "/tmp");
		}
	}
	made_file(path, sizeof path, b, f);
	free(b->files[f]);
	b->files[f] = copy(path);
	return b->files[f] ? og_model_save(model, path) : cli_tell(OG_NO_MEMORY, "memory ran out");
}

/* Nothing but what save made: the model is never in that folder. */
static void remove_files(bench *b)
{
	char path[PATH_ROOM];
	for (int f = 0; f < FORMS && b->folder[0]; f++) {
		made_file(path, sizeof path, b, f);
		(void)unlink(path);
		strcat(path, ".data");                       /* weights that the model has in files beside it */
		(void)unlink(path);
	}
	if (b->folder[0]) (void)rmdir(b->folder);
	b->folder[0] = 0;
}

/* The same place, by as many nodes: the last node of a place is itself an op with that output. */
static bool finds(const og_found *found, const og_match *m)
{
	for (size_t k = 0; k < found->n_matches; k++) {
		const og_match *f = &found->matches[k];
		if (!strcmp(f->output, m->output) && !strcmp(f->graph, m->graph) && f->n_nodes == m->n_nodes) return true;
	}
	return false;
}

/* The same places by an op that was known before: of those found at all of them the one with the fewest attributes, for an
 * Elu without its alpha is a Relu as well. NULL: none, or the model has its nodes there as it is. */
static const char *same_op(const og_model *primitives, const og_found *places, char *const *names, size_t n)
{
	const char *best = NULL;
	int attributes = 0;
	for (size_t k = 0; k < n; k++) {
		og_graft_options o = { .size = sizeof o, .op = names[k] };
		og_found *found = NULL;
		bool again = k && !strcmp(names[k], names[k - 1]);       /* another version of the same */
		if (again || (strncmp(names[k], "::", 2) && strncmp(names[k], "opgraft::", 9))) continue;
		bool all = og_find(&found, primitives, &o) == OG_OK;
		for (size_t i = 0; all && i < places->n_matches; i++) all = finds(found, &places->matches[i]);
		bool is_there = all && !strcmp(found->matches[0].how, "node");
		if (all && (!best || found->matches[0].n_attributes < attributes)) {
			best = names[k];
			attributes = found->matches[0].n_attributes;
		}
		og_found_free(found);
		if (is_there) return NULL;
	}
	return best;
}

static og_status make_built_in(bench *b, og_model *primitives, const char *op)
{
	og_found *found = NULL;
	og_status status = og_graft(&found, primitives, &(og_graft_options){ .size = sizeof(og_graft_options), .op = op });
	if (status == OG_OK) snprintf(b->built_in, sizeof b->built_in, "%s", found->matches[0].op);
	og_found_free(found);
	b->standard = op[0] == ':';
	return status == OG_OK ? save(b, BUILT_IN, primitives) : OG_OK;      /* an op that this opset can't have is no form */
}

/* Takes the library's nodes apart, if the model has some; *places are the library's in what comes of it. */
static og_status make_primitives(bench *b, og_model *model, og_found **places)
{
	bool had = false;
	og_status status = OG_OK;
	for (int k = 0; k < b->n_ops && (status == OG_OK || status == OG_NO); k++) {
		status = og_ungraft(NULL, model, &(og_graft_options){ .size = sizeof(og_graft_options), .op = b->ops[k] });
		had = had || status == OG_OK;
	}
	if (status != OG_OK && status != OG_NO) return status;
	status = had ? save(b, PRIMITIVES, model) : OG_OK;
	for (int k = 0; status == OG_OK && k < b->n_ops && !*places; k++) {
		if (og_find(places, model, &(og_graft_options){ .size = sizeof(og_graft_options), .op = b->ops[k] }) == OG_OK) break;
		og_found_free(*places);
		*places = NULL;
	}
	return status;
}

/* Writes the model with the library's ops at every place that computes one. */
static og_status make_grafted(bench *b, og_model *model)
{
	for (int k = 0; k < b->n_ops; k++) {
		og_graft_options o = { .size = sizeof o, .op = b->ops[k] };
		og_found *found = NULL;
		og_status status = og_find(&found, model, &o);
		if (found) b->places += found->n_matches;
		og_found_free(found);
		if (status == OG_OK) status = og_graft(NULL, model, &o);
		if (status != OG_OK && status != OG_NO) return status;
	}
	if (b->places) return save(b, GRAFTED, model);
	return cli_tell(OG_NO, "%s: no place computes %s%s; `opgraft find %s --ops %s --op %s` tells near misses", b->model,
	                short_name(b->ops[0]), b->n_ops > 1 ? " or another operator of the library" : "", b->model, b->library,
	                short_name(b->ops[0]));
}

static og_status make_forms(bench *b, char *const *known, size_t n_known)
{
	og_model *grafted = NULL, *primitives = NULL;
	og_found *places = NULL;
	og_status status = og_model_load(&grafted, b->model);
	if (status == OG_OK) status = make_grafted(b, grafted);
	if (status == OG_OK) status = og_model_load(&primitives, b->model);
	if (status == OG_OK) status = make_primitives(b, primitives, &places);
	const char *same = status == OG_OK && places ? same_op(primitives, places, known, n_known) : NULL;
	if (same) status = make_built_in(b, primitives, same);
	og_found_free(places);
	og_model_free(primitives);
	og_model_free(grafted);
	return status;
}

/* ---- cases ------------------------------------------------------------------------------------- */

static bench_case *add_case(bench *b, form f, const char *what)
{
	bench_case *c = &b->cases[b->n_cases++];
	*c = (bench_case){ .form = f };
	if (f == BUILT_IN) snprintf(c->label, sizeof c->label, "%s, built in", b->built_in);
	else snprintf(c->label, sizeof c->label, "%s%s", f == PRIMITIVES ? "primitives" : "grafted", what);
	return c;
}

/* In Opgraft, fused or node by node. */
static og_status open_own(bench *b, form f, const char *path, bool apart)
{
	static cli_args node_by_node;
	bench_case *c = add_case(b, f, apart ? ", node by node" : "");
	node_by_node = *b->a;
	if (apart) {
		node_by_node.names[node_by_node.n_options] = "--no-fuse";
		node_by_node.values[node_by_node.n_options++] = "";
	}
	c->apart = apart;
	c->library = f == GRAFTED;
	cli_progress(b->a, "building %s, %s", b->model, c->label);
	og_status status = cli_net_open(&c->net, &node_by_node, path, 0, NULL, 0);
	cli_progress_end(b->a);
	return status;
}

/* In ONNX Runtime; that it is missing or refuses this form is no failure, but told. */
static og_status open_peer(bench *b, form f, bool library)
{
	if (!b->files[f] || b->no_peer) return OG_OK;
	bench_case *c = add_case(b, f, f != GRAFTED ? "" : library ? ", with the library" : ", its function");
	c->peer = true;
	c->library = library;
	cli_progress(b->a, "opening ONNX Runtime, %s", c->label);
	og_status status = cli_net_open(&c->net, b->a, f == PRIMITIVES ? b->model : b->files[f], 0, NULL, 0);
	if (status != OG_OK) return status;
	og_peer_options o = { .size = sizeof o, .threads = c->net.threads, .libraries = &b->library, .n_libraries = library };
	status = og_peer_open_with(&c->runtime, b->files[f], &o);
	if (status == OG_OK) status = og_peer_bind(c->runtime, (const og_tensor *const *)c->net.inputs, c->net.outputs);
	if (status == OG_OK) status = og_peer_run(c->runtime);
	cli_progress_end(b->a);
	if (c->runtime) snprintf(b->peer_version, sizeof b->peer_version, "%s", og_peer_version(c->runtime));
	if (status == OG_OK) return OG_OK;
	char **told = status == OG_MISSING ? &b->no_peer : &c->refusal;
	*told = copy(og_error());
	if (status == OG_MISSING) cli_net_close(&b->cases[--b->n_cases].net);
	return *told ? OG_OK : cli_tell(OG_NO_MEMORY, "memory ran out");
}

/* What needs the library is opened after it was loaded, so that nothing of it gets into what it is compared with. */
static og_status open_cases(bench *b)
{
	size_t n_known;
	char **known = known_ops(&n_known);
	bool apart = false;
	og_status status = known ? open_own(b, PRIMITIVES, b->model, false) : cli_tell(OG_NO_MEMORY, "memory ran out");
	bool later = status == OG_UNSUPPORTED;               /* it has nodes of the library, without a function */
	if (later) cli_net_close(&b->cases[--b->n_cases].net), status = OG_OK;
	else if (status == OG_OK) status = open_own(b, PRIMITIVES, b->model, true);
	b->files[PRIMITIVES] = copy(b->model);
	if (status == OG_OK) status = load_library(b, known, n_known);
	if (status == OG_OK) status = make_forms(b, known, n_known);
	free_names(known, n_known);
	if (later && status == OG_OK && !strcmp(b->files[PRIMITIVES], b->model))
		status = cli_tell(OG_NO, "%s: %s has no body, so there is nothing to compare it with", b->model, short_name(b->ops[0]));
	for (int k = 0; later && status == OG_OK && k < 2; k++, apart = true)
		status = open_own(b, PRIMITIVES, b->files[PRIMITIVES], apart);
	if (status == OG_OK && b->files[BUILT_IN]) status = open_own(b, BUILT_IN, b->files[BUILT_IN], false);
	if (status == OG_OK) status = open_own(b, GRAFTED, b->files[GRAFTED], false);
	if (status == OG_OK) status = open_own(b, GRAFTED, b->files[GRAFTED], true);
	if (status == OG_OK) status = open_peer(b, PRIMITIVES, false);
	if (status == OG_OK && b->standard) status = open_peer(b, BUILT_IN, false);
	if (status == OG_OK) status = open_peer(b, GRAFTED, false);
	if (status == OG_OK) status = open_peer(b, GRAFTED, true);
	return status;
}

static og_status run_case(void *what)
{
	bench_case *c = what;
	return c->peer ? og_peer_run(c->runtime) : cli_net_run(&c->net);
}

/* ---- answers, times, verdicts -------------------------------------------------------------------- */

static og_status compare_answers(bench *b)
{
	const cli_net *right = &b->cases[0].net;
	for (int i = 0; i < b->n_cases; i++) {
		bench_case *c = &b->cases[i];
		if (c->refusal) continue;
		og_status status = run_case(c);
		for (int k = 0; status == OG_OK && k < right->n_outputs; k++) {
			og_difference d;
			const og_tensor *y = right->outputs[k];
			bool half = y->dtype == OG_F16 || y->dtype == OG_BF16;
			status = og_compare(&d, c->net.outputs[k], y, 0, 0);
			if (status != OG_OK) break;
			bool nan = d.nan_a != d.nan_b;
			if (nan || d.max_rel > c->difference) c->difference = nan ? 1 : d.max_rel;
			if (c->form == GRAFTED && !(c->difference <= (half ? ALIKE_HALF : ALIKE))) b->differs = true;
		}
		if (status != OG_OK) return status;
	}
	return OG_OK;
}

/* Over the rounds, in each of which both were timed: a noisy moment hits both. */
static og_status decide(verdict *v)
{
	const timing *other = v->other->timing, *grafted = v->grafted->timing;
	size_t n = grafted->n;
	double *times = malloc((n + 1) * sizeof *times);
	if (!times) return cli_tell(OG_NO_MEMORY, "memory ran out");
	for (size_t i = 0; i < n; i++) times[i] = other->seconds[i] / grafted->seconds[i];
	v->times = cli_quantile(times, n, 0.5);
	v->low = cli_quantile(times, n, 0.1);
	v->high = cli_quantile(times, n, 0.9);
	free(times);
	if (v->times >= LEAST && v->low > 1) v->claim = 1;
	if (v->times <= 1 / LEAST && v->high < 1) v->claim = -1;
	return OG_OK;
}

/* The grafted form of each runtime beside the fastest of the other forms there. */
static og_status judge(bench *b)
{
	for (int r = 0; r < 2; r++) {
		const bench_case *grafted = NULL;
		for (int i = 0; i < b->n_cases; i++) {
			const bench_case *c = &b->cases[i];
			if (c->peer == r && c->library && !c->apart && !c->refusal) grafted = c;
		}
		for (int i = 0; grafted && i < b->n_cases; i++) {
			const bench_case *c = &b->cases[i];
			verdict v = { .grafted = grafted, .other = c };
			if (c->peer != r || c->form == GRAFTED || c->apart || c->refusal) continue;
			og_status status = decide(&v);
			if (status != OG_OK) return status;
			if (!b->verdicts[r].other || v.times < b->verdicts[r].times) b->verdicts[r] = v;
		}
	}
	return OG_OK;
}

static og_status measure(bench *b, int rounds, double budget)
{
	int n = 0;
	for (int i = 0; i < b->n_cases; i++) {
		bench_case *c = &b->cases[i];
		if (c->refusal) continue;
		c->timing = &b->timings[n];
		b->timings[n++] = (timing){ .run = run_case, .what = c };
	}
	og_status status = timing_measure(b->a, b->timings, n, rounds, budget);
	if (status == OG_OK) status = judge(b);
	for (int i = 0; status == OG_OK && i < n; i++) {     /* sorts, so after judging round by round */
		bench_case *c = b->timings[i].what;
		c->p10 = timing_quantile(&b->timings[i], 0.1);
		c->median = timing_quantile(&b->timings[i], 0.5);
		c->p90 = timing_quantile(&b->timings[i], 0.9);
	}
	b->rounds = b->timings[0].n;
	return status;
}

/* ---- the verb ------------------------------------------------------------------------------------ */

static void close_bench(bench *b)
{
	remove_files(b);
	for (int i = 0; i < b->n_cases; i++) {
		og_peer_free(b->cases[i].runtime);
		cli_net_close(&b->cases[i].net);
		free(b->cases[i].refusal);
	}
	for (int i = 0; i < MAX_CASES; i++) timing_free(&b->timings[i]);
	for (int f = 0; f < FORMS; f++) free(b->files[f]);
	for (int k = 0; k < b->n_ops; k++) free(b->ops[k]);
	free(b->no_peer);
}

static void name_what(bench *b)
{
	og_value_info v;
	size_t n = 0;
	for (int k = 0; k < b->n_ops && n < sizeof b->op_names; k++)
		n += (size_t)snprintf(b->op_names + n, sizeof b->op_names - n, "%s%s", k ? ", " : "", short_name(b->ops[k]));
	b->batch = 1;
	if (b->cases[0].net.n_inputs && og_plan_input(b->cases[0].net.plan, 0, &v) == OG_OK && v.rank > 0) b->batch = v.dims[0];
}

static int run(const cli_args *a)
{
	static bench b;
	int rounds = 200;
	double budget = 10;
	char sentence[512];
	page p = { 0 };
	bool keep = false;
	const char *report = cli_option_value(a, "--report");
	if (!cli_files(a, 2, 2, "an op library and a model file")) return OG_USAGE;
	if (!cli_option_int(a, "--runs", 10, 1000000, &rounds) || !cli_option_double(a, "--seconds", &budget)) return OG_USAGE;
	b = (bench){ .a = a, .library = a->files[0], .model = a->files[1] };
	if (!cli_is_library(b.library) && cli_is_library(b.model)) return cli_usage(a, "the library comes first, then the model");
	if (cli_is_plan(b.model)) return cli_usage(a, "%s is a plan, which nothing can be grafted into; the model is needed", b.model);
	og_status status = report ? page_open(&p, report, "Keep it or leave it out") : OG_OK;
	if (status == OG_OK) status = open_cases(&b);
	remove_files(&b);                                    /* all is open */
	if (status == OG_OK) status = compare_answers(&b);
	if (status == OG_OK) status = measure(&b, rounds, budget);
	if (status == OG_OK) name_what(&b);
	if (status == OG_OK) keep = bench_conclude(&b, sentence, sizeof sentence);
	if (status == OG_OK && report) status = bench_write_page(&b, &p, sentence);
	if (status == OG_OK) bench_print(&b, keep, sentence);
	int exit_status = status == OG_OK ? (keep ? OG_OK : OG_NO) : cli_fail(status);
	page_abandon(&p);
	close_bench(&b);
	return exit_status;
}

const cli_verb cli_verb_op_bench = {
	.name = "op bench", .usage = "LIB.so MODEL [--op NAME]", .what = "what an operator brings in a network, and a verdict",
	.more = "Finds every place of the network that computes an operator of the library, and\n"
	        "times the network as it is, with the operator that ONNX or Opgraft has built in\n"
	        "where one computes the same, and with the library's: in Opgraft fused and node\n"
	        "by node, in ONNX Runtime with and without the library. Every round takes a\n"
	        "sample of each. The verdict compares the library's operator with the fastest\n"
	        "other form, round by round, and claims nothing below 5% or within the spread\n"
	        "(10th to 90th percentile of the rounds). The model is not changed.\n\n"
	        "ratio: the median over that of the runtime's first line. differs: the largest\n"
	        "difference of the answers over the largest answer.\n\n"
	        "Exit status 0: keep it, in one runtime at least; 1: leave it out, or no place\n"
	        "was found.\n\n"
	        "Examples:\n"
	        "  opgraft op bench libwave.so net.onnx\n"
	        "  opgraft op bench libops.so net.onnx --op Snake --batch 64 --threads 1 --json\n",
	.options = (const cli_option[]){
		{ "--op", "NAME", "this operator only (default: all of the library)" },
		{ "--runs", "N", "rounds at most (default 200, at least 10)" },
		{ "--seconds", "S", "stop after so many (default 10)" },
		{ "--report", "OUT.html", "write a page with a plot as well" },
		{ "--input", "NAME=FILE", "value of an input, .npy or .pb (random where not given)" },
		{ "--shape", "NAME=1x3x8", "shape of an input, or NAME=8 for a named dimension" },
		{ "--batch", "N", "size of every input's first dimension" },
		{ "--threads", "N", "threads to use (default: all processors)" },
		CLI_OPS_OPTION,
		{ NULL, NULL, NULL } },
	.run = run,
};
