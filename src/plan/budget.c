/* budget.c -- what a byte of weights counts, as the caller wants it. */
#include <math.h>

#include "plan/tactics.h"

/* Nanoseconds a byte: of "small"; between which it lies for a size, which is searched in so many steps. */
static const double SMALL = 1.0, LEAST = 0x1p-9, MOST = 0x1p7;
enum { STEPS = 6 };

/* "150M" and the like; 0: it is no size. */
static size_t parse_size(const char *s)
{
	static const char units[] = "KMG";
	size_t n = 0, bytes;
	for (; *s >= '0' && *s <= '9'; s++)
		if (!base_mul(n, 10, &n) || (n += (size_t)(*s - '0')) < (size_t)(*s - '0')) return 0;
	const char *unit = *s ? strchr(units, *s) : NULL;
	if (*s && (!unit || s[1])) return 0;
	return base_mul(n, unit ? (size_t)1 << 10 * (unit - units + 1) : 1, &bytes) ? bytes : 0;
}

/* Bytes of plan and sessions when a byte of weights counts so much. */
static og_status sketch(size_t *bytes, tactics *t, double ns, const og_model *m, const backend *device, int threads,
                        const plan_form *form, plan_precision precision)
{
	plan_form sketched = *form;
	og_plan *p = NULL;
	sketched.sketch = true;
	sketched.last = false;
	tactics_count_bytes(t, ns);
	TRY(plan_lower(&p, m, device, threads, &sketched, precision, t));
	og_status status = plan_memory(p);
	*bytes = p->weights_bytes + (size_t)plan_slots(p, threads) * (p->arena_bytes + p->workspace_bytes);
	og_plan_free(p);
	return status;
}

/* The least that a byte may count for the plan to fit. */
static og_status find_count(double *ns, size_t most, tactics *t, const og_model *m, const backend *device, int threads,
                            const plan_form *form, plan_precision precision)
{
	size_t bytes;
	*ns = 0;
	TRY(sketch(&bytes, t, 0, m, device, threads, form, precision));
	if (bytes <= most) return OG_OK;
	*ns = MOST;
	TRY(sketch(&bytes, t, MOST, m, device, threads, form, precision));
	if (bytes > most)
		return base_fail(OG_UNSUPPORTED, "this network needs %zu bytes for weights, activations and workspace, more than the %zu that "
		                 "memory allows; allow more", bytes, most);
	double low = log2(LEAST), high = log2(MOST);
	for (int i = 0; i < STEPS; i++) {
		double middle = (low + high) / 2;
		TRY(sketch(&bytes, t, exp2(middle), m, device, threads, form, precision));
		*(bytes <= most ? &high : &low) = middle;
	}
	*ns = exp2(high);
	return OG_OK;
}

og_status plan_count_bytes(tactics *t, const char *memory, const og_model *m, const backend *device, int threads,
                           const plan_form *form, plan_precision precision)
{
	double ns = 0;
	if (!memory || !strcmp(memory, "auto")) return OG_OK;
	size_t most = parse_size(memory);
	bool fast = !strcmp(memory, "fast");
	if (!fast && strcmp(memory, "small") && !most)
		return base_fail(OG_USAGE, "memory '%s' is not known; use auto, fast, small or a size, such as 150M", memory);
	if (!fast && device->device)
		return base_fail(OG_UNSUPPORTED, "memory '%s' is not supported on device %s; use auto or fast", memory, device->name);
	if (most) TRY(find_count(&ns, most, t, m, device, threads, form, precision));
	else if (!fast) ns = SMALL;
	tactics_count_bytes(t, ns);
	return OG_OK;
}
