/* name_ops.c -- spellings of an op that trained networks use become the op, by rules. */
#include "optimize/edit.h"
#include "schema/schema.h"
#include "surgery/surgery.h"

static const char rules[] =
	"Div(x, Add(Exp(Neg(x)), 1)) -> opgraft::Swish(x)\n"
	"Div(x, Add(Exp(Mul(x, b)), 1)) -> opgraft::Swish(x, beta=-b)\n"
	"Mul(x, Sigmoid(x)) -> opgraft::Swish(x)\n"
	"Mul(x, Sigmoid(Mul(x, b))) -> opgraft::Swish(x, beta=b)\n"
	"Mul(x, HardSigmoid(x, alpha=0.1666667, beta=0.5)) -> HardSwish(x)\n"
	"Mul(x, Tanh(Softplus(x))) -> Mish(x)\n"
	"Mul(Mul(x, Add(Erf(Div(x, 1.4142135)), 1)), 0.5) -> Gelu(x)\n"
	"Mul(Mul(x, 0.5), Add(Erf(Div(x, 1.4142135)), 1)) -> Gelu(x)\n"
	"Mul(Mul(x, 0.5), Add(Erf(Mul(x, 0.70710678)), 1)) -> Gelu(x)\n"
	"Mul(x, Mul(Add(Erf(Div(x, 1.4142135)), 1), 0.5)) -> Gelu(x)\n";

og_status optimize_name_ops(og_model *m, const optimize_options *o)
{
	(void)o;
	surgery_rules *r;
	surgery_options options = { .only = NULL };
	TRY(surgery_parse(&r, rules));
	og_status status = surgery_apply(m, r, &options, NULL);
	surgery_rules_free(r);
	if (status != OG_OK) return status;
	schema_resolve(m);
	return schema_infer(m->main);
}
