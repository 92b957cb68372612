/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of acme_store.c and acme_cert.c, in a folder of their own: what is written is read again,
 * what is broken is refused, and which chains are taken.
 */
#include "control/acme_store.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "control/acme_cert.h"
#include "control/acme_key.h"

struct rig {
    struct arena arena;
    char state[64];
    struct str folder;
    struct evp_pkey_st *key, *other;
};

static int set_up(void **state)
{
    struct rig *rig = test_calloc(1, sizeof(*rig));

    arena_init(&rig->arena, NULL, 0);
    snprintf(rig->state, sizeof(rig->state), "%s", "build/acme-XXXXXX");
    assert_non_null(mkdtemp(rig->state));
    rig->folder = acme_store_folder(&rig->arena, (struct str){rig->state, strlen(rig->state)},
                                    STR("https://ca.test:14000/dir?a=/../b"));
    assert_non_null(rig->folder.p);
    rig->key = acme_key_new();
    rig->other = acme_key_new();
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    static const char *const names[] = {"account.json", "a.test-1.pem", "a.test-1.state.json",
                                        "a.test-1.order.json"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unlink(arena_format(&rig->arena, "%s/%s", rig->folder.p, names[i]).p);
    rmdir(rig->folder.p);
    rmdir(arena_format(&rig->arena, "%s/acme", rig->state).p);
    rmdir(rig->state);
    acme_key_free(&rig->key);
    acme_key_free(&rig->other);
    arena_reset(&rig->arena);
    test_free(rig);
    return 0;
}

/* --- the store */

static void the_folder_is_of_the_ca_and_private(void **state)
{
    struct rig *rig = *state;
    struct str again = acme_store_folder(&rig->arena, (struct str){rig->state, strlen(rig->state)},
                                         STR("https://ca.test:14000/dir?a=/../b"));
    struct stat stat_now;

    assert_string_equal(rig->folder.p, again.p);
    assert_non_null(strstr(again.p, "/acme/ca.test_14000-"));
    assert_int_equal(stat(again.p, &stat_now), 0);
    assert_int_equal(stat_now.st_mode & 0777, 0700);
    assert_int_equal(stat(arena_format(&rig->arena, "%s/acme", rig->state).p, &stat_now), 0);
    assert_int_equal(stat_now.st_mode & 0777, 0700);
}

static void what_is_written_is_read_again(void **state)
{
    struct rig *rig = *state;
    const struct str name = STR("a.test-1");
    struct acme_account account = {STR_INIT("KEY\n"), STR_INIT("https://ca/1"), STR_INIT("a@b")};
    struct acme_journal journal = {STR_INIT("KEY"), STR_INIT("https://ca/o"), 1234567890123};
    struct acme_progress progress = {ACME_FAILURE_UNREACHABLE, 3, 2, 11, 22, 33, "\"quoted\" words",
                                     STR_INIT("a.test b.test")};
    struct acme_account account_read;
    struct acme_journal journal_read;
    struct acme_progress progress_read;

    assert_int_equal(acme_store_read_account(&rig->arena, rig->folder, &account_read), E_NOT_FOUND);
    assert_int_equal(acme_store_write_account(rig->folder, &account), OK);
    assert_int_equal(acme_store_read_account(&rig->arena, rig->folder, &account_read), OK);
    assert_string_equal(account_read.url.p, "https://ca/1");
    assert_string_equal(account_read.key.p, "KEY\n");
    assert_int_equal(acme_store_write_journal(rig->folder, name, &journal), OK);
    assert_int_equal(acme_store_read_journal(&rig->arena, rig->folder, name, &journal_read), OK);
    assert_int_equal(journal_read.created_ms, 1234567890123);
    acme_store_remove_journal(rig->folder, name);
    assert_int_equal(acme_store_read_journal(&rig->arena, rig->folder, name, &journal_read),
                     E_NOT_FOUND);
    assert_int_equal(acme_store_write_progress(rig->folder, name, &progress), OK);
    assert_int_equal(acme_store_read_progress(&rig->arena, rig->folder, name, &progress_read), OK);
    assert_int_equal(progress_read.failures, 3);
    assert_int_equal(progress_read.failure, ACME_FAILURE_UNREACHABLE);
    assert_int_equal(progress_read.error_ms, 33);
    assert_string_equal(progress_read.error, "\"quoted\" words");
    assert_string_equal(progress_read.by_alpn.p, "a.test b.test");
}

static void broken_files_are_told_from_missing_ones(void **state)
{
    static const char *const texts[] = {"", "{", "[]", "{\"key\":7}"};
    struct rig *rig = *state;
    struct acme_account account;
    struct str path = arena_format(&rig->arena, "%s/account.json", rig->folder.p);

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(file_write(path.p, (struct str){texts[i], strlen(texts[i])}, 0600), OK);
        assert_int_equal(acme_store_read_account(&rig->arena, rig->folder, &account), E_INVALID);
    }
}

/* --- certificates */

static const struct str two[] = {STR_INIT("a.test"), STR_INIT("b.test")};
static const struct acme_names names = {two, 2};

static void add(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

static X509 *issue(const char *subject, struct evp_pkey_st *key, X509 *issuer,
                   struct evp_pkey_st *issuer_key)
{
    static const unsigned char serial[] = {0x87, 0x65, 0x43, 0x21};
    X509 *cert = X509_new();
    BIGNUM *number = BN_bin2bn(serial, sizeof(serial), NULL);

    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
    BN_free(number);
    X509_set_version(cert, X509_VERSION_3);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)subject, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));
    ASN1_TIME_set(X509_getm_notBefore(cert), 1700000000);
    ASN1_TIME_set(X509_getm_notAfter(cert), 1800000000);
    X509_set_pubkey(cert, key);
    if (!issuer)
        add(cert, cert, NID_subject_key_identifier, "69:88:5B:6B:87:46:40:41");
    else
        add(cert, issuer, NID_authority_key_identifier, "keyid");
    if (issuer)
        add(cert, issuer, NID_subject_alt_name, "DNS:a.test,DNS:B.test");
    X509_sign(cert, issuer_key, EVP_sha256());
    return cert;
}

static struct str pem(struct rig *rig, X509 *first, X509 *second)
{
    BIO *out = BIO_new(BIO_s_mem());
    struct str text;
    char *p;
    long len;

    PEM_write_bio_X509(out, first);
    if (second)
        PEM_write_bio_X509(out, second);
    len = BIO_get_mem_data(out, &p);
    text = arena_copy(&rig->arena, (struct str){p, (size_t)len});
    BIO_free(out);
    return text;
}

static void a_good_chain_is_taken_and_described(void **state)
{
    struct rig *rig = *state;
    X509 *root = issue("root", rig->other, NULL, rig->other);
    X509 *leaf = issue("leaf", rig->key, root, rig->other);
    struct acme_cert cert;

    assert_int_equal(acme_cert_read(&rig->arena, pem(rig, leaf, root), rig->key, &names, &cert),
                     OK);
    assert_int_equal(cert.not_before_ms, 1700000000000);
    assert_int_equal(cert.not_after_ms, 1800000000000);
    assert_int_equal(strlen(cert.fingerprint), ACME_CERT_FINGERPRINT);
    // The serial number's leading zero byte is kept (RFC 9773 section 4.1).
    assert_string_equal(cert.renewal_id.p, "aYhba4dGQEE.AIdlQyE");
    X509_free(root);
    X509_free(leaf);
}

static void chains_that_do_not_fit_are_refused(void **state)
{
    struct rig *rig = *state;
    X509 *root = issue("root", rig->other, NULL, rig->other);
    X509 *stranger = issue("stranger", rig->other, NULL, rig->other);
    X509 *leaf = issue("leaf", rig->key, root, rig->other);
    const struct str more[] = {STR_INIT("a.test"), STR_INIT("c.test")};
    const struct acme_names others = {more, 2};
    struct acme_cert cert;

    assert_int_equal(acme_cert_read(&rig->arena, pem(rig, leaf, NULL), rig->other, &names, &cert),
                     E_INVALID);
    assert_string_equal(cert.error.p, "the certificate is for another key");
    assert_int_equal(acme_cert_read(&rig->arena, pem(rig, leaf, NULL), rig->key, &others, &cert),
                     E_INVALID);
    assert_string_equal(cert.error.p, "the certificate does not have the name c.test");
    assert_int_equal(acme_cert_read(&rig->arena, pem(rig, leaf, stranger), rig->key, &names, &cert),
                     E_INVALID);
    assert_string_equal(cert.error.p, "certificate 1 of the chain is not issued by the next");
    assert_int_equal(acme_cert_read(&rig->arena, STR("<html>"), rig->key, &names, &cert),
                     E_INVALID);
    X509_free(root);
    X509_free(stranger);
    X509_free(leaf);
}

static void a_request_names_all_domains(void **state)
{
    struct rig *rig = *state;
    struct str der = acme_cert_request(&rig->arena, rig->key, &names);
    const unsigned char *at = (const unsigned char *)der.p;
    X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)der.len);
    STACK_OF(X509_EXTENSION) * all;
    STACK_OF(GENERAL_NAME) * found;

    assert_non_null(request);
    assert_int_equal(X509_REQ_verify(request, rig->key), 1);
    all = X509_REQ_get_extensions(request);
    found = X509V3_get_d2i(all, NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(found), 2);
    sk_GENERAL_NAME_pop_free(found, GENERAL_NAME_free);
    sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
    X509_REQ_free(request);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_folder_is_of_the_ca_and_private),     TEST(what_is_written_is_read_again),
        TEST(broken_files_are_told_from_missing_ones), TEST(a_good_chain_is_taken_and_described),
        TEST(chains_that_do_not_fit_are_refused),      TEST(a_request_names_all_domains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
