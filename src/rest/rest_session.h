/* SPDX-License-Identifier: Apache-2.0
 *
 * /api/v1/session: whoever has a token gets a cookie for it, which a page's script cannot read. At
 * the edge's admin port and at control's own. The loop's thread.
 */
#ifndef REST_REST_SESSION_H
#define REST_REST_SESSION_H

#include "config/conf.h"
#include "rest/rest.h"

/* What the cookie of a call proves; .can is 0: nothing. */
struct session rest_session_of(struct rest_call *call, const struct conf_admin *conf);

/* Each answers the call. GET: who asks, and what that may do; of nobody too. */
void rest_session_show(struct rest_call *call, const struct conf_admin *conf);
/* POST {"token": TEXT}. */
void rest_session_begin(struct rest_call *call, const struct conf_admin *conf);
/* DELETE. */
void rest_session_end(struct rest_call *call, const struct conf_admin *conf);

#endif
