/* SPDX-License-Identifier: Apache-2.0
 *
 * Which targets there are: those that are written, and those that discovery would find now. What
 * comes of each is kept with it. One thread; getaddrinfo() blocks.
 */
#ifndef CLI_DOCTOR_LIST_H
#define CLI_DOCTOR_LIST_H

#include "cli/doctor_judge.h"

struct doctor_entry {
    const struct conf_service *service;
    const struct conf_target *target; /* NULL: there is none, and the findings say why */
    struct str name;                  /* its address, or what was to be discovered */
    struct probe_result result;       /* of the dial that was judged last */
    struct doctor_findings findings;
    struct doctor_entry *next;
};

struct doctor_list {
    struct doctor_entry *first, **last;
    struct arena *arena; /* borrowed; of the entries and texts */
    unsigned targets;    /* entries that have one */
    bool is_inside;      /* see struct doctor_facts */
    struct doctor_findings listeners;
};

void doctor_list_init(struct doctor_list *list, struct arena *arena, bool is_inside);
/* False: memory. */
MUST_USE bool doctor_list_add(struct doctor_list *list, const struct conf_service *service);

/* Nothing but notes: of these, or of all. */
bool doctor_list_is_fine(const struct doctor_findings *findings);
bool doctor_list_is_good(const struct doctor_list *list);

#endif
