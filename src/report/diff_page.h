/* diff_page.h -- what the files of the page share. */
#ifndef DIFF_PAGE_H
#define DIFF_PAGE_H

#include "report/diff_out.h"

extern const char diff_page_style[], diff_page_style_sides[];

/* Escapes what may hold anything; control bytes become U+FFFD. */
void diff_page_text(text *, const char *s);
/* The same in at most `width` characters; the whole as a tooltip when it was cut. */
void diff_page_name(text *, const char *tag, const char *style, const char *s, size_t width);
/* Both networks side by side; rows are named "r`number`-1" and so on. */
og_status diff_page_sides(text *, diff *, const diff_graph *, size_t number);
/* Both as strips with what is equal joined; links lead to the rows. */
void diff_page_strip(text *, const diff_graph *, size_t number);

#endif
