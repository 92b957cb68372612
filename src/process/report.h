/* SPDX-License-Identifier: Apache-2.0
 *
 * The supervisor's words: one line to stderr, "sluice: supervisor: TEXT key=value ...". One write
 * each, so lines of several processes do not mix.
 */
#ifndef PROCESS_REPORT_H
#define PROCESS_REPORT_H

#include "sluice/types.h"

/* TEXT as of printf(), without the newline; any thread. */
void report_line(const char *format, ...) PRINTF(1, 2);

#endif
