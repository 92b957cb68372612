/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of the admin API, and the queue in which those that change something wait: one has its turn
 * at a time, and only while the manager builds nothing, since a build reads what they change.
 */
#include <stdlib.h>

#include "edge/manager/admin_impl.h"

struct admin_call *admin_call_of(struct rest_call *rest)
{
    struct admin_call *call = CONTAINER_OF(rest, struct admin_call, rest);

    call->admin = rest->server->options.owner;
    return call;
}

struct admin_call *admin_call_new(struct admin *admin)
{
    struct rest_call *rest = rest_call_new(&admin->server, NULL);

    return rest ? admin_call_of(rest) : NULL;
}

void admin_call_drop(struct rest_call *rest)
{
    struct admin_call *call = CONTAINER_OF(rest, struct admin_call, rest);

    free(call->owned);
    json_decref(call->before);
    json_decref(call->plan);
}

void admin_call_free(struct admin_call *call)
{
    rest_call_free(&call->rest);
}

/* --- turns */

void admin_idle(struct admin *admin)
{
    const struct manager *m = admin->manager;

    while (admin->turns && !admin->turn && !m->building && !m->first && !m->is_stopping) {
        struct admin_call *call = admin->turns;

        admin->turns = call->next_turn;
        if (!admin->turns)
            admin->last_turn = &admin->turns;
        admin->turn = call;
        call->turn(call);
    }
}

void admin_turn_take(struct admin_call *call, void (*turn)(struct admin_call *call))
{
    struct admin *admin = call->admin;

    call->turn = turn;
    call->next_turn = NULL;
    *admin->last_turn = call;
    admin->last_turn = &call->next_turn;
    admin_idle(admin);
}

void admin_turn_over(struct admin_call *call)
{
    if (call->admin->turn == call)
        call->admin->turn = NULL;
}
