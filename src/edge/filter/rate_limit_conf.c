/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of rate_limit's keys and what can be wrong with them.
 */
#include "edge/filter/rate_limit_conf.h"

#include <string.h>

#include "base/arena.h"
#include "config/tree.h"
#include "config/units.h"

enum { COST_MAX = 1000000, TIERS_MAX = 64, STORE_WAIT_MAX_MS = 10000 };
#define BURST_MAX UINT64_C(1000000000)

/* --- values of their own kind */

static bool decode_rate(struct decoder *decoder, const struct field *field, const struct node *node,
                        void *member)
{
    struct rate *rate = member;
    const char *wrong;

    (void)field;
    if (node->kind != NODE_SCALAR || tree_is_null(node)) {
        diag_error(decoder->diag, tree_span(node), "expected a rate, such as 100/min, got %s",
                   tree_noun(node));
        return false;
    }
    wrong = units_frequency(node->text, &rate->count, &rate->period_ms);
    if (wrong)
        return field_wrong(decoder, node, wrong);
    rate->at = tree_span(node);
    rate->text = arena_copy(decoder->arena, node->text);
    return rate->text.p != NULL;
}

static const struct {
    const char *word;
    enum part_kind kind;
} part_words[] = {
    {"client_ip", PART_CLIENT_IP}, {"consumer", PART_CONSUMER}, {"route", PART_ROUTE},
    {"path", PART_PATH},           {"header:", PART_HEADER},    {"cookie:", PART_COOKIE},
    {"claim:", PART_CLAIM},
};

static bool read_part(struct decoder *decoder, const struct node *node, struct part *part)
{
    for (size_t i = 0; i < ARRAY_LEN(part_words); i++) {
        size_t len = strlen(part_words[i].word);
        bool is_named = part_words[i].kind >= PART_HEADER;

        if (node->text.len < len || memcmp(node->text.p, part_words[i].word, len) != 0 ||
            is_named != (node->text.len > len))
            continue;
        part->kind = part_words[i].kind;
        part->name =
            arena_copy(decoder->arena, (struct str){node->text.p + len, node->text.len - len});
        return part->name.p != NULL;
    }
    field_wrong(decoder, node, "is nothing that requests can be told apart by");
    diag_hint(decoder->diag, "client_ip, consumer, route, path, header:NAME, cookie:NAME or "
                             "claim:NAME, or a list of them");
    return false;
}

static bool add_part(struct decoder *decoder, const struct node *node, struct parts *parts)
{
    if (node->is_broken)
        return false;
    if (node->kind != NODE_SCALAR || tree_is_null(node)) {
        diag_error(decoder->diag, tree_span(node), "expected a text, got %s", tree_noun(node));
        return false;
    }
    if (parts->count == PARTS_MAX) {
        diag_error(decoder->diag, tree_span(node), "more than %d parts of one key", PARTS_MAX);
        return false;
    }
    if (!read_part(decoder, node, &parts->items[parts->count]))
        return false;
    parts->text = arena_format(decoder->arena, "%.*s%s%.*s", STR_FMT(parts->text),
                               parts->count ? "," : "", STR_FMT(node->text));
    parts->count++;
    return parts->text.p != NULL;
}

static bool decode_by(struct decoder *decoder, const struct field *field, const struct node *node,
                      void *member)
{
    struct parts *parts = member;
    bool is_good = true;

    (void)field;
    *parts = (struct parts){.text = STR("")};
    parts->items = arena_zero(decoder->arena, PARTS_MAX, sizeof(*parts->items));
    if (!parts->items)
        return false;
    if (node->kind != NODE_LIST)
        return add_part(decoder, node, parts);
    if (!node->child.first) {
        diag_error(decoder->diag, tree_span(node), "the list is empty");
        return false;
    }
    for (const struct node *c = node->child.first; c; c = c->next)
        is_good &= add_part(decoder, c, parts);
    return is_good;
}

/* --- the table */

#define RATE_DOC "How many requests in which time: 10/s, 100/min, 1000/h, 20/d or 5/10s."
#define BURST_DOC                                                                                  \
    "How many at once, before the rate holds them back; not written: as many as `rate` counts. "   \
    "Who has not asked for long may thus ask `burst` times and go on at the rate: 100/min with a " \
    "burst of 100 lets 200 through in the first minute."
#define BY_JSON                                                                                    \
    "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":{\"type\":\"string\"}}]}"

#define LIMIT_FIELD_BURST                                                                          \
    {                                                                                              \
        .name = "burst", .doc = BURST_DOC, .type = FIELD_INT, .min = 1, .max = BURST_MAX,          \
        FIELD_AT(struct limit_conf, burst)                                                         \
    }

#define LIMIT_FIELD_RATE                                                                           \
    {                                                                                              \
        .name = "rate", .doc = RATE_DOC, .type = FIELD_CUSTOM, .flags = FIELD_REQUIRED,            \
        .decode = decode_rate, FIELD_AT(struct limit_conf, rate)                                   \
    }

#define LIMIT_FIELD_BY                                                                             \
    {                                                                                              \
        .name = "by",                                                                              \
        .doc = "What requests are told apart by; not written: as the filter's `by` says.",         \
        .type = FIELD_CUSTOM, .json = BY_JSON, .decode = decode_by,                                \
        FIELD_AT(struct limit_conf, by)                                                            \
    }

static const struct field limit_fields[] = {
    {.name = "name",
     .doc = "Its name in RateLimit fields; not written: the rate.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct limit_conf, name)},
    LIMIT_FIELD_RATE,
    LIMIT_FIELD_BURST,
    LIMIT_FIELD_BY,
    FIELD_END,
};

static const struct field tier_fields[] = {
    LIMIT_FIELD_RATE,
    LIMIT_FIELD_BURST,
    LIMIT_FIELD_BY,
    FIELD_END,
};

static const char *const assets_words[] = {"refund", "count", NULL};
static const char *const store_down_words[] = {"local", "open", "closed", NULL};

const struct field rate_limit_fields[] = {
    {.name = "rate",
     .doc = RATE_DOC,
     .standard = "100/min",
     .type = FIELD_CUSTOM,
     .decode = decode_rate,
     FIELD_AT(struct rate_limit_conf, own.rate)},
    {.name = "burst",
     .doc = BURST_DOC,
     .type = FIELD_INT,
     .min = 1,
     .max = BURST_MAX,
     FIELD_AT(struct rate_limit_conf, own.burst)},
    {.name = "by",
     .doc = "What requests are told apart by: client_ip (IPv6 by /64), consumer, route, path, "
            "header:NAME, cookie:NAME, claim:NAME, or a list of them together. For a part that a "
            "request lacks its address counts; clients without an address (unix sockets) are not "
            "limited by it. Consumers and claims are known only behind the filter that finds them "
            "out.",
     .standard = "client_ip",
     .type = FIELD_CUSTOM,
     .json = BY_JSON,
     .decode = decode_by,
     FIELD_AT(struct rate_limit_conf, own.by)},
    {.name = "limits",
     .doc = "Several limits in place of `rate` and `burst`: a request has to pass all, and takes "
            "from none when one refuses.",
     .type = FIELD_LIST,
     .flags = FIELD_NONEMPTY,
     .element = &(const struct field){.name = "", .type = FIELD_OBJECT, .fields = limit_fields},
     FIELD_ITEMS(struct rate_limit_conf, limits, limit_count)},
    {.name = "tiers",
     .doc = "Limits of consumers by their tier, in place of the usual ones.",
     .type = FIELD_MAP,
     .fields = tier_fields,
     .name_offset = offsetof(struct limit_conf, name),
     FIELD_ITEMS(struct rate_limit_conf, tiers, tier_count)},
    {.name = "cost",
     .doc = "Tokens a request takes. A route that says only another cost draws on the same tokens "
            "as the others.",
     .standard = "1",
     .type = FIELD_INT,
     .max = COST_MAX,
     FIELD_AT(struct rate_limit_conf, cost)},
    {.name = "exempt",
     .doc = "Who is not limited: addresses, networks (10.0.0.0/8), consumer:NAME, or "
            "header:NAME=VALUE.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct rate_limit_conf, exempt_texts.items, exempt_texts.count)},
    {.name = "assets",
     .doc = "`refund` gives the tokens of a GET back when the target answers with 304, or with "
            "Cache-Control of immutable or of public and a max-age of an hour or more; 1200 a "
            "minute at most.",
     .standard = "refund",
     .type = FIELD_ENUM,
     .words = assets_words,
     FIELD_AT(struct rate_limit_conf, assets)},
    {.name = "dry_run",
     .doc = "Only counts what would have been refused.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct rate_limit_conf, dry_run)},
    {.name = "on_store_down",
     .doc = "What holds while Redis does not answer: `local`, each gateway's own count of the "
            "whole limit; `open`, none; `closed`, all is refused.",
     .standard = "local",
     .type = FIELD_ENUM,
     .words = store_down_words,
     FIELD_AT(struct rate_limit_conf, on_store_down)},
    {.name = "store_wait",
     .doc = "How long a request may wait for Redis, where tokens come too slowly to take some "
            "ahead.",
     .standard = "3ms",
     .type = FIELD_DURATION,
     .min = 1,
     .max = STORE_WAIT_MAX_MS,
     FIELD_AT(struct rate_limit_conf, store_wait_ms)},
    FIELD_END,
};

/* --- across the keys */

static bool check_limit(const struct limit_conf *limit, uint64_t cost, struct span at,
                        struct diag *diag)
{
    uint64_t burst = limit->burst ? limit->burst : limit->rate.count;
    struct gcra_rate rate;

    if (limit->rate.at.source)
        at = limit->rate.at; // else it is the default
    if (limit->rate.count / 1000 > limit->rate.period_ms)
        diag_error(diag, at, "\"%.*s\" is more than 1000000 a second", STR_FMT(limit->rate.text));
    else if (gcra_rate_init(&rate, limit->rate.count, limit->rate.period_ms, burst))
        diag_error(diag, at, "a burst of %llu at \"%.*s\" takes more than 400 days to fill",
                   (unsigned long long)burst, STR_FMT(limit->rate.text));
    else if (cost > burst)
        diag_error(diag, at, "a cost of %llu never passes a burst of %llu",
                   (unsigned long long)cost, (unsigned long long)burst);
    else
        return true;
    return false;
}

static bool check_name(const struct rate_limit_conf *conf, uint32_t i, struct diag *diag)
{
    const struct limit_conf *limit = &conf->limits[i];
    struct str name = limit->name.s.p ? limit->name.s : limit->rate.text;

    for (size_t k = 0; k < name.len; k++) {
        if (name.p[k] < 0x20 || name.p[k] > 0x7e || name.p[k] == '"' || name.p[k] == '\\') {
            diag_error(diag, limit->name.at, "a limit's name is plain ASCII without quotes");
            return false;
        }
    }
    for (uint32_t k = 0; k < i; k++) {
        const struct limit_conf *other = &conf->limits[k];

        if (!str_same(name, other->name.s.p ? other->name.s : other->rate.text))
            continue;
        diag_error(diag, limit->rate.at, "two limits are called \"%.*s\"", STR_FMT(name));
        diag_hint(diag, "give one a `name`");
        return false;
    }
    return true;
}

static bool check_limits(const struct rate_limit_conf *conf, struct span at, struct diag *diag)
{
    bool is_good = true;

    if (conf->limit_count > LIMITS_MAX) {
        diag_error(diag, conf->limits[LIMITS_MAX].rate.at, "more than %d limits", LIMITS_MAX);
        return false;
    }
    if (conf->limit_count && conf->own.rate.at.source) {
        diag_error(diag, conf->own.rate.at, "write `rate` or `limits`, not both");
        is_good = false;
    }
    for (uint32_t i = 0; i < conf->limit_count; i++)
        is_good = check_limit(&conf->limits[i], conf->cost, at, diag) &&
                  check_name(conf, i, diag) && is_good;
    if (!conf->limit_count)
        is_good = check_limit(&conf->own, conf->cost, at, diag);
    return is_good;
}

static bool check_exempt(const struct conf_text *text, struct diag *diag)
{
    struct str s = text->s;
    struct cidr net;

    if (s.len > 9 && !memcmp(s.p, "consumer:", 9))
        return true;
    if (s.len > 7 && !memcmp(s.p, "header:", 7) && memchr(s.p + 8, '=', s.len - 8))
        return true;
    if (cidr_parse(s, &net))
        return true;
    diag_error(diag, text->at, "it is no address, network, consumer:NAME or header:NAME=VALUE");
    return false;
}

bool rate_limit_check(void *conf, struct span at, struct diag *diag)
{
    const struct rate_limit_conf *all = conf;
    bool is_good = check_limits(all, at, diag);

    for (uint32_t i = 0; i < all->tier_count; i++)
        is_good = check_limit(&all->tiers[i], all->cost, at, diag) && is_good;
    for (uint32_t i = 0; i < all->exempt_texts.count; i++)
        is_good = check_exempt(&all->exempt_texts.items[i], diag) && is_good;
    if (all->tier_count <= TIERS_MAX)
        return is_good;
    diag_error(diag, at, "more than %d tiers", TIERS_MAX);
    return false;
}
