/* tactics.h -- which of its tactics a step is run by, where a device has several: the one that costs least on this machine.
 *
 * They are timed when the plan is built, on random data in the layouts that they want, on as many threads as the plan has. The
 * time of the reorders that a tactic needs is added, also of those that steps behind it will need. Nodes that differ in
 * their weights only are timed once. All tactics of a node compute the same but for the rounding of sums.
 *
 * A byte of weights counts as so many nanoseconds where the network's weights do not fit the caches: a part of what reading it
 * takes, so that a few percent of a layer's time do not buy several times its memory. Else it counts nothing. */
#ifndef TACTICS_H
#define TACTICS_H

#include "plan/plan.h"

typedef struct tactics tactics;
/* What reads a step's first output: steps that are not chosen yet, and whether something wants it plain (a view, an output). */
enum { TACTICS_READERS = 8 };
typedef struct tactics_readers { const plan_step *step[TACTICS_READERS]; int n; bool plain; } tactics_readers;
/* `cache`: file of times, NULL: none, "": the user's own. weights: bytes of all constants of the network. */
og_status tactics_open(tactics **, const backend *, int threads, og_timing, const char *cache, size_t weights);
/* From here on a byte of weights counts so many nanoseconds. */
void tactics_count_bytes(tactics *, double ns);
/* From here on tactics that leave tensors plain and constants as they are come first. */
void tactics_plain(tactics *, bool);
/* Chooses the step's tactic and prepares its kernel; fills the step's `ways`. readers: NULL: not known. */
og_status tactics_choose(tactics *, og_plan *, plan_step *, const tactics_readers *readers);
/* Writes the cache when `keep`, and frees. NULL is fine. */
og_status tactics_close(tactics *, bool keep);

#endif
