/* demo_facts.c -- what `opgraft demo lenet5` finds out: who reads how well, and how fast. */
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "demo.h"
#include "timing.h"

enum { ASK_BATCH = 64, PROFILE_RUNS = 30, ROUNDS = 200 };

const demo_words demo_words_of[DEMO_NETWORKS] = {
#define X(name, ...) { __VA_ARGS__ },
	DEMO_NETWORKS_MAP(X)
#undef X
};
const char demo_rule[] = "Div(x, Add(Exp(Neg(x)), 1)) -> Swish(x)";
const char demo_map[] = "Relu=Swish";
const demo_group demo_groups[DEMO_GROUPS] = { { 1, 1 }, { 64, 1 }, { 1024, 1 }, { 1024, 2 } };
const demo_ratio demo_ratios[DEMO_RATIOS] = {
	{ DEMO_FUSED, DEMO_PEER_SWISH, "ONNX Runtime, Swish" },
	{ DEMO_FUSED, DEMO_UNFUSED, "itself node by node" },
	{ DEMO_FUSED, DEMO_RELU, "ReLU, fused" },
};
/* How the time for measuring is shared out: a round of a large batch takes longer. */
static const double shares[DEMO_GROUPS] = { 0.14, 0.23, 0.36, 0.27 };

bool demo_has(const demo *d, demo_network k) { return k < DEMO_OWN || d->peer_version[0]; }

/* ---- finding files ---------------------------------------------------------------------------- */

static bool is_there(const char *folder, const char *name, char *path, size_t room)
{
	int n = snprintf(path, room, "%s/%s", folder, name);
	return n > 0 && (size_t)n < room && !access(path, F_OK);
}

/* In OPGRAFT_MODELS where that is set, else in the first of three places that has the first network. */
static og_status find_models(demo *d)
{
	static const char *const beside[] = { "../models", "../share/opgraft/models" };
	char bin[2048] = "", path[4096 + 64], looked[3 * sizeof d->folder] = "models";
	const char *given = getenv("OPGRAFT_MODELS"), *probe = demo_words_of[DEMO_RELU].file;
	if (given && *given) {
		snprintf(d->folder, sizeof d->folder, "%s", given);
		if (is_there(given, probe, path, sizeof path)) return OG_OK;
		return cli_tell(OG_MISSING, "%s, which OPGRAFT_MODELS names, has no %s", given, probe);
	}
	snprintf(d->folder, sizeof d->folder, "models");
	if (is_there(d->folder, probe, path, sizeof path)) return OG_OK;
	ssize_t n = readlink("/proc/self/exe", bin, sizeof bin - 1);
	char *slash = n > 0 ? strrchr(bin, '/') : NULL;
	if (slash) *slash = 0;
	for (int i = 0; slash && i < 2; i++) {
		snprintf(d->folder, sizeof d->folder, "%s/%s", bin, beside[i]);
		if (is_there(d->folder, probe, path, sizeof path)) return OG_OK;
		size_t used = strlen(looked);
		snprintf(looked + used, sizeof looked - used, ", %s", d->folder);
	}
	return cli_tell(OG_MISSING, "%s is in none of %s; OPGRAFT_MODELS names another folder", probe, looked);
}

/* MNIST's files under the names that go about. */
static og_status find_mnist(demo *d, const char *folder)
{
	static const char *const sets[] = { "t10k", "train" };
	static const char *const dots = "-.";
	char images[4096], labels[4096], name[64];
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof name, "%s-images%cidx3-ubyte", sets[i / 2], dots[i % 2]);
		if (!is_there(folder, name, images, sizeof images)) continue;
		snprintf(d->source, sizeof d->source, "MNIST digits (%s)", name);
		snprintf(name, sizeof name, "%s-labels%cidx1-ubyte", sets[i / 2], dots[i % 2]);
		is_there(folder, name, labels, sizeof labels);
		return digits_load(&d->digits, images, labels);
	}
	if (is_there(folder, "t10k-images-idx3-ubyte.gz", images, sizeof images) ||
	    is_there(folder, "train-images-idx3-ubyte.gz", images, sizeof images))
		return cli_tell(OG_MISSING, "%s is compressed: gunzip it and the labels first", images);
	return cli_tell(OG_MISSING, "%s has no t10k-images-idx3-ubyte or train-images-idx3-ubyte", folder);
}

static og_status find_digits(demo *d)
{
	const char *mnist = cli_option_value(d->a, "--mnist");
	char images[sizeof d->folder + 32], labels[sizeof d->folder + 32];
	if (!mnist) {
		snprintf(images, sizeof images, "%s/digits-images.idx3", d->folder);
		snprintf(labels, sizeof labels, "%s/digits-labels.idx1", d->folder);
		snprintf(d->source, sizeof d->source, "handwritten digits of UCI's Optical Recognition collection");
		d->remark = "They were held out: no network here was trained on them. They are 8 x 8 pixels, enlarged to the "
		            "28 x 28 that LeNet-5 takes.";
		return digits_load(&d->digits, images, labels);
	}
	og_status status = find_mnist(d, mnist);
	if (status == OG_OK && d->digits.n == 10000) {
		digits_keep_odd(&d->digits);
		d->remark = "These are the images of odd index of 10,000: the networks were trained on the even ones.";
	} else if (status == OG_OK) {
		d->remark = "All images of the file are read.";
	}
	return status;
}

/* ---- networks -------------------------------------------------------------------------------- */

static og_status load_model(demo *d, demo_network k, const og_graft_options *graft, og_found **found)
{
	char path[sizeof d->folder + 64];
	snprintf(path, sizeof path, "%s/%s", d->folder, demo_words_of[k].file);
	og_status status = og_model_load(&d->models[k], path);
	if (status == OG_OK && graft) status = og_graft(found, d->models[k], graft);
	return status;
}

static og_status load_models(demo *d)
{
	og_graft_options map = { .size = sizeof map, .map = demo_map }, rule = { .size = sizeof rule, .rules = demo_rule };
	og_found *mapped = NULL, *grafted = NULL;
	og_status status = load_model(d, DEMO_RELU, NULL, NULL);
	if (status == OG_OK) status = load_model(d, DEMO_MAPPED, &map, &mapped);
	if (status == OG_OK) status = load_model(d, DEMO_UNFUSED, NULL, NULL);
	if (status == OG_OK) status = load_model(d, DEMO_FUSED, &rule, &grafted);
	if (status == OG_OK) {
		d->mapped = (int)mapped->n_matches;
		d->places = (int)grafted->n_matches;
		for (size_t i = 0; i < grafted->n_matches; i++) d->before += grafted->matches[i].n_nodes;
	}
	og_found_free(mapped);
	og_found_free(grafted);
	return status;
}

static og_status open_session(demo_net *net, const demo *d, demo_network k, int batch, int threads)
{
	og_value_info in, out;
	const og_model *m = d->models[k];
	og_status status = og_model_input(m, 0, &in);
	if (status != OG_OK) return status;
	og_binding image = { .name = in.name, .rank = 4, .dims = { batch, 1, DIGITS_SIDE, DIGITS_SIDE } };
	og_build_options o = {
		.size = sizeof o, .bindings = &image, .n_bindings = 1, .threads = threads, .no_fuse = k == DEMO_UNFUSED
	};
	status = og_plan_build(&net->plan, m, &o);
	if (status == OG_OK) status = og_plan_input(net->plan, 0, &in);
	if (status == OG_OK) status = og_plan_output(net->plan, 0, &out);
	if (status != OG_OK) return status;
	bool right = og_plan_inputs(net->plan) == 1 && in.dtype == OG_F32 && og_plan_outputs(net->plan) == 1 &&
	             out.dtype == OG_F32 && out.rank == 2 && out.dims[0] == batch && out.dims[1] == DIGITS_CLASSES;
	if (!right)
		return cli_tell(OG_BAD_FILE, "%s/%s is not a network that reads digits: f32[N,10] from f32[N,1,28,28]",
		                d->folder, demo_words_of[k].file);
	return og_session_create(&net->session, net->plan, threads);
}

static void close_net(demo_net *net)
{
	og_session_free(net->session);
	og_plan_free(net->plan);
	og_peer_free(net->peer);
	og_tensor_free(net->in);
	og_tensor_free(net->out);
	*net = (demo_net){ 0 };
}

/* Its input holds the first digits, over and over. */
static og_status open_net(demo_net *net, const demo *d, demo_network k, int batch, int threads)
{
	char path[sizeof d->folder + 64];
	snprintf(path, sizeof path, "%s/%s", d->folder, demo_words_of[k].file);
	og_status status = og_tensor_create(&net->in, OG_F32, 4, (const int64_t[]){ batch, 1, DIGITS_SIDE, DIGITS_SIDE });
	if (status == OG_OK) status = og_tensor_create(&net->out, OG_F32, 2, (const int64_t[]){ batch, DIGITS_CLASSES });
	for (int i = 0; status == OG_OK && i < batch; i++)
		digits_pixels(&d->digits, i % d->digits.n, (float *)net->in->data + i * DIGITS_PIXELS);
	if (status != OG_OK) return status;
	if (k < DEMO_OWN) return open_session(net, d, k, batch, threads);
	status = og_peer_open(&net->peer, path, threads);
	if (status != OG_OK) return status;
	return og_peer_bind(net->peer, (const og_tensor *const[]){ net->in }, (og_tensor *const[]){ net->out });
}

static og_status run_net(void *what)
{
	demo_net *net = what;
	if (net->peer) return og_peer_run(net->peer);
	return og_session_run(net->session, (const void *const[]){ net->in->data }, (void *const[]){ net->out->data });
}

/* ---- reading --------------------------------------------------------------------------------- */

static uint8_t largest(const float *logits)
{
	int best = 0;
	for (int i = 1; i < DIGITS_CLASSES; i++)
		if (logits[i] > logits[best]) best = i;
	return (uint8_t)best;
}

/* Lets an open network read every digit. */
static og_status ask(demo *d, demo_network k)
{
	demo_net *net = &d->nets[k];
	demo_answers *to = &d->answers[k];
	size_t n = (size_t)d->digits.n;
	to->logits = malloc(n * DIGITS_CLASSES * sizeof *to->logits);
	to->read = malloc(n);
	if (!to->logits || !to->read) return cli_tell(OG_NO_MEMORY, "there is no memory for the answers on %zu digits", n);
	for (size_t first = 0; first < n; first += ASK_BATCH) {
		size_t count = n - first < ASK_BATCH ? n - first : ASK_BATCH;
		for (size_t i = 0; i < count; i++)
			digits_pixels(&d->digits, (int)(first + i), (float *)net->in->data + i * DIGITS_PIXELS);
		og_status status = run_net(net);
		if (status != OG_OK) return status;
		memcpy(to->logits + first * DIGITS_CLASSES, net->out->data, count * DIGITS_CLASSES * sizeof *to->logits);
	}
	for (size_t i = 0; i < n; i++) {
		to->read[i] = largest(to->logits + i * DIGITS_CLASSES);
		to->right += to->read[i] == d->digits.labels[i];
	}
	return OG_OK;
}

/* Without ONNX Runtime, or where it refuses, the story goes on without it and says why. */
static og_status ask_peer(demo *d)
{
	for (int k = DEMO_OWN; k < DEMO_NETWORKS; k++) {
		og_status status = open_net(&d->nets[k], d, k, ASK_BATCH, 1);
		if (status == OG_NO_MEMORY) return status;
		if (status != OG_OK) {
			snprintf(d->peer_why, sizeof d->peer_why, "%s", og_error());
			return OG_OK;
		}
	}
	snprintf(d->peer_version, sizeof d->peer_version, "%s", og_peer_version(d->nets[DEMO_OWN].peer));
	og_status status = OG_OK;
	for (int k = DEMO_OWN; status == OG_OK && k < DEMO_NETWORKS; k++) status = ask(d, k);
	return status;
}

static og_status profile(demo *d, demo_network k)
{
	const demo_net *net = &d->nets[k];
	return og_session_profile(net->session, (const void *const[]){ net->in->data }, (void *const[]){ net->out->data },
	                          PROFILE_RUNS, &d->steps[k], &d->n_steps[k]);
}

og_status demo_read(demo *d, const cli_args *a)
{
	d->a = a;
	cli_progress(a, "reading digits");
	og_status status = find_models(d);
	if (status == OG_OK) status = find_digits(d);
	if (status == OG_OK) status = load_models(d);
	for (int k = 0; status == OG_OK && k < DEMO_OWN; k++) {
		status = open_net(&d->nets[k], d, k, ASK_BATCH, 1);
		if (status == OG_OK) status = ask(d, k);
	}
	if (status == OG_OK) status = profile(d, DEMO_UNFUSED);
	if (status == OG_OK) status = profile(d, DEMO_FUSED);
	if (status == OG_OK) status = ask_peer(d);
	cli_progress_end(a);
	return status;
}

void demo_free(demo *d)
{
	for (int k = 0; k < DEMO_NETWORKS; k++) {
		close_net(&d->nets[k]);
		free(d->answers[k].logits);
		free(d->answers[k].read);
	}
	for (int k = 0; k < DEMO_OWN; k++) {
		og_profile_free(d->steps[k]);
		og_model_free(d->models[k]);
	}
	digits_free(&d->digits);
	*d = (demo){ 0 };
}

/* ---- comparing ------------------------------------------------------------------------------- */

double demo_difference(const demo *d, demo_network a, demo_network b, double *relative)
{
	const float *x = d->answers[a].logits, *y = d->answers[b].logits;
	double apart = 0, top = 0;
	for (size_t i = 0; i < (size_t)d->digits.n * DIGITS_CLASSES; i++) {
		double distance = fabs((double)x[i] - (double)y[i]);
		if (!(distance <= apart)) apart = distance;          /* NaN too */
		top = fmax(top, fabs((double)y[i]));
	}
	*relative = apart > 0 ? apart / top : apart;
	return apart;
}

int demo_agreed(const demo *d, demo_network a, demo_network b)
{
	int n = 0;
	for (int i = 0; i < d->digits.n; i++) n += d->answers[a].read[i] == d->answers[b].read[i];
	return n;
}

int demo_first(const demo *d, int label)
{
	for (int i = 0; i < d->digits.n; i++)
		if (d->digits.labels[i] == label) return i;
	return -1;
}

/* ---- timing ---------------------------------------------------------------------------------- */

static int processors(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
}

static og_status measure_group(demo *d, int g, double budget)
{
	demo_net nets[DEMO_NETWORKS] = { { 0 } };
	timing timings[DEMO_NETWORKS] = { { 0 } };
	demo_network who[DEMO_NETWORKS];
	int n = 0;
	og_status status = OG_OK;
	cli_progress(d->a, "timing batch %d", demo_groups[g].batch);
	for (int k = 0; status == OG_OK && k < DEMO_NETWORKS; k++) {
		if (k == DEMO_MAPPED || !demo_has(d, k)) continue;
		status = open_net(&nets[k], d, k, demo_groups[g].batch, demo_groups[g].threads);
		who[n] = k;
		timings[n++] = (timing){ .run = run_net, .what = &nets[k] };
	}
	if (status == OG_OK) status = timing_measure(d->a, timings, n, ROUNDS, budget);
	for (int i = 0; i < n; i++) {
		if (status == OG_OK)
			d->times[g][who[i]] = (demo_time){ timing_quantile(&timings[i], 0.5), timing_quantile(&timings[i], 0.1),
			                                   timing_quantile(&timings[i], 0.9), timings[i].n };
		timing_free(&timings[i]);
		close_net(&nets[who[i]]);
	}
	return status;
}

og_status demo_measure(demo *d, double budget)
{
	int available = processors();
	og_status status = OG_OK;
	for (int g = 0; status == OG_OK && g < DEMO_GROUPS && demo_groups[g].threads <= available; g++) {
		status = measure_group(d, g, budget * shares[g]);
		d->n_groups = g + 1;
	}
	return status;
}
