/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks at the files that a configuration's `tls` names, for `sluice check` and each load.
 * Blocking.
 */
#ifndef EDGE_TLS_TLS_CHECK_H
#define EDGE_TLS_TLS_CHECK_H

#include "config/conf.h"

/* For check_tls of struct conf_world. */
void tls_check(const struct conf *conf, struct diag *diag);

#endif
