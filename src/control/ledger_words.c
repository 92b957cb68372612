/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ledger_words.h"

#include <stdio.h>
#include <string.h>

struct words {
    const json_t *entry, *before, *after;
    char *text;
};

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static long long number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static const char *release_of(const json_t *object)
{
    const char *release = text_of(object, "release");

    return *release ? release : "nothing";
}

/* ": why", if it is known why. */
static void add_why(const struct words *w)
{
    const char *why = text_of(w->after, "why");
    size_t len = strlen(w->text);

    if (*why)
        snprintf(w->text + len, LEDGER_WORDS - len, ": %s", why);
}

/* --- deploys */

static void begin(const struct words *w)
{
    const json_t *steps = json_object_get(w->after, "steps"), *step;
    size_t i, len;

    snprintf(w->text, LEDGER_WORDS, "release %s begins, in place of %s", release_of(w->after),
             release_of(w->before));
    json_array_foreach(steps, i, step)
    {
        len = strlen(w->text);
        snprintf(w->text + len, LEDGER_WORDS - len, "%s%s", i ? ", " : "; by ",
                 json_is_string(step) ? json_string_value(step) : "?");
    }
}

static void shift(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "%s to release %s at every edge, step %lld of %lld",
             text_of(w->after, "share"), release_of(w->after), number_of(w->after, "step"),
             number_of(w->after, "of"));
}

static void verdict(const struct words *w)
{
    const json_t *new = json_object_get(w->after, "new"), *old = json_object_get(w->after, "old");

    snprintf(w->text, LEDGER_WORDS,
             "verdict on step %lld: %s; %lld of %lld requests failed on %s, %lld of %lld on %s",
             number_of(w->after, "step"), text_of(w->after, "verdict"), number_of(new, "failures"),
             number_of(new, "requests"), release_of(w->after), number_of(old, "failures"),
             number_of(old, "requests"), text_of(w->after, "old_release"));
    add_why(w);
}

static void approve(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "approved while %s", text_of(w->after, "phase"));
}

static void promote(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "promoted without waiting, while %s",
             text_of(w->after, "phase"));
}

static void retry(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "tried again, after %s", text_of(w->after, "phase"));
}

static void go_back(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "back from release %s to %s", release_of(w->before),
             release_of(w->after));
    add_why(w);
}

static void live(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "release %s is live at every edge; %s stays warm",
             release_of(w->after), release_of(w->before));
}

static void done(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "done: release %s serves", release_of(w->after));
}

static void undone(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "release %s is gone; %s serves", release_of(w->before),
             release_of(w->after));
}

static void ask(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "a person is asked: %s", text_of(w->after, "phase"));
    add_why(w);
}

static void restart(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "release %s is restarted", release_of(w->after));
    add_why(w);
}

/* --- backups */

static void backup_fail(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "the backup to %s fails", text_of(w->after, "url"));
    add_why(w);
}

static void backup_work(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "the backup to %s works again", text_of(w->after, "url"));
}

/* --- scaling */

static void scale(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "from %lld to %lld units", number_of(w->before, "units"),
             number_of(w->after, "units"));
    add_why(w);
}

static void fall_asleep(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "asleep: no unit runs until somebody asks");
}

static void wake(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "woken");
}

static void be_awake(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "awake, after %lld ms", number_of(w->after, "took_ms"));
}

static void break_down(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "cannot be woken");
    add_why(w);
}

static void cap(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "no more units: %s", text_of(w->after, "text"));
}

/* --- the rest */

static void forget_edge(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "edge %s is silent, and is not waited for any more",
             text_of(w->entry, "subject"));
}

static void gap(const struct words *w)
{
    snprintf(w->text, LEDGER_WORDS, "%lld changes are not known", number_of(w->after, "changes"));
}

static const char *share_text(const json_t *sum, char text[32])
{
    long long requests = number_of(sum, "requests");

    snprintf(text, 32, "%.3g%%",
             requests > 0 ? 100.0 * (double)number_of(sum, "failures") / (double)requests : 0.0);
    return text;
}

static void add_sum(const struct words *w, const json_t *sum)
{
    size_t len = strlen(w->text);
    char share[32];

    if (!number_of(sum, "requests")) {
        snprintf(w->text + len, LEDGER_WORDS - len, "no requests");
        return;
    }
    snprintf(w->text + len, LEDGER_WORDS - len, "%lld requests, %s failed",
             number_of(sum, "requests"), share_text(sum, share));
    len = strlen(w->text);
    if (json_object_get(sum, "p95_us"))
        snprintf(w->text + len, LEDGER_WORDS - len, ", half within %.4g ms, 95%% within %.4g ms",
                 (double)number_of(sum, "p50_us") / 1000, (double)number_of(sum, "p95_us") / 1000);
}

static void add_text(const struct words *w, const char *text)
{
    size_t len = strlen(w->text);

    snprintf(w->text + len, LEDGER_WORDS - len, "%s", text);
}

static void effect(const struct words *w)
{
    const json_t *of = json_object_get(w->entry, "effect");

    snprintf(w->text, LEDGER_WORDS, "what %lld led to", number_of(w->entry, "of"));
    if (!json_is_true(json_object_get(of, "known"))) {
        add_text(w, " is not known: ");
        add_text(w, text_of(of, "why"));
        return;
    }
    add_text(w, ": ");
    add_sum(w, json_object_get(of, "before"));
    add_text(w, " -> ");
    add_sum(w, json_object_get(of, "after"));
    if (json_is_true(json_object_get(of, "partial")))
        add_text(w, " (of some edges not all is known)");
}

static const struct {
    const char *action;
    void (*write)(const struct words *w);
} actions[] = {
    {"deploy.begin", begin},      {"deploy.shift", shift},     {"deploy.verdict", verdict},
    {"deploy.approve", approve},  {"deploy.promote", promote}, {"deploy.retry", retry},
    {"deploy.fail", go_back},     {"deploy.abort", go_back},   {"deploy.rollback", go_back},
    {"deploy.live", live},        {"deploy.done", done},       {"deploy.undone", undone},
    {"deploy.ask", ask},          {"deploy.restart", restart}, {"edge.forget", forget_edge},
    {"ledger.gap", gap},          {"effect", effect},          {"backup.fail", backup_fail},
    {"backup.work", backup_work}, {"service.scale", scale},    {"service.sleep", fall_asleep},
    {"service.wake", wake},       {"service.awake", be_awake}, {"service.broken", break_down},
    {"budget.units", cap},
};

bool ledger_words(const json_t *entry, char text[LEDGER_WORDS])
{
    struct words words = {.entry = entry,
                          .before = json_object_get(entry, "before"),
                          .after = json_object_get(entry, "after"),
                          .text = text};
    const char *action = text_of(entry, "action");

    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (!strcmp(actions[i].action, action)) {
            actions[i].write(&words);
            return true;
        }
    return false;
}
