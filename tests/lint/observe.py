# SPDX-License-Identifier: Apache-2.0
"""What deploy/ has for Prometheus and Alertmanager, read by promtool and amtool; each alert's scenario, upon a healthy gateway
(alone: tests/e2e/test_85_observability.py); each metric that a rule asks for is one that the program or a rule has."""
import functools
import json
import os
import re
import subprocess
import tempfile

import yaml

import tree

PROMETHEUS, ALERTMANAGER = "deploy/prometheus", "deploy/alertmanager"
ANNOTATIONS = {"summary", "description", "runbook_url"}
RECEIVERS = {"critical": "page", "warning": "team", "info": "record"}
# Of Prometheus itself.
BUILT_IN = {"up", "ALERTS", "scrape_duration_seconds", "scrape_samples_scraped"}
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def run(*command, folder=PROMETHEUS):
    done = subprocess.run(command, cwd=os.path.join(tree.ROOT, folder), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stdout + done.stderr


def load(path):
    return yaml.safe_load(tree.read(path))


def rules():
    for name in ("recording", "alerts"):
        for group in load(f"{PROMETHEUS}/rules/{name}.yml")["groups"]:
            yield from ((group["name"], rule) for rule in group["rules"])


def alerts():
    return {rule["alert"]: rule for _, rule in rules() if "alert" in rule}


# --- metrics

@functools.cache
def exported():
    """Names of the series that the program writes, from its source: each stands there as one literal."""
    names = set()
    for path in tree.files("src", suffixes=(".c",)):
        text = tree.read(path)
        names |= set(re.findall(r'"((?:sluice|process)_\w+)"', text))
        for name in re.findall(r'"(sluice_\w+)",\s*PROMETHEUS_HISTOGRAM', text):
            names |= {name + suffix for suffix in ("_bucket", "_sum", "_count")}
    return frozenset(names)


@functools.cache
def recorded():
    return frozenset(rule["record"] for _, rule in rules() if "record" in rule)


def asked(expression):
    """Names of metrics in a PromQL expression: what is no label, no keyword, no function and no string."""
    text = re.sub(r'"(?:\\.|[^"\\])*"|`[^`]*`', '""', expression)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "{}", text)
    text = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    found = set()
    for match in NAME.finditer(text):
        before, after = text[:match.start()][-1:], text[match.end():].lstrip()
        is_word = match.group() in ("and", "or", "unless", "by", "on", "offset", "bool", "group_left", "group_right", "e")
        if not is_word and not after.startswith("(") and not before.isdigit() and not before == "$":
            found.add(match.group())
    return found


def unknown(expression):
    return sorted(asked(expression) - exported() - recorded() - BUILT_IN)


# --- rules

def check_rules():
    for group, rule in rules():
        name = rule.get("alert") or rule["record"]
        for metric in unknown(rule["expr"]):
            yield f"{PROMETHEUS}/rules: {name}: neither the program nor a rule has {metric}"
    runbook = re.findall(r"^## (\w+)$", tree.read(f"{PROMETHEUS}/RUNBOOK.md"), re.M)
    for name, rule in alerts().items():
        if rule["labels"].get("severity") not in RECEIVERS:
            yield f"{PROMETHEUS}/rules/alerts.yml: {name}: its severity is none of {', '.join(RECEIVERS)}"
        if set(rule["annotations"]) != ANNOTATIONS:
            yield f"{PROMETHEUS}/rules/alerts.yml: {name}: wants exactly {', '.join(sorted(ANNOTATIONS))}"
        if rule["annotations"].get("runbook_url") != f"{PROMETHEUS}/RUNBOOK.md#{name.lower()}":
            yield f"{PROMETHEUS}/rules/alerts.yml: {name}: runbook_url does not lead to its section"
    if runbook != list(alerts()):
        odd = sorted(set(runbook) ^ set(alerts())) or ["the order"]
        yield f"{PROMETHEUS}/RUNBOOK.md: its sections are not the alerts, in their order: {', '.join(odd)}"


def check_promtool():
    files = [f"rules/{n}" for n in sorted(os.listdir(os.path.join(tree.ROOT, PROMETHEUS, "rules")))]
    for command in (["check", "config", "prometheus.yml"], ["check", "rules", *files]):
        code, _, text = run("promtool", *command)
        if code:
            yield f"{PROMETHEUS}: promtool {' '.join(command)}: {text.strip()}"


# --- scenarios

def scenarios():
    """(file, test) of each; `healthy` is the background."""
    folder = os.path.join(tree.ROOT, PROMETHEUS, "tests")
    for name in sorted(os.listdir(folder)):
        for test in load(f"{PROMETHEUS}/tests/{name}")["tests"]:
            yield name, test


def check_coverage():
    fires, is_silent = set(), set()
    for _, test in scenarios():
        for case in test["alert_rule_test"]:
            if case["exp_alerts"]:
                fires.add(case["alertname"])
            elif "name" in test:
                is_silent.add(case["alertname"])
    for name in alerts():
        if name not in fires:
            yield f"{PROMETHEUS}/tests: {name} fires in no scenario"
        if name not in is_silent:
            yield f"{PROMETHEUS}/tests: {name} is in no scenario silent just below its threshold"
    for name in sorted((fires | is_silent) - set(alerts())):
        yield f"{PROMETHEUS}/tests: there is no alert {name}"


def identity(series):
    name, _, labels = series.partition("{")
    return name, frozenset(re.findall(r'(\w+)="([^"]*)"', labels))


def minutes(duration):
    return sum(int(n) * {"d": 1440, "h": 60, "m": 1}[unit] for n, unit in re.findall(r"(\d+)([dhm])", duration))


def upon(test, background):
    """The test with the background's series beneath its own, and silence of each alert it does not name at a time."""
    own = {identity(s["series"]) for s in test["input_series"]}
    length = max(minutes(case["eval_time"]) for case in test["alert_rule_test"]) // minutes(test["interval"]) + 2
    beneath = [{"series": s["series"], "values": re.sub(r"x\d+$", f"x{length}", s["values"])}
               for s in background if identity(s["series"]) not in own]
    cases = list(test["alert_rule_test"])
    named = {(case["eval_time"], case["alertname"]) for case in cases}
    # The other alerts are asked when one fires, once for each time.
    for time in sorted({case["eval_time"] for case in cases if case["exp_alerts"]}):
        cases += [{"eval_time": time, "alertname": name, "exp_alerts": []} for name in alerts() if (time, name) not in named]
    return {**test, "input_series": test["input_series"] + beneath, "alert_rule_test": cases}


def check_scenarios():
    """With all else that a gateway shows."""
    folder = os.path.join(tree.ROOT, PROMETHEUS)
    background = next(t for n, t in scenarios() if n == "healthy.yml")["input_series"]
    jobs = []
    with tempfile.TemporaryDirectory() as home:
        for name in sorted(os.listdir(f"{folder}/tests")):
            whole = load(f"{PROMETHEUS}/tests/{name}")
            if name == "healthy.yml":
                jobs.append((name, start(f"{folder}/tests/{name}")))
                continue
            whole["rule_files"] = [os.path.join(folder, "tests", path) for path in whole["rule_files"]]
            whole["tests"] = [upon(test, background) for test in whole["tests"]]
            with open(f"{home}/{name}", "w", encoding="utf-8") as file:
                json.dump(whole, file)  # JSON is YAML
            jobs.append((f"{name}, upon a healthy gateway", start(f"{home}/{name}")))
        for name, job in jobs:
            text = job.communicate()[0]
            if job.returncode:
                yield f"{PROMETHEUS}/tests/{name}: {' '.join(text.split())[:1500]}"


def start(path):
    return subprocess.Popen(["nice", "promtool", "test", "rules", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True)


# --- Alertmanager

def alert(status, summary):
    return {"status": status, "labels": {"severity": "critical", "service": "shop"}, "startsAt": "2026-01-02T03:04:05Z",
            "annotations": {"summary": summary, "description": "At length.", "runbook_url": "RUNBOOK.md#one"},
            "endsAt": "2026-01-02T03:14:05Z"}


MESSAGE = {"receiver": "page", "status": "firing", "alerts": [alert("firing", "It burns"), alert("resolved", "It is wet")],
           "groupLabels": {"service": "shop"}, "commonLabels": {"severity": "critical", "service": "shop"},
           "commonAnnotations": {}, "externalURL": "http://127.0.0.1:9093"}
SINGLE = {**MESSAGE, "status": "resolved", "alerts": [alert("resolved", "It is wet")]}
# (template, message, text that it gives)
RENDERED = [
    ("sluice.title", MESSAGE, "CRITICAL: 2 alerts of service shop"),
    ("sluice.title", SINGLE, "Over: It is wet"),
    ("sluice.color", MESSAGE, "#c62828"),
    ("sluice.color", SINGLE, "#2e7d32"),
    ("sluice.text", MESSAGE, "It burns\nAt length.\nSince 2026-01-02 03:04:05 UTC. What to do: RUNBOOK.md#one\n\n"
                             "Over: It is wet\nFrom 2026-01-02 03:04:05 to 2026-01-02 03:14:05 UTC."),
]


def check_templates():
    for name, message, wanted in RENDERED:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(message, file)
            file.flush()
            _, out, text = run("amtool", "template", "render", "--template.glob=templates/*.tmpl", f"--template.data={file.name}",
                               "--template.text={{ template \"%s\" . }}" % name, folder=ALERTMANAGER)
        if out.strip() != wanted:
            yield f"{ALERTMANAGER}/templates: {name}: {text.strip()}"


def check_alertmanager():
    code, _, text = run("amtool", "check-config", "alertmanager.yml", folder=ALERTMANAGER)
    if code:
        yield f"{ALERTMANAGER}: amtool check-config: {text.strip()}"
        return
    for severity, receiver in RECEIVERS.items():
        for more in ([], ["service=shop"], ["instance=edge1:9900"]):
            _, out, _ = run("amtool", "config", "routes", "test", "--config.file=alertmanager.yml", f"severity={severity}",
                            *more, folder=ALERTMANAGER)
            if out.split() != [receiver]:
                yield f"{ALERTMANAGER}/alertmanager.yml: severity={severity} goes to {out.split()}, not to {receiver}"
    yield from check_templates()
    config = load(f"{ALERTMANAGER}/alertmanager.yml")
    if [r["name"] for r in config["receivers"] if r.get("webhook_configs")] != ["page"]:
        yield f"{ALERTMANAGER}/alertmanager.yml: the webhook pages, and only for receiver page"


def check():
    return [*check_promtool(), *check_rules(), *check_coverage(), *check_scenarios(), *check_alertmanager()]
