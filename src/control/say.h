/* SPDX-License-Identifier: Apache-2.0
 *
 * The control process's words: one line to stderr, "sluice: control: TEXT". One write each, so
 * lines of several processes do not mix; control characters, which may come from a CA, are
 * replaced.
 */
#ifndef CONTROL_SAY_H
#define CONTROL_SAY_H

#include "sluice/types.h"

/* TEXT as of printf(), without the newline. */
void say_line(const char *format, ...) PRINTF(1, 2);

#endif
