# SPDX-License-Identifier: Apache-2.0
"""What an API gateway adds to a proxy: the usual features together, against peers that have them, and what each filter
costs by itself. Like scenarios.py: takes a bench, returns rows."""
import base64
import contextlib
import crypt
import hashlib
import hmac
import http.client
import json
import os
import statistics
import time

import proxies
import scenarios
import tools

ENOUGH = 1_000_000  # requests a second that one client never reaches
FEW = 2
PATIENCE_S = 10
SIGNED = 150_000
SECRET = "a secret of thirty-two bytes, or more"
KEY = "slk_0123456789"
LUA = """
function on_request(request)
  request:set_header("X-Path", request.path)
end
function on_response(request, response)
  response:set_header("X-Seen", "1")
end
"""


ITEM = {"type": "object", "required": ["sku", "count"], "additionalProperties": False, "properties": {
    "sku": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"}, "count": {"type": "integer", "minimum": 1, "maximum": 999},
    "price": {"type": "number", "minimum": 0}, "note": {"type": "string", "maxLength": 100}}}
ORDER = {"type": "object", "required": ["id", "items"], "properties": {
    "id": {"type": "string", "format": "uuid"}, "items": {"type": "array", "minItems": 1, "items": ITEM}}}


def order():
    """1 KiB of JSON that fits ORDER."""
    items = [{"sku": f"ABC-{1000 + i}", "count": i + 1, "price": 9.5, "note": "as it comes"} for i in range(13)]
    body = {"id": "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "items": items}
    items[0]["note"] += "." * (1024 - len(json.dumps(body)))
    return json.dumps(body)


def ask(port, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/", headers=headers or {})
        answer = connection.getresponse()
        answer.read()
        return answer
    finally:
        connection.close()


def expect(is_so, proxy, words):
    if not is_so:
        raise tools.BenchError(f"{proxy}: {words}")


def check_answers(proxy):
    """CORS for pages of the one origin alone. Returns the request's id, which the log must have."""
    ours, foreign = (ask(proxy.port, {"Origin": o}) for o in (proxies.ORIGIN, "https://other.example.com"))
    for answer in (ours, foreign):
        expect(answer.status == 200, proxy.name, f"answered {answer.status}")
        expect("origin" in answer.getheader("Vary", "").lower(), proxy.name, "no Vary: Origin")
        expect(answer.getheader("X-Request-Id"), proxy.name, "no X-Request-Id")
    expect(ours.getheader("Access-Control-Allow-Origin") == proxies.ORIGIN, proxy.name, "the origin is not allowed")
    expect(not foreign.getheader("Access-Control-Allow-Origin"), proxy.name, "another origin is allowed")
    return ours.getheader("X-Request-Id")


def check_log(proxy, request_id):
    """A line of JSON with that id comes up."""
    path = proxy.path("output" if proxy.name == "haproxy" else "access.log")
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
            lines = [line for line in file if request_id in line]
            if lines and lines[0].endswith("\n"):
                if proxy.name == "nginx":  # writes no number where there was no length
                    lines[0] = lines[0].replace('"bytes_in":,', '"bytes_in":0,')
                expect(json.loads(lines[0])["id"] == request_id, proxy.name, "the log has the id elsewhere")
                return
        time.sleep(0.1)
    expect(False, proxy.name, f"the log does not have {request_id}")


def check_features(name, folder, origin):
    """One whose features do nothing would win for nothing."""
    with proxies.running(name, os.path.join(folder, "check"), origin, {"log": True, "rate": ENOUGH}) as proxy:
        check_log(proxy, check_answers(proxy))
    with proxies.running(name, os.path.join(folder, "few"), origin, {"log": True, "rate": FEW}) as proxy:
        statuses = [ask(proxy.port).status for _ in range(2 * FEW + 2)]
        expect(statuses[0] == 200 and 429 in statuses, name, f"{FEW}/s let through {statuses}")


def features(bench):
    """Rate limit by address, CORS, JSON log and request id, all on. No request is refused."""
    with tools.origin() as origin, bench.folder() as folder:
        for name in bench.names:
            check_features(name, folder, origin)
    load = {"headers": [f"Origin: {proxies.ORIGIN}"]}
    return scenarios.take_turns(bench, load, {"log": True, "rate": ENOUGH})


# --- each by itself

def base64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def make_token():
    claims = {"iss": "bench", "sub": "ann", "aud": "api", "scope": "read write", "exp": int(time.time()) + 86400}
    parts = [base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signature = hmac.new(SECRET.encode(), ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, base64url(signature)])


def make_nets(path):
    """10,000 of them; loopback is not one."""
    with open(path, "w", encoding="ascii") as file:
        file.writelines(f"10.{i // 250}.{i % 250}.0/24\n" for i in range(10_000))
    return path


def make_file(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def all_filters(folder):
    """name: (its options; the header that asks for its work; the status of a request without that, or a field of the
    answer that shows the work; in words)."""
    basic = "Basic " + base64.b64encode(b"ann:swordfish").decode()
    hashed = crypt.crypt("swordfish", "$2b$05$abcdefghijklmnopqrstuu")
    key = {"hash": hashlib.sha256(KEY.encode()).hexdigest(), "consumer": "ann"}
    nets, script = make_nets(os.path.join(folder, "nets")), make_file(os.path.join(folder, "bench.lua"), LUA)
    return {
        "shield": ({}, None, None, "idle, as by default"),
        "rate_limit": ({"rate": f"{ENOUGH}/s", "burst": ENOUGH}, None, "RateLimit", "by address"),
        "cors": ({"origins": [proxies.ORIGIN]}, ("Origin", proxies.ORIGIN), "Access-Control-Allow-Origin", "one origin"),
        "access": ({"deny_file": nets}, None, None, "10,000 nets, the client in none"),
        "jwt": ({"secret": SECRET, "issuer": "bench"}, ("Authorization", f"Bearer {make_token()}"), 401,
                "HS256, the same token again and again"),
        "api_key": ({"keys": [key]}, ("X-Api-Key", KEY), 401, "one key"),
        "basic": ({"users": {"ann": hashed}}, ("Authorization", basic), 401, "bcrypt, checked once"),
        "headers": ({"security": True}, None, "X-Content-Type-Options", "the security preset"),
        "body_limit": ("1MiB", None, None, "requests without body"),
        "validate": ({"schema": make_file(os.path.join(folder, "order.json"), json.dumps(ORDER))}, None, None,
                     "POST of 1 KiB of JSON: 13 objects, a pattern each"),
        "compress": ({"algorithms": ["gzip"]}, ("Accept-Encoding", "gzip"), "Content-Encoding",
                     "gzip, level 5, of 1 KiB of JSON"),
        "decompress": ({}, None, None, "requests without body"),
        "mirror": ({"service": "origin", "share": "0%"}, None, None, "no request chosen"),
        "hmac": ({"keys": {"bench": {"secret": SECRET}}}, None, None, "GET, four components and a nonce, each signed anew"),
        "signed_url": ({"secrets": [SECRET]}, None, None, "the same link again and again"),
        "forward_auth": ({"url": "http://origin/auth", "cache": "60s"}, ("Authorization", basic), None,
                         "answered from its cache"),
        "lua": ({"script": script}, None, "X-Seen", "a field set each way"),
    }


def keyed(text):
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256)


def signed_link():
    target = f"/?expires={int(time.time()) + 86400}"
    return f"{target}&signature={keyed(target).hexdigest()}"


def signed_fields(count):
    """So many requests to sign, each with a nonce of its own (RFC 9421): the values of their two fields."""
    for _ in range(count):
        params = ("(\"@method\" \"@authority\" \"@path\" \"@query\");"
                  f"created={int(time.time())};keyid=\"bench\";nonce=\"{os.urandom(9).hex()}\"")
        base = f"\"@method\": GET\n\"@authority\": hmac\n\"@path\": /\n\"@query\": ?\n\"@signature-params\": {params}"
        yield f"sig={params}", f"sig=:{base64.b64encode(keyed(base).digest()).decode()}:"


def order_script(_folder):
    return f'wrk.method = "POST"\nwrk.body = [[{order()}]]\nwrk.headers["Content-Type"] = "application/json"\n'


def link_script(_folder):
    return f'wrk.path = "{signed_link()}"\n'


def signing_script(folder):
    """Each signature is good once: a turn has more than it will ask for."""
    lines = (f"{given}\n{made}\n" for given, made in signed_fields(SIGNED))
    path = make_file(os.path.join(folder, "signed"), "".join(lines))
    return f"""
local next_line = io.lines("{path}")
request = function()
  wrk.headers["Signature-Input"], wrk.headers["Signature"] = next_line(), next_line()
  return wrk.format()
end
"""


# Of filters whose request is more than a GET with a field: what writes wrk's script for one turn.
SCRIPTS = {"validate": order_script, "signed_url": link_script, "hmac": signing_script}


def check_signed(port):
    """What is signed passes, once where that is the rule, and nothing else."""
    link = signed_link()
    given, made = next(signed_fields(1))
    fields = {"Signature-Input": given, "Signature": made}
    asked = (("signed_url", link, {}, 200), ("signed_url", link[:-1], {}, 403), ("hmac", "/", {}, 401),
             ("hmac", "/", fields, 200), ("hmac", "/", fields, 401))
    for host, target, more, status in asked:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", target, headers={"Host": host, **more})
            got = connection.getresponse().status
            expect(got == status, host, f"answered {got}, not {status}")
        finally:
            connection.close()


def check_validation(port):
    """It takes the body of the bench, and no other."""
    for body, status in ((order(), 200), (order().replace("ABC", "abc", 1), 400)):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("POST", "/", body, {"Host": "validate", "Content-Type": "application/json"})
            expect(connection.getresponse().status == status, "validate", f"did not answer {status}")
        finally:
            connection.close()


def check_filter(proxy, name, header, shown):
    fields = dict([header] if header else [])
    answer = ask(proxy.port, {"Host": name, **fields})
    expect(answer.status == 200, name, f"answered {answer.status}")
    if isinstance(shown, str):
        expect(answer.getheader(shown), name, f"no {shown}")
    elif shown:
        status = ask(proxy.port, {"Host": name}).status
        expect(status == shown, name, f"answered {status} without {header[0]}")


def check_cache(proxy, count, header):
    """The first request asks the service that decides and the target, the second the target alone."""
    asked = [count()]
    for _ in range(2):
        ask(proxy.port, {"Host": "forward_auth", **dict([header])})
        asked.append(count())
    expect([asked[1] - asked[0], asked[2] - asked[1]] == [2, 1], "forward_auth", f"requests that the origin saw: {asked}")


def cpu_us(proxy, host, header, script=None):
    """CPU a request of one turn."""
    headers = [f"Host: {host}"] + ([": ".join(header)] if header else [])
    load = {"headers": headers, **({"script": script} if script else {})}
    before = tools.run_ns(proxy.process.pid)
    requests = tools.wrk(proxy.port, load, 1)["requests"]
    return (tools.run_ns(proxy.process.pid) - before) / requests / 1e3


def pair(proxy, name, header, folder, is_bare_first):
    """CPU a request of the bare route and of that with the filter, one right after the other."""
    hosts = ("bare", name) if is_bare_first else (name, "bare")
    script = make_file(os.path.join(folder, f"{name}.wrk"), SCRIPTS[name](folder)) if name in SCRIPTS else None
    turns = {host: cpu_us(proxy, host, header, script) for host in hosts}
    return turns["bare"], turns[name]


def filters(bench):
    """CPU microseconds a request of each filter alone, and of the same request on a route without filters, in turns of
    1 s one after the other: the least of the rounds, their difference, and the median of each round's. What else runs on
    the machine only adds: where the last two are far apart, it was not quiet. Sluice alone."""
    if "sluice" not in bench.names:
        return {}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(bench.folder())
        origin, count = stack.enter_context(tools.counting_origin())
        table = all_filters(folder)
        options = {"filters": {name: {name: row[0]} for name, row in table.items()}}
        proxy = stack.enter_context(proxies.running("sluice", folder, origin, options))
        check_cache(proxy, count, table["forward_auth"][1])
        for name, (_, header, shown, _) in table.items():
            if name not in SCRIPTS:
                check_filter(proxy, name, header, shown)
        check_validation(proxy.port)
        check_signed(proxy.port)
        cpu_us(proxy, "bare", None)  # warm
        turns = {name: [] for name in table}
        for number in range(bench.rounds):
            for name, (_, header, _, _) in table.items():
                turns[name].append(pair(proxy, name, header, folder, number % 2 == 0))
    return {name: filter_row(turns[name], table[name][3]) for name in table}


def filter_row(turns, words):
    bare, with_filter = (min(column) for column in zip(*turns))
    return {"bare_us": bare, "with_us": with_filter, "costs_us": with_filter - bare,
            "median_costs_us": statistics.median(w - b for b, w in turns), "note": words}


ALL = {f.__name__: f for f in (features, filters)}
