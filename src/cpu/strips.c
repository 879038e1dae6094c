/* strips.c -- elementwise programs over stretches of the output that stay in L1, and nodes that are nothing else. */
#include "cpu/cpu.h"

/* ---- views ---------------------------------------------------------------------------------- */

bool cpu_view_make(cpu_view *view, int operand_rank, const int64_t *operand_dims, int rank, const int64_t *dims)
{
	int64_t stride = 1;
	int n = 0;
	if (operand_rank > rank) return false;
	for (int i = rank - 1, k = operand_rank - 1; i >= 0; i--, k--) {
		int64_t have = k < 0 ? 1 : operand_dims[k];
		if (have != dims[i] && have != 1) return false;
		int64_t step = have == 1 ? 0 : stride;
		stride *= have;
		if (dims[i] == 1) continue;
		if (n && step == view->stride[n - 1] * view->size[n - 1]) {
			view->size[n - 1] *= dims[i];
		} else {
			view->size[n] = dims[i];
			view->stride[n++] = step;
		}
	}
	if (n == 0) {
		view->size[0] = 1;
		view->stride[0] = 0;
		n = 1;
	}
	view->rank = n;
	return true;
}

int64_t cpu_view_at(const cpu_view *view, int64_t at)
{
	int64_t offset = 0;
	for (int i = 0; i < view->rank && at; i++) {
		offset += at % view->size[i] * view->stride[i];
		at /= view->size[i];
	}
	return offset;
}

/* Writes n elements of a pattern of `period` elements, from its element `phase` on. */
static void repeat(char *to, const char *pattern, size_t bytes, int64_t period, int64_t phase, int64_t n)
{
	int64_t first = period - phase < n ? period - phase : n;
	memcpy(to, pattern + (size_t)phase * bytes, (size_t)first * bytes);
	if (first == n) return;
	to += (size_t)first * bytes;
	n -= first;
	int64_t done = period < n ? period : n;
	memcpy(to, pattern, (size_t)done * bytes);
	for (int64_t more; done < n; done += more) {
		more = done < n - done ? done : n - done;
		memcpy(to + (size_t)done * bytes, to, (size_t)more * bytes);
	}
}

/* The innermost elements of the operand that follow each other, and how often they come before others do. */
static int64_t period_of(const cpu_view *view) { return view->stride[0] == 0 ? 1 : view->size[0]; }
static int64_t times_of(const cpu_view *view)
{
	return view->stride[0] == 0 ? view->size[0] : view->rank > 1 && view->stride[1] == 0 ? view->size[1] : 1;
}

const void *cpu_view_read(const cpu_view *view, const void *data, size_t bytes, int64_t at, int64_t n, void *buffer)
{
	int64_t period = period_of(view), span = period * times_of(view), position = at % span;
	if (span == period && n <= span - position) return (const char *)data + (size_t)cpu_view_at(view, at) * bytes;
	for (char *to = buffer; n > 0; position = 0) {
		int64_t run = span - position < n ? span - position : n;
		const char *pattern = (const char *)data + (size_t)cpu_view_at(view, at - position) * bytes;
		repeat(to, pattern, bytes, period, position % period, run);
		to += (size_t)run * bytes;
		at += run;
		n -= run;
	}
	return buffer;
}

/* ---- programs ------------------------------------------------------------------------------- */

/* The tensor with ones in front up to that rank. */
static og_tensor extended(const og_tensor *t, int rank)
{
	og_tensor to = *t;
	int more = rank - t->rank;
	if (more <= 0) return to;
	to.rank = rank;
	for (int i = 0; i < rank; i++) to.dims[i] = i < more ? 1 : t->dims[i - more];
	return to;
}

og_status cpu_strips_make(const cpu_strips **out, const cpu_request *r, backend_layout layout)
{
	const backend_node *node = r->node;
	const program *p = node->tail;
	*out = NULL;
	if (!p) return OG_OK;
	cpu_strips *s = arena_alloc(r->a, sizeof *s);
	NEED(s);
	s->program = p;
	s->bytes = (size_t)p->n_regs * CPU_STRIP * sizeof(float);
	for (int k = 0; k < p->n_steps; k++) {
		if (p->step[k].out == p->result) s->n_steps = k + 1;
		s->map[k] = p->step[k].op->map[r->kernels->isa];
	}
	og_tensor out_in_memory;
	layout_dims(&out_in_memory, node->out, layout, r->kernels->lanes);
	for (int k = 0; k < p->n_operands; k++) {
		og_tensor t = extended(p->operand[k] < 0 ? node->out : &node->in[p->operand[k]], node->out->rank);
		layout_dims(&t, &t, layout, r->kernels->lanes);
		if (t.dtype != OG_F32 || !cpu_view_make(&s->view[k], t.rank, t.dims, out_in_memory.rank, out_in_memory.dims))
			return base_fail(OG_UNSUPPORTED, "node '%s': operand %d of its elementwise part is %s or does not "
			                 "broadcast to its output; build without fusing", node->name, k, base_dtype_name(t.dtype));
	}
	*out = s;
	return OG_OK;
}

/* An operand that cpu_strips_begin has put into its buffer. */
static bool is_filled(const cpu_strips *s, int k)
{
	return s->program->operand[k] >= 0 && cpu_view_is_scalar(&s->view[k]);
}

void cpu_strips_begin(const cpu_strips *s, const og_tensor *const *in, float *buffers)
{
	for (int k = 0; k < s->program->n_operands; k++)
		if (is_filled(s, k))
			repeat((char *)(buffers + k * CPU_STRIP), in[s->program->operand[k]]->data, sizeof(float), 1, 0, CPU_STRIP);
}

/* Elements [at, at + n) of an operand. *held: the pattern that repeats in the buffer, or NULL: an operand such as one vector
 * for a whole row of positions is spread out once, not for each strip. */
static const void *read_operand(const cpu_view *view, const float *data, int64_t at, int64_t n, float *buffer, const float **held)
{
	int64_t period = period_of(view), span = period * times_of(view), left = span - at % span;
	if (span == period || at % period || n > left) {
		*held = NULL;
		return cpu_view_read(view, data, sizeof *data, at, n, buffer);
	}
	const float *pattern = data + cpu_view_at(view, at);
	if (*held != pattern) repeat((char *)buffer, (const char *)pattern, sizeof *data, period, 0, left < CPU_STRIP ? left : CPU_STRIP);
	*held = pattern;
	return buffer;
}

/* At most CPU_STRIP elements. */
static void run_strip(const cpu_strips *s, const og_tensor *const *in, int64_t at, int64_t n, float *y, float *buffers,
                      const float **held)
{
	const program *p = s->program;
	const void *reg[PROGRAM_MAX_REGS];
	for (int k = 0; k < p->n_operands; k++) {
		float *buffer = buffers + k * CPU_STRIP;
		if (p->operand[k] < 0) reg[k] = y;
		else if (is_filled(s, k)) reg[k] = buffer;
		else reg[k] = read_operand(&s->view[k], in[p->operand[k]]->data, at, n, buffer, &held[k]);
	}
	if (s->n_steps == 0 && reg[p->result] != y) memcpy(y, reg[p->result], (size_t)n * sizeof *y);
	for (int i = 0; i < s->n_steps; i++) {
		const program_step *step = &p->step[i];
		const void *x[OG_MAX_IN];
		for (int k = 0; k < step->op->map_inputs; k++) x[k] = reg[step->in[k]];
		float *to = i == s->n_steps - 1 ? y : buffers + step->out * CPU_STRIP;
		s->map[i]((size_t)n, to, x, step->attr);
		reg[step->out] = to;
	}
}

void cpu_strips_run(const cpu_strips *s, const og_tensor *const *in, int64_t at, int64_t n, float *y, float *buffers)
{
	const float *held[PROGRAM_MAX_REGS] = { NULL };
	for (int64_t i = 0; i < n; i += CPU_STRIP)
		run_strip(s, in, at + i, n - i < CPU_STRIP ? n - i : CPU_STRIP, y + i, buffers, held);
}

const float *cpu_strips_other(const cpu_strips *s, const og_tensor *const *in)
{
	for (int k = 0; k < s->program->n_operands; k++)
		if (s->program->operand[k] >= 0 && s->view[k].rank == 1 && s->view[k].stride[0] == 1) return in[s->program->operand[k]]->data;
	return NULL;
}

/* ---- nodes without an anchor ----------------------------------------------------------------- */

enum { STRIPS_PER_TASK = 16 };

typedef struct strips_state {
	const cpu_strips *strips;
	int slots;
	int64_t n;
} strips_state;

typedef struct strips_run { const strips_state *s; const backend_run *run; } strips_run;

static void strips_task(void *arg, int64_t task, int slot)
{
	const strips_run *r = arg;
	const strips_state *s = r->s;
	int64_t at = task * STRIPS_PER_TASK * CPU_STRIP, n = STRIPS_PER_TASK * CPU_STRIP;
	float *buffers = (float *)((char *)r->run->workspace + (size_t)slot * s->strips->bytes);
	if (n > s->n - at) n = s->n - at;
	cpu_strips_begin(s->strips, r->run->in, buffers);
	cpu_strips_run(s->strips, r->run->in, at, n, (float *)r->run->out[0]->data + at, buffers);
}

static og_status strips_run_node(const backend_kernel *k, const backend_run *run)
{
	const strips_state *s = k->state;
	int64_t task = STRIPS_PER_TASK * CPU_STRIP;
	cpu_tasks(run->threads, s->slots, (s->n + task - 1) / task, strips_task, &(strips_run){ s, run });
	return OG_OK;
}

/* That of the first input which has the output's shape and is not plain. */
static backend_layout layout_of(const backend_node *node)
{
	for (int k = 0; k < node->n_in; k++)
		if (layout_of_input(node, k) != LAYOUT_PLAIN && og_count(&node->in[k]) == og_count(node->out)) return node->in_layout[k];
	return LAYOUT_PLAIN;
}

og_status cpu_strips_only(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	if (node->op || !node->tail || !cpu_is_tactic(r, "strips")) return OG_NO;
	strips_state *s = arena_alloc(r->a, sizeof *s);
	NEED(s);
	backend_layout layout = layout_of(node);
	const backend_layout *layouts = layout_wanted(r->a, r->node, layout, layout);
	NEED(layouts);
	TRY(cpu_strips_make(&s->strips, r, layout));
	og_tensor in_memory;
	layout_dims(&in_memory, node->out, layout, r->kernels->lanes);
	s->n = og_count(&in_memory);
	double work = (double)s->n * 16.0 * node->tail->n_steps;
	s->slots = cpu_slots(work, r->threads);
	*out = (backend_kernel){ .tactic = "strips", .run = strips_run_node, .state = s, .in_place = true,
	                         .workspace_bytes = (size_t)s->slots * s->strips->bytes,
	                         .flops = (double)s->n * node->tail->n_steps,
	                         .in_layout = layouts, .out_layout = layout, .per_sample = true,
	                         .cost = (double)s->n * node->tail->n_steps / s->slots };
	return OG_OK;
}
