/* SPDX-License-Identifier: Apache-2.0
 *
 * What a DNS answer holds for a proxy: addresses (A, AAAA), services (SRV) and texts (TXT), read
 * from the bytes of a message (RFC 1035 section 4). Pure: no network, no library. Bytes are
 * hostile: nothing past their end is read, names may not run in circles, and what an answer may
 * make us keep is bounded. Called by resolver_watch.c and
 * resolver_text.c. One thread an answer.
 */
#ifndef EDGE_UPSTREAM_DNS_ANSWER_H
#define EDGE_UPSTREAM_DNS_ANSWER_H

#include <netinet/in.h>

#include "base/arena.h"

enum {
    DNS_RECORDS_MAX = 4096,
    DNS_NAME_MAX = 254, /* bytes of a name as text, its NUL included */
    DNS_TEXT_MAX = 65536
};

enum dns_type { DNS_A = 1, DNS_TXT = 16, DNS_AAAA = 28, DNS_SRV = 33 };

union dns_address {
    struct sockaddr any; /* AF_INET, AF_INET6; AF_UNSPEC: a service without its address yet */
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

/* `port` is in host order, and in network order also in the address. */
struct dns_record {
    union dns_address address; /* zero where a family has no use for it */
    uint16_t port, priority, weight;
    uint32_t ttl_s;
    struct str target; /* SRV: lower case, without the last dot, with a NUL behind; else absent */
};

/* A set of records: sorted by priority, family, address, port, weight, target once settled. Filled
 * by the functions below, after dns_answer_init(). */
struct dns_answer {
    struct dns_record *records; /* owned, as the texts that they point to */
    uint32_t count, room;
    uint32_t ttl_s; /* smallest of all that led here, aliases included; UINT32_MAX: no record */
    bool is_capped; /* there were more than DNS_RECORDS_MAX: the last ones are left out */
    struct arena texts;
};

/* Makes it empty. */
void dns_answer_init(struct dns_answer *answer);
/* Gives all memory back; the answer is then as after init. */
void dns_answer_free(struct dns_answer *answer);

/* Adds the records of `type` (A, AAAA or SRV) in the answer section of message `bytes`; `port` is
 * that of addresses. Not sorted yet. E_INVALID: no DNS answer, or a broken one; E_NOMEM. On both
 * the answer is for dns_answer_free() alone. */
MUST_USE enum status dns_answer_read(struct dns_answer *answer, struct str bytes,
                                     enum dns_type type, uint16_t port);
/* Adds one; its target is borrowed. Past twice DNS_RECORDS_MAX it is left out, and is_capped set.
 */
MUST_USE enum status dns_answer_add(struct dns_answer *answer, const struct dns_record *record);
/* Sorts, removes what is there twice (the smaller TTL stays), and keeps DNS_RECORDS_MAX. */
void dns_answer_settle(struct dns_answer *answer);
/* The same records but for TTLs; both are settled. */
bool dns_answer_equal(const struct dns_answer *a, const struct dns_answer *b);
/* The size for connect(); 0 for AF_UNSPEC. */
socklen_t dns_address_len(const union dns_address *address);

/* The strings of a TXT answer: those of one record run together (RFC 7208 section 3.3 does so),
 * records are parted by a comma. *text is malloc'ed, the caller's, terminated by a NUL that is not
 * counted, of at most DNS_TEXT_MAX bytes, "" when there is no TXT record. Errors as above. */
MUST_USE enum status dns_answer_text(struct str bytes, struct str *text);

#endif
