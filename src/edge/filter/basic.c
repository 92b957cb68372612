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
#include "edge/auth/user_file.h"
#include "edge/filter/identity.h"
#include "sluice/filter.h"

struct basic_conf {
    struct conf_pairs users;
    struct conf_text path, realm;
    struct key_store *store; /* set by prepare() */
    struct user_file *file;  /* of `path`; the same */
};

struct basic_state {
    struct password_job *job; /* while it waits */
    struct str user;          /* in the request's arena */
    bool was_asked, is_known, is_accepted;
};

extern const struct filter filter_basic;

static const struct field fields[] = {
    {.name = "users",
     .doc = "Users and the hashes of their passwords: bcrypt, yescrypt or SHA-512, as htpasswd -B "
            "and mkpasswd make them.",
     .type = FIELD_PAIRS,
     FIELD_AT(struct basic_conf, users)},
    {.name = "file",
     .doc = "A file with more users, as htpasswd -B makes it; read again when it changes, and one "
            "that cannot be used leaves the users as they were.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct basic_conf, path)},
    {.name = "realm",
     .doc = "What browsers show when they ask for the password.",
     .standard = "sluice",
     .type = FIELD_TEXT,
     FIELD_AT(struct basic_conf, realm)},
    FIELD_END,
};

/* --- checks */

static bool check_user(const struct conf_pair *user, struct diag *diag)
{
    const char *name_wrong = user_name_wrong(user->name.s);
    const char *wrong = user_hash_wrong(user->value.s);

    if (name_wrong) {
        diag_error(diag, user->name.at, "%s", name_wrong);
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
    if (!basic->users.count && !basic->path.s.len) {
        diag_error(diag, at, "there are no users");
        is_good = false;
    }
    if (!credential_is_quotable(basic->realm.s)) {
        diag_error(diag, basic->realm.at, "a realm is of ASCII without quotes");
        is_good = false;
    }
    return is_good;
}

static bool open_file(struct basic_conf *basic, const struct filter_prepare *prepare)
{
    char error[USER_FILE_ERROR];

    basic->file = user_file_open(basic->path.s, prepare->env ? prepare->env->workers : 0, error);
    if (!basic->file)
        diag_error(prepare->diag, basic->path.at, "%s", error);
    return basic->file != NULL;
}

static bool prepare(void *conf, const struct filter_prepare *prepare)
{
    struct basic_conf *basic = conf;

    basic->store = prepare->env ? prepare->env->keys : NULL;
    return !basic->path.s.len || open_file(basic, prepare);
}

static void dispose(void *conf)
{
    struct basic_conf *basic = conf;

    user_file_free(&basic->file);
}

static void look(void *conf)
{
    struct basic_conf *basic = conf;

    if (basic->file)
        user_file_look(basic->file);
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

    state->is_accepted = !identity_set(visit, state->user, STR_NONE);
    return state->is_accepted ? VERDICT_PASS : refuse(visit, REASON_MEMORY_LIMIT);
}

static void on_checked(void *owner, bool is_right)
{
    struct visit *visit = owner;
    struct basic_state *state = visit->state;

    state->job = NULL;
    visit->verdict = is_right ? accept_user(visit) : refuse(visit, REASON_CREDENTIALS_INVALID);
    filter_resume(visit);
}

/* The user of that name, of the configuration or of the file; else one whose hash takes the time,
 * always the same for a name. */
static struct user find(const struct basic_conf *conf, unsigned worker, struct str name,
                        bool *is_there)
{
    const struct user_list *list = conf->file ? user_file_users(conf->file, worker) : NULL;
    const struct user *known = list ? user_list_find(list, name) : NULL;
    uint32_t all = conf->users.count + (list ? list->count : 0), place;
    uint64_t hash = 14695981039346656037U;

    *is_there = true;
    for (uint32_t i = 0; i < conf->users.count; i++)
        if (str_same(conf->users.items[i].name.s, name))
            return (struct user){name, conf->users.items[i].value.s};
    if (known)
        return *known;
    *is_there = false;
    if (!all) // there is nobody whose existence time could tell
        return (struct user){name, STR("")};
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.p[i]) * 1099511628211U;
    place = (uint32_t)((hash >> 32) % all);
    if (place < conf->users.count)
        return (struct user){name, conf->users.items[place].value.s};
    return list->users[place - conf->users.count];
}

static enum verdict ask(struct visit *visit, const struct credentials *credentials)
{
    const struct basic_conf *conf = visit->conf;
    struct basic_state *state = visit->state;
    struct password_desk *desk = key_store_desk(conf->store, visit->env->loop, visit->env->worker);
    bool is_there;
    struct user user = find(conf, visit->env->worker, credentials->name, &is_there);
    struct password_ask ask = {.name = credentials->name,
                               .password = credentials->password,
                               .hash = user.hash,
                               .client = visit->caller->hash,
                               .is_decoy = !is_there};

    state->user = credentials->name;
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

static uint32_t count_keys(const void *conf)
{
    const struct basic_conf *basic = conf;

    return basic->users.count + (basic->file ? user_file_count(basic->file) : 0);
}

const struct filter filter_basic = {
    .name = "basic",
    .doc = "Lets users with a password pass.",
    .fields = fields,
    .conf_size = sizeof(struct basic_conf),
    .state_size = sizeof(struct basic_state),
    .check = check,
    .prepare = prepare,
    .dispose = dispose,
    .look = look,
    .count_keys = count_keys,
    .on_request = on_request,
    .on_response = on_response,
    .on_done = on_done,
    .describe = describe,
};
