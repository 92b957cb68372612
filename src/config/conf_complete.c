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

/* Those of its releases are its targets, and know whose they are. */
static bool gather_targets(struct decoder *decoder, struct conf_service *service)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < service->release_count; i++)
        count += service->releases[i].target_count;
    service->targets = arena_zero(decoder->arena, count, sizeof(*service->targets));
    if (!service->targets)
        return false;
    for (uint32_t i = 0; i < service->release_count; i++)
        for (uint32_t k = 0; k < service->releases[i].target_count; k++) {
            struct conf_target *target = &service->targets[service->target_count++];

            *target = service->releases[i].targets[k];
            target->release = service->releases[i].name.s;
        }
    return true;
}

static void complete_service(struct decoder *decoder, struct conf_service *service)
{
    if (!service->release_count)
        for (uint32_t i = 0; i < service->target_count; i++)
            service->targets[i].release = STR(CONF_STABLE);
    else if (service->target_count)
        diag_error(decoder->diag, service->targets[0].at,
                   "a service with releases has no targets beside theirs");
    else if (!gather_targets(decoder, service))
        diag_error(decoder->diag, service->at, "out of memory");
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
    for (uint32_t i = 0; i < conf->service_count; i++)
        complete_service(decoder, &conf->services[i]);
    if (!conf->route_count && conf->service_count == 1)
        add_route(decoder);
}
