/* SPDX-License-Identifier: Apache-2.0 */
#include "process/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void report_line(const char *format, ...)
{
    char line[1024];
    int used = snprintf(line, sizeof line, "sluice: supervisor: ");
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + used, sizeof line - (size_t)used - 1, format, args);
    va_end(args);
    if (more < 0)
        return;
    size_t len = (size_t)used + (size_t)more;
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < 0x20)
            line[i] = '?';
    line[len++] = '\n';
    // Nowhere else to say that stderr is closed.
    (void)!write(STDERR_FILENO, line, len);
}
