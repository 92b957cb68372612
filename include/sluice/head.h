/* SPDX-License-Identifier: Apache-2.0
 *
 * A message head (RFC 9110 section 6): request or response, any HTTP version. Its strings point
 * into the arena that the head was built in, and live as long as that arena. Names keep the
 * case in which they came; lookups ignore case. One thread at a time.
 */
#ifndef SLUICE_HEAD_H
#define SLUICE_HEAD_H

#include "sluice/types.h"

struct arena;

/* Names that the gateway treats specially: HEADER(enum, "lower-case name"). */
enum header_id {
    HDR_OTHER = 0,
#define HEADER(id, name) HDR_##id,
#include "sluice/header.def"
#undef HEADER
    HDR_COUNT
};

enum method {
    METHOD_OTHER = 0, /* never forwarded: 501 */
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_PATCH,
    METHOD_OPTIONS,
    METHOD_TRACE,
    METHOD_CONNECT,
    METHOD_EXTENSION, /* registered at IANA (PROPFIND, PURGE, QUERY, ...): forwarded as written */
};

struct header {
    const char *name;  /* never empty */
    const char *value; /* without surrounding white space; may be empty */
    uint32_t value_len;
    uint16_t name_len;
    uint8_t id; /* enum header_id */
    uint8_t reserved;
};

/* Where the target came from (RFC 9112 section 3.2). */
enum target_form { TARGET_ORIGIN, TARGET_ABSOLUTE, TARGET_AUTHORITY, TARGET_ASTERISK };

enum { HEAD_HTTP2 = 20 };

struct head {
    /* request */
    enum method method;
    enum target_form form;
    struct str method_name; /* as written: "GET" */
    struct str path;        /* "/a/b"; "*" for TARGET_ASTERISK; never empty otherwise */
    struct str query;       /* after '?', without it; absent when there was none */
    struct str scheme;      /* of an absolute target, as written; absent otherwise */
    struct str authority;   /* host[:port] that the request is for, from the target or from Host */
    /* response */
    uint16_t status;   /* 100..599 */
    struct str phrase; /* may be empty */
    /* both */
    uint8_t minor;          /* 0 or 1: HTTP/1.minor; HEAD_HTTP2 */
    bool chunked;           /* Transfer-Encoding: chunked */
    bool is_upgrade;        /* Connection lists upgrade and Upgrade is there */
    bool expects_continue;  /* Expect: 100-continue, HTTP/1.1 only */
    bool wants_close;       /* the sender will not keep the connection */
    int64_t content_length; /* -1 when not given */
    uint64_t present;       /* bit per enum header_id below 64 that stands at least once */
    struct header *headers; /* count entries, in order of arrival */
    uint16_t count, capacity;
};

/* Zeroes `head` and gives it room for `capacity` fields from `arena`. E_NOMEM leaves it empty. */
MUST_USE enum status head_init(struct head *head, struct arena *arena, uint16_t capacity);

/* The id of a field name, HDR_OTHER when it is none of header.def. */
enum header_id head_id(struct str name);
/* Its name in lower case, static; empty for HDR_OTHER. */
const char *head_id_name(enum header_id id);

/* First field of that name, NULL when absent. By id for names of header.def, by name for any. */
struct header *head_find(const struct head *head, enum header_id id);
struct header *head_find_name(const struct head *head, struct str name);
/* Its value, absent (p == NULL) when there is no such field. */
struct str head_value(const struct head *head, enum header_id id);
struct str head_value_name(const struct head *head, struct str name);

/* Appends a field; name and value are borrowed and must live as long as the arena of the head.
 * Grows the table in `arena`. E_NOMEM when the arena is at its limit. */
MUST_USE enum status head_add(struct head *head, struct arena *arena, struct str name,
                              struct str value);
/* Replaces the first field of that name and removes further ones, or appends. */
MUST_USE enum status head_set(struct head *head, struct arena *arena, struct str name,
                              struct str value);
/* Removes all fields of that name, keeps the order of the rest; how many went. */
unsigned head_remove(struct head *head, enum header_id id);
/* The same for several: a bit an id, as in `present`. */
unsigned head_remove_all(struct head *head, uint64_t ids);
unsigned head_remove_name(struct head *head, struct str name);

/* Removes what RFC 9110 section 7.6.1 makes hop-by-hop: Connection and all it lists, Keep-Alive,
 * Proxy-Connection, TE, Transfer-Encoding, Upgrade, Proxy-Authenticate and -Authorization are the
 * caller's. Names that the gateway sets itself (X-Forwarded-*, Host, Via, X-Request-Id,
 * Content-Length) are kept even when Connection lists them (CVE-2024-45410). `keep_upgrade` keeps
 * Upgrade. */
void head_strip_hop_by_hop(struct head *head, bool keep_upgrade);

/* True when the comma list `value` has `token`, without regard to case (RFC 9110 section 5.6.1). */
bool head_list_has(struct str value, struct str token);

/* A request by which a browser asks whether a page may send another one (Fetch 3.2.2). */
bool head_is_preflight(const struct head *request);

/* Safe to repeat (RFC 9110 section 9.2.2). METHOD_EXTENSION is not. */
bool method_is_idempotent(enum method method);

#endif
