# SPDX-License-Identifier: Apache-2.0
"""What deploy/ has for Prometheus and Alertmanager, run as it is but for addresses and intervals: seconds stand for minutes."""

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request

import yaml

from .gateway import ROOT
from .prometheus_server import Prometheus
from .wait import DEADLINE, SLOW, until

DEPLOY = ROOT / "deploy"
WEEK = 7 * 24 * 3600


def seconds(n):
    return f"{max(1, round(n * SLOW))}s"


def _quicken(path):
    """Rules are evaluated each second, and what has to last lasts a second."""
    rules = yaml.safe_load(path.read_text())
    for group in rules["groups"]:
        group["interval"] = "1s"
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "1s"
    path.write_text(json.dumps(rules))


class Watch(Prometheus):
    """Prometheus with a copy of deploy/prometheus that scrapes these edges, and control at that address."""

    def __init__(self, home, port, edges, control, alertmanager=None):
        self.home = home / "watch"
        shutil.copytree(DEPLOY / "prometheus", self.home)
        config = yaml.safe_load((self.home / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        manager = [alertmanager] if alertmanager else []
        config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = manager
        (self.home / "prometheus.yml").write_text(json.dumps(config))
        for name, targets in (("edges", edges), ("control", [control])):
            (self.home / f"targets/{name}.yml").write_text(json.dumps([{"targets": targets}]))
        for name in ("recording", "alerts"):
            _quicken(self.home / f"rules/{name}.yml")
        self._remember()
        self.start(self.home, port, "--storage.tsdb.retention.time=60d")
        until(lambda: self.ask("up") == [1] * (len(edges) + 1), "Prometheus scrapes", 6 * DEADLINE, lambda: repr(self.ask("up")))

    def _remember(self):
        """Three weeks ago, two and one it was as usual: samples of these hours, put into the store as a backfill."""
        begin, lines = int(time.time()), ["# TYPE sluice:service_signal:rate5m gauge"]
        for signal, usual in (("requests", 5.0), ("failures", 0.01), ("latency", 0.05)):
            for week in (3, 2, 1):
                for at in range(-2 * 3600, 2 * 3600, 300):
                    value = usual * (1 + 0.01 * (at // 300 % 5))
                    lines.append(f'sluice:service_signal:rate5m{{service="app",signal="{signal}"}} {value} {begin - week * WEEK + at}')
        (self.home / "history").write_text("\n".join([*lines, "# EOF", ""]))
        subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", self.home / "history", self.home / "prometheus"],
                       check=True, capture_output=True)


class Alertmanager:
    """Alertmanager with a copy of deploy/alertmanager; each receiver is a webhook, at `told` + its name."""

    def __init__(self, home, port, told):
        folder, self.url = home / "alertmanager", f"http://127.0.0.1:{port}"
        shutil.copytree(DEPLOY / "alertmanager", folder)
        (folder / "token").write_text("s3cret")
        config = yaml.safe_load((folder / "alertmanager.yml").read_text())
        for route in (config["route"], *config["route"]["routes"]):
            route |= {"group_wait": seconds(5), "group_interval": seconds(15)}
        for receiver in config["receivers"]:
            hook = receiver.get("webhook_configs", [{"send_resolved": True}])[0] | {"url": f"{told}/{receiver['name']}"}
            if "http_config" in hook:
                hook["http_config"]["authorization"]["credentials_file"] = str(folder / "token")
            receiver.pop("slack_configs", None)
            receiver.pop("email_configs", None)
            receiver["webhook_configs"] = [hook]
        (folder / "alertmanager.yml").write_text(json.dumps(config))
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus-alertmanager", "--config.file=alertmanager.yml", f"--storage.path={folder}/data",
                 f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(self._is_ready, "Alertmanager is ready", 6 * DEADLINE, lambda: (folder / "log").read_text())

    def call(self, path, body=None):
        """JSON of its API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v2/{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=DEADLINE) as got:
            return json.loads(got.read() or b"null")

    def _is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=DEADLINE) as got:
                return got.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def close(self):
        self.process.kill()
        self.process.wait()


def asked_by_dashboards():
    """{query: where it stands} of all that the dashboards ask of Prometheus, with all of each variable chosen."""
    found = {}
    for path in sorted((DEPLOY / "grafana/dashboards").glob("*.json")):
        board = json.loads(path.read_text())
        asks = [(p["title"], t["expr"]) for p in board["panels"] for t in p.get("targets", []) if t["datasource"]["type"] == "prometheus"]
        asks += [(n["name"], n["expr"]) for n in board["annotations"]["list"] if "expr" in n]
        asks += [(v["name"], re.sub(r"label_values\((.*), \w+\)", r"\1", v["definition"]))
                 for v in board["templating"]["list"] if v["type"] == "query"]
        for title, expression in asks:
            plain = expression.replace("$__rate_interval", "1m")
            found.setdefault(re.sub(r"\$\w+", ".*", plain), f"{path.stem}: {title}")
    return found


def asked_by_rules():
    """{query: where it stands} of each recording rule, by its own labels."""
    found = {}
    for group in yaml.safe_load((DEPLOY / "prometheus/rules/recording.yml").read_text())["groups"]:
        for rule in group["rules"]:
            labels = ",".join(f'{k}="{v}"' for k, v in rule.get("labels", {}).items())
            found[f"{rule['record']}{{{labels}}}"] = f"rule of {group['name']}"
    return found
