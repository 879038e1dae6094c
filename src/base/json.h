/* json.h -- writing and reading JSON (RFC 8259). */
#ifndef JSON_H
#define JSON_H

#include "base.h"

/* Writer: commas, quotes and nesting are kept right; the text is in `out`.
 *   json_begin(&j, '{'); json_put_string(&j, "op", "Swish"); json_end(&j, '}'); */
typedef struct json { text out; bool need_comma; } json;
void json_begin(json *, char bracket);              /* '{' or '[' */
void json_end(json *, char bracket);                /* '}' or ']' */
void json_key(json *, const char *key);
void json_string(json *, const char *s);            /* bytes that are not UTF-8 become U+FFFD */
void json_number(json *, double);                   /* shortest form that reads back; NaN and inf become null */
void json_int(json *, int64_t);
void json_bool(json *, bool);
void json_null(json *);
/* Members of an object: the key, and the value or its opening bracket. */
void json_put_string(json *, const char *key, const char *s);
void json_put_number(json *, const char *key, double);
void json_put_int(json *, const char *key, int64_t);
void json_put_bool(json *, const char *key, bool);
void json_put(json *, const char *key, char bracket);

/* Reader: a tree in the arena. Fails with OG_BAD_FILE naming line and column; nesting is limited to 100. */
typedef enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } json_kind;
typedef struct json_value {
	json_kind kind;
	bool boolean;
	double number;
	const char *string;                         /* of a string; NUL-terminated UTF-8 */
	const char *key;                            /* of a member of an object */
	size_t count;
	struct json_value *items;                   /* of an array or object */
} json_value;
og_status json_parse(const json_value **out, arena *, const char *s, size_t n);
const json_value *json_member(const json_value *object, const char *key);     /* NULL when absent */

#endif
