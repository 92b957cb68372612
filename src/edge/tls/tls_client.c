/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/tls/tls_client.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls/tls_context.h"
#include "tls/tls_error.h"
#include "edge/tls/tls_trust.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { NAME_MAX_LEN = 255 };

struct tls_client {
    uint32_t refs; /* atomic */
    SSL_CTX *context;
    char *name; /* that targets are known by; NULL: each by its host */
    uint64_t identity;
};

void tls_client_ref(struct tls_client *client)
{
    __atomic_fetch_add(&client->refs, 1, __ATOMIC_RELAXED);
}

void tls_client_unref(struct tls_client **client)
{
    struct tls_client *gone = *client;

    *client = NULL;
    if (!gone || __atomic_sub_fetch(&gone->refs, 1, __ATOMIC_ACQ_REL))
        return;
    SSL_CTX_free(gone->context);
    free(gone->name);
    free(gone);
}

uint64_t tls_client_identity(const struct tls_client *client)
{
    return client->identity;
}

static uint64_t identify(const struct conf_target_tls *tls)
{
    const struct str texts[] = {tls->ca.s, tls->name.s, tls->cert.s, tls->key.s};
    uint64_t hash = tls->verify;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        hash = XXH3_64bits_withSeed(texts[i].p ? texts[i].p : "", texts[i].len, hash);
    return hash | UINT64_C(1) << 63;
}

static bool is_word(struct str s, const char *word)
{
    return s.len == strlen(word) && !memcmp(s.p, word, s.len);
}

static bool trust(SSL_CTX *context, const struct conf_target_tls *tls, X509_STORE *system,
                  struct diag *diag)
{
    struct tls_trust from = {.store = SSL_CTX_get_cert_store(context)};
    struct certificate_error error;

    SSL_CTX_set_verify(context, tls->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (!tls->verify)
        return true;
    if (tls_trust_is_system(tls->ca.s)) {
        if (system)
            SSL_CTX_set1_cert_store(context, system);
        return system != NULL;
    }
    if (tls_trust_load(&from, tls->ca.s.p, &error))
        return true;
    diag_error(diag, tls->ca.at, "%s", error.text);
    return false;
}

static bool show_own(SSL_CTX *context, const struct conf_target_tls *tls, struct diag *diag)
{
    struct certificate_error error;
    struct certificate *own;
    bool is_good;

    if (!tls->cert.s.len)
        return true;
    own = certificate_load(tls->cert.s.p, tls->key.s.p, &error);
    if (!own) {
        diag_error(diag, error.is_key ? tls->key.at : tls->cert.at, "%s", error.text);
        return false;
    }
    is_good = tls_context_use(context, own);
    certificate_free(&own);
    return is_good;
}

static bool offer(SSL_CTX *context, enum conf_protocol protocol)
{
    static const struct str lists[] = {
        [CONF_HTTP1] = STR_INIT("\x08http/1.1"),
        [CONF_H2] = STR_INIT("\x02h2"),
        [CONF_PROTOCOL_AUTO] = STR_INIT("\x02h2\x08http/1.1"),
    };
    struct str list = protocol == CONF_NO_PROTOCOL ? STR_NONE : lists[protocol];

    return !list.len ||
           !SSL_CTX_set_alpn_protos(context, (const unsigned char *)list.p, (unsigned)list.len);
}

struct tls_client *tls_client_new(const struct conf_service *service, X509_STORE *system,
                                  struct diag *diag)
{
    struct tls_client *client = calloc(1, sizeof(*client));
    const struct conf_target_tls *tls = &service->tls;
    unsigned errors = diag->errors;
    bool is_good;

    if (!client)
        return NULL;
    client->refs = 1;
    client->identity = identify(tls);
    tls_error_drop();
    client->context = tls_context_new(false, CONF_TLS_1_2);
    is_good = client->context && trust(client->context, tls, system, diag) &&
              show_own(client->context, tls, diag) && offer(client->context, service->protocol);
    if (is_good && !is_word(tls->name.s, "auto")) {
        client->name = strndup(tls->name.s.p, tls->name.s.len);
        is_good = client->name != NULL;
    }
    if (is_good) {
        SSL_CTX_set_session_cache_mode(client->context,
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        tls_error_drop();
        return client;
    }
    if (diag->errors == errors)
        diag_error(diag, tls->at, "TLS cannot be set up: %s", tls_error_take());
    tls_error_drop();
    tls_client_unref(&client);
    return NULL;
}

/* An address is checked as one, and is no SNI (RFC 6066 3). A target without a name is checked
 * against one that no certificate has, so that nothing is taken for checked. */
static bool set_name(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);

    if (!*name || *name == '/')
        return SSL_set1_host(ssl, "target.invalid") == 1;
    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, name) == 1)
        return true;
    tls_error_drop();
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

SSL *tls_client_ssl(const struct tls_client *client, struct str host)
{
    char name[NAME_MAX_LEN + 1] = "";
    SSL *ssl = SSL_new(client->context);

    if (host.len <= NAME_MAX_LEN && host.len)
        memcpy(name, host.p, host.len);
    if (host.len <= NAME_MAX_LEN)
        name[host.len] = '\0';
    if (ssl && set_name(ssl, client->name ? client->name : name)) {
        SSL_set_connect_state(ssl);
        return ssl;
    }
    SSL_free(ssl);
    tls_error_drop();
    return NULL;
}
