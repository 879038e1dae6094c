/* partition.c -- who takes which node, and the cut.
 *
 * The runtime is asked about the whole network, then, if it does not take that, about its nodes, each as a network of its own
 * (once for all that are alike). The cut of cluster.h follows, and each piece is shown to who is to run it: what does not go
 * together after all is found by halving the piece, told like other refusals, and the cut is made anew. */
#include "kit/partition.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "schema/schema.h"
#include "surgery/surgery.h"

/* ---- the network ------------------------------------------------------------------------------- */

/* What may pass between pieces: dense tensors of numbers, of a type that is known. */
static bool passes(const graph_value *v) { return v->dtype != OG_NONE && v->dtype != OG_STRING; }

/* Hangs on nothing that comes in, and is the same each time. */
static bool is_candidate(const partition *p, const graph_node *n)
{
	static const char *const random[] = { "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli",
	                                      "Multinomial" };
	for (size_t i = 0; i < sizeof random / sizeof *random; i++)
		if (!strcmp(n->type, random[i])) return false;
	if (!n->op) return false;
	for (int k = 0; k < n->n_in; k++) {
		const graph_value *v = n->in[k];
		int from = v && !v->constant ? partition_producer(v) : -1;
		if (v && !v->constant && (from < 0 || !p->nodes[from].candidate)) return false;
	}
	for (int k = 0; k < n->n_out; k++)
		if (n->out[k] && (n->out[k]->is_output || !passes(n->out[k]))) return false;
	return true;
}

/* A constant that is an output of the network is made by a node from now on. */
static og_status make_outputs(og_model *m)
{
	for (int k = 0; k < m->main->n_outputs; k++) {
		graph_value *v = m->main->outputs[k], *made;
		graph_node *n;
		if (!v->constant || v->is_input) continue;
		TRY(graph_value_add(&made, m->main, NULL, v->dtype, v->rank, v->dims));
		TRY(graph_node_add(&n, m->main, NULL, "", "Identity", v->name, 1, 1));
		TRY(graph_set_input(n, 0, v));
		TRY(graph_set_output(n, 0, made));
		TRY(graph_output_set(m->main, k, made));
	}
	schema_resolve(m);
	return OG_OK;
}

static og_status find_edges(partition *p)
{
	size_t n = 0;
	for (int filling = 0; filling < 2; filling++) {
		if (filling) NEED(p->net.edges = arena_array(p->a, n + 1, sizeof *p->net.edges));
		n = 0;
		for (int i = 0; i < p->n_nodes; i++)
			for (int k = 0; k < p->nodes[i].node->n_out; k++) {
				const graph_value *v = p->nodes[i].node->out[k];
				for (size_t u = 0; v && u < v->n_uses; u++, n++)
					if (filling) p->net.edges[n] = (cluster_edge){ i, partition_user(&v->uses[u]), !passes(v) };
			}
	}
	p->net.n_edges = n;
	p->net.n = p->n_nodes;
	return OG_OK;
}

static og_status read_network(partition *p, const og_model *m)
{
	TRY(graph_model_copy(&p->m, m));
	TRY(make_outputs(p->m));
	TRY(surgery_clean_up(p->m));
	if (p->m->main->n_nodes > INT32_MAX - 1) return base_fail(OG_UNSUPPORTED, "the network has too many nodes");
	p->nodes = arena_array(p->a, p->m->main->n_nodes + 1, sizeof *p->nodes);
	NEED(p->nodes);
	for (graph_node *n = p->m->main->first; n; n = n->next) {
		p->nodes[p->n_nodes].node = n;
		n->mark = (void *)(intptr_t)++p->n_nodes;
	}
	for (int i = 0; i < p->n_nodes; i++) p->nodes[i].candidate = p->nodes[i].constant = is_candidate(p, p->nodes[i].node);
	TRY(find_edges(p));
	int *unit = arena_array(p->a, (size_t)p->n_nodes + 1, sizeof *unit);
	NEED(unit);
	TRY(cluster_units(&p->net, unit, &p->n_units));
	bool *seen = arena_array(p->a, (size_t)p->n_units + 1, sizeof *seen);
	NEED(seen);
	for (int i = 0; i < p->n_nodes; i++) {
		p->nodes[i].unit = unit[i];
		p->nodes[i].leads = !seen[unit[i]];
		seen[unit[i]] = true;
	}
	return OG_OK;
}

/* ---- who takes what ---------------------------------------------------------------------------- */

static og_status open_host(partition *p, runtime_host *h, const runtime *is)
{
	*h = (runtime_host){ .is = is, .folder = p->folder, .libraries = p->o->libraries, .n_libraries = p->o->n_libraries };
	return is->open(h);
}

static void close_host(runtime_host *h)
{
	if (h->is && h->is->close) h->is->close(h);
	*h = (runtime_host){ .is = NULL };
}

/* Takes whatever the user's list does not name. */
static og_status takes_all(runtime_host *h, og_model *m) { (void)h, (void)m; return OG_OK; }

static og_status open_runtime(partition *p)
{
	const runtime *is = runtime_find(p->o->runtime ? p->o->runtime : "");
	if (!is) return OG_USAGE;
	og_status status = open_host(p, &p->host, is);
	if (status != OG_MISSING || !p->o->refuse) return status;
	close_host(&p->host);
	p->listed = (runtime){ .name = is->name, .takes = takes_all };
	p->host = (runtime_host){ .is = &p->listed, .assumed = "It is not here to be asked: it is taken for granted that it takes all "
	                          "nodes but those listed" };
	snprintf(p->host.version, sizeof p->host.version, "%s", is->name);
	return OG_OK;
}

/* why NULL: it is taken. */
static void answer(partition *p, int unit, const char *why)
{
	for (int i = 0; i < p->n_nodes; i++)
		if (p->nodes[i].unit == unit) {
			p->nodes[i].taken = !why;
			p->nodes[i].constant = p->nodes[i].candidate && !why;
			p->nodes[i].reason = why;
		}
}

/* Sizes and axes are computed by nodes of whole numbers, often from shapes alone: with these, a runtime may know what it
 * wants to know in advance. The unit is asked about together with them. If the cut parts them after all, it shows later. */
static og_status ask_again(partition *p, int unit, const char **why)
{
	bool more = false;
	const char *now = *why;
	for (int i = 0; i < p->n_nodes; i++) p->nodes[i].inside = p->nodes[i].unit == unit;
	for (int i = p->n_nodes - 1; i >= 0; i--) {
		const graph_node *n = p->nodes[i].node;
		for (int k = 0; k < n->n_in && p->nodes[i].inside; k++) {
			int from = n->in[k] ? partition_producer(n->in[k]) : -1;
			if (from < 0 || p->nodes[from].inside || !p->nodes[from].taken) continue;
			p->nodes[from].inside = n->in[k]->dtype == OG_I64 || n->in[k]->dtype == OG_I32;
			more |= p->nodes[from].inside;
		}
	}
	if (more) TRY(partition_ask(p, &p->host, false, &now));
	if (!now) *why = NULL;
	return OG_OK;
}

/* Whether what is inside was shown to that runtime before; from now on it was. */
static og_status remember(partition *p, const runtime_host *h, bool *known)
{
	uint64_t key = base_hash(h->is->name, strlen(h->is->name), 1);
	for (int i = 0; i < p->n_nodes; i++)
		if (p->nodes[i].inside && !p->nodes[i].constant) key = base_hash(&i, sizeof i, key);
	*known = false;
	for (size_t i = 0; i < p->n_shown && !*known; i++) *known = p->shown[i] == key;
	if (*known) return OG_OK;
	uint64_t *shown = arena_grow(p->a, p->shown, p->n_shown, &p->cap_shown, p->n_shown + 1, sizeof *shown);
	NEED(shown);
	p->shown = shown;
	shown[p->n_shown++] = key;
	return OG_OK;
}

static og_status ask_runtime(partition *p)
{
	const char *why;
	for (int i = 0; i < p->n_nodes; i++) p->nodes[i].taken = true;
	for (int i = 0; i < p->n_nodes && p->o->refuse; i++) {
		TRY(partition_refused(p, p->nodes[i].node, &why));
		if (why) answer(p, p->nodes[i].unit, why);
	}
	bool any = false;
	for (int i = 0; i < p->n_nodes; i++) any |= p->nodes[i].inside = p->nodes[i].taken;
	if (!any) return OG_OK;
	TRY(partition_ask(p, &p->host, false, &why));
	if (!why) return remember(p, &p->host, &any);
	for (int i = 0; i < p->n_nodes; i++) {
		if (!p->nodes[i].taken || !p->nodes[i].leads) continue;
		TRY(partition_ask_unit(p, &p->host, p->nodes[i].unit, &why));
		if (why) TRY(ask_again(p, p->nodes[i].unit, &why));
		if (why) answer(p, p->nodes[i].unit, why);
	}
	return OG_OK;
}

/* Whether the fallback takes all that is refused; OG_UNSUPPORTED with the first node that it does not take. */
static og_status ask_fallback(partition *p)
{
	const char *why;
	for (int i = 0; i < p->n_nodes; i++) {
		const partition_node *n = &p->nodes[i];
		if (n->taken) continue;
		TRY(partition_ask_unit(p, &p->fallback, n->unit, &why));
		if (why)
			return base_fail(OG_UNSUPPORTED, "node '%s' (%s) can run nowhere: %s: %s; %s: %s", graph_node_label(n->node), n->node->type,
			                 p->host.version, n->reason ? n->reason : "its piece is too small", p->fallback.version, why);
	}
	return OG_OK;
}

/* The one that the user wants, or the first of these, from the present choice on, that takes all that is refused. */
static og_status choose_fallback(partition *p)
{
	static const char *const best[] = { "opgraft", "onnxruntime", "reference" };
	const char *wanted = p->o->fallback;
	og_status status = OG_UNSUPPORTED;
	if (wanted && !runtime_find(wanted)) return OG_USAGE;
	if (wanted && !strcmp(wanted, p->host.is->name))
		return base_fail(OG_USAGE, "%s cannot run what it refuses: name another runtime as the fallback", wanted);
	for (; p->choice < (wanted ? 1 : sizeof best / sizeof *best); p->choice++) {
		const char *name = wanted ? wanted : best[p->choice];
		if (!strcmp(name, p->host.is->name)) continue;
		close_host(&p->fallback);
		TRY(open_host(p, &p->fallback, runtime_find(name)));
		if (p->fallback.assumed && !wanted) continue;
		status = ask_fallback(p);
		if (status != OG_UNSUPPORTED) break;
	}
	return status;
}

/* ---- the cut ----------------------------------------------------------------------------------- */

/* Pieces of the units that are not constant. */
static og_status cut(partition *p)
{
	const size_t n_units = (size_t)p->n_units + 1;
	int *number = arena_array(p->a, n_units, sizeof *number), *piece = arena_array(p->a, n_units, sizeof *piece);
	bool *taken = arena_array(p->a, n_units, sizeof *taken);
	cluster_net net = { .edges = arena_array(p->a, p->net.n_edges + 1, sizeof *net.edges) };
	if (!number || !piece || !taken || !net.edges) return base_no_memory();
	for (int u = 0; u < p->n_units; u++) number[u] = -1;
	for (int i = 0; i < p->n_nodes; i++) {
		partition_node *n = &p->nodes[i];
		n->constant = n->candidate && n->taken;
		if (!n->constant) number[n->unit] = 0;
	}
	for (int u = 0; u < p->n_units; u++)
		if (number[u] == 0) number[u] = net.n++;
	for (int i = 0; i < p->n_nodes; i++)
		if (number[p->nodes[i].unit] >= 0) taken[number[p->nodes[i].unit]] = p->nodes[i].taken;
	for (size_t i = 0; i < p->net.n_edges; i++) {
		const cluster_edge e = { number[p->net.edges[i].from], number[p->net.edges[i].to], false };
		if (e.from >= 0 && e.to >= 0) net.edges[net.n_edges++] = e;
	}
	TRY(cluster_pieces(&net, taken, piece, &p->n_pieces));
	for (int i = 0; i < p->n_nodes; i++) {
		int u = number[p->nodes[i].unit];
		p->nodes[i].piece = u < 0 ? -1 : piece[u];
	}
	p->pieces = arena_array(p->a, (size_t)p->n_pieces + 1, sizeof *p->pieces);
	NEED(p->pieces);
	for (int i = 0; i < p->n_nodes; i++) {
		if (p->nodes[i].piece < 0) continue;
		partition_piece *at = &p->pieces[p->nodes[i].piece];
		at->n_nodes++;
		at->host = p->nodes[i].taken ? &p->host : &p->fallback;
	}
	return OG_OK;
}

/* Gives the smallest piece below the limit to the fallback, if that takes it. *done: there is none. */
static og_status drop_small(partition *p, bool *done)
{
	const char *why = NULL;
	int smallest = -1;
	for (int k = 0; k < p->n_pieces; k++)
		if (p->pieces[k].host == &p->host && p->pieces[k].n_nodes < p->o->min_nodes && !p->pieces[k].stays &&
		    (smallest < 0 || p->pieces[k].n_nodes < p->pieces[smallest].n_nodes))
			smallest = k;
	*done = smallest < 0;
	for (int i = 0; i < p->n_nodes && !*done && !why; i++)
		if (p->nodes[i].piece == smallest) TRY(partition_ask_unit(p, &p->fallback, p->nodes[i].unit, &why));
	if (*done) return OG_OK;
	p->pieces[smallest].stays = why != NULL;
	for (int i = 0; i < p->n_nodes && !why; i++)
		if (p->nodes[i].piece == smallest) p->nodes[i].taken = false;
	return why ? OG_OK : cut(p);
}

static og_status drop_all_small(partition *p)
{
	bool done = p->o->min_nodes <= 1;
	while (!done) TRY(drop_small(p, &done));
	return OG_OK;
}

/* ---- pieces are shown to who is to run them ------------------------------------------------------ */

/* The first `n` units of a piece inside. */
static void put_inside(partition *p, int piece, int n)
{
	for (int i = 0; i < p->n_nodes; i++) p->nodes[i].inside = false;
	for (int i = 0; i < p->n_nodes && n > 0; i++) {
		if (p->nodes[i].piece != piece || !p->nodes[i].leads) continue;
		n--;
		for (int k = i; k < p->n_nodes; k++)
			if (p->nodes[k].unit == p->nodes[i].unit) p->nodes[k].inside = true;
	}
}

static int count_units(const partition *p, int piece)
{
	int n = 0;
	for (int i = 0; i < p->n_nodes; i++) n += p->nodes[i].piece == piece && p->nodes[i].leads;
	return n;
}

/* *culprit: the first node of the unit because of which a piece is not taken, all units in front of it being taken; -1: the
 * piece is taken. */
static og_status show(partition *p, int piece, int *culprit, const char **why)
{
	bool known;
	const char *now;
	runtime_host *h = (runtime_host *)(uintptr_t)p->pieces[piece].host;
	int low = 0, high = count_units(p, piece);
	*culprit = -1;
	put_inside(p, piece, high);
	TRY(remember(p, h, &known));
	if (known) return OG_OK;
	TRY(partition_ask(p, h, false, why));
	if (!*why) return OG_OK;
	while (high - low > 1) {
		int middle = low + (high - low) / 2;
		put_inside(p, piece, middle);
		TRY(partition_ask(p, h, false, &now));
		if (now) *why = now;
		if (now) high = middle;
		else low = middle;
	}
	for (int i = 0, units = 0; i < p->n_nodes && units < high; i++) {
		if (p->nodes[i].piece != piece || !p->nodes[i].leads) continue;
		if (++units == high) *culprit = i;
	}
	return OG_OK;
}

/* A unit inside, with the nodes of its piece that it reads from. */
static void put_local(partition *p, int unit)
{
	for (int i = 0; i < p->n_nodes; i++) p->nodes[i].inside = p->nodes[i].unit == unit;
	for (int i = 0; i < p->n_nodes; i++) {
		const graph_node *n = p->nodes[i].node;
		for (int k = 0; k < n->n_in && p->nodes[i].unit == unit; k++) {
			int from = n->in[k] ? partition_producer(n->in[k]) : -1;
			if (from >= 0 && p->nodes[from].piece == p->nodes[i].piece) p->nodes[from].inside = true;
		}
	}
}

/* What one node is refused for, others of its kind are refused for, too: each is asked about, together with the nodes in front of
 * it, if that is enough to be refused. So a network with hundreds of them is done soon. */
static og_status refuse_alike(partition *p, int culprit)
{
	const partition_node *first = &p->nodes[culprit];
	const char *why;
	put_local(p, first->unit);
	TRY(partition_ask(p, &p->host, false, &why));
	for (int i = 0; i < p->n_nodes && why; i++) {
		partition_node *n = &p->nodes[i];
		const char *now = NULL;
		if (!n->taken || !n->leads || n->constant || n->unit == first->unit || strcmp(n->node->type, first->node->type)) continue;
		put_local(p, n->unit);
		TRY(partition_ask(p, &p->host, false, &now));
		if (!now) continue;
		now = partition_neutral(p, n->node, now);
		NEED(now);
		answer(p, n->unit, now);
	}
	return OG_OK;
}

/* Shows the pieces until one is refused, of which it takes the consequence. *done: none is. */
static og_status show_pieces(partition *p, bool *done)
{
	int culprit = -1;
	const char *why;
	*done = false;
	for (int k = 0; k < p->n_pieces; k++) {
		TRY(show(p, k, &culprit, &why));
		if (culprit < 0) continue;
		if (p->pieces[k].host == &p->fallback) {
			p->choice++;
			return base_fail(OG_UNSUPPORTED, "node '%s' (%s) cannot be run by the fallback, %s: %s",
			                 graph_node_label(p->nodes[culprit].node), p->nodes[culprit].node->type, p->fallback.version, why);
		}
		why = partition_neutral(p, p->nodes[culprit].node, why);
		NEED(why);
		answer(p, p->nodes[culprit].unit, why);
		return refuse_alike(p, culprit);
	}
	*done = true;
	return OG_OK;
}

/* Until all pieces are taken. Each time round a node more is refused, or a fallback less is left, so it ends. */
static og_status settle(partition *p)
{
	bool done = false;
	while (!done) {
		TRY(choose_fallback(p));
		TRY(cut(p));
		TRY(drop_all_small(p));
		og_status status = show_pieces(p, &done);
		if (status != OG_OK && status != OG_UNSUPPORTED) return status;
	}
	return OG_OK;
}

/* ---- from model to answer ------------------------------------------------------------------------ */

static og_status make_folder(partition *p)
{
	const char *temporary = getenv("TMPDIR");
	p->made_folder = p->o->folder && !mkdir(p->o->folder, 0777);
	if (p->o->folder && !p->made_folder && errno != EEXIST)
		return base_fail(OG_MISSING, "%s: the folder cannot be made: %s", p->o->folder, strerror(errno));
	if (!temporary || !*temporary) temporary = "/tmp";
	char *folder = arena_printf(p->a, "%s/.opgraft-XXXXXX", p->o->folder ? p->o->folder : temporary);
	NEED(folder);
	if (!mkdtemp(folder)) return base_fail(OG_MISSING, "%s: no files can be made there: %s", folder, strerror(errno));
	p->folder = folder;
	return OG_OK;
}

static og_status work(partition *p, const og_model *m, og_format format, char **out)
{
	TRY(make_folder(p));
	TRY(read_network(p, m));
	TRY(open_runtime(p));
	TRY(ask_runtime(p));
	TRY(settle(p));
	TRY(partition_write(p));
	return partition_print(out, p, format);
}

og_status og_partition(char **out, const og_model *m, const og_partition_options *options, og_format format)
{
	og_partition_options o = { 0 };
	partition p = { .a = arena_create(), .o = &o };
	*out = NULL;
	NEED(p.a);
	if (options) memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
	og_status status = work(&p, m, format, out);
	close_host(&p.host);
	close_host(&p.fallback);
	partition_sweep(&p);
	map_free(&p.asked);
	graph_model_destroy(p.m);
	arena_destroy(p.a);
	return status;
}
