/* SPDX-License-Identifier: Apache-2.0
 *
 * What a browser shows in place of a token once it has signed in: a random id, an end, and an
 * HMAC-SHA-256 of both under the token itself. So nothing is kept for those who are signed in, a
 * proof is good at every process that knows the token, also after a restart, and it ends at once
 * when the token leaves the configuration or its rights change; and whoever reads a browser's
 * cookies has no token. Only those that were ended before their time are remembered, by the process
 * that was asked to. Pure but for the random id.
 */
#ifndef REST_SESSION_H
#define REST_SESSION_H

#include "config/conf.h"

enum {
    SESSION_LIFE_S = 12 * 60 * 60,
    SESSION_TEXT = 16 + 16 + 64, /* id, end and sum, in hex */
    SESSION_ENDED = 256,
};

struct session {
    uint32_t can;     /* rights: 1 << enum conf_right; 0: it proves nothing */
    struct str name;  /* of the token */
    uint64_t id;      /* random */
    uint64_t until_s; /* Unix time */
};

/* The newest that were ended; {0} is none. */
struct session_ended {
    uint64_t ids[SESSION_ENDED];
    unsigned next;
};

/* Writes a proof of the token, good for SESSION_LIFE_S from now on; no NUL. False: memory, or no
 * randomness. */
bool session_make(struct str token, uint64_t now_s, char text[SESSION_TEXT]);
/* What a proof is worth. How long it takes tells nothing of the tokens but how many there are. */
struct session session_read(const struct conf_admin *admin, struct str text, uint64_t now_s);

/* Ends one before its time. */
void session_end(struct session_ended *ended, uint64_t id);
bool session_has_ended(const struct session_ended *ended, uint64_t id);

#endif
