/* SPDX-License-Identifier: Apache-2.0
 *
 * The provider `railway`: a unit is a deployment of one of the services that the configuration
 * names. A service of Railway has one release at a time, so units of two releases run side by side
 * where there is a pair of services. Which unit a service holds is written into a variable of its
 * own, before it is deployed: what the platform says is all there is, and nothing is kept here.
 * Control's one thread.
 */
#ifndef CONTROL_PROVIDER_RAILWAY_H
#define CONTROL_PROVIDER_RAILWAY_H

#include "sluice/provider.h"

extern const struct provider provider_railway;

#endif
