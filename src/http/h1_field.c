/* SPDX-License-Identifier: Apache-2.0
 *
 * Fields that decide about the message itself: framing (RFC 9112 section 6), Host, Connection,
 * Upgrade and Expect. One note per field as it is read, one check when all are in. Pure.
 */
#include <string.h>

#include "http/h1_impl.h"

static struct str value_of(const struct header *header)
{
    return (struct str){header->value, header->value_len};
}

static bool is_repeated(const struct h1_parse *parse, const struct header *header)
{
    return parse->head->present >> header->id & 1;
}

static enum reason note_host(struct h1_parse *parse, const struct header *header)
{
    if (!parse->is_request)
        return REASON_NONE;
    if (is_repeated(parse, header) || !h1_host_is_valid(value_of(header))) // RFC 9112 3.2
        return REASON_HOST_INVALID;
    if (!parse->head->authority.p) // RFC 9112 3.2.2: an absolute target wins
        parse->head->authority = value_of(header);
    return REASON_NONE;
}

static enum reason note_content_length(struct h1_parse *parse, const struct header *header)
{
    parse->head->content_length = h1_decimal(value_of(header));
    if (is_repeated(parse, header) || parse->head->content_length < 0) // RFC 9112 6.3
        return REASON_CONTENT_LENGTH_INVALID;
    return REASON_NONE;
}

/* What is wrong with codings other than one "chunked". */
static enum reason classify_codings(struct str value)
{
    struct str coding = STR_NONE;
    unsigned before = 0;
    bool is_chunked = false;

    if (!value.len || value.p[0] == ',' || value.p[value.len - 1] == ',')
        return REASON_TRANSFER_ENCODING_INVALID;
    while (h1_list_next(&value, &coding)) {
        if (is_chunked || !h1_is_token(coding))
            return REASON_TRANSFER_ENCODING_INVALID;
        is_chunked = h1_equal_fold(coding, STR("chunked"));
        before += !is_chunked;
    }
    return is_chunked && before ? REASON_CODING_UNKNOWN : REASON_TRANSFER_ENCODING_INVALID;
}

static enum reason note_transfer_encoding(struct h1_parse *parse, const struct header *header)
{
    if (is_repeated(parse, header) || !parse->head->minor) // RFC 9112 6.1
        return REASON_TRANSFER_ENCODING_INVALID;
    if (!h1_equal_fold(value_of(header), STR("chunked")))
        return classify_codings(value_of(header));
    parse->head->chunked = true;
    return REASON_NONE;
}

static enum reason note_connection(struct h1_parse *parse, const struct header *header)
{
    struct str list = value_of(header);
    struct str option;

    if (list.len == 10 && !memcmp(list.p, "keep-alive", 10)) {
        parse->has_keep_alive = true;
        return REASON_NONE;
    }
    while (h1_list_next(&list, &option)) {
        if (!h1_is_token(option) || ++parse->options > H1_OPTIONS_MAX)
            return REASON_CONNECTION_INVALID;
        if (h1_equal_fold(option, STR("close")))
            parse->has_close = true;
        else if (h1_equal_fold(option, STR("keep-alive")))
            parse->has_keep_alive = true;
        else if (h1_equal_fold(option, STR("upgrade")))
            parse->has_upgrade = true;
    }
    return REASON_NONE;
}

/* protocol-name ["/" protocol-version], a list (RFC 9110 7.8) */
static enum reason note_upgrade(struct h1_parse *parse, const struct header *header)
{
    struct str list = value_of(header);
    struct str item;
    bool is_empty = true;

    (void)parse;
    while (h1_list_next(&list, &item)) {
        const char *slash = memchr(item.p, '/', item.len);
        struct str name = {item.p, slash ? (size_t)(slash - item.p) : item.len};

        if (!h1_is_token(name))
            return REASON_CONNECTION_INVALID;
        if (slash && !h1_is_token((struct str){slash + 1, item.len - name.len - 1}))
            return REASON_CONNECTION_INVALID;
        is_empty = false;
    }
    return is_empty ? REASON_CONNECTION_INVALID : REASON_NONE;
}

static enum reason note_expect(struct h1_parse *parse, const struct header *header)
{
    if (!parse->is_request || !parse->head->minor) // RFC 9110 10.1.1
        return REASON_NONE;
    if (!h1_equal_fold(value_of(header), STR("100-continue")))
        return REASON_EXPECTATION_FAILED;
    parse->head->expects_continue = true;
    return REASON_NONE;
}

enum reason h1_field_note(struct h1_parse *parse, const struct header *header)
{
    switch (header->id) {
    case HDR_HOST:
        return note_host(parse, header);
    case HDR_CONNECTION:
        return note_connection(parse, header);
    case HDR_CONTENT_LENGTH:
        return note_content_length(parse, header);
    case HDR_TRANSFER_ENCODING:
        return note_transfer_encoding(parse, header);
    case HDR_UPGRADE:
        return note_upgrade(parse, header);
    case HDR_EXPECT:
        return note_expect(parse, header);
    default:
        return REASON_NONE;
    }
}

enum reason h1_field_check(struct h1_parse *parse)
{
    struct head *head = parse->head;

    if (head->chunked && head->content_length >= 0) // RFC 9112 6.3
        return REASON_FRAMING_AMBIGUOUS;
    if (parse->is_request && head->minor && !(head->present >> HDR_HOST & 1)) // RFC 9112 3.2
        return REASON_HOST_MISSING;
    head->wants_close = parse->has_close || (!head->minor && !parse->has_keep_alive); // 9112 9.3
    head->is_upgrade = head->minor && parse->has_upgrade && (head->present >> HDR_UPGRADE & 1);
    return REASON_NONE;
}
