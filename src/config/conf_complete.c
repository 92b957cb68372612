/* SPDX-License-Identifier: Apache-2.0
 *
 * What the file left out and depends on the rest of it. Called by load.c once, when decoding found
 * no error.
 */
#include "config/conf_table.h"

static void add_listener(struct decoder *decoder)
{
    struct conf *conf = decoder->conf;

    conf->listeners = arena_zero(decoder->arena, 1, sizeof(*conf->listeners));
    if (!conf->listeners)
        return;
    conf->listener_count = 1;
    field_decode(decoder, conf_listener_fields, NULL, conf->listeners);
}

static void add_route(struct decoder *decoder)
{
    struct conf *conf = decoder->conf;

    conf->routes = arena_zero(decoder->arena, 1, sizeof(*conf->routes));
    if (!conf->routes)
        return;
    conf->route_count = 1;
    conf->routes[0].at = conf->services[0].at;
    conf->routes[0].name = conf->services[0].name;
    conf->routes[0].service = conf->services[0].name;
    conf->routes[0].timeouts = conf->timeouts;
}

void conf_complete(struct decoder *decoder)
{
    struct conf *conf = decoder->conf;

    conf_filters_complete(decoder, &conf->filters);
    if (!conf->listener_count)
        add_listener(decoder);
    conf_complete_trust(decoder);
    if (!conf->admin.socket.s.len) {
        conf->admin.socket.s =
            arena_format(decoder->arena, "%.*s/admin.sock", STR_FMT(conf->state.s));
        conf->admin.socket.at = conf->state.at;
    }
    if (!conf->route_count && conf->service_count == 1)
        add_route(decoder);
}
