/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wheel.h"

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
    for (unsigned i = 0; i < WHEEL_SLOTS; i++)
        wheel->slots[i].prev = wheel->slots[i].next = &wheel->slots[i];
    wheel->now = now_ms / WHEEL_TICK_MS;
    wheel->count = 0;
}

static void unlink_entry(struct wheel *wheel, struct wheel_entry *entry)
{
    entry->prev->next = entry->next;
    entry->next->prev = entry->prev;
    entry->prev = entry->next = NULL;
    wheel->count--;
}

/* Hangs the entry where it is due, or in the farthest slot there is. */
static void link_entry(struct wheel *wheel, struct wheel_entry *entry)
{
    uint64_t farthest = wheel->now + WHEEL_SLOTS - 1;
    struct wheel_entry *head;

    entry->slot = entry->due < farthest ? entry->due : farthest;
    head = &wheel->slots[entry->slot % WHEEL_SLOTS];
    entry->prev = head->prev;
    entry->next = head;
    head->prev->next = entry;
    head->prev = entry;
    wheel->count++;
}

void wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint64_t delay_ms)
{
    entry->due = wheel->now + delay_ms / WHEEL_TICK_MS + 2; /* now is already part of a tick old */
    if (entry->next) {
        if (entry->slot <= entry->due)
            return;
        unlink_entry(wheel, entry);
    }
    link_entry(wheel, entry);
}

void wheel_unset(struct wheel_entry *entry)
{
    entry->due = 0;
}

void wheel_remove(struct wheel *wheel, struct wheel_entry *entry)
{
    entry->due = 0;
    if (entry->next)
        unlink_entry(wheel, entry);
}

static void turn(struct wheel *wheel, struct wheel_entry *head,
                 void (*fire)(void *owner, struct wheel_entry *entry), void *owner)
{
    struct wheel_entry ring =
        *head; /* entries set anew into this very slot wait for its next turn */

    if (head->next == head)
        return;
    ring.next->prev = ring.prev->next = &ring;
    head->prev = head->next = head;
    while (ring.next != &ring) {
        struct wheel_entry *entry = ring.next;

        unlink_entry(wheel, entry);
        if (!entry->due)
            continue;
        if (entry->due > wheel->now) {
            link_entry(wheel, entry);
            continue;
        }
        entry->due = 0;
        fire(owner, entry);
    }
}

void wheel_advance(struct wheel *wheel, uint64_t now_ms,
                   void (*fire)(void *owner, struct wheel_entry *entry), void *owner)
{
    uint64_t target = now_ms / WHEEL_TICK_MS;

    if (!wheel->count && target > wheel->now) {
        wheel->now = target;
        return;
    }
    while (wheel->now < target) {
        wheel->now++;
        turn(wheel, &wheel->slots[wheel->now % WHEEL_SLOTS], fire, owner);
    }
}
