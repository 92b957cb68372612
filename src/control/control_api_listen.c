/* SPDX-License-Identifier: Apache-2.0
 *
 * Control's own doors, where no edge stands before it (`role: control`): the admin address, with
 * TLS and tokens, and the admin socket. Who may ask what is decided as at an edge.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/control_api_impl.h"
#include "control/say.h"
#include "process/bind.h"
#include "rest/page.h"
#include "rest/rest_guard.h"
#include "rest/rest_session.h"

/* --- who may ask */

static bool copy(struct arena *arena, struct str *to, struct str s)
{
    *to = s.len ? arena_copy(arena, s) : STR("");
    return to->p != NULL;
}

/* What is asked of it when somebody calls, without the places in the file. */
static bool copy_conf(struct arena *arena, struct conf_admin *to, const struct conf_admin *from)
{
    bool is_good = copy(arena, &to->bind.host, from->bind.host);

    to->bind.is_unix = from->bind.is_unix;
    to->tokens = arena_zero(arena, from->token_count + 1U, sizeof(*to->tokens));
    if (!to->tokens)
        return false;
    for (uint32_t i = 0; is_good && i < from->token_count; i++) {
        struct conf_token *token = &to->tokens[i];

        is_good = copy(arena, &token->name.s, from->tokens[i].name.s) &&
                  copy(arena, &token->token.s, from->tokens[i].token.s);
        token->can = from->tokens[i].can;
    }
    to->token_count = from->token_count;
    return is_good;
}

static bool remember(struct control_doors *doors, const struct conf_admin *conf)
{
    struct conf_admin fresh = {.token_count = 0};
    struct arena arena;

    arena_init(&arena, NULL, 0);
    if (!copy_conf(&arena, &fresh, conf)) {
        arena_reset(&arena);
        return false;
    }
    arena_reset(&doors->arena);
    doors->arena = arena;
    doors->conf = fresh;
    return true;
}

/* --- doors */

static void close_door(struct control_api *api, char bind[REST_BIND])
{
    if (!*bind)
        return;
    rest_server_unlisten(&api->server, bind);
    if (!strncmp(bind, "unix:", 5))
        unlink(bind + 5);
    *bind = '\0';
}

bool control_api_serve(struct control_api *api, const char *bind, unsigned tag)
{
    struct bind_options options = {.is_admin = true, .uid = geteuid(), .gid = getegid()};
    struct bind_address address;
    const char *why = NULL;
    int fd;

    if (bind_parse(bind, &address, &why))
        say_line("cannot serve at %s: %s", bind, why);
    else if (bind_probe(&address))
        say_line("cannot serve at %s: another program does", bind);
    else if (bind_open(&address, &options, &fd))
        say_line("cannot serve at %s: %m", bind);
    else if (rest_server_listen(&api->server, bind, tag, fd))
        return true;
    else
        say_line("cannot serve at %s", bind);
    return false;
}

static void move_door(struct control_api *api, char bind[REST_BIND], struct str to)
{
    char fresh[REST_BIND];

    if (to.len >= sizeof(fresh)) {
        say_line("cannot serve at %.*s: too long", STR_FMT(to));
        return;
    }
    snprintf(fresh, sizeof(fresh), "%.*s", STR_FMT(to));
    if (!strcmp(fresh, bind))
        return;
    close_door(api, bind);
    if (control_api_serve(api, fresh, CONTROL_OWN_DOOR))
        memcpy(bind, fresh, sizeof(fresh));
}

void control_api_listen(struct control_api *api, const struct conf_admin *conf)
{
    struct control_doors *doors = &api->doors;
    char socket[REST_BIND];
    int len = snprintf(socket, sizeof(socket), "unix:%.*s", STR_FMT(conf->socket.s));

    if (!remember(doors, conf)) {
        say_line("out of memory: who may ask stays as it is");
        return;
    }
    rest_server_secure(&api->server, CONTROL_OWN_DOOR, conf->is_tls ? conf->tls.cert.s : STR_NONE,
                       conf->is_tls ? conf->tls.key.s : STR_NONE);
    move_door(api, doors->bind, conf->bind.text.s);
    move_door(api, doors->socket, (struct str){socket, (size_t)len});
}

void control_api_shut(struct control_api *api)
{
    close_door(api, api->doors.bind);
    close_door(api, api->doors.socket);
}

/* --- calls */

bool control_api_admit(struct control_call *call, bool is_open)
{
    const struct conf_admin *conf = &call->api->doors.conf;
    struct rest_asker asker;

    if (!rest_guard_site(&call->rest, conf))
        return false;
    if (is_open)
        return true;
    if (!rest_guard_identify(&call->rest, conf, &asker))
        return false;
    call->can = asker.can;
    call->actor = asker.actor;
    return true;
}

bool control_api_permit(struct control_call *call, enum conf_right right)
{
    const struct rest_asker asker = {.can = call->can, .actor = call->actor};

    if (call->rest.tag == CONTROL_OWN_DOOR)
        return rest_guard_right(&call->rest, &asker, right);
    if (call->can >> right & 1)
        return true;
    rest_problem(&call->rest, 403, "forbidden", "Whoever asks lacks the right.");
    return false;
}

void control_api_alive(struct control_call *call)
{
    rest_reply(&call->rest, 200, "text/plain", STR("ok\n"));
}

void control_api_ready(struct control_call *call)
{
    const char *error = store_error(call->api->options.store);

    if (error)
        rest_problem(&call->rest, 503, "store_failed", "Control's store failed: %s.", error);
    else
        rest_reply(&call->rest, 200, "text/plain", STR("ready\n"));
}

/* --- the dashboard */

void control_api_page(struct control_call *call)
{
    page_serve(&call->rest, call->rest.parts[0]);
}

void control_api_session_get(struct control_call *call)
{
    rest_session_show(&call->rest, &call->api->doors.conf);
}

void control_api_session_begin(struct control_call *call)
{
    rest_session_begin(&call->rest, &call->api->doors.conf);
}

void control_api_session_end(struct control_call *call)
{
    rest_session_end(&call->rest, &call->api->doors.conf);
}
