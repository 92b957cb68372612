/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/tls/tls_challenges.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tls/certificate.h"

enum { LIFE_MS = 60 * 60 * 1000, GRAVE_MS = 60 * 1000 };

struct entry {
    struct entry *next;
    struct tls_challenge is; /* its texts lie behind the entry */
    struct certificate *certificate;
    uint64_t until_ms; /* when it is forgotten; of a dead one: when its memory is freed */
    char text[];
};

struct tls_challenges {
    pthread_mutex_t lock;
    struct entry *first, *dead;
    uint32_t count; /* atomic: most requests for a token come when there is none */
};

struct tls_challenges *tls_challenges_new(void)
{
    struct tls_challenges *challenges = calloc(1, sizeof(*challenges));

    if (challenges)
        pthread_mutex_init(&challenges->lock, NULL);
    return challenges;
}

static void free_entry(struct entry *entry)
{
    certificate_free(&entry->certificate);
    free(entry);
}

void tls_challenges_free(struct tls_challenges **challenges)
{
    struct tls_challenges *gone = *challenges;

    *challenges = NULL;
    if (!gone)
        return;
    for (struct entry *entry = gone->first, *next; entry; entry = next) {
        next = entry->next;
        free_entry(entry);
    }
    for (struct entry *entry = gone->dead, *next; entry; entry = next) {
        next = entry->next;
        free_entry(entry);
    }
    pthread_mutex_destroy(&gone->lock);
    free(gone);
}

/* --- changing: the manager alone, so it reads without the lock */

static struct entry **find(struct tls_challenges *challenges, struct str token)
{
    struct entry **at = &challenges->first;

    while (*at && !str_same((*at)->is.token, token))
        at = &(*at)->next;
    return at;
}

static void bury(struct tls_challenges *challenges, struct entry **at, uint64_t now_ms)
{
    struct entry *entry = *at;

    pthread_mutex_lock(&challenges->lock);
    *at = entry->next;
    pthread_mutex_unlock(&challenges->lock);
    __atomic_store_n(&challenges->count, challenges->count - 1, __ATOMIC_RELAXED);
    entry->until_ms = now_ms + GRAVE_MS;
    entry->next = challenges->dead;
    challenges->dead = entry;
}

static struct str put_text(char **to, struct str text)
{
    char *at = *to;

    memcpy(at, text.p ? text.p : "", text.len);
    *to = at + text.len;
    return (struct str){at, text.len};
}

static struct entry *new_entry(const struct tls_challenge *challenge, uint64_t now_ms)
{
    size_t len = challenge->token.len + challenge->domain.len + challenge->answer.len;
    struct entry *entry = calloc(1, sizeof(*entry) + len);
    char *at;

    if (!entry)
        return NULL;
    at = entry->text;
    entry->until_ms = now_ms + LIFE_MS;
    entry->is = (struct tls_challenge){.token = put_text(&at, challenge->token),
                                       .domain = put_text(&at, challenge->domain),
                                       .answer = put_text(&at, challenge->answer),
                                       .is_alpn = challenge->is_alpn};
    if (!challenge->is_alpn)
        return entry;
    entry->certificate = certificate_challenge(entry->is.domain, entry->is.answer);
    if (entry->certificate)
        return entry;
    free(entry);
    return NULL;
}

enum status tls_challenges_put(struct tls_challenges *challenges,
                               const struct tls_challenge *challenge, uint64_t now_ms)
{
    struct entry **old = find(challenges, challenge->token), *entry;

    if (!*old && challenges->count >= TLS_CHALLENGES_MAX)
        return E_FULL;
    entry = new_entry(challenge, now_ms);
    if (!entry)
        return E_NOMEM;
    if (*old)
        bury(challenges, old, now_ms);
    pthread_mutex_lock(&challenges->lock);
    entry->next = challenges->first;
    challenges->first = entry;
    pthread_mutex_unlock(&challenges->lock);
    __atomic_store_n(&challenges->count, challenges->count + 1, __ATOMIC_RELEASE);
    return OK;
}

enum status tls_challenges_drop(struct tls_challenges *challenges, struct str token,
                                uint64_t now_ms)
{
    struct entry **at = find(challenges, token);

    if (!*at)
        return E_NOT_FOUND;
    bury(challenges, at, now_ms);
    return OK;
}

void tls_challenges_tick(struct tls_challenges *challenges, uint64_t now_ms)
{
    for (struct entry **at = &challenges->first; *at;)
        if ((*at)->until_ms <= now_ms)
            bury(challenges, at, now_ms);
        else
            at = &(*at)->next;
    for (struct entry **at = &challenges->dead; *at;) {
        struct entry *entry = *at;

        if (entry->until_ms > now_ms) {
            at = &entry->next;
            continue;
        }
        *at = entry->next;
        free_entry(entry);
    }
}

/* --- reading */

static bool is_empty(const struct tls_challenges *challenges)
{
    return !challenges || !__atomic_load_n(&challenges->count, __ATOMIC_ACQUIRE);
}

struct str tls_challenges_answer(struct tls_challenges *challenges, struct str token)
{
    struct str answer = STR_NONE;
    const struct entry *entry;

    if (is_empty(challenges))
        return answer;
    pthread_mutex_lock(&challenges->lock);
    for (entry = challenges->first; entry && !answer.p; entry = entry->next)
        if (!entry->is.is_alpn && str_same(entry->is.token, token))
            answer = entry->is.answer;
    pthread_mutex_unlock(&challenges->lock);
    return answer;
}

static const struct entry *find_domain(const struct tls_challenges *challenges, struct str domain)
{
    const struct entry *entry = challenges->first;

    while (entry && (!entry->is.is_alpn || !str_same(entry->is.domain, domain)))
        entry = entry->next;
    return entry;
}

bool tls_challenges_has(struct tls_challenges *challenges, struct str domain)
{
    bool is_there;

    if (is_empty(challenges))
        return false;
    pthread_mutex_lock(&challenges->lock);
    is_there = find_domain(challenges, domain) != NULL;
    pthread_mutex_unlock(&challenges->lock);
    return is_there;
}

bool tls_challenges_show(struct tls_challenges *challenges, struct str domain, SSL *ssl)
{
    const struct entry *entry;
    bool is_shown;

    if (is_empty(challenges))
        return false;
    pthread_mutex_lock(&challenges->lock);
    entry = find_domain(challenges, domain);
    is_shown = entry != NULL;
    if (entry) {
        SSL_certs_clear(ssl);
        is_shown = SSL_use_cert_and_key(ssl, entry->certificate->leaf, entry->certificate->key,
                                        NULL, 1) == 1;
    }
    pthread_mutex_unlock(&challenges->lock);
    return is_shown;
}
