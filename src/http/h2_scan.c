/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2_scan.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

enum { PREFACE = 24 };

void h2_scan_init(struct h2_scan *scan, bool is_server)
{
    *scan = (struct h2_scan){.left = is_server ? PREFACE : 0, .is_server = is_server};
}

struct header {
    uint32_t length;
    uint8_t type, flags;
    int32_t id;
};

static struct header read_header(const uint8_t *p)
{
    return (struct header){
        .length = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2],
        .type = p[3],
        .flags = p[4],
        .id = (int32_t)((uint32_t)(p[5] & 0x7f) << 24 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 |
                        p[8]),
    };
}

/* In quarters of what a WINDOW_UPDATE costs; body bytes and answers earn it back. */
static int32_t cost_of(const struct header *header)
{
    bool is_ack = header->flags & NGHTTP2_FLAG_ACK;

    switch (header->type) {
    case NGHTTP2_DATA:
        if (header->flags & NGHTTP2_FLAG_PADDED) // there may be nothing else in it
            return 4;
        return header->length || (header->flags & NGHTTP2_FLAG_END_STREAM) ? 0 : 8;
    case NGHTTP2_HEADERS:
    case NGHTTP2_WINDOW_UPDATE: // counted by itself
        return 0;
    case NGHTTP2_SETTINGS:
        return is_ack ? 4 : 8;
    case NGHTTP2_PING:
        return 8;
    case NGHTTP2_RST_STREAM:
        return 12;
    default: // also what nobody knows
        return 4;
    }
}

/* RFC 9113 5.1.1: streams are opened in the order of their numbers. */
static bool is_passed_over(const struct h2_scan *scan, int32_t id)
{
    return scan->skipped_id && id >= scan->skipped_id && id < scan->last_id;
}

static void note_id(struct h2_scan *scan, int32_t id)
{
    if (id <= scan->last_id)
        return;
    scan->skipped_id = id > scan->last_id + 2 ? scan->last_id + 1 : 0;
    scan->last_id = id;
}

static uint32_t check(struct h2_scan *scan, const struct header *header)
{
    if (header->length > H2_FRAME_MAX)
        return NGHTTP2_FRAME_SIZE_ERROR; // 4.2
    if (header->type == NGHTTP2_PRIORITY && !header->id)
        return NGHTTP2_PROTOCOL_ERROR; // 6.3
    if (header->type != NGHTTP2_HEADERS || !scan->is_server)
        return NGHTTP2_NO_ERROR;
    if (is_passed_over(scan, header->id))
        return NGHTTP2_PROTOCOL_ERROR;
    note_id(scan, header->id);
    return NGHTTP2_NO_ERROR;
}

static size_t fill(struct h2_scan *scan, struct str in)
{
    size_t n = (size_t)(H2_FRAME_HEADER - scan->filled);

    if (n > in.len)
        n = in.len;
    memcpy(scan->header + scan->filled, in.p, n);
    scan->filled = (uint8_t)(scan->filled + n);
    return n;
}

struct h2_scanned h2_scan_next(struct h2_scan *scan, struct str in)
{
    struct h2_scanned found = {0};

    while (found.len < in.len) {
        struct str rest = {in.p + found.len, in.len - found.len};
        size_t n = scan->left < rest.len ? scan->left : rest.len;
        struct header header;

        scan->left -= (uint32_t)n;
        found.len += n;
        if (scan->left || n == rest.len)
            break;
        rest.p += n;
        rest.len -= n;
        n = fill(scan, rest);
        found.len += n;
        if (scan->filled < H2_FRAME_HEADER)
            break;
        header = read_header(scan->header);
        found.code = check(scan, &header);
        if (found.code) {
            found.len -= n;
            break;
        }
        found.cost += cost_of(&header);
        found.updates += header.type == NGHTTP2_WINDOW_UPDATE;
        scan->left = header.length;
        scan->filled = 0;
    }
    return found;
}
