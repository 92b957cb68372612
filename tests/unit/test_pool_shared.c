/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of pool.c and pool_open.c with connections that several use at once: the target is the test
 * itself and speaks HTTP/2 frame by frame. An alarm ends a test whose event does not come.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge/metric/stat.h"
#include "edge/upstream/pool.h"

enum { PATIENCE_S = 20, IDLE_MS = 60000, USERS = 4, PEERS = 3 };

struct bench;

/* One that wants a connection, and its stream. */
struct user {
    struct pool_waiter waiter;
    struct stream stream;
    struct arena arena;
    struct bench *bench;
    struct target_conn *conn;
    unsigned told, resets;
    enum reason why;
};

struct bench {
    struct loop loop;
    struct endpoint *endpoint;
    struct wire_limits limits;
    struct conf_service service;
    struct user users[USERS];
    int listening, peers[PEERS];
    bool begins; /* a user begins its stream when it is told */
};

/* --- users */

static void on_reset(struct stream *stream, enum reason why)
{
    struct user *user = stream->owner;

    user->resets++;
    user->why = why;
    pool_give(user->conn, (struct pool_parting){false, IDLE_MS, 0});
}

static const struct sink sink = {.on_reset = on_reset};

static void begin_stream(struct user *user)
{
    struct wire *wire = user->conn->conn.wire;
    struct head head = {.method = METHOD_GET,
                        .method_name = STR("GET"),
                        .path = STR("/"),
                        .authority = STR("a"),
                        .content_length = -1};

    user->stream = (struct stream){.sink = &sink, .arena = &user->arena, .owner = user};
    assert_int_equal(wire->codec->begin(wire, &user->stream), OK);
    assert_int_equal(wire->codec->head(&user->stream, &head, true), OK);
    conn_touch(&user->conn->conn);
}

static void on_connect(struct pool_waiter *waiter, struct target_conn *conn, enum reason why)
{
    struct user *user = CONTAINER_OF(waiter, struct user, waiter);

    assert_int_equal(!conn, why != REASON_NONE);
    assert_null(waiter->conn);
    user->told++;
    user->why = why;
    user->conn = conn;
    if (conn && user->bench->begins)
        begin_stream(user);
}

/* --- the bench */

static int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct endpoint_address *address;

    *state = bench;
    alarm(PATIENCE_S);
    if (loop_init(&bench->loop, 0, 0))
        return -1;
    slab_init(&bench->loop.targets, pool_conn_size(), &bench->loop.budget);
    bench->limits = (struct wire_limits){8192, 4096, 100};
    bench->service.protocol = CONF_H2;
    bench->service.http2.streams = 10;
    bench->endpoint = endpoint_new(STR("s"), STR("i"), STR("a"), 1);
    bench->endpoint->idle_max = PEERS;
    bench->loop.stats = stats_new(1);
    bench->endpoint->slot = stats_target_slot(bench->loop.stats, STR("s"), STR(""), STR("i"));
    bench->endpoint->address_count = 1;
    address = &bench->endpoint->addresses[0];
    address->len = sizeof(in);
    bench->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset(bench->peers, -1, sizeof(bench->peers));
    for (unsigned i = 0; i < USERS; i++) {
        bench->users[i].bench = bench;
        bench->users[i].waiter.on_connect = on_connect;
        arena_init(&bench->users[i].arena, NULL, 0);
    }
    return bind(bench->listening, (struct sockaddr *)&in, sizeof(in)) ||
           listen(bench->listening, 16) ||
           getsockname(bench->listening, (struct sockaddr *)&address->socket, &address->len);
}

static int remove_bench(void **state)
{
    struct bench *bench = *state;

    pool_close_idle(&bench->loop, bench->endpoint, true);
    while (bench->loop.targets.in_use)
        uv_run(&bench->loop.uv, UV_RUN_ONCE);
    assert_int_equal(bench->endpoint->locals[0].open, 0);
    assert_int_equal(bench->endpoint->locals[0].idle_count, 0);
    assert_null(bench->endpoint->locals[0].shared);
    assert_int_equal(stats_target(bench->loop.stats, 0, bench->endpoint->slot)->open, 0);
    stats_free(&bench->loop.stats);
    loop_fini(&bench->loop);
    assert_int_equal(bench->loop.budget.used, 0);
    endpoint_unref(&bench->endpoint);
    for (unsigned i = 0; i < PEERS; i++)
        if (bench->peers[i] >= 0)
            close(bench->peers[i]);
    for (unsigned i = 0; i < USERS; i++)
        arena_reset(&bench->users[i].arena);
    close(bench->listening);
    free(bench);
    alarm(0);
    return 0;
}

static void open_for(struct bench *bench, unsigned i)
{
    const struct pool_manner manner = {.service = &bench->service};

    assert_int_equal(pool_open(&bench->loop, bench->endpoint, &manner, &bench->limits,
                               &bench->users[i].waiter),
                     OK);
    assert_int_equal(bench->users[i].told, 0);
}

static struct target_conn *take(struct bench *bench)
{
    const struct pool_manner manner = {.service = &bench->service};

    return pool_take(&bench->loop, bench->endpoint, &manner, true);
}

static void give(struct bench *bench, unsigned i)
{
    loop_enter(&bench->loop);
    if (bench->users[i].stream.wire)
        h2_codec.detach(&bench->users[i].stream);
    pool_give(bench->users[i].conn, (struct pool_parting){true, IDLE_MS, 0});
    loop_leave(&bench->loop);
}

static void await_told(struct bench *bench, unsigned i)
{
    while (!bench->users[i].told)
        uv_run(&bench->loop.uv, UV_RUN_ONCE);
    assert_int_equal(bench->users[i].told, 1);
}

/* --- the target */

static void send_frame(struct bench *bench, unsigned i, const char *frame, size_t len)
{
    assert_int_equal(send(bench->peers[i], frame, len, MSG_NOSIGNAL), len);
}

/* Accepts the next, and says SETTINGS: so many streams at once. */
static void welcome(struct bench *bench, unsigned i, unsigned streams)
{
    const char frame[] = {0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, (char)streams};

    bench->peers[i] = accept(bench->listening, NULL, NULL);
    assert_true(bench->peers[i] >= 0);
    send_frame(bench, i, frame, sizeof(frame));
}

static unsigned conns(const struct bench *bench)
{
    return (unsigned)bench->loop.targets.in_use;
}

/* --- tests */

static void those_that_come_while_it_opens_share_it(void **state)
{
    struct bench *bench = *state;

    for (unsigned i = 0; i < 3; i++)
        open_for(bench, i);
    assert_int_equal(conns(bench), 1);
    assert_null(take(bench)); // not before it is open
    welcome(bench, 0, 100);
    for (unsigned i = 0; i < 3; i++) {
        await_told(bench, i);
        assert_int_equal(bench->users[i].why, REASON_NONE);
        assert_ptr_equal(bench->users[i].conn, bench->users[0].conn);
    }
    assert_int_equal(bench->users[0].conn->users, 3);
    assert_int_equal(bench->endpoint->locals[0].open, 1);
    bench->users[3].conn = take(bench);
    assert_ptr_equal(bench->users[3].conn, bench->users[0].conn);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(bench->endpoint->locals[0].idle_count, 0);
        give(bench, i);
    }
    assert_int_equal(bench->endpoint->locals[0].idle_count, 1);
    bench->users[0].conn = take(bench);
    assert_non_null(bench->users[0].conn);
    assert_int_equal(bench->endpoint->locals[0].idle_count, 0);
    give(bench, 0);
}

static void who_cancels_is_not_told(void **state)
{
    struct bench *bench = *state;

    for (unsigned i = 0; i < 3; i++)
        open_for(bench, i);
    pool_cancel(&bench->users[1].waiter);
    pool_cancel(&bench->users[1].waiter);
    welcome(bench, 0, 100);
    await_told(bench, 0);
    await_told(bench, 2);
    assert_int_equal(bench->users[1].told, 0);
    assert_int_equal(bench->users[0].conn->users, 2);
    give(bench, 0);
    give(bench, 2);
}

static void the_last_that_cancels_closes_it(void **state)
{
    struct bench *bench = *state;

    open_for(bench, 0);
    open_for(bench, 1);
    pool_cancel(&bench->users[0].waiter);
    assert_int_equal(conns(bench), 1);
    pool_cancel(&bench->users[1].waiter);
    open_for(bench, 2); // not with the one that closes
    while (conns(bench) > 1)
        uv_run(&bench->loop.uv, UV_RUN_ONCE);
    welcome(bench, 0, 100);
    welcome(bench, 1, 100); // the first in the queue is the one that was closed
    await_told(bench, 2);
    give(bench, 2);
}

static void a_full_one_has_another_beside_it(void **state)
{
    struct bench *bench = *state;

    bench->service.http2.streams = 2;
    for (unsigned i = 0; i < 3; i++)
        open_for(bench, i);
    assert_int_equal(conns(bench), 2);
    welcome(bench, 0, 100);
    welcome(bench, 1, 100);
    for (unsigned i = 0; i < 3; i++)
        await_told(bench, i);
    assert_ptr_equal(bench->users[1].conn, bench->users[0].conn);
    assert_ptr_not_equal(bench->users[2].conn, bench->users[0].conn);
    for (unsigned i = 0; i < 3; i++)
        give(bench, i);
}

/* The target allows fewer than were waiting: the rest gets connections of its own. */
static void a_target_that_takes_one_at_a_time(void **state)
{
    struct bench *bench = *state;

    bench->begins = true;
    for (unsigned i = 0; i < 3; i++)
        open_for(bench, i);
    assert_int_equal(conns(bench), 1);
    for (unsigned i = 0; i < 3; i++) {
        welcome(bench, i, 1);
        await_told(bench, i);
        assert_int_equal(bench->users[i].why, REASON_NONE);
    }
    assert_int_equal(conns(bench), 3);
    assert_null(take(bench));
    for (unsigned i = 0; i < 3; i++)
        give(bench, i);
}

static void a_target_that_takes_none_is_left(void **state)
{
    struct bench *bench = *state;

    open_for(bench, 0);
    open_for(bench, 1);
    bench->peers[0] = accept(bench->listening, NULL, NULL);
    close(bench->peers[0]);
    bench->peers[0] = -1;
    await_told(bench, 0);
    await_told(bench, 1);
    assert_int_equal(bench->users[0].why, REASON_CONNECTION_TERMINATED);
    assert_int_equal(bench->users[1].why, REASON_CONNECTION_TERMINATED);
}

static void a_retired_one_is_left_to_its_users(void **state)
{
    struct bench *bench = *state;

    bench->begins = true;
    open_for(bench, 0);
    open_for(bench, 1);
    welcome(bench, 0, 100);
    await_told(bench, 0);
    await_told(bench, 1);
    pool_close_idle(&bench->loop, bench->endpoint, true);
    assert_int_equal(bench->endpoint->locals[0].open, 1);
    give(bench, 0);
    assert_int_equal(bench->endpoint->locals[0].open, 1);
    assert_int_equal(bench->users[1].resets, 0);
    give(bench, 1);
    assert_int_equal(bench->endpoint->locals[0].open, 0);
    assert_int_equal(bench->endpoint->locals[0].idle_count, 0);
}

/* What a user had broken does not close the connection of the others. */
static void one_that_parts_badly_leaves_it_to_the_others(void **state)
{
    struct bench *bench = *state;

    bench->begins = true;
    open_for(bench, 0);
    open_for(bench, 1);
    welcome(bench, 0, 100);
    await_told(bench, 0);
    await_told(bench, 1);
    h2_codec.reset(&bench->users[0].stream, REASON_CLIENT_GONE);
    pool_give(bench->users[0].conn, (struct pool_parting){false, IDLE_MS, 0});
    assert_int_equal(bench->users[1].conn->users, 1);
    assert_int_equal(bench->users[1].resets, 0);
    give(bench, 1);
}

static void a_goaway_ends_its_use(void **state)
{
    static const char goaway[] = {0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0};
    struct bench *bench = *state;

    bench->begins = true;
    open_for(bench, 0);
    welcome(bench, 0, 100);
    await_told(bench, 0);
    assert_int_equal(bench->users[0].stream.id, 1);
    send_frame(bench, 0, goaway, sizeof(goaway));
    while (bench->users[0].conn->conn.wire->has_room)
        uv_run(&bench->loop.uv, UV_RUN_ONCE);
    assert_null(take(bench));
    assert_int_equal(bench->users[0].resets, 0);
    open_for(bench, 1); // another
    welcome(bench, 1, 100);
    await_told(bench, 1);
    assert_ptr_not_equal(bench->users[1].conn, bench->users[0].conn);
    give(bench, 0);
    give(bench, 1);
}

/* A target that says nothing, not even to a PING, is dead. */
static void silence_ends_it(void **state)
{
    struct bench *bench = *state;

    bench->service.http2.ping_ms = 60;
    bench->service.http2.ping_timeout_ms = 60;
    bench->begins = true;
    open_for(bench, 0);
    welcome(bench, 0, 100);
    await_told(bench, 0);
    while (!bench->users[0].conn->conn.wire->unanswered_pings)
        uv_run(&bench->loop.uv, UV_RUN_ONCE);
    assert_int_equal(bench->users[0].resets, 0);
    while (!bench->users[0].resets)
        uv_run(&bench->loop.uv, UV_RUN_ONCE);
    assert_int_equal(bench->users[0].why, REASON_CONNECTION_TERMINATED);
    assert_int_equal(bench->endpoint->locals[0].open, 0);
}

static void a_target_that_never_says_settings(void **state)
{
    struct bench *bench = *state;

    bench->service.http2.ping_ms = 60;
    open_for(bench, 0);
    bench->peers[0] = accept(bench->listening, NULL, NULL);
    await_told(bench, 0);
    assert_int_equal(bench->users[0].why, REASON_CONNECTION_TERMINATED);
}

#define BENCH(test) cmocka_unit_test_setup_teardown(test, make_bench, remove_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH(those_that_come_while_it_opens_share_it),
        BENCH(who_cancels_is_not_told),
        BENCH(the_last_that_cancels_closes_it),
        BENCH(a_full_one_has_another_beside_it),
        BENCH(a_target_that_takes_one_at_a_time),
        BENCH(a_target_that_takes_none_is_left),
        BENCH(a_retired_one_is_left_to_its_users),
        BENCH(one_that_parts_badly_leaves_it_to_the_others),
        BENCH(a_goaway_ends_its_use),
        BENCH(silence_ends_it),
        BENCH(a_target_that_never_says_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
