/* SPDX-License-Identifier: Apache-2.0
 *
 * The checks of services: targets that are told apart, checks that can be made, and what answers in
 * their place. Called by conf_check().
 */
#include <string.h>

#include "base/text.h"
#include "config/conf_check.h"
#include "config/names.h"

enum { SIGN_KEY_MIN = 32 };

/* What all services are checked against. */
struct review {
    const struct conf *conf;
    struct diag *diag;
    struct names services;
};

void conf_check_unknown_service(struct diag *diag, const struct conf *conf,
                                const struct conf_text *name)
{
    const char **names, *nearest;

    diag_error(diag, name->at, "no service named \"%.*s\"", STR_FMT(name->s));
    if (diag->dropped)
        return;
    names = arena_zero(diag->arena, conf->service_count, sizeof(*names));
    for (uint32_t i = 0; names && i < conf->service_count; i++)
        names[i] = conf->services[i].name.s.p ? conf->services[i].name.s.p : "";
    nearest = names ? diag_nearest(name->s, names, conf->service_count) : NULL;
    for (uint32_t i = 0; nearest && i < conf->service_count; i++) {
        if (names[i] != nearest)
            continue;
        diag_hint(diag, "did you mean \"%s\" (line %u)?", nearest,
                  diag_line(conf->services[i].name.at));
        return;
    }
}

void conf_check_targets(struct diag *diag, struct span at, const struct conf_target *targets,
                        uint32_t count)
{
    struct arena scratch;
    struct names names;

    arena_init(&scratch, NULL, 0);
    if (count > CONF_TARGETS_MAX)
        diag_error(diag, at, "more than %d targets", CONF_TARGETS_MAX);
    if (count > 1)
        names_init(&names, &scratch, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct conf_text *id = &targets[i].id;
        uint32_t first = count > 1 ? names_put(&names, id->s, i) : NAMES_NONE;

        conf_check_name(diag, id);
        conf_check_name(diag, &targets[i].region);
        if (first != NAMES_NONE)
            conf_check_twice(diag, "target", id, &targets[first].id);
    }
    arena_reset(&scratch);
}

static void check_health(struct diag *diag, const struct conf_service *service)
{
    const struct conf_health *health = &service->health;

    conf_check_text(diag, &health->path);
    conf_check_text(diag, &health->grpc);
    if (health->path.s.len && health->path.s.p[0] != '/')
        diag_error(diag, health->path.at, "a path must begin with \"/\"");
    if (health->path.s.len && health->has_grpc)
        diag_error(diag, health->grpc.at, "a check has a path or asks gRPC, not both");
    if (health->body.s.len && !health->path.s.len)
        diag_error(diag, health->body.at, "\"body\" needs \"path\"");
    if (health->has_grpc && service->protocol == CONF_HTTP1) {
        diag_error(diag, health->grpc.at, "gRPC needs HTTP/2");
        diag_hint(diag, "add \"protocol: h2\" to the service");
    }
}

static void check_discover(struct diag *diag, const struct conf_service *service)
{
    const struct conf_discover *discover = &service->discover;

    if (!discover->is_set)
        return;
    if (!discover->dns.s.len == !discover->file.s.len)
        diag_error(diag, discover->at, "discover has one of dns and file");
    else if (discover->file.s.len && discover->port)
        diag_error(diag, discover->at, "\"port\" goes with dns: a file says the address of each");
    else if (discover->type == CONF_DISCOVER_SRV && discover->port)
        diag_error(diag, discover->at, "SRV records say the port themselves");
    else if (discover->dns.s.len && discover->type != CONF_DISCOVER_SRV && !discover->port)
        diag_error(diag, discover->at, "key \"port\" is missing");
    if (discover->ttl_max_ms < discover->ttl_min_ms)
        diag_error(diag, discover->at, "ttl_max is shorter than ttl_min");
    conf_check_name(diag, &discover->dns);
}

/* A cookie's name is a token (RFC 6265 4.1.1). */
static void check_sticky(struct diag *diag, const struct conf_sticky *sticky)
{
    struct str name = sticky->cookie.s;

    if (name.len && !text_is_token(name))
        diag_error(diag, sticky->cookie.at, "\"%.*s\" is not a name for a cookie", STR_FMT(name));
}

/* The service that answers for service `i`; NAMES_NONE: none. */
static uint32_t next_of(const struct review *review, uint32_t i)
{
    struct str name = review->conf->services[i].fallback.service.s;

    return name.len ? names_get(&review->services, name) : NAMES_NONE;
}

static void check_fallback(const struct review *review, uint32_t i)
{
    const struct conf_text *name = &review->conf->services[i].fallback.service;
    uint32_t next = next_of(review, i);

    conf_check_text(review->diag, &review->conf->services[i].fallback.respond.content_type);
    conf_check_text(review->diag, &review->conf->services[i].maintenance.content_type);
    if (!name->s.len)
        return;
    if (next == NAMES_NONE) {
        conf_check_unknown_service(review->diag, review->conf, name);
        return;
    }
    for (uint32_t steps = 0; next != NAMES_NONE && steps < review->conf->service_count; steps++) {
        if (next == i) {
            diag_error(review->diag, name->at, "fallback leads back to \"%.*s\"",
                       STR_FMT(review->conf->services[i].name.s));
            return;
        }
        next = next_of(review, next);
    }
}

/* One step: what stands before another service has nothing before itself. */
static void check_staging(const struct review *review, uint32_t i)
{
    const struct conf_text *name = &review->conf->services[i].deploy.staging;
    uint32_t at = name->s.len ? names_get(&review->services, name->s) : NAMES_NONE;
    const struct conf_service *staging;

    if (!name->s.len)
        return;
    if (at == NAMES_NONE) {
        conf_check_unknown_service(review->diag, review->conf, name);
        return;
    }
    staging = &review->conf->services[at];
    if (at == i || staging->deploy.staging.s.len)
        diag_error(review->diag, name->at, "\"%.*s\" has a staging of its own",
                   STR_FMT(staging->name.s));
    else if (!staging->provider.is_set)
        diag_error(review->diag, name->at, "nobody runs units for \"%.*s\"",
                   STR_FMT(staging->name.s));
}

static void check_sign(struct diag *diag, const struct conf_sign *sign)
{
    if (sign->is_set && sign->key.s.len && sign->key.s.len < SIGN_KEY_MIN)
        diag_error(diag, sign->key.at, "a key has at least %d bytes", SIGN_KEY_MIN);
}

static void check_service(const struct review *review, uint32_t i)
{
    const struct conf_service *service = &review->conf->services[i];
    struct diag *diag = review->diag;

    if (!service->name.s.len)
        diag_error(diag, service->name.at, "a service needs a name");
    conf_check_name(diag, &service->name);
    if (!service->target_count && !service->release_count && !service->discover.is_set &&
        !service->provider.is_set) {
        diag_error(diag, service->at, "the service has no targets");
        diag_hint(diag, "write targets: [\"127.0.0.1:3000\"], or discover: {dns: ..., port: ...}");
    }
    conf_check_targets(diag, service->name.at, service->targets, service->target_count);
    conf_check_releases(diag, service);
    check_health(diag, service);
    check_discover(diag, service);
    conf_check_provider(diag, service);
    conf_check_scale(diag, service);
    conf_check_slo(diag, &service->slo);
    conf_check_fly(diag, review->conf, service);
    conf_check_railway(diag, review->conf, service);
    check_sticky(diag, &service->sticky);
    check_fallback(review, i);
    check_staging(review, i);
    check_sign(diag, &service->sign);
    if (service->limits.adaptive.max < service->limits.adaptive.min)
        diag_error(diag, service->name.at, "the adaptive limit's max is below its min");
}

void conf_check_services(struct decoder *decoder)
{
    struct review review = {.conf = decoder->conf, .diag = decoder->diag};
    struct arena scratch;

    arena_init(&scratch, NULL, 0);
    names_init(&review.services, &scratch, review.conf->service_count);
    for (uint32_t i = 0; i < review.conf->service_count; i++)
        names_put(&review.services, review.conf->services[i].name.s, i);
    for (uint32_t i = 0; i < review.conf->service_count; i++)
        check_service(&review, i);
    arena_reset(&scratch);
}
