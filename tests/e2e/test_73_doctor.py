# SPDX-License-Identifier: Apache-2.0
"""`sluice doctor`: each thing that can be wrong with a target, with real listeners that have it."""

import json
import os
import re
import socket
import ssl
import subprocess

import pytest

from lib.gateway import BIN, run
from lib.h2frames import PREFACE, settings
from lib.origin import Origin
from lib.pairing import WireOrigin
from lib.pki import Authority
from lib.stream import Ended
from lib.wait import SLOW, Stopwatch, ms

USUAL_PORTS = (80, 443, 3000, 3001, 4000, 5000, 8000, 8080, 8081, 9000)
SHORT = {"upstream_idle": "100ms"}  # most tests are not about idle connections
OUTSIDE = {name: value for name, value in os.environ.items() if not name.startswith(("FLY_", "RAILWAY_"))}


@pytest.fixture
def doctor(home):
    """doctor(targets, key=value, ...): what is said, by JSON; .code is the exit status."""

    def examine(targets, *words, timeouts=SHORT, health=None, env=None, wrap=(), root=None, **service):
        targets = [t if isinstance(t, (str, dict)) else t.address for t in targets]
        service = {"targets": targets, **({"health": health} if health else {}), **service}
        path = os.path.join(home, "sluice.yaml")
        with open(path, "w") as file:
            json.dump({"timeouts": timeouts, "services": {"app": service}, **(root or {})}, file)
        done = subprocess.run(
            [*wrap, BIN, "doctor", path, "--timeout", ms(1000), *words], env={**OUTSIDE, **(env or {})},
            capture_output=True, text=True, timeout=20 * SLOW)
        assert "Sanitizer" not in done.stderr, done.stderr
        return done

    return examine


@pytest.fixture
def find(doctor):
    """find(targets, ...): {slug: finding} of the only target; the exit status fits."""

    def examine(targets, **options):
        done = doctor(targets, "--json", **options)
        said = json.loads(done.stdout)
        assert done.returncode == (0 if said["ok"] else 1), done
        (entry,) = said["targets"]
        found = {f["slug"]: f for f in entry["findings"]}
        assert entry["ok"] == all(f["note"] for f in found.values()), entry
        assert all(f["words"] and f["fix"] for f in found.values()), found
        return found

    return examine


@pytest.fixture
def pki(home):
    return Authority(home)


def server(leaf, *alpn):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.cert, leaf.key)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


@pytest.fixture
def secure(pki):
    """Makes TLS targets: secure(leaf, alpn...)."""
    made = []

    def make(leaf, *alpn):
        made.append(WireOrigin(server(leaf, *alpn)))
        return made[-1]

    yield make
    for origin in made:
        origin.close()
    assert not [e for o in made for e in o.errors]


def status(origin, code, headers=(), body=b"", path="/up"):
    origin.on(path)(lambda conn, request: conn.respond(code, body, headers))
    return origin


def is_open(host, port):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        return sock.connect_ex((host, port)) == 0


# -- all is well


def test_a_good_target(doctor, origin):
    status(origin, 200)
    done = doctor([origin], health={"path": "/up"})
    assert done.returncode == 0, done
    assert re.fullmatch(rf"app {origin.address}: ok \(answered 200 to GET /up in \d+ ms\)\n", done.stdout), done
    assert origin.heads[0].header("X-Forwarded-Proto") == "https"


def test_any_answer_is_good_without_a_health_check(find, origin):
    origin.answers("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    assert find([origin]) == {}


def test_the_host_is_that_of_the_route(find, origin):
    root = {"routes": [{"hosts": ["*.example.com", "shop.example.com"], "service": "app"}]}
    assert find([origin], root=root) == {}
    assert origin.heads[0].header("Host") == "shop.example.com"


def test_a_unix_socket(find, origins, home):
    path = os.path.join(home, "app.sock")
    assert find([origins(path=path)]) == {}
    assert set(find([f"unix:{home}/none.sock"])) == {"refused"}


def test_many_targets_are_examined_side_by_side(doctor, origins):
    made = [origins() for _ in range(20)]
    with Stopwatch() as watch:
        done = doctor(made, timeouts={"upstream_idle": "1s"})
    assert done.returncode == 0, done
    assert done.stdout.count(": ok (") == 20
    assert watch.seconds < 10 * SLOW  # one after the other they are watched for 30 s
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines] == [f"{o.address}:" for o in made]


# -- names and ports


def test_a_name_that_does_not_resolve(find):
    found = find(["nobody.invalid:80"])
    assert set(found) == {"dns"} and "nobody.invalid does not resolve" in found["dns"]["words"]


def test_a_private_name_outside(find):
    assert "only inside" in find(["app.internal:80"])["dns"]["fix"]
    assert "only inside" not in find(["app.internal:80"], env={"FLY_APP_NAME": "edge"})["dns"]["fix"]


def test_a_port_that_refuses(find, ports):
    host = "127.0.0.21"
    found = find([f"{host}:{ports.take()}"])
    usual = [port for port in USUAL_PORTS if is_open(host, port)]
    assert set(found) == ({"wrong_port"} if usual else {"refused"})


def usual_port(host):
    """A usual port that nobody has, listened on."""
    for port in USUAL_PORTS[2:]:
        try:
            return Origin(host=host, port=port)
        except OSError:
            continue
    raise AssertionError("all the usual ports are in use")


def test_a_usual_port_that_answers(find, ports):
    host = "127.0.0.22"
    origin = usual_port(host)
    try:
        found = find([f"{host}:{ports.take()}"])
    finally:
        origin.close()
    assert set(found) == {"wrong_port"}
    assert "answers HTTP" in found["wrong_port"]["words"]
    assert re.search(r"set the target's port to \d+", found["wrong_port"]["fix"])


def test_a_health_port_that_refuses(find, origins, ports):
    origin = origins(host="127.0.0.23")
    found = find([origin], health={"path": "/up", "port": ports.take()})
    assert set(found) == {"wrong_port"}
    assert f"port {origin.port} answers HTTP" in found["wrong_port"]["words"]
    assert f"set health.port to {origin.port}" in found["wrong_port"]["fix"]


def test_a_health_port_that_answers(find, origins):
    app, health = origins(), status(origins(), 200)
    assert find([app], health={"path": "/up", "port": health.port}) == {}
    assert {r.path for r in app.heads} == {"/"} and [r.path for r in health.heads] == ["/up"]


def test_bound_to_ipv4_alone(find, origins):
    found = find([f"[::1]:{origins(host='127.0.0.1').port}"])
    assert set(found) == {"refused_ipv6"}
    assert "`::`" in found["refused_ipv6"]["fix"] and not found["refused_ipv6"]["note"]


def test_bound_to_ipv6_alone(find, origins):
    found = find([f"127.0.0.1:{origins(host='::1').port}"])
    assert set(found) == {"refused_ipv4"} and "[::1]" in found["refused_ipv4"]["fix"]


@pytest.fixture
def both(home):
    """Words before a command for which `localhost` has both families, whatever the machine says."""
    hosts = os.path.join(home, "hosts")
    with open(hosts, "w") as file:
        file.write("::1 localhost\n127.0.0.1 localhost\n")
    wrap = ["unshare", "--mount", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"]
    if subprocess.run([*wrap, "true"], capture_output=True).returncode:
        pytest.skip("needs a mount namespace")
    return wrap


@pytest.mark.parametrize("host, slug", [("127.0.0.1", "refused_ipv6"), ("::1", "refused_ipv4")])
def test_a_name_of_which_one_family_refuses(find, origins, both, host, slug):
    found = find([f"localhost:{origins(host=host).port}"], wrap=both)
    assert set(found) == {slug} and found[slug]["note"]  # requests get there, by the other


def test_a_network_that_is_not_there(find):
    wrap = ["unshare", "--net"]
    if subprocess.run([*wrap, "true"], capture_output=True).returncode:
        pytest.skip("needs a network namespace")
    assert set(find(["192.0.2.1:80"], wrap=wrap)) == {"unroutable"}


def test_a_target_that_does_not_answer(find, origin):
    origin.script = lambda conn: conn.wait_ended()
    assert set(find([origin])) == {"no_answer"}


def wait_for_end(conn):
    try:
        while conn.sock.recv(4096):
            pass
    except OSError:
        pass


def test_silence_where_tls_is_expected(find, origin, pki):
    origin.script = wait_for_end
    assert set(find([origin], tls={"ca": str(pki.file)})) == {"no_answer"}


def test_a_target_that_closes(find, origin):
    origin.script = lambda conn: conn.close()
    assert set(find([origin])) == {"closed"}


def greet(conn):
    conn.send(b"220 mail.example.com ESMTP\r\n")
    wait_for_end(conn)


def test_a_target_of_another_protocol(find, origin):
    origin.script = greet
    assert set(find([origin])) == {"not_http"}


# -- TLS


def test_tls_where_plain_is_said(find, secure, pki):
    found = find([secure(pki.leaf("127.0.0.1"))])
    assert set(found) == {"tls_expected"} and "tls: {}" in found["tls_expected"]["fix"]


@pytest.mark.parametrize("body", [
    b"<center>The plain HTTP request was sent to HTTPS port</center>", b"Client sent an HTTP request to an HTTPS server.\n",
])
def test_a_server_that_says_that_it_wants_tls(find, origin, body):
    origin.answers(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
    assert "tls_expected" in find([origin])


def test_plain_where_tls_is_said(find, origin, pki):
    assert set(find([plain_beside_tls(origin)], tls={"ca": str(pki.file)})) == {"tls_unexpected"}


def plain_beside_tls(origin):
    """Answers 400 to what is no HTTP, as servers do."""

    def script(conn):
        try:
            head = conn.exactly(3, "the first bytes")
        except (Ended, AssertionError):
            return
        conn.send(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % (200 if head == b"GET" else 400))
        conn.close()

    origin.script = script
    return origin


def test_good_tls(find, secure, pki):
    assert find([secure(pki.leaf("127.0.0.1"))], tls={"ca": str(pki.file)}) == {}


def test_a_certificate_for_another_name(find, secure, pki):
    found = find([secure(pki.leaf("*.example.com", "web.example.com"))], tls={"ca": str(pki.file)})
    assert set(found) == {"tls_name"}
    assert "*.example.com, web.example.com" in found["tls_name"]["words"]
    assert "tls: {name: web.example.com}" in found["tls_name"]["fix"]


def test_a_certificate_that_nobody_trusts(find, secure, pki):
    found = find([secure(pki.leaf("127.0.0.1"))], tls={})
    assert set(found) == {"tls_untrusted"}
    assert "Test Root" in found["tls_untrusted"]["words"] and "ca:" in found["tls_untrusted"]["fix"]


def test_a_certificate_that_is_self_signed(find, secure, home):
    cert, key = os.path.join(home, "own.pem"), os.path.join(home, "own.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                    "-out", cert, "-days", "9", "-subj", "/CN=own", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)
    own = type("Pair", (), {"cert": cert, "key": key})
    found = find([secure(own)], tls={})
    assert set(found) == {"tls_untrusted"} and "self-signed" in found["tls_untrusted"]["words"]
    assert find([secure(own)], tls={"ca": cert}) == {}


def test_a_certificate_that_has_expired(find, secure, pki):
    leaf = pki.leaf("127.0.0.1", begin_days=-9, days=-2)
    found = find([secure(leaf)], tls={"ca": str(pki.file)})
    assert set(found) == {"tls_untrusted"}
    assert leaf.x509.not_valid_after.strftime("expired on %Y-%m-%dT%H:%M:%S") in found["tls_untrusted"]["words"]


def test_all_that_is_wrong_with_a_certificate_is_said(doctor, secure, pki):
    done = doctor([secure(pki.leaf("other.example", begin_days=-9, days=-2))], tls={})
    assert done.returncode == 1
    assert done.stdout.count("tls_untrusted:") == 2 and done.stdout.count("tls_name:") == 1, done


def test_a_target_that_wants_a_certificate(find, pki):
    context = server(pki.leaf("127.0.0.1"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(pki.file)
    origin = WireOrigin(context)
    try:
        found = find([origin], tls={"ca": str(pki.file)})
    finally:
        origin.close()
    assert set(found) <= {"tls_failed", "closed"} and found


# -- HTTP/1.1 and HTTP/2


def answer_settings(conn):
    """HTTP/2 alone, as far as a doctor comes: SETTINGS, whatever was said."""
    conn.sock.recv(len(PREFACE))
    conn.send(settings({}))
    wait_for_end(conn)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 505 X\r\nContent-Length: 0\r\n\r\n"])
def test_http1_where_h2_is_said(find, origin, answer):
    def script(conn):
        is_known = conn.sock.recv(3) == b"GET"
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" if is_known else answer)
        wait_for_end(conn)

    origin.script = script
    found = find([origin], protocol="h2")
    assert set(found) == {"protocol"} and "protocol: http1" in found["protocol"]["fix"]


def test_h2_where_http1_is_said(find, origin):
    origin.script = answer_settings
    found = find([origin])
    assert set(found) == {"protocol"} and "protocol: h2" in found["protocol"]["fix"]


def test_http1_over_tls_where_h2_is_said(find, secure, pki):
    found = find([secure(pki.leaf("127.0.0.1"), "http/1.1")], protocol="h2", tls={"ca": str(pki.file)})
    assert set(found) == {"protocol"}


def test_good_h2(find, h2origin):
    assert find([h2origin], protocol="h2") == {}


def test_good_h2_over_tls(find, h2origins, pki):
    origin = h2origins(tls=server(pki.leaf("127.0.0.1"), "h2"))
    assert find([origin], protocol="auto", tls={"ca": str(pki.file)}) == {}


# -- answers


def test_a_redirect_that_leads_back(find, origin):
    root = {"routes": [{"hosts": ["shop.example.com"], "service": "app"}]}
    origin.answers("HTTP/1.1 301 X\r\nLocation: https://shop.example.com/\r\nContent-Length: 0\r\n\r\n")
    found = find([origin], root=root)
    assert set(found) == {"redirect_loop"} and not found["redirect_loop"]["note"]
    assert "X-Forwarded-Proto" in found["redirect_loop"]["words"]


def test_a_redirect_to_elsewhere(find, origin):
    status(origin, 302, [("Location", "/login")])
    found = find([origin], health={"path": "/up"})
    assert set(found) == {"redirect"} and found["redirect"]["note"]
    assert "/login" in found["redirect"]["words"]
    found = find([origin], health={"path": "/up", "status": 200})
    assert set(found) == {"redirect"} and not found["redirect"]["note"]


@pytest.mark.parametrize("code, slug", [
    (404, "health_404"), (401, "health_auth"), (403, "health_auth"), (500, "health_5xx"), (503, "health_5xx"), (418, "health_status"),
])
def test_an_answer_that_is_not_good(find, origin, code, slug):
    status(origin, code)
    found = find([origin], health={"path": "/up"})
    assert set(found) == {slug} and str(code) in found[slug]["words"]


def test_a_body_that_is_not_good(find, origin):
    status(origin, 200, body=b"starting")
    found = find([origin], health={"path": "/up", "body": "ready"})
    assert set(found) == {"health_body"} and '"ready"' in found["health_body"]["words"]


def test_grpc_without_a_health_service(find, h2origin):
    h2origin.answer = (200, [("content-type", "application/grpc"), ("grpc-status", "12")], b"")
    assert set(find([h2origin], health={"grpc": ""}, protocol="h2")) == {"health_grpc"}


# -- idle connections


def idle_for(seconds, headers=()):
    """Answers, and closes when nothing more comes for so long."""

    def script(conn):
        conn.read()
        conn.respond(200, b"ok", headers)
        conn.sock.settimeout(seconds)
        try:
            conn.sock.recv(1)
        except OSError:
            pass
        conn.close()

    return script


def test_idle_connections_that_are_closed_too_soon(find, origin):
    origin.script = idle_for(0.6 * SLOW)
    found = find([origin], timeouts={"upstream_idle": ms(1500)})
    assert set(found) == {"idle"} and not found["idle"]["note"]
    assert re.search(r"closes idle connections after \d+\.\d s, ours are kept", found["idle"]["words"])
    assert "set timeouts.upstream_idle to" in found["idle"]["fix"]


def test_the_longest_of_the_routes_counts(find, origin):
    origin.script = idle_for(0.6 * SLOW)
    routes = [{"paths": ["/a/*"], "service": "app", "timeouts": {"upstream_idle": ms(1500)}},
              {"paths": ["/*"], "service": "app"}]
    assert set(find([origin], root={"routes": routes})) == {"idle"}


def test_idle_connections_that_are_kept_for_long_enough(find, origin):
    origin.script = idle_for(1.5 * SLOW)
    assert find([origin], timeouts={"upstream_idle": ms(500)}) == {}


def test_what_the_target_says_of_idle_connections_is_obeyed(find, origin):
    origin.script = idle_for(1 * SLOW, [("Keep-Alive", f"timeout={int(SLOW)}")])
    assert find([origin], timeouts={"upstream_idle": ms(8000)}) == {}  # the edge ends them before


def test_connections_that_are_not_kept(find, origin):
    origin.answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    found = find([origin])
    assert set(found) == {"no_keepalive"} and found["no_keepalive"]["note"]


def test_connections_that_end_without_a_word(find, origin):
    origin.script = lambda conn: (conn.read() and conn.respond(), conn.close())
    found = find([origin], timeouts={"upstream_idle": ms(1500)})
    assert set(found) == {"no_keepalive"}


def test_idle_connections_over_tls(find, secure, pki):
    origin = secure(pki.leaf("127.0.0.1"))
    origin.script = idle_for(0.6 * SLOW)
    assert set(find([origin], timeouts={"upstream_idle": ms(1500)}, tls={"ca": str(pki.file)})) == {"idle"}


# -- discovery


def test_targets_by_name(doctor, origin):
    done = doctor([], discover={"dns": "localhost", "port": origin.port, "type": "A"})
    assert done.returncode == 0 and f"app {origin.address}: ok" in done.stdout, done
    done = doctor([], discover={"dns": "nobody.invalid", "port": origin.port})
    assert done.returncode == 1 and "app nobody.invalid: wrong\n  dns:" in done.stdout, done


@pytest.mark.parametrize("text", ['["{}"]', "- {}", 'targets: ["{}"]', "targets:\n  - id: a\n    address: {}\n"])
def test_targets_from_a_file(doctor, origin, home, text):
    path = os.path.join(home, "targets.yaml")
    with open(path, "w") as file:
        file.write(text.format(origin.address))
    done = doctor([], discover={"file": path})
    assert done.returncode == 0 and f"{origin.address}: ok" in done.stdout, done


def test_a_file_of_targets_that_cannot_be_read(doctor, home):
    done = doctor([], discover={"file": os.path.join(home, "none.yaml")})
    assert done.returncode == 1 and "  file: " in done.stdout, done


# -- listeners


def test_what_peers_are_behind_a_platform(doctor, origin):
    public = {"listeners": [{"bind": ":8080"}]}
    for env in ({"FLY_APP_NAME": "edge"}, {"RAILWAY_ENVIRONMENT_NAME": "production"}):
        done = doctor([origin], "--json", root=public, env=env)
        assert done.returncode == 0
        assert [f["slug"] for f in json.loads(done.stdout)["listeners"]] == ["client_address"]
        assert "client_address" not in doctor([origin], root={"listeners": [{"bind": "127.0.0.1:8080"}]}, env=env).stdout
    assert "client_address" not in doctor([origin], root=public).stdout


# -- the command


@pytest.mark.parametrize("words", [["a", "b"], ["--nonsense"], ["--timeout"], ["--timeout", "soon"], ["--service"], ["/nonexistent"]])
def test_wrong_use(words):
    done = run("doctor", *words)
    assert done.code == 2 and done.err and not done.out


def test_a_wrong_configuration(home):
    path = os.path.join(home, "bad.yaml")
    with open(path, "w") as file:
        file.write("services: {app: {tagets: []}}\n")
    done = run("doctor", path)
    assert done.code == 2 and "targets" in done.err


def test_one_service(home, origins):
    good, path = origins(), os.path.join(home, "two.yaml")
    with open(path, "w") as file:
        json.dump({"timeouts": SHORT, "services": {"good": {"targets": [good.address]}, "bad": {"targets": ["nobody.invalid:1"]}},
                   "routes": [{"hosts": ["a.example"], "service": "good"}, {"hosts": ["b.example"], "service": "bad"}]}, file)
    assert run("doctor", path, "--service", "good").code == 0
    assert run("doctor", path, "--service", "bad").code == 1
    done = run("doctor", path, "--service", "goood")
    assert done.code == 2 and 'did you mean "good"?' in done.err
