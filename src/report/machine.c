/* machine.c -- what is here: ops, processor, vendor libraries. */
#include <dlfcn.h>
#include <unistd.h>

#include "base/json.h"
#include "cpu/cpu.h"
#include "cuda/cuda.h"
#include "cuda/nvrtc.h"
#include "cuda/vendor.h"
#include "opgraft.h"
#include "plan/plan.h"
#include "run/session.h"
#include "schema/schema.h"

size_t og_op_count(void) { return schema_count(); }

og_status og_op_at(size_t k, og_op_info *out)
{
	if (k >= schema_count()) return base_fail(OG_USAGE, "there is no op number %zu", k);
	const og_op *op = schema_at(k);
	*out = (og_op_info){ .name = op->name, .domain = schema_domain(op), .since = op->since,
	                     .doc = op->doc ? op->doc : "", .types = op->types ? op->types : "", .inputs = op->inputs ? op->inputs : "",
	                     .outputs = op->outputs ? op->outputs : "", .elementwise = op->map[OG_ISA_SCALAR] != NULL };
	return OG_OK;
}

const char *og_cpu_level(void) { return cpu_backend.features(); }
double og_cpu_peak(void) { return cpu_peak(cpu_kernels_here()); }

/* ---- vendor libraries ------------------------------------------------------------------------ */

typedef struct library {
	const char *what;
	const char *names[5];                /* tried in this order; NULL ends */
	const char *symbol;                  /* proves that it is the right one */
	const char *advice;                  /* when it is not found */
	const char *(*find)(arena *);        /* finds it, where those who use it do more than ask for names; NULL */
} library;

static const library libraries[] = {
	{ "CUDA driver", { "libcuda.so.1" }, "cuInit", "needed to run on an NVIDIA GPU: install its driver", NULL },
	{ "NVRTC", { NULL }, NULL, "compiles kernels: pip install nvidia-cuda-nvrtc, or the CUDA toolkit", nvrtc_find },
	{ "cuDNN", { NULL }, "cudnnGetVersion", "optional: pip install nvidia-cudnn-cu13", vendor_find_cudnn },
	{ "cuBLASLt", { NULL }, "cublasLtGetVersion", "optional: pip install nvidia-cublas", vendor_find_cublas },
	{ "TensorRT", { "libnvinfer.so.11", "libnvinfer.so.10", "libnvinfer.so", "libtensorrt_rtx.so" },
	  "getInferLibVersion",
	  "optional: runs grafted plugins", NULL },
	{ "ONNX Runtime", { "libonnxruntime.so.1", "libonnxruntime.so" }, "OrtGetApiBase",
	  "optional, to compare with: pip install onnxruntime", NULL },
};

/* Name under which a library loads and has its symbol; NULL when it does not. */
static const char *find_library(const library *l, arena *a)
{
	if (l->find) return l->find(a);
	for (int i = 0; i < 5 && l->names[i]; i++) {
		/* stays: vendors' libraries do not unload cleanly */
		void *handle = dlopen(l->names[i], RTLD_LAZY | RTLD_LOCAL);
		if (handle && dlsym(handle, l->symbol)) return l->names[i];
	}
	return NULL;
}

og_status og_device_ready(const char *name) { return session_ready(name, 0); }

static void machine_json(json *j, long threads, arena *a)
{
	char gpu[256];
	json_begin(j, '{');
	json_put_string(j, "version", og_version());
	json_put_string(j, "cpu_level", og_cpu_level());
	json_put_int(j, "processors", threads);
	json_key(j, "gpu");
	if (cuda_describe(gpu, sizeof gpu)) json_string(j, gpu);
	else json_null(j);
	json_put(j, "libraries", '{');
	for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
		const char *name = find_library(&libraries[i], a);
		json_key(j, libraries[i].what);
		if (name) json_string(j, name);
		else json_null(j);
	}
	json_end(j, '}');
	json_end(j, '}');
}

/* Of those that tell it: ", version 9.19.0"; "" otherwise. */
static const char *version_of(const library *l, const char *name, arena *a)
{
	void *handle = l->find && l->symbol ? dlopen(name, RTLD_LAZY | RTLD_LOCAL) : NULL;
	size_t (*get)(void) = NULL;
	if (handle) *(void **)&get = dlsym(handle, l->symbol);
	if (!get) return "";
	const size_t number = get();
	const char *made = arena_printf(a, ", version %zu.%zu.%zu", number / 10000, number / 100 % 100, number % 100);
	return made ? made : "";
}

static void machine_text(text *t, long threads, arena *a)
{
	char gpu[256];
	text_printf(t, "Opgraft %s\n  %-14s %s, %ld processor%s (OPGRAFT_ISA=scalar|avx2 lowers the level)\n",
	            og_version(), "CPU", og_cpu_level(), threads, threads == 1 ? "" : "s");
	text_printf(t, "  %-14s %s", "GPU", cuda_describe(gpu, sizeof gpu) ? "" : "none: ");
	text_printf(t, "%s\n", gpu);
	for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
		const library *l = &libraries[i];
		const char *name = find_library(l, a);
		text_printf(t, "  %-14s %s%s%s\n", l->what, name ? "" : "not found (",
		            name ? name : l->advice, name ? version_of(l, name, a) : ")");
	}
}

og_status og_doctor(char **out, og_format format)
{
	text t = { 0 };
	json j = { .need_comma = false };
	long threads = sysconf(_SC_NPROCESSORS_ONLN);
	arena *a = arena_create();
	*out = NULL;
	NEED(a);
	if (format == OG_JSON) machine_json(&j, threads, a);
	else machine_text(&t, threads, a);
	arena_destroy(a);
	*out = text_take(format == OG_JSON ? &j.out : &t);
	return *out ? OG_OK : base_no_memory();
}
