/* check_kernels.c -- do the CUDA kernels of an op library compute what its CPU code does, and how fast?
 *
 *     build/tools/check_kernels [--small] LIB.so...
 *
 * Every op with a CUDA form runs over sizes, broadcasts, unaligned and shared pointers, types and tactics, with
 * guard bands around outputs, inside a captured graph and on four streams at once. Formulas must give the CPU's bits
 * (NaN equal to NaN), kernels of other ops what eval gives within a tolerance. Then 64M elements are timed against a
 * copy by the driver. --small leaves out what is large, and the times. Output is Markdown. Exit status 0: all agree;
 * 1: some differ; 5: no driver or device. */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bridge/device.h"
#include "cuda/driver.h"
#include "opgraft/half.h"

enum { GUARD = 256, MOST_IN = 8, MOST_ATTRS = 16, STREAMS = 4, NO_DEVICE = 5, RUNS = 20, ROUNDS = 5 };
static const size_t TIMED = (size_t)64 << 20, PERIOD = (size_t)1 << 22;

const og_library og_op_library = { .abi = OG_OP_ABI };   /* this program's own: none */

static const driver_api *cuda;
static device_kernels *kernels;
static int isa;
static bool small;                       /* --small */
static const char *best;                 /* what the CPU did it with */

static _Noreturn void stop(int status, const char *what)
{
	fflush(stdout);
	fprintf(stderr, "check_kernels: %s\n", what);
	exit(status);
}

static void need(int error, const char *what)
{
	if (error) stop(1, driver_try(error, what) == OG_OK ? what : base_error());
}

static void need_ok(og_status status)
{
	if (status != OG_OK) stop(1, base_error());
}

static void *host_memory(size_t bytes)
{
	void *p = malloc(bytes ? bytes : 1);
	if (!p) stop(1, "there is no memory");
	return p;
}

static uint64_t device_memory(size_t bytes)
{
	uint64_t p = 0;
	need(cuda->cuMemAlloc_v2(&p, bytes), "allocating on the device");
	return p;
}

static void device_free(uint64_t p) { need(cuda->cuMemFree_v2(p), "freeing"); }

static const char *called(const og_op *op) { return op->called ? op->called : op->name; }

/* ---- values ----------------------------------------------------------------------------------- */

static uint64_t state = 1;
static uint32_t next_random(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 32);
}

/* Any bits, a quarter of them special values, or (`tame`) numbers from -4 to 4. */
static void fill(void *to, og_dtype t, size_t n, bool tame)
{
	static const float special[] = { 0.0f, -0.0f, 1.0f, -1.0f, INFINITY, -INFINITY, NAN, 0x1p-149f, -0x1p-126f,
	                                 0x1.fffffep127f, 0.5f, -3.0f };
	for (size_t i = 0; i < n; i++) {
		uint32_t bits = next_random();
		float f = og_bits_float(bits);
		if (tame) f = (float)(int32_t)bits * 0x1p-29f;
		else if (next_random() % 4 == 0) f = special[next_random() % (sizeof special / sizeof *special)];
		if (t == OG_F32) ((float *)to)[i] = f;
		else if (!tame && next_random() % 2) ((uint16_t *)to)[i] = (uint16_t)bits;
		else ((uint16_t *)to)[i] = t == OG_F16 ? og_float_to_half(f) : og_float_to_bfloat(f);
	}
}

static float get(const void *p, og_dtype t, size_t i)
{
	if (t == OG_BOOL) return ((const uint8_t *)p)[i];
	if (t == OG_F32) return ((const float *)p)[i];
	return t == OG_F16 ? og_half_to_float(((const uint16_t *)p)[i]) : og_bfloat_to_float(((const uint16_t *)p)[i]);
}

static void put(void *p, og_dtype t, size_t i, float f)
{
	if (t == OG_F32) ((float *)p)[i] = f;
	else ((uint16_t *)p)[i] = t == OG_F16 ? og_float_to_half(f) : og_float_to_bfloat(f);
}

/* ---- one call --------------------------------------------------------------------------------- */

typedef struct call {
	const library_op *l;
	og_attr_value attr[MOST_ATTRS];
	og_tensor t[MOST_IN], y;
	const og_tensor *in[MOST_IN];
	og_tensor *out[1];
	og_call c;
} call;

/* Takes the shapes in c->t; false when the op has no such call. */
static bool make_call(call *c, const library_op *l, int n_in)
{
	og_shape in[MOST_IN], out;
	c->l = l;
	for (int k = 0; k < n_in; k++) {
		in[k] = (og_shape){ .dtype = c->t[k].dtype, .rank = c->t[k].rank };
		memcpy(in[k].dims, c->t[k].dims, sizeof in[k].dims);
		c->in[k] = &c->t[k];
	}
	if (library_infer(l, c->attr, n_in, in, 1, &out) != OG_OK) return false;
	c->y = (og_tensor){ .dtype = out.dtype, .rank = out.rank };
	memcpy(c->y.dims, out.dims, sizeof out.dims);
	c->out[0] = &c->y;
	c->c = (og_call){ .host = &library_host, .op = l->op, .attr = c->attr, .n_in = n_in, .n_out = 1, .in = c->in,
	                  .out = c->out };
	return true;
}

/* Which element of x goes with element i of y. */
static size_t operand_at(const og_tensor *x, const og_tensor *y, size_t i)
{
	size_t at = 0, step = 1;
	for (int d = 0; d < y->rank; d++) {
		size_t size = (size_t)y->dims[y->rank - 1 - d], index = i % size;
		i /= size;
		if (d >= x->rank) continue;
		if (x->dims[x->rank - 1 - d] != 1) at += index * step;
		step *= (size_t)x->dims[x->rank - 1 - d];
	}
	return at;
}

/* What the CPU makes of it: y's data, in memory of its own. */
static void by_cpu(call *c)
{
	const og_op *op = c->l->op;
	size_t n = (size_t)og_count(&c->y);
	c->y.data = host_memory(n * og_dtype_bytes(c->y.dtype));
	if (!op->formula) {
		c->c.workspace = op->workspace ? host_memory(op->workspace(&c->c)) : NULL;
		need_ok(op->eval(&c->c));
		free(c->c.workspace);
		return;
	}
	float attr[OG_MAX_MAP_ATTRS], *x[OG_MAX_IN] = { NULL }, *y = host_memory(n * sizeof *y);
	for (int k = 0; k < op->map_attrs; k++) attr[k] = c->attr[k].f;
	for (int k = 0; k < op->map_inputs; k++) {
		x[k] = host_memory(n * sizeof *x[k]);
		for (size_t i = 0; i < n; i++)
			x[k][i] = k < c->c.n_in ? get(c->t[k].data, c->t[k].dtype, operand_at(&c->t[k], &c->y, i))
				: (float)c->l->in.arg[k].value;
	}
	op->map[isa](n, y, (const void *const *)x, attr);
	if (c->y.dtype == OG_BOOL) memcpy(c->y.data, y, n);
	else for (size_t i = 0; i < n; i++) put(c->y.data, c->y.dtype, i, y[i]);
	for (int k = 0; k < op->map_inputs; k++) free(x[k]);
	free(y);
}

/* Elements of [from, from + n) that differ; for kernels that are no formula, by more than a tolerance. */
static size_t count_differences(const call *c, const void *got, size_t n)
{
	const og_dtype t = c->y.dtype;
	const double tolerance = c->l->op->formula ? 0 : t == OG_F32 ? 2e-5 : t == OG_F16 ? 2e-3 : 1.6e-2;
	const size_t size = og_dtype_bytes(t);
	size_t differ = 0;
	for (size_t i = 0; i < n; i++) {
		if (!memcmp((const char *)got + i * size, (const char *)c->y.data + i * size, size)) continue;
		double a = (double)get(got, t, i), b = (double)get(c->y.data, t, i);
		if (isnan(a) && isnan(b)) continue;
		if (!(fabs(a - b) <= tolerance * (1 + fabs(b)))) differ++;
	}
	return differ;
}

/* ---- on the device ---------------------------------------------------------------------------- */

/* How a call is run: pointers moved on by some elements, output over input 0, in a captured graph. */
typedef struct way { int shift_in, shift_out; bool in_place, captured; } way;

typedef struct placed { uint64_t in[MOST_IN], block, y; size_t bytes; void *work; } placed;

/* Inputs on the device, and the output between guards; what is not written stays 0xa5. */
static void place(placed *p, const call *c, const way *w)
{
	*p = (placed){ .bytes = (size_t)og_count(&c->y) * og_dtype_bytes(c->y.dtype) };
	p->block = device_memory(p->bytes + 2 * GUARD + 64);
	need(cuda->cuMemsetD8_v2(p->block, 0xa5, p->bytes + 2 * GUARD + 64), "filling");
	p->y = p->block + GUARD + (uint64_t)w->shift_out * og_dtype_bytes(c->y.dtype);
	for (int k = 0; k < c->c.n_in; k++) {
		size_t size = og_dtype_bytes(c->t[k].dtype), bytes = (size_t)og_count(&c->t[k]) * size;
		bool over = w->in_place && k == 0;
		p->in[k] = over ? p->y : device_memory(bytes + 64) + (uint64_t)w->shift_in * size;
		if (bytes) need(cuda->cuMemcpyHtoD_v2(p->in[k], c->t[k].data, bytes), "copying to the device");
	}
	size_t workspace = device_workspace(c->l, &c->c, 0);
	if (workspace) p->work = (void *)(uintptr_t)device_memory(workspace);
	/* filling and copying may still be under way on the default stream, which the streams here do not wait for */
	need(cuda->cuCtxSynchronize(), "copying to the device");
}

static void unplace(const placed *p, const call *c, const way *w)
{
	for (int k = w->in_place; k < c->c.n_in; k++)
		device_free(p->in[k] - (uint64_t)w->shift_in * og_dtype_bytes(c->t[k].dtype));
	if (p->work) device_free((uint64_t)(uintptr_t)p->work);
	device_free(p->block);
}

static void launch(const device_step *s, const placed *p, void *stream)
{
	const void *in[MOST_IN];
	void *out[] = { (void *)(uintptr_t)p->y };
	for (int k = 0; k < s->n_in; k++) in[k] = (const void *)(uintptr_t)p->in[k];
	need_ok(device_launch(s, in, out, p->work, stream));
}

static void launch_captured(const device_step *s, const placed *p, void *stream)
{
	void *captured, *executable;
	need(cuda->cuStreamBeginCapture_v2(stream, 0), "capturing");
	launch(s, p, stream);
	need(cuda->cuStreamEndCapture(stream, &captured), "capturing");
	need(cuda->cuGraphInstantiateWithFlags(&executable, captured, 0), "capturing");
	for (int k = 0; k < 2; k++) need(cuda->cuGraphLaunch(executable, stream), "launching a graph");
	need(cuda->cuStreamSynchronize(stream), "running a graph");
	cuda->cuGraphExecDestroy(executable);
	cuda->cuGraphDestroy(captured);
}

/* Differences in what came out, a damaged guard counting as one. */
static size_t take_and_compare(const placed *p, const call *c, const way *w)
{
	size_t all = p->bytes + 2 * GUARD + 64, shift = GUARD + (size_t)w->shift_out * og_dtype_bytes(c->y.dtype);
	size_t differ = 0;
	unsigned char *got = host_memory(all);
	need(cuda->cuMemcpyDtoH_v2(got, p->block, all), "copying from the device");
	for (size_t i = 0; i < all; i++)
		if ((i < shift || i >= shift + p->bytes) && got[i] != 0xa5 && !differ) differ = 1;
	if (differ) printf("\n%s wrote outside its output\n", c->l->op->name);
	char *y = host_memory(p->bytes);
	memcpy(y, got + shift, p->bytes);
	differ += count_differences(c, y, (size_t)og_count(&c->y));
	free(y);
	free(got);
	return differ;
}

typedef struct score { size_t calls, wrong; } score;

static void say_wrong(const call *c, const way *w, int tactic, size_t differ)
{
	printf("\n%s differs in %zu of %lld elements, tactic %d, shift %d/%d%s%s,",
	       called(c->l->op), differ, (long long)og_count(&c->y), tactic, w->shift_in, w->shift_out,
	       w->in_place ? ", in place" : "", w->captured ? ", captured" : "");
	for (int k = 0; k < c->c.n_in; k++) {
		printf(" %s[", base_dtype_name(c->t[k].dtype));
		for (int d = 0; d < c->t[k].rank; d++) printf("%s%lld", d ? "," : "", (long long)c->t[k].dims[d]);
		printf("]");
	}
	printf("\n");
}

static void run_way(score *s, const call *c, const way *w, int tactic, void *stream)
{
	device_step step;
	placed p;
	need_ok(device_prepare(&step, kernels, c->l, &c->c, tactic));
	place(&p, c, w);
	if (w->captured) launch_captured(&step, &p, stream);
	else launch(&step, &p, stream);
	need(cuda->cuStreamSynchronize(stream), "running a kernel");
	size_t differ = take_and_compare(&p, c, w);
	unplace(&p, c, w);
	s->calls++;
	if (differ && s->wrong++ < 5) say_wrong(c, w, tactic, differ);
}

/* The same call on four streams, in memory of their own, many times at once. */
static void run_streams(score *s, const call *c)
{
	const way plain = { 0 };
	void *stream[STREAMS];
	placed p[STREAMS];
	device_step step;
	need_ok(device_prepare(&step, kernels, c->l, &c->c, 0));
	for (int k = 0; k < STREAMS; k++) {
		need(cuda->cuStreamCreate(&stream[k], 1), "making a stream");
		place(&p[k], c, &plain);
	}
	for (int round = 0; round < (small ? 2 : 8); round++)
		for (int k = 0; k < STREAMS; k++) launch(&step, &p[k], stream[k]);
	for (int k = 0; k < STREAMS; k++) {
		need(cuda->cuStreamSynchronize(stream[k]), "running a kernel");
		size_t differ = take_and_compare(&p[k], c, &plain);
		s->calls++;
		if (differ && s->wrong++ < 5) say_wrong(c, &plain, 0, differ);
		unplace(&p[k], c, &plain);
		need(cuda->cuStreamDestroy_v2(stream[k]), "ending a stream");
	}
}

/* All ways to run one call whose shapes are in c->t. */
static void run_call(score *s, call *c, const library_op *l, int n_in, void *stream)
{
	static const way ways[] = { { 0 }, { .shift_in = 1, .shift_out = 1 }, { .shift_out = 1 }, { .shift_in = 1 },
	                            { .in_place = true }, { .captured = true } };
	if (!make_call(c, l, n_in) || (small && og_count(&c->y) > 1 << 14)) return;
	for (int k = 0; k < n_in; k++) {
		size_t n = (size_t)og_count(&c->t[k]);
		c->t[k].data = host_memory(n * og_dtype_bytes(c->t[k].dtype));
		fill(c->t[k].data, c->t[k].dtype, n, !l->op->formula);
	}
	by_cpu(c);
	int tactics = device_tactics(l, &c->c);
	bool same = l->op->formula && c->y.dtype == c->t[0].dtype && og_count(&c->t[0]) == og_count(&c->y);
	for (int t = 0; t < tactics; t++)
		for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
			if (!ways[w].in_place || same) run_way(s, c, &ways[w], t, stream);
	if (tactics) run_streams(s, c);
	for (int k = 0; k < n_in; k++) free(c->t[k].data);
	free(c->y.data);
}

/* ---- which calls ------------------------------------------------------------------------------ */

static const og_dtype types[] = { OG_F32, OG_F16, OG_BF16 };
enum { N_TYPES = sizeof types / sizeof *types };

static bool takes(const library_op *l, og_dtype t) { return l->in.arg[0].types >> t & 1; }

static bool is_by_rows(const library_op *l) { return l->op->device && strstr(l->op->device, "_columns"); }

/* The inputs that a formula's call may have: all, and all but the optional ones. */
static int fewest_inputs(const library_op *l)
{
	int n = 0;
	while (n < l->op->map_inputs && n < l->in.n && !l->in.arg[n].optional) n++;
	return l->in.arg[l->in.n - 1].variadic ? l->op->map_inputs : n;
}

/* Of an output's dimensions, those that operand k has under a pattern; the others are 1, or (in front) not there. */
static og_tensor operand_shape(const og_tensor *y, og_dtype t, int pattern, int k)
{
	og_tensor x = *y;
	x.dtype = t;
	for (int d = 0; d < y->rank; d++) {
		bool has = pattern == 0 ? true : pattern == 1 ? k == 0 : pattern == 2 ? k == 0 || d == y->rank - 1
		         : pattern == 3 ? k == 0 || d == y->rank / 2 : pattern == 4 ? (d + k) % 2 == 0 : k != 0 || d > 0;
		if (!has) x.dims[d] = 1;
	}
	while (pattern != 3 && x.rank > 0 && x.dims[0] == 1 && k > 0) {
		memmove(x.dims, x.dims + 1, (size_t)--x.rank * sizeof *x.dims);
	}
	return x;
}

static void check_formula(score *s, const library_op *l, og_dtype t, void *stream)
{
	static const og_tensor shapes[] = {
		{ .rank = 1, .dims = { 0 } }, { .rank = 0 }, { .rank = 1, .dims = { 3 } }, { .rank = 1, .dims = { 7 } },
		{ .rank = 1, .dims = { 1023 } }, { .rank = 1, .dims = { 4097 } }, { .rank = 1, .dims = { (1 << 20) + 3 } },
		{ .rank = 2, .dims = { 33, 1 } }, { .rank = 3, .dims = { 4, 48, 64 } }, { .rank = 4, .dims = { 2, 5, 1, 31 } },
		{ .rank = 5, .dims = { 5, 3, 7, 11, 2 } }, { .rank = 5, .dims = { 2, 3, 4, 5, 16 } },
		{ .rank = 3, .dims = { 3, 0, 5 } },
	};
	call *c = host_memory(sizeof *c);
	for (int n_in = fewest_inputs(l); n_in <= l->op->map_inputs; n_in++)
		for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
			for (int pattern = 0; pattern < (n_in > 1 ? 6 : 1); pattern++) {
				library_defaults(c->attr, l);
				for (int k = 0; k < l->n_attrs && i % 2; k++) {
					const og_attr *a = &l->op->attrs[k];
					double most = a->low == a->high ? INFINITY : a->high;
					if (a->type == OG_ATTR_FLOAT && a->value + 0.5 <= most)
						need_ok(library_set_number(&c->attr[k], l, k, a->value + 0.5));
				}
				for (int k = 0; k < n_in; k++) c->t[k] = operand_shape(&shapes[i], t, pattern, k);
				run_call(s, c, l, n_in, stream);
			}
	free(c);
}

/* Reads "f32[2,3] f32[3]; axis=1" up to '|' or the end; f32 stands for t. */
static bool read_case(call *c, const library_op *l, const char **at, og_dtype t, int *n_in)
{
	char *end;
	const char *p = *at;
	library_defaults(c->attr, l);
	for (*n_in = 0; *p && *p != '|' && *p != ';' && *n_in < MOST_IN;) {
		while (*p == ' ') p++;
		size_t n = strcspn(p, "[");
		og_tensor x = { .dtype = base_dtype_find(p, n) };
		if (x.dtype == OG_NONE || p[n] != '[') return false;
		if (x.dtype == OG_F32) x.dtype = t;
		for (p += n + 1; *p && *p != ']' && x.rank < OG_MAX_RANK; p = *end == ',' ? end + 1 : end) {
			x.dims[x.rank++] = strtoll(p, &end, 10);
			if (end == p) return false;
		}
		if (*p++ != ']') return false;
		c->t[(*n_in)++] = x;
		while (*p == ' ') p++;
	}
	while (*p == ';' || *p == ',') {
		while (*p == ';' || *p == ',' || *p == ' ') p++;
		size_t n = strcspn(p, "=");
		double value = strtod(p + n + (p[n] == '='), &end);
		for (int k = 0; k < l->n_attrs; k++)
			if (strlen(l->op->attrs[k].name) == n && !memcmp(l->op->attrs[k].name, p, n)) {
				if (end == p + n + 1) return false;
				need_ok(library_set_number(&c->attr[k], l, k, value));
			}
		p = end + strspn(end, " ");
	}
	*at = *p == '|' ? p + 1 : p;
	return true;
}

static void check_cases(score *s, const library_op *l, og_dtype t, const char *cases, void *stream)
{
	call *c = host_memory(sizeof *c);
	int n_in;
	while (*cases && read_case(c, l, &cases, t, &n_in)) run_call(s, c, l, n_in, stream);
	free(c);
}

/* Rows of many lengths along each axis, with and without the optional inputs. */
static void check_rows(score *s, const library_op *l, og_dtype t, void *stream)
{
	static const struct { int64_t outer, n, inner; } shapes[] = {
		{ 1, 1, 1 }, { 3, 5, 1 }, { 7, 31, 1 }, { 9, 64, 1 }, { 257, 128, 1 }, { 2, 1000, 1 }, { 5, 4096, 1 },
		{ 5, 4097, 1 }, { 2, 70000, 1 },
		{ 0, 8, 1 }, { 4, 0, 1 }, { 2, 3, 4 }, { 3, 40, 33 }, { 1, 1000, 65 }, { 2, 17, 1024 },
	};
	int fewest = 1;
	while (fewest < l->in.n && !l->in.arg[fewest].optional) fewest++;
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		for (int n_in = fewest; n_in <= l->in.n; n_in++) {
			text words = { 0 };
			text_printf(&words, "f32[%lld,%lld,%lld]",
			            (long long)shapes[i].outer, (long long)shapes[i].n, (long long)shapes[i].inner);
			for (int k = 1; k < n_in; k++) text_printf(&words, " f32[%lld]", (long long)(i % 3 ? shapes[i].n : 1));
			text_add(&words, "; axis=1");
			char *cases = text_take(&words);
			if (!cases) stop(1, "there is no memory");
			check_cases(s, l, t, cases, stream);
			base_free(cases);
		}
}

/* ---- more than 2^31 elements ------------------------------------------------------------------ */

/* A device array of n elements that repeats the host's PERIOD of them. */
static uint64_t repeat(const void *period, size_t n, size_t size)
{
	size_t bytes = n * size, done = PERIOD * size;
	uint64_t p = device_memory(bytes);
	need(cuda->cuMemcpyHtoD_v2(p, period, done < bytes ? done : bytes), "copying to the device");
	for (; done < bytes; done *= 2)
		need(cuda->cuMemcpyDtoDAsync_v2(p + done, p, done < bytes - done ? done : bytes - done, NULL),
		     "copying on the device");
	need(cuda->cuCtxSynchronize(), "copying on the device");
	return p;
}

/* 2^31 + 5 elements of f16; a second input is a row of 2^15 of them over [2^16 + 1, 2^15]. False: not enough memory. */
static bool check_huge(score *s, const library_op *l)
{
	const int n_in = fewest_inputs(l);
	const size_t row = 1 << 15, n = n_in > 1 ? ((size_t)(1 << 16) + 1) * row : ((size_t)1 << 31) + 5;
	size_t is_free, total;
	call one = { .t = { { .dtype = OG_F16 } } }, huge = one;
	placed p = { 0 };
	device_step step;
	need(cuda->cuMemGetInfo_v2(&is_free, &total), "asking for memory");
	if (is_free < n * 4 + ((size_t)1 << 30)) return false;
	library_defaults(one.attr, l);
	library_defaults(huge.attr, l);
	for (int k = 0; k < n_in; k++) {
		int64_t rows = k ? 1 : (int64_t)(PERIOD / row), all = k ? 1 : (int64_t)(n / row);
		one.t[k] = (og_tensor){ .dtype = OG_F16, .rank = 2, .dims = { rows, (int64_t)row } };
		huge.t[k] = n_in > 1 ? (og_tensor){ .dtype = OG_F16, .rank = 2, .dims = { all, (int64_t)row } }
		                     : (og_tensor){ .dtype = OG_F16, .rank = 1, .dims = { (int64_t)n } };
		one.t[k].data = host_memory((size_t)og_count(&one.t[k]) * 2);
		fill(one.t[k].data, OG_F16, (size_t)og_count(&one.t[k]), false);
		if (k) {
			p.in[k] = device_memory(row * 2);
			need(cuda->cuMemcpyHtoD_v2(p.in[k], one.t[k].data, row * 2), "copying to the device");
		} else p.in[k] = repeat(one.t[k].data, n, 2);
	}
	if (!make_call(&one, l, n_in) || !make_call(&huge, l, n_in)) stop(1, "the shape rule refuses a large tensor");
	by_cpu(&one);
	const size_t size = og_dtype_bytes(one.y.dtype), window = PERIOD < n ? PERIOD : n;
	p.y = device_memory(n * size);
	need_ok(device_prepare(&step, kernels, l, &huge.c, 0));
	launch(&step, &p, NULL);
	need(cuda->cuCtxSynchronize(), "running a kernel");
	char *got = host_memory(window * size), *want = one.y.data;
	size_t differ = 0, places[] = { 0, ((size_t)1 << 31) - PERIOD, ((size_t)1 << 31) / PERIOD * PERIOD };
	for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
		size_t count = n - places[k] < window ? n - places[k] : window;
		need(cuda->cuMemcpyDtoH_v2(got, p.y + places[k] * size, count * size), "copying from the device");
		one.y.data = want;
		differ += count_differences(&one, got, count);
	}
	s->calls++;
	if (differ) {
		s->wrong++;
		printf("\n%s differs in %zu elements of %zu\n", called(l->op), differ, n);
	}
	for (int k = 0; k < n_in; k++) {
		free(one.t[k].data);
		device_free(p.in[k]);
	}
	free(want);
	free(got);
	device_free(p.y);
	return true;
}

/* ---- time ------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	return (*(const float *)a > *(const float *)b) - (*(const float *)a < *(const float *)b);
}

/* Median seconds of one run of body. */
static double time_of(void (*body)(void *arg, void *stream), void *arg, void *stream)
{
	float ms[ROUNDS];
	void *from, *to;
	need(cuda->cuEventCreate(&from, 0) || cuda->cuEventCreate(&to, 0), "making events");
	for (int r = -1; r < ROUNDS; r++) {                      /* the first round is for warming up */
		need(cuda->cuEventRecord(from, stream), "timing");
		for (int k = 0; k < RUNS; k++) body(arg, stream);
		need(cuda->cuEventRecord(to, stream) || cuda->cuEventSynchronize(to), "timing");
		need(cuda->cuEventElapsedTime(&ms[r < 0 ? 0 : r], from, to), "timing");
	}
	cuda->cuEventDestroy_v2(from);
	cuda->cuEventDestroy_v2(to);
	qsort(ms, ROUNDS, sizeof *ms, by_value);
	return (double)ms[ROUNDS / 2] / RUNS * 1e-3;
}

typedef struct timed { const device_step *step; placed p; size_t bytes; } timed;

static void run_kernel(void *arg, void *stream)
{
	const timed *t = arg;
	launch(t->step, &t->p, stream);
}

static void run_copy(void *arg, void *stream)
{
	const timed *t = arg;
	need(cuda->cuMemcpyDtoDAsync_v2(t->p.y, t->p.in[0], t->bytes, stream), "copying");
}

/* PERIOD numbers of this type, made once. */
static const void *tame_numbers(og_dtype t)
{
	static void *made[OG_DTYPE_COUNT];
	if (!made[t]) {
		made[t] = host_memory(PERIOD * og_dtype_bytes(t));
		fill(made[t], t, PERIOD, true);
	}
	return made[t];
}

/* One line of the table for the call whose shapes are in c->t, in every tactic. */
static void time_call(call *c, const library_op *l, int n_in, const char *what, void *stream)
{
	timed t = { 0 };
	device_step step;
	if (!make_call(c, l, n_in)) return;
	const size_t n = (size_t)og_count(&c->y), size = og_dtype_bytes(c->t[0].dtype);
	double moved = (double)(n * og_dtype_bytes(c->y.dtype));
	t.p.y = device_memory(n * size);
	for (int k = 0; k < n_in; k++) {
		size_t count = (size_t)og_count(&c->t[k]);
		t.p.in[k] = repeat(tame_numbers(c->t[k].dtype), count, size);
		moved += (double)(count * size);
	}
	t.bytes = n * size;
	double copy = time_of(run_copy, &t, stream), copied = 2.0 * (double)t.bytes / copy;
	int tactics = device_tactics(l, &c->c);
	for (int tactic = 0; tactic < tactics; tactic++) {
		need_ok(device_prepare(&step, kernels, l, &c->c, tactic));
		t.step = &step;
		double seconds = time_of(run_kernel, &t, stream);
		printf("| %s | %s | %s | %d | %.3f | %.0f | %.0f | %.0f%% |\n",
		       called(l->op), what, base_dtype_name(c->t[0].dtype), tactic, seconds * 1e3, moved / seconds * 1e-9,
		       copied * 1e-9, 100 * moved / seconds / copied);
	}
	for (int k = 0; k < n_in; k++) device_free(t.p.in[k]);
	device_free(t.p.y);
}

static void time_op(const library_op *l, og_dtype t, void *stream)
{
	static const int64_t lengths[] = { 256, 1024, 4096, 65536 };
	call *c = host_memory(sizeof *c);
	const int n_in = l->op->formula ? l->op->map_inputs : l->in.n;
	char what[64];
	library_defaults(c->attr, l);
	if (l->op->formula) {
		static const og_tensor image = { .rank = 4, .dims = { 16, 64, 256, 256 } };
		for (int k = 0; k < n_in; k++) c->t[k] = (og_tensor){ .dtype = t, .rank = 1, .dims = { (int64_t)TIMED } };
		time_call(c, l, n_in, "64M", stream);
		for (int pattern = 1; pattern < 4 && n_in > 1; pattern++) {
			static const char *const names[] = { "", "64M, scalar operands", "64M, along the last axis",
			                                     "64M, along a middle axis" };
			for (int k = 0; k < n_in; k++) c->t[k] = operand_shape(&image, t, pattern, k);
			time_call(c, l, n_in, names[pattern], stream);
		}
	} else if (is_by_rows(l)) {
		for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
			c->t[0] = (og_tensor){ .dtype = t, .rank = 2, .dims = { (int64_t)TIMED / lengths[i], lengths[i] } };
			for (int k = 1; k < n_in; k++) c->t[k] = (og_tensor){ .dtype = t, .rank = 1, .dims = { lengths[i] } };
			snprintf(what, sizeof what, "rows of %lld", (long long)lengths[i]);
			time_call(c, l, n_in, what, stream);
		}
		c->t[0] = (og_tensor){ .dtype = t, .rank = 3, .dims = { 64, 256, 4096 } };
		for (int k = 1; k < n_in; k++) c->t[k] = (og_tensor){ .dtype = t, .rank = 1, .dims = { 256 } };
		for (int k = 0; k < l->n_attrs; k++)
			if (!strcmp(l->op->attrs[k].name, "axis")) need_ok(library_set_number(&c->attr[k], l, k, 1));
		time_call(c, l, n_in, "columns of 256", stream);
	} else if (n_in == 1) {
		c->t[0] = (og_tensor){ .dtype = t, .rank = 4, .dims = { 16, 64, 256, 256 } };
		time_call(c, l, n_in, "64M", stream);
	}
	free(c);
}

/* Microseconds of this thread's time that a launch takes. */
static double launch_cost(const library_op *l, void *stream)
{
	enum { LAUNCHES = 1000 };
	call *c = host_memory(sizeof *c);
	device_step step;
	placed p;
	const way plain = { 0 };
	float zeros[8] = { 0 };
	library_defaults(c->attr, l);
	for (int k = 0; k < l->op->map_inputs; k++)
		c->t[k] = (og_tensor){ .dtype = OG_F32, .rank = 1, .dims = { 8 }, .data = zeros };
	if (!make_call(c, l, l->op->map_inputs)) stop(1, base_error());
	need_ok(device_prepare(&step, kernels, l, &c->c, 0));
	place(&p, c, &plain);
	double best_time = INFINITY;
	for (int r = 0; r < 5; r++) {
		double from = base_now();
		for (int k = 0; k < LAUNCHES; k++) launch(&step, &p, stream);
		double took = base_now() - from;
		if (took < best_time) best_time = took;
		need(cuda->cuStreamSynchronize(stream), "launching");
	}
	unplace(&p, c, &plain);
	free(c);
	return best_time / LAUNCHES * 1e6;
}

/* ---- all of it -------------------------------------------------------------------------------- */

static void open_device(void)
{
	int device, major, minor;
	char name[128];
	void *context;
	cuda = driver_open();
	if (!cuda || cuda->cuInit(0) || cuda->cuDeviceGet(&device, 0))
		stop(NO_DEVICE, "there is no CUDA driver or device on this machine");
	cuda->cuDeviceGetName(name, sizeof name, device);
	cuda->cuDeviceGetAttribute(&major, DRIVER_MAJOR, device);
	cuda->cuDeviceGetAttribute(&minor, DRIVER_MINOR, device);
	need(cuda->cuDevicePrimaryCtxRetain(&context, device) || cuda->cuCtxSetCurrent(context), "making a context");
	isa = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
		? OG_ISA_AVX512
	    : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? OG_ISA_AVX2 : OG_ISA_SCALAR;
	best = isa == OG_ISA_AVX512 ? "avx512" : isa == OG_ISA_AVX2 ? "avx2" : "scalar";
	printf("%s (sm_%d%d) against %s.\n", name, major, minor, best);
}

/* The library's ops that have a CUDA form; the caller frees them. */
static library_op *ops_of(const og_library *library, size_t *n)
{
	library_op *ops = host_memory(library->n_ops * sizeof *ops);
	*n = 0;
	for (uint32_t k = 0; k < library->n_ops; k++) {
		library_op *l = &ops[*n];
		l->op = library->ops[k];
		l->n_attrs = 0;
		while (l->op->attrs && l->op->attrs[l->n_attrs].name) l->n_attrs++;
		need_ok(schema_inputs(&l->in, l->op));
		need_ok(schema_outputs(&l->out, l->op));
		if ((l->op->formula || l->op->device) && l->out.n == 1 && l->n_attrs <= MOST_ATTRS) ++*n;
	}
	return ops;
}

static size_t check_library(const char *path, void *stream)
{
	void *file = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const og_library *library = file ? dlsym(file, "og_op_library") : NULL;
	size_t n, wrong = 0;
	if (!library || library->abi != OG_OP_ABI) stop(2, file ? "this is no op library of this version" : dlerror());
	need_ok(device_open_library(&kernels, library));
	library_op *ops = ops_of(library, &n);
	printf("\n## %s\n\n| op | type | calls | wrong | 2^31 elements | host time of a launch |\n"
	       "|---|---|---|---|---|---|\n", path);
	for (size_t k = 0; k < n; k++)
		for (int t = 0; t < N_TYPES; t++) {
			const library_op *l = &ops[k];
			score s = { 0 }, huge = { 0 };
			if (!takes(l, types[t])) continue;
			if (l->op->formula) check_formula(&s, l, types[t], stream);
			else if (is_by_rows(l)) check_rows(&s, l, types[t], stream);
			if (!l->op->formula && l->op->cases) check_cases(&s, l, types[t], l->op->cases, stream);
			bool tried = !small && l->op->formula && types[t] == OG_F16 && check_huge(&huge, l);
			printf("| %s | %s | %zu | %zu | %s |", called(l->op), base_dtype_name(types[t]), s.calls, s.wrong,
			       !tried ? "" : huge.wrong ? "wrong" : "right");
			if (l->op->formula && types[t] == OG_F32) printf(" %.2f us |\n", launch_cost(l, stream));
			else printf(" |\n");
			fflush(stdout);
			wrong += s.wrong + huge.wrong + (s.calls == 0);
		}
	if (!small)
		printf("\n| op | what | type | tactic | ms | GB/s | copy GB/s | of copy |\n"
		       "|---|---|---|---|---|---|---|---|\n");
	for (size_t k = 0; k < n; k++)
		for (int t = 0; t < N_TYPES; t++)
			if (!small && takes(&ops[k], types[t])) time_op(&ops[k], types[t], stream);
	fflush(stdout);
	free(ops);
	device_close(kernels);
	return wrong;
}

int main(int argc, char **argv)
{
	void *stream;
	size_t wrong = 0;
	small = argc > 1 && !strcmp(argv[1], "--small");
	if (argc < 2 + small) stop(2, "usage: check_kernels [--small] LIB.so...");
	open_device();
	need(cuda->cuStreamCreate(&stream, 1), "making a stream");
	for (int k = 1 + small; k < argc; k++) wrong += check_library(argv[k], stream);
	printf("\n%s\n", wrong ? "Some calls are wrong." : "All calls are right.");
	return wrong ? 1 : 0;
}
