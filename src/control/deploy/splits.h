/* SPDX-License-Identifier: Apache-2.0
 *
 * Splits by hand where there are several edges: what a person says becomes a part of what control
 * knows of the service, is written with its entry in the ledger, told to every edge, and answered
 * when all that are waited for have it in all their workers, or when those that lack it have been
 * out of reach for ten seconds. The next deploy begins from it. Control's one thread.
 */
#ifndef CONTROL_DEPLOY_SPLITS_H
#define CONTROL_DEPLOY_SPLITS_H

#include "control/deploy/deploys.h"

/* The asker's, untouched by it until told. */
struct splits_change {
    const char *service, *actor; /* borrowed, as the next ones */
    const char *stable;          /* NULL: as it is */
    struct str body;             /* {release: share}; empty: as it is */
    bool is_reset;               /* as it is without a word of anybody's; neither of these */
    /* `answer`: {"service", "split", "stable"}; NULL: `problem`. `lacking`: [{"name", "error"}] of
     * the edges that have not got it, NULL: none. Both are the callee's. */
    void (*done)(struct splits_change *change, const struct deploys_problem *problem,
                 json_t *answer, json_t *lacking);
    struct splits_change *next; /* from here on private */
    enum { SPLIT_WAITS, SPLIT_IS_STORED, SPLIT_SPREADS } stage;
    json_t *before; /* the split and the stable release of before; NULL: it is stored */
    int64_t revision, since_ms;
};

void splits_change(struct deploys *deploys, struct splits_change *change);
/* How a service is split, as the answer to a change. NULL: `problem`. */
json_t *splits_show(const struct deploys *deploys, const char *service,
                    struct deploys_problem *problem);

/* --- for the other files of deploys */
struct managed;
struct deploy;
void splits_tick(struct managed *managed, int64_t now_ms);
/* What edges are told: the shares of all, those of a deploy's new release as it wants. NULL: no
 * memory. */
json_t *splits_wanted(const struct managed *managed, const char *stable);
/* The release that a deploy is to take the place of; NULL: nobody has said anything yet. */
const char *splits_old(const struct managed *managed);

#endif
