/* whole_net.h -- a small network as whole.c understands it, whole_shape.c cuts it and whole_text.c writes it:
 * docs/cuda-small.md. */
#ifndef CUDA_WHOLE_NET_H
#define CUDA_WHOLE_NET_H

#include "cuda/cuda.h"
#include "cuda/whole.h"
#include "ops/pool.h"

enum { MOST_LAYERS = 64, SHARED_MOST = 227 << 10 };

typedef enum layer_kind { CONV, POOL, DENSE, MAP } layer_kind;

/* A value of one sample in shared memory, its planes with room for the zeros that convolutions read around them. */
typedef struct place {
	int64_t planes, high, wide;          /* as the network has them; 1-D values are one plane of one row */
	int64_t top, left, bottom, right;    /* padding */
	/* floats behind a row, so that threads read different banks of shared memory */
	int64_t gap;
	int64_t at;                          /* floats from the start of shared memory; -1: not there */
	int first, last;                     /* layers that write and read it */
} place;

typedef struct layer {
	layer_kind kind;
	const backend_node *node;
	const program *tail;
	int in, out;                         /* values */
	window w, pool;                      /* pool: of a pool behind a convolution, or of the layer itself */
	bool pools, maximum, include;
	int64_t inputs, outputs;             /* channels, or sizes of a matrix product */
	/* Of a convolution: the outputs that a thread makes at once, floats that it reads of a row at once, threads that
	 * share input channels. */
	int64_t tile_channels, tile_high, tile_wide, reads, split;
	/* Of a product: outputs and samples that threads make at once, and how many threads; early: its weights are
	 * fetched at the start. */
	int64_t tile_outputs, tile_samples, lanes;
	bool early;
	int64_t weights, bias;               /* floats from the start of the packed ones; bias -1: none */
} layer;

struct cuda_whole {
	const backend_network *net;
	cuda_whole_shape shape;
	layer layers[MOST_LAYERS]; int n;
	place *places;                       /* of each value that stands for itself */
	int64_t samples, packed, conv_weights;       /* floats; those of convolutions come first */
	int64_t shared;                      /* floats */
	cuda_launches launches;
};

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
/* floats, so that 16 bytes can be read at once */
static inline int64_t in_fours(int64_t n) { return (n + 3) & ~INT64_C(3); }

static inline bool is_constant(const cuda_whole *w, int at) { return w->net->values[at].place == BACKEND_CONSTANT; }
/* The place of a value: of what it is a view of. */
static inline place *place_of(const cuda_whole *w, int at) { return &w->places[w->net->values[at].root]; }
static inline int64_t row_of(const place *p) { return p->left + p->wide + p->right + p->gap; }
static inline int64_t plane_of(const place *p) { return (p->top + p->high + p->bottom) * row_of(p); }
static inline int64_t size_of(const place *p) { return in_fours(p->planes * plane_of(p)); }
static inline bool is_padded(const place *p) { return p->top || p->left || p->bottom || p->right; }

/* Weights of a convolution are packed [input][tap][group][step]: those of a tile's channels lie together, step of
 * them. */
static inline int64_t conv_step(const layer *l)
{
	return l->tile_channels < 3 ? l->tile_channels : in_fours(l->tile_channels);
}
static inline int64_t conv_row(const layer *l) { return l->outputs / l->tile_channels * conv_step(l); }
/* Those of a product [output][input], in whole steps of its lanes, whole tiles of outputs. */
static inline int64_t dense_row(const layer *l) { return ceil_div(l->inputs, 4 * l->lanes) * 4 * l->lanes; }
static inline int64_t dense_rows(const layer *l) { return ceil_div(l->outputs, l->tile_outputs) * l->tile_outputs; }

/* Cuts the network for the shape: tiles, places of weights and values. False: it does not fit. */
bool cuda_whole_cut(cuda_whole *, cuda_whole_shape);
/* The shape of the least time, by a guess; false: none fits. */
bool cuda_whole_choose(cuda_whole *);
/* The kernel's text behind its name. */
og_status cuda_whole_text(text *, const cuda_whole *, void *code);

#endif
