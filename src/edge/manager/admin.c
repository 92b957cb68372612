/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "edge/manager/api.h"
#include "edge/manager/api_changes.h"
#include "edge/manager/api_wakes.h"

enum { EVENT_MAX = 4 * 1024, CONNECTIONS_MAX = 64, CONNECTIONS_KEPT = 8 };

struct admin *admin_open(struct manager *manager)
{
    struct admin *admin = calloc(1, sizeof(*admin));

    if (!admin)
        return NULL;
    admin->manager = manager;
    admin->last_turn = &admin->turns;
    admin->wake_number = clock_wall_ms();
    rest_server_init(&admin->server, &(struct rest_options){.loop = &manager->loop.uv,
                                                            .connections_max = CONNECTIONS_MAX,
                                                            .connections_kept = CONNECTIONS_KEPT,
                                                            .call_size = sizeof(struct admin_call),
                                                            .dispatch = admin_dispatch,
                                                            .run = admin_run,
                                                            .drop = admin_call_drop,
                                                            .owner = admin});
    if (uv_timer_init(&manager->loop.uv, &admin->poll)) {
        free(admin);
        return NULL;
    }
    admin->poll.data = admin;
    return admin;
}

void admin_close(struct admin *admin)
{
    rest_server_close(&admin->server);
    uv_close((uv_handle_t *)&admin->poll, NULL);
}

void admin_free(struct admin **admin)
{
    struct admin *gone = *admin;

    *admin = NULL;
    if (!gone)
        return;
    rest_server_fini(&gone->server);
    confirm_clear(&gone->confirm);
    api_counters_fini(&gone->counters);
    free(gone);
}

/* --- ports */

void admin_listen(struct admin *admin, const struct listening *listening)
{
    for (unsigned i = 0; i < listening->held; i++)
        if (!rest_server_listen(&admin->server, listening->bind, listening->kind,
                                listening->fds[i]))
            fprintf(stderr, "sluice: edge: cannot serve the admin API on %s\n", listening->bind);
}

void admin_unlisten(struct admin *admin, const struct listening *listening)
{
    rest_server_unlisten(&admin->server, listening->bind);
}

void admin_look(struct admin *admin)
{
    api_wakes_look(admin);
}

void admin_retire(struct admin *admin)
{
    api_changes_end(admin);
    api_wakes_end(admin);
    rest_server_retire(&admin->server);
}

void admin_end(struct admin *admin)
{
    admin->server.is_ending = true;
}

/* --- events and time */

void admin_event(struct admin *admin, const char *kind, const char *format, ...)
{
    char data[EVENT_MAX];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(data, sizeof(data), format, args);
    va_end(args);
    if (len > 0 && len < (int)sizeof(data))
        events_tell(admin, kind, (struct str){data, (size_t)len});
}

static json_t *config_json(const char *digest, uint32_t generation)
{
    return json_pack("{s:s,s:I}", "sha256", digest, "generation", (json_int_t)generation);
}

void admin_note_config(struct admin *admin, const struct manager_change *change, struct str actor,
                       const char *action)
{
    uint32_t generation = admin->manager->generation;
    struct api_change note = {.action = action,
                              .before = config_json(change->was, generation - 1),
                              .after = config_json(change->is, generation)};

    api_changes_note(admin, actor, &note);
}

void admin_tick(struct admin *admin)
{
    rest_server_tick(&admin->server);
    events_tick(admin);
    api_changes_tick(admin);
    api_wakes_tick(admin);
    api_confirm_tick(admin);
    api_shield_tick(admin);
    admin_idle(admin);
}

bool admin_revert_unconfirmed(const char *state_dir, const char *config)
{
    return confirm_revert(state_dir, config, clock_wall_ms());
}

void admin_resume(struct admin *admin)
{
    const struct manager *m = admin->manager;
    enum status status = confirm_load(m->state_dir, m->options.config, &admin->confirm);

    if (status == E_NOMEM)
        fprintf(stderr, "sluice: edge: out of memory: the configuration that waits to be confirmed "
                        "is kept\n");
}
