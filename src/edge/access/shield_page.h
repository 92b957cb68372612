/* SPDX-License-Identifier: Apache-2.0
 *
 * The page that has a browser solve a challenge (proof.h), keep the solution as a cookie and ask
 * again. It needs nothing from elsewhere.
 */
#ifndef EDGE_ACCESS_SHIELD_PAGE_H
#define EDGE_ACCESS_SHIELD_PAGE_H

#include "base/arena.h"

#define SHIELD_COOKIE "sluice_shield"

/* The HTML, in `arena`; `pass_s` is how long the cookie is kept. Absent: memory ends. */
struct str shield_page(struct arena *arena, struct str challenge, unsigned bits, uint32_t pass_s);

#endif
