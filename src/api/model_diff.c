/* model_diff.c -- og_diff */
#include "opgraft.h"
#include "report/diff_out.h"

static og_status print(text *t, diff *d, og_format format)
{
	switch (format) {
	case OG_JSON: return diff_json_print(t, d);
	case OG_HTML: return diff_page_print(t, d);
	default: return diff_text_print(t, d);
	}
}

og_status og_diff(char **out, const og_model *a, const og_model *b, og_format format)
{
	og_model *copy = NULL;
	diff *d = NULL;
	text t = { 0 };
	*out = NULL;
	if (!a || !b) return base_fail(OG_USAGE, "two models are needed to compare");
	og_status status = a == b ? graph_model_copy(&copy, b) : OG_OK;      /* pairs are marked in both */
	if (status == OG_OK) status = diff_models(&d, a, copy ? copy : b);
	if (status == OG_OK) status = print(&t, d, format);
	if (status == OG_OK && !(*out = text_take(&t))) status = base_no_memory();
	if (status == OG_OK && !d->equal) status = base_fail(OG_NO, "the models differ");
	text_free(&t);
	diff_free(d);
	graph_model_destroy(copy);
	return status;
}
