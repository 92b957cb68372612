/* SPDX-License-Identifier: Apache-2.0
 *
 * The providers by name. A new one is one file here, one line in this table, and its key in a
 * service's `provider`.
 */
#include "config/conf.h"
#include "control/provider/fly.h"
#include "control/provider/process.h"
#include "control/provider/railway.h"

const struct provider *const provider_registry[] = {&provider_process, &provider_fly,
                                                    &provider_railway, NULL};

const struct provider *provider_of(const struct conf_service *service)
{
    if (service->provider.process.is_set)
        return &provider_process;
    if (service->provider.fly.is_set)
        return &provider_fly;
    return service->provider.railway.is_set ? &provider_railway : NULL;
}
