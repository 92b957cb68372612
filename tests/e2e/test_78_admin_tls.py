# SPDX-License-Identifier: Apache-2.0
"""The admin API over TLS: who is shown what, clients that are slow or speak something else, certificates that change
under it, answers of every kind, the command line."""

import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import threading

import pytest
import requests

from lib.client import Client
from lib.gateway import run
from lib.pki import Authority
from lib.tls import context, s_client
from lib.wait import DEADLINE, SLOW, Stopwatch, until

TOKENS = [
    {"name": "viewer", "token": "read-token-0123456789", "can": ["read"]},
    {"name": "operator", "token": "operate-token-0123456789", "can": ["operate"]},
    {"name": "deployer", "token": "deploy-token-0123456789", "can": ["deploy"]},
]
VIEW, OPERATE, DEPLOY = (t["token"] for t in TOKENS)
SHAKE_S = 5  # for a whole handshake


@pytest.fixture
def authority(home):
    return Authority(home)


class Secure(Client):
    """A connection over TLS whose server is believed by `ca` (None: whatever it shows)."""

    def __init__(self, gw, ca=None, made=None, **options):
        super().__init__(("127.0.0.1", gw.admin_port), **options)
        self.host = gw.admin_host
        try:
            self.sock = (made or context(ca)).wrap_socket(self.sock, server_hostname="127.0.0.1",
                                                          suppress_ragged_eofs=False)
        except BaseException:
            self.sock.close()
            raise

    def ask(self, path, method="GET", token=None, body=None):
        fields = [("Authorization", f"Bearer {token}")] if token else []
        return self.request(method, path, fields, body, self.host).reply(method)


@pytest.fixture
def secure(origin, gateway, authority):
    """A gateway whose admin port speaks TLS; .leaf is what it shows."""
    def make(kind="ec", **options):
        leaf = authority.leaf("127.0.0.1", "localhost", kind=kind)
        gw = gateway(origin, admin={"tls": leaf.pair, "tokens": TOKENS}, **options)
        gw.leaf = leaf
        return gw

    return make


def url(gw, path=""):
    return f"https://127.0.0.1:{gw.admin_port}{path}"


def curl(*words):
    return subprocess.run(["curl", "-sS", "--noproxy", "*", "-m", str(int(20 * SLOW)), *map(str, words)],
                          capture_output=True, text=True, timeout=30 * SLOW)


def serial(gw):
    der = Secure(gw).sock.getpeercert(True)
    return ssl.DER_cert_to_PEM_cert(der)


# -- who is spoken to, and who may ask


@pytest.mark.parametrize("kind", ["ec", "rsa", "ed25519"])
def test_real_clients(secure, authority, kind):
    gw = secure(kind)
    done = curl("--cacert", authority.file, "-w", "%{http_version} %{ssl_verify_result}", "-o", "/dev/null",
                url(gw, "/api/v1/status"))
    assert (done.returncode, done.stdout) == (0, "1.1 0"), done
    answer = requests.get(url(gw, "/api/v1/status"), verify=str(authority.file), timeout=20 * SLOW)
    assert answer.json()["admin_tls"]["fingerprint"] == gw.leaf.fingerprint
    assert answer.json()["admin_tls"]["names"] == ["127.0.0.1", "localhost"]
    code, said = s_client(gw.admin_port, "-alpn", "h2,http/1.1", "-CAfile", str(authority.file))
    assert code == 0 and "TLSv1.3" in said and "ALPN protocol: http/1.1" in said and "Verify return code: 0" in said
    assert "TLSv1.2" in s_client(gw.admin_port, "-tls1_2")[1]


def test_what_is_too_old_or_speaks_something_else(secure):
    gw = secure()
    code, said = s_client(gw.admin_port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert code != 0 and "protocol version" in said, said
    code, said = s_client(gw.admin_port, "-alpn", "h2")
    assert code != 0 and "no application protocol" in said, said
    assert Secure(gw).ask("/healthz").status == 200


def test_a_certificate_of_somebody_else(secure, authority, home):
    gw = secure()
    os.mkdir(f"{home}/other")
    other = Authority(f"{home}/other", "Other Root")
    done = curl("--cacert", other.file, url(gw, "/healthz"))
    assert done.returncode == 60, done
    done = curl("--cacert", authority.file, "--connect-to", f"::127.0.0.1:{gw.admin_port}", "https://admin.test/healthz")
    assert done.returncode == 60, done
    assert curl("--cacert", authority.file, url(gw, "/healthz")).stdout == "ok\n"


def test_tokens_and_their_rights(secure):
    gw = secure()
    with Secure(gw) as client:
        for token, status in ((None, 401), ("wrong", 401), (VIEW, 403), (DEPLOY, 403), (OPERATE, 200)):
            assert client.ask("/api/v1/reload", "POST", token).status == status, token
        for token in (None, VIEW, OPERATE, DEPLOY):
            assert client.ask("/api/v1/status", token=token).status == 200
        client.host = "evil.example"
        assert client.ask("/api/v1/status").status == 421
    with Secure(gw) as client:
        same = [("Origin", f"https://{gw.admin_host}")]
        assert client.get("/api/v1/status", same, gw.admin_host).status == 200
        assert client.get("/api/v1/status", [("Origin", "https://evil.example")], gw.admin_host).status == 403


def test_the_socket_and_the_metrics_port_stay_as_they_are(origin, gateway, authority, ports):
    metrics = ports.take()
    gw = gateway(origin, admin={"tls": authority.leaf("127.0.0.1").pair, "metrics": f"127.0.0.1:{metrics}"})
    assert gw.status()["ready"]
    with Client(("127.0.0.1", metrics)) as client:
        assert client.get("/metrics", host=f"127.0.0.1:{metrics}").status == 200
    assert stat.S_IMODE(os.stat(gw.state / "admin.sock").st_mode) == 0o600


# -- clients that are wrong or slow


def test_plain_http_is_told_so(secure):
    gw = secure()
    for request in (b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n", b"P", b"PRI * HTTP/2.0\r\n\r\n"):
        with Client(("127.0.0.1", gw.admin_port)) as client:
            client.send(request)
            reply = client.reply()
            assert (reply.status, reply.json()["reason"], reply.closes) == (400, "tls_required", True)
            assert "https://" in reply.json()["detail"]
            client.half_close()
            assert client.wait_end() in ("eof", "reset")
    done = run("status", "--admin", f"http://127.0.0.1:{gw.admin_port}")
    assert done.code == 1 and "https://" in done.err, done


JUNK = {
    "zeros": b"\x00" * 64,
    "a record that is too long": b"\x16\x03\x01\xff\xff" + b"\x01" * 70000,
    "a hello that is cut": b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    "a hello that is too long": b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + b"\x00" * 300000,
    "an SSL 2 hello": b"\x80\x2e\x01\x00\x02",
    "one byte": b"\xff",
    "noise": bytes(range(128, 256)) * 4000,
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_what_is_no_tls_either(secure, junk):
    gw = secure()
    with Client(("127.0.0.1", gw.admin_port)) as client:
        try:
            client.send(junk)
            client.half_close()
        except ConnectionError:
            pass
        assert client.wait_end() in ("eof", "reset")
    assert Secure(gw).ask("/healthz").status == 200


def test_records_that_are_broken_after_the_handshake(secure):
    gw = secure()
    client = Secure(gw)
    assert client.ask("/healthz").status == 200
    raw = socket.socket(fileno=os.dup(client.sock.fileno()))
    raw.sendall(b"\x17\x03\x03\x00\x40" + b"x" * 64)
    raw.settimeout(DEADLINE)
    try:
        while raw.recv(4096):
            pass
    except ConnectionError:
        pass
    raw.close()
    client.close()
    assert Secure(gw).ask("/healthz").status == 200


def test_a_handshake_has_its_time(secure):
    gw = secure()
    with Stopwatch() as watch, Client(("127.0.0.1", gw.admin_port)) as silent, Client(("127.0.0.1", gw.admin_port)) as slow:
        slow.send(b"\x16\x03\x01")
        assert silent.wait_end(SHAKE_S + DEADLINE) == "eof"
        assert slow.wait_end(SHAKE_S + DEADLINE) in ("eof", "reset")
    assert watch.seconds > SHAKE_S - 1


def test_dripping_does_not_stretch_a_handshake(secure):
    gw = secure()
    hello = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="127.0.0.1").do_handshake()
    data = hello.read()
    with Client(("127.0.0.1", gw.admin_port)) as client:
        for i in range(len(data)):
            client.send(data[i : i + 1])
            if not client.is_silent(0.1):  # 100 ms each: the whole would take 50 seconds
                break
    assert client.ended and i < len(data) - 1 and not client.received


def test_silent_strangers_hold_up_nobody(secure):
    gw = secure()
    held = [Client(("127.0.0.1", gw.admin_port)) for _ in range(40)]
    for client in held[:20]:
        client.send(b"\x16")
    for _ in range(10):
        with Secure(gw) as client:
            assert client.ask("/api/v1/status").status == 200
    assert gw.status()["ready"]
    assert gw.get("/").status == 200
    for client in held:
        client.close()


def test_many_handshakes_at_once(secure):
    gw = secure("rsa")
    statuses = []

    def ask():
        for _ in range(8):
            with Secure(gw, timeout=4 * DEADLINE) as client:
                statuses.append(client.ask("/healthz").status)

    threads = [threading.Thread(target=ask) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(8 * DEADLINE)
    assert statuses == [200] * (8 * 24)
    assert gw.status()["ready"]


def test_one_byte_at_a_time(secure, authority):
    gw = secure()
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context(authority).wrap_bio(into, out, server_hostname="127.0.0.1")
    body = b'{"weight": 1}'
    request = (f"POST /api/v1/services/app/targets HTTP/1.1\r\nHost: {gw.admin_host}\r\nContent-Length: {len(body)}\r\n"
               f"Connection: close\r\n\r\n").encode() + body
    with Client(("127.0.0.1", gw.admin_port)) as client:
        def step(call):
            while True:
                try:
                    return call()
                except ssl.SSLWantReadError:
                    client.drip(out.read())
                    assert client.fill("the handshake", DEADLINE)
                    into.write(client.buffer)
                    client.buffer = b""

        step(tls.do_handshake)
        for i in range(len(request)):  # a record for each byte, and a segment for each byte of that
            tls.write(request[i : i + 1])
            client.drip(out.read())
        answer = b""
        while not answer.endswith(b"}"):
            answer += step(lambda: tls.read(1))
        assert answer.startswith(b"HTTP/1.1 401 ") and b'"unauthorized"' in answer
        assert step(lambda: tls.read(1)) == b""  # close_notify


# -- answers of every kind


def test_requests_one_after_another(secure, authority):
    gw = secure()
    with Secure(gw, authority) as client:
        for _ in range(50):
            assert client.ask("/api/v1/status").status == 200
        client.request("GET", "/healthz", host=client.host)
        client.request("GET", "/readyz", host=client.host)
        assert [client.reply().text, client.reply().text] == ["ok\n", "ready\n"]
        head = client.ask("/api/v1/status", "HEAD")
        assert head.status == 200 and head.body == b""


def test_an_answer_ends_with_close_notify(secure, authority):
    gw = secure()
    with Secure(gw, authority) as client:
        client.request("GET", "/healthz", [("Connection", "close")], host=client.host)
        assert client.reply().text == "ok\n"
        assert client.sock.recv(1) == b""  # an end without it would be an error
    # A client that says goodbye first still gets its answer.
    with Secure(gw, authority) as client:
        client.request("GET", "/api/v1/status", host=client.host)
        plain = client.sock
        plain.settimeout(DEADLINE)
        got = b""
        while b'"listeners"' not in got:
            got += plain.recv(65536)
        assert plain.unwrap()


def test_events(secure, authority):
    gw = secure()
    with Secure(gw, authority) as client:
        client.request("GET", "/api/v1/events", [("Accept", "text/event-stream")], host=client.host)
        head = client.head()
        assert head.status == 200 and head.header("Content-Type").startswith("text/event-stream")
        for _ in range(3):
            gw.reload()
            client.until(b"event: config", "an event of the reload")
        gw.reload()


def test_those_who_follow_and_never_read(secure):
    gw = secure()
    held = []
    for _ in range(8):
        client = Secure(gw, receive_buffer=4096)
        client.request("GET", "/api/v1/events", host=client.host)
        held.append(client)
    for _ in range(5):
        gw.reload()
    assert Secure(gw).ask("/healthz").status == 200
    for client in held:
        client.close()


def test_a_long_poll(origin, gateway, authority):
    gw = gateway(origin, role="edge", admin={"tls": authority.leaf("127.0.0.1").pair, "tokens": TOKENS})
    with Secure(gw, authority) as client:
        first = client.ask("/api/v1/changes", token=DEPLOY).json()
        after = max([c["seq"] for c in first["changes"]], default=0)
        fields = [("Authorization", f"Bearer {DEPLOY}")]
        client.request("GET", f"/api/v1/changes?journal={first['journal']}&after={after}&wait=20s", fields, host=client.host)
        assert client.is_silent(0.3)
        assert gw.admin("POST", "/api/v1/services/app/pause").status == 200
        reply = client.reply()
        assert reply.status == 200 and reply.json()["changes"]


def big_config(gw, size):
    filler = "".join(f"# line {i:08d} of a long comment that says nothing at all\n" for i in range(size // 60))
    return json.dumps(gw.config) + "\n" + filler


def hide(text):
    """As the API shows it."""
    for token in TOKENS:
        text = text.replace(token["token"], "*" * len(token["token"]))
    return text


def test_large_bodies_both_ways(secure, authority):
    gw = secure()
    text = big_config(gw, 3 << 20)
    with Secure(gw, authority) as client:
        reply = client.ask("/api/v1/config", "PUT", OPERATE, text.encode())
        assert reply.status == 200, reply
        assert client.ask("/api/v1/config").text == hide(text)
    done = curl("--cacert", authority.file, "--limit-rate", "2M", url(gw, "/api/v1/config"))
    assert done.stdout == hide(text)


def test_one_that_reads_slowly_gets_all_and_holds_up_nobody(secure, authority):
    gw = secure()
    text = big_config(gw, 2 << 20)
    assert gw.admin("PUT", "/api/v1/config", text).status == 200
    with Secure(gw, authority, receive_buffer=4096) as client:
        client.keep_received = False
        client.request("GET", "/api/v1/config", host=client.host)
        head = client.head()
        with Secure(gw, authority) as other:
            assert other.ask("/healthz").status == 200
        got = []
        client.body(head, on_data=got.append)
        assert b"".join(got).decode() == hide(text)


def test_a_backup(origin, gateway, authority, home):
    gw = gateway(origin, admin={"tls": authority.leaf("127.0.0.1").pair, "tokens": TOKENS})
    until(lambda: gw.admin("GET", "/api/v1/control").status == 200, "control answers", 30 * SLOW)
    done = gw.cli("backup", f"{home}/copy", "--admin", url(gw), "--ca", authority.file, "--token", OPERATE)
    assert done.code == 0, done
    with open(f"{home}/copy", "rb") as file:
        assert file.read(15) == b"SQLite format 3"
    assert gw.cli("backup", f"{home}/copy2", "--admin", url(gw), "--ca", authority.file, "--token", VIEW).code == 1


# -- certificates that change


def test_a_new_pair_is_shown_and_a_bad_one_is_not(secure, authority):
    gw = secure()
    first = serial(gw)
    kept = Secure(gw)
    fresh = authority.leaf("127.0.0.1", kind="rsa").write(gw.leaf.cert, gw.leaf.key)
    until(lambda: serial(gw) != first, "the new certificate", 2 * DEADLINE)
    second = serial(gw)
    assert gw.status()["admin_tls"]["fingerprint"] == fresh.fingerprint
    assert "the certificate of the admin port was read again" in gw.stderr()
    assert kept.ask("/healthz").status == 200
    # Bad ones: another's key, no PEM, out of date, gone.
    other = authority.leaf("127.0.0.1")
    old = authority.leaf("127.0.0.1", days=-1, begin_days=-9)
    for spoil, word in ((lambda: gw.leaf.key.write_text(other.key_text), "does not belong"),
                        (lambda: gw.leaf.cert.write_text("nothing"), "no certificate"),
                        (lambda: old.write(gw.leaf.cert, gw.leaf.key), "expired"),
                        (gw.leaf.cert.unlink, "No such file")):
        spoil()
        until(lambda w=word: w in gw.status()["admin_tls"].get("error", ""), word, 2 * DEADLINE, gw.stderr)
        assert serial(gw) == second
    assert gw.stderr().count("the old one goes on") == 4
    last = authority.leaf("127.0.0.1").write(gw.leaf.cert, gw.leaf.key)
    until(lambda: gw.status()["admin_tls"]["fingerprint"] == last.fingerprint, "the last one", 2 * DEADLINE)
    assert "error" not in gw.status()["admin_tls"]


def test_tls_comes_and_goes_with_the_configuration(origin, gateway, authority):
    gw = gateway(origin)

    def reload():
        assert gw.admin("POST", "/api/v1/reload", timeout=4 * DEADLINE).status == 200

    leaf, other = authority.leaf("127.0.0.1"), authority.leaf("127.0.0.1")
    kept = Client(("127.0.0.1", gw.admin_port))
    assert kept.get("/healthz", host=gw.admin_host).status == 200
    follower = Client(("127.0.0.1", gw.admin_port))
    follower.request("GET", "/api/v1/events", host=gw.admin_host).head()
    assert gw.status()["admin_tls"] is None
    gw.change(admin={"tls": leaf.pair})
    reload()
    assert Secure(gw, authority).ask("/healthz").status == 200
    assert kept.wait_end() == "eof"  # what was plain ends
    assert follower.wait_end() in ("eof", "reset")
    gw.change(admin={"tls": other.pair})
    reload()
    until(lambda: gw.status()["admin_tls"]["fingerprint"] == other.fingerprint, "the other one")
    gw.change(admin={"tls": None})
    reload()
    with Client(("127.0.0.1", gw.admin_port)) as client:
        assert client.get("/healthz", host=gw.admin_host).status == 200


def test_a_restart_in_place_keeps_tls(secure, authority):
    gw = secure()
    before = gw.edge
    gw.signal(signal.SIGUSR2)
    until(lambda: gw.edges() not in ([before], []) and before not in gw.edges(), "another edge", 4 * DEADLINE)
    assert Secure(gw, authority).ask("/healthz").status == 200


def test_files_that_are_wrong_are_said_with_their_place(gateway, origin, authority, home):
    gw = gateway(origin, run=False)
    good, other = authority.leaf("127.0.0.1"), authority.leaf("127.0.0.1")
    old = authority.leaf("127.0.0.1", days=-1, begin_days=-9)
    for pair, word in (({"cert": f"{home}/none.pem", "key": str(good.key)}, "cannot read"),
                       ({"cert": str(good.cert), "key": str(other.key)}, "does not belong"),
                       (old.pair, "expired")):
        gw.file.write_text(json.dumps({**gw.base(), "services": {"app": {"targets": ["127.0.0.1:1"]}},
                                       "admin": {"bind": "127.0.0.1:0", "tls": pair}}, indent=1))
        done = run("check", gw.file)
        assert done.code == 2 and word in done.err + done.out, done
        line = next(n for n, text in enumerate(gw.file.read_text().split("\n"), 1)
                    if ('"key"' if word == "does not belong" else '"cert"') in text)
        assert f"{gw.file}:{line}:" in done.err + done.out, done
    gw.file.write_text(json.dumps({**gw.base(), "services": {"app": {"targets": ["127.0.0.1:1"]}}, "control": {"edges": [
        {"name": "a", "url": "https://127.0.0.1:1", "ca": f"{home}/none.pem"}]}}, indent=1))
    done = run("check", gw.file)
    assert done.code == 2 and "none.pem" in done.err + done.out, done


# -- the command line


def test_the_command_line(secure, authority, home):
    gw = secure()
    good = ("--admin", url(gw), "--ca", authority.file)
    done = gw.cli("status", "--json", *good)
    assert done.code == 0 and done.json()["ready"], done
    assert gw.cli("reload", *good).code == 1
    assert gw.cli("reload", *good, "--token", OPERATE).code == 0
    assert gw.cli("reload", env={"SLUICE_ADMIN": url(gw), "SLUICE_ADMIN_CA": str(authority.file),
                                 "SLUICE_TOKEN": OPERATE}).code == 0
    done = gw.cli("status", "--admin", url(gw))
    assert done.code == 3 and "certificate" in done.err and "--ca" in done.err, done
    done = gw.cli("status", "--admin", url(gw), "--ca", f"{home}/none.pem")
    assert done.code == 3 and "none.pem" in done.err, done
    os.mkdir(f"{home}/other")
    other = Authority(f"{home}/other", "Other Root")
    done = gw.cli("status", "--admin", url(gw), "--ca", other.file)
    assert done.code == 3 and "certificate" in done.err, done
    # The certificate itself is as good as who signed it.
    done = gw.cli("status", "--admin", url(gw), "--ca", gw.leaf.cert)
    assert done.code == 0, done
    done = gw.cli("status", "--admin", f"https://127.0.0.1:{gw.ports.take()}", "--ca", authority.file)
    assert done.code == 3 and "cannot reach" in done.err, done
