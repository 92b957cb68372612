# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests.

    def test_x(origin, gateway):
        origin.answers("HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi")   # origin says
        gw = gateway(origin, timeouts={"first_byte": "1s"})                     # config is
        assert gw.get("/").text == "hi"                                         # client expects

SLUICE_BIN names the program (build/release/sluice when unset), SLUICE_SLOW stretches every deadline.
"""

import os
import shutil
import subprocess
import tempfile

import pytest

from .faulty import Faulty
from .gateway import BIN, Gateway, merge
from .origin import Origin
from .ports import Ports


def pytest_configure(config):
    if not os.access(BIN, os.X_OK):
        raise pytest.UsageError(f"{BIN} is not there: run ./dev build first, or set SLUICE_BIN")


@pytest.fixture
def home():
    """A directory with a short name (unix socket paths are short), gone afterwards."""
    path = tempfile.mkdtemp(prefix="sl-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def ports():
    held = Ports()
    yield held
    held.release()


@pytest.fixture
def origins(ports):
    """Makes origins: origins() on IPv4, origins(host="::1"), origins(path=...).

    Their port is theirs until the test ends, in both families: nobody else answers there once one is closed."""
    made = []

    def make(**options):
        if "path" not in options:
            options.setdefault("port", ports.take())
        made.append(Origin(**options))
        return made[-1]

    yield make
    for origin in made:
        origin.close()
    errors = [e for o in made for e in o.errors]
    assert not errors, "\n".join(errors)


@pytest.fixture
def origin(origins):
    return origins()


@pytest.fixture
def faulties(ports):
    """Puts proxies with faults in front of targets: faulties(origin), or faulties(a, b, c) for a list of them."""
    made = []

    def make(*targets):
        fresh = [Faulty(t if isinstance(t, str) else t.address, ports.take()) for t in targets]
        made.extend(fresh)
        return fresh if len(fresh) > 1 else fresh[0]

    yield make
    for proxy in made:
        proxy.close()


def start_gateway(made, home, ports, origin, options):
    folder = os.path.join(home, f"g{len(made)}")
    os.makedirs(folder)
    gw = Gateway(folder, ports, binary=options.pop("binary", None))
    made.append(gw)
    start = {k: options.pop(k) for k in ("env", "wrap", "extra", "ready", "preexec") if k in options}
    is_running = options.pop("run", True)
    config = gw.base()
    if origin is not None:
        targets = [o if isinstance(o, (str, dict)) else o.address
                   for o in (origin if isinstance(origin, (list, tuple)) else [origin])]
        config["services"] = {"app": merge({"targets": targets}, options.pop("service", {}))}
    gw.write(merge(config, options))
    return gw.start(**start) if is_running else gw


@pytest.fixture
def gateway(home, ports):
    """Starts gateways: gateway(origin or [origins or addresses], service={...}, any top-level key=...).

    Also: env, wrap, extra, ready, preexec (see Gateway.start); run=False only writes the file.
    """
    made = []
    yield lambda origin=None, **options: start_gateway(made, home, ports, origin, options)
    errors = []
    for gw in made:
        try:
            gw.stop()
        except (AssertionError, subprocess.TimeoutExpired) as error:
            errors.append(str(error))
    assert not errors, "\n".join(errors)


@pytest.fixture(scope="session")
def shared():
    """Things that live as long as the session: shared(key, make) makes once; make gets (home, ports, later)."""
    home, held, made, later = tempfile.mkdtemp(prefix="sl-"), Ports(), {}, []

    def once(key, make):
        if key not in made:
            made[key] = make(os.path.join(home, f"s{len(made)}"), held, later.append)
        return made[key]

    yield once
    for stop in reversed(later):
        stop()
    held.release()
    shutil.rmtree(home, ignore_errors=True)
