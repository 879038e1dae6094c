/* test_tensorrt.c -- the TensorRT bridge, driven as TensorRT drives it, on a device that only takes notes. The library
 * under test is made of built-in ops and two of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "bridge/tensorrt.h"

trt_get_creators getCreators;
trt_set_logger_finder setLoggerFinder;

/* ---- the library ------------------------------------------------------------------------------ */

extern const og_op og_op_swish, og_op_sigmoid, og_op_add, og_op_greater, og_op_prelu, og_op_reshape_14;

/* Cuts dimension 0 in two. */
static og_status halves_shape(og_infer *c)
{
	const og_shape *x = c->in;
	if (x->rank < 0) return OG_OK;
	if (x->rank == 0) return (c->host->fail)(OG_BAD_FILE, "a scalar has no halves");
	for (int k = 0; k < 2; k++) {
		c->out[k].rank = x->rank;
		memcpy(c->out[k].dims, x->dims, sizeof x->dims);
	}
	c->out[0].dims[0] = og_dim_do(c, OG_DIM_CEIL_DIV, x->dims[0], 2);
	c->out[1].dims[0] = og_dim_do(c, OG_DIM_SUB, x->dims[0], c->out[0].dims[0]);
	return OG_OK;
}

static const og_op halves = {
	.abi = OG_OP_ABI, .name = "Halves", .domain = OG_DOMAIN, .since = 1, .inputs = "x:T", .outputs = "a:T, b:T",
	.types = "T=f32 f16 i32", .shape = halves_shape, .device = "halves",
	.attrs = (const og_attr[]){ { .name = "count", .type = OG_ATTR_INT, .value = 3, .low = -0x1p63, .high = 0x1p63 },
	                            OG_RANGE("ratio", 0.5, 0, 1), OG_ENUM("mode", "none|tanh|exact", 1), OG_STR("label"),
	                            OG_INTS("sizes"), OG_FLOATS("scales"), OG_TENSOR("table"), { .name = NULL } },
};
static const og_op on_cpu = {
	.abi = OG_OP_ABI, .name = "OnCpu", .domain = OG_DOMAIN, .since = 1, .inputs = "x:T", .outputs = "y:T",
	.types = "T=f32",
};

static const og_op *const ops[] = { &og_op_swish, &og_op_sigmoid, &og_op_add, &og_op_greater, &og_op_prelu, &halves,
                                    &on_cpu, &og_op_reshape_14 };
const og_library og_op_library = { .abi = OG_OP_ABI, .n_ops = sizeof ops / sizeof *ops, .ops = ops, .version = "test" };

/* ---- the device ------------------------------------------------------------------------------- */

static atomic_int n_open;
static int tactics = 1, prepared_tactic, launches;
static bool no_driver;
static og_status launch_status;
static size_t prepared_elements[8];
static const void *launched_in[8];
static void *launched_out[8], *launched_space, *launched_stream;

struct device_kernels { int nothing; };
static device_kernels loaded;

bool device_present(void) { return true; }
og_status device_open_library(device_kernels **out, const og_library *library)
{
	assert_ptr_equal(library, &og_op_library);
	if (no_driver) return base_fail(OG_MISSING, "there is no driver");
	atomic_fetch_add(&n_open, 1);
	*out = &loaded;
	return OG_OK;
}
void device_close(device_kernels *k) { if (k) atomic_fetch_sub(&n_open, 1); }
int device_tactics(const library_op *l, const og_call *c) { return (void)l, c->in[0]->dims[0] == 99 ? 0 : tactics; }
size_t device_workspace(const library_op *l, const og_call *c, int tactic)
{
	return (void)l, (size_t)og_count(c->in[0]) * (size_t)(1 + tactic);
}
og_status device_prepare(device_step *out, device_kernels *k, const library_op *l, const og_call *c, int tactic)
{
	assert_ptr_equal(k, &loaded);
	assert_non_null(l);
	memset(out, 0, sizeof *out);
	prepared_tactic = tactic;
	for (int i = 0; i < c->n_in + c->n_out; i++)
		prepared_elements[i] = (size_t)og_count(i < c->n_in ? c->in[i] : c->out[i - c->n_in]);
	out->n_in = c->n_in, out->n_out = c->n_out;
	return OG_OK;
}
og_status device_launch(const device_step *s, const void *const *in, void *const *out, void *workspace, void *stream)
{
	memcpy(launched_in, in, (size_t)s->n_in * sizeof *in);
	memcpy(launched_out, out, (size_t)s->n_out * sizeof *out);
	launched_space = workspace, launched_stream = stream;
	launches++;
	return launch_status == OG_OK ? OG_OK : base_fail(launch_status, "the launch failed");
}

/* ---- TensorRT's log, in both forms -------------------------------------------------------------- */

static char said[4096];
static int severities[5];

static void keep(int32_t severity, const char *message)
{
	severities[severity]++;
	snprintf(said, sizeof said, "%s", message);
}
static void log_11(trt_logger *l, int32_t severity, const char *message) { (void)l, keep(severity, message); }
static void log_10(trt_logger_10 *l, int32_t severity, const char *message) { (void)l, keep(severity, message); }

static const trt_logger_table logger_table_11 = { .log = log_11 };
static trt_logger logger_11 = { &logger_table_11 };
static trt_logger *find_11(trt_logger_finder *f) { (void)f; return &logger_11; }
static const trt_logger_10_table logger_table_10 = { .log = log_10 };
static trt_logger_10 logger_10 = { &logger_table_10 };
static trt_logger_10 *find_10(trt_logger_finder_10 *f) { (void)f; return &logger_10; }

/* Type information as a C++ compiler makes it: a class with bases, which say by their own types what they are. */
static const trt_class of_one_base = { .name = TRT_CLASS_ONE_BASE_TYPE }, of_bases = { .name = TRT_CLASS_BASES_TYPE };
typedef struct table_of_class { trt_prefix prefix; void *first; } table_of_class;
static const table_of_class one_base = { .prefix.type = &of_one_base }, bases = { .prefix.type = &of_bases };
static const table_of_class plain;
static const trt_class finder_class_11 = { &plain.first, TRT_LOGGER_FINDER_TYPE };
static const trt_class other_class = { &plain.first, "5Other" };
static const trt_class finder_class_10 = { &plain.first, TRT_LOGGER_FINDER_10_TYPE };
static const trt_class_one_base child_11 = { { &one_base.first, "5Child" }, &finder_class_11 };
static const struct {
	trt_class self;
	unsigned flags, n;
	struct { const trt_class *base; long at; } base[2];
} child_10 = {
	{ &bases.first, "5Mixed" }, 0, 2, { { &other_class, 0 }, { &finder_class_10, 2 } } };

static const struct { trt_prefix prefix; trt_logger_finder_table table; } finder_table_11 = {
	{ 0, &child_11 }, { .findLogger = find_11 } },
	finder_table_unknown = { { 0, &other_class }, { .findLogger = find_11 } },
	finder_table_bare = { { 0, NULL }, { .findLogger = find_11 } };
static const struct { trt_prefix prefix; trt_logger_finder_10_table table; } finder_table_10 = {
	{ 0, &child_10 }, { .findLogger = find_10 } };
static trt_logger_finder finder_11 = { &finder_table_11.table }, finder_unknown = { &finder_table_unknown.table },
                         finder_bare = { &finder_table_bare.table };
static trt_logger_finder_10 finder_10 = { &finder_table_10.table };

static void test_both_forms_of_logger(void **state)
{
	void *const finders[] = { &finder_11, &finder_10, &finder_unknown, &finder_bare, NULL };
	(void)state;
	for (int k = 0; k < 5; k++) {
		said[0] = '\0';
		setLoggerFinder(finders[k]);
		tensorrt_log(TRT_INFO, "message %d", k);
		assert_string_equal(said, k == 0 ? "message 0" : k == 1 ? "message 1" : "");
	}
	setLoggerFinder(&finder_11);
}

/* ---- creators ----------------------------------------------------------------------------------- */

static trt_creator *creator_of(const char *name)
{
	int32_t n = -1;
	trt_creator *const *all = getCreators(&n);
	for (int32_t k = 0; k < n; k++)
		if (!strcmp(all[k]->table->getPluginName(all[k]), name)) return all[k];
	return NULL;
}

static void test_creators(void **state)
{
	int32_t n = -1;
	trt_creator *const *all = getCreators(&n);
	(void)state;
	assert_int_equal(n, 6);              /* not OnCpu, not Reshape */
	assert_null(creator_of("OnCpu"));
	assert_null(creator_of("Reshape"));
	for (int32_t k = 0; k < n; k++) {
		assert_string_equal(all[k]->table->getInterfaceInfo(all[k]).kind, TRT_CREATOR_KIND);
		assert_string_equal(all[k]->table->getPluginVersion(all[k]), "1");
		assert_string_equal(all[k]->table->getPluginNamespace(all[k]), "");
	}
	trt_creator *c = creator_of("Halves");
	const trt_fields *names = c->table->getFieldNames(c);
	const char *const want[] = { "count", "ratio", "mode", "label", "sizes", "scales" };
	const int32_t types[] = { TRT_FIELD_INT32, TRT_FIELD_FLOAT32, TRT_FIELD_CHAR, TRT_FIELD_CHAR, TRT_FIELD_INT32,
	                          TRT_FIELD_FLOAT32 };
	assert_int_equal(names->nbFields, 6);
	for (int k = 0; k < 6; k++) {
		assert_string_equal(names->fields[k].name, want[k]);
		assert_int_equal(names->fields[k].type, types[k]);
	}
	assert_int_equal(*(const int32_t *)names->fields[0].data, 3);
	assert_float_equal(*(const float *)names->fields[1].data, 0.5f, 0);
	assert_memory_equal(names->fields[2].data, "tanh", 4);
	assert_int_equal(names->fields[2].length, 4);
}

/* ---- fields --------------------------------------------------------------------------------------- */

static trt_plugin *make(const char *name, int n, const trt_field *fields, int32_t phase)
{
	trt_creator *c = creator_of(name);
	trt_fields all = { n, fields };
	return c->table->createPlugin(c, "layer", &all, phase);
}

static void destroy(trt_plugin *p) { p->table->destroy(p); }
static void *part(trt_plugin *p, int32_t which) { return p->table->getCapabilityInterface(p, which); }
static trt_build *build_of(trt_plugin *p) { return part(p, TRT_CAPABILITY_BUILD); }
static trt_runtime *runtime_of(trt_plugin *p) { return part(p, TRT_CAPABILITY_RUNTIME); }

static void test_capabilities(void **state)
{
	(void)state;
	trt_plugin *p = make("OgSwish", 0, NULL, TRT_PHASE_BUILD);
	trt_core *core = part(p, TRT_CAPABILITY_CORE);
	assert_string_equal(p->table->getInterfaceInfo(p).kind, TRT_PLUGIN_KIND);
	assert_string_equal(core->table->getInterfaceInfo(core).kind, TRT_CORE_KIND);
	assert_string_equal(core->table->getPluginName(core), "OgSwish");
	assert_string_equal(core->table->getPluginVersion(core), "1");
	assert_string_equal(core->table->getPluginNamespace(core), "");
	assert_string_equal(build_of(p)->table->getInterfaceInfo(build_of(p)).kind, TRT_BUILD_KIND);
	assert_string_equal(runtime_of(p)->table->getInterfaceInfo(runtime_of(p)).kind, TRT_RUNTIME_KIND);
	assert_null(part(p, 3));
	destroy(p);
}

static void test_fields_are_checked(void **state)
{
	const float one = 1, two[2] = { 0.25f, 0.5f }, eleven = 11;
	const double half = 0.5;
	const int32_t i32 = 7;
	const struct { trt_field field; const char *want; } cases[] = {
		{ { "ratio", &one, TRT_FIELD_FLOAT32, 1 }, NULL },
		{ { "ratio", &half, TRT_FIELD_FLOAT64, 1 }, NULL },
		{ { "ratio", &eleven, TRT_FIELD_FLOAT32, 1 },
		  "opgraft: layer: Halves: attribute 'ratio' is 11, but must be in [0, 1]" },
		{ { "ratio", &i32, TRT_FIELD_INT32, 1 },
		  "opgraft: layer: attribute 'ratio' of Halves takes one number such as FLOAT32, not 1 of type INT32" },
		{ { "ratio", two, TRT_FIELD_FLOAT32, 2 }, "not 2 of type FLOAT32" },
		{ { "ratio", NULL, TRT_FIELD_FLOAT32, 1 }, "a field that has its data" },
		{ { "ratio", &one, TRT_FIELD_FLOAT32, -1 }, "a field that has its data" },
		{ { "ratio", &one, 77, 1 }, "an unknown type" },
		{ { "ratio", &one, -1, 1 }, "an unknown type" },
		{ { "count", &i32, TRT_FIELD_INT8, 1 }, NULL },
		{ { "count", &one, TRT_FIELD_FLOAT32, 1 }, "takes one whole number such as INT32, not 1 of type FLOAT32" },
		{ { "mode", "exact", TRT_FIELD_CHAR, 5 }, NULL },
		{ { "mode", "exact", TRT_FIELD_CHAR, 6 }, NULL },
		{ { "mode", "exactly", TRT_FIELD_CHAR, 7 }, "'mode'" },
		{ { "mode", "", TRT_FIELD_CHAR, 0 }, "'mode'" },
		{ { "mode", &i32, TRT_FIELD_INT32, 1 }, "takes a string of type CHAR" },
		{ { "label", NULL, TRT_FIELD_CHAR, 0 }, NULL },
		{ { "sizes", &i32, TRT_FIELD_INT32, 1 }, NULL },
		{ { "sizes", &one, TRT_FIELD_FLOAT32, 1 }, "takes whole numbers" },
		{ { "scales", &i32, TRT_FIELD_INT32, 1 }, "takes fractions such as FLOAT32" },
		{ { "table", &one, TRT_FIELD_FLOAT32, 1 }, "can't be given to a plugin" },
		{ { "colour", &one, TRT_FIELD_FLOAT32, 1 }, "opgraft: layer: Halves has no attribute 'colour'" },
		{ { NULL, &one, TRT_FIELD_FLOAT32, 1 }, "a field without a name" },
	};
	(void)state;
	for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
		int errors = severities[TRT_ERROR];
		said[0] = '\0';
		trt_plugin *p = make("Halves", 1, &cases[k].field, k % 2 ? TRT_PHASE_BUILD : TRT_PHASE_RUNTIME);
		if (!!p != !cases[k].want) fail_msg("case %zu: %s", k, said);
		if (p) destroy(p);
		else if (!strstr(said, cases[k].want) || severities[TRT_ERROR] != errors + 1) fail_msg("case %zu: \"%s\"", k, said);
	}
}

/* Fields come back as they went, bit by bit, over any number of generations. */
static void test_fields_round_trip(void **state)
{
	(void)state;
	for (int round = 0; round < 200; round++) {
		int64_t sizes[5] = { rand() - RAND_MAX / 2, -1, INT32_MAX, round % 3 ? 0 : INT64_MIN, 5 };
		int64_t count = round % 2 ? (int64_t)rand() << 33 | 1 : rand();
		float scales[4] = { (float)rand() * 1e-3f, -0.0f, 1e-45f, 3e38f }, ratio = (float)rand() / (float)RAND_MAX;
		trt_field given[] = {
			{ "scales", scales, TRT_FIELD_FLOAT32, round % 5 }, { "count", &count, TRT_FIELD_INT64, 1 },
			{ "label", "a label", TRT_FIELD_CHAR, round % 8 }, { "sizes", sizes, TRT_FIELD_INT64, round % 6 },
			{ "mode", "none", TRT_FIELD_CHAR, 4 }, { "ratio", &ratio, TRT_FIELD_FLOAT32, 1 } };
		trt_plugin *first = make("Halves", round % 7, given, TRT_PHASE_BUILD);
		assert_non_null(first);
		const trt_fields *a = runtime_of(first)->table->getFieldsToSerialize(runtime_of(first));
		assert_int_equal(a->nbFields, round % 7);
		trt_plugin *second = make("Halves", a->nbFields, a->fields, TRT_PHASE_RUNTIME);
		const trt_fields *b = runtime_of(second)->table->getFieldsToSerialize(runtime_of(second));
		assert_int_equal(b->nbFields, a->nbFields);
		for (int k = 0; k < a->nbFields; k++) {
			const trt_field *x = &a->fields[k], *y = &b->fields[k];
			size_t size = x->type == TRT_FIELD_INT64 ? 8 : x->type == TRT_FIELD_CHAR ? 1 : 4;
			assert_string_equal(x->name, y->name);
			assert_int_equal(x->type, y->type);
			assert_int_equal(x->length, y->length);
			assert_memory_equal(x->data, y->data, (size_t)x->length * size);
			if (!strcmp(x->name, "ratio")) assert_memory_equal(x->data, &ratio, 4);
			if (!strcmp(x->name, "scales")) assert_memory_equal(x->data, scales, 4 * (size_t)x->length);
			if (!strcmp(x->name, "count"))
				assert_true(size == 8 ? !memcmp(x->data, &count, 8) : *(const int32_t *)x->data == count);
		}
		assert_string_equal(build_of(first)->table->getTimingCacheID(build_of(first)),
		                    build_of(second)->table->getTimingCacheID(build_of(second)));
		destroy(first);
		destroy(second);
	}
}

static void test_texts(void **state)
{
	const float beta = 1.5f;
	const int32_t sizes[] = { 2, -3 };
	trt_field swish = { "beta", &beta, TRT_FIELD_FLOAT32, 1 };
	trt_field several[] = { { "sizes", sizes, TRT_FIELD_INT32, 2 }, { "mode", "exact", TRT_FIELD_CHAR, 5 } };
	(void)state;
	trt_plugin *a = make("OgSwish", 1, &swish, TRT_PHASE_BUILD), *b = make("OgSwish", 0, NULL, TRT_PHASE_BUILD);
	trt_plugin *c = make("Halves", 2, several, TRT_PHASE_BUILD);
	assert_string_equal(build_of(a)->table->getMetadataString(build_of(a)), "OgSwish(beta=1.5)");
	assert_string_equal(build_of(b)->table->getMetadataString(build_of(b)), "OgSwish");
	assert_string_equal(build_of(c)->table->getMetadataString(build_of(c)), "Halves(mode=exact, sizes=[2,-3])");
	assert_string_not_equal(build_of(a)->table->getTimingCacheID(build_of(a)),
	                        build_of(b)->table->getTimingCacheID(build_of(b)));
	destroy(a), destroy(b), destroy(c);
}

/* ---- shapes: a host of expressions -------------------------------------------------------------- */

/* op -1: a number, -2: a size that TensorRT does not know yet. */
enum { EXPRESSIONS = 4096 };
typedef struct node { trt_dim dim; trt_dim_value value; int op; int64_t size; const struct node *a, *b; } node;
static node nodes[EXPRESSIONS];
static int n_nodes;

static const node *node_of(const trt_dim *d) { return (const node *)d; }
static bool is_constant(trt_dim_value *v) { return ((node *)(void *)((char *)v - offsetof(node, value)))->op == -1; }
static int64_t constant_value(trt_dim_value *v) { return ((node *)(void *)((char *)v - offsetof(node, value)))->size; }
static const trt_dim_value_table value_table = { .isConstant = is_constant, .getConstantValue = constant_value };

static const trt_dim *new_node(int op, int64_t size, const trt_dim *a, const trt_dim *b)
{
	assert_true(n_nodes < EXPRESSIONS);
	node *n = &nodes[n_nodes++];
	*n = (node){ .value.table = &value_table, .op = op, .size = size, .a = node_of(a), .b = node_of(b) };
	n->dim.value = &n->value;
	return &n->dim;
}
static const trt_dim *number(int64_t size) { return new_node(-1, size, NULL, NULL); }
static const trt_dim *make_constant(trt_dim_maker *m, int64_t value) { (void)m; return number(value); }

/* What the expression is once the unknown sizes are known. */
static int64_t value_of(const node *n)
{
	if (n->op < 0) return n->size;
	int64_t a = value_of(n->a), b = value_of(n->b);
	switch (n->op) {
	case TRT_DIM_SUM: return a + b;
	case TRT_DIM_PROD: return a * b;
	case TRT_DIM_MAX: return a > b ? a : b;
	case TRT_DIM_MIN: return a < b ? a : b;
	case TRT_DIM_SUB: return a - b;
	case TRT_DIM_EQUAL: return a == b;
	case TRT_DIM_LESS: return a < b;
	case TRT_DIM_FLOOR_DIV: return a / b;
	case TRT_DIM_CEIL_DIV: return (a + b - 1) / b;
	default: fail_msg("operation %d", n->op); return 0;
	}
}
static const trt_dim *make_operation(trt_dim_maker *m, int32_t op, const trt_dim *a, const trt_dim *b)
{
	(void)m;
	const trt_dim *made = new_node(op, 0, a, b);
	if (is_constant(a->value) && is_constant(b->value)) return new_node(-1, value_of(node_of(made)), NULL, NULL);
	return made;
}
static const trt_dim_maker_table maker_table = { .constant = make_constant, .operation = make_operation };
static trt_dim_maker maker = { &maker_table };
static trt_expr_builder builder = { NULL, &maker };

/* Random shapes that broadcast, each size known to TensorRT or not: all comes out as the rule says of the sizes. */
static void test_shapes(void **state)
{
	static const struct { const char *name; const og_op *op; int n_in, n_out; } cases[] = {
		{ "OgSwish", &og_op_swish, 1, 1 }, { "Add", &og_op_add, 2, 1 }, { "PRelu", &og_op_prelu, 2, 1 },
		{ "Halves", &halves, 1, 2 } };
	(void)state;
	for (int round = 0; round < 4000; round++) {
		const int which = round % 4, n_in = cases[which].n_in, n_out = cases[which].n_out;
		int rank = which == 3 ? 1 + rand() % 8 : rand() % 9;
		trt_dims_expr in[2], out[2];
		og_shape known[2], want[2];
		n_nodes = 0;
		for (int k = 0; k < n_in; k++) {
			int r = k == 0 ? rank : rank > 0 ? rand() % (rank + 1) : 0;
			in[k].nbDims = known[k].rank = r;
			known[k] = (og_shape){ .dtype = OG_F32, .rank = r };
			for (int d = 0; d < r; d++) {
				og_dim whole = k == 0 ? rand() % 5 : known[0].dims[rank - r + d];
				known[k].dims[d] = k == 1 && rand() % 3 == 0 ? 1 : whole;
				in[k].d[d] = new_node(rand() % 2 ? -1 : -2, known[k].dims[d], NULL, NULL);
			}
		}
		const library_op *l = NULL;
		for (size_t k = 0; k < library_count(); k++)
			if (library_at(k)->op == cases[which].op) l = library_at(k);
		assert_int_equal(library_infer(l, NULL, n_in, known, n_out, want), OG_OK);
		trt_plugin *p = make(cases[which].name, 0, NULL, TRT_PHASE_BUILD);
		trt_build *b = build_of(p);
		assert_int_equal(b->table->getNbOutputs(b), n_out);
		if (b->table->getOutputShapes(b, in, n_in, NULL, 0, out, n_out, &builder)) fail_msg("%s", said);
		for (int k = 0; k < n_out; k++) {
			assert_int_equal(out[k].nbDims, want[k].rank);
			for (int d = 0; d < want[k].rank; d++) assert_int_equal(value_of(node_of(out[k].d[d])), want[k].dims[d]);
		}
		destroy(p);
	}
}

static void test_shapes_that_are_wrong(void **state)
{
	(void)state;
	n_nodes = 0;
	trt_dims_expr in[2] = { { 1, { number(3) } }, { 1, { number(4) } } }, out[1], two[2];
	trt_dims_expr scalar = { .nbDims = 0 }, unknown = { .nbDims = -1 }, negative = { 1, { number(-5) } };
	trt_plugin *add = make("Add", 0, NULL, TRT_PHASE_BUILD), *h = make("Halves", 0, NULL, TRT_PHASE_BUILD);
	trt_build *a = build_of(add), *b = build_of(h);
	assert_int_not_equal(a->table->getOutputShapes(a, in, 2, NULL, 0, out, 1, &builder), 0);
	assert_non_null(strstr(said, "do not broadcast"));
	assert_int_not_equal(a->table->getOutputShapes(a, in, 1, NULL, 0, out, 1, &builder), 0);
	assert_non_null(strstr(said, "is missing"));
	assert_int_not_equal(a->table->getOutputShapes(a, in, 65, NULL, 0, out, 1, &builder), 0);
	assert_int_not_equal(b->table->getOutputShapes(b, &scalar, 1, NULL, 0, two, 2, &builder), 0);
	assert_non_null(strstr(said, "a scalar has no halves"));
	assert_int_not_equal(b->table->getOutputShapes(b, &unknown, 1, NULL, 0, two, 2, &builder), 0);
	assert_int_not_equal(b->table->getOutputShapes(b, &negative, 1, NULL, 0, two, 2, &builder), 0);
	destroy(add), destroy(h);
}

static void test_types(void **state)
{
	const int32_t half[2] = { TRT_HALF, TRT_HALF }, mixed[2] = { TRT_HALF, TRT_FLOAT }, odd[2] = { TRT_INT4, TRT_INT4 };
	int32_t out[2];
	(void)state;
	trt_plugin *add = make("Add", 0, NULL, TRT_PHASE_BUILD), *greater = make("Greater", 0, NULL, TRT_PHASE_BUILD);
	trt_plugin *h = make("Halves", 0, NULL, TRT_PHASE_BUILD);
	trt_build *a = build_of(add), *g = build_of(greater), *b = build_of(h);
	assert_int_equal(a->table->getOutputDataTypes(a, out, 1, half, 2), 0);
	assert_int_equal(out[0], TRT_HALF);
	assert_int_equal(g->table->getOutputDataTypes(g, out, 1, half, 2), 0);
	assert_int_equal(out[0], TRT_BOOL);
	assert_int_equal(b->table->getOutputDataTypes(b, out, 2, half, 1), 0);
	assert_int_equal(out[1], TRT_HALF);
	assert_int_not_equal(a->table->getOutputDataTypes(a, out, 1, mixed, 2), 0);
	assert_int_not_equal(a->table->getOutputDataTypes(a, out, 1, odd, 2), 0);
	assert_int_not_equal(a->table->getOutputDataTypes(a, out, 1, (const int32_t[]){ 99, 99 }, 2), 0);
	destroy(add), destroy(greater), destroy(h);
}

/* ---- formats ------------------------------------------------------------------------------------- */

static trt_range range(int32_t type, int32_t format, int rank, const int64_t *dims)
{
	trt_range r = { .desc = { .type = type, .format = format, .dims.nbDims = rank } };
	for (int d = 0; d < rank; d++) r.desc.dims.d[d] = dims[d];
	r.min = r.max = r.opt = r.desc.dims;
	return r;
}

/* Bit f: the op takes format f for tensors of these shapes and one type, all positions alike. */
static unsigned formats_of(const char *op, int n, const int64_t (*dims)[5], const int *ranks)
{
	trt_plugin *p = make(op, 0, NULL, TRT_PHASE_BUILD);
	trt_build *b = build_of(p);
	unsigned taken = 0;
	for (int32_t f = -1; f < 20; f++) {
		trt_range r[3];
		bool all = true;
		for (int k = 0; k < n; k++) r[k] = range(TRT_HALF, f, ranks[k], dims[k]);
		for (int k = 0; k < n; k++) all = all && b->table->supportsFormatCombination(b, k, r, n - 1, 1);
		for (int k = 1; all && k < n; k++) {     /* another format at one place is refused there */
			r[k].desc.format = f == TRT_LINEAR ? TRT_HWC8 : TRT_LINEAR;
			assert_false(b->table->supportsFormatCombination(b, k, r, n - 1, 1));
			r[k].desc.format = f;
			r[k].desc.type = TRT_FLOAT;
			assert_false(b->table->supportsFormatCombination(b, k, r, n - 1, 1));
			r[k].desc.type = TRT_HALF;
		}
		if (all) taken |= f < 0 ? 1u << 31 : 1u << f;
	}
	destroy(p);
	return taken;
}

static void test_formats(void **state)
{
	const unsigned linear = 1u << TRT_LINEAR, volumes = 1u << TRT_DHWC8 | 1u << TRT_CDHW32 | 1u << TRT_DHWC;
	unsigned every = 0;
	const int two[2] = { 4, 4 }, three[3] = { 4, 4, 4 }, flat[2] = { 2, 2 }, cube[2] = { 3, 3 }, deep[2] = { 5, 5 };
	const int mixed[3] = { 4, 3, 4 };
	(void)state;
#define X(name, number, lanes, channel) every |= 1u << number;
	TRT_FORMATS(X)
#undef X
	const int64_t odd[3][5] = { { 2, 6, 5, 7, 3 }, { 2, 6, 5, 7, 3 }, { 2, 6, 5, 7, 3 } };
	const int64_t dynamic[3][5] = { { -1, 6, 5, 7, 3 }, { -1, 6, 5, 7, 3 }, { -1, 6, 5, 7, 3 } };
	const int64_t even[3][5] = { { 2, 32, 32, 7, 3 }, { 2, 32, 32, 7, 3 }, { 2, 32, 32, 7, 3 } };
	const int64_t channel[3][5] = { { 2, -1, 5, 7, 3 }, { 2, -1, 5, 7, 3 } };
	const int64_t spread[3][5] = { { 2, 6, 5, 7 }, { 6, 1, 1 }, { 2, 6, 5, 7 } };
	/* Swish keeps 0: any padding will do */
	assert_int_equal(formats_of("OgSwish", 2, odd, two), every);
	assert_int_equal(formats_of("OgSwish", 2, odd, deep), every);
	assert_int_equal(formats_of("OgSwish", 2, odd, cube), every & ~volumes);
	assert_int_equal(formats_of("OgSwish", 2, odd, flat), linear);
	assert_int_equal(formats_of("OgSwish", 2, dynamic, two), every);
	assert_int_equal(formats_of("OgSwish", 2, channel, two), every);
	/* Sigmoid makes 0.5 of 0: none but where nothing is padded */
	assert_int_equal(formats_of("Sigmoid", 2, even, two), every & ~(1u << TRT_DHWC8 | 1u << TRT_CDHW32));
	assert_int_equal(formats_of("Sigmoid", 2, odd, two), linear | 1u << TRT_CHW2 | 1u << TRT_HWC | 1u << TRT_DHWC);
	assert_int_equal(formats_of("Sigmoid", 2, channel, two), linear | 1u << TRT_HWC | 1u << TRT_DHWC);
	/* two inputs: of equal shapes that are known */
	assert_int_equal(formats_of("Add", 3, odd, three), every);
	assert_int_equal(formats_of("Add", 3, dynamic, three), linear);
	assert_int_equal(formats_of("Add", 3, spread, mixed), linear);
	/* no formula */
	assert_int_equal(formats_of("Halves", 2, odd, two), linear);
}

/* ---- a life ------------------------------------------------------------------------------------- */

/* Builds, serialises, makes again, attaches, runs; returns false where something refused. */
static bool live(int32_t format, size_t elements)
{
	const int64_t dims[4] = { 2, 6, 5, 7 };
	const float beta = 2;
	trt_field field = { "beta", &beta, TRT_FIELD_FLOAT32, 1 };
	trt_range r[2] = { range(TRT_FLOAT, format, 4, dims), range(TRT_FLOAT, format, 4, dims) };
	int32_t type = TRT_FLOAT, out_type;
	bool good = false;
	trt_plugin *built = make("OgSwish", 1, &field, TRT_PHASE_BUILD), *copy = NULL, *loaded_again = NULL, *attached = NULL;
	if (!built || !(copy = built->table->clone(built))) goto end;
	trt_build *b = build_of(copy);
	if (b->table->getOutputDataTypes(b, &out_type, 1, &type, 1)) goto end;
	for (int k = 0; k < 2; k++)
		if (!b->table->supportsFormatCombination(b, k, r, 1, 1)) goto end;
	if (b->table->configurePlugin(b, &r[0], 1, &r[1], 1)) goto end;
	assert_int_equal(b->table->getWorkspaceSize(b, &r[0], 1, &r[1], 1), elements * (size_t)tactics);
	assert_int_equal(b->table->getNbTactics(b), tactics > 1 ? tactics : 0);
	const trt_fields *fields = runtime_of(copy)->table->getFieldsToSerialize(runtime_of(copy));
	if (!(loaded_again = make("OgSwish", fields->nbFields, fields->fields, TRT_PHASE_RUNTIME))) goto end;
	destroy(built);              /* the others need it no more */
	built = NULL;
	if (!(attached = runtime_of(loaded_again)->table->attachToContext(runtime_of(loaded_again), NULL))) goto end;
	trt_runtime *run = runtime_of(attached);
	if (run->table->setTactic(run, tactics > 1 ? 2 : 0)) goto end;
	if (run->table->onShapeChange(run, &r[0].desc, 1, &r[1].desc, 1)) goto end;
	assert_int_equal(prepared_elements[0], elements);
	assert_int_equal(prepared_elements[1], elements);
	assert_int_equal(prepared_tactic, tactics > 1 ? 1 : 0);
	uint64_t allocations = base_allocations();
	const void *in = &in;
	void *out = &out, *space = &space, *stream = &stream;
	for (int k = 0; k < 3; k++)
		if (run->table->enqueue(run, &r[0].desc, &r[1].desc, &in, &out, space, stream)) goto end;
	assert_int_equal(base_allocations(), allocations);
	assert_ptr_equal(launched_in[0], in);
	assert_ptr_equal(launched_out[0], out);
	assert_ptr_equal(launched_space, space);
	assert_ptr_equal(launched_stream, stream);
	good = true;
end:
	if (built) destroy(built);
	if (copy) destroy(copy);
	if (loaded_again) destroy(loaded_again);
	if (attached) destroy(attached);
	assert_int_equal(n_open, 0);
	return good;
}

static void test_a_life(void **state)
{
	(void)state;
	for (tactics = 1; tactics < 4; tactics += 2) {
		assert_true(live(TRT_LINEAR, 2 * 6 * 5 * 7));
		assert_true(live(TRT_HWC, 2 * 6 * 5 * 7));
		assert_true(live(TRT_HWC8, 2 * 8 * 5 * 7));
		assert_true(live(TRT_CHW32, 2 * 32 * 5 * 7));
		assert_true(live(TRT_DHWC8, 8 * 6 * 5 * 7));
	}
	tactics = 1;
	launches = 0;
	launch_status = OG_UNSUPPORTED;
	assert_false(live(TRT_LINEAR, 2 * 6 * 5 * 7));
	assert_int_equal(launches, 1);
	assert_string_equal(said, "opgraft: OgSwish(beta=2): the launch failed");
	launch_status = OG_OK;
	no_driver = true;            /* engines are built without one */
	assert_false(live(TRT_LINEAR, 2 * 6 * 5 * 7));
	assert_string_equal(said, "opgraft: OgSwish(beta=2): there is no driver");
	no_driver = false;
}

static void test_what_the_device_can_not(void **state)
{
	const int64_t dims[1] = { 99 }, dynamic[1] = { -1 }, huge[2] = { INT64_MAX / 2, 8 };
	trt_range r[2] = { range(TRT_FLOAT, TRT_LINEAR, 1, dims), range(TRT_FLOAT, TRT_LINEAR, 1, dims) };
	(void)state;
	trt_plugin *p = make("OgSwish", 0, NULL, TRT_PHASE_BUILD);
	trt_build *b = build_of(p);
	trt_runtime *run = runtime_of(p);
	assert_int_not_equal(b->table->configurePlugin(b, &r[0], 1, &r[1], 1), 0);
	assert_non_null(strstr(said, "no CUDA kernel for these types and shapes"));
	r[0] = range(TRT_FLOAT, TRT_LINEAR, 1, dynamic);
	assert_int_not_equal(b->table->configurePlugin(b, &r[0], 1, &r[1], 1), 0);
	assert_non_null(strstr(said, "dimension 0 is not known"));
	r[0] = range(TRT_FLOAT, TRT_LINEAR, 2, huge);
	assert_int_not_equal(b->table->configurePlugin(b, &r[0], 1, &r[1], 1), 0);
	assert_non_null(strstr(said, "too many elements"));
	r[0] = range(99, TRT_LINEAR, 1, dims);
	assert_int_not_equal(b->table->configurePlugin(b, &r[0], 1, &r[1], 1), 0);
	assert_int_not_equal(run->table->onShapeChange(run, &r[0].desc, 1, &r[1].desc, 1), 0);
	assert_non_null(strstr(said, "before the plugin is attached"));
	assert_int_not_equal(run->table->enqueue(run, &r[0].desc, &r[1].desc, (const void *[]){ r }, (void *[]){ r }, NULL, NULL), 0);
	assert_non_null(strstr(said, "before its shapes are set"));
	destroy(p);
}

/* Every allocation of a life fails once: a refusal, nothing else. */
static void test_memory_runs_out(void **state)
{
	uint64_t n = 1;
	(void)state;
	for (;; n++) {
		base_fail_allocation(n);
		bool good = live(TRT_HWC8, 2 * 8 * 5 * 7);
		base_fail_allocation(0);
		if (good) break;
		assert_true(n < 1000);
	}
	assert_true(n > 8);
}

static void *clone_and_run(void *arg)
{
	for (int k = 0; k < 2000; k++) {
		trt_plugin *p = arg, *made = p->table->clone(p);
		trt_plugin *attached = runtime_of(made)->table->attachToContext(runtime_of(made), NULL);
		const trt_fields *fields = runtime_of(attached)->table->getFieldsToSerialize(runtime_of(attached));
		assert_int_equal(*(const float *)fields->fields[0].data, 2);
		destroy(made);
		destroy(attached);
	}
	return NULL;
}

static void test_clones_in_threads(void **state)
{
	const float beta = 2;
	trt_field field = { "beta", &beta, TRT_FIELD_FLOAT32, 1 };
	pthread_t thread[4];
	(void)state;
	trt_plugin *p = make("OgSwish", 1, &field, TRT_PHASE_RUNTIME);
	for (int k = 0; k < 4; k++) assert_int_equal(pthread_create(&thread[k], NULL, clone_and_run, p), 0);
	for (int k = 0; k < 4; k++) pthread_join(thread[k], NULL);
	destroy(p);
	assert_int_equal(n_open, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_forms_of_logger), cmocka_unit_test(test_creators), cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_fields_are_checked), cmocka_unit_test(test_fields_round_trip), cmocka_unit_test(test_texts),
		cmocka_unit_test(test_shapes), cmocka_unit_test(test_shapes_that_are_wrong), cmocka_unit_test(test_types),
		cmocka_unit_test(test_formats), cmocka_unit_test(test_a_life), cmocka_unit_test(test_what_the_device_can_not),
		cmocka_unit_test(test_memory_runs_out), cmocka_unit_test(test_clones_in_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
