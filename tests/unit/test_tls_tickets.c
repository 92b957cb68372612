/* SPDX-License-Identifier: Apache-2.0
 *
 * Session tickets: keys that turn, in memory that several map; and what clients resume with them.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "edge/tls/tls_tickets.h"
#include "test_tls_hands.h"

enum { ROTATION_MS = 60000 };
static const uint64_t begun_ms = 1000000;

static int new_memory(void)
{
    int fd = memfd_create("tickets", MFD_CLOEXEC);

    assert_int_equal(ftruncate(fd, TLS_TICKETS_SIZE), 0);
    return fd;
}

static struct tls_tickets_key current(const struct tls_tickets *tickets)
{
    struct tls_tickets_key key;

    assert_true(tls_tickets_current(tickets, &key));
    return key;
}

static void a_key_has_its_time(void **state)
{
    struct tls_tickets *tickets = tls_tickets_open(-1, begun_ms);
    struct tls_tickets_key first = current(tickets), found, second;
    const struct tls_tickets_key zero = {.name = {0}};

    (void)state;
    assert_memory_not_equal(&first, &zero, sizeof(zero));
    assert_int_equal(tls_tickets_find(tickets, first.name, &found), TLS_TICKETS_FRESH);
    assert_memory_equal(&found, &first, sizeof(first));
    assert_int_equal(tls_tickets_find(tickets, zero.name, &found), TLS_TICKETS_UNKNOWN);
    assert_false(tls_tickets_tick(tickets, begun_ms + ROTATION_MS - 1, ROTATION_MS));
    assert_false(tls_tickets_tick(tickets, begun_ms + ROTATION_MS, 0));
    assert_true(tls_tickets_tick(tickets, begun_ms + ROTATION_MS, ROTATION_MS));
    assert_false(tls_tickets_tick(tickets, begun_ms + ROTATION_MS, ROTATION_MS));
    second = current(tickets);
    assert_memory_not_equal(&first, &second, sizeof(first));
    assert_int_equal(tls_tickets_find(tickets, first.name, &found), TLS_TICKETS_OLD);
    assert_memory_equal(&found, &first, sizeof(first));
    assert_true(tls_tickets_tick(tickets, begun_ms + 2 * ROTATION_MS, ROTATION_MS));
    assert_int_equal(tls_tickets_find(tickets, first.name, &found), TLS_TICKETS_UNKNOWN);
    assert_int_equal(tls_tickets_find(tickets, second.name, &found), TLS_TICKETS_OLD);
    // After a long pause nothing of before is left.
    assert_true(tls_tickets_tick(tickets, begun_ms + 9 * ROTATION_MS, ROTATION_MS));
    assert_int_equal(tls_tickets_find(tickets, second.name, &found), TLS_TICKETS_UNKNOWN);
    // A clock that was set back turns once, and goes on from there.
    assert_true(tls_tickets_tick(tickets, begun_ms, ROTATION_MS));
    assert_false(tls_tickets_tick(tickets, begun_ms + 1, ROTATION_MS));
    tls_tickets_close(&tickets);
    assert_null(tickets);
}

static void processes_share_them(void **state)
{
    int fd = new_memory();
    struct tls_tickets *one = tls_tickets_open(dup(fd), begun_ms);
    struct tls_tickets *two = tls_tickets_open(dup(fd), begun_ms + 5);
    struct tls_tickets_key a = current(one), b = current(two);

    (void)state;
    assert_memory_equal(&a, &b, sizeof(a));
    assert_true(tls_tickets_tick(two, begun_ms + ROTATION_MS, ROTATION_MS));
    assert_false(tls_tickets_tick(one, begun_ms + ROTATION_MS, ROTATION_MS));
    a = current(one);
    b = current(two);
    assert_memory_equal(&a, &b, sizeof(a));
    tls_tickets_close(&one);
    tls_tickets_close(&two);
    one = tls_tickets_open(fd, begun_ms + 10); // the edge after both
    a = current(one);
    assert_memory_equal(&a, &b, sizeof(a));
    tls_tickets_close(&one);
}

/* Word 0: magic and sequence; word 1: whose turn it is. */
static void a_process_that_died_is_no_obstacle(void **state)
{
    int fd = new_memory();
    uint64_t *words = mmap(NULL, TLS_TICKETS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    struct tls_tickets *tickets;
    struct tls_tickets_key key, before;

    (void)state;
    words[1] = begun_ms; // died before the first keys were there
    tickets = tls_tickets_open(dup(fd), begun_ms + 1);
    assert_non_null(tickets);
    assert_false(tls_tickets_current(tickets, &key));
    assert_int_equal(tls_tickets_find(tickets, key.name, &key), TLS_TICKETS_UNKNOWN);
    tls_tickets_tick(tickets, begun_ms + 5000, ROTATION_MS);
    assert_false(tls_tickets_current(tickets, &key));
    assert_true(tls_tickets_tick(tickets, begun_ms + 20000, ROTATION_MS));
    before = current(tickets);
    words[1] = begun_ms + 30000; // died while it turned: the count is odd
    words[0] |= UINT64_C(1) << 32;
    assert_true(tls_tickets_current(tickets, &key));
    assert_false(tls_tickets_tick(tickets, begun_ms + 31000 + ROTATION_MS, ROTATION_MS) &&
                 words[1]);
    tls_tickets_tick(tickets, begun_ms + 50000 + ROTATION_MS, ROTATION_MS);
    assert_int_equal(words[0] >> 32 & 1, 0);
    key = current(tickets);
    assert_memory_not_equal(&key, &before, sizeof(key));
    munmap(words, TLS_TICKETS_SIZE);
    close(fd);
    tls_tickets_close(&tickets);
}

/* A key that is read while keys turn is always a whole one: its name is known a moment later. */
static void *read_often(void *argument)
{
    const struct tls_tickets *tickets = argument;
    struct tls_tickets_key key, same;
    uintptr_t wrong = 0;

    for (unsigned i = 0; i < 20000; i++) {
        if (!tls_tickets_current(tickets, &key))
            wrong++;
        if (tls_tickets_find(tickets, key.name, &same) && memcmp(&key, &same, sizeof(key)) != 0)
            wrong++;
    }
    return (void *)wrong;
}

static void readers_meet_no_half_key(void **state)
{
    struct tls_tickets *tickets = tls_tickets_open(-1, begun_ms);
    pthread_t threads[2];
    void *wrong;

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_often, tickets), 0);
    for (unsigned i = 1; i < 3000; i++)
        assert_true(tls_tickets_tick(tickets, begun_ms + i, 1));
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    tls_tickets_close(&tickets);
}

/* --- resuming */

struct rig {
    struct tls_bench *bench;
    struct conf_listener listener;
    struct conf_certificate pair;
    struct tls_server_build build;
    struct tls_tickets *tickets;
    SSL_CTX *client;
    SSL_SESSION *session; /* the last one that came */
    unsigned came;
};

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct rig *rig = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    SSL_SESSION_free(rig->session);
    rig->session = session;
    rig->came++;
    return 1;
}

static void init(struct rig *rig, void **state, int version)
{
    memset(rig, 0, sizeof(*rig));
    rig->bench = *state;
    rig->pair = put_pair(rig->bench, "a", &(struct wish){.names = "DNS:a.example.com"});
    rig->listener.tls = (struct conf_tls){.is_set = true,
                                          .certificates = &rig->pair,
                                          .certificate_count = 1,
                                          .ticket_rotation_ms = ROTATION_MS};
    rig->tickets = tls_tickets_open(-1, begun_ms);
    rig->build = (struct tls_server_build){.listener = &rig->listener, .tickets = rig->tickets};
    rig->client = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(rig->client, version);
    SSL_CTX_set_session_cache_mode(rig->client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(rig->client, rig);
    SSL_CTX_sess_set_new_cb(rig->client, on_session);
}

static void fini(struct rig *rig)
{
    SSL_SESSION_free(rig->session);
    SSL_CTX_free(rig->client);
    tls_tickets_close(&rig->tickets);
}

/* A connection to a server made anew, as after a reload, with the session there is; whether it was
 * resumed. */
static bool connect_once(struct rig *rig)
{
    struct tls_server *server = tls_server_new(&rig->build, &rig->bench->diag);
    SSL *client = SSL_new(rig->client);
    struct ends ends;
    bool is_resumed;

    if (!server)
        fail_msg("%s", diag_report(&rig->bench->diag).p);
    SSL_set_tlsext_host_name(client, "a.example.com");
    if (rig->session)
        SSL_set_session(client, rig->session);
    rig->came = 0;
    ends = join(server, client);
    assert_true(shake_hands(&ends));
    is_resumed = SSL_session_reused(ends.server);
    if (SSL_version(client) == TLS1_2_VERSION && is_resumed) {
        // The callback is not told of a ticket that was renewed.
        SSL_SESSION_free(rig->session);
        rig->session = SSL_get1_session(client);
    }
    assert_string_equal(SSL_get_servername(ends.server, TLSEXT_NAMETYPE_host_name),
                        "a.example.com");
    part(&ends);
    tls_server_unref(&server);
    return is_resumed;
}

static void resume(void **state, int version)
{
    struct rig rig;
    SSL_SESSION *old;

    init(&rig, state, version);
    assert_false(connect_once(&rig));
    assert_int_equal(rig.came, 1);
    old = SSL_SESSION_dup(rig.session); // a client uses one of TLS 1.3 once
    assert_true(connect_once(&rig));
    assert_true(tls_tickets_tick(rig.tickets, begun_ms + ROTATION_MS, ROTATION_MS));
    SSL_SESSION_free(rig.session);
    rig.session = old;
    assert_true(connect_once(&rig)); // by the previous key, and sealed anew
    assert_true(tls_tickets_tick(rig.tickets, begun_ms + 2 * ROTATION_MS, ROTATION_MS));
    assert_true(connect_once(&rig)); // which lasts one more
    assert_true(tls_tickets_tick(rig.tickets, begun_ms + 9 * ROTATION_MS, ROTATION_MS));
    assert_false(connect_once(&rig)); // the key is gone: a full handshake
    fini(&rig);
}

static void sessions_are_resumed_by_tls_1_3(void **state)
{
    resume(state, TLS1_3_VERSION);
}

static void sessions_are_resumed_by_tls_1_2(void **state)
{
    resume(state, TLS1_2_VERSION);
}

static void off_means_no_tickets(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct rig rig;

        init(&rig, state, versions[i]);
        rig.listener.tls.ticket_rotation_ms = 0;
        assert_false(connect_once(&rig));
        if (rig.session)
            assert_false(SSL_SESSION_has_ticket(rig.session));
        assert_false(connect_once(&rig));
        fini(&rig);
    }
}

/* A ticket of a listener that asks for nothing must not open one that asks for a certificate, nor
 * one by roots that are trusted no more. */
static void a_ticket_stands_for_no_check(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct pair root = make(&(struct wish){.common_name = "root", .is_ca = true}), other, client;

    other = make(&(struct wish){.common_name = "other root", .is_ca = true});
    client = make(&(struct wish){.common_name = "c", .issuer = root.leaf, .issuer_key = root.key});
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct rig rig;
        struct str both;

        init(&rig, state, versions[i]);
        SSL_CTX_use_cert_and_key(rig.client, client.leaf, client.key, NULL, 1);
        assert_false(connect_once(&rig));
        rig.listener.tls.client_ca.s =
            write_text(rig.bench, "roots.pem", leaf_text(rig.bench, &root).p);
        assert_false(connect_once(&rig)); // a full handshake, with the certificate
        assert_true(connect_once(&rig));
        rig.listener.tls.client_auth = CONF_CLIENT_OPTIONAL;
        assert_false(connect_once(&rig));
        assert_true(connect_once(&rig));
        both = arena_format(&rig.bench->arena, "%s%s", leaf_text(rig.bench, &root).p,
                            leaf_text(rig.bench, &other).p);
        write_text(rig.bench, "roots.pem", both.p);
        assert_false(connect_once(&rig));
        fini(&rig);
    }
    drop(&root);
    drop(&other);
    drop(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH(a_key_has_its_time),
        BENCH(processes_share_them),
        BENCH(a_process_that_died_is_no_obstacle),
        BENCH(readers_meet_no_half_key),
        BENCH(sessions_are_resumed_by_tls_1_3),
        BENCH(sessions_are_resumed_by_tls_1_2),
        BENCH(off_means_no_tickets),
        BENCH(a_ticket_stands_for_no_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
