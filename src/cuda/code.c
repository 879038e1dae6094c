/* code.c -- collecting the CUDA C program of a plan and compiling it. */
#include "cuda/code.h"

#include <assert.h>
#include <stdio.h>

#include "base/thread.h"
#include "cuda/image.h"
#include "cuda/nvrtc.h"
#include "cuda/texts.h"

typedef struct code_kernel code_kernel;
struct code_kernel { code_kernel *next; char name[CUDA_NAME]; const char *bounds, *body; };

/* One that is compiled by itself. */
typedef struct code_program code_program;
struct code_program {
	code_program *next;
	char name[CUDA_NAME], target[16];
	const char *text, *const *options; int n_options;
};

/* The steps' kernels are two programs: EXACT has the CPU's bits, QUICK is for tensors of 16 bits (text/fast.cuh). */
enum { EXACT, QUICK, STEPS };
static const char *const steps_name[STEPS] = { "", "quick" };

struct cuda_code {
	arena *a;
	const char *include;                             /* a header besides; NULL: none */
	const og_op **ops; size_t n_ops, cap_ops;        /* one for each op file */
	code_kernel *first[STEPS], **last[STEPS];
	code_program *first_program, **last_program; int n_programs;
};

cuda_code *cuda_code_create(arena *a)
{
	cuda_code *c = arena_alloc(a, sizeof *c);
	if (!c) return NULL;
	c->a = a;
	for (int k = 0; k < STEPS; k++) c->last[k] = &c->first[k];
	c->last_program = &c->first_program;
	return c;
}

void cuda_code_include(cuda_code *c, const char *header)
{
	if (c) c->include = header;
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

const char *cuda_code_program_of(const char *kernel) { return steps_name[kernel[0] == 'q' ? QUICK : EXACT]; }

og_status cuda_code_kernel(char name[CUDA_NAME], cuda_code *c, bool quick, const char *bounds, const char *body)
{
	const int which = quick ? QUICK : EXACT;
	snprintf(name, CUDA_NAME, "%c%016llx", quick ? 'q' : 'k',
	         (unsigned long long)base_hash(body, strlen(body), base_hash(bounds, strlen(bounds), 0)));
	if (!c) return OG_OK;
	for (const code_kernel *k = c->first[which]; k; k = k->next)
		if (!strcmp(k->name, name)) return OG_OK;
	code_kernel *k = arena_alloc(c->a, sizeof *k);
	NEED(k);
	memcpy(k->name, name, CUDA_NAME);
	k->next = NULL;
	k->bounds = arena_strdup(c->a, bounds);
	k->body = arena_strdup(c->a, body);
	if (!k->bounds || !k->body) return base_no_memory();
	*c->last[which] = k;
	c->last[which] = &k->next;
	return OG_OK;
}

og_status cuda_code_program(char name[CUDA_NAME], cuda_code *c, const char *source, const char *const *options,
                            int n_options, const char *target)
{
	uint64_t seed = base_hash(target, strlen(target), 0);
	snprintf(name, CUDA_NAME, "p%016llx", (unsigned long long)base_hash(source, strlen(source), seed));
	if (!c) return OG_OK;
	for (const code_program *p = c->first_program; p; p = p->next)
		if (!strcmp(p->name, name)) return OG_OK;
	code_program *p = arena_alloc(c->a, sizeof *p);
	NEED(p);
	*p = (code_program){ .text = arena_strdup(c->a, source), .options = options, .n_options = n_options };
	NEED(p->text);
	memcpy(p->name, name, CUDA_NAME);
	snprintf(p->target, sizeof p->target, "%s", target);
	*c->last_program = p;
	c->last_program = &p->next;
	c->n_programs++;
	return OG_OK;
}

static char *steps_text(const cuda_code *c, int which)
{
	text t = { 0 };
	text_add(&t, which == QUICK ? "#include \"cuda/text/fast.cuh\"\n" : "#include \"opgraft/op.h\"\n");
	text_add(&t, "#include \"cuda/steps.cuh\"\n#include \"cuda/rows.cuh\"\n");
	if (c->include) text_printf(&t, "#include \"%s\"\n", c->include);
	for (size_t i = 0; i < c->n_ops; i++) {
		text_printf(&t, "#line 1 \"%s\"\n", c->ops[i]->name);
		text_addn(&t, c->ops[i]->text, (size_t)(c->ops[i]->text_end - c->ops[i]->text));
		text_add(&t, "\n");
	}
	for (const code_kernel *k = c->first[which]; k; k = k->next) {
		text_printf(&t, "#line 1 \"%s\"\nextern \"C\" __global__ void %s %s", k->name, k->bounds, k->name);
		text_add(&t, k->body);
		text_add(&t, "\n");
	}
	return text_take(&t);
}

void cuda_put(text *t, const char *with, size_t n, const int64_t *numbers)
{
	for (size_t i = 0; i < n; i++) {
		const char *at = strchr(with, '$');
		assert(at);
		text_addn(t, with, (size_t)(at - with));
		text_printf(t, "%lld", (long long)numbers[i]);
		with = at + 1;
	}
	assert(!strchr(with, '$'));
	text_add(t, with);
}

/* ---- compiling -------------------------------------------------------------------------------- */

/* Each program's machine code, or why there is none; those of the steps' kernels come first. */
typedef struct compilation {
	const nvrtc_api *api;
	const code_program *const *programs;
	nvrtc_result *results;
} compilation;

static void compile_some(void *arg, int64_t begin, int64_t end)
{
	const compilation *c = arg;
	char name[CUDA_NAME + 16];
	const char *options[16];
	for (int64_t i = begin; i < end; i++) {
		const code_program *p = c->programs[i];
		nvrtc_source source = { .text = p->text, .headers = cuda_text, .header_names = cuda_text_name,
		                        .n_headers = CUDA_TEXTS, .options = options, .n_options = p->n_options };
		memcpy(options, p->options, (size_t)p->n_options * sizeof *options);
		if (p->name[0] == 'p') {
			snprintf(name, sizeof name, "-Digemm=%s", p->name);
			options[source.n_options++] = name;
		}
		nvrtc_compile(&c->results[i], c->api, &source, p->target, false);
	}
}

static og_status make_image(arena *a, const code_program *const *programs, const nvrtc_result *results, int n,
                            const void **image, size_t *bytes)
{
	cuda_image_entry *entries = arena_array(a, (size_t)n, sizeof *entries);
	NEED(entries);
	for (int i = 0; i < n; i++) {
		if (results[i].status) return nvrtc_failed(&results[i]);
		entries[i] = (cuda_image_entry){ .data = results[i].data, .bytes = results[i].n };
		memcpy(entries[i].name, programs[i]->name, CUDA_NAME);
	}
	return cuda_image_make(image, bytes, a, entries, n);
}

og_status cuda_code_compile(cuda_code *c, arena *a, const char *arch, const void **image, size_t *bytes)
{
	/* products ask for contraction themselves */
	static const char *const exact[] = { NVRTC_EXACT, "-DOG_KERNELS" };
	static const char *const quick[] = { "--std=c++17", "-default-device", "--use_fast_math", "-DOG_KERNELS" };
	code_program steps[STEPS] = { { .options = exact, .n_options = sizeof exact / sizeof *exact },
	                              { .options = quick, .n_options = sizeof quick / sizeof *quick } };
	char *source[STEPS] = { NULL };
	og_status status = OG_OK;
	nvrtc_api api;
	pool *threads;
	int n = 0;
	*image = NULL;
	*bytes = 0;
	if (!c->first[EXACT] && !c->first[QUICK] && !c->n_programs) return OG_OK;
	TRY(nvrtc_open(&api, a));
	const code_program **all = arena_array(a, (size_t)c->n_programs + STEPS, sizeof *all);
	nvrtc_result *results = arena_array(a, (size_t)c->n_programs + STEPS, sizeof *results);
	NEED(all && results);
	for (int k = 0; k < STEPS && status == OG_OK; k++) {
		if (!c->first[k]) continue;
		steps[k].text = source[k] = steps_text(c, k);
		snprintf(steps[k].name, sizeof steps[k].name, "%s", steps_name[k]);
		snprintf(steps[k].target, sizeof steps[k].target, "%s", arch);
		all[n++] = &steps[k];
		if (!source[k]) status = base_no_memory();
	}
	for (const code_program *p = c->first_program; p; p = p->next) all[n++] = p;
	if (status == OG_OK) status = pool_create(&threads, 0);
	if (status == OG_OK) {
		pool_run(threads, n, 1, compile_some, &(compilation){ &api, all, results });
		pool_destroy(threads);
		status = make_image(a, all, results, n, image, bytes);
	}
	for (int i = 0; i < n; i++) base_free(results[i].data);
	for (int k = 0; k < STEPS; k++) base_free(source[k]);
	return status;
}
