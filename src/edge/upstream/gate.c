/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/gate.h"

void gate_init(struct gate *gate, void (*wake)(void *owner, unsigned worker), void *owner)
{
    *gate = (struct gate){.wake = wake, .owner = owner};
    for (unsigned i = 0; i < GATE_WORKERS_MAX; i++) {
        gate->locals[i].gate = gate;
        gate->locals[i].last = &gate->locals[i].first;
    }
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

void gate_release(struct gate *gate)
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

void gate_leave(struct gate *gate, unsigned worker)
{
    uint64_t bit = UINT64_C(1) << worker;

    if (!(__atomic_fetch_and(&gate->waiting, ~bit, __ATOMIC_SEQ_CST) & bit))
        gate_release(gate);
}
