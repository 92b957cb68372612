/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may ask an admin API: the unix socket's owner everything, a token what it can, anybody on
 * loopback reading; and no page of another site in anybody's name. Each refuses the call if not.
 * For the edge's admin port and control's own. The loop's thread.
 */
#ifndef REST_REST_GUARD_H
#define REST_REST_GUARD_H

#include "config/conf.h"
#include "rest/rest.h"

/* Who asks. */
struct rest_asker {
    uint32_t can;     /* rights: 1 << enum conf_right */
    struct str actor; /* "socket", "token:NAME", "loopback"; in the call's arena */
};

/* Host and Origin are ours. False: it was refused. */
bool rest_guard_site(struct rest_call *call, const struct conf_admin *conf);
/* Fills `asker`. False: it is nobody we know, and was refused. */
bool rest_guard_identify(struct rest_call *call, const struct conf_admin *conf,
                         struct rest_asker *asker);
/* Whether that is enough for a right. False: it was refused. */
bool rest_guard_right(struct rest_call *call, const struct rest_asker *asker,
                      enum conf_right right);

#endif
