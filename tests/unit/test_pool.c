/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of pool.c over sockets of this machine: the target is the test itself. An alarm ends a test
 * whose event does not come.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge/metric/stat.h"
#include "edge/upstream/pool.h"

enum { PATIENCE_S = 20, IDLE_MS = 60000, CONNS = 3 };

struct bench {
    struct loop loop;
    struct endpoint *endpoint;
    struct wire_limits limits;
    struct pool_waiter waiter;
    struct target_conn *conns[CONNS];
    int listening, peers[CONNS];
    unsigned told;
    enum reason why;
    struct conf_service service;
};

static void on_connect(struct pool_waiter *waiter, struct target_conn *conn, enum reason why)
{
    struct bench *bench = CONTAINER_OF(waiter, struct bench, waiter);

    assert_int_equal(!conn, why != REASON_NONE);
    assert_null(waiter->conn);
    bench->told++;
    bench->why = why;
    bench->conns[0] = conn;
}

/* A socket on a port of its own; with backlog 0 it does not listen, and the port refuses. */
static int make_socket(struct endpoint_address *address, int backlog)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address->len = sizeof(in);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    if (backlog)
        assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address->socket, &address->len), 0);
    return fd;
}

static int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    *state = bench;
    alarm(PATIENCE_S);
    if (loop_init(&bench->loop, 0, 0))
        return -1;
    slab_init(&bench->loop.targets, pool_conn_size(), &bench->loop.budget);
    bench->limits = (struct wire_limits){8192, 4096, 100};
    bench->waiter.on_connect = on_connect;
    bench->endpoint = endpoint_new(STR("s"), STR("i"), STR("a"), 1);
    bench->endpoint->idle_max = CONNS;
    bench->loop.stats = stats_new(1);
    bench->endpoint->slot = stats_target_slot(bench->loop.stats, STR("s"), STR(""), STR("i"));
    bench->endpoint->address_count = 1;
    bench->listening = make_socket(&bench->endpoint->addresses[0], 16);
    memset(bench->peers, -1, sizeof(bench->peers));
    return 0;
}

static void run_until_closed(struct bench *bench)
{
    while (bench->loop.targets.in_use)
        uv_run(&bench->loop.uv, UV_RUN_ONCE);
}

static int remove_bench(void **state)
{
    struct bench *bench = *state;

    pool_close_idle(&bench->loop, bench->endpoint, true);
    run_until_closed(bench);
    assert_int_equal(bench->endpoint->locals[0].open, 0);
    assert_int_equal(bench->endpoint->locals[0].idle_count, 0);
    assert_int_equal(stats_target(bench->loop.stats, 0, bench->endpoint->slot)->open, 0);
    stats_free(&bench->loop.stats);
    loop_fini(&bench->loop);
    assert_int_equal(bench->loop.budget.used, 0);
    endpoint_unref(&bench->endpoint);
    for (unsigned i = 0; i < CONNS; i++)
        if (bench->peers[i] >= 0)
            close(bench->peers[i]);
    close(bench->listening);
    free(bench);
    alarm(0);
    return 0;
}

static enum status open_one(struct bench *bench)
{
    const struct pool_manner manner = {.service = &bench->service};

    return pool_open(&bench->loop, bench->endpoint, &manner, &bench->limits, &bench->waiter);
}

/* Opens and waits to be told: 0, or the reason. */
static int open_and_wait(struct bench *bench)
{
    bench->told = 0;
    assert_int_equal(open_one(bench), OK);
    assert_int_equal(bench->told, 0);
    while (!bench->told)
        uv_run(&bench->loop.uv, UV_RUN_ONCE);
    assert_int_equal(bench->told, 1);
    return (int)bench->why;
}

/* `n` connections, taken, and their other ends. */
static void open_conns(struct bench *bench, unsigned n)
{
    for (unsigned i = n; i-- > 0;) {
        assert_int_equal(open_and_wait(bench), 0);
        bench->conns[i] = bench->conns[0];
        bench->peers[i] = accept(bench->listening, NULL, NULL);
        assert_true(bench->peers[i] >= 0);
    }
    assert_int_equal(bench->endpoint->locals[0].open, n);
    assert_int_equal(stats_target(bench->loop.stats, 0, bench->endpoint->slot)->open, n);
}

static void give(struct bench *bench, unsigned i)
{
    pool_give(bench->conns[i], (struct pool_parting){true, IDLE_MS, 0});
}

static struct target_conn *take(struct bench *bench, bool must_live)
{
    const struct pool_manner manner = {.service = &bench->service};

    return pool_take(&bench->loop, bench->endpoint, &manner, must_live);
}

static void assert_idle(const struct bench *bench, unsigned n)
{
    assert_int_equal(bench->endpoint->locals[0].idle_count, n);
}

/* The kernel has told our end of what the other did. */
static void await_input(const struct target_conn *conn)
{
    struct pollfd poll_fd = {.events = POLLIN};

    assert_int_equal(uv_fileno(&conn->conn.uv.handle, &poll_fd.fd), 0);
    assert_int_equal(poll(&poll_fd, 1, PATIENCE_S * 1000), 1);
}

static void test_last_given_is_first_taken(void **state)
{
    struct bench *bench = *state;

    open_conns(bench, 3);
    assert_false(bench->conns[0]->is_reused);
    assert_null(take(bench, false));
    for (unsigned i = 0; i < 3; i++)
        give(bench, i);
    assert_idle(bench, 3);
    for (unsigned i = 3; i-- > 0;)
        assert_ptr_equal(take(bench, false), bench->conns[i]);
    assert_true(bench->conns[0]->is_reused);
    assert_null(take(bench, false));
    assert_idle(bench, 0);
    for (unsigned i = 0; i < 3; i++)
        pool_give(bench->conns[i], (struct pool_parting){0});
    assert_int_equal(bench->endpoint->locals[0].open, 0);
}

static void test_one_in_the_middle_ends(void **state)
{
    struct bench *bench = *state;

    open_conns(bench, 3);
    for (unsigned i = 0; i < 3; i++)
        give(bench, i);
    close(bench->peers[1]);
    bench->peers[1] = -1;
    while (bench->loop.targets.in_use == 3)
        uv_run(&bench->loop.uv, UV_RUN_ONCE);
    assert_idle(bench, 2);
    assert_int_equal(bench->endpoint->locals[0].open, 2);
    assert_ptr_equal(take(bench, true), bench->conns[2]);
    assert_ptr_equal(take(bench, true), bench->conns[0]);
    give(bench, 0);
    give(bench, 2);
}

static void test_target_speaks_unasked(void **state)
{
    struct bench *bench = *state;

    open_conns(bench, 1);
    give(bench, 0);
    assert_int_equal(send(bench->peers[0], "HTTP/1.1 408 Late\r\n\r\n", 21, 0), 21);
    run_until_closed(bench);
    assert_idle(bench, 0);
}

static void test_dead_one_for_what_cannot_be_repeated(void **state)
{
    struct bench *bench = *state;

    open_conns(bench, 2);
    give(bench, 0);
    give(bench, 1);
    close(bench->peers[1]);
    bench->peers[1] = -1;
    await_input(bench->conns[1]);
    assert_ptr_equal(take(bench, true), bench->conns[0]);
    assert_null(take(bench, true));
    give(bench, 0);
}

static void test_idle_time(void **state)
{
    struct bench *bench = *state;
    uint64_t began_us;
    char byte;

    open_conns(bench, 1);
    loop_enter(&bench->loop);
    began_us = bench->loop.now_us;
    pool_give(bench->conns[0], (struct pool_parting){true, 59, 0});
    run_until_closed(bench);
    assert_true(bench->loop.now_us - began_us >= 59000);
    assert_int_equal(recv(bench->peers[0], &byte, 1, 0), 0);
}

static void test_idle_time_is_off_while_taken(void **state)
{
    struct bench *bench = *state;

    open_conns(bench, 1);
    give(bench, 0);
    assert_true(bench->conns[0]->conn.timer.entry.due > 0);
    assert_ptr_equal(take(bench, false), bench->conns[0]);
    assert_int_equal(bench->conns[0]->conn.timer.entry.due, 0);
    give(bench, 0);
}

/* Milliseconds that a connection may idle, two ticks too many at most. */
static uint64_t idle_ms(struct bench *bench, uint32_t keep_alive_s, uint32_t ours_ms)
{
    struct target_conn *conn = bench->conns[0];
    uint64_t now_ms = bench->loop.now_us / 1000;

    conn->conn.wire->keep_alive_s = keep_alive_s;
    pool_give(conn, (struct pool_parting){true, ours_ms, 0});
    assert_ptr_equal(bench->endpoint->locals[0].idle, conn);
    now_ms = conn->conn.timer.entry.due * WHEEL_TICK_MS - now_ms;
    assert_ptr_equal(take(bench, false), conn);
    return now_ms;
}

static void test_keep_alive_of_the_target(void **state)
{
    struct bench *bench = *state;

    open_conns(bench, 1);
    assert_in_range(idle_ms(bench, 0, 4000), 4000, 4040);
    assert_in_range(idle_ms(bench, 5, 60000), 4000, 4040);
    assert_in_range(idle_ms(bench, 5, 3000), 3000, 3040);
    assert_in_range(idle_ms(bench, 1, 60000), 500, 540);
    assert_in_range(idle_ms(bench, 2, 60000), 1000, 1040);
    assert_in_range(idle_ms(bench, UINT32_MAX, 60000), 60000, 60040);
    give(bench, 0);
}

static void test_no_more_than_idle_max(void **state)
{
    struct bench *bench = *state;
    char byte;

    bench->endpoint->idle_max = 2;
    open_conns(bench, 3);
    for (unsigned i = 0; i < 3; i++)
        give(bench, i);
    assert_idle(bench, 2);
    while (bench->loop.targets.in_use == 3)
        uv_run(&bench->loop.uv, UV_RUN_ONCE);
    assert_int_equal(recv(bench->peers[2], &byte, 1, 0), 0);
    assert_int_equal(recv(bench->peers[0], &byte, 1, MSG_DONTWAIT), -1);
}

static void test_age(void **state)
{
    struct bench *bench = *state;

    open_conns(bench, 3);
    pool_give(bench->conns[0], (struct pool_parting){true, IDLE_MS, 1000});
    bench->conns[1]->opened_us -= 1500000;
    pool_give(bench->conns[1], (struct pool_parting){true, IDLE_MS, 2000});
    bench->conns[2]->opened_us -= 1500000;
    pool_give(bench->conns[2], (struct pool_parting){true, IDLE_MS, 1000});
    assert_idle(bench, 2);
    bench->service.pool.max_age_ms = 1000;
    assert_ptr_equal(take(bench, false), bench->conns[0]);
    assert_idle(bench, 0);
    give(bench, 0);
}

static void test_retired(void **state)
{
    struct bench *bench = *state;

    open_conns(bench, 3);
    give(bench, 0);
    give(bench, 1);
    pool_close_idle(&bench->loop, bench->endpoint, false);
    assert_idle(bench, 0);
    give(bench, 2);
    assert_idle(bench, 1);
    assert_ptr_equal(take(bench, true), bench->conns[2]);
    pool_close_idle(&bench->loop, bench->endpoint, true);
    give(bench, 2);
    assert_idle(bench, 0);
}

/* One whose message did not end is not kept, nor one that has more to say. */
static void test_unclean_ones_are_closed(void **state)
{
    struct bench *bench = *state;

    open_conns(bench, 2);
    bench->conns[0]->conn.wire->is_idle = false;
    give(bench, 0);
    bench->conns[1]->conn.wire->wants_close = true;
    give(bench, 1);
    assert_idle(bench, 0);
    assert_int_equal(bench->endpoint->locals[0].open, 0);
}

static void test_refused(void **state)
{
    struct bench *bench = *state;
    int refusing = make_socket(&bench->endpoint->addresses[0], 0);

    assert_int_equal(open_and_wait(bench), REASON_CONNECTION_REFUSED);
    run_until_closed(bench);
    assert_int_equal(bench->endpoint->locals[0].open, 0);
    close(refusing);
}

static void test_next_address(void **state)
{
    struct bench *bench = *state;
    struct endpoint_address *addresses = bench->endpoint->addresses;
    int refusing;

    addresses[2] = addresses[0];
    refusing = make_socket(&addresses[0], 0);
    addresses[1] = addresses[0];
    bench->endpoint->address_count = 3;
    assert_int_equal(open_and_wait(bench), 0);
    assert_int_equal(bench->conns[0]->address, 2);
    give(bench, 0);
    bench->endpoint->address_count = 2;
    assert_int_equal(open_and_wait(bench), REASON_CONNECTION_REFUSED);
    close(refusing);
}

static void test_cancelled(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(open_one(bench), OK);
    assert_non_null(bench->waiter.conn);
    pool_cancel(&bench->waiter);
    pool_cancel(&bench->waiter);
    run_until_closed(bench);
    assert_int_equal(bench->told, 0);
}

static void test_cannot_begin(void **state)
{
    struct bench *bench = *state;

    bench->endpoint->address_count = 0;
    assert_int_equal(open_one(bench), E_NOT_FOUND);
    bench->endpoint->address_count = 1;
    bench->loop.budget.limit = 1;
    assert_int_equal(open_one(bench), E_NOMEM);
    assert_null(bench->waiter.conn);
    bench->loop.budget.limit = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_last_given_is_first_taken, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_one_in_the_middle_ends, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_target_speaks_unasked, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_dead_one_for_what_cannot_be_repeated, make_bench,
                                        remove_bench),
        cmocka_unit_test_setup_teardown(test_idle_time, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_idle_time_is_off_while_taken, make_bench,
                                        remove_bench),
        cmocka_unit_test_setup_teardown(test_keep_alive_of_the_target, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_no_more_than_idle_max, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_age, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_retired, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_unclean_ones_are_closed, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_refused, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_next_address, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_cancelled, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_cannot_begin, make_bench, remove_bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
