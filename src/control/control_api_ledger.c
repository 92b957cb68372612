/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/ledger: who changed what, oldest first. ?since=ID gives what came after an entry,
 * else the newest are given; ?service= those of one; ?limit= so many.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/control_api_impl.h"

enum { LIMIT = 100, LIMIT_MAX = 1000, DIGITS_MAX = 18 };

static void on_read(struct store_job *job, enum status status)
{
    struct store_read *read = CONTAINER_OF(job, struct store_read, job);
    struct control_call *call = CONTAINER_OF(read, struct control_call, job.read);

    if (status)
        control_api_fail(call, job);
    else
        rest_reply_json(&call->rest, 200,
                        json_pack("{s:o,s:b}", "entries", read->entries, "more", read->has_more));
}

static bool read_number(struct str text, int64_t *number)
{
    *number = 0;
    if (!text.len || text.len > DIGITS_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        *number = *number * 10 + (text.p[i] - '0');
    }
    return true;
}

/* What is wrong with the query; NULL: nothing. */
static const char *read_query(struct control_call *call, struct store_read *read)
{
    struct str service = rest_query(&call->rest, "service", 0);
    struct str since = rest_query(&call->rest, "since", 0);
    struct str limit = rest_query(&call->rest, "limit", 0);
    int64_t number = LIMIT;

    *read = (struct store_read){.job = {.done = on_read}, .since = -1};
    if (since.p && !read_number(since, &read->since))
        return "since is the id of an entry";
    if (limit.p && (!read_number(limit, &number) || number < 1 || number > LIMIT_MAX))
        return "limit is a number from 1 to 1000";
    if (service.len >= sizeof(read->service) || memchr(service.p ? service.p : "", 0, service.len))
        return "service is the name of one";
    snprintf(read->service, sizeof(read->service), "%.*s", STR_FMT(service));
    read->limit = (uint32_t)number;
    return NULL;
}

void control_api_ledger(struct control_call *call)
{
    const char *wrong = read_query(call, &call->job.read);

    if (wrong)
        rest_problem(&call->rest, 400, "query_invalid", "%s", wrong);
    else
        store_read(call->api->options.store, &call->job.read);
}
