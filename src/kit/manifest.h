/* manifest.h -- a network in pieces, as its manifest has it. */
#ifndef MANIFEST_H
#define MANIFEST_H

#include "kit/runtime.h"

typedef struct manifest_value {
	og_value_info info;
	int last;                            /* piece that reads it last; beyond all of them: an output; -1: nobody */
	og_tensor *now;                      /* while it runs */
} manifest_value;

typedef struct manifest_piece {
	const char *file, *path;
	const runtime *runtime;
	const char *ran;
	og_model *model;
	int *in, *out; int n_in, n_out;      /* values, in the order of the model */
} manifest_piece;

struct og_manifest {
	arena *a;
	const char *path;
	manifest_value *values; int n_values;
	size_t cap_values;
	map by_name;                         /* to a value's number and 1 */
	int *inputs; int n_inputs;
	int *outputs; int n_outputs;
	manifest_piece *pieces; int n_pieces;
};

#endif
