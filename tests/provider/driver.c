/* SPDX-License-Identifier: Apache-2.0
 *
 * The program of tests/provider: a real supervisor, a real `sluice unit`, an edge that serves
 * nobody, and as control a process that hands the calls of a test on to a provider, by its
 * contract. It talks to the test in lines of JSON over the socket DRIVER_SOCKET:
 *   {"n": 1, "call": "start", "service": S, "id": I, "release": R, "env": {}, "image": null}
 *   {"n": 2, "call": "stop", "service": S, "id": I, "grace_ms": G, "remove": false, "freeze":
 * false}
 *   {"n": 3, "call": "list", "service": S}   {"n": 4, "call": "log", "service": S, "id": I}
 *   {"n": 5, "call": "plan", "service": S, "release": R, "old": R, "image": null, "units": 1,
 *    "is_side_by_side": false, "is_warm": false, "is_platform": false}
 *   {"call": "raw", "text": T, "size": N}: N bytes on the link, of T and then of zeros
 *   {"call": "cut"}: the end of the link   {"call": "close", "service": S}
 * and back: {"n": 1, "fault": F, "reason": T, "units": [...], "log": T, "warning": T},
 * {"event": "unit", "unit": U}.
 */
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "cli/cli.h"
#include "config/conf.h"
#include "control/outbound.h"
#include "control/unit_client.h"
#include "process/link.h"
#include "process/supervisor.h"
#include "process/unit_link.h"
#include "sluice/filter.h"
#include "sluice/provider.h"

enum { SERVICES_MAX = 8, LINE_SIZE = 1 << 20, WORDS_MAX = 64, RAW_MAX = 8192 };

struct desk {
    const struct provider *provider;
    void *self;
    const char *service;
};

struct driver {
    uv_loop_t loop;
    uv_pipe_t pipe;
    uv_connect_t connect;
    int raw_fd;
    struct desk desks[SERVICES_MAX];
    unsigned count;
    struct provider_env env;
    char line[LINE_SIZE];
    size_t len;
};

struct pending {
    struct driver *driver;
    json_int_t n;
};

struct outgoing {
    uv_write_t write;
    char *text;
};

static void on_written(uv_write_t *write, int status)
{
    struct outgoing *out = write->data;

    (void)status;
    free(out->text);
    free(out);
}

static void tell(struct driver *driver, json_t *object)
{
    struct outgoing *out = calloc(1, sizeof(*out));
    char *text = json_dumps(object, JSON_COMPACT);
    size_t len = strlen(text);
    uv_buf_t buf;

    out->text = realloc(text, len + 2);
    memcpy(out->text + len, "\n", 2);
    out->write.data = out;
    buf = uv_buf_init(out->text, (unsigned)len + 1);
    if (uv_write(&out->write, (uv_stream_t *)&driver->pipe, &buf, 1, on_written))
        on_written(&out->write, -1);
    json_decref(object);
}

static const char *const faults[] = {"ok",       "transient",    "permanent",
                                     "capacity", "unauthorized", "unsupported"};
static const char *const states[] = {"starting", "running", "stopping", "stopped", "failed"};

/* What an app printed may be no UTF-8: the test gets it as the bytes' numbers. */
static json_t *text_of(struct str s)
{
    char *copy = calloc(s.len + 1, 2);
    size_t len = 0;
    json_t *text;

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x80)
            copy[len++] = (char)(0xc0 | c >> 6);
        copy[len++] = (char)(c < 0x80 ? c : 0x80 | (c & 0x3f));
    }
    text = json_stringn(copy, len);
    free(copy);
    return text;
}

static json_t *unit_json(const struct provider_unit *unit)
{
    json_t *json =
        json_pack("{s:s,s:s,s:s,s:s?,s:s?,s:s?,s:s,s:s,s:s?,s:i,s:i,s:i,s:I,s:I,s:I}", "id",
                  unit->id, "service", unit->service, "release", unit->release, "handle",
                  unit->handle, "region", unit->region, "address", unit->address, "state",
                  states[unit->state], "fault", faults[unit->fault], "reason", unit->reason,
                  "exit_code", unit->exit_code, "signal", unit->signal, "restarts",
                  (int)unit->restarts, "started_ms", (json_int_t)unit->started_ms, "since_ms",
                  (json_int_t)unit->since_ms, "lived_ms", (json_int_t)unit->lived_ms);

    json_object_set_new(json, "tail", text_of(unit->tail));
    return json;
}

static void on_done(void *owner, const struct provider_result *result)
{
    struct pending *pending = owner;
    json_t *units = json_array();
    json_t *json =
        json_pack("{s:I,s:s,s:s?,s:s?,s:o}", "n", pending->n, "fault", faults[result->fault],
                  "reason", result->reason, "warning", result->warning, "units", units);

    for (uint32_t i = 0; i < result->unit_count; i++)
        json_array_append_new(units, unit_json(&result->units[i]));
    json_object_set_new(json, "log", text_of(result->log));
    tell(pending->driver, json);
    free(pending);
}

static void on_unit(void *owner, const struct provider_unit *unit)
{
    tell(owner, json_pack("{s:s,s:o}", "event", "unit", "unit", unit_json(unit)));
}

/* --- the calls of a test */

static const char *word(const json_t *ask, const char *key)
{
    return json_string_value(json_object_get(ask, key));
}

static void start(struct desk *desk, const json_t *ask, struct provider_call call)
{
    struct provider_word env[WORDS_MAX];
    struct provider_spec spec = {.id = word(ask, "id"),
                                 .release = word(ask, "release"),
                                 .image = word(ask, "image"),
                                 .region = word(ask, "region"),
                                 .env = env};
    const char *name;
    json_t *value;

    json_object_foreach(json_object_get(ask, "env"), name, value) env[spec.env_count++] =
        (struct provider_word){name, json_string_value(value)};
    desk->provider->start(desk->self, &spec, call);
}

static void plan(struct desk *desk, const json_t *ask, struct provider_call call)
{
    struct provider_intent intent = {
        .release = word(ask, "release"),
        .image = word(ask, "image"),
        .old = word(ask, "old"),
        .units = (uint32_t)json_integer_value(json_object_get(ask, "units")),
        .is_side_by_side = json_is_true(json_object_get(ask, "is_side_by_side")),
        .is_warm = json_is_true(json_object_get(ask, "is_warm")),
        .is_platform = json_is_true(json_object_get(ask, "is_platform")),
    };

    desk->provider->plan(desk->self, &intent, call);
}

static void raw(const struct driver *driver, const json_t *ask)
{
    char bytes[RAW_MAX] = "";
    const char *text = word(ask, "text");

    memcpy(bytes, text, strlen(text));
    (void)!send(driver->raw_fd, bytes, (size_t)json_integer_value(json_object_get(ask, "size")),
                MSG_NOSIGNAL);
}

static void obey_desk(struct driver *driver, struct desk *desk, const json_t *ask)
{
    struct pending *pending = calloc(1, sizeof(*pending));
    struct provider_call call = {on_done, pending};
    const char *verb = word(ask, "call");
    struct provider_stop stop = {.id = word(ask, "id"),
                                 .grace_ms =
                                     (uint32_t)json_integer_value(json_object_get(ask, "grace_ms")),
                                 .is_removed = json_is_true(json_object_get(ask, "remove")),
                                 .may_freeze = json_is_true(json_object_get(ask, "freeze"))};

    *pending = (struct pending){driver, json_integer_value(json_object_get(ask, "n"))};
    if (!strcmp(verb, "start"))
        start(desk, ask, call);
    else if (!strcmp(verb, "stop"))
        desk->provider->stop(desk->self, &stop, call);
    else if (!strcmp(verb, "list"))
        desk->provider->list(desk->self, call);
    else if (!strcmp(verb, "plan"))
        plan(desk, ask, call);
    else
        desk->provider->log(desk->self, word(ask, "id"), call);
}

static void obey(struct driver *driver, const json_t *ask)
{
    const char *verb = word(ask, "call"), *service = word(ask, "service");

    if (!strcmp(verb, "raw"))
        raw(driver, ask);
    else if (!strcmp(verb, "cut"))
        shutdown(driver->raw_fd, SHUT_RDWR);
    for (unsigned i = 0; service && i < driver->count; i++) {
        if (strcmp(driver->desks[i].service, service) != 0)
            continue;
        if (strcmp(verb, "close") != 0)
            obey_desk(driver, &driver->desks[i], ask);
        else
            driver->desks[i].provider->close(&driver->desks[i].self);
    }
}

static void on_room(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct driver *driver = handle->data;

    (void)size;
    *buf = uv_buf_init(driver->line + driver->len, (unsigned)(LINE_SIZE - driver->len));
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct driver *driver = stream->data;
    char *end;

    (void)buf;
    if (got < 0) {
        uv_stop(&driver->loop);
        return;
    }
    driver->len += (size_t)got;
    while ((end = memchr(driver->line, '\n', driver->len))) {
        size_t used = (size_t)(end - driver->line) + 1;
        json_t *ask = json_loadb(driver->line, used, 0, NULL);

        obey(driver, ask);
        json_decref(ask);
        memmove(driver->line, driver->line + used, driver->len - used);
        driver->len -= used;
    }
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct driver *driver = connect->data;

    if (status) {
        uv_stop(&driver->loop);
        return;
    }
    uv_read_start((uv_stream_t *)&driver->pipe, on_room, on_read);
    tell(driver, json_pack("{s:s,s:i}", "event", "control", "pid", (int)getpid()));
}

/* --- the four processes */

static const char *get_env(void *owner, const char *name)
{
    (void)owner;
    return getenv(name);
}

static void open_desks(struct driver *driver, const struct conf *conf)
{
    for (uint32_t i = 0; i < conf->service_count && driver->count < SERVICES_MAX; i++) {
        const struct conf_service *service = &conf->services[i];
        struct desk *desk = &driver->desks[driver->count];

        desk->provider = provider_of(service);
        desk->service = service->name.s.p;
        if (desk->provider && !desk->provider->open(&driver->env, service, &desk->self))
            driver->count++;
    }
}

static void close_handle(uv_handle_t *handle, void *owner)
{
    (void)owner;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_all(struct driver *driver)
{
    for (unsigned i = 0; i < driver->count; i++)
        driver->desks[i].provider->close(&driver->desks[i].self);
    unit_client_close(&driver->env.units);
    outbound_close(&driver->env.outbound);
    uv_walk(&driver->loop, close_handle, NULL);
    uv_run(&driver->loop, UV_RUN_DEFAULT);
    uv_loop_close(&driver->loop);
    close(driver->raw_fd);
}

static void on_term(uv_signal_t *watch, int number)
{
    (void)number;
    uv_stop(watch->loop);
}

static int control(const char *file)
{
    const struct conf_world world = {.env = get_env,
                                     .filters = filter_registry,
                                     .expands_control = true};
    struct driver *driver = calloc(1, sizeof(*driver));
    uv_signal_t term;
    struct arena arena;
    struct diag diag;
    int fd = unit_link_inherit();
    const struct conf *conf;

    arena_init(&arena, NULL, 0);
    diag_init(&diag, &arena);
    conf = conf_load(file, &world, &arena, &diag);
    uv_loop_init(&driver->loop);
    uv_signal_init(&driver->loop, &term);
    uv_signal_start(&term, on_term, SIGTERM);
    driver->raw_fd = dup(fd);
    driver->env = (struct provider_env){.units = unit_client_new(&driver->loop, fd),
                                        .outbound = outbound_new(&driver->loop),
                                        .on_unit = on_unit,
                                        .owner = driver};
    open_desks(driver, conf);
    uv_pipe_init(&driver->loop, &driver->pipe, 0);
    driver->pipe.data = driver->connect.data = driver;
    uv_pipe_connect(&driver->connect, &driver->pipe, getenv("DRIVER_SOCKET"), on_connect);
    uv_run(&driver->loop, UV_RUN_DEFAULT);
    close_all(driver);
    arena_reset(&arena);
    free(driver);
    return 1; // so that the supervisor starts another
}

static int edge(void)
{
    struct link link;
    struct notice notice = {.kind = NOTICE_NONE};
    struct pollfd wait;

    if (!link_inherit(&link) || link_ready(&link, 1))
        return 1;
    wait = (struct pollfd){.fd = link.notice_fd, .events = POLLIN};
    while (notice.kind != NOTICE_DRAIN) {
        poll(&wait, 1, -1);
        if (link_read(&link, &notice) == E_CLOSED)
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 2 ? argv[1] : "";

    if (!strcmp(verb, "run"))
        return supervisor_run(&(struct supervisor_conf){
            .argv = argv, .self = "/proc/self/exe", .unit = cli_unit, .config = argv[2]});
    if (!strcmp(verb, "edge"))
        return edge();
    if (!strcmp(verb, "control"))
        return control(argv[2]);
    if (!strcmp(verb, "unit"))
        return cli_unit(argc - 1, argv + 1);
    if (!strcmp(verb, "version"))
        return cli_version(argc - 1, argv + 1);
    return !strcmp(verb, "check") ? cli_check(argc - 1, argv + 1) : 2;
}
