/* runtime_onnxruntime.c -- asks the real ONNX Runtime: it takes what it makes a session of, on its CPU provider. Where it is not
 * installed, only what any build of it has is taken for granted. */
#include "kit/runtime.h"

#include <stdio.h>

#include "schema/schema.h"

static og_status open_onnxruntime(runtime_host *h)
{
	char version[64];
	og_status status = og_peer_ready(version, sizeof version);
	if (status == OG_OK) {
		snprintf(h->version, sizeof h->version, "ONNX Runtime %s", version);
		return OG_OK;
	}
	if (status != OG_MISSING) return status;
	snprintf(h->version, sizeof h->version, "ONNX Runtime");
	h->assumed = "ONNX Runtime is not installed here, so nobody was asked: it is taken for granted that it has ONNX's own ops "
	             "on f32, i64 and bool, and nothing else";
	return OG_OK;
}

static og_status assume_values(const graph_node *n, graph_value *const *values, int count)
{
	for (int k = 0; k < count; k++) {
		const graph_value *v = values[k];
		if (v && v->dtype != OG_F32 && v->dtype != OG_I64 && v->dtype != OG_BOOL)
			return base_fail(OG_UNSUPPORTED, "%s on %s is not taken for granted", n->type, base_dtype_name(v->dtype));
	}
	return OG_OK;
}

static og_status assume(const graph *g)
{
	for (const graph_node *n = g->first; n; n = n->next) {
		if (n->domain[0] || !schema_is_known(n)) return base_fail(OG_UNSUPPORTED, "%s is not known as one of ONNX's own ops", n->type);
		TRY(assume_values(n, n->in, n->n_in));
		TRY(assume_values(n, n->out, n->n_out));
		for (int i = 0; i < n->n_attrs; i++)
			if (n->attrs[i].g) TRY(assume(n->attrs[i].g));
	}
	return OG_OK;
}

static og_status takes(runtime_host *h, og_model *m)
{
	const char *path;
	og_peer *peer;
	const og_peer_options o = { .size = sizeof o, .threads = 1, .only_asked = 1, .libraries = h->libraries,
	                            .n_libraries = h->n_libraries };
	if (h->assumed) return assume(m->main);
	arena *a = arena_create();
	NEED(a);
	og_status status = runtime_write(&path, h, a, m);
	if (status == OG_OK) status = og_peer_open_with(&peer, path, &o);
	if (status == OG_OK) og_peer_free(peer);
	arena_destroy(a);
	return status;
}

const runtime runtime_onnxruntime = { .name = "onnxruntime", .open = open_onnxruntime, .takes = takes };
