/* surgery.c -- editing networks, of the public interface. */
#include "graph/graph.h"
#include "opgraft.h"
#include "schema/schema.h"
#include "surgery/surgery.h"

/* The options that the caller knows of, and what they mean inside. */
static og_graft_options given(const og_graft_options *o)
{
	og_graft_options all = { 0 };
	if (o) memcpy(&all, o, o->size < sizeof all ? o->size : sizeof all);
	return all;
}

static surgery_options inside(const og_graft_options *o)
{
	return (surgery_options){ .only = o->only, .skip = o->skip, .keep_interior = o->keep_interior != 0, .for_file = true };
}

static og_status known_op(const og_op **out, const char *name)
{
	*out = schema_find_any(name);
	return *out ? OG_OK : base_fail(OG_USAGE, "op '%s' is not known; `opgraft op list` shows those that are", name);
}

/* Maps one after the other, ';' between them. */
static og_status graft_maps(og_model *m, const char *maps, const surgery_options *s, og_found **found)
{
	og_status status = OG_OK;
	for (const char *at = maps, *end; status == OG_OK && at; at = *end ? end + 1 : NULL) {
		surgery_rules *rules;
		text one = { 0 };
		end = at + strcspn(at, ";");
		text_addn(&one, at, (size_t)(end - at));
		char *from_to = text_take(&one);
		NEED(from_to);
		status = surgery_map_rules(&rules, from_to);
		base_free(from_to);
		if (status != OG_OK) break;
		status = surgery_apply(m, rules, s, found);
		surgery_rules_free(rules);
	}
	return status;
}

static og_status graft(og_model *m, const og_graft_options *o, const surgery_options *s, og_found **found)
{
	surgery_rules *rules;
	const og_op *op;
	if (o->map) return graft_maps(m, o->map, s, found);
	if (o->edits) return surgery_apply_edits(m, o->edits, s, found);
	if (o->op) {
		TRY(known_op(&op, o->op));
		return surgery_apply_op(m, op, s, found);
	}
	TRY(surgery_parse(&rules, o->rules));
	og_status status = surgery_apply(m, rules, s, found);
	surgery_rules_free(rules);
	return status;
}

/* Nothing found is a no, and the findings say why. */
static og_status hand_over(og_found **out, og_found *found, og_status status, const char *nothing)
{
	if (status == OG_OK && !found->n_matches) status = base_fail(OG_NO, "%s", nothing);
	if (out && (status == OG_OK || status == OG_NO)) *out = found;
	else og_found_free(found);
	return status;
}

og_status og_graft(og_found **out, og_model *m, const og_graft_options *options)
{
	const og_graft_options o = given(options);
	const surgery_options s = inside(&o);
	og_found *found = NULL;
	og_model *trial = NULL;              /* a dry run does it to a copy */
	if (out) *out = NULL;
	if (!o.rules + !o.map + !o.op + !o.edits != 3)
		return base_fail(OG_USAGE, "say what to graft by exactly one of rules, a map, an op or edits");
	og_status status = o.dry_run ? graph_model_copy(&trial, m) : OG_OK;
	if (status == OG_OK) status = graft(o.dry_run ? trial : m, &o, &s, &found);
	graph_model_destroy(trial);
	return hand_over(out, found, status, "nothing matched");
}

og_status og_find(og_found **out, const og_model *m, const og_graft_options *options)
{
	const og_graft_options o = given(options);
	const surgery_options s = inside(&o);
	surgery_rules *rules = NULL;
	const og_op *op = NULL;
	og_found *found = NULL;
	if (out) *out = NULL;
	if (o.map || o.edits) return base_fail(OG_USAGE, "find looks for an op or for rules, not for a map or edits");
	if (o.op) TRY(known_op(&op, o.op));
	if (o.rules) TRY(surgery_parse(&rules, o.rules));
	og_status status = surgery_find(m, rules, op, &s, &found);
	surgery_rules_free(rules);
	return hand_over(out, found, status, "nothing was found");
}

og_status og_found_edits(char **json, const og_found *found)
{
	text t = { 0 };
	*json = NULL;
	og_status status = surgery_print_edits(&t, found);
	if (status == OG_OK) {
		*json = text_take(&t);
		return *json ? OG_OK : base_no_memory();
	}
	text_free(&t);
	return status;
}
