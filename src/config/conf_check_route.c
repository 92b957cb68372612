/* SPDX-License-Identifier: Apache-2.0
 *
 * The checks of routes: one deed each, services that exist, names once, values that can be sent.
 * Called by conf_check().
 */
#include <string.h>

#include "base/text.h"
#include "config/conf_check.h"
#include "config/names.h"

/* What all routes are checked against. */
struct review {
    struct decoder *decoder;
    const struct conf *conf;
    struct diag *diag;
    struct names services, routes;
};

static struct span place_of(const struct conf_route *route)
{
    return route->name.s.len ? route->name.at : route->at;
}

static void check_deed(struct review *review, const struct conf_route *route)
{
    int deeds = (route->service.s.p != NULL) + route->redirect.is_set + route->respond.is_set;

    if (deeds == 0) {
        diag_error(review->diag, place_of(route), "the route does nothing");
        diag_hint(review->diag, "add one of service, redirect and respond");
    } else if (deeds > 1) {
        diag_error(review->diag, place_of(route),
                   "a route has one of service, redirect and respond, not several");
    }
    if (route->service.s.len && names_get(&review->services, route->service.s) == NAMES_NONE)
        conf_check_unknown_service(review->diag, review->conf, &route->service);
}

static void check_redirect(struct review *review, const struct conf_route *route)
{
    static const uint32_t statuses[] = {301, 302, 303, 307, 308};
    bool is_good = false;

    if (!route->redirect.is_set)
        return;
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        is_good |= route->redirect.status == statuses[i];
    if (!is_good && route->redirect.status)
        diag_error(review->diag, place_of(route),
                   "%u is not a status for a redirect: 301, 302, 303, 307 or 308",
                   route->redirect.status);
    if (conf_check_text(review->diag, &route->redirect.to) && route->redirect.to.s.len &&
        memchr(route->redirect.to.s.p, ' ', route->redirect.to.s.len))
        diag_error(review->diag, route->redirect.to.at, "a URL has no spaces");
}

static void check_prefix(struct review *review, const struct conf_text *prefix)
{
    conf_check_text(review->diag, prefix);
    if (prefix->s.len && prefix->s.p[0] != '/')
        diag_error(review->diag, prefix->at, "a prefix must begin with \"/\"");
}

static void check_rewrite(struct review *review, const struct conf_route *route)
{
    const struct conf_text *regex = &route->rewrite.regex, *replace = &route->rewrite.replace;

    check_prefix(review, &route->rewrite.strip_prefix);
    check_prefix(review, &route->rewrite.add_prefix);
    conf_check_text(review->diag, replace);
    if (regex->s.p && !replace->s.p)
        diag_error(review->diag, regex->at, "\"regex\" needs \"replace\"");
    if (replace->s.p && !regex->s.p)
        diag_error(review->diag, replace->at, "\"replace\" needs \"regex\"");
}

/* RFC 9110 5.6.2: a field name is a token. Lower case from here on. */
static void check_header(struct review *review, const struct conf_text *name)
{
    char *p = (char *)name->s.p; /* the conf's own copy */

    if (p && !text_is_token(name->s)) {
        diag_error(review->diag, name->at, "\"%.*s\" is not a header name", STR_FMT(name->s));
        return;
    }
    for (size_t i = 0; i < name->s.len; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] | 0x20);
}

static void check_route(struct review *review, uint32_t i)
{
    const struct conf_route *route = &review->conf->routes[i];
    uint32_t first;

    check_deed(review, route);
    check_redirect(review, route);
    conf_check_text(review->diag, &route->respond.content_type);
    check_rewrite(review, route);
    for (uint32_t k = 0; k < route->headers.count; k++) {
        check_header(review, &route->headers.items[k].name);
        conf_check_text(review->diag, &route->headers.items[k].value);
    }
    for (uint32_t k = 0; k < route->path_count; k++)
        conf_check_text(review->diag, &route->paths[k].text);
    if (route->name.s.p != route->service.s.p)
        conf_check_name(review->diag, &route->name);
    first = route->name.s.len ? names_put(&review->routes, route->name.s, i) : NAMES_NONE;
    if (first != NAMES_NONE && first != i)
        conf_check_twice(review->diag, "route", &route->name, &review->conf->routes[first].name);
}

static void check_any(struct review *review)
{
    const struct conf *conf = review->conf;

    if (conf->route_count || review->diag->errors)
        return;
    if (!conf->service_count) {
        diag_error(review->diag, review->decoder->at,
                   "no services and no routes: nothing to serve");
        diag_hint(review->diag, "write services: {app: {targets: [\"127.0.0.1:3000\"]}}");
    } else {
        diag_error(review->diag, conf->services[1].name.at,
                   "several services and no routes: nothing says which one answers");
        diag_hint(review->diag, "add routes");
    }
}

void conf_check_routes(struct decoder *decoder)
{
    struct review review = {.decoder = decoder, .conf = decoder->conf, .diag = decoder->diag};
    const struct conf *conf = decoder->conf;
    struct arena scratch;

    arena_init(&scratch, NULL, 0);
    names_init(&review.services, &scratch, conf->service_count);
    names_init(&review.routes, &scratch, conf->route_count);
    for (uint32_t i = 0; i < conf->service_count; i++)
        names_put(&review.services, conf->services[i].name.s, i);
    for (uint32_t i = 0; i < conf->route_count; i++)
        check_route(&review, i);
    check_any(&review);
    arena_reset(&scratch);
}
