/* SPDX-License-Identifier: Apache-2.0
 *
 * What no single value can tell: references, duplicates, what goes together. Called by load.c once,
 * also after errors, so members may be empty. Each part of the file has its function; routes are in
 * conf_check_route.c, services in conf_check_service.c, TLS is in conf_check_tls.c.
 */
#include "config/conf_check.h"

#include <string.h>
#include <sys/un.h>

#include "config/names.h"

enum { NAME_LEN_MAX = 128 };

bool conf_check_text(struct diag *diag, const struct conf_text *text)
{
    for (size_t i = 0; i < text->s.len; i++) {
        unsigned char c = (unsigned char)text->s.p[i];
        if (c >= 0x20 && c != 0x7f)
            continue;
        diag_error(diag, text->at, "a control character is not allowed here");
        return false;
    }
    return true;
}

void conf_check_name(struct diag *diag, const struct conf_text *name)
{
    if (name->s.len > NAME_LEN_MAX)
        diag_error(diag, name->at, "a name has at most %d bytes", NAME_LEN_MAX);
    else
        conf_check_text(diag, name);
}

void conf_check_twice(struct diag *diag, const char *what, const struct conf_text *text,
                      const struct conf_text *first)
{
    diag_error(diag, text->at, "%s \"%.*s\" is written twice", what, STR_FMT(text->s));
    if (first->at.source && first->at.source == text->at.source)
        diag_hint(diag, "first on line %u", diag_line(first->at));
    else if (first->at.source)
        diag_hint(diag, "first at %.*s", STR_FMT(diag_place(diag, first->at)));
}

/* Port 0 is another port each time. */
static bool is_same(const struct conf_address *a, const struct conf_address *b)
{
    return a->text.s.len && b->text.s.len && a->is_unix == b->is_unix && a->port == b->port &&
           (a->is_unix || a->port) && str_same(a->host, b->host);
}

static void check_addresses(struct decoder *decoder)
{
    const struct conf *conf = decoder->conf;
    uint32_t count = 0, size = conf->listener_count + 2;
    const struct conf_address **all =
        arena_zero(decoder->arena, size, sizeof(struct conf_address *));

    if (!all)
        return;
    for (; count < conf->listener_count; count++)
        all[count] = &conf->listeners[count].bind;
    all[count++] = &conf->admin.bind;
    all[count++] = &conf->admin.metrics;
    for (uint32_t i = 1; i < count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            bool is_new = !is_same(all[i], all[j]);
            if (is_new)
                continue;
            conf_check_twice(decoder->diag, "address", &all[i]->text, &all[j]->text);
            break;
        }
    }
}

static void check_listeners(struct decoder *decoder)
{
    const struct conf *conf = decoder->conf;

    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_text *path = &conf->listeners[i].health_path;
        if (path->s.len && path->s.p[0] != '/')
            diag_error(decoder->diag, path->at, "health_path must begin with \"/\"");
    }
}

static bool is_loopback(const struct conf_address *address)
{
    struct str host = address->host;

    return address->is_unix || !address->text.s.len || str_same(host, STR("localhost")) ||
           str_same(host, STR("::1")) || (host.len > 4 && memcmp(host.p, "127.", 4) == 0);
}

static void check_admin(struct decoder *decoder)
{
    const struct conf_admin *admin = &decoder->conf->admin;
    struct diag *diag = decoder->diag;
    struct names names;

    if (!is_loopback(&admin->bind) && !admin->token_count) {
        diag_error(diag, admin->bind.text.at, "anything but loopback without a token is refused");
        diag_hint(diag, "add tokens, or bind to 127.0.0.1");
    }
    if (admin->is_tls && admin->bind.is_unix) {
        diag_error(diag, admin->tls.at, "a unix socket is not spoken TLS over");
        diag_hint(diag, "bind to an address, or leave tls out");
    }
    if (admin->socket.s.len >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        diag_error(diag, admin->socket.at,
                   "the path of the admin socket is too long: at most 107 bytes");
    names_init(&names, decoder->arena, admin->token_count);
    for (uint32_t i = 0; i < admin->token_count; i++) {
        const struct conf_text *name = &admin->tokens[i].name;
        uint32_t first = names_put(&names, name->s, i);
        conf_check_name(diag, name);
        if (first != NAMES_NONE)
            conf_check_twice(diag, "token", name, &admin->tokens[first].name);
    }
}

/* A file is told all its errors at once, also those that the route table would find later. */
static void check_patterns(struct decoder *decoder)
{
    const struct conf *conf = decoder->conf;

    if (!decoder->diag->errors || !decoder->world->check_pattern)
        return;
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];

        for (uint32_t k = 0; k < route->path_count; k++)
            if (route->paths[k].kind == CONF_PATH_REGEX)
                decoder->world->check_pattern(route->paths[k].text, decoder->diag);
        if (route->rewrite.regex.s.len)
            decoder->world->check_pattern(route->rewrite.regex, decoder->diag);
    }
}

void conf_check(struct decoder *decoder)
{
    check_listeners(decoder);
    check_addresses(decoder);
    check_admin(decoder);
    conf_check_control(decoder);
    conf_check_notices(decoder);
    conf_check_traces(decoder);
    conf_check_services(decoder);
    conf_check_routes(decoder);
    conf_check_tls(decoder);
    check_patterns(decoder);
}
