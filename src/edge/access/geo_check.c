/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/access/geo_check.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEPTH_MAX = 32,      /* of maps, arrays and pointers within each other */
    STEPS_PER_BYTE = 16, /* values looked at: records may share what lies behind pointers */
    STEPS_FLOOR = 1000,
    MARKER_LEN = 14, /* before the metadata; the library counts both as data */
    METADATA_MAX = 128 * 1024,
};

/* The data section, read as its specification says (maxmind.github.io/MaxMind-DB, version 2.0). */
struct look {
    const uint8_t *data;
    size_t len;
    uint8_t *seen; /* a bit a byte of the data: a value that begins there was looked at */
    uint64_t steps;
    bool has_answer;
};

struct value {
    unsigned type;
    size_t size; /* of a map or an array: how many; of a pointer: where it leads to */
};

/* A big-endian number of up to four bytes; false past the end. */
static bool take(const struct look *look, size_t *at, unsigned bytes, size_t *number)
{
    *number = 0;
    if (bytes > look->len - *at)
        return false;
    for (unsigned i = 0; i < bytes; i++)
        *number = *number << 8 | look->data[(*at)++];
    return true;
}

static bool take_pointer(const struct look *look, size_t *at, size_t control, struct value *value)
{
    static const size_t bases[] = {0, 2048, 526336, 0};
    unsigned size = control >> 3 & 3;

    if (!take(look, at, size + 1, &value->size))
        return false;
    if (size < 3)
        value->size |= (control & 7) << 8 * (size + 1);
    value->size += bases[size];
    return value->size < look->len;
}

static bool take_head(const struct look *look, size_t *at, struct value *value)
{
    static const size_t bases[] = {29, 285, 65821};
    size_t control, more;

    if (!take(look, at, 1, &control))
        return false;
    value->type = (unsigned)control >> 5;
    if (value->type == MMDB_DATA_TYPE_POINTER)
        return take_pointer(look, at, control, value);
    if (value->type == MMDB_DATA_TYPE_EXTENDED) {
        if (!take(look, at, 1, &more))
            return false;
        value->type = (unsigned)more + 7;
    }
    value->size = control & 31;
    if (value->size < 29)
        return true;
    control = value->size - 29;
    if (!take(look, at, (unsigned)control + 1, &more))
        return false;
    value->size = bases[control] + more;
    return true;
}

/* Bytes that follow a scalar's head; false: it is of no such size, or no scalar. */
static bool payload(const struct value *value, size_t *bytes)
{
    static const uint8_t most[] = {
        [MMDB_DATA_TYPE_UINT16] = 2, [MMDB_DATA_TYPE_UINT32] = 4,   [MMDB_DATA_TYPE_INT32] = 4,
        [MMDB_DATA_TYPE_UINT64] = 8, [MMDB_DATA_TYPE_UINT128] = 16,
    };

    *bytes = value->size;
    switch (value->type) {
    case MMDB_DATA_TYPE_UTF8_STRING:
    case MMDB_DATA_TYPE_BYTES:
        return true;
    case MMDB_DATA_TYPE_DOUBLE:
        return value->size == 8;
    case MMDB_DATA_TYPE_FLOAT:
        return value->size == 4;
    case MMDB_DATA_TYPE_BOOLEAN:
        *bytes = 0;
        return value->size <= 1;
    default:
        return value->type < sizeof(most) && value->size <= most[value->type] && most[value->type];
    }
}

static bool look_at(struct look *look, size_t *at, unsigned depth);

static bool follow(struct look *look, size_t to, unsigned depth)
{
    uint8_t bit = (uint8_t)(1 << to % 8);

    if (look->seen[to / 8] & bit)
        return true;
    look->seen[to / 8] |= bit;
    if (look->data[to] >> 5 == MMDB_DATA_TYPE_POINTER)
        return false; // a pointer may not lead to another
    return look_at(look, &to, depth + 1);
}

/* One value with all it holds; `at` is behind it then. As deep as DEPTH_MAX. */
static bool look_at(struct look *look, size_t *at, unsigned depth)
{
    struct value value;
    size_t count;

    if (depth > DEPTH_MAX || !look->steps-- || !take_head(look, at, &value))
        return false;
    if (value.type == MMDB_DATA_TYPE_POINTER)
        return follow(look, value.size, depth);
    if (value.type != MMDB_DATA_TYPE_MAP && value.type != MMDB_DATA_TYPE_ARRAY) {
        if (!payload(&value, &count) || count > look->len - *at)
            return false;
        *at += count;
        return true;
    }
    count = value.type == MMDB_DATA_TYPE_MAP ? value.size * 2 : value.size;
    while (count--)
        if (!look_at(look, at, depth + 1))
            return false;
    return true;
}

/* --- the tree */

static bool check_record(struct look *look, uint8_t type, MMDB_entry_s *entry,
                         geo_check_answers *answers)
{
    size_t at = entry->offset;
    uint8_t bit = (uint8_t)(1 << at % 8);

    if (type != MMDB_RECORD_TYPE_DATA)
        return type == MMDB_RECORD_TYPE_SEARCH_NODE || type == MMDB_RECORD_TYPE_EMPTY;
    if (at >= look->len)
        return false;
    if (look->seen[at / 8] & bit)
        return true;
    look->seen[at / 8] |= bit;
    if (!look_at(look, &at, 0))
        return false;
    look->has_answer = look->has_answer || answers(entry);
    return true;
}

static bool check_nodes(struct look *look, MMDB_s *mmdb, geo_check_answers *answers)
{
    MMDB_search_node_s node;

    for (uint32_t i = 0; i < mmdb->metadata.node_count; i++) {
        if (MMDB_read_node(mmdb, i, &node) != MMDB_SUCCESS ||
            !check_record(look, node.left_record_type, &node.left_record_entry, answers) ||
            !check_record(look, node.right_record_type, &node.right_record_entry, answers))
            return false;
    }
    return true;
}

/* --- the metadata */

/* Behind the last marker; NULL: there is none where it may be. */
static const uint8_t *find_metadata(const uint8_t *file, size_t len)
{
    static const char marker[] = "\xab\xcd\xef"
                                 "MaxMind.com";
    const uint8_t *end = file + len, *found = NULL;
    const uint8_t *at = len > METADATA_MAX ? end - METADATA_MAX : file;

    while ((at = memmem(at, (size_t)(end - at), marker, MARKER_LEN)) != NULL)
        found = at += MARKER_LEN;
    return found;
}

enum status geo_check_metadata(const uint8_t *file, size_t len)
{
    struct look look = {.data = find_metadata(file, len), .steps = METADATA_MAX};
    size_t at = 0;
    bool is_good;

    if (!look.data)
        return E_NOT_FOUND;
    look.len = (size_t)(file + len - look.data);
    look.seen = calloc(look.len / 8 + 1, 1);
    if (!look.seen)
        return E_NOMEM;
    is_good = look_at(&look, &at, 0);
    free(look.seen);
    return is_good ? OK : E_INVALID;
}

/* --- all the rest */

enum status geo_check(MMDB_s *mmdb, geo_check_answers *answers)
{
    struct look look = {.data = mmdb->data_section};
    bool is_good;

    if (mmdb->metadata_section - mmdb->data_section < MARKER_LEN)
        return E_INVALID;
    look.len = (size_t)(mmdb->metadata_section - mmdb->data_section) - MARKER_LEN;
    look.steps = (uint64_t)look.len * STEPS_PER_BYTE + STEPS_FLOOR;
    look.seen = calloc(look.len / 8 + 1, 1);
    if (!look.seen)
        return E_NOMEM;
    is_good = check_nodes(&look, mmdb, answers);
    free(look.seen);
    if (!is_good)
        return E_INVALID;
    return look.has_answer ? OK : E_NOT_FOUND;
}
