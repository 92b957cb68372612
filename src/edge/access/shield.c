/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/access/shield.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct shield {
    uint64_t until_ms; /* atomic */
    uint8_t key[PROOF_KEY_LEN];
};

struct shield *shield_new(void)
{
    struct shield *shield = calloc(1, sizeof(*shield));

    if (shield && getrandom(shield->key, PROOF_KEY_LEN, 0) == PROOF_KEY_LEN)
        return shield;
    free(shield);
    return NULL;
}

void shield_free(struct shield **shield)
{
    if (*shield)
        explicit_bzero((*shield)->key, PROOF_KEY_LEN);
    free(*shield);
    *shield = NULL;
}

void shield_set(struct shield *shield, uint64_t until_ms)
{
    __atomic_store_n(&shield->until_ms, until_ms, __ATOMIC_RELAXED);
}

uint64_t shield_until_ms(const struct shield *shield)
{
    return __atomic_load_n(&shield->until_ms, __ATOMIC_RELAXED);
}

const uint8_t *shield_key(const struct shield *shield)
{
    return shield->key;
}
