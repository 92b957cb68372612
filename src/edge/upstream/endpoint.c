/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/endpoint.h"

#include <assert.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "edge/tls/tls_client.h"

static bool copy_text(struct str *to, struct str from)
{
    char *p = malloc(from.len + 1);

    if (!p)
        return false;
    if (from.len)
        memcpy(p, from.p, from.len);
    p[from.len] = '\0';
    *to = (struct str){p, from.len};
    return true;
}

static void destroy(struct endpoint *endpoint)
{
    for (unsigned i = 0; i < endpoint->workers; i++) {
        assert(!endpoint->locals[i].idle && !endpoint->locals[i].shared);
        SSL_SESSION_free(endpoint->locals[i].session);
    }
    free((void *)(uintptr_t)endpoint->service.p);
    free((void *)(uintptr_t)endpoint->id.p);
    free((void *)(uintptr_t)endpoint->address.p);
    free(endpoint);
}

struct endpoint *endpoint_new(struct str service, struct str id, struct str address,
                              unsigned workers)
{
    size_t size = sizeof(struct endpoint) + workers * sizeof(struct endpoint_local);
    struct endpoint *endpoint = aligned_alloc(64, (size + 63) / 64 * 64);

    if (!endpoint)
        return NULL;
    memset(endpoint, 0, size);
    endpoint->refs = 1;
    endpoint->workers = workers;
    if (copy_text(&endpoint->service, service) && copy_text(&endpoint->id, id) &&
        copy_text(&endpoint->address, address))
        return endpoint;
    destroy(endpoint);
    return NULL;
}

void endpoint_ref(struct endpoint *endpoint)
{
    __atomic_fetch_add(&endpoint->refs, 1, __ATOMIC_RELAXED);
}

void endpoint_unref(struct endpoint **endpoint)
{
    struct endpoint *gone = *endpoint;

    *endpoint = NULL;
    if (gone && __atomic_sub_fetch(&gone->refs, 1, __ATOMIC_ACQ_REL) == 0)
        destroy(gone);
}

void endpoint_keep_session(struct endpoint_local *local, struct ssl_session_st *session,
                           uint64_t manner)
{
    SSL_SESSION_free(local->session);
    local->session = session;
    local->session_manner = manner;
}

static enum status resolve_unix(struct str path, struct endpoint_address *address)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address->socket;

    if (path.len >= sizeof(un->sun_path))
        return E_INVALID;
    memset(address, 0, sizeof(*address));
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.p, path.len);
    address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
    return OK;
}

static enum status lookup(const char *host, const char *port, struct addrinfo **list,
                          const char **error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    int failed = getaddrinfo(host, port, &hints, list);

    if (failed)
        *error = gai_strerror(failed);
    return failed ? E_NOT_FOUND : OK;
}

enum status endpoint_resolve(const struct conf_address *address, struct endpoint_address *addresses,
                             unsigned *count, const char **error)
{
    char host[256], port[8];
    struct addrinfo *list = NULL;

    *count = 0;
    *error = "the name or path is too long";
    if (address->is_unix) {
        enum status status = resolve_unix(address->host, addresses);

        *count = !status;
        return status;
    }
    if (address->host.len >= sizeof(host))
        return E_INVALID;
    snprintf(host, sizeof(host), "%.*s", STR_FMT(address->host));
    snprintf(port, sizeof(port), "%u", address->port);
    if (lookup(host, port, &list, error))
        return E_NOT_FOUND;
    for (struct addrinfo *at = list; at && *count < ENDPOINT_ADDRESSES_MAX; at = at->ai_next) {
        if (at->ai_addrlen > sizeof(struct sockaddr_storage))
            continue;
        memcpy(&addresses[*count].socket, at->ai_addr, at->ai_addrlen);
        addresses[(*count)++].len = at->ai_addrlen;
    }
    freeaddrinfo(list);
    return *count ? OK : E_NOT_FOUND;
}

uint64_t endpoint_fingerprint(const struct endpoint_address *addresses, unsigned count)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < count; i++)
        sum += XXH3_64bits(&addresses[i].socket, addresses[i].len);
    return sum;
}

static void add(uint64_t *cell, uint64_t n)
{
    __atomic_store_n(cell, *cell + n, __ATOMIC_RELAXED); // one writer
}

static void tell_answer(struct endpoint *endpoint, struct endpoint_told *told, uint64_t wait_us)
{
    uint32_t slow_us = __atomic_load_n(&endpoint->slow_us, __ATOMIC_RELAXED);

    add(&told->answers, 1);
    add(&told->latency_us, wait_us);
    if (slow_us && wait_us > slow_us)
        add(&told->slow, 1);
}

/* Another failure in a row; true when they are too many. */
static bool add_to_row(struct endpoint *endpoint, struct endpoint_told *told)
{
    uint32_t most = __atomic_load_n(&endpoint->in_row_max, __ATOMIC_RELAXED);

    __atomic_store_n(&told->in_row, told->in_row + 1, __ATOMIC_RELAXED);
    if (!most || told->in_row < most)
        return false;
    __atomic_store_n(&told->in_row, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&endpoint->is_suspect, true, __ATOMIC_RELAXED);
    return true;
}

bool endpoint_tell(struct endpoint *endpoint, unsigned worker, enum endpoint_verdict verdict,
                   uint64_t wait_us)
{
    struct endpoint_told *told = &endpoint->locals[worker].told;
    bool is_suspect = false;

    if (verdict != ENDPOINT_CUT)
        add(&told->requests, 1);
    if (wait_us != UINT64_MAX)
        tell_answer(endpoint, told, wait_us);
    if (verdict != ENDPOINT_SERVED)
        add(&told->failures, 1);
    if (verdict == ENDPOINT_FAILED || verdict == ENDPOINT_CUT)
        is_suspect = add_to_row(endpoint, told);
    else if (verdict == ENDPOINT_SERVED && told->in_row)
        __atomic_store_n(&told->in_row, 0, __ATOMIC_RELAXED);
    return is_suspect || __atomic_load_n(&endpoint->is_half_open, __ATOMIC_RELAXED);
}

bool endpoint_take_trial(struct endpoint *endpoint)
{
    uint32_t left = __atomic_load_n(&endpoint->trials, __ATOMIC_RELAXED);

    while (left)
        if (__atomic_compare_exchange_n(&endpoint->trials, &left, left - 1, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return true;
    return false;
}

void endpoint_give_trial(struct endpoint *endpoint)
{
    if (__atomic_load_n(&endpoint->is_half_open, __ATOMIC_RELAXED))
        __atomic_fetch_add(&endpoint->trials, 1, __ATOMIC_RELAXED);
}
