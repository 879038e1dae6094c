/* move.c -- ops that only move elements.
 *
 * What such an op does is found by running its own definition on the numbers of the elements. Where the number of an
 * output's element is a sum of one term for each of its indices, and nothing at some of them, the terms are all that
 * the kernel needs: a table for each dimension, which lies in the packed bytes. So the kernel's text depends on
 * shapes alone. Concat reads several inputs and is by itself. */
#include "cuda/cuda.h"

enum { MOST = 1 << 27, NOTHING = INT32_MIN };    /* elements that are numbered; a term where there is no element */
/* What begins the packed bytes of an output: element at all indices 0, less its terms; whether packs move whole;
 * what stands for nothing. */
enum { BASE, WHOLE, FILL, HEADER = 4 };

typedef struct route {
	int rank, wide;                      /* dimensions but those of size 1, innermost first; elements of a pack */
	int64_t size[OG_MAX_RANK], count;
	int axis[OG_MAX_RANK];               /* the dimension of the output that each is */
	size_t at;                           /* in the packed bytes */
	int32_t *header, *table[OG_MAX_RANK];        /* while the plan is built */
} route;
typedef struct mover { cuda_launches launches; route routes[CUDA_OUT]; int n; size_t bytes; } mover;

static const char *const names[] = {
	"Transpose", "Slice", "Split", "Pad", "Expand", "Gather", "Tile", "DepthToSpace", "SpaceToDepth", "Identity",
	"Reshape", "Flatten",
	"Squeeze", "Unsqueeze", "CenterCropPad", "ReverseSequence", "Resize", "Upsample",
};

const char *cuda_bits_of(size_t bytes)
{
	return bytes == 1 ? "unsigned char" : bytes == 2 ? "unsigned short"
	     : bytes == 4 ? "unsigned" : bytes == 8 ? "unsigned long long" : NULL;
}

static bool takes(const backend_node *node, const cuda_request *r)
{
	bool known = false;
	if (!node->op || node->op->domain || node->tail || node->n_in < 1 || node->n_out > CUDA_LAUNCHES ||
	    node->in[0].dtype == OG_NONE)
		return false;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) known |= !strcmp(node->op->name, names[i]);
	bool samples = !strcmp(node->op->name, "Resize") || !strcmp(node->op->name, "Upsample");
	if (!known || (samples && cuda_attr(node, "mode")->i != 0)) return false;
	for (int k = 1; k < node->n_in; k++)
		if (cuda_has(node, k) && !node->in[k].data && !r->loading) return false;
	for (int k = 0; k < node->n_out; k++)
		if (node->out[k].dtype != OG_NONE &&
		    (node->out[k].dtype != node->in[0].dtype || og_count(&node->out[k]) > MOST))
			return false;
	return cuda_bits_of(og_dtype_bytes(node->in[0].dtype)) && og_count(&node->in[0]) <= MOST && og_count(&node->in[0]) > 0;
}

/* ---- finding the terms -------------------------------------------------------------------------- */

/* The value that Pad fills with, as it stands in memory. */
static void find_fill(int32_t *header, const backend_node *node)
{
	const og_tensor *t = !strcmp(node->op->name, "Pad") && cuda_has(node, 2) ? &node->in[2] : NULL;
	const og_attr_value *value = cuda_attr(node, "value");
	float f = value ? value->f : 0.0f;
	og_dtype type = node->in[0].dtype;
	uint16_t half;
	if (t && t->dtype == type) {
		memcpy(&header[FILL], t->data, og_dtype_bytes(type));
		return;
	}
	if (t && t->dtype == OG_F32) f = *(const float *)t->data;
	half = type == OG_F16 ? base_float_to_half(f) : base_float_to_bfloat(f);
	if (type == OG_F32) memcpy(&header[FILL], &f, sizeof f);
	else if (cuda_is_float(type)) memcpy(&header[FILL], &half, sizeof half);
}

/* The element at these indices, counted in m's dimensions, is number `n - 1` of the input; n 0: nothing. */
static int64_t place_of(const route *m, const int64_t *index)
{
	int64_t at = 0, step = 1;
	for (int d = 0; d < m->rank; d++) {
		at += index[d] * step;
		step *= m->size[d];
	}
	return at;
}

/* Packs lie together in the input, and begin where packs do, or are nothing. */
static bool moves_whole(const route *m)
{
	const int32_t *t = m->table[0];
	if (m->rank == 0 || m->header[BASE] % m->wide) return false;
	for (int d = 1; d < m->rank; d++)
		for (int64_t i = 0; i < m->size[d]; i++)
			if (m->table[d][i] != NOTHING && m->table[d][i] % m->wide) return false;
	for (int64_t i = 0; i < m->size[0]; i += m->wide) {
		if (t[i] != NOTHING && t[i] % m->wide) return false;
		for (int k = 1; k < m->wide; k++)
			if (t[i] == NOTHING ? t[i + k] != NOTHING : t[i + k] != t[i] + k) return false;
	}
	return true;
}

/* Terms from the numbers that came out; false when they are no sum. */
static bool find_terms(route *m, const int32_t *number)
{
	int64_t first = 0, index[OG_MAX_RANK] = { 0 };
	while (first < m->count && !number[first]) first++;
	if (first == m->count) first = 0;
	for (int64_t d = 0, rest = first; d < m->rank; d++) {
		index[d] = rest % m->size[d];
		rest /= m->size[d];
	}
	m->header[BASE] = number[first] - 1;
	for (int d = 0; d < m->rank; d++)
		for (int64_t i = 0, kept = index[d]; i < m->size[d]; i++) {
			index[d] = i;
			int32_t n = number[place_of(m, index)];
			m->table[d][i] = n ? n - number[first] : NOTHING;
			index[d] = kept;
		}
	memset(index, 0, sizeof index);
	for (int64_t at = 0; at < m->count; at++) {
		int64_t sum = m->header[BASE] + 1;
		for (int d = 0; d < m->rank && sum; d++)
			sum = m->table[d][index[d]] == NOTHING ? 0 : sum + m->table[d][index[d]];
		if (sum != number[at]) return false;
		for (int d = 0; d < m->rank && ++index[d] == m->size[d]; d++) index[d] = 0;
	}
	m->header[WHOLE] = moves_whole(m);
	return true;
}

/* Runs the definition on the numbers 1, 2, ... of the elements; Pad fills with 0. OG_NO: this is no such op. */
static og_status number_elements(mover *v, const backend_node *node, arena *a)
{
	int64_t n = og_count(&node->in[0]);
	og_tensor *in = arena_array(a, (size_t)node->n_in + 1, sizeof *in);
	og_tensor *out = arena_array(a, (size_t)node->n_out + 1, sizeof *out), zero = { .dtype = OG_I32 };
	const og_tensor **given = arena_array(a, (size_t)node->n_in + 1, sizeof *given);
	og_tensor **made = arena_array(a, (size_t)node->n_out + 1, sizeof *made);
	int32_t *numbers = arena_aligned(a, (size_t)n * sizeof *numbers + 64, 64), nothing = 0;
	if (!in || !out || !given || !made || !numbers) return base_no_memory();
	for (int64_t i = 0; i < n; i++) numbers[i] = (int32_t)(i + 1);
	zero.data = &nothing;
	memcpy(in, node->in, (size_t)node->n_in * sizeof *in);
	memcpy(out, node->out, (size_t)node->n_out * sizeof *out);
	in[0].dtype = OG_I32;
	in[0].data = numbers;
	if (!strcmp(node->op->name, "Pad") && cuda_has(node, 2)) in[2] = zero;
	for (int k = 0; k < node->n_in; k++) given[k] = in[k].dtype == OG_NONE ? NULL : &in[k];
	for (int k = 0; k < node->n_out; k++) {
		if (out[k].dtype == OG_NONE) continue;
		out[k].dtype = OG_I32;
		out[k].data = arena_aligned(a, (size_t)og_count(&out[k]) * sizeof(int32_t) + 64, 64);
		NEED(out[k].data);
		made[k] = &out[k];
	}
	backend_node numbered = { .name = node->name, .op = node->op, .attr = node->attr, .n_in = node->n_in,
	                          .n_anchor_in = node->n_in, .n_out = node->n_out, .in = in, .out = out };
	backend_kernel kernel;
	TRY(cpu_backend.prepare(&kernel, &numbered, "definition", 1, a));
	void *workspace = arena_aligned(a, kernel.workspace_bytes + 64, 64);
	NEED(workspace);
	TRY(kernel.run(&kernel, &(backend_run){ .in = given, .out = made, .workspace = workspace }));
	for (int k = 0; k < v->n; k++)
		if (v->routes[k].count && !find_terms(&v->routes[k], out[k].data)) return OG_NO;
	return OG_OK;
}

/* ---- the kernel --------------------------------------------------------------------------------- */

static void shape_route(route *m, const og_tensor *out, size_t *bytes)
{
	size_t element = og_dtype_bytes(out->dtype);
	*m = (route){ .count = out->dtype == OG_NONE ? 0 : og_count(out), .at = *bytes, .wide = 1 };
	if (!m->count) return;
	*bytes += HEADER * sizeof(int32_t);
	for (int d = out->rank - 1; d >= 0; d--) {
		if (out->dims[d] == 1) continue;
		m->axis[m->rank] = d;
		m->size[m->rank++] = out->dims[d];
		*bytes += (size_t)out->dims[d] * sizeof(int32_t);
	}
	*bytes = (*bytes + 15) & ~(size_t)15;
	m->wide = (int)(16 / element);
	while (m->wide > 1 && (m->rank == 0 || m->size[0] % m->wide)) m->wide /= 2;
}

static void put_route(text *t, const route *m, int k, const char *type)
{
	text_printf(t, "(const __grid_constant__ og_step c)\n{\n\ttypedef %s T;\n\tconst int V = %d;\n", type, m->wide);
	text_printf(t, "\tconst int *const header = (const int *)((const char *)c.packed + %zu), *const t0 = header + %d;\n", m->at, HEADER);
	for (int d = 1; d < m->rank; d++)
		text_printf(t, "\tconst int *const t%d = t%d + %lld;\n", d, d - 1, (long long)m->size[d - 1]);
	text_printf(t, "\tconst T fill = *(const T *)(header + %d);\n\tconst int base = header[%d];\n", FILL, BASE);
	text_printf(t, "\tfor (long long pack = og_first(); pack < %lldll; pack += og_stride()) {\n"
	               "\t\tunsigned rest = (unsigned)pack * V;\n",
	            (long long)(m->count / m->wide));
	for (int d = 0; d < m->rank; d++)
		text_printf(t, "\t\tconst unsigned i%d = rest %% %lldu; rest /= %lldu;\n",
		            d, (long long)m->size[d], (long long)m->size[d]);
	text_add(t, "\t\tint place = base;\n\t\tbool is_there = true;\n");
	for (int d = 1; d < m->rank; d++)
		text_printf(t, "\t\tplace += t%d[i%d], is_there &= t%d[i%d] != %d - 1;\n", d, d, d, d, NOTHING + 1);
	text_printf(t, "\t\tog_pack<T, V> y;\n\t\tif (header[%d] && is_there%s) {\n"
	               "\t\t\ty = og_read<T, V>((const T *)c.in[0] + place%s);\n\t\t} else {\n", WHOLE,
	            m->rank ? " && t0[i0] != -2147483647 - 1" : "", m->rank ? " + t0[i0]" : "");
	text_add(t, "\t\t\t#pragma unroll\n\t\t\tfor (int e = 0; e < V; e++) {\n");
	if (m->rank)
		text_add(t, "\t\t\t\tconst int term = t0[i0 + e];\n"
		            "\t\t\t\ty.e[e] = is_there && term != -2147483647 - 1 ? ((const T *)c.in[0])[place + term] : fill;\n");
	else text_add(t, "\t\t\t\ty.e[e] = base >= 0 ? ((const T *)c.in[0])[place] : fill;\n");
	text_printf(t, "\t\t\t}\n\t\t}\n\t\tog_write<T, V>((T *)c.out[%d] + pack * V, y);\n\t}\n}\n", k);
}

static og_status pack(const backend_kernel *k, void *packed)
{
	const mover *v = (const mover *)((const char *)k->state - offsetof(mover, launches));
	for (int i = 0; i < v->n; i++) {
		const route *m = &v->routes[i];
		int32_t *to = (int32_t *)((char *)packed + m->at);
		if (!m->count) continue;
		memcpy(to, m->header, HEADER * sizeof *to);
		to += HEADER;
		for (int d = 0; d < m->rank; to += m->size[d++]) memcpy(to, m->table[d], (size_t)m->size[d] * sizeof *to);
	}
	return OG_OK;
}

static og_status find_routes(mover *v, const cuda_request *r)
{
	const backend_node *node = r->node;
	if (!node->code) return OG_OK;                       /* only asked whether it may */
	for (int k = 0; k < v->n; k++) {
		route *m = &v->routes[k];
		m->header = arena_array(r->a, HEADER, sizeof *m->header);
		NEED(m->header);
		find_fill(m->header, node);
		for (int d = 0; d < m->rank; d++) {
			m->table[d] = arena_array(r->a, (size_t)m->size[d], sizeof *m->table[d]);
			NEED(m->table[d]);
		}
	}
	arena *scratch = arena_create();
	NEED(scratch);
	og_status status = number_elements(v, node, scratch);
	arena_destroy(scratch);
	return status;
}

static og_status move(backend_kernel *out, const cuda_request *r)
{
	const backend_node *node = r->node;
	mover *v = arena_alloc(r->a, sizeof *v);
	NEED(v);
	*v = (mover){ .launches = { .n_in = 1, .n_out = node->n_out }, .n = node->n_out };
	for (int k = 0; k < v->n; k++) shape_route(&v->routes[k], &node->out[k], &v->bytes);
	TRY(find_routes(v, r));
	int64_t count = 0;
	for (int k = 0; k < v->n; k++) {
		const route *m = &v->routes[k];
		text t = { 0 };
		if (!m->count) continue;
		put_route(&t, m, k, cuda_bits_of(og_dtype_bytes(node->in[0].dtype)));
		char *made = text_take(&t);
		const int64_t blocks = (m->count / m->wide + CUDA_THREADS - 1) / CUDA_THREADS;
		og_status status = made ? cuda_launch_add(&v->launches, r, made, blocks) : base_no_memory();
		base_free(made);
		TRY(status);
		count += m->count;
	}
	*out = (backend_kernel){ .tactic = r->tactic, .pack = pack, .packed_bytes = v->bytes,
	                         .cost = 2000.0 + (double)count * 2e-3 };
	cuda_launch_with(out, &v->launches);
	return OG_OK;
}

/* ---- Concat ------------------------------------------------------------------------------------- */

/* Inputs that are whole packs of channels, channels last, stay so. */
static backend_layout layout_of(const backend_node *node, int axis)
{
	for (int k = 0; k < node->n_in; k++)
		if (axis != 1 || layout_of_input(node, k) != LAYOUT_CHANNELS || node->in[k].dims[1] % -CUDA_LANES)
			return LAYOUT_PLAIN;
	return LAYOUT_CHANNELS;
}

/* Inputs [first, last), which are `own` elements of each `run` of the output, from `before` on. */
static int64_t put_concat(text *t, const backend_node *node, const int64_t *runs, int wide, int first, int last)
{
	const char *made = cuda_type(node->out->dtype), *bits = cuda_bits_of(og_dtype_bytes(node->out->dtype));
	int64_t from = 0, run = 0, own = 0, before = 0;
	for (int k = 0; k < node->n_in; k++) {
		run += runs[k];
		if (k < first) before += runs[k];
		else if (k < last) own += runs[k];
	}
	const int64_t packs = run ? og_count(node->out) / run * own / wide : 0;
	text_printf(t, "(const __grid_constant__ og_step c)\n{\n"
	               "\tfor (long long pack = og_first(); pack < %lldll; pack += og_stride()) {\n", (long long)packs);
	text_printf(t, "\t\tconst long long outer = pack * %d / %lldll, at = pack * %d %% %lldll, to = outer * %lldll + %lldll + at;\n",
	            wide, (long long)own, wide, (long long)own, (long long)run, (long long)before);
	for (int k = first; k < last; from += runs[k++]) {
		bool same = node->in[k].dtype == node->out->dtype;
		const char *type = same ? bits : cuda_type(node->in[k].dtype), *to = same ? bits : made;
		if (runs[k] == 0) continue;
		text_printf(t, "\t\tif (at >= %lldll && at < %lldll) {\n"
		               "\t\t\tconst og_pack<%s, %d> x = og_read<%s, %d>((const %s *)c.in[%d] + outer * %lldll + at - %lldll);\n",
		            (long long)from, (long long)(from + runs[k]), type, wide, type, wide, type, k - first, (long long)runs[k],
		            (long long)from);
		text_printf(t, "\t\t\tog_pack<%s, %d> y;\n\t\t\t#pragma unroll\n\t\t\tfor (int e = 0; e < %d; e++) y.e[e] = ",
		            to, wide, wide);
		if (same) text_add(t, "x.e[e];\n");
		else text_printf(t, "og_make<%s>(og_value(x.e[e]));\n", made);
		text_printf(t, "\t\t\tog_write<%s, %d>((%s *)c.out[0] + to, y);\n\t\t}\n", to, wide, to);
	}
	text_add(t, "\t}\n}\n");
	return packs;
}

static og_status concat(backend_kernel *out, const cuda_request *r)
{
	const backend_node *node = r->node;
	const og_tensor *y = node->out;
	int64_t runs[CUDA_IN * CUDA_LAUNCHES];
	size_t widest = og_dtype_bytes(y->dtype);
	if (node->tail || node->n_in > CUDA_IN * CUDA_LAUNCHES || og_count(y) == 0 || !cuda_bits_of(widest)) return OG_NO;
	int axis = og_axis(node->attr[0].i, y->rank);
	backend_layout layout = layout_of(node, axis);
	for (int k = 0; k < node->n_in; k++) {
		const og_tensor *x = &node->in[k];
		if (x->dtype != y->dtype && (!cuda_is_float(x->dtype) || !cuda_is_float(y->dtype))) return OG_NO;
		runs[k] = layout == LAYOUT_CHANNELS ? x->dims[1] : og_span(x, axis, x->rank);
		if (og_dtype_bytes(x->dtype) > widest) widest = og_dtype_bytes(x->dtype);
	}
	int wide = (int)(16 / widest);
	for (int k = 0; k < node->n_in; k++)
		while (wide > 1 && runs[k] % wide) wide /= 2;
	cuda_launches *l = arena_alloc(r->a, sizeof *l);
	backend_layout *layouts = arena_array(r->a, (size_t)node->n_in + 1, sizeof *layouts);
	NEED(l && layouts);
	*l = (cuda_launches){ .n_in = node->n_in, .n_out = 1 };
	for (int k = 0; k < node->n_in; k++) layouts[k] = layout;
	for (int first = 0; first < node->n_in; first += CUDA_IN) {
		text t = { 0 };
		const int64_t packs = put_concat(&t, node, runs, wide, first, first + CUDA_IN < node->n_in ? first + CUDA_IN : node->n_in);
		char *made = text_take(&t);
		og_status status = made ? OG_OK : base_no_memory();
		if (status == OG_OK && packs) {
			status = cuda_launch_add(l, r, made, (packs + CUDA_THREADS - 1) / CUDA_THREADS);
			l->at[l->n - 1].first_in = first;
		}
		base_free(made);
		TRY(status);
	}
	*out = (backend_kernel){ .tactic = r->tactic, .in_layout = layouts, .out_layout = layout,
	                         .cost = 2000.0 + (double)og_count(y) * 2e-3 };
	cuda_launch_with(out, l);
	return OG_OK;
}

og_status cuda_move(backend_kernel *out, const cuda_request *r)
{
	const backend_node *node = r->node;
	if (!cuda_is_tactic(r, "move")) return OG_NO;
	if (node->op && !node->op->domain && !strcmp(node->op->name, "Concat")) return concat(out, r);
	if (!takes(node, r)) return OG_NO;
	og_status status = strcmp(node->op->name, "Transpose") ? OG_NO : cuda_transpose(out, r);
	return status == OG_NO ? move(out, r) : status;
}
