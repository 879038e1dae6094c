/* perm.c -- permutations of dimensions. */
#include "optimize/perm.h"

#include "optimize/edit.h"

perm perm_identity(int rank)
{
	perm p = { .rank = rank };
	for (int k = 0; k < rank; k++) p.axis[k] = k;
	return p;
}

bool perm_is_identity(const perm *p)
{
	for (int k = 0; k < p->rank; k++)
		if (p->axis[k] != k) return false;
	return true;
}

bool perm_equal(const perm *a, const perm *b)
{
	return a->rank == b->rank && !memcmp(a->axis, b->axis, (size_t)a->rank * sizeof *a->axis);
}

perm perm_inverse(const perm *p)
{
	perm inverse = { .rank = p->rank };
	for (int k = 0; k < p->rank; k++) inverse.axis[p->axis[k]] = k;
	return inverse;
}

perm perm_then(const perm *first, const perm *second)
{
	perm both = { .rank = first->rank };
	for (int k = 0; k < first->rank; k++) both.axis[k] = first->axis[second->axis[k]];
	return both;
}

int perm_place(const perm *p, int axis)
{
	int k = 0;
	while (p->axis[k] != axis) k++;
	return k;
}

void perm_dims(int64_t *out, const int64_t *dims, const perm *p)
{
	for (int k = 0; k < p->rank; k++) out[k] = dims[p->axis[k]];
}

bool perm_keeps_bytes(const perm *p, const int64_t *dims)
{
	int last = -1;
	for (int k = 0; k < p->rank; k++) {
		if (dims[p->axis[k]] == 1) continue;
		if (p->axis[k] < last) return false;
		last = p->axis[k];
	}
	return true;
}

bool perm_of_node(perm *out, const graph_node *n)
{
	if (!edit_is(n, "Transpose") || n->n_in != 1 || n->n_out != 1 || !n->in[0] || !n->out[0]) return false;
	const graph_attr *a = graph_attr_find(n, "perm");
	int rank = n->in[0]->rank;
	if (rank < 0 || rank > OG_MAX_RANK || n->out[0]->rank != rank || (a && a->n != (size_t)rank)) return false;
	*out = (perm){ .rank = rank };
	for (int k = 0; k < rank; k++) out->axis[k] = a ? (int)a->ints[k] : rank - 1 - k;
	return true;
}

bool perm_has_tensor(const og_tensor *t)
{
	int64_t count;
	return og_dtype_bytes(t->dtype) > 0 && base_count(t->dims, t->rank, &count);
}

og_tensor *perm_tensor(arena *a, const og_tensor *t, const perm *p)
{
	int64_t dims[OG_MAX_RANK], step[OG_MAX_RANK], at[OG_MAX_RANK] = { 0 };
	int last = p->rank;
	while (last > 0 && p->axis[last - 1] == last - 1) last--;         /* what lies behind stays together */
	perm_dims(dims, t->dims, p);
	og_tensor *out = graph_tensor_new(a, t->dtype, p->rank, dims);
	if (!out) return NULL;
	size_t size = og_dtype_bytes(t->dtype) * (size_t)og_span(t, last, t->rank);
	for (int k = 0; k < last; k++) step[k] = og_span(t, p->axis[k] + 1, last) * (int64_t)size;
	const char *from = t->data;
	char *to = out->data;
	for (int64_t left = size ? og_span(out, 0, last) : 0; left > 0; left--, to += size) {
		memcpy(to, from, size);
		for (int k = last - 1; k >= 0; k--) {
			from += step[k];
			if (++at[k] < dims[k]) break;
			from -= step[k] * dims[k];
			at[k] = 0;
		}
	}
	return out;
}
