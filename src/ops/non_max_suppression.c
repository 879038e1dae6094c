/* NonMaxSuppression: of the boxes of each class the best ones, each unless it covers too much of a better one. */
#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
enum { NMS_BOXES, NMS_SCORES, NMS_MOST, NMS_OVERLAP, NMS_SCORE };
enum { NMS_ROOM = 4096 };                    /* boxes of one class in a result */

typedef struct nms {
	const og_tensor *boxes, *scores, *least; /* least: of the scores; may be NULL */
	int64_t n, classes, most;
	double overlap;
	int centred;                             /* boxes are centre and size, else two corners */
} nms;

static nms nms_of(const og_tensor *const in[5], const og_attr_value *attr)
{
	nms s = { .boxes = in[NMS_BOXES], .scores = in[NMS_SCORES], .least = in[NMS_SCORE], .n = in[NMS_BOXES]->dims[1],
	          .classes = in[NMS_SCORES]->dims[1], .centred = attr[0].i != 0 };
	s.most = in[NMS_MOST] ? number_get_int(in[NMS_MOST], 0) : 0;
	s.overlap = in[NMS_OVERLAP] ? number_get(in[NMS_OVERLAP], 0) : 0.0;
	return s;
}

/* Both corners of box k of all, the lesser one first. */
static void nms_corners(const nms *s, int64_t k, double low[2], double high[2])
{
	for (int d = 0; d < 2; d++) {
		double a = number_get(s->boxes, k * 4 + d), b = number_get(s->boxes, k * 4 + 2 + d);
		low[d] = s->centred ? a - b / 2 : fmin(a, b);
		high[d] = s->centred ? a + b / 2 : fmax(a, b);
	}
}

/* The part of what two boxes cover that both do. */
static double nms_overlap(const nms *s, int64_t i, int64_t j)
{
	double low[2][2], high[2][2], both = 1.0, area[2];
	nms_corners(s, i, low[0], high[0]);
	nms_corners(s, j, low[1], high[1]);
	for (int k = 0; k < 2; k++) area[k] = (high[k][0] - low[k][0]) * (high[k][1] - low[k][1]);
	for (int d = 0; d < 2; d++) both *= fmax(0.0, fmin(high[0][d], high[1][d]) - fmax(low[0][d], low[1][d]));
	return both > 0 ? both / (area[0] + area[1] - both) : 0.0;
}

/* The box that comes after box `last` (-1: the first) by falling score, the first of equal ones first; -1: none. */
static int64_t nms_next(const nms *s, int64_t line, int64_t last)
{
	double best = -HUGE_VAL, bound = last < 0 ? HUGE_VAL : number_get(s->scores, line * s->n + last);
	int64_t found = -1;
	for (int64_t k = 0; k < s->n; k++) {
		double score = number_get(s->scores, line * s->n + k);
		if (!(score < bound || (score == bound && k > last)) || (found >= 0 && score <= best)) continue;
		if (s->least && !(score > number_get(s->least, 0))) continue;
		best = score;
		found = k;
	}
	return found;
}

/* The boxes of line `line` of batches and classes. Returns how many, or -1 when there are more than `kept` holds. */
static int nms_line(const nms *s, int64_t line, int64_t kept[NMS_ROOM])
{
	int64_t batch = line / s->classes * s->n;
	int n = 0;
	for (int64_t k = -1; n < s->most && (k = nms_next(s, line, k)) >= 0;) {
		int clear = 1;
		for (int i = 0; i < n && clear; i++) clear = !(nms_overlap(s, batch + kept[i], batch + k) > s->overlap);
		if (!clear) continue;
		if (n == NMS_ROOM) return -1;
		kept[n++] = k;
	}
	return n;
}

static og_status non_max_suppression_shape(og_infer *c)
{
	const og_shape *boxes = &c->in[NMS_BOXES], *scores = &c->in[NMS_SCORES];
	const og_tensor *in[5] = { NULL };
	int64_t kept[NMS_ROOM], count = 0;
	int known = 1;
	OP_TRY(dims_of_rank(c, &c->out[0], 2));
	c->out[0].dims[1] = 3;
	for (int k = NMS_MOST; k < c->n_in; k++) OP_TRY(dims_one(c, k));
	for (int k = 0; k < c->n_in; k++) {
		in[k] = c->in[k].value;
		if (!in[k] && c->in[k].dtype != OG_NONE) known = 0;
	}
	if (boxes->rank < 0 || scores->rank < 0) return OG_OK;
	if (boxes->rank != 3 || scores->rank != 3)
		return c->host->fail(OG_BAD_FILE, "NonMaxSuppression takes boxes [N, boxes, 4] and scores [N, classes, boxes], "
		                     "not %d and %d dimensions", boxes->rank, scores->rank);
	og_dim n = boxes->dims[0], m = boxes->dims[1], four = 4;
	OP_TRY(dims_same(c, &n, scores->dims[0], 0));
	OP_TRY(dims_same(c, &m, scores->dims[2], 2));
	OP_TRY(dims_same(c, &four, boxes->dims[2], 2));
	if (!known) return OG_OK;
	nms s = nms_of(in, c->attr);
	for (int64_t line = 0; s.n > 0 && line < n * s.classes; line++) {
		int found = nms_line(&s, line, kept);
		if (found < 0)
			return c->host->fail(OG_UNSUPPORTED, "NonMaxSuppression would keep more than %d boxes of a class; lower "
			                     "max_output_boxes_per_class", NMS_ROOM);
		count += found;
	}
	c->out[0].dims[0] = count;
	return OG_OK;
}

static og_status non_max_suppression_eval(const og_call *c)
{
	const og_tensor *in[5] = { NULL };
	int64_t kept[NMS_ROOM], *y = (int64_t *)c->out[0]->data, room = c->out[0]->dims[0];
	for (int k = 0; k < c->n_in; k++) in[k] = c->in[k];
	nms s = nms_of(in, c->attr);
	for (int64_t line = 0; room > 0 && line < s.boxes->dims[0] * s.classes; line++) {
		int n = nms_line(&s, line, kept);
		for (int i = 0; i < n && room > 0; i++, room--) {
			*y++ = line / s.classes;
			*y++ = line % s.classes;
			*y++ = kept[i];
		}
	}
	return OG_OK;
}
#endif

OP(non_max_suppression, .name = "NonMaxSuppression", .since = 10,
   .doc = "Of the boxes of each class the best ones, without those that cover too much of a better one.",
   .inputs = "boxes:f32!, scores:f32!, max_output_boxes_per_class:i64?!, iou_threshold:f32?!, score_threshold:f32?!",
   .outputs = "selected_indices:i64", ATTRS(OG_INT("center_point_box", 0)), .shape = non_max_suppression_shape,
   .eval = non_max_suppression_eval)
