/* build.c -- from a model to a plan of one form: copied, its shapes bound, optimised, lowered. */
#include "optimize/optimize.h"
#include "plan/tactics.h"
#include "schema/schema.h"

enum { WHOLE_MOST = 16 << 20 };          /* bytes of constants above which no network runs as one step */

static const backend *const backends[] = { &cpu_backend, &cuda_backend };

static og_status find_backend(const backend **out, const char *name)
{
	for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
		if (!strcmp(backends[i]->name, name)) {
			*out = backends[i];
			return OG_OK;
		}
	return base_fail(OG_MISSING, "device '%s' is not part of this build; use cpu or cuda", name);
}

const backend *plan_backend(const char *name)
{
	const backend *b = NULL;
	return find_backend(&b, name) == OG_OK ? b : NULL;
}

/* ---- binding shapes -------------------------------------------------------------------------- */

static og_status bind_symbol(og_dim *sizes, const og_model *m, og_dim symbol, int64_t size, const char *where)
{
	int k = (int)(-2 - symbol);
	if (sizes[k] >= 0 && sizes[k] != size) {
		return base_fail(OG_USAGE, "%s: dimension '%s' is %lld elsewhere and %lld here", where, m->symbols[k].name,
		                 (long long)sizes[k], (long long)size);
	}
	sizes[k] = size;
	return OG_OK;
}

static og_status bind_input(og_model *m, graph_value *v, const og_binding *b, og_dim *sizes)
{
	const og_tensor *t = b->value;
	int rank = t ? t->rank : b->rank;
	const int64_t *dims = t ? t->dims : b->dims;
	text want = { 0 };
	graph_print_type(&want, m, v->dtype, v->rank, v->dims);
	char *type = text_take(&want);
	NEED(type);
	og_status status = OG_OK;
	if (t && v->dtype != OG_NONE && t->dtype != v->dtype) {
		status = base_fail(OG_USAGE, "input '%s' is %s, not %s", v->name, type, base_dtype_name(t->dtype));
	} else if (rank < 0 || rank > OG_MAX_RANK || (v->rank >= 0 && v->rank != rank)) {
		status = base_fail(OG_USAGE, "input '%s' is %s: %d dimensions do not fit", v->name, type, rank);
	}
	for (int i = 0; status == OG_OK && i < rank; i++) {
		og_dim have = v->rank >= 0 ? v->dims[i] : GRAPH_DIM_UNKNOWN;
		if (dims[i] < 0 || (have >= 0 && have != dims[i])) {
			status = base_fail(OG_USAGE, "input '%s' is %s: size %lld of dimension %d does not fit", v->name, type,
			                   (long long)dims[i], i);
		} else if (have < GRAPH_DIM_UNKNOWN) {
			status = bind_symbol(sizes, m, have, dims[i], v->name);
		}
	}
	base_free(type);
	if (status != OG_OK) return status;
	v->rank = rank;
	for (int i = 0; i < rank; i++) v->dims[i] = dims[i];
	if (t) v->dtype = t->dtype;
	return OG_OK;
}

/* ---- inputs whose value decides shapes ------------------------------------------------------ */

static void mark_deciding(graph_value *v)
{
	if (!v || v->mark) return;
	v->mark = v;
	const graph_node *n = v->producer;
	if (!n || !strcmp(n->type, "Shape") || !strcmp(n->type, "Size")) return;     /* these read shapes only */
	for (int i = 0; i < n->n_in; i++) mark_deciding(n->in[i]);
}

/* Marks every value that some node's shape depends on. */
static og_status mark_all_deciding(graph *g)
{
	for (graph_value *v = g->first_value; v; v = v->next) v->mark = NULL;
	for (graph_node *n = g->first; n; n = n->next) {
		if (!n->op) continue;
		schema_args args;
		TRY(schema_inputs(&args, n->op));
		for (int i = 0; i < n->n_in && args.n; i++)
			if (args.arg[i < args.n ? i : args.n - 1].value_needed) mark_deciding(n->in[i]);
	}
	return OG_OK;
}

/* ---- one concrete shape for every value ------------------------------------------------------ */

static og_status bind_shapes(og_model *m, const og_build_options *o)
{
	graph *g = m->main;
	og_dim *sizes = base_new((size_t)m->n_symbols + 1, sizeof *sizes);
	NEED(sizes);
	for (int i = 0; i < m->n_symbols; i++) sizes[i] = -1;
	og_status status = mark_all_deciding(g);
	for (int i = 0; status == OG_OK && i < o->n_bindings; i++) {
		const og_binding *b = &o->bindings[i];
		graph_value *v = graph_value_find(g, b->name);
		if (v && v->is_input) {
			status = bind_input(m, v, b, sizes);
			if (status != OG_OK || !b->value || !v->mark) continue;
			const og_tensor *copy = graph_tensor_copy(m->a, b->value);
			status = copy ? graph_constant_set(v, copy) : base_no_memory();
			continue;
		}
		int k = 0;
		while (k < m->n_symbols && strcmp(m->symbols[k].name, b->name)) k++;
		if (k < m->n_symbols && b->rank == 1 && b->dims[0] >= 0) status = bind_symbol(sizes, m, -2 - k, b->dims[0], b->name);
		else status = base_fail(OG_USAGE, "'%s' is neither an input nor a named dimension of this network", b->name);
	}
	for (graph_value *v = g->first_value; status == OG_OK && v; v = v->next) {
		if (v->constant) continue;
		if (!v->is_input) {                    /* inferred anew from what is known now */
			v->rank = -1;
			continue;
		}
		for (int i = 0; i < v->rank; i++) {
			if (v->dims[i] < GRAPH_DIM_UNKNOWN) {
				og_dim size = sizes[-2 - v->dims[i]];
				v->dims[i] = size >= 0 ? size : 1;
			} else if (v->dims[i] < 0) {
				v->dims[i] = 1;
			}
		}
	}
	base_free(sizes);
	return status;
}

size_t plan_constant_bytes(const og_model *m)
{
	size_t sum = 0;
	for (const graph_value *v = m->main->first_value; v; v = v->next)
		if (v->constant && v->dtype != OG_STRING) sum += base_dtype_span(v->dtype, (uint64_t)og_count(v->constant));
	return sum;
}

/* What "fp32", "tf32", "fp16" and "bf16" mean; the CPU has fp32 alone. */
static og_status find_precision(plan_precision *out, const char *name, const backend *device)
{
	static const struct { const char *name; plan_precision is; } known[] = {
		{ "fp32", { OG_F32, false } }, { "tf32", { OG_F32, true } }, { "fp16", { OG_F16, false } }, { "bf16", { OG_BF16, false } },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(known[i].name, name) || (i > 0 && !device->device)) continue;
		*out = known[i].is;
		return OG_OK;
	}
	return base_fail(OG_UNSUPPORTED, "precision '%s' is not supported on device %s; use %s", name, device->name,
	                 device->device ? "fp32, tf32, fp16 or bf16" : "fp32");
}

/* A plan of one step for the whole network; OG_NO: it is not for this network. */
static og_status build_whole(og_plan **out, const og_model *m, const backend *device, const plan_form *form, plan_precision precision, tactics *t)
{
	plan_form plain = *form;
	plain.last = false;
	if (!device->whole || precision.storage != OG_F32 || plan_constant_bytes(m) > WHOLE_MOST) return OG_NO;
	tactics_plain(t, true);
	og_status status = plan_lower(out, m, device, 1, &plain, precision, t);
	tactics_plain(t, false);
	if (status == OG_OK) status = plan_memory(*out);
	if (status == OG_OK) status = plan_whole(*out, NULL);
	if (status == OG_OK) return OG_OK;
	og_plan_free(*out);
	*out = NULL;
	return status;
}

/* Compiles the kernels that the steps asked for. */
static og_status compile(og_plan *p)
{
	const void *image;
	if (!p->code) return OG_OK;
	TRY(p->backend->device->code_compile(p->code, p->a, &image, &p->image_bytes));
	p->code = NULL;
	p->image = image;
	return OG_OK;
}

/* Makes the inputs those of form->slab samples. OG_NO when they do not share a batch that is larger. */
static og_status cut_batch(graph *g, plan_form *form)
{
	form->batch = 0;
	for (int i = 0; i < g->n_inputs; i++) {
		const graph_value *v = g->inputs[i];
		if (v->constant && v->source.p) continue;      /* an initializer listed as input */
		if (v->constant || v->rank < 1 || (form->batch && v->dims[0] != form->batch)) return OG_NO;
		form->batch = v->dims[0];
	}
	if (form->batch <= form->slab) return OG_NO;
	for (int i = 0; i < g->n_inputs; i++)
		if (!g->inputs[i]->constant) g->inputs[i]->dims[0] = form->slab;
	return OG_OK;
}

og_status plan_model(og_model **out, const og_model *model, const og_build_options *o, const backend *device, plan_form *form)
{
	optimize_options opt = { .no_fuse = o->no_fuse != 0, .takes_tail = plan_takes_tail, .takes_arg = (void *)(uintptr_t)device,
	                         .dump = o->dump, .dump_arg = o->dump_arg };
	TRY(graph_model_copy(out, model));
	og_status status = bind_shapes(*out, o);
	if (status == OG_OK && form->slab) status = cut_batch((*out)->main, form);
	if (status == OG_OK) status = schema_infer((*out)->main);
	if (status == OG_OK) status = optimize_run(*out, &opt);
	if (status == OG_OK) return OG_OK;
	graph_model_destroy(*out);
	*out = NULL;
	return status;
}

og_status plan_of_form(og_plan **out, const og_model *m, const og_build_options *o, const backend *device, int threads,
                       const plan_form *form)
{
	tactics *t;
	plan_precision precision;
	*out = NULL;
	TRY(find_precision(&precision, o->precision ? o->precision : "fp32", device));
	TRY(tactics_open(&t, device, form->slab ? 1 : threads, o->timing, o->timing_cache, plan_constant_bytes(m)));
	plan_form lowered = *form;
	lowered.apart = o->no_fuse != 0;
	og_status status = o->no_fuse ? OG_NO : build_whole(out, m, device, form, precision, t), counted = OG_OK;
	bool is_whole = status == OG_OK;
	if (status == OG_NO) counted = plan_count_bytes(t, o->memory, m, device, threads, &lowered, precision);
	if (counted != OG_OK) status = counted;
	if (status == OG_NO) status = plan_lower(out, m, device, threads, &lowered, precision, t);
	og_status closed = tactics_close(t, status == OG_OK);
	if (status == OG_OK) status = closed;
	if (status == OG_OK && !is_whole) status = plan_memory(*out);
	if (status == OG_OK) status = compile(*out);
	if (status == OG_OK) return OG_OK;
	og_plan_free(*out);
	*out = NULL;
	return status;
}

/* ---- the same network with another batch ----------------------------------------------------- */

static bool same_graphs(const graph *a, const graph *b);

/* A view's other inputs are shapes, in which the batch may stand. */
static bool same_nodes(const graph_node *a, const graph_node *b)
{
	if (a->op != b->op || strcmp(a->type, b->type) || a->n_in != b->n_in || a->n_out != b->n_out || a->n_attrs != b->n_attrs)
		return false;
	bool view = a->op && (a->op->flags & OG_VIEW_OF_INPUT);
	for (int k = 0; k < a->n_in; k++) {
		const graph_value *x = a->in[k], *y = b->in[k];
		if (!x != !y || (x && !x->constant != !y->constant)) return false;
		if (x && x->constant && !(view && k > 0) && !graph_tensor_same(x->constant, y->constant)) return false;
	}
	for (int i = 0; i < a->n_attrs; i++) {
		const graph_attr *x = &a->attrs[i], *y = graph_attr_find(b, x->name);
		if (!y || x->type != y->type) return false;
		if (x->type == OG_ATTR_TENSOR ? !graph_tensor_same(x->t, y->t) :
		    x->type == OG_ATTR_GRAPH ? !same_graphs(x->g, y->g) : !graph_attr_same_plain(x, y))
			return false;
	}
	return true;
}

static bool same_graphs(const graph *a, const graph *b)
{
	const graph_node *x = a->first, *y = b->first;
	for (; x && y; x = x->next, y = y->next)
		if (!same_nodes(x, y)) return false;
	if (x || y || a->n_outputs != b->n_outputs) return false;
	for (int i = 0; i < a->n_outputs; i++) {
		const graph_value *v = a->outputs[i], *w = b->outputs[i];
		if (v->dtype != w->dtype || v->rank != w->rank || v->constant || w->constant) return false;
		for (int d = 1; d < v->rank; d++)
			if (v->dims[d] != w->dims[d]) return false;
	}
	return true;
}

bool plan_same_network(const og_model *a, const og_model *b) { return same_graphs(a->main, b->main); }
