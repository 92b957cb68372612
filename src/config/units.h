/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers with units as the configuration writes them. Pure; the whole text must be the number.
 * NULL is good, else a static sentence that says what is wrong ("is not a duration"), to be put
 * after the quoted value.
 */
#ifndef CONFIG_UNITS_H
#define CONFIG_UNITS_H

#include "sluice/types.h"

const char *units_bool(struct str s, uint64_t *out);     /* true yes on, false no off */
const char *units_int(struct str s, uint64_t *out);      /* decimal digits */
const char *units_duration(struct str s, uint64_t *out); /* 250ms 5s 2m 1h 30d: milliseconds */
const char *units_size(struct str s, uint64_t *out);     /* 512 16KiB 10MiB 1GiB: bytes */
const char *units_rate(struct str s, uint64_t *out);     /* 1KiB/s: bytes a second */
/* 100/min 10/s 5000/h 20/d 5/10s: so many in so many milliseconds, neither 0 */
const char *units_frequency(struct str s, uint64_t *count, uint64_t *period_ms);
const char *units_share(struct str s,
                        uint64_t *out); /* 20% 0.5%: parts per million, at most 100% */
const char *units_ratio(struct str s, uint64_t *out); /* 2x 1.5x: thousandths */

#endif
