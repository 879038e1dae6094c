/* digits.c -- handwritten digits: IDX files, as MNIST has them, and the pixels that LeNet-5 takes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "digits.h"

enum { SMALL_SIDE = 8, SMALL_INK = 16, FRAME = 4, MAX_DIGITS = 1 << 20 };

/* ---- IDX files: 0, 0, 8 for bytes, rank, the sizes as big-endian u32, then the bytes ------------- */

static int64_t big_endian(const uint8_t *p) { return (int64_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }

/* Reads what is behind a header that fits the size of the file. */
static og_status read_body(FILE *f, const char *path, int rank, int64_t dims[], int64_t file_size, uint8_t **out)
{
	uint8_t head[16];
	size_t n_head = 4 + 4 * (size_t)rank;
	if (fread(head, 1, n_head, f) != n_head) return cli_tell(OG_BAD_FILE, "%s is too short to be an IDX file", path);
	if (head[0] == 0x1f && head[1] == 0x8b) return cli_tell(OG_BAD_FILE, "%s is compressed: gunzip it first", path);
	if (head[0] || head[1] || head[2] != 8 || head[3] != rank)
		return cli_tell(OG_BAD_FILE, "%s is not an IDX file of bytes with %d dimension%s", path, rank,
		                rank == 1 ? "" : "s");
	int64_t size = 1;
	for (int i = 0; i < rank; i++) {
		dims[i] = big_endian(head + 4 + 4 * i);
		if (dims[i] < 1 || dims[i] > (i ? DIGITS_SIDE : MAX_DIGITS))
			return cli_tell(OG_BAD_FILE, "%s: its header gives dimension %d as %lld", path, i + 1, (long long)dims[i]);
		size *= dims[i];
	}
	if (file_size != (int64_t)n_head + size)
		return cli_tell(OG_BAD_FILE, "%s: its header tells of %lld bytes, and the file has %lld", path,
		                (long long)((int64_t)n_head + size), (long long)file_size);
	*out = malloc((size_t)size);
	if (!*out) return cli_tell(OG_NO_MEMORY, "%s: there is no memory for it", path);
	if (fread(*out, 1, (size_t)size, f) != (size_t)size) return cli_tell(OG_BAD_FILE, "%s cannot be read whole", path);
	return OG_OK;
}

static og_status read_idx(const char *path, int rank, int64_t dims[], uint8_t **out)
{
	struct stat s;
	FILE *f = fopen(path, "rb");
	if (!f) return cli_tell(OG_MISSING, "%s cannot be opened: %s", path, strerror(errno));
	og_status status = fstat(fileno(f), &s) || !S_ISREG(s.st_mode) ? cli_tell(OG_BAD_FILE, "%s is not a file", path)
	                                                                : read_body(f, path, rank, dims, s.st_size, out);
	fclose(f);
	return status;
}

/* ---- digits ---------------------------------------------------------------------------------- */

static og_status load(digits *d, const char *images, const char *labels)
{
	int64_t dims[3], n;
	og_status status = read_idx(images, 3, dims, &d->images);
	if (status == OG_OK) status = read_idx(labels, 1, &n, &d->labels);
	if (status != OG_OK) return status;
	if (dims[1] != dims[2] || (dims[1] != SMALL_SIDE && dims[1] != DIGITS_SIDE))
		return cli_tell(OG_BAD_FILE, "%s has images of %lld x %lld; 8 x 8 or 28 x 28 is needed", images,
		                (long long)dims[1], (long long)dims[2]);
	if (dims[0] != n)
		return cli_tell(OG_BAD_FILE, "%s has %lld images, and %s has %lld labels", images, (long long)dims[0], labels,
		                (long long)n);
	d->n = (int)n;
	d->side = (int)dims[1];
	size_t bytes = (size_t)(dims[0] * dims[1] * dims[2]);
	for (size_t i = 0; d->side == SMALL_SIDE && i < bytes; i++)
		if (d->images[i] > SMALL_INK)
			return cli_tell(OG_BAD_FILE, "%s: image %zu has a pixel of %d; %d is ink", images,
			                i / (SMALL_SIDE * SMALL_SIDE), d->images[i], SMALL_INK);
	for (int i = 0; i < d->n; i++)
		if (d->labels[i] >= DIGITS_CLASSES) return cli_tell(OG_BAD_FILE, "%s: label %d is %d", labels, i, d->labels[i]);
	return OG_OK;
}

og_status digits_load(digits *out, const char *images, const char *labels)
{
	*out = (digits){ 0 };
	og_status status = load(out, images, labels);
	if (status != OG_OK) digits_free(out);
	return status;
}

void digits_free(digits *d)
{
	free(d->images);
	free(d->labels);
	*d = (digits){ 0 };
}

void digits_keep_odd(digits *d)
{
	size_t bytes = (size_t)d->side * (size_t)d->side;
	for (int k = 1; k < d->n; k += 2) {
		memmove(d->images + (size_t)(k / 2) * bytes, d->images + (size_t)k * bytes, bytes);
		d->labels[k / 2] = d->labels[k];
	}
	d->n /= 2;
}

/* Pixel (r, c) of the enlarged image times 1600, in integers, so that every program gets the same bits: bilinear,
 * half-pixel centres, clamped at the edge. */
static int enlarged(const uint8_t *image, int r, int c)
{
	const int last = 10 * (SMALL_SIDE - 1);
	if (r < FRAME || r >= DIGITS_SIDE - FRAME || c < FRAME || c >= DIGITS_SIDE - FRAME) return 0;
	int y = 4 * (r - FRAME) - 3, x = 4 * (c - FRAME) - 3;        /* ten times the place in the 8 x 8 image */
	y = y < 0 ? 0 : y > last ? last : y;
	x = x < 0 ? 0 : x > last ? last : x;
	const uint8_t *upper = image + y / 10 * SMALL_SIDE, *lower = y < last ? upper + SMALL_SIDE : upper;
	int left = x / 10, right = x < last ? left + 1 : left, v = y % 10, w = x % 10;
	return (10 - v) * ((10 - w) * upper[left] + w * upper[right]) + v * ((10 - w) * lower[left] + w * lower[right]);
}

void digits_pixels(const digits *d, int k, float pixels[DIGITS_PIXELS])
{
	const uint8_t *image = d->images + (size_t)k * (size_t)d->side * (size_t)d->side;
	for (int i = 0; i < DIGITS_PIXELS; i++)
		pixels[i] = d->side == DIGITS_SIDE ? (float)image[i] / 255.0f
		                                   : (float)enlarged(image, i / DIGITS_SIDE, i % DIGITS_SIDE) / 1600.0f;
}
