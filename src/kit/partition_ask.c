/* partition_ask.c -- asking a runtime about nodes, and the user's list of nodes that it cannot take. */
#include "kit/partition.h"

/* ---- asking ------------------------------------------------------------------------------------ */

/* The sentence without what is the same in all of them. */
static const char *reason(partition *p)
{
	static const char *const heads[] = { "ONNX Runtime: " };
	const char *s = base_error();
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
		if (!strncmp(s, heads[i], strlen(heads[i]))) s += strlen(heads[i]);
	for (const char *end = strncmp(s, "node '", 6) ? NULL : strchr(s + 6, '\''); end; end = NULL)
		if (strstr(end, ": ")) s = strstr(end, ": ") + 2;
	char *kept = arena_strdup(p->a, s);
	size_t n = kept ? strlen(kept) : 0;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)kept[i] < ' ') kept[i] = ' ';
	while (n && (kept[n - 1] == ' ' || kept[n - 1] == '.')) kept[--n] = '\0';
	return kept;
}

og_status partition_ask(partition *p, runtime_host *h, bool neutral, const char **why)
{
	og_model *part;
	partition_piece names;
	arena *scratch = arena_create();
	*why = NULL;
	NEED(scratch);
	og_status status = partition_part(&part, p, &names, scratch);
	if (status == OG_OK && neutral) status = partition_rename(part);
	if (status == OG_OK) status = h->is->takes(h, part);
	graph_model_destroy(part);
	arena_destroy(scratch);
	if (status == OG_OK || status == OG_NO_MEMORY || status == OG_MISSING) return status;
	*why = reason(p);
	return *why ? OG_OK : base_no_memory();
}

/* Puts the nodes of a unit inside, no others. The number of the node where it is one, else -1. */
static int put_unit_inside(partition *p, int unit)
{
	int n = 0, one = -1;
	for (int i = 0; i < p->n_nodes; i++) {
		p->nodes[i].inside = p->nodes[i].unit == unit;
		if (!p->nodes[i].inside) continue;
		n++;
		one = i;
	}
	return n == 1 ? one : -1;
}

static void replace_name(text *t, const char *s, const char *name, const char *by, int k)
{
	for (const char *at; (at = strstr(s, name)); s = at + strlen(name)) {
		bool quoted = at > s && at[-1] == '\'' && at[strlen(name)] == '\'';
		text_addn(t, s, (size_t)(at - s));
		if (quoted) text_printf(t, "%s_%d", by, k);
		else text_add(t, name);
	}
	text_add(t, s);
}

const char *partition_neutral(partition *p, const graph_node *n, const char *why)
{
	char *now = base_strdup(why);
	for (int k = 0; k < n->n_in + n->n_out && now; k++) {
		const graph_value *v = k < n->n_in ? n->in[k] : n->out[k - n->n_in];
		text t = { 0 };
		if (!v) continue;
		replace_name(&t, now, v->name, k < n->n_in ? "input" : "output", k < n->n_in ? k : k - n->n_in);
		base_free(now);
		now = text_take(&t);
	}
	const char *kept = now ? arena_printf(p->a, "with the nodes before it: %s", now) : NULL;
	base_free(now);
	return kept;
}

og_status partition_ask_unit(partition *p, runtime_host *h, int unit, const char **why)
{
	int one = put_unit_inside(p, unit);
	const char *key = one >= 0 ? partition_signature(p->a, p->nodes[one].node) : NULL, *known = NULL;
	if (key) key = arena_printf(p->a, "%s %s", h->is->name, key);
	if (key) known = map_get(&p->asked, key);
	if (known) {
		*why = *known ? known : NULL;
		return OG_OK;
	}
	TRY(partition_ask(p, h, one >= 0, why));
	if (*why && one < 0)
		NEED(*why = arena_printf(p->a, "with nodes that it cannot be parted from, as no tensors pass between them: %s", *why));
	return key ? map_put(&p->asked, key, (void *)(uintptr_t)(*why ? *why : "")) : OG_OK;
}

/* ---- what the user says ------------------------------------------------------------------------ */

og_status partition_refused(partition *p, const graph_node *n, const char **why)
{
	*why = NULL;
	for (const char *at = p->o->refuse, *end; at && *at && !*why; at = *end ? end + 1 : end) {
		end = at + strcspn(at, "\n");
		char *line = arena_strndup(p->a, at, (size_t)(end - at));
		NEED(line);
		line[strcspn(line, "#\r")] = '\0';
		char *word = line + strspn(line, " \t"), *rest = word + strcspn(word, " \t");
		if (*rest) *rest++ = '\0';
		rest += strspn(rest, " \t");
		for (char *last = rest + strlen(rest); last > rest && (last[-1] == ' ' || last[-1] == '\t');) *--last = '\0';
		bool type = !strncmp(word, "op:", 3);
		if (*word && base_glob(type ? word + 3 : word, type ? n->type : graph_node_label(n)))
			*why = *rest ? rest : "it is on your list";
	}
	return OG_OK;
}
