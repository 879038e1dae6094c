#include "cli.h"
static int run(const cli_args *a) { return cli_usage(a, "soon"); }
const cli_verb cli_verb_demo = { .name = "demo", .usage = "lenet5", .what = "the whole story on real digits", .run = run };
