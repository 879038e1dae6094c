/* BlackmanWindow: a raised cosine with a second one of half its period. */
#include "ops/signal.h"

#if OP_BASE
static og_status blackman_window_eval(const og_call *c) { return signal_window(c, 0.42, 0.5, 0.08); }
#endif

OP(blackman_window, .name = "BlackmanWindow", .since = 17, .doc = "A window of two cosines of a length.",
   .inputs = "size:I!", .outputs = "output:T", .types = "I=i32 i64", SIGNAL_ATTRS, .shape = signal_shape,
   .eval = blackman_window_eval)
