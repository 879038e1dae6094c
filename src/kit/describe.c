/* describe.c -- what an op library holds, or all ops that are known here. */
#include <stdio.h>

#include "base/json.h"
#include "kit/kit.h"
#include "opgraft.h"
#include "schema/schema.h"

static const char *kind_of(const og_op *op) { return op->ref ? "elementwise" : "general"; }

/* Instruction sets that the op has code of its own for; a definition alone is plain C. */
static bool has_level(const og_op *op, int isa) { return op->map[isa] || op->cpu[isa]; }
static const char *const levels[OG_ISA_COUNT] = { "scalar", "avx2", "avx512" };

static const char *const attr_types[] = { "int", "float", "enum", "string", "ints", "floats", "strings", "tensor", "graph" };

/* "none" of "none|tanh" and 0. */
static void add_word(text *t, const char *words, int k)
{
	for (; k > 0 && strchr(words, '|'); k--) words = strchr(words, '|') + 1;
	text_addn(t, words, strcspn(words, "|"));
}

static void attr_text(text *t, const og_attr *d)
{
	text_printf(t, "      %-12s %s", d->name, attr_types[d->type]);
	if (d->required) text_add(t, ", required");
	else if (d->type == OG_ATTR_INT || d->type == OG_ATTR_FLOAT) text_printf(t, " = %.9g", d->value);
	else if (d->type == OG_ATTR_ENUM) text_add(t, " = "), add_word(t, d->words, (int)d->value);
	if (d->words) text_printf(t, " of %s", d->words);
	if (d->low < d->high) text_printf(t, ", from %.9g to %.9g", d->low, d->high);
	text_add(t, "\n");
}

static void op_text(text *t, const og_op *op)
{
	const char *domain = schema_domain(op);
	text_printf(t, "  %s%s%s, version %d, %s", domain, *domain ? "::" : "", op->name, op->since, kind_of(op));
	for (int isa = 0; isa < OG_ISA_COUNT; isa++)
		if (has_level(op, isa)) text_printf(t, "%s%s", isa ? ", " : ": ", levels[isa]);
	text_add(t, "\n");
	if (op->doc) text_printf(t, "      %s\n", op->doc);
	text_printf(t, "      %s -> %s%s%s\n", op->inputs, op->outputs, op->types ? ", " : "", op->types ? op->types : "");
	for (const og_attr *d = op->attrs; d && d->name; d++) attr_text(t, d);
	if (op->body) text_printf(t, "      = %s\n", op->body);
}

static void views_text(text *t, const og_library *l)
{
	text_printf(t, "  built by Opgraft %s; GPU code:", l->version);
	if (!l->n_images) text_add(t, " none");
	for (uint32_t k = 0; k < l->n_images; k++) text_printf(t, " %s%d", l->images[k].is_ptx ? "PTX from sm_" : "sm_", l->images[k].arch);
	text_add(t, "\n");
}

static void attr_json(json *j, const og_attr *d)
{
	text word = { 0 };
	json_begin(j, '{');
	json_put_string(j, "name", d->name);
	json_put_string(j, "type", attr_types[d->type]);
	if (d->required) json_put_bool(j, "required", true);
	else if (d->type == OG_ATTR_INT || d->type == OG_ATTR_FLOAT) json_put_number(j, "default", d->value);
	else if (d->type == OG_ATTR_ENUM) {
		add_word(&word, d->words, (int)d->value);
		json_put_string(j, "default", word.data ? word.data : "");
		text_free(&word);
	}
	if (d->words) json_put_string(j, "words", d->words);
	if (d->low < d->high) {
		json_put_number(j, "low", d->low);
		json_put_number(j, "high", d->high);
	}
	json_end(j, '}');
}

static void op_json(json *j, const og_op *op)
{
	json_begin(j, '{');
	json_put_string(j, "name", op->name);
	json_put_string(j, "called", schema_called(op));
	json_put_string(j, "domain", schema_domain(op));
	json_put_int(j, "since", op->since);
	json_put_bool(j, "elementwise", op->ref != NULL);
	json_put_string(j, "inputs", op->inputs);
	json_put_string(j, "outputs", op->outputs);
	json_put_string(j, "types", op->types ? op->types : "");
	json_put(j, "attributes", '[');
	for (const og_attr *d = op->attrs; d && d->name; d++) attr_json(j, d);
	json_end(j, ']');
	json_put(j, "levels", '[');
	for (int isa = 0; isa < OG_ISA_COUNT; isa++)
		if (has_level(op, isa)) json_string(j, levels[isa]);
	json_end(j, ']');
	if (op->body) json_put_string(j, "body", op->body);
	json_put_string(j, "doc", op->doc ? op->doc : "");
	json_end(j, '}');
}

static void library_json(json *j, const og_library *l)
{
	json_begin(j, '{');
	json_put(j, "ops", '[');
	for (size_t k = 0; k < (l ? l->n_ops : schema_count()); k++) op_json(j, l ? l->ops[k] : schema_at(k));
	json_end(j, ']');
	if (l) {
		json_put_string(j, "version", l->version);
		json_put(j, "images", '[');
		for (uint32_t k = 0; k < l->n_images; k++) {
			char name[32];
			snprintf(name, sizeof name, "%s_%d", l->images[k].is_ptx ? "compute" : "sm", l->images[k].arch);
			json_string(j, name);
		}
		json_end(j, ']');
	}
	json_end(j, '}');
}

/* A line an op and version. */
static void table_text(text *t)
{
	size_t n = schema_count();
	for (size_t k = 0; k < n; k++) {
		const og_op *op = schema_at(k);
		char name[64];
		snprintf(name, sizeof name, "%s%s%s", schema_domain(op), *schema_domain(op) ? "::" : "", op->name);
		text_printf(t, "%-24s %3d %c %.49s\n", name, op->since, op->ref ? 'e' : ' ', op->doc ? op->doc : "");
	}
	text_printf(t, "%zu definitions; e: elementwise, fuses into its neighbours\n", n);
}

og_status og_op_library_describe(char **out, const char *path, og_format format)
{
	const og_library *l = NULL;
	text t = { 0 };
	json j = { .need_comma = false };
	*out = NULL;
	if (path) TRY(kit_open(&l, path));
	for (size_t k = 0; l && k < l->n_ops; k++)
		if (schema_declared(l->ops[k]) != OG_OK) return base_fail_in(OG_BAD_FILE, "%s", path);
	if (format == OG_JSON) library_json(&j, l);
	else if (!l) table_text(&t);
	else {
		for (size_t k = 0; k < l->n_ops; k++) op_text(&t, l->ops[k]);
		views_text(&t, l);
	}
	*out = text_take(format == OG_JSON ? &j.out : &t);
	return *out ? OG_OK : base_no_memory();
}
