/* graph_text.h -- what the tests of src/graph share: calls that must work, models to text and back. */
#ifndef GRAPH_TEXT_H
#define GRAPH_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "graph/graph.h"

#define OK(call) do { \
	og_status ok_ = (call); \
	if (ok_ != OG_OK) fail_msg("%s: %s", #call, base_error()); \
} while (0)

static inline char *print(const og_model *m)
{
	text t = { 0 };
	OK(graph_print(&t, m));
	return text_take(&t);
}

static inline og_model *parse(const char *s)
{
	og_model *m;
	OK(graph_parse(&m, s, strlen(s)));
	return m;
}

#endif
