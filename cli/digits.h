/* digits.h -- handwritten digits: IDX files, as MNIST has them, and the pixels that LeNet-5 takes. */
#ifndef DIGITS_H
#define DIGITS_H

#include "cli.h"

enum { DIGITS_SIDE = 28, DIGITS_PIXELS = DIGITS_SIDE * DIGITS_SIDE, DIGITS_CLASSES = 10 };

/* Images of side x side bytes, row by row: 8 x 8 with 0 for paper and 16 for ink (models/README.md), or 28 x 28 with
 * 0 and 255 (MNIST). Labels are 0 to 9. */
typedef struct digits {
	int n, side;
	uint8_t *images, *labels;
} digits;

/* Reads both files. OG_MISSING or OG_BAD_FILE with the sentence told; *out is then empty. */
og_status digits_load(digits *out, const char *images, const char *labels);
void digits_free(digits *);
/* Keeps the images of odd index. */
void digits_keep_odd(digits *);
/* Image k as the networks take it, 0 paper to 1 ink; 8 x 8 is enlarged to 20 x 20 inside a frame of 4. */
void digits_pixels(const digits *, int k, float pixels[DIGITS_PIXELS]);

#endif
