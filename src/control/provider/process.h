/* SPDX-License-Identifier: Apache-2.0
 *
 * The provider `process`: units are apps on this machine, children of the supervisor, which starts
 * and ends them for us (see process/unit_wire.h). Control's one thread.
 */
#ifndef CONTROL_PROVIDER_PROCESS_H
#define CONTROL_PROVIDER_PROCESS_H

#include "sluice/provider.h"

extern const struct provider provider_process;

#endif
