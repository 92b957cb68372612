/* SPDX-License-Identifier: Apache-2.0
 *
 * What an answer to a check comes to. Pure.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/deploy/criteria.h"
#include "control/say.h"

static struct check_answer say(enum check_outcome outcome, const char *why)
{
    struct check_answer answer = {.outcome = outcome};

    say_into(answer.why, sizeof(answer.why), "%s", why);
    return answer;
}

/* --- Prometheus (https://prometheus.io/docs/prometheus/latest/querying/api) */

/* Of `[time, "value"]`. NAN: it is none. */
static double number_of(const json_t *sample)
{
    const char *text = json_string_value(json_array_get(sample, 1));
    char *end = NULL;
    double number = text ? strtod(text, &end) : NAN;

    return text && *text && !*end ? number : NAN;
}

static struct check_answer judge(const json_t *check, double number)
{
    const json_t *max = json_object_get(check, "max"), *min = json_object_get(check, "min");
    struct check_answer answer = say(CHECK_GOOD, "");

    if (isnan(number))
        return say(CHECK_UNKNOWN, "it is no number");
    if (max && number > json_number_value(max))
        answer.outcome = CHECK_BAD;
    else if (min && number < json_number_value(min))
        answer.outcome = CHECK_BAD;
    if (answer.outcome == CHECK_BAD)
        snprintf(answer.why, sizeof(answer.why), "it is %.6g, and %s %.6g is allowed", number,
                 max && number > json_number_value(max) ? "at most" : "at least",
                 json_number_value(max && number > json_number_value(max) ? max : min));
    else
        snprintf(answer.why, sizeof(answer.why), "it is %.6g", number);
    return answer;
}

/* The worst of all. */
static struct check_answer judge_all(const json_t *check, const json_t *series)
{
    struct check_answer answer = say(CHECK_UNKNOWN, "the query finds nothing");
    const json_t *each;
    size_t i;

    json_array_foreach(series, i, each)
    {
        struct check_answer next = judge(check, number_of(json_object_get(each, "value")));
        bool is_worse = next.outcome == CHECK_BAD ||
                        (next.outcome == CHECK_UNKNOWN && answer.outcome == CHECK_GOOD);

        if (!i || is_worse)
            answer = next;
        if (answer.outcome == CHECK_BAD)
            break;
    }
    return answer;
}

struct check_answer criteria_answer_query(const json_t *check, long status, const json_t *body)
{
    const char *error = json_string_value(json_object_get(body, "error"));
    const char *said = json_string_value(json_object_get(body, "status"));
    const json_t *data = json_object_get(body, "data"), *result = json_object_get(data, "result");
    const char *type = json_string_value(json_object_get(data, "resultType"));
    struct check_answer answer = say(CHECK_UNKNOWN, "");

    if (status / 100 == 2 && said && !strcmp(said, "success") && type && json_is_array(result)) {
        if (!strcmp(type, "vector"))
            return judge_all(check, result);
        if (!strcmp(type, "scalar"))
            return judge(check, number_of(result));
        return say(CHECK_UNKNOWN, "the query gives neither a number nor one of each series");
    }
    say_into(answer.why, sizeof(answer.why), "Prometheus answered %ld%s%s", status,
             error ? ": " : "", error ? error : "");
    return answer;
}

/* --- webhooks */

/* False: it is no such word. */
static bool read_word(const json_t *word, enum check_outcome *outcome)
{
    static const char *const words[] = {
        [CHECK_UNKNOWN] = "unsure", [CHECK_GOOD] = "good", [CHECK_BAD] = "bad"};

    for (size_t i = 0; json_is_string(word) && i < ARRAY_LEN(words); i++)
        if (!strcmp(json_string_value(word), words[i])) {
            *outcome = (enum check_outcome)i;
            return true;
        }
    return false;
}

struct check_answer criteria_answer_hook(long status, const json_t *body)
{
    const char *why = json_string_value(json_object_get(body, "why"));
    const json_t *word = json_object_get(body, "verdict");
    struct check_answer answer = say(CHECK_UNKNOWN, why ? why : "");

    if (status >= 400)
        answer.outcome = CHECK_BAD;
    else if (status / 100 == 2)
        answer.outcome = CHECK_GOOD;
    if (status / 100 == 2 && word && !read_word(word, &answer.outcome))
        return say(CHECK_UNKNOWN, "its verdict is none of good, bad and unsure");
    if (status / 100 != 2 && !why)
        snprintf(answer.why, sizeof(answer.why), "it answered %ld", status);
    return answer;
}
