/* texts.h -- the headers that device code includes, as they were when this library was built. */
#ifndef CUDA_TEXTS_H
#define CUDA_TEXTS_H

enum { CUDA_TEXTS = 8 };
extern const char *const cuda_text_name[CUDA_TEXTS], *const cuda_text[CUDA_TEXTS];

#endif
