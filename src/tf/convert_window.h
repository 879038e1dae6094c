/* convert_window.h -- where the windows of convolutions and pools lie, as TensorFlow says it and as ONNX does. */
#ifndef CONVERT_WINDOW_H
#define CONVERT_WINDOW_H

#include "tf/convert.h"

enum { CONVERT_AXES = 3 };

/* Spatial axes in order. */
typedef struct convert_window {
	int axes;                            /* 1 to 3 */
	bool last;                           /* channels are the last dimension, not the second */
	int64_t kernel[CONVERT_AXES], stride[CONVERT_AXES], dilation[CONVERT_AXES];
	int64_t before[CONVERT_AXES], after[CONVERT_AXES];       /* padding, if it is known */
	bool same;                           /* it depends on sizes that are known only when it runs */
} convert_window;

/* Layout, strides and dilations of a node that reads a value of that rank; kernel sizes are 1, there is no padding. */
void convert_window_begin(convert *, convert_window *, const tf_node *, int rank);
/* Fills the spatial entries of a list with one entry for each dimension. `list` of n 0: all 1. */
void convert_window_spatial(convert *, const convert_window *, const char *what, const int64_t *list, int n, int64_t *out);
/* Padding by the node's attributes for an input of that size, [N, C, spatial...], with kernel sizes set; what is
 * there already was put around the input before. */
void convert_window_pad(convert *, convert_window *, const tf_node *, const graph_value *x);
/* Attributes of the node begun. */
void convert_window_set(convert *, const convert_window *);

/* The convolution of that node on x [N, C, spatial...] with these windows; the result has that layout. */
graph_value *convert_convolution(convert *, const tf_node *, graph_value *x, graph_value *filter, const convert_window *);
/* True for the kinds that convert_convolution knows. */
bool convert_is_convolution(const tf_node *);

#endif
