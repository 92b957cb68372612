/* SPDX-License-Identifier: Apache-2.0
 *
 * One of the small apps behind `sluice demo`: an HTTP/1.1 server in a process of its own. It
 * answers / (a page), /headers (what it received, as JSON), /slow?ms=N, /status/N, POST /echo (the
 * body comes back as it comes in), and everything else with a line of text.
 */
#ifndef CLI_DEMO_APP_H
#define CLI_DEMO_APP_H

#include "sluice/types.h"

struct demo_app {
    const char *name; /* borrowed; letters */
    int fd;           /* a listening TCP socket on loopback */
    uint16_t port;    /* of it */
};

/* Opens the socket on a port that the kernel chooses. E_IO with errno. */
MUST_USE enum status demo_app_open(struct demo_app *app, const char *name);
/* Forks the process that serves it, and closes the socket here. The process ends when the thread
 * that called this does, and by SIGKILL: signals that a terminal sends to all are the gateway's to
 * obey. E_IO with errno. */
MUST_USE enum status demo_app_start(struct demo_app *app);

#endif
