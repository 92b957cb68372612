/* SPDX-License-Identifier: Apache-2.0
 *
 * DNS messages by hand, for tests: a header, one question, and answers whose owner is a pointer to
 * the question's name (or what `owner` says).
 */
#ifndef TEST_DNS_PACKET_H
#define TEST_DNS_PACKET_H

#include <arpa/inet.h>
#include <string.h>

#include "sluice/types.h"

struct packet {
    uint8_t bytes[65535];
    size_t len;
    struct str owner; /* of answers, as it is on the wire */
};

struct packet_srv {
    uint16_t priority, weight, port;
    const char *target;
};

static inline void packet_put(struct packet *packet, const void *bytes, size_t n)
{
    assert_true(packet->len + n <= sizeof(packet->bytes));
    memcpy(packet->bytes + packet->len, bytes, n);
    packet->len += n;
}

static inline void packet_u16(struct packet *packet, unsigned n)
{
    packet_put(packet, (uint8_t[]){(uint8_t)(n >> 8), (uint8_t)n}, 2);
}

static inline void packet_u32(struct packet *packet, uint32_t n)
{
    packet_u16(packet, n >> 16);
    packet_u16(packet, n & 0xffff);
}

/* "a.b" as labels; "." is the root. */
static inline void packet_name(struct packet *packet, const char *name)
{
    while (*name && strcmp(name, ".")) {
        uint8_t n = (uint8_t)strcspn(name, ".");

        packet_put(packet, &n, 1);
        packet_put(packet, name, n);
        name += n + (name[n] == '.');
    }
    packet_put(packet, "", 1);
}

static inline void packet_flags(struct packet *packet, unsigned flags)
{
    packet->bytes[2] = (uint8_t)(flags >> 8);
    packet->bytes[3] = (uint8_t)flags;
}

/* A response without an answer. */
static inline void packet_begin(struct packet *packet, unsigned id, const char *name, unsigned type)
{
    packet->len = 0;
    packet->owner = (struct str){"\xc0\x0c", 2};
    packet_u16(packet, id);
    packet_u16(packet, 0x8180);
    packet_u16(packet, 1);
    packet_put(packet, "\0\0\0\0\0\0", 6);
    packet_name(packet, name);
    packet_u16(packet, type);
    packet_u16(packet, 1);
}

/* Up to the data, which has to have `len` bytes and is put by the caller. */
static inline void packet_record(struct packet *packet, unsigned type, uint32_t ttl_s, size_t len)
{
    unsigned answers = (unsigned)packet->bytes[6] << 8 | packet->bytes[7];

    answers++;
    packet->bytes[6] = (uint8_t)(answers >> 8);
    packet->bytes[7] = (uint8_t)answers;
    packet_put(packet, packet->owner.p, packet->owner.len);
    packet_u16(packet, type);
    packet_u16(packet, 1);
    packet_u32(packet, ttl_s);
    packet_u16(packet, (unsigned)len);
}

/* A or AAAA, as the text is. */
static inline void packet_address(struct packet *packet, uint32_t ttl_s, const char *text)
{
    uint8_t bytes[16];
    bool is_v6 = strchr(text, ':') != NULL;

    assert_int_equal(inet_pton(is_v6 ? AF_INET6 : AF_INET, text, bytes), 1);
    packet_record(packet, is_v6 ? 28 : 1, ttl_s, is_v6 ? 16 : 4);
    packet_put(packet, bytes, is_v6 ? 16 : 4);
}

static inline void packet_cname(struct packet *packet, uint32_t ttl_s, const char *target)
{
    packet_record(packet, 5, ttl_s, strlen(target) + 2);
    packet_name(packet, target);
}

static inline void packet_service(struct packet *packet, uint32_t ttl_s,
                                  const struct packet_srv *srv)
{
    size_t name = strcmp(srv->target, ".") ? strlen(srv->target) + 2 : 1;

    packet_record(packet, 33, ttl_s, 6 + name);
    packet_u16(packet, srv->priority);
    packet_u16(packet, srv->weight);
    packet_u16(packet, srv->port);
    packet_name(packet, srv->target);
}

/* TXT of one string for each text up to NULL. */
static inline void packet_text(struct packet *packet, uint32_t ttl_s, const char *const *texts)
{
    size_t len = 0;

    for (const char *const *at = texts; *at; at++)
        len += strlen(*at) + 1;
    packet_record(packet, 16, ttl_s, len);
    for (const char *const *at = texts; *at; at++) {
        uint8_t n = (uint8_t)strlen(*at);

        packet_put(packet, &n, 1);
        packet_put(packet, *at, n);
    }
}

#endif
