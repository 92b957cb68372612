/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/rest_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

enum { IN_MAX = 256 * 1024 }; /* four reads that wait for their turn */

struct rest_tls {
    SSL *ssl;
    BIO *in, *out; /* the SSL's */
    bool is_open, got_bye, said_bye;
};

struct rest_tls *rest_tls_new(const struct rest_cert *cert)
{
    SSL_CTX *context = rest_cert_context(cert);
    struct rest_tls *tls = context ? calloc(1, sizeof(*tls)) : NULL;

    if (!tls)
        return NULL;
    tls->ssl = SSL_new(context);
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    if (!tls->ssl || !tls->in || !tls->out) {
        BIO_free(tls->in);
        BIO_free(tls->out);
        SSL_free(tls->ssl);
        free(tls);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    SSL_set_accept_state(tls->ssl);
    return tls;
}

void rest_tls_free(struct rest_tls **tls)
{
    struct rest_tls *gone = *tls;

    *tls = NULL;
    if (!gone)
        return;
    SSL_free(gone->ssl);
    free(gone);
}

enum status rest_tls_feed(struct rest_tls *tls, struct str bytes)
{
    size_t written;

    if (BIO_ctrl_pending(tls->in) + bytes.len > IN_MAX)
        return E_INVALID;
    return BIO_write_ex(tls->in, bytes.p, bytes.len, &written) && written == bytes.len ? OK
                                                                                       : E_NOMEM;
}

enum status rest_tls_shake(struct rest_tls *tls)
{
    int done, error;

    ERR_clear_error();
    done = SSL_do_handshake(tls->ssl);
    if (done == 1) {
        tls->is_open = true;
        return OK;
    }
    error = SSL_get_error(tls->ssl, done);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ ? E_AGAIN : E_PROTOCOL;
}

ssize_t rest_tls_read(struct rest_tls *tls, char *to, size_t size)
{
    size_t filled = 0, n;
    int error = SSL_ERROR_NONE;

    ERR_clear_error();
    while (filled < size && SSL_read_ex(tls->ssl, to + filled, size - filled, &n))
        filled += n;
    if (filled < size)
        error = SSL_get_error(tls->ssl, 0);
    ERR_clear_error();
    tls->got_bye |= error == SSL_ERROR_ZERO_RETURN;
    if (filled)
        return (ssize_t)filled; // what was wrong behind it shows again
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

bool rest_tls_got_bye(const struct rest_tls *tls)
{
    return tls->got_bye;
}

enum status rest_tls_write(struct rest_tls *tls, struct str bytes)
{
    size_t written;

    ERR_clear_error();
    while (bytes.len) {
        if (!SSL_write_ex(tls->ssl, bytes.p, bytes.len, &written)) {
            ERR_clear_error();
            return E_IO;
        }
        bytes.p += written;
        bytes.len -= written;
    }
    return OK;
}

void rest_tls_bye(struct rest_tls *tls)
{
    if (tls->said_bye || !tls->is_open)
        return;
    tls->said_bye = true;
    if (SSL_shutdown(tls->ssl) < 0)
        ERR_clear_error();
}

size_t rest_tls_pending(const struct rest_tls *tls)
{
    return BIO_ctrl_pending(tls->out);
}

enum status rest_tls_take(struct rest_tls *tls, struct buf *to, struct slab *slab)
{
    size_t pending = BIO_ctrl_pending(tls->out), n = 0;
    enum status status = buf_reserve(to, slab, to->len + pending);

    if (status || !pending)
        return status;
    if (!BIO_read_ex(tls->out, to->p + to->len, pending, &n) || n != pending)
        return E_IO;
    to->len += (uint32_t)n;
    return OK;
}
