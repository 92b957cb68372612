/* SPDX-License-Identifier: Apache-2.0
 *
 * A timer wheel with lazy deadlines: pushing a deadline further away is one store, the entry moves
 * only when its old slot comes up. Precision is one tick; a deadline never fires early. Entries are
 * embedded in their owner. Reads no clock: the caller says what time it is. One thread.
 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include "sluice/types.h"

enum { WHEEL_TICK_MS = 20, WHEEL_SLOTS = 1024 };

struct wheel_entry {
    struct wheel_entry *prev, *next; /* NULL: not in a slot */
    uint64_t due;                    /* tick; 0: not set */
    uint64_t slot;                   /* tick of the slot it hangs in */
};

struct wheel {
    struct wheel_entry slots[WHEEL_SLOTS]; /* heads of rings */
    uint64_t now;                          /* tick */
    size_t count;                          /* entries that hang in a slot */
};

/* Empty, at `now_ms` of the caller's clock. */
void wheel_init(struct wheel *wheel, uint64_t now_ms);

/* Sets or moves the deadline of `entry` (zeroed before its first use) to at least `delay_ms` from
 * the wheel's now. */
void wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint64_t delay_ms);
/* The deadline is off; the entry may still hang in a slot: call wheel_remove before its memory
 * goes. */
void wheel_unset(struct wheel_entry *entry);
void wheel_remove(struct wheel *wheel, struct wheel_entry *entry);

/* Moves to `now_ms` and calls `fire` for each entry that is due, after taking it out; `fire` may
 * set, unset and remove any entry. */
void wheel_advance(struct wheel *wheel, uint64_t now_ms,
                   void (*fire)(void *owner, struct wheel_entry *entry), void *owner);

#endif
