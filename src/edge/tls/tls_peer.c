/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/tls/tls_peer.h"

#include <openssl/asn1.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "tls/tls_error.h"

enum { ARENA_MAX = 64 * 1024, NAME_MAX_LEN = 1024, NAMES_MAX = 256 };

struct tls_peer {
    struct arena arena;
    struct peer_cert cert;
    unsigned char trust[TLS_TRUST_DIGEST]; /* by whom it was verified last */
    bool is_there, is_trusted;
};

/* --- names */

/* No name has controls in it, least of all a NUL. */
static bool is_printable(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f)
            return false;
    return name.len > 0 && name.len <= NAME_MAX_LEN;
}

/* Keeps a name; one that is none is passed over. False: memory. */
static bool keep(struct tls_peer *peer, enum peer_name kind, struct str name)
{
    struct peer_names *names = &peer->cert.names[kind];
    char *copy;

    if (!is_printable(name))
        return true;
    copy = arena_text(&peer->arena, name.len);
    if (!copy)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i];

        copy[i] = kind == PEER_DNS && c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    names->items[names->count++] = (struct str){copy, name.len};
    return true;
}

static struct str text_of(const ASN1_STRING *string)
{
    return (struct str){(const char *)ASN1_STRING_get0_data(string),
                        (size_t)ASN1_STRING_length(string)};
}

static bool make_room(struct tls_peer *peer, enum peer_name kind, size_t count)
{
    struct peer_names *names = &peer->cert.names[kind];

    names->items = arena_zero(&peer->arena, count, sizeof(*names->items));
    return names->items != NULL;
}

/* Two common names would be two persons. */
static bool read_common_name(struct tls_peer *peer, const X509 *x509)
{
    const X509_NAME *subject = X509_get_subject_name(x509);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1), len;
    unsigned char *text = NULL;
    bool is_good;

    if (!make_room(peer, PEER_CN, 1))
        return false;
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
        return true;
    len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    is_good = len <= 0 || keep(peer, PEER_CN, (struct str){(char *)text, (size_t)len});
    OPENSSL_free(text);
    return is_good;
}

static bool read_name(struct tls_peer *peer, const GENERAL_NAME *name)
{
    switch (name->type) {
    case GEN_DNS:
        return keep(peer, PEER_DNS, text_of(name->d.dNSName));
    case GEN_URI:
        return keep(peer, PEER_URI, text_of(name->d.uniformResourceIdentifier));
    case GEN_EMAIL:
        return keep(peer, PEER_EMAIL, text_of(name->d.rfc822Name));
    default:
        return true;
    }
}

static bool read_other_names(struct tls_peer *peer, const X509 *x509)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    int count = all ? sk_GENERAL_NAME_num(all) : 0;
    bool is_good = count <= NAMES_MAX;

    for (unsigned kind = PEER_DNS; is_good && kind < PEER_NAME_COUNT; kind++)
        is_good = make_room(peer, kind, (size_t)count);
    for (int i = 0; is_good && i < count; i++)
        is_good = read_name(peer, sk_GENERAL_NAME_value(all, i));
    GENERAL_NAMES_free(all);
    return is_good;
}

/* --- the rest */

static bool read_end(struct tls_peer *peer, const X509 *x509)
{
    struct tm tm;
    time_t end;

    if (!ASN1_TIME_to_tm(X509_get0_notAfter(x509), &tm))
        return false;
    end = timegm(&tm);
    peer->cert.not_after_ms = end > 0 ? (uint64_t)end * 1000 : 0;
    return true;
}

struct tls_peer *tls_peer_new(const struct tls_link *link, const struct tls_server *server)
{
    struct tls_peer *peer = calloc(1, sizeof(*peer));
    const X509 *x509 = SSL_get0_peer_certificate(link->ssl);

    if (!peer)
        return NULL;
    arena_init(&peer->arena, NULL, ARENA_MAX);
    memcpy(peer->trust, tls_server_trust(server), TLS_TRUST_DIGEST);
    peer->is_trusted = true;
    if (x509 && SSL_get_verify_result(link->ssl) == X509_V_OK)
        peer->is_there = X509_digest(x509, EVP_sha256(), peer->cert.print, NULL) &&
                         read_end(peer, x509) && read_common_name(peer, x509) &&
                         read_other_names(peer, x509);
    tls_error_drop();
    return peer;
}

void tls_peer_free(struct tls_peer **peer)
{
    if (*peer)
        arena_reset(&(*peer)->arena);
    free(*peer);
    *peer = NULL;
}

/* A resumed session has the certificate without those between it and the root. */
static bool is_verified(const struct tls_link *link, const struct tls_server *server)
{
    X509_STORE *store = SSL_CTX_get_cert_store(tls_server_context(server));
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    bool is_good = context &&
                   X509_STORE_CTX_init(context, store, SSL_get0_peer_certificate(link->ssl),
                                       SSL_get_peer_cert_chain(link->ssl)) &&
                   X509_STORE_CTX_set_default(context, "ssl_client") &&
                   X509_verify_cert(context) == 1;

    X509_STORE_CTX_free(context);
    tls_error_drop();
    return is_good;
}

void tls_peer_look(struct tls_peer *peer, const struct tls_link *link, const struct tls_server *now)
{
    static const unsigned char none[TLS_TRUST_DIGEST];
    const unsigned char *trust = now ? tls_server_trust(now) : none;

    if (!peer->is_there || !memcmp(peer->trust, trust, TLS_TRUST_DIGEST))
        return;
    memcpy(peer->trust, trust, TLS_TRUST_DIGEST);
    peer->is_trusted = now && is_verified(link, now);
}

const struct peer_cert *tls_peer_cert(const struct tls_peer *peer)
{
    return peer->is_there && peer->is_trusted ? &peer->cert : NULL;
}
