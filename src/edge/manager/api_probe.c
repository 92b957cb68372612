/* SPDX-License-Identifier: Apache-2.0
 *
 * Control asks for requests of our own to a release, where a deploy has too few of clients. They
 * are on their way when the call is answered; the counters tell what became of them.
 */
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "edge/manager/api.h"
#include "edge/sample.h"

static bool is_target(const char *text)
{
    size_t len = text ? strlen(text) : 0;

    if (!len || len > SAMPLE_PATH_MAX || *text != '/')
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] >= 127 || text[i] == '#')
            return false;
    return true;
}

/* False: the call was refused. */
static bool read_body(struct admin_call *call, const json_t *body, struct sample *sample)
{
    const char *release = json_string_value(json_object_get(body, "release"));
    const char *path = json_string_value(json_object_get(body, "path")), *mark;
    const json_t *count = json_object_get(body, "count");
    json_int_t number = count ? json_integer_value(count) : 1;

    if (!release || !is_target(path) || number < 1 || number > SAMPLE_COUNT_MAX) {
        rest_problem(&call->rest, 422, "probe_invalid",
                     "The body is {\"release\": \"ID\", \"path\": \"/PATH\", \"count\": N}, with N "
                     "from 1 to %d.",
                     SAMPLE_COUNT_MAX);
        return false;
    }
    mark = strchr(path, '?');
    *sample = (struct sample){
        .service = call->rest.parts[0],
        .release = {release, strlen(release)},
        .path = {path, mark ? (size_t)(mark - path) : strlen(path)},
        .query = mark ? (struct str){mark + 1, strlen(mark + 1)} : STR_NONE,
        .count = (uint32_t)number,
    };
    return true;
}

static void refuse_release(struct admin_call *call, const struct service *service, struct str name)
{
    const char *names[SERVICE_RELEASES_MAX];

    for (uint32_t i = 0; i < service->release_count; i++)
        names[i] = api_service_text(call, service->releases[i].id);
    api_service_unknown(call, "release", name, names, service->release_count);
}

static void pass_on(struct admin_call *call, const struct sample *sample)
{
    struct manager *m = call->admin->manager;
    uint64_t state = clock_us();

    if (worker_sample(m->workers[random_below(&state, m->worker_count)], sample))
        rest_problem(&call->rest, 503, "memory_limit", "Out of memory.");
    else
        rest_reply_json(&call->rest, 202, json_pack("{s:I}", "sent", (json_int_t)sample->count));
}

void api_probe(struct admin_call *call)
{
    const struct service *service = api_service_find(call);
    json_t *body = json_loadb(call->rest.body.p ? call->rest.body.p : "", call->rest.body.len,
                              JSON_REJECT_DUPLICATES, NULL);
    struct sample sample;

    if (!service)
        api_service_refuse(call);
    else if (read_body(call, body, &sample)) {
        if (service_named((struct service *)(uintptr_t)service, sample.release))
            pass_on(call, &sample);
        else
            refuse_release(call, service, sample.release);
    }
    json_decref(body);
}
