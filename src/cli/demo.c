/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice demo`: two apps, a configuration that shows what can be written, and a gateway with it.
 * Owns the scratch directory and the apps; both outlive an upgrade of the binary, and end with the
 * command.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "cli/cli.h"
#include "cli/demo_app.h"
#include "cli/scratch.h"

enum { GATEWAY_PORT = 8080, ADMIN_PORT = 9900 };

struct demo {
    struct scratch scratch;
    struct demo_app one, two;
    uint16_t port, admin_port;
    const char *program; /* what a shell understands as this program */
};

/* Arguments: 1 directory, 2 and 3 the ports of gateway and admin, 4 and 5 those of the apps. */
static const char config_text[] =
    "# The configuration of `sluice demo`. Change it, then say `sluice reload`: what is wrong is\n"
    "# told with its line, and what served before serves on. It is gone when the demo ends.\n"
    "state: %1$s/state          # what the admin API changed, and the socket of the command line\n"
    "\n"
    "listeners:\n"
    "  - bind: \"127.0.0.1:%2$u\"\n"
    "\n"
    "admin:\n"
    "  bind: \"127.0.0.1:%3$u\"   # without a token TCP may only read; the socket may everything\n"
    "\n"
    "timeouts:\n"
    "  drain: 5s                # how long requests may take to finish when all ends\n"
    "\n"
    "log:\n"
    "  path: %1$s/access.log\n"
    "  format: json             # or common\n"
    "\n"
    "filters:                   # on every route\n"
    "  - headers:\n"
    "      request:\n"
    "        set: {x-demo: \"yes\"}             # the apps see it: /api/headers\n"
    "      response:\n"
    "        set: {x-content-type-options: nosniff}\n"
    "\n"
    "routes:                    # the most specific wins, whatever the order\n"
    "  - name: api\n"
    "    paths: [\"/api/*\"]\n"
    "    service: api\n"
    "    rewrite: {strip_prefix: /api}        # the app is asked for /headers\n"
    "  - name: old\n"
    "    paths: [/old]\n"
    "    redirect: {to: \"/?from=${path}\", status: 308}\n"
    "  - name: robots\n"
    "    paths: [/robots.txt]\n"
    "    respond: {status: 200, body: \"User-agent: *\\nDisallow: /api/\\n\"}\n"
    "  - name: shop             # all the rest\n"
    "    service: shop\n"
    "\n"
    "services:\n"
    "  shop:\n"
    "    targets:\n"
    "      - {id: one, address: \"127.0.0.1:%4$u\"}\n"
    "      - {id: two, address: \"127.0.0.1:%5$u\"}\n"
    "    balance: round_robin\n"
    "  api:\n"
    "    targets:\n"
    "      - {id: two, address: \"127.0.0.1:%5$u\"}\n";

static bool start_apps(struct demo *demo)
{
    if (!demo_app_open(&demo->one, "one") && !demo_app_open(&demo->two, "two") &&
        !demo_app_start(&demo->one) && !demo_app_start(&demo->two))
        return true;
    fprintf(stderr, "sluice demo: cannot start the demo apps: %s\n", strerror(errno));
    return false;
}

static bool find_port(uint16_t *port, uint16_t first, const char *what)
{
    *port = scratch_port(first);
    if (!*port)
        fprintf(stderr, "sluice demo: no port for %s: %u and those after it are in use\n", what,
                first);
    else if (*port != first)
        printf("Port %u is in use: %s takes %u.\n", first, what, *port);
    return *port != 0;
}

static bool write_config(const struct demo *demo)
{
    struct arena arena;
    struct str text;
    bool is_written;

    arena_init(&arena, NULL, 0);
    text = arena_format(&arena, config_text, demo->scratch.path, demo->port, demo->admin_port,
                        demo->one.port, demo->two.port);
    is_written = text.p && scratch_write(&demo->scratch, text);
    arena_reset(&arena);
    return is_written;
}

static void say_requests(const struct demo *demo)
{
    printf("A gateway on http://127.0.0.1:%u/ in front of two small apps, one (port %u) and two "
           "(port %u).\nTry in another terminal:\n\n",
           demo->port, demo->one.port, demo->two.port);
    printf("  curl http://127.0.0.1:%u/                   # one of the two answers\n", demo->port);
    printf("  curl http://127.0.0.1:%u/api/headers        # what an app receives\n", demo->port);
    printf("  curl -d hello http://127.0.0.1:%u/echo\n", demo->port);
    printf("  curl 'http://127.0.0.1:%u/slow?ms=800'\n", demo->port);
    printf("  curl -i http://127.0.0.1:%u/status/503      # an app's own answer\n", demo->port);
    printf("  curl -i http://127.0.0.1:%u/old             # a redirect\n", demo->port);
    printf("  curl http://127.0.0.1:%u/robots.txt         # a fixed answer\n", demo->port);
    printf("  curl http://127.0.0.1:%u/metrics\n\n", demo->admin_port);
}

static void say_commands(const struct demo *demo)
{
    const char *program = demo->program, *path = demo->scratch.path;

    printf("  export SLUICE_ADMIN=unix:%s/state/admin.sock\n", path);
    printf("  %s status\n", program);
    printf("  %s routes --match http://127.0.0.1:%u/api/headers\n", program, demo->port);
    printf("  %s target drain shop one     # nothing is cut; two answers alone\n", program);
    printf("  %s target enable shop one\n", program);
    printf("  %s reload                    # after a change of %s\n", program,
           demo->scratch.config);
    printf("  tail %s/access.log\n\n", path);
    printf("The dashboard: http://127.0.0.1:%u/\nCtrl-C ends all of it and removes %s.\n\n",
           demo->admin_port, path);
    fflush(stdout);
}

/* False after saying why. */
static bool prepare(struct demo *demo)
{
    if (!start_apps(demo) || !find_port(&demo->port, GATEWAY_PORT, "the gateway") ||
        !find_port(&demo->admin_port, ADMIN_PORT, "the admin port") || !write_config(demo))
        return false;
    say_requests(demo);
    say_commands(demo);
    return true;
}

/* `text` as one word of a shell, in `out`; as it is when it cannot be. */
static const char *quote(const char *text, char *out, size_t size)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+";

    if (strspn(text, plain) == strlen(text) || strchr(text, '\'') ||
        snprintf(out, size, "'%s'", text) >= (int)size)
        return text;
    return out;
}

int cli_demo(int argc, char **argv)
{
    struct demo demo = {.program = argv[-1]};
    char path[PATH_MAX], quoted[PATH_MAX + 2];
    int code = 1;

    if (argc > 1) {
        fprintf(stderr, "sluice demo: what is \"%s\"?\nusage: sluice demo\n", argv[1]);
        return 2;
    }
    // The other terminal may be in another directory.
    if (strchr(demo.program, '/') && realpath(demo.program, path))
        demo.program = quote(path, quoted, sizeof(quoted));
    if (!scratch_open(&demo.scratch, "demo"))
        return 1;
    if (demo.scratch.is_inherited || prepare(&demo))
        code = cli_supervise(demo.scratch.config, false, argv - 1);
    scratch_close(&demo.scratch);
    return code;
}
