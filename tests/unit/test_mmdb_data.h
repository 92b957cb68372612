/* SPDX-License-Identifier: Apache-2.0
 *
 * The data of a small MaxMind DB file under way, see test_mmdb.h.
 */
#ifndef TEST_MMDB_DATA_H
#define TEST_MMDB_DATA_H

#include <stdint.h>
#include <string.h>

enum { MMDB_NODES = 4096, MMDB_DATA = 1 << 18, MMDB_EMPTY = 0xffffff, MMDB_IS_DATA = 0x800000 };

struct mmdb {
    uint32_t nodes[MMDB_NODES][2]; /* a node, MMDB_EMPTY, or MMDB_IS_DATA with an offset */
    uint32_t count;
    unsigned version;
    uint8_t data[MMDB_DATA], meta[MMDB_DATA];
    size_t data_len, meta_len;
};

static inline void mmdb_byte(struct mmdb *db, unsigned byte)
{
    assert_true(db->data_len < MMDB_DATA);
    db->data[db->data_len++] = (uint8_t)byte;
}

/* Types above 7 have a byte more. */
static inline void mmdb_head(struct mmdb *db, unsigned type, unsigned size)
{
    assert_true(size < 29);
    mmdb_byte(db, (type > 7 ? 0 : type << 5) | size);
    if (type > 7)
        mmdb_byte(db, type - 7);
}

static inline void mmdb_text(struct mmdb *db, const char *text)
{
    mmdb_head(db, 2, (unsigned)strlen(text));
    while (*text)
        mmdb_byte(db, (unsigned char)*text++);
}

static inline void mmdb_u32(struct mmdb *db, uint32_t number)
{
    mmdb_head(db, 6, 4);
    for (int i = 24; i >= 0; i -= 8)
        mmdb_byte(db, number >> i & 0xff);
}

/* Of two bytes: to the first 2 KiB. */
static inline void mmdb_pointer(struct mmdb *db, size_t to)
{
    assert_true(to < 2048);
    mmdb_byte(db, 1 << 5 | (unsigned)(to >> 8));
    mmdb_byte(db, to & 0xff);
}

/* {"country": {"iso_code": code}} at the offset that is returned. */
static inline uint32_t mmdb_country(struct mmdb *db, const char *code)
{
    uint32_t at = (uint32_t)db->data_len;

    mmdb_head(db, 7, 1);
    mmdb_text(db, "country");
    mmdb_head(db, 7, 1);
    mmdb_text(db, "iso_code");
    mmdb_text(db, code);
    return at;
}

static inline uint32_t mmdb_asn(struct mmdb *db, uint32_t asn)
{
    uint32_t at = (uint32_t)db->data_len;

    mmdb_head(db, 7, 2);
    mmdb_text(db, "autonomous_system_number");
    mmdb_u32(db, asn);
    mmdb_text(db, "autonomous_system_org");
    mmdb_text(db, "Example");
    return at;
}

#endif
