/* SPDX-License-Identifier: Apache-2.0
 *
 * The field tables of the file, one per part, and the steps of loading that know them. For load.c,
 * schema.c and reference.c. Tables are const and end in FIELD_END.
 */
#ifndef CONFIG_CONF_TABLE_H
#define CONFIG_CONF_TABLE_H

#include "config/conf.h"
#include "config/field.h"

extern const struct field conf_root_fields[];
extern const struct field conf_listener_fields[];
extern const struct field conf_certificate_fields[];
extern const struct field conf_tls_fields[];
extern const struct field conf_target_tls_fields[];
extern const struct field conf_admin_fields[];
extern const struct field conf_control_fields[];
extern const struct field conf_notices_fields[];
extern const struct field conf_traces_fields[];
extern const struct field conf_timeout_fields[];
extern const struct field conf_limit_fields[];
extern const struct field conf_log_fields[];
extern const struct field conf_redis_fields[];
extern const struct field conf_route_fields[];
extern const struct field conf_service_fields[];
extern const struct field conf_health_fields[];
extern const struct field conf_outlier_fields[];
extern const struct field conf_breaker_fields[];
extern const struct field conf_retry_fields[];
extern const struct field conf_sticky_fields[];
extern const struct field conf_answer_fields[];
extern const struct field conf_fallback_fields[];
extern const struct field conf_hold_fields[];
extern const struct field conf_adaptive_fields[];
extern const struct field conf_target_limit_fields[];
extern const struct field conf_discover_fields[];
extern const struct field conf_release_fields[];
extern const struct field conf_deploy_fields[];
extern const struct field conf_verdict_fields[];
extern const struct field conf_scale_fields[];
extern const struct field conf_slo_fields[];
extern const struct field conf_wake_fields[];
extern const struct field conf_assign_fields[];
extern const struct field conf_provider_fields[];
extern const struct field conf_fly_fields[];
extern const struct field conf_railway_fields[];
extern const struct field conf_network_element; /* of a list of networks: struct cidr */
extern const struct field conf_target_element;  /* of a list of targets */

#define CONF_PLATFORM_JSON "{\"type\":[\"string\",\"array\"],\"items\":{\"type\":\"string\"}}"

/* Hook of `filters`: fills a struct conf_filters from a list of one-key maps. */
bool conf_filters_decode(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *member);
/* Hook of `platform`: one or a list of them; a struct conf_platforms. */
bool conf_platforms_decode(struct decoder *decoder, const struct field *field,
                           const struct node *node, void *member);
/* Hook of a network; a struct cidr. */
bool conf_network_decode(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *member);
/* Whose word holds at each listener; needs all that is written. */
void conf_complete_trust(struct decoder *decoder);
/* Adds to the filters of all routes those that are there even when nobody writes them. */
void conf_filters_complete(struct decoder *decoder, struct conf_filters *filters);
/* Hook of a host pattern: lower-cases it; a struct conf_text. */
bool conf_host_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                      void *member);
/* Hook of a service's `tls`: `off` or a map; a struct conf_target_tls. */
bool conf_target_tls_decode(struct decoder *decoder, const struct field *field,
                            const struct node *node, void *member);

/* Hook of what is `on`, `off` or a map; a struct whose first member is a bool. */
bool conf_switch_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                        void *member);
#define CONF_SWITCH_JSON "{\"enum\":[\"on\",\"off\",true,false]}"
/* Hook of a service's `fallback`: a service's name, or a map; a struct conf_fallback. */
bool conf_fallback_decode(struct decoder *decoder, const struct field *field,
                          const struct node *node, void *member);

/* Hook of a service's `split`: a map of release to share; the shares of a struct conf_service. */
bool conf_split_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                       void *member);

/* Fills what the file left out: a listener, the admin socket, a route for one service. */
void conf_complete(struct decoder *decoder);
/* Looks across the whole: references, duplicates, what goes together. Reports all. */
void conf_check(struct decoder *decoder);

#endif
