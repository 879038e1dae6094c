/* run.c -- runs a network from C: run MODEL INPUT.npy...  Inputs are in the model's order; prints the index of the
 * largest number of each row of the first output (for a classifier: the class).
 *
 *   cc examples/run.c $(pkg-config --cflags --libs opgraft) -o run
 */
#include <stdio.h>

#include <opgraft.h>

enum { MOST = 16 };

/* What there is to be freed; NULL where it was not made. */
typedef struct job {
	og_model *model;
	og_plan *plan;
	og_session *session;
	og_tensor *in[MOST], *out[MOST];
} job;

static og_status load(job *j, const char *path, char **files, int n)
{
	og_binding shapes[MOST];
	og_build_options options = { .size = sizeof options, .bindings = shapes, .n_bindings = n };
	og_value_info info;
	og_status status = og_model_load(&j->model, path);
	for (int i = 0; status == OG_OK && i < n; i++) {
		status = og_tensor_load(&j->in[i], files[i]);
		if (status == OG_OK) status = og_model_input(j->model, i, &info);
		if (status == OG_OK) shapes[i] = (og_binding){ .name = info.name, .value = j->in[i] };   /* binds the batch size too */
	}
	if (status == OG_OK) status = og_plan_build(&j->plan, j->model, &options);
	if (status == OG_OK) status = og_session_create(&j->session, j->plan, 0);
	for (int i = 0; status == OG_OK && i < og_plan_outputs(j->plan) && i < MOST; i++) {
		status = og_plan_output(j->plan, i, &info);
		if (status == OG_OK) status = og_tensor_create(&j->out[i], info.dtype, info.rank, info.dims);
	}
	return status;
}

static void print_classes(const og_tensor *t)
{
	const float *y = t->data;
	int64_t n = t->rank ? t->dims[t->rank - 1] : 1, rows = n ? (int64_t)(og_tensor_bytes(t) / sizeof *y) / n : 0;
	for (int64_t row = 0; row < rows; row++, y += n) {
		int64_t best = 0;
		for (int64_t i = 1; i < n; i++)
			if (y[i] > y[best]) best = i;
		printf("%lld\n", (long long)best);
	}
}

int main(int argc, char **argv)
{
	job j = { NULL };
	const void *inputs[MOST];
	void *outputs[MOST];
	if (argc < 2 || argc > 2 + MOST) {
		fprintf(stderr, "usage: run MODEL INPUT.npy...\n");
		return OG_USAGE;
	}
	og_status status = load(&j, argv[1], argv + 2, argc - 2);
	for (int i = 0; i < MOST; i++) {
		inputs[i] = j.in[i] ? j.in[i]->data : NULL;
		outputs[i] = j.out[i] ? j.out[i]->data : NULL;
	}
	if (status == OG_OK) status = og_session_run(j.session, inputs, outputs);
	if (status != OG_OK) fprintf(stderr, "run: %s\n", og_error());
	else if (j.out[0] && j.out[0]->dtype == OG_F32) print_classes(j.out[0]);
	og_session_free(j.session);
	og_plan_free(j.plan);
	og_model_free(j.model);
	for (int i = 0; i < MOST; i++) {
		og_tensor_free(j.in[i]);
		og_tensor_free(j.out[i]);
	}
	return status;
}
