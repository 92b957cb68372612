/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers to the challenges of certificate authorities (RFC 8555 8.3, RFC 8737), pushed by whoever
 * orders certificates: in memory only. Answered when every worker has it, which is at once.
 */
#include <string.h>

#include "base/clock.h"
#include "edge/manager/api.h"

enum { TOKEN_MAX = 256, ANSWER_MAX = 512, DOMAIN_MAX = 253 };

/* RFC 8555 8.1: base64url. */
static bool is_base64url(struct str text, const char *also)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i], letter = (char)(c | 0x20);

        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_' &&
            (!*also || c != *also))
            return false;
    }
    return text.len > 0;
}

/* False: it was refused. */
static bool take_token(struct admin_call *call)
{
    call->text = call->rest.parts[0];
    if (call->text.len <= TOKEN_MAX && is_base64url(call->text, ""))
        return true;
    rest_problem(&call->rest, 400, "token_invalid",
                 "A token is made of letters, digits, \"-\" and \"_\": at most %d.", TOKEN_MAX);
    return false;
}

static struct str text_of(json_t *json, const char *key)
{
    json_t *value = json_object_get(json, key);

    return (struct str){json_string_value(value), json_string_length(value)};
}

static bool is_word(struct str text, const char *word)
{
    return text.len == strlen(word) && !memcmp(text.p, word, text.len);
}

static bool is_domain(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] <= ' ' || text.p[i] > '~' || text.p[i] == '*')
            return false;
    return text.len > 0 && text.len <= DOMAIN_MAX;
}

/* What is wrong with the body; NULL: nothing, and `challenge` has it, with texts of `json`. */
static const char *read_body(struct admin_call *call, json_t *json, struct tls_challenge *challenge)
{
    struct str type = text_of(json, "type"), domain = text_of(json, "domain");
    struct str answer = text_of(json, "answer");
    char *lower;

    if (!type.p || !domain.p || !answer.p || json_object_size(json) != 3)
        return "the body is a JSON object: {\"type\": \"http-01\", \"domain\": \"example.com\", "
               "\"answer\": \"KEY AUTHORIZATION\"}";
    if (!is_word(type, "http-01") && !is_word(type, "tls-alpn-01"))
        return "\"type\" is http-01 or tls-alpn-01";
    if (!is_domain(domain))
        return "\"domain\" is the name that is to be proved";
    if (answer.len > ANSWER_MAX || !is_base64url(answer, "."))
        return "\"answer\" is a key authorization: token, dot and thumbprint";
    lower = arena_text(&call->rest.arena, domain.len);
    if (!lower)
        return "out of memory";
    for (size_t i = 0; i < domain.len; i++)
        lower[i] =
            domain.p[i] >= 'A' && domain.p[i] <= 'Z' ? (char)(domain.p[i] | 0x20) : domain.p[i];
    *challenge = (struct tls_challenge){.token = call->text,
                                        .domain = {lower, domain.len},
                                        .answer = answer,
                                        .is_alpn = is_word(type, "tls-alpn-01")};
    return NULL;
}

static void put(struct admin_call *call, const struct tls_challenge *challenge)
{
    switch (tls_challenges_put(call->admin->manager->challenges, challenge, clock_us() / 1000)) {
    case OK:
        rest_reply_json(&call->rest, 200,
                        json_pack("{s:s%,s:s,s:s%}", "token", call->text.p, call->text.len, "type",
                                  challenge->is_alpn ? "tls-alpn-01" : "http-01", "domain",
                                  challenge->domain.p, challenge->domain.len));
        break;
    case E_FULL:
        rest_problem(&call->rest, 409, "too_many_challenges",
                     "At most %d challenges are kept at once.", TLS_CHALLENGES_MAX);
        break;
    default:
        rest_problem(&call->rest, 503, "memory_limit", "Out of memory.");
    }
}

void api_challenge_put(struct admin_call *call)
{
    struct tls_challenge challenge;
    const char *wrong;
    json_t *json;

    if (!take_token(call))
        return;
    json = json_loadb(call->rest.body.p ? call->rest.body.p : "", call->rest.body.len,
                      JSON_REJECT_DUPLICATES, NULL);
    wrong = json ? read_body(call, json, &challenge) : "the body is not valid JSON";
    if (wrong)
        rest_problem(&call->rest, json ? 422 : 400, "challenge_invalid", "%s", wrong);
    else
        put(call, &challenge);
    json_decref(json);
}

void api_challenge_remove(struct admin_call *call)
{
    struct tls_challenges *all = call->admin->manager->challenges;

    if (!take_token(call))
        return;
    if (tls_challenges_drop(all, call->text, clock_us() / 1000))
        rest_problem(&call->rest, 404, "challenge_not_found", "There is no challenge \"%.*s\".",
                     STR_FMT(call->text));
    else
        rest_reply_json(&call->rest, 200,
                        json_pack("{s:s%}", "token", call->text.p, call->text.len));
}
