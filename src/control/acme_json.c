/* SPDX-License-Identifier: Apache-2.0 */
#include "control/acme_json.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { BODY_MAX = 256 * 1024, LINE_MAX_BYTES = 1200, SUBPROBLEMS_MAX = 10 };

static const char error_prefix[] = "urn:ietf:params:acme:error:";
static const char *const challenge_names[] = {"http-01", "tls-alpn-01"};

const char *acme_json_challenge_name(enum acme_challenge challenge)
{
    return challenge_names[challenge];
}

static json_t *load(struct str text)
{
    json_t *json;

    if (!text.p || text.len > BODY_MAX)
        return NULL;
    json = json_loadb(text.p, text.len, 0, NULL);
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

static struct str member(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);

    return json_is_string(value) ? (struct str){json_string_value(value), json_string_length(value)}
                                 : STR_NONE;
}

/* What is put into a request line and into log lines: visible ASCII alone. */
static bool is_url(struct str s)
{
    if (s.len > ACME_URL_MAX || s.len < 9 ||
        (memcmp(s.p, "https://", 8) != 0 && memcmp(s.p, "http://", 7) != 0))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= 0x20 || s.p[i] >= 0x7f || s.p[i] == '"' || s.p[i] == '\\')
            return false;
    return true;
}

static enum status take_url(struct arena *arena, const json_t *json, struct str *out)
{
    struct str url = {json_string_value(json), json_string_length(json)};

    *out = STR_NONE;
    if (!url.p || !is_url(url))
        return E_INVALID;
    *out = arena_copy(arena, url);
    return out->p ? OK : E_NOMEM;
}

static enum acme_status status_of(const json_t *json)
{
    static const struct {
        const char *word;
        enum acme_status status;
    } words[] = {{"pending", ACME_PENDING},       {"ready", ACME_READY},
                 {"processing", ACME_PROCESSING}, {"valid", ACME_VALID},
                 {"invalid", ACME_INVALID},       {"deactivated", ACME_INVALID},
                 {"expired", ACME_INVALID},       {"revoked", ACME_INVALID}};
    const char *word = json_string_value(json_object_get(json, "status"));

    for (size_t i = 0; word && i < ARRAY_LEN(words); i++)
        if (!strcmp(word, words[i].word))
            return words[i].status;
    return ACME_UNKNOWN;
}

/* --- problems */

static const char *without_prefix(const char *type)
{
    size_t len = sizeof(error_prefix) - 1;

    return strncmp(type, error_prefix, len) ? type : type + len;
}

/* Appends one problem; what does not fit is left out. */
static size_t put_problem(char *line, size_t used, const json_t *json, const char *separator)
{
    const char *type = json_string_value(json_object_get(json, "type"));
    const char *detail = json_string_value(json_object_get(json, "detail"));
    const char *name =
        json_string_value(json_object_get(json_object_get(json, "identifier"), "value"));
    int more;

    if (used >= LINE_MAX_BYTES || (!type && !detail))
        return used;
    more = snprintf(line + used, LINE_MAX_BYTES - used, "%s%s%s%s%s%s", separator, name ? name : "",
                    name ? ": " : "", type ? without_prefix(type) : "", type && detail ? ": " : "",
                    detail ? detail : "");
    return more < 0 ? used : used + (size_t)more;
}

static struct str problem_line(struct arena *arena, const json_t *json)
{
    char line[LINE_MAX_BYTES];
    const json_t *list = json_object_get(json, "subproblems"), *each;
    size_t used = put_problem(line, 0, json, ""), i;

    if (!used)
        return STR_NONE;
    json_array_foreach(list, i, each)
    {
        if (i == SUBPROBLEMS_MAX)
            break;
        used = put_problem(line, used, each, i ? "; " : " - ");
    }
    used = used < sizeof(line) ? used : sizeof(line) - 1;
    for (size_t k = 0; k < used; k++)
        if ((unsigned char)line[k] < 0x20 || line[k] == 0x7f)
            line[k] = ' ';
    return arena_copy(arena, (struct str){line, used});
}

struct str acme_json_problem(struct arena *arena, struct str text)
{
    json_t *json = load(text);
    struct str line = json ? problem_line(arena, json) : STR_NONE;

    json_decref(json);
    return line;
}

bool acme_json_is_problem(struct str text, const char *type)
{
    json_t *json = load(text);
    const char *said = json_string_value(json_object_get(json, "type"));
    bool is_same = said && !strcmp(without_prefix(said), type) && without_prefix(said) != said;

    json_decref(json);
    return is_same;
}

/* --- directory, order, authorization */

enum status acme_json_read_directory(struct arena *arena, struct str text,
                                     struct acme_directory *directory)
{
    const struct {
        const char *name;
        struct str *url;
    } needed[] = {{"newNonce", &directory->new_nonce},
                  {"newAccount", &directory->new_account},
                  {"newOrder", &directory->new_order}};
    json_t *json = load(text);
    enum status status = json ? OK : E_INVALID;

    *directory = (struct acme_directory){.renewal_info = STR_NONE};
    for (size_t i = 0; i < ARRAY_LEN(needed) && !status; i++)
        status = take_url(arena, json_object_get(json, needed[i].name), needed[i].url);
    if (!status && take_url(arena, json_object_get(json, "renewalInfo"), &directory->renewal_info))
        directory->renewal_info = STR_NONE;
    json_decref(json);
    return status;
}

static enum status take_authorizations(struct arena *arena, const json_t *list,
                                       struct acme_json_order *order)
{
    size_t count = json_array_size(list);
    enum status status = OK;

    if (!count || count > ACME_NAMES_MAX)
        return E_INVALID;
    order->authorizations = arena_zero(arena, count, sizeof(*order->authorizations));
    if (!order->authorizations)
        return E_NOMEM;
    order->authorization_count = (uint32_t)count;
    for (size_t i = 0; i < count && !status; i++)
        status = take_url(arena, json_array_get(list, i), &order->authorizations[i]);
    return status;
}

enum status acme_json_read_order(struct arena *arena, struct str text,
                                 struct acme_json_order *order)
{
    json_t *json = load(text);
    const json_t *certificate = json_object_get(json, "certificate");
    enum status status;

    *order = (struct acme_json_order){.status = json ? status_of(json) : ACME_UNKNOWN};
    status = order->status == ACME_UNKNOWN ? E_INVALID : OK;
    if (!status)
        status = take_authorizations(arena, json_object_get(json, "authorizations"), order);
    if (!status)
        status = take_url(arena, json_object_get(json, "finalize"), &order->finalize);
    if (!status && json_is_string(certificate))
        status = take_url(arena, certificate, &order->certificate);
    if (!status && order->status == ACME_VALID && !order->certificate.p)
        status = E_INVALID;
    if (!status)
        order->error = problem_line(arena, json_object_get(json, "error"));
    json_decref(json);
    return status;
}

/* RFC 8555 section 8.1: base64url characters, and it comes into the path of a URL. */
static bool is_token(struct str s)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    return s.len > 0 && s.len <= ACME_TOKEN_MAX && strspn(s.p, allowed) == s.len;
}

static enum status take_challenge(struct arena *arena, const json_t *json,
                                  struct acme_json_authorization *authorization)
{
    struct str type = member(json, "type"), token = member(json, "token");
    struct acme_json_challenge *found = NULL;
    enum status status;

    for (size_t i = 0; type.p && i < ARRAY_LEN(challenge_names); i++)
        if (!strcmp(type.p, challenge_names[i]))
            found = &authorization->challenges[i];
    if (!found || found->url.p || !token.p)
        return OK;
    if (!is_token(token))
        return E_INVALID;
    status = take_url(arena, json_object_get(json, "url"), &found->url);
    if (status)
        return status;
    found->token = arena_copy(arena, token);
    found->error = problem_line(arena, json_object_get(json, "error"));
    return found->token.p ? OK : E_NOMEM;
}

enum status acme_json_read_authorization(struct arena *arena, struct str text,
                                         struct acme_json_authorization *authorization)
{
    json_t *json = load(text), *each;
    struct str domain = member(json_object_get(json, "identifier"), "value");
    enum status status;
    size_t i;

    *authorization =
        (struct acme_json_authorization){.status = json ? status_of(json) : ACME_UNKNOWN};
    status =
        authorization->status == ACME_UNKNOWN || !domain.p || domain.len > 253 ? E_INVALID : OK;
    json_array_foreach(json_object_get(json, "challenges"), i, each)
    {
        if (!status)
            status = take_challenge(arena, each, authorization);
    }
    if (!status) {
        authorization->domain = arena_copy(arena, domain);
        status = authorization->domain.p ? OK : E_NOMEM;
    }
    json_decref(json);
    return status;
}

/* --- the window (RFC 9773 section 4.2) */

/* "2026-11-22T20:29:48.5Z" or with "+01:00"; -1 when it is none. */
static int64_t unix_ms(struct str text)
{
    struct tm parts = {0};
    const char *at = text.p ? strptime(text.p, "%Y-%m-%dT%H:%M:%S", &parts) : NULL;
    int hours = 0, minutes = 0, end = 0, sign;

    if (!at)
        return -1;
    if (*at == '.')
        at += 1 + strspn(at + 1, "0123456789");
    if (!strcmp(at, "Z") || !strcmp(at, "z"))
        return (int64_t)timegm(&parts) * 1000;
    sign = *at == '-' ? -1 : 1;
    if ((*at != '+' && *at != '-') || sscanf(at + 1, "%2d:%2d%n", &hours, &minutes, &end) != 2 ||
        at[1 + end] || hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return -1;
    return ((int64_t)timegm(&parts) - sign * (hours * 3600 + minutes * 60)) * 1000;
}

enum status acme_json_read_window(struct str text, struct acme_window *window)
{
    json_t *json = load(text);
    const json_t *suggested = json_object_get(json, "suggestedWindow");

    window->start_ms = unix_ms(member(suggested, "start"));
    window->end_ms = unix_ms(member(suggested, "end"));
    json_decref(json);
    if (window->start_ms > 0 && window->end_ms > window->start_ms)
        return OK;
    *window = (struct acme_window){0};
    return E_INVALID;
}
