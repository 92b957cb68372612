/* SPDX-License-Identifier: Apache-2.0
 *
 * Every filter there is, in the order they run unless a configuration says otherwise. A new filter
 * is its file, its declaration and its line here.
 */
#include "sluice/filter.h"

extern const struct filter filter_access;
extern const struct filter filter_api_key;
extern const struct filter filter_basic;
extern const struct filter filter_body_limit;
extern const struct filter filter_compress;
extern const struct filter filter_cors;
extern const struct filter filter_forward_auth;
extern const struct filter filter_decompress;
extern const struct filter filter_grpc_web;
extern const struct filter filter_headers;
extern const struct filter filter_hmac;
extern const struct filter filter_jwt;
extern const struct filter filter_mirror;
extern const struct filter filter_mtls;
extern const struct filter filter_lua;
extern const struct filter filter_rate_limit;
extern const struct filter filter_shield;
extern const struct filter filter_signed_url;
extern const struct filter filter_validate;

const struct filter *const filter_registry[] = {
    &filter_cors, // first on the way in: preflights need no more; last on the way out
    &filter_access,
    &filter_rate_limit,
    &filter_shield,
    // who asks
    &filter_mtls,
    &filter_hmac, // before those that take their keys out of the query that is signed
    &filter_jwt,
    &filter_api_key,
    &filter_basic,
    &filter_signed_url,
    &filter_forward_auth,
    // what comes in
    &filter_decompress, // before what looks at bodies
    &filter_body_limit,
    &filter_validate,
    &filter_mirror,
    // what goes out
    &filter_compress,
    &filter_grpc_web,
    &filter_headers,
    // what is nobody else's
    &filter_lua,
    NULL,
};
