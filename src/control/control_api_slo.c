/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/slo: the objectives of services, and what is left of their error budgets.
 */
#include "control/control_api_impl.h"

void control_api_slo(struct control_call *call)
{
    rest_reply_json(&call->rest, 200,
                    json_pack("{s:o}", "services", slo_json(call->api->options.slo)));
}
