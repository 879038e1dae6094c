/* make.c -- makes a network from nothing: make OUT
 *
 * y = relu(x * w + b) for rows of four numbers, with a batch of any size, and next to it how many rows there are.
 *
 *   cc examples/make.c $(pkg-config --cflags --libs opgraft) -o make
 */
#include <stdio.h>

#include <opgraft/graph.h>

#define TRY(call) do { og_status status_ = (call); if (status_ != OG_OK) return status_; } while (0)

static og_status add_input(og_value **out, og_graph *g)
{
	TRY(og_value_add(out, g, "x"));
	TRY(og_value_set_type(*out, OG_F32, 2, (const int64_t[]){ -1, 4 }, (const char *const[]){ "rows", NULL }));
	return og_graph_add_input(g, *out);
}

static og_status fill(og_graph *g)
{
	float weight[4][2] = { { 1, -1 }, { 2, -2 }, { 3, -3 }, { 4, -4 } }, bias[2] = { 0.5f, 0.5f };
	int64_t first = 0;
	og_value *x, *w, *b, *product, *sum, *y, *shape, *index, *rows;
	TRY(add_input(&x, g));
	TRY(og_constant_add(&w, g, "w", &(og_tensor){ .dtype = OG_F32, .rank = 2, .dims = { 4, 2 }, .data = weight }));
	TRY(og_constant_add(&b, g, "b", &(og_tensor){ .dtype = OG_F32, .rank = 1, .dims = { 2 }, .data = bias }));
	TRY(og_compute(&product, g, "MatMul", NULL, 2, (og_value *[]){ x, w }));
	TRY(og_compute(&sum, g, "Add", NULL, 2, (og_value *[]){ product, b }));
	TRY(og_compute(&y, g, "Relu", "y", 1, &sum));
	TRY(og_compute(&shape, g, "Shape", NULL, 1, &x));
	TRY(og_constant_add(&index, g, NULL, &(og_tensor){ .dtype = OG_I64, .data = &first }));
	TRY(og_compute(&rows, g, "Gather", "rows", 2, (og_value *[]){ shape, index }));
	TRY(og_graph_add_output(g, y));
	return og_graph_add_output(g, rows);
}

int main(int argc, char **argv)
{
	og_model *m = NULL;
	if (argc != 2) return fprintf(stderr, "usage: make OUT\n"), OG_USAGE;
	og_status status = og_model_create(&m, "linear", 17);
	if (status == OG_OK) status = fill(og_model_graph(m));
	if (status == OG_OK) status = og_model_finish(m);
	if (status == OG_OK) status = og_model_save(m, argv[1]);
	if (status != OG_OK) fprintf(stderr, "make: %s\n", og_error());
	og_model_free(m);
	return (int)status;
}
