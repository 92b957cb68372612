/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by scaler.c and scaler_ask.c.
 */
#ifndef CONTROL_SCALE_SCALER_IMPL_H
#define CONTROL_SCALE_SCALER_IMPL_H

#include "control/deploy/impl.h"
#include "control/scale/scaled.h"

/* How a service stood, to be compared with. */
struct scaler_mark {
    enum life_mode mode;
    uint32_t wanted;
};
struct scaler_mark scaler_mark(const struct managed *managed);
/* Who wants it another way, and why another number; NULL: control itself; not said. */
struct scaler_cause {
    const char *actor, *why;
};
/* Has what is another now kept and told, and says it. */
void scaler_note_change(struct managed *managed, struct scaler_mark before,
                        struct scaler_cause cause);

/* --- scaler_ledger.c */
void scaler_ledger_change(const struct managed *managed, struct scaler_mark before,
                          struct scaler_cause cause);
/* More units are needed than are allowed or may be paid. */
void scaler_ledger_cap(const struct managed *managed);

/* Tells those who wait until what they asked for is in the store. */
void scaler_answer(struct managed *managed);

#endif
