/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/shape/vary.h"

#include <strings.h>

#include "base/arena.h"
#include "base/text.h"

static bool is_vary(const struct header *header)
{
    return header->name_len == 4 && !strncasecmp(header->name, "vary", 4);
}

/* All values there are and `name`, as one list. */
static struct str join(const struct head *head, struct arena *arena, struct str name, size_t len)
{
    char *start = arena_text(arena, len + name.len), *at = start;

    if (!start)
        return STR_NONE;
    for (unsigned i = 0; i < head->count; i++) {
        const struct header *header = &head->headers[i];

        if (!is_vary(header) || !header->value_len)
            continue;
        at = text_put(at, (struct str){header->value, header->value_len});
        at = text_put(at, STR(", "));
    }
    at = text_put(at, name);
    return (struct str){start, (size_t)(at - start)};
}

enum status vary_add(struct head *head, struct arena *arena, struct str name)
{
    size_t len = 0;

    for (unsigned i = 0; i < head->count; i++) {
        const struct header *header = &head->headers[i];
        struct str value = {header->value, header->value_len};

        if (!is_vary(header))
            continue;
        if (head_list_has(value, STR("*")) || head_list_has(value, name))
            return OK;
        len += value.len + 2;
    }
    if (len) {
        name = join(head, arena, name, len);
        if (!name.p)
            return E_NOMEM;
    }
    return head_set(head, arena, STR("Vary"), name);
}
