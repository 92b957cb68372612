/* SPDX-License-Identifier: Apache-2.0 */
#include "control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/user.h"
#include "control/acme.h"
#include "control/edges.h"
#include "control/outbound.h"
#include "control/say.h"
#include "control/unit_client.h"
#include "process/unit_link.h"

enum { TICK_MS = 250 };

struct control {
    const struct control_options *options;
    uv_loop_t loop;
    uv_timer_t tick;
    uv_signal_t term, interrupt;
    struct outbound *outbound;
    struct edges *edges;
    struct acme *acme;
    struct unit_client *units; /* NULL: no supervisor that starts apps */
    bool is_stale;             /* the file is to be read again */
    int exit_code;
};

/* --- the configuration */

/* One reading of the file; the parts copy what they keep. */
struct reading {
    struct arena arena;
    struct diag diag;
    const struct conf *conf; /* NULL: it is wrong */
};

static void read_conf(const struct control_options *options, struct reading *reading)
{
    arena_init(&reading->arena, NULL, 0);
    diag_init(&reading->diag, &reading->arena);
    reading->conf = conf_load(options->config, options->world, &reading->arena, &reading->diag);
}

static void configure(struct control *control, const struct conf *conf)
{
    if (edges_configure(control->edges, conf))
        say_line("out of memory: the list of edges stays as it is");
    acme_configure(control->acme, conf);
}

/* The edge has read the file before us, and said what is wrong with it. */
static void reread(struct control *control)
{
    struct reading reading;

    control->is_stale = false;
    read_conf(control->options, &reading);
    if (reading.conf)
        configure(control, reading.conf);
    arena_reset(&reading.arena);
}

/* --- the loop */

static void on_tick(uv_timer_t *timer)
{
    struct control *control = timer->data;

    if (control->is_stale)
        reread(control);
    edges_tick(control->edges, (int64_t)(clock_us() / 1000));
    acme_tick(control->acme);
}

/* Called from within what changes: what follows from it is done on the next turn. */
static void on_change(void *owner)
{
    struct control *control = owner;

    acme_note_change(control->acme);
    uv_timer_start(&control->tick, on_tick, 0, TICK_MS);
}

static void on_generation(void *owner)
{
    struct control *control = owner;

    control->is_stale = true;
}

/* All that matters is on disk: what is under way is taken up again. */
static void on_signal(uv_signal_t *watch, int number)
{
    struct control *control = watch->data;

    (void)number;
    control->exit_code = CONTROL_EXIT_STOPPED;
    uv_stop(&control->loop);
}

static bool watch_signal(struct control *control, uv_signal_t *watch, int number)
{
    watch->data = control;
    return !uv_signal_init(&control->loop, watch) && !uv_signal_start(watch, on_signal, number);
}

static bool open_parts(struct control *control)
{
    struct edges_options edges;
    struct acme_options acme;

    int units = unit_link_inherit();

    control->units = units < 0 ? NULL : unit_client_new(&control->loop, units);
    control->outbound = outbound_new(&control->loop);
    edges = (struct edges_options){control->outbound, on_generation, on_change, control};
    control->edges = control->outbound ? edges_new(&edges) : NULL;
    acme = (struct acme_options){control->outbound, control->edges};
    control->acme = control->edges ? acme_new(&acme) : NULL;
    return control->acme != NULL;
}

static void close_handle(uv_handle_t *handle, void *owner)
{
    (void)owner;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_parts(struct control *control)
{
    acme_free(&control->acme);
    edges_free(&control->edges);
    unit_client_close(&control->units);
    outbound_close(&control->outbound);
    uv_walk(&control->loop, close_handle, NULL);
    uv_run(&control->loop, UV_RUN_DEFAULT);
    uv_loop_close(&control->loop);
}

static int serve(const struct control_options *options, const struct conf *conf)
{
    struct control control = {.options = options, .exit_code = CONTROL_EXIT_FAILED};

    if (uv_loop_init(&control.loop))
        return CONTROL_EXIT_FAILED;
    uv_timer_init(&control.loop, &control.tick);
    control.tick.data = &control;
    if (watch_signal(&control, &control.term, SIGTERM) &&
        watch_signal(&control, &control.interrupt, SIGINT) && open_parts(&control)) {
        configure(&control, conf);
        uv_timer_start(&control.tick, on_tick, 0, TICK_MS);
        uv_run(&control.loop, UV_RUN_DEFAULT);
    } else {
        say_line("out of memory");
    }
    close_parts(&control);
    return control.exit_code;
}

/* --- the beginning */

/* Held until the process ends. -1: another one has it, or it cannot be had; it was said. */
static int take_lock(const struct conf *conf)
{
    char path[PATH_MAX];
    int fd;

    snprintf(path, sizeof(path), "%.*s/control.lock", STR_FMT(conf->state.s));
    if (file_make_directory(conf->state.s.p)) {
        say_line("cannot make the state directory %s: %s", conf->state.s.p, strerror(errno));
        return -1;
    }
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB))
        return fd;
    if (fd >= 0 && errno == EWOULDBLOCK)
        say_line("another control process holds %s", path);
    else
        say_line("cannot lock %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Becomes the user of the edge; a file made as root must be that user's too. */
static bool drop(const struct conf *conf, int lock)
{
    char name[64];
    struct user user;

    snprintf(name, sizeof(name), "%.*s", STR_FMT(conf->user.s));
    if (user_find(name, conf->user.at.source != NULL, &user)) {
        say_line("there is no user \"%s\"", name);
        return false;
    }
    if (user_become(&user, conf->state.s.p, lock)) {
        say_line("cannot become user %s: %s", name, strerror(errno));
        return false;
    }
    return true;
}

static int begin(const struct control_options *options, const struct conf *conf)
{
    int lock, code = CONTROL_EXIT_FAILED;

    if (conf->role == CONF_ROLE_EDGE)
        return CONTROL_EXIT_NONE;
    lock = take_lock(conf);
    if (lock < 0)
        return CONTROL_EXIT_FAILED;
    if (drop(conf, lock))
        code = serve(options, conf);
    close(lock);
    return code;
}

int control_run(const struct control_options *options)
{
    static const int ignored[] = {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2};
    struct reading reading;
    int code = CONTROL_EXIT_FAILED;

    // What the last three mean to an edge, the supervisor tells us in other ways.
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
    read_conf(options, &reading);
    if (reading.conf)
        code = begin(options, reading.conf);
    else
        say_line("%s cannot be used; `sluice check` says why", options->config);
    arena_reset(&reading.arena);
    return code;
}
