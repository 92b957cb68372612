/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/proxy_protocol.h"

#include <string.h>

enum { SIGNATURE_LEN = 12, V2_HEAD = 16, TCP4 = 0x11, TCP6 = 0x21, LOCAL = 0x20, PROXY = 0x21 };

static const char signature[SIGNATURE_LEN + 1] = "\r\n\r\n\0\r\nQUIT\n";
static const char word[] = "PROXY ";

static bool begins(struct str in, const char *with, size_t len)
{
    return !memcmp(in.p, with, in.len < len ? in.len : len);
}

/* --- version 1: one line of text */

static bool take_word(struct str *line, struct str *out)
{
    const char *blank = line->len ? memchr(line->p, ' ', line->len) : NULL;
    size_t len = blank ? (size_t)(blank - line->p) : line->len;

    *out = (struct str){line->p, len};
    line->p += blank ? len + 1 : len;
    line->len -= blank ? len + 1 : len;
    return len > 0;
}

static bool is_port(struct str text)
{
    unsigned port = 0;

    if (!text.len || text.len > 5 || (text.len > 1 && text.p[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text.p[i] - '0');
    }
    return port <= UINT16_MAX;
}

static bool read_family(struct str text, bool is_v6, uint8_t ip[IP_LEN])
{
    return (memchr(text.p, ':', text.len) != NULL) == is_v6 && ip_parse(text, ip);
}

static enum status read_line(struct str line, struct proxy_header *header)
{
    struct str kind, from, to, from_port, to_port;
    uint8_t unused[IP_LEN];
    bool is_v6;

    if (!take_word(&line, &kind))
        return E_PROTOCOL;
    if (str_same(kind, STR("UNKNOWN"))) { // the rest of the line means nothing
        header->is_local = true;
        return OK;
    }
    is_v6 = str_same(kind, STR("TCP6"));
    if ((!is_v6 && !str_same(kind, STR("TCP4"))) || !take_word(&line, &from) ||
        !take_word(&line, &to) || !take_word(&line, &from_port) || !take_word(&line, &to_port) ||
        line.len || to_port.p[to_port.len] != '\r')
        return E_PROTOCOL;
    if (!read_family(from, is_v6, header->ip) || !read_family(to, is_v6, unused) ||
        !is_port(from_port) || !is_port(to_port))
        return E_PROTOCOL;
    return OK;
}

static enum status read_v1(struct str in, struct proxy_header *header, size_t *used)
{
    size_t most = in.len < PROXY_V1_MAX ? in.len : PROXY_V1_MAX, head = sizeof(word) - 1;
    const char *end = memchr(in.p, '\n', most);

    if (!end)
        return in.len < PROXY_V1_MAX ? E_AGAIN : E_PROTOCOL;
    *used = (size_t)(end - in.p) + 1;
    if (*used < head + 2 || end[-1] != '\r')
        return E_PROTOCOL;
    return read_line((struct str){in.p + head, *used - head - 2}, header);
}

/* --- version 2: binary */

/* What addresses of this family take; families that are not known carry none for us. */
static size_t family_len(uint8_t family)
{
    return family == TCP4 ? 12 : family == TCP6 ? 36 : 0;
}

static void read_addresses(const uint8_t *at, uint8_t family, struct proxy_header *header)
{
    memset(header->ip, 0, IP_LEN);
    if (family == TCP6) {
        memcpy(header->ip, at, IP_LEN);
        return;
    }
    header->ip[10] = header->ip[11] = 0xff;
    memcpy(header->ip + 12, at, 4);
}

static enum status read_v2(struct str in, struct proxy_header *header, size_t *used)
{
    const uint8_t *at = (const uint8_t *)in.p;
    size_t len;

    if (in.len > SIGNATURE_LEN && at[12] != LOCAL && at[12] != PROXY)
        return E_PROTOCOL;
    if (in.len < V2_HEAD)
        return E_AGAIN;
    len = V2_HEAD + (size_t)(at[14] << 8 | at[15]);
    if (len > PROXY_V2_MAX || (at[12] == PROXY && len < V2_HEAD + family_len(at[13])))
        return E_PROTOCOL;
    if (in.len < len)
        return E_AGAIN;
    *used = len;
    header->is_local = at[12] == LOCAL || !family_len(at[13]);
    if (!header->is_local)
        read_addresses(at + V2_HEAD, at[13], header);
    return OK;
}

enum status proxy_header_read(struct str in, unsigned versions, struct proxy_header *header,
                              size_t *used)
{
    *header = (struct proxy_header){.is_local = false};
    if ((versions & PROXY_V1) && begins(in, word, sizeof(word) - 1))
        return in.len < sizeof(word) - 1 ? E_AGAIN : read_v1(in, header, used);
    if ((versions & PROXY_V2) && begins(in, signature, SIGNATURE_LEN))
        return in.len < SIGNATURE_LEN ? E_AGAIN : read_v2(in, header, used);
    return E_PROTOCOL;
}
