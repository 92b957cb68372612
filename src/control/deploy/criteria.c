/* SPDX-License-Identifier: Apache-2.0 */
#include "control/deploy/criteria.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/deploy/impl.h"
#include "control/say.h"

enum { ANSWER_MAX = 64 * 1024 };

struct criterion {
    struct deploy *deploy;
    const json_t *conf; /* of the plan */
    struct outbound_call *call;
    int64_t next_ms;             /* monotonic */
    int stage;                   /* that what follows is of */
    uint32_t in_a_row;           /* no's */
    bool is_asked, has_said_yes; /* last, of what it said at all */
    struct check_answer answer;  /* the last one */
};

/* --- the plan */

static void set_text(json_t *json, const char *name, const struct conf_text *text)
{
    if (text->s.len)
        json_object_set_new(json, name, json_stringn(text->s.p, text->s.len));
}

static void set_bound(json_t *json, const char *name, const struct conf_bound *bound)
{
    if (bound->is_set)
        json_object_set_new(json, name, json_real(bound->value));
}

json_t *criteria_plan(const struct conf_verdict *verdict)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < verdict->check_count; i++) {
        const struct conf_verdict_check *check = &verdict->checks[i];
        json_t *json =
            json_pack("{s:I,s:I,s:I}", "interval_ms", (json_int_t)check->interval_ms, "timeout_ms",
                      (json_int_t)check->timeout_ms, "failures", (json_int_t)check->failures);

        set_text(json, "name", &check->name);
        set_text(json, "prometheus", &check->prometheus);
        set_text(json, "query", &check->query);
        set_text(json, "url", &check->url);
        set_bound(json, "max", &check->max);
        set_bound(json, "min", &check->min);
        json_array_append_new(list, json);
    }
    return list;
}

static const char *text_of(const struct criterion *check, const char *name)
{
    return json_string_value(json_object_get(check->conf, name));
}

static uint32_t number_of(const struct criterion *check, const char *name)
{
    return (uint32_t)json_integer_value(json_object_get(check->conf, name));
}

/* --- when */

/* What answers are of: a step, or all that comes after the last one. -1: nothing is asked now. */
static int stage_of(const struct deploy *deploy)
{
    if (deploy->state.phase == DEPLOY_BAKE)
        return DEPLOY_STEPS_MAX;
    return deploy_wants(&deploy->plan, &deploy->state).is_judged ? (int)deploy->state.step : -1;
}

static bool make(struct deploy *deploy)
{
    struct criteria *criteria = &deploy->criteria;
    size_t count = json_array_size(criteria->plan);

    if (criteria->items || !count)
        return count > 0;
    criteria->items = calloc(count, sizeof(*criteria->items));
    for (size_t i = 0; criteria->items && i < count; i++)
        criteria->items[i] = (struct criterion){.deploy = deploy,
                                                .conf = json_array_get(criteria->plan, i),
                                                .stage = -1};
    return criteria->items != NULL;
}

/* --- what is said */

static void log_answer(const struct criterion *check, const struct check_answer *answer)
{
    static const char *const words[] = {
        [CHECK_UNKNOWN] = "says nothing", [CHECK_GOOD] = "says yes", [CHECK_BAD] = "says no"};

    if (check->is_asked && answer->outcome == check->answer.outcome)
        return;
    deploy_log(check->deploy, "check %s %s%s%s", text_of(check, "name"), words[answer->outcome],
               *answer->why ? ": " : "", answer->why);
}

/* Silence leaves standing what was said before. */
static void take(struct criterion *check, const struct check_answer *answer)
{
    log_answer(check, answer);
    if (answer->outcome == CHECK_GOOD)
        check->in_a_row = 0;
    else if (answer->outcome == CHECK_BAD)
        check->in_a_row++;
    if (answer->outcome != CHECK_UNKNOWN)
        check->has_said_yes = answer->outcome == CHECK_GOOD;
    check->answer = *answer;
    check->is_asked = true;
}

static void on_answer(void *owner, const struct outbound_reply *reply)
{
    struct criterion *check = owner;
    struct check_answer answer = {.outcome = CHECK_UNKNOWN};
    json_t *body = reply->body.p ? json_loadb(reply->body.p, reply->body.len, 0, NULL) : NULL;

    check->call = NULL;
    if (!reply->status)
        snprintf(answer.why, sizeof(answer.why), "%s", reply->error);
    else if (text_of(check, "prometheus"))
        answer = criteria_answer_query(check->conf, reply->status, body);
    else
        answer = criteria_answer_hook(reply->status, body);
    json_decref(body);
    take(check, &answer);
}

/* --- what is asked */

/* What a variable at `at` stands for, and how long its name is. NULL: there is none. */
static const char *variable_at(const struct deploy *deploy, const char *at, size_t *len)
{
    const struct {
        const char *name, *value;
    } known[] = {{"${service}", deploy->service},
                 {"${release}", deploy->release},
                 {"${old}", deploy->old}};

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        *len = strlen(known[i].name);
        if (!strncmp(at, known[i].name, *len))
            return known[i].value;
    }
    return NULL;
}

/* As a form has it (application/x-www-form-urlencoded). */
static void put_form(FILE *out, char c)
{
    if (isalnum((unsigned char)c) || strchr("-._*", c))
        fputc(c, out);
    else
        fprintf(out, "%%%02X", (unsigned char)c);
}

/* What a variable stands for is within quotes there. */
static void put_quoted(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("\"'\\", *text))
            put_form(out, '\\');
        put_form(out, *text);
    }
}

/* NULL: no memory. */
static char *form_of(const struct criterion *check)
{
    char *text = NULL;
    size_t size = 0, len;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fputs("query=", out);
    for (const char *at = text_of(check, "query"); *at; at++) {
        const char *value = variable_at(check->deploy, at, &len);

        if (!value) {
            put_form(out, *at);
            continue;
        }
        put_quoted(out, value);
        at += len - 1;
    }
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

/* NULL: no memory. */
static char *query_url(const struct criterion *check)
{
    const char *base = text_of(check, "prometheus");
    size_t len = strlen(base);
    char *url;

    if (len && base[len - 1] == '/')
        len--;
    return asprintf(&url, "%.*s/api/v1/query", (int)len, base) < 0 ? NULL : url;
}

static char *hook_body(const struct criterion *check)
{
    const struct deploy *deploy = check->deploy;
    struct deploy_wants wants = deploy_wants(&deploy->plan, &deploy->state);
    json_t *json =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:f}", "check", text_of(check, "name"), "deploy",
                  deploy->id, "service", deploy->service, "release", deploy->release, "old",
                  deploy->old, "phase", deploy_phase_name(deploy->state.phase), "step",
                  (int)deploy->state.step + 1, "percent", 100.0 * wants.new_share / DEPLOY_WHOLE);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    return text;
}

static void ask(struct criterion *check)
{
    static const char *const json[] = {"Content-Type: application/json", NULL};
    static const char *const form[] = {"Content-Type: application/x-www-form-urlencoded", NULL};
    bool is_query = text_of(check, "prometheus") != NULL;
    char *url = is_query ? query_url(check) : NULL;
    char *body = is_query ? form_of(check) : hook_body(check);
    struct outbound_request request = {.method = "POST",
                                       .url = is_query ? url : text_of(check, "url"),
                                       .fields = is_query ? form : json,
                                       .timeout_ms = number_of(check, "timeout_ms"),
                                       .size_max = ANSWER_MAX,
                                       .done = on_answer,
                                       .owner = check};

    if (request.url && body) {
        request.body = (struct str){body, strlen(body)};
        check->call = outbound_send(check->deploy->managed->deploys->options.outbound, &request);
    }
    free(body);
    free(url);
}

void criteria_tick(struct deploy *deploy, int64_t now_ms)
{
    int stage = stage_of(deploy);

    if (stage < 0) {
        criteria_drop(deploy);
        return;
    }
    if (!make(deploy))
        return;
    for (size_t i = 0; i < json_array_size(deploy->criteria.plan); i++) {
        struct criterion *check = &deploy->criteria.items[i];

        if (check->stage != stage) {
            outbound_cancel(&check->call);
            *check = (struct criterion){.deploy = deploy, .conf = check->conf, .stage = stage};
        }
        if (check->call || now_ms < check->next_ms)
            continue;
        check->next_ms = now_ms + number_of(check, "interval_ms");
        ask(check);
    }
}

/* --- what it comes to */

static bool is_bad(const struct criterion *check)
{
    return check->in_a_row >= number_of(check, "failures");
}

static void say(struct deploy *deploy, const json_t *conf, const char *text, const char *why)
{
    say_into(deploy->criteria.why, sizeof(deploy->criteria.why), "check %s%s%s%s",
             json_string_value(json_object_get(conf, "name")), text, *text && *why ? ": " : "",
             why);
}

/* False: nothing further matters. */
static bool see_one(struct deploy *deploy, size_t at, int stage, struct deploy_seen *seen)
{
    const struct criterion *check = deploy->criteria.items ? &deploy->criteria.items[at] : NULL;
    bool is_here = check && check->stage == stage;

    if (is_here && is_bad(check)) {
        say(deploy, check->conf, " says no", check->answer.why);
        seen->is_ill |= stage == DEPLOY_STEPS_MAX;
        seen->verdict = DEPLOY_WORSE;
    } else if (seen->verdict == DEPLOY_SOUND && !(is_here && check->has_said_yes)) {
        say(deploy, json_array_get(deploy->criteria.plan, at), " has not said yes",
            is_here ? check->answer.why : "");
        seen->verdict = DEPLOY_UNSURE;
    } else {
        return true;
    }
    seen->why = deploy->criteria.why;
    return false;
}

void criteria_see(struct deploy *deploy, struct deploy_seen *seen)
{
    int stage = stage_of(deploy);

    if (stage < 0 || seen->is_ill || seen->verdict == DEPLOY_WORSE)
        return;
    for (size_t i = 0; i < json_array_size(deploy->criteria.plan); i++)
        if (!see_one(deploy, i, stage, seen))
            return;
}

json_t *criteria_json(const struct deploy *deploy)
{
    static const char *const words[] = {
        [CHECK_UNKNOWN] = "unknown", [CHECK_GOOD] = "good", [CHECK_BAD] = "bad"};
    json_t *list = json_array();

    for (size_t i = 0; deploy->criteria.items && i < json_array_size(deploy->criteria.plan); i++) {
        const struct criterion *check = &deploy->criteria.items[i];

        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:I}", "name", text_of(check, "name"),
                                              "outcome", words[check->answer.outcome], "why",
                                              check->answer.why, "in_a_row",
                                              (json_int_t)check->in_a_row));
    }
    return list;
}

void criteria_drop(struct deploy *deploy)
{
    struct criteria *criteria = &deploy->criteria;

    for (size_t i = 0; criteria->items && i < json_array_size(criteria->plan); i++)
        outbound_cancel(&criteria->items[i].call);
    free(criteria->items);
    criteria->items = NULL;
}
