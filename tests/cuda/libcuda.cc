/* libcuda.cc -- a CUDA driver with devices of its own: memory is the host's, kernels are C++. Those of op libraries are functions of the
 * library named by EMULATED_KERNELS; those of plans are their program's text, which libnvrtc.c hands on as machine code and which is
 * compiled here with emulate.h. Threads of a cluster are contexts that take turns; one that waits lets the next go on.
 *
 * It refuses what a launch or a capture must not do, and handles in the wrong context. Memory begins as NaN, ends the process when something
 * is written beside it, and can be touched by nobody but copies and kernels of its own device.
 * EMULATED_ARCH=75,80 is the compute capability (90), the last one told that of the devices behind, EMULATED_MEMORY=N the bytes that each
 * device has, EMULATED_DEVICES=2 how many there are. With EMULATED_CLOCK=1 a kernel takes a millisecond, and what another library does nothing.
 * EMULATED_RIGHT=A EMULATED_WRONG=B: a kernel whose text has A has B there instead. */
#include <chrono>
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <regex>
#include <functional>
#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

#include "emulate.h"           /* its macros would break the headers above */
#include "cuda/igemm_args.h"

emulated_index threadIdx, blockIdx, blockDim, gridDim;
float emulated_slot[EMULATED_THREADS];
unsigned emulated_thread, emulated_words[EMULATED_THREADS][8];

enum { INVALID = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 101, WRONG_CONTEXT = 201, CAPTURING = 900, NOT_FOUND = 500, STACK = 1 << 17, WARP = 32, GUARD = 256, BARRIERS = 16, RELAXED = 2 };

enum { MOST_SHARED = 227 << 10 };

struct function { void (*call)(const void *argument); size_t argument; bool waits; unsigned cluster; int device; };
struct module { void *library; std::string text; int device; };
/* what NULL: work of another library, of which the argument is `other`'s */
struct launch { const function *what; emulated_index grid, block; unsigned shared, cluster; std::vector<char> argument; void (*other)(const void *); int device; };
struct graph { std::vector<launch> launches; int device; };
struct stream { graph *captured; int device; };
struct event { double ms; };

static std::recursive_mutex lock;        /* the device does one thing at a time */
static long kernels_run;
static thread_local int captures;        /* going on in this thread */
static thread_local int mode;            /* of captures; RELAXED: the thread may do what they forbid */

/* ---- devices ----------------------------------------------------------------------------------- */

enum { MOST_DEVICES = 8 };
static const size_t ROOM = (size_t)4 << 30;
static struct device {
	char *memory;                          /* ROOM bytes of addresses, shut while neither a copy nor a kernel is at work */
	int open;
	std::map<uintptr_t, size_t> live;      /* bytes from each start */
	size_t used;
} devices[MOST_DEVICES];
static thread_local int current = -1;    /* device whose context it is */

static int count_devices()
{
	const char *told = getenv("EMULATED_DEVICES");
	return told ? atoi(told) : 1;
}

/* The device that has this memory; -1: it is the host's. */
static int device_of(uint64_t p)
{
	for (int k = 0; k < MOST_DEVICES; k++)
		if (devices[k].memory && p >= (uintptr_t)devices[k].memory && p < (uintptr_t)devices[k].memory + ROOM) return k;
	return -1;
}

/* Opens a device's memory while it lives. */
struct opened {
	const int k;
	opened(int device) : k(device) { if (k >= 0 && devices[k].open++ == 0) mprotect(devices[k].memory, ROOM, PROT_READ | PROT_WRITE); }
	~opened() { if (k >= 0 && --devices[k].open == 0) mprotect(devices[k].memory, ROOM, PROT_NONE); }
};

/* ---- threads of a cluster --------------------------------------------------------------------- */

struct thread { ucontext_t context; char *stack; bool done; emulated_index index, block; };
struct group { unsigned members, arrived; long turn; };
static std::vector<thread> threads;
static std::vector<group> warps, blocks, barriers;           /* barriers: those that have numbers, of each block */
static group cluster;
static unsigned block_threads;
static std::vector<std::vector<float4>> memory;              /* of each block of the cluster */
static ucontext_t scheduler;
static const launch *running;

static void call(const launch *l)
{
	alignas(64) static char argument[8192];
	memcpy(argument, l->argument.data(), l->argument.size());
	l->what->call(argument);
}

static group &group_of(int who)
{
	return who == EMULATED_WARP ? warps[emulated_thread / WARP] : who == EMULATED_BLOCK ? blocks[emulated_thread / block_threads] : cluster;
}

static void release(group &g)
{
	if (g.arrived < g.members) return;
	g.arrived = 0;
	g.turn++;
}

extern "C" void emulated_wait(int who)
{
	group &g = group_of(who);
	const long turn = g.turn;
	g.arrived++;
	release(g);
	while (g.turn == turn) emulated_yield();
}

extern "C" void emulated_yield() { swapcontext(&threads[emulated_thread].context, &scheduler); }

extern "C" void emulated_bar(int barrier, int members, bool waits)
{
	group &g = barriers[emulated_thread / block_threads * BARRIERS + barrier];
	const long turn = g.turn;
	g.members = members;
	g.arrived++;
	release(g);
	while (waits && g.turn == turn) emulated_yield();
}

extern "C" void *emulated_memory() { return memory[emulated_thread / block_threads].data(); }

extern "C" void *emulated_shared(unsigned address, unsigned bytes)
{
	const unsigned rank = address >> 24, at = address & 0xffffff;
	if (rank > memory.size() || at + bytes > running->shared) {
		fprintf(stderr, "emulated device: byte %u of %u of shared memory\n", at, running->shared);
		abort();
	}
	return (char *)memory[rank ? rank - 1 : emulated_thread / block_threads].data() + at;
}

static void begin_thread()
{
	call(running);
	threads[emulated_thread].done = true;
	for (int who : { EMULATED_WARP, EMULATED_BLOCK, EMULATED_CLUSTER }) {
		group_of(who).members--;
		release(group_of(who));
	}
}

/* All threads of `n` neighbouring blocks, the first of which is `first`. */
static void run_cluster(const launch *l, emulated_index first, unsigned n)
{
	running = l;
	block_threads = l->block.x * l->block.y * l->block.z;
	while (threads.size() < n * block_threads) threads.push_back({ {}, (char *)malloc(STACK), false, {}, {} });
	warps.assign(n * block_threads / WARP + 1, {});
	blocks.assign(n, {});
	barriers.assign(n * BARRIERS, {});
	cluster = {};
	memory.assign(n, std::vector<float4>(l->shared / sizeof(float4) + 1, float4 { NAN, NAN, NAN, NAN }));
	for (emulated_thread = 0; emulated_thread < n * block_threads; emulated_thread++) {
		thread &t = threads[emulated_thread];
		const unsigned k = emulated_thread % block_threads;
		for (int who : { EMULATED_WARP, EMULATED_BLOCK, EMULATED_CLUSTER }) group_of(who).members++;
		t.done = false;
		t.index = { k % l->block.x, k / l->block.x % l->block.y, k / l->block.x / l->block.y };
		t.block = { first.x + emulated_thread / block_threads, first.y, first.z };
		getcontext(&t.context);
		t.context.uc_stack.ss_sp = t.stack;
		t.context.uc_stack.ss_size = STACK;
		t.context.uc_link = &scheduler;
		makecontext(&t.context, begin_thread, 0);
	}
	for (bool left = true; left;) {
		left = false;
		for (emulated_thread = 0; emulated_thread < n * block_threads; emulated_thread++) {
			if (threads[emulated_thread].done) continue;
			left = true;
			threadIdx = threads[emulated_thread].index;
			blockIdx = threads[emulated_thread].block;
			swapcontext(&scheduler, &threads[emulated_thread].context);
		}
	}
}

static void run(const launch &l)
{
	const opened here(l.device);
	if (!l.what) {
		l.other(l.argument.data());
		return;
	}
	kernels_run++;
	gridDim = l.grid;
	blockDim = l.block;
	for (unsigned z = 0; z < l.grid.z; z++)
		for (unsigned y = 0; y < l.grid.y; y++)
			for (unsigned x = 0; x < l.grid.x; x += l.cluster) {
				if (l.what->waits) {
					run_cluster(&l, { x, y, z }, l.cluster);
					continue;
				}
				blockIdx = { x, y, z };
				for (unsigned k = 0; k < l.block.x; k++) {
					threadIdx = { k, 0, 0 };
					call(&l);
				}
			}
}

static int capability(int device)
{
	const char *told = getenv("EMULATED_ARCH");
	for (const char *next; told && device-- > 0 && (next = strchr(told, ','));) told = next + 1;
	return told ? atoi(told) : 90;
}

/* ---- modules ---------------------------------------------------------------------------------- */

/* Folder of this library, where its headers are too. */
static std::string folder()
{
	Dl_info here;
	dladdr((void *)folder, &here);
	std::string path = here.dli_fname;
	return path.substr(0, path.rfind('/'));
}

/* The program of a plan as a library: compiled once for each text. */
static void *compile(std::string text)
{
	const char *right = getenv("EMULATED_RIGHT"), *wrong = getenv("EMULATED_WRONG");
	const size_t at = right && wrong ? text.find(right) : std::string::npos;
	if (at != std::string::npos) text.replace(at, strlen(right), wrong);
	const std::string home = folder(), path = home + "/" + std::to_string(std::hash<std::string>()(text)), source = path + ".cc";
	if (void *known = dlopen((path + ".so").c_str(), RTLD_NOW | RTLD_LOCAL)) return known;
	const std::string made = path + "." + std::to_string(getpid());
	const std::string body = std::regex_replace(text, std::regex("extern __shared__ (?:__align__\\(\\d+\\) )?([\\w ]+) (\\w+)\\[\\];"),
	                                            "$1 *$2 = ($1 *)emulated_memory();");
	FILE *f = fopen(source.c_str(), "w");
	fprintf(f, "#include \"emulate.h\"\n%s", body.c_str());
	fclose(f);
	const std::string command = home + "/compile " + home + " " + source + " " + made + " -D__CUDA_ARCH__=" + std::to_string(capability(current) * 10) +
	                            " && mv " + made + " " + path + ".so";
	return system(command.c_str()) == 0 ? dlopen((path + ".so").c_str(), RTLD_NOW | RTLD_LOCAL) : NULL;
}

/* What is behind `before` in the kernel's head, up to `end`; "" when it is not there. */
static std::string head_of(const module *m, const std::string &name, const std::string &pattern)
{
	std::smatch found;
	const size_t at = m->text.find(" " + name + "("), line = at == std::string::npos ? at : m->text.rfind("__global__", at);
	if (line == std::string::npos) return "";
	const std::string head = m->text.substr(line, m->text.find(')', at) - line);
	return std::regex_search(head, found, std::regex(pattern)) ? found[1].str() : "";
}

static function *find(const module *m, const char *name)
{
	const std::string head = head_of(m, name, "(\\w+)").empty() ? "igemm" : name;         /* a program of its own, whose kernel a macro names */
	const std::string blocks = head_of(m, head, "__cluster_dims__\\((\\d+)");
	void *code = dlsym(m->library, (std::string(name) + "_call").c_str()), *bytes = dlsym(m->library, (std::string(name) + "_bytes").c_str());
	if (!code || !bytes) return NULL;
	const bool waits = !m->text.empty() || strstr(name, "_warp_") || strstr(name, "_block_") || strstr(name, "_columns_");
	return new function { (void (*)(const void *))code, *(const unsigned long *)bytes, waits, blocks.empty() ? 1 : (unsigned)std::stoul(blocks), m->device };
}

/* ---- memory ----------------------------------------------------------------------------------- */

static size_t memory_bytes()
{
	const char *told = getenv("EMULATED_MEMORY");
	return told ? strtoull(told, NULL, 10) : (size_t)4 << 30;
}

static void check_guards(const char *p, size_t n)
{
	for (int k = 0; k < GUARD; k++)
		if (p[-1 - k] != 0x5a || p[n + k] != 0x5a) {
			fprintf(stderr, "emulated device: something was written beside a block of %zu bytes\n", n);
			abort();
		}
}

/* A start for n bytes with guards around them, in the first gap that has the room. */
static char *place(const device &d, size_t n)
{
	uintptr_t at = (uintptr_t)d.memory + GUARD;
	for (const auto &block : d.live) {
		if (block.first - GUARD >= at + n + GUARD) break;
		at = (block.first + block.second + 3 * GUARD - 1) / GUARD * GUARD;
	}
	return at + n + GUARD > (uintptr_t)d.memory + ROOM ? NULL : (char *)at;
}

/* ---- the driver ------------------------------------------------------------------------------- */

#define API extern "C" __attribute__((visibility("default"))) int
#define ALONE const std::lock_guard<std::recursive_mutex> alone(lock)

static int contexts[MOST_DEVICES];       /* their addresses are some */

API cuInit(unsigned) { return 0; }
API cuGetErrorString(int error, const char **text)
{
	*text = error == CAPTURING ? "not while a stream is being captured" : error == NOT_FOUND ? "not found" : error == OUT_OF_MEMORY ? "out of memory" :
	        error == NO_DEVICE ? "no such device" : error == WRONG_CONTEXT ? "another context's" : "emulated error";
	return 0;
}
API cuDeviceGetCount(int *n) { *n = count_devices(); return 0; }
API cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal < count_devices() ? 0 : NO_DEVICE; }
API cuDeviceGetName(char *name, int n, int) { strncpy(name, "Emulated device", n); return 0; }
API cuDeviceGetAttribute(int *value, int attribute, int device)
{
	*value = attribute == 75 ? capability(device) / 10 : attribute == 76 ? capability(device) % 10 : attribute == 16 ? 4 : MOST_SHARED;
	return 0;
}
API cuDevicePrimaryCtxRetain(void **c, int device)
{
	ALONE;
	*c = &contexts[device];
	if (!devices[device].memory) devices[device].memory = (char *)mmap(NULL, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return devices[device].memory == MAP_FAILED ? OUT_OF_MEMORY : 0;
}
API cuCtxSetCurrent(void *c) { current = c ? (int)((int *)c - contexts) : -1; return 0; }
API cuCtxGetCurrent(void **c) { *c = current < 0 ? NULL : &contexts[current]; return 0; }
API cuCtxGetDevice(int *device) { *device = current; return current < 0 ? WRONG_CONTEXT : 0; }
API cuCtxSynchronize() { return captures ? CAPTURING : 0; }
API cuModuleLoadData(void **out, const void *image)
{
	ALONE;
	if (captures) return CAPTURING;
	const char *kernels = getenv("EMULATED_KERNELS");
	void *library = kernels ? dlopen(kernels, RTLD_NOW | RTLD_LOCAL) : compile((const char *)image);
	if (!library) return NOT_FOUND;
	*out = new module { library, kernels ? "" : (const char *)image, current };
	return 0;
}
API cuModuleUnload(void *m) { delete (module *)m; return 0; }
API cuModuleGetFunction(void **f, void *m, const char *name)
{
	ALONE;
	*f = find((const module *)m, name);
	return *f ? 0 : NOT_FOUND;
}
API cuFuncGetAttribute(int *value, int attribute, void *) { *value = attribute == 4 ? 32 : 0; return 0; }
API cuFuncSetAttribute(void *, int, int value) { return value > MOST_SHARED ? INVALID : 0; }
static void put(const launch &l, void *s)
{
	if (s && ((stream *)s)->captured) ((stream *)s)->captured->launches.push_back(l);
	else run(l);
}

static int start(launch l, void **arguments, void *s)
{
	ALONE;
	const unsigned threads = l.block.x * l.block.y * l.block.z;
	if (!l.grid.x || !l.grid.y || !l.grid.z || l.grid.y > 65535 || l.grid.z > 65535 || !threads || threads > 1024 || l.grid.x % l.cluster || l.what->argument > 8192 ||
	    l.shared > MOST_SHARED)
		return INVALID;
	if (l.device != current || (s && ((stream *)s)->device != current)) return WRONG_CONTEXT;
	l.argument.assign((char *)arguments[0], (char *)arguments[0] + l.what->argument);
	put(l, s);
	return 0;
}

API cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *s, void **arguments,
                   void **)
{
	return start({ (const function *)f, { gx, gy, gz }, { bx, by, bz }, shared, ((const function *)f)->cluster, {}, NULL, ((const function *)f)->device }, arguments, s);
}

/* As the reference of cuLaunchKernelEx has CUlaunchConfig and CUlaunchAttribute. */
enum { CLUSTER_DIMENSION = 4 };
struct launch_attribute { unsigned id, pad; union { char bytes[64]; unsigned words[3]; } value; };
struct launch_config { unsigned grid[3], block[3], shared; void *stream; const launch_attribute *attributes; unsigned n_attributes; };

API cuLaunchKernelEx(const launch_config *l, void *f, void **arguments, void **)
{
	launch made = { (const function *)f, { l->grid[0], l->grid[1], l->grid[2] }, { l->block[0], l->block[1], l->block[2] }, l->shared, 1, {}, NULL, ((const function *)f)->device };
	for (unsigned k = 0; k < l->n_attributes; k++)
		if (l->attributes[k].id == CLUSTER_DIMENSION) made.cluster = l->attributes[k].value.words[0];
	return start(made, arguments, l->stream);
}

/* Work of another library: runs, or becomes a part of the graph that is being captured. */
extern "C" __attribute__((visibility("default"))) void emulated_put(void *s, void (*other)(const void *), const void *argument, size_t bytes)
{
	ALONE;
	put({ NULL, {}, {}, 0, 1, std::vector<char>((const char *)argument, (const char *)argument + bytes), other, current }, s);
}

/* ---- tensor maps ------------------------------------------------------------------------------ */

static int element_size(int type) { return type == 7 || type == EMULATED_TF32 ? 4 : 2; }      /* of the types that our kernels use */

/* What the reference of cuTensorMapEncodeTiled and cuTensorMapEncodeIm2col asks of both. */
static int encode(void *map, int type, unsigned rank, void *at, const uint64_t *dims, const uint64_t *strides, unsigned wide, unsigned high, int interleave,
                  int swizzle)
{
	emulated_map m = { (char *)at, rank, (unsigned)element_size(type), { wide, high }, type, {}, {}, { 1, 1 }, {}, {} };
	if ((uintptr_t)at % 16 || (uintptr_t)map % 64 || rank < 2 || interleave || swizzle != 3 || wide * m.size != 128 || high == 0) return INVALID;
	for (unsigned k = 0; k < rank; k++) {
		m.dims[k] = (uint32_t)dims[k];
		if (!dims[k] || dims[k] > UINT32_MAX || (k + 1 < rank && (strides[k] % 16 || strides[k] > UINT32_MAX))) return INVALID;
		if (k + 1 < rank) m.strides[k] = (uint32_t)strides[k];
	}
	static_assert(sizeof m <= IGEMM_MAP_WORDS * 8);
	memcpy(map, &m, sizeof m);
	return 0;
}

API cuTensorMapEncodeTiled(void *map, int type, unsigned rank, void *at, const uint64_t *dims, const uint64_t *strides, const unsigned *box,
                           const unsigned *steps, int interleave, int swizzle, int, int)
{
	return rank != 2 || box[1] > 256 || steps[0] != 1 || steps[1] != 1 ? INVALID : encode(map, type, rank, at, dims, strides, box[0], box[1], interleave, swizzle);
}
API cuTensorMapEncodeIm2col(void *map, int type, unsigned rank, void *at, const uint64_t *dims, const uint64_t *strides, const int *lower, const int *upper,
                            unsigned channels, unsigned pixels, const unsigned *steps, int interleave, int swizzle, int, int)
{
	emulated_map *m = (emulated_map *)map;
	if (rank != 4 || channels > 256 || pixels > 1024 || steps[0] != 1 || steps[1] > 8 || steps[2] > 8) return INVALID;
	for (int k = 0; k < 2; k++)
		if (lower[k] < -128 || lower[k] > 127 || upper[k] < -128 || upper[k] > 127) return INVALID;
	if (encode(map, type, rank, at, dims, strides, channels, pixels, interleave, swizzle)) return INVALID;
	for (int k = 0; k < 2; k++) {
		m->lower[k] = lower[k];
		m->upper[k] = upper[k];
		m->steps[k] = (int)steps[k + 1];
	}
	return 0;
}

/* ---- memory and streams ----------------------------------------------------------------------- */

API cuMemGetInfo_v2(size_t *is_free, size_t *total) { *total = memory_bytes(); *is_free = *total - std::min(*total, devices[current].used); return 0; }
API cuMemAlloc_v2(uint64_t *p, size_t n)
{
	ALONE;
	const bool forbidden = captures && mode != RELAXED;
	if (forbidden || current < 0) return forbidden ? CAPTURING : WRONG_CONTEXT;
	device &d = devices[current];
	char *at = d.used + n > memory_bytes() ? NULL : place(d, n);
	if (!at) return OUT_OF_MEMORY;
	const opened here(current);
	memset(at - GUARD, 0x5a, GUARD);
	memset(at, 0xff, n);
	memset(at + n, 0x5a, GUARD);
	d.live[(uintptr_t)at] = n;
	d.used += n;
	*p = (uint64_t)at;
	return 0;
}
API cuMemFree_v2(uint64_t p)
{
	ALONE;
	const int k = device_of(p);
	const bool forbidden = captures && mode != RELAXED;
	if (forbidden || k < 0 || !devices[k].live.count(p)) return forbidden ? CAPTURING : INVALID;
	const opened here(k);
	check_guards((char *)p, devices[k].live[p]);
	devices[k].used -= devices[k].live[p];
	devices[k].live.erase(p);
	return 0;
}
API cuMemHostAlloc(void **p, size_t n, unsigned) { *p = malloc(n); return captures ? CAPTURING : 0; }
API cuMemFreeHost(void *p) { free(p); return 0; }
API cuPointerGetAttribute(void *value, int attribute, uint64_t p)
{
	ALONE;
	const int k = device_of(p);
	if (k < 0) return INVALID;
	auto at = devices[k].live.upper_bound(p);
	if (at == devices[k].live.begin() || p >= (--at)->first + at->second) return INVALID;
	*(unsigned *)value = attribute == 9 ? k : 2;
	return 0;
}
static uint64_t copied[2];               /* bytes to or from the host; on devices and between them */

/* What a test asks. */
extern "C" __attribute__((visibility("default"))) uint64_t emulated_copied(int on_devices) { return copied[on_devices]; }
extern "C" __attribute__((visibility("default"))) size_t emulated_used(int k) { return devices[k].used; }

static int move(uint64_t to, uint64_t from, size_t n)
{
	ALONE;
	const opened a(device_of(to)), b(device_of(from));
	memmove((void *)to, (void *)from, n);
	copied[a.k >= 0 && b.k >= 0] += n;
	return 0;
}
API cuMemsetD8_v2(uint64_t p, unsigned char value, size_t n)
{
	ALONE;
	const opened here(device_of(p));
	memset((void *)p, value, n);
	return 0;
}
API cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t n) { return move(to, (uint64_t)from, n); }
API cuMemcpyDtoH_v2(void *to, uint64_t from, size_t n) { return move((uint64_t)to, from, n); }
API cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t n, void *) { return move(to, from, n); }
API cuMemcpyAsync(uint64_t to, uint64_t from, size_t n, void *s)
{
	ALONE;
	if (s && ((stream *)s)->captured) return CAPTURING;
	return s && ((stream *)s)->device != current ? WRONG_CONTEXT : move(to, from, n);
}
API cuThreadExchangeStreamCaptureMode(int *with) { std::swap(*with, mode); return 0; }
API cuStreamCreate(void **s, unsigned) { *s = new stream { NULL, current }; return 0; }
API cuStreamDestroy_v2(void *s) { delete (stream *)s; return 0; }
API cuStreamSynchronize(void *s) { return s && ((stream *)s)->captured ? CAPTURING : 0; }
API cuStreamIsCapturing(void *s, int *state) { *state = s && ((stream *)s)->captured; return 0; }
API cuStreamBeginCapture_v2(void *s, int) { ((stream *)s)->captured = new graph { {}, current }; captures++; return 0; }
API cuStreamEndCapture(void *s, void **g) { *g = ((stream *)s)->captured; ((stream *)s)->captured = NULL; captures--; return 0; }
API cuGraphInstantiateWithFlags(void **executable, void *g, unsigned long long) { *executable = new graph(*(graph *)g); return 0; }
API cuGraphLaunch(void *g, void *s)
{
	ALONE;
	if (s && ((stream *)s)->captured) return CAPTURING;
	if (((graph *)g)->device != current || (s && ((stream *)s)->device != current)) return WRONG_CONTEXT;
	for (const launch &l : ((graph *)g)->launches) run(l);
	return 0;
}
API cuGraphExecDestroy(void *g) { delete (graph *)g; return 0; }
API cuGraphDestroy(void *g) { delete (graph *)g; return 0; }
API cuEventCreate(void **e, unsigned) { *e = new event; return 0; }
API cuEventDestroy_v2(void *e) { delete (event *)e; return 0; }
API cuEventRecord(void *e, void *)
{
	ALONE;
	((event *)e)->ms = getenv("EMULATED_CLOCK") ? (double)kernels_run :
		std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
	return 0;
}
API cuEventSynchronize(void *) { return 0; }
API cuEventElapsedTime(float *ms, void *from, void *to)
{
	*ms = (float)(((event *)to)->ms - ((event *)from)->ms);
	return 0;
}
