/* SPDX-License-Identifier: Apache-2.0
 *
 * The table behind sluice/reason.h, made from reason.def.
 */
#include "sluice/reason.h"

#include <assert.h>

static const struct reason_info infos[REASON_COUNT] = {
#define REASON(name, code, slug_text, proxy, sentence)                                             \
    [REASON_##name] = {.status = code, .slug = slug_text, .proxy_error = proxy, .text = sentence},
#include "sluice/reason.def"
#undef REASON
};

const struct reason_info *reason_info(enum reason reason)
{
    assert(reason < REASON_COUNT);
    return &infos[reason];
}
