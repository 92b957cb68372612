/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates over the API: which are served, and those that are pushed (by the control process,
 * which orders them): kept in the state directory, served by the listeners whose acme.domains they
 * are for. Keys go in and never out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "edge/manager/api.h"
#include "edge/manager/manager_impl.h"
#include "edge/manager/pushed.h"

enum { SOON_S = 7 * 86400 };

/* --- showing */

static const char *const sources[] = {[TLS_SOURCE_FILE] = "file",
                                      [TLS_SOURCE_PUSHED] = "pushed",
                                      [TLS_SOURCE_SELF_SIGNED] = "self_signed"};

static json_t *date_json(int64_t unix_s)
{
    struct clock_date cache = {0};
    struct str text = clock_rfc3339(&cache, unix_s > 0 ? (uint64_t)unix_s * 1000 : 0);

    return json_pack("s%", text.p, text.len);
}

static json_t *names_json(const struct certificate *certificate)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < certificate->name_count; i++)
        json_array_append_new(list,
                              json_stringn(certificate->names[i].p, certificate->names[i].len));
    return list;
}

static const char *state_of(const struct certificate *certificate)
{
    int64_t now_s = (int64_t)(clock_wall_ms() / 1000);

    switch (certificate_age(certificate, now_s)) {
    case CERTIFICATE_EXPIRED:
        return "expired";
    case CERTIFICATE_EARLY:
        return "not_yet_valid";
    case CERTIFICATE_VALID:
        break;
    }
    return certificate->not_after_s - now_s < SOON_S ? "expires_soon" : "valid";
}

static json_t *entry_json(const struct tls_server_entry *entry)
{
    const struct certificate *one = entry->certificate;
    json_t *json =
        json_pack("{s:s%,s:o,s:o,s:o,s:s%,s:s,s:s,s:s,s:s,s:[]}", "name",
                  entry->name.p ? entry->name.p : "", entry->name.len, "domains", names_json(one),
                  "not_before", date_json(one->not_before_s), "not_after",
                  date_json(one->not_after_s), "issuer", one->issuer.p, one->issuer.len,
                  "fingerprint", one->fingerprint, "key_type", certificate_kind_name(one->kind),
                  "source", sources[entry->source], "state", state_of(one), "listeners");

    if (json && entry->error.len)
        json_object_set_new(json, "error", json_stringn(entry->error.p, entry->error.len));
    return json;
}

static bool is_text(json_t *json, const char *key, struct str text)
{
    json_t *value = json_object_get(json, key);

    return json_string_length(value) == text.len &&
           (!text.len || !memcmp(json_string_value(value), text.p, text.len));
}

/* One that several listeners show stands once. */
static json_t *find(json_t *list, const struct tls_server_entry *entry)
{
    json_t *json;
    size_t i;

    json_array_foreach(list, i, json)
    {
        struct str fingerprint = {entry->certificate->fingerprint,
                                  strlen(entry->certificate->fingerprint)};

        if (is_text(json, "fingerprint", fingerprint) && is_text(json, "name", entry->name))
            return json;
    }
    return NULL;
}

static void add(json_t *list, const struct tls_server_entry *entry, struct str bind)
{
    json_t *json = find(list, entry);

    if (!json) {
        json = entry_json(entry);
        if (!json || json_array_append_new(list, json))
            return;
    }
    if (bind.p)
        json_array_append_new(json_object_get(json, "listeners"), json_stringn(bind.p, bind.len));
}

static json_t *all_json(const struct manager *m)
{
    const struct doors *doors = &m->snapshot->doors;
    json_t *list = json_array();

    for (uint32_t i = 0; i < doors->count; i++) {
        const struct tls_server *tls = doors->list[i].tls;

        for (uint32_t k = 0; tls && k < tls_server_count(tls); k++)
            add(list, tls_server_entry(tls, k), doors->list[i].bind);
    }
    for (uint32_t i = 0; i < doors->pushed_count; i++) {
        const struct tls_server_entry entry = {.source = TLS_SOURCE_PUSHED,
                                               .name = doors->pushed[i].name,
                                               .certificate = doors->pushed[i].certificate};

        add(list, &entry, STR_NONE);
    }
    return list;
}

json_t *api_certificates_status(const struct manager *m)
{
    static const char *const dropped[] = {"not_before", "issuer", "fingerprint"};
    json_t *list = all_json(m), *json;
    size_t i;

    json_array_foreach(list, i, json) for (size_t k = 0; k < ARRAY_LEN(dropped); k++)
        json_object_del(json, dropped[k]);
    return list;
}

void api_certificates_get(struct admin_call *call)
{
    const struct manager *m = call->admin->manager;

    if (m->snapshot)
        rest_reply_json(&call->rest, 200, json_pack("{s:o}", "certificates", all_json(m)));
    else
        rest_problem(&call->rest, 503, "starting", "The gateway is starting.");
}

/* --- changing */

static void reply(struct admin_call *call)
{
    const struct doors *doors = &call->admin->manager->snapshot->doors;
    json_t *list = json_array(), *json;

    for (uint32_t i = 0; i < doors->count; i++) {
        const struct tls_server *tls = doors->list[i].tls;

        for (uint32_t k = 0; tls && k < tls_server_count(tls); k++) {
            const struct tls_server_entry *entry = tls_server_entry(tls, k);

            if (entry->source == TLS_SOURCE_PUSHED && entry->name.len == call->text.len &&
                !memcmp(entry->name.p, call->text.p, call->text.len))
                json_array_append_new(list,
                                      json_stringn(doors->list[i].bind.p, doors->list[i].bind.len));
        }
    }
    json = json_pack("{s:s%,s:I,s:o}", "name", call->text.p, call->text.len, "generation",
                     (json_int_t)call->generation, "listeners", list);
    rest_reply_json(&call->rest, 200, json);
}

static void on_changed(struct manager_change *change, enum status status, uint32_t generation,
                       const struct diag *diag)
{
    struct admin_call *call = CONTAINER_OF(change, struct admin_call, change);

    call->generation = generation;
    manager_print(diag);
    if (status == E_IO)
        rest_diag_problem(&call->rest, 500, "state_not_saved", diag);
    else if (status)
        rest_diag_problem(&call->rest, status == E_CLOSED ? 503 : 422, "not_changed", diag);
    else
        reply(call);
}

static void change(struct admin_call *call, struct str text)
{
    call->change = (struct manager_change){.kind = CHANGE_CERTIFICATES,
                                           .text = text,
                                           .name = call->text,
                                           .on_done = on_changed};
    manager_change(call->admin->manager, &call->change);
}

/* False: it was refused. */
static bool take_name(struct admin_call *call)
{
    call->text = call->rest.parts[0];
    if (pushed_is_name(call->text))
        return true;
    rest_problem(&call->rest, 400, "name_invalid",
                 "A certificate's name is made of letters, digits, \"-\", \"_\" and \".\", and "
                 "does not begin with a dot.");
    return false;
}

/* What is wrong with the pair; NULL: nothing, and *text has it in the call's memory. */
static const char *check(struct admin_call *call, json_t *json, struct str *text)
{
    json_t *chain = json_object_get(json, "certificate"), *key = json_object_get(json, "key");
    struct certificate_error error;
    struct certificate *one;
    struct str pem;
    bool is_over;

    if (!json_is_string(chain) || !json_is_string(key) || json_object_size(json) != 2)
        return "the body is a JSON object: {\"certificate\": \"PEM\", \"key\": \"PEM\"}";
    pem = (struct str){json_string_value(chain), json_string_length(chain)};
    *text = (struct str){json_string_value(key), json_string_length(key)};
    one = certificate_parse(pem, *text, &error);
    if (!one)
        return arena_format(&call->rest.arena, "%s", error.text).p;
    is_over = certificate_age(one, (int64_t)(clock_wall_ms() / 1000)) == CERTIFICATE_EXPIRED;
    certificate_free(&one);
    if (is_over)
        return "the certificate has expired";
    *text = arena_format(&call->rest.arena, "%.*s\n%.*s", STR_FMT(pem), STR_FMT(*text));
    return text->p ? NULL : "out of memory";
}

void api_certificates_put(struct admin_call *call)
{
    struct str text = STR_NONE;
    const char *wrong;
    json_t *json;

    if (!take_name(call))
        return;
    json = json_loadb(call->rest.body.p ? call->rest.body.p : "", call->rest.body.len,
                      JSON_REJECT_DUPLICATES, NULL);
    wrong = json ? check(call, json, &text) : "the body is not valid JSON";
    if (wrong)
        rest_problem(&call->rest, json ? 422 : 400, "certificate_invalid", "%s", wrong);
    else
        change(call, text);
    json_decref(json);
}

void api_certificates_remove(struct admin_call *call)
{
    const struct manager *m = call->admin->manager;
    const struct doors *doors = m->snapshot ? &m->snapshot->doors : NULL;

    if (!take_name(call))
        return;
    for (uint32_t i = 0; doors && i < doors->pushed_count; i++) {
        struct str name = doors->pushed[i].name;

        if (name.len != call->text.len || memcmp(name.p, call->text.p, name.len) != 0)
            continue;
        change(call, STR_NONE);
        return;
    }
    rest_problem(&call->rest, 404, "certificate_not_found", "There is no certificate \"%.*s\".",
                 STR_FMT(call->text));
}
