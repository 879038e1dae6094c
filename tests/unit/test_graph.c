/* test_graph.c -- src/graph: building, changing, order, the verifier, sizes, copies. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "graph_text.h"

/* ---- helpers -------------------------------------------------------------------------------- */

static graph_value *value(graph *g, const char *name)
{
	graph_value *v;
	OK(graph_value_add(&v, g, name, OG_F32, 1, (const og_dim[]){ 4 }));
	return v;
}

static graph_value *input(graph *g, const char *name)
{
	graph_value *v = value(g, name);
	OK(graph_input_add(g, v));
	return v;
}

/* A node with one output of that name, in front of `before`. */
static graph_node *op_before(graph *g, graph_node *before, const char *type, const char *out, graph_value *a,
                             graph_value *b)
{
	graph_node *n;
	OK(graph_node_add(&n, g, before, "", type, "", b ? 2 : 1, 1));
	OK(graph_set_input(n, 0, a));
	if (b) OK(graph_set_input(n, 1, b));
	OK(graph_set_output(n, 0, value(g, out)));
	return n;
}

static graph_node *op(graph *g, const char *type, const char *out, graph_value *a, graph_value *b)
{
	return op_before(g, NULL, type, out, a, b);
}

/* x -> Relu a -> Add(a, x) b -> out; with an If whose body uses x and a. */
static og_model *small(void)
{
	og_model *m = graph_model_create();
	assert_non_null(m);
	graph *g = m->main, *body = graph_create(m, g, "then");
	OK(graph_opset_require(m, "", 17));
	graph_value *x = input(g, "x");
	graph_node *relu = op(g, "Relu", "a", x, NULL);
	op(g, "Add", "b", relu->out[0], x);
	graph_node *branch = op(g, "If", "c", x, NULL);
	OK(graph_output_add(body, op(body, "Mul", "inner", x, relu->out[0])->out[0]));
	OK(graph_attr_set_graph(branch, "then_branch", body));
	OK(graph_output_add(g, graph_value_find(g, "b")));
	OK(graph_output_add(g, graph_value_find(g, "c")));
	OK(graph_verify(m));
	return m;
}

/* ---- building and changing ------------------------------------------------------------------ */

static void test_building(void **state)
{
	(void)state;
	og_model *m = small();
	graph *g = m->main;
	graph_value *x = graph_value_find(g, "x"), *v;
	assert_int_equal(x->n_uses, 4);
	assert_int_equal(g->n_nodes, 3);
	graph *body = g->last->attrs[0].g;
	assert_ptr_equal(graph_value_lookup(body, "x"), x);
	assert_null(graph_value_find(body, "x"));
	assert_int_equal(graph_value_add(&v, g, "x", OG_F32, -1, NULL), OG_USAGE);
	assert_string_equal(base_error(), "value 'x' is there already in graph ''; give the second another name");
	assert_int_equal(graph_input_add(g, x), OG_USAGE);
	assert_int_equal(graph_input_add(g, graph_value_find(g, "a")), OG_USAGE);
	assert_int_equal(graph_opset_version(m, "ai.onnx"), 17);
	assert_int_equal(graph_opset_version(m, "other"), 0);
	OK(graph_opset_require(m, "", 13));
	assert_int_equal(graph_opset_version(m, NULL), 17);
	OK(graph_opset_require(m, "ai.onnx", 18));
	assert_int_equal(graph_opset_version(m, ""), 18);
	graph_model_destroy(m);
	graph_model_destroy(NULL);
}

static void test_renaming(void **state)
{
	(void)state;
	og_model *m = small();
	graph *g = m->main;
	graph_value *a = graph_value_find(g, "a");
	OK(graph_value_rename(a, "z"));
	assert_ptr_equal(graph_value_find(g, "z"), a);
	assert_null(graph_value_find(g, "a"));
	assert_int_equal(graph_value_rename(a, "x"), OG_USAGE);
	assert_int_equal(graph_value_rename(a, ""), OG_USAGE);
	OK(graph_verify(m));
	char *first = graph_fresh_name(g, "a"), *second = graph_fresh_name(g, "a");
	assert_string_not_equal(first, second);
	assert_null(graph_value_find(g, first));
	graph_model_destroy(m);
}

static void test_replacing(void **state)
{
	(void)state;
	og_model *m = small();
	graph *g = m->main;
	graph_value *x = graph_value_find(g, "x");
	/* A node put behind x takes over all its uses, those in the body as well, but not its own. */
	graph_node *n = op_before(g, g->first, "Neg", "y", x, NULL);
	OK(graph_replace_uses(x, n->out[0]));
	assert_int_equal(x->n_uses, 1);
	assert_ptr_equal(x->uses[0].node, n);
	assert_int_equal(n->out[0]->n_uses, 4);
	OK(graph_verify(m));
	/* Back again, and the node gone. */
	OK(graph_replace_uses(n->out[0], x));
	graph_value *y = n->out[0];
	graph_node_remove(n);
	assert_null(y->producer);
	graph_value_remove(y);
	assert_null(graph_value_find(g, "y"));
	assert_int_equal(x->n_uses, 4);
	OK(graph_verify(m));
	graph_model_destroy(m);
}

static void test_outputs(void **state)
{
	(void)state;
	og_model *m = small();
	graph *g = m->main;
	graph_value *b = graph_value_find(g, "b"), *c = graph_value_find(g, "c");
	graph_node *n = op(g, "Neg", "d", b, NULL);
	graph_value *d = n->out[0];
	OK(graph_output_set(g, 0, d));
	assert_string_equal(d->name, "b");
	assert_string_equal(b->name, "d");
	assert_ptr_equal(graph_value_find(g, "b"), d);
	assert_true(d->is_output);
	assert_false(b->is_output);
	OK(graph_verify(m));
	assert_int_equal(graph_output_set(g, 0, c), OG_USAGE);
	assert_int_equal(graph_output_set(g, 0, graph_value_find(g, "x")), OG_USAGE);
	OK(graph_output_set(g, 0, d));
	OK(graph_verify(m));
	graph_model_destroy(m);
}

static void test_removing_bodies(void **state)
{
	(void)state;
	og_model *m = small();
	graph *g = m->main;
	graph_value *x = graph_value_find(g, "x"), *a = graph_value_find(g, "a");
	graph_node *branch = g->last, *other = op(g, "If", "e", x, NULL);
	graph *body = branch->attrs[0].g;
	/* A body moves to the node that takes it. */
	OK(graph_attr_set_graph(other, "else_branch", body));
	assert_int_equal(branch->n_attrs, 0);
	assert_ptr_equal(body->holder, other);
	assert_int_equal(body->n_nodes, 1);
	OK(graph_verify(m));
	/* A copy inside the model uses the same outer values. */
	OK(graph_attr_copy(branch, graph_attr_find(other, "else_branch")));
	assert_int_equal(a->n_uses, 3);
	OK(graph_verify(m));
	graph_attr_remove(branch, "else_branch");
	assert_int_equal(a->n_uses, 2);
	graph_node_remove(other);
	assert_int_equal(a->n_uses, 1);
	assert_int_equal(x->n_uses, 3);
	OK(graph_verify(m));
	graph_model_destroy(m);
}

static void test_inputs_and_constants(void **state)
{
	(void)state;
	og_model *m = small();
	graph *g = m->main;
	static const float data[4] = { 1, 2, 3, 4 };
	og_tensor t = { .dtype = OG_F32, .rank = 1, .dims = { 4 }, .data = (void *)(uintptr_t)data };
	graph_value *w, *a = graph_value_find(g, "a"), *spare = input(g, "spare");
	OK(graph_constant_add(&w, g, "w", &t));
	/* Inputs beyond the last are made; a gap stays absent. */
	OK(graph_set_input(g->first, 3, w));
	assert_int_equal(g->first->n_in, 4);
	assert_null(g->first->in[1]);
	/* A computed value that turns out constant loses its producer. */
	graph_node *relu = a->producer;
	OK(graph_constant_set(a, &t));
	assert_null(relu->out[0]);
	assert_null(a->producer);
	OK(graph_verify(m));
	graph_node_remove(relu);
	assert_int_equal(w->n_uses, 0);
	graph_value_remove(w);
	assert_int_equal(g->n_inputs, 2);
	graph_value_remove(spare);
	assert_int_equal(g->n_inputs, 1);
	OK(graph_verify(m));
	graph_model_destroy(m);
}

static void test_attributes(void **state)
{
	(void)state;
	og_model *m = small();
	graph_node *n = m->main->first;
	OK(graph_attr_set_int(n, "i", -7));
	OK(graph_attr_set_float(n, "f", 0.5f));
	OK(graph_attr_set_string(n, "s", "text"));
	OK(graph_attr_set_ints(n, "is", (const int64_t[]){ 1, 2 }, 2));
	OK(graph_attr_set_floats(n, "fs", NULL, 0));
	OK(graph_attr_set_strings(n, "ss", (const char *const[]){ "a", "b" }, 2));
	OK(graph_attr_set_tensor(n, "t", &(og_tensor){ .dtype = OG_F32, .rank = 1 }));
	assert_int_equal(n->n_attrs, 7);
	assert_int_equal(graph_attr_find(n, "i")->i, -7);
	assert_string_equal(graph_attr_find(n, "ss")->strings[1], "b");
	OK(graph_attr_set_string(n, "i", "now a string"));
	assert_int_equal(n->n_attrs, 7);
	assert_int_equal(graph_attr_find(n, "i")->type, OG_ATTR_STRING);
	graph_attr_remove(n, "f");
	graph_attr_remove(n, "f");
	assert_int_equal(n->n_attrs, 6);
	for (int i = 0; i < n->n_attrs; i++) OK(graph_attr_copy(m->main->last, &n->attrs[i]));
	assert_int_equal(graph_attr_find(m->main->last, "is")->ints[1], 2);
	OK(graph_verify(m));
	graph_model_destroy(m);
}

static void set_bytes(og_model *m)
{
	static const uint8_t byte;
	const graph_bytes some = { &byte, 1 };
	m->source = some;
	for (graph *g = m->made; g; g = g->next_made) {
		g->source = some;
		for (graph_node *n = g->first; n; n = n->next) {
			n->source = some;
			for (int i = 0; i < n->n_attrs; i++) n->attrs[i].source = some;
		}
		for (graph_value *v = g->first_value; v; v = v->next) v->source = v->info = some;
	}
}

static void test_touching(void **state)
{
	(void)state;
	og_model *m = small();
	graph *g = m->main;
	graph_node *branch = g->last;
	graph *body = branch->attrs[0].g;
	set_bytes(m);
	OK(graph_attr_set_int(body->first, "k", 1));
	assert_null(body->first->source.p);
	assert_null(body->source.p);
	assert_null(branch->attrs[0].source.p);
	assert_null(branch->source.p);
	assert_null(g->source.p);
	assert_null(m->source.p);
	assert_non_null(g->first->source.p);
	set_bytes(m);
	graph_value *a = graph_value_find(g, "a");
	OK(graph_value_rename(a, "q"));
	assert_null(a->info.p);
	assert_null(g->first->source.p);             /* makes it */
	assert_null(g->first->next->source.p);       /* uses it */
	assert_null(body->first->source.p);          /* uses it inside */
	assert_null(branch->source.p);
	assert_non_null(graph_value_find(g, "x")->info.p);
	graph_function *f;
	OK(graph_function_add(&f, m, "d", "F"));
	f->source = g->source = (graph_bytes){ (const uint8_t *)"", 1 };
	input(f->body, "x");
	assert_null(f->source.p);
	assert_non_null(g->source.p);
	graph_model_destroy(m);
}

/* ---- order ---------------------------------------------------------------------------------- */

static void assert_order(const graph *g, const char *outputs)
{
	char s[200] = "";
	for (const graph_node *n = g->first; n; n = n->next) {
		strncat(s, n->out[0]->name, sizeof s - strlen(s) - 1);
		if (n->next) strncat(s, " ", sizeof s - strlen(s) - 1);
	}
	assert_string_equal(s, outputs);
}

static void test_sorting(void **state)
{
	(void)state;
	og_model *m = small();
	graph *g = m->main;
	OK(graph_sort(g));
	assert_order(g, "a b c");
	/* b does not need c: only those that stand too early move. c needs a, by its body. */
	graph_node_move(g->first, NULL);
	assert_order(g, "b c a");
	assert_int_equal(graph_verify(m), OG_BAD_FILE);
	OK(graph_sort(g));
	assert_order(g, "a b c");
	OK(graph_verify(m));
	graph_node_move(g->last, g->first);
	assert_order(g, "c a b");
	OK(graph_sort(g));
	assert_order(g, "a c b");
	OK(graph_verify(m));
	/* A cycle through the body: a needs c, whose body needs a. */
	OK(graph_set_input(graph_value_find(g, "a")->producer, 0, graph_value_find(g, "c")));
	assert_int_equal(graph_sort(g), OG_BAD_FILE);
	assert_non_null(strstr(base_error(), "is on a cycle"));
	assert_order(g, "a c b");
	assert_int_equal(graph_verify(m), OG_BAD_FILE);
	graph_model_destroy(m);
}

static void test_sorting_backwards(void **state)
{
	(void)state;
	og_model *m = graph_model_create();
	graph *g = m->main;
	graph_value *v = input(g, "x");
	char name[20];
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof name, "v%d", i);
		v = op_before(g, g->first, "Relu", name, v, NULL)->out[0];
	}
	OK(graph_output_add(g, v));
	assert_ptr_equal(v->producer, g->first);
	OK(graph_sort(g));
	OK(graph_verify(m));
	assert_ptr_equal(v->producer, g->last);
	graph_model_destroy(m);
}

/* ---- the verifier --------------------------------------------------------------------------- */

#define FAULT(m, change, undo, part) do { \
	change; \
	assert_int_equal(graph_verify(m), OG_BAD_FILE); \
	if (!strstr(base_error(), part)) fail_msg("'%s' is not in: %s", part, base_error()); \
	undo; \
	OK(graph_verify(m)); \
} while (0)

static void test_faults(void **state)
{
	(void)state;
	og_model *m = small();
	graph *g = m->main;
	graph_node *relu = g->first, *branch = g->last;
	graph *body = branch->attrs[0].g;
	graph_value *x = graph_value_find(g, "x"), *a = graph_value_find(g, "a"), *hidden;
	FAULT(m, relu->in[0] = a, relu->in[0] = x, "does not know that it uses value 'x'");
	FAULT(m, x->n_uses--, x->n_uses++, "the value does not know this use of 'x'");
	FAULT(m, relu->slots[0]++, relu->slots[0]--, "does not know that it uses");
	FAULT(m, a->producer = NULL, a->producer = relu, "no node makes value 'a'");
	FAULT(m, a->output = 1, a->output = 0, "producer does not know");
	FAULT(m, a->rank = 9, a->rank = 1, "type makes no sense of value 'a'");
	FAULT(m, a->dims[0] = -99, a->dims[0] = 4, "type makes no sense of value 'a'");
	FAULT(m, a->name = "b", a->name = "a", "'b'");
	FAULT(m, a->is_input = true, a->is_input = false, "computes what is a constant or an input");
	FAULT(m, a->is_output = true, a->is_output = false, "outputs listed and the values flagged differ");
	FAULT(m, g->outputs[0]->is_output = false, g->outputs[0]->is_output = true, "listed as output");
	FAULT(m, g->n_inputs = 0, g->n_inputs = 1, "inputs listed");
	FAULT(m, g->n_nodes++, g->n_nodes--, "count of nodes");
	FAULT(m, relu->next->prev = NULL, relu->next->prev = relu, "list of nodes is broken");
	FAULT(m, a->next->prev = NULL, a->next->prev = a, "list of values is broken");
	FAULT(m, body->holder = relu, body->holder = branch, "");
	FAULT(m, body->parent = NULL, body->parent = g, "");
	FAULT(m, graph_node_move(relu, NULL), graph_node_move(relu, g->first),
	      "it stands before the node that makes its input 'a'");
	FAULT(m, hidden = value(body, "x"), graph_value_remove(hidden), "a value of the same name hides what it uses, 'x'");
	/* What the body makes cannot be seen outside. */
	graph_value *inner = body->outputs[0];
	FAULT(m, OK(graph_set_input(branch, 0, inner)), OK(graph_set_input(branch, 0, x)),
	      "a graph that is not around it, 'inner'");
	og_tensor t = { .dtype = OG_I32, .rank = 1, .dims = { 4 } };
	const og_tensor *none = x->constant;
	FAULT(m, x->constant = &t, x->constant = none, "type and data differ of constant 'x'");
	graph_model_destroy(m);
}

/* ---- sizes ---------------------------------------------------------------------------------- */

static og_model *sizes;
static og_dim sym(const char *name) { return graph_dim_symbol(sizes, name); }
static og_dim sum(og_dim a, og_dim b) { return graph_dim_do(sizes, OG_DIM_SUM, a, b); }
static og_dim sub(og_dim a, og_dim b) { return graph_dim_do(sizes, OG_DIM_SUB, a, b); }
static og_dim prod(og_dim a, og_dim b) { return graph_dim_do(sizes, OG_DIM_PROD, a, b); }
static og_dim quot(og_dim a, og_dim b) { return graph_dim_do(sizes, OG_DIM_FLOOR_DIV, a, b); }
static og_dim ceil_of(og_dim a, og_dim b) { return graph_dim_do(sizes, OG_DIM_CEIL_DIV, a, b); }
static og_dim most(og_dim a, og_dim b) { return graph_dim_do(sizes, OG_DIM_MAX, a, b); }
static og_dim least(og_dim a, og_dim b) { return graph_dim_do(sizes, OG_DIM_MIN, a, b); }
static og_dim wide(og_dim a, og_dim b) { return graph_dim_do(sizes, OG_DIM_BROADCAST, a, b); }
static og_dim same(og_dim a, og_dim b) { return graph_dim_do(sizes, OG_DIM_EQUAL, a, b); }
static og_dim less(og_dim a, og_dim b) { return graph_dim_do(sizes, OG_DIM_LESS, a, b); }

static void assert_dim(og_dim d, const char *expected)
{
	text t = { 0 };
	graph_print_type(&t, sizes, OG_F32, 1, &d);
	char *s = text_take(&t);
	s[strlen(s) - 1] = '\0';
	assert_string_equal(s + 4, expected);
	base_free(s);
}

static void test_sizes(void **state)
{
	(void)state;
	sizes = graph_model_create();
	const og_dim n = sym("N"), h = sym("H"), w = sym("W"), unknown = GRAPH_DIM_UNKNOWN;
	assert_int_equal(sym("N"), n);
	assert_string_equal(graph_dim_name(sizes, n), "N");
	assert_null(graph_dim_name(sizes, 3));
	assert_null(graph_dim_name(sizes, unknown));
	assert_null(graph_dim_name(sizes, -1000));
	assert_dim(prod(n, 16), "(N*16)");
	assert_int_equal(prod(16, n), prod(n, 16));
	assert_int_equal(prod(prod(n, 4), 4), prod(n, 16));
	assert_dim(sub(5, 7), "(-2)");
	assert_int_equal(sum(sub(5, 7), 10), 8);
	assert_int_equal(sub(sum(h, 3), h), 3);
	assert_dim(sum(sum(w, prod(n, 2)), sub(h, 1)), "(H+N*2+W-1)");
	assert_dim(prod(sum(h, 1), sum(w, 2)), "(H*2+H*W+W+2)");
	/* floor((H-1)/2)+1, written in any way */
	const og_dim half = sum(quot(sub(h, 1), 2), 1);
	assert_dim(half, "floor((H+1)/2)");
	assert_int_equal(ceil_of(h, 2), half);
	assert_int_equal(sum(quot(sum(sub(h, 3), 2), 2), 1), half);
	assert_dim(ceil_of(half, 2), "floor((H+3)/4)");
	assert_dim(quot(sum(prod(h, 4), 6), 4), "(H+1)");
	assert_dim(quot(sum(prod(h, 2), 1), 4), "floor(H/2)");
	assert_dim(quot(prod(h, 3), 2), "(H+floor(H/2))");
	assert_int_equal(quot(prod(prod(n, 16), 25), n), 400);
	assert_int_equal(quot(prod(n, prod(h, w)), prod(w, n)), h);
	assert_int_equal(quot(sum(prod(n, 3), prod(h, 3)), sum(n, h)), 3);
	assert_dim(quot(h, w), "floor(H/W)");
	assert_dim(ceil_of(h, sum(w, 1)), "ceil(H/(W+1))");
	assert_int_equal(quot(7, 2), 3);
	assert_int_equal(ceil_of(7, 2), 4);
	assert_dim(quot(sub(0, 7), 2), "(-4)");
	assert_int_equal(quot(h, 0), unknown);
	assert_int_equal(most(h, sub(h, 1)), h);
	assert_int_equal(least(h, sum(h, w)), h);
	assert_int_equal(most(h, sub(0, 1)), h);
	assert_int_equal(most(h, w), most(w, h));
	assert_dim(most(h, w), "max(H,W)");
	assert_dim(least(n, 8), "min(8,N)");
	assert_int_equal(most(0, least(n, 8)), least(n, 8));
	assert_int_equal(wide(n, 1), n);
	assert_int_equal(wide(1, n), n);
	assert_int_equal(wide(n, n), n);
	assert_int_equal(wide(n, 5), 5);
	assert_int_equal(wide(n, h), unknown);
	assert_int_equal(wide(2, 3), unknown);
	assert_int_equal(wide(unknown, 3), 3);
	assert_int_equal(wide(unknown, 1), unknown);
	assert_int_equal(same(n, n), 1);
	assert_int_equal(same(n, sum(n, 1)), 0);
	assert_int_equal(same(n, h), unknown);
	assert_int_equal(less(n, sum(n, 1)), 1);
	assert_int_equal(less(sum(n, 1), n), 0);
	assert_int_equal(less(3, 4), 1);
	assert_int_equal(prod(unknown, 0), 0);
	assert_int_equal(sum(unknown, 1), unknown);
	assert_int_equal(prod(INT64_MAX, 2), unknown);
	assert_int_equal(prod(prod(n, INT64_MAX), 2), unknown);
	/* At least one element: known of a symbol with a range. */
	assert_dim(most(n, 1), "max(1,N)");
	sizes->symbols[-2 - n].min = 1;
	assert_int_equal(most(n, 1), n);
	/* Names of all kinds; what was written is read back when it is calculated with. */
	assert_dim(sum(sym("batch-size"), 1), "\"(\\\"batch-size\\\"+1)\"");
	assert_int_equal(sub(sum(sym("batch-size"), 1), 1), sym("batch-size"));
	assert_int_equal(sub(sum(sym("a\"b"), 1), 1), unknown);
	assert_int_equal(sub(sym("(N+5)"), n), 5);
	assert_int_equal(prod(sym("(N+"), 1), sym("(N+"));
	assert_int_equal(sum(sym("floor(H/2"), 0), sym("floor(H/2"));
	og_dim big = n;
	for (int i = 0; i < 100; i++) {
		char name[16];
		snprintf(name, sizeof name, "s%d", i);
		big = sum(big, sym(name));
	}
	assert_int_equal(big, unknown);
	graph_model_destroy(sizes);
}

static void test_types_as_text(void **state)
{
	(void)state;
	sizes = graph_model_create();
	const og_dim dims[] = { sym("N"), 3, GRAPH_DIM_UNKNOWN, sym("a b") };
	text t = { 0 };
	graph_print_type(&t, sizes, OG_F32, 4, dims);
	text_add(&t, " ");
	graph_print_type(&t, sizes, OG_F16, 0, dims);
	text_add(&t, " ");
	graph_print_type(&t, sizes, OG_BOOL, -1, dims);
	text_add(&t, " ");
	graph_print_type(&t, sizes, OG_NONE, -1, dims);
	text_add(&t, " ");
	graph_print_type(&t, sizes, OG_NONE, 2, dims);
	char *s = text_take(&t);
	assert_string_equal(s, "f32[N,3,?,\"a b\"] f16[] bool[*] ? ?[N,3]");
	base_free(s);
	graph_model_destroy(sizes);
}

/* ---- constants ------------------------------------------------------------------------------ */

static void test_tensors(void **state)
{
	(void)state;
	static const struct { og_dtype dtype; uint8_t bytes[8]; double real; int64_t integer; } cases[] = {
		{ OG_F32, { 0, 0, 0xc0, 0xbf }, -1.5, -1 },
		{ OG_F32, { 0, 0, 0x80, 0x7f }, HUGE_VAL, INT64_MAX },
		{ OG_F64, { 0, 0, 0, 0, 0, 0, 0x08, 0x40 }, 3, 3 },
		{ OG_F16, { 0, 0x3e }, 1.5, 1 },
		{ OG_BF16, { 0xc0, 0x3f }, 1.5, 1 },
		{ OG_I8, { 0xff }, -1, -1 },
		{ OG_U8, { 0xff }, 255, 255 },
		{ OG_I64, { 1, 0, 0, 0, 0, 0, 0, 0x80 }, -0x1p63, INT64_MIN + 1 },
		{ OG_U64, { 255, 255, 255, 255, 255, 255, 255, 255 }, 0x1p64, INT64_MAX },
		{ OG_BOOL, { 1 }, 1, 1 },
		{ OG_F8E4M3FN, { 0x7e }, 448, 448 },
		{ OG_F8E4M3FN, { 0x81 }, -0x1p-9, 0 },
		{ OG_F8E4M3FNUZ, { 0x7f }, 240, 240 },
		{ OG_F8E5M2, { 0xfc }, -HUGE_VAL, INT64_MIN },
		{ OG_F8E5M2, { 0x7b }, 57344, 57344 },
		{ OG_F8E5M2FNUZ, { 0x7f }, 57344, 57344 },
		{ OG_F8E8M0, { 130 }, 8, 8 },
	};
	uint8_t room[32] = { 0 };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t size = og_dtype_bytes(cases[i].dtype);
		memcpy(room + 1 + size, cases[i].bytes, size);       /* unaligned, second element */
		og_tensor t = { .dtype = cases[i].dtype, .rank = 1, .dims = { 2 }, .data = room + 1 };
		assert_true(graph_tensor_double(&t, 1) == cases[i].real);
		assert_true(graph_tensor_int(&t, 1) == cases[i].integer);
	}
	og_tensor t = { .dtype = OG_F8E4M3FN, .data = room };
	room[0] = 0x7f;
	assert_true(isnan(graph_tensor_double(&t, 0)));
	assert_int_equal(graph_tensor_int(&t, 0), 0);
	arena *a = arena_create();
	og_tensor *made = graph_tensor_new(a, OG_F32, 2, (const int64_t[]){ 3, 5 }), *copy = graph_tensor_copy(a, made);
	assert_int_equal((uintptr_t)copy->data % 64, 0);
	assert_ptr_not_equal(copy->data, made->data);
	assert_null(graph_tensor_new(a, OG_F32, 2, (const int64_t[]){ INT64_MAX, 5 }));
	assert_null(graph_tensor_new(a, OG_F32, 1, (const int64_t[]){ -1 }));
	assert_non_null(graph_tensor_new(a, OG_F32, 1, (const int64_t[]){ 0 }));
	arena_destroy(a);
}

/* ---- copies ------------------------------------------------------------------- */

static void test_copying(void **state)
{
	(void)state;
	og_model *m = small(), *copy;
	graph_function *f;
	OK(graph_function_add(&f, m, "d", "F"));
	OK(graph_output_add(f->body, op(f->body, "Relu", "r", input(f->body, "q"), NULL)->out[0]));
	assert_int_equal(graph_function_add(&f, m, "d", "F"), OG_USAGE);
	m->main->inputs[0]->dims[0] = graph_dim_symbol(m, "N");
	m->symbols[0].max = 9;
	set_bytes(m);
	char *before = print(m);
	OK(graph_model_copy(&copy, m));
	OK(graph_verify(copy));
	assert_true(graph_equal(m, copy));
	assert_non_null(copy->source.p);
	assert_non_null(copy->main->first->source.p);
	assert_non_null(copy->main->last->attrs[0].g->source.p);
	/* Changing one leaves the other. */
	graph_node *n = copy->main->last;
	OK(graph_value_rename(graph_value_find(copy->main, "x"), "moved"));
	assert_false(graph_equal(m, copy));
	assert_string_equal(base_error(), "graph '': input 'x' differs");
	graph_clear(copy->main);
	graph_clear(n->attrs[0].g);
	char *after = print(m);
	assert_string_equal(before, after);
	OK(graph_verify(m));
	base_free(before);
	base_free(after);
	/* A body goes to another model when the names are there. */
	og_model *other = graph_model_create();
	graph_node *to = op(other->main, "If", "c", input(other->main, "x"), NULL);
	const graph_attr *from = &m->main->last->attrs[0];
	assert_int_equal(graph_attr_copy(to, from), OG_USAGE);
	assert_string_equal(base_error(),
	                    "graph 'then' uses value 'a', which is not there where it is copied to; add it first");
	assert_int_equal(to->n_attrs, 0);
	input(other->main, "a");
	OK(graph_attr_copy(to, from));
	OK(graph_verify(other));
	graph_model_destroy(copy);
	graph_model_destroy(m);
	OK(graph_verify(other));
	assert_string_equal(to->attrs[0].g->first->type, "Mul");
	graph_model_destroy(other);
}

/* ---- many edits ------------------------------------------------------------------------------- */

static uint32_t random_state;
static uint32_t pick(uint32_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % n;
}

static graph_node *any_node(const graph *g)
{
	graph_node *n = g->first;
	for (uint32_t k = g->n_nodes ? pick((uint32_t)g->n_nodes) : 0; k > 0; k--) n = n->next;
	return n;
}

/* A value of g that does not need a later node. */
static graph_value *any_value(const graph *g)
{
	const graph_node *n = any_node(g);
	return n && n->n_out && n->out[0] && pick(4) ? n->out[0] : g->inputs[pick((uint32_t)g->n_inputs)];
}

static void edit(graph *g)
{
	og_model *m = g->model;
	graph_node *n = any_node(g), *made;
	graph_value *v;
	graph *body;
	switch (pick(10)) {
	case 0: case 1: case 2:
		OK(graph_node_add(&made, g, NULL, "", "Op", "", 2, 1));
		for (int k = 0; k < 2; k++) OK(graph_set_input(made, k, any_value(g)));
		OK(graph_value_add(&v, g, NULL, OG_NONE, -1, NULL));
		OK(graph_set_output(made, 0, v));
		break;
	case 3:
		OK(graph_node_add(&made, g, NULL, "", "If", "", 0, 0));
		body = graph_create(m, g, "body");
		v = any_value(g);
		OK(graph_output_add(body, op(body, "In", graph_fresh_name(body, "in"), v, any_value(g))->out[0]));
		OK(graph_attr_set_graph(made, "b", body));
		break;
	case 4:
		OK(graph_value_rename(any_value(g), graph_fresh_name(g, "r")));
		break;
	case 5:
		if (n) graph_node_move(n, any_node(g));
		break;
	case 6:
		if (n && n->n_in) OK(graph_set_input(n, (int)pick(4), pick(3) ? any_value(g) : NULL));
		break;
	case 7:
		if (!n || (n->n_out && (n->out[0]->n_uses || n->out[0]->is_output))) break;
		v = n->n_out ? n->out[0] : NULL;
		graph_node_remove(n);
		if (v) graph_value_remove(v);
		break;
	case 8:
		OK(graph_replace_uses(any_value(g), g->inputs[0]));
		break;
	case 9:
		if (g->n_outputs < 3 && n && n->n_out) OK(graph_output_add(g, n->out[0]));
		else if (g->n_outputs && n && n->n_out && !n->out[0]->is_output) graph_output_set(g, 0, n->out[0]);
		break;
	}
}

/* After every edit the model is whole, but for the order, which sorting mends unless there is a cycle now. */
static void test_random_edits(void **state)
{
	(void)state;
	for (uint32_t seed = 0; seed < 20; seed++) {
		og_model *m = graph_model_create(), *copy;
		random_state = seed * 77777u;
		input(m->main, "x");
		input(m->main, "y");
		for (int i = 0; i < 400; i++) {
			edit(m->main);
			if (graph_sort(m->main) != OG_OK) {
				assert_non_null(strstr(base_error(), "cycle"));
				for (graph_node *n = m->main->first; n; n = n->next)
					for (int k = 0; k < n->n_in; k++) OK(graph_set_input(n, k, NULL));
				for (graph_node *n = m->main->first; n; n = n->next)
					while (n->n_attrs) graph_attr_remove(n, n->attrs[0].name);
				OK(graph_sort(m->main));
			}
			OK(graph_verify(m));
		}
		char *s = print(m);
		og_model *again = parse(s);
		OK(graph_model_copy(&copy, m));
		OK(graph_verify(copy));
		if (!graph_equal(m, again) || !graph_equal(copy, m)) fail_msg("seed %u: %s", (unsigned)seed, base_error());
		graph_model_destroy(again);
		graph_model_destroy(copy);
		graph_model_destroy(m);
		base_free(s);
	}
}

/* ---- memory and time -------------------------------------------------------------------------- */

static og_status everything(void)
{
	static const char s[] =
		"model ir=8 {\"\" 17, \"d\" 1} symbol N min=1\n"
		"graph \"g\" { in x: f32[N,(N*2)] const w: f32[2] = {1, 2} const h: f32[1] = hex 0000803f\n"
		"  y: f32[N], _ = d::Op(x, w, _) {i=1, f=1.0, s=\"s\", is=[1], fs=[1.0], ss=[\"a\"],\n"
		"    t=i32[1] \"t\" {1}, o=opaque} \"n\"\n"
		"  z = If(y) {b=graph \"b\" { q = Mul(y, w) out q }}\n k = If(y)\n out z }\n"
		"function \"d\"::Op(a, b=1) {\"\" 17} { in x y = Relu(x) {k=@int a} out y }";
	og_model *m = NULL, *again = NULL, *copy = NULL;
	text t = { 0 };
	og_status status = graph_parse(&m, s, sizeof s - 1);
	if (status == OG_OK) status = graph_print(&t, m);
	if (status == OG_OK) status = graph_parse(&again, t.data, t.length);
	if (status == OG_OK) status = graph_model_copy(&copy, again);
	if (status == OG_OK) status = graph_attr_copy(copy->main->last, &copy->main->last->prev->attrs[0]);
	if (status == OG_OK) status = graph_value_rename(graph_value_find(copy->main, "x"), "renamed");
	if (status == OG_OK) status = graph_output_set(copy->main, 0, graph_value_find(copy->main, "y"));
	if (status == OG_OK) status = graph_sort(copy->main);
	if (status == OG_OK && !graph_fresh_name(copy->main, "x")) status = OG_NO_MEMORY;
	if (status == OG_OK) {
		og_dim d = graph_dim_do(m, OG_DIM_SUM, graph_dim_symbol(m, "N"), 1);
		if (d == GRAPH_DIM_UNKNOWN) status = OG_NO_MEMORY;
	}
	/* What was built stays whole when memory ends in the middle. */
	base_fail_allocation(0);
	if (m) OK(graph_verify(m));
	if (copy) OK(graph_verify(copy));
	text_free(&t);
	graph_model_destroy(m);
	graph_model_destroy(again);
	graph_model_destroy(copy);
	return status;
}

static void test_no_memory(void **state)
{
	(void)state;
	og_status status = OG_NO_MEMORY;
	OK(everything());
	uint64_t n = 0;
	while (status != OG_OK) {
		base_fail_allocation(++n);
		status = everything();
		if (status != OG_OK) assert_int_equal(status, OG_NO_MEMORY);
	}
	assert_true(n > 20);
}

/* 100,000 nodes, one value with 100,000 uses: every step takes time in proportion. */
static void test_large(void **state)
{
	(void)state;
	const int count = 100000;
	double start = base_now();
	og_model *m = graph_model_create(), *again, *copy;
	graph *g = m->main;
	graph_value *x = input(g, "x"), *v = x;
	char name[20];
	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof name, "v%d", i);
		v = op(g, "Add", name, v, x)->out[0];
	}
	OK(graph_output_add(g, v));
	OK(graph_sort(g));
	OK(graph_verify(m));
	OK(graph_model_copy(&copy, m));
	char *s = print(m);
	again = parse(s);
	assert_true(graph_equal(copy, again));
	graph_value *y = input(g, "y");
	OK(graph_replace_uses(x, y));
	for (graph_node *n = g->first; n; n = n->next) OK(graph_set_input(n, 1, x));
	assert_int_equal(x->n_uses, count);
	assert_int_equal(y->n_uses, 1);
	g->outputs[0]->is_output = false;
	g->n_outputs = 0;
	graph_clear(g);
	assert_int_equal(x->n_uses, 0);
	OK(graph_verify(m));
	graph_model_destroy(m);
	graph_model_destroy(again);
	graph_model_destroy(copy);
	base_free(s);
	assert_true(base_now() - start < 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_building), cmocka_unit_test(test_renaming), cmocka_unit_test(test_replacing),
		cmocka_unit_test(test_outputs), cmocka_unit_test(test_removing_bodies),
		cmocka_unit_test(test_inputs_and_constants), cmocka_unit_test(test_attributes), cmocka_unit_test(test_touching),
		cmocka_unit_test(test_sorting), cmocka_unit_test(test_sorting_backwards), cmocka_unit_test(test_faults),
		cmocka_unit_test(test_sizes), cmocka_unit_test(test_types_as_text), cmocka_unit_test(test_tensors),
		cmocka_unit_test(test_copying), cmocka_unit_test(test_random_edits),
		cmocka_unit_test(test_no_memory), cmocka_unit_test(test_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
