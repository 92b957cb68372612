/* SPDX-License-Identifier: Apache-2.0
 *
 * The algorithms by name. A new one is one file here and one line in this table.
 */
#include "edge/balance/balance.h"

#include <string.h>

const struct balancer *const balancer_registry[] = {
    &balancer_least_request, &balancer_round_robin, &balancer_hash, &balancer_random, NULL,
};

const struct balancer *balancer_find(struct str name)
{
    for (const struct balancer *const *it = balancer_registry; *it; it++) {
        if (strlen((*it)->name) == name.len && name.len &&
            memcmp((*it)->name, name.p, name.len) == 0)
            return *it;
    }
    return NULL;
}
