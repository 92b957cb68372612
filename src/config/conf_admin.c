/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of the admin port and of its tokens.
 */
#include "config/conf_table.h"

static const char *const rights[] = {"read", "operate", "deploy", "approve", NULL};

/* A list of words as bits, `read` always among them. */
static const struct field right_element = {.name = "",
                                           .type = FIELD_ENUM,
                                           .words = rights,
                                           .size = sizeof(uint32_t)};

struct right_list {
    uint32_t *items, count;
};

static bool decode_rights(struct decoder *decoder, const struct field *field,
                          const struct node *node, void *member)
{
    static const struct field list = {.name = "can",
                                      .type = FIELD_LIST,
                                      .flags = FIELD_NONEMPTY,
                                      .element = &right_element,
                                      FIELD_ITEMS(struct right_list, items, count)};
    struct right_list all = {NULL, 0};
    uint32_t can = 1U << CONF_CAN_READ;

    (void)field;
    if (!field_value(decoder, &list, node, &all.items))
        return false;
    for (uint32_t i = 0; i < all.count; i++)
        can |= 1U << all.items[i];
    *(uint32_t *)member = can;
    return true;
}

static const struct field token_fields[] = {
    {.name = "name",
     .doc = "Who it is for: stands in the ledger.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct conf_token, name)},
    {.name = "token",
     .doc = "The secret itself, best as `${env:NAME}` or `${file:/path}`.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY | FIELD_SECRET,
     FIELD_AT(struct conf_token, token)},
    {.name = "can",
     .doc = "What it may do: `read`, `operate`, `deploy`, `approve`; `read` is implied.",
     .type = FIELD_CUSTOM,
     .flags = FIELD_REQUIRED,
     .decode = decode_rights,
     .json = "{\"type\":\"array\",\"minItems\":1,\"items\":{\"enum\":"
             "[\"read\",\"operate\",\"deploy\",\"approve\"]}}",
     FIELD_AT(struct conf_token, can)},
    FIELD_END,
};

const struct field conf_admin_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_admin, at)},
    {.name = "bind",
     .doc = "Address of dashboard, metrics and API; anything but loopback needs tokens.",
     .standard = "127.0.0.1:9900",
     .type = FIELD_ADDRESS,
     .flags = FIELD_AUTO,
     FIELD_AT(struct conf_admin, bind)},
    {.name = "socket",
     .doc = "The unix socket of the command line, 0600; not written: `admin.sock` in the state "
            "directory.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_admin, socket)},
    {.name = "tokens",
     .doc = "Who may do what over TCP.",
     .type = FIELD_LIST,
     .element = &(const struct field){.name = "", .type = FIELD_OBJECT, .fields = token_fields},
     FIELD_ITEMS(struct conf_admin, tokens, token_count)},
    {.name = "metrics",
     .doc = "Another address that serves `/metrics` and `/healthz` alone, without a token.",
     .standard = "off",
     .type = FIELD_ADDRESS,
     .flags = FIELD_OFF | FIELD_AUTO,
     FIELD_AT(struct conf_admin, metrics)},
    {.name = "tls",
     .doc =
         "What `bind` shows over TLS; not written: plain HTTP. Read again when the files change.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .fields = conf_certificate_fields,
     .count_offset = offsetof(struct conf_admin, is_tls),
     FIELD_AT(struct conf_admin, tls)},
    FIELD_END,
};
