/* convert_conv.c -- convolutions: ONNX's have channels in front, so an input with channels behind is turned, and the
 * result turned back; optimize/transposes.c then takes these turns out of the network. */
#include "tf/convert_window.h"

static bool is_depthwise(const tf_node *n) { return !strcmp(n->op, "DepthwiseConv2dNative"); }

bool convert_is_convolution(const tf_node *n)
{
	return is_depthwise(n) || !strcmp(n->op, "Conv2D") || !strcmp(n->op, "Conv3D");
}

/* [spatial..., in, out] to [out, in, spatial...]; of a depthwise one [spatial..., in, times] to [in * times, 1,
 * spatial...]. */
static graph_value *turn_filter(convert *c, const tf_node *n, graph_value *filter, int axes)
{
	int perm[OG_MAX_RANK];
	bool depthwise = is_depthwise(n);
	if (convert_rank(c, filter) != axes + 2)
		return convert_wrong(c, "its filter has %d dimensions, not %d", filter->rank, axes + 2);
	perm[0] = depthwise ? axes : axes + 1;
	perm[1] = depthwise ? axes + 1 : axes;
	for (int k = 0; k < axes; k++) perm[2 + k] = k;
	graph_value *turned = convert_transpose(c, filter, perm, axes + 2);
	if (!depthwise || c->status != OG_OK) return turned;
	og_dim dims[OG_MAX_RANK] = { GRAPH_DIM_UNKNOWN, 1 };
	for (int k = 0; k < axes; k++) {
		dims[2 + k] = filter->dims[k];
		if (dims[2 + k] < 0) return convert_refuse(c, "the size of its filter is not known");
	}
	return convert_reshape_to(c, turned, dims, axes + 2);
}

/* How many groups: each has as many input channels as the filter. */
static int64_t groups_of(convert *c, const tf_node *n, const graph_value *x, const graph_value *filter)
{
	int64_t channels = x->dims[1], each = is_depthwise(n) ? 1 : filter->dims[filter->rank - 2];
	if (c->status != OG_OK) return 1;
	if (channels < 0) channels = is_depthwise(n) ? filter->dims[filter->rank - 2] : each;
	if (channels < 0 || each < 1 || channels % each) {
		convert_wrong(c, "an input of %lld channels does not fit a filter for %lld", (long long)channels, (long long)each);
		return 1;
	}
	return channels / each;
}

graph_value *convert_convolution(convert *c, const tf_node *n, graph_value *x, graph_value *filter, const convert_window *w)
{
	graph_value *turned = turn_filter(c, n, filter, w->axes);
	int64_t groups = groups_of(c, n, x, filter);
	BEGIN("Conv", x, turned);
	if (groups != 1) convert_set_int(c, "group", groups);
	convert_window_set(c, w);
	return convert_done(c);
}

/* The input of a Pad with zeros, spatial axes only, when that is what a convolution reads: its padding then does
 * the same. */
static graph_value *without_pad(convert *c, tf_value from, convert_window *w)
{
	const tf_node *pad = from.node;
	bool zeros = !strcmp(pad->op, "Pad");
	if (!strcmp(pad->op, "PadV2") && pad->n_in == 3) {
		const og_tensor *value = tf_constant(pad->in[2]);
		zeros = value && og_count(value) == 1 && graph_tensor_double(value, 0) == 0;
	}
	const og_tensor *amounts = zeros && pad->n_in > 1 ? tf_constant(pad->in[1]) : NULL;
	if (!amounts || og_count(amounts) != 2 * (w->axes + 2)) return convert_value(c, from);
	int first = w->last ? 1 : 2;
	for (int d = 0; d < w->axes + 2; d++) {
		int64_t before = graph_tensor_int(amounts, 2 * d), after = graph_tensor_int(amounts, 2 * d + 1);
		bool spatial = d >= first && d < first + w->axes;
		if (before < 0 || after < 0 || before > INT32_MAX || after > INT32_MAX || (!spatial && (before || after)))
			return convert_value(c, from);
	}
	for (int k = 0; k < w->axes; k++) {
		w->before[k] = graph_tensor_int(amounts, 2 * (first + k));
		w->after[k] = graph_tensor_int(amounts, 2 * (first + k) + 1);
	}
	return convert_value(c, pad->in[0]);
}

static graph_value *convolution(convert *c)
{
	convert_window w;
	graph_value *x = convert_in(c, 0), *filter = convert_in(c, 1);
	convert_window_begin(c, &w, c->node, convert_rank(c, x));
	if (c->status != OG_OK || convert_rank(c, filter) != w.axes + 2)
		return convert_wrong(c, "its filter has %d dimensions", filter->rank);
	for (int k = 0; k < w.axes; k++) {
		w.kernel[k] = filter->dims[k];
		if (w.kernel[k] < 0 || w.kernel[k] > INT32_MAX) return convert_refuse(c, "the size of its filter is not known");
	}
	x = without_pad(c, c->node->in[0], &w);
	if (w.last) x = convert_channels_first(c, x);
	convert_window_pad(c, &w, c->node, x);
	x = convert_convolution(c, c->node, x, filter, &w);
	return w.last ? convert_channels_last(c, x) : x;
}

graph_value *convert_bias_into(convert *c, const tf_node *from, graph_value *x, graph_value *bias)
{
	graph_node *n = x->producer;
	if (c->status != OG_OK || !convert_is_convolution(from) || convert_readers(from) != 1) return NULL;
	if (n && !strcmp(n->type, "Transpose")) n = n->in[0]->producer;
	if (!n || strcmp(n->type, "Conv") || n->n_in != 2 || !bias->constant || bias->rank != 1) return NULL;
	if (n->in[1]->rank < 1 || n->in[1]->dims[0] != bias->dims[0]) return NULL;
	convert_failed(c, graph_set_input(n, 2, bias));
	convert_take_over(c, x);
	return c->status == OG_OK ? x : c->none;
}

/* ---- transposed ---- */

/* Padding, and what is added behind, so that the result has the wanted size. */
static void transposed_pads(convert *c, convert_window *w, const graph_value *x, const og_dim *wanted, int64_t *added)
{
	const char *padding = convert_string(c, c->node, "padding", "VALID");
	if (strcmp(padding, "SAME") && strcmp(padding, "VALID")) {
		convert_refuse(c, "padding %s of a transposed convolution can't be taken", padding);
		return;
	}
	for (int k = 0; k < w->axes; k++) {
		int64_t reach = (w->kernel[k] - 1) * w->dilation[k] + 1, size = x->dims[2 + k], total;
		added[k] = 0;
		if (size >= 0 && wanted[k] >= 0) {
			total = (size - 1) * w->stride[k] + reach - wanted[k];
		} else if (!strcmp(padding, "SAME")) {       /* the input's size times the stride, as far as anybody can say */
			total = reach - w->stride[k];
		} else {
			total = 0;
		}
		if (total < 0) added[k] = -total;
		if (total < 0) total = 0;
		w->before[k] = strcmp(padding, "SAME") ? 0 : total / 2;
		w->after[k] = total - w->before[k];
	}
}

/* The gradient of a convolution as an op of its own: input sizes, filter [spatial..., out, in], x. */
static graph_value *transposed(convert *c)
{
	int64_t added[CONVERT_AXES];
	og_dim sizes[CONVERT_MAX_LIST], wanted[CONVERT_AXES];
	int n, perm[OG_MAX_RANK];
	bool any = false;
	convert_window w;
	graph_value *x = convert_in(c, 2), *filter = convert_in(c, 1), *shape = convert_in(c, 0);
	convert_window_begin(c, &w, c->node, convert_rank(c, x));
	if (w.last) x = convert_channels_first(c, x);
	if (c->status != OG_OK || convert_rank(c, filter) != w.axes + 2)
		return convert_wrong(c, "its filter has %d dimensions", filter->rank);
	bool known = convert_sizes(shape, sizes, &n) && (n == w.axes + 2 || n == w.axes);
	for (int k = 0; k < w.axes; k++) {
		int first = known && n == w.axes ? 0 : w.last ? 1 : 2;
		w.kernel[k] = filter->dims[k];
		wanted[k] = known ? sizes[first + k] : GRAPH_DIM_UNKNOWN;
		perm[2 + k] = k;
		if (w.kernel[k] < 0 || w.kernel[k] > INT32_MAX) return convert_refuse(c, "the size of its filter is not known");
	}
	perm[0] = w.axes + 1;
	perm[1] = w.axes;
	transposed_pads(c, &w, x, wanted, added);
	BEGIN("ConvTranspose", x, convert_transpose(c, filter, perm, w.axes + 2));
	convert_window_set(c, &w);
	for (int k = 0; k < w.axes; k++) any = any || added[k];
	if (any) convert_set_ints(c, "output_padding", added, w.axes);
	x = convert_done(c);
	return w.last ? convert_channels_last(c, x) : x;
}

const convert_op convert_conv_ops[] = {
	{ "Conv2D", .build = convolution }, { "Conv2DBackpropInput", .build = transposed },
	{ "Conv3D", .build = convolution }, { "Conv3DBackpropInputV2", .build = transposed },
	{ "DepthwiseConv2dNative", .build = convolution }, { .type = NULL },
};
