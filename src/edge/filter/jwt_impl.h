/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by jwt.c, which looks at requests, and jwt_conf.c, which knows the keys of its
 * configuration and makes them what requests need.
 */
#ifndef EDGE_FILTER_JWT_IMPL_H
#define EDGE_FILTER_JWT_IMPL_H

#include "config/field.h"
#include "edge/auth/credential.h"
#include "edge/auth/key_store.h"
#include "sluice/filter.h"

struct jwt_conf {
    struct conf_text jwks, secret, key;
    struct conf_texts issuer, audience, algorithms, scopes;
    struct conf_pairs forward;
    struct claims_need *needs;
    uint32_t need_count;
    uint64_t leeway_ms;
    struct conf_text header, cookie, query, realm;
    bool expires, optional;
    /* from here on made by prepare() */
    struct credential_places places;
    struct jwt_rules rules;
    struct jwks *own;          /* of `secret` and `key`, or of a file that is only checked */
    struct key_source *source; /* of `jwks` */
    struct key_store *store;
    uint64_t number;
};

/* The keys of the configuration. */
extern const struct field jwt_conf_fields[];

/* The filter's hooks of these names. */
bool jwt_conf_check(void *conf, struct span at, struct diag *diag);
bool jwt_conf_prepare(void *conf, const struct filter_prepare *prepare);
void jwt_conf_dispose(void *conf);

#endif
