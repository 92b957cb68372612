/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/access/wake_policy.h"

#include <string.h>

#include "edge/access/agents.h"

enum { PATH_MAX_LEN = 2048 }; /* bytes of a path that are looked at */

#define CASELESS "(?i)"
/* What the logs of any public address are full of: files of other people's servers, their back
 * doors and consoles. Names that an app of one's own could well have are left out. */
#define SCANNERS                                                                                   \
    "/\\.(?:env|git|svn|hg|bzr|aws|azure|ssh|docker|kube|vscode|idea|ds_store|ht(?:access|passwd)" \
    "|"                                                                                            \
    "npmrc|pypirc|netrc|bash_history|config/|s3cfg|travis|gitlab)|"                                \
    "\\.(?:php[0-9]?|phtml|phar|aspx?|ashx|asmx|jspx?|cgi|cfm|sql|bak|swp|pem)(?:/|$)|"            \
    "^/(?:[^/]+/)?(?:wp-|wordpress/|phpmyadmin|pma/|myadmin/|adminer|xmlrpc)|"                     \
    "^/(?:cgi-bin/|vendor/phpunit|boaform|hnap1|gponform|owa/|ecp/|autodiscover/|solr/|"           \
    "manager/html|server-(?:status|info)|actuator/|_ignition/|telescope/requests|geoserver/|"      \
    "druid/index|nacos/|containers/json|v2/_catalog|jenkins/|hudson/|jmx-console|invoker/|"        \
    "struts|setup\\.cgi|shell(?:/|$)|evox/|dana-na/|remote/fgt_lang|global-protect/|"              \
    "\\+cscoe\\+|webui/|_profiler/|debug/default/view|t4$|teorema505|aws/credentials|"             \
    "backup\\.)|"                                                                                  \
    "etc/passwd|/\\.\\./|%2e%2e|\\$\\{jndi"
#define PROBES                                                                                     \
    "^/(?:[^/]+/)?(?:-/|_|\\.)?(?:health(?:z|y|check|-check|_check)?|healthcheckz|livez?|"         \
    "live(?:ness|z)?|readyz?|readiness|alive|up|ping|heartbeat|status/health)/?$"
#define AUTOMATIC                                                                                  \
    "^/(?:robots|ads|app-ads|humans|security)\\.txt$|^/favicon|^/apple-touch-icon|"                \
    "^/sitemap[^/]*\\.xml(?:\\.gz)?$|^/browserconfig\\.xml$|^/crossdomain\\.xml$|"                 \
    "^/(?:site\\.web)?manifest(?:\\.json|\\.webmanifest)?$|^/site\\.webmanifest$|"                 \
    "^/\\.well-known/"

static const struct path_class {
    const char *name, *pattern;
    bool is_read; /* by GET and HEAD alone */
} classes[] = {
    {"scanners", CASELESS SCANNERS, false},
    {"probes", CASELESS PROBES, true},
    {"automatic", CASELESS AUTOMATIC, true},
};

struct path_entry {
    struct str text;              /* as it was written */
    struct route_pattern pattern; /* empty: the path itself, or a prefix that ends in '*' */
    bool is_read;                 /* of GET and HEAD alone */
};

struct wake_policy {
    const struct conf_wake_refuse *conf;
    struct agents agents;
    struct path_entry *paths;
    uint32_t path_count;
};

/* --- building */

static const struct path_class *find_class(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        if (str_same(name, (struct str){classes[i].name, strlen(classes[i].name)}))
            return &classes[i];
    return NULL;
}

static void unknown_class(struct diag *diag, const struct conf_text *text)
{
    const char *names[ARRAY_LEN(classes)], *nearest;

    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        names[i] = classes[i].name;
    nearest = diag_nearest(text->s, names, ARRAY_LEN(names));
    diag_error(diag, text->at, "no class of paths is called \"%.*s\"", STR_FMT(text->s));
    if (nearest)
        diag_hint(diag, "did you mean \"%s\"?", nearest);
    else
        diag_hint(diag, "a path begins with \"/\", a pattern with \"~\"");
}

static bool add_path(struct wake_policy *policy, const struct conf_text *text, struct diag *diag)
{
    struct path_entry *entry = &policy->paths[policy->path_count];
    const struct path_class *known = find_class(text->s);
    struct conf_text pattern = {.at = text->at};

    entry->text = text->s;
    if (text->s.len && text->s.p[0] == '/') {
        policy->path_count++;
        return true;
    }
    if (known) {
        pattern.s = (struct str){known->pattern, strlen(known->pattern)};
        entry->is_read = known->is_read;
    } else if (text->s.len > 1 && text->s.p[0] == '~') {
        pattern.s = (struct str){text->s.p + 1, text->s.len - 1};
    } else {
        unknown_class(diag, text);
        return false;
    }
    if (!route_pattern_init(&entry->pattern, pattern, diag))
        return false;
    policy->path_count++;
    return true;
}

struct wake_policy *wake_policy_new(const struct conf_wake_refuse *conf, struct arena *arena,
                                    struct diag *diag)
{
    struct wake_policy *policy = arena_zero(arena, 1, sizeof(*policy));
    bool is_good;

    if (!policy)
        return NULL;
    policy->conf = conf;
    policy->paths = arena_zero(arena, conf->paths.count, sizeof(*policy->paths));
    is_good = agents_init(&policy->agents, &conf->agents, arena, diag) && policy->paths;
    for (uint32_t i = 0; policy->paths && i < conf->paths.count; i++)
        is_good = add_path(policy, &conf->paths.items[i], diag) && is_good;
    if (!is_good)
        wake_policy_free(&policy);
    return policy;
}

void wake_policy_free(struct wake_policy **policy)
{
    struct wake_policy *gone = *policy;

    *policy = NULL;
    if (!gone)
        return;
    agents_fini(&gone->agents);
    while (gone->path_count) {
        struct path_entry *entry = &gone->paths[--gone->path_count];

        if (entry->pattern.code)
            route_pattern_fini(&entry->pattern);
    }
}

/* --- asking */

static bool fits(const struct path_entry *entry, struct str path)
{
    struct str text = entry->text;

    if (entry->pattern.code)
        return route_pattern_fits(&entry->pattern, path);
    if (text.p[text.len - 1] != '*')
        return str_same(text, path);
    text.len--;
    return path.len >= text.len && !memcmp(path.p, text.p, text.len);
}

static struct str find_path(const struct wake_policy *policy, const struct head *request,
                            struct str path)
{
    bool is_read = request->method == METHOD_GET || request->method == METHOD_HEAD;

    if (path.len > PATH_MAX_LEN)
        path.len = PATH_MAX_LEN;
    for (uint32_t i = 0; path.len && i < policy->path_count; i++)
        if ((is_read || !policy->paths[i].is_read) && fits(&policy->paths[i], path))
            return policy->paths[i].text;
    return STR_NONE;
}

static struct str find_method(const struct wake_policy *policy, struct str method)
{
    const struct conf_texts *methods = &policy->conf->methods;

    for (uint32_t i = 0; i < methods->count; i++)
        if (str_same(methods->items[i].s, method))
            return methods->items[i].s;
    return STR_NONE;
}

struct wake_policy_why wake_policy_refuses(const struct wake_policy *policy,
                                           const struct head *request, struct str path)
{
    struct wake_policy_why why = {"method", find_method(policy, request->method_name)};

    if (!why.entry.p)
        why = (struct wake_policy_why){"path", find_path(policy, request, path)};
    if (!why.entry.p)
        why = (struct wake_policy_why){"agent", agents_find(&policy->agents,
                                                            head_value(request, HDR_USER_AGENT))};
    if (!why.entry.p)
        why.kind = NULL;
    return why;
}
