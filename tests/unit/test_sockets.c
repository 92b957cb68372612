/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of sockets.c: listening sockets held, shared, given up and handed over.
 */
#include "process/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const uint32_t first_lives[] = {1, 0}, second_lives[] = {2, 0};

static struct sockets_ask ask_for(const char *bind, uint32_t count)
{
    return (struct sockets_ask){bind, count, 1, {false, getuid(), getgid()}};
}

static const struct sockets_bind *must_open(struct sockets *sockets, const char *bind,
                                            uint32_t count)
{
    const struct sockets_bind *held = NULL;
    struct sockets_ask ask = ask_for(bind, count);
    char error[LINK_ERROR_SIZE];
    enum status status = sockets_open(sockets, &ask, &held, error);
    if (status)
        fail_msg("%s", error);
    return held;
}

static enum status try_open(struct sockets *sockets, const char *bind, char *error)
{
    const struct sockets_bind *held;
    struct sockets_ask ask = ask_for(bind, 1);
    return sockets_open(sockets, &ask, &held, error);
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

/* A socket of "another program" on 127.0.0.1; its port. */
static uint16_t occupy(int *fd, bool is_listening)
{
    int on = 1;
    union bind_sockaddr at = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)}};
    socklen_t len = sizeof at.v4;
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(*fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    assert_int_equal(bind(*fd, &at.any, len), 0);
    if (is_listening)
        assert_int_equal(listen(*fd, 1), 0);
    assert_int_equal(getsockname(*fd, &at.any, &len), 0);
    return ntohs(at.v4.sin_port);
}

static void test_parse_knows_each_form(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int family;
        uint16_t port;
        bool is_dual;
    } cases[] = {
        {"127.0.0.1:80", AF_INET, 80, false}, {"[::1]:8080", AF_INET6, 8080, false},
        {":443", AF_INET6, 443, true},        {"unix:/run/x.sock", AF_UNIX, 0, false},
        {"localhost:65535", 0, 65535, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bind_address address;
        const char *why;
        assert_int_equal(bind_parse(cases[i].text, &address, &why), OK);
        if (cases[i].family)
            assert_int_equal(address.to.any.sa_family, cases[i].family);
        assert_int_equal(bind_port(&address), cases[i].port);
        assert_int_equal(address.is_dual, cases[i].is_dual);
    }
}

static void test_parse_refuses_the_rest(void **state)
{
    (void)state;
    static const char *const texts[] = {"",      "80",      "127.0.0.1", "127.0.0.1:", ":65536",
                                        ":-1",   ":8o",     "::1:80",    "[::1]",      "[]:80",
                                        "unix:", "[zz]:80", ":0000080",  "a:b:80"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct bind_address address;
        const char *why = NULL;
        assert_int_equal(bind_parse(texts[i], &address, &why), E_INVALID);
        assert_non_null(why);
    }
    char path[200] = "unix:/";
    memset(path + 6, 'x', 120);
    struct bind_address address;
    const char *why;
    assert_int_equal(bind_parse(path, &address, &why), E_INVALID);
}

static void test_tcp_sockets_have_their_options(void **state)
{
    (void)state;
    struct sockets sockets = {0};
    const struct sockets_bind *held = must_open(&sockets, "127.0.0.1:0", 3);
    assert_int_equal(held->count, 3);
    uint16_t port = bind_port(&held->address);
    assert_true(port > 0);
    for (uint32_t i = 0; i < 3; i++) {
        int fd = held->fds[i];
        union bind_sockaddr at;
        socklen_t len = sizeof at;
        assert_int_equal(getsockname(fd, &at.any, &len), 0);
        assert_int_equal(ntohs(at.v4.sin_port), port);
        assert_int_equal(option(fd, SOL_SOCKET, SO_REUSEPORT), 1);
        assert_int_equal(option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
        assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
        assert_true(option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    }
    sockets_fini(&sockets);
}

static void test_admin_does_not_defer_accept(void **state)
{
    (void)state;
    char error[LINK_ERROR_SIZE];
    struct sockets sockets = {0};
    const struct sockets_bind *held;
    struct sockets_ask ask = ask_for("127.0.0.1:0", 1);
    ask.options.is_admin = true;
    assert_int_equal(sockets_open(&sockets, &ask, &held, error), OK);
    assert_int_equal(option(held->fds[0], IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
    sockets_fini(&sockets);
}

static void test_held_sockets_stay_and_grow(void **state)
{
    (void)state;
    struct sockets sockets = {0};
    const struct sockets_bind *held = must_open(&sockets, "127.0.0.1:0", 2);
    int first = held->fds[0];
    held = must_open(&sockets, "127.0.0.1:0", 4);
    assert_int_equal(held->count, 4);
    assert_int_equal(held->fds[0], first);
    held = must_open(&sockets, "127.0.0.1:0", 1);
    assert_int_equal(held->count, 4);
    assert_int_equal(sockets.count, 1);
    sockets_fini(&sockets);
    assert_int_equal(fcntl(first, F_GETFD), -1);
}

static void test_count_out_of_bounds_is_refused(void **state)
{
    (void)state;
    char error[LINK_ERROR_SIZE];
    struct sockets sockets = {0};
    const struct sockets_bind *held;
    static const uint32_t counts[] = {0, LINK_SOCKETS_MAX + 1};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        struct sockets_ask ask = ask_for("127.0.0.1:0", counts[i]);
        assert_int_equal(sockets_open(&sockets, &ask, &held, error), E_INVALID);
    }
    assert_int_equal(sockets.count, 0);
}

static void test_port_of_another_program_is_refused(void **state)
{
    (void)state;
    char error[LINK_ERROR_SIZE];
    struct sockets sockets = {0};
    char text[64], wanted[256];
    int other;
    snprintf(text, sizeof text, "127.0.0.1:%u", occupy(&other, true));
    assert_int_equal(try_open(&sockets, text, error), E_CONFLICT);
    snprintf(wanted, sizeof wanted, "%s: address already in use: another program listens on %s",
             text, text);
    assert_string_equal(error, wanted);
    assert_int_equal(sockets.count, 0);
    close(other);
    assert_int_equal(try_open(&sockets, text, error), OK);
    sockets_fini(&sockets);
}

static void test_wider_address_of_our_own_port_is_no_conflict(void **state)
{
    (void)state;
    struct sockets sockets = {0};
    char text[64], wide[64];
    int other;
    uint16_t port = occupy(&other, false);
    close(other);
    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    snprintf(wide, sizeof wide, ":%u", port);
    must_open(&sockets, text, 1);
    must_open(&sockets, wide, 1);
    assert_int_equal(sockets.count, 2);
    sockets_fini(&sockets);
}

static void test_any_takes_both_families_where_there_are_both(void **state)
{
    (void)state;
    struct sockets sockets = {0};
    const struct sockets_bind *held = must_open(&sockets, ":0", 1);
    union bind_sockaddr to = {.v4 = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(0x7f000001),
                                     .sin_port = htons(bind_port(&held->address))}};
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, &to.any, sizeof to.v4), 0);
    close(client);
    sockets_fini(&sockets);
}

static void test_sweep_closes_what_nobody_living_asked_for(void **state)
{
    (void)state;
    char error[LINK_ERROR_SIZE];
    struct sockets sockets = {0};
    const struct sockets_bind *held;
    must_open(&sockets, "127.0.0.1:0", 1);
    must_open(&sockets, "[::1]:0", 1);
    struct sockets_ask ask = ask_for("[::1]:0", 1);
    ask.generation = 2;
    assert_int_equal(sockets_open(&sockets, &ask, &held, error), OK);
    assert_int_equal(sockets_sweep(&sockets, first_lives), 0);
    assert_int_equal(sockets_sweep(&sockets, second_lives), 1);
    assert_string_equal(sockets.first->text, "[::1]:0");
    assert_int_equal(sockets_release(&sockets, "127.0.0.1:0", 2, second_lives), E_NOT_FOUND);
    assert_int_equal(sockets_release(&sockets, "[::1]:0", 1, second_lives), OK);
    assert_int_equal(sockets.count, 1);
    assert_int_equal(sockets_release(&sockets, "[::1]:0", 2, second_lives), OK);
    assert_int_equal(sockets.count, 0);
}

static void test_users_beyond_the_room_forget_the_oldest(void **state)
{
    (void)state;
    char error[LINK_ERROR_SIZE];
    struct sockets sockets = {0};
    const struct sockets_bind *held;
    struct sockets_ask ask = ask_for("127.0.0.1:0", 1);
    for (ask.generation = 1; ask.generation <= SOCKETS_USERS_MAX + 1; ask.generation++)
        assert_int_equal(sockets_open(&sockets, &ask, &held, error), OK);
    assert_int_equal(sockets_sweep(&sockets, second_lives), 0);
    assert_int_equal(sockets_sweep(&sockets, first_lives), 1);
}

/* A folder of its own for each test with files; "unix:FOLDER/x.sock". */
static int make_folder(void **state)
{
    char folder[] = "/tmp/test_sockets.XXXXXX";
    *state = mkdtemp(folder) ? strdup(folder) : NULL;
    return *state ? 0 : -1;
}

static int remove_folder(void **state)
{
    char path[128];
    snprintf(path, sizeof path, "%s/x.sock", (char *)*state);
    unlink(path);
    int result = rmdir(*state);
    free(*state);
    return result;
}

static const char *unix_bind(void **state, char text[128])
{
    snprintf(text, 128, "unix:%s/x.sock", (char *)*state);
    return text;
}

static void test_unix_is_one_socket_many_times(void **state)
{
    char text[128];
    struct sockets sockets = {0};
    struct stat file;
    const struct sockets_bind *held = must_open(&sockets, unix_bind(state, text), 3);
    assert_int_equal(held->count, 3);
    assert_int_equal(held->fds[2], held->fds[0]);
    assert_int_equal(lstat(text + 5, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0666);
    sockets_fini(&sockets);
    assert_int_equal(lstat(text + 5, &file), -1);
}

static void test_unix_of_admin_is_for_its_owner(void **state)
{
    char text[128];
    char error[LINK_ERROR_SIZE];
    struct sockets sockets = {0};
    struct stat file;
    const struct sockets_bind *held;
    struct sockets_ask ask = ask_for(unix_bind(state, text), 1);
    ask.options.is_admin = true;
    if (getuid() == 0)
        ask.options.uid = ask.options.gid = 12345;
    assert_int_equal(sockets_open(&sockets, &ask, &held, error), OK);
    assert_int_equal(lstat(text + 5, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    assert_int_equal(file.st_uid, ask.options.uid);
    assert_int_equal(file.st_gid, ask.options.gid);
    sockets_fini(&sockets);
}

static void test_unix_stale_is_replaced_and_living_is_not(void **state)
{
    char text[128];
    char error[LINK_ERROR_SIZE];
    struct sockets dead = {0}, living = {0};
    const struct sockets_bind *held = must_open(&dead, unix_bind(state, text), 1);
    assert_int_equal(try_open(&living, text, error), E_CONFLICT);
    // Closed without its name removed, as by a kill; the number stays in use.
    int nothing = open("/dev/null", O_RDONLY);
    assert_int_equal(dup3(nothing, held->fds[0], O_CLOEXEC), held->fds[0]);
    close(nothing);
    must_open(&living, text, 1);
    // The name belongs to the other now, perhaps with the same inode: the first must leave it.
    sockets_fini(&dead);
    assert_int_equal(access(text + 5, F_OK), 0);
    sockets_fini(&living);
    assert_int_equal(access(text + 5, F_OK), -1);
}

static void test_unix_does_not_replace_a_file(void **state)
{
    char text[128];
    char error[LINK_ERROR_SIZE];
    struct sockets sockets = {0};
    int fd = open(unix_bind(state, text) + 5, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(try_open(&sockets, text, error), E_IO);
    assert_non_null(strstr(error, "not a socket"));
    assert_int_equal(access(text + 5, F_OK), 0);
}

static void test_written_state_is_read_back(void **state)
{
    char text[128];
    struct sockets before = {0}, after = {0};
    must_open(&before, "127.0.0.1:0", 2);
    must_open(&before, unix_bind(state, text), 2);
    char *lines = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&lines, &size);
    sockets_write(&before, out);
    fclose(out);
    char *rest = NULL;
    for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        assert_int_equal(sockets_read(&after, line + strlen("socket ")), OK);
    free(lines);
    assert_int_equal(after.count, 2);
    for (struct sockets_bind *a = after.first, *b = before.first; b; a = a->next, b = b->next) {
        assert_string_equal(a->text, b->text);
        assert_int_equal(a->count, b->count);
        assert_memory_equal(a->fds, b->fds, b->count * sizeof b->fds[0]);
        assert_memory_equal(a->users, b->users, sizeof b->users);
        assert_int_equal(bind_port(&a->address), bind_port(&b->address));
        b->count = 0; // `after` owns the descriptors from here on
    }
    sockets_fini(&before);
    assert_int_equal(must_open(&after, text, 3)->count, 3);
    sockets_fini(&after);
    assert_int_equal(access(text + 5, F_OK), -1);
}

static void test_bad_state_is_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "0 0 0 0 0 0 1",
        "0 0 0 0 0 0 1 0 0 0 0 0 0 0 0 5",
        "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 :80",
        "0 0 0 0 0 0 257 0 0 0 0 0 0 0 0 5 :80",
        "0 0 0 0 0 0 1 0 0 0 0 0 0 0 0 99999 :80",
        "9 0 0 0 0 0 1 0 0 0 0 0 0 0 0 0 :80",
    };
    struct sockets sockets = {0};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        char line[128];
        snprintf(line, sizeof line, "%s", lines[i]);
        assert_int_equal(sockets_read(&sockets, line), E_INVALID);
    }
    assert_null(sockets.first);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_knows_each_form),
        cmocka_unit_test(test_parse_refuses_the_rest),
        cmocka_unit_test(test_tcp_sockets_have_their_options),
        cmocka_unit_test(test_admin_does_not_defer_accept),
        cmocka_unit_test(test_held_sockets_stay_and_grow),
        cmocka_unit_test(test_count_out_of_bounds_is_refused),
        cmocka_unit_test(test_port_of_another_program_is_refused),
        cmocka_unit_test(test_wider_address_of_our_own_port_is_no_conflict),
        cmocka_unit_test(test_any_takes_both_families_where_there_are_both),
        cmocka_unit_test(test_sweep_closes_what_nobody_living_asked_for),
        cmocka_unit_test(test_users_beyond_the_room_forget_the_oldest),
        WITH_FOLDER(test_unix_is_one_socket_many_times),
        WITH_FOLDER(test_unix_of_admin_is_for_its_owner),
        WITH_FOLDER(test_unix_stale_is_replaced_and_living_is_not),
        WITH_FOLDER(test_unix_does_not_replace_a_file),
        WITH_FOLDER(test_written_state_is_read_back),
        cmocka_unit_test(test_bad_state_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
