/* runtime.c -- the list of runtimes, and what those have in common that read files. */
#include "kit/runtime.h"

#include "onnx/onnx.h"

const runtime *runtime_find(const char *name)
{
	static const runtime *const all[] = {
#define X(name) &runtime_##name,
		RUNTIMES(X)
#undef X
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (!strcmp(all[i]->name, name)) return all[i];
	base_fail(OG_USAGE, "there is no runtime '%s'; there are"
#define X(name) " " #name
	          RUNTIMES(X)
#undef X
	          , name);
	return NULL;
}

bool runtime_binds(og_dtype dtype, int rank, const int64_t *dims)
{
	enum { MOST = 2 * OG_MAX_RANK };
	return rank <= 1 && (rank < 1 || dims[0] <= MOST) && (dtype == OG_I64 || dtype == OG_I32 || dtype == OG_F32);
}

og_status runtime_write(const char **path, const runtime_host *h, arena *a, og_model *m)
{
	*path = arena_printf(a, "%s/ask.onnx", h->folder);
	NEED(*path);
	return onnx_write(m, *path, NULL);
}
