/* SPDX-License-Identifier: Apache-2.0
 *
 * What a unit prints: the last UNIT_LOG_SIZE bytes are kept in a memfd, which outlives an exec of
 * the supervisor, and line by line it goes on to the supervisor's own stderr, as "sluice:
 * SERVICE/RELEASE/UNIT: TEXT". Lines too many a second, or that stderr does not take at once, are
 * left out there and counted. The supervisor's one thread.
 */
#ifndef PROCESS_UNIT_LOG_H
#define PROCESS_UNIT_LOG_H

#include "process/unit_wire.h"

enum { UNIT_LINES_BURST = 4000, UNIT_LINES_A_SECOND = 2000, UNIT_LINE_MAX = 3072 };

struct unit_page; /* private */

struct unit_log {
    struct unit_page *page; /* mapped; NULL: none */
    int fd;
    int64_t filled_ms; /* when lines_left was filled up last */
    uint32_t lines_left, dropped;
};

/* E_IO with errno. */
MUST_USE enum status unit_log_open(struct unit_log *log);
/* One that unit_log_open() of another binary made: takes `fd` over. E_INVALID: it is none. */
MUST_USE enum status unit_log_adopt(struct unit_log *log, int fd);
/* One that is not open is fine. */
void unit_log_close(struct unit_log *log);

/* Keeps `bytes` and prints the lines that are whole; a longer one in pieces. */
void unit_log_add(struct unit_log *log, const char *prefix, struct str bytes, int64_t now_ms);
/* Prints what has no end yet. */
void unit_log_flush(struct unit_log *log, const char *prefix, int64_t now_ms);
/* The last bytes of it, at most `size`; how many. */
size_t unit_log_tail(const struct unit_log *log, char *out, size_t size);

#endif
