/* host_format.c -- memory formats: where elements lie, and which a plugin takes. */
#include "kit/host.h"

#include <stdio.h>

const char *host_type_name(int32_t type)
{
	switch (type) {
#define X(name, number, ours) case number: return #name;
	TRT_TYPES(X)
#undef X
	default: return "?";
	}
}

static const char *format_name(int32_t format)
{
	switch (format) {
#define X(name, number, lanes, channel) case number: return #name;
	TRT_FORMATS(X)
#undef X
	default: return "?";
	}
}

og_dtype host_dtype(int32_t type)
{
	switch (type) {
#define X(name, number, ours) case number: return ours;
	TRT_TYPES(X)
#undef X
	default: return OG_NONE;
	}
}

/* ---- layouts --------------------------------------------------------------------------------------- */

static bool lanes_of(int32_t format, size_t *lanes, int *channel)
{
	switch (format) {
#define X(name, number, many, place) case number: *lanes = many, *channel = place; return true;
	TRT_FORMATS(X)
#undef X
	default: return false;
	}
}

bool host_layout_of(host_layout *out, int32_t format, const trt_dims *dims)
{
	int channel, at;
	*out = (host_layout){ .outer = 1, .channel = 1, .inner = 1 };
	if (!lanes_of(format, &out->lanes, &channel) || dims->nbDims < channel) return false;
	at = channel ? dims->nbDims - channel : -1;
	for (int d = 0; d < dims->nbDims; d++) {
		size_t *part = d == at ? &out->channel : d < at ? &out->outer : &out->inner;
		if (dims->d[d] < 0 || !base_mul(*part, (size_t)dims->d[d], part)) return false;
	}
	if (out->channel > SIZE_MAX - out->lanes) return false;
	out->padded = (out->channel + out->lanes - 1) / out->lanes * out->lanes;
	out->by_lane = format_name(format)[0] == 'C';       /* "CHW4": groups of channels stay in front */
	return base_mul(out->outer, out->padded, &out->elements) && base_mul(out->elements, out->inner, &out->elements);
}

size_t host_layout_at(const host_layout *l, size_t k)
{
	size_t inner = k % l->inner, channel = k / l->inner % l->channel, outer = k / l->inner / l->channel;
	if (!l->by_lane) return (outer * l->inner + inner) * l->padded + channel;
	return ((outer * (l->padded / l->lanes) + channel / l->lanes) * l->inner + inner) * l->lanes + channel % l->lanes;
}

/* ---- combinations ------------------------------------------------------------------------------------ */

trt_range host_range(const trt_dims *dims, int32_t type, int32_t format)
{
	return (trt_range){ .desc = { *dims, type, format, 1.0f }, .min = *dims, .max = *dims, .opt = *dims };
}

void host_combination_words(char *out, size_t room, const host_combination *f, int n)
{
	bool same = true;
	size_t used = 0;
	for (int k = 1; k < n; k++) same = same && f->type[k] == f->type[0] && f->format[k] == f->format[0];
	*out = '\0';
	for (int k = 0; k < (same ? 1 : n) && used < room; k++)
		used += (size_t)snprintf(out + used, room - used, "%s%s in %s", k ? ", " : "", host_type_name(f->type[k]),
		                         format_name(f->format[k]));
}

typedef struct search {
	host *h;
	const host_plugin *p, *copy;
	const host_case *c;
	int n;                               /* positions */
	bool strict;
	trt_range range[HOST_POSITIONS];
	host_combination now, *found;
	size_t n_found, capacity;
	bool full, no_memory;
} search;

enum { MOST_COMBINATIONS = 2000 };

/* Asks about a position; what stands behind it is anything. */
static bool ask(search *s, const host_plugin *p, int position, int32_t type, int32_t format)
{
	for (int k = position + 1; k < s->n; k++) s->range[k].desc.type = type, s->range[k].desc.format = format;
	host_calls("supportsFormatCombination");
	return p->build->table->supportsFormatCombination(p->build, position, s->range, s->c->n_in, p->n_out);
}

/* One question several times, with other things behind it, and to a clone. */
static bool takes(search *s, int position)
{
	enum { TIMES = 6 };
	const bool taken = ask(s, s->p, position, TRT_FLOAT, TRT_LINEAR);
	bool same = true;
	if (!s->strict) return taken;
	const char *type = host_type_name(s->now.type[position]), *format = format_name(s->now.format[position]);
	for (int k = 0; k < TIMES; k++) same &= ask(s, s->p, position, TRT_FLOAT, TRT_LINEAR) == taken;
	if (!same)
		host_fail(s->h,
		          "supportsFormatCombination answers the same question, of %s in %s at position %d, now with yes and "
		          "now with no",
		          type, format, position);
	else if (ask(s, s->p, position, TRT_BOOL, TRT_HWC8) != taken)
		host_fail(s->h,
		          "supportsFormatCombination, asked of position %d, looks at types or formats of positions behind it, "
		          "which are not set "
		          "then",
		          position);
	else if (ask(s, s->copy, position, TRT_FLOAT, TRT_LINEAR) != taken)
		host_fail(s->h, "supportsFormatCombination says %s to %s in %s at position %d, and a clone says %s",
		          taken ? "yes" : "no", type, format, position, taken ? "no" : "yes");
	return taken;
}

static void look(search *s, int position)
{
	if (position == s->n) {
		if (s->n_found == MOST_COMBINATIONS) {
			s->full = true;
			return;
		}
		host_combination *room = arena_grow(s->h->a, s->found, s->n_found, &s->capacity, s->n_found + 1, sizeof *room);
		if (!room) {
			s->no_memory = true;
			return;
		}
		s->found = room;
		s->found[s->n_found++] = s->now;
		return;
	}
	trt_tensor *t = &s->range[position].desc;
	static const int32_t types[] = {
#define X(name, number, ours) number,
		TRT_TYPES(X)
#undef X
	}, formats[] = {
#define X(name, number, lanes, channel) number,
		TRT_FORMATS(X)
#undef X
	};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		for (size_t j = 0; j < sizeof formats / sizeof *formats && !s->full && !s->no_memory && !s->h->failed; j++) {
			host_layout l;
			if (types[i] == TRT_INT4 || !host_layout_of(&l, formats[j], &t->dims)) continue;
			s->now.type[position] = types[i];
			s->now.format[position] = formats[j];
			t->type = types[i], t->format = formats[j];
			if (takes(s, position)) look(s, position + 1);
			t->type = types[i], t->format = formats[j];
		}
}

bool host_combinations(host *h, host_combination **out, size_t *n, const host_plugin *p, const host_case *c,
                       const trt_dims *made, bool strict)
{
	host_plugin copy = { .plugin = NULL };
	search s = { .h = h, .p = p, .copy = &copy, .c = c, .n = c->n_in + p->n_out, .strict = strict };
	if (strict && !host_clone(h, &copy, p)) return false;
	for (int k = 0; k < s.n; k++)
		s.range[k] = host_range(k < c->n_in ? &c->in[k] : &made[k - c->n_in], TRT_FLOAT, TRT_LINEAR);
	look(&s, 0);
	if (strict) host_destroy(&copy);
	if (s.no_memory) return host_fail(h, "memory ran out");
	*out = s.found;
	*n = s.n_found;
	return !h->failed;
}

/* ---- configuring --------------------------------------------------------------------------------------- */

static void ranges_of(trt_range *out, const host_case *c, const trt_dims *made, const host_combination *f, int n_out)
{
	for (int k = 0; k < c->n_in + n_out; k++)
		out[k] = host_range(k < c->n_in ? &c->in[k] : &made[k - c->n_in], f->type[k], f->format[k]);
}

bool host_configure(host *h, const host_plugin *p, const host_case *c, const trt_dims *made, const host_combination *f)
{
	trt_range r[HOST_POSITIONS];
	char words[200];
	host_goes_on(h);
	host_combination_words(words, sizeof words, f, c->n_in + p->n_out);
	ranges_of(r, c, made, f, p->n_out);
	host_upon("inputs of %s, %s", c->words, words);
	host_calls("configurePlugin");
	int32_t status = p->build->table->configurePlugin(p->build, r, c->n_in, r + c->n_in, p->n_out);
	return !status ||
	       host_fail(h, "configurePlugin returns %d for inputs of %s, %s, which supportsFormatCombination takes",
	                 (int)status, c->words, words);
}

bool host_ask_needs(host *h, host_needs *out, const host_plugin *p, const host_case *c, const trt_dims *made,
                    const host_combination *f)
{
	trt_range r[HOST_POSITIONS];
	ranges_of(r, c, made, f, p->n_out);
	*out = (host_needs){ .n_tactics = 1 };
	host_calls("getWorkspaceSize");
	out->workspace = p->build->table->getWorkspaceSize(p->build, r, c->n_in, r + c->n_in, p->n_out);
	if (out->workspace > SIZE_MAX / 2) return host_fail(h, "getWorkspaceSize asks for %zu bytes", out->workspace);
	host_calls("getNbTactics");
	int32_t n = p->build->table->getNbTactics(p->build);
	if (n < 0) return host_fail(h, "getNbTactics returns %d", (int)n);
	if (n == 0) return true;
	int32_t *tactics = arena_array(h->a, (size_t)n, sizeof *tactics);
	if (!tactics) return host_fail(h, "memory ran out");
	host_calls("getValidTactics");
	int32_t status = p->build->table->getValidTactics(p->build, tactics, n);
	if (status) return host_fail(h, "getNbTactics says %d, and getValidTactics returns %d", (int)n, (int)status);
	for (int32_t i = 0; i < n; i++) {
		if (tactics[i] <= 0) return host_fail(h, "getValidTactics gives %d, and tactics are 1 or more", (int)tactics[i]);
		for (int32_t j = 0; j < i; j++)
			if (tactics[i] == tactics[j]) return host_fail(h, "getValidTactics gives tactic %d twice", (int)tactics[i]);
	}
	out->n_tactics = n < HOST_MAX_TACTICS ? n : HOST_MAX_TACTICS;
	memcpy(out->tactic, tactics, (size_t)out->n_tactics * sizeof *tactics);
	return true;
}

/* ---- the checks of both ------------------------------------------------------------------------------------ */

typedef struct tally { size_t combinations, formats, tactics; size_t workspace; bool over_limit; } tally;

static void each_combination(host *h, bool strict,
                             void (*each)(host *, const host_plugin *, const host_case *, const trt_dims *,
                                          const host_combination *, tally *),
                             tally *t)
{
	host_case *cases;
	size_t n, n_found;
	if (!host_cases(h, &cases, &n)) return;
	for (size_t i = 0; i < n && !h->failed; i++) {
		host_plugin p;
		host_combination *found;
		trt_dims made[HOST_MAX_ARGS];
		int32_t status;
		if (!host_need(h, &p, &cases[i].given, TRT_PHASE_BUILD)) return;
		host_upon("inputs of %s", cases[i].words);
		if (!host_output_shapes(h, &status, &p, &cases[i], made)) return;
		if (status) {
			host_fail(h, "getOutputShapes returns %d for inputs of %s", (int)status, cases[i].words);
			return;
		}
		if (!host_combinations(h, &found, &n_found, &p, &cases[i], made, strict)) return;
		if (n_found == 0)
			host_fail(h, "supportsFormatCombination takes no type and format at all for inputs of %s", cases[i].words);
		host_calls("getFormatCombinationLimit");
		int32_t limit = p.build->table->getFormatCombinationLimit(p.build);
		t->over_limit |= limit > 0 && n_found > (size_t)limit;
		t->combinations += n_found;
		for (size_t k = 0; k < n_found && !h->failed; k++) each(h, &p, &cases[i], made, &found[k], t);
		host_destroy(&p);
	}
}

/* The types of the outputs follow from those of the inputs: TensorRT asks for them first. */
static void check_types_of(host *h, const host_plugin *p, const host_case *c, const trt_dims *made,
                           const host_combination *f, tally *t)
{
	int32_t out[HOST_POSITIONS], status;
	char words[200];
	(void)made;
	host_combination_words(words, sizeof words, f, c->n_in + p->n_out);
	host_upon("%s", words);
	if (!host_output_types(h, &status, p, f->type, c->n_in, out)) return;
	if (status)
		host_fail(h, "supportsFormatCombination takes %s, but getOutputDataTypes returns %d for it", words,
		          (int)status);
	for (int k = 0; k < c->n_in + p->n_out; k++)
		if (f->format[k] != TRT_LINEAR) {
			t->formats++;
			break;
		}
}

void host_check_formats(host *h)
{
	tally t = { 0 };
	each_combination(h, true, check_types_of, &t);
	host_note(h, "%zu combinations, %zu of them packed%s", t.combinations, t.formats,
	          t.over_limit ? "; more than getFormatCombinationLimit allows: TensorRT looks at the first of them only"
	                       : "");
}

static void check_configure(host *h, const host_plugin *p, const host_case *c, const trt_dims *made,
                            const host_combination *f, tally *t)
{
	host_needs first, second;
	host_plugin copy;
	if (!host_configure(h, p, c, made, f) || !host_ask_needs(h, &first, p, c, made, f) ||
	    !host_ask_needs(h, &second, p, c, made, f))
		return;
	if (first.workspace != second.workspace)
		host_fail(h, "getWorkspaceSize answers %zu and then %zu to the same question", first.workspace, second.workspace);
	if (!host_clone(h, &copy, p)) return;
	host_calls("getTimingCacheID");
	const char *id = p->build->table->getTimingCacheID(p->build),
			   *other = copy.build->table->getTimingCacheID(copy.build);
	if (!id != !other || (id && strcmp(id, other)))
		host_fail(h, "getTimingCacheID is %s, and %s of a clone", id ? id : "NULL", other ? other : "NULL");
	host_calls("getMetadataString");
	(void)p->build->table->getMetadataString(p->build);
	host_destroy(&copy);
	t->tactics += (size_t)first.n_tactics;
	if (first.workspace > t->workspace) t->workspace = first.workspace;
}

void host_check_configure(host *h)
{
	tally t = { 0 };
	each_combination(h, false, check_configure, &t);
	host_note(h, "%zu combinations, %zu tactics, workspace at most %zu bytes", t.combinations, t.tactics, t.workspace);
}
