/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/tls/tls_trust.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "tls/tls_error.h"

static bool add(struct tls_trust *trust, X509 *root)
{
    X509_NAME *name;

    if (trust->store && !X509_STORE_add_cert(trust->store, root))
        return false;
    if (!trust->names)
        return true;
    name = X509_NAME_dup(X509_get_subject_name(root));
    if (name && sk_X509_NAME_push(trust->names, name))
        return true;
    X509_NAME_free(name);
    return false;
}

/* How many were read; -1 when one of them could not be. */
static int read_all(struct tls_trust *trust, struct str text)
{
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.len);
    int count = 0;
    X509 *root;

    while (bio && count >= 0 && (root = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL))) {
        count = add(trust, root) ? count + 1 : -1;
        X509_free(root);
    }
    if (count >= 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        count = -1;
    BIO_free(bio);
    return count;
}

bool tls_trust_load(struct tls_trust *trust, const char *path, struct certificate_error *error)
{
    struct arena arena;
    struct str text;
    bool is_good;

    error->is_key = false;
    arena_init(&arena, NULL, 0);
    is_good = certificate_read_file(path, &arena, &text, error);
    if (is_good) {
        tls_error_drop();
        is_good = EVP_Digest(text.p, text.len, trust->digest, NULL, EVP_sha256(), NULL) &&
                  read_all(trust, text) > 0;
        if (!is_good)
            snprintf(error->text, sizeof(error->text),
                     "\"%.120s\": no roots in PEM can be read: %s", path, tls_error_take());
        tls_error_drop();
    }
    arena_reset(&arena);
    return is_good;
}

X509_STORE *tls_trust_system(void)
{
    X509_STORE *store = X509_STORE_new();

    if (store && X509_STORE_set_default_paths(store) == 1) {
        tls_error_drop(); // a machine without roots has an empty store
        return store;
    }
    X509_STORE_free(store);
    tls_error_drop();
    return NULL;
}

bool tls_trust_is_system(struct str ca)
{
    return ca.len == 6 && !memcmp(ca.p, "system", 6);
}
