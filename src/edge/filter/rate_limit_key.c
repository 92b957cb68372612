/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/filter/rate_limit_key.h"

#include <string.h>
#include <strings.h>

#include "edge/limit/claim.h"
#include "http/cookie.h"

enum { PART_LEN = 16, V6_NET = 8 /* bytes of a /64 */, ASSET_AGE_S = 3600 };

/* --- the key */

static struct str part_text(const struct visit *visit, const struct part *part)
{
    switch (part->kind) {
    case PART_CONSUMER:
        return visit->vars->consumer;
    case PART_ROUTE:
        return visit->route;
    case PART_PATH:
        return visit->request->path;
    case PART_HEADER:
        return head_value_name(visit->request, part->name);
    case PART_COOKIE:
        return cookie_value(head_value(visit->request, HDR_COOKIE), part->name);
    case PART_CLAIM:
        return claim_value(visit->vars->claims, part->name);
    default:
        return STR_NONE;
    }
}

/* What counts as one client; false when there is no address. */
static bool put_address(const struct caller *caller, uint8_t out[PART_LEN])
{
    memcpy(out, caller->ip, IP_LEN);
    if (!ip_is_v4(out))
        memset(out + V6_NET, 0, IP_LEN - V6_NET);
    return !ip_is_none(caller->ip);
}

bool rate_limit_key(const struct visit *visit, const struct limit *limit, struct limiter_key *key)
{
    const struct limiter *limiter = visit->env->limiter;
    char bytes[sizeof(limit->id) + PARTS_MAX * (1 + PART_LEN)];
    char *at = bytes + sizeof(limit->id);

    memcpy(bytes, &limit->id, sizeof(limit->id));
    for (uint32_t i = 0; i < limit->by.count; i++, at += PART_LEN) {
        struct str text = part_text(visit, &limit->by.items[i]);

        *at++ = text.p != NULL;
        if (text.p) {
            struct limiter_key hash = limiter_hash(limiter, text);

            memcpy(at, &hash, PART_LEN);
        } else if (!put_address(visit->caller, (uint8_t *)at)) {
            return false;
        }
    }
    *key = limiter_hash(limiter, (struct str){bytes, (size_t)(at - bytes)});
    return true;
}

struct shared_name rate_limit_shared_name(const struct visit *visit, const struct limit *limit)
{
    enum { DIGEST = 32 };
    unsigned char bytes[sizeof(limit->id) + PARTS_MAX * (1 + DIGEST)] = {0};
    unsigned char *at = bytes + sizeof(limit->id);

    memcpy(bytes, &limit->id, sizeof(limit->id));
    for (uint32_t i = 0; i < limit->by.count; i++, at += DIGEST) {
        struct str text = part_text(visit, &limit->by.items[i]);

        *at++ = text.p != NULL;
        if (text.p)
            shared_digest(text, at);
        else
            put_address(visit->caller, at);
    }
    return shared_name((struct str){(const char *)bytes, (size_t)(at - bytes)});
}

struct limiter_key rate_limit_grace_key(const struct limiter *limiter, struct limiter_key key)
{
    return limiter_hash(limiter, (struct str){(const char *)&key, sizeof(key)});
}

/* --- who and what is not counted */

/* Takes as long wherever they differ: the value may be a secret. */
static bool is_equal(struct str a, struct str b)
{
    unsigned char differs = a.len != b.len;

    for (size_t i = 0; i < a.len && i < b.len; i++)
        differs |= (unsigned char)(a.p[i] ^ b.p[i]);
    return a.p && !differs;
}

bool rate_limit_is_exempt(const struct visit *visit, const struct exempt *exempt)
{
    if (exempt->net_count && !ip_is_none(visit->caller->ip) &&
        cidr_list_has(exempt->nets, exempt->net_count, visit->caller->ip))
        return true;
    for (uint32_t i = 0; i < exempt->consumer_count && visit->vars->consumer.p; i++)
        if (str_same(visit->vars->consumer, exempt->consumers[i]))
            return true;
    for (uint32_t i = 0; i < exempt->header_count; i++)
        if (is_equal(head_value_name(visit->request, exempt->headers[i].name.s),
                     exempt->headers[i].value.s))
            return true;
    return false;
}

/* The seconds of a directive such as "max-age=3600"; 0: it is not that one, or no number. */
static uint64_t read_age(struct str directive)
{
    static const struct str name = STR_INIT("max-age=");
    uint64_t age = 0;

    if (directive.len <= name.len || strncasecmp(directive.p, name.p, name.len) != 0)
        return 0;
    for (size_t i = name.len; i < directive.len; i++) {
        char c = directive.p[i];

        if (c == '"' && (i == name.len || i + 1 == directive.len))
            continue;
        if (c < '0' || c > '9')
            return 0;
        age = age < ASSET_AGE_S ? age * 10 + (uint64_t)(c - '0') : age;
    }
    return age;
}

static uint64_t find_age(struct str list)
{
    const char *at = list.p, *end = list.p + list.len;
    uint64_t age = 0;

    while (at && at < end && !age) {
        const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma ? comma : end;

        while (at < stop && (*at == ' ' || *at == '\t'))
            at++;
        while (stop > at && (stop[-1] == ' ' || stop[-1] == '\t'))
            stop--;
        age = read_age((struct str){at, (size_t)(stop - at)});
        at = comma ? comma + 1 : end;
    }
    return age;
}

bool rate_limit_is_asset(const struct head *request, const struct head *response)
{
    struct str control;

    if (request->method != METHOD_GET || response->status >= 400)
        return false;
    if (response->status == 304)
        return true;
    control = head_value_name(response, STR("cache-control"));
    if (!control.len)
        return false;
    return head_list_has(control, STR("immutable")) ||
           (head_list_has(control, STR("public")) && find_age(control) >= ASSET_AGE_S);
}
