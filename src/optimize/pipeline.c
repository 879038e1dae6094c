/* pipeline.c -- the order of the passes, on one page: see OPTIMIZE_PASSES in optimize.h. */
#include "optimize/optimize.h"
#include "schema/schema.h"

typedef struct pass {
	const char *name;
	bool fuses;
	og_status (*run)(og_model *, const optimize_options *);
} pass;

static const pass passes[] = {
#define X(name, fused, what) { #name, fused, optimize_##name },
	OPTIMIZE_PASSES(X)
#undef X
};

static og_status show(const og_model *m, const optimize_options *o, const char *name)
{
	if (!o->dump) return OG_OK;
	text t = { 0 };
	TRY(graph_print(&t, m));
	char *s = text_take(&t);
	NEED(s);
	o->dump(o->dump_arg, name, s);
	base_free(s);
	return OG_OK;
}

og_status optimize_run(og_model *m, const optimize_options *o)
{
	TRY(show(m, o, "input"));
	for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
		if (passes[i].fuses && o->no_fuse) continue;
		og_status status = passes[i].run(m, o);
		if (status != OG_OK) return base_fail_in(status, "pass %s", passes[i].name);
#ifdef OG_DEBUG
		status = graph_verify(m);
		if (status != OG_OK) return base_fail_in(status, "after pass %s", passes[i].name);
#endif
		TRY(show(m, o, passes[i].name));
	}
	return OG_OK;
}
