/* SPDX-License-Identifier: Apache-2.0
 *
 * A certificate with its key and what it says: read from PEM files, from memory, or made here
 * (self-signed, and for a TLS-ALPN-01 challenge). Immutable; a copy shares OpenSSL's counted
 * objects, so copies may be used and freed by different threads. Reading blocks: not on a loop.
 */
#ifndef TLS_CERTIFICATE_H
#define TLS_CERTIFICATE_H

#include <openssl/ssl.h>

#include "base/arena.h"

/* Key types that stand side by side for one name. */
enum certificate_kind {
    CERTIFICATE_EC,
    CERTIFICATE_RSA,
    CERTIFICATE_ED25519,
    CERTIFICATE_KINDS,
};

/* Whether a clock is within its dates. */
enum certificate_age { CERTIFICATE_VALID, CERTIFICATE_EARLY, CERTIFICATE_EXPIRED };

struct certificate {
    X509 *leaf;
    STACK_OF(X509) * chain; /* above the leaf; may be empty */
    EVP_PKEY *key;
    enum certificate_kind kind;
    int64_t not_before_s, not_after_s; /* Unix time */
    struct str *names; /* DNS names in lower case, "*.x" among them, and addresses; terminated */
    uint32_t name_count;
    struct str issuer;    /* RFC 2253, ASCII */
    char fingerprint[65]; /* SHA-256 of the leaf, hexadecimal */
    struct arena arena;   /* of the texts */
};

/* Why there is none. */
struct certificate_error {
    bool is_key;    /* the key's file is to blame, not the certificate's */
    char text[320]; /* a sentence without full stop */
};

/* Each gives one that the caller frees, or NULL and fills `error`. Dates are not looked at. */
struct certificate *certificate_load(const char *cert_path, const char *key_path,
                                     struct certificate_error *error);
/* From PEM in memory: `chain` has the leaf first. */
struct certificate *certificate_parse(struct str chain, struct str key,
                                      struct certificate_error *error);
/* Signed by itself (P-256), from now until `days` from now. NULL: memory. */
struct certificate *certificate_self_signed(const struct str *names, uint32_t count, unsigned days);
/* What answers a TLS-ALPN-01 challenge (RFC 8737 3): for exactly `domain`, with the digest of
 * `answer`, the key authorization. NULL: memory. */
struct certificate *certificate_challenge(struct str domain, struct str answer);
/* The text of a regular file of at most 4 MiB, in `arena`; also for bundles of roots. */
bool certificate_read_file(const char *path, struct arena *arena, struct str *text,
                           struct certificate_error *error);
/* NULL: memory. */
struct certificate *certificate_copy(const struct certificate *certificate);
/* Takes over one reference of each object, also on failure; `chain` may be NULL. For
 * certificate_make.c. */
struct certificate *certificate_wrap(X509 *leaf, STACK_OF(X509) * chain, EVP_PKEY *key,
                                     struct certificate_error *error);
void certificate_free(struct certificate **certificate);

enum certificate_age certificate_age(const struct certificate *certificate, int64_t now_s);
/* Whether it is for `name` (lower case), by itself or by a wildcard for its first label. */
bool certificate_covers(const struct certificate *certificate, struct str name);
/* "ecdsa", "rsa", "ed25519". */
const char *certificate_kind_name(enum certificate_kind kind);

#endif
