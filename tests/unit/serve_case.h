/* serve_case.h -- what tests of the backend for Triton share: a network in a folder, served by the server of triton_fake.h, and requests
 * to it. */
#ifndef SERVE_CASE_H
#define SERVE_CASE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/instance.h"
#include "triton_fake.h"

enum { FP32 = 11, INT64 = 9, MOST = 24 };
#define CONFIG(more) "{\"name\":\"net\",\"backend\":\"opgraft\",\"max_batch_size\":0,\"input\":[],\"output\":[]," \
	"\"parameters\":{\"no_timing\":{\"string_value\":\"true\"},\"threads\":{\"string_value\":\"1\"}" more "}}"

/* y = table[i], z = x + x: a bad index fails a run, and one output may be left out. */
static const char rows[] =
	"model ir=8 {\"\" 17}\ngraph \"rows\" {\n"
	"  in i: i64[N]\n  in x: f32[N,3]\n  const table: f32[4,2] = {0, 1, 10, 11, 20, 21, 30, 31}\n"
	"  y: f32[N,2] = Gather(table, i)\n  z: f32[N,3] = Add(x, x)\n  out y\n  out z\n}\n";

/* ---- a model in a folder ---------------------------------------------------------------------------- */

typedef struct place { char folder[64], file[96]; } place;
typedef struct served {
	TRITONBACKEND_Backend backend;
	TRITONBACKEND_Model model;
	TRITONBACKEND_ModelInstance instance[2];
	place at;
} served;

static place make_place(const char *name, const char *network)
{
	place p;
	char version[80];
	strcpy(p.folder, "/tmp/opgraft-serve-XXXXXX");
	assert_non_null(mkdtemp(p.folder));
	snprintf(version, sizeof version, "%s/1", p.folder);
	assert_int_equal(mkdir(version, 0700), 0);
	snprintf(p.file, sizeof p.file, "%s/%s", version, name);
	FILE *f = network ? fopen(p.file, "w") : NULL;
	if (f) {
		fputs(network, f);
		fclose(f);
	}
	return p;
}

static void remove_place(const place *p)
{
	char version[80];
	snprintf(version, sizeof version, "%s/1", p->folder);
	unlink(p->file);
	rmdir(version);
	rmdir(p->folder);
	assert_int_equal(fake.alive, 0);
}

/* Ends an error; false for none. Its sentence stays until the next one. */
static char told[1024];
static bool failed(TRITONSERVER_Error *e)
{
	if (!e) return false;
	memcpy(told, e->sentence, sizeof told);
	TRITONSERVER_ErrorDelete(e);
	return true;
}

/* Unloading goes on whatever fails; `told` stays that of loading. */
static void unload(served *s, int instances, bool model)
{
	char kept[sizeof told];
	memcpy(kept, told, sizeof kept);
	while (instances-- > 0) failed(TRITONBACKEND_ModelInstanceFinalize(&s->instance[instances]));
	if (model) failed(TRITONBACKEND_ModelFinalize(&s->model));
	failed(TRITONBACKEND_Finalize(&s->backend));
	free(s->model.completed);
	s->model.completed = NULL;
	memcpy(told, kept, sizeof kept);
}

/* Loads backend, model and instances; after a failure all is unloaded, and `told` says why. */
static bool load(served *s, const char *config, int instances)
{
	static const char plain[] = "{\"cmdline\":{\"default-max-batch-size\":\"4\"}}";
	s->backend = (TRITONBACKEND_Backend){ .cmdline = s->backend.cmdline ? s->backend.cmdline : plain };
	s->model = (TRITONBACKEND_Model){ .backend = &s->backend, .folder = s->at.folder, .config = config, .version = 1, .complete = true };
	if (failed(TRITONBACKEND_Initialize(&s->backend))) return false;
	if (failed(TRITONBACKEND_ModelInitialize(&s->model))) {
		unload(s, 0, false);
		return false;
	}
	for (int k = 0; k < instances; k++) {
		TRITONBACKEND_ModelInstance *one = &s->instance[k];
		*one = (TRITONBACKEND_ModelInstance){ .model = &s->model, .kind = one->kind ? one->kind : TRITON_KIND_CPU, .id = one->id };
		if (!failed(TRITONBACKEND_ModelInstanceInitialize(one))) continue;
		unload(s, k, true);
		return false;
	}
	return true;
}

/* Instance k is of the kind, on device id + k. *s stays where it is: what was loaded points into it. */
static void start_as(served *s, const char *network, const char *config, int instances, triton_kind kind, int id)
{
	*s = (served){ .at = make_place("model.onnx", network) };
	for (int k = 0; k < instances; k++) s->instance[k] = (TRITONBACKEND_ModelInstance){ .kind = kind, .id = id + k };
	if (!load(s, config, instances)) fail_msg("%s", told);
}

static void end(served *s, int instances)
{
	unload(s, instances, true);
	remove_place(&s->at);
}

static void check_told(const char *words)
{
	if (!strstr(told, words)) fail_msg("'%s' does not say '%s'", told, words);
}

/* ---- requests to `rows` ------------------------------------------------------------------------------- */

typedef struct asked { TRITONBACKEND_Request r; int64_t i[MOST]; float x[MOST][3]; char odd[sizeof(float[MOST][3]) + 8]; } asked;

static TRITONBACKEND_Input input(const char *name, int type, const void *data, size_t bytes, uint32_t rank, int64_t a, int64_t b)
{
	return (TRITONBACKEND_Input){ .name = name, .type = type, .rank = rank, .dims = { a, b }, .pieces = { data }, .bytes = { bytes }, .n_pieces = 1 };
}

static asked *ask(int samples, int seed)
{
	asked *q = calloc(1, sizeof *q);
	assert_non_null(q);
	for (int k = 0; k < samples; k++) {
		q->i[k] = (seed + k) % 4;
		for (int j = 0; j < 3; j++) q->x[k][j] = (float)(seed * 100 + k * 3 + j);
	}
	q->r = (TRITONBACKEND_Request){ .n_inputs = 2, .wanted = { "z", "y" }, .n_wanted = 2 };
	q->r.inputs[0] = input("i", INT64, q->i, (size_t)samples * sizeof *q->i, 1, samples, 0);
	q->r.inputs[1] = input("x", FP32, q->x, (size_t)samples * sizeof *q->x, 2, samples, 3);
	return q;
}

static void check_output(const asked *q, const TRITONBACKEND_Output *o, int64_t samples)
{
	int64_t columns = o->name[0] == 'y' ? 2 : 3;
	assert_int_equal(o->rank, 2);
	assert_int_equal(o->dims[0], samples);
	assert_int_equal(o->dims[1], columns);
	assert_int_equal(o->bytes, (size_t)(samples * columns) * sizeof(float));
	for (int64_t n = 0; n < samples * columns; n++) {
		int64_t row = n / columns, column = n % columns;
		float want = columns == 2 ? (float)(10 * q->i[row] + column) : 2 * q->x[row][column], got;
		memcpy(&got, (char *)o->data + q->r.shift + (size_t)n * sizeof got, sizeof got);
		assert_true(got == want);
	}
}

static void check_answer(const asked *q)
{
	if (q->r.failed) fail_msg("%s", q->r.sentence);
	assert_int_equal(q->r.sent, 1);
	assert_int_equal(q->r.released, 1);
	assert_true(q->r.succeeded && q->r.came <= q->r.began && q->r.began <= q->r.ended && q->r.ended <= q->r.gone);
	assert_int_equal(q->r.n_outputs, q->r.n_wanted);
	for (uint32_t k = 0; k < q->r.n_outputs; k++) check_output(q, &q->r.outputs[k], q->r.inputs[0].dims[0]);
}

static void check_refused(const asked *q, const char *words)
{
	assert_int_equal(q->r.sent, 1);
	assert_int_equal(q->r.released, 1);
	assert_true(q->r.failed && !q->r.succeeded);
	if (!strstr(q->r.sentence, words)) fail_msg("'%s' does not say '%s'", q->r.sentence, words);
}

static void drop(asked *q)
{
	fake_forget(&q->r);
	free(q);
}

static void execute(served *s, asked **q, int n)
{
	TRITONBACKEND_Request *requests[MOST];
	for (int k = 0; k < n; k++) requests[k] = &q[k]->r;
	assert_null(TRITONBACKEND_ModelInstanceExecute(&s->instance[0], requests, (uint32_t)n));
}

#endif
