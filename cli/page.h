/* page.h -- one self-contained HTML page: no scripts, nothing fetched, light and dark, on paper too. */
#ifndef PAGE_H
#define PAGE_H

#include "cli.h"

/* Between page_open and page_close, HTML is written to `f`; page_text escapes what may hold anything. */
typedef struct page {
	FILE *f;
	const char *path;
	char *temporary;                     /* becomes `path` when the page is whole */
} page;

/* OG_MISSING with the sentence told when the file cannot be written. */
og_status page_open(page *, const char *path, const char *title);
/* Writes version, machine and date, and puts the page in its place. */
og_status page_close(page *);
/* Instead of page_close: leaves nothing behind. Fine after it, and for a page of zeros. */
void page_abandon(page *);

void page_text(page *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A grey image of at most 64 x 64, 0 black to 255 white, as a picture in the page itself. `alt` says what it shows. */
void page_picture(page *, const uint8_t *grey, int width, int height, const char *alt, const char *caption, bool wrong);

/* One bar of a plot: a time in seconds with its 10th and 90th percentile. */
typedef struct page_bar {
	const char *label;
	double value, low, high;
	const char *color;                   /* "ours", "base", "plain" or "peer" */
} page_bar;
/* The length that bars of all panels of a plot are drawn against. */
double page_bars_full(const page_bar *, int n, double so_far);
/* A panel of horizontal bars. SVG in percents, so that text keeps its size on every screen. */
void page_bars(page *, const char *title, const page_bar *, int n, double full);

/* "17.2 µs" */
void page_seconds(char *out, size_t n, double seconds);
/* "1.31x faster", "1.05x slower", "equal": how `seconds` compares with `other`; true unless slower. */
bool page_ratio(char *out, size_t n, double seconds, double other);

#endif
