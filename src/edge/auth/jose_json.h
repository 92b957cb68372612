/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON as tokens and key sets may hold it (RFC 8259 by way of RFC 7515 section 4): an object, in
 * UTF-8, no member twice, no NUL in a text, nested only so deep. Any thread.
 */
#ifndef EDGE_AUTH_JOSE_JSON_H
#define EDGE_AUTH_JOSE_JSON_H

#include "sluice/types.h"

struct json_t; /* jansson's */

enum { JOSE_JSON_DEPTH = 16 };

/* The object that all of `text` is; the caller gives it back with json_decref(). NULL: it is not
 * one, or memory ended. */
struct json_t *jose_json_read(struct str text);

/* The text of a member. Absent when there is no such member or it is no text. */
struct str jose_json_text(const struct json_t *object, const char *name);
/* A value that is a text. Absent when it is something else; NULL is allowed. */
struct str jose_json_str(const struct json_t *value);
/* The member of that name; else, where the name has dots, the member of a member: "a.b". NULL when
 * there is none. */
const struct json_t *jose_json_find(const struct json_t *object, const char *name);

#endif
