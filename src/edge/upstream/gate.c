/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/gate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct gate *gate_new(unsigned workers, void (*wake)(void *owner, unsigned worker), void *owner)
{
    size_t size = sizeof(struct gate) + workers * sizeof(struct gate_local);
    struct gate *gate = aligned_alloc(64, (size + 63) / 64 * 64);

    assert(workers && workers <= GATE_WORKERS_MAX);
    if (!gate)
        return NULL;
    memset(gate, 0, size);
    gate->wake = wake;
    gate->owner = owner;
    gate->workers = workers;
    gate->whole = gate;
    for (unsigned i = 0; i < workers; i++)
        gate->locals[i].gate = gate;
    return gate;
}

void gate_free(struct gate **gate)
{
    struct gate *gone = *gate;

    *gate = NULL;
    for (unsigned i = 0; gone && i < gone->workers; i++) {
        assert(!gone->locals[i].queue || !gone->locals[i].queue->count);
        free(gone->locals[i].queue);
    }
    free(gone);
}

void gate_wait(struct gate *gate, unsigned worker)
{
    __atomic_fetch_or(&gate->waiting, UINT64_C(1) << worker, __ATOMIC_SEQ_CST);
}

/* The first waiting worker after the one that was woken last. */
static unsigned next_waiting(uint64_t waiting, unsigned turn)
{
    uint64_t after = turn >= 63 ? 0 : waiting & (UINT64_MAX << (turn + 1));

    return (unsigned)__builtin_ctzll(after ? after : waiting);
}

static void wake_one(struct gate *gate)
{
    uint64_t waiting = __atomic_load_n(&gate->waiting, __ATOMIC_SEQ_CST);

    while (waiting) {
        unsigned worker = next_waiting(waiting, __atomic_load_n(&gate->turn, __ATOMIC_RELAXED));
        uint64_t bit = UINT64_C(1) << worker;

        if (__atomic_compare_exchange_n(&gate->waiting, &waiting, waiting & ~bit, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            __atomic_store_n(&gate->turn, worker, __ATOMIC_RELAXED);
            gate->wake(gate->owner, worker);
            return;
        }
    }
}

/* Who is woken for a place that is not one for its release finds out, and waits on: each of them
 * has to be woken, or the place might stay empty. */
void gate_release(struct gate *gate)
{
    const struct gate *whole = gate->whole;

    if (!__atomic_load_n(&whole->cap, __ATOMIC_RELAXED)) {
        wake_one(gate);
        return;
    }
    for (struct gate *at = gate->whole; at; at = __atomic_load_n(&at->next, __ATOMIC_ACQUIRE))
        wake_one(at);
}

void gate_join(struct gate *whole, struct gate *gate)
{
    gate->whole = whole;
    gate->next = whole->next;
    __atomic_store_n(&whole->next, gate, __ATOMIC_RELEASE);
}

void gate_leave(struct gate *gate, unsigned worker)
{
    uint64_t bit = UINT64_C(1) << worker;

    if (!(__atomic_fetch_and(&gate->waiting, ~bit, __ATOMIC_SEQ_CST) & bit))
        gate_release(gate);
}

bool gate_take(const uint32_t *cap, uint32_t *in_use)
{
    uint32_t limit = __atomic_load_n(cap, __ATOMIC_RELAXED);
    uint32_t taken = __atomic_load_n(in_use, __ATOMIC_SEQ_CST);

    while (!limit || taken < limit)
        if (__atomic_compare_exchange_n(in_use, &taken, taken + 1, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            return true;
    return false;
}

void gate_give(uint32_t *in_use)
{
    __atomic_fetch_sub(in_use, 1, __ATOMIC_SEQ_CST);
}
