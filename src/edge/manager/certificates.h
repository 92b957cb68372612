/* SPDX-License-Identifier: Apache-2.0
 *
 * What the manager does about certificates: looks whether files have changed, those of filters too,
 * and has them read again, turns the keys of session tickets, forgets challenges, and says what is
 * served. Manager thread, unless a function says otherwise.
 */
#ifndef EDGE_MANAGER_CERTIFICATES_H
#define EDGE_MANAGER_CERTIFICATES_H

#include "config/conf.h"

struct builder;
struct diag;
struct manager;
struct manager_change;

/* What is known of the files; part of the manager. */
struct certificates {
    uint64_t built, seen; /* identities of all files: as they are served, at the last look */
    bool is_looking;
    unsigned ticks;
};

/* Memory for tickets and challenges; before the workers start. May block. False: no memory. */
bool certificates_open(struct manager *m);
void certificates_close(struct manager *m);

/* A second has passed. */
void certificates_tick(struct manager *m);
/* A change has ended: notes what was read, and tells of what could not be. */
void certificates_built(struct manager *m, const struct builder *builder,
                        const struct manager_change *change);

/* Any thread: which files the configuration names, and in what state; 0: it names none. Blocking.
 */
uint64_t certificates_identity(const struct conf *conf);

/* A name that certificates are served for, and until when: of several the one that ends first. */
struct certificates_domain {
    struct str name; /* the snapshot's */
    int64_t not_after_s;
};
/* Sorted, each name once, in `arena`; those of self-signed ones are left out. */
uint32_t certificates_domains(const struct manager *m, struct arena *arena,
                              struct certificates_domain **domains);

#endif
