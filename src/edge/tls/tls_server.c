/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/tls/tls_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls/tls_context.h"
#include "tls/tls_error.h"
#include "edge/tls/tls_server_impl.h"
#include "edge/tls/tls_trust.h"

enum { SELF_SIGNED_DAYS = 365, SELF_SIGNED_LEAST_S = 30 * 86400, NAME_MAX_LEN = 255 };
enum { TICKET_MAX_S = 7 * 86400 }; /* RFC 8446 4.6.1 */

struct building {
    const struct tls_server_build *ask;
    struct tls_server *server;
    struct diag *diag;
    int64_t now_s;
};

void tls_server_ref(struct tls_server *server)
{
    __atomic_fetch_add(&server->refs, 1, __ATOMIC_RELAXED);
}

static void free_server(struct tls_server *server)
{
    SSL_CTX_free(server->context);
    EVP_CIPHER_free(server->cipher);
    for (uint32_t i = 0; i < server->count; i++) {
        struct certificate *certificate =
            (struct certificate *)(uintptr_t)server->entries[i].certificate;

        certificate_free(&certificate);
    }
    tls_names_fini(&server->names);
    arena_reset(&server->arena);
    free(server);
}

void tls_server_unref(struct tls_server **server)
{
    struct tls_server *gone = *server;

    *server = NULL;
    if (gone && !__atomic_sub_fetch(&gone->refs, 1, __ATOMIC_ACQ_REL))
        free_server(gone);
}

/* --- its certificates */

/* Takes the certificate over. False: memory. */
static bool add_entry(struct tls_server *server, enum tls_source source, struct str name,
                      struct certificate *certificate)
{
    struct tls_server_entry *entry = &server->entries[server->count];

    if (!certificate)
        return false;
    *entry = (struct tls_server_entry){.source = source, .certificate = certificate};
    server->count++;
    entry->name = arena_copy(&server->arena, name);
    return entry->name.p != NULL;
}

static const struct tls_server_entry *find_before(const struct building *b, enum tls_source source,
                                                  struct str name)
{
    const struct tls_server *before = b->ask->before;

    for (uint32_t i = 0; before && i < before->count; i++)
        if (before->entries[i].source == source && str_same(before->entries[i].name, name))
            return &before->entries[i];
    return NULL;
}

/* What was bad, keeps the old one if there is one and it may; the reason stays with it. */
static bool keep_old(struct building *b, const struct conf_certificate *pair,
                     const struct certificate_error *error)
{
    const struct tls_server_entry *old = find_before(b, TLS_SOURCE_FILE, pair->cert.s);
    struct span at = error->is_key ? pair->key.at : pair->cert.at;
    struct tls_server *server = b->server;
    bool is_kept = b->ask->keeps_old && old;

    if (!is_kept) {
        diag_error(b->diag, at, "%s", error->text);
        return false;
    }
    diag_warn(b->diag, at, "%s; the old certificate goes on", error->text);
    if (!add_entry(server, TLS_SOURCE_FILE, pair->cert.s, certificate_copy(old->certificate)))
        return false;
    server->entries[server->count - 1].error =
        arena_copy(&server->arena, (struct str){error->text, strlen(error->text)});
    return true;
}

/* Loading a configuration refuses what has expired. Here it is late for that: an edge that starts
 * again for other listeners' sake serves it, and a new file does not take the place of a good one.
 */
static bool is_worse(struct building *b, const struct conf_certificate *pair,
                     const struct certificate *certificate)
{
    const struct tls_server_entry *old = find_before(b, TLS_SOURCE_FILE, pair->cert.s);

    if (certificate_age(certificate, b->now_s) != CERTIFICATE_EXPIRED)
        return false;
    if (b->ask->keeps_old && old &&
        certificate_age(old->certificate, b->now_s) != CERTIFICATE_EXPIRED)
        return true;
    diag_warn(b->diag, pair->cert.at, "the certificate has expired");
    return false;
}

static bool add_pair(struct building *b, const struct conf_certificate *pair)
{
    struct certificate_error error;
    struct certificate *certificate = certificate_load(pair->cert.s.p, pair->key.s.p, &error);

    if (certificate && is_worse(b, pair, certificate)) {
        error.is_key = false;
        snprintf(error.text, sizeof(error.text), "\"%.200s\": the certificate has expired",
                 pair->cert.s.p);
        certificate_free(&certificate);
    }
    if (!certificate)
        return keep_old(b, pair, &error);
    return add_entry(b->server, TLS_SOURCE_FILE, pair->cert.s, certificate);
}

/* Of two for one name the one that lasts longer is asked first. */
static int compare_end(const void *a, const void *b)
{
    const struct tls_pushed *const *x = a, *const *y = b;
    int64_t left = (*x)->certificate->not_after_s, right = (*y)->certificate->not_after_s;

    return (left < right) - (left > right);
}

static bool covers_any(const struct certificate *certificate, const struct conf_texts *domains)
{
    for (uint32_t i = 0; i < domains->count; i++)
        if (certificate_covers(certificate, domains->items[i].s))
            return true;
    return false;
}

static bool add_pushed(struct building *b, const struct conf_acme *acme)
{
    uint32_t count = b->ask->pushed_count;
    const struct tls_pushed **sorted = calloc(count + 1U, sizeof(struct tls_pushed *));
    bool is_good = sorted != NULL;

    for (uint32_t i = 0; is_good && i < count; i++)
        sorted[i] = &b->ask->pushed[i];
    if (is_good)
        qsort(sorted, count, sizeof(struct tls_pushed *), compare_end);
    for (uint32_t i = 0; is_good && i < count; i++)
        if (covers_any(sorted[i]->certificate, &acme->domains))
            is_good = add_entry(b->server, TLS_SOURCE_PUSHED, sorted[i]->name,
                                certificate_copy(sorted[i]->certificate));
    free(sorted);
    return is_good;
}

/* --- the one that serves until there is another */

static bool is_covered(const struct tls_server *server, struct str domain)
{
    for (uint32_t i = 0; i < server->count; i++)
        if (server->entries[i].source != TLS_SOURCE_SELF_SIGNED &&
            certificate_covers(server->entries[i].certificate, domain))
            return true;
    return false;
}

static bool will_do(const struct building *b, const struct certificate *certificate)
{
    const struct conf_texts *domains = &b->ask->listener->tls.acme.domains;

    if (certificate->not_after_s - b->now_s < SELF_SIGNED_LEAST_S)
        return false;
    for (uint32_t i = 0; i < domains->count; i++)
        if (!certificate_covers(certificate, domains->items[i].s))
            return false;
    return certificate->name_count == domains->count;
}

static struct certificate *make_self_signed(const struct conf_texts *domains)
{
    struct str *names = calloc(domains->count + 1U, sizeof(*names));
    struct certificate *certificate;

    if (!names)
        return NULL;
    for (uint32_t i = 0; i < domains->count; i++)
        names[i] = domains->items[i].s;
    certificate = certificate_self_signed(names, domains->count, SELF_SIGNED_DAYS);
    free(names);
    return certificate;
}

static bool add_self_signed(struct building *b)
{
    const struct conf_texts *domains = &b->ask->listener->tls.acme.domains;
    const struct tls_server_entry *old = find_before(b, TLS_SOURCE_SELF_SIGNED, STR(""));
    bool is_needed = !b->server->count;

    for (uint32_t i = 0; i < domains->count; i++)
        is_needed |= !is_covered(b->server, domains->items[i].s);
    if (!is_needed)
        return true;
    return add_entry(b->server, TLS_SOURCE_SELF_SIGNED, STR(""),
                     old && will_do(b, old->certificate) ? certificate_copy(old->certificate)
                                                         : make_self_signed(domains));
}

/* False: an error was said, or memory ended. */
static bool gather(struct building *b)
{
    const struct conf_tls *tls = &b->ask->listener->tls;
    size_t room = (size_t)tls->certificate_count + b->ask->pushed_count + 1;
    bool is_good = true;

    b->server->entries = arena_zero(&b->server->arena, room, sizeof(*b->server->entries));
    if (!b->server->entries)
        return false;
    for (uint32_t i = 0; i < tls->certificate_count; i++)
        is_good &= add_pair(b, &tls->certificates[i]);
    return is_good && (!tls->acme.is_set || (add_pushed(b, &tls->acme) && add_self_signed(b)));
}

/* The first one's, with what stands beside it for its name. */
static bool index_names(struct tls_server *server)
{
    const struct certificate *first = server->entries[0].certificate;
    const struct tls_names_set *beside = NULL;

    for (uint32_t i = 0; i < server->count; i++)
        if (!tls_names_add(&server->names, server->entries[i].certificate))
            return false;
    tls_names_finish(&server->names);
    if (first->name_count)
        beside = tls_names_find(&server->names, first->names[0]);
    if (beside)
        server->standard = *beside;
    server->standard.by_kind[first->kind] = first;
    return true;
}

/* --- the context */

/* Sessions are resumed only where clients are asked for the same certificates: a ticket must not
 * stand for a check that was never made, or by roots that are trusted no more. */
static bool set_session_id(struct tls_server *server, const struct conf_tls *tls,
                           const struct tls_trust *trust)
{
    unsigned char text[TLS_TRUST_DIGEST + 2] = {'s'}, id[TLS_TRUST_DIGEST];

    memcpy(server->trust, trust->digest, TLS_TRUST_DIGEST);
    if (tls->client_ca.s.len) {
        text[1] = (unsigned char)('1' + tls->client_auth);
        memcpy(text + 2, trust->digest, TLS_TRUST_DIGEST);
    }
    return EVP_Digest(text, sizeof(text), id, NULL, EVP_sha256(), NULL) &&
           SSL_CTX_set_session_id_context(server->context, id, sizeof(id));
}

static bool ask_clients(struct building *b)
{
    const struct conf_tls *tls = &b->ask->listener->tls;
    SSL_CTX *context = b->server->context;
    struct tls_trust trust = {.store = SSL_CTX_get_cert_store(context)};
    struct certificate_error error;
    int mode = SSL_VERIFY_PEER;

    if (!tls->client_ca.s.len)
        return set_session_id(b->server, tls, &trust);
    trust.names = sk_X509_NAME_new_null();
    if (!trust.names || !tls_trust_load(&trust, tls->client_ca.s.p, &error)) {
        if (trust.names)
            diag_error(b->diag, tls->client_ca.at, "%s", error.text);
        sk_X509_NAME_pop_free(trust.names, X509_NAME_free);
        return false;
    }
    SSL_CTX_set_client_CA_list(context, trust.names);
    if (tls->client_auth == CONF_CLIENT_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(context, mode, NULL);
    return set_session_id(b->server, tls, &trust);
}

static void set_tickets(struct tls_server *server, const struct conf_tls *tls)
{
    uint64_t lifetime_s;

    SSL_CTX_set_session_cache_mode(server->context, SSL_SESS_CACHE_OFF);
    if (!server->tickets) {
        SSL_CTX_set_options(server->context, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(server->context, 0); // without: they would name a cached session
        return;
    }
    SSL_CTX_set_num_tickets(server->context, 1);
    lifetime_s = 2 * tls->ticket_rotation_ms / 1000;
    SSL_CTX_set_timeout(server->context,
                        (long)(lifetime_s < TICKET_MAX_S ? lifetime_s : TICKET_MAX_S));
}

static bool use_standard(struct tls_server *server)
{
    for (unsigned i = 0; i < CERTIFICATE_KINDS; i++)
        if (server->standard.by_kind[i] &&
            !tls_context_use(server->context, server->standard.by_kind[i]))
            return false;
    return true;
}

static bool make_context(struct building *b)
{
    const struct conf_tls *tls = &b->ask->listener->tls;
    struct tls_server *server = b->server;

    server->context = tls_context_new(true, tls->min_version);
    if (!server->context || !ask_clients(b))
        return false;
    if (tls->ticket_rotation_ms && b->ask->tickets) {
        server->tickets = b->ask->tickets;
        server->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
        if (!server->cipher)
            return false;
    }
    set_tickets(server, tls);
    tls_server_call_install(server);
    return use_standard(server);
}

struct tls_server *tls_server_new(const struct tls_server_build *build, struct diag *diag)
{
    struct building b = {.ask = build,
                         .server = calloc(1, sizeof(*b.server)),
                         .diag = diag,
                         .now_s = (int64_t)time(NULL)};
    const struct conf_tls *tls = &build->listener->tls;
    unsigned errors = diag->errors;

    if (!b.server)
        return NULL;
    arena_init(&b.server->arena, NULL, 0);
    b.server->refs = 1;
    b.server->http2 = build->listener->http2;
    b.server->rejects_unknown = tls->unknown_name == CONF_UNKNOWN_REJECT;
    b.server->challenges = build->challenges;
    tls_error_drop();
    if (gather(&b) && index_names(b.server) && make_context(&b)) {
        tls_error_drop();
        return b.server;
    }
    if (diag->errors == errors)
        diag_error(diag, tls->at, "TLS cannot be set up: %s", tls_error_take());
    tls_error_drop();
    tls_server_unref(&b.server);
    return NULL;
}

/* --- questions */

SSL_CTX *tls_server_context(const struct tls_server *server)
{
    return server->context;
}

const unsigned char *tls_server_trust(const struct tls_server *server)
{
    return server->trust;
}

bool tls_server_is_same(const struct tls_server *server, struct str name, struct str host)
{
    const struct tls_names_set *ours, *theirs;
    char text[NAME_MAX_LEN];

    if (!name.len)
        return true; // asked for none, it was promised none
    if (host.len > sizeof(text))
        return false;
    for (size_t i = 0; i < host.len; i++)
        text[i] = host.p[i] >= 'A' && host.p[i] <= 'Z' ? (char)(host.p[i] | 0x20) : host.p[i];
    host.p = text;
    if (str_same(name, host))
        return true;
    ours = tls_server_call_choose(server, name);
    theirs = tls_server_call_choose(server, host);
    return ours && theirs && !memcmp(ours, theirs, sizeof(*ours));
}

uint32_t tls_server_count(const struct tls_server *server)
{
    return server->count;
}

const struct tls_server_entry *tls_server_entry(const struct tls_server *server, uint32_t i)
{
    return &server->entries[i];
}
