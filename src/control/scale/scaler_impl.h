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
/* Has what is another now kept and told, and says it; `why`: of another number. */
void scaler_note_change(struct managed *managed, struct scaler_mark before, const char *why);

/* Tells those who wait until what they asked for is in the store. */
void scaler_answer(struct managed *managed);

#endif
