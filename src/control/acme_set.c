/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of domains: what is on disk of it, its certificate, and when that is renewed. See
 * acme_impl.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "control/acme_impl.h"
#include "control/acme_key.h"
#include "control/say.h"

enum { WINDOW_RETRY_MS = 3600 * 1000, TITLE_NAMES = 4 };

static const int64_t DAY_MS = 24 * 3600 * 1000;

/* --- the certificate */

static uint64_t seed(const struct acme_set *set)
{
    return strtoull(set->cert.fingerprint + ACME_CERT_FINGERPRINT - 15, NULL, 16);
}

int64_t acme_set_renewal_ms(const struct acme_set *set)
{
    struct acme_life life = {.not_before_ms = set->cert.not_before_ms,
                             .not_after_ms = set->cert.not_after_ms,
                             .window = set->window,
                             .seed = seed(set)};

    return set->has_cert ? acme_schedule_renewal(&life) : 0;
}

static bool split(struct arena *arena, struct str pair, struct str *key, struct str *chain)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    const char *at = memmem(pair.p, pair.len, begin, sizeof(begin) - 1);

    if (!at)
        return false;
    *key = arena_copy(arena, (struct str){pair.p, (size_t)(at - pair.p)});
    *chain = arena_copy(arena, (struct str){at, pair.len - (size_t)(at - pair.p)});
    return key->p && chain->p;
}

static void publish(struct acme_set *set)
{
    struct edges_certificate certificate = {.name = set->name.p,
                                            .fingerprint = set->cert.fingerprint,
                                            .chain = set->chain.p,
                                            .key = set->key.p};

    // Also one that seems to be over: the clock may be wrong.
    if (edges_put_certificate(set->acme->options.edges, &certificate))
        say_line("out of memory: the certificate %s is not pushed", set->name.p);
}

enum status acme_set_take(struct acme_set *set, struct str pair)
{
    struct evp_pkey_st *key = NULL;
    enum status status = E_INVALID;

    arena_reset(&set->cert_arena);
    set->has_cert = false;
    set->window = (struct acme_window){0};
    set->window_ms = 0;
    set->cert = (struct acme_cert){.error = STR("key or certificate is missing")};
    if (split(&set->cert_arena, pair, &set->key, &set->chain))
        key = acme_key_read(set->key);
    if (key)
        status =
            acme_cert_read(&set->cert_arena, set->chain, key, &set->identity.names, &set->cert);
    acme_key_free(&key);
    if (status)
        return status;
    set->has_cert = true;
    publish(set);
    set->acme->is_changed = true;
    return OK;
}

static void load_certificate(struct acme_set *set)
{
    struct arena arena;
    struct str pair;
    enum status status;

    arena_init(&arena, NULL, 0);
    status = acme_store_read_pair(&arena, set->folder, set->name, &pair);
    if (!status && acme_set_take(set, pair))
        say_line("the certificate %s on disk cannot be used, another is ordered: %.*s", set->name.p,
                 STR_FMT(set->cert.error));
    else if (status && status != E_NOT_FOUND)
        say_line("the certificate %s cannot be read: %s", set->name.p, strerror(errno));
    arena_reset(&arena);
}

/* --- the tries */

static void load_progress(struct acme_set *set)
{
    struct arena arena;
    struct acme_progress *progress = &set->progress;
    enum status status;

    arena_init(&arena, NULL, 0);
    status = acme_store_read_progress(&arena, set->folder, set->name, progress);
    if (status && status != E_NOT_FOUND)
        say_line("what is known of the tries for %s cannot be read: begun anew", set->name.p);
    for (uint32_t i = 0; !status && progress->by_alpn.p && i < set->identity.names.count; i++) {
        struct str name = set->identity.names.items[i];
        struct str padded = arena_format(&arena, " %.*s ", STR_FMT(name));
        struct str all = arena_format(&arena, " %.*s ", STR_FMT(progress->by_alpn));

        set->by_alpn[i] = padded.p && all.p && strstr(all.p, padded.p);
    }
    progress->by_alpn = STR_NONE;
    arena_reset(&arena);
}

void acme_set_save(struct acme_set *set)
{
    struct arena arena;
    struct str list = STR("");

    arena_init(&arena, NULL, 0);
    for (uint32_t i = 0; i < set->identity.names.count; i++)
        if (set->by_alpn[i])
            list = arena_format(&arena, "%.*s%s%.*s", STR_FMT(list), list.len ? " " : "",
                                STR_FMT(set->identity.names.items[i]));
    set->progress.by_alpn = list;
    if (acme_store_write_progress(set->folder, set->name, &set->progress))
        say_line("cannot write to %.*s: %s", STR_FMT(set->folder), strerror(errno));
    set->progress.by_alpn = STR_NONE;
    set->acme->is_changed = true;
    arena_reset(&arena);
}

static void load_order(struct acme_set *set)
{
    struct acme_journal journal;
    struct arena arena;

    arena_init(&arena, NULL, 0);
    set->has_order =
        acme_store_read_journal(&arena, set->folder, set->name, &journal) == OK && journal.url.p;
    arena_reset(&arena);
}

/* --- the window (RFC 9773) */

static void on_window(struct acme_call *call, const struct acme_answer *answer)
{
    struct acme_set *set = call->owner;
    int64_t now_ms = acme_steady_ms();
    struct acme_window window;

    if (answer->outcome != ACME_GOOD || acme_json_read_window(answer->body, &window)) {
        // The last window known holds; without one, the fraction of life does.
        set->window_ms = now_ms + (acme_client_has_windows(set->client) ? WINDOW_RETRY_MS : DAY_MS);
        return;
    }
    set->window_ms = now_ms + acme_schedule_window_ms(answer->retry_ms);
    if (window.start_ms == set->window.start_ms && window.end_ms == set->window.end_ms)
        return;
    set->window = window;
    set->acme->is_changed = true;
}

void acme_set_ask_window(struct acme_set *set)
{
    int64_t now_ms = acme_steady_ms();
    bool is_over = set->cert.not_after_ms <= acme_client_now_ms(set->client);

    if (!set->has_cert || is_over || !set->cert.renewal_id.p || now_ms < set->window_ms)
        return;
    set->call = (struct acme_call){.kind = ACME_CALL_WINDOW,
                                   .url = set->cert.renewal_id,
                                   .done = on_window,
                                   .owner = set};
    if (acme_client_call(set->client, &set->call))
        set->window_ms = now_ms + WINDOW_RETRY_MS;
}

/* --- life */

static bool copy_identity(struct acme_set *set, const struct acme_identity *from)
{
    struct arena *arena = &set->arena;
    uint32_t count = from->names.count;
    struct str *items = arena_zero(arena, count, sizeof(*items));
    uint64_t sum = 0;

    set->by_alpn = arena_zero(arena, count, sizeof(*set->by_alpn));
    for (uint32_t i = 0; items && i < count; i++) {
        items[i] = arena_copy(arena, from->names.items[i]);
        for (size_t k = 0; items[i].p && k <= items[i].len; k++)
            sum = random_mix(sum ^ (unsigned char)items[i].p[k]);
    }
    set->identity = (struct acme_identity){.names = {items, count},
                                           .directory = arena_copy(arena, from->directory),
                                           .email = arena_copy(arena, from->email),
                                           .ca = arena_copy(arena, from->ca),
                                           .state = arena_copy(arena, from->state),
                                           .challenge = from->challenge};
    if (arena->is_full || !items || !set->by_alpn)
        return false;
    set->name = arena_format(arena, "%.*s-%08x", STR_FMT(items[0]), (unsigned)(sum & 0xffffffff));
    set->folder = acme_store_folder(arena, from->state, from->directory);
    return set->name.p && set->folder.p;
}

struct acme_set *acme_set_new(struct acme *acme, const struct acme_identity *identity,
                              struct acme_client *client)
{
    struct acme_set *set = calloc(1, sizeof(*set));

    if (!set)
        return NULL;
    set->acme = acme;
    set->client = client;
    arena_init(&set->arena, NULL, 0);
    arena_init(&set->cert_arena, NULL, 0);
    if (!copy_identity(set, identity)) {
        acme_set_free(&set);
        return NULL;
    }
    load_progress(set);
    load_order(set);
    load_certificate(set);
    return set;
}

void acme_set_free(struct acme_set **set)
{
    struct acme_set *gone = *set;

    *set = NULL;
    acme_run_cancel(&gone->run);
    acme_client_cancel(&gone->call);
    arena_reset(&gone->arena);
    arena_reset(&gone->cert_arena);
    free(gone);
}

struct str acme_set_title(const struct acme_set *set, struct arena *arena)
{
    const struct acme_names *names = &set->identity.names;
    struct str title = STR("");
    uint32_t shown = names->count > TITLE_NAMES ? TITLE_NAMES : names->count;

    for (uint32_t i = 0; i < shown; i++)
        title = arena_format(arena, "%.*s%s%.*s", STR_FMT(title), i ? ", " : "",
                             STR_FMT(names->items[i]));
    if (shown < names->count)
        title = arena_format(arena, "%.*s and %u more", STR_FMT(title), names->count - shown);
    return title.p ? title : STR("(out of memory)");
}
