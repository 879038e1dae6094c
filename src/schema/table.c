/* table.c -- the table of ops, in order of domain, name and opset version. It starts with the built-in ops, whose
 * list "ops.inc" is derived from the op files, and grows with libraries. Op structs are never freed, so that a found
 * op stays valid while the table is replaced. */
#include "schema/inside.h"

#include <pthread.h>
#include <stdlib.h>

#define X(symbol) extern const og_op og_op_##symbol;
#include "ops.inc"
#undef X

static const og_op *built_in[] = {
#define X(symbol) &og_op_##symbol,
#include "ops.inc"
#undef X
	NULL
};
enum { N_BUILT_IN = sizeof built_in / sizeof built_in[0] - 1 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static const og_op **table = built_in;
static size_t count = N_BUILT_IN;

/* ONNX's own domain has two names. */
static const char *plain_domain(const char *domain)
{
	return domain && strcmp(domain, "ai.onnx") != 0 ? domain : "";
}

const char *schema_domain(const og_op *op) { return plain_domain(op->domain); }

static int by_names(const og_op *op, const char *domain, const char *name)
{
	int order = strcmp(schema_domain(op), domain);
	return order != 0 ? order : strcmp(op->name, name);
}

static int by_order(const void *a, const void *b)
{
	const og_op *x = *(const og_op *const *)a, *y = *(const og_op *const *)b;
	int order = by_names(x, schema_domain(y), y->name);
	return order != 0 ? order : (x->since > y->since) - (x->since < y->since);
}

static void sort_built_in(void) { qsort(built_in, N_BUILT_IN, sizeof built_in[0], by_order); }

static void lock_to_read(void)
{
	pthread_once(&once, sort_built_in);
	pthread_rwlock_rdlock(&lock);
}

/* The table must be locked. */
static const og_op *find(const char *domain, const char *name, int64_t version)
{
	size_t low = 0, high = count;        /* the answer is just before the first op that comes after */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = by_names(table[middle], domain, name);
		if (order < 0 || (order == 0 && table[middle]->since <= version)) low = middle + 1;
		else high = middle;
	}
	return low > 0 && by_names(table[low - 1], domain, name) == 0 ? table[low - 1] : NULL;
}

const og_op *schema_find(const char *domain, const char *name, int64_t version)
{
	lock_to_read();
	const og_op *op = find(plain_domain(domain), name, version);
	pthread_rwlock_unlock(&lock);
	return op;
}

const char *schema_called(const og_op *op) { return op->called ? op->called : op->name; }

/* The newest op of a domain (NULL: any) that people call so. The table must be locked. */
static const og_op *find_called(const char *domain, const char *name)
{
	for (size_t k = count; k > 0; k--)
		if (table[k - 1]->called && strcmp(table[k - 1]->called, name) == 0 &&
		    (!domain || strcmp(schema_domain(table[k - 1]), domain) == 0)) return table[k - 1];
	return NULL;
}

/* The newest op of that name in any domain: ours first, then ONNX's. The table must be locked. */
static const og_op *find_anywhere(const char *name)
{
	const og_op *op = find(OG_DOMAIN, name, INT64_MAX);
	if (!op) op = find_called(NULL, name);
	if (!op) op = find("", name, INT64_MAX);
	for (size_t k = count; !op && k > 0; k--)
		if (strcmp(table[k - 1]->name, name) == 0) op = table[k - 1];
	return op;
}

const og_op *schema_find_any(const char *name)
{
	char domain[128];
	const char *colons = strstr(name, "::");
	size_t n = colons ? (size_t)(colons - name) : 0;
	if (n >= sizeof domain) return NULL;
	memcpy(domain, name, n);
	domain[n] = '\0';
	lock_to_read();
	const og_op *op = colons ? find(plain_domain(domain), colons + 2, INT64_MAX) : find_anywhere(name);
	if (!op && colons) op = find_called(plain_domain(domain), colons + 2);
	pthread_rwlock_unlock(&lock);
	return op;
}

size_t schema_count(void)
{
	lock_to_read();
	size_t n = count;
	pthread_rwlock_unlock(&lock);
	return n;
}

const og_op *schema_at(size_t k)
{
	lock_to_read();
	const og_op *op = k < count ? table[k] : NULL;
	pthread_rwlock_unlock(&lock);
	return op;
}

/* A library that is loaded twice, or made of a file that is built in: the op stays where it is. */
static bool same_source(const og_op *a, const og_op *b)
{
	size_t n = a->text ? (size_t)(a->text_end - a->text) : 0;
	return a == b || (n > 0 && b->text && (size_t)(b->text_end - b->text) == n && !memcmp(a->text, b->text, n));
}

og_status schema_add(const og_op *const *ops, size_t n, const char *from)
{
	for (size_t k = 0; k < n; k++)
		if (schema_declared(ops[k]) != OG_OK)
			return base_fail_in(ops[k]->abi == OG_OP_ABI ? OG_BAD_FILE : OG_UNSUPPORTED, "%s", from);
	pthread_once(&once, sort_built_in);
	pthread_rwlock_wrlock(&lock);
	og_status status = OG_OK;
	size_t total = count;
	const og_op **bigger = base_new(count + n, sizeof *bigger);
	if (!bigger) status = base_no_memory();
	else memcpy(bigger, table, count * sizeof *bigger);
	for (size_t k = 0; k < n && status == OG_OK; k++) {
		const og_op *there = find(schema_domain(ops[k]), ops[k]->name, ops[k]->since);
		if (!there || there->since != ops[k]->since) bigger[total++] = ops[k];
		else if (!same_source(there, ops[k]))
			status = base_fail(OG_USAGE, "%s: op %s::%s of version %d is there already, built in or from another library; load one "
			                   "of them, or rename this one", from, schema_domain(ops[k]), ops[k]->name, ops[k]->since);
	}
	if (status == OG_OK) {
		const og_op **old = table;
		qsort(bigger, total, sizeof *bigger, by_order);
		table = bigger;
		count = total;
		bigger = old == built_in ? NULL : old;
	}
	pthread_rwlock_unlock(&lock);
	base_free(bigger);
	return status;
}

/* ---- which op a node is --------------------------------------------------------------------- */

static int64_t version_of(const og_model *m, const graph_function *f, const char *domain)
{
	for (int k = 0; f && k < f->n_opsets; k++)
		if (strcmp(plain_domain(f->opsets[k].domain), plain_domain(domain)) == 0) return f->opsets[k].version;
	return graph_opset_version(m, domain);
}

static void resolve(graph *g, const graph_function *f)
{
	for (graph_node *n = g->first; n; n = n->next) {
		int64_t version = version_of(g->model, f, n->domain);
		if (!n->op && version > 0) n->op = schema_find(n->domain, n->type, version);
		for (int k = 0; k < n->n_attrs; k++)
			if (n->attrs[k].g) resolve(n->attrs[k].g, f);
	}
}

void schema_resolve(og_model *m)
{
	resolve(m->main, NULL);
	for (int k = 0; k < m->n_functions; k++) resolve(m->functions[k].body, &m->functions[k]);
}
