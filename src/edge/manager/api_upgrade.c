/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /api/v1/upgrade: the supervisor checks the binary on disk and executes it in its own place.
 */
#include <stdlib.h>
#include <string.h>

#include "edge/manager/api.h"
#include "edge/manager/api_changes.h"

static void ask(uv_work_t *task)
{
    struct admin_call *call = task->data;

    call->status = link_upgrade(call->admin->manager->options.link, call->owned);
}

static void reply(struct admin_call *call)
{
    api_changes_note(call->admin, call->actor,
                     &(struct api_change){.action = "upgrade",
                                          .before =
                                              json_pack("{s:s,s:i}", "version", SLUICE_VERSION,
                                                        "pid", (int)getpid())});
    rest_reply_json(&call->rest, 202, json_pack("{s:b}", "ok", 1));
}

static void on_answer(uv_work_t *task, int cancelled)
{
    struct admin_call *call = task->data;

    if (cancelled)
        rest_problem(&call->rest, 503, "draining", "The gateway is shutting down.");
    else if (!call->status)
        reply(call);
    else if (call->status == E_CONFLICT)
        rest_problem(&call->rest, 409, "upgrade_conflict", "%s", call->owned);
    else if (call->status == E_INVALID)
        rest_problem(&call->rest, 422, "upgrade_refused", "%s", call->owned);
    else
        rest_problem(&call->rest, 503, "supervisor_unreachable", "%s", call->owned);
}

void api_upgrade(struct admin_call *call)
{
    call->owned = calloc(1, LINK_ERROR_SIZE);
    if (!call->owned) {
        rest_problem(&call->rest, 503, "memory_limit", "Out of memory.");
        return;
    }
    call->work.data = call;
    uv_queue_work(&call->admin->manager->loop.uv, &call->work, ask, on_answer);
}
