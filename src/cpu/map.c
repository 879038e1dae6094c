/* map.c -- elementwise ops on any types: the formula in float32 for the short floats, in double for the rest, in the
 * type's own form where the op has one. Float32 alone goes through strips.c when the plan makes a program of it. */
#include "cpu/cpu.h"
#include "ops/number.h"
#include "schema/schema.h"

typedef struct map_operand {
	int input;                           /* -1: left out, every element is `value` */
	og_dtype dtype;
	double value;
	cpu_view view;
} map_operand;

typedef struct map_state {
	const og_op *op;
	og_map_fn *map;
	float attr[OG_MAX_MAP_ATTRS];
	og_dtype type;                       /* the formula's operands are made of this: F32, F64 or the op's own form */
	og_dtype made;                       /* and its results of this */
	og_dtype out;
	int n;                               /* operands; more than map_inputs when a variadic op is folded */
	map_operand *operand;
	int64_t count;
	int slots;
	size_t slot_bytes;
} map_state;

enum { MAP_BUFFER = CPU_STRIP * sizeof(double), MAP_RESULT = OG_MAX_IN, MAP_RAW, MAP_BUFFERS };

typedef struct map_run { const map_state *s; const backend_run *run; } map_run;

/* ---- types ---------------------------------------------------------------------------------- */

static void to_type(const map_state *s, og_dtype from, const void *x, int64_t n, void *y)
{
	if (s->type == OG_F64) {
		og_tensor t = { .dtype = from, .rank = 1, .dims = { n }, .data = (void *)(uintptr_t)x };
		number_read(y, &t, 0, 1, n);
		return;
	}
	const uint16_t *h = x;
	float *f = y;
	for (int64_t i = 0; i < n; i++) f[i] = from == OG_F16 ? base_half_to_float(h[i]) : base_bfloat_to_float(h[i]);
}

static void from_type(const map_state *s, const void *x, int64_t n, void *y)
{
	if (s->made == OG_F64) {
		og_tensor t = { .dtype = s->out, .rank = 1, .dims = { n }, .data = y };
		number_write(&t, 0, 1, x, n);
		return;
	}
	const float *f = x;
	uint16_t *h = y;
	for (int64_t i = 0; i < n; i++) h[i] = s->out == OG_F16 ? base_float_to_half(f[i]) : base_float_to_bfloat(f[i]);
}

static bool is_short_float(og_dtype t) { return t == OG_F32 || t == OG_F16 || t == OG_BF16; }

/* The type that all operands that are there have; OG_NONE: they differ. */
static og_dtype common_type(const backend_node *node)
{
	og_dtype t = OG_NONE;
	for (int k = 0; k < node->n_anchor_in; k++) {
		if (!cpu_has(node, k)) continue;
		if (t != OG_NONE && node->in[k].dtype != t) return OG_NONE;
		t = node->in[k].dtype;
	}
	return t;
}

static void choose_type(map_state *s, const backend_node *node, const cpu_kernels *kernels, bool test)
{
	const og_op *op = node->op;
	og_dtype common = common_type(node);
	bool shorts = test || is_short_float(s->out);
	s->made = s->out;
	if (op->other && common != OG_NONE && op->other[common]) {
		s->type = common;
		s->map = op->other[common];
		return;
	}
	for (int k = 0; k < s->n; k++) shorts &= s->operand[k].input < 0 || is_short_float(s->operand[k].dtype);
	s->type = shorts ? OG_F32 : OG_F64;
	s->map = shorts ? op->map[kernels->isa] : op->ref;
	if (!test) s->made = s->type;
}

/* ---- running -------------------------------------------------------------------------------- */

/* Elements [at, at + n) of operand k in the formula's type. */
static const void *operand(const map_run *r, int k, int64_t at, int64_t n, char *buffer, char *raw)
{
	const map_state *s = r->s;
	const map_operand *o = &s->operand[k];
	if (o->input < 0) {
		og_tensor t = { .dtype = s->type, .rank = 1, .dims = { n }, .data = buffer };
		for (int64_t i = 0; i < n; i++) number_write(&t, i, 1, &o->value, 1);
		return buffer;
	}
	bool same = o->dtype == s->type;
	const void *data = r->run->in[o->input]->data;
	const void *x = cpu_view_read(&o->view, data, og_dtype_bytes(o->dtype), at, n, same ? buffer : raw);
	if (same) return x;
	to_type(s, o->dtype, x, n, buffer);
	return buffer;
}

/* At most CPU_STRIP elements. */
static void map_strip(const map_run *r, int64_t at, int64_t n, char *buffers)
{
	const map_state *s = r->s;
	const int width = s->op->map_inputs;
	char *raw = buffers + MAP_RAW * MAP_BUFFER;
	char *y = (char *)r->run->out[0]->data + (size_t)at * og_dtype_bytes(s->out);
	bool direct = s->made == s->out && s->n <= width;
	char *to = direct ? y : buffers + MAP_RESULT * MAP_BUFFER;
	const void *x[OG_MAX_IN];
	for (int k = 0; k < width && k < s->n; k++) x[k] = operand(r, k, at, n, buffers + k * MAP_BUFFER, raw);
	if (s->n < width) to = (char *)(uintptr_t)x[0];      /* a variadic op of one input is that input */
	else s->map((size_t)n, to, x, s->attr);
	for (int k = width; k < s->n; k++) {
		x[0] = to;
		x[1] = operand(r, k, at, n, buffers + MAP_BUFFER, raw);
		s->map((size_t)n, to, x, s->attr);
	}
	if (s->made != s->out) from_type(s, to, n, y);
	else if (to != y) memcpy(y, to, (size_t)n * og_dtype_bytes(s->out));
}

static void map_task(void *arg, int64_t task, int slot)
{
	const map_run *r = arg;
	int64_t at = task * CPU_STRIP, n = r->s->count - at;
	map_strip(r, at, n < CPU_STRIP ? n : CPU_STRIP, (char *)r->run->workspace + (size_t)slot * r->s->slot_bytes);
}

static og_status map_execute(const backend_kernel *k, const backend_run *run)
{
	const map_state *s = k->state;
	cpu_tasks(run->threads, s->slots, (s->count + CPU_STRIP - 1) / CPU_STRIP, map_task, &(map_run){ s, run });
	return OG_OK;
}

/* Over an operand of as many bytes: only when each element is as wide as the one it takes the place of. */
static bool may_be_in_place(const map_state *s)
{
	for (int k = 0; k < s->n; k++)
		if (s->operand[k].input >= 0 && og_dtype_bytes(s->operand[k].dtype) != og_dtype_bytes(s->out)) return false;
	return s->n <= s->op->map_inputs;
}

/* ---- preparing ------------------------------------------------------------------------------ */

static og_status make_operands(map_state *s, const cpu_request *r, const schema_args *inputs)
{
	const backend_node *node = r->node;
	bool fold = inputs->arg[inputs->n - 1].variadic;
	s->n = fold ? node->n_anchor_in : node->op->map_inputs;
	s->operand = arena_array(r->a, (size_t)s->n, sizeof *s->operand);
	NEED(s->operand);
	for (int k = 0; k < s->n; k++) {
		map_operand *o = &s->operand[k];
		const og_tensor *t = &node->in[k];
		if (!cpu_has(node, k)) {
			*o = (map_operand){ .input = -1, .value = k < inputs->n ? inputs->arg[k].value : 0 };
			continue;
		}
		*o = (map_operand){ .input = k, .dtype = t->dtype };
		if (!cpu_view_make(&o->view, t->rank, t->dims, node->out->rank, node->out->dims))
			return base_fail(OG_BAD_FILE, "node '%s' (%s): input %d does not broadcast to the output; correct the "
			                 "model", node->name, node->op->name, k);
	}
	return OG_OK;
}

og_status cpu_map(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	const og_op *op = node->op;
	schema_args inputs, outputs;
	if (!op || !op->ref || node->tail || node->n_out < 1 || !cpu_is_tactic(r, "map")) return OG_NO;
	og_dtype first = cpu_has(node, 0) ? node->in[0].dtype : OG_NONE;
	bool real = is_short_float(first) || first == OG_F64;
	if (!real && op->eval && !(op->other && op->other[first])) return OG_NO;
	TRY(schema_inputs(&inputs, op));
	TRY(schema_outputs(&outputs, op));
	map_state *s = arena_alloc(r->a, sizeof *s);
	NEED(s);
	s->op = op;
	s->out = node->out->dtype;
	TRY(make_operands(s, r, &inputs));
	choose_type(s, node, r->kernels, outputs.arg[0].types == UINT32_C(1) << OG_BOOL);
	for (int k = 0; k < op->map_attrs; k++) s->attr[k] = node->attr[k].f;
	s->count = og_count(node->out);
	s->slots = cpu_slots((double)s->count * 16.0, r->threads);
	s->slot_bytes = MAP_BUFFERS * MAP_BUFFER;
	*out = (backend_kernel){ .tactic = "map", .run = map_execute, .state = s, .in_place = may_be_in_place(s),
	                         .workspace_bytes = (size_t)s->slots * s->slot_bytes, .flops = (double)s->count,
	                         .cost = (double)s->count / s->slots };
	return OG_OK;
}
