/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks in a loop is counted only so often a second: one client that always fails, and is on the
 * canary by its hash, says little about the canary. Whether a request counts is settled when it
 * comes, so that it does not hang on how it ends. Pure; one thread.
 */
#ifndef BASE_LOOP_CAP_H
#define BASE_LOOP_CAP_H

#include <string.h>

#include "sluice/types.h"

enum {
    LOOP_CAP_SLOTS = 1024, /* clients that share one share its number */
    LOOP_CAP_MOST = 5,     /* of a client in a second */
};

struct loop_cap {
    uint64_t second;
    uint8_t counts[LOOP_CAP_SLOTS];
};

/* Whether a request of the client with this hash is counted, in this second of any clock. Zeroed
 * before its first use. */
static inline bool loop_cap_take(struct loop_cap *cap, uint64_t client, uint64_t second)
{
    uint8_t *count = &cap->counts[client % LOOP_CAP_SLOTS];

    if (cap->second != second)
        memset(cap->counts, 0, sizeof(cap->counts));
    cap->second = second;
    if (*count >= LOOP_CAP_MOST)
        return false;
    ++*count;
    return true;
}

#endif
