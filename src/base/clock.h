/* SPDX-License-Identifier: Apache-2.0
 *
 * The two clocks, and dates as text. A date is formatted again only when its second changes: the
 * caller keeps the cache, one for each format, zeroed at first. Any thread; a cache is one
 * thread's.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "sluice/types.h"

/* Private but for its size; {0} is empty. */
struct clock_date {
    uint64_t key; /* second + 1 that `text` shows; 0: none */
    char text[32];
};

/* Monotonic microseconds, from an arbitrary start. */
uint64_t clock_us(void);
/* Microseconds of the processor that this thread has had. A system call. */
uint64_t clock_cpu_us(void);
/* Unix time in milliseconds. */
uint64_t clock_wall_ms(void);

/* All take Unix milliseconds (past the year 9999 its last second is shown); the text lives in the
 * cache until the next call with it. */
/* "Sun, 22 Nov 2026 20:29:48 GMT", 29 bytes. */
struct str clock_http_date(struct clock_date *cache, uint64_t wall_ms);
/* "2026-11-22T20:29:48.123Z", 24 bytes. */
struct str clock_rfc3339(struct clock_date *cache, uint64_t wall_ms);
/* "22/Nov/2026:20:29:48 +0000", 26 bytes: the date of NCSA's common log format. */
struct str clock_ncsa_date(struct clock_date *cache, uint64_t wall_ms);

#endif
