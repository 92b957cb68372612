/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_events.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct top_events *top_events_new(void)
{
    return calloc(1, sizeof(struct top_events));
}

/* --- words */

struct words {
    char *text;
    size_t len;
};

static void say(struct words *words, const char *before, const char *text)
{
    size_t room = TOP_EVENT_TEXT - words->len;
    int len = snprintf(words->text + words->len, room, "%s%s", before, text);

    words->len += len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
}

static void say_value(struct words *words, const json_t *value)
{
    char number[40];

    if (json_is_string(value)) {
        say(words, " ", json_string_value(value));
    } else if (json_is_integer(value)) {
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
        say(words, " ", number);
    } else if (json_is_real(value)) {
        snprintf(number, sizeof(number), "%g", json_real_value(value));
        say(words, " ", number);
    } else {
        say(words, " ",
            json_is_true(value)    ? "yes"
            : json_is_false(value) ? "no"
            : json_is_null(value)  ? "none"
                                   : "...");
    }
}

/* "service shop, target a, state down" of an object; any other text as it is. */
static void put_words(char text[TOP_EVENT_TEXT], struct str data)
{
    json_t *object = json_loadb(data.p, data.len, JSON_ALLOW_NUL, NULL), *value;
    struct words words = {.text = text};
    const char *key;

    *text = '\0';
    if (!json_is_object(object))
        text_clean(text, TOP_EVENT_TEXT, data);
    else
        json_object_foreach(object, key, value)
        {
            say(&words, words.len ? ", " : "", key);
            say_value(&words, value);
        }
    json_decref(object);
}

/* --- the stream */

static void keep(struct top_events *events, uint64_t wall_ms)
{
    struct top_event *event = &events->ring[events->count % TOP_EVENTS];

    if (*events->kind || *events->text) {
        *event = (struct top_event){.wall_ms = wall_ms};
        snprintf(event->kind, sizeof(event->kind), "%s", *events->kind ? events->kind : "message");
        snprintf(event->text, sizeof(event->text), "%s", events->text);
        events->count++;
    }
    *events->kind = *events->text = '\0';
}

static bool begins(struct str *line, struct str name)
{
    if (line->len < name.len || memcmp(line->p, name.p, name.len) != 0)
        return false;
    line->p += name.len;
    line->len -= name.len;
    if (line->len && *line->p == ' ') {
        line->p++;
        line->len--;
    }
    return true;
}

static void take_line(struct top_events *events, struct str line, uint64_t wall_ms)
{
    if (line.len && line.p[line.len - 1] == '\r')
        line.len--;
    if (!line.len)
        keep(events, wall_ms);
    else if (begins(&line, STR("event:")))
        text_clean(events->kind, sizeof(events->kind), line);
    else if (begins(&line, STR("data:")))
        put_words(events->text, line);
}

void top_events_feed(struct top_events *events, struct str bytes, uint64_t wall_ms)
{
    while (bytes.len) {
        const char *end = memchr(bytes.p, '\n', bytes.len);
        size_t len = end ? (size_t)(end - bytes.p) : bytes.len;
        size_t room = sizeof(events->line) - events->line_len, used = len < room ? len : room;

        memcpy(events->line + events->line_len, bytes.p, used);
        events->line_len += used;
        bytes.p += len;
        bytes.len -= len;
        if (!end)
            break;
        bytes.p++;
        bytes.len--;
        take_line(events, (struct str){events->line, events->line_len}, wall_ms);
        events->line_len = 0;
    }
}

void top_events_break(struct top_events *events)
{
    events->line_len = 0;
    *events->kind = *events->text = '\0';
}

size_t top_events_kept(const struct top_events *events)
{
    return events->count < TOP_EVENTS ? events->count : TOP_EVENTS;
}

const struct top_event *top_events_at(const struct top_events *events, size_t back)
{
    return &events->ring[(events->count - 1 - back) % TOP_EVENTS];
}
