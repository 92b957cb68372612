/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by hmac.c, which looks at requests, and hmac_conf.c, which knows the keys of its
 * configuration and makes them what requests need.
 */
#ifndef EDGE_FILTER_HMAC_IMPL_H
#define EDGE_FILTER_HMAC_IMPL_H

#include "config/field.h"
#include "base/mac.h"
#include "sluice/filter.h"

enum { HMAC_SCOPE = 16 };

enum hmac_encoding { HMAC_TEXT, HMAC_BASE64 };

struct hmac_key {
    struct conf_text id, secret, consumer, tier;
    enum hmac_encoding encoding;
    /* made by prepare() */
    struct mac *mac;
    uint8_t scope[HMAC_SCOPE]; /* what tells its nonces from those of other secrets */
};

struct hmac_conf {
    struct hmac_key *keys; /* sorted by id, by prepare() */
    uint32_t key_count;
    struct conf_texts components;
    struct conf_text tag, realm;
    uint64_t window_ms, skew_ms, body; /* milliseconds; bytes */
    bool digest, nonce, optional;
    /* made by prepare() */
    struct str accept, accept_body; /* Accept-Signature, of requests without and with a body */
};

/* The keys of the configuration. */
extern const struct field hmac_conf_fields[];

/* The filter's hooks of these names. */
bool hmac_conf_check(void *conf, struct span at, struct diag *diag);
bool hmac_conf_prepare(void *conf, const struct filter_prepare *prepare);
void hmac_conf_dispose(void *conf);

/* NULL: there is none. */
const struct hmac_key *hmac_conf_find(const struct hmac_conf *conf, struct str id);

#endif
