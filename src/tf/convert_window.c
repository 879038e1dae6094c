#include "tf/convert_window.h"

void convert_window_spatial(convert *c, const convert_window *w, const char *what, const int64_t *list, int n, int64_t *out)
{
	int first = w->last ? 1 : 2, batch = 0, channels = w->last ? w->axes + 1 : 1;
	for (int k = 0; k < w->axes; k++) out[k] = 1;
	if (!n) return;
	if (n != w->axes + 2) {
		convert_wrong(c, "its attribute '%s' has %d entries for %d dimensions", what, n, w->axes + 2);
		return;
	}
	if (list[batch] != 1 || list[channels] != 1)
		convert_refuse(c, "its '%s' goes over samples or channels, which ONNX has no word for", what);
	for (int k = 0; k < w->axes; k++) {
		out[k] = list[first + k];
		if (out[k] < 1 || out[k] > INT32_MAX)
			convert_wrong(c, "its attribute '%s' has entry %lld", what, (long long)out[k]);
	}
}

void convert_window_begin(convert *c, convert_window *w, const tf_node *n, int rank)
{
	int64_t list[CONVERT_MAX_LIST];
	const char *format = convert_string(c, n, "data_format", rank == 5 ? "NDHWC" : "NHWC");
	size_t length = strlen(format);
	*w = (convert_window){ .axes = 1 };
	if (c->status != OG_OK) return;
	w->last = length && format[length - 1] == 'C';
	if (rank < 3 || rank > CONVERT_AXES + 2 || (int)length != rank || (!w->last && format[1] != 'C')) {
		convert_refuse(c, "layout %s on an input of %d dimensions can't be taken", format, rank);
		return;
	}
	w->axes = rank - 2;
	convert_window_spatial(c, w, "strides", list, convert_int_list(c, n, "strides", list), w->stride);
	convert_window_spatial(c, w, "dilations", list, convert_int_list(c, n, "dilations", list), w->dilation);
	for (int k = 0; k < w->axes; k++) w->kernel[k] = 1;
}

/* [before, after] of each dimension, by the attribute explicit_paddings. */
static void pad_explicitly(convert *c, convert_window *w, const tf_node *n)
{
	int64_t list[CONVERT_MAX_LIST];
	int count = convert_int_list(c, n, "explicit_paddings", list), first = w->last ? 1 : 2;
	if (count != 2 * (w->axes + 2)) {
		convert_wrong(c, "its attribute 'explicit_paddings' has %d entries for %d dimensions", count, w->axes + 2);
		return;
	}
	for (int k = 0; k < w->axes; k++) {
		int64_t before = list[2 * (first + k)], after = list[2 * (first + k) + 1];
		if (before < 0 || after < 0 || before > INT32_MAX || after > INT32_MAX) {
			convert_wrong(c, "its attribute 'explicit_paddings' has an entry outside 0 to %d", INT32_MAX);
			return;
		}
		w->before[k] += before;
		w->after[k] += after;
	}
}

/* As many windows as strides fit, and as much padding as these need: one more behind than in front where it is
 * odd. It does not depend on the size where the stride is 1. */
static void pad_same(convert *c, convert_window *w, const graph_value *x)
{
	bool dilated = false, padded = false;
	for (int k = 0; k < w->axes; k++) {
		int64_t reach = (w->kernel[k] - 1) * w->dilation[k] + 1, stride = w->stride[k];
		int64_t size = x->rank > 2 + k ? x->dims[2 + k] : -1;
		dilated = dilated || w->dilation[k] != 1;
		padded = padded || w->before[k] || w->after[k];
		if (stride > 1 && size < 0) {
			w->same = true;
			continue;
		}
		if (size >= 0) size += w->before[k] + w->after[k];
		int64_t total = stride == 1 ? reach - 1 : ((size + stride - 1) / stride - 1) * stride + reach - size;
		if (total < 0) total = 0;
		w->before[k] += total / 2;
		w->after[k] += total - total / 2;
	}
	if (w->same && (dilated || padded))
		convert_refuse(c, "padding SAME with strides and %s depends on the size of the input; give it with --input NAME:SHAPE",
		               dilated ? "dilations" : "a Pad before it");
}

void convert_window_pad(convert *c, convert_window *w, const tf_node *n, const graph_value *x)
{
	const char *padding = convert_string(c, n, "padding", "VALID");
	if (!strcmp(padding, "SAME")) pad_same(c, w, x);
	else if (!strcmp(padding, "EXPLICIT")) pad_explicitly(c, w, n);
	else if (strcmp(padding, "VALID")) convert_refuse(c, "padding %s is not known", padding);
}

void convert_window_set(convert *c, const convert_window *w)
{
	int64_t pads[2 * CONVERT_AXES];
	bool dilated = false, padded = false;
	for (int k = 0; k < w->axes; k++) {
		pads[k] = w->before[k];
		pads[w->axes + k] = w->after[k];
		dilated = dilated || w->dilation[k] != 1;
		padded = padded || pads[k] || pads[w->axes + k];
	}
	convert_set_ints(c, "kernel_shape", w->kernel, w->axes);
	convert_set_ints(c, "strides", w->stride, w->axes);
	if (dilated) convert_set_ints(c, "dilations", w->dilation, w->axes);
	if (w->same) convert_set_string(c, "auto_pad", "SAME_UPPER");
	else if (padded) convert_set_ints(c, "pads", pads, 2 * w->axes);
}
