/* SPDX-License-Identifier: Apache-2.0
 *
 * Ctrl-C while a deploy is waited for: in a terminal it asks what is meant, and a second one
 * leaves; elsewhere it leaves at once, and so does SIGTERM everywhere. One thread, which has both
 * signals blocked.
 */
#ifndef CLI_DEPLOY_ASK_H
#define CLI_DEPLOY_ASK_H

#include <stdbool.h>
#include <termios.h>

enum deploy_wish {
    DEPLOY_WISH_NONE,
    DEPLOY_WISH_LEAVE, /* the deploy goes on by itself */
    DEPLOY_WISH_ABORT,
};

struct deploy_ask {
    int signals;  /* a descriptor; -1: there is none */
    bool can_ask; /* there is somebody to be asked */
    bool is_asking;
    struct termios before; /* is_asking: how the terminal was */
};

/* `is_shown`: a question can be seen. */
void deploy_ask_open(struct deploy_ask *ask, bool is_shown);
/* Waits so long, or until something was said. */
enum deploy_wish deploy_ask_wait(struct deploy_ask *ask, int ms);
/* What is to be shown; NULL: nothing is asked. Static. */
const char *deploy_ask_question(const struct deploy_ask *ask);
/* Leaves the terminal as it was. */
void deploy_ask_close(struct deploy_ask *ask);

#endif
