/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cidr.h"

#include <string.h>

/* At most three digits, no sign, no blanks. */
static bool parse_bits(struct str text, unsigned most, unsigned *bits)
{
    *bits = 0;
    if (!text.len || text.len > 3 || (text.len > 1 && text.p[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        *bits = *bits * 10 + (unsigned)(text.p[i] - '0');
    }
    return *bits <= most;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned rest = bits % 8;

    if (memcmp(a, b, bits / 8) != 0)
        return false;
    return !rest || !((a[bits / 8] ^ b[bits / 8]) >> (8 - rest));
}

bool cidr_parse(struct str text, struct cidr *cidr)
{
    static const uint8_t zeros[IP_LEN];
    const char *slash = text.len ? memchr(text.p, '/', text.len) : NULL;
    struct str host = {text.p, slash ? (size_t)(slash - text.p) : text.len};
    unsigned bits = 128, most, rest;

    if (!ip_parse(host, cidr->ip))
        return false;
    most = ip_is_v4(cidr->ip) && !memchr(host.p, ':', host.len) ? 32 : 128;
    if (slash) {
        if (!parse_bits((struct str){slash + 1, text.len - host.len - 1}, most, &bits))
            return false;
        bits += 128 - most;
    }
    cidr->bits = (uint8_t)bits;
    rest = bits % 8;
    if (rest && (uint8_t)(cidr->ip[bits / 8] << rest))
        return false;
    rest = (bits + 7) / 8;
    return !memcmp(cidr->ip + rest, zeros, IP_LEN - rest);
}

bool cidr_has(const struct cidr *cidr, const uint8_t ip[IP_LEN])
{
    return same_bits(cidr->ip, ip, cidr->bits);
}

bool cidr_list_has(const struct cidr *list, size_t count, const uint8_t ip[IP_LEN])
{
    for (size_t i = 0; i < count; i++)
        if (cidr_has(&list[i], ip))
            return true;
    return false;
}
