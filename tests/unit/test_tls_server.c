/* SPDX-License-Identifier: Apache-2.0
 *
 * What a TLS listener answers with: certificates by name and key type, protocols, challenges,
 * certificates of clients; and what is read again.
 */
#include "test_tls_hands.h"

struct rig {
    struct tls_bench *bench;
    struct conf_listener listener;
    struct conf_certificate pairs[8];
    struct tls_server_build build;
    struct tls_server *server;
    SSL_CTX *client;
};

static void init(struct rig *rig, void **state)
{
    memset(rig, 0, sizeof(*rig));
    rig->bench = *state;
    rig->listener.http2 = true;
    rig->listener.tls.is_set = true;
    rig->listener.tls.certificates = rig->pairs;
    rig->build.listener = &rig->listener;
    rig->client = SSL_CTX_new(TLS_client_method());
}

static void fini(struct rig *rig)
{
    tls_server_unref(&rig->server);
    SSL_CTX_free(rig->client);
}

static void add(struct rig *rig, const char *stem, const char *names, const char *kind)
{
    rig->pairs[rig->listener.tls.certificate_count++] =
        put_pair(rig->bench, stem,
                 &(struct wish){.names = names, .kind = kind, .common_name = stem});
}

static void begin(struct rig *rig)
{
    rig->server = tls_server_new(&rig->build, &rig->bench->diag);
    if (!rig->server)
        fail_msg("%s", diag_report(&rig->bench->diag).p);
}

static SSL *ask(struct rig *rig, const char *name)
{
    SSL *ssl = SSL_new(rig->client);

    if (name)
        SSL_set_tlsext_host_name(ssl, name);
    return ssl;
}

/* The common name of the certificate that is shown; "" when the handshake fails. */
static const char *shown(struct ends *ends, char *text, size_t size)
{
    X509 *leaf;

    text[0] = '\0';
    if (!shake_hands(ends))
        return text;
    leaf = SSL_get0_peer_certificate(ends->client);
    X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, text, (int)size);
    return text;
}

static void expect(struct rig *rig, const char *name, const char *sigalgs, const char *stem)
{
    SSL *client = ask(rig, name);
    struct ends ends;
    char text[64];

    if (sigalgs)
        assert_int_equal(SSL_set1_sigalgs_list(client, sigalgs), 1);
    ends = join(rig->server, client);
    assert_string_equal(shown(&ends, text, sizeof(text)), stem);
    part(&ends);
}

static void a_name_has_its_certificate(void **state)
{
    struct rig rig;
    SSL *client;
    struct ends ends;

    init(&rig, state);
    add(&rig, "first", "DNS:first.example.com,IP:127.0.0.1", NULL);
    add(&rig, "wild", "DNS:*.example.com", NULL);
    add(&rig, "exact", "DNS:Exact.example.com,DNS:other.example.org", NULL);
    begin(&rig);
    expect(&rig, "first.example.com", NULL, "first");
    expect(&rig, "exact.example.com", NULL, "exact");
    expect(&rig, "EXACT.Example.COM", NULL, "exact");
    expect(&rig, "other.example.org", NULL, "exact");
    expect(&rig, "any.example.com", NULL, "wild");
    expect(&rig, "two.any.example.com", NULL, "first");
    expect(&rig, "example.com", NULL, "first");
    expect(&rig, "*.example.com", NULL, "wild"); // harmless: it is the wildcard's own name
    expect(&rig, NULL, NULL, "first");
    tls_server_unref(&rig.server);
    rig.listener.tls.unknown_name = CONF_UNKNOWN_REJECT;
    begin(&rig);
    expect(&rig, NULL, NULL, "first");
    expect(&rig, "any.example.com", NULL, "wild");
    client = ask(&rig, "unknown.example.net");
    ends = join(rig.server, client);
    assert_false(shake_hands(&ends));
    assert_int_equal(alert_of(ERR_peek_last_error()), SSL_AD_UNRECOGNIZED_NAME);
    part(&ends);
    fini(&rig);
}

static void key_types_stand_side_by_side(void **state)
{
    static const char rsa[] = "RSA-PSS+SHA256", ecdsa[] = "ECDSA+SHA256", ed25519[] = "ed25519";
    struct rig rig;

    init(&rig, state);
    add(&rig, "rsa", "DNS:a.example.com", "rsa");
    add(&rig, "ec", "DNS:a.example.com", NULL);
    add(&rig, "ed", "DNS:a.example.com", "ed25519");
    add(&rig, "later", "DNS:a.example.com,DNS:b.example.org", NULL);
    add(&rig, "wildrsa", "DNS:*.example.org", "rsa");
    begin(&rig);
    expect(&rig, "a.example.com", rsa, "rsa");
    expect(&rig, "a.example.com", ecdsa, "ec");
    expect(&rig, "a.example.com", ed25519, "ed");
    expect(&rig, NULL, ecdsa, "ec"); // beside the default one
    expect(&rig, NULL, rsa, "rsa");
    expect(&rig, "b.example.org", ecdsa, "later");
    expect(&rig, "b.example.org", rsa, "wildrsa"); // what the exact one lacks the wildcard has
    expect(&rig, "c.example.org", ecdsa, "");      // none of that type
    fini(&rig);
}

static int alert_with(struct rig *rig, SSL *client)
{
    struct ends ends = join(rig->server, client);
    int alert;

    assert_false(shake_hands(&ends));
    alert = alert_of(ERR_peek_last_error());
    part(&ends);
    return alert;
}

static void versions_and_ciphers(void **state)
{
    static const char *const good[] = {"ECDHE-RSA-AES128-GCM-SHA256", "DHE-RSA-CHACHA20-POLY1305"};
    static const char *const bad[] = {"AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256",
                                      "ECDHE-RSA-AES256-SHA384"};
    struct rig rig;

    init(&rig, state);
    add(&rig, "rsa", "DNS:a.example.com", "rsa");
    begin(&rig);
    SSL_CTX_set_max_proto_version(rig.client, TLS1_2_VERSION);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        SSL_CTX_set_cipher_list(rig.client, good[i]);
        expect(&rig, NULL, NULL, "rsa");
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        SSL_CTX_set_cipher_list(rig.client, bad[i]);
        assert_int_equal(alert_with(&rig, ask(&rig, NULL)), SSL_AD_HANDSHAKE_FAILURE);
    }
    SSL_CTX_set_cipher_list(rig.client, "DEFAULT:@SECLEVEL=0");
    SSL_CTX_set_min_proto_version(rig.client, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(rig.client, TLS1_1_VERSION);
    assert_int_equal(alert_with(&rig, ask(&rig, NULL)), SSL_AD_PROTOCOL_VERSION);
    tls_server_unref(&rig.server);
    rig.listener.tls.min_version = CONF_TLS_1_3;
    begin(&rig);
    SSL_CTX_set_max_proto_version(rig.client, TLS1_2_VERSION);
    assert_int_equal(alert_with(&rig, ask(&rig, NULL)), SSL_AD_PROTOCOL_VERSION);
    SSL_CTX_set_max_proto_version(rig.client, 0);
    expect(&rig, NULL, NULL, "rsa");
    fini(&rig);
}

static void agree(struct rig *rig, const char *offer, const char *agreed)
{
    SSL *client = ask(rig, "a.example.com");
    struct ends ends;
    const unsigned char *protocol;
    unsigned len;

    SSL_set_alpn_protos(client, (const unsigned char *)offer, (unsigned)strlen(offer));
    ends = join(rig->server, client);
    assert_true(shake_hands(&ends));
    SSL_get0_alpn_selected(ends.client, &protocol, &len);
    assert_int_equal(len, strlen(agreed));
    assert_memory_equal(protocol ? (const char *)protocol : "", agreed, len);
    part(&ends);
}

static int refuse_protocol(struct rig *rig, const char *offer)
{
    SSL *client = ask(rig, "a.example.com");

    SSL_set_alpn_protos(client, (const unsigned char *)offer, (unsigned)strlen(offer));
    return alert_with(rig, client);
}

static void protocols_are_agreed_on(void **state)
{
    struct rig rig;

    init(&rig, state);
    add(&rig, "a", "DNS:a.example.com", NULL);
    begin(&rig);
    agree(&rig, "\x02h2\x08http/1.1", "h2");
    agree(&rig, "\x08http/1.1\x02h2", "h2");
    agree(&rig, "\x06spdy/3\x08http/1.1", "http/1.1");
    agree(&rig, "", "");
    assert_int_equal(refuse_protocol(&rig, "\x03smb"), SSL_AD_NO_APPLICATION_PROTOCOL);
    assert_int_equal(refuse_protocol(&rig, "\x0a"
                                           "acme-tls/1"),
                     SSL_AD_NO_APPLICATION_PROTOCOL);
    tls_server_unref(&rig.server);
    rig.listener.http2 = false;
    begin(&rig);
    agree(&rig, "\x02h2\x08http/1.1", "http/1.1");
    assert_int_equal(refuse_protocol(&rig, "\x02h2"), SSL_AD_NO_APPLICATION_PROTOCOL);
    fini(&rig);
}

/* RFC 8737 3 */
static void a_challenge_has_its_own_certificate(void **state)
{
    static const char acme[] = "\x0a"
                               "acme-tls/1";
    struct tls_challenge challenge = {STR("token"), STR("a.example.com"), STR("token.thumb"), true};
    struct tls_challenges *challenges = tls_challenges_new();
    struct rig rig;
    struct ends ends;
    SSL *client;
    char text[64];

    init(&rig, state);
    add(&rig, "a", "DNS:a.example.com", NULL);
    rig.build.challenges = challenges;
    begin(&rig);
    assert_int_equal(tls_challenges_put(challenges, &challenge, 1000), OK);
    agree(&rig, acme, acme + 1);
    client = ask(&rig, "A.example.com");
    SSL_set_alpn_protos(client, (const unsigned char *)acme, sizeof(acme) - 1);
    ends = join(rig.server, client);
    assert_string_equal(shown(&ends, text, sizeof(text)), "ACME challenge");
    part(&ends);
    expect(&rig, "a.example.com", NULL, "a"); // whoever asks for something else sees nothing of it
    agree(&rig,
          "\x0a"
          "acme-tls/1\x02h2",
          "h2");
    challenge.is_alpn = false;
    assert_int_equal(tls_challenges_put(challenges, &challenge, 1000), OK);
    assert_int_equal(refuse_protocol(&rig, acme), SSL_AD_NO_APPLICATION_PROTOCOL);
    assert_memory_equal(tls_challenges_answer(challenges, STR("token")).p, "token.thumb", 11);
    fini(&rig);
    tls_challenges_free(&challenges);
}

static void clients_show_certificates(void **state)
{
    struct rig rig;
    struct pair root, good, bad;
    STACK_OF(X509_NAME) * names;
    struct ends ends;
    char text[64];

    init(&rig, state);
    root = make(&(struct wish){.common_name = "root", .is_ca = true});
    good = make(&(struct wish){.common_name = "good", .issuer = root.leaf, .issuer_key = root.key});
    bad = make(&(struct wish){.common_name = "bad"});
    add(&rig, "a", "DNS:a.example.com", NULL);
    rig.listener.tls.client_ca.s = write_text(rig.bench, "root.pem", leaf_text(rig.bench, &root).p);
    begin(&rig);
    assert_int_equal(alert_with(&rig, ask(&rig, NULL)), SSL_AD_CERTIFICATE_REQUIRED);
    SSL_CTX_use_cert_and_key(rig.client, bad.leaf, bad.key, NULL, 1);
    assert_int_equal(alert_with(&rig, ask(&rig, NULL)), SSL_AD_UNKNOWN_CA);
    SSL_CTX_use_cert_and_key(rig.client, good.leaf, good.key, NULL, 1);
    ends = join(rig.server, ask(&rig, NULL));
    assert_true(shake_hands(&ends));
    names = SSL_get_client_CA_list(ends.client);
    assert_int_equal(sk_X509_NAME_num(names), 1);
    X509_NAME_get_text_by_NID(sk_X509_NAME_value(names, 0), NID_commonName, text, sizeof(text));
    assert_string_equal(text, "root");
    part(&ends);
    tls_server_unref(&rig.server);
    rig.listener.tls.client_auth = CONF_CLIENT_OPTIONAL;
    begin(&rig);
    expect(&rig, NULL, NULL, "a");
    SSL_CTX_free(rig.client);
    rig.client = SSL_CTX_new(TLS_client_method());
    expect(&rig, NULL, NULL, "a");
    drop(&root);
    drop(&good);
    drop(&bad);
    fini(&rig);
}

/* --- what is wrong, and what is read again */

static void bad_files_are_told_at_their_line(void **state)
{
    struct rig rig;
    const struct source *source;

    init(&rig, state);
    source = diag_source(&rig.bench->diag, STR("conf"), STR("cert key roots"));
    add(&rig, "a", "DNS:a.example.com", NULL);
    add(&rig, "b", "DNS:b.example.com", NULL);
    rig.pairs[0].cert.at = (struct span){source, 0, 4};
    rig.pairs[0].key.at = (struct span){source, 5, 3};
    rig.pairs[0].key.s = rig.pairs[1].key.s;
    assert_null(tls_server_new(&rig.build, &rig.bench->diag));
    assert_non_null(strstr(diag_report(&rig.bench->diag).p, "conf:1:6: error: "));
    rig.pairs[0] = rig.pairs[1];
    rig.pairs[1] = put_pair(rig.bench, "old", &(struct wish){.from_days = -9, .days = -1});
    rig.pairs[1].cert.at = (struct span){source, 0, 4};
    begin(&rig);
    assert_non_null(
        strstr(diag_report(&rig.bench->diag).p, "1:1: warning: the certificate has expired"));
    tls_server_unref(&rig.server);
    rig.listener.tls.certificate_count = 1;
    rig.listener.tls.client_ca = (struct conf_text){STR("none.pem"), {source, 9, 5}};
    assert_null(tls_server_new(&rig.build, &rig.bench->diag));
    assert_non_null(strstr(diag_report(&rig.bench->diag).p, "conf:1:10: error: cannot read"));
    assert_int_equal(rig.bench->diag.errors, 2);
    fini(&rig);
}

static void a_bad_new_pair_keeps_the_old_one(void **state)
{
    struct tls_server *before;
    struct rig rig;

    init(&rig, state);
    add(&rig, "a", "DNS:a.example.com", NULL);
    add(&rig, "b", "DNS:b.example.com", NULL);
    begin(&rig);
    before = rig.server;
    put_pair(rig.bench, "a", &(struct wish){.from_days = -9, .days = -1});
    rig.build.before = before;
    rig.build.keeps_old = true;
    begin(&rig); // one that has expired takes nobody's place
    expect(&rig, "a.example.com", NULL, "a");
    assert_non_null(strstr(tls_server_entry(rig.server, 0)->error.p, "has expired"));
    tls_server_unref(&rig.server);
    rig.build.keeps_old = false;
    write_text(rig.bench, "a.pem", "rubbish");
    put_pair(rig.bench, "b", &(struct wish){.names = "DNS:b.example.com", .common_name = "new b"});
    assert_null(tls_server_new(&rig.build, &rig.bench->diag));
    diag_init(&rig.bench->diag, &rig.bench->arena);
    rig.build.keeps_old = true;
    begin(&rig);
    assert_int_equal(rig.bench->diag.errors, 0);
    assert_int_equal(rig.bench->diag.count, 1);
    assert_non_null(strstr(tls_server_entry(rig.server, 0)->error.p, "no certificate in PEM"));
    assert_int_equal(tls_server_entry(rig.server, 1)->error.len, 0);
    tls_server_unref(&before);
    expect(&rig, "a.example.com", NULL, "a");
    expect(&rig, "b.example.com", NULL, "new b");
    fini(&rig);
}

static void order(struct rig *rig, struct conf_text *domains, uint32_t count)
{
    rig->listener.tls.acme.is_set = true;
    rig->listener.tls.acme.domains = (struct conf_texts){domains, count};
}

static struct certificate *push(struct rig *rig, const struct wish *wish)
{
    struct pair pair = make(wish);
    struct certificate_error error;
    struct certificate *one =
        certificate_parse(leaf_text(rig->bench, &pair), key_text(rig->bench, &pair), &error);

    assert_non_null(one);
    drop(&pair);
    return one;
}

static void a_self_signed_one_serves_until_one_is_pushed(void **state)
{
    struct conf_text domains[] = {{.s = STR("a.example.com")}, {.s = STR("b.example.com")}};
    struct tls_pushed pushed[3] = {{.name = STR("a")}, {.name = STR("ab")}, {.name = STR("other")}};
    struct tls_server *before;
    char kept[65];
    struct rig rig;

    init(&rig, state);
    order(&rig, domains, 2);
    begin(&rig);
    assert_int_equal(tls_server_count(rig.server), 1);
    assert_int_equal(tls_server_entry(rig.server, 0)->source, TLS_SOURCE_SELF_SIGNED);
    expect(&rig, "b.example.com", NULL, "Sluice self-signed");
    expect(&rig, NULL, NULL, "Sluice self-signed");
    strcpy(kept, tls_server_entry(rig.server, 0)->certificate->fingerprint);
    before = rig.server;
    rig.build.before = before;
    pushed[0].certificate =
        push(&rig, &(struct wish){.names = "DNS:a.example.com", .common_name = "a"});
    pushed[1].certificate =
        push(&rig, &(struct wish){.names = "DNS:a.example.com,DNS:b.example.com",
                                  .common_name = "ab",
                                  .days = 200});
    pushed[2].certificate =
        push(&rig, &(struct wish){.names = "DNS:c.example.com", .common_name = "c"});
    rig.build.pushed = pushed;
    rig.build.pushed_count = 1;
    begin(&rig);
    tls_server_unref(&before);
    assert_int_equal(tls_server_count(rig.server), 2);
    expect(&rig, "a.example.com", NULL, "a");
    expect(&rig, NULL, NULL, "a");
    expect(&rig, "b.example.com", NULL, "Sluice self-signed");
    assert_string_equal(tls_server_entry(rig.server, 1)->certificate->fingerprint, kept);
    tls_server_unref(&rig.server);
    rig.build.before = NULL;
    rig.build.pushed_count = 3;
    begin(&rig);
    assert_int_equal(tls_server_count(rig.server), 2); // nothing is left to be signed by itself
    expect(&rig, "a.example.com", NULL, "ab");         // lasts longer
    expect(&rig, "b.example.com", NULL, "ab");
    expect(&rig, "c.example.com", NULL, "ab"); // is not ours here
    for (unsigned i = 0; i < 3; i++)
        certificate_free((struct certificate **)(uintptr_t)&pushed[i].certificate);
    fini(&rig);
}

/* RFC 9110 7.4 */
static void requests_go_where_the_certificate_is_for(void **state)
{
    struct rig rig;
    struct tls_server *server;

    init(&rig, state);
    add(&rig, "a", "DNS:a.example.com,DNS:b.example.com", NULL);
    add(&rig, "c", "DNS:c.example.com,DNS:*.example.org", NULL);
    begin(&rig);
    server = rig.server;
    assert_true(tls_server_is_same(server, STR("a.example.com"), STR("B.Example.Com")));
    assert_false(tls_server_is_same(server, STR("a.example.com"), STR("c.example.com")));
    assert_true(tls_server_is_same(server, STR("c.example.com"), STR("x.example.org")));
    assert_true(tls_server_is_same(server, STR(""), STR("c.example.com")));
    assert_true(tls_server_is_same(server, STR("a.example.com"), STR("unknown")));
    assert_false(tls_server_is_same(server, STR("c.example.com"), STR("unknown")));
    assert_true(tls_server_is_same(server, STR("unknown"), STR("unknown")));
    fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH(a_name_has_its_certificate),
        BENCH(key_types_stand_side_by_side),
        BENCH(versions_and_ciphers),
        BENCH(protocols_are_agreed_on),
        BENCH(a_challenge_has_its_own_certificate),
        BENCH(clients_show_certificates),
        BENCH(bad_files_are_told_at_their_line),
        BENCH(a_bad_new_pair_keeps_the_old_one),
        BENCH(a_self_signed_one_serves_until_one_is_pushed),
        BENCH(requests_go_where_the_certificate_is_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
