/* SPDX-License-Identifier: Apache-2.0 */
#include "control/scale/scaler.h"

#include <stdlib.h>

#include "base/clock.h"
#include "control/deploy/impl.h"
#include "control/say.h"
#include "control/scale/meter.h"
#include "control/scale/policy.h"
#include "control/scale/scaler_impl.h"
#include "control/scale/wakes.h"

enum { KEEP_MS = 60 * 1000, WAKING_MS = 25, MOVING_MS = 250, STEADY_MS = 2000 };

struct scaler {
    struct deploys *deploys;
    uv_timer_t timer;
    struct meter *meter;
    struct wakes *wakes;
    int64_t keep_ms; /* monotonic: when money is written down next */
};

/* --- what is seen */

/* Of what requests go to: while a deploy runs both releases do. */
static uint32_t up_at(const struct watch *watch)
{
    const struct deploy *deploy = watch->managed->deploy;

    if (!deploy)
        return watch->all.up;
    return deploy->state.is_switched || !deploy->plan.has_old ? watch->new.up : watch->old.up;
}

/* The most targets that are up, of edges that have what they are told; `known`: where none has. */
static uint32_t count_up(const struct managed *managed, uint32_t known)
{
    bool is_seen = false;
    uint32_t up = 0;

    for (uint32_t i = 0; !managed->is_dirty && i < managed->watch_count; i++) {
        const struct watch *watch = &managed->watches[i];

        if (!watch_has_it(watch) || !watch->is_fresh)
            continue;
        is_seen = true;
        up = up_at(watch) > up ? up_at(watch) : up;
    }
    return is_seen ? up : known;
}

static bool is_deploying(const struct managed *managed)
{
    return managed->deploy && !deploy_is_told(&managed->deploy->state);
}

static struct scaled_now look(const struct managed *managed)
{
    return (struct scaled_now){.now_ms = (int64_t)clock_wall_ms(),
                               .ready = count_up(managed, managed->scaled->ready),
                               .is_deploying = is_deploying(managed)};
}

static struct scale_policy policy(const struct managed *managed,
                                  struct scale_window windows[static CONF_WINDOWS_MAX])
{
    return policy_of(&managed_conf(managed)->scale, windows);
}

/* --- what was done */

/* Into the record, which is saved and told to edges then. */
static void note(struct managed *managed)
{
    json_t *record = scaled_record(managed->scaled);

    if (!record || json_object_set_new(managed->record, "scale", record))
        say_line("out of memory: how %s is scaled is not kept", managed->name);
    managed->is_dirty = true;
}

static void say_life(const struct managed *managed)
{
    const struct scaled *scaled = managed->scaled;
    const struct life *life = &scaled->life;

    if (life->mode == LIFE_ASLEEP)
        say_line("%s goes to sleep%s", managed->name, life->is_told ? ", as it was told" : "");
    else if (life->mode == LIFE_WAKING)
        say_line("%s is woken", managed->name);
    else if (life->mode == LIFE_BROKEN)
        say_line("%s cannot be woken: %s; its requests are refused for %u s", managed->name,
                 life->why, life_retry_ms(life, life->since_ms) / 1000);
    else
        say_line("%s is awake after %u ms", managed->name, (unsigned)life->boots_ms[0]);
}

struct scaler_mark scaler_mark(const struct managed *managed)
{
    return (struct scaler_mark){managed->scaled->life.mode, managed->scaled->state.wanted};
}

void scaler_note_change(struct managed *managed, struct scaler_mark before,
                        struct scaler_cause cause)
{
    const struct scaled *scaled = managed->scaled;

    if (scaled->life.mode != before.mode)
        say_life(managed);
    else if (scaled->state.wanted != before.wanted)
        say_line("%s is scaled from %u to %u: %s", managed->name, before.wanted,
                 scaled->state.wanted, cause.why);
    scaler_ledger_change(managed, before, cause);
    note(managed);
    scaler_kick(managed->deploys->scaler, 0);
}

/* --- one service */

static void decide(struct managed *managed)
{
    struct scaled *scaled = managed->scaled;
    struct scaler_mark before = scaler_mark(managed);
    enum scale_reason reason = scaled->reason;
    struct scale_window windows[CONF_WINDOWS_MAX];
    struct scale_policy rules = policy(managed, windows);
    struct scaled_now now = look(managed);

    if (scaled_decide(scaled, &rules, &now))
        scaler_note_change(managed, before, (struct scaler_cause){NULL, scaled->why});
    if (scaled->reason == SCALE_CAPPED && reason != SCALE_CAPPED) {
        say_line("%s gets no more units: %s", managed->name, scaled->why);
        scaler_ledger_cap(managed);
    }
}

static void live(struct managed *managed)
{
    struct scaled *scaled = managed->scaled;
    struct scaler_mark before = scaler_mark(managed);
    struct units_sight units;
    struct life_seen seen;

    units_look(managed, &units);
    scaled->ready = count_up(managed, scaled->ready);
    seen = (struct life_seen){
        .now_ms = (int64_t)clock_wall_ms(),
        .is_up = count_up(managed, 0) > 0,
        .is_asked = scaled->is_asked,
        .is_used = scaled->is_used,
        .is_deploying = is_deploying(managed),
        .is_running = units.running > 0,
        .failures = units.failures,
        .failure = units.why,
        .healthy_ms = managed_conf(managed)->deploy.healthy_ms,
    };
    if (!scaled_live(scaled, &seen))
        return;
    if (scaled->life.mode == LIFE_WAKING)
        units_forgive(managed);
    scaler_note_change(managed, before, (struct scaler_cause){NULL, NULL});
    if (scaled->life.mode == LIFE_WAKING)
        decide(managed); // of how many, by who waits
}

/* A second is over. */
static void count(struct managed *managed, const struct scaler *scaler)
{
    struct scaled *scaled = managed->scaled;
    int64_t now_ms = (int64_t)clock_wall_ms();
    struct scale_sample sample = meter_sample(scaler->meter, managed->name, (double)now_ms / 1000);
    double price = (double)managed_conf(managed)->scale.price_hour / CONF_MONEY;
    struct units_sight units;

    units_look(managed, &units);
    scale_ring_add(&scaled->ring, &sample);
    purse_pay(&scaled->purse, now_ms, price * units.paid);
    scaled->is_used = sample.in_flight > 0;
    decide(managed);
}

/* Of a service that is configured so, and has something to run; else there is none. */
static void match(struct managed *managed)
{
    const struct conf_service *conf = managed_conf(managed);
    const json_t *record = json_object_get(managed->record, "scale");
    struct units_sight units;
    uint32_t running;

    if (!conf || !conf->scale.is_set || !conf->provider.is_set) {
        scaler_drop(managed);
        if (conf && record) {
            json_object_del(managed->record, "scale");
            managed->is_dirty = true;
        }
        return;
    }
    if (managed->scaled)
        return;
    managed->scaled = calloc(1, sizeof(*managed->scaled));
    if (!managed->scaled || (record && scaled_of_record(managed->scaled, record)))
        return;
    units_look(managed, &units);
    running = units.running > conf->scale.min ? units.running : conf->scale.min;
    scaled_begin(managed->scaled, running ? running : 1, (int64_t)clock_wall_ms());
    note(managed);
}

/* --- all */

void scaler_begin(struct scaler *scaler)
{
    for (struct managed *managed = scaler->deploys->managed; managed; managed = managed->next)
        match(managed);
}

/* The edge does not know yet that it sleeps, and tells of those whom the wake before was for. If
 * they wait still when it knows, it tells anew. */
static bool is_old(const struct managed *managed, const struct wakes_ask *ask)
{
    bool knows = ask->edge < managed->watch_count && watch_has_it(&managed->watches[ask->edge]);

    return (managed->is_dirty || !knows) && ask->asked_ms <= managed->scaled->life.since_ms;
}

static void on_wake(void *owner, const struct wakes_ask *ask)
{
    struct scaler *scaler = owner;
    struct managed *managed = managed_find(scaler->deploys, ask->service);

    if (!managed || !managed->scaled || managed->scaled->life.mode != LIFE_ASLEEP ||
        is_old(managed, ask))
        return;
    scaled_ask(managed->scaled, ask->held, (int64_t)clock_wall_ms());
    scaler_kick(scaler, 0);
}

/* What was spent goes with the record; edges need not hear of it. */
static void keep(struct scaler *scaler, int64_t now_ms)
{
    if (now_ms < scaler->keep_ms)
        return;
    scaler->keep_ms = now_ms + KEEP_MS;
    for (struct managed *managed = scaler->deploys->managed; managed; managed = managed->next) {
        json_t *record = managed->scaled && managed_conf(managed)->scale.price_hour
                             ? scaled_record(managed->scaled)
                             : NULL;

        if (record && !json_object_set_new(managed->record, "scale", record))
            managed_keep(managed); // not what edges are to be told of first
    }
}

void scaler_tick(struct scaler *scaler, int64_t now_ms)
{
    bool is_over, has_any = false;

    if (!scaler->deploys->is_read)
        return;
    for (struct managed *managed = scaler->deploys->managed; managed; managed = managed->next) {
        match(managed);
        has_any |= managed->scaled != NULL;
    }
    if (!has_any)
        return;
    wakes_tick(scaler->wakes, now_ms);
    is_over = meter_is_over(scaler->meter, now_ms);
    for (struct managed *managed = scaler->deploys->managed; managed; managed = managed->next) {
        if (!managed->scaled)
            continue;
        if (is_over)
            count(managed, scaler);
        live(managed);
        if (managed->scaled->life.mode == LIFE_WAKING)
            scaler_kick(scaler, WAKING_MS);
        scaler_answer(managed);
    }
    if (is_over)
        meter_begin(scaler->meter, now_ms);
    keep(scaler, now_ms);
}

static void on_timer(uv_timer_t *timer)
{
    struct scaler *scaler = timer->data;

    deploys_tick(scaler->deploys);
}

void scaler_kick(struct scaler *scaler, uint32_t ms)
{
    bool is_set = uv_is_active((uv_handle_t *)&scaler->timer);

    if (!scaler->deploys->is_closing && (!is_set || uv_timer_get_due_in(&scaler->timer) > ms))
        uv_timer_start(&scaler->timer, on_timer, ms, 0);
}

/* --- of one service, for others */

uint32_t scaler_count(const struct managed *managed, uint32_t usual)
{
    const struct scaled *scaled = managed->scaled;

    if (!scaled)
        return usual;
    if (is_deploying(managed) && !scaled->state.wanted)
        return 1;
    return scaled->life.mode == LIFE_ASLEEP ||
                   (scaled->life.mode == LIFE_BROKEN && !is_deploying(managed))
               ? 0
               : scaled->state.wanted;
}

json_t *scaler_word(const struct managed *managed)
{
    return managed->scaled ? scaled_word(managed->scaled, (int64_t)clock_wall_ms()) : NULL;
}

bool scaler_hides(const struct managed *managed)
{
    const struct scaled *scaled = managed->scaled;

    return scaled && (scaled->life.mode == LIFE_ASLEEP ||
                      (scaled->life.mode == LIFE_BROKEN && !is_deploying(managed)));
}

bool scaler_is_waking(const struct managed *managed)
{
    return managed->scaled && managed->scaled->life.mode == LIFE_WAKING;
}

uint32_t scaler_pause(const struct managed *managed, uint32_t usual_ms)
{
    const struct scaled *scaled = managed->scaled;
    uint32_t pause_ms = STEADY_MS;

    if (!scaled)
        return usual_ms;
    if (scaler_is_waking(managed))
        pause_ms = WAKING_MS;
    else if (scaled->ready != scaled->state.wanted)
        pause_ms = MOVING_MS;
    return pause_ms < usual_ms ? pause_ms : usual_ms;
}

/* --- life */

struct scaler *scaler_new(struct deploys *deploys)
{
    struct scaler *scaler = calloc(1, sizeof(*scaler));
    struct wakes_options wakes = {deploys->options.edges, on_wake, scaler};

    if (!scaler)
        return NULL;
    scaler->deploys = deploys;
    scaler->meter = meter_new(deploys->options.edges);
    scaler->wakes = wakes_new(&wakes);
    if (!scaler->meter || !scaler->wakes) {
        scaler_free(&scaler);
        return NULL;
    }
    uv_timer_init(deploys->options.loop, &scaler->timer);
    scaler->timer.data = scaler;
    return scaler;
}

void scaler_close(struct scaler *scaler)
{
    meter_free(&scaler->meter);
    wakes_free(&scaler->wakes);
    uv_close((uv_handle_t *)&scaler->timer, NULL);
}

void scaler_free(struct scaler **scaler)
{
    struct scaler *gone = *scaler;

    *scaler = NULL;
    if (!gone)
        return;
    meter_free(&gone->meter);
    wakes_free(&gone->wakes);
    free(gone);
}
