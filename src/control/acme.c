/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "control/acme_impl.h"
#include "control/say.h"

enum { WISHES_MS = 1000 };

/* A time that lies further ahead than any wait comes of a clock that was set back. */
static const int64_t WAIT_MAX_MS = (int64_t)3 * 24 * 3600 * 1000;

/* --- what the listeners name */

static bool is_same(struct str a, struct str b)
{
    return a.len == b.len && (!a.len || !memcmp(a.p, b.p, a.len));
}

static struct str directory_url(struct str word)
{
    if (!word.len || is_same(word, STR("production")))
        return STR("https://acme-v02.api.letsencrypt.org/directory");
    if (is_same(word, STR("staging")))
        return STR("https://acme-staging-v02.api.letsencrypt.org/directory");
    return word;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct str *)a)->p, ((const struct str *)b)->p);
}

/* Sorted, lower case, each once: the same set whatever the order it is written in. */
static bool collect_names(struct arena *arena, const struct conf_texts *domains,
                          struct acme_names *names)
{
    struct str *items = arena_zero(arena, domains->count, sizeof(*items));
    uint32_t count = 0;

    for (uint32_t i = 0; items && i < domains->count; i++) {
        char *text = arena_text(arena, domains->items[i].s.len + 1);

        if (!text)
            return false;
        for (size_t k = 0; k < domains->items[i].s.len; k++)
            text[k] = (char)tolower((unsigned char)domains->items[i].s.p[k]);
        text[domains->items[i].s.len] = '\0';
        items[i] = (struct str){text, domains->items[i].s.len};
    }
    if (!items)
        return false;
    qsort(items, domains->count, sizeof(*items), by_text);
    for (uint32_t i = 0; i < domains->count; i++)
        if (!count || !is_same(items[i], items[count - 1]))
            items[count++] = items[i];
    *names = (struct acme_names){items, count};
    return true;
}

static bool has_same_names(const struct acme_names *a, const struct acme_names *b)
{
    bool is_equal = a->count == b->count;

    for (uint32_t i = 0; is_equal && i < a->count; i++)
        is_equal = is_same(a->items[i], b->items[i]);
    return is_equal;
}

static bool is_identical(const struct acme_identity *a, const struct acme_identity *b)
{
    return a->challenge == b->challenge && is_same(a->directory, b->directory) &&
           is_same(a->email, b->email) && is_same(a->ca, b->ca) && is_same(a->state, b->state) &&
           has_same_names(&a->names, &b->names);
}

/* --- accounts */

static void free_ca(struct acme_ca *ca)
{
    acme_client_free(&ca->client);
    arena_reset(&ca->arena);
    free(ca);
}

static struct acme_ca *new_ca(struct acme *acme, const struct acme_identity *identity)
{
    struct acme_ca *ca = calloc(1, sizeof(*ca));
    struct acme_client_options options = {.outbound = acme->options.outbound};

    if (!ca)
        return NULL;
    arena_init(&ca->arena, NULL, 0);
    options.directory = ca->directory = arena_copy(&ca->arena, identity->directory);
    options.email = ca->email = arena_copy(&ca->arena, identity->email);
    options.ca = ca->ca = arena_copy(&ca->arena, identity->ca);
    options.folder = acme_store_folder(&ca->arena, acme->state, identity->directory);
    if (options.folder.p)
        ca->client = acme_client_new(&options);
    else
        say_line("cannot make a folder for ACME in %.*s: %s", STR_FMT(acme->state),
                 strerror(errno));
    if (ca->client)
        return ca;
    free_ca(ca);
    return NULL;
}

static struct acme_client *find_client(struct acme *acme, const struct acme_identity *identity)
{
    struct acme_ca *ca = acme->cas;

    while (ca && !(is_same(ca->directory, identity->directory) &&
                   is_same(ca->email, identity->email) && is_same(ca->ca, identity->ca)))
        ca = ca->next;
    if (ca)
        return ca->client;
    ca = new_ca(acme, identity);
    if (!ca)
        return NULL;
    ca->next = acme->cas;
    acme->cas = ca;
    return ca->client;
}

static bool is_used(const struct acme *acme, const struct acme_client *client)
{
    for (const struct acme_set *set = acme->sets; set; set = set->next)
        if (set->client == client)
            return true;
    return false;
}

static void sweep_clients(struct acme *acme)
{
    struct acme_ca **link = &acme->cas;

    while (*link) {
        struct acme_ca *ca = *link;

        if (is_used(acme, ca->client)) {
            link = &ca->next;
            continue;
        }
        *link = ca->next;
        free_ca(ca);
    }
}

/* --- sets */

static void add_set(struct acme *acme, const struct acme_identity *identity)
{
    struct acme_client *client = find_client(acme, identity);
    struct acme_set *set = client ? acme_set_new(acme, identity, client) : NULL;

    if (!set) {
        say_line("no certificates for %.*s: its state cannot be kept",
                 STR_FMT(identity->names.items[0]));
        return;
    }
    set->is_kept = true;
    set->next = acme->sets;
    acme->sets = set;
}

/* The same names again, on another listener, are the same certificate. */
static bool is_taken(const struct acme *acme, const struct acme_identity *identity)
{
    for (struct acme_set *set = acme->sets; set; set = set->next) {
        if (!set->is_kept || !has_same_names(&set->identity.names, &identity->names))
            continue;
        if (!is_identical(&set->identity, identity))
            say_line("two listeners want %.*s in two ways: it is ordered as the first says",
                     STR_FMT(identity->names.items[0]));
        return true;
    }
    return false;
}

static void take_identity(struct acme *acme, const struct acme_identity *identity)
{
    if (is_taken(acme, identity))
        return;
    for (struct acme_set *set = acme->sets; set; set = set->next) {
        if (!is_identical(&set->identity, identity))
            continue;
        set->is_kept = true;
        return;
    }
    add_set(acme, identity);
}

static void take_listener(struct acme *acme, const struct conf_acme *conf)
{
    struct acme_identity identity = {.directory = directory_url(conf->directory.s),
                                     .email = conf->email.s,
                                     .ca = conf->ca.s,
                                     .state = acme->state,
                                     .challenge = conf->challenge};
    struct arena arena;

    arena_init(&arena, NULL, 0);
    if (!collect_names(&arena, &conf->domains, &identity.names))
        say_line("out of memory: certificates of a listener are not ordered");
    else if (identity.names.count > ACME_NAMES_MAX)
        say_line("more than %d domains in one certificate: none is ordered", ACME_NAMES_MAX);
    else if (identity.names.count)
        take_identity(acme, &identity);
    arena_reset(&arena);
}

/* What is named no more orders nothing, but its certificate may be all there is yet for a name that
 * is now in another set. */
static void retire_sets(struct acme *acme)
{
    for (struct acme_set *set = acme->sets; set; set = set->next) {
        set->is_retired = !set->is_kept;
        if (set->is_kept)
            continue;
        acme_run_cancel(&set->run);
        acme_client_cancel(&set->call);
    }
}

static bool is_name_used(const struct acme *acme, const struct acme_set *by_other_than)
{
    for (const struct acme_set *set = acme->sets; set; set = set->next)
        if (set != by_other_than && !strcmp(set->name.p, by_other_than->name.p))
            return true;
    return false;
}

/* Once all that are named have a certificate, those of the retired go. */
static void sweep_sets(struct acme *acme)
{
    struct acme_set **link = &acme->sets;

    for (const struct acme_set *set = acme->sets; set; set = set->next)
        if (!set->is_retired && !set->has_cert)
            return;
    while (*link) {
        struct acme_set *set = *link;

        if (!set->is_retired) {
            link = &set->next;
            continue;
        }
        if (!is_name_used(acme, set))
            edges_drop_certificate(acme->options.edges, set->name.p);
        *link = set->next;
        acme_set_free(&set);
        acme->is_changed = true;
    }
}

static bool set_state(struct acme *acme, struct str state)
{
    if (is_same(acme->state, state))
        return true;
    arena_reset(&acme->arena);
    acme->state = arena_copy(&acme->arena, state);
    free(acme->shown);
    acme->shown = NULL;
    return acme->state.p != NULL;
}

void acme_configure(struct acme *acme, const struct conf *conf)
{
    if (!set_state(acme, conf->state.s)) {
        say_line("out of memory: certificates stay as they are");
        return;
    }
    for (struct acme_set *set = acme->sets; set; set = set->next)
        set->is_kept = false;
    for (uint32_t i = 0; i < conf->listener_count; i++)
        if (conf->listeners[i].tls.is_set && conf->listeners[i].tls.acme.is_set)
            take_listener(acme, &conf->listeners[i].tls.acme);
    retire_sets(acme);
    sweep_clients(acme);
    acme->is_changed = acme->sets || acme->shown;
    if (acme->sets)
        acme_status_open(acme);
}

/* --- life */

void acme_note_change(struct acme *acme)
{
    acme->is_changed = acme->sets != NULL;
}

struct acme *acme_new(const struct acme_options *options)
{
    struct acme *acme = calloc(1, sizeof(*acme));

    if (!acme)
        return NULL;
    acme->options = *options;
    arena_init(&acme->arena, NULL, 0);
    return acme;
}

void acme_free(struct acme **acme)
{
    struct acme *gone = *acme;

    *acme = NULL;
    if (!gone)
        return;
    while (gone->sets) {
        struct acme_set *set = gone->sets;

        gone->sets = set->next;
        acme_set_free(&set);
    }
    sweep_clients(gone);
    arena_reset(&gone->arena);
    free(gone->shown);
    free(gone);
}

static bool is_due(struct acme_set *set, int64_t now_ms)
{
    if (set->progress.next_ms > now_ms + WAIT_MAX_MS)
        set->progress.next_ms = now_ms;
    if (set->is_asked)
        return true;
    if (now_ms < set->progress.next_ms)
        return false;
    return set->has_order || acme_set_renewal_ms(set) <= acme_client_now_ms(set->client);
}

/* An edge that is not there yet could not answer the CA either. */
static void tick_set(struct acme_set *set, int64_t now_ms, unsigned *running)
{
    if (set->is_retired)
        return;
    if (set->run) {
        acme_run_tick(set->run);
        return;
    }
    if (set->call.client)
        return;
    if (!is_due(set, now_ms)) {
        acme_set_ask_window(set);
        return;
    }
    if (*running == ACME_RUNS_MAX)
        return;
    ++*running;
    set->acme->is_changed = true;
    acme_run_start(set);
}

void acme_tick(struct acme *acme)
{
    int64_t now_ms = (int64_t)clock_wall_ms();
    unsigned running = 0;

    if (!acme->sets && !acme->is_changed)
        return;
    if (acme_steady_ms() >= acme->asked_ms) {
        acme_status_take_wishes(acme);
        acme->asked_ms = acme_steady_ms() + WISHES_MS;
    }
    for (struct acme_set *set = acme->sets; set; set = set->next)
        running += set->run != NULL;
    for (struct acme_set *set = acme->sets; set; set = set->next)
        tick_set(set, now_ms, &running);
    sweep_sets(acme);
    if (acme->is_changed)
        acme_status_write(acme);
    acme->is_changed = false;
}
