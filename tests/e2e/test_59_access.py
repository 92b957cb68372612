# SPDX-License-Identifier: Apache-2.0
"""Who may ask at all: by address, by country and autonomous system of the address, by what a client calls itself.

The tests are a trusted proxy that says which address its client has."""

import ipaddress
import os
import random
import threading

import pytest

from lib import mmdb
from lib.client import Client
from lib.gateway import run
from lib.load import Load
from lib.wait import until

COUNTRIES = {
    "192.0.2.0/24": mmdb.country("DE"), "198.51.100.0/24": mmdb.country("FR"),
    "203.0.113.0/24": mmdb.country("US"), "2001:db8::/32": mmdb.country("JP"),
}
NETWORKS = {"192.0.2.0/24": mmdb.asn(64496), "198.51.100.0/24": mmdb.asn(64497), "2001:db8::/32": mmdb.asn(4200000001)}


@pytest.fixture
def asked(origin, gateway):
    """Starts a gateway with this filter, and asks as clients of these addresses: address -> "ok" or a reason."""
    def start(access, **options):
        gw = gateway(origin, filters=[{"access": access}], trusted_proxies=["127.0.0.1"], **options)
        return gw, lambda *addresses: {address: ask(gw, address) for address in addresses}

    return start


def ask(gw, address=None, agent="a browser"):
    headers = [("X-Forwarded-For", address)] if address else []
    headers += [("User-Agent", agent)] if agent is not None else []
    return verdict(gw.get("/", headers))


def verdict(reply):
    if reply.status == 200:
        return reply.text
    assert reply.status == 403, reply
    return reply.header("X-Sluice-Reason")


@pytest.fixture
def databases(home):
    return {
        "country_db": mmdb.write(os.path.join(home, "country.mmdb"), COUNTRIES),
        "asn_db": mmdb.write(os.path.join(home, "asn.mmdb"), NETWORKS),
    }


# -- networks


def test_what_is_denied_is_refused_and_all_else_gets_through(asked):
    _, who = asked({"deny": ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"]})
    assert who("192.0.2.1", "192.0.3.1", "198.51.100.7", "198.51.100.8", "2001:db8::1", "2001:db9::1") == {
        "192.0.2.1": "address_denied", "192.0.3.1": "ok", "198.51.100.7": "address_denied", "198.51.100.8": "ok",
        "2001:db8::1": "address_denied", "2001:db9::1": "ok"}


def test_with_an_allow_only_what_it_names_gets_through(asked):
    _, who = asked({"allow": ["192.0.2.0/24", "2001:db8::1"]})
    assert who("192.0.2.1", "192.0.3.1", "2001:db8::1", "2001:db8::2") == {
        "192.0.2.1": "ok", "192.0.3.1": "address_denied", "2001:db8::1": "ok", "2001:db8::2": "address_denied"}


def test_the_most_specific_network_decides(asked):
    _, who = asked({"allow": ["0.0.0.0/0", "192.0.2.128/25", "203.0.113.1"], "deny": ["192.0.2.0/24", "203.0.113.1"]})
    assert who("192.0.2.1", "192.0.2.129", "198.51.100.1", "203.0.113.1", "2001:db8::1") == {
        "192.0.2.1": "address_denied", "192.0.2.129": "ok", "198.51.100.1": "ok", "203.0.113.1": "address_denied",
        "2001:db8::1": "address_denied"}


def test_ten_thousand_networks_from_a_file(asked, home):
    chance = random.Random(7)
    nets = {ipaddress.ip_network((chance.getrandbits(24) << 8, 24)) for _ in range(10_000)}
    path = os.path.join(home, "drop.txt")
    with open(path, "w") as file:
        file.write("# the worst of them\n\n")
        file.writelines(f"  {net}\t; SBL{n}\r\n" for n, net in enumerate(nets))
        file.write("2001:db8:bad::/48 # no newline")
    _, who = asked({"deny_file": path, "deny": ["198.51.100.7"]})
    inside = [str(net[chance.randrange(256)]) for net in chance.sample(sorted(nets), 50)]
    outside = [str(ip) for ip in (ipaddress.ip_address(chance.getrandbits(32)) for _ in range(50))
               if not any(ip in net for net in nets)]
    assert set(who(*inside, "2001:db8:bad::1", "198.51.100.7").values()) == {"address_denied"}
    assert set(who(*outside, "2001:db8:600d::1").values()) == {"ok"}


def test_a_file_of_networks_is_read_at_each_reload(asked, home):
    path = os.path.join(home, "allow.txt")
    with open(path, "w") as file:
        file.write("192.0.2.1\n")
    gw, who = asked({"allow_file": path})
    assert who("192.0.2.1", "192.0.2.2") == {"192.0.2.1": "ok", "192.0.2.2": "address_denied"}
    with open(path, "w") as file:
        file.write("192.0.2.2\n")
    gw.reload()
    assert who("192.0.2.1", "192.0.2.2") == {"192.0.2.1": "address_denied", "192.0.2.2": "ok"}
    with open(path, "w") as file:
        file.write("192.0.2.3\n192.0.2.4/24\n")
    reply = gw.admin("POST", "/api/v1/reload")
    assert reply.status == 422 and f"{path}:2:1" in reply.text and "192.0.2.4/24" in reply.text, reply
    assert who("192.0.2.2", "192.0.2.3") == {"192.0.2.2": "ok", "192.0.2.3": "address_denied"}


def test_a_route_has_lists_of_its_own(origin, gateway):
    gw = gateway(origin, trusted_proxies=["127.0.0.1"], filters=[{"access": {"deny": ["192.0.2.1"]}}], routes=[
        {"paths": ["/open"], "service": "app", "filters": [{"access": "off"}]},
        {"paths": ["/other"], "service": "app", "filters": [{"access": {"deny": ["192.0.2.2"]}}]},
        {"service": "app"}])
    said = {(path, ip): gw.get(path, [("X-Forwarded-For", ip)]).status
            for path in ("/", "/open", "/other") for ip in ("192.0.2.1", "192.0.2.2")}
    assert said == {("/", "192.0.2.1"): 403, ("/", "192.0.2.2"): 200, ("/open", "192.0.2.1"): 200,
                    ("/open", "192.0.2.2"): 200, ("/other", "192.0.2.1"): 200, ("/other", "192.0.2.2"): 403}


def test_a_refusal_is_counted_and_logged_and_reaches_no_target(origin, asked):
    gw, who = asked({"deny": ["192.0.2.1"]})
    assert who("192.0.2.1") == {"192.0.2.1": "address_denied"}
    assert not origin.requests
    gw.wait_metric("sluice_http_requests_refused_total", 1, reason="address_denied")
    assert gw.log("/")["reason"] == "address_denied"


# -- places


def test_countries_that_are_denied(asked, databases):
    _, who = asked({**databases, "countries": {"deny": ["fr", "JP"]}})
    assert who("192.0.2.1", "198.51.100.1", "2001:db8::1", "10.0.0.1") == {
        "192.0.2.1": "ok", "198.51.100.1": "country_denied", "2001:db8::1": "country_denied", "10.0.0.1": "ok"}


def test_an_unknown_address_is_a_value_of_its_own(asked, databases):
    _, who = asked({**databases, "countries": {"deny": ["unknown"]}})
    assert who("192.0.2.1", "10.0.0.1") == {"192.0.2.1": "ok", "10.0.0.1": "country_denied"}


def test_only_countries_that_are_allowed(asked, databases):
    _, who = asked({**databases, "countries": {"allow": ["DE", "unknown"]}})
    assert who("192.0.2.1", "198.51.100.1", "10.0.0.1") == {
        "192.0.2.1": "ok", "198.51.100.1": "country_denied", "10.0.0.1": "ok"}


def test_autonomous_systems(asked, databases):
    _, who = asked({**databases, "asn": {"deny": ["AS64496", 4200000001]}})
    assert who("192.0.2.1", "198.51.100.1", "2001:db8::1", "10.0.0.1") == {
        "192.0.2.1": "asn_denied", "198.51.100.1": "ok", "2001:db8::1": "asn_denied", "10.0.0.1": "ok"}


def test_what_one_of_the_allows_names_gets_through(asked, databases):
    _, who = asked({**databases, "allow": ["10.0.0.0/8"], "countries": {"allow": ["DE"]}, "asn": {"allow": ["AS64497"]}})
    assert who("10.1.1.1", "192.0.2.1", "198.51.100.1", "203.0.113.1") == {
        "10.1.1.1": "ok", "192.0.2.1": "ok", "198.51.100.1": "ok", "203.0.113.1": "country_denied"}


def test_a_network_that_is_allowed_is_not_asked_for_its_country(asked, databases):
    _, who = asked({**databases, "allow": ["198.51.100.7", "0.0.0.0/0"], "deny": ["198.51.100.9"],
                    "countries": {"deny": ["FR"]}})
    assert who("198.51.100.7", "198.51.100.9") == {"198.51.100.7": "ok", "198.51.100.9": "address_denied"}


def test_a_database_that_changes_is_read_again_under_load(asked, databases):
    gw, who = asked({**databases, "countries": {"deny": ["FR"]}}, workers=2)
    generation = gw.generation
    with Load(gw) as load:
        assert who("192.0.2.1") == {"192.0.2.1": "ok"}
        mmdb.write(databases["country_db"], {**COUNTRIES, "192.0.2.0/24": mmdb.country("FR")})
        until(lambda: who("192.0.2.1") == {"192.0.2.1": "country_denied"}, "the new database", 30)
        load.grow()
    load.check()
    assert gw.generation == generation
    assert gw.stderr().count("country.mmdb was read again") == 1


@pytest.mark.long
def test_a_database_that_is_damaged_or_gone_leaves_the_one_before(asked, databases):
    gw, who = asked({**databases, "countries": {"deny": ["FR"]}})
    with open(databases["country_db"], "r+b") as file:  # under the eyes of whoever has it open
        file.truncate(500)
    until(lambda: "the one that was read before serves on" in gw.stderr(), "a word on it", 30)
    assert who("192.0.2.1", "198.51.100.1") == {"192.0.2.1": "ok", "198.51.100.1": "country_denied"}
    os.unlink(databases["country_db"])
    until(lambda: gw.stderr().count("serves on") == 2, "a word on that", 30)
    assert who("192.0.2.1", "198.51.100.1") == {"192.0.2.1": "ok", "198.51.100.1": "country_denied"}
    reply = gw.admin("POST", "/api/v1/reload")
    assert reply.status == 422 and "No such file" in reply.text, reply
    mmdb.write(databases["country_db"], {**COUNTRIES, "192.0.2.0/24": mmdb.country("FR")})
    until(lambda: who("192.0.2.1") == {"192.0.2.1": "country_denied"}, "one that is good again", 30)


def test_routes_share_a_database_and_workers_look_at_it_at_once(origin, gateway, databases):
    routes = [{"paths": [f"/{n}"], "service": "app",
               "filters": [{"access": {**databases, "countries": {"deny": [code]}}}]} for n, code in
              enumerate(("DE", "FR", "US", "JP"))]
    gw = gateway(origin, trusted_proxies=["127.0.0.1"], workers=2, routes=[*routes, {"service": "app"}])
    wrong = []

    def work(n, address):
        with Client(("127.0.0.1", gw.port)) as client:
            for k in range(200):
                reply = client.get(f"/{k % 4}", [("X-Forwarded-For", address)])
                if (reply.status == 403) != (k % 4 == n):
                    wrong.append((k, address, reply))

    addresses = ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1")
    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(addresses)]
    for thread in threads:
        thread.start()
    for n in range(3):
        mmdb.write(databases["country_db"], COUNTRIES)
        until(lambda n=n: gw.stderr().count("country.mmdb was read again") > n, "another look", 30)
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:3]
    assert gw.stderr().count("country.mmdb was read again") == 3


# -- clients without an address


def test_a_client_on_a_unix_socket_is_held_by_no_network(origin, gateway, home, databases):
    path = os.path.join(home, "s")

    def said(access):
        gw.change(filters=[{"access": access}])
        gw.reload()
        with Client(f"unix:{path}") as client:
            return verdict(client.get())

    gw = gateway(origin, listeners=[{"bind": f"unix:{path}"}], filters=[{"access": {"deny": ["0.0.0.0/0", "::/0"]}}])
    with Client(f"unix:{path}") as client:
        assert verdict(client.get()) == "ok"
    assert said({"allow": ["0.0.0.0/0", "::/0"]}) == "address_denied"
    assert said({**databases, "countries": {"deny": ["DE"]}}) == "ok"
    assert said({**databases, "countries": {"deny": ["unknown"]}}) == "country_denied"
    assert said({**databases, "asn": {"allow": ["unknown"]}}) == "ok"


# -- agents

GOOGLE = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
GPT = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
CUBOT = "Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Mobile Safari"


def test_agents_by_class_and_by_pattern(origin, gateway):
    gw = gateway(origin, filters=[{"access": {"agents": {"deny": ["bots", "tools", "none", "~^evil/[0-9]+$"],
                                                          "allow": ["~googlebot", "~^curl/8"]}}}])
    said = {agent: ask(gw, agent=agent) for agent in
            (GOOGLE, GPT, FIREFOX, CUBOT, "curl/7.88.1", "curl/8.5.0", "EVIL/12", "evil/12b", "", None)}
    denied = "agent_denied"
    assert said == {GOOGLE: "ok", GPT: denied, FIREFOX: "ok", CUBOT: "ok", "curl/7.88.1": denied, "curl/8.5.0": "ok",
                    "EVIL/12": denied, "evil/12b": "ok", "": denied, None: denied}


def test_each_class_of_agents(origin, gateway):
    examples = {
        "search": "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        "ai": "Mozilla/5.0 (compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
        "seo": "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
        "previews": "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "scanners": "sqlmap/1.7#stable (https://sqlmap.org)",
        "headless": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/126.0.0.0 Safari/537.36",
        "tools": "python-requests/2.31.0", "none": "",
    }
    gw = gateway(origin, routes=[{"paths": [f"/{name}"], "service": "app",
                                  "filters": [{"access": {"agents": {"deny": [name]}}}]} for name in examples])
    for name in examples:
        said = {other: gw.get(f"/{name}", [("User-Agent", agent)]).status for other, agent in examples.items()}
        assert said == {other: 403 if other == name else 200 for other in examples}, name
        assert gw.get(f"/{name}", [("User-Agent", FIREFOX)]).status == 200


# -- configurations that are wrong

WRONG = [
    ({"allow": ["10.0.0.1/8"]}, ['"10.0.0.1/8" is no network', "no bits are set behind the prefix"]),
    ({"deny": ["10.0.0", "example.com"]}, ['"10.0.0" is no network', '"example.com" is no network']),
    ({"deny_file": "/nonexistent/nets"}, ["cannot read the networks: No such file"]),
    ({"deny_file": "/"}, ["it is not a file"]),
    ({"countries": {"deny": ["DE"]}}, ["access by country needs a database"]),
    ({"asn": {"deny": ["AS1"]}}, ["access by autonomous system needs a database"]),
    ({"country_db": "/nonexistent/db", "countries": {"deny": ["DE"]}}, ["cannot read the database: No such file"]),
    ({"country_db": "/etc/passwd"}, ["it is no MaxMind DB file"]),
    ({"country_db": "COUNTRY", "countries": {"deny": ["UK", "Germany", "D1"]}},
     ['did you mean "GB"?', '"Germany" is no code', '"D1" is no code']),
    ({"asn_db": "ASN", "asn": {"deny": ["AS", "-1", 4294967296, 0]}},
     ['"AS" is no autonomous system', '"-1"', '"4294967296"', '"0" is no']),
    ({"asn_db": "COUNTRY"}, ["it knows no autonomous systems"]),
    ({"country_db": "ASN"}, ["it knows no countries"]),
    ({"agents": {"deny": ["bot", "curl", "~["]}},
     ['did you mean "bots"?', 'write "~curl" for a pattern of your own', "bad regular expression at character 2"]),
    ({"agents": {"allow": ["bots"]}}, ["exceptions to a deny"]),
]


@pytest.mark.parametrize("access, words", WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_said(origin, gateway, databases, access, words):
    names = {"COUNTRY": databases["country_db"], "ASN": databases["asn_db"]}
    access = {key: names.get(value, value) if isinstance(value, str) else value for key, value in access.items()}
    gw = gateway(origin, filters=[{"access": access}], run=False)
    done = run("check", gw.file)
    assert done.code == 2, done
    for text in words:
        assert text in done.err, done


@pytest.mark.parametrize("cut", [0, 10, 100, 400, 0.5, -1, -50])
def test_a_database_that_was_cut_is_an_error_of_the_configuration(origin, gateway, databases, cut):
    with open(databases["country_db"], "r+b") as file:
        size = os.path.getsize(file.name)
        file.truncate(int(size * cut) if isinstance(cut, float) else cut if cut >= 0 else size + cut)
    gw = gateway(origin, filters=[{"access": {"country_db": databases["country_db"]}}], run=False)
    done = run("check", gw.file)
    assert done.code == 2 and "cannot read the database" in done.err, done
    assert f"{gw.file}:" in done.err and "country.mmdb" in done.err, done
