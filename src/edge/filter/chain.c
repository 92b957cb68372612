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

static void note_hooks(struct chain *chain)
{
    for (unsigned i = 0; i < chain->count; i++) {
        chain->has_request_body |= chain->links[i].filter->on_request_body != NULL;
        chain->has_response_body |= chain->links[i].filter->on_response_body != NULL;
    }
}

static struct chain *make(size_t most, struct arena *arena)
{
    return arena_zero(arena, 1, sizeof(struct chain) + most * sizeof(struct chain_link));
}

static bool may_idle(const struct chain *chain)
{
    for (unsigned i = 0; i < chain->count; i++)
        if (chain->links[i].filter->is_idle)
            return true;
    return false;
}

/* False: no memory. */
static bool make_calm(struct chain *chain, struct arena *arena)
{
    struct chain *calm;

    if (!may_idle(chain))
        return true;
    calm = make(chain->count - 1, arena);
    if (!calm)
        return false;
    for (unsigned i = 0; i < chain->count; i++)
        if (!chain->links[i].filter->is_idle)
            calm->links[calm->count++] = chain->links[i];
    note_hooks(calm);
    chain->calm = calm;
    return true;
}

const struct chain *chain_build(const struct conf_filters *global, const struct conf_filters *own,
                                struct arena *arena)
{
    struct chain *chain = make((size_t)global->count + own->count, arena);

    if (!chain)
        return NULL;
    merge(chain, global);
    merge(chain, own);
    note_hooks(chain);
    return make_calm(chain, arena) ? chain : NULL;
}

/* --- once a configuration */

struct preparation {
    struct filter_prepare ask;
    uint32_t left; /* to dispose of; all when nothing failed */
};

static bool prepare_all(const struct conf_filters *filters, struct preparation *preparation)
{
    for (uint32_t i = 0; i < filters->count; i++) {
        const struct conf_filter *item = &filters->items[i];

        preparation->ask.at = item->at;
        preparation->left += item->conf != NULL;
        if (item->conf && item->filter->prepare &&
            !item->filter->prepare(item->conf, &preparation->ask))
            return false;
    }
    return true;
}

static void dispose_some(const struct conf_filters *filters, uint32_t *left)
{
    for (uint32_t i = 0; i < filters->count && *left; i++) {
        const struct conf_filter *item = &filters->items[i];

        if (item->conf && item->filter->dispose)
            item->filter->dispose(item->conf);
        *left -= item->conf != NULL;
    }
}

static void dispose(const struct conf *conf, uint32_t left)
{
    dispose_some(&conf->filters, &left);
    for (uint32_t i = 0; i < conf->route_count; i++)
        dispose_some(&conf->routes[i].filters, &left);
}

bool chain_prepare(const struct conf *conf, const struct filter_env *env, struct arena *arena,
                   struct diag *diag)
{
    struct preparation preparation = {
        .ask = {.arena = arena, .conf = conf, .diag = diag, .env = env}};
    bool is_good = prepare_all(&conf->filters, &preparation);

    for (uint32_t i = 0; is_good && i < conf->route_count; i++)
        is_good = prepare_all(&conf->routes[i].filters, &preparation);
    if (!is_good)
        dispose(conf, preparation.left);
    return is_good;
}

void chain_dispose(const struct conf *conf)
{
    dispose(conf, UINT32_MAX);
}

static bool look(const struct conf_filters *filters, bool has_to)
{
    bool is_any = false;

    for (uint32_t i = 0; i < filters->count; i++) {
        const struct conf_filter *item = &filters->items[i];

        if (!item->conf || !item->filter->look)
            continue;
        is_any = true;
        if (has_to)
            item->filter->look(item->conf);
    }
    return is_any;
}

bool chain_look(const struct conf *conf, bool has_to)
{
    bool is_any = look(&conf->filters, has_to);

    for (uint32_t i = 0; i < conf->route_count; i++)
        is_any |= look(&conf->routes[i].filters, has_to);
    return is_any;
}

/* --- a walk */

const struct chain *chain_now(const struct chain *chain, const struct filter_env *env)
{
    if (!chain->calm)
        return chain;
    for (unsigned i = 0; i < chain->count; i++) {
        const struct chain_link *link = &chain->links[i];

        if (link->filter->is_idle && !link->filter->is_idle(link->conf, env))
            return chain;
    }
    return chain->calm;
}

enum status chain_start(struct chain_walk *walk, const struct chain *chain,
                        const struct visit *common)
{
    struct visit *visits;
    struct vars *vars;

    chain = chain_now(chain, common->env);
    *walk = (struct chain_walk){.chain = chain, .ends = walk->ends, .owner = walk->owner};
    if (!chain->count)
        return OK;
    visits = arena_alloc(common->arena, chain->count * sizeof(struct visit));
    vars = arena_zero(common->arena, 1, sizeof(*vars));
    if (!visits || !vars)
        return E_NOMEM;
    for (unsigned i = 0; i < chain->count; i++) {
        struct visit *visit = &visits[i];
        size_t size = chain->links[i].filter->state_size;

        *visit = *common;
        visit->walk = walk;
        visit->vars = vars;
        visit->conf = chain->links[i].conf;
        visit->state = size ? arena_zero(common->arena, 1, size) : NULL;
        if (size && !visit->state)
            return E_NOMEM;
    }
    walk->visits = visits; // whole, or none: the refusal goes through them too
    return OK;
}

bool chain_is_cut(const struct chain_walk *walk)
{
    const struct chain *chain = walk->chain;

    return chain && chain->count &&
           (!walk->visits || (walk->at < chain->count && walk->asked < chain->count));
}

struct str chain_detail(const struct chain_walk *walk)
{
    for (unsigned i = 0; walk->visits && i < walk->asked; i++)
        if (walk->visits[i].detail.p)
            return walk->visits[i].detail;
    return STR_NONE;
}

/* A changed body has another length. */
static void drop_length(struct head *head)
{
    head->content_length = -1;
    head_remove(head, HDR_CONTENT_LENGTH);
}

/* Whether the body goes through a hook of filter `i`. */
static bool takes_request(const struct chain_walk *walk, unsigned i)
{
    const struct visit *visit = &walk->visits[i];

    return (visit->edits_request || visit->sees_request) &&
           walk->chain->links[i].filter->on_request_body;
}

static void route_request_body(struct chain_walk *walk)
{
    bool is_changed = false;

    for (unsigned i = 0; i < walk->chain->count; i++) {
        bool takes = takes_request(walk, i);

        walk->edits_request |= takes;
        walk->holds_request |= takes && walk->visits[i].holds_request;
        is_changed |= takes && walk->visits[i].edits_request;
    }
    if (is_changed)
        drop_length(walk->visits[0].request);
}

/* What the filter that waited says now. */
static enum verdict waited(struct chain_walk *walk, struct visit **visit)
{
    if (!walk->is_waiting)
        return VERDICT_PASS;
    walk->is_waiting = false;
    *visit = &walk->visits[walk->at - 1];
    return (*visit)->verdict;
}

void filter_resume(struct visit *visit)
{
    struct chain_walk *walk = visit->walk;

    if (walk->is_waiting)
        walk->ends->resume(walk->owner);
}

const struct peer_cert *filter_peer_cert(struct visit *visit)
{
    const struct chain_walk *walk = visit->walk;

    return walk->ends->peer_cert ? walk->ends->peer_cert(walk->owner) : NULL;
}

enum verdict chain_request(struct chain_walk *walk, struct visit **visit)
{
    enum verdict verdict = waited(walk, visit);

    while (verdict == VERDICT_PASS && walk->at < walk->chain->count) {
        const struct filter *filter = walk->chain->links[walk->at].filter;

        *visit = &walk->visits[walk->at++];
        walk->asked = walk->at;
        if (filter->on_request)
            verdict = (*visit)->verdict = filter->on_request(*visit);
    }
    walk->is_waiting = verdict == VERDICT_WAIT;
    if (verdict != VERDICT_PASS)
        return verdict;
    if (walk->chain->has_request_body)
        route_request_body(walk);
    return VERDICT_PASS;
}

enum verdict chain_response(struct chain_walk *walk, struct head *response, bool is_own,
                            struct visit **visit)
{
    if (!walk->visits)
        return VERDICT_PASS;
    if (is_own)
        walk->asked = walk->chain->count;
    walk->is_waiting = walk->edits_response = false;
    for (unsigned i = walk->asked; i-- > 0;) {
        const struct filter *filter = walk->chain->links[i].filter;

        *visit = &walk->visits[i];
        (*visit)->response = response;
        (*visit)->is_own = is_own;
        (*visit)->is_bodiless = walk->is_bodiless;
        (*visit)->edits_response = false;
        if (filter->on_response && filter->on_response(*visit) != VERDICT_PASS) {
            walk->edits_response = false;
            return VERDICT_FAIL;
        }
        walk->edits_response |= (*visit)->edits_response && filter->on_response_body;
    }
    if (walk->edits_response)
        drop_length(response);
    return VERDICT_PASS;
}

/* --- bodies: each hook is called by the way of the one before it */

struct body_way {
    struct chain_walk *walk;
    unsigned at; /* the next filter to look at; of an answer: the one above it */
    bool is_response;
};

/* The refusal is of the one that says it first, the innermost: `visit`, or NULL, the end. */
static enum reason note_refusal(struct chain_walk *walk, struct visit *visit, enum reason why)
{
    if (why == REASON_NONE || walk->is_refused)
        return why;
    walk->is_refused = true;
    if (visit)
        visit->verdict = VERDICT_FAIL;
    return why;
}

static enum reason pass_request(struct chain_walk *walk, unsigned at, const struct piece *piece)
{
    for (; at < walk->chain->count; at++) {
        const struct filter *filter = walk->chain->links[at].filter;
        struct body_way way = {.walk = walk, .at = at + 1};

        if (takes_request(walk, at))
            return note_refusal(walk, &walk->visits[at],
                                filter->on_request_body(&walk->visits[at], piece, &way));
    }
    return note_refusal(walk, NULL, walk->ends->request(walk->owner, piece));
}

static enum reason pass_response(struct chain_walk *walk, unsigned at, const struct piece *piece)
{
    while (at-- > 0) {
        const struct filter *filter = walk->chain->links[at].filter;
        struct body_way way = {.walk = walk, .at = at, .is_response = true};

        if (walk->visits[at].edits_response && filter->on_response_body)
            return filter->on_response_body(&walk->visits[at], piece, &way);
    }
    return walk->ends->response(walk->owner, piece);
}

enum reason filter_pass_body(const struct body_way *way, const struct piece *piece)
{
    if (way->is_response)
        return pass_response(way->walk, way->at, piece);
    return pass_request(way->walk, way->at, piece);
}

enum reason chain_request_body(struct chain_walk *walk, const struct piece *piece)
{
    return pass_request(walk, 0, piece);
}

enum reason chain_response_body(struct chain_walk *walk, const struct piece *piece)
{
    enum reason why = pass_response(walk, walk->asked, piece);

    walk->is_broken |= why != REASON_NONE;
    return why;
}

enum reason chain_response_pause(struct chain_walk *walk)
{
    const struct piece pause = {.bytes = STR(""), .pauses = true};
    enum reason why = REASON_NONE;

    for (unsigned i = walk->asked; !why && i-- > 0;) {
        const struct filter *filter = walk->chain->links[i].filter;
        struct body_way way = {.walk = walk, .at = i, .is_response = true};

        if (walk->visits[i].edits_response && filter->on_response_body)
            why = filter->on_response_body(&walk->visits[i], &pause, &way);
    }
    walk->is_broken |= why != REASON_NONE;
    return why;
}

void chain_end(struct chain_walk *walk)
{
    walk->is_waiting = false;
    while (walk->asked > 0) {
        const struct filter *filter = walk->chain->links[--walk->asked].filter;

        if (filter->on_done)
            filter->on_done(&walk->visits[walk->asked]);
    }
}
