/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/tls/doors.h"

#include <stdio.h>
#include <string.h>

#include "edge/tls/tls_trust.h"

struct making {
    struct doors *doors;
    const struct doors_build *ask;
    struct diag *diag;
};

const struct door *doors_find(const struct doors *doors, struct str bind)
{
    for (uint32_t i = 0; i < doors->count; i++)
        if (str_same(doors->list[i].bind, bind))
            return &doors->list[i];
    return NULL;
}

static void free_pushed(const struct tls_pushed *pushed)
{
    struct certificate *certificate = (struct certificate *)(uintptr_t)pushed->certificate;

    certificate_free(&certificate);
}

void doors_fini(struct doors *doors)
{
    for (uint32_t i = 0; i < doors->count; i++)
        tls_server_unref(&doors->list[i].tls);
    for (uint32_t i = 0; i < doors->client_count; i++)
        tls_client_unref(&doors->clients[i]);
    tls_client_unref(&doors->redis);
    for (uint32_t i = 0; i < doors->pushed_count; i++)
        free_pushed(&doors->pushed[i]);
    X509_STORE_free(doors->system);
    arena_reset(&doors->arena);
    *doors = (struct doors){.count = 0};
}

static bool make_room(struct doors *doors, uint32_t listeners, uint32_t services, uint32_t pushed)
{
    struct arena *arena = &doors->arena;

    *doors = (struct doors){.count = 0};
    arena_init(arena, NULL, 0);
    doors->list = arena_zero(arena, listeners, sizeof(*doors->list));
    doors->clients = arena_zero(arena, services, sizeof(struct tls_client *));
    doors->pushed = arena_zero(arena, pushed, sizeof(*doors->pushed));
    return doors->list && doors->clients && doors->pushed;
}

static bool copy_pushed(struct doors *doors, const struct tls_pushed *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct tls_pushed *to = &doors->pushed[i];

        to->certificate = certificate_copy(from[i].certificate);
        doors->pushed_count = i + 1;
        to->name = arena_copy(&doors->arena, from[i].name);
        if (!to->certificate || !to->name.p)
            return false;
    }
    return true;
}

/* --- building */

/* What `keeps_old` makes of errors: the file is told, and what was there goes on. */
static void soften(struct making *making, const struct diag *from)
{
    for (unsigned i = 0; i < from->count; i++)
        diag_warn(making->diag, from->entries[i].at, "%.*s%s", STR_FMT(from->entries[i].text),
                  from->entries[i].severity == SEVERITY_ERROR ? "; what was read before goes on"
                                                              : "");
}

static struct tls_server *make_server(struct making *making, const struct conf_listener *listener)
{
    const struct doors_build *ask = making->ask;
    const struct door *old = ask->before ? doors_find(ask->before, listener->bind.text.s) : NULL;
    struct tls_server_build build = {
        .listener = listener,
        .pushed = ask->pushed,
        .pushed_count = ask->pushed_count,
        .tickets = ask->tickets,
        .challenges = ask->challenges,
        .before = old ? old->tls : NULL,
        .keeps_old = ask->keeps_old,
    };
    struct tls_server *server;
    struct diag diag;

    if (!ask->keeps_old || !build.before)
        return tls_server_new(&build, making->diag);
    diag_init(&diag, making->diag->arena);
    server = tls_server_new(&build, &diag);
    soften(making, &diag);
    if (server)
        return server;
    tls_server_ref(old->tls);
    return old->tls;
}

/* RFC 6797 6.1 */
static void set_hsts(struct door *door, const struct conf_tls *tls)
{
    if (tls->hsts.max_age_ms)
        snprintf(door->hsts, sizeof(door->hsts), "max-age=%llu%s%s",
                 (unsigned long long)(tls->hsts.max_age_ms / 1000),
                 tls->hsts.subdomains ? "; includeSubDomains" : "",
                 tls->hsts.preload ? "; preload" : "");
}

static bool make_door(struct making *making, const struct conf_listener *listener)
{
    uint32_t index = making->doors->count++;
    struct door *door = &making->doors->list[index];
    const struct conf_tls *tls = &listener->tls;

    door->index = index;
    door->bind = arena_copy(&making->doors->arena, listener->bind.text.s);
    door->http2 = listener->http2;
    door->redirect_https = listener->redirect_https;
    if (!tls->is_set)
        return door->bind.p != NULL;
    set_hsts(door, tls);
    snprintf(door->cert_header, sizeof(door->cert_header), "%.*s", STR_FMT(tls->client_header.s));
    door->tls = make_server(making, listener);
    return door->bind.p && door->tls;
}

/* NULL: an error. */
static struct tls_client *keep_or_make(struct making *making, const struct conf_service *service,
                                       struct tls_client *old)
{
    struct tls_client *client;
    struct diag diag;

    if (!making->ask->keeps_old || !old)
        return tls_client_new(service, making->doors->system, making->diag);
    diag_init(&diag, making->diag->arena);
    client = tls_client_new(service, making->doors->system, &diag);
    soften(making, &diag);
    if (client)
        return client;
    tls_client_ref(old);
    return old;
}

static bool make_client(struct making *making, const struct conf_service *service, uint32_t i)
{
    const struct doors *before = making->ask->before;
    struct tls_client **client = &making->doors->clients[i];

    making->doors->client_count = i + 1;
    if (!service->tls.is_set)
        return true;
    *client = keep_or_make(making, service,
                           before && i < before->client_count ? before->clients[i] : NULL);
    return *client != NULL;
}

/* As a service that agrees on no protocol. */
static bool make_redis(struct making *making, const struct conf_redis *redis)
{
    const struct doors *before = making->ask->before;
    const struct conf_service service = {.protocol = CONF_NO_PROTOCOL, .tls = redis->tls};

    making->doors->redis = keep_or_make(making, &service, before ? before->redis : NULL);
    return making->doors->redis != NULL;
}

static bool needs_system(const struct conf_target_tls *tls)
{
    return tls->is_set && tls->verify && tls_trust_is_system(tls->ca.s);
}

/* Read once for all services, and again when the configuration is. */
static bool find_system(struct making *making)
{
    const struct doors_build *ask = making->ask;
    bool is_needed = ask->conf->has_redis && needs_system(&ask->conf->redis.tls);

    for (uint32_t i = 0; i < ask->conf->service_count; i++)
        is_needed |= needs_system(&ask->conf->services[i].tls);
    if (!is_needed)
        return true;
    if (ask->keeps_old && ask->before && ask->before->system) {
        making->doors->system = ask->before->system;
        return X509_STORE_up_ref(ask->before->system) == 1;
    }
    making->doors->system = tls_trust_system();
    return making->doors->system != NULL;
}

/* All that is wrong is told, not the first alone. */
static bool fill(struct making *making)
{
    const struct conf *conf = making->ask->conf;
    bool is_good = find_system(making);

    for (uint32_t i = 0; i < conf->listener_count; i++)
        is_good &= make_door(making, &conf->listeners[i]);
    for (uint32_t i = 0; i < conf->service_count; i++)
        is_good &= make_client(making, &conf->services[i], i);
    if (conf->has_redis && conf->redis.is_tls)
        is_good &= make_redis(making, &conf->redis);
    return is_good;
}

bool doors_init(struct doors *doors, const struct doors_build *ask, struct diag *diag)
{
    struct making making = {doors, ask, diag};
    unsigned errors = diag->errors;

    if (make_room(doors, ask->conf->listener_count, ask->conf->service_count, ask->pushed_count) &&
        fill(&making) && copy_pushed(doors, ask->pushed, ask->pushed_count))
        return true;
    if (diag->errors == errors)
        diag_error(diag, (struct span){0}, "out of memory");
    doors_fini(doors);
    return false;
}

bool doors_copy(struct doors *doors, const struct doors *from)
{
    bool is_good = make_room(doors, from->count, from->client_count, from->pushed_count);

    for (uint32_t i = 0; is_good && i < from->count; i++) {
        doors->list[i] = from->list[i];
        if (from->list[i].tls)
            tls_server_ref(from->list[i].tls);
        doors->count = i + 1;
        doors->list[i].bind = arena_copy(&doors->arena, from->list[i].bind);
        is_good = doors->list[i].bind.p != NULL;
    }
    for (uint32_t i = 0; is_good && i < from->client_count; i++) {
        doors->clients[i] = from->clients[i];
        if (from->clients[i])
            tls_client_ref(from->clients[i]);
        doors->client_count = i + 1;
    }
    doors->redis = from->redis;
    if (from->redis)
        tls_client_ref(from->redis);
    doors->system = from->system;
    if (from->system)
        X509_STORE_up_ref(from->system);
    if (is_good && copy_pushed(doors, from->pushed, from->pushed_count))
        return true;
    doors_fini(doors);
    return false;
}
