/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of rate_limit, and what they are compiled to once a configuration. For rate_limit*.c
 * alone. Immutable once prepared.
 */
#ifndef EDGE_FILTER_RATE_LIMIT_CONF_H
#define EDGE_FILTER_RATE_LIMIT_CONF_H

#include "base/cidr.h"
#include "config/field.h"
#include "edge/limit/gcra.h"
#include "sluice/filter.h"

enum { LIMITS_MAX = 8, PARTS_MAX = 8 };

/* What requests are told apart by. */
enum part_kind {
    PART_CLIENT_IP,
    PART_CONSUMER,
    PART_ROUTE,
    PART_PATH,
    PART_HEADER, /* from here on with a name */
    PART_COOKIE,
    PART_CLAIM,
};

struct part {
    enum part_kind kind;
    struct str name; /* of the header, the cookie, the claim */
};

struct parts {
    struct part *items;
    uint32_t count;
    struct str text; /* as written, joined by commas */
};

struct rate {
    uint64_t count, period_ms;
    struct str text;
    struct span at; /* source NULL: not written */
};

/* One limit: an element of `limits`, a tier, or what the filter's own keys say. */
struct limit_conf {
    struct conf_text name;
    struct rate rate;
    uint64_t burst;  /* 0: as many as the rate's */
    struct parts by; /* none: the filter's */
};

struct limit {
    struct gcra_rate rate;
    struct parts by;
    uint64_t id;      /* of its buckets: they outlive the configuration */
    struct str name;  /* as written, else the rate */
    struct str label; /* the name quoted, as in RateLimit */
};

/* The limits that a request has to pass together. */
struct limit_set {
    struct str tier;
    struct limit *limits;
    uint32_t count;
    struct str policy; /* value of RateLimit-Policy */
};

struct exempt {
    struct cidr *nets;
    struct str *consumers;
    struct conf_pair *headers; /* borrowed names and values */
    uint32_t net_count, consumer_count, header_count;
};

struct rate_limit_conf {
    struct limit_conf own; /* rate, burst, by */
    struct limit_conf *limits;
    uint32_t limit_count;
    struct limit_conf *tiers;
    uint32_t tier_count;
    uint64_t cost;
    struct conf_texts exempt_texts;
    uint32_t assets;        /* enum assets */
    uint32_t on_store_down; /* enum store_down */
    uint32_t store_wait_ms;
    bool dry_run;
    /* compiled */
    struct limit_set usual;
    struct limit_set *tier_sets; /* as tiers */
    struct exempt exempt;
};

enum assets { ASSETS_REFUND, ASSETS_COUNT };
enum store_down { STORE_DOWN_LOCAL, STORE_DOWN_OPEN, STORE_DOWN_CLOSED };

extern const struct field rate_limit_fields[];

/* See struct filter. */
bool rate_limit_check(void *conf, struct span at, struct diag *diag);
bool rate_limit_prepare(void *conf, const struct filter_prepare *prepare);

#endif
