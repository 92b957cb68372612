/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection to one Redis or sentinel: name, TCP, TLS, greeting, then commands, whose replies
 * come in their order. What is asked in one turn of the loop leaves in one write. It ends for good
 * when anything is wrong; who wants another opens another. One thread, the loop's.
 */
#ifndef EDGE_UPSTREAM_REDIS_LINK_H
#define EDGE_UPSTREAM_REDIS_LINK_H

#include "edge/loop.h"
#include "edge/tls/tls_client.h"
#include "edge/upstream/redis_slots.h"

enum { REDIS_SHA_LEN = 40, REDIS_OVERDUE_MS = 1000 /* one that answers later is given up */ };

struct redis_link;

/* What on_down says of one that should have been a master. */
extern const char redis_no_master[];

/* How it is spoken to; all is borrowed, and stays while links of it open. */
struct redis_manner {
    struct tls_client *tls;      /* NULL: in the plain */
    const char *user, *password; /* NULL: none */
    uint32_t database;
    bool wants_master; /* what is no master is refused */
    struct str script; /* to be loaded; empty: none */
};

/* What waits for a reply; in its owner's memory until then. */
struct redis_ask {
    /* Once, from a later callback that has entered the loop. NULL: the link has ended. */
    void (*on_reply)(struct redis_ask *ask, const struct redis_reply *reply);
    struct redis_ask *next; /* private from here on */
    uint64_t asked_us;
};

struct redis_link_home {
    struct loop *loop;
    void *owner;
    void (*on_up)(void *owner);
    /* It has ended, its asks were answered, and its pointer is no more. `why` is printable. */
    void (*on_down)(void *owner, const char *why);
};

/* `attempt` counts: of a name with several addresses each is tried. NULL: no memory; else one of
 * on_up and on_down comes, or both, but not from within. */
struct redis_link *redis_link_open(const struct redis_link_home *home,
                                   const struct redis_manner *manner,
                                   const struct redis_address *address, unsigned attempt);
bool redis_link_is_up(const struct redis_link *link);
/* What the script is called by, REDIS_SHA_LEN bytes; when it is up. */
const char *redis_link_sha(const struct redis_link *link);
/* Sends an encoded command. E_FULL or E_NOMEM: not now, and on_reply will not come. */
MUST_USE enum status redis_link_ask(struct redis_link *link, struct redis_ask *ask,
                                    struct str command);
/* Ends it when something has been due for too long. For a timer. */
void redis_link_look(struct redis_link *link);
/* Ends it as on_down says, for a reason of the owner's. */
void redis_link_fail(struct redis_link *link, const char *why);
/* Ends it; asks are answered with NULL, on_down does not come. NULL is fine. Clears the pointer;
 * handles close while the loop runs on. */
void redis_link_close(struct redis_link **link);

/* A command as the protocol wants it, into `size` bytes; its length, 0: no room. */
size_t redis_encode(char *to, size_t size, const struct str *words, unsigned count);

#endif
