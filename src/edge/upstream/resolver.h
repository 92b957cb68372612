/* SPDX-License-Identifier: Apache-2.0
 *
 * Names by DNS, asynchronously: c-ares on the loop. A watch looks its name up at once and again
 * whenever its TTL has passed, and tells its owner when the set of records or what is wrong with
 * it changes. While lookups fail, or say that there is nothing, the last good records stand: a name
 * server takes no service down. Only DNS is asked: neither literals nor /etc/hosts are known here.
 * Used by the manager; one thread, the loop's. Callbacks come from the loop, never from within a
 * call of this interface, and may call any of it.
 */
#ifndef EDGE_UPSTREAM_RESOLVER_H
#define EDGE_UPSTREAM_RESOLVER_H

#include <uv.h>

#include "edge/upstream/dns_answer.h"

enum {
    RESOLVER_TARGETS_MAX = 64,     /* names of one SRV answer that are looked up in turn */
    RESOLVER_RETRY_MAX_MS = 30000, /* between lookups that fail, if ttl_min_ms is not more */
    RESOLVER_WAIT_MIN_MS = 10      /* between any two of one watch */
};

struct resolver;       /* private */
struct resolver_watch; /* private */
struct resolver_text;  /* private */

enum resolver_type { RESOLVER_A, RESOLVER_AAAA, RESOLVER_BOTH, RESOLVER_SRV };

/* A name with a dot is absolute; one without is tried in the search domains of resolv.conf. */
struct resolver_ask {
    struct str name; /* copied */
    uint16_t port;   /* of the records; SRV brings its own */
    enum resolver_type type;
    uint32_t ttl_min_ms, ttl_max_ms; /* what TTLs are kept within, but for 10 % of jitter */
};

/* `records` are what to use now: sorted, none twice; none before the first good answer. They are
 * borrowed until the call is over or the watch is ended. `problem` is static text without full
 * stop, NULL: all is well. For failures the records are the last good ones; when there are more
 * than DNS_RECORDS_MAX, the new ones, cut. Of a family or an SRV target whose own lookup failed
 * while others did not, the last good ones stay, and that is no problem. */
typedef void resolver_on_answer(void *owner, const struct dns_record *records, uint32_t count,
                                const char *problem);
/* `text` (borrowed) is that of dns_answer_text(); absent with a problem. */
typedef void resolver_on_text(void *owner, struct str text, const char *problem);

/* `servers`: "127.0.0.1:5353,[::1]:53,::1", at most 16, copied; NULL: those of /etc/resolv.conf, as
 * it reads at the time of each lookup; a path (with a leading '/'): another file of that form.
 * NULL: no memory, or no such list. */
struct resolver *resolver_open(uv_loop_t *loop, const char *servers);
/* Ends all watches and texts, whose pointers are void then, without a further call to their owners;
 * the loop must run until the handles are closed for the memory to go. Clears the pointer; it may
 * be NULL. */
void resolver_close(struct resolver **resolver);

/* NULL: no memory. Ended by resolver_unwatch(), or by resolver_close(). */
struct resolver_watch *resolver_watch(struct resolver *resolver, const struct resolver_ask *ask,
                                      resolver_on_answer *on_answer, void *owner);
/* Clears the pointer; it may be NULL. */
void resolver_unwatch(struct resolver_watch **watch);

/* Looks the TXT records of `name` up, once. It ends with its one call of `on_text`, with
 * resolver_forget(), or with resolver_close(). NULL: no memory. */
struct resolver_text *resolver_text(struct resolver *resolver, struct str name,
                                    resolver_on_text *on_text, void *owner);
/* Clears the pointer; it may be NULL. */
void resolver_forget(struct resolver_text **text);

#endif
