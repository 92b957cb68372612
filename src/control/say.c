/* SPDX-License-Identifier: Apache-2.0 */
#include "control/say.h"

#include <stdio.h>
#include <unistd.h>

#include "base/text.h"

void say_line(const char *format, ...)
{
    char line[2048];
    int used = snprintf(line, sizeof(line), "sluice: control: "), more;
    va_list args;
    size_t len;

    va_start(args, format);
    more = vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format, args);
    va_end(args);
    if (more < 0)
        return;
    len = (size_t)used + (size_t)more;
    if (len > sizeof(line) - 2)
        len = sizeof(line) - 2;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[len++] = '\n';
    (void)!write(STDERR_FILENO, line, len); // nowhere else to say that stderr is closed
}

void say_into_args(char *out, size_t size, const char *format, va_list args)
{
    char text[2048];
    int len = vsnprintf(text, sizeof(text), format, args);

    if (len < 0)
        len = 0;
    if ((size_t)len >= sizeof(text))
        len = sizeof(text) - 1;
    text_clean(out, size, (struct str){text, (size_t)len});
}

void say_into(char *out, size_t size, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say_into_args(out, size, format, args);
    va_end(args);
}
