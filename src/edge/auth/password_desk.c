/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/password_desk.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/mac.h"
#include "edge/auth/password.h"

enum { SETS = 512, WAYS = 4, KEY = 32 };

struct password_job {
    struct password_job *next;
    struct password_desk *desk;
    struct password_ask ask; /* its texts are in `bytes` */
    void (*on_done)(void *owner, bool is_right);
    void *owner; /* NULL: nobody waits */
    bool is_right;
    size_t size;
    char bytes[];
};

struct password_desk {
    struct loop *loop;
    uv_work_t work;
    struct password_job *first, **last; /* the first is being checked */
    unsigned count;
    bool is_active; /* a check runs, or its end is being told */
    unsigned next_way;
    struct mac *mac;                     /* under a key of its own */
    uint8_t known[SETS][WAYS][MAC_SIZE]; /* zeros: none */
};

struct password_desk *password_desk_new(struct loop *loop)
{
    struct password_desk *desk = calloc(1, sizeof(*desk));
    uint8_t key[KEY];

    if (desk && RAND_bytes(key, sizeof(key)) == 1)
        desk->mac = mac_new((struct str){(const char *)key, sizeof(key)});
    OPENSSL_cleanse(key, sizeof(key));
    if (!desk || !desk->mac) {
        free(desk);
        return NULL;
    }
    desk->loop = loop;
    desk->work.data = desk;
    desk->last = &desk->first;
    return desk;
}

void password_desk_free(struct password_desk **desk)
{
    if (*desk)
        mac_free(&(*desk)->mac);
    free(*desk);
    *desk = NULL;
}

/* --- what is known */

/* False when it cannot be remembered: too long, or memory ended. */
static bool digest(const struct password_desk *desk, const struct password_ask *ask, uint8_t *mac)
{
    const uint32_t lens[] = {(uint32_t)ask->name.len, (uint32_t)ask->password.len};
    const struct str parts[] = {{(const char *)lens, sizeof(lens)},
                                ask->name,
                                ask->password,
                                ask->hash};

    if (ask->name.len > PASSWORD_MAX || ask->password.len > PASSWORD_MAX ||
        ask->hash.len > PASSWORD_HASH_MAX || ask->is_decoy)
        return false;
    return mac_sum(desk->mac, parts, ARRAY_LEN(parts), mac);
}

static unsigned set_of(const uint8_t *mac)
{
    return (mac[0] | (unsigned)mac[1] << 8) % SETS;
}

bool password_desk_knows(const struct password_desk *desk, const struct password_ask *ask)
{
    uint8_t mac[MAC_SIZE];
    unsigned found = 0;

    if (!digest(desk, ask, mac))
        return false;
    for (unsigned way = 0; way < WAYS; way++)
        found |= mac_same(desk->known[set_of(mac)][way], mac);
    return found;
}

static void remember(struct password_desk *desk, const struct password_ask *ask)
{
    uint8_t mac[MAC_SIZE];

    if (digest(desk, ask, mac))
        memcpy(desk->known[set_of(mac)][desk->next_way++ % WAYS], mac, MAC_SIZE);
}

/* --- the queue */

static void free_job(struct password_job *job)
{
    OPENSSL_cleanse(job->bytes, job->size);
    free(job);
}

static void on_work(uv_work_t *work)
{
    struct password_desk *desk = work->data;
    struct password_job *job = desk->first;

    job->is_right = password_check(job->ask.password, job->ask.hash) && !job->ask.is_decoy;
}

static struct password_job *take_first(struct password_desk *desk)
{
    struct password_job *job = desk->first;

    desk->first = job->next;
    desk->count--;
    if (!desk->first)
        desk->last = &desk->first;
    return job;
}

static void tell(struct password_job *job)
{
    if (job->owner)
        job->on_done(job->owner, job->is_right);
    free_job(job);
}

static void on_checked(uv_work_t *work, int cancelled);

static void begin(struct password_desk *desk)
{
    int failed = uv_queue_work(&desk->loop->uv, &desk->work, on_work, on_checked);

    assert(!failed); // it has nothing to fail with
    desk->is_active = true;
}

/* Goes on with the first that needs it: nobody waits for some, others have become known. */
static void go_on(struct password_desk *desk)
{
    while (desk->first) {
        struct password_job *job = desk->first;

        job->is_right = job->owner && password_desk_knows(desk, &job->ask);
        if (job->owner && !job->is_right) {
            begin(desk);
            return;
        }
        tell(take_first(desk));
    }
    desk->is_active = false;
}

static void on_checked(uv_work_t *work, int cancelled)
{
    struct password_desk *desk = work->data;
    struct password_job *job = take_first(desk);

    loop_enter(desk->loop);
    if (cancelled)
        job->is_right = false;
    if (job->is_right)
        remember(desk, &job->ask);
    tell(job); // may ask for more
    go_on(desk);
    loop_leave(desk->loop);
}

/* --- asking */

static bool has_place(const struct password_desk *desk, uint64_t client)
{
    unsigned own = 0;

    if (desk->count >= PASSWORD_DESK_QUEUE)
        return false;
    for (const struct password_job *job = desk->first; client && job; job = job->next)
        own += job->ask.client == client;
    return own < PASSWORD_DESK_CLIENT;
}

static struct str copy(char **at, struct str text)
{
    char *begin_at = *at;

    *at = text_put(begin_at, text);
    return (struct str){begin_at, text.len};
}

static struct password_job *new_job(const struct password_ask *ask)
{
    size_t size = ask->name.len + ask->password.len + ask->hash.len;
    struct password_job *job = calloc(1, sizeof(*job) + size);
    char *at = job ? job->bytes : NULL;

    if (!job)
        return NULL;
    job->size = size;
    job->ask = *ask;
    job->ask.name = copy(&at, ask->name);
    job->ask.password = copy(&at, ask->password);
    job->ask.hash = copy(&at, ask->hash);
    return job;
}

struct password_job *password_desk_check(struct password_desk *desk, const struct password_ask *ask,
                                         void (*on_done)(void *owner, bool is_right), void *owner)
{
    struct password_job *job = has_place(desk, ask->client) ? new_job(ask) : NULL;

    if (!job)
        return NULL;
    job->desk = desk;
    job->on_done = on_done;
    job->owner = owner;
    *desk->last = job;
    desk->last = &job->next;
    desk->count++;
    if (!desk->is_active)
        begin(desk);
    return job;
}

void password_desk_cancel(struct password_job *job)
{
    job->owner = NULL;
}
