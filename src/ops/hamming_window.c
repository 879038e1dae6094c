/* HammingWindow: a raised cosine that ends above 0. */
#include "ops/signal.h"

#if OP_BASE
static og_status hamming_window_eval(const og_call *c) { return signal_window(c, 25.0 / 46.0, 21.0 / 46.0, 0.0); }
#endif

OP(hamming_window, .name = "HammingWindow", .since = 17, .doc = "A raised cosine of a length that ends above 0.",
   .inputs = "size:I!", .outputs = "output:T", .types = "I=i32 i64", SIGNAL_ATTRS, .shape = signal_shape,
   .eval = hamming_window_eval)
