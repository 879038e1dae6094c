/* HannWindow: one period of a raised cosine, from 0 to 1 and back. */
#include "ops/signal.h"

#if OP_BASE
static og_status hann_window_eval(const og_call *c) { return signal_window(c, 0.5, 0.5, 0.0); }
#endif

OP(hann_window, .name = "HannWindow", .since = 17, .doc = "A raised cosine of a length.",
   .inputs = "size:I!", .outputs = "output:T", .types = "I=i32 i64", SIGNAL_ATTRS, .shape = signal_shape,
   .eval = hann_window_eval)
