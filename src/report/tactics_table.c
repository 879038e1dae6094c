/* tactics_table.c -- the tactics that a plan's steps could be computed by, what they cost, and what was chosen. */
#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "opgraft.h"
#include "plan/plan.h"

static void step_json(json *j, const plan_step *s)
{
	json_begin(j, '{');
	json_put_string(j, "name", s->name);
	json_put_string(j, "op", s->label);
	json_put_string(j, "tactic", s->kernel.tactic);
	json_put(j, "tactics", '[');
	for (int i = 0; i < s->n_ways; i++) {
		json_begin(j, '{');
		json_put_string(j, "tactic", s->ways[i].tactic);
		json_put_number(j, "guess_ms", s->ways[i].guess * 1e-6);
		json_put_number(j, "ms", s->ways[i].run > 0 ? s->ways[i].run * 1e-6 : NAN);
		json_put_number(j, "reorders_ms", s->ways[i].run > 0 ? s->ways[i].reorders * 1e-6 : NAN);
		json_put_int(j, "bytes", (int64_t)s->ways[i].bytes);
		json_end(j, '}');
	}
	json_end(j, ']');
	json_end(j, '}');
}

static void add_time(text *t, double ns)
{
	char number[32];
	if (ns < 1e6) snprintf(number, sizeof number, "%.2f us", ns * 1e-3);
	else snprintf(number, sizeof number, "%.3f ms", ns * 1e-6);
	text_printf(t, " %10s", ns > 0 ? number : "-");
}

static void add_bytes(text *t, size_t bytes)
{
	char number[32];
	if (bytes < 1 << 20) snprintf(number, sizeof number, "%.1f KiB", (double)bytes * 0x1p-10);
	else snprintf(number, sizeof number, "%.2f MiB", (double)bytes * 0x1p-20);
	text_printf(t, " %10s", bytes ? number : "-");
}

/* name, step, tactic, time of a run, time of reorders, weights: 80 columns. */
static void step_text(text *t, const plan_step *s)
{
	const char *name = s->name, *label = s->label;
	if (!s->n_ways) text_printf(t, "%-12.12s %-14.14s * %-16.16s\n", name, label, s->kernel.tactic);
	for (int i = 0; i < s->n_ways; i++) {
		const plan_way *w = &s->ways[i];
		text_printf(t, "%-12.12s %-14.14s %c %-16.16s",
		            name, label, strcmp(w->tactic, s->kernel.tactic) ? ' ' : '*', w->tactic);
		add_time(t, w->run);
		add_time(t, w->run > 0 ? w->reorders : 0);
		add_bytes(t, w->bytes);
		text_add(t, "\n");
		name = label = "";
	}
}

og_status og_plan_tactics(char **out, const og_plan *p, og_format format)
{
	text t = { 0 };
	json j = { .need_comma = false };
	if (format == OG_JSON) {
		json_begin(&j, '{');
		json_put_number(&j, "byte_ns", p->byte_ns);
		json_put(&j, "steps", '[');
		for (int i = 0; i < p->n_steps; i++) step_json(&j, &p->steps[i]);
		json_end(&j, ']');
		json_end(&j, '}');
	} else {
		text_printf(&t, "%-12s %-14s   %-16s %10s %10s %10s\n", "node", "step", "tactic", "time", "reorders", "weights");
		for (int i = 0; i < p->n_steps; i++) step_text(&t, &p->steps[i]);
		text_printf(&t, "*: chosen, by time and reorders and %.3g ns a byte of weights\n-: none, or not timed (the only one, or expected to be "
		            "far worse)\n", p->byte_ns);
	}
	*out = text_take(format == OG_JSON ? &j.out : &t);
	return *out ? OG_OK : base_no_memory();
}
