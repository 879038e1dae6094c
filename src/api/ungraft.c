/* ungraft.c -- og_ungraft. */
#include "graph/graph.h"
#include "opgraft.h"
#include "schema/schema.h"
#include "surgery/surgery.h"

og_status og_ungraft(og_found **out, og_model *m, const og_graft_options *options)
{
	og_graft_options o = { 0 };
	og_found *found = NULL;
	og_model *trial = NULL;              /* a dry run does it to a copy */
	if (out) *out = NULL;
	if (options) memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
	const og_op *op = o.op ? schema_find_any(o.op) : NULL;
	if (o.op && !op) return base_fail(OG_USAGE, "op '%s' is not known; `opgraft op list` shows those that are", o.op);
	if (op && !schema_domain(op)[0])
		return base_fail(OG_USAGE, "op '%s' is ONNX's own; there is nothing to take apart", o.op);
	surgery_options s = { .only = o.only, .skip = o.skip, .for_file = true };
	og_status status = o.dry_run ? graph_model_copy(&trial, m) : OG_OK;
	if (status == OG_OK) status = surgery_ungraft(trial ? trial : m, op, &s, &found);
	graph_model_destroy(trial);
	if (status == OG_OK && !found->n_matches)
		status = base_fail(OG_NO, found->n_refused ? "nothing could be taken apart" : "there is no node to take apart");
	if (out && (status == OG_OK || status == OG_NO)) *out = found;
	else og_found_free(found);
	return status;
}
