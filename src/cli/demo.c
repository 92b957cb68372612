/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice demo`: two apps, a third whose releases can be deployed, a configuration that shows what
 * can be written, and a gateway with it. Owns the scratch directory and the processes beside the
 * gateway; both outlive an upgrade of the binary, and end with the command.
 */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "cli/cli.h"
#include "cli/demo_app.h"
#include "cli/demo_crowd.h"
#include "cli/demo_play.h"
#include "cli/scratch.h"

enum { GATEWAY_PORT = 8080, ADMIN_PORT = 9900 };

struct demo {
    struct scratch scratch;
    struct demo_app one, two;
    uint16_t port, admin_port;
    const char *program;                /* what a shell understands as this program */
    bool plays;                         /* deploys are shown without being asked for */
    char admin[SCRATCH_PATH_SIZE + 32]; /* of the admin API, as --admin has it */
};

static const char store[] = "store"; /* the service that is deployed */

/* Arguments: 1 directory, 2 and 3 the ports of gateway and admin, 4 and 5 those of the apps, 6 who
 * the store runs as. */
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
    "  - name: store\n"
    "    paths: [\"/store/*\"]\n"
    "    service: store\n"
    "    rewrite: {strip_prefix: /store}\n"
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
    "      - {id: two, address: \"127.0.0.1:%5$u\"}\n"
    "  store:                   # its releases come by `sluice deploy store --release NAME`\n"
    "    provider:\n"
    "      process:\n"
    "        command: [/proc/self/exe, demo-app, \"${release}\"]   # serves on $PORT\n"
    "        user: %6$s\n"
    "        grace: 2s\n"
    "    health: {path: /, interval: 1s, fast_interval: 100ms}\n"
    "    assign: {by: cookie}     # who got a release keeps it\n"
    "    deploy:\n"
    "      strategy: canary\n"
    "      steps:                 # and then all\n"
    "        - {share: 20%%, for: 5s}\n"
    "        - {share: 50%%, for: 5s}\n"
    "      verdict:               # with few requests only what is coarse can be told soon\n"
    "        errors: {ratio: 2x, margin: 5%%}\n"
    "        latency: 2x\n"
    "        max_time: 1m\n"
    "      bake: 5s\n"
    "      drain: 5s\n"
    "      keep: 10m              # the release before stays warm\n";

static bool start_apps(struct demo *demo)
{
    if (!demo_app_open(&demo->one, "one", 0) && !demo_app_open(&demo->two, "two", 0) &&
        !demo_app_start(&demo->one) && !demo_app_start(&demo->two))
        return true;
    fprintf(stderr, "sluice demo: cannot start the demo apps: %s\n", strerror(errno));
    return false;
}

/* Visitors, and the first release; they wait for the gateway. */
static bool start_store(struct demo *demo)
{
    struct demo_crowd crowd = {.port = demo->port, .admin = demo->admin, .service = store};
    struct demo_play play = {.admin = demo->admin,
                             .program = demo->program,
                             .service = store,
                             .is_shown = demo->plays};

    if (!demo_crowd_start(&crowd) && !demo_play_start(&play))
        return true;
    fprintf(stderr, "sluice demo: cannot start what belongs to it: %s\n", strerror(errno));
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

/* Nobody in particular, where it is root's to say. */
static const char *app_user(void)
{
    const struct passwd *user = getpwuid(geteuid());

    if (!geteuid() && getpwnam("nobody"))
        return "nobody";
    return user ? user->pw_name : "\"\"";
}

static bool write_config(const struct demo *demo)
{
    struct arena arena;
    struct str text;
    bool is_written;

    arena_init(&arena, NULL, 0);
    text = arena_format(&arena, config_text, demo->scratch.path, demo->port, demo->admin_port,
                        demo->one.port, demo->two.port, app_user());
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

    printf("  export SLUICE_ADMIN=%s\n", demo->admin);
    printf("  %s status\n", program);
    printf("  %s routes --match http://127.0.0.1:%u/api/headers\n", program, demo->port);
    printf("  %s target drain shop one     # nothing is cut; two answers alone\n", program);
    printf("  %s target enable shop one\n", program);
    printf("  %s reload                    # after a change of %s\n", program,
           demo->scratch.config);
    printf("  tail %s/access.log\n\n", path);
}

static void say_deploys(const struct demo *demo)
{
    const char *program = demo->program;

    printf("A third app, store, is deployed: v1 serves in a moment. Visitors come to it all the "
           "time,\nand more of them while a release is to take over from another.\n\n");
    printf("  curl http://127.0.0.1:%u/store/x            # the release that serves\n", demo->port);
    printf("  %s deploy %s --release v2    # 20%%, 50%%, all: each step passes a verdict\n",
           program, store);
    printf("  %s deploy %s --release bad   # fails a third of its requests: is undone by itself\n",
           program, store);
    printf("  %s rollback %s               # back to the release before\n", program, store);
    printf("  %s history %s                # who did what\n\n", program, store);
    printf("Names with \"slow\" and \"crash\" in them do as they say. `%s demo --deploys` types "
           "the two "
           "by itself.\n\n",
           program);
}

static void say_end(const struct demo *demo)
{
    printf("The dashboard: http://127.0.0.1:%u/\nCtrl-C ends all of it and removes %s.\n\n",
           demo->admin_port, demo->scratch.path);
    fflush(stdout);
}

/* False after saying why. */
static bool prepare(struct demo *demo)
{
    if (!start_apps(demo) || !find_port(&demo->port, GATEWAY_PORT, "the gateway") ||
        !find_port(&demo->admin_port, ADMIN_PORT, "the admin port") || !write_config(demo))
        return false;
    snprintf(demo->admin, sizeof(demo->admin), "unix:%s/state/admin.sock", demo->scratch.path);
    say_requests(demo);
    say_commands(demo);
    say_deploys(demo);
    say_end(demo);
    return start_store(demo);
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

/* Where deploys are shown nothing is to come between: what the gateway says of itself goes to a
 * file. False after saying why not. */
static bool divert(const struct demo *demo)
{
    char path[SCRATCH_PATH_SIZE + 16];

    snprintf(path, sizeof(path), "%s/gateway.log", demo->scratch.path);
    printf("What the gateway says of itself is in %s.\n", path);
    fflush(stdout);
    if (freopen(path, "a", stderr))
        return true;
    printf("sluice demo: cannot write %s: %s\n", path, strerror(errno));
    return false;
}

int cli_demo(int argc, char **argv)
{
    struct demo demo = {.program = argv[-1]};
    char path[PATH_MAX], quoted[PATH_MAX + 2];
    int code = 1;

    demo.plays = argc == 2 && !strcmp(argv[1], "--deploys");
    if (argc > 1 && !demo.plays) {
        fprintf(stderr, "sluice demo: what is \"%s\"?\nusage: sluice demo [--deploys]\n", argv[1]);
        return 2;
    }
    // The other terminal may be in another directory.
    if (strchr(demo.program, '/') && realpath(demo.program, path))
        demo.program = quote(path, quoted, sizeof(quoted));
    if (!scratch_open(&demo.scratch, "demo"))
        return 1;
    if (demo.scratch.is_inherited || (prepare(&demo) && (!demo.plays || divert(&demo))))
        code = cli_supervise(demo.scratch.config, false, argv - 1);
    scratch_close(&demo.scratch);
    return code;
}
