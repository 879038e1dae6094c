/* op_kernel.c -- choosing a kernel of an op file, its grid and its arguments. */
#include "cuda/op_kernel.h"

enum { THREADS = 256 };

/* A launch of kernel k: as the op says, or a thread for each element of output 0. */
static og_status find_grid(og_grid *g, const og_call *c, int k)
{
	if (c->op->grid) return c->op->grid(c, k, g);
	int64_t blocks = (og_count(c->out[0]) + THREADS - 1) / THREADS;
	*g = (og_grid){ .blocks = { (uint32_t)(blocks < UINT32_MAX ? blocks : UINT32_MAX), 1, 1 },
	                .threads = { THREADS, 1, 1 } };
	return OG_OK;
}

int op_kernel_find(og_grid *g, const char **name, int *length, const og_call *c, int tactic)
{
	int serving = 0;
	const char *at = c->op->device;
	for (int k = 0; *at; k++, at += *length + (at[*length] == '|')) {
		*name = at;
		*length = (int)strcspn(at, "|");
		if (find_grid(g, c, k) == OG_OK && serving++ == tactic) return k;
	}
	return -1;
}

int op_kernel_count(const og_call *c)
{
	og_grid g;
	const char *name;
	int length, n = 0;
	while (op_kernel_find(&g, &name, &length, c, n) >= 0) n++;
	return n;
}

static og_device_shape shape_of(const og_tensor *t)
{
	og_device_shape s = { .rank = t ? t->rank : -1, .dtype = t ? (int)t->dtype : (int)OG_NONE };
	for (int d = 0; t && d < t->rank; d++) s.dims[d] = t->dims[d];
	return s;
}

bool op_kernel_arguments(og_device_call *a, const og_call *c, const schema_args *inputs)
{
	int n = 0;
	while (c->op->attrs && c->op->attrs[n].name) n++;
	if (c->n_in > OG_DEVICE_IN || c->n_out > OG_DEVICE_OUT || n > OG_DEVICE_ATTRS) return false;
	*a = (og_device_call){ .n_in = c->n_in, .n_out = c->n_out, .n_attrs = n };
	for (int k = 0; k < OG_DEVICE_IN; k++) {
		a->in[k] = shape_of(k < c->n_in ? c->in[k] : NULL);
		a->value[k] = k < inputs->n ? (float)inputs->arg[k].value : 0.0f;
	}
	for (int k = 0; k < OG_DEVICE_OUT; k++) a->out[k] = shape_of(k < c->n_out ? c->out[k] : NULL);
	for (int k = 0; k < n; k++)
		a->attr[k] = (og_device_number){ .i = c->attr[k].i, .f = c->attr[k].f, .present = c->attr[k].present };
	return true;
}
