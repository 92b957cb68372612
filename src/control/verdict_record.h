/* SPDX-License-Identifier: Apache-2.0
 *
 * A verdict as JSON, exact to the last bit, so that a control that is restarted in mid-deploy goes
 * on with what was seen and does not spend its chance of a false alarm again. Pure; any thread.
 */
#ifndef CONTROL_VERDICT_RECORD_H
#define CONTROL_VERDICT_RECORD_H

#include <jansson.h>

#include "control/verdict.h"

/* The caller's; NULL: no memory. */
json_t *verdict_record(const struct verdict *verdict);
/* False: it is damaged, or of another version; *verdict is then not to be used. */
bool verdict_read(const json_t *record, struct verdict *verdict);

#endif
