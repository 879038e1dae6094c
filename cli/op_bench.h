/* op_bench.h -- what opgraft op bench found, for those who tell it. */
#ifndef OP_BENCH_H
#define OP_BENCH_H

#include "page.h"
#include "timing.h"

enum { MAX_CASES = 10, MAX_OPS = 64, PATH_ROOM = 4096 };

/* How the places are computed: by the nodes of the model, by one node that ONNX or Opgraft has, by the library's op. */
typedef enum form { PRIMITIVES, BUILT_IN, GRAFTED, FORMS } form;

typedef struct bench_case {
	form form;
	bool peer, apart;                    /* in ONNX Runtime; in Opgraft node by node */
	bool library;                        /* the runtime has the op library */
	char label[80];
	cli_net net;                         /* of a peer: whose tensors it reads and writes */
	og_peer *runtime;
	char *refusal;                       /* why it does not run; else NULL */
	double difference;                   /* of its answers from those of the first case, over the largest of these */
	const timing *timing;
	double p10, median, p90;             /* seconds of a call */
} bench_case;

/* What the grafted form brings in one runtime beside the best other form there. */
typedef struct verdict {
	const bench_case *grafted, *other;   /* NULL: not run */
	double times, low, high;             /* how many times faster: median, 10th and 90th percentile over the rounds */
	int claim;                           /* 1 faster, -1 slower, 0 nothing that could be told apart */
} verdict;

typedef struct bench {
	const cli_args *a;
	const char *library, *model;
	char folder[PATH_ROOM - 32];         /* of the files made here; "" when there is none */
	char *files[FORMS];                  /* NULL: there is no such form; the model itself or a file of the folder */
	char *ops[MAX_OPS]; int n_ops;       /* of the library, in question here */
	char built_in[64];                   /* "Mish"; "" */
	bool standard;                       /* it is ONNX's own */
	size_t places, rounds;
	int64_t batch;                       /* first dimension of the first input */
	char op_names[512];
	bench_case cases[MAX_CASES]; int n_cases;
	timing timings[MAX_CASES];
	char *no_peer;                       /* why ONNX Runtime does not run; else NULL */
	char peer_version[32];
	verdict verdicts[2];                 /* Opgraft, ONNX Runtime */
	bool differs;                        /* the grafted answers are others */
} bench;

/* The sentence; true: keep the op, in one runtime at least. */
bool bench_conclude(const bench *, char *out, size_t room);
void bench_print(const bench *, bool keep, const char *sentence);        /* --json, -q or the table */
og_status bench_write_page(const bench *, page *, const char *sentence);

#endif
