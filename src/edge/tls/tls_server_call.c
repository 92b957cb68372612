/* SPDX-License-Identifier: Apache-2.0
 *
 * What OpenSSL calls during a handshake: which certificate for the name that is asked for, which
 * protocol, which key for a session ticket. On the worker's thread; nothing here blocks, and
 * nothing is written but to the connection.
 */
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <string.h>

#include "tls/tls_error.h"
#include "edge/tls/tls_server_impl.h"

enum { NAME_MAX_LEN = 255, IV_SIZE = 16 };

static const unsigned char acme_protocol[] = "\x0a"
                                             "acme-tls/1";
static const unsigned char http2_protocol[] = "\x02"
                                              "h2";
static const unsigned char http1_protocol[] = "\x08"
                                              "http/1.1";

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* --- the name */

/* RFC 6066 3: a list of one host name. Lower case into `name`; empty: none, or malformed, which
 * OpenSSL refuses by itself a moment later. */
static struct str read_name(SSL *ssl, char name[NAME_MAX_LEN])
{
    const unsigned char *p;
    size_t len, name_len;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &len) != 1 || len < 5)
        return STR("");
    name_len = (size_t)p[3] << 8 | p[4];
    if (p[2] != TLSEXT_NAMETYPE_host_name || name_len != len - 5 || name_len > NAME_MAX_LEN)
        return STR("");
    for (size_t i = 0; i < name_len; i++)
        name[i] = lower((char)p[5 + i]);
    return (struct str){name, name_len};
}

/* RFC 8737 3: the challenge's protocol, and no other, is asked for. */
static bool is_challenge(SSL *ssl)
{
    const unsigned char *p;
    size_t len;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &p,
                                  &len) != 1)
        return false;
    return len == sizeof(acme_protocol) + 1 && !memcmp(p + 2, acme_protocol, len - 2);
}

const struct tls_names_set *tls_server_call_choose(const struct tls_server *server, struct str name)
{
    const struct tls_names_set *set = tls_names_find(&server->names, name);

    if (set)
        return set;
    return name.len && server->rejects_unknown ? NULL : &server->standard;
}

static bool show(SSL *ssl, const struct tls_names_set *set)
{
    SSL_certs_clear(ssl);
    for (unsigned i = 0; i < CERTIFICATE_KINDS; i++) {
        const struct certificate *one = set->by_kind[i];

        if (one && SSL_use_cert_and_key(ssl, one->leaf, one->key, one->chain, 1) != 1)
            return false;
    }
    return true;
}

static int on_hello(SSL *ssl, int *alert, void *argument)
{
    const struct tls_server *server = argument;
    const struct tls_names_set *set;
    char text[NAME_MAX_LEN];
    struct str name = read_name(ssl, text);

    if (is_challenge(ssl) && tls_challenges_show(server->challenges, name, ssl))
        return SSL_CLIENT_HELLO_SUCCESS;
    set = tls_server_call_choose(server, name);
    if (!set) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (!memcmp(set, &server->standard, sizeof(*set)) || show(ssl, set))
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

/* The name was looked at already: said yes to, it stays with the session. */
static int on_name(SSL *ssl, int *alert, void *argument)
{
    (void)ssl;
    (void)alert;
    (void)argument;
    return SSL_TLSEXT_ERR_OK;
}

/* --- the protocol (RFC 7301) */

/* `list` has been checked: length, bytes, length, bytes. */
static const unsigned char *find_protocol(const unsigned char *list, unsigned len,
                                          const unsigned char *wanted)
{
    for (unsigned i = 0; i < len; i += 1U + list[i])
        if (list[i] == wanted[0] && !memcmp(list + i + 1, wanted + 1, wanted[0]))
            return list + i;
    return NULL;
}

static const unsigned char *pick(const struct tls_server *server, const unsigned char *in,
                                 unsigned len)
{
    const unsigned char *found = NULL;

    if (server->http2)
        found = find_protocol(in, len, http2_protocol);
    return found ? found : find_protocol(in, len, http1_protocol);
}

static int on_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned len, void *argument)
{
    const struct tls_server *server = argument;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const unsigned char *found = NULL;
    char text[NAME_MAX_LEN];
    size_t name_len = name ? strlen(name) : 0;

    if (len == sizeof(acme_protocol) - 1 && !memcmp(in, acme_protocol, len) && name_len &&
        name_len <= sizeof(text)) {
        for (size_t i = 0; i < name_len; i++)
            text[i] = lower(name[i]);
        if (tls_challenges_has(server->challenges, (struct str){text, name_len}))
            found = in;
    } else {
        found = pick(server, in, len);
    }
    if (!found)
        return SSL_TLSEXT_ERR_ALERT_FATAL; // no_application_protocol, RFC 7301 3.2
    *out = found + 1;
    *out_len = found[0];
    return SSL_TLSEXT_ERR_OK;
}

/* --- tickets (RFC 5077 4) */

static bool set_mac(EVP_MAC_CTX *mac, struct tls_tickets_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

struct seal {
    unsigned char *name, *iv;
    EVP_CIPHER_CTX *cipher;
    EVP_MAC_CTX *mac;
};

/* 1: sealed; 0: no ticket; -1: the connection fails. */
static int seal(const struct tls_server *server, const struct seal *to, struct tls_tickets_key *key)
{
    if (!tls_tickets_current(server->tickets, key))
        return 0;
    memcpy(to->name, key->name, sizeof(key->name));
    if (RAND_bytes(to->iv, IV_SIZE) != 1 ||
        !EVP_EncryptInit_ex2(to->cipher, server->cipher, key->cipher, to->iv, NULL) ||
        !set_mac(to->mac, key))
        return -1;
    return 1;
}

/* 1: opened; 2: opened, and to be sealed anew; 0: unknown, so a full handshake. */
static int unseal(const struct tls_server *server, const struct seal *from,
                  struct tls_tickets_key *key)
{
    enum tls_tickets_age age = tls_tickets_find(server->tickets, from->name, key);

    if (age == TLS_TICKETS_UNKNOWN)
        return 0;
    if (!EVP_DecryptInit_ex2(from->cipher, server->cipher, key->cipher, from->iv, NULL) ||
        !set_mac(from->mac, key))
        return -1;
    return age == TLS_TICKETS_OLD ? 2 : 1;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int is_sealing)
{
    const struct tls_server *server = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct seal with = {name, iv, cipher, mac};
    struct tls_tickets_key key;
    int result;

    result = is_sealing ? seal(server, &with, &key) : unseal(server, &with, &key);
    OPENSSL_cleanse(&key, sizeof(key));
    if (result == 1 && !is_sealing && SSL_version(ssl) == TLS1_3_VERSION)
        result = 2; // RFC 8446 C.4: each is used once, so the next one comes with it
    return result;
}

void tls_server_call_install(struct tls_server *server)
{
    SSL_CTX *context = server->context;

    SSL_CTX_set_app_data(context, server);
    SSL_CTX_set_client_hello_cb(context, on_hello, server);
    SSL_CTX_set_tlsext_servername_callback(context, on_name);
    SSL_CTX_set_alpn_select_cb(context, on_protocol, server);
    if (server->tickets)
        SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
}
