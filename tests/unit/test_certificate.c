/* SPDX-License-Identifier: Apache-2.0
 *
 * Pairs of certificate and key: what is read from good ones, and the sentence for each bad one.
 */
#include <openssl/asn1.h>
#include <sys/stat.h>

#include "test_tls.h"

static struct certificate *parse(struct tls_bench *bench, const struct pair *pair)
{
    struct certificate_error error;

    return certificate_parse(leaf_text(bench, pair), key_text(bench, pair), &error);
}

static void a_pair_says_what_it_is(void **state)
{
    struct tls_bench *bench = *state;
    const struct wish wish = {
        .names = "DNS:Www.Example.com,DNS:*.example.org,IP:192.0.2.1,IP:2001:db8::1,"
                 "email:a@b.c",
        .common_name = "ignored.example.com"};
    struct conf_certificate files = put_pair(bench, "a", &wish);
    struct certificate_error error;
    struct certificate *one = certificate_load(files.cert.s.p, files.key.s.p, &error);
    int64_t now = (int64_t)time(NULL);

    assert_non_null(one);
    assert_int_equal(one->kind, CERTIFICATE_EC);
    assert_int_equal(one->name_count, 4);
    assert_string_equal(one->names[0].p, "www.example.com");
    assert_string_equal(one->names[1].p, "*.example.org");
    assert_string_equal(one->names[2].p, "192.0.2.1");
    assert_string_equal(one->names[3].p, "2001:db8::1");
    assert_string_equal(one->issuer.p, "CN=ignored.example.com");
    assert_int_equal(strlen(one->fingerprint), 64);
    assert_in_range(one->not_after_s, now + 89 * 86400, now + 90 * 86400);
    assert_int_equal(certificate_age(one, now), CERTIFICATE_VALID);
    assert_int_equal(certificate_age(one, now - 2 * 86400), CERTIFICATE_EARLY);
    assert_int_equal(certificate_age(one, now + 91 * 86400), CERTIFICATE_EXPIRED);
    assert_true(certificate_covers(one, STR("www.example.com")));
    assert_true(certificate_covers(one, STR("a.example.org")));
    assert_false(certificate_covers(one, STR("example.org")));
    assert_false(certificate_covers(one, STR("a.b.example.org")));
    assert_false(certificate_covers(one, STR(".example.org")));
    assert_false(certificate_covers(one, STR("ignored.example.com")));
    certificate_free(&one);
    assert_null(one);
    assert_int_equal(ERR_peek_error(), 0);
}

static void kinds_and_common_names(void **state)
{
    static const struct {
        const char *kind;
        enum certificate_kind is;
        const char *name;
    } all[] = {{NULL, CERTIFICATE_EC, "ecdsa"},
               {"rsa", CERTIFICATE_RSA, "rsa"},
               {"ed25519", CERTIFICATE_ED25519, "ed25519"}};

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct pair pair =
            make(&(struct wish){.kind = all[i].kind, .common_name = "Cn.example.com"});
        struct certificate *one = parse(*state, &pair), *copy;

        assert_non_null(one);
        assert_int_equal(one->kind, all[i].is);
        assert_string_equal(certificate_kind_name(one->kind), all[i].name);
        assert_int_equal(one->name_count, 1);
        assert_string_equal(one->names[0].p, "cn.example.com");
        copy = certificate_copy(one);
        certificate_free(&one);
        assert_string_equal(copy->names[0].p, "cn.example.com");
        certificate_free(&copy);
        drop(&pair);
    }
}

/* A file that was put there, and what is said of it. */
static void refuse(struct tls_bench *bench, const char *cert, const char *key, const char *text)
{
    struct certificate_error error = {0};
    struct certificate *one =
        certificate_load(path_of(bench, cert).p, path_of(bench, key).p, &error);

    assert_null(one);
    if (!strstr(error.text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, error.text);
    assert_int_equal(error.is_key, strstr(error.text, ".key") || strstr(error.text, "key has") ||
                                       strstr(error.text, "key is neither"));
    assert_int_equal(ERR_peek_error(), 0);
}

static void bad_pairs_are_told(void **state)
{
    struct tls_bench *bench = *state;
    struct pair other = make(&(struct wish){0}), locked = make(&(struct wish){0});
    BIO *bio = BIO_new(BIO_s_mem());
    struct str chain;

    put_pair(bench, "good", &(struct wish){.names = "DNS:a.example.com"});
    put_pair(bench, "other", &(struct wish){0});
    put_pair(bench, "weak", &(struct wish){.kind = "rsa1024"});
    put_pair(bench, "odd", &(struct wish){.kind = "ed448"});
    write_text(bench, "empty.pem", "");
    write_text(bench, "empty.key", "");
    write_text(bench, "text.pem", "no certificate\n");
    write_text(bench, "cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n");
    write_text(bench, "bad.pem",
               "-----BEGIN CERTIFICATE-----\nMIIBaaaa\n-----END CERTIFICATE-----\n");
    write_text(bench, "bad.key",
               "-----BEGIN PRIVATE KEY-----\nMIIBaaaa\n-----END PRIVATE KEY-----\n");
    assert_int_equal(mkdir(path_of(bench, "folder.pem").p, 0700), 0);
    assert_int_equal(mkfifo(path_of(bench, "pipe.pem").p, 0600), 0);
    assert_int_equal(PEM_write_bio_PrivateKey(bio, locked.key, EVP_aes_128_cbc(), NULL, 0, NULL,
                                              (void *)"secret"),
                     1);
    write_text(bench, "locked.key", text_of(bench, bio).p);
    chain = arena_format(&bench->arena, "%s%s", leaf_text(bench, &other).p,
                         leaf_text(bench, &locked).p);
    write_text(bench, "order.pem", chain.p);
    write_text(bench, "order.key", key_text(bench, &locked).p);

    refuse(bench, "none.pem", "good.key", "cannot read \"");
    refuse(bench, "none.pem", "good.key", "No such file or directory");
    refuse(bench, "good.pem", "none.key", "No such file or directory");
    refuse(bench, "folder.pem", "good.key", "not a regular file");
    refuse(bench, "pipe.pem", "good.key", "not a regular file");
    refuse(bench, "empty.pem", "good.key", "no certificate in PEM can be read: no start line");
    refuse(bench, "text.pem", "good.key", "no certificate in PEM can be read: no start line");
    refuse(bench, "cut.pem", "good.key", "no certificate in PEM can be read: bad end line");
    refuse(bench, "bad.pem", "good.key", "no certificate in PEM can be read");
    refuse(bench, "good.pem", "empty.key", "no private key in PEM can be read");
    refuse(bench, "good.pem", "bad.key", "no private key in PEM can be read");
    refuse(bench, "good.pem", "locked.key", "protected by a passphrase");
    refuse(bench, "good.pem", "other.key", "the key does not belong to the certificate");
    refuse(bench, "order.pem", "order.key", "the key belongs to certificate 2 of the file");
    refuse(bench, "weak.pem", "weak.key", "the RSA key has 1024 bits; at least 2048 are needed");
    refuse(bench, "odd.pem", "odd.key", "the key is neither RSA nor ECDSA nor Ed25519");
    drop(&other);
    drop(&locked);
}

static void bytes_that_are_no_certificate(void **state)
{
    struct tls_bench *bench = *state;
    struct pair pair = make(&(struct wish){.names = "DNS:a.example.com"});
    struct str chain = leaf_text(bench, &pair), key = key_text(bench, &pair);
    struct certificate_error error;

    // Each byte of the text in turn is another one: nothing may crash, and what is taken is whole.
    for (size_t i = 0; i < chain.len; i++) {
        struct str copy = arena_copy(&bench->arena, chain);
        struct certificate *one;

        ((char *)(uintptr_t)copy.p)[i] ^= 0x11;
        one = certificate_parse(copy, key, &error);
        if (one)
            assert_int_equal(strlen(one->fingerprint), 64);
        certificate_free(&one);
    }
    for (size_t len = 0; len < chain.len; len += 7) {
        struct certificate *one = certificate_parse((struct str){chain.p, len}, key, &error);

        assert_null(one);
    }
    drop(&pair);
}

static void odd_names_are_left_out(void **state)
{
    struct pair pair = make(&(struct wish){.names = "DNS:a b.example.com,DNS:good.example.com"});
    struct certificate *one = parse(*state, &pair);

    assert_non_null(one);
    assert_int_equal(one->name_count, 1);
    assert_string_equal(one->names[0].p, "good.example.com");
    certificate_free(&one);
    drop(&pair);
}

static void a_self_signed_one(void **state)
{
    const struct str names[] = {STR("a.example.com"), STR("b.example.com")};
    struct certificate *one = certificate_self_signed(names, 2, 30);
    int64_t now = (int64_t)time(NULL);

    (void)state;
    assert_non_null(one);
    assert_int_equal(one->kind, CERTIFICATE_EC);
    assert_int_equal(one->name_count, 2);
    assert_true(certificate_covers(one, STR("b.example.com")));
    assert_int_equal(certificate_age(one, now), CERTIFICATE_VALID);
    assert_in_range(one->not_after_s, now + 29 * 86400, now + 31 * 86400);
    assert_int_equal(X509_verify(one->leaf, one->key), 1);
    certificate_free(&one);
}

/* RFC 8737 3: one name, and the digest of the key authorization in a critical extension. */
static void a_challenge_is_answered(void **state)
{
    struct certificate *one = certificate_challenge(STR("shop.example.com"), STR("token.thumb"));
    ASN1_OBJECT *identifier = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
    unsigned char expected[34] = {4, 32};
    const ASN1_OCTET_STRING *value;
    X509_EXTENSION *extension;
    int at;

    (void)state;
    assert_non_null(one);
    assert_int_equal(one->name_count, 1);
    assert_string_equal(one->names[0].p, "shop.example.com");
    at = X509_get_ext_by_OBJ(one->leaf, identifier, -1);
    assert_true(at >= 0);
    extension = X509_get_ext(one->leaf, at);
    assert_int_equal(X509_EXTENSION_get_critical(extension), 1);
    value = X509_EXTENSION_get_data(extension);
    assert_int_equal(EVP_Digest("token.thumb", 11, expected + 2, NULL, EVP_sha256(), NULL), 1);
    assert_int_equal(ASN1_STRING_length(value), sizeof(expected));
    assert_memory_equal(ASN1_STRING_get0_data(value), expected, sizeof(expected));
    ASN1_OBJECT_free(identifier);
    certificate_free(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH(a_pair_says_what_it_is),  BENCH(kinds_and_common_names),
        BENCH(bad_pairs_are_told),      BENCH(bytes_that_are_no_certificate),
        BENCH(odd_names_are_left_out),  BENCH(a_self_signed_one),
        BENCH(a_challenge_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
