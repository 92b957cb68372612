/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of conn.c and loop.c over a pair of sockets, with a codec of lines: `echo TEXT` comes back,
 * `blast N` answers N bytes by reference, `quit` ends the wire after the answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "edge/conn.h"

enum { PATIENCE_S = 20, BLAST_MAX = 2 * 1024 * 1024 };

struct bench {
    struct loop loop;
    struct conn conn;
    struct wire wire;
    struct loop_timer timers[2];
    int peer;
    unsigned begun, closing, closed, timeouts, fired, wrote;
    bool got_eof;
    char *bytes; /* what a blast sends; changed once it must have been copied */
    char *read;  /* what the peer has read */
    size_t read_len;
};

/* --- the codec */

static const struct wire_limits limits = {.header_bytes = 1024, .uri_bytes = 512, .headers = 10};

static struct bench *bench_of(struct wire *wire)
{
    return CONTAINER_OF(wire, struct bench, wire);
}

static enum status open_wire(struct wire *wire, enum role role)
{
    wire->role = role;
    wire->is_idle = true;
    return OK;
}

static enum status answer(struct wire *wire, struct str line)
{
    if (!wire->out && !(wire->out = outq_take(wire->outqs)))
        return E_NOMEM;
    if (!strncmp(line.p, "quit", 4))
        wire->wants_close = true;
    if (!strncmp(line.p, "blast", 5))
        return outq_ref(wire->out, (struct str){bench_of(wire)->bytes, (size_t)atol(line.p + 6)});
    if (!strncmp(line.p, "bad", 3))
        return E_PROTOCOL;
    return outq_ref(wire->out, line);
}

/* One line a call. */
static enum status feed(struct wire *wire, struct str in, size_t *used)
{
    const char *end = memchr(in.p, '\n', in.len);

    wire->is_partial = !end;
    if (!end)
        return OK;
    *used = (size_t)(end - in.p) + 1;
    return answer(wire, (struct str){in.p, *used});
}

static void eof(struct wire *wire)
{
    bench_of(wire)->got_eof = true;
    wire->wants_close = true;
}

static void wrote(struct wire *wire)
{
    bench_of(wire)->wrote++;
}

static void close_wire(struct wire *wire, enum reason why)
{
    (void)why;
    outq_give(&wire->out);
}

static const struct codec line_codec = {
    .open = open_wire, .feed = feed, .eof = eof, .wrote = wrote, .close = close_wire};

/* --- the owner */

static struct bench *owner(struct conn *conn)
{
    return CONTAINER_OF(conn, struct bench, conn);
}

static void on_closing(struct conn *conn)
{
    owner(conn)->closing++;
}

static void on_closed(struct conn *conn)
{
    owner(conn)->closed++;
}

static void on_idle(struct conn *conn)
{
    (void)conn;
}

static void on_begin(struct conn *conn)
{
    owner(conn)->begun++;
}

static void on_timeout(struct conn *conn)
{
    owner(conn)->timeouts++;
    conn_close(conn, REASON_CLIENT_GONE);
}

static const struct conn_ops ops = {.on_closing = on_closing,
                                    .on_closed = on_closed,
                                    .on_idle = on_idle,
                                    .on_begin = on_begin,
                                    .on_timeout = on_timeout};

static int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    int pair[2];

    *state = bench;
    alarm(PATIENCE_S);
    bench->bytes = malloc(BLAST_MAX);
    bench->read = malloc(BLAST_MAX);
    memset(bench->bytes, 'x', BLAST_MAX);
    if (loop_init(&bench->loop, 0, 0) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
        return -1;
    bench->peer = pair[1];
    bench->conn.loop = &bench->loop;
    bench->conn.ops = &ops;
    bench->conn.wire = &bench->wire;
    bench->wire.limits = &limits;
    return conn_init(&bench->conn, true) || uv_pipe_open(&bench->conn.uv.pipe, pair[0]) ||
           conn_start(&bench->conn, &line_codec, ROLE_SERVER);
}

static void run_until_closed(struct bench *bench)
{
    while (!bench->closed)
        uv_run(&bench->loop.uv, UV_RUN_ONCE);
}

static int remove_bench(void **state)
{
    struct bench *bench = *state;

    conn_close(&bench->conn, REASON_CLIENT_GONE);
    run_until_closed(bench);
    assert_int_equal(bench->closing, 1);
    assert_int_equal(bench->closed, 1);
    for (unsigned i = 0; i < 2; i++)
        loop_timer_remove(&bench->loop, &bench->timers[i]);
    loop_fini(&bench->loop);
    assert_int_equal(bench->loop.budget.used, 0);
    close(bench->peer);
    free(bench->bytes);
    free(bench->read);
    free(bench);
    alarm(0);
    return 0;
}

static void say(struct bench *bench, const char *text)
{
    size_t len = strlen(text);

    assert_int_equal(send(bench->peer, text, len, MSG_NOSIGNAL), len);
}

/* Runs until the peer has read `len` bytes in all; false when the end comes first. */
static bool await_bytes(struct bench *bench, size_t len)
{
    while (bench->read_len < len) {
        ssize_t n = recv(bench->peer, bench->read + bench->read_len, len - bench->read_len, 0);

        if (n > 0)
            bench->read_len += (size_t)n;
        else if (n == 0)
            return false;
        else if (errno == EAGAIN)
            uv_run(&bench->loop.uv, UV_RUN_ONCE);
        else
            fail();
    }
    return true;
}

static void assert_answer(struct bench *bench, const char *want)
{
    bench->read_len = 0;
    assert_true(await_bytes(bench, strlen(want)));
    assert_memory_equal(bench->read, want, strlen(want));
}

static void assert_end(struct bench *bench)
{
    bench->read_len = 0;
    assert_false(await_bytes(bench, 1));
}

/* --- tests */

static void test_lines(void **state)
{
    struct bench *bench = *state;

    say(bench, "echo one\necho two\n");
    assert_answer(bench, "echo one\necho two\n");
    assert_int_equal(bench->begun, 0);
    assert_int_equal(bench->conn.read_bytes, 18);
    assert_int_equal(bench->conn.written_bytes, 18);
    assert_null(bench->wire.out);
    assert_int_equal(bench->loop.outqs.in_use, 0);
}

/* Unfinished input is kept, and memory for it is held only then. */
static void test_line_in_pieces(void **state)
{
    struct bench *bench = *state;
    char text[3 * LOOP_PARTIAL];

    memset(text, 'y', sizeof(text));
    text[sizeof(text) - 2] = '\n';
    text[sizeof(text) - 1] = '\0';
    for (size_t at = 0; at < sizeof(text) - 1; at += 1000) {
        uint64_t before = bench->conn.read_bytes;
        char piece[1001];

        snprintf(piece, sizeof(piece), "%.1000s", text + at);
        say(bench, piece);
        while (bench->conn.read_bytes == before)
            uv_run(&bench->loop.uv, UV_RUN_ONCE);
    }
    assert_answer(bench, text);
    assert_int_equal(bench->begun, 1);
    assert_int_equal(bench->conn.partial.size, 0);
    say(bench, "echo a\nand ");
    assert_answer(bench, "echo a\n");
    assert_int_equal(bench->begun, 2);
    assert_int_equal(bench->conn.partial.len, 4);
    say(bench, "b\n");
    assert_answer(bench, "and b\n");
    assert_null(bench->conn.partial.p);
}

/* More than the socket takes: what was lent is copied before the loop runs on, and arrives whole.
 */
static void test_large_answer_to_a_slow_reader(void **state)
{
    struct bench *bench = *state;
    char text[64];

    snprintf(text, sizeof(text), "blast %d\necho end\n", BLAST_MAX - 9);
    say(bench, text);
    while (!bench->conn.writing)
        uv_run(&bench->loop.uv, UV_RUN_ONCE);
    memset(bench->bytes, 'z', BLAST_MAX);
    assert_true(await_bytes(bench, BLAST_MAX));
    for (size_t i = 0; i < BLAST_MAX - 9; i++)
        if (bench->read[i] != 'x')
            fail_msg("byte %zu is '%c'", i, bench->read[i]);
    assert_memory_equal(bench->read + BLAST_MAX - 9, "echo end\n", 9);
    while (bench->conn.writing)
        uv_run(&bench->loop.uv, UV_RUN_ONCE);
    assert_int_equal(bench->conn.written_bytes, BLAST_MAX);
    assert_null(bench->wire.out);
}

static void test_closed_while_writing(void **state)
{
    struct bench *bench = *state;
    char text[64];

    snprintf(text, sizeof(text), "blast %d\n", BLAST_MAX);
    say(bench, text);
    while (!bench->conn.writing)
        uv_run(&bench->loop.uv, UV_RUN_ONCE);
    conn_close(&bench->conn, REASON_CLIENT_GONE);
    conn_close(&bench->conn, REASON_CLIENT_GONE);
}

/* The wire ends while the client still speaks: it gets the last answer, and the end. */
static void test_end_with_input_left(void **state)
{
    struct bench *bench = *state;

    bench->wire.unpaid = WIRE_WINDOW;
    say(bench, "quit\necho never\n");
    assert_answer(bench, "quit\n");
    assert_end(bench);
    assert_true(bench->conn.is_lingering);
    assert_int_equal(bench->closed, 0);
    say(bench, "still speaking\n");
    shutdown(bench->peer, SHUT_WR);
    run_until_closed(bench);
    assert_int_equal(bench->timeouts, 0);
}

static void test_end_while_idle(void **state)
{
    struct bench *bench = *state;

    say(bench, "quit\n");
    assert_answer(bench, "quit\n");
    run_until_closed(bench);
    assert_end(bench);
}

/* What came before the client's end is answered. */
static void test_client_ends(void **state)
{
    struct bench *bench = *state;

    say(bench, "echo last\n");
    shutdown(bench->peer, SHUT_WR);
    assert_answer(bench, "echo last\n");
    run_until_closed(bench);
    assert_true(bench->got_eof);
}

static void test_broken_protocol(void **state)
{
    struct bench *bench = *state;

    say(bench, "bad\n");
    run_until_closed(bench);
    assert_end(bench);
}

static void test_without_memory(void **state)
{
    struct bench *bench = *state;

    bench->loop.budget.limit = 1;
    say(bench, "half a line");
    run_until_closed(bench);
    assert_end(bench);
}

static void test_timeout(void **state)
{
    struct bench *bench = *state;

    loop_enter(&bench->loop);
    loop_timer_set(&bench->loop, &bench->conn.timer, 30);
    run_until_closed(bench);
    assert_int_equal(bench->timeouts, 1);
}

/* Reading stops while the consumer owes too much, and goes on. */
static void test_window(void **state)
{
    struct bench *bench = *state;

    say(bench, "echo a\n");
    bench->wire.unpaid = WIRE_WINDOW;
    assert_answer(bench, "echo a\n");
    assert_false(bench->conn.is_reading);
    say(bench, "echo b\n");
    uv_run(&bench->loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(bench->conn.read_bytes, 7);
    bench->wire.unpaid = 0;
    loop_enter(&bench->loop);
    conn_touch(&bench->conn);
    conn_touch(&bench->conn);
    loop_leave(&bench->loop);
    assert_answer(bench, "echo b\n");
}

static void count_fire(struct loop_timer *timer)
{
    (void)timer;
}

/* The wheel's time is that of the last tick, the callback's is later: a deadline counts from the
 * latter. */
static void test_timer_set_between_ticks(void **state)
{
    struct bench *bench = *state;
    struct loop *loop = &bench->loop;

    bench->timers[0].fire = bench->timers[1].fire = count_fire;
    loop_timer_set(loop, &bench->timers[0], 10000);
    for (uint64_t late_ms = 0; late_ms < 100; late_ms++) {
        for (uint64_t delay_ms = 0; delay_ms < 50; delay_ms++) {
            uint64_t fires_ms;

            loop_timer_set(loop, &bench->timers[1], delay_ms);
            fires_ms = bench->timers[1].entry.due * WHEEL_TICK_MS;
            assert_true(fires_ms >= loop->now_us / 1000 + delay_ms);
            assert_true(fires_ms <= loop->now_us / 1000 + delay_ms + 2 * WHEEL_TICK_MS);
        }
        loop->now_us += 1000;
    }
}

/* It was set while nothing went on, or the machine slept, which the other clock does not count. */
static void test_wall_clock_after_a_pause(void **state)
{
    struct bench *bench = *state;
    struct loop *loop = &bench->loop;

    assert_false(loop->is_ticking);
    loop->wall_offset_ms -= 3600000;
    loop_enter(loop);
    loop_timer_set(loop, &bench->timers[0], 1000);
    assert_in_range(loop_wall_ms(loop), clock_wall_ms() - 60000, clock_wall_ms() + 60000);
    loop_timer_remove(loop, &bench->timers[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_line_in_pieces, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_large_answer_to_a_slow_reader, make_bench,
                                        remove_bench),
        cmocka_unit_test_setup_teardown(test_closed_while_writing, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_end_with_input_left, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_end_while_idle, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_client_ends, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_broken_protocol, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_without_memory, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_timeout, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_window, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_timer_set_between_ticks, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_wall_clock_after_a_pause, make_bench, remove_bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
