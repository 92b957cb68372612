/* SPDX-License-Identifier: Apache-2.0 */
#include "control/spans_queue.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct spans_item {
    struct spans_item *next;
    uint64_t count;
    size_t len; /* of the text */
    char *text; /* stands in the same memory, as does the name */
    char *edge;
};

static struct spans_item *make(const char *edge, struct str text, uint64_t count)
{
    size_t name = strlen(edge) + 1;
    struct spans_item *item = malloc(sizeof(*item) + text.len + name);

    if (!item)
        return NULL;
    *item = (struct spans_item){.count = count, .len = text.len, .text = (char *)(item + 1)};
    item->edge = item->text + text.len;
    memcpy(item->text, text.p, text.len);
    memcpy(item->edge, edge, name);
    return item;
}

/* Takes the first one out; how many spans it has. */
static uint64_t take_first(struct spans_queue *queue)
{
    struct spans_item *gone = queue->first;
    uint64_t count = gone->count;

    queue->first = gone->next;
    if (queue->last == gone)
        queue->last = NULL;
    if (queue->sent == gone)
        queue->sent = NULL;
    queue->bytes -= gone->len;
    queue->waiting -= count;
    free(gone);
    return count;
}

void spans_queue_add(struct spans_queue *queue, const char *edge, struct str text, uint64_t count)
{
    struct spans_item *item = make(edge, text, count);

    // What is on its way has to stay: it is the oldest, and its end is not far.
    while (item && !queue->sent && queue->first && queue->bytes + item->len > SPANS_WAITING_MAX)
        queue->dropped += take_first(queue);
    if (!item || (queue->first && queue->bytes + item->len > SPANS_WAITING_MAX)) {
        queue->dropped += count;
        free(item);
        return;
    }
    if (queue->last)
        queue->last->next = item;
    else
        queue->first = item;
    queue->last = item;
    queue->bytes += item->len;
    queue->waiting += count;
}

static json_t *attribute(const char *key, const char *value)
{
    return json_pack("{s:s,s:{s:s}}", "key", key, "value", "stringValue", value);
}

/* What stands around the spans of an item: see write_item(). */
static char *frame(const struct spans_item *item, const char *service)
{
    json_t *json =
        json_pack("{s:{s:[o,o,o]},s:[{s:{s:s,s:s}}]}", "resource", "attributes",
                  attribute("service.name", service), attribute("service.instance.id", item->edge),
                  attribute("service.version", SLUICE_VERSION), "scopeSpans", "scope", "name",
                  "sluice", "version", SLUICE_VERSION);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    return text;
}

/* One of resourceSpans: the array of spans goes before the three brackets that end the frame. */
static bool write_item(FILE *out, const struct spans_item *item, const char *service, bool is_first)
{
    static const char end[] = "}]}";
    char *around = frame(item, service);
    size_t len = around ? strlen(around) - (sizeof(end) - 1) : 0;

    if (!around)
        return false;
    fprintf(out, "%s%.*s,\"spans\":", is_first ? "" : ",", (int)len, around);
    fwrite(item->text, 1, item->len, out);
    fputs(end, out);
    free(around);
    return true;
}

char *spans_queue_send(struct spans_queue *queue, const char *service)
{
    struct spans_item *item = queue->first;
    char *body = NULL;
    size_t size = 0, sum = 0;
    FILE *out = item ? open_memstream(&body, &size) : NULL;
    bool is_good = out != NULL;

    if (!out)
        return NULL;
    fputs("{\"resourceSpans\":[", out);
    for (; is_good && item && (!sum || sum + item->len <= SPANS_BODY_MAX); item = item->next) {
        is_good = write_item(out, item, service, !sum);
        sum += item->len;
        queue->sent = item;
    }
    fputs("]}", out);
    if (fclose(out) || !is_good) {
        free(body);
        body = NULL;
        queue->sent = NULL;
    }
    return body;
}

uint64_t spans_queue_drop(struct spans_queue *queue)
{
    uint64_t sum = 0;

    while (queue->sent)
        sum += take_first(queue);
    return sum;
}

void spans_queue_return(struct spans_queue *queue)
{
    queue->sent = NULL;
}

void spans_queue_clear(struct spans_queue *queue)
{
    while (queue->first)
        take_first(queue);
}
