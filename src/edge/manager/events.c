/* SPDX-License-Identifier: Apache-2.0
 *
 * Server-sent events: those that follow get each event as `id`, `event` and `data` lines, and
 * a comment when nothing happened for a while. Manager thread.
 */

#include "edge/manager/api.h"
#include "rest/stream.h"

enum { COMMENT_MS = 15 * 1000 };

void events_follow(struct admin_call *call)
{
    rest_follow(&call->rest);
}

void events_tell(struct admin *admin, const char *kind, struct str data)
{
    struct arena arena;
    struct str text;

    admin->last_event++;
    if (!rest_is_followed(&admin->server))
        return;
    arena_init(&arena, NULL, 0);
    text = arena_format(&arena, "id: %llu\nevent: %s\ndata: %.*s\n\n",
                        (unsigned long long)admin->last_event, kind, STR_FMT(data));
    if (text.p)
        rest_tell(&admin->server, text);
    arena_reset(&arena);
    admin->commented_ms = uv_now(&admin->manager->loop.uv);
}

void events_tick(struct admin *admin)
{
    uint64_t now = uv_now(&admin->manager->loop.uv);

    if (now - admin->commented_ms < COMMENT_MS)
        return;
    admin->commented_ms = now;
    rest_tell(&admin->server, STR(":\n\n"));
}
