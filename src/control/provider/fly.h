/* SPDX-License-Identifier: Apache-2.0
 *
 * The provider `fly`: units are machines of an app at Fly.io, by its Machines API. They are reached
 * over the private network (6PN), where Fly sees no traffic, so that none of them has a service
 * that Fly Proxy would serve, start or stop. What a machine printed the API does not tell: a log
 * has its events. One that rests is stopped, or suspended where that is wished and can be; one that
 * is to begin anew is always stopped. Control's one thread.
 */
#ifndef CONTROL_PROVIDER_FLY_H
#define CONTROL_PROVIDER_FLY_H

#include "sluice/provider.h"

extern const struct provider provider_fly;

#endif
