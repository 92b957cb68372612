# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus that scrapes what a test names."""

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from .wait import DEADLINE, SLOW, until


class Prometheus:
    def __init__(self, home, port, scraped):
        config = {"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1h"},
                  "scrape_configs": [{"job_name": "gateway", "static_configs": [{"targets": [scraped]}]}]}
        (home / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        self.start(home, port)
        until(lambda: self.ask("up") == [1], "Prometheus scrapes", 6 * DEADLINE * SLOW)

    def start(self, home, port, *options):
        """With `home`/prometheus.yml."""
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        with open(home / "prometheus.log", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/prometheus",
                 f"--web.listen-address=127.0.0.1:{port}", *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def ask(self, query):
        """The numbers that a query gives; None while there is no answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query?" + urllib.parse.urlencode({"query": query}), timeout=DEADLINE) as got:
                return [float(each["value"][1]) for each in json.load(got)["data"]["result"]]
        except (urllib.error.URLError, OSError):
            return None

    def close(self):
        self.process.kill()
        self.process.wait()
