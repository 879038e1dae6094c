/* libcuda.cc -- a CUDA driver with a device of its own: memory is the host's, kernels are functions of the library named by
 * EMULATED_KERNELS, compiled with emulate.h. Threads of a block are contexts that take turns; one that waits lets the next go on. It
 * refuses what a launch or a capture must not do. */
#include "emulate.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <ucontext.h>
#include <vector>

#include "opgraft/device.h"

emulated_index threadIdx, blockIdx, blockDim, gridDim;
float emulated_slot[1024];

enum { INVALID = 1, OUT_OF_MEMORY = 2, CAPTURING = 900, NOT_FOUND = 500, STACK = 1 << 16, WARP = 32 };

struct launch { void *function; emulated_index grid, block; std::vector<char> arguments; bool is_map; };
struct function { void *code; bool is_map, waits; };
struct graph { std::vector<launch> launches; };

static std::vector<graph *> capture;     /* the one going on, or none */
static long live;                        /* blocks of memory */

/* ---- threads of a block ----------------------------------------------------------------------- */

struct thread { ucontext_t context; char *stack; bool done; emulated_index index; };
struct group { unsigned members, arrived; long turn; };      /* a warp, or (the last one) the block */
static std::vector<thread> threads;
static group groups[1024 / WARP + 1];
static ucontext_t scheduler;
static unsigned current;
static const launch *running;

static void call(const launch *l)
{
	if (l->is_map) ((void (*)(const og_map_call))l->function)(*(const og_map_call *)l->arguments.data());
	else ((void (*)(const og_device_call))l->function)(*(const og_device_call *)l->arguments.data());
}

static void release(group &g)
{
	if (g.arrived < g.members) return;
	g.arrived = 0;
	g.turn++;
}

extern "C" void emulated_wait(bool warp)
{
	group &g = groups[warp ? current / WARP : 1024 / WARP];
	const long turn = g.turn;
	g.arrived++;
	release(g);
	while (g.turn == turn) swapcontext(&threads[current].context, &scheduler);
}

static void begin_thread()
{
	call(running);
	threads[current].done = true;
	for (group *g : { &groups[current / WARP], &groups[1024 / WARP] }) {
		g->members--;
		release(*g);
	}
}

static void run_block(const launch *l)
{
	running = l;
	memset(groups, 0, sizeof groups);
	for (unsigned k = 0; k < threads.size(); k++) {
		thread &t = threads[k];
		t.done = false;
		groups[k / WARP].members++;
		groups[1024 / WARP].members++;
		t.index = { k % l->block.x, k / l->block.x % l->block.y, k / l->block.x / l->block.y };
		getcontext(&t.context);
		t.context.uc_stack.ss_sp = t.stack;
		t.context.uc_stack.ss_size = STACK;
		t.context.uc_link = &scheduler;
		makecontext(&t.context, begin_thread, 0);
	}
	for (bool left = true; left;) {
		left = false;
		for (current = 0; current < threads.size(); current++) {
			if (threads[current].done) continue;
			left = true;
			threadIdx = threads[current].index;
			swapcontext(&scheduler, &threads[current].context);
		}
	}
}

static void run(const launch &l, bool waits)
{
	gridDim = l.grid;
	blockDim = l.block;
	if (waits) {
		threads.resize((size_t)l.block.x * l.block.y * l.block.z);
		for (thread &t : threads)
			if (!t.stack) t.stack = (char *)malloc(STACK);
	}
	for (unsigned z = 0; z < l.grid.z; z++)
		for (unsigned y = 0; y < l.grid.y; y++)
			for (unsigned x = 0; x < l.grid.x; x++) {
				blockIdx = { x, y, z };
				if (waits) { run_block(&l); continue; }
				for (unsigned k = 0; k < l.block.x; k++) {
					threadIdx = { k, 0, 0 };
					call(&l);
				}
			}
}

/* ---- the driver ------------------------------------------------------------------------------- */

#define API extern "C" __attribute__((visibility("default"))) int

static int context;                      /* its address is one */
static bool current_context;

API cuInit(unsigned) { return 0; }
API cuGetErrorString(int error, const char **text)
{
	*text = error == CAPTURING ? "not while a stream is being captured" : error == NOT_FOUND ? "not found" : "emulated error";
	return 0;
}
API cuDeviceGet(int *device, int) { *device = 0; return 0; }
API cuDeviceGetName(char *name, int n, int) { strncpy(name, "Emulated device", n); return 0; }
API cuDeviceGetAttribute(int *value, int attribute, int)
{
	*value = attribute == 75 ? 9 : attribute == 76 ? 0 : attribute == 16 ? 4 : 99 << 10;
	return 0;
}
API cuDevicePrimaryCtxRetain(void **c, int) { *c = &context; return 0; }
API cuCtxSetCurrent(void *c) { current_context = c; return 0; }
API cuCtxGetCurrent(void **c) { *c = current_context ? &context : NULL; return 0; }
API cuCtxGetDevice(int *device) { *device = 0; return 0; }
API cuCtxSynchronize() { return capture.empty() ? 0 : CAPTURING; }
API cuModuleLoadData(void **module, const void *)
{
	*module = capture.empty() ? dlopen(getenv("EMULATED_KERNELS"), RTLD_NOW | RTLD_LOCAL) : NULL;
	return *module ? 0 : NOT_FOUND;
}
API cuModuleUnload(void *) { return 0; }
API cuModuleGetFunction(void **f, void *module, const char *name)
{
	void *code = dlsym(module, name);
	if (!code) return NOT_FOUND;
	*f = new function { code, !strncmp(name, "og_", 3), strstr(name, "_warp_") || strstr(name, "_block_") || strstr(name, "_columns_") };
	return 0;
}
API cuFuncGetAttribute(int *value, int, void *) { *value = 32; return 0; }
API cuFuncSetAttribute(void *, int, int) { return 0; }
API cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned, void *, void **arguments,
                   void **)
{
	const function *fn = (const function *)f;
	if (!gx || !gy || !gz || bx * by * bz == 0 || bx * by * bz > 1024) return INVALID;
	const size_t n = fn->is_map ? sizeof(og_map_call) : sizeof(og_device_call);
	launch l = { fn->code, { gx, gy, gz }, { bx, by, bz }, std::vector<char>((char *)arguments[0], (char *)arguments[0] + n), fn->is_map };
	if (capture.empty()) run(l, fn->waits);
	else capture[0]->launches.push_back({ f, l.grid, l.block, l.arguments, l.is_map });
	return 0;
}
API cuMemGetInfo_v2(size_t *is_free, size_t *total) { *is_free = *total = 0; return 0; }
API cuMemAlloc_v2(uint64_t *p, size_t n)
{
	if (!capture.empty()) return CAPTURING;
	*p = (uint64_t)aligned_alloc(256, (n + 255) & ~(size_t)255);
	live++;
	return *p ? 0 : OUT_OF_MEMORY;
}
API cuMemFree_v2(uint64_t p) { free((void *)p); live--; return capture.empty() ? 0 : CAPTURING; }
API cuMemsetD8_v2(uint64_t p, unsigned char value, size_t n) { memset((void *)p, value, n); return 0; }
API cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t n) { memcpy((void *)to, from, n); return 0; }
API cuMemcpyDtoH_v2(void *to, uint64_t from, size_t n) { memcpy(to, (void *)from, n); return 0; }
API cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t n, void *) { memmove((void *)to, (void *)from, n); return 0; }
API cuStreamCreate(void **s, unsigned) { *s = &context; return 0; }
API cuStreamDestroy_v2(void *) { return 0; }
API cuStreamSynchronize(void *) { return capture.empty() ? 0 : CAPTURING; }
API cuStreamBeginCapture_v2(void *, int) { capture.push_back(new graph); return 0; }
API cuStreamEndCapture(void *, void **g) { *g = capture[0]; capture.clear(); return 0; }
API cuGraphInstantiateWithFlags(void **executable, void *g, unsigned long long) { *executable = g; return 0; }
API cuGraphLaunch(void *g, void *)
{
	for (const launch &l : ((graph *)g)->launches) {
		const function *fn = (const function *)l.function;
		launch real = l;
		real.function = fn->code;
		run(real, fn->waits);
	}
	return 0;
}
API cuGraphExecDestroy(void *) { return 0; }
API cuGraphDestroy(void *g) { delete (graph *)g; return 0; }
