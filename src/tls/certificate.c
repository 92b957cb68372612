/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/text.h"
#include "tls/tls_error.h"

enum { CHAIN_MAX = 16, RSA_BITS_MIN = 2048, FILE_MAX = 4 * 1024 * 1024 };

static void explain(struct certificate_error *error, bool is_key, const char *format, ...)
    PRINTF(3, 4);

static void explain(struct certificate_error *error, bool is_key, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    error->is_key = is_key;
    vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
}

void certificate_free(struct certificate **certificate)
{
    struct certificate *gone = *certificate;

    *certificate = NULL;
    if (!gone)
        return;
    X509_free(gone->leaf);
    sk_X509_pop_free(gone->chain, X509_free);
    EVP_PKEY_free(gone->key);
    arena_reset(&gone->arena);
    free(gone);
}

/* --- what it says */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Names with other characters are for no SNI and no log line. */
static bool is_plain(const ASN1_STRING *text)
{
    const unsigned char *p = ASN1_STRING_get0_data(text);
    int len = ASN1_STRING_length(text);

    for (int i = 0; i < len; i++)
        if (p[i] <= ' ' || p[i] > '~')
            return false;
    return len > 0 && len < 254;
}

static bool add_name(struct certificate *certificate, const ASN1_STRING *text)
{
    struct str name = {(const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)};
    struct str *to = &certificate->names[certificate->name_count];

    if (!is_plain(text))
        return true;
    *to = arena_copy(&certificate->arena, name);
    for (size_t i = 0; to->p && i < to->len; i++)
        ((char *)(uintptr_t)to->p)[i] = lower(to->p[i]);
    certificate->name_count += to->p != NULL;
    return to->p != NULL;
}

static bool add_address(struct certificate *certificate, const ASN1_OCTET_STRING *bytes)
{
    int len = ASN1_STRING_length(bytes);
    char text[INET6_ADDRSTRLEN];
    struct str *to = &certificate->names[certificate->name_count];

    if (len != 4 && len != 16)
        return true;
    if (!inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(bytes), text, sizeof(text)))
        return true;
    *to = arena_copy(&certificate->arena, (struct str){text, strlen(text)});
    certificate->name_count += to->p != NULL;
    return to->p != NULL;
}

/* RFC 6125 6.4.4: the common name counts only where there is no other name. */
static bool add_common_name(struct certificate *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate->leaf);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    certificate->names = arena_zero(&certificate->arena, 1, sizeof(*certificate->names));
    if (!certificate->names)
        return false;
    return at < 0 ||
           add_name(certificate, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static bool find_names(struct certificate *certificate)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate->leaf, NID_subject_alt_name, NULL, NULL);
    int count = all ? sk_GENERAL_NAME_num(all) : 0;
    bool is_good;

    if (!count) {
        GENERAL_NAMES_free(all);
        tls_error_drop();
        return add_common_name(certificate);
    }
    certificate->names =
        arena_zero(&certificate->arena, (size_t)count, sizeof(*certificate->names));
    is_good = certificate->names != NULL;
    for (int i = 0; is_good && i < count; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);

        if (name->type == GEN_DNS)
            is_good = add_name(certificate, name->d.dNSName);
        else if (name->type == GEN_IPADD)
            is_good = add_address(certificate, name->d.iPAddress);
    }
    GENERAL_NAMES_free(all);
    return is_good;
}

static bool find_issuer(struct certificate *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len;

    if (!bio)
        return false;
    X509_NAME_print_ex(bio, X509_get_issuer_name(certificate->leaf), 0, XN_FLAG_RFC2253);
    len = BIO_get_mem_data(bio, &text);
    certificate->issuer =
        arena_copy(&certificate->arena, (struct str){text ? text : "", len > 0 ? (size_t)len : 0});
    BIO_free(bio);
    return certificate->issuer.p != NULL;
}

static bool find_fingerprint(struct certificate *certificate)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (!X509_digest(certificate->leaf, EVP_sha256(), digest, &len) || len != 32)
        return false;
    *text_hex_bytes(certificate->fingerprint, digest, len) = '\0';
    return true;
}

/* Beyond the year 9999 there is nothing to compare with. */
static int64_t to_unix(const ASN1_TIME *time)
{
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) ? (int64_t)timegm(&tm) : 0;
}

static bool find_kind(struct certificate *certificate, struct certificate_error *error)
{
    int id = EVP_PKEY_get_base_id(certificate->key);

    if (id == EVP_PKEY_RSA && EVP_PKEY_get_bits(certificate->key) < RSA_BITS_MIN) {
        explain(error, true, "the RSA key has %d bits; at least %d are needed",
                EVP_PKEY_get_bits(certificate->key), RSA_BITS_MIN);
        return false;
    }
    if (id == EVP_PKEY_RSA) {
        certificate->kind = CERTIFICATE_RSA;
    } else if (id == EVP_PKEY_EC) {
        certificate->kind = CERTIFICATE_EC;
    } else if (id == EVP_PKEY_ED25519) {
        certificate->kind = CERTIFICATE_ED25519;
    } else {
        explain(error, true, "the key is neither RSA nor ECDSA nor Ed25519");
        return false;
    }
    return true;
}

static bool describe(struct certificate *certificate, struct certificate_error *error)
{
    const ASN1_TIME *end = X509_get0_notAfter(certificate->leaf);

    if (!find_kind(certificate, error))
        return false;
    certificate->not_before_s = to_unix(X509_get0_notBefore(certificate->leaf));
    certificate->not_after_s = to_unix(end);
    if (find_names(certificate) && find_issuer(certificate) && find_fingerprint(certificate))
        return true;
    explain(error, false, "out of memory");
    return false;
}

struct certificate *certificate_wrap(X509 *leaf, STACK_OF(X509) * chain, EVP_PKEY *key,
                                     struct certificate_error *error)
{
    struct certificate *certificate = calloc(1, sizeof(*certificate));

    if (!certificate) {
        X509_free(leaf);
        sk_X509_pop_free(chain, X509_free);
        EVP_PKEY_free(key);
        explain(error, false, "out of memory");
        return NULL;
    }
    arena_init(&certificate->arena, NULL, 0);
    certificate->leaf = leaf;
    certificate->chain = chain ? chain : sk_X509_new_null();
    certificate->key = key;
    if (!certificate->chain)
        explain(error, false, "out of memory");
    if (!certificate->chain || !describe(certificate, error))
        certificate_free(&certificate);
    tls_error_drop();
    return certificate;
}

struct certificate *certificate_copy(const struct certificate *certificate)
{
    struct certificate_error ignored;
    STACK_OF(X509) *chain = X509_chain_up_ref(certificate->chain);

    if (!chain)
        return NULL;
    X509_up_ref(certificate->leaf);
    EVP_PKEY_up_ref(certificate->key);
    return certificate_wrap(certificate->leaf, chain, certificate->key, &ignored);
}

/* --- reading */

/* Nobody is there to be asked for a passphrase. */
static int refuse_passphrase(char *buf, int size, int is_writing, void *was_asked)
{
    (void)buf;
    (void)size;
    (void)is_writing;
    *(bool *)was_asked = true;
    return -1;
}

static STACK_OF(X509) * read_chain(struct str text, struct certificate_error *error)
{
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.len);
    STACK_OF(X509) *chain = sk_X509_new_null();
    X509 *one = NULL;
    bool is_end, was_asked = false;

    while (bio && chain && (one = PEM_read_bio_X509(bio, NULL, refuse_passphrase, &was_asked))) {
        if (sk_X509_num(chain) < CHAIN_MAX && sk_X509_push(chain, one))
            continue;
        X509_free(one);
        explain(error, false, "more than %d certificates", CHAIN_MAX);
        goto fail;
    }
    is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (!chain || !sk_X509_num(chain) || !is_end) {
        explain(error, false, "no certificate in PEM can be read: %s", tls_error_take());
        goto fail;
    }
    tls_error_drop();
    BIO_free(bio);
    return chain;
fail:
    tls_error_drop();
    sk_X509_pop_free(chain, X509_free);
    BIO_free(bio);
    return NULL;
}

static EVP_PKEY *read_key(struct str text, struct certificate_error *error)
{
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.len);
    bool was_asked = false;
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &was_asked) : NULL;

    if (!key && was_asked)
        explain(error, true, "the key is protected by a passphrase, and nobody could type it");
    else if (!key)
        explain(error, true, "no private key in PEM can be read: %s", tls_error_take());
    tls_error_drop();
    BIO_free(bio);
    return key;
}

/* The leaf is the first; a key that belongs to another one tells of a wrong order. */
static bool check_pair(const STACK_OF(X509) * chain, EVP_PKEY *key, struct certificate_error *error)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        if (!X509_check_private_key(sk_X509_value(chain, i), key)) {
            tls_error_drop();
            continue;
        }
        if (!i)
            return true;
        explain(error, false, "the key belongs to certificate %d of the file, which must be first",
                i + 1);
        return false;
    }
    explain(error, true, "the key does not belong to the certificate");
    return false;
}

struct certificate *certificate_parse(struct str chain_text, struct str key_text,
                                      struct certificate_error *error)
{
    STACK_OF(X509) *chain = NULL;
    EVP_PKEY *key;

    tls_error_drop();
    if (chain_text.len > FILE_MAX || key_text.len > FILE_MAX) {
        explain(error, chain_text.len <= FILE_MAX, "larger than 4 MiB");
        return NULL;
    }
    chain = read_chain(chain_text, error);
    key = chain ? read_key(key_text, error) : NULL;
    if (key && check_pair(chain, key, error))
        return certificate_wrap(sk_X509_shift(chain), chain, key, error);
    sk_X509_pop_free(chain, X509_free);
    EVP_PKEY_free(key);
    return NULL;
}

bool certificate_read_file(const char *path, struct arena *arena, struct str *text,
                           struct certificate_error *error)
{
    struct stat file;
    const char *wrong = NULL;

    errno = 0;
    // Looked at first, since opening a pipe would wait for whoever writes to it.
    if (stat(path, &file))
        wrong = strerror(errno);
    else if (!S_ISREG(file.st_mode))
        wrong = "not a regular file";
    else if (file.st_size > FILE_MAX)
        wrong = "larger than 4 MiB";
    else if (file_read(path, arena, text))
        wrong = strerror(errno);
    if (wrong)
        explain(error, false, "cannot read \"%.200s\": %s%s", path, wrong,
                errno == EACCES ? " to the user that the gateway runs as" : "");
    return !wrong;
}

struct certificate *certificate_load(const char *cert_path, const char *key_path,
                                     struct certificate_error *error)
{
    struct certificate *certificate = NULL;
    struct arena arena;
    struct str chain, key = STR_NONE;
    char text[sizeof(error->text)];

    arena_init(&arena, NULL, 0);
    if (!certificate_read_file(cert_path, &arena, &chain, error))
        goto out;
    if (!certificate_read_file(key_path, &arena, &key, error)) {
        error->is_key = true;
        goto out;
    }
    certificate = certificate_parse(chain, key, error);
    if (!certificate) {
        snprintf(text, sizeof(text), "%s", error->text);
        explain(error, error->is_key, "\"%.120s\": %.180s", error->is_key ? key_path : cert_path,
                text);
    }
out:
    if (key.p)
        OPENSSL_cleanse((void *)(uintptr_t)key.p, key.len);
    arena_reset(&arena);
    return certificate;
}

/* --- questions */

enum certificate_age certificate_age(const struct certificate *certificate, int64_t now_s)
{
    if (now_s > certificate->not_after_s)
        return CERTIFICATE_EXPIRED;
    return now_s < certificate->not_before_s ? CERTIFICATE_EARLY : CERTIFICATE_VALID;
}

/* RFC 6125 6.4.3: the star is the whole first label, and stands for one. */
static bool is_wildcard_for(struct str pattern, struct str name)
{
    const char *dot = name.len ? memchr(name.p, '.', name.len) : NULL;

    if (pattern.len < 3 || pattern.p[0] != '*' || pattern.p[1] != '.' || !dot || dot == name.p)
        return false;
    return str_same((struct str){pattern.p + 1, pattern.len - 1},
                    (struct str){dot, name.len - (size_t)(dot - name.p)});
}

bool certificate_covers(const struct certificate *certificate, struct str name)
{
    for (uint32_t i = 0; i < certificate->name_count; i++)
        if (str_same(certificate->names[i], name) || is_wildcard_for(certificate->names[i], name))
            return true;
    return false;
}

const char *certificate_kind_name(enum certificate_kind kind)
{
    static const char *const names[] = {
        [CERTIFICATE_EC] = "ecdsa", [CERTIFICATE_RSA] = "rsa", [CERTIFICATE_ED25519] = "ed25519"};

    return names[kind];
}
