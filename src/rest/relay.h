/* SPDX-License-Identifier: Apache-2.0
 *
 * A call handed on to another API server at a unix socket, one connection each. Its answer is
 * passed on as it comes, and no faster than the client reads. Until its head is there the call can
 * still be refused; after that, what breaks there breaks here. The loop's thread.
 */
#ifndef REST_RELAY_H
#define REST_RELAY_H

#include "rest/rest.h"

struct rest_relay_options {
    const char *socket;        /* of another API server */
    struct str fields;         /* header lines to send it */
    uint32_t head_ms, idle_ms; /* until it answers; between bytes after that */
    unsigned most;             /* calls handed on at a time */
    /* There is no answer, and the call needs one. */
    void (*refuse)(struct rest_call *call, const char *why);
};
/* Has another server answer the call, body and all; of the client's header it sees Accept,
 * Content-Type, Idempotency-Key, If-Match and Last-Event-ID alone. */
void rest_relay(struct rest_call *call, const struct rest_relay_options *options);

#endif
