/* fuzz_tf.c -- libFuzzer target: any bytes as a file of TensorFlow. What ends as the index of a checkpoint is one, what begins
 * as saved_model.pb does is that, all else is a GraphDef as binary or text. Checksums of an index are set right first, so that
 * what is tried is the reader behind them. A graph that was read is flat, in order, and its tensors can be read to the end. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tf/tf_private.h"

static const uint8_t magic[8] = { 0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb };
enum { FOOTER = 48, TRAILER = 5 };

static void must(bool yes)
{
	if (!yes) abort();
}

static void touch(const og_tensor *t)
{
	static volatile uint8_t sum;
	int64_t count;
	must(base_count(t->dims, t->rank, &count));
	if (t->dtype == OG_NONE) return;
	size_t bytes = t->dtype == OG_STRING ? (size_t)count * sizeof(base_bytes) : base_dtype_span(t->dtype, (uint64_t)count);
	for (size_t k = 0; k < bytes; k += k < 4096 ? 1 : 4096) sum ^= ((const uint8_t *)t->data)[k];
}

static void check_node(const tf_graph *g, size_t k)
{
	const tf_node *n = &g->nodes[k];
	must(*n->name && *n->op && tf_find(g, n->name) == n);
	for (int i = 0; i < n->n_in; i++) must(n->in[i].node >= g->nodes && n->in[i].node < n && n->in[i].output >= 0);
	for (int i = 0; i < n->n_attrs; i++) {
		const tf_attr *a = &n->attrs[i];
		must(a->is_list || a->n <= 1);
		for (size_t e = 0; a->kind == TF_TENSOR && e < a->n; e++) touch(&a->tensors[e]);
		for (size_t e = 0; a->kind == TF_STRING && e < a->n; e++) must(a->strings[e].p[a->strings[e].n] == '\0');
	}
}

static void read_graph(const uint8_t *data, size_t n)
{
	tf_graph *g;
	og_model *m = graph_model_create();
	must(m);
	base_fail(OG_OK, "%s", "");
	tf_message message = n > 0 && data[0] == 0x08 ? TF_M_SAVED_MODEL : TF_M_GRAPH;
	if (tf_read_bytes(&g, m, "input", (base_bytes){ data, n }, message, NULL, NULL) == OG_OK) {
		for (size_t k = 0; k < g->n_nodes; k++) check_node(g, k);
		for (int k = 0; k < g->n_inputs; k++) must(strcmp(g->inputs[k].value.node->op, "Placeholder") == 0);
		must(g->n_outputs > 0);
	} else {
		must(g == NULL && *base_error() != '\0');
	}
	tf_graph_destroy(g);
	graph_model_destroy(m);
}

/* The place of a block, whose checksum is set right; false when it passes the end. */
static bool mend(uint8_t *data, size_t n, base_bytes place, const tf_crc *crc, base_bytes *block)
{
	uint64_t offset, size;
	if (!wire_varint(&place, &offset) || !wire_varint(&place, &size)) return false;
	if (offset > n || size > n - offset || n - offset - size < TRAILER) return false;
	*block = (base_bytes){ data + offset, (size_t)size };
	uint32_t sum = tf_crc_masked(tf_crc32c(crc, (base_bytes){ data + offset, (size_t)size + 1 }));
	memcpy(data + offset + size + 1, &sum, sizeof sum);
	return true;
}

/* All blocks that the index names, itself last, since blocks may lie over each other. */
static void mend_all(uint8_t *data, size_t n, const tf_crc *crc)
{
	uint64_t shared, own, size;
	base_bytes places = { data + n - FOOTER, FOOTER }, index, block;
	if (!wire_varint(&places, &size) || !wire_varint(&places, &size) || !mend(data, n, places, crc, &index)) return;
	while (wire_varint(&index, &shared) && wire_varint(&index, &own) && wire_varint(&index, &size)) {
		if (own > index.n || size > index.n - own) break;
		mend(data, n, (base_bytes){ index.p + own, (size_t)size }, crc, &block);
		index.p += own + size;
		index.n -= (size_t)(own + size);
	}
	mend(data, n, places, crc, &index);
}

static void write_file(const char *folder, const char *name, const uint8_t *data, size_t n)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "wb");
	must(f && fwrite(data, 1, n, f) == n && fclose(f) == 0);
}

static const char *folder(void)
{
	static char name[] = "/tmp/fuzz_tf-XXXXXX";
	static const char *made;
	if (!made) made = mkdtemp(name);
	must(made != NULL);
	return made;
}

static void read_index(const uint8_t *data, size_t n)
{
	char prefix[256];
	tf_bundle *b;
	tf_crc crc;
	uint8_t *copy = malloc(n);
	tf_graph g = { .a = arena_create() };
	tf_reader r = { .g = &g, .holder = graph_model_create(), .temporary = arena_create() };
	must(copy && g.a && r.holder && r.temporary);
	memcpy(copy, data, n);
	tf_crc_prepare(&crc);
	mend_all(copy, n, &crc);
	write_file(folder(), "v.index", copy, n);
	write_file(folder(), "v.data-00000-of-00001", copy, n);
	snprintf(prefix, sizeof prefix, "%s/v", folder());
	if (tf_bundle_open(&b, &r, prefix) == OG_OK) {
		static const char *const keys[] = { "layer/w", "table", "w", "_CHECKPOINTABLE_OBJECT_GRAPH" };
		static const char *const slices[] = { "", "200 3 0,67:-", "200 3 3,100:1,1", "4 3 -:-" };
		base_bytes string;
		for (size_t k = 0; k < 16; k++) {
			og_tensor t;
			if (tf_bundle_read(b, &t, keys[k % 4], slices[k / 4]) == OG_OK) touch(&t);
		}
		(void)tf_bundle_string(b, &string, keys[3]);
		tf_bundle_close(b);
	} else {
		must(b == NULL);
	}
	graph_model_destroy(r.holder);
	arena_destroy(r.temporary);
	arena_destroy(g.a);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n >= FOOTER && memcmp(data + n - sizeof magic, magic, sizeof magic) == 0) read_index(data, n);
	else read_graph(data, n);
	return 0;
}
