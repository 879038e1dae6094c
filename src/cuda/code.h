/* code.h -- the CUDA C program of a plan: the texts of its ops once, and a kernel for each way in which a step runs. */
#ifndef CUDA_CODE_H
#define CUDA_CODE_H

#include "backend/backend.h"

enum { CUDA_NAME = 20 };                 /* bytes of a kernel's name, its NUL included */

typedef struct cuda_code cuda_code;
cuda_code *cuda_code_create(arena *);    /* NULL: no memory */
/* Includes one header of ours, a constant string, before the op files. */
void cuda_code_include(cuda_code *, const char *header);
/* Includes an op file, once. */
og_status cuda_code_op(cuda_code *, const og_op *);
/* Adds a kernel and gives it a name, made of its text, so that the same text has the same name in every build. quick:
 * all that it stores has 16 bits, so that its formulas need few digits (text/fast.cuh). `body` begins behind the name, with the arguments; `bounds` stands in front of it ("" or
 * "__launch_bounds__(256)"). code NULL: the name only. */
og_status cuda_code_kernel(char name[CUDA_NAME], cuda_code *, bool quick, const char *bounds, const char *body);
/* The name of the program that a kernel of this name is in. */
const char *cuda_code_program_of(const char *kernel);
/* Adds a program of its own, compiled with these options (which must outlive the code) for `target` ("90a"); its one
 * kernel, "igemm", is given a name, made of the text. code NULL: the name only. */
og_status cuda_code_program(char name[CUDA_NAME], cuda_code *, const char *source, const char *const *options,
                            int n_options, const char *target);
/* Adds one step of a program as a statement over floats: "r2 = swish(r0, __int_as_float(0x3f800000));\n". */
void cuda_put_step(text *, const program_step *);
/* Adds text in which every '$' stands for the next of the numbers. */
#define CUDA_PUT(t, with, ...) \
	cuda_put(t, with, sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), (const int64_t[]){ __VA_ARGS__ })
void cuda_put(text *, const char *with, size_t n, const int64_t *numbers);
/* Compiles for an architecture ("90a"); *image, all programs' machine code as image.h has it, lies in the arena. */
og_status cuda_code_compile(cuda_code *, arena *, const char *arch, const void **image, size_t *bytes);

#endif
