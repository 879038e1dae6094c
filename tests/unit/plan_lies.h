/* plan_lies.h -- plans that lie: each is a sound plan with one thing changed and saved again, so that its checksum is right,
 * and has to be refused for what is wrong. For one test program each. */
#ifndef PLAN_LIES_H
#define PLAN_LIES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "plan/plan.h"

/* What `tell` does to a plan; `words` are of the refusal. */
typedef struct plan_lie { const char *name, *words; void (*tell)(og_plan *); } plan_lie;

static char path[64];

/* Tells each lie to a plan of its own. The first of them changes nothing: that plan is read. */
static void refuse_lies(const plan_lie *lies, size_t n, og_plan *(*build)(void))
{
	for (size_t i = 0; i < n; i++) {
		og_plan *p = build(), *loaded;
		lies[i].tell(p);
		assert_int_equal(og_plan_save(p, path), OG_OK);
		og_plan_free(p);
		og_status status = og_plan_load(&loaded, path);
		if (status != (i ? OG_BAD_FILE : OG_OK) || !strstr(og_error(), lies[i].words))
			fail_msg("%s: status %d, %s", lies[i].name, status, og_error());
		og_plan_free(loaded);
	}
}

static int make_path(void **state)
{
	(void)state;
	snprintf(path, sizeof path, "/tmp/opgraft-plan-lies-%ld", (long)getpid());
	return 0;
}

static int remove_path(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

#endif
