/* SPDX-License-Identifier: Apache-2.0
 *
 * The hooks of a deploy, one after the other: what they are told, and what becomes of what they
 * say.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "control/deploy/impl.h"
#include "control/say.h"

enum { WORDS = 5, LAST = 2000, SHOWN = 400 };

static const char *const kinds[DEPLOY_HOOKS] = {"regression", "pre", "migrate", "smoke", "post"};

static const json_t *list_of(const struct deploy *deploy, int kind)
{
    return json_array_get(deploy->hooks, (size_t)kind);
}

/* Within a character of UTF-8, not its first byte. */
static bool is_within(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* The last lines of what it printed, for whoever waits. */
static void log_output(struct deploy *deploy, struct str output)
{
    const char *at = output.p, *end = output.p + output.len;
    char line[SHOWN + 1];

    if (output.len > LAST)
        at = end - LAST;
    for (int i = 0; i < 3 && at < end && is_within(*at) && output.len > LAST; i++)
        at++;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((stop ? stop : end) - at);

        if (text_clean(line, sizeof(line), (struct str){at, len}))
            deploy_log(deploy, "  | %s", line);
        at += len + 1;
    }
}

static void on_done(void *owner, const char *why, struct str output)
{
    struct deploy *deploy = owner;

    deploy->hook = NULL;
    log_output(deploy, output);
    deploy->hook_at++;
    if (!why) {
        if (deploy->hook_at == json_array_size(list_of(deploy, deploy->hook_kind)))
            deploy->hook_progress = DEPLOY_GOOD;
        return;
    }
    deploy->hook_progress = DEPLOY_BAD;
    say_into(deploy->hook_why, sizeof(deploy->hook_why), "hook %s failed: %s",
             kinds[deploy->hook_kind], why);
}

/* Addresses, by spaces. NULL: no memory. */
static char *addresses(const struct deploy *deploy)
{
    char *text = strdup(""), *longer;
    const json_t *target;
    size_t i;

    json_array_foreach(deploy->targets, i, target)
    {
        if (!text || asprintf(&longer, "%s%s%s", text, i ? " " : "",
                              json_string_value(json_object_get(target, "address"))) < 0)
            longer = NULL;
        free(text);
        text = longer;
    }
    return text;
}

static void begin(struct deploy *deploy)
{
    const json_t *hook = json_array_get(list_of(deploy, deploy->hook_kind), deploy->hook_at);
    char *words[WORDS] = {0}, *targets = addresses(deploy), *body = NULL;
    json_t *json = json_pack("{s:s,s:s,s:s,s:s,s:s,s:O}", "hook", kinds[deploy->hook_kind],
                             "deploy", deploy->id, "service", deploy->service, "release",
                             deploy->release, "old", deploy->old, "targets", deploy->targets);
    struct hook_options options = {
        .loop = deploy->managed->deploys->options.loop,
        .outbound = deploy->managed->deploys->options.outbound,
        .run = json_string_value(json_object_get(hook, "run")),
        .url = json_string_value(json_object_get(hook, "url")),
        .timeout_ms = (uint32_t)json_integer_value(json_object_get(hook, "timeout_ms")),
        .done = on_done,
        .owner = deploy,
    };
    bool is_good = targets && json && (body = json_dumps(json, JSON_COMPACT)) != NULL &&
                   asprintf(&words[0], "SLUICE_SERVICE=%s", deploy->service) >= 0 &&
                   asprintf(&words[1], "SLUICE_RELEASE=%s", deploy->release) >= 0 &&
                   asprintf(&words[2], "SLUICE_OLD=%s", deploy->old) >= 0 &&
                   asprintf(&words[3], "SLUICE_TARGETS=%s", targets) >= 0;

    deploy_log(deploy, "hook %s: %s", kinds[deploy->hook_kind],
               options.run ? options.run : options.url);
    options.env = (const char *const *)words;
    options.body = body;
    deploy->hook_progress = DEPLOY_RUNS;
    if (is_good)
        deploy->hook = hook_begin(&options);
    if (!deploy->hook)
        deploy->hook_progress = DEPLOY_IDLE; // out of memory: at the next tick
    for (size_t i = 0; i < WORDS; i++)
        free(words[i]);
    free(targets);
    free(body);
    json_decref(json);
}

void hooks_tick(struct deploy *deploy, int wanted)
{
    bool was_begun = deploy->state.is_hook_begun;

    if (wanted != deploy->hook_kind) {
        hook_cancel(&deploy->hook);
        deploy->hook_kind = wanted;
        deploy->hook_at = 0;
        deploy->hook_progress = DEPLOY_IDLE;
        deploy->is_hook_ours = false;
    }
    if (wanted < 0 || deploy->hook || deploy->hook_progress > DEPLOY_RUNS)
        return;
    if (wanted == DEPLOY_HOOK_MIGRATE && !was_begun) {
        deploy->is_hook_ours = true; // it is begun once the store knows that it is
        deploy->hook_progress = DEPLOY_RUNS;
        return;
    }
    if (wanted == DEPLOY_HOOK_MIGRATE && !deploy->is_hook_ours) {
        deploy->hook_progress = DEPLOY_LOST; // the control that began it was killed
        return;
    }
    begin(deploy);
}

void hooks_drop(struct deploy *deploy)
{
    hook_cancel(&deploy->hook);
}
