/* SPDX-License-Identifier: Apache-2.0 */
#include "control/deploy/topup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/deploy/impl.h"
#include "control/say.h"

enum { ASK_TIMEOUT_MS = 5000 };

json_t *topup_plan(const struct conf_probes *probes)
{
    json_t *paths;

    if (!probes->is_set)
        return json_null();
    paths = json_array();
    for (uint32_t i = 0; i < probes->path_count; i++)
        json_array_append_new(paths, json_stringn(probes->paths[i].s.p, probes->paths[i].s.len));
    return json_pack("{s:I,s:o}", "rate", (json_int_t)probes->rate, "paths", paths);
}

static double rate_of(const struct deploy *deploy)
{
    return (double)json_integer_value(json_object_get(deploy->topup.plan, "rate"));
}

/* Whether the step has fewer requests of the new release than it should have by now; half of the
 * rate is for either. */
static bool is_short(const struct deploy *deploy)
{
    int64_t ms = (int64_t)clock_wall_ms() - deploy->state.step_ms;

    return (double)deploy->canary_requests < rate_of(deploy) / 2 * (double)ms / 1000;
}

/* --- calls */

static void on_told(void *owner, const struct outbound_reply *reply)
{
    struct topup_call *call = owner;
    struct topup *topup = &call->deploy->topup;
    json_t *body = reply->status ? json_loadb(reply->body.p, reply->body.len, 0, NULL) : NULL;
    const char *detail = json_string_value(json_object_get(body, "detail"));
    char why[sizeof(topup->why)] = "";

    call->call = NULL;
    if (!reply->status)
        say_into(why, sizeof(why), "%s", reply->error);
    else if (reply->status / 100 != 2)
        say_into(why, sizeof(why), "%ld %s", reply->status, detail ? detail : "");
    if (*why && strcmp(why, topup->why) != 0)
        deploy_log(call->deploy, "an edge sends no requests of ours: %s", why);
    snprintf(topup->why, sizeof(topup->why), "%s", why);
    json_decref(body);
}

static struct topup_call *find_free(struct deploy *deploy)
{
    for (size_t i = 0; i < TOPUP_CALLS; i++) {
        deploy->topup.calls[i].deploy = deploy;
        if (!deploy->topup.calls[i].call)
            return &deploy->topup.calls[i];
    }
    return NULL;
}

/* One request to a release. Without room or memory it is not sent. */
static void ask(struct deploy *deploy, const char *release)
{
    const struct edges *edges = deploy->managed->deploys->options.edges;
    const json_t *paths = json_object_get(deploy->topup.plan, "paths");
    json_t *json = json_pack("{s:s,s:O}", "release", release, "path",
                             json_array_get(paths, deploy->topup.next_path));
    char *body = json ? json_dumps(json, JSON_COMPACT) : NULL, name[512], path[600];
    struct topup_call *call = find_free(deploy);

    watch_encode(deploy->service, name, sizeof(name));
    snprintf(path, sizeof(path), "/api/v1/services/%s/probe", name);
    if (call && body)
        call->call =
            edges_ask(edges, deploy->topup.next_edge,
                      &(struct edges_ask){"POST", path, body, ASK_TIMEOUT_MS, on_told, call});
    free(body);
    json_decref(json);
}

/* --- when */

static bool is_due(const struct deploy *deploy, int64_t now_ms)
{
    return json_is_object(deploy->topup.plan) && deploy->state.phase == DEPLOY_WATCH &&
           deploy_wants(&deploy->plan, &deploy->state).is_judged &&
           now_ms >= deploy->topup.next_ms && is_short(deploy);
}

void topup_tick(struct deploy *deploy, int64_t now_ms)
{
    const struct edges *edges = deploy->managed->deploys->options.edges;
    struct topup *topup = &deploy->topup;

    if (!is_due(deploy, now_ms) || !edges_count(edges))
        return;
    topup->next_ms = now_ms + (int64_t)(2000 / rate_of(deploy));
    topup->next_edge %= edges_count(edges);
    ask(deploy, deploy->old);
    ask(deploy, deploy->release);
    topup->next_edge++;
    topup->next_path++;
    topup->next_path %= (uint32_t)json_array_size(json_object_get(topup->plan, "paths"));
}

void topup_drop(struct deploy *deploy)
{
    for (size_t i = 0; i < TOPUP_CALLS; i++)
        outbound_cancel(&deploy->topup.calls[i].call);
}
