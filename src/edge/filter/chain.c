/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/filter/chain.h"

static int find(const struct chain *chain, const struct filter *filter)
{
    for (unsigned i = 0; i < chain->count; i++)
        if (chain->links[i].filter == filter)
            return (int)i;
    return -1;
}

static void remove_link(struct chain *chain, unsigned index)
{
    chain->count--;
    for (unsigned i = index; i < chain->count; i++)
        chain->links[i] = chain->links[i + 1];
}

static void merge(struct chain *chain, const struct conf_filters *filters)
{
    for (uint32_t i = 0; i < filters->count; i++) {
        const struct conf_filter *item = &filters->items[i];
        int at = find(chain, item->filter);

        if (!item->conf && at >= 0)
            remove_link(chain, (unsigned)at);
        else if (item->conf && at >= 0)
            chain->links[at].conf = item->conf;
        else if (item->conf)
            chain->links[chain->count++] = (struct chain_link){item->filter, item->conf};
    }
}

const struct chain *chain_build(const struct conf_filters *global, const struct conf_filters *own,
                                struct arena *arena)
{
    size_t most = (size_t)global->count + own->count;
    struct chain *chain = arena_zero(arena, 1, sizeof(*chain) + most * sizeof(struct chain_link));

    if (!chain)
        return NULL;
    merge(chain, global);
    merge(chain, own);
    return chain;
}

enum status chain_start(struct chain_walk *walk, const struct chain *chain,
                        const struct visit *common)
{
    *walk = (struct chain_walk){.chain = chain};
    if (!chain->count)
        return OK;
    walk->visits = arena_zero(common->arena, chain->count, sizeof(struct visit));
    if (!walk->visits)
        return E_NOMEM;
    for (unsigned i = 0; i < chain->count; i++) {
        struct visit *visit = &walk->visits[i];
        size_t size = chain->links[i].filter->state_size;

        *visit = *common;
        visit->conf = chain->links[i].conf;
        visit->state = size ? arena_zero(common->arena, 1, size) : NULL;
        if (size && !visit->state)
            return E_NOMEM;
    }
    return OK;
}

enum verdict chain_request(struct chain_walk *walk, struct visit **visit)
{
    while (walk->at < walk->chain->count) {
        const struct filter *filter = walk->chain->links[walk->at].filter;
        enum verdict verdict;

        *visit = &walk->visits[walk->at++];
        walk->asked = walk->at;
        verdict = filter->on_request ? filter->on_request(*visit) : VERDICT_PASS;
        if (verdict != VERDICT_PASS)
            return verdict;
    }
    return VERDICT_PASS;
}

enum verdict chain_response(struct chain_walk *walk, struct head *response, bool is_own,
                            struct visit **visit)
{
    unsigned count = walk->chain ? (is_own ? walk->chain->count : walk->asked) : 0;

    for (unsigned i = walk->visits ? count : 0; i-- > 0;) {
        const struct filter *filter = walk->chain->links[i].filter;

        *visit = &walk->visits[i];
        (*visit)->response = response;
        (*visit)->is_own = is_own;
        if (filter->on_response && filter->on_response(*visit) != VERDICT_PASS)
            return VERDICT_FAIL;
    }
    return VERDICT_PASS;
}

void chain_end(struct chain_walk *walk)
{
    while (walk->asked > 0) {
        const struct filter *filter = walk->chain->links[--walk->asked].filter;

        if (filter->on_done)
            filter->on_done(&walk->visits[walk->asked]);
    }
}
