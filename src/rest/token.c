/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/token.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

static bool same_fold(struct str a, struct str b)
{
    return a.len == b.len && !strncasecmp(a.p, b.p, a.len);
}

/* Takes time by the length of what was offered alone. */
static bool equals(struct str offered, struct str token)
{
    unsigned differs = offered.len != token.len || !token.len;

    for (size_t i = 0; i < offered.len; i++) {
        unsigned char expected = token.len ? (unsigned char)token.p[i % token.len] : 0;

        differs |= (unsigned)((unsigned char)offered.p[i] ^ expected);
    }
    return !differs;
}

/* RFC 6750 2.1: "Bearer" 1*SP b64token; RFC 9110 11.1: the scheme in any case. */
static struct str bearer(struct str authorization)
{
    static const struct str scheme = STR_INIT("Bearer ");

    if (authorization.len <= scheme.len || strncasecmp(authorization.p, scheme.p, scheme.len))
        return STR_NONE;
    authorization.p += scheme.len;
    authorization.len -= scheme.len;
    while (authorization.len && *authorization.p == ' ') {
        authorization.p++;
        authorization.len--;
    }
    return authorization;
}

uint32_t token_match(const struct conf_admin *admin, struct str offered, struct str *name)
{
    uint32_t rights = 0;

    for (uint32_t i = 0; offered.len && i < admin->token_count; i++) {
        bool is_it = equals(offered, admin->tokens[i].token.s);

        rights |= (admin->tokens[i].can | 1U << CONF_CAN_READ) * is_it;
        if (is_it && name)
            *name = admin->tokens[i].name.s;
    }
    return rights;
}

uint32_t token_rights(const struct conf_admin *admin, struct str authorization)
{
    return token_match(admin, bearer(authorization), NULL);
}

struct str token_name(const struct conf_admin *admin, struct str authorization)
{
    struct str name = STR_NONE;

    return token_match(admin, bearer(authorization), &name) ? name : STR_NONE;
}

static bool is_address(struct str host)
{
    unsigned char binary[sizeof(struct in6_addr)];
    char text[INET6_ADDRSTRLEN];
    bool is_v6 = host.len > 2 && host.p[0] == '[' && host.p[host.len - 1] == ']';

    if (is_v6)
        host = (struct str){host.p + 1, host.len - 2};
    if (host.len >= sizeof(text) || !host.len)
        return false;
    memcpy(text, host.p, host.len);
    text[host.len] = '\0';
    return inet_pton(is_v6 ? AF_INET6 : AF_INET, text, binary) == 1;
}

/* The host without its port; the brackets of IPv6 stay. */
static struct str without_port(struct str host)
{
    const char *end = host.len ? memrchr(host.p, ':', host.len) : NULL;

    if (end && !memchr(end, ']', host.len - (size_t)(end - host.p)))
        host.len = (size_t)(end - host.p);
    return host;
}

bool token_host_is_ours(const struct conf_admin *admin, struct str host)
{
    host = without_port(host);
    if (is_address(host) || same_fold(host, STR("localhost")))
        return true;
    return admin->bind.host.len && !admin->bind.is_unix && same_fold(host, admin->bind.host);
}

bool token_origin_is_same(struct str origin, struct str host)
{
    static const struct str schemes[] = {STR_INIT("http://"), STR_INIT("https://")};

    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        size_t len = schemes[i].len;

        if (origin.len > len && !strncasecmp(origin.p, schemes[i].p, len))
            return same_fold((struct str){origin.p + len, origin.len - len}, host);
    }
    return false;
}
