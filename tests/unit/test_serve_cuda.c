/* test_serve_cuda.c -- GPU instances of the backend for Triton, in the server of triton_fake.h: memory of the host, pinned and of GPUs, alone
 * and mixed in a run; what is copied for it; failures; leaks. Without a GPU all is skipped: tests/test_serving_cuda.py runs it on the
 * emulated ones of tests/cuda, whose memory the host cannot touch and which count what is copied. */
#include "serve_case.h"

#include <dlfcn.h>

#include "cuda/driver.h"

/* ---- GPUs ------------------------------------------------------------------------------------------------- */

enum { GPUS = 2 };
static struct {
	const driver_api *api;
	void *context[GPUS]; int n;
	uint64_t (*copied)(int on_devices);      /* bytes; NULL: not emulated */
	size_t (*used)(int gpu);
} gpu;

static void *gpu_new(int64_t id, size_t bytes)
{
	uint64_t p;
	assert_int_equal(gpu.api->cuCtxSetCurrent(gpu.context[id]), 0);
	assert_int_equal(gpu.api->cuMemAlloc_v2(&p, bytes + 1), 0);
	return (void *)(uintptr_t)p;
}

static void gpu_free(void *p)
{
	assert_int_equal(gpu.api->cuMemFree_v2((uint64_t)(uintptr_t)p), 0);
}

static int open_gpus(void **state)
{
	(void)state;
	gpu.api = og_device_ready("cuda") == OG_OK ? driver_open() : NULL;
	if (!gpu.api) return 0;
	for (int device; gpu.n < GPUS && gpu.api->cuDeviceGet(&device, gpu.n) == 0; gpu.n++)
		assert_int_equal(gpu.api->cuDevicePrimaryCtxRetain(&gpu.context[gpu.n], device), 0);
	void *library = dlopen("libcuda.so.1", RTLD_LAZY);
	*(void **)&gpu.copied = dlsym(library, "emulated_copied");
	*(void **)&gpu.used = dlsym(library, "emulated_used");
	fake.gpu_new = gpu_new;
	fake.gpu_free = gpu_free;
	return 0;
}

static void need_gpus(int n)
{
	if (gpu.n < n) skip();
}

/* Bytes copied since the last question; -1 where nobody counts. */
static int64_t copied(int on_devices)
{
	static uint64_t before[2];
	uint64_t now = gpu.copied ? gpu.copied(on_devices) : 0, more = now - before[on_devices];
	before[on_devices] = now;
	return gpu.copied ? (int64_t)more : -1;
}

/* ---- requests in memory of a kind ---------------------------------------------------------------------------- */

static void move_inputs(asked *q, triton_memory memory, int64_t id, size_t shift)
{
	for (uint32_t k = 0; k < q->r.n_inputs; k++) {
		TRITONBACKEND_Input *in = &q->r.inputs[k];
		in->memory = memory;
		in->id = id;
		if (memory != TRITON_GPU) continue;
		char *p = gpu_new(id, in->bytes[0] + shift);
		assert_int_equal(gpu.api->cuMemcpyHtoD_v2((uint64_t)(uintptr_t)(p + shift), in->pieces[0], in->bytes[0]), 0);
		in->pieces[0] = p + shift;
	}
}

static asked *ask_in(int samples, int seed, triton_memory in, triton_memory out, int64_t id)
{
	asked *q = ask(samples, seed);
	move_inputs(q, in, id, 0);
	q->r.memory = out;
	q->r.id = id;
	return q;
}

/* Checks the answer, and ends the request. */
static void finish(asked *q, size_t shift)
{
	for (uint32_t k = 0; k < q->r.n_outputs && q->r.memory == TRITON_GPU; k++) {
		TRITONBACKEND_Output *o = &q->r.outputs[k];
		if (!o->data) continue;
		void *host = fake_new(o->bytes + q->r.shift);
		assert_int_equal(gpu.api->cuMemcpyDtoH_v2(host, (uint64_t)(uintptr_t)o->data, o->bytes + q->r.shift), 0);
		gpu_free(o->data);
		o->data = host;
	}
	q->r.memory = TRITON_CPU;
	if (!q->r.failed) check_answer(q);
	for (uint32_t k = 0; k < q->r.n_inputs; k++)
		if (q->r.inputs[k].memory == TRITON_GPU) gpu_free((char *)(uintptr_t)q->r.inputs[k].pieces[0] - shift);
	drop(q);
}

/* ---- answers ----------------------------------------------------------------------------------------------- */

static void test_every_mix_of_memory(void **state)
{
	(void)state;
	need_gpus(1);
	served s;
	start_as(&s, rows, CONFIG(",\"batches\":{\"string_value\":\"1,4,16\"}"), 1, TRITON_KIND_GPU, 0);
	uint64_t sum = 0;
	for (int trial = 0; trial < 54; trial++) {
		asked *q[3];
		int n = 1 + trial % 3;
		for (int k = 0; k < n; k++) {
			int samples = 1 + (trial * 5 + k * 3) % 9, kind = (trial / 3 + k * 4) % 9;
			q[k] = ask_in(samples, trial + k, kind % 3, kind / 3, 0);
			sum += (uint64_t)samples;
		}
		execute(&s, q, n);
		for (int k = 0; k < n; k++) finish(q[k], 0);
	}
	assert_int_equal(s.instance[0].samples, sum);
	end(&s, 1);
}

/* Plans come with requests. */
static const char free_rows[] = "model ir=8 {\"\" 17}\ngraph \"free\" {\n  in x: f32[N,M]\n  y: f32[N,M] = Neg(x)\n  out y\n}\n";
/* All steps of this one have kernels there. */
static const char twice[] = "model ir=8 {\"\" 17}\ngraph \"twice\" {\n  in x: f32[N,3]\n  z: f32[N,3] = Add(x, x)\n  out z\n}\n";

static asked *ask_twice(int samples, int seed)
{
	asked *q = ask(samples, seed);
	q->r.inputs[0] = q->r.inputs[1];
	q->r.n_inputs = q->r.n_wanted = 1;
	return q;
}

/* A sample has 12 bytes, a run 4 samples. */
static void test_what_is_copied_on_a_gpu(void **state)
{
	enum { DIRECT, AGAIN, GATHERED, FILLED, OFF_ALIGNMENT, MIXED, FORMS };
	static const int64_t to_and_from = 2 * 12;
	static const int64_t host[FORMS] = { [MIXED] = 2 * to_and_from };
	static const int64_t device[FORMS] = { [GATHERED] = 4 * to_and_from, [FILLED] = 3 * to_and_from + 12, [OFF_ALIGNMENT] = 4 * to_and_from,
	                                       [MIXED] = 2 * to_and_from };
	(void)state;
	need_gpus(1);
	served s;
	start_as(&s, twice, CONFIG(",\"batches\":{\"string_value\":\"4\"}"), 1, TRITON_KIND_GPU, 0);
	for (int form = 0; form < FORMS; form++) {
		int n = form == GATHERED || form == MIXED ? 2 : 1, samples = n == 2 ? 2 : form == FILLED ? 3 : 4;
		size_t shift = form == OFF_ALIGNMENT ? 8 : 0;
		asked *q[2] = { ask_twice(samples, 1), ask_twice(2, 2) };
		for (int k = 0; k < n; k++) {
			bool moved = form != MIXED || k;
			if (moved) move_inputs(q[k], TRITON_GPU, 0, shift);
			q[k]->r.memory = moved ? TRITON_GPU : TRITON_CPU;
			q[k]->r.shift = shift;
		}
		copied(0), copied(1);
		execute(&s, q, n);
		if (gpu.copied) {
			assert_int_equal(copied(0), host[form]);
			assert_int_equal(copied(1), device[form]);
		}
		for (int k = 0; k < n; k++) {
			assert_int_equal(q[k]->r.outputs[0].wished, q[k]->r.memory == TRITON_GPU ? TRITON_GPU : TRITON_CPU_PINNED);
			finish(q[k], shift);
		}
		if (n == 1) drop(q[1]);
	}
	end(&s, 1);
}

static void test_bad_requests_fail_alone_on_a_gpu(void **state)
{
	(void)state;
	need_gpus(1);
	served s;
	start_as(&s, rows, CONFIG(""), 1, TRITON_KIND_GPU, 0);
	static const char *const words[] = { "has 20 bytes, and its shape takes 24", "is not of type f32", "lies in a GPU's memory in 2 pieces", "no output 'nothing'" };
	for (int how = 0; how < 4; how++)
		for (int at = 0; at < 3; at++) {
			asked *q[3];
			for (int k = 0; k < 3; k++) q[k] = ask_in(2, how + k, TRITON_GPU, TRITON_GPU, 0);
			TRITONBACKEND_Input *x = &q[at]->r.inputs[1];
			if (how == 0) x->bytes[0] -= 4;
			if (how == 1) x->type = INT64;
			if (how == 2) x->n_pieces = 2, x->pieces[1] = (char *)(uintptr_t)x->pieces[0] + 4, x->bytes[1] = 4, x->bytes[0] -= 4;
			if (how == 3) q[at]->r.wanted[0] = "nothing";
			execute(&s, q, 3);
			check_refused(q[at], words[how]);
			for (int k = 0; k < 3; k++) {
				assert_int_equal(q[k]->r.failed, k == at);
				finish(q[k], 0);
			}
		}
	end(&s, 1);
}

/* ---- several GPUs ---------------------------------------------------------------------------------------------- */

/* Instances on two, each of which takes memory of both. */
static void test_two_gpus(void **state)
{
	(void)state;
	need_gpus(2);
	served s;
	start_as(&s, rows, CONFIG(",\"batches\":{\"string_value\":\"1,4\"}"), 2, TRITON_KIND_GPU, 0);
	if (gpu.used) assert_true(gpu.used(0) > 0 && gpu.used(1) > 0);
	for (int trial = 0; trial < 32; trial++) {
		asked *q[2] = { ask_in(1 + trial % 5, trial, TRITON_GPU, TRITON_GPU, trial / 2 % 2), ask_in(3, trial, TRITON_GPU, TRITON_CPU, trial / 4 % 2) };
		TRITONBACKEND_Request *requests[] = { &q[0]->r, &q[1]->r };
		assert_null(TRITONBACKEND_ModelInstanceExecute(&s.instance[trial % 2], requests, 1 + trial / 8 % 2));
		finish(q[0], 0);
		if (trial / 8 % 2) {
			finish(q[1], 0);
		} else {
			for (int k = 0; k < 2; k++) gpu_free((void *)(uintptr_t)q[1]->r.inputs[k].pieces[0]);
			drop(q[1]);
		}
	}
	end(&s, 2);
	for (int k = 0; gpu.used && k < 2; k++) assert_int_equal(gpu.used(k), 0);
}

typedef struct worker { served *s; int k; } worker;

static void *work(void *arg)
{
	const worker *w = arg;
	for (int turn = 0; turn < 30; turn++) {
		asked *q = ask_in(1 + turn % 6, turn + w->k, TRITON_GPU, TRITON_GPU, w->k);
		TRITONBACKEND_Request *requests[] = { &q->r };
		assert_null(TRITONBACKEND_ModelInstanceExecute(&w->s->instance[w->k], requests, 1));
		finish(q, 0);
	}
	return NULL;
}

static void test_two_gpus_at_once(void **state)
{
	(void)state;
	need_gpus(2);
	served s;
	pthread_t threads[2];
	worker workers[2] = { { &s, 0 }, { &s, 1 } };
	start_as(&s, rows, CONFIG(",\"batches\":{\"string_value\":\"1,4\"}"), 2, TRITON_KIND_GPU, 0);
	for (int k = 0; k < 2; k++) assert_int_equal(pthread_create(&threads[k], NULL, work, &workers[k]), 0);
	for (int k = 0; k < 2; k++) pthread_join(threads[k], NULL);
	end(&s, 2);
}

static void test_a_gpu_that_is_not_there(void **state)
{
	(void)state;
	need_gpus(1);
	static const char *const networks[] = { rows, free_rows };
	for (int k = 0; k < 2; k++) {
		served s = { .at = make_place("model.onnx", networks[k]), .instance[0] = { .kind = TRITON_KIND_GPU, .id = 40 } };
		assert_false(load(&s, CONFIG(""), 1));
		check_told("GPU 40 cannot be used: ");
		remove_place(&s.at);
	}
}

/* The third of the emulated ones is newer. */
static void test_a_gpu_of_another_kind(void **state)
{
	int device, first, third;
	(void)state;
	need_gpus(1);
	if (gpu.api->cuDeviceGet(&device, 2) || gpu.api->cuDeviceGetAttribute(&third, DRIVER_MAJOR, device)) skip();
	assert_int_equal(gpu.api->cuDeviceGetAttribute(&first, DRIVER_MAJOR, 0), 0);
	if (first == third) skip();
	served s = { .at = make_place("model.onnx", twice), .instance[0] = { .kind = TRITON_KIND_GPU, .id = 2 } };
	assert_false(load(&s, CONFIG(""), 1));
	check_told("GPU 2 is an sm_80, and kernels are made for GPU 0, an sm_75");
	remove_place(&s.at);
}

/* ---- loading ------------------------------------------------------------------------------------------------- */

/* LeNet-5's weights are on the device once, however many sizes of runs it has. */
static void test_plans_share_weights_on_a_gpu(void **state)
{
	enum { WEIGHTS = 61706 * sizeof(float) };
	(void)state;
	need_gpus(1);
	if (!gpu.used) skip();
	size_t used[2];
	for (int more = 0; more < 2; more++) {
		served s = { .at = make_place("model.onnx", NULL), .instance[0] = { .kind = TRITON_KIND_GPU } };
		char *model = realpath("models/lenet5_swish4.onnx", NULL);
		assert_int_equal(symlink(model, s.at.file), 0);
		free(model);
		if (!load(&s, more ? CONFIG(",\"batches\":{\"string_value\":\"1,2,4\"}") : CONFIG(",\"batches\":{\"string_value\":\"1\"}"), 1)) fail_msg("%s", told);
		used[more] = gpu.used(0);
		end(&s, 1);
		assert_int_equal(gpu.used(0), 0);
	}
	assert_true(used[0] > WEIGHTS && used[1] < used[0] + WEIGHTS / 4);
}

static void test_loads_leave_nothing_on_a_gpu(void **state)
{
	(void)state;
	need_gpus(1);
	served s = { .at = make_place("model.onnx", rows) };
	for (int turn = 0; turn < 100; turn++) {
		s.instance[0] = (TRITONBACKEND_ModelInstance){ .kind = TRITON_KIND_GPU };
		if (!load(&s, CONFIG(",\"batches\":{\"string_value\":\"1,4\"}"), 1)) fail_msg("%s", told);
		asked *q[2] = { ask_in(3, turn, TRITON_GPU, TRITON_GPU, 0), ask_in(2, turn, TRITON_CPU, TRITON_CPU, 0) };
		execute(&s, q, 2);
		for (int k = 0; k < 2; k++) finish(q[k], 0);
		unload(&s, 1, true);
		if (gpu.used) assert_int_equal(gpu.used(0), 0);
	}
	remove_place(&s.at);
}

static void test_each_call_fails_with_a_gpu(void **state)
{
	(void)state;
	need_gpus(1);
	served s = { .at = make_place("model.onnx", rows) };
	long n = 1;
	do {
		fake.calls = 0;
		fake.fail_at = n;
		s.instance[0] = (TRITONBACKEND_ModelInstance){ .kind = TRITON_KIND_GPU };
		if (load(&s, CONFIG(",\"batches\":{\"string_value\":\"4\"}"), 1)) {
			asked *q[2] = { ask_in(3, 1, TRITON_GPU, TRITON_GPU, 0), ask_in(3, 2, TRITON_CPU, TRITON_GPU, 0) };
			TRITONBACKEND_Request *requests[] = { &q[0]->r, &q[1]->r };
			bool taken = !failed(TRITONBACKEND_ModelInstanceExecute(&s.instance[0], requests, 2));
			for (int k = 0; k < 2; k++) {
				assert_int_equal(q[k]->r.released, taken);
				q[k]->r.failed |= !q[k]->r.sent;
				finish(q[k], 0);
			}
			unload(&s, 1, true);
		}
		assert_int_equal(fake.alive, 0);
		if (gpu.used) assert_int_equal(gpu.used(0), 0);
	} while (fake.calls >= n++);
	fake.fail_at = 0;
	assert_true(n > 50);
	remove_place(&s.at);
}

static void test_each_allocation_fails_with_a_gpu(void **state)
{
	(void)state;
	need_gpus(1);
	served s = { .at = make_place("model.onnx", rows) };
	uint64_t all = 1;
	for (uint64_t n = 0; n <= all; n += n < 20 ? 1 : 1 + all / 100) {
		uint64_t before = base_allocations();
		base_fail_allocation(n);
		s.instance[0] = (TRITONBACKEND_ModelInstance){ .kind = TRITON_KIND_GPU };
		if (load(&s, CONFIG(",\"batches\":{\"string_value\":\"4\"}"), 1)) {
			asked *q[2] = { ask_in(3, 1, TRITON_GPU, TRITON_GPU, 0), ask_in(3, 2, TRITON_CPU, TRITON_GPU, 0) };
			TRITONBACKEND_Request *requests[] = { &q[0]->r, &q[1]->r };
			bool taken = !failed(TRITONBACKEND_ModelInstanceExecute(&s.instance[0], requests, 2));
			for (int k = 0; k < 2; k++) {
				assert_int_equal(q[k]->r.sent, taken);
				q[k]->r.failed |= !taken;
				finish(q[k], 0);
			}
			unload(&s, 1, true);
		}
		base_fail_allocation(0);
		if (n == 0) all = base_allocations() - before;
		assert_int_equal(fake.alive, 0);
		if (gpu.used) assert_int_equal(gpu.used(0), 0);
	}
	assert_true(all > 100);
	remove_place(&s.at);
}

static void test_a_full_gpu(void **state)
{
	(void)state;
	need_gpus(1);
	if (!gpu.used) skip();
	served s = { .at = make_place("model.onnx", rows), .instance[0] = { .kind = TRITON_KIND_GPU } };
	setenv("EMULATED_MEMORY", "0", 1);
	assert_false(load(&s, CONFIG(""), 1));
	unsetenv("EMULATED_MEMORY");
	check_told("the device has no");
	remove_place(&s.at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_mix_of_memory), cmocka_unit_test(test_what_is_copied_on_a_gpu),
		cmocka_unit_test(test_bad_requests_fail_alone_on_a_gpu), cmocka_unit_test(test_two_gpus), cmocka_unit_test(test_two_gpus_at_once),
		cmocka_unit_test(test_a_gpu_that_is_not_there), cmocka_unit_test(test_a_gpu_of_another_kind), cmocka_unit_test(test_plans_share_weights_on_a_gpu),
		cmocka_unit_test(test_loads_leave_nothing_on_a_gpu), cmocka_unit_test(test_each_call_fails_with_a_gpu),
		cmocka_unit_test(test_each_allocation_fails_with_a_gpu), cmocka_unit_test(test_a_full_gpu),
	};
	return cmocka_run_group_tests(tests, open_gpus, NULL);
}
