/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/rest_session.h"

#include <string.h>

#include "base/clock.h"
#include "http/cookie.h"
#include "rest/page.h"
#include "rest/rest_guard.h"
#include "rest/token.h"

enum { COOKIES_MAX = 4 }; /* of the same name that are looked at: each costs a sum for each token */

static const char *const rights[] = {"read", "operate", "deploy", "approve"};

/* Cookies know no ports (RFC 6265 8.5), so the name says which: two gateways of one machine do not
 * sign each other out. */
static struct str cookie_name(struct rest_call *call)
{
    struct str host = call->head.authority;
    size_t from = host.len;

    while (from && host.p[from - 1] >= '0' && host.p[from - 1] <= '9')
        from--;
    if (!from || host.p[from - 1] != ':')
        from = host.len;
    return arena_format(&call->arena, "sluice_session_%.*s", (int)(host.len - from), host.p + from);
}

struct session rest_session_of(struct rest_call *call, const struct conf_admin *conf)
{
    struct str left = head_value(&call->head, HDR_COOKIE);
    struct str name = left.p ? cookie_name(call) : STR_NONE;
    uint64_t now_s = clock_wall_ms() / 1000;

    for (unsigned i = 0; i < COOKIES_MAX && name.p && left.p; i++) {
        struct str text = cookie_next(&left, name);
        struct session session = session_read(conf, text, now_s);

        if (session.can && !session_has_ended(&call->server->ended, session.id))
            return session;
    }
    return (struct session){.can = 0};
}

/* Empty text: it is to go. */
static void set_cookie(struct rest_call *call, struct str text)
{
    struct str name = cookie_name(call);

    if (name.p)
        rest_field(call, "Set-Cookie", "%.*s=%.*s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s",
                   STR_FMT(name), STR_FMT(text), text.len ? SESSION_LIFE_S : 0,
                   call->is_secure ? "; Secure" : "");
}

/* --- answers */

static json_t *rights_json(uint32_t can)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ARRAY_LEN(rights); i++)
        if (can >> i & 1)
            json_array_append_new(list, json_string(rights[i]));
    return list;
}

/* What only those may know who may read is left out for others. */
static void show(struct rest_call *call, const struct conf_admin *conf,
                 const struct rest_asker *asker)
{
    json_t *json = json_pack("{s:s,s:s,s:b,s:o,s:b}", "role", call->server->options.who, "page",
                             page_tag, "signed_in", asker->session.can != 0, "can",
                             rights_json(asker->can), "has_tokens", conf->token_count > 0);

    if (asker->can) {
        json_object_set_new(json, "actor", json_stringn(asker->actor.p, asker->actor.len));
        json_object_set_new(json, "version", json_string(SLUICE_VERSION));
    }
    if (asker->session.can) {
        struct str name = asker->session.name;

        json_object_set_new(json, "name", json_stringn(name.p ? name.p : "", name.len));
        json_object_set_new(json, "until_ms",
                            json_integer((json_int_t)(asker->session.until_s * 1000)));
    }
    rest_reply_json(call, 200, json);
}

void rest_session_show(struct rest_call *call, const struct conf_admin *conf)
{
    struct rest_asker asker;

    rest_guard_know(call, conf, &asker);
    show(call, conf, &asker);
}

/* --- signing in */

/* The token that the body holds, in the arena; absent: it is no such body. */
static struct str read_token(struct rest_call *call)
{
    json_t *json =
        json_loadb(call->body.p ? call->body.p : "", call->body.len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *token = json_object_get(json, "token");
    struct str text = STR_NONE;

    if (json_is_string(token) && json_object_size(json) == 1)
        text = arena_copy(&call->arena,
                          (struct str){json_string_value(token), json_string_length(token)});
    json_decref(json);
    return text;
}

static void refuse_wait(struct rest_call *call, uint64_t wait_ms)
{
    unsigned wait_s = (unsigned)((wait_ms + 999) / 1000);

    call->server->refused.counts[REST_TOO_MANY_TRIES]++;
    rest_field(call, "Retry-After", "%u", wait_s);
    rest_problem(call, 429, "too_many_tries",
                 "Too many wrong tokens came from this address: try again in %u s.", wait_s);
}

static void welcome(struct rest_call *call, const struct conf_admin *conf, struct str token)
{
    uint64_t now_s = clock_wall_ms() / 1000;
    struct rest_asker asker = {.can = 0};
    char text[SESSION_TEXT];

    if (!session_make(token, now_s, text)) {
        rest_problem(call, 503, "memory_limit", "Out of memory.");
        return;
    }
    asker.session = session_read(conf, (struct str){text, sizeof(text)}, now_s);
    asker.can = asker.session.can;
    asker.actor = arena_format(&call->arena, "token:%.*s", STR_FMT(asker.session.name));
    set_cookie(call, (struct str){text, sizeof(text)});
    show(call, conf, &asker);
}

void rest_session_begin(struct rest_call *call, const struct conf_admin *conf)
{
    struct guesses *guesses = &call->server->guesses;
    uint64_t now_ms = clock_us() / 1000, wait_ms = guesses_wait_ms(guesses, call->client, now_ms);
    struct str token;

    if (wait_ms) {
        refuse_wait(call, wait_ms);
        return;
    }
    token = read_token(call);
    if (!token.p) {
        rest_problem(call, 400, "body_invalid", "The body is {\"token\": TEXT}.");
    } else if (!token_match(conf, token, NULL)) {
        guesses_add(guesses, call->client, now_ms);
        call->server->refused.counts[REST_TOKEN_UNKNOWN]++;
        rest_field(call, "WWW-Authenticate", "Bearer realm=\"sluice\"");
        rest_problem(call, 401, "unauthorized", "The token is not known.");
    } else {
        guesses_forget(guesses, call->client);
        welcome(call, conf, token);
    }
}

void rest_session_end(struct rest_call *call, const struct conf_admin *conf)
{
    struct rest_asker asker;

    rest_guard_know(call, conf, &asker);
    if (asker.session.can && !rest_guard_origin(call))
        return;
    if (asker.session.can)
        session_end(&call->server->ended, asker.session.id);
    set_cookie(call, STR(""));
    rest_guard_know(call, conf, &asker); // what is left without it
    show(call, conf, &asker);
}
