/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/access/agents.h"

#include <string.h>

enum { NAME_MAX_LEN = 1024 }; /* bytes of a name that are looked at */

#define CASELESS "(?i)"
#define SEARCH                                                                                     \
    "googlebot|google-inspectiontool|bingbot|adidxbot|duckduckbot|yandex(?:bot|images)|"           \
    "baiduspider|applebot|slurp|petalbot|sogou|seznambot|qwantbot|exabot|naverbot|yeti/"
#define AI                                                                                         \
    "gptbot|chatgpt-user|oai-searchbot|claudebot|claude-(?:user|web|searchbot)|anthropic-ai|"      \
    "ccbot|perplexity(?:bot|-user)|bytespider|amazonbot|meta-external(?:agent|fetcher)|"           \
    "cohere-ai|diffbot|mistralai-user|google-cloudvertexbot|duckassistbot|youbot|timpibot"
#define SEO                                                                                        \
    "ahrefs(?:bot|siteaudit)|semrushbot|siteauditbot|mj12bot|dotbot|rogerbot|dataforseobot|"       \
    "blexbot|serpstatbot|screaming frog|barkrowler|seokicks|zoominfobot"
#define PREVIEWS                                                                                   \
    "facebookexternalhit|facebookcatalog|twitterbot|slackbot|slack-imgproxy|discordbot|"           \
    "whatsapp/|telegrambot|linkedinbot|pinterestbot|skypeuripreview|embedly|iframely|redditbot"
#define SCANNERS                                                                                   \
    "sqlmap|nikto|nmap|masscan|zgrab|nuclei|gobuster|dirbuster|dirsearch|wpscan|nessus|"           \
    "acunetix|ffuf|feroxbuster|censysinspect|expanse|netsystemsresearch|openvas|burp|w3af"
#define MONITORS                                                                                   \
    "uptimerobot|pingdom|statuscake|site24x7|better ?uptime|better ?stack|hetrixtools|"            \
    "freshping|updown\\.io|checkly|datadog|newrelicpinger|newrelicsynthetic|uptime-kuma|"          \
    "uptime ?probe|gatus|nodeping|catchpoint|kube-probe|googlehc|google-cloud-scheduler|"          \
    "googlestackdrivermonitoring|elb-healthchecker|amazon-route53-health|cloudflare-healthchecks|" \
    "cloudflare-traffic-manager|consul health check|railwayhealthcheck|alwayson|"                  \
    "prometheus/|blackbox[ _-]?exporter|check_http|nagios|icinga|zabbix|monitis|envoy/hc|"         \
    "health[ _-]?check|sluice-health"
#define HEADLESS "headlesschrome|phantomjs|puppeteer|playwright|selenium|electron/|splash"
#define TOOLS                                                                                      \
    "^curl/|^wget/|python-requests|python-urllib|aiohttp|python-httpx|go-http-client|^java/|"      \
    "apache-httpclient|okhttp|axios/|node-fetch|undici|libwww-perl|scrapy|postmanruntime|"         \
    "insomnia/|httpie/|ruby|faraday|guzzlehttp|reqwest|dart/|powershell"
/* Cubot makes telephones. */
#define BOTS "(?<!cu)bots?(?![a-z])|crawl|spider|scrape|" SEARCH "|" AI "|" SEO

static const struct {
    const char *name, *pattern;
} classes[] = {
    {"bots", CASELESS BOTS},
    {"search", CASELESS SEARCH},
    {"ai", CASELESS AI},
    {"seo", CASELESS SEO},
    {"previews", CASELESS PREVIEWS},
    {"scanners", CASELESS SCANNERS},
    {"monitors", CASELESS MONITORS},
    {"headless", CASELESS HEADLESS},
    {"tools", CASELESS TOOLS},
};

static const char *class_pattern(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        if (str_same(name, (struct str){classes[i].name, strlen(classes[i].name)}))
            return classes[i].pattern;
    return NULL;
}

static void unknown_class(struct diag *diag, const struct conf_text *text)
{
    const char *names[ARRAY_LEN(classes) + 1] = {"none"}, *nearest;

    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        names[i + 1] = classes[i].name;
    nearest = diag_nearest(text->s, names, ARRAY_LEN(names));
    diag_error(diag, text->at, "no class of agents is called \"%.*s\"", STR_FMT(text->s));
    if (nearest)
        diag_hint(diag, "did you mean \"%s\"?", nearest);
    else
        diag_hint(diag, "write \"~%.*s\" for a pattern of your own", STR_FMT(text->s));
}

/* One of one's own, as it was written: its errors count characters. */
static bool check_own(struct str expression, struct span at, struct diag *diag)
{
    struct route_pattern pattern;

    if (!route_pattern_init(&pattern, (struct conf_text){expression, at}, diag))
        return false;
    route_pattern_fini(&pattern);
    return true;
}

/* Its expression; absent after an error. */
static struct str expression_of(const struct conf_text *text, struct arena *arena,
                                struct diag *diag)
{
    const char *known = class_pattern(text->s);
    struct str own = {text->s.p + 1, text->s.len - 1};

    if (known)
        return (struct str){known, strlen(known)};
    if (text->s.len < 2 || text->s.p[0] != '~')
        unknown_class(diag, text);
    else if (check_own(own, text->at, diag))
        return arena_format(arena, CASELESS "%.*s", STR_FMT(own));
    return STR_NONE;
}

static bool add(struct agents *agents, const struct conf_text *text, struct arena *arena,
                struct diag *diag)
{
    struct conf_text pattern = {.at = text->at};

    if (str_same(text->s, STR("none"))) {
        agents->has_none = true;
        return true;
    }
    pattern.s = expression_of(text, arena, diag);
    if (!pattern.s.p || !route_pattern_init(&agents->patterns[agents->count], pattern, diag))
        return false;
    agents->names[agents->count++] = text->s;
    return true;
}

bool agents_init(struct agents *agents, const struct conf_texts *list, struct arena *arena,
                 struct diag *diag)
{
    bool is_good = true;

    *agents = (struct agents){.count = 0};
    agents->patterns = arena_zero(arena, list->count, sizeof(*agents->patterns));
    agents->names = arena_zero(arena, list->count, sizeof(*agents->names));
    if (!agents->patterns || !agents->names)
        return false;
    for (uint32_t i = 0; i < list->count; i++)
        is_good = add(agents, &list->items[i], arena, diag) && is_good;
    return is_good;
}

void agents_fini(struct agents *agents)
{
    while (agents->count)
        route_pattern_fini(&agents->patterns[--agents->count]);
}

struct str agents_find(const struct agents *agents, struct str name)
{
    if (name.len > NAME_MAX_LEN)
        name.len = NAME_MAX_LEN;
    if (!name.len)
        return agents->has_none ? STR("none") : STR_NONE;
    for (uint32_t i = 0; i < agents->count; i++)
        if (route_pattern_fits(&agents->patterns[i], name))
            return agents->names[i];
    return STR_NONE;
}
