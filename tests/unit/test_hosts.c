/* SPDX-License-Identifier: Apache-2.0
 *
 * Host names of targets that are looked up again. getaddrinfo() is this file's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "edge/manager/hosts.h"

/* --- a resolver: one address a letter */

static char answer[16]; /* set while nothing is looked up */
static unsigned asked;  /* atomic */

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **list)
{
    (void)host;
    (void)port;
    (void)hints;
    __atomic_fetch_add(&asked, 1, __ATOMIC_RELAXED);
    *list = NULL;
    for (size_t i = strlen(answer); i > 0; i--) {
        struct addrinfo *info = calloc(1, sizeof(*info) + sizeof(struct sockaddr_in));
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)(info + 1);

        in->sin_family = AF_INET;
        in->sin_addr.s_addr = htonl((uint32_t)answer[i - 1]);
        info->ai_addr = (struct sockaddr *)(void *)in;
        info->ai_addrlen = sizeof(*in);
        info->ai_next = *list;
        *list = info;
    }
    return *list ? 0 : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;

        free(list);
        list = next;
    }
}

/* --- pure */

static void test_names(void **state)
{
    static const char *const names[] = {"localhost:80", "app.internal:3000", "1.2.3.4.example:1",
                                        "1234:80"};
    static const char *const literals[] = {"127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80",
                                           "unix:/run/app"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_true(hosts_is_name((struct str){names[i], strlen(names[i])}));
        assert_false(hosts_is_name((struct str){literals[i], strlen(literals[i])}));
    }
}

static unsigned fill(struct endpoint_address *addresses, const char *letters)
{
    unsigned n = (unsigned)strlen(letters);

    memset(addresses, 0, ENDPOINT_ADDRESSES_MAX * sizeof(*addresses));
    for (unsigned i = 0; i < n; i++) {
        struct sockaddr_in *in = (struct sockaddr_in *)&addresses[i].socket;

        in->sin_family = AF_INET;
        in->sin_addr.s_addr = htonl((uint32_t)letters[i]);
        addresses[i].len = sizeof(*in);
    }
    return n;
}

static struct endpoint *make(const char *address, const char *letters)
{
    struct endpoint *endpoint =
        endpoint_new(STR("app"), STR("a"), (struct str){address, strlen(address)}, 1);

    endpoint->address_count = fill(endpoint->addresses, letters);
    return endpoint;
}

static bool differ(const char *now, const char *then)
{
    struct endpoint *endpoint = make("app:80", now);
    struct endpoint_address addresses[ENDPOINT_ADDRESSES_MAX];
    bool is_other = hosts_differ(endpoint, addresses, fill(addresses, then));

    endpoint_unref(&endpoint);
    return is_other;
}

static void test_differences(void **state)
{
    (void)state;
    assert_false(differ("a", "a"));
    assert_false(differ("abc", "cab"));
    assert_true(differ("a", "b"));
    assert_true(differ("ab", "a"));
    assert_true(differ("a", "ab"));
    assert_true(differ("", "a"));
    assert_false(differ("abcdefgh", "hijklmno")); // a part of many, each time another
    assert_true(differ("abcdefgh", "ijklmnop"));
    assert_true(differ("abcdefgh", "abcdefg"));
}

/* --- looking */

struct rig {
    uv_loop_t loop;
    struct hosts *hosts;
    unsigned changes;
    struct snapshot_target targets[2];
    struct release release;
    struct service service;
    struct snapshot snapshot;
};

static void on_change(void *owner)
{
    ((struct rig *)owner)->changes++;
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    uv_loop_init(&rig->loop);
    rig->hosts = hosts_open(&rig->loop, on_change, rig);
    rig->targets[0].endpoint = make("10.0.0.1:80", "x");
    rig->targets[1].endpoint = make("app:80", "ab");
    rig->release = (struct release){.targets = rig->targets, .count = 2};
    rig->service = (struct service){.releases = &rig->release, .release_count = 1};
    rig->snapshot = (struct snapshot){.services = &rig->service, .service_count = 1};
    asked = 0;
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    hosts_close(&rig->hosts);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rig->targets[i].endpoint->refs, 1);
        endpoint_unref(&rig->targets[i].endpoint);
    }
    free(rig);
    return 0;
}

static void on_time(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
}

static void pass(struct rig *rig, uint64_t ms)
{
    uv_timer_t timer;

    uv_timer_init(&rig->loop, &timer);
    uv_timer_start(&timer, on_time, ms, 0);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
}

static void look(struct rig *rig, const char *letters)
{
    strcpy(answer, letters);
    hosts_suspect(rig->hosts, rig->targets[1].endpoint);
    pass(rig, HOSTS_SUSPECT_MS + 10);
    hosts_tick(rig->hosts, &rig->snapshot);
    hosts_tick(rig->hosts, &rig->snapshot); // one at a time
    uv_run(&rig->loop, UV_RUN_DEFAULT);
}

static void test_a_look(void **state)
{
    struct rig *rig = *state;

    look(rig, "ba");
    assert_int_equal(asked, 1);
    assert_int_equal(rig->changes, 0);
    look(rig, "");
    assert_int_equal(rig->changes, 0);
    look(rig, "ac");
    assert_int_equal(asked, 3);
    assert_int_equal(rig->changes, 1);
}

static void test_when_there_is_no_need(void **state)
{
    struct rig *rig = *state;

    strcpy(answer, "z");
    hosts_suspect(rig->hosts, rig->targets[0].endpoint);
    hosts_tick(rig->hosts, NULL);
    hosts_tick(rig->hosts, &rig->snapshot);
    pass(rig, HOSTS_SUSPECT_MS + 10);
    hosts_tick(rig->hosts, &rig->snapshot);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(asked, 0);
}

static void test_closing_while_one_is_under_way(void **state)
{
    struct rig *rig = *state;

    strcpy(answer, "z");
    hosts_suspect(rig->hosts, rig->targets[1].endpoint);
    pass(rig, HOSTS_SUSPECT_MS + 10);
    hosts_tick(rig->hosts, &rig->snapshot);
    hosts_close(&rig->hosts);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(rig->changes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_differences),
        cmocka_unit_test_setup_teardown(test_a_look, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_when_there_is_no_need, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_closing_while_one_is_under_way, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
