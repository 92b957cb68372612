/* SPDX-License-Identifier: Apache-2.0 */
#include "control/acme_cert.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "control/acme_jws.h"

enum { CHAIN_MAX = 10, CHAIN_BYTES_MAX = 256 * 1024, SERIAL_MAX = 64, NAME_MAX_BYTES = 253 };

/* --- the request */

/* "DNS:a,DNS:b"; a name has none but letters, digits, hyphens and dots by now. */
static struct str alternative_names(struct arena *arena, const struct acme_names *names)
{
    size_t size = 1;
    char *text, *out;

    for (uint32_t i = 0; i < names->count; i++)
        size += names->items[i].len + 5;
    text = out = arena_text(arena, size);
    if (!text)
        return STR_NONE;
    for (uint32_t i = 0; i < names->count; i++) {
        out = text_put(out, i ? STR(",DNS:") : STR("DNS:"));
        out = text_put(out, names->items[i]);
    }
    *out = '\0';
    return (struct str){text, (size_t)(out - text)};
}

static bool add_names(X509_REQ *request, const char *text)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text);
    STACK_OF(X509_EXTENSION) *all = sk_X509_EXTENSION_new_null();
    bool is_good = extension && all && sk_X509_EXTENSION_push(all, extension) == 1;

    if (!is_good)
        X509_EXTENSION_free(extension);
    is_good = is_good && X509_REQ_add_extensions(request, all) == 1;
    sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
    return is_good;
}

struct str acme_cert_request(struct arena *arena, struct evp_pkey_st *key,
                             const struct acme_names *names)
{
    struct str text = alternative_names(arena, names), der = STR_NONE;
    X509_REQ *request = text.p ? X509_REQ_new() : NULL;
    unsigned char *bytes = NULL;
    int len = 0;

    if (request && X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
        X509_REQ_set_pubkey(request, key) == 1 && add_names(request, text.p) &&
        X509_REQ_sign(request, key, EVP_sha256()) > 0)
        len = i2d_X509_REQ(request, &bytes);
    if (len > 0)
        der = arena_copy(arena, (struct str){(const char *)bytes, (size_t)len});
    OPENSSL_free(bytes);
    X509_REQ_free(request);
    return der;
}

/* --- the chain */

struct chain {
    X509 *items[CHAIN_MAX];
    int count;
};

static bool read_chain(struct chain *chain, struct str pem)
{
    BIO *in = pem.len && pem.len < CHAIN_BYTES_MAX ? BIO_new_mem_buf(pem.p, (int)pem.len) : NULL;

    while (in && chain->count < CHAIN_MAX) {
        X509 *cert = PEM_read_bio_X509(in, NULL, NULL, NULL);

        if (!cert)
            break;
        chain->items[chain->count++] = cert;
    }
    BIO_free(in);
    return chain->count > 0;
}

static int64_t unix_ms(const ASN1_TIME *at)
{
    struct tm parts;

    if (!at || ASN1_TIME_to_tm(at, &parts) != 1)
        return -1;
    return (int64_t)timegm(&parts) * 1000;
}

static void read_fingerprint(const X509 *leaf, struct acme_cert *cert)
{
    unsigned char hash[SHA256_DIGEST_LENGTH] = {0};
    unsigned len = 0;

    (void)X509_digest(leaf, EVP_sha256(), hash, &len);
    *text_hex_bytes(cert->fingerprint, hash, sizeof(hash)) = '\0';
}

/* RFC 9773 section 4.1: the key identifier of the issuer and the serial number as DER has it, with
 * the zero byte that keeps it positive. */
static struct str renewal_id(struct arena *arena, X509 *leaf)
{
    const ASN1_OCTET_STRING *issuer = X509_get0_authority_key_id(leaf);
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf), NULL);
    unsigned char serial[SERIAL_MAX + 1] = {0};
    struct str left, right, id = STR_NONE;
    int len = number ? BN_num_bytes(number) : 0;

    if (issuer && len > 0 && len <= SERIAL_MAX && BN_bn2bin(number, serial + 1) == len) {
        int lead = serial[1] & 0x80 ? 0 : 1;

        left = acme_jws_base64(arena, (struct str){(const char *)ASN1_STRING_get0_data(issuer),
                                                   (size_t)ASN1_STRING_length(issuer)});
        right = acme_jws_base64(arena, (struct str){(const char *)serial + lead,
                                                    (size_t)(len + 1 - lead)});
        if (left.p && right.p)
            id = arena_format(arena, "%.*s.%.*s", STR_FMT(left), STR_FMT(right));
    }
    BN_free(number);
    return id;
}

static bool is_name_in(X509 *leaf, struct str name)
{
    return name.len && name.len <= NAME_MAX_BYTES &&
           X509_check_host(leaf, name.p, name.len, X509_CHECK_FLAG_NO_WILDCARDS, NULL) == 1;
}

static struct str find_fault(struct arena *arena, const struct chain *chain,
                             const struct evp_pkey_st *key, const struct acme_names *names)
{
    X509 *leaf = chain->items[0];
    const EVP_PKEY *shown = X509_get0_pubkey(leaf);

    if (!shown || EVP_PKEY_eq(shown, key) != 1)
        return STR("the certificate is for another key");
    for (uint32_t i = 0; i < names->count; i++)
        if (!is_name_in(leaf, names->items[i]))
            return arena_format(arena, "the certificate does not have the name %.*s",
                                STR_FMT(names->items[i]));
    for (int i = 0; i + 1 < chain->count; i++)
        if (X509_check_issued(chain->items[i + 1], chain->items[i]) != X509_V_OK)
            return arena_format(arena, "certificate %d of the chain is not issued by the next",
                                i + 1);
    return STR_NONE;
}

enum status acme_cert_read(struct arena *arena, struct str pem, const struct evp_pkey_st *key,
                           const struct acme_names *names, struct acme_cert *cert)
{
    struct chain chain = {.count = 0};

    *cert = (struct acme_cert){0};
    if (!read_chain(&chain, pem)) {
        cert->error = STR("there is no certificate in it");
        return E_INVALID;
    }
    cert->error = find_fault(arena, &chain, key, names);
    cert->not_before_ms = unix_ms(X509_get0_notBefore(chain.items[0]));
    cert->not_after_ms = unix_ms(X509_get0_notAfter(chain.items[0]));
    if (!cert->error.p && (cert->not_before_ms < 0 || cert->not_after_ms <= cert->not_before_ms))
        cert->error = STR("the times of the certificate cannot be read");
    read_fingerprint(chain.items[0], cert);
    cert->renewal_id = renewal_id(arena, chain.items[0]);
    for (int i = 0; i < chain.count; i++)
        X509_free(chain.items[i]);
    return cert->error.p ? E_INVALID : OK;
}
