/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/filter/identity.h"

#include "base/arena.h"

enum status identity_set(struct visit *visit, struct str consumer, struct str tier)
{
    struct vars *vars = visit->vars;
    struct str who, what = STR_NONE;

    if (vars->consumer.p)
        return OK;
    who = arena_copy(visit->arena, consumer);
    if (tier.len)
        what = arena_copy(visit->arena, tier);
    if (!who.p || (tier.len && !what.p))
        return E_NOMEM;
    vars->consumer = who;
    vars->tier = what;
    return OK;
}
