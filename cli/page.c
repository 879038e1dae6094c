/* page.c -- one self-contained HTML page: no scripts, nothing fetched, light and dark, on paper too. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "page.h"

static const char style[] =
	":root{color-scheme:light dark;--paper:#fff;--ink:#1c2430;--dim:#5d6878;--line:#dce1e8;\n"
	"  --card:#f5f7fa;--ours:#0b7a75;--base:#7fc4bd;--plain:#8b97a8;--peer:#d9822b;--bad:#b3261e}\n"
	"@media(prefers-color-scheme:dark){\n"
	"  :root{--paper:#12161c;--ink:#e4e8ee;--dim:#98a3b3;--line:#2c3440;--card:#1a2029;--ours:#35c2b8;\n"
	"    --base:#1f716c;--plain:#66738a;--peer:#e0954a;--bad:#ff8a80}\n"
	"  figure img{filter:invert(1)}\n"
	"}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0 auto;padding:2.5rem 1.25rem 3rem;max-width:62rem;background:var(--paper);\n"
	"  color:var(--ink);\n"
	"  font:1rem/1.55 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",Arial,sans-serif}\n"
	"h1{font-size:clamp(1.6rem,5vw,2.3rem);line-height:1.15;margin:0 0 .5rem;letter-spacing:-.02em}\n"
	"h2{font-size:1.25rem;margin:2.75rem 0 .5rem;padding-top:1.25rem;border-top:1px solid var(--line)}\n"
	"p{max-width:44rem;margin:.5rem 0 1rem}\n"
	".lead{font-size:1.1rem;color:var(--dim)}\n"
	".note,footer{font-size:.875rem;color:var(--dim)}\n"
	"code{font:.92em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}\n"
	".tiles{display:grid;gap:.75rem;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));\n"
	"  margin:1.5rem 0}\n"
	".tile{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.9rem 1rem}\n"
	".tile b{display:block;font-size:1.55rem;line-height:1.2;color:var(--ours);letter-spacing:-.01em}\n"
	".tile b.bad{color:var(--bad)}\n"
	".tile span{font-size:.875rem;color:var(--dim)}\n"
	".digits{display:grid;gap:.75rem;grid-template-columns:repeat(10,1fr);margin:1rem 0}\n"
	".digits figure{margin:0;text-align:center;font-size:.875rem}\n"
	".digits img{display:block;width:100%;height:auto;border:1px solid #cfd5dd;border-radius:.4rem}\n"
	".digits .bad{color:var(--bad);font-weight:600}\n"
	".wide{overflow-x:auto;margin:1rem 0}\n"
	"table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\n"
	"caption{text-align:left;font-size:.875rem;color:var(--dim);padding-bottom:.4rem}\n"
	"th,td{padding:.4rem 0 .4rem .9rem;text-align:right;vertical-align:top;\n"
	"  border-bottom:1px solid var(--line)}\n"
	"td{white-space:nowrap}\n"
	"th:first-child,td:first-child{padding-left:0}\n"
	"th{font-weight:600}\n"
	"thead th{font-size:.875rem;color:var(--dim);vertical-align:bottom;white-space:nowrap}\n"
	".left{text-align:left}\n"
	"tbody th{text-align:left;font-weight:400;min-width:5.5rem}\n"
	"td small{display:block;color:var(--dim);white-space:nowrap}\n"
	".win{color:var(--ours);font-weight:600}\n"
	".lose{color:var(--bad);font-weight:600}\n"
	"tr.main th,tr.main td{font-weight:600}\n"
	".steps td{padding:.15rem .9rem;font-size:.9rem}\n"
	".steps td:first-child{padding-left:0}\n"
	".steps th{padding-right:.9rem}\n"
	"td.fused{background:var(--card);border-left:.25rem solid var(--base);white-space:normal}\n"
	"td.swish{border-left-color:var(--ours)}\n"
	"td.fused,td.fused+td{vertical-align:middle}\n"
	"td.fused+td{background:var(--card)}\n"
	".plot{display:grid;gap:1.25rem 2.5rem;\n"
	"  grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr));margin:1rem 0}\n"
	".plot figure{margin:0;break-inside:avoid}\n"
	"figcaption{font-weight:600}\n"
	".plot figcaption{margin-bottom:.25rem}\n"
	".digits figcaption{font-weight:400;margin-top:.2rem}\n"
	"svg{display:block;overflow:visible}\n"
	"svg text{fill:var(--ink);font-size:.8125rem}\n"
	"svg .dim{fill:var(--dim)}\n"
	"svg line{stroke:var(--ink);stroke-width:1.5;opacity:.55}\n"
	".ours{fill:var(--ours)}\n"
	".base{fill:var(--base)}\n"
	".plain{fill:var(--plain)}\n"
	".peer{fill:var(--peer)}\n"
	"footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--line)}\n";
/* Small screens, and paper. */
static const char fitting[] =
	"@media(max-width:44rem){\n"
	"  .digits{grid-template-columns:repeat(5,1fr)}\n"
	"}\n"
	"@media(max-width:34rem){\n"
	"  body{padding-top:1.5rem}\n"
	"  .digits{gap:.5rem}\n"
	"  .digits figure{font-size:.75rem}\n"
	"  th,td,.steps td{padding-left:.5rem;font-size:.8125rem}\n"
	"  .steps td,.steps th{padding-right:.5rem}\n"
	"  td small{font-size:.6875rem}\n"
	"  thead th{font-size:.75rem;white-space:normal}\n"
	"  .win,.lose{white-space:normal}\n"
	"}\n"
	"@media print{\n"
	"  :root{color-scheme:light;--paper:#fff;--ink:#000;--dim:#444;--line:#bbb;--card:#f4f4f4;\n"
	"    --ours:#0b7a75;--base:#7fc4bd;--plain:#8b97a8;--peer:#d9822b;--bad:#b3261e}\n"
	"  figure img{filter:none}\n"
	"  body{max-width:none;padding:0}\n"
	"  .digits{grid-template-columns:repeat(10,1fr)}\n"
	"  h2{break-after:avoid;margin-top:1.5rem}\n"
	"  html{font-size:75%}\n"
	"  .tiles{grid-template-columns:repeat(4,1fr)}\n"
	"  footer{margin-top:1rem}\n"
	"  tr,.tile,figure{break-inside:avoid}\n"
	"  *{print-color-adjust:exact;-webkit-print-color-adjust:exact}\n"
	"}\n";

/* ---- opening and closing ---------------------------------------------------------------------- */

og_status page_open(page *p, const char *path, const char *title)
{
	*p = (page){ .path = path, .temporary = malloc(strlen(path) + sizeof ".new") };
	if (!p->temporary) return cli_tell(OG_NO_MEMORY, "%s: there is no memory for its name", path);
	sprintf(p->temporary, "%s.new", path);
	p->f = fopen(p->temporary, "w");
	if (!p->f) {
		og_status status = cli_tell(OG_MISSING, "%s cannot be written: %s", path, strerror(errno));
		page_abandon(p);
		return status;
	}
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>", p->f);
	page_text(p, "%s", title);
	fprintf(p->f, "</title>\n<style>\n%s%s</style>\n</head>\n<body>\n<h1>", style, fitting);
	page_text(p, "%s", title);
	fputs("</h1>\n", p->f);
	return OG_OK;
}

/* What the processor calls itself; "this processor" where the system does not say. */
static void processor(char *out, size_t n)
{
	char line[256];
	snprintf(out, n, "this processor");
	FILE *f = fopen("/proc/cpuinfo", "r");
	while (f && fgets(line, sizeof line, f)) {
		char *name = strstr(line, ": ");
		if (strncmp(line, "model name", 10) || !name) continue;
		snprintf(out, n, "%s", name + 2);
		out[strcspn(out, "\n")] = 0;
		break;
	}
	if (f) fclose(f);
}

og_status page_close(page *p)
{
	char name[256], date[64];
	time_t now = time(NULL);
	struct tm utc;
	gmtime_r(&now, &utc);
	strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &utc);
	processor(name, sizeof name);
	fputs("<footer>Opgraft ", p->f);
	page_text(p, "%s on %s (%s), %s", og_version(), name, og_cpu_level(), date);
	fputs(".</footer>\n</body>\n</html>\n", p->f);
	bool bad = ferror(p->f) != 0;
	bad = fclose(p->f) != 0 || bad;
	p->f = NULL;
	bad = bad || rename(p->temporary, p->path);
	og_status status = bad ? cli_tell(OG_MISSING, "%s cannot be written: %s", p->path, strerror(errno)) : OG_OK;
	if (bad) remove(p->temporary);
	page_abandon(p);
	return status;
}

void page_abandon(page *p)
{
	if (p->f) {
		fclose(p->f);
		remove(p->temporary);
	}
	free(p->temporary);
	*p = (page){ 0 };
}

void page_text(page *p, const char *format, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	for (const char *s = text; *s; s++) {
		if (*s == '<') fputs("&lt;", p->f);
		else if (*s == '>') fputs("&gt;", p->f);
		else if (*s == '&') fputs("&amp;", p->f);
		else if (*s == '"') fputs("&quot;", p->f);
		else putc(*s, p->f);
	}
}

/* ---- pictures: PNG with stored (not compressed) data, in base64 ---------------------------------- */

enum { PICTURE_SIDE = 64, PICTURE_RAW = PICTURE_SIDE * (PICTURE_SIDE + 1), PICTURE_FILE = PICTURE_RAW + 128 };

typedef struct bytes { uint8_t data[PICTURE_FILE]; size_t n; } bytes;

static void put(bytes *b, const void *data, size_t n)
{
	assert(b->n + n <= sizeof b->data);
	memcpy(b->data + b->n, data, n);
	b->n += n;
}

static void put_u32(bytes *b, uint32_t x)
{
	put(b, (const uint8_t[]){ (uint8_t)(x >> 24), (uint8_t)(x >> 16), (uint8_t)(x >> 8), (uint8_t)x }, 4);
}

static uint32_t crc32(const uint8_t *data, size_t n)
{
	uint32_t crc = 0xffffffffu;
	for (size_t i = 0; i < n; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void put_chunk(bytes *b, const char *type, const void *data, size_t n)
{
	put_u32(b, (uint32_t)n);
	size_t start = b->n;
	put(b, type, 4);
	put(b, data, n);
	put_u32(b, crc32(b->data + start, n + 4));
}

static void put_png(bytes *b, const uint8_t *grey, int width, int height)
{
	bytes head = { .n = 0 }, raw = { .n = 0 }, z = { .n = 0 };
	uint32_t low = 1, high = 0;                          /* Adler-32 of the rows */
	put_u32(&head, (uint32_t)width);
	put_u32(&head, (uint32_t)height);
	put(&head, "\x08\0\0\0\0", 5);                       /* 8 bits of grey, not interlaced */
	for (int y = 0; y < height; y++) {
		put(&raw, "", 1);                                /* this row has no filter */
		put(&raw, grey + y * width, (size_t)width);
	}
	for (size_t i = 0; i < raw.n; i++) {
		low = (low + raw.data[i]) % 65521;
		high = (high + low) % 65521;
	}
	put(&z, "\x78\x01\x01", 3);                          /* zlib; the last block, stored */
	put(&z, (const uint8_t[]){ (uint8_t)raw.n, (uint8_t)(raw.n >> 8), (uint8_t)~raw.n, (uint8_t)(~raw.n >> 8) }, 4);
	put(&z, raw.data, raw.n);
	put_u32(&z, high << 16 | low);
	put(b, "\x89PNG\r\n\x1a\n", 8);
	put_chunk(b, "IHDR", head.data, head.n);
	put_chunk(b, "IDAT", z.data, z.n);
	put_chunk(b, "IEND", "", 0);
}

static void write_base64(FILE *f, const uint8_t *data, size_t n)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < n; i += 3) {
		uint32_t x =
			(uint32_t)data[i] << 16 | (i + 1 < n ? (uint32_t)data[i + 1] << 8 : 0) | (i + 2 < n ? data[i + 2] : 0);
		putc(digit[x >> 18], f);
		putc(digit[x >> 12 & 63], f);
		putc(i + 1 < n ? digit[x >> 6 & 63] : '=', f);
		putc(i + 2 < n ? digit[x & 63] : '=', f);
	}
}

void page_picture(page *p, const uint8_t *grey, int width, int height, const char *alt, const char *caption, bool wrong)
{
	bytes png = { .n = 0 };
	assert(width > 0 && width <= PICTURE_SIDE && height > 0 && height <= PICTURE_SIDE);
	put_png(&png, grey, width, height);
	fprintf(p->f, "<figure><img width=\"%d\" height=\"%d\" alt=\"", width, height);
	page_text(p, "%s", alt);
	fputs("\" src=\"data:image/png;base64,", p->f);
	write_base64(p->f, png.data, png.n);
	fputs("\">", p->f);
	fprintf(p->f, "<figcaption%s>", wrong ? " class=\"bad\"" : "");
	page_text(p, "%s", caption);
	fputs("</figcaption></figure>\n", p->f);
}

/* ---- bars ------------------------------------------------------------------------------------ */

enum { BAR_HEIGHT = 14, BAR_STEP = 44, BAR_LONGEST = 76 }; /* pixels; percent of the width, the rest is for the value */

double page_bars_full(const page_bar *bars, int n, double full)
{
	for (int i = 0; i < n; i++)
		if (bars[i].value > full) full = bars[i].value;
	return full;
}

void page_bars(page *p, const char *title, const page_bar *bars, int n, double full)
{
	char text[32];
	fputs("<figure><figcaption>", p->f);
	page_text(p, "%s", title);
	fprintf(p->f, "</figcaption>\n<svg width=\"100%%\" height=\"%d\" role=\"img\" aria-label=\"", n * BAR_STEP);
	page_text(p, "%s", title);
	for (int i = 0; i < n; i++) {
		page_seconds(text, sizeof text, bars[i].value);
		page_text(p, "%s %s: %s", i ? "," : ":", bars[i].label, text);
	}
	fputs("\">\n", p->f);
	for (int i = 0; i < n; i++) {
		/* a percentile beyond the longest bar ends where the bars end */
		double scale = BAR_LONGEST / full, top = i * BAR_STEP;
		double at = bars[i].value * scale, low = bars[i].low * scale, high = bars[i].high * scale;
		if (high > BAR_LONGEST + 4) high = BAR_LONGEST + 4;
		if (high < at) high = at;
		page_seconds(text, sizeof text, bars[i].value);
		fprintf(p->f, "<text x=\"0\" y=\"%g\">", top + 15);
		page_text(p, "%s", bars[i].label);
		fprintf(p->f, "</text><rect class=\"%s\" x=\"0\" y=\"%g\" width=\"%.2f%%\" height=\"%d\" rx=\"2\"/>"
		        "<line x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%g\" y2=\"%g\"/>"
		        "<text x=\"%.2f%%\" y=\"%g\" dx=\"6\" class=\"dim\">",
		        bars[i].color, top + 21, at, BAR_HEIGHT, low, high, top + 28, top + 28, high, top + 32.5);
		page_text(p, "%s", text);
		fputs("</text>\n", p->f);
	}
	fputs("</svg></figure>\n", p->f);
}

/* ---- numbers --------------------------------------------------------------------------------- */

void page_seconds(char *out, size_t n, double s)
{
	double x = s < 1e-3 ? s * 1e6 : s < 1 ? s * 1e3 : s;
	snprintf(out, n,
	         x < 10    ? "%.2f %s"
	         : x < 100 ? "%.1f %s"
	                   : "%.0f %s",
	         x,
	         s < 1e-3 ? "\u00b5s"
	         : s < 1  ? "ms"
	                  : "s");
}

bool page_ratio(char *out, size_t n, double seconds, double other)
{
	double ratio = other / seconds;
	bool faster = ratio >= 1.005, slower = ratio <= 0.995;
	double times = slower ? 1 / ratio : ratio;
	if (!faster && !slower) snprintf(out, n, "equal");
	else snprintf(out, n, times < 10 ? "%.2fx %s" : "%.0fx %s", times, faster ? "faster" : "slower");
	return !slower;
}
