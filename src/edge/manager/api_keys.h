/* SPDX-License-Identifier: Apache-2.0
 *
 * The endpoints of API keys; as those of api.h. Manager thread.
 */
#ifndef EDGE_MANAGER_API_KEYS_H
#define EDGE_MANAGER_API_KEYS_H

#include "edge/manager/admin_impl.h"

/* All API keys, without what they are known by. */
void api_keys_list(struct admin_call *call);
/* Makes one, and shows it this once. */
void api_keys_add(struct admin_call *call);
/* Ends one. */
void api_keys_revoke(struct admin_call *call);
/* Takes all that control has made, in place of those before. */
void api_keys_put(struct admin_call *call);
/* Of the last control that was heard, of whatever; a lower one is not obeyed. 0: none was. */
int64_t api_control_epoch(const struct manager *m);

#endif
