/* SPDX-License-Identifier: Apache-2.0
 *
 * From facts to what a person is told. Pure.
 */
#ifndef CLI_DOCTOR_JUDGE_H
#define CLI_DOCTOR_JUDGE_H

#include "cli/doctor_facts.h"

enum { DOCTOR_FINDINGS = 12, DOCTOR_WORDS = 640, DOCTOR_FIX = 480 };

struct doctor_finding {
    const char *slug; /* static, stable */
    bool is_note;     /* worth knowing; nothing is wrong */
    char words[DOCTOR_WORDS], fix[DOCTOR_FIX];
};

struct doctor_findings {
    struct doctor_finding items[DOCTOR_FINDINGS];
    unsigned count;
};

/* Adds what the facts say. */
void doctor_judge(const struct doctor_facts *facts, struct doctor_findings *findings);

/* The same of the listeners: `is_inside` as in struct doctor_facts. */
void doctor_judge_listeners(const struct conf *conf, bool is_inside,
                            struct doctor_findings *findings);

/* --- for the files of the judgement */

/* Adds one; its words are given, its fix is not yet. More than there is room for go into one that
 * is not kept. */
struct doctor_finding *doctor_judge_add(struct doctor_findings *findings, const char *slug,
                                        const char *format, ...) PRINTF(3, 4);
void doctor_judge_fix(struct doctor_finding *finding, const char *format, ...) PRINTF(2, 3);
/* A port is open, and no HTTP comes of it. */
void doctor_judge_silence(const struct doctor_facts *facts, struct doctor_findings *findings);
/* There is an answer. */
void doctor_judge_answer(const struct doctor_facts *facts, struct doctor_findings *findings);

#endif
