/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters as written, and routes: which requests, and what becomes of them. Part of struct conf,
 * see conf.h.
 */
#ifndef CONFIG_CONF_ROUTE_H
#define CONFIG_CONF_ROUTE_H

#include "config/conf_limits.h"

struct filter;

/* One filter as written: which, and its own checked struct (of the filter's conf_size), NULL for
 * `name: off`. */
struct conf_filter {
    struct span at;
    const struct filter *filter;
    void *conf;
};

struct conf_filters {
    struct conf_filter *items;
    uint32_t count;
};

/* How one condition of `paths` matches. */
enum conf_path_kind { CONF_PATH_PREFIX, CONF_PATH_EXACT, CONF_PATH_REGEX };

struct conf_path {
    enum conf_path_kind kind;
    struct conf_text text; /* prefix without its "/ *": "/v1" ("" for "/ *"); regex without '~' */
};

struct conf_route {
    struct span at;
    struct conf_text name;   /* empty: none given */
    struct conf_texts hosts; /* lower case; "*.x" wildcard; none: any host */
    struct conf_path *paths;
    uint32_t path_count;       /* none: any path */
    struct conf_texts methods; /* none: any */
    struct conf_pairs headers; /* value "*": any value; names in lower case */
    struct conf_pairs query;   /* value "*": any value */
    /* what happens: exactly one of the three */
    struct conf_text service; /* empty: none */
    struct {
        bool is_set;
        struct conf_text to; /* with ${path} ${query} ${host} ${scheme} */
        uint32_t status;
    } redirect;
    struct {
        bool is_set;
        uint32_t status;
        struct conf_text body, content_type;
    } respond;
    struct {
        struct conf_text strip_prefix, add_prefix; /* empty: none */
        struct conf_text regex, replace;           /* PCRE2, $1 in replace */
    } rewrite;
    struct conf_timeouts timeouts; /* those of the file where not written */
    struct conf_filters filters;
};

#endif
