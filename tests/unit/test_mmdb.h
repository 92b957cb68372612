/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes small MaxMind DB files for tests (maxmind.github.io/MaxMind-DB): records of 24 bits, data
 * as the test puts it, IPv4 in a tree of IPv6 below ::/96. Whoever includes it is a cmocka test.
 */
#ifndef TEST_MMDB_H
#define TEST_MMDB_H

#include <stdio.h>

#include "base/cidr.h"
#include "test_mmdb_data.h"

static inline void mmdb_begin(struct mmdb *db, unsigned version)
{
    *db = (struct mmdb){.count = 1, .version = version};
    db->nodes[0][0] = db->nodes[0][1] = MMDB_EMPTY;
}

/* Longer networks after those that hold them do not work: insert disjoint ones. */
static inline void mmdb_insert(struct mmdb *db, const char *text, uint32_t offset)
{
    struct cidr cidr;
    uint32_t node = 0;
    unsigned from = 0;

    assert_true(cidr_parse((struct str){text, strlen(text)}, &cidr));
    if (ip_is_v4(cidr.ip) && db->version == 6)
        memset(cidr.ip, 0, 12);
    else if (ip_is_v4(cidr.ip))
        from = 96;
    for (unsigned i = from; i < cidr.bits; i++) {
        uint32_t *record = &db->nodes[node][cidr.ip[i / 8] >> (7 - i % 8) & 1];

        if (i + 1 == cidr.bits) {
            *record = MMDB_IS_DATA | offset;
            return;
        }
        if (*record == MMDB_EMPTY) {
            assert_true(db->count < MMDB_NODES);
            *record = db->count;
            db->nodes[db->count][0] = db->nodes[db->count][1] = MMDB_EMPTY;
            db->count++;
        }
        node = *record;
    }
}

static inline void mmdb_meta(struct mmdb *db)
{
    size_t before = db->data_len;

    mmdb_head(db, 7, 9);
    mmdb_text(db, "node_count");
    mmdb_u32(db, db->count);
    mmdb_text(db, "record_size");
    mmdb_head(db, 5, 1);
    mmdb_byte(db, 24);
    mmdb_text(db, "ip_version");
    mmdb_head(db, 5, 1);
    mmdb_byte(db, db->version);
    mmdb_text(db, "database_type");
    mmdb_text(db, "Test");
    mmdb_text(db, "languages");
    mmdb_head(db, 11, 0);
    mmdb_text(db, "binary_format_major_version");
    mmdb_head(db, 5, 1);
    mmdb_byte(db, 2);
    mmdb_text(db, "binary_format_minor_version");
    mmdb_head(db, 5, 0);
    mmdb_text(db, "build_epoch");
    mmdb_head(db, 9, 1);
    mmdb_byte(db, 1);
    mmdb_text(db, "description");
    mmdb_head(db, 7, 0);
    db->meta_len = db->data_len - before;
    memcpy(db->meta, db->data + before, db->meta_len);
    db->data_len = before;
}

static inline void mmdb_record(const struct mmdb *db, uint32_t record, FILE *file)
{
    uint32_t number = record;

    if (record == MMDB_EMPTY)
        number = db->count;
    else if (record & MMDB_IS_DATA)
        number = db->count + 16 + (record & ~(uint32_t)MMDB_IS_DATA);
    fputc((int)(number >> 16 & 0xff), file);
    fputc((int)(number >> 8 & 0xff), file);
    fputc((int)(number & 0xff), file);
}

/* The metadata is the usual unless the test has made its own. */
static inline void mmdb_write(struct mmdb *db, const char *path)
{
    static const uint8_t zeros[16];
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    if (!db->meta_len)
        mmdb_meta(db);
    for (uint32_t i = 0; i < db->count; i++) {
        mmdb_record(db, db->nodes[i][0], file);
        mmdb_record(db, db->nodes[i][1], file);
    }
    fwrite(zeros, 1, sizeof(zeros), file);
    fwrite(db->data, 1, db->data_len, file);
    fwrite("\xab\xcd\xefMaxMind.com", 1, 14, file);
    fwrite(db->meta, 1, db->meta_len, file);
    assert_int_equal(fclose(file), 0);
}

#endif
