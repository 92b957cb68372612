/* SPDX-License-Identifier: Apache-2.0
 *
 * What a verified token says (RFC 7519 section 4.1), and whether that is enough: issuer, audience,
 * times with leeway, required claims and scopes. Pure; any thread.
 */
#ifndef EDGE_AUTH_CLAIMS_H
#define EDGE_AUTH_CLAIMS_H

#include "edge/auth/fault.h"

struct json_t;

/* A claim that must be there. */
struct claims_need {
    struct str name;          /* terminated; with dots also a member of a member */
    const struct str *values; /* one of these is its value, or in its list */
    uint32_t count;           /* 0: any value will do */
};

/* What is asked of a token; borrowed. */
struct claims_rules {
    const struct str *issuers, *audiences, *scopes; /* one of these, one of these, all of these */
    uint32_t issuer_count, audience_count, scope_count; /* 0: not asked */
    const struct claims_need *needs;
    uint32_t need_count;
    uint64_t leeway_ms; /* how far clocks may be apart */
    bool is_endless;    /* a token without exp is accepted */
};

/* Checks all but claims and scopes first, so that FAULT_CLAIM and FAULT_SCOPE mean a caller who is
 * known but may not. *ends_ms: when it stops being good (leeway included), UINT64_MAX for never. */
enum fault claims_check(const struct json_t *claims, const struct claims_rules *rules,
                        uint64_t now_ms, uint64_t *ends_ms);
/* The claim or, for FAULT_SCOPE, the scope that claims_check() found this wrong with, by the name
 * that the rules have for it. Absent: it is none. */
struct str claims_failed(const struct json_t *claims, const struct claims_rules *rules,
                         enum fault fault);

#endif
