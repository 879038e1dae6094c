/* carry_rule.h -- inside carry*.c: what there is to say of an op, and what its rules are made of. */
#ifndef CARRY_RULE_H
#define CARRY_RULE_H

#include "optimize/carry.h"

enum {
	CARRY_ALL_IN = 1,                    /* all inputs bear data, not the first alone */
	CARRY_BROADCAST = 2,                 /* inputs of the output's rank bear data */
	CARRY_ALL_OUT = 4                    /* there may be several outputs */
};

typedef struct carry_rule {
	const char *type;                    /* NULL ends a table */
	bool (*map)(carry *, const graph_node *);        /* groups and pins; false: not this node */
	og_status (*apply)(graph_node *, const perm *p, const perm *q);
	bool (*allows)(const graph_node *, const perm *p, const perm *q);       /* what else must hold; NULL: nothing */
	unsigned flags;
} carry_rule;

/* The rules of each file. */
extern const carry_rule carry_axis_rules[], carry_list_rules[], carry_shape_rules[], carry_broadcast_rule;

/* ---- what a node says ------------------------------------------------------------------------- */

int64_t carry_int(const graph_node *, const char *attribute, int64_t otherwise);
bool carry_has(const graph_node *, int input);
/* True for what no caller of the network can change. */
bool carry_constant(const graph_value *);

typedef struct carry_ints { int n; int64_t at[2 * OG_MAX_RANK]; } carry_ints;
/* False when it is no short list of integers that are known. */
bool carry_ints_of_input(carry_ints *, const graph_node *, int input);
bool carry_ints_of_attribute(carry_ints *, const graph_node *, const char *name);
/* Puts a list in place of an input, of its type or int64. rank: 1, or 0 for a number. */
og_status carry_set_ints(graph_node *, int input, const carry_ints *, int rank);

bool carry_are_axes(const carry_ints *, int rank);
/* Axes in the input (0: there is none) or the attribute `axes`. 1: there are some, 0: none are given, -1: they are not known. */
int carry_axes(carry_ints *, const graph_node *, int input);
/* Each of these axes is now where p has put it. */
og_status carry_move_axes(graph_node *, int input, const perm *p);

/* ---- groups ----------------------------------------------------------------------------------- */

void carry_add_group(carry *, int n_in, int n_out);
/* Each dimension becomes one, but that those in `gone` become none. */
void carry_map_each(carry *, int rank, unsigned gone);
bool carry_map_same(carry *, const graph_node *);
og_status carry_apply_nothing(graph_node *, const perm *p, const perm *q);

/* Gives input k, a constant, the dimensions that go with an output permuted by p. */
og_status carry_permute_constant(graph_node *, int k, const perm *p);
/* True when an operand of the same or of lower rank need not change when the output is permuted by p. */
bool carry_side_stays(const graph_value *, const perm *p);

#endif
