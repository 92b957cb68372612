/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ip.h"

#include <arpa/inet.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool ip_parse(struct str text, uint8_t ip[IP_LEN])
{
    char copy[IP_TEXT_MAX];

    if (!text.len || text.len >= sizeof(copy) || memchr(text.p, 0, text.len))
        return false;
    memcpy(copy, text.p, text.len);
    copy[text.len] = 0;
    memcpy(ip, mapped, sizeof(mapped));
    if (!memchr(copy, ':', text.len))
        return inet_pton(AF_INET, copy, ip + sizeof(mapped)) == 1;
    return inet_pton(AF_INET6, copy, ip) == 1;
}

bool ip_of(const struct sockaddr *address, uint8_t ip[IP_LEN])
{
    if (address->sa_family == AF_INET) {
        memcpy(ip, mapped, sizeof(mapped));
        memcpy(ip + sizeof(mapped), &((const struct sockaddr_in *)address)->sin_addr, 4);
        return true;
    }
    if (address->sa_family == AF_INET6) {
        memcpy(ip, &((const struct sockaddr_in6 *)address)->sin6_addr, IP_LEN);
        return true;
    }
    memset(ip, 0, IP_LEN);
    return false;
}

size_t ip_print(const uint8_t ip[IP_LEN], char text[IP_TEXT_MAX])
{
    bool is_v4 = ip_is_v4(ip);

    if (!inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? ip + sizeof(mapped) : ip, text, IP_TEXT_MAX))
        text[0] = 0;
    return strlen(text);
}

bool ip_is_v4(const uint8_t ip[IP_LEN])
{
    return !memcmp(ip, mapped, sizeof(mapped));
}

bool ip_is_none(const uint8_t ip[IP_LEN])
{
    static const uint8_t none[IP_LEN];

    return !memcmp(ip, none, sizeof(none));
}

uint64_t ip_hash(const uint8_t ip[IP_LEN])
{
    if (ip_is_none(ip))
        return 0;
    return ip_is_v4(ip) ? XXH3_64bits(ip + sizeof(mapped), 4) : XXH3_64bits(ip, 8);
}
