# SPDX-License-Identifier: Apache-2.0
"""The Debian package is made, whole, and what is in it runs; the configurations that are shipped are good."""

import os
import stat
import subprocess

import pytest

from lib.gateway import run

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RELEASE = os.path.join(ROOT, "build/release")
SECRETS = {"FLY_API_TOKEN": "fm2_x", "PORT": "8080", "SLUICE_TOKEN": "a-token-of-some-length-0123456789"}


@pytest.mark.parametrize("path", ["deploy/docker/sluice.yaml", "deploy/fly/behind-fly/sluice.yaml", "deploy/fly/own-tls/sluice.yaml",
                                  "deploy/railway/sluice.yaml", "deploy/debian/sluice.yaml"])
def test_configurations_that_are_shipped_are_good(path):
    done = run("check", os.path.join(ROOT, path), env=SECRETS)
    assert done.code == 0 and "ok" in done.out, done


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    if not os.path.exists(os.path.join(RELEASE, "CPackConfig.cmake")) or not os.path.exists(os.path.join(RELEASE, "sluice")):
        pytest.skip("there is no release build to be packed")
    folder = tmp_path_factory.mktemp("package")
    done = subprocess.run(["cpack", "-G", "DEB", "-B", str(folder), "--config", os.path.join(RELEASE, "CPackConfig.cmake")],
                          capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.deb")
    root = folder / "root"
    subprocess.run(["dpkg-deb", "-x", path, root], check=True)
    subprocess.run(["dpkg-deb", "-e", path, root / "DEBIAN"], check=True)
    return root


def test_what_is_in_it_runs(package):
    program = package / "usr/bin/sluice"
    shown = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
    control = (package / "DEBIAN/control").read_text()
    version = next(line.split()[1] for line in control.splitlines() if line.startswith("Version:"))
    assert version in shown
    done = subprocess.run([program, "check", package / "etc/sluice/sluice.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert all(f"{name} (>=" in control for name in ("libc6", "libssl3", "libuv1", "libtomlplusplus3"))


def test_files_of_the_operator_stay(package):
    assert (package / "DEBIAN/conffiles").read_text().split() == ["/etc/sluice/sluice.yaml", "/etc/default/sluice"]
    for name in ("etc/sluice/sluice.yaml", "etc/default/sluice"):
        assert (package / name).is_file()
    assert stat.S_IMODE((package / "etc/default/sluice").stat().st_mode) == 0o600  # it is for secrets
    assert "sluice.yaml" in (package / "lib/systemd/system/sluice.service").read_text()
    for name in ("grafana/dashboards/overview.json", "prometheus/rules/alerts.yml", "alertmanager/alertmanager.yml",
                 "loki/config.alloy", "lua/hello.lua", "sluice.schema.json"):
        assert (package / "usr/share/sluice" / name).is_file(), name


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_scripts_are_whole(package, name):
    script = package / "DEBIAN" / name
    assert os.access(script, os.X_OK)
    subprocess.run(["sh", "-n", script], check=True)
    # Without systemd, and asked for nothing, they do nothing.
    subprocess.run(["sh", script, "abort-upgrade"], check=True, env={"PATH": os.environ["PATH"]})
