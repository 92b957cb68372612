/* SPDX-License-Identifier: Apache-2.0
 *
 * How targets are spoken to: what is trusted, which name is checked and asked for, what is shown.
 */
#include "edge/tls/tls_trust.h"
#include "test_tls_hands.h"

struct rig {
    struct tls_bench *bench;
    struct pair root;
    struct str roots;
    struct conf_listener listener;
    struct conf_certificate pair;
    struct tls_server_build build;
    struct tls_server *target;
    struct conf_service service;
    X509_STORE *system;
};

/* A target whose certificate, by the rig's own root, is for `names`. */
static void init(struct rig *rig, void **state, const char *names)
{
    memset(rig, 0, sizeof(*rig));
    rig->bench = *state;
    rig->root = make(&(struct wish){.common_name = "root", .is_ca = true});
    rig->roots = write_text(rig->bench, "roots.pem", leaf_text(rig->bench, &rig->root).p);
    rig->pair = put_pair(rig->bench, "target",
                         &(struct wish){.names = names,
                                        .issuer = rig->root.leaf,
                                        .issuer_key = rig->root.key});
    rig->listener.http2 = true;
    rig->listener.tls =
        (struct conf_tls){.is_set = true, .certificates = &rig->pair, .certificate_count = 1};
    rig->build.listener = &rig->listener;
    rig->target = tls_server_new(&rig->build, &rig->bench->diag);
    assert_non_null(rig->target);
    rig->system = tls_trust_system();
    assert_non_null(rig->system);
    rig->service.tls = (struct conf_target_tls){.is_set = true,
                                                .ca = {.s = rig->roots},
                                                .name = {.s = STR("auto")},
                                                .verify = true};
}

static void fini(struct rig *rig)
{
    tls_server_unref(&rig->target);
    X509_STORE_free(rig->system);
    drop(&rig->root);
}

/* The handshake with a target at `host`; 1: through, else what the check of its certificate said.
 */
static long call(struct rig *rig, const char *host, char *asked, size_t size)
{
    struct tls_client *client = tls_client_new(&rig->service, rig->system, &rig->bench->diag);
    const char *name;
    struct ends ends;
    long result;

    if (!client)
        fail_msg("%s", diag_report(&rig->bench->diag).p);
    ends = join(rig->target, tls_client_ssl(client, (struct str){host, strlen(host)}));
    tls_client_unref(&client); // OpenSSL keeps its context
    result = shake_hands(&ends) ? 1 : -SSL_get_verify_result(ends.client);
    name = SSL_get_servername(ends.server, TLSEXT_NAMETYPE_host_name);
    snprintf(asked, size, "%s", name ? name : "");
    part(&ends);
    return result;
}

static void the_name_is_asked_for_and_checked(void **state)
{
    struct rig rig;
    char asked[256];

    init(&rig, state, "DNS:a.example.com,DNS:*.example.org,IP:127.0.0.1,IP:::1");
    assert_int_equal(call(&rig, "a.example.com", asked, sizeof(asked)), 1);
    assert_string_equal(asked, "a.example.com");
    assert_int_equal(call(&rig, "x.example.org", asked, sizeof(asked)), 1);
    assert_int_equal(call(&rig, "127.0.0.1", asked, sizeof(asked)), 1);
    assert_string_equal(asked, ""); // RFC 6066 3: an address is no SNI
    assert_int_equal(call(&rig, "::1", asked, sizeof(asked)), 1);
    assert_int_equal(call(&rig, "b.example.com", asked, sizeof(asked)),
                     -X509_V_ERR_HOSTNAME_MISMATCH);
    assert_int_equal(call(&rig, "127.0.0.2", asked, sizeof(asked)),
                     -X509_V_ERR_IP_ADDRESS_MISMATCH);
    assert_int_equal(call(&rig, "/run/app.sock", asked, sizeof(asked)),
                     -X509_V_ERR_HOSTNAME_MISMATCH);
    assert_int_equal(call(&rig, "", asked, sizeof(asked)), -X509_V_ERR_HOSTNAME_MISMATCH);
    rig.service.tls.name.s = STR("a.example.com");
    assert_int_equal(call(&rig, "/run/app.sock", asked, sizeof(asked)), 1);
    assert_string_equal(asked, "a.example.com");
    fini(&rig);
}

static void strangers_are_refused(void **state)
{
    struct rig rig;
    char asked[256];

    init(&rig, state, "DNS:a.example.com");
    rig.service.tls.ca.s = STR("system");
    assert_true(call(&rig, "a.example.com", asked, sizeof(asked)) < 0);
    rig.service.tls.verify = false;
    assert_int_equal(call(&rig, "b.example.com", asked, sizeof(asked)), 1);
    assert_string_equal(asked, "b.example.com");
    fini(&rig);
}

static void protocols_are_offered(void **state)
{
    static const struct {
        enum conf_protocol offered;
        const char *agreed;
    } all[] = {{CONF_HTTP1, "http/1.1"}, {CONF_H2, "h2"}, {CONF_PROTOCOL_AUTO, "h2"}};
    struct rig rig;

    init(&rig, state, "DNS:a.example.com");
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        const unsigned char *protocol;
        struct tls_client *client;
        struct ends ends;
        unsigned len;

        rig.service.protocol = all[i].offered;
        client = tls_client_new(&rig.service, rig.system, &rig.bench->diag);
        ends = join(rig.target, tls_client_ssl(client, STR("a.example.com")));
        assert_true(shake_hands(&ends));
        SSL_get0_alpn_selected(ends.client, &protocol, &len);
        assert_int_equal(len, strlen(all[i].agreed));
        assert_memory_equal(protocol, all[i].agreed, len);
        part(&ends);
        tls_client_unref(&client);
    }
    fini(&rig);
}

static void its_own_certificate_is_shown(void **state)
{
    struct conf_certificate own;
    struct rig rig;
    char asked[256];

    init(&rig, state, "DNS:a.example.com");
    tls_server_unref(&rig.target);
    rig.listener.tls.client_ca.s = rig.roots;
    rig.target = tls_server_new(&rig.build, &rig.bench->diag);
    assert_int_equal(call(&rig, "a.example.com", asked, sizeof(asked)), 0);
    own = put_pair(rig.bench, "own",
                   &(struct wish){.issuer = rig.root.leaf, .issuer_key = rig.root.key});
    rig.service.tls.cert = own.cert;
    rig.service.tls.key = own.key;
    assert_int_equal(call(&rig, "a.example.com", asked, sizeof(asked)), 1);
    fini(&rig);
}

static void bad_files_are_told(void **state)
{
    struct rig rig;

    init(&rig, state, "DNS:a.example.com");
    rig.service.tls.ca.s = STR("none.pem");
    assert_null(tls_client_new(&rig.service, rig.system, &rig.bench->diag));
    rig.service.tls.ca.s = write_text(rig.bench, "empty.pem", "\n");
    assert_null(tls_client_new(&rig.service, rig.system, &rig.bench->diag));
    rig.service.tls.ca.s = rig.roots;
    rig.service.tls.cert.s = rig.roots;
    rig.service.tls.key.s = rig.pair.key.s;
    assert_null(tls_client_new(&rig.service, rig.system, &rig.bench->diag));
    assert_int_equal(rig.bench->diag.errors, 3);
    assert_non_null(strstr(diag_report(&rig.bench->diag).p, "no roots in PEM can be read"));
    fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH(the_name_is_asked_for_and_checked),
        BENCH(strangers_are_refused),
        BENCH(protocols_are_offered),
        BENCH(its_own_certificate_is_shown),
        BENCH(bad_files_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
