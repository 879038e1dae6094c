/* demo.h -- what `opgraft demo lenet5` finds out (demo_facts.c), and who tells it (demo_text.c, demo_page.c). */
#ifndef DEMO_H
#define DEMO_H

#include "digits.h"
#include "page.h"

/* The networks, as they are read, grafted and run.
 * X(NAME, id in JSON, name in tables, file, color of its bars) */
#define DEMO_NETWORKS_MAP(X) \
	X(RELU,       "relu",              "ReLU, fused",              "lenet5_relu.onnx",   "plain") \
	X(MAPPED,     "relu_mapped",       "ReLU mapped to Swish",     "lenet5_relu.onnx",   "plain") \
	X(UNFUSED,    "swish_unfused",     "Swish, node by node",      "lenet5_swish4.onnx", "base") \
	X(FUSED,      "swish_fused",       "Swish, grafted and fused", "lenet5_swish4.onnx", "ours") \
	X(PEER_RELU,  "onnxruntime_relu",  "ONNX Runtime, ReLU",       "lenet5_relu.onnx",   "peer") \
	X(PEER_SWISH, "onnxruntime_swish", "ONNX Runtime, Swish",      "lenet5_swish4.onnx", "peer")
typedef enum demo_network {
#define X(name, ...) DEMO_##name,
	DEMO_NETWORKS_MAP(X)
#undef X
	DEMO_NETWORKS,
	DEMO_OWN = DEMO_PEER_RELU            /* the first so many are run by Opgraft */
} demo_network;
typedef struct demo_words { const char *id, *name, *file, *color; } demo_words;
extern const demo_words demo_words_of[DEMO_NETWORKS];
extern const char demo_rule[], demo_map[];

/* What is timed: all networks but the mapped one, for each of these. */
enum { DEMO_GROUPS = 4 };
typedef struct demo_group { int batch, threads; } demo_group;
extern const demo_group demo_groups[DEMO_GROUPS];

/* Which pairs are compared. */
enum { DEMO_RATIOS = 3 };
typedef struct demo_ratio { demo_network of, to; const char *name; } demo_ratio;
extern const demo_ratio demo_ratios[DEMO_RATIOS];

/* A network ready to run one batch; of session and peer, one is there. */
typedef struct demo_net {
	og_plan *plan;
	og_session *session;
	og_peer *peer;
	og_tensor *in, *out;                 /* f32[batch,1,28,28], f32[batch,10] */
} demo_net;

typedef struct demo_answers {
	float *logits;                       /* 10 a digit */
	uint8_t *read;                       /* the largest of them */
	int right;
} demo_answers;

/* Seconds of one call. */
typedef struct demo_time { double median, p10, p90; size_t rounds; } demo_time;

typedef struct demo {
	const cli_args *a;
	char folder[4096];                   /* of the models */
	digits digits;
	char source[256];                    /* what the digits are; a count goes before it */
	const char *remark;                  /* a sentence on them */
	og_model *models[DEMO_OWN];
	demo_net nets[DEMO_NETWORKS];        /* those that were asked; batch 64, one thread */
	demo_answers answers[DEMO_NETWORKS];
	char peer_version[64];               /* "" when it is not here, and then why */
	char peer_why[512];
	int mapped;                          /* ReLU nodes that became Swish */
	int places, before;                  /* where the rule matched, and the nodes there; each became one */
	og_step_profile *steps[DEMO_OWN]; size_t n_steps[DEMO_OWN];          /* of UNFUSED and FUSED */
	demo_time times[DEMO_GROUPS][DEMO_NETWORKS];                         /* median 0: not timed */
	int n_groups;
} demo;

/* Finds models and digits, grafts, and lets every network read every digit. */
og_status demo_read(demo *, const cli_args *);
/* Times them all, for some `budget` seconds. */
og_status demo_measure(demo *, double budget);
void demo_free(demo *);
/* How far apart the answers of two networks are: the largest difference of a logit, over the largest logit too. */
double demo_difference(const demo *, demo_network, demo_network, double *relative);
/* How many digits both read as the same. */
int demo_agreed(const demo *, demo_network, demo_network);
/* The first digit of a class, -1 when there is none. */
int demo_first(const demo *, int label);
/* Whether this network takes part in the accuracy or the timing. */
bool demo_has(const demo *, demo_network);

void demo_text_digits(const demo *);
void demo_text_accuracy(const demo *);
void demo_text_graft(const demo *);
void demo_text_times(const demo *);
void demo_text_end(const demo *, const char *report, double seconds);
void demo_json(const demo *, const char *report, double seconds);
void demo_page(const demo *, page *);

#endif
