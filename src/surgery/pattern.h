/* pattern.h -- rules as trees. docs/rules.md is the language. */
#ifndef PATTERN_H
#define PATTERN_H

#include "surgery/surgery.h"

typedef enum pattern_kind { PATTERN_NODE, PATTERN_VARIABLE, PATTERN_NUMBER, PATTERN_ABSENT } pattern_kind;
typedef enum bind_kind { BIND_NUMBER, BIND_VARIABLE, BIND_STRING, BIND_NUMBERS, BIND_FORMULA } bind_kind;

enum { PATTERN_MAX_ARGS = 16, PATTERN_MAX_BINDS = 16, PATTERN_MAX_VARIABLES = 32, PATTERN_MAX_DEPTH = 32,
       PATTERN_MAX_PARTS = 256, PATTERN_MAX_ROOTS = 8 };

/* Arithmetic of the right side, as 1/b. op: one of + - * / over left and right, '#' a number, 'x' a variable. */
typedef struct formula { char op; double number; int variable; struct formula *left, *right; } formula;

/* An attribute. On the left it must be so, or a variable takes it; on the right the node gets it. */
typedef struct pattern_bind {
	const char *name;
	bind_kind kind;
	bool negative;                       /* of a variable: its number is negated */
	int variable;
	double number, tolerance;            /* as in pattern */
	const char *string;
	double *numbers; size_t n;
	const formula *formula;              /* the right side only */
	const char *at;                      /* where it stands in the text, while that is read */
} pattern_bind;

typedef struct pattern {
	pattern_kind kind;
	const char *domain, *type;           /* of a node; domain NULL: not said */
	const og_op *op;                     /* of a node of the right side; on the left the newest of that name, or NULL */
	int output;                          /* of a node, or of a variable that `where` defines: which output is meant */
	int variable;
	bool optional;                       /* x?: the input may be left out */
	double number, tolerance;            /* relative; absolute when the number is 0 */
	struct pattern *args[PATTERN_MAX_ARGS]; int n_args;
	/* Of a commutative node of the left side: its operands in the order in which they are tried, those of nested nodes of
	 * the same type too where it is associative as well. n_operands 0: it is not commutative. */
	struct pattern *operands[PATTERN_MAX_ARGS]; int n_operands;
	pattern_bind binds[PATTERN_MAX_BINDS]; int n_binds;
	struct pattern *next;                /* the next root of this side: roots are replaced one by one, or all by the outputs
	                                      * of the right side's only node; PATTERN_ABSENT on the left: an output not matched */
	const char *at;                      /* where it stands in the text, while that is read */
} pattern;

typedef struct rule {
	pattern *left, *right;               /* the first root of each side */
	const char *variables[PATTERN_MAX_VARIABLES]; int n_variables;
	pattern *defined[PATTERN_MAX_VARIABLES];     /* what `where` says a variable stands for; NULL: nothing. One that the left
	                                              * side names is matched and then the same everywhere; one that only the right
	                                              * side names is made once */
	bool as_number[PATTERN_MAX_VARIABLES];       /* an attribute of the right side needs its number */
	int n_nodes;                         /* of the left side, definitions included */
	const char *how;                     /* "rule" or "map" */
} rule;

struct surgery_rules {
	arena *a;
	rule *rules; size_t n, cap;
};

/* Parses an expression, such as an op's body, into *out (several: ->next); its names and what `where` says in r. */
og_status pattern_parse_expression(rule *r, pattern **out, arena *, const char *text);
/* Parses rules; `how` (static text) goes into each. */
og_status pattern_parse_rules(surgery_rules **out, const char *text, const char *how);

/* What the reader calls once it has read a whole rule: says what is wrong with it, and fills what is derived. */
og_status pattern_check(rule *, const char *text);
/* The same for expressions that are no rule: outputs are filled, and no name is defined by itself. */
og_status pattern_check_expression(rule *, pattern *first, const char *text);
/* OG_USAGE: "rule, line L, column C: ..." of the place `at` in text. */
og_status pattern_fail(const char *text, const char *at, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* a op b; op is one of + - * /. */
double pattern_calculate(char op, double a, double b);

/* Gives the model a function for an op of ours, from its body, so that others can run the file; none when it has no body. */
og_status surgery_add_function(og_model *, const og_op *);

#endif
