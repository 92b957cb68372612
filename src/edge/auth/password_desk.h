/* SPDX-License-Identifier: Apache-2.0
 *
 * Where one worker has passwords checked: on libuv's threads, one at a time and in order, from a
 * bounded queue in which no client has more than a few places. What was right is remembered by a
 * keyed hash of name, password and the hash it was checked with, so that it costs the time once and
 * ends with the hash; never the password itself. That worker's thread.
 */
#ifndef EDGE_AUTH_PASSWORD_DESK_H
#define EDGE_AUTH_PASSWORD_DESK_H

#include "edge/loop.h"

enum { PASSWORD_DESK_QUEUE = 64, PASSWORD_DESK_CLIENT = 8 };

struct password_desk;
struct password_job;

struct password_ask {
    struct str name, password;
    struct str hash;
    uint64_t client; /* who asks, for fairness; 0: not known */
    bool is_decoy;   /* there is no such user: takes the time all the same, and is wrong */
};

/* NULL: memory, or no randomness. */
struct password_desk *password_desk_new(struct loop *loop);
/* The loop has ended. Clears the pointer; it may be NULL. */
void password_desk_free(struct password_desk **desk);

/* Whether it is known to be right. */
bool password_desk_knows(const struct password_desk *desk, const struct password_ask *ask);
/* Has it checked; `on_done` is called once from the loop, which it has entered. All is copied.
 * NULL: there is no place. */
struct password_job *password_desk_check(struct password_desk *desk, const struct password_ask *ask,
                                         void (*on_done)(void *owner, bool is_right), void *owner);
/* Nobody is told any more. */
void password_desk_cancel(struct password_job *job);

#endif
