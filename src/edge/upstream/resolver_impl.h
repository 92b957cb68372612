/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the resolver: resolver.c has the list of watches, the timer and the order of things;
 * resolver_channel.c c-ares, its sockets and single queries; resolver_watch.c what one watch makes
 * of answers; resolver_text.c TXT lookups. c-ares may be in the middle of anything when it calls
 * back, so what it calls takes notes only; owners are told by the pump, with nothing below it.
 */
#ifndef EDGE_UPSTREAM_RESOLVER_IMPL_H
#define EDGE_UPSTREAM_RESOLVER_IMPL_H

#include <sys/stat.h>

#include "edge/upstream/resolver.h"

#define RESOLVER_NEVER_MS UINT64_MAX

struct ares_channeldata;
struct resolver_poll;

/* How a query ended. */
struct resolver_reply {
    struct str bytes;    /* the message; borrowed */
    const char *problem; /* NULL: there is a message with answers */
    bool is_negative;    /* the problem is that the name, or its records, do not exist */
};

/* One question to the servers. Frees itself after `done`. */
struct resolver_query {
    struct resolver *resolver;
    struct resolver_query *next, **link; /* in `unsent` */
    /* Called by c-ares: may start queries, and nothing else of the resolver. NULL: dropped. */
    void (*done)(struct resolver_query *query, const struct resolver_reply *reply);
    void *owner;
    uint32_t index; /* the owner's */
    enum dns_type type;
    bool is_sent;
    char name[DNS_NAME_MAX + 1]; /* with room for a dot at the end */
};

struct resolver {
    uv_loop_t *loop;
    uv_timer_t timer; /* of what is due next: a watch, or a timeout of c-ares */
    struct ares_channeldata *channel;
    char *servers;    /* owned; NULL: the file's */
    const char *path; /* of resolv.conf */
    struct stat file; /* as it was when the channel was made */
    struct resolver_poll *polls;
    struct resolver_query *unsent, **unsent_end;
    struct resolver_watch *watches;
    struct resolver_text *texts;
    uint64_t random;
    unsigned handles; /* of the loop, not yet closed */
    bool is_single;   /* the channel has one server */
    bool is_closing;
};

/* The A or the AAAA lookup of one name. */
struct resolver_lookup {
    struct resolver_query *query; /* NULL: ended, or not asked */
    struct dns_answer answer;
    const char *problem; /* with records: NULL */
    bool is_asked, is_negative;
};

struct resolver_target {
    struct str name;                   /* in `services`, or the watch's own */
    struct resolver_lookup lookups[2]; /* A, AAAA */
};

/* From the first question until the last answer. */
struct resolver_round {
    struct resolver_query *query; /* for SRV records */
    struct dns_answer services;   /* those; of an address watch one, without target */
    struct resolver_target *targets;
    uint32_t target_count, pending; /* queries under way */
    const char *problem;            /* with the SRV records */
};

struct resolver_watch {
    struct resolver *resolver;
    struct resolver_watch *next, **link;
    resolver_on_answer *on_answer;
    void *owner;
    struct resolver_ask ask;
    uint64_t due_ms;   /* loop time of the next round; RESOLVER_NEVER_MS: one is under way */
    uint32_t failures; /* in a row */
    struct resolver_round round;
    struct dns_answer good; /* last good records, and what the owner knows */
    const char *problem;    /* as told */
    char name[];
};

/* --- resolver_channel.c */

/* Makes the channel; false: no memory, or the list of servers is none. */
MUST_USE bool resolver_channel_open(struct resolver *resolver);
/* Every query that was not dropped ends unsent. */
void resolver_channel_close(struct resolver *resolver);
/* Sends what is unsent, by a new channel if resolv.conf has changed. Some may be done at once. */
void resolver_channel_send(struct resolver *resolver);
/* Milliseconds until c-ares has something to do without a socket; RESOLVER_NEVER_MS. */
uint64_t resolver_channel_wait(const struct resolver *resolver);
/* What it has to do then. */
void resolver_channel_tick(struct resolver *resolver);

/* Puts a query like `like` (done, owner, index, type) for `name` among the unsent. NULL, or the
 * problem: `done` is not called then, and *query is NULL. */
MUST_USE const char *resolver_query_start(struct resolver *resolver,
                                          const struct resolver_query *like, struct str name,
                                          struct resolver_query **query);
/* Ends *query without `done`, and clears it; it may be NULL. */
void resolver_query_drop(struct resolver_query **query);

/* --- resolver_servers.c */

/* Has the channel ask the servers of `list`, as resolver_open() takes it. False: it is none, or
 * memory ended. */
MUST_USE bool resolver_servers_set(struct ares_channeldata *channel, const char *list);
unsigned resolver_servers_count(struct ares_channeldata *channel);

/* --- resolver.c */

/* Starts what is due, sends, tells owners, and sets the timer. After whatever c-ares did. */
void resolver_pump(struct resolver *resolver);
/* Has the pump called by the loop soon. */
void resolver_wake(struct resolver *resolver);
/* A handle was closed; the last one frees the resolver. */
void resolver_handle_closed(struct resolver *resolver);

/* --- resolver_watch.c and resolver_text.c, called by the pump */

void resolver_watch_begin(struct resolver_watch *watch);
bool resolver_watch_is_done(const struct resolver_watch *watch);
/* Ends the round: takes the records over, sets due_ms, tells the owner if there is news. The watch
 * may be gone then. */
void resolver_watch_settle(struct resolver_watch *watch);

/* Tells the owners of those that are done; the resolver may be closing then. */
void resolver_text_settle(struct resolver *resolver);
bool resolver_text_is_done(const struct resolver *resolver);

#endif
