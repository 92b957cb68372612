/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of `deploy`: its steps and the hooks between them.
 */
#include "config/conf_table.h"
#include "config/tree.h"

#define HOUR_MS (3600 * 1000U)

static const struct field step_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_step, at)},
    {.name = "share",
     .doc = "The share of requests that the new release gets.",
     .type = FIELD_SHARE,
     .min = 1,
     .max = 999999,
     FIELD_AT(struct conf_step, share_ppm)},
    {.name = "for",
     .doc = "How long at least.",
     .standard = "5m",
     .type = FIELD_DURATION,
     .max = 500 * HOUR_MS,
     FIELD_AT(struct conf_step, for_ms)},
    {.name = "approval",
     .doc = "It waits for `sluice approve`; with no `share`.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct conf_step, approval)},
    FIELD_END,
};

static const struct field step_element = {.name = "", .type = FIELD_OBJECT, .fields = step_fields};

static const struct field hook_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_hook, at)},
    {.name = "run",
     .doc = "A command line for /bin/sh; it gets SLUICE_SERVICE, SLUICE_RELEASE, SLUICE_OLD and "
            "SLUICE_TARGETS.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_hook, run)},
    {.name = "url",
     .doc = "A URL to which the same is POSTed as JSON; an answer of 2xx is a yes.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_hook, url)},
    {.name = "timeout",
     .doc = "How long it may take.",
     .standard = "5m",
     .type = FIELD_DURATION,
     .min = 100,
     .max = 24 * HOUR_MS,
     FIELD_AT(struct conf_hook, timeout_ms)},
    FIELD_END,
};

/* A text is a command line. */
static bool decode_hook(struct decoder *decoder, const struct field *field, const struct node *node,
                        void *member)
{
    struct conf_hook *hook = member;
    bool is_map = node->kind == NODE_MAP;

    if (!field_decode(decoder, field->fields, is_map ? node : NULL, hook))
        return false;
    hook->at = tree_span(node);
    if (!is_map)
        return field_text(decoder, node, &hook->run);
    if (!hook->run.s.len == !hook->url.s.len) {
        diag_error(decoder->diag, hook->at, "a hook has one of run and url");
        return false;
    }
    return true;
}

static const struct field hook_element = {.name = "",
                                          .type = FIELD_CUSTOM,
                                          .decode = decode_hook,
                                          .fields = hook_fields,
                                          .json = "{\"type\":\"string\"}"};

#define HOOKS(name_, doc_)                                                                         \
    {                                                                                              \
        .name = #name_, .doc = doc_, .type = FIELD_LIST, .element = &hook_element,                 \
        .offset = offsetof(struct conf_deploy, hooks.name_.items),                                 \
        .count_offset = offsetof(struct conf_deploy, hooks.name_.count), .size = sizeof(void *),   \
        .element_size = sizeof(struct conf_hook)                                                   \
    }

static const struct field hooks_fields[] = {
    HOOKS(regression, "Once it serves on `staging`, before anything is done here."),
    HOOKS(pre, "Before anything else; one that fails ends the deploy."),
    HOOKS(migrate, "After them: what changes a database."),
    HOOKS(smoke, "Once the new release is healthy, before it gets a request."),
    HOOKS(post, "When all is done; what they say changes nothing."),
    FIELD_END,
};

const char *const conf_strategies[] = {"bluegreen", "canary",   "recreate",
                                       "rolling",   "platform", NULL};

const struct field conf_deploy_fields[] = {
    {.name = "strategy",
     .doc =
         "`bluegreen`: all at once, with the old release warm; `canary`: by steps; `recreate`: "
         "the old one is stopped first; `rolling`: unit by unit; `platform`: as the platform does "
         "it, which can keep none warm.",
     .standard = "bluegreen",
     .type = FIELD_ENUM,
     .words = conf_strategies,
     FIELD_AT(struct conf_deploy, strategy)},
    {.name = "steps",
     .doc = "Of a canary, before it gets all.",
     .type = FIELD_LIST,
     .element = &step_element,
     FIELD_ITEMS(struct conf_deploy, steps, step_count)},
    {.name = "verdict",
     .doc = "What is held against the new release, compared with the old one over the same "
            "minutes.",
     .type = FIELD_OBJECT,
     .fields = conf_verdict_fields,
     FIELD_AT(struct conf_deploy, verdict)},
    {.name = "staging",
     .doc = "A service that gets each release first, and must be well on it.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_deploy, staging)},
    {.name = "hooks",
     .doc = "Commands and webhooks between the steps.",
     .type = FIELD_OBJECT,
     .fields = hooks_fields},
    {.name = "start",
     .doc = "How long the new release may take to start.",
     .standard = "5m",
     .type = FIELD_DURATION,
     .min = 1000,
     .max = 24 * HOUR_MS,
     FIELD_AT(struct conf_deploy, start_ms)},
    {.name = "healthy",
     .doc = "How long it may take to become healthy then.",
     .standard = "2m",
     .type = FIELD_DURATION,
     .min = 100,
     .max = 24 * HOUR_MS,
     FIELD_AT(struct conf_deploy, healthy_ms)},
    {.name = "bake",
     .doc = "How long it is watched with all requests before the deploy is done.",
     .standard = "30s",
     .type = FIELD_DURATION,
     .max = 500 * HOUR_MS,
     FIELD_AT(struct conf_deploy, bake_ms)},
    {.name = "drain",
     .doc = "How long requests of a release that goes may take to end.",
     .standard = "30s",
     .type = FIELD_DURATION,
     .max = 24 * HOUR_MS,
     FIELD_AT(struct conf_deploy, drain_ms)},
    {.name = "keep",
     .doc = "How long the old release stays warm, so that going back is a split away.",
     .standard = "30m",
     .type = FIELD_DURATION,
     .max = 500 * HOUR_MS,
     FIELD_AT(struct conf_deploy, keep_ms)},
    FIELD_END,
};
