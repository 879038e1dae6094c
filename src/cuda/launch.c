/* launch.c -- kernels of a plan's own program: found once, launched with the pointers of the moment. */
#include "cuda/cuda.h"
#include "cuda/driver.h"

_Static_assert(sizeof(cuda_arguments) == 8 * (CUDA_IN + CUDA_OUT + 2), "device code reads pointers in a row");

typedef struct bound { void *function[CUDA_LAUNCHES]; cuda_arguments arguments; } bound;

static og_status bind(const backend_kernel *k, const backend_run *run)
{
	const cuda_launches *l = k->state;
	bound *b = run->bound;
	for (int i = 0; i < l->n; i++)
		if (l->at[i].grid.blocks[0])
			TRY(cuda_device_function(&b->function[i], run->device, l->at[i].name, l->at[i].grid.shared));
	b->arguments = (cuda_arguments){ .packed = run->packed, .workspace = run->workspace };
	return OG_OK;
}

static og_status launch(const backend_kernel *k, const backend_run *run)
{
	const cuda_launches *l = k->state;
	bound *b = run->bound;
	for (int i = 0; i < l->n_out; i++) b->arguments.out[i] = run->out[i] ? run->out[i]->data : NULL;
	for (int i = 0; i < l->n; i++) {
		for (int to = 0, of = l->at[i].first_in; to < CUDA_IN && of < l->n_in; to++, of++)
			b->arguments.in[to] = run->in[of] ? run->in[of]->data : NULL;
		TRY(driver_start(b->function[i], &l->at[i].grid, &b->arguments, run->stream));
	}
	return OG_OK;
}

bool cuda_is_short(const backend_node *node)
{
	const og_dtype made = node->out[0].dtype;
	return node->n_out == 1 && (made == OG_F16 || made == OG_BF16);
}

og_status cuda_launch_begin(cuda_launches **out, const cuda_request *r)
{
	if (r->node->n_in > CUDA_IN || r->node->n_out > CUDA_OUT) return OG_NO;
	*out = arena_alloc(r->a, sizeof **out);
	NEED(*out);
	**out = (cuda_launches){ .n_in = r->node->n_in, .n_out = r->node->n_out };
	return OG_OK;
}

void cuda_launch_with(backend_kernel *out, const cuda_launches *l)
{
	out->run = launch;
	out->bind = bind;
	out->bound_bytes = sizeof(bound);
	out->state = (void *)(uintptr_t)l;
}

og_status cuda_launch_add(cuda_launches *l, const cuda_request *r, const char *body, int64_t blocks)
{
	cuda_launch *at = &l->at[l->n++];
	if (blocks > INT32_MAX) blocks = INT32_MAX;
	*at = (cuda_launch){ .grid = { .blocks = { (uint32_t)blocks, 1, 1 }, .threads = { CUDA_THREADS, 1, 1 } } };
	return cuda_code_kernel(at->name, r->node->code, cuda_is_short(r->node), "__launch_bounds__(256)", body);
}
