/* op.c -- opgraft op: the operator kit. One file a part: op_new.c, op_build.c, op_test.c, op_list.c, op_bench.c. */
#include "cli.h"

#define X(name) extern const cli_verb cli_verb_op_##name;
CLI_OP_PARTS(X)
#undef X

static const cli_verb *const parts[] = {
#define X(name) &cli_verb_op_##name,
	CLI_OP_PARTS(X)
#undef X
	NULL
};

const cli_verb cli_verb_op = {
	.name = "op", .usage = "new|build|test|list|bench ...", .what = "write, build and test operators of your own", .parts = parts,
	.more = "An operator is one C file. It becomes one library that TensorRT, ONNX Runtime\n"
	        "and Opgraft load.\n\n"
	        "Examples:\n"
	        "  opgraft op new Wave -o wave.c\n"
	        "  opgraft op build wave.c -o libwave.so\n"
	        "  opgraft op test libwave.so\n"
	        "  opgraft graft net.onnx -o out.onnx --map Relu=Wave --ops libwave.so\n",
};
