/* test_serve.c -- the backend for Triton in a server that does what it is told (triton_fake.h): bad requests beside good ones, every
 * way that memory can come, calls and allocations that fail, a thousand loads. The real server is tests/test_triton.py's. */
#include "serve_case.h"

#include <dirent.h>

static const char free_shape[] =
	"model ir=8 {\"\" 17}\ngraph \"free\" {\n  in x: f32[N,M]\n  y: f32[N,M] = Neg(x)\n  out y\n}\n";

static void start(served *s, const char *network, const char *config, int instances)
{
	start_as(s, network, config, instances, TRITON_KIND_CPU, 0);
}

/* ---- answers ---------------------------------------------------------------------------------------------- */

static void test_batches_of_requests(void **state)
{
	(void)state;
	served s;
	start(&s, rows, CONFIG(""), 1);
	uint64_t sum = 0;
	for (int trial = 0; trial < 60; trial++) {
		asked *q[4];
		int n = 1 + trial % 4;
		for (int k = 0; k < n; k++) {
			int samples = 1 + (trial * 7 + k * 5) % 16;
			q[k] = ask(samples, trial + k);
			sum += (uint64_t)samples;
		}
		execute(&s, q, n);
		for (int k = 0; k < n; k++) {
			check_answer(q[k]);
			drop(q[k]);
		}
	}
	assert_int_equal(s.instance[0].samples, sum);
	end(&s, 1);
}

static void test_outputs_that_are_wanted(void **state)
{
	(void)state;
	served s;
	start(&s, rows, CONFIG(""), 1);
	for (int k = 0; k < 3; k++) {
		asked *q[2] = { ask(4, k), ask(3, k) };
		q[0]->r.n_wanted = k == 0 ? 0 : 1;
		q[0]->r.wanted[0] = k == 1 ? "y" : "z";
		execute(&s, q, 2);
		for (int i = 0; i < 2; i++) {
			check_answer(q[i]);
			drop(q[i]);
		}
	}
	end(&s, 1);
}

/* The buffers of the instance tell what was copied since the last question. */
static bool was_copied(const served *s)
{
	uint8_t *in = ((serve_instance *)s->instance[0].state)->slots[0].host.in[1];
	bool copied = in[0] != 0x5a;
	memset(in, 0x5a, 4);
	return copied;
}

static void test_what_is_copied(void **state)
{
	enum { PLAIN, INPUT_OFF_ALIGNMENT, OUTPUT_OFF_ALIGNMENT, IN_PIECES, TWO_REQUESTS, FORMS };
	(void)state;
	served s;
	start(&s, rows, CONFIG(""), 1);
	was_copied(&s);
	for (int form = 0; form < FORMS; form++) {
		asked *q[2] = { ask(4, 1), ask(4, 2) };
		TRITONBACKEND_Input *x = &q[0]->r.inputs[1];
		if (form == INPUT_OFF_ALIGNMENT) x->pieces[0] = memcpy(q[0]->odd + 2, q[0]->x, 4 * sizeof *q[0]->x);
		if (form == OUTPUT_OFF_ALIGNMENT) q[0]->r.shift = 1;
		if (form == IN_PIECES)
			*x = (TRITONBACKEND_Input){ .name = "x", .type = FP32, .rank = 2, .dims = { 4, 3 }, .n_pieces = 3,
			                            .pieces = { q[0]->x, (char *)q[0]->x + 5, (char *)q[0]->x + 5 }, .bytes = { 5, 0, 43 } };
		execute(&s, q, form == TWO_REQUESTS ? 2 : 1);
		check_answer(q[0]);
		assert_int_equal(was_copied(&s), form != PLAIN && form != IN_PIECES);
		drop(q[0]);
		drop(q[1]);
	}
	end(&s, 1);
}

/* ---- what is wrong with requests --------------------------------------------------------------------------- */

static void spoil(asked *q, int how)
{
	TRITONBACKEND_Input *i = &q->r.inputs[0], *x = &q->r.inputs[1];
	switch (how) {
	case 0: x->type = INT64; break;
	case 1: x->dims[1] = 4; break;
	case 2: x->rank = 1; break;
	case 3: x->bytes[0] -= 4; break;
	case 4: x->dims[0]--; x->bytes[0] -= sizeof *q->x; break;
	case 5: i->dims[0] = x->dims[0] = 0; i->bytes[0] = x->bytes[0] = 0; break;
	case 6: i->dims[0] = x->dims[0] = 100000; i->bytes[0] = 800000; x->bytes[0] = 1200000; break;
	case 7: i->dims[0] = x->dims[0] = -1; break;
	case 8: x->name = "other"; break;
	case 9: q->r.inputs[2] = *x; q->r.inputs[2].name = "more"; q->r.n_inputs = 3; break;
	case 10: x->memory = TRITON_GPU; break;
	case 11: q->r.memory = TRITON_GPU; break;
	case 12: q->r.wanted[1] = "nothing"; break;
	case 13: q->r.cancelled = true; break;
	case 14: q->i[0] = 17; break;
	case 15: x->dims[0] = INT64_MAX; break;
	case 16: x->n_pieces = 2; x->pieces[1] = x->pieces[0]; x->bytes[1] = 0; x->bytes[0]++; break;
	default: q->i[i->dims[0] - 1] = -5; break;
	}
}

static void test_bad_requests_fail_alone(void **state)
{
	static const char *const words[] = {
		"input 'x' is not of type f32", "the shape of input 'x' is [2,4], not [-1,3]", "the shape of input 'x' is [2], not",
		"has 20 bytes, and its shape takes 24", "input 'x' has 1 samples, and another has 2", "has no samples",
		"has 100000 samples, and a batch has 64 at most", "has no samples", "input 'x' is missing",
		"3 inputs, and the network takes 2", "lies in the memory of GPU 0, and this instance runs on the CPU",
		"is wanted in the memory of GPU 0", "no output 'nothing'", "was cancelled", "reads index 17",
		"samples, and a batch has 64 at most", "has 25 bytes", "reads index -5" };
	enum { WAYS = sizeof words / sizeof *words };
	(void)state;
	served s;
	start(&s, rows, CONFIG(""), 1);
	for (int how = 0; how < WAYS; how++)
		for (int at = 0; at < 3; at++) {
			asked *q[3] = { ask(2, how), ask(2, how + 1), ask(2, how + 2) };
			spoil(q[at], how);
			execute(&s, q, 3);
			for (int k = 0; k < 3; k++) {
				if (k == at) check_refused(q[k], words[how]);
				else check_answer(q[k]);
				drop(q[k]);
			}
		}
	asked *all[WAYS];
	for (int k = 0; k < WAYS; k++) spoil(all[k] = ask(2, k), k);
	execute(&s, all, WAYS);
	for (int k = 0; k < WAYS; k++) {
		check_refused(all[k], words[k]);
		drop(all[k]);
	}
	end(&s, 1);
}

/* ---- sizes of runs -------------------------------------------------------------------------------------------- */

static void check_choice(const serve_size *sizes, int n, int kept, const int8_t *choice, int most, int asked_for)
{
	serve_network net = { .most = most, .settings = { .n_batches = asked_for } };
	serve_shape shape = { .a = arena_create(), .n_sizes = n };
	memcpy(shape.sizes, sizes, (size_t)n * sizeof *sizes);
	assert_int_equal(serve_sizes_choose(&shape, &net), OG_OK);
	assert_int_equal(shape.n_sizes, kept);
	for (int k = 1; k <= most; k++) assert_int_equal(shape.choice[k], choice[k - 1]);
	arena_destroy(shape.a);
}

static void test_runs_take_the_least_time(void **state)
{
	(void)state;
	const serve_size three[] = { { 1, NULL, 10 }, { 4, NULL, 25 }, { 16, NULL, 45 } };
	check_choice(three, 3, 3, (const int8_t[]){ 0, 0, 1, 1, 1, 2, 2, 2 }, 8, 3);
	const serve_size whole[] = { { 3, NULL, 1 } };
	check_choice(whole, 1, 1, (const int8_t[]){ 0, 0, 0, 0, 0, 0 }, 6, 1);
	const serve_size useless[] = { { 1, NULL, 10 }, { 2, NULL, 19.9 }, { 4, NULL, 20 }, { 8, NULL, 40 } };
	check_choice(useless, 4, 2, (const int8_t[]){ 0, 1, 1, 1, 1, 1, 1, 1 }, 8, 0);
}

static og_plan *build_lenet5(int64_t batch, const og_plan *share)
{
	og_model *m;
	og_plan *p;
	og_build_options o = { .size = sizeof o, .bindings = &(og_binding){ .name = "N", .rank = 1, .dims = { batch } }, .n_bindings = 1, .threads = 1,
	                       .timing = OG_TIMING_OFF, .batching = "whole", .share = share };
	assert_int_equal(og_model_load(&m, "models/lenet5_swish4.onnx"), OG_OK);
	assert_int_equal(og_plan_build(&p, m, &o), OG_OK);
	og_model_free(m);
	return p;
}

static void run_lenet5(const og_plan *p, const float *x, float *y)
{
	og_session *s;
	assert_int_equal(og_session_create(&s, p, 0), OG_OK);
	assert_int_equal(og_session_run(s, (const void *const[]){ x }, (void *const[]){ y }), OG_OK);
	og_session_free(s);
}

static void test_plans_share_weights(void **state)
{
	static float x[4 * 784], apart[40], shared[40];
	(void)state;
	for (int i = 0; i < 4 * 784; i++) x[i] = (float)(i % 13) / 13;
	og_plan *two = build_lenet5(2, NULL), *four = build_lenet5(4, NULL), *with = build_lenet5(4, two);
	og_memory whole, less;
	og_plan_memory(four, &whole);
	og_plan_memory(with, &less);
	assert_true(less.weights < whole.weights);
	run_lenet5(four, x, apart);
	run_lenet5(with, x, shared);
	assert_memory_equal(apart, shared, sizeof apart);
	og_plan_free(four);
	og_plan_free(with);
	run_lenet5(two, x, shared);
	og_plan_free(two);
}

/* ---- loading --------------------------------------------------------------------------------------------------- */

static void test_a_configuration_is_completed(void **state)
{
	(void)state;
	served s;
	start(&s, rows, CONFIG(""), 1);
	const char *made = s.model.completed;
	assert_non_null(strstr(made, "\"max_batch_size\":64"));
	assert_non_null(strstr(made, "{\"name\":\"i\",\"data_type\":\"TYPE_INT64\",\"dims\":[1],\"reshape\":{\"shape\":[]}}"));
	assert_non_null(strstr(made, "{\"name\":\"z\",\"data_type\":\"TYPE_FP32\",\"dims\":[3]}"));
	assert_non_null(strstr(made, "\"dynamic_batching\":{}"));
	end(&s, 1);
}

static void test_instances_that_are_refused(void **state)
{
	(void)state;
	served s = { .at = make_place("model.onnx", rows), .instance[0] = { .kind = TRITON_KIND_GPU } };
	if (og_device_ready("cuda") != OG_OK) {
		assert_false(load(&s, CONFIG(""), 1));
		assert_string_equal(told, og_error());
	}
	s.backend.cmdline = "{\"cmdline\":{\"thread\":\"2\"}}";
	assert_false(load(&s, CONFIG(""), 1));
	check_told("opgraft,thread=2: there is no such parameter");
	remove_place(&s.at);
}

static void test_a_plan_file(void **state)
{
	static const char config[] = "{\"max_batch_size\":10,\"input\":[],\"output\":[]}";
	(void)state;
	served s = { .at = make_place("model.plan", NULL) };
	og_model *m;
	og_plan *p;
	og_build_options o = { .size = sizeof o, .bindings = &(og_binding){ .name = "N", .rank = 1, .dims = { 4 } }, .n_bindings = 1, .timing = OG_TIMING_OFF };
	assert_int_equal(og_model_load_memory(&m, rows, strlen(rows), NULL), OG_OK);
	assert_int_equal(og_plan_build(&p, m, &o), OG_OK);
	assert_int_equal(og_plan_save(p, s.at.file), OG_OK);
	og_plan_free(p);
	og_model_free(m);
	if (!load(&s, config, 1)) fail_msg("%s", told);
	assert_int_equal(truncate(s.at.file, 10), 0);                     /* the copy goes on */
	for (int samples = 1; samples <= 10; samples++) {
		asked *q = ask(samples, samples);
		execute(&s, &q, 1);
		check_answer(q);
		drop(q);
	}
	unload(&s, 1, true);
	assert_false(load(&s, config, 1));
	check_told(s.at.file);
	remove_place(&s.at);
}

/* ---- a server in trouble ----------------------------------------------------------------------------------------- */

/* Loads, asks, unloads; whatever fails, each request is answered once and nothing stays. */
static void cycle(served *s)
{
	if (!load(s, CONFIG(",\"batches\":{\"string_value\":\"1,4\"}"), 1)) return;
	asked *q[3] = { ask(1, 1), ask(4, 2), ask(2, 3) };
	TRITONBACKEND_Request *requests[] = { &q[0]->r, &q[1]->r, &q[2]->r };
	spoil(q[2], 14);
	bool taken = !failed(TRITONBACKEND_ModelInstanceExecute(&s->instance[0], requests, 3));
	for (int k = 0; k < 3; k++) {
		assert_int_equal(q[k]->r.released, taken);
		assert_true(q[k]->r.sent <= taken);
		if (q[k]->r.sent && !q[k]->r.failed) check_answer(q[k]);
		drop(q[k]);
	}
	unload(s, 1, true);
}

static void test_each_call_of_the_server_fails(void **state)
{
	(void)state;
	served s = { .at = make_place("model.onnx", rows) };
	long n = 1;
	do {
		fake.calls = 0;
		fake.fail_at = n;
		cycle(&s);
		assert_int_equal(fake.alive, 0);
	} while (fake.calls >= n++);
	fake.fail_at = 0;
	assert_true(n > 50);
	remove_place(&s.at);
}

static void test_each_allocation_fails(void **state)
{
	(void)state;
	served s = { .at = make_place("model.onnx", rows) };
	uint64_t before = base_allocations();
	cycle(&s);
	uint64_t all = base_allocations() - before;
	const char *sample = getenv("OPGRAFT_SAMPLE");
	uint64_t step = sample && atoi(sample) > 1 ? (uint64_t)atoi(sample) : 1;
	assert_true(all > 100);
	for (uint64_t n = 1; n <= all + 1; n += step) {
		base_fail_allocation(n);
		cycle(&s);
		base_fail_allocation(0);
		assert_int_equal(fake.alive, 0);
	}
	remove_place(&s.at);
}

static int count_open(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (d && readdir(d)) n++;
	if (d) closedir(d);
	return n;
}

/* Bytes of memory that this process has. */
static long resident(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (f && fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
	if (f) fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

static void test_a_thousand_loads(void **state)
{
	(void)state;
	served s = { .at = make_place("model.onnx", rows) };
	for (int k = 0; k < 100; k++) cycle(&s);
	int files = count_open();
	long memory = resident();
	for (int k = 0; k < 900; k++) cycle(&s);
	assert_int_equal(count_open(), files);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)     /* these keep what was freed */
	(void)memory;
#else
	assert_true(resident() - memory < 1 << 20);
#endif
	remove_place(&s.at);
}

/* ---- two instances at once ------------------------------------------------------------------------------------------ */

typedef struct worker { served *s; int k; bool wrong; } worker;

static void *work(void *arg)
{
	worker *w = arg;
	float x[5][6] = { { 1, 2, 3 }, { 4 } };
	for (int turn = 0; turn < 60; turn++) {
		int64_t samples = 1 + turn % 5, columns = 1 + (turn / 2 + w->k) % 6;
		TRITONBACKEND_Request r = { .n_inputs = 1, .wanted = { "y" }, .n_wanted = 1 }, *requests[] = { &r };
		r.inputs[0] = input("x", FP32, x, (size_t)(samples * columns) * sizeof(float), 2, samples, columns);
		TRITONSERVER_Error *e = TRITONBACKEND_ModelInstanceExecute(&w->s->instance[w->k], requests, 1);
		w->wrong |= e || r.failed || r.sent != 1 || r.n_outputs != 1 || *(float *)r.outputs[0].data != -1;
		if (e) TRITONSERVER_ErrorDelete(e);
		fake_forget(&r);
	}
	return NULL;
}

static void test_two_instances_share_shapes(void **state)
{
	(void)state;
	served s;
	pthread_t threads[2];
	worker workers[2] = { { &s, 0, false }, { &s, 1, false } };
	start(&s, free_shape, CONFIG(",\"shapes\":{\"string_value\":\"2\"},\"batches\":{\"string_value\":\"1,4\"}"), 2);
	for (int k = 0; k < 2; k++) assert_int_equal(pthread_create(&threads[k], NULL, work, &workers[k]), 0);
	for (int k = 0; k < 2; k++) pthread_join(threads[k], NULL);
	assert_false(workers[0].wrong || workers[1].wrong);
	end(&s, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batches_of_requests), cmocka_unit_test(test_outputs_that_are_wanted), cmocka_unit_test(test_what_is_copied),
		cmocka_unit_test(test_bad_requests_fail_alone), cmocka_unit_test(test_runs_take_the_least_time), cmocka_unit_test(test_plans_share_weights),
		cmocka_unit_test(test_a_configuration_is_completed), cmocka_unit_test(test_instances_that_are_refused), cmocka_unit_test(test_a_plan_file),
		cmocka_unit_test(test_each_call_of_the_server_fails), cmocka_unit_test(test_each_allocation_fails), cmocka_unit_test(test_a_thousand_loads),
		cmocka_unit_test(test_two_instances_share_shapes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
