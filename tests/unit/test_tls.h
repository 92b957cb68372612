/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of TLS: certificates as a test wants them, written to files of a folder that goes with
 * the test, and a handshake between two ends over memory.
 */
#ifndef TEST_TLS_H
#define TEST_TLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "edge/tls/certificate.h"
#include "edge/tls/tls_client.h"
#include "edge/tls/tls_server.h"

struct tls_bench {
    struct arena arena;
    struct diag diag;
    char folder[64];
};

static inline int bench_open(void **state)
{
    struct tls_bench *bench = test_calloc(1, sizeof(*bench));

    arena_init(&bench->arena, NULL, 0);
    diag_init(&bench->diag, &bench->arena);
    strcpy(bench->folder, "test-tls-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    *state = bench;
    return 0;
}

static inline int bench_close(void **state)
{
    struct tls_bench *bench = *state;
    char command[128];

    snprintf(command, sizeof(command), "rm -r ./%s", bench->folder);
    assert_int_equal(system(command), 0);
    arena_reset(&bench->arena);
    test_free(bench);
    return 0;
}

#define BENCH(test) cmocka_unit_test_setup_teardown(test, bench_open, bench_close)

static inline struct str path_of(struct tls_bench *bench, const char *name)
{
    return arena_format(&bench->arena, "%s/%s", bench->folder, name);
}

static inline struct str write_text(struct tls_bench *bench, const char *name, const char *text)
{
    struct str path = path_of(bench, name);
    FILE *file = fopen(path.p, "wb");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
    return path;
}

/* What a leaf is to be; zero: P-256, from yesterday for 90 days, signed by itself. */
struct wish {
    const char *names; /* as OpenSSL's subjectAltName: "DNS:a,IP:127.0.0.1"; NULL: none */
    const char *common_name;
    const char *kind; /* "rsa", "rsa1024", "ed25519", "dsa"; NULL: P-256 */
    int from_days, days;
    bool is_ca;
    X509 *issuer;
    EVP_PKEY *issuer_key;
};

struct pair {
    X509 *leaf;
    EVP_PKEY *key;
};

static inline EVP_PKEY *make_key(const char *kind)
{
    if (!kind)
        return EVP_EC_gen("P-256");
    if (!strcmp(kind, "rsa"))
        return EVP_RSA_gen(2048);
    if (!strcmp(kind, "rsa1024"))
        return EVP_RSA_gen(1024);
    return EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
}

static inline void add_extension(X509 *leaf, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(extension);
    assert_int_equal(X509_add_ext(leaf, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static inline struct pair make(const struct wish *wish)
{
    bool is_ed25519 = wish->kind && !strcmp(wish->kind, "ed25519");
    struct pair pair = {X509_new(), is_ed25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                               : make_key(wish->kind)};
    const char *name = wish->common_name ? wish->common_name : "a test";
    X509_NAME *subject = X509_get_subject_name(pair.leaf);
    EVP_PKEY *signer = wish->issuer_key ? wish->issuer_key : pair.key;
    int id = EVP_PKEY_get_base_id(signer);

    assert_non_null(pair.key);
    X509_set_version(pair.leaf, X509_VERSION_3);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(pair.leaf), (uint64_t)random());
    X509_gmtime_adj(X509_getm_notBefore(pair.leaf),
                    (wish->from_days ? wish->from_days : -1) * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(pair.leaf), (wish->days ? wish->days : 90) * 86400L);
    X509_set_pubkey(pair.leaf, pair.key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
                               0);
    X509_set_issuer_name(pair.leaf, wish->issuer ? X509_get_subject_name(wish->issuer) : subject);
    if (wish->names)
        add_extension(pair.leaf, NID_subject_alt_name, wish->names);
    if (wish->is_ca)
        add_extension(pair.leaf, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(pair.leaf, signer,
                          id == EVP_PKEY_ED25519 || id == EVP_PKEY_ED448 ? NULL : EVP_sha256()) >
                0);
    return pair;
}

static inline void drop(struct pair *pair)
{
    X509_free(pair->leaf);
    EVP_PKEY_free(pair->key);
}

/* In PEM, in the bench's arena. */
static inline struct str text_of(struct tls_bench *bench, BIO *bio)
{
    char *p;
    long len = BIO_get_mem_data(bio, &p);
    struct str text = arena_copy(&bench->arena, (struct str){p, (size_t)len});

    BIO_free(bio);
    return text;
}

static inline struct str leaf_text(struct tls_bench *bench, const struct pair *pair)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_X509(bio, pair->leaf), 1);
    return text_of(bench, bio);
}

static inline struct str key_text(struct tls_bench *bench, const struct pair *pair)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PrivateKey(bio, pair->key, NULL, NULL, 0, NULL, NULL), 1);
    return text_of(bench, bio);
}

/* A pair of files as a listener's `certificates` names it. */
static inline struct conf_certificate put_pair(struct tls_bench *bench, const char *stem,
                                               const struct wish *wish)
{
    struct pair pair = make(wish);
    struct conf_certificate conf = {0};
    char name[64];

    snprintf(name, sizeof(name), "%s.pem", stem);
    conf.cert.s = write_text(bench, name, leaf_text(bench, &pair).p);
    snprintf(name, sizeof(name), "%s.key", stem);
    conf.key.s = write_text(bench, name, key_text(bench, &pair).p);
    drop(&pair);
    return conf;
}

/* --- a handshake */

struct ends {
    SSL *client, *server;
};

/* Over a pair of memory BIOs; the client is as the test made it, without BIOs. */
static inline struct ends join(struct tls_server *server, SSL *client)
{
    struct ends ends = {client, SSL_new(tls_server_context(server))};
    BIO *ours, *theirs;

    assert_non_null(ends.server);
    assert_int_equal(BIO_new_bio_pair(&ours, 1 << 16, &theirs, 1 << 16), 1);
    SSL_set_bio(ends.client, theirs, theirs);
    SSL_set_bio(ends.server, ours, ours);
    SSL_set_accept_state(ends.server);
    SSL_set_connect_state(ends.client);
    return ends;
}

static inline void part(struct ends *ends)
{
    SSL_free(ends->client);
    SSL_free(ends->server);
    ERR_clear_error();
}

static inline bool is_waiting(SSL *ssl, int result)
{
    return result != 1 && SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ;
}

/* True when both are through; tickets have arrived then. */
static inline bool shake_hands(struct ends *ends)
{
    int client = 0, server = 0;
    char byte;

    for (unsigned i = 0; i < 20 && (client != 1 || server != 1); i++) {
        client = client == 1 ? 1 : SSL_do_handshake(ends->client);
        if (client != 1 && !is_waiting(ends->client, client))
            return false;
        server = server == 1 ? 1 : SSL_do_handshake(ends->server);
        if (server != 1 && !is_waiting(ends->server, server)) {
            (void)!SSL_do_handshake(ends->client); // takes the alert
            return false;
        }
    }
    if (client != 1 || server != 1)
        return false;
    // A byte each way: in TLS 1.3 the server speaks last, or refuses after the client is through.
    return SSL_write(ends->server, "s", 1) == 1 && SSL_read(ends->client, &byte, 1) == 1 &&
           SSL_write(ends->client, "c", 1) == 1 && SSL_read(ends->server, &byte, 1) == 1;
}

/* The reason of an alert that the client took: SSL_AD_...; 0: none. */
static inline int alert_of(unsigned long error)
{
    int reason = ERR_GET_REASON(error);

    return reason > SSL_AD_REASON_OFFSET ? reason - SSL_AD_REASON_OFFSET : 0;
}

#endif
