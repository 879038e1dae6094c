/* edits.c -- edits as JSON, and from JSON; docs/edits.md describes it. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "schema/schema.h"
#include "surgery/edits.h"

bool edits_tensor_set(og_tensor *t, int64_t k, double x)
{
	uint8_t *at = (uint8_t *)t->data + (uint64_t)k * og_dtype_bytes(t->dtype);
	bool whole = x == floor(x) && fabs(x) <= 0x1p63;

#define PUT(T, fits, value) do { T y = (fits) ? (T)(value) : (T)0; memcpy(at, &y, sizeof y); return (fits); } while (0)
	switch (t->dtype) {
	case OG_F32: PUT(float, true, x);
	case OG_F64: PUT(double, true, x);
	case OG_F16: PUT(uint16_t, true, base_float_to_half((float)x));
	case OG_BF16: PUT(uint16_t, true, base_float_to_bfloat((float)x));
	case OG_I8: PUT(int8_t, whole && x >= INT8_MIN && x <= INT8_MAX, x);
	case OG_I16: PUT(int16_t, whole && x >= INT16_MIN && x <= INT16_MAX, x);
	case OG_I32: PUT(int32_t, whole && x >= INT32_MIN && x <= INT32_MAX, x);
	case OG_I64: PUT(int64_t, whole, x >= 0x1p63 ? INT64_MAX : (int64_t)x);
	case OG_U8: PUT(uint8_t, whole && x >= 0 && x <= UINT8_MAX, x);
	case OG_U16: PUT(uint16_t, whole && x >= 0 && x <= UINT16_MAX, x);
	case OG_U32: PUT(uint32_t, whole && x >= 0 && x <= UINT32_MAX, x);
	case OG_U64: PUT(uint64_t, whole && x >= 0, x);
	case OG_BOOL: PUT(uint8_t, x == 0 || x == 1, x);
	default: return false;
	}
#undef PUT
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The next item begins a line. */
static void new_line(json *j, const char *indent)
{
	text_add(&j->out, j->need_comma ? ",\n" : "\n");
	text_add(&j->out, indent);
	j->need_comma = false;
}

static void put_words(json *j, const char *key, const char *const *words, int n)
{
	json_put(j, key, '[');
	for (int i = 0; i < n; i++) json_string(j, words[i]);
	json_end(j, ']');
}

/* Infinities and NaN have no number in JSON: they are words. */
static void put_double(json *j, double x)
{
	if (isnan(x)) json_string(j, "nan");
	else if (isinf(x)) json_string(j, x > 0 ? "inf" : "-inf");
	else json_number(j, x);
}

/* The shortest decimal that is this float again. */
static void put_float(json *j, float x)
{
	char s[32];
	for (int digits = 6; isfinite(x) && digits <= FLT_DECIMAL_DIG; digits++) {
		snprintf(s, sizeof s, "%.*g", digits, (double)x);
		double shortest = strtod(s, NULL);
		if ((float)shortest != x) continue;
		json_number(j, shortest);
		return;
	}
	put_double(j, (double)x);
}

static void put_tensor(json *j, const og_tensor *t)
{
	int64_t n = 0;
	json_begin(j, '{');
	json_put_string(j, "dtype", base_dtype_name(t->dtype));
	json_put(j, "dims", '[');
	for (int i = 0; i < t->rank; i++) json_int(j, t->dims[i]);
	json_end(j, ']');
	json_put(j, "data", '[');
	if (!base_count(t->dims, t->rank, &n)) n = 0;
	for (int64_t k = 0; k < n; k++) {
		if (t->dtype == OG_F32) put_float(j, (float)graph_tensor_double(t, k));
		else if (t->dtype == OG_F64 || t->dtype == OG_F16 || t->dtype == OG_BF16) put_double(j, graph_tensor_double(t, k));
		else json_int(j, graph_tensor_int(t, k));
	}
	json_end(j, ']');
	json_end(j, '}');
}

static void put_attribute(json *j, const graph_attr *a)
{
	json_key(j, a->name);
	if (a->type == OG_ATTR_INT) json_int(j, a->i);
	else if (a->type == OG_ATTR_FLOAT) put_float(j, a->f);
	else if (a->type == OG_ATTR_STRING) json_string(j, a->s);
	else if (a->type == OG_ATTR_TENSOR) put_tensor(j, a->t);
	if (a->type != OG_ATTR_INTS && a->type != OG_ATTR_FLOATS && a->type != OG_ATTR_STRINGS) return;
	json_begin(j, '[');
	for (size_t i = 0; i < a->n; i++) {
		if (a->type == OG_ATTR_INTS) json_int(j, a->ints[i]);
		else if (a->type == OG_ATTR_FLOATS) put_float(j, a->floats[i]);
		else json_string(j, a->strings[i]);
	}
	json_end(j, ']');
}

static void put_node(json *j, const edit_node *n)
{
	new_line(j, "   ");
	json_begin(j, '{');
	json_put_string(j, "type", n->type);
	json_put_string(j, "domain", n->domain);
	json_put_string(j, "name", n->name);
	put_words(j, "inputs", n->in, n->n_in);
	put_words(j, "outputs", n->out, n->n_out);
	json_put(j, "attributes", '{');
	for (int i = 0; i < n->n_attrs; i++) put_attribute(j, &n->attrs[i]);
	json_end(j, '}');
	json_end(j, '}');
}

static void put_match(json *j, const og_match *m, const edit *e)
{
	new_line(j, " ");
	json_begin(j, '{');
	json_put_string(j, "op", m->op);
	json_put(j, "attributes", '{');
	for (int i = 0; i < m->n_attributes; i++) {
		json_key(j, m->attributes[i].name);
		if (m->attributes[i].word) json_string(j, m->attributes[i].word);
		else put_float(j, (float)m->attributes[i].value);        /* ints of 2^24 and more are rounded here, not in the nodes */
	}
	json_end(j, '}');
	json_put_string(j, "output", m->output);
	put_words(j, "nodes", m->nodes, m->n_nodes);
	json_put_string(j, "how", m->how);
	if (m->reason) json_put_string(j, "reason", m->reason);
	else json_key(j, "error"), put_float(j, (float)m->error);
	json_put_string(j, "graph", m->graph);
	if (e) {
		new_line(j, "  ");
		put_words(j, "remove", e->remove, e->n_remove);
		new_line(j, "  ");
		json_put(j, "insert", '[');
		for (int i = 0; i < e->n_insert; i++) put_node(j, &e->insert[i]);
		json_end(j, ']');
	}
	json_end(j, '}');
}

og_status surgery_print_edits(text *t, const og_found *found)
{
	const found_box *f = (const found_box *)found;
	json j = { .out = *t };
	json_begin(&j, '{');
	json_put(&j, "matches", '[');
	for (size_t i = 0; i < found->n_matches; i++) put_match(&j, &found->matches[i], f->edits[i]);
	json_end(&j, ']');
	json_put(&j, "refused", '[');
	for (size_t i = 0; i < found->n_refused; i++) put_match(&j, &found->refused[i], NULL);
	json_end(&j, ']');
	json_end(&j, '}');
	text_add(&j.out, "\n");
	*t = j.out;
	return t->failed ? base_no_memory() : OG_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static og_status take_word(const char **out, const json_value *object, const char *key, const char *absent)
{
	const json_value *v = json_member(object, key);
	if (!v && absent) *out = absent;
	else if (!v || v->kind != JSON_STRING) return base_fail(OG_BAD_FILE, "'%s' must be a string", key);
	else *out = v->string;
	return OG_OK;
}

static og_status take_words(const char ***out, int *n, arena *a, const json_value *object, const char *key)
{
	const json_value *v = json_member(object, key);
	if (!v || v->kind != JSON_ARRAY || v->count > 1 << 20) return base_fail(OG_BAD_FILE, "'%s' must be a list of strings", key);
	*out = arena_array(a, v->count + 1, sizeof **out);
	NEED(*out);
	for (size_t i = 0; i < v->count; i++) {
		if (v->items[i].kind != JSON_STRING) return base_fail(OG_BAD_FILE, "'%s' must be a list of strings", key);
		(*out)[(*n)++] = v->items[i].string;
	}
	return OG_OK;
}

static bool take_double(const json_value *v, double *out)
{
	static const struct { const char *word; double value; } words[] = { { "nan", NAN }, { "inf", INFINITY }, { "-inf", -INFINITY } };
	*out = v->number;
	if (v->kind == JSON_NUMBER) return true;
	for (size_t i = 0; v->kind == JSON_STRING && i < sizeof words / sizeof *words; i++)
		if (!strcmp(v->string, words[i].word)) {
			*out = words[i].value;
			return true;
		}
	return false;
}

static bool take_int(const json_value *v, int64_t *out)
{
	if (v->kind != JSON_NUMBER || v->number != floor(v->number) || fabs(v->number) > 0x1p63) return false;
	*out = v->number >= 0x1p63 ? INT64_MAX : (int64_t)v->number;
	return true;
}

static og_status take_tensor(const og_tensor **out, arena *a, const json_value *v)
{
	const json_value *dims = json_member(v, "dims"), *data = json_member(v, "data"), *dtype = json_member(v, "dtype");
	int64_t d[OG_MAX_RANK], n = 0;
	double x;
	og_dtype type = dtype && dtype->kind == JSON_STRING ? base_dtype_find(dtype->string, strlen(dtype->string)) : OG_NONE;
	bool good = type != OG_NONE && type != OG_STRING && dims && dims->kind == JSON_ARRAY && dims->count <= OG_MAX_RANK && data &&
	            data->kind == JSON_ARRAY;
	for (size_t i = 0; good && i < dims->count; i++) good = take_int(&dims->items[i], &d[i]);
	good = good && base_count(d, (int)dims->count, &n) && (uint64_t)n == data->count;
	if (!good) return base_fail(OG_BAD_FILE, "a tensor is {\"dtype\", \"dims\", \"data\"} with as many numbers as its dims say");
	og_tensor *t = graph_tensor_new(a, type, (int)dims->count, d);
	NEED(t);
	for (size_t i = 0; i < data->count; i++)
		if (!take_double(&data->items[i], &x) || !edits_tensor_set(t, (int64_t)i, x))
			return base_fail(OG_BAD_FILE, "element %zu of a tensor is no %s", i, base_dtype_name(type));
	*out = t;
	return OG_OK;
}

static og_status take_list(graph_attr *to, arena *a, const json_value *v)
{
	size_t n = v->kind == JSON_ARRAY ? v->count : 0;
	int64_t *ints = arena_array(a, n + 1, sizeof *ints);
	float *floats = arena_array(a, n + 1, sizeof *floats);
	const char **strings = arena_array(a, n + 1, sizeof *strings);
	bool good = v->kind == JSON_ARRAY;
	double x = 0;
	if (!ints || !floats || !strings) return base_no_memory();
	for (size_t i = 0; good && i < n; i++) {
		const json_value *item = &v->items[i];
		if (to->type == OG_ATTR_INTS) good = take_int(item, &ints[i]);
		else if (to->type == OG_ATTR_FLOATS) good = take_double(item, &x);
		else good = item->kind == JSON_STRING;
		floats[i] = (float)x;
		strings[i] = item->string;
	}
	to->n = n;
	to->ints = to->type == OG_ATTR_INTS ? ints : NULL;
	to->floats = to->type == OG_ATTR_FLOATS ? floats : NULL;
	to->strings = to->type == OG_ATTR_STRINGS ? strings : NULL;
	return good ? OG_OK : base_fail(OG_BAD_FILE, "attribute '%s' must be a list of %s", to->name, to->ints ? "whole numbers" :
	                                to->floats ? "numbers" : "strings");
}

/* An attribute in the type that the op declares. */
static og_status take_attribute(graph_attr *to, arena *a, const og_op *op, const json_value *v)
{
	const og_attr *d = op->attrs;
	double x = 0;
	while (d && d->name && strcmp(d->name, v->key)) d++;
	if (!d || !d->name) return base_fail(OG_BAD_FILE, "op %s has no attribute '%s'", op->name, v->key);
	*to = (graph_attr){ .name = v->key, .type = d->type == OG_ATTR_ENUM ? OG_ATTR_STRING : (int)d->type };
	switch (d->type) {
	case OG_ATTR_INT:
		if (!take_int(v, &to->i)) return base_fail(OG_BAD_FILE, "attribute '%s' must be a whole number", v->key);
		return schema_attr_check(d, (double)to->i);
	case OG_ATTR_FLOAT:
		if (!take_double(v, &x)) return base_fail(OG_BAD_FILE, "attribute '%s' must be a number", v->key);
		to->f = (float)x;
		return schema_attr_check(d, x);
	case OG_ATTR_ENUM:
	case OG_ATTR_STRING:
		if (v->kind != JSON_STRING) return base_fail(OG_BAD_FILE, "attribute '%s' must be a string", v->key);
		to->s = v->string;
		to->n = strlen(v->string);
		return d->type == OG_ATTR_STRING || schema_attr_word(d, v->string) >= 0 ? OG_OK : OG_BAD_FILE;
	case OG_ATTR_TENSOR:
		return take_tensor(&to->t, a, v);
	case OG_ATTR_GRAPH:
		return base_fail(OG_UNSUPPORTED, "attribute '%s' is a graph, which an edit cannot hold", v->key);
	case OG_ATTR_INTS:
	case OG_ATTR_FLOATS:
	case OG_ATTR_STRINGS:
		break;
	}
	return take_list(to, a, v);
}

static og_status take_node(edit_node *to, arena *a, const json_value *v, const replace_place *p, const surgery_options *o)
{
	TRY(take_word(&to->type, v, "type", NULL));
	TRY(take_word(&to->domain, v, "domain", ""));
	TRY(take_word(&to->name, v, "name", ""));
	TRY(take_words(&to->in, &to->n_in, a, v, "inputs"));
	TRY(take_words(&to->out, &to->n_out, a, v, "outputs"));
	if (!strcmp(to->domain, "ai.onnx")) to->domain = "";
	const json_value *attributes = json_member(v, "attributes");
	if (!attributes || (attributes->kind == JSON_OBJECT && !attributes->count)) return OG_OK;
	if (attributes->kind != JSON_OBJECT || attributes->count > 1 << 10)
		return base_fail(OG_BAD_FILE, "'attributes' must be an object");
	const og_op *op = replace_op(p, o, to->domain, to->type);
	if (!op) return OG_OK;                        /* replace_do says what is wrong, unless it is a function of the model */
	to->attrs = arena_array(a, attributes->count, sizeof *to->attrs);
	NEED(to->attrs);
	for (size_t i = 0; i < attributes->count; i++) TRY(take_attribute(&to->attrs[to->n_attrs++], a, op, &attributes->items[i]));
	return OG_OK;
}

/* What is told of it again. */
static og_status take_match(og_match *to, arena *a, const json_value *v)
{
	const json_value *attributes = json_member(v, "attributes"), *error = json_member(v, "error");
	const char **nodes = NULL;
	size_t n = attributes && attributes->kind == JSON_OBJECT ? attributes->count : 0;
	og_attribute *list = arena_array(a, n + 1, sizeof *list);
	NEED(list);
	to->how = "edit";
	to->attributes = list;
	TRY(take_word(&to->op, v, "op", ""));
	TRY(take_word(&to->output, v, "output", ""));
	TRY(take_word(&to->graph, v, "graph", ""));
	if (json_member(v, "nodes")) TRY(take_words(&nodes, &to->n_nodes, a, v, "nodes"));
	to->nodes = nodes;
	if (error && error->kind == JSON_NUMBER) to->error = error->number;
	for (size_t i = 0; i < n; i++) {
		const json_value *item = &attributes->items[i];
		list[i] = (og_attribute){ item->key, item->number, item->kind == JSON_STRING ? item->string : NULL };
	}
	to->n_attributes = (int)n;
	return OG_OK;
}

/* What graft --dry-run wrote, by hand changed or not. */
static og_status take_edit(edit **out, found_box *f, const json_value *v, const map *places, replace_place **p, const surgery_options *o)
{
	edit *e = *out = arena_alloc(f->a, sizeof *e);
	NEED(e);
	if (v->kind != JSON_OBJECT) return base_fail(OG_BAD_FILE, "it must be an object");
	TRY(take_match(&e->m, f->a, v));
	*p = map_get(places, e->m.graph);
	if (!*p) return base_fail(OG_USAGE, "the model has no graph '%s'", e->m.graph);
	if (!json_member(v, "remove") && !json_member(v, "insert"))
		return base_fail(OG_BAD_FILE, "it has neither 'remove' nor 'insert'; graft --dry-run --json writes such edits");
	TRY(take_words(&e->remove, &e->n_remove, f->a, v, "remove"));
	const json_value *insert = json_member(v, "insert");
	if (!insert || insert->kind != JSON_ARRAY || insert->count > 1 << 20) return base_fail(OG_BAD_FILE, "'insert' must be a list of nodes");
	e->insert = arena_array(f->a, insert->count + 1, sizeof *e->insert);
	NEED(e->insert);
	for (; e->n_insert < (int)insert->count; e->n_insert++) {
		og_status status = take_node(&e->insert[e->n_insert], f->a, &insert->items[e->n_insert], *p, o);
		if (status != OG_OK) return base_fail_in(status, "its node %d", e->n_insert);
	}
	const edit_node *last = e->n_insert ? &e->insert[e->n_insert - 1] : NULL;
	if (!e->m.op[0] && last) e->m.op = last->type;           /* of an edit written by hand */
	if (!e->m.output[0]) e->m.output = last && last->n_out ? last->out[0] : e->n_remove ? e->remove[0] : "";
	return OG_OK;
}

/* ---- doing again ------------------------------------------------------------------------------ */

static bool wanted(const edit *e, const graph *g, const surgery_options *o)
{
	const graph_value *v = graph_value_find(g, e->m.output);
	const char *label = v && v->producer ? graph_node_label(v->producer) : e->m.output;
	return (!o->only || base_glob(o->only, label)) && !(o->skip && base_glob(o->skip, label));
}

/* The new nodes must be what their ops allow. */
static og_status infer_new(const edit *e, const graph *g)
{
	for (int i = 0; i < e->n_insert; i++)
		for (int k = 0; k < e->insert[i].n_out; k++) {
			const graph_value *v = graph_value_find(g, e->insert[i].out[k]);
			if (!v || !v->producer) continue;
			TRY(schema_infer_node(v->producer));
			break;
		}
	return OG_OK;
}

static og_status do_edit(found_box *f, const json_value *v, const map *places, const surgery_options *o)
{
	edit *e;
	replace_place *p = NULL;
	TRY(take_edit(&e, f, v, places, &p, o));
	if (!wanted(e, p->g, o)) return OG_OK;
	TRY(replace_do(e, p, o, f->a));
	TRY(infer_new(e, p->g));
	return found_match(f, &e->m, e);
}

static og_status do_edits(og_model *m, const char *source, const surgery_options *o, found_box *f)
{
	const json_value *root;
	replace_places places;
	map by_path = { 0 };
	TRY(json_parse(&root, f->a, source, strlen(source)));
	const json_value *list = json_member(root, "matches");
	if (!list || list->kind != JSON_ARRAY)
		return base_fail(OG_BAD_FILE, "edits are an object with a list of 'matches', as graft --dry-run --json writes");
	TRY(replace_find_places(&places, f->a, m));
	og_status status = OG_OK;
	for (size_t i = places.n; status == OG_OK && i-- > 0;) status = map_put(&by_path, places.place[i].path, &places.place[i]);
	for (size_t i = 0; status == OG_OK && i < list->count; i++) {
		status = do_edit(f, &list->items[i], &by_path, o);
		if (status != OG_OK && status != OG_NO_MEMORY) base_fail_in(status, "edit %zu", i);
	}
	map_free(&by_path);
	return status == OG_OK ? graph_verify(m) : status;
}

og_status surgery_apply_edits(og_model *m, const char *source, const surgery_options *o, og_found **found)
{
	found_box *f;
	TRY(found_create(&f));
	og_status status = do_edits(m, source, o, f);
	if (status == OG_OK) status = apply_finish(m, o);
	if (status == OG_OK && found) *found = &f->found;
	else og_found_free(&f->found);
	return status;
}
