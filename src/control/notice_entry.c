/* SPDX-License-Identifier: Apache-2.0
 *
 * The notice of an entry of the ledger: sentences on what happened, what serves, and what to type.
 */
#include <string.h>

#include "control/notice_text.h"
#include "control/say.h"

struct words {
    const json_t *entry, *before, *after;
    const char *service, *id; /* of the deploy */
    char text[NOTICE_TEXT], next[256];
};

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static const char *release_of(const json_t *object)
{
    const char *release = text_of(object, "release");

    return *release ? release : "nothing";
}

/* --- deploys */

static void live(struct words *w)
{
    bool has_old = *text_of(w->before, "release");

    say_into(w->text, sizeof(w->text),
             "%s: release %s is live at every edge, and serves all.%s%s%s", w->service,
             release_of(w->after), has_old ? " Release " : "", has_old ? release_of(w->before) : "",
             has_old ? " stays warm." : "");
    if (has_old)
        say_into(w->next, sizeof(w->next), "sluice rollback %s", w->service);
}

static void go_back(struct words *w)
{
    const char *action = text_of(w->entry, "action"), *share = text_of(w->before, "share");
    bool is_failure = !strcmp(action, "deploy.fail");
    const char *how = is_failure                        ? "failed:"
                      : !strcmp(action, "deploy.abort") ? "was aborted by"
                                                        : "was rolled back by";

    say_into(w->text, sizeof(w->text),
             "%s: release %s %s %s. It had %s of the requests; %s serves all of them.", w->service,
             release_of(w->before), how,
             is_failure ? text_of(w->after, "why") : text_of(w->entry, "actor"),
             *share ? share : "none", release_of(w->after));
    say_into(w->next, sizeof(w->next), "sluice history %s", w->service);
}

static void ask(struct words *w)
{
    const char *why = text_of(w->after, "why"), *phase = text_of(w->after, "phase");
    const char *share = text_of(w->after, "share"), *old = text_of(w->before, "release");
    bool is_stuck = !strcmp(phase, "waiting for a person");

    say_into(w->text, sizeof(w->text),
             "%s: the deploy of release %s waits for a person: %s%s%s. It has %s of the requests, "
             "the rest is with %s.",
             w->service, release_of(w->after), phase, *why ? ": " : "", why, *share ? share : "0%",
             *old ? old : "nobody");
    say_into(w->next, sizeof(w->next), "sluice %s %s, or sluice abort %s",
             is_stuck ? "retry" : "approve", w->id, w->id);
}

static void restart(struct words *w)
{
    say_into(w->text, sizeof(w->text),
             "%s: release %s does not answer as it should, and is restarted: %s. It is rolled back "
             "if that does not help.",
             w->service, release_of(w->after), text_of(w->after, "why"));
    say_into(w->next, sizeof(w->next), "sluice rollback %s", w->service);
}

/* --- the rest */

static void budget(struct words *w)
{
    say_into(w->text, sizeof(w->text), "%s%s%s", w->service, *w->service ? ": " : "",
             text_of(w->after, "text"));
    say_into(w->next, sizeof(w->next), "%s", text_of(w->after, "next"));
}

enum {
    DEPLOY = 1U << CONF_NOTICE_DEPLOY,
    ROLLBACK = 1U << CONF_NOTICE_ROLLBACK,
    BUDGET = 1U << CONF_NOTICE_BUDGET
};

static const struct {
    const char *action; /* ends in a dot: all that begin so */
    const char *kind;
    uint32_t on;
    void (*write)(struct words *w);
} actions[] = {
    {"deploy.live", "deploy", DEPLOY, live},
    {"deploy.ask", "deploy", DEPLOY, ask},
    {"deploy.restart", "deploy", DEPLOY, restart},
    {"deploy.fail", "rollback", DEPLOY | ROLLBACK, go_back},
    {"deploy.abort", "rollback", DEPLOY | ROLLBACK, go_back},
    {"deploy.rollback", "rollback", ROLLBACK, go_back},
    {"budget.", "budget", BUDGET, budget},
};

static bool is_action(const char *action, const char *of)
{
    size_t len = strlen(of);

    return of[len - 1] == '.' ? !strncmp(action, of, len) : !strcmp(action, of);
}

static json_t *pack(const char *kind, int64_t time_ms, const struct words *w)
{
    return json_pack("{s:s,s:I,s:s,s:s,s:s}", "kind", kind, "time_ms", (json_int_t)time_ms,
                     "service", w->service, "text", w->text, "next", w->next);
}

json_t *notice_of_entry(const json_t *entry, uint32_t *on)
{
    struct words words = {.entry = entry,
                          .before = json_object_get(entry, "before"),
                          .after = json_object_get(entry, "after"),
                          .service = text_of(entry, "service"),
                          .id = text_of(entry, "subject")};
    const char *action = text_of(entry, "action");

    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (!is_action(action, actions[i].action))
            continue;
        actions[i].write(&words);
        *on = actions[i].on;
        return pack(actions[i].kind, json_integer_value(json_object_get(entry, "time_ms")), &words);
    }
    return NULL;
}

json_t *notice_of_health(int64_t now_ms, const char *service, const char *text, const char *next)
{
    struct words words = {.service = service};

    say_into(words.text, sizeof(words.text), "%s", text);
    say_into(words.next, sizeof(words.next), "%s", next);
    return pack("health", now_ms, &words);
}
