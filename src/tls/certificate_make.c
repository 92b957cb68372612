/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates that are made here, see certificate.h: self-signed ones, which serve until real ones
 * come, and those that answer TLS-ALPN-01 challenges. P-256, signed with SHA-256.
 */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "tls/certificate.h"
#include "tls/tls_error.h"

enum { SERIAL_BYTES = 16, CHALLENGE_DAYS = 7, CLOCK_SKEW_S = 3600 };

#define ACME_IDENTIFIER "1.3.6.1.5.5.7.1.31" /* id-pe-acmeIdentifier, RFC 8737 6.1 */

static bool set_serial(X509 *leaf)
{
    unsigned char bytes[SERIAL_BYTES];
    BIGNUM *number;
    bool is_good;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] &= 0x7f;
    bytes[0] |= 0x40; // positive, and of full length
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    is_good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(leaf));
    BN_free(number);
    return is_good;
}

static bool set_subject(X509 *leaf, const char *common_name)
{
    X509_NAME *name = X509_NAME_new();
    bool is_good = name &&
                   X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                              (const unsigned char *)common_name, -1, -1, 0) &&
                   X509_set_subject_name(leaf, name) && X509_set_issuer_name(leaf, name);

    X509_NAME_free(name);
    return is_good;
}

static bool push_name(GENERAL_NAMES *all, struct str text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *ia5 = ASN1_IA5STRING_new();

    if (!name || !ia5 || !ASN1_STRING_set(ia5, text.p, (int)text.len)) {
        GENERAL_NAME_free(name);
        ASN1_IA5STRING_free(ia5);
        return false;
    }
    GENERAL_NAME_set0_value(name, GEN_DNS, ia5);
    if (sk_GENERAL_NAME_push(all, name))
        return true;
    GENERAL_NAME_free(name);
    return false;
}

static bool set_names(X509 *leaf, const struct str *names, uint32_t count)
{
    GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();
    bool is_good = all != NULL;

    for (uint32_t i = 0; is_good && i < count; i++)
        is_good = push_name(all, names[i]);
    is_good = is_good && X509_add1_ext_i2d(leaf, NID_subject_alt_name, all, 0, 0) == 1;
    GENERAL_NAMES_free(all);
    return is_good;
}

/* Everything but what sets one kind apart; unsigned. */
static bool fill(X509 *leaf, EVP_PKEY *key, const char *common_name, unsigned days)
{
    return X509_set_version(leaf, X509_VERSION_3) && set_serial(leaf) &&
           X509_gmtime_adj(X509_getm_notBefore(leaf), -CLOCK_SKEW_S) &&
           X509_gmtime_adj(X509_getm_notAfter(leaf), (long)days * 86400) &&
           X509_set_pubkey(leaf, key) && set_subject(leaf, common_name);
}

static struct certificate *finish(X509 *leaf, EVP_PKEY *key, bool is_good)
{
    struct certificate_error ignored;

    if (is_good && X509_sign(leaf, key, EVP_sha256()))
        return certificate_wrap(leaf, NULL, key, &ignored);
    X509_free(leaf);
    EVP_PKEY_free(key);
    tls_error_drop();
    return NULL;
}

struct certificate *certificate_self_signed(const struct str *names, uint32_t count, unsigned days)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *leaf = X509_new();

    return finish(leaf, key,
                  key && leaf && fill(leaf, key, "Sluice self-signed", days) &&
                      set_names(leaf, names, count));
}

/* RFC 8737 3: critical, an OCTET STRING of the digest. */
static bool set_identifier(X509 *leaf, struct str answer)
{
    unsigned char bytes[2 + 32] = {V_ASN1_OCTET_STRING, 32};
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    ASN1_OBJECT *identifier = OBJ_txt2obj(ACME_IDENTIFIER, 1);
    X509_EXTENSION *extension = NULL;
    bool is_good;

    is_good = value && identifier &&
              EVP_Digest(answer.p, answer.len, bytes + 2, NULL, EVP_sha256(), NULL) &&
              ASN1_OCTET_STRING_set(value, bytes, sizeof(bytes));
    if (is_good)
        extension = X509_EXTENSION_create_by_OBJ(NULL, identifier, 1, value);
    is_good = extension && X509_add_ext(leaf, extension, -1);
    X509_EXTENSION_free(extension);
    ASN1_OBJECT_free(identifier);
    ASN1_OCTET_STRING_free(value);
    return is_good;
}

struct certificate *certificate_challenge(struct str domain, struct str answer)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *leaf = X509_new();

    return finish(leaf, key,
                  key && leaf && fill(leaf, key, "ACME challenge", CHALLENGE_DAYS) &&
                      set_names(leaf, &domain, 1) && set_identifier(leaf, answer));
}
