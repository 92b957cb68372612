/* SPDX-License-Identifier: Apache-2.0
 *
 * How the commands put what the admin API answers into words.
 */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <jansson.h>

/* A member's text; "-": there is none. */
const char *show_text(const json_t *object, const char *name);
/* A member's number; 0: there is none. */
long long show_number(const json_t *object, const char *name);

/* Of a target in a status: "drained", or what is known: "up", "down", "unknown", "ejected". */
const char *show_state(const json_t *target);
/* "12s", "5m", "3h", "2d"; fills `text` and gives it. */
const char *show_age(long long seconds, char text[16]);

/* Of a service that is scaled, as control says: "is awake: 2 of 3 units are up"; fills `text` and
 * gives it. */
enum { SHOW_SCALE = 320 };
const char *show_scale(const json_t *service, char text[SHOW_SCALE]);

/* To stderr: which edges have not got a change, as `lacking` of its answer says, and what follows:
 * "does not know key 1234 yet". CLIENT_OK: all have; else CLIENT_WAITS. */
int show_lacking(const json_t *answer, const char *follows);

/* To stderr, with the nearest name that there is: the service is not among these. */
void show_unknown_service(const char *name, const json_t *services);

#endif
