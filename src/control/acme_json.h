/* SPDX-License-Identifier: Apache-2.0
 *
 * What a CA says, read: the JSON bodies of RFC 8555 and RFC 9773. The CA is not trusted to be
 * right: sizes, counts, URLs and tokens are checked here, unknown members and kinds are passed
 * over. Pure; texts live in the arena. E_INVALID: it is not what it should be; E_NOMEM. One thread.
 */
#ifndef CONTROL_ACME_JSON_H
#define CONTROL_ACME_JSON_H

#include "base/arena.h"
#include "control/acme_schedule.h"

enum { ACME_NAMES_MAX = 100, ACME_URL_MAX = 2000, ACME_TOKEN_MAX = 200 };

struct acme_directory {
    struct str new_nonce, new_account, new_order;
    struct str renewal_info; /* absent: the CA has none */
};

/* RFC 8555 section 7.1.6. ACME_UNKNOWN: not asked yet, or a word that is not known. */
enum acme_status {
    ACME_UNKNOWN,
    ACME_PENDING,
    ACME_READY,
    ACME_PROCESSING,
    ACME_VALID,
    ACME_INVALID, /* and deactivated, expired, revoked: nothing comes of it any more */
};

struct acme_json_order {
    enum acme_status status;
    struct str *authorizations; /* URLs */
    uint32_t authorization_count;
    struct str finalize;    /* URL */
    struct str certificate; /* URL; absent until it is valid */
    struct str error;       /* as of acme_json_problem(); absent: none */
};

enum acme_challenge { ACME_HTTP_01, ACME_TLS_ALPN_01, ACME_CHALLENGES };

struct acme_json_challenge {
    struct str url, token; /* absent: not offered */
    struct str error;      /* as of acme_json_problem() */
};

struct acme_json_authorization {
    enum acme_status status;
    struct str domain;
    struct acme_json_challenge challenges[ACME_CHALLENGES];
};

/* RFC 8555 section 7.1.1: needs newNonce, newAccount and newOrder. */
MUST_USE enum status acme_json_read_directory(struct arena *arena, struct str text,
                                              struct acme_directory *directory);
/* RFC 8555 section 7.1.3. */
MUST_USE enum status acme_json_read_order(struct arena *arena, struct str text,
                                          struct acme_json_order *order);
/* RFC 8555 section 7.1.4; challenges that are not known are passed over. */
MUST_USE enum status acme_json_read_authorization(struct arena *arena, struct str text,
                                                  struct acme_json_authorization *authorization);
/* RFC 9773 section 4.2; *window is empty when it is refused. */
MUST_USE enum status acme_json_read_window(struct str text, struct acme_window *window);

/* A problem document (RFC 9457) in one line: the type without its common prefix, the detail, and
 * those of the subproblems with their names. Absent: it is none. */
struct str acme_json_problem(struct arena *arena, struct str text);
/* Whether it is a problem of this type, named without the prefix: "badNonce". */
bool acme_json_is_problem(struct str text, const char *type);

/* "http-01" */
const char *acme_json_challenge_name(enum acme_challenge challenge);

#endif
