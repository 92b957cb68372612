/* SPDX-License-Identifier: Apache-2.0
 *
 * One of the small apps behind `sluice demo`: an HTTP/1.1 server. It
 * answers / (a page), /headers (what it received, as JSON), /slow?ms=N, /status/N, POST /echo (the
 * body comes back as it comes in), and everything else with a line of text.
 */
#ifndef CLI_DEMO_APP_H
#define CLI_DEMO_APP_H

#include "sluice/types.h"

/* What is wrong with it, on purpose. */
struct demo_manner {
    uint32_t delay_ms;   /* before each answer */
    uint32_t fails_each; /* each so manyth request is answered by 500; 0: none */
};

struct demo_app {
    const char *name; /* borrowed; letters, digits and ._- */
    int fd;           /* a listening TCP socket on loopback */
    uint16_t port;    /* of it */
    struct demo_manner manner;
};

/* Opens the socket, on a port that the kernel chooses where `port` is 0. E_IO with errno. */
MUST_USE enum status demo_app_open(struct demo_app *app, const char *name, uint16_t port);
/* Serves it, here and without end; gives an exit status when that cannot be. */
int demo_app_serve(const struct demo_app *app);
/* Has it served by a process of its own, see demo_process.h, and closes the socket here. E_IO with
 * errno. */
MUST_USE enum status demo_app_start(struct demo_app *app);

#endif
