/* SPDX-License-Identifier: Apache-2.0
 *
 * A loop with a name server and a resolver that asks it, and a note of what a watch was told last.
 */
#ifndef TEST_RESOLVER_RIG_H
#define TEST_RESOLVER_RIG_H

#include "edge/upstream/resolver.h"
#include "test_dns_sockets.h"

enum { RIG_PATIENCE_S = 60, RIG_TELL_MS = 20 };

struct rig {
    uv_loop_t loop;
    uv_timer_t tick; /* so that a wait sees that its time is over */
    struct dns_server server;
    struct resolver *resolver;
    unsigned step; /* the script's */
};

/* What the owner of a watch or a text knows. */
struct told {
    struct rig *rig;
    struct resolver_watch *watch;
    struct resolver_text *lookup;
    unsigned calls;
    uint32_t count;
    char text[600]; /* "ADDRESS:PORT" of each record, SRV with "/PRIORITY/WEIGHT/TARGET" */
    const char *problem;
};

/* Turns the loop until the condition holds. */
#define UNTIL(rig, condition)                                                                      \
    for (uint64_t until_end_ = uv_hrtime() + RIG_PATIENCE_S * 1000000000ULL; !(condition);)        \
    rig_turn(rig, until_end_, #condition)

static inline void rig_turn(struct rig *rig, uint64_t end_ns, const char *what)
{
    uv_run(&rig->loop, UV_RUN_ONCE);
    if (uv_hrtime() > end_ns)
        fail_msg("did not happen: %s", what);
}

static inline void rig_on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static inline void rig_open(struct rig *rig,
                            void (*script)(struct dns_server *, const struct question *))
{
    char servers[32];

    *rig = (struct rig){.server = {.script = script, .owner = rig}};
    assert_int_equal(uv_loop_init(&rig->loop), 0);
    server_open(&rig->server, &rig->loop);
    uv_timer_init(&rig->loop, &rig->tick);
    uv_timer_start(&rig->tick, rig_on_tick, 1000, 1000);
    snprintf(servers, sizeof(servers), "127.0.0.1:%u", rig->server.port);
    rig->resolver = resolver_open(&rig->loop, servers);
    assert_non_null(rig->resolver);
}

/* The loop has to come to its end by itself: no handle is left over. */
static inline void rig_close(struct rig *rig)
{
    resolver_close(&rig->resolver);
    server_close(&rig->server);
    uv_close((uv_handle_t *)&rig->tick, NULL);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
}

static inline char *rig_print(char *out, const char *end, const struct dns_record *record)
{
    char ip[INET6_ADDRSTRLEN] = "";
    bool is_v6 = record->address.any.sa_family == AF_INET6;
    uint16_t port = is_v6 ? record->address.in6.sin6_port : record->address.in.sin_port;

    assert_int_equal(ntohs(port), record->port);
    inet_ntop(record->address.any.sa_family,
              is_v6 ? (const void *)&record->address.in6.sin6_addr
                    : (const void *)&record->address.in.sin_addr,
              ip, sizeof(ip));
    out += snprintf(out, (size_t)(end - out), "%s:%u", ip, record->port);
    if (record->target.p)
        out += snprintf(out, (size_t)(end - out), "/%u/%u/%s", record->priority, record->weight,
                        record->target.p);
    return out;
}

static inline void rig_on_answer(void *owner, const struct dns_record *records, uint32_t count,
                                 const char *problem)
{
    struct told *told = owner;
    char *out = told->text;

    told->calls++;
    told->count = count;
    told->problem = problem;
    *out = '\0';
    for (uint32_t i = 0; i < count && out < told->text + sizeof(told->text) - 100; i++) {
        out += sprintf(out, "%s", i ? " " : "");
        out = rig_print(out, told->text + sizeof(told->text), &records[i]);
    }
}

static inline void rig_on_text(void *owner, struct str text, const char *problem)
{
    struct told *told = owner;

    told->calls++;
    told->problem = problem;
    snprintf(told->text, sizeof(told->text), "%.*s", STR_FMT(text));
}

static inline void rig_watch(struct rig *rig, struct told *told, const char *name,
                             enum resolver_type type)
{
    struct resolver_ask ask = {{name, strlen(name)}, 80, type, RIG_TELL_MS, 60000};

    *told = (struct told){.rig = rig};
    told->watch = resolver_watch(rig->resolver, &ask, rig_on_answer, told);
    assert_non_null(told->watch);
}

#endif
