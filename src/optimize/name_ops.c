/* name_ops.c -- spellings of an op that trained networks use become the op, by the rules of the op files. */
#include "optimize/edit.h"
#include "schema/schema.h"
#include "surgery/surgery.h"

og_status optimize_name_ops(og_model *m, const optimize_options *o)
{
	(void)o;
	surgery_rules *r;
	surgery_options options = { .only = NULL };
	TRY(surgery_spelling_rules(&r));
	og_status status = surgery_apply(m, r, &options, NULL);
	surgery_rules_free(r);
	if (status != OG_OK) return status;
	schema_resolve(m);
	return schema_infer(m->main);
}
