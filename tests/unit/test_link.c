/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of link.c and link_server.c: both ends of the supervisor's link, over real socket pairs.
 */
#include "process/link_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A supervisor in a thread: answers each request as told, until the edge's end is closed. */
struct server {
    struct link link;
    pthread_t thread;
    enum status status; /* of each answer; OK to LISTEN sends `count` descriptors of `fd` */
    unsigned count;
    int fd;
    bool is_mute; /* closes the reply unanswered */
    struct link_message last;
};

static int make_pair(void **state)
{
    struct link_pair *pair = malloc(sizeof *pair);
    *state = pair;
    return pair && link_server_open(pair) == OK ? 0 : -1;
}

static int remove_pair(void **state)
{
    struct link_pair *pair = *state;
    link_server_close(&pair->ours);
    link_server_close(&pair->theirs);
    free(pair);
    return 0;
}

static void answer(const struct server *server, struct link_request *request)
{
    enum status status = __atomic_load_n(&server->status, __ATOMIC_ACQUIRE);
    int fds[LINK_SOCKETS_MAX];
    for (unsigned i = 0; i < server->count; i++)
        fds[i] = server->fd;
    if (server->is_mute)
        close(request->reply_fd);
    else if (request->message.kind != LINK_UNLISTEN && request->message.kind != LINK_UPGRADE &&
             !status)
        link_server_answer_sockets(&request->reply_fd, fds, server->count);
    else
        link_server_answer(&request->reply_fd, status, "because");
}

static void *serve(void *argument)
{
    struct server *server = argument;
    struct pollfd wait = {.fd = server->link.request_fd, .events = POLLIN};
    for (;;) {
        struct link_request request;
        poll(&wait, 1, -1);
        enum status status = link_server_receive(&server->link, &request);
        if (status == E_AGAIN)
            continue;
        if (status)
            return NULL;
        server->last = request.message;
        answer(server, &request);
    }
}

static void start(struct server *server, const struct link_pair *pair)
{
    server->link = pair->ours;
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void finish(struct server *server, struct link_pair *pair)
{
    link_server_close(&pair->theirs);
    pthread_join(server->thread, NULL);
}

static unsigned open_count(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_listen_brings_all_sockets_in_batches(void **state)
{
    struct link_pair *pair = *state;
    struct server server = {.count = 200, .fd = pair->ours.notice_fd};
    struct link_listen ask = {STR("127.0.0.1:80"), 4, true, 7, 8};
    int fds[LINK_SOCKETS_MAX];
    unsigned held = 0;
    char error[LINK_ERROR_SIZE];
    start(&server, pair);
    assert_int_equal(link_listen(&pair->theirs, &ask, fds, &held, error), OK);
    assert_int_equal(held, 200);
    struct stat wanted, got;
    fstat(pair->ours.notice_fd, &wanted);
    for (unsigned i = 0; i < held; i++) {
        assert_int_equal(fstat(fds[i], &got), 0);
        assert_int_equal(got.st_ino, wanted.st_ino);
        assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        close(fds[i]);
    }
    finish(&server, pair);
    assert_string_equal(server.last.bind, "127.0.0.1:80");
    assert_int_equal(server.last.count, 4);
    assert_int_equal(server.last.is_admin, 1);
    assert_int_equal(server.last.uid, 7);
    assert_int_equal(server.last.gid, 8);
}

static void test_listen_passes_the_error_on(void **state)
{
    struct link_pair *pair = *state;
    struct server server = {.status = E_CONFLICT};
    struct link_listen ask = {STR(":80"), 1, false, 0, 0};
    int fds[LINK_SOCKETS_MAX];
    unsigned held = 9;
    char error[LINK_ERROR_SIZE];
    start(&server, pair);
    assert_int_equal(link_listen(&pair->theirs, &ask, fds, &held, error), E_CONFLICT);
    assert_string_equal(error, "because");
    assert_int_equal(held, 0);
    finish(&server, pair);
}

static void test_supervisor_that_goes_away_is_told(void **state)
{
    struct link_pair *pair = *state;
    struct server server = {.is_mute = true};
    struct link_listen ask = {STR(":80"), 1, false, 0, 0};
    int fds[LINK_SOCKETS_MAX];
    unsigned held;
    char error[LINK_ERROR_SIZE];
    struct notice notice;
    start(&server, pair);
    assert_int_equal(link_listen(&pair->theirs, &ask, fds, &held, error), E_CLOSED);
    assert_string_equal(error, "the supervisor is gone");
    shutdown(pair->theirs.request_fd, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    link_server_close(&pair->ours);
    assert_int_equal(link_upgrade(&pair->theirs, error), E_CLOSED);
    assert_int_equal(link_unlisten(&pair->theirs, ask.bind), E_CLOSED);
    assert_int_equal(link_ready(&pair->theirs, 1), E_CLOSED);
    assert_int_equal(link_read(&pair->theirs, &notice), E_CLOSED);
}

static void test_listen_out_of_descriptors_leaks_none(void **state)
{
    struct link_pair *pair = *state;
    struct server server = {.count = 100, .fd = pair->ours.notice_fd};
    struct link_listen ask = {STR(":80"), 1, false, 0, 0};
    int fds[LINK_SOCKETS_MAX], spare[1024];
    unsigned held, filled = 0;
    char error[LINK_ERROR_SIZE];
    unsigned before = open_count();
    struct rlimit limit, low = {1024, 1024};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low.rlim_max = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    start(&server, pair);
    do {
        spare[filled] = dup(server.fd);
        assert_in_range(spare[filled], 3, 1023);
    } while (spare[filled++] < 950);
    enum status status = link_listen(&pair->theirs, &ask, fds, &held, error);
    while (filled)
        close(spare[--filled]);
    finish(&server, pair);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(status, E_IO);
    assert_string_equal(error, strerror(EMFILE));
    // The edge's two ends are closed by now, and nothing else was left open.
    assert_int_equal(open_count(), before - 2);
}

static void test_words_reach_the_supervisor(void **state)
{
    const struct link_pair *pair = *state;
    struct link_request request;
    assert_int_equal(link_server_receive(&pair->ours, &request), E_AGAIN);
    assert_int_equal(link_ready(&pair->theirs, 57), OK);
    assert_int_equal(link_report(&pair->theirs, UINT64_MAX), OK);
    assert_int_equal(link_server_receive(&pair->ours, &request), OK);
    assert_int_equal(request.message.kind, LINK_READY);
    assert_int_equal(request.message.value, 57);
    assert_int_equal(request.reply_fd, -1);
    assert_int_equal(link_server_receive(&pair->ours, &request), OK);
    assert_int_equal(request.message.kind, LINK_REPORT);
    assert_true(request.message.value == UINT64_MAX);
}

static void test_memory_comes_as_one_descriptor(void **state)
{
    struct link_pair *pair = *state;
    struct server server = {.count = 1, .fd = pair->ours.notice_fd};
    char error[LINK_ERROR_SIZE], text[LINK_BIND_SIZE + 1];
    int fd;
    start(&server, pair);
    assert_int_equal(link_memory(&pair->theirs, STR("tickets-1"), 4096, &fd, error), OK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    __atomic_store_n(&server.status, E_FULL, __ATOMIC_RELEASE); // the thread is at work
    assert_int_equal(link_memory(&pair->theirs, STR("tickets-2"), 4096, &fd, error), E_FULL);
    assert_string_equal(error, "because");
    assert_int_equal(fd, -1);
    memset(text, 'x', sizeof text);
    struct str name = {text, sizeof text};
    assert_int_equal(link_memory(&pair->theirs, name, 1, &fd, error), E_INVALID);
    finish(&server, pair);
    assert_string_equal(server.last.bind, "tickets-2");
    assert_int_equal(server.last.kind, LINK_MEMORY);
    assert_int_equal(server.last.value, 4096);
}

static void test_upgrade_and_unlisten_are_answered(void **state)
{
    struct link_pair *pair = *state;
    struct server server = {.status = E_INVALID};
    char error[LINK_ERROR_SIZE], text[LINK_BIND_SIZE + 1];
    start(&server, pair);
    assert_int_equal(link_upgrade(&pair->theirs, error), E_INVALID);
    assert_string_equal(error, "because");
    assert_int_equal(link_unlisten(&pair->theirs, STR(":81")), E_INVALID);
    memset(text, 'x', sizeof text);
    assert_int_equal(link_unlisten(&pair->theirs, (struct str){text, sizeof text}), E_INVALID);
    finish(&server, pair);
    assert_string_equal(server.last.bind, ":81");
    assert_int_equal(server.last.kind, LINK_UNLISTEN);
}

static void test_bad_messages_are_refused(void **state)
{
    const struct link_pair *pair = *state;
    const struct link_message good = {.magic = LINK_MAGIC,
                                      .kind = LINK_UNLISTEN,
                                      .bind_len = 3,
                                      .bind = ":80"};
    struct link_message bad[5] = {good, good, good, good, good};
    bad[0].magic++;
    bad[1].kind = 0;
    bad[2].kind = LINK_KINDS;
    bad[3].bind_len = LINK_BIND_SIZE;
    bad[4].bind[1] = '\n';
    struct link_request request;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(write(pair->theirs.request_fd, &bad[i], sizeof bad[i]), sizeof bad[i]);
        assert_int_equal(link_server_receive(&pair->ours, &request), E_PROTOCOL);
    }
    assert_int_equal(write(pair->theirs.request_fd, &good, sizeof good - 1), sizeof good - 1);
    assert_int_equal(link_server_receive(&pair->ours, &request), E_PROTOCOL);
    assert_int_equal(write(pair->theirs.request_fd, &good, sizeof good), sizeof good);
    assert_int_equal(link_server_receive(&pair->ours, &request), OK);
}

static void test_notices_keep_their_order(void **state)
{
    const struct link_pair *pair = *state;
    const struct notice drain = {.kind = NOTICE_DRAIN, .is_superseded = true};
    const struct notice peer = {.kind = NOTICE_PEER,
                                .peer_pid = -42,
                                .peer_generation = 3,
                                .in_flight = 1};
    struct notice notice;
    assert_int_equal(link_read(&pair->theirs, &notice), E_AGAIN);
    assert_int_equal(link_server_notify(&pair->ours, &drain), OK);
    assert_int_equal(link_server_notify(&pair->ours, &peer), OK);
    assert_int_equal(link_read(&pair->theirs, &notice), OK);
    assert_int_equal(notice.kind, NOTICE_DRAIN);
    assert_true(notice.is_superseded);
    assert_int_equal(link_read(&pair->theirs, &notice), OK);
    assert_int_equal(notice.kind, NOTICE_PEER);
    assert_int_equal(notice.peer_pid, -42);
    assert_int_equal(notice.peer_generation, 3);
    assert_int_equal(notice.in_flight, 1);
    assert_false(notice.is_superseded);
    assert_int_equal(link_read(&pair->theirs, &notice), E_AGAIN);
}

static void test_notices_that_are_not_read_do_not_block(void **state)
{
    const struct link_pair *pair = *state;
    const struct notice reload = {.kind = NOTICE_RELOAD};
    enum status status = OK;
    for (unsigned i = 0; i < 100000 && !status; i++)
        status = link_server_notify(&pair->ours, &reload);
    assert_int_equal(status, E_AGAIN);
}

static void test_inherit_takes_only_a_good_pair(void **state)
{
    const struct link_pair *pair = *state;
    static const char *const bad[] = {"", "3", "3,", "x,y", "0,1,2", "900,901", "99999999999,4"};
    struct link link;
    char text[64];
    unsetenv("SLUICE_LINK");
    assert_false(link_inherit(&link));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        setenv("SLUICE_LINK", bad[i], 1);
        assert_false(link_inherit(&link));
        assert_int_equal(link.request_fd, -1);
        assert_null(getenv("SLUICE_LINK"));
    }
    snprintf(text, sizeof text, "%d,%d", pair->theirs.request_fd, pair->theirs.notice_fd);
    fcntl(pair->theirs.request_fd, F_SETFD, 0);
    setenv("SLUICE_LINK", text, 1);
    assert_true(link_inherit(&link));
    assert_int_equal(link.notice_fd, pair->theirs.notice_fd);
    assert_true(fcntl(link.request_fd, F_GETFD) & FD_CLOEXEC);
    assert_null(getenv("SLUICE_LINK"));
}

static void *ask_often(void *argument)
{
    const struct link_pair *pair = argument;
    struct link_listen ask = {STR(":80"), 1, false, 0, 0};
    int fds[LINK_SOCKETS_MAX];
    unsigned held, failed = 0;
    char error[LINK_ERROR_SIZE];
    for (unsigned i = 0; i < 200; i++) {
        failed += link_listen(&pair->theirs, &ask, fds, &held, error) != OK || held != 2;
        while (held)
            close(fds[--held]);
    }
    return (void *)(uintptr_t)failed;
}

static void test_threads_may_ask_at_the_same_time(void **state)
{
    struct link_pair *pair = *state;
    struct server server = {.count = 2, .fd = pair->ours.notice_fd};
    pthread_t threads[3];
    start(&server, pair);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, pair), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    finish(&server, pair);
}

#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, make_pair, remove_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(test_listen_brings_all_sockets_in_batches),
        WITH_PAIR(test_listen_passes_the_error_on),
        WITH_PAIR(test_supervisor_that_goes_away_is_told),
        WITH_PAIR(test_listen_out_of_descriptors_leaks_none),
        WITH_PAIR(test_words_reach_the_supervisor),
        WITH_PAIR(test_memory_comes_as_one_descriptor),
        WITH_PAIR(test_upgrade_and_unlisten_are_answered),
        WITH_PAIR(test_bad_messages_are_refused),
        WITH_PAIR(test_notices_keep_their_order),
        WITH_PAIR(test_notices_that_are_not_read_do_not_block),
        WITH_PAIR(test_inherit_takes_only_a_good_pair),
        WITH_PAIR(test_threads_may_ask_at_the_same_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
