/* SPDX-License-Identifier: Apache-2.0
 *
 * `tls` of listeners and services: what goes together, names and URLs. What the files hold is
 * looked at by the world's check_tls. Called by conf_check() once, also after errors, so members
 * may be empty.
 */
#include "config/conf_check.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/text.h"
#include "config/names.h"

enum { DOMAIN_MAX = 253, LABEL_MAX = 63, HEADER_MAX = 64 };
#define PRELOAD_MS (UINT64_C(8760) * 3600 * 1000) /* a year */

static void fold(struct str s)
{
    char *p = (char *)(uintptr_t)s.p; /* the conf's own copy */

    for (size_t i = 0; i < s.len; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] | 0x20);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* RFC 1123 2.1, in lower case. */
static bool is_label(struct str label)
{
    if (!label.len || label.len > LABEL_MAX || label.p[0] == '-' || label.p[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++)
        if (!is_letter(label.p[i]) && label.p[i] != '-')
            return false;
    return true;
}

static bool is_name(struct str name)
{
    bool is_good = name.len > 0 && name.len <= DOMAIN_MAX && memchr(name.p, '.', name.len);

    for (const char *dot; is_good && name.len;) {
        struct str label = name;

        dot = memchr(name.p, '.', name.len);
        if (dot)
            label.len = (size_t)(dot - name.p);
        is_good = is_label(label) && (!dot || label.len + 1 < name.len);
        name.p += label.len + (dot != NULL);
        name.len -= label.len + (dot != NULL);
    }
    return is_good;
}

/* What is wrong with a domain to order a certificate for; NULL: nothing. */
static const char *check_domain(struct str name)
{
    unsigned char address[sizeof(struct in_addr)];

    if (name.len && memchr(name.p, '*', name.len))
        return "is a wildcard: only a challenge over DNS, which is not supported, could prove it";
    if (inet_pton(AF_INET, name.p, address) == 1 || memchr(name.p, ':', name.len))
        return "is an address: certificates are ordered for names";
    return is_name(name) ? NULL : "is not a host name with a dot in it";
}

static void check_domains(struct decoder *decoder, const struct conf_acme *acme)
{
    struct names names;

    names_init(&names, decoder->arena, acme->domains.count);
    for (uint32_t i = 0; i < acme->domains.count; i++) {
        const struct conf_text *domain = &acme->domains.items[i];
        const char *wrong;
        uint32_t first;

        if (!domain->s.p)
            continue;
        fold(domain->s);
        wrong = check_domain(domain->s);
        first = names_put(&names, domain->s, i);
        if (wrong)
            diag_error(decoder->diag, domain->at, "\"%.*s\" %s", STR_FMT(domain->s), wrong);
        else if (first != NAMES_NONE)
            conf_check_twice(decoder->diag, "domain", domain, &acme->domains.items[first]);
    }
}

static bool begins(struct str s, const char *prefix)
{
    return s.len > strlen(prefix) && memcmp(s.p, prefix, strlen(prefix)) == 0;
}

static bool is_word(struct str s, const char *word)
{
    return s.len == strlen(word) && memcmp(s.p, word, s.len) == 0;
}

static void check_acme(struct decoder *decoder, const struct conf_acme *acme)
{
    const struct conf_text *email = &acme->email, *directory = &acme->directory;
    const char *at = email->s.len ? memchr(email->s.p, '@', email->s.len) : NULL;

    if (!acme->is_set)
        return;
    if (email->s.len && (!at || at == email->s.p || at + 1 == email->s.p + email->s.len ||
                         memchr(email->s.p, ' ', email->s.len)))
        diag_error(decoder->diag, email->at, "\"%.*s\" is not an e-mail address",
                   STR_FMT(email->s));
    conf_check_text(decoder->diag, email);
    if (directory->s.len && !is_word(directory->s, "production") &&
        !is_word(directory->s, "staging") && !begins(directory->s, "https://")) {
        diag_error(decoder->diag, directory->at, "\"%.*s\" is not a directory of certificates",
                   STR_FMT(directory->s));
        diag_hint(decoder->diag, "write production, staging or a URL that begins with https://");
    }
    check_domains(decoder, acme);
}

static void check_clients(struct decoder *decoder, const struct conf_tls *tls)
{
    const struct conf_text *header = &tls->client_header;

    if (header->s.p) {
        fold(header->s);
        if (!text_is_token(header->s) || header->s.len > HEADER_MAX)
            diag_error(decoder->diag, header->at, "\"%.*s\" is not the name of a header",
                       STR_FMT(header->s));
    }
    if (tls->client_ca.s.len)
        return;
    if (tls->has_client_auth) {
        diag_error(decoder->diag, tls->at, "client_auth means nothing without client_ca");
        diag_hint(decoder->diag,
                  "add client_ca, the roots that clients' certificates must come from");
    }
    if (header->s.len)
        diag_error(decoder->diag, header->at, "client_header means nothing without client_ca");
}

static void check_hsts(struct decoder *decoder, const struct conf_tls *tls)
{
    if (!tls->hsts.max_age_ms && (tls->hsts.subdomains || tls->hsts.preload))
        diag_error(decoder->diag, tls->at, "hsts is not sent without max_age");
    else if (tls->hsts.preload && (!tls->hsts.subdomains || tls->hsts.max_age_ms < PRELOAD_MS))
        diag_error(decoder->diag, tls->at,
                   "hsts: browsers' lists take no name without \"subdomains: true\" and a max_age "
                   "of at least 8760h");
}

static void check_listener(struct decoder *decoder, const struct conf_listener *listener)
{
    const struct conf_tls *tls = &listener->tls;

    if (!tls->is_set || !tls->at.source)
        return; // it is no map: that was said
    if (listener->redirect_https)
        diag_error(decoder->diag, listener->at,
                   "redirect_https is for listeners without tls: this one speaks it already");
    if (!tls->certificate_count && !tls->acme.is_set) {
        diag_error(decoder->diag, tls->at, "tls needs certificates or acme");
        diag_hint(decoder->diag, "write \"certificates: [{cert: FILE, key: FILE}]\" or \"acme: "
                                 "{email: ADDRESS, domains: [NAME]}\"");
    }
    check_acme(decoder, &tls->acme);
    check_clients(decoder, tls);
    check_hsts(decoder, tls);
}

/* RFC 6125 2.1: a certificate speaks for a name, and a path is none. */
static void check_unix_targets(struct decoder *decoder, const struct conf_service *service)
{
    const struct conf_target_tls *tls = &service->tls;

    if (!tls->is_set || !tls->verify || !is_word(tls->name.s, "auto"))
        return;
    for (uint32_t i = 0; i < service->target_count; i++) {
        const struct conf_address *address = &service->targets[i].address;

        if (!address->is_unix)
            continue;
        diag_error(decoder->diag, address->text.at,
                   "a unix socket has no host name that its certificate could have");
        diag_hint(decoder->diag, "set \"name\" in tls");
    }
}

static void check_own_pair(struct diag *diag, const struct conf_target_tls *tls)
{
    if (tls->cert.s.len && !tls->key.s.len)
        diag_error(diag, tls->cert.at, "cert without key");
    if (tls->key.s.len && !tls->cert.s.len)
        diag_error(diag, tls->key.at, "key without cert");
}

static void check_redis(struct diag *diag, const struct conf_redis *redis)
{
    const struct conf_text *user = &redis->sentinel_user, *password = &redis->sentinel_password;

    check_own_pair(diag, &redis->tls);
    if (!redis->place_count)
        return; // the URL is wrong: that was said
    if (redis->tls.at.source && !redis->is_tls) {
        diag_error(diag, redis->tls.at, "tls means nothing with a URL that is not over TLS");
        diag_hint(diag, "write rediss:// instead of redis:// in the URL");
    }
    if (redis->mode != CONF_REDIS_SENTINEL && (user->s.len || password->s.len))
        diag_error(diag, password->s.len ? password->at : user->at,
                   "a password for sentinels means nothing without redis+sentinel:// in the URL");
    else if (user->s.len && !password->s.len)
        diag_error(diag, user->at, "user without password");
}

static void check_service(struct decoder *decoder, const struct conf_service *service)
{
    const struct conf_target_tls *tls = &service->tls;

    if (service->protocol == CONF_PROTOCOL_AUTO && !tls->is_set) {
        diag_error(decoder->diag, service->at,
                   "protocol: auto is agreed on over TLS, and needs tls");
        diag_hint(decoder->diag, "add \"tls: {}\", or write http1 or h2");
    }
    check_unix_targets(decoder, service);
    check_own_pair(decoder->diag, tls);
}

void conf_check_tls(struct decoder *decoder)
{
    const struct conf *conf = decoder->conf;

    for (uint32_t i = 0; i < conf->listener_count; i++)
        check_listener(decoder, &conf->listeners[i]);
    for (uint32_t i = 0; i < conf->service_count; i++)
        check_service(decoder, &conf->services[i]);
    if (conf->has_redis)
        check_redis(decoder->diag, &conf->redis);
    if (decoder->world->check_tls)
        decoder->world->check_tls(conf, decoder->diag);
}
