/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of `scale.wake`: what becomes of requests while no unit runs.
 */
#include "config/conf_table.h"
#include "config/tree.h"

/* --- a list of texts that has a default */

static struct str next_word(struct str *rest)
{
    struct str word;

    while (rest->len && (*rest->p == ',' || *rest->p == ' ' || *rest->p == '[')) {
        rest->p++;
        rest->len--;
    }
    word = (struct str){rest->p, 0};
    while (rest->len && *rest->p != ',' && *rest->p != ']') {
        rest->p++;
        rest->len--;
        word.len++;
    }
    return word;
}

static struct conf_text *add_text(struct decoder *decoder, struct conf_texts *list, uint32_t room)
{
    if (!list->items)
        list->items = arena_zero(decoder->arena, room, sizeof(*list->items));
    return list->items ? &list->items[list->count++] : NULL;
}

/* The default is a text of the table: words with commas between them, in brackets. */
static bool take_standard(struct decoder *decoder, struct str text, struct conf_texts *list)
{
    uint32_t room = 1;

    for (size_t i = 0; i < text.len; i++)
        room += text.p[i] == ',';
    for (struct str word = next_word(&text); word.len; word = next_word(&text)) {
        struct conf_text *item = add_text(decoder, list, room);

        if (!item)
            return false;
        *item = (struct conf_text){word, decoder->at};
    }
    return true;
}

static bool decode_words(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *member)
{
    struct conf_texts *list = member;
    uint32_t room = 0;
    bool is_good = true;

    (void)field;
    *list = (struct conf_texts){0};
    if (!node->source && node->kind == NODE_SCALAR)
        return take_standard(decoder, node->text, list);
    if (node->kind != NODE_LIST) {
        diag_error(decoder->diag, tree_span(node), "expected a list, got %s", tree_noun(node));
        return false;
    }
    for (const struct node *c = node->child.first; c; c = c->next)
        room++;
    for (const struct node *c = node->child.first; c; c = c->next) {
        struct conf_text *item = add_text(decoder, list, room);

        is_good = item && field_text(decoder, c, item) && is_good;
        if (item && item->s.p && !item->s.len)
            is_good = field_wrong(decoder, c, "says nothing");
    }
    return is_good;
}

#define WORDS(name_, doc_, standard_, member_)                                                     \
    {                                                                                              \
        .name = name_, .doc = doc_, .standard = standard_, .type = FIELD_CUSTOM,                   \
        .decode = decode_words, .json = "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}",    \
        FIELD_AT(struct conf_wake_refuse, member_)                                                 \
    }

static const struct field refuse_fields[] = {
    WORDS("agents", "Programs that wake nobody: classes as in `access`, or `~` with a pattern.",
          "[bots, previews, scanners, monitors]", agents),
    WORDS("paths",
          "Paths that wake nobody: `scanners`, which only they ask for, `probes`, which ask "
          "whether it lives, `automatic`, such as /robots.txt and /favicon.ico, both of GET and "
          "HEAD alone; or `/exact`, "
          "`/prefix/*`, `~` with a pattern.",
          "[scanners, probes, automatic]", paths),
    WORDS("methods", "Methods that wake nobody.", "[OPTIONS]", methods),
    {.name = "respond",
     .doc = "What they are answered with; not written: 503 with Retry-After.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .count_offset = offsetof(struct conf_wake_refuse, respond.is_set),
     .fields = conf_answer_fields,
     FIELD_AT(struct conf_wake_refuse, respond)},
    FIELD_END,
};

const struct field conf_wake_fields[] = {
    {.name = "queue",
     .doc = "How many requests may wait at an edge.",
     .standard = "1000",
     .type = FIELD_INT,
     .min = 1,
     .max = 1000000,
     FIELD_AT(struct conf_wake, queue)},
    {.name = "queue_bytes",
     .doc = "Of how many bytes their bodies may be there, all together.",
     .standard = "64MiB",
     .type = FIELD_SIZE,
     FIELD_AT(struct conf_wake, queue_bytes)},
    {.name = "per_client",
     .doc = "How many of one client's address may wait; an IPv6 client is its /64.",
     .standard = "20",
     .type = FIELD_INT,
     .min = 1,
     .max = 1000000,
     FIELD_AT(struct conf_wake, per_client)},
    {.name = "deadline",
     .doc = "How long each waits before it is answered 503.",
     .standard = "30s",
     .type = FIELD_DURATION,
     .min = 100,
     .max = 3600 * 1000U,
     FIELD_AT(struct conf_wake, deadline_ms)},
    {.name = "page",
     .doc = "Whether browsers get a page that asks again by itself, with the time it may take.",
     .standard = "true",
     .type = FIELD_BOOL,
     FIELD_AT(struct conf_wake, has_page)},
    {.name = "page_after",
     .doc = "They get it where that is longer than this, or not known yet; else they wait as "
            "others do.",
     .standard = "3s",
     .type = FIELD_DURATION,
     .max = 3600 * 1000U,
     FIELD_AT(struct conf_wake, page_after_ms)},
    {.name = "refuse",
     .doc = "What wakes nobody, and is answered at once.",
     .type = FIELD_OBJECT,
     .fields = refuse_fields,
     FIELD_AT(struct conf_wake, refuse)},
    FIELD_END,
};
