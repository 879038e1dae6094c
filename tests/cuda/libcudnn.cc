/* libcudnn.cc -- convolutions for the device of libcuda.cc with the interface of cuDNN's graph API, as vendor_abi.h has it: an operation graph is
 * computed by definition, and descriptors are held to what the reference says of them: each attribute of its type, all that must be set set
 * before the descriptor is finalised, none behind that. */
#include <map>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <vector>

extern "C" {
#include "cuda/vendor_abi.h"
}
#include "emulate.h"

extern "C" void emulated_put(void *stream, void (*work)(const void *), const void *argument, size_t bytes);

#define API extern "C" __attribute__((visibility("default")))
#define SURE(what) do { if (!(what)) { fprintf(stderr, "emulated cuDNN: not so: %s\n", #what); abort(); } } while (0)
enum { BAD_PARAM = 2000, NOT_SUPPORTED = 3000, WORKSPACE = 1 << 20 };

/* ---- descriptors ------------------------------------------------------------------------------- */

struct attribute { int type; size_t count; bool needed; };

/* What each kind may be given. */
static const std::map<int, std::map<int, attribute>> kinds = {
	{ OG_CUDNN_BACKEND_TENSOR_DESCRIPTOR, {
		{ OG_CUDNN_ATTR_TENSOR_DATA_TYPE, { OG_CUDNN_TYPE_DATA_TYPE, 1, true } }, { OG_CUDNN_ATTR_TENSOR_DIMENSIONS, { OG_CUDNN_TYPE_INT64, 4, true } },
		{ OG_CUDNN_ATTR_TENSOR_STRIDES, { OG_CUDNN_TYPE_INT64, 4, true } }, { OG_CUDNN_ATTR_TENSOR_UNIQUE_ID, { OG_CUDNN_TYPE_INT64, 1, true } },
		{ OG_CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, { OG_CUDNN_TYPE_INT64, 1, true } }, { OG_CUDNN_ATTR_TENSOR_IS_VIRTUAL, { OG_CUDNN_TYPE_BOOLEAN, 1, false } } } },
	{ OG_CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, {
		{ OG_CUDNN_ATTR_CONVOLUTION_COMP_TYPE, { OG_CUDNN_TYPE_DATA_TYPE, 1, true } },
		{ OG_CUDNN_ATTR_CONVOLUTION_CONV_MODE, { OG_CUDNN_TYPE_CONVOLUTION_MODE, 1, true } },
		{ OG_CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, { OG_CUDNN_TYPE_INT64, 1, true } }, { OG_CUDNN_ATTR_CONVOLUTION_DILATIONS, { OG_CUDNN_TYPE_INT64, 2, true } },
		{ OG_CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, { OG_CUDNN_TYPE_INT64, 2, true } },
		{ OG_CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, { OG_CUDNN_TYPE_INT64, 2, true } },
		{ OG_CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, { OG_CUDNN_TYPE_INT64, 2, true } } } },
	{ OG_CUDNN_BACKEND_POINTWISE_DESCRIPTOR, {
		{ OG_CUDNN_ATTR_POINTWISE_MODE, { OG_CUDNN_TYPE_POINTWISE_MODE, 1, true } }, { OG_CUDNN_ATTR_POINTWISE_MATH_PREC, { OG_CUDNN_TYPE_DATA_TYPE, 1, true } } } },
	{ OG_CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, {
		{ OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, { OG_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true } },
		{ OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, { OG_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true } },
		{ OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, { OG_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true } },
		{ OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, { OG_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true } },
		{ OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, { OG_CUDNN_TYPE_FLOAT, 1, true } },
		{ OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, { OG_CUDNN_TYPE_FLOAT, 1, true } } } },
	{ OG_CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, {
		{ OG_CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, { OG_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true } },
		{ OG_CUDNN_ATTR_OPERATION_POINTWISE_XDESC, { OG_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true } },
		{ OG_CUDNN_ATTR_OPERATION_POINTWISE_BDESC, { OG_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, false } },
		{ OG_CUDNN_ATTR_OPERATION_POINTWISE_YDESC, { OG_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true } } } },
	{ OG_CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, {
		{ OG_CUDNN_ATTR_OPERATIONGRAPH_HANDLE, { OG_CUDNN_TYPE_HANDLE, 1, true } },
		{ OG_CUDNN_ATTR_OPERATIONGRAPH_OPS, { OG_CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, true } } } },
	{ OG_CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, {
		{ OG_CUDNN_ATTR_ENGINEHEUR_MODE, { OG_CUDNN_TYPE_HEUR_MODE, 1, true } },
		{ OG_CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, { OG_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true } } } },
	{ OG_CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, {} },
	{ OG_CUDNN_BACKEND_ENGINE_DESCRIPTOR, {} },
	{ OG_CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, {
		{ OG_CUDNN_ATTR_EXECUTION_PLAN_HANDLE, { OG_CUDNN_TYPE_HANDLE, 1, true } },
		{ OG_CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, { OG_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true } } } },
	{ OG_CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, {
		{ OG_CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, { OG_CUDNN_TYPE_INT64, 0, true } }, { OG_CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, { OG_CUDNN_TYPE_VOID_PTR, 0, true } },
		{ OG_CUDNN_ATTR_VARIANT_PACK_WORKSPACE, { OG_CUDNN_TYPE_VOID_PTR, 1, true } } } },
};

struct convolution { int64_t x[4], w[4], y[4], strides[2], dilations[2], before[2]; int type; bool adds, relu; };

struct descriptor {
	int kind;
	bool done = false;
	std::map<int, std::vector<char>> values = {};
	convolution made = {};                   /* of a graph, an engine, a plan */
	int engine = 0;

	template<class T> const T *get(int attribute) const
	{
		const auto at = values.find(attribute);
		return at == values.end() ? NULL : (const T *)at->second.data();
	}
	const descriptor *of(int attribute) const { return *get<descriptor *>(attribute); }
};

static int handle;
static void *stream;
static int alive;

static size_t size_of(int type)
{
	return type == OG_CUDNN_TYPE_BOOLEAN ? 1 : type == OG_CUDNN_TYPE_INT64 || type == OG_CUDNN_TYPE_HANDLE || type == OG_CUDNN_TYPE_VOID_PTR ||
		type == OG_CUDNN_TYPE_BACKEND_DESCRIPTOR ? 8 : 4;
}

extern "C" int cuMemAlloc_v2(uint64_t *p, size_t bytes);

/* Takes memory, as the real one does, which a capture may forbid. */
API int cudnnCreate(void **h)
{
	uint64_t p;
	*h = &handle;
	return cuMemAlloc_v2(&p, 4096);
}
API size_t cudnnGetVersion() { return 99901; }
API int cudnnSetStream(void *h, void *s) { SURE(h == &handle); stream = s; return 0; }

API int cudnnBackendCreateDescriptor(int kind, void **d)
{
	if (!kinds.count(kind)) return NOT_SUPPORTED;
	*d = new descriptor { kind };
	alive++;
	return 0;
}
API int cudnnBackendDestroyDescriptor(void *d) { delete (descriptor *)d; alive--; return 0; }

API int cudnnBackendSetAttribute(void *d, int name, int type, int64_t count, const void *values)
{
	descriptor *to = (descriptor *)d;
	const auto &known = kinds.at(to->kind);
	const auto at = known.find(name);
	SURE(!to->done && at != known.end() && at->second.type == type && count > 0 && (!at->second.count || at->second.count == (size_t)count));
	to->values[name].assign((const char *)values, (const char *)values + size_of(type) * count);
	for (int64_t k = 0; type == OG_CUDNN_TYPE_BACKEND_DESCRIPTOR && k < count; k++) SURE(((descriptor *const *)values)[k]->done);
	for (int64_t k = 0; type == OG_CUDNN_TYPE_HANDLE && k < count; k++) SURE(((void *const *)values)[k] == &handle);
	return 0;
}

/* ---- graphs ------------------------------------------------------------------------------------ */

static const int64_t *dims(const descriptor *tensor) { return tensor->get<int64_t>(OG_CUDNN_ATTR_TENSOR_DIMENSIONS); }
static int64_t number(const descriptor *tensor) { return *tensor->get<int64_t>(OG_CUDNN_ATTR_TENSOR_UNIQUE_ID); }
static bool is_virtual(const descriptor *tensor)
{
	const char *is = tensor->get<char>(OG_CUDNN_ATTR_TENSOR_IS_VIRTUAL);
	return is && *is;
}

/* Channels innermost, without gaps. */
static bool is_dense(const descriptor *tensor)
{
	const int64_t *d = dims(tensor), *s = tensor->get<int64_t>(OG_CUDNN_ATTR_TENSOR_STRIDES);
	return s[1] == 1 && s[3] == d[1] && s[2] == d[3] * d[1] && s[0] == d[2] * d[3] * d[1];
}

/* IN 0, WEIGHTS 1, BIAS 2, RESIDUAL 3, OUT 4, as cudnn.c numbers them. */
static bool read_graph(descriptor *g)
{
	const auto &bytes = g->values[OG_CUDNN_ATTR_OPERATIONGRAPH_OPS];
	convolution &c = g->made;
	const descriptor *at = NULL;
	std::map<int64_t, bool> seen;
	int adds = 0;
	for (size_t k = 0; k < bytes.size() / 8; k++) {
		const descriptor *o = ((descriptor *const *)bytes.data())[k];
		if (o->kind == OG_CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR) {
			const descriptor *x = o->of(OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X), *w = o->of(OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W);
			const descriptor *how = o->of(OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC);
			const int64_t *behind = how->get<int64_t>(OG_CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
			at = o->of(OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
			SURE(k == 0 && number(x) == 0 && number(w) == 1 && is_dense(x) && is_dense(w) && !is_virtual(x) && !is_virtual(w));
			SURE(*how->get<int>(OG_CUDNN_ATTR_CONVOLUTION_CONV_MODE) == OG_CUDNN_CROSS_CORRELATION);
			SURE(*o->get<float>(OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA) == 1 && *o->get<float>(OG_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA) == 0);
			memcpy(c.x, dims(x), sizeof c.x);
			memcpy(c.w, dims(w), sizeof c.w);
			memcpy(c.y, dims(at), sizeof c.y);
			memcpy(c.strides, how->get<int64_t>(OG_CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), sizeof c.strides);
			memcpy(c.dilations, how->get<int64_t>(OG_CUDNN_ATTR_CONVOLUTION_DILATIONS), sizeof c.dilations);
			memcpy(c.before, how->get<int64_t>(OG_CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), sizeof c.before);
			c.type = *x->get<int>(OG_CUDNN_ATTR_TENSOR_DATA_TYPE);
			SURE(*w->get<int>(OG_CUDNN_ATTR_TENSOR_DATA_TYPE) == c.type && c.x[1] == c.w[1] && c.y[0] == c.x[0] && c.y[1] == c.w[0]);
			for (int a = 0; a < 2; a++)
				SURE(behind[a] >= 0 && c.y[2 + a] == (c.x[2 + a] + c.before[a] + behind[a] - (c.w[2 + a] - 1) * c.dilations[a] - 1) / c.strides[a] + 1);
		} else {
			const descriptor *how = o->of(OG_CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
			const bool relu = *how->get<int>(OG_CUDNN_ATTR_POINTWISE_MODE) == OG_CUDNN_POINTWISE_RELU_FWD;
			SURE(o->of(OG_CUDNN_ATTR_OPERATION_POINTWISE_XDESC) == at && is_virtual(at) && relu == !o->get<void *>(OG_CUDNN_ATTR_OPERATION_POINTWISE_BDESC));
			if (!relu) {
				const descriptor *b = o->of(OG_CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
				SURE((number(b) == 2 || number(b) == 3) && !seen[number(b)] && *b->get<int>(OG_CUDNN_ATTR_TENSOR_DATA_TYPE) == c.type && is_dense(b));
				for (int a = 0; a < 4; a++) SURE(dims(b)[a] == (a == 1 || number(b) == 3 ? c.y[a] : 1));
				seen[number(b)] = true;
				c.adds |= number(b) == 3;
				adds++;
			}
			c.relu |= relu;
			at = o->of(OG_CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
			SURE(!memcmp(dims(at), c.y, sizeof c.y));
		}
	}
	return at && number(at) == 4 && !is_virtual(at) && is_dense(at) && *at->get<int>(OG_CUDNN_ATTR_TENSOR_DATA_TYPE) == c.type && seen[2] && adds == 1 + c.adds;
}

API int cudnnBackendFinalize(void *d)
{
	descriptor *to = (descriptor *)d;
	for (const auto &known : kinds.at(to->kind)) SURE(!known.second.needed || to->values.count(known.first));
	SURE(!to->done);
	if (to->kind == OG_CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR) SURE(read_graph(to));
	if (to->kind == OG_CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
		const descriptor *config = to->of(OG_CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
		if (config->engine == 1) return NOT_SUPPORTED;
		to->made = config->made;
		to->engine = config->engine;
	}
	to->done = true;
	return 0;
}

/* ---- engines ----------------------------------------------------------------------------------- */

/* Engine 0 rounds to tf32 and adds in any order, 1 makes no plan, 2 wants too much workspace; 3 and 4 are right, 3 on tensor cores. */
enum { ENGINES = 5 };

API int cudnnBackendGetAttribute(void *d, int name, int type, int64_t most, int64_t *count, void *values)
{
	const descriptor *from = (descriptor *)d;
	if (name == OG_CUDNN_ATTR_ENGINEHEUR_RESULTS) {
		SURE(from->done && from->kind == OG_CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR && type == OG_CUDNN_TYPE_BACKEND_DESCRIPTOR && most >= ENGINES);
		for (int k = 0; k < ENGINES; k++) {
			descriptor *config = ((descriptor **)values)[k];
			SURE(config->kind == OG_CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
			config->done = true;
			config->engine = k;
			config->made = from->of(OG_CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH)->made;
		}
		*count = ENGINES;
	} else if (name == OG_CUDNN_ATTR_ENGINECFG_ENGINE) {
		descriptor *engine = *(descriptor **)values;
		SURE(from->done && from->kind == OG_CUDNN_BACKEND_ENGINECFG_DESCRIPTOR && engine->kind == OG_CUDNN_BACKEND_ENGINE_DESCRIPTOR && most >= 1);
		engine->engine = from->engine;
		engine->done = true;
		*count = 1;
	} else if (name == OG_CUDNN_ATTR_ENGINE_NUMERICAL_NOTE) {
		SURE(from->kind == OG_CUDNN_BACKEND_ENGINE_DESCRIPTOR && from->done && type == OG_CUDNN_TYPE_NUMERICAL_NOTE && most >= 2);
		*count = from->engine == 0 ? 2 : from->engine == 3;
		((int *)values)[0] = OG_CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
		if (*count == 2) ((int *)values)[1] = OG_CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
	} else if (name == OG_CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE) {
		SURE(from->done && type == OG_CUDNN_TYPE_INT64);
		*(int64_t *)values = from->engine == 2 ? (int64_t)1 << 40 : WORKSPACE;
		*count = 1;
	} else return BAD_PARAM;
	return 0;
}

/* ---- running ----------------------------------------------------------------------------------- */

static float get(const void *x, int type, int64_t i)
{
	return type == OG_CUDNN_DATA_FLOAT ? ((const float *)x)[i] : type == OG_CUDNN_DATA_HALF ? ptx_half(((const unsigned short *)x)[i]) :
		__uint_as_float((unsigned)((const unsigned short *)x)[i] << 16);
}
static void set(void *y, int type, int64_t i, float f)
{
	if (type == OG_CUDNN_DATA_FLOAT) ((float *)y)[i] = f;
	else ((unsigned short *)y)[i] = type == OG_CUDNN_DATA_HALF ? ptx_to_half(f) : ptx_to_bfloat(f);
}

struct work { convolution c; int engine; void *at[5], *workspace; };

static double sum_of(const work &w, int64_t n, int64_t k, int64_t p, int64_t q)
{
	const convolution &c = w.c;
	double sum = 0;
	for (int64_t r = 0; r < c.w[2]; r++)
		for (int64_t s = 0; s < c.w[3]; s++) {
			const int64_t y = p * c.strides[0] - c.before[0] + r * c.dilations[0], x = q * c.strides[1] - c.before[1] + s * c.dilations[1];
			if (y < 0 || y >= c.x[2] || x < 0 || x >= c.x[3]) continue;
			for (int64_t i = 0; i < c.x[1]; i++)
				sum += (double)get(w.at[0], c.type, ((n * c.x[2] + y) * c.x[3] + x) * c.x[1] + i) *
					get(w.at[1], c.type, ((k * c.w[2] + r) * c.w[3] + s) * c.w[1] + i);
		}
	return sum;
}

static void convolve(const void *argument)
{
	const work &w = *(const work *)argument;
	const convolution &c = w.c;
	memset(w.workspace, 0x5b, WORKSPACE);
	for (int64_t at = 0; at < c.y[0] * c.y[1] * c.y[2] * c.y[3]; at++) {
		const int64_t k = at % c.y[1], q = at / c.y[1] % c.y[3], p = at / c.y[1] / c.y[3] % c.y[2], n = at / c.y[1] / c.y[3] / c.y[2];
		double sum = sum_of(w, n, k, p, q) + get(w.at[2], c.type, k);
		if (c.adds) sum += get(w.at[3], c.type, at);
		set(w.at[4], c.type, at, (float)(c.relu && sum < 0 ? 0 : sum));
	}
}

API int cudnnBackendExecute(void *h, void *plan, void *pack)
{
	const descriptor *from = (descriptor *)plan, *given = (descriptor *)pack;
	SURE(h == &handle && from->done && from->kind == OG_CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR && given->done);
	const auto &numbers = given->values.at(OG_CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS), &places = given->values.at(OG_CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
	SURE(numbers.size() == places.size() && numbers.size() / 8 == (from->made.adds ? 5u : 4u));
	work w = { from->made, from->engine, {}, *given->get<void *>(OG_CUDNN_ATTR_VARIANT_PACK_WORKSPACE) };
	SURE(w.workspace && from->engine >= 3);
	for (size_t k = 0; k < numbers.size() / 8; k++) {
		const int64_t number = ((const int64_t *)numbers.data())[k];
		void *at = ((void *const *)places.data())[k];
		SURE(number >= 0 && number < 5 && !w.at[number] && at && (uintptr_t)at % 16 == 0);
		w.at[number] = at;
	}
	emulated_put(stream, convolve, &w, sizeof w);
	return 0;
}
