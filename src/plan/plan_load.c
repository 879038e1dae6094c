/* plan_load.c -- a plan from a file: plan_file.h has its form. Nothing that the file says is trusted. */
#include "plan/plan_check.h"
#include "plan/plan_file.h"
#include "schema/schema.h"

/* ---- reading -------------------------------------------------------------------------------- */

/* Reads from [at, end); after a fault `bad` is set and everything reads as 0. */
typedef struct reader {
	og_plan *p;
	og_model *scratch;                       /* for plan_check_types */
	const uint8_t *at, *end;
	const uint8_t *weights; uint64_t weights_size;
	const char *bad;                         /* what is wrong, or NULL */
	og_status lacks;                         /* it is not the file: an op is missing or another; else OG_OK */
	bool no_memory;
} reader;

static void wrong(reader *r, const char *what)
{
	if (!r->bad) r->bad = what;
	r->at = r->end;
}

static void require_sound(reader *r, const char *bad)
{
	if (bad) wrong(r, bad);
}

static const void *take(reader *r, uint64_t n)
{
	if ((uint64_t)(r->end - r->at) < n) {
		wrong(r, "its description ends early");
		return NULL;
	}
	const void *p = r->at;
	r->at += n;
	return p;
}

static uint64_t take_u64(reader *r)
{
	uint64_t x = 0;
	const void *p = take(r, sizeof x);
	if (p) memcpy(&x, p, sizeof x);
	return x;
}

static double take_double(reader *r)
{
	uint64_t bits = take_u64(r);
	double x;
	memcpy(&x, &bits, sizeof x);
	return x;
}

/* A number that must lie in [low, high]. */
static int take_int(reader *r, int64_t low, int64_t high)
{
	int64_t x = (int64_t)take_u64(r);
	if (x >= low && x <= high) return (int)x;
	wrong(r, "a number is out of range");
	return 0;
}

/* A count of things that take at least `least` bytes each, so that it cannot be larger than the file. */
static int take_count(reader *r, size_t least)
{
	return take_int(r, 0, (r->end - r->at) / (ptrdiff_t)least < 1 << 28 ? (r->end - r->at) / (ptrdiff_t)least : 1 << 28);
}

static const char *take_string(reader *r)
{
	uint64_t n = take_u64(r);
	if (!n) return NULL;
	const char *s = take(r, n);
	if (!s || s[n - 1]) {
		wrong(r, "a string is not ended");
		return NULL;
	}
	return s;
}

static void *room(reader *r, size_t count, size_t size)
{
	void *p = arena_array(r->p->a, count + 1, size);
	if (!p) {
		r->no_memory = true;
		wrong(r, "memory ran out");
	}
	return p;
}

static void take_tensor(reader *r, og_tensor *t)
{
	int64_t count;
	*t = (og_tensor){ .dtype = (og_dtype)take_int(r, OG_NONE + 1, OG_DTYPE_COUNT - 1) };
	t->rank = take_int(r, 0, OG_MAX_RANK);
	for (int i = 0; i < t->rank; i++) {
		t->dims[i] = (int64_t)take_u64(r);
		if (t->dims[i] < 0) wrong(r, "a dimension is negative");
	}
	if (!base_count(t->dims, t->rank, &count) || base_dtype_span(t->dtype, (uint64_t)count) > PTRDIFF_MAX)
		wrong(r, "a shape is too large");
}

static size_t tensor_span(const og_tensor *t)
{
	int64_t count = 0;
	base_count(t->dims, t->rank, &count);
	return base_dtype_span(t->dtype, (uint64_t)count);
}

static const og_tensor *take_tensor_data(reader *r)
{
	og_tensor *t = room(r, 1, sizeof *t);
	if (!t) return NULL;
	take_tensor(r, t);
	uint64_t n = take_u64(r);
	if (r->bad || n != tensor_span(t)) {
		wrong(r, "a tensor's size and shape differ");
		return NULL;
	}
	const void *data = take(r, n);
	if (data && !r->bad && !(t->data = arena_aligned(r->p->a, n ? n : 1, 64))) r->no_memory = true;
	if (t->data && n) memcpy(t->data, data, n);
	return t;
}

static const uint8_t *take_weights(reader *r, uint64_t size)
{
	uint64_t offset = take_u64(r);
	if (offset % 64 || offset > r->weights_size || size > r->weights_size - offset) {
		wrong(r, "weights lie outside the file");
		return NULL;
	}
	return r->weights + offset;
}

static void take_attribute(reader *r, og_attr_value *v)
{
	v->present = take_int(r, 0, 1);
	v->i = (int64_t)take_u64(r);
	v->f = (float)take_double(r);
	v->s = take_string(r);
	v->n = take_int(r, 0, INT32_MAX);
	int has = take_int(r, 0, 7);
	size_t n = (size_t)v->n;
	const void *ints = has & 1 ? take(r, n * sizeof *v->ints) : NULL;
	const void *floats = has & 2 ? take(r, n * sizeof *v->floats) : NULL;
	void *copy = ints ? room(r, n, sizeof *v->ints) : NULL;
	if (copy && n) memcpy(copy, ints, n * sizeof *v->ints);
	v->ints = copy;
	copy = floats ? room(r, n, sizeof *v->floats) : NULL;
	if (copy && n) memcpy(copy, floats, n * sizeof *v->floats);
	v->floats = copy;
	v->t = has & 4 ? take_tensor_data(r) : NULL;
}

static void wrong_op(reader *r, og_status status, const char *domain, const char *name, const char *why)
{
	r->lacks = status;
	const char *what = arena_printf(r->p->a, "the plan uses op %.100s%s%.100s, %s", domain ? domain : "", domain && *domain ? "::" : "", name, why);
	if (!what) r->no_memory = true;
	wrong(r, what ? what : "memory ran out");
}

static const og_op *take_op(reader *r)
{
	const char *name = take_string(r);
	if (!name) return NULL;
	const char *domain = take_string(r);
	int since = take_int(r, 0, INT32_MAX);
	uint64_t hash = take_u64(r);
	const og_op *op = domain ? schema_find(domain, name, since) : NULL;
	if (r->bad) return NULL;
	if (!op || op->since != since) wrong_op(r, OG_MISSING, domain, name, "which is not known here; if it is from an op library, name it with --ops");
	else if (hash != plan_text_hash(op)) wrong_op(r, OG_BAD_FILE, domain, name, "whose op file was another when the plan was built; build the plan again");
	return op;
}

static void take_program_step(reader *r, const program *p, program_step *s)
{
	s->op = take_op(r);
	const void *in = take(r, sizeof s->in), *out = take(r, sizeof s->out), *attr = take(r, sizeof s->attr);
	if (r->bad || !s->op || !s->op->map[OG_ISA_SCALAR]) {
		wrong(r, "a strip program has a step that is no formula");
		return;
	}
	memcpy(s->in, in, sizeof s->in);
	memcpy(&s->out, out, sizeof s->out);
	memcpy(s->attr, attr, sizeof s->attr);
	for (int k = 0; k < s->op->map_inputs; k++)
		if (s->in[k] >= p->n_regs) wrong(r, "a strip program reads a register that it does not have");
	if (s->out >= p->n_regs || s->out < p->n_operands) wrong(r, "a strip program writes a register that it may not");
}

/* Operands are the inputs behind the op's own, or -1: what the op made. */
static program *take_program(reader *r, int n_anchor, int n_in)
{
	if (!take_int(r, 0, 1)) return NULL;
	program *p = room(r, 1, sizeof *p);
	if (!p) return NULL;
	p->n_operands = take_int(r, 0, PROGRAM_MAX_REGS);
	p->n_regs = take_int(r, p->n_operands, PROGRAM_MAX_REGS);
	p->n_steps = take_int(r, 0, PROGRAM_MAX_STEPS);
	p->result = (uint8_t)take_int(r, 0, p->n_regs ? p->n_regs - 1 : 0);
	for (int i = 0; i < p->n_operands; i++) {
		p->operand[i] = take_int(r, -1, n_in - 1);
		if (p->operand[i] >= 0 && p->operand[i] < n_anchor) wrong(r, "a strip program reads an input of the op before it");
	}
	for (int i = 0; i < p->n_steps && !r->bad; i++) take_program_step(r, p, &p->step[i]);
	return p;
}

static void take_numbers(reader *r, int *out, int n, int low)
{
	for (int i = 0; i < n; i++) out[i] = take_int(r, low, r->p->n_values - 1);
}

static const og_attr_value *take_attributes(reader *r, const og_op *op)
{
	int n = plan_count_attributes(op);
	og_attr_value *attr = room(r, (size_t)n, sizeof *attr);
	for (int i = 0; i < n && !r->bad; i++) take_attribute(r, &attr[i]);
	return attr;
}

/* A step's two parts: plan_check_types sees to their counts. */
static void take_parts(reader *r, plan_step *s)
{
	backend_node *part = room(r, 2, sizeof *part);
	for (int i = 0; i < 2 && !r->bad; i++) {
		backend_node *n = &part[i];
		og_tensor *type = room(r, 1, sizeof *type);
		n->name = s->name;
		n->n_in = take_int(r, 1, s->n_in);
		n->n_anchor_in = take_int(r, 0, n->n_in);
		n->n_out = 1;
		n->op = take_op(r);
		n->attr = take_attributes(r, n->op);
		n->tail = take_program(r, n->n_anchor_in, n->n_in);
		if (type) take_tensor(r, type);
		n->out = type;
	}
	if (r->bad) return;
	s->parts = part;
	if (part[0].n_in < s->n_in) s->in_types[part[0].n_in] = *part[0].out;
}

static void take_step(reader *r, plan_step *s)
{
	s->name = take_string(r);
	s->label = take_string(r);
	const char *tactic = take_string(r);
	s->n_in = take_count(r, 8);
	s->n_out = take_count(r, 8);
	s->n_anchor_in = take_int(r, 0, s->n_in);
	s->in = room(r, (size_t)s->n_in, sizeof *s->in);
	s->out = room(r, (size_t)s->n_out, sizeof *s->out);
	s->in_types = room(r, (size_t)s->n_in, sizeof *s->in_types);
	s->out_types = room(r, (size_t)s->n_out, sizeof *s->out_types);
	s->in_layouts = room(r, (size_t)s->n_in, sizeof *s->in_layouts);
	if (r->bad) return;
	take_numbers(r, s->in, s->n_in, -1);
	take_numbers(r, s->out, s->n_out, -1);
	s->op = take_op(r);
	s->attr = take_attributes(r, s->op);
	s->tail = take_program(r, s->n_anchor_in, s->n_in);
	if (take_int(r, 0, 1)) take_parts(r, s);
	uint64_t packed = take_u64(r);
	s->packed = packed ? take_weights(r, packed) : NULL;
	s->bytes = take_double(r);
	if (r->bad || !s->name || !s->label || !tactic || (!s->op && !s->tail && !s->parts && (s->n_in != 1 || s->n_out != 1))) {
		wrong(r, "a step is incomplete");
		return;
	}
	for (int k = 0; k < s->n_in; k++) {
		if (s->in[k] < 0) continue;
		s->in_types[k] = r->p->values[s->in[k]].type;
		s->in_layouts[k] = r->p->values[s->in[k]].layout;
	}
	for (int k = 0; k < s->n_out; k++) {
		if (s->out[k] < 0) continue;
		s->out_types[k] = r->p->values[s->out[k]].type;
		backend_layout layout = r->p->values[s->out[k]].layout;
		if (k && layout != s->out_layout) wrong(r, "the outputs of a step lie in different ways");
		s->out_layout = layout;
	}
	const char *bad;
	og_status status = plan_check_types(&bad, s, r->p, r->scratch);
	require_sound(r, bad);
	if (status == OG_OK && !bad) status = plan_prepare(r->p, s, tactic);
	if (status == OG_NO_MEMORY) r->no_memory = true;
	if (status != OG_OK) wrong(r, "a step cannot be prepared, as by a plan of another Opgraft; build it again");
	else if (s->kernel.packed_bytes != packed) wrong(r, "packed weights have another size than their kernel reads");
	else if (s->kernel.workspace_bytes > r->p->workspace_bytes) wrong(r, "a step needs more workspace than was planned");
	else require_sound(r, plan_check_layouts(s));
	if (!r->bad) require_sound(r, plan_check_memory(r->p, s));
}

static void take_value(reader *r, plan_value *v)
{
	v->name = take_string(r);
	take_tensor(r, &v->type);
	v->layout = (backend_layout)take_int(r, LAYOUT_PLAIN, LAYOUT_COUNT - 1);
	if (v->layout != LAYOUT_PLAIN && (v->type.rank > LAYOUT_MAX_RANK || (v->type.dtype != OG_F32 && v->type.dtype != r->p->precision.storage))) wrong(r, "a value cannot have its layout");
	v->bytes = r->bad ? 0 : layout_bytes(&v->type, v->layout, r->p->backend->lanes());
	if (v->bytes > PTRDIFF_MAX) wrong(r, "a shape is too large");
	v->place = (plan_place)take_int(r, PLAN_NOWHERE, PLAN_ARENA);
	v->slot = take_int(r, 0, INT32_MAX);
	v->alias = take_int(r, -1, r->p->n_values - 1);
	v->offset = take_u64(r);
	if (take_int(r, 0, 1)) v->type.data = (void *)(uintptr_t)take_weights(r, v->bytes);
	if (!v->name) wrong(r, "a value has no name");
}

static void take_plan(reader *r)
{
	og_plan *p = r->p;
	p->threads = take_int(r, 1, 256);
	p->batch = take_int(r, 0, INT32_MAX);
	p->slab = take_int(r, 0, INT32_MAX);
	p->arena_bytes = take_u64(r);
	p->bound_bytes = take_u64(r);
	p->workspace_bytes = take_u64(r);
	p->weights_bytes = take_u64(r);
	p->precision.storage = (og_dtype)take_int(r, OG_NONE + 1, OG_DTYPE_COUNT - 1);
	if (p->precision.storage != OG_F32 && p->precision.storage != OG_F16 && p->precision.storage != OG_BF16) wrong(r, "its precision is none");
	p->precision.tf32 = take_int(r, 0, 1);
	p->image_bytes = take_u64(r);
	if (p->image_bytes) p->image = take_weights(r, p->image_bytes);
	const char *tactic = take_string(r);
	uint64_t whole_bytes = take_u64(r);
	const void *whole = tactic ? take_weights(r, whole_bytes) : NULL;
	if (p->image_bytes && !p->backend->device) wrong(r, "it has machine code for a device that it is not for");
	if (p->arena_bytes > (uint64_t)1 << 46 || p->workspace_bytes > (uint64_t)1 << 46) wrong(r, "its memory is absurdly large");
	p->n_values = take_count(r, 48);
	p->values = room(r, (size_t)p->n_values, sizeof *p->values);
	for (int i = 0; i < p->n_values && !r->bad; i++) take_value(r, &p->values[i]);
	p->n_inputs = take_count(r, 16);
	p->inputs = room(r, (size_t)p->n_inputs, sizeof *p->inputs);
	p->bound = room(r, (size_t)p->n_inputs, sizeof *p->bound);
	for (int i = 0; i < p->n_inputs && !r->bad; i++) {
		take_numbers(r, &p->inputs[i], 1, 0);
		p->bound[i] = take_int(r, 0, 1) ? take_tensor_data(r) : NULL;
		if (p->bound[i] && tensor_span(p->bound[i]) != p->values[p->inputs[i]].bytes) wrong(r, "a bound input has another size");
	}
	p->n_outputs = take_count(r, 8);
	p->outputs = room(r, (size_t)p->n_outputs, sizeof *p->outputs);
	if (!r->bad) take_numbers(r, p->outputs, p->n_outputs, 0);
	if (!r->bad) require_sound(r, plan_check_values(p));
	p->n_steps = take_count(r, 48);
	p->steps = room(r, (size_t)p->n_steps, sizeof *p->steps);
	for (int i = 0; i < p->n_steps && !r->bad; i++) take_step(r, &p->steps[i]);
	if (!r->bad) require_sound(r, plan_check_slabs(p));
	if (tactic && !r->bad) {
		og_status status = plan_whole(p, tactic);
		if (status == OG_NO_MEMORY) r->no_memory = true;
		if (status != OG_OK || p->whole->kernel.packed_bytes != whole_bytes) wrong(r, "its steps cannot be one");
		else p->whole->packed = whole;
	}
	if (r->at != r->end) wrong(r, "its description has something behind its end");
}

static uint64_t load(const uint8_t *at) { uint64_t x; memcpy(&x, at, sizeof x); return x; }

/* Checks the header of a mapped file; fills what the reader needs. */
static og_status open_plan(reader *r, const file_map *f, const char *path)
{
	uint32_t numbers[2];
	if (f->size < PLAN_FILE_HEADER || memcmp(f->data, PLAN_FILE_MAGIC, 8))
		return base_fail(OG_BAD_FILE, "%s: this is not an Opgraft plan", path);
	memcpy(numbers, f->data + 8, sizeof numbers);
	if (numbers[0] != PLAN_FILE_VERSION || numbers[1] != PLAN_FILE_HEADER) {
		return base_fail(OG_BAD_FILE, "%s: the plan has format %u, this Opgraft reads %d; build it again", path, numbers[0],
		                 PLAN_FILE_VERSION);
	}
	if (load(f->data + 16) != f->size) {
		return base_fail(OG_BAD_FILE, "%s: the plan should have %llu bytes and has %zu: it is damaged", path,
		                 (unsigned long long)load(f->data + 16), f->size);
	}
	uint64_t at = load(f->data + 32), n = load(f->data + 40), weights = load(f->data + 48);
	if (f->size % 32) return base_fail(OG_BAD_FILE, "%s: the plan is damaged: it is not whole blocks", path);
	if (plan_checksum(f->data, f->size) != load(f->data + 24))
		return base_fail(OG_BAD_FILE, "%s: the plan's checksum is wrong: it is damaged", path);
	if (at != PLAN_FILE_HEADER || n > f->size - PLAN_FILE_HEADER || weights % 64 || weights > f->size || weights < at + n)
		return base_fail(OG_BAD_FILE, "%s: the plan's parts lie outside the file", path);
	const char *device = (const char *)f->data + 56, *features = (const char *)f->data + 64;
	if (device[7] || features[15]) return base_fail(OG_BAD_FILE, "%s: the plan's header is malformed", path);
	r->p->backend = plan_backend(device);
	if (!r->p->backend) return base_fail(OG_MISSING, "%s: the plan is for device '%s', which this build lacks", path, device);
	if (strcmp(r->p->backend->features(), features)) {
		return base_fail(OG_MISSING, "%s: the plan was built for %s and this machine runs %s; build it again here", path,
		                 features, r->p->backend->features());
	}
	if (strncmp((const char *)f->data + 80, OG_VERSION, 16))        /* kernels and packed weights belong together */
		return base_fail(OG_BAD_FILE, "%s: the plan was built by Opgraft %.15s, this is %s; build it again", path, f->data + 80, OG_VERSION);
	r->at = f->data + at;
	r->end = r->at + n;
	r->weights = f->data + weights;
	r->weights_size = f->size - weights;
	return OG_OK;
}

static og_status read_plan(og_plan **out, const file_map *f, const char *name)
{
	og_plan *p = plan_create(NULL, 1);
	reader r = { .p = p, .scratch = graph_model_create() };
	og_status status = p && r.scratch ? open_plan(&r, f, name) : base_no_memory();
	if (status == OG_OK) {
		take_plan(&r);
		if (r.no_memory) status = base_no_memory();
		else if (r.lacks != OG_OK) status = base_fail(r.lacks, "%s: %s", name, r.bad);
		else if (r.bad) status = base_fail(OG_BAD_FILE, "%s: the plan is damaged: %s", name, r.bad);
	}
	graph_model_destroy(r.scratch);
	if (status == OG_OK) *out = p;
	else og_plan_free(p);
	return status;
}

og_status plan_load_memory(og_plan **out, const uint8_t *data, size_t size, const char *name)
{
	*out = NULL;
	return read_plan(out, &(file_map){ data, size }, name);
}

og_status og_plan_load(og_plan **out, const char *path)
{
	file_map f;
	*out = NULL;
	TRY(file_open(&f, path));
	og_status status = read_plan(out, &f, path);
	if (status == OG_OK) (*out)->file = f;
	else file_close(&f);
	return status;
}
