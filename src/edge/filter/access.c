/* SPDX-License-Identifier: Apache-2.0
 *
 * access: who may ask at all, by address, country, autonomous system and what the client calls
 * itself. What a `deny` names is refused; once an `allow` is written, only what one of them names
 * gets through. Of networks the most specific decides: one that is allowed is asked for neither
 * country nor system. A client on a unix socket has no address: no network holds it, its country
 * and system are unknown.
 */
#include <string.h>

#include "base/text.h"
#include "config/conf.h"
#include "config/field.h"
#include "edge/access/agents.h"
#include "edge/access/asn_set.h"
#include "edge/access/country_set.h"
#include "edge/access/geo_file.h"
#include "edge/access/net_list.h"
#include "sluice/filter.h"

struct lists {
    struct conf_texts allow, deny;
};

struct access_conf {
    struct lists nets, countries, asns, agents;
    struct conf_text allow_file, deny_file, country_db, asn_db;
    /* prepared */
    const struct nets *set; /* of enum net */
    struct country_set country_allow, country_deny;
    struct asn_set asn_allow, asn_deny;
    struct agents agent_allow, agent_deny;
    struct geo_file *country_file, *asn_file; /* NULL: none; references */
    bool has_allow;
};

/* Of the same network twice the higher one holds. */
enum net { NET_NONE = NETS_NONE, NET_ALLOW, NET_DENY };

struct access_state {
    enum net net;
    bool was_asked;
    char country[GEO_COUNTRY_LEN]; /* vars->country is it */
    struct str agent;              /* the entry that fits */
};

extern const struct filter filter_access;

static const struct field agent_fields[] = {
    {.name = "allow",
     .doc = "Exceptions to `deny`.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct lists, allow.items, allow.count)},
    {.name = "deny",
     .doc = "Classes, by User-Agent: `bots` (all that crawl), of these `search`, `ai` and `seo`, "
            "`previews` of links, `scanners`, `headless` browsers, `tools` such as curl, `none` "
            "for those that say nothing; or `~` and a regular expression, in any case.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct lists, deny.items, deny.count)},
    FIELD_END,
};

static const struct field country_fields[] = {
    {.name = "allow",
     .doc = "Codes of two letters (ISO 3166-1), or `unknown`.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct lists, allow.items, allow.count)},
    {.name = "deny",
     .doc = "Codes of two letters, or `unknown`.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct lists, deny.items, deny.count)},
    FIELD_END,
};

static const struct field asn_fields[] = {
    {.name = "allow",
     .doc = "Numbers, as in AS64496, or `unknown`.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct lists, allow.items, allow.count)},
    {.name = "deny",
     .doc = "Numbers, as in AS64496, or `unknown`.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct lists, deny.items, deny.count)},
    FIELD_END,
};

static const struct field fields[] = {
    {.name = "allow",
     .doc = "Networks and addresses. Once any `allow` is written (here, in `allow_file`, "
            "`countries` or `asn`), only what one of them names gets through. The most specific "
            "network decides, `deny` where both name the same; one that is allowed gets through "
            "whatever its country and system. ::/0 holds no IPv4 address.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct access_conf, nets.allow.items, nets.allow.count)},
    {.name = "deny",
     .doc = "Networks and addresses that are refused.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct access_conf, nets.deny.items, nets.deny.count)},
    {.name = "allow_file",
     .doc = "More for `allow`, one a line; # and ; begin comments. Read at each reload.",
     .type = FIELD_TEXT,
     FIELD_AT(struct access_conf, allow_file)},
    {.name = "deny_file",
     .doc = "More for `deny`, in the same form.",
     .type = FIELD_TEXT,
     FIELD_AT(struct access_conf, deny_file)},
    {.name = "countries",
     .doc = "By the country of the address; needs `country_db`.",
     .type = FIELD_OBJECT,
     .fields = country_fields,
     FIELD_AT(struct access_conf, countries)},
    {.name = "asn",
     .doc = "By the autonomous system that the address belongs to; needs `asn_db`.",
     .type = FIELD_OBJECT,
     .fields = asn_fields,
     FIELD_AT(struct access_conf, asns)},
    {.name = "country_db",
     .doc = "A MaxMind DB file that knows countries. Read again when it changes.",
     .type = FIELD_TEXT,
     FIELD_AT(struct access_conf, country_db)},
    {.name = "asn_db",
     .doc = "A MaxMind DB file that knows autonomous systems. Read again when it changes.",
     .type = FIELD_TEXT,
     FIELD_AT(struct access_conf, asn_db)},
    {.name = "agents",
     .doc = "By what clients call themselves; whoever lies gets through.",
     .type = FIELD_OBJECT,
     .fields = agent_fields,
     FIELD_AT(struct access_conf, agents)},
    FIELD_END,
};

/* --- once a configuration */

static bool check(void *conf, struct span at, struct diag *diag)
{
    const struct access_conf *access = conf;
    unsigned before = diag->errors;

    if (access->countries.allow.count + access->countries.deny.count && !access->country_db.s.len) {
        diag_error(diag, at, "access by country needs a database");
        diag_hint(diag, "write \"country_db: FILE\", as of GeoLite2-Country.mmdb");
    }
    if (access->asns.allow.count + access->asns.deny.count && !access->asn_db.s.len) {
        diag_error(diag, at, "access by autonomous system needs a database");
        diag_hint(diag, "write \"asn_db: FILE\", as of GeoLite2-ASN.mmdb");
    }
    if (access->agents.allow.count && !access->agents.deny.count)
        diag_error(diag, access->agents.allow.items[0].at,
                   "agents are allowed as exceptions to a deny, and there is none");
    return diag->errors == before;
}

/* The same file where another route has it open. */
static struct geo_file *find_open(const struct conf_filters *filters, struct str path,
                                  enum geo_kind kind)
{
    for (uint32_t i = 0; i < filters->count; i++) {
        const struct access_conf *other = filters->items[i].conf;
        struct geo_file *file;

        if (filters->items[i].filter != &filter_access || !other)
            continue;
        file = kind == GEO_COUNTRY ? other->country_file : other->asn_file;
        if (file && geo_file_is(file, path, kind))
            return file;
    }
    return NULL;
}

static bool open_file(struct geo_file **file, const struct conf_text *path, enum geo_kind kind,
                      const struct filter_prepare *prepare)
{
    const struct conf *conf = prepare->conf;
    char error[GEO_ERROR_SIZE];

    if (!path->s.len)
        return true;
    *file = find_open(&conf->filters, path->s, kind);
    for (uint32_t i = 0; !*file && i < conf->route_count; i++)
        *file = find_open(&conf->routes[i].filters, path->s, kind);
    if (*file) {
        geo_file_ref(*file);
        return true;
    }
    *file = geo_file_open(path->s, kind, error);
    if (!*file)
        diag_error(prepare->diag, path->at, "%s", error);
    return *file != NULL;
}

static bool prepare(void *conf, const struct filter_prepare *prepare)
{
    struct access_conf *access = conf;
    struct arena *arena = prepare->arena;
    struct diag *diag = prepare->diag;
    const struct net_list lists[] = {
        {&access->nets.allow, &access->allow_file, NET_ALLOW},
        {&access->nets.deny, &access->deny_file, NET_DENY},
    };
    bool is_good;

    access->has_allow = access->nets.allow.count + access->countries.allow.count +
                            access->asns.allow.count + access->allow_file.s.len >
                        0;
    access->set = net_list_read(lists, ARRAY_LEN(lists), arena, diag);
    is_good = access->set != NULL;
    is_good &= country_set_read(&access->country_allow, &access->countries.allow, diag);
    is_good &= country_set_read(&access->country_deny, &access->countries.deny, diag);
    is_good &= asn_set_read(&access->asn_allow, &access->asns.allow, arena, diag);
    is_good &= asn_set_read(&access->asn_deny, &access->asns.deny, arena, diag);
    is_good &= agents_init(&access->agent_allow, &access->agents.allow, arena, diag);
    is_good &= agents_init(&access->agent_deny, &access->agents.deny, arena, diag);
    is_good &= open_file(&access->country_file, &access->country_db, GEO_COUNTRY, prepare);
    is_good &= open_file(&access->asn_file, &access->asn_db, GEO_ASN, prepare);
    return is_good;
}

static void dispose(void *conf)
{
    struct access_conf *access = conf;

    agents_fini(&access->agent_allow);
    agents_fini(&access->agent_deny);
    geo_file_unref(&access->country_file);
    geo_file_unref(&access->asn_file);
}

static void look(void *conf)
{
    struct access_conf *access = conf;

    if (access->country_file)
        geo_file_look(access->country_file);
    if (access->asn_file)
        geo_file_look(access->asn_file);
}

/* --- the work */

static const struct str unknown = STR_INIT("unknown");

static void find_place(struct visit *visit, const struct access_conf *conf)
{
    struct access_state *state = visit->state;
    const uint8_t *ip = visit->caller->ip;
    unsigned worker = visit->env->worker;
    bool has_ip = !ip_is_none(ip);

    if (conf->country_file) {
        bool is_known = has_ip && geo_file_country(conf->country_file, worker, ip, state->country);

        visit->vars->country = is_known ? (struct str){state->country, GEO_COUNTRY_LEN} : unknown;
    }
    if (conf->asn_file)
        visit->vars->asn = has_ip ? geo_file_asn(conf->asn_file, worker, ip) : 0;
}

/* By the database of this filter: a place that another has found is not ours. */
static const char *country_of(const struct access_state *state)
{
    return state->country[0] ? state->country : NULL;
}

/* No deny names it; whether an allow has to, and which kind would have. */
static enum reason judge_allow(const struct access_conf *conf, const char *country, uint32_t asn)
{
    if (!conf->has_allow)
        return REASON_NONE;
    if (conf->country_file && country_set_has(&conf->country_allow, country))
        return REASON_NONE;
    if (conf->asn_file && asn_set_has(&conf->asn_allow, asn))
        return REASON_NONE;
    if (conf->countries.allow.count)
        return REASON_COUNTRY_DENIED;
    return conf->asns.allow.count ? REASON_ASN_DENIED : REASON_ADDRESS_DENIED;
}

static enum reason judge_place(const struct visit *visit, const struct access_conf *conf)
{
    const struct access_state *state = visit->state;
    const char *country = country_of(state);

    if (state->net == NET_ALLOW)
        return REASON_NONE;
    if (state->net == NET_DENY)
        return REASON_ADDRESS_DENIED;
    if (conf->country_file && country_set_has(&conf->country_deny, country))
        return REASON_COUNTRY_DENIED;
    if (conf->asn_file && asn_set_has(&conf->asn_deny, visit->vars->asn))
        return REASON_ASN_DENIED;
    return judge_allow(conf, country, visit->vars->asn);
}

static enum reason judge_agent(struct visit *visit, const struct access_conf *conf)
{
    struct access_state *state = visit->state;
    struct str name;

    if (!conf->agents.deny.count)
        return REASON_NONE;
    name = head_value(visit->request, HDR_USER_AGENT);
    state->agent = agents_find(&conf->agent_allow, name);
    if (state->agent.p)
        return REASON_NONE;
    state->agent = agents_find(&conf->agent_deny, name);
    return state->agent.p ? REASON_AGENT_DENIED : REASON_NONE;
}

static enum verdict on_request(struct visit *visit)
{
    const struct access_conf *conf = visit->conf;
    struct access_state *state = visit->state;

    state->was_asked = true;
    if (!ip_is_none(visit->caller->ip))
        state->net = (enum net)nets_find(conf->set, visit->caller->ip);
    find_place(visit, conf);
    visit->reason = judge_place(visit, conf);
    if (!visit->reason)
        visit->reason = judge_agent(visit, conf);
    return visit->reason ? VERDICT_FAIL : VERDICT_PASS;
}

enum { DESCRIBE_MAX = 128 };

static struct str describe(struct visit *visit)
{
    static const struct str words[] = {STR_INIT("none"), STR_INIT("allow"), STR_INIT("deny")};
    const struct access_state *state = visit->state;
    const struct access_conf *conf = visit->conf;
    size_t room = DESCRIBE_MAX + state->agent.len * TEXT_JSON_FACTOR;
    char *start = state->was_asked ? arena_text(visit->arena, room) : NULL, *at = start;

    if (!start)
        return STR_NONE;
    at = text_put(at, STR("\"net\":\""));
    at = text_put(text_put(at, words[state->net]), STR("\""));
    if (conf->country_file) {
        at = text_put(at, STR(",\"country\":\""));
        at = text_put(at,
                      country_of(state) ? (struct str){state->country, GEO_COUNTRY_LEN} : unknown);
        at = text_put(at, STR("\""));
    }
    if (conf->asn_file)
        at = text_u64(text_put(at, STR(",\"asn\":")), visit->vars->asn);
    if (state->agent.p) {
        at = text_json(text_put(at, STR(",\"agent\":\"")), state->agent);
        at = text_put(at, STR("\""));
    }
    return (struct str){start, (size_t)(at - start)};
}

const struct filter filter_access = {
    .name = "access",
    .doc = "Lets clients in or refuses them, by address, country, autonomous system and agent.",
    .fields = fields,
    .conf_size = sizeof(struct access_conf),
    .state_size = sizeof(struct access_state),
    .check = check,
    .prepare = prepare,
    .dispose = dispose,
    .look = look,
    .on_request = on_request,
    .describe = describe,
};
