/* SPDX-License-Identifier: Apache-2.0
 *
 * One walk fills a text for each family, since a family's samples must stand together; what is told
 * by service is gathered, sorted and summed over its targets.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edge/metric/prometheus_stats.h"

void prometheus_stats_histogram(struct prometheus *text, const struct prometheus_label *labels,
                                const struct stat_histogram *histogram)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < STAT_BUCKETS; i++) {
        sum += histogram->buckets[i];
        prometheus_bucket(text, labels, i < STAT_BUCKETS - 1 ? stat_edges_us[i] / 1e6 : INFINITY,
                          sum);
    }
    prometheus_total(text, labels, (double)histogram->sum_us / 1e6, sum);
}

/* In the order in which they are written. */
enum family {
    REQUESTS,
    DURATION,
    IN_FLIGHT,
    BYTES,
    REFUSED,
    UPSTREAM_REQUESTS,
    UPSTREAM_DURATION,
    UPSTREAM_CONNECTIONS,
    UPSTREAM_RETRIES,
    RELEASE_REQUESTS,
    RELEASE_RESCUED,
    FAMILIES
};

static const struct info {
    const char *name;
    enum prometheus_type type;
    const char *help;
} infos[FAMILIES] = {
    [REQUESTS] = {"sluice_http_requests_total", PROMETHEUS_COUNTER,
                  "Requests answered, by route and status code."},
    [DURATION] = {"sluice_http_request_duration_seconds", PROMETHEUS_HISTOGRAM,
                  "From the first byte of a request to the last of its answer."},
    [IN_FLIGHT] = {"sluice_http_requests_in_flight", PROMETHEUS_GAUGE,
                   "Requests that are being served."},
    [BYTES] = {"sluice_http_bytes_total", PROMETHEUS_COUNTER,
               "Bytes of bodies from clients (in) and to clients (out)."},
    [REFUSED] = {"sluice_http_requests_refused_total", PROMETHEUS_COUNTER,
                 "Requests that the gateway itself refused or broke off, by reason."},
    [UPSTREAM_REQUESTS] = {"sluice_upstream_requests_total", PROMETHEUS_COUNTER,
                           "Requests sent to a target, by the status code of its answer."},
    [UPSTREAM_DURATION] = {"sluice_upstream_duration_seconds", PROMETHEUS_HISTOGRAM,
                           "From the head of a request sent to a target to the end of its answer."},
    [UPSTREAM_CONNECTIONS] = {"sluice_upstream_connections_open", PROMETHEUS_GAUGE,
                              "Connections to the targets of a service."},
    [UPSTREAM_RETRIES] = {"sluice_upstream_retries_total", PROMETHEUS_COUNTER,
                          "Attempts beyond the first of a request."},
    [RELEASE_REQUESTS] = {"sluice_release_requests_total", PROMETHEUS_COUNTER,
                          "First tries of requests, by what came of them: what a release is "
                          "judged by."},
    [RELEASE_RESCUED] = {"sluice_release_rescued_total", PROMETHEUS_COUNTER,
                         "Requests that failed on the release and went to the stable one."},
};

/* What is told of a target by its service alone. */
struct share {
    struct str service, release;
    int64_t open, idle;
    uint64_t retries;
    struct stat_histogram duration;
};

struct shares {
    struct share *items;
    size_t count, capacity;
    bool is_failed;
};

struct builder {
    struct prometheus texts[FAMILIES];
    struct shares shares;
};

static uint64_t positive(int64_t n)
{
    return n > 0 ? (uint64_t)n : 0;
}

static struct str word(const char *s)
{
    return (struct str){s, strlen(s)};
}

static void put_route_codes(struct prometheus *text, struct str route, const uint64_t *codes)
{
    for (unsigned i = 0; i < STAT_CODES; i++) {
        const struct prometheus_label labels[] = {{"route", route},
                                                  {"code", word(stat_code_label(i))},
                                                  {NULL, STR_NONE}};
        if (codes[i])
            prometheus_u64(text, labels, codes[i]);
    }
}

static void put_refused(struct prometheus *text, struct str route, const uint64_t *refused)
{
    for (unsigned i = 0; i < REASON_COUNT; i++) {
        if (!refused[i] || i == REASON_NONE)
            continue;
        const struct prometheus_label labels[] = {{"route", route},
                                                  {"reason",
                                                   word(reason_info((enum reason)i)->slug)},
                                                  {NULL, STR_NONE}};
        prometheus_u64(text, labels, refused[i]);
    }
}

static void on_route(void *owner, struct str route, const struct stat_route *sum)
{
    struct prometheus *texts = ((struct builder *)owner)->texts;
    const struct prometheus_label labels[] = {{"route", route}, {NULL, STR_NONE}};
    struct prometheus_label bytes[] = {{"route", route},
                                       {"direction", STR("in")},
                                       {NULL, STR_NONE}};
    put_route_codes(&texts[REQUESTS], route, sum->codes);
    prometheus_stats_histogram(&texts[DURATION], labels, &sum->duration);
    prometheus_u64(&texts[IN_FLIGHT], labels, positive(sum->in_flight));
    prometheus_u64(&texts[BYTES], bytes, sum->bytes_in);
    bytes[1].value = STR("out");
    prometheus_u64(&texts[BYTES], bytes, sum->bytes_out);
    put_refused(&texts[REFUSED], route, sum->refused);
}

static struct share *add_share(struct shares *shares)
{
    if (shares->count == shares->capacity) {
        size_t capacity = shares->capacity ? shares->capacity * 2 : 64;
        struct share *grown = realloc(shares->items, capacity * sizeof(*grown));
        if (!grown) {
            shares->is_failed = true;
            return NULL;
        }
        shares->items = grown;
        shares->capacity = capacity;
    }
    return &shares->items[shares->count++];
}

static void on_target(void *owner, struct str service, struct str release, struct str target,
                      const struct stat_target *sum)
{
    struct builder *builder = owner;
    for (unsigned i = 0; i < STAT_CODES; i++) {
        const struct prometheus_label labels[] = {{"service", service},
                                                  {"release", release},
                                                  {"target", target},
                                                  {"code", word(stat_code_label(i))},
                                                  {NULL, STR_NONE}};
        if (sum->codes[i])
            prometheus_u64(&builder->texts[UPSTREAM_REQUESTS], labels, sum->codes[i]);
    }
    struct share *share = add_share(&builder->shares);
    if (share)
        *share = (struct share){.service = service,
                                .release = release,
                                .open = sum->open,
                                .idle = sum->idle,
                                .retries = sum->retries,
                                .duration = sum->duration};
}

static void on_release(void *owner, uint32_t slot, const struct stats_name *name,
                       const struct stat_release *sum)
{
    struct prometheus *texts = ((struct builder *)owner)->texts;
    struct prometheus_label labels[] = {{"service", name->service},
                                        {"release", name->release},
                                        {"result", STR("good")},
                                        {NULL, STR_NONE}};
    (void)slot;
    prometheus_u64(&texts[RELEASE_REQUESTS], labels, sum->requests - sum->failures);
    labels[2].value = STR("failed");
    prometheus_u64(&texts[RELEASE_REQUESTS], labels, sum->failures);
    labels[2] = (struct prometheus_label){NULL, STR_NONE};
    prometheus_u64(&texts[RELEASE_RESCUED], labels, sum->rescued);
}

static int compare_str(struct str a, struct str b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.p, b.p, shorter) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare(const void *a, const void *b)
{
    const struct share *left = a, *right = b;
    int order = compare_str(left->service, right->service);
    return order ? order : compare_str(left->release, right->release);
}

static void add_duration(struct share *to, const struct share *from)
{
    for (unsigned i = 0; i < STAT_BUCKETS; i++)
        to->duration.buckets[i] += from->duration.buckets[i];
    to->duration.sum_us += from->duration.sum_us;
}

/* Sums each run of equal (service, release) and writes it. */
static void put_durations(struct prometheus *text, const struct shares *shares)
{
    for (size_t i = 0; i < shares->count;) {
        struct share sum = shares->items[i];
        for (i++; i < shares->count && compare(&sum, &shares->items[i]) == 0; i++)
            add_duration(&sum, &shares->items[i]);
        const struct prometheus_label labels[] = {{"service", sum.service},
                                                  {"release", sum.release},
                                                  {NULL, STR_NONE}};
        prometheus_stats_histogram(text, labels, &sum.duration);
    }
}

static void put_service(struct prometheus *texts, const struct share *sum)
{
    struct prometheus_label labels[] = {{"service", sum->service},
                                        {"state", STR("active")},
                                        {NULL, STR_NONE}};
    prometheus_u64(&texts[UPSTREAM_CONNECTIONS], labels, positive(sum->open - sum->idle));
    labels[1].value = STR("idle");
    prometheus_u64(&texts[UPSTREAM_CONNECTIONS], labels, positive(sum->idle));
    labels[1] = (struct prometheus_label){"result", STR("tried")};
    prometheus_u64(&texts[UPSTREAM_RETRIES], labels, sum->retries);
}

static void put_services(struct prometheus *texts, const struct shares *shares)
{
    for (size_t i = 0; i < shares->count;) {
        struct share sum = shares->items[i];
        for (i++; i < shares->count; i++) {
            const struct share *next = &shares->items[i];
            if (compare_str(sum.service, next->service) != 0)
                break;
            sum.open += next->open;
            sum.idle += next->idle;
            sum.retries += next->retries;
        }
        put_service(texts, &sum);
    }
}

void prometheus_stats(struct prometheus *text, const struct stats *stats)
{
    struct builder builder = {0};
    for (unsigned i = 0; i < FAMILIES; i++)
        prometheus_family(&builder.texts[i], infos[i].name, infos[i].type, infos[i].help);
    stats_walk(stats, &(struct stats_walk){&builder, on_route, on_target, on_release});
    struct shares *shares = &builder.shares;
    if (shares->count)
        qsort(shares->items, shares->count, sizeof(*shares->items), compare);
    put_durations(&builder.texts[UPSTREAM_DURATION], shares);
    put_services(builder.texts, shares);
    for (unsigned i = 0; i < FAMILIES; i++) {
        prometheus_append(text, &builder.texts[i]);
        prometheus_fini(&builder.texts[i]);
    }
    text->is_failed = text->is_failed || shares->is_failed;
    free(shares->items);
}
