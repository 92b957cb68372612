/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/rest_cert.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/random.h"
#include "tls/certificate.h"
#include "tls/tls_context.h"
#include "tls/tls_error.h"

enum { LOOK_TICKS = 2, DATE_SIZE = 32 }; /* seconds from one look at the files to the next */

/* What one look found; filled on a thread of the pool. */
struct look {
    uv_work_t work;
    struct rest_cert *cert;
    char *cert_path, *key_path;
    uint64_t built, seen; /* as the cert's */
    bool is_due;          /* reads, whatever the files look like */
    bool has_old;         /* one that is out of date does not take its place */
    uint64_t identity;
    bool has_read;
    struct certificate *certificate; /* NULL: it cannot be shown */
    SSL_CTX *context;
    struct certificate_error error;
};

struct rest_cert {
    uv_loop_t *loop;
    const char *who;
    char *cert_path, *key_path;
    SSL_CTX *context;
    struct certificate *certificate;                              /* of the context */
    char error[sizeof(((struct certificate_error *)NULL)->text)]; /* of the files as they are */
    uint64_t built, seen; /* identities of the files: as they were read, at the last look */
    struct look *look;    /* the one that is under way */
    unsigned ticks;
    bool is_due, is_over;
};

/* --- looking; any thread */

static void mix_file(uint64_t *identity, const char *path)
{
    struct stat file = {0};

    if (stat(path, &file))
        file = (struct stat){0};
    *identity = random_mix(*identity + 1 + file.st_ino) ^ (uint64_t)file.st_dev;
    *identity = random_mix(*identity + (uint64_t)file.st_size);
    *identity = random_mix(*identity + (uint64_t)file.st_mtim.tv_sec * 1000000000 +
                           (uint64_t)file.st_mtim.tv_nsec);
}

/* RFC 7301 3.2: HTTP/1.1 is all that is spoken here. */
static int on_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *owner)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;

    (void)ssl;
    (void)owner;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *make_context(const struct certificate *certificate, struct certificate_error *error)
{
    SSL_CTX *context = tls_context_new(true, CONF_TLS_1_2);

    if (!context || !tls_context_use(context, certificate)) {
        snprintf(error->text, sizeof(error->text), "OpenSSL does not take it: %s",
                 tls_error_take());
        SSL_CTX_free(context);
        return NULL;
    }
    // Few clients come here, and none so often that it would pay to resume its sessions.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_alpn_select_cb(context, on_protocol, NULL);
    return context;
}

static void read_pair(struct look *look)
{
    look->has_read = true;
    look->certificate = certificate_load(look->cert_path, look->key_path, &look->error);
    if (look->certificate && look->has_old &&
        certificate_age(look->certificate, (int64_t)time(NULL)) == CERTIFICATE_EXPIRED) {
        snprintf(look->error.text, sizeof(look->error.text),
                 "\"%.200s\": the certificate has expired", look->cert_path);
        certificate_free(&look->certificate);
    }
    look->context = look->certificate ? make_context(look->certificate, &look->error) : NULL;
    if (!look->context)
        certificate_free(&look->certificate);
}

/* A pair is two files, written one after the other: read when two looks saw the same. */
static void look_at_files(uv_work_t *work)
{
    struct look *look = work->data;

    mix_file(&look->identity, look->cert_path);
    mix_file(&look->identity, look->key_path);
    if (look->is_due || (look->identity != look->built && look->identity == look->seen))
        read_pair(look);
}

/* --- what came of it */

static void free_look(struct look *look)
{
    SSL_CTX_free(look->context);
    certificate_free(&look->certificate);
    free(look->cert_path);
    free(look->key_path);
    free(look);
}

static void forget(struct rest_cert *cert)
{
    SSL_CTX_free(cert->context);
    certificate_free(&cert->certificate);
    free(cert->cert_path);
    free(cert->key_path);
    free(cert);
}

/* Takes over what was read. */
static void adopt(struct rest_cert *cert, struct look *look)
{
    bool is_first = !cert->context;

    cert->built = look->identity;
    if (!look->context) {
        snprintf(cert->error, sizeof(cert->error), "%s", look->error.text);
        fprintf(stderr, "sluice: %s: the certificate of the admin port: %s%s\n", cert->who,
                cert->error, is_first ? "" : "; the old one goes on");
        return;
    }
    SSL_CTX_free(cert->context);
    certificate_free(&cert->certificate);
    cert->context = look->context;
    cert->certificate = look->certificate;
    look->context = NULL;
    look->certificate = NULL;
    cert->error[0] = '\0';
    if (!is_first)
        fprintf(stderr, "sluice: %s: the certificate of the admin port was read again\n",
                cert->who);
}

static bool is_of(const struct look *look, const struct rest_cert *cert)
{
    return !strcmp(look->cert_path, cert->cert_path) && !strcmp(look->key_path, cert->key_path);
}

static void on_looked(uv_work_t *work, int cancelled)
{
    struct look *look = work->data;
    struct rest_cert *cert = look->cert;
    bool is_current = !cancelled && is_of(look, cert);

    cert->look = NULL;
    if (is_current && !cert->is_over) {
        cert->seen = look->identity;
        if (look->has_read) {
            cert->is_due = false;
            adopt(cert, look);
        }
    }
    free_look(look);
    if (cert->is_over)
        forget(cert);
}

static struct look *make_look(struct rest_cert *cert)
{
    struct look *look = calloc(1, sizeof(*look));

    if (!look)
        return NULL;
    look->cert = cert;
    look->work.data = look;
    look->built = cert->built;
    look->seen = cert->seen;
    look->is_due = cert->is_due;
    look->has_old = cert->context != NULL;
    look->cert_path = strdup(cert->cert_path);
    look->key_path = strdup(cert->key_path);
    if (look->cert_path && look->key_path)
        return look;
    free_look(look);
    return NULL;
}

static void start_look(struct rest_cert *cert)
{
    struct look *look = cert->look ? NULL : make_look(cert);

    if (!look)
        return; // the next tick asks again
    cert->look = look;
    if (uv_queue_work(cert->loop, &look->work, look_at_files, on_looked))
        on_looked(&look->work, UV_ECANCELED);
}

static void look_now(struct rest_cert *cert)
{
    struct look *look = make_look(cert);

    if (!look)
        return;
    look_at_files(&look->work);
    cert->seen = look->identity;
    cert->is_due = false;
    adopt(cert, look);
    free_look(look);
}

/* --- for the server */

struct rest_cert *rest_cert_new(uv_loop_t *loop, const char *who)
{
    struct rest_cert *cert = calloc(1, sizeof(*cert));

    if (!cert)
        return NULL;
    cert->loop = loop;
    cert->who = who;
    cert->cert_path = strdup("");
    cert->key_path = strdup("");
    if (cert->cert_path && cert->key_path)
        return cert;
    forget(cert);
    return NULL;
}

void rest_cert_free(struct rest_cert **cert)
{
    struct rest_cert *gone = *cert;

    *cert = NULL;
    if (!gone)
        return;
    gone->is_over = true;
    if (!gone->look)
        forget(gone);
}

static bool is_text(const char *text, struct str s)
{
    return strlen(text) == s.len && !memcmp(text, s.p, s.len);
}

void rest_cert_use(struct rest_cert *cert, struct str cert_path, struct str key_path)
{
    char *first, *second;

    if (is_text(cert->cert_path, cert_path) && is_text(cert->key_path, key_path))
        return;
    first = strndup(cert_path.p, cert_path.len);
    second = strndup(key_path.p, key_path.len);
    if (!first || !second) {
        fprintf(stderr, "sluice: %s: out of memory: the certificate of the admin port stays\n",
                cert->who);
        free(first);
        free(second);
        return;
    }
    free(cert->cert_path);
    free(cert->key_path);
    cert->cert_path = first;
    cert->key_path = second;
    cert->is_due = true;
    if (cert->context)
        start_look(cert);
    else
        look_now(cert);
}

void rest_cert_tick(struct rest_cert *cert)
{
    if (cert->is_due || cert->seen != cert->built || ++cert->ticks % LOOK_TICKS == 0)
        start_look(cert);
}

SSL_CTX *rest_cert_context(const struct rest_cert *cert)
{
    return cert->context;
}

static json_t *date_json(int64_t unix_s)
{
    char text[DATE_SIZE] = "";
    time_t at = (time_t)unix_s;
    struct tm tm;

    if (gmtime_r(&at, &tm))
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_string(text);
}

json_t *rest_cert_json(const struct rest_cert *cert)
{
    const struct certificate *one = cert->certificate;
    json_t *json = json_object(), *names;

    if (*cert->error)
        json_object_set_new(json, "error", json_string(cert->error));
    if (!one)
        return json;
    names = json_array();
    for (uint32_t i = 0; i < one->name_count; i++)
        json_array_append_new(names, json_stringn(one->names[i].p, one->names[i].len));
    json_object_set_new(json, "names", names);
    json_object_set_new(json, "issuer", json_stringn(one->issuer.p, one->issuer.len));
    json_object_set_new(json, "not_after", date_json(one->not_after_s));
    json_object_set_new(json, "fingerprint", json_string(one->fingerprint));
    return json;
}
