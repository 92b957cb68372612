# SPDX-License-Identifier: Apache-2.0
"""The dashboards of deploy/grafana, against what Grafana 11 exports as far as they use it; what is provisioned; and the files
of Loki and of Alloy. None of the three programs is in Debian: what can be told without them is told here."""
import json
import os
import re

import observe
import tree

GRAFANA, LOKI = "deploy/grafana", "deploy/loki"
SCHEMA_VERSION = 39  # Grafana 11.0; later ones read it
TITLES = ["deploys", "limits", "overview", "process", "routes", "services"]
TOP = {"annotations", "description", "editable", "fiscalYearStartMonth", "graphTooltip", "id", "links", "panels", "refresh",
       "schemaVersion", "tags", "templating", "time", "timepicker", "timezone", "title", "uid", "version", "weekStart"}
PANEL = {"datasource", "description", "fieldConfig", "gridPos", "id", "options", "targets", "title", "type"}
KINDS = {"stat", "timeseries", "state-timeline", "heatmap", "table"}
# Units by the ids that Grafana has for them.
UNITS = {"none", "reqps", "cps", "ops", "Bps", "bytes", "s", "ms", "percentunit", "dateTimeFromNow"}
OWN = re.compile(r"^(?:__\w+|\d+)$")  # Grafana's own: $__rate_interval, ${__value.text}
VARIABLE = re.compile(r"\$\{(\w+)[^}]*\}|\$(\w+)")
# What may be a label in Loki: each has few values.
LABELS = {"job", "service", "route", "code", "level"}


def dashboards():
    folder = os.path.join(tree.ROOT, GRAFANA, "dashboards")
    for name in sorted(os.listdir(folder)):
        yield f"{GRAFANA}/dashboards/{name}", json.loads(tree.read(f"{GRAFANA}/dashboards/{name}"))


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(board):
    """(what it is, its datasource, expression) of all that a dashboard asks."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield panel["title"], target["datasource"], target["expr"]
    for note in board["annotations"]["list"]:
        if not note.get("builtIn"):
            yield note["name"], note["datasource"], note["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["datasource"], variable["definition"]


def used(text):
    return {a or b for a, b in VARIABLE.findall(text) if not OWN.match(a or b)}


# --- one dashboard

def check_shape(board):
    if set(board) != TOP:
        yield f"keys that are missing or odd: {', '.join(sorted(set(board) ^ TOP))}"
    if board["schemaVersion"] != SCHEMA_VERSION or board["id"] is not None or "sluice" not in board["tags"]:
        yield f"wants schemaVersion {SCHEMA_VERSION}, id null and the tag sluice"
    ids = [panel["id"] for panel in board["panels"]]
    if len(set(ids)) != len(ids):
        yield "two panels have the same id"
    titles = [panel["title"] for panel in board["panels"]]
    if not all(titles):
        yield "a panel has no title"


def check_grid(board):
    taken = {}
    for panel in board["panels"]:
        at = panel["gridPos"]
        if at["x"] < 0 or at["x"] + at["w"] > 24 or at["w"] <= 0 or at["h"] <= 0:
            yield f"{panel['title']}: does not fit into 24 columns"
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                if taken.setdefault((x, y), panel["id"]) != panel["id"]:
                    yield f"{panel['title']}: lies over another panel"
                    return


def check_panel(panel):
    title = panel["title"]
    if panel["type"] not in KINDS or not PANEL <= set(panel) <= PANEL | {"transformations"}:
        yield f"{title}: is of a kind, or has keys, that are not known here"
        return
    if not panel["description"].strip().endswith("."):
        yield f"{title}: has no description"
    defaults = panel["fieldConfig"]["defaults"]
    if defaults.get("unit") not in UNITS:
        yield f"{title}: has no unit, or one that Grafana may not have: {defaults.get('unit')}"
    steps = defaults.get("thresholds", {}).get("steps", [])
    values = [step["value"] for step in steps[1:]]
    if not steps or steps[0]["value"] is not None or values != sorted(values):
        yield f"{title}: its thresholds do not begin with null, or do not rise"
    refs = [target["refId"] for target in panel["targets"]]
    if not refs or len(set(refs)) != len(refs):
        yield f"{title}: has no query, or two with one refId"
    for target in panel["targets"]:
        if target["datasource"] != panel["datasource"] or not re.fullmatch(r"\$\{(datasource|loki)\}", target["datasource"]["uid"]):
            yield f"{title}: does not take its datasource from the variable"
        if target["datasource"]["type"] == "prometheus" and panel["type"] != "table" and not target["legendFormat"]:
            yield f"{title}: a series has no name in the legend"


def check_variables(board):
    defined = {variable["name"] for variable in board["templating"]["list"]}
    asks = used(json.dumps(board["panels"]) + json.dumps(board["annotations"]) + json.dumps(board["links"])
                + json.dumps(board["templating"]))
    for name in sorted(asks - defined):
        yield f"${name} is not defined"
    for name in sorted(defined - asks):
        yield f"${name} is defined, and nothing uses it"
    for variable in board["templating"]["list"]:
        if not variable.get("description") or not variable.get("label"):
            yield f"${variable['name']}: has no label or no description"


def check_queries(board):
    for what, source, expression in queries(board):
        if source["type"] == "loki":
            selector = re.match(r"\{([^}]*)\}", expression)
            labels = set(re.findall(r"(\w+)\s*[=!]", selector.group(1))) if selector else {"none"}
            if not labels <= LABELS:
                yield f"{what}: asks Loki for labels that it does not have: {', '.join(sorted(labels - LABELS))}"
            continue
        plain = re.sub(r"label_values\((.*), \w+\)", r"\1", expression)
        for metric in observe.unknown(VARIABLE.sub("x", plain.replace("[$__rate_interval]", "[1m]"))):
            yield f"{what}: neither the program nor a rule has {metric}"


def check_links(board):
    notes = [note["expr"] for note in board["annotations"]["list"] if not note.get("builtIn")]
    if not any("sluice_deploy_running" in n for n in notes) or not any("sluice_deploy_last_end" in n for n in notes):
        yield "does not show deploys as annotations"
    is_of_requests = any(p["datasource"]["type"] == "loki" for p in panels(board))
    if is_of_requests and "${admin}/#why=${__value.text}" not in json.dumps(board["panels"]):
        yield "shows requests without a link to why"


def check_dashboards():
    uids = {}
    names = []
    for path, board in dashboards():
        names.append(os.path.basename(path).removesuffix(".json"))
        if uids.setdefault(board["uid"], path) != path or board["uid"] != f"sluice-{names[-1]}":
            yield f"{path}: its uid is another's, or not sluice-{names[-1]}"
        checks = [check_shape, check_grid, check_variables, check_queries, check_links]
        for problem in [p for check_one in checks for p in check_one(board)]:
            yield f"{path}: {problem}"
        for problem in [p for panel in panels(board) for p in check_panel(panel)]:
            yield f"{path}: {problem}"
    if names != TITLES:
        yield f"{GRAFANA}/dashboards: there should be {', '.join(TITLES)}"


def check_provisioning():
    sources = observe.load(f"{GRAFANA}/provisioning/datasources/sluice.yml")
    kinds = [source["type"] for source in sources["datasources"]]
    if sources["apiVersion"] != 1 or kinds != ["prometheus", "loki"]:
        yield f"{GRAFANA}/provisioning/datasources/sluice.yml: wants Prometheus and Loki, apiVersion 1"
    boards = observe.load(f"{GRAFANA}/provisioning/dashboards/sluice.yml")
    if boards["apiVersion"] != 1 or [p["type"] for p in boards["providers"]] != ["file"]:
        yield f"{GRAFANA}/provisioning/dashboards/sluice.yml: wants one provider of files, apiVersion 1"


# --- Loki: keys of its documentation (version 3) that loki.yml may use; a dict goes deeper, None takes any value

LOKI_KEYS = {
    "auth_enabled": None,
    "server": {"http_listen_address": None, "http_listen_port": None, "grpc_listen_address": None, "grpc_listen_port": None},
    "common": {"instance_addr": None, "path_prefix": None, "replication_factor": None, "ring": {"kvstore": {"store": None}},
               "storage": {"filesystem": {"chunks_directory": None, "rules_directory": None}}},
    "schema_config": {"configs": {"from": None, "store": None, "object_store": None, "schema": None,
                                  "index": {"prefix": None, "period": None}}},
    "limits_config": {"retention_period": None, "max_global_streams_per_user": None},
    "compactor": {"working_directory": None, "retention_enabled": None, "delete_request_store": None},
    "analytics": {"reporting_enabled": None},
}


def odd_keys(value, known, at):
    if known is None:
        return
    for entry in value if isinstance(value, list) else [value]:
        for key, inner in entry.items():
            if key not in known:
                yield f"{at}{key} is not known here"
            else:
                yield from odd_keys(inner, known[key], f"{at}{key}.")


def check_loki():
    config = observe.load(f"{LOKI}/loki.yml")
    yield from (f"{LOKI}/loki.yml: {problem}" for problem in odd_keys(config, LOKI_KEYS, ""))
    schema = config["schema_config"]["configs"][-1]
    # Structured metadata, which Loki 3 has on, and retention want these.
    if (schema["store"], schema["schema"], schema["index"]["period"]) != ("tsdb", "v13", "24h"):
        yield f"{LOKI}/loki.yml: Loki 3 wants store tsdb, schema v13 and a period of 24h"
    if config["compactor"]["retention_enabled"] and not config["compactor"].get("delete_request_store"):
        yield f"{LOKI}/loki.yml: retention wants delete_request_store"


def check():
    return [*check_dashboards(), *check_provisioning(), *check_loki()]
