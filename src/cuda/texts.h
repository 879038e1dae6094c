/* texts.h -- files of device code as they were when this library was built; the headers that it includes. */
#ifndef CUDA_TEXTS_H
#define CUDA_TEXTS_H

#ifndef CUDA_TEXT_ROOT
#define CUDA_TEXT_ROOT ""
#endif
/* A file, by its path from the repository's root, as a string; in the library, its comments are taken out. */
#define CUDA_EMBED(symbol, path) \
	__asm__(".section .rodata\n" #symbol ": .incbin \"" CUDA_TEXT_ROOT path "\"\n.byte 0\n.text\n"); \
	extern const char symbol[] __attribute__((visibility("hidden")));

enum { CUDA_TEXTS = 9 };
extern const char *const cuda_text_name[CUDA_TEXTS], *const cuda_text[CUDA_TEXTS];

#endif
