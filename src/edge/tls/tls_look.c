/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/tls/tls_look.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tls/certificate.h"
#include "tls/tls_error.h"

struct tls_look {
    SSL *ssl;
    int fd;
    const char *words;
    struct tls_look_report *report; /* while hands are shaken */
};

/* --- the certificate */

static unsigned fault_of(int error)
{
    switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return TLS_LOOK_NAME;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return TLS_LOOK_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return TLS_LOOK_EARLY;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return TLS_LOOK_SELF_SIGNED;
    default:
        return TLS_LOOK_UNTRUSTED;
    }
}

/* Goes on whatever is wrong, so that all of it is found. */
static int on_verify(int is_good, X509_STORE_CTX *context)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_look_report *report = ((struct tls_look *)SSL_get_app_data(ssl))->report;
    int error = X509_STORE_CTX_get_error(context);

    if (is_good || !report)
        return 1;
    if (!(report->faults & (TLS_LOOK_SELF_SIGNED | TLS_LOOK_UNTRUSTED)) &&
        fault_of(error) >= TLS_LOOK_SELF_SIGNED)
        snprintf(report->words, sizeof(report->words), "%s", X509_verify_cert_error_string(error));
    report->faults |= fault_of(error);
    return 1;
}

static void note_names(const struct certificate *certificate, struct tls_look_report *report)
{
    size_t used = 0;

    for (uint32_t i = 0; i < certificate->name_count; i++) {
        struct str name = certificate->names[i];

        if (!report->name[0] || (report->name[0] == '*' && name.p[0] != '*'))
            snprintf(report->name, sizeof(report->name), "%.*s", STR_FMT(name));
        if (used + name.len + sizeof(", ...") < sizeof(report->names))
            used += (size_t)sprintf(report->names + used, "%s%.*s", i ? ", " : "", STR_FMT(name));
        else
            used += (size_t)sprintf(report->names + used, ", ...");
        if (used && report->names[used - 1] == '.')
            return;
    }
}

static void note_certificate(SSL *ssl, struct tls_look_report *report)
{
    X509 *leaf = SSL_get1_peer_certificate(ssl);
    EVP_PKEY *key = leaf ? X509_get_pubkey(leaf) : NULL;
    struct certificate_error error;
    struct certificate *certificate;

    if (!key) {
        X509_free(leaf);
        return;
    }
    certificate = certificate_wrap(leaf, NULL, key, &error); // its own half of the pair will do
    if (certificate) {
        note_names(certificate, report);
        snprintf(report->issuer, sizeof(report->issuer), "%.*s", STR_FMT(certificate->issuer));
        report->not_before_s = certificate->not_before_s;
        report->not_after_s = certificate->not_after_s;
    }
    certificate_free(&certificate);
}

static void note_alpn(SSL *ssl, struct tls_look_report *report)
{
    const unsigned char *name = NULL;
    unsigned len = 0;

    SSL_get0_alpn_selected(ssl, &name, &len);
    if (len && len < sizeof(report->alpn))
        memcpy(report->alpn, name, len);
}

/* --- waiting */

/* What a call that returned `done` waits for, until then; false: nothing, or the time is up. */
static bool wait_for(struct tls_look *look, int done, uint64_t end_us)
{
    struct pollfd poll_one = {.fd = look->fd};
    int error = SSL_get_error(look->ssl, done);
    uint64_t now_us = clock_us();

    look->words = NULL;
    if (error == SSL_ERROR_SSL)
        look->words = tls_error_take();
    tls_error_drop();
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        if (!look->words)
            look->words = "it was closed";
        return false;
    }
    poll_one.events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    return now_us < end_us && poll(&poll_one, 1, (int)((end_us - now_us) / 1000) + 1) > 0;
}

static uint64_t end_of(uint32_t timeout_ms)
{
    return clock_us() + (uint64_t)timeout_ms * 1000;
}

/* An alert, or anything else past the first record, is TLS. */
static bool has_spoken(SSL *ssl)
{
    return SSL_get_state(ssl) != TLS_ST_CW_CLNT_HELLO && SSL_get_state(ssl) != TLS_ST_BEFORE;
}

static bool is_alert(const char *words)
{
    return words && strstr(words, "alert") != NULL;
}

static bool shake(struct tls_look *look, uint32_t timeout_ms)
{
    uint64_t end_us = end_of(timeout_ms);
    int done;

    while ((done = SSL_do_handshake(look->ssl)) != 1)
        if (!wait_for(look, done, end_us))
            return false;
    return true;
}

struct tls_look *tls_look_open(int fd, const struct tls_client *client, struct str host,
                               uint32_t timeout_ms, struct tls_look_report *report)
{
    struct tls_look *look = calloc(1, sizeof(*look));

    *report = (struct tls_look_report){0};
    if (look)
        *look = (struct tls_look){.ssl = tls_client_ssl(client, host), .fd = fd, .report = report};
    if (!look || !look->ssl || SSL_set_fd(look->ssl, fd) != 1) {
        tls_look_close(&look);
        return NULL;
    }
    if (SSL_get_verify_mode(look->ssl) != SSL_VERIFY_NONE)
        SSL_set_verify(look->ssl, SSL_VERIFY_PEER, on_verify);
    SSL_set_app_data(look->ssl, look);
    report->is_shaken = shake(look, timeout_ms);
    report->is_tls = report->is_shaken || is_alert(look->words) || has_spoken(look->ssl);
    look->report = NULL;
    note_certificate(look->ssl, report);
    if (report->is_shaken) {
        note_alpn(look->ssl, report);
        return look;
    }
    snprintf(report->words, sizeof(report->words), "%s",
             look->words ? look->words : "it did not end in time");
    tls_look_close(&look);
    return NULL;
}

ssize_t tls_look_read(struct tls_look *look, char *to, size_t size, uint32_t timeout_ms)
{
    uint64_t end_us = end_of(timeout_ms);
    int done;

    while ((done = SSL_read(look->ssl, to, (int)size)) <= 0)
        if (!wait_for(look, done, end_us))
            return look->words ? 0 : -1;
    return done;
}

bool tls_look_write(struct tls_look *look, struct str bytes, uint32_t timeout_ms)
{
    uint64_t end_us = end_of(timeout_ms);
    int done;

    while (bytes.len) {
        done = SSL_write(look->ssl, bytes.p, (int)bytes.len);
        if (done <= 0 && !wait_for(look, done, end_us))
            return false;
        if (done > 0)
            bytes = (struct str){bytes.p + done, bytes.len - (size_t)done};
    }
    return true;
}

const char *tls_look_words(const struct tls_look *look)
{
    return look->words ? look->words : "";
}

void tls_look_close(struct tls_look **look)
{
    struct tls_look *gone = *look;

    *look = NULL;
    if (!gone)
        return;
    SSL_free(gone->ssl);
    tls_error_drop();
    free(gone);
}
