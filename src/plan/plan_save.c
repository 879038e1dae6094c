/* plan_save.c -- a plan into a file: plan_file.h has its form. */
#include <stdio.h>

#include "plan/plan_file.h"
#include "schema/schema.h"

/* ---- writing the description ---------------------------------------------------------------- */

typedef struct writer { text out; uint64_t weights; } writer;

static void put(writer *w, const void *p, size_t n) { text_addn(&w->out, p, n); }
static void put_u64(writer *w, uint64_t x) { put(w, &x, sizeof x); }
static void put_int(writer *w, int64_t x) { put(w, &x, sizeof x); }
static void put_double(writer *w, double x) { put(w, &x, sizeof x); }

static void put_string(writer *w, const char *s)
{
	size_t n = s ? strlen(s) + 1 : 0;                       /* with its NUL; 0: NULL */
	put_u64(w, n);
	put(w, s, n);
}

/* Reserves room in the weights and writes its offset. */
static void put_weights(writer *w, size_t bytes)
{
	put_u64(w, w->weights);
	w->weights += (bytes + 63) & ~(uint64_t)63;
}

static void put_tensor(writer *w, const og_tensor *t)
{
	put_int(w, t->dtype);
	put_int(w, t->rank);
	for (int i = 0; i < t->rank; i++) put_int(w, t->dims[i]);
}

static void put_tensor_data(writer *w, const og_tensor *t)
{
	put_tensor(w, t);
	int64_t count = 0;
	base_count(t->dims, t->rank, &count);
	size_t n = t->data ? base_dtype_span(t->dtype, (uint64_t)count) : 0;
	put_u64(w, n);
	put(w, t->data, n);
}

static void put_attribute(writer *w, const og_attr_value *v)
{
	put_int(w, v->present);
	put_int(w, v->i);
	put_double(w, (double)v->f);
	put_string(w, v->s);
	put_int(w, v->n);
	put_int(w, (v->ints ? 1 : 0) | (v->floats ? 2 : 0) | (v->t ? 4 : 0));
	if (v->ints) put(w, v->ints, (size_t)v->n * sizeof *v->ints);
	if (v->floats) put(w, v->floats, (size_t)v->n * sizeof *v->floats);
	if (v->t) put_tensor_data(w, v->t);
}

static void put_op(writer *w, const og_op *op)
{
	put_string(w, op ? op->name : NULL);
	if (!op) return;
	put_string(w, schema_domain(op));
	put_int(w, op->since);
	put_u64(w, plan_text_hash(op));
}

static void put_program(writer *w, const program *p)
{
	put_int(w, p != NULL);
	if (!p) return;
	put_int(w, p->n_operands);
	put_int(w, p->n_regs);
	put_int(w, p->n_steps);
	put_int(w, p->result);
	for (int i = 0; i < p->n_operands; i++) put_int(w, p->operand[i]);
	for (int i = 0; i < p->n_steps; i++) {
		const program_step *s = &p->step[i];
		put_op(w, s->op);
		put(w, s->in, sizeof s->in);
		put(w, &s->out, sizeof s->out);
		put(w, s->attr, sizeof s->attr);
	}
}

/* What of a part is not in its step. */
static void put_part(writer *w, const backend_node *n)
{
	put_int(w, n->n_in);
	put_int(w, n->n_anchor_in);
	put_op(w, n->op);
	for (int i = 0; i < plan_count_attributes(n->op); i++) put_attribute(w, &n->attr[i]);
	put_program(w, n->tail);
	put_tensor(w, n->out);
}

static void put_step(writer *w, const plan_step *s)
{
	put_string(w, s->name);
	put_string(w, s->label);
	put_string(w, s->kernel.tactic);
	put_int(w, s->n_in);
	put_int(w, s->n_out);
	put_int(w, s->n_anchor_in);
	for (int i = 0; i < s->n_in; i++) put_int(w, s->in[i]);
	for (int i = 0; i < s->n_out; i++) put_int(w, s->out[i]);
	put_op(w, s->op);
	for (int i = 0; i < plan_count_attributes(s->op); i++) put_attribute(w, &s->attr[i]);
	put_program(w, s->tail);
	put_int(w, s->parts != NULL);
	for (int i = 0; s->parts && i < 2; i++) put_part(w, &s->parts[i]);
	put_u64(w, s->packed ? s->kernel.packed_bytes : 0);
	if (s->packed) put_weights(w, s->kernel.packed_bytes);
	put_double(w, s->bytes);
}

static void put_value(writer *w, const og_plan *p, int i)
{
	const plan_value *v = &p->values[i];
	put_string(w, v->name);
	put_tensor(w, &v->type);
	put_int(w, v->layout);
	put_int(w, v->place);
	put_int(w, v->slot);
	put_int(w, v->alias < 0 ? -1 : plan_root(p, i));
	put_u64(w, v->offset);
	put_int(w, v->place == PLAN_CONSTANT && v->type.data);
	if (v->place == PLAN_CONSTANT && v->type.data) put_weights(w, v->bytes);
}

static void describe(writer *w, const og_plan *p)
{
	put_int(w, p->threads);
	put_int(w, p->batch);
	put_int(w, p->slab);
	put_u64(w, p->arena_bytes);
	put_u64(w, p->bound_bytes);
	put_u64(w, p->workspace_bytes);
	put_u64(w, p->weights_bytes);
	put_int(w, p->precision.storage);
	put_int(w, p->precision.tf32);
	put_u64(w, p->image_bytes);
	if (p->image_bytes) put_weights(w, p->image_bytes);
	put_string(w, p->whole ? p->whole->kernel.tactic : NULL);
	put_u64(w, p->whole ? p->whole->kernel.packed_bytes : 0);
	if (p->whole) put_weights(w, p->whole->kernel.packed_bytes);
	put_int(w, p->n_values);
	for (int i = 0; i < p->n_values; i++) put_value(w, p, i);
	put_int(w, p->n_inputs);
	for (int i = 0; i < p->n_inputs; i++) {
		put_int(w, p->inputs[i]);
		put_int(w, p->bound[i] != NULL);
		if (p->bound[i]) put_tensor_data(w, p->bound[i]);
	}
	put_int(w, p->n_outputs);
	for (int i = 0; i < p->n_outputs; i++) put_int(w, p->outputs[i]);
	put_int(w, p->n_steps);
	for (int i = 0; i < p->n_steps; i++) put_step(w, &p->steps[i]);
}

og_status plan_digest(uint64_t *out, const og_plan *p)
{
	writer w = { .weights = 0 };
	describe(&w, p);
	*out = w.out.failed ? 0 : base_hash(w.out.data, w.out.length, PLAN_FILE_VERSION);
	og_status status = w.out.failed ? base_no_memory() : OG_OK;
	text_free(&w.out);
	return status;
}

/* ---- the weights, in the order in which describe named them ---------------------------------- */

typedef struct sink { file_out *file; plan_checksum_stream sum; } sink;

/* Emits n bytes and zeros up to a multiple of 64. */
static void emit(sink *s, const void *data, size_t n)
{
	uint8_t tail[64] = { 0 };
	size_t whole = n & ~(size_t)63;
	plan_checksum_add(&s->sum, data, whole);
	if (s->file) file_write(s->file, data, whole);
	if (whole == n) return;
	memcpy(tail, (const uint8_t *)data + whole, n - whole);
	plan_checksum_add(&s->sum, tail, sizeof tail);
	if (s->file) file_write(s->file, tail, sizeof tail);
}

static void emit_body(sink *s, const og_plan *p, const uint8_t *header, const text *description)
{
	plan_checksum_add(&s->sum, header + PLAN_FILE_CHECKED_FROM, PLAN_FILE_HEADER - PLAN_FILE_CHECKED_FROM);
	emit(s, description->data, description->length);
	if (p->image_bytes) emit(s, p->image, p->image_bytes);
	if (p->whole) emit(s, p->whole->packed, p->whole->kernel.packed_bytes);
	for (int i = 0; i < p->n_values; i++) {
		const plan_value *v = &p->values[i];
		if (v->place == PLAN_CONSTANT && v->type.data) emit(s, v->type.data, v->bytes);
	}
	for (int i = 0; i < p->n_steps; i++)
		if (p->steps[i].packed) emit(s, p->steps[i].packed, p->steps[i].kernel.packed_bytes);
}

static void store(uint8_t *at, uint64_t x) { memcpy(at, &x, sizeof x); }

og_status og_plan_save(const og_plan *p, const char *path)
{
	writer w = { .weights = 0 };
	uint8_t header[PLAN_FILE_HEADER] = { 0 };
	describe(&w, p);
	if (w.out.failed) {
		text_free(&w.out);
		return base_no_memory();
	}
	uint64_t weights = PLAN_FILE_HEADER + ((w.out.length + 63) & ~(uint64_t)63);
	uint32_t numbers[2] = { PLAN_FILE_VERSION, PLAN_FILE_HEADER };
	memcpy(header, PLAN_FILE_MAGIC, 8);
	memcpy(header + 8, numbers, sizeof numbers);
	store(header + 16, weights + w.weights);
	store(header + 32, PLAN_FILE_HEADER);
	store(header + 40, w.out.length);
	store(header + 48, weights);
	snprintf((char *)header + 56, 8, "%s", p->backend->name);
	snprintf((char *)header + 64, 16, "%s", p->backend->features());
	snprintf((char *)header + 80, 16, "%s", OG_VERSION);
	sink measure = { .file = NULL };
	emit_body(&measure, p, header, &w.out);
	store(header + 24, plan_checksum_end(&measure.sum));
	file_out *file;
	og_status status = file_create(&file, path);
	if (status == OG_OK) {
		sink out = { .file = file };
		file_write(file, header, PLAN_FILE_HEADER);
		emit_body(&out, p, header, &w.out);
		status = file_commit(file);
	}
	text_free(&w.out);
	return status;
}

