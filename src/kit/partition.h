/* partition.h -- a network that is being cut: what each node is, who takes it, and parts of it as models. */
#ifndef PARTITION_H
#define PARTITION_H

#include "kit/runtime.h"
#include "surgery/cluster.h"

typedef struct partition_node {
	graph_node *node;
	int unit;                            /* nodes of one unit stay together: what passes between them is no tensor */
	bool leads;                          /* the first of its unit */
	bool candidate;                      /* it hangs on constants only */
	bool constant;                       /* and the runtime has not refused it: it comes with each piece that needs it */
	bool taken;                          /* by the runtime */
	bool inside;                         /* the part that partition_part makes */
	const char *reason;                  /* why not; NULL: it is taken, or is in too small a piece */
	int piece;                           /* -1: constant */
} partition_node;

typedef struct partition_piece {
	const char *file;                    /* in the folder, without its path */
	const runtime_host *host;
	int n_nodes;
	const char **in, **out; int n_in, n_out;
	bool stays;                          /* it is small, but the fallback does not take it */
} partition_piece;

typedef struct partition {
	arena *a;
	og_model *m;                         /* a copy of ours, without what no output needs */
	const og_partition_options *o;
	runtime_host host, fallback;
	size_t choice;                       /* of the fallbacks that may be chosen */
	runtime listed;                      /* that takes what the user says, where the real one is not here */
	const char *folder;                  /* for temporary files */
	bool made_folder;                    /* o->folder was not there before */
	partition_node *nodes; int n_nodes;  /* in the order of the graph; node->mark is its number and 1 */
	cluster_net net;                         /* of the units */
	int n_units;
	map asked;                           /* what one node was asked: its signature to "", or the reason why not */
	uint64_t *shown; size_t n_shown, cap_shown;      /* pieces that their runtime has taken */
	partition_piece *pieces; int n_pieces;
} partition;

/* Number of the node of the main graph that makes a value; -1: none does. */
int partition_producer(const graph_value *);
/* Number of the node of the main graph that a use is in, in whatever body. */
int partition_user(const graph_use *);
/* The nodes that are inside, with the constants that they need, as a model, to be freed by graph_model_destroy. Its inputs and
 * outputs are listed in *names, in the arena. */
og_status partition_part(og_model **out, partition *, partition_piece *names, arena *);
/* What a runtime's answer for one node depends on: op, version, attributes, types; NULL: on more than can be said, or no
 * memory. */
const char *partition_signature(arena *, const graph_node *);
/* Gives all names in a part of one node a neutral form, so that answers are the same for equal nodes. */
og_status partition_rename(og_model *);

/* Asks about what is inside; `neutral`: by names that are the same for all nodes. *why, in the arena: NULL, or why not. */
og_status partition_ask(partition *, runtime_host *, bool neutral, const char **why);
/* Asks about the nodes of a unit, alone. */
og_status partition_ask_unit(partition *, runtime_host *, int unit, const char **why);
/* The reason of a node that is refused with others, by names that are the same for all nodes; NULL: no memory. */
const char *partition_neutral(partition *, const graph_node *, const char *why);
/* What the user's list says of a node: NULL, or the reason of the first line that means it. */
og_status partition_refused(partition *, const graph_node *, const char **why);

/* As OG_JSON or OG_TEXT. */
og_status partition_print(char **out, const partition *, og_format);
/* Names the pieces; writes them, then manifest.json, if they are to be written. */
og_status partition_write(partition *);
/* Removes temporary files with their folder. */
void partition_sweep(partition *);

#endif
