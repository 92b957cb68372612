/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a request has its credentials: a field, a parameter of the query, a cookie. One alone: a
 * request with two is not believed, for a target might read the other. A worker's thread.
 */
#ifndef EDGE_AUTH_CREDENTIAL_H
#define EDGE_AUTH_CREDENTIAL_H

#include "base/arena.h"
#include "sluice/head.h"

/* Names; empty: not looked at. */
struct credential_places {
    struct str header; /* and what a target would take for it: "x_key" for "x-key" */
    struct str scheme; /* that Authorization must have (RFC 9110 section 11.4): "Bearer" */
    struct str query;  /* its name may be encoded; the value is as it is written */
    struct str cookie; /* case matters (RFC 6265 section 5.4) */
};

/* The credential, which points into the head. E_NOT_FOUND: there is none; E_CONFLICT: several. */
MUST_USE enum status credential_find(const struct credential_places *places,
                                     const struct head *head, struct str *found);
/* Takes the parameter out of the query, so that neither target nor log sees it. E_NOMEM. */
MUST_USE enum status credential_hide(const struct credential_places *places, struct head *head,
                                     struct arena *arena);

/* Whether a target may take the field for that one: CGI makes an underscore of a dash. */
bool credential_is_taken_for(const struct header *field, struct str name);
/* Removes all fields of that name, also those that a target would take for it: "x_user" for
 * "x-user". */
void credential_clear_field(struct head *head, struct str name);

/* token (RFC 9110 section 5.6.2): what names of fields, cookies and parameters are made of. */
bool credential_is_name(struct str name);
/* Whether it can stand between quotes in a challenge (RFC 9110 section 5.6.4), as it is. */
bool credential_is_quotable(struct str text);

#endif
