/* SPDX-License-Identifier: Apache-2.0
 *
 * From a field name to its enum header_id, without regard to case. Called once per field of every
 * message: the length picks a few candidates, two or three folded words decide. Pure.
 */
#include "sluice/head.h"

#include <string.h>

enum { NAME_MAX_LEN = 19, CANDIDATES = 5 };

_Static_assert(NAME_MAX_LEN <= 24, "three words cover a name");

static const char names[HDR_COUNT][NAME_MAX_LEN + 1] = {
    [HDR_OTHER] = "",
#define HEADER(id, name) [HDR_##id] = name,
#include "sluice/header.def"
#undef HEADER
};

/* By length of the name, most frequent first; the unit test holds it against header.def. */
static const uint8_t by_len[NAME_MAX_LEN + 1][CANDIDATES] = {
    [2] = {HDR_TE},
    [3] = {HDR_VIA},
    [4] = {HDR_HOST, HDR_DATE},
    [6] = {HDR_ACCEPT, HDR_COOKIE, HDR_SERVER, HDR_ORIGIN, HDR_EXPECT},
    [7] = {HDR_REFERER, HDR_UPGRADE, HDR_TRAILER, HDR_ALT_SVC},
    [8] = {HDR_LOCATION},
    [9] = {HDR_X_REAL_IP, HDR_FORWARDED},
    [10] = {HDR_CONNECTION, HDR_USER_AGENT, HDR_SET_COOKIE, HDR_KEEP_ALIVE, HDR_TRACESTATE},
    [11] = {HDR_TRACEPARENT, HDR_RETRY_AFTER, HDR_X_CLIENT_IP},
    [12] = {HDR_CONTENT_TYPE, HDR_X_REQUEST_ID},
    [13] = {HDR_AUTHORIZATION, HDR_FLY_CLIENT_IP},
    [14] = {HDR_CONTENT_LENGTH, HDR_TRUE_CLIENT_IP},
    [15] = {HDR_X_FORWARDED_FOR, HDR_X_FORWARDED_SSL},
    [16] = {HDR_X_FORWARDED_HOST, HDR_PROXY_CONNECTION, HDR_X_FORWARDED_PORT, HDR_CF_CONNECTING_IP},
    [17] = {HDR_TRANSFER_ENCODING, HDR_X_FORWARDED_PROTO},
    [18] = {HDR_X_FORWARDED_SCHEME, HDR_X_FORWARDED_PREFIX, HDR_X_FORWARDED_SERVER},
    [19] = {HDR_X_CLUSTER_CLIENT_IP},
};

const char *head_id_name(enum header_id id)
{
    return names[id];
}

static uint64_t load8(const char *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof(x));
    return x;
}

/* Lower case of eight ASCII letters; what becomes of other bytes is never a byte of a known name.
 */
static uint64_t fold(uint64_t x)
{
    return x | ((x & UINT64_C(0x4040404040404040)) >> 1);
}

/* The bytes of a name shorter than 8, in an order of its own. */
static uint64_t pack(const char *p, size_t len)
{
    uint32_t front, back;
    uint64_t x = 0;

    if (len < 4) {
        for (size_t i = 0; i < len; i++)
            x = x << 8 | (unsigned char)p[i];
        return x;
    }
    memcpy(&front, p, sizeof(front));
    memcpy(&back, p + len - sizeof(back), sizeof(back));
    return (uint64_t)front << 32 | back;
}

enum header_id head_id(struct str name)
{
    const uint8_t *id = by_len[name.len <= NAME_MAX_LEN ? name.len : 0];
    const uint8_t *end = id + CANDIDATES;
    uint64_t first, last;

    if (!*id)
        return HDR_OTHER;
    if (name.len < 8) {
        for (first = fold(pack(name.p, name.len)); id < end && *id; id++)
            if (first == pack(names[*id], name.len))
                return *id;
        return HDR_OTHER;
    }
    first = fold(load8(name.p));
    last = fold(load8(name.p + name.len - 8));
    for (; id < end && *id; id++)
        if (first == load8(names[*id]) && last == load8(names[*id] + name.len - 8) &&
            (name.len <= 16 || fold(load8(name.p + 8)) == load8(names[*id] + 8)))
            return *id;
    return HDR_OTHER;
}
