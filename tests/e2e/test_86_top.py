# SPDX-License-Identifier: Apache-2.0
"""`sluice top` on a real pseudo-terminal: what is seen under load, keys, sizes, ends, a gateway that goes and comes."""

import os
import re
import signal
import threading

import pytest

from lib.gateway import BIN
from lib.load import Load
from lib.scaled import SLEEPY, make
from lib.screen import Screen
from lib.wait import DEADLINE, SLOW, stays, until
from test_74_deploy import WAIT
from test_74_deploy import Load as Sticky
from test_75_deploy_units import Shop

INTERVAL = f"{int(200 * SLOW)}ms"
GIVES_BACK = b"\x1b[?7h\x1b[?25h\x1b[?1049l"


@pytest.fixture
def screens():
    """Makes screens: screens(admin, words...), with columns=, lines=, env=."""
    made = []

    def make(admin, *words, **options):
        made.append(Screen([BIN, "top", "--admin", admin, "--interval", INTERVAL, *words], **options))
        return made[-1]

    yield make
    for screen in made:
        screen.close()


def socket_of(gw):
    return f"unix:{gw.state}/admin.sock"


@pytest.fixture
def shop(origin, gateway):
    """Routes to an origin that answers, one that fails, and one that the gateway answers itself."""
    origin.on("/bad")(lambda conn, request: conn.send(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"))
    return gateway(origin, routes=[
        {"name": "alpha", "paths": ["/load", "/alpha"], "service": "app"},
        {"name": "broken", "paths": ["/bad"], "service": "app"},
        {"name": "small", "paths": ["/small"], "service": "app", "filters": [{"body_limit": "1KiB"}]},
    ])


def ask_all(gw):
    for path in ("/alpha", "/bad", "/small"):
        gw.get(path)


def rate(screen, name):
    """Requests a second of a route, as it is written; nothing while there are none or it is not known."""
    words = screen.row(name)
    return words[1] if words and words[1] not in ("-", "0") else None


# -- what is seen


def test_numbers_change_under_load(shop, screens):
    screen = screens(socket_of(shop), columns=120)
    screen.wait("generation 1  all is well")
    with Load(shop, 2) as load:
        until(lambda: rate(screen, "alpha"), "a rate", 2 * DEADLINE, screen.text)
        words = screen.row("alpha")
        assert words[3] == "0%" and float(words[6]) > 0, words  # no errors, and a p99
        screen.wait(r"^req/s (?!0 )[\d.k]+  errors 0%  p50 [\d.]+ms  p95 [\d.]+ms  p99 [\d.]+ms  in flight \d+")
    load.check()
    until(lambda: screen.row("alpha")[1] == "0", "no rate any more", 2 * DEADLINE, screen.text)
    screen.type("2")
    screen.wait(r"^app .*1/1")
    screen.type("3")
    with Load(shop, 2):
        screen.wait(r"^127\.0\.0\.1:\d+ +app +(unchecked|up|-) +(?!0 )[\d.k]+ ")
    screen.type("q")
    assert screen.end() == 0


def test_errors_and_refusals(shop, screens):
    screen = screens(socket_of(shop), columns=120)
    screen.wait("all is well")

    def seen(check):
        for _ in range(5):
            shop.get("/bad")
            shop.post("/small", b"x" * 2000)
        return check()

    until(lambda: seen(lambda: (screen.row("broken") or [0] * 4)[3] == "100.0%"), "errors", 2 * DEADLINE, screen.text)
    until(lambda: seen(lambda: re.search(r"refused/s [\d.]+ \(body_too_large", screen.text())), "refusals", 2 * DEADLINE,
          screen.text)


def test_targets_and_problems(origin, ports, gateway, screens):
    dead = f"127.0.0.1:{ports.take()}"
    gw = gateway([{"id": "good", "address": origin.address}, {"id": "dead", "address": dead}],
                 service={"health": {"interval": "100ms", "fall": 1}})
    screen = screens(socket_of(gw), "--view", "targets", columns=130)
    screen.wait(r"^generation 1  .*target dead of app is down: ")
    screen.wait(r"^dead +app +down ")
    assert screen.names("good", "dead") == ["dead", "good"]  # the worst first
    screen.type("5")
    screen.wait("nothing has happened|health")
    assert gw.cli("target", "drain", "app", "good").code == 0
    screen.wait(r"targets +.*good")
    screen.type("3")
    screen.wait(r"^good +app +drained ")
    screen.type("6")
    screen.wait("^target dead of app is down: ")


def test_a_canary_that_is_taken_back(gateway, screens):
    s = Shop(gateway, {"strategy": "canary", "steps": [{"share": "30%", "for": "1s"}]})
    assert s.deploy("v1").code == 0
    screen = screens(socket_of(s.gw), "--view", "deploys", columns=140)
    screen.wait(r"^d1  shop: none -> v1  ")
    done = []
    deploy = threading.Thread(target=lambda: done.append(s.deploy("bad")))
    with Sticky(s.gw):
        deploy.start()
        screen.wait(r"^d2  shop: v1 -> bad  step 1 of \d  ", WAIT)
        screen.wait(r"^    bad: \d+ requests, \d+ failed ", WAIT)
        screen.wait(r"^d2  shop: v1 -> bad  failed \d+s ago: .*(its requests fail|requests of release bad failed)", WAIT)
        deploy.join(WAIT)
    assert done[0].code == 1
    screen.type("2")
    screen.wait(r"^shop +v1 ")


def test_a_service_that_sleeps(gateway, screens):
    s = make(gateway, SLEEPY)
    assert s.deploy("v1").code == 0
    screen = screens(socket_of(s.gw), "--view", "services", columns=190)
    screen.wait(r"^shop .* 1/1 .* awake +it is awake: 1 of 1 unit is up", WAIT)
    screen.wait(r"^shop .* asleep +it is asleep: a request wakes it", WAIT)
    screen.wait("all is well", WAIT)
    assert s.gw.get("/", timeout=WAIT).text == "v1"
    screen.wait(r"^shop .* awake +it is awake: ", WAIT)


def test_what_an_slo_has_left(origin, gateway, screens):
    gw = gateway(origin, service={"slo": {"availability": "99%"}})
    screen = screens(socket_of(gw), "--view", "services", columns=170)
    gw.get("/")
    screen.wait(r"^SERVICE .*BUDGET")
    screen.wait(r"^app .* 100(\.0)?% running", WAIT)


# -- keys


def test_order_and_filter(shop, screens):
    ask_all(shop)
    names = ("alpha", "broken", "small")
    screen = screens(socket_of(shop), "--sort", "name")
    until(lambda: screen.names(*names) == list(names), "by name", more=screen.text)
    screen.type("r")
    until(lambda: screen.names(*names) == list(reversed(names)), "turned round", more=screen.text)
    screen.type("\x1b[C")
    screen.wait("by rate$")
    screen.type("\x1b[D")
    screen.wait("by name$")
    screen.type("/BROk")
    screen.wait("^/BROk_")
    until(lambda: screen.names(*names) == ["broken"], "the filter", more=screen.text)
    screen.type("\r")
    screen.wait('1-1 of 1 by name with "BROk"$')
    screen.type("\x1b")
    until(lambda: screen.names(*names) == list(names), "all again", more=screen.text)


def test_pause_and_help(shop, screens):
    screen = screens(socket_of(shop))
    screen.wait("all is well")
    screen.type("p")
    screen.wait("PAUSED")
    with Load(shop, 1) as load:
        load.grow()
        stays(lambda: not rate(screen, "alpha"), "what is seen")
        screen.type(" ")
        until(lambda: rate(screen, "alpha"), "numbers again", 2 * DEADLINE, screen.text)
    screen.type("?")
    screen.wait("draws all anew")
    screen.type("?")
    screen.wait("^ROUTE ")


# -- sizes


@pytest.mark.parametrize("columns, lines", [(40, 10), (20, 5), (5, 2), (1, 1), (200, 60)])
def test_any_size(shop, screens, columns, lines):
    ask_all(shop)
    screen = screens(socket_of(shop))
    screen.wait("^alpha ")
    screen.resize(columns, lines)
    if columns >= 20:
        screen.wait("^generation 1")
    for keys in ("2", "3", "4", "5", "6", "?", "?", "/x", "\x1b"):
        screen.type(keys)
    screen.resize(100, 30)
    screen.wait("generation 1  all is well")
    screen.type("1")
    screen.wait("^alpha ")
    screen.type("q")
    assert screen.end() == 0 and screen.is_as_before()


def test_it_begins_small(shop, screens):
    ask_all(shop)
    screen = screens(socket_of(shop), columns=40, lines=8)
    screen.wait("^alpha ")
    screen.wait("^generation 1  all is well")
    assert all(len(line) == 40 for line in screen.look())


def test_only_what_changed_is_written(shop, screens):
    screen = screens(socket_of(shop))

    def uptime():
        return int(screen.wait(r"^sluice .* up (\d+)s").group(1))

    first = uptime()
    until(lambda: uptime() > first, "a later frame")
    assert screen.raw.count(b"\x1b[2J") == 1
    before = len(screen.raw)
    until(lambda: uptime() > first + 1, "one more")
    assert len(screen.raw) - before < 2000, screen.raw[before:]
    screen.type("\x0c")
    until(lambda: screen.look() and screen.raw.count(b"\x1b[2J") == 2, "all anew")


# -- ends


@pytest.mark.parametrize("way", ["q", "\x03", signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_it_leaves_the_terminal_as_it_was(shop, screens, way):
    screen = screens(socket_of(shop))
    screen.wait("all is well")
    assert not screen.is_as_before()
    if isinstance(way, str):
        screen.type(way)
    else:
        screen.signal(way)
    assert screen.end() == 0
    assert screen.is_as_before() and screen.raw.endswith(GIVES_BACK)


def test_stopped_and_gone_on(shop, screens):
    screen = screens(socket_of(shop))
    screen.wait("all is well")
    pid = screen.process.pid

    def is_stopped():
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] == "T"

    screen.type("\x1a")
    until(is_stopped, "it stops")
    screen.look()
    assert screen.is_as_before() and screen.raw.endswith(GIVES_BACK)
    screen.signal(signal.SIGCONT)
    until(lambda: screen.look() and screen.raw.count(b"\x1b[?1049h") == 2, "it goes on")
    until(lambda: not screen.is_as_before(), "it has the terminal again")
    screen.type("q")
    assert screen.end() == 0 and screen.is_as_before()


def test_a_terminal_that_goes_away(shop, screens):
    screen = screens(socket_of(shop))
    screen.wait("all is well")
    os.close(screen.main)
    os.close(screen.side)
    screen.main = screen.side = None
    until(lambda: screen.process.poll() is not None, "the end")
    assert screen.process.returncode in (0, 1)
    screen.check()


def test_a_terminal_that_takes_nothing(shop, screens):
    screen = screens(socket_of(shop), columns=200, lines=60)
    screen.wait("all is well")
    with Load(shop, 1) as load:
        for _ in range(400):  # all drawn anew, and nobody reads
            screen.type("\x0c2")
            screen.type("\x0c1")
        load.grow(50)
        screen.signal(signal.SIGTERM)
        until(lambda: screen.process.poll() is not None, "the end", 2 * DEADLINE)
    assert screen.process.returncode == 0 and screen.is_as_before()


# -- a gateway that goes and comes


def test_a_gateway_that_is_killed(shop, screens):
    ask_all(shop)
    screen = screens(socket_of(shop))
    with Load(shop, 1):
        until(lambda: rate(screen, "alpha"), "a rate", 2 * DEADLINE, screen.text)
        shop.kill()
        screen.wait(r"^AWAY: what is seen is \d+s old; ")
    screen.wait(r"^AWAY: what is seen is [1-9]\d*s old; ")
    assert screen.row("alpha")  # what was known is still to be seen
    shop.start()
    screen.wait("all is well")
    with Load(shop, 1):
        until(lambda: rate(screen, "alpha"), "a rate again", 2 * DEADLINE, screen.text)
    assert not re.search(r" -\d", screen.text()), screen.text()
    screen.type("q")
    assert screen.end() == 0 and screen.is_as_before()


def test_an_edge_that_crashes(shop, screens):
    """Its counters begin anew: nothing is negative, and it is seen again by itself."""
    screen = screens(socket_of(shop))
    with Load(shop, 1):
        until(lambda: rate(screen, "alpha"), "a rate", 2 * DEADLINE, screen.text)
    os.kill(shop.edge, signal.SIGKILL)
    until(shop.is_ready, "another edge", 3 * DEADLINE)
    with Load(shop, 1):
        until(lambda: rate(screen, "alpha"), "a rate again", 3 * DEADLINE, screen.text)
    assert not re.search(r" -\d", screen.text()), screen.text()


def test_no_gateway(home, screens):
    screen = screens(f"unix:{home}/none.sock")
    assert screen.end() == 3
    assert screen.is_as_before() and b"\x1b" not in screen.raw


def test_a_wrong_token(gateway, origin, screens):
    gw = gateway(origin, admin={"tokens": [{"name": "ops", "token": "right-right-right-right", "can": ["read"]}]})
    url = f"http://127.0.0.1:{gw.admin_port}"
    done = gw.cli("top", "--once", "--admin", url, "--token", "wrong-wrong-wrong-wrong")
    assert done.code == 1 and "(401)" in done.err and done.out == "", done
    screen = screens(url, "--token", "wrong-wrong-wrong-wrong")
    assert screen.end() == 1 and screen.is_as_before() and b"\x1b" not in screen.raw
    screen = screens(url, "--token", "right-right-right-right")
    screen.wait("all is well")
