/* SPDX-License-Identifier: Apache-2.0 */
#include "control/deploy/deploys_metrics.h"

#include <string.h>

#include "control/deploy/impl.h"
#include "control/deploy/unit.h"
#include "control/scale/scaled.h"

static struct str text_of(const char *text)
{
    return (struct str){text, strlen(text)};
}

/* --- deploys */

static void put_ended(struct prometheus *text, const struct managed *managed)
{
    static const struct str words[MANAGED_ENDS] = {
        [MANAGED_PROMOTED] = STR_INIT("promoted"),
        [MANAGED_ROLLED_BACK] = STR_INIT("rolled_back"),
        [MANAGED_ABORTED] = STR_INIT("aborted"),
        [MANAGED_FAILED] = STR_INIT("failed"),
    };

    for (unsigned i = 0; i < MANAGED_ENDS; i++) {
        const struct prometheus_label labels[] = {{"service", text_of(managed->name)},
                                                  {"result", words[i]},
                                                  {0}};

        prometheus_u64(text, labels, managed->ended[i]);
    }
}

static bool is_running(const struct managed *managed)
{
    return managed->deploy && !deploy_is_told(&managed->deploy->state);
}

static bool waits_for_person(const struct managed *managed)
{
    return managed->deploy && deploy_is_asking(&managed->deploy->state);
}

/* When its last deploy came to its end, Unix milliseconds; 0: none did. */
static int64_t last_end(const struct managed *managed)
{
    int64_t last_ms = 0;

    for (const struct deploy *deploy = managed->deploys->all; deploy; deploy = deploy->next)
        if (deploy->managed == managed && deploy->state.since_ms > last_ms &&
            deploy_is_told(&deploy->state))
            last_ms = deploy->state.since_ms;
    return last_ms;
}

/* --- units */

static uint32_t count_running(const struct managed *managed)
{
    uint32_t count = 0;

    for (const struct unit *unit = managed->units; unit; unit = unit->next)
        count += unit_runs(unit);
    return count;
}

static void put_replicas(struct prometheus *text, const struct managed *managed)
{
    struct prometheus_label labels[] = {{"service", text_of(managed->name)},
                                        {"state", STR("running")},
                                        {0}};

    if (!managed->provider)
        return;
    prometheus_u64(text, labels, count_running(managed));
    if (!managed->scaled)
        return;
    labels[1].value = STR("wanted");
    prometheus_u64(text, labels, managed->scaled->state.wanted);
    labels[1].value = STR("healthy");
    prometheus_u64(text, labels, managed->scaled->ready);
}

/* --- families of one number a service */

enum number { RUNNING, WAITING, LAST_END, CAPPED, ASLEEP, BROKEN, SPENT, NUMBERS };

static const struct {
    const char *name, *help;
    bool is_scaled; /* only of services that are */
} numbers[NUMBERS] = {
    [RUNNING] = {"sluice_deploy_running", "Whether a deploy is under way.", false},
    [WAITING] = {"sluice_deploy_waits_for_person", "Whether a deploy goes on only by a word.",
                 false},
    [LAST_END] = {"sluice_deploy_last_end_timestamp_seconds",
                  "When the last deploy came to its end; 0: there was none.", false},
    [CAPPED] = {"sluice_scale_capped", "Whether load asks for more units than are allowed.", true},
    [ASLEEP] = {"sluice_service_asleep", "Whether no unit runs, since nobody asks.", true},
    [BROKEN] = {"sluice_service_wake_broken", "Whether units fail to start.", true},
    [SPENT] = {"sluice_scale_spent_day", "What units have cost today, in the unit of the prices.",
               true},
};

static double value_of(const struct managed *managed, enum number number)
{
    const struct scaled *scaled = managed->scaled;

    switch (number) {
    case RUNNING:
        return is_running(managed);
    case WAITING:
        return waits_for_person(managed);
    case LAST_END:
        return (double)last_end(managed) / 1000;
    case CAPPED:
        return scaled->reason == SCALE_CAPPED;
    case ASLEEP:
        return scaled->life.mode == LIFE_ASLEEP;
    case BROKEN:
        return scaled->life.mode == LIFE_BROKEN;
    default:
        return scaled->purse.spent;
    }
}

static void put_numbers(struct prometheus *text, const struct deploys *deploys, enum number number)
{
    prometheus_family(text, numbers[number].name, PROMETHEUS_GAUGE, numbers[number].help);
    for (const struct managed *managed = deploys->managed; managed; managed = managed->next) {
        const struct prometheus_label labels[] = {{"service", text_of(managed->name)}, {0}};

        if (managed->scaled || !numbers[number].is_scaled)
            prometheus_double(text, labels, value_of(managed, number));
    }
}

void deploys_metrics(const struct deploys *deploys, struct prometheus *text)
{
    prometheus_family(text, "sluice_deploys_total", PROMETHEUS_COUNTER,
                      "Deploys that came to an end since control began.");
    for (const struct managed *managed = deploys->managed; managed; managed = managed->next)
        put_ended(text, managed);
    for (int number = 0; number < NUMBERS; number++)
        put_numbers(text, deploys, (enum number)number);
    prometheus_family(text, "sluice_scale_replicas", PROMETHEUS_GAUGE,
                      "Units that run, that are wanted, and targets that are up.");
    for (const struct managed *managed = deploys->managed; managed; managed = managed->next)
        put_replicas(text, managed);
}
