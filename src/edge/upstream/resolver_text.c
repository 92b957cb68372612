/* SPDX-License-Identifier: Apache-2.0
 *
 * The resolver's TXT lookups: one question, one answer.
 */
#include <stdlib.h>

#include "edge/upstream/resolver_impl.h"

struct resolver_text {
    struct resolver *resolver;
    struct resolver_text *next, **link;
    resolver_on_text *on_text;
    void *owner;
    struct resolver_query *query; /* NULL: it is done */
    struct str text;              /* malloc'ed */
    const char *problem;
};

static void on_reply(struct resolver_query *query, const struct resolver_reply *reply)
{
    struct resolver_text *text = query->owner;

    text->query = NULL;
    text->problem = reply->problem;
    if (text->problem)
        return;
    if (dns_answer_text(reply->bytes, &text->text))
        text->problem = "the answer is garbage";
    else if (!text->text.len)
        text->problem = "no text";
}

static void free_text(struct resolver_text *text)
{
    *text->link = text->next;
    if (text->next)
        text->next->link = text->link;
    free((void *)(uintptr_t)text->text.p);
    free(text);
}

struct resolver_text *resolver_text(struct resolver *resolver, struct str name,
                                    resolver_on_text *on_text, void *owner)
{
    struct resolver_text *text = calloc(1, sizeof(*text));
    struct resolver_query like = {.done = on_reply, .owner = text, .type = DNS_TXT};

    if (!text)
        return NULL;
    text->resolver = resolver;
    text->on_text = on_text;
    text->owner = owner;
    text->problem = resolver_query_start(resolver, &like, name, &text->query);
    text->link = &resolver->texts;
    text->next = resolver->texts;
    if (text->next)
        text->next->link = &text->next;
    resolver->texts = text;
    resolver_wake(resolver);
    return text;
}

void resolver_forget(struct resolver_text **text)
{
    struct resolver_text *gone = *text;

    *text = NULL;
    if (!gone)
        return;
    resolver_query_drop(&gone->query);
    free_text(gone);
}

static struct resolver_text *first_done(const struct resolver *resolver)
{
    struct resolver_text *text = resolver->texts;

    while (text && text->query)
        text = text->next;
    return text;
}

bool resolver_text_is_done(const struct resolver *resolver)
{
    return first_done(resolver) != NULL;
}

static void tell(struct resolver_text *text)
{
    resolver_on_text *on_text = text->on_text;
    void *owner = text->owner;
    struct str bytes = text->text, none = STR_NONE;
    const char *problem = text->problem;

    text->text = STR_NONE;
    free_text(text);
    on_text(owner, problem ? none : bytes, problem);
    free((void *)(uintptr_t)bytes.p);
}

void resolver_text_settle(struct resolver *resolver)
{
    struct resolver_text *text;
    unsigned left = 0;

    // An owner that asks again for what cannot be asked must not keep us here.
    for (text = resolver->texts; text; text = text->next)
        left++;
    for (; left && !resolver->is_closing && (text = first_done(resolver)); left--)
        tell(text);
}
