/* SPDX-License-Identifier: Apache-2.0
 *
 * Why the gateway itself refused or broke off a request: one enum, one table (reason.def).
 * Pure; safe from any thread.
 */
#ifndef SLUICE_REASON_H
#define SLUICE_REASON_H

#include "sluice/types.h"

enum reason {
#define REASON(name, status, slug, proxy, text) REASON_##name,
#include "sluice/reason.def"
#undef REASON
    REASON_COUNT
};

struct reason_info {
    uint16_t status;         /* HTTP status sent when the answer has not begun; 499 is log only */
    const char *slug;        /* stable name */
    const char *proxy_error; /* RFC 9209 section 2.3 error type */
    const char *text;        /* one English sentence */
};

/* Never NULL; `reason` must be below REASON_COUNT. The result is static. */
const struct reason_info *reason_info(enum reason reason);

#endif
