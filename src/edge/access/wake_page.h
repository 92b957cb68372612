/* SPDX-License-Identifier: Apache-2.0
 *
 * The page that a browser gets while a service is being started: it says how long that takes and
 * asks again by itself. It needs no script, no style and nothing from elsewhere.
 */
#ifndef EDGE_ACCESS_WAKE_PAGE_H
#define EDGE_ACCESS_WAKE_PAGE_H

#include "base/arena.h"

/* The HTML, in `arena`; `left_s` until it is there, 0: nobody knows. Absent: memory ends. */
struct str wake_page(struct arena *arena, uint32_t left_s, struct str request_id);

#endif
