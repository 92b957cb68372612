/* SPDX-License-Identifier: Apache-2.0
 *
 * The endpoints of the admin API, one function each, named in the table of admin_dispatch.c. Each
 * gets a call whose rights were checked and whose body is whole, and answers it exactly once, at
 * once or later. Manager thread.
 */
#ifndef EDGE_MANAGER_API_H
#define EDGE_MANAGER_API_H

#include "edge/manager/api_service.h"

/* --- api_health.c */
/* The process lives. */
void api_health(struct admin_call *call);
/* It serves: 503 while it starts or drains. */
void api_ready(struct admin_call *call);
/* The dashboard at /, and its files. */
void api_page(struct admin_call *call);
/* Who asks, by which cookie; one for a token, and its end. */
void api_session_get(struct admin_call *call);
void api_session_begin(struct admin_call *call);
void api_session_end(struct admin_call *call);

/* --- api_metrics.c */
/* Prometheus text. */
void api_metrics(struct admin_call *call);

/* --- api_status.c */
/* Everything that runs. */
void api_status(struct admin_call *call);

/* --- api_routes.c */
/* All routes, or with ?match= those that could take a request. */
void api_routes(struct admin_call *call);

/* --- api_requests.c */
/* Why a request went where it went. */
void api_request_get(struct admin_call *call);

/* --- api_spans.c */
/* What is traced, for control, who has all up to ?after=. */
void api_spans_get(struct admin_call *call);

/* --- api_config.c */
/* The running file. */
void api_config_get(struct admin_call *call);
/* Replaces it, for good or until ?confirm= has passed; with ?dry_run=true only checks. */
void api_config_put(struct admin_call *call);
/* Reads the file again. */
void api_reload(struct admin_call *call);

/* --- api_confirm.c */
/* Keeps what waits to be confirmed. */
void api_config_confirm(struct admin_call *call);
/* A second has passed: takes back what was not confirmed in time. */
void api_confirm_tick(struct admin *admin);

/* --- api_mode.c */
/* Holds the service's requests; {"on": false} lets them go. */
void api_mode_pause(struct admin_call *call);
/* Ends pausing and maintenance. */
void api_mode_resume(struct admin_call *call);
/* Answers in place of the service's targets; {"on": false} ends that. */
void api_mode_maintenance(struct admin_call *call);
/* "running", "paused" or "maintenance". */
const char *api_mode_name(enum service_mode mode);

/* --- api_shield.c */
/* Whether the shield is up, and until when. */
void api_shield_get(struct admin_call *call);
/* {"on": true, "for": "30m"} puts it up, {"on": false} down; answers when that is saved. */
void api_shield_set(struct admin_call *call);
/* The same for the status. */
json_t *api_shield_status(const struct manager *m);
/* Keys and users that filters know, for the status. */
json_t *api_credentials_status(const struct manager *m);
/* A second has passed: tells when its time is over. */
void api_shield_tick(struct admin *admin);

/* --- api_targets.c */
/* Adds a target to a service. */
void api_target_add(struct admin_call *call);
/* Removes one. */
void api_target_remove(struct admin_call *call);
/* Gives it no new requests; ?wait= answers when it has none left. */
void api_target_drain(struct admin_call *call);
/* Takes draining back. */
void api_target_enable(struct admin_call *call);
/* Looks at the targets that somebody waits for. */
void api_target_poll(struct admin *admin);

/* --- api_split.c */
/* The share of each release, and which is stable. */
void api_split_get(struct admin_call *call);
/* Gives each release its share; ?stable= says which one is stable from now on. */
void api_split_put(struct admin_call *call);
/* As the file has it. */
void api_split_reset(struct admin_call *call);

/* --- api_releases.c */
/* Control says which releases there are, and their shares. */
void api_releases_put(struct admin_call *call);

/* --- api_counters.c */
/* What releases are judged by, for control. */
void api_counters(struct admin_call *call);
void api_counters_fini(struct counters *counters);

/* Adds what routes or targets have answered, and the edges of all buckets, to that answer. */
void api_counters_routes(struct manager *m, json_t *answer);
void api_counters_targets(struct manager *m, json_t *answer);

/* --- api_probe.c: sends requests of our own to a release. */
void api_probe(struct admin_call *call);

/* --- api_certificates.c */
/* All certificates, without keys. */
void api_certificates_get(struct admin_call *call);
/* Takes one, and answers when every worker serves it. */
void api_certificates_put(struct admin_call *call);
/* Forgets one. */
void api_certificates_remove(struct admin_call *call);
/* What is served, in short, for the status. */
json_t *api_certificates_status(const struct manager *m);

/* --- api_challenges.c */
/* Takes the answer to a challenge of a certificate authority. */
void api_challenge_put(struct admin_call *call);
/* Forgets it. */
void api_challenge_remove(struct admin_call *call);

/* --- api_pass.c */
/* Has control answer. */
void api_pass(struct admin_call *call);
/* Control has edges beside this one, and what is of all of them is its own. */
bool api_is_in_command(const struct manager *m);

/* --- api_upgrade.c */
/* Has the supervisor start the binary anew. */
void api_upgrade(struct admin_call *call);

/* --- events.c */
/* Turns the connection into a stream of events. */
void events_follow(struct admin_call *call);
/* Tells all that follow. */
void events_tell(struct admin *admin, const char *kind, struct str data);
/* A second has passed: keep-alives. */
void events_tick(struct admin *admin);

#endif
