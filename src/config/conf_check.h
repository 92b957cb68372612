/* SPDX-License-Identifier: Apache-2.0
 *
 * What conf_check.c, conf_check_route.c and conf_check_tls.c share. Each reports and goes on. One
 * thread.
 */
#ifndef CONFIG_CONF_CHECK_H
#define CONFIG_CONF_CHECK_H

#include "config/conf_table.h"

enum { CONF_TARGETS_MAX = 4096 };

/* False, with an error, when a control character is in it. */
bool conf_check_text(struct diag *diag, const struct conf_text *text);
/* A name: short enough and without control characters. */
void conf_check_name(struct diag *diag, const struct conf_text *name);
/* The error that `text` stands twice. */
void conf_check_twice(struct diag *diag, const char *what, const struct conf_text *text,
                      const struct conf_text *first);
void conf_check_routes(struct decoder *decoder);
/* `tls` of listeners and services, and what goes with it. */
void conf_check_tls(struct decoder *decoder);
void conf_check_control(struct decoder *decoder);
void conf_check_notices(struct decoder *decoder);
void conf_check_traces(struct decoder *decoder);
/* `provider` of a service, and what goes with it. */
void conf_check_provider(struct diag *diag, const struct conf_service *service);

/* `provider: {fly}` and `{railway}` of a service, and what goes together in them. */
void conf_check_fly(struct diag *diag, const struct conf *conf, const struct conf_service *service);
void conf_check_railway(struct diag *diag, const struct conf *conf,
                        const struct conf_service *service);

/* --- conf_check_service.c */
void conf_check_services(struct decoder *decoder);
/* That there are not too many targets, and that they are told apart; `at`: of the whole. */
void conf_check_targets(struct diag *diag, struct span at, const struct conf_target *targets,
                        uint32_t count);
/* Its releases, split, and who is assigned to which. */
void conf_check_releases(struct diag *diag, const struct conf_service *service);
/* conf_verdict.c: what a new release is held to. */
void conf_check_verdict(struct diag *diag, const struct conf_verdict *verdict);
/* conf_scale.c: how many units there are. */
void conf_check_scale(struct diag *diag, const struct conf_service *service);
/* conf_slo.c: what it is to keep to. */
void conf_check_slo(struct diag *diag, const struct conf_slo *slo);
/* Says that there is no such service, and which one may be meant. */
void conf_check_unknown_service(struct diag *diag, const struct conf *conf,
                                const struct conf_text *name);

#endif
