/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers of JSON as they are written: exact, of any size, and never computed with beyond what a
 * schema asks of them. Pure; any thread.
 */
#ifndef EDGE_VALIDATE_DECIMAL_H
#define EDGE_VALIDATE_DECIMAL_H

#include "sluice/types.h"

enum { DECIMAL_DIVISOR_DIGITS = 9 };

/* Its digits are `whole`, then `fraction`: neither a zero in front nor one at the end; none at all
 * is zero. The last digit counts 10 to the power of `exponent`. */
struct decimal {
    struct str whole, fraction; /* point into the text */
    int64_t exponent;           /* held within +-10^15 */
    bool is_negative;
};

/* Length of the number (RFC 8259 section 6) that `s` begins with; 0: none. */
size_t decimal_scan(struct str s);
/* Of a number that decimal_scan() takes whole. */
struct decimal decimal_read(struct str text);

/* Below, at or above 0, as a is to b. */
int decimal_compare(const struct decimal *a, const struct decimal *b);
/* A whole number, however it is written: 1.0 is one. */
bool decimal_is_integer(const struct decimal *a);
/* Whether `b` has few enough digits for decimal_divides(), and is above 0. */
bool decimal_is_divisor(const struct decimal *b);
/* Whether a is a whole multiple of b. */
bool decimal_divides(const struct decimal *b, const struct decimal *a);
/* The same for equal numbers. */
uint64_t decimal_hash(const struct decimal *a);

#endif
