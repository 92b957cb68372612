/* SPDX-License-Identifier: Apache-2.0
 *
 * The Cookie field of a request (RFC 6265 section 4.2). Pure; any thread.
 */
#ifndef HTTP_COOKIE_H
#define HTTP_COOKIE_H

#include "sluice/types.h"

/* The value of the first cookie of that name, as it is written; absent when there is none. */
struct str cookie_value(struct str cookies, struct str name);

/* The same of what is left, which is then what comes behind it. */
struct str cookie_next(struct str *left, struct str name);

#endif
