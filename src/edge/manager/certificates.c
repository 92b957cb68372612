/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/certificates.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/random.h"
#include "edge/manager/admin.h"
#include "edge/manager/manager_impl.h"
#include "edge/tls/tls_trust.h"

enum { LOOK_TICKS = 2 }; /* seconds from one look at the files to the next */

/* --- memory */

bool certificates_open(struct manager *m)
{
    char error[LINK_ERROR_SIZE];
    int fd;

    if (link_memory(m->options.link, STR(TLS_TICKETS_MEMORY), TLS_TICKETS_SIZE, &fd, error))
        fprintf(stderr, "sluice: edge: session tickets will not outlive this process: %s\n", error);
    m->tickets = tls_tickets_open(fd, clock_wall_ms());
    m->challenges = tls_challenges_new();
    return m->tickets && m->challenges;
}

void certificates_close(struct manager *m)
{
    tls_tickets_close(&m->tickets);
    tls_challenges_free(&m->challenges);
}

/* --- the files */

static void mix_file(uint64_t *identity, struct str path)
{
    struct stat file = {0};

    if (!path.len)
        return;
    if (stat(path.p, &file))
        file = (struct stat){0};
    *identity = random_mix(*identity + 1 + file.st_ino) ^ (uint64_t)file.st_dev;
    *identity = random_mix(*identity + (uint64_t)file.st_size);
    *identity = random_mix(*identity + (uint64_t)file.st_mtim.tv_sec * 1000000000 +
                           (uint64_t)file.st_mtim.tv_nsec);
}

static void mix_target(uint64_t *identity, const struct conf_target_tls *tls)
{
    if (tls->is_set && !tls_trust_is_system(tls->ca.s))
        mix_file(identity, tls->ca.s);
    mix_file(identity, tls->cert.s);
    mix_file(identity, tls->key.s);
}

uint64_t certificates_identity(const struct conf *conf)
{
    uint64_t identity = 0;

    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_tls *tls = &conf->listeners[i].tls;

        for (uint32_t k = 0; k < tls->certificate_count; k++) {
            mix_file(&identity, tls->certificates[k].cert.s);
            mix_file(&identity, tls->certificates[k].key.s);
        }
        mix_file(&identity, tls->client_ca.s);
    }
    for (uint32_t i = 0; i < conf->service_count; i++)
        mix_target(&identity, &conf->services[i].tls);
    if (conf->has_redis)
        mix_target(&identity, &conf->redis.tls);
    return identity;
}

static void on_reread(struct manager_change *change, enum status status, uint32_t generation,
                      const struct diag *diag)
{
    manager_print(diag);
    if (status)
        fprintf(stderr, "sluice: edge: certificates were not changed: generation %u goes on\n",
                generation);
    else
        fprintf(stderr, "sluice: edge: certificate files were read again: generation %u is live\n",
                generation);
    free(change);
}

static void reread(struct manager *m)
{
    struct manager_change *change = calloc(1, sizeof(*change));

    if (!change)
        return; // the next look asks again
    change->kind = CHANGE_CERTIFICATES;
    change->on_done = on_reread;
    manager_change(m, change);
}

/* The rules stay for as long as the look takes. */
struct look {
    uv_work_t work;
    struct manager *manager;
    struct rules *rules;
    uint64_t identity;
};

static void look(uv_work_t *work)
{
    struct look *look = work->data;

    look->identity = certificates_identity(look->rules->conf);
    chain_look(look->rules->conf, true);
}

/* A pair is two files, written one after the other: read when two looks saw the same. */
static void on_looked(uv_work_t *work, int cancelled)
{
    struct look *look = work->data;
    struct manager *m = look->manager;
    struct certificates *known = &m->certificates;
    bool is_current = !cancelled && !m->first && !m->is_draining && look->rules == m->rules;

    known->is_looking = false;
    if (is_current && look->identity != known->built && look->identity == known->seen)
        reread(m);
    if (is_current)
        known->seen = look->identity;
    rules_unref(&look->rules);
    free(look);
}

static void start_look(struct manager *m)
{
    struct look *all = calloc(1, sizeof(*all));

    if (!all)
        return;
    all->manager = m;
    all->work.data = all;
    all->rules = m->rules;
    __atomic_fetch_add(&m->rules->refs, 1, __ATOMIC_RELAXED);
    m->certificates.is_looking = true;
    if (uv_queue_work(&m->loop.uv, &all->work, look, on_looked))
        on_looked(&all->work, UV_ECANCELED);
}

/* --- each second */

/* The shortest there is: one set of keys serves all listeners. */
static uint64_t rotation_ms(const struct conf *conf)
{
    uint64_t shortest = 0;

    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_tls *tls = &conf->listeners[i].tls;

        if (tls->is_set && tls->ticket_rotation_ms &&
            (!shortest || tls->ticket_rotation_ms < shortest))
            shortest = tls->ticket_rotation_ms;
    }
    return shortest;
}

void certificates_tick(struct manager *m)
{
    struct certificates *known = &m->certificates;
    bool is_changing = known->seen != known->built;

    tls_challenges_tick(m->challenges, clock_us() / 1000);
    if (!m->rules)
        return;
    tls_tickets_tick(m->tickets, clock_wall_ms(), rotation_ms(manager_conf(m)));
    if (known->is_looking || m->first || m->is_draining ||
        (!known->built && !chain_look(manager_conf(m), false)))
        return;
    if (++known->ticks % LOOK_TICKS == 0 || is_changing)
        start_look(m);
}

/* --- what came of it */

static void tell(struct manager *m, const char *result, const char *key, struct str text)
{
    json_t *json =
        json_pack("{s:s,s:I}", "result", result, "generation", (json_int_t)m->generation);
    char *line;

    if (text.p)
        json_object_set_new(json, key, json_stringn(text.p, text.len));
    line = json_dumps(json, JSON_COMPACT);
    if (line)
        admin_event(m->admin, "certificate", "%s", line);
    free(line);
    json_decref(json);
}

void certificates_built(struct manager *m, const struct builder *builder,
                        const struct manager_change *change)
{
    bool is_reading = builder->kind == CHANGE_CERTIFICATES;
    const struct diag *diag = &builder->diag;

    if (builder->has_read && (is_reading || !builder->status))
        m->certificates.built = m->certificates.seen = builder->identity;
    if (!is_reading)
        return;
    for (unsigned i = 0; i < diag->count; i++)
        tell(m, "failure", "error", diag->entries[i].text);
    if (!builder->status && (!diag->count || change->name.p))
        tell(m, "success", "name", change->name);
}

/* --- what is served */

static int compare_domain(const void *a, const void *b)
{
    const struct certificates_domain *x = a, *y = b;
    size_t len = x->name.len < y->name.len ? x->name.len : y->name.len;
    int order = memcmp(x->name.p, y->name.p, len);

    if (!order)
        order = (x->name.len > y->name.len) - (x->name.len < y->name.len);
    return order ? order : (x->not_after_s > y->not_after_s) - (x->not_after_s < y->not_after_s);
}

/* The names of all certificates one after the other; `to` NULL: only counts. */
static uint32_t gather(const struct manager *m, struct certificates_domain *to)
{
    const struct doors *doors = &m->snapshot->doors;
    uint32_t count = 0;

    for (uint32_t i = 0; i < doors->count; i++) {
        const struct tls_server *tls = doors->list[i].tls;

        for (uint32_t k = 0; tls && k < tls_server_count(tls); k++) {
            const struct tls_server_entry *entry = tls_server_entry(tls, k);
            const struct certificate *one = entry->certificate;
            uint32_t names = entry->source == TLS_SOURCE_SELF_SIGNED ? 0 : one->name_count;

            for (uint32_t n = 0; to && n < names; n++)
                to[count + n] = (struct certificates_domain){one->names[n], one->not_after_s};
            count += names;
        }
    }
    return count;
}

uint32_t certificates_domains(const struct manager *m, struct arena *arena,
                              struct certificates_domain **domains)
{
    uint32_t count = m->snapshot ? gather(m, NULL) : 0, kept = 0;
    struct certificates_domain *all = arena_zero(arena, count, sizeof(*all));

    *domains = all;
    if (!count || !all)
        return 0;
    gather(m, all);
    qsort(all, count, sizeof(*all), compare_domain);
    for (uint32_t i = 0; i < count; i++) {
        const struct certificates_domain *last = kept ? &all[kept - 1] : NULL;

        if (!last || last->name.len != all[i].name.len ||
            memcmp(last->name.p, all[i].name.p, last->name.len) != 0)
            all[kept++] = all[i];
    }
    return kept;
}
