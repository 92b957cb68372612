/* SPDX-License-Identifier: Apache-2.0
 *
 * Deploys and scaling as Prometheus text. Control's one thread.
 */
#ifndef CONTROL_DEPLOY_DEPLOYS_METRICS_H
#define CONTROL_DEPLOY_DEPLOYS_METRICS_H

#include "control/deploy/deploys.h"
#include "rest/prometheus.h"

/* The families sluice_deploy*, sluice_scale* and sluice_service*. */
void deploys_metrics(const struct deploys *deploys, struct prometheus *text);

#endif
