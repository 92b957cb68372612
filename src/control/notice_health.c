/* SPDX-License-Identifier: Apache-2.0 */
#include "control/notice_health.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "control/notice_text.h"

static const char next[] = "sluice status";

static void tell(json_t **list, const char *service, const char *text)
{
    json_t *notice = notice_of_health((int64_t)clock_wall_ms(), service, text, next);

    if (!*list)
        *list = json_array();
    json_array_append_new(*list, notice);
}

/* {"down": {SERVICE: true}, "silent": BOOL, "silent_ms": N}; made when there is none. */
static json_t *edge_at(json_t *known, const char *name)
{
    json_t *edge = json_object_get(known, name);

    if (json_is_object(edge))
        return edge;
    json_object_set_new(known, name, json_pack("{s:{},s:b}", "down", "silent", 0));
    return json_object_get(known, name);
}

/* --- edges */

static void answer(json_t *edge, const char *name, json_t **list)
{
    char text[NOTICE_TEXT];

    json_object_del(edge, "silent_ms");
    if (!json_is_true(json_object_get(edge, "silent")))
        return;
    json_object_set_new(edge, "silent", json_false());
    snprintf(text, sizeof(text), "Edge %s answers control again.", name);
    tell(list, "", text);
}

static void be_silent(json_t *edge, const char *name, int64_t now_ms, json_t **list)
{
    const json_t *since = json_object_get(edge, "silent_ms");
    char text[NOTICE_TEXT];

    if (json_is_true(json_object_get(edge, "silent")))
        return;
    if (!since)
        json_object_set_new(edge, "silent_ms", json_integer(now_ms));
    else if (now_ms - json_integer_value(since) >= NOTICE_SILENT_MS) {
        json_object_set_new(edge, "silent", json_true());
        snprintf(text, sizeof(text),
                 "Edge %s has not answered control for %d s. If it runs, it serves with what it "
                 "was told last.",
                 name, NOTICE_SILENT_MS / 1000);
        tell(list, "", text);
    }
}

/* --- services */

/* How many of its targets are up, or may be; and of how many. */
static unsigned count_up(const json_t *service, unsigned *count)
{
    const json_t *targets = json_object_get(service, "targets"), *target;
    unsigned up = 0;
    size_t i;

    json_array_foreach(targets, i, target)
    {
        const char *state = json_string_value(json_object_get(target, "state"));

        up += state && strcmp(state, "down") != 0 && strcmp(state, "ejected") != 0;
    }
    *count = (unsigned)json_array_size(targets);
    return up;
}

static void see_service(json_t *down, const char *edge, const json_t *service, json_t **list)
{
    const char *name = json_string_value(json_object_get(service, "name"));
    bool was_down = name && json_object_get(down, name);
    unsigned count, up = count_up(service, &count);
    char text[NOTICE_TEXT];

    if (!name || was_down == (count && !up))
        return;
    if (was_down) {
        json_object_del(down, name);
        snprintf(text, sizeof(text), "%s: %u of its %u targets may be used again at %s, and serve.",
                 name, up, count, edge);
    } else {
        json_object_set_new(down, name, json_true());
        snprintf(text, sizeof(text),
                 "%s: none of its %u targets is up at %s. Nothing of it serves there.", name, count,
                 edge);
    }
    tell(list, name, text);
}

json_t *notice_health_see(json_t *known, const char *edge, const json_t *status, int64_t now_ms)
{
    json_t *at = edge_at(known, edge), *list = NULL;
    const json_t *service;
    size_t i;

    if (!status) {
        be_silent(at, edge, now_ms, &list);
        return list;
    }
    answer(at, edge, &list);
    json_array_foreach(json_object_get(status, "services"), i, service)
        see_service(json_object_get(at, "down"), edge, service, &list);
    return list;
}

void notice_health_resume(json_t *known)
{
    const char *name;
    json_t *edge;

    json_object_foreach(known, name, edge) json_object_del(edge, "silent_ms");
}
