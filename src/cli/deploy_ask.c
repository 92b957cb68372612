/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/deploy_ask.h"

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

void deploy_ask_open(struct deploy_ask *ask, bool is_shown)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    *ask = (struct deploy_ask){.signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC),
                               .can_ask = is_shown && isatty(STDIN_FILENO)};
}

/* Keys count as they are pressed, and leave no trace. Not in the background, where the terminal is
 * another's. */
static bool begin(struct deploy_ask *ask)
{
    struct termios keys;

    if (!ask->can_ask || tcgetpgrp(STDIN_FILENO) != getpgrp() ||
        tcgetattr(STDIN_FILENO, &ask->before))
        return false;
    keys = ask->before;
    keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    keys.c_cc[VMIN] = 1;
    keys.c_cc[VTIME] = 0;
    // What was typed before was no answer.
    ask->is_asking = !tcsetattr(STDIN_FILENO, TCSAFLUSH, &keys);
    return ask->is_asking;
}

static void end(struct deploy_ask *ask)
{
    if (ask->is_asking)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &ask->before);
    ask->is_asking = false;
}

static enum deploy_wish take_signal(struct deploy_ask *ask)
{
    struct signalfd_siginfo info;

    if (read(ask->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return DEPLOY_WISH_NONE;
    if (info.ssi_signo != SIGINT || ask->is_asking || !begin(ask))
        return DEPLOY_WISH_LEAVE;
    return DEPLOY_WISH_NONE;
}

static enum deploy_wish take_key(struct deploy_ask *ask)
{
    char key = 0;

    if (read(STDIN_FILENO, &key, 1) != 1)
        key = 'd'; // nobody is there any more
    end(ask);
    if (key == 'a' || key == 'A')
        return DEPLOY_WISH_ABORT;
    return key == 'd' || key == 'D' ? DEPLOY_WISH_LEAVE : DEPLOY_WISH_NONE;
}

enum deploy_wish deploy_ask_wait(struct deploy_ask *ask, int ms)
{
    struct pollfd fds[] = {{.fd = ask->signals, .events = POLLIN},
                           {.fd = ask->is_asking ? STDIN_FILENO : -1, .events = POLLIN}};

    if (poll(fds, 2, ms) <= 0)
        return DEPLOY_WISH_NONE;
    if (fds[0].revents)
        return take_signal(ask);
    return fds[1].revents ? take_key(ask) : DEPLOY_WISH_NONE;
}

const char *deploy_ask_question(const struct deploy_ask *ask)
{
    return ask->is_asking
               ? "  d: let it go on without you   a: abort it   any other key: keep watching"
               : NULL;
}

void deploy_ask_close(struct deploy_ask *ask)
{
    end(ask);
    if (ask->signals >= 0)
        close(ask->signals);
    ask->signals = -1;
}
