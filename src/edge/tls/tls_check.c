/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/tls/tls_check.h"

#include <string.h>
#include <time.h>

#include "edge/tls/tls_trust.h"

enum { DATE_SIZE = 32 };

static const char *format_date(int64_t unix_s, char text[DATE_SIZE])
{
    time_t at = (time_t)unix_s;
    struct tm tm;

    if (!gmtime_r(&at, &tm) || !strftime(text, DATE_SIZE, "%Y-%m-%d %H:%M UTC", &tm))
        text[0] = '\0';
    return text;
}

static void check_pair(const struct conf_text *cert, const struct conf_text *key, struct diag *diag)
{
    struct certificate_error error;
    struct certificate *certificate;
    char date[DATE_SIZE];

    if (!cert->s.len || !key->s.len)
        return; // said already
    certificate = certificate_load(cert->s.p, key->s.p, &error);
    if (!certificate) {
        diag_error(diag, error.is_key ? key->at : cert->at, "%s", error.text);
        return;
    }
    switch (certificate_age(certificate, (int64_t)time(NULL))) {
    case CERTIFICATE_EXPIRED:
        diag_error(diag, cert->at, "the certificate expired on %s",
                   format_date(certificate->not_after_s, date));
        break;
    case CERTIFICATE_EARLY:
        diag_warn(diag, cert->at, "the certificate is not valid before %s",
                  format_date(certificate->not_before_s, date));
        break;
    case CERTIFICATE_VALID:
        break;
    }
    certificate_free(&certificate);
}

static void check_roots(const struct conf_text *path, struct diag *diag)
{
    struct tls_trust trust = {0};
    struct certificate_error error;

    if (path->s.len && !tls_trust_load(&trust, path->s.p, &error))
        diag_error(diag, path->at, "%s", error.text);
}

static void check_target(const struct conf_target_tls *tls, struct diag *diag)
{
    if (!tls->is_set)
        return;
    check_pair(&tls->cert, &tls->key, diag);
    if (tls->verify && !tls_trust_is_system(tls->ca.s))
        check_roots(&tls->ca, diag);
}

void tls_check(const struct conf *conf, struct diag *diag)
{
    if (conf->admin.is_tls)
        check_pair(&conf->admin.tls.cert, &conf->admin.tls.key, diag);
    for (uint32_t i = 0; i < conf->control.edge_count; i++)
        check_roots(&conf->control.edges[i].ca, diag);
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_tls *tls = &conf->listeners[i].tls;

        for (uint32_t k = 0; k < tls->certificate_count; k++)
            check_pair(&tls->certificates[k].cert, &tls->certificates[k].key, diag);
        check_roots(&tls->client_ca, diag);
        check_roots(&tls->acme.ca, diag);
    }
    for (uint32_t i = 0; i < conf->service_count; i++)
        check_target(&conf->services[i].tls, diag);
    if (conf->has_redis)
        check_target(&conf->redis.tls, diag);
}
