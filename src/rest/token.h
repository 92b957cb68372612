/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks: bearer tokens and their rights, and the names under which the admin port may be asked.
 * Pure.
 */
#ifndef REST_TOKEN_H
#define REST_TOKEN_H

#include "config/conf.h"

/* Rights (1 << enum conf_right) of the credentials in an Authorization value; 0: of nobody. How
 * long it takes tells nothing about the tokens but how many there are. */
uint32_t token_rights(const struct conf_admin *admin, struct str authorization);

/* The same of a token by itself; `name` (NULL: not wanted) is set if it is one of ours. */
uint32_t token_match(const struct conf_admin *admin, struct str offered, struct str *name);

/* The name of the token there; absent: it is none of ours. */
struct str token_name(const struct conf_admin *admin, struct str authorization);

/* Whether a Host (host[:port]) may stand in a request over TCP: an address, localhost, or the host
 * of the admin's own bind. Any other name could be one that an attacker's DNS points here. */
bool token_host_is_ours(const struct conf_admin *admin, struct str host);

/* Whether an Origin value is the site that `host` (host[:port]) names, by http or https. */
bool token_origin_is_same(struct str origin, struct str host);

#endif
