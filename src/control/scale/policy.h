/* SPDX-License-Identifier: Apache-2.0
 *
 * What a configuration says of scaling, in the words of the decision. Pure; any thread.
 */
#ifndef CONTROL_SCALE_POLICY_H
#define CONTROL_SCALE_POLICY_H

#include "config/conf_scale.h"
#include "control/scale/decide.h"

/* Fills `windows`, which the policy borrows. */
struct scale_policy policy_of(const struct conf_scale *conf,
                              struct scale_window windows[static CONF_WINDOWS_MAX]);

#endif
