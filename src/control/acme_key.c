/* SPDX-License-Identifier: Apache-2.0 */
#include "control/acme_key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

enum { PEM_MAX = 16 * 1024 };

struct evp_pkey_st *acme_key_new(void)
{
    return EVP_EC_gen("P-256");
}

static bool is_p256(const EVP_PKEY *key)
{
    char group[32];
    size_t len;

    return EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group),
                                          &len) == 1 &&
           !strcmp(group, "prime256v1");
}

/* A key that is sealed by a passphrase has nobody to ask for it. */
static int no_passphrase(char *out, int size, int is_writing, void *owner)
{
    (void)out;
    (void)size;
    (void)is_writing;
    (void)owner;
    return -1;
}

struct evp_pkey_st *acme_key_read(struct str pem)
{
    BIO *in = pem.len && pem.len < PEM_MAX ? BIO_new_mem_buf(pem.p, (int)pem.len) : NULL;
    EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;

    BIO_free(in);
    if (key && !is_p256(key))
        acme_key_free(&key);
    return key;
}

struct str acme_key_pem(const struct evp_pkey_st *key, struct arena *arena)
{
    BIO *out = BIO_new(BIO_s_mem());
    struct str pem = STR_NONE;
    char *p;

    if (out && PEM_write_bio_PKCS8PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1) {
        long len = BIO_get_mem_data(out, &p);

        pem = arena_copy(arena, (struct str){p, (size_t)len});
    }
    BIO_free(out);
    return pem;
}

void acme_key_free(struct evp_pkey_st **key)
{
    EVP_PKEY_free(*key);
    *key = NULL;
}
