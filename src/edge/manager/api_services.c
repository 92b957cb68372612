/* SPDX-License-Identifier: Apache-2.0
 *
 * Services and targets in GET /api/v1/status: from what the manager knows, and from relaxed reads
 * of the workers' own numbers.
 */
#include <string.h>

#include "base/clock.h"
#include "edge/manager/api.h"

static json_t *text_json(struct str text)
{
    json_t *json = json_stringn(text.p ? text.p : "", text.len);

    return json ? json : json_string("");
}

/* --- a target */

static void put_health(json_t *json, const struct checks_view *view)
{
    json_object_set_new(json, "state", json_string(view->state));
    json_object_set_new(json, "reason", json_string(view->reason));
    json_object_set_new(json, "since_s", json_integer((json_int_t)(view->since_ms / 1000)));
    if (view->is_checked)
        json_object_set_new(json, "last_check",
                            json_pack("{s:b,s:s,s:I,s:I}", "passed", view->last_passed, "words",
                                      view->last_words, "ago_ms", (json_int_t)view->last_ago_ms,
                                      "took_ms", (json_int_t)view->last_took_ms));
    if (view->ejected_for_ms)
        json_object_set_new(json, "ejected_for_ms", json_integer((json_int_t)view->ejected_for_ms));
    if (view->breaker)
        json_object_set_new(json, "breaker", json_string(view->breaker));
    if (view->limit)
        json_object_set_new(json, "limit", json_integer(view->limit));
}

/* Who has taken it out. */
static const char *drained_by(const struct manager *m, const struct release *release,
                              const struct snapshot_target *target)
{
    struct str service = release->service->conf->name.s;

    return overlay_control_drains(m->overlay, service, target->endpoint->id) ? "control" : "api";
}

static json_t *one_target_json(const struct manager *m, const struct release *release,
                               const struct snapshot_target *target)
{
    static const char *const sources[] = {[TARGET_FILE] = "file",
                                          [TARGET_API] = "api",
                                          [TARGET_FOUND] = "discovered",
                                          [TARGET_CONTROL] = "control"};
    const struct endpoint *endpoint = target->endpoint;
    uint64_t in_flight = 0, open = 0, idle = 0;
    struct checks_view view;
    json_t *json;

    for (unsigned w = 0; w < endpoint->workers; w++) {
        in_flight += __atomic_load_n(&endpoint->locals[w].in_flight, __ATOMIC_RELAXED);
        open += __atomic_load_n(&endpoint->locals[w].open, __ATOMIC_RELAXED);
        idle += __atomic_load_n(&endpoint->locals[w].idle_count, __ATOMIC_RELAXED);
    }
    json = json_pack("{s:o,s:o,s:o,s:i,s:b,s:s,s:I,s:{s:I,s:I},s:i}", "id", text_json(endpoint->id),
                     "address", text_json(endpoint->address), "release", text_json(release->id),
                     "weight", (int)target->weight, "drained", target->is_drained, "source",
                     sources[target->source], "in_flight", (json_int_t)in_flight, "connections",
                     "open", (json_int_t)open, "idle", (json_int_t)idle, "resolved",
                     (int)endpoint->address_count);
    if (target->is_drained)
        json_object_set_new(json, "drained_source", json_string(drained_by(m, release, target)));
    if (target->region.len)
        json_object_set_new(json, "region", text_json(target->region));
    if (target->priority)
        json_object_set_new(json, "priority", json_integer(target->priority));
    if (checks_see(m->checks, endpoint, &view))
        put_health(json, &view);
    return json;
}

/* --- a service */

struct balance {
    const char *mode, *words;
};

static const struct balance *balance_of(enum tiers_mode mode)
{
    static const struct balance modes[] = {
        [TIERS_NORMAL] = {"normal", "Requests go to the targets that are up."},
        [TIERS_EJECTED_USED] = {"ejected_used",
                                "No target is up: those that were ejected are used after all."},
        [TIERS_PANIC] = {"panic", "So few targets are up that all are used, whatever their checks "
                                  "say: see health.panic."},
        [TIERS_UNKNOWN] = {"unknown", "No target has been checked yet: requests wait for the first "
                                      "result."},
        [TIERS_NONE] = {"none", "No target can be used: requests get the fallback, or 503."},
    };

    return &modes[mode];
}

/* As a worker would: a copy is weighed, its own is its own. */
static enum tiers_mode weigh(const struct release *release)
{
    const struct conf_health *health = &release->service->conf->health;
    const struct tiers_rule rule = {.panic_ppm = health->panic_ppm, .spill_ppm = health->spill_ppm};
    struct tiers_target targets[BALANCER_TARGETS_MAX];
    struct tier tiers[BALANCER_TARGETS_MAX];

    for (uint32_t i = 0; i < release->count; i++) {
        const struct snapshot_target *target = &release->targets[i];
        uint32_t standing = __atomic_load_n(&target->endpoint->standing, __ATOMIC_RELAXED);

        targets[i] = (struct tiers_target){
            .weight = target->weight,
            .tier = target->tier,
            .standing = target->is_drained ? STANDING_DRAINED : (uint8_t)standing,
        };
    }
    return tiers_weigh(&rule, targets, release->count, tiers,
                       tiers_split(targets, release->count, tiers));
}

static json_int_t count_waiting(const struct gate *gate)
{
    json_int_t sum = 0;

    for (unsigned w = 0; w < gate->workers; w++)
        sum += __atomic_load_n(&gate->locals[w].waiting, __ATOMIC_RELAXED);
    return sum;
}

static json_t *discover_json(const struct manager *m, const struct conf_discover *what)
{
    static const char *const types[] = {[CONF_DISCOVER_BOTH] = "A and AAAA",
                                        [CONF_DISCOVER_A] = "A",
                                        [CONF_DISCOVER_AAAA] = "AAAA",
                                        [CONF_DISCOVER_SRV] = "SRV"};
    bool is_file = what->file.s.len;
    struct discovery_view view;
    json_t *json;

    if (!discovery_see(m->discovery, what, &view))
        return NULL;
    json = json_pack("{s:o,s:I,s:I}", "source",
                     is_file ? json_sprintf("file %.*s", STR_FMT(what->file.s))
                             : json_sprintf("dns %.*s %s", STR_FMT(what->dns.s), types[what->type]),
                     "count", (json_int_t)view.count, "changed_ago_s",
                     (json_int_t)(view.changed_ago_ms / 1000));
    if (view.problem)
        json_object_set_new(json, "problem", json_string(view.problem));
    return json;
}

static json_t *release_json(const struct release *release, uint64_t sum)
{
    const struct balance *balance = balance_of(weigh(release));
    uint32_t up = 0;

    for (uint32_t i = 0; i < release->count; i++)
        up += __atomic_load_n(&release->targets[i].endpoint->standing, __ATOMIC_RELAXED) ==
              STANDING_UP;
    return json_pack("{s:o,s:b,s:i,s:f,s:i,s:i,s:I,s:s,s:s}", "id", text_json(release->id),
                     "stable", release == release->service->releases, "share", (int)release->share,
                     "percent", 100.0 * (double)release->share / (double)sum, "targets",
                     (int)release->count, "up", (int)up, "waiting", count_waiting(release->gate),
                     "balance_mode", balance->mode, "balance_words", balance->words);
}

static json_t *control_json(const struct overlay_control *control)
{
    json_t *json = json_pack("{s:I,s:I}", "epoch", (json_int_t)control->epoch, "revision",
                             (json_int_t)control->revision);

    if (control->deploy.len)
        json_object_set_new(json, "deploy", text_json(control->deploy));
    return json;
}

static json_t *scale_json(const struct service *service)
{
    const struct service_scale *scale = &service->scale;
    uint64_t now_ms = clock_wall_ms();
    uint32_t held = __atomic_load_n(&service->demand->held, __ATOMIC_RELAXED);
    json_t *json =
        json_pack("{s:s,s:I}", "state", overlay_scale_word(scale->state), "held", (json_int_t)held);

    if (scale->eta_ms)
        json_object_set_new(json, "eta_ms", json_integer((json_int_t)scale->eta_ms));
    if (scale->retry_ms > now_ms)
        json_object_set_new(json, "retry_ms", json_integer((json_int_t)(scale->retry_ms - now_ms)));
    if (scale->why.len)
        json_object_set_new(json, "why", text_json(scale->why));
    return json;
}

/* --- its targets, of which a part may be asked for */

/* In a word, as `sluice status` says it. */
static const char *word_of(const struct manager *m, const struct snapshot_target *target)
{
    struct checks_view view;

    if (target->is_drained)
        return "drained";
    return checks_see(m->checks, target->endpoint, &view) ? view.state : "unknown";
}

/* Those that are up, or those that are not, of what was asked for. */
struct part {
    const struct api_services_part *asked;
    uint64_t passed; /* targets that went by */
    bool is_up;
};

static bool is_wanted(struct part *part, bool is_up)
{
    uint64_t place = part->passed;

    if (is_up != part->is_up)
        return false;
    part->passed++;
    return place >= part->asked->skip && place - part->asked->skip < part->asked->targets;
}

static void put_part(json_t *list, const struct manager *m, const struct service *service,
                     struct part *part)
{
    for (uint32_t i = 0; i < service->release_count; i++) {
        const struct release *release = &service->releases[i];

        for (uint32_t k = 0; k < release->count; k++) {
            const struct snapshot_target *target = &release->targets[k];

            if (is_wanted(part, !strcmp(word_of(m, target), "up")))
                json_array_append_new(list, one_target_json(m, release, target));
        }
    }
}

/* All in their order; of a part those first that are not up. */
static json_t *targets_json(const struct manager *m, const struct service *service,
                            const struct api_services_part *asked)
{
    json_t *list = json_array();
    struct part part = {.asked = asked};

    for (uint32_t i = 0; !asked->is_part && i < service->release_count; i++) {
        const struct release *release = &service->releases[i];

        for (uint32_t k = 0; k < release->count; k++)
            json_array_append_new(list, one_target_json(m, release, &release->targets[k]));
    }
    for (int is_up = 0; asked->is_part && is_up < 2; is_up++) {
        part.is_up = is_up;
        put_part(list, m, service, &part);
    }
    return list;
}

/* How many there are, of each state. */
static json_t *states_json(const struct manager *m, const struct service *service)
{
    json_t *json = json_object();

    for (uint32_t i = 0; i < service->release_count; i++) {
        const struct release *release = &service->releases[i];

        for (uint32_t k = 0; k < release->count; k++) {
            const char *word = word_of(m, &release->targets[k]);
            json_int_t sum = json_integer_value(json_object_get(json, word));

            json_object_set_new(json, word, json_integer(sum + 1));
        }
    }
    return json;
}

static json_t *service_json(const struct manager *m, const struct service *service,
                            const struct api_services_part *asked)
{
    const struct balance *balance = balance_of(weigh(&service->releases[0]));
    json_t *releases = json_array(), *json;
    struct overlay_control control = overlay_control(m->overlay, service->conf->name.s);
    json_int_t waiting = 0;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < service->release_count; i++)
        sum += service->releases[i].share;
    for (uint32_t i = 0; i < service->release_count; i++) {
        const struct release *release = &service->releases[i];

        json_array_append_new(releases, release_json(release, sum));
        waiting += count_waiting(release->gate);
    }
    json = json_pack("{s:o,s:s,s:s,s:s,s:I,s:s,s:s,s:o,s:b,s:s,s:o}", "name",
                     text_json(service->conf->name.s), "balance", service->balancer->name, "mode",
                     api_mode_name(service->mode), "mode_source",
                     service->mode == SERVICE_RUNS ? "default" : "api", "waiting", waiting,
                     "balance_mode", balance->mode, "balance_words", balance->words, "releases",
                     releases, "has_releases", (int)service->has_releases, "split_source",
                     service->split_source == TARGET_API ? "api" : "file", "targets",
                     targets_json(m, service, asked));
    json_object_set_new(json, "target_states", states_json(m, service));
    if (control.revision)
        json_object_set_new(json, "control", control_json(&control));
    if (service->policy)
        json_object_set_new(json, "scale", scale_json(service));
    if (service->conf->discover.is_set)
        json_object_set_new(json, "discover", discover_json(m, &service->conf->discover));
    return json;
}

json_t *api_services_status(const struct manager *m, const struct api_services_part *asked)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < m->snapshot->service_count; i++) {
        const struct service *service = &m->snapshot->services[i];

        if (!asked->service.p || str_same(asked->service, service->conf->name.s))
            json_array_append_new(list, service_json(m, service, asked));
    }
    return list;
}
