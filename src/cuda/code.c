/* code.c -- collecting the CUDA C program of a plan and compiling it. */
#include "cuda/code.h"

#include <stdio.h>

#include "cuda/nvrtc.h"
#include "cuda/texts.h"

typedef struct code_kernel code_kernel;
struct code_kernel { code_kernel *next; char name[CUDA_NAME]; const char *bounds, *body; };

struct cuda_code {
	arena *a;
	const og_op **ops; size_t n_ops, cap_ops;        /* one for each op file */
	code_kernel *first, **last;
};

cuda_code *cuda_code_create(arena *a)
{
	cuda_code *c = arena_alloc(a, sizeof *c);
	if (!c) return NULL;
	c->a = a;
	c->last = &c->first;
	return c;
}

og_status cuda_code_op(cuda_code *c, const og_op *op)
{
	if (!c) return OG_OK;
	for (size_t i = 0; i < c->n_ops; i++)
		if (c->ops[i]->text == op->text) return OG_OK;
	const og_op **grown = arena_grow(c->a, c->ops, c->n_ops, &c->cap_ops, c->n_ops + 1, sizeof *grown);
	NEED(grown);
	c->ops = grown;
	c->ops[c->n_ops++] = op;
	return OG_OK;
}

og_status cuda_code_kernel(char name[CUDA_NAME], cuda_code *c, const char *bounds, const char *body)
{
	snprintf(name, CUDA_NAME, "k%016llx", (unsigned long long)base_hash(body, strlen(body), base_hash(bounds, strlen(bounds), 0)));
	if (!c) return OG_OK;
	for (const code_kernel *k = c->first; k; k = k->next)
		if (!strcmp(k->name, name)) return OG_OK;
	code_kernel *k = arena_alloc(c->a, sizeof *k);
	NEED(k);
	memcpy(k->name, name, CUDA_NAME);
	k->next = NULL;
	k->bounds = arena_strdup(c->a, bounds);
	k->body = arena_strdup(c->a, body);
	if (!k->bounds || !k->body) return base_no_memory();
	*c->last = k;
	c->last = &k->next;
	return OG_OK;
}

char *cuda_code_text(const cuda_code *c)
{
	text t = { 0 };
	text_add(&t, "#include \"opgraft/op.h\"\n#include \"cuda/steps.cuh\"\n#include \"cuda/rows.cuh\"\n");
	for (size_t i = 0; i < c->n_ops; i++) {
		text_printf(&t, "#line 1 \"%s\"\n", c->ops[i]->name);
		text_addn(&t, c->ops[i]->text, (size_t)(c->ops[i]->text_end - c->ops[i]->text));
		text_add(&t, "\n");
	}
	for (const code_kernel *k = c->first; k; k = k->next) {
		text_printf(&t, "#line 1 \"%s\"\nextern \"C\" __global__ void %s %s", k->name, k->bounds, k->name);
		text_add(&t, k->body);
		text_add(&t, "\n");
	}
	return text_take(&t);
}

og_status cuda_code_compile(cuda_code *c, arena *a, const char *arch, const void **image, size_t *bytes)
{
	/* What makes the bits those of the CPU; products ask for contraction themselves. */
	static const char *const options[] = { "--std=c++17", "-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true",
	                                       "-default-device", "-DOG_KERNELS" };
	nvrtc_api api;
	nvrtc_result r;
	*image = NULL;
	*bytes = 0;
	if (!c->first) return OG_OK;
	TRY(nvrtc_open(&api, a));
	char *program = cuda_code_text(c);
	NEED(program);
	nvrtc_source source = { .text = program, .headers = cuda_text, .header_names = cuda_text_name, .n_headers = CUDA_TEXTS,
	                        .options = options, .n_options = sizeof options / sizeof *options };
	nvrtc_compile(&r, &api, &source, arch, false);
	base_free(program);
	og_status status = r.status ? nvrtc_failed(&r) : OG_OK;
	void *kept = status == OG_OK ? arena_aligned(a, r.n, 64) : NULL;
	if (status == OG_OK && !kept) status = base_no_memory();
	if (kept) {
		memcpy(kept, r.data, r.n);
		*image = kept;
		*bytes = r.n;
	}
	base_free(r.data);
	return status;
}
