/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of TLS: certificates made as a test wants them.
 */
#ifndef TEST_TLS_MAKE_H
#define TEST_TLS_MAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

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

#endif
