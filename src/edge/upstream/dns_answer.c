/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/dns_answer.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEAD_SIZE = 12,
    CLASS_IN = 1,
    TYPE_CNAME = 5,
    FLAG_RESPONSE = 0x8000,
    LABEL_MAX = 63,
    RAW_MAX = 2 * DNS_RECORDS_MAX,
    ROOM_FIRST = 16
};

/* A message being read; `at` never passes its length, and `is_bad` stays once set. */
struct reader {
    const uint8_t *bytes;
    size_t len, at;
    bool is_bad;
};

/* The fixed part of a resource record (RFC 1035 section 4.1.3); its data ends at `end`. */
struct rr {
    uint16_t type, class;
    uint32_t ttl_s;
    size_t data_len, end;
};

/* --- reading bytes */

static bool has(struct reader *reader, size_t n)
{
    if (reader->is_bad || reader->len - reader->at < n)
        reader->is_bad = true;
    return !reader->is_bad;
}

static uint16_t read_u16(struct reader *reader)
{
    const uint8_t *p;

    if (!has(reader, 2))
        return 0;
    p = reader->bytes + reader->at;
    reader->at += 2;
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t read_u32(struct reader *reader)
{
    uint32_t high = read_u16(reader);

    return high << 16 | read_u16(reader);
}

static void skip(struct reader *reader, size_t n)
{
    if (has(reader, n))
        reader->at += n;
}

/* Past a name without following its pointer, which ends it. */
static void skip_name(struct reader *reader)
{
    while (has(reader, 1)) {
        uint8_t n = reader->bytes[reader->at];

        if (n > LABEL_MAX) {
            reader->is_bad = reader->is_bad || (n & 0xc0) != 0xc0;
            skip(reader, 2);
            return;
        }
        skip(reader, 1U + n);
        if (!n)
            return;
    }
}

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* One label as text with a dot behind it; the end of the text, or NULL. Bytes that no host's name
 * has would make two names of one, or one of two, when they are printed. */
static char *put_label(char *out, const char *out_end, const uint8_t *label, size_t n)
{
    if ((size_t)(out_end - out) < n + 1)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = label[i] >= 'A' && label[i] <= 'Z' ? label[i] | 0x20 : label[i];

        if (!is_name_byte(c))
            return NULL;
        *out++ = (char)c;
    }
    *out++ = '.';
    return out;
}

/* Where the pointer at `at` leads (RFC 1035 section 4.1.4); SIZE_MAX: nowhere. It has to lead to
 * before `least`, the lowest place the name was at so far: so it comes to an end. */
static size_t follow(const struct reader *reader, size_t at, size_t least)
{
    size_t to;

    if (reader->len - at < 2 || (reader->bytes[at] & 0xc0) != 0xc0)
        return SIZE_MAX;
    to = (size_t)(reader->bytes[at] & 0x3f) << 8 | reader->bytes[at + 1];
    return to >= HEAD_SIZE && to < least ? to : SIZE_MAX;
}

/* The name at `at` as text into `name` of DNS_NAME_MAX bytes, NUL behind; its length in *len. */
static bool expand(const struct reader *reader, size_t at, char *name, size_t *len)
{
    char *out = name;
    size_t least = at;

    while (at < reader->len && reader->bytes[at]) {
        size_t n = reader->bytes[at];

        if (n > LABEL_MAX) {
            at = follow(reader, at, least);
            least = at;
        } else {
            if (reader->len - at <= n)
                return false;
            out = put_label(out, name + DNS_NAME_MAX, reader->bytes + at + 1, n);
            at = out ? at + 1 + n : SIZE_MAX;
        }
    }
    if (at >= reader->len)
        return false;
    *len = out > name ? (size_t)(out - name) - 1 : 0;
    name[*len] = '\0';
    return true;
}

/* --- records of a message */

/* To the first record of the answer section; how many there are. */
static unsigned open_message(struct reader *reader, struct str bytes)
{
    uint16_t flags, questions, answers;

    *reader = (struct reader){(const uint8_t *)bytes.p, bytes.len, 0, false};
    skip(reader, 2);
    flags = read_u16(reader);
    questions = read_u16(reader);
    answers = read_u16(reader);
    skip(reader, 4);
    if (!(flags & FLAG_RESPONSE))
        reader->is_bad = true;
    for (unsigned i = 0; i < questions && !reader->is_bad; i++) {
        skip_name(reader);
        skip(reader, 4);
    }
    return reader->is_bad ? 0 : answers;
}

/* To the data of the next record, which is there in full when true is returned. */
static bool next(struct reader *reader, struct rr *rr)
{
    skip_name(reader);
    rr->type = read_u16(reader);
    rr->class = read_u16(reader);
    rr->ttl_s = read_u32(reader);
    rr->data_len = read_u16(reader);
    rr->end = reader->at + rr->data_len;
    // RFC 2181 section 8: with the highest bit set it means zero.
    if (rr->ttl_s > INT32_MAX)
        rr->ttl_s = 0;
    return has(reader, rr->data_len);
}

static enum status add_address(struct dns_answer *answer, const uint8_t *data, const struct rr *rr,
                               uint16_t port)
{
    struct dns_record record = {.port = port, .ttl_s = rr->ttl_s};

    if (rr->data_len != (rr->type == DNS_A ? 4 : 16))
        return E_INVALID;
    if (rr->type == DNS_A) {
        record.address.in.sin_family = AF_INET;
        record.address.in.sin_port = htons(port);
        memcpy(&record.address.in.sin_addr, data, 4);
    } else {
        record.address.in6.sin6_family = AF_INET6;
        record.address.in6.sin6_port = htons(port);
        memcpy(&record.address.in6.sin6_addr, data, 16);
    }
    return dns_answer_add(answer, &record);
}

/* RFC 2782. Its target "." says that there is no such service here: no record. */
static enum status add_service(struct dns_answer *answer, struct reader *reader,
                               const struct rr *rr)
{
    struct dns_record record = {.ttl_s = rr->ttl_s};
    char name[DNS_NAME_MAX];
    size_t len;

    if (rr->data_len < 7)
        return E_INVALID;
    record.priority = read_u16(reader);
    record.weight = read_u16(reader);
    record.port = read_u16(reader);
    if (!expand(reader, reader->at, name, &len))
        return E_INVALID;
    skip_name(reader);
    if (reader->is_bad || reader->at != rr->end)
        return E_INVALID;
    if (!len)
        return OK;
    record.target = arena_copy(&answer->texts, (struct str){name, len});
    return record.target.p ? dns_answer_add(answer, &record) : E_NOMEM;
}

static enum status add_data(struct dns_answer *answer, struct reader *reader, const struct rr *rr,
                            uint16_t port)
{
    return rr->type == DNS_SRV ? add_service(answer, reader, rr)
                               : add_address(answer, reader->bytes + reader->at, rr, port);
}

/* Owners are not compared with what was asked: it is for the server to follow aliases, in whatever
 * order it lists them, and what stands in its answer section is its answer. */
enum status dns_answer_read(struct dns_answer *answer, struct str bytes, enum dns_type type,
                            uint16_t port)
{
    struct reader reader;
    struct rr rr;
    unsigned left = open_message(&reader, bytes);
    uint32_t ttl_s = UINT32_MAX, before = answer->count;

    for (; left && next(&reader, &rr); left--) {
        bool is_wanted = rr.class == CLASS_IN && rr.type == type;
        enum status status = is_wanted ? add_data(answer, &reader, &rr, port) : OK;

        if (status)
            return status;
        if ((is_wanted || rr.type == TYPE_CNAME) && rr.ttl_s < ttl_s)
            ttl_s = rr.ttl_s;
        reader.at = rr.end;
    }
    if (answer->count > before && ttl_s < answer->ttl_s)
        answer->ttl_s = ttl_s;
    return reader.is_bad ? E_INVALID : OK;
}

/* --- sets of records */

void dns_answer_init(struct dns_answer *answer)
{
    *answer = (struct dns_answer){.ttl_s = UINT32_MAX};
    arena_init(&answer->texts, NULL, 0);
}

void dns_answer_free(struct dns_answer *answer)
{
    free(answer->records);
    arena_reset(&answer->texts);
    dns_answer_init(answer);
}

enum status dns_answer_add(struct dns_answer *answer, const struct dns_record *record)
{
    if (answer->count >= RAW_MAX) {
        answer->is_capped = true;
        return OK;
    }
    if (answer->count == answer->room) {
        uint32_t room = answer->room ? 2 * answer->room : ROOM_FIRST;
        struct dns_record *grown = realloc(answer->records, room * sizeof(*grown));

        if (!grown)
            return E_NOMEM;
        answer->records = grown;
        answer->room = room;
    }
    answer->records[answer->count++] = *record;
    return OK;
}

socklen_t dns_address_len(const union dns_address *address)
{
    switch (address->any.sa_family) {
    case AF_INET:
        return sizeof(address->in);
    case AF_INET6:
        return sizeof(address->in6);
    default:
        return 0;
    }
}

static int compare_addresses(const union dns_address *a, const union dns_address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return a->any.sa_family < b->any.sa_family ? -1 : 1;
    switch (a->any.sa_family) {
    case AF_INET:
        return memcmp(&a->in.sin_addr, &b->in.sin_addr, sizeof(a->in.sin_addr));
    case AF_INET6:
        return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr));
    default:
        return 0;
    }
}

static int compare_texts(struct str a, struct str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.p, b.p, n) : 0;

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* All that makes a record another one: all but its TTL. */
static int compare_records(const struct dns_record *a, const struct dns_record *b)
{
    int order = a->priority - b->priority;

    if (!order)
        order = compare_addresses(&a->address, &b->address);
    if (!order)
        order = a->port - b->port;
    if (!order)
        order = a->weight - b->weight;
    return order ? order : compare_texts(a->target, b->target);
}

static int compare_all(const void *left, const void *right)
{
    const struct dns_record *a = left, *b = right;
    int order = compare_records(a, b);

    return order ? order : (a->ttl_s > b->ttl_s) - (a->ttl_s < b->ttl_s);
}

void dns_answer_settle(struct dns_answer *answer)
{
    uint32_t kept = 0;

    if (answer->count)
        qsort(answer->records, answer->count, sizeof(*answer->records), compare_all);
    for (uint32_t i = 0; i < answer->count; i++)
        if (!kept || compare_records(&answer->records[kept - 1], &answer->records[i]))
            answer->records[kept++] = answer->records[i];
    if (kept > DNS_RECORDS_MAX) {
        kept = DNS_RECORDS_MAX;
        answer->is_capped = true;
    }
    answer->count = kept;
}

bool dns_answer_equal(const struct dns_answer *a, const struct dns_answer *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (compare_records(&a->records[i], &b->records[i]))
            return false;
    return true;
}

/* --- texts */

/* The strings of one record behind `out`; the new end, or NULL. They take less than the record. */
static char *put_strings(char *out, const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        size_t n = *at++;

        if ((size_t)(end - at) < n)
            return NULL;
        memcpy(out, at, n);
        out += n;
        at += n;
    }
    return out;
}

/* A record takes ten bytes of head more than its text, so all texts and commas are shorter than the
 * message. */
static char *put_texts(char *out, struct reader *reader, unsigned left)
{
    char *start = out;
    struct rr rr;

    for (; left && next(reader, &rr); left--) {
        if (rr.class == CLASS_IN && rr.type == DNS_TXT) {
            if (out > start)
                *out++ = ',';
            out = put_strings(out, reader->bytes + reader->at, reader->bytes + rr.end);
            if (!out)
                return NULL;
        }
        reader->at = rr.end;
    }
    return reader->is_bad ? NULL : out;
}

enum status dns_answer_text(struct str bytes, struct str *text)
{
    struct reader reader;
    unsigned left = open_message(&reader, bytes);
    char *out, *end;

    if (reader.is_bad || bytes.len > DNS_TEXT_MAX)
        return E_INVALID;
    out = malloc(bytes.len + 1);
    if (!out)
        return E_NOMEM;
    end = put_texts(out, &reader, left);
    if (!end) {
        free(out);
        return E_INVALID;
    }
    *end = '\0';
    *text = (struct str){out, (size_t)(end - out)};
    return OK;
}
