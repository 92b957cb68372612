/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /metrics/control: what control knows, as Prometheus text. A scrape of its own beside that of
 * the edge, so that a control that is gone is a target that is down.
 */
#include <string.h>

#include "control/control_api_impl.h"
#include "control/deploy/deploys_metrics.h"
#include "rest/prometheus.h"

static void put_edges(struct prometheus *text, const struct edges *edges)
{
    static const struct {
        const char *name, *help;
    } families[] = {
        {"sluice_control_edge_reachable", "Whether the edge answers."},
        {"sluice_control_edge_behind", "Whether the edge has not got what it was told."},
    };

    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        prometheus_family(text, families[i].name, PROMETHEUS_GAUGE, families[i].help);
        for (uint32_t k = 0; k < edges_count(edges); k++) {
            const char *name = edges_name(edges, k);
            const struct prometheus_label labels[] = {{"edge", {name, strlen(name)}}, {0}};
            bool is_so = i ? edges_is_failing(edges, k) : edges_is_reachable(edges, k);

            prometheus_u64(text, labels, is_so);
        }
    }
}

static void put_backups(struct prometheus *text, const struct backups *backups)
{
    json_t *json = backups_json(backups);
    json_int_t at_ms = json_integer_value(json_object_get(json, "at_ms"));

    if (!json)
        return;
    prometheus_family(text, "sluice_backup_last_success_timestamp_seconds", PROMETHEUS_GAUGE,
                      "When the last copy of control's database was made; 0: none was yet.");
    prometheus_double(text, NULL, (double)at_ms / 1000);
    prometheus_family(text, "sluice_backup_failing", PROMETHEUS_GAUGE,
                      "Whether the last copy of control's database could not be made.");
    prometheus_u64(text, NULL, json_is_string(json_object_get(json, "error")));
    json_decref(json);
}

void control_api_metrics(struct control_call *call)
{
    const struct control_api *api = call->api;
    const struct prometheus_label version[] = {{"version", STR(SLUICE_VERSION)}, {0}};
    struct prometheus text;

    prometheus_init(&text);
    prometheus_family(&text, "sluice_control_info", PROMETHEUS_GAUGE, "The version that runs.");
    prometheus_u64(&text, version, 1);
    prometheus_family(&text, "sluice_control_epoch", PROMETHEUS_GAUGE,
                      "The epoch of this run: edges take no word of an earlier one.");
    prometheus_u64(&text, NULL, (uint64_t)store_epoch(api->options.store));
    prometheus_family(&text, "sluice_control_store_failed", PROMETHEUS_GAUGE,
                      "Whether control cannot write what it does.");
    prometheus_u64(&text, NULL, store_error(api->options.store) != NULL);
    put_edges(&text, api->options.edges);
    put_backups(&text, api->options.backups);
    deploys_metrics(api->options.deploys, &text);
    slo_metrics(api->options.slo, &text);
    spans_metrics(api->options.spans, &text);
    rest_refused_metrics(&api->server.refused, &text);
    prometheus_process(&text);
    prometheus_reply(&text, &call->rest);
}
