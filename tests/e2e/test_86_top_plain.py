# SPDX-License-Identifier: Apache-2.0
"""`sluice top` where nothing can be drawn on: pipes, --json, TERM=dumb; and answers that no gateway should give."""

import json
import re
import resource
import subprocess
import threading

import pytest

from lib.fake_admin import FakeAdmin, counters, service, status
from lib.gateway import BIN, run
from lib.load import Load
from lib.screen import Screen
from lib.wait import DEADLINE, SLOW, Stopwatch, until

INTERVAL = f"{int(200 * SLOW)}ms"
QUICK = ("--interval", INTERVAL)


@pytest.fixture
def shop(origin, gateway):
    return gateway(origin, routes=[{"name": "alpha", "paths": ["/load"], "service": "app"},
                                   {"name": "beta", "paths": ["/beta"], "service": "app"}])


@pytest.fixture
def fakes(ports):
    made = []

    def make(answers):
        made.append(FakeAdmin(ports.take(), answers))
        return made[-1]

    yield make
    for fake in made:
        fake.close()


@pytest.fixture
def screens():
    made = []

    def make(admin, *words, **options):
        made.append(Screen([BIN, "top", "--admin", admin, *QUICK, *words], **options))
        return made[-1]

    yield make
    for screen in made:
        screen.close()


# -- a table a sample


def test_a_pipe_gets_a_table(shop):
    with Load(shop, 1) as load:
        load.grow()
        done = shop.cli("top", "--once", *QUICK)
    assert done.code == 0 and done.err == "", done
    assert "\x1b" not in done.out
    lines = done.out.splitlines()
    assert re.match(r"\d{4}-\d\d-\d\dT.*  req/s [\d.k]+  errors 0%", lines[0]), lines
    assert lines[1] == "generation 1  all is well"
    assert lines[2].split()[:3] == ["ROUTE", "REQ/S", "5XX/S"]
    assert lines[3].split()[0] == "alpha" and lines[3].split()[1] not in ("0", "-")


def test_some_samples_of_a_view(shop):
    done = shop.cli("top", "--count", "3", "--view", "services", *QUICK)
    assert done.code == 0 and done.out.count("SERVICE ") == 3 and done.out.count("\napp ") == 3, done
    done = shop.cli("top", "--once", "--view", "targets", "--filter", "nobody", *QUICK)
    assert done.code == 0 and "TARGET" in done.out and "app" not in done.out, done
    done = shop.cli("top", "--once", "--view", "problems", *QUICK)
    assert done.code == 0 and len(done.out.splitlines()) == 2, done
    done = shop.cli("top", "--once", "--view", "events", *QUICK)
    assert done.code == 0, done


def test_json(shop):
    with Load(shop, 1) as load:
        load.grow()
        shop.get("/beta")
        done = shop.cli("top", "--json", "--count", "2", "--sort", "name", *QUICK)
    assert done.code == 0 and done.err == "", done
    first, second = map(json.loads, done.out.splitlines())
    assert second["at_ms"] > first["at_ms"] and not first["away"] and first["generation"] == 1
    assert [route["name"] for route in first["routes"]] == ["alpha", "beta"]
    alpha = first["routes"][0]
    assert alpha["rate"] > 0 and alpha["error_percent"] == 0 and 0 < alpha["p50"] <= alpha["p99"]
    assert first["total"]["rate"] >= alpha["rate"] and first["total"]["refused_by_reason"] == {}
    (app,) = first["services"]
    assert (app["name"], app["up"], app["targets"], app["share"]) == ("app", 1, 1, 100)
    (target,) = first["targets"]
    assert target["service"] == "app" and target["rate"] > 0
    assert first["problems"] == [] and first["seconds"] > 0


def test_a_dumb_terminal_gets_a_table(shop, screens):
    screen = screens(f"unix:{shop.state}/admin.sock", env={"TERM": "dumb"})
    screen.wait("all is well")
    until(lambda: screen.text().count("all is well") > 1, "another sample", more=screen.text)
    assert b"\x1b" not in screen.raw and screen.is_as_before()
    screen.type("\x03")
    screen.end()


def test_no_colours(shop, screens):
    screen = screens(f"unix:{shop.state}/admin.sock", env={"NO_COLOR": "1"})
    screen.wait("all is well")
    assert not re.search(rb"\x1b\[[\d;]*\b(3|4|9)\d?m", screen.raw), screen.raw
    screen = screens(f"unix:{shop.state}/admin.sock")
    screen.wait("all is well")
    assert b"\x1b[0;32m" in screen.raw


@pytest.mark.parametrize("words", [["--interval", "soon"], ["--interval", "1ms"], ["--count", "0"], ["--count", "x"],
                                   ["--view", "nothing"], ["--sort", "nothing"], ["--filter", "x" * 100], ["word"],
                                   ["--colour"]])
def test_wrong_use(home, words):
    done = run("top", "--admin", f"unix:{home}/none.sock", *words)
    assert done.code == 2 and "usage: sluice top" in done.err and done.out == "", done


def test_no_gateway(home):
    done = run("top", "--once", "--admin", f"unix:{home}/none.sock")
    assert done.code == 3 and "cannot reach a gateway" in done.err and done.out == "", done
    done = run("top", "--json", "--once", "--admin", f"unix:{home}/none.sock")
    assert done.code == 3 and done.out == "", done


def test_help(home):
    done = run("top", "--help")
    assert done.code == 0 and "usage: sluice top" in done.out and "Exit:" in done.out
    assert re.search(r"^  sluice top ", run("help").out, re.M)


def test_output_that_cannot_be_written(shop):
    done = shop.cli("top", "--once", *QUICK, env={"LC_ALL": "C"})
    assert done.code == 0
    with open("/dev/full", "wb") as full:
        failed = subprocess.run([BIN, "top", "--once", *QUICK, "--admin", f"unix:{shop.state}/admin.sock"], stdout=full,
                                stderr=subprocess.PIPE, timeout=4 * DEADLINE, check=False)
    assert failed.returncode == 1 and b"standard output" in failed.stderr, failed


def test_a_gateway_that_goes_away_meanwhile(fakes):
    replies = iter([status(), status()])
    fake = fakes({"/api/v1/status": lambda: next(replies, (503, {"detail": "It drains."}))})
    done = run("top", "--json", "--count", "3", *QUICK, "--admin", fake.url)
    samples = [json.loads(line) for line in done.out.splitlines()]
    assert [sample["away"] for sample in samples] == [False, True, True] and done.code == 1, done
    assert samples[1]["why"] == "It drains. (503)" and samples[2]["age_ms"] > samples[1]["age_ms"]


# -- answers that no gateway should give


EVIL = "a\x1b[31mred\x1b]0;title\x07\x9b2J\u202egnp\r\n\x00\x7fend"


def evil_answers():
    shop = service(EVIL, [(EVIL, "down", EVIL), ("店" * 40, "up", "")])
    count = iter(range(0, 10**6, 100))
    deploy = {"id": EVIL, "service": EVIL, "old": EVIL, "release": EVIL, "outcome": "asks", "phase": EVIL, "over": False,
              "words": [EVIL], "step": 1, "steps": 2, "percent": 5.0}
    event = f"event: {EVIL}\ndata: {json.dumps({EVIL: EVIL})}\n\n".replace("\r\n\x00", "")
    return {"/api/v1/status": status([shop], warnings=[EVIL]), "/api/v1/deploys": {"deploys": [deploy]},
            "/api/v1/counters": lambda: counters({EVIL: next(count)}, 1), "/api/v1/events": event.encode()}


def is_clean(raw):
    """Whether nothing but what top itself writes steers the terminal."""
    rest = re.sub(rb"\x1b\[(\?(1049|25|7)[hl]|[\d;]*[mH]|2J)", b"", raw)
    text = rest.decode().replace("\r\n", "\n")
    return not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


def test_hostile_names_on_a_screen(fakes, screens):
    fake = fakes(evil_answers())
    screen = screens(fake.url, columns=160)
    screen.wait(r"a\?\[31mred\?\]0;title\?\?2J\?gnp\?\?")
    for view in "23456":
        screen.type(view)
        screen.wait(r"\?\[31mred")
    screen.type("/" + "x\x07\x9b" + "\r")
    screen.type("q")
    assert screen.end() == 0
    assert is_clean(screen.raw), screen.raw[-3000:]


@pytest.mark.parametrize("view", ["routes", "services", "targets", "deploys", "events", "problems"])
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_hostile_names_in_a_pipe(fakes, view, locale):
    done = run("top", "--count", "2", "--view", view, *QUICK, "--admin", fakes(evil_answers()).url, env={"LC_ALL": locale})
    assert done.code == 0 and "?[31mred" in done.out, done
    assert is_clean(done.out.encode())
    assert locale != "C" or done.out.isascii()


def test_hostile_names_in_json(fakes):
    done = run("top", "--json", "--once", *QUICK, "--admin", fakes(evil_answers()).url)
    assert done.code == 0 and done.out.isascii() and done.out.count("\n") == 1, done
    assert "\x1b" not in done.out and json.loads(done.out)["routes"][0]["name"].startswith("a\x1b[31mred")


def test_a_hostile_refusal(fakes):
    done = run("top", "--once", "--admin", fakes({"/api/v1/status": (403, {"detail": EVIL})}).url)
    assert done.code == 1 and "(403)" in done.err and done.out == "", done
    assert "\x1b" not in done.err and "\x07" not in done.err


@pytest.mark.parametrize("answer", [b"", b"not JSON", b"[]", b"5", b'{"services": [1, {"targets": 3}]}', b"\xff" * 100])
def test_odd_answers(fakes, answer):
    done = run("top", "--once", *QUICK, "--admin",
               fakes({f"/api/v1/{what}": answer for what in ("status", "counters", "control", "deploys", "slo")}).url)
    assert done.code in (0, 1) and "\x1b" not in done.out, done


def test_counters_that_go_back(fakes):
    counts = iter([{"r": 1000}, {"r": 3}, {"r": 1}, {}, {"r": 5}])
    fake = fakes({"/api/v1/status": status(), "/api/v1/counters": lambda: counters(next(counts, {"r": 5}), 1)})
    done = run("top", "--json", "--count", "5", *QUICK, "--admin", fake.url)
    for sample in map(json.loads, done.out.splitlines()):
        for row in [sample["total"], *sample["routes"]]:
            assert all(value is None or value >= 0 for value in row.values() if isinstance(value, (int, float))), row


def test_very_many(fakes, screens):
    """5,000 targets and 1,000 routes: keys are answered at once, and memory stays bounded."""
    services = [service(f"s{n}", [(f"t{n}-{k}", "down" if k == 7 else "up", "it is so") for k in range(100)])
                for n in range(50)]
    told, answers = json.dumps(status(services)).encode(), iter(range(1, 10**6))
    fake = fakes({"/api/v1/status": told,
                  "/api/v1/counters": lambda: counters({f"r{n}": next(answers) * n for n in range(1000)}, 1)})
    screen = screens(fake.url, columns=140, lines=40)
    screen.wait("^generation 3  50 things: target t0-7 of s0 is down: it is so; ")
    screen.wait("of 1000 by rate")
    for keys, seen in (("3", "of 5000 by state"), ("G", "4969-5000 of 5000|49[67]\\d-5000 of 5000"), ("n", "^t0-0 "),
                       ("/t49-99\r", '1-1 of 1 by name with "t49-99"'), ("\x1b1", "of 1000 by rate")):
        with Stopwatch() as watch:
            screen.type(keys)
            screen.wait(seen)
        assert watch.seconds < 3 * SLOW, (keys, watch.seconds)
    begun = len(fake.calls)
    until(lambda: len(fake.calls) > begun + 50, "ten more rounds", 6 * DEADLINE)
    with open(f"/proc/{screen.process.pid}/statm", encoding="ascii") as file:
        resident = int(file.read().split()[1]) * resource.getpagesize()
    assert resident < 120 * 1024 * 1024 * (4 if SLOW > 1 else 1), resident
    screen.type("q")
    assert screen.end() == 0


def test_a_gateway_that_says_nothing(fakes, screens):
    """It takes the connection and does not answer: keys work, and it is said."""
    answers = iter([status(), status()])
    waits = []

    def slow():
        reply = next(answers, None)
        if reply is None:
            waits.append(threading.Event())
            waits[-1].wait(30 * SLOW)
        return reply or status()

    fake = fakes({"/api/v1/status": slow})
    screen = screens(fake.url)
    screen.wait("all is well")
    until(lambda: waits, "a call that is not answered")
    screen.type("?")
    screen.wait("draws all anew", DEADLINE)
    screen.type("?")
    screen.wait(r"^AWAY: what is seen is \d+s old; .*timed out", 12 * SLOW)
    screen.type("q")
    assert screen.end() == 0 and screen.is_as_before()
    for event in waits:
        event.set()
