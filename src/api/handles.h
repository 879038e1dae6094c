/* handles.h -- the public interface's handles are the graph's own objects. */
#ifndef HANDLES_H
#define HANDLES_H

#include "graph/graph.h"
#include "opgraft/graph.h"

static inline graph *handles_graph(const og_graph *g) { return (graph *)(uintptr_t)g; }
static inline graph_node *handles_node(const og_node *n) { return (graph_node *)(uintptr_t)n; }
static inline graph_value *handles_value(const og_value *v) { return (graph_value *)(uintptr_t)v; }
static inline og_graph *handles_of_graph(const graph *g) { return (og_graph *)(uintptr_t)g; }
static inline og_node *handles_of_node(const graph_node *n) { return (og_node *)(uintptr_t)n; }
static inline og_value *handles_of_value(const graph_value *v) { return (og_value *)(uintptr_t)v; }

/* OG_USAGE unless it is there and was not removed. */
og_status og_check_graph(const og_graph *);
og_status og_check_node(const og_node *);
og_status og_check_value(const og_value *);
og_status og_check_name(const char *name, const char *what);
/* A legal tensor of numbers, copied into the model. */
og_status og_copy_tensor(og_tensor **out, og_model *, const og_tensor *);

#endif
