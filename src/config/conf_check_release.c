/* SPDX-License-Identifier: Apache-2.0
 *
 * The checks of a service's releases: ids that can be said everywhere, shares of what there is,
 * and lists that say whom they mean. Called by conf_check_services().
 */
#include <string.h>

#include "base/text.h"
#include "config/conf_check.h"

/* --- which there are */

static const struct conf_release *find(const struct conf_service *service, struct str name)
{
    for (uint32_t i = 0; i < service->release_count; i++)
        if (str_same(service->releases[i].name.s, name))
            return &service->releases[i];
    return NULL;
}

bool conf_release_is_id(struct str id)
{
    if (!id.len || id.len > CONF_RELEASE_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (!memchr(CONF_RELEASE_ID_CHARS, id.p[i], sizeof(CONF_RELEASE_ID_CHARS) - 1))
            return false;
    return true;
}

static void check_ids(struct diag *diag, const struct conf_service *service)
{
    if (service->release_count > CONF_RELEASES_MAX)
        diag_error(diag, service->releases[0].name.at, "more than %d releases", CONF_RELEASES_MAX);
    for (uint32_t i = 0; i < service->release_count; i++) {
        const struct conf_text *name = &service->releases[i].name;

        if (!conf_release_is_id(name->s))
            diag_error(diag, name->at,
                       "a release's id has letters, digits and \"._-\", %d of them at most",
                       CONF_RELEASE_ID_MAX);
    }
    if (service->release_count && service->discover.is_set)
        diag_error(diag, service->discover.at,
                   "targets of releases are listed: \"discover\" does not know whose it finds");
}

/* --- shares */

static void check_known(struct diag *diag, const struct conf_service *service,
                        const struct conf_text *name)
{
    const char *names[CONF_RELEASES_MAX], *nearest;
    uint32_t count = 0;

    if (find(service, name->s))
        return;
    for (; count < service->release_count && count < CONF_RELEASES_MAX; count++)
        names[count] = service->releases[count].name.s.p;
    nearest = diag_nearest(name->s, names, count);
    diag_error(diag, name->at, "there is no release \"%.*s\"", STR_FMT(name->s));
    if (nearest)
        diag_hint(diag, "did you mean \"%s\"?", nearest);
}

static void check_split(struct diag *diag, const struct conf_service *service)
{
    uint64_t sum = 0;

    if (!service->share_count)
        return;
    if (!service->release_count) {
        diag_error(diag, service->shares[0].release.at, "a split is one among releases");
        diag_hint(diag, "write releases: {stable: {targets: [...]}, canary: {targets: [...]}}");
        return;
    }
    for (uint32_t i = 0; i < service->share_count; i++) {
        check_known(diag, service, &service->shares[i].release);
        sum += service->shares[i].share;
    }
    if (!sum)
        diag_error(diag, service->shares[0].release.at, "nobody has a share");
}

/* --- who gets which */

static void check_token(struct diag *diag, const struct conf_text *name, const char *what)
{
    if (name->s.len && !text_is_token(name->s))
        diag_error(diag, name->at, "\"%.*s\" is not a name for a %s", STR_FMT(name->s), what);
}

static void check_list(struct diag *diag, const struct conf_assign_list *list)
{
    bool has_name = list->header.s.len || list->cookie.s.len;

    check_token(diag, &list->header, "header");
    check_token(diag, &list->cookie, "cookie");
    if (!list->address_count + !list->header.s.len + !list->cookie.s.len != 2)
        diag_error(diag, list->at, "a list has one of addresses, header and cookie");
    else if (has_name && !list->value_count)
        diag_error(diag, list->at, "key \"values\" is missing");
    else if (!has_name && list->value_count)
        diag_error(diag, list->at, "\"values\" goes with a header or a cookie");
}

static void check_assign(struct diag *diag, const struct conf_assign *assign)
{
    struct str host = assign->ask_host.s;

    check_token(diag, &assign->cookie, "cookie");
    check_token(diag, &assign->ask_header, "header");
    check_token(diag, &assign->ask_cookie, "cookie");
    if (host.len && (host.len < 3 || memcmp(host.p, "*.", 2) != 0))
        diag_error(diag, assign->ask_host.at,
                   "the first label stands for the release: write "
                   "\"*.preview.example.com\"");
    for (uint32_t i = 0; i < assign->list_count; i++)
        check_list(diag, &assign->lists[i]);
}

/* --- deploys */

static void check_hooks(struct diag *diag, const struct conf_hooks *hooks)
{
    for (uint32_t i = 0; i < hooks->count; i++) {
        struct str url = hooks->items[i].url.s;

        if (url.len && strncmp(url.p, "http://", 7) != 0 && strncmp(url.p, "https://", 8) != 0)
            diag_error(diag, hooks->items[i].url.at, "a URL begins with http:// or https://");
    }
}

static void check_strategy(struct diag *diag, const struct conf_service *service)
{
    const struct conf_deploy *deploy = &service->deploy;
    bool has_units = service->provider.is_set;

    if (!has_units && (deploy->strategy == CONF_ROLLING || deploy->strategy == CONF_PLATFORM))
        diag_error(diag, service->name.at, "strategy %s needs a provider, and \"%.*s\" has none",
                   conf_strategies[deploy->strategy], STR_FMT(service->name.s));
    if (!has_units && deploy->staging.s.len)
        diag_error(diag, deploy->staging.at,
                   "a release goes to staging first where a provider runs both");
    if (deploy->hooks.regression.count && !deploy->staging.s.len)
        diag_error(diag, deploy->hooks.regression.items[0].at,
                   "a regression test is that of staging, and there is none");
}

static void check_deploy(struct diag *diag, const struct conf_deploy *deploy)
{
    uint32_t share = 0;

    if (deploy->step_count > CONF_STEPS_MAX)
        diag_error(diag, deploy->steps[0].at, "more than %d steps", CONF_STEPS_MAX);
    if (deploy->step_count && deploy->strategy != CONF_CANARY)
        diag_error(diag, deploy->steps[0].at, "steps are those of a canary");
    for (uint32_t i = 0; i < deploy->step_count; i++) {
        const struct conf_step *step = &deploy->steps[i];

        if (step->approval == (step->share_ppm > 0))
            diag_error(diag, step->at, "a step has one of share and approval");
        if (step->share_ppm && step->share_ppm <= share)
            diag_error(diag, step->at, "the share of a step is larger than that of the one before");
        if (step->share_ppm)
            share = step->share_ppm;
    }
    check_hooks(diag, &deploy->hooks.regression);
    check_hooks(diag, &deploy->hooks.pre);
    check_hooks(diag, &deploy->hooks.migrate);
    check_hooks(diag, &deploy->hooks.smoke);
    check_hooks(diag, &deploy->hooks.post);
    conf_check_verdict(diag, &deploy->verdict);
}

void conf_check_releases(struct diag *diag, const struct conf_service *service)
{
    check_ids(diag, service);
    check_split(diag, service);
    check_assign(diag, &service->assign);
    check_strategy(diag, service);
    check_deploy(diag, &service->deploy);
}
