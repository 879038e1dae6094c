/* move.h -- moving elements between dense tensors without looking at their values.
 *
 * A `move` is a copy of a strided region: axes are added from the outermost to the innermost, axes that lie
 * against each other become one, and what is contiguous on both sides becomes one wide element. Steps are
 * bytes; a step of `from` may be 0 (the same element again) or negative. */
#ifndef OPS_MOVE_H
#define OPS_MOVE_H

#include "ops/number.h"

#if OP_BASE

enum {
	MOVE_MAX_RANK = 2 * OG_MAX_RANK,     /* Tile makes two axes of one */
	MOVE_TILE = 16,                      /* elements on a side of what is transposed at once */
	MOVE_WIDE = 16,                      /* bytes of the largest element that is worth tiles */
	MOVE_GRAIN = 1 << 16                 /* bytes that are worth a thread */
};

typedef struct move {
	char *to;
	const char *from;
	size_t size;                         /* bytes of an element */
	int rank;
	int64_t n[MOVE_MAX_RANK], to_step[MOVE_MAX_RANK], from_step[MOVE_MAX_RANK];
} move;

/* Pieces of [0, n) of at least this many, when each takes `bytes`. */
OG_INLINE int64_t move_grain(size_t bytes)
{
	return bytes >= MOVE_GRAIN ? 1 : MOVE_GRAIN / (int64_t)(bytes ? bytes : 1);
}

/* ---- elements -------------------------------------------------------------------------------- */

/* Runs `statement` with `k` a constant where the size is a common one, so that memcpy becomes a move. */
#define MOVE_BY_SIZE(size, statement) \
	switch (size) { \
	case 1: { enum { k = 1 }; statement } break; \
	case 2: { enum { k = 2 }; statement } break; \
	case 4: { enum { k = 4 }; statement } break; \
	case 8: { enum { k = 8 }; statement } break; \
	case 16: { enum { k = 16 }; statement } break; \
	default: { const size_t k = size; statement } \
	}

OG_INLINE void move_element(char *to, const char *from, size_t size)
{
	MOVE_BY_SIZE(size, memcpy(to, from, k);)
}

/* n copies of one element: doubles what is there, by a few pages at most so that they stay in cache. */
OG_INLINE void move_fill(char *to, const void *element, size_t size, int64_t n)
{
	size_t total = size * (size_t)n, done = size, chunk = size;
	if (total == 0) return;
	memcpy(to, element, size);
	for (size_t take; done < total; done += take) {
		take = chunk < total - done ? chunk : total - done;
		memcpy(to + done, to, take);
		if (chunk < 8192) chunk = done + take;
	}
}

OG_INLINE void move_line(char *to, int64_t to_step, const char *from, int64_t from_step, int64_t n, size_t size)
{
	if (from_step == 0 && to_step == (int64_t)size) {
		move_fill(to, from, size, n);
		return;
	}
	MOVE_BY_SIZE(size, for (int64_t i = 0; i < n; i++) memcpy(to + i * to_step, from + i * from_step, k);)
}

/* to[i] = from[index[i]] */
OG_INLINE void move_pick(char *to, const char *from, const int64_t *index, int64_t n, size_t size)
{
	MOVE_BY_SIZE(size, for (int64_t i = 0; i < n; i++) memcpy(to + i * (int64_t)k, from + index[i] * (int64_t)k, k);)
}

/* ---- regions --------------------------------------------------------------------------------- */

/* Adds an axis inside those there are. */
OG_INLINE void move_axis(move *m, int64_t n, int64_t to_step, int64_t from_step)
{
	int last = m->rank - 1;
	if (n == 1) return;
	if (last >= 0 && m->to_step[last] == to_step * n && m->from_step[last] == from_step * n) {
		m->n[last] *= n;
	} else {
		last = m->rank++;
		m->n[last] = n;
	}
	m->to_step[last] = to_step;
	m->from_step[last] = from_step;
}

/* Where both lie at index `at` of the region in row-major order; at[] is its coordinates. */
OG_INLINE void move_seek(const move *m, int64_t index, int rank, int64_t *at, int64_t *to, int64_t *from)
{
	*to = *from = 0;
	for (int d = rank - 1; d >= 0; d--) {
		at[d] = index % m->n[d];
		index /= m->n[d];
		*to += at[d] * m->to_step[d];
		*from += at[d] * m->from_step[d];
	}
}

/* Elements [begin, end) of the region, line by line. */
OG_INLINE void move_lines(void *arg, int64_t begin, int64_t end)
{
	const move *m = (const move *)arg;
	int last = m->rank - 1;
	int64_t at[MOVE_MAX_RANK], to, from;
	move_seek(m, begin, m->rank, at, &to, &from);
	while (begin < end) {
		int64_t n = m->n[last] - at[last];
		if (n > end - begin) n = end - begin;
		move_line(m->to + to, m->to_step[last], m->from + from, m->from_step[last], n, m->size);
		begin += n;
		to += n * m->to_step[last];
		from += n * m->from_step[last];
		at[last] += n;
		for (int d = last; d > 0 && at[d] == m->n[d]; d--) {
			to += m->to_step[d - 1] - m->n[d] * m->to_step[d];
			from += m->from_step[d - 1] - m->n[d] * m->from_step[d];
			at[d] = 0;
			at[d - 1]++;
		}
	}
}

/* A transposition: the last axis is contiguous in `to`, the one before it in `from`. Goes through square tiles, so
 * that both sides see whole cache lines whatever their steps. [begin, end) counts strips of tiles. */
OG_INLINE void move_tiles(void *arg, int64_t begin, int64_t end)
{
	const move *m = (const move *)arg;
	int b = m->rank - 1, a = b - 1;
	int64_t strips = (m->n[a] + MOVE_TILE - 1) / MOVE_TILE, at[MOVE_MAX_RANK], to, from;
	int64_t size = (int64_t)m->size, a_to = m->to_step[a], b_from = m->from_step[b];
	char tile[MOVE_TILE * MOVE_TILE * MOVE_WIDE];
	for (; begin < end; begin++) {
		int64_t first = begin % strips * MOVE_TILE, n = m->n[a] - first, w;
		if (n > MOVE_TILE) n = MOVE_TILE;
		move_seek(m, begin / strips, a, at, &to, &from);
		char *y = m->to + to + first * a_to;
		const char *x = m->from + from + first * size;
		for (int64_t j = 0; j < m->n[b]; j += w, y += w * size) {
			w = m->n[b] - j < MOVE_TILE ? m->n[b] - j : MOVE_TILE;
			char *t = w == MOVE_TILE ? tile : y;         /* a narrow rest is not worth the detour */
			int64_t t_step = w == MOVE_TILE ? MOVE_TILE * size : a_to;
			MOVE_BY_SIZE(m->size,
				for (int64_t row = 0; row < w; row++, x += b_from)
					for (int64_t i = 0; i < n; i++) memcpy(t + i * t_step + row * (int64_t)k, x + i * (int64_t)k, k);
				for (int64_t i = 0; i < n && t == tile; i++) memcpy(y + i * a_to, tile + i * t_step, MOVE_TILE * k);
			)
		}
	}
}

/* Brings the axis that is contiguous in `from` before the last one; false when this is no transposition. */
OG_INLINE int move_is_transposition(move *m)
{
	int last = m->rank - 1, d = last - 1;
	if (last < 1 || m->size > MOVE_WIDE || m->to_step[last] != (int64_t)m->size) return 0;
	while (d >= 0 && m->from_step[d] != (int64_t)m->size) d--;
	if (d < 0) return 0;
	int64_t n = m->n[d], to = m->to_step[d], from = m->from_step[d];
	for (; d < last - 1; d++) {
		m->n[d] = m->n[d + 1];
		m->to_step[d] = m->to_step[d + 1];
		m->from_step[d] = m->from_step[d + 1];
	}
	m->n[d] = n;
	m->to_step[d] = to;
	m->from_step[d] = from;
	return 1;
}

/* Copies the region; changes *m. */
OG_INLINE void move_run(const og_call *c, move *m)
{
	int last = m->rank - 1;
	int64_t count = 1;
	for (int d = 0; d < m->rank; d++) count *= m->n[d];
	if (count == 0) return;
	if (last >= 0 && m->to_step[last] == (int64_t)m->size && m->from_step[last] == (int64_t)m->size) {
		count /= m->n[last];
		m->size *= (size_t)m->n[last];
		m->rank--;
	}
	if (m->rank == 0) {
		memcpy(m->to, m->from, m->size);
	} else if (move_is_transposition(m)) {
		int64_t a = m->n[m->rank - 2], strips = (a + MOVE_TILE - 1) / MOVE_TILE;
		c->host->parallel(c, count / a / m->n[m->rank - 1] * strips,
		                  move_grain(m->size * MOVE_TILE * (size_t)m->n[m->rank - 1]), move_tiles, m);
	} else {
		c->host->parallel(c, count, move_grain(m->size), move_lines, m);
	}
}

/* ---- tensors --------------------------------------------------------------------------------- */

/* Input or output k of a call; NULL when it is left out. */
OG_INLINE const og_tensor *move_in(const og_call *c, int k) { return k < c->n_in ? c->in[k] : NULL; }
OG_INLINE og_tensor *move_out(const og_call *c, int k) { return k < c->n_out ? c->out[k] : NULL; }

/* Bytes of one element in *size; refuses types that are not whole bytes. */
OG_INLINE og_status move_size(const og_call *c, const og_tensor *t, size_t *size)
{
	*size = og_dtype_bytes(t->dtype);
	if (*size) return OG_OK;
	return c->host->fail(OG_UNSUPPORTED, "%s does not take strings or elements smaller than a byte; cast them first",
	                     c->op->name);
}

/* Output 0 is input 0's data, whatever its shape. */
OG_INLINE og_status move_all(const og_call *c)
{
	const og_tensor *x = c->in[0];
	size_t bits = og_dtype_bytes(x->dtype) ? og_dtype_bytes(x->dtype) * 8 : (size_t)number_packed_width(x->dtype);
	size_t bytes = (bits * (size_t)og_count(x) + 7) / 8;
	if (!bits) return c->host->fail(OG_UNSUPPORTED, "%s does not take strings", c->op->name);
	if (bytes) memcpy(c->out[0]->data, x->data, bytes);
	return OG_OK;
}

#endif
#endif
