/* SPDX-License-Identifier: Apache-2.0
 *
 * Who a client is, when the connection is a proxy's: hops are walked from the nearest outwards, and
 * the word of each is taken only while it is one whose word we take. Of a platform's proxy that is
 * its own header (Fly-Client-IP, X-Real-IP, CF-Connecting-IP), of proxies of one's own the next of
 * X-Forwarded-For, right to left. The first address that is no such hop is the client. Pure.
 */
#ifndef EDGE_TRUST_H
#define EDGE_TRUST_H

#include "config/conf.h"
#include "sluice/caller.h"
#include "sluice/head.h"

/* What the hops said; texts stand in the head or the arena. */
struct trust_word {
    struct caller caller;
    struct str request_id; /* absent: none was said, or it is none to keep */
    unsigned hops;         /* whose word was taken; 0: `caller` is the peer */
    bool is_own;           /* the nearest of them is a proxy of one's own, and no platform's, which
                            * passes on what it does not know */
    uint64_t kept;         /* header ids of addresses that hops vouch for */
};

/* E_NOMEM: the arena is full. `peer` is copied where nobody speaks for another. */
MUST_USE enum status trust_decide(const struct conf_trust *trust, const struct caller *peer,
                                  const struct head *request, struct arena *arena,
                                  struct trust_word *word);
/* Whether anybody's word is taken at all: if not, trust_decide() need not be asked. */
static inline bool trust_is_any(const struct conf_trust *trust)
{
    return trust->platforms.count || trust->proxies.count;
}

/* Removes what a request that nobody vouches for claims of its client and its way. */
void trust_strip(struct head *request);
/* Of one whose hops are believed: the addresses that they do not vouch for. */
void trust_strip_addresses(struct head *request, uint64_t kept);

/* Whether a peer may begin its connections to this listener with a PROXY header: those it trusts,
 * else those of `conf`'s platform, else addresses that are not public. */
bool trust_takes_proxy(const struct conf *conf, const struct conf_listener *listener,
                       const uint8_t ip[IP_LEN]);
/* Loopback, private, shared and link-local addresses, unique local ones of IPv6. */
bool trust_is_private(const uint8_t ip[IP_LEN]);

/* What traffic looks like when somebody's word should be taken and is not, or should not be. */
enum trust_doubt {
    TRUST_DOUBT_NONE,
    TRUST_DOUBT_ONE_ADDRESS, /* all come from one private address, and claim others */
    TRUST_DOUBT_CLOUDFLARE,  /* they come from Cloudflare, whose header is not read */
};

/* A worker's look at its requests. Written by it alone; others read `run` and `doubt` relaxed. */
struct trust_watch {
    uint8_t ip[IP_LEN]; /* of the last request */
    uint32_t run;       /* requests in a row that look like this */
    uint8_t doubt;      /* enum trust_doubt */
};

enum { TRUST_DOUBTFUL = 200 /* so many in a row are no chance */ };

/* Notes a request whose caller has been decided. */
void trust_look(struct trust_watch *watch, const struct caller *caller, const struct head *request,
                uint64_t kept);
/* What to tell the operator; static; NULL: nothing is wrong. */
const char *trust_warning(enum trust_doubt doubt);

/* In words, for people: "Fly-Client-IP from Fly's proxies, then ...". In `arena`; absent when full.
 */
struct str trust_describe(const struct conf *conf, const struct conf_listener *listener,
                          struct arena *arena);

#endif
