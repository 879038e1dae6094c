/* edit.c -- changes a network from C: edit MODEL OUT
 *
 * Drops Dropout nodes, replaces Min and Max behind each other by one Clip, gives Relu nodes an upper bound of 6 (the op
 * called Relu6), and adds a Softmax behind the last output.
 *
 *   cc examples/edit.c $(pkg-config --cflags --libs opgraft) -o edit
 */
#include <stdio.h>
#include <string.h>

#include <opgraft/graph.h>

#define TRY(call) do { og_status status_ = (call); if (status_ != OG_OK) return status_; } while (0)

static int is(const og_node *n, const char *type) { return n && !og_node_domain(n)[0] && !strcmp(og_node_type(n), type); }

static og_status add_number(og_value **out, og_graph *g, float x)
{
	const og_tensor t = { .dtype = OG_F32, .data = &x };
	return og_constant_add(out, g, NULL, &t);
}

/* Min(Max(x, low), high) becomes Clip(x, low, high); both bounds must be single numbers. */
static og_status replace_min_max(og_graph *g, og_node *min)
{
	og_node *max = og_value_producer(og_node_input(min, 0));
	const og_tensor *high = og_value_constant(og_node_input(min, 1)), *low = og_value_constant(og_node_input(max, 1));
	if (!is(max, "Max") || og_node_inputs(max) != 2 || !high || !low || high->rank || low->rank) return OG_OK;
	og_value *in[] = { og_node_input(max, 0), og_node_input(max, 1), og_node_input(min, 1) }, *out;
	TRY(og_compute(&out, g, "Clip", NULL, 3, in));
	return og_value_replace(og_node_output(min, 0), out);
}

static og_status bound(og_graph *g, og_node *relu)
{
	og_value *in[3] = { og_node_input(relu, 0) }, *out;
	TRY(add_number(&in[1], g, 0));
	TRY(add_number(&in[2], g, 6));
	TRY(og_compute(&out, g, "Clip", NULL, 3, in));
	return og_value_replace(og_node_output(relu, 0), out);
}

static og_status edit(og_model *m)
{
	og_graph *g = og_model_graph(m);
	for (og_node *n = og_graph_first_node(g), *next; n; n = next) {
		next = og_node_next(n);
		if (is(n, "Dropout")) TRY(og_node_bypass(n));
		else if (is(n, "Min") && og_node_inputs(n) == 2) TRY(replace_min_max(g, n));
		else if (is(n, "Relu")) TRY(bound(g, n));
	}
	og_value *last = og_graph_output(g, og_graph_outputs(g) - 1), *probabilities;
	TRY(og_compute(&probabilities, g, "Softmax", NULL, 1, &last));
	TRY(og_node_set_int(og_value_producer(probabilities), "axis", -1));
	TRY(og_value_replace(last, probabilities));
	return og_model_finish(m);           /* what was replaced goes; sorted, inferred and verified */
}

int main(int argc, char **argv)
{
	og_model *m = NULL;
	if (argc != 3) return fprintf(stderr, "usage: edit MODEL OUT\n"), OG_USAGE;
	og_status status = og_model_load(&m, argv[1]);
	if (status == OG_OK) status = edit(m);
	if (status == OG_OK) status = og_model_save(m, argv[2]);
	if (status != OG_OK) fprintf(stderr, "edit: %s\n", og_error());
	og_model_free(m);
	return (int)status;
}
