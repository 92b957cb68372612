/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of conn_tls.c and tls_link.c: connections with TLS over pairs of sockets, whose other end
 * is OpenSSL over memory. The codec gives back what it is fed, by reference where it can.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "test_conn_tls.h"
#include "test_tls_make.h"

/* --- the bench */

static int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct pair pair = make(&(struct wish){.names = "DNS:a"});

    *state = bench;
    alarm(PATIENCE_S);
    bench->ours = SSL_CTX_new(TLS_method());
    bench->theirs = SSL_CTX_new(TLS_method());
    bench->bytes = malloc(ROOM);
    bench->read = malloc(ROOM);
    for (size_t i = 0; i < ROOM; i++)
        bench->bytes[i] = (char)(i % 251);
    SSL_CTX_use_certificate(bench->ours, pair.leaf);
    SSL_CTX_use_PrivateKey(bench->ours, pair.key);
    SSL_CTX_use_certificate(bench->theirs, pair.leaf);
    SSL_CTX_use_PrivateKey(bench->theirs, pair.key);
    SSL_CTX_set_session_id_context(bench->ours, (const unsigned char *)"s", 1);
    SSL_CTX_set_session_id_context(bench->theirs, (const unsigned char *)"s", 1);
    SSL_CTX_set_mode(bench->ours, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
    drop(&pair);
    return loop_init(&bench->loop, 0, 0);
}

static int remove_bench(void **state)
{
    struct bench *bench = *state;

    if (bench->loop.conns) // the test failed, and what they lie in is gone
        return -1;
    SSL_CTX_free(bench->ours);
    SSL_CTX_free(bench->theirs);
    SSL_SESSION_free(bench->session);
    loop_fini(&bench->loop);
    assert_int_equal(bench->loop.budget.used, 0);
    free(bench->bytes);
    free(bench->read);
    free(bench);
    alarm(0);
    return 0;
}

static void turn(struct bench *bench)
{
    uv_run(&bench->loop.uv, UV_RUN_NOWAIT);
}

static void enter(struct side *side, struct bench *bench, enum role role)
{
    int pair[2], room = 1 << 20;

    *side = (struct side){.bench = bench};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    side->fd = pair[1];
    side->ssl = SSL_new(bench->theirs);
    side->in = BIO_new(BIO_s_mem());
    side->out = BIO_new(BIO_s_mem());
    SSL_set_bio(side->ssl, side->in, side->out);
    if (role == ROLE_SERVER)
        SSL_set_connect_state(side->ssl);
    else
        SSL_set_accept_state(side->ssl);
    if (role == ROLE_SERVER && bench->session)
        SSL_set_session(side->ssl, bench->session);
    side->conn.loop = &bench->loop;
    side->conn.ops = &ops;
    side->conn.wire = &side->wire;
    side->wire.limits = &limits;
    loop_enter(&bench->loop);
    assert_int_equal(conn_init(&side->conn, true), OK);
    assert_int_equal(uv_pipe_open(&side->conn.uv.pipe, pair[0]), 0);
    assert_int_equal(conn_secure(&side->conn, SSL_new(bench->ours), role), OK);
    assert_int_equal(conn_start(&side->conn, NULL, role), OK);
    loop_leave(&bench->loop);
}

static void leave(struct side *side)
{
    conn_close(&side->conn, REASON_DRAINING);
    while (!side->closed)
        uv_run(&side->bench->loop.uv, UV_RUN_ONCE);
    assert_int_equal(side->closing, 1);
    SSL_free(side->ssl);
    if (!side->has_left)
        close(side->fd);
}

/* --- the other end */

/* Ciphertext of the other end to the socket, `step` bytes at a time; 0: all. */
static void push(struct side *side, size_t step)
{
    char *p;
    size_t len = (size_t)BIO_get_mem_data(side->out, &p);

    for (size_t at = 0; at < len;) {
        size_t n = step && step < len - at ? step : len - at;
        ssize_t sent = send(side->fd, p + at, n, MSG_NOSIGNAL);

        if (sent > 0)
            at += (size_t)sent;
        else if (errno != EAGAIN)
            break; // it has closed: what it said is still to be read
        if (step || sent < 0)
            turn(side->bench);
    }
    BIO_reset(side->out);
}

/* What the socket has for it. */
static void take(struct side *side, size_t step)
{
    char bytes[4096];
    ssize_t n;

    turn(side->bench);
    while ((n = recv(side->fd, bytes, step ? step : sizeof(bytes), 0)) > 0) {
        BIO_write(side->in, bytes, (int)n);
        if (step)
            break;
        turn(side->bench);
    }
    if (n == 0)
        BIO_set_mem_eof_return(side->in, 0);
}

static void shake_hands(struct side *side, size_t step)
{
    while (SSL_do_handshake(side->ssl) != 1) {
        push(side, step);
        take(side, step);
    }
    push(side, step);
    while (!side->secured && !side->closed)
        turn(side->bench);
    assert_int_equal(side->secured, 1);
}

/* Reads `len` bytes and compares them with the pattern from `at` on. */
static void expect(struct side *side, size_t at, size_t len, size_t step)
{
    size_t got = 0, n;

    while (got < len) {
        if (SSL_read_ex(side->ssl, side->bench->read, len - got, &n)) {
            assert_memory_equal(side->bench->read, side->bench->bytes + at + got, n);
            got += n;
        } else {
            assert_int_equal(SSL_get_error(side->ssl, 0), SSL_ERROR_WANT_READ);
            push(side, step);
            take(side, step);
        }
    }
}

static void say(struct side *side, size_t at, size_t len)
{
    size_t n;

    assert_int_equal(SSL_write_ex(side->ssl, side->bench->bytes + at, len, &n), 1);
    assert_int_equal(n, len);
}

/* The error of reading on: SSL_ERROR_... */
static int read_end(struct side *side)
{
    int error;
    size_t n;

    do {
        push(side, 0);
        take(side, 0);
        error = SSL_read_ex(side->ssl, side->bench->read, 1, &n) ? SSL_ERROR_NONE
                                                                 : SSL_get_error(side->ssl, 0);
    } while (error == SSL_ERROR_WANT_READ);
    return error;
}

/* --- tests */

static void a_handshake_in_pieces(void **state)
{
    static const size_t steps[] = {0, 1, 100};

    for (unsigned i = 0; i < 2 * ARRAY_LEN(steps); i++) {
        struct side side;

        enter(&side, *state, i % 2 ? ROLE_CLIENT : ROLE_SERVER);
        shake_hands(&side, steps[i / 2]);
        say(&side, 0, 5000);
        push(&side, steps[i / 2]);
        expect(&side, 0, 5000, steps[i / 2]);
        leave(&side);
    }
}

/* Those that wait for their turn are served all, and a request in the storm before them. */
static void a_storm_of_handshakes(void **state)
{
    struct bench *bench = *state;
    struct side *storm = calloc(STORM, sizeof(*storm)), first;
    unsigned waiting = 0, through = 0;

    enter(&first, bench, ROLE_SERVER);
    shake_hands(&first, 0);
    for (unsigned i = 0; i < STORM; i++) {
        enter(&storm[i], bench, ROLE_SERVER);
        assert_int_equal(SSL_do_handshake(storm[i].ssl), -1);
        push(&storm[i], 0);
    }
    say(&first, 0, 100);
    push(&first, 0);
    turn(bench);
    for (unsigned i = 0; i < STORM; i++)
        waiting += storm[i].conn.is_waiting_shake;
    assert_true(waiting >= STORM - 2 * TLS_SHAKES_A_TURN);
    assert_int_equal(first.fed, 100);
    conn_close(&storm[STORM / 2].conn, REASON_DRAINING); // one that waits goes
    while (bench->loop.shaking)
        turn(bench);
    for (unsigned i = 0; i < STORM; i++) {
        if (i != STORM / 2) {
            shake_hands(&storm[i], 0);
            say(&storm[i], 0, 10);
            push(&storm[i], 0);
            expect(&storm[i], 0, 10, 0);
            through++;
        }
        leave(&storm[i]);
    }
    assert_int_equal(through, STORM - 1);
    expect(&first, 0, 100, 0);
    leave(&first);
    free(storm);
}

static void writes_of_any_size(void **state)
{
    static const size_t sizes[] = {1, 7, 4096, 65536};
    struct side side;

    enter(&side, *state, ROLE_SERVER);
    shake_hands(&side, 0);
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        for (size_t n = 0; n < 20; n++)
            say(&side, n * sizes[i], sizes[i]);
        push(&side, sizes[i] < 100 ? 1 : 0);
        expect(&side, 0, 20 * sizes[i], 0);
    }
    leave(&side);
}

/* Two reads of the socket, each a full buffer, of records so long that the second holds more than a
 * buffer of plain bytes, the last of them inside OpenSSL: what was lent to the queue of the first
 * part must not be overwritten by the second. */
static void more_than_a_buffer_in_one_read(void **state)
{
    enum { RECORD = 15000, LAST = 2 * LOOP_READ_BUFFER - 4 * (RECORD + 22) - 22 };
    struct side side;

    enter(&side, *state, ROLE_SERVER);
    shake_hands(&side, 0);
    SSL_set_max_send_fragment(side.ssl, RECORD);
    say(&side, 0, 4 * RECORD + LAST);
    assert_int_equal(BIO_ctrl_pending(side.out), 2 * LOOP_READ_BUFFER);
    push(&side, 0);
    expect(&side, 0, 4 * RECORD + LAST, 0);
    leave(&side);
}

/* A peer that does not read: little is encrypted ahead, and all of it arrives once it does. */
static void back_pressure(void **state)
{
    struct side side;

    enter(&side, *state, ROLE_SERVER);
    shake_hands(&side, 0);
    side.blasts = true;
    say(&side, 0, 1);
    push(&side, 0);
    while (!side.conn.writing)
        turn(side.bench);
    for (unsigned i = 0; i < 20; i++)
        turn(side.bench);
    assert_true(outq_pending(side.conn.tls->out) <= TLS_OUT_MAX + 17 * 1024);
    assert_true(outq_pending(side.wire.out) > ROOM / 2);
    expect(&side, 0, ROOM, 0);
    assert_null(side.wire.out);
    leave(&side);
}

static void the_end_is_said_both_ways(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        struct side side;

        enter(&side, *state, i ? ROLE_CLIENT : ROLE_SERVER);
        shake_hands(&side, 0);
        say(&side, 0, 3000);
        SSL_shutdown(side.ssl);
        push(&side, 0);
        expect(&side, 0, 3000, 0);
        assert_int_equal(read_end(&side), SSL_ERROR_ZERO_RETURN);
        assert_int_equal(side.ended, 1);
        leave(&side);
    }
}

/* Without close_notify a target's answer may have been cut by anyone. */
static void an_end_that_was_not_said(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        struct side side;

        enter(&side, *state, i ? ROLE_CLIENT : ROLE_SERVER);
        shake_hands(&side, 0);
        side.holds = true;
        say(&side, 0, 3000);
        push(&side, 0);
        close(side.fd);
        side.has_left = true;
        while (!side.closed)
            uv_run(&side.bench->loop.uv, UV_RUN_ONCE);
        assert_int_equal(side.fed, 3000);
        if (i) {
            assert_int_equal(side.ended, 0);
            assert_int_equal(side.why, REASON_CONNECTION_TERMINATED);
        }
        leave(&side);
    }
}

static void a_broken_record_ends_the_connection(void **state)
{
    for (unsigned i = 0; i < 4; i++) {
        struct side side;
        char *p;

        enter(&side, *state, i / 2 ? ROLE_CLIENT : ROLE_SERVER);
        shake_hands(&side, 0);
        side.holds = true;
        if (i % 2)
            say(&side, 0, 1000); // a good one before it, in the same read
        say(&side, 0, 1000);
        BIO_get_mem_data(side.out, &p);
        p[(i % 2) * 1022 + 500] ^= 1;
        ERR_clear_error();
        assert_int_equal(read_end(&side), SSL_ERROR_SSL);
        assert_int_equal(ERR_GET_REASON(ERR_peek_error()),
                         SSL_R_SSLV3_ALERT_BAD_RECORD_MAC); // it was told what was wrong
        assert_int_equal(side.wire.fault, REASON_TLS_PROTOCOL_ERROR);
        assert_int_equal(side.fed, i % 2 ? 1000 : 0);
        assert_int_equal(side.closing, 1);
        leave(&side);
    }
}

static void a_failed_handshake_is_told(void **state)
{
    struct side side;

    enter(&side, *state, ROLE_SERVER);
    assert_int_equal(send(side.fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    while (!side.closed)
        uv_run(&side.bench->loop.uv, UV_RUN_ONCE);
    assert_int_equal(side.insecure, 1);
    assert_int_equal(side.secured, 0);
    leave(&side);
    enter(&side, *state, ROLE_CLIENT); // does not trust us
    SSL_set_verify(side.conn.tls->ssl, SSL_VERIFY_PEER, NULL);
    while (!side.closed) {
        SSL_do_handshake(side.ssl);
        push(&side, 0);
        take(&side, 0);
    }
    assert_int_equal(side.insecure, 1);
    assert_int_equal(side.conn.wire->role, ROLE_CLIENT);
    leave(&side);
}

static void buffers_are_given_back_while_idle(void **state)
{
    struct side side;

    enter(&side, *state, ROLE_SERVER);
    tls_link_slim(side.conn.tls);
    assert_false(side.conn.tls->is_slim);
    shake_hands(&side, 0);
    for (unsigned i = 0; i < 3; i++) {
        tls_link_slim(side.conn.tls);
        assert_true(side.conn.tls->is_slim);
        tls_link_slim(side.conn.tls);
        say(&side, 0, 20000);
        push(&side, i);
        expect(&side, 0, 20000, 0);
        assert_false(side.conn.tls->is_slim);
    }
    leave(&side);
}

static void sessions_are_resumed(void **state)
{
    struct bench *bench = *state;
    SSL_SESSION *ours = NULL;

    for (unsigned i = 0; i < 2; i++) {
        struct side side;

        enter(&side, bench, ROLE_SERVER);
        shake_hands(&side, 0);
        say(&side, 0, 10);
        push(&side, 0);
        expect(&side, 0, 10, 0);
        assert_int_equal(SSL_session_reused(side.ssl), i);
        SSL_SESSION_free(bench->session);
        bench->session = SSL_get1_session(side.ssl);
        SSL_shutdown(side.ssl);
        leave(&side);
    }
    for (unsigned i = 0; i < 2; i++) { // and by us, as a client
        struct side side;

        SSL_CTX_set_session_cache_mode(bench->ours, SSL_SESS_CACHE_CLIENT);
        enter(&side, bench, ROLE_CLIENT);
        shake_hands(&side, 0);
        say(&side, 0, 10);
        push(&side, 0);
        expect(&side, 0, 10, 0);
        ours = tls_link_session(side.conn.tls);
        assert_non_null(ours);
        SSL_SESSION_free(ours);
        leave(&side);
    }
}

/* However little memory there is: it works, or the connection ends. */
static void too_little_memory(void **state)
{
    struct bench *bench = *state;

    for (size_t extra = 0; extra < 128 * 1024; extra += 4000) {
        struct side side;

        enter(&side, bench, ROLE_SERVER);
        shake_hands(&side, 0);
        bench->loop.budget.limit = bench->loop.budget.used + extra;
        say(&side, 0, 60000);
        push(&side, 0);
        for (unsigned i = 0; i < 20; i++)
            turn(bench);
        if (!side.closed)
            expect(&side, 0, 60000, 0);
        bench->loop.budget.limit = 0;
        leave(&side);
    }
}

#define BENCH(test) cmocka_unit_test_setup_teardown(test, make_bench, remove_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH(a_handshake_in_pieces),
        BENCH(a_storm_of_handshakes),
        BENCH(writes_of_any_size),
        BENCH(more_than_a_buffer_in_one_read),
        BENCH(back_pressure),
        BENCH(the_end_is_said_both_ways),
        BENCH(an_end_that_was_not_said),
        BENCH(a_broken_record_ends_the_connection),
        BENCH(a_failed_handshake_is_told),
        BENCH(buffers_are_given_back_while_idle),
        BENCH(sessions_are_resumed),
        BENCH(too_little_memory),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
