/* SPDX-License-Identifier: Apache-2.0
 *
 * A BIO whose reading end is the slice that the socket's read filled and whose writing end is an
 * out queue, so that OpenSSL copies each byte once each way and makes no system call.
 */
#include "edge/tls/tls_link.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

enum { VECTORS = 16 };

/* --- the BIO */

static int bio_read(BIO *bio, char *to, size_t size, size_t *taken)
{
    struct tls_link *link = BIO_get_data(bio);
    size_t n = size < link->in.len ? size : link->in.len;

    BIO_clear_retry_flags(bio);
    *taken = n;
    if (!n) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(to, link->in.p, n);
    link->in.p += n;
    link->in.len -= n;
    return 1;
}

static int bio_write(BIO *bio, const char *from, size_t size, size_t *written)
{
    struct tls_link *link = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    *written = 0;
    if (!link->out)
        link->out = outq_take(link->outqs);
    if (!link->out || outq_put(link->out, (struct str){from, size}))
        return 0;
    *written = size;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

enum status tls_engine_init(struct tls_engine *engine)
{
    *engine = (struct tls_engine){.shakes = TLS_SHAKES_A_TURN};
    engine->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sluice");
    engine->plain = malloc(TLS_PLAIN_BUFFER);
    if (engine->method && engine->plain && BIO_meth_set_read_ex(engine->method, bio_read) &&
        BIO_meth_set_write_ex(engine->method, bio_write) &&
        BIO_meth_set_ctrl(engine->method, bio_control) &&
        BIO_meth_set_create(engine->method, bio_create))
        return OK;
    tls_engine_fini(engine);
    return E_NOMEM;
}

void tls_engine_fini(struct tls_engine *engine)
{
    BIO_meth_free(engine->method);
    free(engine->plain);
    *engine = (struct tls_engine){0};
}

/* --- a link's life */

enum status tls_link_init(struct tls_link *link, const struct tls_engine *engine, SSL *ssl,
                          bool is_server, struct slab *outqs)
{
    BIO *bio = BIO_new(engine->method);

    *link = (struct tls_link){.outqs = outqs, .is_server = is_server};
    if (!bio) {
        SSL_free(ssl);
        return E_NOMEM;
    }
    BIO_set_data(bio, link);
    link->ssl = ssl;
    SSL_set_bio(ssl, bio, bio);
    if (is_server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    return OK;
}

void tls_link_fini(struct tls_link *link)
{
    SSL_free(link->ssl);
    outq_give(&link->out);
    *link = (struct tls_link){0};
}

/* --- the handshake */

static enum reason fault_of(const struct tls_link *link)
{
    if (link->is_server)
        return REASON_CLIENT_GONE;
    return SSL_get_verify_result(link->ssl) != X509_V_OK ? REASON_TLS_CERTIFICATE_ERROR
                                                         : REASON_TLS_PROTOCOL_ERROR;
}

/* What the certificate lacks, or what broke. */
static const char *error_of(const struct tls_link *link)
{
    long checked = SSL_get_verify_result(link->ssl);

    if (!link->is_server && checked != X509_V_OK)
        return X509_verify_cert_error_string(checked);
    return ERR_reason_error_string(ERR_peek_last_error());
}

enum status tls_link_shake(struct tls_link *link, struct str *in)
{
    int done, error;

    ERR_clear_error();
    link->in = *in;
    done = SSL_do_handshake(link->ssl);
    error = done == 1 ? SSL_ERROR_NONE : SSL_get_error(link->ssl, done);
    *in = link->in;
    link->in = STR_NONE;
    link->is_begun = true;
    if (done == 1) {
        link->is_open = true;
        return OK;
    }
    if (error == SSL_ERROR_WANT_READ)
        return E_AGAIN;
    link->fault = fault_of(link);
    link->error = error_of(link);
    ERR_clear_error();
    return E_PROTOCOL;
}

/* --- bytes */

ssize_t tls_link_read(struct tls_link *link, struct str *in, char *to, size_t size)
{
    size_t filled = 0, n;
    int error = SSL_ERROR_NONE;

    link->in = *in;
    link->is_slim = false;
    while (filled < size && SSL_read_ex(link->ssl, to + filled, size - filled, &n))
        filled += n;
    if (filled < size) {
        error = SSL_get_error(link->ssl, 0);
        if (error != SSL_ERROR_WANT_READ) {
            link->error = error_of(link);
            ERR_clear_error();
        }
    }
    *in = link->in;
    link->in = STR_NONE;
    link->got_bye |= error == SSL_ERROR_ZERO_RETURN;
    if (filled)
        return (ssize_t)filled; // what was wrong behind it shows again
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

enum status tls_link_write(struct tls_link *link, struct outq *plain)
{
    struct iovec vectors[VECTORS];

    link->is_slim = false;
    while (outq_pending(plain) && outq_pending(link->out) < TLS_OUT_MAX) {
        unsigned count = outq_vectors(plain, vectors, VECTORS);

        for (unsigned i = 0; i < count && outq_pending(link->out) < TLS_OUT_MAX; i++) {
            size_t written;

            if (!SSL_write_ex(link->ssl, vectors[i].iov_base, vectors[i].iov_len, &written)) {
                ERR_clear_error();
                return E_IO;
            }
            outq_sent(plain, written);
            if (written < vectors[i].iov_len)
                break;
        }
    }
    return OK;
}

void tls_link_bye(struct tls_link *link)
{
    if (link->said_bye)
        return;
    link->said_bye = true;
    if (link->is_open && SSL_shutdown(link->ssl) < 0)
        ERR_clear_error();
}

void tls_link_slim(struct tls_link *link)
{
    if (link->is_open && !link->is_slim)
        link->is_slim = SSL_free_buffers(link->ssl);
}

/* --- what was agreed on */

struct str tls_link_alpn(const struct tls_link *link)
{
    const unsigned char *name;
    unsigned len;

    SSL_get0_alpn_selected(link->ssl, &name, &len);
    return len ? (struct str){(const char *)name, len} : STR("");
}

struct str tls_link_name(const struct tls_link *link)
{
    const char *name = SSL_get_servername(link->ssl, TLSEXT_NAMETYPE_host_name);

    return name ? (struct str){name, strlen(name)} : STR_NONE;
}

size_t tls_link_subject(const struct tls_link *link, char *text, size_t size)
{
    X509 *peer = SSL_get0_peer_certificate(link->ssl);
    BIO *bio = peer ? BIO_new(BIO_s_mem()) : NULL;
    int n = 0;

    if (bio && X509_NAME_print_ex(bio, X509_get_subject_name(peer), 0, XN_FLAG_RFC2253) > 0)
        n = BIO_read(bio, text, (int)size);
    BIO_free(bio);
    return n > 0 ? (size_t)n : 0;
}

SSL_SESSION *tls_link_session(const struct tls_link *link)
{
    SSL_SESSION *session = SSL_get1_session(link->ssl);

    if (session && SSL_SESSION_is_resumable(session))
        return session;
    SSL_SESSION_free(session);
    return NULL;
}
