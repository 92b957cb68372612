/* SPDX-License-Identifier: Apache-2.0
 *
 * The control process's words: one line to stderr, "sluice: control: TEXT". One write each, so
 * lines of several processes do not mix; control characters, which may come from a CA, are
 * replaced.
 */
#ifndef CONTROL_SAY_H
#define CONTROL_SAY_H

#include <stdarg.h>

#include "sluice/types.h"

/* TEXT as of printf(), without the newline. */
void say_line(const char *format, ...) PRINTF(1, 2);

/* For texts that are kept, and shown as JSON: as snprintf(), but what others wrote is made good and
 * no character is cut, as of text_clean(). At most 2 KiB. Any thread. */
void say_into(char *out, size_t size, const char *format, ...) PRINTF(3, 4);
void say_into_args(char *out, size_t size, const char *format, va_list args) PRINTF(3, 0);

#endif
