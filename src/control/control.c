/* SPDX-License-Identifier: Apache-2.0 */
#include "control/control.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/user.h"
#include "control/acme.h"
#include "control/backups.h"
#include "control/control_api.h"
#include "control/deploy/deploys.h"
#include "control/edges.h"
#include "control/effect.h"
#include "control/journal.h"
#include "control/key_set.h"
#include "control/lock.h"
#include "control/notices.h"
#include "control/outbound.h"
#include "control/say.h"
#include "control/slo.h"
#include "control/spans.h"
#include "control/store.h"
#include "control/unit_client.h"
#include "process/unit_link.h"

enum { TICK_MS = 250, SECOND_MS = 1000 };

struct control {
    const struct control_options *options;
    uv_loop_t loop;
    uv_timer_t tick, second;
    uv_signal_t term, interrupt, reload;
    struct outbound *outbound;
    struct store *store;
    struct journal *journal;
    struct edges *edges;
    struct effect *effect;
    struct key_set *keys;
    struct notices *notices;
    struct backups *backups;
    struct acme *acme;
    struct slo *slo;
    struct spans *spans;
    struct deploys *deploys;
    struct control_api *api;
    char state[PATH_MAX];
    int lock;
    struct unit_client *units; /* NULL: no supervisor that starts apps */
    bool is_stale;             /* the file is to be read again */
    int exit_code;
};

/* --- the configuration */

/* The parts copy what they keep. */
static void configure(struct control *control, const struct conf *conf)
{
    if (edges_configure(control->edges, conf))
        say_line("out of memory: the list of edges stays as it is");
    effect_configure(control->effect, conf->control.effect_after_ms);
    if (backups_configure(control->backups, &conf->control))
        say_line("out of memory: no backups are made");
    if (notices_configure(control->notices, &conf->notices))
        say_line("out of memory: nobody is told of anything");
    acme_configure(control->acme, conf);
    if (slo_configure(control->slo, conf))
        say_line("out of memory: some objectives are not kept watch over");
    if (spans_configure(control->spans, conf))
        say_line("out of memory: no spans are sent");
    deploys_configure(control->deploys);
    if (conf->role == CONF_ROLE_CONTROL)
        control_api_listen(control->api, &conf->admin);
}

static bool reload(void *owner, struct arena *arena, struct diag *diag)
{
    struct control *control = owner;
    const struct control_options *options = control->options;
    const struct conf *conf = conf_load(options->config, options->world, arena, diag);

    if (conf)
        configure(control, conf);
    return conf != NULL;
}

static void reread(struct control *control)
{
    struct arena arena;
    struct diag diag;

    control->is_stale = false;
    arena_init(&arena, NULL, 0);
    diag_init(&diag, &arena);
    if (!reload(control, &arena, &diag))
        say_line("%s is wrong now, and the configuration before it stays: `sluice check` says why",
                 control->options->config);
    arena_reset(&arena);
}

/* --- the loop */

static void on_tick(uv_timer_t *timer)
{
    struct control *control = timer->data;

    if (control->is_stale)
        reread(control);
    edges_tick(control->edges, (int64_t)(clock_us() / 1000));
    key_set_tick(control->keys, (int64_t)(clock_us() / 1000));
    acme_tick(control->acme);
    effect_tick(control->effect);
    notices_tick(control->notices);
    backups_tick(control->backups, (int64_t)(clock_us() / 1000));
    journal_tick(control->journal, (int64_t)(clock_us() / 1000));
    slo_tick(control->slo, (int64_t)(clock_us() / 1000));
    spans_tick(control->spans, (int64_t)(clock_us() / 1000));
    deploys_tick(control->deploys);
}

static void on_second(uv_timer_t *timer)
{
    struct control *control = timer->data;

    control_api_tick(control->api);
    store_tick(control->store);
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

/* Alone, it is told like this that the file is another; beside an edge, by the edge. */
static void on_reload(uv_signal_t *watch, int number)
{
    struct control *control = watch->data;

    (void)number;
    control->is_stale = true;
}

static void on_status(void *owner, const char *edge, const json_t *status)
{
    struct control *control = owner;

    notices_see(control->notices, edge, status);
}

static void on_counters(void *owner, const char *edge, const json_t *counters)
{
    struct control *control = owner;

    slo_take(control->slo, edge, counters);
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
    uv_signal_cb heard = number == SIGHUP ? on_reload : on_signal;

    watch->data = control;
    return !uv_signal_init(&control->loop, watch) && !uv_signal_start(watch, heard, number);
}

static bool open_api(struct control *control)
{
    const struct control_api_options api = {
        .loop = &control->loop,
        .edges = control->edges,
        .store = control->store,
        .deploys = control->deploys,
        .notices = control->notices,
        .backups = control->backups,
        .keys = control->keys,
        .slo = control->slo,
        .spans = control->spans,
        .state = control->state,
        .reload = reload,
        .owner = control,
    };

    control->api = control_api_new(&api);
    return control->api != NULL;
}

static bool open_parts(struct control *control, const struct conf *conf)
{
    struct store_options store;
    struct edges_options edges;
    struct backups_options backups;
    struct acme_options acme;
    struct deploys_options deploys;
    int units = unit_link_inherit();

    control->units = units < 0 ? NULL : unit_client_new(&control->loop, units);
    snprintf(control->state, sizeof(control->state), "%.*s", STR_FMT(conf->state.s));
    store = (struct store_options){&control->loop, control->state, control->lock};
    control->store = store_new(&store);
    control->journal = control->store ? journal_new(control->store) : NULL;
    control->outbound = control->journal ? outbound_new(&control->loop) : NULL;
    control->notices = control->outbound ? notices_new(control->store, control->outbound) : NULL;
    edges = (struct edges_options){.outbound = control->outbound,
                                   .store = control->store,
                                   .on_generation = on_generation,
                                   .on_change = on_change,
                                   .on_status = on_status,
                                   .owner = control};
    control->edges = control->notices ? edges_new(&edges) : NULL;
    acme = (struct acme_options){control->outbound, control->edges};
    control->keys = control->edges ? key_set_new(control->store, control->edges) : NULL;
    control->effect = control->keys ? effect_new(control->store, control->edges) : NULL;
    backups = (struct backups_options){&control->loop, control->store, control->journal,
                                       control->outbound};
    control->backups = control->effect ? backups_new(&backups) : NULL;
    control->acme = control->backups ? acme_new(&acme) : NULL;
    deploys = (struct deploys_options){.loop = &control->loop,
                                       .outbound = control->outbound,
                                       .edges = control->edges,
                                       .store = control->store,
                                       .journal = control->journal,
                                       .units = control->units,
                                       .config = control->options->config,
                                       .world = control->options->world,
                                       .on_counters = on_counters,
                                       .owner = control};
    control->slo = control->acme ? slo_new(control->store, control->journal) : NULL;
    control->spans = control->slo ? spans_new(control->edges, control->outbound) : NULL;
    control->deploys = control->spans ? deploys_new(&deploys) : NULL;
    return control->deploys && open_api(control);
}

static void close_handle(uv_handle_t *handle, void *owner)
{
    (void)owner;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_parts(struct control *control)
{
    if (control->slo)
        slo_close(control->slo);
    if (control->store)
        store_close(control->store);
    if (control->api)
        control_api_close(control->api);
    acme_free(&control->acme);
    if (control->deploys)
        deploys_close(control->deploys);
    if (control->notices)
        notices_close(control->notices);
    if (control->backups)
        backups_close(control->backups);
    if (control->effect)
        effect_close(control->effect);
    if (control->spans)
        spans_close(control->spans);
    if (control->edges)
        edges_close(control->edges);
    unit_client_close(&control->units);
    outbound_close(&control->outbound);
    uv_walk(&control->loop, close_handle, NULL);
    uv_run(&control->loop, UV_RUN_DEFAULT);
    control_api_free(&control->api);
    deploys_free(&control->deploys);
    effect_free(&control->effect);
    slo_free(&control->slo);
    spans_free(&control->spans);
    key_set_free(&control->keys);
    notices_free(&control->notices);
    backups_free(&control->backups);
    journal_free(&control->journal);
    edges_free(&control->edges);
    store_free(&control->store);
    uv_loop_close(&control->loop);
}

static int serve(const struct control_options *options, const struct conf *conf, int lock)
{
    struct control control = {.options = options, .lock = lock, .exit_code = CONTROL_EXIT_FAILED};

    if (uv_loop_init(&control.loop))
        return CONTROL_EXIT_FAILED;
    uv_timer_init(&control.loop, &control.tick);
    uv_timer_init(&control.loop, &control.second);
    control.tick.data = &control;
    control.second.data = &control;
    if (watch_signal(&control, &control.term, SIGTERM) &&
        watch_signal(&control, &control.interrupt, SIGINT) &&
        (conf->role != CONF_ROLE_CONTROL || watch_signal(&control, &control.reload, SIGHUP)) &&
        open_parts(&control, conf)) {
        configure(&control, conf);
        uv_timer_start(&control.tick, on_tick, 0, TICK_MS);
        uv_timer_start(&control.second, on_second, SECOND_MS, SECOND_MS);
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
    int fd = -1;
    enum status status = lock_take(conf->state.s.p, &fd);

    if (status == E_CONFLICT)
        say_line("another control process holds %s/control.lock", conf->state.s.p);
    else if (status)
        say_line("cannot lock the state directory %s: %s", conf->state.s.p, strerror(errno));
    return fd;
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
        code = serve(options, conf, lock);
    close(lock);
    return code;
}

int control_run(const struct control_options *options)
{
    static const int ignored[] = {SIGPIPE, SIGXFSZ, SIGHUP, SIGUSR1, SIGUSR2};
    const struct conf *conf;
    int code = CONTROL_EXIT_FAILED;
    struct arena arena;
    struct diag diag;

    // What the last three mean to an edge, the supervisor tells us in other ways.
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
    arena_init(&arena, NULL, 0);
    diag_init(&diag, &arena);
    conf = conf_load(options->config, options->world, &arena, &diag);
    if (conf)
        code = begin(options, conf);
    else
        say_line("%s cannot be used; `sluice check` says why", options->config);
    arena_reset(&arena);
    return code;
}
