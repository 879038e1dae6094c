/* base.h -- what every folder uses: failing with a sentence, memory, arenas, small containers.
 * See thread.h, file.h, json.h, npy.h and wire.h beside it for the rest of src/base. */
#ifndef BASE_H
#define BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "opgraft/types.h"

/* ---- failing -------------------------------------------------------------------------------- */

/* Keeps one sentence for the user in this thread (what, where, what to do; no newline, at most 1,023
 * bytes, longer ones are cut) and returns `status`. The latest sentence wins. */
og_status base_fail(og_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As base_fail, but puts the sentence made so far behind "format: ". */
og_status base_fail_in(og_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *base_error(void);            /* this thread's sentence; "" when there was none */
og_status base_no_memory(void);          /* the sentence for OG_NO_MEMORY; allocates nothing */

/* Hands a failure up. */
#define TRY(call) do { og_status try_status_ = (call); if (try_status_ != OG_OK) return try_status_; } while (0)
/* Hands a failed allocation up. */
#define NEED(pointer) do { if (!(pointer)) return base_no_memory(); } while (0)

/* ---- memory: the one door to malloc --------------------------------------------------------- */

/* All four return NULL when memory is short; freeing NULL is fine. base_new clears. */
void *base_alloc(size_t bytes);
void *base_new(size_t count, size_t size);                 /* checks count * size for overflow */
/* Asks for huge pages where memory is large enough to have some; only whole ones, so that no more becomes resident than was asked for.
 * Weights that are streamed from memory come 5 to 15% faster so. It is a wish: nothing is said when it is not granted. */
void base_wish_huge(void *p, size_t bytes);
void *base_realloc(void *p, size_t count, size_t size);    /* checks too; p stays valid on failure */
void *base_alloc_aligned(size_t bytes, size_t alignment);  /* alignment: a power of two; base_free frees it */
void base_free(void *p);
/* Whole pages of the system's, cleared, which go back to it at once: what is large and short-lived makes no holes in the heap, and
 * does not move the size from which malloc does the same. Huge ones are wished for. NULL: no memory; unmapping NULL is fine. */
void *base_map(size_t bytes);
void base_unmap(void *p, size_t bytes);
char *base_strdup(const char *s);

/* Test hooks: the n-th call from now on fails (0: none ever); allocations made so far. */
void base_fail_allocation(uint64_t n);
uint64_t base_allocations(void);

/* True and the product in *out unless it overflows. */
static inline bool base_mul(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }

/* ---- arena: one lifetime, freed at once ------------------------------------------------------ */

typedef struct arena arena;
arena *arena_create(void);                          /* NULL when memory is short */
void arena_destroy(arena *);                        /* NULL is fine */
void *arena_alloc(arena *, size_t bytes);           /* cleared, aligned to 16; NULL when memory is short */
void *arena_array(arena *, size_t count, size_t size);      /* cleared; checks overflow */
void *arena_aligned(arena *, size_t bytes, size_t alignment);
char *arena_strndup(arena *, const char *s, size_t n);      /* adds the NUL */
char *arena_strdup(arena *, const char *s);
char *arena_printf(arena *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Gives whole pages of a piece that nobody needs any more back to the system, if it is a piece of this arena; its contents
 * are undefined from then on. */
void arena_discard(const arena *, const void *p, size_t bytes);
size_t arena_bytes(const arena *);                  /* taken from the system so far */
/* Grows an array that lives in an arena: returns room for at least `need` elements (count of them
 * kept), doubling *capacity; the old block stays until the arena ends. NULL when memory is short. */
void *arena_grow(arena *, void *old, size_t count, size_t *capacity, size_t need, size_t size);

/* ---- growing text ---------------------------------------------------------------------------- */

/* Appending never fails visibly: after memory ran out `failed` is set and further text is dropped. */
typedef struct text { char *data; size_t length, capacity; bool failed; } text;
void text_add(text *, const char *s);
void text_addn(text *, const char *s, size_t n);
void text_printf(text *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The text, NUL-terminated, to be freed with base_free; NULL when memory ran out. Resets *t. */
char *text_take(text *);
void text_free(text *);

/* ---- name -> pointer ------------------------------------------------------------------------- */

/* Hash table from strings (not copied: they must outlive it) to pointers. Zero-initialise. */
typedef struct map { struct map_slot { const char *key; void *value; } *slots; size_t count, capacity; } map;
void *map_get(const map *, const char *key);               /* NULL when absent */
og_status map_put(map *, const char *key, void *value);    /* replaces; value NULL removes */
void map_free(map *);

/* ---- small things ---------------------------------------------------------------------------- */

typedef struct base_bytes { const uint8_t *p; size_t n; } base_bytes;   /* they belong to somebody else */

const char *base_dtype_name(og_dtype);                     /* "f32"; "?" when unknown */
og_dtype base_dtype_find(const char *s, size_t n);         /* OG_NONE when there is none */
/* Bytes that `count` elements take, sub-byte types rounded up; SIZE_MAX on overflow or for strings. */
size_t base_dtype_span(og_dtype, uint64_t count);
/* Elements of a shape in *out; false when a dimension is negative or the product overflows. */
bool base_count(const int64_t *dims, int rank, int64_t *out);
uint64_t base_hash(const void *p, size_t n, uint64_t seed);        /* fast, not cryptographic */
float base_half_to_float(uint16_t);   uint16_t base_float_to_half(float);      /* round to nearest even */
float base_bfloat_to_float(uint16_t); uint16_t base_float_to_bfloat(float);
bool base_glob(const char *pattern, const char *s);        /* * and ? only */
double base_now(void);                                     /* seconds, monotonic */

#endif
