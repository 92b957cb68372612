/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a service's releases, the shares of its split, and who is assigned to which.
 */
#include <string.h>

#include "config/conf_table.h"
#include "config/tree.h"

const struct field conf_release_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_release, at)},
    {.name = "targets",
     .doc = "Where it runs, as `targets` of a service.",
     .type = FIELD_LIST,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     .element = &conf_target_element,
     FIELD_ITEMS(struct conf_release, targets, target_count)},
    FIELD_END,
};

bool conf_split_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                       void *member)
{
    static const struct field share = {.name = "share",
                                       .type = FIELD_INT,
                                       .max = CONF_SHARE_MAX,
                                       .size = sizeof(uint32_t)};
    struct conf_service *service = CONTAINER_OF(member, struct conf_service, shares);
    uint32_t count = 0, i = 0;
    bool is_good = true;

    (void)field;
    if (node->kind != NODE_MAP) {
        diag_error(decoder->diag, tree_span(node), "expected a map, got %s", tree_noun(node));
        diag_hint(decoder->diag, "write {stable: 95, canary: 5}");
        return false;
    }
    for (const struct node *key = node->child.first; key; key = key->next->next)
        count++;
    service->shares = arena_zero(decoder->arena, count, sizeof(*service->shares));
    if (!service->shares) {
        diag_error(decoder->diag, tree_span(node), "out of memory");
        return false;
    }
    for (const struct node *key = node->child.first; key; key = key->next->next, i++) {
        is_good &= field_text(decoder, key, &service->shares[i].release);
        is_good &= field_value(decoder, &share, key->next, &service->shares[i].share);
    }
    service->share_count = is_good ? count : 0;
    return is_good;
}

static void fold(struct str s)
{
    char *p = (char *)(uintptr_t)s.p; /* the conf's own copy */

    for (size_t i = 0; i < s.len; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] | 0x20);
}

/* What follows `prefix`; absent: it begins otherwise, or nothing follows. */
static struct str after(struct str text, struct str prefix)
{
    if (text.len <= prefix.len || memcmp(text.p, prefix.p, prefix.len) != 0)
        return STR_NONE;
    return (struct str){text.p + prefix.len, text.len - prefix.len};
}

static bool decode_by(struct decoder *decoder, const struct field *field, const struct node *node,
                      void *member)
{
    struct conf_assign *assign = CONTAINER_OF(member, struct conf_assign, by);
    struct str header, cookie;
    struct conf_text text;

    (void)field;
    if (!field_text(decoder, node, &text))
        return false;
    header = after(text.s, STR("header:"));
    cookie = after(text.s, STR("cookie:"));
    assign->by_name = header.p ? header : cookie;
    if (header.p)
        fold(header);
    if (header.p)
        assign->by = CONF_ASSIGN_HEADER;
    else if (cookie.p)
        assign->by = CONF_ASSIGN_OTHER_COOKIE;
    else if (str_same(text.s, STR("cookie")))
        assign->by = CONF_ASSIGN_COOKIE;
    else if (str_same(text.s, STR("client_ip")))
        assign->by = CONF_ASSIGN_CLIENT_IP;
    else
        return field_wrong(decoder, node, "is not client_ip, cookie, header:NAME or cookie:NAME");
    return true;
}

/* Names of headers are kept in lower case. */
static bool decode_header(struct decoder *decoder, const struct field *field,
                          const struct node *node, void *member)
{
    struct conf_text *text = member;

    (void)field;
    if (!field_text(decoder, node, text))
        return false;
    fold(text->s);
    return true;
}

#define NAME_JSON "{\"type\":\"string\",\"minLength\":1}"

static const struct field list_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_assign_list, at)},
    {.name = "release",
     .doc = "The release that they get.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct conf_assign_list, release)},
    {.name = "addresses",
     .doc = "Networks of clients.",
     .type = FIELD_LIST,
     .element = &conf_network_element,
     FIELD_ITEMS(struct conf_assign_list, addresses, address_count)},
    {.name = "header",
     .doc = "A header whose value is one of `values`.",
     .type = FIELD_CUSTOM,
     .decode = decode_header,
     .json = NAME_JSON,
     FIELD_AT(struct conf_assign_list, header)},
    {.name = "cookie",
     .doc = "A cookie whose value is one of `values`.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_assign_list, cookie)},
    {.name = "values",
     .doc = "Values of the header or the cookie.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct conf_assign_list, values, value_count)},
    FIELD_END,
};

static const struct field list_element = {.name = "", .type = FIELD_OBJECT, .fields = list_fields};

const struct field conf_assign_fields[] = {
    {.name = "by",
     .doc = "What a client is known by in a split: `client_ip`, `cookie` (one that the gateway "
            "gives out), `header:NAME` or `cookie:NAME`; without that header or cookie the "
            "address.",
     .standard = "client_ip",
     .type = FIELD_CUSTOM,
     .decode = decode_by,
     .json = "{\"type\":\"string\",\"pattern\":\"^(client_ip|cookie|header:.+|cookie:.+)$|"
             "\\\\$\\\\{\"}",
     FIELD_AT(struct conf_assign, by)},
    {.name = "cookie",
     .doc = "The cookie of `by: cookie`: a random number, and no release's name.",
     .standard = "sluice_client",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_assign, cookie)},
    {.name = "max_age",
     .doc = "How long a browser keeps that cookie; `off`: for its session.",
     .standard = "720h",
     .type = FIELD_DURATION,
     .flags = FIELD_OFF,
     .min = 1000,
     .max = 10000 * 3600 * UINT64_C(1000),
     FIELD_AT(struct conf_assign, max_age_ms)},
    {.name = "ask_header",
     .doc = "A header in which a request may name the release that it wants, also one without a "
            "share.",
     .type = FIELD_CUSTOM,
     .decode = decode_header,
     .json = NAME_JSON,
     FIELD_AT(struct conf_assign, ask_header)},
    {.name = "ask_cookie",
     .doc = "The same in a cookie; one that names no release is passed over.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_assign, ask_cookie)},
    {.name = "ask_host",
     .doc = "Hosts whose first label names the release: `*.preview.example.com`; a route must have "
            "them, too.",
     .type = FIELD_CUSTOM,
     .decode = conf_host_decode,
     .json = NAME_JSON,
     FIELD_AT(struct conf_assign, ask_host)},
    {.name = "lists",
     .doc = "Clients that get a release whatever its share.",
     .type = FIELD_LIST,
     .element = &list_element,
     FIELD_ITEMS(struct conf_assign, lists, list_count)},
    FIELD_END,
};
