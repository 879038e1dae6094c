/* text.c -- text that grows. */
#include "base/base.h"

#include <stdio.h>

/* Room for n more bytes and the NUL; false (and `failed` set) when there is none. */
static bool reserve(text *t, size_t n)
{
	if (t->failed) return false;
	if (n < t->capacity - t->length) return true;
	size_t capacity = t->capacity > 0 ? t->capacity : 64;
	while (capacity - t->length <= n && capacity <= SIZE_MAX / 2) capacity *= 2;
	char *data = capacity - t->length > n ? base_realloc(t->data, capacity, 1) : NULL;
	if (!data) {
		t->failed = true;
		return false;
	}
	t->data = data;
	t->capacity = capacity;
	return true;
}

void text_addn(text *t, const char *s, size_t n)
{
	if (!reserve(t, n)) return;
	if (n > 0) memcpy(t->data + t->length, s, n);
	t->length += n;
	t->data[t->length] = '\0';
}

void text_add(text *t, const char *s) { text_addn(t, s, strlen(s)); }

void text_printf(text *t, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0 || !reserve(t, (size_t)n)) return;
	va_start(args, format);
	vsnprintf(t->data + t->length, (size_t)n + 1, format, args);
	va_end(args);
	t->length += (size_t)n;
}

char *text_take(text *t)
{
	text_addn(t, "", 0);                 /* an empty text is "" and not NULL */
	char *s = t->failed ? NULL : t->data;
	if (!s) base_free(t->data);
	*t = (text){ 0 };
	return s;
}

void text_free(text *t)
{
	base_free(t->data);
	*t = (text){ 0 };
}
