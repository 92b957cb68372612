/* SPDX-License-Identifier: Apache-2.0
 *
 * Appending to a buffer, for formatters whose every byte counts. Each function writes at `out`,
 * never terminates, and returns the new end; the caller has made the room that the function says it
 * may need. Pure; any thread.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <string.h>

#include "sluice/types.h"

enum {
    TEXT_U64_MAX = 20,   /* bytes of the longest decimal */
    TEXT_HEX_MAX = 16,   /* of the longest hexadecimal */
    TEXT_MILLI_MAX = 24, /* of text_milli() */
    TEXT_JSON_FACTOR = 6 /* text_json() writes at most this many bytes for each byte */
};

/* A copy. `s` may be absent. */
static inline char *text_put(char *out, struct str s)
{
    if (s.len)
        memcpy(out, s.p, s.len);
    return out + s.len;
}

/* Decimal without leading zeros; room for TEXT_U64_MAX. */
char *text_u64(char *out, uint64_t n);
/* Lower-case hexadecimal without leading zeros; room for TEXT_HEX_MAX. */
char *text_hex(char *out, uint64_t n);
/* Bytes as lower-case hexadecimal; room for two characters each. */
char *text_hex_bytes(char *out, const uint8_t *bytes, size_t count);
/* The number of exactly 16 lower-case hexadecimal digits. False: they are none. */
bool text_read_hex16(struct str s, uint64_t *n);
/* Thousandths as a decimal fraction, always three digits after the point: 1234 is "1.234". Room for
 * TEXT_MILLI_MAX. */
char *text_milli(char *out, uint64_t thousandths);

/* The inside of a JSON string (RFC 8259 section 7), without the quotes; each byte that is not part
 * of well-formed UTF-8 becomes \ufffd. Room for s.len * TEXT_JSON_FACTOR. */
char *text_json(char *out, struct str s);

/* Length of the well-formed UTF-8 sequence that `s` begins with (1 to 4), 0 when it begins with
 * none. */
size_t text_utf8(struct str s);

/* What others wrote, as text of less than `size` bytes (not 0), ended by NUL: a byte that is not
 * part of well-formed UTF-8 becomes U+FFFD, and a control character but tab and newline '?'. No
 * character is cut: what of one stands at the end of `s` is left out, and so is what there is no
 * room for. Gives the length. */
size_t text_clean(char *out, size_t size, struct str s);

/* Whether `s` is a token (RFC 9110 5.6.2), as the names of fields and of cookies are. */
bool text_is_token(struct str s);

#endif
