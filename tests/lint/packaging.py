# SPDX-License-Identifier: Apache-2.0
"""deploy/: systemd takes the unit and finds it narrow, images and the package name the same libraries as `dev`, and what
platforms are told about draining fits what the gateway is told."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import tomllib

import yaml

import tree

UNIT = "deploy/systemd/sluice.service"
EXPOSURE_MAX = 3.1  # of systemd-analyze security, of 10
EDGES = {"deploy/fly/behind-fly": "fly.toml", "deploy/fly/own-tls": "fly.toml", "deploy/railway": "railway.json"}


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def check_unit():
    """On a copy whose program is there whatever is installed."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "sluice.service")
        with open(path, "w", encoding="utf-8") as file:
            file.write(tree.read(UNIT).replace("/usr/bin/sluice", "/bin/true"))
        done = run("systemd-analyze", "verify", "--man=no", path)
        for line in (done.stdout + done.stderr).splitlines():
            if "sluice.service" in line:
                yield f"{UNIT}: {line}"
        if done.returncode:
            yield f"{UNIT}: systemd-analyze verify fails: {done.stderr[-300:]}"
        shown = run("systemd-analyze", "security", "--no-pager", "--offline=true", path)
        level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", shown.stdout)
        if not level or float(level[1]) > EXPOSURE_MAX:
            yield f"{UNIT}: exposure {level[1] if level else shown.stderr}, {EXPOSURE_MAX} is allowed"


def packages_of(text, start):
    """The words of a list that begins behind `start`, up to what ends it."""
    words = text[text.index(start) + len(start):]
    return set(re.split(r'"|&&|\nWORKDIR', words, maxsplit=1)[0].replace("\\", " ").split())


def check_image():
    wanted = packages_of(tree.read("dev"), 'build_packages="')
    named = packages_of(tree.read("deploy/docker/Dockerfile"), "--no-install-recommends install")
    if wanted != named:
        yield f"deploy/docker/Dockerfile: builds with other packages than dev: {sorted(wanted ^ named)}"


def check_compose():
    path = "deploy/docker/compose.yaml"
    services = yaml.safe_load(tree.read(path))["services"]
    for name, service in services.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith(".") and "secrets" not in source and \
                    not os.path.exists(os.path.join(tree.ROOT, "deploy/docker", source)):
                yield f"{path}: {name} mounts {source}, which is not there"
    if shutil.which("docker") and not run("docker", "compose", "version").returncode:
        env = {**os.environ, "SLUICE_TOKEN": "x", "GRAFANA_PASSWORD": "x"}
        done = subprocess.run(["docker", "compose", "-f", os.path.join(tree.ROOT, path), "config", "--quiet"],
                              capture_output=True, text=True, check=False, env=env)
        if done.returncode:
            yield f"{path}: {done.stderr.strip()}"


def seconds(text):
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def check_edges():
    """What a platform grants until it kills is more than the gateway takes to drain, and it asks for a path that is there."""
    for folder, name in EDGES.items():
        conf = yaml.safe_load(tree.read(f"{folder}/sluice.yaml"))
        takes = seconds(conf["timeouts"]["drain_delay"]) + seconds(conf["timeouts"]["drain"])
        text = tree.read(f"{folder}/{name}")
        told = tomllib.loads(text) if name.endswith(".toml") else json.loads(text)
        grants = told.get("kill_timeout") or told["deploy"]["drainingSeconds"]
        if grants <= takes:
            yield f"{folder}/{name}: kills after {grants} s, draining takes {takes} s"
        if "/.sluice/health" not in text:
            yield f"{folder}/{name}: does not ask for /.sluice/health"


def check():
    return [*check_unit(), *check_image(), *check_compose(), *check_edges()]
