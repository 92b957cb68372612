/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/sample.h"

#include "edge/errand.h"
#include "edge/upstream/probe.h"

enum { FIELDS = 4, ARENA_MAX = 16 * 1024 };

/* The host that the service goes by. */
static struct str host_of(const struct exchange_host *host, const struct sample *sample)
{
    const struct service *service = snapshot_service(host->snapshot, sample->service);

    return service ? probe_host(host->snapshot->rules->conf, service->conf, STR("localhost"))
                   : STR_NONE;
}

static enum status make_head(struct head *head, struct arena *arena, const struct sample *sample)
{
    if (head_init(head, arena, FIELDS) ||
        head_add(head, arena, STR("User-Agent"), STR("sluice-probe")) ||
        head_add(head, arena, STR("Accept"), STR("*/*")))
        return E_NOMEM;
    head->method = METHOD_GET;
    head->method_name = STR("GET");
    head->path = sample->path;
    head->query = sample->query;
    return OK;
}

void sample_send(struct exchange_host *host, const struct sample *sample)
{
    struct caller nobody = {.text = STR("unix:"), .scheme = STR("http")};
    struct errand_ask ask = {.service = sample->service,
                             .release = sample->release,
                             .caller = &nobody};
    struct head head = {0};
    struct arena arena;

    arena_init(&arena, &host->loop->arenas, ARENA_MAX);
    head.authority = nobody.host = host->snapshot ? host_of(host, sample) : STR_NONE;
    ask.head = &head;
    if (head.authority.p && !make_head(&head, &arena, sample))
        for (uint32_t i = 0; i < sample->count; i++)
            (void)errand_send(&host->env, &ask, NULL, NULL);
    arena_reset(&arena);
}
