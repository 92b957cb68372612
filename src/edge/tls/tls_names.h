/* SPDX-License-Identifier: Apache-2.0
 *
 * Which certificates are for which name: a sorted table of exact names and wildcards, each with at
 * most one certificate of each key type. Part of a tls_server, built once, then read by all
 * workers. Certificates are borrowed.
 */
#ifndef EDGE_TLS_TLS_NAMES_H
#define EDGE_TLS_TLS_NAMES_H

#include "tls/certificate.h"

/* What stands side by side for a name; NULL: none of that type. */
struct tls_names_set {
    const struct certificate *by_kind[CERTIFICATE_KINDS];
};

struct tls_name {
    struct str name; /* in its certificate's memory */
    uint32_t order;  /* in which it was added */
    struct tls_names_set set;
};

struct tls_names {
    struct tls_name *items; /* sorted by name */
    uint32_t count, capacity;
};

/* Adds the certificate for each of its names; of two of one type the first stays. False: memory. */
bool tls_names_add(struct tls_names *names, const struct certificate *certificate);
/* After the last: sorts, and gives exact names what their wildcards have beside. */
void tls_names_finish(struct tls_names *names);
void tls_names_fini(struct tls_names *names);

/* For `name` in lower case: exact, else by a wildcard for its first label; NULL: none. */
const struct tls_names_set *tls_names_find(const struct tls_names *names, struct str name);

#endif
