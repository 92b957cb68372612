# SPDX-License-Identifier: Apache-2.0
"""Deploys of a service at Railway, through the real program and a fake of its API: good and bad releases, with faults
on the way, leave no deployment that nobody knows, and the API is asked no more often than it may be."""
import os
import pathlib
import random
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lib.wait import SLOW, until
from test_74_deploy import QUICK, WAIT, Load

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "provider"))
from fake_railway import ENVIRONMENT, PROJECT, TOKEN, Railway  # noqa: E402

HEALTH = {"path": "/", "interval": "1s", "fast_interval": "100ms", "fall": 1}
FAILING = [("BUILDING", 0.1), ("DEPLOYING", 0.1), ("FAILED", None)]


def take_addresses(count):
    """Addresses of this machine with one port that is free at all of them."""
    while True:
        hosts = [f"127.{random.randrange(1, 255)}.{random.randrange(255)}.{random.randrange(1, 255)}" for _ in range(count)]
        with socket.socket() as first:
            first.bind((hosts[0], 0))
            port = first.getsockname()[1]
        try:
            for host in hosts:
                socket.create_server((host, port)).close()
        except OSError:
            continue
        return hosts, port


class Apps:
    """What answers where a service of Railway does: the image's tag, or nothing while nothing serves. A tag with "bad"
    in it fails three requests in ten."""

    def __init__(self, fake, hosts, port):
        self.servers = [self.serve(fake, service, host, port) for service, host in zip(fake.services.values(), hosts)]

    @staticmethod
    def serve(fake, service, host, port):
        class App(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                with fake.lock:
                    fake.advance()
                    serving = service.serving()
                if not serving:
                    self.close_connection = True
                    return
                tag = serving.image.rsplit(":", 1)[1]
                threading.Event().wait(0.01)
                self.send_response(500 if "bad" in tag and random.random() < 0.3 else 200)
                self.send_header("Content-Length", str(len(tag)))
                self.end_headers()
                self.wfile.write(tag.encode())

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 128

        server = Server((host, port), App)
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        return server

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()


class Shop:
    def __init__(self, gateway, deploy, services=2, **railway):
        hosts, port = take_addresses(2)
        self.fake = Railway(domains=hosts)
        self.apps = Apps(self.fake, hosts, port)
        self.fake.ways = [("failing", FAILING)]
        self.gw = gateway(run=False)
        provider = {"project": PROJECT, "environment": ENVIRONMENT, "services": list(self.fake.services)[:services],
                    "token": "${env:RAILWAY_TOKEN}", "plan": "pro", "api": self.fake.url, "port": port, "health_path": "/",
                    "image": "registry/shop:${release}", "timeout": f"{int(3000 * SLOW)}ms", **railway}
        self.gw.change(services={"shop": {"provider": {"railway": provider}, "health": HEALTH, "assign": {"by": "cookie"},
                                          "deploy": {**QUICK, "healthy": "20s", **deploy}}},
                       admin={"bind": f"127.0.0.1:{self.gw.admin_port}"})
        self.gw.start(env={"RAILWAY_TOKEN": TOKEN})
        until(lambda: self.gw.admin("GET", "/api/v1/deploys").status == 200, "control answers", 30 * SLOW)

    def deploy(self, release, *words):
        while True:
            done = self.gw.cli("deploy", "shop", "--release", release, *words, timeout=WAIT)
            if "is read again" not in done.err:  # which may be at any time: nothing was begun
                return done

    def show(self, ident):
        return self.gw.admin("GET", f"/api/v1/deploys/{ident}").json()

    def serves(self, name):
        got = {self.gw.get("/").text for _ in range(20)}
        assert got == {name}, got

    def known(self):
        """The releases that the gateway knows of, as images."""
        service = next(s for s in self.gw.status()["services"] if s["name"] == "shop")
        return sorted(f"registry/shop:{r['id']}" for r in service["releases"])

    def runs(self, *releases):
        """These run at Railway, once each, and no others; and they are those that are known."""
        wanted = sorted(f"registry/shop:{release}" for release in releases)
        until(lambda: sorted(self.fake.live().values()) == wanted, f"{wanted} run: {self.fake.live()}", WAIT)
        until(lambda: set(wanted) <= set(self.known()), f"{wanted} are known: {self.known()}", WAIT)

    def close(self):
        self.apps.close()
        self.fake.close()
        self.fake.check()
        assert TOKEN not in self.gw.stderr()


@pytest.fixture
def shop(gateway):
    made = []

    def new(deploy=None, **options):
        made.append(Shop(gateway, deploy or {}, **options))
        return made[-1]

    yield new
    for one in made:
        one.close()


def test_releases_follow_each_other(shop):
    s = shop({"keep": "300ms"})
    assert s.gw.get("/").reason == "destination_unavailable"
    assert s.deploy("v1").code == 0
    s.serves("v1")
    s.runs("v1")
    for release in ("v2", "v3"):
        with Load(s.gw, 2) as load:
            done = s.deploy(release)
            assert done.code == 0, done
            s.runs(release)  # what served before is removed when its time is over
        assert not load.wrong, load.wrong[:3]
        s.serves(release)


def test_one_that_fails_at_railway(shop):
    s = shop()
    assert s.deploy("v1").code == 0
    s.fake.events["registry/shop:failing"] = [("HEALTHCHECK", "/ answered 503")]
    with Load(s.gw, 2) as load:
        done = s.deploy("failing")
    assert done.code == 1 and "HEALTHCHECK: / answered 503" in done.err and "release v1 serves" in done.err, done
    assert not load.wrong and set(load.counts) == {"v1"}
    s.runs("v1")


def test_a_canary_that_fails_its_requests(shop):
    s = shop({"strategy": "canary", "steps": [{"share": "30%", "for": "1s"}]})
    assert s.deploy("v1").code == 0
    with Load(s.gw) as load:
        done = s.deploy("bad")
    assert done.code == 1 and "release v1 serves" in done.err, done
    assert not load.wrong
    s.runs("v1")


def test_the_old_one_stays_warm_until_it_is_gone_back_to(shop):
    s = shop()
    assert s.deploy("v1").code == 0 and s.deploy("v2").code == 0
    s.runs("v1", "v2")
    with Load(s.gw, 2) as load:
        assert s.gw.cli("rollback", "shop").code == 0
        s.runs("v1")
    assert not load.wrong, load.wrong[:3]
    s.serves("v1")


@pytest.mark.parametrize("kind", ["429", "500", "lost", "late", "error after"])
def test_faults_on_the_way_leave_no_orphan(shop, kind):
    s = shop({"keep": "300ms"})
    assert s.deploy("v1").code == 0
    for operation in ("mark", "configure", "deploy", "look", "remove"):
        s.fake.fail(operation, kind)
    with Load(s.gw, 2) as load:
        done = s.deploy("v2")
        assert done.code == 0, done
        s.runs("v2")
    assert not load.wrong, load.wrong[:3]
    assert sum(len(service.deployments) for service in s.fake.services.values()) == 2


def test_a_stop_that_is_refused_is_tried_later_each_time(shop):
    s = shop({"keep": "300ms"})
    assert s.deploy("v1").code == 0
    s.fake.fail("remove", "not authorized", 3)
    assert s.deploy("v2").code == 0
    s.runs("v2")
    first, second, third, fourth = [at for operation, at in s.fake.asked if operation == "remove"]
    assert second - first >= 1 and third - second >= 2 and fourth - third >= 4, s.fake.asked


def test_a_token_that_is_revoked_half_way(shop):
    s = shop({"start": "4s"})
    assert s.deploy("v1").code == 0
    s.fake.ways = [("v2", [("BUILDING", 3600), ("SUCCESS", None)])]
    ident = s.deploy("v2", "--detach").out.strip()
    until(lambda: len(s.fake.live()) == 2, "it is deployed", WAIT)
    s.fake.is_revoked = True
    until(lambda: "refuses the token" in str(s.show(ident)), f"it is said: {s.show(ident)}", WAIT)
    s.serves("v1")
    s.fake.is_revoked = False
    done = s.gw.cli("deploy", "--follow", ident, timeout=WAIT)
    assert done.code == 1 and "release v1 serves" in done.err, done
    s.runs("v1")


@pytest.mark.parametrize("operation", ["mark", "configure", "deploy"])
def test_a_control_that_is_killed_goes_on(shop, operation):
    s = shop()
    assert s.deploy("v1").code == 0
    before = s.fake.count(operation)
    s.fake.fail(operation, "late")
    ident = s.deploy("v2", "--detach").out.strip()
    until(lambda: s.fake.count(operation) > before, f"{operation} is asked", WAIT)
    os.kill(next(pid for pid, line in s.gw.members() if " control " in line), signal.SIGKILL)
    until(lambda: s.gw.admin("GET", "/api/v1/deploys").status == 200, "control answers", WAIT)
    assert s.gw.cli("deploy", "--follow", ident, timeout=WAIT).code == 0
    s.serves("v2")
    s.runs("v1", "v2")
    assert sum(len(service.deployments) for service in s.fake.services.values()) == 2


def test_one_service_is_deployed_as_railway_does_it(shop):
    s = shop({"strategy": "platform"}, services=1)
    assert s.deploy("v1").code == 0
    with Load(s.gw, 2) as load:
        done = s.deploy("v2")
        assert done.code == 0, done
        s.runs("v2")
    assert not load.wrong, load.wrong[:3]
    s.serves("v2")
    with Load(s.gw, 2) as load:
        done = s.deploy("failing")
    assert done.code == 1 and "release v2 serves" in done.err, done
    assert not load.wrong and set(load.counts) == {"v2"}
    s.runs("v2")


@pytest.mark.parametrize("options, spoil, why", [
    ({"services": 1}, lambda fake: None, "name a second service in `services`, or write `strategy: platform`"),
    ({}, lambda fake: fake.make_serverless("s-2"), "shop-b may sleep"),
    ({}, lambda fake: setattr(fake, "is_revoked", True), "Railway refuses the token")])
def test_what_cannot_be_is_found_before_anything_is_begun(shop, options, spoil, why):
    s = shop(**options)
    assert s.deploy("v1").code == 0
    spoil(s.fake)
    before = s.fake.count("mark"), s.fake.count("deploy")
    done = s.deploy("v2")
    assert done.code != 0 and why in done.err and "Nothing was begun" in done.err, done
    assert (s.fake.count("mark"), s.fake.count("deploy")) == before
    s.serves("v1")
