/* SPDX-License-Identifier: Apache-2.0
 *
 * What is to be seen of a deploy while it is waited for: lines of its log, that stay; and below
 * them, in a terminal, how it stands right now, drawn over again and again. On stdout; one thread.
 */
#ifndef CLI_DEPLOY_VIEW_H
#define CLI_DEPLOY_VIEW_H

#include <jansson.h>
#include <stdbool.h>

struct deploy_view {
    bool is_live;         /* there is a terminal to draw on */
    unsigned lines;       /* that are drawn and not yet rubbed out */
    long long printed_ms; /* time of the last line of the log that was printed */
    unsigned printed;     /* lines of that very time */
};

void deploy_view_init(struct deploy_view *view);
/* Prints what the log has that was not printed. */
void deploy_view_log(struct deploy_view *view, const json_t *deploy);
/* Draws how it stands, and `question` below it; NULL: none. */
void deploy_view_draw(struct deploy_view *view, const json_t *deploy, const char *question);
/* Rubs out what is drawn. */
void deploy_view_clear(struct deploy_view *view);

#endif
