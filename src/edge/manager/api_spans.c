/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/spans?after=N: what is traced and not yet with control, who has all up to batch N.
 * Two lines of JSON: about the batch, and the array of its spans, which control passes on as it is.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/units.h"
#include "edge/manager/api.h"
#include "edge/manager/traces.h"

enum { FRAME_MAX = 512 };

static void answer(struct admin_call *call, const struct traces_batch *batch)
{
    const struct manager *m = call->admin->manager;
    size_t name_len = strlen(m->edge_name);
    char *text = malloc(FRAME_MAX + name_len * TEXT_JSON_FACTOR + batch->text.len), *at = text;

    if (!text) {
        rest_problem(&call->rest, 503, "memory_limit", "Out of memory.");
        return;
    }
    at = text_json(text_put(at, STR("{\"edge\":\"")), (struct str){m->edge_name, name_len});
    at = text_u64(text_put(at, STR("\",\"number\":")), batch->number);
    at = text_u64(text_put(at, STR(",\"dropped\":")), traces_dropped(m->traces));
    at = text_u64(text_put(at, STR(",\"count\":")), batch->count);
    at = text_put(at, batch->is_more ? STR(",\"more\":true") : STR(",\"more\":false"));
    at = text_put(text_put(text_put(at, STR("}\n[")), batch->text), STR("]\n"));
    rest_reply(&call->rest, 200, "application/x-ndjson", (struct str){text, (size_t)(at - text)});
    free(text);
}

void api_spans_get(struct admin_call *call)
{
    struct str after = rest_query(&call->rest, "after", 0);
    struct traces_batch batch;
    uint64_t had = 0;

    if (after.p && units_int(after, &had))
        rest_problem(&call->rest, 400, "query_invalid", "after is the number of a batch.");
    else if (!traces_take(call->admin->manager->traces, had, &batch))
        rest_problem(&call->rest, 503, "memory_limit", "Out of memory.");
    else
        answer(call, &batch);
}
