/* pattern.h -- rules as trees. */
#ifndef PATTERN_H
#define PATTERN_H

#include "surgery/surgery.h"

typedef enum pattern_kind { PATTERN_NODE, PATTERN_VARIABLE, PATTERN_NUMBER, PATTERN_ABSENT } pattern_kind;
typedef enum bind_kind { BIND_NUMBER, BIND_VARIABLE, BIND_STRING, BIND_NUMBERS } bind_kind;

enum { PATTERN_MAX_ARGS = 16, PATTERN_MAX_BINDS = 16, PATTERN_MAX_VARIABLES = 32, PATTERN_MAX_DEPTH = 32 };

typedef struct pattern_bind {
	const char *name;
	bind_kind kind;
	bool negative;                       /* of a variable: its number is negated */
	int variable;
	double number;
	const char *string;
	double *numbers; size_t n;
} pattern_bind;

typedef struct pattern {
	pattern_kind kind;
	const char *domain, *type;           /* of a node; domain NULL: not said */
	const og_op *op;                     /* of a node of the right side; on the left the newest of that name, or NULL */
	int variable;
	double number;
	struct pattern *args[PATTERN_MAX_ARGS]; int n_args;
	pattern_bind binds[PATTERN_MAX_BINDS]; int n_binds;
} pattern;

typedef struct rule {
	pattern *left, *right;
	const char *variables[PATTERN_MAX_VARIABLES]; int n_variables;
	const char *how;                     /* "rule" or "map" */
} rule;

struct surgery_rules {
	arena *a;
	rule *rules; size_t n, cap;
};

/* Parses one expression, such as an op's body, into *out; its variables in r. `arrow`: a whole rule. */
og_status pattern_parse_expression(rule *r, pattern **out, arena *, const char *text);

/* Gives the model a function for an op of ours, from its body, so that others can run the file; none when it has no body. */
og_status surgery_add_function(og_model *, const og_op *);

#endif
