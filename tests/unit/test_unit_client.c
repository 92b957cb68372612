/* SPDX-License-Identifier: Apache-2.0
 *
 * Control's end of the link to the supervisor, when the supervisor has gone: what else is watched
 * goes on being watched.
 */
#include "control/unit_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void count_lost(void *owner)
{
    (*(unsigned *)owner)++;
}

static void count_view(void *owner, const struct unit_view *view)
{
    (void)owner;
    (void)view;
}

static void count_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    (*(unsigned *)poll->data)++;
    uv_poll_stop(poll);
}

/* A descriptor that is opened once the link is lost may get the number that the link had. */
static void what_is_opened_later_stays_watched(void **state)
{
    unsigned lost = 0, heard = 0;
    struct unit_client_watch watch = {.on_lost = count_lost, .on_view = count_view, .owner = &lost};
    struct unit_client *client;
    uv_poll_t other = {.data = &heard};
    int link[2], pair[2];
    uv_loop_t loop;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, link), 0);
    client = unit_client_new(&loop, link[0]);
    assert_non_null(client);
    unit_client_watch(client, &watch);
    close(link[1]);
    while (!lost)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(uv_poll_init(&loop, &other, pair[0]), 0);
    assert_int_equal(uv_poll_start(&other, UV_READABLE, count_poll), 0);
    uv_run(&loop, UV_RUN_NOWAIT); // it is watched from here on
    unit_client_unwatch(client, &watch);
    unit_client_close(&client);
    assert_int_equal(write(pair[1], "x", 1), 1);
    for (unsigned turns = 0; !heard && turns < 3; turns++)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(heard, 1);
    uv_close((uv_handle_t *)&other, NULL);
    while (uv_run(&loop, UV_RUN_DEFAULT)) {
    }
    close(pair[0]);
    close(pair[1]);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_opened_later_stays_watched)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
