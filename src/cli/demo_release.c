/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice demo-app RELEASE`: what the gateway of `sluice demo` starts for a release of its service
 * `store`, on the port in PORT. What is in its name is what is wrong with it: `bad` fails a third
 * of its requests, `slow` takes six times as long, `crash` does not come up. Not for people.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "cli/cli.h"
#include "cli/demo_app.h"

enum { USUAL_MS = 10, SLOW_MS = 60, BAD_EACH = 3 };

/* 0: there is none. */
static uint16_t find_port(void)
{
    const char *text = getenv("PORT");
    unsigned long port = text ? strtoul(text, NULL, 10) : 0;

    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

int cli_demo_app(int argc, char **argv)
{
    uint16_t port = find_port();
    struct demo_app app;

    if (argc != 2 || !port) {
        fprintf(stderr, "sluice demo-app: started by `sluice demo`, not by hand\n");
        return 2;
    }
    prctl(PR_SET_NAME, "sluice-demo-app");
    if (strstr(argv[1], "crash")) {
        fprintf(stderr, "no configuration, giving up\n");
        return 1;
    }
    if (demo_app_open(&app, argv[1], port)) {
        fprintf(stderr, "cannot listen on port %u: %s\n", port, strerror(errno));
        return 1;
    }
    app.manner.delay_ms = strstr(argv[1], "slow") ? SLOW_MS : USUAL_MS;
    app.manner.fails_each = strstr(argv[1], "bad") ? BAD_EACH : 0;
    return demo_app_serve(&app);
}
