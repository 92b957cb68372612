/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may ask an admin API: the unix socket's owner everything, a token what it can, a browser that
 * signed in with one the same, anybody on loopback reading; and no page of another site in
 * anybody's name. Each refuses the call if not. For the edge's admin port and control's own. The
 * loop's thread.
 */
#ifndef REST_REST_GUARD_H
#define REST_REST_GUARD_H

#include "config/conf.h"
#include "rest/rest.h"

/* Who asks. */
struct rest_asker {
    uint32_t can;           /* rights: 1 << enum conf_right */
    struct str actor;       /* "socket", "token:NAME", "loopback"; in the call's arena */
    struct session session; /* of the cookie that says so; .can is 0: it is not by one */
};

/* Host and Origin are ours. The page, and signing in, may be asked for by any name: without a token
 * they show nothing. False: it was refused. */
bool rest_guard_site(struct rest_call *call, const struct conf_admin *conf);
/* Fills `asker`. False: it is nobody we know, and was refused. */
bool rest_guard_identify(struct rest_call *call, const struct conf_admin *conf,
                         struct rest_asker *asker);
/* The same without a refusal, and whatever the call does: .can is 0 of nobody we know. */
void rest_guard_know(struct rest_call *call, const struct conf_admin *conf,
                     struct rest_asker *asker);
/* A page of ours says so by Origin, which a cookie alone does not prove: it comes along from every
 * port of this host. False: it was refused. */
bool rest_guard_origin(struct rest_call *call);
/* Whether that is enough for a right. False: it was refused. */
bool rest_guard_right(struct rest_call *call, const struct rest_asker *asker,
                      enum conf_right right);

#endif
