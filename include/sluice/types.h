/* SPDX-License-Identifier: Apache-2.0
 *
 * The few types that every contract speaks: a borrowed slice of bytes and the internal result
 * code. No allocation, no I/O; safe from any thread.
 */
#ifndef SLUICE_TYPES_H
#define SLUICE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A borrowed run of bytes, not terminated. {NULL, 0} is "absent"; {"", 0} is "empty". */
struct str {
    const char *p;
    size_t len; /* bytes */
};

#define STR(lit) ((struct str){(lit), sizeof(lit) - 1})
#define STR_INIT(lit)                                                                              \
    {                                                                                              \
        (lit), sizeof(lit) - 1                                                                     \
    } /* for static initialisers */
#define STR_NONE ((struct str){NULL, 0})
#define STR_FMT(s) (int)(s).len, (s).p /* for "%.*s" */

/* The same bytes; absent is as empty. */
static inline bool str_same(struct str a, struct str b)
{
    return a.len == b.len && (!a.len || !__builtin_memcmp(a.p, b.p, a.len));
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Result of what the machine or a peer may refuse. 0 is good, negative is not; always used. */
enum status {
    OK = 0,
    E_NOMEM = -1,    /* a memory ceiling or malloc said no */
    E_FULL = -2,     /* a bounded queue or table is full */
    E_IO = -3,       /* a system call failed; errno says which way */
    E_PROTOCOL = -4, /* the peer broke its protocol */
    E_INVALID = -5,  /* the input is not what it should be */
    E_NOT_FOUND = -6,
    E_CONFLICT = -7,
    E_CLOSED = -8, /* the other end is gone */
    E_AGAIN = -9,  /* not now */
    E_DENIED = -10,
};

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#endif
