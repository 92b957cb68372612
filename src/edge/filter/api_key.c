/* SPDX-License-Identifier: Apache-2.0
 *
 * api_key: lets requests with a key pass, and says whose it is and of which tier. Keys are those
 * made at run time (`sluice key add`) and those written in the file, both as hashes alone.
 */
#include <string.h>
#include <time.h>

#include "config/field.h"
#include "edge/auth/credential.h"
#include "edge/auth/key_store.h"
#include "edge/filter/identity.h"
#include "edge/loop.h"
#include "sluice/filter.h"

struct written {
    struct conf_text hash, consumer, tier, expires;
};

struct api_key_conf {
    struct conf_text header, query, cookie, realm;
    struct written *keys;
    uint32_t key_count;
    bool optional;
    /* made by prepare() */
    struct credential_places places;
    struct key_ring *ring; /* of `keys`; NULL: there are none */
    struct key_store *store;
};

struct api_key_state {
    bool was_asked, is_accepted, has_expired;
};

extern const struct filter filter_api_key;

static const struct field written_fields[] = {
    {.name = "hash",
     .doc = "SHA-256 of the key, in hexadecimal: printf %s KEY | sha256sum.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED,
     FIELD_AT(struct written, hash)},
    {.name = "consumer",
     .doc = "Whose key it is.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct written, consumer)},
    {.name = "tier",
     .doc = "Tier of the consumer, for limits.",
     .type = FIELD_TEXT,
     FIELD_AT(struct written, tier)},
    {.name = "expires",
     .doc = "Day or second (UTC) at which the key ends: 2027-01-31 or 2027-01-31T12:00:00Z.",
     .type = FIELD_TEXT,
     FIELD_AT(struct written, expires)},
    FIELD_END,
};

static const struct field written_element = {.type = FIELD_OBJECT,
                                             .fields = written_fields,
                                             .size = sizeof(struct written)};

static const struct field fields[] = {
    {.name = "header",
     .doc = "Field with the key; in Authorization after \"Bearer\".",
     .standard = "x-api-key",
     .type = FIELD_TEXT,
     .flags = FIELD_OFF,
     FIELD_AT(struct api_key_conf, header)},
    {.name = "query",
     .doc = "Parameter of the query with the key; neither target nor log sees it.",
     .type = FIELD_TEXT,
     FIELD_AT(struct api_key_conf, query)},
    {.name = "cookie",
     .doc = "Cookie with the key.",
     .type = FIELD_TEXT,
     FIELD_AT(struct api_key_conf, cookie)},
    {.name = "keys",
     .doc = "Keys beside those made at run time.",
     .type = FIELD_LIST,
     .element = &written_element,
     FIELD_ITEMS(struct api_key_conf, keys, key_count)},
    {.name = "realm",
     .doc = "What a refusal says that the key is for.",
     .standard = "sluice",
     .type = FIELD_TEXT,
     FIELD_AT(struct api_key_conf, realm)},
    {.name = "optional",
     .doc = "Requests without a key pass; a wrong one is refused all the same.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct api_key_conf, optional)},
    FIELD_END,
};

/* --- checks */

/* RFC 3339 in UTC, a day or a second; in Unix milliseconds. */
static bool read_time(struct str text, uint64_t *ms)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"};

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct tm tm = {.tm_mday = 1};
        const char *end = strptime(text.p, forms[i], &tm);
        time_t seconds = end && !*end ? timegm(&tm) : -1;

        if (seconds < 0)
            continue;
        *ms = (uint64_t)seconds * 1000;
        return true;
    }
    return false;
}

static bool fill_entry(const struct written *key, struct key_ring_entry *entry, struct diag *diag)
{
    *entry = (struct key_ring_entry){.consumer = key->consumer.s,
                                     .tier = key->tier.s,
                                     .expires_ms = UINT64_MAX};
    if (!key->tier.s.len)
        entry->tier = STR_NONE;
    if (!api_key_read_hash(key->hash.s, entry->hash)) {
        diag_hide(diag, key->hash.at);
        diag_error(diag, key->hash.at, "this is not a SHA-256 in hexadecimal");
        diag_hint(diag, "printf %%s KEY | sha256sum");
        return false;
    }
    if (!key->expires.s.len || read_time(key->expires.s, &entry->expires_ms))
        return true;
    diag_error(diag, key->expires.at, "this is no day or second: 2027-01-31T12:00:00Z");
    return false;
}

static bool check(void *conf, struct span at, struct diag *diag)
{
    const struct api_key_conf *api = conf;
    const struct conf_text *names[] = {&api->header, &api->cookie, &api->query};
    struct key_ring_entry entry;
    bool is_good = true, is_somewhere = false;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        is_somewhere |= names[i]->s.len > 0;
        if (!names[i]->s.len || credential_is_name(names[i]->s))
            continue;
        diag_error(diag, names[i]->at, "this is not the name of a field");
        is_good = false;
    }
    if (!is_somewhere) {
        diag_error(diag, at, "nothing says where the key is: header, query or cookie");
        is_good = false;
    }
    if (!credential_is_quotable(api->realm.s)) {
        diag_error(diag, api->realm.at, "a realm is of ASCII without quotes");
        is_good = false;
    }
    for (uint32_t i = 0; i < api->key_count; i++)
        is_good = fill_entry(&api->keys[i], &entry, diag) && is_good;
    return is_good;
}

static bool prepare(void *conf, const struct filter_prepare *prepare)
{
    struct api_key_conf *api = conf;
    struct key_ring_entry *entries = arena_zero(prepare->arena, api->key_count, sizeof(*entries));

    api->places =
        (struct credential_places){api->header.s, STR("Bearer"), api->query.s, api->cookie.s};
    api->store = prepare->env ? prepare->env->keys : NULL;
    if (!entries)
        return false;
    for (uint32_t i = 0; i < api->key_count; i++)
        if (!fill_entry(&api->keys[i], &entries[i], prepare->diag))
            return false;
    api->ring = key_ring_new(entries, api->key_count);
    return api->ring != NULL;
}

static void dispose(void *conf)
{
    struct api_key_conf *api = conf;

    key_ring_free(api->ring);
    api->ring = NULL;
}

/* --- a request */

static enum verdict refuse(struct visit *visit, enum reason reason)
{
    visit->reason = reason;
    return VERDICT_FAIL;
}

static enum verdict ask(struct visit *visit, struct str key)
{
    const struct api_key_conf *conf = visit->conf;
    struct api_key_state *state = visit->state;
    const struct key_ring *made = cell_read(&conf->store->ring, visit->env->worker);
    const struct key_ring_entry *entry;
    uint8_t hash[API_KEY_HASH];

    api_key_hash(key, hash);
    entry = key_ring_find(conf->ring, hash);
    if (!entry && made)
        entry = key_ring_find(made, hash);
    state->has_expired = entry && loop_wall_ms(visit->env->loop) >= entry->expires_ms;
    if (!entry || state->has_expired)
        return refuse(visit, REASON_CREDENTIALS_INVALID);
    state->is_accepted = !identity_set(visit, entry->consumer, entry->tier);
    return state->is_accepted ? VERDICT_PASS : refuse(visit, REASON_MEMORY_LIMIT);
}

static enum verdict on_request(struct visit *visit)
{
    const struct api_key_conf *conf = visit->conf;
    struct api_key_state *state = visit->state;
    struct str key;
    enum status status = credential_find(&conf->places, visit->request, &key);

    state->was_asked = true;
    if (credential_hide(&conf->places, visit->request, visit->arena))
        return refuse(visit, REASON_MEMORY_LIMIT);
    if (status == OK)
        return ask(visit, key);
    if (status == E_NOT_FOUND && conf->optional)
        return VERDICT_PASS;
    return refuse(visit,
                  status == E_NOT_FOUND ? REASON_CREDENTIALS_MISSING : REASON_CREDENTIALS_INVALID);
}

static enum verdict on_response(struct visit *visit)
{
    const struct api_key_conf *conf = visit->conf;
    const struct api_key_state *state = visit->state;
    struct str text;

    if (visit->is_own && !state->was_asked &&
        credential_hide(&conf->places, visit->request, visit->arena))
        visit->request->query = STR_NONE; // what cannot be hidden is not shown at all
    if (!visit->is_own || !state->was_asked || visit->reason == REASON_NONE ||
        visit->response->status != 401)
        return VERDICT_PASS;
    text = arena_format(visit->arena, "ApiKey realm=\"%.*s\"", STR_FMT(conf->realm.s));
    if (text.p && !head_add(visit->response, visit->arena, STR("WWW-Authenticate"), text))
        return VERDICT_PASS;
    return refuse(visit, REASON_MEMORY_LIMIT);
}

static struct str describe(struct visit *visit)
{
    const struct api_key_state *state = visit->state;

    if (!state->was_asked)
        return STR_NONE;
    return arena_format(visit->arena, "\"accepted\":%s,\"expired\":%s",
                        state->is_accepted ? "true" : "false",
                        state->has_expired ? "true" : "false");
}

static uint32_t count_keys(const void *conf)
{
    const struct api_key_conf *api = conf;

    return api->key_count;
}

const struct filter filter_api_key = {
    .name = "api_key",
    .doc = "Lets requests with an API key pass.",
    .fields = fields,
    .conf_size = sizeof(struct api_key_conf),
    .state_size = sizeof(struct api_key_state),
    .check = check,
    .prepare = prepare,
    .dispose = dispose,
    .count_keys = count_keys,
    .on_request = on_request,
    .on_response = on_response,
    .describe = describe,
};
