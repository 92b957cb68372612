# SPDX-License-Identifier: Apache-2.0
"""Rate limits that gateways share through Redis, and what holds when it is slow, wrong or gone."""

import re
import threading
import time

import pytest

from lib.client import Client
from lib.h2peer import H2Client
from lib.redis import FakeRedis, Redis
from lib.shared_limits import ask, at_once, statuses
from lib.wait import SLOW, until

OTHER = "127.0.0.2"
WAIT = f"{int(400 * SLOW)}ms"  # a busy machine must not look like a slow Redis


@pytest.fixture
def redis(home, ports):
    server = Redis(home, ports.take()).start()
    yield server
    server.kill()


@pytest.fixture
def fakes(ports):
    made = []

    def make(**options):
        made.append(FakeRedis(ports.take(), **options))
        return made[-1]

    yield make
    for fake in made:
        fake.close()


def shared(gateway, origin, url, wait=WAIT, up=True, **keys):
    gw = gateway(origin, redis={"url": url}, filters=[{"rate_limit": {"rate": "100/h", "store_wait": wait, **keys}}])
    if up:
        gw.wait_metric("sluice_rate_limit_degraded", 0)
        until(lambda: gw.status()["rate_limits"]["shared"] == "up", "the shared limits")
    return gw


def degraded(gw):
    return gw.metric("sluice_rate_limit_degraded")


def test_two_share_one_limit(origin, gateway, redis):
    gateways = [shared(gateway, origin, redis.url) for _ in range(2)]
    replies = at_once(gateways, 105)
    assert (replies.count(200), replies.count(429)) == (100, 5)
    assert [ask(gw).status for gw in gateways] == [429, 429]
    assert [ask(gw, OTHER).status for gw in gateways] == [200, 200]
    assert len(redis.keys()) == 2  # an address each; nothing of it can be read there
    assert [degraded(gw) for gw in gateways] == [0, 0]


def test_all_at_one_of_two(origin, gateway, redis):
    one, two = (shared(gateway, origin, redis.url) for _ in range(2))
    assert at_once([one], 105).count(200) == 100
    assert statuses(two, 3) == [429] * 3


def test_twice_the_limit_at_once(origin, gateway, redis):
    gateways = [shared(gateway, origin, redis.url) for _ in range(2)]
    assert at_once(gateways, 240).count(200) == 100


def test_says_what_all_have_left(origin, gateway, redis):
    one, two = (shared(gateway, origin, redis.url) for _ in range(2))
    assert statuses(one, 30) == [200] * 30
    reply = ask(two)
    assert reply.header("RateLimit-Remaining") == "69"
    assert statuses(two, 69) == [200] * 69
    refused = ask(one)
    assert refused.status == 429 and refused.reason == "rate_limited"
    assert refused.header("RateLimit-Remaining") == "0"
    assert 36 - 5 * SLOW <= int(refused.header("Retry-After")) <= 36


def test_retry_after_is_true_for_all(origin, gateway, redis):
    one, two = (shared(gateway, origin, redis.url, rate="60/min", burst=5) for _ in range(2))
    assert at_once([one, two], 12).count(200) in (5, 6)
    if (reply := ask(two)).status == 429:
        assert reply.header("Retry-After") == "1"
        until(lambda: ask(two).status == 200, "a token", 2)


def test_several_limits_take_from_all_or_none(origin, gateway, redis):
    limits = {"rate": None, "limits": [{"name": "small", "rate": "5/h"}, {"name": "big", "rate": "50/h"}]}
    gateways = [gateway(origin, redis={"url": redis.url},
                        filters=[{"rate_limit": {"store_wait": WAIT, "limits": limits["limits"]}}]) for _ in range(2)]
    for gw in gateways:
        until(lambda gw=gw: gw.status()["rate_limits"]["shared"] == "up", "the shared limits")
    assert at_once(gateways, 20).count(200) == 5
    # Each says what it heard last; the one that gave back last has heard of all.
    until(lambda: max(re.search(r'"big";r=([0-9]+)', ask(gw).header("RateLimit"))[1] for gw in gateways) == "45",
          "what was refused to be given back", more=lambda: repr([ask(gw).header("RateLimit") for gw in gateways]))


def test_assets_come_back_for_all(origin, gateway, redis):
    @origin.on("/app.js")
    def asset(conn, request):
        conn.respond(200, b"js", [("Cache-Control", "public, max-age=31536000, immutable")])

    one, two = (shared(gateway, origin, redis.url, rate="3/h") for _ in range(2))
    assert statuses(one, 10, target="/app.js") == [200] * 10
    until(lambda: ask(two, target="/app.js").header("RateLimit-Remaining") == "3", "the tokens")
    assert statuses(two, 4) == [200] * 3 + [429]


def test_fast_rates_take_some_ahead(origin, gateway, redis):
    """A million a minute: far fewer calls than requests."""
    gw = shared(gateway, origin, redis.url, rate="1000000/min")
    with gw.connect() as client:
        assert {client.get().status for _ in range(500)} == {200}
    line = next(x for x in redis.ask("INFO", "commandstats").split(b"\r\n") if x.startswith(b"cmdstat_evalsha"))
    assert int(line.split(b"calls=")[1].split(b",")[0]) < 100


def test_assets_leave_sound_numbers_where_tokens_are_taken_ahead(origin, gateway, redis):
    @origin.on("/app.js")
    def asset(conn, request):
        conn.respond(200, b"js", [("Cache-Control", "public, max-age=31536000, immutable")])

    gw = shared(gateway, origin, redis.url, rate="6000/min")
    with gw.connect() as client:
        replies = [client.get("/app.js") for _ in range(200)]
    assert {r.status for r in replies} == {200}
    assert max(int(r.header("RateLimit-Reset")) for r in replies) <= 60
    assert max(int(r.header("RateLimit-Remaining")) for r in replies) <= 6000


def test_killed_half_way(origin, gateway, redis):
    """No 5xx, no delay, and each gateway by itself lets the whole limit through at most."""
    gateways = [shared(gateway, origin, redis.url) for _ in range(2)]
    seen = [ask(gateways[i % 2]).status for i in range(40)]
    redis.kill()
    begun = time.monotonic()
    seen += [ask(gateways[i % 2]).status for i in range(220)]
    assert time.monotonic() - begun < 20 * SLOW
    assert set(seen) == {200, 429} and 100 <= seen.count(200) <= 200
    for gw in gateways:
        gw.wait_metric("sluice_rate_limit_degraded", 1)
        assert gw.status()["rate_limits"]["shared"] == "degraded"


def test_comes_back(origin, gateway, redis):
    one, two = (shared(gateway, origin, redis.url) for _ in range(2))
    assert statuses(one, 10) == [200] * 10
    redis.kill()
    one.wait_metric("sluice_rate_limit_degraded", 1)
    assert statuses(one, 10) == [200] * 10
    redis.start()
    one.wait_metric("sluice_rate_limit_degraded", 0)
    two.wait_metric("sluice_rate_limit_degraded", 0)
    assert statuses(two, 99) == [200] * 99  # it has forgotten what was
    assert at_once([one], 3).count(200) == 1


def test_down_from_the_start(origin, gateway, ports):
    gw = shared(gateway, origin, f"redis://127.0.0.1:{ports.take()}", up=False)
    gw.wait_metric("sluice_rate_limit_degraded", 1)
    assert at_once([gw], 105).count(200) == 100


def test_a_name_that_does_not_exist(origin, gateway):
    gw = shared(gateway, origin, "redis://no-such-host.invalid", up=False)
    assert statuses(gw, 2) == [200] * 2
    assert degraded(gw) == 1


def test_stopped_but_connected(origin, gateway, redis):
    """It takes the connection's bytes and says nothing: one request waits, and as long as it may."""
    gw = shared(gateway, origin, redis.url, wait="50ms")
    assert ask(gw).status == 200
    redis.pause()
    try:
        begun = time.monotonic()
        assert statuses(gw, 40) == [200] * 40
        assert time.monotonic() - begun < 3 * SLOW
        gw.wait_metric("sluice_rate_limit_degraded", 1)
    finally:
        redis.go_on()
    until(lambda: ask(gw).status == 200 and degraded(gw) == 0, "shared limits again")


@pytest.mark.parametrize("how, status", [("open", 200), ("local", 429), ("closed", 503)])
def test_on_store_down(origin, gateway, ports, how, status):
    gw = shared(gateway, origin, f"redis://127.0.0.1:{ports.take()}", up=False, rate="2/h", on_store_down=how)
    gw.wait_metric("sluice_rate_limit_degraded", 1)
    replies = [ask(gw) for _ in range(4)]
    assert replies[-1].status == status
    if how == "closed":
        assert {r.status for r in replies} == {503}
        assert replies[-1].reason == "rate_limit_store_down"


def test_password_and_database(origin, gateway, home, ports):
    server = Redis(home, ports.take(), password="p@ss:w%rd").start()
    try:
        url = f"redis://default:p%40ss%3Aw%25rd@127.0.0.1:{server.port}/3"
        gw = shared(gateway, origin, url)
        assert ask(gw).status == 200
        assert server.keys() == []  # they are in another database
        assert b"db3:keys=1" in server.ask("INFO", "keyspace")
        wrong = shared(gateway, origin, f"redis://:wrong@127.0.0.1:{server.port}", up=False)
        assert ask(wrong).status == 200
        wrong.wait_metric("sluice_rate_limit_degraded", 1)
        until(lambda: "WRONGPASS" in wrong.stderr(), "what is wrong")
        assert "p%40ss" not in gw.stderr() and ":wrong@" not in wrong.stderr()
    finally:
        server.kill()


def test_what_redis_6_has_is_enough(origin, gateway, redis):
    """A user who may do no more than what it is asked for, all of it older than Redis 6."""
    commands = ["+auth", "+select", "+script|load", "+evalsha", "+time", "+get", "+set"]
    assert redis.ask("ACL", "SETUSER", "edge", "on", ">s3cret", "~sl:*", "-@all", *commands) == b"+OK\r\n"
    url = f"redis://edge:s3cret@127.0.0.1:{redis.port}"
    gateways = [shared(gateway, origin, url) for _ in range(2)]
    assert at_once(gateways, 105).count(200) == 100
    assert redis.ask("ACL", "SETUSER", "edge", "-evalsha") == b"+OK\r\n"
    assert statuses(gateways[0], 2, source=OTHER) == [200] * 2
    until(lambda: "NOPERM" in gateways[0].stderr(), "what it lacks")


def test_full(origin, gateway, home, ports):
    server = Redis(home, ports.take(), options=["--maxmemory", "1mb", "--maxmemory-policy", "noeviction"]).start()
    try:
        gw = shared(gateway, origin, server.url, up=False)
        assert at_once([gw], 105).count(200) == 100
    finally:
        server.kill()


def test_the_script_is_forgotten(origin, gateway, redis):
    gw = shared(gateway, origin, redis.url)
    assert ask(gw).status == 200
    redis.ask("SCRIPT", "FLUSH")
    assert ask(gw).status == 200  # by its own count
    gw.wait_metric("sluice_rate_limit_degraded", 0)
    until(lambda: ask(gw).status == 200 and degraded(gw) == 0, "the script again")


@pytest.mark.parametrize("answer", [
    b"*2\r\n:x\r\n:1\r\n", b"hello\r\n", b"*1000000000\r\n", b"*2\r\n$3\r\nabc\r\n:1\r\n", b"$-1\r\n", b":1\r\n",
    b"*2\r\n*1\r\n:1\r\n:1\r\n", b"*0\r\n", b"*-1\r\n", b"+OK\r\n", b"-ERR no\r\n", b"$99999999999\r\nx",
    b"*2\r\n:1\r\n:-5\r\n", b"*2\r\n:1\r\n:5\r\n" * 3, b"\0\xff\r\n", b"*5\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n", b"x" * 100000,
])
def test_malformed_answers(origin, gateway, fakes, answer):
    fake = fakes(answer=answer)
    gw = shared(gateway, origin, fake.url, wait="500ms")
    assert statuses(gw, 5) == [200] * 5
    assert fake.calls >= 1
    assert gw.get(target="/.sluice/health").status == 200


@pytest.mark.parametrize("greeting", [b"-NOAUTH Authentication required.\r\n", b"+OK\r\n", b"$3\r\nabc\r\n", b"HTTP/1.1 400 Bad\r\n"])
def test_malformed_greetings(origin, gateway, fakes, greeting):
    gw = shared(gateway, origin, fakes(greeting=greeting).url, up=False)
    assert statuses(gw, 3) == [200] * 3
    gw.wait_metric("sluice_rate_limit_degraded", 1)


def test_an_answer_in_pieces(origin, gateway, ports, redis):
    """Between the two is one that passes every byte on by itself."""
    import socket
    listener = socket.create_server(("127.0.0.1", ports.take()))

    def pump(source, target):
        try:
            while data := source.recv(4096):
                for i in range(len(data)):
                    target.sendall(data[i:i + 1])
        except OSError:
            pass

    def accept():
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            far = socket.create_connection(("127.0.0.1", redis.port))
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=pump, args=(near, far), daemon=True).start()
            threading.Thread(target=pump, args=(far, near), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    gw = shared(gateway, origin, f"redis://127.0.0.1:{listener.getsockname()[1]}", rate="10/h")
    assert statuses(gw, 12) == [200] * 10 + [429] * 2
    listener.close()


def test_a_client_that_leaves_while_it_waits(origin, gateway, fakes):
    gw = shared(gateway, origin, fakes().url, wait="2s")  # never answers
    with gw.connect() as client:
        client.request("GET", "/")
    until(lambda: gw.metric("sluice_http_requests_in_flight", route="app") == 0, "the request gone")
    assert ask(gw).status == 200


def test_credentials_are_not_logged_of_a_client_that_leaves_while_it_waits(origin, gateway, fakes):
    """api_key, which would have hidden it, was not asked yet."""
    gw = gateway(origin, redis={"url": fakes().url},
                 filters=[{"rate_limit": {"store_wait": "2s"}}, {"api_key": {"query": "key"}}])
    until(lambda: gw.status()["rate_limits"]["shared"] == "up", "the shared limits")
    with gw.connect() as client:
        client.request("GET", "/?a=1&key=slk_secret")
    assert gw.logs(1)[0]["path"] == "/"
    assert "slk_secret" not in gw.log_file.read_text()


def test_bodies_and_streams_wait_too(origin, gateway, redis):
    gw = shared(gateway, origin, redis.url, rate="30/h")
    assert gw.post("/", b"x" * 300_000).status == 200
    assert len(origin.requests[0].body) == 300_000
    with H2Client(("127.0.0.1", gw.port)) as client:
        replies = [s.reply() for s in [client.request() for _ in range(50)]]
    assert [r.status for r in replies].count(200) == 29
    assert {r.status for r in replies} == {200, 429}


def test_reload_turns_it_on_and_off(origin, gateway, redis):
    gw = gateway(origin, filters=[{"rate_limit": {"rate": "100/h", "store_wait": WAIT}}])
    assert gw.status()["rate_limits"]["shared"] == "off"
    assert statuses(gw, 5) == [200] * 5
    gw.change(redis={"url": redis.url})
    gw.reload()
    until(lambda: gw.status()["rate_limits"]["shared"] == "up", "the shared limits")
    assert ask(gw).status == 200 and len(redis.keys()) == 1
    gw.change(redis=None)
    gw.reload()
    assert gw.status()["rate_limits"]["shared"] == "off"
    assert ask(gw).header("RateLimit-Remaining") == "93"  # its own count went on all the time


def test_an_event_says_so(origin, gateway, redis):
    gw = shared(gateway, origin, redis.url)
    with Client(f"unix:{gw.state}/admin.sock") as client:
        client.request("GET", "/api/v1/events", host="localhost")
        client.until(b"\r\n\r\n", "the head of the events")
        redis.kill()
        client.until(b'{"shared":"degraded","reason":"127.0.0.1:', "the event")
        redis.start()
        client.until(b'{"shared":"up"}', "the event")
