/* SPDX-License-Identifier: Apache-2.0
 *
 * basic: lets users with a password pass (RFC 7617). A check takes its time, so the request waits
 * while a thread of the pool does it; what was right is remembered for a while. A user who does not
 * exist takes as long as one who does.
 */
#include <string.h>

#include "config/field.h"
#include "edge/auth/credential.h"
#include "edge/auth/jose_base64.h"
#include "edge/auth/key_store.h"
#include "edge/auth/password.h"
#include "sluice/filter.h"

struct basic_conf {
    struct conf_pairs users;
    struct conf_text realm;
    struct key_store *store; /* set by prepare() */
};

struct basic_state {
    struct password_job *job; /* while it waits */
    struct str user;          /* of the configuration */
    bool was_asked, is_known, is_accepted;
};

extern const struct filter filter_basic;

static const struct field fields[] = {
    {.name = "users",
     .doc = "Users and the hashes of their passwords: bcrypt, yescrypt or SHA-512, as htpasswd -B "
            "and mkpasswd make them.",
     .type = FIELD_PAIRS,
     .flags = FIELD_REQUIRED,
     FIELD_AT(struct basic_conf, users)},
    {.name = "realm",
     .doc = "What browsers show when they ask for the password.",
     .standard = "sluice",
     .type = FIELD_TEXT,
     FIELD_AT(struct basic_conf, realm)},
    FIELD_END,
};

/* --- checks */

/* Neither a colon, which ends a name, nor controls (RFC 7617 section 2). */
static bool is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f || name.p[i] == ':')
            return false;
    return name.len > 0 && name.len <= PASSWORD_MAX;
}

static bool check_user(const struct conf_pair *user, struct diag *diag)
{
    const char *wrong = password_hash_wrong(user->value.s);

    if (!is_name(user->name.s)) {
        diag_error(diag, user->name.at, "a user's name has no colon and no control characters");
        return false;
    }
    if (!wrong)
        return true;
    diag_error(diag, user->value.at, "the hash of this password cannot be used: %s", wrong);
    diag_hint(diag, "\"htpasswd -nB NAME\" or \"mkpasswd\" make good ones");
    return false;
}

static bool check(void *conf, struct span at, struct diag *diag)
{
    const struct basic_conf *basic = conf;
    bool is_good = true;

    for (uint32_t i = 0; i < basic->users.count; i++)
        diag_hide(diag, basic->users.items[i].value.at);
    for (uint32_t i = 0; i < basic->users.count; i++)
        is_good = check_user(&basic->users.items[i], diag) && is_good;
    if (!basic->users.count) {
        diag_error(diag, at, "there are no users");
        is_good = false;
    }
    if (!credential_is_quotable(basic->realm.s)) {
        diag_error(diag, basic->realm.at, "a realm is of ASCII without quotes");
        is_good = false;
    }
    return is_good;
}

static bool prepare(void *conf, const struct filter_prepare *prepare)
{
    struct basic_conf *basic = conf;

    basic->store = prepare->env ? prepare->env->keys : NULL;
    return true;
}

/* --- credentials (RFC 7617 section 2) */

struct credentials {
    struct str name, password;
};

/* base64 with its padding; the alphabet of URLs is another. */
static bool decode(struct str text, struct arena *arena, struct str *bytes)
{
    char *copy = arena_text(arena, text.len);

    if (!copy || text.len % 4)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];

        if (c == '-' || c == '_')
            return false;
        if (c == '+')
            c = '-';
        copy[i] = c == '/' ? '_' : c;
    }
    for (unsigned n = 0; n < 2 && text.len && copy[text.len - 1] == '='; n++)
        text.len--;
    return !jose_base64_read((struct str){copy, text.len}, arena, bytes);
}

static bool is_clean(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
            return false;
    return text.len <= PASSWORD_MAX;
}

static bool split(struct str token, struct arena *arena, struct credentials *out)
{
    const char *colon;
    struct str all;

    if (token.len > 4 * PASSWORD_MAX || !decode(token, arena, &all) || !all.len)
        return false;
    colon = memchr(all.p, ':', all.len);
    if (!colon)
        return false;
    out->name = (struct str){all.p, (size_t)(colon - all.p)};
    out->password = (struct str){colon + 1, all.len - out->name.len - 1};
    return is_clean(out->name) && is_clean(out->password);
}

/* --- a request */

static enum verdict refuse(struct visit *visit, enum reason reason)
{
    visit->reason = reason;
    return VERDICT_FAIL;
}

static enum verdict accept_user(struct visit *visit)
{
    struct basic_state *state = visit->state;

    state->is_accepted = true;
    visit->vars->consumer = state->user;
    return VERDICT_PASS;
}

static void on_checked(void *owner, bool is_right)
{
    struct visit *visit = owner;
    struct basic_state *state = visit->state;

    state->job = NULL;
    visit->verdict = is_right ? accept_user(visit) : refuse(visit, REASON_CREDENTIALS_INVALID);
    filter_resume(visit);
}

/* The user of that name; else one whose hash takes the time, always the same for a name. */
static const struct conf_pair *find(const struct basic_conf *conf, struct str name, bool *is_there)
{
    uint64_t hash = 14695981039346656037U;

    for (uint32_t i = 0; i < conf->users.count; i++)
        if (str_same(conf->users.items[i].name.s, name)) {
            *is_there = true;
            return &conf->users.items[i];
        }
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.p[i]) * 1099511628211U;
    *is_there = false;
    return &conf->users.items[(hash >> 32) % conf->users.count];
}

static enum verdict ask(struct visit *visit, const struct credentials *credentials)
{
    const struct basic_conf *conf = visit->conf;
    struct basic_state *state = visit->state;
    struct password_desk *desk = key_store_desk(conf->store, visit->env->loop, visit->env->worker);
    bool is_there;
    const struct conf_pair *user = find(conf, credentials->name, &is_there);
    struct password_ask ask = {.name = credentials->name,
                               .password = credentials->password,
                               .hash = user->value.s,
                               .client = visit->caller->hash,
                               .is_decoy = !is_there};

    state->user = user->name.s;
    state->is_known = desk && password_desk_knows(desk, &ask);
    if (state->is_known)
        return accept_user(visit);
    state->job = desk ? password_desk_check(desk, &ask, on_checked, visit) : NULL;
    return state->job ? VERDICT_WAIT : refuse(visit, REASON_PASSWORD_CHECKS_FULL);
}

static enum verdict on_request(struct visit *visit)
{
    static const struct credential_places places = {.header = STR_INIT("authorization"),
                                                    .scheme = STR_INIT("Basic")};
    struct basic_state *state = visit->state;
    struct credentials credentials;
    struct str token;

    state->was_asked = true;
    switch (credential_find(&places, visit->request, &token)) {
    case OK:
        if (split(token, visit->arena, &credentials))
            return ask(visit, &credentials);
        return refuse(visit, REASON_CREDENTIALS_INVALID);
    case E_NOT_FOUND:
        return refuse(visit, REASON_CREDENTIALS_MISSING);
    default:
        return refuse(visit, REASON_CREDENTIALS_INVALID);
    }
}

static enum verdict on_response(struct visit *visit)
{
    const struct basic_conf *conf = visit->conf;
    const struct basic_state *state = visit->state;
    struct str text;

    if (!visit->is_own || !state->was_asked || visit->reason == REASON_NONE ||
        visit->response->status != 401)
        return VERDICT_PASS;
    text = arena_format(visit->arena, "Basic realm=\"%.*s\", charset=\"UTF-8\"",
                        STR_FMT(conf->realm.s));
    if (text.p && !head_add(visit->response, visit->arena, STR("WWW-Authenticate"), text))
        return VERDICT_PASS;
    return refuse(visit, REASON_MEMORY_LIMIT);
}

static void on_done(struct visit *visit)
{
    struct basic_state *state = visit->state;

    if (state->job)
        password_desk_cancel(state->job);
    state->job = NULL;
}

static struct str describe(struct visit *visit)
{
    const struct basic_state *state = visit->state;

    if (!state->was_asked)
        return STR_NONE;
    return arena_format(visit->arena, "\"accepted\":%s,\"remembered\":%s",
                        state->is_accepted ? "true" : "false", state->is_known ? "true" : "false");
}

const struct filter filter_basic = {
    .name = "basic",
    .doc = "Lets users with a password pass.",
    .fields = fields,
    .conf_size = sizeof(struct basic_conf),
    .state_size = sizeof(struct basic_state),
    .check = check,
    .prepare = prepare,
    .on_request = on_request,
    .on_response = on_response,
    .on_done = on_done,
    .describe = describe,
};
